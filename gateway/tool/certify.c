/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate certify`: the record that a device was commissioned. A value that is right on
 * the wire and wrong by a factor is found by nobody but a person who looks at the
 * device's own screen: without that no record is passed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tool/ask.h"
#include "tool/certify_page.h"
#include "tool/tool.h"
#include "tool/verbs.h"

#define SECONDS_DEFAULT 20
#define SECONDS_MAX     3600
#define TAIL_COUNT      1000
#define NAMES_MAX       64 /* quantities of one device */
#define LINE_SIZE       128
/* Of the exchanges in that time: a line that does worse needs `wardgate survey`. */
#define ANSWERED_PERCENT 95

static const char help[] =
    "usage: wardgate certify DEVICE --asset NUMBER [--by NAME] [--bed PLACE] [--seconds "
    "N]"
    "\n"
    "                        [--out FILE] [--socket PATH] [--json] [QUANTITY=VALUE]...\n"
    "\n"
    "Watches a device of a running wardgated, checks identity, line, readings, clock, "
    "store and\n"
    "the way to the chart, and asks what the device's own screen shows. Writes FILE.json "
    "and\n"
    "FILE.html (one sheet to print and sign).\n"
    "\n"
    "  wardgate certify monitor-3 --asset BME-10442 --by j.smith\n"
    "                                           asks for each value on the screen\n"
    "  wardgate certify monitor-3 --asset BME-10442 PULS_OXIM_PULS_RATE=72 SAT_O2=97\n"
    "                                           the screen's values given beforehand\n"
    "\n"
    "QUANTITY is the end or any part of the name that `wardgate tail` shows. A value "
    "agrees when the\n"
    "device sent it while it was watched. An empty answer leaves the quantity "
    "unconfirmed.\n"
    "FILE is certificate-DEVICE-NUMBER if not given; --seconds is how long to watch "
    "(20).\n"
    "\n"
    "Exit codes: 0 passed, 1 not passed (the record says why), 64 called wrongly, 69 the "
    "daemon does\n"
    "not answer, 74 the record can't be written.\n";

struct quantity {
    const char *name, *unit; /* borrowed from the readings */
    const char *shown;       /* on the screen; NULL: not confirmed */
    const char *read;        /* the value that agreed, or the newest */
    bool agrees;
};

struct job {
    const char *device, *asset, *by, *bed, *out, *socket;
    long long seconds;
    char **given; /* QUANTITY=VALUE */
    int given_count;
    bool json;
    json_t *readings; /* of the device, while it was watched */
    json_t *record;
    struct quantity quantities[NAMES_MAX];
    size_t count;
    bool passed;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

static long long number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* --- watching --- */

/* The device's row of `devices`, borrowed from *answers. */
static int find(const struct job *job, json_t **answers, json_t **row)
{
    json_t *all;
    size_t i;
    int code =
        ask(job->socket, SOCKET_GATEWAY, json_pack("{s:s}", "do", "devices"), answers);

    if (code != TOOL_OK)
        return code;
    all = json_object_get(json_array_get(*answers, 0), "devices");
    json_array_foreach(all, i, *row)
    {
        if (strcmp(text_of(*row, "id"), job->device) == 0)
            return TOOL_OK;
    }
    json_decref(*answers);
    *answers = NULL;
    return tool_usage("certify",
                      "wardgated has no device '%s'; it has those of "
                      "`wardgate devices`",
                      job->device);
}

/* Takes the device's readings from *from on (0: none, only where the records end); the
 * newest record's seq + 1 into *from. */
static int take(struct job *job, long long *from)
{
    json_t *answers, *row, *request;
    long long next = *from;
    size_t i;
    int code;

    do {
        *from = next;
        request = *from > 0 ? json_pack("{s:s, s:I, s:i}", "do", "tail", "from",
                                        (json_int_t)*from, "count", TAIL_COUNT)
                            : json_pack("{s:s, s:i}", "do", "tail", "count", 1);
        code = ask(job->socket, SOCKET_GATEWAY, request, &answers);
        if (code != TOOL_OK)
            return code;
        json_array_foreach(answers, i, row)
        {
            if (json_object_get(row, "next") != NULL)
                next = number_of(row, "next");
            else if (*from > 0 && strcmp(text_of(row, "device"), job->device) == 0 &&
                     strcmp(text_of(row, "kind"), "reading") == 0)
                (void)json_array_append(job->readings, row);
        }
        json_decref(answers);
    } while (next != *from && *from > 0);
    *from = next;
    return TOOL_OK;
}

static int watch(struct job *job)
{
    const struct timespec second = {1, 0};
    long long from = 0;
    int code = take(job, &from);

    for (long long s = 0; s < job->seconds && code == TOOL_OK; s++) {
        (void)nanosleep(&second, NULL);
        code = take(job, &from);
        if (!job->json && isatty(STDERR_FILENO) != 0)
            (void)fprintf(stderr, "\r%s: %zu readings, %lld s left \033[K", job->device,
                          json_array_size(job->readings), job->seconds - s - 1);
    }
    if (!job->json && isatty(STDERR_FILENO) != 0)
        (void)fputc('\n', stderr);
    return code;
}

/* --- the screen --- */

static void gather(struct job *job)
{
    const json_t *reading, *observation;
    size_t i, k, q;

    json_array_foreach(job->readings, i, reading)
    {
        json_array_foreach(json_object_get(reading, "observations"), k, observation)
        {
            const char *name = text_of(observation, "name");
            if (!json_is_string(json_object_get(observation, "value")))
                continue;
            for (q = 0; q < job->count && strcmp(job->quantities[q].name, name) != 0; q++)
                ;
            if (q == NAMES_MAX)
                continue;
            if (q == job->count)
                job->quantities[job->count++] =
                    (struct quantity){.name = name, .unit = text_of(observation, "unit")};
            job->quantities[q].read = text_of(observation, "value");
        }
    }
}

/* 72 and 72.0 are one number; nothing is rounded. */
static bool same_number(const char *a, const char *b)
{
    size_t digits = strcspn(a, ".");

    a += *a == '+';
    if (strncmp(a, b, digits) != 0 || (b[digits] != '.' && b[digits] != '\0'))
        return false;
    for (size_t i = digits + 1;; i++) {
        bool more_a = a[digits] == '.' && i < strlen(a),
             more_b = b[digits] == '.' && i < strlen(b);
        if (!more_a && !more_b)
            return true;
        if ((more_a ? a[i] : '0') != (more_b ? b[i] : '0'))
            return false;
    }
}

/* The screen may be a second behind or before: any value of the time agrees. */
static void compare(struct job *job, struct quantity *quantity, const char *shown)
{
    const json_t *reading, *observation;
    size_t i, k;

    quantity->shown = shown;
    json_array_foreach(job->readings, i, reading)
    {
        json_array_foreach(json_object_get(reading, "observations"), k, observation)
        {
            const char *value = text_of(observation, "value");
            if (strcmp(text_of(observation, "name"), quantity->name) != 0 ||
                !same_number(shown, value))
                continue;
            quantity->agrees = true;
            quantity->read = value;
            return;
        }
    }
}

static bool names(const char *name, const char *word, size_t n, bool at_its_end)
{
    size_t length = strlen(name);

    for (size_t at = at_its_end && length > n ? length - n : 0; at + n <= length; at++)
        if (strncasecmp(name + at, word, n) == 0)
            return true;
    return false;
}

/* The one quantity that a word stands for: the end of its name, or else any part; NULL if
 * that is none or several. */
static struct quantity *meant(struct job *job, const char *word, size_t n)
{
    for (int part = 0; part <= 1; part++) {
        struct quantity *found = NULL;
        size_t count = 0;

        for (size_t q = 0; q < job->count; q++)
            if (names(job->quantities[q].name, word, n, part == 0)) {
                found = &job->quantities[q];
                count++;
            }
        if (count > 0)
            return count == 1 ? found : NULL;
    }
    return NULL;
}

static int screen_given(struct job *job)
{
    for (int i = 0; i < job->given_count; i++) {
        const char *word = job->given[i], *equals = strchr(word, '=');
        struct quantity *quantity = equals == NULL || equals == word
                                        ? NULL
                                        : meant(job, word, (size_t)(equals - word));

        if (quantity == NULL)
            return tool_usage("certify",
                              "'%s' is not QUANTITY=VALUE of one quantity that "
                              "%s sent",
                              word, job->device);
        compare(job, quantity, equals + 1);
    }
    return TOOL_OK;
}

/* Asked one by one; what is shown now is read now. */
static int screen_asked(struct job *job)
{
    static char answers[NAMES_MAX][LINE_SIZE];

    for (size_t q = 0; q < job->count; q++) {
        struct quantity *quantity = &job->quantities[q];
        (void)fprintf(stderr,
                      "%s [%s] on the screen now (empty: not shown): ", quantity->name,
                      quantity->unit);
        if (fgets(answers[q], LINE_SIZE, stdin) == NULL)
            return TOOL_OK;
        answers[q][strcspn(answers[q], "\r\n")] = '\0';
        if (answers[q][0] != '\0')
            compare(job, quantity, answers[q]);
    }
    return TOOL_OK;
}

/* --- the record --- */

__attribute__((format(printf, 4, 5))) static void
check(struct job *job, const char *name, bool passed, const char *format, ...)
{
    char words[512];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    job->passed = job->passed && passed;
    (void)json_array_append_new(json_object_get(job->record, "checks"),
                                json_pack("{s:s, s:b, s:s+}", "name", name, "passed",
                                          passed, "words", words, ""));
}

static void check_device(struct job *job, const json_t *before, const json_t *after)
{
    const json_t *was = json_object_get(before, "line"),
                 *is = json_object_get(after, "line");
    const char *identity = text_of(after, "identity"), *place = text_of(after, "place");
    long long asked = number_of(is, "requests") - number_of(was, "requests"),
              answered = number_of(is, "answered") - number_of(was, "answered"),
              bad = number_of(is, "crc") + number_of(is, "foreign") -
                    number_of(was, "crc") - number_of(was, "foreign");
    size_t readings = json_array_size(job->readings);

    check(job, "answers", json_is_true(json_object_get(after, "present")),
          json_is_true(json_object_get(after, "present")) ? "the device answers"
                                                          : "the device is silent");
    check(job, "identity", !json_is_true(json_object_get(after, "held")),
          json_is_true(json_object_get(after, "held"))
              ? "it says it is %s, and another was known (wardgate devices confirm)"
              : "it says of itself: %s",
          *identity != '\0' ? identity : "nothing");
    check(job, "bed",
          *place != '\0' && (job->bed == NULL || strcmp(job->bed, place) == 0),
          "configured for %s%s%s", *place != '\0' ? place : "no bed",
          job->bed != NULL ? ", expected " : "", job->bed != NULL ? job->bed : "");
    if (asked > 0)
        check(job, "line", answered * 100 >= asked * ANSWERED_PERCENT,
              "%lld of %lld questions were answered in %lld s, %lld replies were broken",
              answered, asked, job->seconds, bad);
    check(job, "readings", readings > 0, "%zu in %lld s, %zu quantities", readings,
          job->seconds, job->count);
}

static void check_gateway(struct job *job, const json_t *status)
{
    const json_t *store = json_object_get(status, "store"),
                 *broker = json_object_get(status, "broker"),
                 *clock = json_object_get(status, "clock");
    bool keeps = json_is_true(json_object_get(store, "open")) &&
                 !json_is_true(json_object_get(store, "failing"));
    bool reaches = json_is_true(json_object_get(broker, "connected")) &&
                   json_is_true(json_object_get(broker, "chart_live"));

    check(job, "clock", strcmp(text_of(clock, "sync"), "unknown") != 0,
          "%s, within %lld ms", text_of(clock, "sync"),
          number_of(clock, "uncertainty_ms"));
    check(job, "store", keeps, "%s",
          keeps ? "open and writing" : text_of(store, "error"));
    check(job, "chart", reaches, "%s",
          reaches ? "receipts come back from the chart"
                  : "no receipt has come within the last minute");
}

static void check_screen(struct job *job)
{
    size_t confirmed = 0, wrong = 0;

    for (size_t q = 0; q < job->count; q++) {
        const struct quantity *quantity = &job->quantities[q];
        if (quantity->shown == NULL)
            continue;
        confirmed += quantity->agrees;
        wrong += !quantity->agrees;
        (void)json_array_append_new(json_object_get(job->record, "screen"),
                                    json_pack("{s:s, s:s, s:s, s:s, s:b}", "name",
                                              quantity->name, "unit", quantity->unit,
                                              "shown", quantity->shown, "read",
                                              quantity->read, "passed",
                                              quantity->agrees));
    }
    check(
        job, "screen", wrong == 0 && confirmed > 0,
        "%zu of %zu quantities agree with the device's screen, %zu do not, %zu were not "
        "confirmed",
        confirmed, job->count, wrong, job->count - confirmed - wrong);
}

static void facts(struct job *job, const json_t *device, const json_t *status)
{
    char now[32];
    time_t seconds = (time_t)(clock_utc_us() / US_PER_S);
    struct tm utc;

    (void)gmtime_r(&seconds, &utc);
    (void)strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
    (void)json_object_set_new(
        job->record, "facts",
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "Device",
                  job->device, "Asset number", job->asset, "Identity",
                  text_of(device, "identity"), "Profile or driver",
                  text_of(device, "profile"), "Bed", text_of(device, "place"), "Line",
                  text_of(device, "bus"), "Gateway", text_of(status, "gateway"),
                  "wardgate", text_of(status, "version"), "Watched until", now,
                  "Commissioned by", job->by != NULL ? job->by : ""));
}

static int write_record(const struct job *job)
{
    char path[FILE_PATH_MAX];
    char *json = json_dumps(job->record, JSON_INDENT(2)), *page;
    size_t size;
    int error;

    page = certify_page(job->record, &size);
    if (json == NULL || page == NULL) {
        free(json);
        free(page);
        return tool_fail(TOOL_IO, "no memory");
    }
    (void)snprintf(path, sizeof(path), "%s.json", job->out);
    error = file_replace(path, json, strlen(json), 0644);
    if (error == 0) {
        (void)snprintf(path, sizeof(path), "%s.html", job->out);
        error = file_replace(path, page, size, 0644);
    }
    free(json);
    free(page);
    return error == 0 ? TOOL_OK : tool_fail(TOOL_IO, "%s: %s", path, strerror(-error));
}

static void tell(const struct job *job)
{
    const json_t *row;
    size_t i;

    if (job->json) {
        tool_print(json_incref(job->record));
        return;
    }
    json_array_foreach(json_object_get(job->record, "checks"), i, row)
    {
        (void)printf("%-10s %-10s %s\n", text_of(row, "name"),
                     json_is_true(json_object_get(row, "passed")) ? "passed"
                                                                  : "NOT PASSED",
                     text_of(row, "words"));
    }
    (void)printf("%s: %s.json, %s.html\n", job->passed ? "passed" : "NOT PASSED",
                 job->out, job->out);
}

/* --- running --- */

static int certify(struct job *job)
{
    json_t *before = NULL, *after = NULL, *status = NULL, *was, *is;
    int code = find(job, &before, &was);

    if (code == TOOL_OK)
        code = watch(job);
    if (code == TOOL_OK)
        gather(job);
    if (code == TOOL_OK)
        code = job->given_count > 0        ? screen_given(job)
               : isatty(STDIN_FILENO) != 0 ? screen_asked(job)
                                           : TOOL_OK;
    if (code == TOOL_OK)
        code = find(job, &after, &is);
    if (code == TOOL_OK)
        code =
            ask(job->socket, SOCKET_GATEWAY, json_pack("{s:s}", "do", "status"), &status);
    if (code == TOOL_OK) {
        facts(job, is, json_array_get(status, 0));
        check_device(job, was, is);
        check_gateway(job, json_array_get(status, 0));
        check_screen(job);
        (void)json_object_set_new(job->record, "passed", json_boolean(job->passed));
        code = write_record(job);
    }
    if (code == TOOL_OK) {
        tell(job);
        code = job->passed ? TOOL_OK : TOOL_FINDINGS;
    }
    json_decref(before);
    json_decref(after);
    json_decref(status);
    return code;
}

/* The name of a file of its own, whatever is in an asset number. */
static void name_record(const struct job *job, char *out, size_t size)
{
    (void)snprintf(out, size, "certificate-%s-%s", job->device, job->asset);
    for (char *c = out; *c != '\0'; c++)
        if (strchr("/\\ :*?\"<>|", *c) != NULL || (unsigned char)*c < ' ')
            *c = '_';
}

int verb_certify(int argc, char **argv)
{
    static char name[512];
    struct job job = {.seconds = SECONDS_DEFAULT, .passed = true};
    const char *seconds = NULL;
    const struct tool_option options[] = {{"asset", &job.asset, NULL},
                                          {"by", &job.by, NULL},
                                          {"bed", &job.bed, NULL},
                                          {"seconds", &seconds, NULL},
                                          {"out", &job.out, NULL},
                                          {"socket", &job.socket, NULL},
                                          {NULL, NULL, NULL}};
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &job.json, &code);

    if (operands < 0)
        return code;
    if (operands == 0 || job.asset == NULL || *job.asset == '\0')
        return tool_usage("certify", "needs DEVICE and --asset NUMBER");
    if (seconds != NULL && !tool_number(seconds, 1, SECONDS_MAX, &job.seconds))
        return tool_usage("certify", "--seconds: 1 to %d", SECONDS_MAX);
    job.device = argv[1];
    job.given = argv + 2;
    job.given_count = operands - 1;
    if (job.out == NULL) {
        name_record(&job, name, sizeof(name));
        job.out = name;
    }
    job.readings = json_array();
    job.record =
        json_pack("{s:b, s:{}, s:[], s:[]}", "passed", 0, "facts", "checks", "screen");
    if (job.readings == NULL || job.record == NULL)
        code = tool_fail(TOOL_IO, "no memory");
    else
        code = certify(&job);
    json_decref(job.readings);
    json_decref(job.record);
    return code;
}
