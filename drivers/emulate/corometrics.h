/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Corometrics monitor in 115 Update mode: both heart rates and movement four
 * times a second, activity eight times, the modes when it starts and once a minute, a
 * mark when its button is pressed. Takes no request.
 */
#ifndef DRIVERS_EMULATE_COROMETRICS_H
#define DRIVERS_EMULATE_COROMETRICS_H

#include "drivers/emulate/emulate.h"

#define COROMETRICS_LIFTED (-1)

struct corometrics_emulator {
    int16_t heart[2]; /* beats per minute, or COROMETRICS_LIFTED */
    int16_t activity; /* 0-127, or COROMETRICS_LIFTED */
    bool mark;        /* says it once */
    uint32_t flip;    /* this bit (from 1) of the next burst that has it; 0: none */
    uint64_t next_us;
    uint64_t parts;   /* eighths of a second that were said */
    uint64_t refused; /* bytes that were sent to it */
};

void corometrics_emulator_init(struct corometrics_emulator *emulator, uint64_t start_us);

/* See struct emulator. A burst is what is due in an eighth of a second. */
void corometrics_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                               uint64_t now_us, struct emulate_output *out);
void corometrics_emulator_tick(void *emulator, uint64_t now_us,
                               struct emulate_output *out, uint64_t *again_us);

extern const struct emulator corometrics_line_emulator;

#endif
