/* SPDX-License-Identifier: Apache-2.0
 *
 * Patients: what the newest messages say of them, who they are after merges, whose a
 * visit is, and where else a person was placed. Everything here is decided by comparing
 * stamps, never by what came first.
 */
#include "chart/census_parts.h"

#include <stdlib.h>
#include <string.h>

#include "chart/adt_hash.h"

/* merges one after another; a longer chain is cut there, the same way every time */
#define CHAIN_MAX 64

/* Never equal for two different messages. */
int stamp_compare(const struct stamp *a, const struct stamp *b)
{
    if (a->recorded_us != b->recorded_us)
        return a->recorded_us < b->recorded_us ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* An empty text is silence, not deletion: many feeds send two double quotes for
 * everything that they do not know. */
bool stamped_set(struct stamped *field, const char *text, const struct stamp *stamp)
{
    char *copy;

    if (text == NULL || text[0] == '\0')
        return true;
    if (field->text != NULL && stamp_compare(stamp, &field->stamp) <= 0)
        return true;
    if (field->text == NULL || strcmp(field->text, text) != 0) {
        copy = strdup(text);
        if (copy == NULL)
            return false;
        free(field->text);
        field->text = copy;
    }
    field->stamp = *stamp;
    return true;
}

/* Number and authority: two hospitals may give out the same number. */
uint64_t census_patient_id(const struct adt_identity *identity)
{
    uint64_t seed = adt_hash(identity->authority, strlen(identity->authority), 2);

    return identity->number[0] == '\0'
               ? 0
               : adt_hash(identity->number, strlen(identity->number), seed);
}

/* The id is only a hash; the texts decide. See place_of in census.c about collisions. */
struct patient *census_patient_of(struct census *census,
                                  const struct adt_identity *identity, int *error)
{
    uint64_t id = census_patient_id(identity);
    struct patient *patient = census_table_get(&census->patients, id);

    *error = CENSUS_COLLISION;
    if (patient != NULL)
        return strcmp(patient->number, identity->number) == 0 &&
                       strcmp(patient->authority, identity->authority) == 0
                   ? patient
                   : NULL;

    *error = CENSUS_MEMORY;
    patient = calloc(1, sizeof(*patient));
    if (patient == NULL)
        return NULL;
    patient->id = id;
    patient->next = patient->root = patient;
    patient->number = strdup(identity->number);
    patient->authority = strdup(identity->authority);
    if (patient->number == NULL || patient->authority == NULL ||
        !census_table_put(&census->patients, id, patient)) {
        census_patient_free(patient);
        return NULL;
    }
    return patient;
}

/* Visits are owned by the census, not by their patient. */
void census_patient_free(struct patient *patient)
{
    size_t i;

    if (patient == NULL)
        return;
    for (i = 0; i < PATIENT_TEXTS; i++)
        free(patient->texts[i].text);
    free(patient->number);
    free(patient->authority);
    free(patient->merges);
    free(patient->visits);
    free(patient->starts);
    free(patient);
}

/* --- Merges --- */

/* A number can be merged twice, if the first time was a mistake. NULL: it never was. */
static const struct merge *newest_merge(const struct patient *patient)
{
    const struct merge *newest = NULL;
    size_t i;

    for (i = 0; i < patient->merge_count; i++)
        if (newest == NULL ||
            stamp_compare(&patient->merges[i].stamp, &newest->stamp) > 0)
            newest = &patient->merges[i];
    return newest;
}

/* A was merged into B, and later B into A: the later word counts. Given a patient on the
 * circle. */
static struct patient *root_of_circle(struct patient *on)
{
    const struct merge *merge = newest_merge(on), *newest = merge;
    struct patient *at;

    for (at = merge->winner; at != on; at = merge->winner) {
        merge = newest_merge(at);
        if (stamp_compare(&merge->stamp, &newest->stamp) > 0)
            newest = merge;
    }
    return newest->winner;
}

/* Follows the newest word at each step. A circle (merged there and back) is settled by
 * root_of_circle. */
static struct patient *find_root(struct patient *patient)
{
    struct patient *seen[CHAIN_MAX], *at = patient;
    const struct merge *merge;
    size_t n = 0, i;

    for (merge = newest_merge(at); merge != NULL && n < CHAIN_MAX;
         merge = newest_merge(at)) {
        for (i = 0; i < n; i++)
            if (seen[i] == at)
                return root_of_circle(at);
        seen[n++] = at;
        at = merge->winner;
    }
    return at;
}

/* Whether a goes round to b on the links. */
static bool is_connected(const struct patient *a, const struct patient *b)
{
    const struct patient *at = a;

    do {
        if (at == b)
            return true;
        at = at->next;
    } while (at != a);
    return false;
}

/* All patients that merges connect, in whatever direction, hang together on one
 * circle: a merge may change the root of any of them, and of no others. */
int census_merge(struct patient *loser, struct patient *winner, const struct stamp *stamp)
{
    struct patient *at, *swap;
    size_t i;

    for (i = 0; i < loser->merge_count; i++)
        if (loser->merges[i].winner == winner &&
            stamp_compare(&loser->merges[i].stamp, stamp) == 0)
            return 0;
    if (!census_grow((void **)&loser->merges, loser->merge_count, &loser->merge_capacity,
                     sizeof(*loser->merges)))
        return -1;
    loser->merges[loser->merge_count++] = (struct merge){winner, *stamp};

    /* two circles become one by crossing their links over */
    if (!is_connected(loser, winner)) {
        swap = loser->next;
        loser->next = winner->next;
        winner->next = swap;
    }
    at = loser;
    do {
        at->root = find_root(at);
        at = at->next;
    } while (at != loser);
    return 1;
}

/* --- Where a person's stays begin --- */

/* Order of starts: ties are broken by visit and place, so that the array does not
 * remember how it was filled. */
static bool start_before(const struct start *a, int64_t from_low_us, uint64_t visit,
                         uint64_t place)
{
    if (a->from_low_us != from_low_us)
        return a->from_low_us < from_low_us;
    if (a->visit->id != visit)
        return a->visit->id < visit;
    return a->place < place;
}

/* Where a start is, or would go. */
static size_t start_position(const struct patient *root, int64_t from_low_us,
                             uint64_t visit, uint64_t place)
{
    size_t low = 0, high = root->start_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (start_before(&root->starts[middle], from_low_us, visit, place))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Only a stay in a place that we know, with the patient present, is a sign that he is
 * there. */
static bool is_sign(const struct census_stay *stay)
{
    return stay->place != 0 && (stay->flags & CENSUS_AWAY) == 0;
}

/* Mostly at the end: the newest stay is the one that is added. */
bool census_start_add(struct patient *root, const struct visit *visit,
                      const struct census_stay *stay)
{
    size_t at;

    if (!is_sign(stay))
        return true;
    if (!census_grow((void **)&root->starts, root->start_count, &root->start_capacity,
                     sizeof(*root->starts)))
        return false;
    at = start_position(root, stay->from_low_us, visit->id, stay->place);
    memmove(&root->starts[at + 1], &root->starts[at],
            (root->start_count - at) * sizeof(*root->starts));
    root->starts[at] =
        (struct start){stay->from_low_us, stay->to_high_us, stay->place, visit};
    root->start_count++;
    return true;
}

/* The stay must be in; visits take out what they put in. */
void census_start_remove(struct patient *root, const struct visit *visit,
                         const struct census_stay *stay)
{
    size_t at;

    if (!is_sign(stay))
        return;
    at = start_position(root, stay->from_low_us, visit->id, stay->place);
    root->start_count--;
    memmove(&root->starts[at], &root->starts[at + 1],
            (root->start_count - at) * sizeof(*root->starts));
}

/* After a merge only: every other change adds or removes single starts. */
bool census_person_build(struct patient *root)
{
    const struct patient *at = root;
    size_t i, j;

    root->start_count = 0;
    do {
        for (i = 0; at->root == root && i < at->visit_count; i++)
            for (j = 0; j < at->visits[i]->stay_count; j++)
                if (!census_start_add(root, at->visits[i], &at->visits[i]->stays[j]))
                    return false;
        at = at->next;
    } while (at != root);
    return true;
}

/* HL7 has the letter I, Millennium the word Inpatient. */
bool census_is_inpatient(const struct visit *visit)
{
    const char *category = visit->texts[VISIT_CATEGORY].text;

    return category != NULL && (category[0] == 'I' || category[0] == 'i');
}

/* Looks at starts from this stay's own on. The first one in another place decides as a
 * rule, so that a long history costs nothing. */
bool census_is_elsewhere(const struct visit *visit, const struct census_stay *stay,
                         int64_t low_us, int64_t high_us)
{
    const struct patient *root = visit->owner->root;
    bool inpatient = census_is_inpatient(visit);
    size_t i;

    for (i = start_position(root, stay->from_low_us, 0, 0); i < root->start_count; i++) {
        const struct start *start = &root->starts[i];

        if (start->from_low_us > high_us)
            return false;
        if (start->visit == visit || start->place == stay->place)
            continue;
        /* An inpatient who is registered at a clinic comes back to his bed; anybody else
         * has gone on. */
        if (!inpatient || census_is_inpatient(start->visit) || start->to_high_us > low_us)
            return true;
    }
    return false;
}

/* --- Whose visit --- */

/* First and last time are all that matters of how often a number was named. */
bool census_claim(struct visit *visit, struct patient *patient, const struct stamp *stamp)
{
    struct claim *claim;
    size_t i;

    for (i = 0; i < visit->claim_count; i++) {
        claim = &visit->claims[i];
        if (claim->patient != patient)
            continue;
        if (stamp_compare(stamp, &claim->first) < 0)
            claim->first = *stamp;
        if (stamp_compare(stamp, &claim->last) > 0)
            claim->last = *stamp;
        return true;
    }
    if (!census_grow((void **)&visit->claims, visit->claim_count, &visit->claim_capacity,
                     sizeof(*visit->claims)))
        return false;
    visit->claims[visit->claim_count++] = (struct claim){patient, *stamp, *stamp};
    return true;
}

/* The last message that moved the visit to another patient, NULL if none did. */
static const struct census_event *last_move(const struct visit *visit)
{
    size_t i;

    for (i = visit->event_count; i > 0; i--)
        if (visit->events[i - 1].kind == ADT_MOVE_VISIT)
            return &visit->events[i - 1];
    return NULL;
}

/* The oldest claim rather than the newest: a merge makes later messages carry the
 * survivor's number, and the visit's owner must not jump by that. */
struct patient *census_owner(struct visit *visit)
{
    const struct census_event *move = last_move(visit);
    const struct claim *oldest = NULL;
    struct patient *owner;
    struct stamp since = {INT64_MIN, 0};
    size_t i;

    for (i = 0; i < visit->claim_count; i++)
        if (oldest == NULL || stamp_compare(&visit->claims[i].first, &oldest->first) < 0)
            oldest = &visit->claims[i];
    if (oldest == NULL)
        return NULL;
    owner = oldest->patient;
    if (move != NULL) {
        owner = move->patient;
        since = (struct stamp){move->recorded.low_us, move->id};
    }
    visit->disputed = false;
    for (i = 0; i < visit->claim_count; i++)
        if (visit->claims[i].patient->root != owner->root &&
            stamp_compare(&visit->claims[i].last, &since) > 0)
            visit->disputed = true;
    return owner;
}

/* Places and starts that point here are gone by then, or go with the census. */
void census_visit_free(struct visit *visit)
{
    size_t i;

    if (visit == NULL)
        return;
    for (i = 0; i < VISIT_TEXTS; i++)
        free(visit->texts[i].text);
    free(visit->key);
    free(visit->events);
    free(visit->claims);
    free(visit->stays);
    free(visit);
}
