/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pb_decode.h>

#include "wire/envelope.h"
#include "wire_sample.h"

static const struct epoch epoch = {
    {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

/* An envelope of n readings with seqs from first. Returns its size; the payload is copied
 * to out. */
static size_t make(uint8_t *out, uint64_t first, int n)
{
    static uint8_t room[ENVELOPE_SIZE_MAX];
    uint8_t bytes[RECORD_SIZE_MAX], item[RECORD_SIZE_MAX + ENVELOPE_ITEM_OVERHEAD];
    struct envelope_writer writer;
    const uint8_t *payload;
    wardgate_Record record;
    int size;

    assert_int_equal(envelope_begin(&writer, room, sizeof(room), "bay-1", &epoch),
                     WIRE_OK);
    for (int i = 0; i < n; i++) {
        int item_size;
        sample_reading(&record);
        record.seq = first + (uint64_t)i;
        size = record_encode(&record, bytes, sizeof(bytes));
        assert_true(size > 0);
        item_size = envelope_item(bytes, (size_t)size, item, sizeof(item));
        assert_true(item_size > size && item_size <= size + ENVELOPE_ITEM_OVERHEAD);
        assert_int_equal(envelope_add(&writer, item, (size_t)item_size), WIRE_OK);
    }
    assert_int_equal(writer.records, n);
    size = envelope_end(&writer, &payload);
    assert_true(size > 0);
    memcpy(out, payload, (size_t)size);
    return (size_t)size;
}

static void test_round_trip(void **state)
{
    static uint8_t payload[ENVELOPE_SIZE_MAX];
    struct envelope_reader reader;
    const uint8_t *bytes;
    wardgate_Record record;
    size_t size, n;

    (void)state;
    for (int records = 1; records <= 400; records = records * 3 + 1) {
        size = make(payload, 10, records);
        assert_int_equal(envelope_open(&reader, payload, size), WIRE_OK);
        assert_string_equal(reader.gateway, "bay-1");
        assert_true(epoch_equal(&reader.epoch, &epoch));
        for (int i = 0; i < records; i++) {
            assert_int_equal(envelope_next(&reader, &bytes, &n), 1);
            assert_int_equal(record_decode(bytes, n, &record, NULL), WIRE_OK);
            assert_int_equal(record.seq, 10 + i);
        }
        assert_int_equal(envelope_next(&reader, &bytes, &n), 0);
        assert_int_equal(envelope_next(&reader, &bytes, &n), 0);
    }
}

/* Any protobuf reader can read what we write by copying. */
static bool count_record(pb_istream_t *stream, const pb_field_t *field, void **argument)
{
    wardgate_Record record = wardgate_Record_init_zero;

    (void)field;
    if (!pb_decode(stream, wardgate_Record_fields, &record))
        return false;
    ++*(int *)*argument;
    return true;
}

static bool read_body(pb_istream_t *stream, const pb_field_t *field, void **argument)
{
    wardgate_Body body = wardgate_Body_init_zero;

    (void)field;
    body.records.funcs.decode = count_record;
    body.records.arg = *argument;
    return pb_decode(stream, wardgate_Body_fields, &body) &&
           strcmp(body.gateway, "bay-1") == 0 &&
           memcmp(body.epoch, epoch.bytes, EPOCH_SIZE) == 0;
}

static void test_nanopb_reads_it(void **state)
{
    static uint8_t payload[ENVELOPE_SIZE_MAX];
    wardgate_Envelope envelope = wardgate_Envelope_init_zero;
    pb_istream_t stream = pb_istream_from_buffer(payload, make(payload, 1, 100));
    int count = 0;

    (void)state;
    envelope.body.funcs.decode = read_body;
    envelope.body.arg = &count;
    assert_true(pb_decode(&stream, wardgate_Envelope_fields, &envelope));
    assert_int_equal(count, 100);
}

/* Cut at every byte: refused as a whole, before any record is handed out. */
static void test_cut_at_every_byte(void **state)
{
    static uint8_t payload[ENVELOPE_SIZE_MAX];
    size_t size = make(payload, 1, 20), cut;

    (void)state;
    for (cut = 0; cut < size; cut++) {
        struct envelope_reader reader;
        uint8_t *exact = malloc(cut + 1);
        assert_non_null(exact);
        memcpy(exact, payload, cut);
        if (envelope_open(&reader, exact, cut) != WIRE_MALFORMED)
            fail_msg("accepted when cut at %zu of %zu", cut, size);
        free(exact);
    }
    printf("%zu cuts refused\n", cut);
}

/* A flipped bit may change a record (its own digest and seal are for that), but the frame
 * is never walked past its end, and what is handed out lies inside. */
static void test_flipped_at_every_bit(void **state)
{
    static uint8_t payload[ENVELOPE_SIZE_MAX];
    size_t size = make(payload, 1, 5), opened = 0;

    (void)state;
    for (size_t i = 0; i < size * 8; i++) {
        struct envelope_reader reader;
        const uint8_t *bytes;
        size_t n;
        int more, records = 0;
        payload[i / 8] ^= (uint8_t)(1 << i % 8);
        if (envelope_open(&reader, payload, size) == WIRE_OK) {
            opened++;
            while ((more = envelope_next(&reader, &bytes, &n)) == 1) {
                assert_true(bytes >= payload && bytes + n <= payload + size);
                records++;
            }
            assert_int_equal(more, 0);
            assert_true(records <= 5);
        }
        payload[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    printf("%zu flips, %zu still framed\n", size * 8, opened);
}

#define GATEWAY                                                                          \
    "\x0a\x05"                                                                           \
    "bay-1"
#define EPOCH                                                                            \
    "\x12\x10"                                                                           \
    "0123456789abcdef"
static const struct {
    const char *bytes;
    size_t n;
    int error;
} bad[] = {
#define BAD(text, error)                                                                 \
    {                                                                                    \
        text, sizeof(text) - 1, error                                                    \
    }
    BAD("", WIRE_MALFORMED),
    BAD("\x12\x00", WIRE_MALFORMED),             /* only a mac */
    BAD("\x0a\x00", WIRE_INVALID),               /* an empty body */
    BAD("\x0a\x07" GATEWAY, WIRE_INVALID),       /* no epoch */
    BAD("\x0a\x19" GATEWAY EPOCH, WIRE_INVALID), /* no record */
    BAD("\x0a\x12" EPOCH, WIRE_INVALID),         /* no gateway */
    BAD("\x0a\x19" GATEWAY EPOCH "\x0a\x19" GATEWAY EPOCH,
        WIRE_MALFORMED), /* two bodies */
    BAD("\x0a\x19" GATEWAY EPOCH "\x12\x01x",
        WIRE_INVALID), /* a mac that nobody can check */
    BAD("\x0a\x20" GATEWAY GATEWAY EPOCH, WIRE_MALFORMED), /* two gateways */
    BAD("\x0a\x2b" GATEWAY EPOCH EPOCH, WIRE_MALFORMED),   /* two epochs */
    BAD("\x0a\x08" GATEWAY "\x12", WIRE_MALFORMED),
    BAD("\x0a\x0b" GATEWAY "\x12\x02"
        "ab",
        WIRE_INVALID), /* a short epoch */
    BAD("\x0a\x19\x0a\x05"
        "Bay-1" EPOCH,
        WIRE_INVALID), /* not a name */
    BAD("\x0a\x19\x0a\x05"
        "b\0y-1" EPOCH,
        WIRE_INVALID),
    BAD("\x0a\x14\x0a\x00" EPOCH, WIRE_INVALID),              /* an empty name */
    BAD("\x0a\x1b" GATEWAY EPOCH "\x1a\x00", WIRE_INVALID),   /* an empty record */
    BAD("\x0a\x1b" GATEWAY EPOCH "\x1a\x05", WIRE_MALFORMED), /* a record past the body */
    BAD("\x0a\x1b" GATEWAY EPOCH "\x18\x05",
        WIRE_MALFORMED),                                  /* a record that is a number */
    BAD("\x0a\x1a" GATEWAY EPOCH "\x1b", WIRE_MALFORMED), /* a group */
    BAD("\x08\x01", WIRE_MALFORMED),
    BAD("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        WIRE_MALFORMED), /* a length of 2^64-1 */
    BAD("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", WIRE_MALFORMED),
    BAD("\x00\x00", WIRE_MALFORMED), /* field 0 */
};

static void test_bad_envelopes(void **state)
{
    static uint8_t large[ENVELOPE_SIZE_MAX + 1];
    struct envelope_reader reader;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int error = envelope_open(&reader, (const uint8_t *)bad[i].bytes, bad[i].n);
        if (error != bad[i].error)
            fail_msg("case %zu: expected %d, was %d", i, bad[i].error, error);
    }
    assert_int_equal(envelope_open(&reader, large, sizeof(large)), WIRE_LIMIT);
    printf("%zu bad envelopes\n", sizeof(bad) / sizeof(bad[0]) + 1);
}

static void test_writer_limits(void **state)
{
    static uint8_t room[ENVELOPE_SIZE_MAX + 100],
        item[RECORD_SIZE_MAX + ENVELOPE_ITEM_OVERHEAD];
    static uint8_t record[RECORD_SIZE_MAX + 1];
    struct envelope_writer writer;
    struct envelope_reader reader;
    const uint8_t *payload;
    int n, added = 0, size;

    (void)state;
    assert_int_equal(envelope_item(record, RECORD_SIZE_MAX + 1, item, sizeof(item)),
                     WIRE_LIMIT);
    assert_int_equal(envelope_item(record, 0, item, sizeof(item)), WIRE_INVALID);
    assert_int_equal(envelope_item(record, 100, item, 101), WIRE_LIMIT);
    n = envelope_item(record, RECORD_SIZE_MAX, item, sizeof(item));
    assert_int_equal(n, RECORD_SIZE_MAX + 3);

    assert_int_equal(envelope_begin(&writer, room, 3, "bay-1", &epoch), WIRE_LIMIT);
    assert_int_equal(envelope_begin(&writer, room, 20, "bay-1", &epoch), WIRE_LIMIT);
    assert_int_equal(envelope_begin(&writer, room, sizeof(room), "", &epoch),
                     WIRE_INVALID);
    assert_int_equal(envelope_begin(&writer, room, sizeof(room), "a/b", &epoch),
                     WIRE_INVALID);
    assert_int_equal(envelope_begin(&writer, room, sizeof(room), "bay-1", &epoch),
                     WIRE_OK);
    assert_int_equal(envelope_add(&writer, (const uint8_t *)"\x0a\x01x", 3),
                     WIRE_MALFORMED);
    assert_int_equal(envelope_add(&writer, item, (size_t)n - 1), WIRE_MALFORMED);
    while (envelope_add(&writer, item, (size_t)n) == WIRE_OK)
        added++;
    assert_int_equal(added,
                     15); /* whatever the room, no payload is larger than the limit */
    size = envelope_end(&writer, &payload);
    assert_true(size <= ENVELOPE_SIZE_MAX && payload >= room);
    assert_int_equal(envelope_open(&reader, payload, (size_t)size), WIRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_nanopb_reads_it),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_flipped_at_every_bit),
        cmocka_unit_test(test_bad_envelopes),
        cmocka_unit_test(test_writer_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
