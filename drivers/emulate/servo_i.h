/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Servo ventilator on its computer interface: basic mode until RCTY, then
 * protocol version, channel configuration, definition and reading of breath values. Every
 * other command is refused and counted, so that a test can assert that nobody sent one.
 * Written from the maker's manual.
 */
#ifndef DRIVERS_EMULATE_SERVO_I_H
#define DRIVERS_EMULATE_SERVO_I_H

#include "drivers/emulate/emulate.h"

#define SERVO_I_EMULATOR_CHANNELS 24
#define SERVO_I_EMULATOR_MISSING  9999

struct servo_i_emulated_channel {
    uint16_t number;    /* 0: this ventilator does not have it */
    int16_t raw;        /* four digits, or SERVO_I_EMULATOR_MISSING */
    const char *gain;   /* as it is told: "+1000E-004" */
    const char *offset; /* "+0000E+000" */
    uint8_t unit;       /* the interface's number */
};

/* The ventilator. Set the knobs; read what it counted. */
struct servo_i_emulator {
    struct servo_i_emulated_channel channels[SERVO_I_EMULATOR_CHANNELS];
    const char *version; /* highest, three digits */
    bool standby;        /* below version 005 reading is then refused */
    bool contact;        /* of the interface with the ventilator */
    uint32_t flip;       /* this bit (from 1) of the next answer is inverted; 0: none */
    bool extended;
    uint16_t defined[SERVO_I_EMULATOR_CHANNELS]; /* channels that RADAB reads */
    size_t defined_count;
    uint64_t answers;  /* to anything */
    uint64_t readings; /* RADAB answered with values */
    uint64_t refused;  /* commands that only a therapist should send, or unknown ones */
    size_t have;
    char command[200];
};

/* A ventilator with the manual's channels, all without values, switched on. */
void servo_i_emulator_start(void *state, uint64_t start_us);

/* Sets a value by the name that recordings use: "RESP" (/min), "VT" (mL), "MV" (L/min),
 * "PIP", "PEEP" (cmH2O), "FiO2" (%), "etCO2" (mmHg). "" is a missing value.
 * EMULATE_NO_FIELD, EMULATE_SYNTAX, EMULATE_INEXACT, EMULATE_RANGE. */
int servo_i_emulator_show(void *state, const char *name, const char *text);

/* A channel by its number; NULL if the ventilator does not have it. */
struct servo_i_emulated_channel *servo_i_emulator_channel(struct servo_i_emulator *e,
                                                          unsigned number);

/* struct emulator's two ways in. */
void servo_i_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                           struct emulate_output *out);
void servo_i_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                           uint64_t *again_us);

extern const struct emulator servo_i_line_emulator;

#endif
