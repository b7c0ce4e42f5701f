/* SPDX-License-Identifier: Apache-2.0
 *
 * Power cuts at every flash operation of an update, on the code that boards run: the
 * bootloader's decision, the node's update server, confirming.
 *
 *   power_cut single        every operation x every way to tear it, each geometry
 *   power_cut pairs         every pair of operations, images of 8 pages
 *   power_cut random N SEED N seeded pairs on the real geometries
 *
 * A life: slot A runs 1.1 (confirmed, security counter 1), slot B holds an older 1.0. 1.2
 * (counter 2) is sent, tried, and confirmed if it is good; a bad one is never confirmed
 * and must be gone at the start after. After every cut the bootloader decides again, and
 * each time: a slot is chosen, its bytes are those of 1.1 or 1.2 and wholly good,
 * never 1.0; 1.1 is never chosen again once 1.2's counter is written. Then the update
 * goes on to its end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/cursor.h"
#include "firmware/bootloader.h"
#include "firmware/update_server.h"
#include "images.h"
#include "nor.h"

#define BOARD     "testboard"
#define BASE_A    0x08020000u
#define BASE_B    0x08080000u
#define ROOM_MAX  (384u * 1024)
#define IMAGE_MAX (128u * 1024)
#define LIVES_MAX 6 /* power cycles after which an update must be through */
#define VERSIONS  3 /* minor 0, 1, 2 */

static const struct geometry {
    const char *name;
    uint32_t slot, unit, write, payload;
} geometries[] = {
    {"mps2 4K", 64u * 1024, 4096, 4, 24000},
    {"stm32f405 16K", 64u * 1024, 16384, 4, 30000},
    {"stm32f405 64K", 128u * 1024, 65536, 4, 30000},
    {"stm32f405 128K", 256u * 1024, 131072, 4, 40000},
    {"nrf51 1K", 32u * 1024, 1024, 4, 20000},
    {"8 pages", 8u * 1024, 1024, 8, 5600},
};
#define GEOMETRIES (sizeof(geometries) / sizeof(geometries[0]))
#define SMALL      (GEOMETRIES - 1)

static struct world {
    const struct geometry *geometry;
    struct nor_power power;
    struct nor slots[SLOTS];
    uint8_t bytes[SLOTS][ROOM_MAX];
    uint8_t images[SLOTS][VERSIONS][IMAGE_MAX];
    size_t sizes[SLOTS][VERSIONS];
    uint8_t good[SLOTS * VERSIONS][IMAGE_HASH_SIZE]; /* signatures verified once */
    size_t good_count;
} world;

static uint64_t runs, boots, cuts;

static void fail(const char *what, uint64_t first, uint64_t second, unsigned tear)
{
    (void)printf("fail: power cut, %s: %s (cut at %llu and %llu, tear %u, random %llx)\n",
                 world.geometry->name, what, (unsigned long long)first,
                 (unsigned long long)second, tear,
                 (unsigned long long)world.power.random);
    exit(1);
}

/* The bytes are hashed each time; a signature over the same hash need not be verified a
 * million times. */
static int verify(void *context, const struct flash_area *area, const struct image *image)
{
    struct image_hash hash;

    (void)context;
    image_hash_begin(&hash, image->hashed_size);
    if (image_hash_step(&hash, area, image->hashed_size) != IMAGE_OK)
        return IMAGE_UNREADABLE;
    if (image_hash_end(&hash, image->hash) != IMAGE_OK)
        return IMAGE_WRONG_HASH;
    for (size_t i = 0; i < world.good_count; i++)
        if (memcmp(world.good[i], image->hash, IMAGE_HASH_SIZE) == 0)
            return IMAGE_OK;
    if (image_verify_signature(image, images_key(0)) != IMAGE_OK)
        return IMAGE_UNSIGNED;
    memcpy(world.good[world.good_count++], image->hash, IMAGE_HASH_SIZE);
    return IMAGE_OK;
}

static void prepare(const struct geometry *geometry)
{
    static const uint32_t bases[SLOTS] = {BASE_A, BASE_B};

    world.geometry = geometry;
    world.good_count = 0;
    for (int slot = 0; slot < SLOTS; slot++)
        for (uint8_t minor = 0; minor < VERSIONS; minor++) {
            struct images_wish wish = {
                BOARD, bases[slot], geometry->payload, minor, {1, minor, 0, 0}};
            world.sizes[slot][minor] = images_make(&wish, 0, world.images[slot][minor]);
        }
    for (int slot = 0; slot < SLOTS; slot++)
        nor_init(&world.slots[slot], &world.power, world.bytes[slot], bases[slot],
                 geometry->slot, geometry->unit, geometry->write);
}

/* A node that has been updated once already: 1.0 is left in B. */
static void reset_world(uint64_t seed)
{
    uint32_t size = world.geometry->slot;

    for (int slot = 0; slot < SLOTS; slot++) {
        memset(world.bytes[slot], 0xFF, size);
        memcpy(world.bytes[slot], world.images[slot][1 - slot],
               world.sizes[slot][1 - slot]);
        image_trailer_confirmed(world.bytes[slot] + size - IMAGE_TRAILER);
    }
    world.power.random = seed * 2654435761u + 88172645463325252u;
}

/* One start. Returns the slot; exits if none or a wrong one is chosen. */
static int boot(struct slots *slots, uint32_t *floor, uint64_t first, uint64_t second,
                unsigned tear)
{
    const struct flash_area *areas[SLOTS] = {&world.slots[0].area, &world.slots[1].area};
    const struct slots_verify verifier = {verify, NULL};
    int slot = bootloader_decide(slots, areas, BOARD, &verifier);
    const struct image *image;

    boots++;
    if (world.power.off)
        return SLOT_NONE;
    if (slot == SLOT_NONE)
        fail("no image boots", first, second, tear);
    image = &slots->images[slot];
    if (slots->errors[slot] != IMAGE_OK || verify(NULL, areas[slot], image) != IMAGE_OK)
        fail("an image that is not good boots", first, second, tear);
    if (image->version.minor < 1 || image->counter < *floor || slots->floor < *floor)
        fail("rolled back", first, second, tear);
    *floor = slots->floor;
    return slot;
}

static int ask(struct update_server *server, const uint8_t *request, size_t n,
               uint8_t *reply)
{
    struct cursor in = cursor_make(request, n);
    size_t size;

    return update_server_answer(server, &in, reply, &size);
}

static uint32_t next_of(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* What `wardgate update` sends. True once the node is ready to restart. */
static bool send_update(struct update_server *server, int slot)
{
    const uint8_t *image = world.images[slot][2];
    uint32_t size = (uint32_t)world.sizes[slot][2], tlvs = 512 + world.geometry->payload;
    uint8_t request[253], reply[UPDATE_REPLY_MAX];

    request[0] = UPDATE_BEGIN;
    memcpy(request + 1, image, IMAGE_HEADER_SIZE);
    memcpy(request + 1 + IMAGE_HEADER_SIZE, image + tlvs, size - tlvs);
    if (ask(server, request, 1 + IMAGE_HEADER_SIZE + size - tlvs, reply) != 0 ||
        server->state != UPDATE_RECEIVING)
        return false;
    while (server->next < size) {
        uint32_t n =
            size - server->next < UPDATE_BLOCK ? size - server->next : UPDATE_BLOCK;
        request[0] = UPDATE_DATA;
        put32(request + 1, server->next);
        memcpy(request + 5, image + server->next, n);
        if (ask(server, request, 5 + n, reply) != 0 || next_of(reply + 1) > size)
            return false;
    }
    request[0] = UPDATE_FINISH;
    (void)ask(server, request, 1, reply);
    request[0] = UPDATE_STATUS;
    while (server->state == UPDATE_HASHING)
        (void)ask(server, request, 1, reply);
    return server->state == UPDATE_READY;
}

/* One life from power to its end, a cut or a restart. True once all is done: a good
 * update confirmed, or a bad one reverted. */
static bool live(bool good, bool *tried, uint32_t *floor, uint64_t first, uint64_t second,
                 unsigned tear)
{
    static struct update_server server;
    static struct slots slots;
    struct update_config config = {
        {&world.slots[0].area, &world.slots[1].area}, BOARD, SLOT_NONE, NULL, NULL};
    uint8_t reply[UPDATE_REPLY_MAX];
    int slot = boot(&slots, floor, first, second, tear);

    if (slot == SLOT_NONE)
        return false;
    config.running = slot;
    update_server_init(&server, &config);
    if (slots.images[slot].version.minor == 2) {
        if (slots.states[slot] == SLOT_CONFIRMED) {
            if (!good)
                fail("a bad version was confirmed", first, second, tear);
            return true;
        }
        if (*tried && !good)
            fail("a bad version is tried again", first, second, tear);
        *tried = true;
        if (!good) /* hangs: the watchdog restarts it */
            return false;
        return ask(&server, (uint8_t[]){UPDATE_CONFIRM}, 1, reply) == 0 &&
               server.slots.floor == 2;
    }
    if (!good && *tried)
        return true;
    (void)send_update(&server, 1 - slot);
    return false;
}

/* A whole story with at most two cuts: the first counts from the start, the second from
 * the power's return. Returns the operations of the part in which the last cut was to be.
 */
static uint64_t story(bool good, uint64_t first, uint64_t second, unsigned tear)
{
    bool tried = false, done = false;
    uint32_t floor = 0;
    uint64_t total;
    bool pending_second = second != 0;
    static struct slots slots;
    int slot;

    reset_world(first * 7919 + second * 31 + tear + 1);
    nor_power_on(&world.power, first, (enum nor_tear)tear);
    for (int lives = 0; !done; lives++) {
        if (lives > LIVES_MAX)
            fail("the update never gets through", first, second, tear);
        done = live(good, &tried, &floor, first, second, tear);
        if (world.power.off) {
            cuts++;
            done = false;
            nor_power_on(&world.power, pending_second ? second : 0, (enum nor_tear)tear);
            pending_second = false;
        }
    }
    total = world.power.done;
    nor_power_on(&world.power, 0, NOR_NONE);
    slot = boot(&slots, &floor, first, second, tear);
    if (slots.images[slot].version.minor != (good ? 2 : 1))
        fail(good ? "the new version does not run" : "the bad one still runs", first,
             second, tear);
    if (slots.states[slot] != SLOT_CONFIRMED || slots.floor != (good ? 2u : 1u))
        fail("not confirmed, or the counter is wrong", first, second, tear);
    runs++;
    return total;
}

static void single(void)
{
    for (size_t g = 0; g < GEOMETRIES; g++) {
        uint64_t before = runs;
        prepare(&geometries[g]);
        for (int good = 0; good < 2; good++) {
            uint64_t operations = story(good != 0, 0, 0, 0);
            for (uint64_t at = 1; at <= operations; at++)
                for (unsigned tear = 0; tear < NOR_TEARS; tear++)
                    (void)story(good != 0, at, 0, tear);
        }
        (void)printf("%s: %llu updates\n", geometries[g].name,
                     (unsigned long long)(runs - before));
    }
}

/* The second cut until the rest of the story is shorter than it. */
static void pairs(void)
{
    uint64_t operations;

    prepare(&geometries[SMALL]);
    for (int good = 0; good < 2; good++) {
        operations = story(good != 0, 0, 0, 0);
        for (uint64_t at = 1; at <= operations; at++) {
            uint64_t rest = story(good != 0, at, 0, NOR_SOME);
            for (uint64_t then = 1; then <= rest; then++)
                for (unsigned tear = 0; tear < NOR_TEARS; tear++)
                    (void)story(good != 0, at, then, tear);
        }
    }
}

static void random_pairs(unsigned long count, unsigned long seed)
{
    struct nor_power dice = {.random = seed * 2 + 88172645463325253u};

    for (size_t g = 0; g < SMALL; g++) {
        uint64_t operations;
        prepare(&geometries[g]);
        operations = story(true, 0, 0, 0);
        for (unsigned long i = 0; i < count / SMALL; i++) {
            uint64_t at = 1 + nor_random(&dice) % operations;
            uint64_t then = 1 + nor_random(&dice) % operations;
            (void)story(nor_random(&dice) % 4 != 0, at, then,
                        (unsigned)(nor_random(&dice) % NOR_TEARS));
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "single") == 0)
        single();
    else if (argc == 2 && strcmp(argv[1], "pairs") == 0)
        pairs();
    else if (argc == 4 && strcmp(argv[1], "random") == 0)
        random_pairs(strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
    else
        return 64;
    (void)printf(
        "pass: power cut, %s: %llu updates, %llu cuts, %llu starts, each of a good "
        "image\n",
        argv[1], (unsigned long long)runs, (unsigned long long)cuts,
        (unsigned long long)boots);
    return 0;
}
