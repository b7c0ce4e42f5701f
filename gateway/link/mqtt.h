/* SPDX-License-Identifier: Apache-2.0
 *
 * MQTT 5 over libmosquitto, driven by the program's sd-event loop (no thread). It speaks
 * plain MQTT to a private AF_UNIX socket that tls_link serves; TLS, certificates and host
 * names are tls_link's.
 *
 * A broker's PUBACK proves nothing about charting (P1); it only opens the in-flight
 * window again.
 */
#ifndef LINK_MQTT_H
#define LINK_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#define MQTT_INFLIGHT_MAX                                                                \
    20 /* unacknowledged publishes that the library is handed at most */

struct mqtt;

enum mqtt_error {
    MQTT_OK = 0,
    MQTT_BUSY = -1,      /* MQTT_INFLIGHT_MAX publishes are not acknowledged yet, or not
                            connected: nothing was queued */
    MQTT_FAILED = -2,    /* the library refused; logged */
    MQTT_TOO_LARGE = -3, /* larger than the broker's maximum packet size */
};

struct mqtt_config {
    const char *client_id;
    const char *socket_path; /* tls_link's */
    uint32_t keepalive_s;
    bool clean_start; /* wardgated: true, its store is the session; wardgate-chart: false
                       */
    uint32_t session_expiry_s; /* when not clean */
    const char *will_topic;    /* NULL: no will */
    const uint8_t *will;
    size_t will_size;
    uint32_t reconnect_min_ms, reconnect_max_ms; /* doubling between, with jitter */
};

struct mqtt_ops {
    /* CONNACK accepted. Subscriptions must be made again. */
    void (*connected)(void *context, bool session_present);
    /* The connection is gone; every publish not acknowledged is to be offered again by
     * the caller. */
    void (*disconnected)(void *context, int reason);
    /* A message; topic and payload are valid during the call. */
    void (*message)(void *context, const char *topic, const uint8_t *payload, size_t n);
    /* PUBACK for a publish: reason is the MQTT 5 reason code; >= 0x80 means refused. */
    void (*acknowledged)(void *context, int token, uint8_t reason);
};

/* Starts; connects in the background and keeps reconnecting. config is copied. Returns 0
 * or mqtt_error. */
int mqtt_open(sd_event *loop, const struct mqtt_config *config,
              const struct mqtt_ops *ops, void *context, struct mqtt **out);

/* QoS 1. On success *token identifies the publish in `acknowledged`. Never blocks. */
int mqtt_publish(struct mqtt *mqtt, const char *topic, const void *payload, size_t n,
                 bool retain, int *token);
int mqtt_subscribe(struct mqtt *mqtt, const char *filter);

/* Unacknowledged publishes; MQTT_INFLIGHT_MAX means wait. */
int mqtt_inflight(const struct mqtt *mqtt);
bool mqtt_is_connected(const struct mqtt *mqtt);

/* Drops the connection at once and reconnects after the back-off (used after certificate
 * rotation). */
void mqtt_reconnect(struct mqtt *mqtt);

/* Sends DISCONNECT (with the will if with_will) and frees. NULL is fine. */
void mqtt_close(struct mqtt *mqtt, bool with_will);

#endif
