/* SPDX-License-Identifier: Apache-2.0
 *
 * The devices that this version can read. No daemon is asked: it is what was built in.
 */
#ifndef TOOL_DEVICES_CATALOGUE_H
#define TOOL_DEVICES_CATALOGUE_H

#include <stdbool.h>

#include "tool/tool.h"

/* Prints every serial driver and every built-in profile, in that order: name, kind
 * (driver or profile), status (stable or beta), line, title, evidence, tests. json: one
 * object a line. Returns TOOL_OK. */
int devices_catalogue(bool json);

#endif
