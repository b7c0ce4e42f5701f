/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate pki`: a site's certificates from first authority to revocation, without
 * another tool.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/zone.h"
#include "tool/pki_broker.h"
#include "tool/pki_site.h"
#include "tool/tool.h"
#include "tool/verbs.h"

#define DAYS_AUTHORITY 7300 /* twenty years: replacing it means visiting every board */
#define DAYS_PARTY     800
#define SOON_US        (INT64_C(30) * 86400 * US_PER_S)

static const char help[] =
    "usage: wardgate pki COMMAND DIR [...]\n"
    "\n"
    "A site's certificates, kept in the folder DIR (on one machine that few may use; "
    "copy it away: without it\n"
    "no board can be added). A board's private key is best made on the board:\n"
    "\n"
    "  wardgate pki init DIR --site homerton        two authorities: one signs clients, "
    "one servers\n"
    "  wardgate pki broker DIR HOST...              the broker's key and certificate for "
    "these host names and\n"
    "                                               addresses (exactly as boards will "
    "dial them)\n"
    "  wardgate pki chart DIR NAME                  a chart service's key and "
    "certificate\n"
    "  wardgate pki csr FOLDER NAME --site SITE     on the board: key.pem and "
    "request.pem in FOLDER\n"
    "  wardgate pki sign DIR NAME REQUEST.pem       certifies that request: "
    "DIR/boards/NAME/ then holds what to\n"
    "                                               copy to the board (ca.pem cert.pem "
    "crl.pem)\n"
    "  wardgate pki board DIR NAME                  the last two in one, with the key "
    "made here\n"
    "  wardgate pki broker-config DIR               DIR/broker/mosquitto.conf and acl, "
    "ready to start\n"
    "       [--port 8883] [--listen ADDRESS] [--user USER] [--folder "
    "WHERE-THE-BROKER-FOLDER-WILL-BE]\n"
    "  wardgate pki renew DIR NAME                  a new certificate for the same key\n"
    "  wardgate pki revoke DIR NAME [--broker-pid PID] [-- COMMAND ...]\n"
    "       cuts NAME off: the broker is told (SIGHUP to PID: no new connection, and not "
    "one more message\n"
    "       on an old one) or restarted by COMMAND (old connections end as well)\n"
    "  wardgate pki list DIR                        what was issued; 1 if something ends "
    "within 30 days\n"
    "\n"
    "Options: --days N (how long what is made is valid), --json, --help\n"
    "\n"
    "A first site, from nothing to a running broker:\n"
    "  wardgate pki init /srv/pki --site homerton\n"
    "  wardgate pki broker /srv/pki broker.homerton.local\n"
    "  wardgate pki chart /srv/pki chart-1\n"
    "  wardgate pki board /srv/pki bay-1\n"
    "  wardgate pki broker-config /srv/pki --user mosquitto\n"
    "  mosquitto -c /srv/pki/broker/mosquitto.conf\n"
    "\n"
    "Exit codes: 0 done, 1 something ends soon or the broker was not told, 64 called "
    "wrongly, 74 files, 78 a\n"
    "certificate, request or the folder is bad.\n";

/* The options of one call, whichever command it is. */
struct call {
    const char *site, *days, *port, *listen, *user, *folder, *pid;
    bool json;
    int operands; /* after DIR */
    char **operand;
};

/* --days, or what is usual for the kind. */
static int days_of(const struct call *call, long long preset, long long *days)
{
    *days = preset;
    if (call->days != NULL && !tool_number(call->days, 1, 20000, days))
        return tool_usage("pki", "--days '%.20s': expected 1..20000", call->days);
    return TOOL_OK;
}

/* Where it is: the next step is to copy it. */
static void say_made(const struct call *call, const struct pki_site *site,
                     const char *what, const char *name, const char *folder)
{
    if (call->json)
        tool_print(json_pack("{s:b, s:s, s:s, s:s, s:s}", "ok", 1, "site", site->name,
                             "made", what, "name", name, "folder", folder));
    else
        (void)printf("%s %s of %s: %s\n", what, name, site->name, folder);
}

/* --- Commands: each is called with the site open, except init and csr --- */

/* Twenty years by default: replacing an authority means a visit to every board. */
static int do_init(struct pki_site *site, const char *folder, const struct call *call)
{
    long long days;
    int error = days_of(call, DAYS_AUTHORITY, &days);

    if (error != 0)
        return error;
    if (call->site == NULL || !name_valid(call->site))
        return tool_usage("pki", "init needs --site NAME: 1..%d of a-z, 0-9 and '-'",
                          NAME_MAX_LENGTH);
    error = pki_site_make(folder, call->site, days, site);
    if (error == 0)
        error = pki_broker_acl(site);
    if (error == 0)
        say_made(call, site, "authorities", "clients, servers", site->folder);
    return error;
}

static int do_csr(struct pki_site *site, const char *folder, const struct call *call)
{
    char key[PKI_PATH_SIZE], request[PKI_PATH_SIZE], fresh[PKI_PEM_SIZE],
        text[PKI_PEM_SIZE], *kept = NULL;
    int error = 0, refused = PKI_OK;

    (void)site;
    if (call->operands != 1 || call->site == NULL || !name_valid(call->site) ||
        !name_valid(call->operand[0]))
        return tool_usage("pki", "expected: csr FOLDER NAME --site SITE");
    if (mkdir(folder, S_IRWXU) != 0 && errno != EEXIST)
        return tool_fail(TOOL_IO, "%s: %s", folder, strerror(errno));
    if (snprintf(key, sizeof(key), "%s/key.pem", folder) >= (int)sizeof(key) ||
        snprintf(request, sizeof(request), "%s/request.pem", folder) >=
            (int)sizeof(request))
        return tool_fail(TOOL_IO, "the folder's path is too long");

    /* A key that is there stays: asking again must not cut a working board off. */
    if (access(key, F_OK) == 0)
        error = pki_text_read(key, &kept);
    else if ((refused = pki_key(fresh)) == PKI_OK)
        error = pki_text_write(key, fresh, 0600);
    if (error == 0 && refused == PKI_OK)
        refused = pki_request(kept != NULL ? kept : fresh, call->operand[0], call->site,
                              "board", text);
    if (error == 0 && refused != PKI_OK)
        error = tool_fail(TOOL_CONFIG, "%s: %s", key, pki_error_text(refused));
    if (error == 0)
        error = pki_text_write(request, text, 0644);
    free(kept);
    if (error == 0 && call->json)
        tool_print(json_pack("{s:b, s:s, s:s}", "ok", 1, "key", key, "request", request));
    else if (error == 0)
        (void)printf("request %s: have it signed with 'wardgate pki sign', copy the "
                     "result beside it\n",
                     request);
    return error;
}

/* A key made here, and its certificate. */
static int issue(struct pki_site *site, const struct call *call, enum pki_party party,
                 const char *name, const char *const *hosts, size_t hosts_count)
{
    char key[PKI_PEM_SIZE], folder[PKI_PATH_SIZE];
    long long days;
    int error = days_of(call, DAYS_PARTY, &days);

    if (error != 0)
        return error;
    if (pki_key(key) != PKI_OK)
        return tool_fail(TOOL_IO, "no key could be made");
    error = pki_site_issue(site, party, name, key, key, days, hosts, hosts_count);
    if (error == 0)
        error = pki_broker_acl(site);
    if (error == 0)
        say_made(call, site, pki_party_text(party), name,
                 pki_site_path(site, party, name, "", folder));
    return error;
}

/* For a bench or a demo: the key is made here and has to travel. */
static int do_board(struct pki_site *site, const char *folder, const struct call *call)
{
    (void)folder;
    if (call->operands != 1)
        return tool_usage("pki", "expected: board DIR NAME");
    return issue(site, call, PARTY_BOARD, call->operand[0], NULL, 0);
}

static int do_chart(struct pki_site *site, const char *folder, const struct call *call)
{
    (void)folder;
    if (call->operands != 1)
        return tool_usage("pki", "expected: chart DIR NAME");
    return issue(site, call, PARTY_CHART, call->operand[0], NULL, 0);
}

/* All hosts in one certificate; the boards check exactly the one that they dial. */
static int do_broker(struct pki_site *site, const char *folder, const struct call *call)
{
    (void)folder;
    if (call->operands < 1 || call->operands > PKI_HOSTS_MAX)
        return tool_usage("pki", "expected: broker DIR HOST... (1..%d)", PKI_HOSTS_MAX);
    return issue(site, call, PARTY_BROKER, "broker", (const char *const *)call->operand,
                 (size_t)call->operands);
}

static int do_sign(struct pki_site *site, const char *folder, const struct call *call)
{
    char asked[PKI_NAME_SIZE], *request, path[PKI_PATH_SIZE];
    long long days;
    int error, refused;

    (void)folder;
    if (call->operands != 2)
        return tool_usage("pki", "expected: sign DIR NAME REQUEST.pem");
    if ((error = days_of(call, DAYS_PARTY, &days)) != 0 ||
        (error = pki_text_read(call->operand[1], &request)) != 0)
        return error;
    /* The name is given by whoever signs, and must be what the request asks for: a mix-up
     * is seen here. */
    refused = pki_request_read(request, asked);
    if (refused != PKI_OK)
        error =
            tool_fail(TOOL_CONFIG, "%s: %s", call->operand[1], pki_error_text(refused));
    else if (strcmp(asked, call->operand[0]) != 0)
        error = tool_fail(TOOL_CONFIG, "%s asks for '%s', not for '%s'", call->operand[1],
                          asked, call->operand[0]);
    else
        error = pki_site_issue(site, PARTY_BOARD, asked, request, NULL, days, NULL, 0);
    free(request);
    if (error == 0)
        error = pki_broker_acl(site);
    if (error == 0)
        say_made(call, site, "board", asked,
                 pki_site_path(site, PARTY_BOARD, asked, "", path));
    return error;
}

/* The same key and hosts, another end. The old certificate stays valid: no moment in
 * which neither is. */
static int do_renew(struct pki_site *site, const char *folder, const struct call *call)
{
    const char *hosts[PKI_HOSTS_MAX], *name;
    char path[PKI_PATH_SIZE], *certificate;
    const json_t *entry, *list;
    enum pki_party party;
    size_t count = 0;
    long long days;
    int error;

    (void)folder;
    if (call->operands != 1)
        return tool_usage("pki", "expected: renew DIR NAME");
    if ((error = days_of(call, DAYS_PARTY, &days)) != 0)
        return error;
    name = call->operand[0];
    entry = pki_site_find(site, name);
    if (entry == NULL || !pki_party_of(entry, &party))
        return tool_fail(TOOL_USAGE, "nothing was ever issued to '%.60s'", name);
    if (json_is_integer(json_object_get(entry, "revoked_us")))
        return tool_fail(TOOL_USAGE,
                         "'%s' is revoked: its key must not come back; make a new one",
                         name);
    list = json_object_get(entry, "hosts");
    for (; count < json_array_size(list) && count < PKI_HOSTS_MAX; count++)
        hosts[count] = json_string_value(json_array_get(list, count));
    if ((error = pki_text_read(pki_site_path(site, party, name, "cert.pem", path),
                               &certificate)) != 0)
        return error;
    error = pki_site_issue(site, party, name, certificate, NULL, days, hosts, count);
    free(certificate);
    if (error == 0)
        say_made(call, site, pki_party_text(party), name, path);
    return error;
}

static int do_broker_config(struct pki_site *site, const char *folder,
                            const struct call *call)
{
    struct pki_broker broker = {call->listen, 8883, call->user, call->folder};
    char path[PKI_PATH_SIZE];
    int error;

    (void)folder;
    if (call->operands != 0)
        return tool_usage("pki", "expected: broker-config DIR");
    if (call->port != NULL && !tool_number(call->port, 1, 65535, &broker.port))
        return tool_usage("pki", "--port '%.20s': expected 1..65535", call->port);
    if (access(pki_site_path(site, PARTY_BROKER, NULL, "cert.pem", path), F_OK) != 0)
        return tool_fail(
            TOOL_USAGE,
            "the broker has no certificate yet: 'wardgate pki broker DIR HOST...'");
    error = pki_broker_config(site, &broker);
    if (error == 0)
        say_made(call, site, "broker configuration", "mosquitto.conf",
                 pki_site_path(site, PARTY_BROKER, NULL, "mosquitto.conf", path));
    return error;
}

/* --- Revoking --- */

/* Without a shell: the words are those of the command line. */
static int run_command(char **argv)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
        WEXITSTATUS(status) != 0)
        return tool_fail(TOOL_UNAVAILABLE, "'%s' failed: the broker was NOT restarted",
                         argv[0]);
    return TOOL_OK;
}

static int do_revoke(struct pki_site *site, const char *folder, const struct call *call)
{
    bool told = call->pid != NULL || call->operands > 1;
    size_t count;
    int error;

    (void)folder;
    if (call->operands < 1)
        return tool_usage(
            "pki", "expected: revoke DIR NAME [--broker-pid PID] [-- COMMAND ...]");
    if ((error = pki_site_revoke(site, call->operand[0], &count)) != 0 ||
        (error = pki_site_publish(site)) != 0 || (error = pki_broker_acl(site)) != 0)
        return error;
    if (call->pid != NULL && (error = pki_broker_tell(call->pid)) != 0)
        return error;
    if (call->operands > 1) {
        /* The vector is argv's, cut at the first operand behind NAME, and ends with NULL
         * there. */
        if ((error = run_command(call->operand + 1)) != 0)
            return error;
    }
    if (call->json)
        tool_print(json_pack("{s:b, s:s, s:I, s:b}", "ok", 1, "revoked", call->operand[0],
                             "certificates", (json_int_t)count, "broker_told", told));
    else
        (void)printf("%s: %zu certificate%s revoked\n", call->operand[0], count,
                     count == 1 ? "" : "s");
    if (!told) {
        (void)tool_fail(
            TOOL_FINDINGS,
            "the broker does not know yet: copy %s/broker/crl.pem and acl to it, then "
            "SIGHUP or restart it",
            site->folder);
        return TOOL_FINDINGS;
    }
    return TOOL_OK;
}

/* --- Listing --- */

/* What is replaced or revoked is shown too: it is the site's record. */
static int do_list(struct pki_site *site, const char *folder, const struct call *call)
{
    json_t *issued = json_object_get(site->book, "issued"), *entry;
    int64_t now = clock_utc_us();
    int code = TOOL_OK;
    size_t i;

    (void)folder;
    if (!call->json)
        (void)printf("%-24s %-7s %-24s %s\n", "NAME", "PARTY", "VALID UNTIL", "STATE");
    json_array_foreach(issued, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name")),
                   *state = "valid";
        int64_t end = json_integer_value(json_object_get(entry, "not_after_us"));
        char until[ZONE_TEXT_SIZE];
        if (json_is_integer(json_object_get(entry, "revoked_us")))
            state = "revoked";
        else if (pki_site_find(site, name != NULL ? name : "") != entry)
            state = "replaced";
        else if (end < now + SOON_US) {
            state = end < now ? "ENDED" : "ends soon";
            code = TOOL_FINDINGS;
        }
        if (call->json) {
            json_t *line = json_copy(entry);
            (void)json_object_set_new(line, "valid_until",
                                      json_string(utc_text(end, until)));
            (void)json_object_set_new(line, "state", json_string(state));
            tool_print(line);
        } else
            (void)printf("%-24s %-7s %-24s %s\n", name,
                         json_string_value(json_object_get(entry, "party")),
                         utc_text(end, until), state);
    }
    return code;
}

static const struct {
    const char *name;
    bool opens;
    int (*run)(struct pki_site *site, const char *folder, const struct call *call);
} commands[] = {
    {"init", false, do_init},
    {"csr", false, do_csr},
    {"board", true, do_board},
    {"sign", true, do_sign},
    {"broker", true, do_broker},
    {"chart", true, do_chart},
    {"broker-config", true, do_broker_config},
    {"renew", true, do_renew},
    {"revoke", true, do_revoke},
    {"list", true, do_list},
};

int verb_pki(int argc, char **argv)
{
    struct call call = {.json = false};
    const struct tool_option options[] = {
        {"site", &call.site, NULL},      {"days", &call.days, NULL},
        {"port", &call.port, NULL},      {"listen", &call.listen, NULL},
        {"user", &call.user, NULL},      {"folder", &call.folder, NULL},
        {"broker-pid", &call.pid, NULL}, {NULL, NULL, NULL},
    };
    struct pki_site site = {.lock = -1};
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &call.json, &code);

    if (operands < 0)
        return code;
    if (operands < 2)
        return tool_usage("pki", "expected a command and a folder");
    argv[1 + operands] = NULL; /* operands moved forward: what follows them is used up */
    call.operands = operands - 2;
    call.operand = argv + 3;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        if (commands[i].opens)
            code = pki_site_open(argv[2], &site);
        if (code == TOOL_OK)
            code = commands[i].run(&site, argv[2], &call);
        pki_site_close(&site);
        return code;
    }
    return tool_usage("pki", "unknown command '%.40s'", argv[1]);
}
