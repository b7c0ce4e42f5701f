/* SPDX-License-Identifier: Apache-2.0
 *
 * The LMDB file of the store: all that knows LMDB. Two databases: "records" (big-endian
 * seq -> sealed item, appended) and "state" (what a commit keeps beside them). The flags
 * are LMDB's own safe ones: each commit is synced twice, data then meta page. Read
 * transactions end with the call that began them: one that stays open keeps every page it
 * could see from being used again.
 */
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bedside/store_internal.h"

#define IMPORT_BATCH 1000 /* records a transaction when salvaging */

/* LMDB's values are not const, and it never writes to those that it is given. */
static void *unconst(const void *bytes)
{
    union {
        const void *from;
        void *to;
    } both = {bytes};

    return both.to;
}

/* What an LMDB result means for the caller. */
static int failed_mdb(struct store *store, const char *what, int rc)
{
    int error = STORE_BROKEN;

    if (rc > 0 || rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == MDB_PANIC ||
        rc == MDB_MAP_RESIZED || rc == MDB_READERS_FULL)
        error = STORE_IO;
    return store_failed(store, error, "%s/" STORE_DATA ": %s: %s", store->folder, what,
                        mdb_strerror(rc));
}

/* LMDB wants every transaction ended before its environment is closed. */
void store_db_close(struct store *store)
{
    if (store->import != NULL)
        mdb_txn_abort(store->import);
    if (store->reader != NULL)
        mdb_txn_abort(store->reader);
    store->import = store->reader = NULL;
    if (store->env != NULL)
        mdb_env_close(store->env);
    store->env = NULL;
}

/* Pages in use, from the trees' own counts: exact, and the same work for any queue. */
static int count_pages(struct store *store, MDB_txn *txn)
{
    const MDB_dbi all[] = {0, 1, store->records_db,
                           store->state_db}; /* 0: LMDB's free list, 1: its root */
    uint64_t used = 2;
    MDB_envinfo info;
    MDB_stat stat;
    int rc;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if ((rc = mdb_stat(txn, all[i], &stat)) != 0)
            return rc;
        used += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
        if (all[i] == store->records_db) {
            store->stored = stat.ms_entries;
            store->leaf_pages = stat.ms_leaf_pages;
        }
        store->page_size = stat.ms_psize;
    }
    store->used_pages = used;
    /* A map that was larger once stays as large as its pages need. */
    if ((rc = mdb_env_info(store->env, &info)) != 0)
        return rc;
    store->map_pages = info.me_mapsize / store->page_size;
    return 0;
}

/* A file never shrinks: one that is larger than configured keeps its size, and one whose
 * pages fill it gets some to work with. */
static int fit_map(struct store *store)
{
    MDB_envinfo info;
    struct stat st;
    uint64_t pages_size;
    int fd, rc = mdb_env_get_fd(store->env, &fd);

    if (rc != 0 || fstat(fd, &st) != 0 || (uint64_t)st.st_size <= store->map_bytes)
        return rc;
    if ((rc = mdb_env_info(store->env, &info)) != 0)
        return rc;
    store->map_bytes = (uint64_t)st.st_size;
    pages_size = (info.me_last_pgno + 1) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (pages_size > store->map_bytes / 10 * 9)
        store->map_bytes += store->map_bytes / 4;
    return mdb_env_set_mapsize(store->env, (size_t)store->map_bytes);
}

/* MDB_NOTLS, because the reader belongs to the store and not to the thread that
 * happens to open it. It is made here once, and then only renewed and reset: it keeps
 * its slot. */
int store_db_open(struct store *store)
{
    MDB_txn *txn = NULL;
    MDB_envinfo info;
    unsigned flags;
    int rc, dead;

    if ((rc = mdb_env_create(&store->env)) != 0) {
        store->env = NULL;
        return failed_mdb(store, "create", rc);
    }
    if ((rc = mdb_env_set_mapsize(store->env, (size_t)store->map_bytes)) != 0 ||
        (rc = mdb_env_set_maxdbs(store->env, 2)) != 0 ||
        (rc = mdb_env_open(store->env, store->folder, MDB_NOTLS, 0600)) != 0 ||
        (rc = fit_map(store)) != 0) {
        int error = failed_mdb(store, "open", rc);
        store_db_close(store);
        return error;
    }
    /* Readers that were killed would hold their pages for ever. */
    mdb_reader_check(store->env, &dead);
    /* A database that is missing is made in a new file only. In an old one its name was
     * hit by a flipped bit, and an empty one beside it would hide all that there is. */
    (void)mdb_env_info(store->env, &info);
    store->transaction = info.me_last_txnid;
    flags = store->transaction == 0 ? MDB_CREATE : 0;
    if ((rc = mdb_txn_begin(store->env, NULL, 0, &txn)) != 0 ||
        (rc = mdb_dbi_open(txn, "records", flags, &store->records_db)) != 0 ||
        (rc = mdb_dbi_open(txn, "state", flags, &store->state_db)) != 0 ||
        (rc = count_pages(store, txn)) != 0)
        goto err1;
    rc = mdb_txn_commit(txn);
    txn = NULL;
    if (rc != 0 ||
        (rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &store->reader)) != 0)
        goto err1;
    mdb_txn_reset(store->reader);
    return STORE_OK;

err1:
    if (txn != NULL)
        mdb_txn_abort(txn);
    store->reader = NULL;
    dead = failed_mdb(store, "open", rc);
    store_db_close(store);
    return dead;
}

/* The whole map is given to the file, so that nothing else on the disk can fill it up
 * under the store. Only on an open environment's descriptor: LMDB takes a file that is
 * not empty for a store. */
void store_db_preallocate(struct store *store)
{
    struct stat st;
    int fd;

    store->preallocated = false;
    if (store->no_preallocate || mdb_env_get_fd(store->env, &fd) != 0 ||
        fstat(fd, &st) != 0)
        return;
    if ((uint64_t)st.st_blocks * 512 >= store->map_bytes) {
        store->preallocated = true;
        return;
    }
    if (fallocate(fd, 0, 0, (off_t)store->map_bytes) == 0)
        store->preallocated = fsync(fd) == 0;
}

/* Copied while the transaction lasts: LMDB hands out pointers into the map, and the
 * next commit may write over what they point to. */
int store_db_get(struct store *store, const char *key, uint8_t **out, size_t *n)
{
    MDB_val k = {strlen(key), unconst(key)}, value;
    int rc = mdb_txn_renew(store->reader), found = 0;

    *out = NULL;
    if (rc != 0)
        return failed_mdb(store, "read", rc);
    if ((rc = mdb_get(store->reader, store->state_db, &k, &value)) == 0) {
        found = 1;
        *n = value.mv_size;
        if ((*out = malloc(value.mv_size + 1)) == NULL)
            found = STORE_SYSTEM;
        else
            memcpy(*out, value.mv_data, value.mv_size);
    } else if (rc != MDB_NOTFOUND) {
        found = failed_mdb(store, "state", rc);
    }
    mdb_txn_reset(store->reader);
    return found;
}

/* To be compared with the head that the state says: a record above it would be of a
 * commit whose state was lost, which LMDB's transactions rule out, so the file is
 * damaged. */
int store_db_last(struct store *store, uint64_t *seq)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_txn_renew(store->reader);

    *seq = 0;
    if (rc != 0)
        return failed_mdb(store, "read", rc);
    if ((rc = mdb_cursor_open(store->reader, store->records_db, &cursor)) == 0) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        mdb_cursor_close(cursor);
    }
    if (rc == 0 && key.mv_size == STORE_KEY_SIZE)
        *seq = store_get64(key.mv_data);
    else if (rc == 0)
        rc = MDB_CORRUPTED;
    mdb_txn_reset(store->reader);
    return rc == 0 || rc == MDB_NOTFOUND ? STORE_OK : failed_mdb(store, "read", rc);
}

/* Walks with an open cursor. Pages may be damaged: what is no key of ours ends it. */
static int walk_cursor(MDB_cursor *cursor, uint64_t from, uint64_t to,
                       store_visitor *visit, void *context)
{
    uint8_t wanted[STORE_KEY_SIZE];
    MDB_val key = {STORE_KEY_SIZE, wanted}, value;
    int rc;

    store_put64(wanted, from);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    while (rc == 0) {
        uint64_t skip_to = 0, seq;
        if (key.mv_size != STORE_KEY_SIZE)
            return MDB_CORRUPTED;
        seq = store_get64(key.mv_data);
        if (seq > to)
            return 0;
        if (visit(context, seq, value.mv_data, value.mv_size, &skip_to) == STORE_STOP)
            return 0;
        if (skip_to > seq + 1) {
            store_put64(wanted, skip_to);
            key = (MDB_val){STORE_KEY_SIZE, wanted};
            rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        } else {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* The reader is reset after every walk: one that stays open keeps all pages freed
 * since from being used again, and a full store could not even delete. */
int store_walk(struct store *store, uint64_t from, uint64_t to, store_visitor *visit,
               void *context)
{
    MDB_cursor *cursor;
    int rc;

    if (store->env == NULL)
        return STORE_IO;
    if ((rc = mdb_txn_renew(store->reader)) != 0)
        return failed_mdb(store, "read", rc);
    if ((rc = mdb_cursor_open(store->reader, store->records_db, &cursor)) == 0) {
        rc = walk_cursor(cursor, from, to, visit, context);
        mdb_cursor_close(cursor);
    }
    mdb_txn_reset(store->reader);
    return rc == 0 ? STORE_OK : failed_mdb(store, "read", rc);
}

static int put_state(struct store *store, MDB_txn *txn, const char *key, size_t n,
                     const uint8_t *bytes, size_t size)
{
    MDB_val k = {n, unconst(key)}, v = {size, unconst(bytes)};

    return mdb_put(txn, store->state_db, &k, &v, 0);
}

/* Deletes what is planned. Keys that are not there are no fault: a commit whose outcome
 * was unknown may have deleted them. */
static int put_removals(struct store *store, MDB_txn *txn)
{
    MDB_cursor *cursor;
    int rc;

    if (store->removal.count == 0)
        return 0;
    if ((rc = mdb_cursor_open(txn, store->records_db, &cursor)) != 0)
        return rc;
    for (size_t i = 0; i < store->removal.count && rc == 0; i++) {
        uint8_t wanted[STORE_KEY_SIZE];
        MDB_val key = {STORE_KEY_SIZE, wanted}, value;
        store_put64(wanted, store->removal.items[i].first);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        while (rc == 0 && store_get64(key.mv_data) <= store->removal.items[i].last &&
               (rc = mdb_cursor_del(cursor, 0)) == 0)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (rc == MDB_NOTFOUND) /* the end of the database */
            rc = 0;
    }
    mdb_cursor_close(cursor);
    return rc;
}

/* MDB_APPEND: keys only grow, pages are packed full, and a key that does not grow is
 * an error here rather than a record that replaces another. */
static int put_batch(struct store *store, MDB_txn *txn)
{
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, store->records_db, &cursor);

    for (size_t i = 0; i < store->batch.count && rc == 0; i++) {
        const struct store_batch_item *item = &store->batch.items[i];
        uint8_t seq[STORE_KEY_SIZE];
        MDB_val key = {STORE_KEY_SIZE, seq},
                value = {item->size, store->batch.bytes + item->at};
        if (item->seq < store->disk_next)
            continue; /* a commit that failed had put it there after all */
        store_put64(seq, item->seq);
        rc = mdb_cursor_put(cursor, &key, &value, MDB_APPEND);
        if (rc == 0)
            store->unreceipted_bytes += item->size - SEAL_OVERHEAD;
    }
    mdb_cursor_close(cursor);
    return rc;
}

/* The same transaction as the records: a head without its record, or a receipt without
 * its state, is never on disk. Only devices that were heard since the last commit are
 * written, so what a commit costs does not grow with the number of devices. */
static int put_notes(struct store *store, MDB_txn *txn)
{
    uint8_t epochs[STORE_EPOCHS_MAX * (EPOCH_SIZE + 8)], *state;
    char key[1 + sizeof(store->devices->id)];
    size_t n = store_epochs_encode(store, epochs), capacity;
    int size, rc;

    for (size_t i = 0; i < store->device_count; i++) {
        struct store_device *device = &store->devices[i];
        if (!device->dirty)
            continue;
        size = store_last_encode(store, device, store->sealed, sizeof(store->sealed));
        if (size < 0)
            return ENOMEM;
        key[0] = STORE_KEY_LAST;
        memcpy(key + 1, device->id, strlen(device->id));
        rc = put_state(store, txn, key, 1 + strlen(device->id), store->sealed,
                       (size_t)size);
        if (rc != 0)
            return rc;
    }
    capacity = 128 + SEAL_OVERHEAD + 16 * (store->done.count + store->absent.count);
    if ((state = malloc(capacity)) == NULL)
        return ENOMEM;
    store->transaction = mdb_txn_id(txn);
    size = store_state_encode(store, store->assigned, state, capacity);
    rc = size < 0 ? ENOMEM
                  : put_state(store, txn, STORE_KEY_STATE, strlen(STORE_KEY_STATE), state,
                              (size_t)size);
    free(state);
    if (rc == 0)
        rc = put_state(store, txn, STORE_KEY_EPOCHS, strlen(STORE_KEY_EPOCHS), epochs, n);
    return rc;
}

/* What the trees say of themselves must fit what is known: room is made by their word,
 * and a flipped bit in it would have records evicted that have all the room there is. */
static int check_counts(const struct store *store, uint64_t next)
{
    uint64_t gone = ranges_overlap(&store->absent, 1, next - 1);

    if (store->stored != next - 1 - gone || store->used_pages > store->map_pages)
        return MDB_CORRUPTED;
    return 0;
}

/* At opening also against the pages that the file has: no seal covers the trees'
 * counts. And a flipped bit in a tree's root can lead to pages of long ago, whole and
 * sealed, that know nothing of what came later: a state must be of the file's last
 * transaction. */
int store_db_check(struct store *store)
{
    MDB_envinfo info;
    int rc = mdb_env_info(store->env, &info);

    if (rc == 0)
        rc = check_counts(store, store->next);
    if (rc == 0 && (store->used_pages > info.me_last_pgno + 1 ||
                    store->transaction != info.me_last_txnid))
        rc = MDB_CORRUPTED;
    return rc == 0 ? STORE_OK : failed_mdb(store, "counts", rc);
}

/* Counts are checked inside the transaction, so that a file whose trees lie is not
 * made worse by one more commit. */
int store_db_commit(struct store *store)
{
    uint64_t bytes = store->unreceipted_bytes;
    MDB_txn *txn;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);

    if (rc == 0) {
        if ((rc = put_removals(store, txn)) == 0 && (rc = put_batch(store, txn)) == 0 &&
            (rc = put_notes(store, txn)) == 0 && (rc = count_pages(store, txn)) == 0 &&
            (rc = check_counts(store, store->assigned)) == 0)
            rc = mdb_txn_commit(txn);
        else
            mdb_txn_abort(txn);
    }
    if (rc == 0)
        return STORE_OK;
    store->unreceipted_bytes = bytes;
    rc = failed_mdb(store, "commit", rc);
    /* Whether LMDB goes on after this is known only by asking. */
    if (mdb_txn_begin(store->env, NULL, 0, &txn) == 0)
        mdb_txn_abort(txn);
    else
        store_db_close(store);
    return rc;
}

/* A copy of the file has another inode even where the board's id and the name are the
 * same. */
uint64_t store_db_inode(const struct store *store)
{
    struct stat st;
    int fd;

    return mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &st) == 0
               ? (uint64_t)st.st_ino
               : 0;
}

/* --- salvage --- */

/* In batches with one sync each: salvage may bring over millions, and a transaction
 * holds all its dirty pages in memory. */
int store_import(struct store *store, uint64_t seq, const uint8_t *sealed, size_t size,
                 bool replace)
{
    uint8_t bytes[STORE_KEY_SIZE];
    MDB_val key = {STORE_KEY_SIZE, bytes}, value = {size, unconst(sealed)};
    int rc = 0;

    store_put64(bytes, seq);
    if (store->import == NULL)
        rc = mdb_txn_begin(store->env, NULL, 0, &store->import);
    if (rc == 0)
        rc = mdb_put(store->import, store->records_db, &key, &value,
                     replace ? 0 : MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST)
        rc = 0;
    if (rc == 0 && ++store->imported % IMPORT_BATCH == 0) {
        rc = mdb_txn_commit(store->import);
        store->import = NULL;
    }
    return rc == 0 ? STORE_OK : failed_mdb(store, "salvage", rc);
}

/* Inside the same transaction that writes: what was imported a moment ago counts too. */
bool store_import_get(struct store *store, uint64_t seq, uint8_t *sealed, size_t capacity,
                      size_t *size)
{
    uint8_t bytes[STORE_KEY_SIZE];
    MDB_val key = {STORE_KEY_SIZE, bytes}, value;

    if (store->import == NULL &&
        mdb_txn_begin(store->env, NULL, 0, &store->import) != 0) {
        store->import = NULL;
        return false;
    }
    store_put64(bytes, seq);
    if (mdb_get(store->import, store->records_db, &key, &value) != 0 ||
        value.mv_size > capacity)
        return false;
    memcpy(sealed, value.mv_data, value.mv_size);
    *size = value.mv_size;
    return true;
}

int store_import_end(struct store *store)
{
    int rc = 0;

    if (store->import != NULL)
        rc = mdb_txn_commit(store->import);
    store->import = NULL;
    return rc == 0 ? STORE_OK : failed_mdb(store, "salvage", rc);
}
