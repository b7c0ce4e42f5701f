/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial line that a running wardgated owns, borrowed from it for a while. wardgated
 * gives each device of the line an honest gap and takes the line back by itself when this
 * program ends, however it ends.
 */
#ifndef TOOL_LEND_H
#define TOOL_LEND_H

#include <stdbool.h>
#include <stdint.h>

#include "ports/port.h"

struct lend; /* one lease */

/* Asks the wardgated at socket (NULL: $WARDGATE_SOCKET or the usual place) for the line
 * at `line->path`, or for its bus of that name when bus is not NULL, and waits until it
 * is closed. who: the verb, for wardgated's log. *out is NULL when no wardgated runs
 * there or the line is not one of its own: then nothing is in the way. With a lease
 * `line` is set to the path and settings that wardgated uses for it. Returns TOOL_OK, or
 * another tool_exit after saying why. */
int lend_take(const char *socket, const char *bus, const char *who,
              struct port_line *line, struct lend **out);

/* The lease goes on: to be called at least every ten seconds; costs nothing when it is
 * called more often. NULL is fine. False: wardgated ended it, or ended itself; the line
 * is to be closed, for others may be on it. */
bool lend_renew(struct lend *lend);

/* Gives the line back; it must be closed by then. NULL is fine. */
void lend_return(struct lend *lend);

#endif
