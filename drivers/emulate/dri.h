/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated GE S/5 monitor on its computer interface: answers a request for displayed
 * values with a record at once and then one every interval. Any other request is counted,
 * so that a test can assert that nobody sent one. Written from the maker's specification.
 */
#ifndef DRIVERS_EMULATE_DRI_H
#define DRIVERS_EMULATE_DRI_H

#include "drivers/emulate/emulate.h"

#define DRI_EMULATOR_BODY   270 /* bytes of the basic class */
#define DRI_EMULATOR_RECORD 318 /* header and one subrecord */
#define DRI_EMULATOR_WIRE   (2 * (DRI_EMULATOR_RECORD + 1) + 2) /* at most, stuffed */

/* Where the groups of the body begin; their numbers follow six bytes later. */
enum dri_group {
    DRI_ECG = 0,
    DRI_P1 = 16,
    DRI_P2 = 30,
    DRI_P3 = 44,
    DRI_P4 = 58,
    DRI_CUFF = 72,
    DRI_T1 = 86,
    DRI_T2 = 94,
    DRI_T3 = 102,
    DRI_T4 = 110,
    DRI_SPO2 = 118,
    DRI_CO2 = 132,
    DRI_O2 = 146,
    DRI_N2O = 156,
    DRI_FLOW = 178,
};

#define DRI_NO_DATA (-32767)

/* The device. body, flip and clock are the caller's to change at any time. */
struct dri_emulator {
    uint8_t body[DRI_EMULATOR_BODY];
    uint32_t clock;       /* Unix time of the next record */
    uint32_t flip;        /* this bit (from 1) of the next record that has it is inverted;
                           * 0: none */
    uint64_t interval_us; /* between records; 0: none was asked for */
    uint64_t next_us;     /* when the next record is due */
    uint64_t records;     /* sent */
    uint64_t requests;    /* taken */
    uint64_t refused;     /* frames that are no request for displayed values */
    size_t have;
    uint8_t frame[128];
};

/* A monitor without modules, switched on, that nobody has asked yet. */
void dri_emulator_start(void *state, uint64_t start_us);

/* A module: it exists and measures, with these further status bits and this label. */
void dri_emulator_module(struct dri_emulator *emulator, enum dri_group group,
                         uint32_t status, uint16_t label);

/* Number `place` (from 0) of a group, as it is sent. */
void dri_emulator_number(struct dri_emulator *emulator, enum dri_group group,
                         size_t place, int number);

/* Sets a value by the name that recordings use ("HR", "PULSE", "RESP", "SpO2", "NBPSys",
 * "NBPDias", "NBPMean", "ABPSys", "ABPDias", "ABPMean", "CVP", "ICP", "TEMP",
 * "FiO2", "PEEP"; "etCO2%", because the line has no other unit for it) and plugs its
 * module in. "" is a value that the monitor does not have. EMULATE_NO_FIELD,
 * EMULATE_SYNTAX, EMULATE_INEXACT, EMULATE_RANGE. */
int dri_emulator_show(void *state, const char *name, const char *text);

/* The record as it is on the line now, into out[DRI_EMULATOR_WIRE]. Returns its size. */
size_t dri_emulator_record(const struct dri_emulator *emulator, uint8_t *out);

/* See struct emulator. A record is longer than a burst: it leaves in several that are due
 * at the same time. */
void dri_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out);
void dri_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                       uint64_t *again_us);

extern const struct emulator dri_line_emulator;

#endif
