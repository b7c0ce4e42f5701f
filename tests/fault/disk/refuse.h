/* SPDX-License-Identifier: Apache-2.0
 *
 * A disk that refuses. The program's own pwrite, write, writev, fdatasync and fsync stand
 * before the C library's, so that LMDB and the store call them; they refuse what the plan
 * says, for files below one folder.
 */
#ifndef TESTS_FAULT_DISK_REFUSE_H
#define TESTS_FAULT_DISK_REFUSE_H

#include <stdbool.h>
#include <stdint.h>

enum refuse_call {
    REFUSE_WRITE,
    REFUSE_META,
    REFUSE_SYNC,
    REFUSE_ANY
}; /* META: writes of at most one page's head */

#define REFUSE_DIED 42

struct refuse_plan {
    enum refuse_call call;
    uint64_t from, count; /* refuse the from'th matching call (1: the next) and the ones
                             after it; 0: none */
    int error;            /* errno */
    bool half;            /* a write writes half of its bytes instead */
    bool lands;           /* the first one refused is done all the same */
    bool dies;            /* the process ends there, with status REFUSE_DIED */
};

/* Sets the plan for the device and folder of path; calls are counted from now. NULL:
 * refuse nothing. */
void refuse_set(const char *folder, const struct refuse_plan *plan);
/* Matching calls since refuse_set, and those refused. */
uint64_t refuse_seen(void);
uint64_t refuse_refused(void);

#endif
