/* SPDX-License-Identifier: Apache-2.0
 *
 * Series 50: the emulated fetal monitor's values come out as they went in, whose they
 * are, and never as somebody else's; how the monitor is asked; what says nothing.
 */
#include "drivers_emulated.h"

#include "drivers/emulate/series50.h"
#include "drivers/series50.h"

#define BPM 264864
#define F   OBSERVATION_OF_FETUS
#define M   OBSERVATION_OF_PATIENT

/* One fetus by ultrasound, the mother by ECG, an external transducer. */
static void start(struct emulated *line, struct series50_emulator *device)
{
    series50_emulator_init(device, 0);
    device->channels[0] = (struct series50_channel){560, 2, 1, false};
    device->channels[2] = (struct series50_channel){336, 2, 3, false};
    device->activity = 25;
    device->activity_mode = 4;
    emulated_start(line, "series50", &series50_line_emulator, device);
}

/* Every rate and every half of activity that can be shown. */
static void test_values(void **state)
{
    struct series50_emulator device;
    struct emulated line;
    size_t trips = 0;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 6 * SECOND_US);
    for (unsigned n = 1; n <= 1200; n++, trips++) {
        device.channels[0].quarters = (uint16_t)n;
        device.channels[2].quarters = (uint16_t)(1201 - n);
        device.activity = (uint8_t)n;
        emulated_forget(&line);
        emulated_pass(&line, SECOND_US);
        assert_in_range(line.rig.kept.sets, 2, 3 * 2);
        assert_number(emulated_find(&line, 192715, F, 1), (int64_t)n * 25, -2, BPM, 0);
        assert_number(emulated_find(&line, 147842, M, 0), (int64_t)(1201 - n) * 25, -2,
                      BPM, 0);
        assert_number(emulated_find(&line, 192724, M, 0), (int64_t)(n % 256) * 5, -1,
                      262656, 0);
        assert_null(emulated_find(&line, 192715, F, 2));
        assert_int_equal(line.rig.kept.bytes, 0);
    }
    assert_int_equal(device.refused, 0);
    printf("series50: %zu seconds, each the same at the other end\n", trips);
    emulated_end(&line);
}

/* Every mode on every channel: a rate is given as whose transducer it is, or not at all.
 * The three channels show different rates, so that a mix-up is seen. */
static void test_subjects(void **state)
{
    struct series50_emulator device;
    struct emulated line;
    size_t given = 0;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 6 * SECOND_US);
    for (unsigned modes = 0; modes < 512; modes++) {
        for (unsigned c = 0; c < 3; c++)
            device.channels[c] =
                (struct series50_channel){(uint16_t)(400 + 100 * c), 2,
                                          (uint8_t)(modes >> 3 * c & 7), false};
        emulated_forget(&line);
        emulated_pass(&line, SECOND_US);
        for (size_t s = 0; s < line.rig.kept.sets; s++) {
            const struct observation_set *set = &line.rig.kept.set[s];
            unsigned channel = set->subject == M ? 2 : set->number - 1U;
            for (size_t i = 0; i < set->count; i++) {
                const struct observation *o = &set->items[i];
                unsigned mode = modes >> 3 * channel & 7;
                if (o->kind != OBSERVATION_NUMERIC || o->unit != BPM)
                    continue;
                assert_true(o->mantissa == (400 + 100 * (int64_t)channel) * 25);
                assert_true(set->subject == M ? mode == 3 || mode == 4
                                              : mode == 1 || mode == 2);
                assert_int_equal(o->code, set->subject == M ? mode == 3 ? 147842 : 149514
                                          : mode == 1       ? 192715
                                                            : 192719);
                given++;
            }
        }
    }
    assert_in_range(given, 1, 512 * 3 * 2);
    printf("series50: 512 combinations of transducers, %zu rates, all their own\n",
           given);
    emulated_end(&line);
}

/* Fetus 2 is heard of once it was there, and then also that it has no transducer. */
static void test_twin(void **state)
{
    struct series50_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    device.channels[1] = (struct series50_channel){600, 2, 1, false};
    emulated_pass(&line, 6 * SECOND_US);
    assert_number(emulated_find(&line, 192715, F, 2), 15000, -2, BPM, 0);
    device.channels[1].mode = 0;
    emulated_forget(&line);
    emulated_pass(&line, SECOND_US);
    assert_absent(emulated_find(&line, 192715, F, 2), QUALITY_SENSOR_OFF);
    emulated_end(&line);
}

/* Asked for a block until one comes, then for all; again when they stop, or after the
 * monitor was switched on again. */
static void test_session(void **state)
{
    struct series50_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 600 * SECOND_US);
    assert_int_equal(device.asked, 1);
    assert_int_equal(device.started, 1);
    assert_in_range(device.frames, 597, 602);
    assert_int_equal(line.rig.kept.bytes, 0);
    device.sending = false; /* somebody else stopped it */
    emulated_pass(&line, 10 * SECOND_US);
    assert_true(device.sending);
    assert_int_equal(device.started, 2);
    series50_emulator_init(&device, line.now_us); /* switched off and on */
    emulated_pass(&line, 10 * SECOND_US);
    assert_true(device.sending);
    assert_int_equal(device.refused, 0);
    emulated_end(&line);
}

/* What is said once: in a set of its own, the mother's. */
static void test_once(void **state)
{
    struct series50_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 6 * SECOND_US);
    emulated_forget(&line);
    device.has_pressure = device.has_saturation = device.has_temperature = true;
    memcpy(device.pressure, (const uint16_t[4]){118, 76, 90, 329}, 8);
    device.saturation = 196;
    device.saturation_rate = 338;
    device.temperature = 122;
    emulated_pass(&line, 4 * SECOND_US);
    assert_number(emulated_find(&line, 150021, M, 0), 118, 0, 266016, 0);
    assert_number(emulated_find(&line, 150022, M, 0), 76, 0, 266016, 0);
    assert_number(emulated_find(&line, 150023, M, 0), 90, 0, 266016, 0);
    assert_number(emulated_find(&line, 149546, M, 0), 8225, -2, BPM, 0);
    assert_number(emulated_find(&line, 150456, M, 0), 980, -1, 262688, 0);
    assert_number(emulated_find(&line, 149530, M, 0), 8450, -2, BPM, 0);
    assert_number(emulated_find(&line, 150344, M, 0), 372, -1, 268192, 0);
    assert_int_equal(line.rig.kept.sets, 4 * 2 + 3);
    emulated_end(&line);
}

/* Identity, event mark, note, fault, an unknown type and one of a wrong length: no set.
 * A note's text is not kept in the state: it may be a wristband's. */
static void test_silent_blocks(void **state)
{
    static const uint8_t silent[] = "\x10\x02IM1350AA10A.01.013019G10010\x10\x03\xF1\x88"
                                    "\x10\x02MM\x10\x03\x65\xF1"
                                    "\x10\x02N\x00VE 4CM\x10\x03\x1A\xA5"
                                    "\x10\x02"
                                    "F503\x10\x03\x16\x13"
                                    "\x10\x02VA20\x10\x03\x2C\x2F";
    static const uint8_t note[] = "VE 4CM";
    struct rig rig;
    bool found = false;

    (void)state;
    rig_start(&rig, "series50");
    rig_feed(&rig, silent, sizeof(silent) - 1);
    assert_int_equal(rig.kept.sets, 0);
    assert_int_equal(rig.kept.bytes, 0);
    for (size_t at = 0; at + sizeof(note) - 1 <= rig.driver->state_size; at++)
        found |= memcmp((uint8_t *)rig.state + at, note, sizeof(note) - 1) == 0;
    assert_false(found);
    rig_end(&rig);
}

/* A right check does not help a block that is too short or too long. */
static void test_lengths(void **state)
{
    uint8_t content[64] = {'C', 0x80, 0x01};
    struct kept kept = {0};
    const struct driver_sink sink = {&kept, keep_set, keep_fault};
    bool twin = false;

    (void)state;
    for (size_t n = 0; n <= sizeof(content); n++)
        assert_int_equal(series50_block(content, n, &twin, &sink),
                         n == SERIES50_BLOCK_SIZE);
    for (const char *type = "PST"; *type != '\0'; type++) {
        content[0] = (uint8_t)*type;
        for (size_t n = 1; n <= sizeof(content); n++)
            assert_int_equal(series50_block(content, n, &twin, &sink),
                             n == (*type == 'P'   ? 9U
                                   : *type == 'S' ? 4U
                                                  : 2U));
    }
    assert_int_equal(kept.sets, 2 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_twin),    cmocka_unit_test(test_session),
        cmocka_unit_test(test_once),    cmocka_unit_test(test_silent_blocks),
        cmocka_unit_test(test_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
