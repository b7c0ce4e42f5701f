/* SPDX-License-Identifier: Apache-2.0
 *
 * Records on their way to a commit. They are encoded and sealed when they are added, so
 * that a commit that has to be tried again writes the same bytes: neither a seq nor a
 * nonce ever means two things.
 */
#include <stdlib.h>
#include <string.h>

#include "bedside/store_internal.h"

#define SPARE_SIZE   16384 /* room beyond pending_max for gaps of the store's own */
#define KEEP_SIZE    65536 /* memory kept between commits */
#define START_SIZE   4096
#define DEVICES_STEP 16

/* Makes room for one more record of size bytes. */
static int batch_grow(struct store_batch *batch, size_t size)
{
    if (batch->used + size > batch->capacity) {
        size_t capacity = batch->capacity == 0 ? START_SIZE : batch->capacity * 2;
        uint8_t *grown;
        while (capacity < batch->used + size)
            capacity *= 2;
        if ((grown = realloc(batch->bytes, capacity)) == NULL)
            return STORE_SYSTEM;
        batch->bytes = grown;
        batch->capacity = capacity;
    }
    if (batch->count == batch->items_capacity) {
        size_t capacity = batch->items_capacity == 0 ? 32 : batch->items_capacity * 2;
        struct store_batch_item *grown =
            reallocarray(batch->items, capacity, sizeof(*grown));
        if (grown == NULL)
            return STORE_SYSTEM;
        batch->items = grown;
        batch->items_capacity = capacity;
    }
    return STORE_OK;
}

/* The batch is one block with offsets, not pointers: it moves when it grows. */
int store_batch_put(struct store *store, uint64_t seq, const uint8_t *bytes, size_t size)
{
    struct store_batch *batch = &store->batch;

    if (batch_grow(batch, size) != STORE_OK)
        return STORE_SYSTEM;
    memcpy(batch->bytes + batch->used, bytes, size);
    batch->items[batch->count++] =
        (struct store_batch_item){seq, (uint32_t)batch->used, (uint32_t)size};
    batch->used += size;
    store->assigned = seq + 1;
    return STORE_OK;
}

/* Remembers a reading as its device's last. A table that is full costs a device its
 * RESTART gap's beginning, nothing else. */
static void note_last(struct store *store, const wardgate_Record *record)
{
    struct store_device *device;

    if (record->kind != wardgate_Record_Kind_READING || !record->has_device)
        return;
    if ((device = store_device(store, record->device.id, true)) == NULL)
        return;
    device->seq = record->seq;
    device->time = record->time;
    device->sample = record->sample;
    device->has_sample = record->has_sample;
    device->dirty = true;
}

/* The seq is the last thing that is given: a record that was refused (full, or not
 * encodable) has used up none, so seqs in the file have no holes that nobody explains. */
int store_batch_add(struct store *store, wardgate_Record *record,
                    const struct gap_devices *devices, bool spare)
{
    struct store_epoch *epoch = &store->epochs[store->epoch_count - 1];
    size_t limit = store->pending_max + (spare ? SPARE_SIZE : 0);
    uint8_t plain[RECORD_SIZE_MAX];
    int n, size;

    if (store->batch.used + STORE_SEALED_MAX > limit) {
        store->refused++;
        return STORE_BUSY;
    }
    record->seq = store->assigned;
    if ((n = record_encode_gap(record, devices, plain, sizeof(plain))) <= 0)
        return STORE_INVALID;
    if ((size = envelope_item(plain, (size_t)n, store->item, sizeof(store->item))) <= 0)
        return STORE_INVALID;
    if (seal_close(epoch->seal, record->seq, store->item, (size_t)size, store->sealed) !=
        CRYPTO_OK)
        return STORE_SYSTEM;
    n = store_batch_put(store, record->seq, store->sealed, (size_t)size + SEAL_OVERHEAD);
    if (n == STORE_OK)
        note_last(store, record);
    return n;
}

int store_add(struct store *store, wardgate_Record *record)
{
    return store_batch_add(store, record, NULL, false);
}

/* After a commit that is the whole batch. */
void store_batch_drop(struct store *store, uint64_t seq)
{
    struct store_batch *batch = &store->batch;
    size_t gone = 0, bytes;

    while (gone < batch->count && batch->items[gone].seq < seq)
        gone++;
    if (gone == 0)
        return;
    if (gone < batch->count) {
        bytes = batch->items[gone].at;
        memmove(batch->bytes, batch->bytes + bytes, batch->used - bytes);
        memmove(batch->items, batch->items + gone,
                (batch->count - gone) * sizeof(*batch->items));
        batch->used -= bytes;
        batch->count -= gone;
        for (size_t i = 0; i < batch->count; i++)
            batch->items[i].at -= (uint32_t)bytes;
        return;
    }
    batch->used = batch->count = 0;
    if (batch->capacity > KEEP_SIZE)
        store_batch_free(store); /* a backlog of a refused disk: back to a small daemon */
}

void store_batch_free(struct store *store)
{
    free(store->batch.bytes);
    free(store->batch.items);
    store->batch = (struct store_batch){0};
}

/* Searched by name: a gateway has tens of devices, and each knows its own only by its
 * name here. */
struct store_device *store_device(struct store *store, const char *id, bool make)
{
    struct store_device *device;

    for (size_t i = 0; i < store->device_count; i++)
        if (strcmp(store->devices[i].id, id) == 0)
            return &store->devices[i];
    if (!make || store->device_count == STORE_DEVICES_MAX ||
        strlen(id) >= sizeof(device->id))
        return NULL;
    if (store->device_count % DEVICES_STEP == 0) {
        device = reallocarray(store->devices, store->device_count + DEVICES_STEP,
                              sizeof(*device));
        if (device == NULL)
            return NULL;
        store->devices = device;
    }
    device = &store->devices[store->device_count++];
    memset(device, 0, sizeof(*device));
    memcpy(device->id, id, strlen(id) + 1);
    return device;
}
