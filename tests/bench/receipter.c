/* SPDX-License-Identifier: Apache-2.0
 *
 * The other end of a bench's broker.
 *
 *   receipter answer|watch|turn|count HOST PORT CA CERT KEY SITE
 *
 * - answer takes `up` and answers each envelope: a chart without a ledger.
 * - watch notes when receipts pass.
 * - turn notes when envelopes pass as well: from one to the other is the chart's turn,
 * and a broker's hop there and back.
 * - count counts the messages of others; a topic filter stands for SITE.
 *
 * Times are CLOCK_BOOTTIME microseconds, as in a reading's time block. answer and count
 * print {"at_us", "readings"} every 100 ms in which something came; watch prints
 * {"at_us", "first", "last"} for each range, turn also {"at_us", "up"} with an envelope's
 * first seq. Ends at SIGTERM.
 */
#include <inttypes.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <pb_decode.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/envelope.h"
#include "wire/receipt.h"
#include "wire/topics.h"

#define REPORT_US 100000

enum what { ANSWER, WATCH, TURN, COUNT };

struct end {
    enum what what;
    const char *site;
    char filter[TOPIC_SIZE];
    uint64_t readings, reported, reported_us;
    int failed;
};

static volatile sig_atomic_t ended;

static void on_end(int number)
{
    (void)number;
    ended = 1;
}

/* A record begins with its seq (tag 8, a varint): a full decode is the ledger's work. */
static uint64_t record_seq(const uint8_t *record, size_t n)
{
    uint64_t seq = 0;

    if (n == 0 || record[0] != 0x08)
        return 0;
    for (size_t i = 1; i < n && i < 11; i++) {
        seq |= (uint64_t)(record[i] & 0x7f) << (7 * (i - 1));
        if ((record[i] & 0x80) == 0)
            return seq;
    }
    return 0;
}

/* Notes one seq in the receipt. False if it has no room left. */
static bool add_seq(wardgate_Receipt *receipt, uint64_t seq)
{
    wardgate_Range *last =
        receipt->ranges_count > 0 ? &receipt->ranges[receipt->ranges_count - 1] : NULL;

    if (last != NULL && seq == last->last + 1) {
        last->last = seq;
        return true;
    }
    if (seq == 0 || receipt->ranges_count >= RECEIPT_RANGES_MAX ||
        (last != NULL && seq <= last->last))
        return false;
    receipt->ranges[receipt->ranges_count++] = (wardgate_Range){seq, seq};
    return true;
}

static void answer(struct end *end, struct mosquitto *client, const uint8_t *payload,
                   size_t n)
{
    static wardgate_Receipt receipt;
    uint8_t out[RECEIPT_SIZE_MAX];
    char topic[TOPIC_SIZE];
    struct envelope_reader reader;
    const uint8_t *record;
    size_t size;
    int length;

    memset(&receipt, 0, sizeof(receipt));
    if (envelope_open(&reader, payload, n) != WIRE_OK)
        return;
    while (envelope_next(&reader, &record, &size) == 1)
        if (add_seq(&receipt, record_seq(record, size)))
            end->readings++;
    (void)snprintf(receipt.gateway, sizeof(receipt.gateway), "%s", reader.gateway);
    memcpy(receipt.epoch, reader.epoch.bytes, EPOCH_SIZE);
    length = receipt_encode(&receipt, out, sizeof(out));
    topic_text(TOPIC_RECEIPT, end->site, reader.gateway, topic);
    if (length < 0 || mosquitto_publish(client, NULL, topic, length, out, 1, false) != 0)
        end->failed = 1;
}

static void note(const uint8_t *payload, size_t n)
{
    static wardgate_Receipt receipt;
    uint64_t now_us = clock_monotonic_us();

    memset(&receipt, 0, sizeof(receipt));
    pb_istream_t stream = pb_istream_from_buffer(payload, n);
    if (!pb_decode(&stream, wardgate_Receipt_fields, &receipt))
        return;
    for (pb_size_t i = 0; i < receipt.ranges_count; i++)
        printf("{\"at_us\": %" PRIu64 ", \"first\": %" PRIu64 ", \"last\": %" PRIu64
               "}\n",
               now_us, (uint64_t)receipt.ranges[i].first,
               (uint64_t)receipt.ranges[i].last);
}

static void note_up(const uint8_t *payload, size_t n)
{
    uint64_t now_us = clock_monotonic_us();
    struct envelope_reader reader;
    const uint8_t *record;
    size_t size;

    if (envelope_open(&reader, payload, n) == WIRE_OK &&
        envelope_next(&reader, &record, &size) == 1)
        printf("{\"at_us\": %" PRIu64 ", \"up\": %" PRIu64 "}\n", now_us,
               record_seq(record, size));
}

static bool is_receipt(const char *topic)
{
    static const char end[] = "/receipt";
    size_t n = strlen(topic), m = sizeof(end) - 1;

    return n >= m && strcmp(topic + n - m, end) == 0;
}

static void on_message(struct mosquitto *client, void *context,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
    struct end *end = context;

    (void)properties;
    if (end->what == ANSWER)
        answer(end, client, message->payload, (size_t)message->payloadlen);
    else if (end->what == TURN && !is_receipt(message->topic))
        note_up(message->payload, (size_t)message->payloadlen);
    else if (end->what == WATCH || end->what == TURN)
        note(message->payload, (size_t)message->payloadlen);
    else
        end->readings++;
}

static void on_connected(struct mosquitto *client, void *context, int rc, int flags,
                         const mosquitto_property *properties)
{
    struct end *end = context;

    (void)flags, (void)properties;
    end->failed = rc;
    if (rc == 0)
        end->failed = mosquitto_subscribe_v5(client, NULL, end->filter, 1, 0, NULL);
    if (end->failed == 0 && end->what == TURN) {
        char up[TOPIC_SIZE];
        topic_text(TOPIC_UP, end->site, "+", up);
        end->failed = mosquitto_subscribe_v5(client, NULL, up, 1, 0, NULL);
    }
}

static void on_subscribed(struct mosquitto *client, void *context, int id, int count,
                          const int *granted, const mosquitto_property *properties)
{
    struct end *end = context;

    (void)client, (void)id, (void)properties;
    if (count < 1 || granted[0] > 2)
        end->failed = 1;
    else
        printf("{\"ready\": true}\n");
    (void)fflush(stdout);
}

static void report(struct end *end)
{
    uint64_t now_us = clock_monotonic_us();

    if (now_us - end->reported_us < REPORT_US)
        return;
    if (end->readings != end->reported)
        printf("{\"at_us\": %" PRIu64 ", \"readings\": %" PRIu64 "}\n", now_us,
               end->readings);
    end->reported = end->readings;
    end->reported_us = now_us;
    (void)fflush(stdout);
}

static bool set_up(struct end *end, int argc, char **argv)
{
    static const char *const whats[] = {"answer", "watch", "turn", "count"};

    if (argc != 8)
        return false;
    for (end->what = ANSWER; end->what <= COUNT; end->what++)
        if (strcmp(argv[1], whats[end->what]) == 0)
            break;
    end->site = argv[7];
    if (end->what == COUNT)
        (void)snprintf(end->filter, sizeof(end->filter), "%s", argv[7]);
    else if (end->what <= COUNT)
        topic_text(end->what == ANSWER ? TOPIC_UP : TOPIC_RECEIPT, end->site, "+",
                   end->filter);
    return end->what <= COUNT;
}

int main(int argc, char **argv)
{
    struct end end = {.what = ANSWER};
    struct mosquitto *client;

    if (!set_up(&end, argc, argv)) {
        fprintf(stderr,
                "receipter: answer|watch|turn|count HOST PORT CA CERT KEY SITE\n");
        return 64;
    }
    (void)signal(SIGTERM, on_end);
    mosquitto_lib_init();
    if ((client = mosquitto_new("bench-end", true, &end)) == NULL)
        return 74;
    mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_max_inflight_messages_set(client, 1000);
    mosquitto_tls_set(client, argv[4], NULL, argv[5], argv[6], NULL);
    mosquitto_connect_v5_callback_set(client, on_connected);
    mosquitto_subscribe_v5_callback_set(client, on_subscribed);
    mosquitto_message_v5_callback_set(client, on_message);
    if (mosquitto_connect(client, argv[2], (int)strtol(argv[3], NULL, 10), 60) !=
        MOSQ_ERR_SUCCESS)
        return 69;
    while (!ended && end.failed == 0) {
        if (mosquitto_loop(client, 50, 1) != MOSQ_ERR_SUCCESS && !ended)
            end.failed = 1;
        report(&end);
    }
    end.reported_us = 0;
    report(&end);
    if (end.failed != 0)
        fprintf(stderr, "receipter: refused or disconnected (%d)\n", end.failed);
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    return end.failed != 0 ? 69 : 0;
}
