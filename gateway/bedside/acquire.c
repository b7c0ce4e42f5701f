/* SPDX-License-Identifier: Apache-2.0
 *
 * The timetable is a small struct a device (slot) and one poll under way. acquire_next()
 * picks whoever has waited longest, acquire_result() moves the poll on and, after a
 * failure, says when to come back. Three things are easy to get wrong here and are told
 * where they happen: due times stay on their grid (take_due), a dead device may not cost
 * the live ones (fail, dead_pause), and identity comes before values (begin).
 */
#include "bedside/acquire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Phases lie on whole seconds of the clock; shorter periods on their own multiples. */
#define GRID_US        UINT64_C(1000000)
#define RETRY_FIRST_US UINT64_C(1000000)
/* The line counts as full this long after a skip. */
#define SATURATED_US UINT64_C(10000000)
/* Silent devices' share of a line with room. */
#define IDLE_SHARE 4

struct rate {
    uint64_t period_us;
    /* Stays at the time it fell due until it is polled. */
    uint64_t due_us;
};

struct slot {
    const struct regmap *map;
    /* One a field, for regmap_plan(). */
    bool *due;
    /* One a field. */
    uint8_t *rate_of;
    struct rate rates[ACQUIRE_RATES_MAX];
    size_t rate_count;
    /* Bit r: rate r was in a poll that failed and is asked for again. */
    uint32_t again;
    uint32_t failures;
    /* With failures: not before. */
    uint64_t retry_us;
    /* ACQUIRE_LOST was told, and no answer since. */
    bool lost;
    /* Identity is asked for before the next poll. */
    bool identify;
    struct acquire_count count;
};

struct acquire {
    size_t device_count;
    struct slot slots[ACQUIRE_DEVICES_MAX];
    /* No silent device is asked before: their shared budget. */
    uint64_t dead_us;
    /* When a poll of a present device was last skipped; 0: never. */
    uint64_t skipped_us;

    /* The poll under way: 1. device < device_count; 2. index < plan.count; 3. blocks
     * before index have their data, or NULL if refused. */
    bool polling;
    bool identifying;
    size_t device, index;
    /* The rates in it. */
    uint32_t mask;
    struct regmap_plan plan;
    const uint8_t *data[REGMAP_BLOCKS_MAX];
    uint8_t bytes[REGMAP_BLOCKS_MAX][ACQUIRE_BLOCK_BYTES];
};

/* All zero is a timetable without devices. */
struct acquire *acquire_new(void)
{
    return calloc(1, sizeof(struct acquire));
}

/* Each slot owns its two per-field arrays; the maps are the caller's. */
void acquire_free(struct acquire *acquire)
{
    if (acquire == NULL)
        return;
    for (size_t i = 0; i < acquire->device_count; i++) {
        free(acquire->slots[i].due);
        free(acquire->slots[i].rate_of);
    }
    free(acquire);
}

/* The rate with that period, made if it is new; ACQUIRE_RATES_MAX if there is no room. */
static size_t rate_at(struct slot *slot, uint32_t every_ms)
{
    uint64_t period = (uint64_t)every_ms * 1000;
    size_t r;

    for (r = 0; r < slot->rate_count; r++) {
        if (slot->rates[r].period_us == period)
            return r;
    }
    if (r < ACQUIRE_RATES_MAX) {
        slot->rates[r].period_us = period;
        slot->rate_count++;
    }
    return r;
}

/* Which fields an ordinary poll of these rates reads. The sample counter belongs to every
 * poll: without it nothing tells a new set from an old one. */
static void mark_due(struct slot *slot, uint32_t mask)
{
    for (size_t f = 0; f < slot->map->field_count; f++) {
        uint8_t role = slot->map->fields[f].role;

        slot->due[f] = role == REGMAP_SAMPLE ||
                       (role != REGMAP_IDENTITY && (mask >> slot->rate_of[f] & 1u) != 0);
    }
}

/* Identity, and what proves the word order with it. True if the map has an identity. */
static bool mark_identity(struct slot *slot)
{
    bool any = false;

    for (size_t f = 0; f < slot->map->field_count; f++) {
        uint8_t role = slot->map->fields[f].role;

        slot->due[f] = role == REGMAP_IDENTITY || role == REGMAP_SELFTEST;
        any = any || role == REGMAP_IDENTITY;
    }
    return any;
}

/* Sorts the fields by rate. The map is planned once as a whole, so that one that cannot
 * be asked for at all is refused now and not in the night. */
static int slot_fill(struct slot *slot, const struct acquire_device *device)
{
    uint32_t every_ms = device->every_ms != 0 ? device->every_ms : device->map->every_ms;
    struct regmap_plan plan;

    if (every_ms == 0)
        every_ms = 1000;
    (void)rate_at(slot, every_ms); /* rate 0 is the device's own */
    for (size_t f = 0; f < slot->map->field_count; f++) {
        uint32_t own = slot->map->fields[f].every_ms;
        size_t r = rate_at(slot, own != 0 ? own : every_ms);

        if (r == ACQUIRE_RATES_MAX)
            return ACQUIRE_FULL;
        slot->rate_of[f] = (uint8_t)r;
    }
    return regmap_plan(slot->map, NULL, &plan) == REGMAP_OK ? ACQUIRE_OK : ACQUIRE_PLAN;
}

/* The slot is counted only once it is complete; a refused device leaves nothing behind.
 */
int acquire_add(struct acquire *acquire, const struct acquire_device *device)
{
    struct slot *slot = &acquire->slots[acquire->device_count];
    size_t fields = device->map->field_count;
    int error;

    if (acquire->device_count == ACQUIRE_DEVICES_MAX || fields == 0)
        return ACQUIRE_FULL;
    memset(slot, 0, sizeof *slot);
    slot->map = device->map;
    slot->due = calloc(fields, sizeof *slot->due);
    slot->rate_of = calloc(fields, sizeof *slot->rate_of);
    error = slot->due != NULL && slot->rate_of != NULL ? slot_fill(slot, device)
                                                       : ACQUIRE_FULL;
    if (error != ACQUIRE_OK) {
        free(slot->due);
        free(slot->rate_of);
        return error;
    }
    acquire->device_count++;
    return ACQUIRE_OK;
}

/* A rate's last time at or before now. Readings that come together share a synced commit
 * and the wake-ups that go with it, and the requests of one line follow each other in any
 * case: so everything that is asked for once a second or faster falls due together, on
 * every line of the gateway at the same moment of the clock. Slower devices are put on
 * different seconds, since a minute's devices in one second would hold up the fast ones.
 */
static uint64_t last_due(uint64_t period_us, uint64_t now_us, size_t i, size_t count)
{
    uint64_t grid = period_us < GRID_US ? period_us : GRID_US;
    uint64_t due = now_us - now_us % grid;
    uint64_t back = period_us / grid * i / count * grid;

    /* The clock begins at boot: there may be no such time. */
    return back < due ? due - back : due;
}

/* Everything has just fallen due, so that even slow devices are first asked at once. What
 * a device was before the line went says nothing about what is there now, so identity
 * comes first again. */
void acquire_start(struct acquire *acquire, uint64_t now_us)
{
    for (size_t i = 0; i < acquire->device_count; i++) {
        struct slot *slot = &acquire->slots[i];

        for (size_t r = 0; r < slot->rate_count; r++)
            slot->rates[r].due_us =
                last_due(slot->rates[r].period_us, now_us, i, acquire->device_count);
        slot->again = 0;
        slot->failures = 0;
        slot->lost = false;
        slot->identify = true;
        slot->count.present = false;
    }
    acquire->polling = false;
    acquire->dead_us = 0;
}

/* Takes effect with the next poll; the one under way is not disturbed. */
void acquire_identify(struct acquire *acquire, size_t device)
{
    if (device < acquire->device_count)
        acquire->slots[device].identify = true;
}

/* When the slot wants the line. After a failure only its retry time counts, and for a
 * device that is lost also the budget that all lost ones share. */
static uint64_t slot_due(const struct acquire *acquire, const struct slot *slot)
{
    uint64_t due = UINT64_MAX;

    if (slot->failures > 0) {
        due = slot->retry_us;
        return slot->lost && due < acquire->dead_us ? acquire->dead_us : due;
    }
    for (size_t r = 0; r < slot->rate_count; r++) {
        if (slot->rates[r].due_us < due)
            due = slot->rates[r].due_us;
    }
    return due;
}

/* Takes every rate that is due into the poll and moves it to its next time after now: due
 * times stay on their grid, and what was missed is counted. */
static uint32_t take_due(struct acquire *acquire, struct slot *slot, uint64_t now)
{
    uint32_t mask = slot->again;

    for (size_t r = 0; r < slot->rate_count; r++) {
        struct rate *rate = &slot->rates[r];
        uint64_t behind;

        if (rate->due_us > now)
            continue;
        mask |= 1u << r;
        behind = (now - rate->due_us) / rate->period_us;
        rate->due_us += (behind + 1) * rate->period_us;
        slot->count.skipped += behind;
        if (behind > 0 && slot->count.present && slot->failures == 0)
            acquire->skipped_us = now;
    }
    slot->again = 0;
    /* Asked again before its time, after a failure: the device's own rate will do. */
    return mask != 0 ? mask : 1;
}

/* Makes the poll's plan; acquire->polling says whether there is anything in it to ask. */
static void begin(struct acquire *acquire, size_t device, uint64_t now)
{
    struct slot *slot = &acquire->slots[device];

    acquire->device = device;
    acquire->index = 0;
    acquire->identifying = slot->identify && mark_identity(slot);
    slot->identify = acquire->identifying;
    if (!acquire->identifying) {
        acquire->mask = take_due(acquire, slot, now);
        mark_due(slot, acquire->mask);
    }
    memset(acquire->data, 0, sizeof acquire->data);
    acquire->polling = regmap_plan(slot->map, slot->due, &acquire->plan) == REGMAP_OK &&
                       acquire->plan.count > 0;
    if (!acquire->polling) { /* nothing to ask: not before the rates come round again */
        slot->identify = false;
        slot->failures = 0;
    }
}

/* A poll under way is finished before anyone else is asked: its blocks are to be as close
 * together as they can be. */
void acquire_next(struct acquire *acquire, uint64_t now_us, struct acquire_step *step)
{
    memset(step, 0, sizeof *step);
    while (!acquire->polling) {
        size_t device = 0;
        uint64_t due = UINT64_MAX;

        /* The one that has waited longest; so a full line is shared evenly. */
        for (size_t i = 0; i < acquire->device_count; i++) {
            uint64_t at = slot_due(acquire, &acquire->slots[i]);

            if (at < due) {
                due = at;
                device = i;
            }
        }
        if (due > now_us) {
            step->wake_us = due;
            return;
        }
        begin(acquire, device, now_us);
    }
    step->request = true;
    step->wake_us = now_us;
    step->device = acquire->device;
    step->index = acquire->index;
    step->block = acquire->plan.blocks[acquire->index];
}

/* How long silent devices together leave the line alone after one try; bounded, so that
 * one that comes back is seen. */
static uint64_t dead_pause(uint64_t busy_us, uint64_t share)
{
    uint64_t pause = busy_us * share;

    return pause < ACQUIRE_DEAD_MAX_US ? pause : ACQUIRE_DEAD_MAX_US;
}

/* Ends the poll without a result and decides when the device is asked again. */
static enum acquire_event fail(struct acquire *acquire, struct slot *slot, uint64_t now,
                               uint64_t busy_us, bool silent)
{
    uint32_t lost_after = silent ? ACQUIRE_LOST_AFTER : ACQUIRE_LOST_NOISY;
    bool full = acquire->skipped_us != 0 && now - acquire->skipped_us < SATURATED_US;
    uint64_t pause = RETRY_FIRST_US;

    if (!acquire->identifying)
        slot->again |= acquire->mask;
    slot->failures++;
    slot->count.failed++;
    /* A single failure of a device that was there is most often noise: ask at once. */
    if (slot->failures == 1 && slot->count.present) {
        slot->retry_us = now;
        return ACQUIRE_FAILED;
    }
    if (slot->failures >= lost_after) {
        uint32_t doubled = slot->failures - lost_after;

        pause = doubled < 4 ? RETRY_FIRST_US << doubled : ACQUIRE_RETRY_MAX_US;
        acquire->dead_us =
            now + dead_pause(busy_us, full ? ACQUIRE_DEAD_SHARE : IDLE_SHARE);
        slot->identify = true;
    } else if (slot->rates[0].period_us < pause) {
        pause = slot->rates[0].period_us;
    }
    slot->retry_us = now + (pause < ACQUIRE_RETRY_MAX_US ? pause : ACQUIRE_RETRY_MAX_US);
    if (slot->failures < lost_after || slot->lost)
        return ACQUIRE_FAILED;
    slot->count.present = false;
    slot->lost = true;
    return ACQUIRE_LOST;
}

/* A refusal ends nothing: the device lives, only that block has no data. Silence and
 * broken frames end the poll, because a set with a hole where a value should be would
 * look like a device that has none. */
enum acquire_event acquire_result(struct acquire *acquire, uint64_t now_us,
                                  uint64_t busy_us, enum acquire_outcome outcome,
                                  const uint8_t *data, size_t n)
{
    struct slot *slot = &acquire->slots[acquire->device];
    bool any = false;

    assert(acquire->polling && n <= ACQUIRE_BLOCK_BYTES);
    if (outcome == ACQUIRE_SILENT || outcome == ACQUIRE_BROKEN) {
        acquire->polling = false;
        return fail(acquire, slot, now_us, busy_us, outcome == ACQUIRE_SILENT);
    }
    slot->failures = 0;
    slot->lost = false;
    slot->count.present = true;
    if (outcome == ACQUIRE_ANSWERED && n > 0) {
        memcpy(acquire->bytes[acquire->index], data, n);
        acquire->data[acquire->index] = acquire->bytes[acquire->index];
    }
    if (++acquire->index < acquire->plan.count)
        return ACQUIRE_NOTHING;
    acquire->polling = false;
    for (size_t i = 0; i < acquire->plan.count; i++)
        any = any || acquire->data[i] != NULL;
    if (acquire->identifying) {
        slot->identify = false;
        return ACQUIRE_IDENTITY;
    }
    slot->count.polls += any;
    slot->count.failed += !any;
    return any ? ACQUIRE_POLLED : ACQUIRE_FAILED;
}

/* Of the poll that was just completed. */
const struct regmap_plan *acquire_plan(const struct acquire *acquire)
{
    return &acquire->plan;
}

/* Each block's bytes, or NULL where the device refused it. */
const uint8_t *const *acquire_data(const struct acquire *acquire)
{
    return acquire->data;
}

/* A copy; the timetable goes on. */
void acquire_count(const struct acquire *acquire, size_t device,
                   struct acquire_count *out)
{
    *out = acquire->slots[device].count;
}
