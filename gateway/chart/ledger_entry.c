/* SPDX-License-Identifier: Apache-2.0
 *
 * Entries: storing a record once, moving it from state to state by the table, and writing
 * down who did.
 */
#include <assert.h>

#include "chart/ledger_db.h"

#define CHANGE_HEAD_SIZE 44
#define FLAG_TIME_KNOWN  1
#define FLAG_CONFLICTED  2
#define DIGEST_AT        (ENTRY_ROW_SIZE - DIGEST_SIZE)

#define TO(state) (1U << (LEDGER_##state))

/* The whole life of a reading. What is not here is refused. */
static const uint16_t may_move[LEDGER_STATES] = {
    [LEDGER_RECEIVED] = TO(KEPT) | TO(HELD) | TO(MATCHED) | TO(REJECTED),
    /* Late ADT, a person or a clock fix may judge a kept or held reading again. */
    [LEDGER_KEPT] = TO(RECEIVED) | TO(HELD) | TO(MATCHED) | TO(REJECTED),
    [LEDGER_HELD] =
        TO(RECEIVED) | TO(KEPT) | TO(MATCHED) | TO(REJECTED) |
        /* a withdrawal that the EPR refused: tried again, or done by hand there */
        TO(WITHDRAWING) | TO(WITHDRAWN),
    [LEDGER_MATCHED] = TO(SENT) | TO(KEPT) | TO(HELD) | TO(REJECTED),
    /* Once on the wire it may stand in the chart: the only ways out are an answer or a
       withdrawal; held when the answer leaves open whether it stands. */
    [LEDGER_SENT] = TO(CHARTED) | TO(MATCHED) | TO(REJECTED) | TO(HELD) | TO(WITHDRAWING),
    [LEDGER_CHARTED] = TO(MATCHED) | TO(WITHDRAWING),
    /* No answer at all is no proof that it does not stand. */
    [LEDGER_REJECTED] = TO(MATCHED) | TO(HELD) | TO(WITHDRAWING),
    [LEDGER_WITHDRAWING] = TO(WITHDRAWN) | TO(HELD),
    [LEDGER_WITHDRAWN] = TO(MATCHED) | TO(KEPT) | TO(HELD) | TO(REJECTED),
};

/* The table, and nothing beside it: there is no other way for a state to change. */
bool ledger_may_move(enum ledger_state from, enum ledger_state to)
{
    return from < LEDGER_STATES && to < LEDGER_STATES &&
           (from == to || (may_move[from] & 1U << to) != 0);
}

/* --- rows --- */

/* Source before seq: a source's records lie together and grow at their end. */
void entry_key(struct ledger_id id, uint8_t out[ENTRY_KEY_SIZE])
{
    (void)put64(put32(out, id.source), id.seq);
}

/* All fields have one place and one size, so a change of state never moves a row.
 * The digest behind them is written by whoever knows it. */
static void entry_encode(const struct ledger_entry *entry, uint8_t row[ENTRY_ROW_SIZE])
{
    uint8_t *at = row;

    at = put8(put8(put8(at, entry->kind), (uint8_t)entry->state), entry->reason);
    at = put8(at, (uint8_t)((entry->time_known ? FLAG_TIME_KNOWN : 0) |
                            (entry->conflicted ? FLAG_CONFLICTED : 0)));
    at = put32(put32(at, entry->generation), entry->gateway);
    at = put32(put32(put32(at, entry->place), entry->device), entry->charted_mask);
    at = put64(put64(put64(at, entry->boot), entry->monotonic_us),
               (uint64_t)entry->received_us);
    at = put64(put64(at, (uint64_t)entry->t_low_us), (uint64_t)entry->t_high_us);
    at = put64(put64(put64(at, entry->stay), entry->patient), entry->message);
    at = put64(at, entry->last_change);
    assert(at == row + DIGEST_AT);
}

/* The caller has checked the row's size and state. */
void entry_decode(const uint8_t *key, const uint8_t *row, struct ledger_entry *entry)
{
    entry->id = (struct ledger_id){get32(key), get64(key + 4)};
    entry->kind = row[0];
    entry->state = (enum ledger_state)row[1];
    entry->reason = row[2];
    entry->time_known = (row[3] & FLAG_TIME_KNOWN) != 0;
    entry->conflicted = (row[3] & FLAG_CONFLICTED) != 0;
    entry->generation = get32(row + 4);
    entry->gateway = get32(row + 8);
    entry->place = get32(row + 12);
    entry->device = get32(row + 16);
    entry->charted_mask = get32(row + 20);
    entry->boot = get64(row + 24);
    entry->monotonic_us = get64(row + 32);
    entry->received_us = (int64_t)get64(row + 40);
    entry->t_low_us = (int64_t)get64(row + 48);
    entry->t_high_us = (int64_t)get64(row + 56);
    entry->stay = get64(row + 64);
    entry->patient = get64(row + 72);
    entry->message = get64(row + 80);
    entry->last_change = get64(row + 88);
}

/* --- indexes --- */

/* Only states that somebody waits on are listed: a million charted readings cost
 * no list anything. Held and rejected ones lie together by reason and place,
 * because that is a nurse's line. */
size_t entry_work_key(const struct ledger_entry *entry, uint8_t *out)
{
    bool lined = entry->state == LEDGER_HELD || entry->state == LEDGER_REJECTED;
    uint8_t *at = out;

    if (entry->state == LEDGER_NOTED || entry->state == LEDGER_KEPT ||
        entry->state == LEDGER_CHARTED)
        return 0;
    at = put8(put8(at, (uint8_t)entry->state), lined ? entry->reason : 0);
    at = put64(put32(put32(at, lined ? entry->place : 0), entry->id.source),
               entry->id.seq);
    return (size_t)(at - out);
}

/* A reading is found again by place and time when history changes, or by boot when
 * a clock fix comes. What has neither place nor use for one is in no index. */
size_t entry_time_key(const struct ledger_entry *entry, enum db_table *table,
                      uint8_t *out)
{
    uint8_t *at = out;

    /* Gaps and events are looked up by source and seq alone. */
    if (entry->kind != wardgate_Record_Kind_READING)
        return 0;
    /* A reading without a place can't be matched by history; a person finds it on the
     * worklist. */
    if (entry->time_known) {
        if (entry->place == 0)
            return 0;
        *table = DB_PLACES;
        at = put64(put32(at, entry->place), time_key(entry->t_low_us));
    } else {
        *table = DB_UNTIMED;
        at = put64(put64(put32(at, entry->gateway), entry->boot), entry->monotonic_us);
    }
    at = put64(put32(at, entry->id.source), entry->id.seq);
    return (size_t)(at - out);
}

/* The worklist's line that an entry counts in: the head of its work key. */
static int line_count(struct ledger *ledger, const uint8_t *work, size_t n, int delta)
{
    if (n == 0 || (work[0] != LEDGER_HELD && work[0] != LEDGER_REJECTED))
        return LEDGER_OK;
    return counter_add(ledger, DB_LINES, work, 6, delta);
}

/* Takes an entry from the list it was in to the one it belongs in now; old is NULL
 * for a new one. */
static int work_move(struct ledger *ledger, const struct ledger_entry *old,
                     const struct ledger_entry *new)
{
    uint8_t from[40], to[40];
    size_t n = old != NULL ? entry_work_key(old, from) : 0, m = entry_work_key(new, to);
    int error = LEDGER_OK;

    /* Most changes of other fields leave a reading in its list. */
    if (n == m && memcmp(from, to, n) == 0)
        return LEDGER_OK;
    if (n > 0 && ((error = db_drop(ledger, DB_WORK, from, n)) != LEDGER_OK ||
                  (error = line_count(ledger, from, n, -1)) != LEDGER_OK))
        return error;
    if (m > 0 && ((error = db_put(ledger, DB_WORK, to, m, NULL, 0)) != LEDGER_OK ||
                  (error = line_count(ledger, to, m, 1)) != LEDGER_OK))
        return error;
    return error;
}

/* The same for the index by time: a re-based reading moves in it, or comes into it
 * for the first time. */
static int time_move(struct ledger *ledger, const struct ledger_entry *old,
                     const struct ledger_entry *new)
{
    enum db_table from_table = DB_PLACES, to_table = DB_PLACES;
    uint8_t from[40], to[40];
    size_t n = old != NULL ? entry_time_key(old, &from_table, from) : 0;
    size_t m = entry_time_key(new, &to_table, to);
    int error = LEDGER_OK;

    if (n == m && from_table == to_table && memcmp(from, to, n) == 0)
        return LEDGER_OK;
    if (n > 0)
        error = db_drop(ledger, from_table, from, n);
    if (error == LEDGER_OK && m > 0)
        error = db_put(ledger, to_table, to, m, NULL, 0);
    return error;
}

/* --- changes --- */

/* Changes of one reading are a chain from the newest back, so its history needs no
 * index. The number is the ledger's own, ascending: nothing is ever changed behind
 * it. */
static int change_add(struct ledger *ledger, struct ledger_entry *entry,
                      enum ledger_state from, int64_t when_us, bool conflict,
                      const char *who)
{
    uint64_t number = ledger->now.changes + 1;
    uint8_t key[8], row[CHANGE_HEAD_SIZE + LEDGER_WHO_SIZE], *at;
    size_t n = strnlen(who, LEDGER_WHO_SIZE - 1);
    int error;

    (void)put64(key, number);
    at = put64(put64(put32(put64(row, entry->last_change), entry->id.source),
                     entry->id.seq),
               (uint64_t)when_us);
    at = put8(put8(put8(at, (uint8_t)from), (uint8_t)entry->state), entry->reason);
    at = put8(at, conflict ? FLAG_CONFLICTED : 0);
    at = put64(put32(at, entry->generation), entry->stay);
    assert(at == row + CHANGE_HEAD_SIZE);
    memcpy(at, who, n);
    if ((error = db_append(ledger, DB_CHANGES, key, sizeof(key), row,
                           CHANGE_HEAD_SIZE + n)) != LEDGER_OK)
        return error;
    /* Only now: a number that was not written must not be pointed to. */
    ledger->now.changes = entry->last_change = number;
    return LEDGER_OK;
}

/* One change. The chain is followed by the caller. */
int ledger_change_get(struct ledger *ledger, uint64_t number, struct ledger_change *out)
{
    uint8_t key[8];
    struct db_span row;
    size_t n;
    int error;

    (void)put64(key, number);
    if ((error = db_get(ledger, DB_CHANGES, key, sizeof(key), &row)) != LEDGER_OK)
        return error;
    if (row.size < CHANGE_HEAD_SIZE ||
        (n = row.size - CHANGE_HEAD_SIZE) >= LEDGER_WHO_SIZE)
        return ledger_fail(ledger, LEDGER_DAMAGED, "a change of wrong size");
    *out = (struct ledger_change){
        .number = number,
        .previous = get64(row.bytes),
        .id = {get32(row.bytes + 8), get64(row.bytes + 12)},
        .when_us = (int64_t)get64(row.bytes + 20),
        .from = (enum ledger_state)row.bytes[28],
        .to = (enum ledger_state)row.bytes[29],
        .reason = row.bytes[30],
        .conflict = (row.bytes[31] & FLAG_CONFLICTED) != 0,
        .generation = get32(row.bytes + 32),
        .stay = get64(row.bytes + 36),
    };
    memcpy(out->who, row.bytes + CHANGE_HEAD_SIZE, n);
    return LEDGER_OK;
}

/* The newest number; 0 before the first. */
uint64_t ledger_changes(const struct ledger *ledger)
{
    return ledger->now.changes;
}

/* --- storing --- */

/* Reads an entry; row (may be NULL) gets a copy of its bytes, which the next write would
 * take away. */
static int entry_read(struct ledger *ledger, struct ledger_id id,
                      struct ledger_entry *entry, uint8_t *row)
{
    uint8_t key[ENTRY_KEY_SIZE];
    struct db_span value;
    int error;

    entry_key(id, key);
    if ((error = db_get(ledger, DB_ENTRIES, key, sizeof(key), &value)) != LEDGER_OK)
        return error;
    if (value.size != ENTRY_ROW_SIZE || value.bytes[1] >= LEDGER_STATES)
        return ledger_fail(ledger, LEDGER_DAMAGED, "an entry of wrong shape");
    entry_decode(key, value.bytes, entry);
    if (row != NULL)
        memcpy(row, value.bytes, ENTRY_ROW_SIZE);
    return LEDGER_OK;
}

/* Writes the fields in front of a digest that row holds already. */
static int entry_write(struct ledger *ledger, const struct ledger_entry *entry,
                       uint8_t row[ENTRY_ROW_SIZE])
{
    uint8_t key[ENTRY_KEY_SIZE];

    entry_key(entry->id, key);
    entry_encode(entry, row);
    return db_put(ledger, DB_ENTRIES, key, sizeof(key), row, ENTRY_ROW_SIZE);
}

/* Without its record: states and times are read far more often than contents. */
int ledger_get(struct ledger *ledger, struct ledger_id id, struct ledger_entry *entry)
{
    return entry_read(ledger, id, entry, NULL);
}

/* Unseals the record as the gateway encoded it. One that does not open is counted
 * and stays as it is: evidence. */
int ledger_record(struct ledger *ledger, struct ledger_id id, uint8_t *out, size_t *n)
{
    uint8_t key[ENTRY_KEY_SIZE];
    struct db_span sealed;
    int error;

    entry_key(id, key);
    if ((error = db_get(ledger, DB_RECORDS, key, sizeof(key), &sealed)) != LEDGER_OK)
        return error;
    /* The buffer of the caller has room for a record and no more. */
    if (sealed.size < SEAL_OVERHEAD || sealed.size > SEAL_OVERHEAD + RECORD_SIZE_MAX) {
        ledger->now.books.damaged++;
        return ledger_fail(ledger, LEDGER_DAMAGED, "a record of wrong size");
    }
    return row_open(ledger, DB_RECORDS, key, sizeof(key), sealed, out, n);
}

/* Does a row of DB_ASIDE hold these very bytes already? *next gets the number for a new
 * one. */
static int aside_look(struct ledger *ledger, struct ledger_id id, const uint8_t *digest,
                      uint32_t *next)
{
    uint8_t key[ENTRY_KEY_SIZE + 4];
    struct db_span found, value;
    int error;

    *next = 0;
    entry_key(id, key);
    (void)put32(key + ENTRY_KEY_SIZE, 0);
    error = db_seek(ledger, DB_ASIDE, key, sizeof(key), &found, &value);
    while (error == LEDGER_OK && memcmp(found.bytes, key, ENTRY_KEY_SIZE) == 0) {
        /* This very content was refused before; its gateway only wants to know that it
         * is kept. */
        if (memcmp(value.bytes, digest, DIGEST_SIZE) == 0)
            return LEDGER_SAME;
        *next = get32(found.bytes + ENTRY_KEY_SIZE) + 1;
        error = db_next(ledger, DB_ASIDE, &found, &value);
    }
    return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
}

/* A second content for an identity. Neither can be believed, and the source of both is to
 * be looked at. */
static int conflict_take(struct ledger *ledger, const struct ledger_new *new,
                         const uint8_t *digest, struct ledger_entry *first)
{
    uint8_t key[ENTRY_KEY_SIZE + 4],
        aside[DIGEST_SIZE + 8 + RECORD_SIZE_MAX + SEAL_OVERHEAD];
    uint8_t row[ENTRY_ROW_SIZE], *at;
    struct ledger_entry old = *first;
    uint32_t next;
    int error = aside_look(ledger, new->id, digest, &next);

    if (error != LEDGER_OK)
        return error;
    entry_key(new->id, key);
    (void)put32(key + ENTRY_KEY_SIZE, next);
    memcpy(aside, digest, DIGEST_SIZE);
    at = put64(aside + DIGEST_SIZE, (uint64_t) new->received_us);
    if ((error = row_seal(ledger, DB_ASIDE, key, sizeof(key), new->record, new->size,
                          at)) != LEDGER_OK ||
        (error = db_put(ledger, DB_ASIDE, key, sizeof(key), aside,
                        DIGEST_SIZE + 8 + new->size + SEAL_OVERHEAD)) != LEDGER_OK ||
        (error = ledger_source_doubt(ledger, new->id.source, true)) != LEDGER_OK ||
        (error = entry_read(ledger, new->id, first, row)) != LEDGER_OK)
        return error;

    /* The earlier one is held as well, unless it has left: then it is the next
     * stage's. */
    ledger->now.books.conflicts++;
    first->conflicted = true;
    if (first->state == LEDGER_RECEIVED || first->state == LEDGER_KEPT ||
        first->state == LEDGER_HELD) {
        ledger->now.books.states[first->state]--;
        ledger->now.books.states[LEDGER_HELD]++;
        first->state = LEDGER_HELD;
        first->reason = LEDGER_IDENTITY_CONFLICT;
    }
    if ((error = change_add(ledger, first, old.state, new->received_us, true,
                            "intake")) != LEDGER_OK ||
        (error = work_move(ledger, &old, first)) != LEDGER_OK ||
        (error = entry_write(ledger, first, row)) != LEDGER_OK)
        return error;
    return LEDGER_CONFLICT;
}

/* The first of its identity. Record, entry, indexes and the source's accounts are
 * one batch: there is no half of it. */
static int record_add(struct ledger *ledger, const struct ledger_new *new,
                      const uint8_t *digest, struct ledger_entry *entry)
{
    uint8_t key[ENTRY_KEY_SIZE], row[ENTRY_ROW_SIZE],
        sealed[RECORD_SIZE_MAX + SEAL_OVERHEAD];
    bool reading = new->kind == wardgate_Record_Kind_READING;
    int error;

    *entry = (struct ledger_entry){
        .id = new->id,
        .kind = new->kind,
        .gateway = new->gateway,
        .place = new->place,
        .device = new->device,
        .boot = new->boot,
        .monotonic_us = new->monotonic_us,
        .received_us = new->received_us,
        .state = reading ? LEDGER_RECEIVED : LEDGER_NOTED,
        .time_known = new->time_known,
        .t_low_us = new->time_known ? new->t_low_us : 0,
        .t_high_us = new->time_known ? new->t_high_us : 0,
    };
    entry_key(new->id, key);
    memcpy(row + DIGEST_AT, digest, DIGEST_SIZE);
    if ((error = row_seal(ledger, DB_RECORDS, key, sizeof(key), new->record, new->size,
                          sealed)) != LEDGER_OK ||
        (error = db_put(ledger, DB_RECORDS, key, sizeof(key), sealed,
                        new->size + SEAL_OVERHEAD)) != LEDGER_OK ||
        (error = entry_write(ledger, entry, row)) != LEDGER_OK ||
        (error = work_move(ledger, NULL, entry)) != LEDGER_OK ||
        (error = time_move(ledger, NULL, entry)) != LEDGER_OK ||
        (error = source_take(ledger, new)) != LEDGER_OK)
        return error;
    ledger->now.books.readings += reading;
    ledger->now.books.states[entry->state]++;
    return LEDGER_NEW;
}

/* The digest decides, not the arrival: the same bytes may come any number of
 * times, from a re-send, a resend or a broker that lost its memory. A full ledger
 * still recognises what it has, so that it can be receipted. */
int ledger_store(struct ledger *ledger, const struct ledger_new *new,
                 struct ledger_entry *entry)
{
    uint8_t digest[DIGEST_SIZE], row[ENTRY_ROW_SIZE] = {0};
    struct ledger_entry mine = {0};
    int error;

    assert(ledger->batch);
    if (entry == NULL)
        entry = &mine;
    /* Numbers from outside: a seq that overflows would count as missing for ever. */
    if (source_slot(ledger, new->id.source) == NULL || new->id.seq == 0 ||
        new->id.seq > SEQ_MAX || new->size == 0 || new->size > RECORD_SIZE_MAX ||
        (new->time_known && (new->t_high_us < new->t_low_us ||
                             new->t_high_us - new->t_low_us > LEDGER_SPAN_MAX_US)))
        return ledger_fail(ledger, LEDGER_INVALID, "a record out of its limits");
    if ((error = row_digest(ledger, new->record, new->size, digest)) != LEDGER_OK)
        return error;

    error = entry_read(ledger, new->id, entry, row);
    if (error == LEDGER_OK)
        return memcmp(row + DIGEST_AT, digest, DIGEST_SIZE) == 0
                   ? LEDGER_SAME
                   : conflict_take(ledger, new, digest, entry);
    if (error != LEDGER_NOT_FOUND)
        return error;
    /* Only new records need room. */
    if (ledger->full)
        return LEDGER_FULL;
    return record_add(ledger, new, digest, entry);
}

/* The caller changes a copy and hands it in. Only what may change is taken from
 * it; the rest, and what the ledger keeps for itself, comes from the row. A change
 * that a person might ask about is written down. */
int ledger_update(struct ledger *ledger, struct ledger_entry *entry, int64_t when_us,
                  const char *who)
{
    uint8_t row[ENTRY_ROW_SIZE];
    struct ledger_entry old = {0}, new;
    int error;

    assert(ledger->batch);
    if ((error = entry_read(ledger, entry->id, &old, row)) != LEDGER_OK)
        return error;
    /* A forbidden step is a mistake of the caller; the reading stays where it was, and
     * the batch goes on. */
    if (!ledger_may_move(old.state, entry->state))
        return ledger_fail(ledger, LEDGER_BAD_TRANSITION,
                           "a reading can't go from state %d to %d", (int)old.state,
                           (int)entry->state);
    if (entry->time_known && (entry->t_high_us < entry->t_low_us ||
                              entry->t_high_us - entry->t_low_us > LEDGER_SPAN_MAX_US))
        return ledger_fail(ledger, LEDGER_INVALID, "an interval out of its limits");

    /* Field by field: identity, place and arrival are not the caller's to change. */
    new = old;
    new.state = entry->state;
    new.reason = entry->reason;
    new.time_known = entry->time_known;
    new.t_low_us = entry->time_known ? entry->t_low_us : 0;
    new.t_high_us = entry->time_known ? entry->t_high_us : 0;
    new.stay = entry->stay;
    new.patient = entry->patient;
    new.generation = entry->generation;
    new.message = entry->message;
    new.charted_mask = entry->charted_mask;
    /* A time that was made better, or a message's number, is nobody's decision. */
    if (new.state != old.state || new.reason != old.reason || new.stay != old.stay ||
        new.generation != old.generation)
        error = change_add(ledger, &new, old.state, when_us, false, who);
    if (error != LEDGER_OK || (error = work_move(ledger, &old, &new)) != LEDGER_OK ||
        (error = time_move(ledger, &old, &new)) != LEDGER_OK ||
        (error = entry_write(ledger, &new, row)) != LEDGER_OK)
        return error;
    ledger->now.books.states[old.state]--;
    ledger->now.books.states[new.state]++;
    *entry = new;
    return LEDGER_OK;
}
