/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated scanner; see emulate/wristband.h.
 */
#include "drivers/emulate/wristband.h"

#include <string.h>

#define GS          "\x1D"
#define PREFIX_SIZE 7
#define NHS_SIZE    10
#define LOOK_US     100000 /* somebody may show something at any time */

/* Appends a text to the barcode; false if it does not fit. */
static bool put(struct wristband_emulator *e, const char *text)
{
    size_t n = strlen(text);

    if (n > sizeof(e->shown) - e->size)
        return false;
    memcpy(e->shown + e->size, text, n);
    e->size += n;
    return true;
}

/* From the right, three and one in turn, up to the next ten. */
static char check_digit(const char *digits)
{
    int sum = 0;
    bool heavy = true;

    for (size_t i = strlen(digits); i-- > 0; heavy = !heavy)
        sum += (digits[i] - '0') * (heavy ? 3 : 1);
    return (char)('0' + (10 - sum % 10) % 10);
}

static bool all_digits(const char *text, size_t n)
{
    return strlen(text) == n && strspn(text, "0123456789") == n;
}

int wristband_emulator_show(struct wristband_emulator *e, const void *bytes, size_t n,
                            uint64_t at_us)
{
    if (n > sizeof(e->shown))
        return EMULATE_FULL;
    memcpy(e->shown, bytes, n);
    e->size = n;
    e->due_us = at_us;
    return EMULATE_OK;
}

int wristband_emulator_band(struct wristband_emulator *e, const char *prefix,
                            const char *nhs, const char *local, const char *name,
                            uint64_t at_us)
{
    char number[PREFIX_SIZE + NHS_SIZE + 1] = "", check[2] = "";

    if (!all_digits(prefix, PREFIX_SIZE) || !all_digits(nhs, NHS_SIZE))
        return EMULATE_SYNTAX;
    memcpy(number, prefix, PREFIX_SIZE);
    memcpy(number + PREFIX_SIZE, nhs, NHS_SIZE);
    check[0] = check_digit(number);
    e->size = 0;
    e->due_us = at_us;
    if (put(e, "]d28018") && put(e, number) && put(e, check) && put(e, GS "80191" GS) &&
        put(e, "91RQXM1,") && put(e, local) && put(e, GS "93") && put(e, name))
        return EMULATE_OK;
    e->size = 0;
    return EMULATE_FULL;
}

void wristband_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                             uint64_t *again_us)
{
    struct wristband_emulator *e = emulator;

    *again_us = now_us + LOOK_US;
    if (e->size > 0 && e->due_us > now_us)
        *again_us = e->due_us;
    if (e->size == 0)
        return;
    if (e->due_us > now_us || out->count == EMULATE_BURSTS_MAX)
        return;
    struct emulate_burst *burst = &out->bursts[out->count++];
    burst->due_us = e->due_us;
    memcpy(burst->bytes, e->shown, e->size);
    memcpy(burst->bytes + e->size, "\r\n", 2);
    burst->size = e->size + 2;
    if (e->flip > 0 && e->flip <= burst->size * 8) {
        burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
    e->size = 0;
    e->scans++;
}

/* Scanners can be set up over their line. Nobody may. */
void wristband_emulator_feed(void *emulator, const uint8_t *bytes, size_t n,
                             uint64_t now_us, struct emulate_output *out)
{
    struct wristband_emulator *e = emulator;

    (void)bytes;
    (void)now_us;
    (void)out;
    e->refused += n;
}

void wristband_emulator_init(struct wristband_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->due_us = start_us;
}

const struct emulator wristband_line_emulator = {"wristband", wristband_emulator_feed,
                                                 wristband_emulator_tick};
