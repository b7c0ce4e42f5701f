/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger's tables over LMDB, batches, and the room that is left. Nothing here knows
 * what a reading is.
 */
#include "chart/ledger_db.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_MIN (UINT64_C(8) << 20) /* bytes of map that new records may not take */
#define FREE_PAGES_EVERY                                                                 \
    64 /* batches between counts of the free list, once the file is at its mark */

static const char *const table_names[DB_TABLES] = {
    [DB_META] = "meta",         [DB_NAMES] = "names",     [DB_SOURCES] = "sources",
    [DB_BOOTS] = "boots",       [DB_RANGES] = "ranges",   [DB_REPLACED] = "replaced",
    [DB_ENTRIES] = "entries",   [DB_RECORDS] = "records", [DB_ASIDE] = "aside",
    [DB_PLACES] = "places",     [DB_UNTIMED] = "untimed", [DB_WORK] = "work",
    [DB_LINES] = "lines",       [DB_CHANGES] = "changes", [DB_ADT] = "adt",
    [DB_ADT_KEYS] = "adt-keys", [DB_OUT] = "out",         [DB_OUT_BYTES] = "out-bytes",
    [DB_OUT_WORK] = "out-work", [DB_OUT_IDS] = "out-ids", [DB_OUT_COUNT] = "out-count",
    [DB_FIXES] = "fixes",       [DB_GAPS] = "gaps",       [DB_VALUES] = "values",
};

struct ledger_db {
    MDB_env *env;
    MDB_dbi tables[DB_TABLES];
    MDB_txn *batch;  /* NULL outside a batch */
    MDB_txn *reader; /* live between batches when reading is true, else reset */
    bool reading;
    MDB_cursor *cursors[DB_TABLES]; /* of the batch, or of the reader */
    uint64_t size_max, free_min;
    uint64_t page_size, free_pages;
    unsigned free_pages_age;
};

/* From LMDB's codes to ours. What spoils the batch is remembered, so that it can't be
 * committed. */
static int db_error(struct ledger *ledger, int rc, const char *what)
{
    int error;

    if (rc == MDB_SUCCESS)
        return LEDGER_OK;
    if (rc == MDB_NOTFOUND)
        return LEDGER_NOT_FOUND;
    if (rc == MDB_KEYEXIST)
        return LEDGER_EXISTS;
    /* Full is not broken: the caller stops taking in and waits for room, where after
     * LEDGER_IO it tries again and tells somebody. */
    error = rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG ||
                    rc == MDB_TXN_FULL
                ? LEDGER_FULL
                : LEDGER_IO;
    /* The first error is the one that explains; what follows is its echo. */
    if (ledger->batch && ledger->broken == 0)
        ledger->broken = error;
    return ledger_fail(ledger, error, "%s: %s", what, mdb_strerror(rc));
}

/* --- reading and writing tables --- */

/* Outside a batch reads go through one reader, begun at the first read and reset when the
 * next batch begins: it sees the last commit, and never holds pages that a batch would
 * reuse. */
static MDB_txn *current(struct ledger *ledger, int *rc)
{
    struct ledger_db *db = ledger->db;

    *rc = MDB_SUCCESS;
    /* Inside a batch everything sees what the batch has written. */
    if (db->batch != NULL)
        return db->batch;
    if (db->env == NULL) { /* could not be opened again: see ledger_begin */
        *rc = MDB_PANIC;
        return NULL;
    }
    if (!db->reading) {
        *rc = db->reader == NULL ? mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->reader)
                                 : mdb_txn_renew(db->reader);
        if (*rc != MDB_SUCCESS)
            return NULL;
        db->reading = true;
    }
    return db->reader;
}

/* Lets go of the snapshot, and of the cursors that belong to it. The reader's slot
 * in the lock file is kept for the next time. */
static void reader_reset(struct ledger_db *db)
{
    if (!db->reading)
        return;
    for (int i = 0; i < DB_TABLES; i++)
        if (db->cursors[i] != NULL)
            mdb_cursor_close(db->cursors[i]);
    memset(db->cursors, 0, sizeof(db->cursors));
    mdb_txn_reset(db->reader);
    db->reading = false;
}

/* One cursor a table for the length of a transaction: keys mostly arrive in order, and a
 * cursor already on the right page needs no walk from the root. */
static int cursor_of(struct ledger *ledger, enum db_table table, MDB_cursor **out)
{
    struct ledger_db *db = ledger->db;
    int rc;
    MDB_txn *txn = current(ledger, &rc);

    /* Opened at the first use: a batch that only touches readings has no cursor on the
     * outbox. */
    if (txn != NULL && db->cursors[table] == NULL)
        rc = mdb_cursor_open(txn, db->tables[table], &db->cursors[table]);
    *out = db->cursors[table];
    return rc;
}

/* Every read goes through here. Spans point into the map, so they are only good
 * until the next change of any table, or the end of the transaction. */
static int cursor_find(struct ledger *ledger, enum db_table table, MDB_cursor_op op,
                       const void *key, size_t n, struct db_span *found,
                       struct db_span *value)
{
    MDB_val k = {n, (void *)key}, v = {0, NULL};
    MDB_cursor *cursor;
    int rc = cursor_of(ledger, table, &cursor);

    if (rc == MDB_SUCCESS)
        rc = mdb_cursor_get(cursor, &k, &v, op);
    if (rc != MDB_SUCCESS)
        return db_error(ledger, rc, "read");
    if (found != NULL)
        *found = (struct db_span){k.mv_data, k.mv_size};
    if (value != NULL)
        *value = (struct db_span){v.mv_data, v.mv_size};
    return LEDGER_OK;
}

/* The row of exactly this key. */
int db_get(struct ledger *ledger, enum db_table table, const void *key, size_t n,
           struct db_span *value)
{
    return cursor_find(ledger, table, MDB_SET, key, n, NULL, value);
}

/* The first row at or above a key. The caller compares the key it gets: tables are
 * shared between prefixes. */
int db_seek(struct ledger *ledger, enum db_table table, const void *key, size_t n,
            struct db_span *found, struct db_span *value)
{
    return cursor_find(ledger, table, MDB_SET_RANGE, key, n, found, value);
}

/* The row after the last one found in this table. Only right after a find: any
 * change between may have moved the cursor. */
int db_next(struct ledger *ledger, enum db_table table, struct db_span *found,
            struct db_span *value)
{
    return cursor_find(ledger, table, MDB_NEXT, NULL, 0, found, value);
}

/* The last row at or below a key: the first at or above it, unless it is the key
 * itself, has it as its neighbour. */
int db_seek_back(struct ledger *ledger, enum db_table table, const void *key, size_t n,
                 struct db_span *found, struct db_span *value)
{
    int error = db_seek(ledger, table, key, n, found, value);

    if (error == LEDGER_NOT_FOUND)
        return cursor_find(ledger, table, MDB_LAST, NULL, 0, found, value);
    if (error != LEDGER_OK || (found->size == n && memcmp(found->bytes, key, n) == 0))
        return error;
    return cursor_find(ledger, table, MDB_PREV, NULL, 0, found, value);
}

/* Every change goes through here. Once a batch is broken nothing more is tried:
 * LMDB's transaction may be in any state. */
static int db_write(struct ledger *ledger, enum db_table table, const void *key, size_t n,
                    const void *value, size_t size, unsigned flags)
{
    MDB_val k = {n, (void *)key}, v = {size, (void *)value};
    MDB_cursor *cursor;
    int rc;

    assert(ledger->batch);
    if (ledger->broken != 0)
        return ledger->broken;
    if ((rc = cursor_of(ledger, table, &cursor)) == MDB_SUCCESS)
        rc = mdb_cursor_put(cursor, &k, &v, flags);
    return db_error(ledger, rc, "write");
}

/* Writes a row, over an older one if there is one. */
int db_put(struct ledger *ledger, enum db_table table, const void *key, size_t n,
           const void *value, size_t size)
{
    return db_write(ledger, table, key, n, value, size, 0);
}

/* For tables numbered by ourselves. LMDB then fills pages to the brim instead of
 * splitting them in half. */
int db_append(struct ledger *ledger, enum db_table table, const void *key, size_t n,
              const void *value, size_t size)
{
    return db_write(ledger, table, key, n, value, size, MDB_APPEND);
}

/* Deletes a row; LEDGER_NOT_FOUND is for the caller to judge. */
int db_drop(struct ledger *ledger, enum db_table table, const void *key, size_t n)
{
    MDB_val k = {n, (void *)key};

    assert(ledger->batch);
    if (ledger->broken != 0)
        return ledger->broken;
    return db_error(ledger,
                    mdb_del(ledger->db->batch, ledger->db->tables[table], &k, NULL),
                    "delete");
}

/* How many rows a table has: LMDB knows, nothing is counted. */
uint64_t db_rows(struct ledger *ledger, enum db_table table)
{
    MDB_stat stat;
    int rc;
    MDB_txn *txn = current(ledger, &rc);

    if (txn == NULL || mdb_stat(txn, ledger->db->tables[table], &stat) != MDB_SUCCESS)
        return 0;
    return stat.ms_entries;
}

/* --- space --- */

/* Pages that a later batch may use again. Their list must be walked, so this is done
 * seldom. */
static uint64_t free_pages(struct ledger_db *db, MDB_txn *txn)
{
    MDB_cursor *cursor;
    MDB_val k, v;
    uint64_t pages = 0;

    if (mdb_cursor_open(txn, 0, &cursor) != MDB_SUCCESS)
        return 0;
    /* The free list is a table too: each row begins with how many pages it names. */
    while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == MDB_SUCCESS)
        pages += *(const size_t *)v.mv_data;
    mdb_cursor_close(cursor);
    db->free_pages_age = 0;
    return pages;
}

/* What the file takes, as its highest page, and what the disk has left. Pages that
 * are free inside the file count as taken here: finding them costs a walk. */
static int space_now(struct ledger *ledger, struct ledger_space *space,
                     uint64_t *file_size)
{
    struct ledger_db *db = ledger->db;
    struct statvfs disk;
    struct stat file;
    MDB_envinfo info;
    int rc, fd;

    if ((rc = mdb_env_info(db->env, &info)) != MDB_SUCCESS ||
        (rc = mdb_env_get_fd(db->env, &fd)) != MDB_SUCCESS)
        return db_error(ledger, rc, "space");
    if (fstatvfs(fd, &disk) != 0 || fstat(fd, &file) != 0)
        return ledger_fail(ledger, LEDGER_IO, "space: %s", strerror(errno));
    *file_size = (uint64_t)file.st_size;
    space->size_max = db->size_max;
    space->disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
    space->used = (info.me_last_pgno + 1) * db->page_size;
    return LEDGER_OK;
}

/* For status: the same, less the pages that are free inside the file. */
int ledger_space(struct ledger *ledger, struct ledger_space *space)
{
    uint64_t file_size;
    int rc, error = space_now(ledger, space, &file_size);
    MDB_txn *txn = current(ledger, &rc);

    if (error == LEDGER_OK && txn != NULL)
        space->used -= free_pages(ledger->db, txn) * ledger->db->page_size;
    return error;
}

/* Decides whether the batch may take new records. Moving readings on and answering the
 * EPR goes on in the reserve: a B-tree without a free page can't even delete. */
static int room_check(struct ledger *ledger)
{
    struct ledger_db *db = ledger->db;
    uint64_t file_size = 0,
             reserve = db->size_max / 16 > RESERVE_MIN ? db->size_max / 16 : RESERVE_MIN;
    struct ledger_space space = {0};
    int error = space_now(ledger, &space, &file_size);
    bool map_low, disk_low;

    if (error != LEDGER_OK)
        return error;
    /* Two limits that know nothing of each other: the map is ours to set, the disk is
     * everybody's. A preallocated file does not mind a full disk. */
    map_low = space.used + reserve > db->size_max;
    disk_low = space.disk_free < db->free_min && space.used + RESERVE_MIN > file_size;
    if (map_low || disk_low) {
        if (db->free_pages_age++ % FREE_PAGES_EVERY == 0)
            db->free_pages = free_pages(db, db->batch);
        /* Pages given back count as room of both. */
        if (db->free_pages * db->page_size > reserve)
            map_low = disk_low = false;
    }
    ledger->full = map_low || disk_low;
    if (ledger->full)
        (void)ledger_fail(ledger, LEDGER_FULL,
                          "%s (%llu MiB used of %llu, %llu MiB free on disk)",
                          map_low ? "ledger full" : "disk full",
                          (unsigned long long)(space.used >> 20),
                          (unsigned long long)(db->size_max >> 20),
                          (unsigned long long)(space.disk_free >> 20));
    return LEDGER_OK;
}

/* --- batches --- */

/* Closes the environment and all that hangs on it, leaving the ledger able to open
 * it again. */
static void env_shut(struct ledger_db *db)
{
    if (db->env == NULL)
        return;
    reader_reset(db);
    if (db->reader != NULL)
        mdb_txn_abort(db->reader);
    db->reader = NULL;
    mdb_env_close(db->env);
    db->env = NULL;
}

/* A meta page that could not be written: LMDB refuses all work from then on. */
static bool gave_up(struct ledger_db *db)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);

    if (rc == MDB_SUCCESS)
        mdb_txn_abort(txn);
    return rc == MDB_PANIC;
}

/* A batch begins with fresh eyes: the reader is let go, the room is measured. If
 * the file could not be opened again after LMDB gave up, this is where it is
 * tried. */
int ledger_begin(struct ledger *ledger)
{
    struct ledger_db *db = ledger->db;
    int rc, error;

    assert(!ledger->batch);
    if (db->env == NULL && (error = ledger_recover(ledger)) != LEDGER_OK)
        return error;
    reader_reset(db);
    if ((rc = mdb_txn_begin(db->env, NULL, 0, &db->batch)) != MDB_SUCCESS) {
        db->batch = NULL;
        return db_error(ledger, rc, "begin");
    }
    ledger->batch = true;
    ledger->broken = 0;
    /* Sources made from here on go again with an abort. */
    ledger->source_before = ledger->source_count;
    if ((error = room_check(ledger)) != LEDGER_OK)
        ledger_abort(ledger);
    return error;
}

/* After a commit memory is the new truth; after an abort the copy from before is
 * brought back, and the names are forgotten, for some of their numbers never were. */
static void batch_end(struct ledger *ledger, bool committed)
{
    struct ledger_db *db = ledger->db;

    db->batch = NULL;
    /* LMDB has closed the cursors with the transaction. */
    memset(db->cursors, 0, sizeof(db->cursors));
    ledger->batch = false;
    if (committed) {
        ledger->before = ledger->now;
    } else {
        uint64_t damaged = ledger->now.books.damaged; /* seen is seen */
        ledger->now = ledger->before;
        ledger->now.books.damaged = damaged;
        memset(ledger->names, 0, LEDGER_NAME_SLOTS * sizeof(*ledger->names));
    }
    sources_revert(ledger, committed);
}

/* What lives in memory is written first, then all of it becomes durable in one
 * step. An error at any point leaves nothing behind, with one exception: when the
 * meta page itself could not be written. */
int ledger_commit(struct ledger *ledger)
{
    int error = ledger->broken;

    assert(ledger->batch);
    if (error == LEDGER_OK)
        error = sources_save(ledger);
    if (error == LEDGER_OK)
        error = tallies_save(ledger);
    if (error != LEDGER_OK) {
        ledger_abort(ledger);
        return error;
    }
    /* LMDB frees the transaction whatever it returns. */
    error = db_error(ledger, mdb_txn_commit(ledger->db->batch), "commit");
    batch_end(ledger, error == LEDGER_OK);
    if (error != LEDGER_OK && gave_up(ledger->db)) {
        char why[LEDGER_ERROR_SIZE];

        memcpy(why, ledger->failure, sizeof(why));
        env_shut(ledger->db);
        (void)ledger_recover(ledger); /* or at the next begin */
        memcpy(ledger->failure, why, sizeof(why));
    }
    return error;
}

/* Forgets the batch. Nonces that were used in it stay used: the seal's counter
 * does not go back. */
void ledger_abort(struct ledger *ledger)
{
    assert(ledger->batch);
    mdb_txn_abort(ledger->db->batch);
    batch_end(ledger, false);
}

/* --- the file --- */

/* Only memory: nothing on disk is touched yet. */
int db_new(const struct ledger_options *options, struct ledger_db **out)
{
    if ((*out = calloc(1, sizeof(**out))) == NULL)
        return LEDGER_IO;
    (*out)->size_max = options->size_max;
    (*out)->free_min = options->free_min;
    return LEDGER_OK;
}

/* One file without a folder of its own, readers without thread slots. The map is
 * as large as the file may ever be; only addresses are spent on it. */
static int env_open(struct ledger *ledger, const char *path, MDB_env **out)
{
    const size_t size = (size_t)ledger->db->size_max; /* 32 bits may not hold it */
    MDB_env *env;
    int rc = size == ledger->db->size_max ? mdb_env_create(&env) : ENOMEM;

    if (rc != MDB_SUCCESS)
        return db_error(ledger, rc, "open");
    if ((rc = mdb_env_set_maxdbs(env, DB_TABLES)) != MDB_SUCCESS ||
        (rc = mdb_env_set_mapsize(env, size)) != MDB_SUCCESS ||
        /* No WRITEMAP and no flag that weakens a sync: a commit is durable or it failed.
         */
        (rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS, 0600)) != MDB_SUCCESS) {
        mdb_env_close(env);
        (void)db_error(ledger, rc, path);
        return rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH ? LEDGER_VERSION
                                                               : LEDGER_IO;
    }
    *out = env;
    return LEDGER_OK;
}

/* All tables at once: handles are good for the life of the environment, and a file
 * that lacks one is not a ledger of this version. */
static int tables_open(struct ledger *ledger, MDB_txn *txn, unsigned flags)
{
    int rc;

    for (int i = 0; i < DB_TABLES; i++) {
        rc = mdb_dbi_open(txn, table_names[i], flags, &ledger->db->tables[i]);
        if (rc == MDB_NOTFOUND)
            return ledger_fail(ledger, LEDGER_VERSION, "no table %s", table_names[i]);
        if (rc != MDB_SUCCESS)
            return db_error(ledger, rc, table_names[i]);
    }
    return LEDGER_OK;
}

/* A complete file under whatever name it is given; the caller gives it its real
 * one afterwards. */
int db_make(struct ledger *ledger, const char *path, const void *format, size_t n)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_val k = {6, "format"}, v = {n, (void *)format};
    int error, rc;

    if ((error = env_open(ledger, path, &env)) != LEDGER_OK)
        return error;
    if ((rc = mdb_txn_begin(env, NULL, 0, &txn)) != MDB_SUCCESS) {
        error = db_error(ledger, rc, "make");
        goto err0;
    }
    error = tables_open(ledger, txn, MDB_CREATE);
    if (error == LEDGER_OK)
        error = db_error(ledger, mdb_put(txn, ledger->db->tables[DB_META], &k, &v, 0),
                         "make");
    if (error != LEDGER_OK) {
        mdb_txn_abort(txn);
        goto err0;
    }
    error = db_error(ledger, mdb_txn_commit(txn), "make");
    /* The commit synced its pages; this syncs the rest of a file that has just been born.
     */
    if (error == LEDGER_OK)
        error = db_error(ledger, mdb_env_sync(env, 1), "make");
err0:
    mdb_env_close(env);
    return error;
}

/* Opens an existing file. On an error everything is closed again, so that it may
 * be tried later. */
int db_open(struct ledger *ledger, const char *path)
{
    struct ledger_db *db = ledger->db;
    MDB_txn *txn;
    MDB_stat stat;
    int error, rc, dead;

    if ((error = env_open(ledger, path, &db->env)) != LEDGER_OK)
        return error;
    /* Readers of a killed process would hold their pages for ever. */
    if ((rc = mdb_reader_check(db->env, &dead)) != MDB_SUCCESS ||
        (rc = mdb_env_stat(db->env, &stat)) != MDB_SUCCESS ||
        (rc = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn)) != MDB_SUCCESS) {
        error = db_error(ledger, rc, "open");
        goto err0;
    }
    /* A file keeps the page size that it was made with, whatever the machine's is. */
    db->page_size = stat.ms_psize;
    if ((error = tables_open(ledger, txn, 0)) != LEDGER_OK) {
        mdb_txn_abort(txn);
        goto err0;
    }
    if ((error = db_error(ledger, mdb_txn_commit(txn), "open")) == LEDGER_OK)
        return LEDGER_OK;
err0:
    env_shut(db);
    return error;
}

/* Takes disk space now, so that nobody else can fill the disk under the ledger. */
int db_reserve(struct ledger *ledger, uint64_t bytes)
{
    int fd, rc = mdb_env_get_fd(ledger->db->env, &fd);

    if (rc != MDB_SUCCESS)
        return db_error(ledger, rc, "reserve");
    /* Not posix_fallocate, which writes where the file system can't reserve. */
    if (fallocate(fd, 0, 0, (off_t)bytes) == 0 || errno == EOPNOTSUPP)
        return LEDGER_OK;
    return ledger_fail(ledger, errno == ENOSPC ? LEDGER_FULL : LEDGER_IO,
                       "reserving %llu bytes: %s", (unsigned long long)bytes,
                       strerror(errno));
}

/* As of the last commit, page by page, while others may go on writing. */
int db_copy(struct ledger *ledger, int fd)
{
    return db_error(ledger, mdb_env_copyfd2(ledger->db->env, fd, 0), "copy");
}

/* NULL is fine. */
void db_close(struct ledger_db *db)
{
    if (db == NULL)
        return;
    env_shut(db);
    free(db);
}
