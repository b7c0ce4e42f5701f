/* SPDX-License-Identifier: Apache-2.0
 *
 * Time as wardgate knows it. Only programs read a clock; the core is handed instants.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define US_PER_MS INT64_C(1000)
#define US_PER_S  INT64_C(1000000)

enum clock_sync {                /* same numbers as TimeBlock.Sync on the wire */
                  CLOCK_UNKNOWN, /* utc_us is not to be believed */
                  CLOCK_SYNCED,  /* disciplined now; true time within +- uncertainty */
                  CLOCK_HOLDOVER /* was disciplined in this boot; uncertainty grows with
                                    drift */
};

/* One moment, read once and handed round: all its parts belong together. */
struct instant {
    uint64_t boot;         /* which boot monotonic_us counts from; random, never 0 */
    uint64_t monotonic_us; /* CLOCK_BOOTTIME: goes on during suspend, never steps */
    int64_t utc_us;        /* CLOCK_REALTIME, microseconds since 1970 */
    uint32_t uncertainty_ms;
    enum clock_sync sync;
};

/* Monotonic microseconds (CLOCK_BOOTTIME). */
uint64_t clock_monotonic_us(void);

/* Wall clock, microseconds since 1970. Not to be used for intervals. */
int64_t clock_utc_us(void);

/* The kernel's boot id folded to 64 bits; never 0. */
uint64_t clock_boot(void);

/* Fills *now from one reading of the clocks; synchronisation state and uncertainty come
 * from adjtimex(2) (STA_UNSYNC, maxerror). WARDGATE's own floor and step detection are
 * bedside/stamp.h's. */
void clock_now(struct instant *now);

#endif
