/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls_verify.h"

#include <arpa/inet.h>
#include <mbedtls/md.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crl.h>
#include <mbedtls/x509_crt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/zone.h"

/* 3.x marks some fields private without giving a function for each. */
#ifndef MBEDTLS_PRIVATE
#define MBEDTLS_PRIVATE(member) member
#endif

#define SAN_DNS_NAME   (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 2)
#define SAN_IP_ADDRESS (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7)
#define WORDS_SIZE     64 /* bytes of a name inside an error text */

/* 2.5.29.30 nameConstraints, as it stands in an extension. */
static const uint8_t name_constraints[] = {0x06, 0x03, 0x55, 0x1d, 0x1e};

/* The gravest fault is told: a stranger's certificate is not first of all an
 * expired one. */
enum gravity {
    GRAVITY_TRUST = 1,
    GRAVITY_REVOKED,
    GRAVITY_CHAIN,
    GRAVITY_KEY,
    GRAVITY_SIGNATURE,
    GRAVITY_USAGE,
    GRAVITY_TIME,
    GRAVITY_NAME,
    GRAVITY_OTHER,
};

/* Keeps the words of a fault unless a graver one, or one higher up in the
 * chain, has been found before. */
__attribute__((format(printf, 3, 4))) static void
fault(struct tls_verdict *verdict, enum gravity gravity, const char *format, ...)
{
    va_list arguments;

    if (verdict->error[0] != '\0' && verdict->gravity <= (int)gravity)
        return;
    verdict->gravity = (int)gravity;
    va_start(arguments, format);
    vsnprintf(verdict->error, sizeof(verdict->error), format, arguments);
    va_end(arguments);
}

/* Names come from outside: what is not plain ASCII becomes '?', so that no
 * terminal obeys it and a look-alike letter shows. */
static size_t append_printable(char *out, size_t size, size_t at,
                               const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n && at + 1 < size; i++)
        out[at++] = (char)(bytes[i] > 0x20 && bytes[i] < 0x7f ? bytes[i]
                           : bytes[i] == ' '                  ? ' '
                                                              : '?');
    out[at] = '\0';
    return at;
}

/* The common name of a subject or issuer. It decides nothing; it is what people
 * call a certificate. */
static const char *name_words(const mbedtls_x509_name *name, char *out, size_t size)
{
    for (; name != NULL; name = name->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0) {
            append_printable(out, size, 0, name->val.p, name->val.len);
            return out;
        }
    }
    append_printable(out, size, 0, (const unsigned char *)"(no common name)", 16);
    return out;
}

/* For error texts and the status; nothing is decided by it. */
const char *tls_subject(const mbedtls_x509_crt *certificate, char *out, size_t size)
{
    return name_words(&certificate->subject, out, size);
}

/* mbedTLS has parsed the digits; whether they are a date is judged here. What
 * is none lies before every other time, and so has expired. */
int64_t tls_time_us(const mbedtls_x509_time *time)
{
    struct civil civil = {
        .year = time->year,
        .month = (uint8_t)time->mon,
        .day = (uint8_t)time->day,
        .hour = (uint8_t)time->hour,
        .minute = (uint8_t)time->min,
        .second = (uint8_t)time->sec,
    };
    int64_t utc_us;

    return civil_to_utc(&civil, &utc_us) ? utc_us : INT64_MIN;
}

/* Two DER encodings of a name, or of anything, that are equal byte for byte.
 * Stricter than X.509 asks, and never wrong about it. */
static bool same_name(const mbedtls_x509_buf *a, const mbedtls_x509_buf *b)
{
    return a->len == b->len && memcmp(a->p, b->p, a->len) == 0;
}

/* Bytes of an address as an iPAddress holds them; 0 if host is a name. */
static size_t host_address(const char *host, uint8_t address[16])
{
    if (inet_pton(AF_INET, host, address) == 1)
        return 4;
    return inet_pton(AF_INET6, host, address) == 1 ? 16 : 0;
}

/* Whole names and whole addresses. A NUL inside a name would end it for a
 * program that takes it for a C string; there is no host with one, so it never
 * matches. A wildcard matches only a host that is called "*", and there the
 * last test stands. */
bool tls_host_matches(const mbedtls_x509_crt *certificate, const char *host)
{
    uint8_t address[16];
    size_t address_size = host_address(host, address), n = strlen(host);

    if (certificate->subject_alt_names.buf.p == NULL)
        return false;
    for (const mbedtls_x509_sequence *at = &certificate->subject_alt_names; at != NULL;
         at = at->next) {
        const mbedtls_x509_buf *name = &at->buf;

        if (address_size > 0) {
            if (name->tag == SAN_IP_ADDRESS && name->len == address_size &&
                memcmp(name->p, address, address_size) == 0)
                return true;
        } else if (name->tag == SAN_DNS_NAME && name->len == n &&
                   memchr(name->p, '\0', name->len) == NULL &&
                   strncasecmp((const char *)name->p, host, n) == 0 &&
                   memchr(host, '*', n) == NULL) {
            return true;
        }
    }
    return false;
}

/* "a.example, 10.0.0.1": what the certificate is for. */
static const char *san_words(const mbedtls_x509_crt *certificate, char *out, size_t size)
{
    size_t at = append_printable(out, size, 0, NULL, 0);
    char address[INET6_ADDRSTRLEN];

    for (const mbedtls_x509_sequence *san = &certificate->subject_alt_names; san != NULL;
         san = san->next) {
        const mbedtls_x509_buf *name = &san->buf;
        int family = name->len == 4 ? AF_INET : AF_INET6;

        if (name->p == NULL || (name->tag != SAN_DNS_NAME && name->tag != SAN_IP_ADDRESS))
            continue;
        if (at > 0)
            at = append_printable(out, size, at, (const unsigned char *)", ", 2);
        if (name->tag == SAN_DNS_NAME)
            at = append_printable(out, size, at, name->p, name->len);
        else if ((name->len == 4 || name->len == 16) &&
                 inet_ntop(family, name->p, address, sizeof(address)) != NULL)
            at = append_printable(out, size, at, (const unsigned char *)address,
                                  strlen(address));
    }
    if (at == 0)
        append_printable(out, size, 0, (const unsigned char *)"no host at all", 14);
    return out;
}

/* An issuer that is in sight but may not sign tells more than "not signed by". */
static void judge_trust(struct tls_verdict *verdict, const mbedtls_x509_crt *certificate,
                        const char *who)
{
    const mbedtls_x509_crt *issuer = certificate->next;
    char by[WORDS_SIZE];

    name_words(&certificate->issuer, by, sizeof(by));
    if (same_name(&certificate->issuer_raw, &certificate->subject_raw)) {
        fault(verdict, GRAVITY_TRUST,
              "certificate of %s is self-signed, not signed by our CA", who);
        return;
    }
    while (issuer != NULL && !same_name(&issuer->subject_raw, &certificate->issuer_raw))
        issuer = issuer->next;
    if (issuer != NULL && !issuer->MBEDTLS_PRIVATE(ca_istrue))
        fault(verdict, GRAVITY_TRUST, "certificate of %s is signed by %s, which is no CA",
              who, by);
    else if (issuer != NULL &&
             mbedtls_x509_crt_check_key_usage(issuer, MBEDTLS_X509_KU_KEY_CERT_SIGN) != 0)
        fault(verdict, GRAVITY_TRUST,
              "certificate of %s is signed by %s, which may not sign", who, by);
    else if (issuer != NULL)
        fault(verdict, GRAVITY_TRUST,
              "certificate of %s is not properly signed by %s, or too deep below it", who,
              by);
    else
        fault(verdict, GRAVITY_TRUST,
              "certificate of %s is not signed by our CA (its issuer: %s)", who, by);
}

/* What mbedTLS found, in words. */
static void judge_flags(struct tls_verdict *verdict, const mbedtls_x509_crt *certificate,
                        const char *who, uint32_t flags)
{
    const mbedtls_md_info_t *md =
        mbedtls_md_info_from_type(certificate->MBEDTLS_PRIVATE(sig_md));
    const uint32_t bad_list = MBEDTLS_X509_BADCRL_NOT_TRUSTED |
                              MBEDTLS_X509_BADCRL_BAD_MD | MBEDTLS_X509_BADCRL_BAD_PK |
                              MBEDTLS_X509_BADCRL_BAD_KEY;

    if (flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED)
        judge_trust(verdict, certificate, who);
    if (flags & MBEDTLS_X509_BADCERT_REVOKED)
        fault(verdict, GRAVITY_REVOKED, "certificate of %s is revoked", who);
    if (flags & bad_list)
        fault(verdict, GRAVITY_CHAIN, "revocation list for %s is not properly signed",
              who);
    if (flags & (MBEDTLS_X509_BADCERT_BAD_KEY | MBEDTLS_X509_BADCERT_BAD_PK))
        fault(verdict, GRAVITY_KEY,
              "key of %s or of its issuer is too weak: RSA 2048, P-256 or P-384 is the "
              "least",
              who);
    if (flags & MBEDTLS_X509_BADCERT_BAD_MD)
        fault(verdict, GRAVITY_SIGNATURE,
              "certificate of %s is signed with %s, SHA-256 is the least", who,
              md != NULL ? mbedtls_md_get_name(md) : "an unknown digest");
    if (flags & MBEDTLS_X509_BADCERT_KEY_USAGE)
        fault(verdict, GRAVITY_USAGE, "certificate of %s may not be used to sign", who);
    if (flags != 0)
        fault(verdict, GRAVITY_OTHER, "certificate of %s is not acceptable (0x%x)", who,
              (unsigned)flags);
}

/* A clock below the floor is wrong, and the true time is later than the floor:
 * what had expired by then has expired now. But it can't tell what is not yet
 * valid, and a board that boots in 1970 has to connect before its clock is set. */
static void judge_time(struct tls_verdict *verdict, const mbedtls_x509_crt *certificate,
                       const char *who)
{
    int64_t latest_us =
        verdict->now_us > verdict->floor_us ? verdict->now_us : verdict->floor_us;
    const mbedtls_x509_time *from = &certificate->valid_from,
                            *to = &certificate->valid_to;

    if (tls_time_us(to) < latest_us)
        fault(verdict, GRAVITY_TIME, "certificate of %s expired %04d-%02d-%02d", who,
              to->year, to->mon, to->day);
    else if (tls_time_us(from) > verdict->now_us && verdict->now_us >= verdict->floor_us)
        fault(verdict, GRAVITY_TIME,
              "certificate of %s is not valid before %04d-%02d-%02d", who, from->year,
              from->mon, from->day);
}

/* mbedTLS judges keys by the profile too, but its flag does not say whose key:
 * the words here do, and come first. */
static void judge_key(struct tls_verdict *verdict, mbedtls_x509_crt *certificate,
                      const char *who)
{
    mbedtls_pk_context *key = &certificate->pk; /* 2.28 wants it so */
    size_t bits = mbedtls_pk_get_bitlen(key);

    if (mbedtls_pk_can_do(key, MBEDTLS_PK_RSA) && bits < TLS_RSA_BITS_MIN)
        fault(verdict, GRAVITY_KEY,
              "key of %s is too weak: RSA with %zu bits, 2048 is the least", who, bits);
    else if (mbedtls_pk_can_do(key, MBEDTLS_PK_ECKEY) && bits != 256 && bits != 384)
        fault(verdict, GRAVITY_KEY,
              "key of %s is on a %zu-bit curve, only P-256 and P-384 are accepted", who,
              bits);
}

/* mbedTLS takes a missing extension, and "any usage", for leave; we don't. */
static bool is_server(const mbedtls_x509_crt *certificate)
{
    if (certificate->ext_key_usage.buf.p == NULL)
        return false;
    for (const mbedtls_x509_sequence *at = &certificate->ext_key_usage; at != NULL;
         at = at->next)
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_SERVER_AUTH, &at->buf) == 0)
            return true;
    return false;
}

/* A list that exists has to cover the issuer of the peer. One that is there for
 * another CA only is a mistake of the site that would otherwise switch
 * revocation off without a word. */
static bool has_list(const struct tls_verdict *verdict,
                     const mbedtls_x509_crt *certificate)
{
    for (const mbedtls_x509_crl *list = verdict->list; list != NULL; list = list->next)
        if (same_name(&list->issuer_raw, &certificate->issuer_raw))
            return true;
    return false;
}

/* Only of the peer's own certificate. */
static void judge_leaf(struct tls_verdict *verdict, const mbedtls_x509_crt *certificate,
                       const char *who)
{
    char words[WORDS_SIZE];

    if (verdict->deepest == 0)
        fault(verdict, GRAVITY_TRUST,
              "certificate of %s is self-signed, not signed by our CA", who);
    if (verdict->list != NULL && !has_list(verdict, certificate))
        fault(verdict, GRAVITY_CHAIN, "no revocation list of %s, the issuer of %s",
              name_words(&certificate->issuer, words, sizeof(words)), who);
    if (!is_server(certificate))
        fault(verdict, GRAVITY_USAGE,
              "certificate of %s is not for a server (extended key usage)", who);
    if (!tls_host_matches(certificate, verdict->host))
        fault(verdict, GRAVITY_NAME, "name mismatch: certificate is for %s, not %s",
              san_words(certificate, words, sizeof(words)), verdict->host);
    mbedtls_x509_dn_gets(verdict->peer, sizeof(verdict->peer), &certificate->subject);
    verdict->peer_expiry_us = tls_time_us(&certificate->valid_to);
}

int tls_verify(void *context, mbedtls_x509_crt *certificate, int depth, uint32_t *flags)
{
    const uint32_t ours = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE |
                          MBEDTLS_X509_BADCERT_CN_MISMATCH | MBEDTLS_X509_BADCRL_EXPIRED |
                          MBEDTLS_X509_BADCRL_FUTURE;
    struct tls_verdict *verdict = context;
    const mbedtls_x509_buf *extensions = &certificate->v3_ext;
    char who[WORDS_SIZE];

    /* mbedTLS calls this for each certificate from the CA down to the peer's, so
     * the faults of the chain come before those of its end. */
    tls_subject(certificate, who, sizeof(who));
    if (depth > verdict->deepest)
        verdict->deepest = depth;
    /* A list out of date still revokes all that it names. To refuse every broker
     * because nobody renewed a list would end the ward's record for a mistake that
     * is not the broker's. */
    if (*flags & MBEDTLS_X509_BADCRL_EXPIRED)
        verdict->stale_list = true;
    *flags &= ~ours;
    judge_key(verdict, certificate, who);
    judge_flags(verdict, certificate, who, *flags);
    if (depth >= TLS_CHAIN_MAX)
        fault(verdict, GRAVITY_CHAIN, "chain of certificates is longer than %d",
              TLS_CHAIN_MAX);
    /* mbedTLS does not judge name constraints; a CA that has them is beyond us. */
    if (depth > 0 && extensions->p != NULL &&
        memmem(extensions->p, extensions->len, name_constraints,
               sizeof(name_constraints)) != NULL)
        fault(verdict, GRAVITY_CHAIN,
              "CA %s has name constraints, which are not supported", who);
    judge_time(verdict, certificate, who);
    if (depth == 0)
        judge_leaf(verdict, certificate, who);
    if (verdict->error[0] != '\0')
        *flags |= MBEDTLS_X509_BADCERT_OTHER;
    return 0;
}
