/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pb_encode.h>

#include "wire/record.h"
#include "wire_sample.h"

/* The hand-written encoder and nanopb's must agree to the byte, for everything that a
 * record can hold. */
static void test_encodes_what_nanopb_encodes(void **state)
{
    uint8_t ours[RECORD_SIZE_MAX], theirs[3 * RECORD_SIZE_MAX], again[RECORD_SIZE_MAX];
    wardgate_Record record, back;
    struct dice dice = {dice_seed()};
    const char *field = NULL;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        pb_ostream_t stream = pb_ostream_from_buffer(theirs, sizeof(theirs));
        int n;
        random_record(&dice, &record);
        assert_true(pb_encode(&stream, wardgate_Record_fields, &record));
        n = record_encode(&record, ours, sizeof(ours));
        if (n != (int)stream.bytes_written)
            fail_msg("record %d of kind %d: %d bytes, nanopb %zu", i, (int)record.kind, n,
                     stream.bytes_written);
        assert_memory_equal(ours, theirs, (size_t)n);
        if (record_decode(ours, (size_t)n, &back, &field) != WIRE_OK)
            fail_msg("record %d: %s", i, field);
        assert_int_equal(record_encode(&back, again, sizeof(again)), n);
        assert_memory_equal(ours, again, (size_t)n);
    }
    printf("20000 records encoded as nanopb does\n");
}

/* Zero is a value and no value is not zero. */
static void test_zero_is_not_absent(void **state)
{
    uint8_t bytes[RECORD_SIZE_MAX];
    wardgate_Record record, back;
    int n;

    (void)state;
    sample_reading(&record);
    record.observations[0].value.mantissa = 0;
    record.observations[1].which_value = 0;
    n = record_encode(&record, bytes, sizeof(bytes));
    assert_true(n > 0);
    assert_int_equal(record_decode(bytes, (size_t)n, &back, NULL), WIRE_OK);
    assert_int_equal(back.observations[0].which_value, wardgate_Observation_mantissa_tag);
    assert_int_equal(back.observations[0].value.mantissa, 0);
    assert_int_equal(back.observations[1].which_value, 0);
}

static void test_too_small_a_buffer(void **state)
{
    uint8_t bytes[RECORD_SIZE_MAX + 8];
    struct dice dice = {dice_seed()};
    wardgate_Record record;
    uint64_t tried = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        int n;
        random_record(&dice, &record);
        n = record_encode(&record, bytes, RECORD_SIZE_MAX);
        assert_true(n > 0);
        for (int capacity = 0; capacity < n; capacity++, tried++) {
            bytes[capacity] = 0xa5; /* a canary behind the room given */
            assert_int_equal(record_encode(&record, bytes, (size_t)capacity), WIRE_LIMIT);
            assert_int_equal(bytes[capacity], 0xa5);
        }
        assert_int_equal(record_encode(&record, bytes, (size_t)n), n);
    }
    printf("%llu buffers too small refused\n", (unsigned long long)tried);
}

/* Cut anywhere, a record is refused, or is the record without its last fields: never read
 * past its end (sanitizers watch). */
static void test_cut_and_flipped(void **state)
{
    struct dice dice = {dice_seed()};
    uint8_t bytes[RECORD_SIZE_MAX];
    wardgate_Record record, back;
    uint64_t cuts = 0, flips = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        int n;
        random_record(&dice, &record);
        n = record_encode(&record, bytes, sizeof(bytes));
        for (int size = 0; size < n; size++, cuts++) {
            uint8_t *exact = malloc((size_t)size + 1);
            assert_non_null(exact);
            memcpy(exact, bytes, (size_t)size);
            (void)record_decode(exact, (size_t)size, &back, NULL);
            free(exact);
        }
        for (int at = 0; at < n; at++, flips++) {
            uint8_t kept = bytes[at];
            bytes[at] ^= (uint8_t)(1 << dice_below(&dice, 8));
            if (record_decode(bytes, (size_t)n, &back, NULL) == WIRE_OK) {
                uint8_t again[RECORD_SIZE_MAX];
                assert_true(record_encode(&back, again, sizeof(again)) >
                            0); /* what passes is whole */
            }
            bytes[at] = kept;
        }
    }
    printf("%llu cuts, %llu flips\n", (unsigned long long)cuts,
           (unsigned long long)flips);
}

/* --- Rules, each with the field it names --- */

struct rule {
    const char *field;
    void (*base)(wardgate_Record *record);
    void (*spoil)(wardgate_Record *record);
};

#define SPOIL(name, statement)                                                           \
    static void name(wardgate_Record *r)                                                 \
    {                                                                                    \
        statement;                                                                       \
    }

SPOIL(no_seq, r->seq = 0)
SPOIL(no_kind, r->kind = wardgate_Record_Kind_NONE)
SPOIL(odd_kind, r->kind = (wardgate_Record_Kind)6)
SPOIL(negative_kind, r->kind = (wardgate_Record_Kind)-1)
SPOIL(no_device, r->has_device = false)
SPOIL(no_device_id, r->device.id[0] = '\0')
SPOIL(bad_device_id, r->device.id[0] = '\n')
SPOIL(bad_identity, r->device.identity[0] = '\x01')
SPOIL(bad_profile, r->device.profile[0] = '\x7f')
SPOIL(bad_line, r->device.line[0] = '\xff')
SPOIL(bad_place, r->place[0] = '\xc0')
SPOIL(overlong, memcpy(r->place, "\xc0\xaf", 3))
SPOIL(surrogate, memcpy(r->place, "\xed\xa0\x80", 4))
SPOIL(beyond, memcpy(r->place, "\xf4\x90\x80\x80", 5))
SPOIL(half, memcpy(r->place, "\xe2\x82", 3))
SPOIL(c1, memcpy(r->place, "\xc2\x85", 3))
SPOIL(no_time, r->has_time = false)
SPOIL(no_boot, r->time.boot = 0)
SPOIL(far_monotonic, r->time.monotonic_us = UINT64_MAX)
SPOIL(far_utc, r->time.utc_us = INT64_MAX)
SPOIL(early_utc, r->time.utc_us = INT64_MIN)
SPOIL(odd_sync, r->time.sync = (wardgate_TimeBlock_Sync)3)
SPOIL(bad_device_time, r->time.device_time[0] = '\r')
SPOIL(no_observations, r->observations_count = 0)
SPOIL(no_code, r->observations[1].code = 0)
SPOIL(high_exponent, r->observations[1].exponent = 19)
SPOIL(low_exponent, r->observations[0].exponent = -19)
SPOIL(far_exponent, r->observations[0].exponent = INT32_MIN)
SPOIL(odd_quality, r->observations[0].quality = 65536)
SPOIL(bad_text, r->observations[0].which_value = wardgate_Observation_text_tag;
      memcpy(r->observations[0].value.text, "a\tb", 4))
SPOIL(odd_role, r->has_subject = true; r->subject.role = (wardgate_Subject_Role)3)
SPOIL(fetus_zero, r->has_subject = true; r->subject.role = wardgate_Subject_Role_FETUS)
SPOIL(patient_two, r->has_subject = true; r->subject.number = 2)
SPOIL(no_gap, r->has_gap = false)
SPOIL(no_reason, r->gap.reason = wardgate_Gap_Reason_UNSPECIFIED)
SPOIL(odd_reason, r->gap.reason = (wardgate_Gap_Reason)10)
SPOIL(half_range, r->gap.to_seq = 0)
SPOIL(back_range, r->gap.from_seq = 5)
SPOIL(bad_from, r->gap.from.boot = 0)
SPOIL(bad_to, r->gap.to.utc_us = INT64_MAX)
SPOIL(no_fix, r->has_clock_fix = false)
SPOIL(fix_boot, r->clock_fix.boot = 0)
SPOIL(fix_monotonic, r->clock_fix.monotonic_us = UINT64_MAX)
SPOIL(fix_utc, r->clock_fix.utc_us = INT64_MAX)
SPOIL(no_event, r->has_event = false)
SPOIL(no_event_kind, r->event.kind = wardgate_Event_Kind_UNSPECIFIED)
SPOIL(odd_event_kind, r->event.kind = (wardgate_Event_Kind)11)
SPOIL(bad_detail, r->event.detail[0] = '\x1b')
SPOIL(no_binding, r->has_binding = false)
SPOIL(empty_binding, r->binding.place[0] = '\0')
SPOIL(binding_place, r->binding.place[0] = '\n')
SPOIL(binding_author, r->binding.author[0] = '\n')
SPOIL(foreign_gap, r->has_gap = true)
SPOIL(foreign_fix, r->has_clock_fix = true)
SPOIL(foreign_event, r->has_event = true)
SPOIL(foreign_binding, r->has_binding = true)
SPOIL(foreign_observations, r->observations_count = 1)

static const struct rule rules[] = {
    {"seq", sample_reading, no_seq},
    {"kind", sample_reading, no_kind},
    {"kind", sample_reading, odd_kind},
    {"kind", sample_reading, negative_kind},
    {"device", sample_reading, no_device},
    {"device.id", sample_reading, no_device_id},
    {"device.id", sample_reading, bad_device_id},
    {"device.identity", sample_reading, bad_identity},
    {"device.profile", sample_reading, bad_profile},
    {"device.line", sample_reading, bad_line},
    {"place", sample_reading, bad_place},
    {"place", sample_reading, overlong},
    {"place", sample_reading, surrogate},
    {"place", sample_reading, beyond},
    {"place", sample_reading, half},
    {"place", sample_reading, c1},
    {"time", sample_reading, no_time},
    {"time.boot", sample_reading, no_boot},
    {"time.monotonic_us", sample_reading, far_monotonic},
    {"time.utc_us", sample_reading, far_utc},
    {"time.utc_us", sample_reading, early_utc},
    {"time.sync", sample_reading, odd_sync},
    {"time.device_time", sample_reading, bad_device_time},
    {"observations", sample_reading, no_observations},
    {"observations.code", sample_reading, no_code},
    {"observations.exponent", sample_reading, high_exponent},
    {"observations.exponent", sample_reading, low_exponent},
    {"observations.exponent", sample_reading, far_exponent},
    {"observations.quality", sample_reading, odd_quality},
    {"observations.text", sample_reading, bad_text},
    {"subject.role", sample_reading, odd_role},
    {"subject.number", sample_reading, fetus_zero},
    {"subject.number", sample_reading, patient_two},
    {"gap", sample_gap, no_gap},
    {"gap.reason", sample_gap, no_reason},
    {"gap.reason", sample_gap, odd_reason},
    {"gap.from_seq", sample_gap, half_range},
    {"gap.from_seq", sample_gap, back_range},
    {"gap.from", sample_gap, bad_from},
    {"gap.to", sample_gap, bad_to},
    {"clock_fix", sample_clock_fix, no_fix},
    {"clock_fix.boot", sample_clock_fix, fix_boot},
    {"clock_fix.monotonic_us", sample_clock_fix, fix_monotonic},
    {"clock_fix.utc_us", sample_clock_fix, fix_utc},
    {"event", sample_event, no_event},
    {"event.kind", sample_event, no_event_kind},
    {"event.kind", sample_event, odd_event_kind},
    {"event.detail", sample_event, bad_detail},
    {"binding", sample_binding, no_binding},
    {"binding.place", sample_binding, empty_binding},
    {"binding.place", sample_binding, binding_place},
    {"binding.author", sample_binding, binding_author},
    {"gap", sample_reading, foreign_gap},
    {"clock_fix", sample_reading, foreign_fix},
    {"event", sample_gap, foreign_event},
    {"binding", sample_reading, foreign_binding},
    {"observations", sample_clock_fix, foreign_observations},
};

/* nanopb writes what the rules forbid, so that reading is tested too and not only
 * writing. */
static void test_rules(void **state)
{
    uint8_t bytes[RECORD_SIZE_MAX];
    wardgate_Record record, back;

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof(bytes));
        const char *field = NULL;
        rules[i].base(&record);
        assert_true(record_encode(&record, bytes, sizeof(bytes)) > 0);
        rules[i].spoil(&record);
        assert_int_equal(record_encode(&record, bytes, sizeof(bytes)), WIRE_INVALID);
        assert_true(pb_encode(&stream, wardgate_Record_fields, &record));
        assert_int_equal(record_decode(bytes, stream.bytes_written, &back, &field),
                         WIRE_INVALID);
        if (strcmp(field, rules[i].field) != 0)
            fail_msg("rule %zu: expected %s, named %s", i, rules[i].field, field);
    }
    printf("%zu rules\n", sizeof(rules) / sizeof(rules[0]));
}

/* What no struct of ours can hold arrives as bytes. */
static void test_limits_from_outside(void **state)
{
    static uint8_t bytes[RECORD_SIZE_MAX + 1];
    wardgate_Record back;
    const char *field = NULL;
    size_t n = 0;

    (void)state;
    assert_int_equal(record_decode(bytes, sizeof(bytes), &back, &field), WIRE_LIMIT);
    assert_int_equal(record_decode(bytes, 0, &back, &field), WIRE_INVALID);
    assert_string_equal(field, "seq");
    for (int i = 0; i < 33; i++) { /* 33 observations of one byte each */
        bytes[n++] = 8 << 3 | 2;
        bytes[n++] = 2;
        bytes[n++] = 1 << 3;
        bytes[n++] = 1;
    }
    assert_int_equal(record_decode(bytes, n, &back, &field), WIRE_LIMIT);
    bytes[0] = 4 << 3 | 2; /* a place of 64 characters */
    bytes[1] = 64;
    memset(bytes + 2, 'x', 64);
    assert_int_equal(record_decode(bytes, 66, &back, &field), WIRE_LIMIT);
    bytes[0] = 7 << 3 | 2; /* a token of 33 bytes */
    bytes[1] = 33;
    assert_int_equal(record_decode(bytes, 35, &back, &field), WIRE_LIMIT);
    memset(bytes, 0xff, 16); /* a varint that never ends is no limit of ours */
    assert_int_equal(record_decode(bytes, 16, &back, &field), WIRE_MALFORMED);
    assert_int_equal(record_decode((const uint8_t *)"\x0b\x0c", 2, &back, &field),
                     WIRE_MALFORMED);
}

/* A newer gateway may send fields that we do not know: they are passed over. */
static void test_unknown_fields_are_passed_over(void **state)
{
    /* field 100: text, field 101: a number */
    static const uint8_t unknown[] = {0xa2, 0x06, 3, 'n', 'e', 'w', 0xa8, 0x06, 1};
    uint8_t bytes[RECORD_SIZE_MAX];
    wardgate_Record record, back;
    int n;

    (void)state;
    sample_reading(&record);
    n = record_encode(&record, bytes, sizeof(bytes));
    memcpy(bytes + n, unknown, sizeof(unknown));
    assert_int_equal(record_decode(bytes, (size_t)n + sizeof(unknown), &back, NULL),
                     WIRE_OK);
    assert_int_equal(back.seq, record.seq);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encodes_what_nanopb_encodes),
        cmocka_unit_test(test_zero_is_not_absent),
        cmocka_unit_test(test_too_small_a_buffer),
        cmocka_unit_test(test_cut_and_flipped),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_limits_from_outside),
        cmocka_unit_test(test_unknown_fields_are_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
