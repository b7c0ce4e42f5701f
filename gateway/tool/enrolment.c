/* SPDX-License-Identifier: Apache-2.0
 *
 * See enrolment.h. Each step can be done again: a key that is there stays, a certificate
 * is asked for once more, a configuration is put in force only when it is good.
 */
#include "tool/enrolment.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tool/daemon_run.h"
#include "tool/pki_broker.h"
#include "tool/tool.h"

#define DAYS_PRESET 800
#define PORT_PRESET 8883
#define DAEMON_USER "wardgated"

void enrolment_say(const struct enrolment *e, const char *step, const char *format, ...)
{
    char text[PKI_PATH_SIZE + 256];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (e->json)
        tool_print(
            json_pack("{s:b, s:s, s:s+}", "ok", 1, "step", step, "text", text, ""));
    else
        (void)printf("%s: %s\n", step, text);
}

const char *enrolment_path(const struct enrolment *e, const char *file, bool of_name,
                           char out[PKI_PATH_SIZE])
{
    (void)snprintf(out, PKI_PATH_SIZE, "%.900s/%s%s", e->home, of_name ? e->name : "",
                   file);
    return out;
}

/* "broker.homerton.local" or "broker.homerton.local:8883". */
static int read_broker(struct enrolment *e)
{
    const char *colon = strrchr(e->broker, ':');
    size_t n = colon != NULL ? (size_t)(colon - e->broker) : strlen(e->broker);
    long long port = PORT_PRESET;

    if (n == 0 || n >= sizeof(e->host) ||
        (colon != NULL && !tool_number(colon + 1, 1, 65535, &port)))
        return tool_usage(e->name, "--broker '%.60s': expected HOST or HOST:PORT",
                          e->broker);
    memcpy(e->host, e->broker, n);
    e->host[n] = '\0';
    e->port = (unsigned short)port;
    return TOOL_OK;
}

int enrolment_begin(struct enrolment *e)
{
    char *absolute;
    int code = TOOL_OK;

    if (!name_valid(e->name))
        return tool_fail(TOOL_USAGE, "'%.60s' is no name: 1..%d of a-z, 0-9 and '-'",
                         e->name, NAME_MAX_LENGTH);
    if (e->pki != NULL && e->from != NULL)
        return tool_fail(TOOL_USAGE, "either --pki or --from");
    if (e->site_name != NULL && !name_valid(e->site_name))
        return tool_fail(TOOL_USAGE, "--site '%.60s' is no name", e->site_name);
    if (e->site_name != NULL)
        (void)snprintf(e->site, sizeof(e->site), "%s", e->site_name);
    if (e->broker != NULL && (code = read_broker(e)) != TOOL_OK)
        return code;
    if (mkdir(e->folder, 0755) != 0 && errno != EEXIST)
        return tool_fail(TOOL_IO, "%s: %s", e->folder, strerror(errno));
    if ((absolute = realpath(e->folder, NULL)) == NULL)
        return tool_fail(TOOL_IO, "%s: %s", e->folder, strerror(errno));
    if (strlen(absolute) > 900)
        code = tool_fail(TOOL_IO, "the folder's path is too long");
    else
        (void)snprintf(e->home, sizeof(e->home), "%s", absolute);
    free(absolute);
    return code;
}

/* --- the key --- */

/* Read by the daemon's group when there is one, written by nobody: as the package's
 * tmpfiles.d keeps it. */
static int own(const char *path)
{
    const struct passwd *user = geteuid() == 0 ? getpwnam(DAEMON_USER) : NULL;

    if (user == NULL)
        return TOOL_OK;
    if (chown(path, 0, user->pw_gid) != 0 || chmod(path, 0640) != 0)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    return TOOL_OK;
}

static int write_key(const char *path, char text[PKI_PEM_SIZE])
{
    int code;

    if (pki_key(text) != PKI_OK)
        return tool_fail(TOOL_IO, "no key could be made");
    code = pki_text_write(path, text, 0600);
    return code == TOOL_OK ? own(path) : code;
}

int enrolment_key(const struct enrolment *e, bool fresh)
{
    char path[PKI_PATH_SIZE], text[PKI_PEM_SIZE], request[PKI_PEM_SIZE], *kept = NULL;
    int code = TOOL_OK, refused;
    bool there = access(enrolment_path(e, ".key", true, path), F_OK) == 0;

    if (there && fresh)
        return tool_fail(TOOL_USAGE,
                         "%s: this board is '%s' already; a spare has a key of its own "
                         "(wardgate wipe makes it one)",
                         path, e->name);
    code = there ? pki_text_read(path, &kept) : write_key(path, text);
    if (code != TOOL_OK)
        return code;
    refused = pki_request(kept != NULL ? kept : text, e->name,
                          e->site[0] != '\0' ? e->site : "unknown", "board", request);
    free(kept);
    if (refused != PKI_OK)
        return tool_fail(TOOL_CONFIG, "%s: %s", path, pki_error_text(refused));
    enrolment_say(e, "key", "%s, %s", path, there ? "kept" : "made on this board");
    return pki_text_write(enrolment_path(e, ".csr", true, path), request, 0644);
}

/* --- the certificate --- */

/* Another key's name is another board's: it must not be taken over by mistake. */
static int not_anothers(const struct enrolment *e, const struct pki_site *site)
{
    char path[PKI_PATH_SIZE], *certificate = NULL, *key = NULL;
    const json_t *entry = pki_site_find(site, e->name);
    int code = TOOL_OK;

    if (entry == NULL)
        return TOOL_OK;
    if (pki_text_read(pki_site_path(site, PARTY_BOARD, e->name, "cert.pem", path),
                      &certificate) != 0 ||
        pki_text_read(enrolment_path(e, ".key", true, path), &key) != 0)
        code = TOOL_IO;
    else if (json_is_integer(json_object_get(entry, "revoked_us")))
        code = tool_fail(TOOL_USAGE,
                         "'%s' is revoked: 'wardgate replace' puts a spare in its place",
                         e->name);
    else if (pki_matches(certificate, key) != PKI_OK)
        code = tool_fail(TOOL_USAGE,
                         "'%s' is another board's name: choose another, or 'wardgate "
                         "replace' if that board is broken",
                         e->name);
    free(certificate);
    free(key);
    return code;
}

static int revoke_earlier(const struct enrolment *e, struct pki_site *site, size_t *count)
{
    int code;

    if (pki_site_find(site, e->name) == NULL)
        return tool_fail(TOOL_USAGE,
                         "nothing was ever issued to '%s': 'wardgate enrol' is for a new "
                         "board",
                         e->name);
    if ((code = pki_site_revoke(site, e->name, count)) == TOOL_OK)
        code = pki_site_publish(site);
    return code;
}

static int certify(const struct enrolment *e, struct pki_site *site)
{
    char path[PKI_PATH_SIZE], *request;
    long long days = DAYS_PRESET;
    int code;

    if (e->days != NULL && !tool_number(e->days, 1, 20000, &days))
        return tool_fail(TOOL_USAGE, "--days '%.20s': expected 1..20000", e->days);
    if ((code = pki_text_read(enrolment_path(e, ".csr", true, path), &request)) != 0)
        return code;
    code = pki_site_issue(site, PARTY_BOARD, e->name, request, NULL, days, NULL, 0);
    free(request);
    return code == TOOL_OK ? pki_broker_acl(site) : code;
}

int enrolment_sign(struct enrolment *e, bool revoke, size_t *revoked)
{
    static char from[PKI_PATH_SIZE]; /* one board a run */
    struct pki_site site;
    int code = pki_site_open(e->pki, &site);

    *revoked = 0;
    if (code == TOOL_OK && e->site_name != NULL && strcmp(e->site_name, site.name) != 0)
        code = tool_fail(TOOL_USAGE, "%s is the PKI of '%s', not of '%s'", e->pki,
                         site.name, e->site_name);
    if (code == TOOL_OK)
        code = revoke ? revoke_earlier(e, &site, revoked) : not_anothers(e, &site);
    if (code == TOOL_OK)
        code = certify(e, &site);
    if (code == TOOL_OK) {
        (void)snprintf(e->site, sizeof(e->site), "%s", site.name);
        e->from = pki_site_path(&site, PARTY_BOARD, e->name, "", from);
        enrolment_say(e, "certificate", "signed by the PKI of %s; noted in its book",
                      site.name);
    }
    pki_site_close(&site);
    return code;
}

/* Everything that could be mixed up when folders are carried about. */
static int judge(struct enrolment *e, const char *path, const char *certificate,
                 const char *key)
{
    struct pki_info info;
    int refused = pki_read(certificate, &info);

    if (refused != PKI_OK)
        return tool_fail(TOOL_CONFIG, "%s: %s", path, pki_error_text(refused));
    if (strcmp(info.common_name, e->name) != 0)
        return tool_fail(TOOL_CONFIG, "%s is for '%s', this board is '%s'", path,
                         info.common_name, e->name);
    if (strcmp(info.unit, "board") != 0)
        return tool_fail(TOOL_CONFIG, "%s is of a %s and no board's", path, info.unit);
    if (e->site[0] != '\0' && strcmp(info.organisation, e->site) != 0)
        return tool_fail(TOOL_CONFIG, "%s is of site '%s', not of '%s'", path,
                         info.organisation, e->site);
    if (pki_matches(certificate, key) != PKI_OK)
        return tool_fail(TOOL_CONFIG,
                         "%s is not for this board's key: was the request of another "
                         "board signed, or an older one?",
                         path);
    (void)snprintf(e->site, sizeof(e->site), "%.*s", NAME_MAX_LENGTH, info.organisation);
    return TOOL_OK;
}

/* Public all of it: readable by everyone. optional: a list may be missing. */
static int carry(const struct enrolment *e, const char *file, const char *to,
                 bool of_name, bool optional)
{
    char from[PKI_PATH_SIZE], path[PKI_PATH_SIZE], *text;
    int code;

    if (snprintf(from, sizeof(from), "%s/%s", e->from, file) >= PKI_PATH_SIZE)
        return tool_fail(TOOL_IO, "the folder's path is too long");
    if (optional && access(from, F_OK) != 0)
        return TOOL_OK;
    if ((code = pki_text_read(from, &text)) != TOOL_OK)
        return code;
    code = pki_text_write(enrolment_path(e, to, of_name, path), text, 0644);
    free(text);
    return code;
}

int enrolment_install(struct enrolment *e)
{
    char from[PKI_PATH_SIZE], path[PKI_PATH_SIZE], *certificate = NULL, *key = NULL;
    int code;

    if (snprintf(from, sizeof(from), "%s/cert.pem", e->from) >= PKI_PATH_SIZE)
        return tool_fail(TOOL_IO, "the folder's path is too long");
    if ((code = pki_text_read(from, &certificate)) == TOOL_OK &&
        (code = pki_text_read(enrolment_path(e, ".key", true, path), &key)) == TOOL_OK)
        code = judge(e, from, certificate, key);
    free(certificate);
    free(key);
    if (code != TOOL_OK || (code = carry(e, "ca.pem", "ca.pem", false, false)) != 0 ||
        (code = carry(e, "crl.pem", "crl.pem", false, true)) != 0 ||
        (code = carry(e, "cert.pem", ".pem", true, false)) != 0)
        return code;
    enrolment_say(e, "certificate", "%s, %s of site %s",
                  enrolment_path(e, ".pem", true, path), e->name, e->site);
    return TOOL_OK;
}

/* --- the configuration --- */

int enrolment_config(const struct enrolment *e, const char *text)
{
    char fresh[PKI_PATH_SIZE], path[PKI_PATH_SIZE];
    const char *const words[] = {"-t", "-c",
                                 enrolment_path(e, "wardgated.yaml.new", false, fresh),
                                 NULL};
    char said[512];
    int code = pki_text_write(fresh, text, 0644), judged;

    if (code != TOOL_OK)
        return code;
    judged = daemon_run("wardgated", words, said, sizeof(said));
    if (judged < 0)
        return TOOL_UNAVAILABLE;
    if (judged != 0)
        return tool_fail(TOOL_CONFIG, "%s is kept for a look and not in force", fresh);
    if (rename(fresh, enrolment_path(e, "wardgated.yaml", false, path)) != 0)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    enrolment_say(e, "configuration", "%s, found good by wardgated", path);
    return TOOL_OK;
}
