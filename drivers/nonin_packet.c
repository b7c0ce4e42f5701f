/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonin data formats 2 and 7: packets of 25 five-byte frames, three a second, in which a
 * byte's meaning hangs on its frame's number. So a packet is believed only whole: 25
 * frames that follow each other without a foreign byte, each with its checksum, the SYNC
 * bit in the first and in no other. One lost frame would turn a pulse's low byte into
 * another value's.
 *
 * The packet is kept until it is whole. When a frame does not fit, one byte is dropped
 * and the rest is looked at again, so that garbage never costs the good packet behind it.
 *
 * One set a second: the device's displayed averages ("-D") do not change faster. The
 * set's marks are those of all frames since the set before it.
 */
#include "drivers/checksum.h"
#include "drivers/nonin.h"

#include <string.h>

#define FRAME_SIZE  5
#define FRAMES      25
#define PACKET_SIZE ((size_t)FRAME_SIZE * FRAMES)
#define SET_BYTES                                                                        \
    (PACKET_SIZE * 5 / 2) /* a set each third packet, also if bytes got lost */
#define DF2_START   0x01
#define DF2_STATUS  1 /* index of the status byte in a frame of either format */
#define DF7_STATUS  0
#define FLOAT_INDEX 3
#define SILENCE_MS  3000
#define TORN_HR     64 /* half of the least error that a torn pulse has */

#define STATUS_SYNC   0x01
#define STATUS_RED    0x04 /* low perfusion; together with GREEN: marginal */
#define STATUS_GREEN  0x02
#define STATUS_ALARM  0x08
#define STATUS_TRACK  0x10
#define STATUS_ARTF   0x20
#define STATUS_ALWAYS 0x80

/* Numbers from 1, as in the maker's table. */
enum { FRAME_SPO2_D = 9, FRAME_HR_D = 20, FRAME_EHR_D = 22 };

enum fit { FIT_WHOLE, FIT_SHORT, FIT_SYNC, FIT_CHECKSUM };

struct state {
    struct nonin_select select;
    uint8_t format;
    uint32_t since_set;      /* bytes since the last set */
    uint8_t marks;           /* status bits of all frames since the last set */
    bool low_perfusion;      /* in any of those frames */
    enum driver_fault fault; /* why bytes are being dropped */
    size_t dropped;          /* bytes dropped and not yet reported */
    size_t have;
    uint8_t packet[PACKET_SIZE + FRAME_SIZE]; /* and the frame behind it */
};

/* The status byte of a frame, counted from 0; the formats have it in two places. */
static uint8_t frame_status(const struct state *s, size_t frame)
{
    return s->packet[frame * FRAME_SIZE + (s->format == 2 ? DF2_STATUS : DF7_STATUS)];
}

/* The value byte of a frame, by the maker's number from 1. */
static unsigned frame_value(const struct state *s, size_t number)
{
    return s->packet[(number - 1) * FRAME_SIZE + FLOAT_INDEX];
}

/* Do the bytes so far look like the beginning of a packet? */
static enum fit fit(const struct state *s)
{
    if (s->have > 0 && (s->format == 2 ? s->packet[0] != DF2_START : s->packet[0] < 0x80))
        return FIT_SYNC; /* the usual way out of garbage */
    for (size_t frame = 0; (frame + 1) * FRAME_SIZE <= s->have; frame++) {
        const uint8_t *b = s->packet + frame * FRAME_SIZE;
        uint8_t status = frame_status(s, frame);
        if ((s->format == 2 && b[0] != DF2_START) || !(status & STATUS_ALWAYS) ||
            b[FLOAT_INDEX] > 0x7F)
            return FIT_SYNC;
        if (checksum_sum8(b, FRAME_SIZE - 1) != b[FRAME_SIZE - 1])
            return FIT_CHECKSUM;
        if ((status & STATUS_SYNC) != (frame % FRAMES == 0))
            return FIT_SYNC;
    }
    return s->have == sizeof(s->packet) ? FIT_WHOLE : FIT_SHORT;
}

/* Tells what was dropped, once for each run of dropped bytes. */
static void report(struct state *s, const struct driver_sink *sink)
{
    if (s->dropped > 0)
        sink->fault(sink->context, s->fault, s->dropped);
    s->dropped = 0;
}

/* Drops the first byte. The answer to our own selection is no fault. */
static void drop(struct state *s, enum fit why)
{
    bool answer = nonin_select_answer(&s->select, s->packet, s->have);

    if (!answer && s->dropped == 0)
        s->fault = why == FIT_CHECKSUM ? DRIVER_FAULT_CHECKSUM : DRIVER_FAULT_SYNC;
    s->dropped += !answer;
    s->have--;
    memmove(s->packet, s->packet + 1, s->have);
}

/* The pulse whose high part is in frame `number` and its low part in the next. */
static unsigned frame_pulse(const struct state *s, size_t number)
{
    return (frame_value(s, number) & 3) << 7 | frame_value(s, number + 1);
}

/* When exactly a packet's length is lost between the two frames of the pulse, both
 * halves are good and the whole is not: it is then off by a multiple of 128. The slower
 * average in the two frames behind, which cannot be torn as well, tells. */
static bool is_torn(unsigned hr, unsigned slow)
{
    return hr != NONIN_HR_MISSING && slow != NONIN_HR_MISSING &&
           (hr > slow ? hr - slow : slow - hr) >= TORN_HR;
}

/* A set from the packet that has just become whole. */
static void emit(struct state *s, const struct driver_sink *sink)
{
    struct observation_set set;
    unsigned quality = 0;
    unsigned hr = frame_pulse(s, FRAME_HR_D);

    /* The -D values stay for ten seconds after the finger left, with the alarm set: so an
     * alarm anywhere since the last set makes them absent. */
    if (s->marks & STATUS_ALARM)
        quality |= QUALITY_SENSOR_OFF;
    if (s->marks & (STATUS_ARTF | STATUS_TRACK))
        quality |= QUALITY_QUESTIONABLE;
    if (s->low_perfusion)
        quality |= QUALITY_QUESTIONABLE;
    if (is_torn(hr, frame_pulse(s, FRAME_EHR_D)))
        hr = 0; /* which is no pulse: absent, invalid */
    if (!nonin_set_make(&set, hr, frame_value(s, FRAME_SPO2_D), quality))
        sink->fault(sink->context, DRIVER_FAULT_VALUE, 0);
    sink->set(sink->context, &set);
    s->since_set = 0;
    s->marks = 0;
    s->low_perfusion = false;
}

/* A whole packet: collects its marks, and makes a set of it if one is due. */
static void take(struct state *s, const struct driver_sink *sink)
{
    s->select.seen = true;
    for (size_t frame = 0; frame < FRAMES; frame++) {
        uint8_t status = frame_status(s, frame);
        s->marks |= status;
        s->low_perfusion |= (status & (STATUS_RED | STATUS_GREEN)) == STATUS_RED;
    }
    if (s->since_set >= SET_BYTES)
        emit(s, sink);
}

/* Byte by byte, and after each one all frames so far are looked at again: 26 sums of four
 * bytes, 375 times a second, cost less than a second state machine would. */
static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        enum fit f;
        s->packet[s->have++] = bytes[i];
        if (s->since_set < SET_BYTES)
            s->since_set++;
        while ((f = fit(s)) != FIT_SHORT) {
            if (f != FIT_WHOLE) {
                drop(s, f);
                continue;
            }
            report(s, sink);
            take(s, sink);
            s->have = FRAME_SIZE; /* the frame behind is the next packet's first */
            memmove(s->packet, s->packet + PACKET_SIZE, FRAME_SIZE);
        }
    }
    report(s, sink);
}

/* All zero but the time since a set. */
static void init(struct state *s, uint8_t format)
{
    memset(s, 0, sizeof(*s));
    s->format = format;
    s->since_set = SET_BYTES; /* the first whole packet is worth a set at once */
}

/* struct driver has no argument for the format: one function each. */
static void init_df2(void *state)
{
    init(state, 2);
}

/* See init_df2. */
static void init_df7(void *state)
{
    init(state, 7);
}

/* The selection of the format, until it is seen. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    return nonin_select_poll(&s->select, s->format, now_ms, out, again_ms);
}

/* The selection of format 2 and nothing else. */
static bool may_send_df2(const uint8_t *bytes, size_t n)
{
    return nonin_select_allowed(2, bytes, n);
}

/* The selection of format 7 and nothing else. */
static bool may_send_df7(const uint8_t *bytes, size_t n)
{
    return nonin_select_allowed(7, bytes, n);
}

const struct driver nonin_df2 = {
    .name = "nonin-df2",
    .title = "Nonin oximeter, data format 2",
    .stable = true,
    .evidence = "maker's specification and two independent implementations",
    .tests = "every bit flip of the maker's packet",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_NONE},
    .state_size = sizeof(struct state),
    .init = init_df2,
    .feed = feed,
    .poll = poll,
    .may_send = may_send_df2,
};

const struct driver nonin_df7 = {
    .name = "nonin-df7",
    .title = "Nonin oximeter, data format 7",
    .stable = true,
    .evidence = "maker's specification and two independent implementations",
    .tests = "every bit flip of the maker's packet",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_NONE},
    .state_size = sizeof(struct state),
    .init = init_df7,
    .feed = feed,
    .poll = poll,
    .may_send = may_send_df7,
};
