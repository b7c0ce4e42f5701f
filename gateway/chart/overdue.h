/* SPDX-License-Identifier: Apache-2.0
 *
 * Records that a gateway has and that never arrive, although newer ones of the same
 * gateway do. Nobody else would say so: a broker leaves out what is larger than the chart
 * service takes without a word to either side, and the gateway offers it again for ever.
 *
 * What is missing is in the ledger; here is only how long it has been. So a restart
 * forgets nothing but that, and the line comes OVERDUE_US later.
 */
#ifndef CHART_OVERDUE_H
#define CHART_OVERDUE_H

#include "chart/ledger.h"

#define OVERDUE_US                                                                       \
    (INT64_C(600) * 1000000) /* newer ones kept arriving for so long: a gateway offers   \
                                again after 30 s, 60 s, 2 min... */
#define OVERDUE_LOOK_US (INT64_C(30) * 1000000) /* between two looks */

struct overdue { /* zero is empty */
    struct overdue_source *sources;
    uint32_t count;
    bool looked;
    int64_t looked_us;
};

struct overdue_line {
    uint32_t source, gateway; /* the ledger's numbers */
    uint64_t first;           /* oldest seq that does not come */
    uint64_t records;         /* how many, of those that were overtaken */
    int64_t age_us;           /* since the oldest was first missed */
};

/* Compares each source with the last look. Does nothing before OVERDUE_LOOK_US have gone
 * by. now_us: monotonic. Returns 0 or an error of the ledger. */
int overdue_look(struct overdue *overdue, struct ledger *ledger, int64_t now_us);

/* Gives a line for each source that has such records. Returns how many. */
int overdue_each(const struct overdue *overdue, struct ledger *ledger, int64_t now_us,
                 void (*visit)(void *context, const struct overdue_line *line),
                 void *context);

void overdue_free(struct overdue *overdue);

#endif
