/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate held`: the worklist of a chart service. Nothing is charted on doubt; here a
 * person decides.
 */
#include <stdlib.h>
#include <string.h>

#include "tool/ask.h"
#include "tool/tool.h"
#include "tool/verbs.h"

static const char help[] =
    "usage: wardgate held [list|assign|discard|trust|whole|dead|lost] [--socket PATH] "
    "[--json]\n"
    "\n"
    "What the chart service holds because it is not sure enough whose it is, and what to "
    "do about it:\n"
    "\n"
    "  wardgate held                                          the lines: place, reason, "
    "from, to, readings\n"
    "  wardgate held assign --place bay-1-bed-3 --reason empty --from "
    "2026-07-22T14:00:00Z\n"
    "       --to 2026-07-22T14:30:00Z --number 4711 [--authority HOM] --who j.smith\n"
    "                                                         they are this patient's: "
    "chart them there\n"
    "  wardgate held discard --place bay-1-bed-3 --reason empty [--from T] [--to T]\n"
    "       --why 'sensor on the porter' --who j.smith        they are nobody's: never "
    "chart them\n"
    "  wardgate held trust GATEWAY --who j.smith              a gateway's store is to be "
    "believed again\n"
    "  wardgate held whole --who j.smith                      the ledger was put back "
    "from a copy, and\n"
    "                                                         the PAS has told again all "
    "that came since\n"
    "  wardgate held dead                                     messages that an EPR "
    "refused for good\n"
    "                                                         (again: wardgate resend "
    "--destination D)\n"
    "  wardgate held lost                                     readings that do not "
    "exist: "
    "of which device how\n"
    "                                                         many, and why\n"
    "\n"
    "Place, reason and times are those of a listed line. Each decision is kept with who "
    "and when.\n"
    "\n"
    "Exit codes: 0 nothing is held or lost, or done; 1 something is, or the service "
    "refused "
    "and says why;\n"
    "64 called wrongly, 69 the service does not answer.\n";

struct call {
    const char *socket, *place, *reason, *from, *to, *number, *authority, *who, *why;
    bool json;
};

/* Adds a member when there is a value for it. */
static void put(json_t *request, const char *key, const char *value)
{
    if (value != NULL)
        (void)json_object_set_new(request, key, json_string(value));
}

static json_t *selection(const char *verb, const struct call *call)
{
    json_t *request = json_pack("{s:s}", "do", verb);

    put(request, "place", call->place != NULL ? call->place : "");
    put(request, "reason", call->reason);
    put(request, "from", call->from);
    put(request, "to", call->to);
    put(request, "number", call->number);
    put(request, "authority", call->authority);
    put(request, "who", call->who);
    put(request, "why", call->why);
    return request;
}

static int list(const struct call *call, const char *verb)
{
    json_t *answers;
    int code = ask(call->socket, SOCKET_CHART, json_pack("{s:s}", "do", verb), &answers);

    if (code != TOOL_OK)
        return code;
    show(answers, call->json);
    code = json_array_size(answers) > 0 ? TOOL_FINDINGS : TOOL_OK;
    json_decref(answers);
    return code;
}

static int decide(const struct call *call, json_t *request)
{
    json_t *answers;
    int code = ask(call->socket, SOCKET_CHART, request, &answers);

    if (code == TOOL_OK) {
        show(answers, call->json);
        json_decref(answers);
    }
    return code;
}

/* Whose decision it is defaults to the login that makes it. */
static const char *who_of(const struct call *call)
{
    return call->who != NULL ? call->who : getenv("USER");
}

static int run(const char *command, int operands, char **operand, struct call *call)
{
    static const struct {
        const char *command, *verb;
    } lists[] = {{"list", "held"}, {"dead", "dead"}, {"lost", "losses"}};
    json_t *request;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (strcmp(command, lists[i].command) == 0)
            return operands > 0 ? tool_usage("held", "%s takes no operand", command)
                                : list(call, lists[i].verb);
    call->who = who_of(call);
    if (call->who == NULL)
        return tool_usage("held", "a decision needs --who LOGIN");
    if (strcmp(command, "trust") == 0) {
        if (operands != 1)
            return tool_usage("held", "expected: trust GATEWAY");
        request = json_pack("{s:s, s:s, s:s}", "do", "trust", "gateway", operand[0],
                            "who", call->who);
        return decide(call, request);
    }
    if (strcmp(command, "whole") == 0)
        return operands > 0 ? tool_usage("held", "whole takes no operand")
                            : decide(call, json_pack("{s:s, s:s}", "do", "whole", "who",
                                                     call->who));
    if (operands > 0 || call->reason == NULL)
        return tool_usage("held", "%s needs --place and --reason of a listed line",
                          command);
    if (strcmp(command, "assign") == 0)
        return call->number == NULL
                   ? tool_usage("held", "assign needs --number, the patient's")
                   : decide(call, selection("assign", call));
    return call->why == NULL ? tool_usage("held", "discard needs --why")
                             : decide(call, selection("discard", call));
}

int verb_held(int argc, char **argv)
{
    static const char *const commands[] = {"list", "assign", "discard", "trust",
                                           "dead", "lost",   "whole"};
    struct call call = {.json = false};
    const struct tool_option options[] = {
        {"socket", &call.socket, NULL}, {"place", &call.place, NULL},
        {"reason", &call.reason, NULL}, {"from", &call.from, NULL},
        {"to", &call.to, NULL},         {"number", &call.number, NULL},
        {"who", &call.who, NULL},       {"authority", &call.authority, NULL},
        {"why", &call.why, NULL},       {NULL, NULL, NULL}};
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &call.json, &code);

    if (operands < 0)
        return code;
    if (operands == 0)
        return run("list", 0, argv, &call);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i]) == 0)
            return run(commands[i], operands - 1, argv + 2, &call);
    return tool_usage("held", "unknown command '%.40s'", argv[1]);
}
