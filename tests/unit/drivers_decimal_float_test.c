/* SPDX-License-Identifier: Apache-2.0
 *
 * decimal_float: the integer conversions against the C library's, which rounds exactly
 * (printf with digits after the point rounds the binary value half to even).
 */
#include "drivers_test.h"

#include "drivers/decimal.h"

static void against_printf(double value, int error, struct decimal d, int digits,
                           size_t *kept, size_t *over)
{
    char want[400], got[DECIMAL_TEXT_MAX] = "";

    snprintf(want, sizeof(want), "%.*f", digits, value);
    if (error == DECIMAL_OVERFLOW) {
        /* Only what does not fit 63 bits may overflow. */
        size_t n = strspn(want[0] == '-' ? want + 1 : want, "0123456789");
        assert_true(n + (size_t)digits >= 19);
        ++*over;
        return;
    }
    assert_int_equal(error, DECIMAL_OK);
    assert_int_equal(d.exponent, -digits);
    decimal_format(d, got, sizeof(got));
    if (want[0] == '-' && strspn(want + 1, "0.") == strlen(want + 1))
        assert_string_equal(got, want + 1); /* no minus zero */
    else
        assert_string_equal(got, want);
    ++*kept;
}

static void test_f32(void **state)
{
    static const uint32_t edge[] = {0,          0x80000000, 1,          0x007FFFFF,
                                    0x00800000, 0x3F800000, 0x3F000000, 0x3E800000,
                                    0x40200000, 0x40600000, 0x42353333, 0x41B33333,
                                    0xC2F6E666, 0x7F7FFFFF, 0xFF7FFFFF, 0x4B000001,
                                    0x5EFFFFFF, 0x5F000000};
    uint64_t seed = SEED;
    size_t kept = 0, over = 0;

    (void)state;
    for (size_t i = 0; i < 60000; i++) {
        uint32_t bits = i < COUNT(edge) ? edge[i] : (uint32_t)draw(&seed);
        if (i >= COUNT(edge) && i % 2) /* half of them of a size that devices send */
            bits = (bits & 0x807FFFFF) | (uint32_t)(110 + draw(&seed) % 40) << 23;
        float value;
        memcpy(&value, &bits, sizeof(value));
        for (int digits = 0; digits <= 9; digits += 1 + (int)(i % 3)) {
            struct decimal d = {0, 0};
            int error = decimal_from_f32(bits, digits, &d);
            if ((bits >> 23 & 0xFF) == 0xFF)
                assert_int_equal(error, bits & 0x7FFFFF ? DECIMAL_NAN : DECIMAL_INFINITE);
            else
                against_printf((double)value, error, d, digits, &kept, &over);
        }
    }
    printf("f32: %zu as printf, %zu overflow, seed %u\n", kept, over, SEED);
    assert_true(kept > 50000);
}

static void test_f64(void **state)
{
    uint64_t seed = SEED;
    size_t kept = 0, over = 0;
    struct decimal d;

    (void)state;
    for (size_t i = 0; i < 60000; i++) {
        uint64_t bits = draw(&seed);
        if (i % 4) /* of a size that devices send, half-way cases among them */
            bits = (bits & 0x800FFFFFFFFFFFFF) | (uint64_t)(1000 + draw(&seed) % 80)
                                                     << 52;
        if (i % 4 == 3)
            bits &= ~((1ull << (20 + draw(&seed) % 32)) - 1);
        double value;
        memcpy(&value, &bits, sizeof(value));
        int digits = (int)(draw(&seed) % 10);
        int error = decimal_from_f64(bits, digits, &d);
        if ((bits >> 52 & 0x7FF) == 0x7FF)
            assert_int_equal(error,
                             bits & 0xFFFFFFFFFFFFF ? DECIMAL_NAN : DECIMAL_INFINITE);
        else
            against_printf(value, error, d, digits, &kept, &over);
    }
    assert_int_equal(decimal_from_f64(0x7FF0000000000000, 1, &d), DECIMAL_INFINITE);
    assert_int_equal(decimal_from_f64(0x7FF8000000000000, 1, &d), DECIMAL_NAN);
    assert_int_equal(decimal_from_f64(0, 10, &d), DECIMAL_OVERFLOW);
    assert_int_equal(decimal_from_f64(0, -1, &d), DECIMAL_OVERFLOW);
    printf("f64: %zu as printf, %zu overflow, seed %u\n", kept, over, SEED);
    assert_true(kept > 30000);
}

/* Decimal to binary against strtof and strtod, which are exact. */
static void test_to_ieee(void **state)
{
    uint64_t seed = SEED;
    size_t cases = 0;
    uint32_t w = 1;
    uint64_t l = 1;

    (void)state;
    for (size_t i = 0; i < 60000; i++, cases++) {
        struct decimal v = {(int64_t)draw(&seed) >> (i % 3 ? 40 : 1 + draw(&seed) % 62),
                            (int16_t)(draw(&seed) % 37 - 18)};
        char text[64];
        uint32_t want32;
        uint64_t want64;
        snprintf(text, sizeof(text), "%llde%d", (long long)v.mantissa, v.exponent);
        float f = strtof(text, NULL);
        double d = strtod(text, NULL);
        memcpy(&want32, &f, sizeof(f));
        memcpy(&want64, &d, sizeof(d));
        assert_int_equal(decimal_to_f32(v, &w), DECIMAL_OK);
        assert_int_equal(decimal_to_f64(v, &l), DECIMAL_OK);
        assert_int_equal(w, want32);
        assert_true(l == want64);
    }
    assert_int_equal(decimal_to_f32((struct decimal){0, 0}, &w), DECIMAL_OK);
    assert_int_equal(w, 0);
    assert_int_equal(decimal_to_f32((struct decimal){1, 19}, &w), DECIMAL_OVERFLOW);
    assert_int_equal(decimal_to_f64((struct decimal){1, -19}, &l), DECIMAL_OVERFLOW);
    assert_int_equal(decimal_to_f64((struct decimal){INT64_MIN, 18}, &l), DECIMAL_OK);
    printf("to IEEE: %zu as strtod, seed %u\n", cases, SEED);
}

/* Every SFLOAT there is, there and back. */
static void test_sfloat(void **state)
{
    size_t values = 0, specials = 0;

    (void)state;
    for (uint32_t bits = 0; bits <= 0xFFFF; bits++) {
        struct decimal d = {0, 0};
        int error = decimal_from_sfloat((uint16_t)bits, &d);
        uint16_t back = 0;
        if (bits == 0x07FF || bits == 0x07FE || bits == 0x0802 || bits == 0x0800 ||
            bits == 0x0801) {
            assert_int_equal(error, bits == 0x07FF ? DECIMAL_NAN
                                    : bits == 0x0800 || bits == 0x0801
                                        ? DECIMAL_RESERVED
                                        : DECIMAL_INFINITE);
            specials++;
            continue;
        }
        int mantissa = (int)(bits & 0xFFF), exponent = (int)(bits >> 12);
        mantissa -= mantissa > 0x7FF ? 0x1000 : 0;
        exponent -= exponent > 7 ? 16 : 0;
        assert_int_equal(error, DECIMAL_OK);
        assert_true(d.mantissa == mantissa && d.exponent == exponent);
        if (mantissa <= 0x7FD && mantissa >= -0x7FD) {
            assert_int_equal(decimal_to_sfloat(d, &back), DECIMAL_OK);
            assert_int_equal(back, bits);
        } else {
            assert_int_equal(decimal_to_sfloat(d, &back), DECIMAL_OVERFLOW);
        }
        values++;
    }
    printf("SFLOAT: %zu values, %zu specials\n", values, specials);
    assert_int_equal(values + specials, 65536);
}

static void test_float(void **state)
{
    static const struct {
        uint32_t bits;
        int error;
        int64_t mantissa;
        int16_t exponent;
    } cases[] = {
        {0x007FFFFF, DECIMAL_NAN, 0, 0},      {0x00800000, DECIMAL_RESERVED, 0, 0},
        {0x007FFFFE, DECIMAL_INFINITE, 0, 0}, {0x00800002, DECIMAL_INFINITE, 0, 0},
        {0x00800001, DECIMAL_RESERVED, 0, 0}, {0xFF000406, DECIMAL_OK, 1030, -1},
        {0xFE00278E, DECIMAL_OK, 10126, -2},  {0x00FFFFFD, DECIMAL_OK, -3, 0},
        {0x7F000001, DECIMAL_OK, 1, 127},     {0x80000001, DECIMAL_OK, 1, -128},
        {0x017FFFFF, DECIMAL_OK, 8388607, 1}, {0xFF800000, DECIMAL_OK, -8388608, -1},
    };
    uint64_t seed = SEED;
    struct decimal d;
    uint32_t bits;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        d = (struct decimal){0, 0};
        assert_int_equal(decimal_from_float(cases[i].bits, &d), cases[i].error);
        assert_true(d.mantissa == cases[i].mantissa && d.exponent == cases[i].exponent);
    }
    for (size_t i = 0; i < 100000; i++) {
        struct decimal v = {(int64_t)(draw(&seed) % 16777212) - 8388605,
                            (int16_t)(draw(&seed) % 256 - 128)};
        if (v.mantissa > 0x7FFFFD || v.mantissa < -0x7FFFFD)
            continue;
        assert_int_equal(decimal_to_float(v, &bits), DECIMAL_OK);
        assert_int_equal(decimal_from_float(bits, &d), DECIMAL_OK);
        assert_true(d.mantissa == v.mantissa && d.exponent == v.exponent);
    }
    assert_int_equal(decimal_to_float((struct decimal){0x7FFFFE, 0}, &bits),
                     DECIMAL_OVERFLOW);
    assert_int_equal(decimal_to_float((struct decimal){1, 128}, &bits), DECIMAL_OVERFLOW);
    assert_int_equal(decimal_to_float((struct decimal){1, -129}, &bits),
                     DECIMAL_OVERFLOW);
    printf("FLOAT: %zu fixed cases, 100000 there and back, seed %u\n", COUNT(cases),
           SEED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),     cmocka_unit_test(test_f64),
        cmocka_unit_test(test_to_ieee), cmocka_unit_test(test_sfloat),
        cmocka_unit_test(test_float),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
