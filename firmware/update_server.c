/* SPDX-License-Identifier: Apache-2.0
 *
 * See update_server.h. One thing is begun at a time, and a new begin is always allowed:
 * whoever started the last one may never come back.
 */
#include "firmware/update_server.h"

#include <string.h>

#include "drivers/checksum.h"
#include "firmware/bytes.h"

#define NONE          255u  /* a slot that is none */
#define STEP          8192u /* bytes hashed at a time: some 100 ms at 25 MHz */
#define CHUNK         64u
#define WRITE_UNIT    8u /* bytes: a multiple of every write_size */
#define BAD_OPERATION 1
#define BAD_VALUE     3
#define NOT_NOW       4

struct writer {
    uint8_t *at;
};

static void put8(struct writer *to, unsigned value)
{
    *to->at++ = (uint8_t)value;
}

static void put16(struct writer *to, uint16_t value)
{
    bytes_put16(to->at, value);
    to->at += 2;
}

static void put32(struct writer *to, uint32_t value)
{
    bytes_put32(to->at, value);
    to->at += 4;
}

static const struct flash_area *area_of(const struct update_server *server)
{
    return server->slots.areas[server->target];
}

void update_server_init(struct update_server *server, const struct update_config *config)
{
    memset(server, 0, sizeof(*server));
    server->config = config;
    slots_look(&server->slots, config->areas, config->board, NULL);
    server->target = slots_spare(&server->slots, config->running);
}

static void refuse(struct update_server *server, int error)
{
    server->state = UPDATE_REFUSED;
    server->error = error;
}

/* --- The operations: each reads the rest of the request and writes its reply --- */

/* 36 bytes and the name: it fits whatever the name. */
static int put_state(struct update_server *server, struct writer *to)
{
    static const struct image none;
    const struct update_config *config = server->config;
    int running = config->running, target = server->target;
    const struct image *image =
        running == SLOT_NONE ? &none : &server->slots.images[running];

    put8(to, UPDATE_PROTOCOL);
    put8(to, server->state);
    put8(to, (uint8_t)server->error);
    put8(to, running == SLOT_NONE ? NONE : (unsigned)running);
    put8(to, running == SLOT_NONE ? SLOT_EMPTY : server->slots.states[running]);
    put8(to, target == SLOT_NONE ? NONE : (unsigned)target);
    put32(to, target == SLOT_NONE ? 0 : area_of(server)->base);
    put32(to, target == SLOT_NONE ? 0 : slots_room(area_of(server)));
    put32(to, server->next);
    put32(to, server->image.total_size);
    put32(to, server->slots.floor);
    put8(to, image->version.major);
    put8(to, image->version.minor);
    put16(to, image->version.revision);
    put32(to, image->version.build);
    put16(to, UPDATE_BLOCK);
    for (size_t i = 0; i < IMAGE_BOARD_MAX && config->board[i] != '\0'; i++)
        put8(to, (unsigned char)config->board[i]);
    return 0;
}

/* Goes on with the hash, a little at a time: nothing may keep a node from its bus for
 * long. The trailer's magic is the very last write. */
static void go_on(struct update_server *server)
{
    int error = image_hash_step(&server->hash, area_of(server), STEP);

    if (error == IMAGE_OK && server->hash.at < server->hash.size)
        return;
    if (error == IMAGE_OK)
        error = image_hash_end(&server->hash, server->image.hash);
    if (error == IMAGE_OK && slots_request(area_of(server)) != FLASH_OK)
        error = UPDATE_FLASH;
    if (error != IMAGE_OK)
        refuse(server, error);
    else
        server->state = UPDATE_READY;
}

static int do_status(struct update_server *server, struct cursor *in, struct writer *to)
{
    if (!cursor_done(in))
        return BAD_VALUE;
    if (server->state == UPDATE_HASHING)
        go_on(server);
    return put_state(server, to);
}

/* Everything that can be known before the first byte is written. */
static int judge(const struct update_server *server, const struct image *image)
{
    const struct update_config *config = server->config;
    int error = image_fits(image, config->board, area_of(server)->base);

    if (error != IMAGE_OK)
        return error;
    if (image->counter < server->slots.floor)
        return IMAGE_ROLLED_BACK;
    if (config->running != SLOT_NONE &&
        !slots_newer(image, &server->slots.images[config->running]))
        return UPDATE_NOT_NEWER;
    return config->signature == NULL ? IMAGE_OK
                                     : config->signature(config->context, image);
}

static int do_begin(struct update_server *server, struct cursor *in, struct writer *to)
{
    size_t n = cursor_remaining(in);
    const uint8_t *bytes = cursor_bytes(in, n);
    struct image *image = &server->image;
    uint32_t room;
    int error;

    server->target = slots_spare(&server->slots, server->config->running);
    server->next = 0;
    if (server->target == SLOT_NONE) {
        refuse(server, UPDATE_UNCONFIRMED);
        return put_state(server, to);
    }
    room = slots_room(area_of(server));
    error = image_read_header(bytes, n, room, image);
    if (error == IMAGE_OK)
        error = image_read_tlvs(bytes + IMAGE_HEADER_SIZE, n - IMAGE_HEADER_SIZE, room,
                                image);
    if (error == IMAGE_OK)
        error = judge(server, image);
    if (error == IMAGE_OK && slots_clear(&server->slots, server->target) != FLASH_OK)
        error = UPDATE_FLASH;
    if (error != IMAGE_OK) {
        refuse(server, error);
    } else {
        server->state = UPDATE_RECEIVING;
        server->error = IMAGE_OK;
    }
    return put_state(server, to);
}

/* The same CRC as the bus's own, over what is in the slot. 16 bits may err; the hash at
 * the end does not. */
static int do_check(struct update_server *server, struct cursor *in, struct writer *to)
{
    uint32_t offset = cursor_be32(in), length = cursor_be32(in);
    uint16_t expected = cursor_be16(in);
    uint16_t crc = CHECKSUM_MODBUS_START;
    bool same;

    if (!cursor_done(in) || length == 0 || length > UPDATE_CHECK_MAX)
        return BAD_VALUE;
    if (server->state != UPDATE_RECEIVING)
        return NOT_NOW;
    if (length % WRITE_UNIT != 0 && offset + length != server->image.total_size)
        return BAD_VALUE; /* no block could go on there */
    same = offset == server->next && length <= server->image.total_size - server->next;
    for (uint32_t done = 0; same && done < length;) {
        uint8_t chunk[CHUNK];
        uint32_t n = length - done < CHUNK ? length - done : CHUNK;
        if (area_of(server)->ops->read(area_of(server), offset + done, chunk, n) !=
            FLASH_OK)
            same = false;
        crc = checksum_modbus_more(crc, chunk, n);
        done += n;
    }
    if (same && (same = crc == expected))
        server->next += length;
    put8(to, same);
    put32(to, server->next);
    return 0;
}

/* 1: all erased, 0: not, FLASH_...: can't be read. */
static int is_erased(const struct flash_area *area, uint32_t offset, uint32_t size)
{
    while (size > 0) {
        uint8_t chunk[CHUNK];
        uint32_t n = size < CHUNK ? size : CHUNK;
        int error = area->ops->read(area, offset, chunk, n);
        if (error != FLASH_OK)
            return error;
        for (uint32_t i = 0; i < n; i++)
            if (chunk[i] != 0xFF)
                return 0;
        offset += n;
        size -= n;
    }
    return 1;
}

/* Writes a piece within one erase unit. A unit is erased when its first byte comes and it
 * holds anything, or as soon as a piece meets bytes that were not erased (what a cut left
 * of the update before); then the whole unit is to be sent again. */
static int put_piece(struct update_server *server, const uint8_t *bytes, uint32_t n)
{
    const struct flash_area *area = area_of(server);
    uint32_t inside = server->next % area->erase_size, unit = server->next - inside;
    uint32_t whole = (n + WRITE_UNIT - 1) / WRITE_UNIT * WRITE_UNIT;
    uint8_t padded[UPDATE_BLOCK];
    int clean = is_erased(area, server->next, inside == 0 ? area->erase_size : whole);

    if (clean < 0)
        return clean;
    if (clean == 0) {
        server->next = unit;
        clean = area->ops->erase(area, unit);
        if (clean != FLASH_OK || inside != 0)
            return clean;
    }
    memset(padded, 0xFF, sizeof(padded));
    memcpy(padded, bytes, n);
    clean = area->ops->write(area, server->next, padded, whole);
    if (clean == FLASH_OK)
        server->next += n;
    return clean;
}

/* A block that came before is answered like a new one: its reply was lost. */
static int do_block(struct update_server *server, struct cursor *in, struct writer *to)
{
    uint32_t offset = cursor_be32(in);
    uint32_t left = (uint32_t)cursor_remaining(in);
    const uint8_t *bytes = cursor_bytes(in, left);

    if (in->failed || left == 0 || left > UPDATE_BLOCK)
        return BAD_VALUE;
    if (server->state != UPDATE_RECEIVING)
        return NOT_NOW;
    if (left > server->image.total_size || offset > server->image.total_size - left ||
        (left % WRITE_UNIT != 0 && offset + left != server->image.total_size))
        return BAD_VALUE;
    while (offset == server->next && left > 0) {
        uint32_t size = area_of(server)->erase_size, n = size - offset % size;
        if (n > left)
            n = left;
        if (put_piece(server, bytes, n) != FLASH_OK) {
            refuse(server, UPDATE_FLASH);
            return NOT_NOW;
        }
        offset += n;
        bytes += n;
        left -= n;
    }
    put32(to, server->next);
    return 0;
}

/* The hash covers all of an image but its unprotected TLVs, and those were judged. */
static bool same_image(const struct image *a, const struct image *b)
{
    return memcmp(a->hash, b->hash, IMAGE_HASH_SIZE) == 0 &&
           memcmp(a->key_hash, b->key_hash, IMAGE_HASH_SIZE) == 0 &&
           a->signature_size == b->signature_size &&
           memcmp(a->signature, b->signature, a->signature_size) == 0 &&
           a->hashed_size == b->hashed_size && a->total_size == b->total_size &&
           a->counter == b->counter;
}

/* The image is read again from the flash: only what lies there counts. */
static int do_finish(struct update_server *server, struct cursor *in, struct writer *to)
{
    struct image found;
    int error;

    if (!cursor_done(in))
        return BAD_VALUE;
    if (server->state != UPDATE_RECEIVING || server->next != server->image.total_size)
        return NOT_NOW;
    error = slots_read_image(area_of(server), server->config->board, &found);
    if (error == IMAGE_OK && !same_image(&found, &server->image))
        error = UPDATE_CHANGED;
    if (error != IMAGE_OK) {
        refuse(server, error);
    } else {
        server->state = UPDATE_HASHING;
        image_hash_begin(&server->hash, found.hashed_size);
    }
    return put_state(server, to);
}

static int do_restart(struct update_server *server, struct cursor *in, struct writer *to)
{
    if (!cursor_done(in))
        return BAD_VALUE;
    server->restart = true;
    (void)to;
    return 0;
}

/* Whoever asks has reached the node through this image, on this bus, and could update it
 * again: that is what an image must prove. */
static int do_confirm(struct update_server *server, struct cursor *in, struct writer *to)
{
    int running = server->config->running;

    if (!cursor_done(in))
        return BAD_VALUE;
    if (running == SLOT_NONE)
        return NOT_NOW;
    if (slots_confirm(&server->slots, running) != FLASH_OK)
        refuse(server, UPDATE_FLASH);
    if (server->target == SLOT_NONE)
        server->target = slots_spare(&server->slots, running);
    return put_state(server, to);
}

int update_server_answer(struct update_server *server, struct cursor *request,
                         uint8_t *reply, size_t *size)
{
    static int (*const operations[])(struct update_server *, struct cursor *,
                                     struct writer *) = {
        [UPDATE_STATUS] = do_status,   [UPDATE_BEGIN] = do_begin,
        [UPDATE_CHECK] = do_check,     [UPDATE_DATA] = do_block,
        [UPDATE_FINISH] = do_finish,   [UPDATE_RESTART] = do_restart,
        [UPDATE_CONFIRM] = do_confirm,
    };
    struct writer to = {reply};
    uint8_t operation = cursor_u8(request);
    int exception;

    *size = 0;
    if (request->failed)
        return BAD_VALUE;
    if (operation == 0 || operation >= sizeof(operations) / sizeof(operations[0]))
        return BAD_OPERATION;
    put8(&to, operation);
    exception = operations[operation](server, request, &to);
    if (exception == 0)
        *size = (size_t)(to.at - reply);
    return exception;
}

const char *update_error_text(int error)
{
    static const char *const texts[] = {
        "it is not newer than what runs",
        "what runs is not confirmed yet",
        "the flash gave an error",
        "what was written is not what was begun",
    };
    unsigned i = (unsigned)(UPDATE_NOT_NEWER - error);

    return i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : image_error_text(error);
}
