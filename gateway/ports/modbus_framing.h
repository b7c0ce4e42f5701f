/* SPDX-License-Identifier: Apache-2.0
 *
 * The two ways in which a Modbus frame without a transaction number is put on a line: RTU
 * (bytes and a CRC) and ASCII (a colon, hex digits, an LRC, CR LF). Facts: Modbus over
 * serial line V1.02, 2.5.1 and 2.5.2. Pure. Inside this room only.
 *
 * The LRC is a sum of 8 bits: of frames with more than one wrong character about 1 in 256
 * passes, where it is 1 in 65,536 with the CRC. Whoever reads values by ASCII reads them
 * twice (bedside/bus_trust.h, rule 8).
 */
#ifndef PORTS_MODBUS_FRAMING_H
#define PORTS_MODBUS_FRAMING_H

#include "ports/port_modbus.h"

/* Bytes of unit, function and data. */
#define MODBUS_BODY_MAX 254
/* A colon, two digits a byte and of the LRC, CR, LF. */
#define MODBUS_ASCII_MAX (1 + 2 * (MODBUS_BODY_MAX + 1) + 2)

struct modbus_framing {
    /* The longest frame. */
    size_t max;
    /* Bytes of a frame besides its body, and wire bytes of each byte of the body. */
    uint8_t around, each;
    /* The check may let damage pass that is not rare: read twice. */
    bool weak;
    /* Pause that a frame's rest may make on its way, and still be the same frame. */
    uint32_t rest_us;

    /* Writes n bytes of body as a frame to out (max bytes). Returns its size. */
    size_t (*seal)(const uint8_t *body, size_t n, uint8_t *out);
    /* Bytes of the whole reply that begins here, of which `have` bytes are known. 0: too
     * few to tell. max + 1: no reply looks like this. */
    size_t (*length)(const uint8_t *bytes, size_t have);
    /* The body of a whole frame: a pointer into bytes, or into room (MODBUS_BODY_MAX).
     * NULL if it is no frame or its check fails. */
    const uint8_t *(*open)(const uint8_t *bytes, size_t n, uint8_t *room, size_t *size);
};

extern const struct modbus_framing modbus_rtu_framing, modbus_ascii_framing;

/* What n bytes that came for a request are. PORT_OK or PORT_EXCEPTION: exactly its
 * answer; *data and *size are as modbus_frame_match() gives them, in bytes or in room. 1:
 * more must come. PORT_CRC, PORT_FOREIGN, PORT_LENGTH, PORT_TRAILING. */
int modbus_framing_judge(const struct modbus_framing *framing,
                         const struct port_modbus_request *request, const uint8_t *bytes,
                         size_t n, uint8_t *room, const uint8_t **data, size_t *size);

/* Looks for whole good replies anywhere in n bytes and adds what it finds to *strays.
 * True if one of them answers the request (NULL: none is looked for). */
bool modbus_framing_scan(const struct modbus_framing *framing,
                         const struct port_modbus_request *request, const uint8_t *bytes,
                         size_t n, struct port_modbus_strays *strays);

#endif
