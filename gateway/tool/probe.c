/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate probe: which driver is this? A serial line is listened to as each driver
 * would, then asked as each driver asks. The one whose device it is gets complete sets.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "drivers/driver.h"
#include "ports/port_serial.h"
#include "tool/ask.h"
#include "tool/verbs.h"
#include "tool/where.h"

#define DRIVERS_MAX 64
#define SETS_ENOUGH 2

static const char help[] =
    "usage: wardgate probe LINE [--seconds N] [--listen] [--driver NAME] [--json]\n"
    "\n"
    "Finds the driver for a device on a serial LINE. First it listens, once for every\n"
    "way in which the drivers set a line; then it asks, as each driver that asks does:\n"
    "only what is on that driver's list of what may be sent, which changes nothing at "
    "the\n"
    "device. The line must be free (stop wardgated). For Modbus devices use scan.\n"
    "\n"
    "  --seconds N     for each try, 6 if not given; a device with slow lines needs "
    "more\n"
    "  --listen        does not ask\n"
    "  --driver NAME   tries this driver only\n"
    "\n"
    "A driver without a check in its protocol may be taken in by another's bytes: look "
    "at\n"
    "sets and thrown-away bytes, and compare a value with the device's screen (record).\n"
    "\n"
    "  wardgate probe /dev/ttyUSB1\n"
    "\n"
    "Exit codes: 0 one driver gets complete sets, 1 none does or several do, 64 called\n"
    "wrongly, 69 the line can't be opened or is lost.\n";

/* One driver on one line. */
struct attempt {
    const struct driver *driver;
    void *state;
    uint64_t sets, values, bytes, thrown;
    bool tried;
};

struct probe {
    const char *path;
    uint64_t seconds;
    bool json;
    struct attempt attempts[DRIVERS_MAX];
    size_t count;
};

static void on_set(void *context, const struct observation_set *set)
{
    struct attempt *attempt = context;

    attempt->sets++;
    for (size_t i = 0; i < set->count; i++)
        attempt->values += set->items[i].kind == OBSERVATION_NUMERIC;
}

static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    struct attempt *attempt = context;

    (void)fault;
    attempt->thrown += bytes;
}

static bool same_line(const struct driver_line *a, const struct driver_line *b)
{
    return a->baud == b->baud && a->data_bits == b->data_bits &&
           a->stop_bits == b->stop_bits && a->parity == b->parity;
}

static int open_line(const struct probe *probe, const struct driver *driver,
                     struct port_line *line, struct port_serial **port)
{
    *line = (struct port_line){.baud = driver->line.baud,
                               .data_bits = driver->line.data_bits,
                               .stop_bits = driver->line.stop_bits,
                               .parity = driver->line.parity};
    (void)snprintf(line->path, sizeof line->path, "%s", probe->path);
    return port_serial_open(line, driver->may_send, port);
}

/* Asks what is due; returns when to ask again. */
static uint64_t ask_due(struct attempt *attempt, struct port_serial *port, uint64_t now,
                        uint64_t due)
{
    uint8_t bytes[DRIVER_SEND_MAX];
    uint64_t again = 0;
    size_t n;

    if (attempt->driver->poll == NULL || now < due)
        return due;
    n = attempt->driver->poll(attempt->state, now / 1000, bytes, &again);
    if (n > 0)
        (void)port_serial_write(port, bytes, n);
    return again == UINT64_MAX ? again : again * 1000;
}

/* Feeds all attempts of the group for the time; asks only if there is one, since two
 * would confuse the device. PORT_OK or PORT_GONE. */
static int listen(struct probe *probe, struct port_serial *port, struct attempt **group,
                  size_t count, bool asks)
{
    uint64_t until = clock_monotonic_us() + probe->seconds * US_PER_S, due = 0, now;
    uint8_t bytes[512];

    for (size_t i = 0; i < count; i++)
        group[i]->driver->init(group[i]->state);
    while ((now = clock_monotonic_us()) < until) {
        struct pollfd wait = {port_serial_fd(port), POLLIN, 0};
        int n;

        if (asks)
            due = ask_due(group[0], port, now, due);
        (void)poll(&wait, 1, 20);
        n = port_serial_read(port, bytes, sizeof bytes);
        if (n < 0)
            return PORT_GONE;
        for (size_t i = 0; i < count && n > 0; i++) {
            const struct driver_sink sink = {group[i], on_set, on_fault};

            group[i]->bytes += (size_t)n;
            group[i]->driver->feed(group[i]->state, bytes, (size_t)n, &sink);
        }
        if (count == 1 && group[0]->sets >= SETS_ENOUGH && group[0]->values > 0)
            break;
    }
    return PORT_OK;
}

/* One try: a group of drivers with the same line, or one that asks. */
static int attempt_line(struct probe *probe, struct attempt **group, size_t count,
                        bool asks)
{
    struct port_serial *port;
    struct port_line line;
    char text[32];
    int error = open_line(probe, group[0]->driver, &line, &port);

    if (error != PORT_OK)
        return where_failed(&line, error);
    if (!probe->json)
        (void)fprintf(stderr, "%s %s: %s%s\n", asks ? "asking at" : "listening at",
                      where_text(&line, text), group[0]->driver->name,
                      count > 1 ? " and others" : "");
    error = listen(probe, port, group, count, asks);
    for (size_t i = 0; i < count; i++)
        group[i]->tried = true;
    port_serial_close(port);
    return error == PORT_OK
               ? TOOL_OK
               : tool_fail(TOOL_UNAVAILABLE, "%s: the line is gone", probe->path);
}

static bool found(const struct probe *probe)
{
    for (size_t i = 0; i < probe->count; i++)
        if (probe->attempts[i].values > 0)
            return true;
    return false;
}

/* Each setting once, for all drivers that have it. */
static int listen_all(struct probe *probe)
{
    int code = TOOL_OK;

    for (size_t i = 0; i < probe->count && code == TOOL_OK && !found(probe); i++) {
        struct attempt *group[DRIVERS_MAX];
        size_t count = 0;

        for (size_t k = i; k < probe->count; k++)
            if (!probe->attempts[k].tried && same_line(&probe->attempts[i].driver->line,
                                                       &probe->attempts[k].driver->line))
                group[count++] = &probe->attempts[k];
        if (count > 0 && group[0] == &probe->attempts[i])
            code = attempt_line(probe, group, count, false);
    }
    return code;
}

static int ask_all(struct probe *probe)
{
    int code = TOOL_OK;

    for (size_t i = 0; i < probe->count && code == TOOL_OK && !found(probe); i++) {
        struct attempt *attempt = &probe->attempts[i];

        if (attempt->driver->poll == NULL)
            continue;
        attempt->bytes = attempt->thrown = 0;
        code = attempt_line(probe, &attempt, 1, true);
    }
    return code;
}

/* What had something, best first as found. */
static int tell(const struct probe *probe)
{
    json_t *rows = json_array();
    uint64_t bytes = 0;
    size_t winners = 0;

    for (size_t i = 0; i < probe->count; i++) {
        const struct attempt *it = &probe->attempts[i];

        bytes += it->bytes;
        winners += it->values > 0;
        if (it->sets == 0)
            continue;
        (void)json_array_append_new(
            rows,
            json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "driver", it->driver->name,
                      "status", it->driver->stable ? "stable" : "beta", "sets",
                      (json_int_t)it->sets, "values", (json_int_t)it->values, "bytes",
                      (json_int_t)it->bytes, "thrown_away", (json_int_t)it->thrown,
                      "title", it->driver->title));
    }
    if (json_array_size(rows) > 0)
        show(rows, probe->json);
    else if (!probe->json)
        (void)printf("no driver understands it; %llu bytes came%s\n",
                     (unsigned long long)bytes,
                     bytes == 0 ? ": check the cable (cross it), and that the device's "
                                  "serial output is on"
                                : ": keep them with 'wardgate record'");
    json_decref(rows);
    return winners == 1 ? TOOL_OK : TOOL_FINDINGS;
}

static int run(struct probe *probe, bool asks)
{
    int code = TOOL_OK;
    bool memory = true;

    for (size_t i = 0; i < probe->count; i++) {
        probe->attempts[i].state = calloc(1, probe->attempts[i].driver->state_size);
        memory = memory && probe->attempts[i].state != NULL;
    }
    code = memory ? listen_all(probe) : TOOL_IO;
    if (code == TOOL_OK && asks && !found(probe))
        code = ask_all(probe);
    if (code == TOOL_OK)
        code = tell(probe);
    for (size_t i = 0; i < probe->count; i++)
        free(probe->attempts[i].state);
    return code;
}

int verb_probe(int argc, char **argv)
{
    static struct probe probe;
    const char *seconds = "6", *only = NULL;
    bool quiet = false;
    const struct tool_option options[] = {{"seconds", &seconds, NULL},
                                          {"driver", &only, NULL},
                                          {"listen", NULL, &quiet},
                                          {NULL, NULL, NULL}};
    const struct driver *driver;
    long long n;
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &probe.json, &code);

    if (operands < 0)
        return code;
    if (operands != 1 || strlen(argv[1]) > PORT_PATH_MAX)
        return tool_usage("probe", "expected one LINE");
    if (!tool_number(seconds, 1, 3600, &n))
        return tool_usage("probe", "--seconds %s: expected 1 to 3600", seconds);
    if (only != NULL && driver_by_name(only) == NULL)
        return tool_usage("probe", "no driver is called %s: see devices --catalogue",
                          only);
    probe.path = argv[1];
    probe.seconds = (uint64_t)n;
    for (size_t i = 0; (driver = driver_at(i)) != NULL && probe.count < DRIVERS_MAX; i++)
        if (only == NULL || strcmp(only, driver->name) == 0)
            probe.attempts[probe.count++].driver = driver;
    return run(&probe, !quiet);
}
