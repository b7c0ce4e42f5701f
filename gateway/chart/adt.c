/* SPDX-License-Identifier: Apache-2.0
 *
 * Which ADT messages are for us, and how each is to be read: a table of triggers, another
 * of those that are left aside and why. What one patient's segments say is adt_event.c's.
 */
#include "chart/adt_site.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "chart/adt_hash.h"

static const struct adt_trigger triggers[] = {
    {"A01", ADT_ADMIT, ADT_SHAPE_TO, true, false},
    {"A02", ADT_TRANSFER, ADT_SHAPE_FROM_TO, true, false},
    {"A03", ADT_DISCHARGE, ADT_SHAPE_FROM, true, false},
    {"A04", ADT_ADMIT, ADT_SHAPE_TO, true, false},
    {"A06", ADT_TRANSFER, ADT_SHAPE_FROM_TO, true, false},
    {"A07", ADT_TRANSFER, ADT_SHAPE_FROM_TO, true, false},
    {"A08", ADT_UPDATE, ADT_SHAPE_TO, false, false},
    {"A09", ADT_TRANSFER, ADT_SHAPE_TRACKING, true, false},
    {"A10", ADT_TRANSFER, ADT_SHAPE_TRACKING, true, false},
    {"A11", ADT_CANCEL_ADMIT, ADT_SHAPE_NONE, true, false},
    {"A12", ADT_CANCEL_TRANSFER, ADT_SHAPE_TO, true, false},
    {"A13", ADT_CANCEL_DISCHARGE, ADT_SHAPE_TO, true, false},
    {"A17", ADT_SWAP, ADT_SHAPE_FROM_TO, true, false},
    {"A18", ADT_MERGE, ADT_SHAPE_NONE, false, true},
    {"A21", ADT_LEAVE, ADT_SHAPE_NONE, true, false},
    {"A22", ADT_RETURN, ADT_SHAPE_TO, true, false},
    {"A23", ADT_CANCEL_ADMIT, ADT_SHAPE_NONE, true, false},
    {"A28", ADT_UPDATE, ADT_SHAPE_NONE, false, false},
    {"A30", ADT_MERGE, ADT_SHAPE_NONE, false, true},
    {"A31", ADT_UPDATE, ADT_SHAPE_NONE, false, false},
    {"A32", ADT_CANCEL_TRANSFER, ADT_SHAPE_TO, true, false},
    {"A33", ADT_CANCEL_TRANSFER, ADT_SHAPE_TO, true, false},
    {"A34", ADT_MERGE, ADT_SHAPE_NONE, false, true},
    {"A36", ADT_MERGE, ADT_SHAPE_NONE, false, true},
    {"A39", ADT_MERGE, ADT_SHAPE_NONE, false, true},
    {"A40", ADT_MERGE, ADT_SHAPE_NONE, false, true},
    {"A44", ADT_MOVE_VISIT, ADT_SHAPE_NONE, true, true},
    {"A45", ADT_MOVE_VISIT, ADT_SHAPE_NONE, true, true},
    {"A47", ADT_MERGE, ADT_SHAPE_NONE, false, true},
    {"A52", ADT_CANCEL_LEAVE, ADT_SHAPE_NONE, true, false},
    {"A53", ADT_CANCEL_RETURN, ADT_SHAPE_NONE, true, false},
};

/* Left aside on purpose. The reason is counted and shown, so that a site sees what its
 * feed sends for nothing. */
static const struct {
    char name[4];
    const char *why;
} ignored[] = {
    {"A05", "planned: nobody is in a bed yet"},
    {"A14", "planned: nobody is in a bed yet"},
    {"A15", "planned: nobody has moved yet"},
    {"A16", "planned: nobody has left yet"},
    {"A25", "a plan withdrawn"},
    {"A26", "a plan withdrawn"},
    {"A27", "a plan withdrawn"},
    {"A38", "a plan withdrawn"},
    {"A20", "bed status without a patient"},
    {"A35", "changes an account number only"},
    {"A41", "changes an account number only"},
    {"A49", "changes an account number only"},
    {"A42", "changes a visit number only"},
    {"A50", "changes a visit number only"},
    {"A51", "changes a visit number only"},
    {"A43", "moves an identifier between patients: not followed"},
};

/* The first thing found wrong is the one that is told. Content errors are answered by
 * the site's own code: some senders drop a message on AE and repeat it for ever on AR,
 * others the other way round. */
bool adt_refuse(struct adt_reader *reader, enum hl7_verdict verdict, const char *segment,
                unsigned sequence, unsigned field, unsigned component, unsigned code,
                const char *text)
{
    struct adt_result *result = reader->result;

    result->outcome = ADT_REFUSE;
    result->verdict = verdict == HL7_ERROR ? reader->site->content : verdict;
    result->count = 0;
    result->fault = (struct hl7_fault){segment, sequence, field, component, code, text};
    return false;
}

/* Nothing is wrong with another hospital's message, so the site says how to be rid of
 * it without stopping the channel. */
bool adt_foreign(struct adt_reader *reader, const char *segment, unsigned sequence,
                 unsigned field, unsigned component, const char *text)
{
    adt_refuse(reader, HL7_ACCEPT, segment, sequence, field, component, 103, text);
    reader->result->outcome = ADT_FOREIGN;
    reader->result->verdict = reader->site->foreign;
    return false;
}

/* Taken off the sender's hands; the reason is counted by whoever asked. */
static void ignore(struct adt_result *result, const char *why)
{
    result->outcome = ADT_IGNORE;
    result->verdict = HL7_ACCEPT;
    result->fault = (struct hl7_fault){.text = why};
}

/* --- The header --- */

/* Any 2.x is read alike; what differs between them (ERR, field lengths) is the
 * answer's business. */
static bool version_known(struct hl7_text version)
{
    return version.n >= 3 && version.at[0] == '2' && version.at[1] == '.' &&
           version.at[2] >= '1' && version.at[2] <= '9' &&
           (version.n == 3 || version.at[3] == '.');
}

/* What must hold of any message before its event is looked at. */
static bool read_header(struct adt_reader *reader)
{
    const struct hl7_message *message = reader->message;
    struct hl7_text processing = hl7_get(message, "MSH", 11, 1);
    char facility[ADT_TEXT_SIZE];

    if (hl7_presence(hl7_get(message, "MSH", 10, 1)) != HL7_VALUE)
        return adt_refuse(reader, HL7_ERROR, "MSH", 1, 10, 0, 101, "no control id");
    if (hl7_control_id(message->bytes, message->n).n == 0)
        return adt_refuse(reader, HL7_ERROR, "MSH", 1, 10, 0, 102, "control id too long");
    if (!version_known(hl7_get(message, "MSH", 12, 1)))
        return adt_refuse(reader, HL7_REJECT, "MSH", 1, 12, 1, 203,
                          "version is not 2.1 to 2.9");
    if (!hl7_equals(hl7_get(message, "MSH", 9, 1), "ADT"))
        return adt_refuse(reader, HL7_REJECT, "MSH", 1, 9, 1, 200, "not an ADT message");
    if (processing.n != 0 && !hl7_equals(processing, "P"))
        return adt_refuse(reader, HL7_REJECT, "MSH", 1, 11, 1, 202, "not for production");
    if (hl7_value(message, hl7_get(message, "MSH", 4, 1), facility, sizeof(facility)) < 0)
        return adt_refuse(reader, HL7_ERROR, "MSH", 1, 4, 1, 102,
                          "facility too long or with control characters");
    if (!adt_site_accepts(reader->site, ADT_FACILITIES, facility))
        return adt_foreign(reader, "MSH", 1, 4, 1, "another hospital's message");
    return true;
}

/* Finds the trigger. False: there is nothing to be read, and the result says why. */
static bool read_trigger(struct adt_reader *reader)
{
    struct hl7_text name = hl7_get(reader->message, "MSH", 9, 2);
    size_t i;

    if (hl7_presence(name) != HL7_VALUE)
        /* before 2.3 the type alone could stand in MSH-9 */
        name = hl7_get(reader->message, "EVN", 1, 1);
    for (i = 0; i < sizeof(triggers) / sizeof(triggers[0]); i++)
        if (hl7_equals(name, triggers[i].name)) {
            reader->trigger = &triggers[i];
            return true;
        }
    for (i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        if (hl7_equals(name, ignored[i].name)) {
            ignore(reader->result, ignored[i].why);
            return false;
        }
    if (name.n != 3 || name.at[0] != 'A' || name.at[1] < '0' || name.at[1] > '9' ||
        name.at[2] < '0' || name.at[2] > '9')
        return adt_refuse(reader, HL7_REJECT, "MSH", 1, 9, 2, 201, "no ADT event");
    ignore(reader->result, "has no bearing on who is in which bed");
    return false;
}

/* --- Groups --- */

/* Sorts segments to the PID that they follow. Returns how many PIDs there are, which may
 * be more than capacity. */
static size_t collect_groups(const struct hl7_message *message, struct adt_group *groups,
                             size_t capacity)
{
    struct adt_group *group = NULL;
    size_t i, count = 0;

    for (i = 1; i < message->count; i++) {
        const struct hl7_segment *segment = &message->segments[i];

        if (hl7_is(segment, "PID")) {
            group = count < capacity ? &groups[count] : NULL;
            if (group != NULL)
                *group =
                    (struct adt_group){.pid = segment, .number = (unsigned)count + 1};
            count++;
        } else if (group != NULL && hl7_is(segment, "PV1")) {
            group->pv1 = segment;
        } else if (group != NULL && hl7_is(segment, "MRG")) {
            group->mrg = segment;
        }
    }
    return count;
}

/* How many patients a message of this trigger is about. Taking the first of several
 * would lose the others without a word. */
static bool check_group_count(struct adt_reader *reader, size_t count)
{
    if (count == 0)
        return adt_refuse(reader, HL7_ERROR, "PID", 1, 0, 0, 100, "PID segment missing");
    if (count > ADT_EVENTS_MAX)
        return adt_refuse(reader, HL7_ERROR, "PID", ADT_EVENTS_MAX + 1, 0, 0, 100,
                          "too many patients in one message");
    if (reader->trigger->kind == ADT_SWAP && count != 2)
        return adt_refuse(reader, HL7_ERROR, "PID", 2, 0, 0, 100,
                          "a swap has two patients");
    if (reader->trigger->kind != ADT_SWAP && reader->trigger->kind != ADT_MERGE &&
        count != 1)
        return adt_refuse(reader, HL7_ERROR, "PID", 2, 0, 0, 100,
                          "more than one patient");
    return true;
}

/* All or nothing: one event that can't be read refuses the whole message, because a
 * swap or a merge taken by half is worse than none. */
void adt_read(struct adt_site *site, const struct hl7_message *message,
              struct adt_result *result)
{
    struct adt_reader reader = {.site = site, .message = message, .result = result};
    struct adt_group groups[ADT_EVENTS_MAX];
    size_t count, i;

    result->outcome = ADT_APPLY;
    result->verdict = HL7_ACCEPT;
    result->fault = (struct hl7_fault){0};
    result->count = 0;
    if (!read_header(&reader) || !read_trigger(&reader))
        return;

    count = collect_groups(message, groups, ADT_EVENTS_MAX);
    if (!check_group_count(&reader, count))
        return;
    reader.evn = hl7_find(message, "EVN", 1);
    reader.hash = adt_hash(message->bytes, message->n, 0);
    for (i = 0; i < count; i++)
        if (!adt_event_fill(&reader, &groups[i], &result->events[i]))
            return;
    result->count = count;
}

/* --- The whole way --- */

/* Words for what hl7_parse found. No bytes of the message are in them: answers are
 * logged by both sides. */
static const char *parse_error_text(int error)
{
    switch (error) {
    case HL7_NOT_MSH:
        return "no MSH segment";
    case HL7_DELIMITERS:
        return "delimiters in MSH-1 and MSH-2 are not usable";
    case HL7_SEGMENT:
        return "a line is not a segment";
    default:
        return "too long, or too many segments";
    }
}

/* A message that could not even be cut up. */
static void refuse_bytes(const struct adt_site *site, int error,
                         struct adt_result *result)
{
    result->outcome = ADT_REFUSE;
    result->verdict = site->content;
    result->count = 0;
    result->fault = (struct hl7_fault){.segment = "MSH",
                                       .code = 100,
                                       .text = parse_error_text(error)};
}

/* A message that can't even be cut up is answered too, with the control id if one can
 * be found: a sender without an answer would repeat it for ever. */
int adt_receive(struct adt_site *site, const char *bytes, size_t n, int64_t now_us,
                uint64_t serial, struct hl7_message *scratch, struct adt_result *result,
                char *answer, size_t capacity)
{
    char id[24], time[24];
    struct civil civil;
    int error = hl7_parse(bytes, n, scratch, NULL);

    if (error != HL7_OK)
        refuse_bytes(site, error, result);
    else
        adt_read(site, scratch, result);
    if (error == HL7_OK && hl7_ack_mode(scratch) == HL7_ACK_NONE)
        return 0;

    (void)snprintf(id, sizeof(id), "WGA%llu", (unsigned long long)serial);
    civil_from_utc(now_us, &civil);
    (void)snprintf(time, sizeof(time), "%04u%02u%02u%02u%02u%02u+0000",
                   (unsigned)civil.year % 10000u, civil.month % 100u, civil.day % 100u,
                   civil.hour % 100u, civil.minute % 100u, civil.second % 100u);
    return hl7_ack(error == HL7_OK ? scratch : NULL, bytes, n, result->verdict,
                   result->verdict == HL7_ACCEPT ? NULL : &result->fault, id, time,
                   answer, capacity);
}
