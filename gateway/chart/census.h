/* SPDX-License-Identifier: Apache-2.0
 *
 * Who was in which place, from when to when, known since when. Pure: events in, changed
 * windows out; no clock, no I/O.
 *
 * The census is a function of the SET of events that it was given: their order,
 * repetition and grouping make no difference to what it answers. Each visit keeps its
 * events in order of recording and derives its stays from all of them anew whenever one
 * is added, so the cost of an event is that visit's, never the census's. A place keeps
 * its stays sorted by beginning. It is not stored: the ADT log, fed again at start, makes
 * the same one.
 *
 * Nothing here decides about charting. Where history is not certain a stay says so
 * (flags, and boundaries that are intervals); match.h turns that into "hold".
 */
#ifndef CHART_CENSUS_H
#define CHART_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chart/adt.h"

#define CENSUS_FOREVER INT64_MAX /* to_*_us of a stay that has not ended */

struct census;

enum census_error {
    CENSUS_OK = 0,
    /* the event was not applied, or not wholly: stop and rebuild */
    CENSUS_MEMORY = -1,
    /* two names with one 64-bit id: the event was not applied; never seen, never
     * ignored */
    CENSUS_COLLISION = -2,
    CENSUS_INCOMPLETE = -3 /* the event lacks the identity that its kind needs */
};

/* Readings of this place measured in [from_us, to_us) may belong to somebody else than
 * was thought. */
struct census_window {
    uint64_t place;
    int64_t from_us, to_us; /* to_us may be CENSUS_FOREVER */
};

enum census_flag {
    /* the bed is kept, the patient is elsewhere: leave, theatre */
    CENSUS_AWAY = 1 << 0,
    /* two moves whose order can't be told (summer time's repeated hour, same second) */
    CENSUS_ORDER = 1 << 1,
    /* the next move says that it began elsewhere: a message between is missing */
    CENSUS_MISSING = 1 << 2,
    CENSUS_IDENTITY = 1 << 3, /* messages disagree about whose visit this is */
    /* another visit placed the same patient elsewhere later on, and this stay was never
     * ended (set by census_at, for the instants asked). An inpatient's bed is his again
     * when that other visit, no inpatient's, has ended */
    CENSUS_ELSEWHERE = 1 << 4,
};

/* One person in one place without a break. Certainly there in [from_high, to_low),
 * possibly in [from_low, to_high). */
struct census_stay {
    /* the visit: the same number in every place that the visit comes to, and after a
     * rebuild */
    uint64_t stay;
    /* who the patient is after all merges: look up identifiers with this */
    uint64_t patient;
    /* the patient whose number the visit's first messages carried, or to whom the
     * visit was moved. See census_same for whether something was charted on the wrong
     * patient */
    uint64_t original;
    uint64_t place;
    int64_t from_low_us, from_high_us, to_low_us, to_high_us;
    int64_t known_us;     /* when the event that began this stay was first heard of */
    uint32_t flags;       /* census_flag */
    const char *location; /* PV1-3 as it came; lives as long as the census */
};

/* A patient as the newest messages describe him. Texts are never NULL; borrowed until the
 * next census_apply. */
struct census_patient {
    uint64_t patient, survivor; /* differ after a merge */
    const char *number, *authority, *nhs, *family, *given, *birth, *sex;
    bool unknown; /* PID-31 */
    size_t visits;
};

struct census_visit {
    uint64_t stay, patient, original;
    const char *visit, *account, *category; /* PV1-19, PID-18, PV1-2 */
};

/* Returns NULL when memory is short. census_free takes NULL. */
struct census *census_new(void);
void census_free(struct census *census);

/* Ids are made from names alone, so they are the same in every process. 0 is never one.
 * "" is 0. */
uint64_t census_place_id(const char *place);
uint64_t census_patient_id(const struct adt_identity *identity);
uint64_t census_visit_id(const char *visit_key);

/* Applies the events of one message, all or none visible to a lookup. known_us: when the
 * message came (its log entry's time, so that a rebuild gives the same). *windows (valid
 * until the next call) lists the *n windows whose answer may have changed; none for a
 * repetition. Widen them by due_widen before evaluating readings anew. Returns a
 * census_error. */
int census_apply(struct census *census, const struct adt_event *events, size_t count,
                 int64_t known_us, const struct census_window **windows, size_t *n);

/* The stays of a place that may touch [low_us, high_us] (both inclusive), earliest first,
 * up to capacity. Returns how many there are, which may be more than capacity. */
size_t census_at(const struct census *census, uint64_t place, int64_t low_us,
                 int64_t high_us, struct census_stay *out, size_t capacity);

/* True if any stay was ever known in this place. */
bool census_seen(const struct census *census, uint64_t place);

/* False if there is none. patient may have been merged: identifiers are then the
 * survivor's own. */
bool census_patient(const struct census *census, uint64_t patient,
                    struct census_patient *out);
bool census_visit(const struct census *census, uint64_t stay, struct census_visit *out);

/* True if both numbers are one person now, after all merges. A value charted under one
 * patient id is on the right chart exactly as long as this holds for that id and the
 * stay's patient. */
bool census_same(const struct census *census, uint64_t a, uint64_t b);

/* Looks a patient up by number (any authority if authority is ""): for the worklist and
 * scanned wristbands. 0 if none or several. */
uint64_t census_find(const struct census *census, const char *number,
                     const char *authority);

struct census_counts {
    size_t patients, visits, places, stays, events;
    uint64_t repeated;          /* events that were there already */
    uint64_t conflicts;         /* visits whose identity is in doubt now */
    uint64_t updates_elsewhere; /* A08 that named another place than the census has */
};
void census_counts(const struct census *census, struct census_counts *counts);

/* Calls back for every stay, by place, in order of time: for the bed list and tests. */
void census_each(const struct census *census,
                 void (*each)(void *context, const struct census_stay *stay),
                 void *context);

#endif
