/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate devices`: every device of a gateway and how it does.
 */
#include "tool/ask.h"
#include "tool/tool.h"
#include "tool/verbs.h"

static const char help[] = "usage: wardgate devices [--socket PATH] [--json]\n"
                           "\n"
                           "Lists the devices of the running wardgated: line, state, "
                           "readings, errors, last seen. 'absent' means that it\n"
                           "does not answer (cable, power, address); 'identity' that "
                           "another device answers there than the one known.\n"
                           "\n"
                           "  wardgate devices\n"
                           "  wardgate devices --json | grep monitor-3\n"
                           "\n"
                           "Exit codes: 0 all answer, 1 some do not, 64 called wrongly, "
                           "69 the daemon does not answer.\n";

/* True if one of the objects says "up": false or "present": false. Answers may be lines,
 * or one object that holds the list. */
static bool some_absent(const json_t *list)
{
    const json_t *item;
    bool absent = false;
    size_t i;

    json_array_foreach(list, i, item)
    {
        const json_t *inner = json_object_get(item, "devices");
        absent = absent || json_is_false(json_object_get(item, "up")) ||
                 json_is_false(json_object_get(item, "present")) ||
                 (inner != NULL && some_absent(inner));
    }
    return absent;
}

int verb_devices(int argc, char **argv)
{
    const char *socket = NULL;
    bool json = false;
    const struct tool_option options[] = {{"socket", &socket, NULL}, {NULL, NULL, NULL}};
    json_t *answers;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands > 0)
        return tool_usage("devices", "takes no operand");
    code = ask(socket, SOCKET_GATEWAY, json_pack("{s:s}", "do", "devices"), &answers);
    if (code != TOOL_OK)
        return code;
    show(answers, json);
    code = some_absent(answers) ? TOOL_FINDINGS : TOOL_OK;
    json_decref(answers);
    return code;
}
