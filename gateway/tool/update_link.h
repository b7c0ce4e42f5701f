/* SPDX-License-Identifier: Apache-2.0
 *
 * One node on a serial line, as `wardgate update` talks to it: Modbus RTU, functions 17
 * and 0x41 and no others (an allow-list in front of every write). wardgated's own port
 * never sends 0x41; the tool takes the line for itself and lets wardgated have it back.
 */
#ifndef TOOL_UPDATE_LINK_H
#define TOOL_UPDATE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/image.h"
#include "ports/port.h"

#define UPDATE_FUNCTION  0x41
#define UPDATE_BLOCK_MAX 240 /* bytes of the largest block that may be sent */
#define UPDATE_NO_SLOT   255

enum update_operation { /* firmware/update_server.h */
                        UPDATE_STATUS = 1,
                        UPDATE_BEGIN,
                        UPDATE_CHECK,
                        UPDATE_DATA,
                        UPDATE_FINISH,
                        UPDATE_RESTART,
                        UPDATE_CONFIRM,
};

enum update_node_state {
    UPDATE_IDLE,
    UPDATE_RECEIVING,
    UPDATE_HASHING,
    UPDATE_READY,
    UPDATE_REFUSED,
};

enum update_slot_state { UPDATE_EMPTY, UPDATE_PENDING, UPDATE_TRIED, UPDATE_CONFIRMED };

/* A node's state as it tells it. */
struct update_state {
    uint8_t state; /* enum update_node_state */
    int8_t error;
    uint8_t running, running_state; /* slot (UPDATE_NO_SLOT: the bootloader) */
    uint8_t target;                 /* slot, or UPDATE_NO_SLOT */
    uint32_t address, room;         /* of the target */
    uint32_t next, total;
    uint32_t counter;
    struct image_version version; /* of what runs */
    uint16_t block;
    char board[IMAGE_BOARD_MAX + 1];
};

struct update_link;
struct lend; /* tool/lend.h */

/* Opens and locks the line: PORT_OK or a port_error (errno for PORT_GONE). unit: 1-247.
 */
int update_link_open(const struct port_line *line, uint8_t unit,
                     struct update_link **out);
/* The line is borrowed: each exchange renews the lease first, and fails with PORT_BUSY
 * once it can't. Borrowed itself; must outlive the link. */
void update_link_lease(struct update_link *link, struct lend *lend);
void update_link_close(struct update_link *link); /* NULL is fine */

/* Asks once and again (tries times in all) until a whole good answer came. pdu is
 * function and data. On PORT_OK *reply is the answer's function and data, *n its bytes,
 * valid until the next call. PORT_EXCEPTION: *reply[1] is the exception. Else a
 * port_error of the last try. */
int update_link_ask(struct update_link *link, const uint8_t *pdu, size_t size, int tries,
                    const uint8_t **reply, size_t *n);

/* Function 17: PORT_OK and the node's own words if it is one of wardgate's; PORT_FOREIGN
 * if something else answers. */
int update_link_identify(struct update_link *link, char *text, size_t size);

/* An operation without data whose answer is the state. PORT_OK, or a port_error. */
int update_link_state(struct update_link *link, enum update_operation operation,
                      int tries, struct update_state *state);

/* Reads a state from an answer to 0x41. False if it is none. */
bool update_state_read(const uint8_t *reply, size_t n, struct update_state *state);

#endif
