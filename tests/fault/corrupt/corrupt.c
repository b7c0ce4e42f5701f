/* SPDX-License-Identifier: Apache-2.0
 *
 * corrupt FRAMES EXCHANGES LATE [SEED]: promise P4 against corrupt Modbus frames. FRAMES
 * at the decoder and as many random bodies; EXCHANGES through the bus on ptys (flipped
 * bits, bursts, truncated, foreign, doubled); LATE replies in real time. Every reply on a
 * line is unique and says which request it answers (late_reply/lane.h): not one value may
 * be delivered that is not the answer.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/fault/corrupt/decoder.h"
#include "tests/fault/late_reply/lane.h"
#include "tests/unit/temporary.h"

#define LANES     48
#define SETTLE_US UINT64_C(20000000)
/* A reply that others have overtaken comes before the next fault: overtaken and, when it
 * comes, in the place of one that is lost, is what bus_trust.h says remains. Replies in
 * order, as devices and lines have them, may meet as they like. */
#define OVERTAKEN_US 300000
#define FRAME        88 /* bits of an answer with three registers */
#define ROUND        5  /* requests of a round */

struct worker {
    pthread_t thread;
    unsigned index;
    uint64_t state, hit, samples, values, wrong, stuck;
};

static char folder[256];
static atomic_uint_fast64_t left;
static bool late_only;

/* One of the five ways, or a late reply. */
static struct injection next_fault(uint64_t *state)
{
    uint64_t luck = draw(state);
    struct injection it = {.count = 1,
                           .skip = (unsigned)(luck % ROUND),
                           .in_order = (luck >> 8 & 1) != 0};

    if (late_only) {
        it.name = "late";
        it.fault = (struct modbus_fault){.kind = MODBUS_FAULT_LATE,
                                         .value = 2000 + (uint32_t)(luck >> 16) % 240000};
        return it;
    }
    switch ((luck >> 4) % 5) {
    case 0:
        it.name = "flips";
        it.fault = (struct modbus_fault){.kind = MODBUS_FAULT_FLIP,
                                         .value = (uint32_t)(luck >> 16) % FRAME};
        it.more_count = (unsigned)(luck >> 32) % 3;
        for (unsigned i = 0; i < it.more_count; i++)
            it.more[i] =
                (struct modbus_fault){.kind = MODBUS_FAULT_FLIP,
                                      .value = (it.fault.value + 1 +
                                                (uint32_t)draw(state) % (FRAME - 2)) %
                                               FRAME};
        break;
    case 1:
        it.name = "burst";
        it.fault = (struct modbus_fault){.kind = MODBUS_FAULT_BURST,
                                         .value = ((uint32_t)(luck >> 16) % FRAME) << 16 |
                                                  1U | (uint32_t)(luck >> 40 & 0xFFFE)};
        break;
    case 2:
        it.name = "truncated";
        it.fault = (struct modbus_fault){.kind = MODBUS_FAULT_SHORT,
                                         .value = (uint32_t)(luck >> 16) % 11};
        break;
    case 3:
        it.name = "foreign";
        it.fault = (struct modbus_fault){.kind = MODBUS_FAULT_FOREIGN,
                                         .value = 7 + (uint32_t)(luck >> 16) % 6};
        break;
    default:
        it.name = "doubled";
        it.fault = (struct modbus_fault){.kind = MODBUS_FAULT_TWICE,
                                         .value = (uint32_t)(luck >> 16) % 120000};
        break;
    }
    return it;
}

static void judge(struct worker *worker, struct lane *lane, uint8_t unit,
                  const struct bus_item *item, const struct injection *now)
{
    const struct observation_set *set = &item->sample.set;

    worker->samples++;
    for (size_t i = 0; i < set->count; i++) {
        bool hr = set->items[i].code == 147842;
        const char *why;

        if (set->items[i].kind != OBSERVATION_NUMERIC)
            continue;
        worker->values++;
        why = lane_judge(lane, unit, hr, set->items[i].mantissa, item->at.monotonic_us,
                         item->at.monotonic_us + item->sample.span_us);
        if (why == NULL)
            continue;
        worker->wrong++;
        (void)printf("WRONG: unit %u %s = %" PRId64 ": %s; after %s value %u\n", unit,
                     hr ? "HR" : "SpO2", set->items[i].mantissa, why, now->name,
                     now->fault.value);
    }
}

/* Until every unit was heard again. */
static bool settle(struct worker *worker, struct lane *lane, struct bus *bus,
                   const struct bus_setting *setting, const struct injection *now)
{
    const struct timespec nap = {.tv_nsec = 2000000};
    uint64_t until = clock_monotonic_us() + SETTLE_US;
    bool heard[LANE_UNITS] = {false};
    size_t ready = 0;

    while (ready < setting->device_count) {
        static _Thread_local struct bus_item item;

        if (!bus_take(bus, &item)) {
            if (clock_monotonic_us() > until)
                return false;
            (void)nanosleep(&nap, NULL);
        } else if (item.kind == BUS_SAMPLE) {
            judge(worker, lane, setting->devices[item.device].unit, &item, now);
            ready += !heard[item.device];
            heard[item.device] = true;
        }
    }
    return true;
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct lane *lane = malloc(sizeof *lane);
    struct bus_device devices[LANE_UNITS];
    struct bus_setting setting = {.devices = devices};
    struct injection now = {.name = "the start"};
    struct bus *bus;

    if (lane == NULL)
        abort();
    lane_open(lane, folder, worker->index, 115200);
    setting.device_count =
        lane_settings(lane, worker->index % LANE_KINDS, &setting.line, devices);
    if (bus_start(&setting, &bus) != 0 || !settle(worker, lane, bus, &setting, &now))
        abort();
    for (;;) {
        uint_fast64_t n = atomic_load(&left);
        bool well = true;
        uint64_t until;

        while (n > 0 && !atomic_compare_exchange_weak(&left, &n, n - 1))
            ;
        if (n == 0)
            break;
        now = next_fault(&worker->state);
        lane_arm(lane, &now);
        while (well && !lane_hit(lane))
            well = settle(worker, lane, bus, &setting, &now);
        until = clock_monotonic_us() + (now.in_order ? 0 : OVERTAKEN_US);
        do
            well = well && settle(worker, lane, bus, &setting, &now);
        while (well && clock_monotonic_us() < until);
        worker->hit += lane_hit(lane);
        worker->stuck += !well;
    }
    bus_stop(bus);
    lane_close(lane);
    worker->stuck += lane->slave.writes > 0;
    free(lane);
    return NULL;
}

/* count faults on lines at a time. */
static bool on_lines(const char *what, uint64_t count, uint64_t seed, bool late)
{
    static struct worker workers[LANES];
    struct worker sum = {0};
    bool good;

    if (count == 0)
        return true;
    late_only = late;
    atomic_store(&left, count);
    for (unsigned i = 0; i < LANES; i++) {
        workers[i] = (struct worker){.index = i, .state = seed + i};
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < LANES; i++) {
        pthread_join(workers[i].thread, NULL);
        sum.hit += workers[i].hit;
        sum.samples += workers[i].samples;
        sum.values += workers[i].values;
        sum.wrong += workers[i].wrong;
        sum.stuck += workers[i].stuck;
    }
    good = sum.hit == count && sum.wrong == 0 && sum.stuck == 0;
    (void)printf("%s: %s: %" PRIu64 " of %" PRIu64 " replies, %" PRIu64
                 " samples delivered, %" PRIu64 " values, wrong %" PRIu64
                 ", not recovered %" PRIu64 "\n",
                 good ? "pass" : "fail", what, sum.hit, count, sum.samples, sum.values,
                 sum.wrong, sum.stuck);
    return good;
}

static bool verdict(const char *what, bool good)
{
    (void)printf("%s: %s\n", good ? "pass" : "fail", what);
    return good;
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 4 ? strtoull(argv[4], NULL, 10) : 1;
    uint64_t frames, exchanges, late;
    bool good;

    if (argc < 4 || temporary_folder(folder) != 0)
        return 64;
    frames = strtoull(argv[1], NULL, 10);
    exchanges = strtoull(argv[2], NULL, 10);
    late = strtoull(argv[3], NULL, 10);
    (void)printf("seed %" PRIu64 "\n", seed);
    good = verdict("corrupt frames at the decoder", decoder_corrupt(frames, seed));
    good = verdict("random bodies", decoder_random(frames, seed + 1)) && good;
    good = on_lines("corrupt replies through ptys", exchanges, seed + 2, false) && good;
    good = on_lines("late replies in real time", late, seed + 3, true) && good;
    temporary_remove(folder);
    return good ? 0 : 1;
}
