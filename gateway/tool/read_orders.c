/* SPDX-License-Identifier: Apache-2.0
 *
 * The orders are those that profiles know (drivers/regmap.h), and the numbers are made by
 * the decoder that profiles use, so that what is seen here is what a profile will give.
 */
#include "tool/read_orders.h"

#include <stdio.h>

#include "drivers/decimal.h"
#include "drivers/regmap.h"

#define DIGITS    4 /* behind the point of a float */
#define TEXT_SIZE 64

static const struct {
    const char *key;
    enum regmap_type type;
    uint16_t registers;
} types[] = {
    {"u16", REGMAP_U16, 1}, {"i16", REGMAP_I16, 1}, {"bcd16", REGMAP_BCD16, 1},
    {"u32", REGMAP_U32, 2}, {"i32", REGMAP_I32, 2}, {"f32", REGMAP_F32, 2},
    {"u64", REGMAP_U64, 4}, {"f64", REGMAP_F64, 4},
};

static const char *const orders[] = {"ABCD", "CDAB", "BADC", "DCBA"};

/* "-" where the bits are no number of that type. */
static void number(const struct regmap_field *field, const struct regmap_block *block,
                   const uint8_t *data, char *out)
{
    struct observation o;

    regmap_observe(field, block, data, &o);
    (void)snprintf(out, TEXT_SIZE, "-");
    if (o.kind == OBSERVATION_NUMERIC)
        (void)decimal_format((struct decimal){o.mantissa, o.exponent}, out, TEXT_SIZE);
}

static json_t *row(const uint8_t *data, const struct regmap_block *block, uint16_t i,
                   int order)
{
    json_t *line = json_object();
    char text[TEXT_SIZE];

    (void)snprintf(text, sizeof text, "%02X%02X", data[(size_t)2 * i],
                   data[(size_t)2 * i + 1]);
    (void)json_object_set_new(line, "address", json_integer(block->address + i));
    (void)json_object_set_new(line, "raw", json_string(text));
    (void)json_object_set_new(line, "order", json_string(orders[order]));
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        const struct regmap_field field = {.name = types[t].key,
                                           .function = block->function,
                                           .address = (uint16_t)(block->address + i),
                                           .type = (uint8_t)types[t].type,
                                           .order = (uint8_t)order,
                                           .scale = 1,
                                           .decimals = DIGITS};

        if (i + types[t].registers > block->count)
            continue;
        number(&field, block, data, text);
        (void)json_object_set_new(line, types[t].key, json_string(text));
    }
    return line;
}

json_t *read_orders(const uint8_t *data, uint16_t address, uint16_t count)
{
    const struct regmap_block block = {.function = 3, .address = address, .count = count};
    json_t *rows = json_array();

    for (uint16_t i = 0; i < count; i++)
        for (int order = 0; order < 4; order++)
            (void)json_array_append_new(rows, row(data, &block, i, order));
    return rows;
}
