/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's Modbus server: bytes with arbitrary gaps, and frames whose check is made
 * good so that the functions are reached. Whatever comes, a reply is a frame of at most
 * 256 bytes whose check holds, from the unit and of the function that was asked; and the
 * sources behind it are asked only for what their contract says.
 */
#include "firmware/modbus_server.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/checksum.h"

#define ADDRESS 10
#define UNITS   3
#define USER    0x41

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool registers(void *context, unsigned unit, uint16_t address, uint16_t count,
                      uint8_t *out)
{
    (void)context;
    must(unit < UNITS && count >= 1 && count <= 125 && address + count <= 65536);
    if (address >= 0x8000)
        return false;
    memset(out, unit == 0 ? 0x55 : 0xAA, (size_t)2 * count);
    return true;
}

static bool file(void *context, unsigned unit, uint16_t number, uint16_t record,
                 uint16_t length, uint8_t *out)
{
    (void)context;
    must(unit < UNITS && length >= 1 && length <= 122);
    if (number == 0 || record >= 10000)
        return false;
    memset(out, 0x33, (size_t)2 * length);
    return true;
}

static void report(void *context, unsigned unit, struct modbus_reply *reply)
{
    (void)context;
    must(unit < UNITS);
    modbus_reply_u8(reply, 0xFF);
    modbus_reply_bytes(reply, "node", 4);
}

/* Texts of every length up to more than fits. */
static const char *object(void *context, unsigned unit, uint8_t id)
{
    static char text[301];

    (void)context;
    must(unit < UNITS);
    if (id > 2 && id < 0x80)
        return NULL;
    memset(text, 'x', sizeof(text));
    text[id < 0x90 ? id % 0x80 * 20 : sizeof(text) - 1] = '\0';
    return text;
}

/* Says what it is told to say: the first byte is the result, the second a size. */
static int user(void *context, unsigned unit, struct cursor *request,
                struct modbus_reply *reply)
{
    static const int results[] = {0, 0, 0, MODBUS_SILENT, MODBUS_FAILED, MODBUS_BUSY};
    uint8_t result = cursor_u8(request), n = cursor_u8(request);

    (void)context;
    must(unit < UNITS);
    for (unsigned i = 0; i < n; i++)
        modbus_reply_u16(reply, (uint16_t)i);
    return results[result % (sizeof(results) / sizeof(results[0]))];
}

static void check_reply(const struct modbus_server *server, const uint8_t *frame,
                        size_t asked, const uint8_t *out, size_t n)
{
    uint16_t crc;

    must(n >= 4 && n <= MODBUS_FRAME_MAX && asked >= 4 && !server->spoilt);
    crc = checksum_modbus(out, n - 2);
    must(out[n - 2] == (uint8_t)crc && out[n - 1] == crc >> 8);
    must(out[0] == frame[0] && out[0] >= ADDRESS && out[0] < ADDRESS + UNITS);
    must(out[1] == frame[1] || (out[1] == (frame[1] | 0x80) && n == 5));
    if (n == 5 && out[1] == (frame[1] | 0x80))
        must(out[2] >= 1 && out[2] <= 6);
    else if (frame[1] == 3 || frame[1] == 4 || frame[1] == 17 || frame[1] == 20)
        must(out[2] == n - 5); /* the byte count is the reply's */
}

/* Silence, and what comes of it. */
static void end_frame(struct modbus_server *server, uint64_t *now)
{
    uint8_t frame[MODBUS_FRAME_MAX], *out = malloc(MODBUS_FRAME_MAX);
    size_t asked = server->have, n;
    bool bad = server->spoilt || server->overrun;

    must(out != NULL);
    memcpy(frame, server->frame, asked);
    must(modbus_server_poll(server, *now, out) == 0 || server->setting.t35_us == 0);
    *now += server->setting.t35_us;
    n = modbus_server_poll(server, *now, out);
    must(!bad || n == 0);
    if (n > 0)
        check_reply(server, frame, asked, out, n);
    must(server->have == 0 && modbus_server_due_us(server) == UINT64_MAX);
    free(out);
}

static void feed_frame(struct modbus_server *server, struct cursor *in, uint64_t *now)
{
    size_t n = cursor_u8(in);
    uint8_t frame[MODBUS_FRAME_MAX + 2];
    struct serial_byte bytes[MODBUS_FRAME_MAX + 2];
    uint16_t crc;

    if (n > cursor_remaining(in))
        n = cursor_remaining(in);
    for (size_t i = 0; i < n; i++)
        frame[i] = cursor_u8(in);
    crc = checksum_modbus(frame, n);
    frame[n] = (uint8_t)crc;
    frame[n + 1] = (uint8_t)(crc >> 8);
    for (size_t i = 0; i < n + 2; i++)
        bytes[i] = (struct serial_byte){frame[i], 0};
    modbus_server_feed(server, bytes, n + 2, *now);
    end_frame(server, now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct modbus_source source = {.registers = registers,
                                         .file = file,
                                         .report = report,
                                         .object = object,
                                         .user_code = USER,
                                         .user_function = user};
    struct hal_line line = {9600, 8, HAL_PARITY_EVEN, 1};
    struct modbus_setting setting = {.address = ADDRESS, .units = UNITS};
    struct cursor in = cursor_make(data, size);
    struct modbus_server server;
    uint64_t now = 1000000;

    modbus_server_times(&line, 0, &setting);
    modbus_server_init(&server, &setting, &source);
    while (cursor_remaining(&in) > 0) {
        uint8_t what = cursor_u8(&in) % 3, n;
        now += setting.char_us;
        if (what == 0) {
            modbus_server_forget(&server);
            feed_frame(&server, &in, &now);
        } else if (what == 1) {
            n = cursor_u8(&in);
            for (unsigned i = 0; i < n && cursor_remaining(&in) > 0; i++) {
                struct serial_byte byte = {cursor_u8(&in), cursor_u8(&in)};
                modbus_server_feed(&server, &byte, 1, now);
            }
            must(server.have <= MODBUS_FRAME_MAX);
        } else if (server.have > 0) {
            end_frame(&server, &now);
        }
    }
    must(server.count.exceptions <= server.count.requests &&
         server.count.requests + server.count.crc + server.count.gaps +
                 server.count.too_long + server.count.broadcasts + server.count.others ==
             server.count.frames);
    return 0;
}
