/* SPDX-License-Identifier: Apache-2.0
 *
 * What both ports do to a tty besides setting its termios: baud numbers, the lock, the
 * kernel's RS-485 transmitter control; and a TCP connection in a tty's place. Inside this
 * room only.
 */
#ifndef PORTS_LINE_H
#define PORTS_LINE_H

#include <termios.h>

#include "ports/port.h"

/* The kernel's constant for a baud rate; false if it has none. */
bool line_speed(uint32_t baud, speed_t *speed);

/* PORT_OK, or PORT_SETTING if a serial line cannot be set like that. */
int line_check(const struct port_line *settings);

/* Takes the lock of settings->path in a descriptor of its own, before anything touches
 * the tty's settings. PORT_OK with *lock, PORT_BUSY, or PORT_GONE (errno). The caller
 * closes. */
int line_lock(const struct port_line *settings, int *lock);

/* Exclusive use and RS-485 control on the open descriptor. A tty that knows neither (a
 * pty, a USB adapter) is used without. PORT_OK, or PORT_SETTING if RS-485 was asked for
 * and the kernel knows it but refuses the values. */
int line_take(const struct port_line *settings, int fd);

/* Connects to settings->path, settings->tcp_port: PORT_OK with a non-blocking *fd that
 * the caller closes, or PORT_GONE (errno). Waits as long as settings->connect_ms says for
 * each address of the name, or until abort_fd (-1: none) can be read. */
int line_connect(const struct port_line *settings, int abort_fd, int *fd);

/* True for a pseudo-terminal: it has no baud rate, so its times prove nothing. */
bool line_is_pty(int fd);

#endif
