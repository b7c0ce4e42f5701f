/* SPDX-License-Identifier: Apache-2.0
 *
 * Records that never arrive while newer ones do, and all that looks like it and is not.
 */
#include "chart_ledger_test.h"

#include "chart/overdue.h"

#define MINUTE (INT64_C(60) * 1000000)

static struct bench bench;
static struct overdue overdue;
static struct overdue_line line;
static uint64_t next; /* seq */
static int64_t now_us;

static int setup(void **state)
{
    (void)state;
    bench_start(&bench);
    memset(&overdue, 0, sizeof(overdue));
    next = 1;
    now_us = 5 * MINUTE;
    assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    overdue_free(&overdue);
    assert_int_equal(ledger_commit(bench.ledger), LEDGER_OK);
    bench_check(&bench);
    bench_end(&bench);
    return 0;
}

static void arrive(uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        assert_int_equal(store_reading(&bench, seq, "x", 1, 100), LEDGER_NEW);
    next = last >= next ? last + 1 : next;
}

static void keep(void *context, const struct overdue_line *is)
{
    (void)context;
    line = *is;
}

static int lines(void)
{
    memset(&line, 0, sizeof(line));
    return overdue_each(&overdue, bench.ledger, now_us, keep, NULL);
}

/* A minute at a time; alive: a new record comes in each. */
static void pass(int minutes, bool alive)
{
    for (int i = 0; i < minutes; i++, now_us += MINUTE) {
        if (alive)
            arrive(next, next);
        assert_int_equal(overdue_look(&overdue, bench.ledger, now_us), LEDGER_OK);
    }
}

static void newer_ones_arrive_and_it_does_not(void **state)
{
    (void)state;
    assert_int_equal(lines(), 0);
    arrive(1, 5);
    pass(20, true);
    assert_int_equal(lines(), 0);
    next += 3; /* left out by the broker */
    arrive(next, next);
    next += 2;
    pass(9, true);
    assert_int_equal(lines(), 0);
    pass(3, true);
    assert_int_equal(lines(), 1);
    assert_int_equal(line.first, 26);
    assert_int_equal(line.records, 5);
    assert_int_equal(line.source, bench.source);
    assert_int_equal(line.age_us, 12 * MINUTE);
    next += 50; /* what is missing only now is not counted with them yet */
    pass(2, true);
    assert_int_equal(lines(), 1);
    assert_int_equal(line.records, 5);
    arrive(27, 28); /* some do come */
    assert_int_equal(lines(), 1);
    assert_int_equal(line.records, 3);
    arrive(26, 26); /* the oldest comes: the rest has its own time to wait */
    assert_int_equal(lines(), 0);
    pass(5, true);
    assert_int_equal(lines(), 0);
    pass(8, true);
    assert_int_equal(lines(), 1);
    assert_int_equal(line.first, 30);
    assert_int_equal(line.records, 52);
}

static void a_gateway_that_is_away_is_not_overdue(void **state)
{
    (void)state;
    arrive(1, 5);
    next = 30;
    pass(3, true);
    pass(600, false);
    assert_int_equal(lines(), 0);
    arrive(6, 29); /* it is back, and drains */
    pass(20, true);
    assert_int_equal(lines(), 0);
}

static void a_drain_is_not_overdue(void **state)
{
    uint64_t backlog = 6;

    (void)state;
    arrive(1, 5);
    next = 1000;
    for (int i = 0; i < 60; i++) { /* live first, and a little of the backlog */
        arrive(backlog, backlog + 9);
        backlog += 10;
        pass(1, true);
        assert_int_equal(lines(), 0);
    }
}

/* What a gap explains or nobody has any more is not waited for. */
static void what_is_accounted_for_is_not_overdue(void **state)
{
    uint64_t lost;

    (void)state;
    arrive(1, 5);
    next = 10;
    pass(15, true);
    assert_int_equal(lines(), 1);
    assert_int_equal(ledger_source_state(bench.ledger, bench.source, 1, 10, next, &lost),
                     LEDGER_OK);
    assert_int_equal(lost, 4);
    assert_int_equal(lines(), 0);
    pass(15, true);
    assert_int_equal(lines(), 0);
}

/* Often asked, it looks seldom. */
static void looks_seldom(void **state)
{
    (void)state;
    arrive(1, 5);
    next = 10;
    assert_int_equal(overdue_look(&overdue, bench.ledger, now_us), LEDGER_OK);
    arrive(next, next);
    for (int i = 0; i < 29; i++) {
        now_us += 1000000;
        assert_int_equal(overdue_look(&overdue, bench.ledger, now_us), LEDGER_OK);
    }
    assert_int_equal(overdue.looked_us, 5 * MINUTE);
    now_us += 1000000;
    assert_int_equal(overdue_look(&overdue, bench.ledger, now_us), LEDGER_OK);
    assert_int_equal(overdue.looked_us, now_us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(newer_ones_arrive_and_it_does_not, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_gateway_that_is_away_is_not_overdue, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_drain_is_not_overdue, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_accounted_for_is_not_overdue, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(looks_seldom, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
