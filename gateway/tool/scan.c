/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate scan: which Modbus devices answer on a line, at which speed, parity and
 * address. It asks for one register with every setting at every address: a device that
 * does not have it answers too, with a refusal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tool/verbs.h"
#include "tool/where.h"
#include "tool/who.h"

#define UNIT_MAX     247
#define LIST_MAX     16
#define PROGRESS_US  200000
#define READ_HOLDING 3
#define SETTLE_US    20000

static const char help[] =
    "usage: wardgate scan LINE [--baud N,...] [--parity WORD,...] [--address A-B,...]\n"
    "                     [--timeout MS] [--framing WORD] [--all] [--json]\n"
    "\n"
    "Finds Modbus devices: asks every address with every setting of the line, the usual\n"
    "ones first, and says what each device that answers calls itself. LINE is a serial\n"
    "line or HOST:PORT. It only reads; the line must be free (stop wardgated).\n"
    "\n"
    "  --baud LIST      19200,9600,38400,115200,57600,4800,2400,1200 if not given\n"
    "  --parity LIST    even,none,odd if not given\n"
    "  --address LIST   1-247 if not given; 1-16,240 is shorter by far\n"
    "  --timeout MS     how long a device may take, 100 if not given\n"
    "  --framing WORD   ascii; or rtu, for a device server behind HOST:PORT\n"
    "  --all            goes on with other settings after one at which a device "
    "answered\n"
    "\n"
    "A whole setting takes about 247 times the timeout: half a minute. A device that\n"
    "needs longer than the timeout is not found: try 500 before giving up.\n"
    "\n"
    "  wardgate scan /dev/ttyUSB0\n"
    "  wardgate scan /dev/ttyUSB0 --baud 9600 --address 1-32 --timeout 300\n"
    "\n"
    "Exit codes: 0 found, 1 nobody answers, 64 called wrongly, 69 the line can't be\n"
    "opened or is lost.\n";

struct scan {
    struct port_line line;
    long long bauds[LIST_MAX];
    size_t baud_count;
    int parities[3];
    size_t parity_count;
    bool units[UNIT_MAX + 1];
    size_t unit_count;
    uint32_t timeout_us;
    bool all, json;
    /* What was found and seen. */
    size_t found, noisy;
    /* Units whose frames came when they were not asked for: later than the timeout. */
    uint64_t late[4];
    uint64_t shown_us;
};

/* "1-16,240": calls take for each number. False if a part is no number or range. */
static bool numbers(const char *text, long long low, long long high, struct scan *scan,
                    bool (*take)(struct scan *scan, long long first, long long last))
{
    char part[32];

    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        char *dash;
        long long first, last;

        if (n == 0 || n >= sizeof part)
            return false;
        memcpy(part, text, n);
        part[n] = '\0';
        dash = strchr(part, '-');
        if (dash != NULL)
            *dash++ = '\0';
        if (!tool_number(part, low, high, &first) ||
            !tool_number(dash != NULL ? dash : part, low, high, &last) || last < first ||
            !take(scan, first, last))
            return false;
        text += n + (text[n] == ',');
    }
    return true;
}

static bool take_baud(struct scan *scan, long long first, long long last)
{
    if (first != last || scan->baud_count == LIST_MAX)
        return false;
    scan->bauds[scan->baud_count++] = first;
    return true;
}

static bool take_units(struct scan *scan, long long first, long long last)
{
    for (long long unit = first; unit <= last; unit++) {
        scan->unit_count += !scan->units[unit];
        scan->units[unit] = true;
    }
    return true;
}

static bool take_parities(struct scan *scan, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        char word[8] = "";
        int parity;

        if (n == 0 || n >= sizeof word || scan->parity_count == 3)
            return false;
        memcpy(word, text, n);
        parity = where_word(word, where_parities);
        if (parity < 0)
            return false;
        scan->parities[scan->parity_count++] = parity;
        text += n + (text[n] == ',');
    }
    return scan->parity_count > 0;
}

/* On stderr for a person at a terminal; nothing into a file but the settings. */
static void progress(struct scan *scan, unsigned unit, bool begins)
{
    char text[32];
    uint64_t now = clock_monotonic_us();
    bool terminal = isatty(STDERR_FILENO) != 0;

    if (scan->json || (!begins && (!terminal || now < scan->shown_us + PROGRESS_US)))
        return;
    scan->shown_us = now;
    (void)fprintf(stderr, "%s%s%s address %u%s", terminal ? "\r\033[K" : "",
                  scan->line.tcp_port != 0 ? "" : "trying ",
                  where_text(&scan->line, text), unit, terminal ? "" : "\n");
    (void)fflush(stderr);
}

static void report(struct scan *scan, unsigned unit, int error, uint8_t exception,
                   uint64_t turnaround_us, const char *who)
{
    char text[32];

    scan->found++;
    if (scan->json) {
        tool_print(json_pack("{s:s, s:I, s:i, s:s, s:i, s:i, s:s, s:I, s:s}", "line",
                             scan->line.path, "baud",
                             (json_int_t)(scan->line.tcp_port != 0 ? 0 : scan->line.baud),
                             "bits", (int)scan->line.data_bits, "parity",
                             where_parities[scan->line.parity], "stop",
                             (int)scan->line.stop_bits, "address", (int)unit, "answer",
                             error == PORT_OK ? "value" : "refusal", "turnaround_us",
                             (json_int_t)turnaround_us, "says", who));
    } else {
        if (isatty(STDERR_FILENO) != 0)
            (void)fputs("\r\033[K", stderr);
        (void)printf("%s  address %u  %.1f ms  %s", where_text(&scan->line, text), unit,
                     (double)turnaround_us / 1000, who[0] != '\0' ? who : "-");
        if (error == PORT_EXCEPTION)
            (void)printf("  (no register 0: refusal %u)", exception);
        (void)putchar('\n');
    }
    (void)fflush(stdout);
}

/* One address, asked again once if something came that was no answer: another master, or
 * a device at another setting. PORT_GONE ends the scan. */
static int try_unit(struct scan *scan, struct port_modbus *port, unsigned unit)
{
    static const struct regmap_block first = {READ_HOLDING, 0, 1};
    struct port_modbus_reply reply;
    char who[WHO_TEXT_MAX];
    uint64_t turnaround;
    int error = PORT_TIMEOUT;

    for (int tries = 0; tries < 2; tries++) {
        error = who_ask(port, (uint8_t)unit, &first, scan->timeout_us, SETTLE_US, &reply);
        for (size_t i = 0; i < 4; i++)
            scan->late[i] |= reply.strays.units[i];
        if (error == PORT_OK || error == PORT_EXCEPTION || error == PORT_TIMEOUT ||
            error == PORT_GONE)
            break;
        scan->noisy++;
    }
    if (error != PORT_OK && error != PORT_EXCEPTION)
        return error;
    turnaround = reply.first_us > reply.asked_us ? reply.first_us - reply.asked_us : 0;
    who_is(port, (uint8_t)unit, scan->timeout_us, who);
    report(scan, unit, error, reply.exception, turnaround, who);
    return PORT_OK;
}

/* All addresses with the line as it is set. */
static int try_setting(struct scan *scan)
{
    struct port_modbus *port;
    int error = port_modbus_open(&scan->line, &port);

    if (error != PORT_OK)
        return where_failed(&scan->line, error);
    for (unsigned unit = 1; unit <= UNIT_MAX; unit++) {
        if (!scan->units[unit])
            continue;
        progress(scan, unit, scan->shown_us == 0);
        error = try_unit(scan, port, unit);
        /* A TCP peer may hang up after each failure and take the next connection. */
        if (error == PORT_GONE && scan->line.tcp_port == 0) {
            port_modbus_close(port);
            return tool_fail(TOOL_UNAVAILABLE, "%s: the line is gone", scan->line.path);
        }
    }
    port_modbus_close(port);
    return TOOL_OK;
}

/* Parity within speed: a device's speed is known more often than its parity. */
static int run(struct scan *scan)
{
    for (size_t b = 0; b < scan->baud_count; b++)
        for (size_t p = 0; p < scan->parity_count; p++) {
            int code;

            scan->line.baud = (uint32_t)scan->bauds[b];
            scan->line.parity = (uint8_t)scan->parities[p];
            scan->line.stop_bits = scan->line.parity == DRIVER_PARITY_NONE ? 2 : 1;
            scan->shown_us = 0;
            code = try_setting(scan);
            if (code != TOOL_OK)
                return code;
            if ((scan->found > 0 && !scan->all) || scan->line.tcp_port != 0)
                return TOOL_OK;
        }
    return TOOL_OK;
}

static int finish(const struct scan *scan, int code)
{
    if (isatty(STDERR_FILENO) != 0 && !scan->json)
        (void)fputs("\r\033[K", stderr);
    for (unsigned unit = 1; unit <= UNIT_MAX && scan->found == 0 && !scan->json; unit++)
        if ((scan->late[unit / 64] >> unit % 64 & 1) != 0)
            (void)printf("address %u answers, but later than the timeout, or to another "
                         "master\n",
                         unit);
    if (code != TOOL_OK || scan->found > 0)
        return code;
    if (!scan->json)
        (void)printf("nobody answers%s\n",
                     scan->noisy > 0
                         ? "; but bytes came that were no answer: another master is at "
                           "work, two devices have one address, or a wire is bad"
                         : ". Check power, A and B (swap them), and --timeout 500");
    return TOOL_FINDINGS;
}

int verb_scan(int argc, char **argv)
{
    static struct scan scan;
    const char *bauds = "19200,9600,38400,115200,57600,4800,2400,1200";
    const char *parities = "even,none,odd", *units = "1-247", *timeout = "100";
    struct where_options where = {0};
    const struct tool_option options[] = {{"baud", &bauds, NULL},
                                          {"parity", &parities, NULL},
                                          {"address", &units, NULL},
                                          {"timeout", &timeout, NULL},
                                          {"framing", &where.framing, NULL},
                                          {"all", NULL, &scan.all},
                                          {NULL, NULL, NULL}};
    long long ms;
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &scan.json, &code);

    if (operands < 0)
        return code;
    if (operands != 1)
        return tool_usage("scan", "expected one LINE");
    if ((code = where_read("scan", argv[1], &where, &scan.line)) != TOOL_OK)
        return code;
    if (!numbers(bauds, 1200, 921600, &scan, take_baud))
        return tool_usage("scan", "--baud %s: expected speeds, as 19200,9600", bauds);
    if (!take_parities(&scan, parities))
        return tool_usage("scan", "--parity %s: expected even, none, odd", parities);
    if (!numbers(units, 1, UNIT_MAX, &scan, take_units) || scan.unit_count == 0)
        return tool_usage("scan", "--address %s: expected 1 to 247, as 1-16,240", units);
    if (!tool_number(timeout, 5, 60000, &ms))
        return tool_usage("scan", "--timeout %s: expected 5 to 60000 ms", timeout);
    scan.timeout_us = (uint32_t)ms * 1000;
    return finish(&scan, run(&scan));
}
