/* SPDX-License-Identifier: Apache-2.0
 *
 * What all ports share: how a line is set, and why one failed.
 */
#ifndef PORTS_PORT_H
#define PORTS_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/driver.h"

/* Characters of a device path or host name. */
#define PORT_PATH_MAX 255

enum port_error {
    PORT_OK = 0,
    /* No byte came in time. */
    PORT_TIMEOUT = -1,
    /* A reply began and did not end in time. */
    PORT_SHORT = -2,
    /* A whole frame whose check failed. */
    PORT_CRC = -3,
    /* A good frame of another unit, or of another transaction. */
    PORT_FOREIGN = -4,
    /* A good frame, but not of the shape that was asked for. */
    PORT_LENGTH = -5,
    /* Bytes came while the request was still leaving. */
    PORT_EARLY = -6,
    /* A good reply with more bytes on its heels. */
    PORT_TRAILING = -7,
    /* The device refused; the exception code is with the reply. */
    PORT_EXCEPTION = -8,
    PORT_REFUSED =
        -9, /* not on the allow-list, or an impossible request: nothing was sent */
    /* A setting that this line cannot have. */
    PORT_SETTING = -10,
    /* Another program holds the line. */
    PORT_BUSY = -11,
    /* Unplugged, closed or never there; errno says why. */
    PORT_GONE = -12,
};

/* A word for logs and status: "timeout", "crc". Never NULL. */
const char *port_error_text(int error);

/* How Modbus frames are put on the line. */
enum port_framing {
    PORT_FRAMING_USUAL, /* RTU on a serial line, Modbus TCP on TCP */
    PORT_FRAMING_ASCII, /* hex digits and an LRC, on either */
    PORT_FRAMING_RTU,   /* RTU on TCP too: a device server that only hands bytes on */
};

struct port_line {
    /* "/dev/serial/by-id/...", or a host name or address. */
    char path[PORT_PATH_MAX + 1];
    /* 0: path is a serial line. */
    uint16_t tcp_port;
    uint32_t baud;
    /* Enum port_framing. */
    uint8_t framing;
    /* 7 or 8; Modbus RTU takes 8. */
    uint8_t data_bits;
    /* Enum driver_parity. */
    uint8_t parity;
    /* 1 or 2. */
    uint8_t stop_bits;
    /* Ask the kernel to drive the transmitter; done without if it cannot. */
    bool rs485;
    /* Rs485: the transmitter is on while RTS is low. */
    bool rts_low;
    /* Rs485: RTS delays around a transmission. */
    uint16_t rts_before_ms, rts_after_ms;
    /* TCP: time to connect; 0 = 3,000. */
    uint32_t connect_ms;
};

/* True if each answer on this line names its request (Modbus TCP): a late or foreign one
 * is known by its number. */
bool port_answers_named(const struct port_line *line);

/* Microseconds that one character takes on the line, rounded up; 0 on TCP. */
uint32_t port_char_us(const struct port_line *line);

/* Bits of one character, start and stop bits among them: 10, 11 or 12. */
uint32_t port_char_bits(const struct port_line *line);

/* Microseconds of n characters, rounded up: no error adds up over a frame. 0 on TCP. */
uint64_t port_chars_us(const struct port_line *line, uint32_t n);

/* Modbus t3.5: the silence that ends a frame. Fixed 1,750 us above 19,200 baud; 0 on TCP.
 */
uint32_t port_gap_us(const struct port_line *line);

#endif
