/* SPDX-License-Identifier: Apache-2.0
 *
 * Every bad configuration has its exact error; the example in the source tree is good.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/pki.h"
#include "bedside/config.h"
#include "tests/unit/temporary.h"

#define PROFILES "drivers/profiles" /* tests run in the source tree */

/* A good file, with places for what a case changes. */
static const char head[] = "site: north\ngateway: bay-1\nprofiles: " PROFILES "\n"
                           "broker: {host: b, ca: /x/ca, certificate: /x/c, key: /x/k}\n";
static const char rtu[] =
    "buses:\n  - name: a\n    kind: rtu\n    port: /dev/x\n    devices:\n";
static const char one[] = "      - {id: m1, address: 1, profile: wardgate-monitor}\n";

static const char two[] = "      - {id: m1, address: 1, profile: wardgate-monitor}\n"
                          "      - {id: m2, address: 2, profile: wardgate-monitor}\n";

struct bad {
    const char *start; /* NULL: head */
    const char *text;
    const char *error; /* after "f:" */
};

static const struct bad cases[] = {
    {"gateway: bay-1\n", "",
     "1: site: is missing: the hospital, as in the broker's topics"},
    {"site: North\n", "", "1: site:"},
    {NULL, "", "1: buses: is missing"},
    {NULL, "buses:\n  - {name: a, kind: usb, devices: []}\n",
     "6: buses[0].kind: 'usb' is not one of rtu, tcp, serial"},
    {NULL,
     "buses:\n  - name: a\n    kind: rtu\n    devices:\n      - {id: m, address: 1, "
     "profile: wardgate-monitor}\n",
     "6: buses[0].name: a bus of this kind needs a port"},
    {NULL,
     "buses:\n  - name: a\n    kind: tcp\n    devices:\n      - {id: m, address: 1, "
     "profile: wardgate-monitor}\n",
     "6: buses[0].name: a tcp bus needs a host"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    devices:\n      - {id: m, driver: "
     "bcc}\n",
     "6: buses[0].name: a bus of this kind needs a port"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    host: h\n    "
     "devices:\n"
     "      - {id: m, driver: bcc}\n",
     "9: buses[0].host: a serial bus has a port or a host, not both"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    host: h\n    devices:\n      - {id: m, "
     "driver: bcc}\n  - name: b\n    kind: tcp\n    host: h\n    devices:\n      - {id: "
     "n, "
     "profile: vaisala-hmp110}\n",
     "13: buses[1].host: bus 'a' has this line already"},
    {NULL, "buses:\n  - {name: a, kind: rtu, port: /dev/x, devices: []}\n",
     "6: buses[0].name: 0 devices: 1 to 64 are possible on a bus of this kind"},
    {NULL,
     "buses:\n  - name: a\n    kind: rtu\n    port: /dev/x\n    data_bits: 7\n    "
     "devices:\n"
     "      - {id: m, address: 1, profile: wardgate-monitor}\n",
     "9: buses[0].data_bits: Modbus RTU needs 8"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    framing: ascii\n    "
     "devices:\n"
     "      - {id: m, driver: bcc}\n",
     "6: buses[0].name: framing is for Modbus"},
    {NULL,
     "buses:\n  - name: a\n    kind: tcp\n    host: h\n    framing: rtu\n    devices:\n"
     "      - {id: m, address: 255, profile: wardgate-monitor}\n",
     "11: buses[0].devices[0].address: address 255 is not 1 to 247"},
    {NULL,
     "buses:\n  - name: a\n    kind: rtu\n    port: /dev/x\n    baud: fast\n    devices: "
     "[]\n",
     "9: buses[0].baud: 'fast' is not a whole number (expected 0..4000000)"},
    {rtu, "      - {address: 1, profile: wardgate-monitor}\n",
     "10: buses[0].devices[0].id: is missing: unique on this gateway"},
    {rtu, "      - {id: m1, profile: wardgate-monitor}\n",
     "10: buses[0].devices[0].id: address 0 is not 1 to 247"},
    {rtu, "      - {id: m1, address: 248, profile: wardgate-monitor}\n",
     "10: buses[0].devices[0].address: address 248 is not 1 to 247"},
    {rtu, "      - {id: m1, address: 1}\n",
     "10: buses[0].devices[0].id: a Modbus bus needs a profile"},
    {rtu, "      - {id: m1, address: 1, driver: nonin-df2}\n",
     "10: buses[0].devices[0].driver: a Modbus bus takes a profile, not a driver"},
    {rtu, "      - {id: m1, address: 1, profile: none-such}\n",
     "10: buses[0].devices[0].profile: "},
    {rtu, "      - {id: m1, address: 1, profile: wardgate-monitor, colour: red}\n",
     "10: buses[0].devices[0].colour: unknown key"},
    {rtu, "      - {id: m1, address: 1, profile: wardgate-monitor, every: 5 parsecs}\n",
     "10: buses[0].devices[0].every: '5 parsecs' has an unknown unit: a duration like "
     "250ms, 5s, 10min, 72h or 2d"},
    {rtu, "      - {id: m1, address: 1, profile: wardgate-monitor, number: 1}\n",
     "10: buses[0].devices[0].number: a patient has no number"},
    {rtu, "      - {id: m1, address: 1, profile: wardgate-monitor, subject: fetus}\n",
     "10: buses[0].devices[0].subject: a fetus or newborn needs its number"},
    {rtu,
     "      - {id: m1, address: 1, profile: wardgate-monitor}\n      - {id: m2, address: "
     "1, profile: wardgate-monitor}\n",
     "11: buses[0].devices[1].address: device 'm1' has address 1 already"},
    {rtu,
     "      - {id: m1, address: 1, profile: wardgate-monitor}\n      - {id: m1, address: "
     "2, profile: wardgate-monitor}\n",
     "11: buses[0].devices[1].id: bus 'a' has a device of this id"},
    {rtu,
     "      - {id: m1, address: 1, profile: wardgate-monitor}\n  - name: a\n    kind: "
     "tcp\n    host: h\n    devices:\n"
     "      - {id: m2, address: 1, profile: wardgate-monitor}\n",
     "11: buses[1].name: another bus has this name"},
    {rtu,
     "      - {id: m1, address: 1, profile: wardgate-monitor}\n  - name: b\n    kind: "
     "rtu\n    port: /dev/x\n    devices:\n"
     "      - {id: m2, address: 1, profile: wardgate-monitor}\n",
     "13: buses[1].port: bus 'a' has this line already"},
    {rtu,
     "      - {id: m1, address: 1, profile: wardgate-monitor}\n  - name: b\n    kind: "
     "tcp\n    host: h\n    devices:\n"
     "      - {id: m1, address: 1, profile: wardgate-monitor}\n",
     "15: buses[1].devices[0].id: bus 'a' has a device of this id"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1}\n",
     "10: buses[0].devices[0].id: a serial bus needs a driver"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1, driver: nine}\n",
     "10: buses[0].devices[0].driver: there is no driver of this name"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1, driver: ivy-ansar-b}\n",
     "10: buses[0].devices[0].driver: this driver is beta: 'beta: true' allows it"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1, driver: masimo-ascii1, beta: false}\n",
     "10: buses[0].devices[0].driver: this driver is beta: 'beta: true' allows it"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1, driver: wristband}\n",
     "10: buses[0].devices[0].driver: a scanner needs the gateway's digest_key"},
    {NULL,
     "digest_key: /x/d\nbuses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    "
     "devices:\n      - {id: m1, driver: wristband}\n",
     "11: buses[0].devices[0].driver: a scanner needs band_prefix, seven digits"},
    {NULL,
     "digest_key: /x/d\nband_prefix: \"95212a4\"\nbuses:\n  - name: a\n    kind: "
     "serial\n "
     "   port: /dev/x\n    devices:\n      - {id: m1, driver: wristband}\n",
     "12: buses[0].devices[0].driver: a scanner needs band_prefix, seven digits"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1, driver: ivy-ansar-b, beta: perhaps}\n",
     "10: buses[0].devices[0].beta: "},
    {rtu, "      - {id: m1, address: 1, profile: hettich-hettcube}\n",
     "10: buses[0].devices[0].profile: this profile is beta: 'beta: true' allows it"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1, profile: wardgate-monitor}\n",
     "10: buses[0].devices[0].profile: a serial bus takes a driver, not a profile"},
    {NULL,
     "buses:\n  - name: a\n    kind: serial\n    port: /dev/x\n    devices:\n      - "
     "{id: m1, driver: nonin-df2}\n"
     "      - {id: m2, driver: nonin-df2}\n",
     "6: buses[0].name: 2 devices: 1 to 1 are possible on a bus of this kind"},
};

static void names_what_is_wrong(void **state)
{
    int wrong = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct bad *bad = &cases[i];
        struct bedside_config config;
        char text[4096], error[CONFIG_ERROR_SIZE] = "";
        bool whole = bad->start == NULL || bad->start == rtu;
        (void)snprintf(text, sizeof(text), "%s%s%s", whole ? head : "",
                       bad->start != NULL ? bad->start : "", bad->text);
        if (bedside_config_load("f", text, false, &config, error) == 0)
            fail_msg("case %zu was accepted:\n%s", i, text);
        if (strncmp(error, "f:", 2) == 0 && strstr(error, bad->error) == error + 2)
            continue;
        print_message("case %zu: '%s' does not begin with 'f:%s'\n", i, error,
                      bad->error);
        wrong++;
    }
    assert_int_equal(wrong, 0);
    print_message("%zu bad configurations, each with its error\n",
                  sizeof(cases) / sizeof(cases[0]));
}

/* Who says that it is wanted gets every beta driver and profile; the word at a stable one
 * does no harm. */
static void beta_when_asked_for(void **state)
{
    static const char serial[] = "buses:\n  - name: a\n    kind: serial\n    port: "
                                 "/dev/x\n    devices:\n";
    static const struct {
        const char *start, *device, *name;
    } good[] = {
        {serial, "      - {id: m1, driver: ivy-ansar-b, beta: true}\n", "ivy-ansar-b"},
        {serial, "      - {id: m1, driver: masimo-ascii1, beta: true}\n",
         "masimo-ascii1"},
        {serial, "      - {id: m1, driver: contec-v7}\n", "contec-v7"},
        {serial, "      - {id: m1, driver: contec-v7, beta: true}\n", "contec-v7"},
        {rtu, "      - {id: m1, address: 1, profile: hettich-hettcube, beta: true}\n",
         "hettich-hettcube"},
        {rtu, "      - {id: m1, address: 1, profile: vaisala-hmp110}\n",
         "vaisala-hmp110"},
    };
    struct bedside_config config;
    char text[4096], error[CONFIG_ERROR_SIZE] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s%s%s", head, good[i].start, good[i].device);
        if (bedside_config_load("f", text, false, &config, error) != 0)
            fail_msg("case %zu: %s", i, error);
        assert_string_equal(bedside_device(bedside_bus(&config, 0), 0)->profile_name,
                            good[i].name);
        bedside_config_free(&config);
    }
}

static void checks_files_when_asked(void **state)
{
    struct bedside_config config;
    char text[4096], error[CONFIG_ERROR_SIZE];

    (void)state;
    (void)snprintf(text, sizeof(text), "%s%s%s", head, rtu, one);
    assert_int_equal(bedside_config_load("f", text, false, &config, error), 0);
    bedside_config_free(&config);
    assert_int_equal(bedside_config_load("f", text, true, &config, error), -1);
    assert_non_null(strstr(error, "f:4: broker.ca: /x/ca can't be read"));
}

/* Each of the three files with something readable in it that is not what it should be. */
static void looks_into_files(void **state)
{
    static const char *const names[] = {"ca", "certificate", "key"};
    static const struct pki_subject authority = {.role = PKI_AUTHORITY,
                                                 .common_name = "ca",
                                                 .organisation = "s",
                                                 .unit = "authority",
                                                 .serial = {[15] = 1},
                                                 .not_before_us = US_PER_S,
                                                 .not_after_us = 9 * US_PER_S};
    static char pem[2][PKI_PEM_SIZE], other[PKI_PEM_SIZE], text[4096];
    const char *const good[] = {pem[0], pem[0], pem[1]};
    const struct {
        size_t file;
        const char *content, *wanted;
    } files[] = {
        {0, "", "is no certificate"},
        {0, pem[1], "is no certificate"},
        {0, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
         "is no certificate"},
        {1, "not after: 1970-01-01\n", "is no certificate"},
        {1, pem[1], "is no certificate"},
        {2, pem[0], "is no private key"},
        {2, "x", "is no private key"},
        {2, other, "does not belong to the certificate"},
    };
    struct bedside_config config;
    char folder[256], path[300], error[CONFIG_ERROR_SIZE], wanted[512];

    (void)state;
    assert_int_equal(temporary_folder(folder), 0);
    assert_int_equal(pki_key(pem[1]), PKI_OK);
    assert_int_equal(pki_key(other), PKI_OK);
    assert_int_equal(pki_sign(&authority, pem[1], NULL, NULL, pem[0]), PKI_OK);
    (void)snprintf(text, sizeof(text),
                   "site: north\ngateway: bay-1\nprofiles: " PROFILES "\nrun: %s\n"
                   "store: {folder: %s}\nbroker: {host: b, ca: %s/ca, certificate: "
                   "%s/certificate, key: %s/key}\n%s%s",
                   folder, folder, folder, folder, folder, rtu, one);
    for (size_t i = 0; i <= sizeof(files) / sizeof(files[0]); i++) {
        bool bad = i < sizeof(files) / sizeof(files[0]);

        for (size_t f = 0; f < 3; f++) {
            const char *content = bad && files[i].file == f ? files[i].content : good[f];

            (void)snprintf(path, sizeof(path), "%s/%s", folder, names[f]);
            assert_int_equal(file_replace(path, content, strlen(content), 0600), 0);
        }
        /* Long expired and good all the same: the broker decides. */
        if (bedside_config_load("f", text, true, &config, error) == 0) {
            assert_false(bad);
            bedside_config_free(&config);
            continue;
        }
        if (!bad)
            fail_msg("%s", error);
        (void)snprintf(wanted, sizeof(wanted), "f:6: broker.%s: %s/%s %s",
                       names[files[i].file], folder, names[files[i].file],
                       files[i].wanted);
        if (strncmp(error, wanted, strlen(wanted)) != 0)
            fail_msg("case %zu: '%s', not '%s'", i, error, wanted);
    }
    temporary_remove(folder);
}

static void fills_presets(void **state)
{
    struct bedside_config config;
    struct bus_device devices[BUS_DEVICES_MAX];
    struct bus_setting setting;
    char text[4096], error[CONFIG_ERROR_SIZE];

    (void)state;
    (void)snprintf(text, sizeof(text), "%s%s%s", head, rtu, one);
    if (bedside_config_load("f", text, false, &config, error) != 0)
        fail_msg("%s", error);
    assert_int_equal(config.store.commit_ms, 100);
    assert_int_equal(config.store.size, INT64_C(3) << 30);
    assert_int_equal(config.broker.port, 8883);
    bedside_setting(bedside_bus(&config, 0), devices, &setting);
    assert_int_equal(setting.line.baud, 19200);
    assert_int_equal(setting.line.data_bits, 8);
    assert_int_equal(setting.line.parity, DRIVER_PARITY_EVEN);
    assert_int_equal(setting.line.stop_bits, 1);
    assert_int_equal(setting.line.tcp_port, 0);
    assert_int_equal(setting.device_count, 1);
    assert_int_equal(devices[0].unit, 1);
    assert_non_null(devices[0].map);
    assert_int_equal(setting.line.framing, PORT_FRAMING_USUAL);
    bedside_config_free(&config);
    /* A freezer's line: Modbus ASCII with 7 bits. */
    (void)
        snprintf(text, sizeof(text), "%s%s", head,
                 "buses:\n  - name: cold\n    kind: rtu\n    port: /dev/x\n    framing: "
                 "ascii\n    devices:\n"
                 "      - {id: freezer, address: 25, profile: wardgate-monitor}\n");
    if (bedside_config_load("f", text, false, &config, error) != 0)
        fail_msg("%s", error);
    bedside_setting(bedside_bus(&config, 0), devices, &setting);
    assert_int_equal(setting.line.framing, PORT_FRAMING_ASCII);
    assert_int_equal(setting.line.data_bits, 7);
    bedside_config_free(&config);
}

static void tells_changed_buses(void **state)
{
    static const char *const others[] = {
        "      - {id: m1, address: 2, profile: wardgate-monitor}\n",
        "      - {id: m1, address: 1, profile: wardgate-monitor, place: bed-9}\n",
        "      - {id: m1, address: 1, profile: vaisala-hmp110}\n",
        two,
    };
    struct bedside_config a, b;
    char text[4096], error[CONFIG_ERROR_SIZE];

    (void)state;
    (void)snprintf(text, sizeof(text), "%s%s%s", head, rtu, one);
    assert_int_equal(bedside_config_load("f", text, false, &a, error), 0);
    assert_int_equal(bedside_config_load("f", text, false, &b, error), 0);
    assert_true(bedside_bus_same(bedside_bus(&a, 0), bedside_bus(&b, 0)));
    bedside_config_free(&b);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        (void)snprintf(text, sizeof(text), "%s%s%s", head, rtu, others[i]);
        if (bedside_config_load("f", text, false, &b, error) != 0)
            fail_msg("%s", error);
        assert_false(bedside_bus_same(bedside_bus(&a, 0), bedside_bus(&b, 0)));
        bedside_config_free(&b);
    }
    bedside_config_free(&a);
}

/* The example is checked with the profiles of the source tree, which is where its
 * `profiles` will be installed from. */
static void the_example_is_good(void **state)
{
    static const char wanted[] = "/usr/share/wardgate/profiles";
    struct bedside_config config;
    char error[CONFIG_ERROR_SIZE], *text, *at;
    uint8_t *bytes;
    size_t size;
    ssize_t n =
        file_read("gateway/bedside/wardgated.example.yaml", CONFIG_FILE_MAX, &bytes);

    (void)state;
    assert_true(n > 0);
    size = (size_t)n + sizeof(PROFILES);
    at = strstr((char *)bytes, wanted);
    assert_non_null(at);
    text = malloc(size);
    assert_non_null(text);
    *at = '\0';
    (void)snprintf(text, size, "%s%s%s", (char *)bytes, PROFILES,
                   at + sizeof(wanted) - 1);
    if (bedside_config_load("example", text, false, &config, error) != 0)
        fail_msg("%s", error);
    assert_int_equal(config.buses.count, 3);
    bedside_config_free(&config);
    free(text);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_wrong),     cmocka_unit_test(beta_when_asked_for),
        cmocka_unit_test(checks_files_when_asked), cmocka_unit_test(looks_into_files),
        cmocka_unit_test(fills_presets),           cmocka_unit_test(tells_changed_buses),
        cmocka_unit_test(the_example_is_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
