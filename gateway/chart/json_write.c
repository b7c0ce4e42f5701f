/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Full once is full for good; the caller looks when all is written. */
void json_put(struct json_writer *w, const char *bytes, size_t n)
{
    if (w->full || n > w->capacity - w->size) {
        w->full = true;
        return;
    }
    memcpy(w->out + w->size, bytes, n);
    w->size += n;
}

/* For what is known to be JSON. */
void json_raw(struct json_writer *w, const char *text)
{
    json_put(w, text, strlen(text));
}

/* Unsigned only: values of devices come as text. */
void json_number(struct json_writer *w, const char *before, uint64_t n)
{
    char digits[24];
    json_raw(w, before);
    snprintf(digits, sizeof digits, "%" PRIu64, n);
    json_raw(w, digits);
}

/* Bytes of the UTF-8 character at p, 0 if it is none: neither is a number written longer
 * than it need be, nor half a pair of UTF-16. Strict receivers refuse the whole text. */
static size_t utf8_length(const unsigned char *p)
{
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    bool wrong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
                 (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f);
    return wrong ? 0 : n;
}

/* Only for what is below U+0100. */
static void escape(struct json_writer *w, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    json_raw(w, "\\u00");
    json_put(w, (const char[]){hex[c >> 4], hex[c & 15]}, 2);
}

/* A JSON string. A byte that is not UTF-8 is taken for Latin-1, which is what old feeds
 * send. */
void json_text(struct json_writer *w, const char *text)
{
    json_put(w, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)(text ? text : ""); *p;) {
        size_t n = utf8_length(p);
        if (*p == '"' || *p == '\\')
            json_put(w, (const char[]){'\\', (char)*p}, 2);
        else if (*p < 0x20 || n == 0)
            escape(w, *p);
        else
            json_put(w, (const char *)p, n);
        p += n ? n : 1;
    }
    json_put(w, "\"", 1);
}

/* What is not known is not there: "" would be a value. */
void json_member(struct json_writer *w, const char *name, const char *text)
{
    if (!text || !*text)
        return;
    json_raw(w, ",\"");
    json_raw(w, name);
    json_raw(w, "\":");
    json_text(w, text);
}
