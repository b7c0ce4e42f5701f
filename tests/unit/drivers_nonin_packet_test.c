/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonin data formats 2 and 7: the sheet's frames, every split, garbage, every flipped
 * bit.
 */
#include "drivers_test.h"

#include "drivers/checksum.h"
#include "drivers/emulate/nonin.h"

#define PACKET ((size_t)125)

/* HR 72, SpO2 97, pleth 100, revision 48, timer 1000: the maker's table, frame by frame.
 */
static const uint8_t floats[25] = {0x00, 0x48, 0x61, 0x30, 0x00, 0x07, 0x68, 0x00, 0x61,
                                   0x61, 0x61, 0x00, 0x00, 0x00, 0x48, 0x61, 0x61, 0x00,
                                   0x00, 0x00, 0x48, 0x00, 0x48, 0x00, 0x00};

static void make_packet(int format, uint8_t status, const uint8_t *values, uint8_t *out)
{
    for (int i = 0; i < 25; i++, out += 5) {
        uint8_t s = (uint8_t)(status | 0x80 | (i == 0));
        out[0] = format == 2 ? 0x01 : s;
        out[1] = format == 2 ? s : 0xE8;
        out[2] = format == 2 ? 0x64 : 0xE8;
        out[3] = values[i];
        out[4] = (uint8_t)(out[0] + out[1] + out[2] + out[3]);
    }
}

/* The frame that ends a packet is the first one of the next. */
static void feed_last(struct rig *rig, const uint8_t *packet)
{
    rig_feed(rig, packet, PACKET);
    rig_feed(rig, packet, 5);
}

static const char *name(int format)
{
    return format == 2 ? "nonin-df2" : "nonin-df7";
}

static void test_sheet_frames(void **state)
{
    static const uint8_t checks[25] = {0xE6, 0x2D, 0x46, 0x15, 0xE5, 0xEC, 0x4D,
                                       0xE5, 0x46, 0x46, 0x46, 0xE5, 0xE5, 0xE5,
                                       0x2D, 0x46, 0x46, 0xE5, 0xE5, 0xE5, 0x2D,
                                       0xE5, 0x2D, 0xE5, 0xE5};
    uint8_t packet[PACKET];
    struct rig rig;

    (void)state;
    make_packet(2, 0, floats, packet);
    for (size_t i = 0; i < 25; i++)
        assert_int_equal(packet[i * 5 + 4], checks[i]);
    rig_start(&rig, "nonin-df2");
    rig_feed(&rig, packet, sizeof(packet));
    assert_int_equal(rig.kept.sets, 0);
    rig_feed(&rig, packet, 5);
    assert_int_equal(rig.kept.sets, 1);
    assert_int_equal(rig.kept.bytes, 0);
    assert_nonin(&rig.kept.set[0], 72, 97, 0);
    assert_false(rig.kept.set[0].stored || rig.kept.set[0].device_time.present);
    rig_end(&rig);
}

/* Three packets a second, one set of them; the first packet counts at once. */
static void test_one_set_a_second(void **state)
{
    uint8_t packet[PACKET];
    struct rig rig;

    (void)state;
    for (int format = 2; format <= 7; format += 5) {
        make_packet(format, 0, floats, packet);
        rig_start(&rig, name(format));
        for (size_t i = 0; i < 30; i++)
            rig_feed(&rig, packet, sizeof(packet));
        rig_feed(&rig, packet, 5);
        assert_int_equal(rig.kept.sets, 10);
        assert_int_equal(rig.kept.bytes, 0);
        rig_end(&rig);
    }
}

/* Every value that nine bits of pulse and seven of SpO2 can have. */
static void test_values(void **state)
{
    uint8_t values[25], packet[PACKET];
    struct rig rig;
    size_t cases = 0;

    (void)state;
    rig_start(&rig, "nonin-df2");
    for (int hr = 0; hr < 512; hr++)
        for (int spo2 = 0; spo2 < 128; spo2 += hr % 16 ? 31 : 1, cases++) {
            memcpy(values, floats, sizeof(values));
            values[8] = (uint8_t)spo2;
            values[19] = (uint8_t)(hr >> 7);
            values[20] = (uint8_t)(hr & 0x7F);
            memcpy(values + 21, values + 19, 2); /* the slower average says the same */
            make_packet(2, 0, values, packet);
            rig_reset(&rig);
            feed_last(&rig, packet);
            assert_int_equal(rig.kept.sets, 1);
            const struct observation *p = &rig.kept.set[0].items[0];
            const struct observation *s = &rig.kept.set[0].items[1];
            bool numeric = hr != 511 && hr != 0;
            assert_int_equal(p->kind, numeric ? OBSERVATION_NUMERIC : OBSERVATION_ABSENT);
            assert_int_equal(p->mantissa, numeric ? hr : 0);
            assert_int_equal(p->quality, hr == 0               ? QUALITY_INVALID
                                         : hr == 511           ? 0
                                         : hr < 18 || hr > 321 ? QUALITY_OUT_OF_RANGE
                                                               : 0);
            numeric = spo2 >= 1 && spo2 <= 100;
            assert_int_equal(s->kind, numeric ? OBSERVATION_NUMERIC : OBSERVATION_ABSENT);
            assert_int_equal(s->mantissa, numeric ? spo2 : 0);
            assert_int_equal(s->quality, numeric || spo2 == 127 ? 0 : QUALITY_INVALID);
            assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE],
                             hr == 0 || (!numeric && spo2 != 127));
        }
    rig_end(&rig);
    printf("formats 2 and 7: %zu values\n", cases);
}

/* The status bits; an alarm in any packet of the second makes the values absent, although
 * the device goes on sending them. */
static void test_quality(void **state)
{
    static const struct {
        uint8_t status;
        uint16_t quality;
        bool absent;
    } cases[] = {
        {0x00, 0, false},
        {0x20, QUALITY_QUESTIONABLE, false},                     /* artefact */
        {0x10, QUALITY_QUESTIONABLE, false},                     /* out of track */
        {0x04, QUALITY_QUESTIONABLE, false},                     /* red: low perfusion */
        {0x02, 0, false},                                        /* green */
        {0x06, 0, false},                                        /* yellow */
        {0x08, QUALITY_SENSOR_OFF, true},                        /* sensor alarm */
        {0x28, QUALITY_SENSOR_OFF | QUALITY_QUESTIONABLE, true}, /* both */
    };
    uint8_t clean[PACKET], marked[PACKET];
    struct rig rig;

    (void)state;
    for (int format = 2; format <= 7; format += 5)
        for (size_t i = 0; i < COUNT(cases); i++)
            for (size_t at = 0; at < 3; at++) {
                rig_start(&rig, name(format));
                make_packet(format, 0, floats, clean);
                make_packet(format, cases[i].status, floats, marked);
                rig_feed(&rig, clean, sizeof(clean));
                for (size_t p = 0; p < 3; p++)
                    rig_feed(&rig, p == at ? marked : clean, PACKET);
                for (size_t p = 0; p < 3; p++) /* and gone in the next second */
                    rig_feed(&rig, clean, PACKET);
                rig_feed(&rig, clean, 5);
                assert_int_equal(rig.kept.sets, 3);
                assert_nonin(&rig.kept.set[0], 72, 97, 0);
                assert_nonin(&rig.kept.set[1], cases[i].absent ? -1 : 72,
                             cases[i].absent ? -1 : 97, cases[i].quality);
                assert_nonin(&rig.kept.set[2], 72, 97, 0);
                rig_end(&rig);
            }
}

/* Two packets cut in two at every byte, and fed byte by byte. */
static void test_splits(void **state)
{
    uint8_t stream[PACKET * 4 + 5];
    struct rig rig;
    size_t splits = 0;

    (void)state;
    for (int format = 2; format <= 7; format += 5) {
        for (size_t p = 0; p < 4; p++)
            make_packet(format, 0, floats, stream + p * PACKET);
        memcpy(stream + 4 * PACKET, stream, 5);
        rig_start(&rig, name(format));
        for (size_t at = 0; at <= sizeof(stream); at++, splits++) {
            rig_reset(&rig);
            rig_feed(&rig, stream, at);
            rig_feed(&rig, stream + at, sizeof(stream) - at);
            assert_int_equal(rig.kept.sets, 2);
            assert_int_equal(rig.kept.bytes, 0);
        }
        rig_reset(&rig);
        for (size_t i = 0; i < sizeof(stream); i++)
            rig_feed(&rig, stream + i, 1);
        assert_int_equal(rig.kept.sets, 2);
        rig_end(&rig);
    }
    printf("formats 2 and 7: %zu splits\n", splits);
}

static bool right(const struct observation_set *set, int pulse, int spo2)
{
    return set->count == 2 && set->items[0].kind == OBSERVATION_NUMERIC &&
           set->items[0].mantissa == pulse && set->items[1].kind == OBSERVATION_NUMERIC &&
           set->items[1].mantissa == spo2;
}

/* Every bit of a packet flipped: the packet says nothing, the next one is right. */
static void test_every_flip(void **state)
{
    uint8_t stream[PACKET * 2];
    struct rig rig;
    size_t flips = 0;

    (void)state;
    for (int format = 2; format <= 7; format += 5) {
        rig_start(&rig, name(format));
        for (size_t bit = 0; bit < PACKET * 8; bit++, flips++) {
            make_packet(format, 0, floats, stream);
            make_packet(format, 0, floats, stream + PACKET);
            stream[bit / 8] ^= (uint8_t)(1u << bit % 8);
            rig_reset(&rig);
            rig_feed(&rig, stream, PACKET);
            assert_int_equal(rig.kept.sets, 0);
            feed_last(&rig, stream + PACKET);
            assert_int_equal(rig.kept.sets, 1);
            assert_true(right(&rig.kept.set[0], 72, 97));
            assert_int_equal(rig.kept.bytes, PACKET);
        }
        rig_end(&rig);
    }
    printf("formats 2 and 7: %zu flipped bits, none believed\n", flips);
}

/* Any 1 to 130 bytes lost anywhere: nothing wrong is said and the stream is found again.
 */
static void test_lost_bytes(void **state)
{
    uint8_t stream[PACKET * 5 + 5], cut[PACKET * 5 + 5];
    uint8_t other[25];
    struct rig rig;
    size_t cases = 0, torn = 0;

    (void)state;
    memcpy(other, floats, sizeof(other)); /* the neighbours differ: a mix would show */
    other[8] = 88;
    other[19] = 1;
    other[20] = 14;
    other[21] = 1;
    other[22] = 14;
    for (int format = 2; format <= 7; format += 5) {
        for (size_t p = 0; p < 5; p++)
            make_packet(format, 0, p % 2 ? other : floats, stream + p * PACKET);
        memcpy(stream + 5 * PACKET, stream, 5);
        rig_start(&rig, name(format));
        for (size_t at = 0; at < PACKET * 2; at++)
            for (size_t size = 1; size <= 130; size += 1, cases++) {
                memcpy(cut, stream, at);
                memcpy(cut + at, stream + at + size, sizeof(stream) - at - size);
                rig_reset(&rig);
                rig_feed(&rig, cut, sizeof(cut) - size);
                assert_true(rig.kept.sets >= 1);
                for (size_t s = 0; s < rig.kept.sets; s++) {
                    const struct observation *o = rig.kept.set[s].items;
                    /* A loss of one packet's length may join two: each value is still one
                     * that the device sent, and a pulse torn in the middle is not given.
                     */
                    torn += o[0].kind == OBSERVATION_ABSENT;
                    assert_true(o[0].kind == OBSERVATION_ABSENT || o[0].mantissa == 72 ||
                                o[0].mantissa == 142);
                    assert_true(o[1].kind == OBSERVATION_NUMERIC);
                    assert_true(o[1].mantissa == 97 || o[1].mantissa == 88);
                }
            }
        rig_end(&rig);
    }
    printf("formats 2 and 7: %zu losses, %zu torn pulses withheld\n", cases, torn);
    assert_true(torn > 0);
}

/* Noise before, between and inside packets; noise full of start bytes too. */
static void test_garbage(void **state)
{
    uint8_t packet[PACKET], noise[200];
    uint64_t seed = SEED;
    struct rig rig;
    size_t noisy = 0;

    (void)state;
    for (int format = 2; format <= 7; format += 5) {
        make_packet(format, 0, floats, packet);
        rig_start(&rig, name(format));
        for (size_t round = 0; round < 3000; round++) {
            size_t size = draw(&seed) % sizeof(noise);
            rig_reset(&rig);
            for (size_t i = 0; i < size; i++)
                noise[i] = (uint8_t)(round % 3 == 0    ? draw(&seed)
                                     : draw(&seed) % 2 ? 0x81
                                                       : 0x01);
            noisy += size;
            rig_feed(&rig, noise, size);
            for (size_t p = 0; p < 3; p++) {
                rig_feed(&rig, packet, sizeof(packet));
                rig_feed(&rig, noise, p == 0 ? size : 0);
            }
            assert_true(rig.kept.sets >= 1);
            for (size_t s = 0; s < rig.kept.sets; s++)
                assert_true(right(&rig.kept.set[s], 72, 97));
            assert_true(rig.kept.bytes <= 2 * size + PACKET);
        }
        rig_end(&rig);
    }
    printf("formats 2 and 7: %zu bytes of noise, seed %u\n", noisy, SEED);
}

/* The answer to a selection is no fault; after data nothing is asked any more. */
static void test_select(void **state)
{
    uint8_t packet[PACKET], out[DRIVER_SEND_MAX];
    uint64_t again;
    struct rig rig;

    (void)state;
    make_packet(7, 0, floats, packet);
    rig_start(&rig, "nonin-df7");
    assert_int_equal(rig.driver->poll(rig.state, 1000, out, &again), 6);
    assert_memory_equal(out, ((const uint8_t[]){0x02, 0x70, 0x02, 0x02, 0x07, 0x03}), 6);
    assert_int_equal(again, 2000);
    rig_feed(&rig, (const uint8_t[]){0x06}, 1);
    rig_feed(&rig, (const uint8_t[]){0x15}, 1);
    assert_int_equal(rig.kept.bytes, 0);
    assert_int_equal(rig.driver->poll(rig.state, 2000, out, &again), 6);
    feed_last(&rig, packet);
    assert_int_equal(rig.driver->poll(rig.state, 3000, out, &again), 0);
    assert_true(again == UINT64_MAX);
    rig.driver->init(rig.state); /* after an outage it asks again */
    assert_int_equal(rig.driver->poll(rig.state, 4000, out, &again), 6);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sheet_frames), cmocka_unit_test(test_one_set_a_second),
        cmocka_unit_test(test_values),       cmocka_unit_test(test_quality),
        cmocka_unit_test(test_splits),       cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_lost_bytes),   cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_select),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
