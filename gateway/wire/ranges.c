/* SPDX-License-Identifier: Apache-2.0
 *
 * Disjoint ascending ranges in one array, found by halving. Adding in order, as a link
 * mostly does, only moves the last end.
 */
#include "wire/ranges.h"

#include <stdlib.h>
#include <string.h>

/* Invariant: items are ascending, and between two of them at least one number is missing.
 */

/* The first item that ends at or after seq; count if none does. */
static size_t locate(const struct ranges *set, uint64_t seq)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (set->items[middle].last < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Replaces items[from..to) by the n given. Memory grows before anything changes. */
static int splice(struct ranges *set, size_t from, size_t to, const struct range *with,
                  size_t n)
{
    size_t count = set->count - (to - from) + n;

    if (count > set->capacity) {
        size_t capacity = set->capacity == 0 ? 8 : set->capacity * 2;
        struct range *grown = reallocarray(set->items, capacity, sizeof(*grown));
        if (grown == NULL)
            return -1;
        set->items = grown;
        set->capacity = capacity;
    }
    if (set->count > to)
        memmove(set->items + from + n, set->items + to,
                (set->count - to) * sizeof(*set->items));
    if (n > 0)
        memcpy(set->items + from, with, n * sizeof(*with));
    set->count = count;
    return 0;
}

/* Everything that overlaps or touches becomes one. */
int ranges_add(struct ranges *set, uint64_t first, uint64_t last)
{
    struct range merged = {first, last};
    size_t from, to;

    if (first > last)
        return 0;
    /* A neighbour that ends just before is merged too. */
    from = locate(set, first > 0 ? first - 1 : 0);
    for (to = from; to < set->count; to++) {
        const struct range *item = &set->items[to];
        if (last != UINT64_MAX && item->first > last + 1)
            break;
        if (item->first < merged.first)
            merged.first = item->first;
        if (item->last > merged.last)
            merged.last = item->last;
    }
    return splice(set, from, to, &merged, 1);
}

/* May split one range in two, and so need memory. */
int ranges_remove(struct ranges *set, uint64_t first, uint64_t last)
{
    struct range rest[2];
    size_t from, to, n = 0;

    if (first > last)
        return 0;
    from = locate(set, first);
    for (to = from; to < set->count && set->items[to].first <= last; to++)
        continue;
    if (from == to)
        return 0;
    /* What sticks out on either side stays. */
    if (set->items[from].first < first)
        rest[n++] = (struct range){set->items[from].first, first - 1};
    if (set->items[to - 1].last > last)
        rest[n++] = (struct range){last + 1, set->items[to - 1].last};
    return splice(set, from, to, rest, n);
}

/* Ranges are never neighbours, so the end of one is the way out. */
uint64_t ranges_past(const struct ranges *set, uint64_t seq)
{
    size_t at = locate(set, seq);

    return at < set->count && set->items[at].first <= seq ? set->items[at].last + 1 : 0;
}

/* Halves, then looks at one range. */
bool ranges_has(const struct ranges *set, uint64_t seq)
{
    size_t at = locate(set, seq);

    return at < set->count && set->items[at].first <= seq;
}

/* Walks only the ranges inside first..last. */
uint64_t ranges_overlap(const struct ranges *set, uint64_t first, uint64_t last)
{
    uint64_t total = 0;

    if (first > last)
        return 0;
    for (size_t i = locate(set, first); i < set->count && set->items[i].first <= last;
         i++) {
        uint64_t low = set->items[i].first > first ? set->items[i].first : first;
        uint64_t high = set->items[i].last < last ? set->items[i].last : last;
        total += high - low + 1;
    }
    return total;
}

/* Wraps for the one set that holds all 2^64 numbers, which no seq can make: they begin
 * at 1. */
uint64_t ranges_total(const struct ranges *set)
{
    uint64_t total = 0;

    for (size_t i = 0; i < set->count; i++)
        total += set->items[i].last - set->items[i].first + 1;
    return total;
}

/* The set may be used again afterwards: it is empty. */
void ranges_free(struct ranges *set)
{
    free(set->items);
    memset(set, 0, sizeof(*set));
}
