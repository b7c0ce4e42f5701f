/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole small files. Anything larger, or written often, has its own store.
 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads until end of file or n bytes. Returns the count or -errno. */
static ssize_t read_all(int fd, uint8_t *out, size_t n)
{
    size_t got = 0;

    while (got < n) {
        ssize_t r = read(fd, out + got, n - got);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        got += (size_t)r;
    }
    return (ssize_t)got;
}

/* The limit comes from the caller, who knows what the file is: nothing else stands
 * between a wrong path (/dev/zero) and all of the memory. */
ssize_t file_read(const char *path, size_t maximum, uint8_t **out)
{
    struct stat st;
    uint8_t *bytes, *fitted;
    ssize_t n;
    size_t room;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) != 0) {
        n = -errno;
        goto err1;
    }
    if (S_ISDIR(st.st_mode)) {
        n = -EISDIR;
        goto err1;
    }

    /* A file of /proc says size 0, and any file may grow meanwhile: one byte more than
     * allowed is asked for, so that "too large" is seen and never cut off. */
    room = st.st_size > 0 && (size_t)st.st_size < maximum ? (size_t)st.st_size + 1
                                                          : maximum + 1;
    if ((bytes = malloc(room + 1)) == NULL) {
        n = -ENOMEM;
        goto err1;
    }
    n = read_all(fd, bytes, room);
    if (n >= 0 && (size_t)n > maximum)
        n = -EFBIG;
    if (n >= 0 && (size_t)n == room) /* grew while being read: not a whole file */
        n = -EAGAIN;
    if (n < 0)
        goto err2;

    (void)close(fd);
    bytes[n] = '\0';
    fitted = realloc(bytes, (size_t)n + 1);
    *out = fitted != NULL ? fitted : bytes;
    return n;

err2:
    free(bytes);
err1:
    (void)close(fd);
    return n;
}

/* Writes every byte or says why not. */
static int write_all(int fd, const uint8_t *data, size_t n)
{
    while (n > 0) {
        ssize_t w = write(fd, data, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -errno;
        data += w;
        n -= (size_t)w;
    }
    return 0;
}

/* Without this a rename may be lost in a power cut though the file itself was synced. */
int file_sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    int fd, error = 0;

    if (n >= sizeof(folder))
        return -ENAMETOOLONG;
    if (slash == NULL)
        (void)snprintf(folder, sizeof(folder), ".");
    else
        (void)snprintf(folder, sizeof(folder), "%.*s", n == 0 ? 1 : (int)n, path);

    if ((fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return -errno;
    if (fsync(fd) != 0)
        error = -errno;
    (void)close(fd);
    return error;
}

/* Beside the target, because a rename across file systems is a copy. The data is on
 * disk when this returns 0; nothing is left behind when it does not. */
int file_write_temporary(const char *path, const void *data, size_t n, mode_t mode,
                         char temporary[FILE_PATH_MAX])
{
    int fd, error;

    if (snprintf(temporary, FILE_PATH_MAX, "%s.XXXXXX", path) >= FILE_PATH_MAX)
        return -ENAMETOOLONG;
    if ((fd = mkostemp(temporary, O_CLOEXEC)) < 0) /* 0600 from the start */
        return -errno;

    error = write_all(fd, data, n);
    if (error == 0 && fchmod(fd, mode) != 0)
        error = -errno;
    if (error == 0 && fsync(fd) != 0)
        error = -errno;
    if (close(fd) != 0 && error == 0)
        error = -errno;
    if (error != 0)
        (void)unlink(temporary);
    return error;
}

/* A reader sees the old file or the new one, and so does the next boot. */
int file_replace(const char *path, const void *data, size_t n, mode_t mode)
{
    char temporary[FILE_PATH_MAX];
    int error = file_write_temporary(path, data, n, mode, temporary);

    if (error != 0)
        return error;
    if (rename(temporary, path) != 0) {
        error = -errno;
        (void)unlink(temporary);
        return error;
    }
    return file_sync_folder(path);
}
