/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks that device protocols use. None of them protects against an attacker; each
 * only finds line noise, and the comments say how much of it.
 */
#ifndef DRIVERS_CHECKSUM_H
#define DRIVERS_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* CRC-16/MODBUS (polynomial 0xA001 reflected, start 0xFFFF), low byte first on the wire.
 * Finds every burst up to 16 bits; of longer damage 1 in 65,536 passes. */
uint16_t checksum_modbus(const uint8_t *bytes, size_t n);

/* The same over bytes that come in parts: crc is CHECKSUM_MODBUS_START at first, then the
 * last result. */
#define CHECKSUM_MODBUS_START 0xFFFF
uint16_t checksum_modbus_more(uint16_t crc, const uint8_t *bytes, size_t n);

/* CRC-16 with polynomial 1021h, high bit first, over bytes that may come in parts: crc is
 * CHECKSUM_XMODEM_START or CHECKSUM_CCITT_START at first, then the last result. Over a
 * message and its own XMODEM check, high byte first, it gives 0. Finds every burst up to
 * 16 bits. */
#define CHECKSUM_XMODEM_START 0x0000
#define CHECKSUM_CCITT_START  0xFFFF
uint16_t checksum_ccitt_more(uint16_t crc, const uint8_t *bytes, size_t n);

/* Modbus ASCII: two's complement of the sum, over the bytes before hex encoding. */
uint8_t checksum_lrc(const uint8_t *bytes, size_t n);

/* Sum modulo 256 (Nonin). Finds every single bit; of other damage about 1 in 256 passes.
 */
uint8_t checksum_sum8(const uint8_t *bytes, size_t n);

/* Exclusive or of all bytes. */
uint8_t checksum_xor8(const uint8_t *bytes, size_t n);

#endif
