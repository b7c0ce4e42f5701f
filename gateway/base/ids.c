/* SPDX-License-Identifier: Apache-2.0
 *
 * Names, hex and epochs. A name goes into topics, paths, certificates and HL7 fields, so
 * its alphabet is what is safe in all of them at once.
 */
#include "base/ids.h"

#include <string.h>

/* Upper case is refused and not folded: two spellings of one name would be two
 * gateways. */
bool name_valid(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > NAME_MAX_LENGTH || name[0] == '-' || name[n - 1] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

/* Lower case, so that texts can be compared as they are. */
const char *hex_text(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
    return out;
}

/* The value of a hex digit in either case, or -1. */
static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* All or nothing is judged, though out may hold the bytes before a bad digit. */
bool hex_bytes(const char *text, uint8_t *out, size_t n)
{
    if (strlen(text) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Epochs are no secret: an ordinary comparison will do. */
bool epoch_equal(const struct epoch *a, const struct epoch *b)
{
    return memcmp(a->bytes, b->bytes, EPOCH_SIZE) == 0;
}
