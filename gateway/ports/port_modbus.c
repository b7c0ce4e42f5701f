/* SPDX-License-Identifier: Apache-2.0
 *
 * The only file that knows libmodbus: it opens and sets a line, sends, and closes. Its
 * own receive functions are not used; modbus_rtu.c says why.
 */
#include "ports/port_modbus.h"

#include <errno.h>
#include <fcntl.h>
#include <modbus.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "ports/line.h"
#include "ports/modbus_port.h"

/* Libmodbus selects: FD_SETSIZE is 1,024. */
#define DESCRIPTOR_MAX 1000

/* True while new descriptors are small enough for libmodbus's fd_sets: asked before it
 * gets one, since it writes past the set's end without looking. */
static bool descriptors_left(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0 && fd < DESCRIPTOR_MAX;
}

/* The lock first, libmodbus second, what it leaves out third. Of two programs that start
 * at the same moment only one comes past the lock, and the other has touched nothing. */
static int open_rtu(struct port_modbus *port)
{
    static const char parities[] = {'N', 'E', 'O'};
    const struct port_line *line = &port->line;
    modbus_t *context;
    int error = line_check(line);

    if (error != PORT_OK || line->data_bits != 8)
        return PORT_SETTING;
    error = line_lock(line, &port->lock);
    if (error != PORT_OK)
        return error;
    context = modbus_new_rtu(line->path, (int)line->baud, parities[line->parity],
                             line->data_bits, line->stop_bits);
    if (context == NULL)
        goto err0;
    /* connect() wants a unit; each request sets its own. */
    if (modbus_set_slave(context, 1) != 0 || modbus_connect(context) != 0)
        goto err1;
    port->context = context;
    port->fd = modbus_get_socket(context);
    port->pty = line_is_pty(port->fd);
    error = line_take(line, port->fd);
    if (error == PORT_OK)
        return PORT_OK;
    modbus_close(context);
    modbus_free(context);
    close(port->lock);
    return error;

err1:
    modbus_free(context);
err0:
    close(port->lock);
    return errno == EBUSY ? PORT_BUSY : PORT_GONE;
}

/* libmodbus would connect by itself, but waits where nobody can stop it. */
static int open_tcp(struct port_modbus *port)
{
    modbus_t *context;
    char service[6];
    int fd;
    int error = modbus_tcp_connect(port, &fd);

    if (error != PORT_OK)
        return error;
    (void)snprintf(service, sizeof service, "%u", (unsigned)port->line.tcp_port);
    context = modbus_new_tcp_pi(port->line.path, service);
    if (context == NULL) {
        close(fd);
        return PORT_GONE;
    }
    (void)modbus_set_socket(context, fd);
    port->context = context;
    port->fd = fd;
    return PORT_OK;
}

/* libmodbus has no ASCII and takes 8 bits only: the line is opened as for a streaming
 * driver, whose allow-list is ours in another dress. */
static bool ascii_allowed(const uint8_t *bytes, size_t n)
{
    uint8_t room[MODBUS_BODY_MAX];
    size_t size;
    const uint8_t *body = modbus_ascii_framing.open(bytes, n, room, &size);

    return body != NULL && port_modbus_allowed(body + 1, size - 1);
}

static int open_ascii(struct port_modbus *port)
{
    int error = port_serial_open(&port->line, ascii_allowed, &port->serial);

    if (error != PORT_OK)
        return error;
    port->fd = port_serial_fd(port->serial);
    port->pty = line_is_pty(port->fd);
    return PORT_OK;
}

/* A device server: bytes of a line, and no time that they could prove. */
static int open_server(struct port_modbus *port)
{
    port->pty = true;
    return modbus_tcp_connect(port, &port->fd);
}

/* Serial or TCP, as the settings say. */
static int line_open(struct port_modbus *port)
{
    if (port->framing != NULL && port->line.tcp_port != 0)
        return open_server(port);
    if (port->framing == &modbus_ascii_framing)
        return open_ascii(port);

    if (!descriptors_left()) {
        errno = EMFILE;
        return PORT_GONE;
    }
    return port->line.tcp_port != 0 ? open_tcp(port) : open_rtu(port);
}

/* Harmless on a closed line. libmodbus puts the tty's settings back as it found them. */
static void line_close(struct port_modbus *port)
{
    if (port->fd < 0)
        return;
    if (port->context != NULL) {
        modbus_close(port->context);
        modbus_free(port->context);
    } else if (port->serial != NULL) {
        port_serial_close(port->serial);
    } else {
        close(port->fd);
    }
    if (port->lock >= 0)
        close(port->lock);
    port->context = NULL;
    port->serial = NULL;
    port->fd = -1;
    port->lock = -1;
}

/* NULL where a request has a number. */
static const struct modbus_framing *framing_of(const struct port_line *line)
{
    if (line->framing == PORT_FRAMING_ASCII)
        return &modbus_ascii_framing;
    return port_answers_named(line) ? NULL : &modbus_rtu_framing;
}

/* A port exists only open; a TCP port may close and open itself again later. */
int port_modbus_open(const struct port_line *settings, struct port_modbus **out)
{
    struct port_modbus *port = calloc(1, sizeof *port);
    int error;

    if (port == NULL)
        return PORT_GONE;
    port->line = *settings;
    port->framing = framing_of(settings);
    port->fd = -1;
    port->lock = -1;
    port->abort_fd = -1;
    /* TCP: any start will do that a restart does not repeat at once. */
    port->transaction = (uint16_t)clock_monotonic_us();
    error = line_open(port);
    if (error != PORT_OK) {
        free(port);
        return error;
    }
    *out = port;
    return PORT_OK;
}

/* The port and its line. */
void port_modbus_close(struct port_modbus *port)
{
    if (port == NULL)
        return;
    line_close(port);
    free(port);
}

/* The descriptor stays the caller's. */
void port_modbus_abort_on(struct port_modbus *port, int fd)
{
    port->abort_fd = fd;
}

/* -1 while a TCP port is between two connections. */
int port_modbus_fd(const struct port_modbus *port)
{
    return port->fd;
}

/* From now until then, for ppoll(); nothing if it is past. */
static struct timespec span(uint64_t until_us)
{
    uint64_t now = clock_monotonic_us();
    uint64_t us = until_us > now ? until_us - now : 0;

    return (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
}

/* The one place where a port waits for bytes. Interrupted sleeps go on; an abort and the
 * end of the time look the same to the caller, who looks at neither further. */
int modbus_port_wait(const struct port_modbus *port, uint64_t until_us)
{
    for (;;) {
        struct pollfd waits[2] = {{.fd = port->fd, .events = POLLIN},
                                  {.fd = port->abort_fd, .events = POLLIN}};
        struct timespec left = span(until_us);
        int n = ppoll(waits, 2, &left, NULL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || waits[1].revents != 0)
            return 0;
        if ((waits[0].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0)
            return 1;
        errno = EIO; /* hung up: bytes that may still lie there answer nothing any more */
        return PORT_GONE;
    }
}

/* Not for bytes: used where what comes is to be looked at afterwards, in one go. */
void modbus_port_sleep(const struct port_modbus *port, uint64_t until_us)
{
    struct pollfd wait = {.fd = port->abort_fd, .events = POLLIN};
    struct timespec left = span(until_us);

    while (left.tv_sec != 0 || left.tv_nsec != 0) {
        if (ppoll(&wait, 1, &left, NULL) > 0)
            return;
        left = span(until_us);
    }
}

/* One read. What finds no room in the buffer is read all the same, since it must be off
 * the line, and a frame so long is none. */
int modbus_port_read(struct port_modbus *port)
{
    uint8_t spill[256];
    size_t room = sizeof port->buffer - port->have;
    bool fits = room > 0;
    ssize_t n = read(port->fd, fits ? port->buffer + port->have : spill,
                     fits ? room : sizeof spill);

    if (n > 0) {
        port->have += fits ? (size_t)n : 0;
        return (int)n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    /* A tty set up by libmodbus (VMIN 0) reads 0 when it is merely empty. */
    if (n == 0 && port->line.tcp_port == 0)
        return 0;
    if (n == 0)
        errno = ECONNRESET;
    return PORT_GONE;
}

/* All of it, or PORT_GONE: a socket that takes only a part of so little is not read. */
static int send_socket(const struct port_modbus *port, const uint8_t *bytes, size_t n)
{
    return send(port->fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n ? PORT_OK : PORT_GONE;
}

/* On a line without numbers. RTU on a tty leaves through libmodbus. */
static int send_framed(struct port_modbus *port, uint8_t unit, const uint8_t *pdu,
                       size_t n)
{
    uint8_t body[MODBUS_BODY_MAX], frame[MODBUS_ASCII_MAX];
    size_t size;

    if (n + 1 > sizeof body)
        return PORT_REFUSED;
    body[0] = unit;
    memcpy(body + 1, pdu, n);
    if (port->context != NULL) {
        if (modbus_set_slave(port->context, unit) != 0)
            return PORT_REFUSED;
        return modbus_send_raw_request(port->context, body, (int)n + 1) > 0 ? PORT_OK
                                                                            : PORT_GONE;
    }
    size = port->framing->seal(body, n + 1, frame);
    if (port->serial != NULL)
        return port_serial_write(port->serial, frame, size) == PORT_OK ? PORT_OK
                                                                       : PORT_GONE;
    return send_socket(port, frame, size);
}

/* A Modbus TCP frame does not leave through libmodbus, because its raw requests all carry
 * transaction 0 and a late answer would then pass for a new one. */
int modbus_port_send(struct port_modbus *port, uint8_t unit, const uint8_t *pdu, size_t n)
{
    uint8_t frame[MODBUS_MBAP + PORT_MODBUS_PDU_MAX];

    if (!port_modbus_allowed(pdu, n))
        return PORT_REFUSED;
    if (port->framing != NULL)
        return send_framed(port, unit, pdu, n);
    port->transaction++;
    frame[0] = (uint8_t)(port->transaction >> 8);
    frame[1] = (uint8_t)port->transaction;
    frame[2] = frame[3] = 0;
    frame[4] = (uint8_t)((n + 1) >> 8);
    frame[5] = (uint8_t)(n + 1);
    frame[6] = unit;
    memcpy(frame + MODBUS_MBAP, pdu, n);
    return send_socket(port, frame, MODBUS_MBAP + n);
}

/* Refuses before it opens, opens before it asks. The reply is cleared first: whoever
 * looks at it after a failure finds nothing of an earlier one. */
int port_modbus_ask(struct port_modbus *port, const struct port_modbus_request *request,
                    struct port_modbus_reply *reply)
{
    uint8_t pdu[PORT_MODBUS_PDU_MAX];
    bool tcp = port->line.tcp_port != 0, named = port->framing == NULL;
    size_t n = modbus_frame_pdu(request, pdu);
    int error;

    memset(reply, 0, sizeof *reply);
    reply->function = request->function;
    if (n == 0 || (!named && (request->unit == 0 || request->unit > 247)))
        return PORT_REFUSED;
    if (port->fd < 0) {
        if (!tcp)
            return PORT_GONE;
        error = line_open(port);
        if (error != PORT_OK)
            return PORT_GONE;
    }
    port->have = 0;
    error = named ? modbus_tcp_ask(port, request, pdu, n, reply)
                  : modbus_rtu_ask(port, request, pdu, n, reply);
    /* After any doubt a TCP stream cannot be trusted again: the next byte may belong to
     * anything. A line stays open until it is gone, and so does the way to one: a device
     * server would hand the late answer to the next connection as well. */
    if (error != PORT_OK && error != PORT_EXCEPTION && error != PORT_REFUSED &&
        (named || error == PORT_GONE)) {
        int why = errno;
        line_close(port);
        errno = why;
    }
    return error;
}

/* Reads until there is nothing more, and looks at it as a whole. */
int port_modbus_strays(struct port_modbus *port, struct port_modbus_strays *strays)
{
    if (port->fd < 0) {
        errno = ENOTCONN;
        return PORT_GONE;
    }
    port->have = 0;
    for (;;) {
        int n = modbus_port_wait(port, 0);

        if (n > 0)
            n = modbus_port_read(port);
        if (n < 0) {
            int why = errno;

            line_close(port);
            errno = why;
            return PORT_GONE;
        }
        if (n == 0)
            break;
        port->quiet_us = clock_monotonic_us();
    }
    (void)modbus_framing_scan(port->framing != NULL ? port->framing : &modbus_rtu_framing,
                              NULL, port->buffer, port->have, strays);
    return PORT_OK;
}
