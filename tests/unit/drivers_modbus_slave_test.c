/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated slave: values in by name, frames out, and every fault of its script.
 */
#include "drivers_test.h"

#include "drivers/checksum.h"
#include "drivers/emulate/modbus_slave.h"

static const struct regmap_enum doors[] = {{1, 100001, "closed"}, {2, 100002, "open"}};
static const struct regmap_field fields[] = {
    {.name = "u16",
     .function = 3,
     .address = 0,
     .type = REGMAP_U16,
     .scale = 1,
     .scale_exponent = -1,
     .sentinel_count = 1,
     .sentinels = {{0xFFFF, 0}}},
    {.name = "i16",
     .function = 3,
     .address = 1,
     .type = REGMAP_I16,
     .scale = 1,
     .offset = 5},
    {.name = "u32",
     .function = 3,
     .address = 2,
     .type = REGMAP_U32,
     .order = REGMAP_CDAB,
     .scale = 1},
    {.name = "i32",
     .function = 3,
     .address = 4,
     .type = REGMAP_I32,
     .order = REGMAP_DCBA,
     .scale = 25,
     .scale_exponent = -2},
    {.name = "u64", .function = 3, .address = 6, .type = REGMAP_U64, .scale = 1},
    {.name = "i64",
     .function = 3,
     .address = 10,
     .type = REGMAP_I64,
     .order = REGMAP_BADC,
     .scale = 1},
    {.name = "f32",
     .function = 3,
     .address = 14,
     .type = REGMAP_F32,
     .order = REGMAP_CDAB,
     .decimals = 2,
     .scale = 1},
    {.name = "f64",
     .function = 3,
     .address = 16,
     .type = REGMAP_F64,
     .decimals = 3,
     .scale = 1},
    {.name = "sfloat", .function = 3, .address = 20, .type = REGMAP_SFLOAT, .scale = 1},
    {.name = "float", .function = 3, .address = 21, .type = REGMAP_FLOAT, .scale = 1},
    {.name = "bcd16", .function = 3, .address = 23, .type = REGMAP_BCD16, .scale = 1},
    {.name = "bcd32", .function = 3, .address = 24, .type = REGMAP_BCD32, .scale = 1},
    {.name = "sm16", .function = 3, .address = 26, .type = REGMAP_SM16, .scale = 1},
    {.name = "door",
     .function = 3,
     .address = 27,
     .type = REGMAP_U16,
     .values = doors,
     .value_count = 2,
     .scale = 1},
    {.name = "bit",
     .function = 3,
     .address = 28,
     .type = REGMAP_BIT,
     .bit = 3,
     .scale = 1},
    {.name = "bits",
     .function = 3,
     .address = 28,
     .type = REGMAP_BITS,
     .bit = 8,
     .bits = 4,
     .scale = 1},
    {.name = "coil", .function = 1, .address = 5, .type = REGMAP_BIT, .scale = 1},
    {.name = "coil2", .function = 1, .address = 14, .type = REGMAP_BIT, .scale = 1},
    {.name = "name",
     .function = 3,
     .address = 30,
     .type = REGMAP_TEXT,
     .length = 4,
     .scale = 1},
    {.name = "test",
     .role = REGMAP_SELFTEST,
     .function = 3,
     .address = 34,
     .type = REGMAP_U16,
     .expect = 0xCFC7,
     .scale = 1},
    {.name = "input", .function = 4, .address = 0, .type = REGMAP_U16, .scale = 1},
};
static const struct regmap map = {.name = "all",
                                  .hole_max = 20,
                                  .fields = fields,
                                  .field_count = COUNT(fields)};

static struct modbus_unit units[2];
static struct modbus_slave slave;
static struct emulate_output out;

static int start(void **state)
{
    (void)state;
    if (modbus_unit_init(&units[0], 17, &map) || modbus_unit_init(&units[1], 18, &map))
        return -1;
    units[0].turnaround_us = 5000;
    modbus_slave_init(&slave, MODBUS_RTU, units, 2);
    out.count = 0;
    return 0;
}

/* Sends a PDU to a unit; what comes is in out. */
static void ask(uint8_t unit, const uint8_t *pdu, size_t n, uint64_t now)
{
    uint8_t frame[300];

    out.count = 0;
    if (slave.framing == MODBUS_TCP) {
        const uint8_t head[] = {0xAB, 0xCD, 0, 0, 0, (uint8_t)(n + 1), unit};
        memcpy(frame, head, 7);
        memcpy(frame + 7, pdu, n);
        modbus_slave_feed(&slave, frame, n + 7, now, &out);
        return;
    }
    frame[0] = unit;
    memcpy(frame + 1, pdu, n);
    uint16_t crc = checksum_modbus(frame, n + 1);
    frame[n + 1] = (uint8_t)crc;
    frame[n + 2] = (uint8_t)(crc >> 8);
    modbus_slave_feed(&slave, frame, n + 3, now, &out);
}

static void read_block(const struct regmap_block *b, uint64_t now)
{
    const uint8_t pdu[] = {b->function, (uint8_t)(b->address >> 8), (uint8_t)b->address,
                           (uint8_t)(b->count >> 8), (uint8_t)b->count};
    ask(17, pdu, sizeof(pdu), now);
}

/* The field's observation through plan, emulator and decoder. */
static struct observation through(const char *name)
{
    struct regmap_plan plan;
    uint8_t bytes[REGMAP_BLOCKS_MAX][256];
    const uint8_t *data[REGMAP_BLOCKS_MAX];
    struct observation o = {0};

    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    for (size_t i = 0; i < plan.count; i++) {
        read_block(&plan.blocks[i], 0);
        assert_int_equal(out.count, 1);
        assert_int_equal(out.bursts[0].bytes[1], plan.blocks[i].function);
        memcpy(bytes[i], out.bursts[0].bytes + 3, out.bursts[0].size - 5);
        data[i] = bytes[i];
    }
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct regmap_block *block;
        if (strcmp(fields[i].name, name) != 0)
            continue;
        const uint8_t *at = regmap_find(&fields[i], &plan, data, &block);
        assert_non_null(at);
        regmap_observe(&fields[i], block, at, &o);
    }
    return o;
}

static void test_values(void **state)
{
    static const struct {
        const char *field, *text;
        int64_t mantissa;
        int exponent;
    } cases[] = {
        {"u16", "103.0", 1030, -1},  {"u16", "103", 1030, -1},
        {"u16", "0", 0, -1},         {"i16", "-12", -12, 0},
        {"i16", "5", 5, 0},          {"u32", "4294967295", 4294967295, 0},
        {"i32", "-2.25", -225, -2},  {"i32", "1", 100, -2},
        {"i32", "0.500", 50, -2},    {"u64", "123456789012345678", 123456789012345678, 0},
        {"i64", "-7", -7, 0},        {"f32", "45.3", 4530, -2},
        {"f32", "-0.25", -25, -2},   {"f64", "36.8", 36800, -3},
        {"sfloat", "98.6", 986, -1}, {"float", "101.30", 10130, -2},
        {"float", "-3", -3, 0},      {"float", "0.0", 0, -1},
        {"bcd16", "9873", 9873, 0},  {"bcd32", "12345678", 12345678, 0},
        {"sm16", "-100", -100, 0},   {"bit", "1", 1, 0},
        {"bits", "9", 9, 0},         {"coil", "1", 1, 0},
        {"coil2", "1", 1, 0},        {"input", "77", 77, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(modbus_unit_set(&units[0], cases[i].field, cases[i].text),
                         EMULATE_OK);
        struct observation o = through(cases[i].field);
        assert_int_equal(o.kind, OBSERVATION_NUMERIC);
        assert_true(o.mantissa == cases[i].mantissa && o.exponent == cases[i].exponent);
    }
    printf("modbus slave: %zu values there and back\n", COUNT(cases));
    assert_int_equal(modbus_unit_set(&units[0], "door", "open"), EMULATE_OK);
    assert_int_equal(through("door").coded, 100002);
    assert_int_equal(modbus_unit_set(&units[0], "door", "1"), EMULATE_OK);
    assert_int_equal(through("door").coded, 100001);
    assert_int_equal(modbus_unit_set(&units[0], "name", "WM-1"), EMULATE_OK);
    assert_string_equal(through("name").text, "WM-1");
    /* The neighbours in one register leave each other alone. */
    assert_int_equal(modbus_unit_set(&units[0], "bit", "0"), EMULATE_OK);
    assert_int_equal(through("bits").mantissa, 9);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *field, *text;
        int error;
    } cases[] = {
        {"nothing", "1", EMULATE_NO_FIELD},
        {"u16", "103.05", EMULATE_INEXACT},
        {"u16", "6553.5", EMULATE_RANGE}, /* its sentinel */
        {"u16", "6553.6", EMULATE_RANGE},
        {"u16", "-1", EMULATE_RANGE},
        {"u16", "abc", EMULATE_SYNTAX},
        {"u16", "1e2", EMULATE_SYNTAX},
        {"i16", "32773", EMULATE_RANGE},
        {"i16", "1.5", EMULATE_INEXACT},
        {"i32", "0.1", EMULATE_INEXACT},
        {"i32", "999999999999", EMULATE_RANGE},
        {"u32", "4294967296", EMULATE_RANGE},
        {"sfloat", "20.50", EMULATE_RANGE},
        {"float", "8388606", EMULATE_RANGE},
        {"bcd16", "10000", EMULATE_RANGE},
        {"bcd16", "-1", EMULATE_RANGE},
        {"bcd32", "100000000", EMULATE_RANGE},
        {"sm16", "-32768", EMULATE_RANGE},
        {"bit", "2", EMULATE_RANGE},
        {"bits", "16", EMULATE_RANGE},
        {"door", "ajar", EMULATE_SYNTAX},
        {"name", "longer than it", EMULATE_RANGE},
        {"name", "\x01", EMULATE_SYNTAX},
        {"i16", "", EMULATE_NO_ABSENT},
        {"bcd16", NULL, EMULATE_NO_ABSENT},
        {"float", "1234567890123456789", EMULATE_RANGE},
    };
    struct modbus_unit before;

    (void)state;
    memcpy(&before, &units[0], sizeof(before));
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(modbus_unit_set(&units[0], cases[i].field, cases[i].text),
                         cases[i].error);
    assert_memory_equal(&before, &units[0], sizeof(before)); /* and nothing changed */
    printf("modbus slave: %zu values refused\n", COUNT(cases));
}

static void test_absent(void **state)
{
    static const char *const names[] = {"u16", "f32", "f64", "sfloat", "float", "name"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        assert_int_equal(through(names[i]).kind, OBSERVATION_ABSENT); /* as it starts */
        assert_int_equal(modbus_unit_set(&units[0], names[i], "1"), EMULATE_OK);
        assert_int_not_equal(through(names[i]).kind, OBSERVATION_ABSENT);
        assert_int_equal(modbus_unit_set(&units[0], names[i], i % 2 ? "" : NULL),
                         EMULATE_OK);
        assert_int_equal(through(names[i]).kind, OBSERVATION_ABSENT);
    }
    uint16_t value;
    assert_true(modbus_unit_get_raw(&units[0], 3, 34, &value));
    assert_int_equal(value, 0xCFC7);
    assert_false(modbus_unit_get_raw(&units[0], 3, 29, &value));
}

static void expect_exception(uint8_t function, uint8_t code)
{
    assert_int_equal(out.count, 1);
    assert_int_equal(out.bursts[0].size, 5);
    assert_int_equal(out.bursts[0].bytes[1], function | 0x80);
    assert_int_equal(out.bursts[0].bytes[2], code);
    uint16_t crc = checksum_modbus(out.bursts[0].bytes, 3);
    assert_int_equal(out.bursts[0].bytes[3], crc & 0xFF);
}

static void test_exceptions(void **state)
{
    (void)state;
    ask(17, (const uint8_t[]){3, 0, 0, 0, 0}, 5, 0);
    expect_exception(3, 3);
    ask(17, (const uint8_t[]){3, 0, 0, 0, 126}, 5, 0);
    expect_exception(3, 3);
    ask(17, (const uint8_t[]){1, 0, 5, 0x07, 0xD1}, 5, 0);
    expect_exception(1, 3);
    ask(17, (const uint8_t[]){3, 0, 34, 0, 2}, 5, 0); /* beyond the last register */
    expect_exception(3, 2);
    ask(17, (const uint8_t[]){4, 0, 1, 0, 1}, 5, 0);
    expect_exception(4, 2);
    ask(17, (const uint8_t[]){2, 0, 0, 0, 1}, 5, 0);
    expect_exception(2, 2);
    ask(17, (const uint8_t[]){3, 0, 28, 0, 3}, 5, 0); /* 29 is a hole and reads 0 */
    assert_int_equal(out.bursts[0].bytes[1], 3);
    units[0].strict = true;
    ask(17, (const uint8_t[]){3, 0, 28, 0, 3}, 5, 0);
    expect_exception(3, 2);
    assert_int_equal(slave.writes, 0);
}

/* Writes of every kind are refused, counted, and change nothing. */
static void test_writes(void **state)
{
    static const struct {
        uint8_t pdu[16], size;
    } cases[] = {
        {{5, 0, 5, 0xFF, 0}, 5},
        {{6, 0, 0, 0, 1}, 5},
        {{8, 0, 0, 0, 0}, 5},
        {{15, 0, 5, 0, 1, 1, 1}, 7},
        {{16, 0, 0, 0, 1, 2, 0, 1}, 8},
        {{22, 0, 0, 0, 1, 0, 2}, 7},
        {{23, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 9}, 12},
        {{7}, 1},
        {{43, 13, 0, 0}, 4},
    };
    static const uint8_t identity[] = {43, 14, 1, 0};
    struct modbus_cell before[MODBUS_UNIT_CELLS_MAX];

    (void)state;
    memcpy(before, units[0].cells, sizeof(before));
    for (size_t i = 0; i < COUNT(cases); i++) {
        ask(17, cases[i].pdu, cases[i].size, 0);
        expect_exception(cases[i].pdu[0], 1);
        assert_int_equal(slave.writes, i + 1);
    }
    /* A unit that says nothing of itself refuses that too; but it is no write. */
    ask(17, (const uint8_t[]){17}, 1, 0);
    expect_exception(17, 1);
    ask(17, identity, sizeof(identity), 0);
    expect_exception(43, 1);
    assert_int_equal(slave.unknown, 2);
    assert_int_equal(slave.writes, COUNT(cases));
    ask(0, cases[1].pdu, cases[1].size, 0); /* a broadcast write: counted, not answered */
    assert_int_equal(out.count, 0);
    assert_int_equal(slave.writes, COUNT(cases) + 1);
    assert_memory_equal(before, units[0].cells, sizeof(before));
    printf("modbus slave: %zu kinds of request refused and counted\n", COUNT(cases));
}

/* A request in any two pieces; a gap inside ends it; a wrong CRC, length or unit is
 * silence. */
static void test_framing(void **state)
{
    const uint8_t request[8] = {17, 3, 0, 0, 0, 2, 0xC6, 0x9B};
    uint8_t bad[8];

    (void)state;
    assert_int_equal(checksum_modbus(request, 8), 0);
    for (size_t at = 0; at <= 8; at++) {
        out.count = 0;
        modbus_slave_feed(&slave, request, at, 1000, &out);
        modbus_slave_feed(&slave, request + at, 8 - at, 9000, &out);
        assert_int_equal(out.count, 1);
        assert_int_equal(out.bursts[0].size, 9);
        assert_true(out.bursts[0].due_us == (at == 8 ? 1000 : 9000) + 5000);
    }
    for (size_t bit = 16; bit < 64; bit++) {
        memcpy(bad, request, 8);
        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        out.count = 0;
        modbus_slave_feed(&slave, bad, 8, 100000 * (bit + 1), &out);
        assert_int_equal(out.count, 0);
    }
    out.count = 0;
    modbus_slave_feed(&slave, request, 4, 90000000, &out);
    modbus_slave_feed(&slave, request, 8, 90100000, &out); /* the half one is forgotten */
    assert_int_equal(out.count, 1);
    ask(99, (const uint8_t[]){3, 0, 0, 0, 1}, 5, 91000000);
    assert_int_equal(out.count, 0);
    units[1].dead = true;
    ask(18, (const uint8_t[]){3, 0, 0, 0, 1}, 5, 91000000);
    assert_int_equal(out.count, 0);
    assert_int_equal(units[1].requests, 1);
    assert_int_equal(slave.bad_frames, 49);
}

static void test_tcp(void **state)
{
    const uint8_t bad_protocol[] = {0, 1, 0, 9, 0, 6, 17, 3, 0, 0, 0, 1};
    const uint8_t too_long[] = {0, 1, 0, 0, 9, 9, 17, 3, 0, 0, 0, 1};

    (void)state;
    slave.framing = MODBUS_TCP;
    modbus_unit_set(&units[0], "u16", "98.6");
    ask(17, (const uint8_t[]){3, 0, 0, 0, 1}, 5, 7);
    assert_int_equal(out.count, 1);
    assert_memory_equal(out.bursts[0].bytes,
                        ((const uint8_t[]){0xAB, 0xCD, 0, 0, 0, 5, 17, 3, 2, 0x03, 0xDA}),
                        11);
    modbus_slave_feed(&slave, bad_protocol, sizeof(bad_protocol), 8, &out);
    modbus_slave_feed(&slave, too_long, sizeof(too_long), 8, &out);
    assert_int_equal(out.count, 1);
    assert_true(slave.bad_frames >= 2);
}

static const struct modbus_fault *one_fault(uint64_t request, uint8_t kind,
                                            uint32_t value)
{
    static struct modbus_fault fault;

    fault = (struct modbus_fault){request, 0, kind, value};
    return &fault;
}

static void test_faults(void **state)
{
    static const uint8_t pdu[] = {3, 0, 0, 0, 2};
    struct emulate_burst clean;

    (void)state;
    ask(17, pdu, 5, 0);
    clean = out.bursts[0];
    slave.fault_count = 1;
    slave.faults = one_fault(0, MODBUS_FAULT_LATE, 700000);
    ask(17, pdu, 5, 0);
    assert_true(out.bursts[0].due_us == 705000);
    assert_memory_equal(out.bursts[0].bytes, clean.bytes, clean.size);
    slave.faults = one_fault(0, MODBUS_FAULT_TWICE, 300);
    ask(17, pdu, 5, 0);
    assert_int_equal(out.count, 2);
    assert_true(out.bursts[1].due_us == out.bursts[0].due_us + 300);
    assert_memory_equal(out.bursts[1].bytes, clean.bytes, clean.size);
    slave.faults = one_fault(0, MODBUS_FAULT_SHORT, 4);
    ask(17, pdu, 5, 0);
    assert_int_equal(out.bursts[0].size, 4);
    slave.faults = one_fault(0, MODBUS_FAULT_FOREIGN, 18);
    ask(17, pdu, 5, 0);
    assert_int_equal(out.bursts[0].bytes[0], 18);
    assert_int_equal(checksum_modbus(out.bursts[0].bytes, out.bursts[0].size), 0);
    for (uint32_t bit = 0; bit < clean.size * 8; bit++) {
        slave.faults = one_fault(0, MODBUS_FAULT_FLIP, bit);
        ask(17, pdu, 5, 0);
        clean.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_memory_equal(out.bursts[0].bytes, clean.bytes, clean.size);
        clean.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    slave.faults = one_fault(0, MODBUS_FAULT_SILENT, 0);
    ask(17, pdu, 5, 0);
    assert_int_equal(out.count, 0);
    slave.faults = one_fault(0, MODBUS_FAULT_EXCEPTION, 6);
    ask(17, pdu, 5, 0);
    expect_exception(3, 6);
    slave.faults = one_fault(0, MODBUS_FAULT_ECHO, 0);
    ask(17, pdu, 5, 40);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.bursts[0].size, 8);
    assert_true(out.bursts[0].due_us == 40 && out.bursts[1].due_us == 5040);
    slave.faults = one_fault(0, MODBUS_FAULT_GARBAGE, 30);
    ask(17, pdu, 5, 0);
    assert_int_equal(out.count, 2);
    assert_int_equal(out.bursts[0].size, 30);
    slave.faults =
        one_fault(slave.requests + 2, MODBUS_FAULT_SILENT, 0); /* not this one */
    ask(17, pdu, 5, 0);
    assert_int_equal(out.count, 1);
    ask(17, pdu, 5, 0); /* but the next */
    assert_int_equal(out.count, 0);
    ask(17, pdu, 5, 0);
    assert_int_equal(out.count, 1);
    slave.framing = MODBUS_TCP;
    slave.faults = one_fault(0, MODBUS_FAULT_TRANSACTION, 1);
    ask(17, pdu, 5, 0);
    assert_int_equal(out.bursts[0].bytes[1], 0xCE);
}

static void test_full(void **state)
{
    int error = EMULATE_OK;
    uint32_t address = 1000;

    (void)state;
    while (error == EMULATE_OK && address < 2000)
        error = modbus_unit_set_raw(&units[0], 4, (uint16_t)address++, 1);
    assert_int_equal(error, EMULATE_FULL);
    assert_int_equal(units[0].cell_count, MODBUS_UNIT_CELLS_MAX);
    for (uint16_t i = 1; i < units[0].cell_count; i++) { /* still in order */
        const struct modbus_cell *a = &units[0].cells[i - 1], *b = &units[0].cells[i];
        assert_true(a->function < b->function ||
                    (a->function == b->function && a->address < b->address));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_values, start),
        cmocka_unit_test_setup(test_refusals, start),
        cmocka_unit_test_setup(test_absent, start),
        cmocka_unit_test_setup(test_exceptions, start),
        cmocka_unit_test_setup(test_writes, start),
        cmocka_unit_test_setup(test_framing, start),
        cmocka_unit_test_setup(test_tcp, start),
        cmocka_unit_test_setup(test_faults, start),
        cmocka_unit_test_setup(test_full, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
