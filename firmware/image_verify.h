/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether an image's bytes are those that our key signed: SHA-256 and ECDSA-P256 through
 * mbedTLS (2.28 and 3.6), on the host and on Cortex-M. The hash needs no heap; the
 * signature needs about 2 KiB of it, which only the bootloader has.
 */
#ifndef FIRMWARE_IMAGE_VERIFY_H
#define FIRMWARE_IMAGE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include "firmware/flash.h"
#include "firmware/image.h"

/* Bytes of a P-256 public key as SubjectPublicKeyInfo (RFC 5480), DER: 26 of head, 65 of
 * point. The key hash of an image is the SHA-256 of these. */
#define IMAGE_KEY_SIZE  91
#define IMAGE_KEY_POINT 26

/* A hash that is made in steps, because a whole image takes a node longer than it may be
 * away from its bus. */
struct image_hash {
    uint32_t at, size;  /* bytes done, and to do */
    uint64_t state[16]; /* mbedTLS's own, and large enough for it */
};

/* Begins the hash of an image's first `size` bytes. */
void image_hash_begin(struct image_hash *hash, uint32_t size);

/* Reads at most `most` bytes more of the area. IMAGE_OK, or IMAGE_UNREADABLE. */
int image_hash_step(struct image_hash *hash, const struct flash_area *area,
                    uint32_t most);

/* The hash, once at == size. IMAGE_OK, or IMAGE_WRONG_HASH if it is not `expected`. */
int image_hash_end(struct image_hash *hash, const uint8_t expected[IMAGE_HASH_SIZE]);

/* The signature over image->hash. IMAGE_OK, IMAGE_WRONG_KEY or IMAGE_UNSIGNED. Says
 * nothing about the image's bytes. */
int image_verify_signature(const struct image *image, const uint8_t key[IMAGE_KEY_SIZE]);

/* All of it: bytes and signature. */
int image_verify(const struct flash_area *area, const struct image *image,
                 const uint8_t key[IMAGE_KEY_SIZE]);

#endif
