/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking a daemon's program what only it knows: whether a configuration is good, how many
 * readings wait. Not the running daemon: a process of its own that ends with its answer.
 */
#ifndef TOOL_DAEMON_RUN_H
#define TOOL_DAEMON_RUN_H

#include <stddef.h>

#define DAEMON_WORDS_MAX 8

/* Runs the daemon that stands beside this program, or else the one on PATH, without a
 * shell. words: its arguments, ends with NULL, at most DAEMON_WORDS_MAX. Its standard
 * output goes to out (size bytes, cut and terminated), or stays ours when out is NULL.
 * Returns its exit code, or -1 after saying that it could not be run. */
int daemon_run(const char *daemon, const char *const *words, char *out, size_t size);

#endif
