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

#include "wire/receipt.h"
#include "wire_sample.h"

static const struct epoch epoch = {{9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 1, 2, 3, 4, 5, 6}};

static void good_receipt(wardgate_Receipt *receipt)
{
    memset(receipt, 0, sizeof(*receipt));
    (void)snprintf(receipt->gateway, sizeof(receipt->gateway), "bay-1");
    memcpy(receipt->epoch, epoch.bytes, EPOCH_SIZE);
    receipt->ranges_count = 3;
    receipt->ranges[0] = (wardgate_Range){1, 1};
    receipt->ranges[1] = (wardgate_Range){3, 10};
    receipt->ranges[2] = (wardgate_Range){11, 12};
}

static void test_round_trip(void **state)
{
    uint8_t bytes[RECEIPT_SIZE_MAX];
    wardgate_Receipt receipt, back;
    int n;

    (void)state;
    good_receipt(&receipt);
    n = receipt_encode(&receipt, bytes, sizeof(bytes));
    assert_true(n > 0);
    assert_int_equal(receipt_decode(bytes, (size_t)n, "bay-1", &epoch, &back, NULL),
                     WIRE_OK);
    assert_memory_equal(&receipt.ranges, &back.ranges, sizeof(wardgate_Range) * 3);
    receipt.ranges_count = 0;
    receipt.resend = true;
    receipt.resend_from = 77;
    n = receipt_encode(&receipt, bytes, sizeof(bytes));
    assert_int_equal(receipt_decode(bytes, (size_t)n, "bay-1", &epoch, &back, NULL),
                     WIRE_OK);
    assert_true(back.resend && back.resend_from == 77);

    /* The largest there is fits. */
    good_receipt(&receipt);
    receipt.ranges_count = RECEIPT_RANGES_MAX;
    for (uint64_t i = 0; i < RECEIPT_RANGES_MAX; i++)
        receipt.ranges[i] =
            (wardgate_Range){UINT64_MAX - 1000 + 3 * i, UINT64_MAX - 999 + 3 * i};
    n = receipt_encode(&receipt, bytes, sizeof(bytes));
    assert_true(n > 0);
    assert_int_equal(receipt_decode(bytes, (size_t)n, "bay-1", &epoch, &back, NULL),
                     WIRE_OK);
    assert_int_equal(receipt_encode(&receipt, bytes, (size_t)n - 1), WIRE_LIMIT);
}

struct case_ {
    const char *field;
    int error;
    void (*spoil)(wardgate_Receipt *r);
};
#define SPOIL(name, ...)                                                                 \
    static void name(wardgate_Receipt *r)                                                \
    {                                                                                    \
        __VA_ARGS__;                                                                     \
    }
SPOIL(other_gateway, memcpy(r->gateway, "bay-2", 6))
SPOIL(longer_gateway, memcpy(r->gateway, "bay-11", 7))
SPOIL(shorter_gateway, memcpy(r->gateway, "bay-", 5))
SPOIL(empty_gateway, r->gateway[0] = '\0')
SPOIL(other_epoch, r->epoch[0] ^= 1)
SPOIL(other_epoch_end, r->epoch[15] ^= 0x80)
SPOIL(no_epoch, memset(r->epoch, 0, EPOCH_SIZE))
SPOIL(nothing, r->ranges_count = 0)
SPOIL(first_zero, r->ranges[0].first = 0)
SPOIL(all_zero, r->ranges[0] = (wardgate_Range){0})
SPOIL(backward, r->ranges[1] = (wardgate_Range){10, 3})
SPOIL(last_zero, r->ranges[1].last = 0)
SPOIL(overlapping, r->ranges[2].first = 10)
SPOIL(repeated, r->ranges[2] = r->ranges[1])
SPOIL(descending, r->ranges[0] = (wardgate_Range){20, 21})
SPOIL(inside, r->ranges[2] = (wardgate_Range){4, 5})
SPOIL(wrapped, r->ranges[2] = (wardgate_Range){12, 1})
SPOIL(resend_without_from, r->resend = true)
SPOIL(from_without_resend, r->resend_from = 5)

static const struct case_ cases[] = {
    {"gateway", WIRE_FOREIGN, other_gateway},
    {"gateway", WIRE_FOREIGN, longer_gateway},
    {"gateway", WIRE_FOREIGN, shorter_gateway},
    {"gateway", WIRE_FOREIGN, empty_gateway},
    {"epoch", WIRE_FOREIGN, other_epoch},
    {"epoch", WIRE_FOREIGN, other_epoch_end},
    {"epoch", WIRE_FOREIGN, no_epoch},
    {"ranges", WIRE_INVALID, nothing},
    {"ranges.first", WIRE_INVALID, first_zero},
    {"ranges.first", WIRE_INVALID, all_zero},
    {"ranges.last", WIRE_INVALID, backward},
    {"ranges.last", WIRE_INVALID, last_zero},
    {"ranges", WIRE_INVALID, overlapping},
    {"ranges", WIRE_INVALID, repeated},
    {"ranges", WIRE_INVALID, descending},
    {"ranges", WIRE_INVALID, inside},
    {"ranges.last", WIRE_INVALID, wrapped},
    {"resend_from", WIRE_INVALID, resend_without_from},
    {"resend_from", WIRE_INVALID, from_without_resend},
};

static void test_bad_receipts(void **state)
{
    uint8_t bytes[RECEIPT_SIZE_MAX];
    wardgate_Receipt receipt, back;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pb_ostream_t stream = pb_ostream_from_buffer(bytes, sizeof(bytes));
        const char *field = NULL;
        int error;
        good_receipt(&receipt);
        cases[i].spoil(&receipt);
        assert_true(pb_encode(&stream, wardgate_Receipt_fields, &receipt));
        error =
            receipt_decode(bytes, stream.bytes_written, "bay-1", &epoch, &back, &field);
        if (error != cases[i].error || field == NULL ||
            strcmp(field, cases[i].field) != 0)
            fail_msg("case %zu: expected %d %s, was %d %s", i, cases[i].error,
                     cases[i].field, error, field);
        if (cases[i].error == WIRE_INVALID)
            assert_int_equal(receipt_encode(&receipt, bytes, sizeof(bytes)),
                             WIRE_INVALID);
    }
    printf("%zu bad receipts\n", sizeof(cases) / sizeof(cases[0]));
}

static void test_foreign_bytes(void **state)
{
    static const uint8_t one[] = {0x1a, 2, 8, 1};
    static uint8_t large[RECEIPT_SIZE_MAX + 1];
    uint8_t bytes[RECEIPT_SIZE_MAX];
    wardgate_Receipt receipt, back;
    const char *field = NULL;
    size_t at = 0;
    int n;

    (void)state;
    assert_int_equal(receipt_decode(large, sizeof(large), "bay-1", &epoch, &back, &field),
                     WIRE_LIMIT);
    assert_string_equal(field, "receipt");
    assert_int_equal(receipt_decode(large, 0, "bay-1", &epoch, &back, &field),
                     WIRE_FOREIGN);
    assert_int_equal(receipt_decode((const uint8_t *)"\xff\xff", 2, "bay-1", &epoch,
                                    &back, &field),
                     WIRE_MALFORMED);
    assert_int_equal(receipt_decode((const uint8_t *)"\x12\x02xy", 4, "bay-1", &epoch,
                                    &back, &field),
                     WIRE_LIMIT);
    for (int i = 0; i < RECEIPT_RANGES_MAX + 1; i++) { /* one range too many */
        memcpy(large + at, one, sizeof(one));
        at += 4;
    }
    assert_int_equal(receipt_decode(large, at, "bay-1", &epoch, &back, &field),
                     WIRE_LIMIT);

    /* Cut at every byte: either refused or, when whole ranges are missing at the end,
     * still true. */
    good_receipt(&receipt);
    n = receipt_encode(&receipt, bytes, sizeof(bytes));
    for (int cut = 0; cut < n; cut++) {
        uint8_t *exact = malloc((size_t)cut + 1);
        assert_non_null(exact);
        memcpy(exact, bytes, (size_t)cut);
        if (receipt_decode(exact, (size_t)cut, "bay-1", &epoch, &back, &field) == WIRE_OK)
            for (pb_size_t i = 0; i < back.ranges_count; i++)
                assert_memory_equal(&back.ranges[i], &receipt.ranges[i],
                                    sizeof(wardgate_Range));
        free(exact);
    }
}

static void test_states(void **state)
{
    uint8_t bytes[STATE_SIZE_MAX];
    wardgate_State s, back;
    const char *field = NULL;
    pb_ostream_t stream;
    int n;

    (void)state;
    memset(&s, 0, sizeof(s));
    s.online = true;
    (void)snprintf(s.gateway, sizeof(s.gateway), "bay-1");
    memcpy(s.epoch, epoch.bytes, EPOCH_SIZE);
    s.first_seq = 5;
    s.next_seq = 9;
    s.boot = 3;
    (void)snprintf(s.version, sizeof(s.version), "0.1.0");
    n = state_encode(&s, bytes, sizeof(bytes));
    assert_true(n > 0);
    assert_int_equal(state_decode(bytes, (size_t)n, &back, &field), WIRE_OK);
    assert_int_equal(back.next_seq, 9);
    assert_string_equal(back.version, "0.1.0");

#define REFUSED(statement, name)                                                         \
    do {                                                                                 \
        wardgate_State t = s;                                                            \
        statement;                                                                       \
        assert_int_equal(state_encode(&t, bytes, sizeof(bytes)), WIRE_INVALID);          \
        stream = pb_ostream_from_buffer(bytes, sizeof(bytes));                           \
        assert_true(pb_encode(&stream, wardgate_State_fields, &t));                      \
        assert_int_equal(state_decode(bytes, stream.bytes_written, &back, &field),       \
                         WIRE_INVALID);                                                  \
        assert_string_equal(field, name);                                                \
    } while (0)
    REFUSED(t.gateway[0] = '\0', "gateway");
    REFUSED(t.gateway[0] = '+', "gateway");
    REFUSED(t.boot = 0, "boot");
    REFUSED(memset(t.epoch, 0, EPOCH_SIZE), "epoch");
    REFUSED(t.first_seq = 10, "first_seq");
    REFUSED(t.first_seq = t.next_seq = 0, "next_seq");
    REFUSED(t.version[0] = '\n', "version");
    assert_int_equal(state_decode(bytes, STATE_SIZE_MAX + 1, &back, &field), WIRE_LIMIT);
    assert_int_equal(state_decode((const uint8_t *)"\x0b", 1, &back, &field),
                     WIRE_MALFORMED);
    assert_string_equal(field, "state");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_receipts),
        cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_states),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
