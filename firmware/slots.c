/* SPDX-License-Identifier: Apache-2.0
 *
 * See slots.h. Every write here is one that may be torn, so each is judged by what it
 * leaves: whatever mixture of bits a cut makes of a field has one meaning, and the
 * meaning that starts less.
 */
#include "firmware/slots.h"

#include <string.h>

#define MAGIC_SIZE   IMAGE_TRAILER_MAGIC
#define FIELD_SIZE   8                   /* bytes: the largest write_size there is */
#define MAGIC_AT     IMAGE_TRAILER_MAGIC /* bytes before the slot's end */
#define IMAGE_OK_AT  IMAGE_TRAILER_OK
#define COPY_DONE_AT 32
#define RECORDS_AT   SLOT_TRAILER
#define RECORDS      16
#define RECORD_SIZE  8
#define CHUNK        64 /* bytes looked at at once */
#define FLAG_SET     0x01

static int read_end(const struct flash_area *area, uint32_t before_end, void *bytes,
                    size_t n)
{
    return area->ops->read(area, area->size - before_end, bytes, n);
}

static bool erased(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0xFF)
            return false;
    return true;
}

/* Believes only what reads back. */
static int write_end(const struct flash_area *area, uint32_t before_end,
                     const uint8_t *bytes, size_t n)
{
    uint8_t back[MAGIC_SIZE];
    int error = area->ops->write(area, area->size - before_end, bytes, n);

    if (error == FLASH_OK)
        error = read_end(area, before_end, back, n);
    if (error == FLASH_OK && memcmp(bytes, back, n) != 0)
        error = FLASH_FAILED;
    return error;
}

static int set_flag(const struct flash_area *area, uint32_t before_end)
{
    uint8_t field[FIELD_SIZE];

    memset(field, 0xFF, sizeof(field));
    field[0] = FLAG_SET;
    return write_end(area, before_end, field, sizeof(field));
}

/* A torn magic is none; a torn image-ok is not set; a torn copy-done is: each time the
 * image starts less often. A trailer that can't be read is empty. */
static enum slot_state read_state(const struct flash_area *area)
{
    uint8_t found[MAGIC_SIZE], ok[FIELD_SIZE], done[FIELD_SIZE];

    if (read_end(area, MAGIC_AT, found, sizeof(found)) != FLASH_OK ||
        read_end(area, IMAGE_OK_AT, ok, sizeof(ok)) != FLASH_OK ||
        read_end(area, COPY_DONE_AT, done, sizeof(done)) != FLASH_OK ||
        memcmp(found, image_trailer_magic, sizeof(found)) != 0)
        return SLOT_EMPTY;
    if (ok[0] == FLAG_SET && erased(ok + 1, sizeof(ok) - 1))
        return SLOT_CONFIRMED;
    return erased(done, sizeof(done)) ? SLOT_PENDING : SLOT_TRIED;
}

/* --- The security counter --- */

static uint32_t le32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_le32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* The highest good record of one slot, and the first erased one (RECORDS: none). A torn
 * record does not match its complement and is passed over. */
static uint32_t read_floor(const struct flash_area *area, unsigned *free)
{
    uint32_t highest = 0;

    *free = RECORDS;
    for (unsigned i = RECORDS; i-- > 0;) {
        uint8_t record[RECORD_SIZE];
        if (read_end(area, RECORDS_AT - i * RECORD_SIZE, record, sizeof(record)) !=
            FLASH_OK)
            continue;
        if (erased(record, sizeof(record)))
            *free = i;
        else if (le32(record) == ~le32(record + 4) && le32(record) > highest)
            highest = le32(record);
    }
    return highest;
}

/* Brings one slot's records up to the counter. A record that does not take is passed
 * over; there are more of them than cuts that anyone will see in one trailer's life. */
static int raise_floor(const struct flash_area *area, uint32_t counter)
{
    unsigned free;

    if (read_floor(area, &free) >= counter)
        return FLASH_OK;
    for (; free < RECORDS; free++) {
        uint8_t record[RECORD_SIZE];
        if (read_end(area, RECORDS_AT - free * RECORD_SIZE, record, sizeof(record)) !=
                FLASH_OK ||
            !erased(record, sizeof(record)))
            continue;
        put_le32(record, counter);
        put_le32(record + 4, ~counter);
        if (write_end(area, RECORDS_AT - free * RECORD_SIZE, record, sizeof(record)) ==
            FLASH_OK)
            return FLASH_OK;
    }
    return FLASH_FAILED;
}

/* --- Looking --- */

uint32_t slots_room(const struct flash_area *area)
{
    return area->size - SLOT_TRAILER;
}

int slots_read_image(const struct flash_area *area, const char *board,
                     struct image *image)
{
    uint8_t bytes[IMAGE_TLVS_MAX];
    uint32_t at, n;
    int error;

    if (area->ops->read(area, 0, bytes, IMAGE_HEADER_SIZE) != FLASH_OK)
        return IMAGE_UNREADABLE;
    error = image_read_header(bytes, IMAGE_HEADER_SIZE, slots_room(area), image);
    if (error != IMAGE_OK)
        return error;
    at = image->payload_at + image->payload_size;
    n = slots_room(area) - at;
    if (n > sizeof(bytes))
        n = sizeof(bytes);
    if (area->ops->read(area, at, bytes, n) != FLASH_OK)
        return IMAGE_UNREADABLE;
    error = image_read_tlvs(bytes, n, slots_room(area), image);
    return error == IMAGE_OK ? image_fits(image, board, area->base) : error;
}

/* The counter before the signature: it is the cheaper of the two. */
void slots_look(struct slots *slots, const struct flash_area *const areas[SLOTS],
                const char *board, const struct slots_verify *verify)
{
    slots->board = board;
    slots->floor = 0;
    for (int i = 0; i < SLOTS; i++) {
        unsigned free;
        uint32_t floor = read_floor(areas[i], &free);
        slots->areas[i] = areas[i];
        if (floor > slots->floor)
            slots->floor = floor;
    }
    for (int i = 0; i < SLOTS; i++) {
        struct image *image = &slots->images[i];
        slots->states[i] = read_state(areas[i]);
        slots->errors[i] = slots_read_image(areas[i], board, image);
        if (slots->errors[i] == IMAGE_OK && image->counter < slots->floor)
            slots->errors[i] = IMAGE_ROLLED_BACK;
        if (slots->errors[i] == IMAGE_OK && verify != NULL &&
            (slots->states[i] == SLOT_PENDING || slots->states[i] == SLOT_CONFIRMED))
            slots->errors[i] = verify->verify(verify->context, areas[i], image);
    }
}

/* --- Deciding --- */

static bool may_run(const struct slots *slots, int slot)
{
    return slots->errors[slot] == IMAGE_OK &&
           (slots->states[slot] == SLOT_PENDING || slots->states[slot] == SLOT_CONFIRMED);
}

/* A counter that was raised outweighs any version: that is what it is for. */
bool slots_newer(const struct image *a, const struct image *b)
{
    if (a->counter != b->counter)
        return a->counter > b->counter;
    return image_version_compare(&a->version, &b->version) > 0;
}

int slots_choose(const struct slots *slots)
{
    if (!may_run(slots, 0))
        return may_run(slots, 1) ? 1 : SLOT_NONE;
    if (!may_run(slots, 1))
        return 0;
    if (slots_newer(&slots->images[0], &slots->images[1]))
        return 0;
    if (slots_newer(&slots->images[1], &slots->images[0]))
        return 1;
    return slots->states[0] != SLOT_CONFIRMED && slots->states[1] == SLOT_CONFIRMED;
}

/* A confirmed image whose counter could not be written runs all the same: it is written
 * again at the next start, and before anything is erased. */
bool slots_start(struct slots *slots, int slot)
{
    const struct flash_area *area = slots->areas[slot];

    if (slots->states[slot] == SLOT_CONFIRMED) {
        if (raise_floor(area, slots->images[slot].counter) == FLASH_OK &&
            slots->images[slot].counter > slots->floor)
            slots->floor = slots->images[slot].counter;
        return true;
    }
    if (set_flag(area, COPY_DONE_AT) != FLASH_OK) {
        slots->errors[slot] = IMAGE_UNREADABLE;
        return false;
    }
    slots->states[slot] = SLOT_TRIED;
    return true;
}

/* image-ok first: a counter that is raised before it would, after a cut, leave neither
 * image to run. The state is read again, because the field may have been torn before. */
int slots_confirm(struct slots *slots, int slot)
{
    const struct flash_area *area = slots->areas[slot];
    int error = FLASH_OK;

    if (slots->errors[slot] != IMAGE_OK || read_state(area) == SLOT_EMPTY)
        return FLASH_FAILED;
    if (read_state(area) != SLOT_CONFIRMED)
        error = set_flag(area, IMAGE_OK_AT);
    if (error == FLASH_OK) {
        slots->states[slot] = SLOT_CONFIRMED;
        error = raise_floor(area, slots->images[slot].counter);
    }
    if (error == FLASH_OK && slots->images[slot].counter > slots->floor)
        slots->floor = slots->images[slot].counter;
    return error;
}

/* --- Writing an update --- */

/* With nothing running, the slot goes whose records matter less. */
int slots_spare(const struct slots *slots, int running)
{
    unsigned free;

    if (running != SLOT_NONE)
        return slots->states[running] == SLOT_CONFIRMED ? 1 - running : SLOT_NONE;
    return read_floor(slots->areas[0], &free) > read_floor(slots->areas[1], &free) ? 1
                                                                                   : 0;
}

/* Only a trailer with something in it costs an erase: after a cut in the middle of an
 * update the image's bytes in the last unit stay. */
int slots_clear(struct slots *slots, int slot)
{
    const struct flash_area *area = slots->areas[slot];
    bool clean = true;
    unsigned free;
    int error;

    if (read_floor(area, &free) > 0 &&
        (error = raise_floor(slots->areas[1 - slot], slots->floor)) != FLASH_OK)
        return error;
    slots->states[slot] = SLOT_EMPTY;
    slots->errors[slot] = IMAGE_NO_IMAGE;
    for (uint32_t left = SLOT_TRAILER; clean && left > 0;) {
        uint8_t bytes[CHUNK];
        uint32_t n = left < CHUNK ? left : CHUNK;
        if ((error = read_end(area, left, bytes, n)) != FLASH_OK)
            return error;
        clean = erased(bytes, n);
        left -= n;
    }
    return clean ? FLASH_OK : area->ops->erase(area, area->size - area->erase_size);
}

int slots_request(const struct flash_area *area)
{
    return write_end(area, MAGIC_AT, image_trailer_magic, MAGIC_SIZE);
}
