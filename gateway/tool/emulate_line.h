/* SPDX-License-Identifier: Apache-2.0
 *
 * A line for an emulated device: a pty or a TCP port in front of drivers/emulate, with
 * the byte timing of a real wire. Tests and `wardgate emulate` use it.
 *
 * On a pty with a baud rate every byte takes its time: a request counts as received when
 * its last byte would have left the wire, and a reply's bytes arrive no sooner than they
 * could have. What is written while nobody reads is lost, as on a real line.
 */
#ifndef TOOL_EMULATE_LINE_H
#define TOOL_EMULATE_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/emulate/emulate.h"
#include "drivers/emulate/modbus_slave.h"

/* TCP connections at a time. */
#define EMULATE_PEERS_MAX 16
/* Bursts that wait to leave. */
#define EMULATE_BACKLOG 24
/* Bytes received and not yet given to the emulator. */
#define EMULATE_PENDING   512
#define EMULATE_PATH_SIZE 256

/* What whoever runs a line wants to know. Any function may be NULL. */
struct emulate_hooks {
    void *context;
    /* A good request (functions 1-4) is about to be answered. */
    void (*asked)(void *context, uint8_t unit, uint8_t function, uint16_t address,
                  uint16_t count, uint64_t now_us);
    /* Called at least at the time it returned last; returns when to call again. */
    uint64_t (*tick)(void *context, uint64_t now_us);
};

struct emulate_peer { /* one pty, or one TCP connection */
    int fd;           /* -1: free */
    bool hung;        /* pty: nobody has the other side open */
    uint64_t look_us; /* pty, hung: when to look again */

    size_t pending; /* received, on its way to the emulator */
    uint64_t received_us;
    uint8_t received[EMULATE_PENDING];

    size_t have; /* TCP: the slave's own buffer, kept for this connection */
    uint8_t buffer[EMULATE_BURST_MAX];

    size_t waiting; /* bursts to send, in order; [0] may be under way */
    size_t sent;    /* bytes of it that have left */
    uint64_t began_us, free_us;
    struct emulate_burst bursts[EMULATE_BACKLOG];
};

struct emulate_line {
    const struct emulator *emulator;
    void *state;
    /* State, if it is one. */
    struct modbus_slave *slave;
    struct emulate_hooks hooks;
    /* A late reply holds up those after it, instead of being overtaken. */
    bool in_order;
    /* 0: bytes take no time. */
    uint32_t baud;
    /* Of one character. */
    uint32_t bits;
    /* Pty: whoever opens it must set this speed and parity (enum driver_parity), or what
     * passes is noise, both ways. 0: as he likes. */
    uint32_t strict_baud;
    uint8_t strict_parity;
    /* TCP; -1. */
    int listener;
    uint16_t port;
    /* Of the pty's other side. */
    char path[EMULATE_PATH_SIZE];
    /* Symbolic link to it; "" if none. */
    char link[EMULATE_PATH_SIZE];
    /* When the hook and the emulator want to be called. */
    uint64_t tick_us, emulator_us;
    /* Lost: bursts or bytes that found no room. */
    uint64_t bytes_in, bytes_out, lost;
    struct emulate_peer peers[EMULATE_PEERS_MAX];
};

/* Opens a pty, raw, and links it at `link` (NULL or "": no link; an old link is replaced,
 * a file is not). Returns 0 or -errno. baud 0: bytes take no time. */
int emulate_line_pty(struct emulate_line *line, const char *link, uint32_t baud,
                     uint32_t bits, const struct emulator *emulator, void *state);

/* Uses an existing tty (a real RS-485 adapter) as the slave's side; its own baud rate
 * paces it. */
int emulate_line_tty(struct emulate_line *line, const char *path, uint32_t baud,
                     const struct emulator *emulator, void *state);

/* Listens on address:port (port 0: any; line->port says which). The slave's framing says
 * whether it is Modbus TCP or a device server with a line behind it. */
int emulate_line_tcp(struct emulate_line *line, const char *address, uint16_t port,
                     struct modbus_slave *slave);

/* Serves until stop_fd is readable. Returns 0, or -errno if the line broke. */
int emulate_line_run(struct emulate_line *line, int stop_fd);

/* Closes all; removes the link. As if the adapter were unplugged. */
void emulate_line_close(struct emulate_line *line);

#endif
