/* SPDX-License-Identifier: Apache-2.0
 *
 * A Nonin format (FUZZ_DRIVER) fed arbitrary bytes: no set outside the protocol.
 */
#include <string.h>

#include "driver_feed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_set(void *context, const struct observation_set *set)
{
    struct seen *seen = context;

    must(set->count == 2);
    must(!set->stored || strcmp(FUZZ_DRIVER, "nonin-df13") == 0);
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        must(o->kind == OBSERVATION_NUMERIC || o->kind == OBSERVATION_ABSENT);
        must(o->exponent == 0 && o->unit != 0);
        if (o->kind == OBSERVATION_ABSENT)
            must(o->mantissa == 0);
        else
            must(o->mantissa >= 1 && o->mantissa <= (i ? 100 : 510) &&
                 !(o->quality & (QUALITY_SENSOR_OFF | QUALITY_INVALID)));
        seen->digest = seen->digest * 31 + (uint64_t)o->mantissa * 8 + o->quality;
    }
    if (set->device_time.present)
        must(set->device_time.month >= 1 && set->device_time.month <= 12 &&
             set->device_time.day >= 1 && set->device_time.day <= 31 &&
             set->device_time.hour <= 23 && set->device_time.minute <= 59);
    seen->sets++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct driver *driver = driver_by_name(FUZZ_DRIVER);

    feed_both(driver, data, size);
    must(!driver->may_send(data, size) || size == 6);
    return 0;
}
