/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated fetal monitor; see emulate/series50.h. Its check is a table of its own, so
 * that emulator and decoder check each other.
 */
#include "drivers/emulate/series50.h"

#include <string.h>

#define SECOND_US   1000000
#define ANSWER_US   200000 /* of the 250 ms that the guide gives it */
#define SAMPLES     4
#define OFTEN_MAX   4 /* frames that may be due at once */
#define IDENTITY    "IM1350AA10A.01.013019G10010"
#define CTG_SIZE    35
#define STATUS_SPO2 0x0800

/* What a message is built in. */
struct block {
    uint8_t bytes[CTG_SIZE];
    size_t n;
};

static void put8(struct block *b, unsigned value)
{
    b->bytes[b->n++] = (uint8_t)value;
}

static void put16(struct block *b, unsigned value)
{
    put8(b, value >> 8);
    put8(b, value & 0xFF);
}

/* Four bits at a time, as guides print it. */
static uint16_t crc(const uint8_t *bytes, size_t n)
{
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5,
                                       0x60C6, 0x70E7, 0x8108, 0x9129, 0xA14A, 0xB16B,
                                       0xC18C, 0xD1AD, 0xE1CE, 0xF1EF};
    uint16_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum = (uint16_t)(sum << 4 ^ table[(sum >> 12 ^ bytes[i] >> 4) & 15]);
        sum = (uint16_t)(sum << 4 ^ table[(sum >> 12 ^ bytes[i]) & 15]);
    }
    return sum;
}

/* Frames, doubles, checks, and spoils on demand. */
static void send(struct series50_emulator *e, const struct block *b, uint64_t due_us,
                 struct emulate_output *out)
{
    struct emulate_burst *burst;
    uint16_t sum;
    size_t n = 0;

    if (out->count == EMULATE_BURSTS_MAX)
        return;
    burst = &out->bursts[out->count++];
    burst->due_us = due_us;
    burst->bytes[n++] = 0x10;
    burst->bytes[n++] = 0x02;
    for (size_t i = 0; i < b->n; i++) {
        if (b->bytes[i] == 0x10)
            burst->bytes[n++] = 0x10;
        burst->bytes[n++] = b->bytes[i];
    }
    burst->bytes[n++] = 0x10;
    burst->bytes[n++] = 0x03;
    sum = crc(burst->bytes, n);
    burst->bytes[n++] = (uint8_t)(sum >> 8);
    burst->bytes[n++] = (uint8_t)(sum & 0xFF);
    burst->size = n;
    if (e->flip > 0 && e->flip <= n * 8) {
        burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
    e->frames++;
}

/* All four samples of a second are the same: values stand still until the caller moves
 * them. */
static void write_ctg(const struct series50_emulator *e, struct block *b)
{
    unsigned modes = 0;

    b->n = 0;
    put8(b, 'C');
    put16(b, e->status | (e->fetal_spo2 ? STATUS_SPO2 : 0U));
    for (size_t c = 0; c < SERIES50_EMULATOR_CHANNELS; c++) {
        const struct series50_channel *channel = &e->channels[c];
        for (size_t i = 0; i < SAMPLES; i++)
            put16(b, (unsigned)channel->light << 13 | channel->quarters);
        modes |= (unsigned)(channel->mode << 1 | channel->inoperative) << (12 - 4 * c);
    }
    for (size_t i = 0; i < SAMPLES; i++)
        put8(b, e->activity);
    put16(b, modes);
    put8(b, (unsigned)e->activity_mode << 1);
    put8(b, e->fetal_spo2);
}

static void say_ctg(struct series50_emulator *e, uint64_t due_us,
                    struct emulate_output *out)
{
    struct block b;

    write_ctg(e, &b);
    send(e, &b, due_us, out);
}

/* What is said once. */
static void say_others(struct series50_emulator *e, uint64_t due_us,
                       struct emulate_output *out)
{
    struct block b;

    if (e->has_pressure) {
        b.n = 0;
        put8(&b, 'P');
        for (size_t i = 0; i < 4; i++)
            put16(&b, e->pressure[i]);
        send(e, &b, due_us, out);
    }
    if (e->has_saturation) {
        b.n = 0;
        put8(&b, 'S');
        put8(&b, e->saturation);
        put16(&b, e->saturation_rate);
        send(e, &b, due_us, out);
    }
    if (e->has_temperature) {
        b.n = 0;
        put8(&b, 'T');
        put8(&b, e->temperature);
        send(e, &b, due_us, out);
    }
    e->has_pressure = e->has_saturation = e->has_temperature = false;
}

static void say_identity(struct series50_emulator *e, uint64_t due_us,
                         struct emulate_output *out)
{
    struct block b = {.n = sizeof(IDENTITY) - 1};

    memcpy(b.bytes, IDENTITY, b.n);
    send(e, &b, due_us, out);
}

/* A whole request whose check is right. A ?C while it sends by itself ends that. */
static void answer(struct series50_emulator *e, const uint8_t *body, size_t n,
                   uint64_t now_us, struct emulate_output *out)
{
    uint64_t due_us = now_us + ANSWER_US;

    if (n == 2 && memcmp(body, "?C", n) == 0) {
        e->asked++;
        e->stopped += e->sending;
        e->sending = false;
        say_ctg(e, due_us, out);
    } else if (n == 2 && memcmp(body, "?I", n) == 0) {
        say_identity(e, due_us, out);
    } else if (n == 1 && body[0] == 'G') {
        e->started++;
        e->sending = true;
        e->next_us = due_us;
    } else if (n == 1 && body[0] == 'H') {
        e->stopped++;
        e->sending = false;
    } else {
        e->refused++;
    }
}

/* Requests have no byte to double but in notes, which nobody may send. */
void series50_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                            uint64_t now_us, struct emulate_output *out)
{
    struct series50_emulator *e = emulator;

    for (size_t i = 0; i < n; i++) {
        if (e->have == sizeof(e->buffer)) {
            e->refused++;
            e->have = 0;
        }
        e->buffer[e->have++] = bytes[i];
        if (e->have == 2 && (e->buffer[0] != 0x10 || e->buffer[1] != 0x02)) {
            e->refused++;
            e->buffer[0] = e->buffer[1];
            e->have = 1;
        }
        if (e->have < 7 || e->buffer[e->have - 4] != 0x10 ||
            e->buffer[e->have - 3] != 0x03)
            continue;
        if (crc(e->buffer, e->have) == 0)
            answer(e, e->buffer + 2, e->have - 6, now_us, out);
        else
            e->refused++;
        e->have = 0;
    }
}

void series50_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                            uint64_t *again_us)
{
    struct series50_emulator *e = emulator;

    if (e->frames == 0 && e->next_us <= now_us)
        say_identity(e, e->next_us, out);
    while (e->sending && e->next_us <= now_us &&
           out->count + OFTEN_MAX <= EMULATE_BURSTS_MAX) {
        say_ctg(e, e->next_us, out);
        say_others(e, e->next_us, out);
        e->next_us += SECOND_US;
    }
    *again_us = e->frames == 0 || e->sending ? e->next_us : UINT64_MAX;
}

void series50_emulator_init(struct series50_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
    emulator->status = 0x8001;
}

const struct emulator series50_line_emulator = {"series50", series50_emulator_feed,
                                                series50_emulator_tick};
