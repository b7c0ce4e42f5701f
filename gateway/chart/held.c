/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/held.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chart/backup.h"
#include "chart/chart_core.h"
#include "chart/ledger_log.h"

#define STAYS_MAX 64
#define WHY_MAX   1000 /* bytes of a reason for discarding */

/* --- Lines --- */

/* A reading without a time is worked off by when it came. */
static int64_t begin_of(const struct ledger_entry *entry)
{
    return entry->time_known ? entry->t_low_us : entry->received_us;
}

static int64_t end_of(const struct ledger_entry *entry)
{
    return entry->time_known ? entry->t_high_us : entry->received_us;
}

/* Readings of one place and reason come by sequence number, which is nearly by time: a
 * line that a straggler belongs to is looked for among the last few. */
struct lines {
    struct held_line open[16];
    size_t count;
};

static void flush(struct lines *lines, size_t keep,
                  void (*line)(void *context, const struct held_line *line),
                  void *context, int *total)
{
    while (lines->count > keep) {
        line(context, &lines->open[0]);
        (*total)++;
        memmove(lines->open, lines->open + 1, --lines->count * sizeof lines->open[0]);
    }
}

static struct held_line *line_of(struct lines *lines, const struct ledger_entry *entry)
{
    for (size_t i = lines->count; i-- > 0;) {
        struct held_line *line = &lines->open[i];
        if (line->timed == entry->time_known &&
            begin_of(entry) <= line->to_us + HELD_BREAK_US &&
            end_of(entry) >= line->from_us - HELD_BREAK_US)
            return line;
    }
    return NULL;
}

/* The lines of one place and reason; a pause of HELD_BREAK_US begins a new one, because
 * it is likely to be another patient. */
static int lines_of(struct chart *c, const struct ledger_line *group,
                    void (*line)(void *context, const struct held_line *line),
                    void *context)
{
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[PAGE];
    struct lines lines = {.count = 0};
    struct held_line fresh = {.reason = group->reason};
    int n, total = 0, looked_at = 0;
    if (group->place)
        ledger_name_text(c->ledger, group->place, fresh.place);
    while (looked_at < HELD_LOOKED_AT_MAX &&
           (n = ledger_list(c->ledger, LEDGER_HELD, group->reason, group->place, &cursor,
                            page, PAGE)) > 0)
        for (int i = 0; i < n; i++, looked_at++) {
            struct held_line *of = line_of(&lines, &page[i]);
            if (!of) {
                flush(&lines, sizeof lines.open / sizeof lines.open[0] - 1, line, context,
                      &total);
                of = &lines.open[lines.count++];
                *of = fresh;
                of->timed = page[i].time_known;
                of->from_us = begin_of(&page[i]), of->to_us = end_of(&page[i]);
            }
            of->readings++;
            of->from_us =
                begin_of(&page[i]) < of->from_us ? begin_of(&page[i]) : of->from_us;
            of->to_us = end_of(&page[i]) > of->to_us ? end_of(&page[i]) : of->to_us;
        }
    if (lines.count > 0)
        lines.open[lines.count - 1].more = looked_at >= HELD_LOOKED_AT_MAX;
    flush(&lines, 0, line, context, &total);
    return total;
}

int held_each(struct chart *c, void (*line)(void *context, const struct held_line *line),
              void *context)
{
    struct ledger_cursor cursor = {0};
    struct ledger_line groups[PAGE];
    int n, total = 0;
    while ((n = ledger_lines(c->ledger, LEDGER_HELD, &cursor, groups, PAGE)) > 0)
        for (int i = 0; i < n; i++)
            total += lines_of(c, &groups[i], line, context);
    return n < 0 ? HELD_LEDGER : total;
}

/* --- Selecting --- */

/* Walks the selection; each (NULL: only counts) gets a fresh entry. A decision is whole
 * or not made, so whatever may be refused is looked at in a first walk. */
static int walk(struct chart *c, const struct held_selection *s,
                int (*each)(struct chart *c, struct ledger_entry *entry, void *context),
                void *context)
{
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[PAGE];
    uint32_t place = s->place && *s->place ? ledger_name_find(c->ledger, s->place) : 0;
    int n, count = 0;
    if (s->place && *s->place && place == 0)
        return HELD_NOTHING;
    while ((n = ledger_list(c->ledger, LEDGER_HELD, s->reason, place, &cursor, page,
                            PAGE)) > 0)
        for (int i = 0; i < n; i++) {
            if (end_of(&page[i]) < s->from_us || begin_of(&page[i]) > s->to_us)
                continue;
            if (++count > HELD_AT_ONCE_MAX)
                return HELD_TOO_MANY;
            int error = each ? each(c, &page[i], context) : 0;
            if (error < 0)
                return error;
        }
    return n < 0 ? HELD_LEDGER : count;
}

static int begin(struct chart *c, const struct held_selection *s,
                 int (*may)(struct chart *c, struct ledger_entry *entry, void *context),
                 const char *who, int64_t now_us)
{
    if (!who || !*who || strlen(who) >= LEDGER_WHO_SIZE || chart_is_service(who))
        return HELD_WHO;
    int count = walk(c, s, may, NULL);
    return count == 0                             ? HELD_NOTHING
           : count > 0 && !chart_batch(c, now_us) ? HELD_LEDGER
                                                  : count;
}

/* --- Assigning --- */

struct assignment {
    struct due *due;
    uint64_t patient;
    struct census_stay stays[STAYS_MAX]; /* of the patient, wherever */
    size_t stays_count;
    const char *who;
    int64_t now_us;
};

static void collect_stay(void *context, const struct census_stay *stay)
{
    struct assignment *a = context;
    if (stay->patient == a->patient && a->stays_count < STAYS_MAX)
        a->stays[a->stays_count++] = *stay;
}

/* A reading whose time nobody knows can't be assigned by its bed either: who had the bed
 * then? */
static int may_assign(struct chart *c, struct ledger_entry *entry, void *context)
{
    (void)c, (void)context;
    return !entry->time_known || entry->conflicted ||
                   entry->reason == CHART_NOT_WITHDRAWN ||
                   entry->reason == CHART_MAY_STAND || chart_ref(entry->id) == 0
               ? HELD_STATE
               : 0;
}

/* On the visit that the patient had then; without one, on the patient without a visit. */
static int assign_one(struct chart *c, struct ledger_entry *entry, void *context)
{
    struct assignment *a = context;
    struct open_reading whose = {.original = a->patient, .location = ""};
    for (size_t i = 0; i < a->stays_count; i++) {
        const struct census_stay *stay = &a->stays[i];
        if (stay->from_low_us <= entry->t_high_us && entry->t_low_us < stay->to_high_us) {
            whose.stay = stay->stay, whose.original = stay->original,
            whose.location = stay->location;
            break;
        }
    }
    if (!chart_read_record(c, entry->id))
        return c->error ? HELD_LEDGER : 0; /* damaged: stays held */
    return chart_feed(c, a->due, entry, &whose, a->who, a->now_us) ? 0 : HELD_LEDGER;
}

/* The selection is thinned by intervals of its own, closed at once: it is all there, and
 * it is old. */
int held_assign(struct chart *c, const struct held_selection *s, const char *number,
                const char *authority, const char *who, int64_t now_us)
{
    const struct due_options options = {.table = c->options.intervals,
                                        .table_count = c->options.interval_count,
                                        .grace_us = c->options.grace_us,
                                        .was_charted = chart_was_charted,
                                        .context = c};
    struct assignment a = {.who = who, .now_us = now_us};
    int count = begin(c, s, may_assign, who, now_us);
    if (count < 0)
        return count;
    if ((a.patient = census_find(c->census, number, authority ? authority : "")) == 0)
        return HELD_PATIENT;
    census_each(c->census, collect_stay, &a);
    if (!(a.due = due_new(&options)))
        return HELD_LEDGER;
    count = walk(c, s, assign_one, &a);
    /* Everything selected is here, so no interval has to wait. */
    if (count > 0 && !chart_close_intervals(c, a.due, INT64_MAX - 1, who, now_us))
        count = HELD_LEDGER;
    due_free(a.due);
    return count;
}

/* --- Discarding --- */

struct discarding {
    const char *who;
    int64_t now_us;
};

/* Discarding a withdrawal that the EPR refused says that a person did it: then the
 * reading is free to be judged. */
static int discard_one(struct chart *c, struct ledger_entry *entry, void *context)
{
    const struct discarding *d = context;
    bool corrected = entry->reason == CHART_NOT_WITHDRAWN;
    entry->state = corrected ? LEDGER_WITHDRAWN : LEDGER_REJECTED;
    entry->reason = corrected ? LEDGER_REASON_NONE : CHART_DISCARDED;
    int error = ledger_update(c->ledger, entry, d->now_us, d->who);
    if (error != 0) {
        chart_fail(c, error);
        return HELD_LEDGER;
    }
    if (corrected)
        chart_unjudged_add(c, entry->id);
    return 0;
}

int held_discard(struct chart *c, const struct held_selection *s, const char *why,
                 const char *who, int64_t now_us)
{
    struct discarding d = {.who = who, .now_us = now_us};
    char key[64];
    int count = begin(c, s, NULL, who, now_us);
    if (count < 0)
        return count;
    /* The change that the first reading is about to get names the whole decision. */
    int size =
        snprintf(key, sizeof key, "held.why.%020" PRIu64, ledger_changes(c->ledger) + 1);
    if (why && *why) {
        int error =
            ledger_value_put(c->ledger, key, (size_t)size, why, strnlen(why, WHY_MAX));
        if (error != 0) {
            chart_fail(c, error);
            return HELD_LEDGER;
        }
    }
    return walk(c, s, discard_one, &d);
}

/* --- Dead letters --- */

/* The reading goes the way of its message; one whose stay has changed since is judged
 * anew, and the letter stays dead. */
static int resend_one(struct chart *c, struct ledger_message *message, const char *who,
                      int64_t now_us)
{
    struct ledger_entry entry;
    struct match_result result = {.reason = MATCH_CHART};
    bool error;
    int failed = ledger_get(c->ledger, message->id, &entry);
    if (failed != 0)
        return HELD_LEDGER;
    if (entry.generation != message->generation)
        return 0;
    if (message->kind == DELIVER_WITHDRAWAL) {
        entry.state =
            entry.reason == CHART_NOT_WITHDRAWN ? LEDGER_WITHDRAWING : entry.state;
        entry.reason =
            entry.state == LEDGER_WITHDRAWING ? LEDGER_REASON_NONE : entry.reason;
    } else if (entry.state == LEDGER_REJECTED && entry.reason != CHART_DISCARDED) {
        uint8_t reason =
            chart_by_person(c, &entry) ? 0 : chart_verdict(c, &entry, &result, &error);
        if (c->error)
            return HELD_LEDGER;
        bool same = chart_by_person(c, &entry) ||
                    (reason == LEDGER_REASON_NONE && result.stay.stay == entry.stay &&
                     result.stay.original == entry.patient);
        if (!same && chart_may_stand(c, &entry))
            return chart_withdraw(c, &entry, who, now_us) ? 1 : HELD_LEDGER;
        entry.state = same ? LEDGER_MATCHED : LEDGER_HELD;
        entry.reason = same ? LEDGER_REASON_NONE : reason;
        if (!same) {
            failed = ledger_update(c->ledger, &entry, now_us, who);
            return failed == 0 && chart_again(c, &entry, now_us) ? 1 : HELD_LEDGER;
        }
    } else if (entry.state == LEDGER_HELD && entry.reason == CHART_MAY_STAND) {
        /* A second original could stand beside the first: taken back, then sent as what
         * replaces it. */
        return chart_withdraw(c, &entry, who, now_us) ? 1 : HELD_LEDGER;
    } else if ((entry.state != LEDGER_CHARTED && entry.state != LEDGER_SENT &&
                entry.state != LEDGER_MATCHED) ||
               deliver_refused_late(message)) {
        return 0;
    }
    message->state = LEDGER_OUT_WAITING;
    message->attempts = 0;
    message->due_us = now_us;
    if (ledger_out_set(c->ledger, message) != 0 ||
        ledger_update(c->ledger, &entry, now_us, who) != 0)
        return HELD_LEDGER;
    return 1;
}

/* Attempts begin anew: a person has looked, so the old refusals say little. */
int held_resend(struct chart *c, size_t destination, uint64_t number, const char *who,
                int64_t now_us)
{
    struct ledger_cursor cursor = {0};
    struct ledger_message page[PAGE];
    int n, count = 0, done;
    if (!who || !*who || strlen(who) >= LEDGER_WHO_SIZE || chart_is_service(who))
        return HELD_WHO;
    if (destination >= c->destination_count)
        return HELD_NOTHING;
    if (!chart_batch(c, now_us))
        return HELD_LEDGER;
    while ((n = ledger_out_list(c->ledger, c->destinations[destination].number,
                                LEDGER_OUT_DEAD, &cursor, page, PAGE)) > 0)
        for (int i = 0; i < n && count < HELD_AT_ONCE_MAX; i++) {
            if (number != 0 && page[i].number != number)
                continue;
            if ((done = resend_one(c, &page[i], who, now_us)) < 0) {
                chart_fail(c, LEDGER_IO);
                return HELD_LEDGER;
            }
            count += done;
        }
    return n < 0 ? HELD_LEDGER : count == 0 ? HELD_NOTHING : count;
}

/* --- Trusting --- */

/* Judges what is held for a reason again: all of it, or one gateway's. Returns how many,
 * or an error of the ledger. */
static int judge_held(struct chart *c, uint8_t reason, uint32_t gateway, int64_t now_us)
{
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[PAGE];
    int n, count = 0;

    while ((n = ledger_list(c->ledger, LEDGER_HELD, reason, LEDGER_ANY, &cursor, page,
                            PAGE)) > 0)
        for (int i = 0; i < n; i++) {
            if (gateway != LEDGER_ANY && page[i].gateway != gateway)
                continue;
            if (!chart_again(c, &page[i], now_us))
                return LEDGER_IO;
            count++;
        }
    return n < 0 ? n : count;
}

int held_trust(struct chart *c, const char *gateway, const char *who, int64_t now_us)
{
    struct ledger_source source;
    uint32_t name = ledger_name_find(c->ledger, gateway);
    int count = 0, error = 0;
    if (!who || !*who || strlen(who) >= LEDGER_WHO_SIZE || chart_is_service(who))
        return HELD_WHO;
    if (name == 0)
        return HELD_NOTHING;
    if (!chart_batch(c, now_us))
        return HELD_LEDGER;
    for (uint32_t i = 1; i <= ledger_sources(c->ledger) && error == 0; i++)
        if ((error = ledger_source_get(c->ledger, i, &source)) == 0 &&
            source.gateway == name && source.doubted)
            error = ledger_source_doubt(c->ledger, i, false);
    if (error == 0 && (count = judge_held(c, LEDGER_SOURCE_DOUBTED, name, now_us)) < 0)
        error = count;
    if (error != 0) {
        chart_fail(c, error);
        return HELD_LEDGER;
    }
    return count;
}

int held_census_whole(struct chart *c, const char *who, int64_t now_us)
{
    int count, error;
    if (!who || !*who || strlen(who) >= LEDGER_WHO_SIZE || chart_is_service(who))
        return HELD_WHO;
    if (c->census_until_us == 0)
        return HELD_NOTHING;
    if (!chart_batch(c, now_us))
        return HELD_LEDGER;
    if ((error = backup_forget(c->ledger)) != 0) {
        chart_fail(c, error);
        return HELD_LEDGER;
    }
    c->census_until_us = 0; /* if the commit fails it is read again */
    /* What came between the copy and the loss has receipts, so no gateway offers it by
     * itself. */
    if ((error = intake_resend(c->intake, NULL)) < 0) {
        chart_fail(c, error);
        return HELD_LEDGER;
    }
    count = judge_held(c, CHART_REASON_MATCH + MATCH_OLD_CENSUS, LEDGER_ANY, now_us);
    if (count < 0) {
        chart_fail(c, count);
        return HELD_LEDGER;
    }
    return count;
}
