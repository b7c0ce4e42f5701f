/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/tls_session.h"

#define BUFFER_SIZE    16384 /* bytes each way: one full TLS record */
#define BACKLOG        64 /* local connections that may wait; connect() would block beyond */
#define TIMER_SLACK_US (10 * US_PER_MS)
#define LINGER_US                                                                        \
    (2 * US_PER_S) /* for the peer to end its side after the local side has ended */

struct buffer {
    uint8_t bytes[BUFFER_SIZE];
    size_t start, end;
    bool ended; /* nothing more will be put in */
};

struct tls_link {
    struct tls_link_config config; /* its strings are ours */
    sd_event *loop;
    int64_t floor_us;
    struct tls_link_status status;

    /*
     * Invariants:
     * 1. The listener is watched exactly while there is no attempt and no
     *    connection: one local connection at a time.
     * 2. local is accepted only in TLS_LINK_OPEN, so that not a byte of it
     *    can be read before every check held.
     * 3. session's files and judgement are of this attempt alone.
     */
    int listener, net, local;
    sd_event_source *listener_source, *net_source, *local_source, *deadline;
    struct addrinfo *addresses, *address; /* of this attempt, and the one being tried */
    struct tls_session *session;
    struct tls_own own;

    struct buffer up, down;
    size_t up_pending;    /* length of a write that mbedTLS wants repeated; 0 if none */
    bool write_wants_out; /* that write waits for the network to take bytes */
    bool said_goodbye;
};

static void wait_for_local(struct tls_link *link);
static void try_address(struct tls_link *link);

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void release_attempt(struct tls_link *link)
{
    link->net_source = sd_event_source_disable_unref(link->net_source);
    link->local_source = sd_event_source_disable_unref(link->local_source);
    link->deadline = sd_event_source_disable_unref(link->deadline);
    tls_session_free(link->session);
    link->session = NULL;
    close_fd(&link->net);
    close_fd(&link->local);
    if (link->addresses != NULL)
        freeaddrinfo(link->addresses);
    link->addresses = link->address = NULL;
    link->up = (struct buffer){.start = 0};
    link->down = (struct buffer){.start = 0};
    link->up_pending = 0;
    link->write_wants_out = link->said_goodbye = false;
}

/* Closes everybody who waits, unread. That is all the local side learns: it
 * backs off and comes again, and with it the next attempt. */
static void turn_away(struct tls_link *link)
{
    int fd;

    while ((fd = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        close(fd);
}

__attribute__((format(printf, 2, 3))) static void refuse(struct tls_link *link,
                                                         const char *format, ...)
{
    char *error = link->status.error;
    size_t size = sizeof(link->status.error), n = 0;
    va_list arguments;

    /* Our own expired certificate is the likeliest reason for a refusal. */
    if (link->own.error[0] != '\0')
        n = (size_t)snprintf(error, size, "%s; ", link->own.error);
    va_start(arguments, format);
    vsnprintf(error + n, size - n, format, arguments);
    va_end(arguments);
    log_warning("tls: %s port %u: %s", link->config.host, link->config.port, error);
    link->status.refusals++;
    link->status.state = TLS_LINK_REFUSED;
    release_attempt(link);
    turn_away(link);
    wait_for_local(link);
}

/* The end of a connection that was open. */
static void end(struct tls_link *link, const char *error)
{
    if (error != NULL) {
        snprintf(link->status.error, sizeof(link->status.error), "%s", error);
        log_notice("tls: %s port %u: %s", link->config.host, link->config.port, error);
    }
    link->status.state = TLS_LINK_IDLE;
    release_attempt(link);
    wait_for_local(link);
}

/* Moves what is left to the front, unless mbedTLS waits to see it where it was. */
static size_t room(struct buffer *buffer, size_t pending)
{
    if (buffer->start > 0 && pending == 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start,
                buffer->end - buffer->start);
        buffer->end -= buffer->start;
        buffer->start = 0;
    }
    return sizeof(buffer->bytes) - buffer->end;
}

static size_t filled(const struct buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Local to network. False if the connection is over. */
static bool pump_up(struct tls_link *link)
{
    struct buffer *up = &link->up;

    for (;;) {
        size_t space = room(up, link->up_pending);
        ssize_t n = 0;

        if (!up->ended && space > 0) {
            n = recv(link->local, up->bytes + up->end, space, 0);
            if (n > 0)
                up->end += (size_t)n;
            else if (n == 0 || (errno != EAGAIN && errno != EINTR))
                up->ended = true;
        }
        if (filled(up) == 0)
            break;
        if (link->up_pending == 0)
            link->up_pending = filled(up);
        n = tls_session_write(link->session, up->bytes + up->start, link->up_pending);
        link->write_wants_out = n == TLS_WANT_WRITE;
        if (n == TLS_WANT_READ || n == TLS_WANT_WRITE)
            return true;
        if (n <= 0)
            return false;
        link->up_pending = 0;
        up->start += (size_t)n;
        link->status.bytes_up += (uint64_t)n;
    }
    return true;
}

/* Network to local. What was decrypted before an end is still handed over. */
static bool pump_down(struct tls_link *link)
{
    struct buffer *down = &link->down;

    for (;;) {
        size_t space;
        ssize_t n = 0;

        /* Many small records become one write. */
        while (!down->ended && (space = room(down, 0)) > 0) {
            n = tls_session_read(link->session, down->bytes + down->end, space);
            if (n == TLS_DONE || n == TLS_FAILED)
                down->ended = true;
            if (n <= 0)
                break;
            down->end += (size_t)n;
            link->status.bytes_down += (uint64_t)n;
        }
        if (filled(down) == 0)
            return !down->ended;
        n = send(link->local, down->bytes + down->start, filled(down), MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        down->start += (size_t)n;
    }
}

/* The local side has ended and its last byte is on its way: say so to the
 * peer, and give it a moment to end its own side. */
static void half_close(struct tls_link *link)
{
    if (!link->up.ended || filled(&link->up) > 0 || link->said_goodbye)
        return;
    link->said_goodbye = true;
    tls_session_goodbye(link->session);
    shutdown(link->net, SHUT_WR);
    sd_event_source_set_time_relative(link->deadline, LINGER_US);
    sd_event_source_set_enabled(link->deadline, SD_EVENT_ONESHOT);
}

static void watch_sockets(struct tls_link *link)
{
    uint32_t local = 0, net = 0;

    if (!link->up.ended && room(&link->up, link->up_pending) > 0)
        local |= EPOLLIN;
    if (filled(&link->down) > 0)
        local |= EPOLLOUT;
    if (!link->down.ended && room(&link->down, 0) > 0)
        net |= EPOLLIN;
    if (link->write_wants_out)
        net |= EPOLLOUT;
    sd_event_source_set_io_events(link->local_source, local);
    sd_event_source_set_io_events(link->net_source, net);
}

/* Neither direction can starve the loop: what it moves is bounded by the
 * local socket's buffer, which is filled and emptied from this same loop. */
static void pump(struct tls_link *link)
{
    bool alive = pump_up(link);

    alive = pump_down(link) && alive;
    if (!alive) {
        const char *error = tls_session_error(link->session);

        end(link, error[0] != '\0' ? error : NULL);
        return;
    }
    half_close(link);
    watch_sockets(link);
}

static int local_ready(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct tls_link *link = context;

    (void)source;
    (void)fd;
    /* Gone altogether, not only ended: nobody is left to read. */
    if ((events & (EPOLLHUP | EPOLLERR)) && link->up.ended) {
        end(link, NULL);
        return 0;
    }
    pump(link);
    return 0;
}

/* The first that is still there: one that gave up while we shook hands has
 * left a closed connection in the queue. */
static int accept_live(int listener)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        char byte;

        if (fd < 0)
            return -1;
        if (recv(fd, &byte, 1, MSG_PEEK) != 0)
            return fd;
        close(fd);
    }
}

/* Every check held: only now is the local side let in. */
static void open_up(struct tls_link *link)
{
    int rc;

    tls_session_describe(link->session, &link->status);
    link->status.handshakes++;
    link->status.error[0] = '\0';
    if (link->own.error[0] != '\0')
        snprintf(link->status.error, sizeof(link->status.error), "%s", link->own.error);
    link->local = accept_live(link->listener);
    if (link->local < 0) {
        end(link, NULL);
        return;
    }
    rc = sd_event_add_io(link->loop, &link->local_source, link->local, EPOLLIN,
                         local_ready, link);
    if (rc < 0) {
        end(link, "event loop: out of memory");
        return;
    }
    link->status.state = TLS_LINK_OPEN;
    sd_event_source_set_enabled(link->deadline, SD_EVENT_OFF);
    log_info("tls: %s port %u: %s, %s", link->config.host, link->config.port,
             link->status.version, link->status.suite);
    pump(link);
}

static void shake_hands(struct tls_link *link)
{
    switch (tls_session_handshake(link->session, link->net)) {
    case TLS_DONE:
        open_up(link);
        break;
    case TLS_WANT_READ:
        sd_event_source_set_io_events(link->net_source, EPOLLIN);
        break;
    case TLS_WANT_WRITE:
        sd_event_source_set_io_events(link->net_source, EPOLLOUT);
        break;
    case TLS_FAILED:
        tls_session_describe(link->session, &link->status);
        refuse(link, "%s", tls_session_error(link->session));
        break;
    }
}

/* This address failed: the next one, or the words of the last failure. */
static void next_address(struct tls_link *link, int failure)
{
    link->net_source = sd_event_source_disable_unref(link->net_source);
    close_fd(&link->net);
    link->address = link->address->ai_next;
    if (link->address != NULL)
        try_address(link);
    else
        refuse(link, "can't connect: %s", strerror(failure));
}

static int net_ready(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct tls_link *link = context;
    int failure = 0;
    socklen_t size = sizeof(failure);

    (void)source;
    (void)events;
    if (link->status.state == TLS_LINK_CONNECTING) {
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0)
            failure = errno;
        if (failure != 0) {
            next_address(link, failure);
            return 0;
        }
        link->status.state = TLS_LINK_HANDSHAKE;
    }
    if (link->status.state == TLS_LINK_HANDSHAKE)
        shake_hands(link);
    else
        pump(link);
    return 0;
}

static void try_address(struct tls_link *link)
{
    const struct addrinfo *address = link->address;
    const int on = 1;
    int rc;

    link->net = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->net < 0) {
        next_address(link, errno);
        return;
    }
    setsockopt(link->net, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(link->net, address->ai_addr, address->ai_addrlen) != 0 &&
        errno != EINPROGRESS) {
        next_address(link, errno);
        return;
    }
    rc = sd_event_add_io(link->loop, &link->net_source, link->net, EPOLLOUT, net_ready,
                         link);
    if (rc < 0)
        refuse(link, "event loop: %s", strerror(-rc));
}

static int deadline_due(sd_event_source *source, uint64_t due_us, void *context)
{
    struct tls_link *link = context;

    (void)source;
    (void)due_us;
    if (link->status.state == TLS_LINK_OPEN) {
        end(link, NULL);
    } else if (link->status.state == TLS_LINK_CONNECTING) {
        refuse(link, "can't connect in %u ms", link->config.handshake_ms);
    } else {
        tls_session_stalled(link->session, link->config.handshake_ms);
        refuse(link, "%s", tls_session_error(link->session));
    }
    return 0;
}

static int look_up(struct tls_link *link)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICSERV};
    char port[8];

    snprintf(port, sizeof(port), "%u", link->config.port);
    return getaddrinfo(link->config.host, port, &hints, &link->addresses);
}

/* Somebody local wants the broker: one attempt. */
static int local_waits(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct tls_link *link = context;
    char error[TLS_ERROR_SIZE];
    int rc;

    (void)source;
    (void)fd;
    (void)events;
    sd_event_source_set_enabled(link->listener_source, SD_EVENT_OFF);
    link->status.state = TLS_LINK_CONNECTING;
    rc = tls_session_new(&link->config, link->floor_us, clock_utc_us(), &link->session,
                         &link->own, error);
    link->status.own_expiry_utc_us = link->own.expiry_us;
    if (rc != 0) {
        refuse(link, "%s", error);
        return 0;
    }
    rc = look_up(link);
    if (rc != 0) {
        refuse(link, "can't find the host: %s", gai_strerror(rc));
        return 0;
    }
    link->address = link->addresses;
    rc = sd_event_add_time_relative(link->loop, &link->deadline, CLOCK_BOOTTIME,
                                    link->config.handshake_ms * (uint64_t)US_PER_MS,
                                    TIMER_SLACK_US, deadline_due, link);
    if (rc < 0)
        refuse(link, "event loop: %s", strerror(-rc));
    else
        try_address(link);
    return 0;
}

static void wait_for_local(struct tls_link *link)
{
    sd_event_source_set_enabled(link->listener_source, SD_EVENT_ON);
}

/* Whoever may reach the socket speaks to the broker in this gateway's name. */
static int check_folder(const char *socket_path)
{
    const char *slash = strrchr(socket_path, '/');
    char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    size_t n = slash != NULL ? (size_t)(slash - socket_path) : 0;
    struct stat status;

    if (n == 0)
        return -EINVAL;
    if (strlen(socket_path) >= sizeof(folder))
        return -ENAMETOOLONG;
    memcpy(folder, socket_path, n);
    folder[n] = '\0';
    if (stat(folder, &status) != 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        return -ENOTDIR;
    if (status.st_uid != geteuid() || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return -EACCES;
    return 0;
}

static int listen_local(struct tls_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc;

    memcpy(address.sun_path, link->config.socket_path, strlen(link->config.socket_path));
    link->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->listener < 0)
        return -errno;
    /* The mode is set before bind makes the file: there is no moment at which it is
     * wider. */
    if (fchmod(link->listener, S_IRUSR | S_IWUSR) != 0)
        return -errno;
    unlink(address.sun_path);
    if (bind(link->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(link->listener, BACKLOG) != 0)
        return -errno;
    rc = sd_event_add_io(link->loop, &link->listener_source, link->listener, EPOLLIN,
                         local_waits, link);
    return rc < 0 ? rc : 0;
}

/* The strings of config are const to everybody but their owner. */
static void free_config(struct tls_link_config *config)
{
    const char *strings[] = {config->host,     config->ca_file,  config->cert_file,
                             config->key_file, config->crl_file, config->socket_path};

    for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
        free((void *)(uintptr_t)strings[i]);
}

static int copy_config(struct tls_link_config *into, const struct tls_link_config *from)
{
    *into = *from;
    into->host = strdup(from->host);
    into->ca_file = strdup(from->ca_file);
    into->cert_file = strdup(from->cert_file);
    into->key_file = strdup(from->key_file);
    into->crl_file = from->crl_file != NULL ? strdup(from->crl_file) : NULL;
    into->socket_path = strdup(from->socket_path);
    if (into->host == NULL || into->ca_file == NULL || into->cert_file == NULL ||
        into->key_file == NULL || (from->crl_file != NULL && into->crl_file == NULL) ||
        into->socket_path == NULL)
        return -ENOMEM;
    return 0;
}

int tls_link_open(sd_event *loop, const struct tls_link_config *config,
                  struct tls_link **out)
{
    struct tls_link *link;
    int rc = check_folder(config->socket_path);

    if (rc != 0)
        return rc;
    link = calloc(1, sizeof(*link));
    if (link == NULL)
        return -ENOMEM;
    link->listener = link->net = link->local = -1;
    link->loop = sd_event_ref(loop);
    link->floor_us = config->floor_utc_us;
    rc = copy_config(&link->config, config);
    if (rc == 0)
        rc = listen_local(link);
    if (rc != 0) {
        tls_link_close(link);
        return rc;
    }
    *out = link;
    return 0;
}

void tls_link_status(const struct tls_link *link, struct tls_link_status *status)
{
    *status = link->status;
}

void tls_link_floor(struct tls_link *link, int64_t floor_utc_us)
{
    if (floor_utc_us > link->floor_us)
        link->floor_us = floor_utc_us;
}

void tls_link_drop(struct tls_link *link)
{
    if (link->status.state == TLS_LINK_IDLE || link->status.state == TLS_LINK_REFUSED)
        return;
    if (link->status.state == TLS_LINK_OPEN)
        tls_session_goodbye(link->session);
    else
        turn_away(link);
    end(link, NULL);
}

void tls_link_close(struct tls_link *link)
{
    if (link == NULL)
        return;
    /* The local side's last words (DISCONNECT) may still wait in its socket. */
    if (link->status.state == TLS_LINK_OPEN && pump_up(link))
        tls_session_goodbye(link->session);
    release_attempt(link);
    link->listener_source = sd_event_source_disable_unref(link->listener_source);
    if (link->listener >= 0)
        unlink(link->config.socket_path);
    close_fd(&link->listener);
    sd_event_unref(link->loop);
    free_config(&link->config);
    free(link);
}
