/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "chart/ledger.h"
#include "chart/timebase.h"

#define S   INT64_C(1000000)
#define DAY (86400 * S)
#define T0  (INT64_C(1790000000) * S)

static wardgate_TimeBlock block(wardgate_TimeBlock_Sync sync, int64_t monotonic,
                                int64_t utc, uint32_t uncertainty_ms)
{
    wardgate_TimeBlock time = wardgate_TimeBlock_init_zero;

    time.boot = 1;
    time.sync = sync;
    time.monotonic_us = (uint64_t)monotonic;
    time.utc_us = utc;
    time.uncertainty_ms = uncertainty_ms;
    return time;
}

static struct timebase_fixes fixes_of(const struct timebase_fix *before,
                                      const struct timebase_fix *after)
{
    struct timebase_fixes fixes = {.offset_low_us = INT64_MAX,
                                   .offset_high_us = INT64_MIN};

    if (before != NULL) {
        fixes.has_before = true;
        fixes.before = *before;
        timebase_offsets(before, &fixes.offset_low_us, &fixes.offset_high_us);
    }
    if (after != NULL) {
        fixes.has_after = true;
        fixes.after = *after;
        timebase_offsets(after, &fixes.offset_low_us, &fixes.offset_high_us);
    }
    fixes.contradicted =
        before != NULL && after != NULL && !timebase_agree(before, after);
    return fixes;
}

static void a_stamp_is_its_interval(void **state)
{
    wardgate_TimeBlock time = block(wardgate_TimeBlock_Sync_SYNCED, 5 * S, T0, 250);
    struct timebase_interval is;

    (void)state;
    timebase_resolve(&time, NULL, &is);
    assert_int_equal(is.verdict, TIMEBASE_STAMP);
    assert_true(is.known);
    assert_int_equal(is.low_us, T0 - 250000);
    assert_int_equal(is.high_us, T0 + 250000);
    time.sync = wardgate_TimeBlock_Sync_HOLDOVER;
    time.uncertainty_ms = 1800 * 1000;
    timebase_resolve(&time, NULL, &is);
    assert_true(is.known);
    time.uncertainty_ms++; /* an hour and a little in all: too wide to chart by */
    timebase_resolve(&time, NULL, &is);
    assert_false(is.known);
    assert_int_equal(timebase_reason(is.verdict), LEDGER_TIME_UNKNOWN);
    assert_int_equal(is.low_us, 0);
}

static void without_a_fix_it_is_unknown(void **state)
{
    wardgate_TimeBlock time = block(wardgate_TimeBlock_Sync_UNKNOWN, 5 * S, 12 * S, 0);
    struct timebase_interval is;

    (void)state;
    timebase_resolve(&time, NULL, &is);
    assert_false(is.known);
    assert_int_equal(timebase_reason(is.verdict), LEDGER_TIME_UNKNOWN);
    timebase_resolve(NULL, NULL, &is);
    assert_false(is.known);
    time.sync = wardgate_TimeBlock_Sync_SYNCED;
    time.stored = true;
    timebase_resolve(&time, NULL, &is);
    assert_false(is.known);
    assert_int_equal(timebase_reason(is.verdict), LEDGER_TIME_STORED);
}

static void a_fix_rebases_with_drift(void **state)
{
    /* Booted at 1970; two hours later the true time is known to 100 ms. */
    struct timebase_fix fix = {(uint64_t)(7200 * S), T0, 100};
    struct timebase_fixes fixes = fixes_of(NULL, &fix);
    wardgate_TimeBlock time = block(wardgate_TimeBlock_Sync_UNKNOWN, 0, 3 * S, 0);
    struct timebase_interval is;

    (void)state;
    timebase_resolve(&time, &fixes, &is);
    assert_int_equal(is.verdict, TIMEBASE_REBASED);
    assert_int_equal((is.low_us + is.high_us) / 2, T0 - 7200 * S);
    /* 100 ppm of two hours is 720 ms */
    assert_in_range(is.high_us - is.low_us, 2 * 820000, 2 * 820000 + 10);
    /* Between two fixes, what both allow. */
    fixes = fixes_of(&(struct timebase_fix){0, T0 - 7200 * S + 300000, 400}, &fix);
    timebase_resolve(&time, &fixes, &is);
    assert_in_range(is.low_us - (T0 - 7200 * S), -100010, -99990);
    assert_in_range(is.high_us - (T0 - 7200 * S), 699990, 700010);
    /* Too far from any fix: ten months of drift are more than an hour. */
    time.monotonic_us = (uint64_t)(7200 * S + 300 * DAY);
    fixes = fixes_of(&fix, NULL);
    timebase_resolve(&time, &fixes, &is);
    assert_false(is.known);
}

/* A true time, a board whose clock lies by `wrong` until it is set right: every charted
 * interval must hold the true time or there must be none. */
static void check_step(int64_t wrong, int64_t fixed_at, bool lied_synced)
{
    int known = 0;

    for (int64_t monotonic = 0; monotonic <= 4000 * S; monotonic += 100 * S) {
        bool after = monotonic >= fixed_at;
        wardgate_TimeBlock time =
            block(after || lied_synced ? wardgate_TimeBlock_Sync_SYNCED
                                       : wardgate_TimeBlock_Sync_UNKNOWN,
                  monotonic, T0 + monotonic + (after ? 0 : wrong), 50);
        struct timebase_fix lie = {0, T0 + wrong, 50},
                            truth = {(uint64_t)fixed_at, T0 + fixed_at, 50};
        struct timebase_fixes fixes =
            after ? fixes_of(&truth, NULL) : fixes_of(lied_synced ? &lie : NULL, &truth);
        struct timebase_interval is;

        if (after && lied_synced) { /* the boot's own row knows of the contradiction */
            timebase_offsets(&lie, &fixes.offset_low_us, &fixes.offset_high_us);
            fixes.contradicted = !timebase_agree(&lie, &truth);
        }
        timebase_resolve(&time, &fixes, &is);
        if (!is.known)
            continue;
        known++;
        assert_true(is.low_us <= T0 + monotonic && T0 + monotonic <= is.high_us);
        assert_true(is.high_us - is.low_us <= LEDGER_SPAN_MAX_US);
    }
    if (!lied_synced || llabs(wrong) < 1800 * S)
        assert_int_equal(known, 41);
    else
        assert_int_equal(known, 0);
}

static void steps_are_covered_or_held(void **state)
{
    static const int64_t steps[] = {1, 2, 30, 3600, 3700, 86400, INT64_C(365) * 86400};

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        for (int sign = -1; sign <= 1; sign += 2)
            for (int64_t at = 500 * S; at <= 4000 * S; at += 700 * S) {
                check_step(sign * steps[i] * S, at, false);
                if (steps[i] != 3600) /* at the edge of the span */
                    check_step(sign * steps[i] * S, at, true);
            }
    check_step(-T0, 1000 * S, false); /* booted at 1970 */
}

static void a_review_only_widens(void **state)
{
    struct timebase_fix fix = {(uint64_t)(10 * S), T0 + 10 * S, 100},
                        off = {(uint64_t)(20 * S), T0 + 23 * S, 100};
    struct timebase_fixes fixes = fixes_of(&fix, NULL);
    struct timebase_interval is, again;

    (void)state;
    timebase_review(T0 + 15 * S, T0 + 15 * S, 15000000, NULL, &is);
    assert_int_equal(is.verdict, TIMEBASE_STAMP);
    timebase_review(T0 + 15 * S, T0 + 15 * S, 15000000, &fixes, &is);
    assert_int_equal(is.verdict, TIMEBASE_STAMP);
    assert_int_equal(is.low_us, is.high_us);
    fixes = fixes_of(&fix, &off);
    assert_true(fixes.contradicted);
    timebase_review(T0 + 15 * S, T0 + 15 * S, 15000000, &fixes, &is);
    assert_int_equal(is.verdict, TIMEBASE_WIDENED);
    assert_true(is.low_us <= T0 + 15 * S && is.high_us >= T0 + 18 * S);
    timebase_review(is.low_us, is.high_us, 15000000, &fixes, &again);
    assert_int_equal(again.low_us, is.low_us);
    assert_int_equal(again.high_us, is.high_us);
    /* A stamp that no fix can agree with, though the fixes agree. */
    fixes = fixes_of(&fix, NULL);
    timebase_review(T0 - 7200 * S, T0 - 7200 * S, 15000000, &fixes, &is);
    assert_int_equal(is.verdict, TIMEBASE_DISPUTED);
    assert_int_equal(timebase_reason(is.verdict), LEDGER_TIME_DISPUTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stamp_is_its_interval),
        cmocka_unit_test(without_a_fix_it_is_unknown),
        cmocka_unit_test(a_fix_rebases_with_drift),
        cmocka_unit_test(steps_are_covered_or_held),
        cmocka_unit_test(a_review_only_widens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
