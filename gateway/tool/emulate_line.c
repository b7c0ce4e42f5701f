/* SPDX-License-Identifier: Apache-2.0
 *
 * The wire in front of an emulated device. Everything runs in one thread around ppoll():
 * bytes received wait until their last one would have left a real wire, bursts to send
 * leave in lumps no earlier than a wire would deliver them, and the last byte of a burst,
 * on which a bus's speed depends, is timed by spinning the last few microseconds.
 */
#include "tool/emulate_line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "drivers/driver.h"

/* A sleeping thread wakes this late; the rest is spun. */
#define SPIN_US 60
/* Bytes of a burst leave in lumps of this, the last one exactly. */
#define LUMP_US 1500
/* How often to look whether someone opened the pty again. */
#define HUNG_US      20000
#define SLEEP_MAX_US 1000000

/* A line without anything open. */
static void clear(struct emulate_line *line, const struct emulator *emulator, void *state)
{
    memset(line, 0, sizeof *line);
    line->emulator = emulator;
    line->state = state;
    line->listener = -1;
    for (size_t i = 0; i < EMULATE_PEERS_MAX; i++)
        line->peers[i].fd = -1;
    if (emulator == &modbus_rtu_emulator || emulator == &modbus_tcp_emulator ||
        emulator == &modbus_ascii_emulator)
        line->slave = state;
}

/* Rounded down: the emulated wire is never slower than a real one, so that the bus is
 * measured against the true limit. */
static uint64_t chars_us(const struct emulate_line *line, size_t n)
{
    return line->baud == 0 ? 0 : (uint64_t)n * line->bits * 1000000 / line->baud;
}

/* Every byte as it is, and no echo. */
static int raw(int fd)
{
    struct termios tio;

    if (tcgetattr(fd, &tio) != 0)
        return -errno;
    cfmakeraw(&tio);
    return tcsetattr(fd, TCSANOW, &tio) == 0 ? 0 : -errno;
}

/* Points link at path; what was there is replaced only if it is a link too. */
static int make_link(const char *path, const char *link)
{
    struct stat status;

    if (lstat(link, &status) == 0) {
        if (!S_ISLNK(status.st_mode))
            return -EEXIST;
        (void)unlink(link);
    }
    return symlink(path, link) == 0 ? 0 : -errno;
}

int emulate_line_pty(struct emulate_line *line, const char *link, uint32_t baud,
                     uint32_t bits, const struct emulator *emulator, void *state)
{
    int other, error;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    clear(line, emulator, state);
    line->baud = baud;
    line->bits = bits;
    if (fd < 0)
        return -errno;
    if (grantpt(fd) != 0 || unlockpt(fd) != 0 ||
        ptsname_r(fd, line->path, sizeof line->path) != 0)
        goto err0;
    /* Raw from the start: a fresh pty echoes, and the device would hear itself. */
    other = open(line->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (other < 0)
        goto err0;
    error = raw(other);
    close(other); /* not kept: its last closing must free the line for the next reader */
    if (error == 0 && link != NULL && link[0] != '\0') {
        (void)snprintf(line->link, sizeof line->link, "%s", link);
        error = make_link(line->path, line->link);
        if (error != 0)
            line->link[0] = '\0';
    }
    if (error != 0) {
        close(fd);
        return error;
    }
    line->peers[0].fd = fd;
    return 0;

err0:
    error = -errno;
    close(fd);
    return error;
}

/* For a real line; a pty keeps time without one. */
static speed_t speed_of(uint32_t baud)
{
    static const struct {
        uint32_t baud;
        speed_t speed;
    } speeds[] = {{1200, B1200},   {2400, B2400},   {4800, B4800},   {9600, B9600},
                  {19200, B19200}, {38400, B38400}, {57600, B57600}, {115200, B115200}};

    for (size_t i = 0; i < sizeof speeds / sizeof speeds[0]; i++) {
        if (speeds[i].baud == baud)
            return speeds[i].speed;
    }
    return B0;
}

/* A real line paces itself, so bytes take no time here. */
int emulate_line_tty(struct emulate_line *line, const char *path, uint32_t baud,
                     const struct emulator *emulator, void *state)
{
    struct termios tio;
    int error;
    int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    clear(line, emulator, state);
    if (fd < 0)
        return -errno;
    error = raw(fd);
    if (error == 0 &&
        (tcgetattr(fd, &tio) != 0 || cfsetspeed(&tio, speed_of(baud)) != 0 ||
         tcsetattr(fd, TCSANOW, &tio) != 0))
        error = -errno;
    if (error != 0) {
        close(fd);
        return error;
    }
    (void)snprintf(line->path, sizeof line->path, "%s", path);
    line->peers[0].fd = fd;
    return 0;
}

/* Loopback by use, not by force: an engineer may want to emulate a device for a gateway
 * on the bench. */
int emulate_line_tcp(struct emulate_line *line, const char *address, uint16_t port,
                     struct modbus_slave *slave)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    socklen_t size = sizeof name;
    int on = 1, error;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    clear(line, &modbus_tcp_emulator, slave);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (inet_pton(AF_INET, address, &name.sin_addr) != 1)
        errno = EINVAL;
    else if (bind(fd, (struct sockaddr *)&name, sizeof name) == 0 && listen(fd, 8) == 0 &&
             getsockname(fd, (struct sockaddr *)&name, &size) == 0) {
        line->listener = fd;
        line->port = ntohs(name.sin_port);
        return 0;
    }
    error = -errno;
    close(fd);
    return error;
}

/* The place is free again for the next connection. */
static void drop_peer(struct emulate_peer *peer)
{
    close(peer->fd);
    memset(peer, 0, sizeof *peer);
    peer->fd = -1;
}

/* One too many is closed at once, as a device with few sockets does. */
static void accept_peer(struct emulate_line *line)
{
    int fd = accept4(line->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    for (size_t i = 0; fd >= 0 && i < EMULATE_PEERS_MAX; i++) {
        if (line->peers[i].fd < 0) {
            line->peers[i].fd = fd;
            return;
        }
    }
    if (fd >= 0)
        close(fd);
}

/* Takes over what the emulator made, in order of its time. */
static void queue_bursts(struct emulate_line *line, struct emulate_peer *peer,
                         const struct emulate_output *out)
{
    for (size_t i = 0; i < out->count; i++) {
        size_t at = peer->waiting;

        if (at == EMULATE_BACKLOG) {
            line->lost++;
            continue;
        }
        /* The one that is under way cannot be overtaken. */
        while (!line->in_order && at > (peer->sent > 0 ? 1u : 0u) &&
               peer->bursts[at - 1].due_us > out->bursts[i].due_us) {
            peer->bursts[at] = peer->bursts[at - 1];
            at--;
        }
        peer->bursts[at] = out->bursts[i];
        peer->waiting++;
    }
}

static void feed(struct emulate_line *line, struct emulate_peer *peer)
{
    struct emulate_output out = {0};
    bool tcp = line->listener >= 0 && line->slave != NULL;

    if (line->slave != NULL) {
        line->slave->asked = line->hooks.asked;
        line->slave->asked_context = line->hooks.context;
    }
    if (tcp) { /* one slave, but half a frame of one connection is not continued by
                  another */
        line->slave->have = peer->have;
        memcpy(line->slave->buffer, peer->buffer, peer->have);
    }
    line->emulator->feed(line->state, peer->received, peer->pending, peer->received_us,
                         &out);
    if (tcp) {
        peer->have = line->slave->have;
        memcpy(peer->buffer, line->slave->buffer, peer->have);
    }
    peer->pending = 0;
    queue_bursts(line, peer, &out);
    line->emulator_us = 0; /* what it was told may have given it something to say */
}

/* Whether the other side has set the line as the device has. A pty's master sees what was
 * set at the other end; the kernel strips the parity bit of a pty, so that parity is told
 * by the check that was asked for with it. */
static bool set_alike(const struct emulate_line *line, int fd)
{
    struct termios tio;
    uint8_t parity = DRIVER_PARITY_NONE;

    if (line->strict_baud == 0 || tcgetattr(fd, &tio) != 0)
        return true;
    if ((tio.c_iflag & INPCK) != 0)
        parity = (tio.c_cflag & PARODD) != 0 ? DRIVER_PARITY_ODD : DRIVER_PARITY_EVEN;
    return cfgetospeed(&tio) == speed_of(line->strict_baud) &&
           parity == line->strict_parity;
}

/* What a receiver makes of bytes at another speed or parity: others. */
static void garble(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(bytes[i] * 5U + 0x5BU + i);
}

/* The bytes are here at once, but on a wire the last of them would arrive only later:
 * until then the emulator does not hear of them. */
static void receive(struct emulate_line *line, struct emulate_peer *peer, uint64_t now)
{
    size_t room = sizeof peer->received - peer->pending;
    uint8_t spill[64];
    ssize_t n = room > 0 ? read(peer->fd, peer->received + peer->pending, room)
                         : read(peer->fd, spill, sizeof spill);

    if (n <= 0) {
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (line->listener >= 0) {
            drop_peer(peer);
        } else { /* EIO: nobody has the pty open */
            peer->hung = true;
            peer->look_us = now + HUNG_US;
        }
        return;
    }
    line->bytes_in += (uint64_t)n;
    if (room == 0)
        return;
    if (!set_alike(line, peer->fd))
        garble(peer->received + peer->pending, (size_t)n);
    peer->pending += (size_t)n;
    if (peer->received_us < now)
        peer->received_us = now;
    peer->received_us += chars_us(line, (size_t)n);
    if (line->emulator->feed == NULL)
        peer->pending = 0;
}

/* Sends what has had the time to arrive. Returns when more will have. */
static uint64_t pump(struct emulate_line *line, struct emulate_peer *peer, uint64_t now)
{
    while (peer->waiting > 0) {
        struct emulate_burst *burst = &peer->bursts[0];
        size_t ready = burst->size;
        uint64_t next = 0;

        if (peer->sent == 0) {
            peer->began_us =
                burst->due_us > peer->free_us ? burst->due_us : peer->free_us;
            if (peer->began_us > now)
                return peer->began_us;
        }
        if (line->baud != 0 && now < peer->began_us + chars_us(line, burst->size)) {
            ready = (size_t)((now - peer->began_us) * line->baud /
                             ((uint64_t)line->bits * 1000000));
            next = peer->began_us + chars_us(line, burst->size);
        }
        if (ready > peer->sent) {
            ssize_t n;

            if (!set_alike(line, peer->fd))
                garble(burst->bytes + peer->sent, ready - peer->sent);
            n = write(peer->fd, burst->bytes + peer->sent, ready - peer->sent);

            if (n < (ssize_t)(ready - peer->sent))
                line->lost++; /* nobody reads: a wire does not wait either */
            line->bytes_out += n > 0 ? (uint64_t)n : 0;
            peer->sent = ready;
        }
        if (peer->sent < burst->size) {
            uint64_t first = peer->began_us + chars_us(line, 1);

            if (peer->sent == 0)
                return first;
            return next > now + LUMP_US + LUMP_US / 2 ? now + LUMP_US : next;
        }
        peer->free_us = peer->began_us + chars_us(line, burst->size);
        peer->sent = 0;
        peer->waiting--;
        memmove(peer->bursts, peer->bursts + 1, peer->waiting * sizeof *burst);
    }
    return UINT64_MAX;
}

/* Of two times. */
static uint64_t minimum(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Everything whose time has come. Returns when the next thing's will. */
static uint64_t work(struct emulate_line *line, uint64_t now)
{
    uint64_t next = UINT64_MAX;

    if (line->hooks.tick != NULL) {
        if (line->tick_us <= now) {
            line->tick_us = line->hooks.tick(line->hooks.context, now);
            line->emulator_us = 0; /* it may have been given something to say */
        }
        next = line->tick_us;
    }
    if (line->emulator->tick != NULL && line->listener < 0) {
        struct emulate_output out = {0};

        if (line->emulator_us <= now) {
            line->emulator->tick(line->state, now, &out, &line->emulator_us);
            queue_bursts(line, &line->peers[0], &out);
        }
        next = minimum(next, line->emulator_us);
    }
    for (size_t i = 0; i < EMULATE_PEERS_MAX; i++) {
        struct emulate_peer *peer = &line->peers[i];

        if (peer->fd < 0)
            continue;
        if (peer->hung && peer->look_us <= now)
            peer->hung = false;
        if (peer->hung)
            next = minimum(next, peer->look_us);
        if (peer->pending > 0 && peer->received_us <= now)
            feed(line, peer);
        if (peer->pending > 0)
            next = minimum(next, peer->received_us);
        next = minimum(next, pump(line, peer, now));
    }
    return next;
}

/* Waits for bytes, or until shortly before `next`, and spins the rest. False: told to
 * stop. */
static bool rest(struct emulate_line *line, int stop_fd, uint64_t next)
{
    struct pollfd waits[EMULATE_PEERS_MAX + 2] = {{.fd = stop_fd, .events = POLLIN},
                                                  {.fd = line->listener,
                                                   .events = POLLIN}};
    uint64_t now = clock_monotonic_us();
    uint64_t us = next > now + SPIN_US ? next - now - SPIN_US : 0;
    struct timespec left;

    us = minimum(us, SLEEP_MAX_US);
    left = (struct timespec){.tv_sec = (time_t)(us / 1000000),
                             .tv_nsec = (long)(us % 1000000) * 1000};
    for (size_t i = 0; i < EMULATE_PEERS_MAX; i++) {
        const struct emulate_peer *peer = &line->peers[i];

        waits[i + 2] =
            (struct pollfd){.fd = peer->hung ? -1 : peer->fd, .events = POLLIN};
    }
    if (ppoll(waits, EMULATE_PEERS_MAX + 2, &left, NULL) > 0) {
        now = clock_monotonic_us();
        if (waits[0].revents != 0)
            return false;
        if (waits[1].revents != 0)
            accept_peer(line);
        for (size_t i = 0; i < EMULATE_PEERS_MAX; i++) {
            if (waits[i + 2].revents != 0)
                receive(line, &line->peers[i], now);
        }
        return true;
    }
    while (next != UINT64_MAX && next < now + SPIN_US + SLEEP_MAX_US &&
           clock_monotonic_us() < minimum(next, now + us + UINT64_C(4) * SPIN_US))
        ;
    return true;
}

int emulate_line_run(struct emulate_line *line, int stop_fd)
{
    (void)prctl(PR_SET_TIMERSLACK, 1000L, 0, 0, 0);
    while (rest(line, stop_fd, work(line, clock_monotonic_us())))
        ;
    return 0;
}

/* Unlinks what it linked. Whoever has the pty open sees it hang up. */
void emulate_line_close(struct emulate_line *line)
{
    for (size_t i = 0; i < EMULATE_PEERS_MAX; i++) {
        if (line->peers[i].fd >= 0)
            drop_peer(&line->peers[i]);
    }
    if (line->listener >= 0)
        close(line->listener);
    line->listener = -1;
    if (line->link[0] != '\0')
        (void)unlink(line->link);
    line->link[0] = '\0';
}
