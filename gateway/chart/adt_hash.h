/* SPDX-License-Identifier: Apache-2.0
 *
 * 64-bit names for texts: the same in every process and on every machine. Not a defence
 * against somebody who makes collisions on purpose: the PAS is trusted with worse, and
 * the census compares the texts.
 */
#ifndef CHART_ADT_HASH_H
#define CHART_ADT_HASH_H

#include <stddef.h>
#include <stdint.h>

/* A hash of n bytes that depends on seed too; never 0. */
static inline uint64_t adt_hash(const void *bytes, size_t n, uint64_t seed)
{
    const uint8_t *at = bytes;
    uint64_t h = seed ^ (UINT64_C(0x9e3779b97f4a7c15) * (n + 1)), word;
    size_t i, take;

    while (n > 0) {
        take = n < 8 ? n : 8;
        /* compiles to one load where bytes are in this order */
        for (word = 0, i = 0; i < take; i++)
            word |= (uint64_t)at[i] << (8 * i);
        h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
        h ^= h >> 32;
        at += take;
        n -= take;
    }
    h = (h ^ h >> 29) * UINT64_C(0xc4ceb9fe1a85ec53);
    h ^= h >> 32;
    return h == 0 ? 1 : h;
}

#endif
