/* SPDX-License-Identifier: Apache-2.0
 *
 * Covers mqtt and, behind it, libmosquitto's client: a broker that may say anything. The
 * input is what it says after it has accepted the connection. Whatever comes, the
 * window's count stays within its bounds, and a lost connection leaves it at 0.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "link/mqtt.h"
#include "link/mqtt_screen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TURNS_MAX 64 /* of the loop; an input is done long before */

struct heard {
    struct mqtt *mqtt;
    unsigned sum;
};

static char folder[64], path[108];
static int listener = -1;
static sd_event *loop;

static void forget(void)
{
    unlink(path);
    rmdir(folder);
}

static void prepare(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *temporary = getenv("TMPDIR");

    log_set_level((enum log_level)0);
    snprintf(folder, sizeof(folder), "%.40s/link-fuzz.XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    if (mkdtemp(folder) == NULL || sd_event_new(&loop) < 0)
        abort();
    snprintf(path, sizeof(path), "%s/s", folder);
    memcpy(address.sun_path, path, strlen(path));
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 ||
        bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 8) != 0)
        abort();
    atexit(forget);
}

static void connected(void *context, bool session_present)
{
    struct heard *heard = context;
    int token;

    heard->sum += session_present;
    (void)mqtt_subscribe(heard->mqtt, "a/#", 1);
    for (int i = 0; i < MQTT_INFLIGHT_MAX + 1; i++)
        (void)mqtt_publish(heard->mqtt, "a/b", "reading", 7, false, &token);
}

static void disconnected(void *context, int reason)
{
    struct heard *heard = context;

    heard->sum += (unsigned)reason;
    if (mqtt_inflight(heard->mqtt) != 0 || mqtt_is_connected(heard->mqtt))
        abort();
}

static void message(void *context, const char *topic, const uint8_t *payload, size_t n)
{
    struct heard *heard = context;

    /* Touches every byte, so that the sanitizer sees what is not ours. */
    heard->sum += (unsigned)strlen(topic);
    for (size_t i = 0; i < n; i++)
        heard->sum += payload[i];
}

static void acknowledged(void *context, int token, uint8_t reason)
{
    struct heard *heard = context;
    int next;

    heard->sum += (unsigned)token + reason;
    if (mqtt_inflight(heard->mqtt) < 0 || mqtt_inflight(heard->mqtt) > MQTT_INFLIGHT_MAX)
        abort();
    (void)mqtt_publish(heard->mqtt, "a/b", "again", 5, false, &next);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct mqtt_ops ops = {connected, disconnected, message, acknowledged};
    struct mqtt_config config = {.client_id = "fuzz",
                                 .socket_path = path,
                                 .keepalive_s = 60,
                                 .clean_start = true,
                                 .reconnect_min_ms = 60000,
                                 .reconnect_max_ms = 60000};
    struct heard heard = {.sum = 0};
    struct mqtt_screen screen = {.fault = NULL};
    int broker;

    /* As in the gateway: what the screen stops, the library never sees. */
    if (!mqtt_screen_feed(&screen, data, size))
        return 0;
    if (listener < 0)
        prepare();
    if (mqtt_open(loop, &config, &ops, &heard, &heard.mqtt) != MQTT_OK)
        return 0;
    broker = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (broker < 0)
        abort();
    if (send(broker, data, size, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
        abort();
    shutdown(broker, SHUT_WR);
    for (int i = 0; i < TURNS_MAX && sd_event_run(loop, 0) > 0; i++)
        ;
    mqtt_close(heard.mqtt, false);
    close(broker);
    return 0;
}
