/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "temporary.h"

static char folder[256], path[300];

static int setup(void **state)
{
    (void)state;
    if (temporary_folder(folder) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static int entries(void)
{
    DIR *dir = opendir(folder);
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n - 2;
}

static void test_reads_what_was_written(void **state)
{
    uint8_t *bytes, data[10000];
    struct stat st;

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    for (size_t n = 0; n <= sizeof(data); n += 2500) {
        assert_int_equal(file_replace(path, data, n, 0640), 0);
        assert_int_equal(file_read(path, sizeof(data), &bytes), n);
        assert_memory_equal(bytes, data, n);
        assert_int_equal(bytes[n], 0);
        free(bytes);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(entries(), 1); /* no temporary is left */
    assert_true(file_read("/proc/self/status", 65536, &bytes) > 100);
    free(bytes);
}

static void test_limits_and_errors(void **state)
{
    uint8_t *bytes = NULL, data[100] = {0};

    (void)state;
    assert_int_equal(file_replace(path, data, 100, 0600), 0);
    assert_int_equal(file_read(path, 99, &bytes), -EFBIG);
    assert_int_equal(file_read(path, 100, &bytes), 100);
    free(bytes);
    assert_int_equal(file_read("/nowhere/at/all", 100, &bytes), -ENOENT);
    assert_int_equal(file_read(folder, 100, &bytes), -EISDIR);
    assert_int_equal(file_read("/proc/self/status", 10, &bytes), -EFBIG);
    assert_int_equal(file_replace("/nowhere/at/all", data, 1, 0600), -ENOENT);
    assert_int_equal(file_replace(folder, data, 1, 0600), -EISDIR);
    assert_int_equal(entries(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_was_written),
        cmocka_unit_test(test_limits_and_errors),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
