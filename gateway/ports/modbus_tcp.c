/* SPDX-License-Identifier: Apache-2.0
 *
 * One exchange over TCP. Each request has a transaction id of its own, so that an answer
 * to an earlier one is known by its number; unit, function and length are held against it
 * as well (libmodbus looks at neither the unit nor, in full, the protocol id).
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "drivers/cursor.h"
#include "ports/line.h"
#include "ports/modbus_port.h"

/* An exchange so shortly before leaves nothing to look for. */
#define FRESH_US 5000
/* A frame that has begun ends within this. */
#define REST_US 1000000

/* Abortable, as everything that a Modbus port waits for. */
int modbus_tcp_connect(struct port_modbus *port, int *fd)
{
    return line_connect(&port->line, port->abort_fd, fd);
}

/* Takes one frame off the buffer's front. 1: more bytes must come, or the frame answered
 * an earlier request and was dropped; else enum port_error. */
static int judge(struct port_modbus *port, const struct port_modbus_request *request,
                 struct port_modbus_reply *reply)
{
    for (;;) {
        struct cursor cursor = cursor_make(port->buffer, port->have);
        uint16_t transaction = cursor_be16(&cursor);
        uint16_t protocol = cursor_be16(&cursor);
        uint16_t length = cursor_be16(&cursor);
        uint8_t unit = cursor_u8(&cursor);
        const uint8_t *data = NULL;
        size_t size = 0;
        int match;

        if (cursor.failed)
            return 1;
        if (protocol != 0 || length < 3 || length > PORT_MODBUS_PDU_MAX + 1)
            return PORT_LENGTH; /* not Modbus: where the next frame begins is unknown */
        if (port->have < 6u + length)
            return 1;
        if (transaction != port->transaction) {
            reply->strays.bytes += 6u + length;
            port->have -= 6u + length;
            memmove(port->buffer, port->buffer + 6 + length, port->have);
            continue;
        }
        if (unit != request->unit)
            return PORT_FOREIGN;
        match = modbus_frame_match(request, port->buffer + MODBUS_MBAP, length - 1u,
                                   &data, &size);
        if (match == PORT_LENGTH)
            return PORT_LENGTH;
        reply->data = data;
        reply->size = (uint16_t)size;
        port->clean = port->have == 6u + length;
        if (match == PORT_EXCEPTION)
            reply->exception = data[0];
        return match;
    }
}

/* Until a whole frame of this transaction is there. The peer may send it in any pieces.
 */
static int receive(struct port_modbus *port, const struct port_modbus_request *request,
                   struct port_modbus_reply *reply)
{
    uint64_t until = reply->asked_us + request->timeout_us;

    for (;;) {
        int n = modbus_port_wait(port, until);

        if (n == 0) /* over, or aborted */
            return port->have > 0 ? PORT_SHORT : PORT_TIMEOUT;
        if (n > 0)
            n = modbus_port_read(port);
        if (n < 0)
            return PORT_GONE;
        reply->bytes_in += (uint32_t)n;
        n = judge(port, request, reply);
        if (reply->first_us == 0 && port->have > 0) {
            reply->first_us = clock_monotonic_us();
            /* From here on the frame must end soon, however late it began. */
            if (until < reply->first_us + REST_US)
                until = reply->first_us + REST_US;
        }
        if (n <= 0)
            return n;
    }
}

/* What lies in the socket before we ask answers nothing we are going to ask; it is
 * dropped here, though its transaction would betray it as well. That is why the look is
 * spared within a burst of requests whose last reply came alone: it is one system call in
 * four. */
int modbus_tcp_ask(struct port_modbus *port, const struct port_modbus_request *request,
                   const uint8_t *pdu, size_t n, struct port_modbus_reply *reply)
{
    uint64_t start = port->quiet_us + request->gap_us;
    bool fresh = port->clean && clock_monotonic_us() < port->quiet_us + FRESH_US;
    int error;

    if (port->quiet_us != 0)
        modbus_port_sleep(port, start > request->not_before_us ? start
                                                               : request->not_before_us);
    if (!fresh && port_modbus_strays(port, &reply->strays) != PORT_OK)
        return PORT_GONE;
    port->have = 0;
    port->clean = false;
    reply->asked_us = clock_monotonic_us();
    error = modbus_port_send(port, request->unit, pdu, n);
    if (error != PORT_OK)
        return error;
    reply->bytes_out = (uint32_t)(MODBUS_MBAP + n);
    error = receive(port, request, reply);
    reply->done_us = clock_monotonic_us();
    port->quiet_us = reply->done_us;
    return error;
}
