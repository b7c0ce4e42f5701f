/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing JSON into a buffer of fixed size. Full once is full for good: the caller writes
 * everything and looks once. Numbers are copied as decimal text, so that no binary
 * fraction eats a device's digits. Pure.
 */
#ifndef CHART_JSON_WRITE_H
#define CHART_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_writer {
    char *out; /* borrowed; no NUL is written */
    size_t size, capacity;
    bool full; /* something was left out: what is in the buffer is of no use */
};

/* Bytes as they are: punctuation, names, and numbers that are JSON already. */
void json_put(struct json_writer *w, const char *bytes, size_t n);
void json_raw(struct json_writer *w, const char *text);

/* What comes before it, then the number. */
void json_number(struct json_writer *w, const char *before, uint64_t n);

/* A quoted string, "" for NULL. A byte that is not UTF-8 is taken for Latin-1, which is
 * what old feeds send. */
void json_text(struct json_writer *w, const char *text);

/* ,"name":"text" after another member; nothing when the text is NULL or "", since what is
 * not known is not there. */
void json_member(struct json_writer *w, const char *name, const char *text);

#endif
