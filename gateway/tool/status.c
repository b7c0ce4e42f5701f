/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate status`: is the daemon well? The exit code says so to a monitoring system.
 */
#include <stdio.h>

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

/* One thing to look at. */
static int found(bool is, const char *text, const char *detail)
{
    if (!is)
        return 0;
    (void)tool_fail(0, "%s%s%s", text, detail != NULL ? ": " : "",
                    detail != NULL ? detail : "");
    return 1;
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* wardgated's answer. */
static int look_at_gateway(const json_t *status)
{
    const json_t *store = json_object_get(status, "store"),
                 *broker = json_object_get(status, "broker");
    json_int_t devices = json_integer_value(json_object_get(status, "devices"));

    return found(json_is_false(json_object_get(store, "open")), "the store is shut",
                 text_of(store, "error")) +
           found(json_is_true(json_object_get(store, "failing")), "the store can't write",
                 text_of(store, "error")) +
           found(json_is_false(json_object_get(broker, "connected")),
                 "the broker is not connected", text_of(broker, "tls_error")) +
           found(json_integer_value(json_object_get(status, "devices_present")) < devices,
                 "some devices do not answer (wardgate devices)", NULL) +
           found(json_integer_value(json_object_get(status, "devices_held")) > 0,
                 "a device is another than it was (wardgate devices)", NULL);
}

/* wardgate-chart's. */
static int look_at_chart(const json_t *status)
{
    const json_t *broker = json_object_get(status, "broker"),
                 *books = json_object_get(status, "books"), *destination;
    const json_t *overdue = json_object_get(status, "overdue");
    const char *trouble = text_of(status, "trouble"), *error = text_of(broker, "error");
    int count =
        found(trouble != NULL && *trouble != '\0', "nothing can be taken in", trouble) +
        found(json_is_false(json_object_get(broker, "connected")),
              "the broker is not connected",
              error != NULL && *error != '\0' ? error : NULL) +
        found(text_of(json_object_get(status, "adt"), "census_until") != NULL,
              "the ledger was put back from a copy; later readings wait until the PAS "
              "has told everything again (wardgate held whole)",
              text_of(json_object_get(status, "adt"), "census_until")) +
        found(json_is_false(json_object_get(books, "balanced")),
              "the books do not balance", NULL) +
        found(json_array_size(overdue) > 0,
              "a gateway has records that never arrive (wardgate held)",
              text_of(json_array_get(overdue, 0), "gateway"));
    size_t i;

    json_array_foreach(json_object_get(status, "destinations"), i, destination)
    {
        count += found(json_is_false(json_object_get(destination, "up")),
                       "a destination is down", text_of(destination, "name")) +
                 found(json_integer_value(json_object_get(destination, "dead")) > 0,
                       "a destination refused messages for good (wardgate held dead)",
                       text_of(destination, "name"));
    }
    return count;
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
    (void)fflush(stdout);
    if ((json_object_get(json_array_get(answers, 0), "books") != NULL
             ? look_at_chart
             : look_at_gateway)(json_array_get(answers, 0)) > 0)
        code = TOOL_FINDINGS;
    json_decref(answers);
    return code;
}
