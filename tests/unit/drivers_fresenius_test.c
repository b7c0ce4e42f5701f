/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Fresenius pump and its driver: digits, the session, and nothing sent that
 * would drive a pump.
 */
#include "drivers_emulated.h"

#include "drivers/emulate/fresenius.h"

#define RATE   157784
#define VOLUME 157993

static void start(struct emulated *line, struct fresenius_emulator *device)
{
    fresenius_emulator_init(device, 0);
    emulated_start(line, "fresenius", &fresenius_line_emulator, device);
}

static void test_values(void **state)
{
    struct fresenius_emulator device;
    struct emulated line;
    size_t trips = 0;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 6 * SECOND_US);
    for (unsigned n = 0; n <= 12000; n += 7, trips++) {
        device.rate = (uint16_t)n;
        device.volume = n * 833;
        emulated_forget(&line);
        emulated_pass(&line, 2 * SECOND_US);
        assert_int_equal(line.rig.kept.bytes, 0);
        assert_number(emulated_find(&line, RATE, 0, 0), n, -1, 265266, 0);
        assert_number(emulated_find(&line, VOLUME, 0, 0), (int64_t)n * 833, -3, 263762,
                      0);
    }
    device.rate = 12001;
    device.volume = 10000000;
    emulated_pass(&line, 4 * SECOND_US);
    assert_absent(emulated_find(&line, RATE, 0, 0), QUALITY_INVALID);
    assert_absent(emulated_find(&line, VOLUME, 0, 0), QUALITY_INVALID);
    assert_int_equal(device.refused, 0);
    printf("fresenius: %zu pairs of values, each the same at the other end\n", trips);
    emulated_end(&line);
}

/* One session for an hour, every answer acknowledged; a new one after it was switched
 * off and on. */
static void test_session(void **state)
{
    struct fresenius_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 3600 * SECOND_US);
    assert_int_equal(device.sessions, 1);
    assert_int_equal(device.ended, 0);
    assert_in_range(device.answers, 1700, 1801);
    assert_in_range(device.acknowledged, device.answers, device.answers + 1);
    fresenius_emulator_init(&device, line.now_us);
    emulated_pass(&line, 20 * SECOND_US);
    assert_int_equal(device.sessions, 1);
    assert_true(device.answers > 4);
    emulated_end(&line);
}

/* Modes, rates, boluses, alarms, ends: never, with right checks. */
static void test_never_sent(void **state)
{
    static const char *const driving[] = {"PR", "PO", "PB", "PV", "PF",   "RV",
                                          "MO", "OF", "FC", "DE", "LE;d", "PR;d007D"};
    const struct driver *driver = driver_by_name("fresenius");

    (void)state;
    for (size_t i = 0; i < COUNT(driving); i++) {
        uint8_t frame[32] = {0x02};
        unsigned sum = 0;
        size_t n = strlen(driving[i]);
        memcpy(frame + 1, driving[i], n);
        for (size_t k = 0; k < n; k++)
            sum += (uint8_t)driving[i][k];
        snprintf((char *)frame + 1 + n, 4, "%02X\x03", 0xFF - (sum & 0xFF));
        assert_false(driver->may_send(frame, n + 4));
    }
}

/* A pump behind a base, errors, and what is not a whole answer. */
static void test_other_frames(void **state)
{
    static const uint8_t frames[] = "\x02"
                                    "1C;d007D;r000C3529\x03"
                                    "\x02I;0D7E\x03\x15"
                                    "2\x05\x06";
    struct rig rig;

    (void)state;
    rig_start(&rig, "fresenius");
    rig_feed(&rig, frames, sizeof(frames) - 1);
    assert_int_equal(rig.kept.sets, 0);
    rig_feed(&rig,
             (const uint8_t *)"\x02"
                              "C;d007D11\x03",
             11);
    assert_int_equal(rig.kept.sets, 0);
    assert_true(rig.kept.bytes > 0);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_never_sent),
        cmocka_unit_test(test_other_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
