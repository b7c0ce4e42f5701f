/* SPDX-License-Identifier: Apache-2.0
 *
 * Gap records: what is known to be missing, and which seqs need not be waited for.
 */
#include "chart/ledger_gap.h"

#include "chart/ledger_log.h"
#include "wire/gap_devices.h"

/* Stretches are keyed like entries, by their first seq. */
static void replaced_key(uint32_t source, uint64_t first, uint8_t out[ENTRY_KEY_SIZE])
{
    entry_key((struct ledger_id){source, first}, out);
}

struct replaced {
    struct range range;
    struct ledger_id gap; /* the gap record: its epoch may be a later one */
};

/* False for a neighbour that belongs to another source. */
static bool replaced_read(uint32_t source, struct db_span found, struct db_span value,
                          struct replaced *out)
{
    if (found.size != ENTRY_KEY_SIZE || get32(found.bytes) != source || value.size != 20)
        return false;
    out->range = (struct range){get64(found.bytes + 4), get64(value.bytes)};
    out->gap = (struct ledger_id){get32(value.bytes + 8), get64(value.bytes + 12)};
    return true;
}

/* A stretch and the gap that stands for it. Stretches of two gaps are never
 * merged: each must be able to give seqs back. */
static int replaced_put(struct ledger *ledger, uint32_t source, struct range range,
                        struct ledger_id gap)
{
    uint8_t key[ENTRY_KEY_SIZE], row[20];

    replaced_key(source, range.first, key);
    (void)put64(put32(put64(row, range.last), gap.source), gap.seq);
    return db_put(ledger, DB_REPLACED, key, sizeof(key), row, sizeof(row));
}

/* The stretch that holds from, or the next one after it. */
static int replaced_next(struct ledger *ledger, uint32_t source, uint64_t from,
                         struct replaced *out)
{
    uint8_t key[ENTRY_KEY_SIZE];
    struct db_span found, value;
    int error;

    replaced_key(source, from, key);
    error = db_seek_back(ledger, DB_REPLACED, key, sizeof(key), &found, &value);
    if (error == LEDGER_OK && replaced_read(source, found, value, out) &&
        out->range.last >= from)
        return LEDGER_OK;
    if (error != LEDGER_OK && error != LEDGER_NOT_FOUND)
        return error;
    error = db_seek(ledger, DB_REPLACED, key, sizeof(key), &found, &value);
    if (error == LEDGER_OK && !replaced_read(source, found, value, out))
        error = LEDGER_NOT_FOUND;
    return error;
}

/* The same for those who only ask what is accounted for. */
int gap_range_next(struct ledger *ledger, uint32_t source, uint64_t from,
                   struct range *out)
{
    struct replaced is;
    int error = replaced_next(ledger, source, from, &is);

    if (error == LEDGER_OK)
        *out = is.range;
    return error;
}

/* One reading fewer inside a gap, and in its device's part of it. */
static int outstanding_less(struct ledger *ledger, struct ledger_id gap,
                            const struct ledger_new *record)
{
    uint8_t key[ENTRY_KEY_SIZE], row[GAP_ROW_SIZE];
    struct db_span value;
    uint64_t outstanding;
    bool less = true;
    int error;

    entry_key(gap, key);
    if ((error = db_get(ledger, DB_GAPS, key, sizeof(key), &value)) != LEDGER_OK)
        return error;
    memcpy(row, value.bytes, sizeof(row));
    outstanding = get64(row + GAP_OUTSTANDING_AT);
    /* Unknown counts, and counts that were less than the seqs: nothing to take back. */
    if (outstanding == 0)
        return LEDGER_OK;
    if ((row[1] & GAP_FLAG_PARTS) != 0 &&
        ((error = gap_part_less(ledger, gap, record->device, record->place, &less)) !=
             LEDGER_OK ||
         !less))
        return error;
    (void)put64(row + GAP_OUTSTANDING_AT, outstanding - 1);
    ledger->now.books.gap_readings--;
    return db_put(ledger, DB_GAPS, key, sizeof(key), row, sizeof(row));
}

/* A record came that a gap stood for (it was on its way when its board gave it
 * up). The stretch is cut around it, and a reading less is missing. */
int gap_reclaim(struct ledger *ledger, struct source_slot *slot,
                const struct ledger_new *record)
{
    uint32_t source = slot->row.source;
    uint64_t seq = record->id.seq;
    uint8_t key[ENTRY_KEY_SIZE];
    struct replaced is;
    int error = replaced_next(ledger, source, seq, &is);

    if (error == LEDGER_NOT_FOUND || (error == LEDGER_OK && is.range.first > seq))
        return LEDGER_OK;
    if (error != LEDGER_OK)
        return error;
    replaced_key(source, is.range.first, key);
    if ((error = db_drop(ledger, DB_REPLACED, key, sizeof(key))) != LEDGER_OK ||
        (is.range.first < seq &&
         (error = replaced_put(ledger, source, (struct range){is.range.first, seq - 1},
                               is.gap)) != LEDGER_OK) ||
        (is.range.last > seq &&
         (error = replaced_put(ledger, source, (struct range){seq + 1, is.range.last},
                               is.gap)) != LEDGER_OK))
        return error;
    slot->row.replaced--;
    if (record->kind == wardgate_Record_Kind_READING)
        return outstanding_less(ledger, is.gap, record);
    /* If it is a gap, its count is inside the other's already: see ledger_gap_add. */
    slot->swallowed = seq;
    return LEDGER_OK;
}

/* What of a gap is here, or inside older gaps, and so is missing no more. */
struct gap_here {
    uint64_t count;
    struct ledger_gap_part *parts; /* their outstanding goes down */
    size_t part_count;
};

/* Takes count off the part of a device and place; returns what it did not have. */
static uint64_t part_off(struct gap_here *here, uint32_t device, uint32_t place,
                         uint64_t count)
{
    for (size_t i = 0; i < here->part_count; i++) {
        struct ledger_gap_part *part = &here->parts[i];
        uint64_t less = count < part->outstanding ? count : part->outstanding;

        if (part->device == device && part->place == place) {
            part->outstanding -= less;
            return count - less;
        }
    }
    return count;
}

/* What no part has was counted where devices could not be named. */
static void here_add(struct gap_here *here, uint32_t device, uint32_t place,
                     uint64_t count)
{
    here->count += count;
    count = part_off(here, device, place, count);
    (void)part_off(here, 0, 0, count);
}

/* An older gap that lies inside was swallowed by this one: what it still missed is in
 * this one's count too. */
static int gap_within(struct ledger *ledger, struct ledger_id id, struct gap_here *out)
{
    struct ledger_gap_part parts[GAP_DEVICES_MAX];
    uint8_t key[ENTRY_KEY_SIZE];
    struct ledger_gap gap;
    struct db_span row;
    int n, error;

    entry_key(id, key);
    error = db_get(ledger, DB_GAPS, key, sizeof(key), &row);
    if (error != LEDGER_OK)
        return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
    if (!gap_row_read(id, row, &gap))
        return ledger_fail(ledger, LEDGER_DAMAGED, "a gap of wrong size");
    if (gap.part_count == 0) {
        here_add(out, gap.device, gap.place, gap.outstanding);
        return LEDGER_OK;
    }
    if ((n = ledger_gap_parts(ledger, id, parts, GAP_DEVICES_MAX)) < 0)
        return n;
    for (int i = 0; i < n; i++)
        here_add(out, parts[i].device, parts[i].place, parts[i].outstanding);
    return LEDGER_OK;
}

/* Readings that the ledger knows of among the records of a stretch: those received, and
 * those inside older gaps whose records this one stands for. */
static int readings_within(struct ledger *ledger, uint32_t source, struct range seqs,
                           struct gap_here *out)
{
    uint8_t key[ENTRY_KEY_SIZE];
    struct db_span found, value;
    int error;

    replaced_key(source, seqs.first, key);
    error = db_seek(ledger, DB_ENTRIES, key, sizeof(key), &found, &value);
    while (error == LEDGER_OK && get32(found.bytes) == source &&
           get64(found.bytes + 4) <= seqs.last) {
        struct ledger_entry entry;

        entry_decode(found.bytes, value.bytes, &entry);
        if (entry.kind == wardgate_Record_Kind_READING)
            here_add(out, entry.device, entry.place, 1);
        else if (entry.kind == wardgate_Record_Kind_GAP &&
                 (error = gap_within(ledger, entry.id, out)) != LEDGER_OK)
            return error;
        error = db_next(ledger, DB_ENTRIES, &found, &value);
    }
    return error == LEDGER_OK || error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
}

/* How far from at the records are received, or replaced by another gap (*taken), or
 * neither; at most to last. */
static int stretch(struct ledger *ledger, uint32_t source, uint64_t at, uint64_t last,
                   bool *taken, uint64_t *end)
{
    *taken = false;
    *end = last;
    for (int i = 0; i < 2; i++) {
        struct range is;
        int error = i == 0 ? range_next(ledger, SET_RECEIVED, source, at, &is)
                           : gap_range_next(ledger, source, at, &is);

        if (error == LEDGER_NOT_FOUND)
            continue;
        if (error != LEDGER_OK)
            return error;
        if (is.first <= at) {
            *taken = true;
            *end = is.last < last ? is.last : last;
            return LEDGER_OK;
        }
        if (is.first <= *end)
            *end = is.first - 1;
    }
    return LEDGER_OK;
}

/* Marks what nobody else accounts for in a stretch of one epoch as replaced by this gap.
 */
static int seqs_cover(struct ledger *ledger, struct source_slot *slot,
                      const struct ledger_gap *gap, struct range seqs)
{
    uint32_t source = slot->row.source;
    uint64_t at, end, removed;
    bool taken;
    int error = range_cut(ledger, SET_LOST, source, seqs, &removed);

    if (error != LEDGER_OK)
        return error;
    /* What had been given up without a word has an explanation now. */
    slot->row.lost -= removed;
    ledger->now.books.lost -= removed;
    source_reach(slot, seqs.last);
    for (at = seqs.first; at <= seqs.last; at = end + 1) {
        if ((error = stretch(ledger, source, at, seqs.last, &taken, &end)) != LEDGER_OK)
            return error;
        if (taken)
            continue;
        if ((error = replaced_put(ledger, source, (struct range){at, end}, gap->id)) !=
            LEDGER_OK)
            return error;
        slot->row.replaced += end - at + 1;
    }
    return LEDGER_OK;
}

/* A gap may stand for records of earlier epochs: seqs run on through the life of a store.
 * Each part goes to the newest source of the gateway that begins at or below it; what no
 * known source has is nobody's to wait for. */
static int seqs_share(struct ledger *ledger, const struct ledger_gap *gap,
                      struct gap_here *here)
{
    uint32_t gateway = source_slot(ledger, gap->id.source)->row.gateway;
    struct range rest = gap->seqs;
    int error = LEDGER_OK;

    for (uint32_t source = gap->id.source; source >= 1 && error == LEDGER_OK; source--) {
        struct source_slot *slot = source_slot(ledger, source);
        struct range part = rest;

        /* Other gateways' sources lie between, and sources of which nothing is known. */
        if (slot->row.gateway != gateway || slot->row.base == 0 ||
            slot->row.base > rest.last)
            continue;
        slot = source_touch(ledger, source);
        if (part.first < slot->row.base)
            part.first = slot->row.base;
        if ((error = source_flush(ledger, slot)) == LEDGER_OK &&
            (error = readings_within(ledger, source, part, here)) == LEDGER_OK)
            error = seqs_cover(ledger, slot, gap, part);
        /* The rest lies below this epoch: it is of an earlier one. */
        if (part.first == rest.first)
            break;
        rest.last = part.first - 1;
    }
    return error;
}

/* What is missing of a gap, in all and of each device, once what is here is off. With
 * parts it is their sum, whatever a board's list says: the books and the devices' lines
 * can't differ. */
static int gap_reckon(struct ledger *ledger, struct ledger_gap *gap,
                      struct ledger_gap_part *parts)
{
    struct gap_here here = {0, parts, gap->part_count};
    int error;

    for (size_t i = 0; i < gap->part_count; i++)
        parts[i].outstanding = parts[i].count;
    if (gap->seqs.first > 0 && (error = seqs_share(ledger, gap, &here)) != LEDGER_OK)
        return error;
    if (gap->part_count > 0) {
        gap->outstanding = 0;
        for (size_t i = 0; i < gap->part_count; i++)
            gap->outstanding += parts[i].outstanding;
    } else if (gap->count_unknown) {
        gap->count = gap->outstanding = 0;
    } else {
        gap->outstanding = gap->count > here.count ? gap->count - here.count : 0;
    }
    return LEDGER_OK;
}

/* A gap is entered once, however often it comes. Its count is believed, less what
 * is known to be here or inside an older gap that it has swallowed. */
int ledger_gap_add(struct ledger *ledger, const struct ledger_gap *given)
{
    struct source_slot *slot = source_touch(ledger, given->id.source);
    struct ledger_gap_part parts[GAP_DEVICES_MAX] = {0};
    struct ledger_gap gap = *given;
    uint8_t key[ENTRY_KEY_SIZE];
    struct db_span row;
    int error;

    if (slot == NULL)
        return LEDGER_NOT_FOUND;
    /* A gap stands for what came before it: this also bounds what one record can claim.
     */
    if (gap.seqs.first > gap.seqs.last || gap.seqs.last >= gap.id.seq ||
        gap.part_count > GAP_DEVICES_MAX)
        return LEDGER_INVALID;
    replaced_key(gap.id.source, gap.id.seq, key);
    if ((error = db_get(ledger, DB_GAPS, key, sizeof(key), &row)) != LEDGER_NOT_FOUND)
        return error;

    if (gap.part_count > 0)
        memcpy(parts, gap.parts, gap.part_count * sizeof(*parts));
    /* It was on its way when its board gave it up, and what it says is in the count of
     * the gap that stands for it. */
    gap.settled = slot->swallowed == gap.id.seq;
    if ((error = gap_reckon(ledger, &gap, parts)) != LEDGER_OK)
        return error;
    if (gap.settled) {
        gap.part_count = 0;
        gap.outstanding = 0;
    } else {
        ledger->now.books.gaps++;
        ledger->now.books.gaps_unknown += gap.count_unknown;
        ledger->now.books.gap_readings += gap.outstanding;
    }
    if ((error = gap_row_write(ledger, &gap)) != LEDGER_OK)
        return error;
    return gap_parts_write(ledger, gap.id, parts, gap.part_count);
}

/* The row stays, for the record was received; it only stops counting. */
int ledger_gap_settle(struct ledger *ledger, struct ledger_id id)
{
    uint8_t key[ENTRY_KEY_SIZE], row[GAP_ROW_SIZE];
    struct db_span value;
    int error;

    entry_key(id, key);
    if ((error = db_get(ledger, DB_GAPS, key, sizeof(key), &value)) != LEDGER_OK)
        return error;
    memcpy(row, value.bytes, sizeof(row));
    if ((row[1] & GAP_FLAG_SETTLED) != 0)
        return LEDGER_OK;
    ledger->now.books.gaps--;
    ledger->now.books.gaps_unknown -= row[1] & GAP_FLAG_UNKNOWN;
    ledger->now.books.gap_readings -= get64(row + GAP_OUTSTANDING_AT);
    row[1] = GAP_FLAG_SETTLED;
    (void)put64(row + GAP_OUTSTANDING_AT, 0);
    return db_put(ledger, DB_GAPS, key, sizeof(key), row, sizeof(row));
}

/* All gaps in order of source and seq, settled ones too: they carry the mark. */
int ledger_gaps(struct ledger *ledger, struct ledger_cursor *cursor,
                struct ledger_gap *out, int max)
{
    struct db_span found, row;
    int n = 0, step = 0;

    while (n < max &&
           (step = cursor_step(ledger, DB_GAPS, NULL, 0, cursor, &found, &row)) > 0) {
        struct ledger_id id = {get32(found.bytes), get64(found.bytes + 4)};

        if (found.size == GAP_PART_KEY_SIZE)
            continue;
        if (!gap_row_read(id, row, &out[n++]))
            return ledger_fail(ledger, LEDGER_DAMAGED, "a gap of wrong size");
    }
    return step < 0 ? step : n;
}
