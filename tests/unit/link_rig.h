/* SPDX-License-Identifier: Apache-2.0
 *
 * What the link tests share: a private folder, child processes that are ended by their
 * pid, and an event loop that is turned until something holds.
 */
#ifndef TESTS_UNIT_LINK_RIG_H
#define TESTS_UNIT_LINK_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#define RIG_PATH_SIZE   256
#define RIG_PATIENCE_MS 20000 /* many times what anything here takes */

struct rig {
    char folder[RIG_PATH_SIZE]; /* 0700 */
    sd_event *loop;
};

/* setup and teardown; the folder and all in it are removed. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* A path in the folder; valid until the next but seven calls. */
const char *rig_path(const struct rig *rig, const char *name);
void rig_write(const struct rig *rig, const char *name, const char *text);

/* Starts a program (output to /dev/null unless out is given: its read end). Ended with
 * rig_end. */
pid_t rig_start(const char *const argv[], int *out);
void rig_end(pid_t *pid);

/* Turns the loop until holds(context), at most RIG_PATIENCE_MS; returns what it says in
 * the end. */
bool rig_until(struct rig *rig, bool (*holds)(void *context), void *context);

/* Turns the loop for a while, whatever happens. */
void rig_turn(struct rig *rig, unsigned ms);

/* A mosquitto on an AF_UNIX socket of the folder; more holds further lines of its
 * configuration. Waits until it answers. */
pid_t rig_broker(struct rig *rig, const char *more);
const char *rig_broker_socket(const struct rig *rig);

#endif
