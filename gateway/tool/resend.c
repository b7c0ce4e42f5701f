/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate resend`: what was sent once is asked for, or sent, again. Nothing is charted
 * twice by it.
 */
#include <stdlib.h>

#include "tool/ask.h"
#include "tool/tool.h"
#include "tool/verbs.h"

static const char help[] =
    "usage: wardgate resend [GATEWAY] [--socket PATH] [--json]\n"
    "       wardgate resend --destination NAME [--message N] [--who LOGIN]\n"
    "\n"
    "From the bedside: asks GATEWAY (or every gateway) to offer again what the chart "
    "service misses, for instance\n"
    "after the ledger was restored from a copy. Gateways keep receipted readings while "
    "there is room (a day or\n"
    "more). What the ledger has already is recognised and changes nothing.\n"
    "\n"
    "To an EPR: sends its dead letters again (wardgate held dead lists them), byte for "
    "byte with the control id that\n"
    "they had.\n"
    "\n"
    "  wardgate resend bay-1\n"
    "  wardgate resend --destination epr --message 17 --who j.smith\n"
    "\n"
    "Exit codes: 0 done, 1 the service refused and says why, 64 called wrongly, 69 the "
    "service does not answer.\n";

int verb_resend(int argc, char **argv)
{
    const char *socket = NULL, *destination = NULL, *message = NULL, *who = NULL;
    bool json = false;
    const struct tool_option options[] = {{"socket", &socket, NULL},
                                          {"destination", &destination, NULL},
                                          {"message", &message, NULL},
                                          {"who", &who, NULL},
                                          {NULL, NULL, NULL}};
    json_t *request, *answers;
    long long number = 0;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands > 1 || (operands == 1 && destination != NULL))
        return tool_usage("resend", "expected one GATEWAY, or --destination");
    if (message != NULL &&
        (destination == NULL || !tool_number(message, 1, 1LL << 62, &number)))
        return tool_usage("resend", "--message needs a number, and --destination");
    if (who == NULL)
        who = getenv("USER");
    if (destination == NULL)
        request = operands == 1
                      ? json_pack("{s:s, s:s}", "do", "offer", "gateway", argv[1])
                      : json_pack("{s:s}", "do", "offer");
    else
        request =
            json_pack("{s:s, s:s, s:I, s:s}", "do", "resend", "destination", destination,
                      "message", (json_int_t)number, "who", who != NULL ? who : "");
    code = ask(socket, SOCKET_CHART, request, &answers);
    if (code == TOOL_OK) {
        show(answers, json);
        json_decref(answers);
    }
    return code;
}
