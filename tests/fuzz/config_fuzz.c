/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration file of any content against a schema with every type: accepted, it
 * prints and reads back the same; refused, it says why.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/ids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct item {
    char name[NAME_MAX_LENGTH + 1];
    int64_t number;
    bool flag;
};
struct part {
    char path[128];
    int64_t size, duration;
};
struct sample {
    char site[NAME_MAX_LENGTH + 1], text[24];
    int64_t choice;
    struct part part;
    struct config_list items;
};

static const char *const choices[] = {"none", "even", "odd", NULL};
static const struct config_field item_fields[] = {
    {.key = "name",
     .type = CONFIG_NAME,
     .offset = offsetof(struct item, name),
     .size = NAME_MAX_LENGTH + 1,
     .required = true},
    {.key = "number",
     .type = CONFIG_INTEGER,
     .offset = offsetof(struct item, number),
     .minimum = -5,
     .maximum = 247},
    {.key = "flag", .type = CONFIG_BOOLEAN, .offset = offsetof(struct item, flag)},
    {.key = NULL},
};
static const struct config_field part_fields[] = {
    {.key = "path",
     .type = CONFIG_PATH,
     .offset = offsetof(struct part, path),
     .size = 128,
     .preset_text = "x"},
    {.key = "size",
     .type = CONFIG_SIZE,
     .offset = offsetof(struct part, size),
     .maximum = INT64_C(1) << 40},
    {.key = "wait",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct part, duration),
     .maximum = 86400000},
    {.key = NULL},
};
static const struct config_field fields[] = {
    {.key = "site",
     .type = CONFIG_NAME,
     .offset = offsetof(struct sample, site),
     .size = NAME_MAX_LENGTH + 1},
    {.key = "text",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct sample, text),
     .size = 24,
     .minimum = 1},
    {.key = "choice",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct sample, choice),
     .choices = choices},
    {.key = "part",
     .type = CONFIG_SECTION,
     .offset = offsetof(struct sample, part),
     .of = part_fields},
    {.key = "items",
     .type = CONFIG_LIST,
     .offset = offsetof(struct sample, items),
     .size = sizeof(struct item),
     .of = item_fields,
     .maximum = 5},
    {.key = NULL},
};

/* Reads text; returns NULL when it is refused. */
static struct config *load(const char *text, struct sample *sample)
{
    char error[CONFIG_ERROR_SIZE] = "";
    struct config *config = NULL;

    memset(sample, 0, sizeof(*sample));
    if (config_load("/f.yaml", text, fields, sample, &config, error) == 0)
        return config;
    if (strncmp(error, "/f.yaml:", 8) != 0)
        abort();
    return NULL;
}

static void compare(const struct sample *a, const struct sample *b)
{
    if (strcmp(a->site, b->site) != 0 || strcmp(a->text, b->text) != 0 ||
        a->choice != b->choice || memcmp(&a->part, &b->part, sizeof(a->part)) != 0 ||
        a->items.count != b->items.count ||
        (a->items.count > 0 && memcmp(a->items.items, b->items.items,
                                      a->items.count * sizeof(struct item)) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sample first, second;
    struct config *a, *b;
    char *text = malloc(size + 1), *printed = NULL, error[CONFIG_ERROR_SIZE];
    size_t n;
    FILE *file;

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if ((a = load(text, &first)) != NULL) {
        if ((file = open_memstream(&printed, &n)) == NULL)
            abort();
        config_print(fields, &first, file);
        if (fclose(file) != 0 || (b = load(printed, &second)) == NULL)
            abort();
        compare(&first, &second);
        (void)config_error(b, &second.part.size, error, "x");
        config_free(b);
        config_free(a);
        free(printed);
    }
    free(text);
    return 0;
}
