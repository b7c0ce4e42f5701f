/* SPDX-License-Identifier: Apache-2.0
 *
 * A full store gives up its oldest readings, and says of which device how many: counted
 * here against what each device gave, to the reading.
 */
#include "tests/unit/bedside_sample.h"

#include <stdlib.h>

#include "wire/gap_devices.h"

#define DEVICES 120

static char folder[256];
static struct store_config config;

static struct tally { /* of one device and place */
    char id[64], place[64];
    uint64_t given, read, gone;
    bool unknown;
    int64_t first_us, last_us; /* given */
} tallies[DEVICES];
static size_t tally_count;
static uint64_t nameless, gap_records, gives;

static int setup(void **state)
{
    (void)state;
    if (temporary_folder(folder) != 0)
        return -1;
    sample_config(&config, folder, 1);
    memset(tallies, 0, sizeof(tallies));
    tally_count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static struct tally *tally_of(const char *id, const char *place)
{
    for (size_t i = 0; i < tally_count; i++)
        if (strcmp(tallies[i].id, id) == 0 && strcmp(tallies[i].place, place) == 0)
            return &tallies[i];
    assert_true(tally_count < DEVICES);
    (void)snprintf(tallies[tally_count].id, 64, "%s", id);
    (void)snprintf(tallies[tally_count].place, 64, "%s", place);
    return &tallies[tally_count++];
}

static void give(struct store *store, const char *id, const char *place, uint64_t second)
{
    struct tally *tally = tally_of(id, place);
    wardgate_Record record;

    sample_reading(&record, id, second);
    (void)snprintf(record.place, sizeof(record.place), "%s", place);
    (void)snprintf(record.device.identity, sizeof(record.device.identity),
                   "Example Medical M-100 SN 0001234");
    assert_int_equal(store_add(store, &record), STORE_OK);
    if (tally->given++ == 0)
        tally->first_us = record.time.utc_us;
    tally->last_us = record.time.utc_us;
    if (++gives % 100 == 0)
        assert_int_equal(store_commit(store, record.time.utc_us), STORE_OK);
}

/* One gap: its parts add up, and lie within what their devices gave. */
static void count_gap(const wardgate_Record *record, const uint8_t *bytes, size_t size)
{
    static struct gap_devices list;
    uint64_t sum = 0;

    gap_records++;
    if (record->has_device) {
        tally_of(record->device.id, record->place)->gone += record->gap.count;
        return;
    }
    assert_true(gap_devices_read(bytes, size, &list) > 0);
    for (size_t i = 0; i < list.count; i++) {
        const wardgate_GapDevice *part = &list.items[i];
        struct tally *tally;

        sum += part->count;
        if (part->id[0] == '\0') {
            nameless += part->count;
            continue;
        }
        tally = tally_of(part->id, part->place);
        tally->gone += part->count;
        tally->unknown = tally->unknown || part->count_unknown;
        assert_string_equal(part->line, "bus-a");
        assert_true(part->first_utc_us >= tally->first_us &&
                    part->last_utc_us <= tally->last_us &&
                    part->first_utc_us <= part->last_utc_us);
    }
    assert_int_equal(sum, record->gap.count);
}

/* Reads the whole store into the tallies. */
static void count(struct store *store)
{
    static uint8_t out[SAMPLE_READ_SIZE];
    static wardgate_Record record;
    struct store_items items = {.next = 1};
    struct store_status status;

    assert_int_equal(store_commit(store, 0), STORE_OK);
    nameless = gap_records = 0;
    for (size_t i = 0; i < tally_count; i++)
        tallies[i].read = tallies[i].gone = tallies[i].unknown = 0;
    store_status(store, &status);
    while (items.next < status.next) {
        size_t at = 0;
        assert_int_equal(store_read(store, items.next, UINT64_MAX, true, out, sizeof(out),
                                    &items),
                         STORE_OK);
        for (size_t i = 0; i < items.count; i++) {
            const uint8_t *item = out + at;
            size_t n = sample_item(item, &record), head = (item[1] & 0x80) != 0 ? 3 : 2;

            at += n;
            if (record.kind == wardgate_Record_Kind_GAP)
                count_gap(&record, item + head, n - head);
            else if (record.kind == wardgate_Record_Kind_READING)
                tally_of(record.device.id, record.place)->read++;
        }
    }
}

/* What each device gave is there, or counted as its own. */
static void check(struct store *store)
{
    count(store);
    assert_int_equal(nameless, 0);
    for (size_t i = 0; i < tally_count; i++)
        if (tallies[i].read + tallies[i].gone != tallies[i].given)
            fail_msg("%s at %s: gave %lu, %lu are there, %lu in gaps", tallies[i].id,
                     tallies[i].place, (unsigned long)tallies[i].given,
                     (unsigned long)tallies[i].read, (unsigned long)tallies[i].gone);
}

/* Devices of different pace, one of them moved to another bed in between; long enough
 * that gaps of gaps are gaps again. */
static void each_device_has_its_own_count(void **state)
{
    struct store *store = sample_open(&config);
    struct store_status status;
    uint64_t sum = 0;

    (void)state;
    for (uint64_t second = 0; second < 12000; second++) {
        give(store, "mon-1", "bed-1", second);
        if (second % 3 == 0)
            give(store, "mon-2", second < 6000 ? "bed-2" : "bed-9", second);
        if (second % 60 == 59)
            give(store, "pump-1", "bed-1", second);
        if (second % 997 == 0)
            check(store);
    }
    check(store);
    store_status(store, &status);
    assert_true(status.evicted > 10000);
    for (size_t i = 0; i < tally_count; i++)
        assert_true(tallies[i].gone > 0 || strcmp(tallies[i].place, "bed-9") == 0);
    sum = store_evicted(store, "mon-1") + store_evicted(store, "mon-2") +
          store_evicted(store, "pump-1");
    assert_int_equal(sum, status.evicted);
    assert_int_equal(store_evicted(store, "mon-1"), tally_of("mon-1", "bed-1")->gone);
    assert_int_equal(store_evicted(store, "nobody"), 0);
    store_close(store);
    store = sample_open(&config); /* it is on disk, not in memory */
    check(store);
    store_close(store);
}

/* As many as a gateway is made for: all by name. */
static void thirty_devices_keep_their_names(void **state)
{
    struct store *store = sample_open(&config);
    struct store_status status;
    char id[16], place[16];

    (void)state;
    for (uint64_t second = 0; second < 600; second++)
        for (unsigned i = 0; i < 30; i++) {
            (void)snprintf(id, sizeof(id), "monitor-%02u", i);
            (void)snprintf(place, sizeof(place), "bay-%u-bed-%u", i / 6, i % 6);
            give(store, id, place, second);
        }
    check(store);
    store_status(store, &status);
    assert_true(status.evicted > 10000);
    assert_int_equal(status.errors, 0);
    assert_true(status.full_permille <= 1100);
    print_message("30 devices: %" PRIu64 " replaced, in %" PRIu64 " gap records\n",
                  status.evicted, gap_records);
    store_close(store);
}

/* More than a record can name: a run ends before the first that has no room, and where
 * that frees nothing the rest is counted without a name. The newest always have room. */
static void more_devices_than_a_record_can_name(void **state)
{
    struct store *store = sample_open(&config);
    struct store_status status;
    uint64_t sum = 0, named = 0;
    char id[32];

    (void)state;
    for (uint64_t second = 0; second < 200; second++)
        for (unsigned i = 0; i < 100; i++) {
            (void)snprintf(id, sizeof(id), "monitor-%u", i);
            give(store, id, "bed", second);
            if (second == 32 && i == 0) { /* not yet gaps of gaps: all by name */
                check(store);
                assert_true(gap_records > 0);
            }
        }
    count(store);
    for (size_t i = 0; i < tally_count; i++) {
        assert_true(tallies[i].read + tallies[i].gone <= tallies[i].given);
        sum += tallies[i].read + tallies[i].gone;
        named += tallies[i].gone;
    }
    assert_int_equal(sum + nameless, 20000);
    store_status(store, &status);
    assert_int_equal(status.errors, 0);
    assert_true(status.full_permille <= 1100);
    assert_true(tally_of("monitor-7", "bed")->read > 0);
    print_message("100 devices: %" PRIu64 " counted by name, %" PRIu64 " without\n",
                  named, nameless);
    store_close(store);
}

/* Gaps of single devices are given up in their turn, into their devices' counts. */
static void older_gaps_stay_their_devices(void **state)
{
    struct store *store = sample_open(&config);
    wardgate_Record record;

    (void)state;
    give(store, "mon-1", "bed-1", 0);
    give(store, "mon-2", "bed-2", 0);
    for (int i = 0; i < 2; i++) {
        sample_reading(&record, i == 0 ? "mon-1" : "mon-2", 1);
        (void)snprintf(record.place, sizeof(record.place), "bed-%d", i + 1);
        record.kind = wardgate_Record_Kind_GAP;
        record.observations_count = 0;
        record.has_gap = record.gap.has_from = true;
        record.gap.reason = wardgate_Gap_Reason_DEVICE_SILENT;
        record.gap.from = record.time;
        record.gap.count = i == 0 ? 17 : 0;
        record.gap.count_unknown = i == 1;
        assert_int_equal(store_add(store, &record), STORE_OK);
    }
    tally_of("mon-1", "bed-1")->given += 17;
    for (uint64_t second = 2; second < 6000; second++)
        give(store, second % 2 == 0 ? "mon-1" : "mon-2",
             second % 2 == 0 ? "bed-1" : "bed-2", second);
    check(store);
    assert_false(tally_of("mon-1", "bed-1")->unknown);
    assert_true(tally_of("mon-2", "bed-2")->unknown);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_device_has_its_own_count, setup, teardown),
        cmocka_unit_test_setup_teardown(thirty_devices_keep_their_names, setup, teardown),
        cmocka_unit_test_setup_teardown(more_devices_than_a_record_can_name, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(older_gaps_stay_their_devices, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
