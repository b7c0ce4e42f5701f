/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's folder, its lock, and two small files beside data.mdb. They repeat what
 * data.mdb holds, so that its records can still be opened when data.mdb can't be read:
 *   epochs    "<32 hex digits> <first seq>" a line, replaced as a whole
 *   sessions  16 bytes a session, appended; the order tells which of two records of one
 * seq came later
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "bedside/store_internal.h"

#define SESSIONS_SIZE_MAX 1048576 /* bytes; the older half goes when it is full */

int store_path(const char *folder, const char *name, char out[STORE_PATH_MAX])
{
    int n = snprintf(out, STORE_PATH_MAX, "%s/%s", folder, name);

    return n > 0 && n < STORE_PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* flock and not a file that exists: it goes with the process, however that ends. */
int store_lock(const char *folder)
{
    struct stat st;
    char path[STORE_PATH_MAX];
    int fd;

    if (stat(folder, &st) != 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return -ENOTDIR;
    if ((st.st_mode & 077) != 0)
        return -EACCES; /* readings would be for anyone to copy */
    if (store_path(folder, "owner", path) != 0)
        return -ENAMETOOLONG;

    /* On a file system that is read-only or full the lock may be impossible to make; one
     * that is there can still be taken. */
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

/* Keeps the newer half: a session that old has no record left, or its records open all
 * the same (the file only orders them). */
static int sessions_shorten(const char *path)
{
    uint8_t *bytes;
    ssize_t n = file_read(path, (size_t)2 * SESSIONS_SIZE_MAX, &bytes);
    int error;

    if (n < 0)
        return (int)n;
    n -= n % SEAL_SESSION_SIZE;
    error = file_replace(path, bytes + n / 2, (size_t)(n - n / 2), 0600);
    free(bytes);
    return error;
}

int store_sessions_add(const char *folder, const uint8_t id[SEAL_SESSION_SIZE])
{
    char path[STORE_PATH_MAX];
    struct stat st;
    int fd, error = 0;

    if ((error = store_path(folder, STORE_SESSIONS, path)) != 0)
        return error;
    if (stat(path, &st) == 0 && st.st_size >= SESSIONS_SIZE_MAX &&
        (error = sessions_shorten(path)) != 0)
        return error;
    if ((fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return -errno;

    /* A cut may have left part of an id: it is written over. */
    if (fstat(fd, &st) != 0 ||
        pwrite(fd, id, SEAL_SESSION_SIZE, st.st_size - st.st_size % SEAL_SESSION_SIZE) !=
            SEAL_SESSION_SIZE ||
        fdatasync(fd) != 0)
        error = errno != 0 ? -errno : -EIO;
    close(fd);
    if (error == 0 && st.st_size == 0)
        error = file_sync_folder(path);
    return error;
}

long store_sessions_read(const char *folder, uint8_t **ids)
{
    char path[STORE_PATH_MAX];
    ssize_t n;

    *ids = NULL;
    if (store_path(folder, STORE_SESSIONS, path) != 0)
        return -ENAMETOOLONG;
    n = file_read(path, (size_t)2 * SESSIONS_SIZE_MAX, ids);
    if (n == -ENOENT)
        return 0;
    return n < 0 ? n : n / SEAL_SESSION_SIZE;
}

/* Replaced as a whole by a rename, so that a cut leaves the old list or the new one. */
int store_epochs_write(const char *folder, const struct store_epoch *epochs, size_t count)
{
    char path[STORE_PATH_MAX], text[STORE_EPOCHS_MAX * 64], hex[2 * EPOCH_SIZE + 1];
    size_t used = 0;
    int error = store_path(folder, STORE_EPOCHS, path);

    if (error != 0)
        return error;
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(text + used, sizeof(text) - used, "%s %" PRIu64 "\n",
                         hex_text(epochs[i].id.bytes, EPOCH_SIZE, hex), epochs[i].first);
        if (n < 0 || (size_t)n >= sizeof(text) - used)
            return -EOVERFLOW;
        used += (size_t)n;
    }
    return file_replace(path, text, used, 0600);
}

/* One line: false if it is not one of ours. */
static bool epochs_line(const char *line, struct store_epoch *epoch)
{
    char hex[2 * EPOCH_SIZE + 1], *end;

    if (strlen(line) < sizeof(hex) || line[sizeof(hex) - 1] != ' ')
        return false;
    memcpy(hex, line, sizeof(hex) - 1);
    hex[sizeof(hex) - 1] = '\0';
    errno = 0;
    epoch->first = strtoull(line + sizeof(hex), &end, 10);
    epoch->seal = NULL;
    return errno == 0 && *end == '\0' && end != line + sizeof(hex) && epoch->first >= 1 &&
           hex_bytes(hex, epoch->id.bytes, EPOCH_SIZE);
}

/* Read where data.mdb does not say it, and believed whole or not at all. */
int store_epochs_read(const char *folder, struct store_epoch epochs[STORE_EPOCHS_MAX])
{
    char path[STORE_PATH_MAX], *next;
    uint8_t *bytes;
    ssize_t n;
    int count = 0;

    if (store_path(folder, STORE_EPOCHS, path) != 0)
        return -ENAMETOOLONG;
    n = file_read(path, (size_t)STORE_EPOCHS_MAX * 64, &bytes);
    if (n == -ENOENT)
        return 0;
    if (n < 0)
        return (int)n;
    for (char *line = (char *)bytes; *line != '\0'; line = next) {
        next = strchr(line, '\n');
        if (next == NULL || count == STORE_EPOCHS_MAX) {
            count = -EINVAL;
            break;
        }
        *next++ = '\0';
        if (!epochs_line(line, &epochs[count]) ||
            (count > 0 && epochs[count].first < epochs[count - 1].first)) {
            count = -EINVAL;
            break;
        }
        count++;
    }
    free(bytes);
    return count;
}

/* What the kernel counted for this process: pages that LMDB wrote are in there as they
 * went to the disk. 0 where /proc says nothing; it is a figure for people and for the
 * bench. */
uint64_t store_written(void)
{
    static const char key[] = "\nwrite_bytes: ";
    uint8_t *bytes;
    const char *at;
    uint64_t value = 0;

    if (file_read("/proc/self/io", 4096, &bytes) < 0)
        return 0;
    if ((at = strstr((const char *)bytes, key)) != NULL)
        value = strtoull(at + sizeof(key) - 1, NULL, 10);
    free(bytes);
    return value;
}
