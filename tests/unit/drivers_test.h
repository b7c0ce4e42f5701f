/* SPDX-License-Identifier: Apache-2.0
 *
 * What the drivers' unit tests share: cmocka, a seeded generator, and a sink that keeps
 * what a driver said.
 */
#ifndef TESTS_UNIT_DRIVERS_TEST_H
#define TESTS_UNIT_DRIVERS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/driver.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SEED     20260722u /* printed by every test that uses it */

/* xorshift64*: the same numbers everywhere. */
static inline uint64_t draw(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Dull;
}

#define KEPT_MAX 64

struct kept { /* everything a driver told its sink */
    size_t sets;
    struct observation_set set[KEPT_MAX]; /* the first ones */
    size_t faults[DRIVER_FAULTS];         /* calls */
    size_t bytes;                         /* thrown away */
};

static inline void keep_set(void *context, const struct observation_set *set)
{
    struct kept *kept = context;

    if (kept->sets < KEPT_MAX)
        kept->set[kept->sets] = *set;
    kept->sets++;
}

static inline void keep_fault(void *context, enum driver_fault fault, size_t bytes)
{
    struct kept *kept = context;

    assert_true(fault < DRIVER_FAULTS);
    kept->faults[fault]++;
    kept->bytes += bytes;
}

/* A driver with its state on the heap, so that a sanitizer sees its every byte. */
struct rig {
    const struct driver *driver;
    void *state;
    struct driver_sink sink;
    struct kept kept;
};

static inline void rig_start(struct rig *rig, const char *name)
{
    memset(rig, 0, sizeof(*rig));
    rig->driver = driver_by_name(name);
    assert_non_null(rig->driver);
    rig->state = malloc(rig->driver->state_size);
    assert_non_null(rig->state);
    rig->sink = (struct driver_sink){&rig->kept, keep_set, keep_fault};
    rig->driver->init(rig->state);
}

static inline void rig_reset(struct rig *rig)
{
    struct kept *kept = &rig->kept;
    size_t used = kept->sets < KEPT_MAX ? kept->sets : KEPT_MAX;

    /* Of 128 KB only what was used: this runs for every flipped bit. */
    memset(kept->set, 0, used * sizeof(kept->set[0]));
    memset(kept->faults, 0, sizeof(kept->faults));
    kept->sets = kept->bytes = 0;
    rig->driver->init(rig->state);
}

/* From a copy of exactly n bytes, so that reading past them is seen. */
static inline void rig_feed(struct rig *rig, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    assert_non_null(copy);
    if (n)
        memcpy(copy, bytes, n);
    rig->driver->feed(rig->state, copy, n, &rig->sink);
    free(copy);
}

static inline void rig_end(struct rig *rig)
{
    free(rig->state);
}

/* The pulse and SpO2 of a Nonin set. */
static inline void assert_nonin(const struct observation_set *set, int pulse, int spo2,
                                unsigned quality)
{
    const int want[2] = {pulse, spo2};
    const uint32_t codes[2] = {149530, 150456}, units[2] = {264864, 262688};

    assert_int_equal(set->count, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct observation *o = &set->items[i];
        assert_int_equal(o->code, codes[i]);
        assert_int_equal(o->unit, units[i]);
        assert_int_equal(o->exponent, 0);
        assert_int_equal(o->quality, quality);
        assert_int_equal(o->kind, want[i] < 0 ? OBSERVATION_ABSENT : OBSERVATION_NUMERIC);
        assert_int_equal(o->mantissa, want[i] < 0 ? 0 : want[i]);
    }
}

#endif
