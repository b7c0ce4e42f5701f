/* SPDX-License-Identifier: Apache-2.0
 *
 * Decimal text without a float in between: 101.30 must not become 101.3, nor 101.29999.
 */
#include <string.h>

#include "wire/record.h"

#define DIGITS_MAX   20 /* of a 64-bit number */
#define EXPONENT_MAX 18

/* The mantissa's digits, without a sign; returns how many. */
static size_t digits_of(int64_t mantissa, char digits[DIGITS_MAX])
{
    uint64_t rest = mantissa < 0 ? 0 - (uint64_t)mantissa : (uint64_t)mantissa;
    char reversed[DIGITS_MAX];
    size_t n = 0;

    do {
        reversed[n++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    for (size_t i = 0; i < n; i++)
        digits[i] = reversed[n - 1 - i];
    return n;
}

/* Built in a local buffer that every exponent fits, then copied if there is room. */
int decimal_text(int64_t mantissa, int32_t exponent, char *out, size_t capacity)
{
    char text[1 + DIGITS_MAX + EXPONENT_MAX + 2], digits[DIGITS_MAX];
    size_t n = digits_of(mantissa, digits), at = 0, places;

    if (exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
        return WIRE_INVALID;
    if (mantissa < 0)
        text[at++] = '-';

    if (exponent >= 0) {
        memcpy(text + at, digits, n);
        at += n;
        for (int32_t i = 0; i < exponent && mantissa != 0; i++)
            text[at++] = '0';
    } else {
        places = (size_t)-exponent;
        if (n > places) {
            memcpy(text + at, digits, n - places);
            at += n - places;
        } else
            text[at++] = '0';
        text[at++] = '.';
        for (size_t i = n; i < places; i++)
            text[at++] = '0';
        memcpy(text + at, digits + (n > places ? n - places : 0),
               n > places ? places : n);
        at += n > places ? places : n;
    }

    if (at + 1 > capacity)
        return WIRE_LIMIT;
    memcpy(out, text, at);
    out[at] = '\0';
    return (int)at;
}
