/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate boards`: which boards there are, how far each was tried, and what its light
 * says.
 */
#include <stdio.h>
#include <string.h>

#include "tool/board_file.h"
#include "tool/tool.h"
#include "tool/verbs.h"

static const char help[] =
    "usage: wardgate boards [BOARD] [--leds] [--boards FOLDER] [--json]\n"
    "\n"
    "The boards that wardgate knows: nodes (a microcontroller between a device and the "
    "bus) and gateways\n"
    "(Linux), each with its status. With BOARD all that its board.yaml says: ports, "
    "pins, "
    "memory, how to\n"
    "flash and how to emulate it.\n"
    "\n"
    "  run on hardware      this project has run it on the board itself\n"
    "  run under emulation  run in QEMU, where not all of the board is modelled: "
    "'limits' says what isn't\n"
    "  run on the host      a process\n"
    "  compiled only        it builds; nothing of it was run\n"
    "\n"
    "  --leds           what the lights of each board (or of BOARD) mean\n"
    "  --boards FOLDER  where they are: boards/ of a checkout, or "
    "/usr/share/wardgate/boards\n"
    "\n"
    "  wardgate boards\n"
    "  wardgate boards stm32f405\n"
    "\n"
    "Exit codes: 0 well, 64 called wrongly or no such board, 74 the folder can't be "
    "read, "
    "78 a board.yaml is bad.\n";

/* What boards/linux_common/bedside-led shows; a test compares the two. */
static const struct {
    const char *shows, *means;
} lights[] = {
    {"on", "well: every device answers, the broker is connected, the store takes "
           "readings"},
    {"fast blink", "wardgated runs and something needs a look: wardgate status"},
    {"heartbeat", "Linux runs, wardgated doesn't answer: journalctl -u wardgated"},
    {"off", "no power, or Linux doesn't run"},
};

static const char *kind_of(const json_t *board)
{
    return board_text(board, "kind")[0] != '\0' ? board_text(board, "kind") : "node";
}

/* Which light, or "": it has none that wardgate drives. */
static const char *light_of(const json_t *board)
{
    const char *led = board_text(board, "led");

    return strcmp(led, "none") == 0 ? "" : led;
}

static json_t *lights_json(const json_t *board)
{
    json_t *list = json_array();

    for (size_t i = 0; light_of(board)[0] != '\0' && i < 4; i++)
        (void)json_array_append_new(list,
                                    json_pack("{s:s, s:s}", "shows", lights[i].shows,
                                              "means", lights[i].means));
    return json_pack("{s:s, s:s, s:o}", "name", board_text(board, "name"), "led",
                     light_of(board), "lights", list);
}

static void show_lights(const json_t *board)
{
    if (light_of(board)[0] == '\0') {
        (void)printf("%s: no light that wardgate drives\n", board_text(board, "name"));
        return;
    }
    (void)printf("%s: %s\n", board_text(board, "name"), light_of(board));
    for (size_t i = 0; i < sizeof(lights) / sizeof(lights[0]); i++)
        (void)printf("  %-11s %s\n", lights[i].shows, lights[i].means);
}

static void show_row(const json_t *board)
{
    const char *limits = board_text(board, "emulated_only_in_part");

    (void)printf("%-18s %-8s %-20s %s\n", board_text(board, "name"), kind_of(board),
                 board_text(board, "status"), board_text(board, "title"));
    if (limits[0] != '\0')
        (void)printf("%-18s %-8s   limits: %s\n", "", "", limits);
}

/* A list's item: a text as it is, a mapping as "key value, key value". */
static void show_item(json_t *item)
{
    const char *key, *separator = "  - ";
    json_t *value;

    if (json_is_string(item)) {
        (void)printf("  - %s\n", json_string_value(item));
        return;
    }
    json_object_foreach(item, key, value)
    {
        (void)printf("%s%s %s", separator, key,
                     json_is_string(value) ? json_string_value(value) : "...");
        separator = ", ";
    }
    (void)putchar('\n');
}

static void show_board(json_t *board)
{
    const char *key;
    json_t *value, *item;
    size_t i;

    json_object_foreach(board, key, value)
    {
        if (json_is_string(value)) {
            (void)printf("%s: %s\n", key, json_string_value(value));
            continue;
        }
        (void)printf("%s:\n", key);
        json_array_foreach(value, i, item) show_item(item);
    }
}

static void show_one(json_t *board, bool leds, bool whole, bool json)
{
    if (json)
        tool_print(leds ? lights_json(board) : json_incref(board));
    else if (leds)
        show_lights(board);
    else if (whole)
        show_board(board);
    else
        show_row(board);
}

int verb_boards(int argc, char **argv)
{
    const char *given = NULL, *folder;
    bool leds = false, json = false;
    const struct tool_option options[] = {{"boards", &given, NULL},
                                          {"leds", NULL, &leds},
                                          {NULL, NULL, NULL}};
    json_t *all = NULL, *board;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);
    size_t i;

    if (operands < 0)
        return code;
    if (operands > 1)
        return tool_usage("boards", "expected at most one board");
    folder = boards_folder(given);
    if (operands == 1) {
        if ((code = board_read(folder, argv[1], &board)) == TOOL_OK)
            show_one(board, leds, true, json);
        json_decref(board);
        return code;
    }
    code = boards_read(folder, &all);
    json_array_foreach(all, i, board) show_one(board, leds, false, json);
    if (code == TOOL_OK && json_array_size(all) == 0)
        code = tool_fail(TOOL_IO, "%s: no boards in it", folder);
    json_decref(all);
    return code;
}
