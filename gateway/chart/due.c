/* SPDX-License-Identifier: Apache-2.0
 *
 * Charting intervals. A slot is one quantity's open bucket and knows its leader, the
 * newest valid value so far; a reading is kept in memory only as long as it leads some
 * slot, so the state is a few readings a device.
 */
#include "chart/due_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define DAY_S 86400

/* --- Intervals --- */

/* A cuff is inflated when somebody asks for it, so each of its readings is an event
 * and not a sample of a signal. */
bool due_is_spot(uint32_t code)
{
    switch (code) {
    case 150020:
    case 150021:
    case 150022:
    case 150023: /* non-invasive pressure: systolic, diastolic, mean */
    case 150016: /* pressure as such: a cuff that does not say more */
    case 149546: /* pulse rate from the cuff */
        return true;
    default:
        return false;
    }
}

/* Tables have a few lines: they are gone through. */
uint32_t due_interval_s(const struct due *due, uint32_t code)
{
    uint32_t general = DUE_INTERVAL_DEFAULT_S;
    size_t i;

    for (i = 0; i < due->options.table_count; i++) {
        if (due->table[i].code == code)
            return due->table[i].interval_s;
        if (due->table[i].code == 0)
            general = due->table[i].interval_s;
    }
    return general;
}

/* Rounds down, also before 1970. */
static int64_t floor_to(int64_t us, int64_t step_us)
{
    int64_t rest = us % step_us;

    return us - (rest < 0 ? rest + step_us : rest);
}

/* Buckets of shorter intervals lie wholly inside those of the longest, as all divide a
 * day. */
void due_widen(const struct due *due, int64_t *from_us, int64_t *to_us)
{
    int64_t longest = DUE_INTERVAL_DEFAULT_S;
    size_t i;

    for (i = 0; i < due->options.table_count; i++)
        if (due->table[i].interval_s > longest)
            longest = due->table[i].interval_s;
    longest *= US_PER_S;
    if (*from_us > INT64_MIN + longest)
        *from_us = floor_to(*from_us, longest);
    if (*to_us<INT64_MAX - longest && * to_us> INT64_MIN + longest)
        *to_us = floor_to(*to_us - 1, longest) + longest;
}

/* --- Life --- */

/* An interval that does not divide a day would shift its buckets from day to day. */
static bool intervals_valid(const struct due_options *options)
{
    size_t i;

    for (i = 0; i < options->table_count; i++) {
        uint32_t s = options->table[i].interval_s;

        if (s != 0 && (s > DUE_INTERVAL_MAX_S || DAY_S % s != 0))
            return false;
    }
    return true;
}

/* A restart begins here, too: there is nothing to be loaded. */
struct due *due_new(const struct due_options *options)
{
    struct due *due;

    if (!intervals_valid(options))
        return NULL;
    due = calloc(1, sizeof(*due));
    if (due == NULL)
        return NULL;
    due->options = *options;
    if (due->options.grace_us <= 0)
        due->options.grace_us = DUE_GRACE_US;
    due->next_us = INT64_MAX;
    due->table = calloc(options->table_count + 1, sizeof(*due->table));
    if (due->table == NULL || !due_tables_new(due)) {
        due_free(due);
        return NULL;
    }
    if (options->table_count > 0)
        memcpy(due->table, options->table, options->table_count * sizeof(*due->table));
    return due;
}

/* Open readings are dropped without a decision; feeding them again decides the same. */
void due_free(struct due *due)
{
    if (due == NULL)
        return;
    due_tables_free(due);
    free(due->table);
    free(due->decisions);
    free(due);
}

/* --- Decisions --- */

/* Room for so many more decisions, taken beforehand so that nothing can fail half way. */
static bool reserve(struct due *due, size_t more)
{
    size_t wanted = due->decision_count + more;
    struct due_decision *grown;

    if (wanted <= due->decision_capacity)
        return true;
    wanted = wanted * 2 + 64;
    grown = realloc(due->decisions, wanted * sizeof(*grown));
    if (grown == NULL)
        return false;
    due->decisions = grown;
    due->decision_capacity = wanted;
    return true;
}

/* This reading's entry among the decisions of this call. */
static struct due_decision *decision_for(struct due *due, struct open_reading *reading)
{
    if (reading->call != due->call) {
        reading->call = due->call;
        reading->decision = due->decision_count;
        due->decisions[due->decision_count++] =
            (struct due_decision){.ref = reading->ref};
    }
    return &due->decisions[reading->decision];
}

/* An observation stops leading: it is due, or was overtaken. */
static void resolve(struct due *due, struct open_reading *reading, uint32_t bit,
                    bool is_due)
{
    reading->pending &= ~bit;
    if (is_due)
        decision_for(due, reading)->due |= bit;
    if (reading->pending != 0)
        return;
    decision_for(due, reading)->final = true;
    due_drop_reading(due, reading);
}

/* Backlog comes into buckets that ended long ago; those close when nothing has come
 * for the grace. */
static int64_t close_time(const struct due *due, const struct slot *slot)
{
    int64_t last = slot->to_us > slot->arrived_us ? slot->to_us : slot->arrived_us;

    return last + due->options.grace_us;
}

/* Its leader has won. The last slot takes its place: their order means nothing. */
static void close_slot(struct due *due, struct line *line, size_t at)
{
    struct slot slot = line->slots[at];

    line->slots[at] = line->slots[--line->count];
    resolve(due, slot.leader, slot.bit, true);
}

/* A reading measured at t closes the buckets that ended before it, unless it is so far on
 * that it belongs to another stretch of the stream: live readings go beside a backlog. */
static void close_passed(struct due *due, struct line *line, int64_t t_us)
{
    size_t i;

    for (i = line->count; i > 0; i--) {
        int64_t to_us = line->slots[i - 1].to_us;

        if (to_us <= t_us && t_us - to_us < DUE_STREAM_US)
            close_slot(due, line, i - 1);
    }
}

/* --- Feeding --- */

struct feed {
    struct due *due;
    struct line *line;
    const struct due_reading *reading;
    struct open_reading *open;
    int64_t now_us;
};

/* The handle breaks ties, so that the order of arrival does not. */
static bool is_newer(const struct feed *feed, const struct open_reading *leader)
{
    if (feed->reading->t_us != leader->t_us)
        return feed->reading->t_us > leader->t_us;
    return feed->reading->ref > leader->ref;
}

/* A line has a slot a quantity, now and then two: a search through a few entries. */
static struct slot *find_slot(const struct feed *feed, const struct slot *wanted)
{
    size_t i;

    for (i = 0; i < feed->line->count; i++) {
        struct slot *slot = &feed->line->slots[i];

        if (slot->code == wanted->code && slot->from_us == wanted->from_us &&
            slot->stay == wanted->stay && slot->ordinal == wanted->ordinal)
            return slot;
    }
    return NULL;
}

/* Asked once when a bucket opens, which is a look-up in the ledger a quantity and
 * minute. */
static bool was_charted(const struct feed *feed, const struct slot *slot)
{
    const struct due_options *options = &feed->due->options;

    return options->was_charted != NULL &&
           options->was_charted(options->context, slot->stay, feed->reading->device,
                                slot->code, slot->from_us, slot->to_us);
}

/* Finds whether observation i leads its bucket, and opens the bucket if need be. There is
 * room in the line's slots. */
static void place(struct feed *feed, uint32_t i, int64_t interval_us)
{
    struct slot wanted = {.stay = feed->reading->stay,
                          .code = feed->reading->codes[i],
                          .bit = UINT32_C(1) << i};
    struct slot *slot;
    uint32_t j;

    for (j = 0; j < i; j++)
        wanted.ordinal += feed->reading->codes[j] == wanted.code;
    wanted.from_us = floor_to(feed->reading->t_us, interval_us);
    wanted.to_us = wanted.from_us + interval_us;
    wanted.arrived_us = feed->now_us;
    wanted.leader = feed->open;

    slot = find_slot(feed, &wanted);
    if (slot == NULL) {
        if (was_charted(feed, &wanted))
            return;
        feed->line->slots[feed->line->count++] = wanted;
    } else {
        slot->arrived_us = feed->now_us;
        if (!is_newer(feed, slot->leader))
            return;
        resolve(feed->due, slot->leader, slot->bit, false);
        slot->leader = feed->open;
        slot->bit = wanted.bit;
    }
    feed->open->pending |= wanted.bit;
    if (close_time(feed->due, &wanted) < feed->due->next_us)
        feed->due->next_us = close_time(feed->due, &wanted);
}

/* Every bit of memory that feeding needs, taken first: afterwards nothing can fail. */
static bool prepare(struct feed *feed, uint32_t n)
{
    size_t wanted;
    struct slot *grown;

    feed->line = due_make_line(feed->due, feed->reading->device);
    if (feed->line == NULL || !reserve(feed->due, feed->line->count + n + 1))
        return false;
    wanted = feed->line->count + n;
    if (wanted > feed->line->capacity) {
        grown = realloc(feed->line->slots, wanted * 2 * sizeof(*grown));
        if (grown == NULL)
            return false;
        feed->line->slots = grown;
        feed->line->capacity = wanted * 2;
    }
    feed->open = calloc(1, sizeof(*feed->open));
    return feed->open != NULL;
}

/* Far more open readings than any hospital has devices: the oldest buckets close before
 * their time. */
static bool relieve(struct due *due)
{
    int64_t oldest = INT64_MAX;
    struct line *line;
    size_t i, j;

    if (due->open < DUE_OPEN_MAX)
        return true;
    if (!reserve(due, due->open))
        return false;
    for (i = 0; i < due->line_buckets; i++)
        for (line = due->lines[i]; line != NULL; line = line->next)
            for (j = 0; j < line->count; j++)
                if (line->slots[j].to_us < oldest)
                    oldest = line->slots[j].to_us;
    for (i = 0; i < due->line_buckets; i++)
        for (line = due->lines[i]; line != NULL; line = line->next)
            for (j = line->count; j > 0; j--)
                if (line->slots[j - 1].to_us == oldest)
                    close_slot(due, line, j - 1);
    return true;
}

/* Closing comes first, so that a reading never competes with those of a bucket it
 * ends. All memory is taken before anything changes. */
int due_feed(struct due *due, const struct due_reading *reading, int64_t now_us,
             const struct due_decision **decisions, size_t *n)
{
    struct feed feed = {.due = due, .reading = reading, .now_us = now_us};
    uint32_t count =
                 reading->n < DUE_OBSERVATIONS_MAX ? reading->n : DUE_OBSERVATIONS_MAX,
             i;
    uint32_t now_due = 0, interval_s;

    due->call++;
    due->decision_count = 0;
    *n = 0;
    if (*due_find_reading(due, reading->ref) != NULL)
        return -2;
    if (!relieve(due) || !prepare(&feed, count))
        return -1;
    feed.open->ref = reading->ref;
    feed.open->device = reading->device;
    feed.open->t_us = reading->t_us;
    due_add_reading(due, feed.open);

    close_passed(due, feed.line, reading->t_us);
    for (i = 0; i < count; i++) {
        if ((reading->valid & UINT32_C(1) << i) == 0)
            continue;
        interval_s = due_interval_s(due, reading->codes[i]);
        if (reading->always || interval_s == 0 || due_is_spot(reading->codes[i]))
            now_due |= UINT32_C(1) << i;
        else
            place(&feed, i, interval_s * US_PER_S);
    }
    if (now_due != 0)
        decision_for(due, feed.open)->due = now_due;
    if (feed.open->pending == 0) {
        decision_for(due, feed.open)->final = true;
        due_drop_reading(due, feed.open);
    }
    *decisions = due->decisions;
    *n = due->decision_count;
    return 0;
}

/* --- Time --- */

/* All open slots are looked at, at most once a second: a few thousand comparisons. */
int due_tick(struct due *due, int64_t now_us, const struct due_decision **decisions,
             size_t *n)
{
    int64_t next = INT64_MAX;
    struct line *line;
    size_t i, j;

    due->call++;
    due->decision_count = 0;
    *n = 0;
    if (now_us < due->next_us)
        return 0;
    if (!reserve(due, due->open))
        return -1;
    for (i = 0; i < due->line_buckets; i++)
        for (line = due->lines[i]; line != NULL; line = line->next)
            for (j = line->count; j > 0; j--) {
                int64_t at = close_time(due, &line->slots[j - 1]);

                if (at <= now_us)
                    close_slot(due, line, j - 1);
                else if (at < next)
                    next = at;
            }
    due->next_us = next;
    due_drop_empty_lines(due);
    *decisions = due->decisions;
    *n = due->decision_count;
    return 0;
}

/* A lower bound: slots that closed early or got new arrivals may have moved it on. */
int64_t due_next_us(const struct due *due)
{
    return due->next_us;
}

/* Its slots are dropped rather than handed to whoever it had overtaken: those were
 * decided. */
bool due_forget(struct due *due, uint64_t ref)
{
    struct open_reading *reading = *due_find_reading(due, ref);
    struct line *line;
    size_t i;

    if (reading == NULL)
        return false;
    line = due_find_line(due, reading->device);
    for (i = line->count; i > 0; i--)
        if (line->slots[i - 1].leader == reading)
            line->slots[i - 1] = line->slots[--line->count];
    due_drop_reading(due, reading);
    return true;
}

/* For the status page and for tests of boundedness. */
size_t due_open(const struct due *due)
{
    return due->open;
}
