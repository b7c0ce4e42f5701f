/* SPDX-License-Identifier: Apache-2.0
 *
 *   STX C;d007D;r000C35 check ETX      rate in tenths of ml/h, volume in thousandths of
 * ml
 *
 * The check is FF less the sum of the text, two hex digits; it finds every single bit.
 * The line has seven bits: a byte with the eighth is noise. Every good frame is
 * acknowledged, and the pump asks now and then whether somebody listens.
 */
#include "drivers/fresenius.h"

#include "drivers/checksum.h"
#include "drivers/observe.h"
#include "drivers/text.h"

#include <string.h>

#define MDC_FLOW_FLUID_PUMP       157784
#define MDC_VOL_FLUID_DELIV_TOTAL 157993
#define MDC_DIM_MILLI_L           263762
#define MDC_DIM_MILLI_L_PER_HR    265266

#define TEXT_MAX   80 /* characters of a frame */
#define CHECK_SIZE 2
#define RATE_MAX   12000   /* tenths of ml/h */
#define VOLUME_MAX 9999999 /* thousandths of ml */
#define LOOK_MS    50      /* how soon the pump is answered */
#define CYCLE_MS   2000
#define ANSWER_MS  2000 /* without one the session begins again */
#define OPEN_MS    3000 /* between attempts */
#define SILENCE_MS 15000

/* 1. have: characters since STX, while inside.
 * 2. error: the next character says why the pump did not take what was sent. */
struct state {
    bool inside, error;
    bool open, waiting; /* the session; for an answer */
    bool owe_ack, owe_alive, started;
    uint64_t sent_ms;
    size_t have, dropped;
    uint8_t text[TEXT_MAX];
};

static const uint8_t open_session[] = {0x02, 'D', 'C', '7', '8', 0x03};
static const uint8_t read_values[] = {0x02, 'L', 'E', ';', 'd', 'r', '5', 'D', 0x03};
static const uint8_t acknowledge[] = {FRESENIUS_ACK};
static const uint8_t listening[] = {FRESENIUS_DC4};

/* Hex digits, upper case as pumps write them, exactly so many. */
static uint32_t hex(struct text *t, size_t digits)
{
    uint32_t value = 0;

    for (size_t i = 0; i < digits && !t->failed; i++) {
        uint8_t c = t->left > 0 ? t->at[0] : 0;
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint32_t)(c - '0');
        else if (c >= 'A' && c <= 'F')
            value = value << 4 | (uint32_t)(c - 'A' + 10);
        else
            t->failed = true;
        t->at += !t->failed;
        t->left -= !t->failed;
    }
    return t->failed ? 0 : value;
}

/* The answer to the one question, or to the opening; others' answers say nothing. */
static void take(struct state *s, size_t n, const struct driver_sink *sink)
{
    struct text t = text_make(s->text, n);
    struct observation_set set;
    uint32_t rate, volume;

    if (text_is(&t, "C")) {
        s->open = true;
        s->waiting = false;
        return;
    }
    if (!text_skip(&t, "C;d"))
        return;
    rate = hex(&t, 4);
    text_expect(&t, ";r");
    volume = hex(&t, 6);
    if (!text_done(&t)) {
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->have + 2);
        return;
    }
    s->open = true;
    s->waiting = false;
    memset(&set, 0, sizeof(set));
    observe(&set, MDC_FLOW_FLUID_PUMP, MDC_DIM_MILLI_L_PER_HR, true, rate, -1,
            rate > RATE_MAX ? QUALITY_INVALID : 0);
    observe(&set, MDC_VOL_FLUID_DELIV_TOTAL, MDC_DIM_MILLI_L, true, volume, -3,
            volume > VOLUME_MAX ? QUALITY_INVALID : 0);
    sink->set(sink->context, &set);
}

/* ETX: a frame, if its check is right. */
static void end(struct state *s, const struct driver_sink *sink)
{
    size_t n = s->have >= CHECK_SIZE ? s->have - CHECK_SIZE : 0;
    struct text check = text_make(s->text + n, CHECK_SIZE);

    s->inside = false;
    if (s->have <= CHECK_SIZE ||
        hex(&check, CHECK_SIZE) != (uint32_t)(0xFF - checksum_sum8(s->text, n)) ||
        check.failed) {
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, s->have + 2);
        return;
    }
    s->owe_ack = true;
    take(s, n, sink);
}

/* Between frames: the pump's question, and what it thinks of what was sent. */
static void outside(struct state *s, uint8_t b)
{
    if (s->error)
        s->error = false;
    else if (b == FRESENIUS_ENQ)
        s->owe_alive = true;
    else if (b == FRESENIUS_NAK)
        s->error = true;
    else if (b != FRESENIUS_ACK)
        s->dropped++;
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        uint8_t b = bytes[i];
        if (b == FRESENIUS_STX) {
            s->dropped += s->inside ? s->have + 1 : 0;
            s->inside = true;
            s->error = false;
            s->have = 0;
        } else if (!s->inside) {
            outside(s, b);
        } else if (b == FRESENIUS_ETX) {
            end(s, sink);
        } else if (b < ' ' || b > '~' || s->have == TEXT_MAX) {
            s->dropped += s->have + 2;
            s->inside = false;
        } else {
            s->text[s->have++] = b;
        }
    }
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: no session. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

static size_t say(uint8_t *out, const uint8_t *bytes, size_t n)
{
    memcpy(out, bytes, n);
    return n;
}

/* What the pump waits for goes first; then one question at a time. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;
    uint64_t idle = now_ms - s->sent_ms;

    *again_ms = now_ms + LOOK_MS;
    if (s->owe_ack) {
        s->owe_ack = false;
        return say(out, acknowledge, sizeof(acknowledge));
    }
    if (s->owe_alive) {
        s->owe_alive = false;
        return say(out, listening, sizeof(listening));
    }
    if (s->open && s->waiting && idle >= ANSWER_MS)
        s->open = s->waiting = false;
    if (s->started && idle < (s->open ? CYCLE_MS : OPEN_MS))
        return 0;
    s->started = true;
    s->waiting = true;
    s->sent_ms = now_ms;
    if (s->open)
        return say(out, read_values, sizeof(read_values));
    return say(out, open_session, sizeof(open_session));
}

/* Two requests that only ask, and the line's own two characters. */
static bool may_send(const uint8_t *bytes, size_t n)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
    } allowed[] = {
        {open_session, sizeof(open_session)},
        {read_values, sizeof(read_values)},
        {acknowledge, sizeof(acknowledge)},
        {listening, sizeof(listening)},
    };

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        if (n == allowed[i].n && memcmp(bytes, allowed[i].bytes, n) == 0)
            return true;
    return false;
}

const struct driver fresenius = {
    .name = "fresenius",
    .title = "Fresenius syringe pump alone on its line, read only",
    .stable = false,
    .evidence = "one implementation",
    .tests = "driver_conformance: every bit flip; drivers_fresenius_test",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 19200, .data_bits = 7, .stop_bits = 1, .parity = DRIVER_PARITY_EVEN},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
