/* SPDX-License-Identifier: Apache-2.0
 *
 * RTU and ASCII frames behind one face, so that the exchange on a line (modbus_rtu.c) is
 * written once. All that is foreign here is read by an index that was compared with the
 * length in the same expression.
 */
#include "ports/modbus_framing.h"

#include <string.h>

#include "ports/modbus_frame.h"

#define CRC_SIZE 2
/* Unit and function: the request of function 17. No reply is so short. */
#define BODY_MIN 2
/* Unit, function and one byte. */
#define REPLY_MIN 3
/* A USB adapter hands bytes over in lumps up to 16 ms apart. */
#define RTU_REST_US 30000
/* Between two characters of an ASCII frame a second may pass. */
#define ASCII_REST_US 1000000
#define COLON         ':'

/* --- RTU --- */

static size_t rtu_seal(const uint8_t *body, size_t n, uint8_t *out)
{
    memcpy(out, body, n);
    modbus_frame_seal(out, n);
    return n + CRC_SIZE;
}

static const uint8_t *rtu_open(const uint8_t *bytes, size_t n, uint8_t *room,
                               size_t *size)
{
    (void)room;
    if (n < REPLY_MIN + CRC_SIZE || !modbus_frame_crc(bytes, n))
        return NULL;
    *size = n - CRC_SIZE;
    return bytes;
}

const struct modbus_framing modbus_rtu_framing = {.max = MODBUS_RTU_MAX,
                                                  .around = CRC_SIZE,
                                                  .each = 1,
                                                  .rest_us = RTU_REST_US,
                                                  .seal = rtu_seal,
                                                  .length = modbus_frame_length,
                                                  .open = rtu_open};

/* --- ASCII --- */

/* Upper case, as the standard has it; some devices send lower case. -1: no digit. */
static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t ascii_seal(const uint8_t *body, size_t n, uint8_t *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t at = 0;
    uint8_t sum = 0;

    out[at++] = COLON;
    for (size_t i = 0; i <= n; i++) {
        uint8_t byte = i < n ? body[i] : (uint8_t)-sum;

        sum = (uint8_t)(sum + byte);
        out[at++] = (uint8_t)digits[byte >> 4];
        out[at++] = (uint8_t)digits[byte & 15];
    }
    out[at++] = '\r';
    out[at++] = '\n';
    return at;
}

/* Ends with CR LF. What does not begin with a colon, has a colon within, or is longer
 * than any frame is none. */
static size_t ascii_length(const uint8_t *bytes, size_t have)
{
    if (have > 0 && bytes[0] != COLON)
        return MODBUS_ASCII_MAX + 1;
    for (size_t i = 1; i < have && i < MODBUS_ASCII_MAX; i++) {
        if (bytes[i] == COLON)
            return MODBUS_ASCII_MAX + 1;
        if (bytes[i] == '\n')
            return i + 1;
    }
    return have < MODBUS_ASCII_MAX ? 0 : MODBUS_ASCII_MAX + 1;
}

/* Every character must be what it should be: digits in pairs, one CR, one LF. The sum of
 * all bytes with the LRC is 0. */
static const uint8_t *ascii_open(const uint8_t *bytes, size_t n, uint8_t *room,
                                 size_t *size)
{
    uint8_t sum = 0;
    size_t count = 0;

    if (n < 1 + 2 * (BODY_MIN + 1) + 2 || n > MODBUS_ASCII_MAX || n % 2 == 0 ||
        bytes[0] != COLON || bytes[n - 2] != '\r' || bytes[n - 1] != '\n')
        return NULL;
    for (size_t at = 1; at + 2 < n; at += 2) {
        int high = digit(bytes[at]), low = digit(bytes[at + 1]);

        if (high < 0 || low < 0)
            return NULL;
        sum = (uint8_t)(sum + (high << 4 | low));
        if (at + 4 < n)
            room[count++] = (uint8_t)(high << 4 | low);
    }
    *size = count;
    return sum == 0 ? room : NULL;
}

const struct modbus_framing modbus_ascii_framing = {.max = MODBUS_ASCII_MAX,
                                                    .around = 5,
                                                    .each = 2,
                                                    .weak = true,
                                                    .rest_us = ASCII_REST_US,
                                                    .seal = ascii_seal,
                                                    .length = ascii_length,
                                                    .open = ascii_open};

/* Check, unit, shape, and nothing behind it: in the order in which each says most. */
int modbus_framing_judge(const struct modbus_framing *framing,
                         const struct port_modbus_request *request, const uint8_t *bytes,
                         size_t n, uint8_t *room, const uint8_t **data, size_t *size)
{
    size_t length = framing->length(bytes, n), body_size;
    const uint8_t *body;
    int match;

    if (length == 0 || length > n)
        return 1;
    body = framing->open(bytes, length, room, &body_size);
    if (body == NULL)
        return PORT_CRC;
    if (body[0] != request->unit)
        return PORT_FOREIGN;
    match = modbus_frame_match(request, body + 1, body_size - 1, data, size);
    if (match == PORT_LENGTH)
        return PORT_LENGTH;
    return n > length ? PORT_TRAILING : match;
}

/* For what was thrown away: which of it was a frame at all, whose, and whether the answer
 * that was waited for is among it. A byte that begins no good frame is passed over and
 * counted as unread. */
bool modbus_framing_scan(const struct modbus_framing *framing,
                         const struct port_modbus_request *request, const uint8_t *bytes,
                         size_t n, struct port_modbus_strays *strays)
{
    bool answer = false;
    size_t at = 0;

    strays->bytes += (uint32_t)n;
    strays->unread += (uint32_t)n;
    while (at + 5 <= n) {
        uint8_t room[MODBUS_BODY_MAX];
        size_t length = framing->length(bytes + at, n - at);
        const uint8_t *body = NULL, *data;
        size_t size, data_size;

        if (length != 0 && length <= n - at)
            body = framing->open(bytes + at, length, room, &size);
        if (body == NULL) {
            at++;
            continue;
        }
        strays->units[body[0] / 64] |= UINT64_C(1) << body[0] % 64;
        strays->unread -= (uint32_t)length;
        if (request != NULL && body[0] == request->unit &&
            modbus_frame_match(request, body + 1, size - 1, &data, &data_size) !=
                PORT_LENGTH)
            answer = true;
        at += length;
    }
    return answer;
}
