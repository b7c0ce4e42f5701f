/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule of agreement.h.
 */
#include "drivers/agreement.h"

#include <string.h>

void agreement_break(struct agreement *agreement)
{
    agreement->has = false;
}

/* The raw numbers are remembered, not what was given: a true leap is confirmed by the
 * second frame that says it. */
bool agreement_apply(struct agreement *agreement, struct observation_set *set,
                     const int64_t *steps)
{
    bool all = agreement->has;

    for (size_t i = 0; i < set->count && i < AGREEMENT_ITEMS_MAX; i++) {
        struct observation *o = &set->items[i];
        bool numeric = o->kind == OBSERVATION_NUMERIC;
        int64_t value = numeric ? o->mantissa : 0;
        int64_t apart = value > agreement->mantissa[i] ? value - agreement->mantissa[i]
                                                       : agreement->mantissa[i] - value;
        if (numeric && (!agreement->has || !agreement->numeric[i] || apart > steps[i])) {
            o->kind = OBSERVATION_ABSENT; /* absent needs no second opinion */
            o->mantissa = 0;
            o->exponent = 0;
            o->quality |= QUALITY_QUESTIONABLE;
            all = false;
        }
        agreement->numeric[i] = numeric;
        agreement->mantissa[i] = value;
    }
    agreement->has = true;
    return all;
}
