/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "wire/topics.h"

static void test_both_ways(void **state)
{
    static const char *const texts[] = {"wardgate/1/homerton/bay-1/up",
                                        "wardgate/1/homerton/bay-1/state",
                                        "wardgate/1/homerton/bay-1/down/receipt",
                                        "wardgate/1/homerton/bay-1/down/order"};
    char out[TOPIC_SIZE], gateway[NAME_MAX_LENGTH + 1], longest[NAME_MAX_LENGTH + 1];
    enum topic topic;

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_string_equal(topic_text((enum topic)i, "homerton", "bay-1", out),
                            texts[i]);
        assert_true(topic_parse(texts[i], "homerton", &topic, gateway));
        assert_int_equal(topic, i);
        assert_string_equal(gateway, "bay-1");
    }
    assert_string_equal(topic_text(TOPIC_UP, "homerton", "+", out),
                        "wardgate/1/homerton/+/up");
    memset(longest, 'a', NAME_MAX_LENGTH);
    longest[NAME_MAX_LENGTH] = '\0';
    assert_true(topic_parse(topic_text(TOPIC_RECEIPT, longest, longest, out), longest,
                            &topic, gateway));
    assert_string_equal(gateway, longest);
}

static void test_not_ours(void **state)
{
    static const char *const bad[] = {
        "",
        "wardgate",
        "wardgate/1/homerton",
        "wardgate/1/homerton/",
        "wardgate/1/homerton/bay-1",
        "wardgate/1/homerton/bay-1/",
        "wardgate/1/homerton/bay-1/upx",
        "wardgate/1/homerton/bay-1/up/",
        "wardgate/2/homerton/bay-1/up",
        "Wardgate/1/homerton/bay-1/up",
        "/wardgate/1/homerton/bay-1/up",
        "wardgate/1/other/bay-1/up",
        "wardgate/1/homertons/bay-1/up",
        "wardgate/1/homerton//up",
        "wardgate/1/homerton/Bay-1/up",
        "wardgate/1/homerton/+/up",
        "wardgate/1/homerton/#",
        "wardgate/1/homerton/bay-1/down",
        "wardgate/1/homerton/bay-1/down/",
        "wardgate/1/homerton/bay-1/down/other",
        "wardgate/1/homerton/bay-1/x/up",
        "$SYS/broker/version",
        "wardgate/1/homerton/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/up"};
    char gateway[NAME_MAX_LENGTH + 1] = "kept";
    enum topic topic = TOPIC_ORDER;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (topic_parse(bad[i], "homerton", &topic, gateway))
            fail_msg("accepted %s", bad[i]);
        assert_string_equal(gateway, "kept");
        assert_int_equal(topic, TOPIC_ORDER);
    }
    printf("%zu topics refused\n", sizeof(bad) / sizeof(bad[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways),
                                       cmocka_unit_test(test_not_ours)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
