/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate wipe`: before a board leaves its ward it forgets what it could tell: the key
 * of its readings and its own. What was sealed with them stays sealed, wherever a copy of
 * it may lie.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto.h"
#include "base/file.h"
#include "tool/daemon_run.h"
#include "tool/tool.h"
#include "tool/verbs.h"
#include "tool/yaml_json.h"

#define CONFIG_PRESET "/etc/wardgate/wardgated.yaml"
#define CONFIG_MAX    (1 << 20)
#define CONFIG_DEPTH  8
#define KEY_MAX       65536 /* bytes of a key file that are overwritten */
#define PATH_SIZE     1200

static const char help[] =
    "usage: wardgate wipe --yes [--config FILE] [--even-unsent] [--json]\n"
    "\n"
    "Makes this board forget for ever (crypto-erase), before it is sent away, lent out "
    "or "
    "kept as a spare: the\n"
    "key of its stored readings, its private key and the key of its wristbands are "
    "overwritten and removed; then\n"
    "the store's files, the certificate and the configuration are removed. Without the "
    "keys no copy of the store,\n"
    "on this medium or another, can be opened by anyone. Flash may keep an old copy of "
    "the overwritten keys where\n"
    "only a laboratory finds it: a board that leaves the hospital for good has its card "
    "destroyed as well.\n"
    "\n"
    "Refused while wardgated runs (systemctl stop wardgated), and while readings are "
    "stored that the chart has not\n"
    "got: 'wardgate queue' shows them, and a wardgated that reaches its broker sends "
    "them.\n"
    "\n"
    "  --config FILE   instead of /etc/wardgate/wardgated.yaml\n"
    "  --even-unsent   lose them; how many is said\n"
    "  --yes           do it; without it only what would be done is said\n"
    "\n"
    "  systemctl stop wardgated && wardgate wipe --yes\n"
    "\n"
    "Afterwards, where the PKI is: wardgate pki revoke DIR NAME. Interrupted, the same "
    "command goes on.\n"
    "\n"
    "Exit codes: 0 wiped; 1 refused, or only said; 64 called wrongly; 74 a file can't be "
    "read, overwritten or\n"
    "removed; 78 the configuration can't be read.\n";

/* What there is to forget. Empty: the configuration names none. */
struct board {
    char site[64], name[64];
    char store[PATH_SIZE];
    char keys[3][PATH_SIZE]; /* store, board, wristbands: in the order they go */
    char certificate[PATH_SIZE], request[PATH_SIZE];
    const char *config;
};

/* --- what there is --- */

/* As the daemon takes them: absolute, or relative to the configuration. */
static int path_of(const struct board *board, const char *text, char out[PATH_SIZE])
{
    char copy[PATH_SIZE];
    int n;

    if (text[0] == '/' || text[0] == '\0') {
        n = snprintf(out, PATH_SIZE, "%s", text);
    } else {
        (void)snprintf(copy, sizeof(copy), "%s", board->config);
        n = snprintf(out, PATH_SIZE, "%s/%s", dirname(copy), text);
    }
    return n < PATH_SIZE
               ? TOOL_OK
               : tool_fail(TOOL_CONFIG, "%s: a path is too long", board->config);
}

static const char *text_of(const json_t *config, const char *section, const char *key,
                           const char *preset)
{
    const json_t *object = section != NULL ? json_object_get(config, section) : config;
    const char *text = json_string_value(json_object_get(object, key));

    return text != NULL ? text : preset;
}

/* Beside NAME.key, as enrol puts it. */
static void request_of(struct board *board)
{
    size_t n = strlen(board->keys[1]);

    if (n > 4 && strcmp(board->keys[1] + n - 4, ".key") == 0)
        (void)snprintf(board->request, sizeof(board->request), "%.*s.csr", (int)n - 4,
                       board->keys[1]);
}

static int look(struct board *board)
{
    uint8_t *bytes;
    ssize_t n = file_read(board->config, CONFIG_MAX, &bytes);
    json_t *config = NULL;
    int code;

    if (n < 0)
        return tool_fail(TOOL_IO, "%s: %s", board->config, strerror((int)-n));
    code = yaml_json(board->config, "configuration", bytes, (size_t)n, CONFIG_DEPTH,
                     &config);
    free(bytes);
    if (code != TOOL_OK)
        return code;
    (void)snprintf(board->site, sizeof(board->site), "%s",
                   text_of(config, NULL, "site", "?"));
    (void)snprintf(board->name, sizeof(board->name), "%s",
                   text_of(config, NULL, "gateway", "?"));
    if (path_of(board, text_of(config, "store", "folder", "/var/lib/wardgated/store"),
                board->store) != TOOL_OK ||
        path_of(board, text_of(config, "store", "key", "/var/lib/wardgated/store.key"),
                board->keys[0]) != TOOL_OK ||
        path_of(board, text_of(config, "broker", "key", ""), board->keys[1]) != TOOL_OK ||
        path_of(board, text_of(config, NULL, "digest_key", ""), board->keys[2]) !=
            TOOL_OK ||
        path_of(board, text_of(config, "broker", "certificate", ""),
                board->certificate) != TOOL_OK)
        code = TOOL_CONFIG;
    request_of(board);
    json_decref(config);
    return code;
}

/* wardgated holds this lock as long as it runs (bedside/store_files.c). */
static bool runs(const struct board *board)
{
    char path[PATH_SIZE + 16];
    bool held;
    int fd;

    (void)snprintf(path, sizeof(path), "%s/owner", board->store);
    if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
        return false;
    held = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)close(fd);
    return held;
}

/* How many readings wait; -1: nobody can say. A store without its key, or without its
 * file, holds nothing that could still be sent. */
static long long unsent(const struct board *board)
{
    const char *const words[] = {"-w", "-c", board->config, NULL};
    char path[PATH_SIZE + 16], said[64], *end;
    long long count;

    (void)snprintf(path, sizeof(path), "%s/data.mdb", board->store);
    if (access(path, F_OK) != 0 || access(board->keys[0], F_OK) != 0)
        return 0;
    if (daemon_run("wardgated", words, said, sizeof(said)) != 0)
        return -1;
    count = strtoll(said, &end, 10);
    return end != said && *end == '\n' ? count : -1;
}

/* --- forgetting --- */

/* Noise, then nothing, each synced, in place; then its name goes. */
static int erase_key(const char *path)
{
    uint8_t noise[4096];
    struct stat status;
    int fd, code = TOOL_OK;

    if (path[0] == '\0')
        return TOOL_OK;
    if ((fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return errno == ENOENT ? TOOL_OK
                               : tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size > KEY_MAX)
        code = tool_fail(TOOL_IO, "%s is no key file", path);
    for (int pass = 0; pass < 2 && code == TOOL_OK; pass++) {
        for (off_t at = 0; at < status.st_size && code == TOOL_OK;) {
            size_t n = (size_t)(status.st_size - at);
            if (n > sizeof(noise))
                n = sizeof(noise);
            memset(noise, 0, n);
            if ((pass == 0 && crypto_random(noise, n) != CRYPTO_OK) ||
                pwrite(fd, noise, n, at) != (ssize_t)n)
                code = tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
            at += (off_t)n;
        }
        if (code == TOOL_OK && fsync(fd) != 0)
            code = tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    }
    (void)close(fd);
    if (code == TOOL_OK && unlink(path) != 0)
        code = tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
    if (code == TOOL_OK)
        (void)file_sync_folder(path);
    return code;
}

static int remove_file(const char *path)
{
    if (path[0] == '\0' || unlink(path) == 0 || errno == ENOENT)
        return TOOL_OK;
    return tool_fail(TOOL_IO, "%s: %s", path, strerror(errno));
}

/* Everything in the store's folder, which is nobody else's; the folder stays for the next
 * store. */
static int empty_store(const struct board *board)
{
    DIR *dir = opendir(board->store);
    struct dirent *entry;
    int code = TOOL_OK;

    if (dir == NULL)
        return errno == ENOENT
                   ? TOOL_OK
                   : tool_fail(TOOL_IO, "%s: %s", board->store, strerror(errno));
    while (code == TOOL_OK && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            code = tool_fail(TOOL_IO, "%s/%s: %s", board->store, entry->d_name,
                             strerror(errno));
    }
    (void)fsync(dirfd(dir));
    (void)closedir(dir);
    return code;
}

/* The keys first: from then on it does not matter what else is left. The configuration
 * last: it says where the rest is, should this be cut short. */
static int forget(const struct board *board)
{
    int code = TOOL_OK;

    for (size_t i = 0; i < sizeof(board->keys) / sizeof(board->keys[0]); i++)
        if (code == TOOL_OK)
            code = erase_key(board->keys[i]);
    if (code == TOOL_OK)
        code = empty_store(board);
    if (code == TOOL_OK)
        code = remove_file(board->certificate);
    if (code == TOOL_OK)
        code = remove_file(board->request);
    if (code == TOOL_OK)
        code = remove_file(board->config);
    return code;
}

/* --- the verb --- */

static void say(const struct board *board, long long count, bool done, bool json)
{
    char lost[64] = "unknown";

    if (count >= 0)
        (void)snprintf(lost, sizeof(lost), "%lld", count);
    if (json) {
        tool_print(json_pack("{s:b, s:b, s:s, s:s, s:o}", "ok", 1, "wiped", done, "site",
                             board->site, "gateway", board->name, "unsent_lost",
                             count < 0 ? json_null() : json_integer(count)));
        return;
    }
    if (!done) {
        (void)printf("would overwrite and remove: %s %s %s\nwould remove: %s/* %s %s\n",
                     board->keys[0], board->keys[1], board->keys[2], board->store,
                     board->certificate, board->config);
        return;
    }
    (void)printf("%s of %s is wiped. Records that were never sent and are lost: %s\n"
                 "Now where the PKI is: wardgate pki revoke DIR %s\n",
                 board->name, board->site, lost, board->name);
}

static int refuse(long long count)
{
    if (count < 0)
        return tool_fail(TOOL_FINDINGS,
                         "how many readings wait to be sent can't be told: let wardgated "
                         "run and send them, or say --even-unsent");
    return tool_fail(
        TOOL_FINDINGS,
        "%lld stored records (readings, gaps, events) were never sent and would be "
        "lost: let "
        "wardgated run until 'wardgate queue' is empty, or say --even-unsent",
        count);
}

int verb_wipe(int argc, char **argv)
{
    static struct board board = {.config = CONFIG_PRESET};
    bool yes = false, even_unsent = false, json = false;
    const struct tool_option options[] = {{"config", &board.config, NULL},
                                          {"yes", NULL, &yes},
                                          {"even-unsent", NULL, &even_unsent},
                                          {NULL, NULL, NULL}};
    long long count;
    int code = TOOL_OK, operands = options_read(argc, argv, options, help, &json, &code);

    if (operands < 0)
        return code;
    if (operands > 0)
        return tool_usage("wipe", "'%.60s': expected only options", argv[1]);
    if ((code = look(&board)) != TOOL_OK)
        return code;
    if (runs(&board))
        return tool_fail(TOOL_FINDINGS,
                         "wardgated runs: stop it first (systemctl stop wardgated)");
    count = unsent(&board);
    if (count != 0 && !even_unsent)
        return refuse(count);
    if (!yes) {
        say(&board, count, false, json);
        return tool_fail(TOOL_FINDINGS, "nothing was done: --yes does it");
    }
    if ((code = forget(&board)) == TOOL_OK)
        say(&board, count, true, json);
    return code;
}
