/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "link/tls_watch.h"

/* ServerHello of TLS 1.2, then CertificateRequest split over two records, then
 * ServerHelloDone. */
static const uint8_t flight[] = {
    22, 3, 3, 0, 8, 2,  0, 0, 4, 3, 3,  0xaa, 0xbb, /* ServerHello, cut short: 4 bytes */
    22, 3, 3, 0, 2, 13, 0,                          /* CertificateRequest begins */
    22, 3, 3, 0, 9, 0,  3, 1, 2, 3, 14, 0,    0,    0, /* ... ends; ServerHelloDone */
    20, 3, 3, 0, 1, 1,                                 /* ChangeCipherSpec */
    22, 3, 3, 0, 6, 13, 0, 0, 0, 1, 2, /* encrypted: looks like anything */
};

static void sees_the_same_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= sizeof(flight); cut++) {
        struct tls_watch watch = {.seen = 0};

        tls_watch_feed(&watch, flight, cut);
        tls_watch_feed(&watch, flight + cut, sizeof(flight) - cut);
        assert_int_equal(watch.seen, sizeof(flight));
        assert_int_equal(watch.server_version, 0x0303);
        assert_true(watch.asked_certificate);
        assert_int_equal(watch.last_message, 14);
        assert_false(watch.alerted);
        assert_false(watch.not_tls);
        assert_memory_equal(watch.first, flight, TLS_WATCH_FIRST);
    }
    for (size_t step = 1; step < 7; step++) {
        struct tls_watch watch = {.seen = 0};

        for (size_t i = 0; i < sizeof(flight); i += step)
            tls_watch_feed(&watch, flight + i,
                           sizeof(flight) - i < step ? sizeof(flight) - i : step);
        assert_true(watch.asked_certificate);
        assert_int_equal(watch.seen, sizeof(flight));
    }
}

static void believes_no_request_under_encryption(void **state)
{
    const uint8_t bytes[] = {20, 3, 3, 0, 1, 1, 22, 3, 3, 0, 4, 13, 0, 0, 0};
    const uint8_t data[] = {23, 3, 3, 0, 4, 13, 0, 0, 0, 22, 3, 3, 0, 4, 13, 0, 0, 0};
    struct tls_watch watch = {.seen = 0};

    (void)state;
    tls_watch_feed(&watch, bytes, sizeof(bytes));
    assert_false(watch.asked_certificate);
    memset(&watch, 0, sizeof(watch));
    tls_watch_feed(&watch, data, sizeof(data));
    assert_false(watch.asked_certificate);
    assert_false(watch.not_tls);
}

static void takes_no_body_for_a_message(void **state)
{
    /* A certificate of 5 bytes that look like a CertificateRequest. */
    const uint8_t bytes[] = {22, 3, 3, 0, 9, 11, 0, 0, 5, 13, 0, 0, 0, 0};
    struct tls_watch watch = {.seen = 0};

    (void)state;
    tls_watch_feed(&watch, bytes, sizeof(bytes));
    assert_false(watch.asked_certificate);
    assert_int_equal(watch.last_message, 11);
}

static void hears_alerts(void **state)
{
    const uint8_t plain[] = {21, 3, 3, 0, 2, 2, 48};
    const uint8_t encrypted[] = {21, 3, 3, 0, 26, 2, 48, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                 0,  0, 0, 0, 0,  0, 0,  0, 0, 0, 0, 0, 0, 0, 0};
    struct tls_watch watch = {.seen = 0};

    (void)state;
    tls_watch_feed(&watch, plain, sizeof(plain));
    assert_true(watch.alerted);
    assert_int_equal(watch.alert, 48);
    memset(&watch, 0, sizeof(watch));
    tls_watch_feed(&watch, encrypted, sizeof(encrypted));
    assert_false(watch.alerted);
    tls_watch_feed(&watch, plain, sizeof(plain));
    assert_true(watch.alerted);
}

static void knows_what_is_no_tls(void **state)
{
    static const char *const strangers[] = {"HTTP/1.1 400", "SSH-2.0-Open",
                                            "\x20\x03\x01\x00\x00 and",
                                            "\x16\x02\x03\x00\x10 and"};
    const uint8_t later[] = {22, 3, 3, 0, 4, 2, 0, 0, 0, 'H', 'T', 'T', 'P', '/'};
    struct tls_watch watch;

    (void)state;
    for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
        memset(&watch, 0, sizeof(watch));
        tls_watch_feed(&watch, (const uint8_t *)strangers[i], 8);
        assert_true(watch.not_tls);
        assert_memory_equal(watch.first, strangers[i], 8);
    }
    /* What begins as TLS is a broken TLS peer, not a stranger. */
    memset(&watch, 0, sizeof(watch));
    tls_watch_feed(&watch, later, sizeof(later));
    assert_false(watch.not_tls);
    memset(&watch, 0, sizeof(watch));
    tls_watch_feed(&watch, (const uint8_t *)"HTT", 3);
    assert_false(watch.not_tls);
    assert_int_equal(watch.seen, 3);
}

static void survives_empty_records_and_messages(void **state)
{
    const uint8_t bytes[] = {22, 3, 3, 0, 0, 22, 3, 3, 0, 4, 0,  0, 0, 0,
                             21, 3, 3, 0, 0, 22, 3, 3, 0, 4, 13, 0, 0, 0};
    struct tls_watch watch = {.seen = 0};

    (void)state;
    tls_watch_feed(&watch, bytes, 0);
    tls_watch_feed(&watch, bytes, sizeof(bytes));
    assert_true(watch.asked_certificate);
    assert_false(watch.alerted);
}

static void names_alerts(void **state)
{
    (void)state;
    assert_string_equal(tls_alert_name(48), "unknown_ca");
    assert_string_equal(tls_alert_name(116), "certificate_required");
    assert_string_equal(tls_alert_name(255), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_the_same_however_it_is_cut),
        cmocka_unit_test(believes_no_request_under_encryption),
        cmocka_unit_test(takes_no_body_for_a_message),
        cmocka_unit_test(hears_alerts),
        cmocka_unit_test(knows_what_is_no_tls),
        cmocka_unit_test(survives_empty_records_and_messages),
        cmocka_unit_test(names_alerts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
