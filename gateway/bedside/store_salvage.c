/* SPDX-License-Identifier: Apache-2.0
 *
 * Records out of a file that LMDB can't read. No tree is followed and no page is
 * believed: every place of the file where one of LMDB's nodes could stand is tried, and
 * the seal says what was a record. What is found may be old copies (LMDB never overwrites
 * a page in use): they are the same bytes under the same seq, or, if a seq was given
 * again after a cut, the one of the later session holds, which is what the file
 * `sessions` is for.
 *
 * A record that the chart had receipted may come back. It has the epoch and seq it always
 * had, so it is known there.
 *
 * The new file is built in a folder of its own and put in place by renaming; a cut in
 * between is finished at the next try.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "bedside/store_internal.h"

/* LMDB 0.9. A page: number 8, unused 2, flags 2, lower 2, upper 2. A node: data size 2 +
 * 2, flags 2, key size 2. A node with the flag BIG holds the number of the page that its
 * data begins on. */
#define PAGE_HEADER   16
#define NODE_HEADER   8
#define NODE_BIG      1
#define BUILD         "salvage" /* folder of the new file, below the store's */
#define READY         "salvage.done"
#define WINDOW_PAGES  256
#define PROBE_RECORDS 1000 /* oldest records that a quick look reads */

struct session_place { /* of the file `sessions`, sorted by id */
    uint8_t id[SEAL_SESSION_SIZE];
    long order;
};

struct salvage {
    struct store *store; /* the new one */
    int fd;              /* the old file */
    uint64_t size;
    size_t page_size;
    struct store_epoch epochs[STORE_EPOCHS_MAX];
    size_t epoch_count;
    struct session_place *sessions;
    size_t session_count;
    struct store_salvage *report;
    struct store *state; /* scratch that states are decoded into */
    struct ranges done;  /* by the newest state found */
    uint64_t next;       /* its head; 0: none found */
    uint8_t plain[STORE_SEALED_MAX], other[STORE_SEALED_MAX], big[STORE_SEALED_MAX];
};

static int compare_sessions(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_SESSION_SIZE);
}

/* Where a session stands in time; -1: not one of ours. */
static long session_order(const struct salvage *s, const uint8_t *id)
{
    const struct session_place *place =
        bsearch(id, s->sessions, s->session_count, sizeof(*place), compare_sessions);

    if (s->session_count == 0)
        return 0; /* the file is lost: only the seals can tell */
    return place != NULL ? place->order : -1;
}

static int load_sessions(struct salvage *s, const char *folder)
{
    uint8_t *ids;
    long count = store_sessions_read(folder, &ids);

    if (count < 0)
        return (int)count;
    s->sessions = calloc((size_t)count + 1, sizeof(*s->sessions));
    if (s->sessions == NULL) {
        free(ids);
        return -ENOMEM;
    }
    for (long i = 0; i < count; i++) {
        memcpy(s->sessions[i].id, ids + i * SEAL_SESSION_SIZE, SEAL_SESSION_SIZE);
        s->sessions[i].order = i;
    }
    s->session_count = (size_t)count;
    qsort(s->sessions, s->session_count, sizeof(*s->sessions), compare_sessions);
    free(ids);
    return 0;
}

/* Takes a record over if its seal holds. */
static int try_record(struct salvage *s, uint64_t seq, const uint8_t *sealed, size_t size)
{
    size_t n, other;
    long order = session_order(s, sealed);

    if (seq == 0 || order < 0 || seq == UINT64_MAX)
        return STORE_OK;
    if (store_unseal(s->store, seq, sealed, size, s->plain, &n) != CRYPTO_OK)
        return STORE_OK;
    if (store_import_get(s->store, seq, s->other, sizeof(s->other), &other)) {
        if (session_order(s, s->other) >= order)
            return STORE_OK;
    } else {
        s->report->records++;
    }
    if (s->report->first == 0 || seq < s->report->first)
        s->report->first = seq;
    if (seq > s->report->last)
        s->report->last = seq;
    return store_import(s->store, seq, sealed, size, true);
}

/* Remembers a device's last reading if it is the newest found. */
static void try_last(struct salvage *s, const uint8_t *sealed, size_t size)
{
    struct store_device found, *known;

    if (session_order(s, sealed) < 0 ||
        store_last_decode(s->store, sealed, size, &found) != STORE_OK)
        return;
    if ((known = store_device(s->store, found.id, true)) == NULL ||
        known->seq > found.seq)
        return;
    *known = found;
    known->dirty = true;
}

/* What the newest state says is done with need not be offered again. The chart would know
 * it; this spares the sending. */
static void try_state(struct salvage *s, const uint8_t *sealed, size_t size)
{
    struct store *state = s->state;

    ranges_free(&state->done);
    ranges_free(&state->absent);
    memcpy(state->epochs, s->store->epochs, sizeof(state->epochs));
    state->epoch_count = s->store->epoch_count;
    if (session_order(s, sealed) < 0 ||
        store_state_decode(state, sealed, size) != STORE_OK || state->next < s->next ||
        (state->next == s->next && ranges_total(&state->done) < ranges_total(&s->done)))
        return;
    ranges_free(&s->done);
    s->done = state->done;
    s->next = state->next;
    state->done = (struct ranges){0};
}

/* Data that stands on pages of its own, after one page header. */
static int try_big(struct salvage *s, uint64_t seq, uint64_t page, size_t size)
{
    uint64_t at = page * s->page_size + PAGE_HEADER;

    if (page > s->size / s->page_size || at + size > s->size ||
        pread(s->fd, s->big, size, (off_t)at) != (ssize_t)size)
        return STORE_OK;
    return try_record(s, seq, s->big, size);
}

static unsigned get16(const uint8_t *bytes) /* LMDB writes the board's own byte order */
{
    uint16_t value;

    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* Looks at every place where a node can start: they are even. */
static int try_page(struct salvage *s, const uint8_t *page)
{
    int error = STORE_OK;

    for (size_t at = PAGE_HEADER; at + NODE_HEADER < s->page_size && error == STORE_OK;
         at += 2) {
        const uint8_t *node = page + at;
        size_t size = get16(node) | (size_t)get16(node + 2) << 16, key = get16(node + 6);
        unsigned flags = get16(node + 4);
        const uint8_t *data = node + NODE_HEADER + key;
        uint64_t number;
        if (key == 0 || key > 65 || flags > NODE_BIG || size <= SEAL_OVERHEAD ||
            size > STORE_SEALED_MAX)
            continue;
        if (flags == NODE_BIG) {
            if (key != STORE_KEY_SIZE ||
                at + NODE_HEADER + key + sizeof(number) > s->page_size)
                continue;
            memcpy(&number, data, sizeof(number));
            error = try_big(s, store_get64(node + NODE_HEADER), number, size);
        } else if (at + NODE_HEADER + key + size > s->page_size) {
            continue;
        } else if (key == STORE_KEY_SIZE) {
            error = try_record(s, store_get64(node + NODE_HEADER), data, size);
        }
        if (flags == 0 && node[NODE_HEADER] == STORE_KEY_LAST)
            try_last(s, data, size);
        else if (flags == 0 && key == sizeof(STORE_KEY_STATE) - 1 &&
                 memcmp(node + NODE_HEADER, STORE_KEY_STATE, key) == 0)
            try_state(s, data, size);
    }
    return error;
}

static int try_file(struct salvage *s)
{
    size_t window = WINDOW_PAGES * s->page_size;
    uint8_t *pages = malloc(window);
    int error = STORE_OK;

    if (pages == NULL)
        return STORE_SYSTEM;
    for (uint64_t at = 0; at < s->size && error == STORE_OK; at += window) {
        ssize_t n = pread(s->fd, pages, window, (off_t)at);
        /* A place that the disk can't read is stepped over page by page. */
        for (size_t i = 0; i < WINDOW_PAGES && error == STORE_OK; i++) {
            uint8_t *page = pages + i * s->page_size;
            if (n < (ssize_t)((i + 1) * s->page_size) &&
                pread(s->fd, page, s->page_size, (off_t)(at + i * s->page_size)) <
                    (ssize_t)s->page_size)
                continue;
            error = try_page(s, page);
        }
    }
    free(pages);
    return error;
}

/* --- the new store --- */

struct holes {
    struct store *store;
    uint64_t expected;
    bool failed;
};

static enum store_visit hole_visit(void *context, uint64_t seq, const uint8_t *sealed,
                                   size_t size, uint64_t *skip_to)
{
    struct holes *holes = context;

    (void)sealed;
    (void)skip_to;
    if (seq > holes->expected) {
        /* However many: a hole that is not known as one would look like damage. */
        if (ranges_add(&holes->store->done, holes->expected, seq - 1) != 0 ||
            ranges_add(&holes->store->absent, holes->expected, seq - 1) != 0)
            holes->failed = true;
    }
    holes->store->unreceipted_bytes += size - SEAL_OVERHEAD;
    holes->expected = seq + 1;
    return STORE_GO_ON;
}

/* What was not found is one gap: how many of it the chart has, or were readings, nobody
 * knows. */
static int add_gap(struct salvage *s)
{
    wardgate_Record record;

    memset(&record, 0, sizeof(record));
    record.kind = wardgate_Record_Kind_GAP;
    record.has_gap = true;
    record.gap.reason = wardgate_Gap_Reason_RECORD_DAMAGED;
    record.gap.count_unknown = true;
    if (s->report->last > 0) {
        record.gap.from_seq = s->report->first;
        record.gap.to_seq = s->report->last;
    }
    return store_batch_add(s->store, &record, NULL, true);
}

/* After the import: states what is there, begins the new epoch, commits. */
static int finish(struct salvage *s)
{
    struct store *store = s->store;
    struct holes holes = {.store = store, .expected = 1};
    int error = store_import_end(store);

    if (error != STORE_OK)
        return error;
    if ((error = store_walk(store, 1, UINT64_MAX - 1, hole_visit, &holes)) != STORE_OK)
        return error;
    s->report->missing = s->report->last > 0
                             ? s->report->last - s->report->first + 1 - s->report->records
                             : 0;
    /* Records that were lost had seqs too: the new epoch makes it harmless to give them
     * again. */
    store->next = store->assigned = store->disk_next = holes.expected;
    for (size_t i = 0; i < s->done.count && !holes.failed; i++)
        if (s->done.items[i].first < store->next &&
            ranges_add(&store->done, s->done.items[i].first,
                       s->done.items[i].last < store->next ? s->done.items[i].last
                                                           : store->next - 1) != 0)
            holes.failed = true;
    if (holes.failed || store_new_epoch(store) != STORE_OK || add_gap(s) != STORE_OK)
        return STORE_SYSTEM;
    store->changed = true;
    if ((error = store_commit(store, 0)) != STORE_OK)
        return error;
    return store_epochs_repeat(store);
}

/* Makes the empty store that the records go into. It knows the old epochs only to open
 * and keep their records. */
static int build(struct salvage *s, const struct store_config *config, const char *folder,
                 char *error)
{
    struct store_config fresh = *config;
    struct store *store = calloc(1, sizeof(*store));
    int result;

    if (store == NULL)
        return STORE_SYSTEM;
    s->store = store;
    fresh.folder = folder;
    fresh.no_preallocate = true; /* old and new file lie on the disk together */
    fresh.home = NULL;
    store->lock = -1;
    store->key = config->key;
    if ((result = store_set_config(store, &fresh)) != STORE_OK ||
        (result = store_db_open(store)) != STORE_OK)
        goto out;
    for (size_t i = 0; i < s->epoch_count; i++) {
        store->epochs[i] = s->epochs[i];
        if (seal_new(&store->key, &store->epochs[i].id, &store->epochs[i].seal) !=
            CRYPTO_OK) {
            result = STORE_SYSTEM;
            goto out;
        }
        store->epoch_count++;
    }
    if (s->epoch_count > 0 && (result = try_file(s)) != STORE_OK)
        goto out;
    result = finish(s);
out:
    if (result != STORE_OK)
        snprintf(error, STORE_ERROR_SIZE, "%s",
                 store->error_text[0] != '\0' ? store->error_text
                                              : "salvage: out of memory");
    return result;
}

/* Removes what an earlier try left. */
static void clear(const char *folder)
{
    static const char *const names[] = {STORE_DATA, "lock.mdb", "owner", STORE_EPOCHS,
                                        STORE_SESSIONS};
    char path[STORE_PATH_MAX];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (store_path(folder, names[i], path) == 0)
            unlink(path);
    rmdir(folder);
}

/* Renames one file of the new folder into the store's. A file that is not there was moved
 * before the cut. */
static int move(const char *ready, const char *folder, const char *name)
{
    char from[STORE_PATH_MAX], to[STORE_PATH_MAX];

    if (store_path(ready, name, from) != 0 || store_path(folder, name, to) != 0)
        return -ENAMETOOLONG;
    return rename(from, to) == 0 || errno == ENOENT ? 0 : -errno;
}

/* Puts a finished new store in place: all of this may be done again after a cut. */
static int put_in_place(const char *folder, int64_t utc_us, struct store_salvage *report)
{
    char ready[STORE_PATH_MAX], fresh[STORE_PATH_MAX], old[STORE_PATH_MAX],
        lock[STORE_PATH_MAX];
    int error;

    if (store_path(folder, READY, ready) != 0 ||
        store_path(ready, STORE_DATA, fresh) != 0 ||
        store_path(folder, STORE_DATA, old) != 0 ||
        store_path(folder, "lock.mdb", lock) != 0)
        return -ENAMETOOLONG;
    if (access(fresh, F_OK) == 0) {
        snprintf(report->kept_as, sizeof(report->kept_as),
                 "%.200s/" STORE_DATA ".damaged-%lld", folder,
                 (long long)(utc_us / 1000000));
        if (rename(old, report->kept_as) != 0 && errno != ENOENT)
            return -errno;
    }
    unlink(lock);
    /* data.mdb last: until it is there, the folder is still in the middle of this. */
    if ((error = move(ready, folder, STORE_SESSIONS)) != 0 ||
        (error = move(ready, folder, STORE_EPOCHS)) != 0 ||
        (error = move(ready, folder, STORE_DATA)) != 0)
        return error;
    clear(ready);
    return file_sync_folder(old);
}

/* The new store's sessions are the old ones and its own: old records are opened and
 * ordered by them. */
static int carry_sessions(const struct store_config *config, const char *building)
{
    char to[STORE_PATH_MAX];
    uint8_t *ids;
    long n = store_sessions_read(config->folder, &ids);
    int error = 0;

    if (n > 0 && (error = store_path(building, STORE_SESSIONS, to)) == 0)
        error = file_replace(to, ids, (size_t)n * SEAL_SESSION_SIZE, 0600);
    free(ids);
    return n < 0 ? (int)n : error;
}

static int open_old(struct salvage *s, const char *folder)
{
    char path[STORE_PATH_MAX];
    struct stat st;
    int n;

    if (store_path(folder, STORE_DATA, path) != 0)
        return -ENAMETOOLONG;
    if ((s->fd = open(path, O_RDONLY | O_CLOEXEC)) < 0 || fstat(s->fd, &st) != 0)
        return -errno;
    s->size = (uint64_t)st.st_size;
    s->page_size = (size_t)sysconf(_SC_PAGESIZE);
    if ((n = store_epochs_read(folder, s->epochs)) < 0)
        return n;
    s->epoch_count = (size_t)n;
    return load_sessions(s, folder);
}

int store_salvage(const struct store_config *config, int64_t utc_us,
                  struct store_salvage *report, char *error)
{
    struct salvage *s = calloc(1, sizeof(*s));
    char building[STORE_PATH_MAX], ready[STORE_PATH_MAX];
    int result = STORE_SYSTEM, rc = 0, lock = store_lock(config->folder);

    memset(report, 0, sizeof(*report));
    error[0] = '\0';
    if (s != NULL)
        s->fd = -1;
    if (s == NULL || lock < 0)
        goto err1;
    if ((s->state = calloc(1, sizeof(*s->state))) == NULL)
        goto err1;
    s->report = report;
    if ((rc = store_path(config->folder, BUILD, building)) != 0 ||
        (rc = store_path(config->folder, READY, ready)) != 0)
        goto err1;
    if (store_salvage_unfinished(
            config->folder)) { /* a cut came between building and moving */
        rc = put_in_place(config->folder, utc_us, report);
        result = rc == 0 ? STORE_OK : STORE_IO;
        goto err1;
    }
    clear(building);
    if ((rc = open_old(s, config->folder)) != 0)
        goto err1;
    result = STORE_IO;
    if (mkdir(building, 0700) != 0) {
        rc = -errno;
        goto err1;
    }
    if ((rc = carry_sessions(config, building)) != 0)
        goto err1;
    result = build(s, config, building, error);
    store_close(s->store);
    if (result == STORE_OK &&
        (rename(building, ready) != 0 || file_sync_folder(ready) != 0)) {
        rc = -errno;
        result = STORE_IO;
    }
    if (result == STORE_OK && (rc = put_in_place(config->folder, utc_us, report)) != 0)
        result = STORE_IO;
err1:
    if (result != STORE_OK && error[0] == '\0')
        snprintf(error, STORE_ERROR_SIZE, "%.100s: salvage: %s", config->folder,
                 strerror(lock < 0  ? -lock
                          : rc != 0 ? -rc
                                    : ENOMEM));
    if (s != NULL) {
        if (s->fd >= 0)
            close(s->fd);
        if (s->state != NULL) {
            ranges_free(&s->state->done);
            ranges_free(&s->state->absent);
        }
        ranges_free(&s->done);
        free(s->state);
        free(s->sessions);
        free(s);
    }
    if (lock >= 0)
        close(lock);
    return result;
}

bool store_salvage_unfinished(const char *folder)
{
    char ready[STORE_PATH_MAX];

    return store_path(folder, READY, ready) == 0 && access(ready, F_OK) == 0;
}

struct probe {
    const struct store *store;
    uint64_t left, expected;
    unsigned sum;
    bool hole;
};

static enum store_visit probe_visit(void *context, uint64_t seq, const uint8_t *sealed,
                                    size_t size, uint64_t *skip_to)
{
    struct probe *probe = context;

    (void)skip_to;
    for (size_t i = 0; i < size; i++) /* every byte's page must be there */
        probe->sum += sealed[i];
    if (seq < probe->expected ||
        store_hole(&probe->store->absent, probe->expected, seq)) {
        probe->hole = true;
        return STORE_STOP;
    }
    probe->expected = seq + 1;
    return --probe->left > 0 ? STORE_GO_ON : STORE_STOP;
}

bool store_probe(const struct store_config *config, bool all)
{
    struct probe probe = {.left = all ? UINT64_MAX : PROBE_RECORDS, .expected = 1};
    struct store *store;
    char error[STORE_ERROR_SIZE];
    bool good = store_open(config, &store, error) != STORE_BROKEN;

    if (good && store != NULL) {
        probe.store = store;
        good = store_walk(store, 1, UINT64_MAX - 1, probe_visit, &probe) == STORE_OK &&
               !probe.hole;
        if (all && store_hole(&store->absent, probe.expected, store->next))
            good = false;
    }
    store_close(store);
    return good;
}
