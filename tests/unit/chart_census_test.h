/* SPDX-License-Identifier: Apache-2.0
 *
 * Short ways to say an ADT event and to ask the census, for the census and match tests.
 */
#ifndef TESTS_UNIT_CHART_CENSUS_TEST_H
#define TESTS_UNIT_CHART_CENSUS_TEST_H

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "chart/census.h"

#define MINUTE (60 * US_PER_S)

/* Happened and was recorded at this minute. visit or place may be NULL. The id follows
 * from everything said. */
static inline struct adt_event event_at(enum adt_kind kind, int64_t minute,
                                        const char *number, const char *visit,
                                        const char *place)
{
    struct adt_event event;

    memset(&event, 0, sizeof(event));
    event.kind = kind;
    event.occurred.low_us = event.occurred.high_us = minute * MINUTE;
    event.recorded = event.occurred;
    event.id = (uint64_t)minute * 64 + (uint64_t)kind + 1;
    snprintf(event.patient.number, sizeof(event.patient.number), "%s", number);
    snprintf(event.patient.authority, sizeof(event.patient.authority), "H");
    if (visit != NULL) {
        snprintf(event.visit, sizeof(event.visit), "%s", visit);
        snprintf(event.visit_key, sizeof(event.visit_key), "V:%s", visit);
    }
    if (place != NULL) {
        snprintf(event.place, sizeof(event.place), "%s", place);
        snprintf(event.location, sizeof(event.location), "W^R^%s", place);
    }
    snprintf(event.category, sizeof(event.category), "I");
    return event;
}

static inline struct adt_event from_place(struct adt_event event, const char *from)
{
    event.has_from = true;
    snprintf(event.from_place, sizeof(event.from_place), "%s", from);
    return event;
}

static inline struct adt_event recorded_at(struct adt_event event, int64_t minute)
{
    event.recorded.low_us = event.recorded.high_us = minute * MINUTE;
    event.id += UINT64_C(1) << 40;
    return event;
}

static inline struct adt_event merge_at(int64_t minute, const char *loser,
                                        const char *winner)
{
    struct adt_event event = event_at(ADT_MERGE, minute, winner, NULL, NULL);

    snprintf(event.prior.number, sizeof(event.prior.number), "%s", loser);
    snprintf(event.prior.authority, sizeof(event.prior.authority), "H");
    return event;
}

static inline uint64_t id_of(const char *number)
{
    struct adt_identity identity = {.authority = "H"};

    snprintf(identity.number, sizeof(identity.number), "%s", number);
    return census_patient_id(&identity);
}

#endif
