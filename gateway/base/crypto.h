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

/* Overwrites a secret so that the compiler can't drop the store. */
void crypto_wipe(void *secret, size_t n);

/* Loads a KEY_SIZE key file, or makes one (0600, synced with its folder) if it is missing
 * and create is true. Refuses a file that others may read. */
int key_file(const char *path, int create, struct key *out);

#endif
