/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/file.h"
#include "link/tls_watch.h"

#define PEM_FILE_MAX                                                                     \
    (256 * 1024)        /* bytes of a certificate, key or revocation list file */
#define REASON_SIZE 112 /* bytes of mbedTLS's own words */
#define AHEAD_SIZE                                                                       \
    16384 /* bytes taken from the socket at once: many small records a call */

struct tls_session {
    const struct tls_link_config *config; /* not owned */
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_x509_crt ca, cert;
    mbedtls_x509_crl list;
    mbedtls_pk_context key;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;
    bool has_list, done, asked_certificate;
    struct tls_verdict verdict;
    struct tls_watch watch;
    int fd;
    char error[TLS_ERROR_SIZE];
    size_t ahead_start, ahead_end;
    uint8_t ahead[AHEAD_SIZE];
};

/* SHA-2 only, RSA >= 2048, P-256 and P-384: for certificates and for the handshake. */
static const mbedtls_x509_crt_profile profile = {
    .allowed_mds = MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA256) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA384) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_MD_SHA512),
    .allowed_pks = MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSA) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_RSASSA_PSS) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECKEY) |
                   MBEDTLS_X509_ID_FLAG(MBEDTLS_PK_ECDSA),
    .allowed_curves = MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP256R1) |
                      MBEDTLS_X509_ID_FLAG(MBEDTLS_ECP_DP_SECP384R1),
    .rsa_min_bitlen = TLS_RSA_BITS_MIN,
};

/* Ephemeral keys and AEAD alone. ChaCha20 first: boards without AES
 * instructions are the rule, and mbedTLS is faster at it even with them. */
static const int suites[] = {
#if MBEDTLS_VERSION_MAJOR >= 3
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

/* Where 2.28 and 3.6 differ. P-256 stands first: mbedTLS otherwise offers its
 * slowest curves first and doubles its handshake's work. */
#if MBEDTLS_VERSION_MAJOR >= 3

#include <psa/crypto.h>

static void conf_limits(mbedtls_ssl_config *conf)
{
    static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1,
                                      MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1,
                                      MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
    static const uint16_t algorithms[] = {MBEDTLS_TLS1_3_SIG_ECDSA_SECP256R1_SHA256,
                                          MBEDTLS_TLS1_3_SIG_ECDSA_SECP384R1_SHA384,
                                          MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA256,
                                          MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA384,
                                          MBEDTLS_TLS1_3_SIG_RSA_PSS_RSAE_SHA512,
                                          MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA256,
                                          MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA384,
                                          MBEDTLS_TLS1_3_SIG_RSA_PKCS1_SHA512,
                                          MBEDTLS_TLS1_3_SIG_NONE};

    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_groups(conf, groups);
    mbedtls_ssl_conf_sig_algs(conf, algorithms);
}

static int start_library(void)
{
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

static int parse_key(struct tls_session *session, const uint8_t *pem, size_t n)
{
    return mbedtls_pk_parse_key(&session->key, pem, n, NULL, 0, mbedtls_ctr_drbg_random,
                                &session->random);
}

static int check_pair(struct tls_session *session)
{
    return mbedtls_pk_check_pair(&session->cert.pk, &session->key,
                                 mbedtls_ctr_drbg_random, &session->random);
}

/* TLS 1.3 asks for our certificate under encryption, out of the watch's sight;
 * but only when it was asked for does the client come to sign. */
static int handshake(struct tls_session *session)
{
    int rc = 0;

    while (rc == 0 && !mbedtls_ssl_is_handshake_over(&session->ssl)) {
        if (session->ssl.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_CLIENT_CERTIFICATE_VERIFY)
            session->asked_certificate = true;
        rc = mbedtls_ssl_handshake_step(&session->ssl);
    }
    return rc;
}

/* Tickets are not used; 3.6 may report one all the same. */
static bool is_nothing(int rc)
{
    return rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
}

#else

static void conf_limits(mbedtls_ssl_config *conf)
{
    static const mbedtls_ecp_group_id curves[] = {MBEDTLS_ECP_DP_SECP256R1,
                                                  MBEDTLS_ECP_DP_SECP384R1,
                                                  MBEDTLS_ECP_DP_NONE};
    static const int digests[] = {MBEDTLS_MD_SHA256, MBEDTLS_MD_SHA384, MBEDTLS_MD_SHA512,
                                  MBEDTLS_MD_NONE};

    mbedtls_ssl_conf_min_version(conf, MBEDTLS_SSL_MAJOR_VERSION_3,
                                 MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_curves(conf, curves);
    mbedtls_ssl_conf_sig_hashes(conf, digests);
}

static int start_library(void)
{
    return 0;
}

static int parse_key(struct tls_session *session, const uint8_t *pem, size_t n)
{
    return mbedtls_pk_parse_key(&session->key, pem, n, NULL, 0);
}

static int check_pair(struct tls_session *session)
{
    return mbedtls_pk_check_pair(&session->cert.pk, &session->key);
}

static int handshake(struct tls_session *session)
{
    return mbedtls_ssl_handshake(&session->ssl);
}

static bool is_nothing(int rc)
{
    (void)rc;
    return false;
}

#endif

__attribute__((format(printf, 2, 3))) static int say(char error[TLS_ERROR_SIZE],
                                                     const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(error, TLS_ERROR_SIZE, format, arguments);
    va_end(arguments);
    return -1;
}

static const char *reason_of(int rc, char out[REASON_SIZE])
{
    mbedtls_strerror(rc, out, REASON_SIZE);
    return out;
}

/* One PEM file with its final NUL, which mbedTLS wants counted. */
static ssize_t read_pem(const char *path, const char *what, uint8_t **out,
                        char error[TLS_ERROR_SIZE])
{
    ssize_t n = file_read(path, PEM_FILE_MAX, out);

    if (n < 0)
        return say(error, "%s %s: %s", what, path, strerror((int)-n));
    return n + 1;
}

static int load_certificates(mbedtls_x509_crt *into, const char *path, const char *what,
                             char error[TLS_ERROR_SIZE])
{
    uint8_t *pem;
    ssize_t n = read_pem(path, what, &pem, error);
    char reason[REASON_SIZE];
    int rc;

    if (n < 0)
        return -1;
    rc = mbedtls_x509_crt_parse(into, pem, (size_t)n);
    free(pem);
    /* A positive result counts certificates of the file that could not be read: half a CA
     * file is a wrong one. */
    if (rc > 0)
        return say(error, "%s %s: %d of its certificates can't be read", what, path, rc);
    if (rc < 0)
        return say(error, "%s %s: %s", what, path, reason_of(rc, reason));
    return 0;
}

static int load_key(struct tls_session *session, const char *path,
                    char error[TLS_ERROR_SIZE])
{
    struct stat status;
    uint8_t *pem;
    char reason[REASON_SIZE];
    ssize_t n;
    int rc;

    if (stat(path, &status) == 0 && (status.st_mode & (S_IRWXO | S_IWGRP)) != 0)
        return say(error, "own key %s: others may read or change it; chmod 600", path);
    n = read_pem(path, "own key", &pem, error);
    if (n < 0)
        return -1;
    rc = parse_key(session, pem, (size_t)n);
    crypto_wipe(pem, (size_t)n);
    free(pem);
    if (rc != 0)
        return say(error, "own key %s: %s", path, reason_of(rc, reason));
    if (check_pair(session) != 0)
        return say(error, "own key %s does not belong to the certificate", path);
    return 0;
}

/* A missing list is none; one that can't be read is a fault: it may hold the name that
 * matters. */
static int load_list(struct tls_session *session, const char *path,
                     char error[TLS_ERROR_SIZE])
{
    struct stat status;
    uint8_t *pem;
    char reason[REASON_SIZE];
    ssize_t n;
    int rc;

    if (path == NULL || (stat(path, &status) != 0 && errno == ENOENT))
        return 0;
    n = read_pem(path, "revocation list", &pem, error);
    if (n < 0)
        return -1;
    rc = mbedtls_x509_crl_parse(&session->list, pem, (size_t)n);
    free(pem);
    if (rc != 0)
        return say(error, "revocation list %s: %s", path, reason_of(rc, reason));
    session->has_list = true;
    return 0;
}

/* An expired certificate of our own is tried all the same: it is the broker that decides.
 */
static void look_at_own(const struct tls_session *session, struct tls_own *own)
{
    const mbedtls_x509_time *to = &session->cert.valid_to;
    const struct tls_verdict *verdict = &session->verdict;
    int64_t latest_us =
        verdict->now_us > verdict->floor_us ? verdict->now_us : verdict->floor_us;

    own->expiry_us = tls_time_us(to);
    if (own->expiry_us < latest_us)
        say(own->error, "own certificate expired %04d-%02d-%02d", to->year, to->mon,
            to->day);
}

static int load_files(struct tls_session *session, struct tls_own *own,
                      char error[TLS_ERROR_SIZE])
{
    const struct tls_link_config *config = session->config;

    if (load_certificates(&session->cert, config->cert_file, "own certificate", error) !=
        0)
        return -1;
    look_at_own(session, own);
    if (load_key(session, config->key_file, error) != 0 ||
        load_certificates(&session->ca, config->ca_file, "CA", error) != 0 ||
        load_list(session, config->crl_file, error) != 0)
        return -1;
    return 0;
}

static int bio_send(void *context, const unsigned char *bytes, size_t n)
{
    struct tls_session *session = context;
    ssize_t sent = send(session->fd, bytes, n, MSG_NOSIGNAL);

    if (sent >= 0)
        return (int)sent;
    if (errno == EAGAIN || errno == EINTR)
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    return errno == EPIPE || errno == ECONNRESET ? MBEDTLS_ERR_NET_CONN_RESET
                                                 : MBEDTLS_ERR_NET_SEND_FAILED;
}

/* mbedTLS asks for a record's 5-byte header and then for its body; a broker
 * sends a record for each PUBACK. Reading ahead makes one call of forty. */
static int bio_receive(void *context, unsigned char *out, size_t n)
{
    struct tls_session *session = context;
    size_t left = session->ahead_end - session->ahead_start;

    if (left == 0) {
        ssize_t got = recv(session->fd, session->ahead, sizeof(session->ahead), 0);

        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return MBEDTLS_ERR_SSL_WANT_READ;
        if (got < 0)
            return errno == ECONNRESET ? MBEDTLS_ERR_NET_CONN_RESET
                                       : MBEDTLS_ERR_NET_RECV_FAILED;
        if (!session->done)
            tls_watch_feed(&session->watch, session->ahead, (size_t)got);
        session->ahead_start = 0;
        session->ahead_end = left = (size_t)got;
    }
    if (n > left)
        n = left;
    memcpy(out, session->ahead + session->ahead_start, n);
    session->ahead_start += n;
    return (int)n;
}

static int set_up(struct tls_session *session, char error[TLS_ERROR_SIZE])
{
    mbedtls_ssl_config *conf = &session->conf;
    uint8_t address[16];
    const char *host = session->config->host;
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    char reason[REASON_SIZE];
    int rc = mbedtls_ssl_config_defaults(conf, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);

    if (rc == 0)
        rc = mbedtls_ssl_conf_own_cert(conf, &session->cert, &session->key);
    if (rc != 0)
        return say(error, "TLS: %s", reason_of(rc, reason));
    conf_limits(conf);
    mbedtls_ssl_conf_ciphersuites(conf, suites);
    mbedtls_ssl_conf_cert_profile(conf, &profile);
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(conf, &session->ca,
                              session->has_list ? &session->list : NULL);
    mbedtls_ssl_conf_verify(conf, tls_verify, &session->verdict);
    mbedtls_ssl_conf_rng(conf, mbedtls_ctr_drbg_random, &session->random);
    mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    mbedtls_ssl_conf_renegotiation(conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    rc = mbedtls_ssl_setup(&session->ssl, conf);
    /* For SNI only, which knows no addresses: tls_verify judges the name. */
    if (rc == 0)
        rc = mbedtls_ssl_set_hostname(&session->ssl, is_address ? NULL : host);
    if (rc != 0)
        return say(error, "TLS: %s", reason_of(rc, reason));
    mbedtls_ssl_set_bio(&session->ssl, session, bio_send, bio_receive, NULL);
    return 0;
}

int tls_session_new(const struct tls_link_config *config, int64_t floor_us,
                    int64_t now_us, struct tls_session **out, struct tls_own *own,
                    char error[TLS_ERROR_SIZE])
{
    struct tls_session *session = calloc(1, sizeof(*session));

    memset(own, 0, sizeof(*own));
    if (session == NULL)
        return say(error, "TLS: out of memory");
    session->config = config;
    mbedtls_ssl_init(&session->ssl);
    mbedtls_ssl_config_init(&session->conf);
    mbedtls_x509_crt_init(&session->ca);
    mbedtls_x509_crt_init(&session->cert);
    mbedtls_x509_crl_init(&session->list);
    mbedtls_pk_init(&session->key);
    mbedtls_entropy_init(&session->entropy);
    mbedtls_ctr_drbg_init(&session->random);
    session->verdict.host = config->host;
    session->verdict.now_us = now_us;
    session->verdict.floor_us = floor_us;
    if (start_library() != 0 ||
        mbedtls_ctr_drbg_seed(&session->random, mbedtls_entropy_func, &session->entropy,
                              NULL, 0) != 0) {
        say(error, "TLS: no random numbers");
        goto err0;
    }
    if (load_files(session, own, error) != 0)
        goto err0;
    session->verdict.list = session->has_list ? &session->list : NULL;
    if (set_up(session, error) != 0)
        goto err0;
    *out = session;
    return 0;

err0:
    tls_session_free(session);
    return -1;
}

void tls_session_free(struct tls_session *session)
{
    if (session == NULL)
        return;
    mbedtls_ssl_free(&session->ssl);
    mbedtls_ssl_config_free(&session->conf);
    mbedtls_x509_crt_free(&session->ca);
    mbedtls_x509_crt_free(&session->cert);
    mbedtls_x509_crl_free(&session->list);
    mbedtls_pk_free(&session->key);
    mbedtls_ctr_drbg_free(&session->random);
    mbedtls_entropy_free(&session->entropy);
    crypto_wipe(session->ahead, sizeof(session->ahead));
    free(session);
}

static const char *version_name(uint16_t version)
{
    return version == 0x0300   ? "SSL 3.0"
           : version == 0x0301 ? "TLS 1.0"
           : version == 0x0302 ? "TLS 1.1"
                               : "an unknown version";
}

/* How far the peer came before it fell silent or went away. */
static const char *progress_words(const struct tls_watch *watch, char out[REASON_SIZE])
{
    if (watch->seen == 0)
        snprintf(out, REASON_SIZE, "it said nothing");
    else
        snprintf(out, REASON_SIZE, "after %zu bytes", watch->seen);
    return out;
}

static void explain_stranger(struct tls_session *session)
{
    const struct tls_watch *watch = &session->watch;
    char hex[3 * TLS_WATCH_FIRST + 1] = "";

    for (size_t i = 0; i < watch->seen && i < TLS_WATCH_FIRST; i++)
        snprintf(hex + 3 * i, sizeof(hex) - 3 * i, " %02x", watch->first[i]);
    say(session->error, "peer does not speak TLS: its first bytes are%s", hex);
}

/* A peer that refuses our certificate sends its alert and closes while we are
 * still writing: the write fails, and the alert waits to be read. */
static void hear_last_words(struct tls_session *session)
{
    ssize_t got;

    while ((got = recv(session->fd, session->ahead, sizeof(session->ahead),
                       MSG_DONTWAIT)) > 0)
        tls_watch_feed(&session->watch, session->ahead, (size_t)got);
}

/* mbedTLS adds a low-level code to a high-level one; those of X.509 parsing lie here. */
static bool is_unreadable_certificate(int rc)
{
    int high = -rc & 0xff80;

    return high >= 0x2080 && high <= 0x2980 && rc != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

/* The first of these that holds is what an engineer can act on. */
static void explain(struct tls_session *session, int rc)
{
    const struct tls_watch *watch = &session->watch;
    bool gone = rc == MBEDTLS_ERR_SSL_CONN_EOF || rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    bool broken = rc == MBEDTLS_ERR_NET_CONN_RESET || rc == MBEDTLS_ERR_NET_SEND_FAILED;
    char words[REASON_SIZE];

    if (broken)
        hear_last_words(session);

    if (session->verdict.error[0] != '\0')
        say(session->error, "%s", session->verdict.error);
    else if (watch->not_tls)
        explain_stranger(session);
    else if (watch->server_version != 0 && watch->server_version < 0x0303)
        say(session->error, "peer speaks %s; TLS 1.2 is the least",
            version_name(watch->server_version));
    else if ((broken || rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) && watch->alerted)
        say(session->error, "peer refused the handshake: alert %s (%d)",
            tls_alert_name(watch->alert), watch->alert);
    else if (gone)
        say(session->error, "peer closed the connection during the handshake: %s",
            progress_words(watch, words));
    else if (broken)
        say(session->error, "peer reset the connection during the handshake: %s",
            progress_words(watch, words));
    else if (is_unreadable_certificate(rc))
        say(session->error, "peer's certificate can't be read: %s", reason_of(rc, words));
    else if (rc == MBEDTLS_ERR_X509_FATAL_ERROR)
        say(session->error, "chain of certificates is longer than %d", TLS_CHAIN_MAX);
    else
        say(session->error, "handshake failed: %s", reason_of(rc, words));
}

void tls_session_stalled(struct tls_session *session, uint32_t after_ms)
{
    char words[REASON_SIZE];

    say(session->error, "peer did not finish the handshake in %u ms: %s", after_ms,
        progress_words(&session->watch, words));
}

enum tls_step tls_session_handshake(struct tls_session *session, int fd)
{
    int rc;

    session->fd = fd;
    rc = handshake(session);
    if (rc == MBEDTLS_ERR_SSL_WANT_READ)
        return TLS_WANT_READ;
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return TLS_WANT_WRITE;
    if (rc != 0) {
        explain(session, rc);
        return TLS_FAILED;
    }
    /* Belt and braces: REQUIRED has already made any fault a failure. */
    if (session->verdict.error[0] != '\0' ||
        mbedtls_ssl_get_verify_result(&session->ssl) != 0) {
        explain(session, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        return TLS_FAILED;
    }
    /* A broker that asks nobody for a certificate lets anybody in. */
    if (!session->watch.asked_certificate && !session->asked_certificate) {
        say(session->error,
            "peer did not ask for our certificate (broker: require_certificate true)");
        return TLS_FAILED;
    }
    session->done = true;
    return TLS_DONE;
}

static ssize_t step_of(struct tls_session *session, int rc)
{
    char reason[REASON_SIZE];

    if (rc > 0)
        return rc;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || is_nothing(rc))
        return TLS_WANT_READ;
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return TLS_WANT_WRITE;
    if (rc == 0 || rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return TLS_DONE;
    say(session->error, "connection lost: %s", reason_of(rc, reason));
    return TLS_FAILED;
}

ssize_t tls_session_read(struct tls_session *session, uint8_t *out, size_t size)
{
    int rc;

    do
        rc = mbedtls_ssl_read(&session->ssl, out, size);
    while (is_nothing(rc));
    return step_of(session, rc);
}

ssize_t tls_session_write(struct tls_session *session, const uint8_t *bytes, size_t n)
{
    return step_of(session, mbedtls_ssl_write(&session->ssl, bytes, n));
}

void tls_session_goodbye(struct tls_session *session)
{
    if (session->done)
        mbedtls_ssl_close_notify(&session->ssl);
}

const char *tls_session_error(const struct tls_session *session)
{
    return session->error;
}

void tls_session_describe(const struct tls_session *session,
                          struct tls_link_status *status)
{
    const char *version = mbedtls_ssl_get_version(&session->ssl);
    const char *suite = mbedtls_ssl_get_ciphersuite(&session->ssl);

    snprintf(status->peer, sizeof(status->peer), "%s", session->verdict.peer);
    status->peer_expiry_utc_us = session->verdict.peer_expiry_us;
    snprintf(status->version, sizeof(status->version), "%s",
             version != NULL ? version : "");
    snprintf(status->suite, sizeof(status->suite), "%s", suite != NULL ? suite : "");
}
