/* SPDX-License-Identifier: Apache-2.0
 *
 * Questions to a running daemon over its control socket, and showing the answers. The
 * daemons define their answers; the tool shows whatever JSON comes, so that the two need
 * not change together.
 */
#ifndef TOOL_ASK_H
#define TOOL_ASK_H

#include <jansson.h>
#include <stdbool.h>

#define SOCKET_GATEWAY "/run/wardgated/control.sock"
#define SOCKET_CHART   "/run/wardgate-chart/control.sock"

/* Sends request (taken over) to the socket (given, or $WARDGATE_SOCKET, or preset) and
 * puts the answer's lines in *answers, an array that the caller releases. The closing
 * {"end": true} is left out when it says nothing else. Returns TOOL_OK; TOOL_UNAVAILABLE;
 * or TOOL_FINDINGS when the daemon refused, both after saying why. */
int ask(const char *socket, const char *preset, json_t *request, json_t **answers);

/* Prints answers for a program (one JSON object a line) or for a person: flat objects as
 * a table, nested ones indented. */
void show(json_t *answers, bool json);

#endif
