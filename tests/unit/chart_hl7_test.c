/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart/hl7.h"

#define PARSE(text, message) hl7_parse(text, strlen(text), message, NULL)

static void assert_text(struct hl7_text text, const char *expected)
{
    assert_int_equal(text.n, strlen(expected));
    assert_memory_equal(text.at, expected, text.n);
}

static const char homerton[] =
    "MSH|^~\\&|HOMERTON_TIE|HOMERTON|WARDGATE|HOMERTON|20260722101500||ADT^A01|Q1T2X3|P|"
    "2.3.1\r"
    "PID|1|111|111^^^Homerton Case Note Number^CNN~222^^^Person ID^Person "
    "ID||O\\T\\N&x^J\"\"||19500101|Female\r\n"
    "PV1|1|Inpatient|GSU^Bay 1^Bed&sub^HOMERTON UNIVER^^Bed(s)||\"\"|\n"
    "ZVI|a|b\r";

static void test_cut(void **state)
{
    struct hl7_message m;
    const struct hl7_segment *pid, *pv1;
    struct hl7_text id;

    (void)state;
    assert_int_equal(PARSE(homerton, &m), HL7_OK);
    assert_int_equal(m.count, 4);
    pid = hl7_find(&m, "PID", 1);
    pv1 = hl7_find(&m, "PV1", 1);
    assert_null(hl7_find(&m, "PID", 2));
    assert_null(hl7_find(&m, "NK1", 1));
    assert_text(hl7_field(&m, hl7_find(&m, "MSH", 1), 1), "|");
    assert_text(hl7_field(&m, hl7_find(&m, "MSH", 1), 2), "^~\\&");
    assert_text(hl7_get(&m, "MSH", 9, 2), "A01");
    assert_text(hl7_get(&m, "MSH", 12, 1), "2.3.1");
    id = hl7_field(&m, pid, 3);
    assert_int_equal(hl7_repetitions(&m, id), 2);
    assert_text(hl7_component(&m, hl7_repetition(&m, id, 2), 1), "222");
    assert_text(hl7_component(&m, hl7_repetition(&m, id, 2), 5), "Person ID");
    assert_text(hl7_component(&m, hl7_repetition(&m, id, 3), 1), "");
    assert_text(hl7_subcomponent(&m, hl7_get(&m, "PV1", 3, 3), 1), "Bed");
    assert_text(hl7_subcomponent(&m, hl7_get(&m, "PV1", 3, 3), 2), "sub");
    assert_text(hl7_field(&m, pid, 99), "");
    assert_text(hl7_field(&m, NULL, 1), "");
    assert_text(hl7_field(&m, pid, 0), "PID");
    assert_int_equal(hl7_presence(hl7_field(&m, pv1, 5)), HL7_NULL);
    assert_int_equal(hl7_presence(hl7_field(&m, pv1, 6)), HL7_EMPTY);
    assert_int_equal(hl7_presence(hl7_field(&m, pv1, 2)), HL7_VALUE);
    assert_int_equal(hl7_repetitions(&m, hl7_field(&m, pv1, 6)), 0);
}

/* Anything but a message is refused, with the line at fault. */
static void test_refused(void **state)
{
    static const struct {
        const char *text;
        int error;
        size_t line;
    } bad[] = {
        {"", HL7_NOT_MSH, 1},
        {"\r\n\r\n", HL7_NOT_MSH, 1},
        {"PID|1\r", HL7_NOT_MSH, 1},
        {"MSH", HL7_NOT_MSH, 1},
        {"MSH|", HL7_NOT_MSH, 1},
        {"MSH||x|", HL7_DELIMITERS, 1},
        {"MSHA^~\\&A", HL7_DELIMITERS, 1},
        {"MSH ^~\\& ", HL7_DELIMITERS, 1},
        {"MSH|^^\\&|", HL7_DELIMITERS, 1},
        {"MSH|^~\\&#*|", HL7_DELIMITERS, 1},
        {"MSH|^a\\&|", HL7_DELIMITERS, 1},
        {"MSH|^~\\&|a\rpid|1\r", HL7_SEGMENT, 2},
        {"MSH|^~\\&|a\rPI\r", HL7_SEGMENT, 2},
        {"MSH|^~\\&|a\rPID^1\r", HL7_SEGMENT, 2},
        {"MSH|^~\\&|a\rEVN|x\r half a line", HL7_SEGMENT, 3},
        {"FHS|^~\\&|a\r", HL7_NOT_MSH, 1},
    };
    struct hl7_message m;
    size_t i, line;
    char *big;

    (void)state;
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(hl7_parse(bad[i].text, strlen(bad[i].text), &m, &line),
                         bad[i].error);
        assert_int_equal(line, bad[i].line);
    }
    big = malloc(HL7_MESSAGE_MAX + 1);
    memset(big, 'A', HL7_MESSAGE_MAX + 1);
    memcpy(big, "MSH|^~\\&|", 9);
    assert_int_equal(hl7_parse(big, HL7_MESSAGE_MAX + 1, &m, NULL), HL7_LIMIT);
    assert_int_equal(hl7_parse(big, HL7_MESSAGE_MAX, &m, NULL), HL7_OK);
    for (i = 9; i < HL7_MESSAGE_MAX; i++) /* lines of three letters */
        big[i] = i % 4 == 1 ? '\r' : 'Z';
    assert_int_equal(hl7_parse(big, HL7_MESSAGE_MAX, &m, &line), HL7_LIMIT);
    assert_int_equal(line, HL7_SEGMENTS_MAX + 1);
    free(big);
    print_message("%zu refused messages\n", sizeof(bad) / sizeof(bad[0]) + 2);
}

/* Cut anywhere, a message never makes the reader look past its end (the sanitizer
 * watches). */
static void test_truncated(void **state)
{
    struct hl7_message m;
    size_t n, f, r, c;
    char value[64];

    (void)state;
    for (n = 0; n <= strlen(homerton); n++) {
        char *copy = malloc(n + 1);

        memcpy(copy, homerton, n);
        if (hl7_parse(copy, n, &m, NULL) == HL7_OK)
            for (f = 0; f < 12; f++)
                for (r = 0; r < 3; r++)
                    for (c = 0; c < 6; c++)
                        (void)hl7_value(
                            &m,
                            hl7_component(
                                &m,
                                hl7_repetition(&m,
                                               hl7_field(&m, &m.segments[m.count - 1], f),
                                               r),
                                c),
                            value, sizeof(value));
        (void)hl7_control_id(copy, n);
        free(copy);
    }
}

static void test_values(void **state)
{
    static const struct {
        const char *raw, *value;
        int n;
    } cases[] = {
        {"plain", "plain", 5},
        {"", "", 0},
        {"\"\"", "", 0},
        {"\"\"x", "\"\"x", 3},
        {"  a b ", "a b", 3},
        {"\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\", 5},
        {"a\\.br\\b", "a\nb", 3},
        {"\\H\\bold\\N\\", "bold", 4},
        {"\\X41\\", "A", 1},
        {"\\X4142c3a9\\", "AB\xc3\xa9", 4},
        {"\\X4\\", "\\X4\\", 4},
        {"\\Xzz\\", "\\Xzz\\", 5},
        {"\\Q\\", "\\Q\\", 3},
        {"open\\F", "open\\F", 6},
        {"\\", "\\", 1},
        {"\\\\", "\\\\", 2},
        {"\\X0D\\", "\n", 1},
        {"Zo\xc3\xab", "Zo\xc3\xab", 4},
        {"Zo\xeb", "Zo\xc3\xab", 4},
        {"O\x92"
         "B",
         "O\xe2\x80\x99"
         "B",
         5},
        {"\xc0\xaf", "\xc3\x80\xc2\xaf", 4},
        {"\xed\xa0\x80", "\xc3\xad\xc2\xa0\xe2\x82\xac", 7},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", 4},
        {"a\tb", "a\tb", 3},
        {"\\X00\\", "", HL7_CONTROL},
        {"a\x1b"
         "b",
         "", HL7_CONTROL},
        {"a\x7f", "", HL7_CONTROL},
        {"\x0b", "", HL7_CONTROL},
    };
    struct hl7_message m;
    char value[32];
    size_t i;

    (void)state;
    assert_int_equal(PARSE("MSH|^~\\&|", &m), HL7_OK);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct hl7_text raw = {cases[i].raw, strlen(cases[i].raw)};

        assert_int_equal(hl7_value(&m, raw, value, sizeof(value)), cases[i].n);
        assert_string_equal(value, cases[i].value);
    }
    /* Exactly full, and one too many; also when the value grows on its way to UTF-8. */
    assert_int_equal(hl7_value(&m, (struct hl7_text){"abcd", 4}, value, 5), 4);
    assert_int_equal(hl7_value(&m, (struct hl7_text){"abcd", 4}, value, 4), HL7_LIMIT);
    assert_string_equal(value, "");
    assert_int_equal(hl7_value(&m, (struct hl7_text){"\xe9\xe9", 2}, value, 5), 4);
    assert_int_equal(hl7_value(&m, (struct hl7_text){"\xe9\xe9", 2}, value, 4),
                     HL7_LIMIT);
    assert_int_equal(hl7_value(&m, (struct hl7_text){"a", 1}, value, 0), HL7_LIMIT);
    print_message("%zu values\n", i);
}

static void test_other_delimiters(void **state)
{
    struct hl7_message m;
    char value[32];

    (void)state;
    assert_int_equal(PARSE("MSH#*+!%#a##c\rPID#1#x*y+z*w#p%q\r", &m), HL7_OK);
    assert_text(
        hl7_component(&m, hl7_repetition(&m, hl7_field(&m, hl7_find(&m, "PID", 1), 2), 2),
                      2),
        "w");
    assert_text(hl7_subcomponent(&m, hl7_get(&m, "PID", 3, 1), 2), "q");
    assert_int_equal(hl7_value(&m, (struct hl7_text){"!F!!S!!E!", 9}, value,
                               sizeof(value)),
                     3);
    assert_string_equal(value, "#*!");
    /* The fewest that a message may name. */
    assert_int_equal(PARSE("MSH|^|a\rPID|x~y&z\\F\\\r", &m), HL7_OK);
    assert_text(hl7_get(&m, "PID", 1, 1), "x~y&z\\F\\");
    assert_int_equal(hl7_repetitions(&m, hl7_field(&m, hl7_find(&m, "PID", 1), 1)), 1);
    /* 2.7's truncation character is not one of ours. */
    assert_int_equal(PARSE("MSH|^~\\&#|a\r", &m), HL7_OK);
}

static void test_times(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint8_t digits;
        bool zone;
        int32_t zone_s;
    } cases[] = {
        {"2026", true, 4, false, 0},
        {"202607", true, 6, false, 0},
        {"20260722", true, 8, false, 0},
        {"2026072214", true, 10, false, 0},
        {"202607221405", true, 12, false, 0},
        {"20260722140509", true, 14, false, 0},
        {"20260722140509.25", true, 14, false, 0},
        {"20260722140509.123456", true, 14, false, 0},
        {"20260722140509+0100", true, 14, true, 3600},
        {"20260722140509.1-0330", true, 14, true, -12600},
        {"20260722140509-0000", true, 14, true, 0},
        {"202607221405+0100", true, 12, true, 3600},
        {"20240229", true, 8, false, 0},
        {"20230229", false, 0, false, 0},
        {"20261301", false, 0, false, 0},
        {"20260732", false, 0, false, 0},
        {"2026072224", false, 0, false, 0},
        {"202607221460", false, 0, false, 0},
        {"", false, 0, false, 0},
        {"\"\"", false, 0, false, 0},
        {"202", false, 0, false, 0},
        {"20260", false, 0, false, 0},
        {"2026-07-22", false, 0, false, 0},
        {"20260722140509.", false, 0, false, 0},
        {"20260722140509.1234567", false, 0, false, 0},
        {"20260722140509Z", false, 0, false, 0},
        {"20260722140509+01", false, 0, false, 0},
        {"20260722140509+1500", false, 0, false, 0},
        {"20260722140509+0160", false, 0, false, 0},
        {"20260722140509 ", false, 0, false, 0},
        {"00000101", false, 0, false, 0},
    };
    struct hl7_time time;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool ok =
            hl7_time((struct hl7_text){cases[i].text, strlen(cases[i].text)}, &time);

        assert_int_equal(ok, cases[i].ok);
        if (!ok)
            continue;
        assert_int_equal(time.digits, cases[i].digits);
        assert_int_equal(time.has_zone, cases[i].zone);
        assert_int_equal(time.zone_s, cases[i].zone_s);
    }
    assert_true(hl7_time((struct hl7_text){"20260722140509.25", 17}, &time));
    assert_int_equal(time.microsecond, 250000);
    print_message("%zu times\n", i);
}

static void test_writer(void **state)
{
    struct hl7_writer w;
    char out[256];
    int size;

    (void)state;
    hl7_writer(&w, out, sizeof(out));
    hl7_segment(&w, "MSH");
    hl7_put(&w, 3, "A|B");
    hl7_put(&w, 9, "ORU");
    hl7_put_component(&w, 2, "R01");
    hl7_segment(&w, "PID");
    hl7_put(&w, 3, "1^2");
    hl7_put_component(&w, 4, "ns");
    hl7_put_subcomponent(&w, 2, "u&v");
    hl7_put_repetition(&w, "~");
    hl7_put_component(&w, 5, "MR");
    hl7_put(&w, 5, "");
    hl7_put_component(&w, 2, "\\J\nK");
    hl7_put_unsigned(&w, 7, UINT64_MAX);
    hl7_put(&w, 9, "");
    hl7_segment(&w, "PV1");
    hl7_put_raw(&w, 3, "W^R^B&x", 7);
    hl7_put(&w, 40, NULL);
    hl7_segment(&w, "ZZ1");
    size = hl7_finish(&w);
    assert_int_equal(size, strlen(out));
    assert_string_equal(
        out,
        "MSH|^~\\&|A\\F\\B||||||ORU^R01\r"
        "PID|||1\\S\\2^^^ns&u\\T\\v~\\R\\^^^^MR||^\\E\\J\\.br\\K||18446744073709551615\r"
        "PV1|||W^R^B&x\rZZ1\r");
}

/* What was written is read back as it was, whatever it was. */
static void test_round_trip(void **state)
{
    static const char *const texts[] = {"",      "x",       "|^~\\&",
                                        "\\F\\", "a\nb",    "Zo\xc3\xab \xf0\x9f\x98\x80",
                                        "\"\"x", "\\X41\\", "trailing\\"};
    struct hl7_writer w;
    struct hl7_message m;
    char out[4096], value[128];
    size_t i, n = sizeof(texts) / sizeof(texts[0]);
    int size;

    (void)state;
    hl7_writer(&w, out, sizeof(out));
    hl7_segment(&w, "MSH");
    hl7_segment(&w, "ZZZ");
    for (i = 0; i < n; i++) {
        hl7_put(&w, i + 1, texts[i]);
        hl7_put_component(&w, 3, texts[n - 1 - i]);
    }
    size = hl7_finish(&w);
    assert_true(size > 0);
    assert_int_equal(hl7_parse(out, (size_t)size, &m, NULL), HL7_OK);
    for (i = 0; i < n; i++) {
        assert_true(hl7_value(&m, hl7_get(&m, "ZZZ", i + 1, 1), value, sizeof(value)) >=
                    0);
        assert_string_equal(value, texts[i]);
        assert_true(hl7_value(&m, hl7_get(&m, "ZZZ", i + 1, 3), value, sizeof(value)) >=
                    0);
        assert_string_equal(value, texts[n - 1 - i]);
    }
}

static int write_one(void (*what)(struct hl7_writer *), char *out, size_t capacity)
{
    struct hl7_writer w;

    hl7_writer(&w, out, capacity);
    what(&w);
    return hl7_finish(&w);
}

static void back(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, 5, "a");
    hl7_put(w, 4, "b");
}
static void twice(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, 5, "a");
    hl7_put(w, 5, "b");
}
static void component_back(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, 5, "a");
    hl7_put_component(w, 3, "b");
    hl7_put_component(w, 2, "c");
}
static void component_one(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, 5, "a");
    hl7_put_component(w, 1, "b");
}
static void escape_character(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, 5, "a\x1b");
}
static void carriage(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, 5, "a\rOBX|");
}
static void raw_field(struct hl7_writer *w)
{
    hl7_segment(w, "PV1");
    hl7_put_raw(w, 3, "a|b", 3);
}
static void raw_end(struct hl7_writer *w)
{
    hl7_segment(w, "PV1");
    hl7_put_raw(w, 3, "a\x1c", 2);
}
static void no_segment(struct hl7_writer *w)
{
    hl7_put(w, 3, "a");
}
static void bad_name(struct hl7_writer *w)
{
    hl7_segment(w, "pid");
}
static void long_name(struct hl7_writer *w)
{
    hl7_segment(w, "PIDX");
}
static void far_field(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, HL7_FIELDS_MAX + 1, "a");
}
static void fits(struct hl7_writer *w)
{
    hl7_segment(w, "PID");
    hl7_put(w, 1, "abc");
}

static void test_writer_refuses(void **state)
{
    char out[64];

    (void)state;
    assert_int_equal(write_one(back, out, sizeof(out)), HL7_ORDER);
    assert_string_equal(out, "");
    assert_int_equal(write_one(twice, out, sizeof(out)), HL7_ORDER);
    assert_int_equal(write_one(component_back, out, sizeof(out)), HL7_ORDER);
    assert_int_equal(write_one(component_one, out, sizeof(out)), HL7_ORDER);
    assert_int_equal(write_one(escape_character, out, sizeof(out)), HL7_CONTROL);
    assert_int_equal(write_one(carriage, out, sizeof(out)), HL7_CONTROL);
    assert_int_equal(write_one(raw_field, out, sizeof(out)), HL7_CONTROL);
    assert_int_equal(write_one(raw_end, out, sizeof(out)), HL7_CONTROL);
    assert_int_equal(write_one(no_segment, out, sizeof(out)), HL7_ORDER);
    assert_int_equal(write_one(bad_name, out, sizeof(out)), HL7_SEGMENT);
    assert_int_equal(write_one(long_name, out, sizeof(out)), HL7_SEGMENT);
    assert_int_equal(write_one(far_field, out, sizeof(out)), HL7_ORDER);
    assert_int_equal(write_one(fits, out, 9), 8); /* "PID|abc\r" and a NUL */
    assert_int_equal(write_one(fits, out, 8), HL7_LIMIT);
    assert_int_equal(write_one(fits, out, 0), HL7_LIMIT);
}

static int ack(const char *text, enum hl7_verdict verdict, const struct hl7_fault *fault,
               char *out, size_t capacity)
{
    static struct hl7_message m;
    int error = PARSE(text, &m);

    return hl7_ack(error == HL7_OK ? &m : NULL, text, strlen(text), verdict, fault, "W1",
                   "20260722000000+0000", out, capacity);
}

static void test_ack(void **state)
{
    static const struct hl7_fault fault = {"PV1", 2, 3, 4, 101, "no bed"};
    char out[512];

    (void)state;
    assert_true(ack("MSH|^~\\&|SA|SF^x^y|RA|RF|2026||ADT^A01^ADT_A01|C1|P|2.5.1\r",
                    HL7_ACCEPT, NULL, out, sizeof(out)) > 0);
    assert_string_equal(out, "MSH|^~\\&|RA|RF|SA|SF^x^y|20260722000000+0000||ACK^A01^ACK|"
                             "W1|P|2.5.1\rMSA|AA|C1\r");
    assert_true(ack("MSH|^~\\&|SA|SF|RA|RF|2026||ADT^A01^ADT_A01|C1|P|2.5.1\r", HL7_ERROR,
                    &fault, out, sizeof(out)) > 0);
    assert_string_equal(
        strstr(out, "MSA"),
        "MSA|AE|C1\rERR||PV1^2^3^1^4|101^Required field missing^HL70357|E||||no bed\r");
    assert_true(ack("MSH|^~\\&|SA|SF|RA|RF|2026||ADT^A01|C1|P|2.3.1\r", HL7_REJECT,
                    &fault, out, sizeof(out)) > 0);
    assert_string_equal(
        out, "MSH|^~\\&|RA|RF|SA|SF|20260722000000+0000||ACK^A01|W1|P|2.3.1\r"
             "MSA|AR|C1|no bed\rERR|PV1^2^3^101&Required field missing&HL70357\r");
    /* Enhanced mode, and what a commit acknowledgement says. */
    assert_true(ack("MSH|^~\\&|||||2026||ORU^R01|C1|P|2.6|||AL|NE\r", HL7_ACCEPT, NULL,
                    out, sizeof(out)) > 0);
    assert_string_equal(strstr(out, "MSA"), "MSA|CA|C1\r");
    assert_true(ack("MSH|^~\\&|||||2026||ORU^R01|C1|P|2.6|||ER|NE\r", HL7_REJECT, NULL,
                    out, sizeof(out)) > 0);
    assert_string_equal(strstr(out, "MSA"), "MSA|CR|C1\r");
    assert_true(ack("MSH|^~\\&|||||2026||ORU^R01|C1|P|2.6|||NE|AL\r", HL7_ERROR, NULL,
                    out, sizeof(out)) > 0);
    assert_string_equal(strstr(out, "MSA"), "MSA|AE|C1\r");
    /* Something that is no message at all, with and without an id that can be found. */
    assert_true(ack("MSH|^~\\&|SA|SF|RA|RF|2026||ADT^A01|C9|P|2.3\rbroken\r", HL7_ERROR,
                    &fault, out, sizeof(out)) > 0);
    assert_string_equal(
        out, "MSH|^~\\&|||||20260722000000+0000||ACK|W1|P|2.5.1\rMSA|AE|C9\r"
             "ERR||PV1^2^3^1^4|101^Required field missing^HL70357|E||||no bed\r");
    assert_true(ack("nonsense", HL7_ERROR, NULL, out, sizeof(out)) > 0);
    assert_string_equal(strstr(out, "MSA"), "MSA|AE\r");
    /* The id is echoed byte for byte, escapes and all; version and processing id as they
     * came. */
    assert_true(ack("MSH|^~\\&|||||2026||ADT^A01|a\\T\\b^c|T|2.8\r", HL7_ACCEPT, NULL,
                    out, sizeof(out)) > 0);
    assert_non_null(strstr(out, "|T|2.8\rMSA|AA|a\\T\\b^c\r"));
    assert_int_equal(ack("MSH|^~\\&|||||2026||ADT^A01|C1|P|2.5\r", HL7_ACCEPT, NULL, out,
                         40),
                     HL7_LIMIT);
}

static void test_answer(void **state)
{
    struct hl7_answer a;
    static const char *const bad[] = {
        "",
        "MSH|^~\\&|\r",
        "MSH|^~\\&|\rMSA|\r",
        "MSH|^~\\&|\rMSA|ZZ|1\r",
        "MSH|^~\\&|\rMSA|aa|1\r",
        "MSA|AA|1\r",
    };
    const char *text = "MSH|^~\\&|a|b\rMSA|AE|X1|old words\rERR||PID^1|204^Unknown "
                       "key^HL70357|E||||No such patient\r";
    size_t i;

    (void)state;
    assert_int_equal(hl7_answer(text, strlen(text), &a), HL7_OK);
    assert_string_equal(a.code, "AE");
    assert_string_equal(a.control_id, "X1");
    assert_string_equal(a.text, "No such patient");
    text = "MSH|^~\\&|a|b\rMSA|CA|a\\T\\b^c|fine\r";
    assert_int_equal(hl7_answer(text, strlen(text), &a), HL7_OK);
    assert_string_equal(a.control_id, "a\\T\\b^c");
    assert_string_equal(a.text, "fine");
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(hl7_answer(bad[i], strlen(bad[i]), &a) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_other_delimiters),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_ack),
        cmocka_unit_test(test_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
