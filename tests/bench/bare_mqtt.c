/* SPDX-License-Identifier: Apache-2.0
 *
 * What the forwarding bench compares with: libmosquitto alone, with its own OpenSSL,
 * sending one reading a message at QoS 1 from memory, with no store and no receipt.
 *
 *   bare_mqtt HOST PORT CA CERT KEY TOPIC BYTES MESSAGES INFLIGHT   -> {"messages_per_s":
 * ...}
 */
#include <mosquitto.h>
#include <mqtt_protocol.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct sender {
    struct mosquitto *client;
    const char *topic;
    uint8_t *payload;
    int bytes;
    long messages, sent, acknowledged, inflight;
    struct timespec begin, end;
    int failed;
};

static void offer(struct sender *sender)
{
    while (sender->sent < sender->messages &&
           sender->sent - sender->acknowledged < sender->inflight) {
        memcpy(sender->payload, &sender->sent, sizeof sender->sent);
        if (mosquitto_publish(sender->client, NULL, sender->topic, sender->bytes,
                              sender->payload, 1, false) != 0)
            sender->failed = 1;
        sender->sent++;
    }
}

static void connected(struct mosquitto *client, void *context, int rc, int flags,
                      const mosquitto_property *properties)
{
    struct sender *sender = context;

    (void)client, (void)flags, (void)properties;
    sender->failed = rc;
    clock_gettime(CLOCK_MONOTONIC, &sender->begin);
    offer(sender);
}

static void acknowledged(struct mosquitto *client, void *context, int id, int reason,
                         const mosquitto_property *properties)
{
    struct sender *sender = context;

    (void)client, (void)id, (void)properties;
    if (reason >= 0x80)
        sender->failed = reason;
    sender->acknowledged++;
    clock_gettime(CLOCK_MONOTONIC, &sender->end);
    offer(sender);
}

int main(int argc, char **argv)
{
    struct sender sender = {0};
    double seconds;

    if (argc != 10) {
        fprintf(stderr,
                "bare_mqtt: HOST PORT CA CERT KEY TOPIC BYTES MESSAGES INFLIGHT\n");
        return 64;
    }
    sender.topic = argv[6];
    sender.bytes = (int)strtol(argv[7], NULL, 10);
    sender.messages = strtol(argv[8], NULL, 10);
    sender.inflight = strtol(argv[9], NULL, 10);
    sender.payload = calloc(1, (size_t)sender.bytes + sizeof(long));
    mosquitto_lib_init();
    sender.client = mosquitto_new("bare-sender", true, &sender);
    if (sender.client == NULL || sender.payload == NULL)
        return 74;
    mosquitto_int_option(sender.client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_max_inflight_messages_set(sender.client, (unsigned)sender.inflight);
    mosquitto_tls_set(sender.client, argv[3], NULL, argv[4], argv[5], NULL);
    mosquitto_connect_v5_callback_set(sender.client, connected);
    mosquitto_publish_v5_callback_set(sender.client, acknowledged);
    if (mosquitto_connect(sender.client, argv[1], (int)strtol(argv[2], NULL, 10), 60) !=
        MOSQ_ERR_SUCCESS)
        return 69;
    while (sender.acknowledged < sender.messages && sender.failed == 0)
        if (mosquitto_loop(sender.client, 1000, 1) != MOSQ_ERR_SUCCESS)
            sender.failed = 1;
    if (sender.failed != 0) {
        fprintf(stderr, "bare_mqtt: refused or disconnected (%d)\n", sender.failed);
        return 69;
    }
    seconds = (double)(sender.end.tv_sec - sender.begin.tv_sec) +
              (double)(sender.end.tv_nsec - sender.begin.tv_nsec) / 1e9;
    printf("{\"messages_per_s\": %.1f}\n", (double)sender.messages / seconds);
    mosquitto_destroy(sender.client);
    mosquitto_lib_cleanup();
    free(sender.payload);
    return 0;
}
