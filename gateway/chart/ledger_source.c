/* SPDX-License-Identifier: Apache-2.0
 *
 * Sources: which records of a gateway's epoch are here, replaced by gaps, lost, or still
 * to come.
 */
#include "chart/ledger_db.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "chart/ledger_gap.h"

#define SOURCE_ROW_SIZE (4 + EPOCH_SIZE + 6 * 8 + 1)
#define FLAG_DOUBTED    1

/* --- sources --- */

/* NULL for a number that is no source's: numbers come in from callers. */
struct source_slot *source_slot(struct ledger *ledger, uint32_t source)
{
    return source >= 1 && source <= ledger->source_count ? &ledger->sources[source - 1]
                                                         : NULL;
}

/* The copy for an abort is taken at the first change of a batch. Commits write
 * only what was touched. */
struct source_slot *source_touch(struct ledger *ledger, uint32_t source)
{
    struct source_slot *slot = source_slot(ledger, source);

    assert(ledger->batch);
    if (slot != NULL && !slot->dirty) {
        slot->before = slot->row;
        slot->dirty = true;
    }
    return slot;
}

/* Slots move when the array grows: nobody keeps a pointer across a call that may
 * make a source. */
static struct source_slot *source_grow(struct ledger *ledger)
{
    uint32_t capacity = ledger->source_capacity;

    if (ledger->source_count == capacity) {
        struct source_slot *more;

        capacity = capacity == 0 ? 16 : capacity * 2;
        if ((more = realloc(ledger->sources, capacity * sizeof(*more))) == NULL)
            return NULL;
        ledger->sources = more;
        ledger->source_capacity = capacity;
    }
    memset(&ledger->sources[ledger->source_count], 0, sizeof(*ledger->sources));
    return &ledger->sources[ledger->source_count++];
}

/* Found by walking: there are as many as gateways and their epochs, and it is
 * asked once an envelope. */
int ledger_source(struct ledger *ledger, const char *gateway, const struct epoch *epoch,
                  uint32_t *source)
{
    struct source_slot *slot;
    uint32_t name = ledger_name_find(ledger, gateway);
    int error;

    /* Newest epochs are at the end, but an old one may come back with a backlog. */
    for (uint32_t i = 0; name != 0 && i < ledger->source_count; i++) {
        const struct ledger_source *row = &ledger->sources[i].row;
        if (row->gateway == name && epoch_equal(&row->epoch, epoch)) {
            *source = row->source;
            return LEDGER_OK;
        }
    }
    if (!ledger->batch)
        return LEDGER_NOT_FOUND;
    if ((error = ledger_name(ledger, gateway, &name)) != LEDGER_OK)
        return error;
    if ((slot = source_grow(ledger)) == NULL)
        return ledger_fail(ledger, ledger->broken = LEDGER_IO, "out of memory");
    slot->row = (struct ledger_source){.source = ledger->source_count,
                                       .gateway = name,
                                       .epoch = *epoch};
    slot->dirty = true;
    *source = slot->row.source;
    return LEDGER_OK;
}

/* With what is missing worked out: it is a difference, so it can't be stored
 * wrong. */
int ledger_source_get(struct ledger *ledger, uint32_t source, struct ledger_source *out)
{
    struct source_slot *slot = source_slot(ledger, source);

    if (slot == NULL)
        return LEDGER_NOT_FOUND;
    *out = slot->row;
    out->missing = 0;
    if (out->base > 0 && out->head >= out->base)
        out->missing =
            out->head - out->base + 1 - out->received - out->replaced - out->lost;
    return LEDGER_OK;
}

/* They are numbered from 1 to this. */
uint32_t ledger_sources(const struct ledger *ledger)
{
    return ledger->source_count;
}

/* Doubt does not touch readings that are here: they were judged by what was known. */
int ledger_source_doubt(struct ledger *ledger, uint32_t source, bool doubted)
{
    struct source_slot *slot = source_touch(ledger, source);

    if (slot == NULL)
        return LEDGER_NOT_FOUND;
    slot->row.doubted = doubted;
    return LEDGER_OK;
}

/* One read of a small table; a source has as many boots as its board had starts. */
bool ledger_source_has_boot(struct ledger *ledger, uint32_t source, uint64_t boot)
{
    uint8_t key[12];
    struct db_span row;

    (void)put64(put32(key, source), boot);
    return db_get(ledger, DB_BOOTS, key, sizeof(key), &row) == LEDGER_OK;
}

/* The last boot is remembered, so only the first record of a boot costs a read. */
static int boot_take(struct ledger *ledger, struct source_slot *slot, uint64_t boot,
                     uint64_t seq)
{
    uint8_t key[12], first[8];

    if (boot == 0 || slot->boot == boot)
        return LEDGER_OK;
    slot->boot = boot;
    if (ledger_source_has_boot(ledger, slot->row.source, boot))
        return LEDGER_OK;
    (void)put64(put32(key, slot->row.source), boot);
    (void)put64(first, seq);
    return db_put(ledger, DB_BOOTS, key, sizeof(key), first, sizeof(first));
}

/* Base and head only ever move apart. */
void source_reach(struct source_slot *slot, uint64_t seq)
{
    /* A lower seq than any seen: the epoch began earlier than was thought. */
    if (seq > slot->row.head)
        slot->row.head = seq;
    if (slot->row.base == 0 || seq < slot->row.base)
        slot->row.base = seq;
}

/* In the batch the seq goes into a small set in memory; the table is touched once
 * a stretch, at the commit or when somebody asks. */
int source_take(struct ledger *ledger, const struct ledger_new *record)
{
    struct source_slot *slot = source_touch(ledger, record->id.source);
    uint64_t seq = record->id.seq, removed = 0;
    int error = LEDGER_OK;

    if (slot->row.replaced > 0)
        error = gap_reclaim(ledger, slot, record);
    if (error == LEDGER_OK && slot->row.lost > 0)
        error = range_cut(ledger, SET_LOST, record->id.source, (struct range){seq, seq},
                          &removed);
    if (error != LEDGER_OK)
        return error;
    slot->row.lost -= removed;
    ledger->now.books.lost -= removed;
    if (ranges_add(&slot->fresh, seq, seq) != 0)
        return ledger_fail(ledger, ledger->broken = LEDGER_IO, "out of memory");
    slot->row.received++;
    source_reach(slot, seq);
    return boot_take(ledger, slot, record->boot, seq);
}

/* Stretches of this batch into the table. Each is new there, for a seq is only
 * taken once. */
int source_flush(struct ledger *ledger, struct source_slot *slot)
{
    int error = LEDGER_OK;

    for (size_t i = 0; i < slot->fresh.count && error == LEDGER_OK; i++)
        error = range_add(ledger, SET_RECEIVED, slot->row.source, slot->fresh.items[i]);
    slot->fresh.count = 0;
    return error;
}

/* From the top down: a receipt wants the newest. */
int ledger_received(struct ledger *ledger, uint32_t source, struct range *out, int max)
{
    struct source_slot *slot = source_slot(ledger, source);
    uint64_t below = UINT64_MAX;
    int n = 0, error;

    if (slot == NULL)
        return LEDGER_NOT_FOUND;
    if ((error = source_flush(ledger, slot)) != LEDGER_OK)
        return error;
    /* Each search ends before the range just found. */
    while (n < max && (error = range_before(ledger, SET_RECEIVED, source, below,
                                            &out[n])) == LEDGER_OK) {
        below = out[n++].first - 1;
        if (below == 0)
            break;
    }
    return error == LEDGER_OK || error == LEDGER_NOT_FOUND ? n : error;
}

/* Is at accounted for? Then *past is the end of that stretch; if not, *past is where the
 * next begins, or UINT64_MAX. */
static int accounted(struct ledger *ledger, uint32_t source, uint64_t at, bool *yes,
                     uint64_t *past)
{
    uint64_t next = UINT64_MAX;

    *yes = false;
    /* Received, lost, replaced: whoever holds the seq, it need not be waited for. */
    for (int i = 0; i < 3; i++) {
        struct range is;
        int error = i == 2 ? gap_range_next(ledger, source, at, &is)
                           : range_next(ledger, i == 0 ? SET_RECEIVED : SET_LOST, source,
                                        at, &is);
        if (error == LEDGER_NOT_FOUND)
            continue;
        if (error != LEDGER_OK)
            return error;
        if (is.first <= at) {
            *yes = true;
            *past = is.last;
            return LEDGER_OK;
        }
        if (is.first < next)
            next = is.first;
    }
    *past = next;
    return LEDGER_OK;
}

/* Walks from stretch to stretch over what is accounted for, whoever accounts for
 * it, to the first place where nobody does. When all is well that is one step to
 * the head. */
int ledger_missing(struct ledger *ledger, uint32_t source, uint64_t from,
                   struct range *out)
{
    struct source_slot *slot = source_slot(ledger, source);
    uint64_t at = from, past;
    bool yes = true;
    int error;

    if (slot == NULL || slot->row.base == 0)
        return LEDGER_NOT_FOUND;
    if (at < slot->row.base)
        at = slot->row.base;
    if ((error = source_flush(ledger, slot)) != LEDGER_OK)
        return error;
    for (; at <= slot->row.head; at = past + 1) {
        if ((error = accounted(ledger, source, at, &yes, &past)) != LEDGER_OK)
            return error;
        if (!yes) {
            *out =
                (struct range){at, past - 1 < slot->row.head ? past - 1 : slot->row.head};
            return LEDGER_OK;
        }
    }
    return LEDGER_NOT_FOUND;
}

/* A state is believed as far as it adds: a base below ours, a head above ours, a
 * first above ours. So an old one that comes late changes nothing. What lies below
 * first and is not here will not come. */
int ledger_source_state(struct ledger *ledger, uint32_t source, uint64_t base,
                        uint64_t first, uint64_t next, uint64_t *lost)
{
    struct source_slot *slot = source_touch(ledger, source);
    struct range hole = {0, 0};
    int error;

    *lost = 0;
    if (slot == NULL)
        return LEDGER_NOT_FOUND;
    /* Numbers from outside must fit together before they are believed. */
    if (base == 0 || base >= next || next > SEQ_MAX)
        base = 0;
    /* Without being told, a base is only what was seen: the lowest seq received. */
    if (base > 0 && (slot->row.base == 0 || base < slot->row.base))
        slot->row.base = base;
    if (slot->row.base > 0 && slot->row.base < next && next <= SEQ_MAX &&
        next - 1 > slot->row.head)
        slot->row.head = next - 1;
    if (first <= slot->row.first || first > next)
        return LEDGER_OK; /* a late copy of an older state, or none worth believing */
    while ((error = ledger_missing(ledger, source, hole.last + 1, &hole)) == LEDGER_OK &&
           hole.first < first) {
        if (hole.last >= first)
            hole.last = first - 1;
        if ((error = range_add(ledger, SET_LOST, source, hole)) != LEDGER_OK)
            return error;
        *lost += hole.last - hole.first + 1;
    }
    if (error != LEDGER_OK && error != LEDGER_NOT_FOUND)
        return error;
    slot->row.lost += *lost;
    ledger->now.books.lost += *lost;
    slot->row.first = first;
    return LEDGER_OK;
}

/* --- from and to disk --- */

/* They are numbered without holes, so the first that is missing ends them. */
int sources_load(struct ledger *ledger)
{
    uint8_t key[4];
    struct db_span row;
    int error;

    while (ledger->source_count > 0)
        ranges_free(&ledger->sources[--ledger->source_count].fresh);
    for (uint32_t source = 1;; source++) {
        struct source_slot *slot;

        (void)put32(key, source);
        if ((error = db_get(ledger, DB_SOURCES, key, sizeof(key), &row)) != LEDGER_OK)
            return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
        if (row.size != SOURCE_ROW_SIZE)
            return ledger_fail(ledger, LEDGER_VERSION, "source %u: wrong size", source);
        if ((slot = source_grow(ledger)) == NULL)
            return ledger_fail(ledger, LEDGER_IO, "out of memory");
        slot->row.source = source;
        slot->row.gateway = get32(row.bytes);
        memcpy(slot->row.epoch.bytes, row.bytes + 4, EPOCH_SIZE);
        slot->row.base = get64(row.bytes + 20);
        slot->row.head = get64(row.bytes + 28);
        slot->row.first = get64(row.bytes + 36);
        slot->row.received = get64(row.bytes + 44);
        slot->row.replaced = get64(row.bytes + 52);
        slot->row.lost = get64(row.bytes + 60);
        slot->row.doubted = (row.bytes[68] & FLAG_DOUBTED) != 0;
    }
}

/* Only those that the batch has touched. */
int sources_save(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->source_count; i++) {
        struct source_slot *slot = &ledger->sources[i];
        uint8_t key[4], row[SOURCE_ROW_SIZE], *at;
        int error;

        if (!slot->dirty)
            continue;
        if ((error = source_flush(ledger, slot)) != LEDGER_OK)
            return error;
        (void)put32(key, slot->row.source);
        at = put32(row, slot->row.gateway);
        memcpy(at, slot->row.epoch.bytes, EPOCH_SIZE);
        at = put64(put64(put64(at + EPOCH_SIZE, slot->row.base), slot->row.head),
                   slot->row.first);
        at = put64(put64(put64(at, slot->row.received), slot->row.replaced),
                   slot->row.lost);
        (void)put8(at, slot->row.doubted ? FLAG_DOUBTED : 0);
        if ((error = db_put(ledger, DB_SOURCES, key, sizeof(key), row, sizeof(row))) !=
            LEDGER_OK)
            return error;
    }
    return LEDGER_OK;
}

/* After an abort the copies come back, and sources that were made in the batch go.
 * Boots are forgotten with them: the row that knew them was not written. */
void sources_revert(struct ledger *ledger, bool committed)
{
    for (uint32_t i = 0; i < ledger->source_count; i++) {
        struct source_slot *slot = &ledger->sources[i];

        if (!slot->dirty)
            continue;
        slot->dirty = false;
        slot->fresh.count = 0;
        slot->swallowed = 0;
        if (!committed) {
            slot->row = slot->before;
            slot->boot = 0;
        }
    }
    while (!committed && ledger->source_count > ledger->source_before)
        ranges_free(&ledger->sources[--ledger->source_count].fresh);
}
