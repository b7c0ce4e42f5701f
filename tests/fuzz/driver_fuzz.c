/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial driver (FUZZ_DRIVER) fed arbitrary bytes, whole and in arbitrary pieces: no
 * observation that breaks observation.h, and the pieces make no difference.
 */
#include "drivers/driver.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t sets, bytes;
    uint64_t digest;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

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

static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    must(fault < DRIVER_FAULTS);
    ((struct seen *)context)->bytes += bytes;
}

static struct seen feed(const struct driver *driver, const uint8_t *data, size_t size,
                        bool pieces)
{
    struct seen seen = {0};
    const struct driver_sink sink = {&seen, on_set, on_fault};
    void *state = malloc(driver->state_size);

    must(state != NULL);
    driver->init(state);
    for (size_t at = 0, n; at < size; at += n) {
        n = pieces ? 1u + data[at] % 7 : size;
        n = n < size - at ? n : size - at;
        driver->feed(state, data + at, n, &sink);
    }
    free(state);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct driver *driver = driver_by_name(FUZZ_DRIVER);
    struct seen whole = feed(driver, data, size, false);
    struct seen pieces = feed(driver, data, size, true);

    must(whole.sets == pieces.sets && whole.digest == pieces.digest &&
         whole.bytes == pieces.bytes && whole.bytes <= size);
    return 0;
}
