/* SPDX-License-Identifier: Apache-2.0
 *
 * See samples.h.
 */
#include "firmware/samples.h"

#include <string.h>

#include "drivers/checksum.h"
#include "firmware/bytes.h"

#define SLOT_USED      5 /* entries, and in the highest bit: stored */
#define SLOT_STORED    0x80
#define FLAG_STORED    0x01
#define HEAD           sizeof(((struct samples_head *)0)->bytes)
#define VALUE          (SAMPLES_ENTRY - HEAD)
#define UNIT_PARTITION 4 /* of every MDC unit */
#define TEXT_PART      (SAMPLES_ENTRY - 1)
#define AGE_MAX        UINT64_C(0xFFFFFFFFFFFF)

struct entries { /* being written: sticky when full */
    uint8_t *at;
    uint32_t room;
    uint32_t used;
    bool failed;
};

void samples_init(struct samples *samples, void *memory, size_t size, uint32_t entries,
                  uint32_t series, uint16_t boot, uint32_t next)
{
    const size_t heads = SAMPLES_HEADS * sizeof(struct samples_head);

    memset(samples, 0, sizeof *samples);
    samples->heads = memory;
    samples->entries = entries;
    samples->slot_size = SAMPLES_SLOT_HEAD + SAMPLES_SLOT_ENTRY * entries;
    if (size > heads) {
        samples->memory = (uint8_t *)memory + heads;
        samples->capacity = (uint32_t)((size - heads) / samples->slot_size);
    }
    samples->series = series;
    samples->boot = boot;
    samples->first = samples->next = next;
}

/* The next free entry, all 0 but its kind; NULL when there is none left. */
static uint8_t *entry(struct entries *entries, uint8_t kind)
{
    uint8_t *e = entries->at + (size_t)entries->used * SAMPLES_ENTRY;

    if (entries->used == entries->room) {
        entries->failed = true;
        return NULL;
    }
    entries->used++;
    memset(e, 0, SAMPLES_ENTRY);
    e[0] = kind;
    return e;
}

/* Text in as many entries as it needs; always one, so that "" is a text too. */
static void put_text(struct entries *entries, const char *text)
{
    size_t left = strnlen(text, OBSERVATION_TEXT_MAX), n;
    uint8_t *e;

    do {
        n = left < TEXT_PART ? left : TEXT_PART;
        e = entry(entries, SAMPLES_TEXT);
        if (e == NULL)
            return;
        memcpy(e + 1, text, n);
        text += n;
        left -= n;
    } while (left > 0);
}

/* One observation, and what does not fit into one entry behind it. */
static void put_observation(struct entries *entries, const struct observation *o)
{
    uint64_t mantissa = (uint64_t)o->mantissa;
    uint32_t value = o->kind == OBSERVATION_CODED ? o->coded : (uint32_t)mantissa;
    uint8_t *e = entry(entries, o->kind);

    if (e == NULL)
        return;
    /* What the layout has no room for must not come out as something else. */
    if (o->quality > UINT8_MAX || o->code >> 24 != 0 ||
        (o->unit != 0 && o->unit >> 16 != UNIT_PARTITION) || o->site >> 24 != 0 ||
        o->method >> 24 != 0) {
        entries->failed = true;
        return;
    }
    e[1] = (uint8_t)o->quality;
    e[2] = (uint8_t)o->exponent;
    e[3] = (uint8_t)(o->code >> 16);
    bytes_put16(e + 4, (uint16_t)o->code);
    bytes_put16(e + 6, (uint16_t)o->unit);
    bytes_put32(e + 8, value);
    if (o->kind == OBSERVATION_NUMERIC && o->mantissa != (int32_t)value &&
        (e = entry(entries, SAMPLES_WIDE)) != NULL)
        bytes_put32(e + 8, (uint32_t)(mantissa >> 32));
    if (o->kind == OBSERVATION_TEXT)
        put_text(entries, o->text);
    if ((o->site != 0 || o->method != 0) && (e = entry(entries, SAMPLES_PLACE)) != NULL) {
        e[3] = (uint8_t)(o->site >> 16);
        bytes_put16(e + 4, (uint16_t)o->site);
        e[8] = (uint8_t)(o->method >> 16);
        bytes_put16(e + 6, (uint16_t)o->method);
    }
}

/* What belongs to the whole set. */
static void put_set(struct entries *entries, const struct observation_set *set)
{
    const struct device_time *t = &set->device_time;
    uint8_t *e;

    if (t->present && (e = entry(entries, SAMPLES_DEVICE_TIME)) != NULL) {
        bytes_put16(e + 1, t->year);
        e[3] = t->month;
        e[4] = t->day;
        e[5] = t->hour;
        e[6] = t->minute;
        e[7] = t->second;
    }
    if (set->has_sample && (e = entry(entries, SAMPLES_COUNTER)) != NULL) {
        bytes_put32(e + 4, (uint32_t)(set->sample >> 32));
        bytes_put32(e + 8, (uint32_t)set->sample);
    }
}

/* The slot that a number has, while it is there. */
static uint8_t *slot(const struct samples *samples, uint32_t number)
{
    return samples->memory + (size_t)(number % samples->capacity) * samples->slot_size;
}

/* Where in an entry the part is that changes from sample to sample: the value, or of a
 * device's time all but year and month. */
static size_t value_at(uint8_t kind)
{
    return kind == SAMPLES_DEVICE_TIME ? 4 : HEAD;
}

/* The number of a head, whose last user is now the sample that is being added. One that
 * no sample uses is taken for a new one; if each is used, the oldest of them goes with
 * its samples. There are more heads than a sample has entries, so that one is found. */
static uint8_t head_of(struct samples *samples, const uint8_t bytes[HEAD])
{
    struct samples_head *heads = samples->heads;
    uint32_t now = samples->next, oldest = 0;

    for (uint32_t i = 0; i < samples->heads_used; i++) {
        if (memcmp(heads[i].bytes, bytes, HEAD) == 0) {
            heads[i].last = now;
            return (uint8_t)i;
        }
        /* Ages, not numbers: a sample that is gone is older than any that is there. */
        if (now - heads[i].last > now - heads[oldest].last)
            oldest = i;
    }
    if (samples->heads_used < SAMPLES_HEADS)
        oldest = samples->heads_used++;
    else if (samples_has(samples, heads[oldest].last))
        samples->first = heads[oldest].last + 1;
    memcpy(heads[oldest].bytes, bytes, HEAD);
    heads[oldest].last = now;
    return (uint8_t)oldest;
}

/* An entry as it is told, into the ring and out of it. */
static void pack(struct samples *samples, const uint8_t *entry, uint8_t *to)
{
    size_t value = value_at(entry[0]);
    uint8_t head[HEAD];

    memcpy(head, entry, value);
    memcpy(head + value, entry + value + VALUE, HEAD - value);
    to[0] = head_of(samples, head);
    memcpy(to + 1, entry + value, VALUE);
}

static void unpack(const struct samples *samples, const uint8_t *from, uint8_t *entry)
{
    const uint8_t *head = samples->heads[from[0]].bytes;
    size_t value = value_at(head[0]);

    memcpy(entry, head, value);
    memcpy(entry + value, from + 1, VALUE);
    memcpy(entry + value + VALUE, head + value, HEAD - value);
}

bool samples_add(struct samples *samples, const struct observation_set *set,
                 uint64_t at_ms)
{
    uint8_t told[SAMPLES_ENTRY * SAMPLES_ENTRIES_MAX];
    struct entries entries = {.at = told, .room = samples->entries};
    uint8_t *s;

    if (samples->capacity == 0)
        return false;
    s = slot(samples, samples->next);
    if (samples->next - samples->first == samples->capacity)
        samples->first++;
    for (size_t i = 0; i < set->count && i < OBSERVATIONS_MAX; i++)
        put_observation(&entries, &set->items[i]);
    put_set(&entries, set);
    if (entries.failed) {
        samples->too_large++;
        entries.used = 0;
    }
    for (uint32_t i = 0; i < entries.used; i++)
        pack(samples, told + (size_t)i * SAMPLES_ENTRY,
             s + SAMPLES_SLOT_HEAD + (size_t)i * SAMPLES_SLOT_ENTRY);
    s[0] = (uint8_t)(at_ms >> 32);
    bytes_put32(s + 1, (uint32_t)at_ms);
    s[SLOT_USED] = (uint8_t)(entries.used | (set->stored ? SLOT_STORED : 0));
    samples->next++;
    return !entries.failed;
}

/* Numbers wrap after 136 years at one a second; the difference is right even then. */
bool samples_has(const struct samples *samples, uint32_t number)
{
    return number - samples->first < samples->next - samples->first;
}

size_t samples_size(const struct samples *samples)
{
    return SAMPLES_HEAD + SAMPLES_ENTRY * (size_t)samples->entries;
}

/* The check covers the series too: a record of another node, or of a counting that
 * ended, is then no record of this one. */
void samples_write(const struct samples *samples, uint32_t number, uint64_t now_ms,
                   uint8_t *out)
{
    const uint8_t *s = slot(samples, number);
    uint64_t at_ms = (uint64_t)s[0] << 32 | bytes_get32(s + 1);
    uint64_t age = now_ms > at_ms ? now_ms - at_ms : 0;
    size_t size = samples_size(samples);
    uint16_t check;

    if (age > AGE_MAX)
        age = AGE_MAX;
    bytes_put16(out, samples->boot);
    bytes_put32(out + 2, number);
    bytes_put16(out + 6, (uint16_t)(age >> 32));
    bytes_put32(out + 8, (uint32_t)age);
    out[12] = s[SLOT_USED] & (uint8_t)~SLOT_STORED;
    out[13] = s[SLOT_USED] & SLOT_STORED ? FLAG_STORED : 0;
    bytes_put16(out + 14, 0);
    memset(out + SAMPLES_HEAD, 0, size - SAMPLES_HEAD);
    for (uint32_t i = 0; i < out[12]; i++)
        unpack(samples, s + SAMPLES_SLOT_HEAD + (size_t)i * SAMPLES_SLOT_ENTRY,
               out + SAMPLES_HEAD + (size_t)i * SAMPLES_ENTRY);
    check = checksum_modbus(out, size);
    check ^= (uint16_t)(samples->series >> 16) ^ (uint16_t)samples->series;
    bytes_put16(out + 14, check);
}
