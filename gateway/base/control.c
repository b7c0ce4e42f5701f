/* SPDX-License-Identifier: Apache-2.0
 *
 * The daemons' side of the control socket, on their own loop: never blocks, bounded in
 * clients, requests and answers.
 */
#include "base/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#define PEERS_MAX  8
#define ANSWER_MAX ((size_t)4 << 20) /* bytes waiting for one client */
#define IDLE_US                                                                          \
    (30 * US_PER_S) /* a client that neither sends nor reads for so long is dropped */
#define READ_SIZE 4096

/* Invariants:
 *  1. fd >= 0 exactly while the slot is in use; event belongs to fd.
 *  2. in[0..in_size) holds no complete line while out is empty: a line is run when it is
 * complete, and no further one is run until its answer is written (a client that does not
 * read holds up only itself).
 *  3. out[out_at..out_size) is what the socket has not taken yet. */
struct control_peer {
    struct control_server *server;
    sd_event_source *event;
    int fd;
    char *in; /* CONTROL_LINE_MAX + 1 bytes */
    size_t in_size;
    char *out;
    size_t out_at, out_size, out_capacity;
    bool overflowed;  /* an answer did not fit: said so, then closed */
    bool input_ended; /* the client has shut down its side: close when answered */
    uint64_t progress_us;
    void (*closed)(void *context);
    void *closed_context;
};

struct control_server {
    int fd;
    struct sockaddr_un address;
    sd_event *loop; /* borrowed reference held with sd_event_ref */
    sd_event_source *event;
    const struct control_verb *verbs;
    void *context;
    struct control_peer peers[PEERS_MAX];
};

/* Ends one client in whatever state it is and frees its slot. */
static void peer_drop(struct control_peer *peer)
{
    void (*closed)(void *) = peer->closed;
    void *context = peer->closed_context;

    sd_event_source_disable_unref(peer->event);
    (void)close(peer->fd);
    free(peer->in);
    free(peer->out);
    memset(peer, 0, sizeof(*peer));
    peer->fd = -1;
    if (closed != NULL)
        closed(context);
}

/* Whoever holds something on behalf of a client learns of its end. */
void control_on_close(struct control_peer *peer, void (*closed)(void *context),
                      void *context)
{
    peer->closed = closed;
    peer->closed_context = context;
}

/* --- Answers --- */

/* Makes room for n bytes more. False when memory is short: the answer is then cut by
 * an apology. */
static bool out_reserve(struct control_peer *peer, size_t n)
{
    size_t capacity = peer->out_capacity == 0 ? READ_SIZE : peer->out_capacity;
    char *grown;

    while (capacity < peer->out_size + n)
        capacity *= 2;
    if (capacity == peer->out_capacity)
        return true;
    if ((grown = realloc(peer->out, capacity)) == NULL)
        return false;
    peer->out = grown;
    peer->out_capacity = capacity;
    return true;
}

/* Takes over object in every case. Once an answer did not fit, the rest of it is
 * dropped: half an answer that looks whole would be worse. */
void control_send(struct control_peer *peer, json_t *object)
{
    char *text =
        object == NULL || peer->overflowed ? NULL : json_dumps(object, JSON_COMPACT);
    size_t n = text == NULL ? 0 : strlen(text);

    json_decref(object);
    if (peer->overflowed)
        return;
    if (text == NULL || peer->out_size + n >= ANSWER_MAX || !out_reserve(peer, n + 1)) {
        static const char sorry[] =
            "{\"ok\":false,\"error\":\"answer too large: ask for less\",\"end\":true}\n";
        peer->overflowed = true;
        free(text);
        if (!out_reserve(peer, sizeof(sorry) - 1))
            return;
        memcpy(peer->out + peer->out_size, sorry, sizeof(sorry) - 1);
        peer->out_size += sizeof(sorry) - 1;
        return;
    }
    memcpy(peer->out + peer->out_size, text, n);
    peer->out[peer->out_size + n] = '\n';
    peer->out_size += n + 1;
    free(text);
}

/* The text is for the person who asked; a byte that is not UTF-8 in it must not cost
 * the whole answer. */
void control_fail(struct control_peer *peer, const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    control_send(peer,
                 json_pack("{s:b, s:s+, s:b}", "ok", 0, "error", text, "", "end", 1));
}

/* --- Requests --- */

/* Finds the verb and runs it. Duplicate keys are refused: two readers might take
 * different ones. */
static void peer_run(struct control_peer *peer, const char *line, size_t n)
{
    const struct control_verb *verb = peer->server->verbs;
    json_error_t why;
    json_t *request = json_loadb(line, n, JSON_REJECT_DUPLICATES, &why);
    const char *name = json_string_value(json_object_get(request, "do"));

    if (request == NULL)
        control_fail(peer, "not JSON: %s", why.text);
    else if (name == NULL)
        control_fail(peer, "expected an object with \"do\"");
    else {
        while (verb->name != NULL && strcmp(verb->name, name) != 0)
            verb++;
        if (verb->name == NULL)
            control_fail(peer, "unknown request");
        else
            verb->run(peer->server->context, request, peer);
    }
    json_decref(request);
}

/* Runs the first complete line, if there is one. A line without an end may still be
 * complete when the client has shut down its side. Returns whether one was run. */
static bool peer_run_next(struct control_peer *peer)
{
    char *end = memchr(peer->in, '\n', peer->in_size);
    size_t n;

    if (end == NULL && !(peer->input_ended && peer->in_size > 0))
        return false;
    n = end == NULL ? peer->in_size : (size_t)(end - peer->in) + 1;
    peer_run(peer, peer->in, end == NULL ? n : n - 1);
    peer->in_size -= n;
    memmove(peer->in, peer->in + n, peer->in_size);
    return true;
}

/* Returns false if the connection is broken. */
static bool peer_read(struct control_peer *peer)
{
    ssize_t n;

    if (peer->in_size == CONTROL_LINE_MAX) /* full of requests that wait their turn */
        return true;
    n = recv(peer->fd, peer->in + peer->in_size, CONTROL_LINE_MAX - peer->in_size, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        peer->input_ended = true;
    peer->in_size += (size_t)n;
    peer->progress_us = clock_monotonic_us();
    if (peer->in_size == CONTROL_LINE_MAX &&
        memchr(peer->in, '\n', peer->in_size) == NULL) {
        control_fail(peer, "request longer than %d bytes", CONTROL_LINE_MAX);
        peer->overflowed = true;
    }
    return true;
}

/* Writes what the socket takes now. Returns false if the connection is broken. */
static bool peer_write(struct control_peer *peer)
{
    while (peer->out_at < peer->out_size) {
        ssize_t n = send(peer->fd, peer->out + peer->out_at,
                         peer->out_size - peer->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        peer->out_at += (size_t)n;
        peer->progress_us = clock_monotonic_us();
    }
    /* A large answer's room is given back: memory must stay flat. */
    if (peer->out_capacity > READ_SIZE) {
        free(peer->out);
        peer->out = NULL;
        peer->out_capacity = 0;
    }
    peer->out_at = peer->out_size = 0;
    return true;
}

/* True if a request waits in the buffer that needs nothing more from the client. */
static bool peer_has_more(const struct control_peer *peer)
{
    return peer->in_size > 0 &&
           (peer->input_ended || memchr(peer->in, '\n', peer->in_size) != NULL);
}

/* One step for one client: reads, runs one request, writes what the socket takes. One
 * request a step, so that a client that sends thousands at once shares the loop with the
 * daemon's real work. */
static int on_peer(sd_event_source *event, int fd, uint32_t events, void *context)
{
    struct control_peer *peer = context;
    bool waiting, more;

    (void)fd;
    if ((events & EPOLLERR) != 0)
        goto drop;
    if (peer->out_size == 0 && (events & (EPOLLIN | EPOLLHUP)) != 0 &&
        !peer->input_ended && !peer_read(peer))
        goto drop;
    if (peer->out_size > 0 && !peer_write(peer))
        goto drop;
    if (peer->out_size == 0 && !peer->overflowed && peer_run_next(peer) &&
        !peer_write(peer))
        goto drop;

    waiting = peer->out_size > 0;
    more = !waiting && !peer->overflowed && peer_has_more(peer);
    if (!waiting && !more && (peer->overflowed || peer->input_ended))
        goto drop;
    /* A socket that can be written to wakes us at once: that is how the next buffered
     * request gets its turn. */
    (void)sd_event_source_set_io_events(event, waiting || more ? EPOLLOUT : EPOLLIN);
    return 0;

drop:
    peer_drop(peer);
    return 0;
}

/* --- Connections --- */

/* Frees slots of clients that have made no progress. Run when one connects: that is when
 * it matters. */
static struct control_peer *peer_free_slot(struct control_server *server)
{
    uint64_t now = clock_monotonic_us();
    struct control_peer *found = NULL;

    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct control_peer *peer = &server->peers[i];
        if (peer->fd >= 0 && peer->closed == NULL &&
            now - peer->progress_us > (uint64_t)IDLE_US)
            peer_drop(peer);
        if (peer->fd < 0 && found == NULL)
            found = peer;
    }
    return found;
}

/* A client too many is told so rather than left to wait. */
static int on_connect(sd_event_source *event, int listening, uint32_t events,
                      void *context)
{
    static const char busy[] =
        "{\"ok\":false,\"error\":\"too many clients\",\"end\":true}\n";
    struct control_server *server = context;
    struct control_peer *peer;
    int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)event;
    (void)events;
    if (fd < 0)
        return 0;
    if ((peer = peer_free_slot(server)) == NULL) {
        (void)send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)close(fd);
        return 0;
    }
    if ((peer->in = malloc(CONTROL_LINE_MAX + 1)) == NULL) {
        (void)close(fd);
        return 0;
    }
    peer->fd = fd;
    peer->server = server;
    peer->progress_us = clock_monotonic_us();
    if (sd_event_add_io(server->loop, &peer->event, fd, EPOLLIN, on_peer, peer) < 0)
        peer_drop(peer);
    return 0;
}

/* Someone answers there: another daemon runs. Otherwise the file is left over from a
 * crash. */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    int error = 0, fd;

    if (lstat(address->sun_path, &st) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST; /* never delete what is not ours */

    if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
        errno == EAGAIN)
        error = -EADDRINUSE;
    else if (errno != ECONNREFUSED)
        error = -errno;
    (void)close(fd);
    if (error == 0 && unlink(address->sun_path) != 0)
        error = -errno;
    return error;
}

/* The folder must exist and be the daemon's own: a socket's mode does not protect its
 * name. */
int control_open(sd_event *loop, const char *path, const struct control_verb *verbs,
                 void *context, struct control_server **out)
{
    struct control_server *server;
    int error;

    if (strlen(path) >= sizeof(server->address.sun_path))
        return -ENAMETOOLONG;
    if ((server = calloc(1, sizeof(*server))) == NULL)
        return -ENOMEM;
    server->verbs = verbs;
    server->context = context;
    for (size_t i = 0; i < PEERS_MAX; i++)
        server->peers[i].fd = -1;
    server->address.sun_family = AF_UNIX;
    memcpy(server->address.sun_path, path, strlen(path) + 1);

    if ((error = remove_stale(&server->address)) != 0)
        goto err0;
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->fd < 0) {
        error = -errno;
        goto err0;
    }
    /* The mode set before bind is the one that the file is made with: no moment in which
     * others may connect, and no process-wide umask. */
    if (fchmod(server->fd, S_IRUSR | S_IWUSR) != 0 ||
        bind(server->fd, (struct sockaddr *)&server->address, sizeof(server->address)) !=
            0) {
        error = -errno;
        goto err1;
    }
    if (listen(server->fd, PEERS_MAX) != 0) {
        error = -errno;
        goto err2;
    }
    error =
        sd_event_add_io(loop, &server->event, server->fd, EPOLLIN, on_connect, server);
    if (error < 0)
        goto err2;
    server->loop = sd_event_ref(loop);
    *out = server;
    return 0;

err2:
    (void)unlink(path);
err1:
    (void)close(server->fd);
err0:
    free(server);
    return error;
}

/* Answers under way are lost: the daemon is ending. */
void control_close(struct control_server *server)
{
    if (server == NULL)
        return;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (server->peers[i].fd >= 0)
            peer_drop(&server->peers[i]);
    sd_event_source_disable_unref(server->event);
    (void)unlink(server->address.sun_path);
    (void)close(server->fd);
    sd_event_unref(server->loop);
    free(server);
}
