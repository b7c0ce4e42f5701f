/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/back_off.h"

static void doubles_up_to_the_maximum(void **state)
{
    static const uint32_t wanted_ms[] = {1000, 1000,  2000,  4000,
                                         8000, 16000, 30000, 30000};

    (void)state;
    for (unsigned i = 0; i < sizeof(wanted_ms) / sizeof(wanted_ms[0]); i++)
        assert_int_equal(back_off_ms(1000, 30000, i, 0), wanted_ms[i]);
    assert_int_equal(back_off_ms(1000, 30000, UINT32_MAX, 0), 30000);
    assert_int_equal(back_off_ms(1, INT32_MAX, UINT32_MAX, 0), INT32_MAX);
    assert_int_equal(back_off_ms(0, 0, 5, 7), 0);
    assert_int_equal(back_off_ms(500, 100, 1, 0), 100);
}

static void spreads_over_the_upper_half(void **state)
{
    uint32_t seen[4] = {0, 0, 0, 0};

    (void)state;
    for (uint32_t random = 0; random < 100000; random++) {
        uint32_t delay_ms = back_off_ms(1000, 8000, 4, random * 2654435761u);

        assert_in_range(delay_ms, 4000, 8000);
        seen[(delay_ms - 4000) / 1001]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(seen[i], 20000, 30000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_up_to_the_maximum),
        cmocka_unit_test(spreads_over_the_upper_half),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
