/* SPDX-License-Identifier: Apache-2.0
 *
 * Recorded lines, both directions of them, through the drivers: what a driver asks is
 * what it asked then, and what it says is what it said. tests/captures/README.md. Prints
 * `pass: ` and `fail: ` lines for tests/run.sh.
 */
#include "captures_courses.h"

#include "drivers/driver.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP_MS   10 /* the grid on which polls and bursts fall */
#define TEXT_SIZE ((size_t)256 * 1024)
#define QUEUE_MAX 32
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

struct text {
    size_t used, sets;
    char at[TEXT_SIZE];
};

static void add(struct text *text, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int n = vsnprintf(text->at + text->used, sizeof(text->at) - text->used, format,
                      arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof(text->at) - text->used)
        abort(); /* the recordings are small */
    text->used += (size_t)n;
}

/* A line a set: "147842=72e0 150456=- q4 2026-07-22T14:05:09"; one of a device that
 * watches mother and child begins with "M " or "F1 ". */
static void on_set(void *context, const struct observation_set *set)
{
    struct text *text = context;
    const struct device_time *t = &set->device_time;

    if (set->subject == OBSERVATION_OF_PATIENT)
        add(text, "M ");
    if (set->subject == OBSERVATION_OF_FETUS)
        add(text, "F%u ", set->number);
    for (size_t i = 0; i < set->count; i++) {
        const struct observation *o = &set->items[i];
        add(text, "%s%u=", i > 0 ? " " : "", o->code);
        if (o->kind == OBSERVATION_NUMERIC)
            add(text, "%llde%d", (long long)o->mantissa, o->exponent);
        else
            add(text, "-");
        if (o->quality)
            add(text, " q%u", o->quality);
    }
    if (t->present)
        add(text, " %04u-%02u-%02uT%02u:%02u:%02u", t->year, t->month, t->day, t->hour,
            t->minute, t->second);
    add(text, "\n");
    text->sets++;
}

static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    (void)context;
    (void)fault;
    (void)bytes;
}

/* One line of a recording: "1230 < 01243235", > is to the device. */
static void add_bytes(struct text *line, uint64_t ms, char direction,
                      const uint8_t *bytes, size_t n)
{
    add(line, "%llu %c ", (unsigned long long)ms, direction);
    for (size_t i = 0; i < n; i++)
        add(line, "%02X", bytes[i]);
    add(line, "\n");
}

/* The driver's turn. Returns how many bytes it sends. */
static size_t poll(const struct driver *driver, void *state, uint64_t now_ms,
                   uint64_t *again_ms, uint8_t *out)
{
    if (driver->poll == NULL || *again_ms > now_ms)
        return 0;
    size_t n = driver->poll(state, now_ms, out, again_ms);
    if (n > 0 && !driver->may_send(out, n))
        abort();
    return n;
}

/* Runs a course: the line's bytes and the driver's sets. */
static void record(const struct course *course, struct text *line, struct text *sets)
{
    static struct emulate_burst queue[QUEUE_MAX];
    static union {
        max_align_t align;
        uint8_t bytes[COURSE_STATE_MAX];
    } device;
    const struct driver *driver = driver_by_name(course->driver);
    const struct driver_sink sink = {sets, on_set, on_fault};
    void *state = malloc(driver->state_size);
    uint64_t again_ms = 0, again_us = 0;
    size_t queued = 0;

    if (state == NULL)
        abort();
    driver->init(state);
    course->start(&device);
    for (uint64_t now = 0; now < course->seconds * UINT64_C(1000); now += STEP_MS) {
        uint8_t request[DRIVER_SEND_MAX];
        if (now % 1000 == 0)
            course->second(&device, (unsigned)(now / 1000));
        size_t n = poll(driver, state, now, &again_ms, request);
        if (n > 0)
            add_bytes(line, now, '>', request, n);
        do {
            struct emulate_output out = {.count = 0};
            if (n > 0)
                course->emulator->feed(&device, request, n, now * 1000, &out);
            n = 0;
            again_us = UINT64_MAX; /* a device that only answers has no tick */
            if (course->emulator->tick != NULL)
                course->emulator->tick(&device, now * 1000, &out, &again_us);
            for (size_t i = 0; i < out.count && queued < QUEUE_MAX; i++)
                queue[queued++] = out.bursts[i];
        } while (again_us <= now * 1000);
        while (queued > 0 && queue[0].due_us <= now * 1000) {
            add_bytes(line, now, '<', queue[0].bytes, queue[0].size);
            driver->feed(state, queue[0].bytes, queue[0].size, &sink);
            memmove(queue, queue + 1, --queued * sizeof(queue[0]));
        }
    }
    free(state);
}

struct event {
    uint64_t ms;
    bool to_device;
    size_t n;
    uint8_t bytes[EMULATE_BURST_MAX];
};

/* The next line of a recording; false at its end, or where it is none. */
static bool next_event(const char **at, struct event *event)
{
    char *end;

    if (**at == '\0')
        return false;
    event->ms = strtoull(*at, &end, 10);
    if (end[0] != ' ' || (end[1] != '<' && end[1] != '>') || end[2] != ' ')
        return false;
    event->to_device = end[1] == '>';
    event->n = 0;
    for (end += 3; end[0] != '\n' && end[0] != '\0'; end += 2) {
        const char digits[3] = {end[0], end[1], '\0'};
        if (event->n == sizeof(event->bytes))
            return false;
        event->bytes[event->n++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    *at = end + (*end == '\n');
    return true;
}

/* The same, with the recording in the device's place and its bytes in pieces. False if
 * the driver asks otherwise than it did. */
static bool replay(const struct course *course, const char *line, size_t piece,
                   struct text *sets)
{
    const struct driver *driver = driver_by_name(course->driver);
    const struct driver_sink sink = {sets, on_set, on_fault};
    void *state = malloc(driver->state_size);
    uint64_t again_ms = 0;
    struct event event;
    bool more = next_event(&line, &event), same = state != NULL;

    sets->used = sets->sets = 0;
    driver->init(state);
    for (uint64_t now = 0; same && more; now += STEP_MS) {
        uint8_t request[DRIVER_SEND_MAX];
        size_t n = poll(driver, state, now, &again_ms, request);
        bool wanted = event.ms == now && event.to_device;
        same = wanted ? n == event.n && memcmp(request, event.bytes, n) == 0 : n == 0;
        if (wanted)
            more = next_event(&line, &event);
        while (more && event.ms == now && !event.to_device) {
            for (size_t at = 0; at < event.n; at += piece)
                driver->feed(state, event.bytes + at,
                             piece < event.n - at ? piece : event.n - at, &sink);
            more = next_event(&line, &event);
        }
    }
    free(state);
    return same && *line == '\0';
}

static bool load(const char *folder, const char *file, const char *suffix, char *out)
{
    char path[512];
    size_t n = 0;

    snprintf(path, sizeof(path), "%s/%s%s", folder, file, suffix);
    FILE *f = fopen(path, "rb");
    if (f != NULL) {
        n = fread(out, 1, TEXT_SIZE - 1, f);
        fclose(f);
    }
    out[n] = '\0';
    return n > 0;
}

static bool save(const char *folder, const char *file, const char *suffix,
                 const struct text *text)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s%s", folder, file, suffix);
    FILE *f = fopen(path, "wb");
    return f != NULL && fwrite(text->at, 1, text->used, f) == text->used &&
           fclose(f) == 0;
}

static int record_all(const char *folder)
{
    static struct text line, sets;
    const struct course *course;

    for (size_t i = 0; (course = course_at(i)) != NULL; i++) {
        line.used = sets.used = sets.sets = 0;
        record(course, &line, &sets);
        if (!save(folder, course->file, ".line", &line) ||
            !save(folder, course->file, ".sets", &sets)) {
            perror(course->file);
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}

static int replay_all(const char *folder)
{
    static const size_t pieces[] = {EMULATE_BURST_MAX, 1, 3, 64};
    static char line[TEXT_SIZE], want[TEXT_SIZE];
    static struct text sets;
    const struct course *course;
    int failures = 0;

    for (size_t i = 0; (course = course_at(i)) != NULL; i++) {
        bool good = load(folder, course->file, ".line", line) &&
                    load(folder, course->file, ".sets", want);
        for (size_t p = 0; good && p < COUNT(pieces); p++)
            good = replay(course, line, pieces[p], &sets) && strcmp(sets.at, want) == 0;
        printf("%s: %s.line: %zu sets, %zu ways of cutting it\n", good ? "pass" : "fail",
               course->file, sets.sets, COUNT(pieces));
        failures += !good;
    }
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--record") == 0)
        return record_all(argv[2]);
    if (argc == 2)
        return replay_all(argv[1]);
    fprintf(stderr, "usage: captures_sessions CAPTURES\n"
                    "       captures_sessions --record CAPTURES\n");
    return EXIT_FAILURE;
}
