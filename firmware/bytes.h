/* SPDX-License-Identifier: Apache-2.0
 *
 * Big-endian numbers in our own memory. Bytes from outside are read through
 * drivers/cursor.h, which knows where they end.
 */
#ifndef FIRMWARE_BYTES_H
#define FIRMWARE_BYTES_H

#include <stdint.h>

static inline void bytes_put16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void bytes_put32(uint8_t *at, uint32_t value)
{
    bytes_put16(at, (uint16_t)(value >> 16));
    bytes_put16(at + 2, (uint16_t)value);
}

static inline uint32_t bytes_get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#endif
