/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket of both daemons: AF_UNIX, one JSON object a line in, one JSON object
 * a line out.
 *   {"do": "status"}  ->  {"ok": true, ...}   or   {"ok": false, "error": "..."}
 * "tail" style answers may be many lines; the last has "end": true.
 */
#ifndef BASE_CONTROL_H
#define BASE_CONTROL_H

#include <jansson.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#define CONTROL_LINE_MAX 65536 /* bytes of one request line */

struct control_server;
struct control_peer; /* one client during one request */

struct control_verb {
    const char *name;
    /* Answers one request. Sends lines with control_send; returning ends the answer.
     * request is borrowed. */
    void (*run)(void *context, const json_t *request, struct control_peer *peer);
};

/* Binds path (0600 in a folder that must exist) and serves verbs (ends with name NULL) on
 * the loop. A stale socket file is replaced; a live one is -EADDRINUSE. Returns 0 or
 * -errno. */
int control_open(sd_event *loop, const char *path, const struct control_verb *verbs,
                 void *context, struct control_server **out);
void control_close(struct control_server *server);

/* Queues one line; takes over the reference to object. */
void control_send(struct control_peer *peer, json_t *object);
void control_fail(struct control_peer *peer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Calls closed(context) once, when this client's connection has ended in whatever way: it
 * closed, died, broke the rules, or the server is closed. A client that sleeps is not
 * dropped while this is set. NULL takes it back. */
void control_on_close(struct control_peer *peer, void (*closed)(void *context),
                      void *context);

/* Connects to a daemon's socket; a daemon that says or takes nothing for ten seconds ends
 * a read or write with EAGAIN. Returns the descriptor, or -errno. */
int control_dial(const char *path);

/* The client side: connects, sends request (borrowed), calls line for each answer until
 * the end. Returns 0, or -errno when the daemon can't be reached. */
int control_call(const char *path, const json_t *request,
                 void (*line)(void *context, const json_t *answer), void *context);

#endif
