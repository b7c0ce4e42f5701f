/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial driver (FUZZ_DRIVER) fed arbitrary bytes: no observation that breaks
 * observation.h. FUZZ_DRIVER may name several: the first byte then says which. A scanner
 * gives no scan that breaks driver.h, and keeps none.
 */
#include "driver_feed.h"

#include <string.h>

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

/* Ten digits of which nothing may be left. */
#define ID_DIGITS 10

struct scanned {
    size_t scans, bytes;
    uint8_t last[ID_DIGITS];
};

static void on_scan(void *context, const struct driver_scan *scan)
{
    struct scanned *scanned = context;

    must(strlen(scan->prefix) == 7 && scan->size > ID_DIGITS);
    memcpy(scanned->last, scan->id + scan->size - ID_DIGITS, ID_DIGITS);
    for (size_t i = 0; i < ID_DIGITS; i++)
        must(scanned->last[i] >= '0' && scanned->last[i] <= '9');
    scanned->scans++;
}

static void on_scan_fault(void *context, enum driver_fault fault, size_t bytes)
{
    must(fault < DRIVER_FAULTS);
    ((struct scanned *)context)->bytes += bytes;
}

/* The end of a line at the end, so that the last scan is over. */
static void feed_scanner(const struct driver *driver, const uint8_t *data, size_t size)
{
    struct scanned scanned = {0};
    const struct driver_scan_sink sink = {&scanned, on_scan, on_scan_fault};
    uint8_t *state = malloc(driver->state_size);

    must(state != NULL);
    driver->init(state);
    driver->scan(state, data, size, &sink);
    driver->scan(state, (const uint8_t *)"\r", 1, &sink);
    must(scanned.bytes <= size);
    for (size_t i = 0; scanned.scans > 0 && i + ID_DIGITS <= driver->state_size; i++)
        must(memcmp(state + i, scanned.last, ID_DIGITS) != 0);
    free(state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {FUZZ_DRIVER};
    const size_t count = sizeof(names) / sizeof(names[0]);
    size_t pick = 0;

    if (count > 1) {
        if (size == 0)
            return 0;
        pick = *data++ % count;
        size--;
    }
    const struct driver *driver = driver_by_name(names[pick]);
    feed_both(driver, data, size);
    if (driver->scan != NULL)
        feed_scanner(driver, data, size);
    return 0;
}
