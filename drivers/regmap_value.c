/* SPDX-License-Identifier: Apache-2.0
 *
 * One field: from the bytes of its registers to an observation. The order of the steps is
 * the safety of it: first "is this a value at all" (sentinels, not-a-number), then the
 * number, then scale and offset, then the limits, which only ever flag.
 */
#include "drivers/decimal.h"
#include "drivers/regmap.h"

#include <string.h>

/* Byte i (0 = most significant) of a value of n registers stands at this byte of the
 * wire. */
static size_t wire_index(uint8_t order, size_t i, size_t registers)
{
    size_t word = i / 2, byte = i % 2;

    if (order == REGMAP_CDAB || order == REGMAP_DCBA)
        word = registers - 1 - word;
    if (order == REGMAP_BADC || order == REGMAP_DCBA)
        byte = 1 - byte;
    return word * 2 + byte;
}

/* The bits as the maker documents them: word order undone, single bits and groups cut
 * out. Sentinels and enumerations are compared with these. */
uint64_t regmap_raw(const struct regmap_field *field, const struct regmap_block *block,
                    const uint8_t *bytes)
{
    size_t at = (size_t)(field->address - block->address), span = regmap_span(field);
    uint64_t raw = 0;

    if (field->type == REGMAP_TEXT)
        return 0;
    if (field->function <=
        2) /* coils and inputs come packed, lowest address lowest bit */
        return bytes[at / 8] >> (at % 8) & 1;
    for (size_t i = 0; i < span * 2; i++)
        raw = raw << 8 | bytes[at * 2 + wire_index(field->order, i, span)];
    if (field->type == REGMAP_BIT)
        return raw >> field->bit & 1;
    if (field->type == REGMAP_BITS)
        return raw >> field->bit & ((1U << field->bits) - 1);
    return raw;
}

/* Least significant byte first, each to where regmap_raw() would look for it. */
void regmap_put(const struct regmap_field *field, uint64_t raw, uint8_t *registers)
{
    size_t span = regmap_span(field);

    for (size_t i = span * 2; i-- > 0; raw >>= 8)
        registers[wire_index(field->order, i, span)] = (uint8_t)raw;
}

/* Four bits a digit. A nibble above 9 is no digit: the register holds something else. */
static int from_bcd(uint64_t raw, int digits, int64_t *out)
{
    int64_t n = 0;

    for (int i = digits - 1; i >= 0; i--) {
        int64_t digit = (int64_t)(raw >> (4 * i) & 0xF);
        if (digit > 9)
            return DECIMAL_SYNTAX;
        n = n * 10 + digit;
    }
    *out = n;
    return DECIMAL_OK;
}

/* The raw bits as the number that the device means, before scale and offset. */
static int to_number(const struct regmap_field *field, uint64_t raw, struct decimal *out)
{
    *out = (struct decimal){0, 0};
    switch (field->type) {
    case REGMAP_I16:
        out->mantissa = (int16_t)(uint16_t)raw;
        return DECIMAL_OK;
    case REGMAP_I32:
        out->mantissa = (int32_t)(uint32_t)raw;
        return DECIMAL_OK;
    case REGMAP_I64:
        out->mantissa = (int64_t)raw;
        return DECIMAL_OK;
    case REGMAP_SM16: /* -0 is 0 */
        out->mantissa = raw & 0x8000 ? -(int64_t)(raw & 0x7FFF) : (int64_t)raw;
        return DECIMAL_OK;
    case REGMAP_BCD16:
        return from_bcd(raw, 4, &out->mantissa);
    case REGMAP_BCD32:
        return from_bcd(raw, 8, &out->mantissa);
    case REGMAP_F32:
        return decimal_from_f32((uint32_t)raw, field->decimals, out);
    case REGMAP_F64:
        return decimal_from_f64(raw, field->decimals, out);
    case REGMAP_SFLOAT:
        return decimal_from_sfloat((uint16_t)raw, out);
    case REGMAP_FLOAT:
        return decimal_from_float((uint32_t)raw, out);
    default: /* unsigned, and bits without a map */
        if (raw > INT64_MAX)
            return DECIMAL_OVERFLOW;
        out->mantissa = (int64_t)raw;
        return DECIMAL_OK;
    }
}

/* number * scale * 10^scale_exponent + offset * 10^scale_exponent, with every digit. */
static int apply_scale(const struct regmap_field *field, struct decimal number,
                       struct decimal *out)
{
    struct decimal scaled = {0, (int16_t)(number.exponent + field->scale_exponent)};

    if (decimal_int_mul(number.mantissa, field->scale, &scaled.mantissa))
        return DECIMAL_OVERFLOW;
    if (field->offset != 0) {
        struct decimal offset = {field->offset, field->scale_exponent};
        if (decimal_add(scaled, offset, &scaled))
            return DECIMAL_OVERFLOW;
    }
    return decimal_fit(scaled, OBSERVATION_EXPONENT_MIN, OBSERVATION_EXPONENT_MAX, out);
}

/* No value, and why. Mantissa and exponent are 0 so that nobody finds a stale number in
 * them. */
static void make_absent(struct observation *out, unsigned quality)
{
    out->kind = OBSERVATION_ABSENT;
    out->quality = (uint16_t)quality;
    out->mantissa = 0;
    out->exponent = 0;
}

/* The last two steps of the order above: the number with its scale, then its limits. */
static void observe_number(const struct regmap_field *field, uint64_t raw,
                           struct observation *out)
{
    struct decimal value;
    int error = to_number(field, raw, &value);

    /* 11073's NaN is that format's own "no value", no fault; an IEEE NaN that the profile
     * does not list as a sentinel is one. */
    if (error == DECIMAL_NAN &&
        (field->type == REGMAP_SFLOAT || field->type == REGMAP_FLOAT)) {
        make_absent(out, 0);
        return;
    }
    if (error == DECIMAL_INFINITE) {
        make_absent(out, QUALITY_INVALID | QUALITY_OUT_OF_RANGE);
        return;
    }
    if (error || apply_scale(field, value, &value)) {
        make_absent(out, QUALITY_INVALID);
        return;
    }
    out->kind = OBSERVATION_NUMERIC;
    out->mantissa = value.mantissa;
    out->exponent = (int8_t)value.exponent;
    struct decimal minimum = {field->minimum, field->limit_exponent};
    struct decimal maximum = {field->maximum, field->limit_exponent};
    if ((field->has_minimum && decimal_compare(value, minimum) < 0) ||
        (field->has_maximum && decimal_compare(value, maximum) > 0))
        out->quality = QUALITY_OUT_OF_RANGE;
}

/* A raw value that the map does not have is not guessed at. */
static void observe_enum(const struct regmap_field *field, uint64_t raw,
                         struct observation *out)
{
    for (uint16_t i = 0; i < field->value_count; i++)
        if (field->values[i].raw == raw) {
            out->kind = OBSERVATION_CODED;
            out->coded = field->values[i].coded;
            return;
        }
    make_absent(out, QUALITY_INVALID);
}

/* ASCII up to the first NUL, without trailing spaces. */
static void observe_text(const struct regmap_field *field, const uint8_t *bytes,
                         struct observation *out)
{
    size_t size = (size_t)field->length * 2, length = 0;

    for (size_t i = 0; i < size && i < OBSERVATION_TEXT_MAX; i++) {
        uint8_t c = bytes[field->order == REGMAP_BADC ? i ^ 1 : i];
        if (c == 0)
            break;
        if (c < 0x20 || c > 0x7E) {
            memset(out->text, 0, sizeof(out->text));
            make_absent(out, QUALITY_INVALID);
            return;
        }
        out->text[i] = (char)c;
        if (c != ' ')
            length = i + 1;
    }
    memset(out->text + length, 0, sizeof(out->text) - length);
    if (length == 0)
        make_absent(out, 0);
    else
        out->kind = OBSERVATION_TEXT;
}

/* The order of the steps is that of the top of this file. */
void regmap_observe(const struct regmap_field *field, const struct regmap_block *block,
                    const uint8_t *bytes, struct observation *out)
{
    memset(out, 0, sizeof(*out));
    out->code = field->code;
    out->unit = field->unit;
    out->site = field->site;
    out->method = field->method;
    if (field->type == REGMAP_TEXT) {
        observe_text(field, bytes + (size_t)(field->address - block->address) * 2, out);
        return;
    }
    uint64_t raw = regmap_raw(field, block, bytes);
    for (uint8_t i = 0; i < field->sentinel_count; i++)
        if (field->sentinels[i].raw == raw) {
            make_absent(out, field->sentinels[i].quality);
            return;
        }
    if (field->value_count > 0)
        observe_enum(field, raw, out);
    else
        observe_number(field, raw, out);
}
