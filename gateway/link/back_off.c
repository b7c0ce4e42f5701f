/* SPDX-License-Identifier: Apache-2.0 */
#include "link/back_off.h"

uint32_t back_off_ms(uint32_t minimum_ms, uint32_t maximum_ms, unsigned failures,
                     uint32_t random)
{
    uint32_t delay_ms = minimum_ms;

    /* Ends after 31 rounds at the latest, however many the failures are. */
    for (unsigned i = 1; i < failures && delay_ms > 0 && delay_ms < maximum_ms; i++)
        delay_ms *= 2;
    if (delay_ms > maximum_ms)
        delay_ms = maximum_ms;
    return delay_ms - random % (delay_ms / 2 + 1);
}
