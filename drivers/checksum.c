/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks of checksum.h. Bit by bit and without tables: frames are at most 256 bytes
 * at line speed, and a Cortex-M's flash is better spent.
 */
#include "drivers/checksum.h"

/* The CRC of Modbus RTU. Reflected, so bits leave at the low end; the low byte is sent
 * first, which is why callers compare bytes and not a number. */
uint16_t checksum_modbus(const uint8_t *bytes, size_t n)
{
    return checksum_modbus_more(CHECKSUM_MODBUS_START, bytes, n);
}

/* The state of the shift register is the result itself. */
uint16_t checksum_modbus_more(uint16_t crc, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc = (uint16_t)(crc ^ bytes[i]);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
    }
    return crc;
}

/* Bit by bit, high bit first: lines of 1200 baud need no table. */
uint16_t checksum_ccitt_more(uint16_t crc, const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc = (uint16_t)(crc ^ bytes[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc << 1 ^ (crc & 0x8000 ? 0x1021 : 0));
    }
    return crc;
}

/* Over the bytes that the hex digits stand for, not over the digits themselves. */
uint8_t checksum_lrc(const uint8_t *bytes, size_t n)
{
    return (uint8_t)(0x100 - checksum_sum8(bytes, n));
}

/* Nonin calls it CHK: the sum of all bytes of the frame before it. */
uint8_t checksum_sum8(const uint8_t *bytes, size_t n)
{
    unsigned sum = 0;

    for (size_t i = 0; i < n; i++)
        sum = (sum + bytes[i]) & 0xFF;
    return (uint8_t)sum;
}

/* For protocols that fold their bytes instead of adding them. */
uint8_t checksum_xor8(const uint8_t *bytes, size_t n)
{
    uint8_t all = 0;

    for (size_t i = 0; i < n; i++)
        all = (uint8_t)(all ^ bytes[i]);
    return all;
}
