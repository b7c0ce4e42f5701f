/* SPDX-License-Identifier: Apache-2.0
 *
 * Flash for a board that has none: the 16 MiB PSRAM at 0x21000000, kept by QEMU in a file
 * (board.yaml), behaves here as NOR flash does. Erase gives 0xFF, a write only clears
 * bits, both in small steps, so that a kill at any moment leaves what a power cut leaves.
 */
#include "firmware/hal.h"

#define UNIT 4096u

static int read_bytes(const struct flash_area *area, uint32_t offset, void *bytes,
                      size_t size)
{
    const volatile uint8_t *from =
        (const volatile uint8_t *)(uintptr_t)(area->base + offset);

    if (offset > area->size || size > area->size - offset)
        return FLASH_RANGE;
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)bytes)[i] = from[i];
    return FLASH_OK;
}

static int write_bytes(const struct flash_area *area, uint32_t offset, const void *bytes,
                       size_t size)
{
    volatile uint8_t *to = (volatile uint8_t *)(uintptr_t)(area->base + offset);

    if (offset > area->size || size > area->size - offset ||
        offset % area->write_size != 0 || size % area->write_size != 0)
        return FLASH_RANGE;
    for (size_t i = 0; i < size; i++)
        to[i] &= ((const uint8_t *)bytes)[i];
    for (size_t i = 0; i < size; i++)
        if (to[i] != ((const uint8_t *)bytes)[i])
            return FLASH_FAILED;
    return FLASH_OK;
}

static int erase_unit(const struct flash_area *area, uint32_t offset)
{
    volatile uint8_t *to = (volatile uint8_t *)(uintptr_t)(area->base + offset);

    if (offset >= area->size || offset % area->erase_size != 0)
        return FLASH_RANGE;
    for (uint32_t i = 0; i < area->erase_size; i++)
        to[i] = 0xFF;
    return FLASH_OK;
}

static const struct flash_ops ops = {read_bytes, write_bytes, erase_unit};

const struct flash_area *hal_flash(enum hal_flash which)
{
    static const struct flash_area areas[] = {
        [HAL_FLASH_SLOT_A] = {&ops, NULL, 0x21000000u, 256u * 1024, UNIT, 4},
        [HAL_FLASH_SLOT_B] = {&ops, NULL, 0x21040000u, 256u * 1024, UNIT, 4},
        [HAL_FLASH_STATE] = {&ops, NULL, 0x21080000u, 2 * UNIT, UNIT, 4},
    };

    return &areas[which];
}
