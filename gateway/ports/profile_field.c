/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a field, one function a key; see profile_check.h for what holds between
 * them.
 */
#include "drivers/decimal.h"
#include "drivers/nomenclature.h"
#include "ports/profile_check.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* --- Values --- */

/* As written: the digits of a scale are the digits of the values. */
static bool read_decimal(struct reader *r, const char *key, yaml_node_t *node,
                         struct decimal *out)
{
    const char *text = reader_text(r, key, node);

    if (!text)
        return false;
    if (decimal_parse(text, out))
        return reader_fail(r, reader_line(node), key,
                           "must be a decimal number of at most %d digits",
                           DECIMAL_DIGITS_MAX);
    return true;
}

/* A code by its MDC name, or as a number where the table has no name for it. */
static bool read_mdc(struct reader *r, const char *key, yaml_node_t *node, bool unit,
                     uint32_t *out)
{
    const char *text = reader_text(r, key, node);
    uint64_t number;

    if (!text)
        return false;
    if (text[0] >= '0' && text[0] <= '9') {
        if (!reader_number(r, key, node, 0x10000, UINT32_MAX, &number))
            return false;
        *out = (uint32_t)number;
    } else {
        *out = nomenclature_code(text);
    }
    if (*out == 0 || (unit && !nomenclature_name(*out)))
        return reader_fail(r, reader_line(node), key, "is not a known MDC %s",
                           unit ? "unit" : "code");
    if (nomenclature_is_unit(*out) != unit)
        return reader_fail(r, reader_line(node), key,
                           unit ? "is a quantity, not a unit"
                                : "is a unit, not a quantity");
    return true;
}

/* --- A field --- */

/* The field that the target is about; the decimals beside it are in the build. */
static struct regmap_field *field_of(void *target)
{
    return &((struct field_build *)target)->field;
}

/* Every read_* below is one key of one table: it reads its value, and that is all it
 * knows. */
static bool field_name(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return reader_name(r, key, node, &field_of(target)->name);
}

/* In the order of enum regmap_role. */
static bool field_role(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    static const char *const words[] = {"observe", "sample", "identity", "selftest"};
    size_t word;

    if (!reader_word(r, key, node, words, COUNT(words), &word))
        return false;
    field_of(target)->role = (uint8_t)word;
    return true;
}

/* In the order of enum regmap_type. */
static bool field_type(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    static const char *const words[] = {"u16",    "i16",   "u32",   "i32",
                                        "u64",    "i64",   "f32",   "f64",
                                        "sfloat", "float", "bcd16", "bcd32",
                                        "sm16",   "text",  "bit",   "bits"};
    size_t word;

    if (!reader_word(r, key, node, words, COUNT(words), &word))
        return false;
    field_of(target)->type = (uint8_t)word;
    return true;
}

/* In the order of enum regmap_order. */
static bool field_order(struct reader *r, const char *key, yaml_node_t *node,
                        void *target)
{
    static const char *const words[] = {"ABCD", "CDAB", "BADC", "DCBA"};
    size_t word;

    if (!reader_word(r, key, node, words, COUNT(words), &word))
        return false;
    field_of(target)->order = (uint8_t)word;
    return true;
}

/* The whole numbers of a field, each with its own range. */
static bool field_number(struct reader *r, const char *key, yaml_node_t *node,
                         uint64_t minimum, uint64_t maximum, uint64_t *out)
{
    return reader_number(r, key, node, minimum, maximum, out);
}

#define FIELD_NUMBER(name, type, minimum, maximum)                                       \
    static bool field_##name(struct reader *r, const char *key, yaml_node_t *node,       \
                             void *target)                                               \
    {                                                                                    \
        uint64_t number;                                                                 \
        if (!field_number(r, key, node, minimum, maximum, &number))                      \
            return false;                                                                \
        field_of(target)->name = (type)number;                                           \
        return true;                                                                     \
    }

FIELD_NUMBER(function, uint8_t, 1, 4)
FIELD_NUMBER(address, uint16_t, 0, 65535)
FIELD_NUMBER(length, uint8_t, 1, 32)
FIELD_NUMBER(bit, uint8_t, 0, 15)
FIELD_NUMBER(bits, uint8_t, 1, 16)
FIELD_NUMBER(decimals, int8_t, 0, 9)
FIELD_NUMBER(every_ms, uint32_t, 10, 86400000)
FIELD_NUMBER(expect, uint64_t, 0, UINT64_MAX)

/* A scale of 0 would make every value 0, which is what no value may ever become by
 * mistake. */
static bool field_scale(struct reader *r, const char *key, yaml_node_t *node,
                        void *target)
{
    struct field_build *b = target;

    if (!read_decimal(r, key, node, &b->scale))
        return false;
    return b->scale.mantissa != 0 ||
           reader_fail(r, reader_line(node), key, "must not be 0");
}

/* Added after the scale, in the unit of the value. */
static bool field_offset(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return read_decimal(r, key, node, &((struct field_build *)target)->offset);
}

/* Technical limit: below it the sensor is wrong, not the patient. */
static bool field_minimum(struct reader *r, const char *key, yaml_node_t *node,
                          void *target)
{
    return read_decimal(r, key, node, &((struct field_build *)target)->minimum);
}

/* See field_minimum. */
static bool field_maximum(struct reader *r, const char *key, yaml_node_t *node,
                          void *target)
{
    return read_decimal(r, key, node, &((struct field_build *)target)->maximum);
}

/* What is measured. */
static bool field_code(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, false, &field_of(target)->code);
}

/* In which unit; whether one is needed is decided when the whole field is known. */
static bool field_unit(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, true, &field_of(target)->unit);
}

/* Where on the body. */
static bool field_site(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, false, &field_of(target)->site);
}

/* By which method. */
static bool field_method(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return read_mdc(r, key, node, false, &field_of(target)->method);
}

/* --- Sentinels and enumerations --- */

/* The raw bits, word order undone. */
static bool sentinel_raw(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return reader_number(r, key, node, 0, UINT64_MAX,
                         &((struct regmap_sentinel *)target)->raw);
}

/* Why there is no value, in the words of the quality bits. */
static bool sentinel_quality(struct reader *r, const char *key, yaml_node_t *node,
                             void *target)
{
    size_t count, bit;

    if (!reader_list(r, key, node, 1, PROFILE_QUALITIES, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!reader_word(r, key, reader_item(r, node, i), profile_qualities,
                         PROFILE_QUALITIES, &bit))
            return false;
        ((struct regmap_sentinel *)target)->quality |= (uint16_t)(1U << bit);
    }
    return true;
}

/* A sentinel is a plain number, or a mapping where there is a reason to give. */
static bool field_absent(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    static const struct key keys[] = {{"raw", true, sentinel_raw},
                                      {"quality", false, sentinel_quality}};
    struct regmap_field *f = field_of(target);
    size_t count, lines[COUNT(keys)];

    if (!reader_list(r, key, node, 1, REGMAP_SENTINELS_MAX, &count))
        return false;
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *item = reader_item(r, node, i);
        struct regmap_sentinel *s = &f->sentinels[i];
        bool good = item->type == YAML_SCALAR_NODE
                        ? sentinel_raw(r, key, item, s)
                        : reader_mapping(r, key, item, keys, COUNT(keys), lines, s);
        if (!good)
            return false;
        for (size_t j = 0; j < i; j++)
            if (f->sentinels[j].raw == s->raw)
                return reader_fail(r, reader_line(item), key, "lists a value twice");
    }
    f->sentinel_count = (uint8_t)count;
    return true;
}

/* The value on the wire. */
static bool enum_raw(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    uint64_t number;

    if (!reader_number(r, key, node, 0, UINT32_MAX, &number))
        return false;
    ((struct regmap_enum *)target)->raw = (uint32_t)number;
    return true;
}

/* What it means, as a code. */
static bool enum_coded(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, false, &((struct regmap_enum *)target)->coded);
}

/* What it means, for people, golden frames and the emulator. */
static bool enum_label(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return reader_name(r, key, node, &((struct regmap_enum *)target)->label);
}

/* A raw value or a label that is there twice would make one of the two unreachable. */
static bool field_values(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    static const struct key keys[] = {{"raw", true, enum_raw},
                                      {"coded", true, enum_coded},
                                      {"label", true, enum_label}};
    struct regmap_field *f = field_of(target);
    size_t count, lines[COUNT(keys)];
    struct regmap_enum *values;

    if (!reader_list(r, key, node, 1, PROFILE_FIELDS_MAX, &count))
        return false;
    values = reader_keep(r, count, sizeof(*values));
    if (!values)
        return false;
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *item = reader_item(r, node, i);
        if (!reader_mapping(r, key, item, keys, COUNT(keys), lines, &values[i]))
            return false;
        for (size_t j = 0; j < i; j++)
            if (values[j].raw == values[i].raw ||
                strcmp(values[j].label, values[i].label) == 0)
                return reader_fail(r, reader_line(item), key, "lists a value twice");
    }
    f->values = values;
    f->value_count = (uint16_t)count;
    return true;
}

/* In the order of enum field_key. */
const struct key profile_field_keys[FIELD_KEYS] = {
    {"name", true, field_name},          {"role", false, field_role},
    {"function", true, field_function},  {"address", true, field_address},
    {"type", true, field_type},          {"order", false, field_order},
    {"length", false, field_length},     {"bit", false, field_bit},
    {"bits", false, field_bits},         {"decimals", false, field_decimals},
    {"scale", false, field_scale},       {"offset", false, field_offset},
    {"minimum", false, field_minimum},   {"maximum", false, field_maximum},
    {"code", false, field_code},         {"unit", false, field_unit},
    {"site", false, field_site},         {"method", false, field_method},
    {"every_ms", false, field_every_ms}, {"expect", false, field_expect},
    {"absent", false, field_absent},     {"values", false, field_values},
};
