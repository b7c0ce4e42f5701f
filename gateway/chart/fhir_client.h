/* SPDX-License-Identifier: Apache-2.0
 *
 * The way to a FHIR server: transaction Bundles over HTTPS, a few at a time, on the
 * service's event loop. The one place that knows libcurl.
 *
 * - Only https, TLS 1.2 or newer, one CA, the server's exact name, a certificate of ours.
 * No proxy, no redirect, no cookie, nothing from the environment.
 * - Up means that a handshake has worked and nothing has failed since: with a server that
 * is away no message is tried. What the last probe or message ran into is logged once.
 * - Only an answer that speaks of each entry of the Bundle is a yes. Everything else may
 * be repeated, since a Bundle names its Observations (deliver_fhir.c).
 */
#ifndef CHART_FHIR_CLIENT_H
#define CHART_FHIR_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sd_event;
struct fhir_client;

/* What an answer says; fhir_answer alone decides it. */
enum fhir_answer {
    FHIR_TAKEN,
    FHIR_REFUSED,    /* this Bundle will never be taken: 400, 413, 422 ... */
    FHIR_FAILED,     /* this time: 409, 412, 500 ... */
    FHIR_UNANSWERED, /* nobody knows: no answer in time, half of one, or no FHIR */
    FHIR_LOST        /* the server itself is not to be had: connection broken, 401, 429,
                        502, 503, 504; the client goes down and waits */
};

struct fhir_client_options {
    const char *name; /* the destination's, for the log; all texts borrowed */
    const char *url;  /* the server's base */
    const char *ca, *certificate, *key; /* PEM files, read anew for each connection */
    int64_t answer_ms;                  /* longest wait for an answer */
    int64_t back_off_min_ms, back_off_max_ms; /* before a probe; 0 = 500 ms, 30 s */
    size_t parallel;                          /* 1..FHIR_PARALLEL_MAX */
    void (*on_up)(void *context);
    void (*on_down)(void *context); /* what is under way has no outcome any more */
    /* Its place is free already: send may be called from inside. control as it was given
     * to send, until this returns. */
    void (*on_outcome)(void *context, enum fhir_answer outcome, const char *control);
    void *context;
};

#define FHIR_PARALLEL_MAX 16
#define FHIR_ANSWER_MAX   ((size_t)1 << 20) /* bytes of an answer; more is none */
#define FHIR_CONTROL_SIZE 32

struct fhir_client_counts {
    uint64_t sent, taken, refused, failed, unanswered, lost, probes;
};

/* Never waits and calls nothing back from inside. Returns 0, -EINVAL or -ENOMEM. */
int fhir_client_new(struct sd_event *event, const struct fhir_client_options *options,
                    struct fhir_client **out);
/* NULL is fine. Nobody is told. */
void fhir_client_free(struct fhir_client *client);

/* Takes a copy; the loop sends it. Returns 0, -ENOTCONN when down, -EBUSY when as many as
 * `parallel` are under way, -EINVAL for a control id that is too long, -ENOMEM: it
 * is down now, and on_up will tell when that is over. */
int fhir_client_send(struct fhir_client *client, const char *control, const char *bundle,
                     size_t n);

bool fhir_client_up(const struct fhir_client *client);
void fhir_client_counts(const struct fhir_client *client,
                        struct fhir_client_counts *counts);

/* --- deliver_fhir_answer.c, pure --- */
/* Entries of one of our own Bundles. */
size_t fhir_entries(const char *bundle, size_t n);
/* What an HTTP status with this body means for a Bundle of so many entries. Never
 * FHIR_TAKEN but for a transaction-response with as many entries, each with a status of
 * 2xx. */
enum fhir_answer fhir_answer(long status, const char *body, size_t n, size_t entries);

#endif
