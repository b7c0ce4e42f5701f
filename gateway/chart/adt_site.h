/* SPDX-License-Identifier: Apache-2.0
 *
 * Between adt_site.c (the rules compiled), adt.c (messages), adt_event.c and adt_time.c
 * (one patient's part of a message). Nobody else includes this.
 */
#ifndef CHART_ADT_SITE_H
#define CHART_ADT_SITE_H

#include "chart/adt.h"

/* ward, room, bed, facility, status, type, building, floor, description */
#define ADT_LOCATION_PARTS 9

/* A PL field taken apart: values, not escaped; "" where nothing is said. */
struct adt_location {
    char part[ADT_LOCATION_PARTS][ADT_TEXT_SIZE];
    bool any, bed; /* some component, component 3 has a value */
};

enum adt_names {
    ADT_FACILITIES,
    ADT_PLACE_FACILITIES,
    ADT_NUMBER_TYPES,
    ADT_NHS_TYPES,
    ADT_NAME_LISTS
};

struct adt_unmapped {
    char location[ADT_LOCATION_SIZE];
    uint64_t count;
};

/* One entry of the map, its parts folded (adt_fold). */
struct adt_mapped {
    char *part[ADT_LOCATION_PARTS];
    unsigned given; /* how many parts it names: the more, the more it counts */
    char place[ADT_PLACE_SIZE];
    struct adt_mapped *next; /* the same bucket */
};

struct adt_site {
    struct zone zone;
    char **names[ADT_NAME_LISTS]; /* each ends with NULL; NULL itself = any */
    bool nhs_elsewhere, update_moves, prior_untrusted;
    enum adt_visit_rule visit;
    enum adt_admitted admitted;
    enum adt_default otherwise;
    enum hl7_verdict foreign, content;
    struct adt_mapped *entries, **buckets;
    size_t entry_count, bucket_count; /* bucket_count is a power of two */
    struct adt_unmapped *unmapped;
    size_t unmapped_count;
};

/* Takes a PL apart; false if a component is too long or has control characters. */
bool adt_location_read(const struct hl7_message *message, struct hl7_text text,
                       struct adt_location *location);

/* The place of a location, "" if none. out has ADT_PLACE_SIZE bytes. */
void adt_location_place(const struct adt_site *site, const struct adt_location *location,
                        char *out);

/* Lists a bed that no rule knows. */
void adt_site_note_unmapped(struct adt_site *site, const char *location);

/* True if the list is absent or has this name; case and runs of blanks do not count. */
bool adt_site_accepts(const struct adt_site *site, enum adt_names list, const char *name);

/* --- One patient's part of a message --- */

/* Which fields say where the patient is. */
enum adt_shape {
    ADT_SHAPE_NONE,    /* nobody moves */
    ADT_SHAPE_TO,      /* PV1-3 is where he is from now on */
    ADT_SHAPE_FROM_TO, /* the same, and PV1-6 is where he was */
    ADT_SHAPE_FROM,    /* PV1-3 is where he was until now */
    /* A09 and A10: PV1-3, PV1-11, PV1-42, PV1-43 together decide what it is */
    ADT_SHAPE_TRACKING,
};

struct adt_trigger {
    char name[4];
    enum adt_kind kind;
    enum adt_shape shape;
    bool visit; /* PV1 and a visit are needed */
    bool prior; /* MRG-1 is needed */
};

#define ADT_FIELDS 53 /* of PID and PV1 that are cut at once: up to PV1-52 */

/* Segments that belong to one patient; NULL = not sent. */
struct adt_group {
    const struct hl7_segment *pid, *pv1, *mrg;
    unsigned number; /* from 1: which PID of the message */
};

struct adt_reader {
    struct adt_site *site;
    const struct hl7_message *message;
    const struct adt_trigger *trigger;
    const struct hl7_segment *evn; /* NULL = not sent */
    uint64_t hash;                 /* of the whole message */
    struct adt_result *result;
    const struct hl7_segment *pid, *pv1; /* of the group being read, and their fields */
    struct hl7_text pid_fields[ADT_FIELDS], pv1_fields[ADT_FIELDS];
};

/* Notes what is wrong and returns false, so that a reader of fields can say `return
 * adt_refuse(...)`. */
bool adt_refuse(struct adt_reader *reader, enum hl7_verdict verdict, const char *segment,
                unsigned sequence, unsigned field, unsigned component, unsigned code,
                const char *text);

/* The same for a message or location of another hospital: the site's rule answers it. */
bool adt_foreign(struct adt_reader *reader, const char *segment, unsigned sequence,
                 unsigned field, unsigned component, const char *text);

/* A field of a segment, and component c of its first repetition; PID and PV1 of the group
 * being read are cut already. */
struct hl7_text adt_field_of(const struct adt_reader *reader,
                             const struct hl7_segment *segment, size_t field);
struct hl7_text adt_part_of(const struct adt_reader *reader,
                            const struct hl7_segment *segment, size_t field, size_t c);

/* Fills occurred and recorded; event->kind must be set. False: refused. */
bool adt_read_times(struct adt_reader *reader, const struct adt_group *group,
                    struct adt_event *event);

/* Fills one event from its group. False: refused, the fault is noted; or ADT_FOREIGN
 * is. */
bool adt_event_fill(struct adt_reader *reader, const struct adt_group *group,
                    struct adt_event *event);

#endif
