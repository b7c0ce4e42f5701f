/* SPDX-License-Identifier: Apache-2.0
 *
 * The bedside store under power cuts. After each commit the work writes down what a
 * reader of the store then sees (what may have been offered to the broker): seq and
 * digest of every unreceipted record. After a cut each of them must still be there with
 * the same content, unless it was receipted meanwhile or a gap record stands for it; and
 * no seq of them may ever be given to something else.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/seal.h"
#include "bedside/store.h"
#include "wire/envelope.h"

#include "power.h"
#include "recorder.h"

#define PER_BATCH 5
#define BEHIND    8 /* batches until a receipt comes */
#define SEQS_MAX  16384
#define MARKS_MAX 1024

struct seen {
    uint64_t seq;
    uint8_t digest[DIGEST_SIZE];
};

/* What was visible after mark n of this round, and the seqs that batch n + 1 may receipt.
 */
static struct promise {
    struct seen *items;
    size_t count;
    uint64_t next, receipted, receipting;
    struct epoch epoch;
} promises[MARKS_MAX];
static int round_now;

static uint8_t sessions[256][SEAL_SESSION_SIZE];
static int session_count;

static struct store_config config_of(const char *folder)
{
    struct store_config config = {.folder = folder,
                                  .map_bytes = STORE_MAP_MIN,
                                  .no_preallocate = true};

    memset(config.key.bytes, 0x42, KEY_SIZE);
    return config;
}

/* Sizes differ, so that batches fill pages differently; now and then one that needs pages
 * of its own. */
static void reading(uint64_t seq, wardgate_Record *record)
{
    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_READING;
    record->has_device = true;
    (void)snprintf(record->device.id, sizeof(record->device.id), "monitor-%u",
                   (unsigned)(seq % 4));
    (void)snprintf(record->place, sizeof(record->place), "BED 1");
    record->has_time = true;
    record->time.boot =
        100 + (uint64_t)round_now; /* what is written again after a cut is not the same */
    record->time.monotonic_us = seq * 1000;
    record->time.utc_us = INT64_C(1790000000000000);
    record->observations_count = seq % 3 == 0 ? 32 : (pb_size_t)(14 + seq % 8);
    for (pb_size_t i = 0; i < record->observations_count; i++) {
        record->observations[i].code = 147842;
        record->observations[i].which_value = wardgate_Observation_text_tag;
        (void)snprintf(record->observations[i].value.text,
                       sizeof(record->observations[i].value.text),
                       "seq %llu observation %u", (unsigned long long)seq, (unsigned)i);
    }
}

/* Reads all (or all unreceipted) records in order. */
static int read_all(struct store *store, bool all,
                    int (*visit)(void *context, uint64_t seq,
                                 const wardgate_Record *record, const uint8_t *digest),
                    void *context)
{
    static uint8_t room[ENVELOPE_SIZE_MAX];
    static wardgate_Record record;
    struct store_status status;
    struct store_items items;
    uint64_t at = 1;

    store_status(store, &status);
    while (at < status.next) {
        struct envelope_reader reader = {.body = room};
        const uint8_t *bytes;
        size_t n;

        if (store_read(store, at, status.next - 1, all, room, sizeof(room), &items) !=
            STORE_OK)
            return -1;
        reader.size = items.size;
        while (envelope_next(&reader, &bytes, &n) == 1) {
            uint8_t digest[DIGEST_SIZE];
            const char *field;
            int result;

            if (record_decode(bytes, n, &record, &field) != WIRE_OK ||
                crypto_sha256(bytes, n, digest) != 0)
                return -1;
            if ((result = visit(context, record.seq, &record, digest)) != 0)
                return result;
        }
        at = items.next;
    }
    return 0;
}

static int promise_add(void *context, uint64_t seq, const wardgate_Record *record,
                       const uint8_t *digest)
{
    struct promise *promise = context;
    struct seen *seen = &promise->items[promise->count++];

    (void)record;
    if (promise->count > SEQS_MAX)
        abort();
    seen->seq = seq;
    memcpy(seen->digest, digest, DIGEST_SIZE);
    return 0;
}

static void promise_take(struct store *store, struct promise *promise)
{
    struct store_status status;

    if (promise->items == NULL &&
        (promise->items = malloc(SEQS_MAX * sizeof(*promise->items))) == NULL)
        abort();
    promise->count = 0;
    store_status(store, &status);
    promise->next = status.next;
    promise->epoch = status.epoch;
    promise->receipted = store_oldest_unreceipted(store) - 1;
    if (read_all(store, false, promise_add, promise) != 0)
        abort();
}

static void begin(const char *scratch, int batches)
{
    (void)scratch;
    if (batches >= MARKS_MAX) {
        (void)fprintf(stderr, "at most %d batches in all rounds\n", MARKS_MAX - 1);
        exit(64);
    }
}

static struct store *store_at(const char *folder, char *error)
{
    struct store_config config = config_of(folder);
    struct store *store = NULL;

    return store_open(&config, &store, error) == STORE_OK ? store : NULL;
}

/* As the program does: a file that is broken is salvaged. Nothing that was ever
 * acknowledged may need it. */
static struct store *store_or_salvage(const char *folder, const struct promise *promise,
                                      char *error)
{
    struct store_config config = config_of(folder);
    struct store_salvage report;
    struct store *store = NULL;
    int result = store_open(&config, &store, error);

    if (result == STORE_BROKEN && promise->next == 1 &&
        store_salvage(&config, INT64_C(1790000000000000), &report, error) == STORE_OK)
        (void)store_open(&config, &store, error);
    return store;
}

static void baseline(const char *copy, int round)
{
    char error[STORE_ERROR_SIZE];
    struct store *store;

    round_now = round;
    promises[0].count = 0;
    promises[0].next = 1;
    promises[0].receipted = promises[0].receipting = 0;
    if (copy == NULL)
        return;
    if ((store = store_at(copy, error)) == NULL)
        abort();
    promise_take(store, &promises[0]);
    store_close(store);
}

/* The sessions that are named in a folder's own list. */
static int sessions_read(const char *folder, uint8_t out[][SEAL_SESSION_SIZE], int max)
{
    char path[500];
    FILE *file;
    int n = 0;

    (void)snprintf(path, sizeof(path), "%s/sessions", folder);
    if ((file = fopen(path, "rb")) == NULL)
        return 0;
    while (n < max && fread(out[n], SEAL_SESSION_SIZE, 1, file) == 1)
        n++;
    (void)fclose(file);
    return n;
}

static int work(const char *folder, int batches)
{
    char error[STORE_ERROR_SIZE] = "";
    struct store *store = store_at(folder, error);
    struct store_status status;
    wardgate_Record record;

    if (store == NULL) {
        (void)printf("%s\n", error);
        return -1;
    }
    for (int i = 0; i < batches; i++) {
        struct promise *promise = &promises[i];

        store_status(store, &status);
        for (int k = 0; k < PER_BATCH; k++) {
            reading(status.next + (uint64_t)k, &record);
            if (store_add(store, &record) != STORE_OK)
                return -1;
        }
        promise->receipting = promise->receipted;
        /* Then receipts stop, so that the oldest must make room: first receipted ones,
         * in the end those that are waiting. */
        if (round_now < 2 && i < batches / 4 &&
            promise->next > (uint64_t)BEHIND * PER_BATCH) {
            promise->receipting = promise->next - (uint64_t)BEHIND * PER_BATCH;
            if (store_receipt(store, &promise->epoch, 1, promise->receipting, NULL) !=
                STORE_OK)
                return -1;
        }
        if (store_commit(store, INT64_C(1790000000000000)) != STORE_OK) {
            store_status(store, &status);
            (void)printf("commit: %s\n", status.error_text);
            return -1;
        }
        promise_take(store, &promises[i + 1]);
        promises[i + 1].receipting = promises[i + 1].receipted;
        recorder_mark((uint64_t)i + 1);
    }
    session_count = sessions_read(folder, sessions, 256);
    store_status(store, &status);
    (void)printf("store: next %llu, %llu stored, %llu replaced by gaps\n",
                 (unsigned long long)status.next, (unsigned long long)status.stored,
                 (unsigned long long)status.evicted);
    store_close(store);
    return 0;
}

struct found {
    const struct promise *promise;
    size_t at;                    /* next promised item */
    uint64_t last;                /* last seq seen */
    uint64_t gap_first, gap_last; /* seqs that gap records stand for, in all */
    uint64_t missing;             /* the first promised one that was not met */
    char *complaint;
};

static int complain(char *complaint, const char *what, uint64_t a, uint64_t b)
{
    (void)snprintf(complaint, COMPLAINT_SIZE, "%s (%llu, %llu)", what,
                   (unsigned long long)a, (unsigned long long)b);
    return -1;
}

/* Walks what the image holds beside what was promised. */
static int found_one(void *context, uint64_t seq, const wardgate_Record *record,
                     const uint8_t *digest)
{
    struct found *found = context;
    const struct promise *promise = found->promise;

    if (seq <= found->last)
        return complain(found->complaint, "a seq twice or out of order", seq,
                        found->last);
    found->last = seq;
    if (record->kind == wardgate_Record_Kind_GAP && record->gap.from_seq != 0) {
        if (found->gap_first == 0 || record->gap.from_seq < found->gap_first)
            found->gap_first = record->gap.from_seq;
        if (record->gap.to_seq > found->gap_last)
            found->gap_last = record->gap.to_seq;
    }
    while (found->at < promise->count && promise->items[found->at].seq < seq) {
        if (promise->items[found->at].seq > promise->receipting && found->missing == 0)
            found->missing = promise->items[found->at].seq;
        if (promise->items[found->at].seq > promise->receipting)
            found->missing = promise->items[found->at].seq > found->missing
                                 ? promise->items[found->at].seq
                                 : found->missing;
        found->at++;
    }
    if (found->at < promise->count && promise->items[found->at].seq == seq) {
        if (memcmp(promise->items[found->at].digest, digest, DIGEST_SIZE) != 0)
            return complain(found->complaint, "a seq came back with other content", seq,
                            0);
        found->at++;
    } else if (seq < promise->next && seq > promise->receipted) {
        return complain(found->complaint, "a seq that was gone came back", seq,
                        promise->next);
    }
    return 0;
}

static int whole(struct store *store, const struct promise *promise, char *complaint)
{
    struct found found = {.promise = promise, .complaint = complaint};
    struct store_status status;
    int result;

    store_status(store, &status);
    if (status.next < promise->next)
        return complain(complaint, "the head went back: seqs would be given again",
                        status.next, promise->next);
    if (promise->next > 1 && !epoch_equal(&status.epoch, &promise->epoch))
        return complain(complaint, "another epoch", 0, 0);
    if (status.damaged != 0)
        return complain(complaint, "records do not open", status.damaged, 0);
    if ((result = read_all(store, true, found_one, &found)) != 0)
        return complaint[0] != '\0' ? result
                                    : complain(complaint, "it can't be read", 0, 0);
    for (; found.at < promise->count; found.at++)
        if (promise->items[found.at].seq > promise->receipting)
            found.missing = promise->items[found.at].seq;
    /* A commit that was cut may have put a gap in the place of the oldest. */
    if (found.missing != 0 && found.missing > found.gap_last)
        return complain(complaint, "a committed record is gone, seq", found.missing,
                        found.gap_last);
    if (store_oldest_unreceipted(store) - 1 > promise->receipting &&
        store_oldest_unreceipted(store) - 1 > found.gap_last)
        return complain(complaint, "receipts that nobody gave",
                        store_oldest_unreceipted(store), promise->receipting);
    return 0;
}

static int go_on(struct store *store, const char *folder, char *complaint)
{
    static uint8_t now[300][SEAL_SESSION_SIZE];
    struct store_status before, after;
    wardgate_Record record;
    int n = sessions_read(folder, now, 300);

    for (int i = 0; i < session_count; i++)
        if (n > 0 && memcmp(sessions[i], now[n - 1], SEAL_SESSION_SIZE) == 0)
            return complain(complaint, "a seal session came back", (uint64_t)i,
                            (uint64_t)n);
    store_status(store, &before);
    for (int k = 0; k < PER_BATCH; k++) {
        reading(before.next + (uint64_t)k, &record);
        if (store_add(store, &record) != STORE_OK)
            return complain(complaint, "nothing can be added", before.next, 0);
        if (record.seq != before.next + (uint64_t)k)
            return complain(complaint, "the next seq is not the next", record.seq,
                            before.next);
    }
    if (store_commit(store, 0) != STORE_OK)
        return complain(complaint, "nothing can be committed", before.next, 0);
    store_status(store, &after);
    if (after.next < before.next + PER_BATCH)
        return complain(complaint, "the commit is not there", after.next, before.next);
    return 0;
}

static int check(const char *folder, uint64_t acked, char complaint[COMPLAINT_SIZE])
{
    char error[STORE_ERROR_SIZE] = "";
    struct store *store = store_or_salvage(folder, &promises[acked], error);
    int result;

    if (store == NULL) {
        (void)snprintf(complaint, COMPLAINT_SIZE, "it does not open: %.200s", error);
        return -1;
    }
    if ((result = whole(store, &promises[acked], complaint)) == 0)
        result = go_on(store, folder, complaint);
    store_close(store);
    return result;
}

const struct subject subject = {"store", begin, baseline, work, check};
