/* SPDX-License-Identifier: Apache-2.0
 *
 * The bed node: up to three devices on one side, the gateway's RS-485 bus on the other.
 * Each device port is a Modbus unit of its own, from the board's address on, because the
 * gateway knows devices and beds, not nodes. REGISTERS.md is what a unit shows.
 *
 * node.c is the loop over the board (hal.h); node_show.c is what the bus sees of it, and
 * node_memory.c what outlives a reset, both pure.
 */
#ifndef FIRMWARE_NODE_H
#define FIRMWARE_NODE_H

#include "firmware/adapter.h"
#include "firmware/hal.h"
#include "firmware/modbus_server.h"

#define NODE_ENTRIES     2    /* of a sample: what an oximeter says */
#define NODE_WATCHDOG_MS 2000 /* many times the longest turn of the loop */
#define NODE_MAP_VERSION 1
/* A new version that nobody has confirmed by then gives itself up, so that one that runs
 * but can't be reached does not last until somebody comes with a plug. */
#define NODE_TRIAL_MS 600000

/* What outlives a reset (not a power-off), twice, each with its check. */
struct node_memory {
    uint32_t change; /* the larger of two good copies is the newer one */
    uint32_t boot, series;
    uint32_t next[HAL_DEVICES_MAX]; /* sample numbers */
    uint16_t watchdogs, brown_outs, faults;
    uint16_t check;
    struct hal_fault fault; /* the last one */
    uint32_t fault_boot;    /* and the start that it ended */
};

struct node {
    char serial[HAL_TEXT_MAX];
    const char *board;
    unsigned units; /* device ports, at least 1 */
    enum hal_reset cause;
    struct node_memory memory;            /* as kept */
    uint32_t boot_first[HAL_DEVICES_MAX]; /* number of this start's first sample */
    uint64_t now_us, slept_us;            /* of this start */
    uint32_t turn_max_us;                 /* longest turn of the loop */
    uint32_t stack_used, stack_size;
    uint32_t progress; /* parts that did their turn since the last kick */
    struct serial_count lines[HAL_PORTS_MAX]; /* as last asked */
    struct modbus_server server;
    struct samples samples[HAL_DEVICES_MAX];
    struct adapter adapters[HAL_DEVICES_MAX];
};

/* Opens the lines and takes the numbers up where the last start left them. */
void node_start(struct node *node);

/* One turn of the loop: never blocks. Returns when the next is due; an interrupt may make
 * it due earlier. */
uint64_t node_turn(struct node *node);

/* Sleeps until then, or until an interrupt. */
void node_rest(struct node *node, uint64_t until_us);

/* Attaches our own function to the bus: weak and empty here, the update brings its own.
 */
void node_attach(struct modbus_source *source);

/* Whether what runs is a new version that is not confirmed yet. Weak and false here, as
 * above. */
bool node_on_trial(void);

/* --- node_memory.c --- */

/* The newer good copy of the two in `bytes`; false: none, *memory is then all 0. */
bool node_memory_load(struct node_memory *memory, const void *bytes);

/* Writes the older copy over. */
void node_memory_save(struct node_memory *memory, void *bytes);

/* Counts this start: boot is from flash, 0 if that can't keep it; known: `memory` was
 * loaded. */
void node_memory_begin(struct node_memory *memory, bool known, uint32_t boot,
                       const char *serial, enum hal_reset cause,
                       const struct hal_fault *fault);

/* --- node_show.c --- */

/* What the bus sees of a node: for modbus_server_init(); context is the node. */
void node_source(struct node *node, struct modbus_source *source);

#endif
