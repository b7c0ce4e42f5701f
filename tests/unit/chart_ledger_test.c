/* SPDX-License-Identifier: Apache-2.0 */
#include "chart_ledger_test.h"

#include <fcntl.h>
#include <sys/stat.h>

static int setup(void **state)
{
    static struct bench bench;

    bench_start(&bench);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    bench_end(*state);
    return 0;
}

static void stored_once_and_read_back(void **state)
{
    struct bench *bench = *state;
    struct ledger_id id = {bench->source, 1};
    struct ledger_entry entry;
    uint8_t out[RECORD_SIZE_MAX];
    size_t n;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "first", 5, 100), LEDGER_NEW);
    assert_int_equal(store_reading(bench, 1, "first", 5, 100), LEDGER_SAME);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_reopen(bench);
    assert_int_equal(ledger_get(bench->ledger, id, &entry), LEDGER_OK);
    assert_int_equal(entry.state, LEDGER_RECEIVED);
    assert_int_equal(entry.place, 5);
    assert_int_equal(entry.device, 3);
    assert_int_equal(entry.boot, 99);
    assert_int_equal(entry.monotonic_us, 1000);
    assert_int_equal(entry.t_low_us, 99000000);
    assert_int_equal(entry.t_high_us, 101000000);
    assert_int_equal(entry.received_us, 100000005);
    assert_int_equal(ledger_record(bench->ledger, id, out, &n), LEDGER_OK);
    assert_int_equal(n, 5);
    assert_memory_equal(out, "first", 5);
    assert_int_equal(ledger_get(bench->ledger, (struct ledger_id){bench->source, 2},
                                &entry),
                     LEDGER_NOT_FOUND);
    assert_int_equal(ledger_get(bench->ledger, (struct ledger_id){9, 1}, &entry),
                     LEDGER_NOT_FOUND);
    bench_check(bench);
}

static void plaintext_is_nowhere_on_disk(void **state)
{
    struct bench *bench = *state;
    static const char secret[] = "QUITE-UNMISTAKABLE-CONTENT";
    char path[400];
    uint8_t *file;
    struct stat st = {0};
    int fd;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, secret, 5, 100), LEDGER_NEW);
    assert_int_equal(ledger_value_put(bench->ledger, "snapshot", 8, secret,
                                      sizeof(secret)),
                     LEDGER_OK);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    (void)snprintf(path, sizeof(path), "%s/ledger.mdb", bench->folder);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    file = malloc((size_t)st.st_size + 1);
    assert_non_null(file);
    assert_int_equal(read(fd, file, (size_t)st.st_size), st.st_size);
    assert_null(memmem(file, (size_t)st.st_size, secret, sizeof(secret) - 1));
    free(file);
    (void)close(fd);
}

static void an_aborted_batch_never_was(void **state)
{
    struct bench *bench = *state;
    struct ledger_source source;
    struct epoch other = {{8}};
    uint32_t number, made;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "a", 5, 100), LEDGER_NEW);
    assert_int_equal(ledger_source(bench->ledger, "gw-2", &other, &made), LEDGER_OK);
    assert_int_equal(ledger_name(bench->ledger, "BED 9", &number), LEDGER_OK);
    assert_int_equal(ledger_name(bench->ledger, "BED 9", &number), LEDGER_OK);
    ledger_abort(bench->ledger);

    assert_int_equal(ledger_sources(bench->ledger), 1);
    assert_int_equal(ledger_name_find(bench->ledger, "BED 9"), 0);
    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &source), LEDGER_OK);
    assert_int_equal(source.received, 0);
    assert_int_equal(source.head, 0);
    bench_check(bench);
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "b", 5, 100), LEDGER_NEW);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_check(bench);
}

static void another_content_holds_both(void **state)
{
    struct bench *bench = *state;
    struct ledger_id id = {bench->source, 1};
    struct ledger_new new = reading_of(bench, 1, "two", 3, 5, 100);
    struct ledger_source source;
    struct ledger_change change;
    struct ledger_books books;
    struct ledger_entry entry;
    uint8_t out[RECORD_SIZE_MAX];
    size_t n;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "one", 5, 100), LEDGER_NEW);
    assert_int_equal(ledger_store(bench->ledger, &new, &entry), LEDGER_CONFLICT);
    assert_int_equal(entry.state, LEDGER_HELD);
    assert_int_equal(entry.reason, LEDGER_IDENTITY_CONFLICT);
    assert_true(entry.conflicted);
    assert_int_equal(ledger_store(bench->ledger, &new, &entry), LEDGER_SAME);
    assert_int_equal(store_reading(bench, 1, "three", 5, 100), LEDGER_CONFLICT);
    assert_int_equal(store_reading(bench, 1, "one", 5, 100), LEDGER_SAME);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);

    ledger_books(bench->ledger, &books);
    assert_int_equal(books.conflicts, 2);
    assert_int_equal(books.readings, 1);
    assert_int_equal(books.states[LEDGER_HELD], 1);
    assert_int_equal(ledger_record(bench->ledger, id, out, &n), LEDGER_OK);
    assert_memory_equal(out, "one", 3);
    assert_int_equal(ledger_source_get(bench->ledger, bench->source, &source), LEDGER_OK);
    assert_true(source.doubted);
    assert_int_equal(ledger_change_get(bench->ledger, ledger_changes(bench->ledger),
                                       &change),
                     LEDGER_OK);
    assert_true(change.conflict);
    bench_check(bench);
}

static void a_conflict_leaves_the_sent_to_the_caller(void **state)
{
    struct bench *bench = *state;
    struct ledger_new new = reading_of(bench, 1, "two", 3, 5, 100);
    struct ledger_entry entry;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "one", 5, 100), LEDGER_NEW);
    move_to(bench, 1, LEDGER_MATCHED, 0);
    move_to(bench, 1, LEDGER_SENT, 0);
    assert_int_equal(ledger_store(bench->ledger, &new, &entry), LEDGER_CONFLICT);
    assert_int_equal(entry.state, LEDGER_SENT);
    assert_true(entry.conflicted);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_check(bench);
}

/* Every pair of states, against the table as the design words it. */
static void only_the_table_moves_a_reading(void **state)
{
    static const char *const allowed[LEDGER_STATES] = {
        [LEDGER_NOTED] = "",         [LEDGER_RECEIVED] = "khmr",
        [LEDGER_KEPT] = "Rhmr",      [LEDGER_HELD] = "RkmrwW",
        [LEDGER_MATCHED] = "skhr",   [LEDGER_SENT] = "cmrhw",
        [LEDGER_CHARTED] = "mw",     [LEDGER_REJECTED] = "mhw",
        [LEDGER_WITHDRAWING] = "Wh", [LEDGER_WITHDRAWN] = "mkhr",
    };
    static const char letters[LEDGER_STATES] = {'n', 'R', 'k', 'h', 'm',
                                                's', 'c', 'r', 'w', 'W'};
    struct bench *bench = *state;
    int refused = 0;

    for (int from = 0; from < LEDGER_STATES; from++)
        for (int to = 0; to < LEDGER_STATES; to++)
            assert_int_equal(ledger_may_move((enum ledger_state)from,
                                             (enum ledger_state)to),
                             from == to || strchr(allowed[from], letters[to]) != NULL);
    assert_false(ledger_may_move(LEDGER_STATES, LEDGER_KEPT));

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "one", 5, 100), LEDGER_NEW);
    move_to(bench, 1, LEDGER_MATCHED, 0);
    move_to(bench, 1, LEDGER_SENT, 0);
    for (int to = 0; to < LEDGER_STATES; to++) {
        struct ledger_entry entry, after;

        assert_int_equal(ledger_get(bench->ledger, (struct ledger_id){bench->source, 1},
                                    &entry),
                         LEDGER_OK);
        if (ledger_may_move(entry.state, (enum ledger_state)to))
            continue;
        entry.state = (enum ledger_state)to;
        entry.stay = 77;
        assert_int_equal(ledger_update(bench->ledger, &entry, 1, "test"),
                         LEDGER_BAD_TRANSITION);
        assert_int_equal(ledger_get(bench->ledger, entry.id, &after), LEDGER_OK);
        assert_int_equal(after.state, LEDGER_SENT);
        assert_int_equal(after.stay, 0);
        refused++;
    }
    assert_int_equal(refused, 4);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_check(bench);
}

static void each_change_is_kept_with_who(void **state)
{
    static const enum ledger_state way[] = {LEDGER_HELD,        LEDGER_MATCHED,
                                            LEDGER_SENT,        LEDGER_CHARTED,
                                            LEDGER_WITHDRAWING, LEDGER_WITHDRAWN,
                                            LEDGER_MATCHED};
    struct bench *bench = *state;
    struct ledger_entry entry;
    struct ledger_change change;
    uint64_t at;
    int n = 0;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "one", 5, 100), LEDGER_NEW);
    assert_int_equal(store_reading(bench, 2, "two", 5, 100), LEDGER_NEW);
    for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++) {
        assert_int_equal(ledger_get(bench->ledger, (struct ledger_id){bench->source, 1},
                                    &entry),
                         LEDGER_OK);
        entry.state = way[i];
        entry.stay = 10 + i;
        entry.generation += entry.state == LEDGER_MATCHED;
        assert_int_equal(ledger_update(bench->ledger, &entry, (int64_t)i,
                                       i == 0 ? "nurse.a" : "match"),
                         LEDGER_OK);
        move_to(bench, 2, i % 2 == 0 ? LEDGER_HELD : LEDGER_KEPT, 40);
    }
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_reopen(bench);
    assert_int_equal(ledger_get(bench->ledger, (struct ledger_id){bench->source, 1},
                                &entry),
                     LEDGER_OK);
    assert_int_equal(entry.generation, 2);
    for (at = entry.last_change; at != 0; at = change.previous, n++) {
        assert_int_equal(ledger_change_get(bench->ledger, at, &change), LEDGER_OK);
        assert_int_equal(change.id.seq, 1);
        assert_int_equal(change.to, way[6 - n]);
        assert_int_equal(change.stay, 16 - n);
        assert_int_equal(change.when_us, 6 - n);
    }
    assert_int_equal(n, 7);
    assert_string_equal(change.who, "nurse.a");
    assert_int_equal(change.from, LEDGER_RECEIVED);
    assert_int_equal(ledger_change_get(bench->ledger, 0, &change), LEDGER_NOT_FOUND);
    bench_check(bench);
}

static void lists_cost_what_they_return(void **state)
{
    struct bench *bench = *state;
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[8];
    struct ledger_line lines[8];
    uint64_t seen = 0;
    int n;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    for (uint64_t seq = 1; seq <= 100; seq++) {
        assert_int_equal(store_reading(bench, seq, "x", (uint32_t)(seq % 3 + 1),
                                       (int64_t)seq),
                         LEDGER_NEW);
        move_to(bench, seq, seq % 2 == 0 ? LEDGER_HELD : LEDGER_KEPT,
                seq % 4 == 0 ? 40 : 41);
    }
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);

    while ((n = ledger_list(bench->ledger, LEDGER_HELD, LEDGER_ANY, LEDGER_ANY, &cursor,
                            page, 8)) > 0)
        for (int i = 0; i < n; i++, seen++)
            assert_int_equal(page[i].id.seq % 2, 0);
    assert_int_equal(n, 0);
    assert_int_equal(seen, 50);
    seen = 0;
    cursor.size = 0;
    /* Changes between pages do not disturb: each page's readings leave the list. */
    while ((n = ledger_list(bench->ledger, LEDGER_HELD, 40, 2, &cursor, page, 3)) > 0) {
        assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
        for (int i = 0; i < n; i++, seen++) {
            assert_int_equal(page[i].reason, 40);
            assert_int_equal(page[i].place, 2);
            move_to(bench, page[i].id.seq, LEDGER_KEPT, 0);
        }
        assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    }
    assert_int_equal(seen, 9); /* multiples of 4 that are 1 more than one of 3 */
    cursor.size = 0;
    n = ledger_lines(bench->ledger, LEDGER_HELD, &cursor, lines, 8);
    assert_int_equal(n, 5);
    seen = 0;
    for (int i = 0; i < n; i++)
        seen += lines[i].readings;
    assert_int_equal(seen, 41);
    cursor.size = 0;
    assert_int_equal(ledger_list(bench->ledger, LEDGER_CHARTED, LEDGER_ANY, LEDGER_ANY,
                                 &cursor, page, 8),
                     0);
    bench_check(bench);
}

static void a_place_is_searched_by_time(void **state)
{
    struct bench *bench = *state;
    struct ledger_cursor cursor = {0};
    struct ledger_entry page[16];
    struct ledger_new wide = reading_of(bench, 500, "wide", 4, 1, 0);
    int n;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    for (uint64_t seq = 1; seq <= 200; seq++)
        assert_int_equal(store_reading(bench, seq, "x", (uint32_t)(seq % 2 + 1),
                                       (int64_t)seq * 10),
                         LEDGER_NEW);
    wide.t_low_us = 500 * INT64_C(1000000) - LEDGER_SPAN_MAX_US;
    wide.t_high_us = 500 * INT64_C(1000000);
    assert_int_equal(ledger_store(bench->ledger, &wide, NULL), LEDGER_NEW);
    wide.id.seq = 501;
    wide.t_low_us--;
    assert_int_equal(ledger_store(bench->ledger, &wide, NULL), LEDGER_INVALID);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);

    /* 401..459 s of place 1 (even seqs): 420, 440; 400 ends at 401 and meets it, 460
     * begins at 459. */
    n = ledger_list_place(bench->ledger, 1, 401000000, 459000000, &cursor, page, 16);
    assert_int_equal(n, 5);
    assert_int_equal(page[0].id.seq, 500);
    assert_int_equal(page[1].id.seq, 40);
    assert_int_equal(page[4].id.seq, 46);
    cursor.size = 0;
    assert_int_equal(ledger_list_place(bench->ledger, 1, 501000000, 501000000, &cursor,
                                       page, 16),
                     1);
    cursor.size = 0;
    assert_int_equal(ledger_list_place(bench->ledger, 7, INT64_MIN, INT64_MAX, &cursor,
                                       page, 16),
                     0);
    cursor.size = 0;
    for (int total = 0;; total += n) {
        n = ledger_list_place(bench->ledger, 2, INT64_MIN, INT64_MAX, &cursor, page, 16);
        if (n == 0) {
            assert_int_equal(total, 100);
            break;
        }
    }
}

static void names_are_numbers(void **state)
{
    struct bench *bench = *state;
    char text[LEDGER_NAME_SIZE], name[32];
    uint32_t first, again;

    assert_int_equal(ledger_name(bench->ledger, "BED 1", &first), LEDGER_NOT_FOUND);
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(ledger_name(bench->ledger, "BED 1", &first), LEDGER_OK);
    assert_int_equal(ledger_name(bench->ledger, "", &again), LEDGER_INVALID);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(ledger_name(bench->ledger, text, &again), LEDGER_OK);
    for (int i = 0; i < 3000; i++) { /* more than the cache holds */
        (void)snprintf(name, sizeof(name), "place %d", i);
        assert_int_equal(ledger_name(bench->ledger, name, &again), LEDGER_OK);
    }
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_reopen(bench);
    assert_int_equal(ledger_name_find(bench->ledger, "BED 1"), first);
    assert_int_equal(ledger_name_find(bench->ledger, "place 2999"), again);
    assert_int_equal(ledger_name_text(bench->ledger, first, text), LEDGER_OK);
    assert_string_equal(text, "BED 1");
    assert_int_equal(ledger_name_text(bench->ledger, 99999, text), LEDGER_NOT_FOUND);
}

static void records_out_of_limits_are_refused(void **state)
{
    struct bench *bench = *state;
    static uint8_t big[RECORD_SIZE_MAX + 1];
    struct ledger_new good = reading_of(bench, 1, big, RECORD_SIZE_MAX, 5, 100), bad;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    bad = good, bad.size = 0;
    assert_int_equal(ledger_store(bench->ledger, &bad, NULL), LEDGER_INVALID);
    bad = good, bad.size = RECORD_SIZE_MAX + 1;
    assert_int_equal(ledger_store(bench->ledger, &bad, NULL), LEDGER_INVALID);
    bad = good, bad.id.seq = 0;
    assert_int_equal(ledger_store(bench->ledger, &bad, NULL), LEDGER_INVALID);
    bad = good, bad.id.seq = UINT64_MAX;
    assert_int_equal(ledger_store(bench->ledger, &bad, NULL), LEDGER_INVALID);
    bad = good, bad.id.source = 2;
    assert_int_equal(ledger_store(bench->ledger, &bad, NULL), LEDGER_INVALID);
    bad = good, bad.t_high_us = bad.t_low_us - 1;
    assert_int_equal(ledger_store(bench->ledger, &bad, NULL), LEDGER_INVALID);
    assert_int_equal(ledger_store(bench->ledger, &good, NULL), LEDGER_NEW);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_check(bench);
}

static void opening_says_what_is_wrong(void **state)
{
    struct bench *bench = *state;
    struct ledger_options options = bench->options;
    char error[LEDGER_ERROR_SIZE], other[400], path[400];
    struct ledger *second;
    int fd;

    assert_int_equal(ledger_open(&options, &second, error), LEDGER_IO);
    assert_non_null(strstr(error, "another process has this ledger open"));
    ledger_close(bench->ledger);
    bench->ledger = NULL;

    (void)snprintf(other, sizeof(other), "%s/other", bench->folder);
    options.key_path = other;
    assert_int_equal(ledger_open(&options, &second, error),
                     LEDGER_KEY); /* no key is made for an old ledger */
    fd = open(other, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "0123456789abcdef0123456789abcdef", 32), 32);
    (void)close(fd);
    assert_int_equal(ledger_open(&options, &second, error), LEDGER_KEY);
    assert_non_null(strstr(error, "not this ledger's"));
    options.key_path = bench->key;
    assert_int_equal(chmod(bench->key, 0644), 0);
    assert_int_equal(ledger_open(&options, &second, error), LEDGER_KEY);
    assert_int_equal(chmod(bench->key, 0600), 0);

    (void)snprintf(path, sizeof(path), "%s/ledger.mdb", bench->folder);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "not an LMDB file, not at all....", 32, 16), 32);
    (void)close(fd);
    assert_int_equal(truncate(path, 8192), 0);
    assert_int_equal(ledger_open(&options, &second, error), LEDGER_VERSION);
    assert_true(error[0] != '\0');
    options.folder = "/nonexistent/ledger";
    assert_int_equal(ledger_open(&options, &second, error), LEDGER_IO);
    assert_null(second);
    /* for teardown */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(bench_open(bench), LEDGER_OK);
}

static void a_flipped_bit_is_counted_and_never_read(void **state)
{
    struct bench *bench = *state;
    struct ledger_books books;
    uint8_t *file, out[RECORD_SIZE_MAX];
    char path[400];
    struct stat st = {0};
    size_t n;
    long at = -1;
    int fd;

    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    for (uint64_t seq = 1; seq <= 20; seq++)
        assert_int_equal(store_reading(bench, seq, "a reading of some length, sealed", 5,
                                       100),
                         LEDGER_NEW);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    ledger_close(bench->ledger);
    (void)snprintf(path, sizeof(path), "%s/ledger.mdb", bench->folder);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    file = malloc((size_t)st.st_size + 1);
    assert_int_equal(pread(fd, file, (size_t)st.st_size, 0), st.st_size);
    /* A row of the records table: its key is followed by session and counter; change the
     * ciphertext after. */
    for (long i = 0; i + 80 < st.st_size && at < 0; i++)
        if (memcmp(file + i, "\0\0\0\1\0\0\0\0\0\0\0\7", 12) == 0 &&
            memcmp(file + i + 12 + 16, "\0\0\0\0\0\0\0", 7) == 0)
            at = i + 12 + 24 + 3;
    assert_true(at > 0);
    file[at] ^= 0x10;
    assert_int_equal(pwrite(fd, file + at, 1, at), 1);
    free(file);
    (void)close(fd);

    assert_int_equal(bench_open(bench), LEDGER_OK);
    for (uint64_t seq = 1; seq <= 20; seq++)
        assert_int_equal(ledger_record(bench->ledger,
                                       (struct ledger_id){bench->source, seq}, out, &n),
                         seq == 7 ? LEDGER_DAMAGED : LEDGER_OK);
    ledger_books(bench->ledger, &books);
    assert_int_equal(books.damaged, 1);
}

static void a_full_map_stops_intake_and_nothing_else(void **state)
{
    struct bench *bench = *state;
    struct ledger_space space;
    struct ledger_books books;
    static uint8_t big[2000];
    uint64_t seq = 0;
    int error;

    ledger_close(bench->ledger);
    bench->options.size_max = UINT64_C(24) << 20;
    assert_int_equal(bench_open(bench), LEDGER_OK);
    do {
        assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
        for (int i = 0; i < 50; i++) {
            struct ledger_new new = reading_of(bench, ++seq, big, sizeof(big), 5, 100);
            if ((error = ledger_store(bench->ledger, &new, NULL)) != LEDGER_NEW)
                break;
        }
        if (error == LEDGER_NEW)
            assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
        else
            ledger_abort(bench->ledger);
    } while (error == LEDGER_NEW);
    assert_int_equal(error, LEDGER_FULL);
    assert_non_null(strstr(ledger_failure(bench->ledger), "ledger full"));
    assert_int_equal(ledger_space(bench->ledger, &space), LEDGER_OK);
    assert_true(space.used > UINT64_C(12) << 20);

    /* What is here can still be finished. */
    ledger_books(bench->ledger, &books);
    for (uint64_t done = 1; done <= books.readings; done++) {
        assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
        move_to(bench, done, LEDGER_HELD, 50);
        assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    }
    bench_check(bench);
    /* More room, and it goes on. */
    ledger_close(bench->ledger);
    bench->options.size_max = UINT64_C(48) << 20;
    assert_int_equal(bench_open(bench), LEDGER_OK);
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, seq, "x", 5, 100), LEDGER_NEW);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_check(bench);
}

static void a_low_disk_stops_intake(void **state)
{
    struct bench *bench = *state;

    ledger_close(bench->ledger);
    bench->options.free_min = UINT64_C(1) << 60;
    assert_int_equal(bench_open(bench), LEDGER_OK);
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "x", 5, 100), LEDGER_FULL);
    assert_non_null(strstr(ledger_failure(bench->ledger), "disk full"));
    ledger_abort(bench->ledger);
    /* Space that is reserved already is no matter of the disk. */
    ledger_close(bench->ledger);
    bench->options.preallocate = UINT64_C(16) << 20;
    assert_int_equal(bench_open(bench), LEDGER_OK);
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(store_reading(bench, 1, "x", 5, 100), LEDGER_NEW);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
    bench_check(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stored_once_and_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(plaintext_is_nowhere_on_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(an_aborted_batch_never_was, setup, teardown),
        cmocka_unit_test_setup_teardown(another_content_holds_both, setup, teardown),
        cmocka_unit_test_setup_teardown(a_conflict_leaves_the_sent_to_the_caller, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(only_the_table_moves_a_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(each_change_is_kept_with_who, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_cost_what_they_return, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_is_searched_by_time, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(records_out_of_limits_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(opening_says_what_is_wrong, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flipped_bit_is_counted_and_never_read, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_map_stops_intake_and_nothing_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_low_disk_stops_intake, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
