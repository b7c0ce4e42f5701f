/* SPDX-License-Identifier: Apache-2.0
 *
 * A profile from YAML; see profile.h. The keys are the tables of read_* functions below;
 * what holds between keys of one field is in profile_check.c, what holds between bytes
 * and values in profile_golden.c.
 */
#include "ports/profile.h"

#include "drivers/decimal.h"
#include "drivers/nomenclature.h"
#include "ports/profile_check.h"
#include "ports/profile_yaml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TITLE_MAX 80
#define NAME_MAX  31
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* What a profile allocated, newest first. */
struct owned {
    struct owned *next;
    max_align_t memory[];
};

struct profile {
    struct regmap map;
    struct owned *owned;
};

/* The profile while it is read. */
struct build {
    struct regmap *map;
    struct regmap_field *fields;
    size_t *field_lines;
    yaml_node_t *golden;
};

void *reader_keep(struct reader *reader, size_t count, size_t size)
{
    struct owned *owned = NULL;

    if (size && count <= (SIZE_MAX - sizeof(*owned)) / size)
        owned = calloc(1, sizeof(*owned) + count * size);
    if (!owned) {
        reader_fail(reader, 0, "file", "no memory");
        return NULL;
    }
    owned->next = reader->profile->owned;
    reader->profile->owned = owned;
    return owned->memory;
}

/* --- Values --- */

/* Names go into configs, logs and C source: letters, digits and a few marks. */
static bool read_name(struct reader *r, const char *key, yaml_node_t *node,
                      const char **out)
{
    const char *text = reader_text(r, key, node);

    if (!text)
        return false;
    if (!*text || strlen(text) > NAME_MAX ||
        strspn(text,
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") !=
            strlen(text))
        return reader_fail(r, reader_line(node), key,
                           "must be 1 to %d letters, digits, - or _", NAME_MAX);
    *out = reader_keep_text(r, text);
    return *out != NULL;
}

static bool read_title(struct reader *r, const char *key, yaml_node_t *node,
                       const char **out)
{
    const char *text = reader_text(r, key, node);
    size_t n = 0;

    if (!text)
        return false;
    while (text[n] >= 0x20 && text[n] < 0x7F && text[n] != '"' && text[n] != '\\')
        n++;
    if (n == 0 || n > TITLE_MAX || text[n])
        return reader_fail(r, reader_line(node), key,
                           "must be 1 to %d plain characters without quotes", TITLE_MAX);
    *out = reader_keep_text(r, text);
    return *out != NULL;
}

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

static struct regmap_field *field_of(void *target)
{
    return &((struct field_build *)target)->field;
}

static bool field_name(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_name(r, key, node, &field_of(target)->name);
}

static bool field_role(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    static const char *const words[] = {"observe", "sample", "identity", "selftest"};
    size_t word;

    if (!reader_word(r, key, node, words, COUNT(words), &word))
        return false;
    field_of(target)->role = (uint8_t)word;
    return true;
}

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

static bool field_scale(struct reader *r, const char *key, yaml_node_t *node,
                        void *target)
{
    struct field_build *b = target;

    if (!read_decimal(r, key, node, &b->scale))
        return false;
    return b->scale.mantissa != 0 ||
           reader_fail(r, reader_line(node), key, "must not be 0");
}

static bool field_offset(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return read_decimal(r, key, node, &((struct field_build *)target)->offset);
}

static bool field_minimum(struct reader *r, const char *key, yaml_node_t *node,
                          void *target)
{
    return read_decimal(r, key, node, &((struct field_build *)target)->minimum);
}

static bool field_maximum(struct reader *r, const char *key, yaml_node_t *node,
                          void *target)
{
    return read_decimal(r, key, node, &((struct field_build *)target)->maximum);
}

static bool field_code(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, false, &field_of(target)->code);
}

static bool field_unit(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, true, &field_of(target)->unit);
}

static bool field_site(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, false, &field_of(target)->site);
}

static bool field_method(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return read_mdc(r, key, node, false, &field_of(target)->method);
}

/* --- Sentinels and enumerations --- */

static bool sentinel_raw(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    return reader_number(r, key, node, 0, UINT64_MAX,
                         &((struct regmap_sentinel *)target)->raw);
}

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

static bool enum_raw(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    uint64_t number;

    if (!reader_number(r, key, node, 0, UINT32_MAX, &number))
        return false;
    ((struct regmap_enum *)target)->raw = (uint32_t)number;
    return true;
}

static bool enum_coded(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_mdc(r, key, node, false, &((struct regmap_enum *)target)->coded);
}

static bool enum_label(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_name(r, key, node, &((struct regmap_enum *)target)->label);
}

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
static const struct key field_keys[FIELD_KEYS] = {
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

/* --- The profile --- */

static struct regmap *map_of(void *target)
{
    return ((struct build *)target)->map;
}

static bool map_name(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_name(r, key, node, &map_of(target)->name);
}

static bool map_title(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    return read_title(r, key, node, &map_of(target)->title);
}

static bool map_status(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    static const char *const words[] = {"beta", "stable"};
    size_t word;

    if (!reader_word(r, key, node, words, COUNT(words), &word))
        return false;
    map_of(target)->stable = word == 1;
    return true;
}

/* Where the facts come from. For people; only its presence is checked. */
static bool map_evidence(struct reader *r, const char *key, yaml_node_t *node,
                         void *target)
{
    const char *text = reader_text(r, key, node);

    (void)target;
    return text && (*text || reader_fail(r, reader_line(node), key, "must not be empty"));
}

#define MAP_NUMBER(name, type, minimum, maximum)                                         \
    static bool map_##name(struct reader *r, const char *key, yaml_node_t *node,         \
                           void *target)                                                 \
    {                                                                                    \
        uint64_t number;                                                                 \
        if (!reader_number(r, key, node, minimum, maximum, &number))                     \
            return false;                                                                \
        map_of(target)->name = (type)number;                                             \
        return true;                                                                     \
    }

MAP_NUMBER(hole_max, uint16_t, 0, 124)
MAP_NUMBER(block_max, uint16_t, 1, REGMAP_REGISTERS_MAX)
MAP_NUMBER(response_ms, uint16_t, 1, 60000)
MAP_NUMBER(turnaround_ms, uint16_t, 0, 10000)
MAP_NUMBER(every_ms, uint32_t, 10, 86400000)

static bool map_fields(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    struct build *b = target;
    size_t count;

    if (!reader_list(r, key, node, 1, PROFILE_FIELDS_MAX, &count))
        return false;
    b->fields = reader_keep(r, count, sizeof(b->fields[0]));
    b->field_lines = reader_keep(r, count, sizeof(b->field_lines[0]));
    if (!b->fields || !b->field_lines)
        return false;
    for (size_t i = 0; i < count; i++) {
        yaml_node_t *item = reader_item(r, node, i);
        struct field_build f = {.field = {.scale = 1}, .scale = {1, 0}};
        b->field_lines[i] = reader_line(item);
        if (!reader_mapping(r, key, item, field_keys, FIELD_KEYS, f.lines, &f) ||
            !profile_check_field(r, b->field_lines[i], &f))
            return false;
        b->fields[i] = f.field;
    }
    b->map->fields = b->fields;
    b->map->field_count = (uint16_t)count;
    return true;
}

static bool map_golden(struct reader *r, const char *key, yaml_node_t *node, void *target)
{
    (void)r;
    (void)key;
    ((struct build *)target)->golden = node; /* checked when all fields are known */
    return true;
}

static const struct key map_keys[] = {
    {"name", true, map_name},
    {"title", true, map_title},
    {"status", true, map_status},
    {"evidence", true, map_evidence},
    {"hole_max", false, map_hole_max},
    {"block_max", false, map_block_max},
    {"response_ms", true, map_response_ms},
    {"turnaround_ms", false, map_turnaround_ms},
    {"every_ms", true, map_every_ms},
    {"fields", true, map_fields},
    {"golden", true, map_golden},
};

static bool read_profile(struct reader *r, struct profile *profile)
{
    struct build b = {.map = &profile->map};
    size_t lines[COUNT(map_keys)];
    yaml_node_t *root = yaml_document_get_root_node(r->document);

    if (!root)
        return reader_fail(r, 1, "file", "is empty");
    return reader_mapping(r, "file", root, map_keys, COUNT(map_keys), lines, &b) &&
           profile_check_map(r, b.map, b.field_lines) &&
           golden_check(r, b.golden, b.map, b.field_lines);
}

/* The one document of the text. */
static bool parse(struct reader *r, yaml_parser_t *parser, struct profile *profile)
{
    yaml_document_t document, second;
    bool good;

    if (!yaml_parser_load(parser, &document))
        return reader_fail(r, parser->problem_mark.line + 1, "yaml", "%s",
                           parser->problem ? parser->problem : "cannot be read");
    r->document = &document;
    good = read_profile(r, profile);
    if (good && yaml_parser_load(parser, &second)) {
        if (yaml_document_get_root_node(&second))
            good = reader_fail(r, second.start_mark.line + 1, "file",
                               "has more than one document");
        yaml_document_delete(&second);
    } else if (good) {
        good = reader_fail(r, parser->problem_mark.line + 1, "yaml", "%s",
                           parser->problem ? parser->problem : "cannot be read");
    }
    yaml_document_delete(&document);
    return good;
}

int profile_load_string(const char *name, const char *text, size_t size,
                        struct profile **out, char *error, size_t error_size)
{
    struct reader r = {.file = name, .error = error, .error_size = error_size};
    struct profile *profile;
    yaml_parser_t parser;
    bool good;

    *out = NULL;
    if (error_size > 0)
        error[0] = '\0';
    profile = calloc(1, sizeof(*profile));
    if (!profile || !yaml_parser_initialize(&parser)) {
        reader_fail(&r, 0, "file", "no memory");
        free(profile);
        return PROFILE_NO_MEMORY;
    }
    r.profile = profile;
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    good = parse(&r, &parser, profile);
    yaml_parser_delete(&parser);
    if (!good) {
        profile_free(profile);
        return PROFILE_BAD;
    }
    *out = profile;
    return PROFILE_OK;
}

int profile_load(const char *path, struct profile **out, char *error, size_t error_size)
{
    struct reader r = {.file = path, .error = error, .error_size = error_size};
    FILE *file = fopen(path, "rbe");
    char *text = malloc(PROFILE_SIZE_MAX + 1);
    size_t size = 0;
    int result = PROFILE_UNREADABLE;

    *out = NULL;
    if (!file || !text) {
        reader_fail(&r, 0, "file", "cannot be opened");
        goto done;
    }
    size = fread(text, 1, PROFILE_SIZE_MAX + 1, file);
    if (ferror(file) || size > PROFILE_SIZE_MAX)
        reader_fail(&r, 0, "file",
                    ferror(file) ? "cannot be read" : "is larger than 256 KiB");
    else
        result = profile_load_string(path, text, size, out, error, error_size);
done:
    free(text);
    if (file)
        fclose(file);
    return result;
}

const struct regmap *profile_regmap(const struct profile *profile)
{
    return &profile->map;
}

void profile_free(struct profile *profile)
{
    struct owned *owned = profile ? profile->owned : NULL;

    while (owned) {
        struct owned *next = owned->next;
        free(owned);
        owned = next;
    }
    free(profile);
}
