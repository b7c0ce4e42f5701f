/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the ledger: seqs that gap records stand for.
 */
#ifndef CHART_LEDGER_GAP_H
#define CHART_LEDGER_GAP_H

#include "chart/ledger_db.h"

/* A seq was received that a gap may stand for: takes it out of the gap again. */
int gap_reclaim(struct ledger *ledger, struct source_slot *slot, uint64_t seq,
                bool reading);

/* The first replaced stretch that ends at or above from. */
int gap_range_next(struct ledger *ledger, uint32_t source, uint64_t from,
                   struct range *out);

#endif
