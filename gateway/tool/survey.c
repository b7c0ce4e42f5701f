/* SPDX-License-Identifier: Apache-2.0
 *
 * wardgate survey: how a Modbus line and one device on it do, over many exchanges and
 * several timeouts; and which timeout the device needs.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ports/profile.h"
#include "tool/ask.h"
#include "tool/survey_picture.h"
#include "tool/verbs.h"
#include "tool/where.h"

#define PROGRESS_US 500000
#define GAP_US      5000
#define LATE_MS     1000 /* so long a late answer is waited for, whatever the timeouts */

static const char help[] =
    "usage: wardgate survey LINE --unit N [--address A] [--count C] [--function F]\n"
    "                       [--timeouts MS,...] [--requests N] [--svg FILE] [--json]\n"
    "\n"
    "Asks one device many times with each of several timeouts and shows how often it\n"
    "failed and why, how long the device takes, and the shortest timeout at which it "
    "did\n"
    "not fail. It only reads; the line must be free (stop wardgated).\n"
    "\n" WHERE_HELP "\n"
    "What to ask:\n"
    "  --unit N         the device's address, 1 if not given\n"
    "  --address A      first register, 0 if not given\n"
    "  --count C        registers, 1 if not given; as many as the profile reads is best\n"
    "  --function F     1 to 4; 3 if not given\n"
    "  --timeouts LIST  50,100,200,300,600,1000 ms if not given\n"
    "  --requests N     at each timeout, 100 if not given\n"
    "  --svg FILE       the picture for the commissioning file\n"
    "\n"
    "What the columns say: timeouts: no answer; late: of these, the answer came\n"
    "afterwards; crc and short: damaged on the way (cable, termination, two devices "
    "with\n"
    "one address); foreign: another device answered; refused: the device has no such\n"
    "register, which is an answer. Set response_ms of the device to at least twice the\n"
    "slowest turn-around.\n"
    "\n"
    "  wardgate survey /dev/ttyUSB0 --unit 17 --address 0 --count 10 --svg bay3.svg\n"
    "\n"
    "Exit codes: 0 one of the timeouts had no failure, 1 none had, 64 called wrongly,\n"
    "69 the line can't be opened or is lost, 74 the picture can't be written.\n";

struct job {
    struct port_line line;
    struct port_modbus *port;
    struct port_modbus_request request;
    uint64_t requests, shown_us;
    bool json;
    struct survey survey;
    /* Of every answer; the histogram is made when the slowest is known. */
    uint32_t *times;
    size_t time_count;
};

static void progress(struct job *job, const struct survey_row *row)
{
    uint64_t now = clock_monotonic_us();

    if (job->json || isatty(STDERR_FILENO) == 0 || now < job->shown_us + PROGRESS_US)
        return;
    job->shown_us = now;
    (void)fprintf(stderr, "\r\033[K%u ms: %llu of %llu", row->timeout_ms,
                  (unsigned long long)row->asked, (unsigned long long)job->requests);
    (void)fflush(stderr);
}

/* Counts one exchange. */
static void count(struct job *job, struct survey_row *row, int error,
                  const struct port_modbus_reply *reply)
{
    row->asked++;
    job->survey.echoes += reply->echo;
    job->survey.stray_bytes += reply->strays.bytes;
    switch (error) {
    case PORT_EXCEPTION:
        row->exceptions++;
        row->answered++;
        break;
    case PORT_OK:
        row->answered++;
        break;
    case PORT_TIMEOUT:
        row->timeouts++;
        row->late += reply->late_seen;
        break;
    case PORT_CRC:
        row->crc++;
        break;
    case PORT_SHORT:
        row->shorts++;
        break;
    case PORT_FOREIGN:
        row->foreign++;
        break;
    default:
        row->other++;
        break;
    }
    if ((error == PORT_OK || error == PORT_EXCEPTION) &&
        reply->first_us > reply->asked_us)
        job->times[job->time_count++] = (uint32_t)(reply->first_us - reply->asked_us);
}

/* After a failure a late answer is waited for, so that it is seen as one and not taken
 * for the next exchange's. */
static int measure(struct job *job, struct survey_row *row)
{
    struct port_modbus_reply reply;

    job->request.timeout_us = row->timeout_ms * 1000;
    for (uint64_t i = 0; i < job->requests; i++) {
        int error = port_modbus_ask(job->port, &job->request, &reply);

        if (error == PORT_GONE && (job->line.tcp_port == 0 || reply.bytes_out == 0))
            return tool_fail(TOOL_UNAVAILABLE, "%s: the line is gone", job->line.path);
        if (error == PORT_REFUSED)
            return tool_usage("survey", "that many registers can't be asked for");
        /* This program was put aside while the answer came: it was late all the same. */
        if ((error == PORT_OK || error == PORT_EXCEPTION) &&
            reply.first_us > reply.asked_us + job->request.timeout_us) {
            error = PORT_TIMEOUT;
            reply.late_seen = true;
        }
        count(job, row, error, &reply);
        progress(job, row);
    }
    return TOOL_OK;
}

static void histogram(struct job *job)
{
    struct survey *it = &job->survey;

    it->fastest_us = UINT32_MAX;
    for (size_t i = 0; i < job->time_count; i++) {
        it->slowest_us = job->times[i] > it->slowest_us ? job->times[i] : it->slowest_us;
        it->fastest_us = job->times[i] < it->fastest_us ? job->times[i] : it->fastest_us;
    }
    /* Whole milliseconds, so that the slowest is in the last bin but one. */
    it->bin_us = (it->slowest_us / (SURVEY_BINS - 1) / 1000 + 1) * 1000;
    for (size_t i = 0; i < job->time_count; i++) {
        size_t bin = job->times[i] / it->bin_us;

        it->bins[bin < SURVEY_BINS ? bin : SURVEY_BINS - 1]++;
    }
    if (job->time_count == 0)
        it->fastest_us = 0;
}

static json_t *row_json(const struct survey_row *row)
{
    return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}",
                     "timeout_ms", (int)row->timeout_ms, "asked", (json_int_t)row->asked,
                     "answered", (json_int_t)row->answered, "timeouts",
                     (json_int_t)row->timeouts, "late", (json_int_t)row->late, "crc",
                     (json_int_t)row->crc, "short", (json_int_t)row->shorts, "foreign",
                     (json_int_t)row->foreign, "other", (json_int_t)row->other, "refused",
                     (json_int_t)row->exceptions, "failed_per_mille",
                     (int)survey_errors(row));
}

/* The shortest timeout that had no failure, and no longer one had one; 0: none. */
static uint32_t clean_ms(const struct survey *survey)
{
    uint32_t clean = 0;

    for (size_t i = survey->row_count; i > 0; i--) {
        if (survey->rows[i - 1].answered != survey->rows[i - 1].asked)
            break;
        clean = survey->rows[i - 1].timeout_ms;
    }
    return clean;
}

static void tell(const struct job *job, uint32_t clean)
{
    const struct survey *it = &job->survey;
    json_t *rows = json_array();

    for (size_t i = 0; i < it->row_count; i++)
        (void)json_array_append_new(rows, row_json(&it->rows[i]));
    if (job->json) {
        json_t *bins = json_array();

        for (size_t i = 0; i < SURVEY_BINS; i++)
            (void)json_array_append_new(bins, json_integer((json_int_t)it->bins[i]));
        tool_print(json_pack("{s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:i}", "timeouts", rows,
                             "turnaround", bins, "bin_us", (int)it->bin_us, "fastest_us",
                             (json_int_t)it->fastest_us, "slowest_us",
                             (json_int_t)it->slowest_us, "echoes", (json_int_t)it->echoes,
                             "stray_bytes", (json_int_t)it->stray_bytes, "clean_from_ms",
                             (int)clean));
        return;
    }
    if (isatty(STDERR_FILENO) != 0)
        (void)fputs("\r\033[K", stderr);
    show(rows, false);
    json_decref(rows);
    survey_draw(it, stdout);
    (void)printf("\nechoes of our own requests %llu, stray bytes %llu\n",
                 (unsigned long long)it->echoes, (unsigned long long)it->stray_bytes);
    if (clean != 0)
        (void)printf("clean from %u ms on\n", clean);
    else
        (void)printf("no timeout was clean\n");
}

static int compare(const void *a, const void *b)
{
    const struct survey_row *one = a, *other = b;

    return (one->timeout_ms > other->timeout_ms) - (one->timeout_ms < other->timeout_ms);
}

/* "50,100": sorted, so that the picture rises. */
static bool read_timeouts(struct survey *survey, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        char word[8] = "";
        long long ms;

        if (n == 0 || n >= sizeof word || survey->row_count == SURVEY_TIMEOUTS_MAX)
            return false;
        memcpy(word, text, n);
        if (!tool_number(word, 5, 60000, &ms))
            return false;
        survey->rows[survey->row_count++].timeout_ms = (uint32_t)ms;
        text += n + (text[n] == ',');
    }
    qsort(survey->rows, survey->row_count, sizeof survey->rows[0], compare);
    return survey->row_count > 0;
}

static int run(struct job *job, const char *svg)
{
    struct survey *it = &job->survey;
    uint32_t longest = it->rows[it->row_count - 1].timeout_ms, clean;
    char title[PORT_PATH_MAX + 64];
    int code = port_modbus_open(&job->line, &job->port);

    if (code != PORT_OK)
        return where_failed(&job->line, code);
    job->request.worst_us = (longest > LATE_MS ? longest : LATE_MS) * 1000;
    job->times = calloc(it->row_count * job->requests, sizeof *job->times);
    code = job->times != NULL ? TOOL_OK : TOOL_IO;
    for (size_t i = 0; code == TOOL_OK && i < it->row_count; i++)
        code = measure(job, &it->rows[i]);
    port_modbus_close(job->port);
    if (code == TOOL_OK) {
        histogram(job);
        clean = clean_ms(it);
        tell(job, clean);
        (void)snprintf(title, sizeof title, "%s, unit %u", job->line.path,
                       job->request.unit);
        code = clean != 0 ? TOOL_OK : TOOL_FINDINGS;
        if (svg != NULL && !survey_svg(it, title, svg))
            code = tool_fail(TOOL_IO, "%s can't be written", svg);
    }
    free(job->times);
    return code;
}

int verb_survey(int argc, char **argv)
{
    static struct job job;
    struct where_options where = {0};
    const char *unit = "1", *address = "0", *count_text = "1", *function = "3",
               *timeouts = "50,100,200,300,600,1000", *requests = "100", *svg = NULL;
    const struct tool_option options[] = {WHERE_OPTIONS(where),
                                          {"unit", &unit, NULL},
                                          {"address", &address, NULL},
                                          {"count", &count_text, NULL},
                                          {"function", &function, NULL},
                                          {"timeouts", &timeouts, NULL},
                                          {"requests", &requests, NULL},
                                          {"svg", &svg, NULL},
                                          {NULL, NULL, NULL}};
    long long u, a, c, f, n;
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &job.json, &code);

    if (operands < 0)
        return code;
    if (operands != 1)
        return tool_usage("survey", "expected one LINE");
    if ((code = where_read("survey", argv[1], &where, &job.line)) != TOOL_OK)
        return code;
    if (!tool_number(unit, 0, 255, &u) || !tool_number(address, 0, 65535, &a) ||
        !tool_number(count_text, 1, 2000, &c) || !tool_number(function, 1, 4, &f))
        return tool_usage("survey", "--unit, --address, --count or --function is no "
                                    "number that it can be");
    if (!tool_number(requests, 1, 100000, &n))
        return tool_usage("survey", "--requests %s: expected 1 to 100000", requests);
    if (!read_timeouts(&job.survey, timeouts))
        return tool_usage("survey", "--timeouts %s: expected at most %d of 5 to 60000 ms",
                          timeouts, SURVEY_TIMEOUTS_MAX);
    job.requests = (uint64_t)n;
    job.request = (struct port_modbus_request){.unit = (uint8_t)u,
                                               .function = (uint8_t)f,
                                               .address = (uint16_t)a,
                                               .count = (uint16_t)c,
                                               .gap_us = GAP_US};
    return run(&job, svg);
}
