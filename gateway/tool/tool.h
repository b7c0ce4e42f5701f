/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs share: exit codes, options, and saying things to people and to programs.
 */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sysexits.h>

/* Exit codes of every verb; the last four have the values of sysexits.h. */
enum tool_exit {
    TOOL_OK = 0,
    TOOL_FINDINGS = 1,                 /* it worked, and there is something to look at */
    TOOL_USAGE = EX_USAGE,             /* 64: called wrongly */
    TOOL_UNAVAILABLE = EX_UNAVAILABLE, /* 69: the daemon or broker does not answer */
    TOOL_IO = EX_IOERR,                /* 74: a file can't be read or written */
    TOOL_CONFIG = EX_CONFIG, /* 78: a configuration, profile or certificate is bad */
};

/* One option "--name value" or "--name=value", or a flag when text is NULL. */
struct tool_option {
    const char *name;
    const char **text; /* set to the value, which is borrowed from argv */
    bool *flag;
};

/* Reads argv[1..] against options (ends with name NULL). Operands are moved to the front
 * of argv + 1; "--" ends the options. "--help" prints help and "--json", when json is not
 * NULL, sets it. Returns how many operands there are; or -1 when the verb should return
 * *exit_code at once. */
int options_read(int argc, char **argv, const struct tool_option *options,
                 const char *help, bool *json, int *exit_code);

/* "wardgate: ..." on stderr. Returns code, so that a verb can end with it. */
int tool_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says how to get help, returns TOOL_USAGE. */
int tool_usage(const char *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints one JSON object on a line and takes over the reference. */
void tool_print(json_t *object);

/* Reads a whole decimal number within minimum..maximum. */
bool tool_number(const char *text, long long minimum, long long maximum, long long *out);

#endif
