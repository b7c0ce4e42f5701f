/* SPDX-License-Identifier: Apache-2.0
 *
 * Flips bits anywhere in a store's data.mdb: in records, in page headers, in tree nodes,
 * in LMDB's meta pages. A reader may find a record damaged, may refuse the file, may even
 * die of it; it may never give a record that is not what was stored. Salvage then brings
 * back every record whose own bytes are intact. salvage_test [seeds] [first seed]
 */
#include "tests/unit/bedside_sample.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bedside/store_internal.h"
#include "tests/fault/disk/refuse.h"

#define RECORDS   1500
#define NODE_HEAD 16 /* bytes before a record in its page: node header and key */

struct place { /* where a live record stands in the file */
    uint64_t seq;
    size_t node, at, size; /* node: of its header and key; at: of the sealed bytes */
};

static char folder[256];
static struct store_config config;
static struct place places[RECORDS + 200];
static size_t place_count;
static uint8_t *file;
static size_t file_size;
static unsigned long seeds = 40, first_seed = 1;
static unsigned long reader_died, reader_refused, reader_went_on, brought_back,
    intact_total, lost_total;

/* Fills a reading with n texts. 32 of them with the largest codes do not fit into a leaf.
 */
static void make_large(wardgate_Record *record, pb_size_t n, uint32_t code)
{
    record->observations_count = n;
    for (pb_size_t k = 0; k < n; k++) {
        record->observations[k] = record->observations[0];
        record->observations[k].which_value = wardgate_Observation_text_tag;
        memset(record->observations[k].value.text, 'a' + k % 26, 31);
        record->observations[k].value.text[31] = '\0';
        record->observations[k].site = record->observations[k].method = code;
        record->observations[k].code = record->observations[k].unit = code;
        record->observations[k].quality = code & 0xffff;
        record->observations[k].exponent = -18;
    }
}

static void fill(struct store *store, uint64_t from, uint64_t n)
{
    wardgate_Record record;

    for (uint64_t i = from; i < from + n; i++) {
        sample_reading(&record, i % 3 == 0 ? "mon-1" : "mon-2", i);
        if (i % 50 == 0) /* too large for a leaf page: LMDB gives it pages of its own */
            make_large(&record, 32, UINT32_MAX);
        assert_int_equal(store_add(store, &record), STORE_OK);
        if (i % 37 == 0)
            assert_int_equal(store_commit(store, record.time.utc_us), STORE_OK);
    }
    assert_int_equal(store_commit(store, 0), STORE_OK);
}

static void load_file(void)
{
    char path[300];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/data.mdb", folder);
    fd = open(path, O_RDONLY);
    file_size = (size_t)lseek(fd, 0, SEEK_END);
    free(file);
    file = malloc(file_size);
    assert_non_null(file);
    assert_int_equal(pread(fd, file, file_size, 0), (ssize_t)file_size);
    close(fd);
}

static void save_file(void)
{
    char path[300];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/data.mdb", folder);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, file, file_size, 0), (ssize_t)file_size);
    close(fd);
}

/* Finds a record's bytes in the file: inside a leaf, or on pages of its own that a node
 * names. */
static enum store_visit locate(void *context, uint64_t seq, const uint8_t *sealed,
                               size_t size, uint64_t *skip_to)
{
    struct place *place = &places[place_count++];
    uint8_t key[8], *at;

    (void)context;
    (void)skip_to;
    assert_true(place_count < sizeof(places) / sizeof(places[0]));
    *place = (struct place){.seq = seq, .size = size};
    at = memmem(file, file_size, sealed, size);
    assert_non_null(at);
    place->at = (size_t)(at - file);
    store_put64(key, seq);
    if (memcmp(at - 8, key, 8) == 0) {
        place->node = place->at - NODE_HEAD;
        return STORE_GO_ON;
    }
    for (size_t i = 4096; i + 24 < file_size; i += 2) {
        uint64_t page;
        memcpy(&page, file + i + 16, 8);
        if (file[i + 6] == 8 && memcmp(file + i + 8, key, 8) == 0 &&
            page == (place->at - 16) / 4096) {
            place->node = i;
            return STORE_GO_ON;
        }
    }
    fail_msg("record %llu has no node", (unsigned long long)seq);
    return STORE_STOP;
}

static void make_store(void)
{
    struct store *store;
    struct store_status status;

    for (uint64_t i = 0; i < 3; i++) { /* three sessions */
        store = sample_open(&config);
        fill(store, i * RECORDS / 3, RECORDS / 3);
        store_close(store);
    }
    store = sample_open(&config);
    store_status(store, &status);
    assert_int_equal(store_receipt(store, &status.epoch, 100, 300, NULL), STORE_OK);
    assert_int_equal(store_commit(store, 0), STORE_OK);
    load_file();
    place_count = 0;
    assert_int_equal(store_walk(store, 1, UINT64_MAX - 1, locate, NULL), STORE_OK);
    assert_int_equal(place_count, RECORDS);
    store_close(store);
}

/* Reads everything as wardgated would: in a child, for a damaged tree may kill it. 0: it
 * went on. */
static int read_in_child(void)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct store *store;
        char error[STORE_ERROR_SIZE];
        uint8_t out[SAMPLE_READ_SIZE];
        struct store_items items;
        struct store_status books;
        uint64_t from = 1, given = 0;
        wardgate_Record record;
        int result = 0;
        if (freopen("/dev/null", "w", stderr) == NULL)
            _exit(9);
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka's would print */
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        (void)alarm(20);
        if (store_open(&config, &store, error) != STORE_OK)
            _exit(1);
        for (;;) {
            size_t at = 0;
            if (store_read(store, from, UINT64_MAX, true, out, sizeof(out), &items) !=
                STORE_OK)
                _exit(1);
            for (size_t i = 0; i < items.count; i++) {
                at += sample_item(out + at, &record);
                given++;
                if (record.kind == wardgate_Record_Kind_READING &&
                    record.sample != record.seq - 1)
                    result = 2; /* not what was stored under this seq */
            }
            if (items.next <= from)
                break;
            from = items.next;
        }
        /* Nothing vanishes: what is not given was counted as damaged, and is a gap. */
        store_status(store, &books);
        if (result == 0 && given + books.damaged < RECORDS)
            result = 2;
        _exit(result);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status))
        return -WTERMSIG(status);
    return WEXITSTATUS(status);
}

/* True if the record's own bytes are untouched: node header, key, the page number if it
 * has one, and data. */
static bool intact(const struct place *place, const uint8_t *before)
{
    size_t head = place->at == place->node + NODE_HEAD ? NODE_HEAD : NODE_HEAD + 8;

    return memcmp(file + place->node, before + place->node, head) == 0 &&
           memcmp(file + place->at, before + place->at, place->size) == 0;
}

static void check_salvaged(const uint8_t *before)
{
    struct store_salvage report;
    struct sample_books books;
    struct store *store;
    char error[STORE_ERROR_SIZE];
    uint64_t due = 0;

    if (store_salvage(&config, 1784729109000000, &report, error) != STORE_OK)
        fail_msg("salvage: %s", error);
    store = sample_open(&config);
    sample_read(store, 1, true, false, &books);
    for (size_t i = 0; i < place_count; i++) {
        if (!intact(&places[i], before)) {
            lost_total++;
            continue;
        }
        due++;
        if (!ranges_has(&books.seen, places[i].seq))
            fail_msg("intact record %llu did not come back",
                     (unsigned long long)places[i].seq);
    }
    assert_true(books.readings >= due);
    assert_true(books.unknown); /* what was not found is a gap, and says so */
    intact_total += due;
    brought_back += books.readings;
    ranges_free(&books.seen);
    /* It is a store like any other. */
    fill(store, 10000, 10);
    store_close(store);
}

/* xorshift64*. */
static uint64_t below(uint64_t *dice, uint64_t n)
{
    *dice ^= *dice >> 12;
    *dice ^= *dice << 25;
    *dice ^= *dice >> 27;
    return *dice * UINT64_C(2685821657736338717) % n;
}

static void one_seed(unsigned long seed)
{
    uint64_t dice = seed * 7919 + 1;
    uint8_t *before;
    size_t used = 0;
    int result, flips = 1 + (int)below(&dice, 20);

    assert_int_equal(temporary_folder(folder), 0);
    sample_config(&config, folder, 8);
    make_store();
    for (size_t i = 0; i < place_count; i++)
        if (places[i].at > used)
            used = places[i].at;
    before = malloc(file_size);
    assert_non_null(before);
    memcpy(before, file, file_size);
    for (int i = 0; i < flips; i++) {
        /* A third of them where they hurt most: page headers and meta pages. */
        size_t at = below(&dice, used + 8192);
        if (seed % 3 == 0)
            at = at / 4096 * 4096 + below(&dice, 64);
        file[at] = (uint8_t)(file[at] ^ (1u << below(&dice, 8)));
    }
    save_file();
    result = read_in_child();
    if (result == 2)
        fail_msg("seed %lu: a damaged file gave what was never stored, or hid what was",
                 seed);
    *(result < 0 ? &reader_died : result == 1 ? &reader_refused : &reader_went_on) += 1;
    load_file(); /* the reader may have written */
    check_salvaged(before);
    free(before);
    temporary_remove(folder);
}

static void brings_back_every_intact_record(void **state)
{
    (void)state;
    for (unsigned long seed = first_seed; seed < first_seed + seeds; seed++)
        one_seed(seed);
    print_message("seeds %lu..%lu: reader died %lu, refused %lu, went on %lu times; %lu "
                  "intact records, %lu brought "
                  "back, %lu had a flipped bit of their own\n",
                  first_seed, first_seed + seeds - 1, reader_died, reader_refused,
                  reader_went_on, intact_total, brought_back, lost_total);
}

static void finishes_a_salvage_that_was_cut(void **state)
{
    char from[300], to[300];
    struct store *store;
    struct store_salvage report;
    struct sample_books books;
    char error[STORE_ERROR_SIZE];

    (void)state;
    assert_int_equal(temporary_folder(folder), 0);
    sample_config(&config, folder, 8);
    make_store();
    /* As if power went after the new file was ready: it stands in its folder, the old one
     * still in place. */
    assert_int_equal(store_salvage(&config, 1, &report, error), STORE_OK);
    (void)snprintf(to, sizeof(to), "%s/salvage.done", folder);
    assert_int_equal(mkdir(to, 0700), 0);
    (void)snprintf(from, sizeof(from), "%s/data.mdb", folder);
    (void)snprintf(to, sizeof(to), "%s/salvage.done/data.mdb", folder);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(store_open(&config, &store, error), STORE_BROKEN);
    assert_false(store_probe(&config, true));
    assert_int_equal(store_salvage(&config, 2, &report, error), STORE_OK);
    assert_true(store_probe(&config, true));
    store = sample_open(&config);
    sample_read(store, 1, true, false, &books);
    assert_int_equal(books.readings, RECORDS);
    ranges_free(&books.seen);
    store_close(store);
    temporary_remove(folder);
}

/* Power goes when a commit's pages are on disk and its meta page is not: the records are
 * there, sealed and whole, and were never committed. Their seqs are given again to
 * others. */
static void takes_the_later_of_two_records(void **state)
{
    struct store *store;
    struct store_salvage report;
    struct store_items items;
    static uint8_t out[SAMPLE_READ_SIZE];
    static wardgate_Record record;
    char error[STORE_ERROR_SIZE];
    int status;
    pid_t pid;

    (void)state;
    assert_int_equal(temporary_folder(folder), 0);
    sample_config(&config, folder, 8);
    if ((pid = fork()) == 0) {
        const struct refuse_plan plan = {.call = REFUSE_META,
                                         .from = 1,
                                         .count = 1,
                                         .dies = true};
        store = sample_open(&config);
        for (uint64_t i = 0; i < 180; i++) { /* large ones: many pages */
            sample_reading(&record, "ghost", 1000000 + i);
            make_large(&record, 24, 150000);
            if (store_add(store, &record) != STORE_OK)
                _exit(1);
        }
        refuse_set(folder, &plan);
        (void)store_commit(store, 0);
        _exit(2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == REFUSE_DIED);
    store = sample_open(&config);
    sample_fill(store, "mon-1", 0, 180, 60);
    store_close(store);
    assert_int_equal(store_salvage(&config, 1, &report, error), STORE_OK);
    assert_int_equal(report.records, 180);
    store = sample_open(&config);
    for (uint64_t from = 1; from <= 180; from = items.next) {
        size_t at = 0;
        assert_int_equal(store_read(store, from, 180, true, out, sizeof(out), &items),
                         STORE_OK);
        for (size_t i = 0; i < items.count; i++) {
            at += sample_item(out + at, &record);
            assert_string_equal(record.device.id, "mon-1");
            assert_int_equal(record.sample, record.seq - 1);
        }
    }
    store_close(store);
    temporary_remove(folder);
}

static void refuses_what_it_cannot_salvage(void **state)
{
    struct store_salvage report;
    char error[STORE_ERROR_SIZE];

    (void)state;
    assert_int_equal(temporary_folder(folder), 0);
    sample_config(&config, folder, 8);
    assert_int_not_equal(store_salvage(&config, 1, &report, error),
                         STORE_OK); /* no file */
    assert_true(error[0] != '\0');
    temporary_remove(folder);
    assert_int_not_equal(store_salvage(&config, 1, &report, error),
                         STORE_OK); /* no folder */
    assert_true(error[0] != '\0');
}

/* Another key opens nothing: nothing comes back, and nothing is made up. */
static void brings_back_nothing_under_another_key(void **state)
{
    struct store *store;
    struct store_salvage report;
    struct sample_books books;
    char error[STORE_ERROR_SIZE];

    (void)state;
    assert_int_equal(temporary_folder(folder), 0);
    sample_config(&config, folder, 8);
    make_store();
    config.key.bytes[3] ^= 1;
    assert_int_equal(store_salvage(&config, 1, &report, error), STORE_OK);
    assert_int_equal(report.records, 0);
    store = sample_open(&config);
    sample_read(store, 1, true, false, &books);
    assert_int_equal(books.readings, 0);
    assert_int_equal(books.gaps, 1);
    ranges_free(&books.seen);
    store_close(store);
    temporary_remove(folder);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brings_back_every_intact_record),
        cmocka_unit_test(finishes_a_salvage_that_was_cut),
        cmocka_unit_test(takes_the_later_of_two_records),
        cmocka_unit_test(refuses_what_it_cannot_salvage),
        cmocka_unit_test(brings_back_nothing_under_another_key),
    };
    int failed;

    if (argc > 1)
        seeds = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        first_seed = strtoul(argv[2], NULL, 10);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(file);
    return failed;
}
