/* SPDX-License-Identifier: Apache-2.0
 *
 * What else the ledger keeps: the ADT feed as it came, clock fixes, gaps, and small
 * values for others' snapshots. The caveats of ledger.h hold: changes only in a batch,
 * durable after its commit.
 */
#ifndef CHART_LEDGER_LOG_H
#define CHART_LEDGER_LOG_H

#include "chart/ledger.h"
#include "chart/timebase.h"

#define LEDGER_ADT_MAX ((size_t)1024 * 1024) /* bytes of one ADT message */
#define LEDGER_KEY_MAX 200                   /* bytes of a small value's key */

/* Logs one raw ADT message, sealed. key (1..512 bytes) identifies it as its sender does
 * (MSH-3, MSH-4, MSH-10). LEDGER_NEW and LEDGER_CONFLICT append and set *number (1..);
 * LEDGER_SAME sets *number to the earlier one and changes nothing. */
int ledger_adt_append(struct ledger *ledger, const void *key, size_t key_size,
                      const void *raw, size_t n, int64_t received_us, uint64_t *number);

/* Reads one back. *raw is allocated (free it). LEDGER_NOT_FOUND past the end. */
int ledger_adt_read(struct ledger *ledger, uint64_t number, uint8_t **raw, size_t *n,
                    int64_t *received_us);
/* the newest number, 0 = none */
uint64_t ledger_adt_last(const struct ledger *ledger);

/* Drops messages below number: for retention, once a snapshot covers them. Duplicates of
 * dropped ones are still recognised. At most max are dropped; returns how many, or an
 * error. */
int ledger_adt_trim(struct ledger *ledger, uint64_t number, int max);

/* Adds a clock fix of one boot of a gateway (its name's number). LEDGER_SAME: it is there
 * already. LEDGER_CONFLICT: added, and it contradicts its neighbours: all times of that
 * boot are to be reviewed. */
int ledger_fix_add(struct ledger *ledger, uint32_t gateway, uint64_t boot,
                   const struct timebase_fix *fix);

/* What the fixes of a boot say around a monotonic time. */
int ledger_fix_near(struct ledger *ledger, uint32_t gateway, uint64_t boot,
                    uint64_t monotonic_us, struct timebase_fixes *fixes);

/* What one device at one place lost inside a gap that stands for several (P7). */
struct ledger_gap_part {
    /* 0, 0: readings whose device could not be named */
    uint32_t device, place;
    /* that many, and more; some may lie outside first..last */
    bool count_unknown, undated;
    uint64_t count;
    /* measured, as the board had it; both 0 = not known */
    int64_t first_us, last_us;
    uint32_t uncertainty_ms;
    /* kept by the ledger: count less the readings received after all */
    uint64_t outstanding;
};

struct ledger_gap {
    /* the gap record itself */
    struct ledger_id id;
    /* wardgate_Gap_Reason */
    uint8_t reason;
    bool count_unknown;
    /* kept by the ledger: see ledger_gap_settle */
    bool settled;
    /* readings not kept */
    uint64_t count;
    /* records it stands for; first 0 = none */
    struct range seqs;
    uint32_t device, place;
    int64_t received_us;
    /* kept by the ledger: count less the readings received after all */
    uint64_t outstanding;
    /* of several devices: each one's, at most GAP_DEVICES_MAX, no two of one device and
     * place. Given to ledger_gap_add; read by ledger_gap_parts, and part_count then only
     * says whether there are any */
    const struct ledger_gap_part *parts;
    size_t part_count;
};

/* Adds what a stored gap record says to the books; its seqs count as accounted for.
 * Adding it again is harmless. */
int ledger_gap_add(struct ledger *ledger, const struct ledger_gap *gap);

/* A gap that was open (unknown count) has been closed by another record, which says all:
 * it counts for nothing any more. Again is harmless. LEDGER_NOT_FOUND if there is none.
 */
int ledger_gap_settle(struct ledger *ledger, struct ledger_id id);

int ledger_gaps(struct ledger *ledger, struct ledger_cursor *cursor,
                struct ledger_gap *out, int max);

/* The parts of a gap. Returns how many (0 = it is of one device, or of none), or an
 * error. */
int ledger_gap_parts(struct ledger *ledger, struct ledger_id gap,
                     struct ledger_gap_part *out, int max);

/* The newest gap of a source whose seq is below; UINT64_MAX = the newest of all.
 * LEDGER_NOT_FOUND at the end. */
int ledger_gap_before(struct ledger *ledger, uint32_t source, uint64_t below,
                      struct ledger_gap *out);

/* Small values under binary keys, sealed: census snapshots, positions, settings made at
 * run time. */
int ledger_value_put(struct ledger *ledger, const void *key, size_t key_size,
                     const void *value, size_t n);
int ledger_value_drop(struct ledger *ledger, const void *key,
                      /* absent is fine */
                      size_t key_size);
/* *value is allocated (free it). */
int ledger_value_get(struct ledger *ledger, const void *key, size_t key_size,
                     uint8_t **value, size_t *n);
/* The next key after key (key_size 0 = from the start of prefix) that begins with prefix.
 * next has LEDGER_KEY_MAX bytes. LEDGER_NOT_FOUND at the end. */
int ledger_value_next(struct ledger *ledger, const void *prefix, size_t prefix_size,
                      const void *key, size_t key_size, uint8_t *next, size_t *next_size);

#endif
