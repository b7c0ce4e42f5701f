/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranges against the plainest model there is: a bit for every number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/ranges.h"
#include "wire_sample.h"

#define WORLD 300 /* numbers 0..WORLD-1, and the same far up */

static void check_against(const struct ranges *set, const bool *model, uint64_t base)
{
    uint64_t total = 0;

    for (uint64_t i = 0; i < WORLD; i++) {
        uint64_t past = i;

        while (past < WORLD && model[past])
            past++;
        assert_int_equal(ranges_has(set, base + i), model[i]);
        assert_true(ranges_past(set, base + i) == (model[i] ? base + past : 0));
        total += model[i];
    }
    assert_true(ranges_total(set) == total);
    for (size_t i = 0; i < set->count; i++) { /* the invariant */
        assert_true(set->items[i].first <= set->items[i].last);
        if (i > 0)
            assert_true(set->items[i].first > set->items[i - 1].last + 1);
    }
}

static void run_model(struct dice *dice, uint64_t base)
{
    bool model[WORLD] = {false};
    struct ranges set = {NULL, 0, 0};

    for (int step = 0; step < 2000; step++) {
        uint64_t first = dice_below(dice, WORLD),
                 last = first + dice_below(dice, 1 + dice_below(dice, 40)), in = 0;
        uint64_t what = dice_below(dice, 5);
        if (last >= WORLD)
            last = WORLD - 1;
        for (uint64_t i = first; i <= last; i++)
            in += model[i];
        assert_true(ranges_overlap(&set, base + first, base + last) == in);
        if (what < 2) {
            assert_int_equal(ranges_remove(&set, base + first, base + last), 0);
            memset(model + first, 0, (last - first + 1) * sizeof(model[0]));
        } else {
            assert_int_equal(ranges_add(&set, base + first, base + last), 0);
            memset(model + first, 1, (last - first + 1) * sizeof(model[0]));
        }
        check_against(&set, model, base);
    }
    ranges_free(&set);
    assert_int_equal(set.count, 0);
}

static void test_against_a_bitmap(void **state)
{
    struct dice dice = {dice_seed()};

    (void)state;
    for (int i = 0; i < 20; i++) {
        run_model(&dice, 0);
        run_model(&dice, UINT64_C(1) << 40);
        run_model(&dice, UINT64_MAX - (WORLD - 1)); /* up to the last number there is */
    }
    printf("120000 steps against the model\n");
}

static void test_edges(void **state)
{
    struct ranges set = {NULL, 0, 0};

    (void)state;
    assert_false(ranges_has(&set, 0));
    assert_int_equal(ranges_remove(&set, 1, 5), 0);
    assert_int_equal(ranges_add(&set, 5, 4), 0); /* backwards is nothing */
    assert_int_equal(ranges_remove(&set, 5, 4), 0);
    assert_true(ranges_overlap(&set, 5, 4) == 0);
    assert_int_equal(set.count, 0);
    assert_int_equal(ranges_add(&set, 1, UINT64_MAX), 0);
    assert_true(ranges_total(&set) == UINT64_MAX);
    assert_int_equal(ranges_add(&set, 7, 7), 0);
    assert_int_equal(set.count, 1);
    assert_int_equal(ranges_remove(&set, UINT64_MAX, UINT64_MAX), 0);
    assert_int_equal(ranges_remove(&set, 1, 1), 0);
    assert_true(set.items[0].first == 2 && set.items[0].last == UINT64_MAX - 1);
    ranges_free(&set);
    ranges_free(&set);
}

/* A link's life: numbers in order, a few missing. The set stays as small as what is
 * missing. */
static void test_small_by_nature(void **state)
{
    struct ranges set = {NULL, 0, 0};

    (void)state;
    for (uint64_t i = 1; i <= 1000000; i++)
        if (i % 100000 != 0)
            assert_int_equal(ranges_add(&set, i, i), 0);
    assert_int_equal(set.count, 10);
    for (uint64_t i = 100000; i <= 1000000; i += 100000)
        assert_int_equal(ranges_add(&set, i, i), 0);
    assert_int_equal(set.count, 1);
    ranges_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_bitmap),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_small_by_nature),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
