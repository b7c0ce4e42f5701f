/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated BIS VISTA: silent until processed values are asked for, then a message a
 * second. Counts every other request.
 */
#ifndef DRIVERS_EMULATE_BIS_VISTA_H
#define DRIVERS_EMULATE_BIS_VISTA_H

#include "drivers/emulate/emulate.h"

#define BIS_VISTA_MISSING (-3277)

struct bis_vista_emulator {
    int16_t index, ratio; /* tenths; BIS_VISTA_MISSING: none */
    int16_t edge;         /* hundredths of a hertz */
    int32_t signal;       /* tenths of a percent */
    bool extra;           /* the longer blocks */
    uint32_t flip;        /* this bit (from 1) of the next message that has it; 0: none */

    bool sending;
    uint64_t next_us;
    uint64_t messages; /* sent */
    uint64_t started;  /* requests for processed values */
    uint64_t refused;  /* everything else */
    size_t have;
    uint8_t buffer[32];
};

void bis_vista_emulator_init(struct bis_vista_emulator *emulator, uint64_t start_us);

/* See struct emulator. A burst is a message. */
void bis_vista_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                             uint64_t now_us, struct emulate_output *out);
void bis_vista_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                             uint64_t *again_us);

extern const struct emulator bis_vista_line_emulator;

#endif
