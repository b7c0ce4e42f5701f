/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures of firmware: ECDSA on P-256 over a SHA-256 hash. Keys are PEM text as
 * pki.h's are; a public key is also wanted as the bytes that an image names it by. Errors
 * are a negative pki_error.
 */
#ifndef BASE_SIGN_H
#define BASE_SIGN_H

#include "base/ids.h"
#include "base/pki.h"

#define SIGN_KEY_SIZE 91 /* bytes of a SubjectPublicKeyInfo with a point of P-256 */
#define SIGN_MAX      72 /* bytes of a signature in DER */

/* The public half of a private key, as PEM. PKI_WEAK if the key is not on P-256. */
int sign_public(const char *key, char out[PKI_PEM_SIZE]);

/* A public key (PEM) as DER. PKI_MALFORMED, or PKI_WEAK if it is not on P-256. */
int sign_public_bytes(const char *public_key, uint8_t out[SIGN_KEY_SIZE]);

/* Signs a hash; *n is set to the signature's size. */
int sign_hash(const char *key, const uint8_t hash[DIGEST_SIZE], uint8_t out[SIGN_MAX],
              size_t *n);

/* PKI_OK if the signature is the key's over that hash, else PKI_UNSIGNED. */
int sign_verify(const char *public_key, const uint8_t hash[DIGEST_SIZE],
                const uint8_t *signature, size_t n);

#endif
