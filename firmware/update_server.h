/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's side of an update over the bus: Modbus user function 0x41. Pure over struct
 * flash_area: requests in, replies out. Used by the running image and, when no image is
 * good, by the bootloader.
 *
 * A request is u8 operation and what the operation takes; a reply repeats the operation.
 * All numbers big-endian, as all of Modbus; an image's own bytes stay as they are.
 *
 *  - 1 status: takes nothing, gives the state (below).
 *  - 2 begin: the image's header (32 bytes) and all its TLVs; gives the state. Nothing
 * was written if it was refused.
 *  - 3 check: u32 offset, u32 length, u16 CRC-16/MODBUS of these bytes; gives u8 same,
 * u32 next. Bytes that are in the slot already need not be sent again. The length is a
 * multiple of 8, and so is a block's, but for the image's last.
 *  - 4 block: u32 offset, bytes; gives u32 next. Not the offset behind the block: the
 * unit had to be erased, or the block was not the next one: go on there.
 *  - 5 finish: gives the state; `hashing` until it is known: each status asked for goes
 * on with it.
 *  - 6 restart: gives nothing: the node starts again.
 *  - 7 confirm: confirms the running image; gives the state.
 *
 * The state: u8 protocol (1), u8 enum update_state, i8 error (image_error or
 * update_error), u8 slot that runs (255: the bootloader), u8 its enum slot_state, u8 slot
 * to be written (255: none), u32 its address, u32 its room, u32 next, u32 size of the
 * whole image, u32 security counter, u8 major, u8 minor, u16 revision, u32 build of the
 * running image, u16 largest block, then the board's name.
 *
 * What is refused before anything is written: another board or slot, a security counter
 * below the node's, an image that is not newer than the running one, another key, a
 * signature that does not hold for the hash that stands beside it. That the hash is the
 * image's shows at the end. After a cut of the bus the state tells where to go on; after
 * a cut of the power, begin and check do.
 */
#ifndef FIRMWARE_UPDATE_SERVER_H
#define FIRMWARE_UPDATE_SERVER_H

#include "drivers/cursor.h"
#include "firmware/image_verify.h"
#include "firmware/slots.h"

#define UPDATE_FUNCTION  0x41
#define UPDATE_PROTOCOL  1
#define UPDATE_BLOCK     240  /* bytes, a multiple of 8 */
#define UPDATE_REPLY_MAX 80   /* bytes, from the operation on */
#define UPDATE_CHECK_MAX 4096 /* bytes of one check */

enum update_operation {
    UPDATE_STATUS = 1,
    UPDATE_BEGIN,
    UPDATE_CHECK,
    UPDATE_DATA,
    UPDATE_FINISH,
    UPDATE_RESTART,
    UPDATE_CONFIRM,
};

enum update_state {
    UPDATE_IDLE,      /* nothing was begun */
    UPDATE_RECEIVING, /* checks and blocks */
    UPDATE_HASHING,   /* all is there and being looked at: ask again */
    UPDATE_READY,     /* the image will be tried at the next start */
    UPDATE_REFUSED,   /* see the error; begin again */
};

enum update_error {                         /* beside enum image_error */
                    UPDATE_NOT_NEWER = -64, /* the running image is as new, or newer */
                    UPDATE_UNCONFIRMED =
                        -65, /* the running image is not confirmed: nowhere to write */
                    UPDATE_FLASH = -66, /* the flash gave an error */
                    UPDATE_CHANGED =
                        -67, /* what was written is not the image that was begun */
};

struct update_config {
    const struct flash_area *areas[SLOTS];
    const char *board;
    int running; /* slot, or SLOT_NONE: the bootloader */
    /* The signature over image->hash: IMAGE_OK or an image_error. NULL: whoever starts
     * the image looks at it. */
    int (*signature)(void *context, const struct image *image);
    void *context;
};

struct update_server {
    const struct update_config *config;
    struct slots slots;
    enum update_state state;
    int error;
    int target;         /* slot, or SLOT_NONE */
    struct image image; /* as it was begun */
    uint32_t next;      /* bytes from the slot's begin that are in place */
    struct image_hash hash;
    bool restart; /* asked for: the caller starts the node again instead of a reply */
};

/* config is borrowed. Reads both slots' trailers and images. */
void update_server_init(struct update_server *server, const struct update_config *config);

/* Answers one request, from its operation on. Writes at most UPDATE_REPLY_MAX bytes and
 * sets *size. Returns 0, or a Modbus exception: 1 unknown operation, 3 a request of the
 * wrong size, 4 not in this state. May take as long as an erase of one unit, or the hash
 * of 8 KiB. */
int update_server_answer(struct update_server *server, struct cursor *request,
                         uint8_t *reply, size_t *size);

/* What an error of the state means, for people. Never NULL. */
const char *update_error_text(int error);

#endif
