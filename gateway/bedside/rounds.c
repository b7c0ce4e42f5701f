/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop's rounds. It does not wake for every reading: the first item of a quiet line
 * opens a commit interval, at its end all lines are drained and what they gave is
 * committed. Before that the loop comes only to a line whose queue is half full.
 */
#include <string.h>

#include "base/log.h"
#include "bedside/check_store.h"
#include "bedside/daemon.h"

#define EARLY_US    2000 /* a commit so close is not waited for */
#define ROUND_ITEMS 4096 /* of one line in one round */

/* Looks at the clock before anything is stamped. */
void rounds_look(struct daemon *daemon)
{
    struct instant now;
    struct stamp_notes notes;

    clock_now(&now);
    stamp_look(&daemon->stamp, &now, &notes);
    if (notes.stepped) {
        stamp_stepped(&notes, &daemon->record);
        log_notice("%s", daemon->record.event.detail);
        (void)collect_keep(daemon, &daemon->record);
    }
    if (notes.fix) {
        stamp_fix(&notes, &daemon->record);
        (void)collect_keep(daemon, &daemon->record);
        if (daemon->tls != NULL)
            tls_link_floor(daemon->tls, stamp_known_utc(&daemon->stamp));
    }
}

/* While nothing can be stored a node's memory is the better place for its samples: what
 * is drained then would be counted, and lost. */
static void hold_nodes(struct daemon *daemon)
{
    bool hold = daemon->store == NULL || daemon->store_error[0] != '\0';

    for (size_t b = 0; b < daemon->bus_count; b++)
        bus_hold(daemon->buses[b].bus, hold);
}

/* Takes what the lines have. */
static void drain(struct daemon *daemon)
{
    struct bus_item item;

    for (size_t b = 0; b < daemon->bus_count; b++) {
        struct daemon_bus *bus = &daemon->buses[b];
        for (size_t n = 0; n < ROUND_ITEMS && bus_take(bus->bus, &item); n++)
            collect_item(daemon, bus, &item);
    }
}

/* Gaps that fall due by time, and those of readings that could not be kept. */
static void pass_time(struct daemon *daemon)
{
    uint64_t now_us = clock_monotonic_us();
    wardgate_TimeBlock time;
    struct gaps_out gaps;

    stamp_time(&daemon->stamp, now_us, &time);
    for (size_t b = 0; b < daemon->bus_count; b++) {
        struct daemon_bus *bus = &daemon->buses[b];
        for (size_t d = 0; d < bus->config->devices.count; d++) {
            struct daemon_device *device = &bus->devices[d];
            if (!gaps_has_lost(&device->gaps) && gaps_due_us(&device->gaps) > now_us)
                continue;
            if (daemon->store == NULL)
                continue;
            gaps_tick(&device->gaps, &time, &gaps);
            collect_gaps(daemon, bus, device, &gaps, now_us);
        }
    }
}

/* Earliest time at which pass_time has something to do. */
static uint64_t next_due_us(const struct daemon *daemon)
{
    uint64_t due_us = UINT64_MAX;

    for (size_t b = 0; b < daemon->bus_count; b++) {
        const struct daemon_bus *bus = &daemon->buses[b];
        for (size_t d = 0; d < bus->config->devices.count; d++) {
            uint64_t device_us = gaps_due_us(&bus->devices[d].gaps);
            if (device_us < due_us)
                due_us = device_us;
        }
    }
    return due_us;
}

void rounds_broken(struct daemon *daemon)
{
    if (daemon->again)
        return;
    log_error("store: %s: it will be salvaged", daemon->store_error);
    check_store_mark(daemon);
    daemon->again = true;
    (void)sd_event_exit(daemon->loop, 0);
}

void rounds_commit(struct daemon *daemon)
{
    struct store_status status;
    int error;

    if (daemon->store == NULL)
        return;
    error = store_commit(daemon->store, stamp_known_utc(&daemon->stamp));
    if (error == STORE_OK) {
        if (daemon->store_error[0] != '\0' && !daemon->again)
            log_notice("store: writing again");
        daemon->store_error[0] = '\0';
        daemon->receipts_since_us = 0;
        uplink_committed(daemon);
        return;
    }
    store_status(daemon->store, &status);
    if (daemon->store_error[0] == '\0')
        log_error("store: %s; readings are kept in memory and tried again",
                  status.error_text);
    memcpy(daemon->store_error, status.error_text, sizeof(daemon->store_error));
    if (error == STORE_BROKEN)
        rounds_broken(daemon);
}

/* Receipts alone are no reason to write at once: they ride with the next readings, or
 * wait a little. */
static bool worth_committing(struct daemon *daemon, uint64_t now_us)
{
    if (daemon->store == NULL || !store_dirty(daemon->store))
        return false;
    if (store_pending(daemon->store) > 0)
        return true;
    if (daemon->receipts_since_us == 0)
        daemon->receipts_since_us = now_us;
    return now_us - daemon->receipts_since_us >= RECEIPT_COMMIT_US;
}

static void set_tick(struct daemon *daemon, uint64_t at_us)
{
    (void)sd_event_source_set_time(daemon->tick, at_us);
    (void)sd_event_source_set_enabled(daemon->tick, SD_EVENT_ONESHOT);
}

void collect_round(struct daemon *daemon, bool now)
{
    uint64_t now_us, next_us,
        interval_us = (uint64_t)daemon->config.store.commit_ms * 1000;

    rounds_look(daemon);
    drain(daemon);
    pass_time(daemon);
    lend_tick(daemon, clock_monotonic_us());
    now_us = clock_monotonic_us();
    if (daemon->store == NULL && now_us >= daemon->store_retry_us)
        collect_store_open(daemon);
    if (now || now_us + EARLY_US >= daemon->commit_due_us) {
        if (now || worth_committing(daemon, now_us))
            rounds_commit(daemon);
        daemon->commit_due_us = now_us + interval_us;
    }
    hold_nodes(daemon);
    daemon->progress++;
    if (daemon->stopping)
        return;

    /* Receipts alone need no commit interval: the look at the clock will do for them. */
    next_us = daemon->commit_due_us;
    daemon->ticking = daemon->store != NULL && store_pending(daemon->store) > 0;
    if (!daemon->ticking) {
        next_us = next_due_us(daemon);
        if (daemon->store == NULL && daemon->store_retry_us < next_us)
            next_us = daemon->store_retry_us;
        if (next_us >
            now_us + US_PER_S) /* a stepped clock is noticed while nothing comes */
            next_us = now_us + US_PER_S;
    }
    set_tick(daemon, next_us);
}

int rounds_tick(sd_event_source *source, uint64_t at_us, void *context)
{
    (void)source;
    (void)at_us;
    collect_round(context, false);
    return 0;
}

/* Faster than the commits: what waits is taken into the batch, the commit is not moved.
 */
int rounds_press(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct daemon *daemon = context;

    (void)source;
    (void)fd;
    (void)events;
    rounds_look(daemon);
    drain(daemon);
    return 0;
}

/* The first item after a quiet time: what follows it in the next commit interval comes
 * along. Told of once (edge-triggered), when a line's queue ceases to be empty: during an
 * interval it says nothing new, and what comes after the interval's drain opens the next.
 */
int rounds_item(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct daemon *daemon = context;
    uint64_t now_us = clock_monotonic_us();

    (void)source;
    (void)fd;
    (void)events;
    if (daemon->ticking)
        return 0;
    daemon->ticking = true;
    daemon->commit_due_us = now_us + (uint64_t)daemon->config.store.commit_ms * 1000;
    set_tick(daemon, daemon->commit_due_us);
    return 0;
}
