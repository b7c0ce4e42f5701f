/* SPDX-License-Identifier: Apache-2.0
 *
 *   39 | type | 30 | digits or text | 03
 *
 * There is neither a check nor a byte that only begins a record. In their place: the
 * exact shape of each type, the range, and three records of a type with nothing lost
 * between them that lie within a step of each other, of which the middle value is given:
 * one damaged record alone never becomes a value, even within the step.
 */
#include "drivers/corometrics.h"

#include "drivers/nomenclature.h"
#include "drivers/observe.h"
#include "drivers/series50.h"

#include <string.h>

#define MDC_DIM_DIMLESS 262656

#define HEAD_SIZE     3
#define END           0x03
#define DIGITS_MIN    2
#define DIGITS_MAX    3
#define NOTE_MAX      120 /* characters of a note */
#define RECORD_MAX    (HEAD_SIZE + NOTE_MAX + 1)
#define HEART_MIN     30
#define HEART_MAX     300
#define ACTIVITY_MAX  127
#define STEP_HEART    8 /* beats per minute in a quarter of a second */
#define STEP_ACTIVITY 8
#define PER_SECOND    4 /* records of heart rate 1 */
#define HISTORY       3
#define SILENCE_MS    10000

/* The last records of a type, the newest last. */
struct history {
    size_t have;
    int values[HISTORY]; /* -1: the pen was lifted */
};

struct state {
    struct history heart, activity;
    unsigned count; /* records of heart rate 1 since the last set */
    size_t have, dropped;
    uint8_t record[RECORD_MAX];
};

/* How many bytes of data a type has. */
static const struct {
    uint8_t least, most;
} sizes[] = {
    [COROMETRICS_HEART_1 - 0x60] = {DIGITS_MIN, DIGITS_MAX},
    [COROMETRICS_ACTIVITY - 0x60] = {DIGITS_MIN, DIGITS_MAX},
    [COROMETRICS_MODES - 0x60] = {2, 2},
    [COROMETRICS_NOTE - 0x60] = {0, NOTE_MAX},
    [COROMETRICS_MARK - 0x60] = {0, 0},
    [COROMETRICS_HEART_2 - 0x60] = {DIGITS_MIN, DIGITS_MAX},
    [COROMETRICS_MOVEMENT - 0x60] = {1, 1},
    [COROMETRICS_PAPER - 0x60] = {1, 1},
};

/* A byte of data that the type allows. */
static bool data_allowed(uint8_t type, uint8_t b)
{
    if (type == COROMETRICS_NOTE || type == COROMETRICS_MODES)
        return b >= ' ' && b < 0x7F;
    return b >= '0' && b <= '9';
}

/* Whether the bytes that are there may begin a record; *whole if they are one. */
static bool shape(const uint8_t *r, size_t have, bool *whole)
{
    uint8_t type = have > 1 ? r[1] : COROMETRICS_HEART_1;

    *whole = false;
    if (r[0] != 0x39 || type < COROMETRICS_HEART_1 || type > COROMETRICS_PAPER ||
        (have > 2 && r[2] != 0x30))
        return false;
    for (size_t i = HEAD_SIZE; i < have; i++) {
        size_t data = i - HEAD_SIZE;
        if (r[i] == END && i == have - 1) {
            *whole = data >= sizes[type - 0x60].least;
            return *whole;
        }
        if (data >= sizes[type - 0x60].most || !data_allowed(type, r[i]))
            return false;
    }
    return true;
}

static void remember(struct history *h, int value)
{
    if (h->have == HISTORY)
        memmove(h->values, h->values + 1, sizeof(h->values) - sizeof(h->values[0]));
    else
        h->have++;
    h->values[h->have - 1] = value;
}

/* The middle of three that agree. False: not three, a lifted pen among them, or apart. */
static bool middle(const struct history *h, int step, int *value)
{
    int least = h->values[0], most = h->values[0], sum = 0;

    if (h->have < HISTORY)
        return false;
    for (size_t i = 0; i < HISTORY; i++) {
        least = h->values[i] < least ? h->values[i] : least;
        most = h->values[i] > most ? h->values[i] : most;
        sum += h->values[i];
    }
    *value = sum - least - most;
    return least >= 0 && most - least <= step;
}

/* A set of one value. A lifted pen is absent without doubt; disagreement is doubt. */
static void give(const struct history *h, int step, uint8_t subject, uint32_t code,
                 uint32_t unit, const struct driver_sink *sink)
{
    struct observation_set set;
    int value = 0;
    bool lifted = h->have > 0 && h->values[h->have - 1] < 0;
    bool has = !lifted && middle(h, step, &value);

    memset(&set, 0, sizeof(set));
    set.subject = subject;
    set.number = subject == OBSERVATION_OF_FETUS;
    observe(&set, code, unit, has, value, 0, lifted ? 0 : QUALITY_QUESTIONABLE);
    sink->set(sink->context, &set);
}

/* A whole record. False: a number that the type can't have. */
static bool take(struct state *s, const struct driver_sink *sink)
{
    uint8_t type = s->record[1];
    int value = 0;

    if (type != COROMETRICS_HEART_1 && type != COROMETRICS_HEART_2 &&
        type != COROMETRICS_ACTIVITY)
        return true;
    for (size_t i = HEAD_SIZE; i + 1 < s->have; i++)
        value = value * 10 + (s->record[i] - '0');
    if (type == COROMETRICS_ACTIVITY) {
        if (value > COROMETRICS_NO_ACTIVITY)
            return false;
        remember(&s->activity, value == COROMETRICS_NO_ACTIVITY ? -1 : value);
        return true;
    }
    if (value != 0 && (value < HEART_MIN || value > HEART_MAX))
        return false;
    if (type == COROMETRICS_HEART_2)
        return true;
    remember(&s->heart, value == 0 ? -1 : value);
    if (++s->count < PER_SECOND)
        return true;
    s->count = 0;
    give(&s->activity, STEP_ACTIVITY, OBSERVATION_OF_PATIENT, MDC_UTERINE_ACTIVITY,
         MDC_DIM_DIMLESS, sink);
    give(&s->heart, STEP_HEART, OBSERVATION_OF_FETUS, MDC_FETAL_HEART_RATE_ULTRASOUND,
         MDC_DIM_BEAT_PER_MIN, sink);
    return true;
}

/* Drops n bytes; what was before them vouches for nothing any more. */
static void drop(struct state *s, size_t n)
{
    s->dropped += n;
    s->heart.have = s->activity.have = 0;
    s->have -= n;
    memmove(s->record, s->record + n, s->have);
}

/* A record is looked at while it grows, so that one inside a wrong one is found. */
static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;
    bool whole;

    for (size_t i = 0; i < n; i++) {
        s->record[s->have++] = bytes[i];
        whole = false;
        while (s->have > 0 && !shape(s->record, s->have, &whole))
            drop(s, 1);
        if (s->have > 0 && whole) {
            if (!take(s, sink))
                drop(s, s->have);
            s->have = 0;
        }
    }
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: nothing seen. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

const struct driver corometrics_115 = {
    .name = "corometrics-115",
    .title = "GE Corometrics fetal monitors, 115 Update mode",
    .stable = false,
    .evidence = "two of the maker's manuals agree; their tables of modes not at hand",
    .tests = "drivers_corometrics_test: no check; 0 of 1656 single flips unseen, by the "
             "middle of three records",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
};
