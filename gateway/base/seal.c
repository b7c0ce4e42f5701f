/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seal.h"

#include <mbedtls/gcm.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_KEPT                                                                    \
    16 /* opened sessions whose key schedule is kept: a start a session */
#define NONCE_SIZE   12
#define TAG_SIZE     16
#define COUNTER_SIZE 8
#define AAD_SIZE     (EPOCH_SIZE + 8 + SEAL_SESSION_SIZE)
#define HEAD_SIZE    (SEAL_SESSION_SIZE + COUNTER_SIZE)

static const char seal_info[] = "wardgate seal 1";

/* One session's key, expanded once: the schedule and GHASH tables cost more than a
 * record. */
struct session {
    uint8_t id[SEAL_SESSION_SIZE];
    bool ready;
    mbedtls_gcm_context gcm;
};

/* Invariants:
 *  1. counter only grows, and belongs to own alone, so no nonce is used twice under a
 * key: a session id is 16 fresh random bytes, and no other session's key is ever used to
 * seal.
 *  2. a kept session is ready or free; victim is the next to be replaced. */
struct seal {
    struct key store_key;
    struct epoch epoch;
    uint64_t counter;
    struct session own;
    struct session kept[SESSIONS_KEPT];
    size_t victim;
};

static void put_be64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

/* session key = HKDF(store key, epoch || session) */
static int session_prepare(const struct seal *seal, const uint8_t *id,
                           struct session *session)
{
    uint8_t salt[EPOCH_SIZE + SEAL_SESSION_SIZE];
    struct key key;
    int error;

    memcpy(salt, seal->epoch.bytes, EPOCH_SIZE);
    memcpy(salt + EPOCH_SIZE, id, SEAL_SESSION_SIZE);
    error = crypto_hkdf(&seal->store_key, salt, sizeof(salt), seal_info, &key);
    if (error == CRYPTO_OK) {
        if (session->ready)
            mbedtls_gcm_free(&session->gcm);
        session->ready = false;
        mbedtls_gcm_init(&session->gcm);
        if (mbedtls_gcm_setkey(&session->gcm, MBEDTLS_CIPHER_ID_AES, key.bytes,
                               KEY_SIZE * 8) != 0) {
            mbedtls_gcm_free(&session->gcm);
            error = CRYPTO_FAILED;
        } else {
            memcpy(session->id, id, SEAL_SESSION_SIZE);
            session->ready = true;
        }
    }
    crypto_wipe(&key, sizeof(key));
    return error;
}

int seal_new(const struct key *store_key, const struct epoch *epoch, struct seal **out)
{
    struct seal *seal = calloc(1, sizeof(*seal));
    uint8_t id[SEAL_SESSION_SIZE];
    int error = CRYPTO_FAILED;

    if (seal == NULL)
        return CRYPTO_FAILED;
    seal->store_key = *store_key;
    seal->epoch = *epoch;
    if ((error = crypto_random(id, sizeof(id))) != CRYPTO_OK ||
        (error = session_prepare(seal, id, &seal->own)) != CRYPTO_OK) {
        seal_free(seal);
        return error;
    }
    *out = seal;
    return CRYPTO_OK;
}

void seal_free(struct seal *seal)
{
    if (seal == NULL)
        return;
    if (seal->own.ready)
        mbedtls_gcm_free(&seal->own.gcm);
    for (size_t i = 0; i < SESSIONS_KEPT; i++)
        if (seal->kept[i].ready)
            mbedtls_gcm_free(&seal->kept[i].gcm);
    crypto_wipe(seal, sizeof(*seal));
    free(seal);
}

const uint8_t *seal_session(const struct seal *seal)
{
    return seal->own.id;
}

/* Finds or prepares the session that sealed a record. An unknown id costs one derivation;
 * a damaged id costs the same and then fails its tag. NULL if the library failed. */
static struct session *session_find(struct seal *seal, const uint8_t *id)
{
    struct session *session;

    if (memcmp(seal->own.id, id, SEAL_SESSION_SIZE) == 0)
        return &seal->own;
    for (size_t i = 0; i < SESSIONS_KEPT; i++)
        if (seal->kept[i].ready && memcmp(seal->kept[i].id, id, SEAL_SESSION_SIZE) == 0)
            return &seal->kept[i];

    session = &seal->kept[seal->victim];
    seal->victim = (seal->victim + 1) % SESSIONS_KEPT;
    return session_prepare(seal, id, session) == CRYPTO_OK ? session : NULL;
}

static void aad_fill(const struct seal *seal, uint64_t seq, const uint8_t *session,
                     uint8_t aad[AAD_SIZE])
{
    memcpy(aad, seal->epoch.bytes, EPOCH_SIZE);
    put_be64(aad + EPOCH_SIZE, seq);
    memcpy(aad + EPOCH_SIZE + 8, session, SEAL_SESSION_SIZE);
}

int seal_close(struct seal *seal, uint64_t seq, const uint8_t *plain, size_t n,
               uint8_t *out)
{
    uint8_t aad[AAD_SIZE], nonce[NONCE_SIZE] = {0};

    if (seal->counter == UINT64_MAX)
        return CRYPTO_FAILED;
    memcpy(out, seal->own.id, SEAL_SESSION_SIZE);
    put_be64(out + SEAL_SESSION_SIZE, ++seal->counter);
    memcpy(nonce + NONCE_SIZE - COUNTER_SIZE, out + SEAL_SESSION_SIZE, COUNTER_SIZE);
    aad_fill(seal, seq, seal->own.id, aad);

    return mbedtls_gcm_crypt_and_tag(&seal->own.gcm, MBEDTLS_GCM_ENCRYPT, n, nonce,
                                     NONCE_SIZE, aad, AAD_SIZE, plain, out + HEAD_SIZE,
                                     TAG_SIZE, out + HEAD_SIZE + n) == 0
               ? CRYPTO_OK
               : CRYPTO_FAILED;
}

int seal_open(struct seal *seal, uint64_t seq, const uint8_t *sealed, size_t size,
              uint8_t *out, size_t *n)
{
    uint8_t aad[AAD_SIZE], nonce[NONCE_SIZE] = {0};
    struct session *session;
    size_t plain;
    int result;

    if (size < SEAL_OVERHEAD)
        return CRYPTO_TAMPERED;
    if ((session = session_find(seal, sealed)) == NULL)
        return CRYPTO_FAILED;
    plain = size - SEAL_OVERHEAD;
    memcpy(nonce + NONCE_SIZE - COUNTER_SIZE, sealed + SEAL_SESSION_SIZE, COUNTER_SIZE);
    aad_fill(seal, seq, sealed, aad);

    result = mbedtls_gcm_auth_decrypt(&session->gcm, plain, nonce, NONCE_SIZE, aad,
                                      AAD_SIZE, sealed + HEAD_SIZE + plain, TAG_SIZE,
                                      sealed + HEAD_SIZE, out);
    if (result == MBEDTLS_ERR_GCM_AUTH_FAILED)
        return CRYPTO_TAMPERED; /* the library has cleared out */
    if (result != 0)
        return CRYPTO_FAILED;
    *n = plain;
    return CRYPTO_OK;
}
