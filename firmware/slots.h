/* SPDX-License-Identifier: Apache-2.0
 *
 * Which of two images runs: A/B slots from which images run where they lie (direct-XIP),
 * test, confirm, revert, and the security counter against roll-back. Pure over struct
 * flash_area; used by the bootloader, by the running image and by the update. BOOT.md
 * says why it is done so.
 *
 * A slot holds an image from its first byte, and a trailer in its last SLOT_TRAILER
 * bytes, MCUboot's fields where MCUboot has them (alignment 8):
 *
 *   end - 16   magic: the image was wholly written and may be tried
 *   end - 24   image-ok: 0x01, the image was confirmed
 *   end - 32   copy-done: anything but erased, the image was tried
 *   end - 40   unused
 *   end - 168  16 records of 8 bytes: a security counter and its complement, both u32 LE
 *
 * The node's security counter is the highest good record of both slots. It is written
 * only after image-ok, and an image below it never runs. The rules that keep it, and keep
 * an image to run, at any cut (tested by tests/fault/flash):
 *  1. A slot is erased only while the other holds a confirmed image, or no slot does.
 *  2. Before a slot is erased the other's records reach the node's counter.
 *  3. The unit of the trailer is erased first and the magic is written last.
 *  4. copy-done is written before the image is started for the first time.
 */
#ifndef FIRMWARE_SLOTS_H
#define FIRMWARE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/flash.h"
#include "firmware/image.h"

#define SLOTS        2
#define SLOT_NONE    (-1)
#define SLOT_TRAILER IMAGE_TRAILER /* bytes at a slot's end that no image may reach */

enum slot_state {
    SLOT_EMPTY,     /* no whole image, or it was never finished */
    SLOT_PENDING,   /* to be tried once */
    SLOT_TRIED,     /* was started and not confirmed */
    SLOT_CONFIRMED, /* runs for good */
};

/* What is asked of an image's bytes: IMAGE_OK or an image_error. */
struct slots_verify {
    int (*verify)(void *context, const struct flash_area *area,
                  const struct image *image);
    void *context;
};

struct slots {
    const struct flash_area *areas[SLOTS];
    const char *board; /* images must name it; at most IMAGE_BOARD_MAX characters */
    uint32_t floor;    /* the node's security counter; 0 on a new node */
    enum slot_state states[SLOTS];
    int errors[SLOTS];          /* enum image_error of each slot's image */
    struct image images[SLOTS]; /* of use where errors is IMAGE_OK */
};

/* Reads both slots' trailers and images, and verifies the images' bytes (verify NULL:
 * their form alone, which is enough for a node that was itself started by the
 * bootloader). Bytes are verified only where the trailer would let the image run. areas
 * and board are borrowed for as long as *slots is used. */
void slots_look(struct slots *slots, const struct flash_area *const areas[SLOTS],
                const char *board, const struct slots_verify *verify);

/* The slot that is to run: of the good images that are confirmed or still to be tried,
 * the one with the higher security counter, then version; confirmed before pending if
 * they are the same. SLOT_NONE: there is none. */
int slots_choose(const struct slots *slots);

/* True if image a is to run rather than b: by security counter, then version. */
bool slots_newer(const struct image *a, const struct image *b);

/* What must be written before the slot's image is started: that it was tried, or its
 * security counter. False if it must not be started (then errors[slot] is set): an image
 * that can't be marked could be tried for ever. */
bool slots_start(struct slots *slots, int slot);

/* Confirms the slot's image, which runs, and raises the security counter to its own.
 * FLASH_OK, also if it was confirmed before, or a flash_result. */
int slots_confirm(struct slots *slots, int slot);

/* The slot that an update may be written to while `running` runs (SLOT_NONE: the
 * bootloader itself), or SLOT_NONE if none may: what runs is not confirmed (rule 1). */
int slots_spare(const struct slots *slots, int running);

/* Makes a slot ready to be written: no trailer in it, and the security counter safe in
 * the other one (rule 2). FLASH_OK or a flash_result. */
int slots_clear(struct slots *slots, int slot);

/* The image in the slot is whole: it is to be tried at the next start. Everything about
 * it must have been verified. */
int slots_request(const struct flash_area *area);

/* Bytes of a slot that an image may take. */
uint32_t slots_room(const struct flash_area *area);

/* Reads the image of one slot: its form, board, address. IMAGE_OK or an image_error. */
int slots_read_image(const struct flash_area *area, const char *board,
                     struct image *image);

#endif
