/* SPDX-License-Identifier: Apache-2.0
 *
 * Another wall clock for one process, by LD_PRELOAD: the test writes a small file that is
 * mapped here, and the process sees the true time plus an offset, and what the kernel
 * would say of its synchronisation. Monotonic clocks and timers are left alone, as they
 * are on a board whose wall clock is set; the program itself has no hook for any of this.
 *
 * WARDGATE_CLOCK names the file, struct clock_control. WARDGATE_BOOT, if set, names a
 * file that stands for /proc/sys/kernel/random/boot_id, so that a start can be another
 * boot.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S INT64_C(1000000000)

/* As clock.py writes it: aligned words, each written at once, so that a reader sees the
 * old or the new value of it. */
struct clock_control {
    volatile int64_t offset_us;   /* added to the true time */
    volatile int64_t synced;      /* 0: STA_UNSYNC */
    volatile int64_t maxerror_us; /* what the kernel allows for */
};

static const struct clock_control *control;

/* The headers have these with attributes of their own; the names are what counts. */
int clock_gettime(clockid_t id, struct timespec *t);
int gettimeofday(struct timeval *restrict t, void *restrict zone);
time_t time(time_t *t);
int adjtimex(struct timex *kernel);
int open(const char *path, int flags, ...);
int open64(const char *path, int flags, ...);

/* Before main, and so before any thread. Without its file the shim must not pass for a
 * right clock: the process ends. */
__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("WARDGATE_CLOCK");
    int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) : -1;
    void *at;

    if (fd < 0)
        _exit(99);
    at = mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (at == MAP_FAILED)
        _exit(99);
    control = at;
}

/* The true time by a system call, then moved. Constructors of other libraries may ask
 * before the file is mapped: they see the true time. */
static int moved(clockid_t id, struct timespec *t)
{
    int rc = (int)syscall(SYS_clock_gettime, id, t);
    int64_t ns;

    if (rc != 0 || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) ||
        control == NULL)
        return rc;
    ns = t->tv_nsec + control->offset_us % 1000000 * 1000;
    t->tv_sec += control->offset_us / 1000000;
    if (ns < 0) {
        ns += NS_PER_S;
        t->tv_sec--;
    } else if (ns >= NS_PER_S) {
        ns -= NS_PER_S;
        t->tv_sec++;
    }
    t->tv_nsec = ns;
    return 0;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    return moved(id, t);
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    (void)moved(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *t)
{
    struct timespec now;

    (void)moved(CLOCK_REALTIME, &now);
    if (t != NULL)
        *t = now.tv_sec;
    return now.tv_sec;
}

/* Reading only. Setting the clock is refused: no test of a read-only program needs it. */
int adjtimex(struct timex *kernel)
{
    if (kernel->modes != 0) {
        errno = EPERM;
        return -1;
    }
    memset(kernel, 0, sizeof(*kernel));
    kernel->maxerror = (long)control->maxerror_us;
    kernel->status = control->synced ? 0 : STA_UNSYNC;
    return control->synced ? TIME_OK : TIME_ERROR;
}

/* The boot id is a file; every other file is what it is. */
static int opened(const char *path, int flags, mode_t mode)
{
    const char *boot = getenv("WARDGATE_BOOT");

    if (boot != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        path = boot;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* A mode was passed only where a file may be made. */
static mode_t mode_of(int flags, va_list list)
{
    return (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return opened(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = mode_of(flags, list);
    va_end(list);
    return opened(path, flags | O_LARGEFILE, mode);
}
