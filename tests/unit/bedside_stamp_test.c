/* SPDX-License-Identifier: Apache-2.0
 *
 * What is made of clocks that are not set, set late, stepped, lost and lying.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "bedside/stamp.h"

#define FLOOR INT64_C(1767225600000000) /* 2026-01-01 */
#define NOON  (FLOOR + 86400 * US_PER_S)
#define YEAR  (INT64_C(365) * 86400 * US_PER_S)

static struct stamp stamp;
static struct stamp_notes notes;

static void look(uint64_t monotonic_us, int64_t utc_us, enum clock_sync sync,
                 uint32_t uncertainty_ms)
{
    const struct instant now = {.boot = 42,
                                .monotonic_us = monotonic_us,
                                .utc_us = utc_us,
                                .sync = sync,
                                .uncertainty_ms = uncertainty_ms};
    stamp_look(&stamp, &now, &notes);
}

static wardgate_TimeBlock at(uint64_t monotonic_us)
{
    wardgate_TimeBlock time;

    stamp_time(&stamp, monotonic_us, &time);
    return time;
}

static void believes_a_synchronised_clock(void **state)
{
    wardgate_TimeBlock time;

    (void)state;
    stamp_init(&stamp, FLOOR);
    look(1000000, NOON, CLOCK_SYNCED, 5);
    assert_false(notes.stepped);
    assert_true(notes.fix);
    time = at(900000);
    assert_int_equal(time.boot, 42);
    assert_int_equal(time.utc_us, NOON - 100000);
    assert_int_equal(time.sync, wardgate_TimeBlock_Sync_SYNCED);
    assert_int_equal(time.uncertainty_ms, 5);
    /* One fix an hour, not one a look. */
    look(2000000, NOON + 1000000, CLOCK_SYNCED, 5);
    assert_false(notes.fix);
    look(1000000 + STAMP_FIX_EVERY_US, NOON + STAMP_FIX_EVERY_US, CLOCK_SYNCED, 5);
    assert_true(notes.fix);
    assert_true(stamp_known_utc(&stamp) <= NOON + STAMP_FIX_EVERY_US);
}

static void does_not_believe_1970(void **state)
{
    (void)state;
    stamp_init(&stamp, FLOOR);
    look(1000000, 1000000, CLOCK_UNKNOWN, 0);
    assert_int_equal(at(1000000).sync, wardgate_TimeBlock_Sync_UNKNOWN);
    assert_int_equal(stamp_known_utc(&stamp), 0);
    /* Not even if the kernel says so: no true time is before the floor. */
    look(2000000, 2000000, CLOCK_SYNCED, 1);
    assert_int_equal(at(2000000).sync, wardgate_TimeBlock_Sync_UNKNOWN);
    assert_false(notes.fix);
    /* The true time comes: a step, and the fix that re-bases what came before. */
    look(60000000, NOON, CLOCK_SYNCED, 3);
    assert_true(notes.stepped);
    assert_true(notes.fix);
    assert_int_equal(notes.now.monotonic_us, 60000000);
    assert_int_equal(notes.now.utc_us, NOON);
    assert_int_equal(at(60000000).sync, wardgate_TimeBlock_Sync_SYNCED);
}

static void grows_uncertain_in_holdover(void **state)
{
    uint64_t hour = UINT64_C(3600) * US_PER_S;

    (void)state;
    stamp_init(&stamp, FLOOR);
    look(0, NOON, CLOCK_SYNCED, 5);
    look(hour, NOON + (int64_t)hour, CLOCK_UNKNOWN, 0);
    assert_int_equal(at(hour).sync, wardgate_TimeBlock_Sync_HOLDOVER);
    assert_in_range(at(hour).uncertainty_ms, 5 + 360, 5 + 361); /* 100 ppm of an hour */
    look(200 * hour, NOON + (int64_t)(200 * hour), CLOCK_UNKNOWN, 0);
    assert_in_range(at(hour).uncertainty_ms, 72005, 72006);
    look(2000 * hour, NOON + (int64_t)(2000 * hour), CLOCK_UNKNOWN, 0);
    assert_int_equal(at(hour).sync, wardgate_TimeBlock_Sync_UNKNOWN);
    look(2001 * hour, NOON + (int64_t)(2001 * hour), CLOCK_SYNCED, 5);
    assert_true(notes.fix);
    assert_int_equal(at(hour).uncertainty_ms, 5);
}

static void notices_steps(void **state)
{
    static const int64_t steps[] = {-YEAR,     -86400 * US_PER_S, -3600 * US_PER_S,
                                    -US_PER_S, US_PER_S,          3600 * US_PER_S,
                                    YEAR};
    wardgate_Record record;

    (void)state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        stamp_init(&stamp, FLOOR - 2 * YEAR);
        look(0, NOON, CLOCK_SYNCED, 5);
        /* Someone sets the clock: the kernel no longer vouches for it, nor do we. */
        look(US_PER_S, NOON + US_PER_S + steps[i], CLOCK_UNKNOWN, 0);
        assert_true(notes.stepped);
        assert_int_equal(notes.step_us, steps[i]);
        assert_false(notes.fix);
        assert_int_equal(at(US_PER_S).sync, wardgate_TimeBlock_Sync_UNKNOWN);
        /* It stays so until it is synchronised again. */
        look(2 * US_PER_S, NOON + 2 * US_PER_S + steps[i], CLOCK_UNKNOWN, 0);
        assert_false(notes.stepped);
        assert_int_equal(at(US_PER_S).sync, wardgate_TimeBlock_Sync_UNKNOWN);
        look(3 * US_PER_S, NOON + 3 * US_PER_S, CLOCK_SYNCED, 5);
        assert_true(notes.stepped);
        assert_true(notes.fix);
        stamp_stepped(&notes, &record);
        assert_int_equal(record.event.kind, wardgate_Event_Kind_CLOCK_STEPPED);
        record.seq = 1;
        {
            uint8_t out[RECORD_SIZE_MAX];
            assert_true(record_encode(&record, out, sizeof(out)) > 0);
            stamp_fix(&notes, &record);
            record.seq = 2;
            assert_true(record_encode(&record, out, sizeof(out)) > 0);
        }
        assert_int_equal(record.clock_fix.utc_us, NOON + 3 * US_PER_S);
    }
    /* Slewing is no step. */
    stamp_init(&stamp, FLOOR);
    look(0, NOON, CLOCK_SYNCED, 5);
    look(US_PER_S, NOON + US_PER_S + 400000, CLOCK_SYNCED, 5);
    assert_false(notes.stepped);
    look(2 * US_PER_S, NOON + 2 * US_PER_S - 90000, CLOCK_SYNCED, 5);
    assert_false(notes.stepped);
}

static void widens_a_trusted_wall_clock_by_its_steps(void **state)
{
    (void)state;
    stamp_init(&stamp, FLOOR);
    stamp_trust_wall(&stamp, 1000);
    look(0, 0, CLOCK_UNKNOWN, 0); /* 1970: below the floor whoever trusts it */
    assert_int_equal(at(0).sync, wardgate_TimeBlock_Sync_UNKNOWN);
    look(US_PER_S, NOON, CLOCK_UNKNOWN, 0);
    assert_int_equal(at(0).sync, wardgate_TimeBlock_Sync_SYNCED);
    assert_int_equal(at(0).uncertainty_ms, 1000);
    look(2 * US_PER_S, NOON + US_PER_S + 30 * US_PER_S, CLOCK_UNKNOWN, 0);
    assert_true(notes.stepped && notes.fix);
    assert_int_equal(at(0).uncertainty_ms, 31000);
    look(3 * US_PER_S, NOON + 2 * US_PER_S, CLOCK_UNKNOWN, 0); /* set right again */
    assert_int_equal(at(0).uncertainty_ms, 1000);
    look(4 * US_PER_S, NOON + YEAR, CLOCK_UNKNOWN, 0);
    assert_int_equal(at(0).sync, wardgate_TimeBlock_Sync_UNKNOWN);
}

static void makes_readings(void **state)
{
    const struct stamp_origin origin = {.device = "mon-1",
                                        .identity = "Maker Model 1",
                                        .profile = "p",
                                        .line = "bus-a",
                                        .place = "bed-1",
                                        .role = wardgate_Subject_Role_FETUS,
                                        .number = 2};
    static struct observation_set set;
    static wardgate_Record record;
    uint8_t out[RECORD_SIZE_MAX];

    (void)state;
    stamp_init(&stamp, FLOOR);
    look(5 * US_PER_S, NOON, CLOCK_SYNCED, 5);
    assert_false(stamp_reading(&stamp, &origin, &set, 1, &record)); /* nothing in it */
    set.count = 4;
    set.items[0] = (struct observation){.code = 1,
                                        .unit = 2,
                                        .kind = OBSERVATION_NUMERIC,
                                        .mantissa = -5,
                                        .exponent = -2};
    set.items[1] = (struct observation){.code = 3,
                                        .kind = OBSERVATION_ABSENT,
                                        .quality = QUALITY_SENSOR_OFF};
    set.items[2] =
        (struct observation){.code = 4, .kind = OBSERVATION_CODED, .coded = 77};
    set.items[3] =
        (struct observation){.code = 5, .kind = OBSERVATION_TEXT, .text = "SINUS"};
    set.device_time = (struct device_time){2026, 7, 22, 14, 5, 9, true};
    set.has_sample = true;
    set.sample = 99;
    assert_true(stamp_reading(&stamp, &origin, &set, 4 * US_PER_S, &record));
    record.seq = 1;
    assert_true(record_encode(&record, out, sizeof(out)) > 0);
    assert_int_equal(record.time.utc_us, NOON - US_PER_S);
    assert_string_equal(record.time.device_time, "2026-07-22T14:05:09");
    assert_int_equal(record.observations_count, 4);
    assert_int_equal(record.observations[0].value.mantissa, -5);
    assert_int_equal(record.observations[0].exponent, -2);
    assert_int_equal(record.observations[1].which_value, 0); /* absent is not 0 */
    assert_int_equal(record.observations[1].quality, QUALITY_SENSOR_OFF);
    assert_int_equal(record.observations[2].value.coded, 77);
    assert_string_equal(record.observations[3].value.text, "SINUS");
    assert_int_equal(record.subject.number, 2);
    assert_int_equal(record.sample, 99);
}

/* A device that watches mother and child says whose a set is, whatever is configured. */
static void believes_the_device_whose_a_set_is(void **state)
{
    const struct stamp_origin fetus = {.device = "d",
                                       .role = wardgate_Subject_Role_FETUS,
                                       .number = 2};
    const struct stamp_origin patient = {.device = "d"};
    static struct observation_set set;
    static wardgate_Record record;

    (void)state;
    stamp_init(&stamp, FLOOR);
    set.count = 1;
    set.items[0].code = 1;
    set.subject = OBSERVATION_OF_PATIENT;
    assert_true(stamp_reading(&stamp, &fetus, &set, 1, &record));
    assert_false(record.has_subject);
    set.subject = OBSERVATION_OF_FETUS;
    set.number = 1;
    assert_true(stamp_reading(&stamp, &patient, &set, 1, &record));
    assert_true(record.has_subject);
    assert_int_equal(record.subject.role, wardgate_Subject_Role_FETUS);
    assert_int_equal(record.subject.number, 1);
}

/* A wristband's digest and where its scanner is; the role of a device is not the band's.
 */
static void makes_bindings(void **state)
{
    static const uint8_t digest[DIGEST_SIZE] = {0xAB, 1, 2};
    const struct stamp_origin origin = {.device = "scanner-1",
                                        .place = "bed-1",
                                        .role = wardgate_Subject_Role_FETUS,
                                        .number = 2};
    static wardgate_Record record;
    uint8_t out[RECORD_SIZE_MAX];

    (void)state;
    stamp_init(&stamp, FLOOR);
    look(5 * US_PER_S, NOON, CLOCK_SYNCED, 5);
    stamp_binding(&stamp, &origin, digest, 4 * US_PER_S, &record);
    record.seq = 1;
    assert_true(record_encode(&record, out, sizeof(out)) > 0);
    assert_int_equal(record.kind, wardgate_Record_Kind_BINDING);
    assert_string_equal(record.binding.place, "bed-1");
    assert_string_equal(record.device.id, "scanner-1");
    assert_int_equal(record.binding.digest.size, DIGEST_SIZE);
    assert_memory_equal(record.binding.digest.bytes, digest, DIGEST_SIZE);
    assert_int_equal(record.time.utc_us, NOON - US_PER_S);
    assert_false(record.has_subject);
}

static void cuts_long_names_between_characters(void **state)
{
    char place[100];
    struct stamp_origin origin = {.device = "d", .place = place};
    static wardgate_Record record;
    uint8_t out[RECORD_SIZE_MAX];

    (void)state;
    stamp_init(&stamp, FLOOR);
    for (size_t i = 0; i + 2 < sizeof(place); i += 2)
        memcpy(place + i, "\xc3\xa9", 3); /* e acute */
    stamp_event(&stamp, &origin, wardgate_Event_Kind_DEVICE_LOST, "x", 1, &record);
    assert_int_equal(strlen(record.place), 62);
    record.seq = 1;
    record.time.boot = 1;
    assert_true(record_encode(&record, out, sizeof(out)) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believes_a_synchronised_clock),
        cmocka_unit_test(does_not_believe_1970),
        cmocka_unit_test(grows_uncertain_in_holdover),
        cmocka_unit_test(notices_steps),
        cmocka_unit_test(widens_a_trusted_wall_clock_by_its_steps),
        cmocka_unit_test(makes_readings),
        cmocka_unit_test(believes_the_device_whose_a_set_is),
        cmocka_unit_test(makes_bindings),
        cmocka_unit_test(cuts_long_names_between_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
