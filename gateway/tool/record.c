/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate record: a line's bytes into a file, and beside it what the driver makes of
 * them. Put both into tests/captures and they are a test.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "drivers/driver.h"
#include "ports/port_serial.h"
#include "tool/verbs.h"
#include "tool/where.h"

#define NAME_SIZE   512
#define PROGRESS_US 1000000
#define BYTES_MAX   (UINT64_C(16) * 1024 * 1024)

static const char help[] =
    "usage: wardgate record LINE --driver NAME --out NAME [--seconds N] [--baud N ...]\n"
    "                       [--json]\n"
    "\n"
    "Writes what a device says to NAME.bin and what the driver makes of it to NAME.txt,\n"
    "for --seconds (60 if not given) or until Ctrl-C. The driver asks as it does in\n"
    "wardgated, and nothing else is sent. The line must be free.\n"
    "\n"
    "Both files in tests/captures, named DRIVER@WHAT.bin and .txt, are a test: the "
    "bytes\n"
    "must always give these values. Look at the .txt first and compare it with what the\n"
    "device's screen showed. Do not record while a patient is connected, or a device\n"
    "that has a patient's name or number: the files would hold it. A wristband scanner\n"
    "is not recorded at all.\n"
    "\n"
    "  --baud, --parity, --stop, --bits   where the line is not set as the driver's is\n"
    "\n"
    "  wardgate record /dev/ttyUSB1 --driver nonin-df2 --out nonin-df2@simulator\n"
    "\n"
    "Exit codes: 0 values came, 1 none did (the bytes are kept), 64 called wrongly, 69\n"
    "the line can't be opened or is lost, 74 the files can't be written.\n";

struct record {
    const struct driver *driver;
    struct port_serial *port;
    void *state;
    FILE *bytes, *text;
    uint64_t size, sets, values, thrown;
};

/* As the captures' test writes it: number or '-', quality, the device's time, and whether
 * it comes from memory. */
static void on_set(void *context, const struct observation_set *set)
{
    struct record *record = context;
    const struct device_time *t = &set->device_time;

    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];

        if (o->kind == OBSERVATION_NUMERIC)
            (void)fprintf(record->text, "%lld", (long long)o->mantissa);
        else
            (void)fputc('-', record->text);
        (void)fprintf(record->text, "/%u ", o->quality);
        record->values += o->kind == OBSERVATION_NUMERIC;
    }
    if (t->present)
        (void)fprintf(record->text, "%04u-%02u-%02uT%02u:%02u:%02u ", t->year, t->month,
                      t->day, t->hour, t->minute, t->second);
    (void)fprintf(record->text, "%s\n", set->stored ? "stored" : "live");
    record->sets++;
}

static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    struct record *record = context;

    (void)fault;
    record->thrown += bytes;
}

/* Until the time is over, the file is full, or a signal came. */
static int listen(struct record *record, int stop_fd, uint64_t seconds)
{
    const struct driver *driver = record->driver;
    const struct driver_sink sink = {record, on_set, on_fault};
    uint64_t until = clock_monotonic_us() + seconds * US_PER_S, due = 0, shown = 0, now;
    uint8_t bytes[512], request[DRIVER_SEND_MAX];

    driver->init(record->state);
    while ((now = clock_monotonic_us()) < until && record->size < BYTES_MAX) {
        struct pollfd waits[2] = {{port_serial_fd(record->port), POLLIN, 0},
                                  {stop_fd, POLLIN, 0}};
        int n;

        if (driver->poll != NULL && now >= due) {
            uint64_t again = 0;
            size_t size = driver->poll(record->state, now / 1000, request, &again);

            if (size > 0)
                (void)port_serial_write(record->port, request, size);
            due = again == UINT64_MAX ? again : again * 1000;
        }
        if (poll(waits, 2, 20) > 0 && waits[1].revents != 0)
            return TOOL_OK;
        n = port_serial_read(record->port, bytes, sizeof bytes);
        if (n < 0)
            return tool_fail(TOOL_UNAVAILABLE, "the line is gone");
        if (n > 0 && fwrite(bytes, 1, (size_t)n, record->bytes) != (size_t)n)
            return tool_fail(TOOL_IO, "the file can't be written: %s", strerror(errno));
        record->size += (uint64_t)n;
        driver->feed(record->state, bytes, (size_t)n, &sink);
        if (isatty(STDERR_FILENO) != 0 && now > shown + PROGRESS_US) {
            shown = now;
            (void)fprintf(stderr, "\r\033[K%llu bytes, %llu sets",
                          (unsigned long long)record->size,
                          (unsigned long long)record->sets);
        }
    }
    return TOOL_OK;
}

/* New files only: a capture that somebody made is not written over. */
static FILE *create(const char *name, const char *suffix)
{
    char path[NAME_SIZE];
    int fd;

    (void)snprintf(path, sizeof path, "%s%s", name, suffix);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fdopen(fd, "w");
    (void)tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    return NULL;
}

static int tell(const struct record *record, const char *name, bool json)
{
    if (isatty(STDERR_FILENO) != 0)
        (void)fputs("\r\033[K", stderr);
    if (json)
        tool_print(json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "capture", name, "driver",
                             record->driver->name, "bytes", (json_int_t)record->size,
                             "sets", (json_int_t)record->sets, "values",
                             (json_int_t)record->values, "thrown_away",
                             (json_int_t)record->thrown));
    else
        (void)printf("%s.bin: %llu bytes; %s.txt: %llu sets, %llu values; %llu bytes "
                     "thrown away\n",
                     name, (unsigned long long)record->size, name,
                     (unsigned long long)record->sets, (unsigned long long)record->values,
                     (unsigned long long)record->thrown);
    return record->values > 0 ? TOOL_OK : TOOL_FINDINGS;
}

/* Files last, so that a line that can't be opened leaves none behind. */
static int run(struct record *record, const struct port_line *line, const char *name,
               uint64_t seconds, bool json)
{
    sigset_t signals;
    int stop_fd, code = port_serial_open(line, record->driver->may_send, &record->port);

    if (code != PORT_OK)
        return where_failed(line, code);
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    stop_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    record->state = calloc(1, record->driver->state_size);
    code = TOOL_IO;
    if (stop_fd >= 0 && record->state != NULL &&
        (record->bytes = create(name, ".bin")) != NULL &&
        (record->text = create(name, ".txt")) != NULL)
        code = listen(record, stop_fd, seconds);
    if (record->bytes != NULL && fclose(record->bytes) != 0)
        code = TOOL_IO;
    if (record->text != NULL && fclose(record->text) != 0)
        code = TOOL_IO;
    if (code == TOOL_OK)
        code = tell(record, name, json);
    free(record->state);
    if (stop_fd >= 0)
        close(stop_fd);
    port_serial_close(record->port);
    return code;
}

/* The driver's own setting, where nothing else was said. */
static void preset(const struct driver_line *from, const struct where_options *where,
                   struct port_line *line)
{
    if (where->baud == NULL)
        line->baud = from->baud;
    if (where->parity == NULL)
        line->parity = from->parity;
    if (where->stop == NULL)
        line->stop_bits = from->stop_bits;
    if (where->bits == NULL)
        line->data_bits = from->data_bits;
}

int verb_record(int argc, char **argv)
{
    struct record record = {0};
    struct where_options where = {0};
    const char *driver = NULL, *out = NULL, *seconds = "60";
    bool json = false;
    const struct tool_option options[] = {WHERE_OPTIONS(where),
                                          {"driver", &driver, NULL},
                                          {"out", &out, NULL},
                                          {"seconds", &seconds, NULL},
                                          {NULL, NULL, NULL}};
    struct port_line line;
    long long n;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands != 1 || driver == NULL || out == NULL)
        return tool_usage("record", "expected LINE --driver NAME --out NAME");
    if (strlen(out) + 5 > NAME_SIZE)
        return tool_usage("record", "--out is too long");
    if ((code = where_read("record", argv[1], &where, &line)) != TOOL_OK)
        return code;
    if (line.tcp_port != 0 || where.framing != NULL)
        return tool_usage("record", "a serial line is recorded, not %s", argv[1]);
    if (!tool_number(seconds, 1, 86400, &n))
        return tool_usage("record", "--seconds %s: expected 1 to 86400", seconds);
    record.driver = driver_by_name(driver);
    if (record.driver == NULL)
        return tool_usage("record", "no driver is called %s: see devices --catalogue",
                          driver);
    if (record.driver->scan != NULL)
        return tool_fail(TOOL_USAGE, "%s reads patients' wristbands: it is not recorded",
                         driver);
    preset(&record.driver->line, &where, &line);
    return run(&record, &line, out, (uint64_t)n, json);
}
