/* SPDX-License-Identifier: Apache-2.0
 *
 * cursor and decimal: arbitrary reads stay inside, arbitrary texts come back as written.
 */
#include "drivers/cursor.h"
#include "drivers/decimal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* The first byte of each read says what is read next. */
static void reads(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_make(data, size);

    while (!c.failed && cursor_remaining(&c) > 0) {
        size_t before = cursor_remaining(&c);
        uint8_t kind = cursor_u8(&c);
        const uint8_t *bytes = NULL;
        size_t want = kind >> 3;
        switch (kind & 7) {
        case 0:
            (void)cursor_be16(&c);
            break;
        case 1:
            (void)cursor_le16(&c);
            break;
        case 2:
            (void)cursor_be32(&c);
            break;
        default:
            bytes = cursor_bytes(&c, want);
            for (size_t i = 0; bytes && i < want; i++)
                must(bytes + i < data + size && bytes[i] == data[bytes + i - data]);
        }
        must(cursor_remaining(&c) < before);
        must(!c.failed || cursor_remaining(&c) == 0);
    }
}

static void texts(const uint8_t *data, size_t size)
{
    char text[64], out[DECIMAL_TEXT_MAX];
    struct decimal d, back;

    if (size >= sizeof(text))
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    if (decimal_parse(text, &d) != DECIMAL_OK)
        return;
    must(decimal_format(d, out, sizeof(out)) > 0);
    must(decimal_parse(out, &back) == DECIMAL_OK || strlen(out) > DECIMAL_DIGITS_MAX);
    if (strlen(out) <= DECIMAL_DIGITS_MAX)
        must(back.mantissa == d.mantissa && back.exponent == d.exponent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    reads(data, size);
    texts(data, size);
    return 0;
}
