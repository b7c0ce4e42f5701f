/* SPDX-License-Identifier: Apache-2.0
 *
 * Update requests in any order over two slots, with power cuts among them. Slot A runs
 * and is confirmed. Whatever comes, nothing is written outside a slot (the rig's flash
 * aborts) or into A's image, the security counter never falls, A stays there to run, and
 * B is to be tried only if its bytes have the hash that was begun.
 */
#include "firmware/update_server.h"

#include <stdlib.h>
#include <string.h>

#include "nor.h"

#define BASE_A   0x21000000u
#define BASE_B   0x21040000u
#define SIZE     4096u
#define UNIT     1024u
#define COUNTER  2u
#define PAYLOAD  64u
#define REQUESTS 64 /* more of them find nothing more */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct nor_power power;
static struct nor parts[SLOTS];
static uint8_t bytes[SLOTS][SIZE], before[SIZE];

static void must(bool holds)
{
    if (!holds)
        abort();
}

static uint8_t *put(uint8_t *at, uint64_t value, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

/* An image of version 1.0.0: only its form is looked at. */
static void put_image(uint8_t *at)
{
    at = put(put(at, IMAGE_MAGIC, 4), BASE_A, 4);
    at = put(put(put(at, 32, 2), 20, 2), PAYLOAD, 4);
    at = put(put(put(at, IMAGE_FLAG_ROM_FIXED, 4), 1, 4), 0, 8) + PAYLOAD;
    at = put(put(at, IMAGE_TLVS_PROTECTED, 2), 20, 2);
    at = put(put(put(at, IMAGE_TLV_COUNTER, 2), 4, 2), COUNTER, 4);
    at = put(put(at, IMAGE_TLV_BOARD, 2), 4, 2);
    memcpy(at, "fuzz", 4);
    at = put(put(at + 4, IMAGE_TLVS, 2), 4 + 36 + 36 + 12, 2);
    at = put(put(at, IMAGE_TLV_SHA256, 2), 32, 2) + 32;
    at = put(put(at, IMAGE_TLV_KEY_HASH, 2), 32, 2) + 32;
    (void)put(put(at, IMAGE_TLV_SIGNATURE, 2), 8, 2);
}

static void start(struct update_server *server, const struct update_config *config)
{
    nor_power_on(&power, 0, NOR_NONE);
    update_server_init(server, config);
    must(server->slots.states[0] == SLOT_CONFIRMED &&
         server->slots.errors[0] == IMAGE_OK);
}

/* What must hold after every request. Both slots are looked at as the bootloader does. */
static void check(const struct update_server *server, const struct update_config *config,
                  uint32_t *floor)
{
    struct slots slots;
    struct image_hash hash;

    must(memcmp(bytes[0], before, SIZE - SLOT_TRAILER) == 0);
    if (power.off)
        return;
    slots_look(&slots, config->areas, config->board, NULL);
    must(slots.floor >= *floor && slots.floor <= COUNTER);
    *floor = slots.floor;
    must(slots.states[0] == SLOT_CONFIRMED && slots.errors[0] == IMAGE_OK);
    must(server->target == 1);
    if (server->state == UPDATE_READY)
        must(slots.states[1] == SLOT_PENDING);
    if (slots.states[1] == SLOT_EMPTY)
        return;
    must(slots.errors[1] == IMAGE_OK && slots.images[1].counter >= slots.floor &&
         slots_newer(&slots.images[1], &slots.images[0]));
    image_hash_begin(&hash, slots.images[1].hashed_size);
    must(image_hash_step(&hash, config->areas[1], SIZE) == IMAGE_OK);
    must(image_hash_end(&hash, slots.images[1].hash) == IMAGE_OK);
}

/* One request in a buffer of its size; its reply likewise. */
static void ask(struct update_server *server, const uint8_t *request, size_t n)
{
    uint8_t *copy = malloc(n), *reply = malloc(UPDATE_REPLY_MAX);
    struct cursor in = cursor_make(copy, n);
    size_t size = 0;
    int exception;

    must(copy != NULL && reply != NULL);
    memcpy(copy, request, n);
    exception = update_server_answer(server, &in, reply, &size);
    must(size <= UPDATE_REPLY_MAX);
    must(exception == 0
             ? size > 0 && reply[0] == request[0]
             : size == 0 && (exception == 1 || exception == 3 || exception == 4));
    must(server->next <= SIZE - SLOT_TRAILER);
    must(strcmp(update_error_text(server->error), "unknown error") != 0);
    free(reply);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct update_config config = {
        {&parts[0].area, &parts[1].area}, "fuzz", 0, NULL, NULL};
    struct cursor in = cursor_make(data, size);
    struct update_server server;
    uint32_t floor = 0;

    power = (struct nor_power){.random = 88172645463325252u};
    memset(bytes, 0xFF, sizeof(bytes));
    memset(bytes[0], 0, 512);
    put_image(bytes[0]);
    image_trailer_confirmed(bytes[0] + SIZE - SLOT_TRAILER);
    memcpy(before, bytes[0], SIZE);
    nor_init(&parts[0], &power, bytes[0], BASE_A, SIZE, UNIT, 4);
    nor_init(&parts[1], &power, bytes[1], BASE_B, SIZE, UNIT, 8);
    start(&server, &config);
    for (int i = 0; i < REQUESTS && cursor_remaining(&in) > 0; i++) {
        size_t n = cursor_u8(&in);
        if (n == 0) { /* 0: the power goes at one of the next operations */
            nor_power_on(&power, cursor_u8(&in) % 8, cursor_u8(&in) % NOR_TEARS);
            continue;
        }
        if (n > cursor_remaining(&in))
            n = cursor_remaining(&in);
        if (n > 0)
            ask(&server, cursor_bytes(&in, n), n);
        check(&server, &config, &floor);
        if (power.off)
            start(&server, &config);
    }
    return 0;
}
