/* SPDX-License-Identifier: Apache-2.0
 *
 * regmap_value: every type in every word order, with every sentinel, scale and limit.
 */
#include "drivers_test.h"

#include "drivers/decimal.h"
#include "drivers/regmap.h"

#define SIZE_2 ((size_t)2) /* bytes of a register */

static struct observation observe(const struct regmap_field *f, const uint8_t *bytes,
                                  size_t n)
{
    const struct regmap_block block = {f->function, f->address, regmap_span(f)};
    uint8_t *copy = malloc(n ? n : 1); /* exactly its bytes: reading past them is seen */
    struct observation o;

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    regmap_observe(f, &block, copy, &o);
    free(copy);
    return o;
}

/* The wire's bytes of a value in an order, written independently of the decoder: as the
 * letters of the order say, for 2, 4 and 8 bytes. */
static void wire(uint8_t order, uint64_t raw, size_t size, uint8_t *out)
{
    static const char *const letters[4][3] = {{"AB", "ABCD", "ABCDEFGH"},
                                              {"AB", "CDAB", "GHEFCDAB"},
                                              {"BA", "BADC", "BADCFEHG"},
                                              {"BA", "DCBA", "HGFEDCBA"}};
    const char *map = letters[order][size == 2 ? 0 : size == 4 ? 1 : 2];

    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)(raw >> 8 * (size - 1 - (size_t)(map[i] - 'A')));
}

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): reads like the table */
struct expected {
    uint8_t type;
    uint64_t raw;
    int64_t mantissa;
    int8_t exponent;
    bool absent;
    uint16_t quality;
};

#define ABSENT(type, raw, quality)                                                       \
    {                                                                                    \
        type, raw, 0, 0, true, quality                                                   \
    }

static const struct expected values[] = {
    {REGMAP_U16, 0, 0, 0, false, 0},
    {REGMAP_U16, 1030, 1030, 0, false, 0},
    {REGMAP_U16, 0xFFFF, 65535, 0, false, 0},
    {REGMAP_I16, 0x7FFF, 32767, 0, false, 0},
    {REGMAP_I16, 0x8000, -32768, 0, false, 0},
    {REGMAP_I16, 0xFF9C, -100, 0, false, 0},
    {REGMAP_U32, 0x12345678, 0x12345678, 0, false, 0},
    {REGMAP_U32, 0xFFFFFFFF, 4294967295, 0, false, 0},
    {REGMAP_I32, 0x80000000, INT32_MIN, 0, false, 0},
    {REGMAP_I32, 0xFFFFFCE0, -800, 0, false, 0},
    {REGMAP_U64, 0x0123456789ABCDEF, 0x0123456789ABCDEF, 0, false, 0},
    {REGMAP_U64, INT64_MAX, INT64_MAX, 0, false, 0},
    ABSENT(REGMAP_U64, 0x8000000000000000, QUALITY_INVALID), /* no int64 has it */
    ABSENT(REGMAP_U64, UINT64_MAX, QUALITY_INVALID),
    {REGMAP_I64, 0x8000000000000000, INT64_MIN, 0, false, 0},
    {REGMAP_I64, 0xFEDCBA9876543210, (int64_t)0xFEDCBA9876543210, 0, false, 0},
    {REGMAP_F32, 0x42353333, 453, -1, false, 0},   /* 45.3 with one digit */
    {REGMAP_F32, 0xC2F6E666, -1234, -1, false, 0}, /* -123.45 lies below the half */
    {REGMAP_F32, 0x80000000, 0, -1, false, 0},
    ABSENT(REGMAP_F32, 0x7FC00000, QUALITY_INVALID),
    ABSENT(REGMAP_F32, 0xFFFFFFFF, QUALITY_INVALID),
    ABSENT(REGMAP_F32, 0x7F800000, QUALITY_INVALID | QUALITY_OUT_OF_RANGE),
    ABSENT(REGMAP_F32, 0xFF800000, QUALITY_INVALID | QUALITY_OUT_OF_RANGE),
    ABSENT(REGMAP_F32, 0x7F7FFFFF, QUALITY_INVALID),     /* 3.4e38 has no place */
    {REGMAP_F64, 0x40466B851EB851EC, 448, -1, false, 0}, /* 44.84 */
    ABSENT(REGMAP_F64, 0x7FF8000000000000, QUALITY_INVALID),
    ABSENT(REGMAP_F64, 0xFFF0000000000000, QUALITY_INVALID | QUALITY_OUT_OF_RANGE),
    {REGMAP_SFLOAT, 0xF406, 1030, -1, false, 0},
    {REGMAP_SFLOAT, 0x0FFD, -3, 0, false, 0},
    ABSENT(REGMAP_SFLOAT, 0x07FF, 0),
    ABSENT(REGMAP_SFLOAT, 0x0800, QUALITY_INVALID),
    ABSENT(REGMAP_SFLOAT, 0x0801, QUALITY_INVALID),
    ABSENT(REGMAP_SFLOAT, 0x07FE, QUALITY_INVALID | QUALITY_OUT_OF_RANGE),
    ABSENT(REGMAP_SFLOAT, 0x0802, QUALITY_INVALID | QUALITY_OUT_OF_RANGE),
    {REGMAP_FLOAT, 0xFF000406, 1030, -1, false, 0},
    {REGMAP_FLOAT, 0xFEFFFF9C, -100, -2, false, 0},
    {REGMAP_FLOAT, 0x13000005, 50, 18, false, 0}, /* 5e19 */
    {REGMAP_FLOAT, 0x70000000, 0, 18, false, 0},
    ABSENT(REGMAP_FLOAT, 0x7F000005, QUALITY_INVALID),
    ABSENT(REGMAP_FLOAT, 0x80000005, QUALITY_INVALID),
    ABSENT(REGMAP_FLOAT, 0x007FFFFF, 0),
    ABSENT(REGMAP_FLOAT, 0x00800000, QUALITY_INVALID),
    ABSENT(REGMAP_FLOAT, 0x00800001, QUALITY_INVALID),
    ABSENT(REGMAP_FLOAT, 0x007FFFFE, QUALITY_INVALID | QUALITY_OUT_OF_RANGE),
    ABSENT(REGMAP_FLOAT, 0x00800002, QUALITY_INVALID | QUALITY_OUT_OF_RANGE),
    {REGMAP_BCD16, 0x9873, 9873, 0, false, 0},
    ABSENT(REGMAP_BCD16, 0x12A4, QUALITY_INVALID),
    ABSENT(REGMAP_BCD16, 0xFFFF, QUALITY_INVALID),
    {REGMAP_BCD32, 0x12345678, 12345678, 0, false, 0},
    ABSENT(REGMAP_BCD32, 0xB2345678, QUALITY_INVALID),
    {REGMAP_SM16, 0x8064, -100, 0, false, 0},
    {REGMAP_SM16, 0x0064, 100, 0, false, 0},
    {REGMAP_SM16, 0x8000, 0, 0, false, 0},
    {REGMAP_SM16, 0xFFFF, -32767, 0, false, 0},
};

static void check(const struct observation *o, const struct expected *e)
{
    assert_int_equal(o->kind, e->absent ? OBSERVATION_ABSENT : OBSERVATION_NUMERIC);
    assert_true(o->mantissa == e->mantissa);
    assert_int_equal(o->exponent, e->exponent);
    assert_int_equal(o->quality, e->quality);
    assert_int_equal(o->code, 1);
    assert_int_equal(o->unit, 2);
    assert_int_equal(o->site, 3);
    assert_int_equal(o->method, 4);
}

static struct regmap_field field(uint8_t type, uint8_t order)
{
    return (struct regmap_field){.name = "f",
                                 .function = 3,
                                 .address = 7,
                                 .type = type,
                                 .order = order,
                                 .decimals = 1,
                                 .scale = 1,
                                 .code = 1,
                                 .unit = 2,
                                 .site = 3,
                                 .method = 4};
}

/* Each value in each order, plain and then listed as a sentinel. */
static void test_types_orders_sentinels(void **state)
{
    size_t cases = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(values); i++)
        for (uint8_t order = 0; order < 4; order++, cases += 2) {
            struct regmap_field f = field(values[i].type, order);
            size_t size = regmap_span(&f) * SIZE_2;
            uint8_t bytes[8], back[8];
            wire(order, values[i].raw, size, bytes);
            struct observation o = observe(&f, bytes, size);
            check(&o, &values[i]);
            regmap_put(&f, values[i].raw, back);
            assert_memory_equal(back, bytes, size);
            /* The last of six sentinels, so that all of them are looked at. */
            f.sentinel_count = REGMAP_SENTINELS_MAX;
            for (uint8_t s = 0; s < f.sentinel_count; s++)
                f.sentinels[s] = (struct regmap_sentinel){~values[i].raw, 0};
            f.sentinels[5] = (struct regmap_sentinel){values[i].raw, QUALITY_SENSOR_OFF};
            o = observe(&f, bytes, size);
            const struct expected absent = ABSENT(values[i].type, 0, QUALITY_SENSOR_OFF);
            check(&o, &absent);
        }
    printf("values: %zu cases\n", cases);
}

/* Word orders must differ wherever they can: a palindrome in the table would hide a
 * fault. */
static void test_orders_differ(void **state)
{
    const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t types[] = {REGMAP_I32, REGMAP_I64};

    (void)state;
    for (size_t t = 0; t < COUNT(types); t++)
        for (uint8_t a = 0; a < 4; a++)
            for (uint8_t b = 0; b < a; b++) {
                struct regmap_field x = field(types[t], a), y = field(types[t], b);
                assert_true(observe(&x, bytes, regmap_span(&x) * SIZE_2).mantissa !=
                            observe(&y, bytes, regmap_span(&y) * SIZE_2).mantissa);
            }
}

static void test_scales(void **state)
{
    /* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
    static const struct {
        uint8_t type;
        uint64_t raw;
        int64_t scale, offset;
        int8_t scale_exponent;
        struct expected want;
    } cases[] = {
        {REGMAP_U16, 1030, 1, 0, -1, {0, 0, 1030, -1, false, 0}}, /* 103.0 keeps its zero
                                                                   */
        {REGMAP_U16, 4, 25, 0, -2, {0, 0, 100, -2, false, 0}},
        {REGMAP_I16, 0xFF9C, 1, 0, -4, {0, 0, -100, -4, false, 0}},
        {REGMAP_U16, 98, 1, -40, 0, {0, 0, 58, 0, false, 0}},
        {REGMAP_U16, 365, 1, -2732, -1, {0, 0, -2367, -1, false, 0}},
        {REGMAP_U16, 7, 1, 0, 3, {0, 0, 7, 3, false, 0}},
        {REGMAP_U16, 7, -3, 1, 0, {0, 0, -20, 0, false, 0}},
        {REGMAP_F32, 0x42353333, 1, 5, 0, {0, 0, 503, -1, false, 0}},
        {REGMAP_F32, 0x42353333, 2, 0, -1, {0, 0, 906, -2, false, 0}},
        {REGMAP_SFLOAT, 0x1005, 1, 3, -1, {0, 0, 53, -1, false, 0}}, /* 5e1 * 0.1 + 0.3 */
        {REGMAP_I64, 0x8000000000000000, -1, 0, 0, {0, 0, 0, 0, true, QUALITY_INVALID}},
        {REGMAP_I64, INT64_MAX, 2, 0, 0, {0, 0, 0, 0, true, QUALITY_INVALID}},
        {REGMAP_I64, INT64_MAX, 1, 1, 0, {0, 0, 0, 0, true, QUALITY_INVALID}},
        {REGMAP_I64, 0x8000000000000000, 1, -1, -3, {0, 0, 0, 0, true, QUALITY_INVALID}},
        {REGMAP_FLOAT,
         0xF0000005,
         1,
         0,
         -3,
         {0, 0, 0, 0, true, QUALITY_INVALID}}, /* 5e-19
                                                */
        {REGMAP_FLOAT, 0xF000000A, 1, 0, -3, {0, 0, 1, -18, false, 0}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct regmap_field f = field(cases[i].type, REGMAP_ABCD);
        uint8_t bytes[8];
        f.scale = cases[i].scale;
        f.offset = cases[i].offset;
        f.scale_exponent = cases[i].scale_exponent;
        wire(REGMAP_ABCD, cases[i].raw, regmap_span(&f) * SIZE_2, bytes);
        struct observation o = observe(&f, bytes, regmap_span(&f) * SIZE_2);
        check(&o, &cases[i].want);
    }
    printf("scales: %zu cases\n", COUNT(cases));
}

/* Limits flag and never change the value, at and beside each limit. */
static void test_limits(void **state)
{
    struct regmap_field f = field(REGMAP_I16, REGMAP_ABCD);
    size_t flagged = 0;

    (void)state;
    f.scale_exponent = -1;
    f.has_minimum = f.has_maximum = true;
    f.minimum = -50; /* -0.50 .. 1.00 */
    f.maximum = 100;
    f.limit_exponent = -2;
    for (int raw = -20; raw <= 20; raw++) {
        const uint8_t bytes[2] = {(uint8_t)((unsigned)raw >> 8), (uint8_t)raw};
        struct observation o = observe(&f, bytes, 2);
        bool out = raw < -5 || raw > 10;
        assert_int_equal(o.kind, OBSERVATION_NUMERIC);
        assert_int_equal(o.mantissa, raw);
        assert_int_equal(o.quality, out ? QUALITY_OUT_OF_RANGE : 0);
        flagged += out;
    }
    assert_int_equal(flagged, 25);
    f.has_minimum = false;
    assert_int_equal(observe(&f, (const uint8_t[]){0x80, 0}, 2).quality, 0);
    f.has_minimum = true;
    f.has_maximum = false;
    assert_int_equal(observe(&f, (const uint8_t[]){0x7F, 0xFF}, 2).quality, 0);
}

/* Enumerations: the raw values of the map and no others. */
static void test_enums(void **state)
{
    static const struct regmap_enum map[] = {{1, 100001, "closed"}, {2, 100002, "open"}};
    struct regmap_field f = field(REGMAP_U16, REGMAP_ABCD);
    size_t coded = 0;

    (void)state;
    f.values = map;
    f.value_count = COUNT(map);
    for (unsigned raw = 0; raw <= 0xFFFF; raw++) {
        const uint8_t bytes[2] = {(uint8_t)(raw >> 8), (uint8_t)raw};
        struct observation o = observe(&f, bytes, 2);
        if (raw == 1 || raw == 2) {
            assert_int_equal(o.kind, OBSERVATION_CODED);
            assert_int_equal(o.coded, 100000 + raw);
            assert_int_equal(o.quality, 0);
            coded++;
        } else {
            assert_int_equal(o.kind, OBSERVATION_ABSENT);
            assert_int_equal(o.coded, 0);
            assert_int_equal(o.quality, QUALITY_INVALID);
        }
    }
    assert_int_equal(coded, 2);
}

/* Every bit, and every group of bits, of a register. */
static void test_bits(void **state)
{
    static const struct regmap_enum map[] = {{1, 77, "on"}};
    size_t cases = 0;

    (void)state;
    for (uint8_t bit = 0; bit < 16; bit++)
        for (uint8_t width = 1; bit + width <= 16; width++, cases++) {
            struct regmap_field f =
                field(width == 1 ? REGMAP_BIT : REGMAP_BITS, REGMAP_ABCD);
            unsigned value = 0xA53C, want = value >> bit & ((1u << width) - 1);
            const uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};
            f.bit = bit;
            f.bits = width;
            struct observation o = observe(&f, bytes, 2);
            assert_int_equal(o.kind, OBSERVATION_NUMERIC);
            assert_int_equal(o.mantissa, want);
            f.values = map;
            f.value_count = 1;
            o = observe(&f, bytes, 2);
            assert_int_equal(o.kind, want == 1 ? OBSERVATION_CODED : OBSERVATION_ABSENT);
        }
    printf("bits: %zu groups\n", cases);
}

/* Coils come packed; the field may be any bit of a block. */
static void test_coils(void **state)
{
    const uint8_t bytes[4] = {0x01, 0x80, 0x55, 0x03};

    (void)state;
    for (uint16_t at = 0; at < 26; at++) {
        struct regmap_field f = field(REGMAP_BIT, REGMAP_ABCD);
        const struct regmap_block block = {2, 1000, 26};
        struct observation o;
        f.function = 2;
        f.address = (uint16_t)(1000 + at);
        regmap_observe(&f, &block, bytes, &o);
        assert_int_equal(o.mantissa, bytes[at / 8] >> (at % 8) & 1);
    }
}

static void test_text(void **state)
{
    struct regmap_field f = field(REGMAP_TEXT, REGMAP_ABCD);
    struct observation o;
    uint8_t longest[64];

    (void)state;
    f.length = 4;
    o = observe(&f, (const uint8_t *)"WM-0007\0", 8);
    assert_int_equal(o.kind, OBSERVATION_TEXT);
    assert_string_equal(o.text, "WM-0007");
    o = observe(&f, (const uint8_t *)"AB  CD  ", 8);
    assert_string_equal(o.text, "AB  CD");
    o = observe(&f, (const uint8_t *)"AB\0XXXXX", 8);
    assert_string_equal(o.text, "AB");
    o = observe(&f, (const uint8_t *)"        ", 8);
    assert_int_equal(o.kind, OBSERVATION_ABSENT);
    assert_int_equal(o.quality, 0);
    o = observe(&f,
                (const uint8_t *)"AB\x07"
                                 "CDEFG",
                8);
    assert_int_equal(o.kind, OBSERVATION_ABSENT);
    assert_int_equal(o.quality, QUALITY_INVALID);
    assert_string_equal(o.text, "");
    o = observe(&f,
                (const uint8_t *)"AB\xE9"
                                 "CDEFG",
                8);
    assert_int_equal(o.kind, OBSERVATION_ABSENT);
    f.order = REGMAP_BADC;
    o = observe(&f, (const uint8_t *)"MW0-007\0", 8);
    assert_string_equal(o.text, "WM-000"); /* the NUL of "7\0" comes first */
    memset(longest, 'x', sizeof(longest));
    f.order = REGMAP_ABCD;
    f.length = 32;
    o = observe(&f, longest, sizeof(longest));
    assert_int_equal(strlen(o.text), OBSERVATION_TEXT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_orders_sentinels),
        cmocka_unit_test(test_orders_differ),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_enums),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_coils),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
