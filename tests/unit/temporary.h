/* SPDX-License-Identifier: Apache-2.0
 *
 * A folder of its own for a test, below $TMPDIR, and its removal.
 */
#ifndef TESTS_UNIT_TEMPORARY_H
#define TESTS_UNIT_TEMPORARY_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Makes a folder; its path (at most 200 bytes) is written to out. Returns 0 or -1. */
static inline int temporary_folder(char out[256])
{
    const char *root = getenv("TMPDIR");

    (void)snprintf(out, 256, "%.200s/wardgate-XXXXXX", root != NULL ? root : "/tmp");
    return mkdtemp(out) != NULL ? 0 : -1;
}

static inline int temporary_unlink(const char *path, const struct stat *st, int kind,
                                   struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void temporary_remove(const char *folder)
{
    (void)nftw(folder, temporary_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

#endif
