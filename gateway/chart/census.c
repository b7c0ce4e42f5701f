/* SPDX-License-Identifier: Apache-2.0
 *
 * The census as a whole: applying a message, and what changed by it. An event touches one
 * visit (a merge: the patients it connects); that visit's stays are derived anew,
 * compared with what they were, and only the difference goes into the indexes and comes
 * out as windows.
 */
#include "chart/census_parts.h"

#include <stdlib.h>
#include <string.h>

#include "chart/adt_hash.h"

/* --- Life --- */

/* All zero is an empty census. */
struct census *census_new(void)
{
    return calloc(1, sizeof(struct census));
}

/* Things are owned by their tables; everything else only points. */
void census_free(struct census *census)
{
    size_t i;

    if (census == NULL)
        return;
    for (i = 0; i < census->patients.capacity; i++)
        census_patient_free(census->patients.slots[i].thing);
    for (i = 0; i < census->visits.capacity; i++)
        census_visit_free(census->visits.slots[i].thing);
    for (i = 0; i < census->places.capacity; i++)
        census_place_free(census->places.slots[i].thing);
    for (i = 0; i < census->locations.capacity; i++)
        free(census->locations.slots[i].thing);
    free(census->patients.slots);
    free(census->visits.slots);
    free(census->places.slots);
    free(census->locations.slots);
    free(census->windows);
    free(census);
}

/* --- Ids and the things that have them --- */

/* Each kind of thing hashes with a seed of its own, so that a visit and a place of one
 * name differ. */
uint64_t census_place_id(const char *place)
{
    return place[0] == '\0' ? 0 : adt_hash(place, strlen(place), 4);
}

/* See census_place_id. */
uint64_t census_visit_id(const char *visit_key)
{
    return visit_key[0] == '\0' ? 0 : adt_hash(visit_key, strlen(visit_key), 3);
}

/* The place of this name, made if new. Two names with one id are refused rather than
 * mixed up: that would be two beds in one. */
static struct place *place_of(struct census *census, const char *name, int *error)
{
    uint64_t id = census_place_id(name);
    struct place *place = census_table_get(&census->places, id);

    *error = CENSUS_COLLISION;
    if (place != NULL)
        return strcmp(place->name, name) == 0 ? place : NULL;
    *error = CENSUS_MEMORY;
    place = calloc(1, sizeof(*place));
    if (place == NULL)
        return NULL;
    place->id = id;
    place->name = strdup(name);
    if (place->name == NULL || !census_table_put(&census->places, id, place)) {
        census_place_free(place);
        return NULL;
    }
    return place;
}

/* The visit of this key, made if new; see place_of. */
static struct visit *visit_of(struct census *census, const char *key, int *error)
{
    uint64_t id = census_visit_id(key);
    struct visit *visit = census_table_get(&census->visits, id);

    *error = CENSUS_COLLISION;
    if (visit != NULL)
        return strcmp(visit->key, key) == 0 ? visit : NULL;
    *error = CENSUS_MEMORY;
    visit = calloc(1, sizeof(*visit));
    if (visit == NULL)
        return NULL;
    visit->id = id;
    visit->key = strdup(key);
    if (visit->key == NULL || !census_table_put(&census->visits, id, visit)) {
        census_visit_free(visit);
        return NULL;
    }
    return visit;
}

/* Locations are few and named often: each is kept once. NULL: memory. */
static const char *location_of(struct census *census, const char *text)
{
    uint64_t id = adt_hash(text, strlen(text), 5);
    char *known;

    while ((known = census_table_get(&census->locations, id)) != NULL &&
           strcmp(known, text) != 0)
        id++; /* a collision here costs a step, nothing more */
    if (known != NULL)
        return known;
    known = strdup(text);
    if (known != NULL && !census_table_put(&census->locations, id, known)) {
        free(known);
        return NULL;
    }
    return known;
}

/* --- Windows --- */

/* Notes a window. Locations that are no place of ours have no readings, so they need
 * none. */
static bool add_window(struct census *census, uint64_t place, int64_t from_us,
                       int64_t to_us)
{
    if (place == 0 || from_us >= to_us)
        return true;
    if (!census_grow((void **)&census->windows, census->window_count,
                     &census->window_capacity, sizeof(*census->windows)))
        return false;
    census->windows[census->window_count++] =
        (struct census_window){place, from_us, to_us};
    return true;
}

/* Whole stays, boundaries' uncertainty included. */
static bool add_stay_windows(struct census *census, const struct census_stay *stays,
                             size_t n)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (!add_window(census, stays[i].place, stays[i].from_low_us,
                        stays[i].to_high_us))
            return false;
    return true;
}

/* The first moment of stays in places that we know; CENSUS_FOREVER if there are none. */
static int64_t first_moment(const struct census_stay *stays, size_t n)
{
    int64_t first = CENSUS_FOREVER;
    size_t i;

    for (i = 0; i < n; i++)
        if (stays[i].place != 0 && stays[i].from_low_us < first)
            first = stays[i].from_low_us;
    return first;
}

/* Other visits of the same person whose stays last beyond a moment: what changed there
 * may end or revive them here. */
static bool add_elsewhere_windows(struct census *census, const struct patient *root,
                                  const struct visit *visit, int64_t from_us)
{
    size_t i;

    for (i = 0; i < root->start_count; i++) {
        const struct start *start = &root->starts[i];

        if (start->visit != visit && start->to_high_us > from_us &&
            !add_window(census, start->place,
                        start->from_low_us > from_us ? start->from_low_us : from_us,
                        start->to_high_us))
            return false;
    }
    return true;
}

/* --- A visit's stays, old and new --- */

/* What decides about readings; known_us and the location's spelling do not. */
static bool same_stay(const struct census_stay *a, const struct census_stay *b)
{
    return a->place == b->place && a->flags == b->flags &&
           a->from_low_us == b->from_low_us && a->from_high_us == b->from_high_us &&
           a->to_low_us == b->to_low_us && a->to_high_us == b->to_high_us;
}

/* The commonest change by far: a stay ends that was open. Only what lies past its new end
 * is touched. */
static bool only_end_differs(const struct census_stay *a, const struct census_stay *b)
{
    return a->place == b->place && a->flags == b->flags &&
           a->from_low_us == b->from_low_us && a->from_high_us == b->from_high_us;
}

/* The earlier of two instants. */
static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The later of two instants. */
static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* What lies before the first difference can't have changed; from there on, old and new
 * stays and other visits of the same person may have. */
static bool add_change_windows(struct census *census, const struct visit *visit,
                               const struct census_stay *old, size_t old_count,
                               const struct census_stay *now, size_t now_count, bool all)
{
    int64_t from = smaller(first_moment(old, old_count), first_moment(now, now_count));

    if (!all && old_count > 0 && now_count > 0 && only_end_differs(&old[0], &now[0])) {
        int64_t end = smaller(old[0].to_low_us, now[0].to_low_us);

        if (!add_window(census, old[0].place, end,
                        larger(old[0].to_high_us, now[0].to_high_us)))
            return false;
        old++, old_count--;
        now++, now_count--;
        from = smaller(end, smaller(first_moment(old, old_count),
                                    first_moment(now, now_count)));
    }
    return add_stay_windows(census, old, old_count) &&
           add_stay_windows(census, now, now_count) &&
           add_elsewhere_windows(census, visit->owner->root, visit, from);
}

/* Takes the visit's stays from `first` on out of the indexes. */
static void unindex(struct census *census, struct visit *visit, size_t first)
{
    size_t i;

    for (i = visit->stay_count; i > first; i--) {
        const struct census_stay *stay = &visit->stays[i - 1];

        census_start_remove(visit->owner->root, visit, stay);
        if (stay->place != 0)
            census_place_remove(census_table_get(&census->places, stay->place), visit,
                                i - 1);
        census->stays--;
    }
    visit->stay_count = first;
}

/* Puts stays from `first` on into place. On failure the census is of no more use
 * (CENSUS_MEMORY says so). */
static bool reindex(struct census *census, struct visit *visit,
                    const struct census_stay *stays, size_t first, size_t count)
{
    size_t i;

    for (i = first; i < count; i++) {
        if (!census_grow((void **)&visit->stays, i, &visit->stay_capacity,
                         sizeof(*visit->stays)))
            return false;
        visit->stays[i] = stays[i];
        visit->stay_count = i + 1;
        census->stays++;
        if (!census_start_add(visit->owner->root, visit, &stays[i]))
            return false;
        if (stays[i].place != 0 &&
            !census_place_add(census_table_get(&census->places, stays[i].place), visit,
                              i))
            return false;
    }
    return true;
}

/* stays + first, also when there are none at all: NULL + 0 is not C. */
static const struct census_stay *past(const struct census_stay *stays, size_t first)
{
    return first == 0 ? stays : stays + first;
}

/* Derives the visit's stays anew and brings indexes and windows up to it. `all`:
 * something else about the visit changed, so that every stay's answer may. */
static bool update_stays(struct census *census, struct visit *visit, bool all)
{
    struct census_stay *stays = NULL;
    size_t count = 0, capacity = 0, first = 0, i;
    bool ok = census_derive(visit, &stays, &count, &capacity);

    while (ok && !all && first < count && first < visit->stay_count &&
           same_stay(&stays[first], &visit->stays[first]))
        first++;
    if (ok && (first < count || first < visit->stay_count))
        ok = add_change_windows(census, visit, past(visit->stays, first),
                                visit->stay_count - first, past(stays, first),
                                count - first, all);
    if (ok) {
        /* the same stay may be known from another message by now */
        for (i = 0; i < first; i++) {
            visit->stays[i].known_us = stays[i].known_us;
            visit->stays[i].location = stays[i].location;
        }
        unindex(census, visit, first);
        ok = reindex(census, visit, stays, first, count);
    }
    free(stays);
    return ok;
}

/* --- Whose visit --- */

/* Hangs a visit on its owner. */
static bool give_visit(struct patient *owner, struct visit *visit)
{
    if (!census_grow((void **)&owner->visits, owner->visit_count, &owner->visit_capacity,
                     sizeof(struct visit *)))
        return false;
    owner->visits[owner->visit_count++] = visit;
    visit->owner = owner;
    return true;
}

/* Takes a visit off its owner. The order of an owner's visits means nothing. */
static void take_visit(struct visit *visit)
{
    struct patient *owner = visit->owner;
    size_t i;

    for (i = 0; i < owner->visit_count && owner->visits[i] != visit; i++)
        ;
    if (i < owner->visit_count)
        owner->visits[i] = owner->visits[--owner->visit_count];
}

/* Keeps the count that the worklist shows. */
static void count_dispute(struct census *census, bool was, bool is)
{
    census->conflicts += is && !was;
    census->conflicts -= was && !is;
}

/* Finds the owner anew. *changed: another one, or the dispute began or ended. The windows
 * of what the old owner loses are added. */
static bool update_owner(struct census *census, struct visit *visit, bool *changed)
{
    bool was = visit->disputed;
    struct patient *old = visit->owner, *owner = census_owner(visit);

    count_dispute(census, was, visit->disputed);
    *changed = owner != old || was != visit->disputed;
    if (owner == old)
        return true;
    if (old != NULL) {
        if (!add_elsewhere_windows(census, old->root, visit,
                                   first_moment(visit->stays, visit->stay_count)) ||
            !add_stay_windows(census, visit->stays, visit->stay_count))
            return false;
        unindex(census, visit, 0);
        take_visit(visit);
    }
    return give_visit(owner, visit);
}

/* --- Events --- */

/* Each text has its own stamp: an old message that comes late fills what newer ones
 * left empty, and overwrites nothing. */
static bool update_texts(struct patient *patient, const struct adt_event *event,
                         const struct stamp *stamp)
{
    const char *unknown = event->flags & ADT_UNKNOWN_PERSON ? "Y" : "N";
    struct stamped *texts = patient->texts;

    return stamped_set(&texts[PATIENT_NHS], event->nhs, stamp) &&
           stamped_set(&texts[PATIENT_FAMILY], event->family, stamp) &&
           stamped_set(&texts[PATIENT_GIVEN], event->given, stamp) &&
           stamped_set(&texts[PATIENT_BIRTH], event->birth, stamp) &&
           stamped_set(&texts[PATIENT_SEX], event->sex, stamp) &&
           stamped_set(&texts[PATIENT_UNKNOWN], unknown, stamp);
}

/* What the census keeps of an event: ids instead of texts. */
static int compact(struct census *census, const struct adt_event *event, int64_t known_us,
                   struct patient *patient, struct census_event *out)
{
    int error = CENSUS_OK;

    *out = (struct census_event){.kind = event->kind,
                                 .has_from = event->has_from,
                                 .no_location = (event->flags & ADT_NO_LOCATION) != 0,
                                 .id = event->id,
                                 .place = census_place_id(event->place),
                                 .from_place = census_place_id(event->from_place),
                                 .occurred = event->occurred,
                                 .recorded = event->recorded,
                                 .known_us = known_us,
                                 .patient = patient,
                                 .location = location_of(census, event->location)};
    if (out->location == NULL)
        return CENSUS_MEMORY;
    if (out->place != 0 && place_of(census, event->place, &error) == NULL)
        return error;
    return CENSUS_OK;
}

/* An A08 moves nobody, but one that knows another bed than we do is a sign of a message
 * lost. */
static void note_update(struct census *census, const struct visit *visit,
                        const struct adt_event *event)
{
    uint64_t place = census_place_id(event->place);
    size_t i;

    if (place == 0)
        return;
    for (i = 0; i < visit->stay_count; i++)
        if (visit->stays[i].place == place &&
            visit->stays[i].to_high_us > event->occurred.low_us)
            return;
    census->updates_elsewhere++;
}

/* The visit takes in texts and claim first, since whose it is may change by them; then
 * its stays follow. */
static int apply_to_visit(struct census *census, const struct adt_event *event,
                          int64_t known_us, struct patient *patient,
                          const struct stamp *stamp)
{
    struct census_event kept;
    struct visit *visit;
    bool was_inpatient, changed;
    int error, added = 0;

    visit = visit_of(census, event->visit_key, &error);
    if (visit == NULL)
        return error;
    was_inpatient = census_is_inpatient(visit);
    if (!stamped_set(&visit->texts[VISIT_VISIT], event->visit, stamp) ||
        !stamped_set(&visit->texts[VISIT_ACCOUNT], event->account, stamp) ||
        !stamped_set(&visit->texts[VISIT_CATEGORY], event->category, stamp) ||
        !census_claim(visit, patient, stamp))
        return CENSUS_MEMORY;

    if (event->kind == ADT_UPDATE) {
        note_update(census, visit, event);
    } else {
        error = compact(census, event, known_us, patient, &kept);
        if (error != CENSUS_OK)
            return error;
        added = census_add_event(visit, &kept);
        if (added < 0)
            return CENSUS_MEMORY;
        census->events += (size_t)added;
        census->repeated += added == 0;
    }
    if (!update_owner(census, visit, &changed) ||
        !update_stays(census, visit,
                      changed || was_inpatient != census_is_inpatient(visit)))
        return CENSUS_MEMORY;
    return CENSUS_OK;
}

/* Patients became one, or changed round: everything that any of them ever had may have
 * another answer. */
static bool update_merged(struct census *census, struct patient *any)
{
    struct patient *at = any;
    size_t i;
    bool was;

    do {
        at->start_count = 0;
        for (i = 0; i < at->visit_count; i++) {
            was = at->visits[i]->disputed;
            (void)census_owner(at->visits[i]);
            count_dispute(census, was, at->visits[i]->disputed);
            if (!add_stay_windows(census, at->visits[i]->stays,
                                  at->visits[i]->stay_count))
                return false;
        }
        at = at->next;
    } while (at != any);
    do {
        if (at->root == at && !census_person_build(at))
            return false;
        at = at->next;
    } while (at != any);
    return true;
}

/* A merge belongs to patients, not to a visit: it holds for visits that are told of
 * later, too. */
static int apply_merge(struct census *census, const struct adt_event *event,
                       struct patient *winner, const struct stamp *stamp)
{
    struct patient *loser;
    int error, added;

    if (event->prior.number[0] == '\0')
        return CENSUS_INCOMPLETE;
    loser = census_patient_of(census, &event->prior, &error);
    if (loser == NULL)
        return error;
    if (loser == winner)
        return CENSUS_INCOMPLETE;
    added = census_merge(loser, winner, stamp);
    if (added == 0)
        census->repeated++;
    if (added < 0 || (added > 0 && !update_merged(census, winner)))
        return CENSUS_MEMORY;
    census->events += (size_t)added;
    return CENSUS_OK;
}

/* What every event does (the patient's texts), then what its kind does. */
static int apply_one(struct census *census, const struct adt_event *event,
                     int64_t known_us)
{
    struct stamp stamp = {event->recorded.low_us, event->id};
    struct patient *patient;
    int error;

    if (event->patient.number[0] == '\0')
        return CENSUS_INCOMPLETE;
    patient = census_patient_of(census, &event->patient, &error);
    if (patient == NULL)
        return error;
    if (!update_texts(patient, event, &stamp))
        return CENSUS_MEMORY;
    if (event->kind == ADT_MERGE)
        return apply_merge(census, event, patient, &stamp);
    if (event->visit_key[0] != '\0')
        return apply_to_visit(census, event, known_us, patient, &stamp);
    return event->kind == ADT_UPDATE ? CENSUS_OK : CENSUS_INCOMPLETE;
}

/* Nothing else runs meanwhile, so the two halves of a swap are seen together by
 * anybody who asks. All events are applied even if one fails: the message is in the
 * log, and a rebuild would do the same. */
int census_apply(struct census *census, const struct adt_event *events, size_t count,
                 int64_t known_us, const struct census_window **windows, size_t *n)
{
    int error, first = CENSUS_OK;
    size_t i;

    census->window_count = 0;
    for (i = 0; i < count; i++) {
        error = apply_one(census, &events[i], known_us);
        if (error != CENSUS_OK && first == CENSUS_OK)
            first = error;
    }
    if (windows != NULL)
        *windows = census->windows;
    if (n != NULL)
        *n = census->window_count;
    return first;
}
