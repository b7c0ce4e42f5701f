/* SPDX-License-Identifier: Apache-2.0
 *
 * MQTT 5 over libmosquitto, driven by the program's sd-event loop (no thread). It speaks
 * plain MQTT to a private AF_UNIX socket that tls_link serves; TLS, certificates and host
 * names are tls_link's.
 *
 * A broker's PUBACK proves nothing about charting (P1); it only opens the in-flight
 * window again. A lost connection takes the library's memory with it: nothing is sent
 * again that the caller does not offer again.
 */
#ifndef LINK_MQTT_H
#define LINK_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <systemd/sd-event.h>

/* Publishes without PUBACK that the library is handed at most. */
#define MQTT_INFLIGHT_MAX 20

struct mqtt;

enum mqtt_error {
    MQTT_OK = 0,
    /* Not connected, or the window is full (ours, or the broker's smaller one). Nothing
     * was queued: offer it again from `acknowledged` or `connected`. */
    MQTT_BUSY = -1,
    MQTT_FAILED = -2,    /* the library refused; logged */
    MQTT_TOO_LARGE = -3, /* larger than the broker's maximum packet size */
};

struct mqtt_config {
    const char *client_id;
    const char *socket_path; /* tls_link's */
    /* Seconds, 5 to 65535. A broker that stands still is noticed within twice this. */
    uint32_t keepalive_s;
    /* wardgated: true, its store is the session; wardgate-chart: false. */
    bool clean_start;
    uint32_t session_expiry_s; /* when not clean */
    /* Said by the broker when we vanish, at QoS 1, retained. topic NULL: none. */
    const char *will_topic;
    const uint8_t *will;
    size_t will_size;
    /* The back-off doubles between these, and is spread over its upper half. It begins
     * anew once a connection has lasted for reconnect_max_ms. */
    uint32_t reconnect_min_ms, reconnect_max_ms;
};

/* Called from the loop. All but `disconnected` are called from inside the library:
 * mqtt_close is not allowed there, everything else is. */
struct mqtt_ops {
    /* CONNACK accepted. Subscriptions must be made again. */
    void (*connected)(void *context, bool session_present);
    /* The connection is gone; every publish not acknowledged is to be offered again by
     * the caller. reason: MQTT 5 reason code or the library's error, for a log. */
    void (*disconnected)(void *context, int reason);
    /* A message; topic and payload are valid during the call. Its PUBACK is already on
     * its way: it proves nothing either. */
    void (*message)(void *context, const char *topic, const uint8_t *payload, size_t n);
    /* PUBACK for a publish: reason is the MQTT 5 reason code; >= 0x80 means refused. */
    void (*acknowledged)(void *context, int token, uint8_t reason);
};

/* Starts; connects in the background and keeps reconnecting. config is copied, ops must
 * outlive it. Returns 0, or MQTT_FAILED when there is no memory. No op is called before
 * it has returned. Ignores SIGPIPE in the whole process (the library does). */
int mqtt_open(sd_event *loop, const struct mqtt_config *config,
              const struct mqtt_ops *ops, void *context, struct mqtt **out);

/* QoS 1. topic and payload are copied. On success *token identifies the publish in
 * `acknowledged`, for as long as this connection lasts. Never blocks; the bytes leave at
 * the end of the loop's turn. */
int mqtt_publish(struct mqtt *mqtt, const char *topic, const void *payload, size_t n,
                 bool retain, int *token);

/* For this connection only; qos: 1, or 0 where a lost message costs nothing and its
 * PUBACK would. 0, MQTT_BUSY when not connected, or MQTT_FAILED. A filter that the broker
 * refuses is logged. */
int mqtt_subscribe(struct mqtt *mqtt, const char *filter, int qos);

/* Unacknowledged publishes; MQTT_INFLIGHT_MAX means wait. */
int mqtt_inflight(const struct mqtt *mqtt);
bool mqtt_is_connected(const struct mqtt *mqtt);

/* Drops the connection at the end of the loop's turn, with a DISCONNECT that leaves the
 * will unsaid, and reconnects after the back-off (used after certificate rotation). */
void mqtt_reconnect(struct mqtt *mqtt);

/* Sends DISCONNECT (with the will if with_will) and frees. NULL is fine. Close before
 * tls_link, which carries these last bytes. */
void mqtt_close(struct mqtt *mqtt, bool with_will);

#endif
