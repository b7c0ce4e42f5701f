/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of one record. Each function names the first field at fault, or returns
 * NULL: the name goes into a log and an engineer looks there, so no value is ever part
 * of it.
 */
#include "wire/record_check.h"

#include <string.h>

#define EXPONENT_MAX 18 /* as in drivers/observation.h, which wire does not know */
#define QUALITY_MAX  0xffff

/* How many continuation bytes follow a first byte, or -1; *least is the smallest code
 * point that may be written that long (an overlong form is a way round every filter). */
static int utf8_follows(unsigned char c, uint32_t *point, uint32_t *least)
{
    if (c < 0x80) {
        *point = c;
        *least = 0;
        return 0;
    }
    if ((c & 0xe0) == 0xc0) {
        *point = c & 0x1f;
        *least = 0x80;
        return 1;
    }
    if ((c & 0xf0) == 0xe0) {
        *point = c & 0x0f;
        *least = 0x800;
        return 2;
    }
    if ((c & 0xf8) == 0xf0) {
        *point = c & 0x07;
        *least = 0x10000;
        return 3;
    }
    return -1;
}

/* UTF-8 in its shortest form, no surrogates, no control characters of either block:
 * safe in HL7, JSON and on a terminal. */
bool text_valid(const char *text, size_t capacity)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + capacity;

    while (at < end && *at != '\0') {
        uint32_t point, least;
        int follows;
        if (*at < 0x80) { /* nearly all of it */
            if (*at < ' ' || *at == 0x7f)
                return false;
            at++;
            continue;
        }
        follows = utf8_follows(*at++, &point, &least);
        if (follows < 0)
            return false;
        for (; follows > 0; follows--, at++) {
            if (at == end || (*at & 0xc0) != 0x80)
                return false;
            point = point << 6 | (*at & 0x3f);
        }
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff) ||
            (point >= 0x80 && point < 0xa0))
            return false;
    }
    return at < end;
}

/* For the fixed arrays of nanopb's structs: an array without its NUL is refused. */
#define TEXT_OK(array) text_valid((array), sizeof(array))

/* A code of 0 names nothing, and an exponent beyond 18 is no measurement. */
static const char *check_observation(const wardgate_Observation *o)
{
    if (o->code == 0)
        return "observations.code";
    if (o->exponent < -EXPONENT_MAX || o->exponent > EXPONENT_MAX)
        return "observations.exponent";
    if (o->quality > QUALITY_MAX)
        return "observations.quality";
    if (o->which_value == wardgate_Observation_text_tag && !TEXT_OK(o->value.text))
        return "observations.text";
    return NULL;
}

/* The id is what everything at the chart hangs on; the rest may be empty. */
static const char *check_device(const wardgate_Device *device)
{
    if (device->id[0] == '\0' || !TEXT_OK(device->id))
        return "device.id";
    if (!TEXT_OK(device->identity))
        return "device.identity";
    if (!TEXT_OK(device->profile))
        return "device.profile";
    return TEXT_OK(device->line) ? NULL : "device.line";
}

/* Role and number must fit together. */
static const char *check_subject(const wardgate_Subject *subject)
{
    if ((unsigned)subject->role > wardgate_Subject_Role_NEWBORN)
        return "subject.role";
    /* A fetus or newborn without its number could be any of them. */
    if ((subject->role == wardgate_Subject_Role_PATIENT) != (subject->number == 0))
        return "subject.number";
    return subject->digest.size <= sizeof(subject->digest.bytes) ? NULL
                                                                 : "subject.digest";
}

/* Within the years that can be written with four digits. */
static bool utc_valid(int64_t utc_us)
{
    return utc_us >= -WIRE_UTC_MAX_US && utc_us <= WIRE_UTC_MAX_US;
}

/* A time without its boot can never be re-based. */
static const char *check_time(const wardgate_TimeBlock *time)
{
    if (time->boot == 0)
        return "time.boot";
    if (time->monotonic_us > WIRE_MONOTONIC_MAX_US)
        return "time.monotonic_us";
    if (!utc_valid(time->utc_us))
        return "time.utc_us";
    if ((unsigned)time->sync > wardgate_TimeBlock_Sync_HOLDOVER)
        return "time.sync";
    return TEXT_OK(time->device_time) ? NULL : "time.device_time";
}

/* A reading has a device, a time and at least one observation: all else is optional. */
static const char *check_reading(const wardgate_Record *record)
{
    const char *field;

    if (!record->has_device)
        return "device";
    if (!record->has_time)
        return "time";
    if (record->observations_count == 0)
        return "observations";
    for (pb_size_t i = 0; i < record->observations_count; i++)
        if ((field = check_observation(&record->observations[i])) != NULL)
            return field;
    return NULL;
}

/* A gap that replaces records says which: one end alone is a mistake. */
static const char *check_gap(const wardgate_Record *record)
{
    const wardgate_Gap *gap = &record->gap;

    if (!record->has_gap)
        return "gap";
    if (gap->reason == wardgate_Gap_Reason_UNSPECIFIED ||
        (unsigned)gap->reason > _wardgate_Gap_Reason_MAX)
        return "gap.reason";
    if ((gap->from_seq == 0) != (gap->to_seq == 0) || gap->from_seq > gap->to_seq)
        return "gap.from_seq";
    if (gap->has_from && check_time(&gap->from) != NULL)
        return "gap.from";
    if (gap->has_to && check_time(&gap->to) != NULL)
        return "gap.to";
    return NULL;
}

/* The same limits as any time. */
static const char *check_clock_fix(const wardgate_Record *record)
{
    const wardgate_ClockFix *fix = &record->clock_fix;

    if (!record->has_clock_fix)
        return "clock_fix";
    if (fix->boot == 0)
        return "clock_fix.boot";
    if (fix->monotonic_us > WIRE_MONOTONIC_MAX_US)
        return "clock_fix.monotonic_us";
    return utc_valid(fix->utc_us) ? NULL : "clock_fix.utc_us";
}

/* Kinds are known ones: a new kind needs a new chart to understand it. */
static const char *check_event(const wardgate_Record *record)
{
    if (!record->has_event)
        return "event";
    if (record->event.kind == wardgate_Event_Kind_UNSPECIFIED ||
        (unsigned)record->event.kind > _wardgate_Event_Kind_MAX)
        return "event.kind";
    return TEXT_OK(record->event.detail) ? NULL : "event.detail";
}

/* Binds something to something. */
static const char *check_binding(const wardgate_Record *record)
{
    const wardgate_Binding *binding = &record->binding;

    if (!record->has_binding)
        return "binding";
    if (!TEXT_OK(binding->place))
        return "binding.place";
    if (binding->digest.size > sizeof(binding->digest.bytes))
        return "binding.digest";
    if (binding->place[0] == '\0' && binding->digest.size == 0)
        return "binding.place"; /* binds a device to nothing */
    return TEXT_OK(binding->author) ? NULL : "binding.author";
}

/* A part that belongs to another kind: nobody would check it, and nobody may come to rely
 * on it. */
static const char *check_foreign_part(const wardgate_Record *record)
{
    if (record->observations_count > 0 && record->kind != wardgate_Record_Kind_READING)
        return "observations";
    if (record->has_gap && record->kind != wardgate_Record_Kind_GAP)
        return "gap";
    if (record->has_clock_fix && record->kind != wardgate_Record_Kind_CLOCK_FIX)
        return "clock_fix";
    if (record->has_event && record->kind != wardgate_Record_Kind_EVENT)
        return "event";
    if (record->has_binding && record->kind != wardgate_Record_Kind_BINDING)
        return "binding";
    return NULL;
}

/* What every kind has in common, then what its kind needs and must not have. */
static const char *check_parts(const wardgate_Record *record)
{
    static const char *(*const by_kind[])(const wardgate_Record *) = {
        [wardgate_Record_Kind_READING] = check_reading,
        [wardgate_Record_Kind_GAP] = check_gap,
        [wardgate_Record_Kind_CLOCK_FIX] = check_clock_fix,
        [wardgate_Record_Kind_EVENT] = check_event,
        [wardgate_Record_Kind_BINDING] = check_binding,
    };
    const char *field = NULL;

    if (record->seq == 0)
        return "seq";
    if (record->kind == wardgate_Record_Kind_NONE ||
        (unsigned)record->kind > _wardgate_Record_Kind_MAX)
        return "kind";
    if (record->has_device && (field = check_device(&record->device)) != NULL)
        return field;
    if (!TEXT_OK(record->place))
        return "place";
    if (record->has_subject && (field = check_subject(&record->subject)) != NULL)
        return field;
    if (record->has_time && (field = check_time(&record->time)) != NULL)
        return field;
    if (record->order_token.size > sizeof(record->order_token.bytes))
        return "order_token";
    if ((field = by_kind[record->kind](record)) != NULL)
        return field;
    return check_foreign_part(record);
}

/* The count first: nothing may walk an array by a number that has not been checked. */
int record_check(const wardgate_Record *record, const char **field)
{
    size_t room = sizeof(record->observations) / sizeof(record->observations[0]);

    if (record->observations_count > room) {
        *field = "observations";
        return WIRE_LIMIT;
    }
    *field = check_parts(record);
    return *field == NULL ? WIRE_OK : WIRE_INVALID;
}

/* What is too long or too many for our structs is a limit of ours; the rest is not this
 * protobuf. */
int decode_error(const char *why)
{
    static const char *const limits[] = {"array overflow", "string overflow",
                                         "bytes overflow",
                                         "incorrect fixed length bytes size"};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        if (strcmp(why, limits[i]) == 0)
            return WIRE_LIMIT;
    return WIRE_MALFORMED;
}
