/* SPDX-License-Identifier: Apache-2.0
 *
 * An outage's backlog comes in: receipts first, live readings judged at once, the rest
 * soon, and never a commit of its own in the way of the next records.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chart_core_parts.h"

#define MANY   300 /* records that make a batch one of a drain */
#define MS     INT64_C(1000)
#define OLD_US (T0 - 60 * MINUTE_US) /* the backlog's first reading */

static struct ward w;
static uint64_t seq;

static int open_ward(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    ward_open(&w, 0, 1);
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 600 * MINUTE_US);
    ward_settle(&w);
    seq = 0;
    return 0;
}

static int close_ward(void **state)
{
    (void)state;
    ward_close(&w);
    return 0;
}

/* One batch's records: n old ones. */
static void backlog(uint64_t n)
{
    for (; n > 0; n--)
        seq++, ward_reading(&w, seq, "bed-1", OLD_US + (int64_t)seq * 10 * MS, 60);
}

static uint64_t live(void)
{
    seq++;
    ward_reading(&w, seq, "bed-1", w.now_us - 100 * MS, 61);
    return seq;
}

static struct chart_counts counts(void)
{
    struct chart_counts now;
    chart_count(w.chart, &now);
    return now;
}

static void test_live_is_judged_first(void **state)
{
    (void)state;
    backlog(MANY);
    uint64_t newest = live();
    size_t receipts = w.receipts;
    chart_run(w.chart, w.now_us);
    assert_true(w.receipts > receipts); /* for all of them */
    assert_int_equal(ward_entry(&w, newest).state, LEDGER_MATCHED);
    assert_int_equal(ward_entry(&w, newest - 1).state, LEDGER_RECEIVED);
    assert_true(ward_books(&w).states[LEDGER_RECEIVED] > MANY / 2);
    ward_pass(&w, 1);
    ward_expect(&w, MANY + 1, 0, 0, 0, 0);
}

/* What was let go of first is what the next records wait for. */
static void test_no_commit_in_between(void **state)
{
    (void)state;
    backlog(MANY);
    int64_t next = chart_run(w.chart, w.now_us);
    uint64_t commits = counts().commits;
    assert_true(next > w.now_us);
    assert_true(next <= w.now_us + 100 * MS);
    w.now_us += 5 * MS;
    assert_true(chart_run(w.chart, w.now_us) > w.now_us);
    assert_int_equal(counts().commits, commits);
    w.now_us = next; /* none came: the rest is judged */
    chart_run(w.chart, w.now_us);
    assert_true(counts().commits > commits);
    ward_pass(&w, 1);
    ward_expect(&w, MANY, 0, 0, 0, 0);
}

static void test_a_few_readings_are_no_drain(void **state)
{
    (void)state;
    backlog(20);
    chart_run(w.chart, w.now_us);
    assert_int_equal(ward_books(&w).states[LEDGER_RECEIVED], 0);
    ward_settle(&w);
    ward_expect(&w, 20, 0, 0, 0, 0);
}

/* However long it lasts, old readings are judged too, and messages leave. */
static void test_long_drain_starves_nobody(void **state)
{
    (void)state;
    uint64_t judged = counts().judged;
    for (int i = 0; i < 50; i++) {
        backlog(MANY);
        uint64_t newest = live();
        chart_run(w.chart, w.now_us);
        for (size_t k = 0; k < w.sent_count; k++)
            if (!w.sent[k].answered) {
                w.sent[k].answered = true;
                chart_answer(w.chart, 0, w.sent[k].control, "AA", w.now_us);
            }
        assert_int_not_equal(ward_entry(&w, newest).state, LEDGER_RECEIVED);
        w.now_us += 20 * MS;
    }
    assert_true(counts().judged > judged + 50 + 500);
    assert_true(w.sent_count >= 5);
    assert_true(w.sent_count < 2000); /* and not with every batch */
    ward_pass(&w, 2);
    ward_expect(&w, seq, 0, 0, 0, 0);
}

/* Else a drain would seem to go on until the clock is back where it was. */
static void test_clock_steps_back(void **state)
{
    (void)state;
    backlog(MANY);
    chart_run(w.chart, w.now_us);
    w.now_us -= 60 * MINUTE_US;
    ward_settle(&w);
    assert_int_equal(ward_books(&w).states[LEDGER_RECEIVED], 0);
}

/* More live ones than memory has room for are judged as a backlog, and none is lost. */
static void test_more_than_the_rings_hold(void **state)
{
    (void)state;
    chart_link(w.chart, 0, false);
    for (int i = 0; i < 6000; i++)
        live(), w.now_us++;
    chart_run(w.chart, w.now_us);
    ward_pass(&w, 2);
    assert_int_equal(ward_books(&w).states[LEDGER_RECEIVED], 0);
    ward_expect(&w, 0, 0, 0, 0, 6000);
}

#define WARD(f) cmocka_unit_test_setup_teardown(f, open_ward, close_ward)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WARD(test_live_is_judged_first),
        WARD(test_no_commit_in_between),
        WARD(test_a_few_readings_are_no_drain),
        WARD(test_long_drain_starves_nobody),
        WARD(test_clock_steps_back),
        WARD(test_more_than_the_rings_hold),
    };
    return cmocka_run_group_tests_name("chart_core_drain", tests, NULL, NULL);
}
