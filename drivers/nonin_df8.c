/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonin data format 8: four bytes a second and no checksum. What stands in for one:
 *  1. exact shape: high bit in the first byte only, every reserved bit 0;
 *  2. range: what the protocol cannot mean is no frame;
 *  3. agreement: a number is given only when the frame before it, with no byte lost
 * between them, said much the same. The device averages over several beats, so that true
 * values do not jump from one second to the next; a number that does is withheld for this
 * one second (absent, questionable) and given when the next frame agrees with it. Damage
 * within the step of rule 3 is not found by anyone: prefer formats 2, 7 or 13 where the
 * device has them.
 */
#include "drivers/nonin.h"

#include <string.h>

#define FRAME_SIZE 4
#define STEP_HR    8 /* beats per minute from one second to the next */
#define STEP_SPO2  3 /* percent */
#define SILENCE_MS 5000
#define FORMAT     8

#define FIRST_ALWAYS 0x80
#define FIRST_ZERO   0x40
#define FIRST_TRACK  0x20
#define FIRST_LOW    0x10
#define FIRST_ARTF   0x04
#define FIRST_HR     0x03
#define LAST_ZERO    0x56 /* reserved bits 6, 4, 2, 1 */
#define LAST_ALARM   0x08

struct state {
    struct nonin_select select;
    bool has_before;   /* the frame before this one, nothing lost between */
    unsigned hr, spo2; /* its values */
    size_t dropped, have;
    uint8_t frame[FRAME_SIZE];
};

/* Two bits in the first byte, seven in the second. */
static unsigned frame_hr(const uint8_t *b)
{
    return (unsigned)(b[0] & FIRST_HR) << 7 | b[1];
}

/* Rules 1 and 2, over the bytes that are there. */
static bool shape(const uint8_t *b, size_t have)
{
    if (have > 0 && (!(b[0] & FIRST_ALWAYS) || b[0] & FIRST_ZERO))
        return false;
    for (size_t i = 1; i < have; i++)
        if (b[i] > 0x7F)
            return false;
    if (have >= 2 && frame_hr(b) != NONIN_HR_MISSING &&
        (frame_hr(b) < NONIN_HR_MIN || frame_hr(b) > NONIN_HR_MAX))
        return false;
    if (have >= 3 && b[2] != NONIN_SPO2_MISSING && (b[2] == 0 || b[2] > 100))
        return false;
    return have < 4 || !(b[3] & LAST_ZERO);
}

/* Rule 3 for one value; "missing" needs no agreement, for absent is never wrong. */
static bool agrees(unsigned now, unsigned before, unsigned missing, unsigned step)
{
    if (now == missing)
        return true;
    return before != missing && (now > before ? now - before : before - now) <= step;
}

/* A frame whose shape is right. */
static void give(struct state *s, unsigned hr, unsigned spo2,
                 const struct driver_sink *sink)
{
    const uint8_t *b = s->frame;
    const bool known[2] = {agrees(hr, s->hr, NONIN_HR_MISSING, STEP_HR),
                           agrees(spo2, s->spo2, NONIN_SPO2_MISSING, STEP_SPO2)};
    struct observation_set set;
    unsigned quality = 0;

    if (b[3] & LAST_ALARM)
        quality |= QUALITY_SENSOR_OFF;
    if (b[0] & (FIRST_TRACK | FIRST_LOW | FIRST_ARTF))
        quality |= QUALITY_QUESTIONABLE;
    nonin_set_make(&set, hr, spo2, quality); /* rule 2: the values are legal */
    for (size_t i = 0; i < 2; i++)
        if (!known[i] && set.items[i].kind == OBSERVATION_NUMERIC) {
            set.items[i].kind = OBSERVATION_ABSENT;
            set.items[i].mantissa = 0;
            set.items[i].quality |= QUALITY_QUESTIONABLE;
        }
    sink->set(sink->context, &set);
}

/* A first frame alone may be noise: it says nothing yet, not even that it is absent. */
static void take(struct state *s, const struct driver_sink *sink)
{
    unsigned hr = frame_hr(s->frame), spo2 = s->frame[2];

    if (s->has_before) {
        s->select.seen = true;
        give(s, hr, spo2, sink);
    }
    s->has_before = true;
    s->hr = hr;
    s->spo2 = spo2;
}

/* Drops the first byte. The frame before no longer vouches for the one behind, since
 * between them something was lost; the answer to our own selection is no loss. */
static void drop(struct state *s)
{
    bool answer = nonin_select_answer(&s->select, s->frame, s->have);

    s->dropped += !answer;
    s->has_before = s->has_before && answer;
    s->have--;
    memmove(s->frame, s->frame + 1, s->have);
}

/* A frame is looked at while it grows, so that a start inside a wrong one is found. */
static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        s->frame[s->have++] = bytes[i];
        while (s->have > 0 && !shape(s->frame, s->have))
            drop(s);
        if (s->have == FRAME_SIZE) {
            take(s, sink);
            s->have = 0;
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

/* The selection of the format, until it is seen. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    return nonin_select_poll(&s->select, FORMAT, now_ms, out, again_ms);
}

/* The selection of this format and nothing else. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    return nonin_select_allowed(FORMAT, bytes, n);
}

const struct driver nonin_df8 = {
    .name = "nonin-df8",
    .title = "Nonin oximeter, data format 8",
    .stable = true,
    .evidence = "maker's specification and two independent implementations",
    .tests = "no check in the format: shape, range and two agreeing frames",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_NONE},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
