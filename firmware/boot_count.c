/* SPDX-License-Identifier: Apache-2.0
 *
 * See boot_count.h.
 */
#include "firmware/boot_count.h"

#include <stdbool.h>
#include <string.h>

#include "firmware/bytes.h"

#define UNITS 2

struct scan {        /* what one unit holds */
    uint32_t newest; /* 0: no good record */
    uint32_t free; /* offset behind the last byte that is not erased; erase_size: full */
};

/* Good records and where the erased part begins. A torn record is neither. */
static bool scan_unit(const struct flash_area *area, uint32_t unit, struct scan *scan)
{
    uint8_t record[BOOT_COUNT_RECORD], erased[BOOT_COUNT_RECORD];

    memset(erased, 0xFF, sizeof erased);
    memset(scan, 0, sizeof *scan);
    for (uint32_t at = 0; at + BOOT_COUNT_RECORD <= area->erase_size;
         at += BOOT_COUNT_RECORD) {
        uint32_t number;

        if (area->ops->read(area, unit * area->erase_size + at, record, sizeof record) !=
            FLASH_OK)
            return false;
        if (memcmp(record, erased, sizeof record) != 0)
            scan->free = at + BOOT_COUNT_RECORD;
        number = bytes_get32(record);
        if (number == ~bytes_get32(record + 4) && number > scan->newest)
            scan->newest = number;
    }
    return true;
}

/* Writes the record and believes only what reads back. */
static bool append(const struct flash_area *area, uint32_t at, uint32_t number)
{
    uint8_t record[BOOT_COUNT_RECORD], back[BOOT_COUNT_RECORD];

    bytes_put32(record, number);
    bytes_put32(record + 4, ~number);
    return area->ops->write(area, at, record, sizeof record) == FLASH_OK &&
           area->ops->read(area, at, back, sizeof back) == FLASH_OK &&
           memcmp(record, back, sizeof record) == 0;
}

/* The unit with the newest record goes on; a record that will not stay written (torn bits
 * that look erased) makes the other unit go on instead. */
uint32_t boot_count_next(const struct flash_area *area)
{
    struct scan scans[UNITS];
    uint32_t use, other, number;

    if (area == NULL || area->size < UNITS * area->erase_size)
        return 0;
    for (uint32_t unit = 0; unit < UNITS; unit++)
        if (!scan_unit(area, unit, &scans[unit]))
            return 0;
    use = scans[1].newest > scans[0].newest;
    other = 1 - use;
    number = scans[use].newest + 1;
    if (scans[use].free + BOOT_COUNT_RECORD <= area->erase_size &&
        append(area, use * area->erase_size + scans[use].free, number))
        return number;
    if (area->ops->erase(area, other * area->erase_size) == FLASH_OK &&
        append(area, other * area->erase_size, number))
        return number;
    return 0;
}
