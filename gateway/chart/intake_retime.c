/* SPDX-License-Identifier: Apache-2.0
 *
 * Clock fixes come late: what they say of readings that are in the ledger already. The
 * work to do is a small value in the ledger, written with the fix and dropped with the
 * last reading looked at, so that no restart forgets it.
 */
#include <stdlib.h>
#include <string.h>

#include "chart/intake_internal.h"

#define WORK_PREFIX_SIZE 7
#define PAGE             64 /* entries looked at together */

/* Key: prefix, source, fix seq. Value: what to look at. */
struct work {
    uint32_t source, gateway;
    uint64_t seq, boot, low_us,
        high_us; /* monotonic times that the fix may speak of, inclusive */
};

#define WORK_KEY_SIZE   (WORK_PREFIX_SIZE + 12)
#define WORK_VALUE_SIZE (4 + 3 * 8)

static const uint8_t work_prefix[WORK_PREFIX_SIZE] = {'r', 'e', 't', 'i', 'm', 'e', '/'};

/* The note of work is a row like others: big-endian. */
static void be32(uint8_t *at, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        at[i] = (uint8_t)v;
}

/* Eight bytes of it. */
static void be64(uint8_t *at, uint64_t v)
{
    be32(at, (uint32_t)(v >> 32));
    be32(at + 4, (uint32_t)v);
}

/* The reverse of be32(). */
static uint32_t from32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The reverse of be64(). */
static uint64_t from64(const uint8_t *at)
{
    return (uint64_t)from32(at) << 32 | from32(at + 4);
}

/* --- fixes around a time --- */

/* What the fixes say around a monotonic time. Readings come in order, so the
 * answer for the last one nearly always holds for the next: it is valid until the
 * following fix, and is thrown away when a fix is added or a batch is lost. */
int intake_fixes(struct intake *intake, uint32_t gateway, uint64_t boot,
                 uint64_t monotonic_us, const struct timebase_fixes **fixes)
{
    struct fix_cache *cache = &intake->fixes;
    int error;

    *fixes = &cache->fixes;
    if (cache->valid && cache->gateway == gateway && cache->boot == boot &&
        monotonic_us >= cache->low && monotonic_us <= cache->high)
        return LEDGER_OK;
    cache->valid = false;
    if ((error = ledger_fix_near(intake->ledger, gateway, boot, monotonic_us,
                                 &cache->fixes)) != LEDGER_OK)
        return error;
    cache->gateway = gateway;
    cache->boot = boot;
    cache->low = cache->fixes.has_before ? cache->fixes.before.monotonic_us : 0;
    cache->high =
        cache->fixes.has_after ? cache->fixes.after.monotonic_us - 1 : UINT64_MAX;
    cache->valid = true;
    return LEDGER_OK;
}

/* Adds the fix and notes what has to be looked at again. The note rides in the
 * same batch: there is no instant at which the fix is known and its consequences
 * are forgotten. */
int intake_fix(struct intake *intake, const struct ledger_entry *entry,
               const wardgate_ClockFix *wire)
{
    struct timebase_fix fix = {wire->monotonic_us, wire->utc_us, wire->uncertainty_ms};
    uint8_t key[WORK_KEY_SIZE], value[WORK_VALUE_SIZE];
    struct timebase_fixes near;
    uint64_t low = 0, high = UINT64_MAX;
    int added, error;

    if ((error = ledger_fix_near(intake->ledger, entry->gateway, wire->boot,
                                 wire->monotonic_us, &near)) != LEDGER_OK ||
        (added = error =
             ledger_fix_add(intake->ledger, entry->gateway, wire->boot, &fix)) < 0)
        return error;
    if (added == LEDGER_SAME)
        return LEDGER_OK;
    intake->fixes.valid = false;
    /* A fix that fits its neighbours speaks of what lies between them; one that does not,
     * of the whole boot. */
    if (added == LEDGER_NEW) {
        low = near.has_before ? near.before.monotonic_us : 0;
        high = near.has_after ? near.after.monotonic_us : UINT64_MAX;
    }
    memcpy(key, work_prefix, WORK_PREFIX_SIZE);
    be32(key + WORK_PREFIX_SIZE, entry->id.source);
    be64(key + WORK_PREFIX_SIZE + 4, entry->id.seq);
    be32(value, entry->gateway);
    be64(value + 4, wire->boot);
    be64(value + 12, low);
    be64(value + 20, high);
    intake->retime.loaded = false;
    return ledger_value_put(intake->ledger, key, sizeof(key), value, sizeof(value));
}

/* --- one reading --- */

/* Writes a new interval, or that there is none. Whoever holds the reading for its time
 * lets it go; whoever sent it on learns of it by the hook. */
static int entry_time(struct intake *intake, struct ledger_entry *entry,
                      const struct timebase_interval *is, int64_t now_us)
{
    struct ledger_source source;
    bool early, for_time;
    int error;

    if (intake->hooks.retiming != NULL)
        intake->hooks.retiming(intake->hooks.context, entry);
    early = entry->state == LEDGER_RECEIVED || entry->state == LEDGER_KEPT ||
            entry->state == LEDGER_HELD;
    for_time = entry->state == LEDGER_HELD && (entry->reason == LEDGER_TIME_UNKNOWN ||
                                               entry->reason == LEDGER_TIME_DISPUTED);
    /* The interval first; then who was waiting for it, or relied on the old one. */
    entry->time_known = is->known;
    entry->t_low_us = is->low_us;
    entry->t_high_us = is->high_us;
    if (!is->known && early && (for_time || entry->state != LEDGER_HELD)) {
        entry->state = LEDGER_HELD;
        entry->reason = timebase_reason(is->verdict);
    } else if (is->known && for_time) {
        if ((error = ledger_source_get(intake->ledger, entry->id.source, &source)) !=
            LEDGER_OK)
            return error;
        entry->state = source.doubted ? LEDGER_HELD : LEDGER_RECEIVED;
        entry->reason = source.doubted ? LEDGER_SOURCE_DOUBTED : LEDGER_REASON_NONE;
    }
    if ((error = ledger_update(intake->ledger, entry, now_us, "intake")) != LEDGER_OK)
        return error;
    if (intake->hooks.retimed != NULL)
        intake->hooks.retimed(intake->hooks.context, entry);
    return LEDGER_OK;
}

/* A reading without a time: its own words are needed. */
static int review_untimed(struct intake *intake, struct ledger_entry *entry,
                          int64_t now_us)
{
    const struct timebase_fixes *fixes;
    struct timebase_interval is;
    size_t n;
    int error = ledger_record(intake->ledger, entry->id, intake->bytes, &n);

    if (error == LEDGER_DAMAGED ||
        (error == LEDGER_OK &&
         record_decode(intake->bytes, n, &intake->record, NULL) != WIRE_OK))
        return LEDGER_OK; /* it stays held; damage is counted */
    if (error != LEDGER_OK ||
        (error = intake_fixes(intake, entry->gateway, entry->boot, entry->monotonic_us,
                              &fixes)) != LEDGER_OK)
        return error;
    timebase_resolve(intake->record.has_time ? &intake->record.time : NULL, fixes, &is);
    return is.known ? entry_time(intake, entry, &is, now_us) : LEDGER_OK;
}

/* A reading that has an interval: its own numbers are enough, nothing is unsealed.
 * An interval that the fixes allow stays as it is, so most readings cost one look. */
static int review_timed(struct intake *intake, struct ledger_entry *entry, int64_t now_us)
{
    const struct timebase_fixes *fixes;
    struct timebase_interval is;
    int error =
        intake_fixes(intake, entry->gateway, entry->boot, entry->monotonic_us, &fixes);

    if (error != LEDGER_OK)
        return error;
    /* The same interval again is the usual case: nothing is written. */
    timebase_review(entry->t_low_us, entry->t_high_us, entry->monotonic_us, fixes, &is);
    if (is.known && is.low_us == entry->t_low_us && is.high_us == entry->t_high_us)
        return LEDGER_OK;
    return entry_time(intake, entry, &is, now_us);
}

/* --- the work --- */

enum phase { PHASE_UNTIMED, PHASE_BACK, PHASE_ON, PHASE_DONE };

/* First, those that nobody could place in time. They leave the index as they get a
 * time, and those that still have none are passed by the cursor. */
static int step_untimed(struct intake *intake, const struct work *work, int64_t now_us)
{
    struct ledger_entry page[PAGE];
    int n = ledger_list_untimed(intake->ledger, work->gateway, work->boot,
                                &intake->retime.untimed, page, PAGE);

    for (int i = 0; i < n; i++) {
        int error = review_untimed(intake, &page[i], now_us);
        if (error != LEDGER_OK)
            return error;
    }
    /* All of them seen. Those that came while this went on have got their time at
     * once. */
    if (n == 0) {
        intake->retime.phase = PHASE_BACK;
        intake->retime.at = work->seq;
    }
    return n;
}

/* Looks at up to a page of seqs from first on. *past is set once the readings are beyond
 * what the fix speaks of, on the side given: records of a boot follow each other. */
static int review_page(struct intake *intake, const struct work *work, uint64_t first,
                       uint64_t last, bool on, bool *past, int64_t now_us)
{
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[PAGE];
    int n = ledger_list_source(intake->ledger, work->source, first, &cursor, page, PAGE),
        seen = 0;

    *past = false;
    for (int i = 0; i < n && page[i].id.seq <= last; i++) {
        struct ledger_entry *entry = &page[i];
        int error;

        seen++;
        /* Gaps and fixes have no interval; some have no boot either. */
        if (entry->kind != wardgate_Record_Kind_READING)
            continue;
        if (entry->boot != work->boot || entry->monotonic_us < work->low_us ||
            entry->monotonic_us > work->high_us) {
            *past = *past || on || entry->boot != work->boot ||
                    entry->monotonic_us < work->low_us;
            continue;
        }
        if (entry->time_known &&
            (error = review_timed(intake, entry, now_us)) != LEDGER_OK)
            return error;
    }
    return n < 0 ? n : seen;
}

/* Then backwards from the fix, a page at a time, to where its boot began or the
 * fix before it speaks. */
static int step_back(struct intake *intake, const struct work *work, int64_t now_us)
{
    uint64_t last = intake->retime.at - 1, first = last > PAGE ? last - PAGE + 1 : 1;
    bool past = true;
    int n = last > 0 ? review_page(intake, work, first, last, false, &past, now_us) : 0;

    if (n < 0)
        return n;
    intake->retime.at = first;
    if (past || first <= 1) {
        intake->retime.phase = PHASE_ON;
        intake->retime.at = work->seq + 1;
    }
    return n + 1;
}

/* Then forwards: records that came before the fix did, though they were written
 * after it. */
static int step_on(struct intake *intake, const struct work *work, int64_t now_us)
{
    uint64_t first = intake->retime.at;
    bool past;
    int n = review_page(intake, work, first, first + PAGE - 1, true, &past, now_us);
    struct ledger_source source;

    if (n < 0)
        return n;
    intake->retime.at = first + PAGE;
    if (past || ledger_source_get(intake->ledger, work->source, &source) != LEDGER_OK ||
        intake->retime.at > source.head)
        intake->retime.phase = PHASE_DONE;
    return n + 1;
}

/* Finds the next piece of work, if the one under way is not known. */
static int work_load(struct intake *intake, struct work *work)
{
    struct retime *at = &intake->retime;
    uint8_t *value;
    size_t n;
    int error;

    if (!at->loaded) {
        memset(at, 0, sizeof(*at));
        error = ledger_value_next(intake->ledger, work_prefix, WORK_PREFIX_SIZE, NULL, 0,
                                  at->key, &at->key_size);
        if (error != LEDGER_OK && error != LEDGER_NOT_FOUND)
            return error;
        at->loaded = true;
        at->any = error == LEDGER_OK;
    }
    if (!at->any)
        return LEDGER_NOT_FOUND;
    if ((error = ledger_value_get(intake->ledger, at->key, at->key_size, &value, &n)) !=
        LEDGER_OK)
        return error;
    if (at->key_size == WORK_KEY_SIZE && n == WORK_VALUE_SIZE)
        *work = (struct work){
            .source = from32(at->key + WORK_PREFIX_SIZE),
            .seq = from64(at->key + WORK_PREFIX_SIZE + 4),
            .gateway = from32(value),
            .boot = from64(value + 4),
            .low_us = from64(value + 12),
            .high_us = from64(value + 20),
        };
    else
        at->phase = PHASE_DONE; /* not ours to understand: drop it */
    free(value);
    return LEDGER_OK;
}

/* One piece of work after the other, each in its phases. Where it stands is only
 * in memory: after a restart a piece begins anew, and finds its readings as it has
 * left them. */
int intake_work(struct intake *intake, int max, int64_t now_us)
{
    int done = 0;

    while (done < max) {
        struct work work = {0};
        int n, error = work_load(intake, &work);

        if (error == LEDGER_NOT_FOUND)
            break;
        if (error != LEDGER_OK)
            return error;
        switch (intake->retime.phase) {
        case PHASE_UNTIMED:
            n = step_untimed(intake, &work, now_us);
            break;
        case PHASE_BACK:
            n = step_back(intake, &work, now_us);
            break;
        case PHASE_ON:
            n = step_on(intake, &work, now_us);
            break;
        default:
            n = ledger_value_drop(intake->ledger, intake->retime.key,
                                  intake->retime.key_size);
            intake->retime.loaded = false;
            break;
        }
        if (n < 0)
            return n;
        done += n > 0 ? n : 1;
    }
    return done;
}
