/* SPDX-License-Identifier: Apache-2.0
 *
 * When was it? From a reading's time block and the clock fixes of its boot to an interval
 * of UTC. Pure.
 *
 * - SYNCED or HOLDOVER, no fix speaks against it: utc +- uncertainty.
 * - UNKNOWN: re-based from the nearest fix, its uncertainty widened by TIMEBASE_DRIFT_PPM
 * of the distance; between two fixes, what both allow.
 * - A stamp that no fix can agree with, or fixes of one boot that contradict each other:
 *   the board's clock was set while it believed itself synchronised, and nobody can say
 *   which side of that was right. The smallest interval that covers the stamp and all
 *   fixes of the boot is used, so that a reading is charted only if either time puts it
 * in the same stay. Wider than LEDGER_SPAN_MAX_US: TIMEBASE_DISPUTED, held.
 * - No fix for that boot: TIMEBASE_UNKNOWN, held. From the device's memory:
 * TIMEBASE_STORED, held.
 */
#ifndef CHART_TIMEBASE_H
#define CHART_TIMEBASE_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/record.h"

#define TIMEBASE_DRIFT_PPM                                                               \
    100 /* what a board's crystal may be off, without discipline                         \
         */

/* "at this monotonic time of this boot it was this UTC" */
struct timebase_fix {
    uint64_t monotonic_us;
    int64_t utc_us;
    uint32_t uncertainty_ms;
};

/* what is known of one boot, around one monotonic time */
struct timebase_fixes {
    bool has_before, has_after;
    /* the nearest ones */
    struct timebase_fix before, after;
    /* some fixes of this boot can't both be true; then: */
    bool contradicted;
    /* all they say of UTC minus monotonic */
    int64_t offset_low_us, offset_high_us;
};

/* Can both be true, the crystal being off by no more than TIMEBASE_DRIFT_PPM? */
bool timebase_agree(const struct timebase_fix *a, const struct timebase_fix *b);

/* Widens offset_low_us..offset_high_us to take in what a fix says. */
void timebase_offsets(const struct timebase_fix *fix, int64_t *low_us, int64_t *high_us);

enum timebase_verdict {
    /* the reading's own UTC, uncontradicted */
    TIMEBASE_STAMP,
    /* by a clock fix */
    TIMEBASE_REBASED,
    /* stamp and fix disagree; the interval covers both */
    TIMEBASE_WIDENED,
    /* held: no fix */
    TIMEBASE_UNKNOWN,
    /* held: stamp and fix are too far apart, or fixes contradict each other */
    TIMEBASE_DISPUTED,
    /* held: the device's own clock is all there is */
    TIMEBASE_STORED,
};

struct timebase_interval {
    enum timebase_verdict verdict;
    /* false: the rest is 0 */
    bool known;
    /* inclusive; at most LEDGER_SPAN_MAX_US apart */
    int64_t low_us, high_us;
};

/* time may be NULL (a record without one): TIMEBASE_UNKNOWN. fixes may be NULL. */
void timebase_resolve(const wardgate_TimeBlock *time, const struct timebase_fixes *fixes,
                      struct timebase_interval *out);

/* The same for a reading that has an interval already, when more fixes are known: *out is
 * that interval if they allow it, else one that covers both. */
void timebase_review(int64_t low_us, int64_t high_us, uint64_t monotonic_us,
                     const struct timebase_fixes *fixes, struct timebase_interval *out);

/* Why such a reading is held: a ledger_reason, LEDGER_REASON_NONE if its time is known.
 */
uint8_t timebase_reason(enum timebase_verdict verdict);

#endif
