/* SPDX-License-Identifier: Apache-2.0
 *
 * See aged.h.
 */
#include "bedside/aged.h"

void aged_time(const struct stamp *stamp, uint64_t at_us, uint64_t age_us,
               wardgate_TimeBlock *time)
{
    uint64_t drift_ms = age_us / (1000000 / STAMP_DRIFT_PPM) / 1000 + 1;

    if (age_us < at_us) {
        stamp_time(stamp, at_us - age_us, time);
    } else {
        stamp_time(stamp, at_us, time);
        time->monotonic_us = 0;
        time->utc_us -= (int64_t)age_us;
        /* No boot is 0 on the wire: one that no clock fix will ever name. */
        if (time->sync == wardgate_TimeBlock_Sync_UNKNOWN)
            time->boot = ~time->boot != 0 ? ~time->boot : 1;
    }
    if (age_us > 0 && time->sync != wardgate_TimeBlock_Sync_UNKNOWN)
        time->uncertainty_ms += (uint32_t)(drift_ms < UINT32_MAX ? drift_ms : UINT32_MAX);
}
