/* SPDX-License-Identifier: Apache-2.0
 *
 * See images.h.
 */
#include "images.h"

#include <assert.h>
#include <string.h>

#include "base/crypto.h"
#include "base/sign.h"

#define HEADER 512
#define KEYS   2

static char private_keys[KEYS][PKI_PEM_SIZE];
static uint8_t public_keys[KEYS][SIGN_KEY_SIZE];

const uint8_t *images_key(unsigned number)
{
    char text[PKI_PEM_SIZE];

    if (private_keys[number][0] == '\0') {
        int error = pki_key(private_keys[number]);
        error |= sign_public(private_keys[number], text);
        error |= sign_public_bytes(text, public_keys[number]);
        assert(error == PKI_OK);
        (void)error;
    }
    return public_keys[number];
}

static uint8_t *put(uint8_t *at, uint32_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

static uint8_t *put_tlv(uint8_t *at, unsigned type, const void *value, size_t n)
{
    at = put(put(at, type, 2), (uint32_t)n, 2);
    memcpy(at, value, n);
    return at + n;
}

size_t images_make(const struct images_wish *wish, unsigned key, uint8_t *out)
{
    uint8_t hash[DIGEST_SIZE], key_hash[DIGEST_SIZE], signature[SIGN_MAX];
    size_t board = strlen(wish->board), n = 0;
    uint32_t protected_size = (uint32_t)(16 + board);
    uint8_t *at = out;
    int error;

    at = put(put(at, IMAGE_MAGIC, 4), wish->address, 4);
    at = put(put(at, HEADER, 2), protected_size, 2);
    at = put(put(at, wish->payload_size, 4), IMAGE_FLAG_ROM_FIXED, 4);
    at = put(put(at, wish->version.major, 1), wish->version.minor, 1);
    at = put(put(at, wish->version.revision, 2), wish->version.build, 4);
    memset(at, 0, (size_t)(out + HEADER - at));
    at = out + HEADER;
    for (uint32_t i = 0; i < wish->payload_size; i++) /* no two pages alike */
        *at++ = (uint8_t)((i * 2654435761u >> 13) + wish->version.minor * 57u);
    at = put(put(at, IMAGE_TLVS_PROTECTED, 2), protected_size, 2);
    at = put(put(put(at, IMAGE_TLV_COUNTER, 2), 4, 2), wish->counter, 4);
    at = put_tlv(at, IMAGE_TLV_BOARD, wish->board, board);
    error = crypto_sha256(images_key(key), SIGN_KEY_SIZE, key_hash);
    error |= crypto_sha256(out, (size_t)(at - out), hash);
    error |= sign_hash(private_keys[key], hash, signature, &n);
    assert(error == 0);
    (void)error;
    at = put(put(at, IMAGE_TLVS, 2), (uint32_t)(4 + 36 + 36 + 4 + n), 2);
    at = put_tlv(at, IMAGE_TLV_SHA256, hash, DIGEST_SIZE);
    at = put_tlv(at, IMAGE_TLV_KEY_HASH, key_hash, DIGEST_SIZE);
    at = put_tlv(at, IMAGE_TLV_SIGNATURE, signature, n);
    return (size_t)(at - out);
}
