/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a bus, shared by bus.c (thread, queue, statistics), bus_modbus.c and
 * bus_stream.c (what the thread does). Only these three include it.
 */
#ifndef BEDSIDE_BUS_INTERNAL_H
#define BEDSIDE_BUS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "bedside/acquire.h"
#include "bedside/bus_queue.h"
#include "bedside/bus_trust.h"
#include "ports/port_modbus.h"
#include "ports/port_serial.h"

#define BUS_REOPEN_FIRST_US UINT64_C(250000)
#define BUS_REOPEN_MAX_US   UINT64_C(5000000)

struct bus_node { /* a bed node's draining; only the thread touches it */
    bool has_last;
    uint64_t last;   /* sample handed to the queue last */
    uint64_t strays; /* the unit's, when that was true */
    bool has_passed;
    uint64_t passed; /* last sample that was there and could not be had */
};

struct bus_unit { /* one device. Only the thread touches it, but for statistics and
                     identify */
    struct bus_device device;
    struct trust trust;
    struct bus_statistics statistics; /* under the bus's lock */
    uint64_t turnaround_sum_us;
    uint64_t period_us;    /* between two readings; 0: not known (a stream) */
    uint64_t counter_mask; /* of its sample counter; 0: it has none */
    uint64_t strays;       /* times that what it had said came in doubt */
    uint64_t identity_us;  /* its identity is held until then */
    atomic_bool identify;
    bool present;
    bool outage;          /* since the last sample handed over */
    struct instant heard; /* when it was last heard, or the start */

    /* The last sample handed over. */
    bool delivered;
    bool has_sample;
    uint64_t sample;
    struct instant delivered_at;
    struct bus_node node;
    bool backward; /* its counter was seen to go back to this: accepted when seen again */
    uint64_t backward_sample;
};

struct bus {
    struct port_line line;
    size_t unit_count;
    struct bus_unit *units;
    pthread_t thread;
    /* The thread is to be joined. */
    bool running;
    /* Eventfd: items wait. */
    int items_fd;
    /* Eventfd: so much waits that it should be taken now. */
    int press_fd;
    /* Under the lock: press_fd is readable. */
    bool pressed;
    /* Eventfd: readable once the thread is to end. */
    int stop_fd;
    atomic_bool stop;
    /* Nodes keep what they have. */
    atomic_bool hold;
    /* The line is to be lent. */
    atomic_bool lend;
    /* Queue and statistics. */
    pthread_mutex_t lock;
    /* Something was taken. */
    pthread_cond_t room;
    /* Under the lock. */
    struct bus_line_statistics line_statistics;
    /* Under the lock. */
    struct bus_queue *queue;
    /* When the oldest held item is due. */
    uint64_t release_us;

    /* Modbus. */
    struct acquire *acquire;
    /* Open line, or NULL. */
    struct port_modbus *modbus;
    /* Stream. */
    struct port_serial *serial;
    void *driver_state;
    /* A scanner. */
    const struct key *digest_key;
    const char *band_prefix;
    /* Pause before the next try to open. */
    uint64_t reopen_us;
    /* BUS_LINE_LOST was the last word about the line. */
    bool line_lost;
};

/* What the thread does until it is told to stop. */
void bus_run_modbus(struct bus *bus);
void bus_run_stream(struct bus *bus);

bool bus_stopping(struct bus *bus);

/* The line is to be lent: the thread ends its exchange and closes it (bus_lend.c). */
bool bus_lending(struct bus *bus);

/* With the line closed: says that it is lent, and waits until it is taken back or the bus
 * is to stop. */
void bus_lend_wait(struct bus *bus);

/* Hands an item over, not before release_us. Waits for room. Returns true if it had to
 * wait. */
bool bus_emit(struct bus *bus, struct bus_item *item, uint64_t release_us);

/* An item of a kind that has no more to it, now. */
void bus_note(struct bus *bus, size_t unit, enum bus_kind kind, int reason);

/* Releases what is due. */
void bus_release(struct bus *bus);

/* Voids the held samples of a unit, or of all with BUS_QUEUE_ALL. */
void bus_void(struct bus *bus, size_t unit);

/* The device was heard: notes its appearing. */
void bus_heard(struct bus *bus, size_t unit, const struct instant *now);

/* The device is silent: notes its loss, once. */
void bus_silent(struct bus *bus, size_t unit, int reason);

/* The line is open, or gone (all devices with it). */
void bus_line_open(struct bus *bus);
void bus_line_gone(struct bus *bus, int error);

/* Waits for the pause before the next try to open; doubles it. */
void bus_reopen_pause(struct bus *bus);

/* Both clocks, without the kernel's word on how good they are: that is stamp.h's to ask,
 * and would cost a line a system call a reading. */
void bus_now(struct instant *now);

/* The moment at `monotonic_us`, told by a clock reading taken shortly after. */
struct instant bus_instant(const struct instant *now, uint64_t monotonic_us);

#endif
