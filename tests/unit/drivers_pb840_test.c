/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Puritan Bennett and its driver: digits as they were shown, empty fields,
 * values that change with each breath, and an answer in another layout.
 */
#include "drivers_emulated.h"

#include "drivers/decimal.h"
#include "drivers/emulate/pb840.h"
#include "drivers/pb840.h"

static const struct {
    unsigned field;
    uint32_t code, unit;
} fields[] = {
    {70, 151586, 264928},   {71, 151980, 263744}, {72, 152008, 265216},
    {73, 151973, 266048},   {87, 151976, 266048}, {94, 152424, 266048},
    {14, 16929196, 263744},
};

static void start(struct emulated *line, struct pb840_emulator *device)
{
    pb840_emulator_init(device, 0);
    emulated_start(line, "pb840", &pb840_line_emulator, device);
}

/* Every field with every kind of text that a ventilator shows; the others empty. */
static void test_values(void **state)
{
    static const struct {
        const char *text;
        bool has;
        unsigned quality;
    } texts[] = {
        {"14.0", true, 0},
        {"0.378", true, 0},
        {"5.29", true, 0},
        {"12", true, 0},
        {"", false, 0},
        {"OFF", false, 0},
        {"999", false, QUALITY_INVALID},
    };
    struct pb840_emulator device;
    struct emulated line;

    (void)state;
    for (size_t f = 0; f < COUNT(fields); f++)
        for (size_t t = 0; t < COUNT(texts); t++) {
            bool litres = fields[f].unit == 263744, large = texts[t].text[0] == '1';
            struct decimal want = {0, 0};
            start(&line, &device);
            assert_int_equal(pb840_emulator_set(&device, fields[f].field, texts[t].text),
                             0);
            emulated_pass(&line, 2 * SECOND_US);
            const struct observation *o = emulated_find(&line, fields[f].code, 0, 0);
            if (litres && large) {
                assert_absent(o, QUALITY_INVALID); /* twelve litres */
            } else if (texts[t].has) {
                assert_int_equal(decimal_parse(texts[t].text, &want), DECIMAL_OK);
                assert_number(o, want.mantissa, want.exponent, fields[f].unit, 0);
            } else {
                assert_absent(o, texts[t].quality);
            }
            for (size_t other = 0; other < COUNT(fields); other++)
                if (other != f)
                    assert_absent(emulated_find(&line, fields[other].code, 0, 0), 0);
            assert_int_equal(line.rig.kept.bytes, 0);
            assert_int_equal(device.refused, 0);
            emulated_end(&line);
        }
}

/* A breath's values come with its second answer, and never mixed with another's. */
static void test_breaths(void **state)
{
    struct pb840_emulator device;
    struct emulated line;
    char text[8];

    (void)state;
    start(&line, &device);
    for (unsigned breath = 0; breath < 50; breath++) {
        snprintf(text, sizeof(text), "0.%03u", 300 + breath * 7);
        assert_int_equal(pb840_emulator_set(&device, 71, text), 0);
        emulated_forget(&line);
        emulated_pass(&line, 2 * SECOND_US);
        assert_number(emulated_find(&line, 151980, 0, 0), 300 + breath * 7, -3, 263744,
                      0);
        for (size_t s = 0; s < line.rig.kept.sets; s++) {
            const struct observation *o = &line.rig.kept.set[s].items[1];
            if (o->kind == OBSERVATION_NUMERIC)
                assert_true(o->mantissa == 300 + breath * 7 ||
                            (s == 0 && o->mantissa == 300 + (breath - 1) * 7));
        }
    }
    assert_true(device.answers > 150);
    emulated_end(&line);
}

/* One bit wrong anywhere in an answer, among good ones: no other number. */
static void test_flips(void **state)
{
    struct pb840_emulator device;
    struct emulated line;
    size_t tried = 0;

    (void)state;
    for (uint32_t bit = 1; bit <= 1244 * 8; bit += 7) {
        start(&line, &device);
        for (size_t f = 0; f < COUNT(fields); f++)
            assert_int_equal(pb840_emulator_set(&device, fields[f].field, "4.25"), 0);
        emulated_pass(&line, SECOND_US);
        device.flip = bit;
        emulated_pass(&line, SECOND_US);
        tried += device.flip == 0;
        for (size_t s = 0; s < line.rig.kept.sets && s < KEPT_MAX; s++)
            for (size_t i = 0; i < line.rig.kept.set[s].count; i++) {
                const struct observation *o = &line.rig.kept.set[s].items[i];
                if (o->kind == OBSERVATION_NUMERIC)
                    assert_true(o->mantissa == 425 && o->exponent == -2);
            }
        emulated_end(&line);
    }
    assert_true(tried > 1400);
    printf("pb840: %zu flips, no other number\n", tried);
}

/* The layout of the other protocol, a field too long, a letter in a number. */
static void test_other_layouts(void **state)
{
    struct pb840_emulator device;
    struct emulate_output out;
    struct rig rig;

    (void)state;
    rig_start(&rig, "pb840");
    pb840_emulator_init(&device, 0);
    assert_int_equal(pb840_emulator_set(&device, 71, "0.3780000"), EMULATE_RANGE);
    assert_int_equal(pb840_emulator_set(&device, 4, "1"), EMULATE_NO_FIELD);
    assert_int_equal(pb840_emulator_set(&device, 174, "1"), EMULATE_NO_FIELD);
    for (unsigned wrong = 0; wrong < 3; wrong++) {
        out.count = 0;
        assert_int_equal(pb840_emulator_set(&device, 71, wrong == 2 ? "0.3a8" : "0.378"),
                         0);
        pb840_emulator_feed(&device, (const uint8_t *)"SNDF\r", 5, 0, &out);
        assert_in_range(out.count, 3, 6);
        if (wrong == 0)
            memcpy(out.bursts[0].bytes + 6, "1229", 4);
        if (wrong == 1)
            out.bursts[1].bytes[100] = 0x03;
        rig_reset(&rig);
        for (size_t times = 0; times < 3; times++)
            for (size_t b = 0; b < out.count; b++)
                rig_feed(&rig, out.bursts[b].bytes, out.bursts[b].size);
        assert_int_equal(rig.kept.sets, 0);
        assert_true(rig.kept.bytes > 0);
    }
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_breaths),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_other_layouts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
