/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation lists (RFC 5280 section 5), which the library reads but does not write.
 */
#include <stdlib.h>
#include <string.h>

#include "base/pki_internal.h"

/* Steps that write backwards: a negative result sticks, a length is added up. */
struct der {
    unsigned char *at, *start;
    int error;
};

/* Keeps the first error; later steps see it and do nothing. */
static void der_count(struct der *der, int result)
{
    if (result < 0 && der->error == 0)
        der->error = result;
}

/* Puts tag and length before everything written since end. */
static void der_wrap(struct der *der, const unsigned char *end, unsigned char tag)
{
    if (der->error == 0)
        der_count(der,
                  mbedtls_asn1_write_len(&der->at, der->start, (size_t)(end - der->at)));
    if (der->error == 0)
        der_count(der, mbedtls_asn1_write_tag(&der->at, der->start, tag));
}

/* Bytes as they are. */
static void der_raw(struct der *der, const void *bytes, size_t n)
{
    if (der->error == 0)
        der_count(der, mbedtls_asn1_write_raw_buffer(&der->at, der->start, bytes, n));
}

#define SEQUENCE (MBEDTLS_ASN1_CONSTRUCTED | MBEDTLS_ASN1_SEQUENCE)

/* UTCTime up to 2049, GeneralizedTime after, as RFC 5280 has it. */
static void der_time(struct der *der, int64_t us)
{
    char text[TIME_TEXT_SIZE + 1];
    const unsigned char *end = der->at;
    bool two_digits;

    pki_time_text(us, text);
    two_digits = strncmp(text, "2050", 4) < 0 && strncmp(text, "1950", 4) >= 0;
    memcpy(text + strlen(text), "Z", 2);
    der_raw(der, text + (two_digits ? 2 : 0), strlen(text) - (two_digits ? 2 : 0));
    der_wrap(der, end,
             two_digits ? MBEDTLS_ASN1_UTC_TIME : MBEDTLS_ASN1_GENERALIZED_TIME);
}

/* An unsigned big-endian number as INTEGER. */
static void der_integer(struct der *der, const uint8_t *bytes, size_t n)
{
    const unsigned char *end = der->at;

    while (n > 1 &&
           bytes[0] == 0) { /* shortest form, but never one that reads as negative */
        bytes++;
        n--;
    }
    der_raw(der, bytes, n);
    if (bytes[0] >= 0x80)
        der_raw(der, "", 1);
    der_wrap(der, end, MBEDTLS_ASN1_INTEGER);
}

static void der_algorithm(struct der *der)
{
    const unsigned char *end = der->at;

    if (der->error == 0) /* no parameters: RFC 5758 3.2 */
        der_count(der,
                  mbedtls_asn1_write_oid(&der->at, der->start, MBEDTLS_OID_ECDSA_SHA256,
                                         MBEDTLS_OID_SIZE(MBEDTLS_OID_ECDSA_SHA256)));
    der_wrap(der, end, SEQUENCE);
}

/* crlExtensions: the CRL number, by which readers tell the newer of two lists. */
static void der_number(struct der *der, uint64_t number)
{
    uint8_t bytes[8];
    const unsigned char *end = der->at;

    for (int i = 7; i >= 0; i--, number >>= 8)
        bytes[i] = (uint8_t)number;
    der_integer(der, bytes, sizeof(bytes));
    der_wrap(der, end, MBEDTLS_ASN1_OCTET_STRING);
    if (der->error == 0)
        der_count(der, mbedtls_asn1_write_oid(&der->at, der->start, "\x55\x1d\x14",
                                              3)); /* id-ce-cRLNumber */
    der_wrap(der, end, SEQUENCE);
    der_wrap(der, end, SEQUENCE);
    der_wrap(der, end, MBEDTLS_ASN1_CONTEXT_SPECIFIC | MBEDTLS_ASN1_CONSTRUCTED);
}

/* Written from the last to the first, so that they stand in the order given. */
static void der_revoked(struct der *der, const struct pki_revoked *revoked, size_t count)
{
    const unsigned char *end = der->at;

    if (count == 0) /* the field is then absent */
        return;
    for (size_t i = count; i-- > 0;) {
        const unsigned char *entry = der->at;
        der_time(der, revoked[i].when_us);
        der_integer(der, revoked[i].serial, PKI_SERIAL_SIZE);
        der_wrap(der, entry, SEQUENCE);
    }
    der_wrap(der, end, SEQUENCE);
}

/* Signs what stands at der and puts the signature behind it: the whole is assembled in
 * out, DER. Returns its size, or a negative pki_error. */
static int sign_list(mbedtls_pk_context *key, const unsigned char *list, size_t n,
                     unsigned char *out, size_t capacity, unsigned char **begin)
{
    struct der der = {out + capacity, out, 0};
    uint8_t hash[DIGEST_SIZE], signature[MBEDTLS_PK_SIGNATURE_MAX_SIZE];
    const unsigned char *end = der.at;
    size_t size;

    if (crypto_sha256(list, n, hash) != CRYPTO_OK ||
        pki_sign_hash(key, hash, signature, sizeof(signature), &size) != 0)
        return PKI_FAILED;
    der_raw(&der, signature, size);
    der_raw(&der, "", 1); /* no unused bits */
    der_wrap(&der, end, MBEDTLS_ASN1_BIT_STRING);
    der_algorithm(&der);
    der_raw(&der, list, n);
    der_wrap(&der, end, SEQUENCE);
    *begin = der.at;
    return der.error == 0 ? (int)(end - der.at) : PKI_LIMIT;
}

/* From the last field to the first, as everything in this file. */
int pki_revocations(const char *issuer, const char *issuer_key, uint64_t number,
                    int64_t this_us, int64_t next_us, const struct pki_revoked *revoked,
                    size_t count, char *out, size_t capacity)
{
    char name[NAME_TEXT_SIZE];
    unsigned char *inner = malloc(PKI_CRL_SIZE), *outer = malloc(PKI_CRL_SIZE), *begin;
    struct der der = {inner + PKI_CRL_SIZE, inner,
                      inner == NULL || outer == NULL ? -1 : 0};
    const unsigned char *end = der.at;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    size_t written;
    int n, error;

    error = pki_issuer_load(issuer, issuer_key, &crt, &key, name);
    if (error == PKI_OK && der.error != 0)
        error = PKI_LIMIT;
    if (error != PKI_OK)
        goto out;

    der_number(&der, number);
    der_revoked(&der, revoked, count);
    der_time(&der, next_us);
    der_time(&der, this_us);
    der_raw(&der, crt.subject_raw.p, crt.subject_raw.len);
    der_algorithm(&der);
    der_integer(&der, (const uint8_t *)"\x01", 1); /* v2 */
    der_wrap(&der, end, SEQUENCE);
    if (der.error != 0) {
        error = PKI_LIMIT;
        goto out;
    }
    n = sign_list(&key, der.at, (size_t)(end - der.at), outer, PKI_CRL_SIZE, &begin);
    if (n < 0)
        error = n;
    else if (mbedtls_pem_write_buffer("-----BEGIN X509 CRL-----\n",
                                      "-----END X509 CRL-----\n", begin, (size_t)n,
                                      (unsigned char *)out, capacity, &written) != 0)
        error = PKI_LIMIT;
out:
    mbedtls_pk_free(&key);
    mbedtls_x509_crt_free(&crt);
    free(outer);
    free(inner);
    return error;
}

/* What another reader would check: shape, issuer, signature. Not the dates: ours is
 * valid for decades. */
int pki_revocations_check(const char *list, const char *issuer, size_t *count)
{
    mbedtls_x509_crl crl;
    mbedtls_x509_crt crt;
    uint8_t hash[DIGEST_SIZE];
    int error = pki_load_certificate(issuer, &crt);

    mbedtls_x509_crl_init(&crl);
    if (error == PKI_OK &&
        mbedtls_x509_crl_parse(&crl, (const unsigned char *)list, strlen(list) + 1) != 0)
        error = PKI_MALFORMED;
    if (error == PKI_OK &&
        (crl.issuer_raw.len != crt.subject_raw.len ||
         memcmp(crl.issuer_raw.p, crt.subject_raw.p, crt.subject_raw.len) != 0))
        error = PKI_MISMATCH;
    if (error == PKI_OK && crl.MBEDTLS_PRIVATE(sig_md) != MBEDTLS_MD_SHA256)
        error = PKI_WEAK;
    if (error == PKI_OK && crypto_sha256(crl.tbs.p, crl.tbs.len, hash) != CRYPTO_OK)
        error = PKI_FAILED;
    if (error == PKI_OK &&
        mbedtls_pk_verify(&crt.pk, MBEDTLS_MD_SHA256, hash, DIGEST_SIZE,
                          crl.MBEDTLS_PRIVATE(sig).p, crl.MBEDTLS_PRIVATE(sig).len) != 0)
        error = PKI_UNSIGNED;
    *count = 0;
    if (error == PKI_OK)
        for (const mbedtls_x509_crl_entry *e = &crl.entry; e != NULL && e->raw.len != 0;
             e = e->next)
            ++*count;
    mbedtls_x509_crl_free(&crl);
    mbedtls_x509_crt_free(&crt);
    return error;
}
