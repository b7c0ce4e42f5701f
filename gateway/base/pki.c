/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys, requests and certificates in PEM. Everything that a certificate says comes from
 * struct pki_subject; nothing is copied from a request but its public key, so that what
 * was asked for and what was granted can't be confused.
 */
#include "base/pki.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/pki_internal.h"
#include "base/zone.h"

#define OID_SIZE       3    /* bytes of every id-at-... name part */
#define EXTENSION_SIZE 1024 /* bytes of one extension's value */

/* The form of generator that mbedTLS asks for. */
static int random_source(void *context, unsigned char *out, size_t n)
{
    (void)context;
    return crypto_random(out, n) == CRYPTO_OK ? 0 : -1;
}

/* --- The two libraries' differences, one function each --- */

#if MBEDTLS_VERSION_NUMBER >= 0x03000000
int pki_parse_key(mbedtls_pk_context *key, const char *pem)
{
    return mbedtls_pk_parse_key(key, (const unsigned char *)pem, strlen(pem) + 1, NULL, 0,
                                random_source, NULL);
}

static int check_pair(const mbedtls_pk_context *public_key, const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(public_key, key, random_source, NULL);
}

static int set_serial(mbedtls_x509write_cert *out, const uint8_t serial[PKI_SERIAL_SIZE])
{
    uint8_t copy[PKI_SERIAL_SIZE];

    memcpy(copy, serial, PKI_SERIAL_SIZE);
    return mbedtls_x509write_crt_set_serial_raw(out, copy, PKI_SERIAL_SIZE);
}

int pki_sign_hash(mbedtls_pk_context *key, const uint8_t *hash, uint8_t *out, size_t size,
                  size_t *n)
{
    return mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, DIGEST_SIZE, out, size, n,
                           random_source, NULL);
}
#else
int pki_parse_key(mbedtls_pk_context *key, const char *pem)
{
    return mbedtls_pk_parse_key(key, (const unsigned char *)pem, strlen(pem) + 1, NULL,
                                0);
}

static int check_pair(const mbedtls_pk_context *public_key, const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(public_key, key);
}

static int set_serial(mbedtls_x509write_cert *out, const uint8_t serial[PKI_SERIAL_SIZE])
{
    mbedtls_mpi number;
    int error;

    mbedtls_mpi_init(&number);
    error = mbedtls_mpi_read_binary(&number, serial, PKI_SERIAL_SIZE);
    if (error == 0)
        error = mbedtls_x509write_crt_set_serial(out, &number);
    mbedtls_mpi_free(&number);
    return error;
}

int pki_sign_hash(mbedtls_pk_context *key, const uint8_t *hash, uint8_t *out, size_t size,
                  size_t *n)
{
    (void)size;
    return mbedtls_pk_sign(key, MBEDTLS_MD_SHA256, hash, DIGEST_SIZE, out, n,
                           random_source, NULL);
}
#endif

/* --- Reading --- */

/* The first certificate of the text counts; a chain has no place here. */
int pki_load_certificate(const char *pem, mbedtls_x509_crt *out)
{
    mbedtls_x509_crt_init(out);
    return mbedtls_x509_crt_parse(out, (const unsigned char *)pem, strlen(pem) + 1) == 0
               ? PKI_OK
               : PKI_MALFORMED;
}

/* Keys are never encrypted with a passphrase: a daemon could not type it. */
static int load_key(const char *pem, mbedtls_pk_context *out)
{
    mbedtls_pk_init(out);
    return pki_parse_key(out, pem) == 0 ? PKI_OK : PKI_MALFORMED;
}

/* Only the curves that every TLS library of the path takes and nobody doubts. */
static int check_strength(const mbedtls_pk_context *key)
{
    mbedtls_ecp_group_id curve;

    if (mbedtls_pk_get_type(key) != MBEDTLS_PK_ECKEY)
        return PKI_WEAK;
    curve = mbedtls_pk_ec(*key)->MBEDTLS_PRIVATE(grp).id;
    return curve == MBEDTLS_ECP_DP_SECP256R1 || curve == MBEDTLS_ECP_DP_SECP384R1
               ? PKI_OK
               : PKI_WEAK;
}

/* Parsing does not look at a request's signature: without this anyone could have anyone's
 * key certified. */
static int load_request(const char *pem, mbedtls_x509_csr *out)
{
    const mbedtls_md_info_t *md;
    uint8_t hash[MBEDTLS_MD_MAX_SIZE];
    mbedtls_md_type_t type;

    mbedtls_x509_csr_init(out);
    if (mbedtls_x509_csr_parse(out, (const unsigned char *)pem, strlen(pem) + 1) != 0)
        return PKI_MALFORMED;
    type = out->MBEDTLS_PRIVATE(sig_md);
    if (check_strength(&out->pk) != PKI_OK ||
        (type != MBEDTLS_MD_SHA256 && type != MBEDTLS_MD_SHA384))
        return PKI_WEAK;
    md = mbedtls_md_info_from_type(type);
    if (mbedtls_md(md, out->cri.p, out->cri.len, hash) != 0)
        return PKI_FAILED;
    return mbedtls_pk_verify(&out->pk, type, hash, mbedtls_md_get_size(md),
                             out->MBEDTLS_PRIVATE(sig).p,
                             out->MBEDTLS_PRIVATE(sig).len) == 0
               ? PKI_OK
               : PKI_UNSIGNED;
}

/* Copies one part of a name; an absent one is empty, one that does not fit or holds a NUL
 * is refused. */
static int name_part(const mbedtls_x509_name *name, const char *oid,
                     char out[PKI_NAME_SIZE])
{
    out[0] = '\0';
    for (; name != NULL; name = name->next) {
        if (name->oid.len != OID_SIZE || memcmp(name->oid.p, oid, OID_SIZE) != 0)
            continue;
        if (name->val.len >= PKI_NAME_SIZE ||
            memchr(name->val.p, 0, name->val.len) != NULL)
            return PKI_INVALID;
        memcpy(out, name->val.p, name->val.len);
        out[name->val.len] = '\0';
        return PKI_OK;
    }
    return PKI_OK;
}

/* Certificates carry whole seconds. */
static int64_t time_us(const mbedtls_x509_time *t)
{
    struct civil c = {.year = t->year,
                      .month = (uint8_t)t->mon,
                      .day = (uint8_t)t->day,
                      .hour = (uint8_t)t->hour,
                      .minute = (uint8_t)t->min,
                      .second = (uint8_t)t->sec};
    int64_t us = 0;

    (void)civil_to_utc(&c, &us);
    return us;
}

/* Reads what is needed to list and to renew; it verifies nothing. */
int pki_read(const char *certificate, struct pki_info *info)
{
    mbedtls_x509_crt crt;
    int error = pki_load_certificate(certificate, &crt);

    memset(info, 0, sizeof(*info));
    if (error == PKI_OK &&
        (name_part(&crt.subject, MBEDTLS_OID_AT_CN, info->common_name) != PKI_OK ||
         name_part(&crt.subject, MBEDTLS_OID_AT_ORGANIZATION, info->organisation) !=
             PKI_OK ||
         name_part(&crt.subject, MBEDTLS_OID_AT_ORG_UNIT, info->unit) != PKI_OK))
        error = PKI_INVALID;
    if (error == PKI_OK && crt.serial.len > PKI_SERIAL_SIZE)
        error = PKI_LIMIT;
    if (error == PKI_OK) {
        memcpy(info->serial + PKI_SERIAL_SIZE - crt.serial.len, crt.serial.p,
               crt.serial.len);
        info->not_before_us = time_us(&crt.valid_from);
        info->not_after_us = time_us(&crt.valid_to);
        info->authority = crt.MBEDTLS_PRIVATE(ca_istrue) != 0;
    }
    mbedtls_x509_crt_free(&crt);
    return error;
}

/* Compares the public halves. */
int pki_matches(const char *certificate, const char *key_pem)
{
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    int error = pki_load_certificate(certificate, &crt),
        key_error = load_key(key_pem, &key);

    if (error == PKI_OK)
        error = key_error;
    if (error == PKI_OK && check_pair(&crt.pk, &key) != 0)
        error = PKI_MISMATCH;
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&crt);
    return error;
}

/* --- Keys and requests --- */

int pki_serial(uint8_t serial[PKI_SERIAL_SIZE])
{
    if (crypto_random(serial, PKI_SERIAL_SIZE) != CRYPTO_OK)
        return PKI_FAILED;
    /* Positive, and of full length, so that every reader sees the same 16 bytes. */
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
    return PKI_OK;
}

/* P-256: every TLS library of the path takes it, and a board signs with it in a few
 * milliseconds. */
int pki_key(char out[PKI_PEM_SIZE])
{
    mbedtls_pk_context key;
    int error = PKI_FAILED;

    mbedtls_pk_init(&key);
    if (mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) == 0 &&
        mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), random_source,
                            NULL) == 0 &&
        mbedtls_pk_write_key_pem(&key, (unsigned char *)out, PKI_PEM_SIZE) == 0)
        error = PKI_OK;
    mbedtls_pk_free(&key);
    return error;
}

/* Nothing that could end a name part and begin another. */
static bool part_valid(const char *text)
{
    size_t n = strlen(text);

    if (n == 0 || n >= PKI_NAME_SIZE)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
              c == ':'))
            return false;
    }
    return true;
}

static int name_text(const char *common_name, const char *organisation, const char *unit,
                     char out[NAME_TEXT_SIZE])
{
    if (!part_valid(common_name) || !part_valid(organisation) || !part_valid(unit))
        return PKI_INVALID;
    (void)snprintf(out, NAME_TEXT_SIZE, "O=%s,OU=%s,CN=%s", organisation, unit,
                   common_name);
    return PKI_OK;
}

/* Signed by its key, which proves that the asker has it. */
int pki_request(const char *key_pem, const char *common_name, const char *organisation,
                const char *unit, char out[PKI_PEM_SIZE])
{
    char name[NAME_TEXT_SIZE];
    mbedtls_x509write_csr request;
    mbedtls_pk_context key;
    int error = name_text(common_name, organisation, unit, name),
        key_error = load_key(key_pem, &key);

    mbedtls_x509write_csr_init(&request);
    if (error == PKI_OK)
        error = key_error;
    if (error == PKI_OK) {
        mbedtls_x509write_csr_set_md_alg(&request, MBEDTLS_MD_SHA256);
        mbedtls_x509write_csr_set_key(&request, &key);
        if (mbedtls_x509write_csr_set_subject_name(&request, name) != 0 ||
            mbedtls_x509write_csr_pem(&request, (unsigned char *)out, PKI_PEM_SIZE,
                                      random_source, NULL) != 0)
            error = PKI_FAILED;
    }
    mbedtls_x509write_csr_free(&request);
    mbedtls_pk_free(&key);
    return error;
}

/* The name is for the person who signs, to compare with what was expected. */
int pki_request_read(const char *request, char common_name[PKI_NAME_SIZE])
{
    mbedtls_x509_csr csr;
    int error = load_request(request, &csr);

    if (error == PKI_OK)
        error = name_part(&csr.subject, MBEDTLS_OID_AT_CN, common_name);
    mbedtls_x509_csr_free(&csr);
    return error;
}

/* --- Certificates --- */

/* Years are cut to four digits, as X.509 has them. */
void pki_time_text(int64_t us, char out[TIME_TEXT_SIZE])
{
    struct civil c;

    civil_from_utc(us, &c);
    (void)snprintf(out, TIME_TEXT_SIZE, "%04u%02u%02u%02u%02u%02u",
                   (unsigned)c.year % 10000, (unsigned)c.month, (unsigned)c.day,
                   (unsigned)c.hour, (unsigned)c.minute, (unsigned)c.second);
}

/* One GeneralName, written backwards as ASN.1 is: an address as its bytes, anything else
 * as a host name. */
static int write_host(unsigned char **at, unsigned char *start, const char *host)
{
    uint8_t address[16];
    size_t n = 0;
    const void *bytes = address;
    unsigned char tag = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7;
    int length = 0, r;

    if (!part_valid(host))
        return -1;
    if (inet_pton(AF_INET, host, address) == 1)
        n = 4;
    else if (inet_pton(AF_INET6, host, address) == 1)
        n = 16;
    else if (strchr(host, ':') != NULL)
        return -1;
    else {
        n = strlen(host);
        bytes = host;
        tag = MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2;
    }
    if ((r = mbedtls_asn1_write_raw_buffer(at, start, bytes, n)) < 0)
        return r;
    length += r;
    if ((r = mbedtls_asn1_write_len(at, start, n)) < 0)
        return r;
    length += r;
    if ((r = mbedtls_asn1_write_tag(at, start, tag)) < 0)
        return r;
    return length + r;
}

/* subjectAltName, in the order given. A server without one is refused: the common name
 * has not counted for years. */
static int set_hosts(mbedtls_x509write_cert *out, const struct pki_subject *subject)
{
    unsigned char value[EXTENSION_SIZE], *at = value + sizeof(value);
    size_t length = 0;
    int r;

    if (subject->hosts_count == 0 || subject->hosts_count > PKI_HOSTS_MAX)
        return PKI_INVALID;
    for (size_t i = subject->hosts_count; i-- > 0;) {
        if ((r = write_host(&at, value, subject->hosts[i])) < 0)
            return PKI_INVALID;
        length += (size_t)r;
    }
    if (mbedtls_asn1_write_len(&at, value, length) < 0 ||
        mbedtls_asn1_write_tag(&at, value,
                               MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) < 0)
        return PKI_LIMIT;
    return mbedtls_x509write_crt_set_extension(out, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                               MBEDTLS_OID_SIZE(
                                                   MBEDTLS_OID_SUBJECT_ALT_NAME),
                                               0, at,
                                               (size_t)(value + sizeof(value) - at)) == 0
               ? PKI_OK
               : PKI_FAILED;
}

/* What the key may be used for: a board's certificate makes no server, and the other way
 * round. */
static int set_usage(mbedtls_x509write_cert *out, enum pki_role role)
{
    const char *oid =
        role == PKI_SERVER ? MBEDTLS_OID_SERVER_AUTH : MBEDTLS_OID_CLIENT_AUTH;
    size_t oid_size = role == PKI_SERVER ? MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH)
                                         : MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH);
    unsigned char value[32] = {0}, *at = value + sizeof(value);
    int n;

    if (role == PKI_AUTHORITY)
        return mbedtls_x509write_crt_set_key_usage(out, MBEDTLS_X509_KU_KEY_CERT_SIGN |
                                                            MBEDTLS_X509_KU_CRL_SIGN) == 0
                   ? PKI_OK
                   : PKI_FAILED;

    if ((n = mbedtls_asn1_write_oid(&at, value, oid, oid_size)) < 0 ||
        mbedtls_asn1_write_len(&at, value, (size_t)n) < 0 ||
        mbedtls_asn1_write_tag(&at, value,
                               MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE) < 0)
        return PKI_FAILED;
    if (mbedtls_x509write_crt_set_extension(out, MBEDTLS_OID_EXTENDED_KEY_USAGE,
                                            MBEDTLS_OID_SIZE(
                                                MBEDTLS_OID_EXTENDED_KEY_USAGE),
                                            0, at,
                                            (size_t)(value + sizeof(value) - at)) != 0)
        return PKI_FAILED;
    return mbedtls_x509write_crt_set_key_usage(out, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) ==
                   0
               ? PKI_OK
               : PKI_FAILED;
}

/* Fills in everything but keys and names. */
static int fill_certificate(mbedtls_x509write_cert *out,
                            const struct pki_subject *subject)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    bool authority = subject->role == PKI_AUTHORITY;
    int error;

    pki_time_text(subject->not_before_us, from);
    pki_time_text(subject->not_after_us, to);
    mbedtls_x509write_crt_set_version(out, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(out, MBEDTLS_MD_SHA256);
    if (set_serial(out, subject->serial) != 0 ||
        mbedtls_x509write_crt_set_validity(out, from, to) != 0 ||
        mbedtls_x509write_crt_set_basic_constraints(out, authority, authority ? 0 : -1) !=
            0 ||
        mbedtls_x509write_crt_set_subject_key_identifier(out) != 0 ||
        mbedtls_x509write_crt_set_authority_key_identifier(out) != 0)
        return PKI_FAILED;
    if ((error = set_usage(out, subject->role)) != PKI_OK)
        return error;
    return subject->role == PKI_SERVER ? set_hosts(out, subject) : PKI_OK;
}

/* Whose key a certificate is for: the holders keep what the key points into. */
struct key_holder {
    mbedtls_pk_context key;
    mbedtls_x509_csr request;
    mbedtls_x509_crt certificate;
    mbedtls_pk_context *use;
};

/* Tells the three kinds of PEM apart by their first line. */
static int holder_load(const char *pem, struct key_holder *holder)
{
    int error;

    mbedtls_pk_init(&holder->key);
    mbedtls_x509_csr_init(&holder->request);
    mbedtls_x509_crt_init(&holder->certificate);
    if (strstr(pem, "CERTIFICATE REQUEST-----") != NULL) {
        error = load_request(pem, &holder->request);
        holder->use = &holder->request.pk;
    } else if (strstr(pem, "PRIVATE KEY-----") != NULL) {
        error = load_key(pem, &holder->key);
        holder->use = &holder->key;
    } else {
        error = pki_load_certificate(pem, &holder->certificate);
        holder->use = &holder->certificate.pk;
    }
    return error != PKI_OK ? error : check_strength(holder->use);
}

/* Frees all three; two are empty. */
static void holder_free(struct key_holder *holder)
{
    mbedtls_pk_free(&holder->key);
    mbedtls_x509_csr_free(&holder->request);
    mbedtls_x509_crt_free(&holder->certificate);
}

/* Key and certificate are compared first: signing with the wrong key makes
 * certificates that nobody can verify, and nobody would notice here. */
int pki_issuer_load(const char *issuer, const char *issuer_key, mbedtls_x509_crt *crt,
                    mbedtls_pk_context *key, char name[NAME_TEXT_SIZE])
{
    int error = pki_load_certificate(issuer, crt), key_error = load_key(issuer_key, key);

    if (error == PKI_OK)
        error = key_error;
    if (error == PKI_OK && check_pair(&crt->pk, key) != 0)
        error = PKI_MISMATCH;
    if (error == PKI_OK && mbedtls_x509_dn_gets(name, NAME_TEXT_SIZE, &crt->subject) < 0)
        error = PKI_LIMIT;
    return error;
}

/* Self-signed when issuer is NULL. Every exit passes the same frees. */
int pki_sign(const struct pki_subject *subject, const char *from, const char *issuer,
             const char *issuer_key, char out[PKI_PEM_SIZE])
{
    char name[NAME_TEXT_SIZE], issuer_name[NAME_TEXT_SIZE];
    mbedtls_x509write_cert writing;
    mbedtls_x509_crt issuer_crt;
    mbedtls_pk_context signing;
    struct key_holder holder;
    int error;

    mbedtls_x509_crt_init(&issuer_crt);
    mbedtls_pk_init(&signing);
    mbedtls_x509write_crt_init(&writing);
    error = holder_load(from, &holder);
    if (error == PKI_OK)
        error =
            name_text(subject->common_name, subject->organisation, subject->unit, name);
    if (error == PKI_OK && issuer != NULL)
        error = pki_issuer_load(issuer, issuer_key, &issuer_crt, &signing, issuer_name);
    if (error != PKI_OK)
        goto out;

    mbedtls_x509write_crt_set_subject_key(&writing, holder.use);
    mbedtls_x509write_crt_set_issuer_key(&writing,
                                         issuer != NULL ? &signing : holder.use);
    if (mbedtls_x509write_crt_set_subject_name(&writing, name) != 0 ||
        mbedtls_x509write_crt_set_issuer_name(&writing,
                                              issuer != NULL ? issuer_name : name) != 0)
        error = PKI_FAILED;
    if (error == PKI_OK)
        error = fill_certificate(&writing, subject);
    if (error == PKI_OK &&
        mbedtls_x509write_crt_pem(&writing, (unsigned char *)out, PKI_PEM_SIZE,
                                  random_source, NULL) != 0)
        error = PKI_FAILED;
out:
    mbedtls_x509write_crt_free(&writing);
    mbedtls_pk_free(&signing);
    mbedtls_x509_crt_free(&issuer_crt);
    holder_free(&holder);
    return error;
}

/* For the person at the keyboard. */
const char *pki_error_text(int error)
{
    switch (error) {
    case PKI_OK:
        return "no error";
    case PKI_MALFORMED:
        return "not a PEM file of the kind expected here";
    case PKI_WEAK:
        return "key or signature too weak: EC P-256 or P-384 with SHA-256 or SHA-384 is "
               "needed";
    case PKI_UNSIGNED:
        return "the request is not signed by the key it names: it was altered, or its "
               "sender has not got the key";
    case PKI_LIMIT:
        return "too long";
    case PKI_MISMATCH:
        return "key and certificate do not belong together";
    case PKI_INVALID:
        return "a name or host that may not stand in a certificate (a-z, 0-9, '-', '.')";
    default:
        return "the cryptographic library refused";
    }
}
