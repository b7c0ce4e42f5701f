/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Draeger MEDIBUS device: begins a session, answers page 1 of the measured
 * values, the settings and its clock, and counts every other request, so that a test can
 * assert that nobody sent one. Written from the maker's document.
 */
#ifndef DRIVERS_EMULATE_MEDIBUS_H
#define DRIVERS_EMULATE_MEDIBUS_H

#include "drivers/emulate/emulate.h"
#include "drivers/observation.h"

#define MEDIBUS_VALUES_MAX   16
#define MEDIBUS_MEASURED_MAX 4 /* characters that a measured value can have */
#define MEDIBUS_SETTING_MAX  5

struct medibus_value {
    char key[3];  /* two hex digits */
    char text[6]; /* as shown, right-justified on the line; "": the device has none */
};

/* The device. Set the knobs; read what it counted. */
struct medibus_emulator {
    struct medibus_value measured[MEDIBUS_VALUES_MAX], settings[MEDIBUS_VALUES_MAX];
    size_t measured_count, setting_count;
    struct device_time clock;
    bool german;       /* months in German */
    bool curves;       /* real-time bytes between the characters of every response */
    bool asks_inside;  /* a NOP of its own in the middle of the measured values */
    uint32_t flip;     /* this bit (from 1) of the next response is inverted; 0: none */
    bool on_line;      /* the other side has begun a session */
    uint64_t next_us;  /* when it says ICC by itself */
    uint64_t sessions; /* ICC taken */
    uint64_t answers;  /* answers to its own commands */
    uint64_t refused;  /* commands that are not read-only or not known, bad checks */
    uint64_t measured_said; /* times that the measured values were asked for and said */
    size_t have;
    uint8_t buffer[64];
};

/* A device without values, switched on at start_us. */
void medibus_emulator_init(struct medibus_emulator *emulator, uint64_t start_us);

/* Sets a measured value, or adds it. "" is a value that the device does not have. As
 * EMULATE_INEXACT if it has more characters than the line carries, EMULATE_FULL. */
int medibus_emulator_set(struct medibus_emulator *emulator, const char *key,
                         const char *text);

/* struct emulator's two ways in. */
void medibus_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                           struct emulate_output *out);
void medibus_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                           uint64_t *again_us);

extern const struct emulator medibus_line_emulator;

#endif
