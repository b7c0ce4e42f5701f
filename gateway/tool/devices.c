/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate devices`: every device of a gateway and how it does.
 */
#include <string.h>

#include "tool/ask.h"
#include "tool/devices_catalogue.h"
#include "tool/tool.h"
#include "tool/verbs.h"

static const char help[] =
    "usage: wardgate devices [--socket PATH] [--json]\n"
    "       wardgate devices confirm DEVICE [--socket PATH] [--json]\n"
    "       wardgate devices --catalogue [--json]\n"
    "\n"
    "Lists the devices of the running wardgated: line, presence, readings, errors, last "
    "seen. A device that is not\n"
    "present does not answer (cable, power, address). One that is held answers as "
    "another than it was: a swapped\n"
    "monitor. Its readings wait until somebody who has looked says with confirm that it "
    "is meant to be there.\n"
    "--json has every counter of every line.\n"
    "--catalogue asks no daemon: it lists every serial driver and Modbus profile that is "
    "built in, its status, its\n"
    "usual line, where the protocol's facts come from and how it was tested. What is "
    "beta "
    "needs 'beta: true' at\n"
    "the device.\n"
    "\n"
    "  wardgate devices\n"
    "  wardgate devices confirm monitor-3\n"
    "  wardgate devices --catalogue\n"
    "\n"
    "Exit codes: 0 all answer, 1 some do not or are held, 64 called wrongly, 69 the "
    "daemon does not answer.\n";

/* What a person looks for first, in this order; the part after '.' is inside "line". */
static const char *const columns[] = {
    "id",           "bus",      "place",    "present",  "held",          "readings",
    "gaps",         "rejected", "last_utc", "identity", "line.timeouts", "line.crc",
    "line.foreign", NULL};

/* A flat object of those columns that the device has. */
static json_t *row_of(const json_t *device)
{
    json_t *row = json_object();

    for (size_t i = 0; columns[i] != NULL; i++) {
        bool inner = strncmp(columns[i], "line.", 5) == 0;
        const char *key = inner ? columns[i] + 5 : columns[i];
        json_t *value =
            json_object_get(inner ? json_object_get(device, "line") : device, key);
        if (value != NULL)
            (void)json_object_set(row, key, value);
    }
    return row;
}

static void show_devices(const json_t *devices)
{
    json_t *rows = json_array();
    const json_t *device;
    size_t i;

    json_array_foreach(devices, i, device)
    {
        (void)json_array_append_new(rows, row_of(device));
    }
    show(rows, false);
    json_decref(rows);
}

static bool some_need_a_look(const json_t *devices)
{
    const json_t *device;
    bool found = false;
    size_t i;

    json_array_foreach(devices, i, device)
    {
        found = found || json_is_false(json_object_get(device, "present")) ||
                json_is_true(json_object_get(device, "held"));
    }
    return found;
}

int verb_devices(int argc, char **argv)
{
    const char *socket = NULL;
    bool json = false, catalogue = false;
    const struct tool_option options[] = {{"socket", &socket, NULL},
                                          {"catalogue", NULL, &catalogue},
                                          {NULL, NULL, NULL}};
    json_t *answers;
    const json_t *devices;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);
    bool confirm = operands == 2 && strcmp(argv[1], "confirm") == 0;

    if (operands < 0)
        return code;
    if (catalogue && (operands > 0 || socket != NULL))
        return tool_usage("devices", "--catalogue asks no daemon: it goes with --json "
                                     "and nothing else");
    if (catalogue)
        return devices_catalogue(json);
    if (operands > 0 && !confirm)
        return tool_usage("devices", "expected nothing, or: confirm DEVICE");
    code = ask(socket, SOCKET_GATEWAY,
               confirm ? json_pack("{s:s, s:s}", "do", "confirm", "device", argv[2])
                       : json_pack("{s:s}", "do", "devices"),
               &answers);
    if (code != TOOL_OK)
        return code;
    devices = json_object_get(json_array_get(answers, 0), "devices");
    if (json || devices == NULL)
        show(answers, json);
    else
        show_devices(devices);
    code = some_need_a_look(devices) ? TOOL_FINDINGS : TOOL_OK;
    json_decref(answers);
    return code;
}
