/* SPDX-License-Identifier: Apache-2.0
 *
 *   85 | length | code | content | check      everything behind 85 escaped
 *
 * 85 is sent as 80 05 and 80 as 80 00, so that 85 always begins a message. The length
 * counts code and content; the check is the exclusive or of length, code and content,
 * which finds every single bit.
 *
 * Devices were seen to send a message of numbers that is shifted by a byte. Such a one is
 * refused: its time leaps, its unit is none, or its saturation is the breath rate of the
 * message before.
 */
#include "drivers/capnostream.h"

#include "drivers/cursor.h"
#include "drivers/nomenclature.h"
#include "drivers/observe.h"

#include <string.h>

#define MDC_CO2_RESP_RATE    151594
#define MDC_CONC_AWAY_CO2_ET 151708
#define MDC_CONC_AWAY_CO2_IN 151716
#define MDC_DIM_RESP_PER_MIN 264928
#define MDC_DIM_MMHG         266016

#define BODY_MAX     257 /* length, code and content of the longest message, check */
#define CODE_WAVE    0
#define CODE_NUMBERS 1
#define NUMBERS_SIZE 27 /* at least; later devices may add to it */
#define WAVE_SIZE    4
#define UNIT_MMHG    1
#define UNIT_MAX     3
#define LEAP_S       60 /* from one message to the next, by the device's clock */
#define CO2_MAX      150
#define BREATHS_MAX  150
#define PERCENT_MAX  100
#define PULSE_MIN    18
#define PULSE_MAX    250

#define FAST_STARTING  0x02 /* status of the gas line, with every sample of the wave */
#define FAST_OCCLUDED  0x04
#define FAST_PURGING   0x20
#define FAST_NO_LINE   0x40
#define FAST_BROKEN    0x80
#define SPO2_NO_PULSE  0x01
#define SPO2_OFF       0x60 /* off the patient, or not connected */
#define SLOW_CALIBRATE 0x01
#define SLOW_PUMP_OFF  0x04

#define STEP_MS    500
#define ALIVE_MS   2000
#define LOST_MS    6000
#define SILENCE_MS 10000

/* Requests, in the order in which a session begins; the last is repeated. */
static const uint8_t requests[][4] = {
    {0x85, 0x01, 0x01, 0x00}, /* enable communication */
    {0x85, 0x01, 0x04, 0x05}, /* send numbers and wave */
    {0x85, 0x01, 0x06, 0x07}, /* somebody listens */
};

#define REQUESTS (sizeof(requests) / sizeof(requests[0]))

/* 1. inside: 85 was read and the message is not complete.
 * 2. raw counts the bytes of the message as they came, have those of body. */
struct state {
    bool inside, escaped;
    bool heard, started;
    bool has_before;
    uint8_t step, fast; /* next request; status of the gas line */
    uint8_t breaths;    /* of the message before */
    uint32_t seconds;   /* its time */
    uint64_t heard_ms, sent_ms;
    size_t have, raw, dropped;
    uint8_t body[BODY_MAX];
};

/* What the message of numbers says. */
struct numbers {
    uint32_t seconds;
    uint8_t co2_et, co2_in, breaths, spo2, pulse;
    uint8_t alarms, unit, slow;
};

static bool read_numbers(struct cursor *c, struct numbers *n)
{
    n->seconds = cursor_be32(c);
    n->co2_et = cursor_u8(c);
    n->co2_in = cursor_u8(c);
    n->breaths = cursor_u8(c);
    n->spo2 = cursor_u8(c);
    n->pulse = cursor_u8(c);
    cursor_bytes(c, 5); /* silenced alarms, reserved, alarms of the gas */
    n->alarms = cursor_u8(c);
    cursor_bytes(c, 10); /* time without breath, limits */
    n->unit = cursor_u8(c);
    n->slow = cursor_u8(c);
    return !c->failed && n->unit >= 1 && n->unit <= UNIT_MAX;
}

/* Shifted by a byte; see above. */
static bool shifted(const struct state *s, const struct numbers *n)
{
    uint32_t ahead = n->seconds - s->seconds, behind = s->seconds - n->seconds;

    return s->has_before && ((ahead > LEAP_S && behind > LEAP_S) ||
                             (n->spo2 == s->breaths && n->spo2 != CAPNOSTREAM_NONE));
}

/* A number of a byte: 255 is none, and what nobody has is no value. */
static void put(struct observation_set *set, uint32_t code, uint32_t unit, uint8_t value,
                unsigned least, unsigned most, unsigned quality)
{
    bool has = value != CAPNOSTREAM_NONE;

    if (has && (value < least || value > most))
        quality |= QUALITY_INVALID;
    observe(set, code, unit, has, value, 0, quality);
}

static unsigned gas_quality(const struct state *s, const struct numbers *n)
{
    unsigned quality = 0;

    if (s->fast & FAST_NO_LINE || n->slow & SLOW_PUMP_OFF)
        quality |= QUALITY_SENSOR_OFF;
    if (s->fast & (FAST_BROKEN | FAST_STARTING))
        quality |= QUALITY_INVALID;
    if (s->fast & (FAST_OCCLUDED | FAST_PURGING) || n->slow & SLOW_CALIBRATE)
        quality |= QUALITY_QUESTIONABLE;
    return quality;
}

static void give(const struct state *s, const struct numbers *n,
                 const struct driver_sink *sink)
{
    unsigned gas = gas_quality(s, n), finger = 0;
    unsigned pressure = gas | (n->unit == UNIT_MMHG ? 0U : QUALITY_INVALID);
    struct observation_set set;

    memset(&set, 0, sizeof(set));
    if (n->alarms & SPO2_OFF)
        finger |= QUALITY_SENSOR_OFF;
    if (n->alarms & SPO2_NO_PULSE)
        finger |= QUALITY_QUESTIONABLE;
    put(&set, MDC_CONC_AWAY_CO2_ET, MDC_DIM_MMHG, n->co2_et, 0, CO2_MAX, pressure);
    put(&set, MDC_CONC_AWAY_CO2_IN, MDC_DIM_MMHG, n->co2_in, 0, CO2_MAX, pressure);
    put(&set, MDC_CO2_RESP_RATE, MDC_DIM_RESP_PER_MIN, n->breaths, 0, BREATHS_MAX, gas);
    put(&set, MDC_PULS_OXIM_SAT_O2, MDC_DIM_PERCENT, n->spo2, 1, PERCENT_MAX, finger);
    put(&set, MDC_PULS_OXIM_PULS_RATE, MDC_DIM_BEAT_PER_MIN, n->pulse, PULSE_MIN,
        PULSE_MAX, finger);
    set.device_time = observe_time(n->seconds);
    sink->set(sink->context, &set);
}

/* A message whose length and check are right. Of the wave only the status is kept. */
static void take(struct state *s, const struct driver_sink *sink)
{
    struct cursor c = cursor_make(s->body + 2, s->body[0] - 1U);
    struct numbers n;

    s->heard = true;
    if (s->body[1] == CODE_WAVE && c.left >= WAVE_SIZE) {
        s->fast = s->body[2 + 3];
        return;
    }
    if (s->body[1] != CODE_NUMBERS)
        return;
    if (!read_numbers(&c, &n) || shifted(s, &n)) {
        s->has_before = false; /* the next one is judged by itself */
        sink->fault(sink->context, DRIVER_FAULT_VALUE, s->raw);
        return;
    }
    give(s, &n, sink);
    s->has_before = true;
    s->breaths = n.breaths;
    s->seconds = n.seconds;
}

/* An unescaped byte of a message: length, code, content, check. */
static void body(struct state *s, uint8_t b, const struct driver_sink *sink)
{
    uint8_t check = 0;

    s->body[s->have++] = b;
    if (s->body[0] == 0) { /* there is a code at least */
        s->inside = false;
        sink->fault(sink->context, DRIVER_FAULT_LENGTH, s->raw);
        return;
    }
    if (s->have < s->body[0] + 2U)
        return;
    s->inside = false;
    for (size_t i = 0; i < s->have; i++)
        check ^= s->body[i];
    if (check == 0)
        take(s, sink);
    else
        sink->fault(sink->context, DRIVER_FAULT_CHECKSUM, s->raw);
}

/* A byte as it came. */
static void byte(struct state *s, uint8_t b, const struct driver_sink *sink)
{
    if (b == CAPNOSTREAM_START) {
        if (s->inside)
            sink->fault(sink->context, DRIVER_FAULT_SYNC, s->raw);
        s->inside = true;
        s->escaped = false;
        s->have = 0;
        s->raw = 1;
        return;
    }
    if (!s->inside) {
        s->dropped++;
        return;
    }
    s->raw++;
    if (!s->escaped && b == CAPNOSTREAM_ESC) {
        s->escaped = true;
    } else if (!s->escaped) {
        body(s, b, sink);
    } else if (b == 0x00 || b == 0x05) {
        s->escaped = false;
        body(s, (uint8_t)(CAPNOSTREAM_ESC + b), sink);
    } else {
        s->inside = false;
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->raw);
    }
}

static void feed(void *state, const uint8_t *bytes, size_t n,
                 const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++)
        byte(s, bytes[i], sink);
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* All zero: no session. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* Begins a session, then says that somebody listens; again when nothing comes any more.
 */
static size_t poll(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;

    if (s->heard || !s->started)
        s->heard_ms = now_ms;
    s->heard = false;
    *again_ms = now_ms + STEP_MS;
    if (s->started && now_ms - s->heard_ms > LOST_MS) {
        s->step = 0;
        s->heard_ms = now_ms;
    }
    if (s->started && s->step + 1U == REQUESTS && now_ms - s->sent_ms < ALIVE_MS)
        return 0;
    memcpy(out, requests[s->step], sizeof(requests[0]));
    s->started = true;
    s->sent_ms = now_ms;
    if (s->step + 1U < REQUESTS)
        s->step++;
    return sizeof(requests[0]);
}

/* The three requests and nothing else: alarms, limits, patient and host stay as they are.
 */
static bool may_send(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < REQUESTS; i++)
        if (n == sizeof(requests[i]) && memcmp(bytes, requests[i], n) == 0)
            return true;
    return false;
}

const struct driver capnostream = {
    .name = "capnostream",
    .title = "Oridion Capnostream 20",
    .stable = false,
    .evidence = "one implementation and its test; the maker's document was not at hand",
    .tests = "driver_conformance: every bit flip; drivers_capnostream_test",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 115200, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed,
    .poll = poll,
    .may_send = may_send,
};
