/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chart_core_parts.h"

static struct ward w; /* zeroed by close_all */

static int open_all(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    ward_open(&w, 0, 1);
    return 0;
}

static int open_minute(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    ward_open(&w, 60, 1);
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

static void test_admit_then_chart(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - MINUTE_US);
    ward_settle(&w);
    assert_int_equal(w.adt_answers, 1);
    assert_non_null(strstr(w.last_answer, "MSA|AA|Q1"));
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_true(w.receipts >= 1);
    assert_int_equal(w.sent_count, 1);
    assert_string_equal(ward_field(&w, 0, "PID", 0, 3), "100^^^HOMERTON^MR");
    assert_string_equal(ward_field(&w, 0, "PID", 0, 5), "NAME100^GIVEN^^^^^L");
    assert_string_equal(ward_field(&w, 0, "PV1", 0, 3), "4A^BAY1^BED1^HOMERTON");
    assert_string_equal(ward_field(&w, 0, "PV1", 0, 19), "V1");
    assert_string_equal(ward_field(&w, 0, "OBX", 3, 5), "72");
    assert_string_equal(ward_field(&w, 0, "OBX", 3, 14), "20260722120000.000+0000");
    assert_string_equal(ward_field(&w, 0, "OBX", 1, 5), "50000");
}

/* Nothing leaves before the commit: no receipt, no answer to the PAS, no message. */
static void test_nothing_before_commit(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    assert_int_equal(w.receipts + w.adt_answers + w.sent_count, 0);
    chart_run(w.chart, w.now_us);
    assert_int_equal(w.adt_answers, 1);
    assert_int_equal(w.receipts, 1);
}

static void test_empty_bed_is_held_then_charted(void **state)
{
    (void)state;
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_reading(&w, 2, "bed-9", T0, 72);
    ward_pass(&w, 2);
    ward_expect(&w, 0, 0, 2, 0, 0);
    assert_int_equal(w.sent_count, 0);
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - MINUTE_US); /* late */
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 1, 0, 0);
    assert_int_equal(ward_entry(&w, 2).reason, CHART_REASON_MATCH + MATCH_NOT_MAPPED);
}

static void test_late_transfer_corrects(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "2", "", T0 - 60 * MINUTE_US);
    ward_settle(&w);
    ward_reading(&w, 1, "bed-1", T0 - 10 * MINUTE_US, 71); /* before the move */
    ward_reading(&w, 2, "bed-1", T0, 72);                  /* 200 is there already */
    ward_reading(&w, 3, "bed-2", T0, 73);                  /* nobody is there any more */
    ward_pass(&w, 20);
    ward_expect(&w, 3, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 2, 'R', "100"), 1);
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A02", "200", "V2", "1", "2", T0 - 5 * MINUTE_US);
    ward_pass(&w, 30);
    ward_expect(&w, 2, 0, 1, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 0);
    assert_int_equal(ward_sent_with(&w, 2, 'W', "100"), 1);
    assert_int_equal(ward_sent_with(&w, 2, 'R', "200"), 1);
    assert_int_equal(ward_sent_with(&w, 3, 'W', "200"), 1);
    assert_int_equal(ward_entry(&w, 2).generation, 2);
    assert_int_equal(ward_entry(&w, 3).reason, CHART_REASON_MATCH + MATCH_EMPTY);

    /* Original, withdrawal, then the new one, linked to what it replaces. */
    size_t original = SENT_MAX, withdrawal = SENT_MAX, anew = SENT_MAX;
    for (size_t i = 0; i < w.sent_count; i++) {
        if (!strstr(ward_field(&w, i, "OBR", 0, 3), ".2.") ||
            strstr(ward_field(&w, i, "OBR", 0, 3), ".2.") !=
                strchr(ward_field(&w, i, "OBR", 0, 3), '.') + 33)
            continue;
        char status = ward_field(&w, i, "OBX", 3, 11)[0];
        bool second = strncmp(ward_field(&w, i, "PID", 0, 3), "200", 3) == 0;
        *(status == 'W' ? &withdrawal : second ? &anew : &original) = i;
    }
    assert_true(original < withdrawal && withdrawal < anew && anew < SENT_MAX);
    char filler[128], parent[160];
    snprintf(filler, sizeof filler, "%s", ward_field(&w, original, "OBR", 0, 3));
    assert_string_equal(ward_field(&w, withdrawal, "OBR", 0, 3), filler);
    filler[strcspn(filler, "^")] = '\0';
    snprintf(parent, sizeof parent, "^%s&WARDGATE", filler);
    assert_string_equal(ward_field(&w, anew, "OBR", 0, 29), parent);
    assert_string_equal(ward_field(&w, withdrawal, "OBX", 3, 5), "72");
    assert_string_equal(ward_field(&w, withdrawal, "PV1", 0, 19), "V1");
}

static void test_unsent_is_replaced(void **state)
{
    (void)state;
    chart_link(w.chart, 0, false); /* the EPR is down: nothing can have reached it */
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 0, 0, 1);
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "1", "", T0 - 5 * MINUTE_US);
    ward_pass(&w, 20);
    chart_link(w.chart, 0, true);
    ward_pass(&w, 5);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(w.sent_count, 1);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 1);
    assert_string_equal(ward_field(&w, 0, "OBR", 0, 29),
                        ""); /* nothing was replaced there */
}

static void test_sent_without_answer_is_seen_through(void **state)
{
    (void)state;
    w.answer = NULL;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 20);
    assert_int_equal(w.sent_count, 1); /* it may have arrived */
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "1", "", T0 - 5 * MINUTE_US);
    ward_pass(&w, 20);
    assert_int_equal(w.sent_count, 1);
    ward_restart(&w);
    w.answer = "AA";
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "100"), 2); /* again, the same bytes */
    assert_int_equal(w.sent[0].n, w.sent[1].n);
    assert_memory_equal(w.sent[0].bytes, w.sent[1].bytes, w.sent[0].n);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 1);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 1);
}

static void test_refused_withdrawal_stays_open(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 20);
    w.answer = "AR";
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "1", "", T0 - 5 * MINUTE_US);
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_int_equal(ward_entry(&w, 1).reason, CHART_NOT_WITHDRAWN);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 0);

    /* It can't be assigned away; only doing it in the EPR by hand, or sending it again,
     * ends it. */
    const struct held_selection all = {.place = "bed-1",
                                       .reason = CHART_NOT_WITHDRAWN,
                                       .from_us = INT64_MIN,
                                       .to_us = INT64_MAX};
    assert_int_equal(held_assign(w.chart, &all, "200", "", "nurse", w.now_us),
                     HELD_STATE);
    w.answer = "AA";
    assert_int_equal(held_resend(w.chart, 0, 0, "nurse", w.now_us), 1);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 2);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 1);
}

static void test_withdrawn_by_hand(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 20);
    w.answer = "AR";
    ward_adt(&w, "A11", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_pass(&w, 20);
    assert_int_equal(ward_entry(&w, 1).reason, CHART_NOT_WITHDRAWN);
    w.answer = "AA";
    const struct held_selection all = {.place = "bed-1",
                                       .reason = CHART_NOT_WITHDRAWN,
                                       .from_us = INT64_MIN,
                                       .to_us = INT64_MAX};
    assert_int_equal(held_discard(w.chart, &all, "corrected in the record system",
                                  "sister", w.now_us),
                     1);
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_int_not_equal(ward_entry(&w, 1).reason, CHART_NOT_WITHDRAWN);
}

static void test_interval_thins(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    for (int i = 0; i < 180; i++) {
        ward_reading(&w, (uint64_t)i + 1, "bed-1", w.now_us, 60 + i % 7);
        ward_pass(&w, 1);
    }
    ward_pass(&w, 120);
    ward_expect(&w, 3, 177, 0, 0, 0);
    assert_string_equal(ward_field(&w, 0, "OBX", 3, 14),
                        "20260722120059.000+0000"); /* the newest of its minute */
}

/* A restart in the middle of an interval charts neither nothing nor two. */
static void test_restart_inside_interval(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    for (int i = 0; i < 300; i++) {
        ward_reading(&w, (uint64_t)i + 1, "bed-1", w.now_us, 60);
        ward_pass(&w, 1);
        if (i % 13 == 0)
            ward_restart(&w);
    }
    ward_pass(&w, 120);
    ward_expect(&w, 5, 295, 0, 0, 0);
}

static void test_withdrawing_the_newest_makes_an_earlier_one_due(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    for (int i = 0; i < 60; i++) {
        ward_reading(&w, (uint64_t)i + 1, "bed-1", w.now_us, 60);
        ward_pass(&w, 1);
    }
    ward_pass(&w, 60);
    ward_expect(&w, 1, 59, 0, 0, 0);
    ward_adt(&w, "A03", "100", "V1", "1", "",
             T0 + 30 * SECOND_US); /* gone in the middle of the minute */
    ward_pass(&w, 60);
    ward_expect(&w, 1, 29, 30, 0, 0);
    assert_int_equal(ward_sent_with(&w, 60, 'W', "100"), 1);
    assert_int_equal(ward_sent_with(&w, 30, 'R', "100") +
                         ward_sent_with(&w, 29, 'R', "100"),
                     1);
}

static void test_other_fetus_is_held(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "111", "V1", "1", "", T0);
    ward_reading_of_fetus(&w, 1, 1, "bed-1", T0 + 10 * SECOND_US, 140);
    ward_reading_of_fetus(&w, 2, 2, "bed-1", T0 + 10 * SECOND_US, 150);
    ward_pass(&w, 2);
    ward_expect(&w, 1, 0, 1, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "111"), 1);
    assert_int_equal(ward_entry(&w, 2).reason, CHART_REASON_MATCH + MATCH_OTHER_FETUS);
}

static void test_absent_values_are_kept(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, -1);
    ward_pass(&w, 120);
    ward_expect(&w, 0, 1, 0, 0, 0);
    assert_int_equal(w.sent_count, 0);
}

static void test_redelivery_changes_nothing(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    for (int again = 0; again < 5; again++) {
        ward_reading(&w, 1, "bed-1", T0, 72);
        ward_pass(&w, 5);
        if (again == 2)
            ward_restart(&w);
    }
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(w.sent_count, 1);
    assert_true(w.receipts >= 5);
}

static void test_conflict_withdraws(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    ward_reading(&w, 1, "bed-1", T0, 99); /* the same identity, another content */
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_int_equal(ward_books(&w).conflicts, 1);
    assert_int_equal(ward_entry(&w, 1).reason, LEDGER_IDENTITY_CONFLICT);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 1);
    /* Its gateway is not believed until a person says so. */
    ward_reading(&w, 2, "bed-1", T0 + SECOND_US, 73);
    ward_pass(&w, 20);
    assert_int_equal(ward_entry(&w, 2).reason, LEDGER_SOURCE_DOUBTED);
    assert_int_equal(held_trust(w.chart, "gw-1", "match", w.now_us), HELD_WHO);
    assert_int_equal(held_trust(w.chart, "gw-1", "engineer", w.now_us), 1);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 1, 0, 0);
}

static void test_late_clock_fix(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading_untimed(&w, 1, "bed-1", 5000000, 72);
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_int_equal(ward_entry(&w, 1).reason, LEDGER_TIME_UNKNOWN);
    ward_clock_fix(&w, 2, 9000000, T0 + 4 * SECOND_US);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_string_equal(ward_field(&w, 0, "OBX", 3, 14), "20260722120000.000+0000");
}

/* The bed is the same, the time is not: what stands must say how little is known. */
static void test_contradicting_clock_fixes(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_clock_fix(&w, 1, 4000000, T0 - SECOND_US);
    ward_reading_untimed(&w, 2, "bed-1", 5000000, 72);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(w.sent_count, 1);
    ward_clock_fix(&w, 3, 9000000, T0 + 8 * SECOND_US); /* 4 s ahead of the first */
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(w.sent_count, 3);
    /* Taken back with the time that it had, ... */
    assert_string_equal(ward_field(&w, 1, "OBX", 3, 11), "W");
    assert_string_equal(ward_field(&w, 1, "OBX", 3, 14), "20260722120000.000+0000");
    /* ... and sent with one that holds both. */
    assert_string_equal(ward_field(&w, 2, "OBX", 3, 14), "20260722120002.000+0000");
    assert_string_equal(ward_field(&w, 2, "OBX", 1, 5), "2051000");
    ward_clock_fix(&w, 4, 9500000, T0 + 86400 * SECOND_US);
    ward_pass(&w, 20);
    ward_expect(&w, 0, 0, 1, 0, 0);
    assert_string_equal(ward_field(&w, 3, "OBX", 3, 14), "20260722120002.000+0000");
}

/* Its message waits for an EPR that is away: nothing of the old time ever leaves. */
static void test_contradicting_fix_before_sending(void **state)
{
    (void)state;
    w.answer = NULL;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_clock_fix(&w, 1, 4000000, T0 - SECOND_US);
    ward_reading_untimed(&w, 2, "bed-1", 5000000, 72);
    ward_clock_fix(&w, 3, 9000000, T0 + 8 * SECOND_US);
    ward_pass(&w, 1);
    w.answer = "AA";
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_string_equal(ward_field(&w, w.sent_count - 1, "OBX", 3, 14),
                        "20260722120002.000+0000");
}

static void test_retries_then_dead_letter(void **state)
{
    (void)state;
    w.answer = "AE";
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 60);
    ward_expect(&w, 0, 0, 0, 1, 0);
    assert_int_equal(w.sent_count, 3);
    for (size_t i = 1; i < 3; i++)
        assert_string_equal(w.sent[i].bytes, w.sent[0].bytes);
    assert_int_equal(ward_entry(&w, 1).reason, CHART_REFUSED);
    assert_int_equal(held_resend(w.chart, 0, 0, "", w.now_us), HELD_WHO);
    w.answer = "AA";
    assert_int_equal(held_resend(w.chart, 0, 0, "nurse", w.now_us), 1);
    ward_pass(&w, 5);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_string_equal(w.sent[3].bytes, w.sent[0].bytes);
}

static void test_reject_parks_at_once(void **state)
{
    (void)state;
    w.answer = "CR";
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 60);
    ward_expect(&w, 0, 0, 0, 1, 0);
    assert_int_equal(w.sent_count, 1);
}

/* Homerton's receiver means it the other way round. */
static void test_policy_reversed(void **state)
{
    (void)state;
    ward_close(&w);
    ward_open(&w, 0, 1);
    w.destinations[0].park_on_error = true, w.destinations[0].park_on_reject = false;
    ward_restart(&w);
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    w.answer = "AR";
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 1);
    w.answer = "AA";
    ward_pass(&w, 30);
    ward_expect(&w, 1, 0, 0, 0, 0);
    w.answer = "AE";
    ward_reading(&w, 2, "bed-1", T0 + 1, 73);
    ward_pass(&w, 30);
    ward_expect(&w, 1, 0, 0, 1, 0);
}

/* One message that is refused again and again does not hold up the others. */
static void test_poisoned_message(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    w.answer = NULL;
    for (uint64_t seq = 1; seq <= 20; seq++)
        ward_reading(&w, seq, "bed-1", T0 + (int64_t)seq * SECOND_US, 70);
    for (int step = 0; step < 200; step++) {
        ward_settle(&w);
        for (size_t i = 0; i < w.sent_count; i++) {
            if (w.sent[i].answered)
                continue;
            w.sent[i].answered = true;
            bool poison =
                strstr(ward_field(&w, i, "OBX", 3, 14), "20260722120003") != NULL;
            chart_answer(w.chart, 0, w.sent[i].control, poison ? "CE" : "CA", w.now_us);
        }
        w.now_us += SECOND_US / 4;
    }
    ward_expect(&w, 19, 0, 0, 1, 0);
}

/* An EPR that answers nothing at all makes no dead letters; one that answers others does.
 */
static void test_silence(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    w.answer = NULL;
    ward_reading(&w, 1, "bed-1", T0, 70);
    for (int i = 0; i < 40; i++) {
        ward_pass(&w, 10);
        struct sent_message *last = &w.sent[w.sent_count - 1];
        if (!last->answered)
            chart_no_answer(w.chart, 0, last->control, false, w.now_us);
        last->answered = true;
    }
    ward_expect(&w, 0, 0, 0, 0, 1);
    for (uint64_t seq = 2; seq < 8; seq++) {
        ward_reading(&w, seq, "bed-1", T0 + (int64_t)seq, 70);
        for (int i = 0; i < 10; i++) {
            ward_pass(&w, 1);
            for (size_t j = 0; j < w.sent_count; j++) {
                struct sent_message *m = &w.sent[j];
                if (m->answered)
                    continue;
                m->answered = true;
                if (strstr(m->bytes, "120000.000+0000||||") &&
                    strcmp(m->control, w.sent[0].control) == 0)
                    chart_no_answer(w.chart, 0, m->control, false, w.now_us);
                else
                    chart_answer(w.chart, 0, m->control, "AA", w.now_us);
            }
        }
    }
    ward_expect(&w, 6, 0, 0, 1, 0);
    assert_int_equal(ward_entry(&w, 1).reason, CHART_NO_ANSWER);
}

/* A message over which the connection breaks every time is set aside like one without an
 * answer. */
static void test_connection_breaker(void **state)
{
    (void)state;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    w.answer = NULL;
    ward_reading(&w, 1, "bed-1", T0, 70);
    ward_reading(&w, 2, "bed-1", T0 + SECOND_US, 70);
    ward_settle(&w);
    for (int i = 0; i < 40; i++) {
        for (size_t j = 0; j < w.sent_count; j++) {
            struct sent_message *m = &w.sent[j];
            if (m->answered)
                continue;
            m->answered = true;
            if (strcmp(m->control, w.sent[0].control) == 0) {
                chart_no_answer(w.chart, 0, m->control, true, w.now_us);
                chart_link(w.chart, 0, false);
                ward_pass(&w, 1);
                chart_link(w.chart, 0, true);
            } else {
                chart_answer(w.chart, 0, m->control, "AA", w.now_us);
            }
        }
        ward_pass(&w, 1);
    }
    assert_int_equal(ward_entry(&w, 2).state, LEDGER_CHARTED);
}

static void test_strays_are_ignored(void **state)
{
    (void)state;
    struct chart_counts counts;
    w.answer = NULL;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 70);
    ward_pass(&w, 1);
    chart_answer(w.chart, 0, "00000000000000000000", "AA", w.now_us);
    chart_answer(w.chart, 0, "", "AA", w.now_us);
    ward_pass(&w, 1);
    ward_expect(&w, 0, 0, 0, 0, 1);
    chart_count(w.chart, &counts);
    assert_int_equal(counts.strays, 2);
    chart_answer(w.chart, 0, w.sent[0].control, "AA", w.now_us);
    chart_answer(w.chart, 0, w.sent[0].control, "AE",
                 w.now_us); /* the second answer to one message */
    ward_pass(&w, 1);
    ward_expect(&w, 1, 0, 0, 0, 0);
}

static void test_live_before_backlog(void **state)
{
    (void)state;
    chart_link(w.chart, 0, false);
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 600 * MINUTE_US);
    for (uint64_t seq = 1; seq <= 30; seq++)
        ward_reading(&w, seq, "bed-1", T0 - 120 * MINUTE_US + (int64_t)seq * SECOND_US,
                     50);
    ward_reading(&w, 31, "bed-1", T0, 90);
    ward_pass(&w, 2);
    chart_link(w.chart, 0, true);
    ward_pass(&w, 2);
    ward_expect(&w, 31, 0, 0, 0, 0);
    assert_string_equal(ward_field(&w, 0, "OBX", 3, 5), "90");
}

static void count_line(void *context, const struct held_line *line)
{
    struct held_line *lines = context;
    lines[lines[0].readings == 0 ? 0 : lines[1].readings == 0 ? 1 : 2] = *line;
}

static void test_worklist_and_assign(void **state)
{
    (void)state;
    struct held_line lines[3];
    memset(lines, 0, sizeof lines);
    ward_adt(&w, "A01", "100", "V1", "2", "", T0 - 60 * MINUTE_US);
    ward_settle(&w);
    for (int i = 0; i < 120; i++)
        ward_reading(&w, (uint64_t)i + 1, "bed-1", T0 + i * SECOND_US, 60);
    for (int i = 0; i < 60; i++)
        ward_reading(&w, (uint64_t)i + 121, "bed-1", T0 + 40 * MINUTE_US + i * SECOND_US,
                     61);
    ward_pass(&w, 2);
    ward_expect(&w, 0, 0, 180, 0, 0);
    assert_int_equal(held_each(w.chart, count_line, lines),
                     2); /* one bed and reason, two stretches */
    assert_string_equal(lines[0].place, "bed-1");
    assert_int_equal(lines[0].readings, 120);
    assert_int_equal(lines[1].readings, 60);
    struct held_selection s = {.place = "bed-1",
                               .reason = lines[0].reason,
                               .from_us = lines[0].from_us,
                               .to_us = lines[0].to_us};
    assert_int_equal(held_assign(w.chart, &s, "999", "", "nurse", w.now_us),
                     HELD_PATIENT);
    assert_int_equal(held_assign(w.chart, &s, "100", "", "due", w.now_us), HELD_WHO);
    s.place = "bed-7";
    assert_int_equal(held_assign(w.chart, &s, "100", "", "nurse", w.now_us),
                     HELD_NOTHING);
    s.place = "bed-1";
    assert_int_equal(held_assign(w.chart, &s, "100", "HOMERTON", "nurse", w.now_us), 120);
    ward_pass(&w, 5);
    ward_expect(&w, 2, 118, 60, 0, 0);
    assert_string_equal(ward_field(&w, 0, "PID", 0, 3), "100^^^HOMERTON^MR");
    /* History that says otherwise later does not undo what a person decided. */
    w.now_us += 50 * MINUTE_US;
    ward_adt(&w, "A01", "300", "V3", "1", "", T0 - MINUTE_US);
    ward_pass(&w, 60);
    ward_expect(&w, 3, 177, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 120, 'W', "100"), 0);
    s = (struct held_selection){.place = "bed-1",
                                .reason = s.reason,
                                .from_us = INT64_MIN,
                                .to_us = INT64_MAX};
    assert_int_equal(held_discard(w.chart, &s, "", "nurse", w.now_us), HELD_NOTHING);
}

static void test_discard(void **state)
{
    (void)state;
    ward_reading(&w, 1, "bed-1", T0, 60);
    ward_pass(&w, 2);
    const struct held_selection s = {.place = "bed-1",
                                     .reason = ward_entry(&w, 1).reason,
                                     .from_us = INT64_MIN,
                                     .to_us = INT64_MAX};
    assert_int_equal(held_discard(w.chart, &s, "test of the monitor", "", w.now_us),
                     HELD_WHO);
    assert_int_equal(held_discard(w.chart, &s, "test of the monitor", "engineer",
                                  w.now_us),
                     1);
    ward_pass(&w, 2);
    ward_adt(&w, "A01", "100", "V1", "1", "",
             T0 - MINUTE_US); /* discarded stays discarded */
    ward_pass(&w, 30);
    ward_expect(&w, 0, 0, 0, 1, 0);
}

static void test_two_destinations(void **state)
{
    (void)state;
    chart_link(w.chart, 1, false);
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 5);
    ward_expect(&w, 0, 0, 0, 0, 1); /* charted where it could be; the copy is pending */
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "1", "", T0 - 5 * MINUTE_US);
    ward_pass(&w, 20);
    chart_link(w.chart, 1, true);
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    size_t wrong = 0, right = 0;
    for (size_t i = 0; i < w.sent_count; i++)
        if (w.sent[i].destination == 1) {
            wrong += strncmp(ward_field(&w, i, "PID", 0, 3), "100", 3) == 0;
            right += strncmp(ward_field(&w, i, "PID", 0, 3), "200", 3) == 0;
        }
    assert_int_equal(wrong, 0); /* never sent there, so nothing to withdraw */
    assert_int_equal(right, 1);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 1);
}

/* One copy is on its way, unanswered, when the other has been charted and must go. */
static void test_two_destinations_one_unanswered(void **state)
{
    (void)state;
    w.answer = NULL;
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_reading(&w, 1, "bed-1", T0, 72);
    ward_pass(&w, 5);
    assert_int_equal(w.sent_count, 2);
    w.sent[0].answered = true;
    chart_answer(w.chart, 0, w.sent[0].control, "AA", w.now_us);
    ward_pass(&w, 1);
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 - 6 * MINUTE_US);
    ward_adt(&w, "A01", "200", "V2", "1", "", T0 - 5 * MINUTE_US);
    ward_pass(&w, 5);
    assert_int_equal(ward_entry(&w, 1).state, LEDGER_WITHDRAWING);
    w.answer = "AA";
    ward_pass(&w, 20);
    ward_expect(&w, 1, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 1, 'W', "100"), 2);
    assert_int_equal(ward_sent_with(&w, 1, 'R', "200"), 2);
}

static void test_adt_garbage(void **state)
{
    (void)state;
    ward_adt_raw(&w, "hello");
    ward_settle(&w);
    ward_adt_raw(&w, "MSH|^~\\&|PAS|H|T|W|20260722130000||ADT^A01|X1|P|2.3.1\rEVN|A01\r");
    ward_settle(&w);
    assert_non_null(strstr(w.last_answer, "MSA|AE|X1"));
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - MINUTE_US);
    ward_settle(&w);
    assert_non_null(strstr(w.last_answer, "MSA|AA|"));
    ward_adt_raw(&w, "");
    assert_int_equal(w.adt_silences, 1);
}

static void test_repeated_adt_is_answered_again(void **state)
{
    (void)state;
    struct chart_counts counts;
    const char *message = "MSH|^~\\&|PAS|HOMERTON|T|W|20260722130000||ADT^A01|D1|P|2.3."
                          "1\rEVN|A01|20260722130000\r"
                          "PID|||100^^^H^CNN||A^B\rPV1||I|4A^BAY1^BED1\r";
    for (int i = 0; i < 3; i++) {
        ward_adt_raw(&w, message);
        ward_settle(&w);
        assert_non_null(strstr(w.last_answer, "MSA|AA|D1"));
        ward_restart(&w);
    }
    ward_adt_raw(&w, message);
    ward_settle(&w);
    chart_count(w.chart, &counts);
    assert_int_equal(counts.adt_repeated, 1);
    assert_int_equal(ledger_adt_last(w.ledger), 1);
}

/* Killed between the ADT's commit and the judging of the readings that it concerns. */
static void test_restart_before_review(void **state)
{
    (void)state;
    for (uint64_t seq = 1; seq <= 3000; seq++)
        ward_reading(&w, seq, "bed-1", T0 + (int64_t)seq * SECOND_US, 60);
    ward_settle(&w);
    ward_expect(&w, 0, 0, 3000, 0, 0);
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - MINUTE_US);
    chart_run(w.chart, w.now_us); /* bounded: it can't have judged them all */
    struct ledger_books b = ward_books(&w);
    assert_true(b.states[LEDGER_HELD] > 0);
    ward_restart(&w);
    w.now_us += 4000 * SECOND_US;
    ward_pass(&w, 2);
    ward_expect(&w, 3000, 0, 0, 0, 0);
}

/* A ledger without room: nothing new goes in and nobody is told that it did, what is
 * there is finished; with room again all goes on. */
static void test_full_ledger(void **state)
{
    (void)state;
    uint64_t seq = 0, before = 0;
    ward_close(&w);
    w.size_max = UINT64_C(16) << 20;
    ward_open(&w, 0, 1);
    chart_link(w.chart, 0, false);
    ward_adt(&w, "A01", "100", "V1", "1", "", T0 - 60 * MINUTE_US);
    ward_settle(&w);
    while (!*chart_trouble(w.chart) && seq < 100000) {
        before = w.receipts;
        for (int i = 0; i < 20; i++)
            seq++, ward_reading(&w, seq, "bed-1", T0 + (int64_t)seq, 60);
        chart_run(w.chart, w.now_us);
    }
    assert_true(*chart_trouble(w.chart) != 0);
    assert_true(w.receipts <= before + 1);
    uint64_t taken = ward_books(&w).readings;
    assert_true(taken > 100 && taken < seq);
    size_t silences = w.adt_silences;
    ward_adt(&w, "A03", "100", "V1", "1", "", T0 + MINUTE_US);
    assert_int_equal(w.adt_silences, silences + 1); /* the PAS keeps it */

    /* What is there goes out, though nothing comes in. */
    w.quiet = true;
    chart_link(w.chart, 0, true);
    for (int i = 0; i < 200 && ward_books(&w).states[LEDGER_CHARTED] < taken; i++) {
        ward_reading(&w, seq, "bed-1", T0 + (int64_t)seq, 60);
        ward_pass(&w, 1);
    }
    assert_int_equal(ward_books(&w).readings, taken);
    assert_int_equal(ward_books(&w).states[LEDGER_CHARTED], taken);
    w.size_max = UINT64_C(256) << 20;
    ward_restart(&w);
    for (uint64_t i = 1; i <= seq; i++)
        ward_reading(&w, i, "bed-1", T0 + (int64_t)i, 60);
    ward_pass(&w, 2);
    ward_expect(&w, seq, 0, 0, 0, 0);
    assert_string_equal(chart_trouble(w.chart), "");
    printf("full ledger: %llu of %llu readings fitted\n", (unsigned long long)taken,
           (unsigned long long)seq);
}

#define ALL(f)    cmocka_unit_test_setup_teardown(f, open_all, close_all)
#define MINUTE(f) cmocka_unit_test_setup_teardown(f, open_minute, close_all)
#define TWO(f)    cmocka_unit_test_setup_teardown(f, open_two, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALL(test_admit_then_chart),
        ALL(test_nothing_before_commit),
        ALL(test_empty_bed_is_held_then_charted),
        ALL(test_late_transfer_corrects),
        ALL(test_unsent_is_replaced),
        ALL(test_sent_without_answer_is_seen_through),
        ALL(test_refused_withdrawal_stays_open),
        ALL(test_withdrawn_by_hand),
        MINUTE(test_interval_thins),
        MINUTE(test_restart_inside_interval),
        MINUTE(test_withdrawing_the_newest_makes_an_earlier_one_due),
        ALL(test_other_fetus_is_held),
        MINUTE(test_absent_values_are_kept),
        ALL(test_redelivery_changes_nothing),
        ALL(test_conflict_withdraws),
        ALL(test_late_clock_fix),
        ALL(test_contradicting_clock_fixes),
        ALL(test_contradicting_fix_before_sending),
        ALL(test_retries_then_dead_letter),
        ALL(test_reject_parks_at_once),
        ALL(test_policy_reversed),
        ALL(test_poisoned_message),
        ALL(test_silence),
        ALL(test_connection_breaker),
        ALL(test_strays_are_ignored),
        ALL(test_live_before_backlog),
        MINUTE(test_worklist_and_assign),
        ALL(test_discard),
        TWO(test_two_destinations),
        TWO(test_two_destinations_one_unanswered),
        ALL(test_adt_garbage),
        ALL(test_repeated_adt_is_answered_again),
        ALL(test_restart_before_review),
        ALL(test_full_ledger),
    };
    return cmocka_run_group_tests_name("chart_core", tests, NULL, NULL);
}
