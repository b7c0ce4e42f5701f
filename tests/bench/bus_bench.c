/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bus makes of a line, against what the line can carry. The emulated slave keeps
 * the time of a real wire byte by byte (11 bits a character), so the limit is the formula
 * of the standard: (8 + 5 + 2N) characters and two silences of 3.5 for a read of N
 * registers.
 *
 * bus_bench [--quick | --long]: prints one JSON object a figure.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

#define REGISTERS 10
#define LIVE      7

static struct regmap_field fields[REGISTERS];
static struct regmap map = {.name = "bench",
                            .every_ms = 1,
                            .response_ms = 200,
                            .fields = fields,
                            .field_count = REGISTERS};

static void figure(const char *name, double value, const char *unit, const char *against,
                   double goal, bool higher)
{
    (void)printf("{\"name\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"against\":\"%s\","
                 "\"goal\":%.4g,"
                 "\"better\":\"%s\",\"holds\":%s}\n",
                 name, value, unit, against, goal, higher ? "higher" : "lower",
                 (higher ? value >= goal : value <= goal) ? "true" : "false");
    (void)fflush(stdout);
}

static void units(struct rig *rig, size_t n, uint32_t turnaround_us)
{
    memset(rig, 0, sizeof *rig);
    for (size_t i = 0; i < n; i++) {
        if (modbus_unit_init(&rig->units[i], (uint8_t)(i + 1), &map) != 0)
            abort();
        rig->units[i].turnaround_us = turnaround_us;
    }
    modbus_slave_init(&rig->slave, MODBUS_RTU, rig->units, n);
}

static void drain(struct bus *bus, uint64_t until_us, uint64_t *samples,
                  uint64_t *first_us)
{
    static struct bus_item item;

    while (clock_monotonic_us() < until_us) {
        while (bus_take(bus, &item)) {
            if (item.kind == BUS_SAMPLE && samples[item.device]++ == 0)
                first_us[item.device] = clock_monotonic_us();
        }
        usleep(5000);
    }
}

/* One device, asked without a pause. */
static void wire_use(const char *folder, uint32_t baud, double goal, unsigned seconds)
{
    static struct rig rig;
    struct bus_device device = {.unit = 1, .map = &map};
    struct bus_setting setting = {.devices = &device, .device_count = 1};
    uint64_t samples[1] = {0}, first[1] = {0}, began, before, after;
    struct bus_statistics one, two;
    struct bus *bus;
    char name[64];
    double limit, rate;

    units(&rig, 1, 0);
    rig_pty(&rig, folder, baud);
    setting.line = rig_line(&rig);
    rig.units[0].turnaround_us = port_gap_us(&setting.line);
    rig_start(&rig);
    if (bus_start(&setting, &bus) != 0)
        abort();
    drain(bus, clock_monotonic_us() + 1000000, samples, first);
    (void)bus_statistics(bus, 0, &one);
    began = clock_monotonic_us();
    before = one.answered;
    drain(bus, began + seconds * UINT64_C(1000000), samples, first);
    (void)bus_statistics(bus, 0, &two);
    after = two.answered;
    rate = (double)(after - before) * 1e6 / (double)(clock_monotonic_us() - began);
    limit = 1e6 / (double)(port_chars_us(&setting.line, 8 + 5 + 2 * REGISTERS) +
                           UINT64_C(2) * port_gap_us(&setting.line));
    (void)snprintf(name, sizeof name, "bus_wire_use_%" PRIu32, baud);
    figure(name, rate / limit, "ratio", "polls the wire can carry, 10 registers, 8E1",
           goal, true);
    bus_stop(bus);
    rig_unplug(&rig);
}

/* Seven live devices and a dead one. */
static void dead_slave(const char *folder, unsigned seconds)
{
    static struct rig rig;
    struct bus_device devices[LIVE + 1];
    struct bus_setting setting = {.devices = devices, .device_count = LIVE + 1};
    uint64_t samples[LIVE + 1] = {0}, first[LIVE + 1] = {0}, began, back;
    const uint32_t every_ms = 200; /* 7 x 5 polls a second: 80 % of the line */
    struct bus *bus;
    double worst = 1e9;

    units(&rig, LIVE + 1, 2007);
    rig.units[LIVE].dead = true;
    for (size_t i = 0; i <= LIVE; i++)
        devices[i] = (struct bus_device){.unit = (uint8_t)(i + 1),
                                         .map = &map,
                                         .every_ms = every_ms};
    rig_pty(&rig, folder, 19200);
    setting.line = rig_line(&rig);
    rig_start(&rig);
    if (bus_start(&setting, &bus) != 0)
        abort();
    drain(bus, clock_monotonic_us() + 1000000, samples, first);
    memset(samples, 0, sizeof samples);
    began = clock_monotonic_us();
    drain(bus, began + seconds * UINT64_C(1000000), samples, first);
    for (size_t i = 0; i < LIVE; i++) {
        double rate =
            (double)samples[i] * every_ms * 1000 / (double)(clock_monotonic_us() - began);

        worst = rate < worst ? rate : worst;
    }
    figure("bus_dead_slave_live_rate", worst, "ratio",
           "the slowest of 7 live ones' own rate, 19200", 0.95, true);
    rig_halt(&rig);
    rig.units[LIVE].dead = false;
    rig_start(&rig);
    back = clock_monotonic_us();
    while (samples[LIVE] == 0 && clock_monotonic_us() < back + 30000000)
        drain(bus, clock_monotonic_us() + 20000, samples, first);
    figure("bus_dead_slave_return", (double)(clock_monotonic_us() - back) / 1e6, "s",
           "from its return to its first sample", 20, false);
    bus_stop(bus);
    rig_unplug(&rig);
}

int main(int argc, char **argv)
{
    unsigned seconds = 8, dead_seconds = 30;
    char folder[256];

    if (argc == 2 && strcmp(argv[1], "--long") == 0) {
        seconds = 30;
        dead_seconds = 120;
    } else if (argc == 2 && strcmp(argv[1], "--quick") == 0) {
        seconds = 3;
        dead_seconds = 10;
    } else if (argc != 1) {
        return 64;
    }
    for (uint16_t i = 0; i < REGISTERS; i++)
        fields[i] = (struct regmap_field){.name = "r",
                                          .function = 3,
                                          .address = i,
                                          .type = REGMAP_U16,
                                          .scale = 1,
                                          .code = 147842};
    if (temporary_folder(folder) != 0)
        return 1;
    wire_use(folder, 9600, 0.97, seconds);
    wire_use(folder, 19200, 0.97, seconds);
    wire_use(folder, 115200, 0.90, seconds);
    dead_slave(folder, dead_seconds);
    temporary_remove(folder);
    return 0;
}
