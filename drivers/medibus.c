/* SPDX-License-Identifier: Apache-2.0
 *
 * MEDIBUS framing and session; see medibus.h. The device may put a command of its own
 * into the middle of a response, and real-time bytes anywhere: the first is a second
 * message with a check of its own, the second are those with the high bit.
 */
#include "drivers/medibus.h"

#include "drivers/checksum.h"

#include <string.h>

#define CHECK_SIZE  2 /* hex digits before the CR */
#define EMPTY_SIZE  5 /* start, code, check, CR */
#define COMMAND_MAX 254
#define POLL_MS     100   /* how soon a command of the device is answered */
#define ICC_MS      3000  /* between attempts to begin a session */
#define SETTLE_MS   200   /* between the identity and the first request */
#define STUCK_MS    1000  /* an answer that has begun and does not go on is damaged */
#define ANSWER_MS   10000 /* the maker's time for every answer */
#define CYCLE_MS    5000  /* between two rounds of requests */
#define KEEP_MS     2000  /* idle: NOP, because 3 s of silence end the session */
#define SILENCE_MS  20000
#define ANSWERS_MAX 4

/* A round. The clock goes first, so that the values behind it have the device's time. */
static const uint8_t cycle[] = {MEDIBUS_CLOCK, MEDIBUS_MEASURED, MEDIBUS_SETTINGS};

/* Every command that is ever sent. All of them only ask. */
static const uint8_t commands[] = {MEDIBUS_CLOCK, MEDIBUS_MEASURED, MEDIBUS_SETTINGS,
                                   MEDIBUS_NOP,   MEDIBUS_ICC,      MEDIBUS_IDENTITY};

/* 0161 is what the maker gave to computers; some devices insist on it. */
static const uint8_t identity[] = "\x01R0161'WARDGW'01.00:04.0050\r";

/* 1. have and embedded_have count from the start character on; 0: no message.
 * 2. asked is the code of the request that waits for its answer; 0: none.
 * 3. on_line only after the device has told its identity. */
struct state {
    bool on_line, named; /* the device has answered ICC; its identity */
    uint8_t asked;
    uint8_t step; /* of the cycle */
    bool repeat;  /* its answer came damaged */
    bool started; /* now_ms of the members below is meaningful */
    uint64_t asked_ms, cycle_ms, sent_ms;
    uint8_t answers[ANSWERS_MAX], answer_count; /* codes of the device's commands */
    uint32_t seen;
    struct device_time clock;
    size_t have, embedded_have, dropped;
    size_t stood; /* what `have` was when it last changed, and when that was */
    uint64_t stood_ms;
    uint8_t message[MEDIBUS_DATA_MAX + EMPTY_SIZE];
    uint8_t embedded[COMMAND_MAX + 3];
};

/* The check that belongs behind n bytes. */
static void check_write(const uint8_t *bytes, size_t n, uint8_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t sum = checksum_sum8(bytes, n);

    out[0] = (uint8_t)digits[sum >> 4];
    out[1] = (uint8_t)digits[sum & 15];
}

/* A message without data: every request, and the answer to what we do not know. */
static size_t empty(uint8_t start, uint8_t code, uint8_t *out)
{
    out[0] = start;
    out[1] = code;
    check_write(out, 2, out + 2);
    out[4] = MEDIBUS_CR;
    return EMPTY_SIZE;
}

/* A new session: nothing is waited for, nothing known. */
static void begin(struct state *s)
{
    s->on_line = s->named = s->repeat = false;
    s->asked = s->step = 0;
    s->started = false;
    s->clock.present = false;
}

/* The device asks: noted, and answered at the next poll. The queue is longer than what a
 * device may ask before it has an answer. */
static void asked(struct state *s, uint8_t code)
{
    if (code == MEDIBUS_ICC) {
        begin(s);
        s->on_line = true; /* a device that asks is there */
    }
    if (s->answer_count < ANSWERS_MAX)
        s->answers[s->answer_count++] = code;
}

/* The answer to what was asked. Any other is late or foreign and counts for nothing. */
static void answered(struct state *s, const uint8_t *data, size_t n,
                     const struct driver_sink *sink)
{
    uint8_t code = s->message[1];
    struct observation_set set;

    if (code != s->asked) {
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->have);
        return;
    }
    s->asked = 0;
    s->repeat = false;
    if (code == MEDIBUS_ICC)
        s->on_line = true;
    if (code == MEDIBUS_IDENTITY)
        s->named = true;
    if (code == MEDIBUS_CLOCK && !medibus_time(data, n, &s->clock))
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->have);
    if (code != MEDIBUS_MEASURED && code != MEDIBUS_SETTINGS)
        return;
    if (!medibus_values(code, data, n, &s->seen, &set)) {
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->have);
        return;
    }
    if (code == MEDIBUS_MEASURED)
        set.device_time = s->clock;
    s->clock.present = false; /* a time belongs to one set */
    if (set.count > 0)
        sink->set(sink->context, &set);
}

/* True if the n bytes, whose last is CR, are a message with a right check. */
static bool whole(const uint8_t *bytes, size_t n)
{
    uint8_t check[CHECK_SIZE];

    if (n < EMPTY_SIZE)
        return false;
    check_write(bytes, n - CHECK_SIZE - 1, check);
    return memcmp(check, bytes + n - CHECK_SIZE - 1, CHECK_SIZE) == 0;
}

/* The CR of an embedded command; the response around it goes on. */
static void end_embedded(struct state *s, const struct driver_sink *sink)
{
    if (whole(s->embedded, s->embedded_have))
        asked(s, s->embedded[1]);
    else
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, s->embedded_have);
    s->embedded_have = 0;
}

/* The CR of a message. One that is damaged is most likely the answer that is waited for;
 * it is asked for again, and a good one is still taken. */
static void end_message(struct state *s, const struct driver_sink *sink)
{
    if (!whole(s->message, s->have)) {
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, s->have);
        s->repeat = true;
    } else {
        answered(s, s->message + 2, s->have - EMPTY_SIZE, sink);
    }
    s->have = 0;
}

/* Throws away what is there of a message; what comes next must begin one. */
static void discard(struct state *s, enum driver_fault fault,
                    const struct driver_sink *sink)
{
    sink->fault(sink->context, fault, s->have + s->embedded_have);
    s->have = s->embedded_have = 0;
}

/* One slow-data character. A response never contains SOH, so that one always begins
 * afresh; ESC opens a command, inside a response or alone. */
static void character(struct state *s, uint8_t c, const struct driver_sink *sink)
{
    if (c == MEDIBUS_SOH) {
        if (s->have + s->embedded_have > 0)
            discard(s, DRIVER_FAULT_SYNC, sink);
        s->message[s->have++] = c;
    } else if (c == MEDIBUS_ESC) {
        if (s->embedded_have > 0)
            discard(s, DRIVER_FAULT_SYNC, sink);
        s->embedded[s->embedded_have++] = c;
    } else if (s->embedded_have > 0) {
        s->embedded[s->embedded_have++] = c;
        if (c == MEDIBUS_CR)
            end_embedded(s, sink);
        else if (s->embedded_have == sizeof(s->embedded))
            discard(s, DRIVER_FAULT_LENGTH, sink);
    } else if (s->have > 0) {
        s->message[s->have++] = c;
        if (c == MEDIBUS_CR)
            end_message(s, sink);
        else if (s->have == sizeof(s->message))
            discard(s, DRIVER_FAULT_LENGTH, sink);
    } else {
        s->dropped++;
    }
}

/* The multiplex: real-time bytes go first, whatever they interrupt. */
static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++)
        if (bytes[i] < 0x80)
            character(s, bytes[i], sink);
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: no session. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* Answers come before requests: the device waits for them. */
static size_t answer(struct state *s, uint8_t *out)
{
    uint8_t code = s->answers[0];

    s->answer_count--;
    memmove(s->answers, s->answers + 1, s->answer_count);
    if (code != MEDIBUS_IDENTITY)
        return empty(MEDIBUS_SOH, code, out);
    memcpy(out, identity, sizeof(identity) - 1);
    return sizeof(identity) - 1;
}

/* What to ask now; 0: nothing. */
static uint8_t request(struct state *s, uint64_t now_ms)
{
    uint64_t idle = now_ms - s->sent_ms;

    if (!s->on_line)
        return s->started && idle < ICC_MS ? 0 : MEDIBUS_ICC;
    if (s->started && idle < SETTLE_MS)
        return 0;
    if (!s->named)
        return MEDIBUS_IDENTITY;
    if (s->step == 0 && now_ms - s->cycle_ms < CYCLE_MS)
        return idle < KEEP_MS ? 0 : MEDIBUS_NOP;
    if (s->step == 0)
        s->cycle_ms = now_ms;
    uint8_t code = cycle[s->step];
    s->step = (uint8_t)((s->step + 1) % sizeof(cycle));
    return code;
}

/* True if an answer has begun and does not go on: its end was damaged. What is there of
 * it goes when the next one begins. */
static bool stuck(struct state *s, uint64_t now_ms)
{
    if (s->have != s->stood) {
        s->stood = s->have;
        s->stood_ms = now_ms;
    }
    if (s->have == 0 || now_ms - s->stood_ms < STUCK_MS)
        return false;
    s->stood_ms = now_ms;
    return true;
}

/* The same request once more, within the time of its answer. */
static size_t again(struct state *s, uint64_t now_ms, uint8_t *out)
{
    s->repeat = false;
    s->sent_ms = now_ms;
    return empty(MEDIBUS_ESC, s->asked, out);
}

/* One request at a time. One that is not answered in time ends the session; the ICC
 * alone is repeated sooner. */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    *again_ms = now_ms + POLL_MS;
    s->repeat |= stuck(s, now_ms);
    if (s->answer_count > 0)
        return answer(s, out);
    if (s->asked && s->asked != MEDIBUS_ICC) {
        if (now_ms - s->asked_ms >= ANSWER_MS)
            begin(s);
        else if (!s->repeat || now_ms - s->sent_ms < SETTLE_MS)
            return 0;
        else
            return again(s, now_ms, out);
    }
    uint8_t code = request(s, now_ms);
    if (code == 0)
        return 0;
    if (code == MEDIBUS_IDENTITY) /* the first round may begin at once */
        s->cycle_ms = now_ms - CYCLE_MS;
    s->asked = code;
    s->repeat = false;
    s->asked_ms = s->sent_ms = now_ms;
    s->started = true;
    return empty(MEDIBUS_ESC, code, out);
}

/* Commands without data from the table; our identity; and answers without data, which say
 * only "I heard you, and I do not know that". */
static bool may_send(const uint8_t *bytes, size_t n)
{
    uint8_t allowed[EMPTY_SIZE];

    if (n == sizeof(identity) - 1)
        return memcmp(bytes, identity, n) == 0;
    if (n != EMPTY_SIZE)
        return false;
    if (bytes[0] == MEDIBUS_SOH && bytes[1] < 0x80) {
        empty(MEDIBUS_SOH, bytes[1], allowed);
        return memcmp(bytes, allowed, n) == 0;
    }
    for (size_t i = 0; i < sizeof(commands); i++) {
        empty(MEDIBUS_ESC, commands[i], allowed);
        if (memcmp(bytes, allowed, n) == 0)
            return true;
    }
    return false;
}

#define MEDIBUS_DRIVER(the_name, the_title, the_parity)                                  \
    {                                                                                    \
        .name = (the_name), .title = (the_title), .stable = true,                        \
        .evidence = "maker's protocol definition and two independent implementations",   \
        .tests = "every bit flip of the maker's frames, every byte of a curve in every " \
                 "place",                                                                \
        .silence_ms = SILENCE_MS,                                                        \
        .line = {.baud = 19200, .data_bits = 8, .stop_bits = 1, .parity = (the_parity)}, \
        .state_size = sizeof(struct state), .init = init, .feed = feed, .poll = poll,    \
        .may_send = may_send,                                                            \
    }

const struct driver medibus =
    MEDIBUS_DRIVER("medibus", "Draeger MEDIBUS, even parity", DRIVER_PARITY_EVEN);
const struct driver medibus_8n1 =
    MEDIBUS_DRIVER("medibus-8n1", "Draeger MEDIBUS, no parity", DRIVER_PARITY_NONE);
