/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/hkdf.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

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

int crypto_sha256(const void *data, size_t n, uint8_t out[DIGEST_SIZE])
{
    return mbedtls_md(sha256(), data, n, out) == 0 ? CRYPTO_OK : CRYPTO_FAILED;
}

int crypto_hmac_sha256(const struct key *key, const void *data, size_t n,
                       uint8_t out[DIGEST_SIZE])
{
    return mbedtls_md_hmac(sha256(), key->bytes, KEY_SIZE, data, n, out) == 0
               ? CRYPTO_OK
               : CRYPTO_FAILED;
}

int crypto_hkdf(const struct key *secret, const void *salt, size_t salt_size,
                const char *info, struct key *out)
{
    return mbedtls_hkdf(sha256(), salt, salt_size, secret->bytes, KEY_SIZE,
                        (const unsigned char *)info, strlen(info), out->bytes,
                        KEY_SIZE) == 0
               ? CRYPTO_OK
               : CRYPTO_FAILED;
}

void crypto_wipe(void *secret, size_t n)
{
    mbedtls_platform_zeroize(secret, n);
}

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
