/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Capnostream; see emulate/capnostream.h.
 */
#include "drivers/emulate/capnostream.h"

#include <string.h>

#define QUARTER_US   250000
#define ALIVE_US     10000000
#define LOOK_US      100000
#define NUMBERS_SIZE 27
#define WAVE_SIZE    4

/* Escaped behind its 85. */
static void escape(struct emulate_burst *burst, uint8_t b)
{
    if (b == 0x80 || b == 0x85) {
        burst->bytes[burst->size++] = 0x80;
        b = b == 0x80 ? 0x00 : 0x05;
    }
    burst->bytes[burst->size++] = b;
}

static void send(struct capnostream_emulator *e, uint8_t code, const uint8_t *content,
                 size_t n, struct emulate_output *out)
{
    struct emulate_burst *burst = &out->bursts[out->count++];
    uint8_t length = (uint8_t)(n + 1), check = (uint8_t)(length ^ code);

    burst->due_us = e->next_us;
    burst->size = 0;
    burst->bytes[burst->size++] = 0x85;
    escape(burst, length);
    escape(burst, code);
    for (size_t i = 0; i < n; i++) {
        escape(burst, content[i]);
        check ^= content[i];
    }
    escape(burst, check);
    if (e->flip > 0 && e->flip <= burst->size * 8) {
        burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
    e->messages++;
}

/* Limits and the time without breath are those of the published example. */
static void say(struct capnostream_emulator *e, struct emulate_output *out)
{
    const uint8_t numbers[NUMBERS_SIZE] = {(uint8_t)(e->seconds >> 24),
                                           (uint8_t)(e->seconds >> 16),
                                           (uint8_t)(e->seconds >> 8),
                                           (uint8_t)e->seconds,
                                           e->co2_et,
                                           e->co2_in,
                                           e->breaths,
                                           e->spo2,
                                           e->pulse,
                                           0x80,
                                           0,
                                           0,
                                           0,
                                           0,
                                           e->spo2_alarms,
                                           0,
                                           60,
                                           15,
                                           30,
                                           5,
                                           8,
                                           100,
                                           85,
                                           140,
                                           50,
                                           e->unit,
                                           e->extended};
    const uint8_t wave[WAVE_SIZE] = {(uint8_t)e->messages, 12, 128, e->fast};

    send(e, 0, wave, sizeof(wave), out);
    if (e->part == 0)
        send(e, 1, numbers, sizeof(numbers), out);
    e->part = (e->part + 1) % 4;
    e->seconds += e->part == 0;
}

void capnostream_emulator_tick(void *emulator, uint64_t now_us,
                               struct emulate_output *out, uint64_t *again_us)
{
    struct capnostream_emulator *e = emulator;

    while (e->sending && e->next_us <= now_us && out->count + 2 <= EMULATE_BURSTS_MAX) {
        e->sending = e->next_us < e->alive_us;
        if (!e->sending)
            break;
        say(e, out);
        e->next_us += QUARTER_US;
    }
    *again_us = e->sending ? e->next_us : now_us + LOOK_US;
}

/* A request of four bytes without content; those are all that are known to be harmless.
 */
static void answer(struct capnostream_emulator *e, uint64_t now_us)
{
    static const uint8_t enable = 1, disable = 2, start = 4, stop = 5, alive = 6;
    uint8_t code = e->buffer[2];

    if (e->buffer[1] != 1 || e->buffer[3] != (e->buffer[1] ^ code)) {
        e->refused++;
    } else if (code == enable || code == disable) {
        e->enabled = code == enable;
        e->sending &= e->enabled;
    } else if (code == start && e->enabled) {
        e->sessions += !e->sending;
        e->sending = true;
        e->next_us = now_us;
        e->alive_us = now_us + ALIVE_US;
    } else if (code == stop) {
        e->sending = false;
    } else if (code == alive) {
        e->alive_us = now_us + ALIVE_US;
    } else {
        e->refused++;
    }
}

void capnostream_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                               uint64_t now_us, struct emulate_output *out)
{
    struct capnostream_emulator *e = emulator;

    (void)out;
    for (size_t i = 0; i < n; i++) {
        if (e->have == 0 && bytes[i] != 0x85) {
            e->refused++;
            continue;
        }
        e->buffer[e->have++] = bytes[i];
        if (e->have == sizeof(e->buffer)) {
            answer(e, now_us);
            e->have = 0;
        }
    }
}

void capnostream_emulator_init(struct capnostream_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
    emulator->co2_et = emulator->co2_in = emulator->breaths = CAPNOSTREAM_MISSING;
    emulator->spo2 = emulator->pulse = CAPNOSTREAM_MISSING;
    emulator->unit = 1;
    emulator->seconds = 1784730000; /* July 2026 */
}

const struct emulator capnostream_line_emulator = {"capnostream",
                                                   capnostream_emulator_feed,
                                                   capnostream_emulator_tick};
