/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate queue`: what a gateway holds that the chart has not receipted.
 */
#include "tool/ask.h"
#include "tool/tool.h"
#include "tool/verbs.h"

static const char help[] =
    "usage: wardgate queue [--socket PATH] [--json]\n"
    "\n"
    "Shows what the running wardgated has stored and not yet been receipted for: how "
    "much, how old, how long the\n"
    "room lasts. A queue is no fault: after an outage it drains by itself, live readings "
    "first. One that grows\n"
    "while the broker is connected means that the chart does not receipt (wardgate "
    "status --chart there).\n"
    "\n"
    "  wardgate queue\n"
    "  watch -n 5 wardgate queue\n"
    "\n"
    "Exit codes: 0 answered, 64 called wrongly, 69 the daemon does not answer.\n";

int verb_queue(int argc, char **argv)
{
    const char *socket = NULL;
    bool json = false;
    const struct tool_option options[] = {{"socket", &socket, NULL}, {NULL, NULL, NULL}};
    json_t *answers;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands > 0)
        return tool_usage("queue", "takes no operand");
    code = ask(socket, SOCKET_GATEWAY, json_pack("{s:s}", "do", "queue"), &answers);
    if (code != TOOL_OK)
        return code;
    show(answers, json);
    json_decref(answers);
    return TOOL_OK;
}
