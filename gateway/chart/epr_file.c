/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/epr_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "chart/deliver.h"

#define BATCH_SIZE                                                                       \
    ((size_t)2 << 20) /* CHART_WINDOW_MAX messages of DELIVER_SIZE_MAX fit */
#define MARK           "{\"control\":\"" /* how deliver_json begins every line */
#define CONTROL_LENGTH (DELIVER_CONTROL_SIZE - 1)

struct remembered {
    char control[DELIVER_CONTROL_SIZE];
    uint32_t next; /* in its bucket; index + 1, 0 ends */
};

/* Invariants:
 * 1. bytes 0..size of the file are whole lines and synced; whatever is behind them does
 * not count.
 * 2. every remembered id is in the file before size, or in the batch.
 * 3. ids are forgotten in the order in which they came: `ring` is a circle, `count`
 * counts for ever. */
struct epr_file {
    int fd;
    off_t size;
    bool torn; /* bytes behind size could not be cut off yet */
    char *batch;
    size_t batch_size;
    uint64_t batch_first; /* count when the batch began */
    struct remembered *ring;
    uint32_t *buckets;
    uint64_t count;
};

static uint32_t bucket_of(const char *control)
{
    uint32_t hash = 2166136261u; /* FNV-1a: the ids are random already */
    for (size_t i = 0; i < CONTROL_LENGTH && control[i]; i++)
        hash = (hash ^ (uint8_t)control[i]) * 16777619u;
    return hash & (EPR_FILE_REMEMBERED - 1);
}

static bool remembers(const struct epr_file *file, const char *control)
{
    for (uint32_t i = file->buckets[bucket_of(control)]; i; i = file->ring[i - 1].next)
        if (strncmp(file->ring[i - 1].control, control, CONTROL_LENGTH) == 0)
            return true;
    return false;
}

static void forget(struct epr_file *file, uint32_t slot)
{
    uint32_t *link = &file->buckets[bucket_of(file->ring[slot].control)];
    while (*link && *link != slot + 1)
        link = &file->ring[*link - 1].next;
    if (*link)
        *link = file->ring[slot].next;
    file->ring[slot].control[0] = '\0';
}

static void remember(struct epr_file *file, const char *control)
{
    uint32_t slot = (uint32_t)(file->count++ & (EPR_FILE_REMEMBERED - 1));
    if (file->ring[slot].control[0])
        forget(file, slot);
    memcpy(file->ring[slot].control, control, CONTROL_LENGTH);
    uint32_t *head = &file->buckets[bucket_of(control)];
    file->ring[slot].next = *head;
    *head = slot + 1;
}

/* Reads from..size of the file: notes the ids of whole lines, returns where the last
 * whole line ends. */
static off_t read_tail(struct epr_file *file, off_t from, off_t size)
{
    size_t n = (size_t)(size - from), have = 0;
    char *tail = malloc(n + 1);
    off_t end = -ENOMEM;
    if (!tail)
        goto err0;
    while (have < n) {
        ssize_t got = pread(file->fd, tail + have, n - have, from + (off_t)have);
        if (got <= 0) {
            end = got < 0 ? -errno : -EIO;
            goto err1;
        }
        have += (size_t)got;
    }

    end = from;
    const char *line = tail, *newline;
    while ((newline = memchr(line, '\n', (size_t)(tail + n - line)))) {
        if ((size_t)(newline - line) > sizeof MARK + CONTROL_LENGTH &&
            memcmp(line, MARK, sizeof MARK - 1) == 0)
            remember(file, line + sizeof MARK - 1);
        line = newline + 1;
        end = from + (line - tail);
    }

err1:
    free(tail);
err0:
    return end;
}

/* The lock keeps a second service from writing between our lines. */
static int prepare(struct epr_file *file)
{
    struct stat status;
    if (flock(file->fd, LOCK_EX | LOCK_NB) < 0 || fstat(file->fd, &status) < 0)
        return -errno;
    off_t from = status.st_size > EPR_FILE_TAIL ? status.st_size - EPR_FILE_TAIL : 0;
    off_t end = read_tail(file, from, status.st_size);
    if (end < 0)
        return (int)end;
    if (end != status.st_size && ftruncate(file->fd, end) < 0)
        return -errno;
    file->size = end;
    /* What was read may never have been synced by the process that wrote it; it is about
     * to be relied on. */
    return fsync(file->fd) < 0 ? -errno : 0;
}

int epr_file_open(const char *path, struct epr_file **out)
{
    int error = -ENOMEM;
    struct epr_file *file = calloc(1, sizeof *file);
    if (!file)
        goto err0;
    file->ring = calloc(EPR_FILE_REMEMBERED, sizeof *file->ring);
    file->buckets = calloc(EPR_FILE_REMEMBERED, sizeof *file->buckets);
    file->batch = malloc(BATCH_SIZE);
    if (!file->ring || !file->buckets || !file->batch)
        goto err1;
    file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0) {
        error = -errno;
        goto err1;
    }
    if ((error = prepare(file)) < 0 || (error = file_sync_folder(path)) < 0)
        goto err2;
    *out = file;
    return 0;

err2:
    close(file->fd);
err1:
    free(file->batch);
    free(file->buckets);
    free(file->ring);
    free(file);
err0:
    return error;
}

void epr_file_close(struct epr_file *file)
{
    if (!file)
        return;
    close(file->fd);
    free(file->batch);
    free(file->buckets);
    free(file->ring);
    free(file);
}

/* A line that another reader would take for two, or for none, is refused. */
int epr_file_append(struct epr_file *file, const char *control, const char *line,
                    size_t n)
{
    if (n == 0 || line[n - 1] != '\n' || memchr(line, '\n', n - 1) ||
        strlen(control) != CONTROL_LENGTH)
        return -EINVAL;
    if (remembers(file, control))
        return 0;
    if (n > BATCH_SIZE - file->batch_size)
        return -EAGAIN;
    if (file->batch_size == 0)
        file->batch_first = file->count;
    memcpy(file->batch + file->batch_size, line, n);
    file->batch_size += n;
    remember(file, control);
    return 1;
}

/* Nothing of the batch is in the file now, so none of its ids may be taken for written.
 */
static void drop_batch(struct epr_file *file)
{
    while (file->count > file->batch_first)
        forget(file, (uint32_t)(--file->count & (EPR_FILE_REMEMBERED - 1)));
    file->batch_size = 0;
}

/* If even that fails, the next batch tries again before it writes: lines that do not
 * count must not be followed by ones that do. */
static int cut_back(struct epr_file *file)
{
    file->torn = ftruncate(file->fd, file->size) < 0;
    return file->torn ? -errno : 0;
}

/* At the position that is known, not at the end: what lies behind it was never promised.
 */
static int write_batch(struct epr_file *file)
{
    size_t written = 0;
    while (written < file->batch_size) {
        ssize_t n = pwrite(file->fd, file->batch + written, file->batch_size - written,
                           file->size + (off_t)written);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0)
            written += (size_t)n;
    }
    return fdatasync(file->fd) < 0 ? -errno : 0;
}

int epr_file_sync(struct epr_file *file)
{
    if (file->batch_size == 0)
        return 0;
    int error = file->torn ? cut_back(file) : 0;
    if (error == 0)
        error = write_batch(file);
    if (error) {
        drop_batch(file);
        cut_back(file);
        return error;
    }
    file->size += (off_t)file->batch_size;
    file->batch_size = 0;
    return 0;
}
