/* SPDX-License-Identifier: Apache-2.0
 *
 * The simulator's only source of chance: the same seed gives the same day.
 */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

/* SplitMix64 (Steele, Lea, Flood 2014). */
static inline uint64_t chance_next(struct chance *chance)
{
    uint64_t z = (chance->state += UINT64_C(0x9E3779B97F4A7C15));

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* 0..below-1 */
static inline uint64_t chance_below(struct chance *chance, uint64_t below)
{
    return chance_next(chance) % below;
}

/* low..high inclusive */
static inline int64_t chance_between(struct chance *chance, int64_t low, int64_t high)
{
    return low + (int64_t)chance_below(chance, (uint64_t)(high - low) + 1);
}

static inline bool chance_percent(struct chance *chance, unsigned percent)
{
    return chance_below(chance, 100) < percent;
}

#endif
