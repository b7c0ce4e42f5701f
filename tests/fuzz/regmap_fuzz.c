/* SPDX-License-Identifier: Apache-2.0
 *
 * regmap: an arbitrary table (within what a profile may say) over arbitrary registers,
 * each block in a buffer of exactly its size.
 */
#include "drivers/regmap.h"

#include "drivers/cursor.h"

#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static const struct regmap_enum labels[] = {{0, 11, "a"}, {1, 12, "b"}, {7, 13, "c"}};

static int64_t wide(struct cursor *c)
{
    uint64_t high = cursor_be32(c);

    return (int64_t)(high << 32 | cursor_be32(c));
}

/* A field as the profile loader would let it pass. */
static void make_field(struct cursor *c, struct regmap_field *f)
{
    uint8_t options;

    memset(f, 0, sizeof(*f));
    f->name = "field";
    f->role = cursor_u8(c) % 4;
    f->function = (uint8_t)(1 + cursor_u8(c) % 4);
    f->address = cursor_be16(c);
    f->type = f->function <= 2 ? REGMAP_BIT : cursor_u8(c) % (REGMAP_BITS + 1);
    f->order = cursor_u8(c) % 4;
    f->length = (uint8_t)(1 + cursor_u8(c) % 32);
    f->bit = cursor_u8(c) % 16;
    f->bits = (uint8_t)(1 + cursor_u8(c) % (16 - f->bit));
    f->decimals = (int8_t)(cursor_u8(c) % 10);
    options = cursor_u8(c);
    f->scale = options & 1 ? wide(c) : 1;
    f->offset = options & 2 ? wide(c) : 0;
    f->scale_exponent = (int8_t)(options & 4 ? -(int)(cursor_u8(c) % 19) : 0);
    f->has_minimum = options & 8;
    f->has_maximum = options & 16;
    f->minimum = options & 8 ? wide(c) : 0;
    f->maximum = options & 16 ? wide(c) : 0;
    f->limit_exponent = (int8_t) - (int)(options % 19);
    f->sentinel_count = options & 32 ? 2 : 0;
    f->sentinels[1].raw = options & 32 ? cursor_be16(c) : 0;
    f->values = labels;
    f->value_count = options & 64 ? 3 : 0;
    if (f->address + regmap_span(f) > 65536)
        f->address = 0;
    if (f->type == REGMAP_TEXT && (f->order == REGMAP_CDAB || f->order == REGMAP_DCBA))
        f->order = REGMAP_BADC;
}

static void check(const struct observation_set *set)
{
    must(set->count <= OBSERVATIONS_MAX);
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        must(o->kind <= OBSERVATION_TEXT);
        must(o->exponent >= OBSERVATION_EXPONENT_MIN &&
             o->exponent <= OBSERVATION_EXPONENT_MAX);
        must(memchr(o->text, 0, sizeof(o->text)) != NULL);
        if (o->kind == OBSERVATION_ABSENT)
            must(o->mantissa == 0 && o->coded == 0 && o->text[0] == '\0');
        if (o->kind == OBSERVATION_CODED)
            must(o->coded >= 11 && o->coded <= 13);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_make(data, size);
    struct regmap_field fields[FIELDS_MAX];
    struct regmap map = {.name = "fuzz", .fields = fields};
    uint8_t *blocks[REGMAP_BLOCKS_MAX] = {0};
    bool due[FIELDS_MAX];
    struct observation_set set;
    struct regmap_plan plan;
    char identity[96];

    map.hole_max = cursor_u8(&c) % 125;
    map.block_max = (uint16_t)(32 + cursor_u8(&c) % 94);
    map.field_count = cursor_u8(&c) % (FIELDS_MAX + 1);
    for (uint16_t i = 0; i < map.field_count; i++) {
        make_field(&c, &fields[i]);
        due[i] = fields[i].address % 3 != 0;
    }
    if (regmap_plan(&map, cursor_u8(&c) & 1 ? due : NULL, &plan) != REGMAP_OK)
        return 0;
    for (size_t i = 0; i < plan.count; i++) {
        bool bits = plan.blocks[i].function <= 2;
        size_t bytes = bits ? (plan.blocks[i].count + 7u) / 8 : plan.blocks[i].count * 2u;
        must(plan.blocks[i].count >= 1 && bytes <= 250);
        if (cursor_u8(&c) % 8 == 7)
            continue; /* not read */
        blocks[i] = malloc(bytes);
        must(blocks[i] != NULL);
        for (size_t b = 0; b < bytes; b++)
            blocks[i][b] = cursor_u8(&c);
    }
    if (regmap_decode(&map, &plan, (const uint8_t *const *)blocks, &set, NULL) ==
        REGMAP_OK)
        check(&set);
    else
        must(set.count == 0 && !set.has_sample);
    must(regmap_identity(&map, &plan, (const uint8_t *const *)blocks, identity,
                         sizeof(identity)) < sizeof(identity));
    for (size_t i = 0; i < REGMAP_BLOCKS_MAX; i++)
        free(blocks[i]);
    return 0;
}
