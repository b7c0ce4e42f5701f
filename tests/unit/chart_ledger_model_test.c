/* SPDX-License-Identifier: Apache-2.0
 *
 * Random work against a plain model in memory: what was committed is there, what was
 * aborted is not, and the running books always equal a fresh count. The seed is printed;
 * LEDGER_MODEL_SEED repeats a run.
 */
#include "chart_ledger_test.h"

#define SEQS    400
#define BATCHES 600

struct model {
    struct cell {
        bool here;
        enum ledger_state state;
        uint8_t reason, content;
        bool conflicted;
    } cells[SEQS + 1];
    uint64_t messages;
};

static uint64_t seed;

static uint32_t draw(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(seed >> 33) % below;
}

static void store_some(struct bench *bench, struct model *model)
{
    uint64_t seq = 1 + draw(SEQS);
    struct cell *cell = &model->cells[seq];
    uint8_t content = draw(20) == 0 ? (uint8_t)draw(3) : 0, bytes[300];
    struct ledger_new new =
        reading_of(bench, seq, bytes, 20 + seq % 280, (uint32_t)(seq % 7), (int64_t)seq);
    int found;

    memset(bytes, 'a' + content, sizeof(bytes));
    if (seq % 11 == 0)
        new.time_known = false;
    found = ledger_store(bench->ledger, &new, NULL);
    if (!cell->here) {
        assert_int_equal(found, LEDGER_NEW);
        *cell = (struct cell){true, LEDGER_RECEIVED, 0, content, false};
    } else if (cell->content == content) {
        assert_int_equal(found, LEDGER_SAME);
    } else {
        assert_true(found == LEDGER_CONFLICT || found == LEDGER_SAME);
        if (found == LEDGER_CONFLICT) {
            cell->conflicted = true;
            if (cell->state == LEDGER_RECEIVED || cell->state == LEDGER_KEPT ||
                cell->state == LEDGER_HELD) {
                cell->state = LEDGER_HELD;
                cell->reason = LEDGER_IDENTITY_CONFLICT;
            }
        }
    }
}

static void move_some(struct bench *bench, struct model *model)
{
    uint64_t seq = 1 + draw(SEQS);
    struct cell *cell = &model->cells[seq];
    struct ledger_entry entry;
    enum ledger_state to = (enum ledger_state)(1 + draw(LEDGER_STATES - 1));
    int error = ledger_get(bench->ledger, (struct ledger_id){bench->source, seq}, &entry);

    assert_int_equal(error, cell->here ? LEDGER_OK : LEDGER_NOT_FOUND);
    if (!cell->here)
        return;
    entry.state = to;
    entry.reason = (uint8_t)draw(4);
    entry.stay = draw(5);
    if (draw(8) == 0) {
        entry.time_known = draw(2);
        entry.t_low_us = draw(1000);
        entry.t_high_us = entry.t_low_us + draw(1000);
    }
    error = ledger_update(bench->ledger, &entry, 1, "model");
    assert_int_equal(error, ledger_may_move(cell->state, to) ? LEDGER_OK
                                                             : LEDGER_BAD_TRANSITION);
    if (error == LEDGER_OK) {
        cell->state = to;
        cell->reason = entry.reason;
    }
}

static void others(struct bench *bench, struct model *model)
{
    struct ledger_message message = {.destination = 1 + draw(2),
                                     .lane = (uint8_t)draw(2)};
    struct ledger_gap gap = {.id = {bench->source, SEQS + 1 + draw(200)},
                             .count = draw(30)};
    struct ledger_new new = reading_of(bench, gap.id.seq, "gap", 3, 0, 1);
    uint64_t lost;

    if (draw(3) == 0) {
        (void)snprintf(message.control, sizeof(message.control), "m-%u", draw(500));
        if (ledger_out_add(bench->ledger, &message, "bytes", 5) == LEDGER_OK)
            model->messages++;
        if (message.state != LEDGER_OUT_DONE && message.state != LEDGER_OUT_CANCELLED) {
            message.state = (enum ledger_out_state)draw(LEDGER_OUT_STATES);
            assert_int_equal(ledger_out_set(bench->ledger, &message), LEDGER_OK);
        } else if (draw(2) == 0) {
            assert_int_equal(ledger_out_forget(bench->ledger, message.number), LEDGER_OK);
            model->messages--;
        }
        return;
    }
    if (draw(4) == 0) {
        new.kind = wardgate_Record_Kind_GAP;
        if (ledger_store(bench->ledger, &new, NULL) == LEDGER_NEW) {
            gap.seqs.first = 1 + draw(SEQS);
            gap.seqs.last = gap.seqs.first + draw(60);
            if (gap.seqs.last > SEQS)
                gap.seqs.last = SEQS;
            gap.count_unknown = draw(5) == 0;
            assert_int_equal(ledger_gap_add(bench->ledger, &gap), LEDGER_OK);
        }
        return;
    }
    assert_int_equal(ledger_source_state(bench->ledger, bench->source, 1, draw(40),
                                         2 + draw(SEQS), &lost),
                     LEDGER_OK);
}

static void compare(struct bench *bench, const struct model *model)
{
    uint64_t queued = 0;

    for (uint64_t seq = 1; seq <= SEQS; seq++) {
        const struct cell *cell = &model->cells[seq];
        struct ledger_entry entry;
        int error =
            ledger_get(bench->ledger, (struct ledger_id){bench->source, seq}, &entry);

        assert_int_equal(error, cell->here ? LEDGER_OK : LEDGER_NOT_FOUND);
        if (!cell->here)
            continue;
        assert_int_equal(entry.state, cell->state);
        assert_int_equal(entry.reason, cell->reason);
        assert_int_equal(entry.conflicted, cell->conflicted);
    }
    for (uint32_t destination = 1; destination <= 2; destination++)
        for (int state = 0; state < LEDGER_OUT_STATES; state++) {
            struct ledger_cursor cursor = {0};
            struct ledger_message page[64];
            uint64_t listed = 0;
            int n;

            while ((n = ledger_out_list(bench->ledger, destination,
                                        (enum ledger_out_state)state, &cursor, page,
                                        64)) > 0)
                listed += (uint64_t)n;
            assert_int_equal(listed, ledger_out_count(bench->ledger, destination,
                                                      (enum ledger_out_state)state));
            queued += listed;
        }
    assert_int_equal(queued, model->messages);
}

static void random_batches(void **state)
{
    const char *given = getenv("LEDGER_MODEL_SEED");
    static struct model committed, now;
    struct bench bench;
    int commits = 0, aborts = 0, reopens = 0;

    (void)state;
    seed = given != NULL ? strtoull(given, NULL, 10) : 20261124;
    (void)printf("seed %llu\n", (unsigned long long)seed);
    bench_start(&bench);
    for (int batch = 0; batch < BATCHES; batch++) {
        uint32_t steps = 1 + draw(60);

        now = committed;
        assert_int_equal(ledger_begin(bench.ledger), LEDGER_OK);
        for (uint32_t i = 0; i < steps; i++) {
            uint32_t what = draw(10);
            if (what < 5)
                store_some(&bench, &now);
            else if (what < 9)
                move_some(&bench, &now);
            else
                others(&bench, &now);
        }
        if (draw(4) == 0) {
            ledger_abort(bench.ledger);
            aborts++;
        } else {
            assert_int_equal(ledger_commit(bench.ledger), LEDGER_OK);
            committed = now;
            commits++;
        }
        if (draw(10) == 0) {
            bench_reopen(&bench);
            reopens++;
        }
        if (batch % 5 == 0) {
            bench_check(&bench);
            compare(&bench, &committed);
        }
    }
    bench_check(&bench);
    compare(&bench, &committed);
    bench_end(&bench);
    (void)printf("%d commits, %d aborts, %d reopenings, books equal a fresh count\n",
                 commits, aborts, reopens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_batches)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
