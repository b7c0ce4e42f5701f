/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate status`: is the daemon well? The exit code says so to a monitoring system.
 */
#include <stdio.h>
#include <string.h>

#include "tool/ask.h"
#include "tool/tool.h"
#include "tool/verbs.h"

static const char help[] =
    "usage: wardgate status [--chart] [--socket PATH] [--json]\n"
    "\n"
    "Asks the running wardgated (or, with --chart, wardgate-chart) how it is: "
    "connection, store or ledger, counts.\n"
    "\n"
    "  wardgate status                               the gateway of this board\n"
    "  wardgate status --chart                       the chart service of this server\n"
    "  wardgate status --socket /tmp/demo/chart.sock --json | python3 -m json.tool\n"
    "\n"
    "Exit codes: 0 well, 1 something needs a look (named last), 64 called wrongly, 69 "
    "the daemon does not answer.\n";

/* What both daemons use to say that all is not well. Returns the number of findings. */
static int find_trouble(const json_t *status)
{
    const char *trouble = json_string_value(json_object_get(status, "trouble"));
    const json_t *broker = json_object_get(status, "broker"),
                 *books = json_object_get(status, "books");
    const json_t *findings = json_object_get(status, "findings"), *destination, *finding;
    int found = 0;
    size_t i;

    if (trouble != NULL && *trouble != '\0' && ++found)
        (void)tool_fail(0, "trouble: %s", trouble);
    if (json_is_false(json_object_get(broker, "connected")) && ++found)
        (void)tool_fail(0, "the broker is not connected");
    if (json_is_false(json_object_get(books, "balanced")) && ++found)
        (void)tool_fail(0, "the books do not balance");
    if (json_is_false(json_object_get(status, "well")) && ++found)
        (void)tool_fail(0, "the daemon says that it is not well");
    json_array_foreach(findings, i, finding)
    {
        found++;
        (void)tool_fail(0, "%s",
                        json_is_string(finding) ? json_string_value(finding)
                                                : "a finding");
    }
    json_array_foreach(json_object_get(status, "destinations"), i, destination)
    {
        const char *name = json_string_value(json_object_get(destination, "name"));
        if (json_is_false(json_object_get(destination, "up")) && ++found)
            (void)tool_fail(0, "destination %s is down", name);
        if (json_integer_value(json_object_get(destination, "dead")) > 0 && ++found)
            (void)tool_fail(0, "destination %s has dead letters (wardgate held dead)",
                            name);
    }
    return found;
}

int verb_status(int argc, char **argv)
{
    const char *socket = NULL;
    bool json = false, chart = false;
    const struct tool_option options[] = {{"socket", &socket, NULL},
                                          {"chart", NULL, &chart},
                                          {NULL, NULL, NULL}};
    json_t *answers;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands > 0)
        return tool_usage("status", "takes no operand");
    code = ask(socket, chart ? SOCKET_CHART : SOCKET_GATEWAY,
               json_pack("{s:s}", "do", "status"), &answers);
    if (code != TOOL_OK)
        return code;
    show(answers, json);
    if (find_trouble(json_array_get(answers, 0)) > 0)
        code = TOOL_FINDINGS;
    json_decref(answers);
    return code;
}
