/* SPDX-License-Identifier: Apache-2.0
 *
 * What may stand in a chart though the EPR said no: it took the message, its answer was
 * lost, and the same message sent again was refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chart_core_parts.h"

static struct ward w;

static int open_one(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    ward_open(&w, 0, 1);
    return 0;
}

static int open_two(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    ward_open(&w, 0, 2);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    ward_close(&w);
    return 0;
}

/* How the first attempt goes without an answer. */
enum loss { TIMED_OUT, CONNECTION_LOST, LINK_DOWN, KILLED };

static void lose_first(enum loss how)
{
    w.answer = NULL;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 1);
    assert_true(w.sent_count >= 1);
    w.sent[0].answered = true;
    if (how == TIMED_OUT || how == CONNECTION_LOST)
        chart_no_answer(w.chart, 0, w.sent[0].control, how == CONNECTION_LOST, w.now_us);
    if (how == LINK_DOWN) {
        chart_link(w.chart, 0, false);
        ward_pass(&w, 1);
        chart_link(w.chart, 0, true);
    }
    if (how == KILLED)
        ward_restart(&w);
}

static void lose_then_refuse(enum loss how, const char *code)
{
    lose_first(how);
    w.answer = code;
    ward_pass(&w, 60);
    w.answer = "AA";
}

static void expect_may_stand(void)
{
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_int_equal(ward_entry(&w, 1).state, LEDGER_HELD);
    assert_int_equal(ward_entry(&w, 1).reason, CHART_MAY_STAND);
    assert_int_not_equal(ward_entry(&w, 1).patient, 0);
}

static void another_patient(void)
{
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "1", "", T0 - 5 * MINUTE_US);
    ward_pass(&w, 20);
}

/* Once with the first patient, taken back there, then anew with the second. */
static void expect_moved(void)
{
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 1);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 1);
    assert_string_equal(ward_field(&w, w.sent_count - 2, "OBX", 3, 11),
                        "W"); /* never the new one before the old one is gone */
    assert_string_not_equal(ward_field(&w, w.sent_count - 1, "OBR", 0, 29), "");
}

static void stands_after(enum loss how, const char *code)
{
    lose_then_refuse(how, code);
    expect_may_stand();
    another_patient();
    expect_moved();
}

static void test_time_out(void **state)
{
    (void)state;
    stands_after(TIMED_OUT, "AR");
}

static void test_connection_lost(void **state)
{
    (void)state;
    stands_after(CONNECTION_LOST, "AR");
}

static void test_link_down(void **state)
{
    (void)state;
    stands_after(LINK_DOWN, "CR");
}

static void test_killed(void **state)
{
    (void)state;
    stands_after(KILLED, "AR");
}

/* Retried to the end of its attempts: the last no proves as little as the first. */
static void test_errors_to_the_end(void **state)
{
    (void)state;
    stands_after(TIMED_OUT, "AE");
}

/* A no to the first and only attempt is believed: nothing is withdrawn that nobody has.
 */
static void test_plain_refusal_is_believed(void **state)
{
    (void)state;
    w.answer = "AR";
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 0, 1, 0);
    assert_int_equal(ward_entry(&w, 1).reason, CHART_REFUSED);
    w.answer = "AA";
    another_patient();
    ward_expect(&w, 0, 0, 0, 1, 0);
    assert_int_equal(w.sent_count, 1);
}

/* A yes in the end is a yes. */
static void test_accepted_again(void **state)
{
    (void)state;
    lose_then_refuse(TIMED_OUT, "AA");
    ward_expect(&w, 1, 0, 0, 0, 0);
    another_patient();
    expect_moved();
}

/* The history may also change while the answer is awaited. */
static void test_wrong_before_the_refusal(void **state)
{
    (void)state;
    lose_first(TIMED_OUT);
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "1", "", T0 - 5 * MINUTE_US);
    w.answer = NULL;
    ward_settle(&w);
    assert_int_equal(ward_entry(&w, 1).state, LEDGER_WITHDRAWING);
    w.now_us += 10 * SECOND_US;
    ward_settle(&w);
    struct sent_message *again = &w.sent[w.sent_count - 1];
    assert_string_equal(again->control, w.sent[0].control);
    again->answered = true;
    chart_answer(w.chart, 0, again->control, "AR", w.now_us);
    w.answer = "AA";
    ward_pass(&w, 20);
    expect_moved();
}

static struct held_selection selection(uint8_t reason)
{
    return (struct held_selection){.place = "bed-1",
                                   .reason = reason,
                                   .from_us = INT64_MIN,
                                   .to_us = INT64_MAX};
}

/* A nurse may take it off the list; it can't be given to somebody else; the withdrawal is
 * sent all the same. */
static void test_discarded_still_withdrawn(void **state)
{
    (void)state;
    const struct held_selection all = selection(CHART_MAY_STAND);
    lose_then_refuse(TIMED_OUT, "AR");
    assert_int_equal(held_assign(w.chart, &all, "100", "", "nurse", w.now_us),
                     HELD_STATE);
    assert_int_equal(held_discard(w.chart, &all, "it is in the chart", "nurse", w.now_us),
                     1);
    ward_pass(&w, 2);
    ward_expect(&w, 0, 0, 0, 1, 0);
    ward_restart(&w);
    another_patient();
    expect_moved();
}

/* Asked to be sent again, it is taken back first: the same bytes are not offered a third
 * time. */
static void test_resend_takes_back_first(void **state)
{
    (void)state;
    lose_then_refuse(TIMED_OUT, "AR");
    size_t before = w.sent_count;
    assert_int_equal(held_resend(w.chart, 0, 0, "nurse", w.now_us), 1);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(w.sent_count, before + 2);
    assert_string_equal(ward_field(&w, before, "OBX", 3, 11), "W");
    assert_string_not_equal(w.sent[before + 1].control, w.sent[0].control);
    assert_string_not_equal(ward_field(&w, before + 1, "OBR", 0, 29), "");
    assert_int_equal(held_resend(w.chart, 0, 0, "nurse", w.now_us), HELD_NOTHING);
    another_patient(); /* sending again was no decision whose it is */
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 2);
}

/* A withdrawal that is refused too is for a person, as ever. */
static void test_withdrawal_refused(void **state)
{
    (void)state;
    lose_then_refuse(TIMED_OUT, "AR");
    w.answer = "AR";
    another_patient();
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_int_equal(ward_entry(&w, 1).reason, CHART_NOT_WITHDRAWN);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 0);
}

/* Another content under its name: neither is believed, and the first may stand. */
static void test_conflict(void **state)
{
    (void)state;
    lose_then_refuse(TIMED_OUT, "AR");
    ward_reading(&w, 1, "bed-1", T0, 99);
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_int_equal(ward_entry(&w, 1).reason, LEDGER_IDENTITY_CONFLICT);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 1);
}

/* Charted at one, perhaps at the other: both are asked to take it back. */
static void test_second_destination(void **state)
{
    (void)state;
    w.answer = NULL;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 1);
    assert_int_equal(w.sent_count, 2);
    w.sent[0].answered = w.sent[1].answered = true;
    chart_answer(w.chart, w.sent[0].destination, w.sent[0].control, "AA", w.now_us);
    chart_no_answer(w.chart, w.sent[1].destination, w.sent[1].control, false, w.now_us);
    w.answer = "AR";
    ward_pass(&w, 60);
    ward_expect(&w, 1, 0, 0, 0, 0);
    w.answer = "AA";
    another_patient();
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 2);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 2);
}

int main(void)
{
#define ONE(f) cmocka_unit_test_setup_teardown(f, open_one, close_all)
    const struct CMUnitTest tests[] = {
        ONE(test_time_out),
        ONE(test_connection_lost),
        ONE(test_link_down),
        ONE(test_killed),
        ONE(test_errors_to_the_end),
        ONE(test_plain_refusal_is_believed),
        ONE(test_accepted_again),
        ONE(test_wrong_before_the_refusal),
        ONE(test_discarded_still_withdrawn),
        ONE(test_resend_takes_back_first),
        ONE(test_withdrawal_refused),
        ONE(test_conflict),
        cmocka_unit_test_setup_teardown(test_second_destination, open_two, close_all),
    };
    return cmocka_run_group_tests_name("chart_stand", tests, NULL, NULL);
}
