/* SPDX-License-Identifier: Apache-2.0
 *
 * One scalar of a configuration into one value, or a sentence that says what is wrong
 * with it and what would be right. The file, line and key are put before it by config.c.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/config_internal.h"
#include "base/ids.h"

/* A suffix and what it multiplies by. */
struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: printing takes the first that divides. */
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000},
                                        {"s", 1000},     {"ms", 1},      {NULL, 0}};
static const struct unit sizes[] = {
    {"GiB", INT64_C(1) << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {NULL, 0}};

static int __attribute__((format(printf, 2, 3)))
refuse(char *message, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(message, CONFIG_MESSAGE_SIZE, format, arguments);
    va_end(arguments);
    return -1;
}

/* Writes a value in the largest unit that says it exactly: what is printed reads back
 * to the same. */
static const char *with_unit(int64_t value, const struct unit *units, char *out)
{
    const struct unit *u = units;

    while (u[1].name != NULL && (value == 0 || value % u->factor != 0))
        u++;
    (void)snprintf(out, 32, "%" PRId64 "%s", value / u->factor, u->name);
    return out;
}

/* "1500ms", "10min", "3d". */
const char *config_duration_text(int64_t ms, char *out)
{
    return with_unit(ms, durations, out);
}

/* "512B", "64KiB", "8GiB". */
const char *config_size_text(int64_t bytes, char *out)
{
    return with_unit(bytes, sizes, out);
}

/* Decimal digits, with '-' if allowed, or 0x and hex digits. A leading 0 is refused: some
 * readers would take it for octal. Returns the first character after the number, or NULL.
 */
static const char *take_integer(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    const char *at = text + negative;
    uint64_t value = 0, base = 10;
    int digits = 0;

    if (at[0] == '0' && at[1] == 'x') {
        base = 16;
        at += 2;
    } else if (at[0] == '0' && at[1] >= '0' && at[1] <= '9')
        return NULL;
    for (;; at++, digits++) {
        uint64_t digit;
        if (*at >= '0' && *at <= '9')
            digit = (uint64_t)(*at - '0');
        else if (base == 16 && *at >= 'a' && *at <= 'f')
            digit = (uint64_t)(*at - 'a') + 10;
        else if (base == 16 && *at >= 'A' && *at <= 'F')
            digit = (uint64_t)(*at - 'A') + 10;
        else
            break;
        if (value > ((uint64_t)INT64_MAX - digit) / base)
            return NULL;
        value = value * base + digit;
    }
    if (digits == 0)
        return NULL;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return at;
}

/* A quoted number is text to YAML and to us: whoever wrote the quotes meant something
 * else. */
static int read_integer(const struct config_field *field, const char *text, bool plain,
                        int64_t *value, char *message)
{
    const char *end = plain ? take_integer(text, value) : NULL;

    if (end == NULL || *end != '\0')
        return refuse(message,
                      "'%.40s' is not a whole number (expected %" PRId64 "..%" PRId64 ")",
                      text, field->minimum, field->maximum);
    if (*value < field->minimum || *value > field->maximum)
        return refuse(message,
                      "%" PRId64 " is out of range (expected %" PRId64 "..%" PRId64 ")",
                      *value, field->minimum, field->maximum);
    return 0;
}

/* A number with a unit; a bare number is refused except 0, because "5" of what? */
static int read_with_unit(const struct config_field *field, const char *text,
                          const struct unit *units, int64_t limit, const char *examples,
                          int64_t *value, char *message)
{
    char low[32], high[32];
    const struct unit *u = units;
    int64_t number = 0;
    const char *end = take_integer(text, &number);

    (void)with_unit(field->minimum, units, low);
    (void)with_unit(field->maximum, units, high);
    if (end == NULL || number < 0)
        return refuse(message, "'%.40s' is not %s", text, examples);
    if (*end == '\0' && number != 0)
        return refuse(message, "'%.40s' needs a unit: %s", text, examples);
    if (*end != '\0') {
        while (u->name != NULL && strcmp(u->name, end) != 0)
            u++;
        if (u->name == NULL)
            return refuse(message, "'%.40s' has an unknown unit: %s", text, examples);
        if (number > limit / u->factor)
            return refuse(message, "%.40s is out of range (expected %s..%s)", text, low,
                          high);
        number *= u->factor;
    }
    if (number < field->minimum || number > field->maximum)
        return refuse(message, "%.40s is out of range (expected %s..%s)", text, low,
                      high);
    *value = number;
    return 0;
}

/* Four words. YAML 1.1 has twenty-two, among them "on", "n" and the country code of
 * Norway. */
static int read_boolean(const char *text, bool plain, bool *value, char *message)
{
    if (plain && (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0))
        *value = true;
    else if (plain && (strcmp(text, "false") == 0 || strcmp(text, "no") == 0))
        *value = false;
    else
        return refuse(message, "'%.40s' is not true or false", text);
    return 0;
}

/* The refusal lists all words: nobody should need the manual for it. */
static int read_choice(const struct config_field *field, const char *text, int64_t *value,
                       char *message)
{
    char known[160] = "";
    size_t at = 0;

    for (int64_t i = 0; field->choices[i] != NULL; i++) {
        int n;
        if (strcmp(field->choices[i], text) == 0) {
            *value = i;
            return 0;
        }
        n = snprintf(known + at, sizeof(known) - at, "%s%s", i == 0 ? "" : ", ",
                     field->choices[i]);
        if (n > 0 && (size_t)n < sizeof(known) - at)
            at += (size_t)n;
    }
    return refuse(message, "'%.40s' is not one of %s", text, known);
}

/* Characters and not bytes: a name of five letters with an accent is five long. */
static size_t characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80; /* not a UTF-8 continuation */
    return count;
}

/* Everything that becomes a C string here: no NUL inside, nothing that could end a
 * line of a log or a field of HL7. */
static int read_text(const struct config_field *field, const char *text, size_t n,
                     char *value, char *message)
{
    if (strlen(text) != n)
        return refuse(message, "contains a NUL");
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return refuse(message, "contains a control character");
    if (n >= field->size)
        return refuse(message, "is %zu bytes long (at most %zu)", n, field->size - 1);
    if (field->minimum > 0 && characters(text) < (size_t)field->minimum)
        return refuse(message, "is too short (at least %" PRId64 " characters)",
                      field->minimum);
    if (field->type == CONFIG_NAME && !name_valid(text))
        return refuse(
            message, "'%.40s' is not a name: 1..%d of a-z, 0-9 and '-', no '-' at an end",
            text, NAME_MAX_LENGTH);
    memcpy(value, text, n + 1);
    return 0;
}

/* A relative path starts at the configuration file and not at wherever the daemon was
 * started from. */
static int read_path(const struct config_field *field, const char *text, size_t n,
                     const char *folder, char *value, char *message)
{
    if (read_text(field, text, n, value, message) != 0)
        return -1;
    if (n == 0 || text[0] == '/')
        return 0;
    if ((size_t)snprintf(value, field->size, "%s/%s", folder, text) >= field->size)
        return refuse(message, "is too long below %.120s (at most %zu bytes)", folder,
                      field->size - 1);
    return 0;
}

/* Dispatches by type. A switch without a default: a new type must be handled here to
 * compile. */
int config_value(const struct config_field *field, const char *text, size_t n, bool plain,
                 const char *folder, void *value, char message[CONFIG_MESSAGE_SIZE])
{
    if (plain && n == 0)
        return refuse(message, "has no value");
    switch (field->type) {
    case CONFIG_INTEGER:
        return read_integer(field, text, plain, value, message);
    case CONFIG_BOOLEAN:
        return read_boolean(text, plain, value, message);
    case CONFIG_TEXT:
    case CONFIG_NAME:
        return read_text(field, text, n, value, message);
    case CONFIG_PATH:
        return read_path(field, text, n, folder, value, message);
    case CONFIG_CHOICE:
        return read_choice(field, text, value, message);
    case CONFIG_DURATION:
        return read_with_unit(field, text, durations, CONFIG_DURATION_MAX,
                              "a duration like 250ms, 5s, 10min, 72h or 2d", value,
                              message);
    case CONFIG_SIZE:
        return read_with_unit(field, text, sizes, CONFIG_SIZE_MAX,
                              "a size like 512B, 64KiB, 256MiB or 8GiB", value, message);
    case CONFIG_SECTION:
    case CONFIG_LIST:
        break;
    }
    return refuse(message, "is a value, but %s is expected",
                  field->type == CONFIG_LIST ? "a list" : "a section with keys");
}

/* Presets go through the same checks as values, so a table with a wrong one is found
 * by its first test. */
int config_preset(const struct config_field *field, const char *folder, void *value,
                  char message[CONFIG_MESSAGE_SIZE])
{
    const char *text = field->preset_text != NULL ? field->preset_text : "";

    switch (field->type) {
    case CONFIG_BOOLEAN:
        *(bool *)value = field->preset != 0;
        return 0;
    case CONFIG_INTEGER:
    case CONFIG_CHOICE:
    case CONFIG_DURATION:
    case CONFIG_SIZE:
        *(int64_t *)value = field->preset;
        return 0;
    case CONFIG_TEXT:
    case CONFIG_NAME:
    case CONFIG_PATH:
        if (*text == '\0') { /* "not given" is not held to a shortest length */
            *(char *)value = '\0';
            return 0;
        }
        return config_value(field, text, strlen(text), false, folder, value, message);
    case CONFIG_SECTION:
    case CONFIG_LIST:
        break;
    }
    return 0;
}
