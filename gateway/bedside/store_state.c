/* SPDX-License-Identifier: Apache-2.0
 *
 * What a commit keeps beside the records, receipts, and what is asked about them.
 * Everything here costs the same whatever is queued: sets of seqs are ranges, and a chart
 * that works leaves few of them.
 */
#include <stdlib.h>
#include <string.h>

#include "bedside/store_internal.h"

#define STATE_FORMAT 2
#define STATE_TAG    'S'
#define STATE_HEAD   (2 + 6 * 8 + DIGEST_SIZE + 2 * 8)
#define EPOCH_ENTRY  (EPOCH_SIZE + 8)
#define LAST_HEAD    (2 + 7 * 8)

/* A bounds-checked cursor over bytes from the file. */
struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

/* Like take: past the end the cursor stays failed and gives zeros, so that a decoder
 * reads its fields in order and asks once, at the end. */
static uint64_t take64(struct cursor *in)
{
    uint64_t value;

    if (in->end - in->at < 8) {
        in->failed = true;
        return 0;
    }
    value = store_get64(in->at);
    in->at += 8;
    return value;
}

static void take(struct cursor *in, void *out, size_t n)
{
    if ((size_t)(in->end - in->at) < n) {
        in->failed = true;
        return;
    }
    memcpy(out, in->at, n);
    in->at += n;
}

static uint8_t *give64(uint8_t *out, uint64_t value)
{
    store_put64(out, value);
    return out + 8;
}

/* Nonces of a session count from its beginning, so it must never begin twice: its id
 * is random, and on disk before anything is sealed under it. The list also tells
 * salvage which of two records of one seq came later. */
int store_new_session(struct store *store, struct store_epoch *epoch)
{
    int error;

    if (epoch->seal == NULL &&
        seal_new(&store->key, &epoch->id, &epoch->seal) != CRYPTO_OK)
        return STORE_SYSTEM;
    /* Synced before the first record is sealed under it. */
    error = store_sessions_add(store->folder, seal_session(epoch->seal));
    if (error != 0)
        return store_failed(store, STORE_IO, "%s/" STORE_SESSIONS ": %s", store->folder,
                            strerror(-error));
    return STORE_OK;
}

/* From the newest down: nearly every question is about it. A seq below the oldest
 * epoch's first is given to that one, and its seal then says no. */
const struct store_epoch *store_epoch_of(const struct store *store, uint64_t seq)
{
    size_t i = store->epoch_count;

    while (i > 1 && store->epochs[i - 1].first > seq)
        i--;
    return &store->epochs[i - 1];
}

/* Plain and without a seal: the seal's own key is derived from the epoch, so this is
 * what must be readable first. A flipped bit in it makes whatever was sealed under it
 * refuse to open, which is noticed. */
size_t store_epochs_encode(const struct store *store, uint8_t *out)
{
    uint8_t *at = out;

    for (size_t i = 0; i < store->epoch_count; i++) {
        memcpy(at, store->epochs[i].id.bytes, EPOCH_SIZE);
        at = give64(at + EPOCH_SIZE, store->epochs[i].first);
    }
    return (size_t)(at - out);
}

/* Equal firsts are allowed: an epoch that ended before it gave a seq (a store copied
 * twice without a reading) has none of its own. */
int store_epochs_decode(struct store *store, const uint8_t *bytes, size_t n)
{
    struct cursor in = {bytes, bytes + n, false};
    size_t count = n / EPOCH_ENTRY;

    if (n == 0 || n % EPOCH_ENTRY != 0 || count > STORE_EPOCHS_MAX)
        return STORE_BROKEN;
    for (size_t i = 0; i < count; i++) {
        take(&in, store->epochs[i].id.bytes, EPOCH_SIZE);
        store->epochs[i].first = take64(&in);
        if (store->epochs[i].first == 0 ||
            (i > 0 && store->epochs[i].first < store->epochs[i - 1].first))
            return STORE_BROKEN;
    }
    store->epoch_count = count;
    return STORE_OK;
}

/* Seals n bytes of plain under seq 0 with the present epoch. */
/* Seq 0 is no record's, so a note never passes for one; which note it is, says the
 * tag it begins with. */
static int seal_note(struct store *store, const uint8_t *plain, size_t n, uint8_t *out,
                     size_t capacity)
{
    if (n + SEAL_OVERHEAD > capacity)
        return STORE_INVALID;
    if (seal_close(store->epochs[store->epoch_count - 1].seal, 0, plain, n, out) !=
        CRYPTO_OK)
        return STORE_SYSTEM;
    return (int)(n + SEAL_OVERHEAD);
}

/* Opens a note of any epoch that is still listed: after a new epoch began, older notes
 * are of the one before. */
static int unseal_note(struct store *store, const uint8_t *sealed, size_t size,
                       uint8_t *out, size_t *n)
{
    for (size_t i = store->epoch_count; i > 0; i--)
        if (seal_open(store->epochs[i - 1].seal, 0, sealed, size, out, n) == CRYPTO_OK)
            return STORE_OK;
    return STORE_BROKEN;
}

static uint8_t *give_ranges(uint8_t *out, const struct ranges *set)
{
    for (size_t i = 0; i < set->count; i++) {
        out = give64(out, set->items[i].first);
        out = give64(out, set->items[i].last);
    }
    return out;
}

/* next is given and not taken from the store: inside a commit the head is what the
 * commit makes of it, and that is not true yet in memory. */
int store_state_encode(struct store *store, uint64_t next, uint8_t *out, size_t capacity)
{
    size_t ranges = store->done.count + store->absent.count;
    uint8_t *plain = malloc(STATE_HEAD + ranges * 16), *at = plain;
    int n;

    if (plain == NULL)
        return STORE_SYSTEM;
    *at++ = STATE_TAG;
    *at++ = STATE_FORMAT;
    at = give64(at, store->transaction);
    at = give64(at, next);
    at = give64(at, store->unreceipted_bytes);
    at = give64(at, (uint64_t)store->committed_utc_us);
    at = give64(at, store->evicted);
    at = give64(at, store->damaged);
    memcpy(at, store->home, DIGEST_SIZE);
    at = give64(at + DIGEST_SIZE, store->done.count);
    at = give64(at, store->absent.count);
    at = give_ranges(at, &store->done);
    at = give_ranges(at, &store->absent);
    n = seal_note(store, plain, (size_t)(at - plain), out, capacity);
    free(plain);
    return n;
}

/* Through ranges_add and not copied: whatever the file says, what is in memory is a
 * set that ascends and does not overlap. */
static bool take_ranges(struct cursor *in, uint64_t count, struct ranges *set)
{
    for (uint64_t i = 0; i < count && !in->failed; i++) {
        uint64_t first = take64(in), last = take64(in);
        if (in->failed || first == 0 || first > last || ranges_add(set, first, last) != 0)
            return false;
    }
    return !in->failed;
}

/* Every byte must be used: a state of another format that happens to begin alike is
 * not half believed. */
int store_state_decode(struct store *store, const uint8_t *sealed, size_t n)
{
    uint8_t *plain = malloc(n), tag[2] = {0, 0};
    struct cursor in;
    uint64_t done, absent;
    int error = STORE_BROKEN;

    if (plain == NULL)
        return STORE_SYSTEM;
    if (unseal_note(store, sealed, n, plain, &n) != STORE_OK)
        goto out;
    in = (struct cursor){plain, plain + n, false};
    take(&in, tag, 2);
    store->transaction = take64(&in);
    store->next = take64(&in);
    store->unreceipted_bytes = take64(&in);
    store->committed_utc_us = (int64_t)take64(&in);
    store->evicted = take64(&in);
    store->damaged = take64(&in);
    take(&in, store->home, DIGEST_SIZE);
    done = take64(&in);
    absent = take64(&in);
    if (!in.failed && tag[0] == STATE_TAG && tag[1] == STATE_FORMAT && store->next >= 1 &&
        take_ranges(&in, done, &store->done) &&
        take_ranges(&in, absent, &store->absent) && in.at == in.end)
        error = STORE_OK;
out:
    free(plain);
    return error;
}

/* The observations are left out: this only has to say when a device was last heard, so
 * that a restart knows where its gap begins. */
int store_last_encode(struct store *store, const struct store_device *device,
                      uint8_t *out, size_t capacity)
{
    uint8_t plain[LAST_HEAD + sizeof(device->id)], *at = plain;
    size_t n = strlen(device->id);

    *at++ = STORE_KEY_LAST;
    *at++ = (uint8_t)((device->has_sample ? 1 : 0) | (device->time.stored ? 2 : 0));
    at = give64(at, device->seq);
    at = give64(at, device->sample);
    at = give64(at, device->time.boot);
    at = give64(at, device->time.monotonic_us);
    at = give64(at, (uint64_t)device->time.utc_us);
    at = give64(at, (uint64_t)device->time.sync);
    at = give64(at, device->time.uncertainty_ms);
    memcpy(at, device->id, n);
    return seal_note(store, plain, (size_t)(at - plain) + n, out, capacity);
}

/* A last reading that can't be opened costs its device the beginning of a RESTART gap,
 * and nothing else: the caller goes on without it. */
int store_last_decode(struct store *store, const uint8_t *sealed, size_t n,
                      struct store_device *device)
{
    uint8_t plain[LAST_HEAD + sizeof(device->id)], head[2] = {0, 0};
    struct cursor in;
    size_t left;
    uint64_t sync;

    if (n > sizeof(plain) + SEAL_OVERHEAD ||
        unseal_note(store, sealed, n, plain, &n) != STORE_OK)
        return STORE_BROKEN;
    memset(device, 0, sizeof(*device));
    in = (struct cursor){plain, plain + n, false};
    take(&in, head, 2);
    device->seq = take64(&in);
    device->sample = take64(&in);
    device->time.boot = take64(&in);
    device->time.monotonic_us = take64(&in);
    device->time.utc_us = (int64_t)take64(&in);
    sync = take64(&in);
    device->time.uncertainty_ms = (uint32_t)take64(&in);
    left = (size_t)(in.end - in.at);
    if (in.failed || head[0] != STORE_KEY_LAST ||
        sync > wardgate_TimeBlock_Sync_HOLDOVER || left == 0 ||
        left >= sizeof(device->id))
        return STORE_BROKEN;
    device->time.sync = (wardgate_TimeBlock_Sync)sync;
    device->has_sample = (head[1] & 1) != 0;
    device->time.stored = (head[1] & 2) != 0;
    take(&in, device->id, left);
    return STORE_OK;
}

int store_unseal(struct store *store, uint64_t seq, const uint8_t *sealed, size_t size,
                 uint8_t *out, size_t *n)
{
    return seal_open(store_epoch_of(store, seq)->seal, seq, sealed, size, out, n);
}

const uint8_t *store_item_record(const uint8_t *item, size_t n, size_t *size)
{
    size_t head = 1, length = 0;

    /* Tag, then a length of one or two bytes: the seal held, so this is what
     * envelope_item wrote. */
    for (unsigned shift = 0; head < n && head <= 2; shift += 7) {
        length |= (size_t)(item[head] & 0x7f) << shift;
        if ((item[head++] & 0x80) == 0)
            break;
    }
    if (head >= n || length != n - head)
        return NULL;
    *size = length;
    return item + head;
}

/* fresh of the waiting records wait no longer. Sizes are not looked up: a share of the
 * bytes goes with a share of the records, and all of them with the last. */
static void wait_no_longer(struct store *store, uint64_t fresh)
{
    uint64_t waiting = store_unreceipted(store, 1, store->next - 1);

    if (fresh >= waiting)
        store->unreceipted_bytes = 0;
    else
        store->unreceipted_bytes -= (uint64_t)((double)store->unreceipted_bytes *
                                               ((double)fresh / (double)waiting));
}

/* All three in one: done, so that it is not offered; absent, so that nobody looks for
 * it; removal, so that the next commit deletes it. A commit that fails keeps the plan. */
int store_remove(struct store *store, uint64_t first, uint64_t last)
{
    store->changed = true;
    wait_no_longer(store, store_unreceipted(store, first, last));
    if (ranges_add(&store->done, first, last) != 0 ||
        ranges_add(&store->absent, first, last) != 0 ||
        ranges_add(&store->removal, first, last) != 0)
        return STORE_SYSTEM;
    return STORE_OK;
}

/* The lowest seq from `from` on that is not in the set. */
static uint64_t first_outside(const struct ranges *set, uint64_t from)
{
    for (size_t i = 0; i < set->count && set->items[i].first <= from; i++)
        if (set->items[i].last >= from)
            return set->items[i].last + 1;
    return from;
}

/* Whether something of expected..seq-1 should be in the file and is not. LMDB steps
 * over a page whose header is damaged and says nothing, so each reader asks this at
 * every record. */
bool store_hole(const struct ranges *set, uint64_t expected, uint64_t seq)
{
    return seq > expected && ranges_overlap(set, expected, seq - 1) != seq - expected;
}

/* O(ranges), like all that follow: a chart that works leaves one or two. */
uint64_t store_first(const struct store *store)
{
    uint64_t first = first_outside(&store->absent, 1);

    return first < store->next ? first : store->next;
}

uint64_t store_oldest_unreceipted(const struct store *store)
{
    uint64_t first = first_outside(&store->done, 1);

    return first < store->next ? first : store->next;
}

uint64_t store_unreceipted(const struct store *store, uint64_t first, uint64_t last)
{
    if (last >= store->next)
        last = store->next - 1;
    if (first == 0)
        first = 1;
    if (first > last)
        return 0;
    return last - first + 1 - ranges_overlap(&store->done, first, last);
}

/* The seqs of an epoch: [*first, *end). False if the store does not know it. */
static bool epoch_span(const struct store *store, const struct epoch *epoch,
                       uint64_t *first, uint64_t *end)
{
    for (size_t i = 0; i < store->epoch_count; i++) {
        if (!epoch_equal(&store->epochs[i].id, epoch))
            continue;
        *first = store->epochs[i].first;
        *end = i + 1 < store->epoch_count ? store->epochs[i + 1].first : store->next;
        if (*end > store->next)
            *end = store->next;
        return true;
    }
    return false;
}

/* A receipt is believed only for what this store has committed under that epoch. More
 * than that means that the chart knows a future that we do not have: an old copy was
 * put back, and the caller begins a new epoch. */
int store_receipt(struct store *store, const struct epoch *epoch, uint64_t first,
                  uint64_t last, uint64_t *newly)
{
    uint64_t begin, end, fresh;
    int error = STORE_OK;

    if (newly != NULL)
        *newly = 0;
    if (first == 0 || first > last)
        error = STORE_INVALID;
    else if (!epoch_span(store, epoch, &begin, &end))
        error = STORE_FOREIGN;
    else if (last >= end || first < begin)
        error = STORE_AHEAD;
    if (error != STORE_OK) {
        store->receipts_refused++;
        return error;
    }
    if ((fresh = store_unreceipted(store, first, last)) == 0)
        return STORE_OK;
    /* A chart that receipts every other record for ever would make the set grow without
     * end. What is not marked is offered again and receipted again. */
    if (store->done.count >= STORE_RANGES_MAX - 1 &&
        ranges_overlap(&store->done, first - 1, last + 1) == 0) {
        store->receipts_refused++;
        return STORE_OK;
    }
    wait_no_longer(store, fresh);
    if (ranges_add(&store->done, first, last) != 0)
        return STORE_SYSTEM;
    store->changed = true;
    if (newly != NULL)
        *newly = fresh;
    return STORE_OK;
}

/* What was deleted meanwhile can't be given again, so it goes back into `done`: else
 * every look for the oldest waiting record would stop at it. Bytes are an estimate by
 * the mean, because sizes are in the pages and not in memory. */
int store_resend(struct store *store, const struct epoch *epoch, uint64_t from,
                 uint64_t *again)
{
    uint64_t begin, end, before, mean;

    if (again != NULL)
        *again = 0;
    if (!epoch_span(store, epoch, &begin, &end))
        return STORE_FOREIGN;
    if (from > end)
        return STORE_AHEAD;
    if (from < begin)
        from = begin;
    if (from >= end)
        return STORE_OK;
    before = store_unreceipted(store, from, end - 1);
    if (ranges_remove(&store->done, from, end - 1) != 0)
        return STORE_SYSTEM;
    for (size_t i = 0; i < store->absent.count; i++) {
        const struct range *gone = &store->absent.items[i];
        if (gone->last >= from && gone->first < end &&
            ranges_add(&store->done, gone->first, gone->last) != 0)
            return STORE_SYSTEM;
    }
    store->changed = true;
    store->evict_from = 1;
    before = store_unreceipted(store, from, end - 1) - before;
    mean = store->stored > 0 ? store->leaf_pages * store->page_size / store->stored : 0;
    store->unreceipted_bytes += before * mean;
    if (again != NULL)
        *again = before;
    return STORE_OK;
}

size_t store_epochs(const struct store *store, struct epoch out[STORE_EPOCHS_MAX])
{
    for (size_t i = 0; i < store->epoch_count; i++)
        out[i] = store->epochs[i].id;
    return store->epoch_count;
}

/* Epochs are few in the life of a store (copies, salvages), so eight are enough; one
 * is forgotten only when none of its records waits for a receipt any more. */
int store_new_epoch(struct store *store)
{
    struct store_epoch fresh = {.first = store->assigned};
    int error;

    if (crypto_random(fresh.id.bytes, EPOCH_SIZE) != CRYPTO_OK)
        return STORE_SYSTEM;
    if (store->epoch_count == STORE_EPOCHS_MAX) {
        /* Only the oldest epoch's records could be given up, and they are not ours to
         * give up. */
        if (store_unreceipted(store, store->epochs[0].first, store->epochs[1].first - 1) >
            0)
            return store_failed(store, STORE_SYSTEM,
                                "%d epochs still have records waiting", STORE_EPOCHS_MAX);
    }
    if ((error = store_new_session(store, &fresh)) != STORE_OK) {
        seal_free(fresh.seal);
        return error;
    }
    if (store->epoch_count == STORE_EPOCHS_MAX) {
        seal_free(store->epochs[0].seal);
        memmove(store->epochs, store->epochs + 1, (STORE_EPOCHS_MAX - 1) * sizeof(fresh));
        store->epoch_count--;
        store_remove(store, 1, store->epochs[0].first - 1);
    }
    store->epochs[store->epoch_count++] = fresh;
    store->changed = true;
    /* Known to salvage before any record is of it. The very first is not: a file of
     * epochs beside an empty store means that a store was lost. */
    return store->epoch_count > 1 ? store_epochs_repeat(store) : STORE_OK;
}

int store_epochs_repeat(struct store *store)
{
    struct store_epoch there[STORE_EPOCHS_MAX];
    int n = store_epochs_read(store->folder, there), error;
    bool same = n == (int)store->epoch_count;

    for (int i = 0; same && i < n; i++)
        same = there[i].first == store->epochs[i].first &&
               epoch_equal(&there[i].id, &store->epochs[i].id);
    if (same)
        return STORE_OK;
    error = store_epochs_write(store->folder, store->epochs, store->epoch_count);
    if (error != 0)
        return store_failed(store, STORE_IO, "%s/" STORE_EPOCHS ": %s", store->folder,
                            strerror(-error));
    return STORE_OK;
}
