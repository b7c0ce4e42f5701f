/* SPDX-License-Identifier: Apache-2.0
 *
 * Nonin data format 13: one frame a spot-check measurement, with the device's date and
 * time; measurements from the device's memory come oldest first when it is connected.
 *
 *   00 02 00 0D lenH lenL | data, 14 bytes or more | sum of the data, low byte | 03
 *
 * As for the packets, what does not fit loses one byte and is looked at again, so that a
 * damaged length cannot swallow the frames behind it.
 */
#include "drivers/checksum.h"
#include "drivers/cursor.h"
#include "drivers/nonin.h"

#include <string.h>

#define FORMAT       13
#define HEADER_SIZE  6
#define TRAILER_SIZE 2
#define DATA_MIN     14
#define DATA_MAX     64 /* the maker lets the data grow; this is as far as we follow */
#define FRAME_MAX    (HEADER_SIZE + DATA_MAX + TRAILER_SIZE)
#define ETX          0x03
#define SILENCE_MS   86400000 /* a day: it only speaks when somebody has measured */

#define STATH_SMARTPOINT 0x02
#define STATH_NONE       0x01
#define STATL_MEMORY     0x10

enum fit { FIT_WHOLE, FIT_SHORT, FIT_SYNC, FIT_LENGTH, FIT_CHECKSUM };

struct state {
    struct nonin_select select;
    enum driver_fault fault;
    size_t dropped, have;
    uint8_t frame[FRAME_MAX];
};

/* The length field, high byte first. Not yet believed. */
static size_t data_size(const struct state *s)
{
    return (size_t)s->frame[4] << 8 | s->frame[5];
}

/* Do the bytes so far look like the beginning of a frame? Everything is checked as soon
 * as it is there: a wrong length is refused at once and not waited for. */
static enum fit fit(const struct state *s)
{
    static const uint8_t start[4] = {0x00, 0x02, 0x00, 0x0D};

    for (size_t i = 0; i < sizeof(start) && i < s->have; i++)
        if (s->frame[i] != start[i])
            return FIT_SYNC;
    if (s->have < HEADER_SIZE)
        return FIT_SHORT;
    size_t size = data_size(s), end = HEADER_SIZE + size;
    if (size < DATA_MIN || size > DATA_MAX)
        return FIT_LENGTH;
    if (s->have < end + TRAILER_SIZE)
        return FIT_SHORT;
    if (s->frame[end + 1] != ETX)
        return FIT_SYNC;
    if (checksum_sum8(s->frame + HEADER_SIZE, size) != s->frame[end])
        return FIT_CHECKSUM;
    return FIT_WHOLE;
}

/* Two packed decimal digits; 0xFF if they are none. */
static uint8_t bcd(uint8_t b)
{
    if (b >> 4 > 9 || (b & 0xF) > 9)
        return 0xFF;
    return (uint8_t)((b >> 4) * 10 + (b & 0xF));
}

/* The device's date. One that is impossible is not present: the reading is kept, and
 * whoever needs its time sees that there is none. */
static bool read_time(struct cursor *c, struct device_time *time)
{
    static const uint8_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint8_t field[7];

    for (size_t i = 0; i < sizeof(field); i++)
        field[i] = bcd(cursor_u8(c));
    cursor_u8(c); /* always 0 */
    if (field[0] == 0xFF || field[1] == 0xFF || field[2] < 1 || field[2] > 12 ||
        field[3] < 1 || field[3] > days[field[2] - 1] || field[4] > 23 || field[5] > 59 ||
        field[6] > 60)
        return false;
    *time = (struct device_time){.year = (uint16_t)(field[0] * 100 + field[1]),
                                 .month = field[2],
                                 .day = field[3],
                                 .hour = field[4],
                                 .minute = field[5],
                                 .second = field[6],
                                 .present = true};
    return true;
}

/* A whole frame whose check holds: from here on nothing can be torn, only unlikely. */
static void take(const struct state *s, const struct driver_sink *sink)
{
    struct cursor c = cursor_make(s->frame + HEADER_SIZE, data_size(s));
    struct observation_set set;
    struct device_time time = {0};
    bool good = read_time(&c, &time);
    uint8_t stath = cursor_u8(&c), statl = cursor_u8(&c);
    unsigned hr = cursor_be16(&c);
    cursor_u8(&c); /* reserved */
    unsigned spo2 = cursor_u8(&c), quality = 0;

    if (stath & STATH_NONE) { /* nothing was measured, whatever the value bytes say */
        hr = NONIN_HR_MISSING;
        spo2 = NONIN_SPO2_MISSING;
    } else if (!(stath & STATH_SMARTPOINT)) {
        quality = QUALITY_QUESTIONABLE; /* taken before the device was content with it */
    }
    good &= nonin_set_make(&set, hr, spo2, quality);
    set.device_time = time;
    set.stored = statl & STATL_MEMORY;
    if (!good)
        sink->fault(sink->context, DRIVER_FAULT_VALUE, 0);
    sink->set(sink->context, &set);
}

/* Drops the first byte, so that the search for a start goes on at the second. */
static void drop(struct state *s, enum fit why)
{
    bool answer = nonin_select_answer(&s->select, s->frame, s->have);

    if (!answer && s->dropped == 0)
        s->fault = why == FIT_CHECKSUM ? DRIVER_FAULT_CHECKSUM
                   : why == FIT_LENGTH ? DRIVER_FAULT_LENGTH
                                       : DRIVER_FAULT_SYNC;
    s->dropped += !answer;
    s->have--;
    memmove(s->frame, s->frame + 1, s->have);
}

/* Tells what was dropped, once for each run of dropped bytes. */
static void report(struct state *s, const struct driver_sink *sink)
{
    if (s->dropped > 0)
        sink->fault(sink->context, s->fault, s->dropped);
    s->dropped = 0;
}

/* After a wrong length the buffer may hold a whole frame and more: the frame's bytes
 * leave it and the rest is looked at as if it had just arrived. */
static void look(struct state *s, const struct driver_sink *sink)
{
    enum fit f;

    while (s->have > 0 && (f = fit(s)) != FIT_SHORT) {
        if (f != FIT_WHOLE) {
            drop(s, f);
            continue;
        }
        report(s, sink);
        s->select.seen = true;
        take(s, sink);
        size_t used = HEADER_SIZE + data_size(s) + TRAILER_SIZE;
        s->have -= used;
        memmove(s->frame, s->frame + used, s->have);
    }
}

/* Byte by byte: a frame is 22 bytes, and comes once in a measurement. */
static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        s->frame[s->have++] = bytes[i];
        look(s, sink);
    }
    report(s, sink);
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

const struct driver nonin_df13 = {
    .name = "nonin-df13",
    .title = "Nonin oximeter, data format 13 (spot checks)",
    .stable = true,
    .evidence = "maker's specification and two independent implementations",
    .tests = "every bit flip of the maker's frame",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 9600, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_NONE},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
