/* SPDX-License-Identifier: Apache-2.0
 *
 * See wardgate_node.h.
 */
#include "drivers/wardgate_node.h"

#include <string.h>

#include "drivers/checksum.h"
#include "drivers/cursor.h"

#define HEAD           16
#define ENTRY          12
#define FILES          65535u
#define FILE_REGISTERS 10000u
#define UNIT_PARTITION (4u << 16)
#define STORED         0x01
#define TEXT_PART      11
#define CHECK_AT       14

/* Entries from MORE on add to the one before them (firmware/samples.h). */
enum { WIDE = 8, PLACE, TEXT, DEVICE_TIME, COUNTER };

int wardgate_node_status(const uint8_t *bytes, size_t n, struct wardgate_node_status *out)
{
    struct cursor c = cursor_make(bytes, n);

    out->boot = cursor_be32(&c);
    out->series = cursor_be32(&c);
    out->next = cursor_be32(&c);
    out->first = cursor_be32(&c);
    out->boot_first = cursor_be32(&c);
    out->record_registers = cursor_be16(&c);
    out->per_file = cursor_be16(&c);
    if (c.failed || n != (size_t)WARDGATE_NODE_REGISTERS * 2 ||
        out->record_registers < HEAD / 2 ||
        out->record_registers > WARDGATE_NODE_READ_MAX || out->per_file == 0 ||
        (uint32_t)out->per_file * out->record_registers > FILE_REGISTERS)
        return WARDGATE_NODE_SHORT;
    return WARDGATE_NODE_OK;
}

void wardgate_node_place(const struct wardgate_node_status *status, uint32_t number,
                         uint16_t *file, uint16_t *record)
{
    *file = (uint16_t)(1 + number / status->per_file % FILES);
    *record = (uint16_t)(number % status->per_file * status->record_registers);
}

/* A text's next part: what no longer fits is no text of ours. */
static bool add_text(struct observation *o, const uint8_t *part)
{
    size_t have = strnlen(o->text, OBSERVATION_TEXT_MAX);
    size_t n = strnlen((const char *)part, TEXT_PART);

    if (o->kind != OBSERVATION_TEXT || have + n > OBSERVATION_TEXT_MAX)
        return false;
    memcpy(o->text + have, part, n);
    return true;
}

static bool is_time(const struct device_time *t)
{
    return t->year <= 9999 && t->month >= 1 && t->month <= 12 && t->day >= 1 &&
           t->day <= 31 && t->hour <= 23 && t->minute <= 59 && t->second <= 60;
}

/* An entry that adds to the last observation (NULL: there is none yet), or to the set. */
static bool add_more(struct observation_set *set, struct observation *o,
                     const uint8_t *entry)
{
    struct cursor c = cursor_make(entry + 1, ENTRY - 1);
    struct device_time *t = &set->device_time;

    switch (entry[0]) {
    case WIDE:
        (void)cursor_bytes(&c, 7);
        if (o == NULL || o->kind != OBSERVATION_NUMERIC)
            return false;
        o->mantissa = (int64_t)((uint64_t)cursor_be32(&c) << 32 | (uint32_t)o->mantissa);
        return true;
    case PLACE:
        if (o == NULL)
            return false;
        o->site = (uint32_t)entry[3] << 16 | (uint32_t)entry[4] << 8 | entry[5];
        o->method = (uint32_t)entry[8] << 16 | (uint32_t)entry[6] << 8 | entry[7];
        return true;
    case TEXT:
        return o != NULL && add_text(o, entry + 1);
    case DEVICE_TIME:
        *t = (struct device_time){.year = cursor_be16(&c)};
        t->month = cursor_u8(&c);
        t->day = cursor_u8(&c);
        t->hour = cursor_u8(&c);
        t->minute = cursor_u8(&c);
        t->second = cursor_u8(&c);
        t->present = is_time(t);
        return true;
    case COUNTER: /* the node's own number stands for it */
        return true;
    default:
        return false;
    }
}

/* A new observation. */
static bool add_observation(struct observation_set *set, const uint8_t *entry)
{
    struct cursor c = cursor_make(entry, ENTRY);
    struct observation *o = &set->items[set->count];
    uint32_t partition, value;
    uint16_t unit;

    if (set->count == OBSERVATIONS_MAX)
        return false;
    memset(o, 0, sizeof *o);
    o->kind = cursor_u8(&c);
    o->quality = cursor_u8(&c);
    o->exponent = (int8_t)cursor_u8(&c);
    partition = cursor_u8(&c);
    o->code = partition << 16 | cursor_be16(&c);
    unit = cursor_be16(&c);
    o->unit = unit != 0 ? UNIT_PARTITION | unit : 0;
    value = cursor_be32(&c);
    if (o->kind > OBSERVATION_TEXT || o->code == 0 ||
        o->exponent < OBSERVATION_EXPONENT_MIN || o->exponent > OBSERVATION_EXPONENT_MAX)
        return false;
    if (o->kind == OBSERVATION_NUMERIC)
        o->mantissa = (int32_t)value;
    else if (o->kind == OBSERVATION_CODED)
        o->coded = value;
    set->count++;
    return true;
}

/* Texts are ASCII, as everything is that drivers read; another is told as invalid and the
 * rest of its set kept, for a sample that is refused is asked for again. */
static void judge_texts(struct observation_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        struct observation *o = &set->items[i];
        size_t n = strnlen(o->text, OBSERVATION_TEXT_MAX), good = 0;

        while (good < n && o->text[good] >= ' ' && o->text[good] <= '~')
            good++;
        if (good == n)
            continue;
        memset(o->text, 0, sizeof o->text);
        o->kind = OBSERVATION_ABSENT;
        o->quality |= QUALITY_INVALID;
    }
}

/* The check was made with the series: a sample of another node has another. */
static bool check_holds(const uint8_t *bytes, size_t n, uint32_t series)
{
    uint8_t copy[2 * WARDGATE_NODE_READ_MAX];
    uint16_t told = (uint16_t)(bytes[CHECK_AT] << 8 | bytes[CHECK_AT + 1]);

    memcpy(copy, bytes, n);
    copy[CHECK_AT] = copy[CHECK_AT + 1] = 0;
    return (checksum_modbus(copy, n) ^ (series >> 16) ^ (series & 0xFFFF)) == told;
}

int wardgate_node_sample(const struct wardgate_node_status *status, const uint8_t *bytes,
                         size_t n, struct wardgate_node_sample *out)
{
    struct cursor c = cursor_make(bytes, n);
    struct observation_set *set = &out->set;
    uint8_t used, flags;
    uint64_t high;

    memset(out, 0, sizeof *out);
    if (n != (size_t)status->record_registers * 2 || n < HEAD)
        return WARDGATE_NODE_SHORT;
    if (!check_holds(bytes, n, status->series))
        return WARDGATE_NODE_CHECK;
    out->boot = cursor_be16(&c);
    out->number = cursor_be32(&c);
    high = cursor_be16(&c);
    out->age_ms = high << 32 | cursor_be32(&c);
    used = cursor_u8(&c);
    flags = cursor_u8(&c);
    (void)cursor_be16(&c);
    set->has_sample = true;
    set->sample = (uint64_t)status->series << 32 | out->number;
    set->stored = (flags & STORED) != 0;
    if (used == 0)
        return WARDGATE_NODE_EMPTY;
    for (uint8_t i = 0; i < used; i++) {
        const uint8_t *entry = cursor_bytes(&c, ENTRY);
        struct observation *last = set->count > 0 ? &set->items[set->count - 1] : NULL;

        if (entry == NULL ||
            !(entry[0] < WIDE ? add_observation(set, entry) : add_more(set, last, entry)))
            return WARDGATE_NODE_ENTRY;
    }
    judge_texts(set);
    return set->count > 0 ? WARDGATE_NODE_OK : WARDGATE_NODE_ENTRY;
}
