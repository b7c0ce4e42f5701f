/* SPDX-License-Identifier: Apache-2.0
 *
 * A message is FF, "ANSAR-B ", 400 bytes of waveforms, lines of text that end with CR,
 * and FE. FF and FE occur nowhere else, so a message whose middle was lost cannot be
 * taken for whole: its length of waveforms is then wrong.
 *
 *   HR=1;80;ECG-II-DIAG;       name, how many values, the values, a label, an alarm
 *
 * There is no check: shape, range, and the agreement of two messages (agreement.h).
 * Temperatures and end-tidal CO2 are left out: nothing says their unit.
 */
#include "drivers/ivy.h"

#include "drivers/agreement.h"
#include "drivers/nomenclature.h"
#include "drivers/observe.h"
#include "drivers/text.h"

#include <string.h>

#define START       0xFF
#define END         0xFE
#define MARK        "ANSAR-B "
#define MARK_SIZE   8
#define WAVES_SIZE  400 /* ECG 200; respiration, pleth, P1, P2 50 each */
#define TEXT_MAX    512
#define MESSAGE_MAX (MARK_SIZE + WAVES_SIZE + TEXT_MAX)
#define SILENCE_MS  5000
#define VALUES_MAX  4
#define ITEMS       11 /* observations of a set */

#define MDC_ECG_HEART_RATE    147842
#define MDC_RESP_RATE         151562
#define MDC_DIM_RESP_PER_MIN  264928
#define MDC_DIM_MMHG          266016
#define MDC_PULS_RATE_NON_INV 149546
#define MDC_NONINV_SYS        150021
#define MDC_NONINV_DIA        150022
#define MDC_NONINV_MEAN       150023
#define MDC_BLD_SYS           150017
#define MDC_BLD_DIA           150018
#define MDC_BLD_MEAN          150019

/* A value: what it is, and what it may be. */
struct field {
    uint32_t code, unit;
    int16_t least, most;
};

/* A line: its values in their order. Which vessel P1 and P2 are in is not said, so that
 * they are no arterial pressure; the second one has no code of its own and is left out.
 */
static const struct parameter {
    const char *name;
    uint8_t count;
    struct field fields[VALUES_MAX];
} parameters[] = {
    {"HR", 1, {{MDC_ECG_HEART_RATE, MDC_DIM_BEAT_PER_MIN, 10, 350}}},
    {"RR", 1, {{MDC_RESP_RATE, MDC_DIM_RESP_PER_MIN, 0, 200}}},
    {"ETCO2", 1, {{0}}},
    {"SPO2", 1, {{MDC_PULS_OXIM_SAT_O2, MDC_DIM_PERCENT, 1, 100}}},
    {"NIBP",
     4,
     {{MDC_NONINV_SYS, MDC_DIM_MMHG, 10, 300},
      {MDC_NONINV_DIA, MDC_DIM_MMHG, 5, 300},
      {MDC_NONINV_MEAN, MDC_DIM_MMHG, 5, 300},
      {MDC_PULS_RATE_NON_INV, MDC_DIM_BEAT_PER_MIN, 10, 350}}},
    {"P1",
     3,
     {{MDC_BLD_SYS, MDC_DIM_MMHG, -50, 400},
      {MDC_BLD_DIA, MDC_DIM_MMHG, -50, 400},
      {MDC_BLD_MEAN, MDC_DIM_MMHG, -50, 400}}},
    {"P2", 3, {{0}}},
    {"T1", 1, {{0}}},
    {"T2", 1, {{0}}},
};

#define PARAMETERS (sizeof(parameters) / sizeof(parameters[0]))

struct state {
    struct agreement last;
    bool inside; /* after a START */
    size_t have, dropped;
    uint8_t message[MESSAGE_MAX];
};

/* The digits between two semicolons; an empty place is no value. */
static bool read_value(struct text *line, const struct field *field,
                       struct observation_set *set)
{
    struct text part = text_until(line, ';');
    struct observation *o;
    bool negative;
    int64_t value;

    text_expect(line, ";");
    if (field->code == 0)
        return !line->failed;
    o = observe_absent(set, field->code, field->unit, 0);
    if (part.left == 0)
        return !line->failed;
    negative = text_skip(&part, "-");
    value = text_digits(&part, 1, 3);
    if (negative)
        value = -value;
    if (!text_done(&part) || value < field->least || value > field->most || o == NULL)
        return false;
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = value;
    return true;
}

/* The oximeter's label is its pulse rate: "PR=80 ", or nothing. */
static bool read_pulse(struct text *label, struct observation_set *set)
{
    static const struct field pulse = {MDC_PULS_OXIM_PULS_RATE, MDC_DIM_BEAT_PER_MIN, 10,
                                       350};
    uint8_t digits[4] = {0};
    struct text t;
    size_t n = 0;

    if (text_skip(label, "PR="))
        while (n < 3 && label->left > 0 && label->at[0] >= '0' && label->at[0] <= '9') {
            digits[n++] = label->at[0];
            label->at++;
            label->left--;
        }
    digits[n] = ';';
    t = text_make(digits, n + 1);
    text_spaces(label);
    return text_done(label) && read_value(&t, &pulse, set);
}

/* One line; the parameters come in their order and all of them. */
static bool read_line(struct text *t, const struct parameter *p,
                      struct observation_set *set)
{
    struct text line = text_until(t, '\r'), label;

    text_expect(t, "\r");
    text_expect(&line, p->name);
    text_expect(&line, "=");
    if (text_digits(&line, 1, 1) != p->count)
        return false;
    text_expect(&line, ";");
    for (size_t i = 0; i < p->count; i++)
        if (!read_value(&line, &p->fields[i], set))
            return false;
    label = text_until(&line, ';');
    text_expect(&line, ";");
    if (strcmp(p->name, "SPO2") == 0)
        return text_done(&line) && read_pulse(&label, set);
    text_until(&line, ';'); /* an alarm, which is none of ours */
    text_skip(&line, ";");
    return text_done(&line) && !t->failed;
}

static bool read_message(const struct state *s, struct observation_set *set)
{
    struct text t = text_make(s->message, s->have);

    memset(set, 0, sizeof(*set));
    text_expect(&t, MARK);
    if (t.failed || t.left < WAVES_SIZE)
        return false;
    t.at += WAVES_SIZE;
    t.left -= WAVES_SIZE;
    for (size_t i = 0; i < PARAMETERS; i++)
        if (!read_line(&t, &parameters[i], set))
            return false;
    return text_done(&t);
}

/* A whole message: always a set, for the device spoke; its numbers only if the message
 * before agrees. */
static void take(struct state *s, const struct driver_sink *sink)
{
    static const int64_t steps[ITEMS] = {8, 8, 3, 8, 8, 8, 8, 8, 8, 8, 8}; /* SpO2: 3 */
    struct observation_set set;

    if (read_message(s, &set)) {
        agreement_apply(&s->last, &set, steps);
        sink->set(sink->context, &set);
    } else {
        agreement_break(&s->last);
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->have + 2);
    }
}

/* What came is no message, or not a whole one. */
static void lose(struct state *s, size_t bytes)
{
    s->dropped += bytes;
    agreement_break(&s->last);
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        uint8_t b = bytes[i];
        if (b == START) {
            if (s->inside)
                lose(s, s->have + 1);
            s->inside = true;
            s->have = 0;
        } else if (!s->inside) {
            lose(s, 1);
        } else if (b == END) {
            take(s, sink);
            s->inside = false;
        } else if (s->have == MESSAGE_MAX) {
            lose(s, s->have + 2);
            s->inside = false;
        } else {
            s->message[s->have++] = b;
        }
    }
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: nothing seen, nothing kept. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

const struct driver ivy_ansar_b = {
    .name = "ivy-ansar-b",
    .title = "Ivy 450C monitor, ANSAR-B",
    .stable = false,
    .evidence = "one implementation and a recording of a real device",
    .tests = "driver_conformance: the recording's 27 messages; no check; 34 of 8568 "
             "single flips unseen, within the step",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
};
