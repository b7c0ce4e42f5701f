/* SPDX-License-Identifier: Apache-2.0
 *
 * Images that must not boot: from a good one, every single-bit flip of header, TLVs and
 * signature, sampled flips of the payload, every truncation near an end and sampled ones,
 * lower security counters, another key, another board, another slot. Each lies in slot A
 * with a trailer that says it is confirmed, and nothing else to run.
 *   bad_images PAYLOAD-FLIPS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/bootloader.h"
#include "images.h"
#include "nor.h"

#define BOARD   "testboard"
#define BASE_A  0x21000000u
#define BASE_B  0x21040000u
#define SLOT    (16u * 1024)
#define PAYLOAD 4000u
#define FLOOR   5u

static struct nor_power power = {.random = 88172645463325252u};
static struct nor slots[SLOTS];
static uint8_t bytes[SLOTS][SLOT], good[SLOT];
static size_t size;
static unsigned long tried;
static unsigned long refusals[32]; /* by -enum image_error */

static int verify(void *context, const struct flash_area *area, const struct image *image)
{
    (void)context;
    return image_verify(area, image, images_key(0));
}

/* What the bootloader makes of these n bytes: the slot it would start. */
static int boot(const uint8_t *image, size_t n)
{
    static struct slots view;
    const struct flash_area *areas[SLOTS] = {&slots[0].area, &slots[1].area};
    const struct slots_verify verifier = {verify, NULL};
    uint8_t *record = bytes[1] + (size_t)(SLOT - IMAGE_TRAILER);
    int slot;

    memset(bytes, 0xFF, sizeof(bytes));
    memcpy(bytes[0], image, n);
    image_trailer_confirmed(bytes[0] + (size_t)(SLOT - IMAGE_TRAILER));
    memset(record, 0, 8); /* the node's security counter stands in the other slot */
    record[0] = FLOOR;
    memset(record + 4, 0xFF, 4);
    record[4] = (uint8_t)~FLOOR;
    nor_power_on(&power, 0, NOR_NONE);
    slot = bootloader_decide(&view, areas, BOARD, &verifier);
    refusals[-view.errors[0] & 31]++;
    return slot;
}

static void refuse(const uint8_t *image, size_t n, const char *what, size_t at)
{
    tried++;
    if (boot(image, n) == SLOT_NONE)
        return;
    (void)printf("fail: bad images: %s at %zu boots\n", what, at);
    exit(1);
}

static void flip(size_t byte, unsigned bit)
{
    good[byte] ^= (uint8_t)(1u << bit);
    refuse(good, size, "a flipped bit of byte", byte);
    good[byte] ^= (uint8_t)(1u << bit);
}

static void flips(unsigned long payload)
{
    for (size_t byte = 0; byte < size; byte++)
        if (byte < 512 || byte >= 512 + PAYLOAD)
            for (unsigned bit = 0; bit < 8; bit++)
                flip(byte, bit);
    for (unsigned long i = 0; i < payload; i++)
        flip(512 + nor_random(&power) % PAYLOAD, (unsigned)(nor_random(&power) % 8));
}

static void truncations(void)
{
    for (size_t n = 0; n < size; n += n < 600 || n + 600 > size ? 1 : 61)
        refuse(good, n, "an image cut", n);
}

static void others(void)
{
    static uint8_t image[SLOT];
    struct images_wish wish = {BOARD, BASE_A, PAYLOAD, FLOOR, {9, 9, 9, 9}};
    static const char *const boards[] = {"testboar", "testboard2", "stm32f405", "x"};

    for (uint32_t counter = 0; counter < FLOOR; counter++) {
        wish.counter = counter;
        refuse(image, images_make(&wish, 0, image), "security counter", counter);
    }
    wish.counter = FLOOR;
    for (size_t i = 0; i < sizeof(boards) / sizeof(boards[0]); i++) {
        wish.board = boards[i];
        refuse(image, images_make(&wish, 0, image), "board", i);
    }
    wish.board = BOARD;
    wish.address = BASE_B;
    refuse(image, images_make(&wish, 0, image), "the other slot's image", 0);
    wish.address = BASE_A;
    refuse(image, images_make(&wish, 1, image), "another key's image", 0);
    refuse(image, 0, "nothing", 0);
}

int main(int argc, char **argv)
{
    struct images_wish wish = {BOARD, BASE_A, PAYLOAD, FLOOR, {1, 2, 3, 4}};

    if (argc != 2)
        return 64;
    nor_init(&slots[0], &power, bytes[0], BASE_A, SLOT, 4096, 4);
    nor_init(&slots[1], &power, bytes[1], BASE_B, SLOT, 4096, 4);
    size = images_make(&wish, 0, good);
    if (boot(good, size) != 0) {
        (void)printf("fail: bad images: the good one does not boot\n");
        return 1;
    }
    flips(strtoul(argv[1], NULL, 10));
    truncations();
    others();
    if (boot(good, size) != 0) {
        (void)printf("fail: bad images: the good one does not boot any more\n");
        return 1;
    }
    for (int i = 0; i < 32; i++)
        if (refusals[i] != 0)
            (void)printf("%7lu %s\n", refusals[i], image_error_text(-i));
    (void)printf("pass: bad images: %lu tried, 0 booted\n", tried);
    return 0;
}
