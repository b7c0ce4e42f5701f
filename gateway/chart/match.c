/* SPDX-License-Identifier: Apache-2.0
 *
 * The one decision that must never be wrong. It is written as a list of reasons to hold,
 * in the order in which a nurse would want to be told them; a reading that gets past all
 * of them is charted.
 */
#include "chart/match.h"

#include <stddef.h>
#include <string.h>

#define STAYS_MAX 8 /* more at one instant in one bed are two patients in any case */

static const struct {
    const char *name, *text;
} reasons[MATCH_REASONS] = {
    [MATCH_CHART] = {"chart", "Charted."},
    [MATCH_TIME_UNKNOWN] = {"time-unknown", "It is not known when this was measured."},
    [MATCH_NO_PLACE] = {"no-place", "The device was not assigned to a bed."},
    [MATCH_NOT_MAPPED] = {"not-mapped", "The hospital's bed list does not have this bed "
                                        "under any name that wardgate knows."},
    [MATCH_NEVER_SEEN] = {"never-seen", "No patient has ever been listed in this bed."},
    [MATCH_EMPTY] = {"empty", "The bed was empty at that time."},
    [MATCH_TWO_PATIENTS] = {"two-patients",
                            "Two patients were listed in this bed at that time."},
    [MATCH_MOVING] = {"moving", "The patient was coming or going at that moment."},
    [MATCH_AWAY] = {"away", "The patient was away from the bed at that time."},
    [MATCH_ORDER] = {"order",
                     "The order of the patient's moves around that time is not certain."},
    [MATCH_MISSING_MESSAGE] =
        {"missing-message",
         "The bed list skips a move of this patient: a message is missing."},
    [MATCH_IDENTITY] = {"identity",
                        "The hospital's messages disagree about whose visit this is."},
    [MATCH_ELSEWHERE] =
        {"elsewhere",
         "The same patient was listed in another bed, too, from a later time on."},
    [MATCH_OTHER_PATIENT] =
        {"other-patient",
         "The wristband or the device names another patient than the bed list."},
    [MATCH_UNKNOWN_BAND] =
        {"unknown-band",
         "The wristband or the device names a patient who is not known here."},
    [MATCH_NEWBORN] = {"newborn",
                       "Measured on a newborn: to be assigned to the baby by hand."},
    [MATCH_PLACE_DOUBT] = {"place-doubt",
                           "The device may have been moved to another patient."},
    [MATCH_OTHER_FETUS] =
        {"other-fetus", "Measured on another fetus than the first: the record could not "
                        "tell them apart."},
    [MATCH_OLD_CENSUS] =
        {"old-census",
         "The bed list was put back from a copy: moves after that may be missing."},
};

/* A number from a newer version's ledger must still read as a hold. */
const char *match_reason_text(enum match_reason reason)
{
    return (unsigned)reason < MATCH_REASONS ? reasons[reason].text
                                            : "Held for an unknown reason.";
}

/* See match_reason_text. */
const char *match_reason_name(enum match_reason reason)
{
    return (unsigned)reason < MATCH_REASONS ? reasons[reason].name : "unknown";
}

/* Certain for all instants of the reading. */
static bool contains(const struct census_stay *stay,
                     const struct match_evidence *evidence)
{
    return evidence->low_us >= stay->from_high_us && evidence->high_us < stay->to_low_us;
}

/* Both were certainly there at some time: not one after the other with an uncertain
 * change-over. */
static bool overlap(const struct census_stay *a, const struct census_stay *b)
{
    int64_t from = a->from_high_us > b->from_high_us ? a->from_high_us : b->from_high_us;
    int64_t to = a->to_low_us < b->to_low_us ? a->to_low_us : b->to_low_us;

    return from < to;
}

/* Several persons touch the reading's time: at once, or one after the other? */
static enum match_reason several_persons(const struct census_stay *stays, size_t n,
                                         bool *several)
{
    enum match_reason reason = MATCH_MOVING;
    size_t i, j;

    *several = false;
    for (i = 0; i < n; i++)
        for (j = i + 1; j < n; j++) {
            if (stays[i].patient == stays[j].patient)
                continue;
            *several = true;
            if (overlap(&stays[i], &stays[j]))
                reason = MATCH_TWO_PATIENTS;
        }
    return reason;
}

/* Of one person's stays the one that tells most: it covers the reading, he was there, it
 * began last. */
static const struct census_stay *best_of(const struct census_stay *stays, size_t n,
                                         const struct match_evidence *evidence)
{
    const struct census_stay *best = &stays[n - 1];
    size_t i;

    for (i = n; i > 0; i--)
        if (contains(&stays[i - 1], evidence) && stays[i - 1].flags == 0)
            return &stays[i - 1];
    for (i = n; i > 0; i--)
        if (contains(&stays[i - 1], evidence))
            return &stays[i - 1];
    return best;
}

/* The gravest doubt is the one that is told. */
static enum match_reason flag_reason(uint32_t flags)
{
    if (flags & CENSUS_IDENTITY)
        return MATCH_IDENTITY;
    if (flags & CENSUS_AWAY)
        return MATCH_AWAY;
    if (flags & CENSUS_ELSEWHERE)
        return MATCH_ELSEWHERE;
    if (flags & CENSUS_ORDER)
        return MATCH_ORDER;
    return flags & CENSUS_MISSING ? MATCH_MISSING_MESSAGE : MATCH_CHART;
}

/* What can be said without looking at who was there. */
static enum match_reason before_looking(const struct match_evidence *evidence)
{
    if (!evidence->time_known)
        return MATCH_TIME_UNKNOWN;
    if (evidence->place == 0)
        return MATCH_NO_PLACE;
    if (!evidence->mapped)
        return MATCH_NOT_MAPPED;
    if (evidence->census_until_us != 0 && evidence->high_us > evidence->census_until_us)
        return MATCH_OLD_CENSUS;
    return MATCH_CHART;
}

/* One person is in question. Whether he is certain, and whether anything else speaks
 * against him. */
static enum match_reason judge(const struct census *census,
                               const struct match_evidence *evidence,
                               const struct census_stay *stay)
{
    enum match_reason reason;

    if (!contains(stay, evidence))
        return MATCH_MOVING;
    reason = flag_reason(stay->flags);
    if (reason != MATCH_CHART)
        return reason;
    if (evidence->newborn)
        return MATCH_NEWBORN;
    if (evidence->other_fetus)
        return MATCH_OTHER_FETUS;
    if (evidence->named && evidence->named_patient == 0)
        return MATCH_UNKNOWN_BAND;
    if (evidence->named && !census_same(census, evidence->named_patient, stay->patient))
        return MATCH_OTHER_PATIENT;
    /* A band on the wrist settles what the bed could not. */
    return evidence->place_doubt && !evidence->named ? MATCH_PLACE_DOUBT : MATCH_CHART;
}

/* The bed list is asked for all instants that the reading may have been measured at,
 * not for the likeliest one. */
void match_reading(const struct census *census, const struct match_evidence *evidence,
                   struct match_result *result)
{
    struct census_stay stays[STAYS_MAX];
    const struct census_stay *best;
    enum match_reason reason;
    size_t n;
    bool several;

    memset(result, 0, sizeof(*result));
    result->reason = before_looking(evidence);
    if (result->reason != MATCH_CHART)
        return;

    n = census_at(census, evidence->place, evidence->low_us, evidence->high_us, stays,
                  STAYS_MAX);
    if (n == 0) {
        result->reason =
            census_seen(census, evidence->place) ? MATCH_EMPTY : MATCH_NEVER_SEEN;
        return;
    }
    if (n > STAYS_MAX)
        n = STAYS_MAX;
    reason = several_persons(stays, n, &several);
    best = best_of(stays, n, evidence);
    result->stay = *best;
    result->reason = several ? reason : judge(census, evidence, best);
}
