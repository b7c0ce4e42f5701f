/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated station; see bcc.h. It knows nothing of the decoder.
 */
#include "drivers/emulate/bcc.h"

#include "drivers/decimal.h"

#include <string.h>

#define SOH       1
#define STX       2
#define ETX       3
#define EOT       4
#define ACK       6
#define NAK       0x15
#define ETB       0x17
#define ANSWER_US 100000
#define BLOCKS    2 /* of an answer with values */
#define TEXT_MAX  120

static const char *const names[BCC_EMULATED] = {"rate", "infused", "vtbi", "remaining"};

/* Each character with its stuffing. */
static void put(const struct bcc_emulator *e, struct emulate_burst *burst, char c)
{
    const bool lower = c == 'd' || c == 'e';

    if (burst->size + 2 > sizeof(burst->bytes))
        return;
    if (e->unstuffed || (c != 'D' && c != 'E' && !lower)) {
        burst->bytes[burst->size++] = (uint8_t)c;
        return;
    }
    burst->bytes[burst->size++] = lower ? 'e' : 'E';
    if (c == 'D' || c == 'd')
        burst->bytes[burst->size++] = lower ? 'x' : 'X';
    else
        burst->bytes[burst->size++] = (uint8_t)c;
}

static void put_digits(const struct bcc_emulator *e, struct emulate_burst *burst,
                       unsigned value, unsigned *sum)
{
    unsigned power = 10000;

    for (; power > 0; power /= 10) {
        put(e, burst, (char)('0' + value / power % 10));
        *sum += '0' + value / power % 10;
    }
}

/* A block: the station's name, the text, and whether more follow. */
static void say(struct bcc_emulator *e, const char *text, bool last, uint64_t now_us,
                struct emulate_output *out)
{
    const char *const parts[] = {e->bed, "/1/1>", text};
    unsigned length = 14, sum = SOH + STX;
    unsigned ignored = 0;

    if (out->count == EMULATE_BURSTS_MAX)
        return;
    struct emulate_burst *burst = &out->bursts[out->count++];
    *burst = (struct emulate_burst){.due_us = now_us + ANSWER_US};
    for (size_t p = 0; p < 3; p++)
        length += (unsigned)strlen(parts[p]);
    put(e, burst, SOH);
    put_digits(e, burst, length, &sum);
    put(e, burst, STX);
    for (size_t p = 0; p < 3; p++)
        for (const char *c = parts[p]; *c != '\0'; c++) {
            put(e, burst, *c);
            sum += (unsigned char)*c;
        }
    put(e, burst, last ? ETX : ETB);
    sum += last ? ETX : ETB;
    put_digits(e, burst, sum % 256, &ignored);
    put(e, burst, EOT);
    if (e->flip > 0 && e->flip <= burst->size * 8) {
        burst->bytes[(e->flip - 1) / 8] ^= (uint8_t)(1u << (e->flip - 1) % 8);
        e->flip = 0;
    }
}

/* The information of a block. */
struct text {
    size_t n;
    char at[TEXT_MAX + 1];
};

static void add(struct text *text, const char *what)
{
    for (; *what != '\0' && text->n < TEXT_MAX; what++)
        text->at[text->n++] = *what;
    text->at[text->n] = '\0';
}

/* One parameter; RS in front of all but the first. */
static void parameter(const struct bcc_emulator *e, const char *address, const char *name,
                      const char *value, struct text *text)
{
    char time[11] = "";
    size_t at = sizeof(time) - 1;
    uint32_t rest = e->time;

    do
        time[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    add(text, text->n > 0 ? "\x1E" : "");
    add(text, time + at);
    add(text, ",");
    add(text, address);
    add(text, ",");
    add(text, name);
    add(text, ",");
    add(text, value[0] != '\0' ? value : "_NV");
}

/* Block by block: state and rate, then volumes and time; the second pump's rate there. */
static void blocks(struct bcc_emulator *e, uint64_t now_us, struct emulate_output *out)
{
    struct text text = {.n = 0};

    if (!e->getting) {
        parameter(e, "50100", "GNACK", "0", &text);
    } else if (e->block == 0) {
        parameter(e, e->address, "DSSTATUS", e->off ? "00050" : "00051", &text);
        parameter(e, e->address, "INRT", e->values[BCC_RATE], &text);
        parameter(e, e->address, "INSOLSN", "Dopamine, dilutEd", &text);
    } else {
        parameter(e, e->address, "INVI", e->values[BCC_INFUSED], &text);
        parameter(e, e->address, "INVTB", e->values[BCC_TBI], &text);
        parameter(e, e->address, "INRMT", e->values[BCC_REMAINING], &text);
        if (e->second != NULL)
            parameter(e, e->second, "INRT", "99.9", &text);
    }
    say(e, text.at, !e->getting || e->block + 1 == BLOCKS, now_us, out);
}

/* Without its stuffing: true if the two are the same text. */
static bool is(const uint8_t *bytes, size_t n, const char *text)
{
    for (size_t i = 0; i < n; i++) {
        char c = (char)bytes[i];
        if ((c == 'E' || c == 'e') && ++i == n)
            return false;
        if (bytes[i] == 'X' && c == 'E')
            c = 'D';
        if (bytes[i] == 'x' && c == 'e')
            c = 'd';
        if (*text == '\0' || *text++ != c)
            return false;
    }
    return *text == '\0';
}

/* A frame: what is asked stands behind the '>'. */
static void request(struct bcc_emulator *e, uint64_t now_us, struct emulate_output *out)
{
    size_t at = 0;

    while (at < e->have && e->buffer[at] != '>')
        at++;
    if (e->have < at + 8) {
        e->refused++;
        return;
    }
    const uint8_t *what = e->buffer + at + 1;
    const size_t n = e->have - at - 8; /* ETX, checksum, EOT */
    const bool alive = is(what, n, "ADMIN:ALIVE");
    struct text own = {.n = 0};
    add(&own, e->bed);
    add(&own, "/1/1");
    if (!alive && !(is(what, n, "MEM:GET") && is(e->buffer + 7, at - 7, own.at))) {
        e->refused++;
        return;
    }
    e->alive += alive;
    e->getting = !alive;
    e->block = 0;
    blocks(e, now_us, out);
}

/* The block is good, or comes again. */
static void replied(struct bcc_emulator *e, uint8_t reply, uint64_t now_us,
                    struct emulate_output *out)
{
    if (e->block < 0)
        return;
    if (reply == NAK)
        e->naks++;
    else if (!e->getting || ++e->block == BLOCKS)
        e->block = -1;
    if (e->block >= 0)
        blocks(e, now_us, out);
    else
        e->answers += e->getting;
}

void bcc_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out)
{
    struct bcc_emulator *e = state;

    e->time = (uint32_t)(now_us / 1000000);
    for (size_t i = 0; i < n; i++) {
        if (e->have == 0 && (bytes[i] == ACK || bytes[i] == NAK)) {
            replied(e, bytes[i], now_us, out);
            continue;
        }
        if (bytes[i] == SOH)
            e->have = 0;
        if (e->have < sizeof(e->buffer))
            e->buffer[e->have++] = bytes[i];
        if (bytes[i] != EOT)
            continue;
        request(e, now_us, out);
        e->have = 0;
    }
}

/* By itself it says nothing. */
void bcc_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                       uint64_t *again_us)
{
    (void)state;
    (void)now_us;
    (void)out;
    *again_us = UINT64_MAX;
}

int bcc_emulator_show(void *state, const char *name, const char *text)
{
    struct bcc_emulator *e = state;
    struct decimal value;

    for (size_t i = 0; i < BCC_EMULATED; i++) {
        if (strcmp(names[i], name) != 0)
            continue;
        if (text[0] != '\0' && decimal_parse(text, &value) != DECIMAL_OK)
            return EMULATE_SYNTAX;
        if (strlen(text) >= sizeof(e->values[i]))
            return EMULATE_INEXACT;
        memcpy(e->values[i], text, strlen(text) + 1);
        return EMULATE_OK;
    }
    return EMULATE_NO_FIELD;
}

void bcc_emulator_start(void *state, uint64_t start_us)
{
    struct bcc_emulator *e = state;

    (void)start_us;
    memset(e, 0, sizeof(*e));
    e->bed = "BED07";
    e->address = "50111";
    e->block = -1;
}

const struct emulator bcc_line_emulator = {"bcc", bcc_emulator_feed, bcc_emulator_tick};
