/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Fresenius pump alone on its line: opens a session, reads rate and volume,
 * asks once a second whether somebody listens, and ends the session when nobody answers
 * or acknowledges. Counts every other request, those that would drive it among them.
 *
 * Caveat: how long a pump waits is not documented; here it is two seconds.
 */
#ifndef DRIVERS_EMULATE_FRESENIUS_H
#define DRIVERS_EMULATE_FRESENIUS_H

#include "drivers/emulate/emulate.h"

struct fresenius_emulator {
    uint16_t rate;   /* tenths of ml/h */
    uint32_t volume; /* thousandths of ml, 24 bits */
    uint32_t flip;   /* this bit (from 1) of the next answer that has it; 0: none */

    bool open;
    uint64_t next_us;      /* of the question whether somebody listens */
    uint64_t patient_us;   /* the session ends then */
    uint64_t sessions;     /* opened */
    uint64_t ended;        /* because nobody answered */
    uint64_t answers;      /* with values */
    uint64_t acknowledged; /* answers that were */
    uint64_t refused;      /* every other request */
    size_t have;
    uint8_t buffer[64];
};

void fresenius_emulator_init(struct fresenius_emulator *emulator, uint64_t start_us);

/* See struct emulator. A burst is a frame with what goes before it. */
void fresenius_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                             uint64_t now_us, struct emulate_output *out);
void fresenius_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                             uint64_t *again_us);

extern const struct emulator fresenius_line_emulator;

#endif
