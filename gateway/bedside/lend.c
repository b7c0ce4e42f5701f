/* SPDX-License-Identifier: Apache-2.0
 *
 * A line that is lent to an engineer's tool: one at a time, on a lease that ends when the
 * tool closes its connection, dies, or does not ask again in time. The tool can't forget
 * to give a line back, and what it does meanwhile is written down by the gaps.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "bedside/daemon.h"

/* A tool that is stopped in a debugger, or hangs on its terminal, must not keep a bay. */
#define LEASE_US (60 * US_PER_S)

static bool names_device(const char *a, const char *b)
{
    struct stat one, other;

    if (strcmp(a, b) == 0)
        return true;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && S_ISCHR(one.st_mode) &&
           S_ISCHR(other.st_mode) && one.st_rdev == other.st_rdev;
}

/* By name, or by the port it is on: /dev/ttyUSB0 and its name by-id are one device. */
static struct daemon_bus *find(struct daemon *daemon, const char *name, const char *port)
{
    for (size_t b = 0; b < daemon->bus_count; b++) {
        struct daemon_bus *bus = &daemon->buses[b];
        if (bus->bus == NULL)
            continue;
        if (name != NULL && strcmp(bus->config->name, name) == 0)
            return bus;
        if (port != NULL && bus->config->kind != BEDSIDE_TCP &&
            names_device(bus->config->port, port))
            return bus;
    }
    return NULL;
}

static void give_back(struct daemon *daemon, const char *why)
{
    struct daemon_bus *bus = find(daemon, daemon->lease.bus, NULL);

    if (daemon->lease.peer == NULL)
        return;
    log_notice("bus %s: taken back from %s: %s", daemon->lease.bus, daemon->lease.to,
               why);
    daemon->lease.peer = NULL; /* its name stays: the loss may still be in the queue */
    if (bus != NULL)
        bus_lend(bus->bus, false);
}

static void on_close(void *context)
{
    give_back(context, "its connection ended");
}

/* The words go into a log and an event. */
static bool printable(const char *text, size_t most)
{
    size_t n = 0;

    while (n < most && text[n] >= ' ' && text[n] <= '~')
        n++;
    return n > 0 && text[n] == '\0';
}

static void answer(const struct daemon_bus *bus, struct control_peer *peer)
{
    static const char *const parities[] = {[DRIVER_PARITY_NONE] = "none",
                                           [DRIVER_PARITY_EVEN] = "even",
                                           [DRIVER_PARITY_ODD] = "odd"};
    struct bus_device devices[BUS_DEVICES_MAX];
    struct bus_line_statistics line;
    struct bus_setting setting;

    bedside_setting(bus->config, devices, &setting);
    bus_line_statistics(bus->bus, &line);
    control_send(peer, json_pack("{s:b, s:s, s:b, s:s, s:i, s:s, s:i, s:b, s:b}", "ok", 1,
                                 "bus", bus->config->name, "lent", line.lent, "port",
                                 setting.line.path, "baud", (int)setting.line.baud,
                                 "parity", parities[setting.line.parity], "stop_bits",
                                 (int)setting.line.stop_bits, "rs485", setting.line.rs485,
                                 "end", 1));
}

/* Asked again and again by whoever wants the line: until it is closed, and then so that
 * the lease goes on. */
void lend_run(void *context, const json_t *request, struct control_peer *peer)
{
    struct daemon *daemon = context;
    const char *name = json_string_value(json_object_get(request, "bus"));
    const char *port = json_string_value(json_object_get(request, "port"));
    const char *to = json_string_value(json_object_get(request, "to"));
    struct daemon_bus *bus = find(daemon, name, port);

    if ((name == NULL && port == NULL) || to == NULL ||
        !printable(to, sizeof(daemon->lease.to) - 1)) {
        control_fail(peer, "expected bus or port, and to: who wants the line");
        return;
    }
    if (bus == NULL && name != NULL) {
        control_fail(peer, "there is no bus '%.40s'", name);
        return;
    }
    if (bus == NULL) { /* not one of ours: nothing to lend, and nothing in the way */
        control_send(peer, json_pack("{s:b, s:n, s:b, s:b}", "ok", 1, "bus", "lent", 0,
                                     "end", 1));
        return;
    }
    if (daemon->lease.peer != NULL &&
        (daemon->lease.peer != peer ||
         strcmp(daemon->lease.bus, bus->config->name) != 0)) {
        control_fail(peer, "bus %s is lent to %s", daemon->lease.bus, daemon->lease.to);
        return;
    }
    if (daemon->lease.peer == NULL) {
        daemon->lease.peer = peer;
        (void)snprintf(daemon->lease.bus, sizeof(daemon->lease.bus), "%s",
                       bus->config->name);
        (void)snprintf(daemon->lease.to, sizeof(daemon->lease.to), "%s", to);
        control_on_close(peer, on_close, daemon);
        log_notice("bus %s: lent to %s", daemon->lease.bus, to);
    }
    daemon->lease.until_us = clock_monotonic_us() + LEASE_US;
    bus_lend(bus->bus, true); /* also one that a new configuration has begun again */
    answer(bus, peer);
}

void lend_tick(struct daemon *daemon, uint64_t now_us)
{
    if (daemon->lease.peer != NULL && now_us > daemon->lease.until_us)
        give_back(daemon, "it did not ask for more time");
}
