/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TOOL_EMULATE_H
#define TOOL_EMULATE_H

/* `wardgate emulate`: argv[0] is the verb, argv[1] "modbus" or "nonin". Returns the exit
 * code. */
int verb_emulate(int argc, char **argv);

#endif
