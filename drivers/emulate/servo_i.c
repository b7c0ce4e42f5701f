/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Servo ventilator; see servo_i.h. It knows nothing of the decoder.
 */
#include "drivers/emulate/servo_i.h"

#include "drivers/decimal.h"

#include <string.h>

#define EOT       0x04
#define ESC       0x1B
#define ANSWER_US 50000

static const struct servo_i_emulated_channel fitted[] = {
    {200, 0, "+1000E-004", "+0000E+000", 6},  /* rate */
    {201, 0, "+1000E-003", "+0000E+000", 1},  /* tidal volume, expired */
    {202, 0, "+1000E-003", "+0000E+000", 1},  /* tidal volume, inspired */
    {203, 0, "+1000E-005", "+0000E+000", 8},  /* minute volume, inspired */
    {204, 0, "+1000E-005", "+0000E+000", 8},  /* minute volume, expired */
    {205, 0, "+1000E-004", "+0000E+000", 4},  /* peak */
    {206, 0, "+1000E-004", "+0000E+000", 4},  /* mean */
    {207, 0, "+1000E-004", "+0000E+000", 4},  /* plateau */
    {208, 0, "+1000E-004", "+0000E+000", 4},  /* PEEP */
    {209, 0, "+1000E-004", "+0000E+000", 7},  /* oxygen */
    {225, 0, "+1000E-004", "+0000E+000", 7},  /* end-tidal CO2 */
    {245, 0, "+6510E-005", "+1333E-001", 4},  /* total PEEP */
    {260, 0, "+1000E-003", "+0000E+000", 10}, /* end-tidal CO2, pressure */
};

static const struct {
    const char *name;
    uint16_t number;
    uint8_t decimals;
} names[] = {{"RESP", 200, 1}, {"VT", 201, 0},   {"MV", 204, 2},   {"PIP", 205, 1},
             {"PEEP", 208, 1}, {"FiO2", 209, 1}, {"etCO2", 260, 0}};

struct servo_i_emulated_channel *servo_i_emulator_channel(struct servo_i_emulator *e,
                                                          unsigned number)
{
    for (size_t i = 0; i < SERVO_I_EMULATOR_CHANNELS; i++)
        if (number != 0 && e->channels[i].number == number)
            return &e->channels[i];
    return NULL;
}

int servo_i_emulator_show(void *state, const char *name, const char *text)
{
    struct decimal value = {SERVO_I_EMULATOR_MISSING, 0};
    struct servo_i_emulated_channel *channel;
    size_t i = 0;

    while (i < sizeof(names) / sizeof(names[0]) && strcmp(names[i].name, name) != 0)
        i++;
    if (i == sizeof(names) / sizeof(names[0]) ||
        (channel = servo_i_emulator_channel(state, names[i].number)) == NULL)
        return EMULATE_NO_FIELD;
    if (text[0] != '\0') {
        if (decimal_parse(text, &value) != DECIMAL_OK)
            return EMULATE_SYNTAX;
        if (decimal_rescale(value, -names[i].decimals, &value) != DECIMAL_OK)
            return EMULATE_INEXACT;
        if (value.mantissa < 0 || value.mantissa >= SERVO_I_EMULATOR_MISSING)
            return EMULATE_RANGE;
    }
    channel->raw = (int16_t)value.mantissa;
    return EMULATE_OK;
}

/* Text that grows in a burst. */
static void put(struct emulate_burst *burst, const char *text)
{
    for (; *text != '\0' && burst->size < sizeof(burst->bytes); text++)
        burst->bytes[burst->size++] = (uint8_t)*text;
}

static void put_digits(struct emulate_burst *burst, unsigned value, unsigned width)
{
    char digits[5] = "";

    for (unsigned i = 0; i < width; i++, value /= 10)
        digits[width - 1 - i] = (char)('0' + value % 10);
    put(burst, digits);
}

/* Check and end; in basic mode the end alone. */
static void finish(const struct servo_i_emulator *e, struct emulate_burst *burst)
{
    static const char hex[] = "0123456789ABCDEF";
    uint8_t check = 0;

    for (size_t i = 0; i < burst->size; i++)
        check ^= burst->bytes[i];
    if (e->extended) {
        burst->bytes[burst->size++] = (uint8_t)hex[check >> 4];
        burst->bytes[burst->size++] = (uint8_t)hex[check & 15];
    }
    burst->bytes[burst->size++] = EOT;
}

/* "020;200,+1000E-004,+0000E+000,06,BT,RESP;" */
static void configuration(struct servo_i_emulator *e, const char *digits,
                          struct emulate_burst *burst)
{
    unsigned number = 0;

    for (size_t i = 0; i < 3 && digits[i] >= '0' && digits[i] <= '9'; i++)
        number = number * 10 + (unsigned)(digits[i] - '0');
    const struct servo_i_emulated_channel *c = servo_i_emulator_channel(e, number);
    if (c == NULL) {
        put(burst, "ER15");
        return;
    }
    put(burst, "020;");
    put_digits(burst, number, 3);
    put(burst, ",");
    put(burst, c->gain);
    put(burst, ",");
    put(burst, c->offset);
    put(burst, ",");
    put_digits(burst, c->unit, 2);
    put(burst, ",BT,CH");
    put_digits(burst, number % 100, 2);
    put(burst, ";");
}

/* The list of channels, or no change at all. */
static void define(struct servo_i_emulator *e, const char *digits, size_t n,
                   struct emulate_burst *burst)
{
    e->defined_count = 0;
    for (size_t at = 0; at + 3 <= n && n % 3 == 0; at += 3) {
        unsigned number = (unsigned)(digits[at] - '0') * 100 +
                          (unsigned)(digits[at + 1] - '0') * 10 +
                          (unsigned)(digits[at + 2] - '0');
        if (servo_i_emulator_channel(e, number) == NULL ||
            e->defined_count == SERVO_I_EMULATOR_CHANNELS) {
            e->defined_count = 0;
            put(burst, "ER15");
            return;
        }
        e->defined[e->defined_count++] = (uint16_t)number;
    }
    put(burst, "*");
}

static void reading(struct servo_i_emulator *e, struct emulate_burst *burst)
{
    if (e->standby && strcmp(e->version, "005") < 0) {
        put(burst, "ER17");
        return;
    }
    for (size_t i = 0; i < e->defined_count; i++) {
        int raw = servo_i_emulator_channel(e, e->defined[i])->raw;
        put_digits(burst, e->standby ? SERVO_I_EMULATOR_MISSING : (unsigned)raw, 4);
    }
    if (e->defined_count == 0)
        put(burst, "ER16");
    else
        e->readings++;
}

/* A whole command, n characters without check and end. */
static void command(struct servo_i_emulator *e, const char *text, size_t n,
                    struct emulate_burst *burst)
{
    if (n == 4 && memcmp(text, "RCTY", 4) == 0) {
        e->extended = true;
        put(burst, e->contact ? "Servo-i0" : "Servo-i1");
    } else if (!e->extended) {
        put(burst, "ER10");
    } else if (n == 4 && memcmp(text, "RHVE", 4) == 0) {
        put(burst, e->version);
    } else if (n == 7 && memcmp(text, "SPVE", 4) == 0) {
        put(burst, memcmp(text + 4, e->version, 3) <= 0 ? "*" : "ER12");
    } else if (n == 7 && memcmp(text, "RCCO", 4) == 0) {
        configuration(e, text + 4, burst);
    } else if (n >= 5 && memcmp(text, "SDADB", 5) == 0) {
        define(e, text + 5, n - 5, burst);
    } else if (n == 5 && memcmp(text, "RADAB", 5) == 0) {
        reading(e, burst);
    } else {
        e->refused++;
        put(burst, "ER10");
    }
}

/* What came until an EOT. */
static void ended(struct servo_i_emulator *e, uint64_t now_us, struct emulate_output *out)
{
    size_t n = e->have;
    uint8_t check = 0;
    char want[3] = "";

    if (out->count == EMULATE_BURSTS_MAX || (n == 1 && e->command[0] == ESC))
        return; /* nothing runs that could be ended */
    struct emulate_burst *burst = &out->bursts[out->count++];
    *burst = (struct emulate_burst){.due_us = now_us + ANSWER_US};
    for (size_t i = 0; i + 2 < n; i++)
        check ^= (uint8_t)e->command[i];
    want[0] = "0123456789ABCDEF"[check >> 4];
    want[1] = "0123456789ABCDEF"[check & 15];
    if (n < 3 || memcmp(e->command + n - 2, want, 2) != 0)
        put(burst, "ER18");
    else
        command(e, e->command, n - 2, burst);
    finish(e, burst);
    e->answers++;
    if (e->flip > 0 && e->flip <= burst->size * 8) {
        burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1u << (e->flip - 1) % 8);
        e->flip = 0;
    }
}

void servo_i_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                           struct emulate_output *out)
{
    struct servo_i_emulator *e = state;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == EOT) {
            ended(e, now_us, out);
            e->have = 0;
        } else if (e->have < sizeof(e->command)) {
            e->command[e->have++] = (char)bytes[i];
        }
    }
}

/* By itself it says nothing. */
void servo_i_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                           uint64_t *again_us)
{
    (void)state;
    (void)now_us;
    (void)out;
    *again_us = UINT64_MAX;
}

void servo_i_emulator_start(void *state, uint64_t start_us)
{
    struct servo_i_emulator *e = state;

    (void)start_us;
    memset(e, 0, sizeof(*e));
    e->version = "005";
    e->contact = true;
    memcpy(e->channels, fitted, sizeof(fitted));
    for (size_t i = 0; i < sizeof(fitted) / sizeof(fitted[0]); i++)
        e->channels[i].raw = SERVO_I_EMULATOR_MISSING;
}

const struct emulator servo_i_line_emulator = {"servo-i", servo_i_emulator_feed,
                                               servo_i_emulator_tick};
