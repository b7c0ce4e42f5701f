/* SPDX-License-Identifier: Apache-2.0
 *
 * How often the node has started, kept in two erase units of flash: the number that tells
 * one counting of samples from another, so it must never be given twice. Pure over
 * struct flash_area.
 *
 * Each start appends one record (the number and its complement) to the unit in use; when
 * that is full the other is erased and goes on. The newest record survives whatever
 * happens to the one being written: a cut gives the old number or the new one.
 */
#ifndef FIRMWARE_BOOT_COUNT_H
#define FIRMWARE_BOOT_COUNT_H

#include <stdint.h>

#include "firmware/flash.h"

#define BOOT_COUNT_RECORD 8 /* bytes; a multiple of every write_size */

/* Reads the newest number, writes and returns the next one, 1 on an empty area. Returns 0
 * if the area (NULL: there is none; its first two units are used) can't keep it. */
uint32_t boot_count_next(const struct flash_area *area);

#endif
