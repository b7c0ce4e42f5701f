/* SPDX-License-Identifier: Apache-2.0
 *
 * Corrupt frames where they are judged, without a line: as many as one likes.
 */
#ifndef TESTS_FAULT_DECODER_H
#define TESTS_FAULT_DECODER_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64: the same numbers for the same seed everywhere. */
static inline uint64_t draw(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* `count` good replies of functions 1-4, each damaged in one of five ways. Prints what
 * became of each way; true if none gave a value that was not sent. */
bool decoder_corrupt(uint64_t count, uint64_t seed);

/* `count` bodies of random bytes, half of them behind a right unit, function and length.
 * Prints how many pass the check, then length, function and unit, then a second reading.
 * True if none passes the last, and about as many the first as there should be. */
bool decoder_random(uint64_t count, uint64_t seed);

#endif
