/* SPDX-License-Identifier: Apache-2.0
 *
 * Framing by silence, and the table of functions; see modbus_server.h.
 */
#include "firmware/modbus_server.h"

#include <string.h>

#include "drivers/checksum.h"
#include "firmware/bytes.h"

#define EXCEPTION     0x80
#define REGISTERS_MAX 125
#define FILE_GROUP    7   /* bytes of a sub-request of function 20 */
#define FILE_TYPE     6   /* its reference type; there is no other */
#define FILE_DATA_MAX 245 /* bytes of a reply, by the standard */
#define MEI_DEVICE_ID 14
#define CONFORMITY    0x83 /* all three categories, single objects too */
#define FAST_BAUD     19200
#define FAST_T15_US   750
#define FAST_T35_US   1750

void modbus_reply_u8(struct modbus_reply *reply, uint8_t value)
{
    modbus_reply_bytes(reply, &value, 1);
}

void modbus_reply_u16(struct modbus_reply *reply, uint16_t value)
{
    uint8_t *at = modbus_reply_room(reply, 2);

    if (at != NULL)
        bytes_put16(at, value);
}

void modbus_reply_bytes(struct modbus_reply *reply, const void *bytes, size_t n)
{
    uint8_t *at = modbus_reply_room(reply, n);

    if (at != NULL)
        memcpy(at, bytes, n);
}

uint8_t *modbus_reply_room(struct modbus_reply *reply, size_t n)
{
    uint8_t *at = reply->bytes + reply->size;

    if (reply->failed || n > sizeof reply->bytes - reply->size) {
        reply->failed = true;
        return NULL;
    }
    reply->size += n;
    return at;
}

/* Functions 3 and 4: the same registers. Nothing here is written by anyone, so there is
 * no difference between holding and input registers to keep. */
static int read_registers(struct modbus_server *server, unsigned unit,
                          struct cursor *request, struct modbus_reply *reply)
{
    const struct modbus_source *source = &server->source;
    uint16_t address = cursor_be16(request), count = cursor_be16(request);
    uint8_t *out;

    if (!cursor_done(request) || count == 0 || count > REGISTERS_MAX)
        return MODBUS_BAD_VALUE;
    if ((uint32_t)address + count > 65536)
        return MODBUS_BAD_ADDRESS;
    modbus_reply_u8(reply, (uint8_t)(2 * count));
    out = modbus_reply_room(reply, (size_t)2 * count);
    if (out == NULL)
        return MODBUS_FAILED;
    return source->registers(source->context, unit, address, count, out)
               ? 0
               : MODBUS_BAD_ADDRESS;
}

/* Function 17: id, run indicator and text are the source's. */
static int report_id(struct modbus_server *server, unsigned unit, struct cursor *request,
                     struct modbus_reply *reply)
{
    if (!cursor_done(request))
        return MODBUS_BAD_VALUE;
    modbus_reply_u8(reply, 0);
    server->source.report(server->source.context, unit, reply);
    reply->bytes[1] = (uint8_t)(reply->size - 2);
    return 0;
}

/* Function 20: all sub-requests or none. Their number and the reply's size are judged
 * before anything is read. */
static int read_file(struct modbus_server *server, unsigned unit, struct cursor *request,
                     struct modbus_reply *reply)
{
    const struct modbus_source *source = &server->source;
    uint8_t size = cursor_u8(request);

    if (size == 0 || size % FILE_GROUP != 0 || size != cursor_remaining(request))
        return MODBUS_BAD_VALUE;
    modbus_reply_u8(reply, 0);
    while (cursor_remaining(request) > 0) {
        uint8_t type = cursor_u8(request);
        uint16_t file = cursor_be16(request), record = cursor_be16(request);
        uint16_t length = cursor_be16(request);
        uint8_t *out;

        if (type != FILE_TYPE)
            return MODBUS_BAD_ADDRESS;
        if (length == 0 || reply->size - 2 + 2 + (size_t)2 * length > FILE_DATA_MAX)
            return MODBUS_BAD_VALUE;
        modbus_reply_u8(reply, (uint8_t)(1 + 2 * length));
        modbus_reply_u8(reply, FILE_TYPE);
        out = modbus_reply_room(reply, (size_t)2 * length);
        if (out == NULL)
            return MODBUS_FAILED;
        if (!source->file(source->context, unit, file, record, length, out))
            return MODBUS_BAD_ADDRESS;
    }
    reply->bytes[1] = (uint8_t)(reply->size - 2);
    return 0;
}

/* Function 43/14. Objects that do not fit are for a second request that begins at the
 * first of them. An unknown first object begins at 0, as the standard has it. */
static int device_id(struct modbus_server *server, unsigned unit, struct cursor *request,
                     struct modbus_reply *reply)
{
    static const uint8_t last[] = {0, 0x02, 0x7F, 0xFF};
    const struct modbus_source *source = &server->source;
    uint8_t type = cursor_u8(request), code = cursor_u8(request),
            first = cursor_u8(request), count = 0;
    const char *text = source->object(source->context, unit, first);

    if (type != MEI_DEVICE_ID)
        return MODBUS_BAD_FUNCTION;
    if (!cursor_done(request) || code < 1 || code > 4)
        return MODBUS_BAD_VALUE;
    if (code == 4 && text == NULL)
        return MODBUS_BAD_ADDRESS;
    if (text == NULL || (code < 4 && first > last[code]))
        first = 0;
    modbus_reply_bytes(reply, (uint8_t[]){type, code, CONFORMITY, 0, 0, 0}, 6);
    for (unsigned id = first; id <= (code == 4 ? first : last[code]); id++) {
        size_t n;

        text = source->object(source->context, unit, (uint8_t)id);
        if (text == NULL)
            continue;
        n = strnlen(text, MODBUS_PDU_MAX - 9);
        if (n + 2 > sizeof reply->bytes - reply->size) {
            reply->bytes[4] = 0xFF; /* more follows */
            reply->bytes[5] = (uint8_t)id;
            break;
        }
        modbus_reply_u8(reply, (uint8_t)id);
        modbus_reply_u8(reply, (uint8_t)n);
        modbus_reply_bytes(reply, text, n);
        count++;
    }
    reply->bytes[6] = count;
    return 0;
}

/* Our own function, whoever attached it. */
static int user_function(struct modbus_server *server, unsigned unit,
                         struct cursor *request, struct modbus_reply *reply)
{
    return server->source.user_function(server->source.user_context, unit, request,
                                        reply);
}

typedef int (*handler)(struct modbus_server *server, unsigned unit,
                       struct cursor *request, struct modbus_reply *reply);

/* NULL: a function that this node does not have. */
static handler handler_of(const struct modbus_source *source, uint8_t function)
{
    const struct {
        uint8_t function;
        bool there;
        handler handler;
    } table[] = {
        {3, source->registers != NULL, read_registers},
        {4, source->registers != NULL, read_registers},
        {17, source->report != NULL, report_id},
        {20, source->file != NULL, read_file},
        {43, source->object != NULL, device_id},
        {source->user_code, source->user_function != NULL, user_function},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].function == function && table[i].there)
            return table[i].handler;
    return NULL;
}

/* A good frame for one of our units. */
static size_t answer(struct modbus_server *server, uint8_t *out)
{
    struct modbus_reply reply = {.size = 0};
    struct cursor request = cursor_make(server->frame, server->have - 2);
    uint8_t address = cursor_u8(&request), function = cursor_u8(&request);
    handler handle = handler_of(&server->source, function);
    int result = MODBUS_BAD_FUNCTION;
    uint16_t check;

    server->count.requests++;
    modbus_reply_u8(&reply, function);
    if (handle != NULL)
        result = handle(server, (unsigned)(address - server->setting.address), &request,
                        &reply);
    if (result == MODBUS_SILENT)
        return 0;
    if (result == 0 && reply.failed)
        result = MODBUS_FAILED;
    if (result != 0) {
        server->count.exceptions++;
        reply.bytes[0] = function | EXCEPTION;
        reply.bytes[1] = (uint8_t)result;
        reply.size = 2;
    }
    out[0] = address;
    memcpy(out + 1, reply.bytes, reply.size);
    check = checksum_modbus(out, reply.size + 1);
    out[reply.size + 1] = (uint8_t)check; /* the low byte first, unlike all else */
    out[reply.size + 2] = (uint8_t)(check >> 8);
    return reply.size + 3;
}

/* The frame that silence has ended. */
static size_t judge(struct modbus_server *server, uint8_t *out)
{
    const struct modbus_setting *setting = &server->setting;
    struct modbus_count *count = &server->count;
    const uint8_t *f = server->frame;
    size_t n = server->have;
    uint16_t check;

    count->frames++;
    if (server->overrun) {
        count->too_long++;
        return 0;
    }
    if (server->spoilt) {
        count->gaps++;
        return 0;
    }
    check = n < 4 ? 0 : checksum_modbus(f, n - 2);
    if (n < 4 || f[n - 2] != (uint8_t)check || f[n - 1] != check >> 8) {
        count->crc++;
        return 0;
    }
    if (f[0] == 0) {
        count->broadcasts++;
        return 0;
    }
    if (f[0] < setting->address || f[0] - setting->address >= setting->units) {
        count->others++;
        return 0;
    }
    return answer(server, out);
}

void modbus_server_times(const struct hal_line *line, uint32_t late_us,
                         struct modbus_setting *setting)
{
    uint32_t bits = 9u + line->stop_bits + (line->parity != HAL_PARITY_NONE);
    bool fast = line->baud > FAST_BAUD;

    setting->char_us = (bits * 1000000 + line->baud - 1) / line->baud;
    setting->t15_us = (fast ? FAST_T15_US : setting->char_us * 3 / 2) + late_us;
    setting->t35_us = (fast ? FAST_T35_US : setting->char_us * 7 / 2) + late_us;
}

void modbus_server_init(struct modbus_server *server,
                        const struct modbus_setting *setting,
                        const struct modbus_source *source)
{
    memset(server, 0, sizeof *server);
    server->setting = *setting;
    server->source = *source;
}

/* A gap is measured between the ends of two bytes: the silence in it is a character less.
 * It was rounded down, so a legal one is never called too long. */
void modbus_server_feed(struct modbus_server *server, const struct serial_byte *bytes,
                        size_t n, uint64_t heard_us)
{
    const struct modbus_setting *setting = &server->setting;

    for (size_t i = 0; i < n; i++) {
        uint32_t gap_us = (uint32_t)bytes[i].gap * SERIAL_GAP_US;

        if (server->have > 0 && gap_us > setting->t35_us + setting->char_us) {
            /* Whoever sends anew does not wait for the answer to this any more. */
            server->count.overtaken++;
            modbus_server_forget(server);
        } else if (server->have > 0 && gap_us > setting->t15_us + setting->char_us) {
            server->spoilt = true;
        }
        if (server->have < sizeof server->frame)
            server->frame[server->have++] = bytes[i].byte;
        else
            server->overrun = true;
    }
    server->heard_us = heard_us;
}

uint64_t modbus_server_due_us(const struct modbus_server *server)
{
    return server->have == 0 ? UINT64_MAX : server->heard_us + server->setting.t35_us;
}

size_t modbus_server_poll(struct modbus_server *server, uint64_t now_us, uint8_t *out)
{
    size_t n;

    if (now_us < modbus_server_due_us(server))
        return 0;
    n = judge(server, out);
    modbus_server_forget(server);
    return n;
}

void modbus_server_forget(struct modbus_server *server)
{
    server->have = 0;
    server->spoilt = server->overrun = false;
}
