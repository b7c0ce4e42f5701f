/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's memory: every record from commit until the chart's receipt (P1). One LMDB
 * file, one writer, every commit synced; each record sealed (base/seal.h) and kept as the
 * item an envelope carries.
 *
 * A record lives through: added (RAM only, has its seq) -> committed (on disk; may be
 * offered) -> receipted (kept while there is room, for a resend) -> deleted. Only
 * committed records are ever read, so what power took was never offered.
 *
 * Identity. seq runs on for the life of the store. An epoch covers the seqs from its
 * first to the next epoch's first, so a record keeps (epoch, seq) for ever, even when the
 * store was salvaged or copied and a new epoch began.
 *
 * Caveats. Not thread-safe: one thread owns it. Never open one folder twice in a process,
 * never use it after fork(), never on a network file system.
 */
#ifndef BEDSIDE_STORE_H
#define BEDSIDE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/crypto.h"
#include "base/ids.h"
#include "wire/ranges.h"
#include "wire/record.h"

#define STORE_MAP_MIN        (UINT64_C(1) << 20) /* bytes */
#define STORE_PENDING_PRESET 1048576             /* bytes of encoded records */
#define STORE_DEVICES_MAX    256 /* devices whose last reading is remembered */
#define STORE_EPOCHS_MAX     8   /* epochs that may still have records */
#define STORE_ERROR_SIZE     160

enum store_error {
    STORE_OK = 0,
    STORE_BUSY = -1, /* the batch in RAM is full: nothing was added, no seq given; the
                        caller counts a gap */
    STORE_IO = -2,   /* the disk refused (EIO, ENOSPC, read-only): the batch is kept, try
                        again later */
    STORE_BROKEN = -3,  /* the file can't be read any more: close, salvage, open */
    STORE_INVALID = -4, /* a record that can't be encoded, a range that is none */
    STORE_FOREIGN = -5, /* an epoch that this store never had */
    STORE_AHEAD = -6,   /* beyond the committed head: refused, nothing marked */
    STORE_SYSTEM = -7,  /* folder missing or not private, in use by another process, key
                           refused, out of memory */
};

struct store_config {   /* strings are copied */
    const char *folder; /* must exist; holds data.mdb, lock.mdb, epochs, sessions */
    const char *home; /* what is true of this board and gateway only (name, machine id); a
                         store found with another home was copied and begins a new epoch.
                         NULL: not checked */
    uint64_t map_bytes;  /* size of data.mdb, given to it whole at first open; rounded up
                            to pages */
    uint32_t high_water; /* percent of the map that records may take; 0: 80. The rest is
                            room to delete in */
    size_t pending_max;  /* bytes of the batch in RAM; 0: STORE_PENDING_PRESET */
    bool no_preallocate; /* tests only: leave the file as small as it is */
    struct key key;      /* the store key; sessions are derived from it */
};

struct store;

/* Opens or makes the store. Costs the same whatever is queued. Returns 0, or STORE_IO,
 * STORE_BROKEN or STORE_SYSTEM with the reason in error (not NULL, STORE_ERROR_SIZE
 * bytes); *out is then NULL. */
int store_open(const struct store_config *config, struct store **out, char *error);

/* Frees without committing. NULL is fine. */
void store_close(struct store *store);

/* Gives *record the next seq, encodes and seals it into the batch. Returns 0, STORE_BUSY
 * or STORE_INVALID. A reading also becomes its device's last (store_last) when it is
 * committed. */
int store_add(struct store *store, wardgate_Record *record);

/* One synced transaction: the batch, marks of receipts, deletions, last readings. Deletes
 * receipted records, oldest first, where their space is needed; when there are none, the
 * oldest unreceipted become STORE_FULL gap records. Returns 0 (also when there was
 * nothing to do), STORE_IO (everything is kept and tried again at the next call) or
 * STORE_BROKEN. utc_us is the wall clock if believed, else 0: the latest committed is the
 * floor of time after a restart. */
int store_commit(struct store *store, int64_t utc_us);

/* True if store_commit has something to write; store_pending: how much of it is records.
 */
bool store_dirty(const struct store *store);
size_t store_pending(const struct store *store);

/* Committed head + 1: cheaper than store_status. */
uint64_t store_next(const struct store *store);

/* Marks first..last of an epoch as durable at the chart, in RAM; the next commit makes it
 * last. Returns 0, STORE_FOREIGN, STORE_AHEAD or STORE_INVALID. Marking again is
 * harmless. *newly (may be NULL): how many were not marked before. */
int store_receipt(struct store *store, const struct epoch *epoch, uint64_t first,
                  uint64_t last, uint64_t *newly);

/* Takes back the receipts from `from` of this epoch on, as far as records are still
 * stored (the chart lost its ledger). Returns 0, STORE_FOREIGN, STORE_AHEAD. *again (may
 * be NULL): how many are to be offered again. */
int store_resend(struct store *store, const struct epoch *epoch, uint64_t from,
                 uint64_t *again);

struct store_items {
    struct epoch epoch; /* of all of them */
    uint64_t first,
        last; /* seqs of the first and last item; meaningless when count is 0 */
    uint64_t
        next; /* where to go on reading: everything below was given or needs no giving */
    size_t count, size; /* items, bytes */
};

/* Copies committed records of from..to, ascending, as wire/envelope items, as many as fit
 * in capacity and share an epoch. Skips receipted ones unless all is true. A record that
 * fails its seal is counted, never given, and a RECORD_DAMAGED gap takes its place at the
 * next commit. Returns 0 (count 0: none there), STORE_IO or STORE_BROKEN. */
int store_read(struct store *store, uint64_t from, uint64_t to, bool all, uint8_t *out,
               size_t capacity, struct store_items *items);

/* How many of first..last still wait for a receipt. */
uint64_t store_unreceipted(const struct store *store, uint64_t first, uint64_t last);

/* A device's last committed reading, without observations. False if there is none. */
bool store_last(struct store *store, const char *device, wardgate_Record *record);

/* How many of a device's readings became part of STORE_FULL gaps since store_open. */
uint64_t store_evicted(struct store *store, const char *device);

/* The epochs that may still have records, oldest first. Returns how many. */
size_t store_epochs(const struct store *store, struct epoch out[STORE_EPOCHS_MAX]);

/* Ends the epoch: the next record given a seq belongs to a new one. Used when the chart
 * knows more of this epoch than we do. */
int store_new_epoch(struct store *store);

/* Tells the store of an oldest seq of interest (queue verb, state message): smallest
 * unreceipted, or next if there is none. */
uint64_t store_oldest_unreceipted(const struct store *store);

struct store_status {
    struct epoch epoch;   /* the present one */
    uint64_t epoch_first; /* its first seq */
    uint64_t first; /* oldest record stored, of any epoch; equals next if there is none */
    uint64_t next;  /* committed head + 1: the next seq a committed record will have */
    uint64_t assigned;                       /* next seq that store_add gives; >= next */
    uint64_t unreceipted, unreceipted_bytes; /* committed, waiting for a receipt */
    uint64_t stored;                         /* records on disk, receipted ones too */
    uint64_t pending, pending_bytes;         /* in RAM */
    uint32_t full_permille; /* of high water: 1000 means that backlog is being replaced by
                               gaps */
    uint64_t map_bytes, used_bytes;
    bool preallocated;         /* no one else can fill the disk under it */
    uint64_t commits, errors;  /* errors: commits refused */
    uint64_t damaged;          /* records that failed their seal */
    uint64_t evicted;          /* readings replaced by STORE_FULL gaps */
    uint64_t refused;          /* store_add that found the batch full */
    uint64_t receipts_refused; /* foreign, or beyond the head */
    uint64_t written_bytes;    /* by this process into the store: pages, as /proc/self/io
                                  would count them, estimated */
    int64_t committed_utc_us;  /* latest believed time in any commit; 0: never */
    int error; /* enum store_error of the last commit or read; 0 when it went well */
    char error_text[STORE_ERROR_SIZE]; /* of the last refusal, kept after recovery */
};

void store_status(const struct store *store, struct store_status *status);

/* --- salvage (store_salvage.c) --- */

struct store_salvage {
    uint64_t records; /* intact ones brought over */
    uint64_t missing; /* seqs between the first and the last brought over that were not
                         found */
    uint64_t first, last; /* of those brought over */
    char kept_as[256];    /* where the old file is now */
};

/* True if the store can be opened and its ends read; with all, if every record can be.
 * May crash on a damaged file: call it in a child process. */
bool store_probe(const struct store_config *config, bool all);

/* True if a new file is built and not put in place yet: store_salvage finishes it. */
bool store_salvage_unfinished(const char *folder);

/* Reads data.mdb page by page, without LMDB and without believing any of its structure,
 * takes every record whose seal holds into a new file, and begins a new epoch. What is
 * not found becomes one RECORD_DAMAGED gap of unknown count. The old file is kept beside
 * it as data.mdb.damaged-<utc>. Records keep their epoch and seq, so what the chart
 * already has is known to it. Returns 0, STORE_IO or STORE_SYSTEM (error as store_open).
 * Run it in a child process before the store is opened. */
int store_salvage(const struct store_config *config, int64_t utc_us,
                  struct store_salvage *report, char *error);

#endif
