/* SPDX-License-Identifier: Apache-2.0
 *
 * See nor.h. Misuse is a failure of what is tested, and ends the test: a write outside or
 * unaligned, or of a bit from 0 to 1.
 */
#include "nor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t nor_random(struct nor_power *power)
{
    power->random ^= power->random << 13;
    power->random ^= power->random >> 7;
    power->random ^= power->random << 17;
    return power->random;
}

static void misuse(const char *what)
{
    (void)fprintf(stderr, "flash misused: %s\n", what);
    abort();
}

/* Which bits of a byte have changed when the power went. */
static uint8_t reached(struct nor_power *power)
{
    uint64_t bits = nor_random(power) >> 24;

    switch (power->tear) {
    case NOR_NONE:
        return 0x00;
    case NOR_ALL:
        return 0xFF;
    case NOR_SOME:
        return (uint8_t)(bits & bits >> 8);
    default:
        return (uint8_t)(bits | bits >> 8);
    }
}

/* True if the operation is the one that is torn. */
static bool cut(struct nor_power *power)
{
    power->done++;
    power->off = power->cut_at != 0 && power->done == power->cut_at;
    return power->off;
}

static struct nor *nor_of(const struct flash_area *area)
{
    return area->context;
}

static int do_read(const struct flash_area *area, uint32_t offset, void *bytes,
                   size_t size)
{
    struct nor *nor = nor_of(area);

    if (offset > area->size || size > area->size - offset)
        return FLASH_RANGE;
    if (nor->power->off)
        return FLASH_FAILED;
    memcpy(bytes, nor->bytes + offset, size);
    return FLASH_OK;
}

static int do_write(const struct flash_area *area, uint32_t offset, const void *bytes,
                    size_t size)
{
    struct nor *nor = nor_of(area);
    const uint8_t *from = bytes;
    bool torn;

    if (offset > area->size || size > area->size - offset ||
        offset % area->write_size != 0 || size % area->write_size != 0)
        misuse("write outside or unaligned");
    if (nor->power->off)
        return FLASH_FAILED;
    torn = cut(nor->power);
    for (size_t i = 0; i < size; i++) {
        uint8_t clear = (uint8_t)~from[i];
        if (torn)
            clear &= reached(nor->power);
        nor->bytes[offset + i] &= (uint8_t)~clear;
        if (!torn && nor->bytes[offset + i] != from[i])
            return FLASH_FAILED;
    }
    return torn ? FLASH_FAILED : FLASH_OK;
}

static int do_erase(const struct flash_area *area, uint32_t offset)
{
    struct nor *nor = nor_of(area);
    bool torn;

    if (offset >= area->size || offset % area->erase_size != 0)
        misuse("erase outside or unaligned");
    if (nor->power->off)
        return FLASH_FAILED;
    torn = cut(nor->power);
    for (uint32_t i = 0; i < area->erase_size; i++)
        nor->bytes[offset + i] |= torn ? reached(nor->power) : 0xFF;
    return torn ? FLASH_FAILED : FLASH_OK;
}

void nor_init(struct nor *nor, struct nor_power *power, uint8_t *bytes, uint32_t base,
              uint32_t size, uint32_t erase_size, uint32_t write_size)
{
    static const struct flash_ops ops = {do_read, do_write, do_erase};

    nor->power = power;
    nor->bytes = bytes;
    nor->area = (struct flash_area){&ops, nor, base, size, erase_size, write_size};
}

void nor_power_on(struct nor_power *power, uint64_t cut_at, enum nor_tear tear)
{
    power->off = false;
    power->done = 0;
    power->cut_at = cut_at;
    power->tear = tear;
}
