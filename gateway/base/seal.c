/* SPDX-License-Identifier: Apache-2.0
 *
 * A record is opened far more often by the session that sealed it, or by the few starts
 * before it, than by any other: their keys are kept expanded, because deriving one (about
 * 4 us) costs more than a record.
 */
#include "base/seal.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_KEPT                                                                    \
    16 /* earlier sessions whose keys are kept; a session is one start of the daemon */
#define COUNTER_SIZE 8
#define AAD_SIZE     (EPOCH_SIZE + 8 + SEAL_SESSION_SIZE)
#define HEAD_SIZE    (SEAL_SESSION_SIZE + COUNTER_SIZE)

static const char seal_info[] =
    "wardgate seal 1"; /* another layout would need another word */

struct session {
    uint8_t id[SEAL_SESSION_SIZE];
    struct crypto_gcm *gcm; /* NULL: this slot is free */
};

/* Invariants:
 *  1. counter only grows, and belongs to own alone, so no nonce is used twice under a
 * key: a session id is 16 fresh random bytes, and no other session's key is ever used to
 * seal.
 *  2. victim is the slot that the next unknown session takes. */
struct seal {
    struct key store_key;
    struct epoch epoch;
    uint64_t counter;
    struct session own;
    struct session kept[SESSIONS_KEPT];
    size_t victim;
};

/* Big-endian, as in every text that describes the format. */
static void put_be64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

/* Fills a slot: session key = HKDF(store key, epoch || session). The old key of the slot
 * is wiped; on an error the slot is free. */
static int session_prepare(const struct seal *seal, const uint8_t *id,
                           struct session *session)
{
    uint8_t salt[EPOCH_SIZE + SEAL_SESSION_SIZE];
    struct key key;
    int error;

    crypto_gcm_free(session->gcm);
    session->gcm = NULL;
    memcpy(salt, seal->epoch.bytes, EPOCH_SIZE);
    memcpy(salt + EPOCH_SIZE, id, SEAL_SESSION_SIZE);
    error = crypto_hkdf(&seal->store_key, salt, sizeof(salt), seal_info, &key);
    if (error == CRYPTO_OK)
        error = crypto_gcm_new(&key, &session->gcm);
    if (error == CRYPTO_OK)
        memcpy(session->id, id, SEAL_SESSION_SIZE);
    crypto_wipe(&key, sizeof(key));
    return error;
}

/* Begins a session. There is no way to continue one: its counter is known only to the
 * process that began it. */
int seal_new(const struct key *store_key, const struct epoch *epoch, struct seal **out)
{
    struct seal *seal = calloc(1, sizeof(*seal));
    uint8_t id[SEAL_SESSION_SIZE];
    int error;

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

/* Frees and wipes every key. */
void seal_free(struct seal *seal)
{
    if (seal == NULL)
        return;
    crypto_gcm_free(seal->own.gcm);
    for (size_t i = 0; i < SESSIONS_KEPT; i++)
        crypto_gcm_free(seal->kept[i].gcm);
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
        if (seal->kept[i].gcm != NULL &&
            memcmp(seal->kept[i].id, id, SEAL_SESSION_SIZE) == 0)
            return &seal->kept[i];

    session = &seal->kept[seal->victim];
    seal->victim = (seal->victim + 1) % SESSIONS_KEPT;
    return session_prepare(seal, id, session) == CRYPTO_OK ? session : NULL;
}

/* What a record is bound to beside its bytes: moved to another place in the store, or
 * into another store, it no longer opens. */
static void aad_fill(const struct seal *seal, uint64_t seq, const uint8_t *session,
                     uint8_t aad[AAD_SIZE])
{
    memcpy(aad, seal->epoch.bytes, EPOCH_SIZE);
    put_be64(aad + EPOCH_SIZE, seq);
    memcpy(aad + EPOCH_SIZE + 8, session, SEAL_SESSION_SIZE);
}

/* Seals under the next counter. The counter is used up even when the library fails or the
 * commit that the record was for is aborted: sealing again takes another. */
int seal_close(struct seal *seal, uint64_t seq, const uint8_t *plain, size_t n,
               uint8_t *out)
{
    uint8_t aad[AAD_SIZE], nonce[GCM_NONCE_SIZE] = {0};

    if (seal->counter == UINT64_MAX)
        return CRYPTO_FAILED;
    memcpy(out, seal->own.id, SEAL_SESSION_SIZE);
    put_be64(out + SEAL_SESSION_SIZE, ++seal->counter);
    memcpy(nonce + GCM_NONCE_SIZE - COUNTER_SIZE, out + SEAL_SESSION_SIZE, COUNTER_SIZE);
    aad_fill(seal, seq, seal->own.id, aad);
    return crypto_gcm_seal(seal->own.gcm, nonce, aad, AAD_SIZE, plain, n,
                           out + HEAD_SIZE);
}

/* Opens under the session and counter that the record itself names: a lie about either
 * fails the tag. */
int seal_open(struct seal *seal, uint64_t seq, const uint8_t *sealed, size_t size,
              uint8_t *out, size_t *n)
{
    uint8_t aad[AAD_SIZE], nonce[GCM_NONCE_SIZE] = {0};
    struct session *session;
    int error;

    if (size < SEAL_OVERHEAD)
        return CRYPTO_TAMPERED;
    if ((session = session_find(seal, sealed)) == NULL)
        return CRYPTO_FAILED;
    memcpy(nonce + GCM_NONCE_SIZE - COUNTER_SIZE, sealed + SEAL_SESSION_SIZE,
           COUNTER_SIZE);
    aad_fill(seal, seq, sealed, aad);
    error = crypto_gcm_open(session->gcm, nonce, aad, AAD_SIZE, sealed + HEAD_SIZE,
                            size - SEAL_OVERHEAD, out);
    if (error == CRYPTO_OK)
        *n = size - SEAL_OVERHEAD;
    return error;
}
