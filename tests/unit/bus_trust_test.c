/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "bedside/bus_trust.h"

#define WORST 300000u

static const struct trust_failure unseen = {0}, seen = {.seen = true, .spoke = true},
                                  probe_unseen = {.probe = true};

static const struct regmap_block ten = {3, 0, 10}, other_ten = {3, 50, 10},
                                 one = {3, 7, 1}, bits = {1, 0, 8},
                                 many_bits = {1, 0, 20};

static void a_good_device_is_asked_directly(void **state)
{
    struct trust trust;
    struct regmap_block probe;

    (void)state;
    trust_init(&trust, WORST);
    assert_false(trust_doubted(&trust));
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_DIRECT);
    assert_int_equal(trust_not_before(&trust, &ten), 0);
    assert_false(trust_solo_round(&trust));
}

static void a_missing_answer_asks_for_a_probe_of_another_length(void **state)
{
    struct trust trust;
    struct regmap_block probe;

    (void)state;
    trust_init(&trust, WORST);
    trust_failed(&trust, &ten, unseen);
    assert_true(trust_doubted(&trust));
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_PROBE);
    assert_int_equal(probe.count, 9);
    assert_int_equal(probe.address, 0);
    assert_int_equal(probe.function, 3);
    /* A block of another length or function is its own probe. */
    assert_int_equal(trust_way(&trust, &one, &probe), TRUST_DIRECT);
    assert_int_equal(trust_way(&trust, &many_bits, &probe), TRUST_DIRECT);
    /* The probe's answer may go missing too. */
    probe = (struct regmap_block){3, 0, 9};
    trust_failed(&trust, &probe, probe_unseen);
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_PROBE);
    assert_int_equal(probe.count, 8);
    trust_cleared(&trust);
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_DIRECT);
}

static void an_answer_that_was_seen_late_leaves_no_doubt(void **state)
{
    struct trust trust;

    (void)state;
    trust_init(&trust, WORST);
    trust_failed(&trust, &ten, seen);
    assert_false(trust_doubted(&trust));
}

static void one_register_is_probed_by_more_than_one(void **state)
{
    const struct regmap_block last = {3, 65535, 1};
    struct trust trust;
    struct regmap_block probe;

    (void)state;
    trust_init(&trust, WORST);
    trust_failed(&trust, &one, unseen);
    assert_int_equal(trust_way(&trust, &one, &probe), TRUST_PROBE);
    assert_int_equal(probe.count, 2);
    assert_int_equal(probe.address, one.address);
    /* Past the last address there is nothing more to ask for. */
    assert_int_equal(trust_way(&trust, &last, &probe), TRUST_SOLO);
    /* Up to eight bits have one length; nine have another. */
    trust_failed(&trust, &bits, unseen);
    assert_int_equal(trust_way(&trust, &bits, &probe), TRUST_PROBE);
    assert_int_equal(probe.count, 9);
    trust_cleared(&trust);
    trust_failed(&trust, &many_bits, unseen);
    assert_int_equal(trust_way(&trust, &many_bits, &probe), TRUST_PROBE);
    assert_int_equal(probe.count, 16);
}

static void a_missing_refusal_gives_the_line_time(void **state)
{
    struct trust trust;
    struct regmap_block probe;

    (void)state;
    trust_init(&trust, WORST);
    trust_asked(&trust, &one, 1000);
    trust_failed(&trust, &one, unseen);
    assert_int_equal(trust_way(&trust, &one, &probe), TRUST_PROBE);
    assert_int_equal(trust_not_before(&trust, &probe), 1000);
    trust_asked(&trust, &probe, 2000);
    trust_failed(&trust, &probe, probe_unseen);
    assert_int_equal(trust_way(&trust, &one, &probe), TRUST_PROBE);
    assert_int_equal(probe.count, 3);
    assert_int_equal(trust_not_before(&trust, &probe), 2000 + TRUST_LATE * WORST);
    trust_cleared(&trust);
    assert_int_equal(trust_not_before(&trust, &one), 2000);
}

static void a_late_device_is_waited_for_and_a_dead_one_is_not(void **state)
{
    struct trust trust;

    (void)state;
    trust_init(&trust, WORST);
    assert_int_equal(trust_response_us(&trust), WORST);
    trust_failed(&trust, &ten, unseen);
    assert_int_equal(trust_response_us(&trust), WORST);
    trust_stray(&trust);
    assert_int_equal(trust_response_us(&trust), TRUST_LATE * WORST);
    trust_failed(&trust, &ten, unseen); /* it says nothing any more */
    assert_int_equal(trust_response_us(&trust), WORST);
    trust_failed(&trust, &ten, seen);
    assert_int_equal(trust_response_us(&trust), TRUST_LATE * WORST);
    trust_answered(&trust, 400000);
    trust_cleared(&trust);
    assert_int_equal(trust_response_us(&trust),
                     600000); /* what it needs, and half of it more */
    trust_answered(&trust, 5000000);
    assert_int_equal(trust_response_us(&trust), TRUST_LATE * WORST);
}

static void too_many_missing_shapes_end_in_lone_rounds(void **state)
{
    struct trust trust;
    struct regmap_block block = {3, 0, 1}, probe;

    (void)state;
    trust_init(&trust, WORST);
    for (block.count = 1; block.count <= TRUST_MISSING_MAX; block.count++)
        trust_failed(&trust, &block, unseen);
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_DIRECT);
    trust_failed(&trust, &block, unseen);
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_SOLO);
    trust_asked(&trust, &ten, 1000);
    assert_int_equal(trust_not_before(&trust, &ten), 1000 + 4 * WORST);
    assert_true(trust_solo_round(&trust)); /* the first is thrown away */
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_SOLO);
    assert_int_equal(trust_window_us(&trust), WORST);
    trust_asked(&trust, &ten, 1000);
    assert_int_equal(trust_not_before(&trust, &ten),
                     1000 + 2000000);   /* 7 times, at most 2 s */
    trust_failed(&trust, &ten, unseen); /* a failure on the way begins again */
    assert_true(trust_solo_round(&trust));
    assert_false(trust_solo_round(&trust));
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_DIRECT);
    assert_false(trust_doubted(&trust));
}

static void what_was_missing_long_ago_does_not_come(void **state)
{
    struct trust trust;

    (void)state;
    trust_init(&trust, WORST);
    trust_asked(&trust, &ten, 1000);
    trust_failed(&trust, &ten, unseen);
    trust_expire(&trust, TRUST_EXPIRE_US);
    assert_true(trust_doubted(&trust));
    trust_expire(&trust, TRUST_EXPIRE_US + 1000);
    assert_false(trust_doubted(&trust));
    trust_init(&trust, 1000000); /* a slow device's worst time, twenty times */
    trust_asked(&trust, &ten, 1000);
    trust_failed(&trust, &ten, unseen);
    trust_expire(&trust, 20000999);
    assert_true(trust_doubted(&trust));
    trust_expire(&trust, 20001000);
    assert_false(trust_doubted(&trust));
}

static void same_lengths_are_kept_apart_and_the_window_is_learned(void **state)
{
    struct trust trust;

    (void)state;
    trust_init(&trust, WORST);
    trust_asked(&trust, &ten, 5000);
    assert_int_equal(trust_not_before(&trust, &ten), 5000); /* the same registers */
    assert_int_equal(trust_not_before(&trust, &one), 5000); /* another length */
    assert_int_equal(trust_not_before(&trust, &other_ten), 5000 + WORST);
    for (int i = 0; i < 8; i++)
        assert_true(trust_answered(&trust, 10000 + (uint32_t)i * 100));
    assert_in_range(trust_window_us(&trust), 20000, 50000);
    assert_int_equal(trust_not_before(&trust, &other_ten),
                     5000 + trust_window_us(&trust));
    /* Never more than the worst time, and all of it in doubt. */
    assert_true(trust_answered(&trust, 200000));
    assert_int_equal(trust_window_us(&trust), WORST);
    trust_init(&trust, WORST);
    for (int i = 0; i < 8; i++)
        (void)trust_answered(&trust, 1000);
    trust_failed(&trust, &ten, unseen);
    assert_int_equal(trust_window_us(&trust), WORST);
}

static void a_hasty_answer_is_doubted_once(void **state)
{
    struct trust trust;

    (void)state;
    trust_init(&trust, WORST);
    assert_true(trust_answered(&trust, 10000));
    assert_true(trust_answered(&trust, 1000)); /* nothing is known yet */
    trust_init(&trust, WORST);
    for (int i = 0; i < 8; i++)
        assert_true(trust_answered(&trust, 10000));
    assert_true(trust_answered(&trust, 6000));
    assert_false(trust_answered(&trust, 2500));
    assert_true(trust_answered(&trust, 2500)); /* it has become faster */
    trust_init(&trust, WORST);
    for (int i = 0; i < 8; i++)
        assert_true(trust_answered(&trust, 3000));
    assert_true(trust_answered(&trust, 10)); /* within the kernel's jitter */
}

static void a_stray_puts_the_last_request_in_doubt(void **state)
{
    struct trust trust;
    struct regmap_block probe;

    (void)state;
    trust_init(&trust, WORST);
    trust_asked(&trust, &ten, 1000);
    trust_stray(&trust);
    assert_int_equal(trust_way(&trust, &ten, &probe), TRUST_PROBE);
}

static void many_damaged_frames_ask_for_agreement(void **state)
{
    struct trust trust;

    (void)state;
    trust_init(&trust, WORST);
    for (int i = 0; i < 3; i++)
        trust_exchanged(&trust, true);
    assert_false(trust_noisy(&trust));
    trust_exchanged(&trust, true);
    for (int i = 0; i < 60; i++) {
        assert_true(trust_noisy(&trust));
        trust_exchanged(&trust, false);
    }
    trust_exchanged(&trust, false);
    assert_false(trust_noisy(&trust));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_device_is_asked_directly),
        cmocka_unit_test(a_missing_answer_asks_for_a_probe_of_another_length),
        cmocka_unit_test(an_answer_that_was_seen_late_leaves_no_doubt),
        cmocka_unit_test(one_register_is_probed_by_more_than_one),
        cmocka_unit_test(a_missing_refusal_gives_the_line_time),
        cmocka_unit_test(a_late_device_is_waited_for_and_a_dead_one_is_not),
        cmocka_unit_test(what_was_missing_long_ago_does_not_come),
        cmocka_unit_test(too_many_missing_shapes_end_in_lone_rounds),
        cmocka_unit_test(same_lengths_are_kept_apart_and_the_window_is_learned),
        cmocka_unit_test(a_hasty_answer_is_doubted_once),
        cmocka_unit_test(many_damaged_frames_ask_for_agreement),
        cmocka_unit_test(a_stray_puts_the_last_request_in_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
