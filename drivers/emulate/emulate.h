/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of an emulated device: bytes of a line and the time in, bytes and the time
 * at which they start on the wire out. Pure: no I/O, no clock, no heap, no globals.
 * Whoever drives one (a test, the simulator, `wardgate emulate`) owns line, clock and
 * byte timing.
 *
 * Caveat: due_us is when the first byte of a burst may leave. How long the burst then
 * takes at the line's baud rate is the driver's business; bursts are returned in order of
 * due_us, and a burst that is due while an earlier one is still leaving waits for it.
 */
#ifndef DRIVERS_EMULATE_EMULATE_H
#define DRIVERS_EMULATE_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMULATE_BURST_MAX                                                                \
    520                      /* bytes: a Modbus ASCII frame, a Nonin packet with noise   \
                              */
#define EMULATE_BURSTS_MAX 6 /* bursts that one call may return */

struct emulate_burst {
    uint64_t due_us; /* monotonic time of its first byte, not before the call's now_us */
    size_t size;     /* bytes used */
    uint8_t bytes[EMULATE_BURST_MAX];
};

/* What one call made. The emulator only appends; the caller empties it (count = 0). */
struct emulate_output {
    size_t count;
    struct emulate_burst bursts[EMULATE_BURSTS_MAX];
};

/* The two ways in, for a caller that drives several kinds. `state` is the emulator's own
 * struct, made by its init function. Either pointer may be NULL: a device that only
 * listens, or only talks. */
struct emulator {
    const char *name; /* "modbus-rtu", "modbus-tcp", "nonin" */

    /* Bytes that arrived at now_us, in any split. Appends 0..n bursts to out. */
    void (*feed)(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                 struct emulate_output *out);

    /* Time passed. Appends what the device says by itself until now_us and says in
     * *again_us when to call next (UINT64_MAX: no need). Harmless to call early; called
     * late, it returns what was missed in several calls (again_us is then in the past).
     */
    void (*tick)(void *state, uint64_t now_us, struct emulate_output *out,
                 uint64_t *again_us);
};

enum emulate_error {
    EMULATE_OK = 0,
    EMULATE_NO_FIELD = -1, /* no field of that name */
    EMULATE_SYNTAX = -2,  /* not a decimal number, a label or a text as the field needs */
    EMULATE_INEXACT = -3, /* the field cannot hold every digit of the value */
    EMULATE_RANGE = -4,   /* too large or too small for the field */
    EMULATE_NO_ABSENT = -5, /* an empty value, but the device cannot say "no value" */
    EMULATE_FULL = -6,      /* more registers than a unit holds */
};

#endif
