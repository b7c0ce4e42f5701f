/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "bedside/acquire.h"

#define S UINT64_C(1000000)

static const struct regmap_field fields[] = {
    {.name = "sample",
     .role = REGMAP_SAMPLE,
     .function = 3,
     .address = 0,
     .type = REGMAP_U16},
    {.name = "HR", .function = 3, .address = 1, .type = REGMAP_U16, .scale = 1},
    {.name = "TEMP",
     .function = 4,
     .address = 9,
     .type = REGMAP_U16,
     .scale = 1,
     .every_ms = 60000},
    {.name = "serial",
     .role = REGMAP_IDENTITY,
     .function = 3,
     .address = 100,
     .type = REGMAP_U16},
};
static const struct regmap map = {.name = "test",
                                  .every_ms = 1000,
                                  .response_ms = 100,
                                  .fields = fields,
                                  .field_count = 4};
static const struct regmap plain = {.name = "plain",
                                    .every_ms = 1000,
                                    .response_ms = 100,
                                    .fields = fields,
                                    .field_count = 2};
static const uint8_t zeros[ACQUIRE_BLOCK_BYTES];

/* A device per slot of `dead`; runs the timetable on a virtual clock. */
struct world {
    struct acquire *acquire;
    uint64_t now, cost, dead_cost;
    bool dead[ACQUIRE_DEVICES_MAX];
    uint64_t polled[ACQUIRE_DEVICES_MAX], asked[ACQUIRE_DEVICES_MAX],
        lost[ACQUIRE_DEVICES_MAX], identified[ACQUIRE_DEVICES_MAX],
        last[ACQUIRE_DEVICES_MAX];
};

static void run(struct world *w, uint64_t until)
{
    while (w->now < until) {
        struct acquire_step step;
        enum acquire_event event;

        acquire_next(w->acquire, w->now, &step);
        if (!step.request) {
            assert_true(step.wake_us > w->now);
            w->now = step.wake_us < until ? step.wake_us : until;
            continue;
        }
        w->asked[step.device]++;
        w->now += w->dead[step.device] ? w->dead_cost : w->cost;
        event = acquire_result(w->acquire, w->now,
                               w->dead[step.device] ? w->dead_cost : w->cost,
                               w->dead[step.device] ? ACQUIRE_SILENT : ACQUIRE_ANSWERED,
                               zeros, (size_t)step.block.count * 2);
        w->polled[step.device] += event == ACQUIRE_POLLED;
        w->lost[step.device] += event == ACQUIRE_LOST;
        w->identified[step.device] += event == ACQUIRE_IDENTITY;
        if (event == ACQUIRE_POLLED)
            w->last[step.device] = w->now;
    }
}

static void begin(struct world *w, size_t devices, const struct regmap *of,
                  uint32_t every_ms)
{
    memset(w, 0, sizeof *w);
    w->acquire = acquire_new();
    w->now = 5 * S;
    w->cost = 23000;
    w->dead_cost = 100000;
    for (size_t i = 0; i < devices; i++) {
        const struct acquire_device device = {.map = of, .every_ms = every_ms};

        assert_int_equal(acquire_add(w->acquire, &device), ACQUIRE_OK);
    }
    acquire_start(w->acquire, w->now);
}

static void keeps_its_rate_without_drift(void **state)
{
    struct world w;
    struct acquire_count count;

    (void)state;
    begin(&w, 1, &plain, 1000);
    run(&w, 5 * S + 3600 * S);
    acquire_count(w.acquire, 0, &count);
    assert_int_equal(w.polled[0], 3600);
    assert_int_equal(count.skipped, 0);
    assert_int_equal(w.last[0], 5 * S + 3599 * S + w.cost);
    acquire_free(w.acquire);
}

/* When each of n devices is asked from now on, with an instant line; started at `start`.
 */
static void asked_at(size_t n, uint32_t every_ms, uint64_t start, uint64_t *at)
{
    struct world w;
    struct acquire_step step;

    begin(&w, n, &plain, every_ms);
    acquire_start(w.acquire, start);
    w.now = start;
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < n; i++) {
            acquire_next(w.acquire, w.now, &step);
            if (!step.request) {
                w.now = step.wake_us;
                acquire_next(w.acquire, w.now, &step);
            }
            assert_true(step.request);
            if (round == 0)
                assert_int_equal(w.now, start); /* everyone at once */
            at[step.device] = w.now;
            (void)acquire_result(w.acquire, w.now, 0, ACQUIRE_ANSWERED, zeros,
                                 (size_t)step.block.count * 2);
        }
    }
    acquire_free(w.acquire);
}

static void shares_the_second(void **state)
{
    uint64_t at[4], fast[4];

    (void)state;
    /* Two lines that were opened at different times meet on the same second. */
    asked_at(4, 1000, 5 * S + 300000, at);
    asked_at(4, 1000, 5 * S + 999999, fast);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(at[i], 6 * S);
        assert_int_equal(fast[i], 6 * S);
    }
    asked_at(4, 100, 5 * S + 310000, fast);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fast[i], 5 * S + 400000);
}

/* A minute's devices must not all come in one second. */
static void spreads_slow_devices(void **state)
{
    uint64_t at[4];

    (void)state;
    asked_at(4, 60000, 100 * S + 5, at);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(at[i], (100 + 60 - 15 * i) * S);
    /* Just after boot there is no earlier time to count from. */
    asked_at(4, 60000, 7 * S, at);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(at[i], 67 * S);
}

static void shares_a_full_line_evenly(void **state)
{
    struct world w;
    struct acquire_count count;

    (void)state;
    begin(&w, 8, &plain,
          10); /* wants 800 polls a second of a line that has room for 43 */
    run(&w, 5 * S + 60 * S);
    for (size_t i = 0; i < 8; i++)
        assert_in_range(w.polled[i], 320, 332);
    acquire_count(w.acquire, 0, &count);
    assert_true(count.skipped > 5000);
    acquire_free(w.acquire);
}

static void reads_fields_at_their_own_rate_and_identity_first(void **state)
{
    struct world w;
    struct acquire_step step;

    (void)state;
    begin(&w, 1, &map, 0);
    acquire_next(w.acquire, w.now, &step);
    assert_int_equal(step.block.address, 100); /* identity */
    assert_int_equal(acquire_result(w.acquire, w.now, 0, ACQUIRE_ANSWERED, zeros, 2),
                     ACQUIRE_IDENTITY);
    assert_non_null(acquire_data(w.acquire)[0]);
    run(&w, 5 * S + 120 * S);
    /* 120 polls of the fast block, 2 of the slow one, which is a request of its own. */
    assert_int_equal(w.polled[0], 120);
    assert_int_equal(w.asked[0], 122);
    assert_int_equal(w.identified[0], 0);
    acquire_identify(w.acquire, 0);
    run(&w, 5 * S + 122 * S);
    assert_int_equal(w.identified[0], 1);
    acquire_free(w.acquire);
}

static void a_dead_device_backs_off_alone(void **state)
{
    struct world w;

    (void)state;
    begin(&w, 8, &plain, 200); /* 35 polls a second of 43: nearly full */
    w.dead[3] = true;
    w.dead_cost = 500000;
    run(&w, 5 * S + 120 * S);
    assert_int_equal(w.lost[3], 1);
    assert_int_equal(w.polled[3], 0);
    for (size_t i = 0; i < 8; i++) {
        if (i != 3)
            assert_in_range(w.polled[i], 570, 600); /* at least 0.95 of 600 */
    }
    assert_true(w.asked[3] < 20);
    /* It comes back: seen within 20 s. */
    w.dead[3] = false;
    run(&w, w.now + 20 * S);
    assert_true(w.polled[3] > 0);
    acquire_free(w.acquire);
}

static void all_dead_devices_share_one_budget(void **state)
{
    struct world w;
    uint64_t dead = 0;

    (void)state;
    begin(&w, 8, &plain, 200);
    for (size_t i = 1; i < 8; i++)
        w.dead[i] = true;
    w.dead_cost = 500000;
    run(&w, 5 * S + 120 * S);
    for (size_t i = 1; i < 8; i++)
        dead += w.asked[i];
    print_message("7 dead: live device polled %u of 600, dead ones asked %u times\n",
                  (unsigned)w.polled[0], (unsigned)dead);
    assert_true(w.polled[0] > 400); /* the first three tries of each are unbudgeted */
    acquire_free(w.acquire);
}

static void one_failure_is_retried_at_once_and_three_are_a_loss(void **state)
{
    struct world w;
    struct acquire_step step;
    struct acquire_count count;

    (void)state;
    begin(&w, 1, &plain, 1000);
    run(&w, 8 * S - 1);
    w.now = 8 * S;
    for (int i = 0; i < 3; i++) {
        acquire_next(w.acquire, w.now, &step);
        assert_int_equal(step.request, i < 2);
        if (!step.request) {
            w.now = step.wake_us;
            acquire_next(w.acquire, w.now, &step);
            assert_true(step.request);
        }
        assert_int_equal(acquire_result(w.acquire, w.now, 100, ACQUIRE_SILENT, NULL, 0),
                         i < 2 ? ACQUIRE_FAILED : ACQUIRE_LOST);
    }
    acquire_count(w.acquire, 0, &count);
    assert_false(count.present);
    assert_int_equal(count.failed, 3);
    acquire_free(w.acquire);
}

static void a_noisy_device_is_asked_on(void **state)
{
    struct world w;
    struct acquire_step step;
    uint64_t began;
    int failures = 0;

    (void)state;
    begin(&w, 1, &plain, 100);
    run(&w, 8 * S);
    began = w.now;
    for (enum acquire_event event = ACQUIRE_NOTHING; event != ACQUIRE_LOST;) {
        acquire_next(w.acquire, w.now, &step);
        if (!step.request) {
            w.now = step.wake_us;
            continue;
        }
        event = acquire_result(w.acquire, w.now, 100, ACQUIRE_BROKEN, NULL, 0);
        failures++;
    }
    assert_int_equal(failures, ACQUIRE_LOST_NOISY);
    assert_true(w.now - began < 2 * S);
    acquire_free(w.acquire);
}

static void a_refused_block_gives_nothing_but_the_device_lives(void **state)
{
    struct world w;
    struct acquire_step step;
    struct acquire_count count;

    (void)state;
    begin(&w, 1, &map, 0);
    acquire_next(w.acquire, w.now, &step);
    assert_int_equal(acquire_result(w.acquire, w.now, 0, ACQUIRE_REFUSED, NULL, 0),
                     ACQUIRE_IDENTITY);
    assert_null(acquire_data(w.acquire)[0]);
    acquire_next(w.acquire, w.now, &step);
    assert_int_equal(acquire_result(w.acquire, w.now, 0, ACQUIRE_REFUSED, NULL, 0),
                     ACQUIRE_NOTHING);
    acquire_next(w.acquire, w.now, &step);
    assert_int_equal(acquire_result(w.acquire, w.now, 0, ACQUIRE_ANSWERED, zeros, 2),
                     ACQUIRE_POLLED);
    assert_null(acquire_data(w.acquire)[0]);
    assert_non_null(acquire_data(w.acquire)[1]);
    acquire_count(w.acquire, 0, &count);
    assert_true(count.present);
    acquire_free(w.acquire);
}

static void refuses_what_it_cannot_hold(void **state)
{
    struct acquire *acquire = acquire_new();
    struct regmap_field many[ACQUIRE_RATES_MAX + 1];
    struct regmap wild = {.name = "wild",
                          .every_ms = 1000,
                          .fields = many,
                          .field_count = ACQUIRE_RATES_MAX + 1};
    struct acquire_device device = {.map = &wild};

    (void)state;
    memset(many, 0, sizeof many);
    for (size_t i = 0; i <= ACQUIRE_RATES_MAX; i++) {
        many[i] = fields[1];
        many[i].address = (uint16_t)i;
        many[i].every_ms = (uint32_t)(i + 1);
    }
    assert_int_equal(acquire_add(acquire, &device), ACQUIRE_FULL);
    wild.field_count = 0;
    assert_int_equal(acquire_add(acquire, &device), ACQUIRE_FULL);
    device.map = &plain;
    for (size_t i = 0; i < ACQUIRE_DEVICES_MAX; i++)
        assert_int_equal(acquire_add(acquire, &device), ACQUIRE_OK);
    assert_int_equal(acquire_add(acquire, &device), ACQUIRE_FULL);
    acquire_free(acquire);
    acquire_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_its_rate_without_drift),
        cmocka_unit_test(shares_the_second),
        cmocka_unit_test(spreads_slow_devices),
        cmocka_unit_test(shares_a_full_line_evenly),
        cmocka_unit_test(reads_fields_at_their_own_rate_and_identity_first),
        cmocka_unit_test(a_dead_device_backs_off_alone),
        cmocka_unit_test(all_dead_devices_share_one_budget),
        cmocka_unit_test(one_failure_is_retried_at_once_and_three_are_a_loss),
        cmocka_unit_test(a_noisy_device_is_asked_on),
        cmocka_unit_test(a_refused_block_gives_nothing_but_the_device_lives),
        cmocka_unit_test(refuses_what_it_cannot_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
