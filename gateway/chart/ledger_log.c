/* SPDX-License-Identifier: Apache-2.0
 *
 * The ADT feed as it came, clock fixes, and small values.
 */
#include "chart/ledger_log.h"

#include <assert.h>
#include <stdlib.h>

#include "chart/ledger_db.h"

#define ADT_KEY_MAX 512
#define ADT_INDEX_SIZE                                                                   \
    16 /* bytes of a key's digest: enough that two senders' ids never meet */

/* Seals n bytes behind head bytes of a plain row, which the caller fills. *row is
 * allocated. */
static int row_make(struct ledger *ledger, enum db_table table, const void *key,
                    size_t key_size, size_t head, const void *plain, size_t n,
                    uint8_t **row)
{
    int error;

    if ((*row = malloc(head + n + SEAL_OVERHEAD)) == NULL)
        return ledger_fail(ledger, LEDGER_IO, "out of memory");
    error = row_seal(ledger, table, key, key_size, plain, n, *row + head);
    if (error != LEDGER_OK) {
        free(*row);
        *row = NULL;
    }
    return error;
}

/* Opens a row's sealed part into fresh memory, with a NUL behind it for who wants text.
 */
static int row_read(struct ledger *ledger, enum db_table table, const void *key,
                    size_t key_size, struct db_span sealed, uint8_t **out, size_t *n)
{
    int error;

    *out = NULL;
    if (sealed.size < SEAL_OVERHEAD) {
        ledger->now.books.damaged++;
        return ledger_fail(ledger, LEDGER_DAMAGED, "a sealed row is too short");
    }
    if ((*out = malloc(sealed.size - SEAL_OVERHEAD + 1)) == NULL)
        return ledger_fail(ledger, LEDGER_IO, "out of memory");
    if ((error = row_open(ledger, table, key, key_size, sealed, *out, n)) != LEDGER_OK) {
        free(*out);
        *out = NULL;
        return error;
    }
    (*out)[*n] = '\0';
    return LEDGER_OK;
}

/* --- ADT --- */

/* Under the next number, whatever it is: the log is what came, in the order it
 * came. */
static int adt_add(struct ledger *ledger, const void *raw, size_t n, int64_t received_us,
                   uint64_t *number)
{
    uint8_t key[8], *row;
    int error;

    *number = ledger->now.adt + 1;
    (void)put64(key, *number);
    if ((error = row_make(ledger, DB_ADT, key, sizeof(key), 8, raw, n, &row)) !=
        LEDGER_OK)
        return error;
    (void)put64(row, (uint64_t)received_us);
    error = db_append(ledger, DB_ADT, key, sizeof(key), row, 8 + n + SEAL_OVERHEAD);
    free(row);
    if (error == LEDGER_OK)
        ledger->now.adt = *number;
    return error;
}

/* The PAS repeats what was not acknowledged, so the sender's key is looked up
 * before anything is written. Another message under a known key is kept as well:
 * which of the two is right is not for a log to say. */
int ledger_adt_append(struct ledger *ledger, const void *key, size_t key_size,
                      const void *raw, size_t n, int64_t received_us, uint64_t *number)
{
    uint8_t index[DIGEST_SIZE], row[8 + DIGEST_SIZE];
    struct db_span earlier;
    int error;

    assert(ledger->batch);
    if (key_size == 0 || key_size > ADT_KEY_MAX || n == 0 || n > LEDGER_ADT_MAX)
        return ledger_fail(ledger, LEDGER_INVALID, "an ADT message out of its limits");
    if ((error = row_digest(ledger, key, key_size, index)) != LEDGER_OK ||
        (error = row_digest(ledger, raw, n, row + 8)) != LEDGER_OK)
        return error;
    error = db_get(ledger, DB_ADT_KEYS, index, ADT_INDEX_SIZE, &earlier);
    /* Word for word what was logged before: the PAS has not heard our answer. */
    if (error == LEDGER_OK && memcmp(earlier.bytes + 8, row + 8, DIGEST_SIZE) == 0) {
        *number = get64(earlier.bytes);
        return LEDGER_SAME;
    }
    if (error != LEDGER_OK && error != LEDGER_NOT_FOUND)
        return error;
    /* No room: the PAS is told nothing, and will repeat. */
    if (ledger->full)
        return LEDGER_FULL;
    if (error == LEDGER_OK) /* the index stays with the first */
        return (error = adt_add(ledger, raw, n, received_us, number)) == LEDGER_OK
                   ? LEDGER_CONFLICT
                   : error;
    if ((error = adt_add(ledger, raw, n, received_us, number)) != LEDGER_OK)
        return error;
    (void)put64(row, *number);
    error = db_put(ledger, DB_ADT_KEYS, index, ADT_INDEX_SIZE, row, sizeof(row));
    return error == LEDGER_OK ? LEDGER_NEW : error;
}

/* Into fresh memory with a NUL behind it: HL7 is text. */
int ledger_adt_read(struct ledger *ledger, uint64_t number, uint8_t **raw, size_t *n,
                    int64_t *received_us)
{
    uint8_t key[8];
    struct db_span row;
    int error;

    *raw = NULL;
    (void)put64(key, number);
    if ((error = db_get(ledger, DB_ADT, key, sizeof(key), &row)) != LEDGER_OK)
        return error;
    if (row.size < 8)
        return ledger_fail(ledger, LEDGER_DAMAGED, "an ADT message is too short");
    *received_us = (int64_t)get64(row.bytes);
    return row_read(ledger, DB_ADT, key, sizeof(key),
                    (struct db_span){row.bytes + 8, row.size - 8}, raw, n);
}

/* The newest number; what a census is derived from ends here. */
uint64_t ledger_adt_last(const struct ledger *ledger)
{
    return ledger->now.adt;
}

/* From the front, a bounded number a call, so that a batch stays small. The keys
 * stay: a repeated message must still be known. */
int ledger_adt_trim(struct ledger *ledger, uint64_t number, int max)
{
    static const uint8_t start[8] = {0};
    struct db_span found, value;
    int n = 0, error = LEDGER_OK;

    assert(ledger->batch);
    for (; n < max; n++) {
        uint8_t key[8];

        /* The oldest is always the first; nothing is searched. */
        error = db_seek(ledger, DB_ADT, start, sizeof(start), &found, &value);
        if (error != LEDGER_OK || get64(found.bytes) >= number)
            break;
        memcpy(key, found.bytes, sizeof(key));
        if ((error = db_drop(ledger, DB_ADT, key, sizeof(key))) != LEDGER_OK)
            break;
    }
    return error == LEDGER_OK || error == LEDGER_NOT_FOUND ? n : error;
}

/* --- clock fixes --- */

#define FIX_KEY_SIZE  20 /* its first 12 bytes alone are the key of the boot's own row */
#define BOOT_KEY_SIZE 12
#define BOOT_ROW_SIZE 17

/* Gateway and boot first: the fixes of one boot lie together, in order of its
 * monotonic time. */
static void fix_key(uint32_t gateway, uint64_t boot, uint64_t monotonic_us,
                    uint8_t out[FIX_KEY_SIZE])
{
    (void)put64(put64(put32(out, gateway), boot), monotonic_us);
}

/* False for the boot's own row and for a neighbour of another boot. */
static bool fix_read(const uint8_t *boot_prefix, struct db_span found,
                     struct db_span value, struct timebase_fix *out)
{
    if (found.size != FIX_KEY_SIZE ||
        memcmp(found.bytes, boot_prefix, BOOT_KEY_SIZE) != 0 || value.size != 12)
        return false;
    *out = (struct timebase_fix){
        .monotonic_us = get64(found.bytes + 12),
        .utc_us = (int64_t)get64(value.bytes),
        .uncertainty_ms = get32(value.bytes + 8),
    };
    return true;
}

/* What the boot's own row says of all its fixes. */
static int boot_read(struct ledger *ledger, const uint8_t *key,
                     struct timebase_fixes *fixes)
{
    struct db_span row;
    int error = db_get(ledger, DB_FIXES, key, BOOT_KEY_SIZE, &row);

    /* Nothing known yet: any fix is lower and higher than this. */
    fixes->offset_low_us = INT64_MAX;
    fixes->offset_high_us = INT64_MIN;
    if (error == LEDGER_OK && row.size == BOOT_ROW_SIZE) {
        fixes->offset_low_us = (int64_t)get64(row.bytes);
        fixes->offset_high_us = (int64_t)get64(row.bytes + 8);
        fixes->contradicted = row.bytes[16] != 0;
    }
    return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
}

/* The one at or before, the one after, and what all of the boot say together. Two
 * seeks, whatever the number of fixes. */
int ledger_fix_near(struct ledger *ledger, uint32_t gateway, uint64_t boot,
                    uint64_t monotonic_us, struct timebase_fixes *fixes)
{
    uint8_t key[FIX_KEY_SIZE];
    struct db_span found, value;
    int error;

    *fixes = (struct timebase_fixes){0};
    fix_key(gateway, boot, monotonic_us, key);
    if ((error = boot_read(ledger, key, fixes)) != LEDGER_OK)
        return error;
    error = db_seek_back(ledger, DB_FIXES, key, sizeof(key), &found, &value);
    if (error == LEDGER_OK)
        fixes->has_before = fix_read(key, found, value, &fixes->before);
    else if (error != LEDGER_NOT_FOUND)
        return error;
    if (monotonic_us == UINT64_MAX)
        return LEDGER_OK;
    fix_key(gateway, boot, monotonic_us + 1, key);
    error = db_seek(ledger, DB_FIXES, key, sizeof(key), &found, &value);
    if (error == LEDGER_OK)
        fixes->has_after = fix_read(key, found, value, &fixes->after);
    return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
}

/* Compared with its two neighbours only: if it fits both, it fits what lies beyond
 * them or they did not fit each other. The boot's own row widens with every fix,
 * so a contradiction that is found late still knows all that was ever said. */
int ledger_fix_add(struct ledger *ledger, uint32_t gateway, uint64_t boot,
                   const struct timebase_fix *fix)
{
    uint8_t key[FIX_KEY_SIZE], row[12], boot_row[BOOT_ROW_SIZE];
    struct timebase_fixes fixes;
    bool contradicts;
    int error = ledger_fix_near(ledger, gateway, boot, fix->monotonic_us, &fixes);

    if (error != LEDGER_OK)
        return error;
    /* The same record again, after a conflict or a resend into a restored ledger. */
    if (fixes.has_before && fixes.before.monotonic_us == fix->monotonic_us &&
        fixes.before.utc_us == fix->utc_us &&
        fixes.before.uncertainty_ms == fix->uncertainty_ms)
        return LEDGER_SAME;
    contradicts = (fixes.has_before && !timebase_agree(&fixes.before, fix)) ||
                  (fixes.has_after && !timebase_agree(&fixes.after, fix));
    timebase_offsets(fix, &fixes.offset_low_us, &fixes.offset_high_us);

    fix_key(gateway, boot, fix->monotonic_us, key);
    (void)put32(put64(row, (uint64_t)fix->utc_us), fix->uncertainty_ms);
    (void)put8(put64(put64(boot_row, (uint64_t)fixes.offset_low_us),
                     (uint64_t)fixes.offset_high_us),
               contradicts || fixes.contradicted);
    if ((error = db_put(ledger, DB_FIXES, key, sizeof(key), row, sizeof(row))) !=
            LEDGER_OK ||
        (error = db_put(ledger, DB_FIXES, key, BOOT_KEY_SIZE, boot_row,
                        sizeof(boot_row))) != LEDGER_OK)
        return error;
    return contradicts ? LEDGER_CONFLICT : LEDGER_NEW;
}

/* --- small values --- */

/* Sealed under its own key: a value copied to another key does not open there. */
int ledger_value_put(struct ledger *ledger, const void *key, size_t key_size,
                     const void *value, size_t n)
{
    uint8_t *row;
    int error;

    if (key_size == 0 || key_size > LEDGER_KEY_MAX)
        return ledger_fail(ledger, LEDGER_INVALID, "a key out of its limits");
    if ((error = row_make(ledger, DB_VALUES, key, key_size, 0, value, n, &row)) !=
        LEDGER_OK)
        return error;
    error = db_put(ledger, DB_VALUES, key, key_size, row, n + SEAL_OVERHEAD);
    free(row);
    return error;
}

/* Absent is fine: whoever drops wants it gone. */
int ledger_value_drop(struct ledger *ledger, const void *key, size_t key_size)
{
    int error = db_drop(ledger, DB_VALUES, key, key_size);

    return error == LEDGER_NOT_FOUND ? LEDGER_OK : error;
}

/* The caller frees. A value may be empty; NULL then still is memory to free. */
int ledger_value_get(struct ledger *ledger, const void *key, size_t key_size,
                     uint8_t **value, size_t *n)
{
    struct db_span row;
    int error;

    *value = NULL;
    if (key_size == 0 || key_size > LEDGER_KEY_MAX)
        return LEDGER_INVALID;
    if ((error = db_get(ledger, DB_VALUES, key, key_size, &row)) != LEDGER_OK)
        return error;
    return row_read(ledger, DB_VALUES, key, key_size, row, value, n);
}

/* Keys only, in order: values are opened one by one by those who want them. */
int ledger_value_next(struct ledger *ledger, const void *prefix, size_t prefix_size,
                      const void *key, size_t key_size, uint8_t *next, size_t *next_size)
{
    static const uint8_t start[1] = {0};
    struct db_span found, value;
    int error;

    if (key_size > 0) {
        error = db_seek(ledger, DB_VALUES, key, key_size, &found, &value);
        if (error == LEDGER_OK && found.size == key_size &&
            memcmp(found.bytes, key, key_size) == 0)
            error = db_next(ledger, DB_VALUES, &found, &value);
    } else {
        error = prefix_size > 0
                    ? db_seek(ledger, DB_VALUES, prefix, prefix_size, &found, &value)
                    : db_seek(ledger, DB_VALUES, start, sizeof(start), &found, &value);
    }
    if (error != LEDGER_OK)
        return error;
    if (prefix_size > 0 &&
        (found.size < prefix_size || memcmp(found.bytes, prefix, prefix_size) != 0))
        return LEDGER_NOT_FOUND;
    memcpy(next, found.bytes, found.size);
    *next_size = found.size;
    return LEDGER_OK;
}
