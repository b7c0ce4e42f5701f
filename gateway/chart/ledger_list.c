/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists: pages of entries by state, place, boot or source. A page costs what it returns.
 */
#include "chart/ledger_db.h"

#include <assert.h>

/* Counters are rows so that they need no place of their own and no migration; one
 * that reaches zero is deleted, so listing counters lists what there is. */
int counter_add(struct ledger *ledger, enum db_table table, const void *key, size_t n,
                int delta)
{
    struct db_span row;
    uint8_t bytes[8];
    uint64_t count = 0;
    int error = db_get(ledger, table, key, n, &row);

    if (error == LEDGER_OK)
        count = get64(row.bytes);
    else if (error != LEDGER_NOT_FOUND)
        return error;
    /* A counter below zero would be a row that was counted twice; the fresh count
     * finds it. */
    count = delta >= 0 ? count + (uint64_t)delta : count - (uint64_t)-delta;
    if (count == 0)
        return db_drop(ledger, table, key, n);
    (void)put64(bytes, count);
    return db_put(ledger, table, key, n, bytes, sizeof(bytes));
}

/* The cursor holds the last key given out, so a page may begin with a key that has gone
 * since. */
int cursor_step(struct ledger *ledger, enum db_table table, const uint8_t *prefix,
                size_t prefix_size, struct ledger_cursor *cursor, struct db_span *found,
                struct db_span *value)
{
    static const uint8_t start[1] = {0};
    int error;

    /* On from the last key given out: it may be gone, so the search is for it or the
     * next. */
    if (cursor->size > 0) {
        error = db_seek(ledger, table, cursor->key, cursor->size, found, value);
        if (error == LEDGER_OK && found->size == cursor->size &&
            memcmp(found->bytes, cursor->key, cursor->size) == 0)
            error = db_next(ledger, table, found, value);
    } else {
        error = db_seek(ledger, table, prefix_size > 0 ? prefix : start,
                        prefix_size > 0 ? prefix_size : 1, found, value);
    }
    if (error == LEDGER_NOT_FOUND)
        return 0;
    if (error != LEDGER_OK)
        return error;
    if (prefix_size > 0 &&
        (found->size < prefix_size || memcmp(found->bytes, prefix, prefix_size) != 0))
        return 0;
    assert(found->size <= sizeof(cursor->key));
    memcpy(cursor->key, found->bytes, found->size);
    cursor->size = (uint8_t)found->size;
    return 1;
}

/* The entry that an index row points to: source and seq are the last 12 bytes of its key.
 */
static int entry_of(struct ledger *ledger, struct db_span found, struct ledger_entry *out)
{
    const uint8_t *id = found.bytes + found.size - ENTRY_KEY_SIZE;

    return ledger_get(ledger, (struct ledger_id){get32(id), get64(id + 4)}, out);
}

/* A page of an index, resolved to entries. The index rows of one page are read
 * before any entry is changed, so the caller may change all of them. */
static int list_by(struct ledger *ledger, enum db_table table, const uint8_t *prefix,
                   size_t prefix_size, struct ledger_cursor *cursor,
                   struct ledger_entry *out, int max)
{
    struct db_span found, value;
    int n = 0, step = 0, error;

    while (n < max && (step = cursor_step(ledger, table, prefix, prefix_size, cursor,
                                          &found, &value)) > 0)
        if ((error = entry_of(ledger, found, &out[n++])) != LEDGER_OK)
            return error;
    return step < 0 ? step : n;
}

/* The prefix grows with what is asked: a state, a reason, a place. */
int ledger_list(struct ledger *ledger, enum ledger_state state, uint32_t reason,
                uint32_t place, struct ledger_cursor *cursor, struct ledger_entry *out,
                int max)
{
    uint8_t prefix[6], *end = put8(prefix, (uint8_t)state);

    if (reason != LEDGER_ANY) {
        if (reason > UINT8_MAX)
            return LEDGER_INVALID;
        end = put8(end, (uint8_t)reason);
        if (place != LEDGER_ANY)
            end = put32(end, place);
    }
    return list_by(ledger, DB_WORK, prefix, (size_t)(end - prefix), cursor, out, max);
}

/* By boot, because that is what a clock fix speaks of. */
int ledger_list_untimed(struct ledger *ledger, uint32_t gateway, uint64_t boot,
                        struct ledger_cursor *cursor, struct ledger_entry *out, int max)
{
    uint8_t prefix[12];

    (void)put64(put32(prefix, gateway), boot);
    return list_by(ledger, DB_UNTIMED, prefix, sizeof(prefix), cursor, out, max);
}

/* The index knows where intervals begin. Those that began earlier and reach into
 * the window are found by beginning the search one longest interval before it, and
 * left out again if they do not. */
int ledger_list_place(struct ledger *ledger, uint32_t place, int64_t from_us,
                      int64_t to_us, struct ledger_cursor *cursor,
                      struct ledger_entry *out, int max)
{
    uint8_t prefix[4];
    struct db_span found, value;
    int n = 0, step = 0, error;

    (void)put32(prefix, place);
    if (cursor->size == 0) {
        /* An interval that meets from..to began at most its greatest length before. */
        int64_t low = from_us > INT64_MIN + LEDGER_SPAN_MAX_US
                          ? from_us - LEDGER_SPAN_MAX_US
                          : INT64_MIN;
        cursor->size =
            (uint8_t)(put64(put32(cursor->key, place), time_key(low)) - cursor->key);
    }
    while (n < max && (step = cursor_step(ledger, DB_PLACES, prefix, sizeof(prefix),
                                          cursor, &found, &value)) > 0) {
        /* Intervals that begin behind the window can't meet it, and so can none after. */
        if (get64(found.bytes + 4) > time_key(to_us))
            break;
        if ((error = entry_of(ledger, found, &out[n])) != LEDGER_OK)
            return error;
        /* Began early enough; did it last long enough? */
        n += out[n].t_high_us >= from_us;
    }
    return step < 0 ? step : n;
}

void ledger_cursor_place(struct ledger_cursor *cursor, uint32_t place, int64_t low_us)
{
    cursor->size =
        (uint8_t)(put64(put32(cursor->key, place), time_key(low_us)) - cursor->key);
}

/* Straight from the entries: no index, nothing to go wrong. */
int ledger_list_source(struct ledger *ledger, uint32_t source, uint64_t first,
                       struct ledger_cursor *cursor, struct ledger_entry *out, int max)
{
    uint8_t prefix[4];
    struct db_span found, value;
    int n = 0, step = 0;

    (void)put32(prefix, source);
    if (cursor->size == 0 && first > 0) {
        entry_key((struct ledger_id){source, first - 1}, cursor->key);
        cursor->size = ENTRY_KEY_SIZE;
    }
    while (n < max && (step = cursor_step(ledger, DB_ENTRIES, prefix, sizeof(prefix),
                                          cursor, &found, &value)) > 0)
        entry_decode(found.bytes, value.bytes, &out[n++]);
    return step < 0 ? step : n;
}

/* From the counters, so the worklist's front page costs its lines and not its
 * readings. */
int ledger_lines(struct ledger *ledger, enum ledger_state state,
                 struct ledger_cursor *cursor, struct ledger_line *out, int max)
{
    uint8_t prefix = (uint8_t)state;
    struct db_span found, value;
    int n = 0, step = 0;

    while (n < max &&
           (step = cursor_step(ledger, DB_LINES, &prefix, 1, cursor, &found, &value)) > 0)
        out[n++] = (struct ledger_line){
            .state = (enum ledger_state)found.bytes[0],
            .reason = found.bytes[1],
            .place = get32(found.bytes + 2),
            .readings = get64(value.bytes),
        };
    return step < 0 ? step : n;
}
