/* SPDX-License-Identifier: Apache-2.0
 *
 * What systemd sees: ready, reloading, stopping, one line of status, and a watchdog that
 * is fed only while the loop does its rounds and every line's thread comes round. A
 * broker that is away, a disk that refuses and a device that is silent are no reason to
 * be restarted: a restart would not help.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/log.h"
#include "bedside/daemon.h"

#define LINE_STUCK_US                                                                    \
    (30 * US_PER_S) /* a line's thread waits at most seconds for anything */
#define STATUS_EVERY_US (10 * US_PER_S)

/* The first line whose thread has not come round for long; NULL if all have. */
static const char *stuck_line(const struct daemon *daemon, uint64_t now_us)
{
    struct bus_line_statistics statistics;

    for (size_t b = 0; b < daemon->bus_count; b++) {
        bus_line_statistics(daemon->buses[b].bus, &statistics);
        if (now_us > statistics.progress_us &&
            now_us - statistics.progress_us > LINE_STUCK_US)
            return daemon->buses[b].config->name;
    }
    return NULL;
}

void health_line(const struct daemon *daemon, char *out, size_t size)
{
    struct store_status status;
    size_t present = 0, devices = 0;

    for (size_t b = 0; b < daemon->bus_count; b++) {
        devices += daemon->buses[b].config->devices.count;
        for (size_t d = 0; d < daemon->buses[b].config->devices.count; d++)
            present += daemon->buses[b].devices[d].present;
    }
    if (daemon->store == NULL) {
        snprintf(out, size, "%zu of %zu devices answer; STORE SHUT: %s", present, devices,
                 daemon->store_error);
        return;
    }
    store_status(daemon->store, &status);
    snprintf(out, size,
             "%zu of %zu devices answer; %llu readings wait for the chart; broker "
             "%s%s%s%s%s",
             present, devices, (unsigned long long)status.unreceipted,
             daemon->mqtt != NULL && mqtt_is_connected(daemon->mqtt) ? "connected"
                                                                     : "NOT CONNECTED",
             status.error != STORE_OK ? "; STORE: " : "",
             status.error != STORE_OK ? status.error_text : "",
             daemon->lease.peer != NULL ? "; LENT: " : "",
             daemon->lease.peer != NULL ? daemon->lease.bus : "");
}

static void say_status(const struct daemon *daemon)
{
    char line[256];

    health_line(daemon, line, sizeof(line));
    (void)sd_notifyf(0, "STATUS=%s", line);
}

static int on_watchdog(sd_event_source *source, uint64_t at_us, void *context)
{
    struct daemon *daemon = context;
    uint64_t usec = 0, now_us = clock_monotonic_us();
    const char *stuck = stuck_line(daemon, now_us);

    (void)at_us;
    /* progress counts the loop's rounds; a loop that serves sockets and forgets the lines
     * does not feed. */
    if (stuck != NULL)
        log_error("bus %s: its thread is stuck", stuck);
    else if (daemon->progress > 0)
        (void)sd_notify(0, "WATCHDOG=1");
    daemon->progress = 0;
    say_status(daemon);
    if (sd_watchdog_enabled(0, &usec) <= 0 || usec / 2 > STATUS_EVERY_US)
        usec = 2 * STATUS_EVERY_US;
    (void)sd_event_source_set_time(source, now_us + usec / 2);
    (void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

int health_open(struct daemon *daemon)
{
    /* Without a manager that listens nobody is to be told anything. */
    if (getenv("NOTIFY_SOCKET") == NULL)
        return 0;
    return sd_event_add_time(daemon->loop, &daemon->watchdog, CLOCK_BOOTTIME, 0, 100000,
                             on_watchdog, daemon);
}

void health_close(struct daemon *daemon)
{
    daemon->watchdog = sd_event_source_disable_unref(daemon->watchdog);
}

void health_ready(struct daemon *daemon)
{
    say_status(daemon);
    (void)sd_notify(0, "READY=1");
}

void health_reloading(struct daemon *daemon)
{
    struct timespec now; /* systemd's own clock, which stops in suspend */

    (void)daemon;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
                     (unsigned long long)now.tv_sec * 1000000 +
                         (unsigned long long)now.tv_nsec / 1000);
}

void health_stopping(struct daemon *daemon)
{
    (void)daemon;
    (void)sd_notify(0, "STOPPING=1\nSTATUS=committing what is there");
}
