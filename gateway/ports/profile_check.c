/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules between keys; see profile_check.h. Each refusal is a value that would
 * otherwise be charted wrong: the unit that nobody wrote, the word order that somebody
 * assumed.
 */
#include "drivers/wardgate_node.h"
#include "ports/profile_check.h"

#include <string.h>

const char *const profile_qualities[PROFILE_QUALITIES] = {
    "invalid", "questionable", "sensor-off",  "out-of-range",
    "demo",    "test",         "calibrating", "stale",
};

/* Binary floats, which do not say how many digits they mean. */
static bool is_float(uint8_t type)
{
    return type == REGMAP_F32 || type == REGMAP_F64;
}

/* Decimal floats, which do. */
static bool is_11073(uint8_t type)
{
    return type == REGMAP_SFLOAT || type == REGMAP_FLOAT;
}

/* How many bits a raw value of this field has. */
static unsigned raw_bits(const struct regmap_field *f)
{
    if (f->type == REGMAP_BIT)
        return 1;
    if (f->type == REGMAP_BITS)
        return f->bits;
    return 16U * regmap_span(f);
}

/* Can the field ever read this raw value? */
static bool fits(const struct regmap_field *f, uint64_t raw)
{
    unsigned bits = raw_bits(f);

    return bits >= 64 || raw >> bits == 0;
}

/* Refuses `key` unless it may be there. */
static bool only(struct reader *r, const struct field_build *b, enum field_key key,
                 const char *name, bool allowed, const char *where)
{
    if (!b->lines[key] || allowed)
        return true;
    return reader_fail(r, b->lines[key], name, "is only for %s", where);
}

/* Demands a key, at the line of the field that lacks it. */
static bool needs(struct reader *r, const struct field_build *b, size_t line,
                  enum field_key key, const char *name, bool needed, const char *why)
{
    if (b->lines[key] || !needed)
        return true;
    return reader_fail(r, line, name, "missing: %s", why);
}

/* Where the value lies and how wide it is. */
static bool check_place(struct reader *r, size_t line, const struct field_build *b)
{
    const struct regmap_field *f = &b->field;
    bool text = f->type == REGMAP_TEXT, coil = f->function <= 2;
    bool bit = f->type == REGMAP_BIT, bits = f->type == REGMAP_BITS;

    if (coil && !bit)
        return reader_fail(r, b->lines[KEY_TYPE], "type",
                           "functions 1 and 2 read type bit");
    if (!only(r, b, KEY_LENGTH, "length", text, "type text") ||
        !only(r, b, KEY_BIT, "bit", !coil && (bit || bits), "bits of a register") ||
        !only(r, b, KEY_BITS, "bits", bits, "type bits") ||
        !only(r, b, KEY_ORDER, "order", !coil, "registers") ||
        !only(r, b, KEY_DECIMALS, "decimals", is_float(f->type), "types f32 and f64") ||
        !needs(r, b, line, KEY_LENGTH, "length", text, "a text needs its registers") ||
        !needs(r, b, line, KEY_BIT, "bit", !coil && (bit || bits), "which bit?") ||
        !needs(r, b, line, KEY_BITS, "bits", bits, "how many bits?") ||
        !needs(r, b, line, KEY_DECIMALS, "decimals", is_float(f->type),
               "a binary float does not say how many digits it means") ||
        !needs(r, b, line, KEY_ORDER, "order", !text && regmap_span(f) > 1,
               "a value of several registers needs its word order"))
        return false;
    if ((text || regmap_span(f) == 1) &&
        (f->order == REGMAP_CDAB || f->order == REGMAP_DCBA))
        return reader_fail(r, b->lines[KEY_ORDER], "order", "must be ABCD or BADC here");
    if (bits && f->bit + f->bits > 16)
        return reader_fail(r, b->lines[KEY_BITS], "bits", "reach beyond the register");
    if (text && f->role == REGMAP_OBSERVE && f->length * 2 > OBSERVATION_TEXT_MAX)
        return reader_fail(r, b->lines[KEY_LENGTH], "length", "must be at most %d here",
                           OBSERVATION_TEXT_MAX / 2);
    if (f->address + regmap_span(f) > 65536)
        return reader_fail(r, b->lines[KEY_ADDRESS], "address", "reaches beyond 65535");
    return true;
}

/* What the value means. */
static bool check_meaning(struct reader *r, size_t line, const struct field_build *b)
{
    const struct regmap_field *f = &b->field;
    bool observe = f->role == REGMAP_OBSERVE, text = f->type == REGMAP_TEXT;
    bool coded = b->lines[KEY_VALUES], number = observe && !text && !coded;
    bool bits = f->type == REGMAP_BIT || f->type == REGMAP_BITS;

    if (!only(r, b, KEY_VALUES, "values",
              !text && !is_float(f->type) && !is_11073(f->type),
              "whole numbers and bits") ||
        !only(r, b, KEY_CODE, "code", observe, "role observe") ||
        !only(r, b, KEY_SITE, "site", observe, "role observe") ||
        !only(r, b, KEY_METHOD, "method", observe, "role observe") ||
        !only(r, b, KEY_UNIT, "unit", number, "numbers that are observed") ||
        !only(r, b, KEY_SCALE, "scale", number, "numbers that are observed") ||
        !only(r, b, KEY_OFFSET, "offset", number, "numbers that are observed") ||
        !only(r, b, KEY_MINIMUM, "minimum", number, "numbers that are observed") ||
        !only(r, b, KEY_MAXIMUM, "maximum", number, "numbers that are observed") ||
        !only(r, b, KEY_ABSENT, "absent", observe && !text,
              "role observe, not for texts") ||
        !only(r, b, KEY_EXPECT, "expect", f->role == REGMAP_SELFTEST, "role selftest"))
        return false;
    if (!needs(r, b, line, KEY_CODE, "code", observe, "what is observed?") ||
        !needs(r, b, line, KEY_VALUES, "values", observe && bits,
               "what do the bits mean?") ||
        !needs(r, b, line, KEY_UNIT, "unit", number,
               "a number without a unit is no value") ||
        !needs(r, b, line, KEY_EXPECT, "expect", f->role == REGMAP_SELFTEST,
               "what must it read?"))
        return false;
    if (f->role == REGMAP_SAMPLE && f->type != REGMAP_U16 && f->type != REGMAP_U32 &&
        f->type != REGMAP_U64)
        return reader_fail(r, b->lines[KEY_TYPE], "type", "a sample counter is unsigned");
    if (f->role == REGMAP_SELFTEST && text)
        return reader_fail(r, b->lines[KEY_TYPE], "type", "a self test is a number");
    return true;
}

/* A sentinel or enumeration value that the type cannot hold would never match: a typing
 * error. */
static bool check_raws(struct reader *r, const struct field_build *b)
{
    const struct regmap_field *f = &b->field;

    for (uint8_t i = 0; i < f->sentinel_count; i++)
        if (!fits(f, f->sentinels[i].raw))
            return reader_fail(r, b->lines[KEY_ABSENT], "absent",
                               "0x%llX does not fit the type",
                               (unsigned long long)f->sentinels[i].raw);
    for (uint16_t i = 0; i < f->value_count; i++)
        if (!fits(f, f->values[i].raw))
            return reader_fail(r, b->lines[KEY_VALUES], "values",
                               "%u does not fit the type", f->values[i].raw);
    if (!fits(f, f->expect))
        return reader_fail(r, b->lines[KEY_EXPECT], "expect", "does not fit the type");
    return true;
}

/* Two decimals as mantissas of one exponent, the smaller; a zero has no say in it. */
static bool align(struct decimal a, struct decimal b, int64_t *x, int64_t *y,
                  int8_t *exponent)
{
    int common = a.exponent < b.exponent ? a.exponent : b.exponent;

    if (a.mantissa == 0)
        common = b.exponent;
    if (b.mantissa == 0)
        common = a.exponent;
    if (decimal_rescale(a, common, &a) || decimal_rescale(b, common, &b))
        return false;
    *x = a.mantissa;
    *y = b.mantissa;
    *exponent = (int8_t)common;
    return true;
}

/* Scale and offset share an exponent in the table, and so do the limits. */
static bool check_numbers(struct reader *r, struct field_build *b)
{
    struct regmap_field *f = &b->field;

    if (!align(b->scale, b->offset, &f->scale, &f->offset, &f->scale_exponent))
        return reader_fail(r, b->lines[KEY_OFFSET], "offset",
                           "has too many digits beside the scale");
    if (!align(b->minimum, b->maximum, &f->minimum, &f->maximum, &f->limit_exponent))
        return reader_fail(r, b->lines[KEY_MAXIMUM], "maximum",
                           "has too many digits beside the minimum");
    f->has_minimum = b->lines[KEY_MINIMUM];
    f->has_maximum = b->lines[KEY_MAXIMUM];
    if (f->has_minimum && f->has_maximum && f->minimum >= f->maximum)
        return reader_fail(r, b->lines[KEY_MAXIMUM], "maximum",
                           "must be greater than the minimum");
    return true;
}

/* In the order in which a person would fix it: place, meaning, numbers. */
bool profile_check_field(struct reader *r, size_t line, struct field_build *b)
{
    return check_place(r, line, b) && check_meaning(r, line, b) && check_raws(r, b) &&
           check_numbers(r, b);
}

/* Which bits of register `address` the field takes; 0 if none. */
static unsigned taken(const struct regmap_field *f, uint32_t address)
{
    if (address < f->address || address >= (uint32_t)f->address + regmap_span(f))
        return 0;
    if (f->function > 2 && f->type == REGMAP_BIT)
        return 1U << f->bit;
    if (f->type == REGMAP_BITS)
        return ((1U << f->bits) - 1) << f->bit;
    return 0xFFFF;
}

/* Do two fields claim the same bit? Neighbours in one register do not. */
static bool overlap(const struct regmap_field *a, const struct regmap_field *b)
{
    if (a->function != b->function)
        return false;
    for (uint32_t i = 0; i < regmap_span(a); i++)
        if (taken(a, a->address + i) & taken(b, a->address + i))
            return true;
    return false;
}

/* What only all fields together can get wrong. */
bool profile_check_map(struct reader *r, const struct regmap *map, const size_t *lines)
{
    uint16_t limit = map->block_max ? map->block_max : REGMAP_REGISTERS_MAX;
    size_t observed = 0, samples = 0;
    struct regmap_plan plan;

    for (uint16_t i = 0; i < map->field_count; i++) {
        const struct regmap_field *f = &map->fields[i];
        observed += f->role == REGMAP_OBSERVE;
        samples += f->role == REGMAP_SAMPLE;
        if (observed > OBSERVATIONS_MAX)
            return reader_fail(r, lines[i], "fields", "observe more than %d quantities",
                               OBSERVATIONS_MAX);
        if (samples > 1)
            return reader_fail(r, lines[i], "role", "there is a sample counter already");
        if (regmap_span(f) > limit)
            return reader_fail(r, lines[i], "block_max", "%s is longer than one read",
                               f->name);
        for (uint16_t j = 0; j < i; j++) {
            if (strcmp(f->name, map->fields[j].name) == 0)
                return reader_fail(r, lines[i], "name", "%s is there already", f->name);
            if (overlap(f, &map->fields[j]))
                return reader_fail(r, lines[i], "address", "%s overlaps %s", f->name,
                                   map->fields[j].name);
        }
    }
    /* A bed node's values are in its files, not in its registers. */
    if (observed == 0 && strcmp(map->name, WARDGATE_NODE_PROFILE) != 0)
        return reader_fail(r, lines[0], "fields", "observe nothing");
    if (regmap_plan(map, NULL, &plan))
        return reader_fail(r, lines[0], "fields", "need more than %d reads",
                           REGMAP_BLOCKS_MAX);
    return true;
}
