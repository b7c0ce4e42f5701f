/* SPDX-License-Identifier: Apache-2.0
 *
 * The folder, its book, and every file in it. Each step is written so that a cut leaves
 * something that works: a number used up, a certificate noted and not handed out, a list
 * that is the old one.
 */
#include "tool/pki_site.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tool/tool.h"

#define DAY_US      (INT64_C(86400) * US_PER_S)
#define BACKDATE_US DAY_US /* clocks that are a little behind accept at once */
/* A revocation list that ran out would shut every board out. */
#define LIST_DAYS (INT64_C(20) * 365)
#define TEXT_MAX  ((size_t)4 << 20)

static const struct {
    const char *text, *folder, *authority;
    enum pki_role role;
} parties[] = {
    [PARTY_BOARD] = {"board", "boards", "clients", PKI_CLIENT},
    [PARTY_CHART] = {"chart", "charts", "clients", PKI_CLIENT},
    [PARTY_BROKER] = {"broker", "broker", "servers", PKI_SERVER},
};

const char *pki_party_text(enum pki_party party)
{
    return parties[party].text;
}

bool pki_party_of(const json_t *entry, enum pki_party *party)
{
    const char *text = json_string_value(json_object_get(entry, "party"));

    for (size_t i = 0; text != NULL && i < sizeof(parties) / sizeof(parties[0]); i++)
        if (strcmp(text, parties[i].text) == 0) {
            *party = (enum pki_party)i;
            return true;
        }
    return false;
}

/* --- Files --- */

int pki_text_read(const char *path, char **out)
{
    uint8_t *bytes;
    ssize_t n = file_read(path, TEXT_MAX, &bytes);

    if (n < 0) {
        (void)tool_fail(TOOL_IO, "%s: %s", path, strerror((int)-n));
        return TOOL_IO;
    }
    *out = (char *)bytes; /* file_read ends it */
    return 0;
}

int pki_text_write(const char *path, const char *text, unsigned mode)
{
    int error = file_replace(path, text, strlen(text), (mode_t)mode);

    return error == 0 ? 0 : tool_fail(TOOL_IO, "%s: %s", path, strerror(-error));
}

static int __attribute__((format(printf, 2, 3)))
path_of(char out[PKI_PATH_SIZE], const char *format, ...)
{
    va_list arguments;
    int n;

    va_start(arguments, format);
    n = vsnprintf(out, PKI_PATH_SIZE, format, arguments);
    va_end(arguments);
    return n < PKI_PATH_SIZE ? 0 : tool_fail(TOOL_IO, "the folder's path is too long");
}

const char *pki_site_path(const struct pki_site *site, enum pki_party party,
                          const char *name, const char *file, char out[PKI_PATH_SIZE])
{
    if (party == PARTY_BROKER)
        (void)path_of(out, "%s/broker/%s", site->folder, file);
    else
        (void)path_of(out, "%s/%s/%s/%s", site->folder, parties[party].folder, name,
                      file);
    return out;
}

/* 0700; one that is there already is used. */
static int make_folder(const char *path)
{
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    return 0;
}

/* Copies one text file; the copy is readable by all, for neither certificates nor lists
 * are secret. */
static int copy(const char *from, const char *to)
{
    char *text;
    int error = pki_text_read(from, &text);

    if (error == 0) {
        error = pki_text_write(to, text, 0644);
        free(text);
    }
    return error;
}

/* --- The book --- */

/* The book has no secret in it, but who has which board is nobody's business. */
int pki_site_save(struct pki_site *site)
{
    char path[PKI_PATH_SIZE], *text = json_dumps(site->book, JSON_INDENT(1));
    int error;

    if (text == NULL)
        return tool_fail(TOOL_IO, "out of memory");
    error = path_of(path, "%s/pki.json", site->folder);
    if (error == 0)
        error = pki_text_write(path, text, 0600);
    free(text);
    return error;
}

/* Two people signing at once would each write a book without the other's entry. */
static int take_lock(struct pki_site *site)
{
    char path[PKI_PATH_SIZE];

    if (path_of(path, "%s/.lock", site->folder) != 0)
        return TOOL_IO;
    site->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (site->lock < 0 || flock(site->lock, LOCK_EX) != 0)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    return 0;
}

int pki_site_open(const char *folder, struct pki_site *site)
{
    char path[PKI_PATH_SIZE], *absolute = realpath(folder, NULL), *text;
    const char *name;
    int error;

    memset(site, 0, sizeof(*site));
    site->lock = -1;
    if (absolute == NULL)
        return tool_fail(TOOL_IO, "%s: %s", folder, strerror(errno));
    error = path_of(site->folder, "%s", absolute);
    free(absolute);
    if (error != 0 || path_of(path, "%s/pki.json", site->folder) != 0)
        return TOOL_IO;
    if (access(path, F_OK) != 0)
        return tool_fail(TOOL_CONFIG,
                         "%s holds no PKI: make one with 'wardgate pki init'", folder);
    if ((error = take_lock(site)) != 0 || (error = pki_text_read(path, &text)) != 0)
        return error;
    site->book = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    name = json_string_value(json_object_get(site->book, "site"));
    if (name == NULL || !name_valid(name) ||
        !json_is_array(json_object_get(site->book, "issued")))
        return tool_fail(TOOL_CONFIG, "%s is damaged: restore it from its copy", path);
    (void)snprintf(site->name, sizeof(site->name), "%s", name);
    return 0;
}

void pki_site_close(struct pki_site *site)
{
    json_decref(site->book);
    site->book = NULL;
    if (site->lock >= 0)
        (void)close(site->lock);
    site->lock = -1;
}

/* One authority: key, self-signed certificate. */
static int make_authority(const struct pki_site *site, const char *which, int64_t days)
{
    char key[PKI_PEM_SIZE], certificate[PKI_PEM_SIZE], path[PKI_PATH_SIZE],
        name[PKI_NAME_SIZE];
    struct pki_subject subject;
    int error;

    memset(&subject, 0, sizeof(subject));
    (void)snprintf(name, sizeof(name), "%s.%s", which, site->name);
    subject.role = PKI_AUTHORITY;
    subject.common_name = name;
    subject.organisation = site->name;
    subject.unit = "authority";
    subject.not_before_us = clock_utc_us() - BACKDATE_US;
    subject.not_after_us = clock_utc_us() + days * DAY_US;
    if (path_of(path, "%s/%s", site->folder, which) != 0 || make_folder(path) != 0)
        return TOOL_IO;
    if ((error = pki_serial(subject.serial)) != PKI_OK ||
        (error = pki_key(key)) != PKI_OK ||
        (error = pki_sign(&subject, key, NULL, NULL, certificate)) != PKI_OK)
        return tool_fail(TOOL_CONFIG, "%s: %s", name, pki_error_text(error));

    error = path_of(path, "%s/%s/ca.key", site->folder, which);
    if (error == 0)
        error = pki_text_write(path, key, 0600);
    if (error == 0)
        error = path_of(path, "%s/%s/ca.pem", site->folder, which);
    return error != 0 ? error : pki_text_write(path, certificate, 0644);
}

int pki_site_make(const char *folder, const char *name, int64_t days,
                  struct pki_site *site)
{
    char path[PKI_PATH_SIZE], *absolute;
    int error;

    memset(site, 0, sizeof(*site));
    site->lock = -1;
    if (make_folder(folder) != 0)
        return TOOL_IO;
    if ((absolute = realpath(folder, NULL)) == NULL)
        return tool_fail(TOOL_IO, "%s: %s", folder, strerror(errno));
    error = path_of(site->folder, "%s", absolute);
    free(absolute);
    if (error != 0 || path_of(path, "%s/pki.json", site->folder) != 0)
        return TOOL_IO;
    if (access(path, F_OK) == 0) /* overwriting it would orphan every board of the site */
        return tool_fail(TOOL_USAGE, "%s holds a PKI already", folder);
    if ((error = take_lock(site)) != 0)
        return error;
    (void)snprintf(site->name, sizeof(site->name), "%s", name);
    site->book = json_pack("{s:i, s:s, s:i, s:[]}", "version", 1, "site", name,
                           "list_number", 0, "issued");

    if ((error = make_authority(site, "clients", days)) == 0)
        error = make_authority(site, "servers", days);
    for (size_t i = 0; error == 0 && i < sizeof(parties) / sizeof(parties[0]); i++)
        if ((error = path_of(path, "%s/%s", site->folder, parties[i].folder)) == 0)
            error = make_folder(path);
    if (error == 0)
        error = pki_site_publish(site);
    return error;
}

/* The last entry of the name is the newest. */
json_t *pki_site_find(const struct pki_site *site, const char *name)
{
    json_t *entry, *found = NULL;
    size_t i;

    json_array_foreach(json_object_get(site->book, "issued"), i, entry)
    {
        const char *text = json_string_value(json_object_get(entry, "name"));
        if (text != NULL && strcmp(text, name) == 0)
            found = entry;
    }
    return found;
}

/* --- Issuing --- */

/* The caller frees both, also after an error. */
static int load_authority(const struct pki_site *site, const char *which,
                          char **certificate, char **key)
{
    char path[PKI_PATH_SIZE];

    *certificate = *key = NULL;
    if (path_of(path, "%s/%s/ca.pem", site->folder, which) != 0 ||
        pki_text_read(path, certificate) != 0 ||
        path_of(path, "%s/%s/ca.key", site->folder, which) != 0 ||
        pki_text_read(path, key) != 0)
        return TOOL_IO;
    return 0;
}

static int note(struct pki_site *site, enum pki_party party,
                const struct pki_subject *subject)
{
    json_t *hosts = json_array();
    char serial[2 * PKI_SERIAL_SIZE + 1];
    json_t *entry =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:n, s:o}", "name", subject->common_name,
                  "party", parties[party].text, "serial",
                  hex_text(subject->serial, PKI_SERIAL_SIZE, serial), "not_before_us",
                  (json_int_t)subject->not_before_us, "not_after_us",
                  (json_int_t)subject->not_after_us, "revoked_us", "hosts", hosts);

    for (size_t i = 0; i < subject->hosts_count; i++) /* for the renewal */
        (void)json_array_append_new(hosts, json_string(subject->hosts[i]));
    if (entry == NULL ||
        json_array_append_new(json_object_get(site->book, "issued"), entry) != 0)
        return tool_fail(TOOL_IO, "out of memory");
    return pki_site_save(site);
}

/* Everything that a party carries besides its key: whom it trusts, whom no longer, and
 * what it is. */
static int write_party(const struct pki_site *site, enum pki_party party,
                       const char *name, const char *certificate, const char *key)
{
    const char *trusts = party == PARTY_BROKER ? "clients" : "servers";
    char from[PKI_PATH_SIZE], to[PKI_PATH_SIZE];
    int error = 0;

    if (party != PARTY_BROKER)
        error = make_folder(pki_site_path(site, party, name, "", to));
    if (error == 0 && key != NULL)
        error =
            pki_text_write(pki_site_path(site, party, name, "key.pem", to), key, 0600);
    if (error == 0)
        error = pki_text_write(pki_site_path(site, party, name, "cert.pem", to),
                               certificate, 0644);
    if (error == 0 && (error = path_of(from, "%s/%s/ca.pem", site->folder, trusts)) == 0)
        error = copy(from, pki_site_path(site, party, name, "ca.pem", to));
    if (error == 0 && (error = path_of(from, "%s/%s/crl.pem", site->folder, trusts)) == 0)
        error = copy(from, pki_site_path(site, party, name, "crl.pem", to));
    return error;
}

/* A name belongs to one kind of party for ever: a revoked board's must not come back as a
 * chart. */
static int check_name(const struct pki_site *site, enum pki_party party, const char *name)
{
    const json_t *entry = pki_site_find(site, name);
    enum pki_party earlier;

    if (!name_valid(name))
        return tool_fail(
            TOOL_USAGE,
            "'%.60s' is not a name: 1..%d of a-z, 0-9 and '-', no '-' at an end", name,
            NAME_MAX_LENGTH);
    if (entry != NULL && pki_party_of(entry, &earlier) && earlier != party)
        return tool_fail(TOOL_USAGE, "'%s' is a %s already", name, parties[earlier].text);
    return 0;
}

/* from is never trusted for anything but its public key. */
int pki_site_issue(struct pki_site *site, enum pki_party party, const char *name,
                   const char *from, const char *key, int64_t days,
                   const char *const *hosts, size_t hosts_count)
{
    char certificate[PKI_PEM_SIZE], *ca = NULL, *ca_key = NULL;
    struct pki_subject subject;
    int error = check_name(site, party, name);

    if (error != 0)
        return error;
    memset(&subject, 0, sizeof(subject));
    subject.role = parties[party].role;
    subject.common_name = name;
    subject.organisation = site->name;
    subject.unit = parties[party].text;
    subject.not_before_us = clock_utc_us() - BACKDATE_US;
    subject.not_after_us = clock_utc_us() + days * DAY_US;
    subject.hosts = hosts;
    subject.hosts_count = hosts_count;

    if ((error = load_authority(site, parties[party].authority, &ca, &ca_key)) == 0) {
        int refused = pki_serial(subject.serial);
        if (refused == PKI_OK)
            refused = pki_sign(&subject, from, ca, ca_key, certificate);
        if (refused != PKI_OK)
            error = tool_fail(TOOL_CONFIG, "%s: %s", name, pki_error_text(refused));
    }
    /* Noted before it is handed out: a certificate that nobody knows of could not be
     * revoked. */
    if (error == 0)
        error = note(site, party, &subject);
    if (error == 0)
        error = write_party(site, party, name, certificate, key);
    free(ca_key);
    free(ca);
    return error;
}

/* --- Revoking --- */

int pki_site_revoke(struct pki_site *site, const char *name, size_t *count)
{
    json_t *entry;
    size_t i;

    *count = 0;
    if (pki_site_find(site, name) == NULL)
        return tool_fail(TOOL_USAGE,
                         "nothing was ever issued to '%.60s' (see 'wardgate pki list')",
                         name);
    json_array_foreach(json_object_get(site->book, "issued"), i, entry)
    {
        const char *text = json_string_value(json_object_get(entry, "name"));
        if (text == NULL || strcmp(text, name) != 0 ||
            json_is_integer(json_object_get(entry, "revoked_us")))
            continue;
        if (json_object_set_new(entry, "revoked_us", json_integer(clock_utc_us())) != 0)
            return tool_fail(TOOL_IO, "out of memory");
        ++*count;
    }
    return pki_site_save(site);
}

/* The revoked serials of one authority. The caller frees *out. */
static int collect(const struct pki_site *site, const char *authority,
                   struct pki_revoked **out, size_t *count)
{
    const json_t *issued = json_object_get(site->book, "issued"), *entry;
    struct pki_revoked *revoked = calloc(json_array_size(issued) + 1, sizeof(*revoked));
    size_t i;

    *count = 0;
    *out = revoked;
    if (revoked == NULL)
        return tool_fail(TOOL_IO, "out of memory");
    json_array_foreach(issued, i, entry)
    {
        const json_t *when = json_object_get(entry, "revoked_us");
        const char *serial = json_string_value(json_object_get(entry, "serial"));
        enum pki_party party;
        if (!json_is_integer(when))
            continue;
        if (!pki_party_of(entry, &party) || serial == NULL ||
            !hex_bytes(serial, revoked[*count].serial, PKI_SERIAL_SIZE))
            return tool_fail(TOOL_CONFIG, "pki.json: entry %zu is damaged", i);
        if (strcmp(parties[party].authority, authority) != 0)
            continue;
        revoked[(*count)++].when_us = json_integer_value(when);
    }
    return 0;
}

static int publish_one(const struct pki_site *site, const char *authority,
                       uint64_t number)
{
    char path[PKI_PATH_SIZE], *ca, *ca_key, *list = malloc(PKI_CRL_SIZE);
    struct pki_revoked *revoked = NULL;
    int64_t now = clock_utc_us();
    size_t count;
    int refused, error = load_authority(site, authority, &ca, &ca_key);

    if (list == NULL) {
        (void)tool_fail(TOOL_IO, "out of memory");
        error = TOOL_IO;
    }
    if (error == 0)
        error = collect(site, authority, &revoked, &count);
    if (error == 0) {
        refused =
            pki_revocations(ca, ca_key, number, now - BACKDATE_US,
                            now + LIST_DAYS * DAY_US, revoked, count, list, PKI_CRL_SIZE);
        /* Never hand out a list that we could not read ourselves. */
        if (refused == PKI_OK)
            refused = pki_revocations_check(list, ca, &count);
        if (refused != PKI_OK)
            error = tool_fail(TOOL_CONFIG, "revocation list of %s: %s", authority,
                              pki_error_text(refused));
    }
    if (error == 0 &&
        (error = path_of(path, "%s/%s/crl.pem", site->folder, authority)) == 0)
        error = pki_text_write(path, list, 0644);
    free(revoked);
    free(list);
    free(ca_key);
    free(ca);
    return error;
}

/* Where a party has a folder here, its list is brought up to date. */
static int refresh_copies(const struct pki_site *site)
{
    const json_t *entry;
    char from[PKI_PATH_SIZE], to[PKI_PATH_SIZE];
    size_t i;

    json_array_foreach(json_object_get(site->book, "issued"), i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));
        enum pki_party party;
        int error;
        if (name == NULL || !pki_party_of(entry, &party) ||
            access(pki_site_path(site, party, name, "crl.pem", to), F_OK) != 0)
            continue;
        error = path_of(from, "%s/%s/crl.pem", site->folder,
                        party == PARTY_BROKER ? "clients" : "servers");
        if (error == 0)
            error = copy(from, to);
        if (error != 0)
            return error;
    }
    return 0;
}

/* Both lists, even if only one changed: they are small, and then always of one age. */
int pki_site_publish(struct pki_site *site)
{
    json_int_t number =
        json_integer_value(json_object_get(site->book, "list_number")) + 1;
    int error;

    /* The number is used up before the list exists: two different lists never share one.
     */
    if (json_object_set_new(site->book, "list_number", json_integer(number)) != 0)
        return tool_fail(TOOL_IO, "out of memory");
    if ((error = pki_site_save(site)) != 0 ||
        (error = publish_one(site, "clients", (uint64_t)number)) != 0 ||
        (error = publish_one(site, "servers", (uint64_t)number)) != 0)
        return error;
    return refresh_copies(site);
}
