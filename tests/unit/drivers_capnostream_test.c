/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Capnostream and its driver: the values, the session, and the shifted
 * message that real devices were seen to send.
 */
#include "drivers_emulated.h"

#include "drivers/emulate/capnostream.h"
#include "drivers/observe.h"

static void start(struct emulated *line, struct capnostream_emulator *device)
{
    capnostream_emulator_init(device, 0);
    emulated_start(line, "capnostream", &capnostream_line_emulator, device);
}

/* Every number that each field can show; 255 and what lies beyond sense is no value. */
static void test_values(void **state)
{
    static const struct {
        uint32_t code, unit;
        int least, most;
    } fields[] = {{151708, 266016, 0, 150},
                  {151716, 266016, 0, 150},
                  {151594, 264928, 0, 150},
                  {150456, 262688, 1, 100},
                  {149530, 264864, 18, 250}};
    struct capnostream_emulator device;
    struct emulated line;
    size_t numbers = 0;

    (void)state;
    for (int n = 0; n < 256; n++) {
        uint8_t *const values[] = {&device.co2_et, &device.co2_in, &device.breaths,
                                   &device.spo2, &device.pulse};
        start(&line, &device);
        for (size_t i = 0; i < COUNT(values); i++)
            *values[i] = (uint8_t)n;
        emulated_pass(&line, SECOND_US); /* one message: no breath rate before it */
        assert_int_equal(line.rig.kept.sets, 1);
        assert_int_equal(line.rig.kept.bytes, 0);
        for (size_t i = 0; i < COUNT(fields); i++) {
            const struct observation *o = emulated_find(&line, fields[i].code, 0, 0);
            bool good = n >= fields[i].least && n <= fields[i].most;
            if (good)
                assert_number(o, n, 0, fields[i].unit, 0);
            else
                assert_absent(o, n == 255 ? 0 : QUALITY_INVALID);
            numbers += good;
        }
        emulated_end(&line);
    }
    printf("capnostream: %zu numbers the same at the other end\n", numbers);
}

/* What the device says about its sensors, and another unit. */
static void test_marks(void **state)
{
    static const struct {
        uint8_t alarms, unit, extended, fast;
        unsigned gas, breaths, finger;
    } cases[] = {
        {0x20, 1, 0, 0, 0, 0, QUALITY_SENSOR_OFF},
        {0x40, 1, 0, 0, 0, 0, QUALITY_SENSOR_OFF},
        {0x01, 1, 0, 0, 0, 0, QUALITY_QUESTIONABLE},
        {0x1E, 1, 0, 0, 0, 0, 0},
        {0, 2, 0, 0, QUALITY_INVALID, 0, 0},
        {0, 3, 0, 0, QUALITY_INVALID, 0, 0},
        {0, 1, 0x01, 0, QUALITY_QUESTIONABLE, QUALITY_QUESTIONABLE, 0},
        {0, 1, 0x04, 0, QUALITY_SENSOR_OFF, QUALITY_SENSOR_OFF, 0},
        {0, 1, 0, 0x40, QUALITY_SENSOR_OFF, QUALITY_SENSOR_OFF, 0},
        {0, 1, 0, 0x80, QUALITY_INVALID, QUALITY_INVALID, 0},
        {0, 1, 0, 0x02, QUALITY_INVALID, QUALITY_INVALID, 0},
        {0, 1, 0, 0x04, QUALITY_QUESTIONABLE, QUALITY_QUESTIONABLE, 0},
        {0, 1, 0, 0x09, 0, 0, 0},
    };
    struct capnostream_emulator device;
    struct emulated line;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        start(&line, &device);
        device.co2_et = 38;
        device.breaths = 14;
        device.spo2 = 97;
        device.spo2_alarms = cases[i].alarms;
        device.unit = cases[i].unit;
        device.extended = cases[i].extended;
        device.fast = cases[i].fast;
        emulated_pass(&line, 3 * SECOND_US);
        assert_int_equal(emulated_find(&line, 151708, 0, 0)->quality, cases[i].gas);
        assert_int_equal(emulated_find(&line, 151594, 0, 0)->quality, cases[i].breaths);
        assert_int_equal(emulated_find(&line, 150456, 0, 0)->quality, cases[i].finger);
        emulated_end(&line);
    }
}

/* Kept alive for as long as it is wanted; begun again after it was switched off. */
static void test_session(void **state)
{
    struct capnostream_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 120 * SECOND_US);
    assert_int_equal(device.sessions, 1);
    assert_in_range(line.rig.kept.sets, 118, 121);
    capnostream_emulator_init(&device, line.now_us);
    emulated_forget(&line);
    emulated_pass(&line, 20 * SECOND_US);
    assert_int_equal(device.sessions, 1);
    assert_in_range(line.rig.kept.sets, 9, 20);
    assert_int_equal(device.refused, 0);
    emulated_end(&line);
}

/* A message whose numbers stand one byte later: saturation shows the breath rate. */
static void test_shifted(void **state)
{
    static const uint8_t good[] = {0x85, 0x1C, 0x01, 0x6A, 0x60, 0x5D, 0x95, 0x26,
                                   0x00, 0x0E, 0x61, 0x48, 0x80, 0x00, 0x00, 0x00,
                                   0x00, 0x00, 0x00, 0x00, 0x3C, 0x0F, 0x1E, 0x05,
                                   0x08, 0x64, 0x55, 0x8C, 0x32, 0x01, 0x00, 0xF0};
    uint8_t later[sizeof(good)], wrong[sizeof(good)];
    struct rig rig;

    (void)state;
    rig_start(&rig, "capnostream");
    rig_feed(&rig, good, sizeof(good));
    memcpy(wrong, good, sizeof(good));
    wrong[10] = 0x0E; /* saturation as the breath rate */
    wrong[31] ^= 0x61 ^ 0x0E;
    rig_feed(&rig, wrong, sizeof(wrong));
    assert_int_equal(rig.kept.sets, 1);
    assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], 1);
    rig_feed(&rig, good, sizeof(good));
    assert_int_equal(rig.kept.sets, 2);
    memcpy(later, good, sizeof(good));
    later[4] ^= 0x01; /* eighteen hours on */
    later[31] ^= 0x01;
    rig_feed(&rig, later, sizeof(later));
    assert_int_equal(rig.kept.sets, 2);
    rig_feed(&rig, later, sizeof(later)); /* the clock was set: taken the second time */
    assert_int_equal(rig.kept.sets, 3);
    rig_end(&rig);
}

/* Dates at the edges of months, leap years and the count. */
static void test_time(void **state)
{
    static const struct {
        uint32_t seconds;
        struct device_time time;
    } cases[] = {
        {0, {1970, 1, 1, 0, 0, 0, true}},
        {951782399, {2000, 2, 28, 23, 59, 59, true}},
        {951782400, {2000, 2, 29, 0, 0, 0, true}},
        {951868800, {2000, 3, 1, 0, 0, 0, true}},
        {1784730333, {2026, 7, 22, 14, 25, 33, true}},
        {1798761599, {2026, 12, 31, 23, 59, 59, true}},
        {4107542400, {2100, 3, 1, 0, 0, 0, true}},
        {UINT32_MAX, {2106, 2, 7, 6, 28, 15, true}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct device_time t = observe_time(cases[i].seconds);
        const struct device_time *w = &cases[i].time;
        assert_int_equal(t.year, w->year);
        assert_int_equal(t.month, w->month);
        assert_int_equal(t.day, w->day);
        assert_int_equal(t.hour, w->hour);
        assert_int_equal(t.minute, w->minute);
        assert_int_equal(t.second, w->second);
        assert_true(t.present);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_marks),
        cmocka_unit_test(test_session), cmocka_unit_test(test_shifted),
        cmocka_unit_test(test_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
