/* SPDX-License-Identifier: Apache-2.0
 *
 * cursor: reads what is there, fails for good at the first byte that is not.
 */
#include "drivers_test.h"

#include "drivers/cursor.h"

static void test_reads(void **state)
{
    const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct cursor c = cursor_make(bytes, sizeof(bytes));

    (void)state;
    assert_int_equal(cursor_u8(&c), 1);
    assert_int_equal(cursor_be16(&c), 0x0203);
    assert_int_equal(cursor_le16(&c), 0x0504);
    assert_int_equal(cursor_be32(&c), 0x06070809);
    assert_int_equal(cursor_remaining(&c), 1);
    assert_false(cursor_done(&c));
    assert_ptr_equal(cursor_bytes(&c, 1), bytes + 9);
    assert_true(cursor_done(&c));
}

/* Every kind of read at every length: exactly the short ones fail, and stay failed. */
static void test_bounds(void **state)
{
    size_t cases = 0;

    (void)state;
    for (size_t have = 0; have <= 4; have++)
        for (size_t kind = 0; kind < 4; kind++) {
            static const size_t needs[] = {1, 2, 2, 4};
            uint8_t *bytes = malloc(have ? have : 1);
            assert_non_null(bytes);
            memset(bytes, 0xFF, have ? have : 1);
            struct cursor c = cursor_make(bytes, have);
            uint32_t got = kind == 0   ? cursor_u8(&c)
                           : kind == 1 ? cursor_be16(&c)
                           : kind == 2 ? cursor_le16(&c)
                                       : cursor_be32(&c);
            bool good = have >= needs[kind];
            assert_int_equal(c.failed, !good);
            assert_int_equal(got != 0, good);
            assert_int_equal(cursor_remaining(&c), good ? have - needs[kind] : 0);
            if (!good) {
                assert_int_equal(cursor_u8(&c), 0);
                assert_null(cursor_bytes(&c, 0));
                assert_false(cursor_done(&c));
            }
            free(bytes);
            cases++;
        }
    printf("cursor: %zu reads at their bounds\n", cases);
}

static void test_huge_and_null(void **state)
{
    const uint8_t bytes[] = {1, 2};
    struct cursor c = cursor_make(bytes, sizeof(bytes));

    (void)state;
    assert_null(cursor_bytes(&c, SIZE_MAX));
    assert_true(c.failed);
    c = cursor_make(NULL, 0);
    assert_true(cursor_done(&c));
    (void)cursor_bytes(&c, 0);
    assert_true(cursor_done(&c));
    assert_int_equal(cursor_u8(&c), 0);
    c = cursor_make(NULL, 5);
    assert_true(c.failed);
    assert_int_equal(cursor_remaining(&c), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_huge_and_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
