/* SPDX-License-Identifier: Apache-2.0 */
#include "link/mqtt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "base/log.h"
#include "link/back_off.h"
#include "link/mqtt_screen.h"
#include "link/priority.h"

/* Between the library's looks at its keepalive, for each second of it: a tenth late at
 * most (brokers wait half as long again), and a quiet board is seldom woken. */
#define MISC_US        100000
#define TIMER_SLACK_US (10 * US_PER_MS)
#define FAILURES_MAX   32 /* more doublings than any back-off has room for */
/* Packets taken from the socket before other sources have a turn. A broker that
 * floods us must not hold up the commit of readings. */
#define READ_BURST 64
/* Fixed header, length of the topic, identifier, no properties: at most. */
#define PUBLISH_OVERHEAD 10
#define PACKET_MAX_LEAST                                                                 \
    1024                  /* bytes; a broker that takes less takes no CONNECT of ours */
#define KEEPALIVE_MIN_S 5 /* libmosquitto refuses less */

/* One client of the library at a time, and what outlives it. */
struct mqtt {
    /* The configuration, copied. */
    char *client_id, *socket_path, *will_topic;
    uint8_t *will;
    size_t will_size;
    int keepalive_s;
    bool clean_start;
    uint32_t session_expiry_s, reconnect_min_ms, reconnect_max_ms;

    sd_event *loop;
    const struct mqtt_ops *ops;
    void *context;

    /*
     * Invariants:
     * 1. client is NULL exactly while the retry timer runs.
     * 2. inflight counts the publishes that client holds; a new client holds none.
     * 3. client is never destroyed inside one of its own callbacks: they set
     *    `lost`, and whoever called the library looks at it afterwards.
     */
    struct mosquitto *client;
    sd_event_source *io, *flush, *misc, *retry;
    int inflight, window;
    uint32_t packet_max; /* bytes of a packet that the broker takes */
    unsigned failures;   /* since a connection lasted: the exponent of the back-off */
    uint64_t connected_us;
    bool connected, lost, leaving, crowded_out, closing;
    int lost_reason;
};

static int start(struct mqtt *mqtt);

/* What the library would send again after a reconnect would be sent besides
 * what the caller offers again from its store, and would sit outside the
 * window's count. So the client dies with its connection, and its queue too. */
static void destroy_client(struct mqtt *mqtt)
{
    mqtt->io = sd_event_source_disable_unref(mqtt->io);
    mqtt->misc = sd_event_source_disable_unref(mqtt->misc);
    mqtt->flush = sd_event_source_disable_unref(mqtt->flush);
    mosquitto_destroy(mqtt->client);
    mqtt->client = NULL;
    mqtt->inflight = 0;
    mqtt->connected = false;
    mqtt->lost = false;
    mqtt->leaving = false;
}

/* The back-off is over: the next attempt. */
static int retry_due(sd_event_source *source, uint64_t due_us, void *context)
{
    struct mqtt *mqtt = context;

    (void)source;
    (void)due_us;
    mqtt->retry = sd_event_source_disable_unref(mqtt->retry);
    start(mqtt);
    return 0;
}

/* Without a timer there is no next attempt, but also no memory for one: nothing
 * is left to do but to say so. */
static void schedule_retry(struct mqtt *mqtt)
{
    uint32_t random = 0, delay_ms;
    int rc;

    (void)crypto_random(&random, sizeof(random));
    delay_ms = back_off_ms(mqtt->reconnect_min_ms, mqtt->reconnect_max_ms, mqtt->failures,
                           random);
    rc = sd_event_add_time_relative(mqtt->loop, &mqtt->retry, CLOCK_BOOTTIME,
                                    delay_ms * (uint64_t)US_PER_MS, TIMER_SLACK_US,
                                    retry_due, mqtt);
    if (rc < 0)
        log_error("mqtt: no timer: %s", strerror(-rc));
}

/* The connection, or the attempt at one, is over. The caller is told last: it
 * may close mqtt from there, so that nobody here touches it afterwards. */
static void drop(struct mqtt *mqtt, int reason)
{
    bool was_connected = mqtt->connected;
    uint64_t lived_us = was_connected ? clock_monotonic_us() - mqtt->connected_us : 0;

    destroy_client(mqtt);
    /* Only a connection that lasted ends the doubling: one that is cut at once, again and
     * again, may be another client with our name (a cloned card), and neither side would
     * win by being quick. Not every broker says so (measured: mosquitto 2.0.11 just
     * closes). */
    if (lived_us >= mqtt->reconnect_max_ms * (uint64_t)US_PER_MS)
        mqtt->failures = 0;
    if (mqtt->failures < FAILURES_MAX)
        mqtt->failures++;
    /* A broker that does say so saves us the doublings. */
    if (mqtt->crowded_out)
        mqtt->failures = FAILURES_MAX;
    mqtt->crowded_out = false;
    schedule_retry(mqtt);
    if (was_connected)
        mqtt->ops->disconnected(mqtt->context, reason);
}

/* After every call into the library: true when the connection is still there. */
static bool settle(struct mqtt *mqtt, int rc)
{
    if (rc == MOSQ_ERR_SUCCESS && !mqtt->lost)
        return true;
    if (!mqtt->lost)
        mqtt->lost_reason = rc;
    if (mqtt->connected)
        log_notice("mqtt: connection lost: %s", mosquitto_strerror(mqtt->lost_reason));
    drop(mqtt, mqtt->lost_reason);
    return false;
}

/* Writes what is queued; asks for EPOLLOUT only if the socket would not take it all. */
static bool flush_now(struct mqtt *mqtt)
{
    uint32_t events = EPOLLIN;
    int rc = MOSQ_ERR_SUCCESS;

    errno = 0; /* the library takes a stale EAGAIN for its own */
    if (!mqtt->lost && mosquitto_want_write(mqtt->client))
        rc = mosquitto_loop_write(mqtt->client, 1);
    if (!settle(mqtt, rc))
        return false;
    if (mosquitto_want_write(mqtt->client))
        events |= EPOLLOUT;
    sd_event_source_set_io_events(mqtt->io, events);
    return true;
}

/* DISCONNECT goes as far as the socket takes it now; a close is not worth waiting for. */
static void say_goodbye(struct mqtt *mqtt, int reason)
{
    if (!mqtt->connected || mqtt->lost)
        return;
    mosquitto_disconnect_v5(mqtt->client, reason, NULL);
    errno = 0;
    mosquitto_loop_write(mqtt->client, 1);
}

/* At the end of a turn of the loop: a planned end first, then whatever is queued. */
static int flush_due(sd_event_source *source, void *context)
{
    struct mqtt *mqtt = context;

    (void)source;
    if (mqtt->leaving) {
        mqtt->leaving = false;
        say_goodbye(mqtt, MQTT_RC_NORMAL_DISCONNECTION);
        mqtt->lost = true;
        mqtt->lost_reason = MOSQ_ERR_SUCCESS;
    }
    flush_now(mqtt);
    return 0;
}

/* Publishing only queues: the writes come together at the end of the turn. */
static void want_flush(struct mqtt *mqtt)
{
    sd_event_source_set_enabled(mqtt->flush, SD_EVENT_ONESHOT);
}

/* The socket can be read or written. Reading goes on until the library has met
 * the end of what is there (its errno says so): each packet is one to three
 * small reads, and a return to the loop for each would double that. */
static int socket_ready(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct mqtt *mqtt = context;

    (void)source;
    (void)fd;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        for (int i = 0; i < READ_BURST; i++) {
            errno = 0;
            if (!settle(mqtt, mosquitto_loop_read(mqtt->client, 1)))
                return 0;
            if (errno == EAGAIN)
                break;
        }
    }
    if (events & EPOLLOUT)
        flush_now(mqtt);
    else
        want_flush(mqtt);
    return 0;
}

/* The library sends its PINGREQ, or finds that the last one was not answered
 * and closes: that is how a broker that stands still is noticed. */
static int misc_due(sd_event_source *source, uint64_t due_us, void *context)
{
    struct mqtt *mqtt = context;

    (void)due_us;
    if (!settle(mqtt, mosquitto_loop_misc(mqtt->client)) || !flush_now(mqtt))
        return 0;
    sd_event_source_set_time_relative(source, (uint64_t)mqtt->keepalive_s * MISC_US);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

/* What the broker allows may be less than ours. The library holds itself to its
 * receive maximum too, but by queueing, and a queue that we do not count is what
 * this file is there to avoid. Limits with which nothing could be sent are a
 * broken broker's; the library does not survive all of them. */
static bool take_limits(struct mqtt *mqtt, const mosquitto_property *properties)
{
    uint16_t window = MQTT_INFLIGHT_MAX;
    uint32_t packet = UINT32_MAX;

    mosquitto_property_read_int16(properties, MQTT_PROP_RECEIVE_MAXIMUM, &window, false);
    mosquitto_property_read_int32(properties, MQTT_PROP_MAXIMUM_PACKET_SIZE, &packet,
                                  false);
    mqtt->window = window < MQTT_INFLIGHT_MAX ? window : MQTT_INFLIGHT_MAX;
    mqtt->packet_max = packet;
    return window > 0 && packet >= PACKET_MAX_LEAST;
}

/* CONNACK. A refusal is the broker's decision, not a broken line: the library
 * closes by itself, and the reason is kept for the caller. */
static void on_connect(struct mosquitto *client, void *context, int reason, int flags,
                       const mosquitto_property *properties)
{
    struct mqtt *mqtt = context;

    (void)client;
    if (reason != 0) {
        log_warning("mqtt: the broker refused the connection: %s",
                    mosquitto_reason_string(reason));
        mqtt->lost = true;
        mqtt->lost_reason = reason;
        return;
    }
    if (!take_limits(mqtt, properties)) {
        log_warning("mqtt: the broker allows no packet of any use");
        mqtt->lost = true;
        mqtt->lost_reason = MOSQ_ERR_OVERSIZE_PACKET;
        return;
    }
    mqtt->connected = true;
    mqtt->connected_us = clock_monotonic_us();
    mqtt->ops->connected(mqtt->context, (flags & 1) != 0);
}

/* The end, from the broker or from the library. Nothing is torn down here,
 * inside a callback of what would be torn down. */
static void on_disconnect(struct mosquitto *client, void *context, int reason,
                          const mosquitto_property *properties)
{
    struct mqtt *mqtt = context;

    (void)client;
    (void)properties;
    if (mqtt->lost)
        return; /* the library may say it twice; the first reason is the broker's */
    mqtt->crowded_out = reason == MQTT_RC_SESSION_TAKEN_OVER;
    if (mqtt->crowded_out)
        log_error("mqtt: another client has taken over the name %s", mqtt->client_id);
    mqtt->lost = true;
    mqtt->lost_reason = reason;
}

/* PUBACK. Under MQTT 5 a refusal has a reason and comes here all the same: only
 * this callback of the library shows it. */
static void on_publish(struct mosquitto *client, void *context, int mid, int reason,
                       const mosquitto_property *properties)
{
    struct mqtt *mqtt = context;

    (void)client;
    (void)properties;
    if (mqtt->closing)
        return;
    if (mqtt->inflight > 0)
        mqtt->inflight--;
    mqtt->ops->acknowledged(mqtt->context, mid, (uint8_t)reason);
}

/* A message. The library has already sent its PUBACK; that is harmless, because
 * nothing here counts a PUBACK as a receipt (P1). */
static void on_message(struct mosquitto *client, void *context,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct mqtt *mqtt = context;

    (void)client;
    (void)properties;
    if (mqtt->closing)
        return;
    mqtt->ops->message(mqtt->context, message->topic, message->payload,
                       (size_t)message->payloadlen);
}

/* SUBACK. A refused filter is a mistake in the broker's access list: the caller
 * can do nothing about it, an engineer can. */
static void on_subscribe(struct mosquitto *client, void *context, int mid, int count,
                         const int *granted, const mosquitto_property *properties)
{
    (void)client;
    (void)context;
    (void)mid;
    (void)properties;
    for (int i = 0; i < count; i++)
        if (granted[i] >= 0x80)
            log_error("mqtt: subscription refused: %s",
                      mosquitto_reason_string(granted[i]));
}

/* The library's own complaints. Its chatter about each packet is left out, and
 * with it every topic. */
static void on_log(struct mosquitto *client, void *context, int level, const char *text)
{
    (void)client;
    (void)context;
    if (level == MOSQ_LOG_ERR || level == MOSQ_LOG_WARNING)
        log_warning("mqtt: %s", text);
}

/* A new client, ready to connect. */
static int make_client(struct mqtt *mqtt)
{
    struct mosquitto *client = mosquitto_new(mqtt->client_id, mqtt->clean_start, mqtt);

    if (client == NULL)
        return -1;
    mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, MQTT_INFLIGHT_MAX);
    /* "Threaded" to the library means: queue, and write when told to. */
    mosquitto_threaded_set(client, true);
    mosquitto_connect_v5_callback_set(client, on_connect);
    mosquitto_disconnect_v5_callback_set(client, on_disconnect);
    mosquitto_publish_v5_callback_set(client, on_publish);
    mosquitto_message_v5_callback_set(client, on_message);
    mosquitto_subscribe_v5_callback_set(client, on_subscribe);
    mosquitto_log_callback_set(client, on_log);
    if (mqtt->will_topic != NULL &&
        mosquitto_will_set_v5(client, mqtt->will_topic, (int)mqtt->will_size, mqtt->will,
                              1, true, NULL) != MOSQ_ERR_SUCCESS) {
        mosquitto_destroy(client);
        return -1;
    }
    mqtt->client = client;
    return 0;
}

/* The local connect ends at once, whatever the broker does: tls_link answers
 * for what is behind the socket. CONNECT waits in the socket until then. */
static int connect_client(struct mqtt *mqtt)
{
    mosquitto_property *properties = NULL;
    int rc = mosquitto_property_add_int32(&properties, MQTT_PROP_MAXIMUM_PACKET_SIZE,
                                          MQTT_SCREEN_PACKET_MAX);

    if (rc == MOSQ_ERR_SUCCESS && !mqtt->clean_start)
        rc = mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
                                          mqtt->session_expiry_s);
    if (rc == MOSQ_ERR_SUCCESS)
        rc = mosquitto_connect_bind_v5(mqtt->client, mqtt->socket_path, 0,
                                       mqtt->keepalive_s, NULL, properties);
    mosquitto_property_free_all(&properties);
    return rc;
}

/* Puts the library's socket and timers into the loop. The socket is new for
 * each client, so all sources are. */
static int watch_client(struct mqtt *mqtt)
{
    int fd = mosquitto_socket(mqtt->client), rc;

    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return -errno;
    rc = sd_event_add_io(mqtt->loop, &mqtt->io, fd, EPOLLIN, socket_ready, mqtt);
    if (rc < 0)
        return rc;
    rc = sd_event_add_defer(mqtt->loop, &mqtt->flush, flush_due, mqtt);
    if (rc < 0)
        return rc;
    rc = sd_event_source_set_priority(mqtt->flush, LINK_PRIORITY_WRITE);
    if (rc < 0)
        return rc;
    return sd_event_add_time_relative(mqtt->loop, &mqtt->misc, CLOCK_BOOTTIME,
                                      (uint64_t)mqtt->keepalive_s * MISC_US,
                                      TIMER_SLACK_US, misc_due, mqtt);
}

/* One attempt. A failure is not the caller's business: the next follows after the
 * back-off. */
static int start(struct mqtt *mqtt)
{
    int rc;

    if (make_client(mqtt) != 0) {
        log_error("mqtt: the library refused a client (will topic, memory?)");
        drop(mqtt, MOSQ_ERR_NOMEM);
        return MQTT_FAILED;
    }
    rc = connect_client(mqtt);
    if (rc != MOSQ_ERR_SUCCESS) {
        log_warning("mqtt: %s: %s", mqtt->socket_path,
                    rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
        drop(mqtt, rc);
        return MQTT_FAILED;
    }
    rc = watch_client(mqtt);
    if (rc < 0) {
        log_error("mqtt: event loop: %s", strerror(-rc));
        drop(mqtt, MOSQ_ERR_NOMEM);
        return MQTT_FAILED;
    }
    return MQTT_OK;
}

/* Copies and bounds the configuration. Keepalive is held to what the library and the
 * protocol can carry; a maximum back-off below the minimum is the minimum. */
static int copy_config(struct mqtt *mqtt, const struct mqtt_config *config)
{
    mqtt->client_id = strdup(config->client_id);
    mqtt->socket_path = strdup(config->socket_path);
    if (mqtt->client_id == NULL || mqtt->socket_path == NULL)
        return -1;
    if (config->will_topic != NULL) {
        mqtt->will_topic = strdup(config->will_topic);
        mqtt->will = malloc(config->will_size + 1);
        if (mqtt->will_topic == NULL || mqtt->will == NULL)
            return -1;
        if (config->will_size > 0)
            memcpy(mqtt->will, config->will, config->will_size);
        mqtt->will_size = config->will_size;
    }
    mqtt->keepalive_s = config->keepalive_s < KEEPALIVE_MIN_S ? KEEPALIVE_MIN_S
                        : config->keepalive_s > UINT16_MAX    ? UINT16_MAX
                                                              : (int)config->keepalive_s;
    mqtt->clean_start = config->clean_start;
    mqtt->session_expiry_s = config->session_expiry_s;
    mqtt->reconnect_min_ms = config->reconnect_min_ms > 0 ? config->reconnect_min_ms : 1;
    mqtt->reconnect_max_ms = config->reconnect_max_ms;
    if (mqtt->reconnect_max_ms < mqtt->reconnect_min_ms)
        mqtt->reconnect_max_ms = mqtt->reconnect_min_ms;
    if (mqtt->reconnect_max_ms > INT_MAX)
        mqtt->reconnect_max_ms = INT_MAX;
    return 0;
}

/* Everything but the client, which destroy_client has taken. The library counts
 * its starts and ends by itself. */
static void free_all(struct mqtt *mqtt)
{
    mqtt->retry = sd_event_source_disable_unref(mqtt->retry);
    sd_event_unref(mqtt->loop);
    free(mqtt->client_id);
    free(mqtt->socket_path);
    free(mqtt->will_topic);
    free(mqtt->will);
    free(mqtt);
    mosquitto_lib_cleanup();
}

int mqtt_open(sd_event *loop, const struct mqtt_config *config,
              const struct mqtt_ops *ops, void *context, struct mqtt **out)
{
    struct mqtt *mqtt;

    /* Ignores SIGPIPE for the process, among others: the library writes to a socket
     * that may be gone. */
    mosquitto_lib_init();
    mqtt = calloc(1, sizeof(*mqtt));
    if (mqtt == NULL) {
        mosquitto_lib_cleanup();
        return MQTT_FAILED;
    }
    mqtt->loop = sd_event_ref(loop);
    mqtt->ops = ops;
    mqtt->context = context;
    mqtt->window = MQTT_INFLIGHT_MAX;
    if (copy_config(mqtt, config) != 0) {
        free_all(mqtt);
        return MQTT_FAILED;
    }
    start(mqtt);
    *out = mqtt;
    return MQTT_OK;
}

int mqtt_publish(struct mqtt *mqtt, const char *topic, const void *payload, size_t n,
                 bool retain, int *token)
{
    int rc;

    if (!mqtt->connected || mqtt->lost || mqtt->inflight >= mqtt->window)
        return MQTT_BUSY;
    /* Ours and not the library's check: between its first (remaining length) and
     * its second (packet) lie a few sizes that end the program (2.0.11 logs them
     * through a NULL; found by fuzzing). */
    if (n > MQTT_MAX_PAYLOAD || n + strlen(topic) + PUBLISH_OVERHEAD > mqtt->packet_max)
        return MQTT_TOO_LARGE;
    rc = mosquitto_publish_v5(mqtt->client, token, topic, (int)n, payload, 1, retain,
                              NULL);
    if (rc == MOSQ_ERR_OVERSIZE_PACKET)
        return MQTT_TOO_LARGE;
    if (rc == MOSQ_ERR_NO_CONN) {
        /* Queued in the library all the same (measured). The client that
         * holds it is about to be destroyed, so for the caller it is not. */
        mqtt->lost = true;
        mqtt->lost_reason = rc;
        want_flush(mqtt);
        return MQTT_BUSY;
    }
    if (rc != MOSQ_ERR_SUCCESS) {
        log_error("mqtt: publish: %s", mosquitto_strerror(rc));
        return MQTT_FAILED;
    }
    mqtt->inflight++;
    want_flush(mqtt);
    return MQTT_OK;
}

int mqtt_subscribe(struct mqtt *mqtt, const char *filter, int qos)
{
    int rc;

    if (!mqtt->connected || mqtt->lost)
        return MQTT_BUSY;
    rc = mosquitto_subscribe_v5(mqtt->client, NULL, filter, qos, 0, NULL);
    if (rc != MOSQ_ERR_SUCCESS) {
        log_error("mqtt: subscribe: %s", mosquitto_strerror(rc));
        return MQTT_FAILED;
    }
    want_flush(mqtt);
    return MQTT_OK;
}

int mqtt_inflight(const struct mqtt *mqtt)
{
    /* A broker may allow less than we do: full is full for the caller. */
    return mqtt->inflight >= mqtt->window ? MQTT_INFLIGHT_MAX : mqtt->inflight;
}

bool mqtt_is_connected(const struct mqtt *mqtt)
{
    return mqtt->connected && !mqtt->lost;
}

void mqtt_reconnect(struct mqtt *mqtt)
{
    if (mqtt->client == NULL)
        return;
    /* A planned change of certificate is no outage: the will stays unsaid. Done
     * from the loop, because the caller may be inside one of our callbacks. */
    mqtt->leaving = true;
    want_flush(mqtt);
}

void mqtt_close(struct mqtt *mqtt, bool with_will)
{
    if (mqtt == NULL)
        return;
    mqtt->closing = true;
    if (mqtt->client != NULL)
        say_goodbye(mqtt, with_will ? MQTT_RC_DISCONNECT_WITH_WILL_MSG
                                    : MQTT_RC_NORMAL_DISCONNECTION);
    if (mqtt->client != NULL)
        destroy_client(mqtt);
    free_all(mqtt);
}
