/* SPDX-License-Identifier: Apache-2.0
 *
 * DRI: every sentinel on every field, labels and sources, the cuff's repetitions, stuffed
 * bytes, every flipped bit of records full of them, and the session.
 */
#include "drivers_test.h"

#include "drivers/dri.h"
#include "drivers/emulate/dri.h"

#define SECOND_US UINT64_C(1000000)

/* A whole record to the driver. */
static void say(struct rig *rig, const struct dri_emulator *e)
{
    uint8_t wire[DRI_EMULATOR_WIRE];

    rig_feed(rig, wire, dri_emulator_record(e, wire));
}

static const struct observation *find(const struct observation_set *set, uint32_t code)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].code == code)
            return &set->items[i];
    return NULL;
}

static const struct observation *last(const struct rig *rig, uint32_t code)
{
    assert_in_range(rig->kept.sets, 1, KEPT_MAX);
    return find(&rig->kept.set[rig->kept.sets - 1], code);
}

/* Every field that comes out: its place on the line, and what it must be. */
static const struct field {
    enum dri_group group;
    uint32_t status;
    uint16_t label;
    uint8_t place;
    uint32_t code, unit;
    int exponent;
} fields[] = {
    {DRI_ECG, 1 << 3, 0, 0, 147842, 264864, 0},
    {DRI_ECG, 1 << 3, 0, 4, 151578, 264928, 0},
    {DRI_P1, 0, 1, 0, 150033, 266016, -2},
    {DRI_P1, 0, 1, 1, 150034, 266016, -2},
    {DRI_P1, 0, 1, 2, 150035, 266016, -2},
    {DRI_P2, 0, 2, 2, 150087, 266016, -2},
    {DRI_P3, 0, 7, 2, 153608, 266016, -2},
    {DRI_P4, 0, 8, 0, 150037, 266016, -2},
    {DRI_P4, 0, 8, 1, 150038, 266016, -2},
    {DRI_P4, 0, 8, 2, 150039, 266016, -2},
    {DRI_CUFF, 0, 3, 0, 150021, 266016, -2},
    {DRI_CUFF, 0, 3, 1, 150022, 266016, -2},
    {DRI_CUFF, 0, 3, 2, 150023, 266016, -2},
    {DRI_CUFF, 0, 3, 3, 149546, 264864, 0},
    {DRI_T1, 0, 1, 0, 150372, 268192, -2},
    {DRI_T2, 0, 4, 0, 188420, 268192, -2},
    {DRI_T3, 0, 5, 0, 150348, 268192, -2},
    {DRI_T4, 0, 7, 0, 150388, 268192, -2},
    {DRI_SPO2, 0, 0, 0, 150456, 262688, -2},
    {DRI_SPO2, 0, 0, 1, 149530, 264864, 0},
    {DRI_CO2, 0, 1, 0, 151708, 262688, -2},
    {DRI_CO2, 0, 1, 1, 151716, 262688, -2},
    {DRI_CO2, 0, 1, 2, 151594, 264928, 0},
    {DRI_O2, 0, 0, 0, 152440, 262688, -2},
    {DRI_O2, 0, 0, 1, 152196, 262688, -2},
    {DRI_N2O, 0, 0, 0, 152108, 262688, -2},
    {DRI_N2O, 0, 0, 1, 152192, 262688, -2},
    {DRI_FLOW, 0, 0, 1, 151973, 266048, -2},
    {DRI_FLOW, 0, 0, 2, 151976, 266048, -2},
    {DRI_FLOW, 0, 0, 3, 152424, 266048, -2},
    {DRI_FLOW, 0, 0, 5, 151868, 263762, -1},
    {DRI_FLOW, 0, 0, 7, 152008, 265216, -2},
};

/* All of them at once, each with a number of its own. */
static void everything(struct dri_emulator *e)
{
    dri_emulator_start(e, 0);
    for (size_t i = 0; i < COUNT(fields); i++) {
        dri_emulator_module(e, fields[i].group, fields[i].status, fields[i].label);
        dri_emulator_number(e, fields[i].group, fields[i].place, 100 + (int)i);
    }
    for (size_t i = 0; i < COUNT(fields); i++) /* temperatures that are some */
        if (fields[i].unit == 268192)
            dri_emulator_number(e, fields[i].group, fields[i].place, 3600 + (int)i);
}

static void test_everything(void **state)
{
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    everything(&e);
    say(&rig, &e);
    assert_int_equal(rig.kept.sets, 1);
    assert_int_equal(rig.kept.set[0].count, COUNT(fields));
    assert_int_equal(COUNT(fields), OBSERVATIONS_MAX);
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct observation *o = last(&rig, fields[i].code);
        assert_non_null(o);
        assert_int_equal(o->unit, fields[i].unit);
        assert_int_equal(o->kind, OBSERVATION_NUMERIC);
        assert_int_equal(o->exponent, fields[i].exponent);
        assert_int_equal(o->mantissa, (fields[i].unit == 268192 ? 3600 : 100) + (int)i);
        assert_int_equal(o->quality, 0);
    }
    assert_false(rig.kept.set[0].device_time.present);
    rig_end(&rig);
}

/* Every value from -32768 to -32001 in every field is no number, and says why; the last
 * number before them is one. */
static void test_sentinels(void **state)
{
    static const struct {
        int raw;
        unsigned quality;
    } known[] = {{-32767, 0},
                 {-32766, QUALITY_STALE},
                 {-32765, QUALITY_QUESTIONABLE},
                 {-32764, QUALITY_OUT_OF_RANGE},
                 {-32763, QUALITY_OUT_OF_RANGE},
                 {-32762, QUALITY_CALIBRATING}};
    struct dri_emulator e;
    size_t tried = 0;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    for (size_t i = 0; i < COUNT(fields); i++)
        for (int raw = -32768; raw <= -32000;
             raw += raw < -32755 || raw > -32003 ? 1 : 17) {
            unsigned quality = QUALITY_INVALID;
            rig_reset(&rig);
            everything(&e);
            dri_emulator_number(&e, fields[i].group, fields[i].place, raw);
            say(&rig, &e);
            assert_int_equal(rig.kept.sets, 1);
            assert_int_equal(rig.kept.set[0].count, COUNT(fields));
            const struct observation *o = last(&rig, fields[i].code);
            for (size_t k = 0; k < COUNT(known); k++)
                if (known[k].raw == raw)
                    quality = known[k].quality;
            if (raw == -32000) {
                assert_int_equal(o->kind, OBSERVATION_NUMERIC);
                assert_true(o->quality & QUALITY_OUT_OF_RANGE);
            } else {
                assert_int_equal(o->kind, OBSERVATION_ABSENT);
                assert_int_equal(o->mantissa, 0);
                assert_int_equal(o->quality, quality);
            }
            tried++;
        }
    rig_end(&rig);
    printf("dri: %zu sentinels\n", tried);
}

/* A module that is not there says nothing; one that does not measure, or is pulled out,
 * has no value, whatever stands in its place. */
static void test_modules(void **state)
{
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    dri_emulator_start(&e, 0);
    say(&rig, &e);
    assert_int_equal(rig.kept.sets, 0); /* no module at all */
    for (size_t i = 0; i < COUNT(fields); i++) {
        for (unsigned status = 0; status < 3; status++) {
            rig_reset(&rig);
            everything(&e);
            say(&rig, &e);
            e.body[fields[i].group] = (uint8_t)(status | fields[i].status);
            say(&rig, &e);
            assert_int_equal(rig.kept.sets, 2);
            assert_int_equal(last(&rig, fields[i].code)->kind, OBSERVATION_ABSENT);
            assert_int_equal(rig.kept.set[1].count, COUNT(fields));
        }
        rig_reset(&rig);
        everything(&e);
        e.body[fields[i].group] = 0;
        say(&rig, &e);
        assert_null(last(&rig, fields[i].code));
    }
    rig_end(&rig);
}

static void test_labels(void **state)
{
    static const uint32_t pressures[16][3] = {[1] = {150033, 150034, 150035},
                                              [2] = {0, 0, 150087},
                                              [7] = {0, 0, 153608},
                                              [8] = {150037, 150038, 150039}};
    static const uint32_t temperatures[24] = {
        [1] = 150372, [2] = 150380, [3] = 150392, [4] = 188420,
        [5] = 150348, [6] = 188496, [7] = 150388};
    static const uint32_t rates[16] = {[1] = 147842};
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    for (uint16_t label = 0; label < 16; label++) {
        size_t count = 0;
        dri_emulator_start(&e, 0);
        dri_emulator_module(&e, DRI_ECG, (uint32_t)label << 3, 0);
        dri_emulator_module(&e, DRI_P3, 0, label);
        for (size_t i = 0; i < 3; i++) {
            dri_emulator_number(&e, DRI_P3, i, 4000);
            count += pressures[label][i] != 0;
        }
        dri_emulator_number(&e, DRI_ECG, 0, 72);
        rig_reset(&rig);
        say(&rig, &e);
        assert_int_equal(rig.kept.set[0].count, 2 + count);
        for (size_t i = 0; i < 3; i++)
            assert_true(pressures[label][i] == 0 ||
                        last(&rig, pressures[label][i])->mantissa == 4000);
        const uint32_t rate = rates[label] ? rates[label] : 149514;
        assert_int_equal(last(&rig, rate)->mantissa, 72);
        assert_null(last(&rig, rate == 149514 ? 147842 : 149514));
    }
    for (uint16_t label = 0; label < 24; label++) {
        dri_emulator_start(&e, 0);
        dri_emulator_module(&e, DRI_SPO2, 0, 0);
        dri_emulator_module(&e, DRI_T2, 0, label);
        dri_emulator_number(&e, DRI_T2, 0, 3712);
        rig_reset(&rig);
        say(&rig, &e);
        assert_int_equal(rig.kept.set[0].count, 2 + (temperatures[label] != 0));
        assert_true(temperatures[label] == 0 ||
                    last(&rig, temperatures[label])->mantissa == 3712);
    }
    /* two channels of one name: the first; a capnometer that counts by impedance: once */
    everything(&e);
    dri_emulator_module(&e, DRI_P4, 0, 1);
    dri_emulator_module(&e, DRI_CO2, 0, 2);
    rig_reset(&rig);
    say(&rig, &e);
    assert_int_equal(last(&rig, 150033)->mantissa, 102);
    assert_null(last(&rig, 150037));
    assert_null(last(&rig, 151594));
    rig_end(&rig);
}

/* What the module's status says against its numbers, and nought. */
static void test_status(void **state)
{
    static const struct {
        enum dri_group group;
        uint32_t status, code;
        unsigned kind, quality;
    } cases[] = {
        {DRI_ECG, 1 << 3 | 1 << 7, 147842, OBSERVATION_NUMERIC, QUALITY_QUESTIONABLE},
        {DRI_ECG, 1 << 3 | 1 << 8, 151578, OBSERVATION_NUMERIC, QUALITY_QUESTIONABLE},
        {DRI_P1, 1 << 2, 150035, OBSERVATION_ABSENT, QUALITY_CALIBRATING},
        {DRI_CO2, 1 << 3, 151708, OBSERVATION_ABSENT, QUALITY_CALIBRATING},
        {DRI_CO2, 1 << 6, 151708, OBSERVATION_NUMERIC, QUALITY_QUESTIONABLE},
        {DRI_O2, 1 << 2, 152196, OBSERVATION_ABSENT, QUALITY_CALIBRATING},
        {DRI_FLOW, 1 << 2, 151976, OBSERVATION_NUMERIC, QUALITY_QUESTIONABLE},
    };
    static const struct {
        enum dri_group group;
        uint8_t place;
        uint32_t code;
        unsigned kind;
    } noughts[] = {
        {DRI_ECG, 0, 147842, OBSERVATION_ABSENT},
        {DRI_ECG, 4, 151578, OBSERVATION_NUMERIC}, /* no breath */
        {DRI_CUFF, 0, 150021, OBSERVATION_ABSENT},
        {DRI_SPO2, 0, 150456, OBSERVATION_ABSENT},
        {DRI_SPO2, 1, 149530, OBSERVATION_ABSENT},
        {DRI_P1, 2, 150035, OBSERVATION_NUMERIC},
    };
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    for (size_t i = 0; i < COUNT(cases); i++) {
        everything(&e);
        e.body[cases[i].group] = (uint8_t)(cases[i].status | 3);
        e.body[cases[i].group + 1] = (uint8_t)(cases[i].status >> 8);
        rig_reset(&rig);
        say(&rig, &e);
        assert_int_equal(last(&rig, cases[i].code)->kind, cases[i].kind);
        assert_int_equal(last(&rig, cases[i].code)->quality, cases[i].quality);
    }
    for (size_t i = 0; i < COUNT(noughts); i++) {
        everything(&e);
        dri_emulator_number(&e, noughts[i].group, noughts[i].place, 0);
        rig_reset(&rig);
        say(&rig, &e);
        assert_int_equal(last(&rig, noughts[i].code)->kind, noughts[i].kind);
    }
    everything(&e); /* in asystole a rate of nought is what the monitor counts */
    e.body[DRI_ECG] |= 1 << 2;
    dri_emulator_number(&e, DRI_ECG, 0, 0);
    rig_reset(&rig);
    say(&rig, &e);
    assert_int_equal(last(&rig, 147842)->kind, OBSERVATION_NUMERIC);
    rig_end(&rig);
}

/* The cuff's result is new once; it is a repetition until the cuff has measured again,
 * and what is older than a minute at first sight is one too. */
static void test_cuff(void **state)
{
    enum { NEW, AGAIN, NONE };
    static const struct {
        uint16_t label;
        int systolic;
        int want;
    } course[] = {
        {3, 12500, NEW},
        {3, 12500, AGAIN},
        {3 | 1 << 8, 12500, AGAIN},
        {3 | 1 << 8 | 1 << 5, 12500, NONE},
        {3 | 1 << 5, 9000, NONE},
        {3, 12500, NEW}, /* the same again, measured anew */
        {3, 12500, AGAIN},
        {3, 12600, NEW},
        {3 | 1 << 8, 12600, AGAIN},
        {3, 12600, NEW}, /* young again */
        {3 | 1 << 7, 12600, NONE},
        {3, 12600, AGAIN},
    };
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    dri_emulator_start(&e, 0);
    for (size_t i = 0; i < COUNT(course); i++) {
        dri_emulator_module(&e, DRI_CUFF, 0, course[i].label);
        dri_emulator_number(&e, DRI_CUFF, 0, course[i].systolic);
        dri_emulator_number(&e, DRI_CUFF, 1, 7700);
        dri_emulator_number(&e, DRI_CUFF, 2, 9200);
        say(&rig, &e);
        assert_int_equal(rig.kept.sets, i + 1);
        for (uint32_t code = 150021; code <= 150023; code++) {
            const struct observation *o = last(&rig, code);
            assert_int_equal(o->kind, course[i].want == NONE ? OBSERVATION_ABSENT
                                                             : OBSERVATION_NUMERIC);
            assert_int_equal(o->quality, course[i].want == AGAIN ? QUALITY_STALE : 0);
        }
    }
    rig_reset(&rig);
    dri_emulator_module(&e, DRI_CUFF, 0, 3 | 1 << 8);
    say(&rig, &e);
    assert_int_equal(last(&rig, 150021)->quality, QUALITY_STALE);
    rig_end(&rig);
}

/* Numbers made of flags and escapes, and what stands between records. */
static void test_stuffing(void **state)
{
    static const int numbers[] = {0x7E, 0x7D, 0x7D7E, 0x7E7D, 0x7D7D, 0x7E7E, 0x5E7D};
    uint8_t wire[DRI_EMULATOR_WIRE];
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    everything(&e);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        for (size_t place = 0; place < 3; place++)
            dri_emulator_number(&e, DRI_P1, place, numbers[i]);
        size_t n = dri_emulator_record(&e, wire);
        for (size_t cut = 0; cut <= n; cut++) {
            rig_reset(&rig);
            rig_feed(&rig, wire, cut);
            rig_feed(&rig, wire + cut, n - cut);
            assert_int_equal(rig.kept.sets, 1);
            assert_int_equal(rig.kept.bytes, 0);
            for (uint32_t code = 150033; code <= 150035; code++)
                assert_int_equal(last(&rig, code)->mantissa, numbers[i]);
        }
        rig_reset(&rig);
        rig_feed(&rig, (const uint8_t *)"\x7D\x7D\x7E", 3); /* never a record */
        rig_feed(&rig, wire + 1, n - 1);                    /* one flag between two */
        rig_feed(&rig, wire + 1, n - 1);
        assert_int_equal(rig.kept.sets, 2);
        assert_int_equal(rig.kept.bytes, 2);
    }
    rig_end(&rig);
}

/* Every bit of a record that is full of stuffed bytes: what comes out was sent. */
static void test_flips(void **state)
{
    uint8_t wire[DRI_EMULATOR_WIRE], flipped[DRI_EMULATOR_WIRE];
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    everything(&e);
    for (size_t i = 0; i < COUNT(fields); i++)
        if (fields[i].exponent == -2)
            dri_emulator_number(&e, fields[i].group, fields[i].place,
                                i % 2 ? 0x7E7D : 0x0D7E);
    size_t n = dri_emulator_record(&e, wire);
    for (size_t bit = 0; bit < n * 8; bit++) {
        rig_reset(&rig);
        memcpy(flipped, wire, n);
        flipped[bit / 8] ^= (uint8_t)(1u << bit % 8);
        rig_feed(&rig, flipped, n);
        assert_int_equal(rig.kept.sets, 0);
        rig_feed(&rig, wire, n); /* and the one behind it is not lost, */
        if (bit >= (n - 1) * 8)  /* unless its own first flag ended the damaged one */
            rig_feed(&rig, wire, n);
        assert_in_range(rig.kept.sets, 1, 2);
        assert_int_equal(rig.kept.set[0].count, COUNT(fields));
        for (size_t i = 0; i < COUNT(fields); i++)
            if (fields[i].exponent == -2)
                assert_int_equal(last(&rig, fields[i].code)->mantissa,
                                 i % 2 ? 0x7E7D : 0x0D7E);
    }
    rig_end(&rig);
    printf("dri: %zu flipped bits, none believed\n", n * 8);
}

/* A list of subrecords that points outside, a class that is not the basic one, trends,
 * and waveforms give nothing. */
static void test_foreign_records(void **state)
{
    static const struct {
        uint16_t at;
        uint8_t value;
        size_t faults;
    } changes[] = {
        {14, 1, 0},  {14, 4, 0}, {16, 1, 1},    {17, 1, 1}, {17, 0xFF, 1},
        {18, 2, 0},  {18, 3, 0}, {18, 0xFF, 0}, {18, 0, 0}, {317, 1, 0},
        {317, 3, 0}, {20, 0, 0}, {19, 200, 0},
    };
    uint8_t wire[DRI_EMULATOR_WIRE];
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    for (size_t c = 0; c < COUNT(changes); c++) {
        rig_reset(&rig);
        everything(&e);
        size_t n = dri_emulator_record(&e, wire), size = 0;
        uint8_t plain[DRI_EMULATOR_RECORD + 1], sum = 0;
        for (size_t i = 1; i < n - 1; i++, size++)
            plain[size] = wire[i] == 0x7D ? (uint8_t)(wire[++i] | 0x20) : wire[i];
        assert_int_equal(size, sizeof(plain));
        plain[changes[c].at] = changes[c].value;
        for (size_t i = 0; i + 1 < size; i++)
            sum = (uint8_t)(sum + plain[i]);
        plain[sizeof(plain) - 1] = sum;
        n = 0;
        wire[n++] = 0x7E;
        for (size_t i = 0; i < size; i++) {
            if (plain[i] == 0x7E || plain[i] == 0x7D)
                wire[n++] = 0x7D;
            wire[n] = plain[i];
            if (n > 0 && wire[n - 1] == 0x7D && (plain[i] == 0x7E || plain[i] == 0x7D))
                wire[n] &= 0xDF;
            n++;
        }
        wire[n++] = 0x7E;
        rig_feed(&rig, wire, n);
        bool untouched = changes[c].at == 19 || changes[c].at == 20;
        assert_int_equal(rig.kept.sets, untouched);
        assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], changes[c].faults);
    }
    rig_end(&rig);
}

/* Records longer than what was asked for: curves of somebody else's are passed over,
 * values that did not fit are not believed, and what cannot be a record is thrown away.
 */
static void test_long_records(void **state)
{
    static const struct {
        size_t size;
        uint8_t type;
        size_t faults;
    } cases[] = {{DRI_RECORD_MAX, 1, 0},
                 {DRI_KEPT_MAX + 1, 4, 0},
                 {DRI_RECORD_MAX, 0, 1},
                 {DRI_RECORD_MAX + 1, 1, 1},
                 {DRI_RECORD_MAX + 500, 1, 1}};
    static uint8_t wire[4 * DRI_RECORD_MAX];
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    everything(&e);
    for (size_t c = 0; c < COUNT(cases); c++) {
        size_t n = 0;
        uint8_t sum = 0;
        wire[n++] = 0x7E;
        for (size_t i = 0; i <= cases[c].size; i++) {
            uint8_t byte = (uint8_t)(i % 100);
            byte = i == 0 ? (uint8_t)cases[c].size : byte;
            byte = i == 1 ? (uint8_t)(cases[c].size >> 8) : byte;
            byte = i >= 14 && i < 40 ? 0 : byte;
            byte = i == 14 ? cases[c].type : byte;
            byte = i == 17 ? 3 : byte; /* a subrecord far behind */
            byte = i == 18 ? 1 : byte;
            byte = i == 21 ? 0xFF : byte;
            byte = i == cases[c].size ? sum : byte;
            sum = (uint8_t)(sum + byte);
            if (byte == 0x7E || byte == 0x7D) {
                wire[n++] = 0x7D;
                byte &= 0xDF;
            }
            wire[n++] = byte;
        }
        wire[n++] = 0x7E;
        rig_reset(&rig);
        rig_feed(&rig, wire, n);
        assert_int_equal(rig.kept.sets, 0);
        assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE] +
                             rig.kept.faults[DRIVER_FAULT_LENGTH],
                         cases[c].faults);
        assert_int_equal(rig.kept.faults[DRIVER_FAULT_CHECKSUM], 0);
        say(&rig, &e);
        assert_int_equal(rig.kept.sets, 1);
        wire[700] ^= 1; /* a curve's damage is damage */
        rig_reset(&rig);
        rig_feed(&rig, wire, n);
        assert_true(rig.kept.bytes > 0 || n < 700);
    }
    assert_true(rig.driver->state_size <= 768); /* it fits into a bed node */
    rig_end(&rig);
}

/* Driver and emulator against each other; records may be damaged on the way. */
static void run(struct rig *rig, struct dri_emulator *e, uint64_t from_us,
                uint64_t until_us)
{
    uint64_t again_ms = 0, again_us = 0;

    for (uint64_t now = from_us; now < until_us; now += SECOND_US / 4) {
        struct emulate_output out = {.count = 0};
        if (again_ms * 1000 <= now) {
            uint8_t bytes[DRIVER_SEND_MAX];
            size_t n = rig->driver->poll(rig->state, now / 1000, bytes, &again_ms);
            assert_true(n == 0 || rig->driver->may_send(bytes, n));
            dri_emulator_feed(e, bytes, n, now, &out);
        }
        dri_emulator_tick(e, now, &out, &again_us);
        for (size_t i = 0; i < out.count; i++)
            rig_feed(rig, out.bursts[i].bytes, out.bursts[i].size);
    }
}

static void test_session(void **state)
{
    static const char *const names[] = {"HR",      "RESP",    "ABPSys", "ABPDias",
                                        "ABPMean", "CVP",     "ICP",    "NBPSys",
                                        "NBPDias", "NBPMean", "TEMP",   "SpO2",
                                        "PULSE",   "etCO2%",  "FiO2",   "PEEP"};
    struct dri_emulator e;
    struct rig rig;

    (void)state;
    rig_start(&rig, "dri");
    dri_emulator_start(&e, 0);
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(dri_emulator_show(&e, names[i], ""), EMULATE_OK);
    assert_int_equal(dri_emulator_show(&e, "HR", "72"), EMULATE_OK);
    assert_int_equal(dri_emulator_show(&e, "TEMP", "36.8"), EMULATE_OK);
    assert_int_equal(dri_emulator_show(&e, "CVP", "-3.25"), EMULATE_OK);
    assert_int_equal(dri_emulator_show(&e, "HR", "72.5"), EMULATE_INEXACT);
    assert_int_equal(dri_emulator_show(&e, "HR", "x"), EMULATE_SYNTAX);
    assert_int_equal(dri_emulator_show(&e, "ABPSys", "400"), EMULATE_RANGE);
    assert_int_equal(dri_emulator_show(&e, "PI", "1"), EMULATE_NO_FIELD);
    run(&rig, &e, 0, 60 * SECOND_US);
    assert_int_equal(e.requests, 1); /* once is enough */
    assert_int_equal(rig.kept.sets, 12);
    assert_int_equal(rig.kept.bytes, 0);
    assert_int_equal(last(&rig, 147842)->mantissa, 72);
    assert_int_equal(last(&rig, 150348)->mantissa, 3680);
    assert_int_equal(last(&rig, 150087)->mantissa, -325);
    assert_int_equal(last(&rig, 150456)->kind, OBSERVATION_ABSENT);
    e.interval_us = 0; /* the monitor was off for a moment: it is asked again */
    run(&rig, &e, 60 * SECOND_US, 90 * SECOND_US);
    assert_int_equal(e.requests, 2);
    assert_in_range(rig.kept.sets, 15, 17);
    memset(&rig.kept, 0, sizeof(rig.kept));
    for (uint32_t bit = 1; bit < 30 * 8; bit += 7) {
        e.flip = bit * 10;
        run(&rig, &e, (90 + 6 * bit) * SECOND_US, (96 + 6 * bit) * SECOND_US);
    }
    for (size_t i = 0; i < rig.kept.sets && i < KEPT_MAX; i++)
        assert_int_equal(find(&rig.kept.set[i], 147842)->mantissa, 72);
    assert_true(rig.kept.faults[DRIVER_FAULT_CHECKSUM] > 0);
    assert_int_equal(e.refused, 0);
    dri_emulator_feed(&e, (const uint8_t *)"\x7E\x01\x02\x7E", 4, 0, NULL);
    assert_int_equal(e.refused, 1);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),      cmocka_unit_test(test_sentinels),
        cmocka_unit_test(test_modules),         cmocka_unit_test(test_labels),
        cmocka_unit_test(test_status),          cmocka_unit_test(test_cuff),
        cmocka_unit_test(test_stuffing),        cmocka_unit_test(test_flips),
        cmocka_unit_test(test_foreign_records), cmocka_unit_test(test_long_records),
        cmocka_unit_test(test_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
