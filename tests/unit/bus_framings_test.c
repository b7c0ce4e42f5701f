/* SPDX-License-Identifier: Apache-2.0
 *
 * A bus over Modbus ASCII and over a device server. The LRC is a sum: two wrong digits
 * can make it right. Such a reply must not become a value.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

#define HR_CODE   147842
#define SPO2_CODE 150456
#define HR        0x0064
#define SPO2      0x0061
#define FAULTS    12

static const struct regmap_field fields[] = {
    {.name = "HR",
     .function = 3,
     .address = 0,
     .type = REGMAP_U16,
     .scale = 1,
     .code = HR_CODE},
    {.name = "SpO2",
     .function = 3,
     .address = 1,
     .type = REGMAP_U16,
     .scale = 1,
     .code = SPO2_CODE},
};
static const struct regmap map = {.name = "test",
                                  .every_ms = 20,
                                  .response_ms = 100,
                                  .fields = fields,
                                  .field_count = 2};

static char folder[256];
static struct rig rig;

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

static void slave(enum modbus_framing framing)
{
    memset(&rig, 0, sizeof rig);
    assert_int_equal(modbus_unit_init(&rig.units[0], 7, &map), EMULATE_OK);
    (void)modbus_unit_set_raw(&rig.units[0], 3, 0, HR);
    (void)modbus_unit_set_raw(&rig.units[0], 3, 1, SPO2);
    modbus_slave_init(&rig.slave, framing, rig.units, 1);
}

/* Takes `samples` and returns how many numbers were not the device's. */
static unsigned wrong_of(struct bus *bus, unsigned samples)
{
    struct bus_item item;
    unsigned wrong = 0;

    for (unsigned i = 0; i < samples; i++) {
        assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
        assert_int_equal(item.sample.set.count, 2);
        for (size_t o = 0; o < 2; o++) {
            const struct observation *it = &item.sample.set.items[o];

            wrong += it->kind == OBSERVATION_NUMERIC &&
                     it->mantissa != (it->code == HR_CODE ? HR : SPO2);
        }
    }
    return wrong;
}

static struct bus *start(struct port_line *line, enum port_framing framing)
{
    static const struct bus_device device = {.unit = 7, .map = &map};
    struct bus_setting setting = {.devices = &device, .device_count = 1};
    struct bus *bus = NULL;

    line->framing = (uint8_t)framing;
    line->parity = DRIVER_PARITY_NONE;
    line->data_bits = framing == PORT_FRAMING_ASCII ? 7 : 8;
    setting.line = *line;
    assert_int_equal(bus_start(&setting, &bus), 0);
    return bus;
}

/* ":07 03 04 0064 0061 .." : the last digits of both values, one up and one down. The sum
 * stays what it was. */
static void two_wrong_digits_that_fit_the_sum_are_no_value(void **state)
{
    struct modbus_fault faults[2 * FAULTS];
    struct bus_statistics statistics;
    struct port_line line;
    struct bus *bus;

    (void)state;
    slave(MODBUS_ASCII);
    for (size_t i = 0; i < FAULTS; i++) {
        faults[2 * i] = (struct modbus_fault){.request = 5 + 7 * i,
                                              .kind = MODBUS_FAULT_FLIP,
                                              .value = 10 * 8};
        faults[2 * i + 1] = (struct modbus_fault){.request = 5 + 7 * i,
                                                  .kind = MODBUS_FAULT_FLIP,
                                                  .value = 14 * 8};
    }
    rig.slave.faults = faults;
    rig.slave.fault_count = sizeof faults / sizeof faults[0];
    rig_pty(&rig, folder, 0);
    rig.line.emulator = &modbus_ascii_emulator;
    rig.line.slave = &rig.slave;
    rig_start(&rig);
    line = rig_line(&rig);
    bus = start(&line, PORT_FRAMING_ASCII);
    assert_int_equal(wrong_of(bus, 60), 0);
    assert_true(bus_statistics(bus, 0, &statistics));
    /* Each block was read twice at least; nothing of it failed a check. */
    assert_true(statistics.answered >= 120);
    assert_int_equal(statistics.crc, 0);
    bus_stop(bus);
    rig_unplug(&rig);
    assert_true(rig.slave.requests > 5 + 7 * FAULTS); /* every fault was met */
}

static void a_device_server_is_a_line(void **state)
{
    struct modbus_fault faults[FAULTS];
    struct bus_statistics statistics;
    struct port_line line;
    struct bus *bus;

    (void)state;
    slave(MODBUS_RTU);
    for (size_t i = 0; i < FAULTS; i++)
        faults[i] = (struct modbus_fault){.request = 20 + 9 * i,
                                          .kind = i % 2 == 0 ? MODBUS_FAULT_LATE
                                                             : MODBUS_FAULT_FLIP,
                                          .value = i % 2 == 0 ? 130000 : 35};
    rig.slave.faults = faults;
    rig.slave.fault_count = FAULTS;
    rig.line.in_order = true;
    assert_int_equal(emulate_line_tcp(&rig.line, "127.0.0.1", 0, &rig.slave), 0);
    rig_start(&rig);
    line = rig_line(&rig);
    bus = start(&line, PORT_FRAMING_RTU);
    assert_int_equal(wrong_of(bus, 60), 0);
    assert_true(bus_statistics(bus, 0, &statistics));
    assert_true(statistics.crc > 0 && statistics.timeouts > 0);
    bus_stop(bus);
    rig_unplug(&rig);
    assert_int_equal(rig.slave.writes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_wrong_digits_that_fit_the_sum_are_no_value),
        cmocka_unit_test(a_device_server_is_a_line),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
