/* SPDX-License-Identifier: Apache-2.0
 *
 * What a store under test has to say for itself. The harness (power.c) records a
 * workload, makes the states that a power cut may leave, and asks the subject of each
 * whether its promises hold.
 */
#ifndef TESTS_FAULT_POWER_POWER_H
#define TESTS_FAULT_POWER_POWER_H

#include <stddef.h>
#include <stdint.h>

#define COMPLAINT_SIZE 256

struct subject {
    const char *name;
    /* Called once before anything else, e.g. to compute what to expect. */
    void (*begin)(const char *scratch, int batches_in_all);
    /* A round begins in a folder with this content (a copy; NULL = an empty folder):
     * learns what is acknowledged. */
    void (*baseline)(const char *copy, int round);
    /* Opens folder as the program does and works for `batches` batches, calling
     * recorder_mark(n) after the nth batch of this round was acknowledged. Returns 0, or
     * -1 (printed). */
    int (*work)(const char *folder, int batches);
    /* The power went after mark `acked` of this round. Opens folder, checks, works on and
     * checks again. Returns 0, or -1 with what is wrong. Runs in a child: it may crash.
     */
    int (*check)(const char *folder, uint64_t acked, char complaint[COMPLAINT_SIZE]);
};

extern const struct subject subject;

#endif
