/* SPDX-License-Identifier: Apache-2.0
 *
 * The bootloader: starts the image that slots.h chooses, and where there is none answers
 * on the bus so that one can be sent.
 *
 * It runs without interrupts, and its own files are all it links: hal.h's functions that
 * are named below, given by boards/<board>/boot.c and flash.c, and the part of mbedTLS
 * that verifies. bootloader_build.sh builds it for a board and a site's key.
 */
#ifndef FIRMWARE_BOOTLOADER_H
#define FIRMWARE_BOOTLOADER_H

#include "firmware/hal.h"
#include "firmware/image_verify.h"
#include "firmware/slots.h"

#define BOOTLOADER_WATCHDOG_MS 8000 /* longer than any verify or erase */

/* The site's public key; written by bootloader_build.sh from what `wardgate keygen` made.
 */
extern const uint8_t bootloader_key[IMAGE_KEY_SIZE];

/* Looks at both slots, decides, and writes what must be written before the image starts.
 * Returns the slot, or SLOT_NONE: no image is good. areas and board are borrowed by
 * *slots. Pure. */
int bootloader_decide(struct slots *slots, const struct flash_area *const areas[SLOTS],
                      const char *board, const struct slots_verify *verify);

/* The heap of mbedTLS, the only one there is: of BOOT_HEAP_SIZE bytes, aligned to 8. */
#define BOOT_HEAP_SIZE 2560
void *boot_calloc(size_t count, size_t size); /* NULL: no room */
void boot_free(void *block);                  /* NULL is fine */
size_t boot_heap_peak(void);                  /* bytes ever in use */

/* --- bootloader_start.c: the core's own --- */

/* Microseconds since the start, if called at least every half second. */
uint64_t boot_now_us(void);

/* Starts the image whose vector table stands there. Does not return. */
void boot_run(uint32_t vectors);

#endif
