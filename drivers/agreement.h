/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in for a check where a protocol has none: a number is given only when the
 * frame before it, with nothing lost between, said much the same. Monitors average, so
 * that true values do not leap from one frame to the next; one that does is withheld
 * (absent, questionable) and given when the next frame agrees with it. Damage within the
 * step is found by nobody: its share is counted by the conformance test.
 */
#ifndef DRIVERS_AGREEMENT_H
#define DRIVERS_AGREEMENT_H

#include "drivers/observation.h"

#define AGREEMENT_ITEMS_MAX 16 /* observations of one set that are compared */

/* The numbers of the frame before; all zero: there was none. */
struct agreement {
    bool has;
    bool numeric[AGREEMENT_ITEMS_MAX];
    int64_t mantissa[AGREEMENT_ITEMS_MAX];
};

/* Something was lost or foreign: the frame before no longer vouches for the next. */
void agreement_break(struct agreement *agreement);

/* Compares item i of the set with item i of the set before, both as the device sent them,
 * and withholds what differs by more than steps[i] (in units of the last digit). The set
 * has the same items in the same order each time, at most AGREEMENT_ITEMS_MAX. True if
 * there was a frame before and nothing had to be withheld. */
bool agreement_apply(struct agreement *agreement, struct observation_set *set,
                     const int64_t *steps);

#endif
