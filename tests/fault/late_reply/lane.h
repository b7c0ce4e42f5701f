/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of the late-reply test: emulated units whose every reply is unique, a book of
 * when each was made, and faults injected into chosen requests.
 *
 * Request n of the line finds HR = 1000 + n and SpO2 = 20000 + n in every unit, so a
 * value names the request that it answered. A delivered value is right if that request
 * was for its unit and its register, and was made between the sample's `at` and `at` +
 * span; anything else is wrong: swapped, stale, foreign or made of noise.
 */
#ifndef TESTS_FAULT_LANE_H
#define TESTS_FAULT_LANE_H

#include <pthread.h>

#include "bedside/bus.h"
#include "tool/emulate_line.h"

#define LANE_UNITS     4
#define LANE_NUMBERS   18000 /* requests that have numbers of their own */
#define HR_AT          1000
#define SPO2_AT        20000
#define RESPONSE_MS    60 /* the worst time that the bus is told */
#define FAULTS_AT_ONCE 4

enum lane_kind {
    LANE_ALL,   /* all four units */
    LANE_APART, /* unit 7 alone: two requests of one shape */
    LANE_BLOCK, /* unit 9 alone: one request, no sample counter */
    LANE_KINDS,
};

struct injection {
    unsigned skip;  /* requests after the line has settled */
    unsigned count; /* requests in a row that are hit */
    struct modbus_fault fault;
    struct modbus_fault more[FAULTS_AT_ONCE - 1]; /* together with it */
    unsigned more_count;
    bool in_order; /* the slave holds up what comes after a late reply */
    const char *name;
};

struct served {
    uint64_t at_us,
        last_us; /* the same block asked again at once finds the same, until last_us */
    uint16_t address, count;
    uint8_t unit;
};

struct lane {
    struct emulate_line line;
    struct modbus_slave slave;
    struct modbus_unit units[LANE_UNITS];
    struct modbus_fault faults[FAULTS_AT_ONCE];
    char link[200];
    int stop_fd;
    pthread_t thread;

    pthread_mutex_t lock;
    struct served book[LANE_NUMBERS];
    unsigned requests, bad_functions;
    struct injection armed;
    bool is_armed, done;
    unsigned since; /* requests since it was armed */
};

extern const struct regmap lane_apart, lane_counted, lane_block;

/* Opens a pty in folder and starts its thread. */
void lane_open(struct lane *lane, const char *folder, unsigned index, uint32_t baud);
void lane_close(struct lane *lane);
/* Fills the settings of a bus for this line; returns how many devices it has. */
size_t lane_settings(const struct lane *lane, enum lane_kind kind, struct port_line *line,
                     struct bus_device *devices);

/* Injects into the request skip + 1 from now on. */
void lane_arm(struct lane *lane, const struct injection *injection);
bool lane_hit(struct lane *lane); /* it was injected */

/* Why a value is wrong; NULL if it is right. hr: which of the two quantities it is said
 * to be. */
const char *lane_judge(struct lane *lane, uint8_t unit, bool hr, int64_t value,
                       uint64_t at_us, uint64_t until_us);

/* The same scenario with plain libmodbus calls. Returns how many of `polls` were wrong.
 */
unsigned plain_run(const char *folder, bool flush, unsigned polls, unsigned *shifted);

#endif
