/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger on a disk that refuses: each write, sync and meta write of a workload in
 * turn fails once, or fails until the disk is well again, with EIO, ENOSPC or EROFS. No
 * batch that failed is receipted, none that was receipted is missing, each failure has
 * words, and work goes on as soon as the disk does.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chart/intake.h"
#include "chart/ledger_db.h"
#include "wire/envelope.h"

#include "recorder.h"

#define BATCHES    6
#define PER_BATCH  UINT64_C(8)
#define FAULTS_MAX 400 /* calls of one workload that are made to fail, one at a time */

static char scratch[200];
static const struct epoch epoch = {{9}};
static int runs, hits, broken;

static void fail(const char *what, const char *how, int n)
{
    (void)printf("fail: %s (%s, call %d)\n", what, how, n);
    broken++;
}

static int ledger_at(const char *folder, struct ledger **ledger, char *error)
{
    char key[500];
    struct ledger_options options = {.folder = folder,
                                     .key_path = key,
                                     .size_max = UINT64_C(32) << 20};

    (void)snprintf(key, sizeof(key), "%s/key", folder);
    return ledger_open(&options, ledger, error);
}

static size_t envelope(uint64_t batch, uint8_t *room, const uint8_t **payload)
{
    static uint8_t bytes[RECORD_SIZE_MAX], item[RECORD_SIZE_MAX + 8];
    static wardgate_Record record;
    struct envelope_writer writer;

    (void)envelope_begin(&writer, room, ENVELOPE_SIZE_MAX, "gw-1", &epoch);
    for (uint64_t seq = batch * PER_BATCH + 1; seq <= (batch + 1) * PER_BATCH; seq++) {
        int n, m;
        memset(&record, 0, sizeof(record));
        record.seq = seq;
        record.kind = wardgate_Record_Kind_READING;
        record.has_device = true;
        (void)snprintf(record.device.id, sizeof(record.device.id), "m");
        record.has_time = true;
        record.time.boot = 1;
        record.time.utc_us = INT64_C(1790000000000000);
        record.time.sync = wardgate_TimeBlock_Sync_SYNCED;
        record.observations_count = 1;
        record.observations[0].code = 147842;
        record.observations[0].which_value = wardgate_Observation_mantissa_tag;
        record.observations[0].value.mantissa = (int64_t)seq;
        n = record_encode(&record, bytes, sizeof(bytes));
        m = n > 0 ? envelope_item(bytes, (size_t)n, item, sizeof(item)) : -1;
        if (m <= 0 || envelope_add(&writer, item, (size_t)m) != 0)
            abort();
    }
    return (size_t)envelope_end(&writer, payload);
}

/* One batch. 1: committed and receipted; 0: refused, with words and without a receipt. */
static int batch(struct ledger *ledger, struct intake *intake, uint64_t n,
                 const char *how, int call)
{
    static uint8_t room[ENVELOPE_SIZE_MAX], receipt[RECEIPT_SIZE_MAX];
    char gateway[NAME_MAX_LENGTH + 1];
    const uint8_t *payload;
    size_t size = envelope(n, room, &payload);
    int error = ledger_begin(ledger);

    if (error == LEDGER_OK) {
        error = intake_up(intake, "gw-1", payload, size, 1);
        if (error < 0)
            ledger_abort(ledger);
        else
            error = ledger_commit(ledger);
    }
    if (error == LEDGER_OK)
        intake_committed(intake);
    else
        intake_aborted(intake);
    if ((intake_receipt(intake, gateway, receipt) > 0) != (error == LEDGER_OK))
        fail("a receipt without a commit, or none after one", how, call);
    if (error != LEDGER_OK && error != LEDGER_IO && error != LEDGER_FULL)
        fail("an error that says neither disk nor full", how, call);
    if (error != LEDGER_OK && strcmp(ledger_failure(ledger), "no failure") == 0)
        fail("a failure without words", how, call);
    return error == LEDGER_OK;
}

static void check_whole(struct ledger *ledger, const char *how, int call)
{
    struct ledger_books books, fresh;
    uint64_t wrong = 0;

    ledger_books(ledger, &books);
    if (books.readings != BATCHES * PER_BATCH)
        fail("receipted readings are missing", how, call);
    if (ledger_recount(ledger, &fresh, &wrong) != LEDGER_OK || wrong != 0 ||
        memcmp(&books, &fresh, sizeof(books)) != 0)
        fail("a fresh count disagrees", how, call);
    for (uint64_t seq = 1; seq <= BATCHES * PER_BATCH; seq++) {
        uint8_t bytes[RECORD_SIZE_MAX];
        size_t n;
        if (ledger_record(ledger, (struct ledger_id){1, seq}, bytes, &n) != LEDGER_OK) {
            fail("a receipted reading does not open", how, call);
            return;
        }
    }
}

static void folder_drop(const char *folder)
{
    static const char *const names[] = {"ledger.mdb",     "ledger.mdb-lock",
                                        "ledger.mdb.new", "ledger.mdb.new-lock",
                                        "lock",           "key"};
    char path[500];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(folder);
}

/* The nth call from the start of the work on fails; false when there were not so many. */
static int run(enum fault_on on, int n, int error, bool sticky, const char *how)
{
    char folder[300], text[LEDGER_ERROR_SIZE];
    struct ledger *ledger;
    struct intake *intake;
    int refused = 0, faults;

    (void)snprintf(folder, sizeof(folder), "%s/one", scratch);
    if (ledger_at(folder, &ledger, text) != LEDGER_OK ||
        (intake = intake_new(ledger, NULL)) == NULL)
        abort();
    recorder_fault(folder, on, n, error, sticky);
    for (uint64_t i = 0; i < BATCHES;) {
        if (batch(ledger, intake, i, how, n)) {
            i++;
        } else if (++refused >= 3) {
            recorder_fault(folder, on, 0, 0, false); /* the disk is well again */
            if (refused > 3) {
                fail("it does not recover", how, n);
                break;
            }
        }
    }
    faults = recorder_faults() + (refused >= 3);
    recorder_fault(folder, on, 0, 0, false);
    if (faults > 0 && refused == 0 && on != FAULT_WRITE)
        fail("a failed sync went unnoticed", how, n);
    check_whole(ledger, how, n);
    intake_free(intake);
    ledger_close(ledger);
    if (ledger_at(folder, &ledger, text) != LEDGER_OK) {
        fail("it does not open again", how, n);
    } else {
        check_whole(ledger, how, n);
        ledger_close(ledger);
    }
    folder_drop(folder);
    runs++;
    hits += faults > 0;
    return faults > 0;
}

/* A disk that refuses while the ledger is being opened or made. */
static int run_open(enum fault_on on, int n, int error, bool made, const char *how)
{
    char folder[300], text[LEDGER_ERROR_SIZE] = "";
    struct ledger *ledger;
    int result, faults;

    (void)snprintf(folder, sizeof(folder), "%s/two", scratch);
    if (made && ledger_at(folder, &ledger, text) == LEDGER_OK)
        ledger_close(ledger);
    recorder_fault(folder, on, n, error, true);
    result = ledger_at(folder, &ledger, text);
    faults = recorder_faults();
    if (faults > 0 && result == LEDGER_OK && on != FAULT_WRITE)
        fail("it opens on a disk that refuses", how, n);
    if (result != LEDGER_OK && text[0] == '\0')
        fail("it does not open, without words", how, n);
    if (result == LEDGER_OK)
        ledger_close(ledger);
    recorder_fault(folder, on, 0, 0, false);
    if (ledger_at(folder, &ledger, text) != LEDGER_OK)
        fail("it does not open once the disk is well", how, n);
    else
        ledger_close(ledger);
    folder_drop(folder);
    runs++;
    hits += faults > 0;
    return faults > 0;
}

int main(void)
{
    static const struct {
        const char *how;
        enum fault_on on;
        int error;
    } kinds[] = {
        {"EIO on write", FAULT_WRITE, EIO},
        {"disk full on write", FAULT_WRITE, ENOSPC},
        {"EIO on sync", FAULT_SYNC, EIO},
        {"disk full on sync", FAULT_SYNC, ENOSPC},
        {"EIO on meta write", FAULT_DSYNC_WRITE, EIO},
        {"disk full on meta write", FAULT_DSYNC_WRITE, ENOSPC},
        {"read-only", FAULT_WRITE, EROFS},
    };

    (void)snprintf(scratch, sizeof(scratch), "%.150s/wardgate-faults-XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    if (mkdtemp(scratch) == NULL)
        return 1;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int before = runs;
        for (int sticky = 0; sticky < 2; sticky++)
            for (int n = 1; n <= FAULTS_MAX; n++)
                if (!run(kinds[i].on, n, kinds[i].error, sticky, kinds[i].how))
                    break;
        for (int made = 0; made < 2; made++)
            for (int n = 1; n <= FAULTS_MAX; n++)
                if (!run_open(kinds[i].on, n, kinds[i].error, made, kinds[i].how))
                    break;
        (void)printf("%s: %d runs\n", kinds[i].how, runs - before);
    }
    (void)rmdir(scratch);
    (void)printf("ledger on failing disks: %d runs, %d with a failure, %d complaints\n",
                 runs, hits, broken);
    return broken != 0;
}
