/* SPDX-License-Identifier: Apache-2.0
 *
 * The core's frame: inputs open a batch, chart_run works in it, commits it and lets out
 * what it promised.
 */
#include "chart/chart.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart/chart_core.h"
#include "chart/ledger_log.h"

#define ANSWER_MAX 4096 /* bytes of one answer to the PAS */

/* --- Batches --- */

/* Says once what is wrong, in the log and for `status`; the same trouble again is no
 * news. */
static void note_trouble(struct chart *c, const char *reason)
{
    char line[LEDGER_ERROR_SIZE + 64];
    if (strcmp(c->trouble, reason) == 0)
        return;
    snprintf(c->trouble, sizeof c->trouble, "%s", reason);
    snprintf(line, sizeof line, "ledger: nothing can be taken in: %s", c->trouble);
    c->options.ops.event(c->options.context, line);
}

/* The first error of a batch is the one that tells: later ones only follow from it. */
bool chart_fail(struct chart *c, int error)
{
    assert(error < 0);
    if (c->error == 0) {
        c->error = error;
        note_trouble(c, ledger_failure(c->ledger));
    }
    return false;
}

/* Waits before the ledger is tried again: longer each time, since each try derives
 * everything anew. */
static void wait_for_ledger(struct chart *c, int64_t now_us)
{
    c->stale = true;
    c->retry_wait_us = c->retry_wait_us == 0                 ? RETRY_MIN_US
                       : c->retry_wait_us * 2 < RETRY_MAX_US ? c->retry_wait_us * 2
                                                             : RETRY_MAX_US;
    c->retry_us = now_us + c->retry_wait_us;
}

/* Memory went ahead of the ledger in a batch that is now lost. A ledger without room for
 * new records can still finish what it has, so then nothing new is let in for a while and
 * the rest goes on at once. */
static void give_up_batch(struct chart *c, int error, int64_t now_us)
{
    bool full = error == LEDGER_FULL && c->records + c->answers_count > 0;
    if (c->batch)
        ledger_abort(c->ledger);
    if (c->records > 0)
        intake_aborted(c->intake);
    c->batch = false;
    c->records = 0;
    c->error = 0;
    wait_for_ledger(c, now_us);
    if (full) {
        c->closed_until_us = c->retry_us;
        c->retry_us = now_us;
    }
    c->counts.failed_commits++;
    for (size_t i = 0; i < c->answers_count; i++) /* no answer: the PAS will send again */
        c->options.ops.adt_answer(c->options.context, c->answers[i].peer, NULL, 0);
    c->answers_count = c->answers_size = 0;
}

/* Whatever changes the ledger comes through here, so this is also where memory is made
 * good again after a lost batch: never in the middle of something. */
bool chart_batch(struct chart *c, int64_t now_us)
{
    if (c->batch)
        return c->error == 0;
    if (c->stale) {
        if (now_us < c->retry_us)
            return false;
        int error = chart_derive(c);
        if (error != 0) {
            note_trouble(c, error == LEDGER_INVALID ? "memory is short"
                                                    : ledger_failure(c->ledger));
            wait_for_ledger(c, now_us);
            return false;
        }
        c->stale = false;
    }
    int error = ledger_begin(c->ledger);
    if (error != 0) {
        note_trouble(c, ledger_failure(c->ledger));
        wait_for_ledger(c, now_us);
        return false;
    }
    c->batch = true;
    return true;
}

/* --- Inputs --- */

/* Opens a batch for something new; false while the ledger is known to have no room for
 * it. */
static bool admit(struct chart *c, int64_t now_us)
{
    c->now_us = now_us;
    return now_us >= c->closed_until_us && chart_batch(c, now_us);
}

/* A payload that intake refuses is not offered again by us: its gateway sees that the
 * receipt is missing. */
bool chart_up(struct chart *c, const char *gateway, const uint8_t *payload, size_t n,
              int64_t now_us)
{
    if (!admit(c, now_us))
        return false;
    c->records++; /* also when it is refused below: intake must hear of the commit */
    int taken = intake_up(c->intake, gateway, payload, n, now_us);
    if (taken == INTAKE_MALFORMED || taken == INTAKE_FOREIGN)
        return true;
    if (taken < 0)
        return chart_fail(c, taken);
    c->records += (size_t)taken;
    return true;
}

bool chart_state(struct chart *c, const char *gateway, const uint8_t *payload, size_t n,
                 int64_t now_us)
{
    if (!admit(c, now_us))
        return false;
    c->records++;
    int error = intake_state(c->intake, gateway, payload, n, now_us);
    if (error < 0 && error != INTAKE_MALFORMED && error != INTAKE_FOREIGN)
        return chart_fail(c, error);
    return true;
}

/* Answers are held back until the commit: an AA that a power cut could take back would
 * lose a patient's move for good. */
static bool keep_answer(struct chart *c, uint64_t peer, const char *text, size_t n)
{
    if (c->answers_count == c->answers_capacity) {
        size_t capacity = c->answers_capacity ? 2 * c->answers_capacity : 64;
        struct answer *grown = realloc(c->answers, capacity * sizeof *grown);
        if (!grown)
            return false;
        c->answers = grown, c->answers_capacity = capacity;
    }
    if (n > c->answers_text_capacity - c->answers_size) {
        size_t capacity = 2 * c->answers_text_capacity + n;
        char *grown = realloc(c->answers_text, capacity);
        if (!grown)
            return false;
        c->answers_text = grown, c->answers_text_capacity = capacity;
    }
    if (n > 0)
        memcpy(c->answers_text + c->answers_size, text, n);
    c->answers[c->answers_count++] =
        (struct answer){.peer = peer, .at = c->answers_size, .n = n};
    c->answers_size += n;
    return true;
}

static void count_adt(struct chart *c, enum ledger_found found, enum adt_outcome outcome)
{
    c->counts.adt++;
    c->counts.adt_repeated += found == LEDGER_SAME;
    c->counts.adt_conflicts += found == LEDGER_CONFLICT;
    c->counts.adt_refused += outcome == ADT_REFUSE;
    c->counts.adt_foreign += outcome == ADT_FOREIGN;
    c->counts.adt_ignored += outcome == ADT_IGNORE;
}

/* What the sender calls this message: MSH-3, MSH-4 and MSH-10. Different messages under
 * one name are kept apart by the ledger; a message without a name is known by its bytes.
 */
static size_t adt_key(const struct hl7_message *message, bool parsed, char *key,
                      size_t capacity)
{
    size_t n = 0;
    static const size_t fields[] = {3, 4, 10};
    for (size_t i = 0; parsed && i < 3; i++) {
        struct hl7_text text = hl7_field(message, hl7_find(message, "MSH", 1), fields[i]);
        size_t take = text.n < capacity - n - 1 ? text.n : capacity - n - 1;
        if (take > 0)
            memcpy(key + n, text.at, take);
        n += take;
        key[n++] = '|';
        if (i == 2 && take == 0)
            n = 0;
    }
    return n;
}

/* Understood or not, the message is on the log before it is answered: what was refused
 * can be looked at, and a feed that is mended later can be fed again. */
void chart_adt(struct chart *c, uint64_t peer, const char *bytes, size_t n,
               int64_t now_us)
{
    static const char nameless[] = "|";
    struct adt_result result;
    char answer[ANSWER_MAX], key[512];
    uint64_t number = 0;
    if (n == 0 || n > (size_t)LEDGER_ADT_MAX || !admit(c, now_us)) {
        c->options.ops.adt_answer(c->options.context, peer, NULL, 0);
        return;
    }
    int size =
        adt_receive(c->options.site, bytes, n, now_us, ledger_adt_last(c->ledger) + 1,
                    c->scratch, &result, answer, sizeof answer);
    size_t key_size = adt_key(c->scratch, hl7_parse(bytes, n, c->scratch, NULL) == HL7_OK,
                              key, sizeof key);
    int found = ledger_adt_append(c->ledger, key_size ? key : nameless,
                                  key_size ? key_size : 1, bytes, n, now_us, &number);
    if (found < 0) {
        chart_fail(c, found);
        c->options.ops.adt_answer(c->options.context, peer, NULL, 0);
        return;
    }
    count_adt(c, (enum ledger_found)found, result.outcome);
    if (!keep_answer(c, peer, answer, size > 0 ? (size_t)size : 0))
        chart_fail(c, LEDGER_IO);
    if (found == LEDGER_SAME)
        return;
    c->adt_applied = number;
    if (result.outcome == ADT_APPLY) {
        const struct census_window *windows;
        size_t count;
        int error = census_apply(c->census, result.events, result.count, now_us, &windows,
                                 &count);
        /* An incomplete event is on the log and says nothing; memory and collisions end
         * the batch. */
        if ((error != 0 && error != CENSUS_INCOMPLETE) ||
            (error == 0 && !chart_windows_add(c, windows, count)))
            chart_fail(c, LEDGER_IO);
    }
}

/* --- What intake tells while it stores --- */

/* Judging waits: it must not hold up the receipt of what is read next. */
static void on_reading(void *context, struct ledger_entry *entry,
                       const wardgate_Record *record)
{
    struct chart *c = context;
    (void)record;
    if (entry->state == LEDGER_RECEIVED)
        chart_arrived(c, entry);
}

/* What went out with the old time goes back with it. */
static void on_retiming(void *context, struct ledger_entry *entry)
{
    struct chart *c = context;
    if (c->error == 0)
        chart_retime(c, entry, c->now_us);
}

/* Its time is known only now, or less well than was thought. What was decided on the old
 * time is decided again. */
static void on_retimed(void *context, struct ledger_entry *entry)
{
    struct chart *c = context;
    chart_open_drop(c, chart_ref(entry->id));
    if (c->error == 0)
        chart_review(c, entry, c->now_us);
}

/* A clock fix makes work, which is done a part at a time. */
static void on_noted(void *context, const struct ledger_entry *entry,
                     const wardgate_Record *record)
{
    struct chart *c = context;
    (void)record;
    c->retime = c->retime || entry->kind == wardgate_Record_Kind_CLOCK_FIX;
}

/* intake bounds the work by the number of readings, so a fix for a whole day does not
 * stop the receipts. */
static bool retime_some(struct chart *c, int64_t now_us)
{
    c->now_us = now_us;
    int n = c->retime ? intake_work(c->intake, JUDGE_MAX, now_us) : 0;
    if (n < 0)
        return chart_fail(c, n);
    c->retime = n > 0;
    return c->error == 0;
}

/* Two contents claim one identity: neither is believed. */
static void on_conflict(void *context, struct ledger_entry *entry)
{
    struct chart *c = context;
    bool cancelled;
    chart_open_drop(c, chart_ref(entry->id));
    if (entry->state == LEDGER_CHARTED || entry->state == LEDGER_SENT ||
        chart_may_stand(c, entry))
        chart_withdraw(c, entry, WHO_MATCH, c->now_us);
    else if (entry->state == LEDGER_MATCHED &&
             chart_cancel(c, entry, &cancelled, c->now_us) && cancelled)
        chart_hold(c, entry, LEDGER_IDENTITY_CONFLICT, c->now_us);
}

/* The gateway is named in front, since its own text does not. */
static void on_event(void *context, const char *gateway, const char *text)
{
    struct chart *c = context;
    char line[512];
    snprintf(line, sizeof line, "gateway %.48s: %.400s", gateway, text);
    c->options.ops.event(c->options.context, line);
}

/* --- Running --- */

/* Only ever called with the batch on disk. The order does not matter to anybody:
 * receipts, answers and messages go to different parties. */
static void let_out(struct chart *c, int64_t now_us)
{
    uint8_t receipt[RECEIPT_SIZE_MAX];
    char gateway[NAME_MAX_LENGTH + 1];
    int n;
    while ((n = intake_receipt(c->intake, gateway, receipt)) > 0)
        c->options.ops.publish(c->options.context, gateway, receipt, (size_t)n);
    for (size_t i = 0; i < c->answers_count; i++)
        c->options.ops.adt_answer(c->options.context, c->answers[i].peer,
                                  c->answers_text + c->answers[i].at, c->answers[i].n);
    c->answers_count = c->answers_size = 0;
    deliver_pump(c, now_us);
}

/* A step back of the clock ends it. */
bool chart_busy(const struct chart *c, int64_t now_us)
{
    return now_us >= c->busy_us && now_us - c->busy_us < QUIET_US;
}

/* Work that needs no input and no time to pass. What is known to be wrong, and what is
 * live, does not even wait for a drain. */
static bool has_urgent_work(const struct chart *c)
{
    return c->batch || c->urgent.count > 0 || c->retime || c->windows_count > 0 ||
           c->adt_judged != c->adt_applied;
}

static bool has_work(const struct chart *c)
{
    return c->backlog.count > 0 || c->rescan || c->remap;
}

/* A destination that syncs holds up the loop, so in a drain it gets its messages a few
 * times a second, and not with every commit. */
static bool deliver(struct chart *c, int64_t now_us)
{
    if (chart_busy(c, now_us) && now_us >= c->delivered_us &&
        now_us - c->delivered_us < DELIVER_BUSY_US)
        return true;
    c->delivered_us = now_us;
    return deliver_fill(c, now_us);
}

/* History first, so that nothing is judged by a past that is known to be wrong; delivery
 * last, so that what was just decided leaves with this commit. */
static bool work(struct chart *c, int64_t now_us)
{
    if (c->records >= BUSY_RECORDS)
        c->busy_us = now_us;
    return (!c->first_run || deliver_start(c, now_us)) && retime_some(c, now_us) &&
           chart_review_some(c, now_us) && chart_judge_some(c, now_us) &&
           chart_close_intervals(c, c->due, now_us, NULL, now_us) && deliver(c, now_us);
}

/* A batch that is open wants its commit, whatever else there is to do. In a drain the
 * rest waits for the next records, or until none come. */
static int64_t next_us(struct chart *c, int64_t now_us)
{
    int64_t due = due_next_us(c->due), deliver = deliver_next_us(c, now_us);
    int64_t next = has_work(c) ? now_us : due < deliver ? due : deliver;
    if (has_urgent_work(c))
        return now_us;
    return chart_busy(c, now_us) && next < c->busy_us + QUIET_US ? c->busy_us + QUIET_US
                                                                 : next;
}

int64_t chart_run(struct chart *c, int64_t now_us)
{
    if (!c->batch && !c->stale && !c->first_run && next_us(c, now_us) > now_us) {
        deliver_pump(
            c, now_us); /* a destination may be back; an empty commit would cost a sync */
        return next_us(c, now_us);
    }
    if (!chart_batch(c, now_us)) {
        if (c->batch)
            give_up_batch(c, c->error, now_us);
        return c->retry_us;
    }
    if (!work(c, now_us) || c->error != 0) {
        give_up_batch(c, c->error, now_us);
        return c->retry_us;
    }
    int error = ledger_commit(c->ledger);
    c->batch = false;
    if (error != 0) {
        note_trouble(c, ledger_failure(c->ledger));
        give_up_batch(c, error, now_us);
        return c->retry_us;
    }
    c->first_run = false;
    if (now_us >= c->closed_until_us) { /* that something small went in does not mean that
                                           there is room */
        c->trouble[0] = '\0';
        c->retry_wait_us = 0;
    }
    c->counts.commits++;
    if (c->records > 0)
        intake_committed(c->intake);
    c->records = 0;
    let_out(c, now_us);
    return next_us(c, now_us);
}

size_t chart_uncommitted(const struct chart *c)
{
    return c->records;
}

int chart_resend(struct chart *c, const char *gateway)
{
    int n = intake_resend(c->intake, gateway);
    if (!c->batch) {
        intake_committed(c->intake);
        let_out(c, 0);
    } else {
        c->records++; /* it goes out with the batch */
    }
    return n;
}

/* The places' numbers in the ledger stay; what they are called by the PAS may have
 * changed. */
void chart_set_site(struct chart *c, struct adt_site *site, bool any_place,
                    int64_t now_us)
{
    if (c->batch)
        chart_run(c, now_us); /* what was judged by the old rules is whole; it is judged
                                 again below where it matters */
    if (c->batch)
        give_up_batch(c, c->error, now_us);
    c->options.site = site;
    c->options.any_place = any_place;
    if (c->places)
        memset(c->places, 0, c->places_count * sizeof *c->places);
    c->stale = true;
    c->retry_us = 0;
}

/* --- Life --- */

/* Mistakes of the caller that would else show up as messages that never leave. */
static bool check_options(const struct chart_options *o, char error[LEDGER_ERROR_SIZE])
{
    bool good =
        o->destination_count >= 1 && o->destination_count <= CHART_DESTINATIONS_MAX;
    for (size_t i = 0; good && i < o->destination_count; i++)
        good = o->destinations[i].window >= 1 &&
               o->destinations[i].window <= CHART_WINDOW_MAX &&
               o->destinations[i].retries >= 1;
    if (!good)
        snprintf(error, LEDGER_ERROR_SIZE,
                 "destinations: none, too many, or one without a window");
    return good;
}

static bool allocate(struct chart *c)
{
    const struct intake_hooks hooks = {.context = c,
                                       .reading = on_reading,
                                       .noted = on_noted,
                                       .conflict = on_conflict,
                                       .retiming = on_retiming,
                                       .retimed = on_retimed,
                                       .event = on_event};
    struct due_interval *intervals =
        calloc(c->options.interval_count + 1, sizeof *intervals);
    if (intervals && c->options.interval_count > 0)
        memcpy(intervals, c->options.intervals,
               c->options.interval_count * sizeof *intervals);
    c->options.intervals = c->intervals = intervals;
    c->urgent.ids = calloc(c->urgent.size = URGENT_MAX, sizeof *c->urgent.ids);
    c->backlog.ids = calloc(c->backlog.size = BACKLOG_MAX, sizeof *c->backlog.ids);
    c->open = calloc(OPEN_SLOTS, sizeof *c->open);
    c->scratch = malloc(sizeof *c->scratch);
    c->answers_text = malloc(c->answers_text_capacity = ANSWER_MAX);
    c->intake = intake_new(c->ledger, &hooks);
    return intervals && c->urgent.ids && c->backlog.ids && c->open && c->scratch &&
           c->answers_text && c->intake;
}

/* Nothing is written here: a service that can't start leaves the ledger as it was. */
int chart_open(const struct chart_options *options, int64_t now_us, struct chart **out,
               char error[LEDGER_ERROR_SIZE])
{
    struct chart *c = NULL;
    (void)now_us;
    if (!check_options(options, error))
        return -1;
    if (!(c = calloc(1, sizeof *c)))
        goto memory;
    c->options = *options;
    c->first_run = true;
    c->ledger = options->ledger;
    c->destination_count = options->destination_count;
    for (size_t i = 0; i < c->destination_count; i++)
        c->destinations[i].options = options->destinations[i];
    if (!allocate(c))
        goto memory;
    int failed = chart_derive(c);
    if (failed != 0) {
        snprintf(error, LEDGER_ERROR_SIZE, "%s",
                 failed == LEDGER_INVALID
                     ? "charting: an interval does not divide a day, or memory is short"
                     : ledger_failure(c->ledger));
        chart_close(c);
        return -1;
    }
    *out = c;
    return 0;

memory:
    snprintf(error, LEDGER_ERROR_SIZE, "out of memory");
    chart_close(c);
    return -1;
}

void chart_close(struct chart *c)
{
    if (!c)
        return;
    if (c->batch)
        ledger_abort(c->ledger);
    chart_forget(c);
    intake_free(c->intake);
    free(c->intervals);
    free(c->answers_text);
    free(c->answers);
    free(c->scratch);
    free(c->places);
    free(c->windows);
    free(c->open);
    free(c->backlog.ids);
    free(c->urgent.ids);
    free(c);
}
