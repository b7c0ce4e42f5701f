/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "bedside/identities.h"
#include "tests/unit/temporary.h"

static char folder[256];

static int setup(void **state)
{
    (void)state;
    return temporary_folder(folder);
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static void remembers_the_last_of_each(void **state)
{
    char text[64];

    (void)state;
    assert_false(identities_find(folder, "a", text, sizeof(text)));
    assert_int_equal(identities_set(folder, "a", "Maker A 1"), 0);
    assert_int_equal(identities_set(folder, "ab", "Maker B 2"), 0);
    assert_int_equal(identities_set(folder, "b", "Maker C 3"), 0);
    assert_int_equal(identities_set(folder, "ab", "Maker B 22"), 0);
    assert_true(identities_find(folder, "a", text, sizeof(text)));
    assert_string_equal(text, "Maker A 1");
    assert_true(identities_find(folder, "ab", text, sizeof(text)));
    assert_string_equal(text, "Maker B 22");
    assert_true(identities_find(folder, "b", text, sizeof(text)));
    assert_string_equal(text, "Maker C 3");
    assert_false(identities_find(folder, "c", text, sizeof(text)));
    assert_true(identities_find(folder, "b", text, 6));
    assert_string_equal(text, "Maker"); /* cut */
}

static void refuses_what_would_break_the_file(void **state)
{
    char text[64];

    (void)state;
    assert_int_equal(identities_set(folder, "a", "one\nb\ttwo"), -EINVAL);
    assert_int_equal(identities_set(folder, "a\tb", "x"), -EINVAL);
    assert_false(identities_find(folder, "b", text, sizeof(text)));
    assert_int_not_equal(identities_set("/nowhere/at/all", "a", "x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(remembers_the_last_of_each, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_would_break_the_file, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
