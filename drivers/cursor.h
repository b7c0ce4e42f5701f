/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounds-checked reader of foreign bytes. Failure is sticky: after the first read past
 * the end every read gives 0 and `failed` stays true, so that a decoder reads like the
 * protocol's table and asks once, at its end.
 */
#ifndef DRIVERS_CURSOR_H
#define DRIVERS_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *at; /* next byte; borrowed from whoever made the cursor */
    size_t left;       /* bytes from at */
    bool failed;       /* some read went past the end; nothing read since is to be used */
};

/* A cursor over n bytes. bytes may be NULL only if n is 0. */
struct cursor cursor_make(const uint8_t *bytes, size_t n);

/* The next 1, 2 or 4 bytes as an unsigned number, big- or little-endian. 0 after failure,
 * which the caller tells from a real 0 by `failed`. */
uint8_t cursor_u8(struct cursor *cursor);
uint16_t cursor_be16(struct cursor *cursor);
uint16_t cursor_le16(struct cursor *cursor);
uint32_t cursor_be32(struct cursor *cursor);

/* The next n bytes, in place and borrowed; NULL after failure. With n = 0 the pointer is
 * not to be read. */
const uint8_t *cursor_bytes(struct cursor *cursor, size_t n);

/* Bytes not yet read; 0 after failure. */
size_t cursor_remaining(const struct cursor *cursor);

/* True if everything was read, exactly, without failure. */
bool cursor_done(const struct cursor *cursor);

#endif
