/* SPDX-License-Identifier: Apache-2.0
 *
 * Series 50 framing and the two requests; see series50.h.
 *
 *   10 02 | type and content, each 10 doubled | 10 03 | check, two bytes as they are
 *
 * The check runs over everything before it, doubled bytes included. 10 02 inside a frame
 * begins another; the monitor interrupts itself like that. A bad block is never repeated.
 *
 * A monitor says nothing until it is asked. A block is asked for every two seconds until
 * one comes, then that they come by themselves, one a second. A request for a block ends
 * that again, so that none is sent while they come. Notes, which print on the paper, and
 * the choice of the protocol's revision are never sent.
 */
#include "drivers/series50.h"

#include "drivers/checksum.h"

#include <string.h>

#define CONTENT_MAX 512 /* bytes: the type and 511 */
#define ASK_MS      2000
#define LOST_MS     3500 /* without a block: they do not come by themselves any more */
#define LOOK_MS     500
#define SILENCE_MS  10000

enum place { OUTSIDE, INSIDE, CHECK_HIGH, CHECK_LOW };

/* 1. frame counts the bytes since 10 02, also those that are not kept.
 * 2. coming: they were asked to come by themselves. heard: one came since the last poll.
 * 3. ask_ms, heard_ms only once started. */
struct state {
    uint8_t place; /* enum place */
    bool dle;      /* the byte before was a 10 that is not yet understood */
    bool twin;
    bool started, coming, heard, restarted;
    uint16_t check;
    uint64_t ask_ms, heard_ms;
    size_t have, frame, dropped;
    uint8_t content[CONTENT_MAX];
};

static const uint8_t ask_block[] = {0x10, 0x02, '?', 'C', 0x10, 0x03, 0xD1, 0xED};
static const uint8_t ask_all[] = {0x10, 0x02, 'G', 0x10, 0x03, 0x42, 0x1F};

/* 10 02 was read. */
static void begin(struct state *s)
{
    static const uint8_t start[] = {SERIES50_DLE, SERIES50_STX};

    s->place = INSIDE;
    s->dle = false;
    s->have = 0;
    s->frame = sizeof(start);
    s->check = checksum_ccitt_more(CHECKSUM_XMODEM_START, start, sizeof(start));
}

/* What there is of the frame is nothing. */
static void discard(struct state *s, enum driver_fault fault, size_t bytes,
                    const struct driver_sink *sink)
{
    s->place = OUTSIDE;
    s->dle = false;
    sink->fault(sink->context, fault, bytes);
}

/* A frame with a right check. The content is wiped: a note may hold what was read from a
 * wristband. */
static void take(struct state *s, const struct driver_sink *sink)
{
    uint8_t type = s->have > 0 ? s->content[0] : 0;

    if (!series50_block(s->content, s->have, &s->twin, sink))
        sink->fault(sink->context, DRIVER_FAULT_LENGTH, s->frame);
    s->heard |= type == 'C';
    s->restarted |= type == 'I' || type == 'F'; /* it waits to be asked again */
    memset(s->content, 0, sizeof(s->content));
    s->place = OUTSIDE;
    s->dle = false;
}

/* Between frames: only 10 02 counts. */
static void outside(struct state *s, uint8_t b)
{
    if (s->dle && b == SERIES50_STX) {
        begin(s);
        return;
    }
    s->dropped += s->dle;
    s->dle = b == SERIES50_DLE;
    s->dropped += !s->dle;
}

/* A byte of the content or one that ends it. */
static void inside(struct state *s, uint8_t b, const struct driver_sink *sink)
{
    s->frame++;
    s->check = checksum_ccitt_more(s->check, &b, 1);
    if (!s->dle && b == SERIES50_DLE) {
        s->dle = true;
        return;
    }
    if (s->dle && b == SERIES50_ETX) {
        s->place = CHECK_HIGH;
        return;
    }
    if (s->dle && b == SERIES50_STX) {
        discard(s, DRIVER_FAULT_SYNC, s->frame - 2, sink);
        begin(s);
        return;
    }
    if (s->dle && b != SERIES50_DLE) {
        discard(s, DRIVER_FAULT_SYNC, s->frame, sink);
        return;
    }
    s->dle = false;
    if (s->have == CONTENT_MAX)
        discard(s, DRIVER_FAULT_LENGTH, s->frame, sink);
    else
        s->content[s->have++] = b;
}

/* The check over a frame and its own check is 0. */
static void check(struct state *s, uint8_t b, const struct driver_sink *sink)
{
    s->frame++;
    s->check = checksum_ccitt_more(s->check, &b, 1);
    if (s->place == CHECK_HIGH)
        s->place = CHECK_LOW;
    else if (s->check == 0)
        take(s, sink);
    else
        discard(s, DRIVER_FAULT_CHECKSUM, s->frame, sink);
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++)
        if (s->place == OUTSIDE)
            outside(s, bytes[i]);
        else if (s->place == INSIDE)
            inside(s, bytes[i], sink);
        else
            check(s, bytes[i], sink);
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: outside, nothing asked. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* A request, and when to look again. */
static size_t ask(struct state *s, const uint8_t *request, size_t n, uint64_t now_ms,
                  uint8_t *out)
{
    memcpy(out, request, n);
    s->ask_ms = now_ms;
    return n;
}

/* Asks for a block until one comes, then for all of them; again when they stop. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;
    bool heard = s->heard;

    *again_ms = now_ms + LOOK_MS;
    if (heard)
        s->heard_ms = now_ms;
    s->heard = false;
    if (s->coming && (s->restarted || now_ms - s->heard_ms > LOST_MS))
        s->coming = false;
    s->restarted = false;
    if (s->coming)
        return 0;
    if (heard) {
        s->coming = true;
        return ask(s, ask_all, sizeof(ask_all), now_ms, out);
    }
    if (s->started && now_ms - s->ask_ms < ASK_MS)
        return 0;
    s->started = true;
    return ask(s, ask_block, sizeof(ask_block), now_ms, out);
}

/* The two requests and nothing else. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    return (n == sizeof(ask_block) && memcmp(bytes, ask_block, n) == 0) ||
           (n == sizeof(ask_all) && memcmp(bytes, ask_all, n) == 0);
}

#define TESTS "driver_conformance: every bit flip of 25 frames; drivers_series50_test"
#define COMMON                                                                           \
    .tests = TESTS, .silence_ms = SILENCE_MS,                                            \
    .line = {.baud = 1200, .data_bits = 8, .stop_bits = 1},                              \
    .state_size = sizeof(struct state), .init = init, .feed = feed, .poll = poll,        \
    .may_send = may_send

const struct driver series50 = {
    .name = "series50",
    .title = "Philips/HP Series 50 fetal monitors",
    .stable = true,
    .evidence = "maker's programmer's guide and an independent reader of real traffic",
    COMMON,
};

const struct driver ge_250cx = {
    .name = "ge-250cx",
    .title = "GE Corometrics 250cx fetal monitor, Series 50 interface",
    .stable = false,
    .evidence = "one reader of real traffic; its line speed differs between sources",
    COMMON,
};
