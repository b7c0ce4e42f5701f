/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated S/5 monitor; see dri.h. It knows nothing of the decoder.
 */
#include "drivers/emulate/dri.h"

#include "drivers/decimal.h"

#include <string.h>

#define FLAG           0x7E
#define ESCAPE         0x7D
#define HEADER         40
#define REQUEST        49 /* bytes of a request's record */
#define KIND_AT        40 /* in a request: what is wanted, how often, which classes */
#define INTERVAL_AT    41
#define CLASSES_AT     43
#define TYPE_AT        18 /* of the first subrecord, in the header */
#define KIND_SHOWN     1
#define INTERVAL_LEAST 5
#define SECOND_US      UINT64_C(1000000)
#define GROUP_HEADER   6
#define BITS_ON_LINE   3u /* exists, active */

/* The names that recordings use. The module's own label and status come with it. */
static const struct value {
    const char *name;
    uint16_t group;
    uint8_t place;
    uint8_t decimals;
    uint32_t status;
    uint16_t label;
} values[] = {
    {"HR", DRI_ECG, 0, 0, 1 << 3, 0x0120}, {"RESP", DRI_ECG, 4, 0, 1 << 3, 0x0120},
    {"ABPSys", DRI_P1, 0, 2, 0, 8},        {"ABPDias", DRI_P1, 1, 2, 0, 8},
    {"ABPMean", DRI_P1, 2, 2, 0, 8},       {"CVP", DRI_P2, 2, 2, 0, 2},
    {"ICP", DRI_P3, 2, 2, 0, 7},           {"NBPSys", DRI_CUFF, 0, 2, 0, 3},
    {"NBPDias", DRI_CUFF, 1, 2, 0, 3},     {"NBPMean", DRI_CUFF, 2, 2, 0, 3},
    {"TEMP", DRI_T1, 0, 2, 0, 5},          {"SpO2", DRI_SPO2, 0, 2, 0, 0},
    {"PULSE", DRI_SPO2, 1, 0, 0, 0},       {"etCO2%", DRI_CO2, 0, 2, 0, 1},
    {"FiO2", DRI_O2, 1, 2, 0, 0},          {"PEEP", DRI_FLOW, 2, 2, 0, 0},
};

static void put16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value & 0xFFFF);
    put16(at + 2, value >> 16);
}

void dri_emulator_module(struct dri_emulator *emulator, enum dri_group group,
                         uint32_t status, uint16_t label)
{
    put32(emulator->body + group, status | BITS_ON_LINE);
    put16(emulator->body + group + 4, label);
}

void dri_emulator_number(struct dri_emulator *emulator, enum dri_group group,
                         size_t place, int number)
{
    put16(emulator->body + group + GROUP_HEADER + 2 * place, (unsigned)number & 0xFFFF);
}

int dri_emulator_show(void *state, const char *name, const char *text)
{
    struct decimal value = {DRI_NO_DATA, 0};
    struct dri_emulator *emulator = state;
    const struct value *v = values;

    while (v < values + sizeof(values) / sizeof(values[0]) && strcmp(v->name, name) != 0)
        v++;
    if (v == values + sizeof(values) / sizeof(values[0]))
        return EMULATE_NO_FIELD;
    if (text[0] != '\0') {
        if (decimal_parse(text, &value) != DECIMAL_OK)
            return EMULATE_SYNTAX;
        if (decimal_rescale(value, -v->decimals, &value) != DECIMAL_OK)
            return EMULATE_INEXACT;
        if (value.mantissa < -32000 || value.mantissa > INT16_MAX)
            return EMULATE_RANGE;
    }
    dri_emulator_module(emulator, (enum dri_group)v->group, v->status, v->label);
    dri_emulator_number(emulator, (enum dri_group)v->group, v->place,
                        (int)value.mantissa);
    return EMULATE_OK;
}

/* One byte of the record, stuffed. */
static size_t stuff(uint8_t byte, uint8_t *out)
{
    if (byte != FLAG && byte != ESCAPE) {
        out[0] = byte;
        return 1;
    }
    out[0] = ESCAPE;
    out[1] = byte & 0xDF;
    return 2;
}

size_t dri_emulator_record(const struct dri_emulator *emulator, uint8_t *out)
{
    uint8_t record[DRI_EMULATOR_RECORD] = {0};
    uint8_t sum = 0;
    size_t n = 0;

    put16(record, sizeof(record));
    record[2] = (uint8_t)emulator->records;
    record[3] = 0x07; /* interface level '02 */
    put32(record + 6, emulator->clock);
    record[TYPE_AT - 2] = record[TYPE_AT - 1] = 0;
    record[TYPE_AT] = KIND_SHOWN;
    record[TYPE_AT + 3] = 0xFF;
    put32(record + HEADER, emulator->clock);
    memcpy(record + HEADER + 4, emulator->body, sizeof(emulator->body));
    out[n++] = FLAG;
    for (size_t i = 0; i < sizeof(record); i++) {
        sum = (uint8_t)(sum + record[i]);
        n += stuff(record[i], out + n);
    }
    n += stuff(sum, out + n);
    out[n++] = FLAG;
    return n;
}

/* A whole frame without its flags and stuffing: a request, or something else. */
static void request(struct dri_emulator *e, uint64_t now_us)
{
    const uint8_t *f = e->frame;
    unsigned interval = 0;
    uint8_t sum = 0;

    for (size_t i = 0; i < REQUEST && e->have == REQUEST + 1; i++)
        sum = (uint8_t)(sum + f[i]);
    if (e->have != REQUEST + 1 || f[0] != REQUEST || sum != f[REQUEST] ||
        f[TYPE_AT] != 0 || f[KIND_AT] != KIND_SHOWN || f[CLASSES_AT] != 0) {
        e->refused++;
        return;
    }
    interval = f[INTERVAL_AT] | (unsigned)f[INTERVAL_AT + 1] << 8;
    if (interval > 0 && interval < INTERVAL_LEAST) {
        e->refused++;
        return;
    }
    e->requests++;
    e->interval_us = interval * SECOND_US;
    e->next_us = now_us;
}

void dri_emulator_feed(void *emulator, const uint8_t *bytes, size_t n, uint64_t now_us,
                       struct emulate_output *out)
{
    struct dri_emulator *e = emulator;

    (void)out; /* records leave by tick */
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == FLAG) {
            if (e->have > 0)
                request(e, now_us);
            e->have = 0;
        } else if (e->have < sizeof(e->frame)) {
            e->frame[e->have++] = bytes[i]; /* no request has a byte that is stuffed */
        }
    }
}

void dri_emulator_tick(void *emulator, uint64_t now_us, struct emulate_output *out,
                       uint64_t *again_us)
{
    struct dri_emulator *e = emulator;
    uint8_t wire[DRI_EMULATOR_WIRE];
    size_t n, parts;

    *again_us = e->interval_us ? e->next_us : UINT64_MAX;
    if (*again_us > now_us)
        return;
    n = dri_emulator_record(e, wire);
    parts = (n + EMULATE_BURST_MAX - 1) / EMULATE_BURST_MAX;
    if (out->count + parts > EMULATE_BURSTS_MAX)
        return;
    if (e->flip > 0 && e->flip <= n * 8) {
        wire[(e->flip - 1) / 8] ^= (uint8_t)(1u << (e->flip - 1) % 8);
        e->flip = 0;
    }
    for (size_t at = 0; at < n;) {
        struct emulate_burst *burst = &out->bursts[out->count++];
        burst->due_us = e->next_us;
        burst->size = n - at < EMULATE_BURST_MAX ? n - at : EMULATE_BURST_MAX;
        memcpy(burst->bytes, wire + at, burst->size);
        at += burst->size;
    }
    e->records++;
    e->clock += (uint32_t)(e->interval_us / SECOND_US);
    e->next_us += e->interval_us;
    *again_us = e->next_us;
}

/* No module anywhere: every status 0, every number "no data". */
void dri_emulator_start(void *state, uint64_t start_us)
{
    static const struct {
        uint16_t at, size;
    } groups[] = {{0, 16},   {16, 14},  {30, 14},  {44, 14},  {58, 14},  {72, 14},
                  {86, 8},   {94, 8},   {102, 8},  {110, 8},  {118, 14}, {132, 14},
                  {146, 10}, {156, 10}, {166, 12}, {178, 22}, {200, 14}, {214, 12},
                  {232, 8},  {240, 14}, {254, 14}};

    struct dri_emulator *emulator = state;

    memset(emulator, 0, sizeof(*emulator));
    emulator->next_us = start_us;
    emulator->clock = 1784728977; /* 2026-07-22 */
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
        for (size_t at = GROUP_HEADER; at < groups[i].size; at += 2)
            put16(emulator->body + groups[i].at + at, (unsigned)DRI_NO_DATA & 0xFFFF);
    for (size_t at = 226; at < 232; at += 2) /* the ECG's further rates have no header */
        put16(emulator->body + at, (unsigned)DRI_NO_DATA & 0xFFFF);
}

const struct emulator dri_line_emulator = {"dri", dri_emulator_feed, dri_emulator_tick};
