/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated ventilator; see emulate/pb840.h. The widths are counted off a recorded
 * answer, so that emulator and decoder check each other.
 */
#include "drivers/emulate/pb840.h"

#include <string.h>

#define FIRST       5
#define ANSWER_US   100000
#define ANSWER_MAX  1300
#define NORMAL_FROM 106 /* alarms */
#define NORMAL_TO   153

/* By the maker's numbers. */
static size_t width(unsigned field)
{
    switch (field) {
    case 6:
    case 53:
        return 18;
    case 7:
        return 12;
    case 8:
    case 50:
    case 55:
    case 66:
        return 9;
    default:
        return 6;
    }
}

int pb840_emulator_set(struct pb840_emulator *e, unsigned field, const char *text)
{
    if (field < FIRST || field >= PB840_EMULATOR_FIELDS)
        return EMULATE_NO_FIELD;
    if (strlen(text) > width(field))
        return EMULATE_RANGE;
    memset(e->fields[field], 0, sizeof(e->fields[field]));
    memcpy(e->fields[field], text, strlen(text));
    return EMULATE_OK;
}

static size_t write_answer(struct pb840_emulator *e, uint8_t out[ANSWER_MAX])
{
    static const char head[] = "MISCF,1225,169 ,\x02";
    size_t n = sizeof(head) - 1;

    memcpy(out, head, n);
    for (unsigned f = FIRST; f < PB840_EMULATOR_FIELDS; f++) {
        memset(out + n, ' ', width(f));
        memcpy(out + n, e->fields[f], strlen(e->fields[f]));
        n += width(f);
        out[n++] = ',';
    }
    out[n++] = 0x03;
    out[n++] = '\r';
    if (e->flip > 0 && e->flip <= n * 8) {
        out[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
        e->flip = 0;
    }
    return n;
}

static void answer(struct pb840_emulator *e, uint64_t due_us, struct emulate_output *out)
{
    uint8_t bytes[ANSWER_MAX];
    size_t n = write_answer(e, bytes);

    for (size_t at = 0; at < n && out->count < EMULATE_BURSTS_MAX;) {
        struct emulate_burst *burst = &out->bursts[out->count++];
        burst->due_us = due_us;
        burst->size = n - at < EMULATE_BURST_MAX ? n - at : EMULATE_BURST_MAX;
        memcpy(burst->bytes, bytes + at, burst->size);
        at += burst->size;
    }
    e->answers++;
}

void pb840_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                         struct emulate_output *out)
{
    struct pb840_emulator *e = emulator;

    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\r') {
            if (e->have < sizeof(e->buffer))
                e->buffer[e->have++] = bytes[i];
            continue;
        }
        if (e->have == 4 && memcmp(e->buffer, "SNDF", 4) == 0)
            answer(e, now_us + ANSWER_US, out);
        else
            e->refused++;
        e->have = 0;
    }
}

void pb840_emulator_init(struct pb840_emulator *e, uint64_t start_us)
{
    static const struct {
        uint8_t field;
        const char *text;
    } start[] = {{5, "14:05"},       {6, "840 1234567890"},
                 {7, "JUL 22 2026"}, {8, "INVASIVE"},
                 {9, "A/C"},         {10, "VC"},
                 {12, "V-Trig"},     {53, "HME"},
                 {55, "Enabled"},    {66, "ADULT"},
                 {105, "OFF"}};

    (void)start_us;
    memset(e, 0, sizeof(*e));
    for (size_t i = 0; i < sizeof(start) / sizeof(start[0]); i++)
        (void)pb840_emulator_set(e, start[i].field, start[i].text);
    for (unsigned f = NORMAL_FROM; f <= NORMAL_TO; f++)
        (void)pb840_emulator_set(e, f, "NORMAL");
}

const struct emulator pb840_line_emulator = {"pb840", pb840_emulator_feed, NULL};
