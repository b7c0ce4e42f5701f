/* SPDX-License-Identifier: Apache-2.0
 *
 * mqtt against a real mosquitto on an AF_UNIX socket (no TLS: that is link_tls_test's):
 * the window, reason codes, the will, and that nothing is sent behind the caller's back
 * after a broken connection.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "link/mqtt.h"
#include "tests/unit/link_rig.h"

#define MESSAGES_MAX 64

/* One client, and what it was told. */
struct client {
    struct mqtt *mqtt;
    int connected, disconnected, acknowledged, received;
    int tokens[MESSAGES_MAX], reasons[MESSAGES_MAX];
    char topics[MESSAGES_MAX][64];
    uint8_t payloads[MESSAGES_MAX][64];
    size_t sizes[MESSAGES_MAX];
    bool session_present;
    /* What the test wants done inside a call-back. */
    const char *subscribe;
    bool publish_when_acknowledged, reconnect_when_received;
};

static struct rig rig;
static pid_t broker;

static void on_connected(void *context, bool session_present)
{
    struct client *client = context;

    client->connected++;
    client->session_present = session_present;
    if (client->subscribe != NULL)
        assert_int_equal(mqtt_subscribe(client->mqtt, client->subscribe, 1), MQTT_OK);
}

static void on_disconnected(void *context, int reason)
{
    struct client *client = context;

    (void)reason;
    client->disconnected++;
    assert_false(mqtt_is_connected(client->mqtt));
    assert_int_equal(mqtt_inflight(client->mqtt), 0);
}

static void on_message(void *context, const char *topic, const uint8_t *payload, size_t n)
{
    struct client *client = context;
    int i = client->received % MESSAGES_MAX;

    snprintf(client->topics[i], sizeof(client->topics[i]), "%s", topic);
    client->sizes[i] = n;
    if (n > 0 && n <= sizeof(client->payloads[i]))
        memcpy(client->payloads[i], payload, n);
    client->received++;
    if (client->reconnect_when_received) {
        client->reconnect_when_received = false;
        mqtt_reconnect(client->mqtt);
    }
}

static void on_acknowledged(void *context, int token, uint8_t reason)
{
    struct client *client = context;
    int next;

    client->tokens[client->acknowledged % MESSAGES_MAX] = token;
    client->reasons[client->acknowledged % MESSAGES_MAX] = reason;
    client->acknowledged++;
    if (client->publish_when_acknowledged && client->acknowledged < 40)
        assert_int_equal(mqtt_publish(client->mqtt, "a/b", "again", 5, false, &next),
                         MQTT_OK);
}

static const struct mqtt_ops ops = {on_connected, on_disconnected, on_message,
                                    on_acknowledged};

static void open_client(struct client *client, const char *name, const char *subscribe,
                        const struct mqtt_config *more)
{
    struct mqtt_config config = {.clean_start = true, .keepalive_s = 60};

    if (more != NULL)
        config = *more;
    config.client_id = name;
    config.socket_path = rig_broker_socket(&rig);
    config.reconnect_min_ms = 20;
    config.reconnect_max_ms = 100;
    memset(client, 0, sizeof(*client));
    client->subscribe = subscribe;
    assert_int_equal(mqtt_open(rig.loop, &config, &ops, client, &client->mqtt), MQTT_OK);
}

static bool is_connected(void *context)
{
    const struct client *client = context;

    return mqtt_is_connected(client->mqtt);
}

struct count {
    const int *value;
    int wanted;
};

static bool has_count(void *context)
{
    const struct count *count = context;

    return *count->value >= count->wanted;
}

static bool reaches(const int *value, int wanted)
{
    struct count count = {value, wanted};

    return rig_until(&rig, has_count, &count);
}

static int publish(struct client *client, const char *topic, const char *text)
{
    int token = -1,
        rc = mqtt_publish(client->mqtt, topic, text, strlen(text), false, &token);

    return rc == MQTT_OK ? token : rc;
}

static int set_up(void **state)
{
    (void)state;
    rig_open(&rig);
    broker = rig_broker(&rig, "");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_end(&broker);
    rig_close(&rig);
    return 0;
}

/* Another broker than the plain one of set_up. */
static void restart_broker(const char *more)
{
    rig_end(&broker);
    broker = rig_broker(&rig, more);
}

static void carries_bytes_both_ways(void **state)
{
    const uint8_t payload[] = {0, 1, 0xff, 'x', 0};
    struct client a, b;
    int token;

    (void)state;
    open_client(&b, "b", "a/#", NULL);
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    assert_true(rig_until(&rig, is_connected, &b));
    rig_turn(&rig, 50);
    assert_int_equal(mqtt_publish(a.mqtt, "a/b", payload, sizeof(payload), false, &token),
                     MQTT_OK);
    assert_int_equal(mqtt_inflight(a.mqtt), 1);
    assert_true(reaches(&b.received, 1));
    assert_true(reaches(&a.acknowledged, 1));
    assert_int_equal(a.tokens[0], token);
    assert_int_equal(a.reasons[0], 0);
    assert_int_equal(mqtt_inflight(a.mqtt), 0);
    assert_string_equal(b.topics[0], "a/b");
    assert_int_equal(b.sizes[0], sizeof(payload));
    assert_memory_equal(b.payloads[0], payload, sizeof(payload));
    mqtt_close(a.mqtt, false);
    mqtt_close(b.mqtt, false);
}

static void refuses_more_than_the_window(void **state)
{
    struct client a;
    int tokens[MQTT_INFLIGHT_MAX];

    (void)state;
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    kill(broker, SIGSTOP);
    for (int i = 0; i < MQTT_INFLIGHT_MAX; i++) {
        tokens[i] = publish(&a, "a/b", "x");
        assert_true(tokens[i] >= 0);
    }
    assert_int_equal(mqtt_inflight(a.mqtt), MQTT_INFLIGHT_MAX);
    assert_int_equal(publish(&a, "a/b", "x"), MQTT_BUSY);
    rig_turn(&rig, 50);
    assert_int_equal(publish(&a, "a/b", "x"), MQTT_BUSY);
    kill(broker, SIGCONT);
    assert_true(reaches(&a.acknowledged, MQTT_INFLIGHT_MAX));
    for (int i = 0; i < MQTT_INFLIGHT_MAX; i++)
        assert_int_equal(a.tokens[i], tokens[i]);
    assert_int_equal(mqtt_inflight(a.mqtt), 0);
    assert_true(publish(&a, "a/b", "x") >= 0);
    mqtt_close(a.mqtt, false);
}

static void publishes_from_inside_a_call_back(void **state)
{
    struct client a;

    (void)state;
    open_client(&a, "a", NULL, NULL);
    a.publish_when_acknowledged = true;
    assert_true(rig_until(&rig, is_connected, &a));
    assert_true(publish(&a, "a/b", "first") >= 0);
    assert_true(reaches(&a.acknowledged, 40));
    mqtt_close(a.mqtt, false);
}

static void honours_the_brokers_window(void **state)
{
    struct client a;

    (void)state;
    restart_broker("max_inflight_messages 3\n");
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    kill(broker, SIGSTOP);
    for (int i = 0; i < 3; i++)
        assert_true(publish(&a, "a/b", "x") >= 0);
    assert_int_equal(publish(&a, "a/b", "x"), MQTT_BUSY);
    assert_int_equal(mqtt_inflight(a.mqtt), MQTT_INFLIGHT_MAX);
    kill(broker, SIGCONT);
    assert_true(reaches(&a.acknowledged, 3));
    mqtt_close(a.mqtt, false);
}

static void tells_the_reason_of_a_refusal(void **state)
{
    struct client a;
    char conf[512];

    (void)state;
    rig_write(&rig, "acl", "topic readwrite open/#\n");
    snprintf(conf, sizeof(conf), "acl_file %s\n", rig_path(&rig, "acl"));
    restart_broker(conf);
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    assert_true(publish(&a, "closed/x", "x") >= 0);
    assert_true(reaches(&a.acknowledged, 1));
    assert_int_equal(a.reasons[0], 0x87);
    assert_true(publish(&a, "open/x", "x") >= 0);
    assert_true(reaches(&a.acknowledged, 2));
    assert_true(a.reasons[1] < 0x80);
    assert_int_equal(mqtt_inflight(a.mqtt), 0);
    mqtt_close(a.mqtt, false);
}

static void refuses_what_is_too_large(void **state)
{
    struct client a;
    char *large = calloc(1, 3000);
    int token;

    (void)state;
    assert_non_null(large);
    restart_broker("max_packet_size 2000\n");
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    assert_int_equal(mqtt_publish(a.mqtt, "a/b", large, 3000, false, &token),
                     MQTT_TOO_LARGE);
    assert_int_equal(mqtt_inflight(a.mqtt), 0);
    assert_int_equal(mqtt_publish(a.mqtt, "a/b", large, 1500, false, &token), MQTT_OK);
    assert_true(reaches(&a.acknowledged, 1));
    assert_int_equal(mqtt_publish(a.mqtt, "no/+/wildcards", large, 1, false, &token),
                     MQTT_FAILED);
    assert_int_equal(mqtt_inflight(a.mqtt), 0);
    mqtt_close(a.mqtt, false);
    free(large);
}

/* A message that no client of ours can take: it is left out, and what comes after it
 * arrives over the same connection. */
static void passes_over_what_is_too_large_to_take(void **state)
{
    struct client a, b;
    size_t n = (size_t)2 << 20;
    char *large = calloc(1, n);
    int token;

    (void)state;
    assert_non_null(large);
    open_client(&a, "a", NULL, NULL);
    open_client(&b, "b", "a/#", NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    assert_true(rig_until(&rig, is_connected, &b));
    assert_int_equal(mqtt_publish(a.mqtt, "a/large", large, n, false, &token), MQTT_OK);
    assert_true(reaches(&a.acknowledged, 1));
    assert_true(publish(&a, "a/small", "x") >= 0);
    assert_true(reaches(&b.received, 1));
    assert_string_equal(b.topics[0], "a/small");
    assert_int_equal(b.disconnected, 0);
    mqtt_close(a.mqtt, false);
    mqtt_close(b.mqtt, false);
    free(large);
}

/* Around the broker's limit the library has sizes that end the program. */
static void survives_every_size_around_the_limit(void **state)
{
    struct client a;
    char *large = calloc(1, 3000);
    int sent = 0, refused = 0, token;

    (void)state;
    assert_non_null(large);
    restart_broker("max_packet_size 2000\n");
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    for (size_t n = 1960; n < 2020; n++) {
        int rc = mqtt_publish(a.mqtt, "a/b", large, n, false, &token);

        assert_true(rc == MQTT_OK || rc == MQTT_TOO_LARGE);
        sent += rc == MQTT_OK;
        refused += rc == MQTT_TOO_LARGE;
        assert_true(reaches(&a.acknowledged, sent));
    }
    assert_int_equal(a.disconnected, 0);
    assert_true(sent >= 20);
    assert_true(refused >= 20);
    mqtt_close(a.mqtt, false);
    free(large);
}

static void is_busy_without_a_broker_and_finds_it_later(void **state)
{
    struct client a;

    (void)state;
    rig_end(&broker);
    open_client(&a, "a", NULL, NULL);
    rig_turn(&rig, 200);
    assert_int_equal(publish(&a, "a/b", "x"), MQTT_BUSY);
    assert_int_equal(mqtt_subscribe(a.mqtt, "a/#", 1), MQTT_BUSY);
    assert_int_equal(a.connected, 0);
    assert_int_equal(a.disconnected, 0);
    broker = rig_broker(&rig, "");
    assert_true(rig_until(&rig, is_connected, &a));
    assert_true(publish(&a, "a/b", "x") >= 0);
    assert_true(reaches(&a.acknowledged, 1));
    mqtt_close(a.mqtt, false);
}

/* The heart of it: what was not acknowledged is forgotten, here and in the library. Only
 * what the caller offers again is sent, once each, and the window is whole again. */
static void sends_nothing_behind_the_callers_back(void **state)
{
    struct client a, b;

    (void)state;
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    kill(broker, SIGSTOP);
    for (int i = 0; i < 10; i++)
        assert_true(publish(&a, "a/old", "x") >= 0);
    rig_turn(&rig, 20);
    rig_end(&broker);
    assert_true(reaches(&a.disconnected, 1));
    assert_int_equal(mqtt_inflight(a.mqtt), 0);
    broker = rig_broker(&rig, "");
    open_client(&b, "b", "a/#", NULL);
    assert_true(rig_until(&rig, is_connected, &b));
    rig_turn(&rig, 50);
    assert_true(reaches(&a.connected, 2));
    rig_turn(&rig, 200);
    assert_int_equal(a.acknowledged, 0);
    for (int i = 0; i < MQTT_INFLIGHT_MAX; i++)
        assert_true(publish(&a, "a/new", "y") >= 0);
    assert_int_equal(publish(&a, "a/new", "y"), MQTT_BUSY);
    assert_true(reaches(&a.acknowledged, MQTT_INFLIGHT_MAX));
    assert_true(reaches(&b.received, MQTT_INFLIGHT_MAX));
    rig_turn(&rig, 100);
    assert_int_equal(b.received, MQTT_INFLIGHT_MAX);
    for (int i = 0; i < b.received; i++)
        assert_string_equal(b.topics[i], "a/new");
    mqtt_close(a.mqtt, false);
    mqtt_close(b.mqtt, false);
}

static void reconnects_when_told_to_even_from_a_call_back(void **state)
{
    struct client a;

    (void)state;
    open_client(&a, "a", "a/#", NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    mqtt_reconnect(a.mqtt);
    assert_true(reaches(&a.disconnected, 1));
    assert_true(reaches(&a.connected, 2));
    rig_turn(&rig, 50);
    a.reconnect_when_received = true;
    assert_true(publish(&a, "a/b", "x") >= 0);
    assert_true(reaches(&a.disconnected, 2));
    assert_true(reaches(&a.connected, 3));
    mqtt_close(a.mqtt, false);
}

static struct mqtt_config with_will(void)
{
    return (struct mqtt_config){.clean_start = true,
                                .keepalive_s = 60,
                                .will_topic = "will/a",
                                .will = (const uint8_t *)"gone",
                                .will_size = 4};
}

static void says_the_will_only_when_meant(void **state)
{
    struct mqtt_config config = with_will();
    struct client a, b;

    (void)state;
    open_client(&b, "b", "will/#", NULL);
    assert_true(rig_until(&rig, is_connected, &b));
    rig_turn(&rig, 50);

    open_client(&a, "a", NULL, &config);
    assert_true(rig_until(&rig, is_connected, &a));
    mqtt_reconnect(a.mqtt);
    assert_true(reaches(&a.connected, 2));
    mqtt_close(a.mqtt, false);
    rig_turn(&rig, 200);
    assert_int_equal(b.received, 0);

    open_client(&a, "a", NULL, &config);
    assert_true(rig_until(&rig, is_connected, &a));
    mqtt_close(a.mqtt, true);
    assert_true(reaches(&b.received, 1));
    assert_string_equal(b.topics[0], "will/a");
    assert_memory_equal(b.payloads[0], "gone", 4);
    mqtt_close(b.mqtt, false);

    /* And it is retained: one who comes later learns of it. */
    open_client(&b, "c", "will/#", NULL);
    assert_true(reaches(&b.received, 1));
    mqtt_close(b.mqtt, false);
}

static void keeps_a_session_when_not_clean(void **state)
{
    struct mqtt_config config = {.clean_start = false,
                                 .session_expiry_s = 3600,
                                 .keepalive_s = 60};
    struct client a, b;

    (void)state;
    open_client(&b, "b", "a/#", &config);
    assert_true(rig_until(&rig, is_connected, &b));
    assert_false(b.session_present);
    rig_turn(&rig, 50);
    mqtt_close(b.mqtt, false);
    open_client(&a, "a", NULL, NULL);
    assert_true(rig_until(&rig, is_connected, &a));
    assert_true(publish(&a, "a/b", "meanwhile") >= 0);
    assert_true(reaches(&a.acknowledged, 1));
    open_client(&b, "b", NULL, &config);
    assert_true(reaches(&b.received, 1));
    assert_true(b.session_present);
    assert_memory_equal(b.payloads[0], "meanwhile", 9);
    mqtt_close(a.mqtt, false);
    mqtt_close(b.mqtt, false);
}

static void closes_in_any_state(void **state)
{
    struct client a;

    (void)state;
    mqtt_close(NULL, false);
    open_client(&a, "a", NULL, NULL);
    mqtt_close(a.mqtt, true); /* CONNECT not yet sent */
    rig_end(&broker);
    open_client(&a, "a", NULL, NULL);
    mqtt_reconnect(a.mqtt); /* nothing to drop */
    rig_turn(&rig, 30);
    mqtt_close(a.mqtt, false); /* waiting for the next attempt */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(carries_bytes_both_ways, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_more_than_the_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(publishes_from_inside_a_call_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(honours_the_brokers_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tells_the_reason_of_a_refusal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refuses_what_is_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(passes_over_what_is_too_large_to_take, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(survives_every_size_around_the_limit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(is_busy_without_a_broker_and_finds_it_later,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(sends_nothing_behind_the_callers_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reconnects_when_told_to_even_from_a_call_back,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_the_will_only_when_meant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_a_session_when_not_clean, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(closes_in_any_state, set_up, tear_down),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
