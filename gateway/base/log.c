/* SPDX-License-Identifier: Apache-2.0
 *
 * stderr, one write a line. Where the lines go, for how long and who may read them is
 * the service manager's business.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

/* The one setting of the process: written at start, read by every thread. */
static _Atomic int threshold = LOG_LEVEL_INFO;

/* Takes effect for the next message of any thread. */
void log_set_level(enum log_level level)
{
    atomic_store(&threshold, (int)level);
}

/* For people only: the journal gets the number. */
static const char *level_text(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_NOTICE:
        return "notice";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        break;
    }
    return "debug";
}

/* A message longer than a line is cut, never split: half a message is still one event. */
void log_write(enum log_level level, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list arguments;
    size_t n, start;
    int wrote;

    if ((int)level > atomic_load(&threshold))
        return;

    /* systemd sets JOURNAL_STREAM when the journal reads stderr; a person at a terminal
     * gets a word. */
    if (getenv("JOURNAL_STREAM") != NULL)
        wrote = snprintf(line, sizeof(line), "<%d>", (int)level);
    else
        wrote = snprintf(line, sizeof(line), "%s: ", level_text(level));
    start = n = (size_t)wrote;

    va_start(arguments, format);
    wrote = vsnprintf(line + n, sizeof(line) - n - 1, format, arguments);
    va_end(arguments);
    if (wrote > 0)
        n += (size_t)wrote < sizeof(line) - n - 2 ? (size_t)wrote : sizeof(line) - n - 2;

    /* Text that came from outside can't start a line of its own. */
    for (size_t i = start; i < n; i++)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            line[i] = '?';

    line[n++] = '\n';
    /* One write, so that threads' lines don't mix. There is nobody to tell if it fails.
     */
    if (write(STDERR_FILENO, line, n) < 0)
        return;
}
