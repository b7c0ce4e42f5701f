/* SPDX-License-Identifier: Apache-2.0
 *
 * DRI framing and session; see dri.h. A flag both ends a record and begins the next one,
 * so that a lost flag costs no more than the record it belonged to.
 */
#include "drivers/dri.h"

#include "drivers/cursor.h"

#include <string.h>

#define RESTORE         0x20 /* set in the byte behind an escape */
#define SUBRECORDS      8    /* places in the header's list */
#define SUBRECORD_END   0xFF
#define MAIN_PHYSIOLOGY 0
#define SUB_DISPLAYED   1 /* what the screen shows; 2 and 3 are trends */
#define CLASS_SHIFT     8
#define CLASS_MASK      15
#define CLASS_BASIC     0
#define TIME_SIZE       4
#define MARKER_SIZE     2
#define HEADER_UNUSED   12    /* number, level, plug, time, subnet, reserved */
#define REPEAT_MS       10000 /* without a record: ask again */
#define POLL_MS         1000
#define SILENCE_MS      20000

/* All that is ever sent: displayed values of the basic class every 5 s. The record is 49
 * bytes: an empty header with one subrecord of type 0, then kind 1, interval 5. */
static const uint8_t request[] = {0x7E, 0x31, 0, 0, 0, 0, 0, 0, 0,    0,   0, 0, 0, 0,
                                  0,    0,    0, 0, 0, 0, 0, 0, 0xFF, 0,   0, 0, 0, 0,
                                  0,    0,    0, 0, 0, 0, 0, 0, 0,    0,   0, 0, 0, 0x01,
                                  0x05, 0,    0, 0, 0, 0, 0, 0, 0x36, 0x7E};

_Static_assert(sizeof(request) <= DRIVER_SEND_MAX, "the request is too long to send");

struct state {
    bool heard;   /* a record since the last poll */
    bool started; /* last_ms is meaningful */
    uint64_t last_ms;
    struct dri_memory memory;
    bool escaped, bad; /* of the record that is coming */
    uint8_t sum, last; /* of all restored bytes; the last of them */
    size_t have;       /* restored bytes, of which the first DRI_KEPT_MAX are kept */
    size_t raw;        /* bytes as they came */
    uint8_t record[DRI_KEPT_MAX];
};

/* One subrecord: true if it was a basic one and gave a set. */
static bool subrecord(struct state *s, struct cursor in, const struct driver_sink *sink)
{
    struct observation_set set;
    const uint8_t *body;

    cursor_bytes(&in, TIME_SIZE);
    body = cursor_bytes(&in, DRI_BODY_SIZE);
    cursor_bytes(&in, MARKER_SIZE);
    unsigned class = (unsigned)cursor_le16(&in) >> CLASS_SHIFT & CLASS_MASK;
    if (in.failed)
        return false;
    s->heard = true;
    if (class != CLASS_BASIC)
        return true;
    memset(&set, 0, sizeof(set));
    dri_basic(body, &s->memory, &set);
    if (set.count > 0)
        sink->set(sink->context, &set);
    return true;
}

/* The n bytes of a record whose check is right. False if the list of subrecords points
 * outside, or it is longer than what was asked for. */
static bool take(struct state *s, size_t n, const struct driver_sink *sink)
{
    const size_t kept = n < sizeof(s->record) ? n : sizeof(s->record);
    struct cursor in = cursor_make(s->record, kept);

    cursor_le16(&in); /* the length, checked by the caller */
    cursor_bytes(&in, HEADER_UNUSED);
    if (cursor_le16(&in) != MAIN_PHYSIOLOGY)
        return true; /* waveforms and alarms that somebody else has asked for */
    for (size_t i = 0; i < SUBRECORDS; i++) {
        uint16_t offset = cursor_le16(&in);
        uint8_t type = cursor_u8(&in);
        struct cursor data = cursor_make(s->record, kept);
        if (type == SUBRECORD_END)
            break;
        cursor_bytes(&data, (size_t)DRI_HEADER_SIZE + offset);
        if (data.failed || (type == SUB_DISPLAYED && !subrecord(s, data, sink)))
            return false;
    }
    return true;
}

/* A flag: what came since the last one is a record, or nothing. */
static void end(struct state *s, const struct driver_sink *sink)
{
    struct cursor in = cursor_make(s->record, 2);
    bool whole = !s->bad && !s->escaped && s->have > DRI_HEADER_SIZE &&
                 cursor_le16(&in) == s->have - 1;

    if (s->raw == 0)
        return;
    if (!whole)
        sink->fault(sink->context, DRIVER_FAULT_LENGTH, s->raw);
    else if ((uint8_t)(s->sum - s->last) != s->last)
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, s->raw);
    else if (!take(s, s->have - 1, sink))
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->raw);
}

/* One byte between flags. Behind an escape only the two bytes that it can stand for. */
static void byte(struct state *s, uint8_t c)
{
    s->raw++;
    if (c == DRI_ESCAPE) {
        s->bad |= s->escaped;
        s->escaped = true;
        return;
    }
    if (s->escaped) {
        c |= RESTORE;
        s->bad |= c != DRI_FLAG && c != DRI_ESCAPE;
        s->escaped = false;
    }
    if (s->have < sizeof(s->record))
        s->record[s->have] = c;
    s->bad |= s->have > DRI_RECORD_MAX;
    s->have++;
    s->sum = (uint8_t)(s->sum + c);
    s->last = c;
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != DRI_FLAG) {
            byte(s, bytes[i]);
            continue;
        }
        end(s, sink);
        s->have = s->raw = 0;
        s->sum = s->last = 0;
        s->escaped = s->bad = false;
    }
}

/* All zero: nothing asked, nothing known. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* Asks again when the records stay away: the monitor was off, or somebody cancelled. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    *again_ms = now_ms + POLL_MS;
    if (s->heard) {
        s->heard = false;
        s->last_ms = now_ms;
    }
    if (s->started && now_ms - s->last_ms < REPEAT_MS)
        return 0;
    s->started = true;
    s->last_ms = now_ms;
    memcpy(out, request, sizeof(request));
    return sizeof(request);
}

static bool may_send(const uint8_t *bytes, size_t n)
{
    return n == sizeof(request) && memcmp(bytes, request, n) == 0;
}

const struct driver dri = {
    .name = "dri",
    .title = "GE Datex-Ohmeda S/5 monitor, DRI",
    .stable = true,
    .evidence =
        "maker's two interface specifications and three independent implementations",
    .tests =
        "every bit flip of the specification's record, every sentinel on every field",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 19200, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_EVEN},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
