/* SPDX-License-Identifier: Apache-2.0
 *
 * A mosquitto.conf against what wardgate needs of a broker. Each setting's reason is in
 * the table: it is what the person who must change it will ask.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tool/check.h"
#include "tool/tool.h"

#define LISTENERS_MAX 16
#define CONF_MAX      ((size_t)1 << 20)

/* What a good value looks like. */
enum want {
    WANT_TRUE,
    WANT_FALSE,
    WANT_PATH,    /* must be there, and the file readable */
    WANT_AT_MOST, /* a number 1..limit */
    WANT_ZERO_OR_AT_LEAST,
    WANT_TLS12,
};

/* One line of mosquitto.conf that matters to a ward. */
struct setting {
    const char *key;
    enum want want;
    long long limit;
    const char *preset; /* mosquitto 2.0.11's own when the line is absent; NULL: none */
    const char *why;
};

static const struct setting global[] = {
    {"allow_anonymous", WANT_FALSE, 0, "false",
     "a client without a name could read and write everything that the ACL leaves open"},
    {"acl_file", WANT_PATH, 0, NULL,
     "without one every board may write as any other and read its orders"},
    {"persistence", WANT_TRUE, 0, "false",
     "a restart loses the chart's session and every retained state"},
    {"autosave_interval", WANT_AT_MOST, 300, "1800",
     "a crash loses what was not saved; half an hour is too long"},
    {"max_queued_messages", WANT_ZERO_OR_AT_LEAST, 100000, "1000",
     "beyond it messages to a chart that is away are dropped without a word"},
    {"max_queued_bytes", WANT_AT_MOST, 1LL << 34, "0",
     "without a limit a long outage of the chart fills the server's memory"},
    {"max_packet_size", WANT_AT_MOST, 1048576, "0",
     "a message too large for the chart is dropped on its way there without a word to "
     "who "
     "sent it; with this limit the sender is told"},
};

static const struct setting per_listener[] = {
    {"cafile", WANT_PATH, 0, NULL, "without it the listener speaks without TLS"},
    {"certfile", WANT_PATH, 0, NULL, "boards check the broker's certificate"},
    {"keyfile", WANT_PATH, 0, NULL, "the certificate's key"},
    {"crlfile", WANT_PATH, 0, NULL, "without it a revoked board still gets in"},
    {"require_certificate", WANT_TRUE, 0, "false", "anyone on the network could connect"},
    {"use_identity_as_username", WANT_TRUE, 0, "false",
     "the ACL goes by the certificate's common name"},
    {"use_username_as_clientid", WANT_TRUE, 0, "false",
     "one board could take another's session by its client id"},
    {"tls_version", WANT_TLS12, 0, "tlsv1.2", "TLS below 1.2 is broken"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* As it stands in the file; the last line of a key counts, as it does for mosquitto. */
struct value {
    char text[256];
    int line; /* 0: absent */
};

struct listener {
    int line;
    struct value values[COUNT(per_listener)];
};

struct conf {
    const char *name;
    bool look_at_files;
    struct value values[COUNT(global)];
    struct listener listeners[LISTENERS_MAX];
    size_t count;
};

/* --- Reading --- */

/* Where the value of a key belongs: below the listener that was named last, or to the
 * whole broker. */
static struct value *slot(struct conf *conf, const char *key)
{
    for (size_t i = 0; i < COUNT(global); i++)
        if (strcmp(global[i].key, key) == 0)
            return &conf->values[i];
    for (size_t i = 0; conf->count > 0 && i < COUNT(per_listener); i++)
        if (strcmp(per_listener[i].key, key) == 0)
            return &conf->listeners[conf->count - 1].values[i];
    return NULL;
}

/* Splits at the first blanks; what we do not judge is passed over. */
static void take_line(struct conf *conf, char *line, int number,
                      struct findings *findings)
{
    char where[FINDINGS_TEXT_SIZE], *key = line + strspn(line, " \t"), *text;
    struct value *value;
    size_t n = strlen(key);

    while (n > 0 && strchr(" \t\r", key[n - 1]) != NULL)
        key[--n] = '\0';
    if (*key == '\0' || *key == '#')
        return;
    text = key + strcspn(key, " \t");
    if (*text != '\0')
        *text++ = '\0';
    text += strspn(text, " \t");
    (void)snprintf(where, sizeof(where), "%.400s:%d", conf->name, number);

    if (strcmp(key, "listener") == 0 || strcmp(key, "port") == 0) {
        if (conf->count == LISTENERS_MAX)
            finding_bad(findings, where, "more than %d listeners", LISTENERS_MAX);
        else
            conf->listeners[conf->count++].line = number;
    } else if (strcmp(key, "include_dir") == 0)
        finding_bad(
            findings, where,
            "include_dir: the files there are not looked at: put everything in one file");
    else if (strcmp(key, "per_listener_settings") == 0 && strcmp(text, "true") == 0)
        finding_bad(findings, where,
                    "per_listener_settings true: acl_file would have to stand below each "
                    "listener");
    else if ((value = slot(conf, key)) != NULL) {
        (void)snprintf(value->text, sizeof(value->text), "%s", text);
        value->line = number;
    }
}

/* --- Judging --- */

/* text is the value, or mosquitto's preset. */
static bool is_good(const struct setting *setting, const char *text)
{
    long long number = 0;

    switch (setting->want) {
    case WANT_TRUE:
        return strcmp(text, "true") == 0;
    case WANT_FALSE:
        return strcmp(text, "false") == 0;
    case WANT_PATH:
        return *text != '\0';
    case WANT_AT_MOST:
        return tool_number(text, 1, setting->limit, &number);
    case WANT_ZERO_OR_AT_LEAST:
        return tool_number(text, 0, 1LL << 40, &number) &&
               (number == 0 || number >= setting->limit);
    case WANT_TLS12:
        return strcmp(text, "tlsv1.2") == 0 || strcmp(text, "tlsv1.3") == 0;
    }
    return false;
}

/* The same in words. */
static const char *wanted(const struct setting *setting, char out[64])
{
    static const char *const words[] = {[WANT_TRUE] = "true",
                                        [WANT_FALSE] = "false",
                                        [WANT_PATH] = "a file",
                                        [WANT_TLS12] = "tlsv1.2 or tlsv1.3"};

    if (setting->want == WANT_AT_MOST)
        (void)snprintf(out, 64, "1..%lld", setting->limit);
    else if (setting->want == WANT_ZERO_OR_AT_LEAST)
        (void)snprintf(out, 64, "0 (no limit) or at least %lld", setting->limit);
    else
        (void)snprintf(out, 64, "%s", words[setting->want]);
    return out;
}

/* One setting, present or not. The finding points at its line, or at the listener that
 * lacks it. */
static void judge(const struct conf *conf, const struct setting *setting,
                  const struct value *value, int line, struct findings *findings)
{
    const char *text = value->line > 0 ? value->text : setting->preset;
    char where[FINDINGS_TEXT_SIZE], want[64];

    (void)snprintf(where, sizeof(where), "%.400s:%d", conf->name,
                   value->line > 0 ? value->line : line);
    if (text == NULL || !is_good(setting, text))
        finding_bad(findings, where, "%s %s%s, expected %s: %s", setting->key,
                    text == NULL ? "is missing" : text,
                    value->line == 0 && text != NULL ? " (preset)" : "",
                    wanted(setting, want), setting->why);
    else if (setting->want == WANT_PATH && conf->look_at_files && access(text, R_OK) != 0)
        finding_bad(findings, where, "%s %s: %s", setting->key, text, strerror(errno));
    else
        finding_good(findings, where, "%s %s", setting->key, text);
}

/* Reads all, then judges: an order of lines is not a fault. */
static void check(struct conf *conf, const char *text, struct findings *findings)
{
    char *copy = strdup(text), *line, *rest = copy;

    for (int number = 1; copy != NULL && (line = strsep(&rest, "\n")) != NULL; number++)
        take_line(conf, line, number, findings);
    free(copy);

    for (size_t i = 0; i < COUNT(global); i++)
        judge(conf, &global[i], &conf->values[i], 1, findings);
    if (conf->count == 0)
        finding_bad(findings, conf->name,
                    "listener is missing: the broker then serves this machine alone, "
                    "without TLS");
    for (size_t l = 0; l < conf->count; l++)
        for (size_t i = 0; i < COUNT(per_listener); i++)
            judge(conf, &per_listener[i], &conf->listeners[l].values[i],
                  conf->listeners[l].line, findings);
}

void check_broker_text(const char *name, const char *text, struct findings *findings)
{
    struct conf conf;

    memset(&conf, 0, sizeof(conf));
    conf.name = name;
    check(&conf, text, findings);
}

int check_broker_file(const char *path, struct findings *findings)
{
    struct conf conf;
    uint8_t *text;
    ssize_t n = file_read(path, CONF_MAX, &text);

    if (n < 0)
        return tool_fail(TOOL_IO, "%s: %s", path, strerror((int)-n));
    memset(&conf, 0, sizeof(conf));
    conf.name = path;
    conf.look_at_files = true;
    check(&conf, (const char *)text, findings);
    free(text);
    return TOOL_OK;
}
