/* SPDX-License-Identifier: Apache-2.0 */
#include "chart_ledger_test.h"

#include "chart/intake.h"
#include "wire/envelope.h"

#define T0 (INT64_C(1790000000) * 1000000)

struct seen {
    struct intake *intake;
    int readings, noted, conflicts, retiming, retimed, events;
    char event[LEDGER_ERROR_SIZE];
    struct ledger_entry last;
};

static void on_reading(void *context, struct ledger_entry *entry,
                       const wardgate_Record *record)
{
    struct seen *seen = context;

    assert_int_equal(record->seq, entry->id.seq);
    seen->readings++;
    seen->last = *entry;
}

static void on_noted(void *context, const struct ledger_entry *entry,
                     const wardgate_Record *record)
{
    assert_int_equal(entry->state, LEDGER_NOTED);
    assert_int_not_equal(record->kind, wardgate_Record_Kind_READING);
    ((struct seen *)context)->noted++;
}

static void on_conflict(void *context, struct ledger_entry *entry)
{
    assert_true(entry->conflicted);
    ((struct seen *)context)->conflicts++;
}

static void on_retimed(void *context, struct ledger_entry *entry)
{
    struct seen *seen = context;

    seen->retimed++;
    seen->last = *entry;
}

static void on_event(void *context, const char *gateway, const char *text)
{
    struct seen *seen = context;

    assert_non_null(gateway);
    seen->events++;
    (void)snprintf(seen->event, sizeof(seen->event), "%s", text);
}

static struct bench bench;
static struct seen seen;
static const struct epoch epoch = {{7}};

/* Comes before on_retimed, while the entry still has its old interval. */
static void on_retiming(void *context, struct ledger_entry *entry)
{
    struct ledger_entry before;

    (void)context;
    assert_int_equal(ledger_get(bench.ledger, entry->id, &before), LEDGER_OK);
    assert_true(before.time_known == entry->time_known &&
                before.t_low_us == entry->t_low_us &&
                before.t_high_us == entry->t_high_us);
    seen.retiming++;
}

static void intake_start(void)
{
    struct intake_hooks hooks = {&seen,       on_reading, on_noted, on_conflict,
                                 on_retiming, on_retimed, on_event};

    seen.intake = intake_new(bench.ledger, &hooks);
    assert_non_null(seen.intake);
}

static int setup(void **state)
{
    (void)state;
    bench_start(&bench);
    memset(&seen, 0, sizeof(seen));
    intake_start();
    assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
    return 0;
}

static void commit(void)
{
    assert_int_equal(ledger_commit(bench.ledger), LEDGER_OK);
    intake_committed(seen.intake);
    assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(ledger_commit(bench.ledger), LEDGER_OK);
    bench_check(&bench);
    intake_free(seen.intake);
    bench_end(&bench);
    return 0;
}

static wardgate_Record record;

static wardgate_Record *reading(uint64_t seq, int64_t value)
{
    memset(&record, 0, sizeof(record));
    record.seq = seq;
    record.kind = wardgate_Record_Kind_READING;
    record.has_device = true;
    (void)snprintf(record.device.id, sizeof(record.device.id), "monitor-1");
    (void)snprintf(record.place, sizeof(record.place), "ALDER/01");
    record.has_time = true;
    record.time.boot = 50;
    record.time.monotonic_us = seq * 1000000;
    record.time.utc_us = T0 + (int64_t)seq * 1000000;
    record.time.sync = wardgate_TimeBlock_Sync_SYNCED;
    record.time.uncertainty_ms = 20;
    record.observations_count = 1;
    record.observations[0].code = 147842;
    record.observations[0].unit = 264864;
    record.observations[0].which_value = wardgate_Observation_mantissa_tag;
    record.observations[0].value.mantissa = value;
    return &record;
}

/* What other kinds have in common. */
static wardgate_Record *other(uint64_t seq, wardgate_Record_Kind kind)
{
    (void)reading(seq, 0);
    record.kind = kind;
    record.observations_count = 0;
    return &record;
}

static wardgate_Record *fix(uint64_t seq, uint64_t monotonic_us, int64_t utc_us)
{
    (void)other(seq, wardgate_Record_Kind_CLOCK_FIX);
    record.has_device = record.has_time = false;
    record.place[0] = '\0';
    record.has_clock_fix = true;
    record.clock_fix = (wardgate_ClockFix){50, monotonic_us, utc_us, 100};
    return &record;
}

static uint8_t room[ENVELOPE_SIZE_MAX];
static struct envelope_writer writer;

static void begin_as(const char *gateway, const struct epoch *of)
{
    assert_int_equal(envelope_begin(&writer, room, sizeof(room), gateway, of), 0);
}

static void add(const wardgate_Record *one)
{
    uint8_t bytes[RECORD_SIZE_MAX], item[RECORD_SIZE_MAX + 8];
    int n = record_encode(one, bytes, sizeof(bytes)), m;

    assert_true(n > 0);
    m = envelope_item(bytes, (size_t)n, item, sizeof(item));
    assert_true(m > 0);
    assert_int_equal(envelope_add(&writer, item, (size_t)m), 0);
}

static int send_as(const char *topic)
{
    const uint8_t *payload;
    int n = envelope_end(&writer, &payload);

    assert_true(n > 0);
    return intake_up(seen.intake, topic, payload, (size_t)n, T0);
}

static int send_one(const wardgate_Record *one)
{
    begin_as("gw-1", &epoch);
    add(one);
    return send_as("gw-1");
}

static int send_state(uint64_t base, uint64_t first, uint64_t next, uint64_t boot)
{
    wardgate_State state = wardgate_State_init_zero;
    uint8_t bytes[STATE_SIZE_MAX];
    int n;

    state.online = true;
    (void)snprintf(state.gateway, sizeof(state.gateway), "gw-1");
    memcpy(state.epoch, epoch.bytes, EPOCH_SIZE);
    state.epoch_first = base;
    state.first_seq = first;
    state.next_seq = next;
    state.boot = boot;
    n = state_encode(&state, bytes, sizeof(bytes));
    assert_true(n > 0);
    return intake_state(seen.intake, "gw-1", bytes, (size_t)n, T0);
}

/* The next receipt, decoded; false if there is none. */
static bool next_receipt(wardgate_Receipt *receipt)
{
    char gateway[NAME_MAX_LENGTH + 1];
    uint8_t bytes[RECEIPT_SIZE_MAX];
    const char *field;
    int n = intake_receipt(seen.intake, gateway, bytes);

    if (n == 0)
        return false;
    assert_string_equal(gateway, "gw-1");
    assert_int_equal(receipt_decode(bytes, (size_t)n, "gw-1", &epoch, receipt, &field),
                     WIRE_OK);
    return true;
}

static struct ledger_entry entry_of(uint64_t seq)
{
    struct ledger_entry entry;

    assert_int_equal(ledger_get(bench.ledger, (struct ledger_id){bench.source, seq},
                                &entry),
                     LEDGER_OK);
    return entry;
}

static void receipts_only_after_the_commit(void **state)
{
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;
    struct intake_counts counts;

    (void)state;
    begin_as("gw-1", &epoch);
    for (uint64_t seq = 1; seq <= 20; seq++)
        if (seq != 10)
            add(reading(seq, 70));
    assert_int_equal(send_as("gw-1"), 19);
    assert_int_equal(seen.readings, 19);
    assert_false(next_receipt(&receipt));
    ledger_abort(bench.ledger);
    intake_aborted(seen.intake);
    assert_false(next_receipt(&receipt));
    assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
    intake_count(seen.intake, &counts);
    assert_int_equal(counts.readings, 0);

    assert_int_equal(send_one(reading(1, 70)), 1);
    assert_int_equal(send_one(reading(2, 71)), 1);
    assert_int_equal(send_one(reading(2, 71)), 1); /* a repeat is receipted as well */
    assert_int_equal(send_one(reading(9, 71)), 1);
    commit();
    assert_true(next_receipt(&receipt));
    assert_int_equal(receipt.ranges_count, 2);
    assert_int_equal(receipt.ranges[0].first, 1);
    assert_int_equal(receipt.ranges[0].last, 2);
    assert_int_equal(receipt.ranges[1].first, 9);
    assert_false(receipt.resend);
    assert_false(next_receipt(&receipt));
    intake_count(seen.intake, &counts);
    assert_int_equal(counts.readings, 3);
    assert_int_equal(counts.same, 1);
    assert_int_equal(counts.envelopes, 4);
    assert_int_equal(counts.receipts, 1);
}

static void many_ranges_take_many_receipts(void **state)
{
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;
    int receipts = 0, ranges = 0;

    (void)state;
    for (uint64_t seq = 2; seq <= 600; seq += 2)
        assert_int_equal(send_one(reading(seq, 70)), 1);
    commit();
    for (; next_receipt(&receipt); receipts++)
        ranges += receipt.ranges_count;
    assert_int_equal(receipts, 3);
    assert_int_equal(ranges, 300);
}

static void what_is_not_understood_is_not_receipted(void **state)
{
    static const uint8_t junk[] = {0x0a, 0x05, 1, 2, 3};
    static const uint8_t bad_item[] = {0x1a, 0x02, 0x08,
                                       0x00}; /* a record without a seq */
    struct intake_counts counts;
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;

    (void)state;
    assert_int_equal(intake_up(seen.intake, "gw-1", junk, sizeof(junk), T0),
                     INTAKE_MALFORMED);
    assert_int_equal(intake_up(seen.intake, "gw-1", NULL, 0, T0), INTAKE_MALFORMED);
    assert_int_equal(intake_state(seen.intake, "gw-1", junk, sizeof(junk), T0),
                     INTAKE_MALFORMED);
    assert_int_equal(intake_up(seen.intake, "Not A Name", junk, sizeof(junk), T0),
                     INTAKE_MALFORMED);
    begin_as("gw-2", &epoch);
    add(reading(1, 70));
    assert_int_equal(send_as("gw-1"), INTAKE_FOREIGN);
    assert_int_equal(seen.readings, 0);
    assert_non_null(strstr(seen.event, "another gateway"));

    begin_as("gw-1", &epoch);
    add(reading(1, 70));
    assert_int_equal(envelope_add(&writer, bad_item, sizeof(bad_item)), 0);
    assert_int_equal(envelope_add(&writer, bad_item, sizeof(bad_item)), 0);
    add(reading(3, 70));
    assert_int_equal(send_as("gw-1"), 2);
    commit();
    assert_true(next_receipt(&receipt));
    assert_int_equal(receipt.ranges_count, 2);
    assert_int_equal(receipt.ranges[1].first, 3);
    intake_count(seen.intake, &counts);
    assert_int_equal(counts.malformed, 6);
    assert_int_equal(counts.foreign, 1);
    assert_int_equal(seen.events, 6); /* one an envelope */
}

static void conflict_and_doubt(void **state)
{
    struct intake_counts counts;
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;

    (void)state;
    assert_int_equal(send_one(reading(1, 70)), 1);
    assert_int_equal(send_one(reading(1, 71)), 1);
    assert_int_equal(seen.conflicts, 1);
    assert_int_equal(entry_of(1).reason, LEDGER_IDENTITY_CONFLICT);
    assert_int_equal(send_one(reading(2, 70)), 1);
    assert_int_equal(seen.last.state, LEDGER_HELD);
    assert_int_equal(seen.last.reason, LEDGER_SOURCE_DOUBTED);
    commit();
    assert_true(next_receipt(&receipt)); /* all is kept, so all is receipted */
    assert_int_equal(receipt.ranges[0].last, 2);
    assert_int_equal(ledger_source_doubt(bench.ledger, bench.source, false), LEDGER_OK);
    assert_int_equal(send_one(reading(3, 70)), 1);
    assert_int_equal(seen.last.state, LEDGER_RECEIVED);
    commit();
    intake_count(seen.intake, &counts);
    assert_int_equal(counts.conflicts, 1);
    assert_int_equal(counts.doubted, 1);
}

static void gaps_and_others_are_noted(void **state)
{
    struct ledger_books books;
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;

    (void)state;
    begin_as("gw-1", &epoch);
    (void)other(30, wardgate_Record_Kind_GAP);
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_STORE_FULL;
    record.gap.count = 12;
    record.gap.from_seq = 1;
    record.gap.to_seq = 12;
    add(&record);
    (void)other(31, wardgate_Record_Kind_GAP);
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_RESTART;
    record.gap.count_unknown = true;
    add(&record);
    (void)other(32, wardgate_Record_Kind_EVENT);
    record.has_event = true;
    record.event.kind = wardgate_Event_Kind_STARTED;
    add(&record);
    (void)other(33, wardgate_Record_Kind_BINDING);
    record.has_binding = true;
    (void)snprintf(record.binding.place, sizeof(record.binding.place), "ALDER/02");
    (void)snprintf(record.binding.author, sizeof(record.binding.author), "config");
    add(&record);
    (void)other(
        34, wardgate_Record_Kind_GAP); /* claims its own future: believed but for that */
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_STORE_FULL;
    record.gap.count = 3;
    record.gap.from_seq = 20;
    record.gap.to_seq = 40;
    add(&record);
    assert_int_equal(send_as("gw-1"), 5);
    commit();
    assert_int_equal(seen.noted, 5);
    assert_true(next_receipt(&receipt));
    assert_int_equal(receipt.ranges[0].first, 30);
    assert_int_equal(receipt.ranges[0].last, 34);
    ledger_books(bench.ledger, &books);
    assert_int_equal(books.readings, 0);
    assert_int_equal(books.states[LEDGER_NOTED], 5);
    assert_int_equal(books.gaps, 3);
    assert_int_equal(books.gap_readings, 15);
    assert_int_equal(books.gaps_unknown, 1);
}

/* A silence is told twice, when it opens and when it closes, and counts once; in either
 * order. */
static void one_silence_counts_once(void **state)
{
    struct ledger_books books;

    (void)state;
    for (int order = 0; order < 2; order++)
        for (int half = 0; half < 2; half++) {
            bool closes = (half == 1) != (order == 1);

            (void)other(10 + (uint64_t)(order * 2 + half), wardgate_Record_Kind_GAP);
            record.has_gap = true;
            record.gap.reason = wardgate_Gap_Reason_DEVICE_SILENT;
            record.gap.has_from = true;
            record.gap.from = record.time;
            record.gap.from.monotonic_us = 5000 + (uint64_t)order;
            record.gap.has_to = closes;
            record.gap.to = record.time;
            record.gap.count = closes ? 7 : 0;
            record.gap.count_unknown = !closes;
            assert_int_equal(send_one(&record), 1);
            ledger_books(bench.ledger, &books);
            if (order == 0 && half == 0)
                assert_int_equal(books.gaps_unknown, 1);
        }
    assert_int_equal(books.gaps, 2);
    assert_int_equal(books.gaps_unknown, 0);
    assert_int_equal(books.gap_readings, 14);
}

static void a_board_that_does_not_say_where_it_begins(void **state)
{
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;

    (void)state;
    assert_int_equal(send_state(0, 40, 600, 50), LEDGER_OK);
    commit();
    assert_true(next_receipt(&receipt));
    assert_true(receipt.resend);
    assert_int_equal(receipt.resend_from, 40);
    assert_int_equal(send_one(reading(30, 70)), 1);
}

/* Booted at 1970: held until the fix comes, then at their true times; across a restart in
 * between. */
static void a_fix_gives_times_back(void **state)
{
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[4];
    int n, rounds = 0;

    (void)state;
    for (uint64_t seq = 1; seq <= 300; seq++) {
        (void)reading(seq, 70);
        record.time.sync = wardgate_TimeBlock_Sync_UNKNOWN;
        record.time.utc_us = (int64_t)seq;
        assert_int_equal(send_one(&record), 1);
        assert_int_equal(seen.last.state, LEDGER_HELD);
        assert_int_equal(seen.last.reason, LEDGER_TIME_UNKNOWN);
    }
    assert_int_equal(intake_work(seen.intake, 100, T0), 0);
    assert_int_equal(send_one(
                         fix(301, UINT64_C(400) * 1000000, T0 + 400 * INT64_C(1000000))),
                     1);
    assert_int_equal(intake_work(seen.intake, 100, T0), 128);
    assert_int_equal(seen.retimed, 128);
    commit();
    intake_free(seen.intake);
    assert_int_equal(ledger_commit(bench.ledger), LEDGER_OK);
    bench_reopen(&bench);
    intake_start();
    assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
    while ((n = intake_work(seen.intake, 100, T0)) > 0)
        rounds++;
    assert_int_equal(n, 0);
    assert_in_range(rounds, 2, 8);
    assert_int_equal(seen.retimed, 300);
    for (uint64_t seq = 1; seq <= 300; seq++) {
        struct ledger_entry entry = entry_of(seq);
        int64_t truth = T0 + (int64_t)seq * 1000000;

        assert_int_equal(entry.state, LEDGER_RECEIVED);
        assert_true(entry.time_known && entry.t_low_us <= truth &&
                    truth <= entry.t_high_us);
        assert_true(entry.t_high_us - entry.t_low_us < 300000);
    }
    assert_int_equal(ledger_list_untimed(bench.ledger, entry_of(1).gateway, 50, &cursor,
                                         page, 4),
                     0);
    /* Those that come later need no second look. */
    (void)reading(302, 70);
    record.time.sync = wardgate_TimeBlock_Sync_UNKNOWN;
    assert_int_equal(send_one(&record), 1);
    assert_int_equal(seen.last.state, LEDGER_RECEIVED);
}

/* A clock that believed itself right until it was set: what was charted by it is covered
 * both ways, or held. */
static void a_contradicting_fix_widens(void **state)
{
    struct ledger_entry entry;

    (void)state;
    assert_int_equal(send_one(fix(1, 1000000, T0 + 1000000)), 1);
    for (uint64_t seq = 2; seq <= 100; seq++)
        assert_int_equal(send_one(reading(seq, 70)), 1);
    while (intake_work(seen.intake, 100, T0) > 0)
        ;
    assert_int_equal(seen.retimed, 0);
    move_to(&bench, 50, LEDGER_MATCHED, 0);
    assert_int_equal(send_one(fix(101, 101000000, T0 + 104000000)), 1); /* 3 s ahead */
    while (intake_work(seen.intake, 100, T0) > 0)
        ;
    assert_int_equal(seen.retimed, 99);
    assert_int_equal(seen.retiming, 99);
    entry = entry_of(50);
    assert_int_equal(entry.state, LEDGER_MATCHED);
    assert_true(entry.t_low_us <= T0 + 50 * INT64_C(1000000) &&
                entry.t_high_us >= T0 + 53 * INT64_C(1000000));
    assert_int_equal(send_one(fix(103, 103000000, T0 + 86400 * INT64_C(1000000))), 1);
    while (intake_work(seen.intake, 100, T0) > 0)
        ;
    entry = entry_of(20);
    assert_int_equal(entry.state, LEDGER_HELD);
    assert_int_equal(entry.reason, LEDGER_TIME_DISPUTED);
    entry = entry_of(50); /* for the one who sent it on to deal with */
    assert_int_equal(entry.state, LEDGER_MATCHED);
    assert_false(entry.time_known);
}

static void a_rolled_back_store_is_doubted(void **state)
{
    struct intake_counts counts;
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;

    (void)state;
    for (uint64_t seq = 1; seq <= 50; seq++)
        assert_int_equal(send_one(reading(seq, 70)), 1);
    commit();
    while (next_receipt(&receipt))
        ;
    /* An old state that comes late, of a boot that is known: nothing. */
    assert_int_equal(send_state(1, 1, 20, 50), LEDGER_OK);
    assert_int_equal(send_state(1, 1, 51, 51), LEDGER_OK);
    assert_int_equal(send_one(reading(51, 70)), 1);
    assert_int_equal(seen.last.state, LEDGER_RECEIVED);
    /* A new boot that will give seq 20 again. */
    assert_int_equal(send_state(1, 1, 20, 52), LEDGER_OK);
    assert_non_null(strstr(seen.event, "rolled back or copied"));
    assert_int_equal(send_one(reading(52, 70)), 1);
    assert_int_equal(seen.last.reason, LEDGER_SOURCE_DOUBTED);
    commit();
    intake_count(seen.intake, &counts);
    assert_int_equal(counts.rollbacks, 1);
    assert_int_equal(counts.states, 3);
    /* The receipt shows the board how far we are: beyond its own head. */
    assert_true(next_receipt(&receipt));
    assert_int_equal(receipt.ranges[0].last, 52);
}

static void a_lost_ledger_asks_again(void **state)
{
    wardgate_Receipt receipt = wardgate_Receipt_init_zero;

    (void)state;
    assert_int_equal(send_state(100, 40, 600, 50),
                     LEDGER_OK); /* nothing is here at all */
    commit();
    assert_true(next_receipt(&receipt));
    assert_true(receipt.resend);
    assert_int_equal(receipt.resend_from, 100);
    assert_int_equal(receipt.ranges_count, 0);
    assert_false(next_receipt(&receipt));

    /* A hole is asked for when it is there at two states, with what is here beside it. */
    assert_int_equal(send_one(reading(100, 70)), 1);
    assert_int_equal(send_one(reading(300, 70)), 1);
    assert_int_equal(send_state(100, 40, 600, 50), LEDGER_OK);
    commit();
    assert_true(next_receipt(&receipt));
    assert_false(receipt.resend);
    assert_int_equal(send_state(100, 40, 600, 50), LEDGER_OK);
    commit();
    assert_true(next_receipt(&receipt));
    assert_true(receipt.resend);
    assert_int_equal(receipt.resend_from, 101);
    assert_int_equal(receipt.ranges[receipt.ranges_count - 1].last, 300);
    /* By hand. */
    assert_int_equal(intake_resend(seen.intake, "gw-1"), 1);
    assert_int_equal(intake_resend(seen.intake, "gw-9"), 0);
    assert_int_equal(intake_resend(seen.intake, NULL), 1);
    commit();
    assert_true(next_receipt(&receipt));
    assert_true(receipt.resend);
    /* What the board no longer has is lost, and said so. */
    assert_int_equal(send_state(100, 200, 600, 50), LEDGER_OK);
    assert_non_null(strstr(seen.event, "99 records are lost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(receipts_only_after_the_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(many_ranges_take_many_receipts, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_understood_is_not_receipted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(conflict_and_doubt, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps_and_others_are_noted, setup, teardown),
        cmocka_unit_test_setup_teardown(one_silence_counts_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_board_that_does_not_say_where_it_begins, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_fix_gives_times_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_contradicting_fix_widens, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rolled_back_store_is_doubted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_ledger_asks_again, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
