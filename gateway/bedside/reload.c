/* SPDX-License-Identifier: Apache-2.0
 *
 * A new configuration on SIGHUP. It is read and checked as a whole first; a bad one
 * changes nothing. Lines that are the same go on without missing a reading.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bedside/daemon.h"

/* What can't change under a running store. */
static const char *fixed_key(const struct bedside_config *old,
                             const struct bedside_config *new)
{
    if (strcmp(old->site, new->site) != 0)
        return "site";
    if (strcmp(old->gateway, new->gateway) != 0)
        return "gateway";
    if (strcmp(old->run, new->run) != 0)
        return "run";
    if (strcmp(old->store.folder, new->store.folder) != 0 ||
        strcmp(old->store.key, new->store.key) != 0 ||
        old->store.size != new->store.size ||
        old->store.high_water != new->store.high_water ||
        old->store.batch != new->store.batch)
        return "store";
    return NULL;
}

/* A running line keeps what it borrowed from the old configuration: the two copies change
 * places. */
static void hand_over(struct daemon_bus *running, struct bedside_bus *fresh)
{
    struct bedside_bus *old = running->config;

    for (size_t i = 0; i < fresh->devices.count; i++) {
        struct bedside_device *a = bedside_device(old, i), *b = bedside_device(fresh, i);
        struct profile *loaded = a->loaded;
        a->loaded = b->loaded;
        b->loaded = loaded;
        running->devices[i].config = b;
    }
    running->config = fresh;
}

static struct daemon_bus *find_running(struct daemon *daemon,
                                       const struct bedside_bus *wanted)
{
    for (size_t i = 0; i < daemon->bus_count; i++)
        if (daemon->buses[i].bus != NULL &&
            bedside_bus_same(daemon->buses[i].config, wanted))
            return &daemon->buses[i];
    return NULL;
}

/* Ends lines that are gone or changed, keeps the rest, starts the new ones. */
static void change_lines(struct daemon *daemon, struct bedside_config *fresh)
{
    struct daemon_bus next[BEDSIDE_BUSES_MAX];
    size_t count = fresh->buses.count;

    memset(next, 0, sizeof(next));
    for (size_t i = 0; i < count; i++) {
        struct daemon_bus *running = find_running(daemon, bedside_bus(fresh, i));
        next[i].config = bedside_bus(fresh, i);
        if (running == NULL)
            continue;
        hand_over(running, bedside_bus(fresh, i));
        next[i] = *running;
        memset(running, 0, sizeof(*running));
    }
    for (size_t i = 0; i < daemon->bus_count; i++) {
        if (daemon->buses[i].bus == NULL)
            continue;
        log_notice("bus %s ends", daemon->buses[i].config->name);
        collect_bus_close(daemon, &daemon->buses[i]);
    }
    daemon->bus_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (next[i].bus == NULL) {
            log_notice("bus %s begins", next[i].config->name);
            if (collect_bus_open(daemon, &next[i]) != 0)
                continue; /* logged; the others go on */
        }
        daemon->buses[daemon->bus_count++] = next[i];
    }
}

int reload(struct daemon *daemon)
{
    struct bedside_config *fresh = malloc(sizeof(*fresh)), old;
    char error[CONFIG_ERROR_SIZE];
    const char *fixed;
    bool broker;

    if (fresh == NULL)
        return -1;
    if (bedside_config_load(daemon->path, NULL, false, fresh, error) != 0) {
        log_error("%s", error);
        log_error("the old configuration stays in force");
        free(fresh);
        return -1;
    }
    if ((fixed = fixed_key(&daemon->config, fresh)) != NULL) {
        log_error(
            "%s: %s: can't change while running; the old configuration stays in force",
            daemon->path, fixed);
        bedside_config_free(fresh);
        free(fresh);
        return -1;
    }
    broker = !bedside_broker_same(&daemon->config, fresh);
    change_lines(daemon, fresh);
    old = daemon->config;
    daemon->config = *fresh;
    bedside_config_free(&old);
    free(fresh);
    if (daemon->config.clock.trust == BEDSIDE_TRUST_WALL)
        stamp_trust_wall(&daemon->stamp, (uint32_t)daemon->config.clock.uncertainty_ms);
    if (broker) {
        uplink_close(daemon);
        if (uplink_open(daemon) != 0)
            log_error("the new broker can't be used");
    } else if (uplink_files_changed(daemon) && daemon->tls != NULL) {
        log_notice("certificates were replaced: the connection is made again");
        tls_link_drop(daemon->tls);
    }
    collect_event(daemon, NULL, NULL, wardgate_Event_Kind_CONFIG_CHANGED,
                  "configuration loaded again");
    log_notice("configuration loaded again");
    collect_round(daemon, false);
    return 0;
}
