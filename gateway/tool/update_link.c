/* SPDX-License-Identifier: Apache-2.0
 *
 * See update_link.h. A reply is a frame whose check holds and which ends in silence; what
 * is anything else is thrown away and asked again. Every operation may be asked twice.
 */
#include "tool/update_link.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "drivers/checksum.h"
#include "drivers/cursor.h"
#include "ports/port_serial.h"
#include "tool/lend.h"

#define FRAME_MAX     256
#define PDU_MAX       253
#define REPORT        17
#define SERVER_ID     0x57 /* 'W' */
#define ANSWER_MS     3000 /* an erase of the largest sectors takes two seconds */
#define SILENCE_MS    6    /* ends a frame when its length is not known */
#define BEFORE_MS     6    /* between frames: more than t3.5 and a node's own delay */
#define EXCEPTION_BIT 0x80

struct update_link {
    struct port_serial *port;
    struct lend *lend; /* NULL: the line is nobody's */
    uint8_t unit;
    uint8_t frame[FRAME_MAX];
};

/* Unit, function, ..., check: what this tool has to say, and nothing else (P6). */
static bool allowed(const uint8_t *bytes, size_t n)
{
    return n >= 4 && bytes[0] != 0 && (bytes[1] == REPORT || bytes[1] == UPDATE_FUNCTION);
}

int update_link_open(const struct port_line *line, uint8_t unit, struct update_link **out)
{
    struct update_link *link = calloc(1, sizeof(*link));
    int error;

    *out = NULL;
    if (link == NULL)
        return PORT_GONE;
    link->unit = unit;
    if ((error = port_serial_open(line, allowed, &link->port)) != PORT_OK) {
        free(link);
        return error;
    }
    *out = link;
    return PORT_OK;
}

void update_link_lease(struct update_link *link, struct lend *lend)
{
    link->lend = lend;
}

void update_link_close(struct update_link *link)
{
    if (link == NULL)
        return;
    port_serial_close(link->port);
    free(link);
}

static bool checked(const uint8_t *frame, size_t n)
{
    uint16_t crc;

    if (n < 4)
        return false;
    crc = checksum_modbus(frame, n - 2);
    return frame[n - 2] == (crc & 0xFF) && frame[n - 1] == crc >> 8;
}

/* Reads until the frame holds and the line has gone quiet, or the time is over. */
static int receive(struct update_link *link, size_t *n)
{
    uint64_t until = clock_monotonic_us() + ANSWER_MS * (uint64_t)US_PER_MS;
    struct pollfd wait = {port_serial_fd(link->port), POLLIN, 0};

    *n = 0;
    for (;;) {
        uint64_t now = clock_monotonic_us();
        bool whole = checked(link->frame, *n);
        int left = now >= until ? 0 : (int)((until - now) / US_PER_MS) + 1, got;
        if (poll(&wait, 1, whole ? SILENCE_MS : left) <= 0) {
            if (whole)
                return PORT_OK;
            if (clock_monotonic_us() >= until)
                return *n == 0 ? PORT_TIMEOUT : PORT_CRC;
            continue;
        }
        got = port_serial_read(link->port, link->frame + *n, FRAME_MAX - *n);
        if (got < 0)
            return got;
        *n += (size_t)got;
        if (*n == FRAME_MAX && !checked(link->frame, *n))
            return PORT_LENGTH;
    }
}

static int exchange(struct update_link *link, const uint8_t *pdu, size_t size, size_t *n)
{
    const struct timespec before = {0, BEFORE_MS * 1000000L};
    uint8_t out[FRAME_MAX];
    uint16_t crc;
    int error;

    out[0] = link->unit;
    memcpy(out + 1, pdu, size);
    crc = checksum_modbus(out, size + 1);
    out[size + 1] = (uint8_t)crc;
    out[size + 2] = (uint8_t)(crc >> 8);
    (void)nanosleep(&before, NULL);
    port_serial_flush(link->port);
    if ((error = port_serial_write(link->port, out, size + 3)) != PORT_OK)
        return error;
    if ((error = receive(link, n)) != PORT_OK)
        return error;
    if (link->frame[0] != link->unit || (link->frame[1] & ~EXCEPTION_BIT) != pdu[0])
        return PORT_FOREIGN;
    if ((link->frame[1] & EXCEPTION_BIT) != 0)
        return PORT_EXCEPTION;
    /* 0x41 repeats its operation: a late answer to another one is not this one's. */
    return pdu[0] == UPDATE_FUNCTION && (*n < 5 || link->frame[2] != pdu[1])
               ? PORT_FOREIGN
               : PORT_OK;
}

int update_link_ask(struct update_link *link, const uint8_t *pdu, size_t size, int tries,
                    const uint8_t **reply, size_t *n)
{
    int error = PORT_REFUSED;

    *n = 0;
    if (size < 1 || size > PDU_MAX)
        return PORT_REFUSED;
    while (tries-- > 0) {
        if (!lend_renew(link->lend))
            return PORT_BUSY; /* wardgated may be on it again */
        error = exchange(link, pdu, size, n);
        if (error == PORT_OK || error == PORT_EXCEPTION) {
            *reply = link->frame + 1;
            *n -= 3; /* unit and check */
            return error;
        }
        if (error == PORT_GONE)
            break;
    }
    return error;
}

int update_link_identify(struct update_link *link, char *text, size_t size)
{
    static const char name[] = "wardgate ";
    const uint8_t *reply;
    size_t n;
    int error = update_link_ask(link, (const uint8_t[]){REPORT}, 1, 3, &reply, &n);

    if (error != PORT_OK)
        return error == PORT_EXCEPTION ? PORT_FOREIGN : error;
    /* Function, byte count, server id, run indicator, text. */
    if (n < 4 + sizeof(name) - 1 || reply[1] != n - 2 || reply[2] != SERVER_ID ||
        memcmp(reply + 4, name, sizeof(name) - 1) != 0)
        return PORT_FOREIGN;
    n -= 4;
    if (n >= size)
        n = size - 1;
    for (size_t i = 0; i < n; i++) {
        char c = (char)reply[4 + i];
        text[i] = c;
        if (c < ' ' || c > '~')
            text[i] = '?';
    }
    text[n] = '\0';
    return PORT_OK;
}

bool update_state_read(const uint8_t *reply, size_t n, struct update_state *state)
{
    struct cursor in = cursor_make(reply, n);
    size_t board;
    const uint8_t *name;

    memset(state, 0, sizeof(*state));
    (void)cursor_u8(&in);    /* function */
    (void)cursor_u8(&in);    /* operation */
    if (cursor_u8(&in) != 1) /* protocol */
        return false;
    state->state = cursor_u8(&in);
    state->error = (int8_t)cursor_u8(&in);
    state->running = cursor_u8(&in);
    state->running_state = cursor_u8(&in);
    state->target = cursor_u8(&in);
    state->address = cursor_be32(&in);
    state->room = cursor_be32(&in);
    state->next = cursor_be32(&in);
    state->total = cursor_be32(&in);
    state->counter = cursor_be32(&in);
    state->version.major = cursor_u8(&in);
    state->version.minor = cursor_u8(&in);
    state->version.revision = cursor_be16(&in);
    state->version.build = cursor_be32(&in);
    state->block = cursor_be16(&in);
    board = cursor_remaining(&in);
    name = cursor_bytes(&in, board);
    if (in.failed || board > IMAGE_BOARD_MAX || state->block < 8 ||
        state->state > UPDATE_REFUSED)
        return false;
    memcpy(state->board, name, board);
    if (state->block > UPDATE_BLOCK_MAX)
        state->block = UPDATE_BLOCK_MAX;
    return true;
}

int update_link_state(struct update_link *link, enum update_operation operation,
                      int tries, struct update_state *state)
{
    const uint8_t pdu[] = {UPDATE_FUNCTION, (uint8_t)operation}, *reply;
    size_t n;
    int error = update_link_ask(link, pdu, sizeof(pdu), tries, &reply, &n);

    if (error != PORT_OK)
        return error;
    return update_state_read(reply, n, state) ? PORT_OK : PORT_LENGTH;
}
