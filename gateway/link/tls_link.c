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
#include "link/priority.h"
#include "link/tls_pump.h"
#include "link/tls_session.h"

#define BACKLOG        64 /* local connections that may wait; connect() would block beyond */
#define TIMER_SLACK_US (10 * US_PER_MS)
#define LINGER_US      (2 * US_PER_S) /* for the peer to end its side after the local side */

/* One listener, and at most one attempt or connection behind it. */
struct tls_link {
    struct tls_link_config config; /* its strings are these: */
    char *texts[6];
    size_t text_count;
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
    struct addrinfo *addresses, *address; /* of this attempt; the one being tried */
    struct tls_session *session;
    struct tls_own own;
    struct tls_pump pump;
    bool said_goodbye, lingers; /* the local side has ended */
};

static void wait_for_local(struct tls_link *link);
static void try_address(struct tls_link *link);

/* So that -1 means closed everywhere. */
static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Back to where local_waits began: nothing of this attempt stays, neither its
 * judgement nor its bytes. */
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
    link->status.bytes_up += link->pump.bytes_up;
    link->status.bytes_down += link->pump.bytes_down;
    tls_pump_reset(&link->pump, NULL, -1, false);
    link->said_goodbye = link->lingers = false;
}

/* Closes everybody who waits, unread. That is all the local side learns: it
 * backs off and comes again, and with it the next attempt. So there is one
 * back-off in the program, and it is mqtt's. */
static void turn_away(struct tls_link *link)
{
    int fd;

    while ((fd = accept4(link->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
        close(fd);
}

/* Keeps the words for the status. They are logged when they are news: an outage
 * of a night is one line and not one for each attempt. */
static void note(struct tls_link *link, const char *words)
{
    char *error = link->status.error;
    bool news = strcmp(error, words) != 0;

    snprintf(error, sizeof(link->status.error), "%s", words);
    if (news)
        log_warning("tls: %s port %u: %s", link->config.host, link->config.port, error);
    else
        log_debug("tls: %s port %u: %s", link->config.host, link->config.port, error);
}

/* The attempt failed. */
__attribute__((format(printf, 2, 3))) static void refuse(struct tls_link *link,
                                                         const char *format, ...)
{
    char words[TLS_ERROR_SIZE];
    size_t n = 0;
    va_list arguments;

    /* Our own expired certificate is the likeliest reason for a refusal. */
    if (link->own.error[0] != '\0')
        n = (size_t)snprintf(words, sizeof(words), "%s; ", link->own.error);
    va_start(arguments, format);
    vsnprintf(words + n, sizeof(words) - n, format, arguments);
    va_end(arguments);
    note(link, words);
    link->status.refusals++;
    link->status.state = TLS_LINK_REFUSED;
    release_attempt(link);
    turn_away(link);
    wait_for_local(link);
}

/* The end of a connection that was open; error is NULL if it ended well. */
static void end(struct tls_link *link, const char *error)
{
    if (error != NULL)
        note(link, error);
    link->status.state = TLS_LINK_IDLE;
    release_attempt(link);
    wait_for_local(link);
}

/* Gives the peer a moment to end its side after ours; arms once. */
static void linger(struct tls_link *link)
{
    if (link->lingers)
        return;
    link->lingers = true;
    sd_event_source_set_time_relative(link->deadline, LINGER_US);
    sd_event_source_set_enabled(link->deadline, SD_EVENT_ONESHOT);
}

/* The local side has ended and its last byte is on its way: say so to the peer. */
static void half_close(struct tls_link *link)
{
    if (!tls_pump_drained(&link->pump) || link->said_goodbye)
        return;
    link->said_goodbye = true;
    tls_session_goodbye(link->session);
    shutdown(link->net, SHUT_WR);
    linger(link);
}

/* The words for a connection that is over. In TLS 1.3 the handshake is done
 * before the peer has seen our certificate: a refusal only shows here. */
static void explain_end(struct tls_link *link)
{
    const char *error = tls_session_error(link->session);
    char words[TLS_ERROR_SIZE];

    if (link->pump.screen.fault != NULL) {
        snprintf(words, sizeof(words), "peer sent what is no MQTT 5: %s",
                 link->pump.screen.fault);
        end(link, words);
        return;
    }

    if (link->pump.bytes_down > 0 || link->pump.deaf) {
        end(link, error[0] != '\0' ? error : NULL);
        return;
    }
    snprintf(words, sizeof(words),
             "peer ended before its first byte; has it refused our "
             "certificate? %s",
             error);
    end(link, words);
}

/* Moves what can be moved, and waits for the next reason to. */
static void pump(struct tls_link *link, enum tls_pump_side ready)
{
    uint32_t local, network;

    if (!tls_pump_run(&link->pump, ready)) {
        explain_end(link);
        return;
    }
    half_close(link);
    tls_pump_events(&link->pump, &local, &network);
    sd_event_source_set_io_events(link->local_source, local);
    sd_event_source_set_io_events(link->net_source, network);
}

/* The local side has written, has room again, or is gone. */
static int local_ready(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct tls_link *link = context;

    (void)fd;
    /* Gone altogether, not only ended. What it wrote is still there and goes up,
     * but epoll would report this for ever. */
    if (events & (EPOLLHUP | EPOLLERR)) {
        link->pump.deaf = true;
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
        linger(link);
    }
    pump(link, TLS_PUMP_LOCAL);
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

/* Every check held: only now is the local side let in. Its first bytes have been
 * waiting in the socket, where nobody has read them. */
static void open_up(struct tls_link *link)
{
    int rc;

    tls_session_describe(link->session, &link->status);
    link->status.handshakes++;
    link->status.error[0] = '\0';
    /* The broker let us in with an expired certificate; the status goes on saying
     * that it has expired. */
    if (link->own.error[0] != '\0')
        snprintf(link->status.error, sizeof(link->status.error), "%s", link->own.error);
    /* It may have given up while we shook hands: then all this was for nothing, and
     * nothing was told. */
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
    sd_event_source_set_priority(link->local_source, LINK_PRIORITY_SEND);
    tls_pump_reset(&link->pump, link->session, link->local, link->config.raw);
    link->status.state = TLS_LINK_OPEN;
    sd_event_source_set_enabled(link->deadline, SD_EVENT_OFF);
    log_info("tls: %s port %u: %s, %s", link->config.host, link->config.port,
             link->status.version, link->status.suite);
    pump(link, TLS_PUMP_BOTH);
}

/* One more turn of the handshake. */
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
        /* What the peer showed of itself stays in the status: an engineer wants to see
         * whose certificate it was. */
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

/* The network side: connected, or not; more of the handshake; or data. */
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
        pump(link, TLS_PUMP_NETWORK);
    return 0;
}

/* Begins to connect; net_ready goes on. */
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
    /* The pump writes whole records; waiting to merge them would only add delay. */
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

/* One timer for both ends of a connection's life: for the handshake as a whole,
 * however slowly the peer keeps it going; and for a peer that doesn't end. */
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

/* May block on a name server: an address or a line in hosts doesn't. */
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
    /* The files are read now, and the clock with them: a certificate that has been
     * replaced since the last attempt counts from this one on. */
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

/* The next local connection begins the next attempt. */
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

/* Makes the socket. A file that is there is a leftover: the folder is ours
 * alone, and one program uses it. */
static int listen_local(struct tls_link *link)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int rc;

    memcpy(address.sun_path, link->config.socket_path, strlen(link->config.socket_path));
    link->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (link->listener < 0)
        return -errno;
    /* Set before bind makes the file: there is no moment at which it is wider. */
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
/* A copy that link owns; NULL stays NULL. Sets *failed when there is no memory. */
static const char *own_text(struct tls_link *link, const char *text, bool *failed)
{
    char *copy = text != NULL ? strdup(text) : NULL;

    *failed = *failed || (text != NULL && copy == NULL);
    link->texts[link->text_count++] = copy;
    return copy;
}

/* Copies what config points to. */
static int copy_config(struct tls_link *link, const struct tls_link_config *config)
{
    struct tls_link_config *into = &link->config;
    bool failed = false;

    *into = *config;
    into->host = own_text(link, config->host, &failed);
    into->ca_file = own_text(link, config->ca_file, &failed);
    into->cert_file = own_text(link, config->cert_file, &failed);
    into->key_file = own_text(link, config->key_file, &failed);
    into->crl_file = own_text(link, config->crl_file, &failed);
    into->socket_path = own_text(link, config->socket_path, &failed);
    return failed ? -ENOMEM : 0;
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
    rc = copy_config(link, config);
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
    /* Of the present connection, which is not yet in the sum. */
    status->bytes_up += link->pump.bytes_up;
    status->bytes_down += link->pump.bytes_down;
}

/* Time that was once known to have passed stays passed. */
void tls_link_floor(struct tls_link *link, int64_t floor_utc_us)
{
    if (floor_utc_us > link->floor_us)
        link->floor_us = floor_utc_us;
}

void tls_link_drop(struct tls_link *link)
{
    if (link->status.state == TLS_LINK_IDLE || link->status.state == TLS_LINK_REFUSED)
        return;
    /* The peer is told that this end is meant; whoever waits for a handshake is
     * told nothing, and comes again. */
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
    if (link->status.state == TLS_LINK_OPEN && tls_pump_up(&link->pump))
        tls_session_goodbye(link->session);
    release_attempt(link);
    link->listener_source = sd_event_source_disable_unref(link->listener_source);
    if (link->listener >= 0)
        unlink(link->config.socket_path);
    close_fd(&link->listener);
    sd_event_unref(link->loop);
    for (size_t i = 0; i < link->text_count; i++)
        free(link->texts[i]);
    free(link);
}
