/* SPDX-License-Identifier: Apache-2.0
 *
 * A line that is lent to another program, `wardgate update` for one. For the devices it
 * is as if the adapter had been pulled out, but that everybody is told why: the gap is
 * honest and the rest of the bus needs no rules of its own.
 */
#include <poll.h>
#include <unistd.h>

#include "bedside/bus_internal.h"

/* How late it may notice that the line was given back. */
#define LOOK_MS 100

/* Only a flag: the line belongs to the thread, which looks between two exchanges. */
void bus_lend(struct bus *bus, bool lend)
{
    atomic_store(&bus->lend, lend);
}

bool bus_lending(struct bus *bus)
{
    return atomic_load(&bus->lend);
}

static void set_lent(struct bus *bus, bool lent)
{
    pthread_mutex_lock(&bus->lock);
    bus->line_statistics.lent = lent;
    bus->line_statistics.progress_us = clock_monotonic_us();
    pthread_mutex_unlock(&bus->lock);
}

/* The loss is noted before the line counts as lent: whoever waits for `lent` may be sure
 * that the gaps begin before anything else is sent. It stays the watchdog's business that
 * the thread comes round. */
void bus_lend_wait(struct bus *bus)
{
    struct pollfd wait = {.fd = bus->stop_fd, .events = POLLIN};

    bus_line_gone(bus, BUS_REASON_LENT);
    while (bus_lending(bus) && !bus_stopping(bus)) {
        set_lent(bus, true);
        (void)poll(&wait, 1, LOOK_MS);
    }
    set_lent(bus, false);
    bus->reopen_us = 0; /* it is there: no pause before the first try */
}
