/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "chart/deliver_fhir.h"
#include "wire/terms.h"

static char out[64 * 1024];

static void add(wardgate_Record *r, uint32_t code, uint32_t unit, int64_t mantissa,
                int32_t exponent)
{
    wardgate_Observation *o = &r->observations[r->observations_count++];
    o->code = code;
    o->unit = unit;
    o->which_value = wardgate_Observation_mantissa_tag;
    o->value.mantissa = mantissa;
    o->exponent = exponent;
}

static wardgate_Record reading(void)
{
    wardgate_Record r = wardgate_Record_init_zero;
    r.seq = 42;
    r.kind = wardgate_Record_Kind_READING;
    r.has_device = true;
    snprintf(r.device.id, sizeof r.device.id, "mon-3");
    snprintf(r.device.identity, sizeof r.device.identity, "Acme M1 SN77");
    return r;
}

static struct deliver_message message_of(const wardgate_Record *r)
{
    struct deliver_message m = {
        .destination = "epr",
        .generation = 1,
        .gateway = "gw-1",
        .record = r,
        .observations = 0xffffffffu,
        .utc_us = INT64_C(1784729109250999), /* 2026-07-22T14:05:09.250999Z */
        .uncertainty_ms = 25,
        .synced = true,
        .made_utc_us = INT64_C(1784729110000000),
        .patient = {.mrn = "1234567", .authority = "HOMERTON", .nhs = "9434765919"},
        .style = {.processing = "P",
                  .identifier_system = "https://trust.example/wardgate",
                  .number_system = "https://trust.example/mrn",
                  .nhs_system = "https://fhir.nhs.uk/Id/nhs-number"}};
    memset(m.epoch.bytes, 0xab, EPOCH_SIZE);
    return m;
}

static void write_out(const struct deliver_message *m)
{
    int n = deliver_fhir(m, out, sizeof out - 1);
    if (n < 0)
        fail_msg("deliver_fhir returned %d", n);
    out[n] = '\0';
}

static json_t *build(const struct deliver_message *m)
{
    json_error_t error;
    write_out(m);
    json_t *bundle = json_loads(out, JSON_REJECT_DUPLICATES, &error);
    if (!bundle)
        fail_msg("%s at %d in %s", error.text, error.position, out);
    return bundle;
}

static json_t *observation(json_t *bundle, size_t i)
{
    return json_object_get(json_array_get(json_object_get(bundle, "entry"), i),
                           "resource");
}

static const char *request(json_t *bundle, size_t i, const char *name)
{
    json_t *entry = json_array_get(json_object_get(bundle, "entry"), i);
    return json_string_value(json_object_get(json_object_get(entry, "request"), name));
}

static size_t entries(json_t *bundle)
{
    return json_array_size(json_object_get(bundle, "entry"));
}

static const char *text_at(json_t *of, const char *name)
{
    return json_string_value(json_object_get(of, name));
}

/* The codes of a resource or component in one system, with blanks between. */
static const char *codes(json_t *of, const char *system)
{
    static char text[256];
    size_t i;
    json_t *coding;
    text[0] = '\0';
    json_array_foreach(json_object_get(json_object_get(of, "code"), "coding"), i, coding)
    {
        if (strcmp(text_at(coding, "system"), system) == 0)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%s",
                     *text ? " " : "", text_at(coding, "code"));
    }
    return text;
}

static const char *category_of(json_t *of)
{
    json_t *first = json_array_get(json_object_get(of, "category"), 0);
    return text_at(json_array_get(json_object_get(first, "coding"), 0), "code");
}

static const char *profile_of(json_t *of)
{
    json_t *meta = json_object_get(of, "meta");
    const char *url =
        json_string_value(json_array_get(json_object_get(meta, "profile"), 0));
    return url ? url + sizeof FHIR_DEFINITIONS - 1 : "";
}

/* Every byte of one whole message: whoever changes one must mean to. */
static void test_golden(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    add(&r, 150344, 268192, 3710, -2);
    struct deliver_message m = message_of(&r);
    char control[DELIVER_CONTROL_SIZE], expected[4096];
    assert_int_equal(deliver_control(&m, control), 0);
    write_out(&m);
    snprintf(
        expected, sizeof expected,
        "{\"resourceType\":\"Bundle\",\"identifier\":{\"system\":\"https://trust.example/"
        "wardgate\",\"value\":\"%s\"},\"type\":\"transaction\",\"entry\":["
        "{\"fullUrl\":\"urn:uuid:%.36s\",\"resource\":{\"resourceType\":\"Observation\","
        "\"meta\":{\"profile\":[\"http://hl7.org/fhir/StructureDefinition/bodytemp\"],"
        "\"security\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
        "v3-ObservationValue\",\"code\":\"RELIABLE\"}]},"
        "\"extension\":[{\"url\":\"http://hl7.org/fhir/StructureDefinition/"
        "observation-gatewayDevice\",\"valueReference\":{\"display\":\"gw-1\"}}],"
        "\"identifier\":[{\"system\":\"https://trust.example/wardgate\",\"value\":"
        "\"gw-1.abababababababababababababababab.42.1.1\"}],\"status\":\"preliminary\","
        "\"category\":[{\"coding\":[{\"system\":\"http://terminology.hl7.org/CodeSystem/"
        "observation-category\",\"code\":\"vital-signs\"}]}],"
        "\"code\":{\"coding\":[{\"system\":\"http://loinc.org\",\"code\":\"8310-5\"},"
        "{\"system\":\"urn:iso:std:iso:11073:10101\",\"code\":\"150344\",\"display\":"
        "\"MDC_TEMP\"},{\"system\":\"http://snomed.info/sct\",\"code\":\"386725007\"}],"
        "\"text\":\"temperature\"},"
        "\"subject\":{\"reference\":\"Patient?identifier=https://trust.example/"
        "mrn|1234567\",\"type\":\"Patient\"},"
        "\"effectiveDateTime\":\"2026-07-22T14:05:09.250Z\","
        "\"issued\":\"2026-07-22T14:05:10.000Z\","
        "\"valueQuantity\":{\"value\":37.10,\"unit\":\"Cel\",\"system\":"
        "\"http://unitsofmeasure.org\",\"code\":\"Cel\"},"
        "\"note\":[{\"text\":\"time of measurement +- 25 ms\"}],"
        "\"device\":{\"type\":\"Device\",\"identifier\":{\"system\":"
        "\"https://trust.example/wardgate\",\"value\":\"gw-1/mon-3\"},\"display\":"
        "\"Acme M1 SN77\"}},"
        "\"request\":{\"method\":\"POST\",\"url\":\"Observation\",\"ifNoneExist\":"
        "\"identifier=https://trust.example/wardgate|"
        "gw-1.abababababababababababababababab.42.1.1\"}}]}",
        control, strstr(out, "urn:uuid:") + 9);
    assert_string_equal(out, expected);
}

/* The same again is the same bytes: what lets a repeated one be known for what it is. */
static void test_same_bytes(void **state)
{
    (void)state;
    static char again[sizeof out];
    wardgate_Record r = reading();
    add(&r, 147842, 264864, 72, 0);
    struct deliver_message m = message_of(&r);
    write_out(&m);
    memcpy(again, out, sizeof out);
    write_out(&m);
    assert_string_equal(out, again);
}

static void test_each_vital(void **state)
{
    (void)state;
    static const struct {
        uint32_t code, unit;
        const char *loinc, *profile, *category;
    } cases[] = {
        {147842, 264864, "8867-4", "heartrate", "vital-signs"},
        {149514, 264896, "8867-4", "heartrate", "vital-signs"},
        {149530, 264864, "8867-4 8889-8", "heartrate", "vital-signs"},
        {149546, 264864, "8867-4", "heartrate", "vital-signs"},
        {150456, 262688, "2708-6 59408-5", "oxygensat", "vital-signs"},
        {160296, 262688, "2708-6 59407-7", "oxygensat", "vital-signs"},
        {151562, 264928, "9279-1", "resprate", "vital-signs"},
        {151586, 264928, "9279-1 19840-8", "resprate", "vital-signs"},
        {150368, 268192, "8310-5 8329-5", "bodytemp", "vital-signs"},
        {150364, 266560, "8310-5", "bodytemp", "vital-signs"},
        {188736, 263875, "29463-7", "bodyweight", "vital-signs"},
        {188740, 263441, "8302-2", "bodyheight", "vital-signs"},
        /* a pressure on its own */
        {150023, 266016, "8478-0", "vitalsigns", "vital-signs"},
        {150021, 266016, "8480-6", "vitalsigns", "vital-signs"},
        /* not in the unit that the profile fixes: it is not claimed */
        {147842, 262688, "8867-4", "", "procedure"},
        {150344, 262656, "8310-5", "", "procedure"},
        {150021, 265987, "8480-6", "", "procedure"},
        /* no vital signs */
        {150388, 268192, "", "", "procedure"},
        {192715, 264864, "11948-7", "", "procedure"},
        {160184, 266866, "14743-9", "", "laboratory"},
        {157784, 265266, "", "", "therapy"},
        {153728, 262656, "9269-2", "", "survey"},
        {4711, 0, "", "", "procedure"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wardgate_Record r = reading();
        add(&r, cases[i].code, cases[i].unit, 5, 0);
        struct deliver_message m = message_of(&r);
        json_t *bundle = build(&m), *o = observation(bundle, 0);
        char mdc[16];
        snprintf(mdc, sizeof mdc, "%u", (unsigned)cases[i].code);
        assert_string_equal(codes(o, FHIR_LOINC), cases[i].loinc);
        assert_string_equal(codes(o, FHIR_MDC), mdc);
        assert_string_equal(profile_of(o), cases[i].profile);
        assert_string_equal(category_of(o), cases[i].category);
        json_decref(bundle);
    }
}

/* The device's digits, each one, whatever a double would make of them. */
static void test_every_digit(void **state)
{
    (void)state;
    static const struct {
        int64_t mantissa;
        int32_t exponent;
        const char *text;
    } cases[] = {{3710, -2, "37.10"},
                 {0, 0, "0"},
                 {0, -3, "0.000"},
                 {-5, -1, "-0.5"},
                 {12, 2, "1200"},
                 {INT64_MAX, 0, "9223372036854775807"},
                 {INT64_MIN, -18, "-9.223372036854775808"},
                 {1, -18, "0.000000000000000001"},
                 {1013, -1, "101.3"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char expected[96];
        wardgate_Record r = reading();
        add(&r, 150448, 262656, cases[i].mantissa, cases[i].exponent);
        struct deliver_message m = message_of(&r);
        write_out(&m);
        snprintf(expected, sizeof expected, "\"value\":%s,\"unit\":\"1\"", cases[i].text);
        assert_non_null(strstr(out, expected));
    }
    wardgate_Record r = reading();
    add(&r, 150448, 262656, 1, -19); /* no text for it: no message, no part of one */
    add(&r, 147842, 264864, 72, 0);
    struct deliver_message m = message_of(&r);
    assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_TOO_LARGE);
}

/* Each reason for which a value is none of the patient's, and no value at all. */
static void test_never_charted(void **state)
{
    (void)state;
    static const uint32_t never[] = {0x01, 0x04, 0x08, 0x10, 0x20, 0x80, 0x81, 0x44};
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        wardgate_Record r = reading();
        add(&r, 147842, 264864, 54321, 0);
        r.observations[0].quality = never[i];
        add(&r, 150456, 262688, 97, 0);
        struct deliver_message m = message_of(&r);
        json_t *bundle = build(&m);
        assert_int_equal(entries(bundle), 1);
        assert_null(strstr(out, "54321"));
        json_decref(bundle);
        m.observations = 1;
        assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_NOTHING);
    }
    wardgate_Record r = reading();
    add(&r, 147842, 264864, 7, 0);
    r.observations[0].which_value = 0; /* the device said that it has none */
    struct deliver_message m = message_of(&r);
    assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_NOTHING);
    r.observations[0].which_value = wardgate_Observation_text_tag;
    snprintf(r.observations[0].value.text, sizeof r.observations[0].value.text, " \t");
    assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_NOTHING);
    m.observations = 0;
    assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_NOTHING);
}

static void test_pressure(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    add(&r, 149546, 264864, 70, 0);
    add(&r, 150023, 266016, 93, 0);
    add(&r, 150021, 266016, 120, 0);
    add(&r, 150022, 266016, 80, 0);
    struct deliver_message m = message_of(&r);
    json_t *bundle = build(&m), *bp = observation(bundle, 0), *part;
    static const char *const loinc[] = {"8480-6", "8462-4", "8478-0"};
    static const int values[] = {120, 80, 93};
    assert_int_equal(entries(bundle), 2);
    assert_string_equal(profile_of(bp), "bp");
    assert_string_equal(codes(bp, FHIR_LOINC), "85354-9");
    assert_string_equal(codes(bp, FHIR_MDC), "150020");
    assert_null(json_object_get(bp, "valueQuantity"));
    assert_int_equal(json_array_size(json_object_get(bp, "component")), 3);
    for (size_t i = 0; i < 3; i++) {
        part = json_array_get(json_object_get(bp, "component"), i);
        assert_string_equal(codes(part, FHIR_LOINC), loinc[i]);
        json_t *q = json_object_get(part, "valueQuantity");
        assert_int_equal(json_integer_value(json_object_get(q, "value")), values[i]);
        assert_string_equal(text_at(q, "code"), "mm[Hg]");
    }
    assert_non_null(strstr(request(bundle, 0, "ifNoneExist"), ".42.1.2"));
    assert_non_null(strstr(request(bundle, 1, "ifNoneExist"), ".42.1.1"));
    json_decref(bundle);

    r.observations[3].quality = 0x01; /* no diastolic: the others stand alone */
    bundle = build(&m);
    assert_int_equal(entries(bundle), 3);
    assert_null(strstr(out, "component"));
    assert_null(strstr(out, "8462-4"));
    json_decref(bundle);
    r.observations[3].quality = 0;
    r.observations[3].unit = 265987; /* kPa beside mmHg: never one panel */
    bundle = build(&m);
    assert_int_equal(entries(bundle), 4);
    assert_null(strstr(out, "component"));
    json_decref(bundle);
    r.observations[3].unit = 266016;
    m.observations = 0xd; /* the mean is not due */
    bundle = build(&m);
    assert_int_equal(json_array_size(
                         json_object_get(observation(bundle, 0), "component")),
                     2);
    assert_null(strstr(out, "93"));
    json_decref(bundle);
}

/* Arterial: FHIR's codes first, the more specific ones beside them. */
static void test_arterial(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    add(&r, 150037, 266016, 118, 0);
    add(&r, 150038, 266016, 61, 0);
    add(&r, 150021, 266016, 122, 0);
    add(&r, 150022, 266016, 66, 0);
    struct deliver_message m = message_of(&r);
    json_t *bundle = build(&m);
    assert_int_equal(entries(bundle), 2);
    json_t *arterial = observation(bundle, 1);
    assert_string_equal(codes(arterial, FHIR_MDC), "150036");
    assert_string_equal(codes(json_array_get(json_object_get(arterial, "component"), 0),
                              FHIR_LOINC),
                        "8480-6 76215-3");
    json_decref(bundle);
}

static void test_corrections(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    add(&r, 147842, 264864, 72, 0);
    struct deliver_message m = message_of(&r);
    m.style.final = true;
    json_t *bundle = build(&m);
    assert_string_equal(text_at(observation(bundle, 0), "status"), "final");
    char created[128];
    snprintf(created, sizeof created, "%s", request(bundle, 0, "ifNoneExist"));
    json_decref(bundle);

    m.kind = DELIVER_WITHDRAWAL;
    bundle = build(&m);
    assert_string_equal(text_at(observation(bundle, 0), "status"), "entered-in-error");
    assert_string_equal(request(bundle, 0, "method"), "PUT");
    assert_null(request(bundle, 0, "ifNoneExist"));
    assert_memory_equal(request(bundle, 0, "url"), "Observation?", 12);
    assert_string_equal(request(bundle, 0, "url") + 12, created); /* that very one */
    json_decref(bundle);

    m.kind = DELIVER_CORRECTION;
    bundle = build(&m);
    assert_string_equal(text_at(observation(bundle, 0), "status"), "corrected");
    assert_string_equal(request(bundle, 0, "url") + 12, created);
    json_decref(bundle);

    m.kind = DELIVER_RESULT;
    m.generation = 2;
    m.replaces = 1;
    bundle = build(&m);
    assert_string_not_equal(request(bundle, 0, "ifNoneExist"), created);
    json_t *link =
        json_array_get(json_object_get(observation(bundle, 0), "extension"), 1);
    assert_string_equal(text_at(link, "url"), FHIR_DEFINITIONS "observation-replaces");
    json_t *to = json_object_get(json_object_get(link, "valueReference"), "identifier");
    assert_string_equal(text_at(to, "value"),
                        "gw-1.abababababababababababababababab.42.1.1");
    json_decref(bundle);
}

static void test_whose(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    add(&r, 147842, 264864, 72, 0);
    struct deliver_message m = message_of(&r);
    m.style.by_nhs = true;
    write_out(&m);
    assert_non_null(
        strstr(out, "Patient?identifier=https://fhir.nhs.uk/Id/nhs-number|9434765919\""));
    m.patient.nhs = "";
    write_out(&m);
    assert_non_null(
        strstr(out, "Patient?identifier=https://trust.example/mrn|1234567\""));
    m.style.number_system = "";
    assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_NOBODY);
    m.style.number_system = NULL;
    assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_NOBODY);
    m = message_of(&r);
    m.patient.mrn = "";
    assert_int_equal(deliver_fhir(&m, out, sizeof out), DELIVER_NOBODY);
    /* What separates in a search or an address is no longer able to. */
    m.patient.mrn = "1&name=A|B,C$\\\"#%+ \xc3\xa9";
    write_out(&m);
    assert_non_null(
        strstr(out, "mrn|1%26name%3DA%5C%7CB%5C%2CC%5C%24%5C%5C%22%23%25%2B%20%C3%A9\""));
    /* Nobody's name, birth or visit is in it. */
    m = message_of(&r);
    m.patient.family = "SECRETNAME", m.patient.given = "SECRETGIVEN";
    m.patient.birth = "19700101", m.patient.visit = "SECRETVISIT";
    write_out(&m);
    assert_null(strstr(out, "SECRET"));
    assert_null(strstr(out, "1970"));
}

static void test_what_is_said_of_it(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    add(&r, 147842, 264864, 72, 0);
    struct deliver_message m = message_of(&r);
    m.style.processing = "T";
    write_out(&m);
    assert_non_null(strstr(out, "\"HTEST\""));
    m.style.processing = "P";
    r.observations[0].quality = 0x02;
    m.synced = false;
    write_out(&m);
    assert_null(strstr(out, "\"HTEST\""));
    assert_non_null(strstr(out, "\"UNCERTREL\""));
    assert_null(strstr(out, "\"RELIABLE\""));
    assert_non_null(strstr(out, "25 ms by a clock that was not synchronised; "
                                "questionable, says the device"));
    r.has_subject = true;
    r.subject.role = wardgate_Subject_Role_FETUS;
    r.subject.number = 2;
    json_t *bundle = build(&m);
    assert_non_null(strstr(out, "\"focus\":[{\"display\":\"Fetus 2\"}]"));
    assert_string_equal(profile_of(observation(bundle, 0)), ""); /* not the mother's */
    json_decref(bundle);
}

static void test_other_values(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    add(&r, 4711, 0, 0, 0);
    r.observations[0].which_value = wardgate_Observation_coded_tag;
    r.observations[0].value.coded = 150344;
    add(&r, 4712, 0, 0, 0);
    r.observations[1].which_value = wardgate_Observation_coded_tag;
    r.observations[1].value.coded = 17;
    add(&r, 4713, 0, 0, 0);
    r.observations[2].which_value = wardgate_Observation_text_tag;
    snprintf(r.observations[2].value.text, sizeof r.observations[2].value.text,
             "a \"b\"\n\xff");
    add(&r, 4714, 999999, 5, 0);
    r.observations[3].site = 4720;
    struct deliver_message m = message_of(&r);
    json_t *bundle = build(&m);
    assert_int_equal(entries(bundle), 4);
    assert_non_null(strstr(out,
                           "\"valueCodeableConcept\":{\"coding\":[{\"system\":\"" FHIR_MDC
                           "\",\"code\":\"150344\",\"display\":\"MDC_TEMP\"}]}"));
    assert_non_null(strstr(out, "\"valueCodeableConcept\":{\"text\":\"17\"}"));
    assert_non_null(strstr(out, "\"valueString\":\"a \\\"b\\\" \\u00ff\""));
    assert_non_null(strstr(out, "\"value\":5,\"unit\":\"999999\",\"system\":\"" FHIR_MDC
                                "\",\"code\":\"999999\"}"));
    assert_non_null(strstr(out, "\"bodySite\":{\"coding\":[{\"system\":\"" FHIR_MDC
                                "\",\"code\":\"4720\"}]}"));
    json_decref(bundle);
}

/* Whatever room there is: whole or refused, and never a byte beyond it. */
static void test_any_room(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    for (int i = 0; i < 32; i++)
        add(&r, 147842, 264864, i, 0);
    struct deliver_message m = message_of(&r);
    int whole = deliver_fhir(&m, out, sizeof out);
    assert_in_range(whole, 1, sizeof out);
    for (size_t room = 0; room < (size_t)whole; room += 61) {
        char *small = malloc(room ? room : 1);
        assert_int_equal(deliver_fhir(&m, small, room), DELIVER_TOO_LARGE);
        free(small);
    }
    json_t *bundle = build(&m);
    assert_int_equal(entries(bundle), 32);
    json_decref(bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),        cmocka_unit_test(test_same_bytes),
        cmocka_unit_test(test_each_vital),    cmocka_unit_test(test_every_digit),
        cmocka_unit_test(test_never_charted), cmocka_unit_test(test_pressure),
        cmocka_unit_test(test_arterial),      cmocka_unit_test(test_corrections),
        cmocka_unit_test(test_whose),         cmocka_unit_test(test_what_is_said_of_it),
        cmocka_unit_test(test_other_values),  cmocka_unit_test(test_any_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
