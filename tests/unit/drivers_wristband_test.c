/* SPDX-License-Identifier: Apache-2.0
 *
 * Wristbands: the right patient's number or none, and nothing of any of it left behind.
 */
#include "drivers_test.h"

#include "drivers/emulate/wristband.h"
#include "drivers/wristband.h"

#define NHS  "9990000018"
#define GSRN "952123499900000180" /* of that number under the demonstration prefix */
#define GS   "\x1D"
#define BAND "]d28018" GSRN GS "80191" GS "91RQXM1,12345678" GS "93SMITH,John,18-Jan-1980"

/* What a scanner's driver gave, and its state. */
struct scans {
    const struct driver *driver;
    struct driver_scan_sink sink;
    void *state;
    size_t given, wrong; /* wrong: not the number of BAND */
    size_t faults, bytes;
    uint8_t last[WRISTBAND_ID_SIZE];
    char prefix[8];
};

static void on_scan(void *context, const struct driver_scan *scan)
{
    struct scans *s = context;

    assert_int_equal(scan->size, WRISTBAND_ID_SIZE);
    assert_int_equal(strlen(scan->prefix), 7);
    memcpy(s->last, scan->id, scan->size);
    memcpy(s->prefix, scan->prefix, 8);
    s->wrong += memcmp(scan->id, "NHS/" NHS, scan->size) != 0;
    s->given++;
}

static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    struct scans *s = context;

    assert_int_equal(fault, DRIVER_FAULT_VALUE);
    s->faults++;
    s->bytes += bytes;
}

static void start(struct scans *s)
{
    memset(s, 0, sizeof(*s));
    s->driver = driver_by_name("wristband");
    assert_non_null(s->driver);
    s->sink = (struct driver_scan_sink){s, on_scan, on_fault};
    s->state = malloc(s->driver->state_size);
    assert_non_null(s->state);
    s->driver->init(s->state);
}

static void put(struct scans *s, const void *bytes, size_t n)
{
    s->driver->scan(s->state, bytes, n, &s->sink);
}

static void put_text(struct scans *s, const char *text)
{
    put(s, text, strlen(text));
}

/* A scan as text, with its end; how many numbers came of it. */
static size_t given(struct scans *s, const char *text)
{
    size_t before = s->given;

    put_text(s, text);
    put_text(s, "\r\n");
    return s->given - before;
}

/* Nothing of a scan is in the state. */
static void assert_wiped(const struct scans *s)
{
    const uint8_t *at = s->state;

    for (size_t i = 0; i < s->driver->state_size; i++)
        assert_int_equal(at[i], 0);
}

static void test_good(void **state)
{
    static const struct {
        const char *scan, *id, *prefix;
    } cases[] = {
        {BAND, "NHS/9990000018", "9521234"},
        {"8018" GSRN, "NHS/9990000018", "9521234"},
        {"]C1" GS "8018" GSRN, "NHS/9990000018", "9521234"},
        {"]Q38018" GSRN "93SMITH", "NHS/9990000018", "9521234"}, /* without its GS */
        {"93SMITH" GS "8018" GSRN GS, "NHS/9990000018", "9521234"},
        {"]d28018952123499900001231", "NHS/9990000123", "9521234"},
        {"]d28018952123494347659199", "NHS/9434765919", "9521234"},
        {"8018" GSRN GS "922/2,SMITH,Ann" GS "7250"
         "20260101" GS "7258"
         "2/2",
         "NHS/9990000018", "9521234"},
    };
    struct scans s;

    (void)state;
    start(&s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(given(&s, cases[i].scan), 1);
        assert_memory_equal(s.last, cases[i].id, WRISTBAND_ID_SIZE);
        assert_string_equal(s.prefix, cases[i].prefix);
        assert_wiped(&s);
    }
    assert_int_equal(s.faults, 0);
    free(s.state);
}

static void test_bad(void **state)
{
    static const char *const cases[] = {
        "8018952123499900000181",                /* check digit */
        "8018952123499900000610",                /* neighbours 1 and 6: modulus 11 only */
        "8018952123499900000001",                /* no valid NHS check digit exists */
        "8018952123400000000002",                /* an NHS number of zeros */
        "8017" GSRN,                             /* a provider: a badge */
        "4145012345678900",                      /* a place */
        "8004ASSET1",                            /* an asset */
        "010501234567890010ABC",                 /* a drug */
        "801895212349990000018",                 /* truncated */
        "8018" GSRN "8018" GSRN,                 /* two */
        "8018" GSRN "]d28018952123499900001231", /* two, glued */
        BAND "]d28018952123499900001231",        /* the second in the name */
        BAND "8018952123499900001231",           /* the same without its mark */
        "93SMITH,John,18-Jan-1980",              /* nobody's number */
        "91RQXM1,12345678",                      /* a local number only */
        "12345678",                              /* a plain local number */
        NHS,                                     /* a plain number: of anything */
        "8018" GSRN GS GS "80191",               /* nothing between */
        "8018" GSRN GS "93",                     /* nothing in it */
        "]d18018" GSRN,                          /* not GS1 */
        "]",
        "]d2",
        "8018" GSRN GS "93SMITH\x01", /* a control character */
        "\x02"
        "8018" GSRN,
        "8018" GSRN " ",
        " 8018" GSRN,
        "http://example.org/",
    };
    struct scans s;

    (void)state;
    start(&s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (given(&s, cases[i]) != 0)
            fail_msg("taken: %s", cases[i]);
        assert_int_equal(s.faults, i + 1);
        assert_wiped(&s);
    }
    printf("wristband: %zu scans refused\n", COUNT(cases));
    free(s.state);
}

/* Every split, and a byte at a time. */
static void test_splits(void **state)
{
    static const char line[] = BAND "\r\n";
    const size_t n = sizeof(line) - 1;
    struct scans s;

    (void)state;
    start(&s);
    for (size_t at = 0; at <= n; at++) {
        put(&s, line, at);
        put(&s, line + at, n - at);
        assert_int_equal(s.given, at + 1);
    }
    for (size_t i = 0; i < n; i++)
        put(&s, line + i, 1);
    assert_int_equal(s.given, n + 2);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(s.faults, 0);
    free(s.state);
}

/* Every bit of a band: this number or none. Every digit of the number: none. */
static void test_flips(void **state)
{
    static const char line[] = BAND "\r\n";
    const size_t n = sizeof(line) - 1, first = strlen("]d28018");
    char spoilt[sizeof(line)];
    size_t none = 0;
    struct scans s;

    (void)state;
    start(&s);
    for (size_t bit = 0; bit < n * 8; bit++) {
        size_t before = s.given;
        memcpy(spoilt, line, sizeof(line));
        spoilt[bit / 8] = (char)(spoilt[bit / 8] ^ (char)(1u << bit % 8));
        put(&s, spoilt, n);
        none += s.given == before;
        put_text(&s, "\r"); /* a lost end would join the next scan to this one */
        assert_int_equal(given(&s, BAND), 1); /* and the next is taken again */
    }
    for (size_t at = first; at < first + 18; at++)
        for (int digit = '0'; digit <= '9'; digit++) {
            memcpy(spoilt, line, sizeof(line));
            spoilt[at] = (char)digit;
            size_t before = s.given;
            put(&s, spoilt, n);
            assert_int_equal(s.given - before, digit == line[at]);
        }
    assert_int_equal(s.wrong, 0);
    printf("wristband: %zu flips, %zu gave nothing, none a wrong number\n", n * 8, none);
    free(s.state);
}

/* Two neighbouring digits in the wrong order. */
static void test_swaps(void **state)
{
    static const char line[] = BAND "\r\n";
    const size_t n = sizeof(line) - 1, first = strlen("]d28018") + 7;
    struct scans s;

    (void)state;
    start(&s);
    for (size_t at = first; at + 1 < first + 10; at++) {
        char swapped[sizeof(line)];
        memcpy(swapped, line, sizeof(line));
        swapped[at] = line[at + 1];
        swapped[at + 1] = line[at];
        size_t before = s.given;
        put(&s, swapped, n);
        assert_int_equal(s.given - before, line[at] == line[at + 1]);
    }
    assert_int_equal(s.wrong, 0);
    free(s.state);
}

/* Noise before, between and inside; a scan longer than any. */
static void test_garbage(void **state)
{
    static const char line[] = BAND "\r\n";
    const size_t n = sizeof(line) - 1;
    uint64_t seed = SEED;
    uint8_t noise[600];
    struct scans s;

    (void)state;
    start(&s);
    for (size_t round = 0; round < 2000; round++) {
        size_t size = (size_t)(draw(&seed) % sizeof(noise)), before = s.given;
        for (size_t i = 0; i < size; i++)
            noise[i] = (uint8_t)draw(&seed);
        put(&s, noise, size);
        put_text(&s, "\r");
        assert_int_equal(s.given, before);
        assert_int_equal(given(&s, BAND), 1);
    }
    for (size_t at = 0; at <= n; at++) {
        static const char foreign[] = {'\0', '5', (char)0x80, (char)0xFF, ']', 0x1D};
        put(&s, line, at);
        put(&s, &foreign[at % COUNT(foreign)], 1);
        put(&s, line + at, n - at);
        put_text(&s, "\r");
    }
    memset(noise, 'A', sizeof(noise));
    put(&s, noise, sizeof(noise));
    put_text(&s, "\r");
    assert_wiped(&s);
    assert_int_equal(s.wrong, 0);
    printf("wristband: seed %u\n", SEED);
    free(s.state);
}

/* Who does not know scanners gets nothing; init wipes half a scan; nothing is sent. */
static void test_nothing_leaks(void **state)
{
    struct kept kept = {0};
    const struct driver_sink sink = {&kept, keep_set, keep_fault};
    static const uint8_t line[] = BAND "\r\n";
    struct scans s;

    (void)state;
    start(&s);
    s.driver->feed(s.state, line, sizeof(line) - 1, &sink);
    assert_int_equal(kept.sets, 0);
    assert_int_equal(kept.bytes, 0);
    assert_wiped(&s);
    put(&s, line, 40);
    s.driver->init(s.state);
    assert_wiped(&s);
    assert_null(s.driver->poll);
    assert_null(s.driver->may_send);
    for (size_t i = 0; driver_at(i) != NULL; i++) /* a new scanner belongs in this test */
        assert_int_equal(driver_at(i)->scan != NULL, driver_at(i) == s.driver);
    free(s.state);
}

/* Every NHS number of a stretch, through the emulated scanner. */
static void test_emulated(void **state)
{
    struct wristband_emulator device;
    size_t bands = 0;
    struct scans s;

    (void)state;
    start(&s);
    wristband_emulator_init(&device, 0);
    for (unsigned n = 0; n < 20000; n++) {
        struct emulate_output out = {.count = 0};
        char nhs[16];
        unsigned sum = 0, check;
        uint64_t again;
        snprintf(nhs, sizeof(nhs), "999%06u", n);
        for (unsigned i = 0; i < 9; i++)
            sum += (unsigned)(nhs[i] - '0') * (10 - i);
        check = (11 - sum % 11) % 11;
        nhs[9] = (char)('0' + check % 10);
        nhs[10] = '\0';
        assert_int_equal(wristband_emulator_band(&device, "9521234", nhs, "12345678",
                                                 "SMITH,John,18-Jan-1980", 0),
                         EMULATE_OK);
        wristband_emulator_tick(&device, 0, &out, &again);
        assert_int_equal(out.count, 1);
        size_t before = s.given;
        put(&s, out.bursts[0].bytes, out.bursts[0].size);
        assert_int_equal(s.given - before, check < 10);
        if (check < 10)
            assert_memory_equal(s.last + 4, nhs, 10);
        bands += check < 10;
    }
    assert_int_equal(wristband_emulator_band(&device, "123", NHS, "", "", 0),
                     EMULATE_SYNTAX);
    printf("wristband: %zu bands\n", bands);
    free(s.state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),          cmocka_unit_test(test_bad),
        cmocka_unit_test(test_splits),        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_swaps),         cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_nothing_leaks), cmocka_unit_test(test_emulated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
