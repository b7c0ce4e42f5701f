/* SPDX-License-Identifier: Apache-2.0
 *
 * One serial line as a streaming driver needs it: raw bytes with the time they came, and
 * an allow-list in front of every write (P6).
 *
 * The line is taken for ourselves (TIOCEXCL and flock): a second program that opens it
 * would steal bytes, and a stolen byte is a lost or a wrong reading. A TCP connection in
 * the line's place is ours by nature.
 */
#ifndef PORTS_PORT_SERIAL_H
#define PORTS_PORT_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ports/port.h"

struct port_serial; /* an open line */

/* True if these bytes may be sent; NULL as a rule means that nothing may ever be. */
typedef bool (*port_allow)(const uint8_t *bytes, size_t n);

/* Opens settings->path raw; with a tcp_port it is a host to connect to, and everything
 * but path, tcp_port and connect_ms is of no account. Returns PORT_OK, PORT_SETTING for a
 * baud rate, parity or size that the kernel has no constant for (never a silent 9600),
 * PORT_BUSY if another program holds the line, or PORT_GONE (errno says why). *out is
 * freed by port_serial_close(). */
int port_serial_open(const struct port_line *settings, port_allow allow,
                     struct port_serial **out);
void port_serial_close(struct port_serial *port); /* NULL is fine */

/* For poll(); stays the port's own. */
int port_serial_fd(const struct port_serial *port);

/* Reads what is there, at most `size` bytes, without waiting. Returns how many (0:
 * nothing), or PORT_GONE once the adapter is unplugged. */
int port_serial_read(struct port_serial *port, uint8_t *bytes, size_t size);

/* Sends n bytes if the allow-list takes them: PORT_OK, PORT_REFUSED (nothing was sent),
 * PORT_TIMEOUT (the kernel's buffer stayed full for a second) or PORT_GONE. */
int port_serial_write(struct port_serial *port, const uint8_t *bytes, size_t n);

/* Throws away what was received and not read. */
void port_serial_flush(struct port_serial *port);

#endif
