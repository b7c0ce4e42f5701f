/* SPDX-License-Identifier: Apache-2.0
 *
 * The ADT log, clock fixes, small values and the outbox.
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
    bench_end(bench);
    return 0;
}

static void commit(struct bench *bench)
{
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_reopen(bench);
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
}

static void adt_is_logged_once(void **state)
{
    struct bench *bench = *state;
    uint64_t number;
    int64_t received;
    uint8_t *raw;
    size_t n;

    assert_int_equal(ledger_adt_append(bench->ledger, "A|1", 3, "MSH one", 7, 11,
                                       &number),
                     LEDGER_NEW);
    assert_int_equal(number, 1);
    assert_int_equal(ledger_adt_append(bench->ledger, "A|2", 3, "MSH two", 7, 12,
                                       &number),
                     LEDGER_NEW);
    assert_int_equal(ledger_adt_append(bench->ledger, "A|1", 3, "MSH one", 7, 13,
                                       &number),
                     LEDGER_SAME);
    assert_int_equal(number, 1);
    assert_int_equal(ledger_adt_append(bench->ledger, "A|1", 3, "MSH other", 9, 14,
                                       &number),
                     LEDGER_CONFLICT);
    assert_int_equal(number, 3);
    assert_int_equal(ledger_adt_append(bench->ledger, "", 0, "MSH", 3, 14, &number),
                     LEDGER_INVALID);
    assert_int_equal(ledger_adt_append(bench->ledger, "A", 1, "", 0, 14, &number),
                     LEDGER_INVALID);
    commit(bench);
    assert_int_equal(ledger_adt_last(bench->ledger), 3);
    assert_int_equal(ledger_adt_read(bench->ledger, 3, &raw, &n, &received), LEDGER_OK);
    assert_int_equal(n, 9);
    assert_string_equal((char *)raw, "MSH other");
    assert_int_equal(received, 14);
    free(raw);
    assert_int_equal(ledger_adt_read(bench->ledger, 4, &raw, &n, &received),
                     LEDGER_NOT_FOUND);
    assert_int_equal(ledger_adt_trim(bench->ledger, 3, 100), 2);
    assert_int_equal(ledger_adt_read(bench->ledger, 2, &raw, &n, &received),
                     LEDGER_NOT_FOUND);
    assert_int_equal(ledger_adt_append(bench->ledger, "A|2", 3, "MSH two", 7, 15,
                                       &number),
                     LEDGER_SAME);
    assert_int_equal(ledger_adt_append(bench->ledger, "A|4", 3, "MSH four", 8, 15,
                                       &number),
                     LEDGER_NEW);
    assert_int_equal(number, 4);
}

static void the_nearest_fixes_are_found(void **state)
{
    struct bench *bench = *state;
    struct timebase_fix fix = {1000000, 5000000, 10};
    struct timebase_fixes near;

    assert_int_equal(ledger_fix_near(bench->ledger, 1, 9, 5, &near), LEDGER_OK);
    assert_false(near.has_before || near.has_after || near.contradicted);
    assert_int_equal(ledger_fix_add(bench->ledger, 1, 9, &fix), LEDGER_NEW);
    assert_int_equal(ledger_fix_add(bench->ledger, 1, 9, &fix), LEDGER_SAME);
    fix = (struct timebase_fix){3000000, 7000500, 10};
    assert_int_equal(ledger_fix_add(bench->ledger, 1, 9, &fix), LEDGER_NEW);
    assert_int_equal(ledger_fix_add(bench->ledger, 1, 10, &fix), LEDGER_NEW);
    assert_int_equal(ledger_fix_add(bench->ledger, 2, 9, &fix), LEDGER_NEW);
    commit(bench);
    assert_int_equal(ledger_fix_near(bench->ledger, 1, 9, 2000000, &near), LEDGER_OK);
    assert_true(near.has_before && near.has_after && !near.contradicted);
    assert_int_equal(near.before.monotonic_us, 1000000);
    assert_int_equal(near.after.monotonic_us, 3000000);
    assert_int_equal(near.after.utc_us, 7000500);
    assert_int_equal(ledger_fix_near(bench->ledger, 1, 9, 0, &near), LEDGER_OK);
    assert_true(!near.has_before && near.has_after);
    assert_int_equal(ledger_fix_near(bench->ledger, 1, 9, UINT64_MAX, &near), LEDGER_OK);
    assert_true(near.has_before && !near.has_after);
    assert_int_equal(ledger_fix_near(bench->ledger, 1, 9, 3000000, &near), LEDGER_OK);
    assert_true(near.has_before && !near.has_after);
    fix = (struct timebase_fix){4000000, 99000000, 10};
    assert_int_equal(ledger_fix_add(bench->ledger, 1, 9, &fix), LEDGER_CONFLICT);
    assert_int_equal(ledger_fix_near(bench->ledger, 1, 9, 0, &near), LEDGER_OK);
    assert_true(near.contradicted);
    assert_in_range(near.offset_low_us, 3980000, 4000000);
    assert_in_range(near.offset_high_us, 95000000, 95020000);
}

static void values_by_prefix(void **state)
{
    struct bench *bench = *state;
    uint8_t next[LEDGER_KEY_MAX], *value;
    static uint8_t big[300000];
    size_t n, next_size;

    memset(big, 0x5a, sizeof(big));
    assert_int_equal(ledger_value_put(bench->ledger, "a/1", 3, "one", 3), LEDGER_OK);
    assert_int_equal(ledger_value_put(bench->ledger, "a/2", 3, big, sizeof(big)),
                     LEDGER_OK);
    assert_int_equal(ledger_value_put(bench->ledger, "b/1", 3, "", 0), LEDGER_OK);
    assert_int_equal(ledger_value_put(bench->ledger, "a/1", 3, "uno", 3), LEDGER_OK);
    assert_int_equal(ledger_value_put(bench->ledger, "", 0, "x", 1), LEDGER_INVALID);
    commit(bench);
    assert_int_equal(ledger_value_get(bench->ledger, "a/1", 3, &value, &n), LEDGER_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(value, "uno", 3);
    free(value);
    assert_int_equal(ledger_value_get(bench->ledger, "a/2", 3, &value, &n), LEDGER_OK);
    assert_int_equal(n, sizeof(big));
    assert_memory_equal(value, big, n);
    free(value);
    assert_int_equal(ledger_value_get(bench->ledger, "b/1", 3, &value, &n), LEDGER_OK);
    assert_int_equal(n, 0);
    free(value);
    assert_int_equal(ledger_value_get(bench->ledger, "a/3", 3, &value, &n),
                     LEDGER_NOT_FOUND);
    assert_int_equal(ledger_value_next(bench->ledger, "a/", 2, NULL, 0, next, &next_size),
                     LEDGER_OK);
    assert_memory_equal(next, "a/1", 3);
    assert_int_equal(ledger_value_next(bench->ledger, "a/", 2, "a/1", 3, next,
                                       &next_size),
                     LEDGER_OK);
    assert_memory_equal(next, "a/2", 3);
    assert_int_equal(ledger_value_next(bench->ledger, "a/", 2, "a/2", 3, next,
                                       &next_size),
                     LEDGER_NOT_FOUND);
    assert_int_equal(ledger_value_drop(bench->ledger, "a/1", 3), LEDGER_OK);
    assert_int_equal(ledger_value_drop(bench->ledger, "a/1", 3), LEDGER_OK);
    assert_int_equal(ledger_value_next(bench->ledger, NULL, 0, NULL, 0, next, &next_size),
                     LEDGER_OK);
    assert_memory_equal(next, "a/2", 3);
}

static uint64_t add(struct bench *bench, const char *control, uint8_t lane, int result)
{
    struct ledger_message message = {
        .destination = 4, .lane = lane, .kind = 2, .tag = 5, .created_us = 1};

    (void)snprintf(message.control, sizeof(message.control), "%s", control);
    assert_int_equal(ledger_out_add(bench->ledger, &message, control, strlen(control)),
                     result);
    return message.number;
}

static void the_outbox_keeps_bytes_until_answered(void **state)
{
    struct bench *bench = *state;
    struct ledger_cursor cursor = {0};
    struct ledger_message list[8], message;
    char bytes[100];
    size_t n;
    uint64_t slow = add(bench, "c-1", 1, LEDGER_OK),
             live = add(bench, "c-2", 0, LEDGER_OK);

    assert_int_equal(add(bench, "c-1", 0, LEDGER_EXISTS), slow);
    (void)add(bench, "", 0, LEDGER_INVALID);
    commit(bench);
    assert_int_equal(ledger_out_count(bench->ledger, 4, LEDGER_OUT_QUEUED), 2);
    assert_int_equal(ledger_out_list(bench->ledger, 4, LEDGER_OUT_QUEUED, &cursor, list,
                                     8),
                     2);
    assert_int_equal(list[0].number, live); /* live before backfill */
    assert_int_equal(list[1].number, slow);
    assert_int_equal(list[1].tag, 5);
    assert_int_equal(list[1].kind, 2);
    assert_int_equal(ledger_out_bytes(bench->ledger, live, bytes, sizeof(bytes), &n),
                     LEDGER_OK);
    assert_memory_equal(bytes, "c-2", 3);
    assert_int_equal(ledger_out_bytes(bench->ledger, live, bytes, 2, &n), LEDGER_INVALID);
    assert_int_equal(n, 3);

    message = list[0];
    message.state = LEDGER_OUT_WAITING;
    message.attempts = 3;
    message.due_us = -5;
    (void)snprintf(message.detail, sizeof(message.detail), "AE: try later");
    assert_int_equal(ledger_out_set(bench->ledger, &message), LEDGER_OK);
    message = list[1];
    message.state = LEDGER_OUT_WAITING;
    message.due_us = -9;
    assert_int_equal(ledger_out_set(bench->ledger, &message), LEDGER_OK);
    commit(bench);
    cursor.size = 0;
    assert_int_equal(ledger_out_list(bench->ledger, 4, LEDGER_OUT_WAITING, &cursor, list,
                                     8),
                     2);
    assert_int_equal(list[0].number, slow); /* by due time */
    assert_int_equal(list[1].attempts, 3);
    assert_string_equal(list[1].detail, "AE: try later");
    assert_int_equal(ledger_out_find(bench->ledger, 4, "c-2", &message), LEDGER_OK);
    assert_int_equal(message.number, live);
    assert_int_equal(ledger_out_find(bench->ledger, 5, "c-2", &message),
                     LEDGER_NOT_FOUND);
    assert_int_equal(ledger_out_forget(bench->ledger, live), LEDGER_BAD_TRANSITION);

    message = list[1];
    message.state = LEDGER_OUT_DONE;
    assert_int_equal(ledger_out_set(bench->ledger, &message), LEDGER_OK);
    assert_int_equal(ledger_out_bytes(bench->ledger, live, bytes, sizeof(bytes), &n),
                     LEDGER_NOT_FOUND);
    message.state = LEDGER_OUT_QUEUED;
    assert_int_equal(ledger_out_set(bench->ledger, &message), LEDGER_BAD_TRANSITION);
    assert_int_equal(add(bench, "c-2", 0, LEDGER_EXISTS), live);
    assert_int_equal(ledger_out_forget(bench->ledger, live), LEDGER_OK);
    assert_int_equal(ledger_out_get(bench->ledger, live, &message), LEDGER_NOT_FOUND);
    assert_true(add(bench, "c-2", 0, LEDGER_OK) > live);
    message = list[0];
    message.state = LEDGER_OUT_DEAD;
    assert_int_equal(ledger_out_set(bench->ledger, &message), LEDGER_OK);
    assert_int_equal(ledger_out_bytes(bench->ledger, slow, bytes, sizeof(bytes), &n),
                     LEDGER_OK);
    assert_int_equal(ledger_out_count(bench->ledger, 4, LEDGER_OUT_DEAD), 1);
    assert_int_equal(ledger_out_count(bench->ledger, 4, LEDGER_OUT_WAITING), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(adt_is_logged_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_nearest_fixes_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(values_by_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(the_outbox_keeps_bytes_until_answered, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
