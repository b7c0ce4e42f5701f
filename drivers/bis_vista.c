/* SPDX-License-Identifier: Apache-2.0
 *
 *   BA AB | number | length | kind | routing, message, number, length, content | sum
 *
 * Little-endian, all of two bytes but routing and message of four. The length counts from
 * routing to the end of the content; the sum is that of all bytes behind BA AB, which
 * finds every single bit. What looks like a frame and is none is dropped byte by byte, so
 * that a frame inside it is found.
 */
#include "drivers/bis_vista.h"

#include "drivers/cursor.h"
#include "drivers/nomenclature.h"
#include "drivers/observe.h"

#include <string.h>

#define MDC_DIM_DIMLESS 262656
#define MDC_DIM_HZ      264640

#define HEAD_SIZE     8  /* up to the kind */
#define INNER_SIZE    12 /* routing, message, number, length */
#define SUM_SIZE      2
#define CONTENT_MAX   400
#define FRAME_MAX     (HEAD_SIZE + INNER_SIZE + CONTENT_MAX + SUM_SIZE)
#define KIND_DATA     1
#define KIND_MAX      3 /* acknowledgements, good and bad */
#define ROUTING       4
#define PROCESSED     0x34
#define PLAIN_SIZE    120 /* content of the message of processed values */
#define EXTRA_SIZE    156
#define BLOCKS_AT     48   /* behind converter, impedances, filters, smoothing, masks */
#define INDEX_MAX     1000 /* tenths */
#define EDGE_MAX      6400 /* hundredths of a hertz */
#define QUALITY_DOUBT 500  /* tenths: less signal than this is doubt */
#define ASK_MS        5000
#define LOST_MS       6000
#define SILENCE_MS    10000

struct state {
    bool heard, asked;
    uint64_t asked_ms, heard_ms;
    size_t have, dropped;
    uint8_t frame[FRAME_MAX];
};

/* "Send processed values, without spectra". */
static const uint8_t start[] = {0xBA, 0xAB, 0x00, 0x00, 0x0D, 0x00, 0x01, 0x00,
                                0x04, 0x00, 0x00, 0x00, 0x73, 0x00, 0x00, 0x00,
                                0x00, 0x00, 0x01, 0x00, 0x00, 0x86, 0x00};

static unsigned le16(const uint8_t *b)
{
    return (unsigned)b[0] | (unsigned)b[1] << 8;
}

/* Two's complement without leaving the range of the type. */
static int signed16(uint16_t value)
{
    return value < 0x8000 ? (int)value : (int)value - 0x10000;
}

static uint32_t le32(struct cursor *c)
{
    uint32_t low = cursor_le16(c);

    return low | (uint32_t)cursor_le16(c) << 16;
}

/* A value of the block, with what it may be. */
static void put(struct observation_set *set, uint32_t code, uint32_t unit, int value,
                int most, int exponent, unsigned quality)
{
    bool has = value > BIS_VISTA_NONE;

    if (has && (value < 0 || value > most))
        quality |= QUALITY_INVALID;
    observe(set, code, unit, has, value, exponent, quality);
}

/* The first block of the content. */
static void give(const uint8_t *content, const struct driver_sink *sink)
{
    struct cursor c = cursor_make(content + BLOCKS_AT, 24);
    struct observation_set set;
    int ratio, edge, index, signal;
    unsigned quality;

    memset(&set, 0, sizeof(set));
    ratio = signed16(cursor_le16(&c));
    edge = signed16(cursor_le16(&c));
    cursor_le16(&c); /* bits */
    index = signed16(cursor_le16(&c));
    cursor_bytes(&c, 8); /* alternatives, powers */
    uint32_t raw = le32(&c);
    signal = raw <= INDEX_MAX ? (int)raw : BIS_VISTA_NONE;
    quality = signal < QUALITY_DOUBT ? QUALITY_QUESTIONABLE : 0;
    put(&set, MDC_EEG_BISPECTRAL_INDEX, MDC_DIM_DIMLESS, index, INDEX_MAX, -1, quality);
    put(&set, MDC_EEG_RATIO_SUPPRN, MDC_DIM_PERCENT, ratio, INDEX_MAX, -1, quality);
    put(&set, MDC_EEG_SPECTRAL_EDGE, MDC_DIM_HZ, edge, EDGE_MAX, -2, quality);
    put(&set, MDC_EEG_BIS_SIG_QUAL_INDEX, MDC_DIM_PERCENT, signal, INDEX_MAX, -1, 0);
    sink->set(sink->context, &set);
}

/* A frame whose sum is right. */
static void take(struct state *s, const struct driver_sink *sink)
{
    const uint8_t *inner = s->frame + HEAD_SIZE;
    size_t content = le16(s->frame + 4) - (size_t)INNER_SIZE;

    if (le16(s->frame + 6) != KIND_DATA || le16(inner + 4) != PROCESSED ||
        le16(inner + 6) != 0)
        return;
    if (le16(inner + 10) != content || (content != PLAIN_SIZE && content != EXTRA_SIZE)) {
        sink->fault(sink->context, DRIVER_FAULT_LENGTH, s->have);
        return;
    }
    s->heard = true;
    give(inner + INNER_SIZE, sink);
}

/* Whether the bytes that are there may begin a frame. */
static bool shape(const uint8_t *f, size_t have)
{
    if (f[0] != 0xBA || (have > 1 && f[1] != 0xAB))
        return false;
    if (have >= 6 && le16(f + 4) > INNER_SIZE + CONTENT_MAX)
        return false;
    if (have < HEAD_SIZE)
        return true;
    unsigned kind = le16(f + 6);
    return kind >= KIND_DATA && kind <= KIND_MAX &&
           (kind != KIND_DATA || le16(f + 4) >= INNER_SIZE) &&
           (kind != KIND_DATA || have < HEAD_SIZE + 4 || le16(f + HEAD_SIZE) == ROUTING);
}

/* The size of the frame that begins here; 0: not known yet. */
static size_t frame_size(const struct state *s)
{
    return s->have < HEAD_SIZE ? 0 : HEAD_SIZE + le16(s->frame + 4) + SUM_SIZE;
}

static void drop(struct state *s, size_t n)
{
    s->have -= n;
    memmove(s->frame, s->frame + n, s->have);
}

/* Frames and what is none, as far as the bytes go. */
static void look(struct state *s, const struct driver_sink *sink)
{
    for (size_t size; s->have > 0;) {
        if (!shape(s->frame, s->have)) {
            s->dropped++;
            drop(s, 1);
            continue;
        }
        size = frame_size(s);
        if (size == 0 || s->have < size)
            return;
        unsigned sum = 0;
        for (size_t i = 2; i < size - SUM_SIZE; i++)
            sum += s->frame[i];
        if ((sum & 0xFFFF) != le16(s->frame + size - SUM_SIZE)) {
            s->dropped++;
            drop(s, 1);
            continue;
        }
        take(s, sink);
        drop(s, size);
    }
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        s->frame[s->have++] = bytes[i];
        look(s, sink);
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

/* Asked for until they come, and again when they stop. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    *again_ms = now_ms + 1000;
    if (s->heard)
        s->heard_ms = now_ms;
    s->heard = false;
    if (s->asked && (now_ms - s->asked_ms < ASK_MS ||
                     (s->heard_ms > 0 && now_ms - s->heard_ms < LOST_MS)))
        return 0;
    s->asked = true;
    s->asked_ms = now_ms;
    memcpy(out, start, sizeof(start));
    return sizeof(start);
}

/* The request for processed values and nothing else. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    return n == sizeof(start) && memcmp(bytes, start, n) == 0;
}

const struct driver bis_vista = {
    .name = "bis-vista",
    .title = "Covidien BIS VISTA, binary protocol",
    .stable = false,
    .evidence = "one implementation",
    .tests = "driver_conformance: every bit flip; drivers_bis_vista_test",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 57600, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
