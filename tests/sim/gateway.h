/* SPDX-License-Identifier: Apache-2.0
 *
 * A gateway without sockets and clocks: the real store, stamp, gaps and forward, driven
 * by simulated time, with a clock that may be wrong, a power supply that may fail, and a
 * link that loses, doubles and delays what it carries.
 */
#ifndef SIM_GATEWAY_H
#define SIM_GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bedside/forward.h"
#include "bedside/gaps.h"
#include "bedside/stamp.h"
#include "bedside/store.h"
#include "random.h"
#include "ward.h"

#define GATEWAY_NAME      "bay-1"
#define GATEWAY_BOOTS_MAX 64
#define LINK_MESSAGES_MAX 4096

struct link_message { /* on its way, in either direction */
    int64_t due_us;
    uint8_t *bytes;
    size_t size;
    int token; /* up: of the publish */
    bool state;
};

struct link { /* one direction; the broker's memory */
    struct link_message messages[LINK_MESSAGES_MAX];
    size_t count;
    uint64_t lost, doubled;
};

struct gateway_boot { /* the truth about a boot: monotonic 0 was at this UTC */
    uint64_t boot;
    int64_t zero_us;
};

struct gateway {
    struct chance chance;
    char folder[128];
    struct store_config config;
    struct store *store; /* NULL: no power */
    struct stamp stamp;
    struct gaps gaps[WARD_BEDS];
    struct forward forward;
    struct gateway_boot boots[GATEWAY_BOOTS_MAX];
    size_t boot_count;
    int64_t offset_us;  /* what its wall clock is wrong by */
    int64_t sync_at_us; /* when time comes to it; INT64_MAX: synchronised */
    bool connected;
    int token;
    struct link up, down;
    uint64_t crashes, commits, stored_gaps;
};

/* folder exists and is empty; map_bytes and high_water (as in bedside/store.h) decide how
 * soon the queue is full. */
void gateway_begin(struct gateway *gateway, const char *folder, uint64_t seed,
                   uint64_t map_bytes, uint32_t high_water);
void gateway_end(struct gateway *gateway);

/* Power on; the wall clock begins at 1970 or is off by anything, unknown until
 * sync_at_us. */
void gateway_power_on(struct gateway *gateway, int64_t now_us);
/* Power off without a word: what is not committed is gone. */
void gateway_power_off(struct gateway *gateway);

/* Somebody sets the wall clock; it counts as unsynchronised until resync_us. */
void gateway_step_clock(struct gateway *gateway, int64_t by_us, int64_t resync_us);

/* Reads a device: serial is the value, counter its sample counter. Returns the seq that
 * the reading was given, 0 if none. */
uint64_t gateway_sample(struct gateway *gateway, int bed, uint64_t serial,
                        uint64_t counter, int64_t now_us);

/* Commits, offers, takes what the link brings. */
void gateway_run(struct gateway *gateway, int64_t now_us);

void gateway_connect(struct gateway *gateway, bool connected, int64_t now_us);

/* A message enters a direction of the link; faulty: it may be lost, doubled or late. */
void link_send(struct link *link, struct chance *chance, const uint8_t *bytes,
               size_t size, int token, bool state, int64_t now_us, bool faulty);
/* Takes the next message that is due; the caller frees bytes. */
bool link_take(struct link *link, int64_t now_us, struct link_message *message);
void link_forget(struct link *link); /* the broker was killed */

/* The truth: when a moment of a boot really was. INT64_MIN if there was no such boot. */
int64_t gateway_truth(const struct gateway *gateway, uint64_t boot,
                      uint64_t monotonic_us);

#endif
