/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/timebase.h"

#include "chart/ledger.h"

struct interval {
    int64_t low, high;
};

/* Both are below 2^56, so the difference fits in either type. */
static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* utc +- uncertainty at a monotonic time, as one fix sees it. record.h bounds both
 * clocks, so nothing overflows. */
static struct interval rebase(const struct timebase_fix *fix, uint64_t monotonic_us)
{
    uint64_t far = distance(fix->monotonic_us, monotonic_us);
    int64_t middle =
        fix->utc_us + (monotonic_us >= fix->monotonic_us ? (int64_t)far : -(int64_t)far);
    /* Rounded up: an interval may be a microsecond too wide, never too narrow. */
    int64_t wide = (int64_t)fix->uncertainty_ms * 1000 +
                   (int64_t)(far / (1000000 / TIMEBASE_DRIFT_PPM)) + 1;

    return (struct interval){middle - wide, middle + wide};
}

/* True if some instant is in both. */
static bool meet(struct interval a, struct interval b)
{
    return a.low <= b.high && b.low <= a.high;
}

/* Of two that meet. */
static struct interval common(struct interval a, struct interval b)
{
    return (struct interval){a.low > b.low ? a.low : b.low,
                             a.high < b.high ? a.high : b.high};
}

/* The smallest that holds both: if each of two may be right, the truth is in here. */
static struct interval cover(struct interval a, struct interval b)
{
    return (struct interval){a.low < b.low ? a.low : b.low,
                             a.high > b.high ? a.high : b.high};
}

/* An interval too wide to chart by is no interval: it would lie in no stay, and a
 * search by time would have to reach back further for it than for all others. */
static void settle(struct timebase_interval *out, enum timebase_verdict verdict,
                   struct interval is)
{
    if (is.high - is.low > LEDGER_SPAN_MAX_US) {
        out->verdict = verdict == TIMEBASE_WIDENED ? TIMEBASE_DISPUTED : TIMEBASE_UNKNOWN;
        return;
    }
    *out = (struct timebase_interval){verdict, true, is.low, is.high};
}

/* Each is carried to the other's time with the drift of the way between, so a far
 * pair is given more room than a near one. */
bool timebase_agree(const struct timebase_fix *a, const struct timebase_fix *b)
{
    return meet(rebase(a, b->monotonic_us), rebase(b, b->monotonic_us));
}

/* UTC minus monotonic would be a constant if the clock were perfect; how far the
 * fixes of a boot disagree about it is how far its stamps can't be trusted. */
void timebase_offsets(const struct timebase_fix *fix, int64_t *low_us, int64_t *high_us)
{
    struct interval is = rebase(fix, fix->monotonic_us);
    int64_t low = is.low - (int64_t)fix->monotonic_us,
            high = is.high - (int64_t)fix->monotonic_us;

    *low_us = low < *low_us ? low : *low_us;
    *high_us = high > *high_us ? high : *high_us;
}

/* What the fixes of the boot say; false if there are none. */
static bool by_fixes(const struct timebase_fixes *fixes, uint64_t monotonic_us,
                     struct interval *out)
{
    struct interval before, after;

    if (fixes == NULL || (!fixes->has_before && !fixes->has_after))
        return false;
    if (fixes->has_before)
        *out = before = rebase(&fixes->before, monotonic_us);
    if (fixes->has_after)
        *out = after = rebase(&fixes->after, monotonic_us);
    /* Two fixes that agree are better than one; two that don't may each be right. */
    if (fixes->has_before && fixes->has_after)
        *out = meet(before, after) ? common(before, after) : cover(before, after);
    /* Somewhere in this boot the clock was set. A reading may lie on either side of
     * that, whatever its neighbours say. */
    if (fixes->contradicted) {
        struct interval all = {(int64_t)monotonic_us + fixes->offset_low_us,
                               (int64_t)monotonic_us + fixes->offset_high_us};
        *out = cover(*out, all);
    }
    return true;
}

/* Never narrows: an interval may have been charted by, and a wider one is the only
 * honest change. Reviewing twice gives the same. */
void timebase_review(int64_t low_us, int64_t high_us, uint64_t monotonic_us,
                     const struct timebase_fixes *fixes, struct timebase_interval *out)
{
    struct interval is = {low_us, high_us}, fixed;

    *out = (struct timebase_interval){.verdict = TIMEBASE_UNKNOWN};
    if (by_fixes(fixes, monotonic_us, &fixed) &&
        (fixes->contradicted || !meet(is, fixed)))
        settle(out, TIMEBASE_WIDENED, cover(is, fixed));
    else
        settle(out, TIMEBASE_STAMP, is);
}

/* A stamp is an interval that is reviewed at once; an unknown clock has nothing
 * but fixes; a device's memory has nothing at all. */
void timebase_resolve(const wardgate_TimeBlock *time, const struct timebase_fixes *fixes,
                      struct timebase_interval *out)
{
    struct interval fixed;

    *out = (struct timebase_interval){.verdict = TIMEBASE_UNKNOWN};
    if (time == NULL)
        return;
    if (time->stored) {
        out->verdict = TIMEBASE_STORED;
    } else if (time->sync != wardgate_TimeBlock_Sync_UNKNOWN) {
        int64_t wide = (int64_t)time->uncertainty_ms * 1000;
        timebase_review(time->utc_us - wide, time->utc_us + wide, time->monotonic_us,
                        fixes, out);
    } else if (by_fixes(fixes, time->monotonic_us, &fixed)) {
        settle(out, fixes->contradicted ? TIMEBASE_WIDENED : TIMEBASE_REBASED, fixed);
    }
}

/* Every verdict is named, so that the compiler asks about a new one. */
uint8_t timebase_reason(enum timebase_verdict verdict)
{
    switch (verdict) {
    case TIMEBASE_UNKNOWN:
        return LEDGER_TIME_UNKNOWN;
    case TIMEBASE_DISPUTED:
        return LEDGER_TIME_DISPUTED;
    case TIMEBASE_STORED:
        return LEDGER_TIME_STORED;
    case TIMEBASE_STAMP:
    case TIMEBASE_REBASED:
    case TIMEBASE_WIDENED:
        break;
    }
    return LEDGER_REASON_NONE;
}
