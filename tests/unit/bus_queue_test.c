/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "bedside/bus_queue.h"

static struct bus_queue queue;
static struct bus_item item;

static bool keep(void *context, struct bus_item *of)
{
    (void)of;
    ++*(unsigned *)context;
    return true;
}

static bool drop_odd(void *context, struct bus_item *of)
{
    (void)context;
    of->sample.missed = 1000 + of->sample.set.sample;
    return of->sample.set.sample % 2 == 0;
}

static void make(uint16_t device, uint64_t sample, size_t observations)
{
    memset(&item, 0, sizeof item);
    item.kind = BUS_SAMPLE;
    item.device = device;
    item.at.monotonic_us = sample * 10;
    item.sample.span_us = 7;
    item.sample.set.sample = sample;
    item.sample.set.has_sample = true;
    item.sample.set.stored = sample % 3 == 0;
    item.sample.set.count = observations;
    for (size_t i = 0; i < observations; i++)
        item.sample.set.items[i] =
            (struct observation){.kind = OBSERVATION_NUMERIC,
                                 .code = (uint32_t)i,
                                 .mantissa = (int64_t)(sample * 100 + i),
                                 .text = "text"};
}

static void check(uint16_t device, uint64_t sample, size_t observations)
{
    struct bus_item got;

    memset(&got, 0xA5, sizeof got);
    assert_true(bus_queue_take(&queue, &got));
    assert_int_equal(got.kind, BUS_SAMPLE);
    assert_int_equal(got.device, device);
    assert_int_equal(got.at.monotonic_us, sample * 10);
    assert_int_equal(got.sample.span_us, 7);
    assert_int_equal(got.sample.set.sample, sample);
    assert_true(got.sample.set.has_sample);
    assert_int_equal(got.sample.set.stored, sample % 3 == 0);
    assert_int_equal(got.sample.set.count, observations);
    for (size_t i = 0; i < observations; i++) {
        assert_int_equal(got.sample.set.items[i].mantissa, sample * 100 + i);
        assert_string_equal(got.sample.set.items[i].text, "text");
    }
}

static void keeps_order_and_every_field_round_the_ring(void **state)
{
    unsigned finished = 0;

    (void)state;
    bus_queue_init(&queue);
    /* Sizes that do not divide the ring, many times round it. */
    for (uint64_t i = 1; i < 3000; i++) {
        make((uint16_t)(i % 5), i, i % (OBSERVATIONS_MAX + 1));
        assert_true(bus_queue_put(&queue, &item, 0));
        make((uint16_t)(i % 5), i + 1, (i + 1) % 3);
        assert_true(bus_queue_put(&queue, &item, 0));
        assert_int_equal(bus_queue_release(&queue, 1, keep, &finished), UINT64_MAX);
        check((uint16_t)(i % 5), i, i % (OBSERVATIONS_MAX + 1));
        check((uint16_t)(i % 5), i + 1, (i + 1) % 3);
        assert_false(bus_queue_take(&queue, &item));
    }
    assert_int_equal(finished, 2 * 2999);
}

static void carries_other_kinds_whole(void **state)
{
    unsigned finished = 0;

    (void)state;
    bus_queue_init(&queue);
    memset(&item, 0, sizeof item);
    item.kind = BUS_IDENTITY;
    memset(item.identity, 'x', BUS_IDENTITY_MAX);
    assert_true(bus_queue_put(&queue, &item, 0));
    memset(&item, 0, sizeof item);
    item.kind = BUS_REJECTED;
    item.reject.error = -3;
    (void)snprintf(item.reject.field, sizeof item.reject.field, "selftest");
    assert_true(bus_queue_put(&queue, &item, 0));
    (void)bus_queue_release(&queue, 0, keep, &finished);
    assert_true(bus_queue_take(&queue, &item));
    assert_int_equal(strlen(item.identity), BUS_IDENTITY_MAX);
    assert_true(bus_queue_take(&queue, &item));
    assert_int_equal(item.reject.error, -3);
    assert_string_equal(item.reject.field, "selftest");
}

static void refuses_when_full_and_takes_again(void **state)
{
    unsigned finished = 0;
    uint64_t n = 0, out = 0;

    (void)state;
    bus_queue_init(&queue);
    for (make(0, n, 8); bus_queue_put(&queue, &item, 0); make(0, ++n, 8))
        ;
    assert_in_range(n, 40, 60);
    (void)bus_queue_release(&queue, 0, keep, &finished);
    assert_false(bus_queue_put(&queue, &item, 0));
    while (out < n)
        check(0, out++, 8);
    assert_true(bus_queue_put(&queue, &item, 0));
    assert_int_equal(finished, n);
}

static void holds_until_its_time_and_voids_by_device(void **state)
{
    unsigned finished = 0;

    (void)state;
    bus_queue_init(&queue);
    make(1, 1, 2);
    assert_true(bus_queue_put(&queue, &item, 100));
    make(2, 2, 2);
    assert_true(bus_queue_put(&queue, &item, 50));
    make(1, 3, 2);
    assert_true(bus_queue_put(&queue, &item, 300));
    memset(&item, 0, sizeof item);
    item.kind = BUS_LOST;
    item.device = 1;
    assert_true(bus_queue_put(&queue, &item, 0));
    /* The first holds up the second: order is kept. */
    assert_int_equal(bus_queue_release(&queue, 99, keep, &finished), 100);
    assert_false(bus_queue_take(&queue, &item));
    assert_int_equal(bus_queue_release(&queue, 100, keep, &finished), 300);
    check(1, 1, 2);
    check(2, 2, 2);
    /* What is released can't be voided; what is no sample neither. */
    assert_int_equal(bus_queue_void(&queue, 2), 0);
    assert_int_equal(bus_queue_void(&queue, 1), 1);
    assert_int_equal(bus_queue_void(&queue, BUS_QUEUE_ALL), 0);
    /* A void one holds up nothing. */
    assert_int_equal(bus_queue_release(&queue, 101, keep, &finished), UINT64_MAX);
    assert_true(bus_queue_take(&queue, &item));
    assert_int_equal(item.kind, BUS_LOST);
    assert_false(bus_queue_take(&queue, &item));
    assert_int_equal(finished, 3);
}

static void finish_may_change_and_drop(void **state)
{
    (void)state;
    bus_queue_init(&queue);
    for (uint64_t i = 0; i < 6; i++) {
        make(0, i, 3);
        assert_true(bus_queue_put(&queue, &item, 0));
    }
    (void)bus_queue_release(&queue, 0, drop_odd, NULL);
    assert_int_equal(queue.items, 3);
    for (uint64_t i = 0; i < 6; i += 2) {
        assert_true(bus_queue_take(&queue, &item));
        assert_int_equal(item.sample.set.sample, i);
        assert_int_equal(item.sample.missed, 1000 + i);
    }
    assert_false(bus_queue_take(&queue, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_and_every_field_round_the_ring),
        cmocka_unit_test(carries_other_kinds_whole),
        cmocka_unit_test(refuses_when_full_and_takes_again),
        cmocka_unit_test(holds_until_its_time_and_voids_by_device),
        cmocka_unit_test(finish_may_change_and_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
