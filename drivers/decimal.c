/* SPDX-License-Identifier: Apache-2.0
 *
 * Decimal arithmetic on int64_t; see decimal.h. The conversions of binary and 11073
 * floats are in decimal_float.c.
 */
#include "drivers/decimal.h"

#include <string.h>

/* Written out rather than __builtin_mul_overflow, which on 32-bit ARM under clang wants a
 * run-time function that a bare-metal build does not have. */
int decimal_int_mul(int64_t a, int64_t b, int64_t *out)
{
    if (a > 0 ? (b > INT64_MAX / a || b < INT64_MIN / a)
              : (a < -1 && (b > INT64_MIN / a || b < INT64_MAX / a)))
        return DECIMAL_OVERFLOW;
    if (a == -1 && b == INT64_MIN) /* INT64_MIN / -1 must not be evaluated */
        return DECIMAL_OVERFLOW;
    *out = a * b;
    return DECIMAL_OK;
}

/* Asked before adding: signed overflow is undefined, not merely wrong. */
int decimal_int_add(int64_t a, int64_t b, int64_t *out)
{
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b)
        return DECIMAL_OVERFLOW;
    *out = a + b;
    return DECIMAL_OK;
}

/* Powers of ten by multiplication: at most 18 steps, and no table to get wrong. */
int64_t decimal_power(int n)
{
    int64_t power = 1;

    if (n < 0 || n > DECIMAL_DIGITS_MAX)
        return 0;
    while (n-- > 0)
        power *= 10;
    return power;
}

/* More digits after the point multiply and may overflow; fewer divide and must leave no
 * remainder, for a digit of the device would be lost. */
int decimal_rescale(struct decimal value, int exponent, struct decimal *out)
{
    int steps = value.exponent - exponent; /* positive: more digits after the point */
    int64_t mantissa = value.mantissa;

    if (mantissa == 0)
        steps = 0; /* zero has every exponent */
    int64_t power = decimal_power(steps < 0 ? -steps : steps);
    if (steps >= 0) {
        if (power == 0 || decimal_int_mul(mantissa, power, &mantissa))
            return DECIMAL_OVERFLOW;
    } else {
        if (power == 0 || mantissa % power)
            return DECIMAL_INEXACT;
        mantissa /= power;
    }
    *out = (struct decimal){mantissa, (int16_t)exponent};
    return DECIMAL_OK;
}

/* Only values outside the range are touched: an exponent inside it says how many digits
 * the device meant, and stays. */
int decimal_fit(struct decimal value, int minimum, int maximum, struct decimal *out)
{
    if (value.exponent < minimum)
        return decimal_rescale(value, minimum, out);
    if (value.exponent > maximum)
        return decimal_rescale(value, maximum, out);
    *out = value;
    return DECIMAL_OK;
}

/* Both summands are written with the smaller exponent, so that no digit of either is
 * lost. */
int decimal_add(struct decimal a, struct decimal b, struct decimal *out)
{
    int exponent = a.exponent < b.exponent ? a.exponent : b.exponent;
    struct decimal x, y;
    int64_t sum;

    /* A zero must not force the other summand to an exponent that it cannot have. */
    if (b.mantissa == 0 && b.exponent > a.exponent)
        exponent = a.exponent;
    if (decimal_rescale(a, exponent, &x) || decimal_rescale(b, exponent, &y) ||
        decimal_int_add(x.mantissa, y.mantissa, &sum))
        return DECIMAL_OVERFLOW;
    *out = (struct decimal){sum, (int16_t)exponent};
    return DECIMAL_OK;
}

/* -1, 0 or 1. */
static int sign(int64_t n)
{
    return (n > 0) - (n < 0);
}

/* Signs first, because they decide whatever the exponents are; then both with one
 * exponent. */
int decimal_compare(struct decimal a, struct decimal b)
{
    struct decimal x;

    if (sign(a.mantissa) != sign(b.mantissa) || a.mantissa == 0)
        return sign(a.mantissa) - sign(b.mantissa);
    if (a.exponent < b.exponent)
        return -decimal_compare(b, a);
    /* a has the larger exponent. If it cannot be written with b's, it has more digits
     * before the point than any int64_t: it is the larger one in magnitude. */
    if (decimal_rescale(a, b.exponent, &x))
        return sign(a.mantissa);
    return (x.mantissa > b.mantissa) - (x.mantissa < b.mantissa);
}

/* The exponent is how many digits stand behind the point: "103.0" and "103" are the same
 * value and not the same text, and the difference is kept. */
int decimal_parse(const char *text, struct decimal *out)
{
    bool negative = *text == '-';
    int digits = 0, after = 0;
    bool point = false;
    int64_t mantissa = 0;

    if (*text == '-' || *text == '+')
        text++;
    for (; *text; text++) {
        if (*text == '.' && !point && digits > 0) {
            point = true;
            continue;
        }
        if (*text < '0' || *text > '9')
            return DECIMAL_SYNTAX;
        if (++digits > DECIMAL_DIGITS_MAX)
            return DECIMAL_OVERFLOW;
        mantissa = mantissa * 10 + (*text - '0');
        after += point;
    }
    if (digits == 0 || (point && after == 0)) /* "", "-", "1." */
        return DECIMAL_SYNTAX;
    *out = (struct decimal){negative ? -mantissa : mantissa, (int16_t)-after};
    return DECIMAL_OK;
}

/* The digits of n, most significant first; returns how many (1-20). */
static size_t put_digits(uint64_t n, char *out)
{
    char reversed[20];
    size_t count = 0;

    do {
        reversed[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    for (size_t i = 0; i < count; i++)
        out[i] = reversed[count - 1 - i];
    return count;
}

/* The digits of the mantissa with a point put between them, zeros in front where the
 * value is below 1 and behind where the exponent is positive. The length is known before
 * the first byte is written, so that a small buffer is never half filled. */
size_t decimal_format(struct decimal value, char *out, size_t size)
{
    char digits[20];
    /* In unsigned arithmetic, so that INT64_MIN has a magnitude. */
    uint64_t magnitude =
        value.mantissa < 0 ? 0 - (uint64_t)value.mantissa : (uint64_t)value.mantissa;
    size_t count = put_digits(magnitude, digits), used = 0;
    size_t after = value.exponent < 0 ? (size_t)-value.exponent : 0;
    size_t zeros = value.exponent > 0 && magnitude ? (size_t)value.exponent : 0;
    size_t lead = after >= count ? after - count + 1 : 0; /* zeros before the digits */
    size_t total = (value.mantissa < 0) + lead + count + zeros + (after > 0);

    if (size == 0)
        return 0;
    out[0] = '\0';
    if (total >= size)
        return 0;
    if (value.mantissa < 0)
        out[used++] = '-';
    for (size_t i = 0; i < lead + count; i++) {
        if (after > 0 && i == lead + count - after)
            out[used++] = '.';
        out[used++] = i < lead ? '0' : digits[i - lead];
    }
    memset(out + used, '0', zeros);
    out[total] = '\0';
    return total;
}
