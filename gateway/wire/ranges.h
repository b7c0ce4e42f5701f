/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of sequence numbers, kept as disjoint ascending ranges: what has been receipted,
 * what is in the ledger. Small by nature (a link mostly loses whole stretches), bounded
 * by growth of its array.
 */
#ifndef WIRE_RANGES_H
#define WIRE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range {
    uint64_t first, last; /* inclusive */
};

struct ranges { /* zero it to begin; free with ranges_free */
    struct range *items;
    size_t count, capacity;
};

/* Adds first..last, merging neighbours. Returns 0, or -1 when out of memory (the set is
 * unchanged). */
int ranges_add(struct ranges *set, uint64_t first, uint64_t last);
/* Takes first..last out. Same returns. */
int ranges_remove(struct ranges *set, uint64_t first, uint64_t last);
bool ranges_has(const struct ranges *set, uint64_t seq);
/* If seq is in the set: the first number after it that is not. Else 0. */
uint64_t ranges_past(const struct ranges *set, uint64_t seq);
/* How many numbers of first..last are in the set. */
uint64_t ranges_overlap(const struct ranges *set, uint64_t first, uint64_t last);
uint64_t ranges_total(const struct ranges *set);
void ranges_free(struct ranges *set);

#endif
