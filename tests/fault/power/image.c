/* SPDX-License-Identifier: Apache-2.0 */
#include "image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void file_grow(struct file *file, size_t size)
{
    if (size > file->capacity) {
        size_t capacity = file->capacity == 0 ? 65536 : file->capacity;
        while (capacity < size)
            capacity *= 2;
        if ((file->bytes = realloc(file->bytes, capacity)) == NULL)
            abort();
        file->capacity = capacity;
    }
    if (size > file->size) {
        memset(file->bytes + file->size, 0, size - file->size);
        file->size = size;
    }
}

/* Applies the sectors of a write that the seed keeps; all of them for FATE_KEPT. */
static void write_apply(struct file *file, const struct event *event, enum fate fate,
                        uint64_t seed)
{
    uint64_t end = event->offset + event->size, at = event->offset;

    if (event->kind == EVENT_SIZE) {
        if (event->truncate && event->offset < file->size)
            file->size = event->offset;
        file_grow(file, event->offset);
        return;
    }
    while (at < end) {
        uint64_t stop = (at / SECTOR + 1) * SECTOR;
        if (stop > end)
            stop = end;
        if (fate == FATE_KEPT || (mix(seed ^ at) & 1) != 0) {
            file_grow(file, stop);
            memcpy(file->bytes + at, event->data + (at - event->offset), stop - at);
        }
        at = stop;
    }
}

static int name_find(const struct disk *disk, const char *text)
{
    for (int i = 0; i < disk->name_count; i++)
        if (strcmp(disk->names[i].text, text) == 0)
            return i;
    return -1;
}

static void name_set(struct disk *disk, const char *text, int file)
{
    int at = name_find(disk, text);

    if (at < 0) {
        if ((at = disk->name_count++) >= FILES_MAX)
            abort();
        (void)snprintf(disk->names[at].text, NAME_SIZE, "%s", text);
    }
    disk->names[at].file = file;
}

static void name_drop(struct disk *disk, const char *text)
{
    int at = name_find(disk, text);

    if (at >= 0)
        disk->names[at] = disk->names[--disk->name_count];
}

static void name_apply(struct disk *disk, const struct event *event)
{
    if (event->kind == EVENT_CREATE)
        name_set(disk, event->name, event->file);
    else if (event->kind != EVENT_UNLINK)
        name_set(disk, event->to, event->file);
    if (event->kind == EVENT_UNLINK || event->kind == EVENT_RENAME)
        name_drop(disk, event->name);
}

const char *const *disk_load(struct disk *disk, const char *folder)
{
    static const char *list[FILES_MAX + 1];
    static char texts[FILES_MAX][NAME_SIZE];
    DIR *dir = opendir(folder);
    struct dirent *entry;
    int n = 0;

    memset(disk, 0, sizeof(*disk));
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[512];
        struct stat st;
        size_t length = strlen(entry->d_name);
        int fd;

        if (entry->d_name[0] == '.' || length >= NAME_SIZE || n == FILES_MAX ||
            (length >= 4 && strcmp(entry->d_name + length - 4, "lock") == 0) ||
            strcmp(entry->d_name, "owner") == 0 || strcmp(entry->d_name, "lock.mdb") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if ((fd = open(path, O_RDONLY)) < 0 || fstat(fd, &st) != 0)
            abort();
        file_grow(&disk->files[n], (size_t)st.st_size);
        if (read(fd, disk->files[n].bytes, (size_t)st.st_size) != st.st_size)
            abort();
        (void)close(fd);
        memcpy(texts[n], entry->d_name, length + 1);
        name_set(disk, entry->d_name, n);
        list[n] = texts[n];
        n++;
    }
    if (dir != NULL)
        (void)closedir(dir);
    list[n] = NULL;
    return list;
}

void disk_free(struct disk *disk)
{
    for (int i = 0; i < FILES_MAX; i++)
        free(disk->files[i].bytes);
    free(disk->pending);
    free(disk->naming);
    memset(disk, 0, sizeof(*disk));
}

static void list_add(const struct event ***list, size_t *count, size_t *capacity,
                     const struct event *event)
{
    if (*count == *capacity) {
        *capacity = *capacity == 0 ? 64 : *capacity * 2;
        if ((*list = realloc(*list, *capacity * sizeof(const struct event *))) == NULL)
            abort();
    }
    (*list)[(*count)++] = event;
}

static bool overlap(const struct event *a, const struct event *b)
{
    return a->file == b->file && a->offset < b->offset + b->size &&
           b->offset < a->offset + a->size;
}

/* Writes that became certain go from pending to the files: all of one file, or (only
 * given) that one and what it lies upon. */
static void settle(struct disk *disk, int file, const struct event *only)
{
    size_t kept = 0;

    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct event *event = disk->pending[i];
        if (event->file == file &&
            (only == NULL || event == only || overlap(event, only)))
            write_apply(&disk->files[file], event, FATE_KEPT, 0);
        else
            disk->pending[kept++] = event;
    }
    disk->pending_count = kept;
}

void disk_pass(struct disk *disk, const struct event *event)
{
    switch (event->kind) {
    case EVENT_WRITE:
    case EVENT_SIZE:
        list_add(&disk->pending, &disk->pending_count, &disk->pending_capacity, event);
        break;
    case EVENT_SYNC:
        settle(disk, event->file, NULL);
        break;
    case EVENT_SYNC_WRITE:
        settle(disk, event->file, disk->pending[disk->pending_count - 1]);
        break;
    case EVENT_CREATE:
    case EVENT_RENAME:
    case EVENT_LINK:
    case EVENT_UNLINK:
        list_add(&disk->naming, &disk->naming_count, &disk->naming_capacity, event);
        break;
    case EVENT_SYNC_FOLDER:
        for (size_t i = 0; i < disk->naming_count; i++)
            name_apply(disk, disk->naming[i]);
        disk->naming_count = 0;
        break;
    case EVENT_MARK:
        disk->mark = event->mark;
        break;
    }
}

static uint64_t file_write_out(const struct file *file, const char *path)
{
    uint64_t hash = file->size;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || pwrite(fd, file->bytes, file->size, 0) != (ssize_t)file->size)
        abort();
    (void)close(fd);
    for (size_t i = 0; i + 8 <= file->size; i += 8) {
        uint64_t word;
        memcpy(&word, file->bytes + i, 8);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29;
    }
    return hash;
}

static void folder_empty(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[512];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

uint64_t disk_build(const struct disk *disk, const struct choice *choice,
                    const char *folder)
{
    static struct disk
        image; /* names only; its files keep their memory from state to state */
    uint64_t hash = 0;

    image.name_count = disk->name_count;
    memcpy(image.names, disk->names, sizeof(image.names));
    for (size_t i = 0; i < choice->naming && i < disk->naming_count; i++)
        name_apply(&image, disk->naming[i]);
    folder_empty(folder);
    for (int i = 0; i < image.name_count; i++) {
        int file = image.names[i].file;
        struct file *to = &image.files[file];
        char path[512];

        to->size = 0;
        file_grow(to, disk->files[file].size);
        if (disk->files[file].size > 0)
            memcpy(to->bytes, disk->files[file].bytes, disk->files[file].size);
        for (size_t k = 0; k < disk->pending_count; k++)
            if (disk->pending[k]->file == file && choice->fates[k] != FATE_LOST)
                write_apply(to, disk->pending[k], (enum fate)choice->fates[k],
                            choice->torn + k);
        (void)snprintf(path, sizeof(path), "%s/%s", folder, image.names[i].text);
        hash ^= mix(file_write_out(to, path) ^
                    mix((uint64_t)image.names[i].text[0] + strlen(image.names[i].text)));
    }
    return hash;
}
