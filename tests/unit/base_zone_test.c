/* SPDX-License-Identifier: Apache-2.0
 *
 * Zones against the C library's own localtime and mktime, with TZ set here (the code
 * under test never reads it).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/zone.h"

static const char *const rules[] = {
    ZONE_LONDON,
    "UTC0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "EST5EDT,M3.2.0,M11.1.0",
    "AEST-10AEDT,M10.1.0,M4.1.0/3", /* south: summer spans the new year */
    "<+0330>-3:30",
    "<-03>3<-02>,M3.5.0/-2,M10.5.0/-1",
    "IST-1GMT0,M10.5.0,M3.5.0/1", /* winter is the saving time */
};
#define RULES (sizeof(rules) / sizeof(rules[0]))

static void use_zone(const char *rule, struct zone *zone)
{
    assert_int_equal(zone_parse(rule, zone), 0);
    assert_int_equal(setenv("TZ", rule, 1), 0);
    tzset();
}

static int64_t utc_of(int32_t year, int month, int day, int hour)
{
    struct civil c = {.year = year,
                      .month = (uint8_t)month,
                      .day = (uint8_t)day,
                      .hour = (uint8_t)hour};
    int64_t us;

    assert_true(civil_to_utc(&c, &us));
    return us;
}

/* One instant: offset and civil parts equal to localtime_r's; the way back finds the
 * instant. */
static void compare(const struct zone *zone, int64_t utc_s)
{
    time_t t = (time_t)utc_s;
    struct civil c;
    struct tm tm;
    int64_t back[2] = {0, 0};
    int32_t offset = zone_offset_s(zone, utc_s * US_PER_S);
    int n;

    assert_non_null(localtime_r(&t, &tm));
    if (tm.tm_gmtoff != offset)
        fail_msg("at %lld: offset %d, C library %ld", (long long)utc_s, offset,
                 tm.tm_gmtoff);
    civil_from_utc((utc_s + offset) * US_PER_S, &c);
    assert_int_equal(c.year, tm.tm_year + 1900);
    assert_int_equal(c.month, tm.tm_mon + 1);
    assert_int_equal(c.day, tm.tm_mday);
    assert_int_equal(c.hour, tm.tm_hour);
    assert_int_equal(c.minute, tm.tm_min);
    assert_int_equal(c.second, tm.tm_sec);

    n = zone_to_utc(zone, &c, back);
    assert_true(n == 1 || n == 2);
    assert_true(back[0] == utc_s * US_PER_S || (n == 2 && back[1] == utc_s * US_PER_S));
    assert_true(n == 1 || back[0] < back[1]);
}

static void test_against_the_c_library(void **state)
{
    uint64_t compared = 0;

    (void)state;
    for (size_t r = 0; r < RULES; r++) {
        struct zone zone;
        use_zone(rules[r], &zone);
        for (int32_t year = 1970; year <= 2100; year++) {
            int64_t s = utc_of(year, 1, 1, 0) / US_PER_S,
                    end = utc_of(year + 1, 1, 1, 0) / US_PER_S;
            int32_t before = zone_offset_s(&zone, (s - 1) * US_PER_S);
            /* Every 6 hours, and every 5 minutes and second by second round a change. */
            for (; s < end; s += 21600) {
                int32_t after = zone_offset_s(&zone, (s + 21600) * US_PER_S);
                compare(&zone, s);
                compared++;
                if (after == before)
                    continue;
                before = after;
                for (int64_t x = s - 7200; x < s + 28800; x += 300, compared++)
                    compare(&zone, x);
            }
        }
    }
    printf("%llu instants compared in %zu zones\n", (unsigned long long)compared, RULES);
}

static void test_london_hour_by_hour(void **state)
{
    uint64_t compared = 0;
    struct zone zone;

    (void)state;
    use_zone(ZONE_LONDON, &zone);
    for (int32_t year = 1970; year <= 2100; year++)
        for (int month = 3; month <= 10; month += 7) {
            int64_t s = utc_of(year, month, 24, 0) / US_PER_S;
            for (int64_t hour = -12; hour < 216; hour++, compared++) {
                compare(&zone, s + hour * 3600 - 1);
                compare(&zone, s + hour * 3600);
            }
        }
    printf("%llu hours of London compared\n", (unsigned long long)compared);
}

static void test_skipped_and_repeated_hours(void **state)
{
    struct zone zone;
    struct civil c = {.year = 2026, .month = 3, .day = 29, .hour = 1, .minute = 30};
    int64_t us[2], change = utc_of(2026, 3, 29, 1);

    (void)state;
    assert_int_equal(zone_parse("Europe/London", &zone), 0);
    assert_int_equal(zone_to_utc(&zone, &c, us), 0);
    assert_true(us[0] == change && us[1] == change);
    c.hour = 0;
    c.minute = 59;
    c.second = 59;
    assert_int_equal(zone_to_utc(&zone, &c, us), 1);
    assert_true(us[0] == change - US_PER_S);
    c.hour = 2;
    c.minute = c.second = 0;
    assert_int_equal(zone_to_utc(&zone, &c, us), 1);
    assert_true(us[0] == change);

    c = (struct civil){.year = 2026, .month = 10, .day = 25, .hour = 1, .microsecond = 5};
    assert_int_equal(zone_to_utc(&zone, &c, us), 2);
    assert_true(us[0] == utc_of(2026, 10, 25, 0) + 5 &&
                us[1] == utc_of(2026, 10, 25, 1) + 5);
    c.hour = 2;
    assert_int_equal(zone_to_utc(&zone, &c, us), 1);

    /* Every skipped minute of 131 years has no instant and every repeated one has two. */
    for (int32_t year = 1970; year <= 2100; year++) {
        int64_t at, end;
        int skipped = 0, repeated = 0;
        for (at = utc_of(year, 1, 1, 0), end = utc_of(year + 1, 1, 1, 0); at < end;
             at += 600 * US_PER_S) {
            int n;
            civil_from_utc(at, &c);
            n = zone_to_utc(&zone, &c, us);
            skipped += n == 0;
            repeated += n == 2;
        }
        assert_int_equal(skipped, 6);
        assert_int_equal(repeated, 6);
    }
}

static void test_impossible_dates(void **state)
{
    static const struct civil bad[] = {
        {.year = 0, .month = 1, .day = 1},
        {.year = 10000, .month = 1, .day = 1},
        {.year = 2026, .month = 0, .day = 1},
        {.year = 2026, .month = 13, .day = 1},
        {.year = 2026, .month = 2, .day = 29},
        {.year = 2026, .month = 2, .day = 30},
        {.year = 1900, .month = 2, .day = 29},
        {.year = 2026, .month = 4, .day = 31},
        {.year = 2026, .month = 1, .day = 0},
        {.year = 2026, .month = 1, .day = 32},
        {.year = 2026, .month = 1, .day = 1, .hour = 24},
        {.year = 2026, .month = 1, .day = 1, .minute = 60},
        {.year = 2026, .month = 1, .day = 1, .second = 61},
        {.year = 2026, .month = 1, .day = 1, .microsecond = 1000000},
    };
    struct zone zone;
    int64_t us[2] = {7, 7};

    (void)state;
    assert_int_equal(zone_parse("UTC", &zone), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(civil_to_utc(&bad[i], &us[0]));
        assert_int_equal(zone_to_utc(&zone, &bad[i], us), -1);
        assert_true(us[0] == 7 && us[1] == 7);
    }
    printf("%zu impossible dates refused\n", sizeof(bad) / sizeof(bad[0]));
}

static void test_bad_rules(void **state)
{
    static const char *const bad[] = {"",
                                      "GMT",
                                      "GM0",
                                      "Europe/Paris",
                                      "GMT0BST",
                                      "GMT0BST,",
                                      "GMT0BST,M3.5.0",
                                      "GMT0BST,M3.5.0/1,",
                                      "GMT0BST,M3.5.0/1,M10.5.0x",
                                      "GMT0BST,M13.5.0,M10.5.0",
                                      "GMT0BST,M0.5.0,M10.5.0",
                                      "GMT0BST,M3.6.0,M10.5.0",
                                      "GMT0BST,M3.0.0,M10.5.0",
                                      "GMT0BST,M3.5.7,M10.5.0",
                                      "GMT0BST,J60,J300",
                                      "GMT25",
                                      "GMT0:60",
                                      "GMT0:00:60",
                                      "<+03-3",
                                      "<+03>",
                                      "GMT0 ",
                                      "GMT0BST,M3.5.0/168,M10.5.0",
                                      "UTC0\n",
                                      "GMT99999999999"};
    struct zone zone, before;

    (void)state;
    memset(&zone, 0x5a, sizeof(zone));
    before = zone;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (zone_parse(bad[i], &zone) != -1)
            fail_msg("accepted '%s'", bad[i]);
        assert_memory_equal(&zone, &before, sizeof(zone));
    }
    printf("%zu bad rules refused\n", sizeof(bad) / sizeof(bad[0]));
}

static void test_text(void **state)
{
    char text[ZONE_TEXT_SIZE];

    (void)state;
    assert_string_equal(utc_text(0, text), "1970-01-01T00:00:00.000Z");
    assert_string_equal(utc_text(-1, text), "1969-12-31T23:59:59.999Z");
    assert_string_equal(utc_text(utc_of(2026, 7, 22, 14) + 309250000, text),
                        "2026-07-22T14:05:09.250Z");
    assert_true(strlen(utc_text(INT64_MAX, text)) < ZONE_TEXT_SIZE);
    assert_true(strlen(utc_text(INT64_MIN, text)) < ZONE_TEXT_SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_the_c_library),
        cmocka_unit_test(test_london_hour_by_hour),
        cmocka_unit_test(test_skipped_and_repeated_hours),
        cmocka_unit_test(test_impossible_dates),
        cmocka_unit_test(test_bad_rules),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
