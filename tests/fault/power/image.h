/* SPDX-License-Identifier: Apache-2.0
 *
 * What a disk may hold after the power went at one instant of a recording.
 *
 * The model. Data: a write is on disk after a sync of its file (or its own O_DSYNC);
 * before that each of its 512-byte sectors may be there or not, whatever the order of the
 * writes. Names: creations, renames and unlinks reach the disk in order; those after the
 * last sync of the folder may be missing from some point on. A file's length follows the
 * same rule as its data. This is weaker than what ext4 gives, so what survives here
 * survives there.
 */
#ifndef TESTS_FAULT_POWER_IMAGE_H
#define TESTS_FAULT_POWER_IMAGE_H

#include "recorder.h"

#define FILES_MAX 64
#define SECTOR    512

struct file {
    uint8_t *bytes;
    size_t size, capacity;
};

struct disk { /* what is certain, and what hangs in the air */
    struct file files[FILES_MAX];
    struct {
        char text[NAME_SIZE];
        int file;
    } names[FILES_MAX];
    int name_count;
    const struct event **pending; /* writes and sizes, in order */
    size_t pending_count, pending_capacity;
    const struct event **naming; /* names, in order */
    size_t naming_count, naming_capacity;
    uint64_t mark; /* the last one passed */
};

/* Loads files of a folder as certain. Returns the names (ends with NULL; static). */
const char *const *disk_load(struct disk *disk, const char *folder);
void disk_free(struct disk *disk);

/* Passes one event. */
void disk_pass(struct disk *disk, const struct event *event);

/* What becomes of a pending write. */
enum fate { FATE_LOST, FATE_KEPT, FATE_TORN };
struct choice {
    const uint8_t *fates; /* one a pending write */
    size_t naming;        /* so many of the pending names are kept */
    uint64_t torn;        /* seed of which sectors of torn writes are kept */
};

/* Builds the folder (emptied first) as this choice leaves it. Returns a hash of what it
 * holds. */
uint64_t disk_build(const struct disk *disk, const struct choice *choice,
                    const char *folder);

uint64_t
mix(uint64_t x); /* splitmix64's finaliser: the harness's only source of chance */

#endif
