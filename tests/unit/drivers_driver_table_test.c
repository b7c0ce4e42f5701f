/* SPDX-License-Identifier: Apache-2.0
 *
 * driver_table: every driver keeps the contract of driver.h, and may send next to
 * nothing.
 */
#include "drivers_test.h"

/* Every driver, in the table's order, and how often it may ask in an hour in which nobody
 * answers: a Nonin each second for ten seconds and then every ten, a Contec every two, a
 * MEDIBUS every three. None: the driver only listens. */
static const struct {
    const char *name;
    size_t least, most;
} table[] = {
    {"nonin-df2", 11, 400},  {"nonin-df7", 11, 400},    {"nonin-df8", 11, 400},
    {"nonin-df13", 11, 400}, {"contec-v7", 11, 1800},   {"contec-5byte", 0, 0},
    {"nonin-8500", 0, 0},    {"nellcor-n595", 0, 0},    {"masimo-ascii1", 0, 0},
    {"ivy-ansar-b", 0, 0},   {"medibus", 11, 1200},     {"medibus-8n1", 11, 1200},
    {"series50", 11, 1800},  {"ge-250cx", 11, 1800},    {"dri", 11, 400},
    {"wristband", 0, 0},     {"capnostream", 11, 7200}, {"corometrics-115", 0, 0},
    {"pb840", 11, 1000},     {"bis-vista", 11, 720},    {"alaris", 11, 1800},
    {"fresenius", 11, 1200}, {"servo-i", 11, 1300},     {"bcc", 11, 800},
};

static void test_contract(void **state)
{
    size_t n = 0;

    (void)state;
    for (const struct driver *d; (d = driver_at(n)) != NULL; n++) {
        assert_non_null(d->name);
        assert_non_null(d->title);
        assert_true(d->evidence != NULL && d->evidence[0] != '\0');
        assert_true(d->tests != NULL && d->tests[0] != '\0');
        assert_non_null(d->init);
        assert_non_null(d->feed);
        assert_true(d->state_size > 0 && d->state_size <= 4096);
        assert_true(d->silence_ms >= 1000 && d->line.baud >= 300);
        assert_ptr_equal(driver_by_name(d->name), d);
        assert_true(n < COUNT(table));
        assert_string_equal(d->name, table[n].name);
    }
    assert_null(driver_at(n));
    assert_null(driver_at(SIZE_MAX));
    assert_null(driver_by_name("nonin-df9"));
    assert_null(driver_by_name(""));
    printf("drivers: %zu\n", n);
    assert_int_equal(n, COUNT(table));
}

/* Every request of six bytes that differs in one byte from the allowed one, every length
 * but its own, and the requests that set the device's clock or read it, are refused. */
static void test_allow_list(void **state)
{
    static const uint8_t formats[] = {2, 7, 8, 13};
    static const uint8_t set_time[] = {0x02, 0x72, 6, 26, 7, 22, 14, 5, 9, 0x03};
    static const uint8_t get_time[] = {0x02, 0x72, 0x00, 0x03};
    size_t refused = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(formats); i++) {
        const struct driver *d = driver_at(i);
        const uint8_t select[] = {0x02, 0x70, 0x02, 0x02, formats[i], 0x03};
        assert_true(d->may_send(select, sizeof(select)));
        for (size_t size = 0; size < sizeof(select); size++, refused++)
            assert_false(d->may_send(select, size));
        for (size_t at = 0; at < sizeof(select); at++)
            for (unsigned value = 0; value < 256; value++) {
                uint8_t other[sizeof(select)];
                memcpy(other, select, sizeof(select));
                other[at] = (uint8_t)value;
                if (value == select[at])
                    continue;
                assert_false(d->may_send(other, sizeof(other)));
                refused++;
            }
        assert_false(d->may_send(set_time, sizeof(set_time)));
        assert_false(d->may_send(get_time, sizeof(get_time)));
        refused += 2;
    }
    printf("allow-list: %zu requests refused\n", refused);
}

/* Polls for an hour without an answer: whatever it sends is allowed, and it is seldom. */
static void test_poll(void **state)
{
    (void)state;
    for (size_t i = 0; driver_at(i); i++) {
        struct rig rig;
        uint64_t now = 0;
        size_t sent = 0;
        assert_int_equal(driver_at(i)->poll != NULL, table[i].most > 0);
        assert_int_equal(driver_at(i)->may_send != NULL, table[i].most > 0);
        if (driver_at(i)->poll == NULL)
            continue;
        rig_start(&rig, driver_at(i)->name);
        while (now < 3600000) {
            uint8_t out[DRIVER_SEND_MAX];
            uint64_t again = 0;
            size_t n = rig.driver->poll(rig.state, now, out, &again);
            assert_true(again > now);
            if (n) {
                assert_true(rig.driver->may_send(out, n));
                sent++;
            }
            now = again;
        }
        printf("%s: %zu requests an hour\n", table[i].name, sent);
        assert_in_range(sent, table[i].least, table[i].most);
        rig_end(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contract),
        cmocka_unit_test(test_allow_list),
        cmocka_unit_test(test_poll),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
