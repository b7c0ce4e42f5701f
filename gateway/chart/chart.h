/* SPDX-License-Identifier: Apache-2.0
 *
 * The chart service's core: what arrives goes in, what is to be sent comes out. No
 * socket, no file but the ledger, no clock: the program and the simulator drive the same
 * one.
 *
 * - Everything is decided in batches of the ledger. Inputs open one, chart_run works,
 * commits it and only then lets anything out: receipts, answers to the PAS, messages to
 * an EPR. What a failed commit would have let out never was.
 * - Nothing but the ledger is remembered. Census, open charting intervals and queues are
 * derived from it; after a failed commit they are thrown away and derived anew, which is
 * also what a restart does.
 * - Work in one chart_run is bounded; when there is more, it asks to be called again at
 * once.
 * - Instants are microseconds UTC of the server's clock, handed in as now_us.
 *
 * A reading's way: received -> held, or fed to its stay's charting interval -> kept, or
 * matched with one message for every destination -> sent -> charted | rejected. When the
 * PAS's history changes, every reading of the place and time is judged again; one that is
 * charted on a stay that no longer holds is withdrawn there and judged anew.
 */
#ifndef CHART_CHART_H
#define CHART_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chart/adt.h"
#include "chart/deliver.h"
#include "chart/due.h"
#include "chart/intake.h"
#include "chart/ledger.h"
#include "chart/ledger_out.h"
#include "chart/match.h"

#define CHART_DESTINATIONS_MAX 8
#define CHART_WINDOW_MAX       64 /* messages of one destination on their way at a time */

/* Reasons of held and rejected readings beside the ledger's own and match's (which begin
 * at CHART_REASON_MATCH). */
enum chart_reason {
    CHART_REASON_MATCH = 32, /* + enum match_reason */
    CHART_REFUSED = 128,     /* the EPR refused the message for good */
    CHART_NO_ANSWER =
        129, /* the EPR answers others, but never this one: it may have it or not */
    CHART_NOT_WITHDRAWN =
        130, /* the EPR refused a withdrawal: somebody must correct that chart by hand */
    CHART_DISCARDED = 131,   /* by a person */
    CHART_UNPRINTABLE = 132, /* no message can be made of it */
    CHART_MAY_STAND = 133, /* the EPR refused it after an attempt that it never answered:
                              it may have taken that one */
};

struct chart;

struct chart_ops {
    /* A receipt for a gateway, as a payload for its topic. Lost ones do no harm. */
    void (*publish)(void *context, const char *gateway, const uint8_t *payload, size_t n);
    /* A message for a destination. Exactly one chart_answer or chart_no_answer is due for
     * it, later, never from inside; none when chart_link says that the destination went
     * down. */
    void (*send)(void *context, size_t destination, const char *control,
                 const char *bytes, size_t n);
    /* The answer to an ADT message that is now on disk; n = 0: none is wanted, or none
     * may be given (the PAS will repeat). */
    void (*adt_answer)(void *context, uint64_t peer, const char *bytes, size_t n);
    /* For the log: one line, no patient data. */
    void (*event)(void *context, const char *text);
};

struct chart_destination {
    const char *name;
    struct deliver_style style;
    size_t window; /* 1..CHART_WINDOW_MAX messages unanswered at a time; MLLP: 1 */
    int64_t retry_min_us,
        retry_max_us; /* wait before the second attempt; doubles up to the longest */
    uint32_t retries; /* attempts before a dead letter */
    /* deliver_json or deliver_fhir; NULL: deliver_hl7 */
    int (*write)(const struct deliver_message *message, char *out, size_t capacity);
    bool park_on_error, park_on_reject; /* AE and CE, AR and CR: a dead letter at once */
};

struct chart_options {
    struct ledger *ledger; /* all three must outlive the chart */
    struct adt_site *site;
    bool any_place; /* the site names places that its table does not have (adt_default) */
    const struct due_interval *intervals; /* copied */
    size_t interval_count;
    int64_t grace_us; /* 0 = DUE_GRACE_US */
    int64_t live_us;  /* readings older than this are backlog, sent after live ones */
    const struct chart_destination *destinations; /* copied; texts borrowed */
    size_t destination_count;
    struct chart_ops ops;
    void *context;
};

/* Derives everything from the ledger. Returns 0, or -1 and one line in error. */
int chart_open(const struct chart_options *options, int64_t now_us, struct chart **out,
               char error[LEDGER_ERROR_SIZE]);
void chart_close(struct chart *chart); /* NULL is fine; an open batch is lost */

/* --- inputs --- */

/* A payload of a gateway's `up` or `state` topic. False: the ledger can't take it now; it
 * is dropped, and the gateway will offer it again. */
bool chart_up(struct chart *chart, const char *gateway, const uint8_t *payload, size_t n,
              int64_t now_us);
bool chart_state(struct chart *chart, const char *gateway, const uint8_t *payload,
                 size_t n, int64_t now_us);

/* One ADT message; peer comes back with its answer. */
void chart_adt(struct chart *chart, uint64_t peer, const char *bytes, size_t n,
               int64_t now_us);

/* A destination can take messages now, or no longer. Down: what is under way will be sent
 * again. */
void chart_link(struct chart *chart, size_t destination, bool up);

/* The EPR's answer: code of MSA-1 ("AA") and control id of MSA-2. Its text is not taken:
 * it may name the patient. Answers to nothing that is under way are counted. */
void chart_answer(struct chart *chart, size_t destination, const char *control,
                  const char *code, int64_t now_us);

/* No answer came in time, or the connection broke (lost) before one came. */
void chart_no_answer(struct chart *chart, size_t destination, const char *control,
                     bool lost, int64_t now_us);

/* Works, commits, lets out. Call after inputs and whenever its last result says. Returns
 * when it wants to be called next: now_us or earlier = at once, INT64_MAX = nothing is
 * pending. */
int64_t chart_run(struct chart *chart, int64_t now_us);

/* Records taken in since the last commit: a program under load commits when they are
 * many. */
size_t chart_uncommitted(const struct chart *chart);

/* Asks every gateway (NULL), or one, to offer again what is missing. Returns how many
 * sources, or a ledger_error. */
int chart_resend(struct chart *chart, const char *gateway);

/* Other rules for reading the PAS's messages and naming beds: everything is derived anew
 * with them, and what was held for an unknown bed is judged again. The old site may be
 * freed afterwards. */
void chart_set_site(struct chart *chart, struct adt_site *site, bool any_place,
                    int64_t now_us);

/* --- for status --- */

struct chart_counts {     /* since start */
    uint64_t judged;      /* readings looked at */
    uint64_t reopened;    /* looked at again because history changed */
    uint64_t withdrawals; /* begun */
    uint64_t replaced;    /* messages cancelled before they were sent */
    uint64_t answers, refusals, timeouts,
        strays; /* strays: answers to nothing under way */
    uint64_t adt, adt_repeated, adt_conflicts, adt_refused, adt_foreign, adt_ignored;
    uint64_t commits, failed_commits, rebuilds;
    size_t open;    /* readings in open charting intervals */
    size_t windows; /* stretches of history still to be judged again */
    /* The ledger was put back from a copy of then: backup.h. 0: it was not. */
    int64_t census_until_us;
};
void chart_count(const struct chart *chart, struct chart_counts *counts);
const char *chart_trouble(
    const struct chart *chart); /* why nothing can be taken in now; "" when all is well */
const struct census *chart_census(const struct chart *chart);
struct ledger *chart_ledger(const struct chart *chart);
void chart_intake_counts(const struct chart *chart, struct intake_counts *counts);

struct chart_link_status {
    const char *name;
    bool up;
    size_t under_way;
    uint64_t queued, waiting, sent, done, dead;
};
bool chart_link_status(const struct chart *chart, size_t destination,
                       struct chart_link_status *status);

/* "The bed was empty at that time.": a reason of a held or rejected reading in a nurse's
 * words; and a short name. */
const char *chart_reason_text(uint8_t reason);
const char *chart_reason_name(uint8_t reason);

#endif
