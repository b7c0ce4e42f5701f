/* SPDX-License-Identifier: Apache-2.0
 *
 * Moves bytes between a local socket and an open TLS session, both ways, without ever
 * waiting. One buffer of one TLS record each way; when one side does not take its bytes,
 * the other is not read.
 */
#ifndef LINK_TLS_PUMP_H
#define LINK_TLS_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "link/mqtt_screen.h"
#include "link/tls_session.h"

#define TLS_PUMP_BUFFER 16384 /* bytes each way */

/* What has been taken from one side and not yet given to the other. */
struct tls_buffer {
    uint8_t bytes[TLS_PUMP_BUFFER];
    size_t start, end; /* what is to be sent on */
    bool ended;        /* nothing more will be put in */
};

/* One connection. The caller looks at screen.fault, deaf and the counts, and sets deaf
 * when it sees the local side go; the rest is the pump's. */
struct tls_pump {
    struct tls_session *session; /* not owned */
    int local;                   /* not owned; non-blocking */
    struct tls_buffer up, down;  /* local to peer, peer to local */
    size_t up_pending; /* length of a write that mbedTLS wants repeated; 0: none */
    bool up_wants_out; /* ... once the network takes bytes again */
    bool raw;          /* what comes down is not screened as MQTT */
    struct mqtt_screen screen;
    bool deaf; /* the local side is gone: what comes down is read and thrown away */
    uint64_t bytes_up, bytes_down;
};

/* Begins anew, with empty and wiped buffers. raw: carry anything, not only what
 * mqtt_screen lets pass. */
void tls_pump_reset(struct tls_pump *pump, struct tls_session *session, int local,
                    bool raw);

/* What epoll has reported; both when in doubt. */
enum tls_pump_side { TLS_PUMP_LOCAL = 1, TLS_PUMP_NETWORK = 2, TLS_PUMP_BOTH = 3 };

/* Moves what can be moved now. False once the connection is over: the peer has ended and
 * all that it sent is handed over, the session broke, or screen.fault says that the peer
 * has sent what is no MQTT. */
bool tls_pump_run(struct tls_pump *pump, enum tls_pump_side ready);

/* Only from the local side to the peer. False if the session broke. */
bool tls_pump_up(struct tls_pump *pump);

/* True when the local side has ended and its last byte is on its way. */
bool tls_pump_drained(const struct tls_pump *pump);

/* The epoll events to wait for on each side before the next run. */
void tls_pump_events(const struct tls_pump *pump, uint32_t *local, uint32_t *network);

#endif
