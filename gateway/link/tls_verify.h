/* SPDX-License-Identifier: Apache-2.0
 *
 * Judges a peer's chain of certificates beyond what mbedTLS judges, and puts the first
 * fault into words. mbedTLS checks signatures, issuers, revocation and the algorithm
 * profile; here are the times (against a floor), the host name (exact), the key usage,
 * the revocation list's presence, and the length of the chain.
 */
#ifndef LINK_TLS_VERIFY_H
#define LINK_TLS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_ERROR_SIZE   160 /* bytes of an error text */
#define TLS_CHAIN_MAX    5   /* certificates of a chain, both ends counted */
#define TLS_RSA_BITS_MIN 2048

struct mbedtls_x509_crt;
struct mbedtls_x509_crl;
struct mbedtls_x509_time;

/* One judgement: filled in part before the handshake, read after it. The gravest fault of
 * the whole chain is kept, not the first: a stranger's certificate is not first of all an
 * expired one. */
struct tls_verdict {
    /* In. */
    const char *host;         /* what the peer must be: a name or an address; not owned */
    int64_t now_us, floor_us; /* wall clock and floor, microseconds since 1970 */
    const struct mbedtls_x509_crl *list; /* NULL: no revocation list is kept; not owned */

    /* Out. */
    char error[TLS_ERROR_SIZE]; /* the gravest fault; empty while there is none */
    int gravity;                /* of that fault, lower is graver */
    bool stale_list; /* a revocation list is past its next update: used all the same */
    int deepest;     /* depth of the chain's trusted end */
    char peer[128];  /* subject of the peer's own certificate */
    int64_t peer_expiry_us;
};

/* For mbedtls_ssl_conf_verify; context is a struct tls_verdict. Clears the flags that are
 * judged here against the floor and sets MBEDTLS_X509_BADCERT_OTHER for every fault found
 * here. Always returns 0. */
int tls_verify(void *context, struct mbedtls_x509_crt *certificate, int depth,
               uint32_t *flags);

/* True if host is one of the certificate's dNSNames (whole, case ignored) or, if host is
 * an address, one of its iPAddresses. The common name and wildcards count for nothing. */
bool tls_host_matches(const struct mbedtls_x509_crt *certificate, const char *host);

/* A certificate's time as microseconds since 1970; INT64_MIN if it is no time. */
int64_t tls_time_us(const struct mbedtls_x509_time *time);

/* How a certificate is called in error texts: its common name, printable. Returns out. */
const char *tls_subject(const struct mbedtls_x509_crt *certificate, char *out,
                        size_t size);

#endif
