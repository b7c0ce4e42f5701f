/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the ledger: seqs that gap records stand for (ledger_gap.c), and the rows of gaps
 * and of their devices' parts (ledger_gap_row.c), which share a table: a part's key is
 * its gap's with device and place behind, so that they stand together.
 */
#ifndef CHART_LEDGER_GAP_H
#define CHART_LEDGER_GAP_H

#include "chart/ledger_db.h"
#include "chart/ledger_log.h"

#define GAP_ROW_SIZE (2 + 4 * 8 + 2 * 4 + 8)
#define GAP_OUTSTANDING_AT                                                               \
    (GAP_ROW_SIZE - 8) /* last, where it can be rewritten alone                          \
                        */
#define GAP_PART_KEY_SIZE       (ENTRY_KEY_SIZE + 2 * 4)
#define GAP_PART_ROW_SIZE       (1 + 3 * 8 + 4 + 8)
#define GAP_PART_OUTSTANDING_AT (GAP_PART_ROW_SIZE - 8)

/* In the second byte of a gap's row. */
#define GAP_FLAG_UNKNOWN 1
#define GAP_FLAG_SETTLED 2 /* another record says what this one did not know */
#define GAP_FLAG_PARTS   4 /* rows of its devices follow */

/* A record was received that a gap may stand for: takes it out of the gap again. */
int gap_reclaim(struct ledger *ledger, struct source_slot *slot,
                const struct ledger_new *record);

/* The first replaced stretch that ends at or above from. */
int gap_range_next(struct ledger *ledger, uint32_t source, uint64_t from,
                   struct range *out);

/* A gap's row. read gives no parts, but their number is not 0 if there are any; false for
 * a row of wrong size. */
int gap_row_write(struct ledger *ledger, const struct ledger_gap *gap);
bool gap_row_read(struct ledger_id id, struct db_span row, struct ledger_gap *out);

/* The rows of its parts. less takes one reading off the part of a device and place, or
 * off the nameless one; *less is false if neither has any left. */
int gap_parts_write(struct ledger *ledger, struct ledger_id gap,
                    const struct ledger_gap_part *parts, size_t n);
int gap_part_less(struct ledger *ledger, struct ledger_id gap, uint32_t device,
                  uint32_t place, bool *less);

#endif
