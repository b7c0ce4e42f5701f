/* SPDX-License-Identifier: Apache-2.0 */
/* Here pwrite and pwrite64 are two names, and both are ours. */
#undef _FILE_OFFSET_BITS
#include "recorder.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS 1024

bool recorder_lie;

static struct recording recording;
static char folder[256];
static size_t folder_size;
static bool on;
static struct name {
    char text[NAME_SIZE];
    int file;
} names[256];
static int name_count;
static struct fd {
    int file; /* -1: not looked at, -2: not ours, -3: the folder itself */
    bool dsync, lmdb;
} fds[FDS];

static struct {
    char folder[256];
    enum fault_on on;
    int n, error, hits;
    bool sticky;
} fault;

static void *real(const char *symbol)
{
    void *address = dlsym(RTLD_NEXT, symbol);

    if (address == NULL) {
        (void)fprintf(stderr, "no %s to stand in front of\n", symbol);
        abort();
    }
    return address;
}

#define REAL(type, name, ...)                                                            \
    static type (*next)(__VA_ARGS__);                                                    \
    if (next == NULL)                                                                    \
    *(void **)&next = real(#name)

/* --- the recording --- */

static struct event *event_add(enum event_kind kind, int file)
{
    struct event *event;

    if (recording.count == recording.capacity) {
        recording.capacity = recording.capacity == 0 ? 1024 : recording.capacity * 2;
        recording.events =
            realloc(recording.events, recording.capacity * sizeof(*recording.events));
        if (recording.events == NULL)
            abort();
    }
    event = &recording.events[recording.count++];
    memset(event, 0, sizeof(*event));
    event->kind = kind;
    event->file = file;
    return event;
}

static int name_find(const char *text)
{
    for (int i = 0; i < name_count; i++)
        if (strcmp(names[i].text, text) == 0)
            return i;
    return -1;
}

static int name_add(const char *text, int file)
{
    if (name_count == (int)(sizeof(names) / sizeof(names[0])) ||
        strlen(text) >= NAME_SIZE)
        abort();
    (void)snprintf(names[name_count].text, NAME_SIZE, "%s", text);
    names[name_count].file = file;
    return name_count++;
}

static bool ignored(const char *text)
{
    size_t n = strlen(text);

    return (n >= 4 && strcmp(text + n - 4, "lock") == 0) || strcmp(text, "owner") == 0 ||
           strcmp(text, "lock.mdb") == 0;
}

/* The part of a path below the folder, or NULL. */
static const char *below(const char *path)
{
    if (strncmp(path, folder, folder_size) != 0 || path[folder_size] != '/')
        return NULL;
    return ignored(path + folder_size + 1) ? NULL : path + folder_size + 1;
}

/* Which of our files a descriptor is; files are met at their first write. */
static struct fd *fd_look(int fd)
{
    char link[64], path[512];
    const char *text;
    ssize_t n;
    int at;

    if (!on || fd < 0 || fd >= FDS)
        return NULL;
    if (fds[fd].file == -1) {
        fds[fd].file = -2;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        if ((n = readlink(link, path, sizeof(path) - 1)) > 0) {
            path[n] = '\0';
            if (strcmp(path, folder) == 0) {
                fds[fd].file = -3;
            } else if ((text = below(path)) != NULL) {
                if ((at = name_find(text)) < 0) {
                    at = name_add(text, recording.files++);
                    (void)snprintf(event_add(EVENT_CREATE, names[at].file)->name,
                                   NAME_SIZE, "%s", text);
                }
                fds[fd].file = names[at].file;
                fds[fd].lmdb = strstr(text, ".mdb") != NULL;
                fds[fd].dsync = (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
            }
        }
    }
    return fds[fd].file == -2 ? NULL : &fds[fd];
}

static void record_write(int fd, uint64_t offset, const struct iovec *parts, int count,
                         size_t size)
{
    struct fd *is = fd_look(fd);
    struct event *event;
    size_t at = 0;

    if (is == NULL || is->file < 0 || size == 0)
        return;
    event = event_add(EVENT_WRITE, is->file);
    event->offset = offset;
    event->size = size;
    if ((event->data = malloc(size)) == NULL)
        abort();
    for (int i = 0; i < count && at < size; i++) {
        size_t n = parts[i].iov_len < size - at ? parts[i].iov_len : size - at;
        memcpy(event->data + at, parts[i].iov_base, n);
        at += n;
    }
    if (is->dsync && !(recorder_lie && is->lmdb))
        (void)event_add(EVENT_SYNC_WRITE, is->file);
}

/* --- faults --- */

static bool refused(int fd, enum fault_on what)
{
    char link[64], path[512];
    ssize_t n;

    if (fault.n == 0)
        return false;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if ((n = readlink(link, path, sizeof(path) - 1)) <= 0)
        return false;
    path[n] = '\0';
    if (strncmp(path, fault.folder, strlen(fault.folder)) != 0)
        return false;
    if (what == FAULT_WRITE && (fcntl(fd, F_GETFL) & O_DSYNC) != 0)
        what = FAULT_DSYNC_WRITE;
    if (what != fault.on || (fault.n > 1 && fault.n-- > 1))
        return false;
    fault.hits++;
    if (!fault.sticky)
        fault.n = 0;
    errno = fault.error;
    return true;
}

void recorder_fault(const char *below_folder, enum fault_on what, int n, int error,
                    bool sticky)
{
    (void)snprintf(fault.folder, sizeof(fault.folder), "%s", below_folder);
    fault.on = what;
    fault.n = n;
    fault.error = error;
    fault.sticky = sticky;
    fault.hits = 0;
}

int recorder_faults(void)
{
    return fault.hits;
}

/* --- the functions we stand in front of --- */

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset);
int ftruncate64(int fd, off64_t size);
int fallocate64(int fd, int mode, off64_t offset, off64_t size);

static ssize_t pwrite_any(int fd, const void *data, size_t n, off_t offset)
{
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    ssize_t done;

    if (refused(fd, FAULT_WRITE))
        return -1;
    done = next(fd, data, n, offset);
    if (done > 0)
        record_write(fd, (uint64_t)offset, &(struct iovec){(void *)data, n}, 1,
                     (size_t)done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
    return pwrite_any(fd, data, n, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset)
{
    return pwrite_any(fd, data, n, offset);
}

ssize_t write(int fd, const void *data, size_t n)
{
    REAL(ssize_t, write, int, const void *, size_t);
    ssize_t done;

    if (refused(fd, FAULT_WRITE))
        return -1;
    done = next(fd, data, n);
    if (done > 0 && fd_look(fd) != NULL)
        record_write(fd, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done),
                     &(struct iovec){(void *)data, n}, 1, (size_t)done);
    return done;
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(ssize_t, writev, int, const struct iovec *, int);
    ssize_t done;

    if (refused(fd, FAULT_WRITE))
        return -1;
    done = next(fd, parts, count);
    if (done > 0 && fd_look(fd) != NULL)
        record_write(fd, (uint64_t)(lseek(fd, 0, SEEK_CUR) - done), parts, count,
                     (size_t)done);
    return done;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    ssize_t done;

    if (refused(fd, FAULT_WRITE))
        return -1;
    done = next(fd, parts, count, offset);
    if (done > 0)
        record_write(fd, (uint64_t)offset, parts, count, (size_t)done);
    return done;
}

static void record_size(int fd, uint64_t size, bool truncate)
{
    struct fd *is = fd_look(fd);
    struct event *event;

    if (is == NULL || is->file < 0)
        return;
    event = event_add(EVENT_SIZE, is->file);
    event->offset = size;
    event->truncate = truncate;
}

int ftruncate(int fd, off_t size)
{
    REAL(int, ftruncate, int, off_t);
    int result = next(fd, size);

    if (result == 0)
        record_size(fd, (uint64_t)size, true);
    return result;
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t size)
{
    REAL(int, fallocate, int, int, off_t, off_t);
    int result = next(fd, mode, offset, size);

    if (result == 0 && mode == 0)
        record_size(fd, (uint64_t)(offset + size), false);
    return result;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t size)
{
    return fallocate(fd, mode, offset, size);
}

static int synced(int fd, int result)
{
    struct fd *is = fd_look(fd);

    if (result == 0 && is != NULL && !(recorder_lie && is->lmdb))
        (void)event_add(is->file == -3 ? EVENT_SYNC_FOLDER : EVENT_SYNC, is->file);
    return result;
}

int fdatasync(int fd)
{
    REAL(int, fdatasync, int);

    return refused(fd, FAULT_SYNC) ? -1 : synced(fd, next(fd));
}

int fsync(int fd)
{
    REAL(int, fsync, int);

    return refused(fd, FAULT_SYNC) ? -1 : synced(fd, next(fd));
}

int close(int fd)
{
    REAL(int, close, int);

    if (fd >= 0 && fd < FDS)
        fds[fd].file = -1;
    return next(fd);
}

static struct event *record_names(enum event_kind kind, const char *from, const char *to)
{
    const char *a = on ? below(from) : NULL, *b = on && to != NULL ? below(to) : NULL;
    struct event *event;
    int at = a != NULL ? name_find(a) : -1;

    if (at < 0 || (to != NULL && b == NULL))
        return NULL;
    event = event_add(kind, names[at].file);
    (void)snprintf(event->name, NAME_SIZE, "%s", a);
    if (b != NULL) {
        int old = name_find(b);
        (void)snprintf(event->to, NAME_SIZE, "%s", b);
        if (old >= 0)
            names[old].file = names[at].file;
        else
            (void)name_add(b, names[at].file);
    }
    if (kind != EVENT_LINK) {
        at = name_find(event->name);
        names[at] = names[--name_count];
    }
    return event;
}

int rename(const char *from, const char *to)
{
    REAL(int, rename, const char *, const char *);
    int result = next(from, to);

    if (result == 0)
        (void)record_names(EVENT_RENAME, from, to);
    return result;
}

int link(const char *from, const char *to)
{
    REAL(int, link, const char *, const char *);
    int result = next(from, to);

    if (result == 0)
        (void)record_names(EVENT_LINK, from, to);
    return result;
}

int unlink(const char *path)
{
    REAL(int, unlink, const char *);
    int result = next(path);

    if (result == 0)
        (void)record_names(EVENT_UNLINK, path, NULL);
    return result;
}

/* --- control --- */

void recorder_start(const char *path, const char *const *existing)
{
    folder_size = (size_t)snprintf(folder, sizeof(folder), "%s", path);
    memset(&recording, 0, sizeof(recording));
    name_count = 0;
    for (; *existing != NULL; existing++)
        (void)name_add(*existing, recording.files++);
    for (int i = 0; i < FDS; i++)
        fds[i].file = -1;
    on = true;
}

struct recording recorder_stop(void)
{
    struct recording out = recording;

    on = false;
    memset(&recording, 0, sizeof(recording));
    return out;
}

void recording_free(struct recording *is)
{
    for (size_t i = 0; i < is->count; i++)
        free(is->events[i].data);
    free(is->events);
    memset(is, 0, sizeof(*is));
}

void recorder_mark(uint64_t mark)
{
    if (on)
        event_add(EVENT_MARK, -1)->mark = mark;
}
