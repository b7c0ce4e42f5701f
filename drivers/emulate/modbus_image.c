/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated unit's registers, and values written into them by field name: the decoder
 * of regmap_value.c turned round. It refuses rather than rounds, so that a recording that
 * was served is the recording.
 */
#include "drivers/emulate/modbus_slave.h"

#include "drivers/decimal.h"

#include <string.h>

#define FLOAT_NAN  0x007FFFFFU
#define SFLOAT_NAN 0x07FFU
#define F32_NAN    0x7FC00000U
#define F64_NAN    0x7FF8000000000000ULL

/* Where the cell is, or where it belongs. */
static uint16_t place(const struct modbus_unit *unit, uint8_t function, uint16_t address)
{
    uint16_t low = 0, high = unit->cell_count;

    while (low < high) {
        uint16_t middle = (uint16_t)((low + high) / 2);
        const struct modbus_cell *c = &unit->cells[middle];
        if (c->function < function || (c->function == function && c->address < address))
            low = (uint16_t)(middle + 1);
        else
            high = middle;
    }
    return low;
}

/* Is the cell at place() the one, or only where it would be? */
static bool is_at(const struct modbus_unit *unit, uint16_t i, uint8_t function,
                  uint16_t address)
{
    return i < unit->cell_count && unit->cells[i].function == function &&
           unit->cells[i].address == address;
}

/* Keeps the cells sorted: a request walks neighbouring addresses. */
int modbus_unit_set_raw(struct modbus_unit *unit, uint8_t function, uint16_t address,
                        uint16_t value)
{
    uint16_t i = place(unit, function, address);

    if (!is_at(unit, i, function, address)) {
        if (unit->cell_count == MODBUS_UNIT_CELLS_MAX)
            return EMULATE_FULL;
        memmove(&unit->cells[i + 1], &unit->cells[i],
                (size_t)(unit->cell_count - i) * sizeof(unit->cells[0]));
        unit->cell_count++;
        unit->cells[i] = (struct modbus_cell){address, 0, function};
    }
    unit->cells[i].value = value;
    return EMULATE_OK;
}

/* The caller decides what a register that is not there reads. */
bool modbus_unit_get_raw(const struct modbus_unit *unit, uint8_t function,
                         uint16_t address, uint16_t *value)
{
    uint16_t i = place(unit, function, address);

    if (!is_at(unit, i, function, address))
        return false;
    *value = unit->cells[i].value;
    return true;
}

/* Writes n registers of big-endian bytes. */
static int store(struct modbus_unit *unit, const struct regmap_field *field,
                 const uint8_t *bytes, uint16_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t value = (uint16_t)(bytes[2 * i] << 8 | bytes[2 * i + 1]);
        uint16_t address = (uint16_t)(field->address + i);
        if (modbus_unit_set_raw(unit, field->function, address, value))
            return EMULATE_FULL;
    }
    return EMULATE_OK;
}

/* Bits of a register are changed inside it, so that fields which share one leave each
 * other alone. */
static int store_raw(struct modbus_unit *unit, const struct regmap_field *field,
                     uint64_t raw)
{
    uint8_t bytes[8];

    if (field->type == REGMAP_BIT || field->type == REGMAP_BITS) {
        unsigned bits = field->type == REGMAP_BIT ? 1 : field->bits;
        unsigned shift = field->function <= 2 ? 0 : field->bit;
        unsigned mask = ((1U << bits) - 1) << shift;
        uint16_t word = 0;
        modbus_unit_get_raw(unit, field->function, field->address, &word);
        word = (uint16_t)((word & ~mask) | ((unsigned)raw << shift & mask));
        return modbus_unit_set_raw(unit, field->function, field->address, word);
    }
    regmap_put(field, raw, bytes);
    return store(unit, field, bytes, regmap_span(field));
}

/* Filled up with zero bytes: a shorter text must not show the end of a longer one. */
static int store_text(struct modbus_unit *unit, const struct regmap_field *field,
                      const char *text)
{
    uint8_t bytes[2 * UINT8_MAX] = {0};
    size_t length = strlen(text), room = (size_t)field->length * 2;

    if (length > room)
        return EMULATE_RANGE;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x20 || text[i] > 0x7E)
            return EMULATE_SYNTAX;
        bytes[field->order == REGMAP_BADC ? i ^ 1 : i] = (uint8_t)text[i];
    }
    return store(unit, field, bytes, field->length);
}

/* What the field reads when the device has no value. */
static int absent_raw(const struct regmap_field *field, uint64_t *raw)
{
    if (field->type == REGMAP_FLOAT)
        *raw = FLOAT_NAN;
    else if (field->type == REGMAP_SFLOAT)
        *raw = SFLOAT_NAN;
    else if (field->sentinel_count > 0)
        *raw = field->sentinels[0].raw;
    else if (field->type == REGMAP_F32)
        *raw = F32_NAN;
    else if (field->type == REGMAP_F64)
        *raw = F64_NAN;
    else
        return EMULATE_NO_ABSENT;
    return EMULATE_OK;
}

/* (value - offset) / scale, exactly. */
static int unscale(const struct regmap_field *field, struct decimal value,
                   struct decimal *out)
{
    if (field->offset != 0) {
        struct decimal offset = {-field->offset, field->scale_exponent};
        if (decimal_add(value, offset, &value))
            return EMULATE_RANGE;
    }
    if (field->scale != 1) {
        int error = decimal_rescale(value, field->scale_exponent, &value);
        if (error)
            return error == DECIMAL_INEXACT ? EMULATE_INEXACT : EMULATE_RANGE;
    }
    if (value.mantissa % field->scale)
        return EMULATE_INEXACT;
    out->mantissa = value.mantissa / field->scale;
    out->exponent = (int16_t)(value.exponent - field->scale_exponent);
    return EMULATE_OK;
}

/* Four bits a digit, the last digit lowest; what is left over did not fit. */
static int to_bcd(int64_t n, int digits, uint64_t *raw)
{
    *raw = 0;
    for (int i = 0; i < digits; i++, n /= 10)
        *raw |= (uint64_t)(n % 10) << (4 * i);
    return n ? EMULATE_RANGE : EMULATE_OK;
}

/* A whole number into an integer type, two's complement cut to the type's width. */
static int integer_raw(const struct regmap_field *field, int64_t n, uint64_t *raw)
{
    static const struct {
        uint8_t type;
        int64_t minimum, maximum;
    } range[] = {
        {REGMAP_U16, 0, UINT16_MAX},          {REGMAP_I16, INT16_MIN, INT16_MAX},
        {REGMAP_U32, 0, UINT32_MAX},          {REGMAP_I32, INT32_MIN, INT32_MAX},
        {REGMAP_U64, 0, INT64_MAX},           {REGMAP_I64, INT64_MIN, INT64_MAX},
        {REGMAP_SM16, -INT16_MAX, INT16_MAX}, {REGMAP_BCD16, 0, 9999},
        {REGMAP_BCD32, 0, 99999999},          {REGMAP_BIT, 0, 1},
        {REGMAP_BITS, 0, UINT16_MAX},
    };

    for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++)
        if (range[i].type == field->type &&
            (n < range[i].minimum || n > range[i].maximum))
            return EMULATE_RANGE;
    if (field->type == REGMAP_BITS && n >> field->bits)
        return EMULATE_RANGE;
    if (field->type == REGMAP_BCD16 || field->type == REGMAP_BCD32)
        return to_bcd(n, field->type == REGMAP_BCD16 ? 4 : 8, raw);
    if (field->type == REGMAP_SM16)
        *raw = n < 0 ? 0x8000U | (uint64_t)-n : (uint64_t)n;
    else if (regmap_span(field) == 4)
        *raw = (uint64_t)n;
    else
        *raw = (uint64_t)n & ((1ULL << (16 * regmap_span(field))) - 1);
    return EMULATE_OK;
}

/* A number in the field's unit as raw bits. */
static int number_raw(const struct regmap_field *field, const char *text, uint64_t *raw)
{
    struct decimal value;
    uint32_t wide = 0;
    uint16_t narrow = 0;
    int error = decimal_parse(text, &value);

    if (error)
        return error == DECIMAL_OVERFLOW ? EMULATE_RANGE : EMULATE_SYNTAX;
    error = unscale(field, value, &value);
    if (error)
        return error;
    switch (field->type) {
    case REGMAP_FLOAT:
        error = decimal_to_float(value, &wide);
        *raw = wide;
        break;
    case REGMAP_SFLOAT:
        error = decimal_to_sfloat(value, &narrow);
        *raw = narrow;
        break;
    case REGMAP_F32:
        error = decimal_to_f32(value, &wide);
        *raw = wide;
        break;
    case REGMAP_F64:
        error = decimal_to_f64(value, raw);
        break;
    default:
        error = decimal_rescale(value, 0, &value);
        if (error)
            return error == DECIMAL_INEXACT ? EMULATE_INEXACT : EMULATE_RANGE;
        return integer_raw(field, value.mantissa, raw);
    }
    return error ? EMULATE_RANGE : EMULATE_OK;
}

/* A label of the field's enumeration, or the number that stands for it on the wire. */
static int label_raw(const struct regmap_field *field, const char *text, uint64_t *raw)
{
    for (uint16_t i = 0; i < field->value_count; i++)
        if (field->values[i].label && strcmp(field->values[i].label, text) == 0) {
            *raw = field->values[i].raw;
            return EMULATE_OK;
        }
    return number_raw(field, text, raw);
}

/* Everything that can fail comes before the first register is written. */
static int set_field(struct modbus_unit *unit, const struct regmap_field *field,
                     const char *text)
{
    uint64_t raw;
    int error;

    if (field->type == REGMAP_TEXT)
        return store_text(unit, field, text ? text : "");
    if (!text || !text[0]) {
        error = absent_raw(field, &raw);
        return error ? error : store_raw(unit, field, raw);
    }
    error = field->value_count > 0 ? label_raw(field, text, &raw)
                                   : number_raw(field, text, &raw);
    if (error)
        return error;
    for (uint8_t i = 0; i < field->sentinel_count; i++)
        if (field->sentinels[i].raw == raw) /* it would read back as "no value" */
            return EMULATE_RANGE;
    return store_raw(unit, field, raw);
}

/* By name, as the profile spells it. */
int modbus_unit_set(struct modbus_unit *unit, const char *field, const char *text)
{
    for (uint16_t i = 0; i < unit->map->field_count; i++)
        if (strcmp(unit->map->fields[i].name, field) == 0)
            return set_field(unit, &unit->map->fields[i], text);
    return EMULATE_NO_FIELD;
}

/* A device that was switched on and has not measured anything yet. */
int modbus_unit_init(struct modbus_unit *unit, uint8_t address, const struct regmap *map)
{
    memset(unit, 0, sizeof(*unit));
    unit->unit = address;
    unit->map = map;
    for (uint16_t i = 0; i < map->field_count; i++) {
        const struct regmap_field *f = &map->fields[i];
        uint64_t raw = 0;
        int error;
        if (f->role == REGMAP_SELFTEST)
            raw = f->expect;
        else if (f->type != REGMAP_TEXT && absent_raw(f, &raw))
            raw = 0;
        error =
            f->type == REGMAP_TEXT ? store_text(unit, f, "") : store_raw(unit, f, raw);
        if (error)
            return error;
    }
    return EMULATE_OK;
}
