/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fault/late_reply/lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

#define AGAIN_US 30000
#define SLACK_US 1000 /* rounding of the wire's time */

/* Two quantities in two requests of the same shape: the worst map there is. */
static const struct regmap_field apart[] = {
    {.name = "HR",
     .function = 3,
     .address = 0,
     .type = REGMAP_U16,
     .scale = 1,
     .code = 147842},
    {.name = "SpO2",
     .function = 3,
     .address = 100,
     .type = REGMAP_U16,
     .scale = 1,
     .code = 150456},
};
/* A block with a sample counter, as a good map has it. */
static const struct regmap_field counted[] = {
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
/* A block without. */
static const struct regmap_field block[] = {
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

const struct regmap lane_apart = {.name = "apart",
                                  .every_ms = 50,
                                  .response_ms = RESPONSE_MS,
                                  .fields = apart,
                                  .field_count = 2};
const struct regmap lane_counted = {.name = "counted",
                                    .every_ms = 50,
                                    .response_ms = RESPONSE_MS,
                                    .fields = counted,
                                    .field_count = 3};
const struct regmap lane_block = {.name = "block",
                                  .every_ms = 50,
                                  .response_ms = RESPONSE_MS,
                                  .fields = block,
                                  .field_count = 2};

static const struct regmap *const maps[LANE_UNITS] = {&lane_apart, &lane_counted,
                                                      &lane_block, &lane_block};

/* Called in the line's thread before a request is answered. */
static void asked(void *context, uint8_t address, uint8_t function, uint16_t first,
                  uint16_t count, uint64_t now)
{
    struct lane *lane = context;
    struct served *last;
    bool again;
    uint16_t n;

    pthread_mutex_lock(&lane->lock);
    last = &lane->book[lane->requests % LANE_NUMBERS];
    /* The same block again at once is a confirmation: it must find the same. */
    again = last->unit == address && last->address == first && last->count == count &&
            now < last->at_us + AGAIN_US;
    n = (uint16_t)((again ? lane->requests : ++lane->requests) % LANE_NUMBERS);
    if (!again)
        lane->book[n] = (struct served){.at_us = now,
                                        .address = first,
                                        .count = count,
                                        .unit = address};
    lane->book[n].last_us = now;
    lane->bad_functions += function != 3;
    for (size_t i = 0; i < LANE_UNITS; i++) {
        struct modbus_unit *unit = &lane->units[i];
        uint16_t hr = i == 0 ? 0 : 1, spo2 = i == 0 ? 100 : 2;

        (void)modbus_unit_set_raw(unit, 3, hr, (uint16_t)(HR_AT + n));
        (void)modbus_unit_set_raw(unit, 3, spo2, (uint16_t)(SPO2_AT + n));
        if (i == 1)
            (void)modbus_unit_set_raw(unit, 3, 0, n);
    }
    lane->slave.fault_count = 0;
    if (lane->is_armed) {
        unsigned k = lane->since++;

        if (k >= lane->armed.skip && k < lane->armed.skip + lane->armed.count) {
            lane->faults[0] = lane->armed.fault;
            memcpy(lane->faults + 1, lane->armed.more, sizeof lane->armed.more);
            lane->slave.fault_count = 1 + lane->armed.more_count;
            lane->line.in_order = lane->armed.in_order;
        }
        lane->done = lane->since >= lane->armed.skip + lane->armed.count;
    }
    pthread_mutex_unlock(&lane->lock);
}

static void *run(void *context)
{
    struct lane *lane = context;

    (void)emulate_line_run(&lane->line, lane->stop_fd);
    return NULL;
}

void lane_open(struct lane *lane, const char *folder, unsigned index, uint32_t baud)
{
    memset(lane, 0, sizeof *lane);
    (void)snprintf(lane->link, sizeof lane->link, "%.150s/line%u", folder, index);
    pthread_mutex_init(&lane->lock, NULL);
    for (size_t i = 0; i < LANE_UNITS; i++) {
        if (modbus_unit_init(&lane->units[i], (uint8_t)(7 + i), maps[i]) != 0)
            abort();
        lane->units[i].turnaround_us = 5000;
    }
    modbus_slave_init(&lane->slave, MODBUS_RTU, lane->units, LANE_UNITS);
    lane->slave.faults = lane->faults;
    if (emulate_line_pty(&lane->line, lane->link, baud, 11, &modbus_rtu_emulator,
                         &lane->slave) != 0)
        abort();
    lane->line.hooks = (struct emulate_hooks){.context = lane, .asked = asked};
    lane->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (lane->stop_fd < 0 || pthread_create(&lane->thread, NULL, run, lane) != 0)
        abort();
}

void lane_close(struct lane *lane)
{
    uint64_t one = 1;

    if (write(lane->stop_fd, &one, sizeof one) < 0)
        abort();
    pthread_join(lane->thread, NULL);
    close(lane->stop_fd);
    emulate_line_close(&lane->line);
}

size_t lane_settings(const struct lane *lane, enum lane_kind kind, struct port_line *line,
                     struct bus_device *devices)
{
    static const size_t only[LANE_KINDS] = {[LANE_APART] = 0, [LANE_BLOCK] = 2};

    *line = (struct port_line){.baud = lane->line.baud,
                               .data_bits = 8,
                               .parity = DRIVER_PARITY_EVEN,
                               .stop_bits = 1};
    (void)snprintf(line->path, sizeof line->path, "%s", lane->link);
    if (kind != LANE_ALL) {
        size_t i = only[kind];

        devices[0] = (struct bus_device){.unit = (uint8_t)(7 + i), .map = maps[i]};
        return 1;
    }
    for (size_t i = 0; i < LANE_UNITS; i++)
        devices[i] = (struct bus_device){.unit = (uint8_t)(7 + i), .map = maps[i]};
    return LANE_UNITS;
}

void lane_arm(struct lane *lane, const struct injection *injection)
{
    pthread_mutex_lock(&lane->lock);
    lane->armed = *injection;
    lane->is_armed = true;
    lane->done = false;
    lane->since = 0;
    pthread_mutex_unlock(&lane->lock);
}

bool lane_hit(struct lane *lane)
{
    bool done;

    pthread_mutex_lock(&lane->lock);
    done = lane->done;
    pthread_mutex_unlock(&lane->lock);
    return done;
}

const char *lane_judge(struct lane *lane, uint8_t unit, bool hr, int64_t value,
                       uint64_t at_us, uint64_t until_us)
{
    int64_t n = value - (hr ? HR_AT : SPO2_AT);
    uint16_t address = unit == 7 ? (hr ? 0 : 100) : (hr ? 1 : 2);
    struct served served;

    if (n < 0 || n >= LANE_NUMBERS)
        return "another quantity's value, or noise";
    pthread_mutex_lock(&lane->lock);
    served = lane->book[n];
    pthread_mutex_unlock(&lane->lock);
    if (served.unit != unit)
        return "another unit's value";
    if (address < served.address || address >= served.address + served.count)
        return "the answer to a request for other registers";
    if (served.last_us + SLACK_US < at_us)
        return "the answer to an earlier request";
    if (served.at_us > until_us + SLACK_US)
        return "the answer to a later request";
    return NULL;
}
