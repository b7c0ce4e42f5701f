/* SPDX-License-Identifier: Apache-2.0
 *
 * What is missing of which device (P7): one line for each device, place and reason, from
 * the newest gaps of every gateway. Nothing can be decided about these readings; a ward
 * must see that they do not exist, an engineer where.
 */
#ifndef CHART_LOSSES_H
#define CHART_LOSSES_H

#include "chart/ledger_log.h"

#define LOSSES_GAPS_MAX 256   /* newest gaps looked at of each source */
#define LOSSES_ROWS_MAX 65536 /* gaps and parts in all: bounds the work of one answer */

struct loss_line {
    uint32_t gateway;        /* the ledger's numbers; device 0: it can't be named, then */
    uint32_t device, place;  /* only the gateway is known */
    uint8_t reason;          /* wardgate_Gap_Reason */
    bool and_more;           /* and an unknown number more */
    uint64_t readings, gaps; /* still missing; gap records that say so */
    int64_t from_us, to_us;  /* as the gateways had it; both 0: not known */
    int64_t received_us;     /* the newest of them */
};

/* Gives each line to visit, the newest first, at most `most`. Returns how many there are,
 * or an error of the ledger. *older (not NULL) is set if some source has gaps that were
 * not looked at. */
int losses_each(struct ledger *ledger, int most,
                void (*visit)(void *context, const struct loss_line *line), void *context,
                bool *older);

/* "store-full", "restart"...; "unknown" for a reason that this version does not know. */
const char *loss_reason_name(uint8_t reason);

#endif
