/* SPDX-License-Identifier: Apache-2.0
 *
 * What is here, replaced, lost and missing.
 */
#include "chart_ledger_test.h"

static int setup(void **state)
{
    static struct bench bench;

    bench_start(&bench);
    *state = &bench;
    assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_check(bench);
    bench_reopen(bench);
    bench_check(bench);
    bench_end(bench);
    return 0;
}

static void store_range(struct bench *bench, uint64_t first, uint64_t last)
{
    for (uint64_t seq = first; seq <= last; seq++)
        assert_int_equal(store_reading(bench, seq, "x", 1, 100), LEDGER_NEW);
}

static uint64_t missing(struct bench *bench)
{
    struct ledger_source source;

    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &source), LEDGER_OK);
    return source.missing;
}

static void hole_is(struct bench *bench, uint64_t from, uint64_t first, uint64_t last)
{
    struct range hole;

    assert_int_equal(ledger_missing(bench->ledger, bench->source, from, &hole),
                     LEDGER_OK);
    assert_int_equal(hole.first, first);
    assert_int_equal(hole.last, last);
}

/* A gap record of seq stands for first..last. */
static void store_gap(struct bench *bench, uint32_t source, uint64_t seq, uint64_t first,
                      uint64_t last, uint64_t count, bool unknown)
{
    struct ledger_new new = reading_of(bench, seq, "gap", 3, 1, 100);
    struct ledger_gap gap = {.id = {source, seq},
                             .reason = wardgate_Gap_Reason_STORE_FULL,
                             .count = count,
                             .count_unknown = unknown,
                             .seqs = {first, last}};

    new.id.source = source;
    new.kind = wardgate_Record_Kind_GAP;
    assert_int_equal(ledger_store(bench->ledger, &new, NULL), LEDGER_NEW);
    assert_int_equal(ledger_gap_add(bench->ledger, &gap), LEDGER_OK);
    assert_int_equal(ledger_gap_add(bench->ledger, &gap), LEDGER_OK);
}

static void holes_are_found_and_filled(void **state)
{
    struct bench *bench = *state;
    struct range have[4], hole;

    store_range(bench, 1, 10);
    store_range(bench, 21, 30);
    store_range(bench, 41, 50);
    assert_int_equal(missing(bench), 20);
    hole_is(bench, 0, 11, 20);
    hole_is(bench, 15, 15, 20);
    hole_is(bench, 21, 31, 40);
    assert_int_equal(ledger_missing(bench->ledger, bench->source, 41, &hole),
                     LEDGER_NOT_FOUND);
    assert_int_equal(ledger_received(bench->ledger, bench->source, have, 4), 3);
    assert_int_equal(have[0].first, 41);
    assert_int_equal(have[0].last, 50);
    assert_int_equal(have[2].first, 1);
    assert_int_equal(ledger_received(bench->ledger, bench->source, have, 1), 1);
    store_range(bench, 11, 20);
    store_range(bench, 31, 40);
    assert_int_equal(missing(bench), 0);
    assert_int_equal(ledger_received(bench->ledger, bench->source, have, 4), 1);
    assert_int_equal(have[0].first, 1);
    assert_int_equal(have[0].last, 50);
}

static void a_source_begins_at_its_lowest(void **state)
{
    struct bench *bench = *state;
    struct ledger_source source;
    struct range hole;
    uint64_t lost;

    store_range(bench, 1000, 1001);
    assert_int_equal(missing(bench), 0);
    assert_int_equal(ledger_missing(bench->ledger, bench->source, 1, &hole),
                     LEDGER_NOT_FOUND);
    store_range(bench, 900, 900);
    assert_int_equal(missing(bench), 99);
    /* Told where it begins, and how far it is. */
    assert_int_equal(ledger_source_state(bench->ledger, bench->source, 800, 1, 1101,
                                         &lost),
                     LEDGER_OK);
    assert_int_equal(lost, 0);
    assert_int_equal(missing(bench), 301 - 3);
    hole_is(bench, 1, 800, 899);
    hole_is(bench, 1001, 1002, 1100);
    /* Older news changes nothing, and nonsense nothing. */
    assert_int_equal(ledger_source_state(bench->ledger, bench->source, 850, 1, 900,
                                         &lost),
                     LEDGER_OK);
    assert_int_equal(ledger_source_state(bench->ledger, bench->source, 0, UINT64_MAX,
                                         UINT64_MAX, &lost),
                     LEDGER_OK);
    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &source), LEDGER_OK);
    assert_int_equal(source.base, 800);
    assert_int_equal(source.head, 1100);
}

static void what_the_board_dropped_is_lost_until_it_comes(void **state)
{
    struct bench *bench = *state;
    struct ledger_source source;
    struct ledger_books books;
    uint64_t lost;

    store_range(bench, 1, 10);
    store_range(bench, 21, 30);
    assert_int_equal(ledger_source_state(bench->ledger, bench->source, 1, 16, 36, &lost),
                     LEDGER_OK);
    assert_int_equal(lost, 5);
    assert_int_equal(ledger_source_state(bench->ledger, bench->source, 1, 16, 36, &lost),
                     LEDGER_OK);
    assert_int_equal(lost, 0);
    assert_int_equal(missing(bench), 10);
    hole_is(bench, 1, 16, 20);
    store_range(bench, 12, 12); /* was on its way after all */
    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &source), LEDGER_OK);
    assert_int_equal(source.lost, 4);
    ledger_books(bench->ledger, &books);
    assert_int_equal(books.lost, 4);
    /* A gap record explains the rest: no longer lost without trace. */
    store_gap(bench, bench->source, 36, 11, 15, 4, false);
    ledger_books(bench->ledger, &books);
    assert_int_equal(books.lost, 0);
    assert_int_equal(books.gap_readings, 3); /* 12 came */
    assert_int_equal(books.gaps, 1);
}

static void a_gap_accounts_for_its_seqs(void **state)
{
    struct bench *bench = *state;
    struct ledger_cursor cursor = {0};
    struct ledger_source source;
    struct ledger_books books;
    struct ledger_gap gaps[4];

    store_range(bench, 1, 5);
    store_gap(bench, bench->source, 30, 1, 20, 20, false);
    ledger_books(bench->ledger, &books);
    assert_int_equal(books.gap_readings, 15);
    assert_int_equal(missing(bench), 9); /* 21..29 */
    hole_is(bench, 1, 21, 29);
    store_range(bench, 10, 11); /* evicted there, but had been sent */
    store_range(bench, 6, 6);
    store_range(bench, 20, 20);
    ledger_books(bench->ledger, &books);
    assert_int_equal(books.gap_readings, 11);
    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &source), LEDGER_OK);
    assert_int_equal(source.replaced, 11);
    assert_int_equal(ledger_gaps(bench->ledger, &cursor, gaps, 4), 1);
    assert_int_equal(gaps[0].outstanding, 11);
    assert_int_equal(gaps[0].count, 20);
    assert_int_equal(gaps[0].seqs.last, 20);
    /* A later gap stands for the older one too: its count is not counted twice. */
    store_gap(bench, bench->source, 40, 1, 30, 35,
              false); /* 20 of the old gap, and 15 more */
    ledger_books(bench->ledger, &books);
    assert_int_equal(books.gaps, 2);
    assert_int_equal(books.gap_readings, 11 + (35 - 9 - 11));
    assert_int_equal(missing(bench), 9); /* 31..39 */
}

static void gaps_without_seqs_and_counts(void **state)
{
    struct bench *bench = *state;
    struct ledger_gap wrong = {.id = {bench->source, 3}, .seqs = {2, 3}};
    struct ledger_books books;

    store_gap(bench, bench->source, 1, 0, 0, 7, false);
    store_gap(bench, bench->source, 2, 0, 0, 999, true);
    ledger_books(bench->ledger, &books);
    assert_int_equal(books.gaps, 2);
    assert_int_equal(books.gap_readings, 7);
    assert_int_equal(books.gaps_unknown, 1);
    assert_int_equal(ledger_gap_add(bench->ledger, &wrong),
                     LEDGER_INVALID); /* from its own future */
    wrong.seqs = (struct range){2, 1};
    assert_int_equal(ledger_gap_add(bench->ledger, &wrong), LEDGER_INVALID);
    wrong.id.source = 77;
    assert_int_equal(ledger_gap_add(bench->ledger, &wrong), LEDGER_NOT_FOUND);
}

/* Seqs run on through the epochs of a store, so a gap of the new one may stand for
 * records of the old. */
static void a_gap_reaches_into_the_epoch_before(void **state)
{
    struct bench *bench = *state;
    struct epoch later = {{9}}, foreign = {{10}};
    struct ledger_source old, new;
    uint32_t second, other;
    struct ledger_new record = reading_of(bench, 101, "x", 1, 1, 100);

    store_range(bench, 1, 50);
    assert_int_equal(ledger_source(bench->ledger, "gw-other", &foreign, &other),
                     LEDGER_OK);
    assert_int_equal(ledger_source(bench->ledger, "gw-1", &later, &second), LEDGER_OK);
    record.id.source = second;
    assert_int_equal(ledger_store(bench->ledger, &record, NULL), LEDGER_NEW);
    store_gap(bench, second, 110, 45, 105, 61, true);

    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &old), LEDGER_OK);
    assert_int_equal(ledger_source_get(bench->ledger, second, &new), LEDGER_OK);
    assert_int_equal(old.head, 100);
    assert_int_equal(old.replaced, 50);
    assert_int_equal(old.missing, 0);
    assert_int_equal(new.base, 101);
    assert_int_equal(new.replaced, 4);
    assert_int_equal(new.missing, 4); /* 106..109 */
    store_range(bench, 60, 60);
    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &old), LEDGER_OK);
    assert_int_equal(old.replaced, 49);
}

static void boots_are_remembered(void **state)
{
    struct bench *bench = *state;

    store_range(bench, 1, 2);
    assert_true(ledger_source_has_boot(bench->ledger, bench->source, 99));
    assert_false(ledger_source_has_boot(bench->ledger, bench->source, 98));
    ledger_abort(bench->ledger);
    assert_false(ledger_source_has_boot(bench->ledger, bench->source, 99));
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    store_range(bench, 1, 2);
    assert_true(ledger_source_has_boot(bench->ledger, bench->source, 99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(holes_are_found_and_filled, setup, teardown),
        cmocka_unit_test_setup_teardown(a_source_begins_at_its_lowest, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_board_dropped_is_lost_until_it_comes,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_accounts_for_its_seqs, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps_without_seqs_and_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_reaches_into_the_epoch_before, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(boots_are_remembered, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
