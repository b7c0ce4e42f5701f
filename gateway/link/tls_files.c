/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls_files.h"

#include <errno.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/file.h"

#define PEM_FILE_MAX 262144 /* bytes of one file */

/* What one connection was begun with. */
struct tls_files {
    mbedtls_x509_crt ca, cert;
    mbedtls_x509_crl list;
    mbedtls_pk_context key;
    bool has_list;
};

/* 3.x wants random bytes to blind its work with private keys; 2.28 has no
 * such argument. */
#if MBEDTLS_VERSION_MAJOR >= 3

static int parse_key(mbedtls_pk_context *key, const uint8_t *pem, size_t n,
                     struct tls_random random)
{
    return mbedtls_pk_parse_key(key, pem, n, NULL, 0, random.bytes, random.context);
}

static int check_pair(struct tls_files *files, struct tls_random random)
{
    return mbedtls_pk_check_pair(&files->cert.pk, &files->key, random.bytes,
                                 random.context);
}

#else

static int parse_key(mbedtls_pk_context *key, const uint8_t *pem, size_t n,
                     struct tls_random random)
{
    (void)random;
    return mbedtls_pk_parse_key(key, pem, n, NULL, 0);
}

static int check_pair(struct tls_files *files, struct tls_random random)
{
    (void)random;
    return mbedtls_pk_check_pair(&files->cert.pk, &files->key);
}

#endif

/* For texts that name their file and what to do about it. */
int tls_say(char error[TLS_ERROR_SIZE], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, TLS_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return -1;
}

/* mbedTLS names the layer and the fault ("X509 - ..."). */
const char *tls_reason(int rc, char out[TLS_REASON_SIZE])
{
    mbedtls_strerror(rc, out, TLS_REASON_SIZE);
    return out;
}

/* One PEM file. Returns its size with the final NUL, which mbedTLS wants
 * counted (and takes as the sign that it is PEM and not DER). */
static ssize_t read_pem(const char *path, const char *what, uint8_t **out,
                        char error[TLS_ERROR_SIZE])
{
    ssize_t n = file_read(path, PEM_FILE_MAX, out);

    if (n < 0)
        return tls_say(error, "%s %s: %s", what, path, strerror((int)-n));
    return n + 1;
}

/* All certificates of one file. mbedTLS reads on past those that it can't read
 * and counts them; for us half a CA file is a wrong one. */
static int load_certificates(mbedtls_x509_crt *into, const char *path, const char *what,
                             char error[TLS_ERROR_SIZE])
{
    uint8_t *pem;
    ssize_t n = read_pem(path, what, &pem, error);
    char reason[TLS_REASON_SIZE];
    int rc;

    if (n < 0)
        return -1;
    rc = mbedtls_x509_crt_parse(into, pem, (size_t)n);
    free(pem);
    if (rc > 0)
        return tls_say(error, "%s %s: %d of its certificates can't be read", what, path,
                       rc);
    if (rc < 0)
        return tls_say(error, "%s %s: %s", what, path, tls_reason(rc, reason));
    return 0;
}

/* Our key. Its group may read it (a service's group), nobody else; a key that
 * has lain open is to be replaced, not used. */
static int load_key(struct tls_files *files, const char *path, struct tls_random random,
                    char error[TLS_ERROR_SIZE])
{
    struct stat status;
    uint8_t *pem;
    char reason[TLS_REASON_SIZE];
    ssize_t n;
    int rc;

    /* Looked at before it is read: a file that is missing fails below, with its own
     * words. */
    if (stat(path, &status) == 0 && (status.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return tls_say(error, "own key %s: others may read or change it; chmod 600",
                       path);
    n = read_pem(path, "own key", &pem, error);
    if (n < 0)
        return -1;
    rc = parse_key(&files->key, pem, (size_t)n, random);
    crypto_wipe(pem, (size_t)n);
    free(pem);
    if (rc != 0)
        return tls_say(error, "own key %s: %s", path, tls_reason(rc, reason));
    if (check_pair(files, random) != 0)
        return tls_say(error, "own key %s does not belong to the certificate", path);
    return 0;
}

/* The revocation list. A missing file means that the site keeps none; one that
 * can't be read is a fault, because it may hold the very name that matters. */
static int load_list(struct tls_files *files, const char *path,
                     char error[TLS_ERROR_SIZE])
{
    struct stat status;
    uint8_t *pem;
    char reason[TLS_REASON_SIZE];
    ssize_t n;
    int rc;

    if (path == NULL ||
        (stat(path, &status) != 0 && (errno == ENOENT || errno == ENOTDIR)))
        return 0;
    n = read_pem(path, "revocation list", &pem, error);
    if (n < 0)
        return -1;
    rc = mbedtls_x509_crl_parse(&files->list, pem, (size_t)n);
    free(pem);
    if (rc != 0)
        return tls_say(error, "revocation list %s: %s", path, tls_reason(rc, reason));
    files->has_list = true;
    return 0;
}

/* An expired certificate of our own is tried all the same: the broker decides,
 * and acquisition goes on whatever it decides. But the status has to say it. */
static void look_at_own(const struct tls_files *files, int64_t judged_us,
                        struct tls_own *own)
{
    const mbedtls_x509_time *to = &files->cert.valid_to;

    own->expiry_us = tls_time_us(to);
    if (own->expiry_us < judged_us)
        tls_say(own->error, "own certificate expired %04d-%02d-%02d", to->year, to->mon,
                to->day);
}

int tls_files_load(const struct tls_link_config *config, int64_t judged_us,
                   struct tls_random random, struct tls_files **out, struct tls_own *own,
                   char error[TLS_ERROR_SIZE])
{
    struct tls_files *files = calloc(1, sizeof(*files));

    memset(own, 0, sizeof(*own));
    if (files == NULL)
        return tls_say(error, "TLS: out of memory");
    mbedtls_x509_crt_init(&files->ca);
    mbedtls_x509_crt_init(&files->cert);
    mbedtls_x509_crl_init(&files->list);
    mbedtls_pk_init(&files->key);

    /* Our own first: its expiry is worth knowing even if the rest is missing. */
    if (load_certificates(&files->cert, config->cert_file, "own certificate", error) != 0)
        goto err0;
    look_at_own(files, judged_us, own);
    if (load_key(files, config->key_file, random, error) != 0 ||
        load_certificates(&files->ca, config->ca_file, "CA", error) != 0 ||
        load_list(files, config->crl_file, error) != 0)
        goto err0;
    *out = files;
    return 0;

err0:
    tls_files_free(files);
    return -1;
}

/* Wiping the key is mbedTLS's part of this. */
void tls_files_free(struct tls_files *files)
{
    if (files == NULL)
        return;
    mbedtls_x509_crt_free(&files->ca);
    mbedtls_x509_crt_free(&files->cert);
    mbedtls_x509_crl_free(&files->list);
    mbedtls_pk_free(&files->key);
    free(files);
}

/* The list counts only when there is one: an empty one would be a list that
 * names nobody. */
int tls_files_use(struct tls_files *files, mbedtls_ssl_config *conf)
{
    mbedtls_ssl_conf_ca_chain(conf, &files->ca, files->has_list ? &files->list : NULL);
    return mbedtls_ssl_conf_own_cert(conf, &files->cert, &files->key);
}

const mbedtls_x509_crl *tls_files_list(const struct tls_files *files)
{
    return files->has_list ? &files->list : NULL;
}
