/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated oximeters; see emulate/oximeter.h. Shapes come from the makers' examples,
 * so that emulator and decoder check each other.
 */
#include "drivers/emulate/oximeter.h"

#include <string.h>

#define COMMAND_SIZE 9
#define ANSWER_US    2000
#define ALIVE_US     10000000 /* twice the maker's five seconds */
#define SIGNAL       5        /* of 8: the examples' own */
#define BAR          7
#define START        0xA1
#define ALIVE        0xAF

static bool has(int16_t value)
{
    return value != OXIMETER_MISSING;
}

/* --- Contec: binary --- */

/* A curve that moves, so that no two frames are the same bytes. */
static uint8_t wave(const struct oximeter_emulator *e)
{
    return (uint8_t)(20 + e->bursts * 7 % 60);
}

/* Seven bytes, their high bits gathered in the byte before them. */
static size_t write_v7(const struct oximeter_emulator *e, uint8_t *out)
{
    const struct oximeter_values *v = &e->values;
    bool off = v->sensor_off;
    unsigned pi = has(v->perfusion) && !off ? (unsigned)v->perfusion : 0xFFFF;
    const uint8_t payload[7] = {
        (uint8_t)(SIGNAL | (off ? 0x80 : 0)),
        (uint8_t)(wave(e) | (v->searching ? 0x80 : 0)),
        (uint8_t)(BAR | (pi == 0xFFFF ? 0x10 : 0)),
        (uint8_t)(has(v->pulse) && !off ? v->pulse : 0xFF),
        (uint8_t)(has(v->spo2) && !off ? v->spo2 : 0x7F),
        (uint8_t)pi,
        (uint8_t)(pi >> 8),
    };

    out[0] = 0x01;
    out[1] = 0x80;
    for (size_t i = 0; i < sizeof(payload); i++) {
        out[1] = (uint8_t)(out[1] | payload[i] >> 7 << i);
        out[2 + i] = payload[i] | 0x80;
    }
    return 2 + sizeof(payload);
}

/* The pulse's eighth bit is in the third byte; with neither value it stays clear, as in
 * the published frame without a finger. */
static size_t write_5byte(const struct oximeter_emulator *e, uint8_t *out)
{
    const struct oximeter_values *v = &e->values;
    bool pulse = has(v->pulse) && !v->sensor_off, spo2 = has(v->spo2) && !v->sensor_off;
    unsigned rate = pulse ? (unsigned)v->pulse : spo2 ? 0xFF : 0x7F;

    out[0] = (uint8_t)(0x80 | (v->sensor_off ? 0x10 : SIGNAL));
    out[1] = wave(e);
    out[2] = (uint8_t)(BAR | (rate >> 7 & 1) << 6 | (v->searching ? 0x20U : 0) |
                       (v->sensor_off ? 0x10U : 0));
    out[3] = rate & 0x7F;
    out[4] = spo2 ? (uint8_t)(v->spo2 & 0x7F) : 0x7F;
    return 5;
}

/* --- Lines --- */

struct writer {
    uint8_t *out;
    size_t n;
};

static void put(struct writer *w, const char *text)
{
    size_t n = strlen(text);

    memcpy(w->out + w->n, text, n);
    w->n += n;
}

/* `count` digits with leading zeros. */
static void digits(struct writer *w, unsigned value, size_t count)
{
    for (size_t i = count; i > 0; i--, value /= 10)
        w->out[w->n + i - 1] = (uint8_t)('0' + value % 10);
    w->n += count;
}

/* A value of three digits, or three dashes. */
static void three(struct writer *w, bool present, int16_t value)
{
    if (present)
        digits(w, (unsigned)value, 3);
    else
        put(w, "---");
}

/* A column of `width`, right-justified: without leading zeros. */
static void column(struct writer *w, bool present, int16_t value, size_t width)
{
    size_t size = !present || value > 99 ? 3 : value > 9 ? 2 : 1;

    while (width-- > size)
        put(w, " ");
    if (present)
        digits(w, (unsigned)value, size);
    else
        put(w, "---");
}

static void clock_text(struct writer *w, const struct device_time *t)
{
    digits(w, t->hour, 2);
    put(w, ":");
    digits(w, t->minute, 2);
    put(w, ":");
    digits(w, t->second, 2);
}

static size_t write_nonin(const struct oximeter_emulator *e, uint8_t *out)
{
    const struct oximeter_values *v = &e->values;
    struct writer w = {out, 0};

    put(&w, "SPO2=");
    three(&w, has(v->spo2) && !v->sensor_off, v->spo2);
    put(&w, " HR=");
    three(&w, has(v->pulse) && !v->sensor_off, v->pulse);
    put(&w, "\r\n");
    return w.n;
}

static size_t write_nellcor(const struct oximeter_emulator *e, uint8_t *out)
{
    static const char months[][4] = {"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                     "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
    const struct oximeter_values *v = &e->values;
    struct writer w = {out, 0};

    digits(&w, e->clock.day, 2);
    put(&w, "-");
    put(&w, months[(e->clock.month + 11) % 12]);
    put(&w, "-");
    digits(&w, e->clock.year % 100U, 2);
    put(&w, " ");
    clock_text(&w, &e->clock);
    column(&w, has(v->spo2) && !v->sensor_off, v->spo2, 6);
    column(&w, has(v->pulse) && !v->sensor_off, v->pulse, 6);
    column(&w, !v->sensor_off, 50, 5); /* the amplitude of the examples */
    put(&w, v->sensor_off ? "   SO" : v->searching ? "   PS" : "");
    put(&w, "\r\n");
    return w.n;
}

static size_t write_masimo(const struct oximeter_emulator *e, uint8_t *out)
{
    const struct oximeter_values *v = &e->values;
    struct writer w = {out, 0};

    digits(&w, e->clock.month, 2);
    put(&w, "/");
    digits(&w, e->clock.day, 2);
    put(&w, "/");
    digits(&w, e->clock.year % 100U, 2);
    put(&w, " ");
    clock_text(&w, &e->clock);
    put(&w, " SN=0000012345 SPO2=");
    three(&w, has(v->spo2) && !v->sensor_off, v->spo2);
    put(&w, "% BPM=");
    three(&w, has(v->pulse) && !v->sensor_off, v->pulse);
    put(&w, " PI=");
    if (has(v->perfusion) && !v->sensor_off) {
        digits(&w, (unsigned)v->perfusion / 100, 2);
        put(&w, ".");
        digits(&w, (unsigned)v->perfusion % 100, 2);
    } else {
        put(&w, "--.--");
    }
    put(&w, "% SPCO=--% SPMET=--.-% DESAT=-- PIDELTA=+-- PVI=--- ALARM=0000 EXC=");
    put(&w, v->searching ? "000400\r\n" : "000000\r\n");
    return w.n;
}

/* --- What is common --- */

static const struct {
    size_t (*write)(const struct oximeter_emulator *e, uint8_t *out);
    uint32_t third_us; /* how long three bursts take: 60 a second is no whole number */
} kinds[OXIMETER_KINDS] = {
    [OXIMETER_CONTEC_V7] = {write_v7, 50000},
    [OXIMETER_CONTEC_5BYTE] = {write_5byte, 50000},
    [OXIMETER_NONIN_8500] = {write_nonin, 3000000},
    [OXIMETER_NELLCOR_N595] = {write_nellcor, 6000000},
    [OXIMETER_MASIMO_ASCII1] = {write_masimo, 3000000},
};

/* A caller that comes late gets what it missed, as far as the output reaches. */
void oximeter_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                            uint64_t *again_us)
{
    struct oximeter_emulator *e = state;

    while (e->next_us <= now_us && out->count < EMULATE_BURSTS_MAX) {
        struct emulate_burst *burst = &out->bursts[out->count];
        uint32_t third = kinds[e->kind].third_us;

        if (e->kind == OXIMETER_CONTEC_V7 && e->next_us > e->alive_us) {
            e->next_us = UINT64_MAX;
            break;
        }
        burst->due_us = e->next_us;
        burst->size = kinds[e->kind].write(e, burst->bytes);
        if (e->flip > 0 && e->flip <= burst->size * 8) {
            burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
            e->flip = 0;
        }
        out->count++;
        e->bursts++;
        e->next_us += third / 3 + (e->bursts % 3 < third % 3);
    }
    *again_us = e->next_us;
}

/* A whole command of the V7: the start and the sign of life are taken, all others
 * answered as a device does that cannot do that. */
static void command(struct oximeter_emulator *e, uint64_t now_us,
                    struct emulate_output *out)
{
    uint8_t code = e->buffer[2];

    if (e->buffer[0] == 0x7D && code == START) {
        e->started++;
        e->alive_us = now_us + ALIVE_US;
        if (e->next_us == UINT64_MAX)
            e->next_us = now_us + ANSWER_US;
    } else if (e->buffer[0] == 0x7D && code == ALIVE) {
        e->told++;
        e->alive_us = now_us + ALIVE_US;
    } else {
        e->refused++;
        if (out->count < EMULATE_BURSTS_MAX)
            out->bursts[out->count++] =
                (struct emulate_burst){.due_us = now_us + ANSWER_US,
                                       .size = 4,
                                       .bytes = {0x0B, 0x81, code, 0x85}};
    }
}

/* Only the V7 listens; only a command's first byte has its high bit clear. */
void oximeter_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                            struct emulate_output *out)
{
    struct oximeter_emulator *e = state;

    if (e->kind != OXIMETER_CONTEC_V7) {
        e->refused += n;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] < 0x80)
            e->have = 0;
        else if (e->have == 0)
            continue;
        e->buffer[e->have++] = bytes[i];
        if (e->have == COMMAND_SIZE) {
            command(e, now_us, out);
            e->have = 0;
        }
    }
}

/* As a device that was switched on without a finger in it. */
void oximeter_emulator_init(struct oximeter_emulator *emulator, enum oximeter_kind kind,
                            uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->kind = kind;
    emulator->next_us = kind == OXIMETER_CONTEC_V7 ? UINT64_MAX : start_us;
    emulator->values.pulse = OXIMETER_MISSING;
    emulator->values.spo2 = OXIMETER_MISSING;
    emulator->values.perfusion = OXIMETER_MISSING;
    emulator->clock = (struct device_time){
        .present = true, .year = 2026, .month = 1, .day = 1, .hour = 12};
}

const struct emulator oximeter_line_emulator = {"oximeter", oximeter_emulator_feed,
                                                oximeter_emulator_tick};
