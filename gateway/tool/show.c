/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers for people, whatever their keys.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool/ask.h"

#define CELL_SIZE   128
#define COLUMNS_MAX 24

/* True if every member is a value: the object can be a row. */
static bool is_flat(json_t *object)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return false;
    json_object_foreach(object, key, value)
    {
        if (json_is_object(value) || json_is_array(value))
            return false;
    }
    return true;
}

/* One value on one line. Text of daemons is shown without control characters: it may hold
 * a device's own words. */
static const char *cell(json_t *value, char out[CELL_SIZE])
{
    if (json_is_string(value))
        (void)snprintf(out, CELL_SIZE, "%s", json_string_value(value));
    else if (json_is_integer(value))
        (void)snprintf(out, CELL_SIZE, "%" JSON_INTEGER_FORMAT,
                       json_integer_value(value));
    else if (json_is_real(value))
        (void)snprintf(out, CELL_SIZE, "%g", json_real_value(value));
    else if (json_is_boolean(value))
        (void)snprintf(out, CELL_SIZE, "%s", json_is_true(value) ? "yes" : "no");
    else
        (void)snprintf(out, CELL_SIZE, "-");
    for (char *c = out; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return out;
}

/* Columns are the first row's keys, each as wide as its widest cell. */
static void show_table(json_t *rows, int indent)
{
    const char *keys[COLUMNS_MAX], *key;
    size_t columns = 0, row;
    int widths[COLUMNS_MAX];
    char text[CELL_SIZE];
    json_t *value;
    json_t *object;

    json_object_foreach(json_array_get(rows, 0), key, value)
    {
        if (columns < COLUMNS_MAX)
            keys[columns++] = key;
    }
    for (size_t c = 0; c < columns; c++) {
        widths[c] = (int)strlen(keys[c]);
        json_array_foreach(rows, row, object)
        {
            int n = (int)strlen(cell(json_object_get(object, keys[c]), text));
            if (n > widths[c])
                widths[c] = n;
        }
    }
    (void)printf("%*s", indent, "");
    for (size_t c = 0; c < columns; c++)
        (void)printf("%-*s%s", c + 1 < columns ? widths[c] : 0, keys[c],
                     c + 1 < columns ? "  " : "\n");
    json_array_foreach(rows, row, object)
    {
        (void)printf("%*s", indent, "");
        for (size_t c = 0; c < columns; c++)
            (void)printf("%-*s%s", c + 1 < columns ? widths[c] : 0,
                         cell(json_object_get(object, keys[c]), text),
                         c + 1 < columns ? "  " : "\n");
    }
}

static void show_value(const char *key, json_t *value, int indent);

/* Each member on its line, or indented below it. */
static void show_object(json_t *object, int indent)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) show_value(key, value, indent);
}

/* A table where that is possible. */
static void show_list(json_t *list, int indent)
{
    json_t *item;
    size_t i;
    bool table = json_array_size(list) > 0;

    json_array_foreach(list, i, item) table =
        table && is_flat(item) && json_object_size(item) > 0;
    if (table) {
        show_table(list, indent);
        return;
    }
    json_array_foreach(list, i, item)
    {
        if (json_is_object(item)) {
            show_object(item, indent);
            (void)fputc('\n', stdout);
        } else
            show_value("-", item, indent);
    }
}

static void show_value(const char *key, json_t *value, int indent)
{
    char text[CELL_SIZE];

    if (json_is_object(value)) {
        (void)printf("%*s%s:\n", indent, "", key);
        show_object(value, indent + 2);
    } else if (json_is_array(value)) {
        (void)printf("%*s%s:%s\n", indent, "", key,
                     json_array_size(value) == 0 ? " none" : "");
        show_list(value, indent + 2);
    } else
        (void)printf("%*s%s: %s\n", indent, "", key, cell(value, text));
}

/* For programs exactly what the daemon said. */
void show(json_t *answers, bool json)
{
    json_t *line;
    size_t i;

    if (!json) {
        show_list(answers, 0);
        return;
    }
    json_array_foreach(answers, i, line)
    {
        (void)json_dumpf(line, stdout, JSON_COMPACT);
        (void)fputc('\n', stdout);
    }
}
