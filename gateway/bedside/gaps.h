/* SPDX-License-Identifier: Apache-2.0
 *
 * Silence is data (P7): one tracker a device turns what did not come into gap records, so
 * that served = decoded + inside a gap. Pure: time blocks and events in, gaps out.
 *
 * A gap record is written when the gap opens (to absent, count unknown) if it may last,
 * and always when it closes (from, to, count if it can be known). Readers take the
 * closing one for the opening one with the same `from`.
 */
#ifndef BEDSIDE_GAPS_H
#define BEDSIDE_GAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/record.h"

#define GAPS_OUT_MAX 4 /* gaps one call may give */

struct gaps_config {
    uint64_t
        silence_us; /* no reading for this long opens a DEVICE_SILENT gap; 0: never */
    uint32_t
        sample_bits; /* width of the device's sample counter, 1..64; it wraps. 0: 64 */
};

struct gaps { /* filled by gaps_init */
    struct gaps_config config;
    wardgate_TimeBlock last; /* of the last reading */
    uint64_t last_sample,
        since_us; /* since_us: monotonic of the last reading, or of gaps_init */
    uint64_t lost, lost_reason; /* given up and not yet in a gap */
    wardgate_TimeBlock lost_from, lost_to;
    bool has_last, has_sample, restarted, open, lost_unknown;
    uint8_t open_reason; /* wardgate_Gap_Reason of the open gap */
};

struct gaps_out {
    wardgate_Gap items[GAPS_OUT_MAX];
    int count;
};

/* now_us: monotonic. */
void gaps_init(struct gaps *gaps, const struct gaps_config *config, uint64_t now_us);

/* What the store remembers of this device from before the start; the first reading then
 * closes a RESTART gap. NULL time: the device is new, there is nothing to account for. */
void gaps_restart(struct gaps *gaps, const wardgate_TimeBlock *last, bool has_sample,
                  uint64_t sample);

enum gaps_verdict {
    GAPS_NEW,    /* store it, after the gaps in out */
    GAPS_REPEAT, /* the device repeats its last sample: not a new reading */
};

/* A reading has come. The sample counter, where there is one, says exactly how many were
 * missed: a jump is a gap with its count, a repeat is not a reading. */
enum gaps_verdict gaps_reading(struct gaps *gaps, const wardgate_TimeBlock *time,
                               bool has_sample, uint64_t sample, struct gaps_out *out);

/* Readings that could not be kept (batch full, store shut), after gaps_reading saw them;
 * or that the line missed, of a device without a sample counter. Counted here, given with
 * the next gaps_flush or gaps_reading. */
void gaps_lost(struct gaps *gaps, wardgate_Gap_Reason reason, uint64_t count,
               const wardgate_TimeBlock *time);
/* What was lost last lies before this time. */
void gaps_lost_until(struct gaps *gaps, const wardgate_TimeBlock *time);
/* A gap that could not be stored: it becomes part of what is lost. */
void gaps_again(struct gaps *gaps, const wardgate_Gap *gap);
bool gaps_has_lost(const struct gaps *gaps);
void gaps_flush(struct gaps *gaps, struct gaps_out *out);

/* Time passes: opens DEVICE_SILENT when due. now is the time block of this moment. */
void gaps_tick(struct gaps *gaps, const wardgate_TimeBlock *now, struct gaps_out *out);

/* The line itself is gone (BUS_DOWN), the identity changed and readings are held
 * (IDENTITY), the device was taken out of the configuration or the program stops
 * (STOPPED): opens a gap at once unless one is open. */
void gaps_open(struct gaps *gaps, wardgate_Gap_Reason reason,
               const wardgate_TimeBlock *now, struct gaps_out *out);

/* Monotonic time of the next gaps_tick that may do something; UINT64_MAX if none. */
uint64_t gaps_due_us(const struct gaps *gaps);

#endif
