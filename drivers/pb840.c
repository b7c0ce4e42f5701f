/* SPDX-License-Identifier: Apache-2.0
 *
 *   MISCF,1225,169 ,<STX>14:51 ,840 3510...   ,NOV 22 2026 , ... ,<ETX><CR>
 *
 * 169 fields of fixed widths, padded with spaces. There is no check. In its place: every
 * comma where it belongs and nowhere else, numbers as the ventilator writes them, the
 * range, and the very same text in the answer before. Answers are asked for one after the
 * other, so that each breath is told twice.
 */
#include "drivers/pb840.h"

#include "drivers/decimal.h"
#include "drivers/observe.h"

#include <string.h>

#define MDC_VENT_RESP_RATE    151586
#define MDC_VENT_VOL_TIDAL    151980
#define MDC_PRESS_INSP_MAX    151973
#define MDC_PRESS_PEEP        151976
#define MDC_VOL_MINUTE_AWAY   152008
#define MDC_PRESS_RESP_PLAT   152424
#define MDC_VOL_TIDAL_SETTING 16929196
#define MDC_DIM_RESP_PER_MIN  264928
#define MDC_DIM_X_L           263744
#define MDC_DIM_X_L_PER_MIN   265216
#define MDC_DIM_CM_H2O        266048

#define HEADER_SIZE (sizeof(PB840_HEADER) - 1)
#define FRAME_SIZE  (HEADER_SIZE + PB840_BODY_SIZE + 2) /* ETX, CR */
#define ETX         0x03
#define GIVEN_WIDTH 6 /* characters of every field that is given */
#define ANSWER_MS   4000
#define LOOK_MS     200
#define SILENCE_MS  20000

/* What is given, in thousandths for the range. A plateau of 0 is one that was not
 * measured. */
static const struct given {
    uint8_t field;
    uint32_t code, unit;
    int32_t least, most;
} given[] = {
    {70, MDC_VENT_RESP_RATE, MDC_DIM_RESP_PER_MIN, 0, 200000},
    {71, MDC_VENT_VOL_TIDAL, MDC_DIM_X_L, 0, 6000},
    {72, MDC_VOL_MINUTE_AWAY, MDC_DIM_X_L_PER_MIN, 0, 100000},
    {73, MDC_PRESS_INSP_MAX, MDC_DIM_CM_H2O, -20000, 130000},
    {87, MDC_PRESS_PEEP, MDC_DIM_CM_H2O, -20000, 130000},
    {94, MDC_PRESS_RESP_PLAT, MDC_DIM_CM_H2O, 1, 130000},
    {14, MDC_VOL_TIDAL_SETTING, MDC_DIM_X_L, 0, 6000},
};

#define GIVEN (sizeof(given) / sizeof(given[0]))

/* before: the text of each given field in the answer before, if nothing came between. */
struct state {
    bool has_before, heard, asked;
    uint64_t asked_ms;
    char before[GIVEN][GIVEN_WIDTH];
    unsigned field; /* of the next byte of the body */
    size_t left;    /* bytes of it, its comma included */
    size_t have, dropped;
    uint8_t frame[FRAME_SIZE];
};

size_t pb840_width(unsigned field)
{
    static const struct {
        uint8_t field, width;
    } wide[] = {{6, 18}, {7, 12}, {8, 9}, {50, 9}, {53, 18}, {55, 9}, {66, 9}};

    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++)
        if (wide[i].field == field)
            return wide[i].width;
    return GIVEN_WIDTH;
}

/* Where a field begins in the frame. */
static size_t place(unsigned field)
{
    size_t at = HEADER_SIZE;

    for (unsigned f = PB840_FIRST_FIELD; f < field; f++)
        at += pb840_width(f) + 1;
    return at;
}

/* Digits, perhaps with a sign and a point, then spaces; or spaces only, or OFF. False: it
 * is nothing that the ventilator writes. */
static bool read_number(const char *text, bool *has, struct decimal *value)
{
    char number[GIVEN_WIDTH + 1] = "";
    size_t n = 0;

    while (n < GIVEN_WIDTH && text[n] != ' ')
        n++;
    for (size_t i = n; i < GIVEN_WIDTH; i++)
        if (text[i] != ' ')
            return false;
    memcpy(number, text, n);
    *has = n > 0 && strcmp(number, "OFF") != 0;
    return !*has || decimal_parse(number, value) == DECIMAL_OK;
}

/* One field into the set. An empty one is absent and needs no second answer; one that
 * differs from the answer before is withheld. False: not as the ventilator writes it. */
static bool put(struct state *s, size_t i, struct observation_set *set)
{
    const struct given *g = &given[i];
    const char *text = (const char *)s->frame + place(g->field);
    struct decimal value = {0, 0};
    unsigned quality = 0;
    bool has, same = s->has_before && memcmp(s->before[i], text, GIVEN_WIDTH) == 0;

    if (!read_number(text, &has, &value))
        return false;
    if (has && (decimal_compare(value, (struct decimal){g->least, -3}) < 0 ||
                decimal_compare(value, (struct decimal){g->most, -3}) > 0))
        quality |= QUALITY_INVALID;
    if (has && !same)
        quality |= QUALITY_QUESTIONABLE;
    observe(set, g->code, g->unit, has && same, value.mantissa, value.exponent, quality);
    memcpy(s->before[i], text, GIVEN_WIDTH);
    return true;
}

/* An answer whose commas are where they belong. */
static void take(struct state *s, const struct driver_sink *sink)
{
    struct observation_set set;

    memset(&set, 0, sizeof(set));
    s->heard = true;
    for (size_t i = 0; i < GIVEN; i++)
        if (!put(s, i, &set)) {
            s->has_before = false;
            sink->fault(sink->context, DRIVER_FAULT_VALUE, s->have);
            return;
        }
    s->has_before = true;
    sink->set(sink->context, &set);
}

/* Whether the byte may stand where the frame has got to. */
static bool fits(struct state *s, uint8_t b)
{
    if (s->have < HEADER_SIZE)
        return b == (uint8_t)PB840_HEADER[s->have];
    if (s->have == HEADER_SIZE) {
        s->field = PB840_FIRST_FIELD;
        s->left = pb840_width(s->field) + 1;
    }
    if (s->have >= HEADER_SIZE + PB840_BODY_SIZE)
        return b == (s->have == HEADER_SIZE + PB840_BODY_SIZE ? ETX : '\r');
    if (--s->left > 0)
        return b >= ' ' && b < 0x7F && b != ',';
    s->left = pb840_width(++s->field) + 1;
    return b == ',';
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        if (!fits(s, bytes[i])) {
            s->dropped += s->have;
            s->have = 0;
            s->has_before = false; /* what was lost may have been an answer */
            if (bytes[i] != (uint8_t)PB840_HEADER[0]) {
                s->dropped++;
                continue;
            }
        }
        s->frame[s->have++] = bytes[i];
        if (s->have == FRAME_SIZE) {
            take(s, sink);
            s->have = 0;
        }
    }
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: nothing asked. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

static const uint8_t question[] = {'S', 'N', 'D', 'F', '\r'};

/* The next question follows the answer; one that is lost is waited for first. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    *again_ms = now_ms + LOOK_MS;
    if (s->asked && !s->heard && now_ms - s->asked_ms < ANSWER_MS)
        return 0;
    s->asked = true;
    s->heard = false;
    s->asked_ms = now_ms;
    memcpy(out, question, sizeof(question));
    return sizeof(question);
}

/* The question, and nothing else: RSET would clear what others have asked for. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    return n == sizeof(question) && memcmp(bytes, question, n) == 0;
}

const struct driver pb840 = {
    .name = "pb840",
    .title = "Puritan Bennett 840 and 980 ventilators",
    .stable = true,
    .evidence = "two independent implementations and recorded answers of both devices",
    .tests = "driver_conformance: no check; no single flip unseen, by the same text in "
             "two answers; drivers_pb840_test",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
