/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonin data format 8: what replaces the checksum that it does not have.
 */
#include "drivers/nonin.h"
#include "drivers_test.h"

static const uint8_t good[4] = {0x80, 0x48, 0x61, 0x00};    /* 72, 97 */
static const uint8_t high[4] = {0x91, 0x0E, 0x58, 0x00};    /* 142, 88, low perfusion */
static const uint8_t missing[4] = {0x83, 0x7F, 0x7F, 0x08}; /* finger off */

static void test_sheet_frames(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df8");
    rig_feed(&rig, good, 4); /* alone it says nothing */
    assert_int_equal(rig.kept.sets, 0);
    rig_feed(&rig, good, 4);
    assert_int_equal(rig.kept.sets, 1);
    assert_nonin(&rig.kept.set[0], 72, 97, 0);
    rig_feed(&rig, high, 4); /* a jump is withheld for its first second */
    assert_nonin(&rig.kept.set[1], -1, -1, QUALITY_QUESTIONABLE);
    rig_feed(&rig, high, 4);
    assert_nonin(&rig.kept.set[2], 142, 88, QUALITY_QUESTIONABLE);
    rig_feed(&rig, missing, 4); /* missing needs no second opinion */
    assert_nonin(&rig.kept.set[3], -1, -1, QUALITY_SENSOR_OFF);
    rig_feed(&rig, good, 4);
    assert_nonin(&rig.kept.set[4], -1, -1, QUALITY_QUESTIONABLE);
    rig_feed(&rig, good, 4);
    assert_nonin(&rig.kept.set[5], 72, 97, 0);
    assert_int_equal(rig.kept.bytes, 0);
    rig_end(&rig);
}

static void test_quality(void **state)
{
    static const struct {
        uint8_t first, last;
        uint16_t quality;
        bool absent;
    } cases[] = {
        {0x80, 0x00, 0, false},
        {0xA0, 0x00, QUALITY_QUESTIONABLE, false}, /* out of track */
        {0x90, 0x00, QUALITY_QUESTIONABLE, false}, /* low perfusion */
        {0x88, 0x00, 0, false},                    /* marginal perfusion */
        {0x84, 0x00, QUALITY_QUESTIONABLE, false}, /* artefact */
        {0x80, 0x20, 0, false},                    /* SmartPoint */
        {0x80, 0x01, 0, false},                    /* low battery */
        {0x80, 0x08, QUALITY_SENSOR_OFF, true},
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df8");
    for (size_t i = 0; i < COUNT(cases); i++) {
        const uint8_t frame[4] = {cases[i].first, 0x48, 0x61, cases[i].last};
        rig_reset(&rig);
        rig_feed(&rig, good, 4);
        rig_feed(&rig, frame, 4);
        assert_int_equal(rig.kept.sets, 1);
        assert_nonin(&rig.kept.set[0], cases[i].absent ? -1 : 72,
                     cases[i].absent ? -1 : 97, cases[i].quality);
    }
    rig_end(&rig);
}

/* All 2^32 frames are too many: every first and last byte with a good middle, and every
 * middle with good ends. Only exact shapes within the range make a set. */
static void test_shapes(void **state)
{
    struct rig rig;
    size_t taken = 0, refused = 0;

    (void)state;
    rig_start(&rig, "nonin-df8");
    for (unsigned a = 0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++) {
            const uint8_t ends[4] = {(uint8_t)a, 0x48, 0x61, (uint8_t)b};
            const uint8_t middle[4] = {0x80, (uint8_t)a, (uint8_t)b, 0x00};
            bool shape = (a & 0xC0) == 0x80 && !(b & 0xD6);
            unsigned hr = (a & 3) << 7 | 0x48;
            rig_reset(&rig);
            rig_feed(&rig, good, 4);
            rig_feed(&rig, ends, 4);
            shape &= hr == 511 || (hr >= 18 && hr <= 321);
            assert_int_equal(rig.kept.sets, shape);
            rig_reset(&rig);
            rig_feed(&rig, good, 4);
            rig_feed(&rig, middle, 4);
            bool legal = a >= 18 && a < 128 && ((b >= 1 && b <= 100) || b == 127);
            assert_int_equal(rig.kept.sets, legal);
            taken += shape + (size_t)legal;
            refused += 2 - shape - (size_t)legal;
        }
    rig_end(&rig);
    printf("format 8: %zu frames taken, %zu refused\n", taken, refused);
}

/* Every flip in a steady stream: no number that is off by more than the step. */
static void test_every_flip(void **state)
{
    struct rig rig;
    size_t given = 0;

    (void)state;
    rig_start(&rig, "nonin-df8");
    for (size_t bit = 0; bit < 32; bit++) {
        uint8_t frame[4];
        memcpy(frame, good, 4);
        frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rig_reset(&rig);
        rig_feed(&rig, good, 4);
        rig_feed(&rig, frame, 4);
        for (size_t i = 0; i < 3; i++)
            rig_feed(&rig, good, 4);
        assert_true(rig.kept.sets >= 2);
        for (size_t s = 0; s < rig.kept.sets; s++) {
            const struct observation *o = rig.kept.set[s].items;
            if (o[0].kind == OBSERVATION_NUMERIC)
                assert_in_range(o[0].mantissa, 72 - 8, 72 + 8);
            if (o[1].kind == OBSERVATION_NUMERIC)
                assert_in_range(o[1].mantissa, 97 - 3, 97 + 3);
            given += o[0].kind == OBSERVATION_NUMERIC;
        }
        assert_nonin(&rig.kept.set[rig.kept.sets - 1], 72, 97, 0);
    }
    rig_end(&rig);
    printf("format 8: %zu numbers beside 32 flips, all within the step\n", given);
}

/* Lost bytes and noise: a number only after two good frames in a row. */
static void test_loss_and_noise(void **state)
{
    uint8_t stream[40], cut[40];
    uint64_t seed = SEED;
    struct rig rig;
    size_t wrong = 0, numbers = 0;

    (void)state;
    rig_start(&rig, "nonin-df8");
    for (size_t i = 0; i < sizeof(stream); i++)
        stream[i] = good[i % 4];
    for (size_t at = 0; at < 20; at++)
        for (size_t size = 1; size < 12; size++) {
            memcpy(cut, stream, at);
            memcpy(cut + at, stream + at + size, sizeof(stream) - at - size);
            rig_reset(&rig);
            rig_feed(&rig, cut, sizeof(cut) - size);
            assert_true(rig.kept.sets >= 2);
            for (size_t s = 0; s < rig.kept.sets; s++)
                assert_nonin(&rig.kept.set[s], 72, 97, 0);
        }
    rig_reset(&rig);
    for (size_t i = 0; i < 2000000; i++) {
        uint8_t noise = (uint8_t)draw(&seed);
        rig.kept.sets = 0;
        rig.driver->feed(rig.state, &noise, 1, &rig.sink);
        for (size_t o = 0; rig.kept.sets && o < 2; o++)
            numbers += rig.kept.set[0].items[o].kind == OBSERVATION_NUMERIC;
    }
    wrong = numbers;
    printf("format 8: %zu numbers out of 2000000 bytes of pure noise, seed %u\n", wrong,
           SEED);
    assert_true(wrong < 500); /* what a format without a check can do */
    rig_end(&rig);
}

/* One lost or foreign byte, and the frame before no longer vouches for the one behind. */
static void test_agreement_is_broken(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df8");
    rig_feed(&rig, good, 4);
    rig_feed(&rig, (const uint8_t[]){0x00}, 1);
    rig_feed(&rig, good, 4);
    assert_int_equal(rig.kept.sets, 0);
    rig_feed(&rig, good, 4);
    assert_int_equal(rig.kept.sets, 1);
    rig_feed(&rig, good, 3); /* cut off */
    rig_feed(&rig, good, 4);
    assert_int_equal(rig.kept.sets, 1);
    rig_end(&rig);
}

/* The device answers our selection between two frames: that byte is none of the stream's,
 * so the frame before still vouches. The same byte unasked is a foreign one. */
static void test_answer_between_frames(void **state)
{
    static const uint8_t answers[] = {0x06, 0x15};
    uint8_t out[DRIVER_SEND_MAX];
    uint64_t again_ms;
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df8");
    for (size_t i = 0; i < COUNT(answers); i++)
        for (int asked = 0; asked < 2; asked++) {
            rig_reset(&rig);
            if (asked)
                assert_int_equal(rig.driver->poll(rig.state, 1000, out, &again_ms),
                                 NONIN_SELECT_SIZE);
            rig_feed(&rig, good, 4);
            rig_feed(&rig, &answers[i], 1);
            rig_feed(&rig, good, 4);
            assert_int_equal(rig.kept.sets, asked);
            assert_int_equal(rig.kept.bytes, asked ? 0 : 1);
        }
    rig_end(&rig);
}

static void test_splits(void **state)
{
    uint8_t stream[16];
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df8");
    for (size_t i = 0; i < sizeof(stream); i++)
        stream[i] = good[i % 4];
    for (size_t at = 0; at <= sizeof(stream); at++) {
        rig_reset(&rig);
        rig_feed(&rig, stream, at);
        rig_feed(&rig, stream + at, sizeof(stream) - at);
        assert_int_equal(rig.kept.sets, 3);
    }
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sheet_frames),
        cmocka_unit_test(test_quality),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_loss_and_noise),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_agreement_is_broken),
        cmocka_unit_test(test_answer_between_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
