/* SPDX-License-Identifier: Apache-2.0
 *
 * An emulated line in a thread, for tests that put a real port or bus on it.
 */
#ifndef TESTS_UNIT_BUS_RIG_H
#define TESTS_UNIT_BUS_RIG_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "bedside/bus.h"
#include "tool/emulate_line.h"

struct rig {
    struct emulate_line line;
    struct modbus_slave slave;
    struct modbus_unit units[16];
    char link[200];
    uint32_t baud;
    int stop_fd;
    pthread_t thread;
    bool running;
};

static inline void *rig_run(void *context)
{
    struct rig *rig = context;

    (void)emulate_line_run(&rig->line, rig->stop_fd);
    return NULL;
}

static inline void rig_start(struct rig *rig)
{
    rig->stop_fd = eventfd(0, EFD_CLOEXEC);
    rig->running = true;
    if (rig->stop_fd < 0 || pthread_create(&rig->thread, NULL, rig_run, rig) != 0)
        abort();
}

/* Halts the thread: then the slave may be looked at and changed. */
static inline void rig_halt(struct rig *rig)
{
    uint64_t one = 1;

    if (!rig->running)
        return;
    if (write(rig->stop_fd, &one, sizeof one) < 0)
        abort();
    pthread_join(rig->thread, NULL);
    close(rig->stop_fd);
    rig->running = false;
}

/* Pulls the adapter out. */
static inline void rig_unplug(struct rig *rig)
{
    rig_halt(rig);
    emulate_line_close(&rig->line);
}

/* A pty with rig->slave behind it at rig->link, halted. Hooks may be set before
 * rig_start(). */
static inline void rig_pty(struct rig *rig, const char *folder, uint32_t baud)
{
    (void)snprintf(rig->link, sizeof rig->link, "%.180s/line", folder);
    rig->baud = baud;
    if (emulate_line_pty(&rig->line, rig->link, baud, 11, &modbus_rtu_emulator,
                         &rig->slave) != 0)
        abort();
}

/* The line as the gateway sees it. */
static inline struct port_line rig_line(const struct rig *rig)
{
    struct port_line line = {.baud = rig->baud != 0 ? rig->baud : 115200,
                             .data_bits = 8,
                             .parity = DRIVER_PARITY_EVEN,
                             .stop_bits = 1};

    if (rig->line.listener >= 0) {
        (void)snprintf(line.path, sizeof line.path, "127.0.0.1");
        line.tcp_port = rig->line.port;
    } else {
        (void)snprintf(line.path, sizeof line.path, "%s", rig->link);
    }
    return line;
}

/* The next item, or false after ms without one. */
static inline bool rig_item(struct bus *bus, struct bus_item *item, int ms)
{
    for (int waited = 0; waited <= ms; waited += 2) {
        if (bus_take(bus, item))
            return true;
        usleep(2000);
    }
    return false;
}

/* The next item of a kind; others are dropped. */
static inline bool rig_await(struct bus *bus, enum bus_kind kind, struct bus_item *item,
                             int ms)
{
    uint64_t until = clock_monotonic_us() + (uint64_t)ms * 1000;

    memset(item, 0, sizeof *item); /* also when nothing comes */
    while (clock_monotonic_us() < until) {
        if (rig_item(bus, item, 20) && item->kind == kind)
            return true;
    }
    return false;
}

#endif
