/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls_watch.h"

#include <string.h>

/* Content types of a record (RFC 8446 section 5.1) and types of a handshake message
 * (section 4). */
enum {
    RECORD_CHANGE_CIPHER = 20,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_DATA = 23
};
enum { MESSAGE_SERVER_HELLO = 2, MESSAGE_CERTIFICATE_REQUEST = 13 };

#define MESSAGE_HEADER 4 /* type and length */

/* A message's header is complete: how much of it follows. */
static void message_begins(struct tls_watch *watch)
{
    watch->last_message = watch->message[0];
    watch->message_left = (uint32_t)watch->message[1] << 16 |
                          (uint32_t)watch->message[2] << 8 | watch->message[3];
    if (watch->last_message == MESSAGE_CERTIFICATE_REQUEST)
        watch->asked_certificate = true;
}

/* ServerHello's first two bytes are its version: they are collected behind the header. */
static bool wants_version(const struct tls_watch *watch)
{
    return watch->message_size >= MESSAGE_HEADER &&
           watch->message_size < sizeof(watch->message) &&
           watch->message[0] == MESSAGE_SERVER_HELLO && watch->message_left > 0;
}

/* One byte of a handshake record. A message may begin in one record and end in
 * another, so its header is collected byte by byte. */
static void feed_handshake(struct tls_watch *watch, uint8_t byte)
{
    if (watch->message_size < MESSAGE_HEADER) {
        watch->message[watch->message_size++] = byte;
        if (watch->message_size == MESSAGE_HEADER)
            message_begins(watch);
    } else {
        if (wants_version(watch)) {
            watch->message[watch->message_size++] = byte;
            if (watch->message_size == sizeof(watch->message))
                watch->server_version =
                    (uint16_t)(watch->message[4] << 8 | watch->message[5]);
        }
        watch->message_left--;
    }
    if (watch->message_size >= MESSAGE_HEADER && watch->message_left == 0)
        watch->message_size = 0;
}

/* Level, then description. An encrypted alert is longer than that and tells nothing. */
static void feed_alert(struct tls_watch *watch, uint8_t byte)
{
    if (watch->alert_size++ == 1) {
        watch->alert = byte;
        watch->alerted = true;
    }
}

/* A record's header is complete: what its bytes are. Data or ChangeCipherSpec
 * ends what can be seen in clear; from there on an encrypted record might look
 * like anything. */
static void record_begins(struct tls_watch *watch)
{
    const uint8_t *header = watch->header;

    watch->record_left = (uint16_t)(header[3] << 8 | header[4]);
    if (header[0] < RECORD_CHANGE_CIPHER || header[0] > RECORD_DATA || header[1] != 3) {
        watch->not_tls = watch->seen <= sizeof(watch->header);
        watch->blind = true;
    } else if (header[0] == RECORD_CHANGE_CIPHER || header[0] == RECORD_DATA) {
        watch->blind = true;
    } else if (header[0] == RECORD_ALERT) {
        watch->alert_size = watch->record_left == 2 ? 0 : 2;
    }
}

/* One byte of the stream. The order of the tests is the order of the bytes:
 * header, then body. */
static void feed_byte(struct tls_watch *watch, uint8_t byte)
{
    if (watch->seen < sizeof(watch->first))
        watch->first[watch->seen] = byte;
    watch->seen++;
    if (watch->blind)
        return;
    if (watch->header_size < sizeof(watch->header)) {
        watch->header[watch->header_size++] = byte;
        if (watch->header_size == sizeof(watch->header))
            record_begins(watch);
    } else {
        if (watch->header[0] == RECORD_HANDSHAKE)
            feed_handshake(watch, byte);
        else
            feed_alert(watch, byte);
        watch->record_left--;
    }
    if (watch->header_size == sizeof(watch->header) && watch->record_left == 0)
        watch->header_size = 0;
}

/* Once blind there is nothing to look at, and the bytes are only counted. */
void tls_watch_feed(struct tls_watch *watch, const uint8_t *bytes, size_t n)
{
    size_t i = 0;

    while (i < n && !(watch->blind && watch->seen >= sizeof(watch->first)))
        feed_byte(watch, bytes[i++]);
    watch->seen += n - i;
}

/* RFC 8446 section 6 and the older ones of RFC 5246 that servers still send. */
static const struct {
    uint8_t alert;
    const char *name;
} alerts[] = {
    {0, "close_notify"},
    {10, "unexpected_message"},
    {20, "bad_record_mac"},
    {22, "record_overflow"},
    {40, "handshake_failure"},
    {42, "bad_certificate"},
    {43, "unsupported_certificate"},
    {44, "certificate_revoked"},
    {45, "certificate_expired"},
    {46, "certificate_unknown"},
    {47, "illegal_parameter"},
    {48, "unknown_ca"},
    {49, "access_denied"},
    {50, "decode_error"},
    {51, "decrypt_error"},
    {70, "protocol_version"},
    {71, "insufficient_security"},
    {80, "internal_error"},
    {86, "inappropriate_fallback"},
    {90, "user_canceled"},
    {100, "no_renegotiation"},
    {109, "missing_extension"},
    {110, "unsupported_extension"},
    {112, "unrecognized_name"},
    {116, "certificate_required"},
    {120, "no_application_protocol"},
};

const char *tls_alert_name(uint8_t alert)
{
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
        if (alerts[i].alert == alert)
            return alerts[i].name;
    return "unknown";
}
