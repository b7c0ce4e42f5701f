/* SPDX-License-Identifier: Apache-2.0
 *
 * One exchange on a line whose replies have no number: RTU and ASCII, on a tty or through
 * a device server. Such a reply names neither the request nor the address it answers, so
 * all that can be held against it is its unit, function, exact length, check and time.
 * libmodbus's receive functions hide the time and whatever came before and after the
 * frame they took; so the bytes are read here, all of them.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "ports/modbus_port.h"

/* A device server may hand a frame over in pieces this far apart. */
#define SERVER_SLACK_US 200000
/* A line is quiet after this, and never before t3.5. */
#define QUIET_US 5000
/* A line that never falls quiet is not waited for longer. */
#define BABBLE_US 2000000
/* Shorter rests of a frame are not worth a sleep. */
#define NAP_US 2000

/* What came in answer to one request. */
struct exchange {
    const struct port_modbus_request *request;
    struct port_modbus_reply *reply;
    /* The request's frame, for the echo. */
    const uint8_t *sent;
    size_t sent_size;
    /* When the request had left at the latest. */
    uint64_t sent_us;
    /* Bytes that came first, at reply->first_us. */
    size_t first_size;
    bool early, napped;
};

/* Takes the request's own bytes off the buffer's front. True while more of them may come.
 */
static bool strip_echo(struct port_modbus *port, struct exchange *exchange)
{
    size_t n = exchange->sent_size;
    size_t seen = port->have < n ? port->have : n;

    if (exchange->reply->echo || memcmp(port->buffer, exchange->sent, seen) != 0)
        return false;
    if (seen < n)
        return true;
    /* A reply of the request's very length could be a reply that happens to be equal
     * (only for 17-24 bits at an address of 0x03xx): believed an echo only where echoes
     * are known. */
    if (port->framing->length(port->buffer, port->have) == n && !port->echoes)
        return false;
    port->have -= n;
    memmove(port->buffer, port->buffer + n, port->have);
    port->echoes = true;
    exchange->reply->echo = true;
    exchange->early = false;
    exchange->reply->first_us = port->have > 0 ? port->quiet_us : 0;
    exchange->first_size = port->have;
    return false;
}

/* What the bytes so far are: 1 if more must come, else enum port_error. */
static int judge(struct port_modbus *port, struct exchange *exchange)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    /* A length that cannot be is judged when the line falls silent. */
    int match = modbus_framing_judge(port->framing, exchange->request, port->buffer,
                                     port->have, port->body, &data, &size);

    if (match != PORT_OK && match != PORT_EXCEPTION)
        return match;
    if (exchange->early)
        return PORT_EARLY;
    exchange->reply->data = data;
    exchange->reply->size = (uint16_t)size;
    if (match == PORT_EXCEPTION)
        exchange->reply->exception = data[0];
    return match;
}

/* The line fell silent within a frame. */
static int judge_torn(struct port_modbus *port, const struct exchange *exchange)
{
    const struct modbus_framing *framing = port->framing;
    const uint8_t *body;
    size_t size;

    if (port->have == 0)
        return PORT_TIMEOUT;
    if (framing->length(port->buffer, port->have) <= framing->max)
        return PORT_SHORT;
    body = framing->open(port->buffer, port->have, port->body, &size);
    if (body == NULL)
        return PORT_CRC;
    return body[0] == exchange->request->unit ? PORT_LENGTH : PORT_FOREIGN;
}

/* Bytes that the reply still lacks, at least. */
static uint32_t bytes_left(const struct port_modbus *port,
                           const struct exchange *exchange)
{
    const struct modbus_framing *framing = port->framing;
    size_t length = framing->length(port->buffer, port->have);
    size_t body = 0; /* unit, function, byte count and data */

    if (exchange->request->function <= 2)
        body = 3 + (exchange->request->count + 7u) / 8u;
    else if (exchange->request->function <= 4)
        body = 3 + exchange->request->count * 2u;
    if (length == 0 && body != 0)
        length = framing->around + body * framing->each;
    if (length <= port->have || length > framing->max)
        return 0;
    return (uint32_t)(length - port->have);
}

/* Collects bytes until they are an answer, cannot be one any more, or stop coming. The
 * times are kept as they come: what the first byte's time proves cannot be told
 * afterwards. */
static int receive(struct port_modbus *port, struct exchange *exchange)
{
    struct port_modbus_reply *reply = exchange->reply;
    uint64_t until = exchange->sent_us + exchange->request->timeout_us;

    for (;;) {
        int n = modbus_port_wait(port, until);
        uint64_t now;
        uint32_t left;

        if (n == 0) /* over, or aborted */
            return judge_torn(port, exchange);
        if (n > 0)
            n = modbus_port_read(port);
        if (n < 0)
            return PORT_GONE;
        if (n == 0)
            continue;
        now = clock_monotonic_us();
        port->quiet_us = now;
        reply->bytes_in += (uint32_t)n;
        if (reply->first_us == 0) {
            reply->first_us = now;
            exchange->first_size = (size_t)n;
        }
        /* A reply cannot begin before the request has ended. A pty has no wire to prove
         * it. */
        if (now < reply->asked_us && !port->pty)
            exchange->early = true;
        if (strip_echo(port, exchange))
            continue;
        if (port->have == 0)
            continue;
        n = judge(port, exchange);
        if (n <= 0)
            return n;
        left = bytes_left(port, exchange);
        until = now + port_chars_us(&port->line, left) +
                (port->line.tcp_port != 0 && port->framing->rest_us < SERVER_SLACK_US
                     ? SERVER_SLACK_US
                     : port->framing->rest_us);
        /* One sleep for the rest of the frame instead of a wake-up for each byte,
         * reckoned from its first byte. Only one: what is missing after it is on its way.
         */
        if (!exchange->napped && port_chars_us(&port->line, left) > NAP_US) {
            size_t after = port->have + left - exchange->first_size;

            exchange->napped = true;
            modbus_port_sleep(port, reply->first_us +
                                        port_chars_us(&port->line, (uint32_t)after));
        }
    }
}

/* Lets the device's worst time and then a silence pass, and throws away what comes:
 * nothing that answers this request may be on the line when the next one leaves. */
static int quarantine(struct port_modbus *port, struct exchange *exchange, int error)
{
    struct port_modbus_reply *reply = exchange->reply;
    uint64_t until = exchange->sent_us + exchange->request->worst_us;
    uint64_t quiet =
        port_gap_us(&port->line) > QUIET_US ? port_gap_us(&port->line) : QUIET_US;
    uint64_t last = until > BABBLE_US ? until + BABBLE_US : BABBLE_US;

    for (;;) {
        uint64_t silent = port->quiet_us + quiet;
        int n = modbus_port_wait(port, until > silent ? until : silent);

        if (n == 0)
            break;
        if (n > 0)
            n = modbus_port_read(port);
        if (n < 0)
            return PORT_GONE;
        port->quiet_us = clock_monotonic_us();
        reply->bytes_in += (uint32_t)n;
        if (port->quiet_us > last)
            break;
    }
    reply->late_seen = modbus_framing_scan(port->framing, exchange->request, port->buffer,
                                           port->have, &reply->strays);
    /* Two replies to one request: which of them answers it is not known, so neither does.
     */
    if (error == PORT_TRAILING || error == PORT_EARLY)
        reply->late_seen = false;
    return error;
}

/* One exchange, as DESIGN.md lists it. Whatever its outcome, the line is quiet when it
 * returns, or was for the device's worst time. */
int modbus_rtu_ask(struct port_modbus *port, const struct port_modbus_request *request,
                   const uint8_t *pdu, size_t n, struct port_modbus_reply *reply)
{
    uint32_t gap = port_gap_us(&port->line);
    uint8_t body[MODBUS_BODY_MAX], sent[MODBUS_ASCII_MAX];
    struct exchange exchange = {.request = request, .reply = reply, .sent = sent};
    uint64_t start;
    int error;

    gap = request->gap_us > gap ? request->gap_us : gap;
    start = port->quiet_us + gap;
    modbus_port_sleep(port,
                      start > request->not_before_us ? start : request->not_before_us);
    for (;;) {
        uint32_t before = reply->strays.bytes;

        if (port_modbus_strays(port, &reply->strays) != PORT_OK)
            return PORT_GONE;
        if (reply->strays.bytes == before || reply->strays.bytes > PORT_BUFFER)
            break;
        modbus_port_sleep(port,
                          port->quiet_us + gap); /* silence counts from the last byte */
    }
    reply->bytes_in = reply->strays.bytes;
    port->have = 0;
    body[0] = request->unit;
    memcpy(body + 1, pdu, n);
    exchange.sent_size = port->framing->seal(body, n + 1, sent);
    reply->bytes_out = (uint32_t)exchange.sent_size;
    /* Two bounds, since this thread may be put aside between the clock and the write: a
     * value is no older than the first, and the device's time counts from the second. */
    reply->asked_us = clock_monotonic_us() + port_chars_us(&port->line, reply->bytes_out);
    error = modbus_port_send(port, request->unit, pdu, n);
    if (error != PORT_OK)
        return error;
    exchange.sent_us =
        clock_monotonic_us() + port_chars_us(&port->line, reply->bytes_out);
    port->quiet_us = exchange.sent_us;
    error = receive(port, &exchange);
    if (error != PORT_OK && error != PORT_EXCEPTION && error != PORT_GONE)
        error = quarantine(port, &exchange, error);
    reply->done_us = clock_monotonic_us();
    return error;
}
