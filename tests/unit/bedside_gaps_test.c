/* SPDX-License-Identifier: Apache-2.0
 *
 * What did not come is a record with its count: served = decoded + inside a gap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "bedside/gaps.h"

static struct gaps gaps;
static struct gaps_out out;

static wardgate_TimeBlock at(uint64_t second)
{
    wardgate_TimeBlock time;

    memset(&time, 0, sizeof(time));
    time.boot = 1;
    time.monotonic_us = second * 1000000;
    return time;
}

static enum gaps_verdict reading(uint64_t second, bool has_sample, uint64_t sample)
{
    wardgate_TimeBlock time = at(second);

    return gaps_reading(&gaps, &time, has_sample, sample, &out);
}

static void begin(uint32_t bits)
{
    const struct gaps_config config = {.silence_us = 3000000, .sample_bits = bits};

    gaps_init(&gaps, &config, 0);
    memset(&out, 0, sizeof(out));
}

static void counts_by_the_sample_counter(void **state)
{
    (void)state;
    begin(32);
    assert_int_equal(reading(1, true, 100), GAPS_NEW);
    assert_int_equal(out.count, 0);
    assert_int_equal(reading(2, true, 101), GAPS_NEW);
    assert_int_equal(out.count, 0);
    assert_int_equal(reading(3, true, 101), GAPS_REPEAT);
    assert_int_equal(out.count, 0);
    assert_int_equal(reading(4, true, 105), GAPS_NEW);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].count, 3);
    assert_false(out.items[0].count_unknown);
    assert_int_equal(out.items[0].from_sample, 101);
    assert_int_equal(out.items[0].to_sample, 105);
    assert_int_equal(out.items[0].from.monotonic_us, 2000000);
    assert_int_equal(out.items[0].to.monotonic_us, 4000000);
}

static void goes_round_with_the_counter(void **state)
{
    static const struct {
        uint64_t bits, last, next, missing;
        bool unknown;
    } cases[] = {
        {16, 65535, 0, 0, false},     {16, 65534, 1, 2, false},
        {16, 10, 9, 0, true},         {32, UINT32_MAX, 0, 0, false},
        {32, 5, 3, 0, true},          {64, UINT64_MAX, 0, 0, false},
        {64, 1000, 1, 0, true},       {8, 250, 4, 9, false},
        {0, UINT64_MAX, 1, 1, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin((uint32_t)cases[i].bits);
        assert_int_equal(reading(1, true, cases[i].last), GAPS_NEW);
        assert_int_equal(reading(2, true, cases[i].next), GAPS_NEW);
        assert_int_equal(out.count, cases[i].missing > 0 || cases[i].unknown ? 1 : 0);
        if (out.count > 0) {
            assert_int_equal(out.items[0].count_unknown, cases[i].unknown);
            assert_int_equal(out.items[0].count, cases[i].missing);
        }
    }
}

static void closes_a_gap_after_a_restart(void **state)
{
    wardgate_TimeBlock last = at(10);

    (void)state;
    begin(32);
    gaps_restart(&gaps, NULL, false, 0); /* a new device: nothing to account for */
    assert_int_equal(reading(1, true, 7), GAPS_NEW);
    assert_int_equal(out.count, 0);

    begin(32);
    gaps_restart(&gaps, &last, true, 500);
    assert_int_equal(reading(20, true, 507), GAPS_NEW);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].reason, wardgate_Gap_Reason_RESTART);
    assert_int_equal(out.items[0].count, 6);
    assert_int_equal(out.items[0].from.monotonic_us, 10000000);
    assert_int_equal(out.items[0].to.monotonic_us, 20000000);

    begin(32); /* the device itself began anew, or has no counter */
    gaps_restart(&gaps, &last, true, 500);
    assert_int_equal(reading(20, true, 3), GAPS_NEW);
    assert_true(out.items[0].count_unknown);
    begin(32);
    gaps_restart(&gaps, &last, false, 0);
    assert_int_equal(reading(20, false, 0), GAPS_NEW);
    assert_int_equal(out.count, 1);
    assert_true(out.items[0].count_unknown);

    begin(32); /* the same number after a restart is a reading: it may not be the same
                  sample */
    gaps_restart(&gaps, &last, true, 500);
    assert_int_equal(reading(20, true, 500), GAPS_NEW);
    assert_true(out.items[0].count_unknown);

    begin(32); /* nothing missed at all: still said, with its count */
    gaps_restart(&gaps, &last, true, 500);
    assert_int_equal(reading(20, true, 501), GAPS_NEW);
    assert_int_equal(out.items[0].count, 0);
    assert_false(out.items[0].count_unknown);
}

static void opens_and_closes_silence(void **state)
{
    wardgate_TimeBlock now = at(3);

    (void)state;
    begin(32);
    assert_int_equal(reading(1, true, 10), GAPS_NEW);
    gaps_tick(&gaps, &now, &out);
    assert_int_equal(out.count, 0);
    assert_int_equal(gaps_due_us(&gaps), 4000000);
    now = at(4);
    gaps_tick(&gaps, &now, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].reason, wardgate_Gap_Reason_DEVICE_SILENT);
    assert_false(out.items[0].has_to);
    assert_true(out.items[0].count_unknown);
    assert_int_equal(out.items[0].from.monotonic_us, 1000000);
    assert_int_equal(gaps_due_us(&gaps), UINT64_MAX);
    now = at(5);
    gaps_tick(&gaps, &now, &out);
    assert_int_equal(out.count, 0); /* once */
    assert_int_equal(reading(9, true, 18), GAPS_NEW);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].count, 7);
    assert_true(out.items[0].has_to);
    /* A device that repeats itself is there, if it has nothing new. */
    assert_int_equal(reading(11, true, 18), GAPS_REPEAT);
    assert_int_equal(gaps_due_us(&gaps), 14000000);
}

static void keeps_the_reason_that_opened(void **state)
{
    wardgate_TimeBlock now = at(5);

    (void)state;
    begin(32);
    assert_int_equal(reading(1, false, 0), GAPS_NEW);
    gaps_open(&gaps, wardgate_Gap_Reason_BUS_DOWN, &now, &out);
    assert_int_equal(out.count, 1);
    gaps_open(&gaps, wardgate_Gap_Reason_DEVICE_SILENT, &now, &out);
    assert_int_equal(out.count, 0); /* open already */
    assert_int_equal(reading(9, false, 0), GAPS_NEW);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].reason, wardgate_Gap_Reason_BUS_DOWN);
    assert_true(out.items[0].count_unknown);
    begin(32); /* a device never heard of */
    gaps_open(&gaps, wardgate_Gap_Reason_DEVICE_SILENT, &now, &out);
    assert_int_equal(out.items[0].from.monotonic_us, 5000000);
}

static void accounts_for_what_could_not_be_kept(void **state)
{
    wardgate_TimeBlock second = at(2), fourth = at(4), now = at(5);
    struct gaps_out first;

    (void)state;
    begin(32);
    assert_int_equal(reading(1, true, 10), GAPS_NEW);
    assert_int_equal(reading(2, true, 11), GAPS_NEW);
    gaps_lost(&gaps, wardgate_Gap_Reason_STORE_ERROR, 1, &second);
    assert_int_equal(reading(4, true, 13), GAPS_NEW); /* 12 was missed on the line */
    assert_int_equal(out.count, 2);
    assert_int_equal(out.items[0].reason, wardgate_Gap_Reason_STORE_ERROR);
    assert_int_equal(out.items[0].count, 1);
    assert_int_equal(out.items[1].count, 1);
    gaps_lost(&gaps, wardgate_Gap_Reason_QUEUE_FULL, 3, &fourth);
    gaps_lost(&gaps, wardgate_Gap_Reason_QUEUE_FULL, 0, &fourth);
    assert_true(gaps_has_lost(&gaps));
    gaps_tick(&gaps, &now, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].count, 3);
    assert_false(gaps_has_lost(&gaps));
    /* A gap that could not be stored is not forgotten. */
    first = out;
    gaps_again(&gaps, &first.items[0]);
    gaps_lost(&gaps, wardgate_Gap_Reason_STORE_ERROR, 2, &now);
    gaps_flush(&gaps, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.items[0].count, 5);
    assert_int_equal(out.items[0].from.monotonic_us, 4000000);
    assert_int_equal(out.items[0].to.monotonic_us, 5000000);
    first.items[0].count_unknown = true;
    first.items[0].count = 0;
    gaps_again(&gaps, &first.items[0]);
    assert_true(gaps_has_lost(&gaps));
    gaps_flush(&gaps, &out);
    assert_true(out.items[0].count_unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_by_the_sample_counter),
        cmocka_unit_test(goes_round_with_the_counter),
        cmocka_unit_test(closes_a_gap_after_a_restart),
        cmocka_unit_test(opens_and_closes_silence),
        cmocka_unit_test(keeps_the_reason_that_opened),
        cmocka_unit_test(accounts_for_what_could_not_be_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
