/* SPDX-License-Identifier: Apache-2.0
 *
 * The timetable of one line: which device is asked for which block, when. Pure: time and
 * outcomes in, requests out; the bus thread and the simulator wrap it.
 *
 * What it promises:
 *  - No drift: the k-th poll of a device is due at phase + k * period. A poll that could
 * not be made in time is skipped and counted, never made up for in a burst.
 *  - Phases lie on the clock's whole seconds (shorter periods: on their own multiples),
 * the same for every line, so that readings of one second can share a commit. Devices
 * slower than one second are spread over the seconds of their period; the first poll of
 * each is at once.
 *  - A device that does not answer backs off alone: from the second failure on it is
 * asked at growing distances, at most ACQUIRE_RETRY_MAX_US apart, and never takes more of
 * the line than 1/ACQUIRE_DEAD_SHARE of a full line's time. All silent devices share that
 * budget.
 *  - After an outage (and at the start) identity is asked for before anything else.
 *  - Fields with a rate of their own are asked for at it, in as few requests as the map
 * allows.
 *
 * All times are monotonic microseconds.
 */
#ifndef BEDSIDE_ACQUIRE_H
#define BEDSIDE_ACQUIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/regmap.h"

/* Devices of one line. */
#define ACQUIRE_DEVICES_MAX 64
/* Different rates of one device's fields. */
#define ACQUIRE_RATES_MAX 8
/* Failures in a row after which a device counts as lost. */
#define ACQUIRE_LOST_AFTER 3
/* The same, where bytes come but none to believe. */
#define ACQUIRE_LOST_NOISY 12
/* Longest pause between two tries. */
#define ACQUIRE_RETRY_MAX_US UINT64_C(10000000)
/* Silent devices together take at most 1/30 of a full line. */
#define ACQUIRE_DEAD_SHARE 30
/* But one of them is tried this often. */
#define ACQUIRE_DEAD_MAX_US UINT64_C(15000000)
/* Data of one block. */
#define ACQUIRE_BLOCK_BYTES 250

enum acquire_error {
    ACQUIRE_OK = 0,
    /* ACQUIRE_DEVICES_MAX or ACQUIRE_RATES_MAX is reached. */
    ACQUIRE_FULL = -1,
    /* regmap_plan() refuses the map. */
    ACQUIRE_PLAN = -2,
};

struct acquire_device {       /* as the configuration has it; 0 = the map's own value */
    const struct regmap *map; /* borrowed */
    uint32_t every_ms;        /* period of fields without a rate of their own */
    uint32_t response_ms;     /* worst time to a reply */
};

enum acquire_outcome {
    /* The reply is believed. */
    ACQUIRE_ANSWERED,
    /* An exception: the device lives, the block gives nothing. */
    ACQUIRE_REFUSED,
    /* No reply. */
    ACQUIRE_SILENT,
    /* Bytes came, but none that can be believed. */
    ACQUIRE_BROKEN,
};

enum acquire_event {
    ACQUIRE_NOTHING,
    /* The poll is complete: decode plan and data. */
    ACQUIRE_POLLED,
    /* The identity blocks are complete: decode plan and data. */
    ACQUIRE_IDENTITY,
    /* The poll gave nothing. */
    ACQUIRE_FAILED,
    /* The poll gave nothing, and the device counts as lost from now. */
    ACQUIRE_LOST,
};

struct acquire_step {
    /* False: nothing to ask before wake_us. */
    bool request;
    /* When to call acquire_next() again if not request. */
    uint64_t wake_us;
    size_t device;
    /* Which block of the plan. */
    size_t index;
    struct regmap_block block;
};

struct acquire; /* one line's timetable */

/* A timetable without devices. Freed with acquire_free(); NULL if there is no memory. */
struct acquire *acquire_new(void);
void acquire_free(struct acquire *acquire);

/* Adds a device; its index is the count before. All are added before the first
 * acquire_start(). */
int acquire_add(struct acquire *acquire, const struct acquire_device *device);

/* Sets the phases, with everything due now; every device begins with its identity. Called
 * again after the line itself was gone: all devices count as not yet seen. */
void acquire_start(struct acquire *acquire, uint64_t now_us);

/* What to do now. A requested block must be followed by acquire_result(). */
void acquire_next(struct acquire *acquire, uint64_t now_us, struct acquire_step *step);

/* What became of the last request. data: the reply's bytes (ACQUIRE_ANSWERED), at most
 * ACQUIRE_BLOCK_BYTES, copied. busy_us: how long the line was held. Returns the event
 * that this completes. */
enum acquire_event acquire_result(struct acquire *acquire, uint64_t now_us,
                                  uint64_t busy_us, enum acquire_outcome outcome,
                                  const uint8_t *data, size_t n);

/* Plan and data of the poll that ended with ACQUIRE_POLLED or ACQUIRE_IDENTITY; valid
 * until the next acquire_next(). data[i] is NULL for a block that was refused. */
const struct regmap_plan *acquire_plan(const struct acquire *acquire);
const uint8_t *const *acquire_data(const struct acquire *acquire);

/* Asks for the device's identity again before its next poll. */
void acquire_identify(struct acquire *acquire, size_t device);

struct acquire_count { /* of one device, since acquire_new() */
    uint64_t polls;    /* complete */
    uint64_t failed;
    uint64_t skipped; /* were due while the line was busy or the device backed off */
    bool present;     /* answered last time */
};
void acquire_count(const struct acquire *acquire, size_t device,
                   struct acquire_count *out);

#endif
