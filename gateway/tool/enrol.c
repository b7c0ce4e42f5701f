/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate enrol`: a new board becomes a gateway of a site: its own key, a certificate
 * of the site, the broker, and which bed each port is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool/enrolment.h"
#include "tool/tool.h"
#include "tool/verbs.h"

#define CONFIG_SIZE 65536
#define BEDS_MAX    64

static const char help[] =
    "usage: wardgate enrol FOLDER NAME [BED...] --site SITE --broker HOST[:PORT]\n"
    "                      [--pki DIR | --from FOLDER]\n"
    "                      [--state FOLDER] [--size SIZE] [--profiles FOLDER] [--parity "
    "even|odd|none] [--clock kernel|wall]\n"
    "                      [--days N] [--no-checks] [--json]\n"
    "\n"
    "Makes this board the gateway NAME of SITE. FOLDER is where its files will be: "
    "/etc/wardgate. The board's\n"
    "private key is made here and never leaves.\n"
    "\n"
    "In one go, where the site's PKI (wardgate pki) is on this machine or mounted:\n"
    "  wardgate enrol /etc/wardgate bay-1 "
    "ward-7.bed-1=/dev/bedside/port1:wardgate-node@1 "
    "\\\n"
    "      ward-7.bed-2=/dev/bedside/port2:nonin-df2 --site homerton --broker "
    "broker.homerton.local --pki /media/pki\n"
    "\n"
    "By hand, over a stick that carries no secret either way:\n"
    "  1. on the board: the command above without --pki; it makes "
    "/etc/wardgate/bay-1.csr\n"
    "  2. where the PKI is: wardgate pki sign DIR bay-1 bay-1.csr; copy DIR/boards/bay-1 "
    "back\n"
    "  3. on the board: the command above with --from that folder\n"
    "\n"
    "BED is PLACE=PORT:PROFILE@ADDRESS for a Modbus device (a bed node is "
    "wardgate-node@1) or PLACE=PORT:DRIVER\n"
    "for a device that is alone on a serial line; the catalogue of 'wardgate devices' "
    "lists them. Beds on the same\n"
    "PORT share a bus. A wardgated.yaml that is there already is left as it is when no "
    "BED is given.\n"
    "\n"
    "  --state FOLDER   where readings are kept, instead of /var/lib/wardgated\n"
    "  --size SIZE      of the store, e.g. 512MiB on a small card; 3GiB keep 72 h of 30 "
    "devices\n"
    "  --parity         of Modbus lines; even if not given\n"
    "  --clock wall     believe the board's clock though no time service keeps it\n"
    "  --no-checks      do not look at clock and network, e.g. on a bench without them\n"
    "\n"
    "At the end clock and network are looked at: the time, the broker's name, the way "
    "there, TLS both ways, and\n"
    "that the broker takes this board and nobody else in its name.\n"
    "\n"
    "Exit codes: 0 done (or the request is made), 1 enrolled, and clock or network are "
    "to "
    "be put right, 64 called\n"
    "wrongly, 69 wardgated's program is not there, 74 files, 78 the certificate or the "
    "configuration is bad.\n";

/* A bed as it was given, cut into its parts. */
struct bed {
    char place[64], port[256], driver[64];
    long long address; /* 0: a driver alone on its line */
};

struct plan {
    struct enrolment e;
    const char *state, *size, *profiles, *parity, *clock;
    struct bed beds[BEDS_MAX];
    size_t count;
};

static bool fits(const char *text, size_t n, size_t size, const char *more)
{
    for (size_t i = 0; i < n; i++)
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_",
                   text[i]) == NULL &&
            strchr(more, text[i]) == NULL)
            return false;
    return n > 0 && n < size;
}

/* PLACE=PORT:PROFILE@ADDRESS; a port's name may have colons, so the last one counts. */
static int read_bed(const char *text, struct bed *bed)
{
    const char *equals = strchr(text, '='), *colon = strrchr(text, ':'), *at;
    size_t n;

    if (equals == NULL || colon == NULL || colon < equals)
        return tool_usage("enrol",
                          "'%.80s': expected PLACE=PORT:PROFILE@ADDRESS or "
                          "PLACE=PORT:DRIVER",
                          text);
    at = strchr(colon, '@');
    n = at != NULL ? (size_t)(at - colon) - 1 : strlen(colon + 1);
    bed->address = 0;
    if (at != NULL && !tool_number(at + 1, 1, 247, &bed->address))
        return tool_usage("enrol", "'%.80s': the address must be 1..247", text);
    if (!fits(text, (size_t)(equals - text), sizeof(bed->place), "") ||
        !fits(equals + 1, (size_t)(colon - equals) - 1, sizeof(bed->port), "/:,+@") ||
        !fits(colon + 1, n, sizeof(bed->driver), ""))
        return tool_usage("enrol",
                          "'%.80s': place, port and profile are letters, digits, '.', "
                          "'-' and '_'",
                          text);
    (void)snprintf(bed->place, sizeof(bed->place), "%.*s", (int)(equals - text), text);
    (void)snprintf(bed->port, sizeof(bed->port), "%.*s", (int)(colon - equals) - 1,
                   equals + 1);
    (void)snprintf(bed->driver, sizeof(bed->driver), "%.*s", (int)n, colon + 1);
    return TOOL_OK;
}

/* Two devices on a line that is one device's alone, or at one address, can't both be. */
static int judge_beds(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        for (size_t k = 0; k < i; k++) {
            const struct bed *a = &plan->beds[k], *b = &plan->beds[i];
            if (strcmp(a->port, b->port) != 0)
                continue;
            if (a->address == 0 || b->address == 0)
                return tool_usage("enrol",
                                  "%s: '%s' needs the line for itself, and '%s' is on it",
                                  a->port, a->address == 0 ? a->driver : b->driver,
                                  a->address == 0 ? b->place : a->place);
            if (a->address == b->address)
                return tool_usage("enrol", "%s: address %lld is there twice: %s and %s",
                                  a->port, a->address, a->place, b->place);
        }
    return TOOL_OK;
}

/* --- the configuration --- */

struct text {
    char bytes[CONFIG_SIZE];
    size_t n;
    bool full;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text,
                                                      const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(text->bytes + text->n, sizeof(text->bytes) - text->n, format,
                  arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof(text->bytes) - text->n)
        text->full = true;
    else
        text->n += (size_t)n;
}

static void put_device(struct text *out, const struct bed *bed, size_t number)
{
    if (bed->address != 0)
        put(out, "      - {id: %s-%zu, address: %lld, profile: %s, place: %s}\n",
            bed->driver, number, bed->address, bed->driver, bed->place);
    else
        put(out, "      - {id: %s-%zu, driver: %s, place: %s}\n", bed->driver, number,
            bed->driver, bed->place);
}

/* Each port once, with all the beds on it. */
static void put_buses(struct text *out, const struct plan *plan)
{
    size_t buses = 0;

    put(out, "buses:\n");
    for (size_t i = 0; i < plan->count; i++) {
        const struct bed *first = &plan->beds[i];
        size_t k = 0;
        while (k < i && strcmp(plan->beds[k].port, first->port) != 0)
            k++;
        if (k < i)
            continue;
        put(out, "  - name: line-%zu\n    kind: %s\n    port: %s\n", ++buses,
            first->address != 0 ? "rtu" : "serial", first->port);
        if (first->address != 0)
            put(out, "    baud: 19200\n    parity: %s\n",
                plan->parity != NULL ? plan->parity : "even");
        put(out, "    devices:\n");
        for (k = i; k < plan->count; k++)
            if (strcmp(plan->beds[k].port, first->port) == 0)
                put_device(out, &plan->beds[k], k + 1);
    }
}

static void compose(const struct plan *plan, struct text *out)
{
    const struct enrolment *e = &plan->e;
    const char *state = plan->state != NULL ? plan->state : "/var/lib/wardgated";

    put(out,
        "# Made by wardgate enrol. wardgated -T prints every key with its preset.\n");
    put(out, "site: %s\ngateway: %s\n", e->site, e->name);
    if (plan->state != NULL)
        put(out, "run: %s/run\n", state);
    if (plan->profiles != NULL)
        put(out, "profiles: %s\n", plan->profiles);
    put(out, "store:\n  folder: %s/store\n  key: %s/store.key\n", state, state);
    if (plan->size != NULL)
        put(out, "  size: %s\n", plan->size);
    if (plan->clock != NULL)
        put(out, "clock:\n  trust: %s\n", plan->clock);
    /* Relative to the file: the folder may be made in an office and go onto a card. */
    put(out,
        "broker:\n  host: %s\n  port: %u\n  ca: ca.pem\n  certificate: %s.pem\n"
        "  key: %s.key\n  crl: crl.pem\n",
        e->host, (unsigned)e->port, e->name, e->name);
    put_buses(out, plan);
}

/* Private folders of the daemon's; the package has made them where it is installed. */
static int make_state(const struct plan *plan)
{
    static const char *const parts[] = {"", "/store", "/run"};
    char path[PKI_PATH_SIZE];

    for (size_t i = 0; plan->state != NULL && i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (snprintf(path, sizeof(path), "%s%s", plan->state, parts[i]) >= PKI_PATH_SIZE)
            return tool_fail(TOOL_IO, "the state folder's path is too long");
        if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
            return tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    }
    return TOOL_OK;
}

/* A copy beside the certificate in the site's PKI is what `replace` gives to a spare. */
static int keep_copy(const struct plan *plan, const char *config)
{
    char path[PKI_PATH_SIZE];

    if (plan->e.pki == NULL)
        return TOOL_OK;
    (void)snprintf(path, sizeof(path), "%.800s/boards/%s/wardgated.yaml", plan->e.pki,
                   plan->e.name);
    return pki_text_write(path, config, 0644);
}

static int configure(const struct plan *plan)
{
    struct text *out;
    int code;

    if (plan->count == 0)
        return TOOL_OK;
    if ((out = calloc(1, sizeof(*out))) == NULL)
        return tool_fail(TOOL_IO, "no memory");
    compose(plan, out);
    code = out->full ? tool_fail(TOOL_CONFIG, "too many beds") : make_state(plan);
    if (code == TOOL_OK && (code = enrolment_config(&plan->e, out->bytes)) == TOOL_OK)
        code = keep_copy(plan, out->bytes);
    free(out);
    return code;
}

/* --- the verb --- */

static int run(struct plan *plan)
{
    struct enrolment *e = &plan->e;
    char path[PKI_PATH_SIZE];
    size_t revoked;
    int code = enrolment_key(e, false);

    if (code == TOOL_OK && e->pki != NULL)
        code = enrolment_sign(e, false, &revoked);
    if (code != TOOL_OK)
        return code;
    if (e->from == NULL) {
        enrolment_say(e, "next",
                      "take %s to the site's PKI: wardgate pki sign DIR %s %s.csr; bring "
                      "DIR/boards/%s back, and run this again with --from it",
                      enrolment_path(e, ".csr", true, path), e->name, e->name, e->name);
        return TOOL_OK;
    }
    if ((code = enrolment_install(e)) != TOOL_OK || (code = configure(plan)) != TOOL_OK)
        return code;
    code = enrolment_check(e);
    if (code == TOOL_OK || code == TOOL_FINDINGS)
        enrolment_say(e, "next", "systemctl restart wardgated, then wardgate status");
    return code;
}

static int judge(const struct plan *plan)
{
    static const char *const parities[] = {"even", "odd", "none"};
    size_t i = 0;

    if (plan->e.broker == NULL)
        return tool_usage("enrol", "--broker HOST[:PORT] is needed, exactly as in the "
                                   "broker's certificate");
    if (plan->e.site_name == NULL && plan->e.pki == NULL)
        return tool_usage("enrol", "--site is needed");
    while (plan->parity != NULL && i < 3 && strcmp(plan->parity, parities[i]) != 0)
        i++;
    if (i == 3)
        return tool_usage("enrol", "--parity '%.20s': expected even, odd or none",
                          plan->parity);
    if (plan->clock != NULL && strcmp(plan->clock, "kernel") != 0 &&
        strcmp(plan->clock, "wall") != 0)
        return tool_usage("enrol", "--clock '%.20s': expected kernel or wall",
                          plan->clock);
    if (plan->size != NULL && !fits(plan->size, strlen(plan->size), 20, ""))
        return tool_usage("enrol", "--size '%.20s': expected e.g. 512MiB", plan->size);
    if ((plan->state != NULL &&
         (plan->state[0] != '/' || !fits(plan->state, strlen(plan->state), 200, "/"))) ||
        (plan->profiles != NULL &&
         !fits(plan->profiles, strlen(plan->profiles), 200, "/")))
        return tool_usage("enrol", "--state and --profiles: an absolute path of letters, "
                                   "digits, '.', '-', '_'");
    return judge_beds(plan);
}

int verb_enrol(int argc, char **argv)
{
    static struct plan whole; /* large, and one a run */
    struct plan *plan = &whole;
    struct enrolment *e = &plan->e;
    const struct tool_option options[] = {
        {"site", &e->site_name, NULL},      {"pki", &e->pki, NULL},
        {"from", &e->from, NULL},           {"broker", &e->broker, NULL},
        {"days", &e->days, NULL},           {"state", &plan->state, NULL},
        {"size", &plan->size, NULL},        {"profiles", &plan->profiles, NULL},
        {"parity", &plan->parity, NULL},    {"clock", &plan->clock, NULL},
        {"no-checks", NULL, &e->no_checks}, {NULL, NULL, NULL},
    };
    int code = TOOL_OK, operands;

    operands = options_read(argc, argv, options, help, &e->json, &code);
    if (operands >= 0 && (operands < 2 || operands > 2 + BEDS_MAX))
        code = tool_usage("enrol", "expected a folder, the board's name, and its beds");
    for (int i = 3; i <= operands && code == TOOL_OK; i++)
        code = read_bed(argv[i], &plan->beds[plan->count++]);
    if (operands >= 2 && code == TOOL_OK && (code = judge(plan)) == TOOL_OK) {
        e->folder = argv[1];
        e->name = argv[2];
        e->wall = plan->clock != NULL && strcmp(plan->clock, "wall") == 0;
        if ((code = enrolment_begin(e)) == TOOL_OK)
            code = run(plan);
    }
    return code;
}
