/* SPDX-License-Identifier: Apache-2.0
 *
 * The rings between a port's interrupt and the loop: one writer, one reader, no lock.
 * A received byte is kept with the time since the one before it, because on Modbus RTU
 * the silence between two bytes is part of the message, and the loop may come late.
 */
#ifndef FIRMWARE_SERIAL_H
#define FIRMWARE_SERIAL_H

#include "firmware/hal.h"

#define SERIAL_IN     256 /* bytes; a power of two: 24 ms of a line at 115,200 baud */
#define SERIAL_OUT    256 /* a whole Modbus frame */
#define SERIAL_GAP_US 64  /* unit of a gap */

struct serial_byte {
    uint8_t byte;
    uint8_t gap; /* since the byte before, in SERIAL_GAP_US, rounded down; 255: or more */
};

struct serial_count { /* of one port, since the start; they wrap */
    uint32_t in, out;
    uint32_t overruns; /* bytes that found the ring full */
    uint32_t errors;   /* overrun, framing or parity, by the part */
};

/* Empties the port's rings, in and out. */
void serial_clear(unsigned port);

/* Takes at most n received bytes; returns how many. */
size_t serial_take(unsigned port, struct serial_byte *bytes, size_t n);

/* When the last byte came; 0 if none did. Taken before serial_take() it is never later
 * than the last byte that gives. */
uint64_t serial_heard_us(unsigned port);

/* When the first byte of the last serial_put() was given to the part; 0 if none was. It
 * may not have been yet. */
uint64_t serial_began_us(unsigned port);

/* Puts bytes to be sent and starts it. False, and nothing is sent, if they do not fit. */
bool serial_put(unsigned port, const uint8_t *bytes, size_t n);

/* True until the last byte was given to the part. */
bool serial_sending(unsigned port);

void serial_count(unsigned port, struct serial_count *out);

#endif
