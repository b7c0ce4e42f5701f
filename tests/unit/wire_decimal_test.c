/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/record.h"
#include "wire_sample.h"

static const struct {
    int64_t mantissa;
    int32_t exponent;
    const char *text;
} cases[] = {
    {72, 0, "72"},
    {1013, -1, "101.3"},
    {10130, -2, "101.30"},
    {-5, -2, "-0.05"},
    {5, -1, "0.5"},
    {0, 0, "0"},
    {0, -1, "0.0"},
    {0, -3, "0.000"},
    {0, 5, "0"},
    {7, 3, "7000"},
    {-7, 3, "-7000"},
    {-72, 0, "-72"},
    {100, -2, "1.00"},
    {1, -18, "0.000000000000000001"},
    {370, -1, "37.0"},
    {99, -2, "0.99"},
    {1, 18, "1000000000000000000"},
    {INT64_MAX, 0, "9223372036854775807"},
    {INT64_MIN, 0, "-9223372036854775808"},
    {INT64_MIN, -18, "-9.223372036854775808"},
    {INT64_MIN, 18, "-9223372036854775808000000000000000000"},
    {INT64_MAX, -1, "922337203685477580.7"},
};

static void test_texts(void **state)
{
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].text);
        assert_int_equal(decimal_text(cases[i].mantissa, cases[i].exponent, out,
                                      sizeof(out)),
                         n);
        assert_string_equal(out, cases[i].text);
        for (size_t capacity = 0; capacity <= n; capacity++)
            assert_int_equal(decimal_text(cases[i].mantissa, cases[i].exponent, out,
                                          capacity),
                             WIRE_LIMIT);
        assert_int_equal(decimal_text(cases[i].mantissa, cases[i].exponent, out, n + 1),
                         n);
    }
    assert_int_equal(decimal_text(1, 19, out, sizeof(out)), WIRE_INVALID);
    assert_int_equal(decimal_text(1, -19, out, sizeof(out)), WIRE_INVALID);
    assert_int_equal(decimal_text(1, INT32_MIN, out, sizeof(out)), WIRE_INVALID);
    printf("%zu texts\n", sizeof(cases) / sizeof(cases[0]));
}

/* Reads the text back digit by digit: the same mantissa and exponent come out. */
static void test_reads_back(void **state)
{
    struct dice dice = {dice_seed()};
    char out[64];

    (void)state;
    for (int i = 0; i < 200000; i++) {
        int64_t mantissa = (int64_t)dice_roll(&dice) >> dice_below(&dice, 64);
        int32_t exponent = -(int32_t)dice_below(&dice, 19), places = 0;
        uint64_t value = 0;
        const char *at = out;
        bool point = false;
        assert_true(decimal_text(mantissa, exponent, out, sizeof(out)) > 0);
        for (at += *at == '-'; *at != '\0'; at++) {
            if (*at == '.')
                point = true;
            else {
                value = value * 10 + (uint64_t)(*at - '0');
                places += point;
            }
        }
        assert_int_equal(places, -exponent);
        assert_true((out[0] == '-' ? 0 - value : value) == (uint64_t)mantissa);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),
                                       cmocka_unit_test(test_reads_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
