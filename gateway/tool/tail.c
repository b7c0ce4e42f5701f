/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate tail`: a gateway's newest records as JSON lines.
 */
#include <stdio.h>
#include <time.h>

#include "tool/ask.h"
#include "tool/tool.h"
#include "tool/verbs.h"

#define COUNT_MAX 1000
#define FOLLOW_COUNT                                                                     \
    200 /* records in one look: a large answer costs the daemon its memory */
#define FOLLOW_NS 500000000 /* between two looks */

static const char help[] =
    "usage: wardgate tail [--count N] [--follow] [--socket PATH]\n"
    "\n"
    "Prints the newest records of the running wardgated, oldest first, one JSON object a "
    "line: readings, gaps,\n"
    "clock fixes, events. --follow goes on until it is interrupted. Values are the "
    "device's own digits.\n"
    "\n"
    "  wardgate tail --count 5\n"
    "  wardgate tail --follow | grep '\"gap\"'\n"
    "\n"
    "Exit codes: 0 answered, 64 called wrongly, 69 the daemon does not answer.\n";

/* Prints the records. The last line is no record: it says where to go on. */
static void print(json_t *answers, json_int_t *next)
{
    size_t last = json_array_size(answers);
    const json_t *line = last > 0 ? json_array_get(answers, last - 1) : NULL;

    if (json_is_integer(json_object_get(line, "next")) &&
        json_object_get(line, "seq") == NULL) {
        *next = json_integer_value(json_object_get(line, "next"));
        (void)json_array_remove(answers, last - 1);
    }
    show(answers, true);
}

int verb_tail(int argc, char **argv)
{
    const char *socket = NULL, *count_text = NULL;
    bool json = false, follow = false;
    const struct tool_option options[] = {{"socket", &socket, NULL},
                                          {"count", &count_text, NULL},
                                          {"follow", NULL, &follow},
                                          {NULL, NULL, NULL}};
    long long count = 20;
    json_int_t next = 1;
    json_t *answers;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands > 0)
        return tool_usage("tail", "takes no operand");
    if (count_text != NULL && !tool_number(count_text, 1, COUNT_MAX, &count))
        return tool_usage("tail", "--count '%.20s': expected 1..%d", count_text,
                          COUNT_MAX);

    code =
        ask(socket, SOCKET_GATEWAY,
            json_pack("{s:s, s:I}", "do", "tail", "count", (json_int_t)count), &answers);
    while (code == TOOL_OK) {
        print(answers, &next);
        json_decref(answers);
        if (!follow || fflush(stdout) != 0) /* whoever read it has gone */
            break;
        (void)nanosleep(&(struct timespec){0, FOLLOW_NS}, NULL);
        code = ask(socket, SOCKET_GATEWAY,
                   json_pack("{s:s, s:I, s:I}", "do", "tail", "count",
                             (json_int_t)FOLLOW_COUNT, "from", next),
                   &answers);
    }
    return code;
}
