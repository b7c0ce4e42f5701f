/* SPDX-License-Identifier: Apache-2.0
 *
 * What the bus sees of a node: registers, files, identity. REGISTERS.md says the same for
 * people; the two are held together by tests/unit/firmware_show_test.c.
 */
#include "firmware/node.h"

#include <string.h>

#include "firmware/bytes.h"

#define TEXT_REGISTERS    8
#define CHANNEL_REGISTERS 16
#define FILE_RECORDS      10000 /* registers of a file, by the standard */
#define FILES             65535
#define SERVER_ID         0x57
#define RUNNING           0xFF

struct writer { /* one block being rendered; blocks have their size */
    uint8_t *at;
};

static void put16(struct writer *w, uint32_t value)
{
    bytes_put16(w->at, (uint16_t)value);
    w->at += 2;
}

static void put32(struct writer *w, uint32_t value)
{
    bytes_put32(w->at, value);
    w->at += 4;
}

static void put64(struct writer *w, uint64_t value)
{
    put32(w, (uint32_t)(value >> 32));
    put32(w, (uint32_t)value);
}

/* 16 characters, 0 behind the end. */
static void put_text(struct writer *w, const char *text)
{
    size_t n = strnlen(text, (size_t)2 * TEXT_REGISTERS);

    memset(w->at, 0, (size_t)2 * TEXT_REGISTERS);
    memcpy(w->at, text, n);
    w->at += (size_t)2 * TEXT_REGISTERS;
}

static const char *driver_name(const struct node *node, unsigned unit)
{
    const struct driver *driver = node->adapters[unit].driver;

    return driver != NULL ? driver->name : "";
}

static void show_identity(const struct node *node, unsigned unit, struct writer *w)
{
    put16(w, 0x5747); /* "WG" */
    put16(w, NODE_MAP_VERSION);
    put_text(w, "wardgate");
    put_text(w, node->board);
    put_text(w, node->serial);
    put_text(w, WARDGATE_VERSION);
    put16(w, unit + 1);
    put16(w, node->units);
    put_text(w, driver_name(node, unit));
}

static void show_samples(const struct node *node, unsigned unit, struct writer *w)
{
    const struct samples *s = &node->samples[unit];
    uint32_t registers = (uint32_t)samples_size(s) / 2;

    put32(w, node->memory.boot);
    put32(w, s->series);
    put32(w, s->next);
    put32(w, s->first);
    put32(w, node->boot_first[unit]);
    put16(w, registers);
    put16(w, FILE_RECORDS / registers);
    put32(w, s->capacity);
    put32(w, s->too_large);
}

static void show_state(const struct node *node, unsigned unit, struct writer *w)
{
    const struct node_memory *m = &node->memory;
    uint64_t up = node->now_us;

    (void)unit;
    put64(w, up / 1000);
    put16(w, node->cause);
    put16(w, m->watchdogs);
    put16(w, m->brown_outs);
    put16(w, m->faults);
    put16(w, m->fault.kind);
    put32(w, m->fault.pc);
    put32(w, m->fault.lr);
    put32(w, m->fault.status);
    put32(w, m->fault_boot);
    put16(w, up > 0 ? (uint32_t)(node->slept_us * 1000 / up) : 0);
    put32(w, node->turn_max_us);
    put32(w, node->stack_used);
    put32(w, node->stack_size);
}

static void show_bus(const struct node *node, unsigned unit, struct writer *w)
{
    const struct modbus_count *c = &node->server.count;
    const struct serial_count *s = &node->lines[HAL_BUS];

    (void)unit;
    put32(w, s->in);
    put32(w, s->out);
    put32(w, s->overruns);
    put32(w, s->errors);
    put32(w, c->frames);
    put32(w, c->crc);
    put32(w, c->gaps);
    put32(w, c->too_long);
    put32(w, c->broadcasts);
    put32(w, c->others);
    put32(w, c->requests);
    put32(w, c->exceptions);
    put32(w, c->overtaken);
    put32(w, c->delay_max_us);
}

static void show_port(const struct node *node, unsigned unit, struct writer *w)
{
    const struct adapter *a = &node->adapters[unit];
    const struct serial_count *s = &node->lines[unit + 1];

    put16(w, a->state);
    put16(w, (uint32_t)a->channel_count);
    put32(w, s->in);
    put32(w, s->out);
    put32(w, s->overruns);
    put32(w, s->errors);
    put32(w, a->count.sets);
    put32(w, a->count.sent);
    put32(w, a->count.refused);
    for (unsigned i = 0; i < DRIVER_FAULTS; i++)
        put32(w, a->count.faults[i]);
}

/* A channel that has nothing is all 0, and so is its kind: absent. */
static void show_channels(const struct node *node, unsigned unit, struct writer *w)
{
    const struct adapter *a = &node->adapters[unit];
    uint64_t age_ms = node->now_us / 1000 - a->set_ms;

    memset(w->at, 0, (size_t)2 * CHANNEL_REGISTERS * ADAPTER_CHANNELS);
    for (size_t i = 0; i < a->channel_count; i++) {
        const struct adapter_channel *c = &a->channels[i];

        put32(w, c->code);
        put32(w, c->unit);
        put64(w, (uint64_t)c->mantissa);
        put16(w, (uint32_t)c->exponent);
        put16(w, c->kind);
        put16(w, c->quality);
        put16(w, 0);
        put32(w, age_ms < UINT32_MAX ? (uint32_t)age_ms : UINT32_MAX);
        put32(w, a->sample);
    }
}

/* Blocks are rendered whole and the part that was asked for is given, so that a number of
 * more than one register is never of two instants. */
static const struct block {
    uint16_t address, count;
    void (*show)(const struct node *node, unsigned unit, struct writer *w);
} blocks[] = {
    {0x0000, 44, show_identity},
    {0x0100, 16, show_samples},
    {0x0120, 24, show_state},
    {0x0140, 28, show_bus},
    {0x0160, 24, show_port},
    {0x0200, CHANNEL_REGISTERS *ADAPTER_CHANNELS, show_channels},
};
#define BLOCK_MAX (CHANNEL_REGISTERS * ADAPTER_CHANNELS) /* registers of the largest */

static bool registers(void *context, unsigned unit, uint16_t address, uint16_t count,
                      uint8_t *out)
{
    uint8_t bytes[2 * BLOCK_MAX];

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        const struct block *b = &blocks[i];
        struct writer w = {.at = bytes};

        if (address < b->address || address + count > b->address + b->count)
            continue;
        b->show(context, unit, &w);
        memcpy(out, bytes + (size_t)2 * (address - b->address), (size_t)2 * count);
        return true;
    }
    return false;
}

/* The number that a place in a file means now: the one in the ring. Files begin again
 * after 65,535 of them, far more than any ring holds. */
static bool number_of(const struct samples *samples, uint16_t file, uint16_t index,
                      uint32_t per_file, uint32_t *number)
{
    uint64_t round = (uint64_t)FILES * per_file;
    uint64_t place = (uint64_t)(file - 1) * per_file + index;
    uint64_t ahead = (place + round - samples->first % round) % round;

    *number = samples->first + (uint32_t)ahead;
    return ahead < samples->next - samples->first;
}

/* Whole samples only, of one file. */
static bool file_records(void *context, unsigned unit, uint16_t file, uint16_t record,
                         uint16_t length, uint8_t *out)
{
    const struct node *node = context;
    const struct samples *samples = &node->samples[unit];
    size_t size = samples_size(samples);
    uint16_t registers_each = (uint16_t)(size / 2);
    uint32_t per_file = FILE_RECORDS / registers_each, number;
    uint16_t count = length / registers_each;

    if (file == 0 || record % registers_each != 0 || length % registers_each != 0 ||
        (uint32_t)record / registers_each + count > per_file ||
        !number_of(samples, file, record / registers_each, per_file, &number) ||
        !samples_has(samples, number + count - 1))
        return false;
    for (uint16_t i = 0; i < count; i++)
        samples_write(samples, number + i, node->now_us / 1000, out + i * size);
    return true;
}

static void report(void *context, unsigned unit, struct modbus_reply *reply)
{
    const struct node *node = context;
    const char *const words[] = {"wardgate ",  node->board, " ",
                                 node->serial, " ",         WARDGATE_VERSION};

    (void)unit;
    modbus_reply_u8(reply, SERVER_ID);
    modbus_reply_u8(reply, RUNNING);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        modbus_reply_bytes(reply, words[i], strlen(words[i]));
}

static const char *object(void *context, unsigned unit, uint8_t id)
{
    const struct node *node = context;

    switch (id) {
    case 0x00:
        return "wardgate";
    case 0x01:
        return node->board;
    case 0x02:
        return WARDGATE_VERSION;
    case 0x04:
        return "wardgate bed node";
    case 0x80:
        return node->serial;
    case 0x81:
        return driver_name(node, unit);
    default:
        return NULL;
    }
}

void node_source(struct node *node, struct modbus_source *source)
{
    *source = (struct modbus_source){
        .context = node,
        .registers = registers,
        .file = file_records,
        .report = report,
        .object = object,
    };
}
