/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate emulate` as a program, read by a real bus: the books must balance, every
 * digit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

#define ROWS 60

extern char **environ;

static char folder[256], csv[300], link_path[300], served[300], output[300];

static int set_up(void **state)
{
    (void)state;
    if (temporary_folder(folder) != 0)
        return -1;
    (void)snprintf(csv, sizeof csv, "%s/rows.csv", folder);
    (void)snprintf(link_path, sizeof link_path, "%s/line", folder);
    (void)snprintf(served, sizeof served, "%s/served.jsonl", folder);
    (void)snprintf(output, sizeof output, "%s/out", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static pid_t begin(char *const *argv)
{
    posix_spawn_file_actions_t actions;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, output, O_CREAT | O_WRONLY | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    assert_int_equal(posix_spawn(&pid, EMULATE, &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

static int end(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The text that the program wrote, up to `size`. */
static void said(char *text, size_t size)
{
    FILE *file = fopen(output, "re");

    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

static void await_ready(char *text, size_t size)
{
    for (int i = 0; i < 2000; i++) {
        said(text, size);
        if (strchr(text, '\n') != NULL)
            return;
        usleep(5000);
    }
    fail_msg("it never became ready");
}

/* The rows: tenths, hundredths, whole numbers, and nothing. */
static void value_of(int row, int column, char out[16])
{
    out[0] = '\0';
    if (column == 0 && row % 7 != 3)
        (void)snprintf(out, 16, "%d.%d", 60 + row, row % 10);
    if (column == 1 && row % 3 == 0)
        (void)snprintf(out, 16, "9%d", row % 10);
    if (column == 2)
        (void)snprintf(out, 16, "36.%02d", row);
}

static void make_rows(void)
{
    static char text[ROWS * 64];
    size_t n = (size_t)snprintf(text, sizeof text, "minute,HR,SpO2,TEMP\r\n");

    for (int row = 0; row < ROWS; row++) {
        char v[3][16];

        for (int c = 0; c < 3; c++)
            value_of(row, c, v[c]);
        n += (size_t)snprintf(text + n, sizeof text - n, "%d,%s,%s,%s\n", row, v[0], v[1],
                              v[2]);
    }
    write_file(csv, text);
}

static void check_row(const struct observation_set *set, int row)
{
    static const char *const names[] = {"HR", "SpO2", "TEMP"};
    const struct regmap *map = regmap_by_name("wardgate-monitor");

    for (int c = 0; c < 3; c++) {
        const struct observation *found = NULL;
        uint32_t code = 0;
        char want[16], digits[200];

        value_of(row, c, want);
        for (size_t f = 0; f < map->field_count; f++)
            if (strcmp(map->fields[f].name, names[c]) == 0)
                code = map->fields[f].code;
        for (size_t i = 0; i < set->count; i++)
            if (set->items[i].code == code)
                found = &set->items[i];
        if (found == NULL) {
            fail_msg("no %s in the set", names[c]);
            return;
        }
        if (want[0] == '\0') {
            assert_int_equal(found->kind, OBSERVATION_ABSENT);
            continue;
        }
        assert_int_equal(found->kind, OBSERVATION_NUMERIC);
        /* Digit for digit: 36.50 is not 36.5. */
        if (found->exponent < 0) {
            int64_t ten = 1;
            for (int e = 0; e > found->exponent; e--)
                ten *= 10;
            (void)snprintf(digits, sizeof digits, "%lld.%0*lld",
                           (long long)(found->mantissa / ten), -found->exponent,
                           (long long)(found->mantissa % ten));
        } else {
            (void)snprintf(digits, sizeof digits, "%lld", (long long)found->mantissa);
        }
        assert_string_equal(digits, want);
    }
}

static void every_row_is_read_once_and_the_books_agree(void **state)
{
    char *argv[] = {"emulate",
                    "modbus",
                    "--pty",
                    link_path,
                    "--baud",
                    "115200",
                    "--profile",
                    "wardgate-monitor",
                    "--unit",
                    "7",
                    "--replay",
                    csv,
                    "--every",
                    "30ms",
                    "--each-row-once-read",
                    "--exit-at-end",
                    "--served",
                    served,
                    NULL};
    struct bus_device device = {.unit = 7,
                                .map = regmap_by_name("wardgate-monitor"),
                                .every_ms = 10};
    struct bus_setting setting = {.device_count = 1, .devices = &device};
    struct bus_item item;
    struct bus *bus;
    char text[2000], line[1000];
    int row = 0, lines = 0, decoded = 0, missed = 0, status;
    pid_t pid;
    FILE *book;

    (void)state;
    make_rows();
    pid = begin(argv);
    await_ready(text, sizeof text);
    setting.line = (struct port_line){.baud = 115200,
                                      .data_bits = 8,
                                      .stop_bits = 1,
                                      .parity = DRIVER_PARITY_EVEN};
    (void)snprintf(setting.line.path, sizeof setting.line.path, "%.250s", link_path);
    assert_int_equal(bus_start(&setting, &bus), 0);
    while (row < ROWS) {
        assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
        assert_int_equal(item.sample.set.sample, row + 1 + (int)item.sample.missed);
        missed += (int)item.sample.missed;
        row = (int)item.sample.set.sample;
        check_row(&item.sample.set, row - 1);
        decoded++;
    }
    /* served = decoded + inside a gap; on a machine that keeps time there is no gap. */
    assert_int_equal(decoded + missed, ROWS);
    assert_true(missed < ROWS / 10);
    bus_stop(bus);
    status = end(pid);
    assert_int_equal(status, 0);
    said(text, sizeof text);
    assert_non_null(strstr(text, "\"served\":60,\"unread\":0,"));
    assert_non_null(strstr(text, "\"writes\":0,"));
    book = fopen(served, "re");
    assert_non_null(book);
    while (fgets(line, sizeof line, book) != NULL) {
        json_t *object = json_loads(line, 0, NULL),
               *values = json_object_get(object, "row");
        char want[16];

        assert_non_null(object);
        assert_int_equal(json_integer_value(json_object_get(object, "unit")), 7);
        assert_int_equal(json_integer_value(json_object_get(object, "sample")),
                         lines + 1);
        assert_null(json_object_get(object, "unread"));
        assert_null(json_object_get(values, "minute"));
        value_of(lines, 0, want);
        if (want[0] == '\0')
            assert_true(json_is_null(json_object_get(values, "HR")));
        else
            assert_string_equal(json_string_value(json_object_get(values, "HR")), want);
        json_decref(object);
        lines++;
    }
    (void)fclose(book);
    assert_int_equal(lines, ROWS);
    assert_int_equal(access(link_path, F_OK), -1); /* the link went with it */
}

static void tcp_takes_a_free_port_and_tells_unread_rows(void **state)
{
    char *argv[] = {"emulate",     "modbus",    "--tcp",
                    "127.0.0.1:0", "--profile", "wardgate-monitor",
                    "--seed",      "5",         "--every",
                    "100ms",       "--unit",    "3",
                    "--unit",      "4",         "--dead",
                    NULL};
    struct bus_device devices[2] = {{.unit = 3,
                                     .map = regmap_by_name("wardgate-monitor")},
                                    {.unit = 4,
                                     .map = regmap_by_name("wardgate-monitor")}};
    struct bus_setting setting = {.device_count = 2, .devices = devices};
    struct bus_item item;
    struct bus *bus;
    char text[2000];
    uint64_t missed = 0;
    unsigned port = 0;
    pid_t pid;

    (void)state;
    pid = begin(argv);
    await_ready(text, sizeof text);
    assert_int_equal(sscanf(text, "listening on port %u", &port), 1);
    setting.line = (struct port_line){.path = "127.0.0.1", .tcp_port = (uint16_t)port};
    devices[0].every_ms = 300;
    assert_int_equal(bus_start(&setting, &bus), 0);
    for (int i = 0; i < 5; i++) {
        assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
        assert_int_equal(item.device, 0);
        missed += item.sample.missed;
    }
    /* Three rows to a poll, but for the first, which is at once; and one that the dead
     * unit has delayed is followed closely by the next. */
    assert_true(missed >= 3);
    bus_stop(bus);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(end(pid), 0);
    said(text, sizeof text);
    assert_null(strstr(text, "\"unread\":0,"));
}

static void a_write_is_refused_and_told_by_the_exit_code(void **state)
{
    char *argv[] = {"emulate",   "modbus",           "--pty", link_path, "--baud", "0",
                    "--profile", "wardgate-monitor", NULL};
    static const uint8_t write_request[] = {1, 6, 0, 2, 0, 1, 0xE9, 0xCA};
    uint8_t reply[8];
    char text[2000];
    pid_t pid;
    int fd;

    (void)state;
    pid = begin(argv);
    await_ready(text, sizeof text);
    fd = open(link_path, O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, write_request, sizeof write_request),
                     sizeof write_request);
    assert_true(read(fd, reply, sizeof reply) > 0);
    assert_int_equal(reply[0], 1);
    close(fd);
    assert_int_equal(kill(pid, SIGINT), 0);
    assert_int_equal(end(pid), 3);
}

static void bad_commands_say_what_is_wrong(void **state)
{
    static char bad_csv[320], short_csv[320], wide_csv[320], tenths_csv[320], plain[320];
    struct {
        char *arguments[10];
        int code;
        const char *message;
    } cases[] = {
        {{"modbus"}, 2, "unit 1 has no --profile"},
        {{"serial"}, 2, "'serial' is no device that can be emulated"},
        {{"modbus", "--profile", "nosuch"}, 2, "no profile is called nosuch"},
        {{"modbus", "--unit", "0"}, 2, "--unit 0: not a value"},
        {{"modbus", "--unit", "248"}, 2, "--unit 248: not a value"},
        {{"modbus", "--every", "5"}, 2, "--every 5: not a value"},
        {{"modbus", "--fault", "melt"}, 2, "--fault melt: not a value"},
        {{"modbus", "--fault", "late@x=5"}, 2, "--fault late@x=5: not a value"},
        {{"modbus", "--nonsense"}, 2, "unrecognized option"},
        {{"modbus", "extra"}, 2, "extra is no option"},
        {{"modbus", "--profile", "wardgate-monitor", "--replay", "/nonexistent"},
         2,
         "/nonexistent:0: cannot be read"},
        {{"modbus", "--profile", "wardgate-monitor", "--replay", bad_csv},
         2,
         "no column has the name"},
        {{"modbus", "--profile", "wardgate-monitor", "--replay", short_csv},
         2,
         "short.csv:3: 2 values expected, as in line 1"},
        {{"modbus", "--profile", "wardgate-monitor"}, 1, "the line cannot be opened"},
        {{"modbus", "--profile", "wardgate-monitor", "--pty", plain}, 1, "File exists"},
        {{"modbus", "--profile", "wardgate-monitor", "--tcp", "300.0.0.1:0"},
         1,
         "the line cannot be opened"},
        {{"modbus", "--profile", "wardgate-monitor", "--replay", wide_csv, "--tcp",
          "127.0.0.1:0"},
         1,
         "row 1: HR = 12345678.9: the device cannot show that"},
        {{"nonin", "--format", "df9"}, 2, "--format df9: not a value"},
        {{"contec-v8"}, 2, "'contec-v8' is no device"},
        {{"contec-v7", "--fault", "foreign=3"}, 2, "--fault foreign=3: not a value"},
        {{"contec-v7", "--fault", "flip=3/7"}, 2, "--fault flip=3/7: not a value"},
        {{"contec-v7", "--speed", "0"}, 2, "--speed 0: not a value"},
        {{"modbus", "--speed", "2"}, 2, "--speed 2: not a value"},
        {{"modbus", "--fault", "drop=2"}, 2, "--fault drop=2: not a value"},
        {{"nonin-8500", "--replay", tenths_csv, "--pty", link_path},
         1,
         "row 1: SpO2 = 97.5: the device cannot show that (digits would be lost; see "
         "--fit)"},
    };
    char text[8000];

    (void)state;
    (void)snprintf(bad_csv, sizeof bad_csv, "%s/bad.csv", folder);
    (void)snprintf(short_csv, sizeof short_csv, "%s/short.csv", folder);
    (void)snprintf(wide_csv, sizeof wide_csv, "%s/wide.csv", folder);
    (void)snprintf(plain, sizeof plain, "%s/plain", folder);
    write_file(bad_csv, "a,b\n1,2\n");
    write_file(short_csv, "HR,TEMP\n60,36.5\n61\n");
    write_file(wide_csv, "HR\n12345678.9\n");
    write_file(plain, "precious\n");
    (void)snprintf(tenths_csv, sizeof tenths_csv, "%s/tenths.csv", folder);
    write_file(tenths_csv, "PULSE,SpO2\n72,97.5\n");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *argv[12] = {"emulate"};
        int code;

        for (size_t a = 0; a < 10 && cases[i].arguments[a] != NULL; a++)
            argv[a + 1] = cases[i].arguments[a];
        code = end(begin(argv));
        said(text, sizeof text);
        if (code != cases[i].code || strstr(text, cases[i].message) == NULL)
            fail_msg("case %zu: exit %d, said: %s", i, code, text);
    }
    print_message("%zu bad commands\n", sizeof cases / sizeof cases[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_read_once_and_the_books_agree),
        cmocka_unit_test(tcp_takes_a_free_port_and_tells_unread_rows),
        cmocka_unit_test(a_write_is_refused_and_told_by_the_exit_code),
        cmocka_unit_test(bad_commands_say_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
