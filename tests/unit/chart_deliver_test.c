/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chart/deliver.h"

static char out[DELIVER_SIZE_MAX + 1];

static wardgate_Record reading(void)
{
    wardgate_Record r = wardgate_Record_init_zero;
    r.seq = 42;
    r.kind = wardgate_Record_Kind_READING;
    r.has_device = true;
    snprintf(r.device.id, sizeof r.device.id, "mon-3");
    snprintf(r.device.identity, sizeof r.device.identity, "Acme M1 SN77");
    snprintf(r.place, sizeof r.place, "4a-bed-3");
    r.observations_count = 3;
    r.observations[0].code = 147842;
    r.observations[0].unit = 264864;
    r.observations[0].which_value = wardgate_Observation_mantissa_tag;
    r.observations[0].value.mantissa = 72;
    r.observations[1].code = 150364;
    r.observations[1].unit = 268192;
    r.observations[1].which_value = wardgate_Observation_mantissa_tag;
    r.observations[1].value.mantissa = 3710;
    r.observations[1].exponent = -2;
    r.observations[2].code = 150456;
    r.observations[2].unit = 262688; /* the device had no value: which_value stays 0 */
    return r;
}

static struct deliver_message message_of(const wardgate_Record *r)
{
    struct deliver_message m = {.destination = "epr",
                                .generation = 1,
                                .gateway = "gw-1",
                                .record = r,
                                .observations = 0xffffffffu,
                                .utc_us = INT64_C(
                                    1784729109250999), /* 2026-07-22T14:05:09.250999Z */
                                .uncertainty_ms = 25,
                                .synced = true,
                                .made_utc_us = INT64_C(1784729110000000),
                                .patient = {.mrn = "1234567",
                                            .authority = "HOMERTON",
                                            .nhs = "9434765919",
                                            .family = "DOE",
                                            .given = "JANE",
                                            .birth = "19700101",
                                            .sex = "Female",
                                            .visit = "V9",
                                            .category = "Inpatient",
                                            .location = "4A^BAY1^BED3^HOMERTON UNIVER"},
                                .style = {.sending_application = "WARDGATE",
                                          .sending_facility = "RQX",
                                          .receiving_application = "EPR",
                                          .receiving_facility = "RQX",
                                          .processing = "P",
                                          .charset = "UNICODE UTF-8"}};
    memset(m.epoch.bytes, 0xab, EPOCH_SIZE);
    return m;
}

static void build(const struct deliver_message *m)
{
    int n = deliver_hl7(m, out, sizeof out - 1);
    if (n < 0)
        fail_msg("deliver_hl7 returned %d", n);
    out[n] = '\0';
}

/* Field `number` of the nth segment called name, counted as HL7 counts; MSH-1 is the
 * separator itself. */
static const char *field(const char *name, int nth, int number)
{
    static char value[512];
    const char *s = out;
    for (; *s; s = strchr(s, '\r') + 1)
        if (strncmp(s, name, 3) == 0 && nth-- == 0)
            break;
    if (strcmp(name, "MSH") == 0)
        number--;
    const char *end = *s ? strchr(s, '\r') : s;
    for (; number > 0 && s < end; number--)
        for (s = s + (*s == '|' || s == out), s += strcspn(s, "|\r"); 0;)
            ;
    size_t n = s < end && *s == '|' ? strcspn(s + 1, "|\r") : 0;
    snprintf(value, sizeof value, "%.*s", (int)n, n ? s + 1 : "");
    return value;
}

static void test_whole_message(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    char control[DELIVER_CONTROL_SIZE], expected[2048];
    assert_int_equal(deliver_control(&m, control), 0);
    build(&m);
    snprintf(
        expected, sizeof expected,
        "MSH|^~\\&|WARDGATE|RQX|EPR|RQX|20260722140510.000+0000||ORU^R01^ORU_R01|%s|P|2."
        "6|||AL|NE||UNICODE UTF-8|||"
        "IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO\r"
        "PID|||1234567^^^HOMERTON^MR~9434765919^^^NHS^NH||DOE^JANE^^^^^L||19700101|F\r"
        "PV1||I|4A^BAY1^BED3^HOMERTON UNIVER||||||||||||||||V9\r"
        "OBR|1||gw-1.abababababababababababababababab.42.1^WARDGATE|"
        "69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|||20260722140509.250+0000|"
        "20260722140509.251+0000"
        "|||||||||||||||||R\r"
        "OBX|1|CWE|68220^MDC_TIME_SYNC_PROTOCOL^MDC|0.0.0.1|532226^MDC_TIME_SYNC_NTPV4^"
        "MDC||||||R\r"
        "OBX|2|NM|68221^MDC_TIME_SYNC_ACCURACY^MDC|0.0.0.2|25000|264339^MDC_DIM_MICRO_"
        "SEC^MDC|||||R\r"
        "OBX|3||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||mon-3^"
        "gw-1~Acme M1 SN77\r"
        "OBX|4|NM|147842^MDC_ECG_HEART_RATE^MDC|1.0.0.1|72|264864^MDC_DIM_BEAT_PER_MIN^"
        "MDC|||||R|||"
        "20260722140509.250+0000||||mon-3^gw-1\r"
        "OBX|5|NM|150364^MDC_TEMP_BODY^MDC|1.0.0.2|37.10|268192^MDC_DIM_DEGC^MDC|||||R|||"
        "20260722140509.250+0000||||mon-3^gw-1\r",
        control);
    assert_string_equal(out, expected);
}

static void test_same_input_same_bytes(void **state)
{
    (void)state;
    static char again[DELIVER_SIZE_MAX];
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    build(&m);
    int n = deliver_hl7(&m, again, sizeof again);
    assert_int_equal(n, (int)strlen(out));
    assert_memory_equal(out, again, (size_t)n);
}

static void test_control_id(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    char ids[7][DELIVER_CONTROL_SIZE];
    deliver_control(&m, ids[0]);
    m.destination = "other", deliver_control(&m, ids[1]), m.destination = "epr";
    m.generation = 2, deliver_control(&m, ids[2]), m.generation = 1;
    m.kind = DELIVER_WITHDRAWAL, deliver_control(&m, ids[3]), m.kind = DELIVER_RESULT;
    m.epoch.bytes[15] ^= 1, deliver_control(&m, ids[4]), m.epoch.bytes[15] ^= 1;
    m.gateway = "gw-2", deliver_control(&m, ids[5]), m.gateway = "gw-1";
    r.seq++, deliver_control(&m, ids[6]);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(strlen(ids[i]), 20);
        assert_int_equal(strspn(ids[i], "0123456789ABCDEFGHJKMNPQRSTVWXYZ"), 20);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(ids[i], ids[j]);
    }
}

static void test_statuses(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    build(&m);
    assert_string_equal(field("OBX", 3, 11), "R");
    m.style.final = true, build(&m);
    assert_string_equal(field("OBX", 3, 11), "F");
    m.kind = DELIVER_WITHDRAWAL, build(&m);
    assert_string_equal(field("OBX", 3, 11),
                        "W"); /* a rule that says F never makes a withdrawal final */
    assert_string_equal(field("OBR", 0, 25), "C");
    assert_string_equal(field("OBR", 0, 3),
                        "gw-1.abababababababababababababababab.42.1^WARDGATE");
    assert_string_equal(field("OBR", 0, 29), "");
    m.kind = DELIVER_RESULT, m.generation = 2, m.replaces = 1, m.style.final = false,
    build(&m);
    assert_string_equal(field("OBX", 3, 11), "R");
    assert_string_equal(field("OBR", 0, 3),
                        "gw-1.abababababababababababababababab.42.2^WARDGATE");
    assert_string_equal(field("OBR", 0, 29),
                        "^gw-1.abababababababababababababababab.42.1&WARDGATE");
    m.kind = DELIVER_CORRECTION, build(&m);
    assert_string_equal(field("OBX", 3, 11), "C");
}

static void test_alternates(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    m.style.loinc = m.style.ucum = true;
    build(&m);
    assert_non_null(strstr(field("OBX", 3, 3), "147842^MDC_ECG_HEART_RATE^MDC^8867-4^"));
    assert_non_null(strstr(field("OBX", 3, 3), "^LN"));
    assert_string_equal(field("OBX", 3, 6),
                        "264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^/min^UCUM");
}

/* Every quality that says "not the patient's" keeps the number out; those that say "with
 * doubt" are flagged. */
static void test_quality(void **state)
{
    (void)state;
    static const uint32_t never[] = {0x01, 0x04, 0x08, 0x10, 0x20, 0x80, 0x81, 0xff};
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        r.observations[0].quality = never[i];
        build(&m);
        assert_null(strstr(out, "MDC_ECG_HEART_RATE"));
        assert_string_equal(field("OBX", 3, 5), "37.10");
        assert_string_equal(field("OBX", 3, 4),
                            "1.0.0.2"); /* the ordinal stays with the observation */
    }
    r.observations[0].quality = 0x02, build(&m);
    assert_string_equal(field("OBX", 3, 8), "QUES");
    r.observations[0].quality = 0x42, build(&m);
    assert_string_equal(field("OBX", 3, 8), "QUES~CAL");
    r.observations[0].quality = 0x40, build(&m);
    assert_string_equal(field("OBX", 3, 8), "CAL");
    assert_string_equal(field("OBX", 3, 5), "72");
}

static void test_mask_and_nothing(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    m.observations = 2, build(&m);
    assert_null(strstr(out, "MDC_ECG_HEART_RATE"));
    m.observations = 4; /* only the one without a value */
    assert_int_equal(deliver_hl7(&m, out, sizeof out), DELIVER_NOTHING);
    assert_int_equal(deliver_json(&m, out, sizeof out), DELIVER_NOTHING);
    m.observations = 0;
    assert_int_equal(deliver_hl7(&m, out, sizeof out), DELIVER_NOTHING);
}

static void test_hostile_text(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    snprintf(r.device.id, sizeof r.device.id, "a|b\rOBX|9|NM|x");
    m.patient.family = "O|B^R&I~E\\N\r\nMSH|", m.patient.given = "Zo\xc3\xab";
    m.patient.location = "4A^B&C\rPID|evil^1";
    build(&m);
    assert_string_equal(field("PID", 0, 5),
                        "O\\F\\B\\S\\R\\T\\I\\R\\E\\E\\N  MSH\\F\\^Zo\xc3\xab^^^^^L");
    assert_string_equal(field("PV1", 0, 3), "4A^B&CPIDevil^1");
    assert_string_equal(field("MSH", 0, 18), "UNICODE UTF-8");
    int segments = 0;
    for (const char *p = out; *p; p++)
        segments += *p == '\r';
    assert_int_equal(segments, 9);
}

static void test_unknown_patient_fields(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    m.patient = (struct deliver_patient){.mrn = "77",
                                         .authority = "H",
                                         .location = "A",
                                         .sex = "banana"};
    m.synced = false;
    build(&m);
    assert_string_equal(field("PID", 0, 3), "77^^^H^MR");
    assert_string_equal(field("PID", 0, 5), "^^^^^^U");
    assert_string_equal(field("PID", 0, 8), "U");
    assert_string_equal(field("PV1", 0, 2), "U");
    assert_non_null(strstr(field("OBX", 0, 5), "MDC_TIME_SYNC_NONE"));
}

static void test_coded_and_text(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    r.observations[0].which_value = wardgate_Observation_coded_tag;
    r.observations[0].value.coded = 7;
    r.observations[1].which_value = wardgate_Observation_text_tag;
    snprintf(r.observations[1].value.text, sizeof r.observations[1].value.text, "a^b");
    build(&m);
    assert_string_equal(field("OBX", 3, 2), "CWE");
    assert_string_equal(field("OBX", 3, 5), "7^^99WARDGATE");
    assert_string_equal(field("OBX", 4, 2), "ST");
    assert_string_equal(field("OBX", 4, 5), "a\\S\\b");
}

/* Every capacity below the need is refused, and nothing is written past it. */
static void test_capacity(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    int need = deliver_hl7(&m, out, sizeof out), json = deliver_json(&m, out, sizeof out),
        refused = 0;
    for (size_t capacity = 0; capacity < (size_t)need; capacity++) {
        char *exact = malloc(capacity + 1);
        assert_non_null(exact);
        exact[capacity] = 'Z';
        refused += deliver_hl7(&m, exact, capacity) == DELIVER_TOO_LARGE;
        assert_int_equal(exact[capacity], 'Z');
        if (capacity < (size_t)json)
            assert_int_equal(deliver_json(&m, exact, capacity), DELIVER_TOO_LARGE);
        free(exact);
    }
    assert_int_equal(refused, need);
    printf("capacity: %d sizes refused\n", refused);
}

/* All 32 observations with the longest texts fit the buffer that everybody uses. */
static void test_largest(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    r.observations_count = 32;
    for (int i = 0; i < 32; i++) {
        r.observations[i] = r.observations[0];
        r.observations[i].which_value = wardgate_Observation_text_tag;
        memset(r.observations[i].value.text, '|',
               sizeof r.observations[i].value.text - 1);
        r.observations[i].site = 147842;
    }
    memset(r.device.id, '&', sizeof r.device.id - 1);
    memset(r.device.identity, '&', sizeof r.device.identity - 1);
    m.style.loinc = m.style.ucum = true;
    int n = deliver_hl7(&m, out, DELIVER_SIZE_MAX);
    assert_true(n > 0);
    assert_true(deliver_json(&m, out, DELIVER_SIZE_MAX) > 0);
    printf("largest message: %d bytes\n", n);
}

static void test_json(void **state)
{
    (void)state;
    wardgate_Record r = reading();
    struct deliver_message m = message_of(&r);
    char control[DELIVER_CONTROL_SIZE], expected[1024];
    r.observations[1].quality = 2;
    m.patient.family = "D\"O\\E\n", m.patient.given = "Zo\xeb";
    deliver_control(&m, control);
    int n = deliver_json(&m, out, sizeof out - 1);
    assert_true(n > 0);
    out[n] = '\0';
    snprintf(expected, sizeof expected,
             "{\"control\":\"%s\",\"kind\":\"result\",\"filler\":\"gw-1."
             "abababababababababababababababab.42.1\","
             "\"gateway\":\"gw-1\",\"epoch\":\"abababababababababababababababab\","
             "\"seq\":42,\"place\":\"4a-bed-3\","
             "\"device\":\"mon-3\",\"time\":\"2026-07-22T14:05:09.250Z\",\"uncertainty_"
             "ms\":25,"
             "\"made\":\"2026-07-22T14:05:10.000Z\",\"patient\":{\"mrn\":\"1234567\","
             "\"authority\":\"HOMERTON\","
             "\"nhs\":\"9434765919\",\"family\":\"D\\\"O\\\\E\\u000a\",\"given\":"
             "\"Zo\\u00eb\",\"birth\":\"19700101\","
             "\"sex\":\"Female\"},\"visit\":\"V9\",\"location\":\"4A^BAY1^BED3^HOMERTON "
             "UNIVER\",\"observations\":["
             "{\"code\":147842,\"term\":\"MDC_ECG_HEART_RATE\",\"value\":\"72\",\"unit\":"
             "264864,\"ucum\":\"/min\"},"
             "{\"code\":150364,\"term\":\"MDC_TEMP_BODY\",\"value\":\"37.10\",\"unit\":"
             "268192,\"ucum\":\"Cel\","
             "\"quality\":2}]}\n",
             control);
    assert_string_equal(out, expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_message),
        cmocka_unit_test(test_same_input_same_bytes),
        cmocka_unit_test(test_control_id),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_alternates),
        cmocka_unit_test(test_quality),
        cmocka_unit_test(test_mask_and_nothing),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_unknown_patient_fields),
        cmocka_unit_test(test_coded_and_text),
        cmocka_unit_test(test_capacity),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests_name("chart_deliver", tests, NULL, NULL);
}
