/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox: what is to be said to an EPR, in the bytes it was first said in.
 */
#include "chart/ledger_out.h"

#include <assert.h>
#include <stdlib.h>

#include "chart/ledger_db.h"

#define HEAD_SIZE  (4 + 4 + 4 + 4 + 3 * 8 + 8 + 8)
#define ROW_MAX    (HEAD_SIZE + LEDGER_CONTROL_SIZE + LEDGER_DETAIL_SIZE)
#define ID_KEY_MAX (4 + LEDGER_CONTROL_SIZE)

/* --- rows --- */

/* Fixed fields first, then the two texts; their lengths say where each ends.
 * Returns the row's size. */
static size_t message_encode(const struct ledger_message *message, uint8_t row[ROW_MAX])
{
    size_t control = strnlen(message->control, LEDGER_CONTROL_SIZE - 1);
    size_t detail = strnlen(message->detail, LEDGER_DETAIL_SIZE - 1);
    uint8_t *at = put32(row, message->destination);

    at = put8(put8(put8(at, message->kind), message->lane), (uint8_t)message->state);
    at = put32(put8(at, (uint8_t)control), message->attempts);
    at = put32(at, message->generation);
    at = put64(put64(at, (uint64_t)message->due_us), (uint64_t)message->created_us);
    at = put64(put32(put64(at, message->tag), message->id.source), message->id.seq);
    at = put32(at, (uint32_t)detail);
    assert(at == row + HEAD_SIZE);
    memcpy(at, message->control, control);
    memcpy(at + control, message->detail, detail);
    return HEAD_SIZE + control + detail;
}

/* False for a row whose lengths do not add up: it was not written by this version. */
static bool message_decode(uint64_t number, struct db_span row,
                           struct ledger_message *out)
{
    const uint8_t *at = row.bytes;
    size_t control, detail;

    if (row.size < HEAD_SIZE || (control = at[7]) >= LEDGER_CONTROL_SIZE ||
        (detail = get32(at + HEAD_SIZE - 4)) >= LEDGER_DETAIL_SIZE ||
        row.size != HEAD_SIZE + control + detail || at[6] >= LEDGER_OUT_STATES)
        return false;
    *out = (struct ledger_message){
        .number = number,
        .destination = get32(at),
        .kind = at[4],
        .lane = at[5],
        .state = (enum ledger_out_state)at[6],
        .attempts = get32(at + 8),
        .generation = get32(at + 12),
        .due_us = (int64_t)get64(at + 16),
        .created_us = (int64_t)get64(at + 24),
        .tag = get64(at + 32),
        .id = {get32(at + 40), get64(at + 44)},
    };
    memcpy(out->control, at + HEAD_SIZE, control);
    memcpy(out->detail, at + HEAD_SIZE + control, detail);
    return true;
}

/* destination, state, order, number: queued by lane, waiting by due time, the rest by
 * number. */
static void work_key(const struct ledger_message *message, uint8_t out[21])
{
    uint64_t order = message->state == LEDGER_OUT_QUEUED    ? message->lane
                     : message->state == LEDGER_OUT_WAITING ? time_key(message->due_us)
                                                            : 0;
    uint8_t *at = put8(put32(out, message->destination), (uint8_t)message->state);

    (void)put64(put64(at, order), message->number);
}

/* A control id is unique for its destination, not among all. */
static size_t id_key(uint32_t destination, const char *control, uint8_t out[ID_KEY_MAX])
{
    size_t n = strnlen(control, LEDGER_CONTROL_SIZE - 1);

    memcpy(put32(out, destination), control, n);
    return 4 + n;
}

/* Puts a message where its state belongs: listed and counted. */
static int work_enter(struct ledger *ledger, const struct ledger_message *message)
{
    uint8_t key[21];
    int error;

    work_key(message, key);
    error = db_put(ledger, DB_OUT_WORK, key, sizeof(key), NULL, 0);
    return error == LEDGER_OK ? counter_add(ledger, DB_OUT_COUNT, key, 5, 1) : error;
}

/* The reverse of work_enter, with the same key: a message's place follows from its
 * fields alone. */
static int work_leave(struct ledger *ledger, const struct ledger_message *message)
{
    uint8_t key[21];
    int error;

    work_key(message, key);
    error = db_drop(ledger, DB_OUT_WORK, key, sizeof(key));
    return error == LEDGER_OK ? counter_add(ledger, DB_OUT_COUNT, key, 5, -1) : error;
}

/* --- adding and reading --- */

/* Without its bytes, which only sending needs. */
int ledger_out_get(struct ledger *ledger, uint64_t number, struct ledger_message *message)
{
    uint8_t key[8];
    struct db_span row;
    int error;

    (void)put64(key, number);
    if ((error = db_get(ledger, DB_OUT, key, sizeof(key), &row)) != LEDGER_OK)
        return error;
    if (!message_decode(number, row, message))
        return ledger_fail(ledger, LEDGER_DAMAGED, "a message of wrong shape");
    return LEDGER_OK;
}

/* By what the EPR calls it: answers come with a control id. */
int ledger_out_find(struct ledger *ledger, uint32_t destination, const char *control,
                    struct ledger_message *message)
{
    uint8_t key[ID_KEY_MAX];
    size_t n = id_key(destination, control, key);
    struct db_span row;
    int error = db_get(ledger, DB_OUT_IDS, key, n, &row);

    return error == LEDGER_OK ? ledger_out_get(ledger, get64(row.bytes), message) : error;
}

/* Apart from the rest and sealed: a message names its patient. */
static int bytes_put(struct ledger *ledger, uint64_t number, const void *bytes, size_t n)
{
    uint8_t key[8], *sealed = malloc(n + SEAL_OVERHEAD);
    int error;

    if (sealed == NULL)
        return ledger_fail(ledger, LEDGER_IO, "out of memory");
    (void)put64(key, number);
    error = row_seal(ledger, DB_OUT_BYTES, key, sizeof(key), bytes, n, sealed);
    if (error == LEDGER_OK)
        error =
            db_append(ledger, DB_OUT_BYTES, key, sizeof(key), sealed, n + SEAL_OVERHEAD);
    free(sealed);
    return error;
}

/* Once for each control id, for ever: whoever makes a message again after a crash
 * finds the first one, and sends that one's bytes. */
int ledger_out_add(struct ledger *ledger, struct ledger_message *message,
                   const void *bytes, size_t n)
{
    uint8_t key[8], id[ID_KEY_MAX], row[ROW_MAX];
    struct ledger_message earlier;
    size_t id_size;
    int error;

    assert(ledger->batch);
    /* Without a control id it could not be told from another, and would be sent twice. */
    if (message->control[0] == '\0' || n == 0 || n > LEDGER_MESSAGE_MAX)
        return ledger_fail(ledger, LEDGER_INVALID, "a message out of its limits");
    error = ledger_out_find(ledger, message->destination, message->control, &earlier);
    /* Made before a crash and made again: the first one's bytes are what is sent. */
    if (error == LEDGER_OK) {
        *message = earlier;
        return LEDGER_EXISTS;
    }
    if (error != LEDGER_NOT_FOUND)
        return error;

    message->number = ledger->now.messages + 1;
    message->state = LEDGER_OUT_QUEUED;
    message->attempts = 0;
    (void)put64(key, message->number);
    id_size = id_key(message->destination, message->control, id);
    if ((error = bytes_put(ledger, message->number, bytes, n)) != LEDGER_OK ||
        (error = db_append(ledger, DB_OUT, key, sizeof(key), row,
                           message_encode(message, row))) != LEDGER_OK ||
        (error = db_put(ledger, DB_OUT_IDS, id, id_size, key, sizeof(key))) !=
            LEDGER_OK ||
        (error = work_enter(ledger, message)) != LEDGER_OK)
        return error;
    ledger->now.messages = message->number;
    return LEDGER_OK;
}

/* The size is told even when the buffer is too small. */
int ledger_out_bytes(struct ledger *ledger, uint64_t number, void *out, size_t capacity,
                     size_t *n)
{
    uint8_t key[8];
    struct db_span sealed;
    int error;

    (void)put64(key, number);
    if ((error = db_get(ledger, DB_OUT_BYTES, key, sizeof(key), &sealed)) != LEDGER_OK)
        return error;
    if (sealed.size < SEAL_OVERHEAD) {
        ledger->now.books.damaged++;
        return ledger_fail(ledger, LEDGER_DAMAGED, "a message's bytes are too short");
    }
    *n = sealed.size - SEAL_OVERHEAD;
    if (*n > capacity)
        return ledger_fail(ledger, LEDGER_INVALID, "a buffer too small for a message");
    return row_open(ledger, DB_OUT_BYTES, key, sizeof(key), sealed, out, n);
}

/* --- moving --- */

/* A message moves between lists as its fields say. Once answered or cancelled it
 * stays so, and its bytes, the only part with a patient in it, are dropped. */
int ledger_out_set(struct ledger *ledger, const struct ledger_message *message)
{
    uint8_t key[8], row[ROW_MAX];
    struct ledger_message old = {0}, new;
    int error = ledger_out_get(ledger, message->number, &old);

    assert(ledger->batch);
    if (error != LEDGER_OK)
        return error;
    if (message->state >= LEDGER_OUT_STATES ||
        (old.state == LEDGER_OUT_DONE && message->state != LEDGER_OUT_DONE) ||
        (old.state == LEDGER_OUT_CANCELLED && message->state != LEDGER_OUT_CANCELLED))
        return ledger_fail(ledger, LEDGER_BAD_TRANSITION,
                           "an answered message stays answered");
    new = old;
    new.state = message->state;
    new.attempts = message->attempts;
    new.due_us = message->due_us;
    new.lane = message->lane;
    new.tag = message->tag;
    memcpy(new.detail, message->detail, sizeof(new.detail));
    new.detail[sizeof(new.detail) - 1] = '\0';

    (void)put64(key, new.number);
    /* Out of the old list and into the new one; when nothing has changed it is the
     * same place. */
    if ((error = work_leave(ledger, &old)) != LEDGER_OK ||
        (error = work_enter(ledger, &new)) != LEDGER_OK ||
        (error = db_put(ledger, DB_OUT, key, sizeof(key), row,
                        message_encode(&new, row))) != LEDGER_OK)
        return error;
    /* Bytes stay for a dead letter: a person may want to send them after all. */
    if (new.state == old.state ||
        (new.state != LEDGER_OUT_DONE &&new.state != LEDGER_OUT_CANCELLED))
        return LEDGER_OK;
    return db_drop(ledger, DB_OUT_BYTES, key, sizeof(key));
}

/* For retention. After this the same control id could be used again, so it is for
 * messages that nobody will make again. */
int ledger_out_forget(struct ledger *ledger, uint64_t number)
{
    uint8_t key[8], id[ID_KEY_MAX];
    struct ledger_message message = {0};
    size_t id_size;
    int error = ledger_out_get(ledger, number, &message);

    if (error != LEDGER_OK)
        return error;
    if (message.state != LEDGER_OUT_DONE && message.state != LEDGER_OUT_CANCELLED)
        return ledger_fail(ledger, LEDGER_BAD_TRANSITION, "a message not yet answered");
    (void)put64(key, number);
    id_size = id_key(message.destination, message.control, id);
    if ((error = work_leave(ledger, &message)) != LEDGER_OK ||
        (error = db_drop(ledger, DB_OUT_IDS, id, id_size)) != LEDGER_OK)
        return error;
    return db_drop(ledger, DB_OUT, key, sizeof(key));
}

/* In the order of the state: see work_key. */
int ledger_out_list(struct ledger *ledger, uint32_t destination,
                    enum ledger_out_state state, struct ledger_cursor *cursor,
                    struct ledger_message *out, int max)
{
    uint8_t prefix[5];
    struct db_span found, value;
    int n = 0, step = 0, error;

    (void)put8(put32(prefix, destination), (uint8_t)state);
    while (n < max && (step = cursor_step(ledger, DB_OUT_WORK, prefix, sizeof(prefix),
                                          cursor, &found, &value)) > 0)
        if ((error = ledger_out_get(ledger, get64(found.bytes + 13), &out[n++])) !=
            LEDGER_OK)
            return error;
    return step < 0 ? step : n;
}

/* From the counters; 0 for a destination never heard of. */
uint64_t ledger_out_count(struct ledger *ledger, uint32_t destination,
                          enum ledger_out_state state)
{
    uint8_t key[5];
    struct db_span row;

    (void)put8(put32(key, destination), (uint8_t)state);
    return db_get(ledger, DB_OUT_COUNT, key, sizeof(key), &row) == LEDGER_OK
               ? get64(row.bytes)
               : 0;
}
