/* SPDX-License-Identifier: Apache-2.0
 *
 * What the census is made of. Private to census*.c.
 *
 * Invariants, true whenever no census_* call is under way:
 *  1. visit->events is sorted by (recorded, kind, id) and holds no id twice.
 *  2. visit->stays is census_derive(visit->events), and every stay with a place is
 * indexed in that place exactly once.
 *  3. person->starts has every stay with a place of every visit of the patients whose
 * root is this person, by beginning.
 *  4. root(p) depends only on the set of merges seen, and visit->owner only on the set of
 * events of that visit.
 */
#ifndef CHART_CENSUS_PARTS_H
#define CHART_CENSUS_PARTS_H

#include "chart/census.h"

/* --- A table from 64-bit ids to things (open addressing, power of two, never shrinks)
 * --- */

struct census_slot {
    uint64_t id;
    void *thing;
};

struct census_table {
    struct census_slot *slots;
    size_t capacity, used;
};

void *census_table_get(const struct census_table *table, uint64_t id);
/* id must be new; false: memory */
bool census_table_put(struct census_table *table, uint64_t id, void *thing);

/* Grows an array to hold one more; false: memory, the array is untouched. */
bool census_grow(void **items, size_t used, size_t *capacity, size_t size);

/* --- Things --- */

/* which of two messages about one field is the newer: later recorded, then the larger
 * id */
struct stamp {
    int64_t recorded_us;
    uint64_t id;
};

struct stamped {
    char *text; /* NULL = nothing known */
    struct stamp stamp;
};

enum patient_text {
    PATIENT_NHS,
    PATIENT_FAMILY,
    PATIENT_GIVEN,
    PATIENT_BIRTH,
    PATIENT_SEX,
    PATIENT_UNKNOWN,
    PATIENT_TEXTS
};
enum visit_text { VISIT_VISIT, VISIT_ACCOUNT, VISIT_CATEGORY, VISIT_TEXTS };

struct patient;
struct visit;

/* The patient that holds this was merged into winner. */
struct merge {
    struct patient *winner;
    struct stamp stamp;
};

/* Where a stay of one person begins. */
struct start {
    int64_t from_low_us, to_high_us;
    uint64_t place;
    const struct visit *visit;
};

struct patient {
    uint64_t id;
    char *number, *authority;
    struct stamped texts[PATIENT_TEXTS];
    struct merge *merges;
    size_t merge_count, merge_capacity;
    struct patient *next;  /* circular: all patients connected by merges, whichever won */
    struct patient *root;  /* who this patient is now */
    struct visit **visits; /* owned by this very patient */
    size_t visit_count, visit_capacity;
    struct start *starts; /* root only: see invariant 3 */
    size_t start_count, start_capacity;
};

/* Messages of a visit that carry this patient's number. */
struct claim {
    struct patient *patient;
    struct stamp first;
    struct stamp last;
};

struct census_event {
    enum adt_kind kind;
    bool has_from, no_location;
    uint64_t id, place, from_place;
    struct adt_span occurred, recorded;
    int64_t known_us;
    struct patient *patient;
    const char *location;
};

struct visit {
    uint64_t id;
    char *key;
    struct stamped texts[VISIT_TEXTS];
    struct census_event *events;
    size_t event_count, event_capacity;
    struct claim *claims;
    size_t claim_count, claim_capacity;
    /* whose visit this is, before merges; NULL until the first claim */
    struct patient *owner;
    bool disputed; /* claims of different persons */
    /* in order of time; patient, original and ELSEWHERE are filled in on the way out */
    struct census_stay *stays;
    size_t stay_count, stay_capacity;
};

/* One stay in a place's index. */
struct entry {
    int64_t from_low_us, to_high_us;
    /* the latest end of this and all before: nothing before it touches what lies past
     * it */
    int64_t reach_us;
    struct visit *visit;
    size_t index; /* in visit->stays */
};

struct place {
    uint64_t id;
    char *name;
    struct entry *entries; /* by from_low, then visit id, then index */
    size_t count, capacity;
    int64_t *peaks; /* the latest end within each block of entries */
    size_t peak_capacity;
};

struct census {
    struct census_table patients, visits, places, locations;
    struct census_window *windows;
    size_t window_count, window_capacity;
    size_t stays, events;
    uint64_t repeated, updates_elsewhere, conflicts;
};

/* --- census_derive.c: a visit's stays from its events --- */

/* Puts an event in its order. 1: new; 0: it was there (known_us is then the earlier of
 * both); -1: memory. */
int census_add_event(struct visit *visit, const struct census_event *event);

/* Derives the stays anew into *stays (grown as needed). The result depends on the set of
 * events alone. */
bool census_derive(const struct visit *visit, struct census_stay **stays, size_t *count,
                   size_t *capacity);

/* --- census_place.c: a place's stays by time --- */

bool census_place_add(struct place *place, struct visit *visit, size_t index);
void census_place_remove(struct place *place, const struct visit *visit, size_t index);
void census_place_free(struct place *place);

/* --- census_people.c: patients, their merges and their visits --- */

int stamp_compare(const struct stamp *a, const struct stamp *b);
/* Keeps the newer of both; false: memory. "" and NULL change nothing. */
bool stamped_set(struct stamped *field, const char *text, const struct stamp *stamp);

/* The patient of this identity, made if new. NULL: *error says why. */
struct patient *census_patient_of(struct census *census,
                                  const struct adt_identity *identity, int *error);
/* Adds a merge. 1: new; 0: known; -1: memory. Roots of all connected patients are right
 * afterwards, their starts are not. */
int census_merge(struct patient *loser, struct patient *winner,
                 const struct stamp *stamp);
/* Builds the starts of a person from all visits anew. */
bool census_person_build(struct patient *root);
bool census_start_add(struct patient *root, const struct visit *visit,
                      const struct census_stay *stay);
void census_start_remove(struct patient *root, const struct visit *visit,
                         const struct census_stay *stay);
/* Notes that a message of this visit carries this patient's number. False: memory. */
bool census_claim(struct visit *visit, struct patient *patient,
                  const struct stamp *stamp);
/* Whose visit it is by all claims and moves; also sets visit->disputed. */
struct patient *census_owner(struct visit *visit);
bool census_is_inpatient(const struct visit *visit);
/* True if another visit makes it doubtful that the person was still in this stay then. */
bool census_is_elsewhere(const struct visit *visit, const struct census_stay *stay,
                         int64_t low_us, int64_t high_us);
void census_patient_free(struct patient *patient);
void census_visit_free(struct visit *visit);

#endif
