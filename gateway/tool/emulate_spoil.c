/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults on a burst, in the order of their table. The device knows nothing of them: what
 * it counts is what it said.
 */
#include "tool/emulate_spoil.h"

#include <string.h>

#define GARBAGE_MAX 64

/* Ours to the device's time, and back: rounded up, so that a tick is never asked for
 * again at the moment at which it was too early. */
static uint64_t to_device(const struct emulate_spoil *spoil, uint64_t us)
{
    return us < spoil->origin_us
               ? us
               : spoil->origin_us + (us - spoil->origin_us) * spoil->speed;
}

static uint64_t from_device(const struct emulate_spoil *spoil, uint64_t us)
{
    if (us == UINT64_MAX || us < spoil->origin_us)
        return us;
    return spoil->origin_us + (us - spoil->origin_us + spoil->speed - 1) / spoil->speed;
}

static void append(struct emulate_output *out, const struct emulate_burst *burst)
{
    if (out->count < EMULATE_BURSTS_MAX && burst->size > 0)
        out->bursts[out->count++] = *burst;
}

/* The same noise in every run. */
static void noise(struct emulate_output *out, uint64_t due_us, uint64_t seed, size_t size)
{
    struct emulate_burst burst = {.due_us = due_us,
                                  .size = size < GARBAGE_MAX ? size : GARBAGE_MAX};
    uint32_t x = (uint32_t)seed * 2654435761U + 12345;

    for (size_t i = 0; i < burst.size; i++) {
        x = x * 1664525U + 1013904223U;
        burst.bytes[i] = (uint8_t)(x >> 24);
    }
    append(out, &burst);
}

/* One fault on one burst. */
static void apply(const struct emulate_spoil *spoil,
                  const struct emulate_spoil_fault *fault, struct emulate_burst *burst,
                  struct emulate_output *out)
{
    size_t at = burst->size > 0 ? fault->value % burst->size : 0;
    size_t bit = burst->size > 0 ? fault->value % (burst->size * 8) : 0;

    switch (fault->kind) {
    case SPOIL_LATE:
        burst->due_us += fault->value;
        break;
    case SPOIL_SHORT:
        burst->size = fault->value < burst->size ? fault->value : burst->size;
        break;
    case SPOIL_DROP:
        if (burst->size > 0)
            memmove(burst->bytes + at, burst->bytes + at + 1, --burst->size - at);
        break;
    case SPOIL_FLIP:
        if (burst->size > 0)
            burst->bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        break;
    case SPOIL_SILENT:
        burst->size = 0;
        break;
    case SPOIL_GARBAGE:
        noise(out, burst->due_us, spoil->bursts, fault->value);
        break;
    case SPOIL_TWICE:
        break; /* its burst must be whole: see below */
    }
}

/* What the device said, as it comes out of the line. The device is asked with an output
 * of its own, since noise and repetitions need room. */
static void pass_on(struct emulate_spoil *spoil, struct emulate_output *said,
                    struct emulate_output *out)
{
    for (size_t i = 0; i < said->count; i++) {
        struct emulate_burst *burst = &said->bursts[i];
        const struct emulate_spoil_fault *twice = NULL;

        burst->due_us = from_device(spoil, burst->due_us);
        spoil->bursts++;
        for (size_t f = 0; f < spoil->fault_count; f++) {
            const struct emulate_spoil_fault *fault = &spoil->faults[f];

            if (fault->burst != 0 && fault->burst != spoil->bursts)
                continue;
            apply(spoil, fault, burst, out);
            if (fault->kind == SPOIL_TWICE)
                twice = fault;
        }
        append(out, burst);
        if (twice != NULL) {
            burst->due_us += twice->value;
            append(out, burst);
        }
    }
}

static void feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                 struct emulate_output *out)
{
    struct emulate_spoil *spoil = state;
    struct emulate_output said = {.count = 0};

    if (spoil->inner->feed == NULL)
        return;
    spoil->inner->feed(spoil->state, bytes, n, to_device(spoil, now_us), &said);
    pass_on(spoil, &said, out);
}

static void tick(void *state, uint64_t now_us, struct emulate_output *out,
                 uint64_t *again_us)
{
    struct emulate_spoil *spoil = state;
    struct emulate_output said = {.count = 0};

    *again_us = UINT64_MAX;
    if (spoil->inner->tick == NULL)
        return;
    spoil->inner->tick(spoil->state, to_device(spoil, now_us), &said, again_us);
    *again_us = from_device(spoil, *again_us);
    pass_on(spoil, &said, out);
}

const struct emulator emulate_spoil_emulator = {"spoil", feed, tick};
