/* SPDX-License-Identifier: Apache-2.0
 *
 * The reader of text.h.
 */
#include "drivers/text.h"

#include <string.h>

#define DIGITS_MAX 9 /* what 32 bits hold for certain */

struct text text_make(const uint8_t *bytes, size_t n)
{
    return (struct text){.at = bytes, .left = n};
}

bool text_skip(struct text *text, const char *what)
{
    size_t n = strlen(what);

    if (text->failed || n > text->left || memcmp(text->at, what, n) != 0)
        return false;
    text->at += n;
    text->left -= n;
    return true;
}

void text_expect(struct text *text, const char *what)
{
    if (!text_skip(text, what))
        text->failed = true;
}

void text_spaces(struct text *text)
{
    while (text_skip(text, " "))
        ;
}

/* No sign, no point, no space: a device that prints one has its own rule for it. */
uint32_t text_digits(struct text *text, size_t least, size_t most)
{
    uint32_t value = 0;
    size_t n = 0;

    while (!text->failed && n < most && n < DIGITS_MAX && n < text->left &&
           text->at[n] >= '0' && text->at[n] <= '9')
        value = value * 10 + (uint32_t)(text->at[n++] - '0');
    if (text->failed || n < least) {
        text->failed = true;
        return 0;
    }
    text->at += n;
    text->left -= n;
    return value;
}

struct text text_until(struct text *text, uint8_t stop)
{
    struct text part = {.at = text->at, .failed = text->failed};

    while (!text->failed && part.left < text->left && part.at[part.left] != stop)
        part.left++;
    text->at += part.left;
    text->left -= part.left;
    return part;
}

bool text_done(const struct text *text)
{
    return !text->failed && text->left == 0;
}

bool text_is(const struct text *text, const char *what)
{
    return !text->failed && text->left == strlen(what) &&
           memcmp(text->at, what, text->left) == 0;
}
