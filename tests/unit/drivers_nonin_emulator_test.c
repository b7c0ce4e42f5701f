/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated oximeter against the drivers, with and without its faults, for hours of
 * its time.
 */
#include "drivers_test.h"

#include "drivers/emulate/nonin.h"

static const struct {
    const char *name;
    uint8_t format;
} formats[] = {{"nonin-df2", 2}, {"nonin-df7", 7}, {"nonin-df8", 8}};

/* Runs the emulator for `seconds` and feeds the driver whatever it said. */
static void run(struct nonin_emulator *e, struct rig *rig, uint64_t *now_us,
                uint64_t seconds)
{
    uint64_t end = *now_us + seconds * 1000000;

    while (*now_us < end) {
        struct emulate_output out = {0};
        uint64_t again;
        nonin_emulator_tick(e, *now_us, &out, &again);
        for (size_t i = 0; i < out.count; i++) {
            assert_true(out.bursts[i].due_us <= *now_us);
            rig_feed(rig, out.bursts[i].bytes, out.bursts[i].size);
        }
        assert_true(again > *now_us || out.count == EMULATE_BURSTS_MAX);
        *now_us = again > *now_us ? again : *now_us;
    }
}

static void test_clean(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(formats); f++) {
        struct nonin_emulator e;
        struct rig rig;
        uint64_t now = 5000000, seed = SEED;
        size_t sets = 0;
        rig_start(&rig, formats[f].name);
        nonin_emulator_init(&e, formats[f].format, now);
        for (size_t i = 0; i < 200; i++) {
            struct nonin_values v = {.pulse = (int16_t)(30 + draw(&seed) % 250),
                                     .spo2 = (int16_t)(50 + draw(&seed) % 51),
                                     .smartpoint = true};
            if (i % 10 == 3)
                v.pulse = v.spo2 = NONIN_MISSING;
            nonin_emulator_set(&e, &v);
            memset(&rig.kept, 0, sizeof(rig.kept));
            run(&e, &rig, &now, 6);
            assert_in_range(rig.kept.sets, 5, 7);
            assert_int_equal(rig.kept.bytes, 0);
            assert_nonin(&rig.kept.set[rig.kept.sets - 1], v.pulse, v.spo2, 0);
            sets += rig.kept.sets;
        }
        assert_in_range(sets, 1195, 1205); /* one a second, over 1,200 s */
        rig_end(&rig);
    }
}

static void test_marks(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT(formats); f++)
        for (unsigned bits = 0; bits < 16; bits++) {
            struct nonin_emulator e;
            struct rig rig;
            uint64_t now = 0;
            const struct nonin_values v = {.pulse = 72,
                                           .spo2 = 97,
                                           .sensor_alarm = bits & 1,
                                           .artefact = bits & 2,
                                           .out_of_track = bits & 4,
                                           .low_perfusion = bits & 8};
            unsigned want = (bits & 1 ? QUALITY_SENSOR_OFF : 0u) |
                            (bits & 14 ? QUALITY_QUESTIONABLE : 0u);
            rig_start(&rig, formats[f].name);
            nonin_emulator_init(&e, formats[f].format, now);
            nonin_emulator_set(&e, &v);
            run(&e, &rig, &now, 5);
            assert_true(rig.kept.sets >= 3);
            assert_nonin(&rig.kept.set[2], bits & 1 ? -1 : 72, bits & 1 ? -1 : 97, want);
            rig_end(&rig);
        }
}

/* One fault a burst, of every kind: what is given is right. Format 8 has no check: what
 * it gives is within its step. */
static void test_faults(void **state)
{
    size_t faults = 0, sets = 0;

    (void)state;
    for (size_t f = 0; f < COUNT(formats); f++)
        for (unsigned kind = NONIN_FAULT_GARBAGE; kind <= NONIN_FAULT_SILENT; kind++) {
            struct nonin_fault script[60];
            struct nonin_emulator e;
            struct rig rig;
            uint64_t now = 0, seed = SEED + kind;
            for (size_t i = 0; i < COUNT(script); i++)
                script[i] = (struct nonin_fault){1 + draw(&seed) % 180, (uint8_t)kind,
                                                 (uint32_t)draw(&seed) % 4000};
            rig_start(&rig, formats[f].name);
            nonin_emulator_init(&e, formats[f].format, now);
            nonin_emulator_set(&e, &(struct nonin_values){.pulse = 72, .spo2 = 97});
            e.faults = script;
            e.fault_count = COUNT(script);
            run(&e, &rig, &now, formats[f].format == 8 ? 180 : 60);
            assert_true(rig.kept.sets >= 20);
            for (size_t i = 0; i < rig.kept.sets && i < KEPT_MAX; i++) {
                const struct observation *o = rig.kept.set[i].items;
                int step = formats[f].format == 8 ? 8 : 0;
                if (o[0].kind == OBSERVATION_NUMERIC)
                    assert_in_range(o[0].mantissa, 72 - step, 72 + step);
                if (o[1].kind == OBSERVATION_NUMERIC)
                    assert_in_range(o[1].mantissa, 97 - step, 97 + step);
                if (step == 0)
                    assert_int_equal(o[0].kind, OBSERVATION_NUMERIC);
            }
            faults += COUNT(script);
            sets += rig.kept.sets;
            rig_end(&rig);
        }
    printf("nonin emulator: %zu faults, %zu sets, seed %u\n", faults, sets, SEED);
}

static void test_df13(void **state)
{
    struct nonin_emulator e;
    struct rig rig;
    uint64_t again;

    (void)state;
    rig_start(&rig, "nonin-df13");
    nonin_emulator_init(&e, 13, 0);
    for (size_t i = 0; i < 40; i++) {
        struct emulate_output out = {0};
        const struct nonin_values v = {.pulse = (int16_t)(60 + i),
                                       .spo2 = 95,
                                       .smartpoint = i % 3 != 0,
                                       .from_memory = i % 2,
                                       .no_measurement = i % 7 == 6,
                                       .time = {2026, 2, (uint8_t)(1 + i % 28), 23, 59,
                                                58, true}};
        memset(&rig.kept, 0, sizeof(rig.kept));
        nonin_emulator_tick(&e, i * 1000, &out, &again);
        assert_int_equal(out.count, 0);
        assert_true(again == UINT64_MAX);
        nonin_emulator_measure(&e, &v);
        nonin_emulator_tick(&e, i * 1000, &out, &again);
        assert_int_equal(out.count, 1);
        assert_true(out.bursts[0].due_us == i * 1000);
        rig_feed(&rig, out.bursts[0].bytes, out.bursts[0].size);
        assert_int_equal(rig.kept.sets, 1);
        assert_nonin(&rig.kept.set[0], v.no_measurement ? -1 : v.pulse,
                     v.no_measurement ? -1 : 95,
                     v.smartpoint || v.no_measurement ? 0 : QUALITY_QUESTIONABLE);
        assert_int_equal(rig.kept.set[0].stored, v.from_memory);
        assert_memory_equal(&rig.kept.set[0].device_time, &v.time, sizeof(v.time));
    }
    rig_end(&rig);
}

/* The driver's own poll selects the format; nothing else is answered. */
static void test_select(void **state)
{
    static const uint8_t set_time[] = {0x02, 0x72, 6, 26, 7, 22, 14, 5, 9, 0x03};
    static const uint8_t unknown[] = {0x02, 0x70, 0x02, 0x02, 0x09, 0x03};

    (void)state;
    for (size_t f = 0; f < COUNT(formats); f++) {
        struct nonin_emulator e;
        struct emulate_output out = {0};
        struct rig rig;
        uint8_t request[DRIVER_SEND_MAX];
        uint64_t again, now = 0;
        rig_start(&rig, formats[f].name);
        nonin_emulator_init(&e, 13, 0);
        size_t n = rig.driver->poll(rig.state, 0, request, &again);
        for (size_t i = 0; i < n; i++)
            nonin_emulator_feed(&e, request + i, 1, 50, &out);
        assert_int_equal(e.selected, 1);
        assert_int_equal(e.format, formats[f].format);
        assert_int_equal(out.count, 1);
        assert_int_equal(out.bursts[0].bytes[0], 0x06);
        assert_true(out.bursts[0].due_us > 50);
        rig_feed(&rig, out.bursts[0].bytes, 1);
        nonin_emulator_set(&e, &(struct nonin_values){.pulse = 72, .spo2 = 97});
        run(&e, &rig, &now, 4);
        assert_true(rig.kept.sets >= 2);
        assert_int_equal(rig.kept.bytes, 0);
        out.count = 0;
        nonin_emulator_feed(&e, set_time, sizeof(set_time), 60, &out);
        assert_int_equal(e.refused, 1);
        assert_int_equal(out.count, 0);
        nonin_emulator_feed(&e, unknown, sizeof(unknown), 60, &out);
        assert_int_equal(out.bursts[0].bytes[0], 0x15);
        assert_int_equal(e.format, formats[f].format);
        rig_end(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),  cmocka_unit_test(test_marks),
        cmocka_unit_test(test_faults), cmocka_unit_test(test_df13),
        cmocka_unit_test(test_select),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
