/* SPDX-License-Identifier: Apache-2.0
 *
 * One device port's samples: the sets that its driver made, each with a number, in a ring
 * over memory that the caller gives. Pure: no I/O, no clock.
 *
 * Caveats first:
 *  - A full ring loses its oldest sample. Nobody is asked: the numbers tell.
 *  - Reading changes nothing. Whoever drains keeps the number of the last one it has.
 *  - A set whose observations need more than the ring's entries is not kept, but it takes
 *    its number, so that it shows as lost.
 *  - In the ring an entry is 5 bytes: its value, and the number of a head (all else:
 * kind, quality, exponent, code, unit) that many samples share. There is room for
 *    SAMPLES_HEADS of them; the one that is used longest ago makes room for another, with
 *    the samples that still use it. An oximeter has some ten; a device that sends ever
 * new texts keeps that many texts and no more.
 *
 * A sample as it is told (SAMPLES_HEAD bytes and SAMPLES_ENTRY bytes an entry, big-endian
 * as all of Modbus):
 *
 *   0  u16  boot counter, its low 16 bits
 *   2  u32  number of the sample
 *   6  u48  age in milliseconds when this reply was made
 *   12 u8   entries used; 0: the set was too large and is lost
 *   13 u8   bit 0: from the device's memory
 *   14 u16  CRC-16/MODBUS of the sample with 0 here, xor both halves of the series number
 *   16      entries, unused ones all 0
 *
 * An entry: u8 kind, u8 quality, i8 exponent, u8 and u16 (partition and term of the
 * quantity's MDC code), u16 (term of the unit's, partition 4; 0: none), u32 value. Kinds
 * 0-2 are enum observation_kind; those from SAMPLES_MORE on add to the entry before them.
 */
#ifndef FIRMWARE_SAMPLES_H
#define FIRMWARE_SAMPLES_H

#include "drivers/observation.h"

#define SAMPLES_HEAD        16 /* bytes before the entries */
#define SAMPLES_ENTRY       12 /* bytes */
#define SAMPLES_ENTRIES_MAX 18 /* a sample must fit into one reply */
#define SAMPLES_BYTES_MAX   (SAMPLES_HEAD + SAMPLES_ENTRY * SAMPLES_ENTRIES_MAX)
#define SAMPLES_MORE        8
#define SAMPLES_HEADS       32 /* different heads of entries at a time */
#define SAMPLES_SLOT_HEAD   6  /* bytes of a sample in the ring before its entries */
#define SAMPLES_SLOT_ENTRY  5

enum samples_kind {
    SAMPLES_WIDE = SAMPLES_MORE, /* value: bits 32-63 of the entry's mantissa */
    SAMPLES_PLACE,       /* bytes 3-5 the body site's code, 6-7 and 8 the method's */
    SAMPLES_TEXT,        /* bytes 1-11: the next part of a text, 0 behind its end */
    SAMPLES_DEVICE_TIME, /* bytes 1-7: year (u16), month, day, hour, minute, second */
    SAMPLES_COUNTER,     /* bytes 4-11: the device's own sample counter */
};

struct samples_head {
    uint8_t bytes[8];
    uint32_t last; /* number of the last sample that uses it */
};

struct samples {
    struct samples_head *heads; /* SAMPLES_HEADS, at the start of the caller's memory */
    uint32_t heads_used;
    /* Slots of slot_size bytes: age's origin (40 bits), entries used and flag, entries.
     */
    uint8_t *memory;
    uint32_t capacity; /* samples that fit */
    uint32_t entries;  /* of a slot */
    uint32_t slot_size;
    /* Numbers: first..next-1 are there. Invariant: next - first <= capacity. */
    uint32_t first, next;
    uint32_t series; /* names the counting: numbers of one series are never given twice */
    uint16_t boot;
    uint32_t too_large; /* sets that did not fit */
};

/* An empty ring over `size` bytes, aligned to 8; the next sample gets the number `next`.
 * entries: 1..SAMPLES_ENTRIES_MAX. Less than the heads need: a capacity of 0. */
void samples_init(struct samples *samples, void *memory, size_t size, uint32_t entries,
                  uint32_t series, uint16_t boot, uint32_t next);

/* Keeps a set that was measured at this time. False if it did not fit. */
bool samples_add(struct samples *samples, const struct observation_set *set,
                 uint64_t at_ms);

/* True if the sample of that number is there. */
bool samples_has(const struct samples *samples, uint32_t number);

/* Bytes of one sample as it is told, a multiple of 2. */
size_t samples_size(const struct samples *samples);

/* Writes samples_size() bytes. The sample must be there. */
void samples_write(const struct samples *samples, uint32_t number, uint64_t now_ms,
                   uint8_t *out);

#endif
