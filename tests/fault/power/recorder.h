/* SPDX-License-Identifier: Apache-2.0
 *
 * Records what a program asks of the disk: every write, size change, name and sync below
 * one folder, in order, with the data. The program's own pwrite, fdatasync and so on
 * stand in front of the C library's, so that LMDB calls them too. It can also refuse
 * (error injection) and lie (drop syncs).
 */
#ifndef TESTS_FAULT_POWER_RECORDER_H
#define TESTS_FAULT_POWER_RECORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_SIZE 64

enum event_kind {
    EVENT_CREATE,     /* name -> file */
    EVENT_WRITE,      /* file, offset, data */
    EVENT_SIZE,       /* file, offset = at least (grow) or exactly (truncate) that long */
    EVENT_SYNC,       /* file: all its writes before are on disk */
    EVENT_SYNC_WRITE, /* file: the write before this (O_DSYNC) is on disk */
    EVENT_RENAME,     /* name -> to */
    EVENT_LINK,       /* name, to */
    EVENT_UNLINK,     /* name */
    EVENT_SYNC_FOLDER, /* all names before are on disk */
    EVENT_MARK,        /* mark: the program told somebody that this much is durable */
};

struct event {
    enum event_kind kind;
    int file;
    bool truncate;
    uint64_t offset, mark;
    size_t size;
    uint8_t *data;
    char name[NAME_SIZE], to[NAME_SIZE];
};

struct recording {
    struct event *events;
    size_t count, capacity;
    int files; /* how many were seen: they are numbered 0.. */
};

/* Starts recording below folder (an absolute path). names lists the files that are there
 * already (NULL ends it): they become files 0, 1.. Files whose name ends in "lock" or is
 * "owner" are not recorded: they carry no data. */
void recorder_start(const char *folder, const char *const *names);
/* Stops; the caller owns what is returned (recording_free). */
struct recording recorder_stop(void);
void recording_free(struct recording *recording);

/* Notes that the program has told somebody that `mark` is durable. */
void recorder_mark(uint64_t mark);

/* While true, syncs of *.mdb are swallowed and their O_DSYNC is not believed: what LMDB
 * without sync would do. */
extern bool recorder_lie;

/* Error injection: from now on the nth matching call below the folder (1 = the next)
 * fails with error; each further one too if sticky. n = 0: none. */
enum fault_on { FAULT_WRITE, FAULT_SYNC, FAULT_DSYNC_WRITE };
void recorder_fault(const char *folder, enum fault_on on, int n, int error, bool sticky);
int recorder_faults(void); /* how many calls were made to fail */

#endif
