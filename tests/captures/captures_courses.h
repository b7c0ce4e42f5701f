/* SPDX-License-Identifier: Apache-2.0
 *
 * The devices of which captures_sessions keeps a recording, and what happens to each of
 * them while it is recorded: values that move, values that are missing, damaged frames.
 */
#ifndef TESTS_CAPTURES_CAPTURES_COURSES_H
#define TESTS_CAPTURES_CAPTURES_COURSES_H

#include "drivers/emulate/emulate.h"

#define COURSE_STATE_MAX 4096 /* bytes of any emulator's state */

struct course {
    const char *file, *driver; /* of the recording; of driver_by_name() */
    const struct emulator *emulator;
    unsigned seconds; /* how long it is recorded */
    void (*start)(void *state);
    void (*second)(void *state, unsigned second); /* at the beginning of each */
};

/* One after the other from 0; NULL past the end. */
const struct course *course_at(size_t index);

#endif
