/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of a streaming driver: bytes of one serial line in, observation sets
 * out. A driver is pure: no I/O, no clock, no heap, no globals. The bus thread owns the
 * line, calls feed() with whatever arrived and sends what poll() hands it.
 *
 * Modbus devices need no driver of their own: regmap.h and a profile describe them.
 */
#ifndef DRIVERS_DRIVER_H
#define DRIVERS_DRIVER_H

#include "drivers/observation.h"

#define DRIVER_SEND_MAX 64 /* bytes of the longest request any driver makes */

enum driver_parity { DRIVER_PARITY_NONE, DRIVER_PARITY_EVEN, DRIVER_PARITY_ODD };

/* The maker's default; a config may override it */
struct driver_line {
    uint32_t baud;
    uint8_t data_bits, stop_bits;
    uint8_t parity; /* enum driver_parity */
};

/* Why bytes were thrown away; counted per device. */
enum driver_fault {
    DRIVER_FAULT_SYNC,     /* bytes that belong to no frame */
    DRIVER_FAULT_CHECKSUM, /* a frame whose check failed */
    DRIVER_FAULT_LENGTH,   /* a frame of impossible length */
    DRIVER_FAULT_VALUE,    /* a field the protocol does not allow */
    DRIVER_FAULTS,         /* how many there are */
};

/* Where a decoder puts what it finds. Both functions must return quickly. */
struct driver_sink {
    void *context;
    /* A complete set; valid only during the call. */
    void (*set)(void *context, const struct observation_set *set);
    /* Bytes thrown away: the kind, and how many. */
    void (*fault)(void *context, enum driver_fault fault, size_t bytes);
};

/* What a scanner read from a patient's wristband. Only whoever makes a digest of it at
 * the port may see it: it goes into no set, no log, no record and no topic (P8). */
struct driver_scan {
    const char
        *prefix;       /* the seven digits that say whose numbers these are; terminated */
    const uint8_t *id; /* the patient's identifier; the driver's, and wiped after the
                          call: copy nothing */
    size_t size;
};

/* Where a scanner's driver puts what it finds; as struct driver_sink. */
struct driver_scan_sink {
    void *context;
    void (*scan)(void *context, const struct driver_scan *scan);
    void (*fault)(void *context, enum driver_fault fault, size_t bytes);
};

/* A driver: constant, one for all lines; what changes is in the state of each line. feed,
 * poll and init of one state are called from one thread; states share nothing. */
struct driver {
    const char *name;     /* as written in a config: "nonin-df2" */
    const char *title;    /* for people: "Nonin oximeter, data format 2" */
    bool stable;          /* status; false: beta, off unless the config says so */
    const char *evidence; /* where the protocol's facts come from; never NULL or empty */
    const char *tests;    /* how it was shown, for `devices --catalogue`; never NULL */
    uint32_t silence_ms;  /* no complete set for this long: the device is silent */
    struct driver_line line;
    size_t state_size; /* bytes; the caller provides and aligns them for max_align_t */

    /* Makes a fresh state. Called once before anything else, and after every outage. */
    void (*init)(void *state);

    /* Consumes n bytes, any split; calls the sink zero or more times. Never blocks. */
    void (*feed)(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink);

    /* What to send now, if anything: writes at most DRIVER_SEND_MAX bytes to out and
     * returns how many; *again_ms says when to ask again. now_ms is monotonic. NULL: only
     * listens. */
    size_t (*poll)(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms);

    /* True if these bytes are on the driver's allow-list (P6). The bus thread asks before
     * every write and refuses what is not. NULL: nothing may ever be sent. */
    bool (*may_send)(const uint8_t *bytes, size_t n);

    /* A scanner only, NULL for all others: takes feed's place with whoever can make a
     * digest. The same scanner's feed() takes the same bytes and gives nothing of them to
     * anyone, so that who does not know scanners can't leak what one read. */
    void (*scan)(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_scan_sink *sink);
};

/* driver_table.c: every driver by name; NULL if there is none. */
const struct driver *driver_by_name(const char *name);
const struct driver *driver_at(size_t index); /* NULL past the end */

#endif
