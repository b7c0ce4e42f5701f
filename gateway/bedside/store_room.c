/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes when space is needed, decided before a commit and done in it.
 *
 *   below keep water (high water less KEEP_PERCENT)  nothing is deleted
 *   above it    receipted records go, oldest first: the chart has them, they stayed for a
 *               resend only
 *   above high  the oldest waiting readings are replaced by gaps that count them
 *               (store_evict.c), so that the newest always have room
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

#define COMMIT_PAGES 12 /* pages that a commit copies whatever it adds */

/* By the mean of what is stored now; one too many rather than one too few, since what
 * is not freed now is asked for again at the next commit. */
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

/* Planned work has a floor (a commit that frees three records frees nothing that
 * lasts) and a ceiling (no commit may take seconds). */
static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Nothing new is planned while a plan has not been committed: after a commit that
 * failed, the same one is tried again with the same gaps. */
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
        uint64_t n = store_evict(store, clamp(want - freed, chunk, CHUNK_MAX));
        if (n == 0)
            break;
        freed += n;
    }
    return STORE_OK;
}

/* Unless the chart has it already, its seq becomes a gap of one: it is never offered,
 * and never missing without a word. */
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
        if ((error = store_batch_add(store, &record, NULL, true)) != STORE_OK) {
            store->damaged--; /* found again at the next read */
            return error;
        }
    }
    return store_remove(store, seq, seq);
}
