/* SPDX-License-Identifier: Apache-2.0
 *
 * The store on a real disk: commits, receipts, room, epochs, last readings, and what it
 * refuses.
 */
#include "base/file.h"
#include "tests/unit/bedside_sample.h"

#include <fcntl.h>
#include <unistd.h>

static char folder[256];
static struct store_config config;

static int setup(void **state)
{
    (void)state;
    if (temporary_folder(folder) != 0)
        return -1;
    sample_config(&config, folder, 16);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static void keeps_what_was_committed(void **state)
{
    struct store *store = sample_open(&config);
    struct store_status before, after;
    struct sample_books books;

    (void)state;
    store_status(store, &before);
    assert_int_equal(before.next, 1);
    assert_int_equal(before.first, 1);
    sample_fill(store, "mon-1", 0, 1000, 100);
    store_status(store, &before);
    assert_int_equal(before.next, 1001);
    assert_int_equal(before.unreceipted, 1000);
    assert_true(before.preallocated);
    store_close(store);

    store = sample_open(&config);
    store_status(store, &after);
    assert_memory_equal(&before.epoch, &after.epoch, sizeof(before.epoch));
    assert_int_equal(after.next, 1001);
    assert_int_equal(after.unreceipted, 1000);
    assert_int_equal(after.unreceipted_bytes, before.unreceipted_bytes);
    assert_int_equal(after.committed_utc_us, INT64_C(1784729109250000) + 999000000);
    sample_read(store, 1, false, false, &books);
    assert_int_equal(books.readings, 1000);
    assert_int_equal(books.gaps, 0);
    ranges_free(&books.seen);
    store_close(store);
}

static void gives_only_committed_records(void **state)
{
    struct store *store = sample_open(&config);
    uint8_t out[SAMPLE_READ_SIZE];
    struct store_items items;
    struct store_status status;
    wardgate_Record record;

    (void)state;
    sample_reading(&record, "mon-1", 1);
    assert_int_equal(store_add(store, &record), STORE_OK);
    assert_int_equal(record.seq, 1);
    assert_true(store_dirty(store));
    assert_int_equal(store_read(store, 1, UINT64_MAX, false, out, sizeof(out), &items),
                     STORE_OK);
    assert_int_equal(items.count, 0);
    store_status(store, &status);
    assert_int_equal(status.next, 1);
    assert_int_equal(status.assigned, 2);
    assert_int_equal(status.pending, 1);
    /* A receipt for what nobody was offered. */
    assert_int_equal(store_receipt(store, &status.epoch, 1, 1, NULL), STORE_AHEAD);
    store_close(store); /* as a kill would */

    store = sample_open(&config);
    store_status(store, &status);
    assert_int_equal(status.next, 1);
    assert_int_equal(status.stored, 0);
    store_close(store);
}

static void marks_receipts_and_takes_them_back(void **state)
{
    struct store *store = sample_open(&config);
    struct epoch other = {{1, 2, 3}};
    struct store_status status;
    struct sample_books books;
    uint64_t newly;

    (void)state;
    sample_fill(store, "mon-1", 0, 100, 50);
    store_status(store, &status);
    assert_int_equal(store_receipt(store, &other, 1, 10, &newly), STORE_FOREIGN);
    assert_int_equal(store_receipt(store, &status.epoch, 95, 101, &newly), STORE_AHEAD);
    assert_int_equal(store_receipt(store, &status.epoch, 0, 3, &newly), STORE_INVALID);
    assert_int_equal(store_receipt(store, &status.epoch, 9, 3, &newly), STORE_INVALID);
    store_status(store, &status);
    assert_int_equal(status.unreceipted, 100);
    assert_int_equal(status.receipts_refused, 4);

    assert_int_equal(store_receipt(store, &status.epoch, 11, 20, &newly), STORE_OK);
    assert_int_equal(newly, 10);
    assert_int_equal(store_receipt(store, &status.epoch, 15, 25, &newly), STORE_OK);
    assert_int_equal(newly, 5);
    assert_int_equal(store_receipt(store, &status.epoch, 11, 25, &newly), STORE_OK);
    assert_int_equal(newly, 0);
    assert_int_equal(store_unreceipted(store, 1, 100), 85);
    assert_int_equal(store_unreceipted(store, 12, 25), 0);
    assert_int_equal(store_unreceipted(store, 1, UINT64_MAX), 85);
    assert_int_equal(store_oldest_unreceipted(store), 1);
    assert_true(store_dirty(store));
    assert_int_equal(store_commit(store, 0), STORE_OK);
    assert_false(store_dirty(store));
    store_close(store);

    store = sample_open(&config);
    assert_int_equal(store_unreceipted(store, 1, 100), 85);
    sample_read(store, 1, false, true, &books);
    assert_int_equal(books.readings, 85);
    assert_false(ranges_has(&books.seen, 11));
    ranges_free(&books.seen);
    store_status(store, &status);
    assert_int_equal(status.unreceipted, 0);
    assert_int_equal(status.unreceipted_bytes, 0);
    assert_int_equal(store_oldest_unreceipted(store), 101);
    /* Receipted ones stay, for tail and for a chart that lost its ledger. */
    sample_read(store, 1, true, false, &books);
    assert_int_equal(books.readings, 100);
    ranges_free(&books.seen);
    assert_int_equal(store_resend(store, &other, 1, NULL), STORE_FOREIGN);
    assert_int_equal(store_resend(store, &status.epoch, 200, NULL), STORE_AHEAD);
    assert_int_equal(store_resend(store, &status.epoch, 41, &newly), STORE_OK);
    assert_int_equal(newly, 60);
    assert_int_equal(store_unreceipted(store, 1, 100), 60);
    store_close(store);
}

static void refuses_when_the_batch_is_full(void **state)
{
    struct store *store;
    struct store_status status;
    wardgate_Record record;
    int rc = STORE_OK, n = 0;

    (void)state;
    config.pending_max = 16384;
    store = sample_open(&config);
    for (; rc == STORE_OK && n < 1000; n++) {
        sample_reading(&record, "mon-1", (uint64_t)n);
        rc = store_add(store, &record);
    }
    assert_int_equal(rc, STORE_BUSY);
    store_status(store, &status);
    assert_int_equal(status.assigned, n); /* the refused one got no seq */
    assert_int_equal(status.refused, 1);
    assert_true(status.pending_bytes <= 16384);
    assert_int_equal(store_commit(store, 0), STORE_OK);
    assert_int_equal(store_add(store, &record), STORE_OK);
    assert_int_equal(record.seq, n);
    store_close(store);
}

static void refuses_bad_records(void **state)
{
    struct store *store = sample_open(&config);
    struct store_status status;
    wardgate_Record record;

    (void)state;
    sample_reading(&record, "mon-1", 1);
    record.observations_count = 0;
    assert_int_equal(store_add(store, &record), STORE_INVALID);
    sample_reading(&record, "mon-1", 1);
    record.kind = wardgate_Record_Kind_NONE;
    assert_int_equal(store_add(store, &record), STORE_INVALID);
    sample_reading(&record, "", 1);
    assert_int_equal(store_add(store, &record), STORE_INVALID);
    store_status(store, &status);
    assert_int_equal(status.assigned, 1);
    assert_int_equal(status.pending, 0);
    store_close(store);
}

/* Every seq ever given can be read, or a gap stands for it. */
static void check_balance(struct store *store, uint64_t readings)
{
    struct sample_books books;
    struct store_status status;

    sample_read(store, 1, false, false, &books);
    store_status(store, &status);
    assert_int_equal(books.readings + books.counted, readings);
    assert_false(books.unknown);
    assert_int_equal(ranges_overlap(&books.seen, 1, status.next - 1), status.next - 1);
    assert_int_equal(books.readings + books.gaps + books.others, status.unreceipted);
    ranges_free(&books.seen);
}

static void replaces_oldest_backlog_by_gaps(void **state)
{
    struct store *store;
    struct store_status status;

    (void)state;
    config.map_bytes = STORE_MAP_MIN;
    store = sample_open(&config);
    for (uint64_t i = 0; i < 60; i++) {
        sample_fill(store, i % 2 == 0 ? "mon-1" : "mon-2", i * 1000, 1000, 1 + i % 97);
        check_balance(store, (i + 1) * 1000);
    }
    store_status(store, &status);
    assert_true(status.evicted > 50000);
    assert_true(status.full_permille <= 1100);
    assert_int_equal(status.errors, 0);
    print_message("60000 readings through a 1 MiB map: %" PRIu64 " replaced, %" PRIu64
                  " kept\n",
                  status.evicted, status.stored);
    store_close(store);
    store = sample_open(&config);
    check_balance(store, 60000);
    store_close(store);
}

static void keeps_clock_fixes_and_events_when_it_evicts(void **state)
{
    struct store *store;
    struct sample_books books;
    wardgate_Record record;

    (void)state;
    config.map_bytes = STORE_MAP_MIN;
    store = sample_open(&config);
    for (uint64_t i = 0; i < 40; i++) {
        memset(&record, 0, sizeof(record));
        record.kind = wardgate_Record_Kind_CLOCK_FIX;
        record.has_clock_fix = true;
        record.clock_fix.boot = 1;
        record.clock_fix.utc_us = (int64_t)i;
        assert_int_equal(store_add(store, &record), STORE_OK);
        sample_fill(store, "mon-1", i * 500, 500, 100);
    }
    sample_read(store, 1, false, false, &books);
    assert_int_equal(books.others, 40);
    assert_int_equal(books.readings + books.counted, 20000);
    ranges_free(&books.seen);
    store_close(store);
}

static void deletes_receipted_records_first(void **state)
{
    struct store *store;
    struct store_status status;
    struct sample_books books;

    (void)state;
    config.map_bytes = STORE_MAP_MIN;
    store = sample_open(&config);
    /* 500 that nobody receipts stay through 50,000 that are. */
    sample_fill(store, "mon-1", 0, 500, 100);
    for (uint64_t i = 0; i < 100; i++) {
        sample_fill(store, "mon-2", i * 500, 500, 100);
        store_status(store, &status);
        assert_int_equal(store_receipt(store, &status.epoch, 501, status.next - 1, NULL),
                         STORE_OK);
    }
    assert_int_equal(store_commit(store, 0), STORE_OK);
    store_status(store, &status);
    assert_int_equal(status.evicted, 0);
    assert_int_equal(status.unreceipted, 500);
    assert_true(status.stored > 2000); /* kept for a resend while there is room */
    sample_read(store, 1, false, false, &books);
    assert_int_equal(books.readings, 500);
    ranges_free(&books.seen);
    store_close(store);
}

static void remembers_last_readings(void **state)
{
    struct store *store = sample_open(&config);
    wardgate_Record record;

    (void)state;
    assert_false(store_last(store, "mon-1", &record));
    sample_fill(store, "mon-1", 0, 10, 5);
    sample_fill(store, "mon-2", 100, 3, 1);
    store_close(store);
    store = sample_open(&config);
    assert_true(store_last(store, "mon-1", &record));
    assert_int_equal(record.sample, 9);
    assert_int_equal(record.seq, 10);
    assert_int_equal(record.time.monotonic_us, 9000000);
    assert_true(store_last(store, "mon-2", &record));
    assert_int_equal(record.sample, 102);
    assert_false(store_last(store, "mon-3", &record));
    assert_false(store_last(store, "", &record));
    store_close(store);
}

static void begins_an_epoch_when_copied(void **state)
{
    struct store *store;
    struct store_status first, second;
    struct store_items items;
    struct sample_books books;
    uint8_t out[SAMPLE_READ_SIZE];

    (void)state;
    config.home = "bay-1 machine-a";
    store = sample_open(&config);
    store_status(store, &first);
    sample_fill(store, "mon-1", 0, 10, 10);
    store_close(store);
    config.home = "bay-1 machine-b";
    store = sample_open(&config);
    store_status(store, &second);
    assert_memory_not_equal(&first.epoch, &second.epoch, sizeof(first.epoch));
    assert_int_equal(second.epoch_first, 11);
    sample_fill(store, "mon-1", 10, 10, 10);
    /* Old records keep their name, and one read never mixes the two. */
    assert_int_equal(store_read(store, 1, UINT64_MAX, false, out, sizeof(out), &items),
                     STORE_OK);
    assert_memory_equal(&items.epoch, &first.epoch, sizeof(first.epoch));
    assert_int_equal(items.count, 10);
    assert_int_equal(items.next, 11);
    assert_int_equal(store_read(store, 11, UINT64_MAX, false, out, sizeof(out), &items),
                     STORE_OK);
    assert_memory_equal(&items.epoch, &second.epoch, sizeof(first.epoch));
    assert_int_equal(items.count, 10);
    /* A receipt of one epoch can't mark the other's. */
    assert_int_equal(store_receipt(store, &first.epoch, 5, 12, NULL), STORE_AHEAD);
    assert_int_equal(store_receipt(store, &second.epoch, 5, 12, NULL), STORE_AHEAD);
    assert_int_equal(store_receipt(store, &first.epoch, 1, 10, NULL), STORE_OK);
    assert_int_equal(store_commit(store, 0), STORE_OK);
    store_close(store);
    store = sample_open(&config);
    store_status(store, &first);
    assert_memory_equal(&first.epoch, &second.epoch, sizeof(first.epoch));
    sample_read(store, 1, false, false, &books);
    assert_int_equal(books.readings, 10);
    ranges_free(&books.seen);
    store_close(store);
}

static void says_that_a_store_was_lost(void **state)
{
    struct store *store = sample_open(&config);
    struct sample_books books;
    struct store_status first, second;
    char path[300];

    (void)state;
    store_status(store, &first);
    sample_fill(store, "mon-1", 0, 10, 10);
    store_close(store);
    (void)snprintf(path, sizeof(path), "%s/data.mdb", folder);
    assert_int_equal(unlink(path), 0);
    store = sample_open(&config);
    store_status(store, &second);
    assert_memory_not_equal(&first.epoch, &second.epoch, sizeof(first.epoch));
    sample_read(store, 1, false, false, &books);
    assert_int_equal(books.gaps, 1);
    assert_true(books.unknown);
    ranges_free(&books.seen);
    store_close(store);
}

static void opens_with_a_smaller_size(void **state)
{
    struct store *store;

    (void)state;
    store = sample_open(&config);
    sample_fill(store, "mon-1", 0, 20000, 500);
    store_close(store);
    config.map_bytes = STORE_MAP_MIN; /* less than it holds */
    store = sample_open(&config);
    sample_fill(store, "mon-1", 20000, 1000, 50);
    check_balance(store, 21000);
    store_close(store);
}

static void refuses_to_open(void **state)
{
    struct store *store = sample_open(&config), *second;
    struct store_config other = config;
    char error[STORE_ERROR_SIZE], missing[300];

    (void)state;
    sample_fill(store, "mon-1", 0, 10, 10);
    assert_int_equal(store_open(&config, &second, error), STORE_SYSTEM);
    assert_non_null(strstr(error, "in use"));
    assert_null(second);
    store_close(store);

    other.key.bytes[0] ^= 1;
    assert_int_equal(store_open(&other, &second, error), STORE_BROKEN);
    assert_non_null(strstr(error, "key"));
    other = config;
    other.map_bytes = 4096;
    assert_int_equal(store_open(&other, &second, error), STORE_SYSTEM);
    assert_non_null(strstr(error, "too small"));
    other = config;
    other.high_water = 99;
    assert_int_equal(store_open(&other, &second, error), STORE_SYSTEM);
    (void)snprintf(missing, sizeof(missing), "%s/none", folder);
    other = config;
    other.folder = missing;
    assert_int_equal(store_open(&other, &second, error), STORE_SYSTEM);
    assert_non_null(strstr(error, "No such file"));
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(store_open(&config, &second, error), STORE_SYSTEM);
    assert_non_null(strstr(error, "0700"));
    assert_int_equal(chmod(folder, 0700), 0);
    store = sample_open(&config); /* none of that did any harm */
    assert_int_equal(store_unreceipted(store, 1, 10), 10);
    store_close(store);
}

/* Calls change on data.mdb's bytes. */
static void change_file(void (*change)(uint8_t *bytes, size_t n))
{
    char path[300];
    uint8_t *bytes;
    ssize_t size;

    (void)snprintf(path, sizeof(path), "%s/data.mdb", folder);
    size = file_read(path, (size_t)64 << 20, &bytes);
    assert_true(size > 0);
    change(bytes, (size_t)size);
    assert_int_equal(file_replace(path, bytes, (size_t)size, 0600), 0);
    free(bytes);
}

/* LMDB's two meta pages name the transaction behind the page's header (16), magic,
 * version, address and size of the map (24), two trees (96) and the last page (8). */
static void later_transaction(uint8_t *bytes, size_t n)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), at = 144;

    (void)n;
    bytes[at] += 2;
    bytes[page + at] += 2;
}

/* The names of both databases, in the main tree's leaves, old ones too. */
static void other_names(uint8_t *bytes, size_t n)
{
    static const char *const names[] = {"records", "state"};

    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0, length = strlen(names[k]); i + length < n; i++)
            if (memcmp(bytes + i, names[k], length) == 0)
                bytes[i + length - 1] ^= 1;
}

/* Whole and sealed, and not what was there last: never taken for a store that is well,
 * and all of it comes back. */
static void knows_an_old_or_hidden_state(void **state)
{
    static void (*const changes[])(uint8_t * bytes, size_t n) = {later_transaction,
                                                                 other_names};
    struct store *store = sample_open(&config);
    struct store_salvage report;
    char error[STORE_ERROR_SIZE];

    (void)state;
    sample_fill(store, "mon-1", 0, 50, 10);
    store_close(store);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        change_file(changes[i]);
        assert_int_equal(store_open(&config, &store, error), STORE_BROKEN);
        assert_null(store);
        assert_int_equal(store_salvage(&config, 1784729109000000, &report, error),
                         STORE_OK);
        store = sample_open(&config);
        assert_true(store_unreceipted(store, 1, 50) >= 50);
        store_close(store);
    }
}

/* Changes one byte inside the n'th sealed reading found in data.mdb. Returns its seq. */
static uint64_t flip_record(int nth, size_t into)
{
    char path[300];
    uint8_t *bytes, session[16];
    ssize_t size;
    uint64_t seq = 0;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/sessions", folder);
    fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, session, 16), 16);
    close(fd);
    (void)snprintf(path, sizeof(path), "%s/data.mdb", folder);
    fd = open(path, O_RDWR);
    size = lseek(fd, 0, SEEK_END);
    bytes = malloc((size_t)size);
    assert_int_equal(pread(fd, bytes, (size_t)size, 0), size);
    for (ssize_t at = 4096; at + 64 < size; at += 2) {
        if (memcmp(bytes + at, session, 16) != 0 || bytes[at - 10] != 8 || nth-- > 0)
            continue; /* a node's key size stands ten bytes before its data when the key
                         has eight */
        for (int i = 8; i > 0; i--)
            seq = seq << 8 | bytes[at - i];
        bytes[at + (ssize_t)into] ^= 0x10;
        assert_int_equal(pwrite(fd, bytes + at + into, 1, at + (ssize_t)into), 1);
        break;
    }
    free(bytes);
    close(fd);
    assert_int_not_equal(seq, 0);
    return seq;
}

static void never_gives_a_damaged_record(void **state)
{
    static const size_t places[] = {3, 20, 60,
                                    100}; /* session, counter, text, more text */
    struct store *store = sample_open(&config);
    struct store_status status;
    struct sample_books books;
    struct ranges flipped = {0};
    uint64_t n;

    (void)state;
    sample_fill(store, "mon-1", 0, 2000, 2000);
    store_close(store);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        uint64_t seq = flip_record(100 * (int)i + 7, places[i]);
        assert_int_equal(ranges_add(&flipped, seq, seq), 0);
    }
    n = ranges_total(&flipped);
    store = sample_open(&config);
    sample_read(store, 1, false, false, &books);
    assert_int_equal(books.readings, 2000 - n);
    for (uint64_t seq = 1; seq <= 2000; seq++)
        assert_int_equal(ranges_has(&books.seen, seq), !ranges_has(&flipped, seq));
    ranges_free(&books.seen);
    store_status(store, &status);
    assert_int_equal(status.damaged, n);
    assert_int_equal(store_commit(store, 0), STORE_OK);
    check_balance(store, 2000);
    store_close(store);
    store = sample_open(&config);
    check_balance(store, 2000);
    ranges_free(&flipped);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keeps_what_was_committed, setup, teardown),
        cmocka_unit_test_setup_teardown(gives_only_committed_records, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_receipts_and_takes_them_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(refuses_when_the_batch_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_records, setup, teardown),
        cmocka_unit_test_setup_teardown(replaces_oldest_backlog_by_gaps, setup, teardown),
        cmocka_unit_test_setup_teardown(keeps_clock_fixes_and_events_when_it_evicts,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(deletes_receipted_records_first, setup, teardown),
        cmocka_unit_test_setup_teardown(remembers_last_readings, setup, teardown),
        cmocka_unit_test_setup_teardown(begins_an_epoch_when_copied, setup, teardown),
        cmocka_unit_test_setup_teardown(says_that_a_store_was_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(opens_with_a_smaller_size, setup, teardown),
        cmocka_unit_test_setup_teardown(knows_an_old_or_hidden_state, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_to_open, setup, teardown),
        cmocka_unit_test_setup_teardown(never_gives_a_damaged_record, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
