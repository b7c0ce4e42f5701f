/* SPDX-License-Identifier: Apache-2.0
 *
 * A line that is a TCP connection: to a device of its own, or to a device server that
 * hands the bytes of a serial line on.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ports/line.h"

#define CONNECT_MS 3000

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
static int connect_one(const struct addrinfo *address, int abort_fd, int ms)
{
    struct pollfd waits[2] = {{.events = POLLOUT}, {.fd = abort_fd, .events = POLLIN}};
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
int line_connect(const struct port_line *settings, int abort_fd, int *fd)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[6];
    int ms = settings->connect_ms != 0 ? (int)settings->connect_ms : CONNECT_MS;

    (void)snprintf(service, sizeof service, "%u", (unsigned)settings->tcp_port);
    if (getaddrinfo(settings->path, service, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return PORT_GONE;
    }
    *fd = -1;
    errno = EADDRNOTAVAIL;
    for (const struct addrinfo *at = list; at != NULL && *fd < 0; at = at->ai_next)
        *fd = connect_one(at, abort_fd, ms);
    freeaddrinfo(list);
    if (*fd < 0)
        return PORT_GONE;
    keep_alive(*fd);
    return PORT_OK;
}
