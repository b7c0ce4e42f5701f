/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Alaris syringe pump: answers INF and INST_SERIALNO, and counts every other
 * request, those that would drive it among them.
 */
#ifndef DRIVERS_EMULATE_ALARIS_H
#define DRIVERS_EMULATE_ALARIS_H

#include "drivers/emulate/emulate.h"

#define ALARIS_TEXT_MAX 16

struct alaris_emulator {
    /* As shown; "" is none. */
    char rate[ALARIS_TEXT_MAX], rate_unit[ALARIS_TEXT_MAX];
    char volume[ALARIS_TEXT_MAX], volume_unit[ALARIS_TEXT_MAX];
    char alarm[ALARIS_TEXT_MAX], mode[ALARIS_TEXT_MAX];
    uint32_t flip;    /* this bit (from 1) of the next answer that has it; 0: none */
    uint64_t answers; /* sent */
    uint64_t refused; /* requests that it did not answer */
    size_t have;
    uint8_t buffer[64];
};

/* A pump that is set and has infused nothing. */
void alaris_emulator_init(struct alaris_emulator *emulator, uint64_t start_us);

/* See struct emulator. A burst is an answer. */
void alaris_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                          struct emulate_output *out);

extern const struct emulator alaris_line_emulator;

#endif
