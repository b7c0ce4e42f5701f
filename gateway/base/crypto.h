/* SPDX-License-Identifier: Apache-2.0
 *
 * The only face of mbedTLS's primitives: hashing, keyed digests, key derivation and
 * sealing. Works with mbedTLS 2.28 and 3.6. All functions return 0 or a negative
 * crypto_error.
 */
#ifndef BASE_CRYPTO_H
#define BASE_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"

#define KEY_SIZE 32 /* bytes of every symmetric key */

enum crypto_error {
    CRYPTO_OK = 0,
    CRYPTO_FAILED = -1,   /* the library refused: never expected */
    CRYPTO_TAMPERED = -2, /* authentication failed */
    CRYPTO_FILE =
        -3, /* key file missing, unreadable, wrong size or readable by others (errno) */
};

struct key {
    uint8_t bytes[KEY_SIZE];
};

int crypto_random(void *out, size_t n);
int crypto_sha256(const void *data, size_t n, uint8_t out[DIGEST_SIZE]);
int crypto_hmac_sha256(const struct key *key, const void *data, size_t n,
                       uint8_t out[DIGEST_SIZE]);

/* HKDF-SHA256 (RFC 5869). */
int crypto_hkdf(const struct key *secret, const void *salt, size_t salt_size,
                const char *info, struct key *out);

/* AES-256-GCM under one key, expanded once. Not for two threads at once. */
#define GCM_NONCE_SIZE 12
#define GCM_TAG_SIZE   16
struct crypto_gcm;
int crypto_gcm_new(const struct key *key, struct crypto_gcm **out);
void crypto_gcm_free(struct crypto_gcm *gcm); /* NULL is fine */

/* Writes n bytes of ciphertext and GCM_TAG_SIZE of tag to out. The nonce must never come
 * twice. */
int crypto_gcm_seal(struct crypto_gcm *gcm, const uint8_t nonce[GCM_NONCE_SIZE],
                    const uint8_t *aad, size_t aad_size, const uint8_t *plain, size_t n,
                    uint8_t *out);

/* The reverse: sealed is n + GCM_TAG_SIZE bytes. CRYPTO_TAMPERED, and out cleared, if a
 * bit differs. */
int crypto_gcm_open(struct crypto_gcm *gcm, const uint8_t nonce[GCM_NONCE_SIZE],
                    const uint8_t *aad, size_t aad_size, const uint8_t *sealed, size_t n,
                    uint8_t *out);

/* Overwrites a secret so that the compiler can't drop the store. */
void crypto_wipe(void *secret, size_t n);

/* Loads a KEY_SIZE key file, or makes one (0600, synced with its folder) if it is missing
 * and create is true. Refuses a file that others may read. */
int key_file(const char *path, int create, struct key *out);

#endif
