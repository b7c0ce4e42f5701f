/* SPDX-License-Identifier: Apache-2.0
 *
 * gateway/wire/CONTRACT.md is read by people who have nothing else: its bytes, numbers
 * and limits are made here and compared with the page.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/zone.h"
#include "wire/envelope.h"
#include "wire/receipt.h"
#include "wire/topics.h"
#include "wire_sample.h"

static char *page;

static int setup(void **state)
{
    uint8_t *bytes;

    (void)state;
    if (file_read("gateway/wire/CONTRACT.md", 65536, &bytes) < 0)
        return -1;
    page = (char *)bytes;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(page);
    return 0;
}

/* The hex digits of the block that begins with mark must be those of bytes. */
static void compare(const char *mark, const uint8_t *bytes, size_t n)
{
    char *hex = malloc(2 * n + 1), *found = malloc(strlen(page) + 1), *out = found;
    const char *at = strstr(page, mark);

    assert_non_null(at);
    assert_non_null(hex);
    assert_non_null(found);
    for (at += strlen(mark); *at != '`' && *at != '\0'; at++)
        if (*at != '\n' && *at != ' ')
            *out++ = *at;
    *out = '\0';
    (void)hex_text(bytes, n, hex);
    if (strcmp(hex, found) != 0)
        fail_msg("%s is now:\n%s", mark, hex);
    free(found);
    free(hex);
}

static void test_the_envelope(void **state)
{
    static uint8_t room[ENVELOPE_SIZE_MAX];
    uint8_t bytes[RECORD_SIZE_MAX], item[RECORD_SIZE_MAX + ENVELOPE_ITEM_OVERHEAD];
    struct envelope_writer writer;
    const uint8_t *payload;
    wardgate_Record record;
    struct epoch epoch;
    char text[ZONE_TEXT_SIZE];
    int n;

    (void)state;
    memcpy(epoch.bytes, "0123456789abcdef", EPOCH_SIZE);
    sample_reading(&record);
    assert_string_equal(utc_text(record.time.utc_us, text), "2026-07-22T14:05:09.250Z");
    n = record_encode(&record, bytes, sizeof(bytes));
    assert_int_equal(envelope_begin(&writer, room, sizeof(room), "bay-1", &epoch),
                     WIRE_OK);
    n = envelope_item(bytes, (size_t)n, item, sizeof(item));
    assert_int_equal(envelope_add(&writer, item, (size_t)n), WIRE_OK);
    n = envelope_end(&writer, &payload);
    compare("```hex envelope\n", payload, (size_t)n);
}

static void test_the_receipt(void **state)
{
    uint8_t bytes[RECEIPT_SIZE_MAX];
    wardgate_Receipt receipt;
    int n;

    (void)state;
    memset(&receipt, 0, sizeof(receipt));
    memcpy(receipt.gateway, "bay-1", 6);
    memcpy(receipt.epoch, "0123456789abcdef", EPOCH_SIZE);
    receipt.ranges_count = 1;
    receipt.ranges[0] = (wardgate_Range){1001, 1001};
    n = receipt_encode(&receipt, bytes, sizeof(bytes));
    assert_true(n > 0);
    compare("```hex receipt\n", bytes, (size_t)n);
}

/* Limits and topics as the page states them. */
static void test_the_numbers(void **state)
{
    char text[TOPIC_SIZE], row[TOPIC_SIZE + 8];

    (void)state;
    for (int topic = TOPIC_UP; topic <= TOPIC_ORDER; topic++) {
        (void)snprintf(row, sizeof(row), "| `%s` |",
                       topic_text((enum topic)topic, "<site>", "<gateway>", text));
        assert_non_null(strstr(page, row));
    }
    assert_non_null(strstr(page, "1 to 47 of `a-z 0-9 -`"));
    assert_int_equal(NAME_MAX_LENGTH, 47);
    assert_non_null(strstr(page, "at most 64 KiB"));
    assert_int_equal(ENVELOPE_SIZE_MAX, 64 * 1024);
    assert_non_null(strstr(page, "at most 4096 bytes"));
    assert_int_equal(RECEIPT_SIZE_MAX, 4096);
    assert_non_null(strstr(page, "(at most 128)"));
    assert_int_equal(RECEIPT_RANGES_MAX, 128);
    assert_non_null(strstr(page, "`observations` (1 to 32)"));
    assert_int_equal(sizeof(((wardgate_Record *)0)->observations) /
                         sizeof(wardgate_Observation),
                     32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_envelope),
        cmocka_unit_test(test_the_receipt),
        cmocka_unit_test(test_the_numbers),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
