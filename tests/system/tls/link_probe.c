/* SPDX-License-Identifier: Apache-2.0
 *
 * The product's own path to a broker (mqtt over tls_link) as one program, for tests that
 * need it in a process: against bad peers, under a false clock, under strace. Prints one
 * JSON object a line; ends after the first verdict unless told to stay.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/mqtt.h"
#include "link/tls_link.h"

struct probe {
    sd_event *loop;
    struct tls_link *link;
    struct mqtt *mqtt;
    uint64_t refusals;
    bool stay, connected;
    const char *topic;
    int sent, acknowledged;
};

static const char *const state_names[] = {"idle", "connecting", "handshake", "open",
                                          "refused"};

static int64_t clock_offset_s; /* --clock: how false the wall clock is */

/* The wall clock of the whole process, libraries included. Intervals stay true, as on a
 * board whose clock is wrong; faketime(1) can't do that, it also moves the timers of the
 * event loop. */
int clock_gettime(clockid_t id, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, id, out);

    if (rc == 0 && id == CLOCK_REALTIME)
        out->tv_sec += (time_t)clock_offset_s;
    return rc;
}

time_t time(time_t *out)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

static void report(struct probe *probe, const char *event)
{
    struct tls_link_status status;

    tls_link_status(probe->link, &status);
    printf("{\"event\": \"%s\", \"state\": \"%s\", \"connected\": %s, \"error\": \"%s\", "
           "\"peer\": \"%s\", "
           "\"version\": \"%s\", \"suite\": \"%s\", \"own_expiry\": %lld, "
           "\"peer_expiry\": %lld, "
           "\"handshakes\": %llu, \"refusals\": %llu, \"bytes_up\": %llu, "
           "\"acknowledged\": %d}\n",
           event, state_names[status.state], probe->connected ? "true" : "false",
           status.error, status.peer, status.version, status.suite,
           (long long)(status.own_expiry_utc_us / US_PER_S),
           (long long)(status.peer_expiry_utc_us / US_PER_S),
           (unsigned long long)status.handshakes, (unsigned long long)status.refusals,
           (unsigned long long)status.bytes_up, probe->acknowledged);
    fflush(stdout);
}

static void finish(struct probe *probe)
{
    if (!probe->stay)
        sd_event_exit(probe->loop, 0);
}

static void connected(void *context, bool session_present)
{
    struct probe *probe = context;
    int token;

    (void)session_present;
    probe->connected = true;
    report(probe, "connected");
    if (mqtt_publish(probe->mqtt, probe->topic, "x", 1, false, &token) == MQTT_OK)
        probe->sent++;
}

static void disconnected(void *context, int reason)
{
    struct probe *probe = context;

    (void)reason;
    probe->connected = false;
    report(probe, "disconnected");
}

static void message(void *context, const char *topic, const uint8_t *payload, size_t n)
{
    (void)context;
    (void)topic;
    (void)payload;
    (void)n;
}

static void acknowledged(void *context, int token, uint8_t reason)
{
    struct probe *probe = context;

    (void)token;
    (void)reason;
    probe->acknowledged++;
    report(probe, "acknowledged");
    finish(probe);
}

static const struct mqtt_ops ops = {connected, disconnected, message, acknowledged};

/* Looks for a refusal; the link has no call-back for it because nobody but a person reads
 * it. */
static int look(sd_event_source *source, uint64_t due_us, void *context)
{
    struct probe *probe = context;
    struct tls_link_status status;

    (void)due_us;
    tls_link_status(probe->link, &status);
    if (status.refusals > probe->refusals) {
        probe->refusals = status.refusals;
        report(probe, "refused");
        finish(probe);
    }
    sd_event_source_set_time_relative(source, 5 * US_PER_MS);
    sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
    return 0;
}

static int give_up(sd_event_source *source, uint64_t due_us, void *context)
{
    struct probe *probe = context;

    (void)source;
    (void)due_us;
    report(probe, "timeout");
    return sd_event_exit(probe->loop, 3);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info,
                     void *context)
{
    struct probe *probe = context;

    (void)source;
    if (info->ssi_signo == SIGTERM)
        return sd_event_exit(probe->loop, 0);
    if (info->ssi_signo == SIGUSR1)
        tls_link_drop(probe->link);
    else
        report(probe, "status");
    return 0;
}

static int run(struct probe *probe, const struct tls_link_config *link,
               const struct mqtt_config *mqtt, uint32_t limit_ms)
{
    const int signals[] = {SIGTERM, SIGUSR1, SIGUSR2};
    sigset_t set;
    int rc;

    sigemptyset(&set);
    for (size_t i = 0; i < 3; i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (sd_event_new(&probe->loop) < 0)
        return 1;
    for (size_t i = 0; i < 3; i++)
        sd_event_add_signal(probe->loop, NULL, signals[i], on_signal, probe);
    sd_event_add_time_relative(probe->loop, NULL, CLOCK_BOOTTIME, 5 * US_PER_MS, 1000,
                               look, probe);
    if (limit_ms > 0)
        sd_event_add_time_relative(probe->loop, NULL, CLOCK_BOOTTIME,
                                   limit_ms * (uint64_t)US_PER_MS, 1000, give_up, probe);
    rc = tls_link_open(probe->loop, link, &probe->link);
    if (rc != 0) {
        fprintf(stderr, "tls_link_open: %s\n", strerror(-rc));
        return 2;
    }
    if (mqtt_open(probe->loop, mqtt, &ops, probe, &probe->mqtt) != MQTT_OK)
        return 2;
    report(probe, "started");
    rc = sd_event_loop(probe->loop);
    mqtt_close(probe->mqtt, false);
    tls_link_close(probe->link);
    sd_event_unref(probe->loop);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"host", 1, NULL, 'h'},      {"port", 1, NULL, 'p'},  {"ca", 1, NULL, 'a'},
        {"cert", 1, NULL, 'c'},      {"key", 1, NULL, 'k'},   {"crl", 1, NULL, 'r'},
        {"socket", 1, NULL, 's'},    {"floor", 1, NULL, 'f'}, {"handshake", 1, NULL, 't'},
        {"limit", 1, NULL, 'l'},     {"stay", 0, NULL, 'y'},  {"id", 1, NULL, 'i'},
        {"keepalive", 1, NULL, 'K'}, {"clock", 1, NULL, 'o'}, {"topic", 1, NULL, 'T'},
        {NULL, 0, NULL, 0}};
    struct tls_link_config link = {.handshake_ms = 1000};
    struct mqtt_config mqtt = {.client_id = "probe",
                               .keepalive_s = 5,
                               .clean_start = true,
                               .reconnect_min_ms = 50,
                               .reconnect_max_ms = 500};
    struct probe probe = {.topic = "probe"};
    uint32_t limit_ms = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            link.host = optarg;
            break;
        case 'p':
            link.port = (uint16_t)strtoul(optarg, NULL, 10);
            break;
        case 'a':
            link.ca_file = optarg;
            break;
        case 'c':
            link.cert_file = optarg;
            break;
        case 'k':
            link.key_file = optarg;
            break;
        case 'r':
            link.crl_file = optarg;
            break;
        case 's':
            link.socket_path = optarg;
            break;
        case 'f':
            link.floor_utc_us = strtoll(optarg, NULL, 10) * US_PER_S;
            break;
        case 't':
            link.handshake_ms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'l':
            limit_ms = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'y':
            probe.stay = true;
            break;
        case 'i':
            mqtt.client_id = optarg;
            break;
        case 'T':
            probe.topic = optarg;
            break;
        case 'o':
            clock_offset_s = strtoll(optarg, NULL, 10) - (int64_t)time(NULL);
            break;
        case 'K':
            mqtt.keepalive_s = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        default:
            return 2;
        }
    }
    if (link.host == NULL || link.ca_file == NULL || link.cert_file == NULL ||
        link.key_file == NULL || link.socket_path == NULL) {
        fprintf(
            stderr,
            "link_probe: --host, --port, --ca, --cert, --key and --socket are needed\n");
        return 2;
    }
    mqtt.socket_path = link.socket_path;
    return run(&probe, &link, &mqtt, limit_ms);
}
