/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger under power cuts. Batch n does the same work wherever it is done: readings
 * taken in by intake, one ADT message, readings moved on, a message to an EPR, now and
 * then a gap or a snapshot. So what must be found after a cut is what a run without cuts
 * had after batch n, for an n that covers all that was acknowledged.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart/intake.h"
#include "chart/ledger_db.h"
#include "chart/ledger_log.h"
#include "chart/ledger_out.h"
#include "wire/envelope.h"

#include "power.h"
#include "recorder.h"

#define PER_BATCH   6
#define BATCHES_MAX 4096
#define SEQ(batch)  ((uint64_t)(batch) * (PER_BATCH + 1) + 1)

static const struct epoch epoch = {{1, 2, 3}};

/* What a run without cuts had after n batches. */
static struct expected {
    struct ledger_books books;
    uint64_t changes, adt;
} expected[BATCHES_MAX];
static int expected_count;

static uint64_t base; /* batches that the round's start is known to hold */
static uint64_t
    begun; /* batches that the round's work may have begun, all rounds counted */

static uint8_t sessions[64][SEAL_SESSION_SIZE]; /* those that ever sealed a row */
static int session_count;

static int ledger_at(const char *folder, struct ledger **ledger, char *error)
{
    char key[500];
    struct ledger_options options = {.folder = folder,
                                     .key_path = key,
                                     .size_max = UINT64_C(64) << 20};

    (void)snprintf(key, sizeof(key), "%s/key", folder);
    return ledger_open(&options, ledger, error);
}

static size_t reading(uint64_t seq, uint8_t *out)
{
    static wardgate_Record record;
    int n;

    memset(&record, 0, sizeof(record));
    record.seq = seq;
    record.kind = wardgate_Record_Kind_READING;
    record.has_device = true;
    (void)snprintf(record.device.id, sizeof(record.device.id), "monitor-%u",
                   (unsigned)(seq % 3));
    (void)snprintf(record.place, sizeof(record.place), "BED %u", (unsigned)(seq % 4));
    record.has_time = true;
    record.time.boot = 5;
    record.time.monotonic_us = seq * 1000000;
    record.time.utc_us = INT64_C(1790000000000000) + (int64_t)seq * 1000000;
    record.time.sync = wardgate_TimeBlock_Sync_SYNCED;
    record.time.uncertainty_ms = 10;
    record.observations_count = (pb_size_t)(1 + seq % 5);
    for (pb_size_t i = 0; i < record.observations_count; i++) {
        record.observations[i].code = 147842;
        record.observations[i].which_value = wardgate_Observation_mantissa_tag;
        record.observations[i].value.mantissa = (int64_t)(seq * 7 + i);
    }
    if (seq % (PER_BATCH + 1) == 0) { /* the last of each batch is a gap */
        record.kind = wardgate_Record_Kind_GAP;
        record.observations_count = 0;
        record.has_gap = true;
        record.gap.reason = wardgate_Gap_Reason_DEVICE_SILENT;
        record.gap.count = seq % 9;
    }
    n = record_encode(&record, out, RECORD_SIZE_MAX);
    if (n <= 0)
        abort();
    return (size_t)n;
}

static int move(struct ledger *ledger, uint64_t seq, enum ledger_state state,
                uint64_t message)
{
    struct ledger_entry entry;
    int error = ledger_get(ledger, (struct ledger_id){1, seq}, &entry);

    if (error != LEDGER_OK)
        return error;
    if (entry.kind != wardgate_Record_Kind_READING)
        return LEDGER_OK;
    entry.state = state;
    if (message != 0)
        entry.message = message;
    return ledger_update(ledger, &entry, (int64_t)seq, "test");
}

/* Sends on what came two batches ago, and enters the answer to what was sent on before.
 */
static int move_on(struct ledger *ledger, uint64_t n)
{
    struct ledger_message message = {.destination = 1};
    int error;

    if (n >= 2) {
        (void)snprintf(message.control, sizeof(message.control), "c-%llu",
                       (unsigned long long)n);
        if ((error = ledger_out_add(ledger, &message, message.control,
                                    strlen(message.control))) != LEDGER_OK ||
            (error = move(ledger, SEQ(n - 2), LEDGER_MATCHED, message.number)) !=
                LEDGER_OK ||
            (error = move(ledger, SEQ(n - 2) + 1, LEDGER_KEPT, 0)) != LEDGER_OK ||
            (error = move(ledger, SEQ(n - 2) + 2, LEDGER_HELD, 0)) != LEDGER_OK)
            return error;
    }
    if (n >= 4) {
        (void)snprintf(message.control, sizeof(message.control), "c-%llu",
                       (unsigned long long)(n - 2));
        if ((error = ledger_out_find(ledger, 1, message.control, &message)) != LEDGER_OK)
            return error;
        message.state = LEDGER_OUT_DONE;
        if ((error = ledger_out_set(ledger, &message)) != LEDGER_OK ||
            (error = move(ledger, SEQ(n - 4), LEDGER_SENT, 0)) != LEDGER_OK ||
            (error = move(ledger, SEQ(n - 4), LEDGER_CHARTED, 0)) != LEDGER_OK)
            return error;
    }
    return LEDGER_OK;
}

/* Batch n: everything but the commit. */
static int batch_fill(struct ledger *ledger, struct intake *intake, uint64_t n)
{
    static uint8_t room[ENVELOPE_SIZE_MAX], bytes[RECORD_SIZE_MAX],
        item[RECORD_SIZE_MAX + 8], snapshot[9000];
    struct envelope_writer writer;
    const uint8_t *payload;
    char adt[64];
    uint64_t number;
    int size, error;

    (void)envelope_begin(&writer, room, sizeof(room), "gw-1", &epoch);
    for (uint64_t seq = SEQ(n); seq < SEQ(n + 1); seq++) {
        int m = envelope_item(bytes, reading(seq, bytes), item, sizeof(item));
        if (m <= 0 || envelope_add(&writer, item, (size_t)m) != 0)
            abort();
    }
    size = envelope_end(&writer, &payload);
    error = intake_up(intake, "gw-1", payload, (size_t)size, (int64_t)n);
    if (error != PER_BATCH + 1)
        return error < 0 ? error : LEDGER_INVALID;
    (void)snprintf(adt, sizeof(adt), "MSH|ADT number %llu", (unsigned long long)n);
    error = ledger_adt_append(ledger, adt, strlen(adt), adt, strlen(adt), (int64_t)n,
                              &number);
    if (error != LEDGER_NEW)
        return error < 0 ? error : LEDGER_INVALID;
    if (n % 8 == 3) {
        memset(snapshot, (int)n, sizeof(snapshot));
        if ((error = ledger_value_put(ledger, "census", 6, snapshot, sizeof(snapshot))) !=
            LEDGER_OK)
            return error;
    }
    return move_on(ledger, n);
}

static int batch_run(struct ledger *ledger, struct intake *intake, uint64_t n)
{
    char gateway[NAME_MAX_LENGTH + 1];
    uint8_t receipt[RECEIPT_SIZE_MAX];
    int error = ledger_begin(ledger), receipts = 0;

    if (error != LEDGER_OK)
        return error;
    if ((error = batch_fill(ledger, intake, n)) != LEDGER_OK) {
        ledger_abort(ledger);
        return error;
    }
    if ((error = ledger_commit(ledger)) != LEDGER_OK)
        return error;
    intake_committed(intake);
    while (intake_receipt(intake, gateway, receipt) > 0)
        receipts++;
    return receipts == 1 ? LEDGER_OK : LEDGER_INVALID;
}

static void begin(const char *scratch, int batches)
{
    char folder[400], error[LEDGER_ERROR_SIZE];
    struct ledger *ledger;
    struct intake *intake;

    (void)snprintf(folder, sizeof(folder), "%s/expected", scratch);
    if (batches + 2 > BATCHES_MAX || ledger_at(folder, &ledger, error) != LEDGER_OK ||
        (intake = intake_new(ledger, NULL)) == NULL)
        abort();
    for (expected_count = 0; expected_count <= batches + 1; expected_count++) {
        struct expected *is = &expected[expected_count];
        ledger_books(ledger, &is->books);
        is->changes = ledger_changes(ledger);
        is->adt = ledger_adt_last(ledger);
        if (batch_run(ledger, intake, (uint64_t)expected_count) != LEDGER_OK)
            abort();
    }
    intake_free(intake);
    ledger_close(ledger);
}

static void baseline(const char *copy, int round)
{
    char error[LEDGER_ERROR_SIZE];
    struct ledger *ledger;

    (void)round;
    base = 0;
    if (copy == NULL)
        return;
    if (ledger_at(copy, &ledger, error) != LEDGER_OK)
        abort();
    base = ledger_adt_last(ledger);
    ledger_close(ledger);
}

static int work(const char *folder, int batches)
{
    char error[LEDGER_ERROR_SIZE];
    struct ledger *ledger;
    struct intake *intake;
    int result = LEDGER_OK;

    if (ledger_at(folder, &ledger, error) != LEDGER_OK) {
        (void)printf("%s\n", error);
        return -1;
    }
    memcpy(sessions[session_count++ % 64], seal_session(ledger->seal), SEAL_SESSION_SIZE);
    if ((intake = intake_new(ledger, NULL)) == NULL || ledger_adt_last(ledger) != base)
        abort();
    for (int i = 0; i < batches && result == LEDGER_OK; i++) {
        begun = base + (uint64_t)i + 1;
        if ((result = batch_run(ledger, intake, base + (uint64_t)i)) == LEDGER_OK)
            recorder_mark((uint64_t)i + 1);
    }
    if (result != LEDGER_OK)
        (void)printf("work: %d: %s\n", result, ledger_failure(ledger));
    intake_free(intake);
    ledger_close(ledger);
    return result == LEDGER_OK ? 0 : -1;
}

static int complain(char *complaint, const char *what, uint64_t a, uint64_t b)
{
    (void)snprintf(complaint, COMPLAINT_SIZE, "%s (%llu, %llu)", what,
                   (unsigned long long)a, (unsigned long long)b);
    return -1;
}

/* P1: all of the n batches that are there are there whole, byte for byte; and the
 * accounts agree. */
static int whole(struct ledger *ledger, uint64_t n, char *complaint)
{
    static uint8_t bytes[RECORD_SIZE_MAX], is[RECORD_SIZE_MAX];
    struct ledger_books books, fresh;
    struct ledger_source source;
    uint64_t wrong;

    ledger_books(ledger, &books);
    if (memcmp(&books, &expected[n].books, sizeof(books)) != 0 ||
        ledger_changes(ledger) != expected[n].changes)
        return complain(complaint, "books differ after batches", n, books.readings);
    if (ledger_recount(ledger, &fresh, &wrong) != LEDGER_OK || wrong != 0 ||
        memcmp(&fresh, &books, sizeof(books)) != 0)
        return complain(complaint, "a fresh count disagrees, rows wrong", n, wrong);
    for (uint64_t seq = 1; seq < SEQ(n); seq++) {
        size_t size, m = reading(seq, bytes);
        if (ledger_record(ledger, (struct ledger_id){1, seq}, is, &size) != LEDGER_OK ||
            size != m || memcmp(is, bytes, m) != 0)
            return complain(complaint, "a receipted reading is not what it was, seq", seq,
                            n);
    }
    if (n > 0 && (ledger_source_get(ledger, 1, &source) != LEDGER_OK ||
                  source.head != SEQ(n) - 1 || source.missing != 0))
        return complain(complaint, "the source is not where it was", n, source.head);
    for (uint64_t i = 1; i <= n; i++) {
        uint8_t *raw;
        size_t size;
        int64_t received;
        if (ledger_adt_read(ledger, i, &raw, &size, &received) != LEDGER_OK)
            return complain(complaint, "an acknowledged ADT message is gone", i, n);
        free(raw);
    }
    return 0;
}

/* P2: what is here already is known as such, offered again or not; and the nonces are of
 * a session never used. */
static int go_on(struct ledger *ledger, uint64_t n, char *complaint)
{
    struct intake *intake = intake_new(ledger, NULL);
    struct ledger_books books;
    uint8_t bytes[RECORD_SIZE_MAX];
    int error = 0;

    for (int i = 0; i < session_count && i < 64; i++)
        if (memcmp(sessions[i], seal_session(ledger->seal), SEAL_SESSION_SIZE) == 0)
            error = complain(complaint, "a seal session came back", n, 0);
    if (error == 0 && n > 0) {
        struct ledger_new again = {.id = {1, SEQ(n) - 2},
                                   .kind = wardgate_Record_Kind_READING,
                                   .record = bytes};
        again.size = reading(again.id.seq, bytes);
        if (ledger_begin(ledger) != LEDGER_OK)
            error = complain(complaint, "no batch can begin", n, 0);
        else if (ledger_store(ledger, &again, NULL) != LEDGER_SAME)
            error = complain(complaint, "a reading was taken twice", n, 0);
        if (ledger->batch)
            ledger_abort(ledger);
    }
    if (error == 0 && batch_run(ledger, intake, n) != LEDGER_OK)
        error = complain(complaint, "the next batch fails", n, 0);
    ledger_books(ledger, &books);
    if (error == 0 && memcmp(&books, &expected[n + 1].books, sizeof(books)) != 0)
        error = complain(complaint, "books differ after the next batch", n, 0);
    intake_free(intake);
    return error;
}

static int check(const char *folder, uint64_t acked, char complaint[COMPLAINT_SIZE])
{
    char error[LEDGER_ERROR_SIZE];
    struct ledger *ledger;
    uint64_t n;
    int result;

    if (ledger_at(folder, &ledger, error) != LEDGER_OK) {
        (void)snprintf(complaint, COMPLAINT_SIZE, "it does not open: %.200s", error);
        return -1;
    }
    n = ledger_adt_last(ledger);
    if (n < base + acked || n > begun)
        result = complain(complaint, "batches acknowledged and found", base + acked, n);
    else if ((result = whole(ledger, n, complaint)) == 0)
        result = go_on(ledger, n, complaint);
    ledger_close(ledger);
    return result;
}

const struct subject subject = {"ledger", begin, baseline, work, check};
