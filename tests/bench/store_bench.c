/* SPDX-License-Identifier: Apache-2.0
 *
 * The store against a bare LMDB loop that appends the same bytes in the same batches to
 * one database, synced the same: what sequence numbers, encoding, seals, receipts and
 * last readings cost on top. Rounds of the two alternate, so that the disk's moods meet
 * both; the ratio is of the medians. store_bench [batch] [commits a round] [rounds]
 * Prints one JSON object a line.
 */
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bedside/store_internal.h"

#define ROUNDS_MAX 50
#define MAP_BYTES  (UINT64_C(1) << 30)

enum way { BARE, ENCODED, WHOLE, WAYS };

static const char *const way_names[] = {"bare lmdb", "store, pre-encoded records",
                                        "store, encode and seal"};
static unsigned long batch = 100, commits = 50, rounds = 15;
static uint8_t ready[STORE_SEALED_MAX]; /* a reading, encoded and sealed once */
static size_t ready_size;

static void __attribute__((noreturn)) stop(const char *what)
{
    fprintf(stderr, "store_bench: %s\n", what);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void make_reading(wardgate_Record *record, uint64_t i)
{
    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_READING;
    record->has_device = true;
    (void)snprintf(record->device.id, sizeof(record->device.id), "monitor-%02" PRIu64,
                   i % 10);
    (void)snprintf(record->device.profile, sizeof(record->device.profile),
                   "wardgate-monitor");
    (void)snprintf(record->device.line, sizeof(record->device.line), "bus-a");
    (void)snprintf(record->place, sizeof(record->place), "bay-1-bed-3");
    record->has_time = true;
    record->time.boot = UINT64_C(0x0123456789abcdef);
    record->time.monotonic_us = i * 1000;
    record->time.utc_us = INT64_C(1784729109250000) + (int64_t)i * 1000;
    record->time.sync = wardgate_TimeBlock_Sync_SYNCED;
    record->time.uncertainty_ms = 12;
    record->observations_count = 8;
    for (uint32_t k = 0; k < 8; k++) {
        record->observations[k].code = 150456 + 16 * k;
        record->observations[k].unit = 262688;
        record->observations[k].which_value = wardgate_Observation_mantissa_tag;
        record->observations[k].value.mantissa = (int64_t)(i % 1000 + k);
        record->observations[k].exponent = -1;
    }
    record->has_sample = true;
    record->sample = i;
}

/* --- the two sides --- */

struct bare {
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t next;
};

static void bare_open(struct bare *bare, const char *folder)
{
    MDB_txn *txn;

    if (mdb_env_create(&bare->env) != 0 ||
        mdb_env_set_mapsize(bare->env, MAP_BYTES) != 0 ||
        mdb_env_set_maxdbs(bare->env, 1) != 0 ||
        mdb_env_open(bare->env, folder, 0, 0600) != 0 ||
        mdb_txn_begin(bare->env, NULL, 0, &txn) != 0 ||
        mdb_dbi_open(txn, "records", MDB_CREATE, &bare->dbi) != 0 ||
        mdb_txn_commit(txn) != 0)
        stop("bare lmdb can't be opened");
    bare->next = 1;
}

static void bare_commit(struct bare *bare)
{
    MDB_txn *txn;
    uint8_t seq[8];
    MDB_val key = {8, seq}, value = {ready_size, ready};

    if (mdb_txn_begin(bare->env, NULL, 0, &txn) != 0)
        stop("bare begin");
    for (unsigned long i = 0; i < batch; i++) {
        store_put64(seq, bare->next++);
        if (mdb_put(txn, bare->dbi, &key, &value, MDB_APPEND) != 0)
            stop("bare put");
    }
    if (mdb_txn_commit(txn) != 0)
        stop("bare commit");
}

static struct store *store_begin(const char *folder)
{
    struct store_config config = {.folder = folder,
                                  .map_bytes = MAP_BYTES,
                                  .no_preallocate = true,
                                  .pending_max = 8 << 20};
    char error[STORE_ERROR_SIZE];
    struct store *store;

    memset(config.key.bytes, 7, sizeof(config.key.bytes));
    if (store_open(&config, &store, error) != STORE_OK)
        stop(error);
    return store;
}

static void store_round(struct store *store, enum way way)
{
    static wardgate_Record record;

    for (unsigned long i = 0; i < batch; i++) {
        if (way == ENCODED) {
            if (store_batch_put(store, store->assigned, ready, ready_size) != STORE_OK)
                stop("store put");
            continue;
        }
        make_reading(&record, store->assigned);
        if (store_add(store, &record) != STORE_OK)
            stop("store add");
    }
    if (store_commit(store, 0) != STORE_OK)
        stop("store commit");
}

/* --- the race --- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, unsigned long n)
{
    qsort(values, n, sizeof(*values), compare);
    return values[n / 2];
}

static void race(const char *folder)
{
    static double rate[WAYS][ROUNDS_MAX], cpu[WAYS][ROUNDS_MAX];
    char path[WAYS][300];
    struct bare bare;
    struct store *stores[WAYS] = {NULL};
    double mid[WAYS];

    for (int w = 0; w < WAYS; w++) {
        (void)snprintf(path[w], sizeof(path[w]), "%s/%d", folder, w);
        if (mkdir(path[w], 0700) != 0)
            stop(path[w]);
    }
    bare_open(&bare, path[BARE]);
    stores[ENCODED] = store_begin(path[ENCODED]);
    stores[WHOLE] = store_begin(path[WHOLE]);
    for (unsigned long r = 0; r < rounds; r++) {
        for (int k = 0; k < WAYS; k++) {
            enum way w = (enum way)((k + (int)r) % WAYS);
            double wall = seconds(CLOCK_MONOTONIC),
                   used = seconds(CLOCK_PROCESS_CPUTIME_ID);
            for (unsigned long c = 0; c < commits; c++) {
                if (w == BARE)
                    bare_commit(&bare);
                else
                    store_round(stores[w], w);
            }
            rate[w][r] = (double)(batch * commits) / (seconds(CLOCK_MONOTONIC) - wall);
            cpu[w][r] = (seconds(CLOCK_PROCESS_CPUTIME_ID) - used) * 1e6 /
                        (double)(batch * commits);
        }
    }
    for (int w = 0; w < WAYS; w++) {
        mid[w] = median(rate[w], rounds);
        printf("{\"name\": \"%s\", \"batch\": %lu, \"bytes\": %zu, \"records_per_s\": "
               "%.0f, \"cpu_us\": %.2f, "
               "\"ratio\": %.3f, \"goal\": %.1f}\n",
               way_names[w], batch, ready_size, mid[w], median(cpu[w], rounds),
               mid[w] / mid[BARE],
               w == BARE      ? 1.0
               : w == ENCODED ? 0.8
                              : 0.5);
    }
    mdb_env_close(bare.env);
    store_close(stores[ENCODED]);
    store_close(stores[WHOLE]);
}

static void clean(const char *folder)
{
    static const char *const names[] = {"data.mdb", "lock.mdb", "owner",
                                        "epochs",   "sessions", ""};
    char path[400];

    for (int w = 0; w < WAYS; w++)
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            (void)snprintf(path, sizeof(path), "%s/%d/%s", folder, w, names[i]);
            (void)remove(path);
        }
    (void)rmdir(folder);
}

int main(int argc, char **argv)
{
    static wardgate_Record record;
    uint8_t plain[RECORD_SIZE_MAX], item[STORE_ITEM_MAX];
    const char *root = getenv("TMPDIR");
    struct key key = {{7}};
    struct epoch epoch = {{1}};
    struct seal *seal;
    char folder[256];
    int n;

    if (argc > 1)
        batch = strtoul(argv[1], NULL, 10);
    if (argc > 2)
        commits = strtoul(argv[2], NULL, 10);
    if (argc > 3)
        rounds = strtoul(argv[3], NULL, 10);
    if (batch < 1 || commits < 1 || rounds < 1 || rounds > ROUNDS_MAX)
        stop("usage: store_bench [batch] [commits] [rounds up to 50]");
    make_reading(&record, 1000000);
    record.seq = 1000000;
    if ((n = record_encode(&record, plain, sizeof(plain))) < 0 ||
        (n = envelope_item(plain, (size_t)n, item, sizeof(item))) < 0 ||
        seal_new(&key, &epoch, &seal) != CRYPTO_OK ||
        seal_close(seal, 1000000, item, (size_t)n, ready) != CRYPTO_OK)
        stop("a reading can't be made");
    ready_size = (size_t)n + SEAL_OVERHEAD;
    seal_free(seal);
    (void)snprintf(folder, sizeof(folder), "%.200s/store-bench-XXXXXX",
                   root != NULL ? root : "/tmp");
    if (mkdtemp(folder) == NULL)
        stop(folder);
    race(folder);
    clean(folder);
    return 0;
}
