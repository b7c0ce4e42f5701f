/* SPDX-License-Identifier: Apache-2.0
 *
 * The bounds-checked reader; see cursor.h.
 */
#include "drivers/cursor.h"

/* A null pointer with a length is a bug of the caller: the cursor starts out failed
 * rather than walking over address 0. */
struct cursor cursor_make(const uint8_t *bytes, size_t n)
{
    return (struct cursor){.at = bytes, .left = bytes ? n : 0, .failed = !bytes && n};
}

/* Every read comes through here; the one place where the bound is checked. */
const uint8_t *cursor_bytes(struct cursor *cursor, size_t n)
{
    if (cursor->failed || n > cursor->left) {
        cursor->failed = true;
        cursor->left = 0; /* so that a caller who loops on `remaining` ends too */
        return NULL;
    }
    const uint8_t *bytes = cursor->at;
    if (n > 0) /* not even `+ 0` on a null pointer */
        cursor->at += n;
    cursor->left -= n;
    return bytes;
}

/* One byte; 0 after failure, which callers must not take for a value. */
uint8_t cursor_u8(struct cursor *cursor)
{
    const uint8_t *b = cursor_bytes(cursor, 1);
    return b ? b[0] : 0;
}

/* Two bytes, the more significant first, as on a Modbus wire. */
uint16_t cursor_be16(struct cursor *cursor)
{
    const uint8_t *b = cursor_bytes(cursor, 2);
    return b ? (uint16_t)(b[0] << 8 | b[1]) : 0;
}

/* Two bytes, the less significant first. */
uint16_t cursor_le16(struct cursor *cursor)
{
    const uint8_t *b = cursor_bytes(cursor, 2);
    return b ? (uint16_t)(b[1] << 8 | b[0]) : 0;
}

/* Four bytes, the most significant first; widened first, for an int would overflow. */
uint32_t cursor_be32(struct cursor *cursor)
{
    const uint8_t *b = cursor_bytes(cursor, 4);
    if (!b)
        return 0;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* What is left is 0 after failure, so that loops over it end. */
size_t cursor_remaining(const struct cursor *cursor)
{
    return cursor->left;
}

/* For formats of exact length: trailing bytes are as wrong as missing ones. */
bool cursor_done(const struct cursor *cursor)
{
    return !cursor->failed && cursor->left == 0;
}
