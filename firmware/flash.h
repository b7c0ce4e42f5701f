/* SPDX-License-Identifier: Apache-2.0
 *
 * flash: one area of NOR flash, as the boards give it and as the bootloader and the node
 * use it.
 *
 * An area begins at offset 0 and is a whole number of erase units. Erase sets every byte
 * of a unit to 0xFF; a write can only clear bits (1 -> 0), in aligned units of
 * write_size. A power cut during a write or an erase may leave any mixture of old and new
 * bits in the unit it was at: whoever uses an area must hold out against that.
 *
 * The ops are an interface because three kinds stand behind it: a part's own flash
 * controller, a serial NOR on SPI, and the tests' flash that cuts the power at a chosen
 * operation.
 */
#ifndef FIRMWARE_FLASH_H
#define FIRMWARE_FLASH_H

#include <stddef.h>
#include <stdint.h>

enum flash_result {
    FLASH_OK = 0,
    FLASH_RANGE = -1, /* not inside the area, or not aligned */
    FLASH_FAILED =
        -2 /* the part reported an error, or what was written does not read back */
};

struct flash_area;

struct flash_ops {
    /* Copies size bytes at offset into bytes. Any alignment. */
    int (*read)(const struct flash_area *area, uint32_t offset, void *bytes, size_t size);
    /* Clears bits: offset and size are multiples of write_size. Returns when the part has
     * finished. */
    int (*write)(const struct flash_area *area, uint32_t offset, const void *bytes,
                 size_t size);
    /* Erases the one unit that begins at offset (a multiple of erase_size). */
    int (*erase)(const struct flash_area *area, uint32_t offset);
};

struct flash_area {
    const struct flash_ops *ops;
    void *context; /* the ops' own: a controller, a file, a fault plan */
    uint32_t base; /* address of offset 0 in the part (where code runs from, if it can) */
    uint32_t size; /* bytes, a multiple of erase_size */
    uint32_t erase_size; /* bytes */
    uint32_t write_size; /* bytes: 1, 2, 4 or 8 */
};

#endif
