/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Puritan Bennett ventilator: answers SNDF with all of its fields, and counts
 * every other request.
 */
#ifndef DRIVERS_EMULATE_PB840_H
#define DRIVERS_EMULATE_PB840_H

#include "drivers/emulate/emulate.h"

#define PB840_EMULATOR_FIELDS                                                            \
    174 /* by the maker's numbers; the first five are not set                            \
         */
#define PB840_EMULATOR_TEXT 19

struct pb840_emulator {
    char fields[PB840_EMULATOR_FIELDS][PB840_EMULATOR_TEXT]; /* without their spaces */
    uint32_t flip;    /* this bit (from 1) of the next answer that has it; 0: none */
    uint64_t answers; /* sent */
    uint64_t refused; /* every other request */
    size_t have;
    uint8_t buffer[8];
};

/* A ventilator that is on and shows nothing measured. */
void pb840_emulator_init(struct pb840_emulator *emulator, uint64_t start_us);

/* Sets a field, 5 to 173; "" is one without a value. EMULATE_NO_FIELD, EMULATE_RANGE if
 * it is wider than its place. */
int pb840_emulator_set(struct pb840_emulator *emulator, unsigned field, const char *text);

/* See struct emulator. An answer is longer than a burst: it leaves in several that are
 * due at the same time. */
void pb840_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                         struct emulate_output *out);

extern const struct emulator pb840_line_emulator;

#endif
