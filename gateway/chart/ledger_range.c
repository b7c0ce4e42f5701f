/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of seqs as ranges on disk: a source that is well has one, whatever it has sent,
 * and a ward with holes everywhere costs seeks, not memory.
 */
#include "chart/ledger_db.h"

#define RANGE_KEY_SIZE 13

/* Set and source first: the ranges of one source lie together in order. */
static void range_key(enum range_set set, uint32_t source, uint64_t first,
                      uint8_t out[RANGE_KEY_SIZE])
{
    (void)put64(put32(put8(out, (uint8_t)set), source), first);
}

/* Reads a found row if it belongs to the set. */
static bool range_read(enum range_set set, uint32_t source, struct db_span found,
                       struct db_span value, struct range *out)
{
    if (found.size != RANGE_KEY_SIZE || found.bytes[0] != set ||
        get32(found.bytes + 1) != source || value.size != 8)
        return false;
    *out = (struct range){get64(found.bytes + 5), get64(value.bytes)};
    return true;
}

/* The range that begins at or before seq. */
int range_before(struct ledger *ledger, enum range_set set, uint32_t source, uint64_t seq,
                 struct range *out)
{
    uint8_t key[RANGE_KEY_SIZE];
    struct db_span found, value;
    int error;

    range_key(set, source, seq, key);
    error = db_seek_back(ledger, DB_RANGES, key, sizeof(key), &found, &value);
    if (error == LEDGER_OK && !range_read(set, source, found, value, out))
        error = LEDGER_NOT_FOUND;
    return error;
}

/* The range that holds from, or the next one after it: two seeks at most, however
 * many there are. */
int range_next(struct ledger *ledger, enum range_set set, uint32_t source, uint64_t from,
               struct range *out)
{
    uint8_t key[RANGE_KEY_SIZE];
    struct db_span found, value;
    int error = range_before(ledger, set, source, from, out);

    if (error == LEDGER_OK && out->last >= from)
        return LEDGER_OK;
    if (error != LEDGER_OK && error != LEDGER_NOT_FOUND)
        return error;
    range_key(set, source, from, key);
    error = db_seek(ledger, DB_RANGES, key, sizeof(key), &found, &value);
    if (error == LEDGER_OK && !range_read(set, source, found, value, out))
        error = LEDGER_NOT_FOUND;
    return error;
}

/* A range is its first seq; writing it again with another end replaces it. */
static int range_put(struct ledger *ledger, enum range_set set, uint32_t source,
                     struct range range)
{
    uint8_t key[RANGE_KEY_SIZE], last[8];

    range_key(set, source, range.first, key);
    (void)put64(last, range.last);
    return db_put(ledger, DB_RANGES, key, sizeof(key), last, sizeof(last));
}

/* By its first seq, which the caller has just read. */
static int range_drop(struct ledger *ledger, enum range_set set, uint32_t source,
                      uint64_t first)
{
    uint8_t key[RANGE_KEY_SIZE];

    range_key(set, source, first, key);
    return db_drop(ledger, DB_RANGES, key, sizeof(key));
}

/* Adds a stretch that shares no number with the set, and merges it with its neighbours.
 */
int range_add(struct ledger *ledger, enum range_set set, uint32_t source,
              struct range add)
{
    struct range other;
    int error = add.first > 1 ? range_before(ledger, set, source, add.first - 1, &other)
                              : LEDGER_NOT_FOUND;

    /* Grows the neighbour below, whose row is then written over, ... */
    if (error == LEDGER_OK && other.last == add.first - 1)
        add.first = other.first;
    else if (error != LEDGER_OK && error != LEDGER_NOT_FOUND)
        return error;
    error = range_next(ledger, set, source, add.last + 1, &other);
    /* ... and takes in the one above, whose row goes. */
    if (error == LEDGER_OK && other.first == add.last + 1) {
        add.last = other.last;
        if ((error = range_drop(ledger, set, source, other.first)) != LEDGER_OK)
            return error;
    } else if (error != LEDGER_OK && error != LEDGER_NOT_FOUND) {
        return error;
    }
    return range_put(ledger, set, source, add);
}

/* Takes a stretch out, leaving what sticks out at either side. Works range by
 * range, so it costs what it removes. */
int range_cut(struct ledger *ledger, enum range_set set, uint32_t source,
              struct range cut, uint64_t *removed)
{
    struct range is;
    int error;

    *removed = 0;
    while ((error = range_next(ledger, set, source, cut.first, &is)) == LEDGER_OK &&
           is.first <= cut.last) {
        uint64_t low = is.first > cut.first ? is.first : cut.first;
        uint64_t high = is.last < cut.last ? is.last : cut.last;

        if ((error = range_drop(ledger, set, source, is.first)) != LEDGER_OK ||
            (is.first < low &&
             (error = range_put(ledger, set, source,
                                (struct range){is.first, low - 1})) != LEDGER_OK) ||
            (is.last > high &&
             (error = range_put(ledger, set, source,
                                (struct range){high + 1, is.last})) != LEDGER_OK))
            return error;
        *removed += high - low + 1;
    }
    return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
}
