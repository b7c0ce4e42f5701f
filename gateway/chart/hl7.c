/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading HL7 v2. Everything is a slice of the caller's bytes; one function (cut) finds
 * the nth part between delimiters, and every level of the standard is that function with
 * another delimiter.
 */
#include "chart/hl7.h"

#include <string.h>

#include "base/zone.h"

#define MSH_SIZE_MIN 5 /* "MSH|^" */

/* --- Delimiters and segments --- */

/* A delimiter that could be part of a value would make every value doubtful. */
static bool is_delimiter(char c)
{
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

    return c > ' ' && c < 0x7f && !letter && !(c >= '0' && c <= '9') && c != '"';
}

/* Segment names are upper case; Z names may hold digits. */
static bool is_name_character(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* MSH-1 and MSH-2. 2.7 added a fifth character for truncation, which nobody has to
 * know. */
static int read_delimiters(struct hl7_message *message, const char *msh, size_t n)
{
    char *const into[] = {&message->component, &message->repetition, &message->escape,
                          &message->subcomponent};
    size_t i, j;

    message->component = message->repetition = message->escape = message->subcomponent =
        '\0';
    message->field = msh[3];
    if (!is_delimiter(message->field))
        return HL7_DELIMITERS;

    for (i = 4; i < n && msh[i] != message->field; i++) {
        if (i > 8 || !is_delimiter(msh[i]))
            return HL7_DELIMITERS;
        for (j = 4; j < i; j++)
            if (msh[j] == msh[i])
                return HL7_DELIMITERS;
        if (i - 4 < sizeof(into) / sizeof(into[0]))
            *into[i - 4] = msh[i];
    }
    return i == 4 ? HL7_DELIMITERS : HL7_OK;
}

/* Checks a line and takes it in. The first one must be MSH. */
static int add_segment(struct hl7_message *message, const char *at, size_t n)
{
    int error;

    if (message->count == 0) {
        if (n < MSH_SIZE_MIN || memcmp(at, "MSH", 3) != 0)
            return HL7_NOT_MSH;
        error = read_delimiters(message, at, n);
        if (error != HL7_OK)
            return error;
    } else if (n < 3 || !is_name_character(at[0]) || !is_name_character(at[1]) ||
               !is_name_character(at[2]) || (n > 3 && at[3] != message->field)) {
        return HL7_SEGMENT;
    }
    if (message->count == HL7_SEGMENTS_MAX)
        return HL7_LIMIT;
    message->segments[message->count].text = (struct hl7_text){at, n};
    message->count++;
    return HL7_OK;
}

int hl7_parse(const char *bytes, size_t n, struct hl7_message *message, size_t *line)
{
    size_t at = 0, end, lines = 0;
    int error;

    message->bytes = bytes;
    message->n = n;
    message->count = 0;
    message->field = '\0';
    if (line != NULL)
        *line = 1;
    if (n > HL7_MESSAGE_MAX)
        return HL7_LIMIT;

    while (at < n) {
        for (end = at; end < n && bytes[end] != '\r' && bytes[end] != '\n'; end++)
            ;
        if (end > at) { /* a blank line is no segment: LF after CR, or an empty end */
            lines++;
            if (line != NULL)
                *line = lines;
            error = add_segment(message, bytes + at, end - at);
            if (error != HL7_OK)
                return error;
        }
        at = end + 1;
    }
    return message->count == 0 ? HL7_NOT_MSH : HL7_OK;
}

bool hl7_is(const struct hl7_segment *segment, const char *name)
{
    return segment->text.n >= 3 && memcmp(segment->text.at, name, 3) == 0;
}

const struct hl7_segment *hl7_find(const struct hl7_message *message, const char *name,
                                   size_t nth)
{
    size_t i;

    for (i = 0; i < message->count; i++)
        if (hl7_is(&message->segments[i], name) && --nth == 0)
            return &message->segments[i];
    return NULL;
}

/* --- Cutting --- */

/* Part n (from 1) of text between delimiters; '\0' cuts nothing. A plain loop: parts are
 * a few bytes long, so that a search function costs more than it finds. */
static struct hl7_text cut(struct hl7_text text, char delimiter, size_t n)
{
    const char *at = text.at, *end = text.at + text.n, *start;

    if (delimiter == '\0' && n == 1)
        return text;
    while (n > 1 && at < end)
        n -= *at++ == delimiter;
    if (n != 1 || delimiter == '\0')
        return (struct hl7_text){text.at, 0};
    for (start = at; at < end && *at != delimiter; at++)
        ;
    return (struct hl7_text){start, (size_t)(at - start)};
}

struct hl7_text hl7_field(const struct hl7_message *message,
                          const struct hl7_segment *segment, size_t n)
{
    if (segment == NULL || n > HL7_FIELDS_MAX)
        return (struct hl7_text){"", 0};
    if (!hl7_is(segment, "MSH"))
        return cut(segment->text, message->field, n + 1);
    if (n == 1) /* the separator is itself the field's content */
        return (struct hl7_text){segment->text.at + 3, segment->text.n > 3 ? 1 : 0};
    return cut(segment->text, message->field, n);
}

void hl7_fields(const struct hl7_message *message, const struct hl7_segment *segment,
                struct hl7_text *fields, size_t count)
{
    const char *at = segment == NULL ? "" : segment->text.at, *start = at;
    const char *end = at + (segment == NULL ? 0 : segment->text.n);
    size_t n = 0;

    if (segment != NULL && hl7_is(segment, "MSH")) { /* counted differently: one by one */
        for (; n < count; n++)
            fields[n] = hl7_field(message, segment, n);
        return;
    }
    for (; at < end && n < count; at++)
        if (*at == message->field) {
            fields[n++] = (struct hl7_text){start, (size_t)(at - start)};
            start = at + 1;
        }
    if (n < count)
        fields[n++] = (struct hl7_text){start, (size_t)(end - start)};
    for (; n < count; n++)
        fields[n] = (struct hl7_text){end, 0};
}

size_t hl7_repetitions(const struct hl7_message *message, struct hl7_text field)
{
    size_t i, count = field.n > 0;

    for (i = 0; i < field.n; i++)
        count += message->repetition != '\0' && field.at[i] == message->repetition;
    return count;
}

struct hl7_text hl7_repetition(const struct hl7_message *message, struct hl7_text field,
                               size_t n)
{
    return cut(field, message->repetition, n);
}

struct hl7_text hl7_component(const struct hl7_message *message,
                              struct hl7_text repetition, size_t n)
{
    return cut(repetition, message->component, n);
}

struct hl7_text hl7_subcomponent(const struct hl7_message *message,
                                 struct hl7_text component, size_t n)
{
    return cut(component, message->subcomponent, n);
}

struct hl7_text hl7_get(const struct hl7_message *message, const char *segment, size_t f,
                        size_t c)
{
    struct hl7_text field = hl7_field(message, hl7_find(message, segment, 1), f);

    return hl7_component(message, hl7_repetition(message, field, 1), c);
}

enum hl7_presence hl7_presence(struct hl7_text text)
{
    if (text.n == 0)
        return HL7_EMPTY;
    return text.n == 2 && text.at[0] == '"' && text.at[1] == '"' ? HL7_NULL : HL7_VALUE;
}

bool hl7_equals(struct hl7_text text, const char *value)
{
    return text.n == strlen(value) && memcmp(text.at, value, text.n) == 0;
}

/* --- Values --- */

/* -1: none. */
static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct sink {
    char *out;
    size_t capacity, used; /* used counts on past capacity, so that the end can tell */
};

/* Never past capacity; whether all fitted is asked once, at the end. */
static void sink_put(struct sink *sink, char c)
{
    if (sink->used < sink->capacity)
        sink->out[sink->used] = c;
    sink->used++;
}

/* What is between two escape characters. False: unknown, keep it as it stands. */
static bool put_escape(const struct hl7_message *message, struct sink *sink,
                       const char *at, size_t n)
{
    size_t i;

    if (n == 1) {
        switch (at[0]) {
        case 'F':
            sink_put(sink, message->field);
            return true;
        case 'S':
            sink_put(sink, message->component);
            return true;
        case 'T':
            sink_put(sink, message->subcomponent);
            return true;
        case 'R':
            sink_put(sink, message->repetition);
            return true;
        case 'E':
            sink_put(sink, message->escape);
            return true;
        case 'H':
        case 'N':
            return true; /* highlighting on and off */
        default:
            return false;
        }
    }
    if (n == 3 && memcmp(at, ".br", 3) == 0) {
        sink_put(sink, '\n');
        return true;
    }
    if (n < 3 || at[0] != 'X' || n % 2 == 0)
        return false;
    for (i = 1; i < n; i++)
        if (hex_digit(at[i]) < 0)
            return false;
    for (i = 1; i < n; i += 2)
        sink_put(sink,
                 (char)(unsigned char)(hex_digit(at[i]) << 4 | hex_digit(at[i + 1])));
    return true;
}

/* The length of the UTF-8 sequence at the start of bytes, 0 if there is none: overlong
 * forms, surrogates and what lies past U+10FFFF are none. */
static size_t utf8_length(const unsigned char *bytes, size_t n)
{
    static const struct {
        unsigned char low, high, second_low, second_high;
        size_t length;
    } forms[] = {
        {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2},
        {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
        {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    size_t i, j;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (bytes[0] < forms[i].low || bytes[0] > forms[i].high)
            continue;
        if (forms[i].length > n)
            return 0;
        if (forms[i].length > 1 &&
            (bytes[1] < forms[i].second_low || bytes[1] > forms[i].second_high))
            return 0;
        for (j = 2; j < forms[i].length; j++)
            if ((bytes[j] & 0xc0) != 0x80)
                return 0;
        return forms[i].length;
    }
    return 0;
}

static bool utf8_valid(const char *text, size_t n)
{
    size_t at = 0, length;

    while (at < n) {
        length = utf8_length((const unsigned char *)text + at, n - at);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

/* Feeds that do not say so write Windows-1252, of which Latin-1 is a part: the apostrophe
 * of O'Brien is often 0x92. */
static uint32_t windows_1252(unsigned char byte)
{
    static const uint16_t high[32] = {
        0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
        0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd,
        0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
        0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178,
    };

    return byte >= 0x80 && byte < 0xa0 ? high[byte - 0x80] : byte;
}

/* Rewrites n bytes in place from the end, so that nothing is overwritten before it is
 * read. Returns the new length, or HL7_LIMIT. */
static int to_utf8(char *text, size_t n, size_t capacity)
{
    size_t i, size = 0, at;
    uint32_t c;

    for (i = 0; i < n; i++) {
        c = windows_1252((unsigned char)text[i]);
        size += c < 0x80 ? 1 : c < 0x800 ? 2 : 3;
    }
    if (size > capacity)
        return HL7_LIMIT;
    for (i = n, at = size; i > 0; i--) {
        c = windows_1252((unsigned char)text[i - 1]);
        if (c < 0x80) {
            text[--at] = (char)c;
            continue;
        }
        text[--at] = (char)(unsigned char)(0x80 | (c & 0x3f));
        if (c >= 0x800) {
            text[--at] = (char)(unsigned char)(0x80 | (c >> 6 & 0x3f));
            text[--at] = (char)(unsigned char)(0xe0 | c >> 12);
        } else {
            text[--at] = (char)(unsigned char)(0xc0 | c >> 6);
        }
    }
    return (int)size;
}

/* Control characters: CR becomes LF, LF and TAB pass, NUL and the rest have no business
 * in a value. */
static bool clean_controls(char *text, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c == '\r')
            text[i] = '\n';
        else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

/* An escape that is not closed, or means nothing, is text: feeds forget to escape
 * their backslashes. */
static void unescape(const struct hl7_message *message, struct hl7_text text,
                     struct sink *sink)
{
    size_t at;

    for (at = 0; at < text.n; at++) {
        const char *start = text.at + at, *end = NULL;

        if (*start == message->escape && message->escape != '\0')
            end = memchr(start + 1, message->escape, text.n - at - 1);
        if (end != NULL &&
            put_escape(message, sink, start + 1, (size_t)(end - start) - 1))
            at += (size_t)(end - start);
        else
            sink_put(sink, *start);
    }
}

/* Nearly every value: printable ASCII without an escape. False: it is not one of
 * these. */
static bool copy_plain(const struct hl7_message *message, struct hl7_text text, char *out,
                       size_t capacity)
{
    size_t i;

    if (text.n >= capacity)
        return false;
    for (i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if (c < 0x20 || c >= 0x7f || text.at[i] == message->escape)
            return false;
        out[i] = text.at[i];
    }
    out[i] = '\0';
    return true;
}

int hl7_value(const struct hl7_message *message, struct hl7_text text, char *out,
              size_t capacity)
{
    struct sink sink = {out, capacity - 1, 0};
    int size;

    if (capacity == 0)
        return HL7_LIMIT;
    out[0] = '\0';
    if (hl7_presence(text) != HL7_VALUE)
        return 0;
    while (text.n > 0 && text.at[0] == ' ') {
        text.at++;
        text.n--;
    }
    while (text.n > 0 && text.at[text.n - 1] == ' ')
        text.n--;

    if (copy_plain(message, text, out, capacity))
        return (int)text.n;
    unescape(message, text, &sink);
    if (sink.used > sink.capacity) {
        out[0] = '\0';
        return HL7_LIMIT;
    }
    if (!clean_controls(out, sink.used)) {
        out[0] = '\0';
        return HL7_CONTROL;
    }
    size = (int)sink.used;
    if (!utf8_valid(out, sink.used))
        size = to_utf8(out, sink.used, sink.capacity);
    out[size < 0 ? 0 : size] = '\0';
    return size;
}

struct hl7_text hl7_control_id(const char *bytes, size_t n)
{
    struct hl7_text line, id;
    size_t at, end;

    for (at = 0; at < n && (bytes[at] == '\r' || bytes[at] == '\n'); at++)
        ;
    if (n - at < MSH_SIZE_MIN || memcmp(bytes + at, "MSH", 3) != 0 ||
        !is_delimiter(bytes[at + 3]))
        return (struct hl7_text){"", 0};
    for (end = at; end < n && bytes[end] != '\r' && bytes[end] != '\n'; end++)
        ;
    line = (struct hl7_text){bytes + at, end - at};
    id = cut(line, bytes[at + 3], 10);
    if (id.n > HL7_CONTROL_ID_MAX)
        id.n = 0;
    return id;
}

/* --- Times --- */

/* Exactly `digits` digits. */
static bool take_digits(struct hl7_text *text, size_t digits, uint32_t *value)
{
    size_t i;

    *value = 0;
    if (text->n < digits)
        return false;
    for (i = 0; i < digits; i++) {
        if (text->at[i] < '0' || text->at[i] > '9')
            return false;
        *value = *value * 10 + (uint32_t)(text->at[i] - '0');
    }
    text->at += digits;
    text->n -= digits;
    return true;
}

/* False at the end of the text. */
static bool starts_with_digit(struct hl7_text text)
{
    return text.n > 0 && text.at[0] >= '0' && text.at[0] <= '9';
}

/* ".1" to ".1234", and up to six digits as some senders write. */
static bool take_fraction(struct hl7_text *text, uint32_t *microsecond)
{
    uint32_t digit, scale = 100000;

    *microsecond = 0;
    if (text->n == 0 || text->at[0] != '.')
        return true;
    text->at++;
    text->n--;
    if (!starts_with_digit(*text))
        return false;
    for (; starts_with_digit(*text); scale /= 10) {
        if (scale == 0 || !take_digits(text, 1, &digit))
            return false;
        *microsecond += digit * scale;
    }
    return true;
}

/* Nothing, or a sign and exactly four digits up to 14 hours. */
static bool take_zone(struct hl7_text *text, struct hl7_time *time)
{
    uint32_t hours, minutes;
    bool west;

    if (text->n == 0)
        return true;
    if (text->at[0] != '+' && text->at[0] != '-')
        return false;
    west = text->at[0] == '-';
    text->at++;
    text->n--;
    if (!take_digits(text, 2, &hours) || !take_digits(text, 2, &minutes) || hours > 14 ||
        minutes > 59 || text->n != 0)
        return false;
    time->has_zone = true;
    time->zone_s = (int32_t)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

bool hl7_time(struct hl7_text text, struct hl7_time *time)
{
    uint8_t *const parts[] = {&time->month, &time->day, &time->hour, &time->minute,
                              &time->second};
    struct civil civil = {0};
    uint32_t value;
    int64_t ignored;
    size_t i;

    *time = (struct hl7_time){.month = 1, .day = 1, .digits = 4};
    if (!take_digits(&text, 4, &value))
        return false;
    time->year = (int32_t)value;
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && starts_with_digit(text); i++) {
        if (!take_digits(&text, 2, &value))
            return false;
        *parts[i] = (uint8_t)value;
        time->digits = (uint8_t)(6 + 2 * i);
    }
    if (time->digits == 14 && !take_fraction(&text, &time->microsecond))
        return false;
    if (!take_zone(&text, time))
        return false;

    civil.year = time->year;
    civil.month = time->month;
    civil.day = time->day;
    civil.hour = time->hour;
    civil.minute = time->minute;
    civil.second = time->second;
    return civil_to_utc(&civil, &ignored);
}
