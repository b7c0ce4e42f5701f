/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "chart/epr_file.h"

#define LINE_SIZE 160

static char folder[128], path[160];

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/wardgate-epr-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/file", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* A line as deliver_json begins it. Returns its length. */
static size_t line_of(unsigned n, char control[21], char line[LINE_SIZE])
{
    snprintf(control, 21, "%020u", n);
    return (size_t)snprintf(line, LINE_SIZE,
                            "{\"control\":\"%s\",\"kind\":\"result\",\"n\":%u}\n",
                            control, n);
}

static int append(struct epr_file *file, unsigned n)
{
    char control[21], line[LINE_SIZE];
    size_t size = line_of(n, control, line);
    return epr_file_append(file, control, line, size);
}

/* Counts whole lines and the highest times that one control id occurs. */
static size_t read_back(unsigned most, unsigned *repeated)
{
    char line[512];
    size_t lines = 0;
    unsigned *seen = calloc(most + 1, sizeof *seen), n;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(seen);
    *repeated = 0;
    while (fgets(line, sizeof line, file)) {
        assert_memory_equal(line, "{\"control\":\"", 12);
        n = (unsigned)strtoul(line + 12, NULL, 10);
        assert_true(n <= most);
        assert_int_equal(line[strlen(line) - 1], '\n');
        *repeated = ++seen[n] > *repeated ? seen[n] : *repeated;
        lines++;
    }
    fclose(file);
    free(seen);
    return lines;
}

static void test_once(void **state)
{
    (void)state;
    struct epr_file *file;
    unsigned repeated;
    assert_int_equal(epr_file_open(path, &file), 0);
    for (unsigned i = 1; i <= 100; i++)
        assert_int_equal(append(file, i), 1);
    assert_int_equal(append(file, 50), 0); /* in the batch */
    assert_int_equal(epr_file_sync(file), 0);
    assert_int_equal(append(file, 51), 0); /* in the file */
    epr_file_close(file);
    assert_int_equal(epr_file_open(path, &file), 0);
    assert_int_equal(append(file, 52), 0); /* written by another process */
    assert_int_equal(append(file, 101), 1);
    assert_int_equal(epr_file_sync(file), 0);
    assert_int_equal(epr_file_sync(file), 0); /* nothing to do */
    epr_file_close(file);
    assert_int_equal(read_back(101, &repeated), 101);
    assert_int_equal(repeated, 1);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void test_bad_lines(void **state)
{
    (void)state;
    struct epr_file *file;
    assert_int_equal(epr_file_open(path, &file), 0);
    assert_int_equal(epr_file_append(file, "short", "x\n", 2), -EINVAL);
    assert_int_equal(epr_file_append(file, "00000000000000000001", "x", 1), -EINVAL);
    assert_int_equal(epr_file_append(file, "00000000000000000001", "x\ny\n", 4), -EINVAL);
    assert_int_equal(epr_file_append(file, "00000000000000000001", "", 0), -EINVAL);
    epr_file_close(file);
    epr_file_close(NULL);
}

/* Cut at every byte of the last lines: what is whole stays, what is torn goes, and comes
 * again. */
static void test_torn(void **state)
{
    (void)state;
    struct epr_file *file;
    char control[21], line[LINE_SIZE];
    unsigned repeated, cuts = 0;
    assert_int_equal(epr_file_open(path, &file), 0);
    for (unsigned i = 1; i <= 10; i++)
        append(file, i);
    assert_int_equal(epr_file_sync(file), 0);
    epr_file_close(file);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    off_t whole = status.st_size;
    size_t last = line_of(10, control, line);
    for (off_t cut = whole - 1; cut > whole - (off_t)last; cut--, cuts++) {
        assert_int_equal(truncate(path, cut), 0);
        assert_int_equal(epr_file_open(path, &file), 0);
        assert_int_equal(append(file, 9), 0);
        assert_int_equal(append(file, 10), 1);
        assert_int_equal(epr_file_sync(file), 0);
        epr_file_close(file);
        assert_int_equal(read_back(10, &repeated), 10);
        assert_int_equal(repeated, 1);
    }
    printf("torn: %u cuts\n", cuts);
}

static void test_two_writers(void **state)
{
    (void)state;
    struct epr_file *file, *second;
    assert_int_equal(epr_file_open(path, &file), 0);
    assert_int_equal(epr_file_open(path, &second), -EWOULDBLOCK);
    epr_file_close(file);
    unlink(path);
    assert_int_equal(symlink("/tmp/elsewhere", path), 0);
    assert_int_equal(epr_file_open(path, &second), -ELOOP);
}

/* A disk that takes no more: none of the batch counts, and all of it is taken when there
 * is room again. */
static void test_full(void **state)
{
    (void)state;
    struct epr_file *file;
    struct rlimit limit, small;
    unsigned repeated;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(epr_file_open(path, &file), 0);
    for (unsigned i = 1; i <= 10; i++)
        append(file, i);
    assert_int_equal(epr_file_sync(file), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 1000;
    for (int again = 0; again < 3; again++) {
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        for (unsigned i = 11; i <= 40; i++)
            assert_int_equal(append(file, i), 1);
        assert_int_equal(epr_file_sync(file), -EFBIG);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        assert_int_equal(read_back(40, &repeated), 10);
    }
    for (unsigned i = 5; i <= 40; i++)
        assert_int_equal(append(file, i), i > 10);
    assert_int_equal(epr_file_sync(file), 0);
    epr_file_close(file);
    assert_int_equal(read_back(40, &repeated), 40);
    assert_int_equal(repeated, 1);
}

/* Ids beyond what is remembered are forgotten in order; the newest EPR_FILE_REMEMBERED
 * never. */
static void test_remembers_the_newest(void **state)
{
    (void)state;
    struct epr_file *file;
    const unsigned most = EPR_FILE_REMEMBERED + EPR_FILE_REMEMBERED / 2;
    assert_int_equal(epr_file_open(path, &file), 0);
    for (unsigned i = 1; i <= most; i++) {
        assert_int_equal(append(file, i), 1);
        if (i % 1000 == 0)
            assert_int_equal(epr_file_sync(file), 0);
    }
    assert_int_equal(epr_file_sync(file), 0);
    for (unsigned i = most; i > most - EPR_FILE_REMEMBERED; i--)
        assert_int_equal(append(file, i), 0);
    epr_file_close(file);
    assert_int_equal(epr_file_open(path, &file), 0);
    assert_int_equal(append(file, most), 0);
    epr_file_close(file);
}

/* A writer that is killed again and again, and begins each time a little before where it
 * was, as a ledger would. */
static void test_kill(void **state)
{
    (void)state;
    const unsigned kills = 40, most = 200000;
    unsigned repeated, progress = 0;
    int pipes[2];
    for (unsigned k = 0; k < kills; k++) {
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        if (child == 0) {
            struct epr_file *file;
            if (epr_file_open(path, &file) != 0)
                _exit(1);
            for (unsigned i = progress > 300 ? progress - 300 : 1; i <= most; i++) {
                if (append(file, i) < 0 || (i % 64 == 0 && epr_file_sync(file) != 0))
                    _exit(2);
                if (i % 64 == 0 && write(pipes[1], &i, sizeof i) != sizeof i)
                    _exit(3);
            }
            _exit(0);
        }
        close(pipes[1]);
        usleep(2000 + 700 * k);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        unsigned synced;
        while (read(pipes[0], &synced, sizeof synced) == sizeof synced)
            progress = synced > progress ? synced : progress;
        close(pipes[0]);
    }
    struct epr_file *file;
    assert_int_equal(epr_file_open(path, &file), 0);
    epr_file_close(file);
    size_t lines = read_back(most, &repeated);
    assert_true(lines >= progress); /* what was promised is there */
    assert_int_equal(repeated, 1);
    printf("killed %u times, %zu lines, none twice\n", kills, lines);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_once),        TEST(test_bad_lines), TEST(test_torn),
        TEST(test_two_writers), TEST(test_full),      TEST(test_remembers_the_newest),
        TEST(test_kill),
    };
    return cmocka_run_group_tests_name("chart_epr_file", tests, NULL, NULL);
}
