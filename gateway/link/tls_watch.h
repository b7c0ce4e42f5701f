/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks over mbedTLS's shoulder at what the peer sends before it is encrypted, to answer
 * three questions that the library does not: did the peer ask for our certificate
 * (TLS 1.2), which alert did it send, and what is it if it is no TLS peer at all. It
 * decides nothing that the library decides; it holds no bytes.
 */
#ifndef LINK_TLS_WATCH_H
#define LINK_TLS_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_WATCH_FIRST 8 /* of the peer's first bytes, kept for the error text */

/* Zeroed, it waits for the first byte of a connection. */
struct tls_watch {
    uint8_t first[TLS_WATCH_FIRST];
    size_t seen; /* bytes received from the peer, all told */

    /* What it saw. */
    bool not_tls;           /* the first record has no TLS header */
    bool asked_certificate; /* a CertificateRequest in clear: TLS 1.2 only */
    uint16_t
        server_version; /* of ServerHello; 0 before it. TLS 1.3 also says 0x0303 here */
    uint8_t alert;      /* description of the last alert in clear */
    bool alerted;
    uint8_t
        last_message; /* handshake type of the last message begun; 0 before the first */

    /* Where it stands. Records carry handshake messages that may span records. */
    bool blind; /* after ChangeCipherSpec, or not TLS: everything else is opaque */
    uint8_t header[5];
    size_t header_size;
    uint16_t record_left;
    uint8_t message[6]; /* type, length (3), and ServerHello's version */
    size_t message_size;
    uint32_t message_left;
    size_t alert_size;
};

/* Feeds n received bytes, in order, in any pieces. *watch is zeroed before the first. */
void tls_watch_feed(struct tls_watch *watch, const uint8_t *bytes, size_t n);

/* The alert's name of RFC 8446 section 6 ("bad_certificate"); "unknown" if it has none.
 */
const char *tls_alert_name(uint8_t alert);

#endif
