/* SPDX-License-Identifier: Apache-2.0
 *
 * A bus with emulated devices on a real pty or socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>

#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

static const struct regmap_field fields[] = {
    {.name = "sample",
     .role = REGMAP_SAMPLE,
     .function = 3,
     .address = 0,
     .type = REGMAP_U16},
    {.name = "HR",
     .function = 3,
     .address = 1,
     .type = REGMAP_U16,
     .scale = 1,
     .code = 147842},
    {.name = "SpO2",
     .function = 3,
     .address = 2,
     .type = REGMAP_U16,
     .scale = 1,
     .code = 150456},
};
static const struct regmap map = {.name = "test",
                                  .every_ms = 100,
                                  .response_ms = 300,
                                  .fields = fields,
                                  .field_count = 3};
static const struct regmap_field named[] = {
    {.name = "HR",
     .function = 3,
     .address = 1,
     .type = REGMAP_U16,
     .scale = 1,
     .code = 147842},
    {.name = "model",
     .role = REGMAP_IDENTITY,
     .function = 3,
     .address = 40,
     .type = REGMAP_TEXT,
     .length = 4},
};
static const struct regmap named_map = {.name = "named",
                                        .every_ms = 100,
                                        .response_ms = 300,
                                        .fields = named,
                                        .field_count = 2};

static char folder[256];

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

static void unit(struct rig *rig, size_t i, uint8_t address, const struct regmap *of)
{
    assert_int_equal(modbus_unit_init(&rig->units[i], address, of), EMULATE_OK);
    rig->units[i].turnaround_us = 2000;
}

/* Every request sees a new sample: HR = 60 + n, sample = n. */
static void count_up(void *context, uint8_t address, uint8_t function, uint16_t first,
                     uint16_t count, uint64_t now)
{
    struct rig *rig = context;

    (void)function;
    (void)first;
    (void)count;
    (void)now;
    for (size_t i = 0; i < rig->slave.unit_count; i++) {
        struct modbus_unit *u = &rig->units[i];
        uint16_t n;

        if (u->unit != address || u->dead || !modbus_unit_get_raw(u, 3, 0, &n))
            continue;
        (void)modbus_unit_set_raw(u, 3, 0, (uint16_t)(n + 1));
        (void)modbus_unit_set_raw(u, 3, 1, (uint16_t)(60 + n + 1));
        (void)modbus_unit_set_raw(u, 3, 2, 97);
    }
}

static struct bus *begin(struct rig *rig, struct bus_device *devices, size_t n)
{
    struct bus_setting setting = {.line = rig_line(rig),
                                  .devices = devices,
                                  .device_count = n};
    struct bus *bus;

    assert_int_equal(bus_start(&setting, &bus), 0);
    return bus;
}

static void samples_arrive_in_order_with_their_time(void **state)
{
    static struct rig rig;
    struct bus_device device = {.unit = 7, .map = &map};
    struct bus_item item;
    struct bus *bus;
    struct bus_statistics statistics;
    uint64_t last = 0, counter = 0, began = clock_monotonic_us();

    (void)state;
    rig_pty(&rig, folder, 0);
    unit(&rig, 0, 7, &map);
    modbus_slave_init(&rig.slave, MODBUS_RTU, rig.units, 1);
    rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = count_up};
    rig_start(&rig);
    bus = begin(&rig, &device, 1);
    assert_true(rig_item(bus, &item, 2000));
    assert_int_equal(item.kind, BUS_LINE_BACK);
    assert_true(rig_item(bus, &item, 2000));
    assert_int_equal(item.kind, BUS_APPEARED);
    for (int i = 0; i < 12; i++) {
        const struct bus_sample *sample = &item.sample;

        assert_true(rig_item(bus, &item, 2000));
        assert_int_equal(item.kind, BUS_SAMPLE);
        assert_int_equal(sample->set.count, 2);
        assert_int_equal(sample->set.items[0].mantissa, 60 + (int64_t)sample->set.sample);
        assert_int_equal(sample->set.items[1].mantissa, 97);
        assert_true(item.at.monotonic_us > last && item.at.monotonic_us >= began &&
                    item.at.monotonic_us < clock_monotonic_us());
        assert_int_equal(sample->has_previous, i > 0);
        if (i > 0) {
            assert_int_equal(sample->previous.monotonic_us, last);
            assert_int_equal(sample->set.sample, counter + 1 + sample->missed);
        }
        last = item.at.monotonic_us;
        counter = sample->set.sample;
    }
    assert_true(bus_statistics(bus, 0, &statistics));
    assert_false(bus_statistics(bus, 1, &statistics));
    assert_true(statistics.present && statistics.answered >= 12);
    assert_int_equal(statistics.crc + statistics.foreign + statistics.exceptions, 0);
    bus_stop(bus);
    rig_unplug(&rig);
    assert_int_equal(rig.slave.writes, 0);
}

static void an_identity_is_told_at_each_appearing(void **state)
{
    static struct rig rig;
    struct bus_device device = {.unit = 1, .map = &named_map};
    struct bus_item item;
    struct bus *bus;

    (void)state;
    rig_pty(&rig, folder, 0);
    unit(&rig, 0, 1, &named_map);
    assert_int_equal(modbus_unit_set(&rig.units[0], "model", "ACME-1"), EMULATE_OK);
    assert_int_equal(modbus_unit_set(&rig.units[0], "HR", "72"), EMULATE_OK);
    modbus_slave_init(&rig.slave, MODBUS_RTU, rig.units, 1);
    rig_start(&rig);
    bus = begin(&rig, &device, 1);
    assert_true(rig_await(bus, BUS_IDENTITY, &item, 2000));
    assert_string_equal(item.identity, "model=ACME-1");
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 2000));
    assert_int_equal(item.sample.set.items[0].mantissa, 72);
    /* Another device takes its place while it is away. */
    rig_halt(&rig);
    rig.units[0].dead = true;
    rig_start(&rig);
    assert_true(rig_await(bus, BUS_LOST, &item, 5000));
    rig_halt(&rig);
    rig.units[0].dead = false;
    assert_int_equal(modbus_unit_set(&rig.units[0], "model", "ACME-2"), EMULATE_OK);
    rig_start(&rig);
    assert_true(rig_await(bus, BUS_IDENTITY, &item, 15000));
    assert_string_equal(item.identity, "model=ACME-2");
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 2000));
    assert_true(item.sample.missed_unknown && item.sample.missed > 0);
    bus_identify(bus, 0);
    assert_true(rig_await(bus, BUS_IDENTITY, &item, 2000));
    bus_stop(bus);
    rig_unplug(&rig);
}

static void a_pulled_adapter_is_reported_and_found_again(void **state)
{
    static struct rig rig;
    struct bus_device device = {.unit = 7, .map = &map};
    struct bus_item item;
    struct bus *bus;
    struct bus_line_statistics line;

    (void)state;
    rig_pty(&rig, folder, 0);
    unit(&rig, 0, 7, &map);
    modbus_slave_init(&rig.slave, MODBUS_RTU, rig.units, 1);
    rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = count_up};
    rig_start(&rig);
    bus = begin(&rig, &device, 1);
    for (int round = 0; round < 3; round++) {
        assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
        assert_int_equal(item.sample.missed_unknown, false); /* its counter tells */
        rig_unplug(&rig);
        assert_true(rig_await(bus, BUS_LINE_LOST, &item, 5000));
        assert_true(item.reason > 0);
        rig_pty(&rig, folder, 0);
        rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = count_up};
        rig_start(&rig);
        assert_true(rig_await(bus, BUS_LINE_BACK, &item, 10000));
        assert_true(rig_await(bus, BUS_APPEARED, &item, 5000));
    }
    bus_line_statistics(bus, &line);
    assert_true(line.opened >= 4);
    bus_stop(bus);
    rig_unplug(&rig);
}

static void a_line_that_is_not_there_costs_nothing_and_stops_at_once(void **state)
{
    struct bus_device device = {.unit = 7, .map = &map};
    struct bus_setting setting = {.devices = &device, .device_count = 1};
    struct bus_item item;
    struct bus *bus;
    uint64_t before;

    (void)state;
    setting.line = (struct port_line){.path = "/nonexistent/line",
                                      .baud = 9600,
                                      .data_bits = 8,
                                      .stop_bits = 1};
    assert_int_equal(bus_start(&setting, &bus), 0);
    assert_true(rig_await(bus, BUS_LINE_LOST, &item, 2000));
    assert_int_equal(item.reason, ENOENT);
    assert_false(rig_item(bus, &item, 600)); /* said once */
    before = clock_monotonic_us();
    bus_stop(bus);
    assert_true(clock_monotonic_us() - before < BUS_STOP_MS * UINT64_C(1000));
}

static bool readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    return poll(&wait, 1, 0) == 1;
}

static void a_full_queue_holds_the_line_and_loses_nothing_silently(void **state)
{
    static struct rig rig;
    struct bus_device device = {.unit = 7, .map = &map, .every_ms = 5};
    struct bus_line_statistics line;
    struct bus_item item;
    struct bus *bus;
    uint64_t first = 0, last = 0, samples = 0, missed = 0;

    (void)state;
    rig_pty(&rig, folder, 0);
    unit(&rig, 0, 7, &map);
    rig.units[0].turnaround_us = 0;
    modbus_slave_init(&rig.slave, MODBUS_RTU, rig.units, 1);
    rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = count_up};
    rig_start(&rig);
    bus = begin(&rig, &device, 1);
    do { /* nobody takes */
        usleep(20000);
        bus_line_statistics(bus, &line);
    } while (line.held == 0);
    usleep(200000);
    assert_true(readable(bus_fd(bus)));
    assert_true(readable(bus_press_fd(bus)));
    for (int i = 0; i < 200; i++) {
        assert_true(rig_await(bus, BUS_SAMPLE, &item, 2000));
        if (samples++ == 0)
            first = item.sample.set.sample;
        else
            assert_int_equal(item.sample.set.sample, last + 1 + item.sample.missed);
        missed += item.sample.missed;
        last = item.sample.set.sample;
    }
    assert_int_equal(samples + missed, last - first + 1);
    /* Between a quarter and half of a queue says nothing. */
    while (bus_take(bus, &item))
        continue;
    assert_false(readable(bus_press_fd(bus)));
    bus_stop(bus);
    rig_unplug(&rig);
}

static void several_units_share_a_line(void **state)
{
    static struct rig rig;
    struct bus_device devices[4];
    struct bus_item item;
    struct bus *bus;
    unsigned seen[4] = {0}, lost = 0;

    (void)state;
    rig_pty(&rig, folder, 115200);
    for (size_t i = 0; i < 4; i++) {
        unit(&rig, i, (uint8_t)(i + 1), &map);
        devices[i] = (struct bus_device){.unit = (uint8_t)(i + 1), .map = &map};
    }
    rig.units[2].dead = true;
    modbus_slave_init(&rig.slave, MODBUS_RTU, rig.units, 4);
    rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = count_up};
    rig_start(&rig);
    bus = begin(&rig, devices, 4);
    while (seen[0] < 30 || seen[1] < 30 || seen[3] < 30) {
        assert_true(rig_item(bus, &item, 5000));
        if (item.kind == BUS_SAMPLE)
            seen[item.device]++;
        lost += item.kind == BUS_LOST;
        if (item.kind == BUS_LOST)
            assert_int_equal(item.device, 2);
    }
    assert_int_equal(seen[2], 0);
    assert_int_equal(lost, 1);
    bus_stop(bus);
    rig_unplug(&rig);
}

static void tcp_reads_and_reconnects(void **state)
{
    static struct rig rig;
    struct bus_device devices[2] = {{.unit = 7, .map = &map}, {.unit = 8, .map = &map}};
    struct bus_item item;
    struct bus *bus;
    uint16_t port;

    (void)state;
    unit(&rig, 0, 7, &map);
    unit(&rig, 1, 8, &map);
    modbus_slave_init(&rig.slave, MODBUS_TCP, rig.units, 2);
    assert_int_equal(emulate_line_tcp(&rig.line, "127.0.0.1", 0, &rig.slave), 0);
    port = rig.line.port;
    rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = count_up};
    rig_start(&rig);
    bus = begin(&rig, devices, 2);
    for (int i = 0; i < 20; i++) {
        assert_true(rig_await(bus, BUS_SAMPLE, &item, 3000));
        assert_int_equal(item.sample.set.items[0].mantissa,
                         60 + (int64_t)item.sample.set.sample);
    }
    rig_unplug(&rig);
    assert_true(rig_await(bus, BUS_LINE_LOST, &item, 5000));
    modbus_slave_init(&rig.slave, MODBUS_TCP, rig.units, 2);
    assert_int_equal(emulate_line_tcp(&rig.line, "127.0.0.1", port, &rig.slave), 0);
    rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = count_up};
    rig_start(&rig);
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 10000));
    bus_stop(bus);
    rig_unplug(&rig);
    assert_int_equal(rig.slave.writes, 0);
}

#define DAMAGED 9999 /* what no request finds but by damage that the check lets pass */

/* Of ten replies two are damaged so that the check tells, and from the 40th on one so
 * that it does not. */
static void spoil(void *context, uint8_t address, uint8_t function, uint16_t first,
                  uint16_t count, uint64_t now)
{
    static const struct modbus_fault flip = {.kind = MODBUS_FAULT_FLIP, .value = 37};
    struct rig *rig = context;
    uint64_t n = rig->slave.requests;

    (void)address;
    (void)function;
    (void)first;
    (void)count;
    (void)now;
    rig->slave.faults = &flip;
    rig->slave.fault_count = n % 10 == 1 || n % 10 == 4;
    (void)modbus_unit_set_raw(&rig->units[0], 3, 1, n > 40 && n % 10 == 6 ? DAMAGED : 72);
}

static void damage_that_passes_the_check_is_not_believed(void **state)
{
    static const struct regmap_field quick[] = {
        {.name = "HR",
         .function = 3,
         .address = 1,
         .type = REGMAP_U16,
         .scale = 1,
         .code = 147842},
        {.name = "SpO2",
         .function = 3,
         .address = 2,
         .type = REGMAP_U16,
         .scale = 1,
         .code = 150456},
    };
    static const struct regmap quick_map = {.name = "quick",
                                            .every_ms = 20,
                                            .response_ms = 20,
                                            .fields = quick,
                                            .field_count = 2};
    static struct rig rig;
    struct bus_device device = {.unit = 7, .map = &quick_map};
    struct bus_item item;
    struct bus *bus;
    uint64_t until = clock_monotonic_us() + 8000000;
    unsigned samples = 0;

    (void)state;
    rig_pty(&rig, folder, 0);
    unit(&rig, 0, 7, &quick_map);
    modbus_slave_init(&rig.slave, MODBUS_RTU, rig.units, 1);
    rig.line.hooks = (struct emulate_hooks){.context = &rig, .asked = spoil};
    rig_start(&rig);
    bus = begin(&rig, &device, 1);
    while (clock_monotonic_us() < until) {
        if (!rig_await(bus, BUS_SAMPLE, &item, 100))
            continue;
        samples++;
        assert_int_equal(item.sample.set.items[0].mantissa, 72);
    }
    bus_stop(bus);
    rig_unplug(&rig);
    print_message("%u samples from %u replies, a tenth of them damaged unseen\n", samples,
                  (unsigned)rig.slave.requests);
    assert_true(samples > 20 && rig.slave.requests > 100);
}

static void bad_settings_are_refused(void **state)
{
    static const struct driver driver = {.name = "x", .state_size = 8};
    struct bus_device devices[2] = {{.unit = 7, .map = &map}, {.unit = 7, .map = &map}};
    struct bus_setting setting = {
        .line = {.path = "/dev/null", .baud = 9600, .data_bits = 8, .stop_bits = 1},
        .devices = devices};
    struct bus *bus = NULL;

    (void)state;
    assert_int_equal(bus_start(&setting, &bus), -EINVAL); /* no device */
    setting.device_count = 2;
    assert_int_equal(bus_start(&setting, &bus), -EINVAL); /* one unit twice */
    devices[1].unit = 0;
    assert_int_equal(bus_start(&setting, &bus), -EINVAL); /* broadcast */
    devices[1].unit = 248;
    assert_int_equal(bus_start(&setting, &bus), -EINVAL);
    devices[1] = (struct bus_device){.driver = &driver};
    assert_int_equal(bus_start(&setting, &bus),
                     -EINVAL); /* a stream beside a Modbus unit */
    devices[1] = (struct bus_device){.unit = 9};
    assert_int_equal(bus_start(&setting, &bus), -EINVAL); /* no map */
    bus_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_arrive_in_order_with_their_time),
        cmocka_unit_test(an_identity_is_told_at_each_appearing),
        cmocka_unit_test(a_pulled_adapter_is_reported_and_found_again),
        cmocka_unit_test(a_line_that_is_not_there_costs_nothing_and_stops_at_once),
        cmocka_unit_test(a_full_queue_holds_the_line_and_loses_nothing_silently),
        cmocka_unit_test(several_units_share_a_line),
        cmocka_unit_test(tcp_reads_and_reconnects),
        cmocka_unit_test(damage_that_passes_the_check_is_not_believed),
        cmocka_unit_test(bad_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
