/* SPDX-License-Identifier: Apache-2.0
 *
 * Modbus ASCII on a pty, and RTU and ASCII through a device server (TCP): every function
 * that may leave, every fault, and never a value from a reply that is not the answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ports/port_modbus.h"
#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

#define REPORT "Emulated freezer 7"

static const struct regmap_field fields[] = {
    {.name = "a", .function = 3, .address = 0, .type = REGMAP_U16, .scale = 1},
    {.name = "b", .function = 3, .address = 9, .type = REGMAP_U16, .scale = 1},
    {.name = "c", .function = 4, .address = 20, .type = REGMAP_U16, .scale = 1},
    {.name = "d", .function = 1, .address = 770, .type = REGMAP_BIT},
    {.name = "e", .function = 2, .address = 5, .type = REGMAP_BIT},
};
static const struct regmap map = {.name = "test", .fields = fields, .field_count = 5};

static const struct way {
    const char *name;
    enum modbus_framing slave;
    enum port_framing port;
    bool tcp;
} ways[] = {
    {"ascii on a pty", MODBUS_ASCII, PORT_FRAMING_ASCII, false},
    {"rtu over tcp", MODBUS_RTU, PORT_FRAMING_RTU, true},
    {"ascii over tcp", MODBUS_ASCII, PORT_FRAMING_ASCII, true},
};

static char folder[256];
static struct rig rig;
static struct modbus_fault fault;

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

static struct port_modbus *open_way(const struct way *way)
{
    struct port_modbus *port = NULL;
    struct port_line line;

    memset(&rig, 0, sizeof rig);
    assert_int_equal(modbus_unit_init(&rig.units[0], 7, &map), EMULATE_OK);
    for (uint16_t r = 0; r < 10; r++)
        (void)modbus_unit_set_raw(&rig.units[0], 3, r, (uint16_t)(100 + r));
    (void)modbus_unit_set_raw(&rig.units[0], 4, 20, 0xABCD);
    (void)modbus_unit_set_raw(&rig.units[0], 1, 770, 1);
    (void)modbus_unit_set_raw(&rig.units[0], 2, 5, 1);
    rig.units[0].report = REPORT;
    rig.units[0].identity[0] = "wardgate";
    rig.units[0].identity[1] = "freezer";
    rig.units[0].turnaround_us = 2000;
    modbus_slave_init(&rig.slave, way->slave, rig.units, 1);
    rig.slave.faults = &fault;
    if (way->tcp)
        assert_int_equal(emulate_line_tcp(&rig.line, "127.0.0.1", 0, &rig.slave), 0);
    else
        rig_pty(&rig, folder, 0);
    if (!way->tcp && way->slave == MODBUS_ASCII) {
        rig.line.emulator = &modbus_ascii_emulator;
        rig.line.slave = &rig.slave;
    }
    rig_start(&rig);
    line = rig_line(&rig);
    line.framing = (uint8_t)way->port;
    line.data_bits = way->port == PORT_FRAMING_ASCII ? 7 : 8;
    line.parity = DRIVER_PARITY_NONE; /* a pty refuses the other */
    assert_int_equal(port_modbus_open(&line, &port), PORT_OK);
    return port;
}

static int ask(struct port_modbus *port, uint8_t function, uint16_t address,
               uint16_t count, struct port_modbus_reply *reply)
{
    const struct port_modbus_request request = {.unit = 7,
                                                .function = function,
                                                .address = address,
                                                .count = count,
                                                .timeout_us = 150000,
                                                .worst_us = 300000};

    return port_modbus_ask(port, &request, reply);
}

static void every_function_is_answered(void **state)
{
    (void)state;
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        struct port_modbus *port = open_way(&ways[w]);
        struct port_modbus_reply reply;

        assert_int_equal(ask(port, 3, 2, 3, &reply), PORT_OK);
        assert_int_equal(reply.size, 6);
        assert_memory_equal(reply.data, ((const uint8_t[]){0, 102, 0, 103, 0, 104}), 6);
        assert_int_equal(ask(port, 4, 20, 1, &reply), PORT_OK);
        assert_memory_equal(reply.data, ((const uint8_t[]){0xAB, 0xCD}), 2);
        assert_int_equal(ask(port, 1, 770, 1, &reply), PORT_OK);
        assert_int_equal(reply.data[0], 1);
        assert_int_equal(ask(port, 2, 5, 1, &reply), PORT_OK);
        assert_int_equal(reply.data[0], 1);
        assert_int_equal(ask(port, 17, 0, 0, &reply), PORT_OK);
        assert_int_equal(reply.size, 2 + strlen(REPORT));
        assert_memory_equal(reply.data + 2, REPORT, strlen(REPORT));
        assert_int_equal(ask(port, 43, 1, 0, &reply), PORT_OK);
        assert_int_equal(reply.size, 6 + 6 + strlen("wardgate") + strlen("freezer"));
        assert_memory_equal(reply.data + 8, "wardgate", 8);
        assert_int_equal(ask(port, 3, 500, 1, &reply), PORT_EXCEPTION);
        assert_int_equal(reply.exception, 2);
        assert_int_equal(ask(port, 6, 0, 1, &reply), PORT_REFUSED);
        assert_int_equal(ask(port, 3, 0, 126, &reply), PORT_REFUSED);
        port_modbus_close(port);
        rig_unplug(&rig);
        assert_int_equal(rig.slave.writes, 0);
        assert_int_equal(rig.slave.bad_frames, 0);
    }
}

static void set_fault(struct modbus_fault now, bool on)
{
    rig_halt(&rig);
    fault = now;
    rig.slave.fault_count = on;
    rig_start(&rig);
}

/* After each fault the line answers again, with the right value, on the same connection.
 */
static void a_bad_reply_is_no_value_and_the_next_is_good(void **state)
{
    static const struct modbus_fault faults[] = {
        {.kind = MODBUS_FAULT_SILENT},
        {.kind = MODBUS_FAULT_LATE, .value = 210000},
        {.kind = MODBUS_FAULT_SHORT, .value = 10},
        {.kind = MODBUS_FAULT_FOREIGN, .value = 8},
        {.kind = MODBUS_FAULT_FLIP, .value = 33},
        {.kind = MODBUS_FAULT_GARBAGE, .value = 20},
        {.kind = MODBUS_FAULT_TWICE, .value = 20000},
    };
    size_t refused = 0;

    (void)state;
    for (size_t w = 0; w < 2; w++) {
        struct port_modbus *port = open_way(&ways[w]);
        struct port_modbus_reply reply;

        for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
            bool twice = faults[i].kind == MODBUS_FAULT_TWICE;
            int error;

            set_fault(faults[i], true);
            error = ask(port, 3, 2, 3, &reply);
            /* A second copy may also come after the first was taken: both are right. */
            if (error == PORT_OK)
                assert_memory_equal(reply.data,
                                    ((const uint8_t[]){0, 102, 0, 103, 0, 104}), 6);
            if (error == PORT_OK && !twice)
                fail_msg("%s: fault %zu was not seen", ways[w].name, i);
            refused += error != PORT_OK;
            set_fault(faults[i], false);
            usleep(twice ? 150000 : 0); /* the copy has left */
            assert_int_equal(ask(port, 3, 5, 3, &reply), PORT_OK);
            assert_memory_equal(reply.data, ((const uint8_t[]){0, 105, 0, 106, 0, 107}),
                                6);
        }
        port_modbus_close(port);
        rig_unplug(&rig);
    }
    print_message("%zu faults, %zu replies refused, no wrong value\n",
                  sizeof faults / sizeof faults[0] * 2, refused);
}

/* An ASCII line is taken for oneself like any other, and 7 bits are no RTU. */
static void lines_are_set_or_refused(void **state)
{
    struct port_modbus *port = open_way(&ways[0]), *second = NULL;
    struct port_line line = rig_line(&rig);

    (void)state;
    line.parity = DRIVER_PARITY_NONE;
    line.framing = PORT_FRAMING_ASCII;
    assert_int_equal(port_modbus_open(&line, &second), PORT_BUSY);
    port_modbus_close(port);
    line.data_bits = 7;
    line.framing = PORT_FRAMING_USUAL;
    assert_int_equal(port_modbus_open(&line, &second), PORT_SETTING);
    line.baud = 1234;
    line.framing = PORT_FRAMING_ASCII;
    assert_int_equal(port_modbus_open(&line, &second), PORT_SETTING);
    rig_unplug(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_function_is_answered),
        cmocka_unit_test(a_bad_reply_is_no_value_and_the_next_is_good),
        cmocka_unit_test(lines_are_set_or_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
