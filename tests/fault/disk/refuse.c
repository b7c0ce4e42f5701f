/* SPDX-License-Identifier: Apache-2.0 */
#include "refuse.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define META_MAX                                                                         \
    256 /* LMDB writes its meta page's head alone, and nothing else as short */

static char below[PATH_MAX];
static struct refuse_plan plan;
static uint64_t seen, refused;

void refuse_set(const char *folder, const struct refuse_plan *new)
{
    memset(&plan, 0, sizeof(plan));
    seen = refused = 0;
    below[0] = '\0';
    if (new == NULL)
        return;
    (void)snprintf(below, sizeof(below), "%s", folder);
    plan = *new;
}

uint64_t refuse_seen(void)
{
    return seen;
}

uint64_t refuse_refused(void)
{
    return refused;
}

/* True if this call is to be refused. */
static bool refuse(int fd, enum refuse_call call)
{
    char link[64], path[PATH_MAX];
    ssize_t n;

    if (below[0] == '\0' || (plan.call != REFUSE_ANY && plan.call != call))
        return false;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return false;
    path[n] = '\0';
    if (strncmp(path, below, strlen(below)) != 0)
        return false;
    seen++;
    if (plan.from == 0 || seen < plan.from || seen - plan.from >= plan.count)
        return false;
    refused++;
    if (plan.dies)
        _exit(REFUSE_DIED);
    return true;
}

/* The C library's own. The names below carry labels, for the headers rename some of them
 * for 64-bit offsets. */
#define NEXT(name) (dlsym(RTLD_NEXT, name))

ssize_t stand_pwrite(int fd, const void *bytes, size_t n, off_t at) __asm__("pwrite");
ssize_t stand_pwrite64(int fd, const void *bytes, size_t n, off_t at) __asm__("pwrite64");
ssize_t stand_write(int fd, const void *bytes, size_t n) __asm__("write");
ssize_t stand_writev(int fd, const struct iovec *parts, int n) __asm__("writev");
int stand_fdatasync(int fd) __asm__("fdatasync");
int stand_fsync(int fd) __asm__("fsync");

ssize_t stand_pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    ssize_t (*real)(int, const void *, size_t, off_t);

    *(void **)&real = NEXT("pwrite");
    if (!refuse(fd, n <= META_MAX ? REFUSE_META : REFUSE_WRITE))
        return real(fd, bytes, n, at);
    if (plan.lands && refused == 1)
        (void)real(fd, bytes, n, at);
    if (plan.half)
        return real(fd, bytes, n / 2, at);
    errno = plan.error;
    return -1;
}

ssize_t stand_pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
    return stand_pwrite(fd, bytes, n, at);
}

ssize_t stand_write(int fd, const void *bytes, size_t n)
{
    ssize_t (*real)(int, const void *, size_t);

    *(void **)&real = NEXT("write");
    if (!refuse(fd, REFUSE_WRITE))
        return real(fd, bytes, n);
    if (plan.half)
        return real(fd, bytes, n / 2);
    errno = plan.error;
    return -1;
}

ssize_t stand_writev(int fd, const struct iovec *parts, int n)
{
    ssize_t (*real)(int, const struct iovec *, int);

    *(void **)&real = NEXT("writev");
    if (!refuse(fd, REFUSE_WRITE))
        return real(fd, parts, n);
    if (plan.half)
        return real(fd, parts, 1);
    errno = plan.error;
    return -1;
}

int stand_fdatasync(int fd)
{
    int (*real)(int);

    *(void **)&real = NEXT("fdatasync");
    if (!refuse(fd, REFUSE_SYNC))
        return real(fd);
    errno = plan.error;
    return -1;
}

int stand_fsync(int fd)
{
    int (*real)(int);

    *(void **)&real = NEXT("fsync");
    if (!refuse(fd, REFUSE_SYNC))
        return real(fd);
    errno = plan.error;
    return -1;
}
