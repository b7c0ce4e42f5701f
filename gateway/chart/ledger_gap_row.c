/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of gaps, and of what each device lost inside one.
 */
#include "chart/ledger_gap.h"

#define PART_UNKNOWN 1
#define PART_UNDATED 2

/* --- gaps --- */

/* A settled gap keeps its count and range for whoever reads the record's history, but
 * none of the flags that the books add up. */
int gap_row_write(struct ledger *ledger, const struct ledger_gap *gap)
{
    uint8_t key[ENTRY_KEY_SIZE], row[GAP_ROW_SIZE], *at;
    unsigned flags = (gap->count_unknown && !gap->settled ? GAP_FLAG_UNKNOWN : 0U) |
                     (gap->settled ? GAP_FLAG_SETTLED : 0U) |
                     (gap->part_count > 0 ? GAP_FLAG_PARTS : 0U);

    entry_key(gap->id, key);
    at = put8(put8(row, gap->reason), (uint8_t)flags);
    at = put64(put64(put64(at, gap->count), gap->seqs.first), gap->seqs.last);
    at = put32(put32(put64(at, (uint64_t)gap->received_us), gap->device), gap->place);
    (void)put64(at, gap->outstanding);
    return db_put(ledger, DB_GAPS, key, sizeof(key), row, sizeof(row));
}

/* Whether there are parts is a flag, so that a gap without them, which is nearly every
 * one, costs no search. */
bool gap_row_read(struct ledger_id id, struct db_span row, struct ledger_gap *out)
{
    if (row.size != GAP_ROW_SIZE)
        return false;
    *out = (struct ledger_gap){
        .id = id,
        .reason = row.bytes[0],
        .count_unknown = (row.bytes[1] & GAP_FLAG_UNKNOWN) != 0,
        .settled = (row.bytes[1] & GAP_FLAG_SETTLED) != 0,
        .part_count = (row.bytes[1] & GAP_FLAG_PARTS) != 0,
        .count = get64(row.bytes + 2),
        .seqs = {get64(row.bytes + 10), get64(row.bytes + 18)},
        .received_us = (int64_t)get64(row.bytes + 26),
        .device = get32(row.bytes + 34),
        .place = get32(row.bytes + 38),
        .outstanding = get64(row.bytes + GAP_OUTSTANDING_AT),
    };
    return true;
}

/* --- parts --- */

static void part_key(struct ledger_id gap, uint32_t device, uint32_t place,
                     uint8_t out[GAP_PART_KEY_SIZE])
{
    entry_key(gap, out);
    (void)put32(put32(out + ENTRY_KEY_SIZE, device), place);
}

/* No two are of one device and place: the second would replace the first, and its
 * count would be gone. Intake has joined them. */
int gap_parts_write(struct ledger *ledger, struct ledger_id gap,
                    const struct ledger_gap_part *parts, size_t n)
{
    int error = LEDGER_OK;

    for (size_t i = 0; i < n && error == LEDGER_OK; i++) {
        uint8_t key[GAP_PART_KEY_SIZE], row[GAP_PART_ROW_SIZE], *at;

        part_key(gap, parts[i].device, parts[i].place, key);
        at = put8(row, (uint8_t)((parts[i].count_unknown ? PART_UNKNOWN : 0) |
                                 (parts[i].undated ? PART_UNDATED : 0)));
        at = put64(put64(put64(at, parts[i].count), (uint64_t)parts[i].first_us),
                   (uint64_t)parts[i].last_us);
        (void)put64(put32(at, parts[i].uncertainty_ms), parts[i].outstanding);
        error = db_put(ledger, DB_GAPS, key, sizeof(key), row, sizeof(row));
    }
    return error;
}

static void part_read(const uint8_t *key, const uint8_t *row, struct ledger_gap_part *out)
{
    *out = (struct ledger_gap_part){
        .device = get32(key + ENTRY_KEY_SIZE),
        .place = get32(key + ENTRY_KEY_SIZE + 4),
        .count_unknown = (row[0] & PART_UNKNOWN) != 0,
        .undated = (row[0] & PART_UNDATED) != 0,
        .count = get64(row + 1),
        .first_us = (int64_t)get64(row + 9),
        .last_us = (int64_t)get64(row + 17),
        .uncertainty_ms = get32(row + 25),
        .outstanding = get64(row + GAP_PART_OUTSTANDING_AT),
    };
}

/* They stand behind their gap's own row, which is a prefix of their keys. */
int ledger_gap_parts(struct ledger *ledger, struct ledger_id gap,
                     struct ledger_gap_part *out, int max)
{
    uint8_t prefix[ENTRY_KEY_SIZE];
    struct ledger_cursor cursor = {0};
    struct db_span found, row;
    int n = 0, step = 0;

    entry_key(gap, prefix);
    while (n < max && (step = cursor_step(ledger, DB_GAPS, prefix, sizeof(prefix),
                                          &cursor, &found, &row)) > 0) {
        if (found.size == ENTRY_KEY_SIZE)
            continue;
        if (found.size != GAP_PART_KEY_SIZE || row.size != GAP_PART_ROW_SIZE)
            return ledger_fail(ledger, LEDGER_DAMAGED, "a gap's part of wrong size");
        part_read(found.bytes, row.bytes, &out[n++]);
    }
    return step < 0 ? step : n;
}

/* First the device's own part, then the nameless one: a reading that came may be of a
 * device that the gap could not name. */
int gap_part_less(struct ledger *ledger, struct ledger_id gap, uint32_t device,
                  uint32_t place, bool *less)
{
    *less = false;
    for (int i = 0; i < 2; i++) {
        uint8_t key[GAP_PART_KEY_SIZE], row[GAP_PART_ROW_SIZE];
        struct db_span found;
        uint64_t outstanding;
        int error;

        part_key(gap, i == 0 ? device : 0, i == 0 ? place : 0, key);
        error = db_get(ledger, DB_GAPS, key, sizeof(key), &found);
        if (error == LEDGER_NOT_FOUND)
            continue;
        if (error != LEDGER_OK)
            return error;
        if (found.size != sizeof(row))
            return ledger_fail(ledger, LEDGER_DAMAGED, "a gap's part of wrong size");
        memcpy(row, found.bytes, sizeof(row));
        if ((outstanding = get64(row + GAP_PART_OUTSTANDING_AT)) == 0)
            continue;
        (void)put64(row + GAP_PART_OUTSTANDING_AT, outstanding - 1);
        *less = true;
        return db_put(ledger, DB_GAPS, key, sizeof(key), row, sizeof(row));
    }
    return LEDGER_OK;
}

/* --- newest first --- */

/* Whichever row is the last one below: its gap's own row stands before the parts'. */
int ledger_gap_before(struct ledger *ledger, uint32_t source, uint64_t below,
                      struct ledger_gap *out)
{
    uint8_t key[GAP_PART_KEY_SIZE];
    struct db_span found, row;
    struct ledger_id id;
    int error;

    if (below <= 1)
        return LEDGER_NOT_FOUND;
    part_key((struct ledger_id){source, below - 1}, UINT32_MAX, UINT32_MAX, key);
    if ((error = db_seek_back(ledger, DB_GAPS, key, sizeof(key), &found, &row)) !=
        LEDGER_OK)
        return error;
    id = (struct ledger_id){get32(found.bytes), get64(found.bytes + 4)};
    if (id.source != source || id.seq >= below)
        return LEDGER_NOT_FOUND;
    entry_key(id, key);
    if ((error = db_get(ledger, DB_GAPS, key, ENTRY_KEY_SIZE, &row)) != LEDGER_OK)
        return error;
    return gap_row_read(id, row, out)
               ? LEDGER_OK
               : ledger_fail(ledger, LEDGER_DAMAGED, "a gap of wrong size");
}
