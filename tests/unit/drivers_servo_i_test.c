/* SPDX-License-Identifier: Apache-2.0
 *
 * Servo-i: the session with the manual's frames, the scales that are believed, every
 * missing value, every split, noise, every flipped bit of every answer, the allow-list.
 */
#include "drivers_test.h"

#include "drivers/emulate/servo_i.h"
#include "drivers/servo_i.h"

#define SIX "200201204205208209" /* the manual's example reads these */

/* Rate 14.8, 452 mL, 7.20 L/min, 18.5 and 8.0 cmH2O, 40.0 %. */
#define READING "0148045207200185008004000B\x04"

static const struct {
    uint32_t code, unit;
    int mantissa, exponent;
} expected[] = {
    {151586, 264928, 148, -1}, {151980, 263762, 452, 0}, {152008, 265216, 720, -2},
    {151973, 266048, 185, -1}, {151976, 266048, 80, -1}, {152196, 262688, 400, -1},
};

static const struct {
    unsigned channel;
    const char *gain;
    unsigned unit;
} six[] = {
    {200, "+1000E-004", 6}, {201, "+1000E-003", 1}, {204, "+1000E-005", 8},
    {205, "+1000E-004", 4}, {208, "+1000E-004", 4}, {209, "+1000E-004", 7},
};

static void say(struct rig *rig, const char *text)
{
    rig_feed(rig, (const uint8_t *)text, strlen(text));
}

/* With its check and end. */
static void answer(struct rig *rig, const char *text)
{
    char frame[200];
    unsigned check = 0;

    for (const char *c = text; *c != '\0'; c++)
        check ^= (unsigned char)*c;
    snprintf(frame, sizeof(frame), "%s%02X\x04", text, check);
    say(rig, frame);
}

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

/* All configurations: those of `six`, and no others. */
static void configure(struct rig *rig, uint64_t *now)
{
    for (size_t i = 0; i < SERVO_I_CHANNELS; i++) {
        uint8_t out[DRIVER_SEND_MAX];
        char text[100] = "ER15";
        size_t n = next(rig, now, out);
        assert_int_equal(n, 10);
        assert_memory_equal(out, "RCCO", 4);
        for (size_t k = 0; k < COUNT(six); k++)
            if (six[k].channel == servo_i_channel(i))
                snprintf(text, sizeof(text), "020;%u,%s,+0000E+000,%02u,BT,RR;",
                         six[k].channel, six[k].gain, six[k].unit);
        answer(rig, text);
    }
}

/* As far as the first reading, with the manual's frames. */
static uint64_t start(struct rig *rig)
{
    uint64_t now = 0;

    rig_reset(rig);
    expect(rig, &now, "RCTY1C\x04");
    say(rig, "Servo-i029\x04");
    expect(rig, &now, "RHVE09\x04");
    say(rig, "00535\x04");
    expect(rig, &now, "SPVE00525\x04");
    say(rig, "*2A\x04");
    configure(rig, &now);
    expect(rig, &now, "SDADB" SIX "51\x04");
    say(rig, "*2A\x04");
    expect(rig, &now, "RADAB54\x04");
    return now;
}

/* The manual's reading, whole. */
static void assert_reading(const struct observation_set *set)
{
    assert_int_equal(set->count, COUNT(expected));
    for (size_t i = 0; i < COUNT(expected); i++) {
        const struct observation *o = &set->items[i];
        assert_int_equal(o->code, expected[i].code);
        assert_int_equal(o->unit, expected[i].unit);
        assert_int_equal(o->kind, OBSERVATION_NUMERIC);
        assert_int_equal(o->mantissa, expected[i].mantissa);
        assert_int_equal(o->exponent, expected[i].exponent);
        assert_int_equal(o->quality, 0);
    }
}

static void test_session(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "servo-i");
    uint64_t now = start(&rig);
    say(&rig, READING);
    assert_int_equal(rig.kept.sets, 1);
    assert_reading(&rig.kept.set[0]);
    assert_int_equal(rig.kept.bytes, 0);
    say(&rig, READING); /* nobody asked */
    assert_int_equal(rig.kept.sets, 1);
    assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], 1);
    expect(&rig, &now, "RADAB54\x04");
    say(&rig, "ER1711\x04"); /* standby: there are no values */
    assert_int_equal(rig.kept.sets, 2);
    for (size_t i = 0; i < COUNT(expected); i++)
        assert_int_equal(rig.kept.set[1].items[i].kind, OBSERVATION_ABSENT);
    expect(&rig, &now, "RADAB54\x04");
    say(&rig, "ER181E\x04"); /* our request was damaged: once more */
    expect(&rig, &now, "RADAB54\x04");
    say(&rig, "\x13"); /* it has no room */
    say(&rig, READING);
    assert_int_equal(rig.kept.sets, 3);
    uint8_t out[DRIVER_SEND_MAX];
    uint64_t again, held = now;
    while (rig.driver->poll(rig.state, held, out, &again) == 0)
        held = again;
    assert_true(held - now > 8000);
    say(&rig, "\x11");
    answer(&rig, "ER16"); /* it has forgotten the definition: all anew */
    now = held;
    expect(&rig, &now, "RCTY1C\x04");
    answer(&rig, "Servo-s1"); /* no contact yet */
    expect(&rig, &now, "RCTY1C\x04");
    answer(&rig, "Servo-s0");
    expect(&rig, &now, "RHVE09\x04");
    answer(&rig, "003");
    expect(&rig, &now, "SPVE00323\x04");
    rig_end(&rig);
}

/* No answers: repeated, then from the beginning, and now and then the end of what runs.
 */
static void test_silence(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "servo-i");
    uint64_t now = start(&rig), began = now;
    expect(&rig, &now, "RADAB54\x04");
    expect(&rig, &now, "RADAB54\x04");
    expect(&rig, &now, "RCTY1C\x04");
    assert_in_range(now - began, 6000, 15000);
    expect(&rig, &now, "RCTY1C\x04");
    expect(&rig, &now, "\x1b\x04");
    expect(&rig, &now, "RCTY1C\x04");
    answer(&rig, "Servo-i0");
    expect(&rig, &now, "RHVE09\x04");
    answer(&rig, "000"); /* not a version */
    expect(&rig, &now, "RHVE09\x04");
    answer(&rig, "012");
    expect(&rig, &now, "SPVE00525\x04");
    rig_end(&rig);
}

/* Each of the six missing, then all of them; and what no reading looks like. */
static void test_missing(void **state)
{
    static const char *const bad[] = {"014804520720018500800",
                                      "01480452072001850080040",
                                      "014804520720018500800400O",
                                      "*",
                                      "ER",
                                      "01480452072001850080040001",
                                      "-148045207200185008004",
                                      "0148 452072001850080040"};
    struct rig rig;

    (void)state;
    rig_start(&rig, "servo-i");
    for (size_t i = 0; i <= COUNT(expected); i++) {
        char text[] = "014804520720018500800400";
        start(&rig);
        for (size_t k = 0; k < COUNT(expected); k++)
            for (size_t d = 0; d < 4 && (i == k || i == COUNT(expected)); d++)
                text[4 * k + d] = '9';
        answer(&rig, text);
        assert_int_equal(rig.kept.sets, 1);
        for (size_t k = 0; k < COUNT(expected); k++) {
            bool missing = i == k || i == COUNT(expected);
            assert_int_equal(rig.kept.set[0].items[k].kind,
                             missing ? OBSERVATION_ABSENT : OBSERVATION_NUMERIC);
            assert_int_equal(rig.kept.set[0].items[k].mantissa,
                             missing ? 0 : expected[k].mantissa);
        }
    }
    for (size_t i = 0; i < COUNT(bad); i++) {
        start(&rig);
        answer(&rig, bad[i]);
        assert_int_equal(rig.kept.sets, 0);
        assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], 1);
    }
    start(&rig);
    answer(&rig, "999890009998999899981400");
    for (size_t k = 0; k < COUNT(expected); k++) /* 99.98 L/min is just within */
        assert_int_equal(rig.kept.set[0].items[k].quality,
                         k == 2 ? 0 : QUALITY_OUT_OF_RANGE);
    rig_end(&rig);
}

/* What the device says of a channel is believed only as the manual lists it. */
static void test_configuration(void **state)
{
    static const struct {
        unsigned channel;
        const char *text;
        bool answer;
        uint32_t unit;
        int exponent;
    } cases[] = {
        {200, "020;200,+1000E-004,+0000E+000,06,BT,RR;", true, 264928, -1},
        {200, "2;200,+0001E-001,+0000E+000,6,BT,", true, 264928, -1},
        {200, "020;200,+0010E-002,-0000E-003,006", true, 0, 0},
        {200, "020;200,+0010E-002,-0000E-003,006,BT,x", true, 264928, -1},
        {200, "020;205,+1000E-004,+0000E+000,04,BT,Pp;", false, 0, 0},
        {200, "020;200,+1000E-003,+0000E+000,06,BT,RR;", true, 0, 0}, /* other scale */
        {200, "020;200,+1000E-004,+0000E+000,07,BT,RR;", true, 0, 0}, /* other unit */
        {200, "020;200,+1001E-004,+0000E+000,06,BT,RR;", true, 0, 0},
        {200, "020;200,-1000E-004,+0000E+000,06,BT,RR;", true, 0, 0},
        {200, "020;200,+1000E-004,+0001E+000,06,BT,RR;", true, 0, 0}, /* an offset */
        {200, "020;200,+0000E-004,+0000E+000,06,BT,RR;", true, 0, 0},
        {200, "020;200,--,--,--,BT,RR;", true, 0, 0},
        {200, "020;200,1000E-004,+0000E+000,06,BT,RR;", true, 0, 0},
        {200, "020200,+1000E-004,+0000E+000,06,BT,RR;", false, 0, 0},
        {200, "020;20", false, 0, 0},
        {200, "", false, 0, 0},
        {204, "020;204,+1000E-005,+0000E+000,08,BT,MV;", true, 265216, -2},
        {204, "020;204,+1000E-004,+0000E+000,08,BT,MV;", true, 265216, -1}, /* v001 */
        {204, "020;204,+1000E-003,+0000E+000,08,BT,MV;", true, 0, 0},
        {260, "020;260,+1000E-003,+0000E+000,10,BT,CO;", true, 266016, 0},
        {260, "020;260,+1000E-004,+0000E+000,11,BT,CO;", true, 265987, -1},
        {260, "020;260,+1000E-004,+0000E+000,12,BT,CO;", true, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct servo_i_scale scale;
        size_t n = strlen(cases[i].text);
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, cases[i].text, n);
        assert_int_equal(servo_i_configuration(copy, n, servo_i_find(cases[i].channel),
                                               &scale),
                         cases[i].answer);
        assert_int_equal(scale.unit, cases[i].unit);
        assert_int_equal(scale.exponent, cases[i].exponent);
        free(copy);
    }
}

static void test_splits_and_garbage(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "servo-i");
    for (size_t at = 0; at <= strlen(READING); at++)
        for (int noise = 0; noise < 4; noise++) {
            uint64_t now = start(&rig);
            say(&rig, noise == 1 ? "\x80\xFFzz\x04" : noise == 2 ? "0148\x04" : "");
            rig_feed(&rig, (const uint8_t *)READING, at);
            if (noise == 3)
                say(&rig, at % 2 ? "\x01" : "5");
            rig_feed(&rig, (const uint8_t *)READING + at, strlen(READING) - at);
            if (noise < 3) {
                assert_int_equal(rig.kept.sets, 1);
                assert_reading(&rig.kept.set[0]);
                assert_int_equal(rig.kept.bytes, noise == 0 ? 0 : 5);
                continue;
            }
            /* inside: nothing, and the next reading is good */
            assert_int_equal(rig.kept.sets, at == strlen(READING));
            expect(&rig, &now, "RADAB54\x04");
            say(&rig, READING);
            assert_in_range(rig.kept.sets, 1, 2);
            for (size_t s = 0; s < rig.kept.sets; s++)
                assert_reading(&rig.kept.set[s]);
        }
    rig_end(&rig);
}

/* Every bit of the reading: not believed, and the next one is. */
static void test_flips(void **state)
{
    struct rig rig;
    size_t flips = 0;

    (void)state;
    rig_start(&rig, "servo-i");
    for (size_t bit = 0; bit < strlen(READING) * 8; bit++, flips++) {
        char frame[] = READING;
        uint64_t now = start(&rig);
        frame[bit / 8] = (char)(frame[bit / 8] ^ (1 << bit % 8));
        rig_feed(&rig, (const uint8_t *)frame, strlen(READING));
        assert_int_equal(rig.kept.sets, 0);
        expect(&rig, &now, "RADAB54\x04");
        say(&rig, READING);
        assert_int_equal(rig.kept.sets, 1);
        assert_reading(&rig.kept.set[0]);
    }
    rig_end(&rig);
    printf("servo-i: %zu flipped bits of a reading, none believed\n", flips);
}

/* Runs driver and emulator against each other for some tenths of a second. */
static void run(struct rig *rig, struct servo_i_emulator *e, uint64_t *now,
                unsigned tenths)
{
    for (uint64_t end = *now + tenths * UINT64_C(100); *now < end; *now += 100) {
        struct emulate_output out = {.count = 0};
        uint8_t bytes[DRIVER_SEND_MAX];
        uint64_t again;
        size_t n = rig->driver->poll(rig->state, *now, bytes, &again);
        assert_true(n == 0 || rig->driver->may_send(bytes, n));
        servo_i_emulator_feed(e, bytes, n, *now * 1000, &out);
        for (size_t i = 0; i < out.count; i++)
            rig_feed(rig, out.bursts[i].bytes, out.bursts[i].size);
    }
}

/* What of a set is wrong: numbers that the emulator does not show. */
static size_t wrong(const struct observation_set *set)
{
    static const struct {
        uint32_t code, unit;
        int mantissa, exponent;
    } shown[] = {
        {151586, 264928, 148, -1}, {151980, 263762, 452, 0}, {152008, 265216, 720, -2},
        {151973, 266048, 185, -1}, {151976, 266048, 80, -1}, {152196, 262688, 400, -1},
        {151708, 266016, 38, 0},
    };
    size_t n = 0;

    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        bool same = o->kind == OBSERVATION_ABSENT;
        for (size_t k = 0; k < COUNT(shown); k++)
            same |= o->code == shown[k].code && o->unit == shown[k].unit &&
                    o->mantissa == shown[k].mantissa && o->exponent == shown[k].exponent;
        n += !same;
    }
    return n;
}

static void show_all(struct servo_i_emulator *e)
{
    static const char *const values[][2] = {{"RESP", "14.8"}, {"VT", "452"},
                                            {"MV", "7.20"},   {"PIP", "18.5"},
                                            {"PEEP", "8.0"},  {"FiO2", "40.0"},
                                            {"etCO2", "38"}};

    servo_i_emulator_start(e, 0);
    for (size_t i = 0; i < COUNT(values); i++)
        assert_int_equal(servo_i_emulator_show(e, values[i][0], values[i][1]),
                         EMULATE_OK);
}

static void test_emulator(void **state)
{
    static const char *const versions[] = {"001", "003", "005", "006"};
    struct servo_i_emulator e;
    struct rig rig;
    uint64_t now;

    (void)state;
    rig_start(&rig, "servo-i");
    for (size_t v = 0; v < COUNT(versions); v++) {
        rig_reset(&rig);
        show_all(&e);
        e.version = versions[v];
        run(&rig, &e, (now = 0, &now), 600);
        assert_in_range(rig.kept.sets, 8, 12);
        assert_int_equal(rig.kept.bytes, 0);
        assert_int_equal(e.refused, 0);
        for (size_t s = 0; s < rig.kept.sets; s++) {
            assert_int_equal(rig.kept.set[s].count, 9); /* no concentration of CO2 */
            assert_int_equal(wrong(&rig.kept.set[s]), 0);
        }
        e.standby = true;
        run(&rig, &e, &now, 100);
        const struct observation_set *last = &rig.kept.set[rig.kept.sets - 1];
        assert_int_equal(last->count, 9);
        for (size_t i = 0; i < last->count; i++)
            assert_int_equal(last->items[i].kind, OBSERVATION_ABSENT);
    }
    assert_int_equal(servo_i_emulator_show(&e, "PEEP", "8.05"), EMULATE_INEXACT);
    assert_int_equal(servo_i_emulator_show(&e, "PEEP", "-8"), EMULATE_RANGE);
    assert_int_equal(servo_i_emulator_show(&e, "PEEP", "a"), EMULATE_SYNTAX);
    assert_int_equal(servo_i_emulator_show(&e, "HR", "72"), EMULATE_NO_FIELD);
    /* a ventilator that scales the peak pressure otherwise: that channel is not read */
    rig_reset(&rig);
    show_all(&e);
    servo_i_emulator_channel(&e, 205)->gain = "+2000E-004";
    servo_i_emulator_channel(&e, 260)->number = 0;
    run(&rig, &e, (now = 0, &now), 300);
    assert_in_range(rig.kept.sets, 2, 6);
    for (size_t i = 0; i < rig.kept.set[0].count; i++)
        assert_true(rig.kept.set[0].items[i].code != 151973);
    assert_int_equal(wrong(&rig.kept.set[0]), 0);
    rig_end(&rig);
}

/* One damaged bit in any answer of the session, the configurations too. */
static void test_session_flips(void **state)
{
    struct servo_i_emulator e;
    struct rig rig;
    size_t flips = 0;

    (void)state;
    rig_start(&rig, "servo-i");
    for (unsigned answers = 0; answers < 16; answers++)
        for (uint32_t bit = 1; bit <= 45 * 8; bit++) {
            uint64_t now = 0;
            rig_reset(&rig);
            show_all(&e);
            while (e.answers < answers)
                run(&rig, &e, &now, 1);
            e.flip = bit;
            run(&rig, &e, &now, 120);
            flips += e.flip == 0;
            while (rig.kept.sets == 0 && now < 60000)
                run(&rig, &e, &now, 10);
            assert_true(rig.kept.sets > 0);
            for (size_t s = 0; s < rig.kept.sets; s++)
                assert_int_equal(wrong(&rig.kept.set[s]), 0);
        }
    rig_end(&rig);
    printf("servo-i: %zu sessions with a flipped bit\n", flips);
}

/* Whatever else: refused. */
static void test_allow_list(void **state)
{
    static const char *const allowed[] = {
        "RCTY",       "RHVE",     "RADAB",
        "SPVE001",    "SPVE005",  "RCCO200",
        "RCCO260",    "SDADB200", "SDADB200201204205208209",
        "SDADB225260"};
    static const char *const refused[] = {
        "SDADB", "SDADB201200", "SDADB200200", "SDADB999", "SPVE000", "SPVE006",
        "RCCO",  "RCCO206",     "RADAS",       "RADC",     "STIM",    "STOU010",
        "ADMP",  "DISP",        "HO",          "SSMP020",  "",        "RCTYRCTY"};
    const struct driver *d = driver_by_name("servo-i");
    char frame[DRIVER_SEND_MAX + 8];
    size_t changed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(allowed) + COUNT(refused); i++) {
        const bool good = i < COUNT(allowed);
        const char *text = good ? allowed[i] : refused[i - COUNT(allowed)];
        unsigned check = 0;
        for (const char *c = text; *c != '\0'; c++)
            check ^= (unsigned char)*c;
        int n = snprintf(frame, sizeof(frame), "%s%02X\x04", text, check);
        assert_int_equal(d->may_send((const uint8_t *)frame, (size_t)n), good);
        for (size_t at = 0; good && at < (size_t)n; at++)
            for (unsigned value = 0; value < 256; value++) {
                char kept = frame[at];
                if ((char)value == kept)
                    continue;
                frame[at] = (char)value;
                assert_false(d->may_send((const uint8_t *)frame, (size_t)n));
                frame[at] = kept;
                changed++;
            }
        for (size_t size = 0; size < (size_t)n; size++)
            assert_false(d->may_send((const uint8_t *)frame, size));
    }
    assert_true(d->may_send((const uint8_t *)"\x1b\x04", 2));
    assert_false(d->may_send((const uint8_t *)"\x1b\x1b", 2));
    memset(frame, '2', sizeof(frame));
    assert_false(d->may_send((const uint8_t *)frame, sizeof(frame)));
    printf("servo-i: %zu changed requests refused\n", changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_splits_and_garbage),
        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_emulator),
        cmocka_unit_test(test_session_flips),
        cmocka_unit_test(test_allow_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
