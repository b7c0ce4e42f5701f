/* SPDX-License-Identifier: Apache-2.0
 *
 * Making keys, requests, certificates and revocation lists: EC P-256, SHA-256, X.509 v3.
 * All of it is PEM text in and out; files, names and records of what was issued are the
 * caller's. Errors are a negative pki_error.
 */
#ifndef BASE_PKI_H
#define BASE_PKI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PKI_PEM_SIZE                                                                     \
    4096 /* bytes of a key, a request or a certificate as PEM, with its NUL */
#define PKI_CRL_SIZE                                                                     \
    (1 << 20) /* bytes of a revocation list as PEM, with its NUL: some 9,000             \
                 certificates */
#define PKI_SERIAL_SIZE                                                                  \
    16 /* bytes: random, the highest bit clear and the lowest byte's not all zero */
#define PKI_NAME_SIZE 128 /* bytes of a name part or host, with its NUL */
#define PKI_HOSTS_MAX 16  /* host names and addresses of one certificate */

enum pki_error {
    PKI_OK = 0,
    PKI_FAILED = -1,    /* the library refused: never expected */
    PKI_MALFORMED = -2, /* not the PEM that was expected */
    PKI_WEAK =
        -3, /* a key other than EC P-256 or P-384, or a signature other than SHA-2 */
    PKI_UNSIGNED =
        -4, /* a request whose signature does not hold: its sender has not got the key */
    PKI_LIMIT = -5,    /* does not fit */
    PKI_MISMATCH = -6, /* key and certificate do not belong together */
    PKI_INVALID = -7,  /* a name or host that may not stand in a certificate */
};

enum pki_role {
    PKI_AUTHORITY, /* signs certificates and lists, and nothing below it signs any */
    PKI_CLIENT,    /* TLS client: a board, a chart service */
    PKI_SERVER,    /* TLS server: a broker; its hosts are checked exactly */
};

/* What is to be certified. All text is of name_valid()'s characters, '.' and ':'; times
 * are microseconds UTC and are cut to whole seconds. */
struct pki_subject {
    enum pki_role role;
    const char *common_name;  /* a client's is its MQTT user name */
    const char *organisation; /* the site */
    const char *unit;         /* "board", "chart", "broker", "authority" */
    uint8_t serial[PKI_SERIAL_SIZE];
    int64_t not_before_us, not_after_us;
    const char *const *hosts; /* PKI_SERVER: dNSName or iPAddress, as written */
    size_t hosts_count;
};

struct pki_info {
    char common_name[PKI_NAME_SIZE], organisation[PKI_NAME_SIZE], unit[PKI_NAME_SIZE];
    uint8_t serial[PKI_SERIAL_SIZE]; /* right-aligned */
    int64_t not_before_us, not_after_us;
    bool authority;
};

struct pki_revoked {
    uint8_t serial[PKI_SERIAL_SIZE];
    int64_t when_us;
};

/* A serial number of 126 random bits. */
int pki_serial(uint8_t serial[PKI_SERIAL_SIZE]);

/* A new private key. */
int pki_key(char out[PKI_PEM_SIZE]);

/* A certificate request for key, signed with it. */
int pki_request(const char *key, const char *common_name, const char *organisation,
                const char *unit, char out[PKI_PEM_SIZE]);

/* The common name that a request asks for, and whether its signature and key are good. */
int pki_request_read(const char *request, char common_name[PKI_NAME_SIZE]);

/* A certificate. from says whose public key it is for: a private key, a request or an
 * earlier certificate. issuer and issuer_key are the authority's; both NULL: self-signed,
 * and from is the private key. */
int pki_sign(const struct pki_subject *subject, const char *from, const char *issuer,
             const char *issuer_key, char out[PKI_PEM_SIZE]);

int pki_read(const char *certificate, struct pki_info *info);

/* PKI_OK if key is the certificate's. */
int pki_matches(const char *certificate, const char *key);

/* A revocation list (v2) of issuer: number is its CRL number and must grow; valid from
 * this_us to next_us. out has capacity bytes. */
int pki_revocations(const char *issuer, const char *issuer_key, uint64_t number,
                    int64_t this_us, int64_t next_us, const struct pki_revoked *revoked,
                    size_t count, char *out, size_t capacity);

/* PKI_OK if list is a good revocation list signed by issuer; *count is set to how many it
 * revokes. */
int pki_revocations_check(const char *list, const char *issuer, size_t *count);

/* What an error means, for people. */
const char *pki_error_text(int error);

#endif
