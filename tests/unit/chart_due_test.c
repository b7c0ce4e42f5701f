/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "chart/due.h"

#define HR   147842 /* heart rate */
#define SPO2 150456
#define CUFF 150021 /* systolic, from a cuff */
#define S    US_PER_S
#define T0   (INT64_C(1784700000) * S) /* a whole minute */

static const struct due_decision *decisions;
static size_t count;

static struct due_reading reading(uint64_t ref, int64_t t_s, uint32_t code)
{
    struct due_reading r = {.stay = 1,
                            .device = 7,
                            .ref = ref,
                            .t_us = T0 + t_s * S,
                            .n = 1,
                            .valid = 1,
                            .codes = {code}};

    return r;
}

static void feed(struct due *due, struct due_reading r)
{
    assert_int_equal(due_feed(due, &r, r.t_us, &decisions, &count), 0);
}

static void assert_decision(size_t i, uint64_t ref, uint32_t bits, bool final)
{
    assert_true(i < count);
    assert_int_equal(decisions[i].ref, ref);
    assert_int_equal(decisions[i].due, bits);
    assert_int_equal(decisions[i].final, final);
}

static void test_newest_of_a_minute(void **state)
{
    struct due_options options = {0};
    struct due *due = due_new(&options);
    struct due_reading r;

    (void)state;
    feed(due, reading(1, 0, HR));
    assert_int_equal(count, 0);
    feed(due, reading(2, 30, HR));
    assert_int_equal(count, 1);
    assert_decision(0, 1, 0, true); /* overtaken: kept */
    feed(due, reading(3, 20, HR));  /* older than the leader */
    assert_decision(0, 3, 0, true);
    r = reading(4, 40, HR);
    r.valid = 0; /* a probe off is newer, but no value */
    feed(due, r);
    assert_decision(0, 4, 0, true);
    assert_int_equal(due_open(due), 1);
    feed(due, reading(5, 60, HR)); /* the next minute closes this one */
    assert_int_equal(count, 1);
    assert_decision(0, 2, 1, true);

    /* Or the time does: end of the bucket and the grace. */
    assert_true(due_next_us(due) <= T0 + 120 * S + DUE_GRACE_US);
    assert_int_equal(due_tick(due, T0 + 134 * S, &decisions, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(due_next_us(due), T0 + 120 * S + DUE_GRACE_US);
    assert_int_equal(due_tick(due, T0 + 135 * S, &decisions, &count), 0);
    assert_int_equal(count, 1);
    assert_decision(0, 5, 1, true);
    assert_int_equal(due_next_us(due), INT64_MAX);
    assert_int_equal(due_open(due), 0);
    due_free(due);
    due_free(NULL);
}

static void test_several_observations(void **state)
{
    static const struct due_interval table[] = {{0, 60}, {SPO2, 0}, {149530, 300}};
    struct due_options options = {.table = table, .table_count = 3};
    struct due *due = due_new(&options);
    struct due_reading r = {.stay = 1,
                            .device = 7,
                            .ref = 1,
                            .t_us = T0,
                            .n = 5,
                            .valid = 0x1f,
                            .codes = {HR, SPO2, CUFF, 149530, HR}};

    (void)state;
    feed(due, r); /* SPO2 by its interval, the cuff always: now; two heart rates are two
                     quantities */
    assert_int_equal(count, 1);
    assert_decision(0, 1, 0x06, false);
    r.ref = 2;
    r.t_us += 30 * S;
    r.valid = 0x01;
    feed(due, r);
    assert_int_equal(
        count,
        0); /* takes the lead of one heart rate; reading 1 still leads two quantities */
    r.ref = 3;
    r.t_us += 40 * S;
    r.valid = 0;
    feed(due, r);
    assert_int_equal(count, 3);
    assert_int_equal(decisions[0].due | decisions[1].due, 0x11);
    assert_int_equal(decisions[0].final + decisions[1].final,
                     1); /* reading 1 waits for its five minutes */
    assert_decision(2, 3, 0, true);
    assert_int_equal(due_tick(due, T0 + 315 * S, &decisions, &count), 0);
    assert_decision(0, 1, 0x08, true);

    r = reading(9, 400, HR);
    r.always = true; /* a spot check, an order */
    feed(due, r);
    assert_decision(0, 9, 1, true);
    assert_int_equal(due_interval_s(due, SPO2), 0);
    assert_int_equal(due_interval_s(due, 149530), 300);
    assert_int_equal(due_interval_s(due, HR), 60);
    due_free(due);
}

/* A backlog drains while live readings arrive: the live ones must not close the backlog's
 * minutes half full. */
static void test_backlog_beside_live(void **state)
{
    struct due_options options = {0};
    struct due *due = due_new(&options);
    struct due_reading r;
    int64_t now = T0 + 36000 * S;
    uint64_t ref = 0;
    int i;

    (void)state;
    for (i = 0; i < 59; i++) {
        r = reading(++ref, i, HR); /* ten hours ago, once a second */
        assert_int_equal(due_feed(due, &r, now, &decisions, &count), 0);
        assert_int_equal(count, i > 0);
        r = reading(1000 + ref, 36000 + i / 10, HR);
        assert_int_equal(due_feed(due, &r, now + i * S / 10, &decisions, &count), 0);
        assert_true(count == 0 || (count == 1 && decisions[0].due == 0));
    }
    r = reading(++ref, 60, HR);
    assert_int_equal(due_feed(due, &r, now + 6 * S, &decisions, &count), 0);
    assert_int_equal(count, 1);
    assert_decision(0, 59, 1, true);
    /* The end of the backlog closes by time since its last arrival. */
    assert_int_equal(due_tick(due, now + 20 * S, &decisions, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(due_tick(due, now + 21 * S, &decisions, &count), 0);
    assert_decision(0, 60, 1, true);
    due_free(due);
}

struct charted {
    uint64_t stay, device;
    uint32_t code;
    int64_t t_us;
};
struct ledger {
    struct charted items[60000];
    size_t n;
};

static bool was_charted(void *context, uint64_t stay, uint64_t device, uint32_t code,
                        int64_t from_us, int64_t to_us)
{
    const struct ledger *ledger = context;
    size_t i;

    for (i = ledger->n; i > 0; i--) {
        const struct charted *c = &ledger->items[i - 1];

        if (c->stay == stay && c->device == device && c->code == code &&
            c->t_us >= from_us && c->t_us < to_us)
            return true;
    }
    return false;
}

static void test_late(void **state)
{
    static struct ledger ledger;
    struct due_options options = {.was_charted = was_charted, .context = &ledger};
    struct due *due = due_new(&options);

    (void)state;
    ledger.n = 0;
    feed(due, reading(1, 10, HR));
    feed(due, reading(2, 61, HR));
    assert_decision(0, 1, 1, true);
    ledger.items[ledger.n++] = (struct charted){1, 7, HR, T0 + 10 * S};
    feed(due, reading(3, 50, HR)); /* newer than the charted one, but too late: kept */
    assert_int_equal(count, 1);
    assert_decision(0, 3, 0, true);
    feed(due, reading(4, 50, SPO2)); /* never charted in that minute: due at its close */
    assert_int_equal(count, 0);
    feed(due, reading(5, 51, SPO2));
    assert_decision(0, 4, 0, true);
    feed(due, reading(6, 62, SPO2));
    assert_decision(0, 5, 1, true);
    /* Another stay, another chart: the same minute is due there. */
    {
        struct due_reading r = reading(7, 11, HR);

        r.stay = 2;
        feed(due, r);
        assert_int_equal(count, 0);
        assert_int_equal(due_feed(due, &r, r.t_us, &decisions, &count),
                         -2); /* open already */
        assert_true(due_forget(due, 7));
        assert_false(due_forget(due, 7));
    }
    assert_int_equal(due_open(due), 2);
    due_free(due);
}

static void test_options(void **state)
{
    static const struct due_interval bad[] = {{0, 7}}, good[] = {{0, 30}, {HR, 3600}},
                                     huge[] = {{0, 86401}};
    struct due_options options = {.table = bad, .table_count = 1};
    struct due *due;
    int64_t from = T0 + 61 * S, to = T0 + 62 * S;

    (void)state;
    assert_null(due_new(&options)); /* 7 s do not divide a day */
    options.table = huge;
    assert_null(due_new(&options));
    options.table = good;
    options.table_count = 2;
    due = due_new(&options);
    due_widen(due, &from, &to);
    assert_int_equal(from % (3600 * S), 0);
    assert_int_equal(to - from, 3600 * S);
    due_widen(due, &from, &to);
    assert_int_equal(to - from, 3600 * S);
    from = INT64_MIN;
    to = INT64_MAX;
    due_widen(due, &from, &to);
    assert_int_equal(from, INT64_MIN);
    assert_int_equal(to, INT64_MAX);
    from = -61 * S; /* before 1970 the grid is the same */
    to = -60 * S;
    due_widen(due, &from, &to);
    assert_int_equal(from, -3600 * S);
    assert_int_equal(to, 0);
    assert_true(due_is_spot(150020) && due_is_spot(150023));
    assert_false(due_is_spot(HR));
    due_free(due);
}

/* --- Random streams against what must hold --- */

static uint64_t random_state;

static unsigned below(unsigned n)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ z >> 31) % n);
}

#define READINGS 3000
static const uint32_t codes[4] = {HR, SPO2, CUFF, 149530};

struct stream {
    struct due_reading readings[READINGS];
    uint32_t due[READINGS];
    bool final[READINGS];
    struct ledger ledger;
};

static struct stream stream;

static void take_decisions(void)
{
    size_t i;
    uint32_t o;

    for (i = 0; i < count; i++) {
        const struct due_reading *r = &stream.readings[decisions[i].ref];

        assert_false(stream.final[decisions[i].ref]);
        assert_int_equal(stream.due[decisions[i].ref] & decisions[i].due,
                         0); /* each bit once */
        assert_int_equal(decisions[i].due & ~r->valid, 0);
        stream.due[decisions[i].ref] |= decisions[i].due;
        stream.final[decisions[i].ref] = decisions[i].final;
        for (o = 0; o < r->n; o++)
            if (decisions[i].due & UINT32_C(1) << o)
                stream.ledger.items[stream.ledger.n++] =
                    (struct charted){r->stay, r->device, r->codes[o], r->t_us};
    }
}

/* Per stay, device, continuous code and minute: exactly one due where there was any valid
 * value; in an undisturbed stream the newest. */
static size_t check_stream(bool newest)
{
    size_t buckets = 0, i, j;
    uint32_t o;

    for (i = 0; i < READINGS; i++) {
        assert_true(stream.final[i]);
        for (o = 0; o < stream.readings[i].n; o++) {
            const struct due_reading *r = &stream.readings[i];
            bool is_newest = true;
            size_t dues = 0;

            if ((r->valid & UINT32_C(1) << o) == 0)
                continue;
            if (due_is_spot(r->codes[o])) {
                assert_true(stream.due[i] & UINT32_C(1) << o);
                continue;
            }
            for (j = i > 400 ? i - 400 : 0; j < READINGS && j < i + 400; j++) {
                const struct due_reading *q = &stream.readings[j];

                if (q->stay != r->stay || q->device != r->device ||
                    q->t_us / (60 * S) != r->t_us / (60 * S) ||
                    (q->valid & UINT32_C(1) << o) == 0)
                    continue;
                dues += (stream.due[j] & UINT32_C(1) << o) != 0;
                if (q->t_us > r->t_us || (q->t_us == r->t_us && j > i))
                    is_newest = false;
            }
            if (dues != 1)
                fail_msg("reading %zu observation %u: %zu due in its minute", i, o, dues);
            if (newest)
                assert_int_equal((stream.due[i] & UINT32_C(1) << o) != 0, is_newest);
            buckets += is_newest;
        }
    }
    return buckets;
}

static void make_stream(uint64_t seed)
{
    int64_t t = T0;
    size_t i;

    random_state = seed;
    memset(&stream, 0, sizeof(stream));
    for (i = 0; i < READINGS; i++) {
        struct due_reading *r = &stream.readings[i];

        t += (int64_t)below(3) * S;
        *r = (struct due_reading){.stay = 1 + (uint64_t)(i / 1000),
                                  .device = below(3),
                                  .ref = i,
                                  .t_us = t,
                                  .n = 4,
                                  .valid = below(16),
                                  .codes = {codes[0], codes[1], codes[2], codes[3]}};
    }
}

static void test_streams(void **state)
{
    struct due_options options = {.was_charted = was_charted, .context = &stream.ledger};
    size_t buckets = 0, restarts = 0, i, j;
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 8; seed++) {
        struct due *due = due_new(&options);
        int64_t now = 0;
        size_t order[READINGS];

        make_stream(seed);
        for (i = 0; i < READINGS; i++)
            order[i] = i;
        /* Odd seeds: as measured. Even ones: late by up to 20 readings, and the service
         * restarts now and then. */
        if (seed % 2 == 0)
            for (i = 0; i + 20 < READINGS; i++) {
                size_t k = i + below(20), swap = order[i];

                order[i] = order[k];
                order[k] = swap;
            }
        for (i = 0; i < READINGS; i++) {
            struct due_reading r = stream.readings[order[i]];

            if (r.t_us > now)
                now = r.t_us;
            assert_int_equal(due_feed(due, &r, now, &decisions, &count), 0);
            take_decisions();
            assert_true(due_open(due) < 64);
            if (below(5) == 0) {
                assert_int_equal(due_tick(due, now, &decisions, &count), 0);
                take_decisions();
            }
            if (seed % 2 == 0 &&
                below(200) ==
                    0) { /* all open state lost; undecided readings are fed again */
                due_free(due);
                due = due_new(&options);
                restarts++;
                for (j = i + 1; j > 0; j--) {
                    struct due_reading again = stream.readings[order[j - 1]];

                    if (stream.final[order[j - 1]])
                        continue;
                    again.valid &= ~stream.due[order[j - 1]]; /* what was due of it is
                                                                 charted already */
                    assert_int_equal(due_feed(due, &again, now, &decisions, &count), 0);
                    take_decisions();
                }
            }
        }
        assert_int_equal(due_tick(due, INT64_MAX - 1, &decisions, &count), 0);
        take_decisions();
        assert_int_equal(due_open(due), 0);
        buckets += check_stream(seed % 2 == 1);
        due_free(due);
    }
    print_message("8 streams of %d readings, %zu minutes of a quantity, each charted "
                  "once; %zu restarts\n",
                  READINGS, buckets, restarts);
}

/* The state stays bounded even by nonsense: every reading from a device and a minute of
 * its own. */
static void test_bounded(void **state)
{
    struct due_options options = {0};
    struct due *due = due_new(&options);
    uint64_t i;
    size_t dues = 0, j;

    (void)state;
    for (i = 0; i < DUE_OPEN_MAX + 1000; i++) {
        struct due_reading r = reading(i, (int64_t)i * 60 % 864000, HR);

        r.device = i;
        assert_int_equal(due_feed(due, &r, T0, &decisions, &count), 0);
        for (j = 0; j < count; j++)
            dues += decisions[j].due != 0;
        assert_true(due_open(due) <= DUE_OPEN_MAX);
    }
    assert_true(dues >= 1000);
    assert_int_equal(due_tick(due, INT64_MAX - 1, &decisions, &count), 0);
    assert_int_equal(dues + count, DUE_OPEN_MAX + 1000);
    due_free(due);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_of_a_minute),
        cmocka_unit_test(test_several_observations),
        cmocka_unit_test(test_backlog_beside_live),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
