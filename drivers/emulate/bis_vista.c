/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated BIS VISTA; see emulate/bis_vista.h.
 */
#include "drivers/emulate/bis_vista.h"

#include <string.h>

#define SECOND_US  1000000
#define LOOK_US    100000
#define FRONT_SIZE 48 /* converter, impedances, filters, smoothing, masks */

static void put16(struct emulate_burst *b, unsigned value)
{
    b->bytes[b->size++] = (uint8_t)value;
    b->bytes[b->size++] = (uint8_t)(value >> 8);
}

static void put32(struct emulate_burst *b, uint32_t value)
{
    put16(b, value & 0xFFFF);
    put16(b, value >> 16);
}

/* One of three; the other two show what must not be taken for the first. */
static void put_block(const struct bis_vista_emulator *e, unsigned block,
                      struct emulate_burst *b)
{
    int16_t off = (int16_t)(block * 7);

    put16(b, (uint16_t)(e->ratio + off));
    put16(b, (uint16_t)(e->edge + off));
    put16(b, 0);
    put16(b, (uint16_t)(e->index + off));
    put16(b, 111);
    put16(b, 222);
    put16(b, 6000);
    put16(b, 3000);
    put32(b, (uint32_t)e->signal + block);
    put32(b, 0);
    for (unsigned i = 0; e->extra && i < 6; i++)
        put16(b, 0);
}

static void say(struct bis_vista_emulator *e, struct emulate_burst *b)
{
    unsigned content = FRONT_SIZE + 3 * (e->extra ? 36U : 24U), sum = 0;

    b->due_us = e->next_us;
    b->size = 0;
    b->bytes[b->size++] = 0xBA;
    b->bytes[b->size++] = 0xAB;
    put16(b, (unsigned)e->messages & 0xFFFF);
    put16(b, 12 + content);
    put16(b, 1);
    put32(b, 4);
    put32(b, 0x34);
    put16(b, (unsigned)e->messages & 0xFFFF);
    put16(b, content);
    memset(b->bytes + b->size, 0x11, FRONT_SIZE);
    b->size += FRONT_SIZE;
    for (unsigned block = 0; block < 3; block++)
        put_block(e, block, b);
    for (size_t i = 2; i < b->size; i++)
        sum += b->bytes[i];
    put16(b, sum & 0xFFFF);
    if (e->flip > 0 && e->flip <= b->size * 8) {
        b->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
    e->messages++;
}

void bis_vista_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                             uint64_t *again_us)
{
    struct bis_vista_emulator *e = emulator;

    while (e->sending && e->next_us <= now_us && out->count < EMULATE_BURSTS_MAX) {
        say(e, &out->bursts[out->count++]);
        e->next_us += SECOND_US;
    }
    *again_us = e->sending ? e->next_us : now_us + LOOK_US;
}

/* The one request that is known to be harmless. */
void bis_vista_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                             uint64_t now_us, struct emulate_output *out)
{
    static const uint8_t start[] = "\xBA\xAB\x00\x00\x0D\x00\x01\x00\x04\x00\x00\x00\x73"
                                   "\x00\x00\x00\x00\x00\x01\x00\x00\x86";
    struct bis_vista_emulator *e = emulator;

    (void)out;
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != start[e->have]) {
            e->refused++;
            e->have = 0;
            continue;
        }
        e->have++;
        if (e->have < sizeof(start)) /* the last 00 is the string's own */
            continue;
        e->have = 0;
        e->started++;
        e->next_us = e->sending ? e->next_us : now_us;
        e->sending = true;
    }
}

void bis_vista_emulator_init(struct bis_vista_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
    emulator->index = emulator->ratio = emulator->edge = BIS_VISTA_MISSING;
}

const struct emulator bis_vista_line_emulator = {"bis-vista", bis_vista_emulator_feed,
                                                 bis_vista_emulator_tick};
