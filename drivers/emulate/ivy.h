/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Ivy 450C monitor, ANSAR-B: a message a second, unasked. Written from the
 * recording of a real device. It takes nothing and counts every byte that was sent to it.
 */
#ifndef DRIVERS_EMULATE_IVY_H
#define DRIVERS_EMULATE_IVY_H

#include "drivers/emulate/emulate.h"

#define IVY_MISSING     INT16_MIN /* a value that the device does not have */
#define IVY_MESSAGE_MAX 700       /* bytes of a message */

enum ivy_value {
    IVY_HR,    /* beats per minute */
    IVY_RR,    /* breaths per minute */
    IVY_SPO2,  /* percent */
    IVY_PULSE, /* beats per minute, of the oximeter */
    IVY_SYS,   /* mmHg, of the cuff, as the next two */
    IVY_DIA,
    IVY_MEAN,
    IVY_CUFF_PULSE, /* beats per minute, of the cuff */
    IVY_P1_SYS,     /* mmHg, as the next two */
    IVY_P1_DIA,
    IVY_P1_MEAN,
    IVY_VALUES,
};

/* The device. values and flip are the caller's to change at any time. */
struct ivy_emulator {
    int16_t values[IVY_VALUES]; /* -999 to 999, or IVY_MISSING */
    uint32_t
        flip; /* this bit (from 1) of the next message that has it is inverted; 0: none */
    uint64_t next_us;  /* when the next message is due */
    uint64_t messages; /* sent */
    uint64_t refused;  /* bytes that were sent to it */
};

/* Makes a device without values, switched on at start_us. */
void ivy_emulator_init(struct ivy_emulator *emulator, uint64_t start_us);

/* See struct emulator. A message is longer than a burst: it leaves in three that are due
 * at the same time. */
void ivy_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out);
void ivy_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                       uint64_t *again_us);

/* The same two functions as an emulator. */
extern const struct emulator ivy_line_emulator;

#endif
