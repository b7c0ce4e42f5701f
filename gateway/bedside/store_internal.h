/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store's own files share. Only store_db.c knows LMDB; the others see records as
 * bytes under a seq.
 *
 *   store.c          what the users see: open, commit, read, status
 *   store_db.c       the LMDB file
 *   store_batch.c    records on their way to a commit: seq, encoding, seal
 *   store_state.c    what a commit keeps beside the records: head, epochs, what is done
 *                    with, last readings
 *   store_room.c     what goes when space is needed
 *   store_evict.c    waiting readings into the gaps that count them
 *   store_files.c    folder, lock, and the two small files that salvage needs
 *   store_salvage.c  records out of a file that LMDB can't read
 */
#ifndef BEDSIDE_STORE_INTERNAL_H
#define BEDSIDE_STORE_INTERNAL_H

#include "base/seal.h"
#include "bedside/store.h"
#include "wire/envelope.h"
#include "wire/gap_devices.h"

#define STORE_PATH_MAX   512
#define STORE_ITEM_MAX   (RECORD_SIZE_MAX + ENVELOPE_ITEM_OVERHEAD)
#define STORE_SEALED_MAX (STORE_ITEM_MAX + SEAL_OVERHEAD)
#define STORE_RANGES_MAX                                                                 \
    2048 /* of `done` and `absent` each: bounds what every commit writes */
#define STORE_KEY_SIZE       8 /* big-endian seq */
#define STORE_STATE_SIZE_MAX (128 + 2 * STORE_RANGES_MAX * 16)
#define STORE_DATA           "data.mdb"
#define STORE_EPOCHS         "epochs"
#define STORE_SESSIONS       "sessions"

/* Keys of the state database. */
#define STORE_KEY_EPOCHS "epochs" /* plain: needed to open the rest */
#define STORE_KEY_STATE  "state"  /* sealed under seq 0 */
#define STORE_KEY_LAST   'L'      /* 'L' device: sealed under seq 0 */

struct store_epoch {
    struct epoch id;
    uint64_t first; /* its first seq; it ends where the next begins */
    struct seal *seal;
};

struct store_batch_item {
    uint64_t seq;
    uint32_t at, size; /* in bytes of the batch */
};

struct store_batch {
    uint8_t *bytes;
    size_t used, capacity;
    struct store_batch_item *items; /* ascending seq */
    size_t count, items_capacity;
};

struct store_device { /* the last reading of a device */
    char id[64];
    uint64_t seq, sample;
    wardgate_TimeBlock time;
    uint64_t evicted;       /* of its readings, since store_open */
    bool has_sample, dirty; /* dirty: not in the file yet */
};

/* Invariants:
 *  1. committed head `next` <= `assigned`; the batch holds next..assigned-1 or, after a
 * commit whose outcome is not known, still holds records below disk_next that the file
 * has already.
 *  2. `absent` is a subset of `done`; a seq that is neither in the file nor in the batch
 * is in `absent`.
 *  3. epochs ascend by first; the last one is present and its seal is the only one that
 * seals.
 *  4. a seq, once given, names one plaintext for ever; so does a nonce. */
struct store {
    char folder[STORE_PATH_MAX];
    uint8_t home[DIGEST_SIZE]; /* zero: not checked */
    uint64_t map_bytes;
    uint32_t high_water;
    size_t pending_max;
    bool no_preallocate, check_home;
    struct key key;

    int lock;
    struct MDB_env *env; /* NULL after a failure that LMDB does not survive, until it is
                            opened again */
    struct MDB_txn *reader; /* reset between reads: it must never hold old pages */
    struct MDB_txn *import; /* of a salvage under way */
    uint64_t imported;
    unsigned records_db, state_db;

    struct store_epoch epochs[STORE_EPOCHS_MAX];
    size_t epoch_count;
    struct store_batch batch;
    struct store_device *devices;
    size_t device_count;

    uint64_t assigned, next, disk_next;
    uint64_t unreceipted_bytes;
    int64_t committed_utc_us;
    struct ranges
        done; /* not to be offered: receipted, replaced by a gap, or never there */
    struct ranges absent;  /* deleted, or about to be */
    struct ranges removal; /* to be deleted by the next commit */
    bool changed;          /* done or absent changed since the last commit */
    uint64_t evict_from;   /* records below are kept though unreceipted: clock fixes and
                              events */

    uint64_t transaction; /* LMDB's number of the one that the state was written in */
    uint64_t stored, used_pages, map_pages, leaf_pages; /* after the last commit */
    uint32_t page_size;
    bool preallocated;
    uint64_t commits, errors, damaged, evicted, refused, receipts_refused;
    uint64_t first_io, damaged_kept;
    int error;
    char error_text[STORE_ERROR_SIZE];
    uint8_t item[STORE_ITEM_MAX];     /* scratch */
    uint8_t sealed[STORE_SEALED_MAX]; /* scratch */
};

/* store_db.c */
/* All return a store_error and note what failed; store->env is NULL when the file is not
 * open. */
int store_db_open(struct store *store);
void store_db_close(struct store *store);
void store_db_preallocate(struct store *store);
/* Writes removals, batch, last readings, state and epochs in one transaction. */
int store_db_commit(struct store *store);
/* A value of the state database, copied: the caller frees *out. Returns 1, 0 if there is
 * none, or a store_error. */
int store_db_get(struct store *store, const char *key, uint8_t **out, size_t *n);
/* Whether the file's own counts fit what the state says, and the state is the newest
 * transaction's. */
int store_db_check(struct store *store);
/* The newest record's seq; 0 if there is none. */
int store_db_last(struct store *store, uint64_t *seq);
uint64_t store_db_inode(const struct store *store);
enum store_visit { STORE_GO_ON, STORE_STOP };
/* *skip_to: where to go on, if not at the next record. */
typedef enum store_visit store_visitor(void *context, uint64_t seq, const uint8_t *sealed,
                                       size_t size, uint64_t *skip_to);
/* Visits the records from..to in the file, ascending. */
int store_walk(struct store *store, uint64_t from, uint64_t to, store_visitor *visit,
               void *context);

/* Puts a sealed record under its seq, outside the order of things (salvage). replace:
 * over another one of that seq. Commits now and then; store_import_end commits the rest.
 */
int store_import(struct store *store, uint64_t seq, const uint8_t *sealed, size_t size,
                 bool replace);
int store_import_end(struct store *store);
/* The imported record of a seq, if there is one. */
bool store_import_get(struct store *store, uint64_t seq, uint8_t *sealed, size_t capacity,
                      size_t *size);

/* store.c */
/* Takes over a config and the folder's lock. */
int store_set_config(struct store *store, const struct store_config *config);
/* Notes a failure: sets error and error_text. Returns error. */
int store_failed(struct store *store, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* store_batch.c */
/* Seals an item under the next seq into the batch. devices: whose a gap's readings were,
 * or NULL. spare: may use the room kept for gaps of the store's own. */
int store_batch_add(struct store *store, wardgate_Record *record,
                    const struct gap_devices *devices, bool spare);
/* Puts bytes into the batch as they are (measurements only: no seal, so they can't be
 * read). */
int store_batch_put(struct store *store, uint64_t seq, const uint8_t *bytes, size_t size);
/* Forgets records below seq; gives memory back when it was much. */
void store_batch_drop(struct store *store, uint64_t seq);
void store_batch_free(struct store *store);
struct store_device *store_device(struct store *store, const char *id, bool make);

/* store_state.c */
int store_new_session(struct store *store, struct store_epoch *epoch);
const struct store_epoch *store_epoch_of(const struct store *store, uint64_t seq);
/* Makes the file `epochs` say what the store says. */
int store_epochs_repeat(struct store *store);
size_t store_epochs_encode(const struct store *store, uint8_t *out);
int store_epochs_decode(struct store *store, const uint8_t *bytes, size_t n);
/* Both return sealed sizes, or a negative store_error. */
int store_state_encode(struct store *store, uint64_t next, uint8_t *out, size_t capacity);
int store_state_decode(struct store *store, const uint8_t *sealed, size_t n);
int store_last_encode(struct store *store, const struct store_device *device,
                      uint8_t *out, size_t capacity);
int store_last_decode(struct store *store, const uint8_t *sealed, size_t n,
                      struct store_device *device);
/* Opens a sealed record with its epoch. Returns crypto_error; *n is the item's size. */
int store_unseal(struct store *store, uint64_t seq, const uint8_t *sealed, size_t size,
                 uint8_t *out, size_t *n);
/* The record's bytes inside an item of n bytes, which point into it; NULL if it is none.
 */
const uint8_t *store_item_record(const uint8_t *item, size_t n, size_t *size);
/* Marks as gone: done, absent, and to be deleted. */
int store_remove(struct store *store, uint64_t first, uint64_t last);
uint64_t store_first(const struct store *store);
/* True if a seq of expected..seq-1 is not in the set: it should be in the file. */
bool store_hole(const struct ranges *set, uint64_t expected, uint64_t seq);

/* store_room.c */
/* Plans deletions and evictions for the commit that follows. */
int store_make_room(struct store *store);
/* A record failed its seal: counts it, and puts a gap in its place unless the chart has
 * it. */
int store_damaged(struct store *store, uint64_t seq);

/* store_evict.c: replaces up to `most` of the oldest waiting records by one gap, in the
 * commit that follows. Returns how many will go; 0: none could. */
uint64_t store_evict(struct store *store, uint64_t most);

/* store_files.c */
int store_path(const char *folder, const char *name, char out[STORE_PATH_MAX]);
/* Checks that folder is private, takes its lock. Returns the descriptor or -errno
 * (-EWOULDBLOCK: in use). */
int store_lock(const char *folder);
/* Appends a session id, synced. Returns 0 or -errno. */
int store_sessions_add(const char *folder, const uint8_t id[SEAL_SESSION_SIZE]);
/* Reads all ids, oldest first; the caller frees *ids. Returns how many or -errno. */
long store_sessions_read(const char *folder, uint8_t **ids);
int store_epochs_write(const char *folder, const struct store_epoch *epochs,
                       size_t count);
/* Returns how many (0: no file), or -errno (-EINVAL: unreadable). */
int store_epochs_read(const char *folder, struct store_epoch epochs[STORE_EPOCHS_MAX]);
uint64_t store_written(void);

static inline void store_put64(uint8_t *out, uint64_t value)
{
    for (int i = 7; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static inline uint64_t store_get64(const uint8_t *bytes)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++)
        value = value << 8 | bytes[i];
    return value;
}

#endif
