/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonin data format 13: measurements with the device's own time.
 */
#include "drivers_test.h"

#include "drivers/checksum.h"

/* 2026-07-22 14:05:09, 72 and 97, SmartPoint. */
static const uint8_t sheet[22] = {0x00, 0x02, 0x00, 0x0D, 0x00, 0x0E, 0x20, 0x26,
                                  0x07, 0x22, 0x14, 0x05, 0x09, 0x00, 0x02, 0x00,
                                  0x00, 0x48, 0x00, 0x61, 0x3C, 0x03};

static void reseal(uint8_t *frame)
{
    frame[20] = checksum_sum8(frame + 6, 14);
}

static void test_sheet_frame(void **state)
{
    const struct device_time want = {2026, 7, 22, 14, 5, 9, true};
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df13");
    rig_feed(&rig, sheet, sizeof(sheet));
    assert_int_equal(rig.kept.sets, 1);
    assert_nonin(&rig.kept.set[0], 72, 97, 0);
    assert_memory_equal(&rig.kept.set[0].device_time, &want, sizeof(want));
    assert_false(rig.kept.set[0].stored);
    assert_int_equal(rig.kept.bytes, 0);
    rig_end(&rig);
}

static void test_status(void **state)
{
    static const struct {
        uint8_t high, low;
        int pulse, spo2;
        uint16_t quality;
        bool stored;
    } cases[] = {
        {0x02, 0x00, 72, 97, 0, false},
        {0x02, 0x10, 72, 97, 0, true},                     /* from memory */
        {0x02, 0x01, 72, 97, 0, false},                    /* low battery */
        {0x00, 0x00, 72, 97, QUALITY_QUESTIONABLE, false}, /* no SmartPoint */
        {0x01, 0x00, -1, -1, 0, false},                    /* no measurement */
        {0x03, 0x10, -1, -1, 0, true},
    };
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df13");
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t frame[sizeof(sheet)];
        memcpy(frame, sheet, sizeof(frame));
        frame[14] = cases[i].high;
        frame[15] = cases[i].low;
        reseal(frame);
        rig_reset(&rig);
        rig_feed(&rig, frame, sizeof(frame));
        assert_int_equal(rig.kept.sets, 1);
        assert_nonin(&rig.kept.set[0], cases[i].pulse, cases[i].spo2, cases[i].quality);
        assert_int_equal(rig.kept.set[0].stored, cases[i].stored);
    }
    rig_end(&rig);
}

static void test_values(void **state)
{
    static const struct {
        uint16_t hr;
        uint8_t spo2;
        int pulse, saturation;
    } cases[] = {{511, 127, -1, -1}, {256, 100, 256, 100}, {300, 1, 300, 1}};
    static const uint16_t impossible[] = {0, 512, 600, 0xFFFF, 0x0248};
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df13");
    for (size_t i = 0; i < COUNT(cases) + COUNT(impossible); i++) {
        uint8_t frame[sizeof(sheet)];
        bool bad = i >= COUNT(cases);
        uint16_t hr = bad ? impossible[i - COUNT(cases)] : cases[i].hr;
        memcpy(frame, sheet, sizeof(frame));
        frame[16] = (uint8_t)(hr >> 8);
        frame[17] = (uint8_t)hr;
        frame[19] = bad ? 110 : cases[i].spo2;
        reseal(frame);
        rig_reset(&rig);
        rig_feed(&rig, frame, sizeof(frame));
        assert_int_equal(rig.kept.sets, 1);
        if (bad)
            assert_nonin(&rig.kept.set[0], -1, -1, QUALITY_INVALID);
        else
            assert_nonin(&rig.kept.set[0], cases[i].pulse, cases[i].saturation, 0);
        assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], bad);
    }
    rig_end(&rig);
}

/* A date that is none: the reading stays, its time is "not present". */
static void test_dates(void **state)
{
    static const struct {
        uint8_t at, value;
    } bad[] = {{6, 0x2A}, {7, 0xF0}, {8, 0x00},  {8, 0x13},  {8, 0x1A},  {9, 0x00},
               {9, 0x32}, {9, 0x3F}, {10, 0x24}, {10, 0x2A}, {11, 0x60}, {12, 0x61}};
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df13");
    for (size_t i = 0; i < COUNT(bad); i++) {
        uint8_t frame[sizeof(sheet)];
        memcpy(frame, sheet, sizeof(frame));
        frame[bad[i].at] = bad[i].value;
        reseal(frame);
        rig_reset(&rig);
        rig_feed(&rig, frame, sizeof(frame));
        assert_int_equal(rig.kept.sets, 1);
        assert_nonin(&rig.kept.set[0], 72, 97, 0);
        assert_false(rig.kept.set[0].device_time.present);
        assert_int_equal(rig.kept.set[0].device_time.year, 0);
        assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], 1);
    }
    rig_end(&rig);
    printf("format 13: %zu impossible dates\n", COUNT(bad));
}

/* Twenty stored measurements in one go, cut at every byte. */
static void test_stored_and_splits(void **state)
{
    uint8_t stream[20 * sizeof(sheet)];
    struct rig rig;
    size_t splits = 0;

    (void)state;
    for (size_t i = 0; i < 20; i++) {
        uint8_t *f = stream + i * sizeof(sheet);
        memcpy(f, sheet, sizeof(sheet));
        f[15] = 0x10;
        f[17] = (uint8_t)(60 + i);
        reseal(f);
    }
    rig_start(&rig, "nonin-df13");
    for (size_t at = 0; at <= sizeof(stream); at++, splits++) {
        rig_reset(&rig);
        rig_feed(&rig, stream, at);
        rig_feed(&rig, stream + at, sizeof(stream) - at);
        assert_int_equal(rig.kept.sets, 20);
        assert_int_equal(rig.kept.bytes, 0);
        for (size_t i = 0; i < 20; i++) {
            assert_true(rig.kept.set[i].stored && rig.kept.set[i].device_time.present);
            assert_int_equal(rig.kept.set[i].items[0].mantissa, 60 + i);
        }
    }
    rig_end(&rig);
    printf("format 13: %zu splits of 20 measurements\n", splits);
}

/* Every bit of a frame flipped, two good ones behind it: the damaged one is never
 * believed, and neither good one is lost. */
static void test_every_flip(void **state)
{
    uint8_t stream[3 * sizeof(sheet)];
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df13");
    for (size_t bit = 0; bit < sizeof(sheet) * 8; bit++) {
        for (size_t i = 0; i < 3; i++)
            memcpy(stream + i * sizeof(sheet), sheet, sizeof(sheet));
        stream[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rig_reset(&rig);
        rig_feed(&rig, stream, sizeof(stream));
        assert_int_equal(rig.kept.sets, 2);
        for (size_t s = 0; s < 2; s++)
            assert_nonin(&rig.kept.set[s], 72, 97, 0);
        assert_int_equal(rig.kept.bytes, sizeof(sheet));
    }
    rig_end(&rig);
    printf("format 13: %zu flipped bits, none believed\n", sizeof(sheet) * 8);
}

/* The data may grow up to the driver's limit; longer or shorter is no frame. */
static void test_lengths(void **state)
{
    struct rig rig;
    size_t taken = 0;

    (void)state;
    rig_start(&rig, "nonin-df13");
    for (size_t size = 0; size <= 80; size++) {
        uint8_t frame[6 + 80 + 2] = {0x00, 0x02, 0x00, 0x0D, 0x00, (uint8_t)size};
        memcpy(frame + 6, sheet + 6, size < 14 ? size : 14);
        frame[6 + size] = checksum_sum8(frame + 6, size);
        frame[6 + size + 1] = 0x03;
        rig_reset(&rig);
        rig_feed(&rig, frame, size + 8);
        assert_int_equal(rig.kept.sets, size >= 14 && size <= 64);
        if (rig.kept.sets)
            assert_nonin(&rig.kept.set[0], 72, 97, 0);
        taken += rig.kept.sets;
        rig_feed(&rig, sheet, sizeof(sheet)); /* and the next one is always found */
        assert_int_equal(rig.kept.sets, 1 + (size >= 14 && size <= 64));
    }
    rig_end(&rig);
    printf("format 13: %zu lengths taken of 81\n", taken);
}

static void test_garbage(void **state)
{
    uint8_t noise[100];
    uint64_t seed = SEED;
    struct rig rig;

    (void)state;
    rig_start(&rig, "nonin-df13");
    for (size_t round = 0; round < 5000; round++) {
        size_t size = draw(&seed) % sizeof(noise);
        for (size_t i = 0; i < size; i++)
            noise[i] = round % 2 ? (uint8_t)draw(&seed) : sheet[draw(&seed) % 6];
        rig_reset(&rig);
        rig_feed(&rig, noise, size);
        rig_feed(&rig, sheet, sizeof(sheet));
        /* Noise may end in what looks like a header with a length that waits for more. */
        for (size_t i = 0; i < 4 && rig.kept.sets == 0; i++)
            rig_feed(&rig, sheet, sizeof(sheet));
        assert_true(rig.kept.sets >= 1);
        for (size_t s = 0; s < rig.kept.sets; s++)
            assert_nonin(&rig.kept.set[s], 72, 97, 0);
    }
    rig_end(&rig);
    printf("format 13: 5000 rounds of noise, seed %u\n", SEED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sheet_frame),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_stored_and_splits),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_garbage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
