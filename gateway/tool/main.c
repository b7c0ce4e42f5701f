/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate`: the engineer's tool. One verb, one file.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tool/tool.h"
#include "tool/verbs.h"

/* A verb gets argv from its own name on. */
struct verb {
    const char *name, *help;
    int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
    {"boards", "the boards there are, how far each was tried, what its light says",
     verb_boards},
    {"bundle", "one file for whoever helps from afar, without values or keys",
     verb_bundle},
    {"certify", "the record that a device was commissioned, to print and sign",
     verb_certify},
    {"check", "a configuration, profiles or a broker, before they matter", verb_check},
    {"devices", "each device of a running wardgated and how it does", verb_devices},
#ifdef WARDGATE_EMULATE
    {"emulate", "a bedside device on a pty or socket, for trying things out",
     verb_emulate},
#endif
    {"flash", "the steps that put the program onto a board, or run them", verb_flash},
    {"enrol", "a new board: its key, certificate, broker, site and beds", verb_enrol},
    {"held", "readings that wait for a decision at the chart: list, assign, discard",
     verb_held},
    {"keygen", "the key that signs a site's firmware", verb_keygen},
    {"pki", "a site's certificates: authorities, boards, broker, charts, revocation",
     verb_pki},
    {"probe", "which driver a device on a serial line needs", verb_probe},
    {"queue", "what wardgated has stored and not yet been receipted for", verb_queue},
    {"read", "a Modbus device's registers beside what they mean", verb_read},
    {"record", "a serial line into a file that becomes a test", verb_record},
    {"replace", "a spare board takes over from a broken one", verb_replace},
    {"resend", "ask a gateway for readings again, or send an EPR its dead letters",
     verb_resend},
    {"scan", "a line for Modbus devices: speed, parity, address", verb_scan},
    {"sign", "firmware, for update and for new boards", verb_sign},
    {"status", "whether wardgated or wardgate-chart is well", verb_status},
    {"survey", "how well a line works: errors by timeout, turn-around", verb_survey},
    {"tail", "the newest records of a running wardgated, as JSON lines", verb_tail},
    {"update", "a bed node's firmware, over its bus", verb_update},
    {"wipe", "a board forgets its keys and readings for ever", verb_wipe},
};

/* The same text for --help (stdout) and for a wrong call (stderr). */
static void help(FILE *to)
{
    (void)fputs("usage: wardgate VERB [--json] [OPTION...] [OPERAND...]\n\n", to);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        (void)fprintf(to, "  %-9s %s\n", verbs[i].name, verbs[i].help);
    (void)fputs("\nEach verb explains itself with examples: wardgate VERB --help\n"
                "Exit codes: 0 well, 1 findings, 64 called wrongly, 69 nobody answers,\n"
                "74 a file can't be read or written, 78 a configuration is bad.\n",
                to);
}

int main(int argc, char **argv)
{
    (void)signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error to report, not an end */

    if (argc < 2) {
        help(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return TOOL_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        (void)printf("wardgate %s\n", WARDGATE_VERSION);
        return TOOL_OK;
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (strcmp(argv[1], verbs[i].name) == 0) {
            int code = verbs[i].run(argc - 1, argv + 1);
            if (fflush(stdout) != 0)
                return tool_fail(TOOL_IO, "standard output can't be written");
            return code;
        }
    (void)fprintf(stderr, "wardgate: unknown verb '%.40s'\n\n", argv[1]);
    help(stderr);
    return TOOL_USAGE;
}
