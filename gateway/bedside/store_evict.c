/* SPDX-License-Identifier: Apache-2.0
 *
 * The oldest waiting readings become one STORE_FULL gap that counts them, device by
 * device: a ward that lost four hours must see of which bed. What is not a reading (clock
 * fixes, events) is stepped over if it can be.
 *
 * A run ends where its gap would name more devices than a record has room for, rather
 * than leave one out. Only where such runs would free nothing (gaps of many devices on
 * top of gaps of many others) are the devices beyond counted together, without a name: a
 * store that can't take the newest readings loses more.
 */
#include <stdlib.h>
#include <string.h>

#include "bedside/store_internal.h"

#define RUN_MIN 8 /* shorter runs are left: their gap would take the room they free */
#define LOOK_AT 8 /* records looked at for each that is wanted, at most */

struct run { /* readings that one gap will stand for */
    struct store *store;
    uint64_t want, n, first, last;
    uint64_t seen;      /* records looked at */
    uint64_t readings;  /* among the n */
    uint64_t from_seq;  /* earliest that an older gap in the run stood for */
    uint64_t step_over; /* where the first record after a kept one is */
    uint64_t expected;  /* next seq that must be there unless it is deleted */
    bool hole;
    bool all;       /* second try: nothing is kept */
    bool crowded;   /* it ended because its devices were too many */
    bool nameless;  /* third try: those too many are counted without a name */
    uint64_t bytes; /* that go with them */
    wardgate_Gap gap;
    wardgate_Record record;           /* scratch */
    struct gap_devices devices;       /* whose they were */
    uint64_t fresh[GAP_DEVICES_MAX];  /* of each device: readings, without older gaps' */
    struct gap_devices inner, before; /* scratch: an older gap's list; to go back to */
};

/* Adds parts of one record: all of them, or none. */
static bool parts_add(struct run *run, const wardgate_GapDevice *parts, size_t n)
{
    if (n > 1)
        run->before = run->devices;
    for (size_t i = 0; i < n; i++) {
        if (gap_devices_add(&run->devices, &parts[i]))
            continue;
        if (!run->nameless) {
            if (n > 1)
                run->devices = run->before;
            return false;
        }
        gap_devices_add_nameless(&run->devices, &parts[i]);
    }
    return true;
}

/* Whose the record's readings are. bytes is the record as it is stored: an older gap's
 * list is in there only. */
static bool run_devices(struct run *run, const uint8_t *bytes, size_t size)
{
    const wardgate_Record *record = &run->record;
    wardgate_GapDevice part;

    if (record->kind == wardgate_Record_Kind_READING) {
        gap_devices_of_reading(record, &part);
        if (!parts_add(run, &part, 1))
            return false;
        /* One that was counted without a name did not move `last`. */
        if (strcmp(run->devices.items[run->devices.last].id, part.id) == 0)
            run->fresh[run->devices.last]++;
        return true;
    }
    if (record->kind != wardgate_Record_Kind_GAP)
        return true;
    if (gap_devices_read(bytes, size, &run->inner) > 0)
        return parts_add(run, run->inner.items, run->inner.count);
    gap_devices_of_gap(record, &part);
    return parts_add(run, &part, 1);
}

/* Adds what a record stands for to the gap. */
static void run_count(struct run *run)
{
    const wardgate_Record *record = &run->record;

    if (record->kind == wardgate_Record_Kind_READING) {
        run->readings++;
    } else if (record->kind == wardgate_Record_Kind_GAP) {
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

/* Takes one record into the run; false if the run must end before it. */
static bool run_take(struct run *run, uint64_t seq, const uint8_t *bytes, size_t size)
{
    if (!run_devices(run, bytes, size)) {
        run->crowded = true;
        return false;
    }
    if (run->n++ == 0)
        run->first = run->from_seq = seq;
    run->last = seq;
    run->bytes += size;
    run_count(run);
    return true;
}

/* Opens a record for the run. One that is damaged counts as a reading, which is the most
 * that it can have been; whose, nobody can say. */
static const uint8_t *run_open(struct run *run, uint64_t seq, const uint8_t *sealed,
                               size_t size, size_t *n)
{
    struct store *store = run->store;
    const uint8_t *bytes = NULL;

    if (store_unseal(store, seq, sealed, size, store->item, n) == CRYPTO_OK)
        bytes = store_item_record(store->item, *n, n);
    if (bytes != NULL && record_decode(bytes, *n, &run->record, NULL) == WIRE_OK)
        return bytes;
    store->damaged++;
    memset(&run->record, 0, sizeof(run->record));
    run->record.kind = wardgate_Record_Kind_READING;
    *n = 0;
    return store->item;
}

/* Forgets what the run has gathered: a record that is kept lies behind it. */
static void run_restart(struct run *run, uint64_t from)
{
    run->step_over = from;
    run->n = run->readings = run->bytes = 0;
    memset(&run->gap, 0, sizeof(run->gap));
    memset(run->fresh, 0, sizeof(run->fresh));
    run->devices.count = run->devices.size = run->devices.last = 0;
}

static enum store_visit run_visit(void *context, uint64_t seq, const uint8_t *sealed,
                                  size_t size, uint64_t *skip_to)
{
    struct run *run = context;
    struct store *store = run->store;
    const uint8_t *bytes;
    size_t n;

    if (seq < run->expected || store_hole(&store->absent, run->expected, seq)) {
        run->hole = true; /* it must not vanish inside a gap that does not count it */
        return STORE_STOP;
    }
    run->expected = seq + 1;
    if (++run->seen > LOOK_AT * run->want)
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
    bytes = run_open(run, seq, sealed, size, &n);
    if (!run->all && run->record.kind != wardgate_Record_Kind_READING &&
        run->record.kind != wardgate_Record_Kind_GAP) {
        if (run->n >= RUN_MIN)
            return STORE_STOP;
        run_restart(run, seq + 1);
        return STORE_GO_ON;
    }
    return run_take(run, seq, bytes, n) && run->n < run->want ? STORE_GO_ON : STORE_STOP;
}

/* Finds the oldest run of at most `most` records from `from` on. False if there is none.
 */
static bool find_run(struct run *run, uint64_t from, uint64_t most, bool all,
                     bool nameless)
{
    struct store *store = run->store;

    run->expected = from;
    run->want = most;
    run->seen = 0;
    run->all = all;
    run->nameless = nameless;
    run->hole = run->crowded = false;
    run_restart(run, 0);
    if (from >= store->next ||
        store_walk(store, from, store->next - 1, run_visit, run) != STORE_OK || run->hole)
        return false;
    if (run->step_over > 0)
        store->evict_from = run->step_over;
    return run->n > 0;
}

/* The run that will go. A store of nothing but events and clock fixes must give way too,
 * and one whose gaps can't be named on one record. */
static bool choose_run(struct run *run, uint64_t most)
{
    struct store *store = run->store;
    uint64_t oldest = store_oldest_unreceipted(store);
    uint64_t from = oldest > store->evict_from ? oldest : store->evict_from;
    bool all = !find_run(run, from, most, false, false);

    if (all && !find_run(run, from = oldest, most, true, false))
        return false;
    /* Each gap must free at least as much again as it takes. */
    return !run->crowded || run->bytes >= 2 * run->devices.size ||
           find_run(run, from, most, all, true);
}

/* The gap and the deletions ride in one commit, or neither does. */
static bool replace(struct run *run)
{
    struct store *store = run->store;
    wardgate_Record *record = &run->record;

    for (size_t i = 0; i < run->devices.count; i++)
        run->gap.count += run->devices.items[i].count;
    run->gap.reason = wardgate_Gap_Reason_STORE_FULL;
    run->gap.from_seq = run->from_seq;
    run->gap.to_seq = run->last;
    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_GAP;
    record->has_gap = true;
    record->gap = run->gap;
    if (run->gap.has_to) {
        record->has_time = true;
        record->time = run->gap.to;
    }
    return store_batch_add(store, record, &run->devices, true) == STORE_OK &&
           store_remove(store, run->first, run->last) == STORE_OK;
}

uint64_t store_evict(struct store *store, uint64_t most)
{
    /* Large, and wanted only while the store is full: it is not kept. */
    struct run *run = calloc(1, sizeof(*run));
    uint64_t n = 0;

    if (run == NULL)
        return 0;
    run->store = store;
    if (choose_run(run, most) && replace(run)) {
        n = run->n;
        store->evicted += run->readings;
        for (size_t i = 0; i < run->devices.count; i++) {
            struct store_device *device =
                store_device(store, run->devices.items[i].id, false);
            if (device != NULL)
                device->evicted += run->fresh[i];
        }
    }
    free(run);
    return n;
}

uint64_t store_evicted(struct store *store, const char *device)
{
    const struct store_device *is = store_device(store, device, false);

    return is != NULL ? is->evicted : 0;
}
