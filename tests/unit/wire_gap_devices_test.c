/* SPDX-License-Identifier: Apache-2.0
 *
 * Which device lost how much inside a gap: adding up, the limits, and lists from outside
 * that do not add up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/gap_devices.h"
#include "wire/protobuf.h"
#include "wire_sample.h"

#define UTC INT64_C(1784729109250000)

static struct gap_devices list, back;

static wardgate_GapDevice part_of(const char *id, const char *place, uint64_t count)
{
    wardgate_GapDevice part;

    memset(&part, 0, sizeof(part));
    (void)snprintf(part.id, sizeof(part.id), "%s", id);
    (void)snprintf(part.place, sizeof(part.place), "%s", place);
    part.count = count;
    return part;
}

/* A gap record that the list adds up to. */
static void gap_of(wardgate_Record *record)
{
    sample_gap(record);
    record->seq = 1000;
    record->gap.from_seq = 1;
    record->gap.to_seq = 900;
    record->gap.count = 0;
    record->gap.count_unknown = false;
    for (size_t i = 0; i < list.count; i++) {
        record->gap.count += list.items[i].count;
        record->gap.count_unknown |= list.items[i].count_unknown;
    }
}

static int setup(void **state)
{
    (void)state;
    memset(&list, 0, sizeof(list));
    return 0;
}

/* What is written is read again, and takes the room that was reckoned. */
static void there_and_back(const wardgate_Record *record)
{
    uint8_t bytes[RECORD_SIZE_MAX], bare[RECORD_SIZE_MAX];
    wardgate_Record is;
    const char *field = "";
    int n = record_encode_gap(record, &list, bytes, sizeof(bytes));
    int without = record_encode(record, bare, sizeof(bare));

    assert_true(without > 0 && n > without);
    if (record_decode(bytes, (size_t)n, &is, &field) != WIRE_OK)
        fail_msg("refused: %s", field);
    assert_int_equal(is.gap.count, record->gap.count);
    memset(&back, 0x5a, sizeof(back));
    assert_int_equal(gap_devices_read(bytes, (size_t)n, &back), list.count);
    assert_int_equal(back.size, list.size);
    for (size_t i = 0; i < list.count; i++) {
        assert_string_equal(back.items[i].id, list.items[i].id);
        assert_string_equal(back.items[i].identity, list.items[i].identity);
        assert_string_equal(back.items[i].line, list.items[i].line);
        assert_string_equal(back.items[i].place, list.items[i].place);
        assert_int_equal(back.items[i].count, list.items[i].count);
        assert_int_equal(back.items[i].count_unknown, list.items[i].count_unknown);
        assert_int_equal(back.items[i].first_utc_us, list.items[i].first_utc_us);
        assert_int_equal(back.items[i].last_utc_us, list.items[i].last_utc_us);
        assert_int_equal(back.items[i].uncertainty_ms, list.items[i].uncertainty_ms);
        assert_int_equal(back.items[i].undated, list.items[i].undated);
    }
    /* The outer length may have grown by a byte or two; all else is the list. */
    if (list.count > 0 && list.items[0].id[0] != '\0')
        assert_in_range((size_t)(n - without), list.size, list.size + 48 + 2);
}

static void readings_are_added_up(void **state)
{
    wardgate_Record record;
    wardgate_GapDevice part;

    (void)state;
    for (int i = 0; i < 30; i++) {
        sample_reading(&record);
        (void)snprintf(record.device.id, sizeof(record.device.id), "monitor-%d",
                       i % 3 + 1);
        (void)snprintf(record.device.identity, sizeof(record.device.identity), "no %d",
                       i);
        record.time.utc_us = UTC + i;
        record.time.uncertainty_ms = i == 4 ? 70 : 12;
        if (i == 8) { /* the clock of one was not known */
            record.time.sync = wardgate_TimeBlock_Sync_UNKNOWN;
            record.time.utc_us = 0;
        }
        if (i == 29) /* the third was moved: what it lost there is another bed's loss */
            (void)snprintf(record.place, sizeof(record.place), "bay-2-bed-1");
        gap_devices_of_reading(&record, &part);
        assert_true(gap_devices_add(&list, &part));
    }
    assert_int_equal(list.count, 4);
    assert_string_equal(list.items[0].id, "monitor-1");
    assert_string_equal(list.items[0].identity, "no 27");
    assert_string_equal(list.items[0].line, "bus-a");
    assert_string_equal(list.items[0].place, "bay-1-bed-3");
    assert_int_equal(list.items[0].count, 10);
    assert_int_equal(list.items[0].first_utc_us, UTC);
    assert_int_equal(list.items[0].last_utc_us, UTC + 27);
    assert_int_equal(list.items[0].uncertainty_ms, 12);
    assert_int_equal(list.items[1].uncertainty_ms, 70);
    assert_int_equal(list.items[2].count, 9);
    assert_true(list.items[2].undated);
    assert_int_equal(list.items[2].first_utc_us, UTC + 2);
    assert_int_equal(list.items[3].count, 1);
    assert_string_equal(list.items[3].place, "bay-2-bed-1");
    assert_int_equal(list.items[3].first_utc_us, UTC + 29);
    gap_of(&record);
    there_and_back(&record);
}

static void older_gaps_hand_their_parts_on(void **state)
{
    wardgate_Record record;
    wardgate_GapDevice part;

    (void)state;
    sample_reading(&record);
    record.kind = wardgate_Record_Kind_GAP;
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_RESTART;
    record.gap.count = 4;
    record.gap.has_from = record.gap.has_to = true;
    record.gap.from = record.gap.to = record.time;
    record.gap.from.utc_us -= 5000000;
    gap_devices_of_gap(&record, &part);
    assert_true(gap_devices_add(&list, &part));
    record.gap.count_unknown = true; /* its number then means nothing */
    gap_devices_of_gap(&record, &part);
    assert_true(gap_devices_add(&list, &part));
    record.has_device = false; /* a damaged record: whose, nobody knows */
    record.gap.count_unknown = false;
    record.gap.count = 1;
    gap_devices_of_gap(&record, &part);
    assert_true(gap_devices_add(&list, &part));
    assert_true(gap_devices_add(&list, &part));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].count, 4);
    assert_true(list.items[0].count_unknown);
    assert_int_equal(list.items[0].last_utc_us - list.items[0].first_utc_us, 5000000);
    assert_string_equal(list.items[1].id, "");
    assert_int_equal(list.items[1].count, 2);
    assert_false(list.items[1].count_unknown);
    gap_of(&record);
    there_and_back(&record);
}

/* Whatever devices there are, the record is one that can be stored and sent, and a count
 * always has somewhere to go. */
static void is_bounded(void **state)
{
    char id[64], place[64];
    wardgate_Record record;
    wardgate_GapDevice part;
    size_t sizes[] = {3, 20, 63};

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        size_t n = 0, before;
        memset(&list, 0, sizeof(list));
        memset(id, 'x', sizeof(id));
        id[sizes[s]] = '\0';
        memset(place, 'y', sizeof(place));
        place[sizes[s]] = '\0';
        for (;; n++) {
            (void)snprintf(id, 4, "%03zu", n);
            id[3] = sizes[s] > 3 ? 'x' : '\0';
            part = part_of(id, place, UINT64_C(1) << 40);
            part.first_utc_us = part.last_utc_us = UTC;
            part.uncertainty_ms = UINT32_MAX;
            part.undated = true;
            memset(part.identity, 'z', sizes[s] * 3 / 2);
            before = list.size;
            if (n % 2 == 1)
                gap_devices_add_nameless(&list, &part);
            if (!gap_devices_add(&list, &part))
                break;
        }
        assert_int_equal(list.size, before); /* refused, and nothing was changed */
        assert_int_equal(list.count, n + 1); /* all named ones, and the nameless */
        print_message("names of %zu characters: %zu devices in %zu bytes\n", sizes[s], n,
                      list.size);
        assert_true(sizes[s] > 3 ? list.size > GAP_DEVICES_SIZE_MAX - 400
                                 : n == GAP_DEVICES_MAX - 1);
        assert_true(list.size <= GAP_DEVICES_SIZE_MAX);
        gap_of(&record);
        record.has_time = record.gap.has_from = record.gap.has_to = true;
        sample_time(&record.time);
        record.time.uncertainty_ms = UINT32_MAX;
        (void)snprintf(record.time.device_time, sizeof(record.time.device_time), "%s",
                       "2026-07-22T14:05:09, and more");
        record.gap.from = record.gap.to = record.time;
        record.gap.from_sample = record.gap.to_sample = UINT64_MAX;
        record.seq = record.gap.to_seq = INT64_MAX;
        there_and_back(&record);
        /* One that is known still adds up; it has grown, and is reckoned again. */
        part = list.items[0];
        part.count = 1;
        (void)gap_devices_add(&list, &part);
        gap_of(&record);
        there_and_back(&record);
    }
}

/* --- from outside --- */

/* The gap's own field, and the list in a second piece of it: protobuf joins them. */
static size_t outside(wardgate_Record *record, uint8_t *bytes)
{
    struct pb_out out = {NULL, bytes + RECORD_SIZE_MAX, false};
    uint8_t *begin;
    int n = record_encode(record, bytes, RECORD_SIZE_MAX);

    assert_true(n > 0);
    out.at = bytes + n;
    begin = pb_out_begin(&out, wardgate_Record_gap_tag);
    gap_devices_put(&out, &list);
    pb_out_end(&out, begin);
    assert_false(out.full);
    return (size_t)(out.at - bytes);
}

static void refused(wardgate_Record *record, const char *why)
{
    uint8_t bytes[RECORD_SIZE_MAX], ours[RECORD_SIZE_MAX];
    wardgate_Record is;
    const char *field = "nothing";
    size_t n = outside(record, bytes);

    if (record_decode(bytes, n, &is, &field) != WIRE_INVALID ||
        strcmp(field, "gap.devices") != 0)
        fail_msg("%s: names %s", why, field);
    if (list.count < GAP_DEVICES_MAX)
        assert_int_equal(record_encode_gap(record, &list, ours, sizeof(ours)),
                         WIRE_INVALID);
}

static void two_parts(wardgate_Record *record)
{
    wardgate_GapDevice part;

    memset(&list, 0, sizeof(list));
    part = part_of("monitor-1", "bed-1", 7);
    assert_true(gap_devices_add(&list, &part));
    part = part_of("monitor-2", "bed-2", 5);
    assert_true(gap_devices_add(&list, &part));
    gap_of(record);
}

static void lists_that_can_not_be_are_refused(void **state)
{
    /* gap{devices{count: 1}} */
    static const uint8_t one[] = {0x4a, 4, 0x52, 2, 0x28, 1};
    uint8_t bytes[RECORD_SIZE_MAX];
    wardgate_Record record, is;
    const char *field;
    size_t n;

    (void)state;
    two_parts(&record);
    assert_int_equal(record_decode(bytes, outside(&record, bytes), &is, NULL), WIRE_OK);
    assert_int_equal(gap_devices_read(bytes, outside(&record, bytes), &back), 2);
    record.gap.count = 11;
    refused(&record, "adds up to another count");
    two_parts(&record);
    list.items[0].count = UINT64_MAX;
    refused(&record, "overflows to another count");
    two_parts(&record);
    list.items[1].count_unknown = true;
    refused(&record, "unknown inside known");
    record.gap.count_unknown = true;
    assert_int_equal(record_decode(bytes, outside(&record, bytes), &is, NULL), WIRE_OK);
    two_parts(&record);
    record.gap.from_seq = record.gap.to_seq = 0;
    refused(&record, "stands for no records");
    two_parts(&record);
    list.items[0].id[2] = '\n';
    refused(&record, "id");
    two_parts(&record);
    list.items[1].place[0] = '\x7f';
    refused(&record, "place");
    two_parts(&record);
    list.items[1].identity[0] = '\xc0';
    refused(&record, "identity");
    two_parts(&record);
    list.items[1].line[0] = '\xff';
    refused(&record, "line");
    two_parts(&record);
    list.items[1].first_utc_us = 2;
    list.items[1].last_utc_us = 1;
    refused(&record, "ends before it begins");
    two_parts(&record);
    list.items[1].last_utc_us = INT64_MAX;
    refused(&record, "beyond the year 9999");

    memset(&list, 0, sizeof(list)); /* one more than there may be */
    for (list.count = 0; list.count < GAP_DEVICES_MAX; list.count++)
        list.items[list.count] = part_of("m", "b", 1);
    gap_of(&record);
    record.gap.count++;
    n = outside(&record, bytes);
    memcpy(bytes + n, one, sizeof(one));
    field = "nothing";
    assert_int_equal(record_decode(bytes, n + sizeof(one), &is, &field), WIRE_INVALID);
    assert_string_equal(field, "gap.devices");
    record.gap.count--;
    assert_int_equal(record_decode(bytes, outside(&record, bytes), &is, NULL), WIRE_OK);
}

/* Bytes that are no list: refused or harmless, never read past their end. */
static void torn_lists(void **state)
{
    struct dice dice = {dice_seed()};
    uint8_t bytes[RECORD_SIZE_MAX];
    static const char *const wrong[] = {"\x50\x05", "\x52\x7f", "\x52\x02\x0a\x40",
                                        "\x52\x02\x29\x01"};
    wardgate_Record record, is;
    const char *field;
    size_t n;

    (void)state;
    two_parts(&record);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t size = strlen(wrong[i]);
        list.count = 0;
        n = outside(&record, bytes);
        bytes[n++] = 9 << 3 | 2;
        bytes[n++] = (uint8_t)size;
        memcpy(bytes + n, wrong[i], size);
        field = "nothing";
        assert_int_not_equal(record_decode(bytes, n + size, &is, &field), WIRE_OK);
        assert_string_equal(field, i == 1 ? field : "gap.devices");
    }
    two_parts(&record);
    n = outside(&record, bytes);
    for (size_t size = 0; size < n; size++) {
        uint8_t *exact = malloc(size + 1);
        assert_non_null(exact);
        memcpy(exact, bytes, size);
        if (record_decode(exact, size, &is, NULL) == WIRE_OK)
            assert_true(gap_devices_read(exact, size, &back) <= 2);
        free(exact);
    }
    for (int i = 0; i < 20000; i++) {
        uint8_t *at = &bytes[dice_below(&dice, n)], kept = *at;
        *at ^= (uint8_t)(1 << dice_below(&dice, 8));
        if (record_decode(bytes, n, &is, NULL) == WIRE_OK &&
            gap_devices_read(bytes, n, &back) > 0)
            assert_true(gap_devices_valid(&back, &is.gap));
        *at = kept;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(readings_are_added_up, setup),
        cmocka_unit_test_setup(older_gaps_hand_their_parts_on, setup),
        cmocka_unit_test_setup(is_bounded, setup),
        cmocka_unit_test_setup(lists_that_can_not_be_are_refused, setup),
        cmocka_unit_test_setup(torn_lists, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
