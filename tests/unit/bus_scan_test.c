/* SPDX-License-Identifier: Apache-2.0
 *
 * A wristband scanner on a real pty: what leaves its line is a digest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "drivers/emulate/wristband.h"
#include "drivers/wristband.h"
#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

#define PREFIX "9521234"
#define FIRST  "9990000018"
#define SECOND "9990000123"
#define NAME   "SMITH,John,18-Jan-1980"

static char folder[256];
static struct rig rig;
static struct wristband_emulator scanner;
static const struct key key = {.bytes = "0123456789abcdef0123456789abcde"};

static int set_up(void **state)
{
    (void)state;
    return temporary_folder(folder);
}

static int tear_down(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static struct bus *plug(const struct key *digest_key)
{
    struct bus_device device = {.driver = driver_by_name("wristband")};
    struct bus_setting setting = {.devices = &device,
                                  .device_count = 1,
                                  .digest_key = digest_key,
                                  .band_prefix = PREFIX};
    struct bus_item item;
    struct bus *bus;

    memset(&rig, 0, sizeof rig);
    wristband_emulator_init(&scanner, clock_monotonic_us());
    (void)snprintf(rig.link, sizeof rig.link, "%.180s/line", folder);
    rig.baud = 9600;
    assert_int_equal(emulate_line_pty(&rig.line, rig.link, 9600, 10,
                                      &wristband_line_emulator, &scanner),
                     0);
    setting.line = rig_line(&rig);
    setting.line.parity = DRIVER_PARITY_NONE;
    assert_int_equal(bus_start(&setting, &bus), 0);
    assert_true(rig_await(bus, BUS_LINE_BACK, &item, 3000));
    usleep(100000); /* what came before the line was opened is thrown away */
    return bus;
}

static void unplug(struct bus *bus)
{
    bus_stop(bus);
    rig_unplug(&rig);
}

/* Shows a band and waits until the scanner has said it. */
static void show(const char *prefix, const char *nhs)
{
    rig_halt(&rig);
    assert_int_equal(wristband_emulator_band(&scanner, prefix, nhs, "12345678", NAME,
                                             clock_monotonic_us()),
                     0);
    rig_start(&rig);
}

static void assert_digest_of(const struct bus_item *item, const char *id)
{
    uint8_t digest[DIGEST_SIZE];

    assert_int_equal(crypto_hmac_sha256(&key, id, strlen(id), digest), CRYPTO_OK);
    assert_memory_equal(item->digest, digest, DIGEST_SIZE);
}

/* Two bands, the first of them read twice at once: two digests. Nothing of a band is
 * anywhere in an item. */
static void a_scan_becomes_a_digest(void **state)
{
    struct bus *bus = plug(&key);
    struct bus_item item;

    (void)state;
    show(PREFIX, FIRST);
    assert_true(rig_await(bus, BUS_APPEARED, &item, 5000));
    assert_true(rig_await(bus, BUS_SCAN, &item, 5000));
    assert_digest_of(&item, "NHS/" FIRST);
    for (size_t at = 0; at + 10 <= sizeof item; at++)
        assert_int_not_equal(memcmp((const uint8_t *)&item + at, FIRST, 10), 0);
    show(PREFIX, FIRST);
    usleep(200000); /* said and dropped, well within two seconds */
    show(PREFIX, SECOND);
    assert_true(rig_await(bus, BUS_SCAN, &item, 5000));
    assert_digest_of(&item, "NHS/" SECOND);
    unplug(bus);
    assert_int_equal(scanner.refused, 0);
}

/* Another kind of card under whose prefix the same number stands. */
static void another_prefix_is_refused(void **state)
{
    struct bus *bus = plug(&key);
    struct bus_statistics statistics;
    struct bus_item item;

    (void)state;
    show("5012345", FIRST);
    assert_true(rig_await(bus, BUS_APPEARED, &item, 5000));
    show(PREFIX, SECOND);
    assert_true(rig_await(bus, BUS_SCAN, &item, 5000));
    assert_digest_of(&item, "NHS/" SECOND);
    assert_true(bus_statistics(bus, 0, &statistics));
    assert_int_equal(statistics.driver_faults[DRIVER_FAULT_VALUE], WRISTBAND_ID_SIZE);
    unplug(bus);
}

/* A gateway that was not given the key takes no band. */
static void without_a_key_nothing_is_taken(void **state)
{
    struct bus *bus = plug(NULL);
    struct bus_item item;

    (void)state;
    show(PREFIX, FIRST);
    assert_true(rig_await(bus, BUS_APPEARED, &item, 5000));
    assert_false(rig_await(bus, BUS_SCAN, &item, 300));
    unplug(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_scan_becomes_a_digest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_prefix_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_key_nothing_is_taken, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
