/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_monotonic_never_goes_back(void **state)
{
    uint64_t before = clock_monotonic_us();

    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t now = clock_monotonic_us();
        assert_true(now >= before);
        before = now;
    }
    printf("100000 readings in order\n");
}

static void test_boot_is_one_and_never_zero(void **state)
{
    (void)state;
    assert_true(clock_boot() != 0);
    assert_true(clock_boot() == clock_boot());
}

static void test_parts_of_an_instant_belong_together(void **state)
{
    uint64_t monotonic = clock_monotonic_us();
    int64_t utc = clock_utc_us();
    struct instant now;

    (void)state;
    clock_now(&now);
    assert_true(now.boot == clock_boot());
    assert_true(now.monotonic_us >= monotonic &&
                now.monotonic_us <= clock_monotonic_us());
    assert_true(now.utc_us >= utc - US_PER_S && now.utc_us <= clock_utc_us() + US_PER_S);
    /* What the kernel says decides; without it nothing is believed. */
    if (now.sync == CLOCK_UNKNOWN)
        assert_int_equal(now.uncertainty_ms, UINT32_MAX);
    else
        assert_true(now.uncertainty_ms >= 1 && now.uncertainty_ms < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_monotonic_never_goes_back),
        cmocka_unit_test(test_boot_is_one_and_never_zero),
        cmocka_unit_test(test_parts_of_an_instant_belong_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
