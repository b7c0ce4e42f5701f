/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/envelope.h"
#include "wire/receipt.h"

#define SECOND     INT64_C(1000000)
#define HEART_RATE 147842
#define SATURATION 150456

static void must(bool held, const char *what)
{
    if (!held) {
        fprintf(stderr, "simulator: %s\n", what);
        abort();
    }
}

void link_send(struct link *link, struct chance *chance, const uint8_t *bytes,
               size_t size, int token, bool state, int64_t now_us, bool faulty)
{
    int copies = 1;

    if (faulty && chance_percent(chance, 5)) {
        link->lost++;
        copies = 0;
    } else if (faulty && chance_percent(chance, 5)) {
        link->doubled++;
        copies = 2;
    }
    for (; copies > 0; copies--) {
        struct link_message *message = &link->messages[link->count++];

        must(link->count < LINK_MESSAGES_MAX, "the link is full");
        *message =
            (struct link_message){now_us + chance_between(chance, 0,
                                                          faulty ? 20 * SECOND : SECOND),
                                  NULL, size, token, state};
        message->bytes = malloc(size);
        must(message->bytes != NULL, "out of memory");
        memcpy(message->bytes, bytes, size);
    }
}

bool link_take(struct link *link, int64_t now_us, struct link_message *message)
{
    for (size_t i = 0; i < link->count; i++)
        if (link->messages[i].due_us <= now_us) {
            *message = link->messages[i];
            memmove(&link->messages[i], &link->messages[i + 1],
                    (link->count - i - 1) * sizeof link->messages[0]);
            link->count--;
            return true;
        }
    return false;
}

void link_forget(struct link *link)
{
    for (size_t i = 0; i < link->count; i++)
        free(link->messages[i].bytes);
    link->lost += link->count;
    link->count = 0;
}

/* The gateway's view of this moment. */
static struct instant look(struct gateway *gateway, int64_t now_us)
{
    struct gateway_boot *boot = &gateway->boots[gateway->boot_count - 1];
    struct instant instant = {.boot = boot->boot,
                              .monotonic_us = (uint64_t)(now_us - boot->zero_us),
                              .utc_us = now_us + gateway->offset_us,
                              .sync = CLOCK_UNKNOWN};

    if (gateway->sync_at_us != INT64_MAX &&
        now_us >= gateway->sync_at_us) { /* time has come */
        gateway->sync_at_us = INT64_MAX;
        gateway->offset_us = chance_between(&gateway->chance, -40000, 40000);
        instant.utc_us = now_us + gateway->offset_us;
    }
    if (gateway->sync_at_us == INT64_MAX) {
        instant.sync = CLOCK_SYNCED;
        instant.uncertainty_ms = 50;
    }
    return instant;
}

static void add(struct gateway *gateway, wardgate_Record *record)
{
    must(store_add(gateway->store, record) != STORE_INVALID,
         "store_add refuses a record of ours");
}

static void note_clock(struct gateway *gateway, int64_t now_us)
{
    struct instant instant = look(gateway, now_us);
    struct stamp_notes notes;
    wardgate_Record record;

    stamp_look(&gateway->stamp, &instant, &notes);
    if (notes.stepped) {
        stamp_stepped(&notes, &record);
        add(gateway, &record);
    }
    if (notes.fix) {
        stamp_fix(&notes, &record);
        add(gateway, &record);
    }
}

static struct stamp_origin origin_of(int bed, char device[16])
{
    snprintf(device, 16, "monitor-%u", (unsigned)bed % 100 + 1);
    return (struct stamp_origin){.device = device,
                                 .identity = "",
                                 .profile = "simulated",
                                 .line = "bus-1",
                                 .place = ward_place(bed)};
}

static void add_gaps(struct gateway *gateway, int bed, const struct gaps_out *out)
{
    char device[16];
    struct stamp_origin origin = origin_of(bed, device);

    for (int i = 0; i < out->count; i++) {
        wardgate_Record record = wardgate_Record_init_zero;

        record.kind = wardgate_Record_Kind_GAP;
        stamp_origin_fill(&origin, &record);
        record.has_gap = true;
        record.gap = out->items[i];
        record.has_time = out->items[i].has_to || out->items[i].has_from;
        record.time = out->items[i].has_to ? out->items[i].to : out->items[i].from;
        add(gateway, &record);
        gateway->stored_gaps++;
    }
}

void gateway_begin(struct gateway *gateway, const char *folder, uint64_t seed,
                   uint64_t map_bytes, uint32_t high_water)
{
    memset(gateway, 0, sizeof *gateway);
    gateway->chance.state = seed;
    snprintf(gateway->folder, sizeof gateway->folder, "%s", folder);
    gateway->config = (struct store_config){.folder = gateway->folder,
                                            .map_bytes = map_bytes,
                                            .high_water = high_water};
    for (size_t i = 0; i < sizeof gateway->config.key.bytes; i++)
        gateway->config.key.bytes[i] = (uint8_t)chance_next(&gateway->chance);
}

void gateway_end(struct gateway *gateway)
{
    gateway_power_off(gateway);
    link_forget(&gateway->up);
    link_forget(&gateway->down);
}

static uint64_t unreceipted(void *context, uint64_t first, uint64_t last)
{
    struct gateway *gateway = context;

    return store_unreceipted(gateway->store, first, last);
}

void gateway_power_on(struct gateway *gateway, int64_t now_us)
{
    struct gateway_boot *boot = &gateway->boots[gateway->boot_count++];
    struct forward_config forward = {.seed = chance_next(&gateway->chance)};
    struct forward_ops ops = {unreceipted, gateway};
    char error[STORE_ERROR_SIZE];
    struct store_status status;

    must(gateway->boot_count < GATEWAY_BOOTS_MAX, "too many boots");
    *boot =
        (struct gateway_boot){chance_next(&gateway->chance) | 1,
                              now_us - chance_between(&gateway->chance, 5, 60) * SECOND};
    gateway->offset_us =
        chance_percent(&gateway->chance, 70)
            ? -now_us + (now_us - boot->zero_us) /* 1970 */
            : chance_between(&gateway->chance, -400, 400) * 86400 * SECOND;
    gateway->sync_at_us =
        now_us + chance_between(&gateway->chance, 1,
                                chance_percent(&gateway->chance, 80) ? 60 : 7200) *
                     SECOND;
    if (store_open(&gateway->config, &gateway->store, error) != STORE_OK) {
        fprintf(stderr, "simulator: %s\n", error);
        abort();
    }
    store_status(gateway->store, &status);
    stamp_init(&gateway->stamp, status.committed_utc_us);
    note_clock(gateway, now_us);
    for (int bed = 0; bed < WARD_BEDS; bed++) {
        struct gaps_config config = {.silence_us = 1200 * (uint64_t)SECOND,
                                     .sample_bits = 64};
        wardgate_Record last;
        char device[16];

        gaps_init(&gateway->gaps[bed], &config, (uint64_t)(now_us - boot->zero_us));
        origin_of(bed, device);
        if (store_last(gateway->store, device, &last))
            gaps_restart(&gateway->gaps[bed], &last.time, last.has_sample, last.sample);
    }
    forward_init(&gateway->forward, &forward, &ops,
                 store_oldest_unreceipted(gateway->store), status.next);
}

void gateway_power_off(struct gateway *gateway)
{
    store_close(gateway->store);
    gateway->store = NULL;
    gateway->connected = false;
}

void gateway_step_clock(struct gateway *gateway, int64_t by_us, int64_t resync_us)
{
    gateway->offset_us += by_us;
    gateway->sync_at_us = resync_us;
}

uint64_t gateway_sample(struct gateway *gateway, int bed, uint64_t serial,
                        uint64_t counter, int64_t now_us)
{
    struct observation_set set = {.count = 2, .sample = counter, .has_sample = true};
    struct gaps_out gaps;
    char device[16];
    struct stamp_origin origin = origin_of(bed, device);
    wardgate_Record record;
    uint64_t monotonic_us =
        (uint64_t)(now_us - gateway->boots[gateway->boot_count - 1].zero_us);

    set.items[0] = (struct observation){.code = HEART_RATE,
                                        .unit = 264864,
                                        .kind = OBSERVATION_NUMERIC,
                                        .mantissa = (int64_t)serial};
    set.items[1] = (struct observation){.code = SATURATION,
                                        .unit = 262688,
                                        .kind = OBSERVATION_NUMERIC,
                                        .mantissa = 970,
                                        .exponent = -1};
    note_clock(gateway, now_us);
    must(stamp_reading(&gateway->stamp, &origin, &set, monotonic_us, &record),
         "stamp_reading refuses a set");
    if (gaps_reading(&gateway->gaps[bed], &record.time, true, counter, &gaps) ==
        GAPS_REPEAT)
        return 0;
    add_gaps(gateway, bed, &gaps);
    if (store_add(gateway->store, &record) == STORE_BUSY)
        gaps_lost(&gateway->gaps[bed], wardgate_Gap_Reason_QUEUE_FULL, 1, &record.time);
    return record.seq;
}

static void offer(struct gateway *gateway, int64_t now_us)
{
    uint64_t mono = (uint64_t)(now_us - gateway->boots[gateway->boot_count - 1].zero_us);
    static _Thread_local uint8_t items[ENVELOPE_SIZE_MAX], payload[ENVELOPE_SIZE_MAX];

    for (int i = 0; i < 16; i++) {
        struct forward_action action;
        struct store_items got;
        struct envelope_writer writer;
        const uint8_t *bytes;
        int size = 0;

        forward_next(&gateway->forward, mono, &action);
        if (action.what != FORWARD_SEND)
            return;
        must(store_read(gateway->store, action.from, action.to, false, items,
                        action.bytes, &got) == STORE_OK,
             "store_read");
        if (got.count == 0) {
            forward_nothing(&gateway->forward, &action, got.next);
            continue;
        }
        must(envelope_begin(&writer, payload, sizeof payload, GATEWAY_NAME, &got.epoch) ==
                     WIRE_OK &&
                 envelope_add(&writer, items, got.size) == WIRE_OK &&
                 (size = envelope_end(&writer, &bytes)) > 0,
             "envelope");
        gateway->token++;
        link_send(&gateway->up, &gateway->chance, bytes, (size_t)size, gateway->token,
                  false, now_us, true);
        forward_sent(&gateway->forward, &action, got.first, got.last, got.next, got.count,
                     got.size, gateway->token, mono);
        forward_acknowledged(&gateway->forward, gateway->token, 0,
                             mono); /* which proves nothing */
    }
}

static void hear(struct gateway *gateway, const struct link_message *message,
                 uint64_t mono)
{
    wardgate_Receipt receipt;
    struct epoch epoch;
    struct store_status status;

    store_status(gateway->store, &status);
    if (receipt_decode(message->bytes, message->size, GATEWAY_NAME, &status.epoch,
                       &receipt, NULL) != WIRE_OK)
        return;
    memcpy(epoch.bytes, receipt.epoch, sizeof epoch.bytes);
    for (pb_size_t i = 0; i < receipt.ranges_count; i++)
        if (store_receipt(gateway->store, &epoch, receipt.ranges[i].first,
                          receipt.ranges[i].last, NULL) == STORE_OK)
            forward_receipt(&gateway->forward, receipt.ranges[i].first,
                            receipt.ranges[i].last, mono);
    if (receipt.resend &&
        store_resend(gateway->store, &epoch, receipt.resend_from, NULL) == STORE_OK)
        forward_resend(&gateway->forward, receipt.resend_from, mono);
}

static void tell_state(struct gateway *gateway, int64_t now_us)
{
    wardgate_State state = wardgate_State_init_zero;
    struct store_status status;
    uint8_t bytes[STATE_SIZE_MAX];
    int size;

    store_status(gateway->store, &status);
    state.online = true;
    snprintf(state.gateway, sizeof state.gateway, "%s", GATEWAY_NAME);
    memcpy(state.epoch, status.epoch.bytes, sizeof state.epoch);
    state.first_seq = status.first;
    state.epoch_first = status.epoch_first;
    state.next_seq = status.next;
    state.boot = gateway->boots[gateway->boot_count - 1].boot;
    size = state_encode(&state, bytes, sizeof bytes);
    must(size > 0, "state_encode");
    link_send(&gateway->up, &gateway->chance, bytes, (size_t)size, 0, true, now_us,
              false);
}

void gateway_run(struct gateway *gateway, int64_t now_us)
{
    struct gateway_boot *boot = &gateway->boots[gateway->boot_count - 1];
    uint64_t mono = (uint64_t)(now_us - boot->zero_us);
    struct link_message message;
    struct store_status status;

    note_clock(gateway, now_us);
    for (int bed = 0; bed < WARD_BEDS; bed++)
        if (gaps_due_us(&gateway->gaps[bed]) <= mono) {
            wardgate_TimeBlock time;
            struct gaps_out out;

            stamp_time(&gateway->stamp, mono, &time);
            gaps_tick(&gateway->gaps[bed], &time, &out);
            add_gaps(gateway, bed, &out);
        }
    while (gateway->connected && link_take(&gateway->down, now_us, &message)) {
        hear(gateway, &message, mono);
        free(message.bytes);
    }
    if (store_dirty(gateway->store)) {
        must(store_commit(gateway->store, stamp_known_utc(&gateway->stamp)) == STORE_OK,
             "store_commit");
        gateway->commits++;
        store_status(gateway->store, &status);
        forward_committed(&gateway->forward, status.next);
    }
    if (gateway->connected)
        offer(gateway, now_us);
}

void gateway_connect(struct gateway *gateway, bool connected, int64_t now_us)
{
    uint64_t mono = (uint64_t)(now_us - gateway->boots[gateway->boot_count - 1].zero_us);

    if (connected == gateway->connected)
        return;
    gateway->connected = connected;
    if (connected) {
        forward_connected(&gateway->forward, store_oldest_unreceipted(gateway->store),
                          mono);
        tell_state(gateway, now_us);
    } else {
        forward_disconnected(&gateway->forward, store_oldest_unreceipted(gateway->store));
    }
}

int64_t gateway_truth(const struct gateway *gateway, uint64_t boot, uint64_t monotonic_us)
{
    for (size_t i = 0; i < gateway->boot_count; i++)
        if (gateway->boots[i].boot == boot)
            return gateway->boots[i].zero_us + (int64_t)monotonic_us;
    return INT64_MIN;
}
