/* SPDX-License-Identifier: Apache-2.0
 *
 * Each part is decoded alone, so that reading a list costs the stack one part and not
 * sixty-four. The bytes are walked with the bounds-checked cursor of protobuf.h, because
 * nanopb is told to pass the field over.
 */
#include "wire/gap_devices.h"

#include <pb_decode.h>
#include <string.h>

#include "wire/protobuf.h"
#include "wire/record_check.h"

#define GAP_DEVICES_TAG 10 /* nanopb names no tag of a field that it passes over */

/* Room kept free for the nameless part, so that a count never has nowhere to go: tag,
 * length, and its numbers at their longest. */
#define NAMELESS_SIZE 48

/* --- making parts --- */

/* A clock that was unknown gives no time at all: 1970 as the first measurement would be
 * worse than none. */
static void part_time(wardgate_GapDevice *part, const wardgate_TimeBlock *time)
{
    if (time->sync == wardgate_TimeBlock_Sync_UNKNOWN) {
        part->undated = true;
        return;
    }
    if (part->first_utc_us == 0 || time->utc_us < part->first_utc_us)
        part->first_utc_us = time->utc_us;
    if (part->last_utc_us == 0 || time->utc_us > part->last_utc_us)
        part->last_utc_us = time->utc_us;
    if (time->uncertainty_ms > part->uncertainty_ms)
        part->uncertainty_ms = time->uncertainty_ms;
}

/* Both arrays come from observation.options with the same limit, and are terminated:
 * record_check saw to it. */
static void part_device(const wardgate_Record *record, wardgate_GapDevice *part)
{
    memset(part, 0, sizeof(*part));
    if (!record->has_device)
        return;
    memcpy(part->id, record->device.id, sizeof(part->id));
    memcpy(part->identity, record->device.identity, sizeof(part->identity));
    memcpy(part->line, record->device.line, sizeof(part->line));
    memcpy(part->place, record->place, sizeof(part->place));
}

void gap_devices_of_reading(const wardgate_Record *reading, wardgate_GapDevice *part)
{
    part_device(reading, part);
    part->count = 1;
    if (reading->has_time)
        part_time(part, &reading->time);
}

/* Of an unknown count nothing is known, whatever the field says; that there is more
 * is. */
void gap_devices_of_gap(const wardgate_Record *record, wardgate_GapDevice *part)
{
    const wardgate_Gap *gap = &record->gap;

    part_device(record, part);
    part->count = gap->count_unknown ? 0 : gap->count;
    part->count_unknown = gap->count_unknown;
    if (gap->has_from)
        part_time(part, &gap->from);
    if (gap->has_to)
        part_time(part, &gap->to);
}

/* --- adding up --- */

static size_t varint_size(uint64_t value)
{
    size_t n = 1;

    for (; value >= 0x80; value >>= 7)
        n++;
    return n;
}

/* As gap_devices_put writes them: nothing for an empty text or a zero. */
static size_t text_size(const char *text)
{
    size_t n = strlen(text);

    return n == 0 ? 0 : 1 + varint_size(n) + n;
}

static size_t number_size(uint64_t value)
{
    return value == 0 ? 0 : 1 + varint_size(value);
}

static size_t part_size(const wardgate_GapDevice *part)
{
    size_t n = text_size(part->id) + text_size(part->identity) + text_size(part->line) +
               text_size(part->place) + number_size(part->count) +
               number_size(part->count_unknown) +
               number_size(pb_zigzag(part->first_utc_us)) +
               number_size(pb_zigzag(part->last_utc_us)) +
               number_size(part->uncertainty_ms) + number_size(part->undated);

    return 1 + varint_size(n) + n;
}

/* The later one's identity and line: a device that was changed is looked for as what it
 * is now. */
static void merge(wardgate_GapDevice *into, const wardgate_GapDevice *part)
{
    memcpy(into->identity, part->identity, sizeof(into->identity));
    memcpy(into->line, part->line, sizeof(into->line));
    into->count += part->count;
    into->count_unknown = into->count_unknown || part->count_unknown;
    into->undated = into->undated || part->undated;
    if (part->uncertainty_ms > into->uncertainty_ms)
        into->uncertainty_ms = part->uncertainty_ms;
    if (part->first_utc_us == 0 && part->last_utc_us == 0)
        return;
    if (into->first_utc_us == 0 || part->first_utc_us < into->first_utc_us)
        into->first_utc_us = part->first_utc_us;
    if (into->last_utc_us == 0 || part->last_utc_us > into->last_utc_us)
        into->last_utc_us = part->last_utc_us;
}

/* Where the part of a device and place is, or list->count. The search begins behind the
 * last hit: devices are read in turn, so that is nearly always it. */
static size_t find(const struct gap_devices *list, const char *id, const char *place)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t at = (list->last + 1 + i) % list->count;

        if (strcmp(list->items[at].id, id) == 0 &&
            strcmp(list->items[at].place, place) == 0)
            return at;
    }
    return list->count;
}

/* Place and line go with the name: half a name would look like a device that nobody
 * has. */
void gap_devices_add_nameless(struct gap_devices *list, const wardgate_GapDevice *part)
{
    wardgate_GapDevice bare = *part;
    size_t at = find(list, "", "");

    bare.id[0] = bare.identity[0] = bare.line[0] = bare.place[0] = '\0';
    if (at < list->count)
        merge(&list->items[at], &bare);
    else
        list->items[list->count++] = bare; /* gap_devices_add left this place free */
}

/* Tried out on a copy: a count may grow by a byte, so even a part that is known may
 * find no room. */
bool gap_devices_add(struct gap_devices *list, const wardgate_GapDevice *part)
{
    wardgate_GapDevice sum = *part;
    bool nameless = part->id[0] == '\0';
    size_t at, named, before = 0, size;

    if (nameless) {
        gap_devices_add_nameless(list, part);
        return true;
    }
    at = find(list, part->id, part->place);
    if (at < list->count) {
        before = part_size(&list->items[at]);
        sum = list->items[at];
        merge(&sum, part);
    }
    size = list->size - before + part_size(&sum);
    if (size > GAP_DEVICES_SIZE_MAX - NAMELESS_SIZE)
        return false;
    if (at == list->count) {
        named = list->count - (find(list, "", "") < list->count);
        if (named == GAP_DEVICES_MAX - 1)
            return false;
        list->count++;
    }
    list->items[at] = sum;
    list->size = size;
    list->last = at;
    return true;
}

/* --- writing --- */

static void put_text(struct pb_out *out, unsigned field, const char *text)
{
    pb_out_bytes(out, field, text, strlen(text));
}

/* In the order of the fields' numbers, like all of a record. */
static void put_part(struct pb_out *out, const wardgate_GapDevice *part)
{
    uint8_t *begin = pb_out_begin(out, GAP_DEVICES_TAG);

    put_text(out, wardgate_GapDevice_id_tag, part->id);
    put_text(out, wardgate_GapDevice_identity_tag, part->identity);
    put_text(out, wardgate_GapDevice_line_tag, part->line);
    put_text(out, wardgate_GapDevice_place_tag, part->place);
    pb_out_uint(out, wardgate_GapDevice_count_tag, part->count);
    pb_out_uint(out, wardgate_GapDevice_count_unknown_tag, part->count_unknown);
    pb_out_uint(out, wardgate_GapDevice_first_utc_us_tag, pb_zigzag(part->first_utc_us));
    pb_out_uint(out, wardgate_GapDevice_last_utc_us_tag, pb_zigzag(part->last_utc_us));
    pb_out_uint(out, wardgate_GapDevice_uncertainty_ms_tag, part->uncertainty_ms);
    pb_out_uint(out, wardgate_GapDevice_undated_tag, part->undated);
    pb_out_end(out, begin);
}

void gap_devices_put(struct pb_out *out, const struct gap_devices *list)
{
    for (size_t i = 0; i < list->count; i++)
        put_part(out, &list->items[i]);
}

/* --- the rules --- */

struct sum {
    size_t parts;
    uint64_t count;
    bool unknown, bad;
};

static void sum_part(struct sum *sum, const wardgate_GapDevice *part)
{
    uint64_t count = sum->count + part->count;

    sum->bad =
        sum->bad || count < sum->count || !text_valid(part->id, sizeof(part->id)) ||
        !text_valid(part->identity, sizeof(part->identity)) ||
        !text_valid(part->line, sizeof(part->line)) ||
        !text_valid(part->place, sizeof(part->place)) ||
        part->first_utc_us > part->last_utc_us || part->first_utc_us < -WIRE_UTC_MAX_US ||
        part->last_utc_us > WIRE_UTC_MAX_US;
    sum->parts++;
    sum->count = count;
    sum->unknown = sum->unknown || part->count_unknown;
}

/* A list that does not add up would show one number in the books and another beside the
 * devices, and nobody could say which is true. */
static bool sum_valid(const struct sum *sum, const wardgate_Gap *gap)
{
    if (sum->parts == 0)
        return true;
    if (sum->bad || sum->parts > GAP_DEVICES_MAX || gap->from_seq == 0)
        return false;
    return gap->count_unknown ? true : !sum->unknown && sum->count == gap->count;
}

/* When writing and when reading the same rules: what the chart would refuse must not
 * sit in a gateway's queue for ever. */
bool gap_devices_valid(const struct gap_devices *list, const wardgate_Gap *gap)
{
    struct sum sum = {0};

    for (size_t i = 0; i < list->count; i++)
        sum_part(&sum, &list->items[i]);
    return sum_valid(&sum, gap);
}

/* --- reading --- */

/* Gives each part of the list inside a record's bytes to visit. False if it is not this
 * protobuf. */
static bool walk(const uint8_t *record, size_t n,
                 void (*visit)(void *context, const wardgate_GapDevice *part),
                 void *context)
{
    struct pb_in outer = {record, record + n, false}, inner;
    struct pb_field field;
    wardgate_GapDevice part;
    pb_istream_t stream;

    while (pb_in_next(&outer, &field)) {
        if (field.number != wardgate_Record_gap_tag || field.kind != PB_BYTES)
            continue;
        inner = (struct pb_in){field.bytes, field.bytes + field.size, false};
        while (pb_in_next(&inner, &field)) {
            if (field.number != GAP_DEVICES_TAG)
                continue;
            stream = pb_istream_from_buffer(field.bytes, field.size);
            if (field.kind != PB_BYTES ||
                !pb_decode(&stream, wardgate_GapDevice_fields, &part))
                return false;
            visit(context, &part);
        }
        if (inner.bad)
            return false;
    }
    return !outer.bad;
}

static void visit_sum(void *context, const wardgate_GapDevice *part)
{
    sum_part(context, part);
}

bool gap_devices_bytes_valid(const uint8_t *record, size_t n, const wardgate_Gap *gap)
{
    struct sum sum = {0};

    return walk(record, n, visit_sum, &sum) && sum_valid(&sum, gap);
}

/* The limit was checked with the record; a caller who did not ask loses parts, and never
 * memory. */
static void visit_keep(void *context, const wardgate_GapDevice *part)
{
    struct gap_devices *list = context;

    if (list->count == GAP_DEVICES_MAX)
        return;
    list->items[list->count++] = *part;
    if (part->id[0] != '\0')
        list->size += part_size(part);
}

size_t gap_devices_read(const uint8_t *record, size_t n, struct gap_devices *list)
{
    list->count = list->size = list->last = 0;
    (void)walk(record, n, visit_keep, list);
    return list->count;
}
