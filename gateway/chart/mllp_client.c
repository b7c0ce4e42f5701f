/* SPDX-License-Identifier: Apache-2.0
 *
 * The sending side of MLLP: one connection, one message under way. An answer counts only
 * if it names that message; when none comes in time the connection is given up, so that a
 * late answer can never be taken for the next message's.
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

#define ANSWER_MAX         65536
#define ANSWER_DEFAULT_MS  30000
#define CONNECT_DEFAULT_MS 5000
#define BACK_OFF_MIN_MS    500
#define BACK_OFF_MAX_MS    30000

enum state { DOWN, CONNECTING, UP };

struct mllp_client {
    sd_event *event;
    /* timer: next attempt, connection or answer overdue, by state */
    sd_event_source *io, *timer;
    int fd;
    enum state state;
    struct mllp_client_options options;
    struct mllp_client_counts counts;
    struct sockaddr_storage address;
    socklen_t address_size;
    int64_t back_off_ms;
    uint64_t jitter;
    char *out; /* the message under way, framed; NULL = none */
    size_t out_size, out_at;
    char control_id[HL7_CONTROL_ID_MAX + 1]; /* what its answer must name */
    struct mllp_decoder decoder;
    char buffer[ANSWER_MAX];
};

/* There is one timer, since a client waits for one thing at a time. */
static void set_timer(struct mllp_client *client, int64_t ms)
{
    (void)sd_event_source_set_time_relative(client->timer, (uint64_t)(ms * US_PER_MS));
    (void)sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
}

/* While connected and idle nothing is overdue. */
static void stop_timer(struct mllp_client *client)
{
    (void)sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
}

/* splitmix64: enough to keep clients from knocking in step. */
static uint64_t next_jitter(struct mllp_client *client)
{
    uint64_t z = client->jitter += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* --- Up and down --- */

/* The source goes first: epoll must not see the number again under another socket. */
static void close_socket(struct mllp_client *client)
{
    client->io = sd_event_source_disable_unref(client->io);
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->state = DOWN;
}

/* Waits between half and the whole of the present back-off, which then doubles. */
static void retry_later(struct mllp_client *client)
{
    int64_t half = client->back_off_ms / 2;

    set_timer(client, half + (int64_t)(next_jitter(client) % (uint64_t)(half + 1)));
    client->back_off_ms *= 2;
    if (client->back_off_ms > client->options.back_off_max_ms)
        client->back_off_ms = client->options.back_off_max_ms;
}

/* The place is free before the caller hears of it, so that he can send the next from
 * inside. */
static void finish_message(struct mllp_client *client, enum mllp_outcome outcome,
                           const char *answer, size_t n)
{
    free(client->out);
    client->out = NULL;
    client->options.on_outcome(client->options.context, outcome, answer, n);
}

/* Everything that ends a connection comes through here: refused, closed, broken,
 * overdue. */
static void lose_connection(struct mllp_client *client, enum mllp_outcome outcome)
{
    bool was_up = client->state == UP;

    close_socket(client);
    if (!was_up)
        client->counts.failures++;
    retry_later(client);
    if (client->out != NULL) {
        if (outcome == MLLP_TIMEOUT)
            client->counts.timeouts++;
        else
            client->counts.lost++;
        finish_message(client, outcome, "", 0);
    }
    if (was_up)
        client->options.on_down(client->options.context);
}

/* --- Traffic --- */

/* One frame came. Returns true if it answers the message under way. */
static bool is_our_answer(struct mllp_client *client)
{
    struct hl7_answer answer;

    if (client->out != NULL && client->out_at == client->out_size &&
        hl7_answer(client->decoder.buffer, client->decoder.used, &answer) == HL7_OK &&
        strcmp(answer.control_id, client->control_id) == 0)
        return true;
    client->counts.strays++;
    return false;
}

/* An answer frees the way at once; whatever follows it in the same packet is a stray. */
static void take_bytes(struct mllp_client *client, const char *bytes, size_t n)
{
    size_t at = 0, taken;

    while (at < n) {
        enum mllp_step step = mllp_decode(&client->decoder, bytes + at, n - at, &taken);

        at += taken;
        if (step == MLLP_OVERSIZED)
            client->counts.strays++;
        if (step != MLLP_FRAME || !is_our_answer(client))
            continue;
        stop_timer(client);
        client->counts.answered++;
        /* it works: a next loss is a new one */
        client->back_off_ms = client->options.back_off_min_ms;
        finish_message(client, MLLP_ANSWERED, client->decoder.buffer,
                       client->decoder.used);
    }
}

/* Returns false when the connection is gone. */
static bool read_answers(struct mllp_client *client)
{
    char chunk[8192];
    ssize_t n;

    for (;;) {
        n = recv(client->fd, chunk, sizeof(chunk), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        take_bytes(client, chunk, (size_t)n);
    }
}

/* False: the connection is gone. */
static bool write_message(struct mllp_client *client)
{
    ssize_t n;

    while (client->out != NULL && client->out_at < client->out_size) {
        n = send(client->fd, client->out + client->out_at,
                 client->out_size - client->out_at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN;
        client->out_at += (size_t)n;
    }
    return true;
}

/* Always for answers and hang-ups, for room to write only with something to write. */
static void listen_for(struct mllp_client *client)
{
    bool writing = client->out != NULL && client->out_at < client->out_size;

    (void)sd_event_source_set_io_events(client->io,
                                        EPOLLIN | (writing ? (uint32_t)EPOLLOUT : 0));
}

/* While connecting, the first event says whether it worked. */
static int on_io(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct mllp_client *client = context;
    int error = 0, one = 1;
    socklen_t size = sizeof(error);

    (void)source;
    (void)events;
    if (client->state == CONNECTING) {
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) {
            lose_connection(client, MLLP_LOST);
            return 0;
        }
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
        client->state = UP;
        client->counts.connects++;
        stop_timer(client);
        mllp_decoder(&client->decoder, client->buffer, sizeof(client->buffer));
        listen_for(client);
        client->options.on_up(client->options.context);
        return 0;
    }
    if (!write_message(client) || !read_answers(client))
        lose_connection(client, MLLP_LOST);
    else
        listen_for(client);
    return 0;
}

/* Never waits: success and failure come as events. */
static void start_connecting(struct mllp_client *client)
{
    int error = 0;

    client->fd =
        socket(client->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    client->state = CONNECTING;
    if (client->fd < 0)
        error = errno;
    else if (connect(client->fd, (struct sockaddr *)&client->address,
                     client->address_size) < 0 &&
             errno != EINPROGRESS)
        error = errno;
    if (error == 0 && sd_event_add_io(client->event, &client->io, client->fd, EPOLLOUT,
                                      on_io, client) >= 0)
        set_timer(client, client->options.connect_ms);
    else
        lose_connection(client, MLLP_LOST);
}

/* Down: time for the next attempt. Otherwise something did not happen in time. */
static int on_timer(sd_event_source *source, uint64_t usec, void *context)
{
    struct mllp_client *client = context;

    (void)source;
    (void)usec;
    if (client->state == DOWN)
        start_connecting(client);
    else
        lose_connection(client, MLLP_TIMEOUT);
    return 0;
}

/* --- Life --- */

/* Numeric only: a name server that hangs would hang the whole loop. */
static int set_address(struct mllp_client *client, const char *text, uint16_t port)
{
    struct sockaddr_in *four = (struct sockaddr_in *)&client->address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&client->address;

    if (strcmp(text, "localhost") == 0)
        text = "127.0.0.1";
    if (inet_pton(AF_INET, text, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        client->address_size = sizeof(*four);
        return 0;
    }
    if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(port);
        client->address_size = sizeof(*six);
        return 0;
    }
    return -EINVAL;
}

/* 0 is no sensible value of any of them. */
static void set_defaults(struct mllp_client_options *options)
{
    if (options->answer_ms <= 0)
        options->answer_ms = ANSWER_DEFAULT_MS;
    if (options->connect_ms <= 0)
        options->connect_ms = CONNECT_DEFAULT_MS;
    if (options->back_off_min_ms <= 0)
        options->back_off_min_ms = BACK_OFF_MIN_MS;
    if (options->back_off_max_ms <= 0)
        options->back_off_max_ms = BACK_OFF_MAX_MS;
    if (options->back_off_max_ms < options->back_off_min_ms)
        options->back_off_max_ms = options->back_off_min_ms;
}

/* The other side may be down for days; that is no error. */
int mllp_client_new(struct sd_event *event, const struct mllp_client_options *options,
                    struct mllp_client **out)
{
    struct mllp_client *client = calloc(1, sizeof(*client));
    int error;

    if (client == NULL)
        return -ENOMEM;
    client->event = sd_event_ref(event);
    client->fd = -1;
    client->options = *options;
    set_defaults(&client->options);
    client->back_off_ms = client->options.back_off_min_ms;
    client->jitter = options->jitter_seed;
    error = set_address(client, options->address, options->port);
    /* the first attempt is made by the loop, so that no callback comes from here */
    if (error >= 0)
        error = sd_event_add_time_relative(event, &client->timer, CLOCK_MONOTONIC, 0, 0,
                                           on_timer, client);
    if (error < 0) {
        mllp_client_free(client);
        return error;
    }
    *out = client;
    return 0;
}

/* Nobody is told: whoever frees knows. */
void mllp_client_free(struct mllp_client *client)
{
    if (client == NULL)
        return;
    close_socket(client);
    sd_event_source_disable_unref(client->timer);
    sd_event_unref(client->event);
    free(client->out);
    free(client);
}

/* True between on_up and on_down. */
bool mllp_client_up(const struct mllp_client *client)
{
    return client->state == UP;
}

/* True when a send would be taken. */
bool mllp_client_idle(const struct mllp_client *client)
{
    return client->state == UP && client->out == NULL;
}

/* Only takes the message; the loop writes it, so that no callback comes from inside. */
int mllp_client_send(struct mllp_client *client, const char *bytes, size_t n)
{
    struct hl7_text id = hl7_control_id(bytes, n);

    if (client->state != UP)
        return -ENOTCONN;
    if (client->out != NULL)
        return -EBUSY;
    if (id.n == 0)
        return -EINVAL;
    client->out = malloc(n + MLLP_OVERHEAD);
    if (client->out == NULL)
        return -ENOMEM;
    client->out_size = mllp_encode(bytes, n, client->out, n + MLLP_OVERHEAD);
    if (client->out_size == 0) {
        free(client->out);
        client->out = NULL;
        return -EINVAL;
    }
    memcpy(client->control_id, id.at, id.n);
    client->control_id[id.n] = '\0';
    client->out_at = 0;
    client->counts.sent++;
    listen_for(client);
    set_timer(client, client->options.answer_ms);
    return 0;
}

/* A copy; it does not change under its reader. */
void mllp_client_counts(const struct mllp_client *client,
                        struct mllp_client_counts *counts)
{
    *counts = client->counts;
}
