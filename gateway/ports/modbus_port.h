/* SPDX-License-Identifier: Apache-2.0
 *
 * The inside of a Modbus port, shared by port_modbus.c (line and sending), modbus_rtu.c
 * and modbus_tcp.c (replies). Inside this room only.
 */
#ifndef PORTS_MODBUS_PORT_H
#define PORTS_MODBUS_PORT_H

#include "ports/modbus_frame.h"
#include "ports/modbus_framing.h"
#include "ports/port_serial.h"

/* Bytes kept of one exchange and its aftermath. */
#define PORT_BUFFER 1024

struct port_modbus {
    struct port_line line;
    /* NULL: each request has a transaction number (Modbus TCP). */
    const struct modbus_framing *framing;
    /* modbus_t *; its type stays in port_modbus.c. NULL: RTU or ASCII by our own means.
     */
    void *context;
    /* ASCII on a serial line: owns descriptor and lock. */
    struct port_serial *serial;
    /* Libmodbus's own, the serial line's, or a socket; -1: closed. */
    int fd;
    /* RTU: holds the flock; -1: none. */
    int lock;
    int abort_fd;
    /* No baud rate: bytes may come "before" they could have on a wire. */
    bool pty;
    /* RTU: the adapter is known to give requests back. */
    bool echoes;
    /* TCP: of the last request. */
    uint16_t transaction;
    /* TCP: the last reply came alone. */
    bool clean;
    /* RTU: when the last byte was on the line. */
    uint64_t quiet_us;
    size_t have;
    uint8_t buffer[PORT_BUFFER];
    /* The body of the last reply, where it is not in the buffer as it came. */
    uint8_t body[MODBUS_BODY_MAX];
};

/* Waits until bytes are there (1), the time is over or the wait is aborted (0), or the
 * line is gone (PORT_GONE). */
int modbus_port_wait(const struct port_modbus *port, uint64_t until_us);

/* Waits until the time is over or the wait is aborted, whatever comes. */
void modbus_port_sleep(const struct port_modbus *port, uint64_t until_us);

/* Appends what is there to the buffer; what no longer fits is read and dropped. Returns
 * how many bytes were read (0: none), or PORT_GONE. */
int modbus_port_read(struct port_modbus *port);

/* Sends unit, function and data, framed. PORT_OK or PORT_GONE. */
int modbus_port_send(struct port_modbus *port, uint8_t unit, const uint8_t *pdu,
                     size_t n);

/* One exchange; pdu is the request's function and data. See port_modbus_ask(). */
int modbus_rtu_ask(struct port_modbus *port, const struct port_modbus_request *request,
                   const uint8_t *pdu, size_t n, struct port_modbus_reply *reply);
int modbus_tcp_ask(struct port_modbus *port, const struct port_modbus_request *request,
                   const uint8_t *pdu, size_t n, struct port_modbus_reply *reply);

/* Connects with line->connect_ms, abortable. PORT_OK, PORT_TIMEOUT or PORT_GONE (errno).
 */
int modbus_tcp_connect(struct port_modbus *port, int *fd);

#endif
