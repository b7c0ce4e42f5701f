/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames as bytes, pure, so that the fuzzer and the unit tests reach all of it without a
 * line. Foreign bytes are read through a cursor, or by an index that was compared with
 * the length in the same expression.
 */
#include "ports/modbus_frame.h"

#include "drivers/checksum.h"
#include "drivers/cursor.h"

#define MEI_DEVICE_ID 14
#define REGISTERS_MAX 125
#define BITS_MAX      2000

/* P6 in one place. The list is of what may leave, so that a function nobody thought of
 * stays. */
bool port_modbus_allowed(const uint8_t *pdu, size_t n)
{
    /* Everything that only reads. 7, 8, 11 and 12 read too but are defined for serial
     * lines' own state and 8 can restart a device's communications; none is needed. */
    static const uint8_t allowed[] = {1, 2, 3, 4, 17, 20, 24};

    if (n == 0 || n > PORT_MODBUS_PDU_MAX)
        return false;
    for (size_t i = 0; i < sizeof allowed; i++) {
        if (pdu[0] == allowed[i])
            return true;
    }
    return pdu[0] == 43 && n >= 2 && pdu[1] == MEI_DEVICE_ID;
}

/* Big-endian, as everything in a Modbus frame but its check. */
static uint8_t *put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

/* Function 20: one group of seven bytes for each part of a file. */
static uint8_t *put_files(uint8_t *at, const struct port_modbus_request *request)
{
    if (request->file_count == 0 ||
        request->file_count > sizeof request->files / sizeof request->files[0])
        return NULL;
    *at++ = (uint8_t)(request->file_count * 7);
    for (size_t i = 0; i < request->file_count; i++) {
        *at++ = 6; /* reference type, always 6 */
        at = put16(at, request->files[i].file);
        at = put16(at, request->files[i].record);
        at = put16(at, request->files[i].length);
    }
    return at;
}

/* Impossible requests end here and not at the device: a slave that is asked for 0 or 200
 * registers answers with whatever its maker thought of. */
size_t modbus_frame_pdu(const struct port_modbus_request *request, uint8_t *pdu)
{
    uint16_t most = request->function <= 2 ? BITS_MAX : REGISTERS_MAX;
    uint8_t *at = pdu;

    *at++ = request->function;
    switch (request->function) {
    case 1:
    case 2:
    case 3:
    case 4:
        if (request->count == 0 || request->count > most ||
            (uint32_t)request->address + request->count > 65536)
            return 0;
        at = put16(put16(at, request->address), request->count);
        break;
    case 20:
        at = put_files(at, request);
        break;
    case 24:
        at = put16(at, request->address);
        break;
    case 43:
        *at++ = MEI_DEVICE_ID;
        *at++ = (uint8_t)request->address;
        *at++ = (uint8_t)request->count;
        break;
    default:
        break;
    }
    return at != NULL && port_modbus_allowed(pdu, (size_t)(at - pdu)) ? (size_t)(at - pdu)
                                                                      : 0;
}

/* The length of a 43/14 reply is known only by walking its objects. */
static size_t device_id_length(const uint8_t *frame, size_t have)
{
    size_t at = 8; /* unit, 43, 14, id code, conformity, more, next, objects */

    if (have < at)
        return 0;
    for (unsigned left = frame[7]; left > 0; left--) {
        if (have < at + 2)
            return 0;
        at += 2u + frame[at + 1];
        if (at + 2 > MODBUS_RTU_MAX)
            return MODBUS_RTU_MAX + 1;
    }
    return at + 2;
}

/* Asked again with each byte that comes, until it knows. */
size_t modbus_frame_length(const uint8_t *frame, size_t have)
{
    if (have < 3)
        return 0;
    if ((frame[1] & 0x80) != 0)
        return 5;
    switch (frame[1]) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 17:
    case 20:
        return frame[2] <= 251 ? 5u + frame[2] : MODBUS_RTU_MAX + 1;
    case 24:
        if (have < 4)
            return 0;
        return frame[2] == 0 && frame[3] <= 250 ? 6u + frame[3] : MODBUS_RTU_MAX + 1;
    case 43:
        return device_id_length(frame, have);
    default:
        return MODBUS_RTU_MAX + 1;
    }
}

/* Low byte first, unlike everything before it. */
void modbus_frame_seal(uint8_t *frame, size_t n)
{
    uint16_t crc = checksum_modbus(frame, n);

    frame[n] = (uint8_t)crc;
    frame[n + 1] = (uint8_t)(crc >> 8);
}

/* Finds all bursts up to 16 bits; of longer damage 1 in 65,536 passes (bus_trust.h, rule
 * 8). */
bool modbus_frame_crc(const uint8_t *frame, size_t n)
{
    uint16_t crc;

    if (n < 4 || n > MODBUS_RTU_MAX)
        return false;
    crc = checksum_modbus(frame, n - 2);
    return frame[n - 2] == (crc & 0xFF) && frame[n - 1] == crc >> 8;
}

/* Bytes of data that the reply must have; 0 if only the reply knows. */
static size_t expected_size(const struct port_modbus_request *request)
{
    size_t size = 0;

    if (request->function <= 2)
        return (request->count + 7u) / 8u;
    if (request->function <= 4)
        return (size_t)request->count * 2;
    if (request->function == 20) {
        for (size_t i = 0; i < request->file_count; i++)
            size += 2u + 2u * request->files[i].length;
    }
    return size;
}

/* The shape is all that ties an RTU reply to its request, so it is compared whole:
 * function, byte count, and nothing left over. */
int modbus_frame_match(const struct port_modbus_request *request, const uint8_t *pdu,
                       size_t n, const uint8_t **data, size_t *size)
{
    struct cursor cursor = cursor_make(pdu, n);
    uint8_t function = cursor_u8(&cursor);
    size_t count, want = expected_size(request);

    if (function == (request->function | 0x80)) {
        uint8_t code = cursor_u8(&cursor);

        *data = pdu + 1;
        *size = 1;
        return cursor_done(&cursor) && code != 0 ? PORT_EXCEPTION : PORT_LENGTH;
    }
    if (function != request->function)
        return PORT_LENGTH;
    if (function == 43) {
        if (cursor_u8(&cursor) != MEI_DEVICE_ID ||
            cursor_u8(&cursor) != (uint8_t)request->address)
            return PORT_LENGTH;
        *data = pdu + 1;
        *size = n - 1;
        return cursor.failed ? PORT_LENGTH : PORT_OK;
    }
    count = function == 24 ? cursor_be16(&cursor) : cursor_u8(&cursor);
    *data = cursor_bytes(&cursor, count);
    *size = count;
    if (!cursor_done(&cursor) || count == 0 || (want != 0 && count != want))
        return PORT_LENGTH;
    return PORT_OK;
}
