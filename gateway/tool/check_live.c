/* SPDX-License-Identifier: Apache-2.0
 *
 * A running broker, dialled as a board would, as a stranger would, and without TLS.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/pki.h"
#include "link/mqtt.h"
#include "link/tls_link.h"
#include "tool/check.h"
#include "tool/tool.h"
#include "wire/topics.h"

#define PATIENCE_US (10 * US_PER_S) /* for one attempt */
#define LOOK_US     50000
#define SOON_US     (INT64_C(30) * 86400 * US_PER_S)

/* One attempt: what came of it. */
struct attempt {
    sd_event *loop;
    struct tls_link *link;
    struct mqtt *mqtt;
    uint64_t deadline_us;
    const char *topic; /* to publish on; NULL: only connect */
    bool connected;
    int reason; /* of the PUBACK; -1: none came */
};

/* CONNACK: the broker took us. */
static void on_connected(void *context, bool session_present)
{
    struct attempt *attempt = context;
    int token;

    (void)session_present;
    attempt->connected = true;
    if (attempt->topic == NULL ||
        mqtt_publish(attempt->mqtt, attempt->topic, "", 0, false, &token) != MQTT_OK)
        (void)sd_event_exit(attempt->loop, 0);
}

/* The broker ended it: there is nothing more to learn. */
static void on_disconnected(void *context, int reason)
{
    struct attempt *attempt = context;

    (void)reason;
    (void)sd_event_exit(attempt->loop, 0);
}

/* Nothing is subscribed to. */
static void on_message(void *context, const char *topic, const uint8_t *payload, size_t n)
{
    (void)context;
    (void)topic;
    (void)payload;
    (void)n;
}

/* The reason is what the attempt was for. */
static void on_acknowledged(void *context, int token, uint8_t reason)
{
    struct attempt *attempt = context;

    (void)token;
    attempt->reason = reason;
    (void)sd_event_exit(attempt->loop, 0);
}

/* Looks every so often whether TLS has been refused: MQTT alone would only try again. */
static int on_look(sd_event_source *source, uint64_t now_us, void *context)
{
    struct attempt *attempt = context;
    struct tls_link_status status;

    tls_link_status(attempt->link, &status);
    if (status.state == TLS_LINK_REFUSED || now_us > attempt->deadline_us)
        return sd_event_exit(attempt->loop, 0);
    (void)sd_event_source_set_time(source, now_us + LOOK_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* Connects once through tls_link; status says how TLS went. Returns 0 or a tool_exit. */
static int attempt_run(const struct broker_address *a, const char *folder,
                       struct attempt *attempt, struct tls_link_status *status)
{
    static const struct mqtt_ops ops = {on_connected, on_disconnected, on_message,
                                        on_acknowledged};
    char socket[300];
    const struct tls_link_config tls = {.host = a->host,
                                        .port = a->port,
                                        .ca_file = a->ca,
                                        .cert_file = a->cert,
                                        .key_file = a->key,
                                        .crl_file = a->crl,
                                        .socket_path = socket,
                                        .handshake_ms = 8000};
    const struct mqtt_config mqtt = {.client_id = "wardgate-check",
                                     .socket_path = socket,
                                     .keepalive_s = 30,
                                     .clean_start = true,
                                     .reconnect_min_ms = 60000,
                                     .reconnect_max_ms = 60000};
    uint64_t now_us = 0;
    int error = TOOL_UNAVAILABLE;

    (void)snprintf(socket, sizeof(socket), "%.250s/link.sock", folder);
    memset(status, 0, sizeof(*status));
    attempt->reason = -1;
    if (sd_event_new(&attempt->loop) < 0)
        return tool_fail(TOOL_IO, "no event loop");
    (void)sd_event_now(attempt->loop, CLOCK_MONOTONIC, &now_us);
    attempt->deadline_us = now_us + PATIENCE_US;
    if (tls_link_open(attempt->loop, &tls, &attempt->link) == 0 &&
        mqtt_open(attempt->loop, &mqtt, &ops, attempt, &attempt->mqtt) == 0 &&
        sd_event_add_time(attempt->loop, NULL, CLOCK_MONOTONIC, now_us + LOOK_US, 0,
                          on_look, attempt) >= 0) {
        (void)sd_event_loop(attempt->loop);
        tls_link_status(attempt->link, status);
        error = TOOL_OK;
    } else
        (void)tool_fail(TOOL_IO, "the link can't be started");
    mqtt_close(attempt->mqtt, false);
    tls_link_close(attempt->link);
    sd_event_unref(attempt->loop);
    return error;
}

/* With the certificate given, publishing where another board would. */
static int check_good(const struct broker_address *a, const char *folder,
                      struct findings *findings)
{
    char topic[TOPIC_SIZE];
    struct attempt attempt = {
        .topic = topic_text(TOPIC_UP, a->site, "not-this-client", topic)};
    struct tls_link_status status;
    int error = attempt_run(a, folder, &attempt, &status);

    if (error != TOOL_OK)
        return error;
    if (!attempt.connected) {
        finding_bad(findings, "connect", "%s",
                    status.error[0] != '\0' ? status.error : "the broker did not answer");
        return TOOL_OK;
    }
    finding_good(findings, "connect", "%s, %s, %s", status.version, status.suite,
                 status.peer);
    if (status.peer_expiry_utc_us != 0 &&
        status.peer_expiry_utc_us < clock_utc_us() + SOON_US)
        finding_bad(findings, "expiry",
                    "the broker's certificate ends within 30 days (wardgate pki renew)");
    if (attempt.reason < 0x80)
        finding_bad(findings, "acl",
                    "a message below another gateway's name was not refused (%d): is "
                    "acl_file loaded?",
                    attempt.reason);
    else
        finding_good(findings, "acl", "another gateway's topic is refused (0x%02x)",
                     (unsigned)attempt.reason);
    return TOOL_OK;
}

/* A self-made certificate with an insider's name: whoever takes it takes anyone. */
static int check_stranger(const struct broker_address *a, const char *folder,
                          struct findings *findings)
{
    char key[PKI_PEM_SIZE], cert[PKI_PEM_SIZE], key_path[300], cert_path[300];
    struct pki_subject subject = {.role = PKI_CLIENT,
                                  .common_name = "stranger",
                                  .organisation = a->site,
                                  .unit = "board",
                                  .not_before_us = clock_utc_us() - 3600 * US_PER_S,
                                  .not_after_us = clock_utc_us() + 3600 * US_PER_S};
    struct broker_address stranger = *a;
    struct attempt attempt = {.topic = NULL};
    struct tls_link_status status;
    int error;

    (void)snprintf(key_path, sizeof(key_path), "%.250s/key.pem", folder);
    (void)snprintf(cert_path, sizeof(cert_path), "%.250s/cert.pem", folder);
    if (pki_serial(subject.serial) != PKI_OK || pki_key(key) != PKI_OK ||
        pki_sign(&subject, key, NULL, NULL, cert) != PKI_OK ||
        file_replace(key_path, key, strlen(key), 0600) != 0 ||
        file_replace(cert_path, cert, strlen(cert), 0600) != 0)
        return tool_fail(TOOL_IO, "a stranger's certificate can't be made in %s", folder);
    stranger.key = key_path;
    stranger.cert = cert_path;
    error = attempt_run(&stranger, folder, &attempt, &status);
    (void)unlink(key_path);
    (void)unlink(cert_path);
    if (error != TOOL_OK)
        return error;
    if (attempt.connected)
        finding_bad(
            findings, "stranger",
            "a certificate that nobody signed gets in: require_certificate and cafile");
    else
        finding_good(findings, "stranger", "a certificate that nobody signed is refused");
    return TOOL_OK;
}

/* An MQTT 5 CONNECT in the clear: the only right answer is none. */
static int check_plaintext(const struct broker_address *a, struct findings *findings)
{
    static const uint8_t connect_packet[] = {0x10, 0x0f, 0,  4, 'M', 'Q', 'T', 'T', 5,
                                             2,    0,    30, 0, 0,   2,   'w', 'g'};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    struct timeval patience = {3, 0};
    char port[8];
    uint8_t answer[4];
    ssize_t n = -1;
    int fd = -1;

    (void)snprintf(port, sizeof(port), "%u", (unsigned)a->port);
    if (getaddrinfo(a->host, port, &hints, &list) != 0)
        return tool_fail(TOOL_UNAVAILABLE, "%s: no such host", a->host);
    for (const struct addrinfo *i = list; i != NULL && fd < 0; i = i->ai_next) {
        fd = socket(i->ai_family, i->ai_socktype | SOCK_CLOEXEC, i->ai_protocol);
        if (fd >= 0 &&
            (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) != 0 ||
             setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
             connect(fd, i->ai_addr, i->ai_addrlen) != 0)) {
            (void)close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        return tool_fail(TOOL_UNAVAILABLE, "%s port %s: %s", a->host, port,
                         strerror(errno));
    if (send(fd, connect_packet, sizeof(connect_packet), MSG_NOSIGNAL) > 0)
        n = recv(fd, answer, sizeof(answer), 0);
    (void)close(fd);
    if (n > 0 && answer[0] == 0x20) /* CONNACK */
        finding_bad(findings, "plaintext",
                    "the broker speaks MQTT without TLS on this port");
    else
        finding_good(findings, "plaintext", "MQTT without TLS gets no answer");
    return TOOL_OK;
}

int check_broker_live(const struct broker_address *address, struct findings *findings)
{
    const char *root = getenv("TMPDIR");
    char folder[256];
    int error;

    (void)snprintf(folder, sizeof(folder), "%.200s/wardgate-check-XXXXXX",
                   root != NULL ? root : "/tmp");
    if (mkdtemp(folder) == NULL)
        return tool_fail(TOOL_IO, "%s: %s", folder, strerror(errno));
    log_set_level(LOG_LEVEL_ERROR); /* refusals are what is looked for */
    if ((error = check_plaintext(address, findings)) == TOOL_OK &&
        (error = check_good(address, folder, findings)) == TOOL_OK)
        error = check_stranger(address, folder, findings);
    (void)rmdir(folder);
    return error;
}
