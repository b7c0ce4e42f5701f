/* SPDX-License-Identifier: Apache-2.0
 *
 * A line that is lent and taken back, of either kind, on a real pty: while it is lent
 * another may have it, and nothing of ours is on it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "drivers/emulate/nonin.h"
#include "ports/port_serial.h"
#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

static const struct regmap_field fields[] = {{.name = "HR",
                                              .function = 3,
                                              .address = 1,
                                              .type = REGMAP_U16,
                                              .scale = 1,
                                              .code = 147842}};
static const struct regmap map = {.name = "test",
                                  .every_ms = 50,
                                  .response_ms = 300,
                                  .fields = fields,
                                  .field_count = 1};

static char folder[256];
static struct rig rig;
static struct nonin_emulator nonin;

static int set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof rig);
    return temporary_folder(folder);
}

static int tear_down(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static struct bus *begin(struct bus_device device)
{
    struct bus_setting setting = {.line = rig_line(&rig),
                                  .devices = &device,
                                  .device_count = 1};
    struct bus *bus;

    setting.line.parity = DRIVER_PARITY_NONE;
    assert_int_equal(bus_start(&setting, &bus), 0);
    return bus;
}

static struct bus *begin_modbus(void)
{
    rig_pty(&rig, folder, 0);
    assert_int_equal(modbus_unit_init(&rig.units[0], 7, &map), EMULATE_OK);
    modbus_slave_init(&rig.slave, MODBUS_RTU, rig.units, 1);
    rig_start(&rig);
    return begin((struct bus_device){.unit = 7, .map = &map});
}

static struct bus *begin_stream(void)
{
    const struct nonin_values values = {.pulse = 72, .spo2 = 97};

    nonin_emulator_init(&nonin, 2, clock_monotonic_us());
    nonin_emulator_set(&nonin, &values);
    (void)snprintf(rig.link, sizeof rig.link, "%.180s/line", folder);
    rig.baud = 9600;
    assert_int_equal(emulate_line_pty(&rig.line, rig.link, 9600, 10, &nonin_line_emulator,
                                      &nonin),
                     0);
    rig_start(&rig);
    return begin((struct bus_device){.driver = driver_by_name("nonin-df2")});
}

static bool nothing(const uint8_t *bytes, size_t n)
{
    (void)bytes;
    (void)n;
    return false;
}

static bool is_lent(struct bus *bus)
{
    struct bus_line_statistics line;

    bus_line_statistics(bus, &line);
    return line.lent;
}

static uint64_t requests(struct bus *bus)
{
    struct bus_statistics statistics;

    assert_true(bus_statistics(bus, 0, &statistics));
    return statistics.requests;
}

/* Lends, lets another have the line, takes back while that one still has it. */
static void there_and_back(struct bus *bus)
{
    struct port_line line = rig_line(&rig);
    struct port_serial *port;
    struct bus_item item;
    uint64_t before;

    assert_true(rig_await(bus, BUS_SAMPLE, &item, 10000));
    line.parity = DRIVER_PARITY_NONE;
    assert_int_equal(port_serial_open(&line, nothing, &port), PORT_BUSY);
    bus_lend(bus, true);
    assert_true(rig_await(bus, BUS_LINE_LOST, &item, 10000));
    assert_int_equal(item.reason, BUS_REASON_LENT);
    for (int i = 0; i < 1000 && !is_lent(bus); i++)
        usleep(5000);
    assert_true(is_lent(bus));
    before = requests(bus);
    assert_int_equal(port_serial_open(&line, nothing, &port), PORT_OK);
    assert_false(rig_await(bus, BUS_SAMPLE, &item, 300));
    assert_int_equal(requests(bus), before);
    bus_lend(bus, false);
    assert_false(rig_await(bus, BUS_LINE_BACK, &item, 400));
    assert_false(is_lent(bus));
    port_serial_close(port);
    assert_true(rig_await(bus, BUS_LINE_BACK, &item, 20000));
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 10000));
    assert_true(item.sample.missed_unknown); /* what the line was away for is no secret */
}

static void a_modbus_line(void **state)
{
    struct bus *bus = begin_modbus();

    (void)state;
    there_and_back(bus);
    bus_stop(bus);
    rig_unplug(&rig);
}

static void a_stream_line(void **state)
{
    struct bus *bus = begin_stream();

    (void)state;
    there_and_back(bus);
    bus_stop(bus);
    rig_unplug(&rig);
}

/* Neither a line that is not there nor one that is lent holds up the end. */
static void lent_before_it_opens_and_ended_while_lent(void **state)
{
    struct bus *bus = begin_modbus();
    struct bus_item item;
    uint64_t began;

    (void)state;
    bus_lend(bus, true);
    for (int i = 0; i < 1000 && !is_lent(bus); i++)
        usleep(5000);
    assert_true(is_lent(bus));
    began = clock_monotonic_us();
    bus_quiesce(bus);
    assert_true(clock_monotonic_us() - began < 10 * (uint64_t)BUS_STOP_MS * 1000);
    assert_true(rig_await(bus, BUS_LINE_LOST, &item, 1000));
    bus_stop(bus);
    rig_unplug(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_modbus_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stream_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lent_before_it_opens_and_ended_while_lent, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
