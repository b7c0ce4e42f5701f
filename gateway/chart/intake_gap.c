/* SPDX-License-Identifier: Apache-2.0
 *
 * Gap records. One that may last is written when it opens, without an end or a count, and
 * again when it closes: two records of one silence, known by device and beginning. The
 * closing one says all; the two may come in either order.
 */
#include <stdlib.h>
#include <string.h>

#include "chart/intake_internal.h"

#define MARK_PREFIX_SIZE 4
#define MARK_KEY_SIZE    (MARK_PREFIX_SIZE + 4 + 8 + 8)
#define MARK_VALUE_SIZE  (1 + 4 + 8)

static const uint8_t mark_prefix[MARK_PREFIX_SIZE] = {'g', 'a', 'p', '/'};

enum mark_kind { MARK_OPEN = 'o', MARK_CLOSED = 'c' };

/* Values are big-endian like every key of the ledger: one that is copied by hand
 * can be read. */
static void be(uint8_t *at, uint64_t v, int n)
{
    for (int i = n - 1; i >= 0; i--, v >>= 8)
        at[i] = (uint8_t)v;
}

/* The reverse of be(). */
static uint64_t from_be(const uint8_t *at, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++)
        v = v << 8 | at[i];
    return v;
}

/* What was noted of this silence before: 0 = nothing, else a mark_kind and its record. */
static int mark_read(struct intake *intake, const uint8_t *key, int *kind,
                     struct ledger_id *id)
{
    uint8_t *value;
    size_t n;
    int error = ledger_value_get(intake->ledger, key, MARK_KEY_SIZE, &value, &n);

    *kind = 0;
    if (error != LEDGER_OK)
        return error == LEDGER_NOT_FOUND || error == LEDGER_DAMAGED ? LEDGER_OK : error;
    if (n == MARK_VALUE_SIZE) {
        *kind = value[0];
        *id = (struct ledger_id){(uint32_t)from_be(value + 1, 4), from_be(value + 5, 8)};
    }
    free(value);
    return LEDGER_OK;
}

/* Remembers one of the two records of a silence under what both share: the device
 * and where the silence began. */
static int mark_write(struct intake *intake, const uint8_t *key, enum mark_kind kind,
                      struct ledger_id id)
{
    uint8_t value[MARK_VALUE_SIZE];

    value[0] = (uint8_t)kind;
    be(value + 1, id.source, 4);
    be(value + 5, id.seq, 8);
    return ledger_value_put(intake->ledger, key, MARK_KEY_SIZE, value, sizeof(value));
}

/* Finds the other record of the same silence and lets the closing one speak for both. */
static int pair(struct intake *intake, const struct ledger_entry *entry,
                const wardgate_Gap *gap)
{
    uint8_t key[MARK_KEY_SIZE];
    struct ledger_id other = {0, 0};
    enum mark_kind mine = gap->has_to ? MARK_CLOSED : MARK_OPEN;
    int error, kind;

    /* Gaps of evicted records and of the store itself are told once. */
    if (!gap->has_from || entry->device == 0 || gap->from_seq != 0)
        return LEDGER_OK;
    memcpy(key, mark_prefix, MARK_PREFIX_SIZE);
    be(key + MARK_PREFIX_SIZE, entry->device, 4);
    be(key + MARK_PREFIX_SIZE + 4, gap->from.boot, 8);
    be(key + MARK_PREFIX_SIZE + 12, gap->from.monotonic_us, 8);
    if ((error = mark_read(intake, key, &kind, &other)) != LEDGER_OK)
        return error;
    if (mine == MARK_OPEN && kind == 0)
        return mark_write(intake, key, MARK_OPEN, entry->id);
    if (mine == MARK_OPEN) /* closed already, or opened twice */
        return ledger_gap_settle(intake->ledger, entry->id);
    if (kind == MARK_OPEN &&
        (error = ledger_gap_settle(intake->ledger, other)) != LEDGER_OK &&
        error != LEDGER_NOT_FOUND)
        return error;
    return mark_write(intake, key, MARK_CLOSED, entry->id);
}

/* The part of a device and place, made if there is none. A list that names one twice is
 * odd, and no reason to lose a count. */
static struct ledger_gap_part *part_of(struct intake *intake, size_t *n, uint32_t device,
                                       uint32_t place)
{
    for (size_t i = 0; i < *n; i++)
        if (intake->parts[i].device == device && intake->parts[i].place == place)
            return &intake->parts[i];
    intake->parts[*n] = (struct ledger_gap_part){.device = device, .place = place};
    return &intake->parts[(*n)++];
}

/* Whose readings a gap stands for, by the ledger's numbers. The record's rules hold:
 * record_decode saw to them. */
static int parts_take(struct intake *intake, const char *gateway,
                      const struct ledger_new *new, struct ledger_gap *gap)
{
    size_t n = 0;

    (void)gap_devices_read(new->record, new->size, &intake->devices);
    for (size_t i = 0; i < intake->devices.count; i++) {
        const wardgate_GapDevice *told = &intake->devices.items[i];
        struct ledger_gap_part *part;
        uint32_t device, place;
        int error = intake_names(intake, gateway, told->id, told->place, &device, &place);

        if (error != LEDGER_OK)
            return error;
        part = part_of(intake, &n, device, place);
        part->count += told->count;
        part->count_unknown = part->count_unknown || told->count_unknown;
        part->undated = part->undated || told->undated;
        part->first_us = told->first_utc_us;
        part->last_us = told->last_utc_us;
        part->uncertainty_ms = told->uncertainty_ms;
    }
    gap->parts = intake->parts;
    gap->part_count = n;
    return LEDGER_OK;
}

/* Enters a gap record into the accounts. What it says of its own count is believed
 * even when its seqs can't be: a count that is too high is looked into, one that
 * is dropped is not. */
int intake_gap(struct intake *intake, const char *gateway,
               const struct ledger_entry *entry, const wardgate_Gap *wire,
               const struct ledger_new *new)
{
    struct ledger_gap gap = {
        .id = entry->id,
        .reason = (uint8_t)wire->reason,
        .count_unknown = wire->count_unknown,
        .count = wire->count,
        .seqs = {wire->from_seq, wire->to_seq},
        .device = entry->device,
        .place = entry->place,
        .received_us = entry->received_us,
    };
    int error = parts_take(intake, gateway, new, &gap);

    if (error != LEDGER_OK)
        return error;
    error = ledger_gap_add(intake->ledger, &gap);
    if (error == LEDGER_INVALID) {
        /* The gap itself is believed; what it says of seqs that it can't stand for is
         * not. */
        intake->batch.malformed++;
        intake_event(intake, gateway, "a gap claims records from its own future");
        gap.seqs = (struct range){0, 0};
        error = ledger_gap_add(intake->ledger, &gap);
    }
    return error == LEDGER_OK ? pair(intake, entry, wire) : error;
}
