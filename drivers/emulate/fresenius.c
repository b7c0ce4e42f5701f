/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated pump; see emulate/fresenius.h.
 */
#include "drivers/emulate/fresenius.h"

#include <string.h>

#define ANSWER_US  20000
#define SECOND_US  1000000
#define PATIENT_US 2000000
#define LOOK_US    100000
#define STX        0x02
#define ETX        0x03
#define ENQ        0x05
#define ACK        0x06
#define DC4        0x14
#define NAK        0x15

static void put_hex(struct emulate_burst *b, uint32_t value, unsigned digits)
{
    while (digits-- > 0)
        b->bytes[b->size++] = (uint8_t) "0123456789ABCDEF"[value >> 4 * digits & 15];
}

/* Two digits over what stands between from and here. */
static void put_check(struct emulate_burst *b, size_t from)
{
    unsigned sum = 0;

    for (size_t i = from; i < b->size; i++)
        sum += b->bytes[i];
    put_hex(b, 0xFF - (sum & 0xFF), 2);
    b->bytes[b->size++] = ETX;
}

/* The acknowledgement of the request and the answer, one behind the other. */
static void answer(struct fresenius_emulator *e, bool values, uint64_t due_us,
                   struct emulate_output *out)
{
    struct emulate_burst *b;

    if (out->count == EMULATE_BURSTS_MAX)
        return;
    b = &out->bursts[out->count++];
    b->due_us = due_us;
    b->size = 0;
    b->bytes[b->size++] = ACK;
    b->bytes[b->size++] = STX;
    b->bytes[b->size++] = 'C';
    if (values) {
        b->bytes[b->size++] = ';';
        b->bytes[b->size++] = 'd';
        put_hex(b, e->rate, 4);
        b->bytes[b->size++] = ';';
        b->bytes[b->size++] = 'r';
        put_hex(b, e->volume, 6);
        e->answers++;
    }
    put_check(b, 2);
    if (values && e->flip > 0 && e->flip <= b->size * 8) {
        b->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
}

static void say(uint8_t first, uint8_t second, uint64_t due_us,
                struct emulate_output *out)
{
    struct emulate_burst *b;

    if (out->count == EMULATE_BURSTS_MAX)
        return;
    b = &out->bursts[out->count++];
    b->due_us = due_us;
    b->bytes[0] = first;
    b->bytes[1] = second;
    b->size = second != 0 ? 2 : 1;
}

/* A whole frame, its check included. */
static void request(struct fresenius_emulator *e, uint64_t now_us,
                    struct emulate_output *out)
{
    static const char open[] = "DC78", values[] = "LE;dr5D";
    uint64_t due_us = now_us + ANSWER_US;

    if (e->have == sizeof(open) - 1 && memcmp(e->buffer, open, e->have) == 0) {
        e->sessions++;
        e->open = true;
        e->next_us = now_us + SECOND_US;
        e->patient_us = now_us + PATIENT_US;
        answer(e, false, due_us, out);
    } else if (e->open && e->have == sizeof(values) - 1 &&
               memcmp(e->buffer, values, e->have) == 0) {
        answer(e, true, due_us, out);
    } else {
        e->refused++;
        say(NAK, '8', due_us, out);
    }
}

void fresenius_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                             uint64_t now_us, struct emulate_output *out)
{
    struct fresenius_emulator *e = emulator;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == ACK) {
            e->acknowledged++;
            e->patient_us = now_us + PATIENT_US;
        } else if (bytes[i] == DC4) {
            e->patient_us = now_us + PATIENT_US;
        } else if (bytes[i] == STX) {
            e->have = 0;
        } else if (bytes[i] == ETX) {
            request(e, now_us, out);
            e->have = 0;
        } else if (e->have < sizeof(e->buffer)) {
            e->buffer[e->have++] = bytes[i];
        }
    }
}

void fresenius_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                             uint64_t *again_us)
{
    struct fresenius_emulator *e = emulator;

    if (e->open && now_us >= e->patient_us) {
        e->open = false;
        e->ended++;
    }
    if (e->open && now_us >= e->next_us) {
        say(ENQ, 0, e->next_us, out);
        e->next_us += SECOND_US;
    }
    *again_us = now_us + LOOK_US;
}

void fresenius_emulator_init(struct fresenius_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
}

const struct emulator fresenius_line_emulator = {"fresenius", fresenius_emulator_feed,
                                                 fresenius_emulator_tick};
