/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening side of MLLP. A peer is read until one message is whole, then not at all
 * until that message is answered: the socket's own buffers hold the sender back, so that
 * no queue grows here.
 */
#include "chart/mllp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "chart/hl7.h"

#define CHUNK_SIZE      16384
#define BACKLOG         16
#define IDLE_DEFAULT_MS 30000

struct peer {
    struct mllp_server *server;
    uint64_t id;
    int fd;
    sd_event_source *io, *timer, *again;
    struct mllp_decoder decoder;
    char *buffer;
    char chunk[CHUNK_SIZE]; /* bytes read and not decoded yet: chunk[at..end) */
    size_t at, end;
    char *out; /* the answer being written */
    size_t out_size, out_at;
    bool waiting; /* a message is with the caller */
    /* peer_work is on the stack: replies must not enter it again */
    bool working;
};

struct mllp_server {
    sd_event *event;
    sd_event_source *listener;
    int fd;
    uint16_t port;
    struct mllp_server_options options;
    struct mllp_server_counts counts;
    uint64_t next_id;
    struct peer *peers[MLLP_PEERS_MAX];
};

static void peer_work(struct peer *peer);

/* --- Peers --- */

/* A decoder's counts die with its peer, so they are added up first. */
static void add_counts(struct mllp_server_counts *counts,
                       const struct mllp_decoder *decoder)
{
    counts->garbage += decoder->garbage;
    counts->doubled += decoder->doubled;
    counts->truncated += decoder->truncated;
    counts->oversized += decoder->oversized;
}

/* Nothing of a peer may be used after this; every way in ends with it or with
 * peer_listen. */
static void peer_close(struct peer *peer)
{
    struct mllp_server *server = peer->server;
    size_t i;

    for (i = 0; i < MLLP_PEERS_MAX; i++)
        if (server->peers[i] == peer)
            server->peers[i] = NULL;
    add_counts(&server->counts, &peer->decoder);
    server->counts.peers--;
    server->counts.closed++;
    sd_event_source_disable_unref(peer->io);
    sd_event_source_disable_unref(peer->timer);
    sd_event_source_disable_unref(peer->again);
    if (peer->fd >= 0)
        close(peer->fd);
    free(peer->buffer);
    free(peer->out);
    free(peer);
}

/* Tells the loop what this peer waits for. Nothing, while the caller has its message; a
 * hang-up is heard all the same. */
static void peer_listen(struct peer *peer)
{
    uint32_t events = peer->out != NULL ? EPOLLOUT : peer->waiting ? 0 : EPOLLIN;

    (void)sd_event_source_set_io_events(peer->io, events);
    if (peer->decoder.inside && !peer->waiting && peer->out == NULL) {
        (void)sd_event_source_set_time_relative(peer->timer,
                                                (uint64_t)(peer->server->options.idle_ms *
                                                           US_PER_MS));
        (void)sd_event_source_set_enabled(peer->timer, SD_EVENT_ONESHOT);
    } else {
        (void)sd_event_source_set_enabled(peer->timer, SD_EVENT_OFF);
    }
}

/* Writes what it can of the answer. Returns 0, or -errno when the peer is gone. */
static int peer_write(struct peer *peer)
{
    ssize_t n;

    while (peer->out != NULL) {
        n = send(peer->fd, peer->out + peer->out_at, peer->out_size - peer->out_at,
                 MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        peer->out_at += (size_t)n;
        if (peer->out_at == peer->out_size) {
            free(peer->out);
            peer->out = NULL;
            peer->server->counts.replies++;
        }
    }
    return 0;
}

/* Decodes what was read, handing out messages one after the other as long as the caller
 * answers at once. Returns false when the peer must go. */
static bool peer_decode(struct peer *peer)
{
    while (peer->at < peer->end && !peer->waiting && peer->out == NULL) {
        size_t taken;
        enum mllp_step step = mllp_decode(&peer->decoder, peer->chunk + peer->at,
                                          peer->end - peer->at, &taken);

        peer->at += taken;
        if (step == MLLP_OVERSIZED)
            return false;
        if (step != MLLP_FRAME)
            continue;
        peer->waiting = true;
        peer->server->counts.messages++;
        peer->server->options.on_message(peer->server->options.context, peer->id,
                                         peer->decoder.buffer, peer->decoder.used);
        if (peer_write(peer) < 0)
            return false;
    }
    return true;
}

/* Writes, decodes and reads until one of them has to wait. Entered from the loop only. */
static void peer_work(struct peer *peer)
{
    bool alive = true;
    ssize_t n;

    peer->working = true;
    if (peer_write(peer) < 0 || !peer_decode(peer))
        alive = false;
    while (alive && !peer->waiting && peer->out == NULL) {
        n = recv(peer->fd, peer->chunk, sizeof(peer->chunk), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0) { /* closed by the other side, or broken */
            alive = false;
            break;
        }
        peer->at = 0;
        peer->end = (size_t)n;
        alive = peer_decode(peer);
    }
    peer->working = false;
    if (alive)
        peer_listen(peer);
    else
        peer_close(peer);
}

/* A hang-up is final: whatever was under way will be sent again on another connection. */
static int on_peer_io(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct peer *peer = context;

    (void)source;
    (void)fd;
    if (events & (EPOLLHUP | EPOLLERR))
        peer_close(peer);
    else
        peer_work(peer);
    return 0;
}

/* An answer was given outside of the loop's turn for this peer: go on where it
 * stopped. */
static int on_peer_again(sd_event_source *source, void *context)
{
    (void)source;
    peer_work(context);
    return 0;
}

/* A frame that has begun and stays unfinished holds memory for nothing. */
static int on_peer_idle(sd_event_source *source, uint64_t usec, void *context)
{
    struct peer *peer = context;

    (void)source;
    (void)usec;
    peer->server->counts.idle++;
    peer_close(peer);
    return 0;
}

/* Timer and deferral are made once and switched on and off: no allocation while
 * messages flow. */
static int peer_sources(struct peer *peer)
{
    sd_event *event = peer->server->event;
    int error;

    error = sd_event_add_io(event, &peer->io, peer->fd, EPOLLIN, on_peer_io, peer);
    if (error >= 0)
        error = sd_event_add_time_relative(event, &peer->timer, CLOCK_MONOTONIC, 0, 0,
                                           on_peer_idle, peer);
    if (error >= 0)
        error = sd_event_source_set_enabled(peer->timer, SD_EVENT_OFF);
    if (error >= 0)
        error = sd_event_add_defer(event, &peer->again, on_peer_again, peer);
    if (error >= 0)
        error = sd_event_source_set_enabled(peer->again, SD_EVENT_OFF);
    return error;
}

/* Takes fd over, also on failure. */
static void peer_open(struct mllp_server *server, int fd)
{
    struct peer *peer = NULL;
    int one = 1;
    size_t slot;

    for (slot = 0; slot < server->options.peers_max && server->peers[slot] != NULL;
         slot++)
        ;
    if (slot < server->options.peers_max)
        peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        server->counts.refused_peers++;
        close(fd);
        return;
    }
    peer->server = server;
    peer->id = server->next_id++;
    peer->fd = fd;
    peer->buffer = malloc(server->options.message_max);
    mllp_decoder(&peer->decoder, peer->buffer, server->options.message_max);
    server->peers[slot] = peer;
    server->counts.peers++;
    server->counts.accepted++;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (peer->buffer == NULL || peer_sources(peer) < 0)
        peer_close(peer);
}

/* --- The listener --- */

/* One at a time; the loop comes back for the next. A failed accept (the peer left) is
 * nothing. */
static int on_accept(sd_event_source *source, int fd, uint32_t events, void *context)
{
    int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)source;
    (void)events;
    if (peer >= 0)
        peer_open(context, peer);
    return 0;
}

/* Numeric only: what is listened on is a decision, not a look-up. */
static int make_address(const char *text, uint16_t port, struct sockaddr_storage *address,
                        socklen_t *size)
{
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;

    memset(address, 0, sizeof(*address));
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        *size = sizeof(*four);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        *size = sizeof(*six);
        return 0;
    }
    return -EINVAL;
}

/* Only the configured address: a chart server has more networks than the one that the
 * PAS is on. */
static int listen_on(struct mllp_server *server)
{
    struct sockaddr_storage address;
    socklen_t size = 0;
    int one = 1, error = make_address(server->options.address, server->options.port,
                                      &address, &size);

    if (error < 0)
        return error;
    server->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0)
        return -errno;
    (void)setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(server->fd, (struct sockaddr *)&address, size) < 0 ||
        listen(server->fd, BACKLOG) < 0)
        return -errno;
    size = sizeof(address);
    if (getsockname(server->fd, (struct sockaddr *)&address, &size) < 0)
        return -errno;
    server->port = ntohs(address.ss_family == AF_INET
                             ? ((struct sockaddr_in *)&address)->sin_port
                             : ((struct sockaddr_in6 *)&address)->sin6_port);
    return sd_event_add_io(server->event, &server->listener, server->fd, EPOLLIN,
                           on_accept, server);
}

/* Everything that can go wrong goes wrong here, at start. */
int mllp_server_new(struct sd_event *event, const struct mllp_server_options *options,
                    struct mllp_server **out)
{
    struct mllp_server *server = calloc(1, sizeof(*server));
    int error;

    if (server == NULL)
        return -ENOMEM;
    server->event = sd_event_ref(event);
    server->fd = -1;
    server->next_id = 1;
    server->options = *options;
    if (server->options.message_max == 0)
        server->options.message_max = HL7_MESSAGE_MAX;
    if (server->options.peers_max == 0 || server->options.peers_max > MLLP_PEERS_MAX)
        server->options.peers_max = MLLP_PEERS_MAX;
    if (server->options.idle_ms <= 0)
        server->options.idle_ms = IDLE_DEFAULT_MS;
    error = listen_on(server);
    if (error < 0) {
        mllp_server_free(server);
        return error;
    }
    *out = server;
    return 0;
}

/* Peers waiting for an answer will send again elsewhere or later. */
void mllp_server_free(struct mllp_server *server)
{
    size_t i;

    if (server == NULL)
        return;
    for (i = 0; i < MLLP_PEERS_MAX; i++)
        if (server->peers[i] != NULL)
            peer_close(server->peers[i]);
    sd_event_source_disable_unref(server->listener);
    if (server->fd >= 0)
        close(server->fd);
    sd_event_unref(server->event);
    free(server);
}

/* For tests, which let the kernel choose. */
uint16_t mllp_server_port(const struct mllp_server *server)
{
    return server->port;
}

/* By peer number, not by pointer: the peer may be gone by the time the log is on disk. */
int mllp_server_reply(struct mllp_server *server, uint64_t id, const char *bytes,
                      size_t n)
{
    struct peer *peer = NULL;
    size_t i;

    for (i = 0; i < MLLP_PEERS_MAX; i++)
        if (server->peers[i] != NULL && server->peers[i]->id == id)
            peer = server->peers[i];
    if (peer == NULL) {
        server->counts.replies_lost++;
        return -ENOTCONN;
    }
    if (!peer->waiting)
        return -EINVAL;
    if (n > 0) {
        peer->out = malloc(n + MLLP_OVERHEAD);
        if (peer->out == NULL)
            return -ENOMEM;
        peer->out_at = 0;
        peer->out_size = mllp_encode(bytes, n, peer->out, n + MLLP_OVERHEAD);
        if (peer->out_size == 0) {
            free(peer->out);
            peer->out = NULL;
            return -EINVAL;
        }
    }
    peer->waiting = false;
    /* written from the loop, so that no caller finds its peer gone under its feet */
    if (!peer->working)
        (void)sd_event_source_set_enabled(peer->again, SD_EVENT_ONESHOT);
    return 0;
}

/* Peers that are connected now are added to those that have gone. */
void mllp_server_counts(const struct mllp_server *server,
                        struct mllp_server_counts *counts)
{
    size_t i;

    *counts = server->counts;
    for (i = 0; i < MLLP_PEERS_MAX; i++)
        if (server->peers[i] != NULL)
            add_counts(counts, &server->peers[i]->decoder);
}
