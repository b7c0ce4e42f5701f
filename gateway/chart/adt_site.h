/* SPDX-License-Identifier: Apache-2.0
 *
 * Between adt_site.c (the rules compiled) and adt.c (messages read by them). Nobody else includes this.
 */
#ifndef CHART_ADT_SITE_H
#define CHART_ADT_SITE_H

#include "chart/adt.h"

#define ADT_LOCATION_PARTS 9 /* ward, room, bed, facility, status, type, building, floor, description */

/* A PL field taken apart: values, not escaped; "" where nothing is said. */
struct adt_location {
    char part[ADT_LOCATION_PARTS][ADT_TEXT_SIZE];
    bool any, bed; /* some component, component 3 has a value */
};

enum adt_names { ADT_FACILITIES, ADT_PLACE_FACILITIES, ADT_NUMBER_TYPES, ADT_NHS_TYPES, ADT_NAME_LISTS };

struct adt_unmapped {
    char location[ADT_LOCATION_SIZE];
    uint64_t count;
};

struct adt_mapped { /* one entry of the map, its parts folded (adt_fold) */
    char *part[ADT_LOCATION_PARTS];
    unsigned given; /* how many parts it names: the more, the more it counts */
    char place[ADT_PLACE_SIZE];
    struct adt_mapped *next; /* the same bucket */
};

struct adt_site {
    struct zone zone;
    char **names[ADT_NAME_LISTS]; /* each ends with NULL; NULL itself = any */
    bool nhs_elsewhere, update_moves;
    enum adt_visit_rule visit;
    enum adt_default otherwise;
    enum hl7_verdict foreign, content;
    struct adt_mapped *entries, **buckets;
    size_t entry_count, bucket_count; /* bucket_count is a power of two */
    struct adt_unmapped *unmapped;
    size_t unmapped_count;
};

/* Takes a PL apart; false if a component is too long or has control characters. */
bool adt_location_read(const struct hl7_message *message, struct hl7_text text, struct adt_location *location);

/* The place of a location, "" if none. out has ADT_PLACE_SIZE bytes. */
void adt_location_place(const struct adt_site *site, const struct adt_location *location, char *out);

/* Lists a bed that no rule knows. */
void adt_site_note_unmapped(struct adt_site *site, const char *location);

/* True if the list is absent or has this name; case and runs of blanks do not count. */
bool adt_site_accepts(const struct adt_site *site, enum adt_names list, const char *name);

#endif
