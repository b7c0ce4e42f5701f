/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's way to the chart, around forward.h: envelopes up, receipts down, the
 * retained state beside them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "bedside/daemon.h"
#include "wire/envelope.h"
#include "wire/receipt.h"
#include "wire/topics.h"

#define PUMP_ENVELOPES 64 /* in one go, so that the lines are looked at in between */

static const char *topic(const struct daemon *daemon, enum topic which,
                         char out[TOPIC_SIZE])
{
    return topic_text(which, daemon->config.site, daemon->config.gateway, out);
}

/* --- state --- */

static int encode_state(const struct daemon *daemon, bool online,
                        uint8_t out[STATE_SIZE_MAX])
{
    struct store_status status;
    wardgate_State state;

    memset(&state, 0, sizeof(state));
    state.online = online;
    memcpy(state.gateway, daemon->config.gateway, sizeof(daemon->config.gateway));
    state.boot = clock_boot();
    (void)snprintf(state.version, sizeof(state.version), "%s", WARDGATE_VERSION);
    state.first_seq = state.next_seq = 1;
    if (daemon->store != NULL) {
        store_status(daemon->store, &status);
        memcpy(state.epoch, status.epoch.bytes, EPOCH_SIZE);
        state.next_seq = status.next;
        state.epoch_first = status.epoch_first;
        state.first_seq =
            status.first > status.epoch_first ? status.first : status.epoch_first;
    }
    return state_encode(&state, out, STATE_SIZE_MAX);
}

/* Epoch, first and next seq: from these the chart sees a store that was lost, put back or
 * copied. */
static void publish_state(struct daemon *daemon)
{
    uint8_t state[STATE_SIZE_MAX];
    char name[TOPIC_SIZE];
    int size, token;

    if (daemon->mqtt == NULL || daemon->store == NULL || !mqtt_is_connected(daemon->mqtt))
        return;
    size = encode_state(daemon, true, state);
    if (size < 0 || mqtt_publish(daemon->mqtt, topic(daemon, TOPIC_STATE, name), state,
                                 (size_t)size, true, &token) != MQTT_OK)
        log_warning("state could not be published");
}

/* --- up --- */

/* Reads, frames and publishes what forward asks for. */
static void send_action(struct daemon *daemon, const struct forward_action *action,
                        uint64_t now_us)
{
    struct envelope_writer writer;
    struct store_items items;
    const uint8_t *payload;
    char name[TOPIC_SIZE];
    int size, token, error;

    error = store_read(daemon->store, action->from, action->to, false, daemon->items,
                       action->bytes, &items);
    if (error != STORE_OK) {
        forward_hold(&daemon->forward, now_us);
        if (error == STORE_BROKEN) {
            struct store_status status;
            store_status(daemon->store, &status);
            memcpy(daemon->store_error, status.error_text, sizeof(daemon->store_error));
            rounds_broken(daemon);
        }
        return;
    }
    if (items.count == 0) {
        forward_nothing(&daemon->forward, action, items.next);
        return;
    }
    if (envelope_begin(&writer, daemon->envelope, ENVELOPE_SIZE_MAX,
                       daemon->config.gateway, &items.epoch) != WIRE_OK ||
        envelope_add(&writer, daemon->items, items.size) != WIRE_OK ||
        (size = envelope_end(&writer, &payload)) < 0) {
        log_error("records %llu..%llu can't be put into an envelope",
                  (unsigned long long)items.first, (unsigned long long)items.last);
        forward_hold(&daemon->forward, now_us);
        return;
    }
    error = mqtt_publish(daemon->mqtt, topic(daemon, TOPIC_UP, name), payload,
                         (size_t)size, false, &token);
    if (error == MQTT_OK)
        forward_sent(&daemon->forward, action, items.first, items.last, items.next,
                     items.count, items.size, token, now_us);
    else if (error == MQTT_BUSY)
        forward_busy(&daemon->forward);
    else
        forward_hold(&daemon->forward, now_us);
}

void uplink_pump(struct daemon *daemon)
{
    struct forward_action action = {.what = FORWARD_WAIT, .until_us = UINT64_MAX};
    uint64_t now_us = clock_monotonic_us();
    int sent;

    if (!daemon->forwarding || daemon->store == NULL || daemon->mqtt == NULL)
        return;
    for (sent = 0; sent < PUMP_ENVELOPES; sent++) {
        forward_next(&daemon->forward, now_us, &action);
        if (action.what == FORWARD_WAIT)
            break;
        send_action(daemon, &action, now_us);
    }
    if (action.what == FORWARD_SEND)
        action.until_us = now_us; /* more to do, after the others have had their turn */
    if (action.until_us == UINT64_MAX) {
        (void)sd_event_source_set_enabled(daemon->uplink_timer, SD_EVENT_OFF);
        return;
    }
    (void)sd_event_source_set_time(daemon->uplink_timer, action.until_us);
    (void)sd_event_source_set_enabled(daemon->uplink_timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t at_us, void *context)
{
    (void)source;
    (void)at_us;
    uplink_pump(context);
    return 0;
}

static uint64_t unreceipted(void *context, uint64_t first, uint64_t last)
{
    const struct daemon *daemon = context;

    return daemon->store != NULL ? store_unreceipted(daemon->store, first, last) : 0;
}

void uplink_committed(struct daemon *daemon)
{
    struct forward_config config = {.window = (uint32_t)daemon->config.broker.window,
                                    .backlog_rate =
                                        (uint32_t)daemon->config.broker.backlog_rate};
    const struct forward_ops ops = {unreceipted, daemon};

    if (!daemon->forwarding) {
        if (crypto_random(&config.seed, sizeof(config.seed)) != CRYPTO_OK)
            config.seed = clock_monotonic_us();
        forward_init(&daemon->forward, &config, &ops,
                     store_oldest_unreceipted(daemon->store), store_next(daemon->store));
        daemon->forwarding = true;
        if (daemon->mqtt != NULL && mqtt_is_connected(daemon->mqtt)) {
            publish_state(daemon);
            forward_connected(&daemon->forward, store_oldest_unreceipted(daemon->store),
                              clock_monotonic_us());
        }
    }
    forward_committed(&daemon->forward, store_next(daemon->store));
    uplink_pump(daemon);
}

/* --- down --- */

/* The chart has receipts for more than was ever committed: this store is an old copy of
 * the one it knows. Records to come must not take seqs that mean others there. Once a
 * process: a chart that is wrong must not make epochs for ever. */
static void end_epoch(struct daemon *daemon)
{
    if (daemon->epoch_ended)
        return;
    daemon->epoch_ended = true;
    if (store_new_epoch(daemon->store) != STORE_OK)
        return;
    log_warning("the chart knows records that this store never had: it was put back; a "
                "new epoch begins");
    collect_round(daemon, true);
    publish_state(daemon);
}

static void take_receipt(struct daemon *daemon, const wardgate_Receipt *receipt,
                         const struct epoch *epoch)
{
    uint64_t now_us = clock_monotonic_us(), again;
    bool ahead = false;

    for (pb_size_t i = 0; i < receipt->ranges_count; i++) {
        const wardgate_Range *range = &receipt->ranges[i];
        int error = store_receipt(daemon->store, epoch, range->first, range->last, NULL);
        if (error == STORE_OK) {
            forward_receipt(&daemon->forward, range->first, range->last, now_us);
        } else {
            daemon->receipts_refused++;
            log_warning("receipt of %llu..%llu refused: %s",
                        (unsigned long long)range->first, (unsigned long long)range->last,
                        error == STORE_AHEAD ? "never committed here" : "no such epoch");
            ahead = ahead || error == STORE_AHEAD;
        }
    }
    if (receipt->resend &&
        store_resend(daemon->store, epoch, receipt->resend_from, &again) == STORE_OK) {
        log_notice("the chart asks for everything from %llu: %llu records again",
                   (unsigned long long)receipt->resend_from, (unsigned long long)again);
        forward_resend(&daemon->forward, receipt->resend_from, now_us);
    }
    daemon->receipts++;
    if (ahead)
        end_epoch(daemon);
}

static void on_message(void *context, const char *name, const uint8_t *payload, size_t n)
{
    struct daemon *daemon = context;
    struct epoch epochs[STORE_EPOCHS_MAX];
    wardgate_Receipt receipt;
    const char *field = "";
    char gateway[NAME_MAX_LENGTH + 1];
    enum topic which;
    size_t count;
    int error = WIRE_FOREIGN;

    if (!topic_parse(name, daemon->config.site, &which, gateway) ||
        which != TOPIC_RECEIPT || strcmp(gateway, daemon->config.gateway) != 0 ||
        daemon->store == NULL || !daemon->forwarding)
        return;
    count = store_epochs(daemon->store, epochs);
    while (error == WIRE_FOREIGN && count > 0)
        error = receipt_decode(payload, n, daemon->config.gateway, &epochs[--count],
                               &receipt, &field);
    if (error != WIRE_OK) {
        daemon->bad_receipts++;
        log_warning("receipt refused: %s",
                    error == WIRE_FOREIGN ? "of another epoch or gateway" : field);
        return;
    }
    take_receipt(daemon, &receipt, &epochs[count]);
    uplink_pump(daemon);
}

static void on_connected(void *context, bool session_present)
{
    struct daemon *daemon = context;
    char name[TOPIC_SIZE];

    (void)session_present;
    log_info("broker %s: connected", daemon->config.broker.host);
    /* QoS 0: a receipt that got lost is had again by offering again, and a PUBACK for
     * each would cost more than that ever can. */
    if (mqtt_subscribe(daemon->mqtt, topic(daemon, TOPIC_RECEIPT, name), 0) != MQTT_OK)
        log_error("can't subscribe to receipts");
    publish_state(daemon);
    if (!daemon->forwarding || daemon->store == NULL)
        return;
    forward_connected(&daemon->forward, store_oldest_unreceipted(daemon->store),
                      clock_monotonic_us());
    uplink_pump(daemon);
}

static void on_disconnected(void *context, int reason)
{
    struct daemon *daemon = context;
    struct tls_link_status status;

    tls_link_status(daemon->tls, &status);
    log_notice("broker %s: not connected (%d)%s%s", daemon->config.broker.host, reason,
               status.error[0] != '\0' ? ": " : "", status.error);
    if (daemon->forwarding && daemon->store != NULL)
        forward_disconnected(&daemon->forward, store_oldest_unreceipted(daemon->store));
}

static void on_acknowledged(void *context, int token, uint8_t reason)
{
    struct daemon *daemon = context;

    if (reason >= 0x80)
        log_warning("broker refused a publish: reason 0x%02x", reason);
    if (!daemon->forwarding)
        return;
    forward_acknowledged(&daemon->forward, token, reason, clock_monotonic_us());
    uplink_pump(daemon);
}

/* --- opening --- */

static int open_mqtt(struct daemon *daemon)
{
    static const struct mqtt_ops ops = {on_connected, on_disconnected, on_message,
                                        on_acknowledged};
    uint8_t will[STATE_SIZE_MAX];
    char name[TOPIC_SIZE];
    int size = encode_state(daemon, false, will);
    struct mqtt_config config = {
        .client_id = daemon->config.gateway,
        .socket_path = daemon->link_path,
        .keepalive_s = (uint32_t)(daemon->config.broker.keepalive_ms / 1000),
        .clean_start = true, /* the store is the session */
        .will_topic = size > 0 ? topic(daemon, TOPIC_STATE, name) : NULL,
        .will = will,
        .will_size = size > 0 ? (size_t)size : 0,
        .reconnect_min_ms = (uint32_t)daemon->config.broker.reconnect_min_ms,
        .reconnect_max_ms = (uint32_t)daemon->config.broker.reconnect_max_ms,
    };

    return mqtt_open(daemon->loop, &config, &ops, daemon, &daemon->mqtt) == MQTT_OK
               ? 0
               : -EIO;
}

/* Changes whenever one of the files of the connection is replaced. */
static uint64_t files_mark(const struct daemon *daemon)
{
    const char *const files[] = {daemon->config.broker.ca,
                                 daemon->config.broker.certificate,
                                 daemon->config.broker.key, daemon->config.broker.crl};
    uint64_t mark = 0;
    struct stat st;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        mark = mark * 1000003 + i;
        if (files[i][0] != '\0' && stat(files[i], &st) == 0)
            mark = mark * 1000003 + ((uint64_t)st.st_ino ^ (uint64_t)st.st_mtim.tv_sec ^
                                     (uint64_t)st.st_mtim.tv_nsec << 20 ^
                                     (uint64_t)st.st_size << 40);
    }
    return mark;
}

bool uplink_files_changed(struct daemon *daemon)
{
    uint64_t mark = files_mark(daemon);
    bool changed = mark != daemon->files_mark;

    daemon->files_mark = mark;
    return changed;
}

static int open_tls(struct daemon *daemon)
{
    int n = snprintf(daemon->link_path, sizeof(daemon->link_path), "%s/link.sock",
                     daemon->config.run);
    struct tls_link_config config = {
        .host = daemon->config.broker.host,
        .port = (uint16_t)daemon->config.broker.port,
        .ca_file = daemon->config.broker.ca,
        .cert_file = daemon->config.broker.certificate,
        .key_file = daemon->config.broker.key,
        .crl_file =
            daemon->config.broker.crl[0] != '\0' ? daemon->config.broker.crl : NULL,
        .socket_path = daemon->link_path,
        .handshake_ms = (uint32_t)daemon->config.broker.handshake_ms,
        .floor_utc_us = daemon->stamp.floor_utc_us,
    };

    if (n < 0 || (size_t)n >= sizeof(daemon->link_path))
        return -ENAMETOOLONG;
    return tls_link_open(daemon->loop, &config, &daemon->tls);
}

int uplink_open(struct daemon *daemon)
{
    int error;

    daemon->items = malloc(FORWARD_ENVELOPE_LIVE);
    daemon->envelope = malloc(ENVELOPE_SIZE_MAX);
    if (daemon->items == NULL || daemon->envelope == NULL)
        return -ENOMEM;
    error = sd_event_add_time(daemon->loop, &daemon->uplink_timer, CLOCK_BOOTTIME,
                              UINT64_MAX, 1000, on_timer, daemon);
    if (error < 0)
        return error;
    daemon->files_mark = files_mark(daemon);
    if ((error = open_tls(daemon)) < 0) {
        log_error("%s/link.sock: %s", daemon->config.run, strerror(-error));
        return error;
    }
    return open_mqtt(daemon);
}

bool uplink_waiting(const struct daemon *daemon)
{
    return daemon->mqtt != NULL && mqtt_is_connected(daemon->mqtt) &&
           daemon->store != NULL && daemon->forwarding && daemon->forward.on_the_way > 0;
}

void uplink_close(struct daemon *daemon)
{
    /* The will says that it is gone, so that nobody takes silence for a quiet ward. */
    mqtt_close(daemon->mqtt, true);
    daemon->mqtt = NULL;
    tls_link_close(daemon->tls);
    daemon->tls = NULL;
    daemon->uplink_timer = sd_event_source_disable_unref(daemon->uplink_timer);
    free(daemon->items);
    free(daemon->envelope);
    daemon->items = daemon->envelope = NULL;
}
