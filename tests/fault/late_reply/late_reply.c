/* SPDX-License-Identifier: Apache-2.0
 *
 * Promise P4 on an RTU line: a slave answers late, twice, short, with another's id, with
 * bits flipped, with noise, with its own echo, or not at all, at every request of the
 * line's round in turn. Not one wrong value may be delivered, and every unit must be
 * heard again. Beside it, the same with plain libmodbus calls, which must go wrong, or
 * this test would prove nothing.
 *
 * late_reply [--quick | --long] [--seed N]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/fault/late_reply/lane.h"
#include "tests/unit/temporary.h"

#define LANES      60 /* lines at a time, a third of each kind: each mostly waits */
#define RECOVER_US UINT64_C(20000000)
#define ROUND      5 /* requests of one round: two of unit 7, one each of 8, 9 and 10 */
#define CASES_MAX  20000

static struct injection cases[CASES_MAX];
static size_t case_count;
static atomic_size_t next_case[LANE_KINDS]; /* each kind of line meets every case */

static void add(const char *name, uint8_t kind, uint32_t value, unsigned count,
                bool in_order)
{
    for (unsigned skip = 0; skip < ROUND && case_count < CASES_MAX; skip++)
        cases[case_count++] = (struct injection){.name = name,
                                                 .skip = skip,
                                                 .count = count,
                                                 .in_order = in_order,
                                                 .fault = {.kind = kind, .value = value}};
}

/* step: every how-manieth value is taken; 1 in the long run. */
static void make_cases(unsigned step)
{
    for (uint32_t ms = 2; ms < 240; ms += 3 * step) {
        add("late", MODBUS_FAULT_LATE, ms * 1000, 1, false);
        add("late, in order", MODBUS_FAULT_LATE, ms * 1000, 1, true);
    }
    for (uint32_t ms = 1; ms < 120; ms += 2 * step)
        add("twice", MODBUS_FAULT_TWICE, ms * 1000, 1, false);
    for (uint32_t us = 100; us < 12000;
         us += 400 * step) /* around the next request's reply */
        add("twice", MODBUS_FAULT_TWICE, us, 1, false);
    for (uint32_t ms = 55; ms < 75; ms += 2 * step)
        add("all late", MODBUS_FAULT_LATE, ms * 1000, 8, true);
    for (uint32_t bytes = 0; bytes<11; bytes += step> 2 ? 2 : 1)
        add("short", MODBUS_FAULT_SHORT, bytes, 1, false);
    for (uint32_t unit = 7; unit < 12; unit++)
        add("foreign", MODBUS_FAULT_FOREIGN, unit, 1, false);
    for (uint32_t bit = 0; bit < 88; bit += step)
        add("flip", MODBUS_FAULT_FLIP, bit, 1, false);
    for (uint32_t bytes = 1; bytes < 30; bytes += 2 * step)
        add("garbage", MODBUS_FAULT_GARBAGE, bytes, 1, false);
    add("silent", MODBUS_FAULT_SILENT, 0, 1, false);
    add("silent", MODBUS_FAULT_SILENT, 0, 3, false);
    add("exception", MODBUS_FAULT_EXCEPTION, 6, 1, false);
    add("echo", MODBUS_FAULT_ECHO, 0, 1, false);
    add("echo", MODBUS_FAULT_ECHO, 0, 8, false);
}

struct tally {
    uint64_t values, wrong, samples, hit, unrecovered, writes, requests;
    uint64_t worst_recovery_us;
};

struct worker {
    const char *folder;
    unsigned index;
    struct tally tally;
    pthread_t thread;
};

/* Judges one sample. */
static void judge(struct lane *lane, uint8_t unit, const struct bus_item *item,
                  const struct injection *now, struct tally *tally)
{
    const struct observation_set *set = &item->sample.set;

    tally->samples++;
    for (size_t i = 0; i < set->count; i++) {
        bool hr = set->items[i].code == 147842;
        const char *why;

        if (set->items[i].kind != OBSERVATION_NUMERIC)
            continue;
        tally->values++;
        why = lane_judge(lane, unit, hr, set->items[i].mantissa, item->at.monotonic_us,
                         item->at.monotonic_us + item->sample.span_us);
        if (why == NULL)
            continue;
        tally->wrong++;
        (void)printf("WRONG: unit %u %s = %" PRId64
                     ": %s; after %s value %u at request %u\n",
                     unit, hr ? "HR" : "SpO2", set->items[i].mantissa, why, now->name,
                     now->fault.value, now->skip + 1);
    }
}

/* Takes items until each unit was heard `rounds` times. False if one is not in time. */
static bool settle(struct lane *lane, struct bus *bus, const struct bus_setting *setting,
                   const struct injection *now, unsigned rounds, struct tally *tally)
{
    uint64_t until = clock_monotonic_us() + RECOVER_US;
    unsigned heard[LANE_UNITS] = {0};
    size_t ready = 0;
    struct timespec nap = {.tv_nsec = 2000000};

    while (ready < setting->device_count) {
        static _Thread_local struct bus_item item;

        if (!bus_take(bus, &item)) {
            if (clock_monotonic_us() > until)
                return false;
            (void)nanosleep(&nap, NULL);
            continue;
        }
        if (item.kind == BUS_SAMPLE) {
            judge(lane, setting->devices[item.device].unit, &item, now, tally);
            ready += ++heard[item.device] == rounds;
        }
    }
    return true;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct tally *tally = &worker->tally;
    struct lane *lane = malloc(sizeof *lane);
    struct bus_device devices[LANE_UNITS];
    struct bus_setting setting = {.devices = devices};
    const struct injection none = {.name = "the start"};
    enum lane_kind kind = worker->index % LANE_KINDS;
    struct bus *bus;
    size_t c;

    if (lane == NULL)
        abort();
    lane_open(lane, worker->folder, worker->index, 115200);
    setting.device_count = lane_settings(lane, kind, &setting.line, devices);
    if (bus_start(&setting, &bus) != 0 || !settle(lane, bus, &setting, &none, 10, tally))
        abort();
    while ((c = atomic_fetch_add(&next_case[kind], 1)) < case_count) {
        uint64_t began = clock_monotonic_us();
        bool well;

        lane_arm(lane, &cases[c]);
        do
            well = settle(lane, bus, &setting, &cases[c], 1, tally);
        while (well && !lane_hit(lane));
        well = well && settle(lane, bus, &setting, &cases[c], 3, tally);
        tally->hit += lane_hit(lane);
        if (!well) {
            tally->unrecovered++;
            (void)printf("NOT RECOVERED: %s value %u at request %u\n", cases[c].name,
                         cases[c].fault.value, cases[c].skip + 1);
        } else if (clock_monotonic_us() - began > tally->worst_recovery_us) {
            tally->worst_recovery_us = clock_monotonic_us() - began;
        }
    }
    bus_stop(bus);
    lane_close(lane);
    tally->writes = lane->slave.writes + lane->bad_functions;
    tally->requests = lane->requests;
    free(lane);
    return NULL;
}

static void run_bus(const char *folder, struct tally *sum)
{
    static struct worker workers[LANES];

    for (unsigned i = 0; i < LANES; i++) {
        workers[i] = (struct worker){.folder = folder, .index = i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < LANES; i++) {
        const struct tally *t = &workers[i].tally;

        pthread_join(workers[i].thread, NULL);
        sum->values += t->values;
        sum->wrong += t->wrong;
        sum->samples += t->samples;
        sum->hit += t->hit;
        sum->unrecovered += t->unrecovered;
        sum->writes += t->writes;
        sum->requests += t->requests;
        if (t->worst_recovery_us > sum->worst_recovery_us)
            sum->worst_recovery_us = t->worst_recovery_us;
    }
}

/* True if plain libmodbus goes wrong as it is known to. */
static bool run_plain(const char *folder)
{
    unsigned shifted, flushed_shift;
    unsigned wrong = plain_run(folder, false, 60, &shifted);
    unsigned flushed = plain_run(folder, true, 60, &flushed_shift);
    bool shown = wrong > 10 && shifted > 0;

    (void)printf(
        "plain libmodbus, one reply 80 ms late: %u of 60 reads wrong, %s at the end\n",
        wrong, shifted > 0 ? "still wrong" : "right");
    (void)printf("plain libmodbus with modbus_flush() before each read: %u of 60 wrong\n",
                 flushed);
    (void)printf("%s: plain libmodbus shows the fault\n", shown ? "pass" : "fail");
    return shown;
}

int main(int argc, char **argv)
{
    struct tally sum = {0};
    unsigned step = 4;
    char folder[256];
    bool good, plain;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0)
            step = 1;
        else if (strcmp(argv[i], "--quick") == 0)
            step = 16;
        else
            return 64;
    }
    if (temporary_folder(folder) != 0)
        return 1;
    make_cases(step);
    (void)printf("%zu cases on each of %d kinds of line, %d lines\n", case_count,
                 LANE_KINDS, LANES);
    plain = run_plain(folder);
    run_bus(folder, &sum);
    temporary_remove(folder);
    (void)printf("faults injected %" PRIu64 " of %zu, requests %" PRIu64
                 ", samples %" PRIu64 ", values %" PRIu64 ", wrong %" PRIu64
                 ", not recovered %" PRIu64 ", writes asked for %" PRIu64
                 ", longest way back %" PRIu64 " ms\n",
                 sum.hit, case_count * LANE_KINDS, sum.requests, sum.samples, sum.values,
                 sum.wrong, sum.unrecovered, sum.writes, sum.worst_recovery_us / 1000);
    good = sum.hit == case_count * LANE_KINDS && sum.wrong == 0 && sum.unrecovered == 0 &&
           sum.writes == 0;
    (void)printf("%s: no wrong value, the bus recovers\n", good ? "pass" : "fail");
    return good && plain ? 0 : 1;
}
