/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounds-checked reader of the text lines that devices print. Failure is sticky, as in
 * cursor.h: a parser reads like the maker's line and asks once, at its end.
 */
#ifndef DRIVERS_TEXT_H
#define DRIVERS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    const uint8_t *at; /* borrowed */
    size_t left;
    bool failed;
};

/* A reader of n bytes. */
struct text text_make(const uint8_t *bytes, size_t n);

/* The next bytes are exactly this. */
void text_expect(struct text *text, const char *what);

/* True, and past it, if the next bytes are this; otherwise nothing happens. */
bool text_skip(struct text *text, const char *what);

/* Past all spaces. */
void text_spaces(struct text *text);

/* Digits only, `least` to `most` of them (at most 9). 0 after failure. */
uint32_t text_digits(struct text *text, size_t least, size_t most);

/* The bytes up to, without, the stop byte or the end, which it is left before. */
struct text text_until(struct text *text, uint8_t stop);

/* True if all was read without failure. */
bool text_done(const struct text *text);

/* True if what is left is exactly this. */
bool text_is(const struct text *text, const char *what);

#endif
