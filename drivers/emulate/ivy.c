/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Ivy 450C; see emulate/ivy.h. The lines are the recording's.
 */
#include "drivers/emulate/ivy.h"

#include <string.h>

#define SECOND_US 1000000
#define WAVES     400 /* bytes of waveforms; none of them is FE or FF */
#define PIECES    ((IVY_MESSAGE_MAX + EMULATE_BURST_MAX - 1) / EMULATE_BURST_MAX)

struct writer {
    uint8_t out[IVY_MESSAGE_MAX];
    size_t n;
};

static void put(struct writer *w, const char *text)
{
    size_t n = strlen(text);

    memcpy(w->out + w->n, text, n);
    w->n += n;
}

/* Without leading zeros; nothing at all for a missing value. */
static void number(struct writer *w, int16_t value)
{
    char text[8] = "";
    size_t at = sizeof(text) - 1;
    unsigned left = value < 0 ? (unsigned)-value : (unsigned)value;

    if (value == IVY_MISSING)
        return;
    do
        text[--at] = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (value < 0)
        text[--at] = '-';
    put(w, text + at);
}

/* Values first..last with their semicolons. */
static void numbers(struct writer *w, const struct ivy_emulator *e, size_t first,
                    size_t last)
{
    for (size_t i = first; i <= last; i++) {
        number(w, e->values[i]);
        put(w, ";");
    }
}

/* All lines, always, in the recording's order; a missing value is an empty place. */
static void write_message(struct writer *w, const struct ivy_emulator *e)
{
    w->n = 0;
    put(w, "\xFF"
           "ANSAR-B ");
    for (size_t i = 0; i < WAVES; i++)
        w->out[w->n++] = (uint8_t)(0x50 + (i + e->messages) % 64);
    put(w, "HR=1;");
    numbers(w, e, IVY_HR, IVY_HR);
    put(w, "ECG-II-DIAG;\rRR=1;");
    numbers(w, e, IVY_RR, IVY_RR);
    put(w, "APNEA: 20 SEC;\rETCO2=1;;;\rSPO2=1;");
    numbers(w, e, IVY_SPO2, IVY_SPO2);
    if (e->values[IVY_PULSE] != IVY_MISSING) {
        put(w, "PR=");
        number(w, e->values[IVY_PULSE]);
        put(w, " ");
    }
    put(w, ";\rNIBP=4;");
    numbers(w, e, IVY_SYS, IVY_CUFF_PULSE);
    put(w, ";\rP1=3;");
    numbers(w, e, IVY_P1_SYS, IVY_P1_MEAN);
    put(w, ";\rP2=3;;;;NO TRANSDUCER;\rT1=1;;;\rT2=1;;;\r\xFE");
}

/* A message only as a whole: one that does not fit into the output waits. */
void ivy_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                       uint64_t *again_us)
{
    struct ivy_emulator *e = state;
    struct writer w;

    while (e->next_us <= now_us && out->count + PIECES <= EMULATE_BURSTS_MAX) {
        write_message(&w, e);
        if (e->flip > 0 && e->flip <= w.n * 8) {
            w.out[(e->flip - 1) / 8] ^= (uint8_t)(1U << (e->flip - 1) % 8);
            e->flip = 0;
        }
        for (size_t at = 0; at < w.n;) {
            struct emulate_burst *burst = &out->bursts[out->count++];

            burst->due_us = e->next_us;
            burst->size = w.n - at < EMULATE_BURST_MAX ? w.n - at : EMULATE_BURST_MAX;
            memcpy(burst->bytes, w.out + at, burst->size);
            at += burst->size;
        }
        e->messages++;
        e->next_us += SECOND_US;
    }
    *again_us = e->next_us;
}

void ivy_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out)
{
    struct ivy_emulator *e = state;

    (void)bytes;
    (void)now_us;
    (void)out;
    e->refused += n;
}

/* As a monitor that was switched on without a patient. */
void ivy_emulator_init(struct ivy_emulator *emulator, uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
    for (size_t i = 0; i < IVY_VALUES; i++)
        emulator->values[i] = IVY_MISSING;
}

const struct emulator ivy_line_emulator = {"ivy", ivy_emulator_feed, ivy_emulator_tick};
