/* SPDX-License-Identifier: Apache-2.0 */
#include "bedside/bus_trust.h"

#include <string.h>

/* Good replies after which the device's own times count. */
#define LEARNED 8
/* Scheduling and USB adapters, on top of twice the slowest reply. */
#define WINDOW_SLACK_US 20000
/* Shorter times are the line's and the kernel's jitter. */
#define FAST_US 4000
/* The slowest reply so far counts a FORGETth less with each that is faster. */
#define FORGET 64
/* Damaged exchanges of the last 64. */
#define NOISY 4
/* Rounds without a probe, and their distance in worst times. The two distances have no
 * common measure with each other, so that no lateness hides in both. */
#define SOLO_ROUNDS   2
#define SOLO_APART    4
#define SOLO_FURTHER  7
#define SOLO_APART_US 2000000
/* A probe reads at most so many registers, or bits, more than the block. */
#define PROBE_MORE 24

/* Nothing is known of the device but what the settings say. */
void trust_init(struct trust *trust, uint32_t worst_us)
{
    memset(trust, 0, sizeof *trust);
    trust->worst_us = worst_us;
    trust->fastest_us = UINT32_MAX;
}

/* The address is no part of it: that is the whole trouble. */
struct trust_shape trust_shape(const struct regmap_block *block)
{
    uint32_t bytes = block->function <= 2 ? (block->count + 7u) / 8u : block->count * 2u;

    return (struct trust_shape){.function = block->function, .bytes = (uint16_t)bytes};
}

/* True if an answer of that shape may still be under way. */
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

/* A device that was away for hours has nothing of then left to say. */
void trust_expire(struct trust *trust, uint64_t now_us)
{
    uint64_t expire = (uint64_t)trust->worst_us * 20;

    if (expire < TRUST_EXPIRE_US)
        expire = TRUST_EXPIRE_US;
    if (trust->last_us == 0 || now_us - trust->last_us < expire)
        return;
    trust_cleared(trust);
    trust->solo_left = 0;
}

/* A part of the block is a read that the device is known to take, so it comes first; the
 * longest part spans whole values, which some devices insist on. A little more than the
 * block may be refused, but a refusal tells as much. */
enum trust_way trust_way(const struct trust *trust, const struct regmap_block *block,
                         struct regmap_block *probe)
{
    uint32_t most = block->function <= 2 ? REGMAP_BITS_MAX : REGMAP_REGISTERS_MAX;

    *probe = *block;
    if (trust->overflow || trust->solo_left > 0)
        return TRUST_SOLO;
    if (!shape_missing(trust, trust_shape(block)))
        return TRUST_DIRECT;
    while (--probe->count > 0) {
        if (!shape_missing(trust, trust_shape(probe)))
            return TRUST_PROBE;
    }
    for (uint16_t more = 1; more <= PROBE_MORE; more++) {
        probe->count = (uint16_t)(block->count + more);
        if (probe->count > most || (uint32_t)probe->address + probe->count > 65536)
            break;
        if (!shape_missing(trust, trust_shape(probe)))
            return TRUST_PROBE;
    }
    *probe = *block;
    return TRUST_SOLO;
}

uint64_t trust_not_before(const struct trust *trust, const struct regmap_block *block)
{
    struct trust_shape now = trust_shape(block), last = trust_shape(&trust->last);
    struct regmap_block probe;
    uint64_t apart = 0;

    if (trust->last_us == 0)
        return 0;
    if (trust_way(trust, block, &probe) == TRUST_SOLO)
        apart = (uint64_t)trust->worst_us *
                (trust->solo_left % 2 != 0 ? SOLO_FURTHER : SOLO_APART);
    else if (trust->refusal)
        apart = (uint64_t)trust->worst_us * TRUST_LATE;
    else if (now.function == last.function && now.bytes == last.bytes &&
             block->address != trust->last.address)
        apart = trust_window_us(trust);
    /* The line is everybody's: nobody holds it up for longer. */
    return trust->last_us + (apart < SOLO_APART_US ? apart : SOLO_APART_US);
}

/* A device that needs longer than its settings say, but not absurdly long, is served, and
 * waited for as long as it has been seen to need. */
uint32_t trust_response_us(const struct trust *trust)
{
    uint64_t most = (uint64_t)trust->worst_us * TRUST_LATE;
    uint64_t learned = (uint64_t)trust->slowest_us + trust->slowest_us / 2;

    if (trust->late || learned > most)
        return (uint32_t)most;
    return learned > trust->worst_us ? (uint32_t)learned : trust->worst_us;
}

void trust_asked(struct trust *trust, const struct regmap_block *block, uint64_t asked_us)
{
    trust->last = *block;
    trust->last_us = asked_us;
}

/* Notes an answer that may still be under way. */
static void add_missing(struct trust *trust, const struct regmap_block *block)
{
    struct trust_shape shape = trust_shape(block);

    if (trust->solo_left > 0)
        trust->solo_left = SOLO_ROUNDS;
    if (shape_missing(trust, shape))
        return;
    if (trust->missing_count == TRUST_MISSING_MAX)
        trust->overflow = true;
    else
        trust->missing[trust->missing_count++] = shape;
}

void trust_failed(struct trust *trust, const struct regmap_block *block,
                  struct trust_failure failure)
{
    /* One that says nothing at all is dead, not late, and must not cost the line more. */
    trust->late = failure.spoke;
    trust->refusal = trust->refusal || (failure.probe && !failure.seen);
    if (!failure.seen)
        add_missing(trust, block);
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

    /* Learned in any case: a device that has become faster is doubted once, not always.
     */
    if (turnaround_us < trust->fastest_us)
        trust->fastest_us = turnaround_us;
    if (turnaround_us > trust->slowest_us)
        trust->slowest_us = turnaround_us;
    else /* one stall of a busy machine is forgotten after some hundred replies */
        trust->slowest_us -= (trust->slowest_us - turnaround_us) / FORGET;
    if (trust->answers < UINT32_MAX)
        trust->answers++;
    return !hasty;
}

void trust_cleared(struct trust *trust)
{
    trust->missing_count = 0;
    trust->overflow = false;
    trust->refusal = false;
    trust->late = false;
}

/* Which answer the stray was is not known; what was asked last may be missing yet. */
void trust_stray(struct trust *trust)
{
    trust->late = true;
    add_missing(trust, &trust->last);
}

uint32_t trust_window_us(const struct trust *trust)
{
    uint32_t worst = trust_response_us(trust);
    uint64_t learned = 2 * (uint64_t)trust->slowest_us + WINDOW_SLACK_US;

    if (trust->answers < LEARNED || trust_doubted(trust) || learned > worst)
        return worst;
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
