/* SPDX-License-Identifier: Apache-2.0
 *
 * One ring of bytes and three positions in it that only grow. An entry is a header and an
 * item without the observations it does not have, so that a set of two takes a fifteenth
 * of a full one. An entry that would cross the ring's end is put at its beginning, and
 * the rest of the end becomes a dead entry.
 */
#include "bedside/bus_queue.h"

#include <assert.h>
#include <string.h>

#define ALIGN 16u

/* Before each item in the ring. */
struct entry {
    uint64_t release_us;
    /* Bytes to the next entry. */
    uint32_t size;
    /* Voided, or padding at the ring's end. */
    bool dead;
};

#define ENTRY_SIZE ((sizeof(struct entry) + ALIGN - 1) / ALIGN * ALIGN)

/* An item is stored as what lies before its observations, its observations that are used,
 * and what lies after them; one that is no sample up to the end of the largest other
 * part. */
#define SET_AT   offsetof(struct bus_item, sample.set.items)
#define AFTER_AT (SET_AT + sizeof(((struct bus_item *)0)->sample.set.items))
#define AFTER    (offsetof(struct bus_item, sample) + sizeof(struct bus_sample) - AFTER_AT)
#define OTHER    (offsetof(struct bus_item, identity) + BUS_IDENTITY_MAX + 1)

_Static_assert(BUS_QUEUE_BYTES % ALIGN == 0, "entries are aligned up to the ring's end");
_Static_assert(BUS_QUEUE_BYTES >= 4 * sizeof(struct bus_item),
               "the largest item must fit");
_Static_assert(OTHER <= SET_AT + sizeof(struct observation_set),
               "no item is larger than a set");

/* The bytes need no clearing: nothing is read that was not written. */
void bus_queue_init(struct bus_queue *queue)
{
    queue->taken = queue->released = queue->written = queue->items = 0;
}

/* Positions count on for ever; the ring begins again. */
static uint8_t *at(struct bus_queue *queue, uint64_t position)
{
    return queue->bytes + position % BUS_QUEUE_BYTES;
}

/* Entries are copied out and in: the ring is bytes, not structs. */
static struct entry entry_at(struct bus_queue *queue, uint64_t position)
{
    struct entry entry;

    memcpy(&entry, at(queue, position), sizeof entry);
    return entry;
}

/* The counterpart. */
static void entry_put(struct bus_queue *queue, uint64_t position,
                      const struct entry *entry)
{
    memcpy(at(queue, position), entry, sizeof *entry);
}

/* What the item takes in the ring, header and alignment included. */
static size_t stored_size(const struct bus_item *item)
{
    size_t size = OTHER;

    if (item->kind == BUS_SAMPLE)
        size = SET_AT + item->sample.set.count * sizeof(struct observation) + AFTER;
    return ENTRY_SIZE + (size + ALIGN - 1) / ALIGN * ALIGN;
}

/* Never more than stored_size() says. */
static void store(uint8_t *to, const struct bus_item *item)
{
    const uint8_t *from = (const uint8_t *)item;
    size_t used = item->kind == BUS_SAMPLE ? item->sample.set.count : 0;

    if (item->kind != BUS_SAMPLE) {
        memcpy(to, from, OTHER);
        return;
    }
    /* What lies after the observations goes first: its place does not depend on their
     * count. */
    memcpy(to, from, SET_AT);
    memcpy(to + SET_AT, from + AFTER_AT, AFTER);
    memcpy(to + SET_AT + AFTER, from + SET_AT, used * sizeof(struct observation));
}

/* The counterpart of store(). What the set does not have stays as the caller had it. */
static void load(const uint8_t *from, struct bus_item *item)
{
    uint8_t *to = (uint8_t *)item;

    memcpy(to, from, offsetof(struct bus_item, sample));
    if (item->kind != BUS_SAMPLE) {
        memcpy(to, from, OTHER);
        return;
    }
    memcpy(to, from, SET_AT);
    memcpy(to + AFTER_AT, from + SET_AT, AFTER);
    assert(item->sample.set.count <= OBSERVATIONS_MAX);
    memcpy(to + SET_AT, from + SET_AT + AFTER,
           item->sample.set.count * sizeof(struct observation));
}

/* Refuses rather than overwrites: what to do when there is no room is the caller's
 * decision. */
bool bus_queue_put(struct bus_queue *queue, const struct bus_item *item,
                   uint64_t release_us)
{
    struct entry entry = {.release_us = release_us, .size = (uint32_t)stored_size(item)};
    uint64_t left = BUS_QUEUE_BYTES - queue->written % BUS_QUEUE_BYTES;
    uint64_t need = entry.size <= left ? entry.size : left + entry.size;

    assert(item->kind != BUS_SAMPLE || item->sample.set.count <= OBSERVATIONS_MAX);
    if (queue->written - queue->taken + need > BUS_QUEUE_BYTES)
        return false;
    if (entry.size > left) {
        struct entry padding = {.size = (uint32_t)left, .dead = true};

        entry_put(queue, queue->written, &padding);
        queue->written += left;
    }
    entry_put(queue, queue->written, &entry);
    store(at(queue, queue->written) + ENTRY_SIZE, item);
    queue->written += entry.size;
    return true;
}

/* Only what is still held, and only what rests on a reply: that a line was lost stays
 * true. */
size_t bus_queue_void(struct bus_queue *queue, size_t device)
{
    size_t count = 0;

    for (uint64_t p = queue->released; p < queue->written;) {
        struct entry entry = entry_at(queue, p);
        struct bus_item item;

        if (!entry.dead) {
            memcpy(&item, at(queue, p) + ENTRY_SIZE, offsetof(struct bus_item, sample));
            if ((item.kind == BUS_SAMPLE || item.kind == BUS_IDENTITY) &&
                (device == BUS_QUEUE_ALL || item.device == device)) {
                entry.dead = true;
                entry_put(queue, p, &entry);
                count += item.kind == BUS_SAMPLE;
            }
        }
        p += entry.size;
    }
    return count;
}

/* In order, so the oldest held item holds up all behind it; a voided one nothing.
 * finish() sees an item when everything before it is settled, which is why previous and
 * missed are filled in there and not when it was put. */
uint64_t bus_queue_release(struct bus_queue *queue, uint64_t now_us,
                           bus_queue_finish finish, void *context)
{
    while (queue->released < queue->written) {
        struct entry entry = entry_at(queue, queue->released);
        uint8_t *bytes = at(queue, queue->released) + ENTRY_SIZE;
        struct bus_item item;

        if (!entry.dead && entry.release_us > now_us)
            return entry.release_us;
        if (!entry.dead) {
            load(bytes, &item);
            entry.dead = !finish(context, &item);
            store(bytes, &item);
            queue->items += entry.dead ? 0 : 1;
            entry_put(queue, queue->released, &entry);
        }
        queue->released += entry.size;
    }
    return UINT64_MAX;
}

/* Dead entries are passed over here, so that void and release need not move anything. */
bool bus_queue_take(struct bus_queue *queue, struct bus_item *item)
{
    while (queue->taken < queue->released) {
        struct entry entry = entry_at(queue, queue->taken);
        bool alive = !entry.dead;

        if (alive) {
            load(at(queue, queue->taken) + ENTRY_SIZE, item);
            queue->items--;
        }
        queue->taken += entry.size;
        if (alive)
            return true;
    }
    return false;
}
