/* SPDX-License-Identifier: Apache-2.0
 *
 * The second after 2038-01-19T03:14:07Z is 2^31: where time_t has 32 bits it is 1901
 * again. Boards that are bought today will be at beds then, and some are 32-bit. Run on
 * amd64, and under emulation on arm64 and armhf (tests/boards/virt_arm64).
 */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/zone.h"

#define LAST_S   INT64_C(2147483647) /* the last second that 31 bits hold */
#define US       INT64_C(1000000)
#define DAY_S    INT64_C(86400)
#define YEAR2040 INT64_C(2208988800)

static void test_types_are_wide(void **state)
{
    struct instant now;

    (void)state;
    assert_int_equal(sizeof(time_t), 8);
    assert_int_equal(sizeof(off_t), 8);
    assert_int_equal(sizeof(((struct timespec *)NULL)->tv_sec), 8);
    assert_int_equal(sizeof(now.utc_us), 8);
    assert_int_equal(sizeof(now.monotonic_us), 8);
}

static void test_the_second_after(void **state)
{
    char text[ZONE_TEXT_SIZE];
    struct civil civil;

    (void)state;
    assert_string_equal(utc_text(LAST_S * US, text), "2038-01-19T03:14:07.000Z");
    assert_string_equal(utc_text((LAST_S + 1) * US, text), "2038-01-19T03:14:08.000Z");
    assert_string_equal(utc_text((INT64_C(1) << 32) * US, text),
                        "2106-02-07T06:28:16.000Z");
    civil_from_utc((LAST_S + 1) * US, &civil);
    assert_int_equal(civil.year, 2038);
    assert_int_equal(civil.second, 8);
}

/* Every day of a century, there and back. */
static void test_there_and_back(void **state)
{
    (void)state;
    for (int64_t s = LAST_S - 365 * DAY_S; s < LAST_S + 36525 * DAY_S; s += DAY_S) {
        struct civil civil;
        int64_t utc_us = 0;
        civil_from_utc(s * US + 250000, &civil);
        assert_true(civil_to_utc(&civil, &utc_us));
        assert_true(utc_us == s * US + 250000);
    }
}

static void test_summer_time_goes_on(void **state)
{
    struct zone zone;
    struct civil local = {.year = 2040, .month = 7, .day = 1, .hour = 12};
    int64_t utc_us[2];
    char text[ZONE_TEXT_SIZE];

    (void)state;
    assert_int_equal(zone_parse("Europe/London", &zone), 0);
    assert_int_equal(zone_to_utc(&zone, &local, utc_us), 1);
    assert_string_equal(utc_text(utc_us[0], text), "2040-07-01T11:00:00.000Z");
    assert_int_equal(zone_offset_s(&zone, utc_us[0]), 3600);
}

/* The C library's own calls, with the widths that this program was built with. */
static void test_library_calls(void **state)
{
    char path[] = "/tmp/wardgate-2038-XXXXXX";
    const struct timespec times[2] = {{.tv_sec = (time_t)YEAR2040},
                                      {.tv_sec = (time_t)YEAR2040}};
    const time_t when = (time_t)YEAR2040;
    struct stat st;
    struct tm tm;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    unlink(path);
    assert_non_null(gmtime_r(&when, &tm));
    assert_int_equal(tm.tm_year, 2040 - 1900);
    assert_int_equal(tm.tm_yday, 0);
    if ((int64_t)st.st_mtime == LAST_S) {
        print_message("skip: this file system holds no time after 2038\n");
        skip();
    }
    assert_true((int64_t)st.st_mtime == YEAR2040);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_are_wide), cmocka_unit_test(test_the_second_after),
        cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_summer_time_goes_on),
        cmocka_unit_test(test_library_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
