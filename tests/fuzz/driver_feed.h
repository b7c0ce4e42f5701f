/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial driver fed the same bytes twice, whole and in arbitrary pieces. What a set
 * must be is the target's own: it gives on_set().
 */
#ifndef TESTS_FUZZ_DRIVER_FEED_H
#define TESTS_FUZZ_DRIVER_FEED_H

#include "drivers/driver.h"

#include <stdlib.h>

struct seen {
    size_t sets, bytes;
    uint64_t digest;
};

static inline void must(bool holds)
{
    if (!holds)
        abort();
}

static void on_set(void *context, const struct observation_set *set);

static inline void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    must(fault < DRIVER_FAULTS);
    ((struct seen *)context)->bytes += bytes;
}

static inline struct seen feed(const struct driver *driver, const uint8_t *data,
                               size_t size, bool pieces)
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

/* The pieces must make no difference, and no more bytes may be faults than there were. */
static inline void feed_both(const struct driver *driver, const uint8_t *data,
                             size_t size)
{
    struct seen whole = feed(driver, data, size, false);
    struct seen pieces = feed(driver, data, size, true);

    must(whole.sets == pieces.sets && whole.digest == pieces.digest &&
         whole.bytes == pieces.bytes && whole.bytes <= size);
}

#endif
