/* SPDX-License-Identifier: Apache-2.0
 *
 * One exchange over TCP. Each request has a transaction id of its own, so that an answer
 * to an earlier one is known by its number; unit, function and length are held against it
 * as well (libmodbus looks at neither the unit nor, in full, the protocol id).
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "drivers/cursor.h"
#include "ports/modbus_port.h"

#define CONNECT_MS 3000
/* An exchange so shortly before leaves nothing to look for. */
#define FRESH_US 5000
/* A frame that has begun ends within this. */
#define REST_US 1000000

/* A peer that vanished without a word is found after about 20 s of silence. */
static void keep_alive(int fd)
{
    int on = 1, idle_s = 10, every_s = 3, tries = 3;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* One address: a connected socket, or -1 (errno). */
static int connect_one(const struct port_modbus *port, const struct addrinfo *address,
                       int ms)
{
    struct pollfd waits[2] = {{.events = POLLOUT},
                              {.fd = port->abort_fd, .events = POLLIN}};
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof(int);
    int error = 0;

    if (fd < 0)
        return -1;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        waits[0].fd = fd;
        if (errno != EINPROGRESS)
            error = errno;
        else if (poll(waits, 2, ms) <= 0 || waits[0].revents == 0)
            error = ETIMEDOUT;
        else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
            error = errno;
    }
    if (error == 0)
        return fd;
    close(fd);
    errno = error;
    return -1;
}

/* Each address of the name in turn, each with the whole time to connect. libmodbus would
 * do it too, but where nobody can stop it. */
int modbus_tcp_connect(struct port_modbus *port, int *fd)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[6];
    int ms = port->line.connect_ms != 0 ? (int)port->line.connect_ms : CONNECT_MS;

    (void)snprintf(service, sizeof service, "%u", (unsigned)port->line.tcp_port);
    if (getaddrinfo(port->line.path, service, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return PORT_GONE;
    }
    *fd = -1;
    errno = EADDRNOTAVAIL;
    for (const struct addrinfo *at = list; at != NULL && *fd < 0; at = at->ai_next)
        *fd = connect_one(port, at, ms);
    freeaddrinfo(list);
    if (*fd < 0)
        return PORT_GONE;
    keep_alive(*fd);
    return PORT_OK;
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
