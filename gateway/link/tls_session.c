/* SPDX-License-Identifier: Apache-2.0 */
#include "link/tls_session.h"

#include <arpa/inet.h>
#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "link/tls_watch.h"

#define AHEAD_SIZE 16384 /* bytes taken from the socket at once: many small records */

/* All of one session; freed and made anew for the next. */
struct tls_session {
    const struct tls_link_config *config; /* not owned */
    struct tls_files *files;
    mbedtls_ssl_context ssl;
    mbedtls_ssl_config conf;
    mbedtls_entropy_context entropy;
    mbedtls_ctr_drbg_context random;

    struct tls_verdict verdict; /* on the peer's certificates */
    struct tls_watch watch;     /* on the peer's bytes, until the handshake is done */
    bool asked_certificate;     /* it asked for ours under encryption (TLS 1.3) */
    bool done;
    char error[TLS_ERROR_SIZE];

    int fd;                        /* not owned */
    size_t ahead_start, ahead_end; /* what was read from it and not yet taken */
    bool dry; /* the last reading got less than it asked for: another would get nothing */
    uint8_t ahead[AHEAD_SIZE];
};

/* What certificates may be made of. tls_verify says the same in words, and more. */
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

/*
 * Where 2.28 and 3.6 differ: two sets of the same functions.
 *
 * conf_limits: TLS 1.2 at least, SHA-2, and the curves that a certificate may
 * have. P-256 stands first: mbedTLS otherwise offers its slowest curves first,
 * which doubles the work of a handshake (measured, 14.4 against 8.0 ms).
 */
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

/* TLS 1.3 does its arithmetic in PSA, which wants to be started; a second
 * start is nothing. */
static int start_library(void)
{
    return psa_crypto_init() == PSA_SUCCESS ? 0 : -1;
}

/* One turn. TLS 1.3 asks for our certificate under encryption, out of the
 * watch's sight; but only if it was asked for does the client come to sign. */
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

/* Tickets are switched off; 3.6 may report one all the same. */
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

/* mbedTLS's way out. A signal in between is an ordinary "not now". */
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

/* mbedTLS's way in. It asks for a record's 5-byte header and then for its body,
 * and a broker sends a record for each PUBACK: reading ahead makes one call of
 * forty. What is read ahead is out of epoll's sight, so whoever reads goes on
 * until TLS_WANT_READ. */
static int bio_receive(void *context, unsigned char *out, size_t n)
{
    struct tls_session *session = context;
    size_t left = session->ahead_end - session->ahead_start;

    if (left == 0 && session->dry) {
        session->dry = false;
        return MBEDTLS_ERR_SSL_WANT_READ;
    }
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
        session->dry = got > 0 && left < sizeof(session->ahead);
    }
    if (n > left)
        n = left;
    memcpy(out, session->ahead + session->ahead_start, n);
    session->ahead_start += n;
    return (int)n;
}

/* SNI carries names only; an address goes without. (The name is not set for
 * its check: mbedTLS allows wildcards and the common name, tls_verify doesn't.) */
static int set_server_name(struct tls_session *session)
{
    const char *host = session->config->host;
    uint8_t address[16];
    bool is_address =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;

    return mbedtls_ssl_set_hostname(&session->ssl, is_address ? NULL : host);
}

/* The whole of what we insist on, in one place. */
static int set_up(struct tls_session *session)
{
    mbedtls_ssl_config *conf = &session->conf;
    int rc = mbedtls_ssl_config_defaults(conf, MBEDTLS_SSL_IS_CLIENT,
                                         MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);

    if (rc == 0)
        rc = tls_files_use(session->files, conf);
    if (rc != 0)
        return rc;
    conf_limits(conf);
    mbedtls_ssl_conf_ciphersuites(conf, suites);
    mbedtls_ssl_conf_cert_profile(conf, &profile);
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_verify(conf, tls_verify, &session->verdict);
    mbedtls_ssl_conf_rng(conf, mbedtls_ctr_drbg_random, &session->random);
    /* A resumed session would skip the checks of a certificate that has
     * meanwhile expired or been revoked, and renegotiation those of a swap. */
    mbedtls_ssl_conf_session_tickets(conf, MBEDTLS_SSL_SESSION_TICKETS_DISABLED);
    mbedtls_ssl_conf_renegotiation(conf, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    rc = mbedtls_ssl_setup(&session->ssl, conf);
    if (rc == 0)
        rc = set_server_name(session);
    if (rc == 0)
        mbedtls_ssl_set_bio(&session->ssl, session, bio_send, bio_receive, NULL);
    return rc;
}

/* The random numbers of this session, seeded anew from the system. */
static int set_up_random(struct tls_session *session)
{
    if (start_library() != 0)
        return -1;
    return mbedtls_ctr_drbg_seed(&session->random, mbedtls_entropy_func,
                                 &session->entropy, NULL, 0);
}

int tls_session_new(const struct tls_link_config *config, int64_t floor_us,
                    int64_t now_us, struct tls_session **out, struct tls_own *own,
                    char error[TLS_ERROR_SIZE])
{
    struct tls_session *session = calloc(1, sizeof(*session));
    struct tls_random random = {mbedtls_ctr_drbg_random, NULL};
    char reason[TLS_REASON_SIZE];
    int rc;

    memset(own, 0, sizeof(*own));
    if (session == NULL)
        return tls_say(error, "TLS: out of memory");
    session->config = config;
    session->verdict.host = config->host;
    session->verdict.now_us = now_us;
    session->verdict.floor_us = floor_us;
    mbedtls_ssl_init(&session->ssl);
    mbedtls_ssl_config_init(&session->conf);
    mbedtls_entropy_init(&session->entropy);
    mbedtls_ctr_drbg_init(&session->random);

    random.context = &session->random;
    rc = set_up_random(session);
    if (rc != 0) {
        tls_say(error, "TLS: no random numbers");
        goto err0;
    }
    if (tls_files_load(config, now_us > floor_us ? now_us : floor_us, random,
                       &session->files, own, error) != 0)
        goto err0;
    session->verdict.list = tls_files_list(session->files);
    rc = set_up(session);
    if (rc != 0) {
        tls_say(error, "TLS: %s", tls_reason(rc, reason));
        goto err0;
    }
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
    /* The users before what they use. */
    mbedtls_ssl_free(&session->ssl);
    mbedtls_ssl_config_free(&session->conf);
    tls_files_free(session->files);
    mbedtls_ctr_drbg_free(&session->random);
    mbedtls_entropy_free(&session->entropy);
    free(session);
}

/* As people call it. Only what is too old has to be named. */
static const char *version_name(uint16_t version)
{
    return version == 0x0300   ? "SSL 3.0"
           : version == 0x0301 ? "TLS 1.0"
           : version == 0x0302 ? "TLS 1.1"
                               : "an unknown version";
}

/* How far the peer came before it fell silent or went away. A byte count is
 * enough: "it said nothing" is a wrong port or a stuck program, "after 1400
 * bytes" is a peer that did not like what we sent. */
static const char *progress_words(const struct tls_watch *watch,
                                  char out[TLS_REASON_SIZE])
{
    if (watch->seen == 0)
        snprintf(out, TLS_REASON_SIZE, "it said nothing");
    else
        snprintf(out, TLS_REASON_SIZE, "after %zu bytes", watch->seen);
    return out;
}

/* Its first bytes tell an engineer what it is: "48 54 54 50" is HTTP. */
static void explain_stranger(struct tls_session *session)
{
    const struct tls_watch *watch = &session->watch;
    char hex[3 * TLS_WATCH_FIRST + 1] = "";

    for (size_t i = 0; i < watch->seen && i < TLS_WATCH_FIRST; i++)
        snprintf(hex + 3 * i, sizeof(hex) - 3 * i, " %02x", watch->first[i]);
    tls_say(session->error, "peer does not speak TLS: its first bytes are%s", hex);
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

/* mbedTLS adds a low-level code to a high-level one; those of X.509 parsing lie
 * between these two. */
static bool is_unreadable_certificate(int rc)
{
    int high = -rc & 0xff80;

    return high >= 0x2080 && high <= 0x2980 && rc != MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

/* Puts a failed handshake into words. Several of these may hold at once; the
 * first one is what an engineer can act on. */
static void explain(struct tls_session *session, int rc)
{
    const struct tls_watch *watch = &session->watch;
    bool gone = rc == MBEDTLS_ERR_SSL_CONN_EOF || rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    bool broken = rc == MBEDTLS_ERR_NET_CONN_RESET || rc == MBEDTLS_ERR_NET_SEND_FAILED;
    char words[TLS_REASON_SIZE];

    if (broken)
        hear_last_words(session);

    if (session->verdict.error[0] != '\0')
        tls_say(session->error, "%s", session->verdict.error);
    else if (watch->not_tls)
        explain_stranger(session);
    else if (watch->server_version != 0 && watch->server_version < 0x0303)
        tls_say(session->error, "peer speaks %s; TLS 1.2 is the least",
                version_name(watch->server_version));
    else if ((broken || rc == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) && watch->alerted)
        tls_say(session->error, "peer refused the handshake: alert %s (%d)",
                tls_alert_name(watch->alert), watch->alert);
    else if (gone)
        tls_say(session->error, "peer closed the connection during the handshake: %s",
                progress_words(watch, words));
    else if (broken)
        tls_say(session->error, "peer reset the connection during the handshake: %s",
                progress_words(watch, words));
    else if (is_unreadable_certificate(rc))
        tls_say(session->error, "peer's certificate can't be read: %s",
                tls_reason(rc, words));
    else if (rc == MBEDTLS_ERR_X509_FATAL_ERROR)
        tls_say(session->error, "chain of certificates is longer than %d", TLS_CHAIN_MAX);
    else
        tls_say(session->error, "handshake failed: %s", tls_reason(rc, words));
}

/* Called by whoever holds the clock. */
void tls_session_stalled(struct tls_session *session, uint32_t after_ms)
{
    char words[TLS_REASON_SIZE];

    tls_say(session->error, "peer did not finish the handshake in %u ms: %s", after_ms,
            progress_words(&session->watch, words));
}

/* The only way to TLS_DONE, and so to the first byte of MQTT. */
enum tls_step tls_session_handshake(struct tls_session *session, int fd)
{
    int rc;

    session->fd = fd;
    /* May be called many times; mbedTLS goes on where it stopped. */
    rc = handshake(session);
    if (rc == MBEDTLS_ERR_SSL_WANT_READ)
        return TLS_WANT_READ;
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return TLS_WANT_WRITE;
    if (rc != 0) {
        explain(session, rc);
        return TLS_FAILED;
    }
    /* Belt and braces: REQUIRED has already made any fault a failure. Nobody
     * may be let in because a library changed its mind about that. */
    if (session->verdict.error[0] != '\0' ||
        mbedtls_ssl_get_verify_result(&session->ssl) != 0) {
        explain(session, MBEDTLS_ERR_X509_CERT_VERIFY_FAILED);
        return TLS_FAILED;
    }
    /* A broker that asks nobody for a certificate lets anybody in. */
    if (!session->watch.asked_certificate && !session->asked_certificate) {
        tls_say(
            session->error,
            "peer did not ask for our certificate (broker: require_certificate true)");
        return TLS_FAILED;
    }
    session->done = true;
    return TLS_DONE;
}

/* The outcome of reading or writing an open session. */
static ssize_t step_of(struct tls_session *session, int rc)
{
    char reason[TLS_REASON_SIZE];

    if (rc > 0)
        return rc;
    if (rc == MBEDTLS_ERR_SSL_WANT_READ || is_nothing(rc))
        return TLS_WANT_READ;
    if (rc == MBEDTLS_ERR_SSL_WANT_WRITE)
        return TLS_WANT_WRITE;
    if (rc == 0 || rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return TLS_DONE;
    tls_say(session->error, "connection lost: %s", tls_reason(rc, reason));
    return TLS_FAILED;
}

/* A record that carries nothing for us (a ticket) is read over. */
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

/* Best effort: a peer that does not take it learns the same from the end of the
 * connection. */
void tls_session_goodbye(struct tls_session *session)
{
    if (session->done)
        mbedtls_ssl_close_notify(&session->ssl);
}

const char *tls_session_error(const struct tls_session *session)
{
    return session->error;
}

/* After a failed handshake version and suite may be unknown: empty, not
 * "unknown". */
void tls_session_describe(const struct tls_session *session,
                          struct tls_link_status *status)
{
    const char *version = mbedtls_ssl_get_version(&session->ssl);
    const char *suite = mbedtls_ssl_get_ciphersuite(&session->ssl);

    /* The peer is whoever showed a certificate, good or bad. */
    snprintf(status->peer, sizeof(status->peer), "%s", session->verdict.peer);
    status->peer_expiry_utc_us = session->verdict.peer_expiry_us;
    snprintf(status->version, sizeof(status->version), "%s",
             version != NULL ? version : "");
    snprintf(status->suite, sizeof(status->suite), "%s", suite != NULL ? suite : "");
}
