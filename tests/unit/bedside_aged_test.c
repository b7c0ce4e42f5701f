/* SPDX-License-Identifier: Apache-2.0
 *
 * When a reading was that lay in a bed node's memory: every such time can be stored.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bedside/aged.h"
#include "wire/record.h"

#define FLOOR INT64_C(1767225600000000) /* 2026-01-01 */
#define NOON  (FLOOR + 86400 * US_PER_S)
#define HOUR  (UINT64_C(3600) * US_PER_S)

static struct stamp stamp;

/* The gateway has run for ten seconds. */
static wardgate_TimeBlock aged(enum clock_sync sync, int64_t utc_us, uint64_t age_us)
{
    const struct instant now = {.boot = 42,
                                .monotonic_us = 10 * US_PER_S,
                                .utc_us = utc_us,
                                .sync = sync,
                                .uncertainty_ms = 5};
    struct stamp_notes notes;
    wardgate_TimeBlock time;

    stamp_init(&stamp, FLOOR);
    stamp_look(&stamp, &now, &notes);
    aged_time(&stamp, now.monotonic_us, age_us, &time);
    return time;
}

static void assert_storable(const wardgate_TimeBlock *time)
{
    wardgate_Record record = wardgate_Record_init_zero;
    uint8_t bytes[RECORD_SIZE_MAX];

    record.seq = 1;
    record.kind = wardgate_Record_Kind_GAP;
    record.has_gap = record.gap.has_from = record.has_time = true;
    record.gap.reason = wardgate_Gap_Reason_DEVICE_SILENT;
    record.gap.from = record.time = *time;
    assert_true(record_encode(&record, bytes, sizeof bytes) > 0);
}

static void an_age_is_taken_off_the_clock(void **state)
{
    wardgate_TimeBlock time = aged(CLOCK_SYNCED, NOON, 4 * US_PER_S);

    (void)state;
    assert_int_equal(time.boot, 42);
    assert_int_equal(time.monotonic_us, 6 * US_PER_S);
    assert_int_equal(time.utc_us, NOON - 4 * (int64_t)US_PER_S);
    assert_int_equal(time.uncertainty_ms, 6); /* and a millisecond of drift begun */
    assert_storable(&time);
}

static void before_this_boot_there_is_no_monotonic_time(void **state)
{
    wardgate_TimeBlock time = aged(CLOCK_SYNCED, NOON, HOUR);

    (void)state;
    assert_int_equal(time.monotonic_us, 0);
    assert_int_equal(time.utc_us, NOON - (int64_t)HOUR);
    assert_true(time.uncertainty_ms >= 5 + 360); /* 100 ppm of an hour */
    assert_storable(&time);
}

static void and_without_utc_no_fix_can_claim_it(void **state)
{
    wardgate_TimeBlock time = aged(CLOCK_UNKNOWN, US_PER_S, HOUR);

    (void)state;
    assert_int_equal(time.sync, wardgate_TimeBlock_Sync_UNKNOWN);
    assert_int_not_equal(time.boot, 42);
    assert_storable(&time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_age_is_taken_off_the_clock),
        cmocka_unit_test(before_this_boot_there_is_no_monotonic_time),
        cmocka_unit_test(and_without_utc_no_fix_can_claim_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
