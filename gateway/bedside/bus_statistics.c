/* SPDX-License-Identifier: Apache-2.0
 *
 * What a line has counted, for the control socket and the state message: copies, taken
 * under the lock that the line's thread counts under.
 */
#include <stdint.h>

#include "bedside/bus.h"
#include "bedside/bus_internal.h"

/* One copy under the lock, so that the counters agree with each other. */
bool bus_statistics(struct bus *bus, size_t device, struct bus_statistics *out)
{
    const struct bus_unit *unit = &bus->units[device];
    uint64_t answers;

    if (device >= bus->unit_count)
        return false;
    pthread_mutex_lock(&bus->lock);
    *out = unit->statistics;
    answers = out->answered + out->exceptions;
    if (answers > 0)
        out->turnaround_mean_us = (uint32_t)(unit->turnaround_sum_us / answers);
    pthread_mutex_unlock(&bus->lock);
    return true;
}

/* The same for the line. */
void bus_line_statistics(struct bus *bus, struct bus_line_statistics *out)
{
    pthread_mutex_lock(&bus->lock);
    *out = bus->line_statistics;
    pthread_mutex_unlock(&bus->lock);
}
