/* SPDX-License-Identifier: Apache-2.0
 *
 * What intake's files share: taking records (intake.c), gaps (intake_gap.c), receipts
 * (intake_receipt.c), new times (intake_retime.c).
 */
#ifndef CHART_INTAKE_INTERNAL_H
#define CHART_INTAKE_INTERNAL_H

#include "chart/intake.h"
#include "chart/ledger_log.h"

/* What is to be said to one source. */
struct intake_due {
    uint32_t source;
    struct ranges fresh; /* of the open batch: not yet true */
    struct ranges ready; /* committed: to be receipted */
    bool resend_fresh, resend;
    uint64_t resend_from; /* with either of them */
    uint64_t hole;        /* oldest missing seq at its last state, 0 = none */
    bool touched;         /* by the open batch */
};

/* The fixes around the last monotonic time asked for: good from low to below high. */
struct fix_cache {
    uint32_t gateway;
    uint64_t boot, low, high;
    struct timebase_fixes fixes;
    bool valid;
};

struct intake {
    struct ledger *ledger;
    struct intake_hooks hooks;
    struct intake_counts counts, batch; /* committed; of the open batch */
    struct intake_due *dues;            /* index = source - 1 */
    uint32_t due_count, due_next;       /* due_next: where intake_receipt goes on */
    struct fix_cache fixes;
    struct retime { /* the piece of work under way, derived from the ledger */
        bool loaded, any;
        uint8_t key[LEDGER_KEY_MAX];
        size_t key_size;
        struct ledger_cursor untimed;
        uint64_t at;
        int phase;
    } retime;
    wardgate_Record record; /* too large for a stack that others share */
    uint8_t bytes[RECORD_SIZE_MAX];
};

void intake_event(struct intake *intake, const char *gateway, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* intake_gap.c: enters a stored gap record. */
int intake_gap(struct intake *intake, const char *gateway,
               const struct ledger_entry *entry, const wardgate_Gap *wire);

/* intake_receipt.c. Both return 0 or LEDGER_IO (out of memory). */
struct intake_due *intake_due(struct intake *intake,
                              uint32_t source); /* NULL: out of memory */
int intake_due_add(struct intake *intake, uint32_t source, uint64_t first, uint64_t last);
int intake_due_resend(struct intake *intake, uint32_t source, uint64_t from);

/* intake_retime.c */
int intake_fixes(struct intake *intake, uint32_t gateway, uint64_t boot,
                 uint64_t monotonic_us, const struct timebase_fixes **fixes);
/* Enters a stored clock fix record; makes the work that follows from it. */
int intake_fix(struct intake *intake, const struct ledger_entry *entry,
               const wardgate_ClockFix *fix);

#endif
