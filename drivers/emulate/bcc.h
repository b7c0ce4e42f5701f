/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated B. Braun station with one or two infusion pumps on BCC: answers the first
 * word and the question for everything, block by block, and sends a block again that was
 * answered with NAK. Every other request is counted, so that a test can assert that
 * nobody sent one. Written from the maker's description.
 */
#ifndef DRIVERS_EMULATE_BCC_H
#define DRIVERS_EMULATE_BCC_H

#include "drivers/emulate/emulate.h"

#define BCC_EMULATOR_TEXT 16 /* characters of a value, terminator included */

enum bcc_value { BCC_RATE, BCC_INFUSED, BCC_TBI, BCC_REMAINING, BCC_EMULATED };

/* The station. Set the knobs; read what it counted. */
struct bcc_emulator {
    char values[BCC_EMULATED][BCC_EMULATOR_TEXT]; /* "": "_NV" */
    const char *bed;                              /* its own name */
    const char *address, *second; /* of the pumps; second NULL: there is one */
    bool off;                     /* the pump */
    bool unstuffed;               /* the station is set not to stuff */
    uint32_t flip;    /* this bit (from 1) of the next block is inverted; 0: none */
    uint32_t time;    /* seconds since it was switched on */
    uint64_t alive;   /* first words taken */
    uint64_t answers; /* whole answers with values, all their blocks acknowledged */
    uint64_t naks;    /* blocks sent again */
    uint64_t refused; /* requests that are none of the two, bad frames */
    int block;        /* the last one sent; -1: none waits to be acknowledged */
    bool getting;     /* the blocks are those of values */
    size_t have;
    uint8_t buffer[128];
};

/* A station with one pump without values, switched on. */
void bcc_emulator_start(void *state, uint64_t start_us);

/* Sets "rate" (mL/h), "infused", "vtbi" (mL) or "remaining" (s); "" is no value.
 * EMULATE_NO_FIELD, EMULATE_SYNTAX; EMULATE_INEXACT if it has more digits than the
 * device shows. */
int bcc_emulator_show(void *state, const char *name, const char *text);

/* struct emulator's two ways in. */
void bcc_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out);
void bcc_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                       uint64_t *again_us);

extern const struct emulator bcc_line_emulator;

#endif
