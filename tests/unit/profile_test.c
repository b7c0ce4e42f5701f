/* SPDX-License-Identifier: Apache-2.0
 *
 * profile: one good profile, and what happens to it when a single thing in it is wrong.
 * Each bad case names its exact error text.
 */
#include "drivers_test.h"

#include "ports/profile.h"

#include <dirent.h>
#include <unistd.h>

/* Every kind of field. Lines are counted by the bad cases: keep their numbers. */
static const char good[] =
    "name: test-device\n"            /* 1 */
    "title: A device of the tests\n" /* 2 */
    "status: stable\n"               /* 3 */
    "evidence: made up\n"            /* 4 */
    "hole_max: 4\n"                  /* 5 */
    "block_max: 20\n"                /* 6 */
    "response_ms: 100\n"             /* 7 */
    "turnaround_ms: 5\n"             /* 8 */
    "every_ms: 1000\n"               /* 9 */
    "fields:\n"                      /* 10 */
    "  - {name: count, role: sample, function: 3, address: 0, type: u32, order: "
    "CDAB}\n"                                                               /* 11 */
    "  - name: hr\n"                                                        /* 12 */
    "    function: 3\n"                                                     /* 13 */
    "    address: 2\n"                                                      /* 14 */
    "    type: u16\n"                                                       /* 15 */
    "    scale: 0.1\n"                                                      /* 16 */
    "    offset: -40\n"                                                     /* 17 */
    "    minimum: 0\n"                                                      /* 18 */
    "    maximum: 350.5\n"                                                  /* 19 */
    "    code: MDC_ECG_HEART_RATE\n"                                        /* 20 */
    "    unit: MDC_DIM_BEAT_PER_MIN\n"                                      /* 21 */
    "    absent: [0x8000, {raw: 0xFFFF, quality: [sensor-off, invalid]}]\n" /* 22 */
    "  - name: temp\n"                                                      /* 23 */
    "    function: 3\n"                                                     /* 24 */
    "    address: 4\n"                                                      /* 25 */
    "    type: f32\n"                                                       /* 26 */
    "    order: CDAB\n"                                                     /* 27 */
    "    decimals: 1\n"                                                     /* 28 */
    "    code: 150344\n"                                                    /* 29 */
    "    unit: 268192\n"                                                    /* 30 */
    "  - name: door\n"                                                      /* 31 */
    "    function: 3\n"                                                     /* 32 */
    "    address: 6\n"                                                      /* 33 */
    "    type: bits\n"                                                      /* 34 */
    "    bit: 4\n"                                                          /* 35 */
    "    bits: 2\n"                                                         /* 36 */
    "    code: 67108865\n"                                                  /* 37 */
    "    values: [{raw: 1, coded: 67108866, label: closed}, {raw: 2, coded: "
    "67108867, label: open}]\n" /* 38 */
    "  - {name: test, role: selftest, function: 3, address: 7, type: i16, expect: "
    "0xCFC7}\n" /* 39 */
    "  - {name: serial, role: identity, function: 3, address: 8, type: text, length: "
    "2}\n"                                               /* 40 */
    "golden:\n"                                          /* 41 */
    "  - framing: tcp\n"                                 /* 42 */
    "    request: 00 01 00 00 00 06 01 03 00 00 00 0A\n" /* 43 */
    "    reply: 000100000017 01 03 14 00020001 05DC 0000 333341B3 0020 CFC7 414200 "
    "00\n"                                          /* 44 */
    "    expect:\n"                                 /* 45 */
    "      count: 65538\n"                          /* 46 */
    "      hr: \"110.0\"\n"                         /* 47 */
    "      temp: \"22.4\"\n"                        /* 48 */
    "      door: open\n"                            /* 49 */
    "      test: ok\n"                              /* 50 */
    "      serial: AB\n"                            /* 51 */
    "  - framing: rtu\n"                            /* 52 */
    "    request: 01 03 00 02 00 01 25 CA\n"        /* 53 */
    "    reply: 01 03 02 FF FF B9 F4\n"             /* 54 */
    "    expect: {hr: absent invalid sensor-off}\n" /* 55 */
    "  - framing: rtu\n"                            /* 56 */
    "    request: 01 03 00 02 00 01 25 CA\n"        /* 57 */
    "    reply: 01 03 02 13 88 B5 12\n"             /* 58 */
    "    expect: {hr: 460.0 out-of-range}\n";       /* 59 */

static void test_good(void **state)
{
    char error[PROFILE_ERROR_MAX];
    struct profile *profile;

    (void)state;
    int result = profile_load_string("good.yaml", good, strlen(good), &profile, error,
                                     sizeof(error));
    if (result)
        print_error("%s\n", error);
    assert_int_equal(result, PROFILE_OK);
    assert_string_equal(error, "");
    const struct regmap *m = profile_regmap(profile);
    assert_string_equal(m->name, "test-device");
    assert_string_equal(m->title, "A device of the tests");
    assert_true(m->stable);
    assert_int_equal(m->hole_max, 4);
    assert_int_equal(m->block_max, 20);
    assert_int_equal(m->response_ms, 100);
    assert_int_equal(m->turnaround_ms, 5);
    assert_int_equal(m->every_ms, 1000);
    assert_int_equal(m->field_count, 6);
    const struct regmap_field *hr = &m->fields[1];
    assert_true(hr->scale == 1 && hr->scale_exponent == -1 && hr->offset == -400);
    assert_true(hr->has_minimum && hr->minimum == 0 && hr->has_maximum &&
                hr->maximum == 3505);
    assert_int_equal(hr->limit_exponent, -1);
    assert_int_equal(hr->code, 147842);
    assert_int_equal(hr->unit, 264864);
    assert_int_equal(hr->sentinel_count, 2);
    assert_int_equal(hr->sentinels[1].raw, 0xFFFF);
    assert_int_equal(hr->sentinels[1].quality, QUALITY_SENSOR_OFF | QUALITY_INVALID);
    assert_int_equal(m->fields[3].value_count, 2);
    assert_string_equal(m->fields[3].values[1].label, "open");
    profile_free(profile);
    profile_free(NULL);
}

/* The good profile with the first `old` replaced, and what is said then. */
static const struct bad {
    const char *old, *new, *error;
} bad[] = {
    /* the text */
    {"name: test-device\n", "name: [a\n", "2: yaml: did not find expected ',' or ']'"},
    {"name: test-device\n", "\tname: x\n",
     "1: yaml: found character that cannot start any token"},
    {"name: test-device\n", "- 1\n", "2: yaml: did not find expected '-' indicator"},
    {"    expect: {hr: 460.0 out-of-range}\n",
     "    expect: {hr: 460.0 out-of-range}\n---\nmore\n",
     "60: file: has more than one document"},
    /* keys */
    {"title: A", "titel: A", "2: titel: unknown key"},
    {"status: stable", "name: again\nstatus: stable", "3: name: given twice"},
    {"status: stable\n", "", "1: status: missing"},
    {"response_ms: 100\n", "", "1: response_ms: missing"},
    {"    type: u16\n", "", "12: type: missing"},
    {"    scale: 0.1\n", "    scaling: 0.1\n", "16: scaling: unknown key"},
    {"    scale: 0.1\n", "    scale: 0.1\n    scale: 0.1\n", "17: scale: given twice"},
    {"raw: 1, coded", "raw: 1, kode", "38: kode: unknown key"},
    {"framing: tcp", "frame: tcp", "42: frame: unknown key"},
    {"    request: 00 01 00 00 00 06 01 03 00 00 00 0A\n", "", "42: request: missing"},
    {"title: A device of the tests", "? [a]\n: b\ntitle: x",
     "2: key: must be a single value"},
    /* kinds of value */
    {"name: test-device", "name: {a: b}", "1: name: must be a single value"},
    {"name: test-device", "name: test device",
     "1: name: must be 1 to 31 letters, digits, - or _"},
    {"name: test-device", "name: ''", "1: name: must be 1 to 31 letters, digits, - or _"},
    {"title: A device of the tests", "title: 'say \"x\"'",
     "2: title: must be 1 to 80 plain characters without quotes"},
    {"status: stable", "status: good", "3: status: must be one of beta, stable"},
    {"evidence: made up", "evidence: ''",
     "4: evidence: must be 1 to 200 plain characters without quotes"},
    {"hole_max: 4", "hole_max: 125", "5: hole_max: must be a whole number from 0 to 124"},
    {"block_max: 20", "block_max: 0",
     "6: block_max: must be a whole number from 1 to 125"},
    {"response_ms: 100", "response_ms: -1",
     "7: response_ms: must be a whole number from 1 to 60000"},
    {"every_ms: 1000", "every_ms: 1.5",
     "9: every_ms: must be a whole number from 10 to 86400000"},
    {"every_ms: 1000", "every_ms: 0x",
     "9: every_ms: must be a whole number from 10 to 86400000"},
    {"every_ms: 1000", "every_ms: 99999999999999999999",
     "9: every_ms: must be a whole number from 10 to 86400000"},
    {"fields:\n", "fields: 7\nrest:\n", "10: fields: must be a list"},
    {"    function: 3\n", "    function: 6\n",
     "13: function: must be a whole number from 1 to 4"},
    {"    address: 2\n", "    address: 65536\n",
     "14: address: must be a whole number from 0 to 65535"},
    {"    address: 4\n", "    address: 65535\n", "25: address: reaches beyond 65535"},
    {"type: u16", "type: u8",
     "15: type: must be one of u16, i16, u32, i32, u64, i64, f32, f64, sfloat, float, "
     "bcd16, "
     "bcd32, sm16, text, bit, bits"},
    {"    order: CDAB\n", "    order: DCAB\n",
     "27: order: must be one of ABCD, CDAB, BADC, DCBA"},
    {"scale: 0.1", "scale: 1e-1",
     "16: scale: must be a decimal number of at most 18 digits"},
    {"scale: 0.1", "scale: 0", "16: scale: must not be 0"},
    {"minimum: 0", "minimum: low",
     "18: minimum: must be a decimal number of at most 18 digits"},
    {"code: MDC_ECG_HEART_RATE", "code: MDC_HEART", "20: code: is not a known MDC code"},
    {"code: MDC_ECG_HEART_RATE", "code: MDC_DIM_PERCENT",
     "20: code: is a unit, not a quantity"},
    {"code: 150344", "code: 344",
     "29: code: must be a whole number from 65536 to 4294967295"},
    {"unit: MDC_DIM_BEAT_PER_MIN", "unit: bpm", "21: unit: is not a known MDC unit"},
    {"unit: MDC_DIM_BEAT_PER_MIN", "unit: MDC_TEMP",
     "21: unit: is a quantity, not a unit"},
    {"unit: 268192", "unit: 262145", "30: unit: is not a known MDC unit"},
    {"quality: [sensor-off", "quality: [finger-off",
     "22: quality: must be one of invalid, questionable, sensor-off, out-of-range, demo, "
     "test, "
     "calibrating, stale"},
    {"absent: [0x8000", "absent: [0x18000", "22: absent: 0x18000 does not fit the type"},
    {"absent: [0x8000", "absent: [0xFFFF", "22: absent: lists a value twice"},
    {"absent: [0x8000, ", "absent: [1, 2, 3, 4, 5, 6, ",
     "22: absent: must have 1 to 6 entries"},
    {"raw: 2, coded", "raw: 1, coded", "38: values: lists a value twice"},
    {"label: open", "label: closed", "38: values: lists a value twice"},
    {"raw: 2, coded", "raw: 4, coded", "38: values: 4 does not fit the type"},
    {"expect: 0xCFC7", "expect: 0x1CFC7", "39: expect: does not fit the type"},
    /* what a field needs, and what it must not have */
    {"    unit: MDC_DIM_BEAT_PER_MIN\n", "",
     "12: unit: missing: a number without a unit is no value"},
    {"    code: MDC_ECG_HEART_RATE\n", "", "12: code: missing: what is observed?"},
    {"    decimals: 1\n", "",
     "23: decimals: missing: a binary float does not say how many digits it means"},
    {"    order: CDAB\n", "",
     "23: order: missing: a value of several registers needs its word order"},
    {"    type: u16\n", "    type: u16\n    order: CDAB\n",
     "16: order: must be ABCD or BADC here"},
    {"    type: u16\n", "    type: u16\n    decimals: 1\n",
     "16: decimals: is only for types f32 and f64"},
    {"    type: u16\n", "    type: u16\n    length: 1\n",
     "16: length: is only for type text"},
    {"    type: u16\n", "    type: u16\n    bit: 1\n",
     "16: bit: is only for bits of a register"},
    {"    type: u16\n", "    type: u16\n    expect: 1\n",
     "16: expect: is only for role selftest"},
    {"    bit: 4\n", "", "31: bit: missing: which bit?"},
    {"    bits: 2\n", "", "31: bits: missing: how many bits?"},
    {"    bit: 4\n", "    bit: 15\n", "36: bits: reach beyond the register"},
    {", length: 2}", "}", "40: length: missing: a text needs its registers"},
    {", length: 2}", ", length: 33}", "40: length: must be a whole number from 1 to 32"},
    {", length: 2}", ", length: 21}", "40: block_max: serial is longer than one read"},
    {", expect: 0xCFC7}", "}", "39: expect: missing: what must it read?"},
    {"type: i16, expect: 0xCFC7", "type: text, length: 1, expect: 1",
     "39: type: a self test is a number"},
    {"role: sample, function: 3, address: 0, type: u32",
     "role: sample, function: 3, address: 0, type: i32",
     "11: type: a sample counter is unsigned"},
    {"role: sample, function: 3", "role: sample, unit: MDC_DIM_MMHG, function: 3",
     "11: unit: is only for numbers that are observed"},
    {"    function: 3\n    address: 2\n", "    function: 1\n    address: 2\n",
     "15: type: functions 1 and 2 read type bit"},
    {"minimum: 0\n", "minimum: 351\n", "19: maximum: must be greater than the minimum"},
    {"offset: -40\n", "offset: -999999999999999999\n",
     "17: offset: has too many digits beside the scale"},
    /* between fields */
    {"  - name: temp\n", "  - name: hr\n", "23: name: hr is there already"},
    {"    address: 4\n", "    address: 1\n", "23: address: temp overlaps count"},
    {"address: 8, type: text", "address: 7, type: text",
     "40: address: serial overlaps test"},
    {"role: identity, function: 3, address: 8, type: text, length: 2",
     "role: sample, function: 3, address: 8, type: u16",
     "40: role: there is a sample counter already"},
    /* golden frames */
    {"golden:\n", "golden: []\nmore:\n", "42: more: unknown key"},
    {"framing: tcp", "framing: udp", "42: framing: must be one of rtu, tcp, ascii"},
    {"framing: tcp", "framing: ascii",
     "43: request: must begin with a colon if it is ascii, and only then"},
    {"request: 00 01 00 00 00 06 01 03 00 00 00 0A", "request: 0 1",
     "43: request: must be at most 260 bytes in hex"},
    {"request: 00 01 00 00 00 06 01 03 00 00 00 0A",
     "request: 00 01 00 00 00 07 01 03 00 00 00 0A",
     "43: request: is not a Modbus TCP frame of its own length"},
    {"request: 00 01 00 00 00 06 01 03 00 00 00 0A",
     "request: 00 01 00 00 00 06 01 06 00 00 00 0A",
     "43: request: is not a read with function 1 to 4"},
    {"request: 00 01 00 00 00 06 01 03 00 00 00 0A",
     "request: 00 02 00 00 00 06 01 03 00 00 00 0A",
     "44: reply: does not answer the request"},
    {"request: 00 01 00 00 00 06 01 03 00 00 00 0A",
     "request: 00 01 00 00 00 06 02 03 00 00 00 0A",
     "44: reply: does not answer the request"},
    {"request: 00 01 00 00 00 06 01 03 00 00 00 0A",
     "request: 00 01 00 00 00 06 01 03 00 00 00 0B",
     "44: reply: must carry 22 bytes of data"},
    {"00 01 25 CA\n", "00 01 25 CB\n",
     "53: request: ends in the wrong CRC: 25 CA is right"},
    {"FF FF B9 F4", "FF FE B9 F4", "54: reply: ends in the wrong CRC: 78 34 is right"},
    {"request: 01 03 00 02 00 01 25 CA\n    reply: 01 03 02 FF",
     "request: 01 03\n    reply: 01 03 02 FF",
     "53: request: is too short for an RTU frame"},
    {"hr: \"110.0\"", "hr: \"110\"", "47: hr: decodes to \"110.0\", not \"110\""},
    {"temp: \"22.4\"", "temp: \"22.5\"", "48: temp: decodes to \"22.4\", not \"22.5\""},
    {"count: 65538", "count: 131073", "46: count: decodes to \"65538\", not \"131073\""},
    {"door: open", "door: closed", "49: door: decodes to \"open\", not \"closed\""},
    {"test: ok", "test: wrong", "50: test: decodes to \"ok\", not \"wrong\""},
    {"serial: AB", "serial: AC", "51: serial: decodes to \"AB\", not \"AC\""},
    {"absent invalid sensor-off}", "absent}",
     "55: hr: decodes to \"absent invalid sensor-off\", not \"absent\""},
    {"460.0 out-of-range}", "460.0}",
     "59: hr: decodes to \"460.0 out-of-range\", not \"460.0\""},
    {"      door: open\n", "", "45: expect: door is in the reply: say what it means"},
    {"      door: open\n", "      gate: open\n", "49: expect: gate is not a field"},
    {"      door: open\n", "      hr: \"110.0\"\n", "49: hr: given twice"},
    {"expect: {hr: absent", "expect: {temp: \"22.4\", hr: absent",
     "55: temp: is not in this reply"},
    {"    expect: {hr: 460.0 out-of-range}", "    expect: 7",
     "59: expect: must be a mapping"},
    /* wrong tables that only golden frames show: scale, order, sentinel, offset, address
     */
    {"scale: 0.1", "scale: 1", "47: hr: decodes to \"1460 out-of-range\", not \"110.0\""},
    {"    order: CDAB\n", "    order: ABCD\n",
     "48: temp: decodes to \"0.0\", not \"22.4\""},
    {"    order: CDAB\n", "    order: BADC\n",
     "48: temp: decodes to \"0.0\", not \"22.4\""},
    {"    offset: -40\n", "", "46: hr: decodes to \"150.0\", not \"110.0\""},
    {"    absent: [0x8000, {raw: 0xFFFF, quality: [sensor-off, invalid]}]\n", "",
     "54: hr: decodes to \"6513.5 out-of-range\", not \"absent invalid sensor-off\""},
    {"    bit: 4\n", "    bit: 5\n", "49: door: decodes to \"closed\", not \"open\""},
};

static char *replaced(const char *old, const char *new)
{
    const char *at = strstr(good, old);
    size_t size = strlen(good) + strlen(new) + 1;
    char *text = malloc(size);

    assert_non_null(at);
    assert_non_null(text);
    snprintf(text, size, "%.*s%s%s", (int)(at - good), good, new, at + strlen(old));
    return text;
}

static void test_bad(void **state)
{
    size_t wrong = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        char error[PROFILE_ERROR_MAX], want[PROFILE_ERROR_MAX];
        struct profile *profile = (struct profile *)1;
        char *text = replaced(bad[i].old, bad[i].new);
        int result = profile_load_string("dir/bad.yaml", text, strlen(text), &profile,
                                         error, sizeof(error));
        snprintf(want, sizeof(want), "dir/bad.yaml:%s", bad[i].error);
        if (result != PROFILE_BAD || strcmp(error, want) != 0 || profile) {
            print_error("case %zu (%s): \"%s\" instead of \"%s\"\n", i, bad[i].new, error,
                        want);
            wrong++;
        }
        free(text);
    }
    printf("profile: %zu bad profiles, each with its own error\n", COUNT(bad));
    assert_int_equal(wrong, 0);
}

/* Profiles that the replacement cannot make. */
static void test_bad_whole(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "x:1: file: is empty"},
        {"[]", "x:1: file: must be a mapping"},
        {"7", "x:1: file: must be a mapping"},
        {"{}", "x:1: name: missing"},
        {"name: \"a\\0b\"", "x:1: name: has a zero byte"},
        {"name: \xFF", "x:1: yaml: invalid leading UTF-8 octet"},
        {"a: &a [*a]", "x:1: a: unknown key"},
        {"fields: &a [*a]", "x:1: name: must be a mapping"},
        {"fields: []", "x:1: fields: must have 1 to 200 entries"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        char error[PROFILE_ERROR_MAX];
        struct profile *profile;
        assert_int_equal(profile_load_string("x", cases[i].text, strlen(cases[i].text),
                                             &profile, error, sizeof(error)),
                         PROFILE_BAD);
        if (i != 7) /* the name of a list's entry is the list's business */
            assert_string_equal(error, cases[i].error);
        assert_null(profile);
    }
}

/* A golden list that is empty, or that leaves a field unread. */
static void test_golden_coverage(void **state)
{
    char error[PROFILE_ERROR_MAX], *text = replaced("golden:\n", "golden: []\n");
    struct profile *profile;

    (void)state;
    *strstr(text, "golden: []\n") = '\0';
    size_t length = strlen(text);
    snprintf(text + length, 12, "golden: []\n");
    assert_int_equal(profile_load_string("x", text, strlen(text), &profile, error,
                                         sizeof(error)),
                     PROFILE_BAD);
    assert_string_equal(error, "x:41: golden: must have 1 to 64 entries");
    text[length] = '\0';
    assert_int_equal(profile_load_string("x", text, strlen(text), &profile, error,
                                         sizeof(error)),
                     PROFILE_BAD);
    assert_string_equal(error, "x:1: golden: missing");
    free(text);
    text = replaced("  - framing: tcp\n", "  - framing: rtu\n");
    char *first = strstr(text, "  - framing: rtu\n"),
         *rest = strstr(first + 1, "  - framing");
    memmove(first, rest, strlen(rest) + 1); /* only the two that read hr */
    assert_int_equal(profile_load_string("x", text, strlen(text), &profile, error,
                                         sizeof(error)),
                     PROFILE_BAD);
    assert_string_equal(error, "x:23: golden: no frame reads temp");
    free(text);
}

/* Every byte of every golden reply changed: each one is noticed. */
static void test_golden_bytes(void **state)
{
    char error[PROFILE_ERROR_MAX];
    struct profile *profile;
    size_t changed = 0, noticed = 0;

    (void)state;
    for (const char *line = strstr(good, "golden:"); line;
         line = strchr(line + 1, '\n')) {
        const char *bytes = strstr(line, "reply: "), *end = strchr(line + 1, '\n');
        if (!bytes || !end || bytes > end)
            continue;
        for (const char *at = bytes + 7; at < end; at++) {
            char *text = replaced("name: test-device", "name: test-device");
            char *digit = text + (at - good);
            if (*digit != ' ') {
                *digit = *digit == '7' ? '8' : '7';
                changed++;
                noticed += profile_load_string("x", text, strlen(text), &profile, error,
                                               sizeof(error)) == PROFILE_BAD;
                profile_free(profile);
            }
            free(text);
        }
    }
    printf("profile: %zu digits of golden replies changed, %zu noticed\n", changed,
           noticed);
    /* Not part of any value: the unused register 3 (4 digits), the digits 1, 2 and 4 of
     * the door's register, the byte behind the text's end (2), and the low half of the
     * float, which changes 22.4 by less than it is rounded (4). */
    assert_true(changed > 60 && changed - noticed <= 13);
}

/* Short buffers for the message: cut, terminated, never written beyond. */
static void test_error_sizes(void **state)
{
    static const char full[] = "x:1: name: missing";

    (void)state;
    for (size_t size = 0; size <= sizeof(full); size++) {
        char *error = malloc(size ? size : 1);
        struct profile *profile;
        assert_non_null(error);
        assert_int_equal(profile_load_string("x", "{}", 2, &profile, error, size),
                         PROFILE_BAD);
        if (size)
            assert_true(strncmp(error, full, size - 1) == 0 && strlen(error) < size);
        free(error);
    }
}

static void test_files(void **state)
{
    char path[] = "/tmp/profile_test_XXXXXX", error[PROFILE_ERROR_MAX], want[100];
    struct profile *profile;
    int fd = mkstemp(path);
    FILE *file;

    (void)state;
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_non_null(file);
    fputs(good, file);
    fflush(file);
    assert_int_equal(profile_load(path, &profile, error, sizeof(error)), PROFILE_OK);
    profile_free(profile);
    for (size_t i = 0; i <= PROFILE_SIZE_MAX; i++)
        fputc('#', file);
    fclose(file);
    assert_int_equal(profile_load(path, &profile, error, sizeof(error)),
                     PROFILE_UNREADABLE);
    snprintf(want, sizeof(want), "%s:0: file: is larger than 256 KiB", path);
    assert_string_equal(error, want);
    unlink(path);
    assert_int_equal(profile_load(path, &profile, error, sizeof(error)),
                     PROFILE_UNREADABLE);
    snprintf(want, sizeof(want), "%s:0: file: cannot be opened", path);
    assert_string_equal(error, want);
    assert_null(profile);
    assert_int_equal(profile_load("/", &profile, error, sizeof(error)),
                     PROFILE_UNREADABLE);
}

/* What the build compiled is what the loader reads, field by field. */
static void test_shipped(void **state)
{
    static const char folder[] = "drivers/profiles";
    DIR *dir = opendir(folder);
    size_t profiles = 0, fields = 0;
    char path[300], error[PROFILE_ERROR_MAX];

    (void)state;
    if (!dir) {
        printf("skip: shipped profiles: not run from the project's root\n");
        skip();
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        struct profile *profile;
        if (!strstr(entry->d_name, ".yaml"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        int result = profile_load(path, &profile, error, sizeof(error));
        if (result)
            print_error("%s\n", error);
        assert_int_equal(result, PROFILE_OK);
        const struct regmap *a = profile_regmap(profile), *b = regmap_by_name(a->name);
        assert_non_null(b);
        assert_string_equal(a->title, b->title);
        assert_true(a->stable == b->stable && a->hole_max == b->hole_max &&
                    a->block_max == b->block_max && a->response_ms == b->response_ms &&
                    a->turnaround_ms == b->turnaround_ms && a->every_ms == b->every_ms &&
                    a->field_count == b->field_count);
        for (uint16_t i = 0; i < a->field_count; i++, fields++) {
            struct regmap_field x = a->fields[i], y = b->fields[i];
            assert_string_equal(x.name, y.name);
            assert_int_equal(x.value_count, y.value_count);
            for (uint16_t v = 0; v < x.value_count; v++)
                assert_true(x.values[v].raw == y.values[v].raw &&
                            x.values[v].coded == y.values[v].coded &&
                            strcmp(x.values[v].label, y.values[v].label) == 0);
            assert_true(x.role == y.role && x.function == y.function &&
                        x.address == y.address);
            assert_true(x.type == y.type && x.order == y.order && x.length == y.length);
            assert_true(x.bit == y.bit && x.bits == y.bits && x.decimals == y.decimals);
            assert_true(x.scale == y.scale && x.offset == y.offset);
            assert_true(x.scale_exponent == y.scale_exponent);
            assert_true(x.has_minimum == y.has_minimum && x.has_maximum == y.has_maximum);
            assert_true(x.minimum == y.minimum && x.maximum == y.maximum);
            assert_true(x.limit_exponent == y.limit_exponent && x.expect == y.expect);
            assert_true(x.code == y.code && x.unit == y.unit && x.every_ms == y.every_ms);
            assert_true(x.site == y.site && x.method == y.method);
            assert_int_equal(x.sentinel_count, y.sentinel_count);
            for (uint8_t s = 0; s < x.sentinel_count; s++)
                assert_true(x.sentinels[s].raw == y.sentinels[s].raw &&
                            x.sentinels[s].quality == y.sentinels[s].quality);
        }
        profile_free(profile);
        profiles++;
    }
    closedir(dir);
    printf("profile: %zu shipped profiles, %zu fields as compiled\n", profiles, fields);
    assert_true(profiles >= 4);
}

/* An ASCII device's frames are written as on its line, and its check is the sum. */
static void test_ascii(void **state)
{
    static const char head[] =
        "name: freezer\ntitle: t\nstatus: beta\nevidence: e\nresponse_ms: 100\n"
        "every_ms: 1000\nfields:\n"
        "  - {name: set-point, function: 3, address: 0x530, type: i32, order: ABCD, "
        "scale: "
        "0.1, code: 67109121, unit: MDC_DIM_DEGC}\n"
        "golden:\n  - framing: ascii\n    request: \":010305300002C5\"\n";
    static const struct {
        const char *reply, *error;
    } cases[] = {
        {"\":010304FFFFFCE01E\"", NULL},
        {"\":010304FFFFFCE01F\"", "p:12: reply: ends in the wrong LRC: 1E is right"},
        {"\":010304FFFFFD441E\"", "p:12: reply: ends in the wrong LRC: B9 is right"},
        {"\":010304FFFFFD44B9\"", "set-point"},
        {"\":01\"", "p:12: reply: is too short for an ASCII frame"},
        {"\":020304FFFFFCE01D\"", "p:12: reply: does not answer the request"},
        {"01 03 04 FF FF FC E0 1E", "p:12: reply: must begin with a colon"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct profile *profile = NULL;
        char text[1000], error[PROFILE_ERROR_MAX] = "";
        int n = snprintf(text, sizeof(text),
                         "%s    reply: %s\n    expect: {set-point: \"-80.0\"}\n", head,
                         cases[i].reply);
        int result =
            profile_load_string("p", text, (size_t)n, &profile, error, sizeof(error));
        if (cases[i].error == NULL && result != PROFILE_OK)
            fail_msg("%s", error);
        if (cases[i].error != NULL &&
            (result != PROFILE_BAD || strstr(error, cases[i].error) == NULL))
            fail_msg("case %zu: %s", i, error);
        profile_free(profile);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bad_whole),    cmocka_unit_test(test_golden_coverage),
        cmocka_unit_test(test_golden_bytes), cmocka_unit_test(test_error_sizes),
        cmocka_unit_test(test_ascii),        cmocka_unit_test(test_files),
        cmocka_unit_test(test_shipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
