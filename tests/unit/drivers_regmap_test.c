/* SPDX-License-Identifier: Apache-2.0
 *
 * regmap: plans and the walk over what came back.
 */
#include "drivers_test.h"

#include "drivers/regmap.h"

#define FIELDS_MAX 40

static const struct regmap_field base_fields[] = {
    {.name = "counter",
     .role = REGMAP_SAMPLE,
     .function = 3,
     .address = 0,
     .type = REGMAP_U32,
     .scale = 1},
    {.name = "hr",
     .function = 3,
     .address = 2,
     .type = REGMAP_U16,
     .scale = 1,
     .scale_exponent = -1,
     .code = 147842,
     .unit = 264864},
    {.name = "order",
     .role = REGMAP_SELFTEST,
     .function = 3,
     .address = 3,
     .type = REGMAP_U32,
     .order = REGMAP_CDAB,
     .expect = 0x12345678,
     .scale = 1},
    {.name = "serial",
     .role = REGMAP_IDENTITY,
     .function = 3,
     .address = 20,
     .type = REGMAP_TEXT,
     .length = 3,
     .scale = 1},
    {.name = "version",
     .role = REGMAP_IDENTITY,
     .function = 3,
     .address = 23,
     .type = REGMAP_U16,
     .scale = 1},
};
static const struct regmap base_map = {.name = "base",
                                       .fields = base_fields,
                                       .field_count = COUNT(base_fields)};

static void expect_block(const struct regmap_plan *plan, size_t i, uint8_t function,
                         uint16_t address, uint16_t count)
{
    assert_true(i < plan->count);
    assert_int_equal(plan->blocks[i].function, function);
    assert_int_equal(plan->blocks[i].address, address);
    assert_int_equal(plan->blocks[i].count, count);
}

static void test_plan_holes(void **state)
{
    struct regmap map = base_map;
    struct regmap_plan plan;
    bool due[COUNT(base_fields)] = {false, true, false, false, true};

    (void)state;
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    assert_int_equal(plan.count, 2); /* 0-4 and 20-23: the hole of 15 is larger than 0 */
    expect_block(&plan, 0, 3, 0, 5);
    expect_block(&plan, 1, 3, 20, 4);
    map.hole_max = 14;
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    assert_int_equal(plan.count, 2);
    map.hole_max = 15;
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    assert_int_equal(plan.count, 1);
    expect_block(&plan, 0, 3, 0, 24);
    map.block_max = 23; /* one short: the version moves on, the text is not split */
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    assert_int_equal(plan.count, 2);
    expect_block(&plan, 0, 3, 0, 23);
    expect_block(&plan, 1, 3, 23, 1);
    map.block_max = 22;
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    assert_int_equal(plan.count, 2);
    expect_block(&plan, 0, 3, 0, 5);
    expect_block(&plan, 1, 3, 20, 4);
    map = base_map;
    assert_int_equal(regmap_plan(&map, due, &plan), REGMAP_OK);
    assert_int_equal(plan.count, 2);
    expect_block(&plan, 0, 3, 2, 1);
    expect_block(&plan, 1, 3, 23, 1);
    memset(due, 0, sizeof(due));
    assert_int_equal(regmap_plan(&map, due, &plan), REGMAP_OK);
    assert_int_equal(plan.count, 0);
}

static void test_plan_too_many(void **state)
{
    struct regmap_field fields[REGMAP_BLOCKS_MAX + 1] = {0};
    struct regmap map = {.fields = fields, .field_count = REGMAP_BLOCKS_MAX};
    struct regmap_plan plan;

    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++)
        fields[i] = (struct regmap_field){.name = "x",
                                          .function = 4,
                                          .type = REGMAP_U16,
                                          .address = (uint16_t)(i * 10),
                                          .scale = 1};
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    assert_int_equal(plan.count, REGMAP_BLOCKS_MAX);
    map.field_count++;
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_TOO_MANY_BLOCKS);
}

static void random_map(uint64_t *seed, struct regmap *map, struct regmap_field *fields,
                       bool *due)
{
    static const uint8_t types[] = {REGMAP_U16, REGMAP_U32, REGMAP_F64, REGMAP_TEXT,
                                    REGMAP_BIT};

    memset(map, 0, sizeof(*map));
    map->fields = fields;
    map->field_count = (uint16_t)(1 + draw(seed) % FIELDS_MAX);
    map->hole_max = (uint16_t)(draw(seed) % 20);
    map->block_max = (uint16_t)(draw(seed) % 2 ? 0 : 8 + draw(seed) % 118);
    for (uint16_t i = 0; i < map->field_count; i++) {
        struct regmap_field *f = &fields[i];
        *f = (struct regmap_field){.name = "f", .scale = 1};
        f->function = (uint8_t)(1 + draw(seed) % 4);
        f->type = f->function <= 2 ? REGMAP_BIT : types[draw(seed) % COUNT(types)];
        f->length = (uint8_t)(f->type == REGMAP_TEXT ? 1 + draw(seed) % 8 : 0);
        f->address =
            (uint16_t)(draw(seed) % 8 ? draw(seed) % 300 : 65520 + draw(seed) % 8);
        due[i] = draw(seed) % 4 != 0;
    }
}

/* 20,000 random maps: every due field whole in exactly one block (the first that has it),
 * blocks within the device's limit and the protocol's, ends used, no block without need.
 */
static void test_plan_property(void **state)
{
    struct regmap_field fields[FIELDS_MAX];
    bool due[FIELDS_MAX];
    uint64_t seed = SEED;
    size_t planned = 0, blocks = 0, refused = 0;

    (void)state;
    for (size_t round = 0; round < 20000; round++) {
        struct regmap map;
        struct regmap_plan plan;
        random_map(&seed, &map, fields, due);
        if (regmap_plan(&map, due, &plan) != REGMAP_OK) {
            refused++;
            continue;
        }
        for (size_t b = 0; b < plan.count; b++, blocks++) {
            const struct regmap_block *k = &plan.blocks[b];
            uint32_t limit = k->function <= 2 ? REGMAP_BITS_MAX : REGMAP_REGISTERS_MAX;
            uint32_t device = map.block_max * (k->function <= 2 ? 16u : 1u);
            bool first = false, last = false;
            assert_true(k->count >= 1 && k->count <= limit);
            assert_true(device == 0 || k->count <= device);
            assert_true((uint32_t)k->address + k->count <= 65536);
            for (uint16_t i = 0; i < map.field_count; i++) {
                const struct regmap_field *f = &fields[i];
                if (!due[i] || f->function != k->function)
                    continue;
                first |= f->address == k->address;
                last |= f->address + regmap_span(f) == k->address + k->count;
            }
            assert_true(first && last); /* nothing is read beyond the fields */
        }
        for (uint16_t i = 0; i < map.field_count; i++) {
            size_t whole = 0;
            for (size_t b = 0; b < plan.count; b++)
                whole += plan.blocks[b].function == fields[i].function &&
                         plan.blocks[b].address <= fields[i].address &&
                         fields[i].address + regmap_span(&fields[i]) <=
                             plan.blocks[b].address + plan.blocks[b].count;
            if (due[i])
                assert_true(whole >= 1);
        }
        planned++;
    }
    printf("plan: %zu maps, %zu blocks, %zu with too many, seed %u\n", planned, blocks,
           refused, SEED);
    assert_true(planned > 10000);
}

/* Each field decodes once however many blocks have it: fields may overlap, sets may not.
 */
static void test_decode_once(void **state)
{
    struct regmap_field fields[FIELDS_MAX];
    bool due[FIELDS_MAX];
    static uint8_t bytes[REGMAP_BLOCKS_MAX][256];
    uint64_t seed = SEED + 1;
    size_t decoded = 0;

    (void)state;
    for (size_t round = 0; round < 5000; round++) {
        const uint8_t *data[REGMAP_BLOCKS_MAX];
        struct observation_set set;
        struct regmap_plan plan;
        struct regmap map;
        random_map(&seed, &map, fields, due);
        if (map.field_count > OBSERVATIONS_MAX)
            map.field_count = OBSERVATIONS_MAX;
        if (regmap_plan(&map, NULL, &plan) != REGMAP_OK)
            continue;
        for (size_t b = 0; b < plan.count; b++)
            data[b] = bytes[b];
        assert_int_equal(regmap_decode(&map, &plan, data, &set, NULL), REGMAP_OK);
        assert_int_equal(set.count, map.field_count);
        decoded++;
    }
    printf("decode: %zu maps, each field once\n", decoded);
}

static const uint8_t good_low[] = {0xFF, 0xFF, 0xFF, 0xFE, 0x04,
                                   0x06, 0x56, 0x78, 0x12, 0x34};
static const uint8_t good_high[] = {'W', 'M', '-', '7', 0, 0, 0, 3};

static void test_roles(void **state)
{
    const uint8_t *data[REGMAP_BLOCKS_MAX] = {good_low, good_high};
    const struct regmap_field *field = NULL;
    struct observation_set set;
    struct regmap_plan plan;
    char identity[64];

    (void)state;
    assert_int_equal(regmap_plan(&base_map, NULL, &plan), REGMAP_OK);
    assert_int_equal(regmap_decode(&base_map, &plan, data, &set, &field), REGMAP_OK);
    assert_int_equal(set.count, 1);
    assert_true(set.items[0].mantissa == 1030 && set.items[0].exponent == -1);
    assert_int_equal(set.items[0].code, 147842);
    assert_true(set.has_sample && set.sample == 4294967294);
    assert_int_equal(regmap_identity(&base_map, &plan, data, identity, sizeof(identity)),
                     strlen("serial=WM-7 version=3"));
    assert_string_equal(identity, "serial=WM-7 version=3");
    assert_int_equal(regmap_identity_check(&base_map, &plan, data, identity), REGMAP_OK);
    assert_int_equal(regmap_identity_check(&base_map, &plan, data, ""), REGMAP_OK);
    assert_int_equal(regmap_identity_check(&base_map, &plan, data, NULL), REGMAP_OK);
    assert_int_equal(regmap_identity_check(&base_map, &plan, data,
                                           "serial=WM-8 version=3"),
                     REGMAP_IDENTITY_DIFFERS);
    /* A block that was not read says nothing: not the value, not the identity. */
    data[1] = NULL;
    assert_int_equal(regmap_identity(&base_map, &plan, data, identity, sizeof(identity)),
                     0);
    assert_int_equal(regmap_identity_check(&base_map, &plan, data, "anything"),
                     REGMAP_OK);
    data[0] = NULL;
    assert_int_equal(regmap_decode(&base_map, &plan, data, &set, &field), REGMAP_OK);
    assert_true(set.count == 0 && !set.has_sample);
}

static void test_identity_sizes(void **state)
{
    const uint8_t *data[REGMAP_BLOCKS_MAX] = {good_low, good_high};
    static const char full[] = "serial=WM-7 version=3";
    struct regmap_plan plan;

    (void)state;
    regmap_plan(&base_map, NULL, &plan);
    for (size_t size = 1; size < sizeof(full) + 2; size++) {
        char *out = malloc(size);
        assert_non_null(out);
        size_t n = regmap_identity(&base_map, &plan, data, out, size);
        assert_true(n < size && strlen(out) == n && strncmp(out, full, n) == 0);
        free(out);
    }
}

/* A wrong word order gives no value at all. */
static void test_selftest(void **state)
{
    uint8_t low[sizeof(good_low)];
    const uint8_t *data[REGMAP_BLOCKS_MAX] = {low, good_high};
    const struct regmap_field *field = NULL;
    struct observation_set set;
    struct regmap_plan plan;

    (void)state;
    regmap_plan(&base_map, NULL, &plan);
    for (size_t bit = 48; bit < sizeof(low) * 8; bit++) {
        memcpy(low, good_low, sizeof(low));
        low[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(regmap_decode(&base_map, &plan, data, &set, &field),
                         REGMAP_SELFTEST_FAILED);
        assert_string_equal(field->name, "order");
        assert_true(set.count == 0 && !set.has_sample);
    }
}

static void test_decode_errors(void **state)
{
    struct regmap_field fields[OBSERVATIONS_MAX + 1] = {0};
    struct regmap map = {.fields = fields, .field_count = COUNT(fields)};
    static const uint8_t bytes[256];
    const uint8_t *data[REGMAP_BLOCKS_MAX] = {bytes};
    struct observation_set set;
    struct regmap_plan plan;

    (void)state;
    for (size_t i = 0; i < COUNT(fields); i++)
        fields[i] = (struct regmap_field){.name = "x",
                                          .function = 3,
                                          .type = REGMAP_U16,
                                          .address = (uint16_t)i,
                                          .scale = 1};
    assert_int_equal(regmap_plan(&map, NULL, &plan), REGMAP_OK);
    assert_int_equal(regmap_decode(&map, &plan, NULL, &set, NULL), REGMAP_SHORT);
    assert_int_equal(regmap_decode(&map, &plan, data, &set, NULL),
                     REGMAP_TOO_MANY_OBSERVATIONS);
    assert_int_equal(set.count, 0);
    plan.count = REGMAP_BLOCKS_MAX + 1;
    assert_int_equal(regmap_decode(&map, &plan, data, &set, NULL), REGMAP_SHORT);
}

/* The compiled profiles: found by name, with a plan and sane timing. */
static void test_compiled(void **state)
{
    size_t n = 0;

    (void)state;
    for (const struct regmap *m; (m = regmap_at(n)) != NULL; n++) {
        struct regmap_plan plan;
        assert_ptr_equal(regmap_by_name(m->name), m);
        assert_int_equal(regmap_plan(m, NULL, &plan), REGMAP_OK);
        assert_true(m->every_ms >= 10 && m->response_ms > 0 && m->field_count > 0);
    }
    assert_null(regmap_at(n));
    assert_null(regmap_by_name("no-such-device"));
    assert_non_null(regmap_by_name("wardgate-monitor"));
    assert_true(regmap_by_name("vaisala-hmp110")->stable);
    assert_false(regmap_by_name("tsi-rpc30")->stable);
    printf("compiled profiles: %zu\n", n);
    assert_true(n >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan_holes),    cmocka_unit_test(test_plan_too_many),
        cmocka_unit_test(test_plan_property), cmocka_unit_test(test_decode_once),
        cmocka_unit_test(test_roles),         cmocka_unit_test(test_identity_sizes),
        cmocka_unit_test(test_selftest),      cmocka_unit_test(test_decode_errors),
        cmocka_unit_test(test_compiled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
