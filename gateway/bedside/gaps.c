/* SPDX-License-Identifier: Apache-2.0 */
#include "bedside/gaps.h"

#include <string.h>

/* Silence counts from the beginning: a device that never says anything opens its gap
 * too. */
void gaps_init(struct gaps *gaps, const struct gaps_config *config, uint64_t now_us)
{
    memset(gaps, 0, sizeof(*gaps));
    gaps->config = *config;
    if (gaps->config.sample_bits == 0 || gaps->config.sample_bits > 64)
        gaps->config.sample_bits = 64;
    gaps->since_us = now_us;
}

/* No gap is opened yet: the device may be silent for ever, and DEVICE_SILENT says
 * that. The first reading closes what began at the last one before the start. */
void gaps_restart(struct gaps *gaps, const wardgate_TimeBlock *last, bool has_sample,
                  uint64_t sample)
{
    if (last == NULL)
        return;
    gaps->last = *last;
    gaps->has_last = gaps->restarted = true;
    gaps->has_sample = has_sample;
    gaps->last_sample = sample;
}

/* At most four can come of one call; a fifth would write over the fourth rather than
 * past the end. */
static wardgate_Gap *add(struct gaps_out *out, wardgate_Gap_Reason reason)
{
    wardgate_Gap *gap =
        &out->items[out->count < GAPS_OUT_MAX ? out->count++ : GAPS_OUT_MAX - 1];

    memset(gap, 0, sizeof(*gap));
    gap->reason = reason;
    return gap;
}

static void set_from(wardgate_Gap *gap, const wardgate_TimeBlock *time)
{
    gap->has_from = true;
    gap->from = *time;
}

static void set_to(wardgate_Gap *gap, const wardgate_TimeBlock *time)
{
    gap->has_to = true;
    gap->to = *time;
}

/* How far the device's counter went on, around its width; 0: not at all. */
static uint64_t counted(const struct gaps *gaps, uint64_t sample)
{
    uint64_t mask = gaps->config.sample_bits == 64
                        ? UINT64_MAX
                        : (UINT64_C(1) << gaps->config.sample_bits) - 1;

    return (sample - gaps->last_sample) & mask;
}

/* A counter that seems to go back by less than half its width did not go round: the
 * device began anew. */
static bool went_back(const struct gaps *gaps, uint64_t sample, uint64_t step)
{
    /* What stands above the counter's width names the counting: another one is no jump.
     */
    if (gaps->config.sample_bits < 64 &&
        (sample ^ gaps->last_sample) >> gaps->config.sample_bits != 0)
        return true;
    return step > (UINT64_C(1) << (gaps->config.sample_bits - 1));
}

/* Before anything else that a call gives, so that gaps come in the order of their
 * times. */
void gaps_flush(struct gaps *gaps, struct gaps_out *out)
{
    wardgate_Gap *gap;

    out->count = 0;
    if (!gaps_has_lost(gaps))
        return;
    gap = add(out, (wardgate_Gap_Reason)gaps->lost_reason);
    gap->count = gaps->lost;
    gap->count_unknown = gaps->lost_unknown;
    set_from(gap, &gaps->lost_from);
    set_to(gap, &gaps->lost_to);
    gaps->lost = 0;
    gaps->lost_unknown = false;
}

bool gaps_has_lost(const struct gaps *gaps)
{
    return gaps->lost > 0 || gaps->lost_unknown;
}

/* A stretch of losses is one gap, under the last reason: they mostly have one cause. */
void gaps_lost(struct gaps *gaps, wardgate_Gap_Reason reason, uint64_t count,
               const wardgate_TimeBlock *time)
{
    if (count == 0)
        return;
    if (!gaps_has_lost(gaps))
        gaps->lost_from = *time;
    gaps->lost += count;
    gaps->lost_reason = (uint64_t)reason;
    gaps->lost_to = *time;
}

void gaps_lost_until(struct gaps *gaps, const wardgate_TimeBlock *time)
{
    gaps->lost_to = *time;
}

/* A gap that found no room in the store is not forgotten: its count is carried on
 * until one does. */
void gaps_again(struct gaps *gaps, const wardgate_Gap *gap)
{
    const wardgate_TimeBlock *from = gap->has_from ? &gap->from : &gap->to;
    const wardgate_TimeBlock *to = gap->has_to ? &gap->to : &gap->from;

    if (!gap->has_from && !gap->has_to)
        return; /* from nowhere to nowhere says nothing */
    if (!gaps_has_lost(gaps) || from->monotonic_us < gaps->lost_from.monotonic_us)
        gaps->lost_from = *from;
    if (!gaps_has_lost(gaps) || to->monotonic_us > gaps->lost_to.monotonic_us)
        gaps->lost_to = *to;
    gaps->lost += gap->count;
    gaps->lost_unknown = gaps->lost_unknown || gap->count_unknown;
    gaps->lost_reason = (uint64_t)gap->reason;
}

/* The device's own counter is believed before any clock: it says how many, where time
 * only says how long. Without one an interruption's count is unknown, and without an
 * interruption there is nothing to report. */
enum gaps_verdict gaps_reading(struct gaps *gaps, const wardgate_TimeBlock *time,
                               bool has_sample, uint64_t sample, struct gaps_out *out)
{
    bool both = has_sample && gaps->has_sample,
         interrupted = gaps->open || gaps->restarted;
    uint64_t step = both ? counted(gaps, sample) : 0;
    wardgate_Gap *gap;

    /* After an interruption the same number may be a new sample of a device that was off
     * meanwhile. */
    if (both && step == 0 && !interrupted) {
        out->count = 0;
        gaps->since_us = time->monotonic_us; /* it is there, if it has nothing new */
        return GAPS_REPEAT;
    }
    gaps_flush(gaps, out);
    if (interrupted) {
        gap = add(out, gaps->open ? (wardgate_Gap_Reason)gaps->open_reason
                                  : wardgate_Gap_Reason_RESTART);
        if (gaps->has_last)
            set_from(gap, &gaps->last);
        set_to(gap, time);
        gap->count_unknown = !both || step == 0 || went_back(gaps, sample, step);
        if (!gap->count_unknown)
            gap->count = step - 1;
    } else if (both && step != 1) {
        gap = add(out, wardgate_Gap_Reason_DEVICE_SILENT);
        set_from(gap, &gaps->last);
        set_to(gap, time);
        gap->count_unknown = went_back(gaps, sample, step);
        if (!gap->count_unknown)
            gap->count = step - 1;
    }
    if (both && out->count > 0) {
        out->items[out->count - 1].from_sample = gaps->last_sample;
        out->items[out->count - 1].to_sample = sample;
    }
    gaps->last = *time;
    gaps->has_last = true;
    gaps->has_sample = has_sample;
    gaps->last_sample = sample;
    gaps->since_us = time->monotonic_us;
    gaps->restarted = gaps->open = false;
    return GAPS_NEW;
}

/* One at a time: a device whose bus went down while it was silent is silent since
 * then, and both would count the same readings. */
void gaps_open(struct gaps *gaps, wardgate_Gap_Reason reason,
               const wardgate_TimeBlock *now, struct gaps_out *out)
{
    wardgate_Gap *gap;

    gaps_flush(gaps, out);
    if (gaps->open)
        return;
    gap = add(out, reason);
    gap->count_unknown = true;
    set_from(gap, gaps->has_last ? &gaps->last : now);
    gaps->open = true;
    gaps->open_reason = (uint8_t)reason;
}

void gaps_tick(struct gaps *gaps, const wardgate_TimeBlock *now, struct gaps_out *out)
{
    if (gaps_due_us(gaps) <= now->monotonic_us)
        gaps_open(gaps, wardgate_Gap_Reason_DEVICE_SILENT, now, out);
    else
        gaps_flush(gaps, out);
}

/* An open gap is ended by a reading and not by time. */
uint64_t gaps_due_us(const struct gaps *gaps)
{
    if (gaps->open || gaps->config.silence_us == 0)
        return UINT64_MAX;
    return gaps->since_us + gaps->config.silence_us;
}
