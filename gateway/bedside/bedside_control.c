/* SPDX-License-Identifier: Apache-2.0
 *
 * What an engineer asks wardgated over its control socket: DESIGN.md lists verbs and
 * answers. Values of readings go only to who may open the socket (0600), never to a log.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/zone.h"
#include "bedside/daemon.h"
#include "ports/port.h"
#include "wire/gap_devices.h"
#include "wire/terms.h"

#define TAIL_PRESET 100
#define TAIL_MAX    1000 /* records in one answer; ask again from `next` */

static json_t *u64(uint64_t value)
{
    return json_integer((json_int_t)value); /* seqs and counts stay far below 2^63 */
}

static json_t *text_or_null(const char *text)
{
    return text[0] != '\0' ? json_string(text) : json_null();
}

static json_t *time_text(int64_t utc_us)
{
    char text[ZONE_TEXT_SIZE];

    return utc_us == 0 ? json_null() : json_string(utc_text(utc_us, text));
}

static json_t *ended(json_t *object)
{
    json_object_set_new(object, "ok", json_true());
    json_object_set_new(object, "end", json_true());
    return object;
}

/* --- status --- */

static json_t *store_json(const struct daemon *daemon)
{
    struct store_status status;
    char epoch[2 * EPOCH_SIZE + 1];

    if (daemon->store == NULL)
        return json_pack("{s:b, s:s}", "open", 0, "error", daemon->store_error);
    store_status(daemon->store, &status);
    return json_pack("{s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:b, "
                     "s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:b, s:o}",
                     "open", 1, "epoch", hex_text(status.epoch.bytes, EPOCH_SIZE, epoch),
                     "first", u64(status.first), "next", u64(status.next), "unreceipted",
                     u64(status.unreceipted), "unreceipted_bytes",
                     u64(status.unreceipted_bytes), "stored", u64(status.stored),
                     "pending", u64(status.pending), "pending_bytes",
                     u64(status.pending_bytes), "full_percent",
                     status.full_permille / 10.0, "map_bytes", u64(status.map_bytes),
                     "used_bytes", u64(status.used_bytes), "preallocated",
                     status.preallocated, "commits", u64(status.commits), "errors",
                     u64(status.errors), "damaged", u64(status.damaged), "evicted",
                     u64(status.evicted), "refused", u64(status.refused), "written_bytes",
                     u64(status.written_bytes), "failing", status.error != STORE_OK,
                     "error", text_or_null(status.error_text));
}

static json_t *broker_json(const struct daemon *daemon)
{
    static const char *const states[] = {"idle", "connecting", "handshake", "open",
                                         "refused"};
    const struct forward_counts *counts = &daemon->forward.counts;
    struct tls_link_status status;
    uint64_t now_us = clock_monotonic_us();
    bool live = daemon->forward.heard &&
                now_us - daemon->forward.heard_us < FORWARD_CHART_LIVE_US;

    memset(&status, 0, sizeof(status));
    if (daemon->tls != NULL)
        tls_link_status(daemon->tls, &status);
    return json_pack(
        "{s:s, s:i, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:o, s:o}",
        "host", daemon->config.broker.host, "port", (int)daemon->config.broker.port,
        "connected", daemon->mqtt != NULL && mqtt_is_connected(daemon->mqtt), "tls",
        states[status.state], "tls_version", text_or_null(status.version), "tls_suite",
        text_or_null(status.suite), "tls_error", text_or_null(status.error),
        "certificate_expires", time_text(status.own_expiry_utc_us), "peer",
        text_or_null(status.peer), "chart_live", live, "on_the_way_bytes",
        u64(daemon->forward.on_the_way), "envelopes", u64(counts->sent), "envelope_bytes",
        u64(counts->sent_bytes), "offered_again", u64(counts->offered_again), "refused",
        u64(counts->refused), "no_subscriber", u64(counts->no_subscriber), "receipts",
        u64(daemon->receipts), "receipted", u64(counts->receipted), "receipts_refused",
        u64(daemon->receipts_refused + daemon->bad_receipts));
}

static json_t *clock_json(const struct daemon *daemon)
{
    static const char *const states[] = {"unknown", "synced", "holdover"};

    return json_pack("{s:s, s:i, s:o, s:o}", "sync", states[daemon->stamp.sync],
                     "uncertainty_ms", (int)daemon->stamp.uncertainty_ms, "utc",
                     time_text(clock_utc_us()), "floor",
                     time_text(daemon->stamp.floor_utc_us));
}

/* The line that a tool has, and which tool; null when all lines are ours. */
static json_t *lent_json(const struct daemon *daemon)
{
    if (daemon->lease.peer == NULL)
        return json_null();
    return json_pack("{s:s, s:s+}", "bus", daemon->lease.bus, "to", daemon->lease.to, "");
}

static void run_status(void *context, const json_t *request, struct control_peer *peer)
{
    struct daemon *daemon = context;
    char line[256];
    size_t devices = 0, present = 0, held = 0;
    uint64_t readings = 0, gaps = 0;

    (void)request;
    for (size_t b = 0; b < daemon->bus_count; b++) {
        for (size_t d = 0; d < daemon->buses[b].config->devices.count; d++) {
            const struct daemon_device *device = &daemon->buses[b].devices[d];
            devices++;
            present += device->present;
            held += device->held;
            readings += device->readings;
            gaps += device->gap_records;
        }
    }
    health_line(daemon, line, sizeof(line));
    control_send(peer,
                 ended(json_pack(
                     "{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o}",
                     "summary", line, "site", daemon->config.site, "gateway",
                     daemon->config.gateway, "version", WARDGATE_VERSION, "uptime_s",
                     u64((clock_monotonic_us() - daemon->started_us) / 1000000),
                     "devices", u64(devices), "devices_present", u64(present),
                     "devices_held", u64(held), "readings", u64(readings), "gaps",
                     u64(gaps), "store", store_json(daemon), "broker",
                     broker_json(daemon), "clock", clock_json(daemon), "lent",
                     lent_json(daemon))));
}

/* --- devices --- */

/* Readings of a device that a full store gave up, since it was opened. */
static uint64_t given_up(struct daemon *daemon, const char *device)
{
    return daemon->store != NULL ? store_evicted(daemon->store, device) : 0;
}

static json_t *device_json(struct daemon *daemon, const struct daemon_bus *bus, size_t i)
{
    const struct daemon_device *device = &bus->devices[i];
    const struct bedside_device *config = device->config;
    struct bus_statistics s;
    json_t *object = json_pack(
        "{s:s, s:s, s:o, s:s, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
        "id", config->id, "bus", bus->config->name, "place", text_or_null(config->place),
        "profile", config->profile_name, "identity", text_or_null(device->identity),
        "expected", text_or_null(device->expected), "present", device->present, "held",
        device->held, "readings", u64(device->readings), "gaps", u64(device->gap_records),
        "given_up", u64(given_up(daemon, config->id)), "rejected", u64(device->rejected),
        "held_back", u64(device->held_back), "last_seq", u64(device->last_seq),
        "last_utc", time_text(device->last_utc_us));

    if (object == NULL || !bus_statistics(bus->bus, i, &s))
        return object;
    json_object_set_new(
        object, "line",
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                  "requests", u64(s.requests), "answered", u64(s.answered), "timeouts",
                  u64(s.timeouts), "short", u64(s.shorts), "crc", u64(s.crc), "foreign",
                  u64(s.foreign), "exceptions", u64(s.exceptions), "late", u64(s.late),
                  "voided", u64(s.voided), "samples", u64(s.samples), "repeated",
                  u64(s.repeated), "missed", u64(s.missed), "turnaround_mean_us",
                  u64(s.turnaround_mean_us)));
    return object;
}

static json_t *bus_json(const struct daemon_bus *bus)
{
    static const char *const kinds[] = {"rtu", "tcp", "serial"};
    struct bus_line_statistics s;

    bus_line_statistics(bus->bus, &s);
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "name",
                     bus->config->name, "kind", kinds[bus->config->kind], "port",
                     bus->config->host[0] != '\0' ? bus->config->host : bus->config->port,
                     "open", s.open, "lent", s.lent, "opened", u64(s.opened), "held_up",
                     u64(s.held), "bytes_in", u64(s.bytes_in), "bytes_out",
                     u64(s.bytes_out));
}

static void run_devices(void *context, const json_t *request, struct control_peer *peer)
{
    struct daemon *daemon = context;
    json_t *buses = json_array(), *devices = json_array();

    (void)request;
    for (size_t b = 0; b < daemon->bus_count; b++) {
        json_array_append_new(buses, bus_json(&daemon->buses[b]));
        for (size_t d = 0; d < daemon->buses[b].config->devices.count; d++)
            json_array_append_new(devices, device_json(daemon, &daemon->buses[b], d));
    }
    control_send(peer,
                 ended(json_pack("{s:o, s:o}", "buses", buses, "devices", devices)));
}

/* --- queue --- */

/* Whose readings the queue had no room for: only devices that lost some. */
static json_t *given_up_json(struct daemon *daemon)
{
    json_t *list = json_array();

    for (size_t b = 0; b < daemon->bus_count; b++)
        for (size_t d = 0; d < daemon->buses[b].config->devices.count; d++) {
            const struct bedside_device *config = daemon->buses[b].devices[d].config;
            uint64_t readings = given_up(daemon, config->id);

            if (readings > 0)
                json_array_append_new(list,
                                      json_pack("{s:s, s:o, s:o}", "device", config->id,
                                                "place", text_or_null(config->place),
                                                "readings", u64(readings)));
        }
    return list;
}

static void run_queue(void *context, const json_t *request, struct control_peer *peer)
{
    struct daemon *daemon = context;
    const struct forward *forward = &daemon->forward;
    json_t *batches = json_array();
    uint64_t now_us = clock_monotonic_us();

    (void)request;
    for (uint32_t i = 0; i < forward->used; i++) {
        const struct forward_batch *batch = &forward->batches[i];
        json_array_append_new(batches,
                              json_pack("{s:o, s:o, s:o, s:o, s:b, s:i, s:b, s:f}",
                                        "first", u64(batch->first), "last",
                                        u64(batch->last), "records", u64(batch->count),
                                        "bytes", u64(batch->bytes), "live", batch->live,
                                        "tries", (int)batch->tries, "taken_by_broker",
                                        batch->token == -1, "sent_s_ago",
                                        (double)(now_us - batch->sent_us) / 1e6));
    }
    control_send(peer,
                 ended(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "store",
                                 store_json(daemon), "live_next", u64(forward->live),
                                 "backlog_next", u64(forward->backlog), "backlog_end",
                                 u64(forward->backlog_end), "head", u64(forward->head),
                                 "on_the_way", batches, "given_up",
                                 given_up_json(daemon))));
}

/* --- tail --- */

static json_t *value_json(const wardgate_Observation *o)
{
    char text[64];

    switch (o->which_value) {
    case wardgate_Observation_mantissa_tag:
        return decimal_text(o->value.mantissa, o->exponent, text, sizeof(text)) > 0
                   ? json_string(text)
                   : json_null();
    case wardgate_Observation_coded_tag:
        return json_integer(o->value.coded);
    case wardgate_Observation_text_tag:
        return json_string(o->value.text);
    default:
        return json_null();
    }
}

static json_t *observation_json(const wardgate_Observation *o)
{
    const struct term *term = term_by_code(o->code);
    const struct unit_term *unit = unit_by_code(o->unit);

    return json_pack("{s:o, s:s, s:o, s:s, s:i}", "code", u64(o->code), "name",
                     term != NULL ? term->refid : "", "value", value_json(o), "unit",
                     unit != NULL ? unit->ucum : "", "quality", (int)o->quality);
}

static json_t *block_json(const wardgate_TimeBlock *time)
{
    static const char *const states[] = {"unknown", "synced", "holdover"};

    return json_pack("{s:o, s:s, s:i, s:o, s:o}", "utc", time_text(time->utc_us), "sync",
                     states[time->sync], "uncertainty_ms", (int)time->uncertainty_ms,
                     "monotonic_us", u64(time->monotonic_us), "device_time",
                     text_or_null(time->device_time));
}

/* What each device lost inside a gap of several. A time that nobody knew is null. */
static json_t *parts_json(const uint8_t *bytes, size_t size)
{
    struct gap_devices parts;
    json_t *list = json_array();

    (void)gap_devices_read(bytes, size, &parts);
    for (size_t i = 0; i < parts.count; i++) {
        const wardgate_GapDevice *part = &parts.items[i];
        bool dated = part->first_utc_us != 0 || part->last_utc_us != 0;

        json_array_append_new(
            list,
            json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:b}", "device",
                      text_or_null(part->id), "place", text_or_null(part->place),
                      "identity", text_or_null(part->identity), "line",
                      text_or_null(part->line), "count", u64(part->count), "and_more",
                      part->count_unknown, "first",
                      dated ? time_text(part->first_utc_us) : json_null(), "last",
                      dated ? time_text(part->last_utc_us) : json_null(),
                      "uncertainty_ms", u64(part->uncertainty_ms), "undated",
                      part->undated));
    }
    return list;
}

static void add_gap(json_t *object, const wardgate_Gap *gap, const uint8_t *bytes,
                    size_t size)
{
    static const char *const reasons[] = {
        "?",          "restart",     "device silent",  "bus down", "queue full",
        "store full", "store error", "record damaged", "identity", "stopped"};
    json_t *json = json_pack("{s:s, s:o}", "reason", reasons[gap->reason], "count",
                             gap->count_unknown ? json_null() : u64(gap->count));

    if (gap->from_seq > 0) {
        json_object_set_new(json, "from_seq", u64(gap->from_seq));
        json_object_set_new(json, "to_seq", u64(gap->to_seq));
        json_object_set_new(json, "devices", parts_json(bytes, size));
    }
    json_object_set_new(json, "from",
                        gap->has_from ? block_json(&gap->from) : json_null());
    json_object_set_new(json, "to", gap->has_to ? block_json(&gap->to) : json_null());
    json_object_set_new(object, "gap", json);
}

/* bytes: the record as it is stored. */
static json_t *record_json(const wardgate_Record *record, const uint8_t *bytes,
                           size_t size)
{
    static const char *const kinds[] = {"none",      "reading", "gap",
                                        "clock_fix", "event",   "binding"};
    json_t *object = json_pack("{s:b, s:o, s:s}", "ok", 1, "seq", u64(record->seq),
                               "kind", kinds[record->kind]);

    if (record->has_device)
        json_object_set_new(object, "device", json_string(record->device.id));
    if (record->place[0] != '\0')
        json_object_set_new(object, "place", json_string(record->place));
    if (record->has_time)
        json_object_set_new(object, "time", block_json(&record->time));
    if (record->has_sample)
        json_object_set_new(object, "sample", u64(record->sample));
    if (record->kind == wardgate_Record_Kind_READING) {
        json_t *list = json_array();
        for (pb_size_t i = 0; i < record->observations_count; i++)
            json_array_append_new(list, observation_json(&record->observations[i]));
        json_object_set_new(object, "observations", list);
    }
    if (record->has_gap)
        add_gap(object, &record->gap, bytes, size);
    if (record->has_event) {
        json_object_set_new(object, "event", json_integer(record->event.kind));
        json_object_set_new(object, "detail", json_string(record->event.detail));
    }
    if (record->has_clock_fix)
        json_object_set_new(object, "fix",
                            json_pack("{s:o, s:o, s:i}", "utc",
                                      time_text(record->clock_fix.utc_us), "monotonic_us",
                                      u64(record->clock_fix.monotonic_us),
                                      "uncertainty_ms",
                                      (int)record->clock_fix.uncertainty_ms));
    return object;
}

/* Size of the item at `at`, the record inside, and where its bytes begin. 0 if it is
 * none. */
static size_t next_item(const uint8_t *at, size_t left, wardgate_Record *record,
                        size_t *begins)
{
    size_t head = 1, size = 0;

    for (unsigned shift = 0; head < left && head <= 2; shift += 7) {
        size |= (size_t)(at[head] & 0x7f) << shift;
        if ((at[head++] & 0x80) == 0)
            break;
    }
    if (size == 0 || size > left - head ||
        record_decode(at + head, size, record, NULL) != WIRE_OK)
        return 0;
    *begins = head;
    return head + size;
}

/* Sends up to limit records from *from on; *from is moved to where the next answer
 * begins. */
static int tail(struct daemon *daemon, struct control_peer *peer, uint64_t *from,
                uint64_t limit)
{
    struct store_items items;
    size_t at = 0, n, head;
    uint64_t last = *from + limit - 1;

    if (store_read(daemon->store, *from, last, true, daemon->items, FORWARD_ENVELOPE_LIVE,
                   &items) != STORE_OK)
        return -1;
    for (size_t i = 0; i < items.count; i++, at += n) {
        const uint8_t *item = daemon->items + at;

        if ((n = next_item(item, items.size - at, &daemon->record, &head)) == 0)
            return -1;
        control_send(peer, record_json(&daemon->record, item + head, n - head));
    }
    *from = items.next;
    return 0;
}

static void run_tail(void *context, const json_t *request, struct control_peer *peer)
{
    struct daemon *daemon = context;
    const json_t *from_json = json_object_get(request, "from");
    const json_t *count_json = json_object_get(request, "count");
    json_int_t count = count_json != NULL ? json_integer_value(count_json) : TAIL_PRESET;
    uint64_t next, from;

    if (daemon->store == NULL) {
        control_fail(peer, "store is shut: %s", daemon->store_error);
        return;
    }
    if (count < 1 || count > TAIL_MAX ||
        (from_json != NULL && json_integer_value(from_json) < 1)) {
        control_fail(peer, "from must be a seq, count 1 to %d", TAIL_MAX);
        return;
    }
    next = store_next(daemon->store);
    if (from_json != NULL)
        from = (uint64_t)json_integer_value(from_json);
    else
        from = next > (uint64_t)count ? next - (uint64_t)count : 1;
    if (from < next && tail(daemon, peer, &from, (uint64_t)count) != 0) {
        control_fail(peer, "the store can't be read");
        return;
    }
    control_send(peer,
                 ended(json_pack("{s:o, s:o}", "next", u64(from), "head", u64(next))));
}

/* --- the rest --- */

static void run_confirm(void *context, const json_t *request, struct control_peer *peer)
{
    const char *id = json_string_value(json_object_get(request, "device"));

    if (id == NULL || !collect_confirm(context, id))
        control_fail(peer, "no device of this id is held");
    else
        control_send(peer, ended(json_object()));
}

static void run_reload(void *context, const json_t *request, struct control_peer *peer)
{
    (void)request;
    if (reload(context) != 0)
        control_fail(
            peer,
            "the new configuration is bad; the old one stays in force (see the log)");
    else
        control_send(peer, ended(json_object()));
}

static void run_commit(void *context, const json_t *request, struct control_peer *peer)
{
    struct daemon *daemon = context;

    (void)request;
    collect_round(daemon, true);
    if (daemon->store == NULL || daemon->store_error[0] != '\0')
        control_fail(peer, "%s", daemon->store_error);
    else
        control_send(peer,
                     ended(json_pack("{s:o}", "next", u64(store_next(daemon->store)))));
}

int bedside_control_open(struct daemon *daemon)
{
    static const struct control_verb verbs[] = {
        {"status", run_status}, {"devices", run_devices}, {"queue", run_queue},
        {"tail", run_tail},     {"confirm", run_confirm}, {"reload", run_reload},
        {"commit", run_commit}, {"lend", lend_run},       {NULL, NULL},
    };
    char path[BEDSIDE_PATH_SIZE + 16];
    int error;

    (void)snprintf(path, sizeof(path), "%s/control.sock", daemon->config.run);
    error = control_open(daemon->loop, path, verbs, daemon, &daemon->control);
    if (error < 0)
        log_error("%s: %s", path, strerror(-error));
    return error;
}

void bedside_control_close(struct daemon *daemon)
{
    control_close(daemon->control);
    daemon->control = NULL;
}
