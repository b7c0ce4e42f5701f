/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the ledger: its tables over LMDB, and what its files share. Only ledger*.c
 * include this; only ledger.c includes lmdb.h. Keys are big-endian, so that the order of
 * bytes is the order of numbers.
 */
#ifndef CHART_LEDGER_DB_H
#define CHART_LEDGER_DB_H

#include <string.h>

#include "base/crypto.h"
#include "base/file.h"
#include "base/seal.h"
#include "chart/ledger.h"
#include "wire/record.h"

/* What each table holds; LEDGER.md has the rows. */
enum db_table {
    /* text -> format, session, books */
    DB_META,
    /* 'n' text -> number, 'i' number -> text */
    DB_NAMES,
    /* source -> gateway, epoch, head... */
    DB_SOURCES,
    /* source, boot -> first seq */
    DB_BOOTS,
    /* set, source, first -> last */
    DB_RANGES,
    /* source, first -> last, source and seq of the gap record */
    DB_REPLACED,
    /* source, seq -> entry, digest */
    DB_ENTRIES,
    /* source, seq -> sealed record */
    DB_RECORDS,
    /* source, seq, n -> digest, received, sealed record that lost its identity */
    DB_ASIDE,
    /* place, t_low, source, seq */
    DB_PLACES,
    /* gateway, boot, monotonic, source, seq */
    DB_UNTIMED,
    /* state, reason, place, source, seq */
    DB_WORK,
    /* state, reason, place -> readings */
    DB_LINES,
    /* number -> change */
    DB_CHANGES,
    /* number -> received, sealed message */
    DB_ADT,
    /* digest of its key -> number, digest */
    DB_ADT_KEYS,
    /* number -> message without its bytes */
    DB_OUT,
    /* number -> sealed bytes */
    DB_OUT_BYTES,
    /* destination, state, order, number */
    DB_OUT_WORK,
    /* destination, control id -> number */
    DB_OUT_IDS,
    /* destination, state -> messages */
    DB_OUT_COUNT,
    /* gateway, boot, monotonic -> UTC, uncertainty */
    DB_FIXES,
    /* source, seq -> gap; source, seq, device, place -> part of it */
    DB_GAPS,
    /* any key -> sealed value */
    DB_VALUES,
    DB_TABLES
};

#define SEQ_MAX           ((uint64_t)INT64_MAX) /* leaves room for arithmetic on ranges */
#define LEDGER_NAME_SLOTS 1024                  /* names in the cache; a power of two */

enum range_set { SET_RECEIVED = 1, SET_LOST = 2 };

/* Numbers that live in memory and are written with each commit; an abort brings the old
 * ones back. */
struct ledger_tallies {
    struct ledger_books books;
    uint64_t changes, adt, messages;
    uint32_t names;
};

struct source_slot {
    /* as it is, as it was when the batch began */
    struct ledger_source row, before;
    /* received in this batch, not yet in DB_RANGES */
    struct ranges fresh;
    /* the last boot known to be in DB_BOOTS */
    uint64_t boot;
    /* of this batch: the last record that is no reading and that a gap had stood for */
    uint64_t swallowed;
    /* before is set and the row is to be written */
    bool dirty;
};

struct name_slot {
    uint32_t number;
    char text[LEDGER_NAME_SIZE];
};

struct ledger_db;

/* Invariants:
 *  1. now equals what DB_META says plus the open batch; before equals what DB_META says.
 *  2. sources[i].row.source == i + 1, and received + replaced + lost <= head - base + 1.
 *  3. every entry of a worked state has one row in DB_WORK, every timed reading with a
 * place one in DB_PLACES, every untimed reading one in DB_UNTIMED. */
struct ledger {
    struct ledger_db *db;
    struct seal *seal;
    struct key digest_key;
    struct epoch epoch;
    /* held while open */
    int lock;
    char path[FILE_PATH_MAX];
    bool batch;
    /* no room for new records, found when the batch began */
    bool full;
    /* first LEDGER_IO or LEDGER_FULL of the batch */
    int broken;
    struct ledger_tallies now, before;
    struct source_slot *sources;
    uint32_t source_count, source_capacity, source_before;
    /* direct-mapped cache */
    struct name_slot *names;
    char failure[LEDGER_ERROR_SIZE];
};

/* borrowed from the map: valid until the next change or the end of the batch */
struct db_span {
    const uint8_t *bytes;
    size_t size;
};

/* All return 0, LEDGER_NOT_FOUND, LEDGER_EXISTS, LEDGER_IO or LEDGER_FULL. */
int db_get(struct ledger *ledger, enum db_table table, const void *key, size_t n,
           struct db_span *value);
int db_put(struct ledger *ledger, enum db_table table, const void *key, size_t n,
           const void *value, size_t size);
/* For keys above all others in their table: packs pages full. */
int db_append(struct ledger *ledger, enum db_table table, const void *key, size_t n,
              const void *value, size_t size);
int db_drop(struct ledger *ledger, enum db_table table, const void *key, size_t n);
/* The first row at or above a key; the one after it; the last row at or below a key. */
int db_seek(struct ledger *ledger, enum db_table table, const void *key, size_t n,
            struct db_span *found, struct db_span *value);
int db_next(struct ledger *ledger, enum db_table table, struct db_span *found,
            struct db_span *value);
int db_seek_back(struct ledger *ledger, enum db_table table, const void *key, size_t n,
                 struct db_span *found, struct db_span *value);
uint64_t db_rows(struct ledger *ledger, enum db_table table);

/* The file. db_new only allocates; db_make makes a complete file with its format row,
 * synced; db_open opens it and its tables; db_reserve preallocates, on the open
 * descriptor: before the open, LMDB would take the zeros for a broken file; db_copy
 * writes the last commit to a file. db_close takes NULL. */
int db_new(const struct ledger_options *options, struct ledger_db **out);
int db_make(struct ledger *ledger, const char *path, const void *format, size_t n);
int db_open(struct ledger *ledger, const char *path);
int db_reserve(struct ledger *ledger, uint64_t bytes);
int db_copy(struct ledger *ledger, int fd);
void db_close(struct ledger_db *db);

/* Opens the file again after LMDB gave up (a meta page could not be written: it may or
 * may not be on disk), and reads what lives in memory from it. ledger_load is the second
 * half. */
int ledger_recover(struct ledger *ledger);
int ledger_load(struct ledger *ledger);

/* Formats ledger->failure; returns error. */
int ledger_fail(struct ledger *ledger, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Seals a row for (table, key): it opens under no other key. out has n + SEAL_OVERHEAD
 * bytes. */
int row_seal(struct ledger *ledger, enum db_table table, const void *key, size_t key_size,
             const void *plain, size_t n, uint8_t *out);
/* Opens it; LEDGER_DAMAGED is counted. out has sealed.size - SEAL_OVERHEAD bytes. */
int row_open(struct ledger *ledger, enum db_table table, const void *key, size_t key_size,
             struct db_span sealed, uint8_t *out, size_t *n);

/* SHA-256 under the ledger's digest key: says whether bytes are the same, and nothing
 * else to a thief. */
int row_digest(struct ledger *ledger, const void *bytes, size_t n,
               uint8_t out[DIGEST_SIZE]);

/* --- shared between the ledger's files --- */

#define ENTRY_KEY_SIZE 12
#define ENTRY_ROW_SIZE 128

void entry_key(struct ledger_id id, uint8_t out[ENTRY_KEY_SIZE]);
void entry_decode(const uint8_t *key, const uint8_t *row, struct ledger_entry *entry);

/* Keys of the indexes an entry belongs in: 0 = none, else the key's size. Each has 40
 * bytes of room. */
size_t entry_work_key(const struct ledger_entry *entry, uint8_t *out);
size_t entry_time_key(const struct ledger_entry *entry, enum db_table *table,
                      uint8_t *out);

/* The slot of a source, NULL if there is none. source_touch also takes the copy for an
 * abort, and has it written at the commit. Good until a source is made. */
struct source_slot *source_slot(struct ledger *ledger, uint32_t source);
struct source_slot *source_touch(struct ledger *ledger, uint32_t source);
/* A seq of this epoch exists: widens base..head. */
void source_reach(struct source_slot *slot, uint64_t seq);
/* Enters a new record into the source's accounts. */
int source_take(struct ledger *ledger, const struct ledger_new *record);
/* What the batch received goes into DB_RANGES. */
int source_flush(struct ledger *ledger, struct source_slot *slot);
/* All sources: from disk (what was in memory goes), to disk, and at the end of a batch.
 */
int sources_load(struct ledger *ledger);
int sources_save(struct ledger *ledger);
void sources_revert(struct ledger *ledger, bool committed);
/* Sets of seqs. range_next: the first range that ends at or above from; range_before: the
 * one that begins at or below seq. range_add takes a stretch of which nothing is in the
 * set, and merges it with its neighbours. */
int range_next(struct ledger *ledger, enum range_set set, uint32_t source, uint64_t from,
               struct range *out);
int range_before(struct ledger *ledger, enum range_set set, uint32_t source, uint64_t seq,
                 struct range *out);
int range_add(struct ledger *ledger, enum range_set set, uint32_t source,
              struct range add);

/* Takes cut out of a set; *removed gets how many numbers that were. */
int range_cut(struct ledger *ledger, enum range_set set, uint32_t source,
              struct range cut, uint64_t *removed);

int tallies_load(struct ledger *ledger);
int tallies_save(struct ledger *ledger);

/* Adds delta to a counter row; a counter that reaches 0 goes. */
int counter_add(struct ledger *ledger, enum db_table table, const void *key, size_t n,
                int delta);

/* Pages through an index: keys that begin with prefix, from cursor on. 1 with *found
 * (copied into the cursor), 0 at the end, or an error. */
int cursor_step(struct ledger *ledger, enum db_table table, const uint8_t *prefix,
                size_t prefix_size, struct ledger_cursor *cursor, struct db_span *found,
                struct db_span *value);

/* --- big-endian rows --- */

static inline uint8_t *put8(uint8_t *at, uint8_t v)
{
    *at = v;
    return at + 1;
}

static inline uint8_t *put32(uint8_t *at, uint32_t v)
{
    v = __builtin_bswap32(v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

static inline uint8_t *put64(uint8_t *at, uint64_t v)
{
    v = __builtin_bswap64(v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(at, &v, sizeof(v));
    return at + sizeof(v);
}

static inline uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline uint64_t get64(const uint8_t *at)
{
    return (uint64_t)get32(at) << 32 | get32(at + 4);
}

/* Signed instants in keys: the sign bit flipped, so that 1969 sorts before 1970. */
static inline uint64_t time_key(int64_t us)
{
    return (uint64_t)us ^ (UINT64_C(1) << 63);
}

#endif
