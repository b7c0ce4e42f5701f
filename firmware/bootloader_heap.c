/* SPDX-License-Identifier: Apache-2.0
 *
 * A heap for big numbers: first fit over one list of blocks in address order, joined when
 * freed. Small and bounded; mbedTLS checks every result.
 */
#include <stdalign.h>
#include <string.h>

#include "firmware/bootloader.h"

struct block {
    uint16_t size; /* bytes behind this head, a multiple of 8 */
    uint16_t used;
    uint32_t pad;
};

static alignas(8) uint8_t heap[BOOT_HEAP_SIZE];
static size_t in_use, peak;
static bool begun;

static struct block *at(size_t offset)
{
    return (struct block *)(void *)(heap + offset);
}

/* What is left of a block that is larger than was asked becomes one of its own. */
static void split(struct block *block, size_t size)
{
    size_t rest = block->size - size;
    struct block *next = (struct block *)(void *)((uint8_t *)(block + 1) + size);

    if (rest < sizeof(*block) + 8)
        return;
    next->size = (uint16_t)(rest - sizeof(*next));
    next->used = 0;
    block->size = (uint16_t)size;
}

/* Joins each free block with the free ones behind it. */
static void join(void)
{
    for (size_t offset = 0; offset < sizeof(heap);) {
        struct block *block = at(offset);
        size_t next = offset + sizeof(*block) + block->size;
        if (block->used == 0 && next < sizeof(heap) && at(next)->used == 0)
            block->size = (uint16_t)(block->size + sizeof(*block) + at(next)->size);
        else
            offset = next;
    }
}

void *boot_calloc(size_t count, size_t size)
{
    size_t wanted;

    if (!begun) {
        at(0)->size = sizeof(heap) - sizeof(struct block);
        at(0)->used = 0;
        begun = true;
    }
    if (count == 0 || size == 0 || size > sizeof(heap) / count)
        return NULL;
    wanted = (count * size + 7) / 8 * 8;
    for (size_t offset = 0; offset < sizeof(heap);
         offset += sizeof(struct block) + at(offset)->size) {
        struct block *block = at(offset);
        if (block->used != 0 || block->size < wanted)
            continue;
        split(block, wanted);
        block->used = 1;
        in_use += sizeof(*block) + block->size;
        if (in_use > peak)
            peak = in_use;
        return memset(block + 1, 0, block->size);
    }
    return NULL;
}

void boot_free(void *pointer)
{
    struct block *block = pointer;

    if (block == NULL)
        return;
    block--;
    in_use -= sizeof(*block) + block->size;
    block->used = 0;
    join();
}

size_t boot_heap_peak(void)
{
    return peak;
}
