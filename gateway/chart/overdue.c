/* SPDX-License-Identifier: Apache-2.0
 *
 * A backlog that drains also has a hole, but its lower edge moves with every envelope. A
 * gateway that is away has one that stays, but then nothing newer comes either. So a hole
 * counts when its lower edge has stayed where it was and others have arrived since.
 */
#include "chart/overdue.h"

#include <stdlib.h>
#include <string.h>

#define HOLES_MAX 256 /* of one source that are added up for its line */

struct overdue_source {
    uint64_t hole;     /* oldest missing seq; 0: nothing is missing */
    uint64_t head;     /* the source's newest when that was first seen */
    uint64_t taken;    /* records accounted for, at the last look */
    int64_t since_us;  /* the hole has been there */
    int64_t newest_us; /* when something was last seen to have arrived */
};

static int grow(struct overdue *overdue, uint32_t count)
{
    struct overdue_source *more;

    if (count <= overdue->count)
        return LEDGER_OK;
    if ((more = reallocarray(overdue->sources, count, sizeof(*more))) == NULL)
        return LEDGER_IO;
    memset(&more[overdue->count], 0, (count - overdue->count) * sizeof(*more));
    overdue->sources = more;
    overdue->count = count;
    return LEDGER_OK;
}

/* One search for a source that misses nothing, which is nearly every one. */
static int look_at(struct overdue_source *is, struct ledger *ledger, uint32_t source,
                   int64_t now_us)
{
    struct ledger_source row;
    struct range hole = {0, 0};
    int error = ledger_source_get(ledger, source, &row);

    if (error != LEDGER_OK)
        return error;
    if (row.received + row.replaced != is->taken) {
        is->taken = row.received + row.replaced;
        is->newest_us = now_us;
    }
    if (row.missing > 0 &&
        (error = ledger_missing(ledger, source, row.first, &hole)) != LEDGER_OK &&
        error != LEDGER_NOT_FOUND)
        return error;
    if (hole.first != is->hole) {
        is->hole = hole.first;
        is->head = row.head;
        is->since_us = now_us;
    }
    return LEDGER_OK;
}

int overdue_look(struct overdue *overdue, struct ledger *ledger, int64_t now_us)
{
    int error = LEDGER_OK;

    if (overdue->looked && now_us - overdue->looked_us < OVERDUE_LOOK_US)
        return LEDGER_OK;
    overdue->looked = true;
    overdue->looked_us = now_us;
    if (grow(overdue, ledger_sources(ledger)) != LEDGER_OK)
        return LEDGER_IO;
    for (uint32_t i = 0; i < overdue->count && error == LEDGER_OK; i++)
        error = look_at(&overdue->sources[i], ledger, i + 1, now_us);
    return error;
}

/* What was missing when the oldest was, and still is. Newer holes may fill yet. */
static uint64_t missing_of(const struct overdue_source *is, struct ledger *ledger,
                           uint32_t source, uint64_t *first)
{
    struct range hole = {0, is->hole - 1};
    uint64_t records = 0;

    *first = 0;
    for (int i = 0; i < HOLES_MAX &&
                    ledger_missing(ledger, source, hole.last + 1, &hole) == LEDGER_OK &&
                    hole.first <= is->head;
         i++) {
        *first = *first == 0 ? hole.first : *first;
        records += (hole.last < is->head ? hole.last : is->head) - hole.first + 1;
    }
    return records;
}

int overdue_each(const struct overdue *overdue, struct ledger *ledger, int64_t now_us,
                 void (*visit)(void *context, const struct overdue_line *line),
                 void *context)
{
    int n = 0;

    for (uint32_t i = 0; i < overdue->count; i++) {
        const struct overdue_source *is = &overdue->sources[i];
        struct overdue_line line = {.source = i + 1, .age_us = now_us - is->since_us};
        struct ledger_source row;

        if (is->hole == 0 || is->newest_us - is->since_us < OVERDUE_US ||
            ledger_source_get(ledger, i + 1, &row) != LEDGER_OK)
            continue;
        line.gateway = row.gateway;
        /* It may have come since the last look. */
        if ((line.records = missing_of(is, ledger, i + 1, &line.first)) == 0 ||
            line.first != is->hole)
            continue;
        visit(context, &line);
        n++;
    }
    return n;
}

void overdue_free(struct overdue *overdue)
{
    free(overdue->sources);
    memset(overdue, 0, sizeof(*overdue));
}
