/* SPDX-License-Identifier: Apache-2.0
 *
 * Gaps of several devices on their way into the books: what each device misses, as
 * readings come before, after and instead, and the lines that people see.
 */
#include "chart_ledger_test.h"

#include "chart/intake.h"
#include "chart/losses.h"
#include "wire/envelope.h"
#include "wire/gap_devices.h"

#define T0 INT64_C(1784729109250000)

static const struct epoch epoch = {{7}};
static struct bench bench;
static struct intake *intake;
static wardgate_Record record;
static struct gap_devices list;

static int setup(void **state)
{
    (void)state;
    bench_start(&bench);
    intake = intake_new(bench.ledger, NULL);
    assert_non_null(intake);
    assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ledger_commit(bench.ledger), LEDGER_OK);
    bench_check(&bench);
    bench_reopen(&bench);
    bench_check(&bench);
    intake_free(intake);
    bench_end(&bench);
    return 0;
}

/* One record in an envelope of its own. */
static void take(const struct gap_devices *devices)
{
    static uint8_t room[ENVELOPE_SIZE_MAX];
    uint8_t bytes[RECORD_SIZE_MAX], item[RECORD_SIZE_MAX + 8];
    struct envelope_writer writer;
    const uint8_t *payload;
    int n = record_encode_gap(&record, devices, bytes, sizeof(bytes));

    assert_true(n > 0);
    n = envelope_item(bytes, (size_t)n, item, sizeof(item));
    assert_int_equal(envelope_begin(&writer, room, sizeof(room), "gw-1", &epoch), 0);
    assert_int_equal(envelope_add(&writer, item, (size_t)n), 0);
    n = envelope_end(&writer, &payload);
    assert_int_equal(intake_up(intake, "gw-1", payload, (size_t)n,
                               T0 + (int64_t)record.seq),
                     1);
}

static void base(uint64_t seq, wardgate_Record_Kind kind, const char *device,
                 const char *place)
{
    memset(&record, 0, sizeof(record));
    record.seq = seq;
    record.kind = kind;
    record.has_device = device[0] != '\0';
    (void)snprintf(record.device.id, sizeof(record.device.id), "%s", device);
    (void)snprintf(record.place, sizeof(record.place), "%s", place);
    record.has_time = true;
    record.time.boot = 50;
    record.time.monotonic_us = seq * 1000000;
    record.time.utc_us = T0 + (int64_t)seq * 1000000;
    record.time.sync = wardgate_TimeBlock_Sync_SYNCED;
}

static void reading(uint64_t seq, const char *device, const char *place)
{
    base(seq, wardgate_Record_Kind_READING, device, place);
    record.observations_count = 1;
    record.observations[0].code = 147842;
    take(NULL);
}

static void part(const char *device, const char *place, uint64_t count, bool unknown)
{
    wardgate_GapDevice *is = &list.items[list.count++];

    memset(is, 0, sizeof(*is));
    (void)snprintf(is->id, sizeof(is->id), "%s", device);
    (void)snprintf(is->place, sizeof(is->place), "%s", place);
    is->count = count;
    is->count_unknown = unknown;
    is->first_utc_us = T0;
    is->last_utc_us = T0 + (int64_t)count;
}

/* A full store's gap over from..to, with the parts given so far. */
static void full(uint64_t seq, uint64_t from, uint64_t to)
{
    base(seq, wardgate_Record_Kind_GAP, "", "");
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_STORE_FULL;
    record.gap.from_seq = from;
    record.gap.to_seq = to;
    for (size_t i = 0; i < list.count; i++) {
        record.gap.count += list.items[i].count;
        record.gap.count_unknown |= list.items[i].count_unknown;
    }
    take(&list);
    list.count = 0;
}

/* What the ledger says is missing of a device in a gap. */
static uint64_t missing(uint64_t seq, const char *device)
{
    struct ledger_gap_part parts[GAP_DEVICES_MAX];
    uint64_t count = 0;
    int n = ledger_gap_parts(bench.ledger, (struct ledger_id){bench.source, seq}, parts,
                             GAP_DEVICES_MAX);

    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        char name[LEDGER_NAME_SIZE] = "gw-1/";
        if (parts[i].device != 0)
            ledger_name_text(bench.ledger, parts[i].device, name);
        if (strcmp(name + 5, device) == 0)
            count += parts[i].outstanding;
    }
    return count;
}

static uint64_t in_gaps(void)
{
    struct ledger_books books;

    ledger_books(bench.ledger, &books);
    return books.gap_readings;
}

static void what_came_before_and_after_is_not_missing(void **state)
{
    (void)state;
    reading(1, "m-1", "bed-1");
    reading(2, "m-2", "bed-2");
    reading(3, "m-1", "bed-1");
    reading(4, "m-3", "bed-3");
    part("m-1", "bed-1", 10, false);
    part("m-2", "bed-2", 6, false);
    part("", "", 2, false); /* m-3 is among them */
    full(30, 1, 18);
    assert_int_equal(missing(30, "m-1"), 8);
    assert_int_equal(missing(30, "m-2"), 5);
    assert_int_equal(missing(30, ""), 1);
    assert_int_equal(in_gaps(), 14);
    reading(10, "m-2", "bed-2"); /* was on its way */
    assert_int_equal(missing(30, "m-2"), 4);
    assert_int_equal(in_gaps(), 13);
    reading(11, "m-3", "bed-3"); /* of one that could not be named there */
    assert_int_equal(missing(30, ""), 0);
    assert_int_equal(in_gaps(), 12);
    reading(12, "m-1", "bed-9"); /* more than there can be: nobody else pays for it */
    assert_int_equal(missing(30, "m-1"), 8);
    assert_int_equal(in_gaps(), 12);
}

static void a_gap_that_swallows_another(void **state)
{
    struct ledger_books books;

    (void)state;
    reading(1, "m-1", "bed-1");
    part("m-1", "bed-1", 10, false);
    part("m-2", "bed-2", 7, false);
    full(18, 1, 17);
    assert_int_equal(in_gaps(), 16);
    /* Gives up 19..29, and that gap with them: five more of each. */
    part("m-1", "bed-1", 15, false);
    part("m-2", "bed-2", 12, false);
    full(40, 1, 29);
    assert_int_equal(missing(40, "m-1"), 15 - 1 - 9);
    assert_int_equal(missing(40, "m-2"), 5);
    assert_int_equal(in_gaps(), 26);
    ledger_books(bench.ledger, &books);
    assert_int_equal(books.gaps, 2);
}

/* The same when the older one is still on its way: what it says is in the newer's count.
 */
static void a_swallowed_gap_that_comes_late(void **state)
{
    struct ledger_books books;
    uint64_t lost;

    (void)state;
    assert_int_equal(ledger_source_state(bench.ledger, bench.source, 1, 1, 41, &lost),
                     LEDGER_OK);
    part("m-1", "bed-1", 15, false);
    part("m-2", "bed-2", 12, false);
    full(40, 1, 29);
    part("m-1", "bed-1", 10, false);
    part("m-2", "bed-2", 7, false);
    full(18, 1, 17);
    base(19, wardgate_Record_Kind_GAP, "m-2", "bed-2"); /* one device's, in there too */
    record.has_gap = record.gap.has_from = record.gap.has_to = true;
    record.gap.reason = wardgate_Gap_Reason_RESTART;
    record.gap.from = record.gap.to = record.time;
    record.gap.count = 3;
    take(NULL);
    assert_int_equal(missing(40, "m-1") + missing(40, "m-2"), 27);
    assert_int_equal(in_gaps(), 27);
    ledger_books(bench.ledger, &books);
    assert_int_equal(books.gaps, 1);
    reading(3, "m-1", "bed-1");
    assert_int_equal(missing(40, "m-1"), 14);
    assert_int_equal(in_gaps(), 26);
}

static void lists_that_are_odd(void **state)
{
    struct ledger_books books;

    (void)state;
    part("m-1", "bed-1", 2, false); /* one device twice */
    part("m-2", "bed-2", 3, true);
    part("m-1", "bed-1", 4, false);
    full(30, 1, 9);
    assert_int_equal(missing(30, "m-1"), 6);
    ledger_books(bench.ledger, &books);
    assert_int_equal(books.gap_readings, 9); /* what is known of it counts */
    assert_int_equal(books.gaps_unknown, 1);
    part("m-1", "bed-1", 5, false); /* of records from its own future */
    full(31, 20, 40);
    assert_int_equal(missing(31, "m-1"), 5);
    assert_int_equal(in_gaps(), 14);
    assert_int_equal(ledger_gap_settle(bench.ledger,
                                       (struct ledger_id){bench.source, 77}),
                     LEDGER_NOT_FOUND);
}

/* --- what people see --- */

static struct loss_line lines[8];
static int line_count;

static void keep(void *context, const struct loss_line *line)
{
    (void)context;
    assert_true(line_count < 8);
    lines[line_count++] = *line;
}

static void line_is(int i, const char *device, const char *place, uint8_t reason,
                    uint64_t readings, uint64_t gaps, bool and_more)
{
    char name[LEDGER_NAME_SIZE] = "", at[LEDGER_NAME_SIZE] = "";

    if (lines[i].device != 0)
        ledger_name_text(bench.ledger, lines[i].device, name);
    if (lines[i].place != 0)
        ledger_name_text(bench.ledger, lines[i].place, at);
    assert_string_equal(name, device);
    assert_string_equal(at, place);
    assert_int_equal(lines[i].reason, reason);
    assert_int_equal(lines[i].readings, readings);
    assert_int_equal(lines[i].gaps, gaps);
    assert_int_equal(lines[i].and_more, and_more);
}

static void lines_add_up_by_device(void **state)
{
    bool older;

    (void)state;
    line_count = 0;
    assert_int_equal(losses_each(bench.ledger, 8, keep, NULL, &older), 0);
    part("m-1", "bed-1", 10, false);
    part("m-2", "bed-2", 7, true);
    full(30, 1, 17);
    part("m-1", "bed-1", 4, false);
    part("m-1", "bed-7", 1, false); /* it was moved: another line */
    part("", "", 2, false);
    full(60, 31, 37);
    base(70, wardgate_Record_Kind_GAP, "m-2", "bed-2");
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_RESTART;
    record.gap.count = 3;
    take(NULL);
    base(71, wardgate_Record_Kind_GAP, "m-1", "bed-1"); /* nothing is missing */
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_RESTART;
    take(NULL);

    assert_int_equal(losses_each(bench.ledger, 8, keep, NULL, &older), 5);
    assert_false(older);
    assert_int_equal(line_count, 5);
    line_is(0, "gw-1/m-2", "bed-2", wardgate_Gap_Reason_RESTART, 3, 1, false);
    line_is(1, "", "", wardgate_Gap_Reason_STORE_FULL, 2, 1, false);
    line_is(2, "gw-1/m-1", "bed-1", wardgate_Gap_Reason_STORE_FULL, 14, 2, false);
    assert_int_equal(lines[2].from_us, T0);
    assert_int_equal(lines[2].to_us, T0 + 10);
    assert_int_equal(lines[2].received_us, T0 + 60);
    line_is(3, "gw-1/m-1", "bed-7", wardgate_Gap_Reason_STORE_FULL, 1, 1, false);
    line_is(4, "gw-1/m-2", "bed-2", wardgate_Gap_Reason_STORE_FULL, 7, 1, true);
    line_count = 0;
    assert_int_equal(losses_each(bench.ledger, 2, keep, NULL, &older), 5);
    assert_int_equal(line_count, 2);
}

static void only_the_newest_are_looked_at(void **state)
{
    bool older;

    (void)state;
    for (uint64_t i = 0; i <= LOSSES_GAPS_MAX; i++) {
        base(100 + i, wardgate_Record_Kind_GAP, "m-1", "bed-1");
        record.has_gap = true;
        record.gap.reason = wardgate_Gap_Reason_RESTART;
        record.gap.count = 1;
        take(NULL);
        if (i + 1 == LOSSES_GAPS_MAX) {
            line_count = 0;
            assert_int_equal(losses_each(bench.ledger, 8, keep, NULL, &older), 1);
            assert_false(older);
        }
    }
    line_count = 0;
    assert_int_equal(losses_each(bench.ledger, 8, keep, NULL, &older), 1);
    assert_true(older);
    assert_int_equal(lines[0].readings, LOSSES_GAPS_MAX);
    assert_string_equal(loss_reason_name(wardgate_Gap_Reason_STORE_FULL), "store-full");
    assert_string_equal(loss_reason_name(0), "unknown");
    assert_string_equal(loss_reason_name(200), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_came_before_and_after_is_not_missing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_gap_that_swallows_another, setup, teardown),
        cmocka_unit_test_setup_teardown(a_swallowed_gap_that_comes_late, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_that_are_odd, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_add_up_by_device, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_newest_are_looked_at, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
