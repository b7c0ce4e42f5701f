/* SPDX-License-Identifier: Apache-2.0
 *
 * When something happened, by an ADT message. Feeds write local times without a zone, to
 * the second or to the minute, in several fields that do not always agree: what comes out
 * is an interval that holds the truth.
 */
#include "chart/adt_site.h"

#include "base/clock.h"

/* PID and PV1 have been cut whole; any other segment is cut now. */
struct hl7_text adt_field_of(const struct adt_reader *reader,
                             const struct hl7_segment *segment, size_t field)
{
    if (segment != NULL && segment == reader->pid && field < ADT_FIELDS)
        return reader->pid_fields[field];
    if (segment != NULL && segment == reader->pv1 && field < ADT_FIELDS)
        return reader->pv1_fields[field];
    return hl7_field(reader->message, segment, field);
}

/* Component c of the first repetition of a field. */
struct hl7_text adt_part_of(const struct adt_reader *reader,
                            const struct hl7_segment *segment, size_t field, size_t c)
{
    struct hl7_text text = adt_field_of(reader, segment, field);

    return text.n == 0 ? text
                       : hl7_component(reader->message,
                                       hl7_repetition(reader->message, text, 1), c);
}

/* The same moment in the shape that base/zone.h wants. */
static struct civil civil_of(const struct hl7_time *time)
{
    return (struct civil){time->year,   time->month,  time->day,        time->hour,
                          time->minute, time->second, time->microsecond};
}

/* All instants that one local civil time may mean. */
static bool local_span(const struct zone *zone, const struct hl7_time *time,
                       struct adt_span *span)
{
    struct civil civil = civil_of(time);
    int64_t utc[2], as_utc;
    int32_t east = zone->standard_s, west = zone->summer_s;
    int n;

    if (!civil_to_utc(&civil, &as_utc))
        return false;
    if (time->has_zone) {
        span->low_us = span->high_us = as_utc - time->zone_s * US_PER_S;
        return true;
    }
    n = zone_to_utc(zone, &civil, utc);
    if (n > 0) {
        span->low_us = utc[0];
        span->high_us = utc[n - 1];
        return true;
    }
    /* No clock showed this time: the sender's was not put forward yet, or was too early.
     * It is either of the two. */
    if (east < west) {
        east = zone->summer_s;
        west = zone->standard_s;
    }
    span->low_us = as_utc - east * US_PER_S;
    span->high_us = as_utc - west * US_PER_S;
    return n == 0;
}

/* The last moment that a time given to the minute, hour or day covers. */
static void last_moment(struct hl7_time *time)
{
    if (time->digits <= 8)
        time->hour = 23;
    if (time->digits <= 10)
        time->minute = 59;
    if (time->digits <= 12) {
        time->second = 59;
        time->microsecond = 999999;
    }
}

/* A time that ends before its seconds covers all that it may mean: from its first
 * moment in the earliest reading to its last moment in the latest one. */
bool adt_span_of(const struct zone *zone, const struct hl7_time *time,
                 struct adt_span *span)
{
    struct hl7_time last = *time;
    struct adt_span end;

    if (time->digits < 8 || !local_span(zone, time, span))
        return false;
    if (time->digits >= 14)
        return true;
    last_moment(&last);
    if (!local_span(zone, &last, &end))
        return false;
    span->high_us = end.high_us;
    return true;
}

/* Reads a time. Returns 1 and the span, 0 if nothing was sent, -1 (noted) for anything
 * that is no time. */
static int read_time(struct adt_reader *reader, const struct adt_group *group,
                     const char *name, const struct hl7_segment *segment, unsigned field,
                     struct adt_span *span, uint8_t *digits)
{
    struct hl7_text text = adt_part_of(reader, segment, field, 1);
    struct hl7_time time;

    if (hl7_presence(text) != HL7_VALUE)
        return 0;
    if (!hl7_time(text, &time) || !adt_span_of(&reader->site->zone, &time, span)) {
        adt_refuse(reader, HL7_ERROR, name, group->number, field, 0, 102, "not a time");
        return -1;
    }
    *digits = time.digits;
    return 1;
}

/* When it was keyed in: EVN-2, or the message's own time. */
static bool read_recorded(struct adt_reader *reader, struct adt_event *event,
                          uint8_t *digits)
{
    static const struct adt_group header = {.number = 1}; /* MSH and EVN come once */
    int found =
        read_time(reader, &header, "EVN", reader->evn, 2, &event->recorded, digits);

    if (found == 0)
        found = read_time(reader, &header, "MSH", hl7_find(reader->message, "MSH", 1), 7,
                          &event->recorded, digits);
    if (found == 0)
        adt_refuse(reader, HL7_ERROR, "EVN", 1, 2, 0, 101, "neither EVN-2 nor MSH-7");
    return found > 0;
}

/* Which field of PV1 has the time of this kind of event, 0 for none. */
static unsigned visit_time_field(const struct adt_reader *reader, enum adt_kind kind)
{
    if (kind == ADT_DISCHARGE)
        return 45;
    return kind == ADT_ADMIT && reader->site->admitted != ADT_ADMITTED_EVN_2 ? 44 : 0;
}

/* An admission that two fields date differently: the patient is certainly there after the
 * later one only. */
static void widen(struct adt_span *span, const struct adt_span *other)
{
    if (other->low_us < span->low_us)
        span->low_us = other->low_us;
    if (other->high_us > span->high_us)
        span->high_us = other->high_us;
}

/* When it happened. A time to the day only would put the whole day in doubt, so the next
 * best is taken. */
bool adt_read_times(struct adt_reader *reader, const struct adt_group *group,
                    struct adt_event *event)
{
    static const struct adt_group header = {.number = 1};
    unsigned visit_field = visit_time_field(reader, event->kind);
    struct adt_span span;
    uint8_t digits = 0, recorded_digits = 0;
    int found;

    if (!read_recorded(reader, event, &recorded_digits))
        return false;
    event->occurred = event->recorded;

    found = read_time(reader, &header, "EVN", reader->evn, 6, &span, &digits);
    if (found > 0 && digits >= 12) {
        visit_field = 0;
    } else if (found >= 0 && visit_field != 0) {
        found = read_time(reader, group, "PV1", group->pv1, visit_field, &span, &digits);
    }
    if (found < 0)
        return false;
    if (found > 0 && digits >= 12)
        event->occurred = span;
    else
        digits = recorded_digits;
    if (visit_field == 44 && reader->site->admitted == ADT_ADMITTED_BETWEEN)
        widen(&event->occurred, &event->recorded);
    if (digits < 14 || event->occurred.high_us - event->occurred.low_us >= 60 * US_PER_S)
        event->flags |= ADT_COARSE_TIME;
    return true;
}
