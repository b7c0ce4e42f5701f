/* SPDX-License-Identifier: Apache-2.0
 *
 * A line for a streaming driver. Nothing is interpreted here: bytes go up as they are and
 * come down only through the driver's allow-list.
 */
#include "ports/port_serial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ports/line.h"

/* A request is short: a buffer full for longer is a dead adapter. */
#define WRITE_WAIT_MS 1000
/* What a connection may hold that nobody has read. */
#define FLUSH_BYTES 512
#define FLUSHES     1024

struct port_serial {
    int fd;
    int lock; /* -1: a TCP connection, which nobody else can open */
    port_allow allow;
};

/* Raw: every byte as it is. A break or a character with a parity error is dropped by the
 * kernel (IGNBRK, INPCK with IGNPAR), so that the driver sees a frame that is too short
 * rather than a wrong byte. */
static int set_raw(int fd, const struct port_line *settings)
{
    struct termios tio;
    speed_t speed;

    if (!line_speed(settings->baud, &speed))
        return PORT_SETTING;
    if (tcgetattr(fd, &tio) != 0)
        return PORT_GONE;
    cfmakeraw(&tio);
    tio.c_iflag |=
        IGNBRK | (settings->parity == DRIVER_PARITY_NONE ? 0u : INPCK | IGNPAR);
    tio.c_cflag &= ~(tcflag_t)(CSIZE | PARENB | PARODD | CSTOPB | CRTSCTS);
    tio.c_cflag |= CLOCAL | CREAD | (settings->data_bits == 7 ? CS7 : CS8);
    if (settings->parity != DRIVER_PARITY_NONE)
        tio.c_cflag |= PARENB;
    if (settings->parity == DRIVER_PARITY_ODD)
        tio.c_cflag |= PARODD;
    if (settings->stop_bits == 2)
        tio.c_cflag |= CSTOPB;
    /* A pty has neither a parity bit nor 7 bits; asked for them a second time it refuses.
     */
    if (line_is_pty(fd)) {
        tio.c_cflag &= ~(tcflag_t)(PARENB | CSIZE);
        tio.c_cflag |= CS8;
    }
    tio.c_cc[VMIN] = 1;
    tio.c_cc[VTIME] = 0;
    if (cfsetspeed(&tio, speed) != 0)
        return PORT_SETTING;
    /* TCSAFLUSH: what lay on the line before us was received at another setting. */
    return tcsetattr(fd, TCSAFLUSH, &tio) == 0 ? PORT_OK : PORT_GONE;
}

/* The lock comes before the settings: another program's line is not to be set over. */
static int open_tty(const struct port_line *settings, struct port_serial *port)
{
    int error = line_lock(settings, &port->lock);

    if (error != PORT_OK)
        return error;
    port->fd = open(settings->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port->fd < 0) {
        error = errno == EBUSY ? PORT_BUSY : PORT_GONE;
        goto err0;
    }
    error = set_raw(port->fd, settings);
    if (error == PORT_OK)
        error = line_take(settings, port->fd);
    if (error != PORT_OK)
        goto err1;
    return PORT_OK;

err1:
    close(port->fd);
err0:
    close(port->lock);
    return error;
}

/* A connection has no speed and no parity: the device server's own settings hold. */
int port_serial_open(const struct port_line *settings, port_allow allow,
                     struct port_serial **out)
{
    const bool tcp = settings->tcp_port != 0;
    struct port_serial *port;
    int error = tcp ? PORT_OK : line_check(settings);

    if (error != PORT_OK || settings->path[0] == '\0')
        return PORT_SETTING;
    port = malloc(sizeof *port);
    if (port == NULL)
        return PORT_GONE;
    port->allow = allow;
    port->lock = -1;
    error = tcp ? line_connect(settings, -1, &port->fd) : open_tty(settings, port);
    if (error != PORT_OK) {
        free(port);
        return error;
    }
    *out = port;
    return PORT_OK;
}

/* The settings stay as they are; whoever opens the line next sets his own. */
void port_serial_close(struct port_serial *port)
{
    if (port == NULL)
        return;
    close(port->fd);
    if (port->lock >= 0)
        close(port->lock);
    free(port);
}

/* For poll() together with other things. */
int port_serial_fd(const struct port_serial *port)
{
    return port->fd;
}

/* Nothing to read is 0; the end of a tty is its unplugging. */
int port_serial_read(struct port_serial *port, uint8_t *bytes, size_t size)
{
    ssize_t n;

    do
        n = read(port->fd, bytes, size > INT32_MAX ? INT32_MAX : size);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return (int)n;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (n == 0)
        errno = EIO; /* a tty that ends has been hung up, a connection closed */
    return PORT_GONE;
}

/* Nobody at the other end of a connection is an error, not a signal. */
static ssize_t put(const struct port_serial *port, const uint8_t *bytes, size_t n)
{
    return port->lock < 0 ? send(port->fd, bytes, n, MSG_NOSIGNAL)
                          : write(port->fd, bytes, n);
}

/* The allow-list sees the whole message, not its pieces: what is refused has not been
 * begun. */
int port_serial_write(struct port_serial *port, const uint8_t *bytes, size_t n)
{
    if (port->allow == NULL || !port->allow(bytes, n))
        return PORT_REFUSED;
    while (n > 0) {
        ssize_t sent = put(port, bytes, n);

        if (sent >= 0) {
            bytes += sent;
            n -= (size_t)sent;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = port->fd, .events = POLLOUT};

            if (poll(&wait, 1, WRITE_WAIT_MS) == 0)
                return PORT_TIMEOUT;
        } else if (errno != EINTR) {
            return PORT_GONE;
        }
    }
    return PORT_OK;
}

/* Only what came in; what is on its way out was allowed. A peer that never stops sending
 * is not waited for. */
void port_serial_flush(struct port_serial *port)
{
    uint8_t bytes[FLUSH_BYTES];

    if (port->lock >= 0) {
        (void)tcflush(port->fd, TCIFLUSH);
        return;
    }
    for (int i = 0; i < FLUSHES && port_serial_read(port, bytes, sizeof bytes) > 0; i++)
        ;
}
