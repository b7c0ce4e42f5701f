/* SPDX-License-Identifier: Apache-2.0
 *
 * Every bad file below has its exact error: the text is what a person at 3 a.m. works
 * from.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/config.h"
#include "base/file.h"
#include "base/ids.h"
#include "temporary.h"

struct device {
    char name[NAME_MAX_LENGTH + 1];
    int64_t address;
    int64_t poll_ms;
    bool stored;
};

struct sample {
    char site[NAME_MAX_LENGTH + 1];
    struct {
        char path[256];
        int64_t size;
        int64_t commit_ms;
    } store;
    int64_t parity;
    char note[16];
    struct config_list devices;
};

static const char *const parities[] = {"none", "even", "odd", NULL};

static const struct config_field device_fields[] = {
    {.key = "name",
     .type = CONFIG_NAME,
     .offset = offsetof(struct device, name),
     .size = NAME_MAX_LENGTH + 1,
     .required = true,
     .help = "unique on this gateway"},
    {.key = "address",
     .type = CONFIG_INTEGER,
     .offset = offsetof(struct device, address),
     .required = true,
     .minimum = 1,
     .maximum = 247,
     .help = "Modbus unit"},
    {.key = "poll",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct device, poll_ms),
     .minimum = 100,
     .maximum = 3600000,
     .preset = 1000,
     .help = "time between readings"},
    {.key = "stored",
     .type = CONFIG_BOOLEAN,
     .offset = offsetof(struct device, stored),
     .preset = 1},
    {.key = NULL},
};

static const struct config_field store_fields[] = {
    {.key = "path",
     .type = CONFIG_PATH,
     .offset = offsetof(struct sample, store.path) - offsetof(struct sample, store),
     .size = 256,
     .preset_text = "store",
     .help = "folder"},
    {.key = "size",
     .type = CONFIG_SIZE,
     .offset = offsetof(struct sample, store.size) - offsetof(struct sample, store),
     .minimum = 1 << 20,
     .maximum = INT64_C(1) << 40,
     .preset = 256 << 20,
     .help = "space on disk"},
    {.key = "commit",
     .type = CONFIG_DURATION,
     .offset = offsetof(struct sample, store.commit_ms) - offsetof(struct sample, store),
     .minimum = 10,
     .maximum = 10000,
     .preset = 100},
    {.key = NULL},
};

static const struct config_field fields[] = {
    {.key = "site",
     .type = CONFIG_NAME,
     .offset = offsetof(struct sample, site),
     .size = NAME_MAX_LENGTH + 1,
     .required = true,
     .help = "the hospital site"},
    {.key = "store",
     .type = CONFIG_SECTION,
     .offset = offsetof(struct sample, store),
     .of = store_fields},
    {.key = "parity",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct sample, parity),
     .choices = parities,
     .preset = 1},
    {.key = "note",
     .type = CONFIG_TEXT,
     .offset = offsetof(struct sample, note),
     .size = 16,
     .minimum = 2},
    {.key = "devices",
     .type = CONFIG_LIST,
     .offset = offsetof(struct sample, devices),
     .size = sizeof(struct device),
     .of = device_fields,
     .maximum = 3},
    {.key = NULL},
};

static void test_a_whole_file(void **state)
{
    static const char text[] =
        "# a comment\n"
        "site: homerton\n"
        "store:\n"
        "  path: data/store   # below the file\n"
        "  size: 8GiB\n"
        "parity: odd\n"
        "note: \"bay 3: left\"\n"
        "devices:\n"
        "  - name: monitor-1\n"
        "    address: 0x11\n"
        "  - {name: monitor-2, address: 2, poll: 10min, stored: no}\n";
    struct sample s;
    const struct device *d;
    struct config *config;
    char error[CONFIG_ERROR_SIZE] = "";

    (void)state;
    memset(&s, 0, sizeof(s));
    if (config_load("/etc/x.yaml", text, fields, &s, &config, error) != 0)
        fail_msg("%s", error);
    assert_string_equal(s.site, "homerton");
    assert_string_equal(s.store.path, "/etc/data/store");
    assert_true(s.store.size == INT64_C(8) << 30);
    assert_int_equal(s.store.commit_ms, 100);
    assert_int_equal(s.parity, 2);
    assert_string_equal(s.note, "bay 3: left");
    assert_int_equal(s.devices.count, 2);
    d = s.devices.items;
    assert_string_equal(d[0].name, "monitor-1");
    assert_int_equal(d[0].address, 17);
    assert_int_equal(d[0].poll_ms, 1000);
    assert_true(d[0].stored);
    assert_int_equal(d[1].poll_ms, 600000);
    assert_false(d[1].stored);

    /* A semantic error finds the line of the very value. */
    assert_int_equal(config_error(config, &d[1].address, error, "also used by %s",
                                  "monitor-1"),
                     -1);
    assert_string_equal(error,
                        "/etc/x.yaml:11: devices[1].address: also used by monitor-1");
    (void)config_error(config, &s.store.size, error, "too much");
    assert_string_equal(error, "/etc/x.yaml:5: store.size: too much");
    (void)config_error(config, &s.store.commit_ms, error,
                       "slow"); /* absent: its section's line */
    assert_string_equal(error, "/etc/x.yaml:3: store.commit: slow");
    (void)config_error(config, d[0].name, error, "taken");
    assert_string_equal(error, "/etc/x.yaml:9: devices[0].name: taken");
    (void)config_error(config, &s.devices, error, "too few");
    assert_string_equal(error, "/etc/x.yaml:8: devices: too few");
    (void)config_error(config, NULL, error, "no");
    assert_string_equal(error, "/etc/x.yaml: no");
    (void)config_error(config, error, error, "unknown address");
    assert_string_equal(error, "/etc/x.yaml: unknown address");
    config_free(config);
    config_free(NULL);
}

static void test_presets(void **state)
{
    struct sample s;
    struct config *config;
    char error[CONFIG_ERROR_SIZE];

    (void)state;
    memset(&s, 0, sizeof(s));
    assert_int_equal(config_load("/x.yaml", "site: a", fields, &s, &config, error), 0);
    assert_string_equal(s.store.path, "/store");
    assert_int_equal(s.store.size, 256 << 20);
    assert_int_equal(s.parity, 1);
    assert_string_equal(s.note, "");
    assert_int_equal(s.devices.count, 0);
    config_free(config);
}

static const struct {
    const char *text, *error;
} bad[] = {
    {"", "f.yaml:1: the file is empty"},
    {"# only a comment\n", "f.yaml:1: the file is empty"},
    {"store:\n  size: 1MiB\n", "f.yaml:1: site: is missing: the hospital site"},
    {"site:\n", "f.yaml:1: site: has no value"},
    {"site: ''\n",
     "f.yaml:1: site: '' is not a name: 1..47 of a-z, 0-9 and '-', no '-' at an end"},
    {"site: Homerton\n", "f.yaml:1: site: 'Homerton' is not a name: 1..47 of a-z, 0-9 "
                         "and '-', no '-' at an end"},
    {"site: a-\n",
     "f.yaml:1: site: 'a-' is not a name: 1..47 of a-z, 0-9 and '-', no '-' at an end"},
    {"site: abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstu\n",
     "f.yaml:1: site: is 48 bytes long (at most 47)"},
    {"site: [a]\n", "f.yaml:1: site: is a list, but one value is expected"},
    {"site: {a: b}\n",
     "f.yaml:1: site: is a section with keys, but one value is expected"},
    {"- a\n- b\n", "f.yaml:1: is a list, but a section with keys is expected"},
    {"just words\n", "f.yaml:1: is a value, but a section with keys is expected"},
    {"site: a\nstores:\n  size: 1MiB\n",
     "f.yaml:2: stores: unknown key; did you mean 'store'?"},
    {"site: a\nstore:\n  siez: 1MiB\n",
     "f.yaml:3: store.siez: unknown key; did you mean 'size'?"},
    {"site: a\nelephant: 1\n",
     "f.yaml:2: elephant: unknown key; known here: site, store, parity, note, devices"},
    {"site: a\nsite: b\n", "f.yaml:2: site: given twice (first on line 1)"},
    {"site: a\nstore:\n  size: 1MiB\n  size: 2MiB\n",
     "f.yaml:4: store.size: given twice (first on line 3)"},
    {"site: a\nstore: 5\n",
     "f.yaml:2: store: is a value, but a section with keys is expected"},
    {"site: a\nstore:\n  size: 5\n",
     "f.yaml:3: store.size: '5' needs a unit: a size like 512B, 64KiB, 256MiB or 8GiB"},
    {"site: a\nstore:\n  size: 5MB\n", "f.yaml:3: store.size: '5MB' has an unknown unit: "
                                       "a size like 512B, 64KiB, 256MiB or 8GiB"},
    {"site: a\nstore:\n  size: 5KiB\n",
     "f.yaml:3: store.size: 5KiB is out of range (expected 1MiB..1024GiB)"},
    {"site: a\nstore:\n  size: 99999999999GiB\n",
     "f.yaml:3: store.size: 99999999999GiB is out of range (expected 1MiB..1024GiB)"},
    {"site: a\nstore:\n  size: -1MiB\n",
     "f.yaml:3: store.size: '-1MiB' is not a size like 512B, 64KiB, 256MiB or 8GiB"},
    {"site: a\nstore:\n  commit: 100\n", "f.yaml:3: store.commit: '100' needs a unit: a "
                                         "duration like 250ms, 5s, 10min, 72h or 2d"},
    {"site: a\nstore:\n  commit: fast\n",
     "f.yaml:3: store.commit: 'fast' is not a duration like 250ms, 5s, 10min, 72h or 2d"},
    {"site: a\nstore:\n  commit: 1 s\n",
     "f.yaml:3: store.commit: '1 s' has an unknown unit: a duration like 250ms, 5s, "
     "10min, 72h or 2d"},
    {"site: a\nstore:\n  commit: 1.5s\n",
     "f.yaml:3: store.commit: '1.5s' has an unknown unit: a duration like 250ms, 5s, "
     "10min, 72h or 2d"},
    {"site: a\nstore:\n  commit: 1h\n",
     "f.yaml:3: store.commit: 1h is out of range (expected 10ms..10s)"},
    {"site: a\nstore:\n  commit: 0\n",
     "f.yaml:3: store.commit: 0 is out of range (expected 10ms..10s)"},
    {"site: a\nparity: odds\n", "f.yaml:2: parity: 'odds' is not one of none, even, odd"},
    {"site: a\nnote: x\n", "f.yaml:2: note: is too short (at least 2 characters)"},
    {"site: a\nnote: 0123456789abcdef\n",
     "f.yaml:2: note: is 16 bytes long (at most 15)"},
    {"site: a\nnote: \"a\\tb\"\n", "f.yaml:2: note: contains a control character"},
    {"site: a\nnote: \"a\\0b\"\n", "f.yaml:2: note: contains a NUL"},
    {"site: a\ndevices: none\n", "f.yaml:2: devices: is a value, but a list is expected"},
    {"site: a\ndevices:\n  name: x\n",
     "f.yaml:3: devices: is a section with keys, but a list is expected"},
    {"site: a\ndevices:\n  - monitor\n",
     "f.yaml:3: devices[0]: is a value, but a section with keys is expected"},
    {"site: a\ndevices:\n  - name: m\n    address: 1\n  - name: n\n",
     "f.yaml:5: devices[1].address: is missing: Modbus unit"},
    {"site: a\ndevices:\n  - name: m\n    address: 0\n",
     "f.yaml:4: devices[0].address: 0 is out of range (expected 1..247)"},
    {"site: a\ndevices:\n  - name: m\n    address: 248\n",
     "f.yaml:4: devices[0].address: 248 is out of range (expected 1..247)"},
    {"site: a\ndevices:\n  - name: m\n    address: 010\n",
     "f.yaml:4: devices[0].address: '010' is not a whole number (expected 1..247)"},
    {"site: a\ndevices:\n  - name: m\n    address: 1e2\n",
     "f.yaml:4: devices[0].address: '1e2' is not a whole number (expected 1..247)"},
    {"site: a\ndevices:\n  - name: m\n    address: \"1\"\n",
     "f.yaml:4: devices[0].address: '1' is not a whole number (expected 1..247)"},
    {"site: a\ndevices:\n  - name: m\n    address: 99999999999999999999\n",
     "f.yaml:4: devices[0].address: '99999999999999999999' is not a whole number "
     "(expected 1..247)"},
    {"site: a\ndevices:\n  - name: m\n    address: 1\n    stored: maybe\n",
     "f.yaml:5: devices[0].stored: 'maybe' is not true or false"},
    {"site: a\ndevices:\n  - name: m\n    adress: 1\n",
     "f.yaml:4: devices[0].adress: unknown key; did you mean 'address'?"},
    {"site: a\ndevices: [{name: a, address: 1}, {name: b, address: 1}, {name: c, "
     "address: 1}, {name: d, address: 1}]\n",
     "f.yaml:2: devices: has 4 entries (at most 3)"},
    {"site: &x a\nnote: *x\n", "f.yaml:1: anchors (&name) are not allowed"},
    {"site: a\nnote: *x\n", "f.yaml:2: aliases (*name) are not allowed"},
    {"site: !!str a\n", "f.yaml:1: tags (!name) are not allowed"},
    {"site: a\n---\nsite: b\n", "f.yaml:2: a second document (---) is not allowed"},
    {"site: [[[[[[[[[[a]]]]]]]]]]\n", "f.yaml:1: nested too deeply"},
    {"site: a\n\tnote: b\n",
     "f.yaml:2: not valid YAML: found a tab character that violates indentation"},
    {"site: a\nnote: \"b\n", "f.yaml:3: not valid YAML: found unexpected end of stream"},
    {"site: a\n note: b\n",
     "f.yaml:2: not valid YAML: mapping values are not allowed in this context"},
    {"site: \xff\n", "f.yaml:1: not valid YAML: invalid leading UTF-8 octet"},
    {"? [a]\n: b\n", "f.yaml:1: a key is a list, but a word is expected"},
};

static void test_bad_files(void **state)
{
    char error[CONFIG_ERROR_SIZE];
    struct config *config = NULL;
    struct sample s;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&s, 0, sizeof(s));
        error[0] = '\0';
        if (config_load("f.yaml", bad[i].text, fields, &s, &config, error) == 0)
            fail_msg("accepted:\n%s", bad[i].text);
        if (strcmp(error, bad[i].error) != 0)
            fail_msg("for:\n%s\nexpected: %s\nsaid:     %s", bad[i].text, bad[i].error,
                     error);
    }
    printf("%zu bad configurations, each with its exact error\n",
           sizeof(bad) / sizeof(bad[0]));
}

static void test_files_on_disk(void **state)
{
    char folder[256], path[300], error[CONFIG_ERROR_SIZE], expected[512];
    struct config *config;
    struct sample s;
    char *big;

    (void)state;
    memset(&s, 0, sizeof(s));
    assert_int_equal(temporary_folder(folder), 0);
    (void)snprintf(path, sizeof(path), "%s/c.yaml", folder);
    assert_int_equal(config_load(path, NULL, fields, &s, &config, error), -1);
    (void)snprintf(expected, sizeof(expected),
                   "%s: cannot be read: No such file or directory", path);
    assert_string_equal(error, expected);

    big = calloc(1, CONFIG_FILE_MAX + 1);
    assert_non_null(big);
    memset(big, '#', CONFIG_FILE_MAX + 1);
    assert_int_equal(file_replace(path, big, CONFIG_FILE_MAX + 1, 0600), 0);
    free(big);
    assert_int_equal(config_load(path, NULL, fields, &s, &config, error), -1);
    (void)snprintf(expected, sizeof(expected), "%s: cannot be read: larger than 1 MiB",
                   path);
    assert_string_equal(error, expected);

    assert_int_equal(file_replace(path, "site: a\r\nnote: bc\r\n", 19, 0600), 0);
    assert_int_equal(config_load(path, NULL, fields, &s, &config, error), 0);
    (void)snprintf(expected, sizeof(expected), "%s/store", folder);
    assert_string_equal(s.store.path, expected);
    config_free(config);
    temporary_remove(folder);
}

/* What -T prints reads back as the same configuration. */
static void test_print_reads_back(void **state)
{
    static const char text[] =
        "site: a\nnote: 'q\"b\\c'\nstore: {commit: 1500ms, size: 3KiB}\n"
        "devices: [{name: x, address: 9, poll: 1h}, {name: y, address: 8, stored: "
        "false}]\n";
    struct config_field loose[sizeof(fields) / sizeof(fields[0])];
    struct config_field loose_store[sizeof(store_fields) / sizeof(store_fields[0])];
    struct sample a, b;
    struct config *first, *second;
    char error[CONFIG_ERROR_SIZE] = "", *printed = NULL;
    size_t size;
    FILE *file = open_memstream(&printed, &size);

    (void)state;
    memcpy(loose, fields, sizeof(fields));
    memcpy(loose_store, store_fields, sizeof(store_fields));
    loose_store[1].minimum = 1;
    loose[1].of = loose_store;
    memset(&a, 0, sizeof(a));
    memset(&b, 0, sizeof(b));
    assert_non_null(file);
    if (config_load("/f", text, loose, &a, &first, error) != 0)
        fail_msg("%s", error);
    config_print(loose, &a, file);
    assert_int_equal(fclose(file), 0);
    if (config_load("/f", printed, loose, &b, &second, error) != 0)
        fail_msg("%s\n%s", error, printed);
    assert_non_null(strstr(printed, "  commit: 1500ms\n"));
    assert_non_null(strstr(printed, "  size: 3KiB  # space on disk\n"));
    assert_non_null(strstr(printed, "  - name: \"x\"  # unique on this gateway\n"));
    assert_string_equal(a.note, b.note);
    assert_int_equal(a.store.commit_ms, b.store.commit_ms);
    assert_int_equal(b.devices.count, 2);
    assert_memory_equal(a.devices.items, b.devices.items, 2 * sizeof(struct device));
    config_free(first);
    config_free(second);
    free(printed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_file),     cmocka_unit_test(test_presets),
        cmocka_unit_test(test_bad_files),        cmocka_unit_test(test_files_on_disk),
        cmocka_unit_test(test_print_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
