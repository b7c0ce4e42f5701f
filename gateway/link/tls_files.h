/* SPDX-License-Identifier: Apache-2.0
 *
 * The PEM files of one connection: our certificate and key, the CA, the revocation list.
 * They are read anew for every connection, so that replacing a file is all that a
 * rotation takes.
 */
#ifndef LINK_TLS_FILES_H
#define LINK_TLS_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "link/tls_link.h"
#include "link/tls_verify.h"

struct mbedtls_ssl_config;
struct mbedtls_x509_crl;

struct tls_files;

/* Our own certificate, as far as it could be read. */
struct tls_own {
    int64_t expiry_us;          /* microseconds since 1970; 0 if unreadable */
    char error[TLS_ERROR_SIZE]; /* "own certificate expired 2026-01-02"; empty if it has
                                   not */
};

/* Random bytes, as mbedTLS wants them. */
struct tls_random {
    int (*bytes)(void *context, unsigned char *out, size_t n);
    void *context;
};

/* Reads all files. judged_us is the time at which our own certificate is looked at;
 * expired is no failure (the broker decides), unreadable is. A key that others may read
 * or that does not belong to the certificate is a failure; so is a CA file of which one
 * certificate can't be read, and a revocation list that is there and can't be read. *own
 * is filled as far as it is known in any case. Returns 0, or -1 and the words. Free with
 * tls_files_free (NULL is fine). */
int tls_files_load(const struct tls_link_config *config, int64_t judged_us,
                   struct tls_random random, struct tls_files **out, struct tls_own *own,
                   char error[TLS_ERROR_SIZE]);
void tls_files_free(struct tls_files *files);

/* Puts them into a configuration, which the files must outlive. Returns 0 or mbedTLS's
 * error. */
int tls_files_use(struct tls_files *files, struct mbedtls_ssl_config *conf);

/* The revocation list; NULL if none is kept. */
const struct mbedtls_x509_crl *tls_files_list(const struct tls_files *files);

/* Formats an error text; always returns -1. */
int tls_say(char error[TLS_ERROR_SIZE], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define TLS_REASON_SIZE 112 /* bytes of mbedTLS's own words for an error */

/* Those words. Returns out. */
const char *tls_reason(int rc, char out[TLS_REASON_SIZE]);

#endif
