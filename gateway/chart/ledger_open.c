/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening and making a ledger: its lock, key, format and seal session; and the sealing of
 * its rows.
 */
#include "chart/ledger_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define FORMAT_VERSION 1
#define FORMAT_SIZE    (4 + EPOCH_SIZE + 16)

/* --- failures --- */

/* One line for people, kept until the next failure. Returns the error, so that a
 * caller can say both in one statement. */
int ledger_fail(struct ledger *ledger, int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(ledger->failure, sizeof(ledger->failure), format, arguments);
    va_end(arguments);
    return error;
}

/* Never NULL and never empty: it goes into logs and status as it is. */
const char *ledger_failure(const struct ledger *ledger)
{
    return ledger->failure[0] != '\0' ? ledger->failure : "no failure";
}

/* --- sealing --- */

/* What binds a sealed row to its place: FNV-1a of table and key, as the seal's seq. */
static uint64_t row_number(enum db_table table, const uint8_t *key, size_t n)
{
    uint64_t h =
        (UINT64_C(0xcbf29ce484222325) ^ (uint64_t)table) * UINT64_C(0x100000001b3);

    for (size_t i = 0; i < n; i++)
        h = (h ^ key[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* Sealing can only fail when the library does; the batch is then lost like one of
 * a bad disk. */
int row_seal(struct ledger *ledger, enum db_table table, const void *key, size_t key_size,
             const void *plain, size_t n, uint8_t *out)
{
    if (seal_close(ledger->seal, row_number(table, key, key_size), plain, n, out) !=
        CRYPTO_OK)
        return ledger_fail(ledger, LEDGER_IO, "sealing failed");
    return LEDGER_OK;
}

/* A row that does not open was changed on disk or belongs under another key.
 * Nobody gets to see what it says. */
int row_open(struct ledger *ledger, enum db_table table, const void *key, size_t key_size,
             struct db_span sealed, uint8_t *out, size_t *n)
{
    if (seal_open(ledger->seal, row_number(table, key, key_size), sealed.bytes,
                  sealed.size, out, n) == CRYPTO_OK)
        return LEDGER_OK;
    ledger->now.books.damaged++;
    return ledger_fail(ledger, LEDGER_DAMAGED, "a sealed row of table %d does not open",
                       (int)table);
}

/* The key in front makes the digest worthless without it: readings have few enough
 * values to try them all. Nobody extends these digests, so a plain hash over both
 * is enough. */
int row_digest(struct ledger *ledger, const void *bytes, size_t n,
               uint8_t out[DIGEST_SIZE])
{
    uint8_t small[KEY_SIZE + RECORD_SIZE_MAX], *all = small;
    int error;

    if (n > RECORD_SIZE_MAX && (all = malloc(KEY_SIZE + n)) == NULL)
        return ledger_fail(ledger, LEDGER_IO, "out of memory");
    memcpy(all, ledger->digest_key.bytes, KEY_SIZE);
    memcpy(all + KEY_SIZE, bytes, n);
    error = crypto_sha256(all, KEY_SIZE + n, out);
    if (all != small)
        free(all);
    return error == CRYPTO_OK ? LEDGER_OK
                              : ledger_fail(ledger, LEDGER_IO, "digest failed");
}

/* --- opening --- */

/* The key's mark in the file: another key is noticed before anything is misread. */
static int key_mark(const struct key *key, uint8_t out[DIGEST_SIZE])
{
    static const char text[] = "wardgate ledger key";

    return crypto_hmac_sha256(key, text, sizeof(text) - 1, out) == CRYPTO_OK ? LEDGER_OK
                                                                             : LEDGER_IO;
}

/* Makes the file whole under another name first: whoever finds the real name finds a
 * complete ledger, whatever instant the power went. */
static int file_make(struct ledger *ledger, const char *path, const struct key *key)
{
    char fresh[FILE_PATH_MAX + 8], lock[FILE_PATH_MAX + 16];
    uint8_t row[FORMAT_SIZE], mark[DIGEST_SIZE];
    int error, rc;

    (void)snprintf(fresh, sizeof(fresh), "%s.new", path);
    (void)snprintf(lock, sizeof(lock), "%s-lock", fresh);
    /* Left from a start that was cut short: nothing in it was ever promised. */
    (void)unlink(fresh);
    (void)unlink(lock);
    (void)put32(row, FORMAT_VERSION);
    if (crypto_random(row + 4, EPOCH_SIZE) != CRYPTO_OK ||
        key_mark(key, mark) != LEDGER_OK)
        return ledger_fail(ledger, LEDGER_IO, "no random bytes");
    memcpy(row + 4 + EPOCH_SIZE, mark, 16);

    /* From here the new file is complete under its wrong name; giving it the right one
     * is a single step, and the folder's sync makes that step last. */
    error = db_make(ledger, fresh, row, sizeof(row));
    (void)unlink(lock);
    if (error == LEDGER_OK && rename(fresh, path) != 0)
        error = ledger_fail(ledger, LEDGER_IO, "%s: %s", path, strerror(errno));
    if (error == LEDGER_OK && (rc = file_sync_folder(path)) != 0)
        error = ledger_fail(ledger, LEDGER_IO, "%s: %s", path, strerror(-rc));
    return error;
}

/* Reads format and epoch, derives the keys, begins the seal session. */
static int format_check(struct ledger *ledger, const struct key *key)
{
    uint8_t mark[DIGEST_SIZE];
    struct db_span row;

    if (db_get(ledger, DB_META, "format", 6, &row) != LEDGER_OK ||
        row.size != FORMAT_SIZE || get32(row.bytes) != FORMAT_VERSION)
        return ledger_fail(ledger, LEDGER_VERSION, "not a ledger of version %d",
                           FORMAT_VERSION);
    memcpy(ledger->epoch.bytes, row.bytes + 4, EPOCH_SIZE);
    if (key_mark(key, mark) != LEDGER_OK ||
        memcmp(mark, row.bytes + 4 + EPOCH_SIZE, 16) != 0)
        return ledger_fail(ledger, LEDGER_KEY, "the key file is not this ledger's");
    if (crypto_hkdf(key, ledger->epoch.bytes, EPOCH_SIZE, "wardgate ledger digest 1",
                    &ledger->digest_key) != CRYPTO_OK ||
        seal_new(key, &ledger->epoch, &ledger->seal) != CRYPTO_OK)
        return ledger_fail(ledger, LEDGER_IO, "can't begin sealing");
    return LEDGER_OK;
}

/* Our numbers live in memory, so a second process would spoil them. */
static int lock_take(struct ledger *ledger, const char *path)
{
    if ((ledger->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return ledger_fail(ledger, LEDGER_IO, "%s: %s", path, strerror(errno));
    if (flock(ledger->lock, LOCK_EX | LOCK_NB) != 0)
        return ledger_fail(ledger, LEDGER_IO, "%s: another process has this ledger open",
                           path);
    return LEDGER_OK;
}

/* Takes the lock, makes the file if there is none, and opens it. */
static int file_open(struct ledger *ledger, const struct ledger_options *options,
                     struct key *key)
{
    char lock[FILE_PATH_MAX], *path = ledger->path;
    bool exists;
    int error;

    if (mkdir(options->folder, 0700) != 0 && errno != EEXIST)
        return ledger_fail(ledger, LEDGER_IO, "%s: %s", options->folder, strerror(errno));
    if (snprintf(path, FILE_PATH_MAX, "%s/ledger.mdb", options->folder) >=
            FILE_PATH_MAX ||
        snprintf(lock, sizeof(lock), "%s/lock", options->folder) >= (int)sizeof(lock))
        return ledger_fail(ledger, LEDGER_INVALID, "%s: path too long", options->folder);
    /* Before anything is looked at: another process may be making the file right now. */
    if ((error = lock_take(ledger, lock)) != LEDGER_OK)
        return error;
    /* A key is made for a new ledger only: with an old one it would hide that the true
     * key is lost. */
    exists = access(path, F_OK) == 0;
    if (key_file(options->key_path, !exists, key) != CRYPTO_OK)
        return ledger_fail(ledger, LEDGER_KEY, "%s: %s", options->key_path,
                           strerror(errno));
    if (!exists && (error = file_make(ledger, path, key)) != LEDGER_OK)
        return error;
    if ((error = db_open(ledger, path)) != LEDGER_OK)
        return error;
    /* A full disk stops a new ledger, but not one that has deliveries to finish. */
    error =
        options->preallocate > 0 ? db_reserve(ledger, options->preallocate) : LEDGER_OK;
    return exists && error == LEDGER_FULL ? LEDGER_OK : error;
}

/* A new session's id is on disk before the first row is sealed under it; this also shows
 * at start, and not at the first reading, whether the disk takes commits. */
static int session_begin(struct ledger *ledger)
{
    int error = ledger_begin(ledger);

    if (error != LEDGER_OK)
        return error;
    error = db_put(ledger, DB_META, "session", 7, seal_session(ledger->seal),
                   SEAL_SESSION_SIZE);
    if (error != LEDGER_OK) {
        ledger_abort(ledger);
        return error;
    }
    return ledger_commit(ledger);
}

/* Everything that lives in memory, from the last commit. Called at open, and again
 * whenever memory may have gone ahead of the file. */
int ledger_load(struct ledger *ledger)
{
    uint64_t damaged = ledger->now.books.damaged; /* since start, not in the file */
    int error;

    memset(ledger->names, 0, LEDGER_NAME_SLOTS * sizeof(*ledger->names));
    if ((error = tallies_load(ledger)) != LEDGER_OK ||
        (error = sources_load(ledger)) != LEDGER_OK)
        return error;
    ledger->now.books.damaged = damaged;
    ledger->before = ledger->now;
    return LEDGER_OK;
}

/* The commit that failed may be on disk after all: memory follows the file, whichever it
 * is. The caller has been told that it failed, and told nobody that it did not. */
int ledger_recover(struct ledger *ledger)
{
    int error = db_open(ledger, ledger->path);

    return error == LEDGER_OK ? ledger_load(ledger) : error;
}

/* The key is in memory no longer than its derivations take. */
static int open_steps(struct ledger *ledger, const struct ledger_options *options)
{
    struct key key;
    int error = file_open(ledger, options, &key);

    if (error == LEDGER_OK)
        error = format_check(ledger, &key);
    crypto_wipe(&key, sizeof(key));
    if (error != LEDGER_OK || (error = ledger_load(ledger)) != LEDGER_OK)
        return error;
    return session_begin(ledger);
}

/* All or nothing: on an error nothing stays open, and the reason is in the
 * caller's hands, for the ledger that knew it is gone. */
int ledger_open(const struct ledger_options *options, struct ledger **out,
                char error[LEDGER_ERROR_SIZE])
{
    struct ledger *ledger = calloc(1, sizeof(*ledger));
    int result = LEDGER_IO;

    *out = NULL;
    (void)snprintf(error, LEDGER_ERROR_SIZE, "out of memory");
    if (ledger == NULL)
        return LEDGER_IO;
    ledger->lock = -1;
    if ((ledger->names = calloc(LEDGER_NAME_SLOTS, sizeof(*ledger->names))) == NULL ||
        db_new(options, &ledger->db) != LEDGER_OK)
        goto err0;
    if ((result = open_steps(ledger, options)) != LEDGER_OK) {
        (void)snprintf(error, LEDGER_ERROR_SIZE, "%s", ledger_failure(ledger));
        goto err0;
    }
    error[0] = '\0';
    *out = ledger;
    return LEDGER_OK;

err0:
    ledger_close(ledger);
    return result;
}

/* An open batch is aborted: what its owner has not committed was never promised to
 * anybody. */
void ledger_close(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    if (ledger->batch)
        ledger_abort(ledger);
    db_close(ledger->db);
    if (ledger->lock >= 0)
        (void)close(ledger->lock);
    for (uint32_t i = 0; i < ledger->source_count; i++)
        ranges_free(&ledger->sources[i].fresh);
    free(ledger->sources);
    free(ledger->names);
    seal_free(ledger->seal);
    crypto_wipe(&ledger->digest_key, sizeof(ledger->digest_key));
    free(ledger);
}

/* --- copying --- */

/* Beside a service that has the ledger open: its lock is not asked for, and nothing is
 * written here but LMDB's own list of readers. */
int ledger_copy(const struct ledger_options *options, const char *folder,
                char error[LEDGER_ERROR_SIZE])
{
    struct ledger ledger = {.lock = -1};
    char path[FILE_PATH_MAX];
    int fd, code;

    if (snprintf(path, sizeof(path), "%s/ledger.mdb", options->folder) >=
        (int)sizeof(path)) {
        code = ledger_fail(&ledger, LEDGER_INVALID, "%s: path too long", options->folder);
        goto err0;
    }
    if (access(path, F_OK) != 0) {
        code = ledger_fail(&ledger, LEDGER_NOT_FOUND, "%s: %s", path, strerror(errno));
        goto err0;
    }
    if ((code = db_new(options, &ledger.db)) != LEDGER_OK ||
        (code = db_open(&ledger, path)) != LEDGER_OK)
        goto err0;
    (void)snprintf(path, sizeof(path), "%s/ledger.mdb", folder);
    if ((fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0) {
        code = ledger_fail(&ledger, LEDGER_IO, "%s: %s", path, strerror(errno));
        goto err0;
    }
    code = db_copy(&ledger, fd);
    if (code == LEDGER_OK && fsync(fd) != 0)
        code = ledger_fail(&ledger, LEDGER_IO, "%s: %s", path, strerror(errno));
    (void)close(fd);
err0:
    if (code != LEDGER_OK)
        (void)snprintf(error, LEDGER_ERROR_SIZE, "%s", ledger_failure(&ledger));
    db_close(ledger.db);
    return code;
}
