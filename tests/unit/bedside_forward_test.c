/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.h against a model of store, broker and chart: what is offered, when, in which
 * order, and that every record gets its receipt in the end whatever is lost on the way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "bedside/forward.h"
#include "wire/ranges.h"

#define SIZE   200 /* bytes of every record of the model */
#define SECOND UINT64_C(1000000)

static struct forward forward;
static struct ranges done; /* receipted in the store */
static uint64_t head, now_us;

static uint64_t unreceipted(void *context, uint64_t first, uint64_t last)
{
    (void)context;
    return last - first + 1 - ranges_overlap(&done, first, last);
}

static uint64_t oldest(void)
{
    return done.count > 0 && done.items[0].first == 1 ? done.items[0].last + 1 : 1;
}

static void begin(uint64_t queued, uint32_t backlog_rate)
{
    const struct forward_ops ops = {unreceipted, NULL};
    const struct forward_config config = {.seed = 7, .backlog_rate = backlog_rate};

    ranges_free(&done);
    head = queued + 1;
    now_us = SECOND;
    forward_init(&forward, &config, &ops, 1, head);
}

/* What store_read would give for an action. */
struct sent {
    uint64_t first, last;
    size_t count;
    bool live, again;
};

static int next_token;

/* One step: true if something was published. */
static bool step(struct sent *sent)
{
    struct forward_action action;
    uint64_t seq, next;

    forward_next(&forward, now_us, &action);
    if (action.what == FORWARD_WAIT)
        return false;
    assert_true(action.bytes >= FORWARD_ITEM_MAX);
    assert_true(action.bytes <= FORWARD_ENVELOPE_LIVE);
    memset(sent, 0, sizeof(*sent));
    for (seq = next = action.from; seq <= action.to && seq < head; seq++) {
        if (ranges_has(&done, seq)) {
            next = seq + 1;
            continue;
        }
        if ((sent->count + 1) * SIZE > action.bytes)
            break;
        if (sent->count++ == 0)
            sent->first = seq;
        sent->last = seq;
        next = seq + 1;
    }
    sent->live = action.live;
    sent->again = action.again;
    if (sent->count == 0) {
        forward_nothing(&forward, &action, next);
        return step(sent);
    }
    forward_sent(&forward, &action, sent->first, sent->last, next, sent->count,
                 sent->count * SIZE, ++next_token, now_us);
    return true;
}

static void acknowledge(uint8_t reason)
{
    for (uint32_t i = 0; i < forward.used; i++)
        if (forward.batches[i].token != -1)
            forward_acknowledged(&forward, forward.batches[i].token, reason, now_us);
}

static void receipt(uint64_t first, uint64_t last)
{
    assert_int_equal(ranges_add(&done, first, last), 0);
    forward_receipt(&forward, first, last, now_us);
}

static void commit(uint64_t n)
{
    head += n;
    forward_committed(&forward, head);
}

static void offers_nothing_when_not_connected(void **state)
{
    struct sent sent;

    (void)state;
    begin(100, 0);
    assert_false(step(&sent));
    forward_connected(&forward, 1, now_us);
    assert_true(step(&sent));
    assert_int_equal(sent.first, 1);
    assert_int_equal(sent.last, 100);
    assert_false(step(&sent));
    forward_disconnected(&forward, 1);
    assert_int_equal(forward.on_the_way, 0);
    assert_false(step(&sent));
}

static void keeps_to_its_window(void **state)
{
    struct sent sent;
    int n = 0;

    (void)state;
    begin(100000, 0);
    forward_connected(&forward, 1, now_us);
    while (step(&sent)) {
        n++;
        assert_true(forward.on_the_way <= FORWARD_WINDOW - FORWARD_LIVE_RESERVE);
    }
    assert_in_range(n, 5, 20);
    /* Live ones have their reserve, and no more. */
    commit(2000);
    while (step(&sent)) {
        assert_true(sent.live);
        assert_true(forward.on_the_way <= FORWARD_WINDOW);
    }
    assert_true(forward.on_the_way > FORWARD_WINDOW - FORWARD_LIVE_RESERVE);
    /* A receipt for a part opens the window by that part. */
    receipt(1, 40);
    assert_true(step(&sent));
}

static void sends_live_first_and_backlog_between(void **state)
{
    struct sent sent;
    int live = 0, backlog = 0;

    (void)state;
    begin(100000, 0);
    forward_connected(&forward, 1, now_us);
    for (int i = 0; i < 200; i++) {
        commit(10);
        assert_true(step(&sent));
        /* Never more than LIVE_TURNS live ones before one of the backlog. */
        if (sent.live)
            live++;
        else
            backlog++;
        receipt(sent.first, sent.last);
        if (i > 0 && forward.live < forward.head)
            assert_true(!sent.live);
    }
    assert_true(live >= 150);
    assert_true(backlog >= 30);
    /* Without live ones the backlog has all turns. */
    while (step(&sent))
        receipt(sent.first, sent.last);
    assert_int_equal(ranges_total(&done), head - 1);
}

static void offers_again_without_receipts(void **state)
{
    struct sent sent;
    uint64_t wait_us, before_us;

    (void)state;
    begin(10, 0);
    forward_connected(&forward, 1, now_us);
    assert_true(step(&sent));
    now_us += 60 * SECOND;
    assert_false(step(&sent)); /* not acknowledged: the transport is still at it */
    acknowledge(0);
    assert_true(step(&sent));
    assert_true(sent.again);
    assert_int_equal(sent.count, 10);
    acknowledge(0);
    wait_us = 60 * SECOND;
    for (int i = 0; i < 6; i++) {
        before_us = now_us;
        while (!step(&sent))
            now_us += SECOND;
        assert_true(sent.again);
        acknowledge(0);
        assert_true(now_us - before_us >= wait_us);
        assert_true(now_us - before_us <= wait_us * 5 / 4 + SECOND);
        wait_us = wait_us * 2 < FORWARD_AGAIN_MAX_US ? wait_us * 2 : FORWARD_AGAIN_MAX_US;
    }
    receipt(1, 9);
    now_us += UINT64_C(2) * FORWARD_AGAIN_MAX_US;
    assert_true(step(&sent));
    assert_int_equal(sent.first, 10);
    assert_int_equal(sent.count, 1);
    receipt(10, 10);
    acknowledge(0);
    now_us += UINT64_C(2) * FORWARD_AGAIN_MAX_US;
    assert_false(step(&sent));
    assert_int_equal(forward.on_the_way, 0);
}

static void offers_again_at_once_what_nobody_heard(void **state)
{
    struct sent sent;

    (void)state;
    begin(10, 0);
    forward_connected(&forward, 1, now_us);
    assert_true(step(&sent));
    acknowledge(0x10); /* no matching subscribers */
    assert_false(step(&sent));
    commit(1);
    assert_true(step(&sent));
    acknowledge(0);
    receipt(11, 11); /* the chart is there now */
    assert_true(step(&sent));
    assert_true(sent.again);
    assert_int_equal(sent.count, 10);
    assert_int_equal(forward.counts.no_subscriber, 1);
}

static void backs_off_when_refused(void **state)
{
    struct sent sent;
    struct forward_action action;
    uint64_t pause_us = FORWARD_BACKOFF_US;

    (void)state;
    begin(10, 0);
    forward_connected(&forward, 1, now_us);
    for (int i = 0; i < 10; i++) {
        assert_true(step(&sent));
        acknowledge(0x87); /* not authorised */
        forward_next(&forward, now_us, &action);
        assert_int_equal(action.what, FORWARD_WAIT);
        assert_in_range(action.until_us - now_us, pause_us, pause_us * 5 / 4 + 1);
        now_us = action.until_us;
        pause_us =
            pause_us * 2 < FORWARD_BACKOFF_MAX_US ? pause_us * 2 : FORWARD_BACKOFF_MAX_US;
    }
    assert_int_equal(forward.counts.refused, 10);
    assert_int_equal(forward.counts.last_refusal, 0x87);
    assert_true(step(&sent));
    assert_true(sent.again);
    acknowledge(0);
    receipt(1, 10);
    assert_int_equal(forward.used, 0);
}

static void holds_when_busy(void **state)
{
    struct sent sent;
    struct forward_action action;

    (void)state;
    begin(1000, 0);
    forward_connected(&forward, 1, now_us);
    assert_true(step(&sent));
    forward_next(&forward, now_us, &action);
    assert_int_equal(action.what, FORWARD_SEND);
    forward_busy(&forward);
    assert_false(step(&sent));
    acknowledge(0);
    assert_true(step(&sent));
    forward_hold(&forward, now_us);
    assert_false(step(&sent));
    now_us += UINT64_C(2) * FORWARD_BACKOFF_US;
    assert_true(step(&sent));
}

static void begins_anew_after_a_disconnect(void **state)
{
    struct sent sent;

    (void)state;
    begin(1000, 0);
    forward_connected(&forward, 1, now_us);
    while (step(&sent))
        continue;
    receipt(1, 50);
    commit(5);
    forward_disconnected(&forward, oldest());
    assert_false(step(&sent));
    now_us += SECOND;
    forward_connected(&forward, oldest(), now_us);
    assert_true(step(&sent));
    assert_int_equal(sent.first, 51);
    while (step(&sent))
        continue;
    assert_int_equal(forward.backlog, 1006); /* the five are backlog by now */
}

static void resends_when_the_chart_asks(void **state)
{
    struct sent sent;
    struct ranges seen = {0};

    (void)state;
    begin(500, 0);
    forward_connected(&forward, 1, now_us);
    while (step(&sent))
        receipt(sent.first, sent.last);
    commit(5);
    assert_true(step(&sent)); /* on the way: 501..505 */
    assert_int_equal(ranges_remove(&done, 200, 500), 0);
    forward_resend(&forward, 200, now_us);
    while (step(&sent)) {
        assert_int_equal(ranges_add(&seen, sent.first, sent.last), 0);
        receipt(sent.first, sent.last);
    }
    assert_int_equal(seen.count, 1);
    assert_true(seen.items != NULL && seen.items[0].first == 200 &&
                seen.items[0].last == 505);
    ranges_free(&seen);
    /* In the middle of a batch, the whole of it goes again. */
    commit(20);
    assert_true(step(&sent));
    assert_int_equal(sent.first, 506);
    forward_resend(&forward, 510, now_us);
    assert_true(step(&sent));
    assert_int_equal(sent.first, 506);
    assert_int_equal(sent.last, 525);
}

static void keeps_to_its_backlog_rate(void **state)
{
    struct sent sent;
    uint64_t bytes = 0, began_us;

    (void)state;
    begin(100000, 100000);
    forward_connected(&forward, 1, now_us);
    began_us = now_us;
    for (int i = 0; i < 600; i++) {
        while (step(&sent)) {
            bytes += sent.count * SIZE;
            receipt(sent.first, sent.last);
        }
        now_us += SECOND / 20;
    }
    /* One second's worth at the start, and then the rate. */
    assert_in_range(bytes, 100000 * ((now_us - began_us) / SECOND) * 9 / 10,
                    100000 * ((now_us - began_us) / SECOND + 2));
}

static void makes_old_live_ones_backlog(void **state)
{
    struct sent sent;

    (void)state;
    begin(0, 0);
    forward_connected(&forward, 1, now_us);
    for (int i = 0; i < 200; i++) { /* nobody receipts */
        commit(100);
        while (step(&sent))
            acknowledge(0);
        now_us += SECOND / 10;
    }
    /* The chart comes back: the newest are the next to go, the rest follows, nothing is
     * left out. */
    receipt(1, 300);
    commit(10);
    assert_true(step(&sent));
    if (!sent.live) /* the backlog's turn */
        assert_true(step(&sent));
    assert_true(sent.live);
    assert_true(head - sent.first <= FORWARD_LAG_MAX);
    for (int i = 0; i < 100000 && ranges_total(&done) < head - 1; i++) {
        if (step(&sent)) {
            receipt(sent.first, sent.last);
            acknowledge(0);
        } else {
            now_us += SECOND;
        }
    }
    assert_int_equal(ranges_total(&done), head - 1);
}

/* Anything may be lost, doubled or late: in the end every record has its receipt. */
static void gets_every_record_through(void **state)
{
    uint64_t dice = 88172645463325252;
    struct sent sent, way[64];
    size_t on_way = 0;
    uint64_t published = 0;

    (void)state;
    begin(3000, 0);
    forward_connected(&forward, 1, now_us);
    for (long i = 0; i < 2000000 && ranges_total(&done) < 20000; i++) {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        if (head < 20001 && dice % 10 == 0)
            commit(head + 20 > 20001 ? 20001 - head : 20);
        if (dice % 3 == 0 && step(&sent)) {
            published += sent.count;
            assert_true(forward.on_the_way <= FORWARD_WINDOW);
            if ((dice >> 20) % 8 != 0 && on_way < 64)
                way[on_way++] = sent; /* else the broker lost it */
        }
        if ((dice >> 30) % 4 == 0)
            acknowledge((dice >> 40) % 50 == 0   ? 0x97
                        : (dice >> 40) % 20 == 0 ? 0x10
                                                 : 0);
        if (on_way > 0 && (dice >> 8) % 3 == 0) {
            size_t k = (dice >> 10) % on_way;
            if ((dice >> 50) % 5 != 0) /* a fifth of the receipts is lost */
                receipt(way[k].first, way[k].last > way[k].first && (dice >> 55) % 4 == 0
                                          ? way[k].first + 1
                                          : way[k].last);
            way[k] = way[--on_way];
        }
        if ((dice >> 33) % 997 == 0) {
            on_way = 0; /* a broker that was killed */
            forward_disconnected(&forward, oldest());
            now_us += SECOND;
            forward_connected(&forward, oldest(), now_us);
        }
        now_us += SECOND / 50;
    }
    assert_int_equal(ranges_total(&done), 20000);
    print_message(
        "20000 records through: %lu published, %lu offered again, %lu refused\n",
        (unsigned long)published, (unsigned long)forward.counts.offered_again,
        (unsigned long)forward.counts.refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers_nothing_when_not_connected),
        cmocka_unit_test(keeps_to_its_window),
        cmocka_unit_test(sends_live_first_and_backlog_between),
        cmocka_unit_test(offers_again_without_receipts),
        cmocka_unit_test(offers_again_at_once_what_nobody_heard),
        cmocka_unit_test(backs_off_when_refused),
        cmocka_unit_test(holds_when_busy),
        cmocka_unit_test(begins_anew_after_a_disconnect),
        cmocka_unit_test(resends_when_the_chart_asks),
        cmocka_unit_test(keeps_to_its_backlog_rate),
        cmocka_unit_test(makes_old_live_ones_backlog),
        cmocka_unit_test(gets_every_record_through),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    ranges_free(&done);
    return failed;
}
