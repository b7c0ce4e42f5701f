/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/log.h"

/* What one call writes to stderr. */
#define CAPTURE(out, call)                                                               \
    do {                                                                                 \
        int ends[2], kept = dup(STDERR_FILENO);                                          \
        ssize_t got;                                                                     \
        assert_int_equal(pipe(ends), 0);                                                 \
        (void)dup2(ends[1], STDERR_FILENO);                                              \
        (void)close(ends[1]);                                                            \
        (call);                                                                          \
        (void)dup2(kept, STDERR_FILENO);                                                 \
        (void)close(kept);                                                               \
        got = read(ends[0], (out), sizeof(out) - 1);                                     \
        (out)[got > 0 ? got : 0] = '\0';                                                 \
        (void)close(ends[0]);                                                            \
    } while (0)

static void test_levels(void **state)
{
    char out[4096];

    (void)state;
    (void)setenv("JOURNAL_STREAM", "8:1", 1);
    log_set_level(LOG_LEVEL_NOTICE);
    CAPTURE(out, log_error("disk %d", 5));
    assert_string_equal(out, "<3>disk 5\n");
    CAPTURE(out, log_notice("up"));
    assert_string_equal(out, "<5>up\n");
    CAPTURE(out, log_info("quiet"));
    assert_string_equal(out, "");
    log_set_level(LOG_LEVEL_DEBUG);
    CAPTURE(out, log_debug("loud"));
    assert_string_equal(out, "<7>loud\n");
    (void)unsetenv("JOURNAL_STREAM");
    CAPTURE(out, log_warning("seen by a person"));
    assert_string_equal(out, "warning: seen by a person\n");
}

static void test_one_line_whatever_it_is_given(void **state)
{
    char out[8192], longest[5000];

    (void)state;
    CAPTURE(out, log_error("%s", "a\nerror: forged\r\x1b[2Jb\x7f"));
    assert_string_equal(out, "error: a?error: forged??[2Jb?\n");
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    CAPTURE(out, log_error("%s", longest));
    assert_true(strlen(out) <= 1024);
    assert_ptr_equal(strchr(out, '\n'), out + strlen(out) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_one_line_whatever_it_is_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
