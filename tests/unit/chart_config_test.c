/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "chart/config.h"
#include "chart/main_service.h"

static const char good[] = "site: hom\n"           /* 1 */
                           "control: /run/c\n"     /* 2 */
                           "ledger:\n"             /* 3 */
                           "  folder: /l\n"        /* 4 */
                           "  key: /k\n"           /* 5 */
                           "broker:\n"             /* 6 */
                           "  host: b\n"           /* 7 */
                           "  ca: /ca\n"           /* 8 */
                           "  certificate: /c\n"   /* 9 */
                           "  key: /bk\n"          /* 10 */
                           "  socket: /s/m\n"      /* 11 */
                           "adt:\n"                /* 12 */
                           "  places: /p\n"        /* 13 */
                           "destinations:\n"       /* 14 */
                           "  - name: epr\n"       /* 15 */
                           "    host: 127.0.0.1\n" /* 16 */
                           "    port: 6661\n";     /* 17 */

static void test_presets(void **state)
{
    (void)state;
    struct chart_config c = {.log_level = 0};
    struct config *config;
    char error[CONFIG_ERROR_SIZE];
    if (chart_config_load("f", good, &c, &config, error) != 0)
        fail_msg("%s", error);
    const struct destination_config *d = c.destinations.items;
    assert_int_equal(c.destinations.count, 1);
    assert_int_equal(d->kind, DESTINATION_HL7);
    assert_string_equal(d->sending_application, "WARDGATE");
    assert_int_equal(d->answer_ms, 30000);
    assert_int_equal(d->on_error, ANSWER_RETRY);
    assert_int_equal(d->on_reject, ANSWER_PARK);
    assert_int_equal(c.charting.interval_ms, 60000);
    assert_int_equal(c.charting.grace_ms, 15000);
    assert_int_equal(c.adt.port, 2575);
    assert_string_equal(c.adt.zone, "Europe/London");
    assert_int_equal(c.broker.port, 8883);
    config_free(config);
}

struct bad {
    const char *old, *new; /* what of `good` is replaced; "" appends */
    const char *error;
};

static const struct bad bads[] = {
    {"site: hom\n", "", "f:1: site: is missing"},
    {"site: hom", "site: Hom", "f:1: site: "},
    {"site: hom", "site: hom/x", "f:1: site: "},
    {"site: hom", "site: ''", "f:1: site: "},
    {"", "colour: red\n", "f:18: colour: unknown key"},
    {"", "site: two\n", "f:18: site: given twice"},
    {"control: /run/c\n", "", "control: is missing"},
    {"control: /run/c", "control: [a]", "f:2: control: "},
    {"", "log_level: loud\n", "f:18: log_level: "},
    {"  folder: /l\n", "", "ledger.folder: is missing"},
    {"  key: /k\n", "  key: /k\n  size_max: 1KiB\n", "f:6: ledger.size_max: "},
    {"  key: /k\n", "  key: /k\n  size_max: big\n", "f:6: ledger.size_max: "},
    {"  key: /k\n", "  key: /k\n  commit: 0s\n", "f:6: ledger.commit: "},
    {"  key: /k\n", "  key: /k\n  commit: 5\n", "f:6: ledger.commit: "},
    {"  host: b\n", "", "broker.host: is missing"},
    {"  host: b\n", "  host: ''\n", "f:7: broker.host: "},
    {"  ca: /ca\n", "", "broker.ca: is missing"},
    {"  socket: /s/m\n", "", "broker.socket: is missing"},
    {"  host: b\n", "  host: b\n  port: 0\n", "f:8: broker.port: "},
    {"  host: b\n", "  host: b\n  port: 65536\n", "f:8: broker.port: "},
    {"  host: b\n", "  host: b\n  port: x\n", "f:8: broker.port: "},
    {"  host: b\n", "  host: b\n  keepalive: 1s\n", "f:8: broker.keepalive: "},
    {"  host: b\n", "  host: b\n  reconnect_min: 50s\n",
     "f:8: broker.reconnect_min: must not be more than reconnect_max"},
    {"  places: /p\n", "  zone: Europe/Paris\n  places: /p\n",
     "f:13: adt.zone: not a zone"},
    {"  places: /p\n", "  port: 2575\n", "adt.places: without a table of beds"},
    {"  places: /p\n", "  places: /p\n  otherwise: guess\n", "f:14: adt.otherwise: "},
    {"  places: /p\n", "  places: /p\n  visit: PV1-18\n", "f:14: adt.visit: "},
    {"  places: /p\n", "  places: /p\n  admitted: PV1-45\n", "f:14: adt.admitted: "},
    {"  places: /p\n", "  places: /p\n  prior_untrusted: often\n",
     "f:14: adt.prior_untrusted: "},
    {"  places: /p\n", "  places: /p\n  nhs_elsewhere: PID-4\n",
     "f:14: adt.nhs_elsewhere: "},
    {"  places: /p\n", "  places: /p\n  foreign: maybe\n", "f:14: adt.foreign: "},
    {"  places: /p\n", "  places: /p\n  update_moves: 3\n", "f:14: adt.update_moves: "},
    {"  places: /p\n", "  places: /p\n  facilities: HOMERTON\n",
     "f:14: adt.facilities: "},
    {"  places: /p\n", "  places: /p\n  facilities:\n    - name: ''\n",
     "f:15: adt.facilities[0].name: "},
    {"", "charting:\n  interval: 7s\n",
     "f:19: charting.interval: must be whole seconds that divide a day"},
    {"", "charting:\n  interval: 1500ms\n",
     "f:19: charting.interval: must be whole seconds"},
    {"", "charting:\n  interval: 25h\n", "f:19: charting.interval: "},
    {"", "charting:\n  grace: 0s\n", "f:19: charting.grace: "},
    {"", "charting:\n  intervals:\n    - code: 0\n",
     "f:20: charting.intervals[0].code: "},
    {"", "charting:\n  intervals:\n    - interval: 5min\n",
     "charting.intervals[0].code: is missing"},
    {"", "charting:\n  intervals:\n    - code: 7\n      interval: 7min\n",
     "f:21: charting.intervals[0].interval: must be whole seconds"},
    {"", "charting:\n  intervals:\n    - code: 7\n    - code: 7\n",
     "f:21: charting.intervals[1].code: this code has an interval already"},
    {"destinations:\n  - name: epr\n    host: 127.0.0.1\n    port: 6661\n", "",
     "destinations: is missing"},
    {"destinations:\n  - name: epr\n    host: 127.0.0.1\n    port: 6661\n",
     "destinations: []\n", "f:14: destinations: has 0 entries"},
    {"  - name: epr\n", "  - kind: hl7\n", "destinations[0].name: is missing"},
    {"  - name: epr\n", "  - name: E P R\n", "f:15: destinations[0].name: "},
    {"    host: 127.0.0.1\n", "",
     "f:15: destinations[0].name: a destination of kind hl7 needs host and port"},
    {"    port: 6661\n", "",
     "f:15: destinations[0].name: a destination of kind hl7 needs host and port"},
    {"    port: 6661\n", "    port: 6661\n    kind: file\n",
     "f:15: destinations[0].name: a destination of kind file needs path"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:15: destinations[0].name: a destination of kind fhir needs url"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: http://e\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:18: destinations[0].url: must be https://HOST[:PORT][/PATH]"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:18: destinations[0].url: must be https://HOST[:PORT][/PATH]"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e?a=b\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:18: destinations[0].url: must be https://HOST[:PORT][/PATH]"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://u@e\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:18: destinations[0].url: must be https://HOST[:PORT][/PATH]"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e/r4\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:15: destinations[0].name: a destination of kind fhir needs ca, certificate and "
     "key"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e/r4\n"
     "    ca: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:15: destinations[0].name: a destination of kind fhir needs ca, certificate and "
     "key"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e/r4\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n",
     "f:15: destinations[0].name: a destination of kind fhir needs ca, certificate and "
     "key"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e/r4\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    number_system: urn:b\n",
     "f:15: destinations[0].name: a destination of kind fhir needs identifier_system"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e/r4\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n",
     "f:15: destinations[0].name: needs number_system, or patient: nhs"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e/r4\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n"
     "    patient: bed\n",
     "f:24: destinations[0].patient: 'bed' is not one of number, nhs"},
    {"    port: 6661\n",
     "    kind: fhir\n"
     "    url: https://e/r4\n"
     "    ca: /c\n"
     "    certificate: /c\n"
     "    key: /k\n"
     "    identifier_system: urn:a\n"
     "    number_system: urn:b\n"
     "    parallel: 17\n",
     "f:24: destinations[0].parallel: "},
    {"    port: 6661\n", "    port: 6661\n    kind: fax\n",
     "f:18: destinations[0].kind: "},
    {"    port: 6661\n", "    port: 6661\n    processing: X\n",
     "f:18: destinations[0].processing: "},
    {"    port: 6661\n", "    port: 6661\n    retries: 0\n",
     "f:18: destinations[0].retries: "},
    {"    port: 6661\n", "    port: 6661\n    on_error: ignore\n",
     "f:18: destinations[0].on_error: "},
    {"    port: 6661\n", "    port: 6661\n    answer: 1ms\n",
     "f:18: destinations[0].answer: "},
    {"    port: 6661\n", "    port: 6661\n    retry_min: 10min\n",
     "f:18: destinations[0].retry_min: must not be more than retry_max"},
    {"    port: 6661\n", "    port: 6661\n  - name: epr\n    host: h\n    port: 1\n",
     "f:18: destinations[1].name: another destination has this name"},
};

static void test_bad_files(void **state)
{
    (void)state;
    size_t n = sizeof bads / sizeof *bads;
    for (size_t i = 0; i < n; i++) {
        struct chart_config c = {.log_level = 0};
        struct config *config = NULL;
        char text[4096], error[CONFIG_ERROR_SIZE] = "";
        const char *at = *bads[i].old ? strstr(good, bads[i].old) : good + strlen(good);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, bads[i].new,
                 at + strlen(bads[i].old));
        if (chart_config_load("f", text, &c, &config, error) == 0)
            fail_msg("case %zu was taken; expected: %s", i, bads[i].error);
        if (!strstr(error, bads[i].error))
            fail_msg("case %zu: %s; expected: %s", i, error, bads[i].error);
        assert_null(config);
    }
    printf("bad files: %zu, each with its error\n", n);
}

/* The files that are shipped load, and their table of beds makes rules. */
static void test_example(void **state)
{
    (void)state;
    struct chart_config c = {.log_level = 0};
    struct places_config places = {.places = {NULL, 0}};
    struct config *config, *places_parsed;
    struct adt_site *site = NULL;
    char error[CONFIG_ERROR_SIZE], place[ADT_PLACE_SIZE];
    if (chart_config_load("gateway/chart/wardgate-chart.example.yaml", NULL, &c, &config,
                          error) != 0)
        fail_msg("%s", error);
    if (places_config_load(c.adt.places, NULL, &places, &places_parsed, error) != 0 ||
        service_site(&c, &places, places_parsed, &site, error) != 0)
        fail_msg("%s", error);
    adt_site_place(site, "gsu^bay  1^BED 2^HOMERTON UNIVER", place);
    assert_string_equal(place, "gsu-bay1-bed2");
    adt_site_place(site, "GSU^Bay 1^Bed 9^HOMERTON UNIVER", place);
    assert_string_equal(place, "");
    adt_site_free(site);
    config_free(places_parsed);
    config_free(config);
}

static void test_bad_places(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"places:\n  - location: A^B^C\n", "p:2: places[0].place: is missing"},
        {"places:\n  - place: bed-1\n", "p:2: places[0].location: is missing"},
        {"places:\n  - location: A^B^C\n    place: Bed 1\n", "p:3: places[0].place: "},
        {"beds: []\n", "p:1: beds: unknown key"},
        {"places: none\n", "p:1: places: "},
        {"places:\n  - location: A^B^C\n    place: bed-1\n    colour: red\n",
         "p:4: places[0].colour: unknown key"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct places_config places = {.places = {NULL, 0}};
        struct config *config;
        char error[CONFIG_ERROR_SIZE] = "";
        assert_int_equal(places_config_load("p", cases[i].text, &places, &config, error),
                         -1);
        if (!strstr(error, cases[i].error))
            fail_msg("case %zu: %s; expected: %s", i, error, cases[i].error);
    }
}

/* What only the feed's rules can see: a location without a bed, one location in two
 * places. Told by file and line, of both where two are at odds. */
static void test_rules_of_places(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } rules[] = {
        {"places:\n  - location: A^B\n    place: bed-1\n",
         "p:2: places[0].location: location \"A^B\" of place \"bed-1\" needs "
         "ward^room^bed"},
        {"places:\n  - location: A^B^C\n    place: bed-1\n"
         "  - location: a^b^d\n    place: bed-3\n"
         "  - location: a^b^c\n    place: bed-2\n",
         "p:6: places[2].location: location \"a^b^c\" leads to two places, \"bed-1\" and "
         "\"bed-2\"; the other is at p:2"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct chart_config c = {.log_level = 0};
        struct places_config places = {.places = {NULL, 0}};
        struct config *config, *parsed;
        struct adt_site *site = NULL;
        char error[CONFIG_ERROR_SIZE] = "";
        assert_int_equal(chart_config_load("f", good, &c, &config, error), 0);
        assert_int_equal(places_config_load("p", rules[i].text, &places, &parsed, error),
                         0);
        assert_int_equal(service_site(&c, &places, parsed, &site, error), -1);
        assert_string_equal(error, rules[i].error);
        config_free(parsed);
        config_free(config);
    }
}

/* A table of beds that is not there is told by the line that names it. */
static void test_missing_places(void **state)
{
    (void)state;
    struct service *service = calloc(1, sizeof *service);
    char error[CONFIG_ERROR_SIZE] = "", path[] = "chart-config-XXXXXX";
    int fd = mkstemp(path);
    assert_non_null(service);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, good, strlen(good)), strlen(good));
    close(fd);
    assert_int_equal(service_load(service, path, error), -1);
    unlink(path);
    free(service);
    assert_memory_equal(error, path, strlen(path));
    assert_string_equal(error + strlen(path),
                        ":13: adt.places: /p: No such file or directory");
}

/* Each key reaches the rule that it is named after. */
static void test_feed_rules(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int64_t admitted;
        bool prior_untrusted, nhs_elsewhere;
    } cases[] = {{"", ADT_ADMITTED_BETWEEN, false, false},
                 {"  admitted: between\n", ADT_ADMITTED_BETWEEN, false, false},
                 {"  admitted: PV1-44\n", ADT_ADMITTED_PV1_44, false, false},
                 {"  admitted: EVN-2\n", ADT_ADMITTED_EVN_2, false, false},
                 {"  prior_untrusted: true\n", ADT_ADMITTED_BETWEEN, true, false},
                 {"  nhs_elsewhere: true\n", ADT_ADMITTED_BETWEEN, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct chart_config c = {.log_level = 0};
        struct config *config;
        char text[2048], error[CONFIG_ERROR_SIZE] = "";
        const char *at = strstr(good, "destinations:");
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, cases[i].key, at);
        if (chart_config_load("f", text, &c, &config, error) != 0)
            fail_msg("%s", error);
        assert_int_equal(c.adt.admitted, cases[i].admitted);
        assert_int_equal(c.adt.prior_untrusted, cases[i].prior_untrusted);
        assert_int_equal(c.adt.nhs_elsewhere, cases[i].nhs_elsewhere);
        config_free(config);
    }
}

/* And from there to the site: a discharge from a bed that the patient was never in says
 * so, unless the feed's prior places are not to be trusted. */
static void test_rules_reach_the_site(void **state)
{
    (void)state;
    static const char a02[] =
        "MSH|^~\\&|PAS|H|T|W|20260722130000+0000||ADT^A02|X1|P|2.3.1\r"
        "EVN|A02|20260722130000+0000||||20260722130000+0000\r"
        "PID||1|1^^^H^CNN||A^B||19700101|F|||||||||||9434765919\r"
        "PV1||I|A^B^C|||A^B^D|||||||||||||V1\r";
    for (int on = 0; on < 2; on++) {
        struct chart_config c = {.log_level = 0};
        struct places_config places = {.places = {NULL, 0}};
        struct config *config;
        struct adt_site *site = NULL;
        struct adt_result result;
        struct hl7_message *scratch = malloc(sizeof *scratch);
        char answer[2048], error[CONFIG_ERROR_SIZE] = "";
        assert_non_null(scratch);
        assert_int_equal(chart_config_load("f", good, &c, &config, error), 0);
        c.adt.prior_untrusted = c.adt.nhs_elsewhere = on;
        assert_int_equal(service_site(&c, &places, NULL, &site, error), 0);
        assert_true(adt_receive(site, a02, sizeof a02 - 1, 0, 1, scratch, &result, answer,
                                sizeof answer) > 0);
        assert_int_equal(result.outcome, ADT_APPLY);
        assert_string_equal(result.events[0].nhs, on ? "" : "9434765919");
        assert_int_equal(result.events[0].has_from, !on);
        free(scratch);
        adt_site_free(site);
        config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_bad_places),
        cmocka_unit_test(test_rules_of_places),
        cmocka_unit_test(test_missing_places),
        cmocka_unit_test(test_feed_rules),
        cmocka_unit_test(test_rules_reach_the_site),
    };
    return cmocka_run_group_tests_name("chart_config", tests, NULL, NULL);
}
