/* SPDX-License-Identifier: Apache-2.0
 *
 * From the lines to the store: items become readings, gaps and events.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bedside/aged.h"
#include "bedside/daemon.h"
#include "bedside/identities.h"
#include "ports/profile.h"

#define SILENT_READINGS 3

/* --- records --- */

/* Stores a record; false if it could not be. */
bool collect_keep(struct daemon *daemon, wardgate_Record *record)
{
    return daemon->store != NULL && store_add(daemon->store, record) == STORE_OK;
}

static void origin_of(const struct daemon_bus *bus, const struct daemon_device *device,
                      struct stamp_origin *origin)
{
    *origin = (struct stamp_origin){
        .device = device->config->id,
        .identity = device->identity,
        .profile = device->config->profile_name,
        .line = bus->config->name,
        .place = device->config->place,
        .role = (uint8_t)device->config->subject,
        .number = (uint32_t)device->config->number,
    };
}

void collect_event(struct daemon *daemon, const struct daemon_bus *bus,
                   const struct daemon_device *device, wardgate_Event_Kind kind,
                   const char *detail)
{
    struct stamp_origin origin;

    if (device != NULL)
        origin_of(bus, device, &origin);
    stamp_event(&daemon->stamp, device != NULL ? &origin : NULL, kind, detail,
                clock_monotonic_us(), &daemon->record);
    if (!collect_keep(daemon, &daemon->record))
        log_debug("event %d not stored", (int)kind); /* the log has said why */
}

/* Stores gaps of a device; one that can't be stored becomes part of the next. */
void collect_gaps(struct daemon *daemon, const struct daemon_bus *bus,
                  struct daemon_device *device, const struct gaps_out *gaps,
                  uint64_t monotonic_us)
{
    struct stamp_origin origin;

    for (int i = 0; i < gaps->count; i++) {
        wardgate_Record *record = &daemon->record;
        memset(record, 0, sizeof(*record));
        origin_of(bus, device, &origin);
        stamp_origin_fill(&origin, record);
        record->kind = wardgate_Record_Kind_GAP;
        record->has_time = true;
        stamp_time(&daemon->stamp, monotonic_us, &record->time);
        record->has_gap = true;
        record->gap = gaps->items[i];
        if (collect_keep(daemon, record))
            device->gap_records++;
        else
            gaps_again(&device->gaps, &gaps->items[i]);
    }
}

static void take_sample(struct daemon *daemon, const struct daemon_bus *bus,
                        struct daemon_device *device, const struct bus_item *item)
{
    const struct bus_sample *sample = &item->sample;
    uint64_t at_us = item->at.monotonic_us;
    struct stamp_origin origin;
    struct gaps_out gaps;
    wardgate_TimeBlock time, before;

    device->present = true;
    if (device->held) {
        device->held_back++; /* inside the IDENTITY gap that is open */
        return;
    }
    /* The store's word is the last: what it has is not taken twice. */
    if (sample->numbered && !sample->anew && device->gaps.has_sample &&
        sample->set.sample >> 32 == device->gaps.last_sample >> 32 &&
        sample->set.sample <= device->gaps.last_sample)
        return;
    aged_time(&daemon->stamp, at_us, sample->age_us, &time);
    /* A device that counts its samples says itself what is missing; for others the line
     * knows. */
    if (!sample->set.has_sample && sample->missed > 0 && sample->has_previous) {
        stamp_time(&daemon->stamp, sample->previous.monotonic_us, &before);
        gaps_lost(&device->gaps, wardgate_Gap_Reason_DEVICE_SILENT, sample->missed,
                  &before);
        gaps_lost_until(&device->gaps, &time);
    }
    if (gaps_reading(&device->gaps, &time, sample->set.has_sample, sample->set.sample,
                     &gaps) == GAPS_REPEAT)
        return;
    collect_gaps(daemon, bus, device, &gaps, at_us);
    origin_of(bus, device, &origin);
    if (!stamp_reading(&daemon->stamp, &origin, &sample->set, at_us, &daemon->record))
        return;
    if (sample->numbered)
        aged_time(&daemon->stamp, at_us, sample->age_us, &daemon->record.time);
    if (!collect_keep(daemon, &daemon->record)) {
        gaps_lost(&device->gaps, wardgate_Gap_Reason_STORE_ERROR, 1, &time);
        return;
    }
    device->readings++;
    device->last_seq = daemon->record.seq;
    device->last_utc_us = daemon->record.time.utc_us;
}

/* A band was read: from now on its patient is at the scanner's place. The log says that
 * it was, and nothing of whose. */
static void take_scan(struct daemon *daemon, const struct daemon_bus *bus,
                      struct daemon_device *device, const struct bus_item *item)
{
    struct stamp_origin origin;
    wardgate_TimeBlock time;

    device->present = true;
    origin_of(bus, device, &origin);
    stamp_binding(&daemon->stamp, &origin, item->digest, item->at.monotonic_us,
                  &daemon->record);
    time = daemon->record.time;
    if (collect_keep(daemon, &daemon->record)) {
        log_info("%s on %s read a wristband", device->config->id, bus->config->name);
        return;
    }
    log_error("%s on %s read a wristband that could not be stored", device->config->id,
              bus->config->name);
    gaps_lost(&device->gaps, wardgate_Gap_Reason_STORE_ERROR, 1, &time);
}

static void open_gap(struct daemon *daemon, const struct daemon_bus *bus,
                     struct daemon_device *device, wardgate_Gap_Reason reason,
                     uint64_t at_us)
{
    struct gaps_out gaps;
    wardgate_TimeBlock time;

    stamp_time(&daemon->stamp, at_us, &time);
    gaps_open(&device->gaps, reason, &time, &gaps);
    collect_gaps(daemon, bus, device, &gaps, at_us);
}

/* What the device says it is will be what it must say from now on. */
static void expect(struct daemon *daemon, struct daemon_device *device)
{
    int error;

    memcpy(device->expected, device->identity, sizeof(device->expected));
    device->held = false;
    error =
        identities_set(daemon->config.store.folder, device->config->id, device->expected);
    if (error != 0)
        log_warning("%s: its identity can't be remembered: %s", device->config->id,
                    strerror(-error));
}

/* What the device says it is decides whose readings these are: another one at the same
 * address is held until someone says that it is right (P3). */
static void take_identity(struct daemon *daemon, const struct daemon_bus *bus,
                          struct daemon_device *device, const struct bus_item *item)
{
    char detail[192];

    memcpy(device->identity, item->identity, sizeof(device->identity));
    if (device->identity[0] == '\0')
        return;
    if (device->expected[0] == '\0') {
        expect(daemon, device);
        return;
    }
    if (strcmp(device->expected, device->identity) == 0) {
        device->held = false;
        return;
    }
    if (device->held)
        return;
    device->held = true;
    snprintf(detail, sizeof(detail), "was '%.80s', now says '%.80s'", device->expected,
             device->identity);
    log_warning("%s on %s %s: readings are held back until it is confirmed",
                device->config->id, bus->config->name, detail);
    collect_event(daemon, bus, device, wardgate_Event_Kind_IDENTITY_CHANGED, detail);
    open_gap(daemon, bus, device, wardgate_Gap_Reason_IDENTITY, item->at.monotonic_us);
}

static void take_line(struct daemon *daemon, struct daemon_bus *bus,
                      const struct bus_item *item)
{
    bool lost = item->kind == BUS_LINE_LOST;
    char detail[192];

    bus->line_down = lost;
    if (lost && item->reason == BUS_REASON_LENT)
        snprintf(detail, sizeof(detail), "%s: lent to %s", bus->config->name,
                 daemon->lease.to);
    else
        snprintf(detail, sizeof(detail), "%s: %s", bus->config->name,
                 lost ? strerror(item->reason) : "line open");
    log_notice("%s", detail);
    collect_event(daemon, NULL, NULL,
                  lost ? wardgate_Event_Kind_BUS_LOST : wardgate_Event_Kind_BUS_BACK,
                  detail);
    for (size_t i = 0; lost && i < bus->config->devices.count; i++) {
        bus->devices[i].present = false;
        open_gap(daemon, bus, &bus->devices[i], wardgate_Gap_Reason_BUS_DOWN,
                 item->at.monotonic_us);
    }
}

void collect_item(struct daemon *daemon, struct daemon_bus *bus,
                  const struct bus_item *item)
{
    struct daemon_device *device;

    if (item->kind == BUS_LINE_LOST || item->kind == BUS_LINE_BACK) {
        take_line(daemon, bus, item);
        return;
    }
    if (item->device >= bus->config->devices.count)
        return;
    device = &bus->devices[item->device];
    switch (item->kind) {
    case BUS_SAMPLE:
        take_sample(daemon, bus, device, item);
        break;
    case BUS_IDENTITY:
        take_identity(daemon, bus, device, item);
        break;
    case BUS_APPEARED:
        device->present = true;
        log_info("%s on %s answers", device->config->id, bus->config->name);
        collect_event(daemon, bus, device, wardgate_Event_Kind_DEVICE_APPEARED, "");
        break;
    case BUS_LOST:
        device->present = false;
        log_notice("%s on %s is silent", device->config->id, bus->config->name);
        collect_event(daemon, bus, device, wardgate_Event_Kind_DEVICE_LOST, "");
        open_gap(daemon, bus, device, wardgate_Gap_Reason_DEVICE_SILENT,
                 item->at.monotonic_us);
        break;
    case BUS_REJECTED:
        if (device->rejected++ == 0)
            log_warning("%s on %s: field '%s' is not as its profile says",
                        device->config->id, bus->config->name, item->reject.field);
        break;
    case BUS_SCAN:
        take_scan(daemon, bus, device, item);
        break;
    case BUS_LINE_LOST:
    case BUS_LINE_BACK:
        break;
    }
}

bool collect_confirm(struct daemon *daemon, const char *id)
{
    for (size_t b = 0; b < daemon->bus_count; b++) {
        struct daemon_bus *bus = &daemon->buses[b];
        for (size_t d = 0; d < bus->config->devices.count; d++) {
            struct daemon_device *device = &bus->devices[d];
            if (strcmp(device->config->id, id) != 0)
                continue;
            if (!device->held)
                return false;
            expect(daemon, device);
            collect_event(daemon, bus, device, wardgate_Event_Kind_IDENTITY_CHANGED,
                          "confirmed");
            return true;
        }
    }
    return false;
}

/* --- opening --- */

static void restart_gap(struct daemon *daemon, struct daemon_device *device)
{
    wardgate_Record *record = &daemon->record;

    if (!device->gaps.has_last && store_last(daemon->store, device->config->id, record))
        gaps_restart(&device->gaps, &record->time, record->has_sample, record->sample);
}

int collect_key(struct daemon *daemon, char error[STORE_ERROR_SIZE])
{
    const char *path = daemon->config.store.key;
    int result;

    if (daemon->has_key)
        return 0;
    result = key_file(path, 1, &daemon->store_config.key);
    daemon->has_key = result == CRYPTO_OK;
    if (!daemon->has_key)
        snprintf(error, STORE_ERROR_SIZE, "key %.100s: %.40s", path,
                 result == CRYPTO_FILE ? strerror(errno) : "no random numbers");
    return daemon->has_key ? 0 : -1;
}

/* Says why the store is shut, once a reason. */
static void store_shut(struct daemon *daemon, const char *error)
{
    if (strcmp(error, daemon->store_error) != 0)
        log_error("store: %s; readings are counted as lost until it opens", error);
    (void)snprintf(daemon->store_error, sizeof(daemon->store_error), "%s", error);
}

void collect_store_open(struct daemon *daemon)
{
    char error[STORE_ERROR_SIZE] = "";
    struct store_status status;

    daemon->store_retry_us = clock_monotonic_us() + STORE_RETRY_US;
    if (collect_key(daemon, error) != 0 ||
        store_open(&daemon->store_config, &daemon->store, error) != STORE_OK) {
        store_shut(daemon, error);
        return;
    }
    daemon->store_error[0] = '\0';
    store_status(daemon->store, &status);
    if (!status.preallocated && !daemon->store_config.no_preallocate)
        log_warning("store: the disk has no room for all of its %llu bytes",
                    (unsigned long long)status.map_bytes);
    if (status.committed_utc_us > daemon->stamp.floor_utc_us)
        daemon->stamp.floor_utc_us = status.committed_utc_us;
    for (size_t b = 0; b < daemon->bus_count; b++)
        for (size_t d = 0; d < daemon->buses[b].config->devices.count; d++)
            restart_gap(daemon, &daemon->buses[b].devices[d]);
    log_info("store: %llu records, %llu wait for the chart",
             (unsigned long long)status.stored, (unsigned long long)status.unreceipted);
    uplink_committed(daemon);
}

/* How wide the device's sample counter is. */
static uint32_t sample_bits(const struct bedside_device *config)
{
    const struct regmap *map =
        config->loaded != NULL ? profile_regmap(config->loaded) : NULL;

    for (size_t i = 0; map != NULL && i < map->field_count; i++) {
        if (map->fields[i].role != REGMAP_SAMPLE)
            continue;
        switch ((enum regmap_type)map->fields[i].type) {
        case REGMAP_U16:
        case REGMAP_I16:
            return 16;
        case REGMAP_U32:
        case REGMAP_I32:
            return 32;
        default:
            return 64;
        }
    }
    return 64;
}

static void device_open(struct daemon *daemon, struct daemon_device *device,
                        const struct bedside_device *config)
{
    uint64_t every_ms = (uint64_t)config->every_ms,
             silence_ms = (uint64_t)config->silence_ms;
    struct gaps_config gaps = {.sample_bits = sample_bits(config)};

    if (every_ms == 0 && config->loaded != NULL)
        every_ms = profile_regmap(config->loaded)->every_ms;
    if (silence_ms == 0 && config->streams != NULL)
        silence_ms = config->streams->silence_ms;
    if (silence_ms == 0)
        silence_ms = SILENT_READINGS * (every_ms > 0 ? every_ms : 1000);
    gaps.silence_us = silence_ms * 1000;
    memset(device, 0, sizeof(*device));
    device->config = config;
    /* What the configuration says goes before what was seen. */
    memcpy(device->expected, config->identity, sizeof(config->identity));
    if (device->expected[0] == '\0')
        (void)identities_find(daemon->config.store.folder, config->id, device->expected,
                              sizeof(device->expected));
    gaps_init(&device->gaps, &gaps, clock_monotonic_us());
    if (daemon->store != NULL)
        restart_gap(daemon, device);
}

/* What a scanner needs. Without its key it reads and nothing of it is taken: the other
 * lines go on. */
static void set_scanner(struct daemon *daemon, const struct daemon_bus *bus,
                        struct bus_setting *setting)
{
    const struct driver *driver = bedside_device(bus->config, 0)->streams;

    if (driver == NULL || driver->scan == NULL)
        return;
    if (!daemon->has_digest_key)
        daemon->has_digest_key =
            key_file(daemon->config.digest_key, 0, &daemon->digest_key) == CRYPTO_OK;
    if (!daemon->has_digest_key) {
        log_error("bus %s: digest_key %s can't be used: no wristband is taken",
                  bus->config->name, daemon->config.digest_key);
        return;
    }
    setting->digest_key = &daemon->digest_key;
    setting->band_prefix = daemon->config.band_prefix;
}

int collect_bus_open(struct daemon *daemon, struct daemon_bus *bus)
{
    struct bus_device devices[BUS_DEVICES_MAX];
    struct bus_setting setting;
    int error;

    bus->devices = calloc(bus->config->devices.count, sizeof(*bus->devices));
    if (bus->devices == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < bus->config->devices.count; i++)
        device_open(daemon, &bus->devices[i], bedside_device(bus->config, i));
    bedside_setting(bus->config, devices, &setting);
    set_scanner(daemon, bus, &setting);
    for (size_t i = 0; i < bus->config->devices.count; i++) {
        devices[i].has_resume = bus->devices[i].gaps.has_sample;
        devices[i].resume = bus->devices[i].gaps.last_sample;
    }
    setting.hold = daemon->store == NULL;
    if ((error = bus_start(&setting, &bus->bus)) != 0)
        goto err1;
    error = sd_event_add_io(daemon->loop, &bus->source, bus_fd(bus->bus),
                            EPOLLIN | EPOLLET, rounds_item, daemon);
    if (error >= 0)
        error = sd_event_add_io(daemon->loop, &bus->press, bus_press_fd(bus->bus),
                                EPOLLIN, rounds_press, daemon);
    if (error < 0)
        goto err2;
    return 0;

err2:
    bus->source = sd_event_source_disable_unref(bus->source);
    bus_stop(bus->bus);
    bus->bus = NULL;
err1:
    free(bus->devices);
    bus->devices = NULL;
    log_error("bus %s: %s", bus->config->name, strerror(-error));
    return error;
}

void collect_bus_close(struct daemon *daemon, struct daemon_bus *bus)
{
    struct bus_item item;

    bus->source = sd_event_source_disable_unref(bus->source);
    bus->press = sd_event_source_disable_unref(bus->press);
    if (bus->bus != NULL) {
        bus_quiesce(bus->bus);
        while (bus_take(bus->bus, &item))
            collect_item(daemon, bus, &item);
        bus_stop(bus->bus);
        bus->bus = NULL;
        for (size_t i = 0; i < bus->config->devices.count; i++)
            open_gap(daemon, bus, &bus->devices[i], wardgate_Gap_Reason_STOPPED,
                     clock_monotonic_us());
    }
    free(bus->devices);
    bus->devices = NULL;
}

int collect_open(struct daemon *daemon)
{
    int error = sd_event_add_time(daemon->loop, &daemon->tick, CLOCK_BOOTTIME, 0, 1000,
                                  rounds_tick, daemon);

    if (error < 0)
        return error;
    rounds_look(daemon);
    collect_store_open(daemon);
    if (daemon->salvaged[0] != '\0')
        collect_event(daemon, NULL, NULL, wardgate_Event_Kind_STORE_SALVAGED,
                      daemon->salvaged);
    collect_event(daemon, NULL, NULL, wardgate_Event_Kind_STARTED,
                  "wardgated " WARDGATE_VERSION);
    for (size_t i = 0; i < daemon->config.buses.count; i++) {
        struct daemon_bus *bus = &daemon->buses[daemon->bus_count];
        memset(bus, 0, sizeof(*bus));
        bus->config = bedside_bus(&daemon->config, i);
        if ((error = collect_bus_open(daemon, bus)) != 0)
            return error;
        daemon->bus_count++;
    }
    collect_round(daemon, true);
    return 0;
}

void collect_stop(struct daemon *daemon)
{
    if (daemon->stopping)
        return;
    daemon->stopping = true;
    collect_event(daemon, NULL, NULL, wardgate_Event_Kind_STOPPING,
                  "stopped by its manager");
    for (size_t i = 0; i < daemon->bus_count; i++)
        bus_ask_stop(daemon->buses[i]
                         .bus); /* all at once: each may be in the middle of a request */
    while (daemon->bus_count > 0)
        collect_bus_close(daemon, &daemon->buses[--daemon->bus_count]);
    rounds_look(daemon);
    rounds_commit(daemon);
    daemon->tick = sd_event_source_disable_unref(daemon->tick);
}

void collect_close(struct daemon *daemon)
{
    collect_stop(daemon);
    /* Receipts that came since are worth a last commit: they spare sending again. */
    if (daemon->store != NULL && store_dirty(daemon->store))
        (void)store_commit(daemon->store, 0);
    store_close(daemon->store);
    daemon->store = NULL;
}
