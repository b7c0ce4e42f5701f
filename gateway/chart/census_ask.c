/* SPDX-License-Identifier: Apache-2.0
 *
 * What the census answers about patients and visits. Lookups by place and time are in
 * census_place.c.
 */
#include "chart/census_parts.h"

#include <string.h>

/* Callers print; they should not have to ask for NULL. */
static const char *text_or_empty(const struct stamped *field)
{
    return field->text == NULL ? "" : field->text;
}

/* The survivor's words, not the merged number's: those may have been a guess in A&E. */
bool census_patient(const struct census *census, uint64_t id, struct census_patient *out)
{
    const struct patient *patient = census_table_get(&census->patients, id), *root;

    if (patient == NULL)
        return false;
    root = patient->root;
    *out = (struct census_patient){.patient = id,
                                   .survivor = root->id,
                                   .number = root->number,
                                   .authority = root->authority,
                                   .nhs = text_or_empty(&root->texts[PATIENT_NHS]),
                                   .family = text_or_empty(&root->texts[PATIENT_FAMILY]),
                                   .given = text_or_empty(&root->texts[PATIENT_GIVEN]),
                                   .birth = text_or_empty(&root->texts[PATIENT_BIRTH]),
                                   .sex = text_or_empty(&root->texts[PATIENT_SEX]),
                                   .unknown =
                                       text_or_empty(&root->texts[PATIENT_UNKNOWN])[0] ==
                                       'Y',
                                   .visits = root->visit_count};
    return true;
}

/* A visit without an owner has had no message that named a patient; it can't have
 * stays. */
bool census_visit(const struct census *census, uint64_t stay, struct census_visit *out)
{
    const struct visit *visit = census_table_get(&census->visits, stay);

    if (visit == NULL || visit->owner == NULL)
        return false;
    *out =
        (struct census_visit){.stay = stay,
                              .patient = visit->owner->root->id,
                              .original = visit->owner->id,
                              .visit = text_or_empty(&visit->texts[VISIT_VISIT]),
                              .account = text_or_empty(&visit->texts[VISIT_ACCOUNT]),
                              .category = text_or_empty(&visit->texts[VISIT_CATEGORY])};
    return true;
}

/* Ids that no message has named are only equal to themselves. */
bool census_same(const struct census *census, uint64_t a, uint64_t b)
{
    const struct patient *one = census_table_get(&census->patients, a);
    const struct patient *other = census_table_get(&census->patients, b);

    if (one == NULL || other == NULL)
        return a == b;
    return one->root == other->root;
}

/* By hand only (a scan, a worklist), so every patient is looked at. Several different
 * persons under one number are nobody. */
uint64_t census_find(const struct census *census, const char *number,
                     const char *authority)
{
    const struct patient *found = NULL;
    size_t i;

    for (i = 0; i < census->patients.capacity; i++) {
        const struct patient *patient = census->patients.slots[i].thing;

        if (patient == NULL || strcmp(patient->number, number) != 0 ||
            (authority[0] != '\0' && strcmp(patient->authority, authority) != 0))
            continue;
        if (found != NULL && found->root != patient->root)
            return 0;
        found = patient;
    }
    return found == NULL ? 0 : found->root->id;
}

/* Counted as things happen; asking costs nothing. */
void census_counts(const struct census *census, struct census_counts *counts)
{
    *counts = (struct census_counts){.patients = census->patients.used,
                                     .visits = census->visits.used,
                                     .places = census->places.used,
                                     .stays = census->stays,
                                     .events = census->events,
                                     .repeated = census->repeated,
                                     .conflicts = census->conflicts,
                                     .updates_elsewhere = census->updates_elsewhere};
}
