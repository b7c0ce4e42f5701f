/* SPDX-License-Identifier: Apache-2.0
 *
 * The least that the chart server's time can be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "chart/main_service.h"
#include "chart_core_parts.h"

#define BUILD (T0 - 1000 * MINUTE_US)

static struct ward w;

static int open_ward(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    ward_open(&w, 0, 1);
    return 0;
}

static int close_ward(void **state)
{
    (void)state;
    ward_close(&w);
    return 0;
}

static int64_t floor_at(int64_t utc_us, enum clock_sync sync)
{
    const struct instant now = {.utc_us = utc_us, .sync = sync};
    return service_floor(w.ledger, &now, BUILD);
}

static void test_nothing_known_but_the_build(void **state)
{
    (void)state;
    assert_int_equal(floor_at(0, CLOCK_UNKNOWN), BUILD);
    assert_int_equal(floor_at(0, CLOCK_SYNCED), BUILD);
    assert_int_equal(floor_at(T0, CLOCK_UNKNOWN), BUILD); /* judged at the clock anyway */
    assert_int_equal(floor_at(T0, CLOCK_SYNCED), T0);
}

static void test_newest_time_of_the_ledger(void **state)
{
    (void)state;
    w.now_us = T0;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - MINUTE_US);
    ward_settle(&w);
    assert_int_equal(floor_at(0, CLOCK_UNKNOWN), T0);
    w.now_us = T0 + 5 * MINUTE_US;
    ward_reading(&w, 1, "bed-1", w.now_us, 72);
    ward_settle(&w);
    assert_true(floor_at(0, CLOCK_UNKNOWN) >= T0 + 5 * MINUTE_US);
    ward_restart(&w);
    assert_true(floor_at(0, CLOCK_UNKNOWN) >= T0 + 5 * MINUTE_US);
}

/* Written by a clock that ran ahead: it stops nobody whose clock is right. */
static void test_future_ledger(void **state)
{
    (void)state;
    w.now_us = T0 + INT64_C(100000) * 60 * MINUTE_US;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0);
    ward_settle(&w);
    assert_int_equal(floor_at(T0, CLOCK_SYNCED), T0);
}

int main(void)
{
#define WARD(f) cmocka_unit_test_setup_teardown(f, open_ward, close_ward)
    const struct CMUnitTest tests[] = {
        WARD(test_nothing_known_but_the_build),
        WARD(test_newest_time_of_the_ledger),
        WARD(test_future_ledger),
    };
    return cmocka_run_group_tests_name("chart_floor", tests, NULL, NULL);
}
