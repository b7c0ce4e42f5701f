/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated MEDIBUS device; see medibus.h. It knows nothing of the decoder.
 */
#include "drivers/emulate/medibus.h"

#include <string.h>

#define ESC       0x1B
#define SOH       0x01
#define CR        0x0D
#define ANSWER_US 20000
#define ICC_US    3000000 /* between its own attempts */

/* A burst that grows; what would not fit is never begun by the callers below. */
static void put(struct emulate_burst *burst, uint8_t byte, bool curves)
{
    static const uint8_t curve[] = {0xD1, 0x91, 0x81}; /* sync byte, one value */

    if (burst->size + 1 + sizeof(curve) > sizeof(burst->bytes))
        return;
    burst->bytes[burst->size++] = byte;
    if (curves && burst->size % 8 == 1) {
        memcpy(burst->bytes + burst->size, curve, sizeof(curve));
        burst->size += sizeof(curve);
    }
}

/* Two upper-case hex digits of the sum. */
static void put_check(struct emulate_burst *burst, unsigned sum, bool curves)
{
    static const char digits[] = "0123456789ABCDEF";

    put(burst, (uint8_t)digits[sum >> 4 & 15], curves);
    put(burst, (uint8_t)digits[sum & 15], curves);
    put(burst, CR, curves);
}

/* A message around text; with `inside`, a NOP command in the middle of it. */
static void say(struct medibus_emulator *e, uint8_t start, uint8_t code, const char *text,
                bool inside, uint64_t now_us, struct emulate_output *out)
{
    const size_t length = strlen(text);
    unsigned sum = start + (unsigned)code;

    if (out->count == EMULATE_BURSTS_MAX)
        return;
    struct emulate_burst *burst = &out->bursts[out->count++];
    *burst = (struct emulate_burst){.due_us = now_us + ANSWER_US};
    put(burst, start, e->curves);
    put(burst, code, e->curves);
    for (size_t i = 0; i < length; i++) {
        if (inside && i == length / 2) {
            put(burst, ESC, e->curves);
            put(burst, '0', e->curves);
            put_check(burst, ESC + '0', e->curves);
        }
        sum += (unsigned char)text[i];
        put(burst, (uint8_t)text[i], e->curves);
    }
    put_check(burst, sum, e->curves);
    if (e->flip > 0 && start == SOH) {
        size_t bit = (e->flip - 1) % (burst->size * 8);
        burst->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        e->flip = 0;
    }
}

/* Key and right-justified value; what the device does not have is left out. */
static void list(const struct medibus_value *values, size_t count, size_t width,
                 char *out)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strlen(values[i].text);
        if (size == 0 || size > width)
            continue;
        memcpy(out, values[i].key, 2);
        memset(out + 2, ' ', width - size);
        memcpy(out + 2 + width - size, values[i].text, size);
        out += 2 + width;
    }
    *out = '\0';
}

static char *two(char *at, unsigned value)
{
    *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

/* HH:MM:SSDD-MMM-YY */
static void clock_text(const struct medibus_emulator *e, char *at)
{
    static const char english[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
    static const char german[] = "JANFEBMARAPRMAIJUNJULAUGSEPOKTNOVDEZ";
    const struct device_time *t = &e->clock;

    at = two(at, t->hour);
    *at++ = ':';
    at = two(at, t->minute);
    *at++ = ':';
    at = two(at, t->second);
    at = two(at, t->day);
    *at++ = '-';
    memcpy(at, (e->german ? german : english) + (size_t)3 * ((t->month + 11U) % 12U), 3);
    at += 3;
    *at++ = '-';
    at = two(at, t->year % 100);
    *at = '\0';
}

/* A command whose check is right. */
static void command(struct medibus_emulator *e, uint8_t code, uint64_t now_us,
                    struct emulate_output *out)
{
    char text[MEDIBUS_VALUES_MAX * 7 + 1] = "";

    if (code == 0x51) {
        e->sessions++;
        e->on_line = true;
    } else if (code == 0x52) {
        memcpy(text, "8888'Draeger Device '03.00:03.00",
               sizeof("8888'Draeger Device '03.00:03.00"));
    } else if (code == 0x24) {
        e->measured_said++;
        list(e->measured, e->measured_count, MEDIBUS_MEASURED_MAX, text);
    } else if (code == 0x29) {
        list(e->settings, e->setting_count, MEDIBUS_SETTING_MAX, text);
    } else if (code == 0x28) {
        clock_text(e, text);
    } else if (code != 0x30) {
        e->refused++; /* answered without data, as an unknown command is */
    }
    say(e, SOH, code, text, code == 0x24 && e->asks_inside, now_us, out);
}

/* Commands of the other side carry no data, so that five bytes are one. */
void medibus_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                           struct emulate_output *out)
{
    struct medibus_emulator *e = state;

    for (size_t i = 0; i < n; i++) {
        if (e->have == sizeof(e->buffer))
            e->have = 0;
        e->buffer[e->have++] = bytes[i];
        if (bytes[i] != CR)
            continue;
        struct emulate_burst want = {0};
        put_check(&want, (unsigned)e->buffer[0] + e->buffer[1], false);
        if (e->buffer[0] == SOH)
            e->answers++;
        else if (e->have == 5 && e->buffer[0] == ESC &&
                 memcmp(e->buffer + 2, want.bytes, want.size) == 0)
            command(e, e->buffer[1], now_us, out);
        else
            e->refused++;
        e->have = 0;
    }
}

/* By itself it only asks for a session, until there is one. */
void medibus_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                           uint64_t *again_us)
{
    struct medibus_emulator *e = state;

    if (!e->on_line && now_us >= e->next_us) {
        say(e, ESC, 0x51, "", false, now_us, out);
        e->next_us = now_us + ICC_US;
    }
    *again_us = e->on_line ? UINT64_MAX : e->next_us;
}

int medibus_emulator_set(struct medibus_emulator *emulator, const char *key,
                         const char *text)
{
    size_t i = 0;

    if (strlen(key) != 2)
        return EMULATE_NO_FIELD;
    if (strlen(text) > MEDIBUS_MEASURED_MAX)
        return EMULATE_INEXACT;
    while (i < emulator->measured_count && strcmp(emulator->measured[i].key, key) != 0)
        i++;
    if (i == MEDIBUS_VALUES_MAX)
        return EMULATE_FULL;
    if (i == emulator->measured_count)
        emulator->measured_count++;
    memcpy(emulator->measured[i].key, key, 3);
    memcpy(emulator->measured[i].text, text, strlen(text) + 1);
    return EMULATE_OK;
}

/* Switched on, with nobody at the other end. */
void medibus_emulator_init(struct medibus_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
    emulator->clock = (struct device_time){2026, 7, 22, 14, 5, 9, true};
}

const struct emulator medibus_line_emulator = {"medibus", medibus_emulator_feed,
                                               medibus_emulator_tick};
