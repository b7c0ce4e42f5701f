/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealing of records at rest: AES-256-GCM under a key that lives as long as one opening
 * of a store.
 *
 *   session key = HKDF(store key, epoch || session, "wardgate seal 1")
 *   nonce       = a counter of this session, never used again even when the commit it was
 * for aborts AAD         = epoch || seq (big-endian) || session
 *
 * A sealed record is: session (16) || counter (8, big-endian) || ciphertext (n) || tag
 * (16). The session's 16 random bytes must be synced to disk before the first record
 * sealed under it is written.
 */
#ifndef BASE_SEAL_H
#define BASE_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"

#define SEAL_SESSION_SIZE 16
#define SEAL_OVERHEAD     (SEAL_SESSION_SIZE + 8 + 16) /* bytes that sealing adds */

/* Not for two threads at once. */
struct seal; /* holds the keys of this session and of those it has had to open */

/* Begins a session: new random session id. store_key is copied. Free with seal_free (NULL
 * is fine). */
int seal_new(const struct key *store_key, const struct epoch *epoch, struct seal **out);
void seal_free(struct seal *seal);

/* The id to sync before sealing. */
const uint8_t *seal_session(const struct seal *seal);

/* Writes n + SEAL_OVERHEAD bytes to out. */
int seal_close(struct seal *seal, uint64_t seq, const uint8_t *plain, size_t n,
               uint8_t *out);

/* Opens a record of this or any earlier session of the same epoch. out needs size -
 * SEAL_OVERHEAD bytes; *n is set to it. CRYPTO_TAMPERED if any bit differs from what was
 * sealed. */
int seal_open(struct seal *seal, uint64_t seq, const uint8_t *sealed, size_t size,
              uint8_t *out, size_t *n);

#endif
