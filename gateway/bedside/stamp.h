/* SPDX-License-Identifier: Apache-2.0
 *
 * From an observation set and an instant to a record (P5). Pure: the caller reads the
 * clocks.
 *
 * The clock is judged, not believed: UTC below the floor is unknown whatever the kernel
 * says; a jump of the wall clock against the monotonic one is a step, recorded as an
 * event and, when the new time is good, as a clock fix; after synchronisation is lost the
 * uncertainty grows by STAMP_DRIFT_PPM. Records are never changed afterwards: the chart
 * re-bases by clock fixes (boot, monotonic, UTC, uncertainty).
 */
#ifndef BEDSIDE_STAMP_H
#define BEDSIDE_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/ids.h"
#include "drivers/observation.h"
#include "wire/record.h"

#define STAMP_DRIFT_PPM       100 /* a cheap crystal, all temperatures */
#define STAMP_STEP_US         500000 /* a wall clock that jumps by more was set, not slewed */
#define STAMP_FIX_EVERY_US    (3600 * US_PER_S)
#define STAMP_HOLDOVER_MAX_MS 600000 /* uncertainty beyond this is UNKNOWN */

struct stamp { /* filled by stamp_init */
    int64_t floor_utc_us;
    int64_t offset_us;                       /* UTC minus monotonic at the last look */
    uint64_t looked_us, fixed_us, synced_us; /* monotonic */
    uint64_t boot;
    uint32_t synced_ms;      /* uncertainty when last synced */
    uint32_t uncertainty_ms; /* now */
    uint32_t wall_ms;        /* stamp_trust_wall; 0: not trusted */
    int64_t deviation_us;    /* sum of steps since the wall clock was first believed */
    enum clock_sync sync;
    bool looked, fixed;
};

/* What one look at the clock found: records that the caller stores, in this order. */
struct stamp_notes {
    bool stepped;       /* add stamp_stepped() */
    int64_t step_us;    /* > 0: set forward */
    bool fix;           /* add stamp_fix() */
    struct instant now; /* as judged: sync and uncertainty are ours */
};

/* Believes the wall clock without the kernel's word, to +- uncertainty_ms: for boards
 * whose clock is kept by something the kernel does not know of. Steps then widen the
 * uncertainty by their sum: either the time before or the time after was right. Called
 * after stamp_init. */
void stamp_trust_wall(struct stamp *stamp, uint32_t uncertainty_ms);

/* floor_utc_us: no true time is earlier: the later of build date and last committed UTC.
 */
void stamp_init(struct stamp *stamp, int64_t floor_utc_us);

/* Looks at the clocks: call at every wake-up of the loop before stamping. */
void stamp_look(struct stamp *stamp, const struct instant *now,
                struct stamp_notes *notes);

/* The time block of a moment of this boot, as last judged; monotonic_us may be a little
 * in the past. */
void stamp_time(const struct stamp *stamp, uint64_t monotonic_us,
                wardgate_TimeBlock *time);

/* The later of floor and known time: what certificates are judged at, what the store
 * keeps. 0 while unknown. */
int64_t stamp_known_utc(const struct stamp *stamp);

struct stamp_origin { /* where a set comes from; borrowed strings, cut to the wire's
                         limits */
    const char *device, *identity, *profile, *line, *place;
    uint8_t role; /* wardgate_Subject_Role */
    uint32_t number;
};

/* A READING record (seq 0, the store gives it). measured_us is monotonic. False if the
 * set is empty. */
bool stamp_reading(const struct stamp *stamp, const struct stamp_origin *origin,
                   const struct observation_set *set, uint64_t measured_us,
                   wardgate_Record *record);

/* A BINDING record: the patient whose identifier has this digest is at the origin's place
 * from measured_us (monotonic) on; without a place, at the origin's device. */
void stamp_binding(const struct stamp *stamp, const struct stamp_origin *origin,
                   const uint8_t digest[DIGEST_SIZE], uint64_t measured_us,
                   wardgate_Record *record);

/* An EVENT record; detail is cut. origin may be NULL. */
void stamp_event(const struct stamp *stamp, const struct stamp_origin *origin,
                 wardgate_Event_Kind kind, const char *detail, uint64_t monotonic_us,
                 wardgate_Record *record);

void stamp_stepped(const struct stamp_notes *notes, wardgate_Record *record);
void stamp_fix(const struct stamp_notes *notes, wardgate_Record *record);

/* Fills the parts of any record that name its origin. */
void stamp_origin_fill(const struct stamp_origin *origin, wardgate_Record *record);

#endif
