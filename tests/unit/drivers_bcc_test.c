/* SPDX-License-Identifier: Apache-2.0
 *
 * BCC: answers in several blocks, ACK and NAK, more than one pump, a pump at another
 * place, every flipped bit of every block, information without shape, the allow-list.
 */
#include "drivers_test.h"

#include "drivers/bcc.h"
#include "drivers/checksum.h"
#include "drivers/emulate/bcc.h"

#define RS "\x1E"

/* A block to the driver, not stuffed; last false: more follow. */
static void block(struct rig *rig, const char *text, bool last)
{
    uint8_t frame[400];
    size_t n = bcc_frame(text, strlen(text), frame);

    if (!last) { /* the same with ETB */
        unsigned sum;
        frame[n - 7] = BCC_ETB;
        sum = checksum_sum8(frame, n - 6);
        for (size_t i = 0; i < BCC_DIGITS; i++, sum /= 10)
            frame[n - 2 - i] = (uint8_t)('0' + sum % 10);
    }
    rig_feed(rig, frame, n);
}

static const struct observation *find(const struct observation_set *set, uint32_t code)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].code == code)
            return &set->items[i];
    return NULL;
}

static void assert_value(const struct observation_set *set, uint32_t code, uint32_t unit,
                         int64_t mantissa, int exponent)
{
    const struct observation *o = find(set, code);

    assert_non_null(o);
    assert_int_equal(o->kind, OBSERVATION_NUMERIC);
    assert_int_equal(o->unit, unit);
    assert_int_equal(o->mantissa, mantissa);
    assert_int_equal(o->exponent, exponent);
    assert_int_equal(o->quality, 0);
}

static void test_blocks(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "bcc");
    block(&rig, "BED07/1/1>5,50111,INRT,12.50", false);
    assert_int_equal(rig.kept.sets, 0); /* the answer is not over */
    block(&rig, "BED07/1/1>5,50111,INVI,3.1" RS "5,50100,FMNOR,1", false);
    block(&rig, "BED07/1/1>5,50111,INRMT,90", true);
    assert_int_equal(rig.kept.sets, 1);
    assert_int_equal(rig.kept.set[0].count, 3);
    assert_value(&rig.kept.set[0], 157784, 265266, 1250, -2);
    assert_value(&rig.kept.set[0], 157993, 263762, 31, -1);
    assert_value(&rig.kept.set[0], 157916, 264320, 90, 0);
    block(&rig, "BED07/1/1>6,50111,INVTB,100", true); /* only what this answer says */
    assert_int_equal(rig.kept.sets, 2);
    assert_int_equal(rig.kept.set[1].count, 1);
    block(&rig, "BED07/1/1>6,50111,INM3,1", true); /* nothing that is given */
    assert_int_equal(rig.kept.sets, 2);
    assert_int_equal(rig.kept.bytes, 0);
    rig_end(&rig);
}

/* Nobody could tell whose the rate is. */
static void test_pumps(void **state)
{
    struct rig rig;

    (void)state;
    rig_start(&rig, "bcc");
    for (int round = 0; round < 3; round++) {
        block(&rig, "B/1/1>5,50111,INRT,12.50", false);
        block(&rig, "B/1/1>5,50112,INRT,1.00", true);
    }
    assert_int_equal(rig.kept.sets, 0);
    assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], 3);
    block(&rig, "B/1/1>5,50111,INRT,12.50", true); /* one was taken off the station */
    assert_int_equal(rig.kept.sets, 1);
    block(&rig, "B/1/1>5,50112,INRT,1.00", true); /* another one is there: not at once */
    assert_int_equal(rig.kept.sets, 1);
    block(&rig, "B/1/1>5,50112,INRT,1.00", true);
    assert_int_equal(rig.kept.sets, 2);
    assert_value(&rig.kept.set[1], 157784, 265266, 100, -2);
    rig_end(&rig);
}

/* Information and headers without shape void the answer that they are in. */
static void test_shapes(void **state)
{
    static const char *const bad[] = {"B/1/1>",
                                      "B/1/1>5,50111,INRT",
                                      "B/1/1>5,50111,INRT,",
                                      "B/1/1>x,50111,INRT,1",
                                      "B/1/1>5,5011,INRT,1",
                                      "B/1/1>5,50111,,1",
                                      "B/1/1>5,50111,INRT,1.",
                                      "B/1/1>5,50111,INRT,1e3",
                                      "B/1/1>5,50111,INRT, 1",
                                      "B/1/1>5,50111,INRT,123456789012345678901",
                                      "B/1/1>5,50111,INRT,1\036",
                                      "B/1/1>5,50111,INRT,1\036\0365,50111,INVI,1",
                                      "B/1/1>5,50100,GNERR,12\0365,50111,INRT,1",
                                      "B/1/2>5,50111,INRT,1",
                                      "/1/1>5,50111,INRT,1",
                                      "B*D/1/1>5,50111,INRT,1",
                                      "SIXTEENTHLETTERS/1/1>5,50111,INRT,1",
                                      "5,50111,INRT,1"};
    struct rig rig;

    (void)state;
    rig_start(&rig, "bcc");
    for (size_t i = 0; i < COUNT(bad); i++) {
        rig_reset(&rig);
        block(&rig, bad[i], true);
        assert_int_equal(rig.kept.sets, 0);
        assert_int_equal(rig.kept.faults[DRIVER_FAULT_VALUE], 1);
        block(&rig, "B/1/1>5,50111,INRT,1", true); /* and not the next one */
        assert_int_equal(rig.kept.sets, 1);
    }
    rig_reset(&rig); /* a part without shape in the first block */
    block(&rig, "B/1/1>5,50111,INRT", false);
    block(&rig, "B/1/1>5,50111,INVI,1", true);
    assert_int_equal(rig.kept.sets, 0);
    rig_reset(&rig); /* a value may hold commas, D and E */
    block(&rig, "B/1/1>5,50111,INSOL,DELTA, e,d" RS "5,50111,INRT,1", true);
    assert_int_equal(rig.kept.sets, 1);
    rig_reset(&rig); /* longer than any block: thrown away, and the next is read */
    for (int i = 0; i < 4000; i++)
        rig_feed(&rig, (const uint8_t *)(i ? "x" : "\x01"), 1);
    block(&rig, "B/1/1>5,50111,INRT,1", true);
    assert_int_equal(rig.kept.sets, 1);
    assert_int_equal(rig.kept.bytes, 4000);
    rig_end(&rig);
}

/* Stuffing from left to right, and what it never makes. */
static void test_stuffing(void **state)
{
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"\x01"
         "00031\x02"
         "1/1/1>AEXMIN:ALIVEE\x03"
         "00061\x04",
         "\x01"
         "00031\x02"
         "1/1/1>ADMIN:ALIVE\x03"
         "00061\x04"}, /* the maker's */
        {"\x01"
         "00031\x02"
         "BEEEX07/1/1>MEEM:GEET\x03"
         "00035\x04",
         "\x01"
         "00031\x02"
         "BED07/1/1>MEM:GET\x03"
         "00035\x04"},
        {"\x01"
         "00031\x02"
         "BEDX07/1/1>MEEM:GEET\x03"
         "00035\x04",
         NULL},
        {"\x01"
         "00031\x02"
         "BEEED07/1/1>MEEM:GEET\x03"
         "00035\x04",
         NULL},
        {"\x01"
         "00031\x02"
         "BEEex07/1/1>MEEM:GEET\x03"
         "00035\x04",
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint8_t frame[64];
        size_t n = strlen(cases[i].line);
        memcpy(frame, cases[i].line, n);
        n = bcc_check(frame, n);
        assert_int_equal(n, cases[i].text ? strlen(cases[i].text) : 0);
        if (n > 0)
            assert_memory_equal(frame, cases[i].text, n);
    }
}

/* Runs driver and emulator against each other for some tenths of a second. */
static void run(struct rig *rig, struct bcc_emulator *e, uint64_t *now, unsigned tenths)
{
    for (uint64_t end = *now + tenths * UINT64_C(100); *now < end; *now += 100) {
        struct emulate_output out = {.count = 0};
        uint8_t bytes[DRIVER_SEND_MAX];
        uint64_t again;
        size_t n = rig->driver->poll(rig->state, *now, bytes, &again);
        assert_true(n == 0 || rig->driver->may_send(bytes, n));
        bcc_emulator_feed(e, bytes, n, *now * 1000, &out);
        for (size_t i = 0; i < out.count; i++)
            rig_feed(rig, out.bursts[i].bytes, out.bursts[i].size);
    }
}

static void show_all(struct bcc_emulator *e)
{
    bcc_emulator_start(e, 0);
    assert_int_equal(bcc_emulator_show(e, "rate", "12.50"), EMULATE_OK);
    assert_int_equal(bcc_emulator_show(e, "infused", "3.1"), EMULATE_OK);
    assert_int_equal(bcc_emulator_show(e, "vtbi", "500.00"), EMULATE_OK);
    assert_int_equal(bcc_emulator_show(e, "remaining", "3600"), EMULATE_OK);
}

static void assert_shown(const struct observation_set *set)
{
    assert_int_equal(set->count, 4);
    assert_value(set, 157784, 265266, 1250, -2);
    assert_value(set, 157993, 263762, 31, -1);
    assert_value(set, 157884, 263762, 50000, -2);
    assert_value(set, 157916, 264320, 3600, 0);
}

static void test_session(void **state)
{
    struct bcc_emulator e;
    struct rig rig;
    uint64_t now = 0;

    (void)state;
    rig_start(&rig, "bcc");
    for (int unstuffed = 0; unstuffed < 2; unstuffed++) {
        rig_reset(&rig);
        show_all(&e);
        e.bed = unstuffed ? "DEpot_deED" : "BED07";
        e.unstuffed = unstuffed;
        run(&rig, &e, &now, 600);
        assert_int_equal(e.alive, 1);
        assert_in_range(rig.kept.sets, 9, 12);
        assert_int_equal(rig.kept.sets, e.answers);
        assert_int_equal(rig.kept.bytes, 0);
        assert_int_equal(e.refused, 0);
        assert_int_equal(e.naks, 0);
        for (size_t s = 0; s < rig.kept.sets; s++)
            assert_shown(&rig.kept.set[s]);
    }
    memset(&rig.kept, 0, sizeof(rig.kept));
    e.off = true;
    run(&rig, &e, &now, 100);
    assert_in_range(rig.kept.sets, 1, 2);
    for (size_t i = 0; i < rig.kept.set[0].count; i++)
        assert_int_equal(rig.kept.set[0].items[i].kind, OBSERVATION_ABSENT);
    e.off = false;
    assert_int_equal(bcc_emulator_show(&e, "rate", ""), EMULATE_OK);
    e.second = "50112";
    memset(&rig.kept, 0, sizeof(rig.kept));
    run(&rig, &e, &now, 300);
    assert_int_equal(rig.kept.sets, 0);
    assert_in_range(rig.kept.faults[DRIVER_FAULT_VALUE], 2, 7);
    e.second = NULL;
    e.bed = "WARD"; /* another station: what was asked of the last one it refuses */
    run(&rig, &e, &now, 300);
    assert_in_range(rig.kept.sets, 2, 6);
    assert_int_equal(find(&rig.kept.set[0], 157784)->kind, OBSERVATION_ABSENT);
    assert_true(e.alive >= 2);
    assert_int_equal(bcc_emulator_show(&e, "rate", "x"), EMULATE_SYNTAX);
    assert_int_equal(bcc_emulator_show(&e, "rate", "1234567890.123456"), EMULATE_INEXACT);
    assert_int_equal(bcc_emulator_show(&e, "HR", "1"), EMULATE_NO_FIELD);
    rig_end(&rig);
}

/* Every bit of the blocks of an answer: NAK, and it comes again. */
static void test_session_flips(void **state)
{
    struct bcc_emulator e;
    struct rig rig;
    size_t flips = 0, naks = 0;

    (void)state;
    rig_start(&rig, "bcc");
    for (uint32_t blocks = 0; blocks < 2; blocks++)
        for (uint32_t bit = 1; bit <= 120 * 8; bit++) {
            uint64_t now = 0;
            rig_reset(&rig);
            show_all(&e);
            while (!e.getting || e.block < (int)blocks)
                run(&rig, &e, &now, 1);
            e.flip = bit; /* of the next block, or of the next answer's first */
            run(&rig, &e, &now, 200);
            flips += e.flip == 0;
            naks += e.naks;
            assert_true(rig.kept.sets > 0);
            for (size_t s = 0; s < rig.kept.sets; s++)
                assert_shown(&rig.kept.set[s]);
        }
    rig_end(&rig);
    assert_true(flips > 1200 && naks > 1000);
    printf("bcc: %zu flipped bits, %zu blocks sent again, nothing wrong\n", flips, naks);
}

/* A station that never sends a good block is left and spoken to anew. */
static void test_naks(void **state)
{
    static const uint8_t bad[] = "\x01"
                                 "00031\x02"
                                 "B/1/1>5,50111,INRT,1\x03"
                                 "00000\x04";
    struct rig rig;
    uint64_t now = 0, again;
    size_t naks = 0, alive = 0;

    (void)state;
    rig_start(&rig, "bcc");
    for (; now < 60000; now = again) {
        uint8_t out[DRIVER_SEND_MAX];
        size_t n = rig.driver->poll(rig.state, now, out, &again);
        if (n == 0)
            continue;
        naks += out[0] == BCC_NAK;
        alive += out[0] == BCC_SOH;
        rig_feed(&rig, bad, sizeof(bad) - 1);
    }
    assert_in_range(alive, 6, 14);
    assert_in_range(naks, alive, 3 * alive);
    assert_int_equal(rig.kept.sets, 0);
    rig_end(&rig);
}

/* Beds of every kind, other requests, other stuffing. */
static void test_allow_list(void **state)
{
    static const char *const good[] = {"1/1/1>ADMIN:ALIVE", "ComSystem/1/1>MEM:GET",
                                       "FIFTEENLETTERSd/1/1>MEM:GET", "a/b/1/1>MEM:GET",
                                       "eeeeeeeeeeeeeee/1/1>ADMIN:ALIVE"};
    static const char *const bad[] = {"ComSystem/1/1>MEM:GETSLOT#13",
                                      "B/1/1>MEM:SET",
                                      "B/1/1>ADMIN:VERSION",
                                      "B/1/1>MEM:GET ",
                                      "B/1/1>",
                                      "/1/1>MEM:GET",
                                      "B/1/2>MEM:GET",
                                      "SIXTEENTHLETTERS/1/1>MEM:GET",
                                      "B C/1/1>MEM:GET",
                                      "B/1/1>5,50111,INRT,99.0"};
    const struct driver *d = driver_by_name("bcc");
    size_t changed = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(good) + COUNT(bad); i++) {
        const bool may = i < COUNT(good);
        const char *text = may ? good[i] : bad[i - COUNT(good)];
        uint8_t frame[80], line[160];
        size_t size = 0, n = bcc_frame(text, strlen(text), frame);
        for (size_t k = 0; k < n; k++) {
            const uint8_t c = frame[k];
            const bool lower = c == 'd' || c == 'e';
            if (c != 'D' && c != 'E' && !lower) {
                line[size++] = c;
                continue;
            }
            line[size++] = lower ? 'e' : 'E';
            line[size++] = (uint8_t)(c == 'D' ? 'X' : c == 'd' ? 'x' : c);
        }
        assert_true(!may || size <= DRIVER_SEND_MAX);
        assert_int_equal(d->may_send(line, size), may);
        assert_false(d->may_send(frame, n)); /* not stuffed */
        for (size_t k = 2; k < size; k++)
            assert_false(d->may_send(line, k));
        for (size_t at = 0; may && at < size; at++)
            for (unsigned bit = 0; bit < 8; bit++, changed++) {
                line[at] ^= (uint8_t)(1u << bit);
                assert_false(d->may_send(line, size));
                line[at] ^= (uint8_t)(1u << bit);
            }
    }
    for (unsigned value = 0; value < 256; value++) {
        const uint8_t one = (uint8_t)value;
        assert_int_equal(d->may_send(&one, 1), value == BCC_ACK || value == BCC_NAK);
    }
    printf("bcc: %zu changed requests refused\n", changed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),  cmocka_unit_test(test_pumps),
        cmocka_unit_test(test_shapes),  cmocka_unit_test(test_stuffing),
        cmocka_unit_test(test_session), cmocka_unit_test(test_session_flips),
        cmocka_unit_test(test_naks),    cmocka_unit_test(test_allow_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
