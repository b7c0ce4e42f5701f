/* SPDX-License-Identifier: Apache-2.0
 *
 * Between an emulated device and its line: faults on what it says, and a clock of its own
 * that may run faster than ours, so that an hour's recording goes by in minutes.
 */
#ifndef TOOL_EMULATE_SPOIL_H
#define TOOL_EMULATE_SPOIL_H

#include "drivers/emulate/emulate.h"

/* What may happen to a burst. A Modbus slave has faults of its own (modbus_slave.h). */
enum emulate_spoil_kind {
    SPOIL_LATE,    /* `value` microseconds later */
    SPOIL_TWICE,   /* again, `value` microseconds after the first */
    SPOIL_SHORT,   /* only its first `value` bytes */
    SPOIL_DROP,    /* byte `value` (modulo the length) left out */
    SPOIL_FLIP,    /* bit `value` (modulo the length) inverted */
    SPOIL_SILENT,  /* left out */
    SPOIL_GARBAGE, /* `value` bytes of noise (at most 64) before it */
};

struct emulate_spoil_fault {
    /* The how-manieth burst, from 1; 0: every one. */
    uint64_t burst;
    enum emulate_spoil_kind kind;
    uint32_t value;
};

/* Made by whoever opens the line: {.inner, .state, .speed, .origin_us, .faults}. */
struct emulate_spoil {
    const struct emulator *inner;
    void *state;
    /* The device's clock stands at origin_us when ours does, and runs so much faster; at
     * least 1. */
    uint32_t speed;
    uint64_t origin_us;
    const struct emulate_spoil_fault *faults;
    size_t fault_count;
    /* Said by the device, left out or not. */
    uint64_t bursts;
};

/* The device behind its faults: state is a struct emulate_spoil. */
extern const struct emulator emulate_spoil_emulator;

#endif
