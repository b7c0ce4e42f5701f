/* SPDX-License-Identifier: Apache-2.0
 *
 * NOR flash in memory that loses its power at a chosen operation. The operation it is at
 * is left torn: none of it done, all of it, or a random part of its bits. Then every
 * operation fails until the power comes back.
 */
#ifndef TESTS_FAULT_FLASH_NOR_H
#define TESTS_FAULT_FLASH_NOR_H

#include <stdbool.h>

#include "firmware/flash.h"

enum nor_tear { NOR_NONE, NOR_ALL, NOR_SOME, NOR_MOST, NOR_TEARS };

struct nor_power {   /* of all areas of one part */
    uint64_t done;   /* operations since the power came */
    uint64_t cut_at; /* the operation that is torn; 0: none */
    enum nor_tear tear;
    bool off;
    uint64_t random; /* state of the generator, never 0 */
};

struct nor {
    struct flash_area area;
    struct nor_power *power;
    uint8_t *bytes; /* area.size of them, the caller's */
};

void nor_init(struct nor *nor, struct nor_power *power, uint8_t *bytes, uint32_t base,
              uint32_t size, uint32_t erase_size, uint32_t write_size);

/* The power comes back; cut_at counts from here. */
void nor_power_on(struct nor_power *power, uint64_t cut_at, enum nor_tear tear);

uint64_t nor_random(struct nor_power *power);

#endif
