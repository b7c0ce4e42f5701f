/* SPDX-License-Identifier: Apache-2.0
 *
 * What intake's files share: taking records (intake.c), gaps (intake_gap.c), receipts
 * (intake_receipt.c), new times (intake_retime.c).
 */
#ifndef CHART_INTAKE_INTERNAL_H
#define CHART_INTAKE_INTERNAL_H

#include "chart/intake.h"
#include "chart/ledger_log.h"
#include "wire/gap_devices.h"

/* What is to be said to one source. */
struct intake_due {
    uint32_t source;
    /* of the open batch: not yet true */
    struct ranges fresh;
    /* committed: to be receipted */
    struct ranges ready;
    bool resend_fresh, resend;
    /* with either of them */
    uint64_t resend_from;
    /* oldest missing seq at its last state, 0 = none */
    uint64_t hole;
    /* by the open batch */
    bool touched;
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
    /* committed; of the open batch */
    struct intake_counts counts, batch;
    /* index = source - 1 */
    struct intake_due *dues;
    /* due_next: where intake_receipt goes on */
    uint32_t due_count, due_next;
    struct fix_cache fixes;
    /* the piece of work under way, derived from the ledger */
    struct retime {
        bool loaded, any;
        uint8_t key[LEDGER_KEY_MAX];
        size_t key_size;
        struct ledger_cursor untimed;
        uint64_t at;
        int phase;
    } retime;
    /* too large for a stack that others share */
    wardgate_Record record;
    uint8_t bytes[RECORD_SIZE_MAX];
    struct gap_devices devices;
    struct ledger_gap_part parts[GAP_DEVICES_MAX];
};

void intake_event(struct intake *intake, const char *gateway, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* intake.c: the ledger's numbers of a device and its place; 0 for an empty text. */
int intake_names(struct intake *intake, const char *gateway, const char *id,
                 const char *at, uint32_t *device, uint32_t *place);

/* intake_gap.c: enters a stored gap record. Its bytes are in new: a list of devices is
 * there only. */
int intake_gap(struct intake *intake, const char *gateway,
               const struct ledger_entry *entry, const wardgate_Gap *wire,
               const struct ledger_new *new);

/* intake_receipt.c. intake_due: NULL when out of memory; the others return LEDGER_IO
 * then. */
struct intake_due *intake_due(struct intake *intake, uint32_t source);
int intake_due_add(struct intake *intake, uint32_t source, uint64_t first, uint64_t last);
int intake_due_resend(struct intake *intake, uint32_t source, uint64_t from);

/* intake_retime.c */
int intake_fixes(struct intake *intake, uint32_t gateway, uint64_t boot,
                 uint64_t monotonic_us, const struct timebase_fixes **fixes);
/* Enters a stored clock fix record; makes the work that follows from it. */
int intake_fix(struct intake *intake, const struct ledger_entry *entry,
               const wardgate_ClockFix *fix);

#endif
