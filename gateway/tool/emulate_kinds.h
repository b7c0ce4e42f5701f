/* SPDX-License-Identifier: Apache-2.0
 *
 * The serial devices that `wardgate emulate` knows, by the name of the driver that reads
 * them. This is the place for a new emulator: ONE LINE in the table `kinds` of
 * emulate_kinds.c, and for it two functions beside the emulator (drivers/emulate/x.h):
 *
 *   void x_emulator_start(void *state, uint64_t start_us);
 *   int x_emulator_show(void *state, const char *name, const char *text);
 *
 * The first makes the device without values; the second sets one value by the name that a
 * recording's column has ("HR", "PULSE", "RESP", "SpO2", "NBPSys", ...), "" for one that
 * it does not have, in the unit of the column. show() keeps every digit or changes
 * nothing: EMULATE_NO_FIELD if the device has no such value, EMULATE_INEXACT if it has
 * fewer digits, EMULATE_RANGE beyond what it can say, EMULATE_NO_ABSENT.
 */
#ifndef TOOL_EMULATE_KINDS_H
#define TOOL_EMULATE_KINDS_H

#include "drivers/emulate/emulate.h"

struct emulate_kind {
    /* Of the driver, as in a configuration; it also says how the line is set. */
    const char *name;
    const struct emulator *emulator;
    /* Bytes of the emulator's own struct, aligned as for any type. */
    size_t state_size;
    void (*start)(void *state, uint64_t start_us);
    int (*show)(void *state, const char *name, const char *text);
    /* All values of a row are set: NULL unless the device says them as one measurement.
     */
    void (*measured)(void *state);
    /* How often a row was said, for a device that must be asked; NULL: every burst. */
    uint64_t (*said)(const void *state);
};

/* By name; or one after the other from 0. NULL if there is none. */
const struct emulate_kind *emulate_kind_by_name(const char *name);
const struct emulate_kind *emulate_kind_at(size_t index);

#endif
