/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose is this reading? Place and measurement time against the census; anything short of
 * certainty is a hold, with a reason that a nurse can read. Pure, and the same for a
 * reading that arrives late.
 */
#ifndef CHART_MATCH_H
#define CHART_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "chart/census.h"

/* Kept in the ledger: never renumbered. */
enum match_reason {
    MATCH_CHART = 0, /* not held */
    MATCH_TIME_UNKNOWN = 1,
    MATCH_NO_PLACE = 2,   /* the gateway knew no bed for this device */
    MATCH_NOT_MAPPED = 3, /* a place that no location of the PAS leads to */
    MATCH_NEVER_SEEN = 4, /* mapped, but no patient was ever there */
    MATCH_EMPTY = 5,
    MATCH_TWO_PATIENTS = 6,
    MATCH_MOVING = 7, /* somebody came or went within the time's uncertainty */
    MATCH_AWAY = 8,
    MATCH_ORDER = 9,
    MATCH_MISSING_MESSAGE = 10,
    MATCH_IDENTITY = 11,
    MATCH_ELSEWHERE = 12,
    /* a wristband or the device itself names somebody else than the bed
       list */
    MATCH_OTHER_PATIENT = 13,
    /* a wristband or device patient id that belongs to nobody known */
    MATCH_UNKNOWN_BAND = 14,
    /* measured on a newborn: never charted on who has the bed */
    MATCH_NEWBORN = 15,
    /* the device may have changed hands: silent, switched off, lease over */
    MATCH_PLACE_DOUBT = 16,
    /* measured after the ledger's copy was made that it was put back from: ADT
       messages since then may be missing */
    MATCH_OLD_CENSUS = 17,
    /* of a second or later fetus: an ORU message does not say which one's it is */
    MATCH_OTHER_FETUS = 18,
    MATCH_REASONS
};

/* What is known about one reading. */
struct match_evidence {
    uint64_t place; /* census_place_id; 0 = none */
    bool mapped;    /* adt_site_has_place, or a default rule is on */
    bool time_known;
    int64_t low_us, high_us; /* measured in this interval, both inclusive */
    int64_t census_until_us; /* who moved later is not known; 0: the census is whole */
    bool newborn;            /* subject role; a fetus is charted on the mother */
    bool other_fetus; /* not the first one: charted beside it, it would look like its */
    /* see P3: sensors off, power cycle, lease end where the care setting says so */
    bool place_doubt;
    bool named; /* a wristband binding or the device itself names a patient */
    /* census patient id (any of a merged group); 0 with named = nobody known */
    uint64_t named_patient;
};

struct match_result {
    enum match_reason reason;
    /* whole when reason is MATCH_CHART; else the nearest candidate, or all 0 */
    struct census_stay stay;
};

void match_reading(const struct census *census, const struct match_evidence *evidence,
                   struct match_result *result);

/* "The bed was empty at that time." One sentence; never NULL, also for a number that is
 * none. */
const char *match_reason_text(enum match_reason reason);

/* Short name for logs and JSON: "empty", "two-patients". */
const char *match_reason_name(enum match_reason reason);

#endif
