/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "link/mqtt_screen.h"

#define CONNACK "20 03 00 00 00 "

/* What a broker says, in hex, and the fault that must be found; NULL: none. */
static const struct {
    const char *hex, *fault;
} cases[] = {
    /* CONNACK */
    {CONNACK, NULL},
    {"20 03 01 00 00", NULL},
    {"20 03 00 87 00", NULL},
    {"20 08 00 00 05 27 00 00 07 d0", NULL},
    {"20 09 00 00 06 22 00 0a 21 00 14", NULL},
    {"20 0c 00 00 09 12 00 06 61 62 63 64 65 66", NULL},
    {"20 0c 00 00 09 26 00 01 6b 00 03 76 76 76", NULL},
    {"20 15 00 00 12 26 00 01 6b 00 03 76 76 76 26 00 01 6b 00 03 76 76 76", NULL},
    {"20 09 00 00 06 cf 22 00 0a 21 00", "a property that does not belong there"},
    {"20 06 00 00 03 23 00 01", "a property that does not belong there"},
    {"20 06 00 00 03 15 00 00", "a property that does not belong there"},
    {"20 09 00 00 06 21 00 14 21 00 14", "a property twice"},
    {"20 06 00 00 03 27 00 00", "a property longer than the properties"},
    {"20 06 00 00 03 1f 00 05", "a property longer than the properties"},
    {"20 05 00 00 03 21 00", "properties longer than their packet"},
    {"20 06 00 00 02 21 00 14", "a property longer than the properties"},
    {"20 08 00 00 80 80 80 80 01 00", "a property length of more than four bytes"},
    {"20 03 02 00 00", "CONNACK with wrong flags"},
    {"20 02 00 00", "a packet ends too early"},
    {"20 00", "a packet ends too early"},
    {"20 04 00 00 00 00", "a packet that goes on after its end"},
    {"21 03 00 00 00", "a packet with wrong flags"},
    {CONNACK CONNACK, "a second CONNACK"},
    {"d0 00", "something before CONNACK"},
    {"40 02 00 01", "something before CONNACK"},
    {"20 08 00 00 05 1f 00 02 61 00", "a text with a NUL in it"},
    /* PUBLISH */
    {CONNACK "30 09 00 03 61 2f 62 00 78 79 7a", NULL},
    {CONNACK "32 0b 00 03 61 2f 62 00 07 00 78 79 7a", NULL},
    {CONNACK "3b 0b 00 03 61 2f 62 00 07 00 78 79 7a", NULL},
    {CONNACK "30 06 00 03 61 2f 62 00", NULL},
    {CONNACK "30 0a 00 03 61 2f 62 04 0b 85 01 00",
     "a property that does not belong there"},
    {CONNACK "30 09 00 03 61 2f 62 03 0b 85 01", NULL},
    {CONNACK "30 0d 00 03 61 2f 62 07 09 00 01 00 09 00 01", "a property twice"},
    {CONNACK "30 0b 00 03 61 2f 62 05 0b 80 80 80 80",
     "a number of more than four bytes"},
    {CONNACK "30 0a 00 03 61 2f 62 04 09 00 01 00", NULL},
    {CONNACK "30 09 00 03 61 2f 62 03 23 00 01", "a property that does not belong there"},
    {CONNACK "34 0b 00 03 61 2f 62 00 07 00 78 79 7a", "a packet with wrong flags"},
    {CONNACK "36 0b 00 03 61 2f 62 00 07 00 78 79 7a", "a packet with wrong flags"},
    {CONNACK "32 08 00 03 61 2f 62 00 00 00", "a packet identifier of 0"},
    {CONNACK "30 03 00 00 00", "a message without a topic"},
    {CONNACK "30 06 00 03 61 23 62 00",
     "a topic with a character that no topic of ours has"},
    {CONNACK "30 06 00 03 61 00 62 00",
     "a topic with a character that no topic of ours has"},
    {CONNACK "30 06 00 03 61 c3 a9 00",
     "a topic with a character that no topic of ours has"},
    {CONNACK "30 05 00 09 61 2f 62", "a packet ends too early"},
    {CONNACK "30 05 00 03 61 2f 62", "a packet ends too early"},
    /* PUBACK, SUBACK, PINGRESP, DISCONNECT */
    {CONNACK "40 02 00 01 40 03 00 02 10 40 04 00 03 87 00", NULL},
    {CONNACK "40 0a 00 03 87 06 1f 00 03 61 62 63", NULL},
    {CONNACK "40 01 00", "a packet ends too early"},
    {CONNACK "40 02 00 00", "a packet identifier of 0"},
    {CONNACK "40 05 00 03 87 00 00", "a packet that goes on after its end"},
    {CONNACK "40 08 00 03 87 06 1f 00 03 61", "properties longer than their packet"},
    {CONNACK "90 04 00 01 00 01 90 05 00 02 00 87 01", NULL},
    {CONNACK "90 03 00 01 00", "a packet ends too early"},
    {CONNACK "90 02 00 01", "a packet ends too early"},
    {CONNACK "d0 00 d0 00", NULL},
    {CONNACK "d0 01 00", "a packet that goes on after its end"},
    {CONNACK "e0 00", NULL},
    {CONNACK "e0 01 8e", NULL},
    {CONNACK "e0 02 8e 00", NULL},
    {CONNACK "e0 03 8e 00 00", "a packet that goes on after its end"},
    /* What brokers don't send, or we don't use */
    {"10 10 00 04", "a packet of a type that brokers don't send or we don't use"},
    {CONNACK "50 02 00 01", "a packet of a type that brokers don't send or we don't use"},
    {CONNACK "62 02 00 01", "a packet of a type that brokers don't send or we don't use"},
    {CONNACK "b0 04 00 01 00 00",
     "a packet of a type that brokers don't send or we don't use"},
    {CONNACK "f0 02 18 00", "a packet of a type that brokers don't send or we don't use"},
    {CONNACK "00 00", "a packet of a type that brokers don't send or we don't use"},
    {CONNACK "30 ff ff ff 7f 00", "a packet larger than 1 MiB"},
    {CONNACK "30 ff ff ff ff 01", "a packet length of more than four bytes"},
    {"48 54 54 50", "a packet with wrong flags"},
};

static size_t bytes_of(const char *hex, uint8_t *out)
{
    size_t n = 0;

    while (*hex != '\0') {
        char *end;

        out[n++] = (uint8_t)strtoul(hex, &end, 16);
        hex = end;
        while (*hex == ' ')
            hex++;
    }
    return n;
}

static void judges_each_packet_however_it_is_cut(void **state)
{
    size_t checked = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[256];
        size_t n = bytes_of(cases[i].hex, bytes);

        for (size_t cut = 0; cut <= n; cut++) {
            struct mqtt_screen screen = {.fault = NULL};
            bool good = mqtt_screen_feed(&screen, bytes, cut);

            good = mqtt_screen_feed(&screen, bytes + cut, n - cut);
            if (good != (cases[i].fault == NULL) ||
                (!good && strcmp(screen.fault, cases[i].fault) != 0))
                fail_msg("%s cut at %zu: expected \"%s\", found \"%s\"", cases[i].hex,
                         cut, cases[i].fault != NULL ? cases[i].fault : "nothing",
                         screen.fault != NULL ? screen.fault : "nothing");
            checked++;
        }
    }
    print_message("%zu cases, %zu ways of cutting them\n",
                  sizeof(cases) / sizeof(cases[0]), checked);
}

/* A fault shows at the latest with the last byte of its packet: the library never gets a
 * whole bad one. */
static void finds_a_fault_before_its_packet_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t bytes[256];
        size_t n = bytes_of(cases[i].hex, bytes), passed = 0;
        struct mqtt_screen screen = {.fault = NULL};

        if (cases[i].fault == NULL)
            continue;
        while (passed < n && mqtt_screen_feed(&screen, bytes + passed, 1))
            passed++;
        assert_true(passed < n);
    }
}

static void passes_a_megabyte_and_goes_on(void **state)
{
    static const uint8_t connack[] = {0x20, 3, 0, 0, 0};
    static const uint8_t head[] = {0x30, 0x80, 0x80, 0x40, 0, 3, 'a', '/', 'b', 0};
    static const uint8_t ping[] = {0xd0, 0};
    struct mqtt_screen screen = {.fault = NULL};
    uint8_t *payload = calloc(1, MQTT_SCREEN_PACKET_MAX);

    (void)state;
    assert_non_null(payload);
    assert_true(mqtt_screen_feed(&screen, connack, sizeof(connack)));
    assert_true(mqtt_screen_feed(&screen, head, sizeof(head)));
    assert_true(mqtt_screen_feed(&screen, payload, 1000));
    assert_true(mqtt_screen_feed(&screen, payload, MQTT_SCREEN_PACKET_MAX - 6 - 1000));
    assert_false(screen.in_body);
    assert_true(mqtt_screen_feed(&screen, ping, sizeof(ping)));
    free(payload);
}

static void stays_at_its_verdict(void **state)
{
    static const uint8_t bad[] = {0xf0}, good[] = {0x20, 3, 0, 0, 0};
    struct mqtt_screen screen = {.fault = NULL};

    (void)state;
    assert_false(mqtt_screen_feed(&screen, bad, sizeof(bad)));
    assert_false(mqtt_screen_feed(&screen, good, sizeof(good)));
    assert_false(mqtt_screen_feed(&screen, good, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_each_packet_however_it_is_cut),
        cmocka_unit_test(finds_a_fault_before_its_packet_is_whole),
        cmocka_unit_test(passes_a_megabyte_and_goes_on),
        cmocka_unit_test(stays_at_its_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
