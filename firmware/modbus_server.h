/* SPDX-License-Identifier: Apache-2.0
 *
 * A Modbus RTU slave (Modbus over Serial Line 1.02, Application Protocol 1.1b3). Pure:
 * bytes with their gaps and the time in, a reply out. It never takes a write: its own
 * functions are 3, 4, 17, 20 and 43/14, and each leaves everything as it was. The one way
 * to change a node is the user function that the update attaches.
 *
 * Framing is by silence. A frame ends t3.5 after its last byte; a silence of more than
 * t1.5 within one spoils it. Only then is it looked at: the check, the address, the
 * function. What is spoilt, damaged, for others or for all is never answered.
 */
#ifndef FIRMWARE_MODBUS_SERVER_H
#define FIRMWARE_MODBUS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/cursor.h"
#include "firmware/serial.h"

#define MODBUS_FRAME_MAX 256 /* bytes on the wire, address and check among them */
#define MODBUS_PDU_MAX   253 /* function and data */
#define MODBUS_SILENT    (-1)

enum modbus_exception { /* 0 is none */
                        MODBUS_BAD_FUNCTION = 1,
                        MODBUS_BAD_ADDRESS = 2,
                        MODBUS_BAD_VALUE = 3,
                        MODBUS_FAILED = 4,
                        MODBUS_BUSY = 6,
};

/* A reply being written: function and data. Sticky: what does not fit makes it failed,
 * and exception 4 goes out in its place. */
struct modbus_reply {
    uint8_t bytes[MODBUS_PDU_MAX];
    size_t size;
    bool failed;
};

void modbus_reply_u8(struct modbus_reply *reply, uint8_t value);
void modbus_reply_u16(struct modbus_reply *reply, uint16_t value);
void modbus_reply_bytes(struct modbus_reply *reply, const void *bytes, size_t n);
/* Room for n bytes that the caller fills; NULL if there is none. */
uint8_t *modbus_reply_room(struct modbus_reply *reply, size_t n);

/* What stands behind the functions. `unit` counts from 0: the address less the server's
 * own. A NULL member: exception 1. Nothing here may block. */
struct modbus_source {
    void *context;
    /* Functions 3 and 4: writes 2 * count bytes. False if one of the registers is not
     * there: exception 2. count is 1-125 and the range within 65,536. */
    bool (*registers)(void *context, unsigned unit, uint16_t address, uint16_t count,
                      uint8_t *out);
    /* Function 20: writes 2 * length bytes of the file from that record (register) on.
     * False if they are not there: exception 2. */
    bool (*file)(void *context, unsigned unit, uint16_t file, uint16_t record,
                 uint16_t length, uint8_t *out);
    /* Function 17: writes what follows the byte count. */
    void (*report)(void *context, unsigned unit, struct modbus_reply *reply);
    /* Function 43/14: the object's text, NULL if there is none. */
    const char *(*object)(void *context, unsigned unit, uint8_t id);
    /* A function of our own, 65-72 or 100-110; 0: none. `request` is what follows the
     * function code; the reply has the function code already. Returns 0, an exception, or
     * MODBUS_SILENT. Never called for a broadcast. */
    uint8_t user_code;
    int (*user_function)(void *context, unsigned unit, struct cursor *request,
                         struct modbus_reply *reply);
    void *user_context;
};

struct modbus_setting {
    uint8_t address; /* of unit 0, 1-247 */
    uint8_t units;   /* address..address + units - 1 are answered */
    uint32_t char_us;
    uint32_t t15_us, t35_us; /* modbus_server_times() */
};

struct modbus_count {      /* since the start; they wrap */
    uint32_t frames;       /* that ended in silence */
    uint32_t crc;          /* of these: damaged, or too short to be one */
    uint32_t gaps;         /* silence of more than t1.5 within */
    uint32_t too_long;     /* more than MODBUS_FRAME_MAX bytes */
    uint32_t broadcasts;   /* to all: nothing was done */
    uint32_t others;       /* for another unit */
    uint32_t requests;     /* for us */
    uint32_t exceptions;   /* of these: refused */
    uint32_t overtaken;    /* the next frame began before this one was looked at */
    uint32_t delay_max_us; /* from the end of silence to the reply's first byte */
};

struct modbus_server {
    struct modbus_setting setting;
    struct modbus_source source;
    struct modbus_count count;
    uint64_t heard_us; /* the last byte */
    size_t have;
    bool spoilt, overrun;
    uint8_t frame[MODBUS_FRAME_MAX];
};

/* Character time, t1.5 and t3.5 of a line (above 19,200 baud the fixed 750 and 1,750 us);
 * late_us is added to both silences. */
void modbus_server_times(const struct hal_line *line, uint32_t late_us,
                         struct modbus_setting *setting);

void modbus_server_init(struct modbus_server *server,
                        const struct modbus_setting *setting,
                        const struct modbus_source *source);

/* Bytes that came; heard_us: when the last of them did. */
void modbus_server_feed(struct modbus_server *server, const struct serial_byte *bytes,
                        size_t n, uint64_t heard_us);

/* When the silence that ends the frame will be over; UINT64_MAX: no frame has begun. */
uint64_t modbus_server_due_us(const struct modbus_server *server);

/* If the silence is over, looks at the frame, and writes what is to be sent
 * (MODBUS_FRAME_MAX bytes). Returns its size, 0: nothing. */
size_t modbus_server_poll(struct modbus_server *server, uint64_t now_us, uint8_t *out);

/* Forgets a frame that has begun: after own sending, whose echo it may be. */
void modbus_server_forget(struct modbus_server *server);

#endif
