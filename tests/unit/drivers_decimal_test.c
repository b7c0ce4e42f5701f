/* SPDX-License-Identifier: Apache-2.0
 *
 * decimal: exact, or an error; never wrapped, clipped or rounded in silence.
 */
#include "drivers_test.h"

#include "drivers/decimal.h"

/* mul and add against 128-bit arithmetic, at and around every edge. */
static void test_integers(void **state)
{
    static const int64_t edge[] = {0,
                                   1,
                                   -1,
                                   2,
                                   -2,
                                   10,
                                   -10,
                                   INT64_MAX,
                                   INT64_MIN,
                                   INT64_MAX - 1,
                                   INT64_MIN + 1,
                                   INT64_MAX / 2,
                                   INT64_MIN / 2,
                                   3037000499,
                                   3037000500,
                                   -3037000500,
                                   4294967296,
                                   -4294967296};
    uint64_t seed = SEED;
    size_t pairs = 0;

    (void)state;
    for (size_t i = 0; i < 200000; i++, pairs++) {
        int64_t a = i < COUNT(edge) * COUNT(edge)
                        ? edge[i / COUNT(edge)]
                        : (int64_t)draw(&seed) >> draw(&seed) % 64;
        int64_t b = i < COUNT(edge) * COUNT(edge)
                        ? edge[i % COUNT(edge)]
                        : (int64_t)draw(&seed) >> draw(&seed) % 64;
        __int128 product = (__int128)a * b, sum = (__int128)a + b;
        int64_t out = 42;
        bool fits = product >= INT64_MIN && product <= INT64_MAX;
        assert_int_equal(decimal_int_mul(a, b, &out),
                         fits ? DECIMAL_OK : DECIMAL_OVERFLOW);
        assert_true(out == (fits ? (int64_t)product : 42));
        out = 42;
        fits = sum >= INT64_MIN && sum <= INT64_MAX;
        assert_int_equal(decimal_int_add(a, b, &out),
                         fits ? DECIMAL_OK : DECIMAL_OVERFLOW);
        assert_true(out == (fits ? (int64_t)sum : 42));
    }
    assert_true(decimal_power(18) == 1000000000000000000);
    assert_int_equal(decimal_power(0), 1);
    assert_int_equal(decimal_power(19), 0);
    assert_int_equal(decimal_power(-1), 0);
    printf("decimal: %zu pairs against 128 bits, seed %u\n", pairs, SEED);
}

static void test_text(void **state)
{
    static const struct {
        const char *text;
        int64_t mantissa;
        int16_t exponent;
    } good[] = {{"0", 0, 0},
                {"103.0", 1030, -1},
                {"-12.50", -1250, -2},
                {"0.001", 1, -3},
                {"-0.5", -5, -1},
                {"36", 36, 0},
                {"0.0", 0, -1},
                {"00012.3", 123, -1},
                {"999999999999999999", 999999999999999999, 0},
                {"0.00000000000000001", 1, -17}};
    static const char *const bad[] = {"",      "-",   "+",  ".",       "1.",   ".5",
                                      "1.2.3", "1e3", " 1", "1 ",      "0x10", "--1",
                                      "1,5",   "nan", "1-", "\xC2\xB5"};
    char out[DECIMAL_TEXT_MAX];
    struct decimal d;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(decimal_parse(good[i].text, &d), DECIMAL_OK);
        assert_true(d.mantissa == good[i].mantissa && d.exponent == good[i].exponent);
        size_t length = decimal_format(d, out, sizeof(out));
        assert_int_equal(length, strlen(out));
        if (strcmp(good[i].text, "00012.3") != 0)
            assert_string_equal(out, good[i].text);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(decimal_parse(bad[i], &d), DECIMAL_SYNTAX);
    assert_int_equal(decimal_parse("1234567890123456789", &d), DECIMAL_OVERFLOW);
    assert_int_equal(decimal_parse("+7", &d), DECIMAL_OK);
    assert_true(d.mantissa == 7);
    printf("decimal: %zu texts read, %zu refused\n", COUNT(good), COUNT(bad) + 1);
}

static void test_format(void **state)
{
    static const struct {
        struct decimal value;
        const char *text;
    } cases[] = {
        {{12, 2}, "1200"},
        {{0, 5}, "0"},
        {{0, -3}, "0.000"},
        {{-5, -1}, "-0.5"},
        {{5, -18}, "0.000000000000000005"},
        {{INT64_MIN, 0}, "-9223372036854775808"},
        {{INT64_MIN, -18}, "-9.223372036854775808"},
        {{INT64_MAX, 18}, "9223372036854775807000000000000000000"},
    };
    char out[DECIMAL_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t length = strlen(cases[i].text);
        assert_int_equal(decimal_format(cases[i].value, out, sizeof(out)), length);
        assert_string_equal(out, cases[i].text);
        for (size_t size = 0; size <= length;
             size++) { /* one too small, all the way down */
            char *small = malloc(size ? size : 1);
            assert_non_null(small);
            assert_int_equal(decimal_format(cases[i].value, small, size), 0);
            if (size)
                assert_string_equal(small, "");
            free(small);
        }
    }
}

static void test_scale(void **state)
{
    struct decimal d;

    (void)state;
    assert_int_equal(decimal_rescale((struct decimal){1030, -1}, 0, &d), DECIMAL_OK);
    assert_true(d.mantissa == 103 && d.exponent == 0);
    assert_int_equal(decimal_rescale((struct decimal){1031, -1}, 0, &d), DECIMAL_INEXACT);
    assert_int_equal(decimal_rescale((struct decimal){7, 0}, -3, &d), DECIMAL_OK);
    assert_true(d.mantissa == 7000 && d.exponent == -3);
    assert_int_equal(decimal_rescale((struct decimal){7, 0}, -19, &d), DECIMAL_OVERFLOW);
    assert_int_equal(decimal_rescale((struct decimal){10, 0}, -18, &d), DECIMAL_OVERFLOW);
    assert_int_equal(decimal_rescale((struct decimal){7, -19}, 0, &d), DECIMAL_INEXACT);
    assert_int_equal(decimal_rescale((struct decimal){0, 127}, -18, &d), DECIMAL_OK);
    assert_true(d.mantissa == 0 && d.exponent == -18);
    assert_int_equal(decimal_fit((struct decimal){5, 20}, -18, 18, &d), DECIMAL_OK);
    assert_true(d.mantissa == 500 && d.exponent == 18);
    assert_int_equal(decimal_fit((struct decimal){500, -20}, -18, 18, &d), DECIMAL_OK);
    assert_true(d.mantissa == 5 && d.exponent == -18);
    assert_int_equal(decimal_fit((struct decimal){5, -20}, -18, 18, &d), DECIMAL_INEXACT);
    assert_int_equal(decimal_fit((struct decimal){5, 127}, -18, 18, &d),
                     DECIMAL_OVERFLOW);
    assert_int_equal(decimal_add((struct decimal){1, 0}, (struct decimal){25, -2}, &d),
                     0);
    assert_true(d.mantissa == 125 && d.exponent == -2);
    assert_int_equal(decimal_add((struct decimal){1, 18}, (struct decimal){1, -18}, &d),
                     DECIMAL_OVERFLOW);
    assert_int_equal(decimal_add((struct decimal){15, -1}, (struct decimal){0, 100}, &d),
                     0);
    assert_true(d.mantissa == 15 && d.exponent == -1);
}

/* Comparing against long double where that is exact, and by hand where it is not. */
static void test_compare(void **state)
{
    uint64_t seed = SEED;
    size_t pairs = 0;

    (void)state;
    for (size_t i = 0; i < 100000; i++, pairs++) {
        struct decimal a = {(int64_t)(draw(&seed) % 20001) - 10000,
                            (int16_t)(draw(&seed) % 5)};
        struct decimal b = {(int64_t)(draw(&seed) % 20001) - 10000,
                            (int16_t)(draw(&seed) % 5)};
        int64_t x = a.mantissa * decimal_power(a.exponent);
        int64_t y = b.mantissa * decimal_power(b.exponent);
        int got = decimal_compare(a, b);
        assert_int_equal((got > 0) - (got < 0), (x > y) - (x < y));
    }
    assert_true(
        decimal_compare((struct decimal){1, 127}, (struct decimal){INT64_MAX, 0}) > 0);
    assert_true(
        decimal_compare((struct decimal){-1, 127}, (struct decimal){INT64_MIN, 0}) < 0);
    assert_true(decimal_compare((struct decimal){1, -128}, (struct decimal){0, 0}) > 0);
    assert_true(decimal_compare((struct decimal){10, -1}, (struct decimal){1, 0}) == 0);
    assert_true(decimal_compare((struct decimal){INT64_MIN, 0},
                                (struct decimal){INT64_MAX, 0}) < 0);
    printf("decimal: %zu comparisons, seed %u\n", pairs, SEED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers), cmocka_unit_test(test_text),
        cmocka_unit_test(test_format),   cmocka_unit_test(test_scale),
        cmocka_unit_test(test_compare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
