/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Capnostream: silent until communication is enabled and started, then a
 * message of numbers a second and four of the wave, for as long as it is told that
 * somebody listens. Counts every other request.
 *
 * Caveat: how long a device goes on untold is not documented; here it is ten seconds.
 */
#ifndef DRIVERS_EMULATE_CAPNOSTREAM_H
#define DRIVERS_EMULATE_CAPNOSTREAM_H

#include "drivers/emulate/emulate.h"

#define CAPNOSTREAM_MISSING 255

struct capnostream_emulator {
    /* What it measures; CAPNOSTREAM_MISSING: nothing. */
    uint8_t co2_et, co2_in, breaths, spo2, pulse;
    uint8_t spo2_alarms, unit, extended; /* as the protocol has them; unit 1: mmHg */
    uint8_t fast;                        /* status of the gas line, in the wave */
    uint32_t seconds;                    /* its clock, which runs */
    uint32_t flip; /* this bit (from 1) of the next message that has it; 0: none */

    bool enabled, sending;
    uint64_t next_us, alive_us;
    uint64_t messages; /* sent */
    uint64_t sessions; /* begun */
    uint64_t refused;  /* every other request, and bytes that were none */
    unsigned part;     /* of the second */
    size_t have;
    uint8_t buffer[4];
};

void capnostream_emulator_init(struct capnostream_emulator *emulator, uint64_t start_us);

/* See struct emulator. A burst is a message. */
void capnostream_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                               uint64_t now_us, struct emulate_output *out);
void capnostream_emulator_tick(void *emulator, uint64_t now_us,
                               struct emulate_output *out, uint64_t *again_us);

extern const struct emulator capnostream_line_emulator;

#endif
