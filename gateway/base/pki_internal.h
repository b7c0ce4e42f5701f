/* SPDX-License-Identifier: Apache-2.0
 *
 * What pki.c, pki_crl.c and sign.c share. The only one of their files that includes
 * mbedTLS.
 */
#ifndef BASE_PKI_INTERNAL_H
#define BASE_PKI_INTERNAL_H

#include <mbedtls/asn1write.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>

#include "base/crypto.h"
#include "base/pki.h"

#ifndef MBEDTLS_PRIVATE /* 2.28 has no private members */
#define MBEDTLS_PRIVATE(member) member
#endif

#define TIME_TEXT_SIZE 32  /* "YYYYMMDDhhmmss", and a 'Z' that may follow */
#define NAME_TEXT_SIZE 512 /* "O=...,OU=...,CN=..." */

/* Parse PEM into an object that is initialised first, so that it may be freed whatever
 * the result. */
int pki_load_certificate(const char *pem, mbedtls_x509_crt *out);

/* An authority: its certificate, its key (PKI_MISMATCH if they do not belong together),
 * its name as text. Both objects are initialised first. */
int pki_issuer_load(const char *issuer, const char *issuer_key, mbedtls_x509_crt *crt,
                    mbedtls_pk_context *key, char name[NAME_TEXT_SIZE]);

/* Parses a private key's PEM text. Returns the library's error. */
int pki_parse_key(mbedtls_pk_context *key, const char *pem);

/* Signs a SHA-256 hash; out has size bytes, *n is set to the signature's. Returns the
 * library's error. */
int pki_sign_hash(mbedtls_pk_context *key, const uint8_t *hash, uint8_t *out, size_t size,
                  size_t *n);

/* "YYYYMMDDhhmmss" in UTC. */
void pki_time_text(int64_t us, char out[TIME_TEXT_SIZE]);

#endif
