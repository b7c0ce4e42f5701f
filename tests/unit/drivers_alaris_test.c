/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Alaris and its driver: digits as shown, units that are known, and nothing
 * sent that would drive a pump.
 */
#include "drivers_emulated.h"

#include "drivers/alaris.h"
#include "drivers/emulate/alaris.h"

#define RATE   157784
#define VOLUME 157993

static void start(struct emulated *line, struct alaris_emulator *device)
{
    alaris_emulator_init(device, 0);
    emulated_start(line, "alaris", &alaris_line_emulator, device);
}

static void test_values(void **state)
{
    struct alaris_emulator device;
    struct emulated line;
    size_t trips = 0;

    (void)state;
    start(&line, &device);
    for (unsigned n = 0; n < 120000; n += 97, trips++) {
        snprintf(device.rate, sizeof(device.rate), "%u.%02u", n / 100, n % 100);
        snprintf(device.volume, sizeof(device.volume), "%u.%03u", n / 1000, n % 1000);
        emulated_forget(&line);
        emulated_pass(&line, 2 * SECOND_US);
        assert_int_equal(line.rig.kept.bytes, 0);
        assert_number(emulated_find(&line, RATE, 0, 0), n, -2, 265266,
                      QUALITY_QUESTIONABLE);
        assert_number(emulated_find(&line, VOLUME, 0, 0), n, -3, 263762, 0);
    }
    assert_int_equal(device.refused, 0);
    printf("alaris: %zu pairs of values, each the same at the other end\n", trips);
    emulated_end(&line);
}

/* Nothing shown; units and numbers that are not known. */
static void test_none(void **state)
{
    static const struct {
        const char *rate, *rate_unit, *volume, *volume_unit;
        unsigned rate_quality, volume_quality;
    } cases[] = {
        {"", "ml/h", "-", "ml", 0, 0},      {"12.5", "mg/h", "3.1", "l", 3, 1},
        {"12.5", "", "3.1", "", 3, 1},      {"12,5", "ml/h", "3.1.2", "ml", 3, 1},
        {"-1", "ml/h", "-0.1", "ml", 3, 1}, {"10000", "ml/h", "100000", "ml", 3, 1},
    };
    struct alaris_emulator device;
    struct emulated line;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        start(&line, &device);
        snprintf(device.rate, sizeof(device.rate), "%s", cases[i].rate);
        snprintf(device.rate_unit, sizeof(device.rate_unit), "%s", cases[i].rate_unit);
        snprintf(device.volume, sizeof(device.volume), "%s", cases[i].volume);
        snprintf(device.volume_unit, sizeof(device.volume_unit), "%s",
                 cases[i].volume_unit);
        emulated_pass(&line, 3 * SECOND_US);
        assert_absent(emulated_find(&line, RATE, 0, 0), cases[i].rate_quality);
        assert_absent(emulated_find(&line, VOLUME, 0, 0), cases[i].volume_quality);
        emulated_end(&line);
    }
}

/* What the makers' own software sends to drive a pump, with right checks: none of it. */
static void test_never_sent(void **state)
{
    static const char *const driving[] = {
        "!REMOTE_CTRL^ENABLED^3CC1|B1F1\r",
        "!REMOTE_CTRL^DISABLED|EF95\r",
        "!INF_START|38F3\r",
        "!INF_STOP|CD57\r",
        "!INF_BOLUS^ENABLED|E288\r",
        "!INF_VTBI^ACTIV^11.000^ml^STOP|4433\r",
        "!INF_VTBI^DEACT|D8C5\r",
        "!REMQUERY^DEACT|F295\r",
        "!INF_RATE^3.50^ml/h|3885\r",
        "!INF_VI_CLEAR|A706\r",
    };
    const struct driver *driver = driver_by_name("alaris");

    (void)state;
    for (size_t i = 0; i < COUNT(driving); i++)
        assert_false(driver->may_send((const uint8_t *)driving[i], strlen(driving[i])));
}

/* An answer to somebody else's question, one that is broken off, one too long. */
static void test_other_messages(void **state)
{
    static const char serial[] = "!INST_SERIALNO^800212345|A8F6\r";
    static const char broken[] = "!INF^8002\x1B";
    uint8_t endless[500];
    struct rig rig;

    (void)state;
    rig_start(&rig, "alaris");
    rig_feed(&rig, (const uint8_t *)serial, sizeof(serial) - 1);
    assert_int_equal(rig.kept.bytes, 0);
    rig_feed(&rig, (const uint8_t *)broken, sizeof(broken) - 1);
    assert_int_equal(rig.kept.bytes, sizeof(broken) - 1);
    memset(endless, 'A', sizeof(endless));
    endless[0] = ALARIS_START;
    rig_feed(&rig, endless, sizeof(endless));
    assert_int_equal(rig.kept.bytes, sizeof(broken) - 1 + sizeof(endless));
    assert_int_equal(rig.kept.sets, 0);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_never_sent),
        cmocka_unit_test(test_other_messages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
