/* SPDX-License-Identifier: Apache-2.0
 *
 * What boards/BOARD/board.yaml says, for the verbs that show and flash boards. The file
 * is the board's own word: the tool knows no board by name.
 */
#ifndef TOOL_BOARD_FILE_H
#define TOOL_BOARD_FILE_H

#include <jansson.h>

#define BOARDS_INSTALLED "/usr/share/wardgate/boards"

/* The folder of boards: given, else `boards` of a checkout that is the working directory,
 * else BOARDS_INSTALLED. */
const char *boards_folder(const char *given);

/* Reads one board: a mapping of texts and lists of texts or of flat mappings, all values
 * as strings. name, title and status are there, and name is the folder's. Returns a
 * tool_exit after saying what is wrong ("file:line: key: message"); the caller releases
 * *out. */
int board_read(const char *folder, const char *name, json_t **out);

/* All boards of the folder in the order of their names, as an array; a file that is bad
 * ends it. Returns a tool_exit. */
int boards_read(const char *folder, json_t **out);

/* A text of the board, or "". Borrowed from it. */
const char *board_text(const json_t *board, const char *key);

#endif
