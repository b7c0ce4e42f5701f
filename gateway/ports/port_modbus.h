/* SPDX-License-Identifier: Apache-2.0
 *
 * Modbus RTU, ASCII, TCP and RTU over TCP, one request at a time. libmodbus opens, sets,
 * flushes and closes the line and sends; replies are read here, because a late or doubled
 * reply can be told from a right one only by someone who sees every byte and when it came
 * (see DESIGN.md beside this).
 *
 * Caveats first:
 *  - The only functions that ever leave are 1, 2, 3, 4, 17, 20, 24 and 43/14: they read
 * (P6). One table, in port_modbus_allowed(), asked by the one function that sends.
 *  - RTU replies carry no transaction id. A good frame of the right shape may still be
 * the answer to an earlier request. This port reports what it saw; bedside/trust.h
 * decides what is to be believed.
 *  - Calls block up to the request's own times. One thread a line.
 */
#ifndef PORTS_PORT_MODBUS_H
#define PORTS_PORT_MODBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ports/port.h"

/* Bytes of function and data. */
#define PORT_MODBUS_PDU_MAX 253

struct port_modbus; /* an open line */

struct port_modbus_request {
    /* 1-247; TCP also 0 and 255. */
    uint8_t unit;
    /* On the allow-list. */
    uint8_t function;
    /* Functions 1-4, 24; 43: read device id code (1-4). */
    uint16_t address;
    /* Functions 1-4: registers or bits; 43: object id. */
    uint16_t count;
    /* Function 20: sub-requests used. */
    uint8_t file_count;
    struct port_modbus_file {
        /* Registers. */
        uint16_t file, record, length;
    } files[4];
    /* From the request's last byte to the reply's first. */
    uint32_t timeout_us;
    uint32_t
        /* The device's worst time to a reply: after a failure nothing is sent until
         * it has passed and the line is quiet; >= timeout_us. */
        worst_us;
    /* Silence before the request; t3.5 if that is more. */
    uint32_t gap_us;
    /* Monotonic: the request does not leave earlier. */
    uint64_t not_before_us;
};

/* What was thrown away because nobody had asked for it. */
struct port_modbus_strays {
    /* All of it. */
    uint32_t bytes;
    /* Bytes of it that are part of no good frame. */
    uint32_t unread;
    uint64_t
        /* Bit u % 64 of units[u / 64]: a good frame of unit u was among it. */
        units[4];
};

struct port_modbus_reply {
    uint8_t function;
    /* PORT_EXCEPTION: 1-11. */
    uint8_t exception;
    /* Bytes used of data. */
    uint16_t size;
    /* The bytes after the byte count (1-4, 17, 20, 24) or after the function (43);
     * valid until the next call. */
    const uint8_t *data;
    /* Monotonic: the request's last byte left then or later. */
    uint64_t asked_us;
    /* Monotonic: the reply's first byte was seen; 0 if none. */
    uint64_t first_us;
    /* Monotonic: the reply was complete, or given up. */
    uint64_t done_us;
    /* After a failure: the answer to this very request came too late, was recognised
     * and thrown away. */
    bool late_seen;
    /* Before, in and after this exchange; after a failure also what there was of this
     * very reply. */
    struct port_modbus_strays strays;
    uint32_t bytes_in, bytes_out;
    /* The adapter gave our own request back; discarded. */
    bool echo;
};

/* Opens and sets the line: PORT_OK, PORT_SETTING, PORT_BUSY or PORT_GONE (errno). */
int port_modbus_open(const struct port_line *settings, struct port_modbus **out);
void port_modbus_close(struct port_modbus *port); /* NULL is fine */

/* While this descriptor is readable every wait of the port ends at once, as if its time
 * were over: how a thread that blocks here is told to stop. -1 (the start): none. */
void port_modbus_abort_on(struct port_modbus *port, int fd);

/* For poll(): readable between requests means stray bytes, or that the line is gone. */
int port_modbus_fd(const struct port_modbus *port);

/* Asks once. Waits out the gap, throws away what lies on the line, sends, reads the
 * reply. On any failure but PORT_REFUSED and PORT_EXCEPTION waits until worst_us after
 * the request and until the line is quiet, throwing away what comes (RTU), or closes the
 * socket (TCP: then also PORT_GONE from the next call on). *reply is always filled.
 * Returns enum port_error. */
int port_modbus_ask(struct port_modbus *port, const struct port_modbus_request *request,
                    struct port_modbus_reply *reply);

/* Throws away what lies on the line between requests, and adds it to *strays. PORT_OK, or
 * PORT_GONE (errno). */
int port_modbus_strays(struct port_modbus *port, struct port_modbus_strays *strays);

/* True for the functions (43: with MEI type 14) that may leave. */
bool port_modbus_allowed(const uint8_t *pdu, size_t n);

#endif
