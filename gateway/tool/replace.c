/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate replace`: a spare takes over from a board that is broken or lost: its name,
 * its configuration and so its beds; but a key of its own, and in its empty store a new
 * epoch. The old board's certificate is revoked before the spare has one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tool/enrolment.h"
#include "tool/pki_broker.h"
#include "tool/tool.h"
#include "tool/verbs.h"
#include "tool/yaml_json.h"

#define CONFIG_MAX   (1 << 20)
#define CONFIG_DEPTH 8
#define STORE_PRESET "/var/lib/wardgated/store"

static const char help[] =
    "usage: wardgate replace FOLDER NAME [--config FILE] [--pki DIR [--broker-pid PID] | "
    "--from FOLDER]\n"
    "                        [--days N] [--no-checks] [--json]\n"
    "\n"
    "On a spare board: makes it the gateway NAME in place of one that is broken or lost. "
    "It gets the same\n"
    "configuration, so the same beds and devices; a private key of its own, made here; "
    "and, its store being\n"
    "empty, a new epoch, so that the chart takes none of its readings for the old "
    "board's. Every certificate\n"
    "of the old board is revoked first: if it comes back it is let in nowhere.\n"
    "\n"
    "  --config FILE     the old board's wardgated.yaml; with --pki the copy that "
    "'wardgate enrol --pki' kept\n"
    "                    in DIR/boards/NAME is used when this is left out\n"
    "  --broker-pid PID  tell the mosquitto of this machine at once\n"
    "\n"
    "In one go, with the site's PKI mounted:\n"
    "  wardgate replace /etc/wardgate bay-1 --pki /media/pki\n"
    "\n"
    "By hand, over a stick:\n"
    "  1. on the spare: wardgate replace /etc/wardgate bay-1 --config OLD.yaml   makes "
    "bay-1.csr\n"
    "  2. where the PKI is: wardgate pki revoke DIR bay-1, then wardgate pki sign DIR "
    "bay-1 bay-1.csr\n"
    "  3. on the spare: the first command with --from DIR/boards/bay-1\n"
    "\n"
    "A board that was in use before is made a spare by 'wardgate wipe': one with a key "
    "or "
    "readings of its own is\n"
    "refused. What the old board had not sent is on the old board: if it still runs, let "
    "it send first.\n"
    "\n"
    "Exit codes: 0 done (or the request is made); 1 done, and the broker was not told "
    "yet, or clock or network\n"
    "are to be put right; 64 called wrongly or no spare; 69 wardgated's program is not "
    "there; 74 files; 78 the\n"
    "certificate or configuration is bad.\n";

static const char *text_of(const json_t *config, const char *section, const char *key)
{
    const json_t *object = section != NULL ? json_object_get(config, section) : config;
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : "";
}

/* Whose configuration it is, where the broker is, and that the board is a spare. */
static int judge(struct enrolment *e, const char *path, const json_t *config)
{
    const char *store = text_of(config, "store", "folder");
    char data[PKI_PATH_SIZE];
    long long port = 8883;

    if (strcmp(text_of(config, NULL, "gateway"), e->name) != 0)
        return tool_fail(TOOL_CONFIG, "%s: gateway: is '%.60s', not '%s'", path,
                         text_of(config, NULL, "gateway"), e->name);
    if (e->site[0] != '\0' && strcmp(text_of(config, NULL, "site"), e->site) != 0)
        return tool_fail(TOOL_CONFIG, "%s: site: is '%.60s', not '%s'", path,
                         text_of(config, NULL, "site"), e->site);
    if (!name_valid(text_of(config, NULL, "site")))
        return tool_fail(TOOL_CONFIG, "%s: site: is missing or no name", path);
    (void)snprintf(e->site, sizeof(e->site), "%s", text_of(config, NULL, "site"));
    (void)snprintf(e->host, sizeof(e->host), "%s", text_of(config, "broker", "host"));
    if (text_of(config, "broker", "port")[0] != '\0')
        (void)tool_number(text_of(config, "broker", "port"), 1, 65535, &port);
    e->port = (unsigned short)port;
    e->wall = strcmp(text_of(config, "clock", "trust"), "wall") == 0;
    (void)snprintf(data, sizeof(data), "%.900s/data.mdb",
                   store[0] != '\0' ? store : STORE_PRESET);
    if (access(data, F_OK) == 0)
        return tool_fail(TOOL_USAGE,
                         "%s: this board has readings of its own and is no spare "
                         "(wardgate wipe makes it one)",
                         data);
    return TOOL_OK;
}

/* The configuration's text; the caller frees. */
static int load(struct enrolment *e, const char *given, char **text)
{
    char kept[PKI_PATH_SIZE];
    const char *path = given;
    json_t *config = NULL;
    int code;

    (void)snprintf(kept, sizeof(kept), "%.800s/boards/%s/wardgated.yaml",
                   e->pki != NULL ? e->pki : "", e->name);
    if (path == NULL)
        path = kept;
    *text = NULL;
    if (given == NULL && (e->pki == NULL || access(kept, F_OK) != 0))
        return tool_usage("replace",
                          "--config FILE is needed: no copy of the old board's "
                          "configuration is in the PKI");
    if ((code = pki_text_read(path, text)) != TOOL_OK)
        return code;
    code = yaml_json(path, "configuration", *text, strlen(*text), CONFIG_DEPTH, &config);
    if (code == TOOL_OK)
        code = judge(e, path, config);
    json_decref(config);
    return code;
}

/* A key without a certificate is a replacement that was interrupted: it goes on. */
static bool is_fresh(const struct enrolment *e)
{
    char path[PKI_PATH_SIZE];

    return e->from == NULL && access(enrolment_path(e, ".pem", true, path), F_OK) == 0;
}

/* Revoked, certified, told. *told: the broker knows. */
static int take_over(struct enrolment *e, bool *told)
{
    size_t revoked;
    int code = enrolment_sign(e, true, &revoked);

    *told = false;
    if (code != TOOL_OK)
        return code;
    enrolment_say(e, "revoked", "%zu certificate%s of the old board", revoked,
                  revoked == 1 ? "" : "s");
    if (e->pid != NULL && (code = pki_broker_tell(e->pid)) == TOOL_OK)
        *told = true;
    return code;
}

static int run(struct enrolment *e, const char *given)
{
    char path[PKI_PATH_SIZE], *config = NULL;
    bool told = true, signing = e->pki != NULL;
    int code = load(e, given, &config);

    if (code == TOOL_OK)
        code = enrolment_key(e, is_fresh(e));
    if (code == TOOL_OK && signing)
        code = take_over(e, &told);
    if (code == TOOL_OK && e->from == NULL) {
        enrolment_say(e, "next",
                      "take %s to the site's PKI: wardgate pki revoke DIR %s, then "
                      "wardgate pki sign DIR %s %s.csr; run this again with --from "
                      "DIR/boards/%s",
                      enrolment_path(e, ".csr", true, path), e->name, e->name, e->name,
                      e->name);
        free(config);
        return TOOL_OK;
    }
    if (code == TOOL_OK && (code = enrolment_install(e)) == TOOL_OK)
        code = enrolment_config(e, config);
    free(config);
    if (code != TOOL_OK)
        return code;
    code = enrolment_check(e);
    if (!told) {
        (void)tool_fail(TOOL_FINDINGS,
                        "the broker does not know yet: copy crl.pem and acl of "
                        "%s/broker to it, then SIGHUP or restart it",
                        e->pki);
        code = code == TOOL_OK ? TOOL_FINDINGS : code;
    }
    enrolment_say(e, "next",
                  "systemctl restart wardgated; the old board, if it is found: "
                  "wardgate wipe");
    return code;
}

int verb_replace(int argc, char **argv)
{
    struct enrolment e = {.folder = NULL};
    const char *config = NULL;
    const struct tool_option options[] = {
        {"config", &config, NULL}, {"pki", &e.pki, NULL},
        {"from", &e.from, NULL},   {"broker-pid", &e.pid, NULL},
        {"days", &e.days, NULL},   {"no-checks", NULL, &e.no_checks},
        {NULL, NULL, NULL},
    };
    int code = TOOL_OK,
        operands = options_read(argc, argv, options, help, &e.json, &code);

    if (operands < 0)
        return code;
    if (operands != 2)
        return tool_usage("replace", "expected a folder and the board's name");
    e.folder = argv[1];
    e.name = argv[2];
    if ((code = enrolment_begin(&e)) != TOOL_OK)
        return code;
    return run(&e, config);
}
