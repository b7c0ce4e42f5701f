/* SPDX-License-Identifier: Apache-2.0
 *
 * From one ADT message to what it says about who is where: an adt_event, or a reason why
 * not. Pure; the site's rules are handed in. Nothing here knows other messages: what an
 * event means beside others is the census's.
 *
 * What PAS feeds really send is taken as it comes: 2.3.1 without zones, two double quotes
 * in every unvalued field (never an order to delete), NHS numbers in PID-19, words for
 * codes, Z segments, merges as A34, other hospitals' messages.
 */
#ifndef CHART_ADT_H
#define CHART_ADT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/zone.h"
#include "chart/hl7.h"

#define ADT_EVENTS_MAX 8 /* of one message: A17 has two, A40 as many as it merges */
/* bytes of a name or identifier with its NUL; longer identifiers are refused (102),
 * names cut */
#define ADT_TEXT_SIZE     80
#define ADT_LOCATION_SIZE 200 /* PV1-3 as it came */
#define ADT_PLACE_SIZE    64  /* a place's name, NAME_MAX_LENGTH + 1 at most used */
#define ADT_UNMAPPED_MAX  256 /* different unmapped locations that are listed */

/* In the order in which events of one and the same instant are taken. */
enum adt_kind {
    ADT_ADMIT, /* A01 A04 */
    /* A08, also A28 A31: demographics; moves nobody unless the site says so */
    ADT_UPDATE,
    ADT_TRANSFER, /* A02 A06 A07, A10 with PV1-3, A09 in its tracking shape */
    ADT_SWAP,     /* A17, one event for each of the two */
    ADT_DEPART,   /* A09 in transit: on the way, in no place */
    /* A09 A10 with PV1-11: elsewhere for a while, the bed is kept */
    ADT_TEMPORARY,
    ADT_LEAVE,     /* A21: away, the bed is kept */
    ADT_RETURN,    /* A22; A10 with PV1-43 */
    ADT_DISCHARGE, /* A03 */
    /* A34 A40, also A18 A30 A36 A39 A47: identity prior dies, identity of the
     * patient survives */
    ADT_MERGE,
    /* A44 A45: the visit belongs to another patient from its beginning */
    ADT_MOVE_VISIT,
    ADT_CANCEL_TRANSFER,  /* A12, A32 and A33 of a tracking move */
    ADT_CANCEL_LEAVE,     /* A52 */
    ADT_CANCEL_RETURN,    /* A53 */
    ADT_CANCEL_DISCHARGE, /* A13 */
    ADT_CANCEL_ADMIT,     /* A11, A23 */
};

enum adt_flag {
    ADT_UNKNOWN_PERSON = 1 << 0, /* PID-31 = Y */
    /* a move that names no location: the old place is left, the new one is not known */
    ADT_NO_LOCATION = 1 << 1,
    ADT_NO_BED = 1 << 2,   /* PV1-3 names a ward or room without a bed */
    ADT_UNMAPPED = 1 << 3, /* PV1-3 has a bed that the site's table does not know */
    /* an NHS number was sent and failed mod 11, or has ten times the same digit */
    ADT_NHS_INVALID = 1 << 4,
    /* the time is known to the minute or less only, or lies between two fields */
    ADT_COARSE_TIME = 1 << 5,
    /* neither PV1-19 nor PID-18: the patient's number stands for the visit */
    ADT_NO_VISIT = 1 << 6,
};

/* An instant that may not be known exactly: a local time in the hour that summer time
 * repeats, or one to the minute. */
struct adt_span {
    int64_t low_us, high_us; /* both inclusive; equal when exact */
};

/* Empty texts: not sent. */
struct adt_identity {
    char number[ADT_TEXT_SIZE];    /* the local number (MRN, CNN) */
    char authority[ADT_TEXT_SIZE]; /* PID-3.4 */
};

struct adt_event {
    enum adt_kind kind;
    /* of this event: a hash of the whole message and which of its groups */
    uint64_t id;
    char trigger[4]; /* "A01" */
    uint32_t flags;  /* adt_flag */
    /* EVN-6, else by enum adt_admitted (admission) or PV1-45 (discharge), else EVN-2,
     * else MSH-7 */
    struct adt_span occurred;
    struct adt_span recorded; /* EVN-2, else MSH-7 */
    struct adt_identity patient;
    struct adt_identity prior; /* MRG-1: merges and moves of visits only */
    char nhs[11];              /* valid or empty */
    char family[ADT_TEXT_SIZE], given[ADT_TEXT_SIZE];
    char birth[9];               /* YYYYMMDD or empty */
    char sex[16];                /* as sent */
    char account[ADT_TEXT_SIZE]; /* PID-18 */
    char visit[ADT_TEXT_SIZE];   /* PV1-19 */
    /* what tells visits apart by the site's rule, prefixed by its kind; never empty for
     * events with a visit */
    char visit_key[ADT_TEXT_SIZE];
    char category[24]; /* PV1-2 as sent */
    /* PV1-3 (PV1-11 for ADT_TEMPORARY) as it came, "" runs removed */
    char location[ADT_LOCATION_SIZE];
    /* its place by the site's table; empty: none that wardgate knows */
    char place[ADT_PLACE_SIZE];
    /* the message says where the patient was before (PV1-6; PV1-3 of A03) */
    bool has_from;
    /* that place; empty with has_from: a location that is no known place */
    char from_place[ADT_PLACE_SIZE];
};

/* --- The site's rules --- */

struct adt_map_entry {
    /* "GSU^Bay 1^Bed 3": leading components of PV1-3 that must agree; letters' case,
     * runs of blanks and escapes do not count; components not given, or empty, are free.
     * Ward and bed (1 and 3) must be given. Where several entries agree, the one that
     * says most counts */
    const char *location;
    const char *place; /* wardgate's name of the bed, name_valid() */
};

/* A bed that no entry names. */
enum adt_default {
    ADT_DEFAULT_NONE, /* is no place; listed as unmapped */
    /* ward-room-bed in lower case, other characters as '-'; no place (and listed) if
     * it is no valid name. A room equal to the ward is left out */
    ADT_DEFAULT_SLUG,
};

/* first choice; the other one where it is empty */
enum adt_visit_rule { ADT_VISIT_PV1_19, ADT_VISIT_PID_18 };

/* When an admission happened if EVN-6 does not say so. PV1-44 is keyed in by a clerk, and
 * in some feeds it is when the patient came to the hospital, hours before he came to this
 * bed. */
enum adt_admitted {
    /* at some time between PV1-44 and EVN-2: readings of that time are held */
    ADT_ADMITTED_BETWEEN,
    ADT_ADMITTED_PV1_44,
    ADT_ADMITTED_EVN_2,
};

/* Borrowed while adt_site_new runs; zero = the default named. */
struct adt_rules {
    const char *zone; /* of times without one; NULL = Europe/London */
    /* MSH-4.1 accepted (case and blanks do not count), ends with NULL; NULL = any */
    const char *const *facilities;
    /* PV1-3.4 accepted (empty PV1-3.4 is, too), ends with NULL; NULL = any */
    const char *const *place_facilities;
    /* PID-3.5 (else PID-3.4) that make the local number, best first, ends with NULL;
     * NULL = CNN MRN MR PI, then the first repetition with no type at all */
    const char *const *number_types;
    const char *const *nhs_types; /* NULL = NH NHS NHSNMBR NHSNBR */
    bool nhs_elsewhere;           /* do not look for the NHS number in PID-19 */
    enum adt_visit_rule visit;
    enum adt_admitted admitted;
    const struct adt_map_entry *map;
    size_t map_count;
    enum adt_default otherwise;
    /* PV1-6 of transfers and PV1-3 of discharges say nothing: see CENSUS_MISSING */
    bool prior_untrusted;
    /* A08 with a location moves the patient there (some PAS have no A02) */
    bool update_moves;
    /* answer to another hospital's message; HL7_ACCEPT (0) = accepted and left aside */
    enum hl7_verdict foreign;
    /* answer to a message with an error; HL7_ACCEPT (0) = HL7_ERROR */
    enum hl7_verdict content;
};

struct adt_site; /* compiled rules, and the counts of what they met */

/* Returns 0, or -1 with what is wrong in error (256 bytes): unknown zone, invalid place
 * name, an entry without a bed, one location in two places. Free with adt_site_free (NULL
 * is fine). */
int adt_site_new(const struct adt_rules *rules, struct adt_site **out, char error[256]);

/* Which entries of rules.map an error is about; ADT_NO_ENTRY = none. */
#define ADT_NO_ENTRY SIZE_MAX
struct adt_wrong {
    size_t entry, earlier; /* earlier: the one that it contradicts */
};

/* The same, and says where: whoever read the map from a file can name the line. */
int adt_site_compile(const struct adt_rules *rules, struct adt_site **out,
                     struct adt_wrong *wrong, char error[256]);

void adt_site_free(struct adt_site *site);

/* True if some entry of the map leads to this place. */
bool adt_site_has_place(const struct adt_site *site, const char *place);

/* The place of a PV1-3 in its delimited form with ^ and \ as escape; "" if none. out has
 * ADT_PLACE_SIZE bytes. For `check` and tests; counts nothing. */
void adt_site_place(const struct adt_site *site, const char *location, char *out);

/* Beds that came and no rule knew, oldest first; NULL past the last. *count is how
 * often. */
const char *adt_site_unmapped(const struct adt_site *site, size_t index, uint64_t *count);

/* --- Reading a message --- */

enum adt_outcome {
    ADT_APPLY,   /* events[0..count) are to be given to the census; answer AA */
    ADT_IGNORE,  /* nothing for us in it; answer AA. fault.text says why */
    ADT_FOREIGN, /* another hospital's; answer by rules.foreign. fault says where */
    ADT_REFUSE,  /* can't be understood; answer by verdict. Goes to the dead letters */
};

struct adt_result {
    enum adt_outcome outcome;
    enum hl7_verdict verdict;
    struct hl7_fault fault; /* static texts, no patient's data */
    size_t count;
    struct adt_event events[ADT_EVENTS_MAX];
};

/* Reads a message that hl7_parse accepted. Always gives a complete result. site counts
 * unmapped locations. */
void adt_read(struct adt_site *site, const struct hl7_message *message,
              struct adt_result *result);

/* The whole way for the listener: bytes in, result and answer out. now_us and serial make
 * MSH-7 and MSH-10 of the answer. Returns the answer's length (0: none wanted), or an
 * hl7_error if the answer does not fit; result is filled in any case. scratch is too big
 * for a stack; its contents do not matter. */
int adt_receive(struct adt_site *site, const char *bytes, size_t n, int64_t now_us,
                uint64_t serial, struct hl7_message *scratch, struct adt_result *result,
                char *answer, size_t capacity);

/* --- Small rules used elsewhere too --- */

/* Ten digits, mod 11, not ten times the same. */
bool nhs_number_valid(const char *text);

/* The interval that a time means in this zone; false for an impossible one. */
bool adt_span_of(const struct zone *zone, const struct hl7_time *time,
                 struct adt_span *span);

#endif
