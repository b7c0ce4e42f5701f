/* SPDX-License-Identifier: Apache-2.0
 *
 * Floating-point formats to decimals and back, by integer arithmetic; see decimal.h.
 * m * 2^e * 10^d needs up to 53 + 30 bits before the shift, which 32-bit ARM has no type
 * for: `wide` is four limbs of 32 bits, least significant first.
 */
#include "drivers/decimal.h"

#define WIDE_LIMBS       4
#define WIDE_BITS        (WIDE_LIMBS * 32)
#define FLOAT_DIGITS_MAX 9 /* digits after the point that a device may mean */

struct wide {
    uint32_t limb[WIDE_LIMBS];
};

/* A 64-bit number in the two low limbs. */
static struct wide wide_make(uint64_t n)
{
    return (struct wide){{(uint32_t)n, (uint32_t)(n >> 32), 0, 0}};
}

/* n times a small factor; the callers' operands never carry out of the last limb. */
static struct wide wide_mul(struct wide n, uint32_t factor)
{
    uint64_t carry = 0;

    for (int i = 0; i < WIDE_LIMBS; i++) {
        carry += (uint64_t)n.limb[i] * factor;
        n.limb[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return n;
}

/* Divides by a small divisor in place; returns the remainder. */
static uint32_t wide_div(struct wide *n, uint32_t divisor)
{
    uint64_t rest = 0;

    for (int i = WIDE_LIMBS - 1; i >= 0; i--) {
        rest = rest << 32 | n->limb[i];
        n->limb[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint32_t)rest;
}

/* How many bits n has up to its highest set one: the place where it would overflow. */
static int wide_length(const struct wide *n) /* bits, 0 for zero */
{
    for (int i = WIDE_BITS - 1; i >= 0; i--)
        if (n->limb[i / 32] >> (i % 32) & 1)
            return i + 1;
    return 0;
}

/* A bit; those beyond either end are 0, as in the number that the limbs stand for. */
static bool wide_bit(const struct wide *n, int bit)
{
    return bit >= 0 && bit < WIDE_BITS && (n->limb[bit / 32] >> (bit % 32) & 1);
}

/* Is anything set below this bit? Decides between "exactly half" and "more than half". */
static bool wide_any_below(const struct wide *n, int bit)
{
    for (int i = 0; i < bit && i < WIDE_BITS; i++)
        if (wide_bit(n, i))
            return true;
    return false;
}

/* One doubling a step: slow, short, and at most 127 steps. */
static struct wide wide_shift_left(struct wide n, int by)
{
    while (by-- > 0)
        n = wide_mul(n, 2);
    return n;
}

/* n / 2^by to the nearest integer, ties to even; `sticky` says that the true value has
 * more below n's last bit. DECIMAL_OVERFLOW if the result has more than 63 bits. */
static int wide_round(const struct wide *n, int by, bool sticky, int64_t *out)
{
    uint64_t whole = 0;

    if (wide_length(n) - by > 63)
        return DECIMAL_OVERFLOW;
    for (int i = 62; i >= 0; i--) /* i + by may lie beyond the limbs: such bits are 0 */
        whole = whole << 1 | wide_bit(n, i + by);
    if (by > 0 && wide_bit(n, by - 1) &&
        (wide_any_below(n, by - 1) || sticky || (whole & 1)))
        whole++;
    if (whole > INT64_MAX)
        return DECIMAL_OVERFLOW;
    *out = (int64_t)whole;
    return DECIMAL_OK;
}

/* significand * 2^exponent with `digits` digits after the point. */
static int from_binary(bool negative, uint64_t significand, int exponent, int digits,
                       struct decimal *out)
{
    struct wide n = wide_make(significand);
    int64_t mantissa;

    if (digits < 0 || digits > FLOAT_DIGITS_MAX)
        return DECIMAL_OVERFLOW;
    for (int i = 0; i < digits; i++)
        n = wide_mul(n, 10);
    if (exponent > 0) {
        if (wide_length(&n) > 0 && wide_length(&n) + exponent > 63)
            return DECIMAL_OVERFLOW;
        n = wide_shift_left(n, wide_length(&n) ? exponent : 0);
        exponent = 0;
    }
    if (wide_round(&n, -exponent, false, &mantissa))
        return DECIMAL_OVERFLOW;
    *out = (struct decimal){negative ? -mantissa : mantissa, (int16_t)-digits};
    return DECIMAL_OK;
}

/* Splits sign, exponent and fraction; a normal number has a bit before the point that is
 * not stored. */
int decimal_from_f32(uint32_t bits, int digits, struct decimal *out)
{
    uint32_t fraction = bits & 0x7FFFFF, biased = bits >> 23 & 0xFF;

    if (biased == 0xFF)
        return fraction ? DECIMAL_NAN : DECIMAL_INFINITE;
    if (biased == 0) /* subnormal, and both zeros */
        return from_binary(bits >> 31, fraction, -149, digits, out);
    return from_binary(bits >> 31, fraction | 0x800000, (int)biased - 150, digits, out);
}

/* As decimal_from_f32, with the widths of a double. */
int decimal_from_f64(uint64_t bits, int digits, struct decimal *out)
{
    uint64_t fraction = bits & 0xFFFFFFFFFFFFF;
    int biased = (int)(bits >> 52 & 0x7FF);

    if (biased == 0x7FF)
        return fraction ? DECIMAL_NAN : DECIMAL_INFINITE;
    if (biased == 0)
        return from_binary(bits >> 63, fraction, -1074, digits, out);
    return from_binary(bits >> 63, fraction | 1ULL << 52, biased - 1075, digits, out);
}

/* Both 11073 types: a signed exponent above a signed mantissa. With exponent 0 the five
 * mantissas around the most negative one are no numbers. */
static int from_11073(uint32_t bits, int mantissa_bits, int exponent_bits,
                      struct decimal *out)
{
    uint32_t top = 1U << (mantissa_bits - 1);
    uint32_t low = bits & (top | (top - 1));
    uint32_t high = bits >> mantissa_bits & ((1U << exponent_bits) - 1);
    int32_t mantissa = low & top ? (int32_t)low - (int32_t)(top << 1) : (int32_t)low;
    int exponent =
        high >> (exponent_bits - 1) ? (int)high - (1 << exponent_bits) : (int)high;

    if (exponent == 0) {
        if (low == top - 1)
            return DECIMAL_NAN;
        if (low == top - 2 || low == top + 2)
            return DECIMAL_INFINITE;
        if (low == top || low == top + 1) /* NRes, reserved */
            return DECIMAL_RESERVED;
    }
    *out = (struct decimal){mantissa, (int16_t)exponent};
    return DECIMAL_OK;
}

/* 12-bit mantissa below a 4-bit exponent. */
int decimal_from_sfloat(uint16_t bits, struct decimal *out)
{
    return from_11073(bits, 12, 4, out);
}

/* 24-bit mantissa below an 8-bit exponent. */
int decimal_from_float(uint32_t bits, struct decimal *out)
{
    return from_11073(bits, 24, 8, out);
}

/* The mantissas around the limits are the special values: they are refused, or a number
 * would read back as "no value". */
int decimal_to_sfloat(struct decimal value, uint16_t *bits)
{
    if (value.exponent < -8 || value.exponent > 7 || value.mantissa > 0x7FD ||
        value.mantissa < -0x7FD)
        return DECIMAL_OVERFLOW;
    *bits = (uint16_t)((value.exponent & 0xF) << 12 | (int)(value.mantissa & 0xFFF));
    return DECIMAL_OK;
}

/* As decimal_to_sfloat, with the widths of FLOAT-Type. */
int decimal_to_float(struct decimal value, uint32_t *bits)
{
    if (value.exponent < -128 || value.exponent > 127 || value.mantissa > 0x7FFFFD ||
        value.mantissa < -0x7FFFFD)
        return DECIMAL_OVERFLOW;
    *bits =
        (uint32_t)(value.exponent & 0xFF) << 24 | (uint32_t)(value.mantissa & 0xFFFFFF);
    return DECIMAL_OK;
}

/* |mantissa| * 10^exponent as a significand of exactly `precision` bits and a power of
 * two; exponents beyond -18..18 are refused. The quotient is made with so many spare bits
 * that what is left of the division only ever decides ties. */
static int to_binary(struct decimal value, int precision, uint64_t *significand,
                     int *power)
{
    uint64_t magnitude =
        value.mantissa < 0 ? 0 - (uint64_t)value.mantissa : (uint64_t)value.mantissa;
    struct wide n = wide_make(magnitude);
    bool sticky = false;
    int64_t rounded;
    int shift = 0;

    if (value.exponent < -DECIMAL_DIGITS_MAX || value.exponent > DECIMAL_DIGITS_MAX)
        return DECIMAL_OVERFLOW;
    for (int i = 0; i < value.exponent; i++)
        n = wide_mul(n, 10);
    for (int i = 0; i > value.exponent; i--) {
        int room = WIDE_BITS - wide_length(&n);
        n = wide_shift_left(n, room);
        shift -= room;
        sticky |= wide_div(&n, 10) != 0;
    }
    int excess = wide_length(&n) - precision;
    if (excess < 0) {
        n = wide_shift_left(n, -excess);
        shift += excess;
        excess = 0;
    }
    if (wide_round(&n, excess, sticky, &rounded))
        return DECIMAL_OVERFLOW;
    *power = shift + excess;
    if (rounded >> precision) { /* rounded up to the next power of two */
        rounded >>= 1;
        *power += 1;
    }
    *significand = (uint64_t)rounded;
    return DECIMAL_OK;
}

/* Within -18..18 the exponent of a single or double is always a normal one. */
int decimal_to_f32(struct decimal value, uint32_t *bits)
{
    uint32_t negative = value.mantissa < 0 ? 1U << 31 : 0;
    uint64_t significand;
    int power;

    *bits = 0;
    if (value.mantissa == 0)
        return DECIMAL_OK;
    if (to_binary(value, 24, &significand, &power))
        return DECIMAL_OVERFLOW;
    *bits = negative | (uint32_t)(power + 150) << 23 | ((uint32_t)significand & 0x7FFFFF);
    return DECIMAL_OK;
}

/* As decimal_to_f32, with the widths of a double. */
int decimal_to_f64(struct decimal value, uint64_t *bits)
{
    uint64_t negative = value.mantissa < 0 ? 1ULL << 63 : 0, significand;
    int power;

    *bits = 0;
    if (value.mantissa == 0)
        return DECIMAL_OK;
    if (to_binary(value, 53, &significand, &power))
        return DECIMAL_OVERFLOW;
    *bits = negative | (uint64_t)(power + 1075) << 52 | (significand & 0xFFFFFFFFFFFFF);
    return DECIMAL_OK;
}
