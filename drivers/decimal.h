/* SPDX-License-Identifier: Apache-2.0
 *
 * Exact decimal arithmetic, mantissa * 10^exponent in 64 bits, and the floating-point
 * formats of devices turned into it by integer arithmetic alone: the chart must show the
 * device's digits, and a node without a floating-point unit must get the same ones.
 *
 * Nothing here saturates, clips or wraps: what does not fit is an error.
 */
#ifndef DRIVERS_DECIMAL_H
#define DRIVERS_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DECIMAL_TEXT_MAX   48 /* bytes that decimal_format needs, terminator included */
#define DECIMAL_DIGITS_MAX 18 /* 10^18 is the largest power of ten in an int64_t */

struct decimal {
    int64_t mantissa;
    int16_t exponent; /* wider than an observation's: FLOAT-Type reaches -128..127 */
};

enum decimal_error {
    DECIMAL_OK = 0,
    DECIMAL_OVERFLOW = -1, /* the exact result does not fit */
    DECIMAL_SYNTAX = -2,   /* not a decimal number */
    DECIMAL_INEXACT = -3,  /* digits would be lost */
    DECIMAL_NAN = -4,      /* not a number: the device has no value */
    DECIMAL_INFINITE = -5, /* beyond what the device can express */
    DECIMAL_RESERVED = -6, /* a bit pattern that the format reserves, or NRes */
};

/* a * b, a + b; DECIMAL_OVERFLOW leaves *out alone. */
int decimal_int_mul(int64_t a, int64_t b, int64_t *out);
int decimal_int_add(int64_t a, int64_t b, int64_t *out);

/* 10^n for n in 0..DECIMAL_DIGITS_MAX; 0 otherwise. */
int64_t decimal_power(int n);

/* a + b with every digit: the smaller of the two exponents is kept. */
int decimal_add(struct decimal a, struct decimal b, struct decimal *out);

/* The same value with another exponent. DECIMAL_INEXACT if digits would be lost. */
int decimal_rescale(struct decimal value, int exponent, struct decimal *out);

/* The same value with an exponent in minimum..maximum, changed as little as possible. */
int decimal_fit(struct decimal value, int minimum, int maximum, struct decimal *out);

/* Negative, 0 or positive as a is less than, equal to or greater than b, for any
 * exponents. */
int decimal_compare(struct decimal a, struct decimal b);

/* Reads "-12.50" as {-1250, -2}: trailing zeros are kept, they are the device's. No
 * exponent ("1e3"). Digits only, at most 18; no spaces. */
int decimal_parse(const char *text, struct decimal *out);

/* Writes the value in plain notation: {1030, -1} is "103.0", {12, 2} is "1200". Returns
 * the length, or 0 (and "") if it does not fit; DECIMAL_TEXT_MAX always does for
 * exponents in -18..18. */
size_t decimal_format(struct decimal value, char *out, size_t size);

/* IEEE 754 bits to a decimal with exactly `digits` (0-9) digits after the point, rounded
 * half to even. DECIMAL_NAN, DECIMAL_INFINITE, DECIMAL_OVERFLOW. */
int decimal_from_f32(uint32_t bits, int digits, struct decimal *out);
int decimal_from_f64(uint64_t bits, int digits, struct decimal *out);

/* IEEE 11073-20601 SFLOAT-Type and FLOAT-Type, mantissa and exponent as sent.
 * DECIMAL_NAN, DECIMAL_INFINITE, DECIMAL_RESERVED (NRes too). */
int decimal_from_sfloat(uint16_t bits, struct decimal *out);
int decimal_from_float(uint32_t bits, struct decimal *out);

/* The way back, for emulators and profiles. The 11073 types keep mantissa and exponent or
 * fail (DECIMAL_OVERFLOW); the IEEE types give the nearest value, ties to even. */
int decimal_to_sfloat(struct decimal value, uint16_t *bits);
int decimal_to_float(struct decimal value, uint32_t *bits);
int decimal_to_f32(struct decimal value, uint32_t *bits);
int decimal_to_f64(struct decimal value, uint64_t *bits);

#endif
