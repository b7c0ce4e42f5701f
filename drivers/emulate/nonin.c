/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Nonin oximeter; see emulate/nonin.h. Written from the maker's frame tables
 * and not from the decoder, so that the two check each other.
 */
#include "drivers/emulate/nonin.h"

#include "drivers/checksum.h"

#include <string.h>

#define FRAMES       25
#define FRAME_SIZE   5
#define SECOND_US    1000000
#define ANSWER_US    2000
#define GARBAGE_MAX  64
#define ACK          0x06
#define NAK          0x15
#define PULSE_FRAMES 12 /* frames that carry the perfusion mark in each packet */

/* Nine bits, all set for "missing". */
static unsigned pulse_bits(int16_t pulse)
{
    return pulse == NONIN_MISSING ? 511 : (unsigned)pulse & 0x1FF;
}

/* Seven bits, all set for "missing". */
static uint8_t spo2_bits(int16_t spo2)
{
    return spo2 == NONIN_MISSING ? 127 : (uint8_t)(spo2 & 0x7F);
}

/* The value byte of frame `number` (from 1). All averages are the same. */
static uint8_t float_byte(const struct nonin_emulator *e, int number)
{
    unsigned hr = pulse_bits(e->values.pulse);

    switch (number) {
    case 1:
    case 14:
    case 20:
    case 22:
        return (uint8_t)(hr >> 7);
    case 2:
    case 15:
    case 21:
    case 23:
        return (uint8_t)(hr & 0x7F);
    case 3:
    case 9:
    case 10:
    case 11:
    case 16:
    case 17:
        return spo2_bits(e->values.spo2);
    case 4:
        return 48; /* firmware revision */
    case 6:
        return (uint8_t)(e->timer >> 7 & 0x7F);
    case 7:
        return (uint8_t)(e->timer & 0x7F);
    case 8:
        return (uint8_t)(e->values.smartpoint << 5 | e->values.low_battery);
    default:
        return 0;
    }
}

/* SYNC in the first frame alone, the marks in all of them; green and yellow are never
 * shown, because no decoder may need them. */
static uint8_t status_byte(const struct nonin_emulator *e, int number)
{
    const struct nonin_values *v = &e->values;
    unsigned status = 0x80U | (number == 1);

    status |= v->artefact ? 0x20U : 0;
    status |= v->out_of_track ? 0x10U : 0;
    status |= v->sensor_alarm ? 0x08U : 0;
    if (v->low_perfusion &&
        number <= PULSE_FRAMES) /* red; nothing of it while it is green */
        status |= 0x04U;
    return (uint8_t)status;
}

/* 25 frames; the two formats differ in the first three bytes. */
static size_t write_packet(const struct nonin_emulator *e, uint8_t *out)
{
    for (int number = 1; number <= FRAMES; number++, out += FRAME_SIZE) {
        unsigned pleth = (unsigned)(100 + number * 3);
        out[0] = e->format == 2 ? 0x01 : status_byte(e, number);
        out[1] = e->format == 2 ? status_byte(e, number) : (uint8_t)(pleth * 300 >> 8);
        out[2] = (uint8_t)(e->format == 2 ? pleth : pleth * 300);
        out[3] = float_byte(e, number);
        out[4] = checksum_sum8(out, FRAME_SIZE - 1);
    }
    return (size_t)FRAMES * FRAME_SIZE;
}

/* Four bytes, only the first with its high bit set. */
static size_t write_df8(const struct nonin_values *v, uint8_t *out)
{
    unsigned hr = pulse_bits(v->pulse);

    out[0] =
        (uint8_t)(0x80 | (v->out_of_track ? 0x20 : 0) | (v->low_perfusion ? 0x10 : 0) |
                  (v->artefact ? 0x04 : 0) | hr >> 7);
    out[1] = (uint8_t)(hr & 0x7F);
    out[2] = spo2_bits(v->spo2);
    out[3] = (uint8_t)((v->smartpoint ? 0x20 : 0) | (v->sensor_alarm ? 0x08 : 0) |
                       (v->low_battery ? 0x01 : 0));
    return 4;
}

/* Two decimal digits in a byte. */
static uint8_t bcd(unsigned n)
{
    return (uint8_t)(n / 10 % 10 << 4 | n % 10);
}

/* Header, 14 bytes of data, their sum, end. */
static size_t write_df13(const struct nonin_values *v, uint8_t *out)
{
    const struct device_time *t = &v->time;
    unsigned hr = pulse_bits(v->pulse);
    const uint8_t head[] = {0x00, 0x02, 0x00, 0x0D, 0x00, 0x0E};
    const uint8_t data[] = {
        bcd(t->year / 100U),
        bcd(t->year % 100U),
        bcd(t->month),
        bcd(t->day),
        bcd(t->hour),
        bcd(t->minute),
        bcd(t->second),
        0,
        (uint8_t)((v->smartpoint ? 0x02 : 0) | (v->no_measurement ? 0x01 : 0)),
        (uint8_t)((v->from_memory ? 0x10 : 0) | (v->low_battery ? 0x01 : 0)),
        (uint8_t)(hr >> 8),
        (uint8_t)hr,
        0,
        spo2_bits(v->spo2)};

    memcpy(out, head, sizeof(head));
    memcpy(out + sizeof(head), data, sizeof(data));
    out[sizeof(head) + sizeof(data)] = checksum_sum8(data, sizeof(data));
    out[sizeof(head) + sizeof(data) + 1] = 0x03;
    return sizeof(head) + sizeof(data) + 2;
}

/* Noise that is the same in every run: a small generator seeded by the burst's number. */
static size_t put_garbage(uint8_t *out, uint64_t seed, size_t size)
{
    uint32_t x = (uint32_t)seed * 2246822519U + 7;

    if (size > GARBAGE_MAX)
        size = GARBAGE_MAX;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525U + 1013904223U;
        out[i] = (uint8_t)(x >> 24);
    }
    return size;
}

/* Applies the script to a burst. Several faults may meet in one. */
static void spoil(const struct nonin_emulator *e, struct emulate_burst *burst)
{
    for (size_t i = 0; i < e->fault_count; i++) {
        const struct nonin_fault *f = &e->faults[i];
        uint8_t noise[GARBAGE_MAX];
        if ((f->burst != 0 && f->burst != e->bursts) || burst->size == 0)
            continue;
        size_t at = f->value % burst->size, bit = f->value % (burst->size * 8);
        size_t size = 0;
        switch (f->kind) {
        case NONIN_FAULT_GARBAGE:
            size = put_garbage(noise, e->bursts, f->value);
            memmove(burst->bytes + size, burst->bytes, burst->size);
            memcpy(burst->bytes, noise, size);
            burst->size += size;
            break;
        case NONIN_FAULT_DROP:
            burst->size--;
            memmove(burst->bytes + at, burst->bytes + at + 1, burst->size - at);
            break;
        case NONIN_FAULT_FLIP:
            burst->bytes[bit / 8] = (uint8_t)(burst->bytes[bit / 8] ^ 1U << (bit % 8));
            break;
        default:
            burst->size = 0;
        }
    }
}

/* How long until the next burst. */
static uint64_t period_us(const struct nonin_emulator *e)
{
    if (e->format == 8)
        return SECOND_US;
    return SECOND_US / 3 +
           (e->bursts % 3 == 0); /* three packets are one second exactly */
}

/* One burst into the output, spoilt as the script says; a silent one takes no place. */
static void make_burst(struct nonin_emulator *e, struct emulate_output *out)
{
    struct emulate_burst *burst = &out->bursts[out->count];

    burst->due_us = e->next_us;
    if (e->format == 8)
        burst->size = write_df8(&e->values, burst->bytes);
    else if (e->format == 13)
        burst->size = write_df13(&e->values, burst->bytes);
    else
        burst->size = write_packet(e, burst->bytes);
    e->bursts++;
    e->timer++;
    spoil(e, burst);
    out->count += burst->size > 0;
}

/* A caller that comes late gets what it missed, as far as the output reaches. */
void nonin_emulator_tick(void *state, uint64_t now_us, struct emulate_output *out,
                         uint64_t *again_us)
{
    struct nonin_emulator *e = state;

    if (e->format == 13) {
        *again_us = UINT64_MAX;
        if (e->measured && out->count < EMULATE_BURSTS_MAX) {
            e->next_us = now_us;
            e->measured = false;
            make_burst(e, out);
        }
        return;
    }
    while (e->next_us <= now_us && out->count < EMULATE_BURSTS_MAX) {
        make_burst(e, out);
        e->next_us += period_us(e);
    }
    *again_us = e->next_us;
}

/* A whole request: 02 op length data 03. */
static void request(struct nonin_emulator *e, uint64_t now_us, struct emulate_output *out)
{
    const uint8_t *b = e->buffer;
    uint8_t format = b[4];

    if (e->have != 6 || b[1] != 0x70 || b[2] != 2 || b[3] != 2 || b[5] != 0x03) {
        e->refused++;
        return;
    }
    bool known = format == 2 || format == 7 || format == 8 || format == 13;
    if (known) {
        e->selected++;
        e->format = format;
    }
    if (out->count < EMULATE_BURSTS_MAX)
        out->bursts[out->count++] = (struct emulate_burst){.due_us = now_us + ANSWER_US,
                                                           .size = 1,
                                                           .bytes = {known ? ACK : NAK}};
}

/* Waits for a whole request by its length byte; what cannot be one is dropped. */
void nonin_emulator_feed(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                         struct emulate_output *out)
{
    struct nonin_emulator *e = state;

    for (size_t i = 0; i < n; i++) {
        e->buffer[e->have++] = bytes[i];
        if (e->buffer[0] != 0x02) {
            e->have = 0;
        } else if (e->have >= 3 && e->buffer[2] > sizeof(e->buffer) - 4) {
            e->refused++;
            e->have = 0;
        } else if (e->have >= 3 && e->have == e->buffer[2] + 4U) {
            request(e, now_us, out);
            e->have = 0;
        }
    }
}

/* Takes effect with the next burst, as a measurement would. */
void nonin_emulator_set(struct nonin_emulator *emulator,
                        const struct nonin_values *values)
{
    emulator->values = *values;
}

/* One measurement is one frame: a second call before the tick replaces the first. */
void nonin_emulator_measure(struct nonin_emulator *emulator,
                            const struct nonin_values *values)
{
    emulator->values = *values;
    emulator->measured = true;
}

/* As a device that was switched on without a finger in it. */
void nonin_emulator_init(struct nonin_emulator *emulator, uint8_t format,
                         uint64_t start_us)
{
    memset(emulator, 0, sizeof(*emulator));
    emulator->format = format == 7 || format == 8 || format == 13 ? format : 2;
    emulator->next_us = start_us;
    emulator->values.pulse = NONIN_MISSING;
    emulator->values.spo2 = NONIN_MISSING;
}

const struct emulator nonin_line_emulator = {"nonin", nonin_emulator_feed,
                                             nonin_emulator_tick};
