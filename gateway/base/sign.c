/* SPDX-License-Identifier: Apache-2.0
 *
 * See sign.h. Only P-256: it is the one curve that the bootloader has room for.
 */
#include "base/sign.h"

#include <string.h>

#include "base/pki_internal.h"

/* A key of the wrong kind is told from one that can't be read. */
static int check(const mbedtls_pk_context *key, int parsed)
{
    if (parsed != 0)
        return PKI_MALFORMED;
    if (mbedtls_pk_get_type(key) != MBEDTLS_PK_ECKEY ||
        mbedtls_pk_ec(*key)->MBEDTLS_PRIVATE(grp).id != MBEDTLS_ECP_DP_SECP256R1)
        return PKI_WEAK;
    return PKI_OK;
}

static int load_private(const char *pem, mbedtls_pk_context *key)
{
    mbedtls_pk_init(key);
    return check(key, pki_parse_key(key, pem));
}

static int load_public(const char *pem, mbedtls_pk_context *key)
{
    mbedtls_pk_init(key);
    return check(key, mbedtls_pk_parse_public_key(key, (const unsigned char *)pem,
                                                  strlen(pem) + 1));
}

int sign_public(const char *key_pem, char out[PKI_PEM_SIZE])
{
    mbedtls_pk_context key;
    int error = load_private(key_pem, &key);

    if (error == PKI_OK &&
        mbedtls_pk_write_pubkey_pem(&key, (unsigned char *)out, PKI_PEM_SIZE) != 0)
        error = PKI_FAILED;
    mbedtls_pk_free(&key);
    return error;
}

/* DER is written from the end of the buffer. */
int sign_public_bytes(const char *public_key, uint8_t out[SIGN_KEY_SIZE])
{
    mbedtls_pk_context key;
    int error = load_public(public_key, &key);

    if (error == PKI_OK &&
        mbedtls_pk_write_pubkey_der(&key, out, SIGN_KEY_SIZE) != SIGN_KEY_SIZE)
        error = PKI_FAILED;
    mbedtls_pk_free(&key);
    return error;
}

int sign_hash(const char *key_pem, const uint8_t hash[DIGEST_SIZE], uint8_t out[SIGN_MAX],
              size_t *n)
{
    uint8_t buffer[MBEDTLS_ECDSA_MAX_LEN];
    mbedtls_pk_context key;
    int error = load_private(key_pem, &key);

    if (error == PKI_OK &&
        (pki_sign_hash(&key, hash, buffer, sizeof(buffer), n) != 0 || *n > SIGN_MAX))
        error = PKI_FAILED;
    if (error == PKI_OK)
        memcpy(out, buffer, *n);
    mbedtls_pk_free(&key);
    return error;
}

int sign_verify(const char *public_key, const uint8_t hash[DIGEST_SIZE],
                const uint8_t *signature, size_t n)
{
    mbedtls_pk_context key;
    int error = load_public(public_key, &key);

    if (error == PKI_OK &&
        mbedtls_pk_verify(&key, MBEDTLS_MD_SHA256, hash, DIGEST_SIZE, signature, n) != 0)
        error = PKI_UNSIGNED;
    mbedtls_pk_free(&key);
    return error;
}
