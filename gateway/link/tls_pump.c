/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls_pump.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/*
 * Why no loop here can starve the rest of the program: the local side is
 * filled and emptied by the same event loop, so what one run can move is
 * bounded by the local socket's buffer.
 */

/* What is still to be sent on. */
static size_t filled(const struct tls_buffer *buffer)
{
    return buffer->end - buffer->start;
}

/* Room behind it. */
static size_t space(const struct tls_buffer *buffer)
{
    return sizeof(buffer->bytes) - buffer->end;
}

/* Moves what is left to the front. */
static void compact(struct tls_buffer *buffer)
{
    if (buffer->start == 0)
        return;
    memmove(buffer->bytes, buffer->bytes + buffer->start, filled(buffer));
    buffer->end -= buffer->start;
    buffer->start = 0;
}

void tls_pump_reset(struct tls_pump *pump, struct tls_session *session, int local,
                    bool raw)
{
    /* Readings in clear have been here: nothing of them stays. */
    memset(pump, 0, sizeof(*pump));
    pump->session = session;
    pump->local = local;
    pump->raw = raw;
}

/* Takes what the local side has written, as much as there is room for: many
 * small MQTT packets become one TLS record. Returns false when a stream socket
 * has shown its end by giving less: asking again would be a call for nothing. */
static bool take_local(struct tls_pump *pump)
{
    struct tls_buffer *up = &pump->up;
    ssize_t n;

    /* mbedTLS wants a repeated write to find its bytes where they were. */
    if (pump->up_pending == 0)
        compact(up);
    if (up->ended || space(up) == 0)
        return false;
    n = recv(pump->local, up->bytes + up->end, space(up), 0);
    if (n > 0)
        up->end += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        up->ended = true;
    return n > 0 && space(up) == 0;
}

/* One record a round. A write that mbedTLS could not finish stays pending, and
 * is repeated before anything else. */
bool tls_pump_up(struct tls_pump *pump)
{
    struct tls_buffer *up = &pump->up;
    bool more = true;

    for (;;) {
        ssize_t n;

        if (more)
            more = take_local(pump);
        if (filled(up) == 0 && !more)
            return true;
        if (pump->up_pending == 0)
            pump->up_pending = filled(up);
        n = tls_session_write(pump->session, up->bytes + up->start, pump->up_pending);
        pump->up_wants_out = n == TLS_WANT_WRITE;
        if (n == TLS_WANT_READ || n == TLS_WANT_WRITE)
            return true;
        if (n <= 0)
            return false;
        pump->up_pending = 0;
        up->start += (size_t)n;
        pump->bytes_up += (uint64_t)n;
    }
}

/* Decrypts until there is nothing more or no room: epoll does not see what the
 * session has read ahead, so stopping early would mean waiting for nothing. */
static void take_network(struct tls_pump *pump)
{
    struct tls_buffer *down = &pump->down;

    compact(down);
    while (!down->ended && space(down) > 0) {
        ssize_t n = tls_session_read(pump->session, down->bytes + down->end, space(down));

        if (n == TLS_DONE || n == TLS_FAILED)
            down->ended = true;
        if (n <= 0)
            return;
        if (!pump->raw &&
            !mqtt_screen_feed(&pump->screen, down->bytes + down->end, (size_t)n)) {
            down->ended = true;
            return;
        }
        down->end += (size_t)n;
        pump->bytes_down += (uint64_t)n;
    }
}

/* What was decrypted before the peer's end, good or bad, is still handed over:
 * it may be the broker's reason for closing. With nobody left to read, the rest
 * is read all the same: closing a socket on unread bytes resets the connection,
 * and a reset may overtake the DISCONNECT that keeps the will unsaid. */
static bool pump_down(struct tls_pump *pump)
{
    struct tls_buffer *down = &pump->down;

    for (;;) {
        ssize_t n = 0;

        take_network(pump);
        if (filled(down) == 0)
            return !down->ended;
        if (!pump->deaf)
            n = send(pump->local, down->bytes + down->start, filled(down), MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n < 0)
            pump->deaf = true;
        down->start += pump->deaf ? filled(down) : (size_t)n;
    }
}

bool tls_pump_run(struct tls_pump *pump, enum tls_pump_side ready)
{
    bool good = true;

    /* A direction runs when its source has something, or when it stopped halfway
     * and its sink may have room again. */
    if ((ready & TLS_PUMP_LOCAL) || pump->up_pending > 0)
        good = tls_pump_up(pump);
    if ((ready & TLS_PUMP_NETWORK) || filled(&pump->down) > 0)
        good = pump_down(pump) && good;
    return good;
}

/* Only then may the peer be told that there is nothing more. */
bool tls_pump_drained(const struct tls_pump *pump)
{
    return pump->up.ended && filled(&pump->up) == 0;
}

/* A side is watched only for what the pump could do with: anything else would
 * be reported again and again. */
void tls_pump_events(const struct tls_pump *pump, uint32_t *local, uint32_t *network)
{
    const struct tls_buffer *up = &pump->up, *down = &pump->down;

    *local = *network = 0;
    /* Without a pending write the next reading makes room by itself. */
    if (!up->ended && (pump->up_pending == 0 || space(up) > 0))
        *local |= EPOLLIN;
    if (filled(down) > 0)
        *local |= EPOLLOUT;
    if (!down->ended && filled(down) == 0)
        *network |= EPOLLIN;
    if (pump->up_wants_out)
        *network |= EPOLLOUT;
}
