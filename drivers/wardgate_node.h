/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate's own bed node as the gateway reads it: the samples block of its registers and
 * the samples in its files (firmware/REGISTERS.md). Pure: bytes in, numbers and sets out.
 *
 * A sample is known by (series, number). Numbers of a series are never given twice; a
 * power-off begins a new series, a reset does not. Reading changes nothing in the node:
 * whoever drains it keeps the number of the last sample that it has.
 */
#ifndef DRIVERS_WARDGATE_NODE_H
#define DRIVERS_WARDGATE_NODE_H

#include "drivers/observation.h"

#define WARDGATE_NODE_PROFILE   "wardgate-node"
#define WARDGATE_NODE_STATUS    0x0100 /* registers of the samples block */
#define WARDGATE_NODE_REGISTERS 16
#define WARDGATE_NODE_READ_MAX  121 /* registers of one function-20 reply */

enum wardgate_node_error {
    WARDGATE_NODE_OK = 0,
    WARDGATE_NODE_SHORT = -1, /* not so many bytes as there must be */
    WARDGATE_NODE_CHECK = -2, /* damaged, or of another series */
    WARDGATE_NODE_ENTRY = -3, /* an entry that this version does not know */
    WARDGATE_NODE_EMPTY = -4, /* the set was too large for the node: it is lost */
};

struct wardgate_node_status {
    uint32_t boot;       /* starts of the node */
    uint32_t series;     /* of the numbers */
    uint32_t next;       /* number that the next sample will have */
    uint32_t first;      /* oldest sample that is still there; next if there is none */
    uint32_t boot_first; /* first number of this start */
    uint16_t record_registers; /* of a sample in its file */
    uint16_t per_file;         /* samples in a file */
};

struct wardgate_node_sample {
    uint16_t boot; /* low half of the status's */
    uint32_t number;
    uint64_t age_ms;            /* when the reply was made */
    struct observation_set set; /* sample: series << 32 | number */
};

/* The registers at WARDGATE_NODE_STATUS, big-endian as on the wire. WARDGATE_NODE_SHORT
 * also where the sizes in it are impossible. */
int wardgate_node_status(const uint8_t *bytes, size_t n,
                         struct wardgate_node_status *out);

/* Where a sample is: file and record (register) of function 20. */
void wardgate_node_place(const struct wardgate_node_status *status, uint32_t number,
                         uint16_t *file, uint16_t *record);

/* One sample of n bytes. After WARDGATE_NODE_EMPTY the set is empty, and the rest filled.
 * A text that is not printable ASCII becomes an absent, invalid value; a device's time
 * that can't be is left out. */
int wardgate_node_sample(const struct wardgate_node_status *status, const uint8_t *bytes,
                         size_t n, struct wardgate_node_sample *out);

#endif
