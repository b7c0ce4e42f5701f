/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate devices --catalogue`: what this version knows, without a gateway.
 */
#include "tool/devices_catalogue.h"

#include <stdio.h>

#include "drivers/driver.h"
#include "drivers/regmap.h"
#include "tool/ask.h"

#define LINE_SIZE 32

/* As engineers write it: "9600 8N1". */
static const char *line_text(const struct driver_line *line, char out[LINE_SIZE])
{
    static const char parity[] = {[DRIVER_PARITY_NONE] = 'N',
                                  [DRIVER_PARITY_EVEN] = 'E',
                                  [DRIVER_PARITY_ODD] = 'O'};

    (void)snprintf(out, LINE_SIZE, "%u %u%c%u", (unsigned)line->baud, line->data_bits,
                   parity[line->parity], line->stop_bits);
    return out;
}

/* Every entry has the same keys, so that a program needs no cases. */
static json_t *entry(const char *name, const char *kind, bool stable, const char *line,
                     const char *title, const char *evidence, const char *tests)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "name", name, "kind", kind,
                     "status", stable ? "stable" : "beta", "line", line, "title", title,
                     "evidence", evidence, "tests", tests);
}

/* The names and lines as a table, and below it what would make the table too wide. */
static void show_people(const json_t *catalogue)
{
    static const char *const narrow[] = {"name", "kind", "status", "line", "title"};
    json_t *rows = json_array();
    const json_t *item;
    size_t i;

    json_array_foreach(catalogue, i, item)
    {
        json_t *row = json_object();

        for (size_t k = 0; k < sizeof(narrow) / sizeof(narrow[0]); k++)
            (void)json_object_set(row, narrow[k], json_object_get(item, narrow[k]));
        (void)json_array_append_new(rows, row);
    }
    show(rows, false);
    json_array_foreach(catalogue, i, item)
    {
        (void)printf("\n%s\n  evidence: %s\n  tests: %s\n",
                     json_string_value(json_object_get(item, "name")),
                     json_string_value(json_object_get(item, "evidence")),
                     json_string_value(json_object_get(item, "tests")));
    }
    json_decref(rows);
}

/* A profile has no line of its own: the site's bus has. Its golden frames are what the
 * build refuses to go on without. */
int devices_catalogue(bool json)
{
    json_t *catalogue = json_array();
    const struct driver *driver;
    const struct regmap *map;
    char line[LINE_SIZE];

    for (size_t i = 0; (driver = driver_at(i)) != NULL; i++)
        (void)json_array_append_new(catalogue,
                                    entry(driver->name, "driver", driver->stable,
                                          line_text(&driver->line, line), driver->title,
                                          driver->evidence, driver->tests));
    for (size_t i = 0; (map = regmap_at(i)) != NULL; i++)
        (void)json_array_append_new(
            catalogue,
            entry(map->name, "profile", map->stable, "modbus, as the bus", map->title,
                  map->evidence, "golden frames of every observed field, at each build"));
    if (json)
        show(catalogue, true);
    else
        show_people(catalogue);
    json_decref(catalogue);
    return TOOL_OK;
}
