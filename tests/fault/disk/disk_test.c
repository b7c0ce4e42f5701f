/* SPDX-License-Identifier: Apache-2.0
 *
 * The store on a disk that refuses, is full, is read-only, or whose program is killed: no
 * crash, no silent loss, a clear status, and recovery without a restart. disk_test
 * [kills]
 */
#include "tests/unit/bedside_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "refuse.h"

#define COMMITS 12
#define EACH    9 /* readings a commit */

static char folder[256];
static struct store_config config;
static unsigned long kills = 100, runs, refusals;

static int setup(void **state)
{
    (void)state;
    if (temporary_folder(folder) != 0)
        return -1;
    sample_config(&config, folder, 4);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    refuse_set(NULL, NULL);
    temporary_remove(folder);
    return 0;
}

/* --- every call refused in turn --- */

/* The scenario: readings, receipts, a resend. commit() is tried again until it holds;
 * gives up after 50 tries. */
static bool commit(struct store *store)
{
    for (int i = 0; i < 50; i++) {
        struct store_status status;
        int error = store_commit(store, 1784729109250000);
        if (error == STORE_OK)
            return true;
        store_status(store, &status);
        assert_int_equal(error, STORE_IO);
        assert_int_equal(status.error, STORE_IO);
        assert_true(status.errors > 0);
        assert_true(status.error_text[0] != '\0');
        /* Nothing of what failed may be offered. */
        assert_true(status.next <= status.assigned);
    }
    return false;
}

/* Reading number n always has seq n + 1: what is read back must be what was given. */
static void check_contents(struct store *store, uint64_t from, uint64_t to)
{
    static uint8_t out[SAMPLE_READ_SIZE];
    static wardgate_Record record;
    struct store_items items;
    uint64_t expected = from;

    while (expected <= to) {
        size_t at = 0;
        assert_int_equal(store_read(store, expected, to, true, out, sizeof(out), &items),
                         STORE_OK);
        assert_true(items.count > 0);
        for (size_t i = 0; i < items.count; i++, expected++) {
            at += sample_item(out + at, &record);
            assert_int_equal(record.seq, expected);
            assert_int_equal(record.sample, expected - 1);
        }
    }
}

static void scenario(const struct refuse_plan *plan)
{
    struct store *store;
    struct store_status status;
    wardgate_Record record;
    uint64_t head;

    assert_int_equal(setup(NULL), 0);
    config.no_preallocate = true;
    store = sample_open(&config);
    refuse_set(folder, plan);
    for (uint64_t c = 0; c < COMMITS; c++) {
        for (uint64_t i = 0; i < EACH; i++) {
            sample_reading(&record, "mon-1", c * EACH + i);
            assert_int_equal(store_add(store, &record), STORE_OK);
        }
        assert_true(commit(store));
        store_status(store, &status);
        assert_int_equal(status.next, (c + 1) * EACH + 1);
        if (c % 3 == 1)
            assert_int_equal(store_receipt(store, &status.epoch, c * EACH - 3,
                                           c * EACH + 2, NULL),
                             STORE_OK);
        check_contents(store, 1, status.next - 1);
    }
    refusals += refuse_refused();
    refuse_set(NULL, NULL);
    head = status.next;
    store_close(store);
    store = sample_open(&config);
    store_status(store, &status);
    assert_int_equal(status.next, head);
    check_contents(store, 1, head - 1);
    store_close(store);
    assert_int_equal(teardown(NULL), 0);
    runs++;
}

static void survives_every_refusal(void **state)
{
    static const struct {
        enum refuse_call call;
        int error;
        bool half, lands;
    } kinds[] = {
        {REFUSE_SYNC, EIO, false, false},     {REFUSE_WRITE, EIO, false, false},
        {REFUSE_WRITE, ENOSPC, false, false}, {REFUSE_WRITE, ENOSPC, true, false},
        {REFUSE_META, EIO, false, false},     {REFUSE_META, ENOSPC, true, false},
        {REFUSE_ANY, EIO, false, false},      {REFUSE_META, EIO, false, true},
    };

    (void)state;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (uint64_t from = 1;; from++) {
            /* Once, and three times in a row. */
            for (uint64_t count = 1; count <= 3; count += 2) {
                const struct refuse_plan plan = {.call = kinds[k].call,
                                                 .from = from,
                                                 .count = count,
                                                 .error = kinds[k].error,
                                                 .half = kinds[k].half,
                                                 .lands = kinds[k].lands};
                unsigned long before = refusals;
                scenario(&plan);
                if (refusals == before)
                    goto next; /* there is no from'th call */
            }
        }
    next:;
    }
    assert_true(refusals > 100);
    print_message("%lu scenarios, %lu calls refused\n", runs, refusals);
}

static void holds_what_a_dead_disk_does_not_take(void **state)
{
    const struct refuse_plan dead = {.call = REFUSE_ANY,
                                     .from = 1,
                                     .count = UINT64_MAX,
                                     .error = EIO};
    struct store *store;
    struct store_status status;
    wardgate_Record record;
    uint64_t n = 0, given;

    (void)state;
    config.pending_max = 65536;
    store = sample_open(&config);
    sample_fill(store, "mon-1", 0, 50, 10);
    n = 50;
    refuse_set(folder, &dead);
    for (;; n++) {
        sample_reading(&record, "mon-1", n);
        if (store_add(store, &record) != STORE_OK)
            break;
        if (n % 10 == 0)
            assert_int_equal(store_commit(store, 0), STORE_IO);
    }
    given = n;
    store_status(store, &status);
    assert_true(status.pending > 100);
    assert_true(status.pending_bytes <= 65536);
    assert_int_equal(status.next, 51);
    assert_true(status.errors > 10);
    assert_non_null(strstr(status.error_text, "Input/output error"));
    /* What is committed can still be read and receipted. */
    check_contents(store, 1, 50);
    assert_int_equal(store_receipt(store, &status.epoch, 1, 20, NULL), STORE_OK);
    refuse_set(NULL, NULL);
    assert_int_equal(store_commit(store, 0), STORE_OK);
    store_status(store, &status);
    assert_int_equal(status.next, given + 1);
    assert_int_equal(status.error, STORE_OK);
    check_contents(store, 1, given);
    store_close(store);
}

/* A dead disk at the start: an error that says so, and an opening that works once it is
 * well. */
static void says_why_it_cannot_open(void **state)
{
    static const enum refuse_call calls[] = {REFUSE_SYNC, REFUSE_WRITE, REFUSE_META,
                                             REFUSE_ANY};
    struct store *store;
    char error[STORE_ERROR_SIZE];
    unsigned long failed = 0;

    (void)state;
    for (size_t k = 0; k < sizeof(calls) / sizeof(calls[0]); k++) {
        for (uint64_t from = 1; from < 30; from++) {
            const struct refuse_plan plan = {.call = calls[k],
                                             .from = from,
                                             .count = UINT64_MAX,
                                             .error = EIO};
            assert_int_equal(teardown(NULL), 0);
            assert_int_equal(setup(NULL), 0);
            refuse_set(folder, &plan);
            if (store_open(&config, &store, error) == STORE_OK) {
                store_close(store);
                refuse_set(NULL, NULL);
                break;
            }
            failed++;
            assert_null(store);
            assert_true(error[0] != '\0');
            refuse_set(NULL, NULL);
            /* Half a file that was never a store is no store that was lost. */
            if (store_open(&config, &store, error) == STORE_BROKEN) {
                struct store_salvage report;
                assert_int_equal(store_salvage(&config, 1, &report, error), STORE_OK);
                store = sample_open(&config);
            }
            assert_non_null(store);
            sample_fill(store, "mon-1", 0, 20, 10);
            store_close(store);
        }
    }
    assert_true(failed > 10);
    print_message("%lu openings refused, each said why\n", failed);
}

/* --- real full disks --- */

/* Mounts a small file system of its own; false (with the reason printed) where that is
 * not allowed. */
static bool mount_small(char path[300], const char *options)
{
    (void)snprintf(path, 300, "%s/small", folder);
    if (mkdir(path, 0700) == 0 && mount("tmpfs", path, "tmpfs", 0, options) == 0 &&
        chmod(path, 0700) == 0)
        return true;
    print_message("skip: a small file system can't be mounted here: %s\n",
                  strerror(errno));
    return false;
}

/* Fills what is left of a disk. */
static void fill_disk(const char *path)
{
    static const uint8_t zeros[65536];
    char name[320];
    size_t size = sizeof(zeros);
    int fd;

    (void)snprintf(name, sizeof(name), "%s/ballast", path);
    fd = open(name, O_WRONLY | O_CREAT | O_APPEND, 0600);
    assert_true(fd >= 0);
    while (size > 0)
        if (write(fd, zeros, size) <= 0)
            size /= 2;
    close(fd);
}

static void empty_disk(const char *path)
{
    char name[320];

    (void)snprintf(name, sizeof(name), "%s/ballast", path);
    assert_int_equal(unlink(name), 0);
}

static void waits_for_a_full_disk(void **state)
{
    struct store *store;
    struct store_status status;
    wardgate_Record record;
    char path[300];
    uint64_t n = 0;
    int error = STORE_OK;

    (void)state;
    if (!mount_small(path, "size=6m,mode=0700"))
        return;
    config.folder = path;
    config.map_bytes = 64 << 20; /* more than the disk has */
    store = sample_open(&config);
    store_status(store, &status);
    assert_false(status.preallocated);
    for (; error == STORE_OK && n < 1000000; n++) {
        sample_reading(&record, "mon-1", n);
        assert_int_equal(store_add(store, &record), STORE_OK);
        if (n % 20 == 19)
            error = store_commit(store, 0);
        if (n == 2000)
            fill_disk(path);
    }
    assert_int_equal(error, STORE_IO);
    store_status(store, &status);
    assert_true(strstr(status.error_text, "full") != NULL ||
                strstr(status.error_text, "space") != NULL);
    check_contents(store, 1, status.next - 1);
    assert_int_equal(store_commit(store, 0), STORE_IO);
    empty_disk(path);
    assert_int_equal(store_commit(store, 0), STORE_OK);
    check_contents(store, 1, n);
    store_close(store);
    config.folder = path;
    store = sample_open(&config);
    check_contents(store, 1, n);
    store_close(store);
    print_message("full disk after %llu readings, all there\n", (unsigned long long)n);
    assert_int_equal(umount(path), 0);
}

static void does_not_care_when_preallocated(void **state)
{
    struct store *store;
    struct store_status status;
    char path[300];

    (void)state;
    if (!mount_small(path, "size=6m,mode=0700"))
        return;
    config.folder = path;
    store = sample_open(&config);
    store_status(store, &status);
    assert_true(status.preallocated);
    fill_disk(path);
    for (uint64_t i = 0; i < 100;
         i++) /* several times the map: gaps, deletions, all of it */
        sample_fill(store, "mon-1", i * 1000, 1000, 50);
    store_status(store, &status);
    assert_int_equal(status.errors, 0);
    assert_true(status.evicted > 50000);
    store_close(store);
    assert_int_equal(umount(path), 0);
}

static void says_that_a_disk_is_read_only(void **state)
{
    struct store *store;
    char error[STORE_ERROR_SIZE], path[300];

    (void)state;
    if (!mount_small(path, "size=6m,mode=0700"))
        return;
    config.folder = path;
    store = sample_open(&config);
    sample_fill(store, "mon-1", 0, 20, 10);
    store_close(store);
    assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_int_equal(store_open(&config, &store, error), STORE_IO);
    assert_non_null(strstr(error, "Read-only"));
    assert_int_equal(mount(NULL, path, NULL, MS_REMOUNT, NULL), 0);
    store = sample_open(&config);
    check_contents(store, 1, 20);
    store_close(store);
    assert_int_equal(umount(path), 0);
}

static void survives_a_file_size_limit(void **state)
{
    struct rlimit before, small;
    struct store *store;
    struct store_status status;
    wardgate_Record record;
    uint64_t n = 0;
    int error = STORE_OK;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    config.no_preallocate = true;
    store = sample_open(&config);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 262144;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (; error == STORE_OK; n++) {
        sample_reading(&record, "mon-1", n);
        assert_int_equal(store_add(store, &record), STORE_OK);
        if (n % 20 == 19)
            error = store_commit(store, 0);
    }
    assert_int_equal(error, STORE_IO);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(store_commit(store, 0), STORE_OK);
    store_status(store, &status);
    assert_int_equal(status.next, n + 1);
    check_contents(store, 1, n);
    store_close(store);
}

/* --- kills --- */

/* Adds and commits until it is killed; says after each commit how far it is. */
static void __attribute__((noreturn)) write_until_killed(int report)
{
    struct store *store;
    struct store_status status;
    char error[STORE_ERROR_SIZE];
    wardgate_Record record;
    uint64_t n;

    if (store_open(&config, &store, error) != STORE_OK)
        _exit(3);
    store_status(store, &status);
    for (n = status.next - 1;; n++) {
        sample_reading(&record, n % 2 == 0 ? "mon-1" : "mon-2", n);
        if (store_add(store, &record) != STORE_OK)
            _exit(4);
        if (n % 7 != 6)
            continue;
        if (store_commit(store, 0) != STORE_OK)
            _exit(5);
        store_status(store, &status);
        if (write(report, &status.next, sizeof(status.next)) !=
            (ssize_t)sizeof(status.next))
            _exit(6);
        if (status.next > 40)
            (void)store_receipt(store, &status.epoch, status.next - 40, status.next - 20,
                                NULL);
    }
}

static void survives_kills(void **state)
{
    uint64_t head = 1, told, committed = 0;

    (void)state;
    config.map_bytes = 256 << 20;
    config.no_preallocate = true;
    for (unsigned long i = 0; i < kills; i++) {
        const struct timespec wait = {0, 1000000 + (long)(i * 7919 % 23) * 1000000};
        struct store *store;
        struct store_status status;
        int ends[2], how;
        pid_t pid;
        assert_int_equal(pipe(ends), 0);
        if ((pid = fork()) == 0) {
            close(ends[0]);
            write_until_killed(ends[1]);
        }
        close(ends[1]);
        nanosleep(&wait, NULL);
        kill(pid, SIGKILL);
        while (read(ends[0], &told, sizeof(told)) == (ssize_t)sizeof(told)) {
            committed++;
            head = told;
        }
        close(ends[0]);
        assert_int_equal(waitpid(pid, &how, 0), pid);
        assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        store = sample_open(&config);
        store_status(store, &status);
        assert_true(status.next >= head); /* what was told is there */
        head = status.next;
        check_contents(store, head > 300 ? head - 300 : 1, head - 1);
        store_close(store);
    }
    {
        struct store *store = sample_open(&config);
        check_contents(store, 1, head - 1);
        store_close(store);
    }
    print_message("%lu kills, %llu commits told of, %llu readings there\n", kills,
                  (unsigned long long)committed, (unsigned long long)head - 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_every_refusal),
        cmocka_unit_test_setup_teardown(holds_what_a_dead_disk_does_not_take, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(says_why_it_cannot_open, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_a_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(does_not_care_when_preallocated, setup, teardown),
        cmocka_unit_test_setup_teardown(says_that_a_disk_is_read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_a_file_size_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(survives_kills, setup, teardown),
    };

    if (argc > 1)
        kills = strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
