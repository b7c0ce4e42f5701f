/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger: every reading that reached the chart service, what became of it, and who
 * decided. LEDGER.md has the format on disk.
 *
 * Caveats first:
 * - One process, one thread. Nothing is durable before ledger_commit has returned 0; send
 * no receipt earlier.
 * - Every function that changes something must run between ledger_begin and ledger_commit
 * (asserted).
 * - After LEDGER_IO or LEDGER_FULL the batch is lost: abort it, tell nobody, try again
 * later.
 * - Readers outside a batch see the last commit; inside, they see the batch.
 * - Instants are microseconds UTC. Nothing here reads a clock.
 * ledger_out.h has the outbox; ledger_log.h the ADT log, clock fixes, gaps and small
 * values.
 */
#ifndef CHART_LEDGER_H
#define CHART_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "wire/ranges.h"

#define LEDGER_ERROR_SIZE 256 /* bytes of one error text */
#define LEDGER_NAME_SIZE  128 /* bytes of a name with its NUL */
#define LEDGER_WHO_SIZE   48  /* bytes of an author with its NUL */

/* A reading whose time is less certain than this is of unknown time: it also bounds how
 * far a look-up by time must reach back. */
#define LEDGER_SPAN_MAX_US (INT64_C(3600) * 1000000)

enum ledger_error {
    LEDGER_OK = 0,
    /* the disk refused; ledger_failure() says what */
    LEDGER_IO = -1,
    /* map or disk full, or free space below the reserve */
    LEDGER_FULL = -2,
    /* the table of states forbids it; nothing was changed */
    LEDGER_BAD_TRANSITION = -3,
    LEDGER_NOT_FOUND = -4,
    /* a sealed row does not open: counted, never used */
    LEDGER_DAMAGED = -5,
    /* argument out of its range; nothing was changed */
    LEDGER_INVALID = -6,
    LEDGER_EXISTS = -7,
    /* key file missing, readable by others, or not this ledger's */
    LEDGER_KEY = -8,
    /* another format version, or not a ledger */
    LEDGER_VERSION = -9,
};

/* What ledger_store and ledger_adt_append found. */
enum ledger_found {
    LEDGER_NEW = 0,
    /* the same bytes are there already: harmless */
    LEDGER_SAME = 1,
    /* the same identity with other bytes: both are kept, neither is believed */
    LEDGER_CONFLICT = 2,
};

/* received -> kept | held | matched -> sent -> charted | rejected; charted -> withdrawing
 * -> withdrawn -> matched of the next generation. ledger_may_move() is the whole table.
 */
enum ledger_state {
    /* not a reading (gap, clock fix, event, binding): nothing is to be decided */
    LEDGER_NOTED = 0,
    /* stored, not yet judged: pending */
    LEDGER_RECEIVED,
    /* durable, not sent because not due */
    LEDGER_KEPT,
    /* on the worklist, with a reason */
    LEDGER_HELD,
    /* stay known, message queued: pending */
    LEDGER_MATCHED,
    /* on its way to the EPR: pending */
    LEDGER_SENT,
    /* the EPR said yes */
    LEDGER_CHARTED,
    /* refused by the EPR for good, or discarded by a person */
    LEDGER_REJECTED,
    /* was charted, must not stand: pending */
    LEDGER_WITHDRAWING,
    /* gone from the chart, its new place not yet decided: pending */
    LEDGER_WITHDRAWN,
    LEDGER_STATES
};

/* Reasons of held and rejected readings. 1-31 are the ledger's and intake's; 32-127
 * match's; 128-255 those of delivery and people. 0 = none. */
enum ledger_reason {
    LEDGER_REASON_NONE = 0,
    /* two contents claim this identity */
    LEDGER_IDENTITY_CONFLICT = 1,
    /* its gateway's store was rolled back or cloned */
    LEDGER_SOURCE_DOUBTED = 2,
    /* no clock fix for that boot yet */
    LEDGER_TIME_UNKNOWN = 3,
    /* a clock fix contradicts the stamp beyond LEDGER_SPAN_MAX_US */
    LEDGER_TIME_DISPUTED = 4,
    /* from the device's memory, by a clock that nobody has compared */
    LEDGER_TIME_STORED = 5,
    /* its sealed bytes no longer open */
    LEDGER_RECORD_DAMAGED = 6,
};

struct ledger;

struct ledger_options {
    /* made with 0700 if missing */
    const char *folder;
    /* KEY_SIZE bytes, 0600; made with a new ledger only */
    const char *key_path;
    /* bytes of the map: a hard limit of the file */
    uint64_t size_max;
    /* bytes reserved on disk at open; 0 = none */
    uint64_t preallocate;
    /* a commit is refused when the disk has less left than this; 0 = no check */
    uint64_t free_min;
};

/* a reading: source stands for (gateway, epoch) */
struct ledger_id {
    uint32_t source;
    uint64_t seq;
};

struct ledger_entry {
    /* Set by ledger_store, never changed after. */
    struct ledger_id id;
    /* wardgate_Record_Kind */
    uint8_t kind;
    /* names, see ledger_name; 0 = none */
    uint32_t gateway;
    uint32_t place, device;
    uint64_t boot, monotonic_us;
    int64_t received_us;
    /* Changed by ledger_update. */
    enum ledger_state state;
    uint8_t reason;
    /* false: t_low_us and t_high_us are 0 */
    bool time_known;
    /* another content claimed this identity; kept by the ledger */
    bool conflicted;
    /* the measurement lies between, inclusive */
    int64_t t_low_us, t_high_us;
    /* the census's numbers; 0 = none */
    uint64_t stay, patient;
    /* 0 before the first message, then 1.. */
    uint32_t generation;
    /* bit n: observation n went out */
    uint32_t charted_mask;
    /* newest outbox message, 0 = none */
    uint64_t message;
    /* newest change of this reading, 0 = none; kept by the ledger */
    uint64_t last_change;
};

/* Opens or makes a ledger: checks stale readers, format and key, starts and syncs a new
 * seal session, preallocates. Returns 0 and *out, or an error and one line in error. */
int ledger_open(const struct ledger_options *options, struct ledger **out,
                char error[LEDGER_ERROR_SIZE]);
/* Writes the last commit of the ledger in options to folder/ledger.mdb, which must not
 * exist. Another process that has that ledger open may go on; this one must not have it
 * open. backup.h makes a backup of it. */
int ledger_copy(const struct ledger_options *options, const char *folder,
                char error[LEDGER_ERROR_SIZE]);

/* NULL is fine; an open batch is aborted */
void ledger_close(struct ledger *ledger);

/* Why the last call failed, for people; never empty after an error. */
const char *ledger_failure(const struct ledger *ledger);

/* A batch: all of it is durable after ledger_commit returned 0, or nothing of it ever is.
 * A failed call inside (LEDGER_IO, LEDGER_FULL) makes the commit fail too. ledger_commit
 * ends the batch either way. */
int ledger_begin(struct ledger *ledger);
int ledger_commit(struct ledger *ledger);
void ledger_abort(struct ledger *ledger);

/* Bytes of the map in use, its limit, and free bytes of the disk: for status. */
struct ledger_space {
    uint64_t used, size_max, disk_free;
};
int ledger_space(struct ledger *ledger, struct ledger_space *space);

/* Small numbers for names that recur (gateway, place, "gateway/device"). ledger_name
 * makes the number if the name is new (in a batch only); ledger_name_find returns 0 for
 * an unknown one. 1..2^32-1. */
int ledger_name(struct ledger *ledger, const char *text, uint32_t *number);
uint32_t ledger_name_find(struct ledger *ledger, const char *text);
int ledger_name_text(struct ledger *ledger, uint32_t number, char out[LEDGER_NAME_SIZE]);

/* --- sources: one (gateway, epoch) each --- */

struct ledger_source {
    uint32_t source;
    /* its name's number */
    uint32_t gateway;
    struct epoch epoch;
    /* first seq of the epoch, as far as known; 0 = nothing known yet */
    uint64_t base;
    /* highest seq that its board has committed, as far as known */
    uint64_t head;
    /* oldest seq its board still has, as its state said */
    uint64_t first;
    /* records in the ledger */
    uint64_t received;
    /* seqs that gap records stand for, less those received after all */
    uint64_t replaced;
    /* seqs that the board no longer has and no gap record explains */
    uint64_t lost;
    /* the rest of base..head: still to come */
    uint64_t missing;
    /* its readings are held */
    bool doubted;
};

/* The number of (gateway, epoch); made if new when inside a batch, otherwise
 * LEDGER_NOT_FOUND. */
int ledger_source(struct ledger *ledger, const char *gateway, const struct epoch *epoch,
                  uint32_t *source);
int ledger_source_get(struct ledger *ledger, uint32_t source, struct ledger_source *out);

/* How many sources there are; they are numbered 1.. */
uint32_t ledger_sources(const struct ledger *ledger);

/* Marks a source as not to be believed, or as trusted again by a person. */
int ledger_source_doubt(struct ledger *ledger, uint32_t source, bool doubted);

/* True if a record of this source with this boot is in the ledger. */
bool ledger_source_has_boot(struct ledger *ledger, uint32_t source, uint64_t boot);

/* The newest ranges of received seqs, descending; returns how many (<= max) or an error.
 */
int ledger_received(struct ledger *ledger, uint32_t source, struct range *out, int max);

/* The oldest missing stretch at or above from. LEDGER_NOT_FOUND when nothing is missing.
 */
int ledger_missing(struct ledger *ledger, uint32_t source, uint64_t from,
                   struct range *out);

/* Takes note of what a board said of this epoch: base (0 = not told), the oldest seq it
 * has of any epoch, and the next it will give. What is missing below first becomes lost;
 * *lost gets how many are newly so. Older news than what is known is harmless. */
int ledger_source_state(struct ledger *ledger, uint32_t source, uint64_t base,
                        uint64_t first, uint64_t next, uint64_t *lost);

/* --- readings --- */

struct ledger_new {
    struct ledger_id id;
    uint8_t kind;
    /* as encoded by the gateway; borrowed */
    const uint8_t *record;
    /* 1..RECORD_SIZE_MAX */
    size_t size;
    uint32_t gateway, place, device;
    uint64_t boot, monotonic_us;
    bool time_known;
    /* at most LEDGER_SPAN_MAX_US apart */
    int64_t t_low_us, t_high_us;
    int64_t received_us;
};

/* Stores one record. Readings start RECEIVED, the rest NOTED. *entry (may be NULL) is the
 * entry that now stands: for LEDGER_SAME and LEDGER_CONFLICT the earlier one.
 * LEDGER_CONFLICT: the new bytes are kept aside (not counted as received), the change is
 * written, the source is doubted, and the earlier reading is moved to HELD unless it is
 * MATCHED or further: then the caller must stop or withdraw it. */
int ledger_store(struct ledger *ledger, const struct ledger_new *new,
                 struct ledger_entry *entry);

int ledger_get(struct ledger *ledger, struct ledger_id id, struct ledger_entry *entry);

/* The record's bytes as they came; out has RECORD_SIZE_MAX bytes. LEDGER_DAMAGED if they
 * no longer open. */
int ledger_record(struct ledger *ledger, struct ledger_id id, uint8_t *out, size_t *n);

/* True if the table of states allows from -> to. A state may always stay (to change other
 * fields). */
bool ledger_may_move(enum ledger_state from, enum ledger_state to);

/* Writes the changeable fields of *entry. A new state must be allowed by the table, else
 * LEDGER_BAD_TRANSITION. A new state, reason, stay or generation is added to the changes
 * with when_us and who ("match", "delivery", a person's login; never a patient).
 * entry->last_change is updated. */
int ledger_update(struct ledger *ledger, struct ledger_entry *entry, int64_t when_us,
                  const char *who);

/* --- lists: cost depends on what they return, not on the ledger's size --- */

#define LEDGER_ANY UINT32_MAX

/* zero it to begin; survives commits and changes between pages */
struct ledger_cursor {
    uint8_t key[40];
    uint8_t size;
};

/* Entries in a state that needs work: RECEIVED, HELD, MATCHED, SENT, REJECTED,
 * WITHDRAWING or WITHDRAWN. HELD and REJECTED come by reason, place, source, seq, and may
 * be narrowed to a reason, or to a reason and a place (else LEDGER_ANY); the others come
 * by source, seq. Returns how many (0 = end) or an error. */
int ledger_list(struct ledger *ledger, enum ledger_state state, uint32_t reason,
                uint32_t place, struct ledger_cursor *cursor, struct ledger_entry *out,
                int max);

/* Readings of a place whose interval meets from..to, by t_low: what to judge again when
 * the place's history changed there. Same returns. */
int ledger_list_place(struct ledger *ledger, uint32_t place, int64_t from_us,
                      int64_t to_us, struct ledger_cursor *cursor,
                      struct ledger_entry *out, int max);

/* Makes ledger_list_place begin with intervals that begin at low_us or later: cheaper
 * where the widest ones, which it would else look for up to LEDGER_SPAN_MAX_US earlier,
 * do not matter. */
void ledger_cursor_place(struct ledger_cursor *cursor, uint32_t place, int64_t low_us);

/* Readings without a known time, of one boot of a gateway. Same returns. */
int ledger_list_untimed(struct ledger *ledger, uint32_t gateway, uint64_t boot,
                        struct ledger_cursor *cursor, struct ledger_entry *out, int max);

/* Entries of one source by seq, from first on; for audits and tests. Same returns. */
int ledger_list_source(struct ledger *ledger, uint32_t source, uint64_t first,
                       struct ledger_cursor *cursor, struct ledger_entry *out, int max);

/* One line of the worklist: all that a place holds for one reason. */
struct ledger_line {
    /* HELD or REJECTED */
    enum ledger_state state;
    uint8_t reason;
    uint32_t place;
    uint64_t readings;
};
int ledger_lines(struct ledger *ledger, enum ledger_state state,
                 struct ledger_cursor *cursor, struct ledger_line *out, int max);

/* --- changes: append-only --- */

struct ledger_change {
    /* 1.. */
    uint64_t number;
    /* the one before of the same reading, 0 = none */
    uint64_t previous;
    struct ledger_id id;
    int64_t when_us;
    enum ledger_state from, to;
    uint8_t reason;
    /* a second content was refused */
    bool conflict;
    uint32_t generation;
    uint64_t stay;
    char who[LEDGER_WHO_SIZE];
};
int ledger_change_get(struct ledger *ledger, uint64_t number, struct ledger_change *out);
/* the newest number */
uint64_t ledger_changes(const struct ledger *ledger);

/* --- books --- */

struct ledger_books {
    /* = sum of states[RECEIVED..WITHDRAWN] */
    uint64_t readings;
    /* states[NOTED] counts records that are not readings */
    uint64_t states[LEDGER_STATES];
    /* second contents kept aside */
    uint64_t conflicts;
    /* gap records */
    uint64_t gaps;
    /* readings inside gaps of known count, less those received after all */
    uint64_t gap_readings;
    /* gaps whose count nobody knows */
    uint64_t gaps_unknown;
    /* seqs lost without a gap record, over all sources */
    uint64_t lost;
    /* sealed rows found not to open, since open */
    uint64_t damaged;
};

/* pending = received, matched, sent, withdrawing, withdrawn. */
uint64_t ledger_pending(const struct ledger_books *books);

/* The running books: O(1). */
void ledger_books(const struct ledger *ledger, struct ledger_books *books);

/* The same, counted afresh over everything; also checks each index against its entries.
 * *wrong gets the number of rows that do not agree. Slow: tests and `verify`. */
int ledger_recount(struct ledger *ledger, struct ledger_books *books, uint64_t *wrong);

#endif
