/* SPDX-License-Identifier: Apache-2.0
 *
 * From a reading to a decision: whose it is (match.h), then whether it is due (due.h).
 */
#include <assert.h>
#include <string.h>

#include "chart/chart_core.h"
#include "chart/timebase.h"

/* A charted value whose time is less certain than twice this may be overlooked when its
 * interval opens anew; then one more value of that interval is charted. */
#define CHARTED_MARGIN_US INT64_C(60000000)

/* --- Readings inside open intervals --- */

/* One number for due.h. A source or seq too large for it is not charted at all, rather
 * than confused with another. */
uint64_t chart_ref(struct ledger_id id)
{
    if (id.source == 0 || id.source >> (64 - SEQ_BITS) || id.seq == 0 ||
        id.seq >> SEQ_BITS)
        return 0;
    return (uint64_t)id.source << SEQ_BITS | id.seq;
}

struct ledger_id chart_ref_id(uint64_t ref)
{
    return (struct ledger_id){.source = (uint32_t)(ref >> SEQ_BITS),
                              .seq = ref & ((UINT64_C(1) << SEQ_BITS) - 1)};
}

/* Fibonacci hashing: consecutive numbers, as readings have, spread over the whole table.
 */
static size_t home_of(uint64_t ref)
{
    return (size_t)(ref * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (OPEN_SLOTS - 1);
}

struct open_reading *chart_open_find(struct chart *c, uint64_t ref)
{
    if (ref == 0)
        return NULL;
    for (size_t i = home_of(ref); c->open[i].ref != 0; i = (i + 1) & (OPEN_SLOTS - 1))
        if (c->open[i].ref == ref)
            return &c->open[i];
    return NULL;
}

/* due.h bounds how many are open, to a quarter of the table. */
static struct open_reading *open_add(struct chart *c, uint64_t ref)
{
    size_t i = home_of(ref);
    assert(c->open_count < OPEN_SLOTS / 2);
    while (c->open[i].ref != 0)
        i = (i + 1) & (OPEN_SLOTS - 1);
    c->open[i] = (struct open_reading){.ref = ref};
    c->open_count++;
    return &c->open[i];
}

/* Takes one out and draws up those behind it, so that no search ends too early. */
static void open_remove(struct chart *c, struct open_reading *reading)
{
    size_t hole = (size_t)(reading - c->open), i = hole;
    for (;;) {
        i = (i + 1) & (OPEN_SLOTS - 1);
        if (c->open[i].ref == 0)
            break;
        size_t home = home_of(c->open[i].ref);
        bool stays = hole <= i ? (hole < home && home <= i) : (hole < home || home <= i);
        if (stays)
            continue;
        c->open[hole] = c->open[i];
        hole = i;
    }
    c->open[hole].ref = 0;
    c->open_count--;
}

/* For a reading that is judged again or no longer believed; without a decision. */
void chart_open_drop(struct chart *c, uint64_t ref)
{
    struct open_reading *reading = chart_open_find(c, ref);
    if (!reading)
        return;
    due_forget(c->due, ref);
    open_remove(c, reading);
}

/* --- Whose --- */

/* What no longer opens or decodes is damaged: counted by the ledger, never charted. */
bool chart_read_record(struct chart *c, struct ledger_id id)
{
    size_t n;
    int error = ledger_record(c->ledger, id, c->bytes, &n);
    if (error != 0 && error != LEDGER_DAMAGED && error != LEDGER_NOT_FOUND)
        return chart_fail(c, error);
    return error == 0 && record_decode(c->bytes, n, &c->record, NULL) == 0;
}

/* The reasons for which no stay is even looked up. */
static uint8_t ledger_verdict(struct chart *c, const struct ledger_entry *entry,
                              bool *error)
{
    struct ledger_source source;
    if (entry->conflicted)
        return LEDGER_IDENTITY_CONFLICT;
    int failed = ledger_source_get(c->ledger, entry->id.source, &source);
    if (failed != 0) {
        *error = !chart_fail(c, failed);
        return LEDGER_SOURCE_DOUBTED;
    }
    if (source.doubted && entry->state != LEDGER_CHARTED &&
        entry->state != LEDGER_SENT) /* taken before the doubt */
        return LEDGER_SOURCE_DOUBTED;
    if (!entry->time_known) /* intake said which of the three; a reading that is judged
                               again keeps its word */
        return entry->reason >= LEDGER_TIME_UNKNOWN && entry->reason <= LEDGER_TIME_STORED
                   ? entry->reason
                   : LEDGER_TIME_UNKNOWN;
    return LEDGER_REASON_NONE;
}

/* Both kinds of reason in one number: the ledger's own, or match's, moved up. A reading
 * that is charted already is not held for a doubt that fell on its gateway later. */
uint8_t chart_verdict(struct chart *c, const struct ledger_entry *entry,
                      struct match_result *result, bool *error)
{
    const struct place_slot *place = chart_place(c, entry->place);
    memset(result, 0, sizeof *result);
    *error = false;
    uint8_t reason = ledger_verdict(c, entry, error);
    if (reason != LEDGER_REASON_NONE)
        return reason;
    if (!chart_read_record(c, entry->id)) {
        *error = c->error != 0;
        return LEDGER_RECORD_DAMAGED;
    }
    const struct match_evidence evidence = {
        .place = place->id,
        .mapped = place->mapped,
        .time_known = true,
        .low_us = entry->t_low_us,
        .high_us = entry->t_high_us,
        .census_until_us = c->census_until_us,
        .newborn = c->record.has_subject &&
                   c->record.subject.role == wardgate_Subject_Role_NEWBORN,
        .other_fetus = c->record.has_subject &&
                       c->record.subject.role == wardgate_Subject_Role_FETUS &&
                       c->record.subject.number > 1,
        /* A digest names somebody; whom, only the enrolment key could tell. Held until
           that key is here. */
        .named = c->record.has_subject && c->record.subject.digest.size > 0};
    match_reading(c->census, &evidence, result);
    return result->reason == MATCH_CHART ? LEDGER_REASON_NONE
                                         : (uint8_t)(CHART_REASON_MATCH + result->reason);
}

/* A held reading belongs to nobody: stay and patient are cleared, so that no look-up
 * takes them for true. */
bool chart_hold(struct chart *c, struct ledger_entry *entry, uint8_t reason,
                int64_t now_us)
{
    entry->state = LEDGER_HELD;
    entry->reason = reason;
    entry->stay = entry->patient = 0;
    int error = ledger_update(c->ledger, entry, now_us, WHO_MATCH);
    return error == 0 || chart_fail(c, error);
}

/* --- Due --- */

static uint32_t valid_mask(const wardgate_Record *record)
{
    uint32_t mask = 0;
    for (pb_size_t i = 0; i < record->observations_count && i < DUE_OBSERVATIONS_MAX; i++)
        mask |= (uint32_t)deliver_chartable(&record->observations[i]) << i;
    return mask;
}

static void codes_of(struct chart *c, uint32_t mask)
{
    for (pb_size_t i = 0; i < c->record.observations_count && i < DUE_OBSERVATIONS_MAX;
         i++)
        if ((mask >> i & 1u) && c->charted.count < CHARTED_CODES_MAX)
            c->charted.codes[c->charted.count++] = c->record.observations[i].code;
}

/* Reads which quantities this stay and device have in the chart, or on their way there,
 * for one interval. c->record is the reading that is being fed, so it is put back
 * afterwards. */
static void find_charted(struct chart *c, uint64_t stay, uint64_t device, int64_t from_us,
                         int64_t to_us)
{
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[PAGE];
    wardgate_Record fed = c->record;
    int n;
    c->charted.stay = stay, c->charted.device = device;
    c->charted.from_us = from_us, c->charted.to_us = to_us;
    c->charted.count = 0;
    c->charted.valid = true;
    ledger_cursor_place(&cursor, c->place, from_us - CHARTED_MARGIN_US);
    while ((n = ledger_list_place(c->ledger, c->place, from_us, to_us - 1, &cursor, page,
                                  PAGE)) > 0)
        for (int i = 0; i < n; i++) {
            int64_t middle =
                page[i].t_low_us + (page[i].t_high_us - page[i].t_low_us) / 2;
            bool sent = page[i].state == LEDGER_MATCHED || page[i].state == LEDGER_SENT ||
                        page[i].state == LEDGER_CHARTED;
            if (sent && page[i].stay == stay && page[i].device == device &&
                middle >= from_us && middle < to_us && chart_read_record(c, page[i].id))
                codes_of(c, page[i].charted_mask);
        }
    if (n < 0)
        chart_fail(c, n);
    c->record = fed;
}

/* due.h asks for every quantity of a reading in turn when it opens an interval; the
 * answer for all of them is found once. */
bool chart_was_charted(void *context, uint64_t stay, uint64_t device, uint32_t code,
                       int64_t from_us, int64_t to_us)
{
    struct chart *c = context;
    if (!c->charted.valid || c->charted.stay != stay || c->charted.device != device ||
        c->charted.from_us != from_us || c->charted.to_us != to_us)
        find_charted(c, stay, device, from_us, to_us);
    for (size_t i = 0; i < c->charted.count; i++)
        if (c->charted.codes[i] == code)
            return true;
    return false;
}

/* Its stay is written down too: when that changes, the reading may be due in another. */
static bool keep(struct chart *c, struct ledger_entry *entry,
                 const struct open_reading *open, const char *who, int64_t now_us)
{
    entry->state = LEDGER_KEPT;
    entry->reason = LEDGER_REASON_NONE;
    entry->stay = open->stay, entry->patient = open->original;
    int error = ledger_update(c->ledger, entry, now_us, who ? who : WHO_DUE);
    return error == 0 || chart_fail(c, error);
}

/* The identifiers are the newest that the census has for the patient; whose chart it is,
 * is compared by the original. */
static bool queue(struct chart *c, struct ledger_entry *entry,
                  const struct open_reading *open, const char *who, int64_t now_us)
{
    struct census_visit visit;
    struct target target = {.stay = open->stay,
                            .patient = open->original,
                            .location = open->location};
    size_t count;
    uint64_t newest;
    if (!chart_read_record(c, entry->id))
        return c->error == 0 && chart_hold(c, entry, LEDGER_RECORD_DAMAGED, now_us);
    if (census_visit(c->census, open->stay, &visit))
        target.patient =
            visit.patient; /* after all merges: how the EPR knows the patient now */
    if (!chart_messages(c, entry, DELIVER_RESULT, entry->generation + 1, open->due,
                        &target, now_us, &count, &newest))
        return false;
    if (count == 0)
        return chart_hold(c, entry, CHART_UNPRINTABLE, now_us);
    entry->state = LEDGER_MATCHED;
    entry->reason = LEDGER_REASON_NONE;
    entry->stay = open->stay, entry->patient = open->original;
    entry->generation++;
    entry->message = newest;
    entry->charted_mask = open->due;
    c->charted.valid = false;
    int error = ledger_update(c->ledger, entry, now_us, who ? who : WHO_MATCH);
    return error == 0 || chart_fail(c, error);
}

/* A reading may get its due values in several decisions; it moves with the last one, and
 * all of them are in one message. */
static bool decide(struct chart *c, const struct due_decision *decisions, size_t n,
                   const char *who, int64_t now_us)
{
    for (size_t i = 0; i < n; i++) {
        struct open_reading *reading = chart_open_find(c, decisions[i].ref);
        struct ledger_entry entry;
        if (!reading)
            continue;
        reading->due |= decisions[i].due;
        if (!decisions[i].final)
            continue;
        int error = ledger_get(c->ledger, chart_ref_id(reading->ref), &entry);
        if (error != 0)
            return chart_fail(c, error);
        struct open_reading whole = *reading;
        open_remove(c, reading);
        if (!(whole.due ? queue(c, &entry, &whole, who, now_us)
                        : keep(c, &entry, &whole, who, now_us)))
            return false;
    }
    return true;
}

bool chart_feed(struct chart *c, struct due *due, const struct ledger_entry *entry,
                const struct open_reading *whose, const char *who, int64_t now_us)
{
    const struct due_decision *decisions;
    size_t n;
    struct due_reading reading = {.stay = whose->stay ? whose->stay : whose->original,
                                  .device = entry->device,
                                  .ref = chart_ref(entry->id),
                                  .t_us = entry->t_low_us +
                                          (entry->t_high_us - entry->t_low_us) / 2,
                                  .always = c->record.order_token.size > 0 ||
                                            (c->record.has_time && c->record.time.stored),
                                  .valid = valid_mask(&c->record)};
    for (; reading.n < c->record.observations_count && reading.n < DUE_OBSERVATIONS_MAX;
         reading.n++)
        reading.codes[reading.n] = c->record.observations[reading.n].code;
    struct open_reading *open = open_add(c, reading.ref);
    open->stay = whose->stay, open->original = whose->original,
    open->location = whose->location;
    c->place = entry->place;
    c->charted.valid = false;
    if (due_feed(due, &reading, now_us, &decisions, &n) != 0)
        return chart_fail(c, LEDGER_IO); /* memory: derive anew */
    return c->error == 0 && decide(c, decisions, n, who, now_us);
}

/* Asks first: most runs have nothing to close. */
bool chart_close_intervals(struct chart *c, struct due *due, int64_t until_us,
                           const char *who, int64_t now_us)
{
    const struct due_decision *decisions;
    size_t n;
    if (due_next_us(due) > until_us)
        return true;
    if (due_tick(due, until_us, &decisions, &n) != 0)
        return chart_fail(c, LEDGER_IO);
    return decide(c, decisions, n, who, now_us);
}

/* --- Judging --- */

/* A reading that is in an interval was judged before and waits for it to close. */
bool chart_judge(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    struct match_result result;
    bool error;
    uint64_t ref = chart_ref(entry->id);
    if (chart_open_find(c, ref))
        return true;
    c->counts.judged++;
    uint8_t reason = chart_verdict(c, entry, &result, &error);
    if (error)
        return false;
    if (reason == LEDGER_REASON_NONE && ref == 0)
        reason = CHART_UNPRINTABLE;
    if (reason != LEDGER_REASON_NONE)
        return chart_hold(c, entry, reason, now_us);
    const struct open_reading whose = {.stay = result.stay.stay,
                                       .original = result.stay.original,
                                       .location = result.stay.location};
    return chart_feed(c, c->due, entry, &whose, NULL, now_us);
}

/* The ledger remembers what a ring can't; a scan that is under way starts again. */
static void add_to(struct chart *c, struct waiting *ring, struct ledger_id id)
{
    if (ring->count == ring->size) {
        c->rescan = true;
        c->rescan_state = LEDGER_RECEIVED;
        memset(&c->rescan_cursor, 0, sizeof c->rescan_cursor);
        return;
    }
    ring->ids[(ring->first + ring->count++) & (ring->size - 1)] = id;
}

void chart_unjudged_add(struct chart *c, struct ledger_id id)
{
    add_to(c, &c->urgent, id);
}

/* By the same measure as its message's lane: what is live is charted now, however much
 * of a backlog came before it. Too many at once are a backlog themselves. */
void chart_arrived(struct chart *c, const struct ledger_entry *entry)
{
    bool live =
        entry->time_known && entry->received_us - entry->t_high_us <= c->options.live_us;
    add_to(c, live && c->urgent.count < c->urgent.size ? &c->urgent : &c->backlog,
           entry->id);
}

/* The ring may name readings of a lost batch, or ones that were judged meanwhile. */
static bool judge_one(struct chart *c, struct ledger_id id, int64_t now_us)
{
    struct ledger_entry entry;
    int error = ledger_get(c->ledger, id, &entry);
    if (error == LEDGER_NOT_FOUND)
        return true; /* its batch was lost */
    if (error != 0)
        return chart_fail(c, error);
    if (entry.state != LEDGER_RECEIVED && entry.state != LEDGER_WITHDRAWN)
        return true;
    return chart_judge(c, &entry, now_us);
}

/* A page of the ledger's own lists: first what is received, then what was withdrawn. */
static bool rescan_page(struct chart *c, size_t *looked_at, int64_t now_us)
{
    struct ledger_entry page[PAGE];
    int n = ledger_list(c->ledger, c->rescan_state, LEDGER_ANY, LEDGER_ANY,
                        &c->rescan_cursor, page, PAGE);
    if (n < 0)
        return chart_fail(c, n);
    if (n == 0) {
        c->rescan = c->rescan_state == LEDGER_RECEIVED;
        c->rescan_state = LEDGER_WITHDRAWN;
        memset(&c->rescan_cursor, 0, sizeof c->rescan_cursor);
    }
    for (int i = 0; i < n; i++)
        if (!judge_one(c, page[i].id, now_us))
            return false;
    *looked_at += (size_t)n + 1;
    return true;
}

/* A page of what is held because its bed has no name in the site's table. */
static bool remap_page(struct chart *c, size_t *looked_at, int64_t now_us)
{
    struct ledger_entry page[PAGE];
    int n = ledger_list(c->ledger, LEDGER_HELD, CHART_REASON_MATCH + MATCH_NOT_MAPPED,
                        LEDGER_ANY, &c->remap_cursor, page, PAGE);
    if (n < 0)
        return chart_fail(c, n);
    c->remap = n > 0;
    for (int i = 0; i < n; i++)
        if (!chart_review_held(c, &page[i], now_us))
            return false;
    *looked_at += (size_t)n + 1;
    return true;
}

static bool judge_ring(struct chart *c, struct waiting *ring, size_t *done, size_t max,
                       int64_t now_us)
{
    for (; ring->count > 0 && *done < max; (*done)++) {
        struct ledger_id id = ring->ids[ring->first];
        ring->first = (ring->first + 1) & (ring->size - 1);
        ring->count--;
        if (!judge_one(c, id, now_us))
            return false;
    }
    return true;
}

/* First come first served, live ones before a backlog; the scans are for what memory
 * could not hold. */
bool chart_judge_some(struct chart *c, int64_t now_us)
{
    size_t done = 0, max = chart_busy(c, now_us) ? JUDGE_BUSY_MAX : JUDGE_MAX;
    if (!judge_ring(c, &c->urgent, &done, JUDGE_MAX, now_us))
        return false;
    done = 0;
    if (!judge_ring(c, &c->backlog, &done, max, now_us))
        return false;
    while (c->rescan && done < max)
        if (!rescan_page(c, &done, now_us))
            return false;
    while (c->remap && done < max)
        if (!remap_page(c, &done, now_us))
            return false;
    return true;
}
