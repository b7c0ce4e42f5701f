/* SPDX-License-Identifier: Apache-2.0
 *
 * A copy of the ledger while the service runs, and what a copy means when it is put back.
 *
 * A ledger that was put back does not know the ADT messages that came after the copy was
 * made: a patient who moved since then would get the next one's readings. So a copy
 * carries the instant of its making, and readings measured later are held
 * (MATCH_OLD_CENSUS) until a person says that the PAS has told everything again.
 */
#ifndef CHART_BACKUP_H
#define CHART_BACKUP_H

#include "chart/ledger.h"

struct backup_report {
    int64_t made_us; /* readings measured later will be held once it is put back */
    uint64_t bytes, readings, adt;
};

/* Makes `to` (a folder that must not exist) with a copy of the last commit, opened and
 * counted row by row before it gets its name: what can't be read back is no backup. The
 * service may run, but in another process: LMDB allows one opening of a file in each. The
 * key is not copied and must be kept apart. options: of the ledger in use. Returns a
 * ledger_error with its words. */
int backup_make(const struct ledger_options *options, const char *to, int64_t now_us,
                struct backup_report *report, char error[LEDGER_ERROR_SIZE]);

/* When the copy was made that this ledger was put back from; 0: it was not, or a person
 * has said that the census is whole. *us is set only with LEDGER_OK. */
int backup_made_us(struct ledger *ledger, int64_t *us);

/* The census is whole again. Inside a batch. */
int backup_forget(struct ledger *ledger);

#endif
