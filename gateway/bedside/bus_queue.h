/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounded queue of one line: a ring of bytes, so that a set of two observations does
 * not take the room of one of thirty-two. Its last part may be held: written, but not to
 * be taken before its time, and voidable until then (bus_trust.h, rule 5).
 *
 * Not locked: the owner calls every function under one lock.
 */
#ifndef BEDSIDE_BUS_QUEUE_H
#define BEDSIDE_BUS_QUEUE_H

#include "bedside/bus.h"

#define BUS_QUEUE_ALL SIZE_MAX

/* Invariants: 1. taken <= released <= written <= taken + BUS_QUEUE_BYTES; 2. all three
 * lie on entries; 3. an entry never crosses the ring's end. They count bytes since the
 * start. */
struct bus_queue {
    uint64_t taken, released, written;
    /* Released, not void, not taken. */
    uint64_t items;
    _Alignas(16) uint8_t bytes[BUS_QUEUE_BYTES];
};

void bus_queue_init(struct bus_queue *queue);

/* Appends a copy, to be released at release_us (monotonic; 0: with whatever is before
 * it). False if there is no room. */
bool bus_queue_put(struct bus_queue *queue, const struct bus_item *item,
                   uint64_t release_us);

/* Voids what a device (or BUS_QUEUE_ALL) said that is still held: samples and identities.
 * Returns how many samples. */
size_t bus_queue_void(struct bus_queue *queue, size_t device);

/* Releases, in order, what is due. finish() sees each item once, may change what is not
 * its set, and says whether it is to be kept. Returns when to call again, UINT64_MAX if
 * nothing is held. */
typedef bool (*bus_queue_finish)(void *context, struct bus_item *item);
uint64_t bus_queue_release(struct bus_queue *queue, uint64_t now_us,
                           bus_queue_finish finish, void *context);

/* Takes the oldest released item. */
bool bus_queue_take(struct bus_queue *queue, struct bus_item *item);

#endif
