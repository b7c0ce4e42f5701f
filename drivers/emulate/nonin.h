/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Nonin oximeter: data formats 2, 7, 8 and 13 from given values, with faults.
 * It answers the format selection (ACK, or NAK for a format it does not know) and counts
 * every other request, so that a test can assert that nobody sent one.
 */
#ifndef DRIVERS_EMULATE_NONIN_H
#define DRIVERS_EMULATE_NONIN_H

#include "drivers/emulate/emulate.h"
#include "drivers/observation.h"

#define NONIN_MISSING (-1) /* a value that the device does not have */

/* What the device measures. The marks are the device's own: they
 * stand in every frame of a packet (2, 7), in the frame (8), or in the status (13). */
struct nonin_values {
    int16_t pulse;     /* beats per minute, 0-510, or NONIN_MISSING */
    int16_t spo2;      /* percent, 0-126, or NONIN_MISSING */
    bool sensor_alarm; /* finger off: the values are held, and not to be believed */
    bool artefact;
    bool out_of_track;
    bool low_perfusion;
    bool low_battery;
    bool smartpoint;         /* formats 2, 7 and 13: the device's own quality mark */
    bool from_memory;        /* format 13: a stored measurement */
    bool no_measurement;     /* format 13 */
    struct device_time time; /* format 13: the device's clock */
};

/* What may happen to a burst on its way. */
enum nonin_fault_kind {
    NONIN_FAULT_GARBAGE, /* `value` noise bytes (at most 64) before the burst */
    NONIN_FAULT_DROP,    /* byte `value` (modulo the length) of the burst left out */
    NONIN_FAULT_FLIP,    /* bit `value` (modulo the length) of the burst inverted */
    NONIN_FAULT_SILENT,  /* the whole burst left out */
};

/* One line of the fault script. */
struct nonin_fault {
    uint64_t burst; /* the how-manieth burst, from 1; 0 = every one */
    uint8_t kind;   /* enum nonin_fault_kind */
    uint32_t value;
};

/* The device. Read what it counted; change nothing but faults and fault_count. */
struct nonin_emulator {
    uint8_t format; /* 2, 7, 8 or 13 */
    struct nonin_values values;
    bool measured;                    /* format 13: send `values` once at the next tick */
    uint16_t timer;                   /* formats 2 and 7: the device's 1/3 s counter */
    uint64_t next_us;                 /* when the next burst is due */
    uint64_t bursts;                  /* bursts sent, also counting those left out */
    uint64_t selected;                /* format selections taken */
    uint64_t refused;                 /* other requests: none of them is answered */
    const struct nonin_fault *faults; /* borrowed; NULL: none */
    size_t fault_count;
    size_t have;
    uint8_t buffer[16];
};

/* Makes a device that speaks `format` (2, 7, 8 or 13; others speak 2) from start_us on.
 * Its first values are missing. A burst is a packet of 25 frames every 1/3 s (2, 7), a
 * frame every second (8), or a measurement whenever nonin_emulator_measure() was called
 * (13). */
void nonin_emulator_init(struct nonin_emulator *emulator, uint8_t format,
                         uint64_t start_us);

/* Sets what the device measures from the next burst on. */
void nonin_emulator_set(struct nonin_emulator *emulator,
                        const struct nonin_values *values);

/* Format 13: sends these values at the next tick. */
void nonin_emulator_measure(struct nonin_emulator *emulator,
                            const struct nonin_values *values);

/* See struct emulator. */
void nonin_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                         struct emulate_output *out);
void nonin_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                         uint64_t *again_us);

/* The same two functions as an emulator. */
extern const struct emulator nonin_line_emulator;

#endif
