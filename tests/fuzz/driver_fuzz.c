/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial driver (FUZZ_DRIVER) fed arbitrary bytes: no observation that breaks
 * observation.h.
 */
#include "driver_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_set(void *context, const struct observation_set *set)
{
    struct seen *seen = context;

    must(set->count >= 1 && set->count <= OBSERVATIONS_MAX);
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        must(o->code != 0 && o->kind <= OBSERVATION_TEXT);
        if (o->kind == OBSERVATION_ABSENT)
            must(o->mantissa == 0 && o->coded == 0);
        else
            must(!(o->quality & (QUALITY_SENSOR_OFF | QUALITY_INVALID)));
        seen->digest = seen->digest * 31 + (uint64_t)o->mantissa * 8 + o->quality;
    }
    if (set->device_time.present)
        must(set->device_time.month >= 1 && set->device_time.month <= 12 &&
             set->device_time.day >= 1 && set->device_time.day <= 31);
    seen->sets++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    feed_both(driver_by_name(FUZZ_DRIVER), data, size);
    return 0;
}
