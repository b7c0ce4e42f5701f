/* SPDX-License-Identifier: Apache-2.0
 *
 * See image_verify.h. The signature's DER is read here and not by mbedTLS: strictly, so
 * that one signature has one encoding, and without its ASN.1 reader's code.
 */
#include "firmware/image_verify.h"

#include <mbedtls/ecdsa.h>
#include <mbedtls/sha256.h>
#include <mbedtls/version.h>
#include <string.h>

#include "drivers/cursor.h"

#define CHUNK        256 /* bytes read at once */
#define DER_SEQUENCE 0x30
#define DER_INTEGER  0x02
#define COORDINATE   32 /* bytes of a P-256 number */

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#define sha_starts mbedtls_sha256_starts
#define sha_update mbedtls_sha256_update
#define sha_finish mbedtls_sha256_finish
#else
#define sha_starts mbedtls_sha256_starts_ret
#define sha_update mbedtls_sha256_update_ret
#define sha_finish mbedtls_sha256_finish_ret
#endif

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(((struct image_hash *)0)->state),
               "room for the hash's state");

static mbedtls_sha256_context *state_of(struct image_hash *hash)
{
    return (mbedtls_sha256_context *)hash->state;
}

/* The software hash's starts, update and finish can't fail; a part with an accelerator is
 * not used. */
void image_hash_begin(struct image_hash *hash, uint32_t size)
{
    hash->at = 0;
    hash->size = size;
    mbedtls_sha256_init(state_of(hash));
    (void)sha_starts(state_of(hash), 0);
}

/* Through a buffer, since not every flash can be addressed. */
int image_hash_step(struct image_hash *hash, const struct flash_area *area, uint32_t most)
{
    uint8_t chunk[CHUNK];

    while (hash->at < hash->size && most > 0) {
        uint32_t n = hash->size - hash->at;
        if (n > CHUNK)
            n = CHUNK;
        if (n > most)
            n = most;
        if (area->ops->read(area, hash->at, chunk, n) != FLASH_OK)
            return IMAGE_UNREADABLE;
        (void)sha_update(state_of(hash), chunk, n);
        hash->at += n;
        most -= n;
    }
    return IMAGE_OK;
}

int image_hash_end(struct image_hash *hash, const uint8_t expected[IMAGE_HASH_SIZE])
{
    uint8_t found[IMAGE_HASH_SIZE];

    (void)sha_finish(state_of(hash), found);
    mbedtls_sha256_free(state_of(hash));
    return memcmp(found, expected, IMAGE_HASH_SIZE) == 0 ? IMAGE_OK : IMAGE_WRONG_HASH;
}

/* One INTEGER of 1..32 significant bytes, positive and without a byte more than it needs
 * (X.690 8.3), right-aligned into out. */
static bool take_integer(struct cursor *in, uint8_t out[COORDINATE])
{
    uint8_t tag = cursor_u8(in), length = cursor_u8(in);
    const uint8_t *at = cursor_bytes(in, length);

    if (in->failed || tag != DER_INTEGER || length == 0 || (at[0] & 0x80) != 0)
        return false;
    if (at[0] == 0) {
        if (length == 1 || (at[1] & 0x80) == 0)
            return false;
        at++;
        length--;
    }
    if (length > COORDINATE)
        return false;
    memset(out, 0, COORDINATE);
    memcpy(out + COORDINATE - length, at, length);
    return true;
}

/* SEQUENCE { r, s }, and not a byte behind it. */
static bool take_signature(const struct image *image, uint8_t r[COORDINATE],
                           uint8_t s[COORDINATE])
{
    struct cursor in = cursor_make(image->signature, image->signature_size);
    uint8_t tag = cursor_u8(&in), length = cursor_u8(&in);

    return !in.failed && tag == DER_SEQUENCE && length == cursor_remaining(&in) &&
           take_integer(&in, r) && take_integer(&in, s) && cursor_done(&in);
}

static int check_key(const struct image *image, const uint8_t key[IMAGE_KEY_SIZE])
{
    mbedtls_sha256_context sha;
    uint8_t found[IMAGE_HASH_SIZE];

    mbedtls_sha256_init(&sha);
    (void)sha_starts(&sha, 0);
    (void)sha_update(&sha, key, IMAGE_KEY_SIZE);
    (void)sha_finish(&sha, found);
    mbedtls_sha256_free(&sha);
    return memcmp(found, image->key_hash, IMAGE_HASH_SIZE) == 0 ? IMAGE_OK
                                                                : IMAGE_WRONG_KEY;
}

/* The result starts as a refusal and only the last step of all changes it. */
int image_verify_signature(const struct image *image, const uint8_t key[IMAGE_KEY_SIZE])
{
    uint8_t r_bytes[COORDINATE], s_bytes[COORDINATE];
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
    mbedtls_mpi r, s;
    int result = IMAGE_UNSIGNED;

    if (check_key(image, key) != IMAGE_OK)
        return IMAGE_WRONG_KEY;
    if (!take_signature(image, r_bytes, s_bytes))
        return IMAGE_UNSIGNED;
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
    mbedtls_mpi_init(&r);
    mbedtls_mpi_init(&s);
    if (mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0 &&
        mbedtls_ecp_point_read_binary(&group, &point, key + IMAGE_KEY_POINT,
                                      IMAGE_KEY_SIZE - IMAGE_KEY_POINT) == 0 &&
        mbedtls_ecp_check_pubkey(&group, &point) == 0 &&
        mbedtls_mpi_read_binary(&r, r_bytes, COORDINATE) == 0 &&
        mbedtls_mpi_read_binary(&s, s_bytes, COORDINATE) == 0 &&
        mbedtls_ecdsa_verify(&group, image->hash, IMAGE_HASH_SIZE, &point, &r, &s) == 0)
        result = IMAGE_OK;
    mbedtls_mpi_free(&s);
    mbedtls_mpi_free(&r);
    mbedtls_ecp_point_free(&point);
    mbedtls_ecp_group_free(&group);
    return result;
}

/* The cheaper check first. */
int image_verify(const struct flash_area *area, const struct image *image,
                 const uint8_t key[IMAGE_KEY_SIZE])
{
    struct image_hash hash;
    int error;

    image_hash_begin(&hash, image->hashed_size);
    error = image_hash_step(&hash, area, image->hashed_size);
    if (error == IMAGE_OK)
        error = image_hash_end(&hash, image->hash);
    return error == IMAGE_OK ? image_verify_signature(image, key) : error;
}
