/* SPDX-License-Identifier: Apache-2.0
 *
 * The store as its users see it.
 *
 * Faults. LMDB aborts the transaction of a commit that fails before its meta page is
 * written; the same batch is written again. When writing the meta page itself fails, LMDB
 * refuses all further work, and nobody knows whether the commit is on disk: the file is
 * opened again, records that it turns out to have are not put twice, and the head moves
 * only after a later commit has gone well.
 */
#include "bedside/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "bedside/store_internal.h"

#define HIGH_WATER_PRESET 80
#define BATCH_SHARE       4 /* a batch may take 1/4 of what is above high water */
#define SPARE_PAGES                                                                      \
    64 /* free disk asked for before a commit when the file is not preallocated */

/* The text outlives the error: after a recovery it still says what was wrong last. */
int store_failed(struct store *store, int error, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(store->error_text, sizeof(store->error_text), format, list);
    va_end(list);
    store->error = error;
    return error;
}

/* Reads what commits keep beside the records. Returns 1, 0 for a file that was just made,
 * or a store_error. */
static int load(struct store *store)
{
    uint8_t *bytes;
    uint64_t last = 0;
    size_t n;
    int found = store_db_get(store, STORE_KEY_EPOCHS, &bytes, &n);

    /* A new file's first transaction made its databases, and nothing came after it. */
    if (found == 0 && store->transaction > 1)
        return store_failed(store, STORE_BROKEN, "%s/" STORE_DATA ": it has no epochs",
                            store->folder);
    if (found != 1)
        return found;
    found = store_epochs_decode(store, bytes, n);
    free(bytes);
    for (size_t i = 0; i < store->epoch_count && found == STORE_OK; i++)
        if (seal_new(&store->key, &store->epochs[i].id, &store->epochs[i].seal) !=
            CRYPTO_OK)
            return store_failed(store, STORE_SYSTEM, "the store's key was refused");
    if (found == STORE_OK &&
        (found = store_db_get(store, STORE_KEY_STATE, &bytes, &n)) == 1) {
        found = store_state_decode(store, bytes, n);
        free(bytes);
    } else if (found == 0) {
        found = STORE_BROKEN;
    }
    if (found == STORE_OK)
        found = store_db_last(store, &last);
    if (found == STORE_OK)
        found = store_db_check(store);
    if (found == STORE_OK && last < store->next)
        return 1;
    if (found == STORE_OK || found == STORE_BROKEN)
        return store_failed(store, STORE_BROKEN,
                            "%s/" STORE_DATA
                            ": its state is damaged, or the key is another's",
                            store->folder);
    return found;
}

/* What is true of this board, gateway and file: a copy of the file differs in it. */
static int home_digest(struct store *store, const char *home, uint8_t out[DIGEST_SIZE])
{
    char text[512];
    int n = snprintf(text, sizeof(text), "%s\n%llu", home,
                     (unsigned long long)store_db_inode(store));

    if (n < 0 || (size_t)n >= sizeof(text))
        return STORE_INVALID;
    return crypto_sha256(text, (size_t)n, out) == CRYPTO_OK ? STORE_OK : STORE_SYSTEM;
}

/* A file without records that once had some: what was in it nobody knows. */
static int note_lost(struct store *store)
{
    wardgate_Record record;

    memset(&record, 0, sizeof(record));
    record.kind = wardgate_Record_Kind_GAP;
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_STORE_ERROR;
    record.gap.count_unknown = true;
    return store_batch_add(store, &record, NULL, true);
}

/* First open of a folder: the epoch is made with the store. */
static int make_new(struct store *store)
{
    struct store_epoch earlier[STORE_EPOCHS_MAX];
    int known = store_epochs_read(store->folder, earlier), error;

    store->next = store->assigned = store->disk_next = 1;
    if ((error = store_new_epoch(store)) != STORE_OK)
        return error;
    return known != 0 ? note_lost(store) : STORE_OK;
}

/* Opens an old store: its present epoch goes on, in a new session, unless the file was
 * copied here. */
/* A file that was copied elsewhere is a fork: both would give the same seqs to
 * different readings. The home (board, gateway, inode) tells them apart, and the copy
 * leaves the epoch to the original. */
static int go_on(struct store *store, const uint8_t home[DIGEST_SIZE])
{
    static const uint8_t none[DIGEST_SIZE];
    bool copied = store->check_home && memcmp(store->home, none, DIGEST_SIZE) != 0 &&
                  memcmp(store->home, home, DIGEST_SIZE) != 0;

    store->assigned = store->disk_next = store->next;
    if (copied)
        return store_new_epoch(store);
    return store_new_session(store, &store->epochs[store->epoch_count - 1]);
}

/* Everything that can be refused without touching the store is refused first: what is
 * wrong in a configuration is said even while another process has the store. */
int store_set_config(struct store *store, const struct store_config *config)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    size_t spare;

    if (config->folder == NULL || strlen(config->folder) >= sizeof(store->folder) - 32)
        return store_failed(store, STORE_SYSTEM, "folder name missing or too long");
    memcpy(store->folder, config->folder, strlen(config->folder) + 1);
    if (config->map_bytes < STORE_MAP_MIN || config->map_bytes > SIZE_MAX / 2)
        return store_failed(store, STORE_SYSTEM,
                            "map of %llu bytes is too small or too large here",
                            (unsigned long long)config->map_bytes);
    store->map_bytes = (config->map_bytes + page - 1) / page * page;
    store->high_water = config->high_water != 0 ? config->high_water : HIGH_WATER_PRESET;
    if (store->high_water < 20 || store->high_water > 90)
        return store_failed(store, STORE_SYSTEM, "high water of %u %% is not 20..90",
                            store->high_water);
    store->pending_max =
        config->pending_max != 0 ? config->pending_max : STORE_PENDING_PRESET;
    /* A batch must fit into the room above high water beside the pages that its commit
     * copies. */
    spare = (size_t)(store->map_bytes / 100 * (100 - store->high_water) / BATCH_SHARE);
    if (store->pending_max > spare)
        store->pending_max = spare;
    store->no_preallocate = config->no_preallocate;
    store->check_home = config->home != NULL;
    store->key = config->key;
    store->evict_from = 1;
    store->first_io = store_written();
    store->lock = store_lock(store->folder);
    if (store->lock == -EWOULDBLOCK)
        return store_failed(store, STORE_SYSTEM, "%s: in use by another process",
                            store->folder);
    if (store->lock < 0)
        return store_failed(store,
                            store->lock == -EROFS || store->lock == -ENOSPC ||
                                    store->lock == -EIO
                                ? STORE_IO
                                : STORE_SYSTEM,
                            "%s: %s", store->folder,
                            store->lock == -EACCES ? "must be a folder of mode 0700"
                                                   : strerror(-store->lock));
    return STORE_OK;
}

/* In the order of what would do harm if it were skipped: an unfinished salvage has a
 * better file beside this one; the state must be read before an epoch may be added;
 * the commit at the end shows whether this disk takes one, at start and not at the
 * first reading. */
static int open_all(struct store *store, const struct store_config *config)
{
    uint8_t home[DIGEST_SIZE] = {0};
    int error;

    if ((error = store_set_config(store, config)) != STORE_OK)
        return error;
    if (store_salvage_unfinished(store->folder))
        return store_failed(store, STORE_BROKEN, "%s: a salvage was cut short",
                            store->folder);
    if ((error = store_db_open(store)) != STORE_OK)
        return error;
    if (config->home != NULL &&
        (error = home_digest(store, config->home, home)) != STORE_OK)
        return store_failed(store, error, "%s: can't tell its home", store->folder);
    if ((error = load(store)) < 0)
        return error;
    error = error == 0 ? make_new(store) : go_on(store, home);
    if (error != STORE_OK)
        return error;
    memcpy(store->home, home, DIGEST_SIZE);
    store_db_preallocate(store);
    /* Epoch and session are on disk before any record is. */
    store->changed = true;
    if ((error = store_commit(store, 0)) != STORE_OK)
        return error;
    return store_epochs_repeat(store);
}

/* The store has its error text inside it, so it is copied out before it is freed. */
int store_open(const struct store_config *config, struct store **out, char *error)
{
    struct store *store = calloc(1, sizeof(*store));
    int result;

    *out = NULL;
    if (store == NULL) {
        snprintf(error, STORE_ERROR_SIZE, "out of memory");
        return STORE_SYSTEM;
    }
    store->lock = -1;
    result = open_all(store, config);
    if (result == STORE_OK) {
        error[0] = '\0';
        *out = store;
        return STORE_OK;
    }
    snprintf(error, STORE_ERROR_SIZE, "%s",
             store->error_text[0] != '\0' ? store->error_text
                                          : "the store's key or memory failed");
    store_close(store);
    return result;
}

/* Does not commit: what was not committed was never offered, and a daemon that ends
 * well has committed itself. */
void store_close(struct store *store)
{
    if (store == NULL)
        return;
    store_db_close(store);
    for (size_t i = 0; i < store->epoch_count; i++)
        seal_free(store->epochs[i].seal);
    ranges_free(&store->done);
    ranges_free(&store->absent);
    ranges_free(&store->removal);
    store_batch_free(store);
    free(store->devices);
    if (store->lock >= 0)
        close(store->lock);
    crypto_wipe(&store->key, sizeof(store->key));
    free(store);
}

/* After LMDB gave up (its meta page may or may not be on disk): opens the file again and
 * sees how far it goes. What RAM knows of receipts and removals is at least as new as the
 * file. */
static int open_again(struct store *store)
{
    struct store *disk = calloc(1, sizeof(*disk));
    uint8_t *bytes;
    size_t n;
    int error;

    if (disk == NULL)
        return STORE_SYSTEM;
    memcpy(disk->epochs, store->epochs, sizeof(disk->epochs));
    disk->epoch_count = store->epoch_count;
    if ((error = store_db_open(store)) == STORE_OK) {
        error = store_db_get(store, STORE_KEY_STATE, &bytes, &n);
        if (error == 1) {
            error = store_state_decode(disk, bytes, n);
            free(bytes);
        } else if (error == 0) { /* the very first commit never came down */
            disk->next = 1;
        }
        if (error == STORE_OK)
            store->disk_next = disk->next;
        else
            store_db_close(store);
    }
    ranges_free(&disk->done);
    ranges_free(&disk->absent);
    free(disk);
    return error;
}

/* A full disk is found before LMDB writes: a transaction that fails in the middle is
 * aborted and safe, but the question costs less than the answer. Unknown (statvfs
 * refused) is not full. */
static int disk_has_room(struct store *store)
{
    struct statvfs fs;

    if (store->preallocated || statvfs(store->folder, &fs) != 0)
        return STORE_OK;
    /* Pages of the file that are free inside LMDB need no disk: the file is as long as it
     * ever was. */
    if ((uint64_t)fs.f_bavail * fs.f_frsize >=
        store->batch.used + (uint64_t)SPARE_PAGES * store->page_size)
        return STORE_OK;
    return store_failed(store, STORE_IO, "%s: disk full", store->folder);
}

bool store_dirty(const struct store *store)
{
    return store->batch.count > 0 || store->changed || store->removal.count > 0;
}

size_t store_pending(const struct store *store)
{
    return store->batch.count;
}

uint64_t store_next(const struct store *store)
{
    return store->next;
}

/* Room first, since deleting needs pages too. Nothing in memory moves until LMDB has
 * said yes; then all of it does: head, batch, plans. The latest time is noted even
 * when the commit fails, and rides in the next one. */
int store_commit(struct store *store, int64_t utc_us)
{
    int error = STORE_OK;

    if (!store_dirty(store))
        return STORE_OK;
    if (store->env == NULL)
        error = open_again(store);
    if (error == STORE_OK)
        error = store_make_room(store);
    if (error == STORE_OK)
        error = disk_has_room(store);
    if (utc_us > store->committed_utc_us)
        store->committed_utc_us = utc_us;
    if (error == STORE_OK)
        error = store_db_commit(store);
    if (error != STORE_OK) {
        store->errors++;
        store->error = error;
        return error;
    }
    store->next = store->disk_next = store->assigned;
    store_batch_drop(store, store->next);
    for (size_t i = 0; i < store->device_count; i++)
        store->devices[i].dirty = false;
    store->removal.count = 0;
    store->changed = false;
    store->error = STORE_OK;
    store->commits++;
    return STORE_OK;
}

/* --- reading --- */

struct reading {
    struct store *store;
    struct store_items *items;
    const struct store_epoch *epoch;
    uint8_t *out;
    size_t capacity;
    bool all;
    uint64_t expected; /* the next seq that must be there, unless it is done with */
    uint64_t damaged;  /* a record whose seal failed, to be dealt with outside the read
                          transaction; 0: none */
    int error;
};

/* Runs inside the read transaction, on pages that may be damaged: it copies, or says
 * why not. Whatever has consequences (a gap for a damaged record) is left to
 * store_read, outside of it. */
static enum store_visit read_visit(void *context, uint64_t seq, const uint8_t *sealed,
                                   size_t size, uint64_t *skip_to)
{
    struct reading *r = context;
    const struct ranges *set = r->all ? &r->store->absent : &r->store->done;
    struct store_items *items = r->items;
    size_t n;
    int error;

    /* A record that should be there and is not, or stands where it should not: the tree
     * is damaged. What was read before is good. */
    if (seq < r->expected || store_hole(set, r->expected, seq)) {
        items->next = r->expected;
        r->error = items->count == 0 ? STORE_BROKEN : STORE_OK;
        return STORE_STOP;
    }
    r->expected = seq + 1;
    /* What a removal is planned for may still be in the file. */
    if ((*skip_to = ranges_past(set, seq)) != 0) {
        r->expected = *skip_to;
        return STORE_GO_ON;
    }
    if (items->count > 0 && store_epoch_of(r->store, seq) != r->epoch) {
        items->next = seq;
        return STORE_STOP;
    }
    if (size > STORE_SEALED_MAX || size < SEAL_OVERHEAD) {
        r->damaged = items->next = seq;
        return STORE_STOP;
    }
    if (size - SEAL_OVERHEAD > r->capacity - items->size) {
        items->next = seq;
        return STORE_STOP;
    }
    error = store_unseal(r->store, seq, sealed, size, r->out + items->size, &n);
    if (error != CRYPTO_OK) {
        items->next = seq;
        r->damaged = error == CRYPTO_TAMPERED ? seq : 0;
        r->error = error == CRYPTO_TAMPERED ? STORE_OK : STORE_SYSTEM;
        return STORE_STOP;
    }
    if (items->count++ == 0) {
        items->first = seq;
        r->epoch = store_epoch_of(r->store, seq);
        items->epoch = r->epoch->id;
    }
    items->last = seq;
    items->size += n;
    return STORE_GO_ON;
}

/* Goes round again behind each damaged record, so that one of them never hides what is
 * after it. An empty answer with a higher `next` means: nothing here, go on there. */
int store_read(struct store *store, uint64_t from, uint64_t to, bool all, uint8_t *out,
               size_t capacity, struct store_items *items)
{
    struct reading r = {
        .store = store, .items = items, .out = out, .capacity = capacity, .all = all};
    int error;

    memset(items, 0, sizeof(*items));
    if (capacity < STORE_ITEM_MAX)
        return STORE_INVALID;
    if (to >= store->next)
        to = store->next - 1;
    items->next = from;
    while (from <= to) {
        r.damaged = 0;
        r.expected = from;
        items->next = UINT64_MAX; /* unless the visitor stops earlier */
        if ((error = store_walk(store, from, to, read_visit, &r)) != STORE_OK)
            return error;
        if (items->next == UINT64_MAX) {
            items->next = to + 1;
            if (store_hole(all ? &store->absent : &store->done, r.expected, to + 1)) {
                items->next = r.expected;
                r.error = items->count == 0 ? STORE_BROKEN : STORE_OK;
            }
        }
        if (r.error == STORE_BROKEN)
            return store_failed(store, r.error,
                                "%s/" STORE_DATA
                                ": record %llu is not where it should be",
                                store->folder, (unsigned long long)r.expected);
        if (r.error != STORE_OK)
            return store_failed(store, r.error,
                                "the seal of a record could not be tried");
        if (r.damaged == 0)
            break;
        if (store_damaged(store, r.damaged) != STORE_OK)
            return items->count > 0 ? STORE_OK : STORE_IO;
        from = r.damaged + 1;
        items->next = from;
    }
    return STORE_OK;
}

/* From memory if the device was heard since the start, else from the file: so opening
 * reads no device at all, however many there were once. */
bool store_last(struct store *store, const char *device, wardgate_Record *record)
{
    const struct store_device *last;
    struct store_device fresh;
    char key[1 + sizeof(fresh.id)];
    uint8_t *bytes;
    size_t n = strlen(device);
    bool found;

    if ((last = store_device(store, device, false)) == NULL) {
        if (n == 0 || n >= sizeof(fresh.id) || store->env == NULL)
            return false;
        key[0] = STORE_KEY_LAST;
        memcpy(key + 1, device, n + 1);
        if (store_db_get(store, key, &bytes, &n) != 1)
            return false;
        found = store_last_decode(store, bytes, n, &fresh) == STORE_OK &&
                strcmp(fresh.id, device) == 0;
        free(bytes);
        if (!found)
            return false;
        last = &fresh;
    }
    memset(record, 0, sizeof(*record));
    record->seq = last->seq;
    record->kind = wardgate_Record_Kind_READING;
    record->has_device = record->has_time = true;
    memcpy(record->device.id, last->id, sizeof(record->device.id));
    record->time = last->time;
    record->sample = last->sample;
    record->has_sample = last->has_sample;
    return true;
}

/* All from memory: it is asked for each state message and status request, also while
 * the disk fails. */
void store_status(const struct store *store, struct store_status *status)
{
    const struct store_epoch *epoch = &store->epochs[store->epoch_count - 1];
    uint64_t high = store->map_pages * store->high_water / 100;

    memset(status, 0, sizeof(*status));
    status->epoch = epoch->id;
    status->epoch_first = epoch->first;
    status->first = store_first(store);
    status->next = store->next;
    status->assigned = store->assigned;
    status->unreceipted = store_unreceipted(store, 1, store->next - 1);
    status->unreceipted_bytes = store->unreceipted_bytes;
    status->stored = store->stored;
    status->pending = store->batch.count;
    status->pending_bytes = store->batch.used;
    status->full_permille = high > 0 ? (uint32_t)(store->used_pages * 1000 / high) : 0;
    status->map_bytes = store->map_bytes;
    status->used_bytes = store->used_pages * store->page_size;
    status->preallocated = store->preallocated;
    status->commits = store->commits;
    status->errors = store->errors;
    status->damaged = store->damaged;
    status->evicted = store->evicted;
    status->refused = store->refused;
    status->receipts_refused = store->receipts_refused;
    status->written_bytes = store_written() - store->first_io;
    status->committed_utc_us = store->committed_utc_us;
    status->error = store->error;
    memcpy(status->error_text, store->error_text, sizeof(status->error_text));
}
