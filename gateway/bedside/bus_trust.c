/* SPDX-License-Identifier: Apache-2.0 */
#include "bedside/bus_trust.h"

#include <string.h>

#define LEARNED 8 /* good replies after which the device's own times count */
#define WINDOW_SLACK_US                                                                  \
    20000                /* scheduling and USB adapters, on top of twice the slowest */
#define FAST_US     4000 /* shorter times are the line's and the kernel's jitter */
#define NOISY       4    /* damaged exchanges of the last 64 */
#define SOLO_ROUNDS 2

void trust_init(struct trust *trust, uint32_t worst_us)
{
    memset(trust, 0, sizeof *trust);
    trust->worst_us = worst_us;
    trust->fastest_us = UINT32_MAX;
}

struct trust_shape trust_shape(const struct regmap_block *block)
{
    uint32_t bytes = block->function <= 2 ? (block->count + 7u) / 8u : block->count * 2u;

    return (struct trust_shape){.function = block->function, .bytes = (uint16_t)bytes};
}

static bool shape_missing(const struct trust *trust, struct trust_shape shape)
{
    for (size_t i = 0; i < trust->missing_count; i++) {
        if (trust->missing[i].function == shape.function &&
            trust->missing[i].bytes == shape.bytes)
            return true;
    }
    return false;
}

bool trust_doubted(const struct trust *trust)
{
    return trust->missing_count > 0 || trust->overflow || trust->solo_left > 0;
}

enum trust_way trust_way(const struct trust *trust, const struct regmap_block *block,
                         struct regmap_block *probe)
{
    *probe = *block;
    if (trust->overflow || trust->solo_left > 0)
        return TRUST_SOLO;
    if (!shape_missing(trust, trust_shape(block)))
        return TRUST_DIRECT;
    /* The longest part first: it spans whole values, which some devices insist on. */
    while (--probe->count > 0) {
        if (!shape_missing(trust, trust_shape(probe)))
            return TRUST_PROBE;
    }
    return TRUST_SOLO;
}

uint64_t trust_not_before(const struct trust *trust, const struct regmap_block *block)
{
    struct trust_shape now = trust_shape(block), last = trust_shape(&trust->last);

    if (trust->last_us == 0)
        return 0;
    /* Without a probe rounds are kept apart by the whole worst time (rule 4). */
    if (trust->solo_left > 0)
        return trust->last_us + trust->worst_us;
    if (now.function != last.function || now.bytes != last.bytes ||
        block->address == trust->last.address)
        return 0;
    return trust->last_us + trust_window_us(trust);
}

void trust_asked(struct trust *trust, const struct regmap_block *block, uint64_t asked_us)
{
    trust->last = *block;
    trust->last_us = asked_us;
}

void trust_failed(struct trust *trust, const struct regmap_block *block, bool seen)
{
    struct trust_shape shape = trust_shape(block);

    if (trust->solo_left > 0)
        trust->solo_left = SOLO_ROUNDS;
    if (seen || shape_missing(trust, shape))
        return;
    if (trust->missing_count == TRUST_MISSING_MAX)
        trust->overflow = true;
    else
        trust->missing[trust->missing_count++] = shape;
}

void trust_exchanged(struct trust *trust, bool damaged)
{
    trust->damage = trust->damage << 1 | (damaged ? 1 : 0);
}

bool trust_noisy(const struct trust *trust)
{
    unsigned damaged = 0;

    for (uint64_t bits = trust->damage; bits != 0; bits &= bits - 1)
        damaged++;
    return damaged >= NOISY;
}

bool trust_answered(struct trust *trust, uint32_t turnaround_us)
{
    bool hasty = trust->answers >= LEARNED && trust->fastest_us > FAST_US &&
                 turnaround_us < trust->fastest_us / 2;

    /* Learned in any case: a device that has become faster is doubted once, not for ever.
     */
    if (turnaround_us < trust->fastest_us)
        trust->fastest_us = turnaround_us;
    if (turnaround_us > trust->slowest_us)
        trust->slowest_us = turnaround_us;
    if (trust->answers < UINT32_MAX)
        trust->answers++;
    return !hasty;
}

void trust_cleared(struct trust *trust)
{
    trust->missing_count = 0;
    trust->overflow = false;
}

void trust_stray(struct trust *trust)
{
    /* Which answer the stray was is not known; what was asked last may be missing yet. */
    trust_failed(trust, &trust->last, false);
}

uint32_t trust_window_us(const struct trust *trust)
{
    uint64_t learned = 2 * (uint64_t)trust->slowest_us + WINDOW_SLACK_US;

    if (trust->answers < LEARNED || trust_doubted(trust) || learned > trust->worst_us)
        return trust->worst_us;
    return (uint32_t)learned;
}

bool trust_solo_round(struct trust *trust)
{
    if (trust->missing_count > 0 || trust->overflow) {
        trust_cleared(trust);
        trust->solo_left = SOLO_ROUNDS;
    }
    if (trust->solo_left == 0)
        return false;
    trust->solo_left--;
    return trust->solo_left > 0;
}
