/* SPDX-License-Identifier: Apache-2.0
 *
 * The program's lines: gateways over MQTT, the PAS and the EPRs over MLLP, FHIR servers,
 * the file EPR. They carry, the core decides.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "chart/main_service.h"
#include "wire/topics.h"

#define FILE_RETRY_US  INT64_C(1000000)
#define PROBE_EVERY_MS 30000 /* longest that a FHIR server is left alone when away */
#define MUCH                                                                             \
    4096 /* records that are committed at once, without waiting for a quiet moment */

/* --- Gateways --- */

/* Subscribed again each time: the broker may have lost its sessions with its memory. */
static void on_connected(void *context, bool session_present)
{
    struct service *s = context;
    char filter[TOPIC_SIZE];
    log_notice("broker: connected%s", session_present ? ", it kept the session" : "");
    mqtt_subscribe(s->mqtt, topic_text(TOPIC_UP, s->config.site, "+", filter), 1);
    mqtt_subscribe(s->mqtt, topic_text(TOPIC_STATE, s->config.site, "+", filter), 1);
    service_soon(s);
}

static void on_disconnected(void *context, int reason)
{
    (void)context;
    log_notice("broker: connection lost (%d)", reason);
}

/* Under load there is no quiet moment, so a batch is also closed by its size and its age.
 */
static void on_message(void *context, const char *topic_name, const uint8_t *payload,
                       size_t n)
{
    struct service *s = context;
    char gateway[NAME_MAX_LENGTH + 1];
    enum topic topic;
    int64_t now_us = clock_utc_us();
    bool taken = true;
    if (n == 0 || !topic_parse(topic_name, s->config.site, &topic, gateway))
        return; /* an empty retained message clears a topic */
    if (topic == TOPIC_UP)
        taken = chart_up(s->chart, gateway, payload, n, now_us);
    else if (topic == TOPIC_STATE)
        taken = chart_state(s->chart, gateway, payload, n, now_us);
    s->dropped_inputs += !taken; /* the gateway will offer it again */
    if (s->batch_since_us == 0)
        s->batch_since_us = now_us;
    if (chart_uncommitted(s->chart) >= MUCH ||
        now_us - s->batch_since_us >= s->config.ledger.commit_ms * 1000)
        service_run(s);
    else
        service_soon(s);
}

/* A refusal other than "busy" is dropped: the library logged it, and the gateway will ask
 * by offering again. */
static bool publish_now(struct service *s, const char *gateway, const uint8_t *payload,
                        size_t n)
{
    char topic[TOPIC_SIZE];
    int token;
    return s->mqtt &&
           mqtt_publish(s->mqtt,
                        topic_text(TOPIC_RECEIPT, s->config.site, gateway, topic),
                        payload, n, false, &token) != MQTT_BUSY;
}

static void waiting_drop(struct service *s)
{
    free(s->waiting[s->waiting_first].payload);
    s->waiting_first = (s->waiting_first + 1) % RECEIPTS_WAITING_MAX;
    s->waiting_count--;
}

static void publish_waiting(struct service *s)
{
    while (s->waiting_count > 0) {
        struct receipt_waiting *w = &s->waiting[s->waiting_first];
        if (!publish_now(s, w->gateway, w->payload, w->n))
            return;
        waiting_drop(s);
    }
}

/* A receipt that finds the window full waits; what is lost here only costs the gateway an
 * offer. */
void lines_publish(void *context, const char *gateway, const uint8_t *payload, size_t n)
{
    struct service *s = context;
    publish_waiting(s);
    if (s->waiting_count == 0 && publish_now(s, gateway, payload, n))
        return;
    if (s->waiting_count == RECEIPTS_WAITING_MAX) {
        waiting_drop(s);
        s->receipts_dropped++;
    }
    struct receipt_waiting *w =
        &s->waiting[(s->waiting_first + s->waiting_count) % RECEIPTS_WAITING_MAX];
    if (!(w->payload = malloc(n)))
        return;
    memcpy(w->payload, payload, n);
    w->n = n;
    snprintf(w->gateway, sizeof w->gateway, "%s", gateway);
    s->waiting_count++;
}

/* A refused receipt is a fault of the broker's access list: the boards would fill up
 * silently. */
static void on_acknowledged(void *context, int token, uint8_t reason)
{
    struct service *s = context;
    (void)token;
    if (reason >= 0x80)
        log_warning(
            "broker: refused a receipt with reason 0x%02x: look at its access list",
            reason);
    publish_waiting(s);
}

/* --- The PAS --- */

static void on_adt(void *context, uint64_t peer, const char *bytes, size_t n)
{
    struct service *s = context;
    chart_adt(s->chart, peer, bytes, n, clock_utc_us());
    service_soon(s);
}

void lines_adt_answer(void *context, uint64_t peer, const char *bytes, size_t n)
{
    struct service *s = context;
    mllp_server_reply(s->adt, peer, bytes, n); /* a peer that has gone will send again */
}

/* --- EPRs over MLLP --- */

static const char *outlet_name(const struct outlet *o)
{
    return ((const struct destination_config *)
                o->service->config.destinations.items)[o->index]
        .name;
}

static void on_up(void *context)
{
    struct outlet *o = context;
    log_notice("destination %s: connected", outlet_name(o));
    chart_link(o->service->chart, o->index, true);
    service_soon(o->service);
}

static void on_down(void *context)
{
    struct outlet *o = context;
    o->control[0] = '\0';
    chart_link(o->service->chart, o->index, false);
    service_soon(o->service);
}

/* The client has matched MSA-2 already; an answer that it could not read ended as a
 * time-out. */
static void on_outcome(void *context, enum mllp_outcome outcome, const char *bytes,
                       size_t n)
{
    struct outlet *o = context;
    struct chart *chart = o->service->chart;
    struct hl7_answer answer;
    char control[DELIVER_CONTROL_SIZE];
    int64_t now_us = clock_utc_us();
    memcpy(control, o->control, sizeof control);
    o->control[0] = '\0';
    if (outcome == MLLP_ANSWERED && hl7_answer(bytes, n, &answer) == HL7_OK)
        chart_answer(chart, o->index, answer.control_id, answer.code, now_us);
    else
        chart_no_answer(chart, o->index, control, outcome == MLLP_LOST, now_us);
    service_soon(o->service);
}

/* --- FHIR servers --- */

/* In the words that the core knows from HL7: a no for good, a no for now. */
static void on_fhir_outcome(void *context, enum fhir_answer outcome, const char *control)
{
    static const char *const codes[] = {
        [FHIR_TAKEN] = "AA", [FHIR_REFUSED] = "AR", [FHIR_FAILED] = "AE"};
    struct outlet *o = context;
    int64_t now_us = clock_utc_us();
    if (outcome == FHIR_UNANSWERED || outcome == FHIR_LOST)
        chart_no_answer(o->service->chart, o->index, control, outcome == FHIR_LOST,
                        now_us);
    else
        chart_answer(o->service->chart, o->index, control, codes[outcome], now_us);
    service_soon(o->service);
}

static int open_fhir(struct outlet *o, const struct destination_config *d)
{
    const struct fhir_client_options options = {.name = d->name,
                                                .url = d->url,
                                                .ca = d->ca,
                                                .certificate = d->certificate,
                                                .key = d->key,
                                                .answer_ms = d->answer_ms,
                                                .back_off_min_ms = d->retry_min_ms,
                                                .back_off_max_ms =
                                                    d->retry_max_ms < PROBE_EVERY_MS
                                                        ? d->retry_max_ms
                                                        : PROBE_EVERY_MS,
                                                .parallel = (size_t)d->parallel,
                                                .on_up = on_up,
                                                .on_down = on_down,
                                                .on_outcome = on_fhir_outcome,
                                                .context = o};
    int error = fhir_client_new(o->service->loop, &options, &o->fhir);
    if (error != 0)
        log_error("destination %s: %s: %s", d->name, d->url, strerror(-error));
    return error;
}

/* --- The file EPR --- */

static void file_append(struct outlet *o, const char *control, const char *line, size_t n)
{
    int error = epr_file_append(o->file, control, line, n);
    if (error < 0 || o->appended_count == CHART_WINDOW_MAX) {
        o->file_failed = true;
        return;
    }
    memcpy(o->appended[o->appended_count++], control, DELIVER_CONTROL_SIZE);
}

/* A disk that refuses makes the destination go down for a moment, like an EPR that hangs
 * up: the messages stay in the outbox. */
static void file_finish(struct outlet *o, int64_t now_us)
{
    struct service *s = o->service;
    int error = epr_file_sync(o->file);
    size_t n = o->appended_count;
    if (error != 0 && !o->file_failed)
        log_error("destination file: %s", strerror(-error));
    o->file_failed |= error != 0;
    o->appended_count = 0;
    for (size_t i = 0; i < n && error == 0; i++)
        chart_answer(s->chart, o->index, o->appended[i], "AA", now_us);
    if (n > 0)
        service_soon(s);
    if (o->file_failed && o->file_retry_us == 0) {
        chart_link(s->chart, o->index, false);
        o->file_retry_us = now_us + FILE_RETRY_US;
    } else if (o->file_retry_us != 0 && now_us >= o->file_retry_us) {
        o->file_failed = false;
        o->file_retry_us = 0;
        chart_link(s->chart, o->index, true);
        service_soon(s);
    }
}

/* Files are synced once for all that a run has sent. */
void lines_after_run(struct service *s)
{
    int64_t now_us = clock_utc_us();
    for (size_t i = 0; i < s->outlets_count; i++) {
        struct outlet *o = &s->outlets[i];
        if (o->file)
            file_finish(o, now_us);
        if (o->broken) {
            o->broken = false;
            chart_link(s->chart, i, false);
        }
    }
}

void lines_send(void *context, size_t destination, const char *control, const char *bytes,
                size_t n)
{
    struct service *s = context;
    struct outlet *o = &s->outlets[destination];
    if (o->file) {
        file_append(o, control, bytes, n);
        return;
    }
    if (o->fhir) { /* what can't be sent now would wait for an answer for ever */
        o->broken |= fhir_client_send(o->fhir, control, bytes, n) != 0;
        return;
    }
    memcpy(o->control, control, DELIVER_CONTROL_SIZE);
    /* The connection may have ended a moment ago; on_up will tell when there is one
     * again. */
    o->broken = mllp_client_send(o->client, bytes, n) != 0;
}

/* --- Opening and closing --- */

static int open_outlet(struct service *s, size_t i)
{
    const struct destination_config *d =
        (const struct destination_config *)s->config.destinations.items + i;
    struct outlet *o = &s->outlets[i];
    o->service = s;
    o->index = i;
    if (d->kind == DESTINATION_FILE) {
        int error = epr_file_open(d->path, &o->file);
        if (error == 0)
            chart_link(s->chart, i, true);
        else
            log_error("destination %s: %s: %s", d->name, d->path, strerror(-error));
        return error;
    }
    if (d->kind == DESTINATION_FHIR)
        return open_fhir(o, d);
    const struct mllp_client_options options = {.address = d->host,
                                                .port = (uint16_t)d->port,
                                                .answer_ms = d->answer_ms,
                                                .jitter_seed =
                                                    (uint64_t)clock_monotonic_us() + i,
                                                .on_up = on_up,
                                                .on_down = on_down,
                                                .on_outcome = on_outcome,
                                                .context = o};
    int error = mllp_client_new(s->loop, &options, &o->client);
    if (error != 0)
        log_error("destination %s: %s port %d: %s", d->name, d->host, (int)d->port,
                  strerror(-error));
    return error;
}

static int open_adt(struct service *s)
{
    const struct feed_config *f = &s->config.adt;
    const struct mllp_server_options options = {.address = f->address,
                                                .port = (uint16_t)f->port,
                                                .peers_max = (size_t)f->peers,
                                                .on_message = on_adt,
                                                .context = s};
    int error = mllp_server_new(s->loop, &options, &s->adt);
    if (error != 0)
        log_error("adt: %s port %d: %s", f->address, (int)f->port, strerror(-error));
    else
        log_notice("adt: listening on %s port %u", f->address, mllp_server_port(s->adt));
    return error;
}

static int open_broker(struct service *s)
{
    static const struct mqtt_ops ops = {.connected = on_connected,
                                        .disconnected = on_disconnected,
                                        .message = on_message,
                                        .acknowledged = on_acknowledged};
    const struct broker_config *b = &s->config.broker;
    const struct tls_link_config tls = {.host = b->host,
                                        .port = (uint16_t)b->port,
                                        .ca_file = b->ca,
                                        .cert_file = b->certificate,
                                        .key_file = b->key,
                                        .crl_file = b->crl[0] ? b->crl : NULL,
                                        .socket_path = b->socket,
                                        .handshake_ms = (uint32_t)b->handshake_ms,
                                        .floor_utc_us = s->floor_us};
    const struct mqtt_config mqtt = {.client_id = b->client_id,
                                     .socket_path = b->socket,
                                     .keepalive_s = (uint32_t)(b->keepalive_ms / 1000),
                                     .clean_start = false,
                                     .session_expiry_s =
                                         (uint32_t)(b->session_expiry_ms / 1000),
                                     .reconnect_min_ms = (uint32_t)b->reconnect_min_ms,
                                     .reconnect_max_ms = (uint32_t)b->reconnect_max_ms};
    int error = tls_link_open(s->loop, &tls, &s->tls);
    if (error != 0) {
        log_error("broker: %s: %s", b->socket, strerror(-error));
        return error;
    }
    error = mqtt_open(s->loop, &mqtt, &ops, s, &s->mqtt);
    if (error != 0)
        log_error("broker: MQTT can't be started (%d)", error);
    return error;
}

/* Readings come last: everything that they may be charted to, and everything that says
 * whose they are, is there. */
int lines_open(struct service *s)
{
    s->outlets_count = s->config.destinations.count;
    for (size_t i = 0; i < s->outlets_count; i++)
        if (open_outlet(s, i) != 0)
            return -1;
    return open_adt(s) != 0 || open_broker(s) != 0 ? -1 : 0;
}

/* In the reverse order: what brings readings first. */
void lines_close(struct service *s)
{
    mqtt_close(s->mqtt, false);
    s->mqtt = NULL;
    tls_link_close(s->tls);
    s->tls = NULL;
    mllp_server_free(s->adt);
    s->adt = NULL;
    for (size_t i = 0; i < s->outlets_count; i++) {
        mllp_client_free(s->outlets[i].client);
        fhir_client_free(s->outlets[i].fhir);
        epr_file_close(s->outlets[i].file);
        s->outlets[i].client = NULL;
        s->outlets[i].fhir = NULL;
        s->outlets[i].file = NULL;
    }
    while (s->waiting_count > 0)
        waiting_drop(s);
}
