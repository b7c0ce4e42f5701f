/* SPDX-License-Identifier: Apache-2.0
 *
 * A ledger that is copied while it is in use, lost, and put back: what the copy does not
 * know must not put a reading on the patient who was there before.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "chart/backup.h"
#include "chart_core_parts.h"

static struct ward w;
static char folder[192], key[192], copy[192];

/* As the program does it: in another process than the service's. */
static int copy_to(const struct ledger_options *options, const char *to,
                   struct backup_report *report, char error[LEDGER_ERROR_SIZE])
{
    struct answer {
        int code;
        struct backup_report report;
        char error[LEDGER_ERROR_SIZE];
    } answer = {.code = 0};
    int ends[2], status;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        answer.code = backup_make(options, to, w.now_us, &answer.report, answer.error);
        _exit(write(ends[1], &answer, sizeof(answer)) != (ssize_t)sizeof(answer));
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &answer, sizeof(answer)), (ssize_t)sizeof(answer));
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    *report = answer.report;
    memcpy(error, answer.error, sizeof(answer.error));
    return answer.code;
}

static int copy_now(struct backup_report *report, char error[LEDGER_ERROR_SIZE])
{
    const struct ledger_options options = {.folder = folder,
                                           .key_path = key,
                                           .size_max = UINT64_C(256) << 20};

    return copy_to(&options, copy, report, error);
}

static int setup(void **state)
{
    (void)state;
    ward_open(&w, 0, 1);
    (void)snprintf(folder, sizeof(folder), "%s/ledger", w.folder);
    (void)snprintf(key, sizeof(key), "%s/key", w.folder);
    (void)snprintf(copy, sizeof(copy), "%s/copy", w.folder);
    w.now_us += 60 * MINUTE_US;
    ward_adt(&w, "A01", "111", "V1", "1", "", T0);
    ward_settle(&w);
    ward_reading(&w, 1, "bed-1", T0 + 50 * MINUTE_US, 71);
    ward_pass(&w, 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ward_close(&w);
    return 0;
}

/* The ledger's file is gone, and the copy's is in its place. */
static void put_back(void)
{
    char from[256], to[256];

    (void)snprintf(from, sizeof(from), "%s/ledger.mdb", copy);
    (void)snprintf(to, sizeof(to), "%s/ledger.mdb", folder);
    assert_int_equal(rename(from, to), 0);
    (void)snprintf(to, sizeof(to), "%s/ledger.mdb-lock", folder);
    assert_int_equal(unlink(to), 0);
    ward_restart(&w);
}

/* After the copy: 111 goes to bed 2, 222 comes to bed 1, and both are measured. */
static void tell_moves(void)
{
    ward_adt(&w, "A02", "111", "V1", "2", "1", T0 + 62 * MINUTE_US);
    ward_adt(&w, "A01", "222", "V2", "1", "", T0 + 63 * MINUTE_US);
    ward_settle(&w);
}

static void measure(void)
{
    ward_reading(&w, 2, "bed-1", T0 + 65 * MINUTE_US, 72);
    ward_reading(&w, 3, "bed-2", T0 + 65 * MINUTE_US, 73);
    ward_pass(&w, 2);
}

static void what_came_after_the_copy_waits(void **state)
{
    struct backup_report report;
    struct chart_counts counts;
    char error[LEDGER_ERROR_SIZE], control[DELIVER_CONTROL_SIZE],
        filler[DELIVER_FILLER_SIZE];

    (void)state;
    assert_int_equal(copy_now(&report, error), LEDGER_OK);
    assert_int_equal(report.readings, 1);
    assert_int_equal(report.adt, 1);
    assert_true(report.bytes > 0);
    w.now_us += 10 * MINUTE_US;
    tell_moves();
    measure();
    ward_expect(&w, 3, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 2, 'R', "222"), 1);
    memcpy(control, w.sent[1].control, sizeof(control));
    (void)snprintf(filler, sizeof(filler), "%s", ward_field(&w, 1, "OBR", 0, 3));

    put_back();
    chart_count(w.chart, &counts);
    assert_int_equal(counts.census_until_us, report.made_us);
    ward_pass(&w, 2);
    ward_expect(&w, 1, 0, 0, 0, 0);
    measure(); /* the gateway was asked, and sends again */
    ward_expect(&w, 1, 0, 2, 0, 0);
    assert_int_equal(ward_entry(&w, 2).reason, CHART_REASON_MATCH + MATCH_OLD_CENSUS);
    assert_string_equal(chart_reason_name(ward_entry(&w, 2).reason), "old-census");
    /* What was measured before is charted as ever. */
    ward_reading(&w, 4, "bed-1", T0 + 55 * MINUTE_US, 74);
    ward_pass(&w, 2);
    ward_expect(&w, 2, 0, 2, 0, 0);
    assert_int_equal(ward_sent_with(&w, 4, 'R', "111"), 1);
    /* A message alone does not make the census whole. */
    tell_moves();
    ward_pass(&w, 2);
    ward_expect(&w, 2, 0, 2, 0, 0);

    assert_int_equal(held_census_whole(w.chart, "", w.now_us), HELD_WHO);
    assert_int_equal(held_census_whole(w.chart, "match", w.now_us), HELD_WHO);
    assert_int_equal(held_census_whole(w.chart, "j.smith", w.now_us), 2);
    ward_pass(&w, 2);
    ward_expect(&w, 4, 0, 0, 0, 0);
    assert_int_equal(ward_sent_with(&w, 2, 'R', "222"), 2);
    assert_int_equal(ward_sent_with(&w, 2, 'R', "111"), 0);
    assert_int_equal(ward_sent_with(&w, 3, 'R', "111"), 2);
    /* The EPR knows it as the message that it has already. */
    for (size_t i = 2; i < w.sent_count; i++)
        if (strcmp(ward_field(&w, i, "OBR", 0, 3), filler) == 0)
            assert_string_equal(w.sent[i].control, control);
    assert_int_equal(held_census_whole(w.chart, "j.smith", w.now_us), HELD_NOTHING);

    ward_restart(&w);
    chart_count(w.chart, &counts);
    assert_int_equal(counts.census_until_us, 0);
}

/* The mark outlives restarts, and a whole census that no commit has written is none. */
static void it_waits_over_restarts(void **state)
{
    struct backup_report report;
    char error[LEDGER_ERROR_SIZE];

    (void)state;
    assert_int_equal(copy_now(&report, error), LEDGER_OK);
    put_back();
    w.now_us += 10 * MINUTE_US;
    measure();
    ward_restart(&w);
    ward_pass(&w, 2);
    ward_expect(&w, 1, 0, 2, 0, 0);
    assert_int_equal(held_census_whole(w.chart, "j.smith", w.now_us), 2);
    ward_restart(&w); /* killed before the commit */
    ward_pass(&w, 2);
    ward_expect(&w, 1, 0, 2, 0, 0);
    assert_int_equal(ward_entry(&w, 2).reason, CHART_REASON_MATCH + MATCH_OLD_CENSUS);
}

static void what_is_refused(void **state)
{
    struct ledger_options options = {.folder = folder,
                                     .key_path = key,
                                     .size_max = UINT64_C(256) << 20};
    struct backup_report report;
    char error[LEDGER_ERROR_SIZE], other[256];

    (void)state;
    assert_int_equal(copy_now(&report, error), LEDGER_OK);
    assert_int_equal(copy_now(&report, error), LEDGER_EXISTS);
    assert_non_null(strstr(error, "is there already"));
    options.folder = w.folder; /* no ledger there */
    (void)snprintf(other, sizeof(other), "%s/other", w.folder);
    assert_int_equal(copy_to(&options, other, &report, error), LEDGER_NOT_FOUND);
    assert_non_null(strstr(error, "ledger.mdb"));
    assert_int_not_equal(access(other, F_OK), 0);
    options.folder = folder;
    (void)snprintf(other, sizeof(other), "%s/none/other", w.folder);
    assert_int_equal(copy_to(&options, other, &report, error), LEDGER_IO);
    /* Without its key a copy can't be read back, so it is none. */
    options.key_path = "/nonexistent/key";
    (void)snprintf(other, sizeof(other), "%s/other", w.folder);
    assert_int_equal(copy_to(&options, other, &report, error), LEDGER_KEY);
    assert_int_not_equal(access(other, F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_came_after_the_copy_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(it_waits_over_restarts, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_refused, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
