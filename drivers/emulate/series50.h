/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated Series 50 fetal monitor: says nothing until it is asked, answers ?C and ?I,
 * begins and ends to send by itself (G, H), and says cuff, saturation and temperature
 * when they are due. Counts every other request, so that a test can assert that nobody
 * sent one. Written from the maker's guide.
 */
#ifndef DRIVERS_EMULATE_SERIES50_H
#define DRIVERS_EMULATE_SERIES50_H

#include "drivers/emulate/emulate.h"

#define SERIES50_EMULATOR_CHANNELS 3 /* HR1, HR2, the mother's */

/* A heart rate's channel. */
struct series50_channel {
    uint16_t quarters; /* of a beat a minute, 0-1200; 0: the pen is lifted */
    uint8_t light;     /* 0 red, 1 yellow, 2 green */
    uint8_t mode;      /* 0 none, 1 US, 2 DECG, 3 MECG, 4 external, 7 unknown */
    bool inoperative;
};

/* The device. What it measures and flip are the caller's to change at any time; the
 * counters are for reading. */
struct series50_emulator {
    struct series50_channel channels[SERIES50_EMULATOR_CHANNELS];
    uint8_t activity;      /* halves */
    uint8_t activity_mode; /* 0 none, 4 external, 5 pressure */
    uint8_t fetal_spo2;    /* percent; 0: none */
    uint16_t status;       /* the block's status word, but for the bit of fetal SpO2 */
    /* What is said once, with the next block: said when its flag is set, then cleared. */
    bool has_pressure, has_saturation, has_temperature;
    uint16_t pressure[4]; /* systolic, diastolic, mean, quarters of a beat */
    uint8_t saturation;   /* halves of a percent */
    uint16_t saturation_rate;
    uint8_t temperature; /* tenths of a degree above 25 */
    uint32_t flip;       /* this bit (from 1) of the next frame that has it; 0: none */

    bool sending;                     /* by itself */
    uint64_t next_us;                 /* when the next block is due while sending */
    uint64_t frames;                  /* sent */
    uint64_t asked, started, stopped; /* ?C; G; H, or a ?C that ended the sending */
    uint64_t refused;                 /* everything else that was sent to it */
    size_t have;
    uint8_t buffer[32];
};

/* A monitor without transducers, switched on at start_us: its identity is its first word.
 */
void series50_emulator_init(struct series50_emulator *emulator, uint64_t start_us);

/* See struct emulator. A burst is a frame. */
void series50_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                            uint64_t now_us, struct emulate_output *out);
void series50_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                            uint64_t *again_us);

extern const struct emulator series50_line_emulator;

#endif
