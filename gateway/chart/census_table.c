/* SPDX-License-Identifier: Apache-2.0
 *
 * The id table and the growing array that the census is kept in.
 */
#include "chart/census_parts.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_MIN 64
#define ARRAY_MIN 4

/* Ids are hashes already: their low bits will do. Returns the slot that has id, or the
 * empty one where it would go. */
static struct census_slot *find_slot(const struct census_table *table, uint64_t id)
{
    size_t at = (size_t)id & (table->capacity - 1);

    while (table->slots[at].thing != NULL && table->slots[at].id != id)
        at = (at + 1) & (table->capacity - 1);
    return &table->slots[at];
}

/* NULL: not there. */
void *census_table_get(const struct census_table *table, uint64_t id)
{
    return table->capacity == 0 ? NULL : find_slot(table, id)->thing;
}

/* Doubles. Slots are put in anew, since their homes depend on the size. */
static bool grow_table(struct census_table *table)
{
    struct census_table bigger = {.capacity = table->capacity == 0 ? TABLE_MIN
                                                                   : table->capacity * 2};
    size_t i;

    bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
    if (bigger.slots == NULL)
        return false;
    for (i = 0; i < table->capacity; i++)
        if (table->slots[i].thing != NULL)
            *find_slot(&bigger, table->slots[i].id) = table->slots[i];
    free(table->slots);
    table->slots = bigger.slots;
    table->capacity = bigger.capacity;
    return true;
}

/* Nothing is ever taken out: a census only learns. */
bool census_table_put(struct census_table *table, uint64_t id, void *thing)
{
    /* Half full at most, so that a search ends soon. */
    if (table->used * 2 >= table->capacity && !grow_table(table))
        return false;
    *find_slot(table, id) = (struct census_slot){id, thing};
    table->used++;
    return true;
}

/* By half: arrays here are many and small, and doubling would waste more than it
 * saves. */
bool census_grow(void **items, size_t used, size_t *capacity, size_t size)
{
    size_t wanted = *capacity == 0 ? ARRAY_MIN : *capacity + *capacity / 2 + 1;
    void *grown;

    if (used < *capacity)
        return true;
    grown = realloc(*items, wanted * size);
    if (grown == NULL)
        return false;
    *items = grown;
    *capacity = wanted;
    return true;
}
