/* SPDX-License-Identifier: Apache-2.0 */
#include "ward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

/* How an event comes to be told. */
struct telling {
    const char *event;        /* A01 */
    int patient, bed, before; /* bed is PV1-3, before PV1-6; WARD_NOBODY for none */
    int64_t occurred_us;
    int64_t told_us;              /* EVN-2 and MSH-7: when the clerk wrote it */
    int other_patient, other_bed; /* A17's second group; A34's dying number */
};

const char *ward_place(int bed)
{
    static const char *const places[WARD_BEDS] = {"gsu-bed-1", "gsu-bed-2", "gsu-bed-3",
                                                  "gsu-bed-4"};

    return places[bed];
}

void ward_case_number(int patient, char *out, size_t size)
{
    snprintf(out, size, "CN%05d", patient + 1000);
}

int ward_patient_of(const char *case_number)
{
    int number = 0;

    if (sscanf(case_number, "CN%d", &number) != 1 || number < 1000)
        return WARD_NOBODY;
    number -= 1000;
    return number >= WARD_ALIAS ? number - WARD_ALIAS : number;
}

static void local_text(int64_t utc_us, char out[20])
{
    struct zone zone;
    struct civil civil;

    if (zone_parse(ZONE_LONDON, &zone) != 0)
        abort();
    civil_from_utc(utc_us + zone_offset_s(&zone, utc_us) * SECOND, &civil);
    snprintf(out, 20, "%04d%02u%02u%02u%02u%02u", (int)civil.year % 10000,
             civil.month % 100U, civil.day % 100U, civil.hour % 100U, civil.minute % 100U,
             civil.second % 100U);
}

static void location_text(int bed, char out[80])
{
    if (bed == WARD_NOBODY)
        snprintf(out, 80, "%s", "\"\"");
    else
        snprintf(out, 80, "GSU^GSU^Bed %d^HOMERTON UNIVER^^Bed(s)^Homerton UH", bed + 1);
}

/* PID and PV1 in the shape that Homerton's feed has (reference/standards.md 4b). */
static int group_text(char *out, size_t size, int patient, int bed, int before)
{
    char number[16], visit[16], assigned[80], prior[80];

    ward_case_number(patient, number, sizeof number);
    ward_case_number(patient % WARD_ALIAS, visit,
                     sizeof visit); /* a merge leaves the visit's number */
    location_text(bed, assigned);
    location_text(before, prior);
    return snprintf(out, size,
                    "PID|1|%s|%s^^^Homerton Case Note Number^CNN~%d^^^Person ID^Person "
                    "ID|\"\"|TEST%d^PATIENT^\"\"||"
                    "19500101|Female||||||||||%s-1^^^Homerton FIN^Encounter No.|\r"
                    "PV1|1|Inpatient|%s|\"\"|\"\"|%s||||||||||||Inpatient|%s-1^0^\"\"^^"
                    "Attendance No.|\r",
                    number, number, patient + 5000, patient, visit, assigned, prior,
                    visit);
}

static void tell(struct ward *ward, const struct telling *telling)
{
    struct ward_message *message = &ward->messages[ward->message_count];
    char told[20], occurred[20], number[16];
    size_t used;

    ward->control++;
    if (ward->message_count == WARD_MESSAGES_MAX)
        abort();
    local_text(telling->told_us, told);
    local_text(telling->occurred_us, occurred);
    used = (size_t)snprintf(
        message->text, sizeof message->text,
        "MSH|^~\\&|HOMERTON_TIE|HOMERTON|WARDGATE|HOMERTON|%s||ADT^%s|Q%uT%uX1|P|2.3.1\r"
        "EVN|%s|%s||||%s\r",
        told, telling->event, ward->control, ward->control, telling->event, told,
        occurred);
    used += (size_t)group_text(message->text + used, sizeof message->text - used,
                               telling->patient, telling->bed, telling->before);
    if (strcmp(telling->event, "A17") == 0)
        used +=
            (size_t)group_text(message->text + used, sizeof message->text - used,
                               telling->other_patient, telling->other_bed, telling->bed);
    if (strcmp(telling->event, "A34") == 0) {
        ward_case_number(telling->other_patient, number, sizeof number);
        used += (size_t)snprintf(message->text + used, sizeof message->text - used,
                                 "MRG|%s^^^Homerton Case Note Number^CNN\r", number);
    }
    if (used >= sizeof message->text)
        abort();

    /* On time, minutes late, hours late, or lost until the feed is repaired at the end of
     * the day. */
    message->due_us = telling->told_us + chance_between(&ward->chance, 0, 3 * SECOND);
    if (chance_percent(&ward->chance, 30))
        message->due_us += chance_between(&ward->chance, 0, 30 * MINUTE);
    if (chance_percent(&ward->chance, 8))
        message->due_us += chance_between(&ward->chance, 0, 6 * HOUR);
    if (chance_percent(&ward->chance, 4))
        message->due_us = ward->end_us + chance_between(&ward->chance, 0, HOUR);
    ward->message_count++;
    if (chance_percent(&ward->chance, 10) && ward->message_count < WARD_MESSAGES_MAX) {
        ward->messages[ward->message_count] = *message;
        ward->messages[ward->message_count++].due_us +=
            chance_between(&ward->chance, 0, 2 * HOUR);
    }
}

static void tell_simply(struct ward *ward, const char *event, int patient, int bed,
                        int before, int64_t at_us)
{
    int64_t late = chance_percent(&ward->chance, 25)
                       ? chance_between(&ward->chance, 0, 40) * MINUTE
                       : 0;
    struct telling telling = {event, patient,      bed,         before,
                              at_us, at_us + late, WARD_NOBODY, WARD_NOBODY};

    tell(ward, &telling);
}

static void leave(struct ward *ward, int bed, int64_t at_us)
{
    ward->stays[ward->stay_count++] =
        (struct ward_stay){ward->occupant[bed], bed, ward->since_us[bed], at_us};
    ward->occupant[bed] = WARD_NOBODY;
}

static void lie_down(struct ward *ward, int bed, int patient, int64_t at_us)
{
    ward->occupant[bed] = patient;
    ward->since_us[bed] = at_us;
}

static void admit(struct ward *ward, int bed, int64_t at_us)
{
    int patient = ward->patients++;
    int64_t merged_us = at_us + chance_between(&ward->chance, 3, 60) * MINUTE;

    lie_down(ward, bed, patient, at_us);
    if (chance_percent(&ward->chance, 80)) {
        tell_simply(ward, chance_percent(&ward->chance, 90) ? "A01" : "A04", patient, bed,
                    WARD_NOBODY, at_us);
        return;
    }
    /* Known under a temporary number until the records are merged. */
    tell(ward, &(struct telling){"A01", patient + WARD_ALIAS, bed, WARD_NOBODY, at_us,
                                 at_us, WARD_NOBODY, WARD_NOBODY});
    tell(ward, &(struct telling){"A34", patient, bed, WARD_NOBODY, merged_us, merged_us,
                                 patient + WARD_ALIAS, WARD_NOBODY});
    ward->quiet_until_us[bed] = merged_us;
}

static int free_bed(struct ward *ward)
{
    int start = (int)chance_below(&ward->chance, WARD_BEDS);

    for (int i = 0; i < WARD_BEDS; i++)
        if (ward->occupant[(start + i) % WARD_BEDS] == WARD_NOBODY)
            return (start + i) % WARD_BEDS;
    return WARD_NOBODY;
}

static void transfer(struct ward *ward, int bed, int64_t at_us)
{
    int to = free_bed(ward), patient = ward->occupant[bed];

    if (to == WARD_NOBODY)
        return;
    leave(ward, bed, at_us);
    lie_down(ward, to, patient, at_us);
    tell_simply(ward, "A02", patient, to, bed, at_us);
}

static void swap(struct ward *ward, int bed, int64_t at_us)
{
    int other = (bed + 1) % WARD_BEDS, a = ward->occupant[bed], b = ward->occupant[other];

    if (b == WARD_NOBODY || at_us <= ward->quiet_until_us[other])
        return;
    leave(ward, bed, at_us);
    leave(ward, other, at_us);
    lie_down(ward, bed, b, at_us);
    lie_down(ward, other, a, at_us);
    tell(ward, &(struct telling){"A17", a, other, bed, at_us, at_us, b, bed});
}

/* A clerk's mistake, put right later: nobody moved. */
static void mistake(struct ward *ward, int bed, int64_t at_us)
{
    int patient = ward->occupant[bed], to = free_bed(ward);
    int64_t noticed = at_us + chance_between(&ward->chance, 2, 90) * MINUTE;

    ward->quiet_until_us[bed] = noticed;

    if (chance_percent(&ward->chance, 50) || to == WARD_NOBODY) {
        tell(ward, &(struct telling){"A03", patient, bed, WARD_NOBODY, at_us, at_us,
                                     WARD_NOBODY, WARD_NOBODY});
        tell(ward, &(struct telling){"A13", patient, bed, WARD_NOBODY, at_us, noticed,
                                     WARD_NOBODY, WARD_NOBODY});
    } else {
        tell(ward, &(struct telling){"A02", patient, to, bed, at_us, at_us, WARD_NOBODY,
                                     WARD_NOBODY});
        tell(ward, &(struct telling){"A12", patient, bed, to, at_us, noticed, WARD_NOBODY,
                                     WARD_NOBODY});
    }
}

/* A clerk books somebody into a bed that is taken, and discharges him later: the PAS
 * lists two, one is there. */
static void book_twice(struct ward *ward, int bed, int64_t at_us)
{
    int patient = ward->patients++;
    int64_t noticed = at_us + chance_between(&ward->chance, 5, 90) * MINUTE;

    ward->quiet_until_us[bed] = noticed; /* the rightful one stays until then */
    ward->doubts[ward->doubt_count++] = (struct ward_doubt){bed, at_us, noticed};
    tell(ward, &(struct telling){"A01", patient, bed, WARD_NOBODY, at_us, at_us,
                                 WARD_NOBODY, WARD_NOBODY});
    tell(ward, &(struct telling){"A03", patient, bed, WARD_NOBODY, noticed, noticed,
                                 WARD_NOBODY, WARD_NOBODY});
}

static void happen(struct ward *ward, int64_t at_us)
{
    int bed = (int)chance_below(&ward->chance, WARD_BEDS);

    if (ward->occupant[bed] == WARD_NOBODY) {
        if (ward->patients < WARD_PATIENTS_MAX)
            admit(ward, bed, at_us);
        return;
    }
    if (at_us <= ward->quiet_until_us[bed])
        return;
    switch (chance_below(&ward->chance, 9)) {
    case 0:
    case 1:
    case 2:
        tell_simply(ward, "A03", ward->occupant[bed], bed, WARD_NOBODY, at_us);
        leave(ward, bed, at_us);
        break;
    case 3:
    case 4:
        transfer(ward, bed, at_us);
        break;
    case 5:
        swap(ward, bed, at_us);
        break;
    case 6:
        mistake(ward, bed, at_us);
        break;
    case 7:
        if (ward->patients < WARD_PATIENTS_MAX)
            book_twice(ward, bed, at_us);
        break;
    default:
        tell_simply(ward, "A08", ward->occupant[bed], bed, WARD_NOBODY, at_us);
    }
}

static int by_due(const void *a, const void *b)
{
    const struct ward_message *x = a, *y = b;

    return x->due_us < y->due_us ? -1 : x->due_us > y->due_us;
}

void ward_play(struct ward *ward, uint64_t seed, int64_t begin_us)
{
    int64_t at_us = begin_us;

    memset(ward, 0, sizeof *ward);
    ward->chance.state = seed;
    ward->begin_us = begin_us;
    ward->end_us = begin_us + 24 * HOUR;
    for (int bed = 0; bed < WARD_BEDS; bed++)
        ward->occupant[bed] = WARD_NOBODY;
    /* Events are at least 2 minutes apart, so that a mistake and a move of the same
     * patient keep their order. */
    while ((at_us += chance_between(&ward->chance, 120, 3600) * SECOND) < ward->end_us)
        happen(ward, at_us);
    for (int bed = 0; bed < WARD_BEDS; bed++)
        if (ward->occupant[bed] != WARD_NOBODY)
            leave(ward, bed, ward->end_us + 12 * HOUR);
    qsort(ward->messages, ward->message_count, sizeof ward->messages[0], by_due);
}

bool ward_double(const struct ward *ward, int bed, int64_t at_us)
{
    for (size_t i = 0; i < ward->doubt_count; i++)
        if (ward->doubts[i].bed == bed && at_us >= ward->doubts[i].from_us &&
            at_us <= ward->doubts[i].to_us)
            return true;
    return false;
}

int ward_patient_at(const struct ward *ward, int bed, int64_t at_us)
{
    for (size_t i = 0; i < ward->stay_count; i++)
        if (ward->stays[i].bed == bed && at_us >= ward->stays[i].from_us &&
            at_us < ward->stays[i].to_us)
            return ward->stays[i].patient;
    return WARD_NOBODY;
}
