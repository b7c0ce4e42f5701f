/* SPDX-License-Identifier: Apache-2.0
 *
 * A filled struct back to YAML, commented: what -T prints. It reads back as the same
 * configuration, and a test holds it to that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/config_internal.h"

/* A quoted scalar can hold anything; only quote and backslash need care (control
 * characters never got in). */
static void print_text(FILE *file, const char *text)
{
    (void)fputc('"', file);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', file);
        (void)fputc(*text, file);
    }
    (void)fputc('"', file);
}

/* One value in the form that config_value.c reads. */
static void print_scalar(FILE *file, const struct config_field *field, const void *value)
{
    char text[32];
    int64_t number = 0;

    if (field->type == CONFIG_TEXT || field->type == CONFIG_NAME ||
        field->type == CONFIG_PATH) {
        print_text(file, value);
        return;
    }
    if (field->type == CONFIG_BOOLEAN) {
        (void)fputs(*(const bool *)value ? "true" : "false", file);
        return;
    }
    memcpy(&number, value, sizeof(number));
    if (field->type == CONFIG_DURATION)
        (void)fputs(config_duration_text(number, text), file);
    else if (field->type == CONFIG_SIZE)
        (void)fputs(config_size_text(number, text), file);
    else if (field->type == CONFIG_CHOICE)
        (void)fputs(field->choices[number], file);
    else
        (void)fprintf(file, "%" PRId64, number);
}

/* An optional text that was not given might be refused if read back as "": it stays away.
 * Where there is a preset, "" was said on purpose, and leaving it out would bring the
 * preset back. */
static bool is_absent(const struct config_field *field, const char *value)
{
    return (field->type == CONFIG_TEXT || field->type == CONFIG_NAME ||
            field->type == CONFIG_PATH) &&
           *value == '\0' && !field->required &&
           (field->preset_text == NULL || *field->preset_text == '\0');
}

/* dash: the first key stands behind a list's "- ". */
static void print_mapping(FILE *file, const struct config_field *schema, const char *from,
                          int indent, bool dash)
{
    for (const struct config_field *field = schema; field->key != NULL; field++) {
        const char *value = from + field->offset;
        const struct config_list *list = (const void *)value;
        if (is_absent(field, value) || (field->type == CONFIG_LIST && list->count == 0)) {
            (void)fprintf(file, "%*s# %s:", indent, "", field->key);
        } else {
            (void)fprintf(file, "%*s%s%s:", dash ? indent - 2 : indent, "",
                          dash ? "- " : "", field->key);
            dash = false;
        }
        if (field->type != CONFIG_SECTION && field->type != CONFIG_LIST) {
            (void)fputc(' ', file);
            print_scalar(file, field, value);
        }
        if (field->help != NULL)
            (void)fprintf(file, "  # %s", field->help);
        (void)fputc('\n', file);

        if (field->type == CONFIG_SECTION)
            print_mapping(file, field->of, value, indent + 2, false);
        else if (field->type == CONFIG_LIST)
            for (size_t i = 0; i < list->count; i++)
                print_mapping(file, field->of,
                              (const char *)list->items + i * field->size, indent + 4,
                              true);
    }
}

/* file is a FILE *, kept void in the header so that it need not include stdio.h. */
void config_print(const struct config_field *schema, const void *from, void *file)
{
    print_mapping(file, schema, from, 0, false);
}
