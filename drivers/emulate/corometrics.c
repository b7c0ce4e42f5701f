/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Corometrics; see emulate/corometrics.h.
 */
#include "drivers/emulate/corometrics.h"

#include <string.h>

#define EIGHTH_US  125000
#define PER_MINUTE 480U /* eighths of a second */

/* One record. */
static void put(struct emulate_burst *burst, char type, const char *data)
{
    size_t n = strlen(data);

    burst->bytes[burst->size++] = '9';
    burst->bytes[burst->size++] = (uint8_t)type;
    burst->bytes[burst->size++] = '0';
    memcpy(burst->bytes + burst->size, data, n);
    burst->size += n;
    burst->bytes[burst->size++] = 0x03;
}

/* Two or three digits. */
static void put_number(struct emulate_burst *burst, char type, int16_t value,
                       const char *lifted)
{
    char digits[4] = "";
    size_t n = 0;

    if (value >= 100)
        digits[n++] = (char)('0' + value / 100 % 10);
    digits[n++] = (char)('0' + value / 10 % 10);
    digits[n] = (char)('0' + value % 10);
    put(burst, type, value == COROMETRICS_LIFTED ? lifted : digits);
}

static void say(struct corometrics_emulator *e, struct emulate_burst *burst)
{
    burst->due_us = e->next_us;
    burst->size = 0;
    if (e->parts % PER_MINUTE == 0)
        put(burst, 'b', "10"); /* any: the tables are not known */
    put_number(burst, 'a', e->activity, "128");
    if (e->parts % 2 == 0) {
        put_number(burst, '`', e->heart[0], "00");
        put_number(burst, 'e', e->heart[1], "00");
        put(burst, 'f', "2");
    }
    if (e->mark)
        put(burst, 'd', "");
    e->mark = false;
    if (e->flip > 0 && e->flip <= burst->size * 8) {
        burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
    e->parts++;
}

void corometrics_emulator_tick(void *emulator, uint64_t now_us,
                               struct emulate_output *out, uint64_t *again_us)
{
    struct corometrics_emulator *e = emulator;

    while (e->next_us <= now_us && out->count < EMULATE_BURSTS_MAX) {
        say(e, &out->bursts[out->count++]);
        e->next_us += EIGHTH_US;
    }
    *again_us = e->next_us;
}

void corometrics_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                               uint64_t now_us, struct emulate_output *out)
{
    struct corometrics_emulator *e = emulator;

    (void)bytes;
    (void)now_us;
    (void)out;
    e->refused += n;
}

void corometrics_emulator_init(struct corometrics_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
    emulator->heart[0] = emulator->heart[1] = emulator->activity = COROMETRICS_LIFTED;
}

const struct emulator corometrics_line_emulator = {"corometrics",
                                                   corometrics_emulator_feed,
                                                   corometrics_emulator_tick};
