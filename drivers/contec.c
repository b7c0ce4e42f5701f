/* SPDX-License-Identifier: Apache-2.0
 *
 * Both protocols of contec.h come 60 times a second and have no check, so the rule of
 * agreement is exact here: two frames in a row, nothing lost between, say the same
 * number. A single damaged frame can then never give one. One set a second; its marks are
 * those of all frames since the last set.
 */
#include "drivers/contec.h"

#include "drivers/agreement.h"
#include "drivers/nomenclature.h"
#include "drivers/observe.h"

#include <string.h>

#define FRAME_MAX     9
#define FRAMES_SECOND 60
#define FRAMES_WAIT   120 /* so long for two frames that agree */
#define SILENCE_MS    3000
#define START_MS      2000 /* between two requests for data */
#define ALIVE_MS      5000 /* the maker's: the host says that it is there */
#define HIGH          0x80

#define PACKAGE_DATA 0x01
#define PULSE_NONE   0xFF
#define SPO2_NONE    0x7F
#define PI_NONE      0xFFFF
#define PI_MOST      2200 /* 22.00 % */
#define SIGNAL_MOST  8
#define SPO2_MOST    100
#define PULSE_LEAST  30 /* what the maker says the devices show */
#define PULSE_MOST   250

#define REQUEST_START 0xA1
#define REQUEST_ALIVE 0xAF

/* What one frame of either protocol says. */
struct sample {
    unsigned pulse, spo2, pi, quality;
    bool has_pi; /* the protocol has a perfusion index */
};

struct state {
    bool seen;             /* data since the last request */
    struct agreement last; /* of the frame before */
    unsigned frames;       /* since the last set */
    unsigned quality;      /* of all of them */
    size_t dropped, have;
    uint8_t frame[FRAME_MAX];
};

/* Total bytes of each package that a device sends; 0: no such type. */
static const uint8_t package_size[] = {
    [0x01] = 9, [0x04] = 9, [0x05] = 9, [0x07] = 8, [0x08] = 8, [0x09] = 6,
    [0x0A] = 4, [0x0B] = 4, [0x0C] = 2, [0x0D] = 3, [0x0E] = 3, [0x0F] = 8,
    [0x10] = 3, [0x11] = 9, [0x12] = 8, [0x15] = 9,
};

/* One value; 0 and what is beyond `most` is no value that the protocol has. */
static void put(struct observation_set *set, uint32_t code, uint32_t unit, unsigned value,
                unsigned none, unsigned most, unsigned quality)
{
    struct observation *o = observe_absent(set, code, unit, quality);

    if (value == none || quality & QUALITY_SENSOR_OFF)
        return;
    if (value > most || (value == 0 && code != MDC_PULS_OXIM_PERF_REL)) {
        o->quality |= QUALITY_INVALID;
        return;
    }
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = value;
    o->exponent = code == MDC_PULS_OXIM_PERF_REL ? -2 : 0;
    if (code == MDC_PULS_OXIM_PULS_RATE && (value < PULSE_LEAST || value > PULSE_MOST))
        o->quality |= QUALITY_OUT_OF_RANGE;
}

/* A frame of the right shape: given when a second is over and two agree, or after two
 * seconds without, so that a restless line is seen as such. */
static void take(struct state *s, const struct sample *now,
                 const struct driver_sink *sink)
{
    static const int64_t exact[3] = {0, 0, 0};
    struct observation_set set;
    bool agreed;

    s->seen = true;
    s->frames++;
    s->quality |= now->quality;
    memset(&set, 0, sizeof(set));
    put(&set, MDC_PULS_OXIM_PULS_RATE, MDC_DIM_BEAT_PER_MIN, now->pulse, PULSE_NONE,
        PULSE_NONE, s->quality);
    put(&set, MDC_PULS_OXIM_SAT_O2, MDC_DIM_PERCENT, now->spo2, SPO2_NONE, SPO2_MOST,
        s->quality);
    if (now->has_pi)
        put(&set, MDC_PULS_OXIM_PERF_REL, MDC_DIM_PERCENT, now->pi, PI_NONE, PI_MOST,
            s->quality);
    agreed = agreement_apply(&s->last, &set, exact);
    if (s->frames < FRAMES_SECOND || (!agreed && s->frames < FRAMES_WAIT))
        return;
    sink->set(sink->context, &set);
    s->frames = 0;
    s->quality = 0;
}

/* Of a start in its place nothing is lost. */
static void lose(struct state *s, size_t bytes)
{
    if (bytes == 0)
        return;
    s->dropped += bytes;
    agreement_break(&s->last);
}

static void report(struct state *s, const struct driver_sink *sink)
{
    if (s->dropped > 0)
        sink->fault(sink->context, DRIVER_FAULT_SYNC, s->dropped);
    s->dropped = 0;
}

/* --- 9-byte packages: only the first byte has its high bit clear --- */

/* The second byte holds the high bits of the seven behind it. */
static void take_package(struct state *s, const struct driver_sink *sink)
{
    uint8_t p[7];

    for (size_t i = 0; i < sizeof(p); i++)
        p[i] = (uint8_t)((s->frame[2 + i] & 0x7F) | (s->frame[1] >> i & 1) << 7);
    if ((p[0] & 0x0F) > SIGNAL_MOST || p[2] & 0xE0) {
        lose(s, s->have);
        return;
    }
    struct sample now = {.pulse = p[3], .spo2 = p[4], .has_pi = true};
    now.pi = p[2] & 0x10 ? PI_NONE : (unsigned)p[5] | (unsigned)p[6] << 8;
    if (p[0] & 0x80)
        now.quality |= QUALITY_SENSOR_OFF;
    if (p[0] & 0x10 || p[1] & 0x80)
        now.quality |= QUALITY_QUESTIONABLE; /* it searches for the pulse */
    take(s, &now, sink);
}

/* A byte without the high bit always starts a package, whatever came before. */
static void package_byte(struct state *s, uint8_t byte, const struct driver_sink *sink)
{
    if (!(byte & HIGH)) {
        lose(s, s->have);
        s->have = 0;
        if (byte >= sizeof(package_size) || package_size[byte] == 0) {
            lose(s, 1);
            return;
        }
    } else if (s->have == 0) {
        lose(s, 1);
        return;
    }
    s->frame[s->have++] = byte;
    if (s->have < package_size[s->frame[0]])
        return;
    if (s->frame[0] == PACKAGE_DATA)
        take_package(s, sink);
    s->have = 0;
}

static void feed_v7(void *state, const uint8_t *bytes, size_t n,
                    const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        package_byte(s, bytes[i], sink);
    }
    report(s, sink);
}

/* --- 5-byte frames: only the first byte has its high bit set --- */

static void take_frame(struct state *s, const struct driver_sink *sink)
{
    const uint8_t *b = s->frame;
    struct sample now = {.pulse = (unsigned)(b[2] & 0x40) << 1 | b[3], .spo2 = b[4]};

    if ((b[0] & 0x0F) > SIGNAL_MOST) {
        lose(s, s->have);
        return;
    }
    if (now.spo2 == SPO2_NONE && now.pulse == SPO2_NONE)
        now.pulse = PULSE_NONE; /* without a finger the eighth bit is not set */
    if (b[2] & 0x10)
        now.quality |= QUALITY_SENSOR_OFF;
    if (b[0] & 0x10 || b[2] & 0x20)
        now.quality |= QUALITY_QUESTIONABLE;
    take(s, &now, sink);
}

static void feed_5byte(void *state, const uint8_t *bytes, size_t n,
                       const struct driver_sink *sink)
{
    struct state *s = state;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] & HIGH) {
            lose(s, s->have);
            s->have = 0;
        } else if (s->have == 0) {
            lose(s, 1);
            continue;
        }
        s->frame[s->have++] = bytes[i];
        if (s->have == 5) {
            take_frame(s, sink);
            s->have = 0;
        }
    }
    report(s, sink);
}

/* All zero: nothing seen, nothing kept. */
static void init(void *state)
{
    memset(state, 0, sizeof(struct state));
}

/* --- What may be sent: the start of the data, and that somebody listens --- */

static const uint8_t requests[2][CONTEC_REQUEST_SIZE] = {
    {0x7D, 0x81, REQUEST_START, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80},
    {0x7D, 0x81, REQUEST_ALIVE, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80},
};

static size_t poll_v7(void *state, uint64_t now_ms, uint8_t *out, uint64_t *again_ms)
{
    struct state *s = state;
    bool seen = s->seen;

    s->seen = false;
    *again_ms = now_ms + (seen ? ALIVE_MS : START_MS);
    memcpy(out, requests[seen], CONTEC_REQUEST_SIZE);
    return CONTEC_REQUEST_SIZE;
}

static bool may_send_v7(const uint8_t *bytes, size_t n)
{
    return n == CONTEC_REQUEST_SIZE &&
           (memcmp(bytes, requests[0], n) == 0 || memcmp(bytes, requests[1], n) == 0);
}

const struct driver contec_v7 = {
    .name = "contec-v7",
    .title = "Contec CMS50 oximeter, protocol 7.0",
    .stable = true,
    .evidence = "maker's protocol 7.0, two independent implementations, a real frame",
    .tests =
        "driver_conformance: no check; two equal frames in a row; no single flip unseen",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 115200, .data_bits = 8, .stop_bits = 1},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed_v7,
    .poll = poll_v7,
    .may_send = may_send_v7,
};

const struct driver contec_5byte = {
    .name = "contec-5byte",
    .title = "Contec CMS50 oximeter, 5-byte frames",
    .stable = true,
    .evidence = "two independent descriptions of the maker's older frames",
    .tests =
        "driver_conformance: no check; two equal frames in a row; no single flip unseen",
    .silence_ms = SILENCE_MS,
    .line = {.baud = 19200, .data_bits = 8, .stop_bits = 1, .parity = DRIVER_PARITY_ODD},
    .state_size = sizeof(struct state),
    .init = init,
    .feed = feed_5byte,
};
