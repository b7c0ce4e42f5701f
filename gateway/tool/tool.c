/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verbs share. Errors go to stderr and answers to stdout, so that --json output
 * is never mixed with words.
 */
#include "tool/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flushes stdout first: on a terminal the complaint then follows what it complains of. */
int tool_fail(int code, const char *format, ...)
{
    va_list arguments;

    (void)fflush(stdout);
    (void)fputs("wardgate: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return code;
}

/* A wrong call is answered in two lines; the whole help would push the reason off the
 * screen. */
int tool_usage(const char *verb, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(stderr, "wardgate %s: ", verb);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "\nTry 'wardgate %s --help'.\n", verb);
    return TOOL_USAGE;
}

/* One object a line: a script reads them as they come. */
void tool_print(json_t *object)
{
    (void)json_dumpf(object, stdout, JSON_COMPACT);
    (void)fputc('\n', stdout);
    json_decref(object);
}

/* Digits only: no sign, space, hex or trailing letters. */
bool tool_number(const char *text, long long minimum, long long maximum, long long *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && *out >= minimum && *out <= maximum;
}

/* The option of that name, or NULL; *value is what follows '=', or NULL. */
static const struct tool_option *find(const struct tool_option *options,
                                      const char *argument, const char **value)
{
    size_t n = strcspn(argument, "=");

    *value = argument[n] == '=' ? argument + n + 1 : NULL;
    for (; options->name != NULL; options++)
        if (strlen(options->name) == n && strncmp(options->name, argument, n) == 0)
            return options;
    return NULL;
}

/* Options and operands may be mixed. An unknown option ends the verb: a mistyped
 * --revoke must not be passed over. */
int options_read(int argc, char **argv, const struct tool_option *options,
                 const char *help, bool *json, int *exit_code)
{
    int operands = 0;
    bool ended = false;

    for (int i = 1; i < argc; i++) {
        const struct tool_option *option;
        const char *value;
        if (ended || strncmp(argv[i], "--", 2) != 0) {
            argv[1 + operands++] = argv[i];
        } else if (argv[i][2] == '\0') {
            ended = true;
        } else if (strcmp(argv[i], "--help") == 0) {
            (void)fputs(help, stdout);
            *exit_code = TOOL_OK;
            return -1;
        } else if (json != NULL && strcmp(argv[i], "--json") == 0) {
            *json = true;
        } else if ((option = find(options, argv[i] + 2, &value)) == NULL) {
            *exit_code = tool_usage(argv[0], "unknown option '%s'", argv[i]);
            return -1;
        } else if (option->text == NULL) {
            if (value != NULL) {
                *exit_code = tool_usage(argv[0], "--%s takes no value", option->name);
                return -1;
            }
            *option->flag = true;
        } else {
            if (value == NULL && ++i < argc)
                value = argv[i];
            if (value == NULL) {
                *exit_code = tool_usage(argv[0], "--%s needs a value", option->name);
                return -1;
            }
            *option->text = value;
        }
    }
    return operands;
}
