/* SPDX-License-Identifier: Apache-2.0
 *
 * Signed images for the tests of slots and update, made from one throw-away key, without
 * the tool: what these tests accept is not what the tool thinks right.
 */
#ifndef TESTS_FAULT_FLASH_IMAGES_H
#define TESTS_FAULT_FLASH_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/image_verify.h"

struct images_wish {
    const char *board;
    uint32_t address, payload_size, counter;
    struct image_version version;
};

/* The key of that number (0, 1), made at the first call. */
const uint8_t *images_key(unsigned number);

/* Writes a signed image into out (room for payload_size + 1,024 bytes). Returns its size.
 */
size_t images_make(const struct images_wish *wish, unsigned key, uint8_t *out);

#endif
