/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Alaris; see emulate/alaris.h. Its check goes four bits at a time, so that
 * emulator and decoder check each other.
 */
#include "drivers/emulate/alaris.h"

#include <string.h>

#define ANSWER_US 50000
#define INF_HEAD  "!INF^8002-12345^"
#define SERIAL    "!INST_SERIALNO^8002-12345"

static void put(struct emulate_burst *burst, const char *text)
{
    size_t n = strlen(text);

    memcpy(burst->bytes + burst->size, text, n);
    burst->size += n;
}

/* Polynomial 1021h, start FFFF, over what lies behind the "!". */
static void put_check(struct emulate_burst *burst)
{
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5,
                                       0x60C6, 0x70E7, 0x8108, 0x9129, 0xA14A, 0xB16B,
                                       0xC18C, 0xD1AD, 0xE1CE, 0xF1EF};
    static const char hex[] = "0123456789ABCDEF";
    uint16_t crc = 0xFFFF;

    for (size_t i = 1; i < burst->size; i++) {
        crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ burst->bytes[i] >> 4) & 15]);
        crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ burst->bytes[i]) & 15]);
    }
    burst->bytes[burst->size++] = '|';
    for (int shift = 12; shift >= 0; shift -= 4)
        burst->bytes[burst->size++] = (uint8_t)hex[crc >> shift & 15];
    burst->bytes[burst->size++] = '\r';
}

static void answer(struct alaris_emulator *e, bool serial, uint64_t due_us,
                   struct emulate_output *out)
{
    const char *const fields[] = {INF_HEAD,
                                  e->alarm,
                                  "^",
                                  e->mode,
                                  "^",
                                  e->rate,
                                  "^",
                                  e->rate_unit,
                                  "^^",
                                  e->volume,
                                  "^",
                                  e->volume_unit,
                                  "^17.91^mmHg^24+^EVENT^127904"};
    struct emulate_burst *burst;

    if (out->count == EMULATE_BURSTS_MAX)
        return;
    burst = &out->bursts[out->count++];
    burst->due_us = due_us;
    burst->size = 0;
    if (serial)
        put(burst, SERIAL);
    for (size_t i = 0; !serial && i < sizeof(fields) / sizeof(fields[0]); i++)
        put(burst, fields[i]);
    put_check(burst);
    if (e->flip > 0 && e->flip <= burst->size * 8) {
        burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
    e->answers++;
}

void alaris_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                          struct emulate_output *out)
{
    static const char inf[] = "!INF|4961", serial[] = "!INST_SERIALNO|457D";
    struct alaris_emulator *e = emulator;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\r') {
            if (e->have < sizeof(e->buffer))
                e->buffer[e->have++] = bytes[i];
            continue;
        }
        if (e->have == sizeof(inf) - 1 && memcmp(e->buffer, inf, e->have) == 0)
            answer(e, false, now_us + ANSWER_US, out);
        else if (e->have == sizeof(serial) - 1 && memcmp(e->buffer, serial, e->have) == 0)
            answer(e, true, now_us + ANSWER_US, out);
        else
            e->refused++;
        e->have = 0;
    }
}

void alaris_emulator_init(struct alaris_emulator *e, uint64_t start_us)
{
    (void)start_us;
    memset(e, 0, sizeof(*e));
    memcpy(e->rate, "0.00", 5);
    memcpy(e->rate_unit, "ml/h", 5);
    memcpy(e->volume, "0.000", 6);
    memcpy(e->volume_unit, "ml", 3);
    memcpy(e->alarm, "-", 2);
    memcpy(e->mode, "SET", 4);
}

const struct emulator alaris_line_emulator = {"alaris", alaris_emulator_feed, NULL};
