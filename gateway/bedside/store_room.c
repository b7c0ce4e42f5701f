/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes when space is needed, decided before a commit and done in it.
 *
 *   below keep water (high water less KEEP_PERCENT)  nothing is deleted
 *   above it    receipted records go, oldest first: the chart has them, they stayed for a
 * resend only above high  the oldest waiting readings are replaced by STORE_FULL gaps
 * that count them, so that the newest always have room. What is not a reading (clock
 * fixes, events) is stepped over if it can be
 *
 * LMDB frees pages for the commit after next, and a full map can't even delete: both are
 * why the mark is well below it.
 */
#include <string.h>

#include "bedside/store_internal.h"

#define KEEP_PERCENT 5
#define CHUNK_MIN    64    /* records freed at once: a gap stands for at least so many */
#define CHUNK_MAX    4096  /* of one gap */
#define WANT_MAX     16384 /* records freed for one commit */

#define RUN_MIN      8 /* shorter runs are left: their gap would take the room they free */
#define COMMIT_PAGES 12 /* pages that a commit copies whatever it adds */

static uint64_t records_in(const struct store *store, uint64_t pages)
{
    uint64_t leaves = store->leaf_pages > 0 ? store->leaf_pages : 1;

    return pages * (store->stored / leaves + 1);
}

/* Deletes up to `most` receipted records, oldest first. Returns how many. */
static uint64_t trim(struct store *store, uint64_t most)
{
    uint64_t freed = 0, from = 1;

    for (size_t i = 0; i < store->done.count && freed < most;) {
        const struct range *done = &store->done.items[i];
        uint64_t first = done->first > from ? done->first : from, last = done->last;
        size_t j;
        /* Step over what is deleted already. */
        for (j = 0; j < store->absent.count && store->absent.items[j].last < first; j++)
            continue;
        if (j < store->absent.count && store->absent.items[j].first <= first) {
            from = store->absent.items[j].last + 1;
            if (from > done->last)
                i++;
            continue;
        }
        if (first > last || first >= store->next) {
            i++;
            continue;
        }
        if (j < store->absent.count && store->absent.items[j].first <= last)
            last = store->absent.items[j].first - 1;
        if (last - first >= most - freed)
            last = first + (most - freed) - 1;
        if (store_remove(store, first, last) != STORE_OK)
            break;
        freed += last - first + 1;
        from = last + 1;
    }
    return freed;
}

struct run { /* readings that one gap will stand for */
    struct store *store;
    uint64_t want, n, first, last;
    uint64_t seen;      /* records looked at */
    uint64_t readings;  /* among the n */
    uint64_t from_seq;  /* earliest that an older gap in the run stood for */
    uint64_t step_over; /* where the first record after a kept one is */
    uint64_t expected;  /* next seq that must be there unless it is deleted */
    bool hole;
    bool all; /* second try: nothing is kept */
    wardgate_Gap gap;
    wardgate_Record record; /* scratch */
};

/* Adds what a record stands for to the gap. */
static void run_count(struct run *run)
{
    const wardgate_Record *record = &run->record;

    if (record->kind == wardgate_Record_Kind_READING) {
        run->gap.count++;
        run->readings++;
    } else if (record->kind == wardgate_Record_Kind_GAP) {
        run->gap.count += record->gap.count_unknown ? 0 : record->gap.count;
        if (record->gap.count_unknown)
            run->gap.count_unknown = true;
        if (record->gap.from_seq != 0 && record->gap.from_seq < run->from_seq)
            run->from_seq = record->gap.from_seq;
    }
    if (!record->has_time)
        return;
    if (!run->gap.has_from) {
        run->gap.has_from = true;
        run->gap.from = record->kind == wardgate_Record_Kind_GAP && record->gap.has_from
                            ? record->gap.from
                            : record->time;
    }
    run->gap.has_to = true;
    run->gap.to = record->time;
}

static enum store_visit run_visit(void *context, uint64_t seq, const uint8_t *sealed,
                                  size_t size, uint64_t *skip_to)
{
    struct run *run = context;
    struct store *store = run->store;
    size_t n;

    if (seq < run->expected || store_hole(&store->absent, run->expected, seq)) {
        run->hole = true; /* it must not vanish inside a gap that does not count it */
        return STORE_STOP;
    }
    run->expected = seq + 1;
    if (++run->seen > 8 * run->want)
        return STORE_STOP;
    for (size_t i = 0; i < store->done.count; i++) {
        const struct range *done = &store->done.items[i];
        if (seq < done->first)
            break;
        if (seq <= done->last) {
            run->expected = *skip_to = done->last + 1;
            return STORE_GO_ON;
        }
    }
    if (store_unseal(store, seq, sealed, size, store->item, &n) != CRYPTO_OK ||
        !store_item_decode(store->item, n, &run->record)) {
        store->damaged++;
        memset(&run->record, 0, sizeof(run->record));
        run->record.kind = wardgate_Record_Kind_READING; /* the most it can have been */
    }
    if (!run->all && run->record.kind != wardgate_Record_Kind_READING &&
        run->record.kind != wardgate_Record_Kind_GAP) {
        if (run->n >= RUN_MIN)
            return STORE_STOP;
        run->step_over = seq + 1;
        run->n = run->readings = 0;
        memset(&run->gap, 0, sizeof(run->gap));
        return STORE_GO_ON;
    }
    if (run->n++ == 0)
        run->first = run->from_seq = seq;
    run->last = seq;
    run_count(run);
    return run->n >= run->want ? STORE_STOP : STORE_GO_ON;
}

/* Finds the oldest run of at most `most` records from `from` on. False if there is none.
 */
static bool find_run(struct store *store, uint64_t from, uint64_t most, bool all,
                     struct run *run)
{
    memset(run, 0, sizeof(*run));
    run->store = store;
    run->expected = from;
    run->want = most;
    run->all = all;
    if (from >= store->next ||
        store_walk(store, from, store->next - 1, run_visit, run) != STORE_OK || run->hole)
        return false;
    if (run->step_over > 0)
        store->evict_from = run->step_over;
    return run->n > 0;
}

/* Replaces up to `most` of the oldest waiting readings by one gap. Returns how many
 * records will go; 0: none could. */
static uint64_t evict(struct store *store, uint64_t most)
{
    struct run run;
    uint64_t oldest = store_oldest_unreceipted(store);
    uint64_t from = oldest > store->evict_from ? oldest : store->evict_from;

    /* A store of nothing but events and clock fixes must give way too. */
    if (!find_run(store, from, most, false, &run) &&
        !find_run(store, oldest, most, true, &run))
        return 0;
    run.gap.reason = wardgate_Gap_Reason_STORE_FULL;
    run.gap.from_seq = run.from_seq;
    run.gap.to_seq = run.last;
    memset(&run.record, 0, sizeof(run.record));
    run.record.kind = wardgate_Record_Kind_GAP;
    run.record.has_gap = true;
    run.record.gap = run.gap;
    if (run.gap.has_to) {
        run.record.has_time = true;
        run.record.time = run.gap.to;
    }
    /* The gap and the deletions ride in one commit, or neither does. */
    if (store_batch_add(store, &run.record, true) != STORE_OK ||
        store_remove(store, run.first, run.last) != STORE_OK)
        return 0;
    store->evicted += run.readings;
    return run.n;
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

int store_make_room(struct store *store)
{
    uint64_t high = store->map_pages * store->high_water / 100;
    uint64_t keep = store->map_pages * (store->high_water - KEEP_PERCENT) / 100;
    uint64_t coming = store->batch.used / (store->page_size * 3 / 4) + COMMIT_PAGES;
    uint64_t used = store->used_pages + coming, chunk, want, freed;

    if (used <= keep || store->removal.count > 0) /* planned, and not yet committed */
        return STORE_OK;
    chunk = clamp(store->stored / 64, CHUNK_MIN, CHUNK_MAX);
    want = clamp(records_in(store, used - keep), chunk, WANT_MAX);
    freed = trim(store, want);
    if (used <= high)
        return STORE_OK;
    want = clamp(records_in(store, used - high), chunk, WANT_MAX);
    while (freed < want) {
        uint64_t n = evict(store, clamp(want - freed, chunk, CHUNK_MAX));
        if (n == 0)
            break;
        freed += n;
    }
    return STORE_OK;
}

int store_damaged(struct store *store, uint64_t seq)
{
    wardgate_Record record;
    int error;

    store->damaged++;
    if (!ranges_has(&store->done, seq)) {
        memset(&record, 0, sizeof(record));
        record.kind = wardgate_Record_Kind_GAP;
        record.has_gap = true;
        record.gap.reason = wardgate_Gap_Reason_RECORD_DAMAGED;
        record.gap.count = 1;
        record.gap.from_seq = record.gap.to_seq = seq;
        if ((error = store_batch_add(store, &record, true)) != STORE_OK) {
            store->damaged--; /* found again at the next read */
            return error;
        }
    }
    return store_remove(store, seq, seq);
}
