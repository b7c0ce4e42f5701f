/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows are gathered, sorted so that those of one line stand together, and added up: no
 * table is kept beside the ledger's, so there is none that could differ from it.
 */
#include "chart/losses.h"

#include <stdlib.h>
#include <string.h>

#include "wire/gap_devices.h"

struct gathered {
    struct loss_line *lines;
    size_t count, capacity;
};

/* A row that says nothing is missing (any more) is none. */
static int gather(struct gathered *all, const struct loss_line *line)
{
    struct loss_line *more;

    if (line->readings == 0 && !line->and_more)
        return LEDGER_OK;
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 256 : 2 * all->capacity;

        if ((more = reallocarray(all->lines, capacity, sizeof(*more))) == NULL)
            return LEDGER_IO;
        all->lines = more;
        all->capacity = capacity;
    }
    all->lines[all->count++] = *line;
    return LEDGER_OK;
}

/* A gap of one device is a row as it is; of several, a row for each, under the one
 * reason. */
static int gather_gap(struct ledger *ledger, struct gathered *all, uint32_t gateway,
                      const struct ledger_gap *gap)
{
    struct ledger_gap_part parts[GAP_DEVICES_MAX];
    struct loss_line line = {.gateway = gateway,
                             .device = gap->device,
                             .place = gap->place,
                             .reason = gap->reason,
                             .and_more = gap->count_unknown,
                             .readings = gap->outstanding,
                             .gaps = 1,
                             .received_us = gap->received_us};
    int n, error = LEDGER_OK;

    if (gap->settled)
        return LEDGER_OK;
    if (gap->part_count == 0)
        return gather(all, &line);
    if ((n = ledger_gap_parts(ledger, gap->id, parts, GAP_DEVICES_MAX)) < 0)
        return n;
    for (int i = 0; i < n && error == LEDGER_OK; i++) {
        line.device = parts[i].device;
        line.place = parts[i].place;
        line.and_more = parts[i].count_unknown;
        line.readings = parts[i].outstanding;
        line.from_us = parts[i].first_us;
        line.to_us = parts[i].last_us;
        error = gather(all, &line);
    }
    return error;
}

/* From the newest back, so that what is left out beyond the limit is the oldest. */
static int gather_source(struct ledger *ledger, struct gathered *all, uint32_t source,
                         bool *older)
{
    struct ledger_gap gap = {.id = {source, UINT64_MAX}};
    struct ledger_source row;
    int error = ledger_source_get(ledger, source, &row);

    for (int i = 0; error == LEDGER_OK; i++) {
        error = ledger_gap_before(ledger, source, gap.id.seq, &gap);
        if (error != LEDGER_OK)
            break;
        if (i == LOSSES_GAPS_MAX || all->count >= LOSSES_ROWS_MAX) {
            *older = true;
            return LEDGER_OK;
        }
        error = gather_gap(ledger, all, row.gateway, &gap);
    }
    return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
}

static int compare(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

/* The order within which equal means: the same line. */
static int by_line(const void *a, const void *b)
{
    const struct loss_line *x = a, *y = b;
    int is = compare(x->gateway, y->gateway);

    is = is != 0 ? is : compare(x->device, y->device);
    is = is != 0 ? is : compare(x->place, y->place);
    return is != 0 ? is : compare(x->reason, y->reason);
}

/* Newest first; lines of one instant in a fixed order, so that two looks agree. */
static int by_age(const void *a, const void *b)
{
    const struct loss_line *x = a, *y = b;

    if (x->received_us != y->received_us)
        return x->received_us > y->received_us ? -1 : 1;
    return by_line(a, b);
}

/* A row without times leaves those of the others. */
static void add_up(struct loss_line *sum, const struct loss_line *row)
{
    sum->readings += row->readings;
    sum->gaps += row->gaps;
    sum->and_more = sum->and_more || row->and_more;
    if (row->received_us > sum->received_us)
        sum->received_us = row->received_us;
    if (row->from_us == 0 && row->to_us == 0)
        return;
    if ((sum->from_us == 0 && sum->to_us == 0) || row->from_us < sum->from_us)
        sum->from_us = row->from_us;
    if (row->to_us > sum->to_us)
        sum->to_us = row->to_us;
}

/* Sorting twice is cheaper to be sure of than a table of lines: at most
 * LOSSES_ROWS_MAX rows, seldom a hundred. */
static void lines_make(struct gathered *all)
{
    size_t n = 0;

    if (all->count == 0)
        return;
    qsort(all->lines, all->count, sizeof(all->lines[0]), by_line);
    for (size_t i = 1; i < all->count; i++)
        if (by_line(&all->lines[n], &all->lines[i]) == 0)
            add_up(&all->lines[n], &all->lines[i]);
        else
            all->lines[++n] = all->lines[i];
    all->count = n + 1;
    qsort(all->lines, all->count, sizeof(all->lines[0]), by_age);
}

/* Lines beyond `most` are counted, not shown: who asks for ten still learns that there
 * are more. */
int losses_each(struct ledger *ledger, int most,
                void (*visit)(void *context, const struct loss_line *line), void *context,
                bool *older)
{
    struct gathered all = {0};
    int error = LEDGER_OK;

    *older = false;
    for (uint32_t i = ledger_sources(ledger); i >= 1 && error == LEDGER_OK; i--)
        error = gather_source(ledger, &all, i, older);
    if (error == LEDGER_OK) {
        lines_make(&all);
        for (size_t i = 0; i < all.count && i < (size_t)most; i++)
            visit(context, &all.lines[i]);
        error = (int)all.count;
    }
    free(all.lines);
    return error;
}

const char *loss_reason_name(uint8_t reason)
{
    static const char *const names[] = {
        [wardgate_Gap_Reason_RESTART] = "restart",
        [wardgate_Gap_Reason_DEVICE_SILENT] = "device-silent",
        [wardgate_Gap_Reason_BUS_DOWN] = "bus-down",
        [wardgate_Gap_Reason_QUEUE_FULL] = "queue-full",
        [wardgate_Gap_Reason_STORE_FULL] = "store-full",
        [wardgate_Gap_Reason_STORE_ERROR] = "store-error",
        [wardgate_Gap_Reason_RECORD_DAMAGED] = "record-damaged",
        [wardgate_Gap_Reason_IDENTITY] = "identity",
        [wardgate_Gap_Reason_STOPPED] = "stopped",
    };

    return reason < sizeof(names) / sizeof(names[0]) && names[reason] != NULL
               ? names[reason]
               : "unknown";
}
