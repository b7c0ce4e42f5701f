/* SPDX-License-Identifier: Apache-2.0
 *
 * The books: kept as the batches go, and counted afresh to see that they are true.
 */
#include <stdlib.h>

#include "chart/ledger_gap.h"

#define TALLIES_SIZE (8 * (1 + LEDGER_STATES + 5) + 3 * 8 + 4)

/* Inside a batch these are the books with it; after an abort, without. */
void ledger_books(const struct ledger *ledger, struct ledger_books *books)
{
    *books = ledger->now.books;
}

/* What still waits for a decision, an answer or a withdrawal. At rest it is 0, or
 * something is stuck. */
uint64_t ledger_pending(const struct ledger_books *books)
{
    return books->states[LEDGER_RECEIVED] + books->states[LEDGER_MATCHED] +
           books->states[LEDGER_SENT] + books->states[LEDGER_WITHDRAWING] +
           books->states[LEDGER_WITHDRAWN];
}

/* A new ledger has no books yet: all zero. The row's size says which version wrote
 * it. */
int tallies_load(struct ledger *ledger)
{
    struct ledger_tallies *now = &ledger->now;
    struct db_span row;
    const uint8_t *at;
    int error = db_get(ledger, DB_META, "books", 5, &row);

    memset(now, 0, sizeof(*now));
    if (error != LEDGER_OK)
        return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
    if (row.size != TALLIES_SIZE)
        return ledger_fail(ledger, LEDGER_VERSION, "books of wrong size");
    at = row.bytes;
    /* In the order of tallies_save; a field more would be another size and so another
     * version. */
    now->books.readings = get64(at);
    for (int i = 0; i < LEDGER_STATES; i++)
        now->books.states[i] = get64(at += 8);
    now->books.conflicts = get64(at += 8);
    now->books.gaps = get64(at += 8);
    now->books.gap_readings = get64(at += 8);
    now->books.gaps_unknown = get64(at += 8);
    now->books.lost = get64(at += 8);
    now->changes = get64(at += 8);
    now->adt = get64(at += 8);
    now->messages = get64(at += 8);
    now->names = get32(at + 8);
    return LEDGER_OK;
}

/* Rides in each commit, so books and rows are never of different batches. */
int tallies_save(struct ledger *ledger)
{
    const struct ledger_tallies *now = &ledger->now;
    uint8_t row[TALLIES_SIZE], *at = put64(row, now->books.readings);

    for (int i = 0; i < LEDGER_STATES; i++)
        at = put64(at, now->books.states[i]);
    at = put64(put64(at, now->books.conflicts), now->books.gaps);
    at = put64(put64(at, now->books.gap_readings), now->books.gaps_unknown);
    at = put64(put64(at, now->books.lost), now->changes);
    at = put64(put64(at, now->adt), now->messages);
    (void)put32(at, now->names);
    return db_put(ledger, DB_META, "books", 5, row, sizeof(row));
}

/* --- counting afresh --- */

struct recount {
    struct ledger_books books;
    uint64_t records, wrong;
    uint64_t worked, timed, untimed; /* index rows that the entries call for */
    uint64_t *received;              /* entries by source */
};

/* One entry against all that should point to it: its indexes, its record, its
 * source. Rows that point to nothing are found later, by their number. */
static int entry_check(struct ledger *ledger, struct recount *count, struct db_span found,
                       struct db_span value)
{
    enum db_table table = DB_PLACES;
    struct ledger_entry entry;
    struct db_span row;
    uint8_t key[40];
    size_t n;

    if (found.size != ENTRY_KEY_SIZE || value.size != ENTRY_ROW_SIZE ||
        value.bytes[1] >= LEDGER_STATES) {
        count->wrong++;
        return LEDGER_OK;
    }
    entry_decode(found.bytes, value.bytes, &entry);
    count->records++;
    count->books.states[entry.state]++;
    count->books.readings += entry.kind == wardgate_Record_Kind_READING;
    /* An entry of a source that does not exist could never be receipted or asked for. */
    if (source_slot(ledger, entry.id.source) != NULL)
        count->received[entry.id.source - 1]++;
    else
        count->wrong++;
    if ((n = entry_work_key(&entry, key)) > 0) {
        count->worked++;
        count->wrong += db_get(ledger, DB_WORK, key, n, &row) != LEDGER_OK;
    }
    if ((n = entry_time_key(&entry, &table, key)) > 0) {
        count->timed += table == DB_PLACES;
        count->untimed += table == DB_UNTIMED;
        count->wrong += db_get(ledger, table, key, n, &row) != LEDGER_OK;
    }
    /* An entry without its record could be charted by its header alone: it must not
     * be. */
    entry_key(entry.id, key);
    count->wrong += db_get(ledger, DB_RECORDS, key, ENTRY_KEY_SIZE, &row) != LEDGER_OK;
    return LEDGER_OK;
}

/* Walks every entry. The cursor is sought anew each time, because the checks read
 * the same table. */
static int count_entries(struct ledger *ledger, struct recount *count)
{
    struct ledger_cursor cursor = {0};
    struct db_span found, value;
    int step;

    while ((step = cursor_step(ledger, DB_ENTRIES, NULL, 0, &cursor, &found, &value)) > 0)
        (void)entry_check(ledger, count, found, value);
    return step;
}

/* The ranges of each source must add up to its accounts. */
static int count_source(struct ledger *ledger, struct recount *count,
                        struct source_slot *slot)
{
    const struct ledger_source *row = &slot->row;
    uint64_t sums[2] = {0, 0}, lost, received;

    for (int i = 0; i < 2; i++) {
        struct range is = {0, 0};
        int error;

        /* Ranges never overlap, so each search begins behind the last one. */
        while ((error = range_next(ledger, i == 0 ? SET_RECEIVED : SET_LOST, row->source,
                                   is.last + 1, &is)) == LEDGER_OK)
            sums[i] += is.last - is.first + 1;
        if (error != LEDGER_NOT_FOUND)
            return error;
    }
    received = sums[0] + ranges_total(&slot->fresh);
    lost = sums[1];
    count->books.lost += lost;
    count->wrong +=
        received != row->received || received != count->received[row->source - 1];
    count->wrong += lost != row->lost;
    count->wrong += row->received + row->replaced + row->lost >
                    (row->base > 0 ? row->head - row->base + 1 : 0);
    return LEDGER_OK;
}

/* A row of DB_GAPS: a gap's own, or one of its devices' behind it. What the devices still
 * miss adds up to what the gap does; *left is what is not yet found of that. */
static void count_gap(struct recount *count, struct db_span found, struct db_span row,
                      uint64_t *left)
{
    if (found.size == GAP_PART_KEY_SIZE && row.size == GAP_PART_ROW_SIZE) {
        *left -= get64(row.bytes + GAP_PART_OUTSTANDING_AT);
        return;
    }
    count->wrong += *left != 0;
    *left = 0;
    if (found.size != ENTRY_KEY_SIZE || row.size != GAP_ROW_SIZE) {
        count->wrong++;
        return;
    }
    /* A settled one does not count: another speaks for it. */
    count->books.gaps += (row.bytes[1] & GAP_FLAG_SETTLED) == 0;
    count->books.gaps_unknown += row.bytes[1] & GAP_FLAG_UNKNOWN;
    count->books.gap_readings += get64(row.bytes + GAP_OUTSTANDING_AT);
    if ((row.bytes[1] & GAP_FLAG_PARTS) != 0)
        *left = get64(row.bytes + GAP_OUTSTANDING_AT);
}

/* What is outstanding in gaps, and that the replaced stretches add up to what the
 * sources believe. */
static int count_gaps(struct ledger *ledger, struct recount *count)
{
    struct ledger_cursor cursor = {0};
    struct db_span found, value;
    uint64_t replaced = 0, expected = 0, left = 0;
    int step;

    while ((step = cursor_step(ledger, DB_GAPS, NULL, 0, &cursor, &found, &value)) > 0)
        count_gap(count, found, value, &left);
    count->wrong += left != 0;
    if (step < 0)
        return step;
    cursor.size = 0;
    while ((step = cursor_step(ledger, DB_REPLACED, NULL, 0, &cursor, &found, &value)) >
           0)
        replaced += get64(value.bytes) - get64(found.bytes + 4) + 1;
    for (uint32_t i = 0; i < ledger->source_count; i++)
        expected += ledger->sources[i].row.replaced;
    count->wrong += replaced != expected;
    return step;
}

/* The counters of the worklist's lines against its rows. */
static int count_lines(struct ledger *ledger, struct recount *count)
{
    struct ledger_cursor cursor = {0};
    struct db_span found, value;
    uint64_t lined = 0;
    int step;

    while ((step = cursor_step(ledger, DB_LINES, NULL, 0, &cursor, &found, &value)) > 0)
        lined += get64(value.bytes);
    count->wrong +=
        lined != count->books.states[LEDGER_HELD] + count->books.states[LEDGER_REJECTED];
    return step;
}

/* Counts everything that the books keep as they go, by no other means than the
 * rows. An index with a row too many has another number of rows than its entries
 * call for. */
int ledger_recount(struct ledger *ledger, struct ledger_books *books, uint64_t *wrong)
{
    struct recount count = {.received =
                                calloc(ledger->source_count + 1U, sizeof(uint64_t))};
    int error;

    if (count.received == NULL)
        return ledger_fail(ledger, LEDGER_IO, "out of memory");
    error = count_entries(ledger, &count);
    for (uint32_t i = 0; i < ledger->source_count && error == LEDGER_OK; i++)
        error = count_source(ledger, &count, &ledger->sources[i]);
    if (error == LEDGER_OK && (error = count_gaps(ledger, &count)) == LEDGER_OK)
        error = count_lines(ledger, &count);
    free(count.received);
    if (error != LEDGER_OK)
        return error;

    /* What points nowhere shows as a difference in number: each entry has found its
     * own rows above, so any others are too many. */
    count.wrong += db_rows(ledger, DB_RECORDS) != count.records;
    count.wrong += db_rows(ledger, DB_WORK) != count.worked;
    count.wrong += db_rows(ledger, DB_PLACES) != count.timed;
    count.wrong += db_rows(ledger, DB_UNTIMED) != count.untimed;
    /* These two are not derived from entries: contents kept aside, and what was found
     * damaged since start. */
    count.books.conflicts = db_rows(ledger, DB_ASIDE);
    count.books.damaged = ledger->now.books.damaged;
    *books = count.books;
    *wrong = count.wrong;
    return LEDGER_OK;
}
