/* SPDX-License-Identifier: Apache-2.0
 *
 * "Where" of the verbs that read a line themselves: which line and how it is set, from
 * words to struct port_line; and how a line that can't be opened is explained.
 */
#ifndef TOOL_WHERE_H
#define TOOL_WHERE_H

#include "ports/port_modbus.h"
#include "tool/tool.h"

/* As given; NULL: not given. */
struct where_options {
    const char *baud, *parity, *stop, *bits, *framing;
};

/* For a verb's table of options. */
#define WHERE_OPTIONS(it)                                                                \
    {"baud", &(it).baud, NULL}, {"parity", &(it).parity, NULL},                          \
        {"stop", &(it).stop, NULL}, {"bits", &(it).bits, NULL},                          \
    {                                                                                    \
        "framing", &(it).framing, NULL                                                   \
    }

/* For a verb's help. */
#define WHERE_HELP                                                                       \
    "LINE is a serial line (/dev/serial/by-id/...) or HOST:PORT. How it is set:\n"       \
    "  --baud N         19200 if not given\n"                                            \
    "  --parity WORD    even (if not given), odd or none\n"                              \
    "  --stop N         1, or 2 without parity\n"                                        \
    "  --bits N         8, or 7 with ascii\n"                                            \
    "  --framing WORD   ascii; or rtu, for a device server behind HOST:PORT that "       \
    "hands\n"                                                                            \
    "                   on bytes. Without it Modbus RTU or Modbus TCP\n"

/* Reads text and options into *out. TOOL_OK, or what tool_usage() returned. */
int where_read(const char *verb, const char *text, const struct where_options *options,
               struct port_line *out);

/* Says why the line could not be opened, and what helps. Returns the exit code. */
int where_failed(const struct port_line *line, int error);

/* The setting as engineers write it: "19200 8E1", "" for TCP. Static buffer per thread is
 * not used: out has at least 32 bytes. Returns out. */
const char *where_text(const struct port_line *line, char *out);

/* A word of a list; -1 if it is none. */
int where_word(const char *text, const char *const *words);
extern const char *const where_parities[]; /* in the order of enum driver_parity */

#endif
