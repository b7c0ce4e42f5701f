/* SPDX-License-Identifier: Apache-2.0
 *
 * Readings and stores for the tests of bedside.
 */
#ifndef TESTS_UNIT_BEDSIDE_SAMPLE_H
#define TESTS_UNIT_BEDSIDE_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bedside/store.h"
#include "tests/unit/temporary.h"

#define SAMPLE_READ_SIZE 61440

/* The number'th reading of a device: eight observations, a second apart. */
static inline void sample_reading(wardgate_Record *record, const char *device,
                                  uint64_t number)
{
    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_READING;
    record->has_device = true;
    (void)snprintf(record->device.id, sizeof(record->device.id), "%s", device);
    (void)snprintf(record->device.profile, sizeof(record->device.profile),
                   "bedside-monitor");
    (void)snprintf(record->device.line, sizeof(record->device.line), "bus-a");
    (void)snprintf(record->place, sizeof(record->place), "bay-1-bed-3");
    record->has_time = true;
    record->time.boot = UINT64_C(0x0123456789abcdef);
    record->time.monotonic_us = number * 1000000;
    record->time.utc_us = INT64_C(1784729109250000) + (int64_t)number * 1000000;
    record->time.sync = wardgate_TimeBlock_Sync_SYNCED;
    record->time.uncertainty_ms = 12;
    record->observations_count = 8;
    for (uint32_t i = 0; i < 8; i++) {
        record->observations[i].code = 150456 + i;
        record->observations[i].unit = 262688;
        record->observations[i].which_value = wardgate_Observation_mantissa_tag;
        record->observations[i].value.mantissa = (int64_t)(number % 100 + i);
    }
    record->has_sample = true;
    record->sample = number;
}

/* A config for a new folder below folder: a map of mib MiB. */
static inline void sample_config(struct store_config *config, const char *folder,
                                 uint64_t mib)
{
    memset(config, 0, sizeof(*config));
    config->folder = folder;
    config->map_bytes = mib << 20;
    memset(config->key.bytes, 0x5a, sizeof(config->key.bytes));
}

static inline struct store *sample_open(const struct store_config *config)
{
    struct store *store;
    char error[STORE_ERROR_SIZE];

    if (store_open(config, &store, error) != STORE_OK)
        fail_msg("store_open: %s", error);
    return store;
}

/* Adds n readings of one device, numbered from `from`, committing every `batch`. */
static inline void sample_fill(struct store *store, const char *device, uint64_t from,
                               uint64_t n, uint64_t batch)
{
    wardgate_Record record;

    for (uint64_t i = 0; i < n; i++) {
        sample_reading(&record, device, from + i);
        assert_int_equal(store_add(store, &record), STORE_OK);
        if ((i + 1) % batch == 0 || i + 1 == n)
            assert_int_equal(store_commit(store, record.time.utc_us), STORE_OK);
    }
}

/* The books of a store: what became of every seq. */
struct sample_books {
    uint64_t readings, gaps, others; /* records that can be read */
    uint64_t counted;                /* readings that gaps stand for */
    uint64_t covered;                /* seqs inside gaps' from_seq..to_seq */
    bool unknown;
    struct ranges seen; /* seqs read, or inside a gap */
};

static inline size_t sample_item(const uint8_t *at, wardgate_Record *record)
{
    size_t head = 1, size = 0;

    for (unsigned shift = 0;; shift += 7) {
        size |= (size_t)(at[head] & 0x7f) << shift;
        if ((at[head++] & 0x80) == 0)
            break;
    }
    assert_int_equal(record_decode(at + head, size, record, NULL), WIRE_OK);
    return head + size;
}

static inline void sample_count(struct sample_books *books, const wardgate_Record *record)
{
    assert_int_equal(ranges_add(&books->seen, record->seq, record->seq), 0);
    if (record->kind == wardgate_Record_Kind_READING) {
        books->readings++;
    } else if (record->kind == wardgate_Record_Kind_GAP) {
        books->gaps++;
        books->unknown = books->unknown || record->gap.count_unknown;
        books->counted += record->gap.count;
        if (record->gap.from_seq > 0)
            assert_int_equal(ranges_add(&books->seen, record->gap.from_seq,
                                        record->gap.to_seq),
                             0);
    } else {
        books->others++;
    }
}

/* Reads everything from `from` on; receipts it when receipt is true. Free books->seen. */
static inline void sample_read(struct store *store, uint64_t from, bool all, bool receipt,
                               struct sample_books *books)
{
    static uint8_t out[SAMPLE_READ_SIZE];
    static wardgate_Record record;
    struct store_items items;
    struct store_status status;

    memset(books, 0, sizeof(*books));
    store_status(store, &status);
    while (from < status.next) {
        uint64_t before = 0;
        size_t at = 0;
        assert_int_equal(store_read(store, from, UINT64_MAX, all, out, sizeof(out),
                                    &items),
                         STORE_OK);
        assert_true(items.next > from);
        for (size_t i = 0; i < items.count; i++) {
            at += sample_item(out + at, &record);
            assert_true(record.seq > before && record.seq < status.next);
            before = record.seq;
            if (i == 0)
                assert_int_equal(record.seq, items.first);
            sample_count(books, &record);
        }
        assert_int_equal(at, items.size);
        if (items.count > 0)
            assert_int_equal(before, items.last);
        if (receipt && items.count > 0)
            assert_int_equal(store_receipt(store, &items.epoch, items.first, items.last,
                                           NULL),
                             STORE_OK);
        from = items.next;
    }
}

#endif
