/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be right about a tty before a byte is read from it: a rate it really has,
 * nobody else on it, and a transmitter that is switched by someone who is fast enough.
 */
#include "ports/line.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Only rates that the kernel has a constant for: libmodbus turns any other into 9600
 * without a word, and a line at the wrong rate looks like a dead device. */
static const struct {
    uint32_t baud;
    speed_t speed;
} speeds[] = {
    {1200, B1200},     {2400, B2400},     {4800, B4800},     {9600, B9600},
    {19200, B19200},   {38400, B38400},   {57600, B57600},   {115200, B115200},
    {230400, B230400}, {460800, B460800}, {921600, B921600},
};

/* False for a rate that the table does not have, and never another in its place. */
bool line_speed(uint32_t baud, speed_t *speed)
{
    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        if (speeds[i].baud == baud) {
            *speed = speeds[i].speed;
            return true;
        }
    }
    return false;
}

/* What can be said without opening anything. */
int line_check(const struct port_line *settings)
{
    speed_t speed;

    if (settings->path[0] == '\0' || !line_speed(settings->baud, &speed))
        return PORT_SETTING;
    if (settings->data_bits != 7 && settings->data_bits != 8)
        return PORT_SETTING;
    if (settings->stop_bits != 1 && settings->stop_bits != 2)
        return PORT_SETTING;
    return settings->parity <= DRIVER_PARITY_ODD ? PORT_OK : PORT_SETTING;
}

/* A descriptor of its own, because libmodbus opens the line by itself and sets it up in
 * the same breath: whoever holds the line must not notice that we asked. */
int line_lock(const struct port_line *settings, int *lock)
{
    /* O_NONBLOCK: without it a line that waits for carrier would never open. */
    int fd = open(settings->path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == EBUSY ? PORT_BUSY : PORT_GONE;
    if (!isatty(fd)) {
        close(fd);
        return PORT_SETTING;
    }
    /* TIOCEXCL does not stop root, and does nothing against a program that already has
     * the line open: so both. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return error == EWOULDBLOCK ? PORT_BUSY : PORT_GONE;
    }
    *lock = fd;
    return PORT_OK;
}

/* After opening. Exclusive use keeps out whoever comes after us, flock whoever was
 * before. */
int line_take(const struct port_line *settings, int fd)
{
    struct serial_rs485 rs485 = {0};

    (void)ioctl(fd, TIOCEXCL); /* flock has already answered who owns the line */
    if (!settings->rs485)
        return PORT_OK;
    /* libmodbus only sets SER_RS485_ENABLED: polarity and delays would stay as they were.
     */
    rs485.flags = SER_RS485_ENABLED |
                  (settings->rts_low ? SER_RS485_RTS_AFTER_SEND : SER_RS485_RTS_ON_SEND);
    rs485.delay_rts_before_send = settings->rts_before_ms;
    rs485.delay_rts_after_send = settings->rts_after_ms;
    if (ioctl(fd, TIOCSRS485, &rs485) == 0)
        return PORT_OK;
    /* Adapters with automatic direction answer ENOTTY: they need no help. */
    return errno == ENOTTY || errno == EINVAL ? PORT_OK : PORT_SETTING;
}

/* By the kernel's device numbers, so it holds for links to them too. */
bool line_is_pty(int fd)
{
    struct stat status;

    /* 136 to 143 are the kernel's numbers for UNIX98 pty slaves
     * (admin-guide/devices.txt). */
    return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) &&
           major(status.st_rdev) >= 136 && major(status.st_rdev) <= 143;
}
