/* SPDX-License-Identifier: Apache-2.0 */
#include "tool/pki_broker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tool/tool.h"

/* In the words of Debian's mosquitto 2.0.11. 'wardgate check broker' holds a broker to
 * the same. */
static const char config_text[] =
    "# Written by 'wardgate pki broker-config' for site %s.\n"
    "\n"
    "# Everyone shows a certificate of the site's clients authority; its common name is "
    "user and client id, so\n"
    "# that no client can take another's place or topics.\n"
    "per_listener_settings false\n"
    "allow_anonymous false\n"
    "acl_file %s/acl\n"
    "\n"
    "# Sessions and retained states outlive a restart. Readings do not depend on it: a "
    "gateway keeps each one until\n"
    "# the chart's receipt. Saving by time and not by change keeps the broker from "
    "rewriting its file at every message.\n"
    "persistence true\n"
    "persistence_location %s/data/\n"
    "autosave_interval 10\n"
    "autosave_on_changes false\n"
    "\n"
    "# The default of 1000 messages drops the rest without a word to anyone. Bytes are "
    "the limit here.\n"
    "max_queued_messages 0\n"
    "max_queued_bytes 536870912\n"
    "max_packet_size 131072\n"
    "max_inflight_messages 100\n"
    "set_tcp_nodelay true\n"
    "\n"
    "log_dest stderr\n"
    "log_type error\n"
    "log_type warning\n"
    "log_type notice\n"
    "%s%s%s"
    "\n"
    "listener %lld%s%s\n"
    "cafile %s/ca.pem\n"
    "certfile %s/cert.pem\n"
    "keyfile %s/key.pem\n"
    "crlfile %s/crl.pem\n"
    "require_certificate true\n"
    "use_identity_as_username true\n"
    "use_username_as_clientid true\n"
    "tls_version tlsv1.2\n";

/* The file is written anew each time: what a person changed in it belongs into a file
 * of their own. */
int pki_broker_config(const struct pki_site *site, const struct pki_broker *broker)
{
    char path[PKI_PATH_SIZE], here[PKI_PATH_SIZE], *text;
    const char *folder = broker->folder;
    int error = 0;

    (void)pki_site_path(site, PARTY_BROKER, NULL, "data", path);
    if (mkdir(path, S_IRWXU) != 0 && errno != EEXIST)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    if (folder == NULL) {
        (void)pki_site_path(site, PARTY_BROKER, NULL, "", here);
        here[strlen(here) - 1] = '\0'; /* the slash */
        folder = here;
    }
    if (asprintf(&text, config_text, site->name, folder, folder,
                 broker->user != NULL ? "user " : "",
                 broker->user != NULL ? broker->user : "",
                 broker->user != NULL ? "\n" : "", broker->port,
                 broker->listen != NULL ? " " : "",
                 broker->listen != NULL ? broker->listen : "", folder, folder, folder,
                 folder) < 0)
        return tool_fail(TOOL_IO, "out of memory");
    error =
        pki_text_write(pki_site_path(site, PARTY_BROKER, NULL, "mosquitto.conf", path),
                       text, 0644);
    free(text);
    return error != 0 ? error : pki_broker_acl(site);
}

/* True if some certificate of that name is not revoked. */
static bool is_valid(const json_t *issued, const char *name)
{
    const json_t *entry;
    size_t i;

    json_array_foreach(issued, i, entry)
    {
        const char *text = json_string_value(json_object_get(entry, "name"));
        if (text != NULL && strcmp(text, name) == 0 &&
            !json_is_integer(json_object_get(entry, "revoked_us")))
            return true;
    }
    return false;
}

/* One user's block, if this is the name's first entry and it needs one. */
static void write_user(FILE *file, const struct pki_site *site, const json_t *entry)
{
    const json_t *issued = json_object_get(site->book, "issued");
    const char *name = json_string_value(json_object_get(entry, "name")), *s = site->name;
    enum pki_party party;

    if (name == NULL || !pki_party_of(entry, &party) || party == PARTY_BROKER)
        return;
    if (!is_valid(issued, name)) {
        /* The list refuses its next connection; this silences the one it may still have.
         */
        (void)fprintf(file, "\n# revoked\nuser %s\ntopic deny #\ntopic deny $SYS/#\n",
                      name);
    } else if (party == PARTY_CHART) {
        (void)fprintf(file,
                      "\n# a chart service\nuser %s\ntopic read "
                      "wardgate/1/%s/+/up\ntopic read wardgate/1/%s/+/state\n"
                      "topic write wardgate/1/%s/+/down/receipt\ntopic write "
                      "wardgate/1/%s/+/down/order\n"
                      "topic deny wardgate/1/%s/%s/#\n",
                      name, s, s, s, s, s, name);
    }
}

static bool is_first(const json_t *issued, size_t index)
{
    const char *name =
        json_string_value(json_object_get(json_array_get(issued, index), "name"));

    for (size_t i = 0; name != NULL && i < index; i++) {
        const char *other =
            json_string_value(json_object_get(json_array_get(issued, i), "name"));
        if (other != NULL && strcmp(other, name) == 0)
            return false;
    }
    return true;
}

int pki_broker_acl(const struct pki_site *site)
{
    const json_t *issued = json_object_get(site->book, "issued");
    char path[PKI_PATH_SIZE], *text = NULL;
    const char *s = site->name;
    size_t size, i;
    const json_t *entry;
    FILE *file = open_memstream(&text, &size);
    int error;

    if (file == NULL)
        return tool_fail(TOOL_IO, "out of memory");
    (void)fprintf(file,
                  "# Written by 'wardgate pki' for site %s: who may say and hear what. "
                  "The user is the certificate's\n"
                  "# common name. What is not allowed here is refused.\n"
                  "\n"
                  "# a board: only below its own name\n"
                  "pattern write wardgate/1/%s/%%u/up\n"
                  "pattern write wardgate/1/%s/%%u/state\n"
                  "pattern read wardgate/1/%s/%%u/down/#\n",
                  s, s, s, s);
    json_array_foreach(issued, i, entry)
    {
        if (is_first(issued, i))
            write_user(file, site, entry);
    }
    error = fclose(file) == 0 ? 0 : tool_fail(TOOL_IO, "out of memory");
    if (error == 0)
        error = pki_text_write(pki_site_path(site, PARTY_BROKER, NULL, "acl", path), text,
                               0644);
    free(text);
    return error;
}

int pki_broker_tell(const char *text)
{
    char path[64], *name = NULL;
    uint8_t *bytes;
    long long pid;

    if (!tool_number(text, 2, 1 << 30, &pid))
        return tool_fail(TOOL_USAGE, "--broker-pid '%.20s' is not a process id", text);
    /* A number that is out of date may have become anything: never signal what is not a
     * broker. */
    (void)snprintf(path, sizeof(path), "/proc/%lld/comm", pid);
    if (file_read(path, 64, &bytes) > 0)
        name = (char *)bytes;
    if (name == NULL || strncmp(name, "mosquitto", 9) != 0) {
        free(name);
        return tool_fail(TOOL_UNAVAILABLE,
                         "process %lld is not mosquitto: the broker was NOT told", pid);
    }
    free(name);
    if (kill((pid_t)pid, SIGHUP) != 0)
        return tool_fail(TOOL_UNAVAILABLE, "process %lld: %s: the broker was NOT told",
                         pid, strerror(errno));
    return TOOL_OK;
}
