/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate read: one device's registers beside what they mean. With a profile each field;
 * without one the registers, and with --orders every way in which they can be a number:
 * what stands on the device's screen is one of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/decimal.h"
#include "drivers/nomenclature.h"
#include "ports/profile.h"
#include "tool/ask.h"
#include "tool/read_orders.h"
#include "tool/verbs.h"
#include "tool/where.h"
#include "tool/who.h"

#define TRIES     3
#define LATE_US   1000000 /* a late answer is not to be shown as another's */
#define TEXT_SIZE 96

static const char help[] =
    "usage: wardgate read LINE --unit N --profile NAME [--json]\n"
    "       wardgate read LINE --unit N --address A [--count C] [--function F]\n"
    "                     [--orders] [--json]\n"
    "\n"
    "Reads a Modbus device once and shows raw registers, value and unit side by side.\n"
    "It only reads; the line must be free (stop wardgated).\n"
    "\n" WHERE_HELP "\n"
    "What to read:\n"
    "  --unit N         the device's address, 1 if not given\n"
    "  --profile NAME   a built-in profile, or a path to one in YAML\n"
    "  --address A      first register, 0-based as on the wire: 40001 and 30001 are 0\n"
    "  --count C        registers, or bits for functions 1 and 2; 1 if not given\n"
    "  --function F     1 coils, 2 inputs, 3 holding registers (if not given), 4 input\n"
    "                   registers\n"
    "  --orders         the registers as every number type in every word order\n"
    "  --timeout MS     how long the device may take, 500 if not given\n"
    "\n"
    "  wardgate read /dev/ttyUSB0 --unit 240 --profile vaisala-hmp110 --parity none\n"
    "  wardgate read 10.0.0.7:502 --unit 1 --function 4 --address 0 --count 4 --orders\n"
    "\n"
    "Exit codes: 0 read, 1 the device refused, or a field has no value or is out of its\n"
    "limits, 64 called wrongly, 69 no answer, 78 the profile is bad.\n";

struct reading {
    struct port_line line;
    struct port_modbus *port;
    uint8_t unit;
    uint32_t timeout_us;
    bool json, orders;
};

/* A block, asked again when it was damaged. Explains a failure and returns the code. */
static int ask_block(const struct reading *it, const struct regmap_block *block,
                     struct port_modbus_reply *reply)
{
    int error = PORT_TIMEOUT;

    for (int tries = 0; tries < TRIES; tries++) {
        error = who_ask(it->port, it->unit, block, it->timeout_us, LATE_US, reply);
        if (error == PORT_OK)
            return TOOL_OK;
        if (error == PORT_EXCEPTION)
            return tool_fail(TOOL_FINDINGS,
                             "unit %u refuses function %u at %u (%u registers): code %u",
                             it->unit, block->function, block->address, block->count,
                             reply->exception);
        if (error == PORT_REFUSED)
            return tool_usage("read", "%u registers from %u on can't be asked for",
                              block->count, block->address);
    }
    return tool_fail(TOOL_UNAVAILABLE, "unit %u: %s%s", it->unit, port_error_text(error),
                     reply->late_seen ? ", but the answer came later: --timeout" : "");
}

/* --- with a profile --- */

/* The registers that a field covers, in hex as on the wire. */
static void raw_text(const struct regmap_field *field, const struct regmap_block *block,
                     const uint8_t *bytes, char *out)
{
    size_t at = 0, offset = (size_t)(field->address - block->address) * 2;

    if (field->function <= 2) {
        size_t bit = (size_t)(field->address - block->address);

        (void)snprintf(out, TEXT_SIZE, "%u", bytes[bit / 8] >> bit % 8 & 1U);
        return;
    }
    out[0] = '\0';
    for (size_t i = 0; i < regmap_span(field) && at + 8 < TEXT_SIZE; i++)
        at += (size_t)snprintf(out + at, TEXT_SIZE - at, "%s%02X%02X", i > 0 ? " " : "",
                               bytes[offset + 2 * i], bytes[offset + 2 * i + 1]);
}

static void value_text(const struct regmap_field *field, const struct observation *o,
                       char *out)
{
    char number[DECIMAL_TEXT_MAX];

    out[0] = '\0';
    if (o->kind == OBSERVATION_TEXT) {
        (void)snprintf(out, TEXT_SIZE, "%s", o->text);
    } else if (o->kind == OBSERVATION_CODED) {
        (void)snprintf(out, TEXT_SIZE, "%u", o->coded);
        for (size_t i = 0; i < field->value_count; i++)
            if (field->values[i].coded == o->coded && field->values[i].label != NULL)
                (void)snprintf(out, TEXT_SIZE, "%s", field->values[i].label);
    } else if (o->kind == OBSERVATION_NUMERIC) {
        struct decimal value = {o->mantissa, o->exponent};

        (void)decimal_format(value, number, sizeof number);
        (void)snprintf(out, TEXT_SIZE, "%s", number);
    } else {
        (void)snprintf(out, TEXT_SIZE, "no value");
    }
}

/* What is doubtful about it, in words. */
static void quality_text(uint16_t quality, char *out)
{
    static const char *const words[] = {"invalid",      "questionable", "sensor off",
                                        "out of range", "demo",         "test",
                                        "calibrating",  "stale"};

    out[0] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if ((quality >> i & 1) != 0) {
            size_t at = strlen(out);

            (void)snprintf(out + at, TEXT_SIZE - at, "%s%s", at > 0 ? ", " : "",
                           words[i]);
        }
}

/* One row. True if there is something to look at. */
static bool field_row(json_t *rows, const struct regmap_field *field,
                      const struct regmap_block *block, const uint8_t *bytes)
{
    static const char *const roles[] = {"value", "sample", "identity", "self-test"};
    char raw[TEXT_SIZE], value[TEXT_SIZE], quality[TEXT_SIZE];
    const char *unit = nomenclature_name(field->unit);
    struct observation o;
    bool selftest = field->role == REGMAP_SELFTEST, bad;

    raw_text(field, block, bytes, raw);
    regmap_observe(field, block, bytes, &o);
    value_text(field, &o, value);
    quality_text(o.quality, quality);
    bad = o.kind == OBSERVATION_ABSENT || o.quality != 0;
    if (selftest) {
        bad = regmap_raw(field, block, bytes) != field->expect;
        (void)snprintf(value, sizeof value, "%s", bad ? "WRONG" : "as expected");
        quality[0] = '\0';
    }
    (void)json_array_append_new(
        rows, json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:s}", "field", field->name,
                        "is", roles[field->role], "function", (int)field->function,
                        "address", (int)field->address, "raw", raw, "value", value,
                        "unit", unit != NULL ? unit : "", "quality", quality));
    return bad;
}

static int read_profile(const struct reading *it, const struct regmap *map)
{
    static uint8_t store[REGMAP_BLOCKS_MAX][REGMAP_REGISTERS_MAX * 2];
    const uint8_t *data[REGMAP_BLOCKS_MAX] = {NULL};
    struct regmap_plan plan;
    bool findings = false;
    json_t *rows;

    if (regmap_plan(map, NULL, &plan) != REGMAP_OK)
        return tool_fail(TOOL_CONFIG, "%s needs more than %d requests", map->name,
                         REGMAP_BLOCKS_MAX);
    for (size_t b = 0; b < plan.count; b++) {
        struct port_modbus_reply reply;
        int code = ask_block(it, &plan.blocks[b], &reply);

        if (code == TOOL_FINDINGS)
            findings = true; /* what the device refuses has no row */
        else if (code != TOOL_OK)
            return code;
        if (code == TOOL_OK && reply.size <= sizeof store[b]) {
            memcpy(store[b], reply.data, reply.size);
            data[b] = store[b];
        }
    }
    rows = json_array();
    for (size_t f = 0; f < map->field_count; f++) {
        const struct regmap_block *block;
        const uint8_t *bytes = regmap_find(&map->fields[f], &plan, data, &block);

        if (bytes != NULL)
            findings = field_row(rows, &map->fields[f], block, bytes) || findings;
    }
    show(rows, it->json);
    json_decref(rows);
    return findings ? TOOL_FINDINGS : TOOL_OK;
}

/* --- without one --- */

static int read_plain(const struct reading *it, const struct regmap_block *block)
{
    struct port_modbus_reply reply;
    int code = ask_block(it, block, &reply);
    json_t *rows;

    if (code != TOOL_OK)
        return code;
    rows = json_array();
    for (uint16_t i = 0; i < block->count; i++) {
        unsigned value = block->function <= 2
                             ? reply.data[i / 8] >> i % 8 & 1U
                             : (unsigned)(reply.data[(size_t)2 * i] << 8 |
                                          reply.data[(size_t)2 * i + 1]);
        char raw[8];

        (void)snprintf(raw, sizeof raw, block->function <= 2 ? "%u" : "%04X", value);
        (void)json_array_append_new(
            rows, json_pack("{s:i, s:s, s:i, s:i}", "address", block->address + i, "raw",
                            raw, "unsigned", (int)value, "signed",
                            block->function <= 2 ? (int)value : (int)(int16_t)value));
    }
    if (it->orders && block->function >= 3) {
        json_decref(rows);
        rows = read_orders(reply.data, block->address, block->count);
    }
    show(rows, it->json);
    json_decref(rows);
    return TOOL_OK;
}

static const struct regmap *find_map(const char *name, struct profile **loaded,
                                     char *error, size_t size)
{
    const struct regmap *map = regmap_by_name(name);

    if (map != NULL)
        return map;
    if (strchr(name, '/') == NULL && strchr(name, '.') == NULL) {
        (void)snprintf(error, size, "no profile is called %s", name);
        return NULL;
    }
    return profile_load(name, loaded, error, size) == PROFILE_OK ? profile_regmap(*loaded)
                                                                 : NULL;
}

/* The line is opened last: what is wrong with the command is said first. */
static int run(struct reading *it, const char *profile, const struct regmap_block *block)
{
    struct profile *loaded = NULL;
    const struct regmap *map = NULL;
    char error[PROFILE_ERROR_MAX];
    int code;

    if (profile != NULL &&
        (map = find_map(profile, &loaded, error, sizeof error)) == NULL)
        return tool_fail(TOOL_CONFIG, "%s", error);
    code = port_modbus_open(&it->line, &it->port);
    if (code != PORT_OK) {
        code = where_failed(&it->line, code);
    } else {
        code = map != NULL ? read_profile(it, map) : read_plain(it, block);
        port_modbus_close(it->port);
    }
    profile_free(loaded);
    return code;
}

int verb_read(int argc, char **argv)
{
    struct reading it = {0};
    struct where_options where = {0};
    const char *unit = "1", *profile = NULL, *address = NULL, *count = "1",
               *function = "3", *timeout = "500";
    const struct tool_option options[] = {
        WHERE_OPTIONS(where),        {"unit", &unit, NULL},
        {"profile", &profile, NULL}, {"address", &address, NULL},
        {"count", &count, NULL},     {"function", &function, NULL},
        {"timeout", &timeout, NULL}, {"orders", NULL, &it.orders},
        {NULL, NULL, NULL}};
    long long n, a = 0, c, f, ms;
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &it.json, &code);

    if (operands < 0)
        return code;
    if (operands != 1)
        return tool_usage("read", "expected one LINE");
    if ((code = where_read("read", argv[1], &where, &it.line)) != TOOL_OK)
        return code;
    if ((profile == NULL) == (address == NULL))
        return tool_usage("read", "expected --profile, or --address");
    if (!tool_number(unit, 0, 255, &n))
        return tool_usage("read", "--unit %s: expected 1 to 247", unit);
    if (address != NULL && !tool_number(address, 0, 65535, &a))
        return tool_usage("read", "--address %s: expected 0 to 65535", address);
    if (!tool_number(function, 1, 4, &f))
        return tool_usage("read", "--function %s: expected 1, 2, 3 or 4", function);
    if (!tool_number(count, 1, f <= 2 ? REGMAP_BITS_MAX : REGMAP_REGISTERS_MAX, &c))
        return tool_usage("read", "--count %s: expected 1 to %d", count,
                          f <= 2 ? REGMAP_BITS_MAX : REGMAP_REGISTERS_MAX);
    if (!tool_number(timeout, 5, 60000, &ms))
        return tool_usage("read", "--timeout %s: expected 5 to 60000 ms", timeout);
    it.unit = (uint8_t)n;
    it.timeout_us = (uint32_t)ms * 1000;
    return run(&it, profile,
               &(struct regmap_block){(uint8_t)f, (uint16_t)a, (uint16_t)c});
}
