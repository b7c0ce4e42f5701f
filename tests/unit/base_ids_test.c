/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/ids.h"

static void test_names(void **state)
{
    static const char *const good[] = {
        "a", "homerton", "bay-3",
        "0", "a--b",     "abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghi"};
    static const char *const bad[] = {
        "",    "-a",  "a-",  "A",
        "a b", "a/b", "a+",  "#",
        "a.b", "a_b", "a\n", "\xc3\xa9",
        "a|b", "a^b", "-",   "abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghij"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(name_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(name_valid(bad[i]));
    assert_int_equal(strlen(good[5]), NAME_MAX_LENGTH);
}

static void test_hex_both_ways(void **state)
{
    uint8_t bytes[256], back[256];
    char text[513];

    (void)state;
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    assert_ptr_equal(hex_text(bytes, 256, text), text);
    assert_true(hex_bytes(text, back, 256));
    assert_memory_equal(bytes, back, 256);
    assert_true(hex_bytes("AbCd", back, 2));
    assert_int_equal(back[0], 0xab);

    assert_false(hex_bytes("abc", back, 2));
    assert_false(hex_bytes("abcde", back, 2));
    assert_false(hex_bytes("abcg", back, 2));
    assert_false(hex_bytes("ab d", back, 2));
    assert_false(hex_bytes("", back, 1));
    assert_true(hex_bytes("", back, 0));
}

static void test_epochs(void **state)
{
    struct epoch a = {{0}}, b = {{0}};

    (void)state;
    assert_true(epoch_equal(&a, &b));
    for (size_t i = 0; i < EPOCH_SIZE; i++) {
        b = a;
        b.bytes[i] ^= 1;
        assert_false(epoch_equal(&a, &b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_hex_both_ways),
        cmocka_unit_test(test_epochs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
