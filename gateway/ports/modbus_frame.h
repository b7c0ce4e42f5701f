/* SPDX-License-Identifier: Apache-2.0
 *
 * Modbus frames as bytes: what a request looks like, how long its reply must be, whether
 * a frame is its answer. Pure. Inside this room only.
 */
#ifndef PORTS_MODBUS_FRAME_H
#define PORTS_MODBUS_FRAME_H

#include "ports/port_modbus.h"

/* Bytes of the longest RTU frame. */
#define MODBUS_RTU_MAX 256
#define MODBUS_TCP_MAX 260
/* Bytes before a TCP frame's function. */
#define MODBUS_MBAP 7

/* Writes the request's function and data to pdu (PORT_MODBUS_PDU_MAX bytes). Returns its
 * size, or 0 if the request is impossible (count 0 or too many) or not allowed. */
size_t modbus_frame_pdu(const struct port_modbus_request *request, uint8_t *pdu);

/* Bytes of a whole RTU reply whose first `have` bytes are known. 0: too few to tell.
 * MODBUS_RTU_MAX + 1: no reply of a known function looks like this. */
size_t modbus_frame_length(const uint8_t *frame, size_t have);

/* Writes the CRC of n bytes behind them. */
void modbus_frame_seal(uint8_t *frame, size_t n);

/* True if the last two of n bytes are the CRC of those before. */
bool modbus_frame_crc(const uint8_t *frame, size_t n);

/* Whether a reply's function and data (n bytes from the function on) are of the shape
 * that the request asks for. PORT_OK, PORT_EXCEPTION or PORT_LENGTH. On PORT_OK *data and
 * *size are what follows the byte count. */
int modbus_frame_match(const struct port_modbus_request *request, const uint8_t *pdu,
                       size_t n, const uint8_t **data, size_t *size);

#endif
