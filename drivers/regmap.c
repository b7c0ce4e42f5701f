/* SPDX-License-Identifier: Apache-2.0
 *
 * Planning: which requests read the fields that are due; and the walk over what came
 * back. One value is decoded in regmap_value.c.
 */
#include "drivers/regmap.h"

#include "drivers/decimal.h"

#include <string.h>

#define IDENTITY_MAX                                                                     \
    128 /* bytes of a rendered identity that regmap_identity_check compares */

/* Functions 1 and 2 read single bits, 3 and 4 registers. */
static bool is_bits(uint8_t function)
{
    return function == 1 || function == 2;
}

/* A text is as long as the profile says; everything else as its type. */
uint16_t regmap_span(const struct regmap_field *field)
{
    switch (field->type) {
    case REGMAP_U32:
    case REGMAP_I32:
    case REGMAP_F32:
    case REGMAP_FLOAT:
    case REGMAP_BCD32:
        return 2;
    case REGMAP_U64:
    case REGMAP_I64:
    case REGMAP_F64:
        return 4;
    case REGMAP_TEXT:
        return field->length;
    default:
        return 1;
    }
}

/* How much one request of this function may read from this device. */
static uint32_t block_limit(const struct regmap *map, uint8_t function)
{
    uint32_t most = is_bits(function) ? REGMAP_BITS_MAX : REGMAP_REGISTERS_MAX;
    uint32_t device = map->block_max; /* in registers */

    if (is_bits(function))
        device *= 16;
    return device > 0 && device < most ? device : most;
}

/* The due field of this function that comes next: by address, then by place in the table.
 * `last` is the one before it, or NULL. The table may be in any order; it is short, and a
 * search costs less than the memory of a sort. */
static const struct regmap_field *next_due(const struct regmap *map, const bool *due,
                                           uint8_t function,
                                           const struct regmap_field *last)
{
    const struct regmap_field *best = NULL;

    for (uint16_t i = 0; i < map->field_count; i++) {
        const struct regmap_field *f = &map->fields[i];
        if (f->function != function || (due && !due[i]))
            continue;
        if (last &&
            (f->address < last->address || (f->address == last->address && f <= last)))
            continue;
        if (!best || f->address < best->address)
            best = f;
    }
    return best;
}

/* One pass per function over its fields in order of address, joining each to the block
 * before it while the hole between them and the block as a whole stay small enough. A
 * field that does not fit starts a block of its own, so that none is ever cut. */
int regmap_plan(const struct regmap *map, const bool *due, struct regmap_plan *plan)
{
    plan->count = 0;
    for (uint8_t function = 1; function <= 4; function++) {
        const struct regmap_field *f = next_due(map, due, function, NULL);
        struct regmap_block *block = NULL;
        uint32_t end = 0,
                 limit = block_limit(map, function); /* end of block, exclusive */

        for (; f; f = next_due(map, due, function, f)) {
            uint32_t field_end = (uint32_t)f->address + regmap_span(f);
            uint32_t new_end = field_end > end ? field_end : end;
            if (!block || f->address > end + map->hole_max ||
                new_end - block->address > limit) {
                if (plan->count == REGMAP_BLOCKS_MAX)
                    return REGMAP_TOO_MANY_BLOCKS;
                block = &plan->blocks[plan->count++];
                *block =
                    (struct regmap_block){.function = function, .address = f->address};
                new_end = field_end;
            }
            end = new_end;
            block->count = (uint16_t)(end - block->address);
        }
    }
    return REGMAP_OK;
}

/* The first block that holds all of the field. Blocks may overlap where a field was too
 * long for the block before; the first one is then as good as the second. */
const uint8_t *regmap_find(const struct regmap_field *field,
                           const struct regmap_plan *plan, const uint8_t *const data[],
                           const struct regmap_block **block)
{
    uint32_t end = (uint32_t)field->address + regmap_span(field);

    for (size_t i = 0; i < plan->count; i++) {
        const struct regmap_block *b = &plan->blocks[i];
        if (data[i] && b->function == field->function && b->address <= field->address &&
            end <= (uint32_t)b->address + b->count) {
            *block = b;
            return data[i];
        }
    }
    return NULL;
}

/* What one field adds to the set. */
static int take(const struct regmap_field *field, const struct regmap_block *block,
                const uint8_t *bytes, struct observation_set *out)
{
    switch (field->role) {
    case REGMAP_OBSERVE:
        if (out->count == OBSERVATIONS_MAX)
            return REGMAP_TOO_MANY_OBSERVATIONS;
        regmap_observe(field, block, bytes, &out->items[out->count++]);
        return REGMAP_OK;
    case REGMAP_SAMPLE:
        out->sample = regmap_raw(field, block, bytes);
        out->has_sample = true;
        return REGMAP_OK;
    case REGMAP_SELFTEST:
        /* One wrong word order, and every other value of this device is wrong too. */
        return regmap_raw(field, block, bytes) == field->expect ? REGMAP_OK
                                                                : REGMAP_SELFTEST_FAILED;
    default:
        return REGMAP_OK; /* identity: see regmap_identity() */
    }
}

/* All or nothing: an error leaves an empty set, never the fields before it. */
int regmap_decode(const struct regmap *map, const struct regmap_plan *plan,
                  const uint8_t *const data[], struct observation_set *out,
                  const struct regmap_field **field)
{
    int error = REGMAP_OK;

    memset(out, 0, sizeof(*out));
    if (!data || plan->count > REGMAP_BLOCKS_MAX)
        error = REGMAP_SHORT;
    for (uint16_t i = 0; i < map->field_count && !error; i++) {
        const struct regmap_block *block;
        const uint8_t *bytes = regmap_find(&map->fields[i], plan, data, &block);
        if (field)
            *field = &map->fields[i];
        if (bytes)
            error = take(&map->fields[i], block, bytes, out);
    }
    if (error)
        memset(out, 0, sizeof(*out));
    return error;
}

/* An identity value as text; an absent one shows as "?", for it is a difference too. */
static size_t render(const struct observation *o, char *out, size_t size)
{
    struct decimal value = {o->mantissa, o->exponent};

    if (o->kind == OBSERVATION_TEXT) {
        size_t n = strlen(o->text);
        if (n >= size)
            return 0;
        memcpy(out, o->text, n + 1);
        return n;
    }
    if (o->kind == OBSERVATION_CODED)
        value = (struct decimal){o->coded, 0};
    if (o->kind != OBSERVATION_ABSENT)
        return decimal_format(value, out, size);
    if (size < 2)
        return 0;
    memcpy(out, "?", 2);
    return 1;
}

/* Name and value of each identity field, so that a changed serial number is told from a
 * changed firmware by whoever reads the event. */
size_t regmap_identity(const struct regmap *map, const struct regmap_plan *plan,
                       const uint8_t *const data[], char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (uint16_t i = 0; i < map->field_count; i++) {
        const struct regmap_field *f = &map->fields[i];
        const struct regmap_block *block;
        const uint8_t *bytes = NULL;
        struct observation o;
        char value[64];
        if (f->role == REGMAP_IDENTITY)
            bytes = regmap_find(f, plan, data, &block);
        if (!bytes)
            continue;
        regmap_observe(f, block, bytes, &o);
        size_t name = strlen(f->name), length = render(&o, value, sizeof(value));
        if (used + name + length + 3 > size) /* a space, '=' and the terminator */
            break;
        if (used > 0)
            out[used++] = ' ';
        memcpy(out + used, f->name, name);
        used += name;
        out[used++] = '=';
        memcpy(out + used, value, length);
        used += length;
        out[used] = '\0';
    }
    return used;
}

/* Nothing read is nothing different: the caller knows whether it asked. */
int regmap_identity_check(const struct regmap *map, const struct regmap_plan *plan,
                          const uint8_t *const data[], const char *expected)
{
    char seen[IDENTITY_MAX];

    if (!expected || !expected[0] ||
        regmap_identity(map, plan, data, seen, sizeof(seen)) == 0)
        return REGMAP_OK;
    return strcmp(seen, expected) == 0 ? REGMAP_OK : REGMAP_IDENTITY_DIFFERS;
}
