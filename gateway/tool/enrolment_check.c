/* SPDX-License-Identifier: Apache-2.0
 *
 * Is the clock right enough, and is there a way to the broker? In words that tell the
 * person at the board what to look at: cable, name server, firewall, broker, certificate.
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/zone.h"
#include "tool/check.h"
#include "tool/enrolment.h"
#include "tool/tool.h"

#define CONNECT_S 5

static void check_clock(const struct enrolment *e, struct findings *findings)
{
    char path[PKI_PATH_SIZE], now_text[ZONE_TEXT_SIZE], other[ZONE_TEXT_SIZE], *text;
    struct pki_info info;
    struct instant now;

    if (pki_text_read(enrolment_path(e, ".pem", true, path), &text) != TOOL_OK ||
        pki_read(text, &info) != PKI_OK) {
        finding_bad(findings, "clock", "the certificate %s can't be read", path);
        return;
    }
    free(text);
    clock_now(&now);
    (void)utc_text(now.utc_us, now_text);
    if (now.utc_us < info.not_before_us)
        finding_bad(findings, "clock",
                    "says %s, which is before the certificate begins (%s): it was never "
                    "set; is there a time service (timedatectl, chronyc sources), a "
                    "battery?",
                    now_text, utc_text(info.not_before_us, other));
    else if (now.utc_us > info.not_after_us)
        finding_bad(findings, "clock",
                    "says %s, and the certificate ended %s: wardgate pki renew, or the "
                    "clock is ahead",
                    now_text, utc_text(info.not_after_us, other));
    else if (now.sync == CLOCK_UNKNOWN && !e->wall)
        finding_bad(findings, "clock",
                    "says %s, and no time service has set it: readings are taken and "
                    "dated once one has (timedatectl, chronyc sources)",
                    now_text);
    else
        finding_good(findings, "clock", "%s, %s", now_text,
                     now.sync == CLOCK_UNKNOWN ? "believed as it is"
                                               : "kept by a time service");
}

/* What an error of connect() means at the other end of the cable. */
static const char *meaning(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return "the machine is there and nothing listens on this port: is the broker "
               "running, is it the right port?";
    case ENETUNREACH:
    case ENETDOWN:
        return "this board has no way to that network: cable, address, gateway (ip addr, "
               "ip route)?";
    case EHOSTUNREACH:
        return "nobody has this address: is the machine on, is it the right network?";
    case EINPROGRESS:
    case EAGAIN:
    case ETIMEDOUT:
        return "no answer: a firewall between, or the machine is off";
    default:
        return strerror(error);
    }
}

/* One address after the other, as the link will try them. */
static bool reach(const struct enrolment *e, const struct addrinfo *list, char *numeric,
                  int *error)
{
    struct timeval patience = {CONNECT_S, 0};

    *error = EHOSTUNREACH;
    for (; list != NULL; list = list->ai_next) {
        int fd = socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, 0);
        bool done;
        (void)getnameinfo(list->ai_addr, list->ai_addrlen, numeric, NI_MAXHOST, NULL, 0,
                          NI_NUMERICHOST);
        if (fd < 0)
            continue;
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        done = connect(fd, list->ai_addr, list->ai_addrlen) == 0;
        *error = errno;
        (void)close(fd);
        if (done)
            return true;
    }
    (void)e;
    return false;
}

/* Name, then the way there. False: TLS need not be tried. */
static bool check_way(const struct enrolment *e, struct findings *findings)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    char port[8], numeric[NI_MAXHOST] = "";
    int failed, error;
    bool there;

    (void)snprintf(port, sizeof(port), "%u", (unsigned)e->port);
    if ((failed = getaddrinfo(e->host, port, &hints, &list)) != 0) {
        finding_bad(findings, "name",
                    "%s has no address (%s): is it written right, does this board have "
                    "a name server (resolvectl)?",
                    e->host, gai_strerror(failed));
        return false;
    }
    there = reach(e, list, numeric, &error);
    freeaddrinfo(list);
    if (there)
        finding_good(findings, "network", "%s is %s and answers on port %s", e->host,
                     numeric, port);
    else
        finding_bad(findings, "network", "%s (%s) port %s: %s", e->host, numeric, port,
                    meaning(error));
    return there;
}

int enrolment_check(const struct enrolment *e)
{
    char ca[PKI_PATH_SIZE], cert[PKI_PATH_SIZE], key[PKI_PATH_SIZE], crl[PKI_PATH_SIZE];
    struct findings findings = {.json = e->json, .all = true};
    struct broker_address address = {
        .host = e->host,
        .port = e->port,
        .site = e->site,
        .ca = enrolment_path(e, "ca.pem", false, ca),
        .cert = enrolment_path(e, ".pem", true, cert),
        .key = enrolment_path(e, ".key", true, key),
        .crl = enrolment_path(e, "crl.pem", false, crl),
    };
    int code = TOOL_OK;

    if (e->no_checks)
        return TOOL_OK;
    if (access(crl, F_OK) != 0)
        address.crl = NULL;
    check_clock(e, &findings);
    if (e->host[0] != '\0' && check_way(e, &findings))
        code = check_broker_live(&address, &findings);
    if (code == TOOL_OK && findings.bad > 0)
        code = TOOL_FINDINGS;
    return code;
}
