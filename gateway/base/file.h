/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole small files. Errors are -errno.
 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a whole file of at most maximum bytes into *out, terminated with an extra NUL not
 * counted in the result. The caller frees. Returns the size, or -errno (-EFBIG if it is
 * larger). */
ssize_t file_read(const char *path, size_t maximum, uint8_t **out);

/* Writes a file so that after any cut it is the old one or the new one: temporary, fsync,
 * rename, fsync of the folder. */
int file_replace(const char *path, const void *data, size_t n, mode_t mode);

/* The two halves of that, for callers who must not replace: a synced temporary beside
 * path (its name is written to temporary), and the sync of the folder that holds path. */
#define FILE_PATH_MAX 4096
int file_write_temporary(const char *path, const void *data, size_t n, mode_t mode,
                         char temporary[FILE_PATH_MAX]);
int file_sync_folder(const char *path);

#endif
