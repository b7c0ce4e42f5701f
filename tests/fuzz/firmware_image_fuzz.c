/* SPDX-License-Identifier: Apache-2.0
 *
 * A slot's bytes as an image, each part in a buffer of exactly its size. What is accepted
 * lies within its room, reads the same without a byte behind it, and fits into nothing
 * smaller; and where there is no key, no signature holds.
 */
#include "firmware/image.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/image_verify.h"

#define SPARE 64 /* bytes of room behind the image */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A key that is no point of the curve: the signature's DER is read, and nothing holds. */
static const uint8_t key[IMAGE_KEY_SIZE];
static const uint8_t key_hash[IMAGE_HASH_SIZE] = {
    0x27, 0x95, 0xec, 0x93, 0x1b, 0x5b, 0x17, 0xc9, 0xe0, 0xe5, 0xe5,
    0xad, 0xb2, 0xce, 0x78, 0x7d, 0x41, 0x3a, 0xb0, 0xc2, 0xbb, 0x29,
    0xcf, 0xbf, 0x55, 0x46, 0x68, 0xfe, 0xa0, 0x90, 0xee, 0xea,
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Reads n bytes with room for `limit`. */
static int read_image(const uint8_t *bytes, size_t n, uint32_t limit, struct image *image)
{
    size_t head = n < IMAGE_HEADER_SIZE ? n : IMAGE_HEADER_SIZE, tail, at;
    uint8_t *copy = malloc(n + 1);
    int error;

    must(copy != NULL);
    memcpy(copy, bytes, head);
    error = image_read_header(copy, head, limit, image);
    if (error == IMAGE_OK) {
        at = (size_t)image->payload_at + image->payload_size;
        must(at <= limit && image->hashed_size >= at);
        tail = at < n ? n - at : 0;
        if (tail > IMAGE_TLVS_MAX)
            tail = IMAGE_TLVS_MAX;
        free(copy);
        copy = malloc(tail + 1);
        must(copy != NULL);
        /* At the end of the buffer, so that reading over it is seen. */
        memcpy(copy + 1, bytes + (at < n ? at : n), tail);
        error = image_read_tlvs(copy + 1, tail, limit, image);
    }
    free(copy);
    must(error <= IMAGE_OK && error >= IMAGE_WRONG_BOARD);
    must(strcmp(image_error_text(error), "unknown error") != 0);
    return error;
}

static void accepted(const uint8_t *data, size_t size, const struct image *image)
{
    struct image again;
    char text[IMAGE_VERSION_TEXT_MAX];

    must(image->total_size <= size && image->hashed_size < image->total_size &&
         image->payload_at + image->payload_size + image->tlvs_size ==
             image->total_size &&
         image->payload_at + image->payload_size + image->protected_size ==
             image->hashed_size);
    must(image->signature_size >= 8 && image->signature_size <= IMAGE_SIGNATURE_MAX);
    must(image->board[0] != '\0' &&
         memchr(image->board, 0, sizeof(image->board)) != NULL);
    must(read_image(data, image->total_size, image->total_size, &again) == IMAGE_OK);
    must(memcmp(image, &again, sizeof(again)) == 0);
    must(read_image(data, image->total_size, image->total_size - 1, &again) ==
         IMAGE_TOO_LARGE);
    must(image_version_compare(&image->version, &image->version) == 0);
    must(strlen(image_version_text(&image->version, text)) < sizeof(text));
    must(image_fits(image, image->board, image->address) == IMAGE_OK);
    must(image_fits(image, image->board, image->address + 1) == IMAGE_WRONG_SLOT);
    memcpy(again.key_hash, key_hash, sizeof(key_hash));
    must(image_verify_signature(&again, key) == IMAGE_UNSIGNED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct image image;

    if (read_image(data, size, (uint32_t)size + SPARE, &image) == IMAGE_OK)
        accepted(data, size, &image);
    return 0;
}
