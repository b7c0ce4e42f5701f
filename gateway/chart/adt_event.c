/* SPDX-License-Identifier: Apache-2.0
 *
 * One patient's part of an ADT message: who, which visit, where (when is adt_time.c's).
 * Each step reads like the standard's table of fields; a step that can't go on notes
 * segment and field, and the message is refused.
 */
#include "chart/adt_site.h"

#include <stdio.h>
#include <string.h>

#include "chart/adt_hash.h"

#define NHS_DIGITS   10
#define NAME_SCRATCH 512 /* longest name looked at before it is cut */

/* --- Reading fields --- */

/* An identifier: too long or with control characters it is no identifier. */
static bool read_text(struct adt_reader *reader, const struct adt_group *group,
                      const char *name, const struct hl7_segment *segment, unsigned field,
                      unsigned component, char *out, size_t size)
{
    int n = hl7_value(reader->message, adt_part_of(reader, segment, field, component),
                      out, size);

    if (n >= 0)
        return true;
    return adt_refuse(reader, HL7_ERROR, name, group->number, field, component, 102,
                      n == HL7_CONTROL ? "control character" : "too long");
}

/* A name for people: a long one is cut, at a whole character. */
static bool read_name(struct adt_reader *reader, const struct adt_group *group,
                      unsigned component, char *out)
{
    char text[NAME_SCRATCH];
    size_t n;

    if (!read_text(reader, group, "PID", group->pid, 5, component, text, sizeof(text)))
        return false;
    n = strlen(text);
    if (n >= ADT_TEXT_SIZE)
        for (n = ADT_TEXT_SIZE - 1; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
            ;
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

/* --- Who --- */

/* Weights 10 to 2 over the first nine digits. Ten times the same digit passes the sum
 * (0000000000 to 9999999999 all do) and is what people type when they have no number. */
bool nhs_number_valid(const char *text)
{
    unsigned sum = 0, check, i;
    bool same = true;

    if (strlen(text) != NHS_DIGITS)
        return false;
    for (i = 0; i < NHS_DIGITS; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        same = same && text[i] == text[0];
        if (i < NHS_DIGITS - 1)
            sum += (unsigned)(text[i] - '0') * (NHS_DIGITS - i);
    }
    check = (11 - sum % 11) % 11; /* 10 is no digit, so never equal to one */
    return !same && check == (unsigned)(text[NHS_DIGITS - 1] - '0');
}

/* Takes an NHS number, blanks and dashes apart. What is not ten digits (in PID-19 it may
 * be another country's number) is none; ten digits that fail are flagged. */
static void take_nhs(const char *text, struct adt_event *event)
{
    char digits[NHS_DIGITS + 1];
    size_t n = 0;

    for (; *text != '\0'; text++) {
        if (*text == ' ' || *text == '-')
            continue;
        if (*text < '0' || *text > '9' || n == NHS_DIGITS)
            return;
        digits[n++] = *text;
    }
    if (n != NHS_DIGITS || event->nhs[0] != '\0')
        return;
    digits[n] = '\0';
    if (nhs_number_valid(digits))
        memcpy(event->nhs, digits, sizeof(digits));
    else
        event->flags |= ADT_NHS_INVALID;
}

/* The place of a type in a list of names, from 0; SIZE_MAX if it is not there. */
static size_t rank_of(char *const *names, const char *type)
{
    size_t i;

    for (i = 0; names[i] != NULL; i++)
        if (strcasecmp(names[i], type) == 0)
            return i;
    return SIZE_MAX;
}

/* One repetition of a CX field. */
struct identifier {
    char number[ADT_TEXT_SIZE], authority[ADT_TEXT_SIZE], type[ADT_TEXT_SIZE];
};

/* Number, authority and type of one repetition; the check digit and the rest of a CX
 * are not used. */
static bool read_identifier(const struct adt_reader *reader, struct hl7_text text,
                            struct identifier *id)
{
    const struct hl7_message *message = reader->message;

    return hl7_value(message, hl7_component(message, text, 1), id->number,
                     ADT_TEXT_SIZE) >= 0 &&
           hl7_value(message,
                     hl7_subcomponent(message, hl7_component(message, text, 4), 1),
                     id->authority, ADT_TEXT_SIZE) >= 0 &&
           hl7_value(message, hl7_component(message, text, 5), id->type, ADT_TEXT_SIZE) >=
               0;
}

/* How good a local number this is: the rank of its type in the site's list, then one
 * without any type; SIZE_MAX none. */
static size_t number_rank(const struct adt_site *site, const struct identifier *id)
{
    size_t by_type = rank_of(site->names[ADT_NUMBER_TYPES], id->type);

    if (id->number[0] == '\0')
        return SIZE_MAX;
    if (by_type != SIZE_MAX)
        return by_type;
    return id->type[0] == '\0' ? SIZE_MAX - 1
                               : rank_of(site->names[ADT_NUMBER_TYPES], id->authority);
}

/* Goes through PID-3 or MRG-1. Takes the best local number, and NHS numbers on the way
 * (nhs may be NULL). */
static bool read_identifiers(struct adt_reader *reader, const struct adt_group *group,
                             const char *name, const struct hl7_segment *segment,
                             unsigned field, struct adt_identity *out,
                             struct adt_event *nhs)
{
    struct hl7_text text = adt_field_of(reader, segment, field);
    size_t n = hl7_repetitions(reader->message, text), best = SIZE_MAX, rank, i;
    struct identifier id;

    for (i = 1; i <= n; i++) {
        if (!read_identifier(reader, hl7_repetition(reader->message, text, i), &id))
            return adt_refuse(reader, HL7_ERROR, name, group->number, field, 0, 102,
                              "identifier too long or with control characters");
        if (rank_of(reader->site->names[ADT_NHS_TYPES], id.type) != SIZE_MAX) {
            if (nhs != NULL)
                take_nhs(id.number, nhs);
            continue;
        }
        rank = number_rank(reader->site, &id);
        if (rank < best) {
            best = rank;
            memcpy(out->number, id.number, sizeof(out->number));
            memcpy(out->authority, id.authority, sizeof(out->authority));
        }
    }
    if (best == SIZE_MAX)
        return adt_refuse(reader, HL7_ERROR, name, group->number, field, 1, 101,
                          "no local patient number");
    return true;
}

/* Everything of PID that is used. Only the local number must be there: a patient
 * without name, birth date or NHS number is a patient all the same. */
static bool read_patient(struct adt_reader *reader, const struct adt_group *group,
                         struct adt_event *event)
{
    char ssn[ADT_TEXT_SIZE], text[ADT_TEXT_SIZE];
    struct hl7_time birth;

    if (!read_identifiers(reader, group, "PID", group->pid, 3, &event->patient, event) ||
        !read_name(reader, group, 1, event->family) ||
        !read_name(reader, group, 2, event->given) ||
        !read_text(reader, group, "PID", group->pid, 8, 1, event->sex,
                   sizeof(event->sex)) ||
        !read_text(reader, group, "PID", group->pid, 18, 1, event->account,
                   sizeof(event->account)) ||
        !read_text(reader, group, "PID", group->pid, 31, 1, text, sizeof(text)))
        return false;
    if (strcmp(text, "Y") == 0)
        event->flags |= ADT_UNKNOWN_PERSON;
    if (hl7_time(adt_part_of(reader, group->pid, 7, 1), &birth) && birth.digits >= 8)
        (void)snprintf(event->birth, sizeof(event->birth), "%04u%02u%02u",
                       (unsigned)birth.year % 10000, birth.month % 100u,
                       birth.day % 100u);
    if (!reader->site->nhs_elsewhere &&
        hl7_value(reader->message, adt_part_of(reader, group->pid, 19, 1), ssn,
                  sizeof(ssn)) > 0)
        take_nhs(ssn, event);
    return true;
}

/* The identity that a merge ends, or that a visit is taken from. */
static bool read_prior(struct adt_reader *reader, const struct adt_group *group,
                       struct adt_event *event)
{
    if (group->mrg == NULL)
        return adt_refuse(reader, HL7_ERROR, "MRG", group->number, 0, 0, 100,
                          "MRG segment missing");
    if (!read_identifiers(reader, group, "MRG", group->mrg, 1, &event->prior, NULL))
        return false;
    /* often left out: numbers of one feed have one authority */
    if (event->prior.authority[0] == '\0')
        memcpy(event->prior.authority, event->patient.authority,
               sizeof(event->prior.authority));
    if (strcmp(event->prior.number, event->patient.number) == 0 &&
        strcmp(event->prior.authority, event->patient.authority) == 0)
        return adt_refuse(reader, HL7_ERROR, "MRG", group->number, 1, 1, 204,
                          "names the surviving patient itself");
    return true;
}

/* --- Which visit --- */

/* What tells visits apart. The letter keeps a visit number and an account number that
 * happen to be equal from becoming one visit. */
static void make_visit_key(const struct adt_reader *reader, struct adt_event *event)
{
    bool account_first = reader->site->visit == ADT_VISIT_PID_18;
    const char *first = account_first ? event->account : event->visit;
    const char *second = account_first ? event->visit : event->account;
    /* F: account (FIN); V: visit */
    char letter = (first[0] != '\0') == account_first ? 'F' : 'V';
    const char *key = first[0] != '\0' ? first : second;
    uint64_t hash;

    if (key[0] != '\0') {
        (void)snprintf(event->visit_key, sizeof(event->visit_key), "%c:%.77s", letter,
                       key);
        return;
    }
    /* One visit at a time is all that can be told of a patient whose visits have no
     * number. */
    event->flags |= ADT_NO_VISIT;
    hash = adt_hash(event->patient.authority, strlen(event->patient.authority), 1);
    (void)snprintf(event->visit_key, sizeof(event->visit_key), "P:%08x:%.65s",
                   (unsigned)hash, event->patient.number);
}

/* PV1-19, PID-18 and PV1-2. Which of the two numbers is the visit's name is the site's
 * choice; either will do where the other is missing. */
static bool read_visit(struct adt_reader *reader, const struct adt_group *group,
                       struct adt_event *event)
{
    if (reader->trigger->visit && group->pv1 == NULL && event->kind != ADT_MOVE_VISIT)
        return adt_refuse(reader, HL7_ERROR, "PV1", group->number, 0, 0, 100,
                          "PV1 segment missing");
    if (!read_text(reader, group, "PV1", group->pv1, 19, 1, event->visit,
                   sizeof(event->visit)) ||
        !read_text(reader, group, "PV1", group->pv1, 2, 1, event->category,
                   sizeof(event->category)))
        return false;
    /* the moved one may be named by its old numbers only */
    if (event->kind == ADT_MOVE_VISIT) {
        if (event->visit[0] == '\0' && !read_text(reader, group, "MRG", group->mrg, 5, 1,
                                                  event->visit, sizeof(event->visit)))
            return false;
        if (event->account[0] == '\0' &&
            !read_text(reader, group, "MRG", group->mrg, 3, 1, event->account,
                       sizeof(event->account)))
            return false;
        if (event->visit[0] == '\0' && event->account[0] == '\0')
            return adt_refuse(reader, HL7_ERROR, "MRG", group->number, 5, 1, 101,
                              "no visit to move");
    }
    if (reader->trigger->visit || event->visit[0] != '\0' || event->account[0] != '\0')
        make_visit_key(reader, event);
    return true;
}

/* --- Where --- */

/* The field as it came, without the two double quotes that many feeds put into every
 * empty component. */
static bool copy_location(const struct adt_location *location, char *out)
{
    struct hl7_writer writer;
    char text[ADT_LOCATION_SIZE + 8];
    size_t i;
    int n;

    hl7_writer(&writer, text, sizeof(text));
    hl7_segment(&writer, "PV1");
    hl7_put(&writer, 1, "");
    for (i = 0; i < ADT_LOCATION_PARTS; i++)
        if (location->part[i][0] != '\0')
            hl7_put_component(&writer, i + 1, location->part[i]);
    n = hl7_finish(&writer); /* "PV1|" before it, the end of the segment after it */
    if (n < 4)
        return n >= 0;
    if (n == 4) { /* nothing at all was in it: the separator went, too */
        out[0] = '\0';
        return true;
    }
    if (n - 5 >= ADT_LOCATION_SIZE)
        return false;
    memcpy(out, text + 4, (size_t)n - 5);
    out[n - 5] = '\0';
    return true;
}

/* Reads a location field. False: refused. */
static bool read_location(struct adt_reader *reader, const struct adt_group *group,
                          unsigned field, struct adt_location *location)
{
    struct hl7_text text = adt_field_of(reader, group->pv1, field);

    if (!adt_location_read(reader->message, hl7_repetition(reader->message, text, 1),
                           location))
        return adt_refuse(reader, HL7_ERROR, "PV1", group->number, field, 0, 102,
                          "location too long or with control characters");
    return true;
}

/* Hospitals that share a PAS share its feed: PV1-3.4 tells whose bed it is. Most wards
 * of a small site leave it empty. */
static bool is_ours(const struct adt_reader *reader, const struct adt_location *location)
{
    return location->part[3][0] == '\0' ||
           adt_site_accepts(reader->site, ADT_PLACE_FACILITIES, location->part[3]);
}

/* Somebody else's patient, in somebody else's bed, is none of our business. One who goes
 * there from a bed of ours is: he must not stay in it. */
static bool check_ours(struct adt_reader *reader, const struct adt_group *group,
                       unsigned field, const struct adt_location *location)
{
    struct adt_location prior;

    if (is_ours(reader, location))
        return true;
    if (reader->trigger->shape == ADT_SHAPE_FROM_TO &&
        read_location(reader, group, 6, &prior) && prior.bed && is_ours(reader, &prior))
        return true;
    return reader->result->outcome != ADT_REFUSE &&
           adt_foreign(reader, "PV1", group->number, field, 4,
                       "another hospital's location");
}

/* Where the patient is from now on. */
static bool set_place(struct adt_reader *reader, const struct adt_group *group,
                      unsigned field, const struct adt_location *location,
                      struct adt_event *event)
{
    if (!check_ours(reader, group, field, location))
        return false;
    if (!copy_location(location, event->location))
        return adt_refuse(reader, HL7_ERROR, "PV1", group->number, field, 0, 102,
                          "location too long");
    if (!location->any) {
        event->flags |= event->kind == ADT_UPDATE ? 0u : (uint32_t)ADT_NO_LOCATION;
        return true;
    }
    if (!location->bed) {
        event->flags |= ADT_NO_BED;
        return true;
    }
    if (is_ours(reader, location))
        adt_location_place(reader->site, location, event->place);
    if (event->place[0] == '\0') {
        event->flags |= ADT_UNMAPPED;
        adt_site_note_unmapped(reader->site, event->location);
    }
    return true;
}

/* Where he was until now. A ward without a bed is no evidence for or against a bed. */
static bool set_from(struct adt_reader *reader, const struct adt_group *group,
                     unsigned field, struct adt_event *event)
{
    struct adt_location location;

    if (!read_location(reader, group, field, &location))
        return false;
    if (reader->trigger->shape == ADT_SHAPE_FROM &&
        !check_ours(reader, group, field, &location))
        return false;
    event->has_from = location.bed && !reader->site->prior_untrusted;
    if (event->has_from && is_ours(reader, &location))
        adt_location_place(reader->site, &location, event->from_place);
    return true;
}

/* A09 and A10 come in shapes that the filled fields tell apart; the bed is kept unless
 * PV1-3 says otherwise. */
static bool read_tracking(struct adt_reader *reader, const struct adt_group *group,
                          struct adt_event *event)
{
    struct adt_location assigned, temporary, pending, prior, prior_temporary;
    bool departing = strcmp(event->trigger, "A09") == 0;

    if (!read_location(reader, group, 3, &assigned) ||
        !read_location(reader, group, 11, &temporary) ||
        !read_location(reader, group, 42, &pending) ||
        !read_location(reader, group, 6, &prior) ||
        !read_location(reader, group, 43, &prior_temporary))
        return false;
    if (temporary.any) {
        event->kind = ADT_TEMPORARY;
        return set_place(reader, group, 11, &temporary, event);
    }
    if (departing && (pending.any || !assigned.any || !prior.any)) {
        event->kind = ADT_DEPART; /* on the way: in no place that we could name */
        return true;
    }
    event->kind = !departing && prior_temporary.any ? ADT_RETURN : ADT_TRANSFER;
    if (event->kind == ADT_TRANSFER && !set_from(reader, group, 6, event))
        return false;
    return set_place(reader, group, 3, &assigned, event);
}

/* What the location fields mean depends on the trigger: PV1-3 of a discharge is where
 * the patient is no more. */
static bool read_where(struct adt_reader *reader, const struct adt_group *group,
                       struct adt_event *event)
{
    struct adt_location location;

    switch (reader->trigger->shape) {
    case ADT_SHAPE_NONE:
        return true;
    case ADT_SHAPE_TRACKING:
        return read_tracking(reader, group, event);
    case ADT_SHAPE_FROM:
        return set_from(reader, group, 3, event);
    case ADT_SHAPE_FROM_TO:
        if (!set_from(reader, group, 6, event))
            return false;
        break;
    case ADT_SHAPE_TO:
        break;
    }
    return read_location(reader, group, 3, &location) &&
           set_place(reader, group, 3, &location, event);
}

/* When, who, which visit, who before, where. The order is that of what a person would
 * mend first. */
bool adt_event_fill(struct adt_reader *reader, const struct adt_group *group,
                    struct adt_event *event)
{
    memset(event, 0, sizeof(*event));
    reader->pid = group->pid;
    reader->pv1 = group->pv1;
    hl7_fields(reader->message, group->pid, reader->pid_fields, ADT_FIELDS);
    hl7_fields(reader->message, group->pv1, reader->pv1_fields, ADT_FIELDS);
    event->kind = reader->trigger->kind;
    memcpy(event->trigger, reader->trigger->name, sizeof(event->trigger));
    event->id = adt_hash(&reader->hash, sizeof(reader->hash), group->number);
    if (!adt_read_times(reader, group, event) || !read_patient(reader, group, event) ||
        !read_visit(reader, group, event))
        return false;
    if (reader->trigger->prior && !read_prior(reader, group, event))
        return false;
    if (!read_where(reader, group, event))
        return false;
    if (event->kind == ADT_UPDATE && reader->site->update_moves &&
        event->location[0] != '\0')
        event->kind = ADT_TRANSFER;
    return true;
}
