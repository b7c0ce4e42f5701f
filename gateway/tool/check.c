/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate check`: what can be known to be wrong before a ward depends on it.
 */
#include "tool/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ports/profile.h"
#include "tool/daemon_run.h"
#include "tool/tool.h"
#include "tool/verbs.h"
#include "base/ids.h"

static const char help[] =
    "usage: wardgate check config FILE [--chart]\n"
    "       wardgate check profile FILE...\n"
    "       wardgate check broker [--conf mosquitto.conf] [--host HOST --ca F --cert F "
    "--key F --site SITE\n"
    "                             [--port 8883] [--crl F]]\n"
    "\n"
    "config   asks wardgated (or wardgate-chart) itself to read FILE, exactly as it "
    "would at its start\n"
    "profile  reads device profiles and decodes their golden frames\n"
    "broker   holds a mosquitto.conf to what wardgate needs, each wrong setting with its "
    "reason; and dials a\n"
    "         running broker: TLS and certificate, a stranger, plaintext, another "
    "gateway's topic. Give it a\n"
    "         certificate of its own (wardgate pki board DIR check): a board's own would "
    "take over its session\n"
    "\n"
    "  wardgate check config /etc/wardgate/wardgated.yaml\n"
    "  wardgate check profile profiles/*.yaml\n"
    "  wardgate check broker --conf /srv/pki/broker/mosquitto.conf\n"
    "  wardgate check broker --host broker.homerton.local --site homerton --ca ca.pem "
    "--cert cert.pem --key key.pem\n"
    "\n"
    "Options: --json. Exit codes: 0 nothing found, 1 findings of a broker, 64 called "
    "wrongly, 69 the broker or the\n"
    "daemon's program is not there, 74 files, 78 the configuration or a profile is "
    "bad.\n";

/* People see what is wrong; programs see what was looked at too. */
static void print(struct findings *findings, bool good, const char *where,
                  const char *format, va_list arguments)
{
    char text[FINDINGS_TEXT_SIZE];

    (void)vsnprintf(text, sizeof(text), format, arguments);
    if (findings->json)
        tool_print(
            json_pack("{s:b, s:s, s:s+}", "ok", good, "where", where, "text", text, ""));
    else if (!good || findings->all)
        (void)printf("%s: %s%s\n", where, findings->all && !good ? "NOT GOOD: " : "",
                     text);
}

void finding_bad(struct findings *findings, const char *where, const char *format, ...)
{
    va_list arguments;

    findings->bad++;
    va_start(arguments, format);
    print(findings, false, where, format, arguments);
    va_end(arguments);
}

void finding_good(struct findings *findings, const char *where, const char *format, ...)
{
    va_list arguments;

    findings->good++;
    va_start(arguments, format);
    print(findings, true, where, format, arguments);
    va_end(arguments);
}

/* The count tells a person that something was looked at when there is nothing to say. */
static int conclude(const struct findings *findings)
{
    if (!findings->json)
        (void)printf("%d good, %d to be put right\n", findings->good, findings->bad);
    return findings->bad > 0 ? TOOL_FINDINGS : TOOL_OK;
}

/* --- config --- */

/* The daemon prints its own findings; only its exit code is ours to judge. */
static int check_config(const char *daemon, const char *config, bool json)
{
    const char *const words[] = {"-t", "-c", config, NULL};
    int code = daemon_run(daemon, words, NULL, 0);

    if (code < 0)
        return TOOL_UNAVAILABLE;
    if (json)
        tool_print(json_pack("{s:b, s:s, s:s}", "ok", code == 0, "where", config,
                             "checked_by", daemon));
    return code == 0 ? TOOL_OK : TOOL_CONFIG;
}

/* --- profile --- */

/* Every file is read, so that one run shows all the bad ones. */
static int check_profiles(char **paths, int count, bool json)
{
    int code = TOOL_OK;

    for (int i = 0; i < count; i++) {
        char error[PROFILE_ERROR_MAX] = "";
        struct profile *profile = NULL;
        int result = profile_load(paths[i], &profile, error, sizeof(error));
        profile_free(profile);
        if (json)
            tool_print(json_pack("{s:b, s:s, s:s+}", "ok", result == PROFILE_OK, "where",
                                 paths[i], "text", error, ""));
        else
            (void)printf("%s%s\n", result == PROFILE_OK ? paths[i] : error,
                         result == PROFILE_OK ? ": good" : "");
        if (result != PROFILE_OK)
            code = result == PROFILE_UNREADABLE ? TOOL_IO : TOOL_CONFIG;
    }
    return code;
}

/* --- broker --- */

/* The file, the running broker, or both. */
static int check_broker(const char *conf, const char *port,
                        struct broker_address *address, bool json)
{
    struct findings findings = {.json = json};
    long long number = 8883;
    int error = TOOL_OK;

    if (conf == NULL && address->host == NULL)
        return tool_usage("check", "broker needs --conf, or --host, or both");
    if (port != NULL && !tool_number(port, 1, 65535, &number))
        return tool_usage("check", "--port '%.20s': expected 1..65535", port);
    address->port = (unsigned short)number;
    if (address->host != NULL &&
        (address->ca == NULL || address->cert == NULL || address->key == NULL ||
         address->site == NULL || !name_valid(address->site)))
        return tool_usage("check", "--host needs --ca, --cert, --key and --site");
    if (conf != NULL)
        error = check_broker_file(conf, &findings);
    if (error == TOOL_OK && address->host != NULL)
        error = check_broker_live(address, &findings);
    return error != TOOL_OK ? error : conclude(&findings);
}

int verb_check(int argc, char **argv)
{
    struct broker_address address = {.host = NULL};
    const char *conf = NULL, *port = NULL;
    bool json = false, chart = false;
    const struct tool_option options[] = {
        {"chart", NULL, &chart},       {"conf", &conf, NULL},
        {"host", &address.host, NULL}, {"port", &port, NULL},
        {"ca", &address.ca, NULL},     {"cert", &address.cert, NULL},
        {"key", &address.key, NULL},   {"crl", &address.crl, NULL},
        {"site", &address.site, NULL}, {NULL, NULL, NULL}};
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands == 2 && strcmp(argv[1], "config") == 0)
        return check_config(chart ? "wardgate-chart" : "wardgated", argv[2], json);
    if (operands >= 2 && strcmp(argv[1], "profile") == 0)
        return check_profiles(argv + 2, operands - 1, json);
    if (operands == 1 && strcmp(argv[1], "broker") == 0)
        return check_broker(conf, port, &address, json);
    return tool_usage("check", "expected: config FILE, profile FILE..., or broker");
}
