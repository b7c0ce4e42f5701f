/* SPDX-License-Identifier: Apache-2.0
 *
 * Five emulated oximeters without a check in their format: Contec's 9-byte packages and
 * 5-byte frames, and the printed lines of Nonin, Nellcor and Masimo. Written from the
 * sources named in contec.h and oximeter_line.h, not from the decoders.
 *
 * Caveat: nothing public says how long a Contec goes on without being told that somebody
 * listens; here it is twice the five seconds in which the maker wants to be told.
 */
#ifndef DRIVERS_EMULATE_OXIMETER_H
#define DRIVERS_EMULATE_OXIMETER_H

#include "drivers/emulate/emulate.h"
#include "drivers/observation.h"

#define OXIMETER_MISSING (-1) /* a value that the device does not have */

enum oximeter_kind {
    OXIMETER_CONTEC_V7,     /* 60 packages a second, once asked for */
    OXIMETER_CONTEC_5BYTE,  /* 60 frames a second */
    OXIMETER_NONIN_8500,    /* a line a second */
    OXIMETER_NELLCOR_N595,  /* a line every two seconds */
    OXIMETER_MASIMO_ASCII1, /* a line a second */
    OXIMETER_KINDS,
};

/* What the device measures. What a format cannot say is left out of it. */
struct oximeter_values {
    int16_t pulse;     /* beats per minute, 0-254 (lines: 0-999), or OXIMETER_MISSING */
    int16_t spo2;      /* percent, 0-126 (lines: 0-999), or OXIMETER_MISSING */
    int16_t perfusion; /* 0.01 %, 0-2200, or OXIMETER_MISSING: Contec V7, Masimo */
    bool sensor_off;   /* no finger: no values either */
    bool searching;    /* all but Nonin */
};

/* The device. values, clock and flip are the caller's to change at any time; the counters
 * are for reading. */
struct oximeter_emulator {
    enum oximeter_kind kind;
    struct oximeter_values values;
    struct device_time clock; /* as printed by Nellcor and Masimo; stands still */
    uint32_t
        flip; /* this bit (from 1) of the next burst that has it is inverted; 0: none */
    uint64_t next_us;       /* when the next burst is due; UINT64_MAX: not asked for */
    uint64_t alive_us;      /* Contec V7: goes on until then */
    uint64_t bursts;        /* bursts sent */
    uint64_t started, told; /* Contec V7: requests for data; that somebody listens */
    uint64_t refused;       /* everything else that was sent to it, requests or bytes */
    size_t have;
    uint8_t buffer[9];
};

/* Makes a device without values, switched on at start_us. kind < OXIMETER_KINDS. */
void oximeter_emulator_init(struct oximeter_emulator *emulator, enum oximeter_kind kind,
                            uint64_t start_us);

/* See struct emulator. A burst is a frame, a package or a line. */
void oximeter_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                            uint64_t now_us, struct emulate_output *out);
void oximeter_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                            uint64_t *again_us);

/* The same two functions as an emulator. */
extern const struct emulator oximeter_line_emulator;

#endif
