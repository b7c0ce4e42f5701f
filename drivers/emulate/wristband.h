/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated barcode scanner: what is shown to it it says once, with CR and LF. Makes
 * bands of test numbers; written from the standards, with check digits of its own making.
 */
#ifndef DRIVERS_EMULATE_WRISTBAND_H
#define DRIVERS_EMULATE_WRISTBAND_H

#include "drivers/emulate/emulate.h"

#define WRISTBAND_SHOWN_MAX 240 /* bytes of a barcode */

/* The scanner. */
struct wristband_emulator {
    size_t size; /* of what is shown and not yet said; 0: nothing */
    uint8_t shown[WRISTBAND_SHOWN_MAX];
    uint64_t due_us;
    uint32_t
        flip; /* this bit (from 1) of the next scan that has it is inverted; 0: none */
    uint64_t scans;   /* said */
    uint64_t refused; /* bytes that were sent to it */
};

void wristband_emulator_init(struct wristband_emulator *emulator, uint64_t start_us);

/* Shows a barcode as it is. EMULATE_FULL if it is too long. */
int wristband_emulator_show(struct wristband_emulator *emulator, const void *bytes,
                            size_t n, uint64_t at_us);

/* Shows a whole band: prefix of seven digits, NHS number of ten, local number and name as
 * text. EMULATE_SYNTAX, EMULATE_FULL. */
int wristband_emulator_band(struct wristband_emulator *emulator, const char *prefix,
                            const char *nhs, const char *local, const char *name,
                            uint64_t at_us);

/* See struct emulator. A burst is a scan. */
void wristband_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                             uint64_t now_us, struct emulate_output *out);
void wristband_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                             uint64_t *again_us);

extern const struct emulator wristband_line_emulator;

#endif
