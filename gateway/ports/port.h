/* SPDX-License-Identifier: Apache-2.0
 *
 * What all ports share: how a line is set, and why one failed.
 */
#ifndef PORTS_PORT_H
#define PORTS_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "drivers/driver.h"

#define PORT_PATH_MAX 255 /* characters of a device path or host name */

enum port_error {
    PORT_OK = 0,
    PORT_TIMEOUT = -1,   /* no byte came in time */
    PORT_SHORT = -2,     /* a reply began and did not end in time */
    PORT_CRC = -3,       /* a whole frame whose check failed */
    PORT_FOREIGN = -4,   /* a good frame of another unit, or of another transaction */
    PORT_LENGTH = -5,    /* a good frame, but not of the shape that was asked for */
    PORT_EARLY = -6,     /* bytes came while the request was still leaving */
    PORT_TRAILING = -7,  /* a good reply with more bytes on its heels */
    PORT_EXCEPTION = -8, /* the device refused; the exception code is with the reply */
    PORT_REFUSED =
        -9, /* not on the allow-list, or an impossible request: nothing was sent */
    PORT_SETTING = -10, /* a setting that this line cannot have */
    PORT_BUSY = -11,    /* another program holds the line */
    PORT_GONE = -12,    /* unplugged, closed or never there; errno says why */
};

/* A word for logs and status: "timeout", "crc". Never NULL. */
const char *port_error_text(int error);

struct port_line {
    char path[PORT_PATH_MAX + 1]; /* "/dev/serial/by-id/...", or a host name or address */
    uint16_t tcp_port;            /* 0: path is a serial line */
    uint32_t baud;
    uint8_t data_bits; /* 7 or 8; Modbus RTU takes 8 */
    uint8_t parity;    /* enum driver_parity */
    uint8_t stop_bits; /* 1 or 2 */
    bool rs485;   /* ask the kernel to drive the transmitter; done without if it cannot */
    bool rts_low; /* rs485: the transmitter is on while RTS is low */
    uint16_t rts_before_ms, rts_after_ms; /* rs485: RTS delays around a transmission */
    uint32_t connect_ms;                  /* TCP: time to connect; 0 = 3,000 */
};

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
