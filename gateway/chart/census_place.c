/* SPDX-License-Identifier: Apache-2.0
 *
 * A place's stays by time. Looking an instant up is a binary search for the last stay
 * that began before it, then a walk back over those that may still last. `reach` ends the
 * walk as soon as everything before is over; `peaks` let it pass over a block at once, so
 * that one stay that nobody ever ended does not make every later look-up long.
 */
#include "chart/census_parts.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 64

/* Order of entries: ties are broken by who and which, so that the index does not remember
 * in what order it was filled. */
static bool comes_before(const struct entry *a, int64_t from_low_us, uint64_t visit,
                         size_t index)
{
    if (a->from_low_us != from_low_us)
        return a->from_low_us < from_low_us;
    if (a->visit->id != visit)
        return a->visit->id < visit;
    return a->index < index;
}

/* Where an entry is, or would go. */
static size_t position_of(const struct place *place, int64_t from_low_us, uint64_t visit,
                          size_t index)
{
    size_t low = 0, high = place->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (comes_before(&place->entries[middle], from_low_us, visit, index))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Makes reach and peaks right again from this entry on. Mostly that is the last one:
 * history grows at its end. */
static void refresh(struct place *place, size_t from)
{
    int64_t reach = from == 0 ? INT64_MIN : place->entries[from - 1].reach_us;
    size_t i;

    for (i = from; i < place->count; i++) {
        if (place->entries[i].to_high_us > reach)
            reach = place->entries[i].to_high_us;
        place->entries[i].reach_us = reach;
    }
    for (i = from / BLOCK * BLOCK; i < place->count; i++) {
        int64_t *peak = &place->peaks[i / BLOCK];

        if (i % BLOCK == 0 || place->entries[i].to_high_us > *peak)
            *peak = place->entries[i].to_high_us;
    }
}

/* Cost: a binary search and what lies behind it to move, which is nothing for news and
 * a whole bed's history at worst. */
bool census_place_add(struct place *place, struct visit *visit, size_t index)
{
    const struct census_stay *stay = &visit->stays[index];
    size_t at, blocks = place->count / BLOCK;

    if (!census_grow((void **)&place->entries, place->count, &place->capacity,
                     sizeof(*place->entries)) ||
        !census_grow((void **)&place->peaks, blocks, &place->peak_capacity,
                     sizeof(*place->peaks)))
        return false;
    at = position_of(place, stay->from_low_us, visit->id, index);
    memmove(&place->entries[at + 1], &place->entries[at],
            (place->count - at) * sizeof(*place->entries));
    place->entries[at] = (struct entry){.from_low_us = stay->from_low_us,
                                        .to_high_us = stay->to_high_us,
                                        .visit = visit,
                                        .index = index};
    place->count++;
    refresh(place, at);
    return true;
}

/* The stay must be in; see invariant 2. */
void census_place_remove(struct place *place, const struct visit *visit, size_t index)
{
    size_t at = position_of(place, visit->stays[index].from_low_us, visit->id, index);

    place->count--;
    memmove(&place->entries[at], &place->entries[at + 1],
            (place->count - at) * sizeof(*place->entries));
    refresh(place, at);
}

/* Entries only point at visits. */
void census_place_free(struct place *place)
{
    if (place == NULL)
        return;
    free(place->name);
    free(place->entries);
    free(place->peaks);
    free(place);
}

/* How many entries began at or before this instant. */
static size_t begun_by(const struct place *place, int64_t us)
{
    size_t low = 0, high = place->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (place->entries[middle].from_low_us <= us)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A stay as others may see it: with who the patient is now. */
static void give(const struct entry *entry, int64_t low_us, int64_t high_us,
                 struct census_stay *out)
{
    const struct visit *visit = entry->visit;

    *out = visit->stays[entry->index];
    out->original = visit->owner->id;
    out->patient = visit->owner->root->id;
    if (visit->disputed)
        out->flags |= CENSUS_IDENTITY;
    if (census_is_elsewhere(visit, out, low_us, high_us))
        out->flags |= CENSUS_ELSEWHERE;
}

/* The walk goes back in time; answers go forward. */
static void reverse(struct census_stay *stays, size_t n)
{
    size_t i;

    for (i = 0; i < n / 2; i++) {
        struct census_stay swap = stays[i];

        stays[i] = stays[n - 1 - i];
        stays[n - 1 - i] = swap;
    }
}

/* A stay touches the interval if it may have begun by its end and may have lasted
 * beyond its beginning. */
size_t census_at(const struct census *census, uint64_t place_id, int64_t low_us,
                 int64_t high_us, struct census_stay *out, size_t capacity)
{
    const struct place *place = census_table_get(&census->places, place_id);
    size_t i, found = 0;

    if (place == NULL || low_us > high_us)
        return 0;
    for (i = begun_by(place, high_us); i > 0 && place->entries[i - 1].reach_us > low_us;
         i--) {
        while (i % BLOCK == 0 && i > 0 && place->peaks[i / BLOCK - 1] <= low_us)
            i -= BLOCK; /* a whole block that was over by then */
        if (i == 0)
            break;
        if (place->entries[i - 1].to_high_us <= low_us)
            continue;
        if (found < capacity)
            give(&place->entries[i - 1], low_us, high_us, &out[found]);
        found++;
    }
    reverse(out, found < capacity ? found : capacity);
    return found;
}

/* A bed that never had anybody is more likely a wrong name than an empty bed: the hold
 * says which. */
bool census_seen(const struct census *census, uint64_t place_id)
{
    const struct place *place = census_table_get(&census->places, place_id);

    return place != NULL && place->count > 0;
}

/* By place in the table's order; whoever needs another one sorts. */
void census_each(const struct census *census,
                 void (*each)(void *context, const struct census_stay *stay),
                 void *context)
{
    struct census_stay stay;
    size_t i, j;

    for (i = 0; i < census->places.capacity; i++) {
        const struct place *place = census->places.slots[i].thing;

        for (j = 0; place != NULL && j < place->count; j++) {
            give(&place->entries[j], place->entries[j].from_low_us,
                 place->entries[j].from_low_us, &stay);
            each(context, &stay);
        }
    }
}
