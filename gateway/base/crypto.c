/* SPDX-License-Identifier: Apache-2.0
 *
 * The only face of mbedTLS's primitives. Its errors are folded to few: a caller can do
 * something about a wrong tag or a bad key file, and about nothing else.
 */
#include "base/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/gcm.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* The kernel's generator and no other: there is no seed to keep, to save or to lose. */
int crypto_random(void *out, size_t n)
{
    uint8_t *at = out;

    while (n > 0) {
        /* Blocks only before the kernel has its first entropy; never returns weak bytes.
         */
        ssize_t got = getrandom(at, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return CRYPTO_FAILED;
        at += got;
        n -= (size_t)got;
    }
    return CRYPTO_OK;
}

/* The generic digest face is the one that 2.28 and 3.6 share. */
static const mbedtls_md_info_t *sha256(void)
{
    return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256);
}

/* One shot; nothing here hashes what does not fit in memory. */
int crypto_sha256(const void *data, size_t n, uint8_t out[DIGEST_SIZE])
{
    return mbedtls_md(sha256(), data, n, out) == 0 ? CRYPTO_OK : CRYPTO_FAILED;
}

/* Keyed digests of patient ids (P8): without the key a digest can't be searched for. */
int crypto_hmac_sha256(const struct key *key, const void *data, size_t n,
                       uint8_t out[DIGEST_SIZE])
{
    return mbedtls_md_hmac(sha256(), key->bytes, KEY_SIZE, data, n, out) == 0
               ? CRYPTO_OK
               : CRYPTO_FAILED;
}

/* info names the purpose, so that one secret gives keys that do not depend on each
 * other. */
int crypto_hkdf(const struct key *secret, const void *salt, size_t salt_size,
                const char *info, struct key *out)
{
    return mbedtls_hkdf(sha256(), salt, salt_size, secret->bytes, KEY_SIZE,
                        (const unsigned char *)info, strlen(info), out->bytes,
                        KEY_SIZE) == 0
               ? CRYPTO_OK
               : CRYPTO_FAILED;
}

/* Opaque to callers: the context is mbedTLS's. */
struct crypto_gcm {
    mbedtls_gcm_context context;
};

/* The key is expanded here, once; the caller's copy may be wiped afterwards. */
int crypto_gcm_new(const struct key *key, struct crypto_gcm **out)
{
    struct crypto_gcm *gcm = malloc(sizeof(*gcm));

    if (gcm == NULL)
        return CRYPTO_FAILED;
    mbedtls_gcm_init(&gcm->context);
    if (mbedtls_gcm_setkey(&gcm->context, MBEDTLS_CIPHER_ID_AES, key->bytes,
                           KEY_SIZE * 8) != 0) {
        crypto_gcm_free(gcm);
        return CRYPTO_FAILED;
    }
    *out = gcm;
    return CRYPTO_OK;
}

void crypto_gcm_free(struct crypto_gcm *gcm)
{
    if (gcm == NULL)
        return;
    mbedtls_gcm_free(&gcm->context); /* wipes the key schedule */
    free(gcm);
}

/* out must not overlap plain but may follow it directly. */
int crypto_gcm_seal(struct crypto_gcm *gcm, const uint8_t nonce[GCM_NONCE_SIZE],
                    const uint8_t *aad, size_t aad_size, const uint8_t *plain, size_t n,
                    uint8_t *out)
{
    return mbedtls_gcm_crypt_and_tag(&gcm->context, MBEDTLS_GCM_ENCRYPT, n, nonce,
                                     GCM_NONCE_SIZE, aad, aad_size, plain, out,
                                     GCM_TAG_SIZE, out + n) == 0
               ? CRYPTO_OK
               : CRYPTO_FAILED;
}

/* The library compares tags in constant time and clears out when they differ. */
int crypto_gcm_open(struct crypto_gcm *gcm, const uint8_t nonce[GCM_NONCE_SIZE],
                    const uint8_t *aad, size_t aad_size, const uint8_t *sealed, size_t n,
                    uint8_t *out)
{
    int result =
        mbedtls_gcm_auth_decrypt(&gcm->context, n, nonce, GCM_NONCE_SIZE, aad, aad_size,
                                 sealed + n, GCM_TAG_SIZE, sealed, out);

    if (result == MBEDTLS_ERR_GCM_AUTH_FAILED)
        return CRYPTO_TAMPERED;
    return result == 0 ? CRYPTO_OK : CRYPTO_FAILED;
}

void crypto_wipe(void *secret, size_t n)
{
    mbedtls_platform_zeroize(secret, n);
}

/* Opens without following links and without waiting for a pipe: a key file is a plain
 * file or it is refused. */
static int key_load(const char *path, struct key *out)
{
    uint8_t bytes[KEY_SIZE + 1]; /* one more, to see a file that is too long */
    struct stat st;
    ssize_t n;
    int error = 0,
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return CRYPTO_FILE;
    if (fstat(fd, &st) != 0)
        error = errno;
    else if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        error = EACCES; /* a key that others can read is no key */
    else if ((n = read(fd, bytes, sizeof(bytes))) != KEY_SIZE)
        error = n < 0 ? errno : EINVAL;
    else
        memcpy(out->bytes, bytes, KEY_SIZE);

    crypto_wipe(bytes, sizeof(bytes));
    (void)close(fd);
    errno = error;
    return error == 0 ? CRYPTO_OK : CRYPTO_FILE;
}

/* The finished file gets its name by link(), which never replaces: of two starters one
 * wins and both use its key, and a power cut leaves no half-written key behind the name.
 */
static int key_make(const char *path)
{
    char temporary[FILE_PATH_MAX];
    struct key fresh;
    int error;

    if (crypto_random(fresh.bytes, KEY_SIZE) != CRYPTO_OK)
        return CRYPTO_FAILED;
    error =
        file_write_temporary(path, fresh.bytes, KEY_SIZE, S_IRUSR | S_IWUSR, temporary);
    crypto_wipe(&fresh, sizeof(fresh));
    if (error == 0) {
        if (link(temporary, path) != 0 && errno != EEXIST)
            error = -errno;
        (void)unlink(temporary);
    }
    if (error == 0)
        error = file_sync_folder(path);
    errno = -error;
    return error == 0 ? CRYPTO_OK : CRYPTO_FILE;
}

/* The second load after making the key is on purpose: of two programs that start at
 * once, the one that lost the race gets the winner's key. */
int key_file(const char *path, int create, struct key *out)
{
    int error = key_load(path, out);

    if (error == CRYPTO_FILE && errno == ENOENT && create) {
        if ((error = key_make(path)) != CRYPTO_OK)
            return error;
        error = key_load(path, out);
    }
    return error;
}
