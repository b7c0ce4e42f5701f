/* SPDX-License-Identifier: Apache-2.0
 *
 * The three lines of oximeter_line.h. A line has no check. In its place: the exact shape
 * of the maker's line and no other, the range, and the agreement of two lines in a row
 * (agreement.h). What is no number ("---", "100*") is no value.
 */
#include "drivers/oximeter_line.h"

#include "drivers/agreement.h"
#include "drivers/nonin.h"
#include "drivers/text.h"

#include <string.h>

#define LINE_MAX   160 /* bytes; the longest is Masimo's with all its parameters */
#define SILENCE_MS 10000
#define STEP_PULSE 8  /* beats per minute from one line to the next */
#define STEP_SPO2  3  /* percent */
#define PIVOT      70 /* a two-digit year from here on is of the last century */

/* What a line says. */
struct line {
    unsigned pulse, spo2, quality;
    struct device_time time;
};

enum verdict { LINE_DATA, LINE_OTHER, LINE_BAD };

struct state {
    struct agreement last;
    bool overrun; /* the line is longer than any that a device prints */
    size_t have;
    uint8_t bytes[LINE_MAX];
};

/* Three digits or three dashes. */
static unsigned three(struct text *t, unsigned missing)
{
    return text_skip(t, "---") ? missing : text_digits(t, 3, 3);
}

static void read_clock(struct text *t, struct device_time *time)
{
    time->hour = (uint8_t)text_digits(t, 2, 2);
    text_expect(t, ":");
    time->minute = (uint8_t)text_digits(t, 2, 2);
    text_expect(t, ":");
    time->second = (uint8_t)text_digits(t, 2, 2);
    if (time->hour > 23 || time->minute > 59 || time->second > 60)
        t->failed = true;
}

static void read_year(struct text *t, struct device_time *time)
{
    unsigned year = text_digits(t, 2, 2);

    time->year = (uint16_t)(year < PIVOT ? 2000 + year : 1900 + year);
    time->present = true;
}

/* [HH:MM:SS ]SPO2=097 HR=072[ marks]; the marks are F, B and *, in any number. */
static enum verdict read_nonin(struct text *t, struct line *line)
{
    struct device_time clock;

    if (t->left > 0 && t->at[0] != 'S') {
        read_clock(t, &clock); /* without a date it is no time */
        text_expect(t, " ");
    }
    text_expect(t, "SPO2=");
    line->spo2 = three(t, NONIN_SPO2_MISSING);
    text_expect(t, " HR=");
    line->pulse = three(t, NONIN_HR_MISSING);
    while (text_skip(t, " ") || text_skip(t, "F") || text_skip(t, "B") ||
           text_skip(t, "*"))
        ;
    return text_done(t) ? LINE_DATA : LINE_BAD;
}

/* A column: digits, or dashes, or digits with the asterisk of a limit. Only plain digits
 * are a number. */
static unsigned column(struct text *t, unsigned missing)
{
    struct text part;
    unsigned value;

    text_spaces(t);
    part = text_until(t, ' ');
    if (part.left == 0)
        t->failed = true;
    for (size_t i = 0; i < part.left; i++)
        if (strchr("0123456789-*", part.at[i]) == NULL || part.at[i] == '\0')
            t->failed = true;
    value = text_digits(&part, 1, 3);
    return text_done(&part) ? value : missing;
}

/* The status codes: what they say about the values. */
static void read_status(struct text *t, struct line *line)
{
    static const struct {
        const char *code;
        unsigned quality;
    } codes[] = {
        {"AO", 0},
        {"AS", 0},
        {"LB", 0},
        {"PH", 0},
        {"PL", 0},
        {"SH", 0},
        {"SL", 0},
        {"LM", QUALITY_QUESTIONABLE},
        {"LP", QUALITY_QUESTIONABLE},
        {"MO", QUALITY_QUESTIONABLE},
        {"PS", QUALITY_QUESTIONABLE},
        {"SD", QUALITY_SENSOR_OFF},
        {"SO", QUALITY_SENSOR_OFF},
    };
    size_t i;

    for (text_spaces(t); t->left > 0 && !t->failed; text_spaces(t)) {
        for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
            if (text_skip(t, codes[i].code))
                break;
        if (i == sizeof(codes) / sizeof(codes[0]))
            t->failed = true;
        else
            line->quality |= codes[i].quality;
    }
}

/* 12-NOV-97 14:00:05   97   72   50  SO; and the headers between. */
static enum verdict read_nellcor(struct text *t, struct line *line)
{
    static const char months[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    struct text month;

    if (text_skip(t, "NPB-") || text_skip(t, "N-") || text_skip(t, "TIME "))
        return LINE_OTHER;
    line->time.day = (uint8_t)text_digits(t, 2, 2);
    text_expect(t, "-");
    month = text_until(t, '-');
    for (unsigned m = 0; m < 12 && month.left == 3; m++)
        if (memcmp(month.at, months + (size_t)m * 3, 3) == 0)
            line->time.month = (uint8_t)(m + 1);
    text_expect(t, "-");
    read_year(t, &line->time);
    text_expect(t, " ");
    read_clock(t, &line->time);
    text_expect(t, " ");
    line->spo2 = column(t, NONIN_SPO2_MISSING);
    line->pulse = column(t, NONIN_HR_MISSING);
    column(t, 0); /* the pulse amplitude has no unit */
    read_status(t, line);
    if (line->time.month == 0 || line->time.day < 1 || line->time.day > 31)
        t->failed = true;
    return text_done(t) ? LINE_DATA : LINE_BAD;
}

/* What we do not chart is passed over, by its name and to the next space. */
static struct text masimo_value(struct text *t, const char *name)
{
    text_expect(t, " ");
    text_expect(t, name);
    return text_until(t, ' ');
}

/* Three digits and their unit; anything else is no value. */
static unsigned masimo_number(struct text *t, const char *name, const char *unit,
                              unsigned missing)
{
    struct text part = masimo_value(t, name);
    unsigned value = text_digits(&part, 1, 3);

    return text_is(&part, unit) ? value : missing;
}

/* The exceptions' bits are not public: any of them is doubt. */
static enum verdict read_masimo(struct text *t, struct line *line)
{
    static const char *const others[] = {"PI=",      "SPCO=", "SPMET=", "DESAT=",
                                         "PIDELTA=", "PVI=",  "ALARM="};
    struct text exceptions;

    line->time.month = (uint8_t)text_digits(t, 2, 2);
    text_expect(t, "/");
    line->time.day = (uint8_t)text_digits(t, 2, 2);
    text_expect(t, "/");
    read_year(t, &line->time);
    text_expect(t, " ");
    read_clock(t, &line->time);
    masimo_value(t, "SN=");
    line->spo2 = masimo_number(t, "SPO2=", "%", NONIN_SPO2_MISSING);
    line->pulse = masimo_number(t, "BPM=", "", NONIN_HR_MISSING);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        masimo_value(t, others[i]);
    exceptions = masimo_value(t, "EXC=");
    if (!text_is(&exceptions, "000000"))
        line->quality |= QUALITY_QUESTIONABLE;
    if (line->time.month < 1 || line->time.month > 12 || line->time.day < 1 ||
        line->time.day > 31)
        t->failed = true;
    return text_done(t) ? LINE_DATA : LINE_BAD;
}

/* A line that is whole. */
static void take(struct state *s, enum verdict (*read)(struct text *, struct line *),
                 const struct driver_sink *sink)
{
    static const int64_t steps[2] = {STEP_PULSE, STEP_SPO2};
    struct text t = text_make(s->bytes, s->have);
    struct line line = {0};
    struct observation_set set;
    enum verdict verdict = s->overrun ? LINE_BAD : read(&t, &line);

    if (verdict == LINE_OTHER)
        return;
    if (verdict == LINE_BAD ||
        !nonin_set_make(&set, line.pulse, line.spo2, line.quality)) {
        agreement_break(&s->last);
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->have);
        return;
    }
    bool first = !s->last.has; /* a first line alone may be noise: it says nothing */
    agreement_apply(&s->last, &set, steps);
    set.device_time = line.time;
    if (!first)
        sink->set(sink->context, &set);
}

/* Lines end with CR LF; empty ones between pages are nothing. Any other control byte
 * stays in the line, which no shape then fits. */
static void feed_lines(struct state *s, const uint8_t *bytes, size_t n,
                       enum verdict (*read)(struct text *, struct line *),
                       const struct driver_sink *sink)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            if (s->have > 0 && s->bytes[s->have - 1] == '\r')
                s->have--;
            else
                s->overrun = true; /* no line ends without CR */
            if (s->have > 0)
                take(s, read, sink);
            s->have = 0;
            s->overrun = false;
        } else if (s->have < LINE_MAX) {
            s->bytes[s->have++] = bytes[i];
        } else {
            s->overrun = true;
        }
    }
}

static void feed_nonin(void *state, const uint8_t *bytes, size_t n,
                       const struct driver_sink *sink)
{
    feed_lines(state, bytes, n, read_nonin, sink);
}

static void feed_nellcor(void *state, const uint8_t *bytes, size_t n,
                         const struct driver_sink *sink)
{
    feed_lines(state, bytes, n, read_nellcor, sink);
}

static void feed_masimo(void *state, const uint8_t *bytes, size_t n,
                        const struct driver_sink *sink)
{
    feed_lines(state, bytes, n, read_masimo, sink);
}

/* All zero: nothing seen, nothing kept. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

#define COMMON                                                                           \
    .silence_ms = SILENCE_MS, .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1},    \
    .state_size = sizeof(struct state), .init = init

const struct driver nonin_8500 = {
    .name = "nonin-8500",
    .title = "Nonin 8500 and kin, printed line",
    .stable = true,
    .evidence = "maker's manuals of several models agree",
    .tests =
        "driver_conformance: no check; 13 of 640 single flips unseen, within the step",
    COMMON,
    .feed = feed_nonin,
};

const struct driver nellcor_n595 = {
    .name = "nellcor-n595",
    .title = "Nellcor NPB-290/295 and N-595, printed line",
    .stable = true,
    .evidence = "maker's operator manuals and an independent implementation",
    .tests =
        "driver_conformance: no check; 9 of 1960 single flips unseen, within the step",
    COMMON,
    .feed = feed_nellcor,
};

const struct driver masimo_ascii1 = {
    .name = "masimo-ascii1",
    .title = "Masimo Radical-7 and Rad-87, ASCII 1",
    .stable = false,
    .evidence = "line from one implementation; its widths and dashes are not documented",
    .tests =
        "driver_conformance: no check; 8 of 4000 single flips unseen, within the step",
    COMMON,
    .feed = feed_masimo,
};
