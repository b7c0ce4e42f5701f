/* SPDX-License-Identifier: Apache-2.0
 *
 * MEDIBUS: the session, the values, both date languages, the multiplex, the allow-list.
 */
#include "drivers_test.h"

#include "drivers/emulate/medibus.h"
#include "drivers/medibus.h"

#define SHEET "\x01$EB 98 E1 70 7A\r" /* the maker's example: SpO2 98, pulse 70 */
#define EVITA "\x01$05  127D  2473  1178   5820.46B9 7.3D6 16 F0 40 FE\r"

/* Feeds text without its terminator. */
static void say(struct rig *rig, const char *text)
{
    rig_feed(rig, (const uint8_t *)text, strlen(text));
}

/* Asks the driver for its next message; the time goes on until there is one. */
static size_t next(struct rig *rig, uint64_t *now, uint8_t *out)
{
    uint64_t again = 0;
    size_t n = 0;

    for (int i = 0; n == 0 && i < 300; i++, *now = again)
        n = rig->driver->poll(rig->state, *now, out, &again);
    assert_true(n > 0 && rig->driver->may_send(out, n));
    return n;
}

static void expect(struct rig *rig, uint64_t *now, const char *text)
{
    uint8_t out[DRIVER_SEND_MAX];
    size_t n = next(rig, now, out);

    assert_int_equal(n, strlen(text));
    assert_memory_equal(out, text, n);
}

/* As far as the first request for measured values, with the sheet's frames. */
static uint64_t start(struct rig *rig)
{
    uint64_t now = 0;

    rig_reset(rig);
    expect(rig, &now, "\x1bQ6C\r");
    say(rig, "\x01Q52\r");
    expect(rig, &now, "\x1bR6D\r");
    say(rig, "\x01R8888'Draeger Device '03.00:03.00E7\r");
    expect(rig, &now, "\x1b(43\r");
    say(rig, "\x01(11:11:1911-NOV-93E6\r");
    expect(rig, &now, "\x1b$3F\r");
    return now;
}

static void assert_value(const struct observation_set *set, uint32_t code,
                         int64_t mantissa, int exponent)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].code == code) {
            assert_int_equal(set->items[i].kind, OBSERVATION_NUMERIC);
            assert_int_equal(set->items[i].mantissa, mantissa);
            assert_int_equal(set->items[i].exponent, exponent);
            return;
        }
    fail();
}

static void test_session(void **state)
{
    const struct device_time want = {1993, 11, 11, 11, 11, 19, true};
    struct rig rig;

    (void)state;
    rig_start(&rig, "medibus");
    uint64_t now = start(&rig);
    say(&rig, "\x1b\x30"
              "4B\r\x1bR6D\r\x1b*45\r"); /* the device asks */
    expect(&rig, &now,
           "\x01\x30"
           "31\r");
    expect(&rig, &now, "\x01R0161'WARDGW'01.00:04.0050\r");
    expect(&rig, &now, "\x01*2B\r");
    say(&rig, "\x01$82 0.46B9 7.3"
              "AA\r"); /* a value of five characters: no shape */
    assert_int_equal(rig.kept.sets, 0);
    now = start(&rig);
    say(&rig, EVITA);
    assert_int_equal(rig.kept.sets, 1);
    assert_value(&rig.kept.set[0], 151973, 24, 0);
    assert_value(&rig.kept.set[0], 151980, 46, -2);
    assert_value(&rig.kept.set[0], 152196, 40, 0);
    assert_memory_equal(&rig.kept.set[0].device_time, &want, sizeof(want));
    say(&rig, EVITA); /* nobody asked again */
    assert_int_equal(rig.kept.sets, 1);
    expect(&rig, &now, "\x1b)44\r");
    say(&rig, "\x01)01  40 040.45009 12.00B  5.039\r");
    assert_int_equal(rig.kept.sets, 2);
    assert_value(&rig.kept.set[1], 16929196, 450, -3);
    expect(&rig, &now,
           "\x1b\x30"
           "4B\r"); /* keeps the session alive */
    now += 10000;   /* no answer: it begins again */
    expect(&rig, &now, "\x1bQ6C\r");
    rig_end(&rig);
}

/* Every cut, with and without noise around and real-time bytes inside. */
static void test_splits_and_garbage(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "medibus");
    for (size_t at = 0; at <= strlen(SHEET); at++)
        for (int noise = 0; noise < 3; noise++) {
            start(&rig);
            say(&rig, noise ? "zz\r\x01$E" : "");
            rig_feed(&rig, (const uint8_t *)SHEET, at);
            say(&rig, noise == 1   ? "\xd1\x91\x81"
                      : noise == 2 ? "\x1b\x30"
                                     "4B\r"
                                   : "");
            rig_feed(&rig, (const uint8_t *)SHEET + at, strlen(SHEET) - at);
            say(&rig, noise ? "xx" : "");
            /* a command before the message opens it; both still count */
            assert_int_equal(rig.kept.sets, 1);
            assert_int_equal(rig.kept.set[0].count, 2);
            assert_value(&rig.kept.set[0], 150456, 98, 0);
            assert_value(&rig.kept.set[0], 149530, 70, 0);
        }
    rig_end(&rig);
}

/* The multiplex: sync bytes, commands and values of curves, each of the 128 bytes at each
 * place of a message, and a curve's whole second between any two of its characters. None
 * of it is slow data, part of a check, or a fault. */
static void test_multiplex(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "medibus");
    for (size_t at = 0; at <= strlen(SHEET); at++)
        for (unsigned byte = 0x80; byte <= 0x100; byte++) {
            uint8_t curve[63 * 5];
            size_t n = 1;
            start(&rig);
            curve[0] = (uint8_t)byte;
            if (byte ==
                0x100) { /* two streams, 63 values of each: DF, a command, 4 bytes */
                n = 0;
                for (size_t i = 0; i < 63; i++) {
                    curve[n++] = i % 16 ? 0xD3 : 0xC1;
                    for (size_t k = 0; k < 4; k++)
                        curve[n++] = (uint8_t)(0x80 | ((i * 7 + k) & 0x3F));
                }
            }
            rig_feed(&rig, (const uint8_t *)SHEET, at);
            rig_feed(&rig, curve, n);
            rig_feed(&rig, (const uint8_t *)SHEET + at, strlen(SHEET) - at);
            assert_int_equal(rig.kept.sets, 1);
            assert_int_equal(rig.kept.set[0].count, 2);
            assert_value(&rig.kept.set[0], 150456, 98, 0);
            assert_value(&rig.kept.set[0], 149530, 70, 0);
            assert_int_equal(rig.kept.bytes, 0);
        }
    rig_end(&rig);
}

/* A damaged answer is asked for again at once, one without an end after a second; the
 * session goes on. */
static void test_repeat(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "medibus");
    for (size_t bit = 0; bit < strlen(SHEET) * 8; bit++) {
        uint64_t now = start(&rig), asked = now;
        char frame[] = SHEET;
        frame[bit / 8] = (char)(frame[bit / 8] ^ (1 << bit % 8));
        say(&rig, frame);
        if (bit < 8) /* without its beginning it is no answer at all */
            continue;
        expect(&rig, &now, "\x1b$3F\r");
        assert_in_range(now - asked, 100, 1500);
        say(&rig, SHEET);
        assert_int_equal(rig.kept.sets, 1);
        assert_value(&rig.kept.set[0], 150456, 98, 0);
        expect(&rig, &now, "\x1b)44\r");
    }
    rig_end(&rig);
}

/* Every bit of the maker's frame and of a longer one: nothing is believed. */
static void test_every_flip(void **state)
{
    static const char *const frames[] = {SHEET, EVITA};
    size_t flips = 0;
    struct rig rig;

    (void)state;
    rig_start(&rig, "medibus");
    for (size_t f = 0; f < COUNT(frames); f++) {
        start(&rig);
        say(&rig, frames[f]);
        assert_int_equal(rig.kept.sets, 1); /* undamaged it counts */
        for (size_t bit = 0; bit < strlen(frames[f]) * 8; bit++, flips++) {
            char frame[80];
            size_t n = strlen(frames[f]);
            start(&rig);
            memcpy(frame, frames[f], n);
            frame[bit / 8] = (char)(frame[bit / 8] ^ (1 << bit % 8));
            rig_feed(&rig, (const uint8_t *)frame, n);
            assert_int_equal(rig.kept.sets, 0);
            say(&rig, SHEET); /* and the one behind it is not lost */
            assert_int_equal(rig.kept.sets, 1);
            assert_value(&rig.kept.set[0], 150456, 98, 0);
        }
    }
    rig_end(&rig);
    printf("medibus: %zu flipped bits, none believed\n", flips);
}

static void test_dates_and_absent(void **state)
{
    static const struct {
        const char *text;
        uint8_t month, second; /* month 0: no date */
    } dates[] = {{"14:05:0922-MAI-26", 5, 9},  {"14:05:0922-MAY-26", 5, 9},
                 {"14:05:0922-OKT-26", 10, 9}, {"14:05:0922-OCT-26", 10, 9},
                 {"14:05:0922-DEZ-26", 12, 9}, {"14:05:0922-DEC-26", 12, 9},
                 {"14:0522-DEC-26", 12, 0},    {"14:0531-JUN-26", 0, 0},
                 {"24:05:0922-MAI-26", 0, 0},  {"14:05:0922-MIA-26", 0, 0},
                 {"14:60:0922-MAI-26", 0, 0},  {"14:05:0929-FEB-26", 0, 0},
                 {"14:05:0922-MAI-26x", 0, 0}, {"", 0, 0}};
    static const char *const bad[] = {"E",      "EB 9",   "EB 98 EB 97 ", "EB9 8 ",
                                      "eb 98 ", "EB -- ", "EB1e1 "};
    struct observation_set set;
    uint32_t seen = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(dates); i++) {
        struct device_time t;
        bool good =
            medibus_time((const uint8_t *)dates[i].text, strlen(dates[i].text), &t);
        assert_int_equal(good, dates[i].month != 0);
        assert_int_equal(t.present, good);
        assert_int_equal(t.month, dates[i].month);
        assert_int_equal(t.second, dates[i].second);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(medibus_values(MEDIBUS_MEASURED, (const uint8_t *)bad[i],
                                    strlen(bad[i]), &seen, &set));
    assert_true(medibus_values(MEDIBUS_MEASURED, (const uint8_t *)"EB 98 E1    ", 12,
                               &seen, &set));
    assert_int_equal(set.items[1].kind, OBSERVATION_ABSENT);
    assert_true(medibus_values(MEDIBUS_MEASURED, (const uint8_t *)"", 0, &seen, &set));
    assert_int_equal(set.count, 2); /* both were there: both are absent now */
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(set.items[i].kind, OBSERVATION_ABSENT);
    assert_true(
        medibus_values(MEDIBUS_MEASURED, (const uint8_t *)"EB 101", 6, &seen, &set));
    assert_int_equal(set.items[0].quality, QUALITY_OUT_OF_RANGE);
}

/* Whatever code and whatever single byte: only the six questions and empty answers. */
static void test_allow_list(void **state)
{
    static const char digits[] = "0123456789ABCDEF";
    struct rig rig;
    size_t commands = 0, answers = 0;

    (void)state;
    rig_start(&rig, "medibus");
    for (unsigned code = 0; code < 256; code++)
        for (unsigned first = 0; first < 256; first++) {
            const unsigned sum = first + code;
            const uint8_t m[5] = {(uint8_t)first, (uint8_t)code,
                                  (uint8_t)digits[sum >> 4 & 15],
                                  (uint8_t)digits[sum & 15], '\r'};
            bool may = rig.driver->may_send(m, 5);
            commands += may && first == 0x1B;
            answers += may && first == 0x01;
            assert_true(!may || first == 0x1B || first == 0x01);
        }
    assert_int_equal(commands, 6);
    assert_int_equal(answers, 128);
    for (size_t n = 0; n < 8; n++)
        assert_int_equal(rig.driver->may_send((const uint8_t *)"\x1b$3F\r\r\r\r", n),
                         n == 5);
    assert_false(rig.driver->may_send((const uint8_t *)"\x1bU70\r", 5)); /* STOP */
    assert_false(rig.driver->may_send((const uint8_t *)"\x1bJ$EB1071\r", 9));
    rig_end(&rig);
}

/* Runs driver and emulator against each other for some seconds. */
static void run(struct rig *rig, struct medibus_emulator *e, uint64_t *now,
                unsigned seconds)
{
    for (uint64_t end = *now + seconds * UINT64_C(1000); *now < end; *now += 100) {
        struct emulate_output out = {0};
        uint8_t bytes[DRIVER_SEND_MAX];
        uint64_t again;
        size_t n = rig->driver->poll(rig->state, *now, bytes, &again);
        assert_true(n == 0 || rig->driver->may_send(bytes, n));
        medibus_emulator_feed(e, bytes, n, *now * 1000, &out);
        medibus_emulator_tick(e, *now * 1000, &out, &again);
        for (size_t i = 0; i < out.count; i++)
            rig_feed(rig, out.bursts[i].bytes, out.bursts[i].size);
    }
}

/* In quiet times something is said often enough for the device not to end the session. */
static void test_keep_alive(void **state)
{
    struct medibus_emulator e;
    uint64_t last = 0, longest = 0;
    struct rig rig;

    (void)state;
    rig_start(&rig, "medibus");
    medibus_emulator_init(&e, 0);
    for (uint64_t now = 0; now < 60000; now += 100) {
        struct emulate_output out = {0};
        uint8_t bytes[DRIVER_SEND_MAX];
        uint64_t again;
        size_t n = rig.driver->poll(rig.state, now, bytes, &again);
        if (n > 0) {
            longest = now - last > longest ? now - last : longest;
            last = now;
        }
        medibus_emulator_feed(&e, bytes, n, now * 1000, &out);
        for (size_t i = 0; i < out.count; i++)
            rig_feed(&rig, out.bursts[i].bytes, out.bursts[i].size);
    }
    assert_in_range(longest, 1000, 2500); /* of the 3 s that the device waits */
    assert_int_equal(e.sessions, 1);
    rig_end(&rig);
}

/* Curves, a question inside, German months; then one damaged answer after the other. */
static void test_emulator(void **state)
{
    struct medibus_emulator e;
    uint64_t now = 1000;
    struct rig rig;

    (void)state;
    rig_start(&rig, "medibus");
    medibus_emulator_init(&e, 1000000);
    e.curves = e.asks_inside = e.german = true;
    e.clock.month = 10;
    assert_int_equal(medibus_emulator_set(&e, "EB", "97.5"), EMULATE_OK);
    assert_int_equal(medibus_emulator_set(&e, "D6", "12"), EMULATE_OK);
    assert_int_equal(medibus_emulator_set(&e, "E1", "101.3"), EMULATE_INEXACT);
    run(&rig, &e, &now, 60);
    assert_in_range(rig.kept.sets, 8, 12);
    for (size_t i = 0; i < rig.kept.sets; i++) {
        assert_value(&rig.kept.set[i], 150456, 975, -1);
        assert_value(&rig.kept.set[i], 151586, 12, 0);
        assert_int_equal(rig.kept.set[i].device_time.month, 10);
    }
    assert_int_equal(rig.kept.bytes, 0);
    assert_true(e.answers > 8);
    for (uint32_t bit = 1; bit <= 400; bit++) {
        memset(&rig.kept, 0, sizeof(rig.kept));
        e.flip = bit;
        run(&rig, &e, &now, 7);
        for (size_t i = 0; i < rig.kept.sets; i++)
            assert_value(&rig.kept.set[i], 150456, 975, -1);
    }
    assert_int_equal(e.refused, 0);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_splits_and_garbage),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_multiplex),
        cmocka_unit_test(test_repeat),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_dates_and_absent),
        cmocka_unit_test(test_allow_list),
        cmocka_unit_test(test_emulator),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
