/* SPDX-License-Identifier: Apache-2.0
 *
 * libcurl's multi interface on sd-event: curl says which sockets and which time to watch,
 * the loop says when. Transfers end in collect(), outside of curl's own calls, so that
 * whoever hears of it may send the next from inside.
 */
#include "chart/fhir_client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-event.h>

#include "base/clock.h"
#include "base/log.h"

#define AGENT           "wardgate/" WARDGATE_VERSION
#define CONNECT_MS      10000L
#define BACK_OFF_MIN_MS 500
#define BACK_OFF_MAX_MS 30000
#define RETRY_AFTER_MAX_S                                                                \
    3600                        /* a server that wants more is asked again all the same  \
                                 */
#define CONNECTION_LIFE_S 3600L /* new certificates are in use after so long */
#define HEADERS_MAX       65536 /* bytes of an answer's head */
#define REASON_SIZE       (CURL_ERROR_SIZE + 32)

enum state { DOWN, PROBING, UP };

struct transfer {
    struct fhir_client *client;
    CURL *easy; /* NULL = free */
    char control[FHIR_CONTROL_SIZE];
    char *bundle; /* what is sent; a probe has none */
    size_t entries;
    char *answer;
    size_t answer_size, answer_room, head_size;
    char error[CURL_ERROR_SIZE];
};

struct fhir_client {
    sd_event *event;
    sd_event_source *curl_timer; /* curl's own */
    sd_event_source *wake;       /* the next probe */
    bool global;                 /* curl counts its users */
    CURLM *multi;
    struct curl_slist *headers;
    struct fhir_client_options options;
    struct fhir_client_counts counts;
    enum state state;
    int64_t back_off_ms;
    char reason[REASON_SIZE]; /* why it went down, as it was logged */
    struct transfer probe;
    struct transfer transfers[FHIR_PARALLEL_MAX];
};

static void collect(struct fhir_client *client);

/* --- curl's wishes, the loop's events --- */

/* action names what happened to the socket; CURL_SOCKET_TIMEOUT: only time has passed. */
static void drive(struct fhir_client *client, curl_socket_t fd, int action)
{
    int running;
    (void)curl_multi_socket_action(client->multi, fd, action, &running);
    collect(client);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *context)
{
    int action = (events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                 (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                 (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
    (void)source;
    drive(context, fd, action);
    return 0;
}

static int on_curl_timer(sd_event_source *source, uint64_t due_us, void *context)
{
    (void)source, (void)due_us;
    drive(context, CURL_SOCKET_TIMEOUT, 0);
    return 0;
}

/* Sources belong to sockets by curl_multi_assign. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *known)
{
    struct fhir_client *client = context;
    sd_event_source *source = known;
    uint32_t events = (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
                      (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        sd_event_source_disable_unref(source);
        (void)curl_multi_assign(client->multi, fd, NULL);
        return 0;
    }
    if (source)
        return sd_event_source_set_io_events(source, events) < 0 ? -1 : 0;
    if (sd_event_add_io(client->event, &source, fd, events, on_io, client) < 0)
        return -1;
    (void)curl_multi_assign(client->multi, fd, source);
    return 0;
}

static int on_timeout(CURLM *multi, long wait_ms, void *context)
{
    struct fhir_client *client = context;
    (void)multi;
    if (wait_ms < 0)
        return sd_event_source_set_enabled(client->curl_timer, SD_EVENT_OFF) < 0 ? -1 : 0;
    if (sd_event_source_set_time_relative(client->curl_timer,
                                          (uint64_t)wait_ms * US_PER_MS) < 0)
        return -1;
    return sd_event_source_set_enabled(client->curl_timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

/* --- Transfers --- */

/* An answer without end is none: curl gives the transfer up when less is taken. */
static size_t on_body(char *bytes, size_t one, size_t n, void *context)
{
    struct transfer *t = context;
    (void)one; /* always 1 */
    if (n > FHIR_ANSWER_MAX - t->answer_size)
        return 0;
    if (t->answer_size + n > t->answer_room) {
        size_t room = 2 * (t->answer_size + n);
        char *more = realloc(t->answer, room);
        if (!more)
            return 0;
        t->answer = more;
        t->answer_room = room;
    }
    memcpy(t->answer + t->answer_size, bytes, n);
    t->answer_size += n;
    return n;
}

static size_t on_head(char *bytes, size_t one, size_t n, void *context)
{
    struct transfer *t = context;
    (void)bytes, (void)one;
    t->head_size += n;
    return t->head_size > HEADERS_MAX ? 0 : n;
}

static void transfer_end(struct transfer *t)
{
    if (t->easy) {
        (void)curl_multi_remove_handle(t->client->multi, t->easy);
        curl_easy_cleanup(t->easy);
    }
    free(t->bundle);
    free(t->answer);
    *t = (struct transfer){.client = t->client};
}

/* Everything that says whom we trust and who we are. The system's CAs are not asked: they
 * vouch for the whole world. */
static bool set_trust(CURL *easy, const struct fhir_client_options *o)
{
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAINFO, o->ca) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CAPATH, NULL) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLCERT, o->certificate) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLKEY, o->key) == CURLE_OK &&
           /* a key with a passphrase must fail, not ask on a terminal */
           curl_easy_setopt(easy, CURLOPT_KEYPASSWD, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
}

static bool set_common(struct transfer *t)
{
    const struct fhir_client_options *o = &t->client->options;
    return set_trust(t->easy, o) &&
           curl_easy_setopt(t->easy, CURLOPT_URL, o->url) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_USERAGENT, AGENT) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_TIMEOUT_MS, (long)o->answer_ms) ==
               CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_MAXLIFETIME_CONN, CONNECTION_LIFE_S) ==
               CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) ==
               CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, t->error) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_head) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t) == CURLE_OK;
}

/* A probe only shakes hands; a message is what its Bundle says. */
static bool set_request(struct transfer *t, size_t n)
{
    if (!t->bundle)
        return curl_easy_setopt(t->easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK;
    return curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->client->headers) ==
               CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n) ==
               CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->bundle) == CURLE_OK;
}

/* False: nothing was begun. */
static bool transfer_begin(struct transfer *t, size_t n)
{
    if ((t->easy = curl_easy_init()) != NULL && set_common(t) && set_request(t, n) &&
        curl_multi_add_handle(t->client->multi, t->easy) == CURLM_OK)
        return true;
    curl_easy_cleanup(t->easy); /* never added */
    t->easy = NULL;
    transfer_end(t);
    return false;
}

/* --- Up and down --- */

static void wake_in(struct fhir_client *client, int64_t ms)
{
    (void)sd_event_source_set_time_relative(client->wake, (uint64_t)(ms * US_PER_MS));
    (void)sd_event_source_set_enabled(client->wake, SD_EVENT_ONESHOT);
}

/* The same trouble is told once, however often it is met. */
static void tell(struct fhir_client *client, const char *reason)
{
    if (strcmp(client->reason, reason) != 0)
        log_warning("destination %s: %s", client->options.name, reason);
    snprintf(client->reason, sizeof client->reason, "%s", reason);
}

/* Waits for at least so long, then knocks. Nobody is told. */
static void fall(struct fhir_client *client, int64_t wait_ms)
{
    client->state = DOWN;
    for (size_t i = 0; i < client->options.parallel; i++)
        transfer_end(&client->transfers[i]);
    transfer_end(&client->probe);
    wake_in(client, wait_ms > client->back_off_ms ? wait_ms : client->back_off_ms);
    client->back_off_ms *= 2;
    if (client->back_off_ms > client->options.back_off_max_ms)
        client->back_off_ms = client->options.back_off_max_ms;
}

static void go_down(struct fhir_client *client, int64_t wait_ms, const char *reason)
{
    bool was_up = client->state == UP;
    tell(client, reason);
    fall(client, wait_ms);
    if (was_up)
        client->options.on_down(client->options.context);
}

static int on_wake(sd_event_source *source, uint64_t due_us, void *context)
{
    struct fhir_client *client = context;
    (void)source, (void)due_us;
    client->state = PROBING;
    client->counts.probes++;
    if (!transfer_begin(&client->probe, 0))
        go_down(client, 0, "can't be connected: out of memory");
    return 0;
}

static void finish_probe(struct fhir_client *client, CURLcode code)
{
    char reason[REASON_SIZE];
    snprintf(reason, sizeof reason, "%s",
             client->probe.error[0] ? client->probe.error : curl_easy_strerror(code));
    transfer_end(&client->probe);
    if (code != CURLE_OK) {
        go_down(client, 0, reason);
        return;
    }
    client->state = UP;
    client->options.on_up(client->options.context);
}

/* --- Outcomes --- */

/* What became of it, before the answer is looked at: time that ran out and an answer that
 * is no HTTP are this message's, a connection that breaks is the server's. */
static enum fhir_answer outcome_of(const struct transfer *t, CURLcode code, long status)
{
    curl_off_t connected_us = 0;
    switch (code) {
    case CURLE_OK:
        return fhir_answer(status, t->answer ? t->answer : "", t->answer_size,
                           t->entries);
    case CURLE_OPERATION_TIMEDOUT:
        (void)curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
        return connected_us > 0 ? FHIR_UNANSWERED : FHIR_LOST;
    case CURLE_WRITE_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: no status line */
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_PARTIAL_FILE:
        return FHIR_UNANSWERED;
    default:
        return FHIR_LOST;
    }
}

static void count(struct fhir_client *client, enum fhir_answer outcome)
{
    uint64_t *counts[] = {[FHIR_TAKEN] = &client->counts.taken,
                          [FHIR_REFUSED] = &client->counts.refused,
                          [FHIR_FAILED] = &client->counts.failed,
                          [FHIR_UNANSWERED] = &client->counts.unanswered,
                          [FHIR_LOST] = &client->counts.lost};
    ++*counts[outcome];
}

/* Why, for the log: a number or curl's own words, none of which are the server's text,
 * which may name the patient. */
static void explain(const struct transfer *t, CURLcode code, long status,
                    char reason[REASON_SIZE])
{
    if (code == CURLE_OK)
        snprintf(reason, REASON_SIZE, "HTTP status %ld", status);
    else
        snprintf(reason, REASON_SIZE, "%s",
                 t->error[0] ? t->error : curl_easy_strerror(code));
}

static void finish(struct fhir_client *client, struct transfer *t, CURLcode code)
{
    char control[FHIR_CONTROL_SIZE], reason[REASON_SIZE];
    long status = 0;
    curl_off_t wait_s = 0;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &wait_s);
    enum fhir_answer outcome = outcome_of(t, code, status);
    explain(t, code, status, reason);
    memcpy(control, t->control, sizeof control);
    transfer_end(t);
    count(client, outcome);
    if (outcome == FHIR_TAKEN) {
        client->back_off_ms = client->options.back_off_min_ms;
        client->reason[0] = '\0';
    } else if (outcome != FHIR_LOST) {
        log_warning("destination %s: message %s: %s%s", client->options.name, control,
                    reason, outcome == FHIR_UNANSWERED ? ", which is no answer" : "");
    }
    client->options.on_outcome(client->options.context, outcome, control);
    if (outcome == FHIR_LOST && client->state == UP)
        go_down(client, (wait_s > RETRY_AFTER_MAX_S ? RETRY_AFTER_MAX_S : wait_s) * 1000,
                reason);
}

/* One at a time, since each may end others. */
static void collect(struct fhir_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        struct transfer *t = NULL;
        CURLcode code = message->data.result;
        (void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        if (message->msg != CURLMSG_DONE || !t)
            continue;
        if (t == &client->probe)
            finish_probe(client, code);
        else
            finish(client, t, code);
    }
}

/* --- Life --- */

/* Prefer spares the server from sending back what it was just sent; without "Expect:"
 * curl would wait for a word before a large body. */
static bool make_headers(struct fhir_client *client)
{
    static const char *const lines[] = {"Content-Type: application/fhir+json",
                                        "Accept: application/fhir+json",
                                        "Prefer: return=minimal", "Expect:"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct curl_slist *more = curl_slist_append(client->headers, lines[i]);
        if (!more)
            return false;
        client->headers = more;
    }
    return true;
}

static bool make_multi(struct fhir_client *client)
{
    CURLM *m = NULL;
    client->global = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    if (client->global)
        m = client->multi = curl_multi_init();
    return m && curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_SOCKETDATA, client) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timeout) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_TIMERDATA, client) == CURLM_OK &&
           curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, (long)client->options.parallel) ==
               CURLM_OK &&
           make_headers(client);
}

static void set_defaults(struct fhir_client_options *o)
{
    if (o->back_off_min_ms <= 0)
        o->back_off_min_ms = BACK_OFF_MIN_MS;
    if (o->back_off_max_ms <= 0)
        o->back_off_max_ms = BACK_OFF_MAX_MS;
    if (o->back_off_max_ms < o->back_off_min_ms)
        o->back_off_max_ms = o->back_off_min_ms;
}

int fhir_client_new(struct sd_event *event, const struct fhir_client_options *options,
                    struct fhir_client **out)
{
    if (options->parallel < 1 || options->parallel > FHIR_PARALLEL_MAX ||
        options->answer_ms <= 0)
        return -EINVAL;
    struct fhir_client *client = calloc(1, sizeof *client);
    if (!client)
        return -ENOMEM;
    client->event = sd_event_ref(event);
    client->options = *options;
    set_defaults(&client->options);
    client->back_off_ms = client->options.back_off_min_ms;
    client->probe.client = client;
    for (size_t i = 0; i < FHIR_PARALLEL_MAX; i++)
        client->transfers[i].client = client;
    /* The first probe is the loop's, so that no callback comes from here. */
    if (sd_event_add_time_relative(event, &client->curl_timer, CLOCK_MONOTONIC,
                                   UINT64_MAX / 4, 0, on_curl_timer, client) < 0 ||
        sd_event_source_set_enabled(client->curl_timer, SD_EVENT_OFF) < 0 ||
        sd_event_add_time_relative(event, &client->wake, CLOCK_MONOTONIC, 0, 0, on_wake,
                                   client) < 0 ||
        !make_multi(client)) {
        fhir_client_free(client);
        return -ENOMEM;
    }
    *out = client;
    return 0;
}

/* Connections end with the multi handle, which then still asks for their sources to be
 * removed: the timers go last. */
void fhir_client_free(struct fhir_client *client)
{
    if (!client)
        return;
    for (size_t i = 0; i < FHIR_PARALLEL_MAX; i++)
        transfer_end(&client->transfers[i]);
    transfer_end(&client->probe);
    if (client->multi)
        (void)curl_multi_cleanup(client->multi);
    curl_slist_free_all(client->headers);
    if (client->global)
        curl_global_cleanup();
    sd_event_source_disable_unref(client->curl_timer);
    sd_event_source_disable_unref(client->wake);
    sd_event_unref(client->event);
    free(client);
}

int fhir_client_send(struct fhir_client *client, const char *control, const char *bundle,
                     size_t n)
{
    struct transfer *t = NULL;
    if (client->state != UP)
        return -ENOTCONN;
    for (size_t i = 0; i < client->options.parallel && !t; i++)
        if (!client->transfers[i].easy)
            t = &client->transfers[i];
    if (!t)
        return -EBUSY;
    if (strlen(control) >= sizeof t->control)
        return -EINVAL;
    if ((t->bundle = malloc(n ? n : 1)) != NULL) {
        memcpy(t->bundle, bundle, n);
        snprintf(t->control, sizeof t->control, "%s", control);
        t->entries = fhir_entries(bundle, n);
    }
    if (!t->bundle || !transfer_begin(t, n)) {
        fall(client, 0); /* the caller takes it for down, so on_up must come */
        return -ENOMEM;
    }
    client->counts.sent++;
    return 0;
}

bool fhir_client_up(const struct fhir_client *client)
{
    return client->state == UP;
}

/* A copy; it does not change under its reader. */
void fhir_client_counts(const struct fhir_client *client,
                        struct fhir_client_counts *counts)
{
    *counts = client->counts;
}
