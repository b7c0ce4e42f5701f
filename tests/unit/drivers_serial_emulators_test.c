/* SPDX-License-Identifier: Apache-2.0
 *
 * Values into the emulated oximeters and the Ivy, bytes to their drivers, the same values
 * out, digit for digit; and with any one bit wrong, the right value or none, as far as a
 * format without a check can say.
 */
#include "drivers_test.h"

#include "drivers/emulate/ivy.h"
#include "drivers/emulate/oximeter.h"

#define SECOND_US UINT64_C(1000000)

/* How far a number may be off after one flipped bit: 0 where two frames must be equal. */
static const struct kind {
    const char *driver;
    enum oximeter_kind kind;
    unsigned seconds; /* until there is a set */
    int pulse_step, spo2_step;
    bool perfusion;
} kinds[] = {
    {"contec-v7", OXIMETER_CONTEC_V7, 3, 0, 0, true},
    {"contec-5byte", OXIMETER_CONTEC_5BYTE, 3, 0, 0, false},
    {"nonin-8500", OXIMETER_NONIN_8500, 4, 8, 3, false},
    {"nellcor-n595", OXIMETER_NELLCOR_N595, 8, 8, 3, false},
    {"masimo-ascii1", OXIMETER_MASIMO_ASCII1, 4, 8, 3, false},
};

/* Time passes by tenths of a second; what the device says is fed to the driver, and what
 * the driver asks to the device. */
static void pass(struct rig *rig, const struct emulator *emulator, void *device,
                 uint64_t from_us, uint64_t until_us)
{
    uint64_t again_ms = from_us / 1000, again_us = 0;

    for (uint64_t now = from_us; now < until_us; now += SECOND_US / 10) {
        struct emulate_output out = {.count = 0};
        if (rig->driver->poll != NULL && again_ms * 1000 <= now) {
            uint8_t request[DRIVER_SEND_MAX];
            size_t n = rig->driver->poll(rig->state, now / 1000, request, &again_ms);
            assert_true(n == 0 || rig->driver->may_send(request, n));
            emulator->feed(device, request, n, now, &out);
        }
        do {
            out.count = 0;
            emulator->tick(device, now, &out, &again_us);
            for (size_t i = 0; i < out.count; i++) {
                assert_true(out.bursts[i].due_us <= now);
                rig_feed(rig, out.bursts[i].bytes, out.bursts[i].size);
            }
        } while (again_us <= now);
    }
}

static void assert_value(const struct observation *o, int want)
{
    assert_int_equal(o->kind, want < 0 ? OBSERVATION_ABSENT : OBSERVATION_NUMERIC);
    assert_int_equal(o->mantissa, want < 0 ? 0 : want);
}

static void round_trip(struct rig *rig, const struct kind *k, int16_t pulse, int16_t spo2,
                       int16_t perfusion)
{
    struct oximeter_emulator device;

    rig_reset(rig);
    oximeter_emulator_init(&device, k->kind, 0);
    device.values = (struct oximeter_values){pulse, spo2, perfusion, false, false};
    pass(rig, &oximeter_line_emulator, &device, 0, k->seconds * SECOND_US);
    assert_in_range(rig->kept.sets, 1, KEPT_MAX);
    assert_int_equal(rig->kept.bytes, 0);
    assert_int_equal(device.refused, 0);
    const struct observation_set *set = &rig->kept.set[rig->kept.sets - 1];
    assert_int_equal(set->count, k->perfusion ? 3 : 2);
    assert_value(&set->items[0], pulse);
    assert_value(&set->items[1], spo2);
    if (k->perfusion) {
        assert_value(&set->items[2], perfusion);
        assert_int_equal(set->items[2].exponent, perfusion < 0 ? 0 : -2);
    }
    for (size_t i = 0; i < set->count; i++)
        assert_int_equal(set->items[i].quality, 0);
}

static void test_round_trip(void **state)
{
    struct rig rig;
    size_t trips = 0;

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        rig_start(&rig, kinds[k].driver);
        for (int16_t n = 30; n <= 250; n++, trips++)
            round_trip(&rig, &kinds[k], n, (int16_t)(n % 100 + 1), (int16_t)(n * 8));
        round_trip(&rig, &kinds[k], OXIMETER_MISSING, 97, 0);
        round_trip(&rig, &kinds[k], 72, OXIMETER_MISSING, OXIMETER_MISSING);
        round_trip(&rig, &kinds[k], OXIMETER_MISSING, OXIMETER_MISSING, 2200);
        rig_end(&rig);
    }
    printf("%zu pairs of values, each the same at the other end\n", trips);
}

/* The next n bursts, one at a time. */
static void feed_bursts(struct rig *rig, struct oximeter_emulator *device, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct emulate_output out = {.count = 0};
        uint64_t again;
        oximeter_emulator_tick(device, device->next_us, &out, &again);
        assert_int_equal(out.count, 1);
        rig_feed(rig, out.bursts[0].bytes, out.bursts[0].size);
    }
}

/* One flip after `before` good bursts, and good ones behind it. False if a burst has no
 * such bit. Counts the numbers that are not those of the device. */
static bool flip(struct rig *rig, const struct kind *k, uint32_t bit, size_t before,
                 size_t *off)
{
    static const uint8_t start[] = {0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    const int want[3] = {72, 97, 235}, steps[3] = {k->pulse_step, k->spo2_step, 0};
    struct oximeter_emulator device;

    rig_reset(rig);
    oximeter_emulator_init(&device, k->kind, 0);
    if (k->kind == OXIMETER_CONTEC_V7)
        oximeter_emulator_feed(&device, start, sizeof(start), 0, NULL);
    device.values = (struct oximeter_values){72, 97, 235, false, false};
    feed_bursts(rig, &device, before);
    device.flip = bit;
    feed_bursts(rig, &device, 1);
    if (device.flip != 0)
        return false;
    feed_bursts(rig, &device, before + 4);
    assert_in_range(rig->kept.sets, 1, KEPT_MAX);
    for (size_t s = 0; s < rig->kept.sets; s++)
        for (size_t i = 0; i < rig->kept.set[s].count && i < COUNT(want); i++) {
            const struct observation *o = &rig->kept.set[s].items[i];
            if (o->kind != OBSERVATION_NUMERIC)
                continue;
            assert_in_range(o->mantissa + 100, 100 + want[i] - steps[i],
                            100 + want[i] + steps[i]);
            *off += o->mantissa != want[i];
        }
    return true;
}

/* Every bit of a burst, in each of those on which a set hangs. */
static void test_flips(void **state)
{
    struct rig rig;

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        bool binary = kinds[k].pulse_step == 0;
        size_t off = 0, tried = 0;
        rig_start(&rig, kinds[k].driver);
        for (size_t before = binary ? 57 : 1; before <= (binary ? 61 : 3); before++)
            for (uint32_t bit = 1; flip(&rig, &kinds[k], bit, before, &off); bit++)
                tried++;
        rig_end(&rig);
        assert_true(tried >= 120);
        printf("%s: %zu flips, %zu values within the step and wrong\n", kinds[k].driver,
               tried, off);
    }
}

/* Marks of the device: no finger is no value anywhere, and searching is doubt. */
static void test_marks(void **state)
{
    struct rig rig;

    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++)
        for (int searching = 0; searching < 2; searching++) {
            struct oximeter_emulator device;
            bool says = !searching || kinds[k].kind != OXIMETER_NONIN_8500;
            rig_start(&rig, kinds[k].driver);
            oximeter_emulator_init(&device, kinds[k].kind, 0);
            device.values = (struct oximeter_values){72, 97, 235, !searching, searching};
            pass(&rig, &oximeter_line_emulator, &device, 0, kinds[k].seconds * SECOND_US);
            assert_in_range(rig.kept.sets, 1, KEPT_MAX);
            for (size_t i = 0; i < rig.kept.set[rig.kept.sets - 1].count; i++) {
                const struct observation *o = &rig.kept.set[rig.kept.sets - 1].items[i];
                if (!searching)
                    assert_int_equal(o->kind, OBSERVATION_ABSENT);
                else
                    assert_int_equal(o->quality, says ? QUALITY_QUESTIONABLE : 0);
            }
            rig_end(&rig);
        }
}

/* The V7 talks when asked, goes on while it is told that somebody listens, and stops. */
static void test_v7_session(void **state)
{
    static const uint8_t start[] = {0x7D, 0x81, 0xA1, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80};
    static const uint8_t set_time[] = {0x7D, 0x81, 0xB1, 0x80, 0x80,
                                       0x80, 0x80, 0x80, 0x80};
    static const uint8_t refusal[] = {0x0B, 0x81, 0xB1, 0x85};
    struct emulate_output out = {.count = 0};
    struct oximeter_emulator device;
    uint64_t again = 0;
    struct rig rig;

    (void)state;
    oximeter_emulator_init(&device, OXIMETER_CONTEC_V7, 0);
    oximeter_emulator_tick(&device, 60 * SECOND_US, &out, &again);
    assert_int_equal(out.count, 0);
    assert_true(again == UINT64_MAX);
    oximeter_emulator_feed(&device, set_time, sizeof(set_time), 0, &out);
    assert_int_equal(out.count, 1);
    assert_int_equal(out.bursts[0].size, sizeof(refusal));
    assert_memory_equal(out.bursts[0].bytes, refusal, sizeof(refusal));
    assert_int_equal(device.refused, 1);
    for (size_t i = 0; i < sizeof(start); i++)
        oximeter_emulator_feed(&device, start + i, 1, 0, &out);
    assert_int_equal(device.started, 1);
    do {
        out.count = 0;
        oximeter_emulator_tick(&device, 3600 * SECOND_US, &out, &again);
    } while (out.count > 0);
    assert_in_range(device.bursts, 599, 600); /* ten seconds, untold */
    assert_true(again == UINT64_MAX);

    rig_start(&rig, "contec-v7");
    oximeter_emulator_init(&device, OXIMETER_CONTEC_V7, 0);
    pass(&rig, &oximeter_line_emulator, &device, 0, 60 * SECOND_US);
    assert_int_equal(device.started, 1);
    assert_in_range(device.told, 11, 13);
    assert_in_range(device.bursts, 3590, 3600);
    rig_end(&rig);
}

/* --- Ivy --- */

static const uint32_t ivy_codes[IVY_VALUES] = {
    [IVY_HR] = 147842,     [IVY_RR] = 151562,         [IVY_SPO2] = 150456,
    [IVY_PULSE] = 149530,  [IVY_SYS] = 150021,        [IVY_DIA] = 150022,
    [IVY_MEAN] = 150023,   [IVY_CUFF_PULSE] = 149546, [IVY_P1_SYS] = 150017,
    [IVY_P1_DIA] = 150018, [IVY_P1_MEAN] = 150019,
};

static const struct observation *ivy_find(const struct observation_set *set, size_t value)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].code == ivy_codes[value])
            return &set->items[i];
    fail_msg("no observation %u", ivy_codes[value]);
    return NULL;
}

/* The recording's values, and each of them missing, and the arterial line below zero. */
static const int16_t ivy_values[IVY_VALUES] = {80, 35, 100, 80, 121, 75,
                                               92, 80, 111, 73, 88};

static void test_ivy_round_trip(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "ivy-ansar-b");
    for (size_t missing = 0; missing <= IVY_VALUES + 1; missing++) {
        struct ivy_emulator device;
        rig_reset(&rig);
        ivy_emulator_init(&device, 0);
        memcpy(device.values, ivy_values, sizeof(ivy_values));
        if (missing < IVY_VALUES)
            device.values[missing] = IVY_MISSING;
        if (missing == IVY_VALUES)
            device.values[IVY_P1_DIA] = -7;
        pass(&rig, &ivy_line_emulator, &device, 0, 3 * SECOND_US);
        assert_int_equal(rig.kept.sets, 3);
        assert_int_equal(rig.kept.bytes, 0);
        for (size_t i = 0; i < IVY_VALUES; i++) {
            const struct observation *o = ivy_find(&rig.kept.set[2], i);
            bool absent = device.values[i] == IVY_MISSING;
            assert_int_equal(o->kind, absent ? OBSERVATION_ABSENT : OBSERVATION_NUMERIC);
            assert_true(o->mantissa == (absent ? 0 : device.values[i]));
            assert_int_equal(o->quality, 0);
        }
    }
    rig_end(&rig);
}

static void test_ivy_flips(void **state)
{
    size_t off = 0;
    struct rig rig;

    (void)state;
    rig_start(&rig, "ivy-ansar-b");
    for (uint32_t bit = 1; bit <= IVY_MESSAGE_MAX * 8; bit++) {
        struct ivy_emulator device;
        rig_reset(&rig);
        ivy_emulator_init(&device, 0);
        memcpy(device.values, ivy_values, sizeof(ivy_values));
        pass(&rig, &ivy_line_emulator, &device, 0, SECOND_US);
        device.flip = bit;
        pass(&rig, &ivy_line_emulator, &device, SECOND_US, 5 * SECOND_US);
        for (size_t s = 0; s < rig.kept.sets; s++)
            for (size_t i = 0; i < IVY_VALUES; i++) {
                const struct observation *o = ivy_find(&rig.kept.set[s], i);
                int64_t apart = o->mantissa - ivy_values[i];
                if (o->kind != OBSERVATION_NUMERIC)
                    continue;
                assert_true(apart >= -8 && apart <= 8);
                assert_true(i != IVY_SPO2 || (apart >= -3 && apart <= 3));
                off += apart != 0;
            }
    }
    rig_end(&rig);
    printf("ivy-ansar-b: %zu values within the step and wrong\n", off);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_flips),
        cmocka_unit_test(test_marks),          cmocka_unit_test(test_v7_session),
        cmocka_unit_test(test_ivy_round_trip), cmocka_unit_test(test_ivy_flips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
