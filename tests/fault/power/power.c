/* SPDX-License-Identifier: Apache-2.0
 *
 * Power cuts, enumerated.
 *
 *     power_<subject> [--states N] [--seed S] [--rounds N] [--batches N] [--unsynced]
 *
 * Round 0 records a workload from an empty folder on; each later round begins in a state
 * that a cut of the round before left, so that recovery and cuts during recovery are in
 * it. Each instant of a recording is cut at; of the writes in the air, all are kept,
 * none, each one alone, each one missing, each one torn; small sets exhaustively, the
 * rest by the seed. With --unsynced, from round 1 on, the syncs of LMDB's file are
 * swallowed, and the run passes only if that is found out.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/temporary.h"

#include "image.h"
#include "power.h"

#define WORKERS        2
#define EXHAUSTIVE_MAX 6 /* pending writes of which every subset is tried */
#define PENDING_MAX    4096
#define SEEN_SIZE      (1u << 20) /* slots of the table of states seen, a power of two */

static struct options {
    uint64_t states, seed;
    int rounds, batches;
    bool unsynced;
} options = {15000, 1, 4, 14, false};

/* Written by the workers, read by the parent when one of them is gone. */
static struct shared {
    struct worker {
        uint64_t states, checked; /* made; of them new ones */
        uint64_t cut, choice;
        bool failed;
        char complaint[COMPLAINT_SIZE];
    } workers[WORKERS];
} * shared;

static char scratch[200];

/* --- states of one instant --- */

struct cut {
    const struct disk *disk;
    uint64_t number, budget, made,
        found; /* states: new ones allowed; tried; new ones of this worker */
    struct worker *me;
    int worker;
    const char *folder;
    uint64_t *seen;
    uint8_t fates[PENDING_MAX];
    struct choice choice;
};

/* Is this state (with what was promised by then) new? */
static bool fresh(uint64_t *seen, uint64_t hash)
{
    uint64_t at = mix(hash) & (SEEN_SIZE - 1);

    hash |= 1;
    for (int probes = 0; probes < 64; probes++, at = (at + 1) & (SEEN_SIZE - 1)) {
        if (seen[at] == hash)
            return false;
        if (seen[at] == 0) {
            seen[at] = hash;
            return true;
        }
    }
    return true;
}

/* Makes and checks one state, if it is this worker's. False when the budget of the cut is
 * spent, in new states or in attempts, or a check failed. */
static bool try(struct cut *cut)
{
    char complaint[COMPLAINT_SIZE] = "";
    uint64_t hash;

    if (cut->found >= cut->budget || cut->made >= cut->budget * 16 + 64 ||
        cut->me->failed)
        return false;
    if (mix(cut->number ^ ++cut->made << 32) % WORKERS != (uint64_t)cut->worker)
        return true;
    cut->me->states++;
    cut->me->cut = cut->number;
    cut->me->choice = cut->made;
    hash = disk_build(cut->disk, &cut->choice, cut->folder) ^ mix(cut->disk->mark);
    if (!fresh(cut->seen, hash))
        return true;
    cut->me->checked++;
    cut->found++;
    if (subject.check(cut->folder, cut->disk->mark, complaint) != 0) {
        (void)snprintf(cut->me->complaint, COMPLAINT_SIZE, "%s", complaint);
        cut->me->failed = true;
        return false;
    }
    return true;
}

static void fates_all(struct cut *cut, enum fate fate)
{
    memset(cut->fates, (int)fate, cut->disk->pending_count);
    cut->choice.naming = fate == FATE_LOST ? 0 : cut->disk->naming_count;
}

/* The regular states: what simple disks do. */
static bool regular(struct cut *cut)
{
    size_t n = cut->disk->pending_count;

    fates_all(cut, FATE_KEPT);
    if (!try(cut))
        return false;
    fates_all(cut, FATE_LOST);
    if (!try(cut))
        return false;
    for (size_t i = 0; i < n; i++) {
        static const enum fate base[] = {FATE_LOST, FATE_KEPT};
        static const enum fate other[2][2] = {{FATE_KEPT, FATE_TORN},
                                              {FATE_LOST, FATE_TORN}};

        for (int b = 0; b < 2; b++)
            for (int o = 0; o < 2; o++) {
                fates_all(cut, base[b]);
                cut->choice.naming = cut->disk->naming_count;
                cut->choice.torn = mix(options.seed ^ cut->number << 20 ^ i);
                cut->fates[i] = (uint8_t)other[b][o];
                if (!try(cut))
                    return false;
            }
    }
    return true;
}

static bool exhaustive(struct cut *cut)
{
    size_t n = cut->disk->pending_count, names = cut->disk->naming_count;

    for (size_t naming = 0; naming <= names; naming++)
        for (uint64_t subset = 0; subset < UINT64_C(1) << n; subset++) {
            for (size_t i = 0; i < n; i++)
                cut->fates[i] = (subset >> i & 1) != 0 ? FATE_KEPT : FATE_LOST;
            cut->choice.naming = naming;
            if (!try(cut))
                return false;
        }
    return true;
}

static void by_chance(struct cut *cut)
{
    size_t n = cut->disk->pending_count, names = cut->disk->naming_count;

    if (n + names == 0)
        return;
    for (uint64_t k = 0;; k++) {
        uint64_t r = mix(options.seed ^ mix(cut->number) ^ k);

        for (size_t i = 0; i < n; i++) {
            uint64_t d = mix(r ^ i) % 10;
            cut->fates[i] = d < 4 ? FATE_KEPT : d < 8 ? FATE_LOST : FATE_TORN;
        }
        cut->choice.naming = names > 0 ? mix(r) % (names + 1) : 0;
        cut->choice.torn = r;
        if (!try(cut))
            return;
    }
}

static void cut_at(struct cut *cut)
{
    if (cut->disk->pending_count > PENDING_MAX) {
        (void)fprintf(stderr, "too many writes without a sync\n");
        abort();
    }
    cut->choice = (struct choice){.fates = cut->fates, .naming = cut->disk->naming_count};
    if (!regular(cut))
        return;
    if (cut->disk->pending_count <= EXHAUSTIVE_MAX && !exhaustive(cut))
        return;
    by_chance(cut);
}

/* --- a round --- */

static uint64_t cuts_of(const struct recording *recording)
{
    uint64_t cuts = 1;

    for (size_t i = 0; i < recording->count; i++)
        cuts += recording->events[i].kind != EVENT_SYNC_WRITE;
    return cuts;
}

/* Cuts before the first event and after each. An O_DSYNC write counts as in the air until
 * the next instant. Instants with nothing in the air have one state; what they leave of
 * the budget goes to the later ones. */
static void worker_run(int worker, struct disk *disk, const struct recording *recording,
                       uint64_t states)
{
    char folder[300];
    uint64_t cuts = cuts_of(recording), spent = 0, number = 0;
    struct cut *cut = calloc(1, sizeof(*cut));
    uint64_t *seen = calloc(SEEN_SIZE, sizeof(*seen));

    (void)snprintf(folder, sizeof(folder), "%s/cut%d", scratch, worker);
    if (cut == NULL || seen == NULL || mkdir(folder, 0700) != 0)
        abort();
    cut->disk = disk;
    cut->me = &shared->workers[worker];
    cut->worker = worker;
    cut->folder = folder;
    cut->seen = seen;
    for (size_t i = 0; i <= recording->count && !cut->me->failed; i++) {
        if (i == recording->count || recording->events[i].kind != EVENT_SYNC_WRITE) {
            cut->number = number++;
            cut->made = cut->found = 0;
            cut->budget = (states / WORKERS - spent) / (cuts - cut->number) + 1;
            cut_at(cut);
            spent += cut->found < states / WORKERS - spent ? cut->found
                                                           : states / WORKERS - spent;
        }
        if (i < recording->count)
            disk_pass(disk, &recording->events[i]);
    }
    free(seen);
    free(cut);
}

/* Copies the files of a folder; both exist. */
static void folder_copy(const char *from, const char *to)
{
    struct disk disk;
    uint8_t none[1] = {0};
    struct choice all = {.fates = none};

    (void)disk_load(&disk, from);
    (void)disk_build(&disk, &all, to);
    disk_free(&disk);
}

/* Forks the workers over one recording. Returns 0, or -1 if a promise was broken or a
 * worker crashed. */
static int round_check(const char *start, const struct recording *recording,
                       uint64_t states)
{
    pid_t pids[WORKERS];
    int result = 0;

    (void)fflush(stdout);
    for (int w = 0; w < WORKERS; w++) {
        if ((pids[w] = fork()) == 0) {
            struct disk disk;
            char log[300];

            /* What the subject's own logs say of broken states is of no interest. */
            (void)snprintf(log, sizeof(log), "%s/worker%d.log", scratch, w);
            if (freopen(log, "w", stderr) == NULL)
                _exit(2);
            (void)disk_load(&disk, start);
            worker_run(w, &disk, recording, states);
            disk_free(&disk);
            _exit(0);
        }
    }
    for (int w = 0; w < WORKERS; w++) {
        struct worker *me = &shared->workers[w];
        char folder[300];
        int status;

        while (waitpid(pids[w], &status, 0) < 0 && errno == EINTR)
            ;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            me->failed = true;
            (void)snprintf(me->complaint, COMPLAINT_SIZE, "the process died (status %x)",
                           (unsigned)status);
        }
        if (me->failed) {
            (void)printf("%s: cut %" PRIu64 " state %" PRIu64 ": %s\n", subject.name,
                         me->cut, me->choice, me->complaint);
            result = -1;
        }
        (void)snprintf(folder, sizeof(folder), "%s/cut%d", scratch, w);
        if (result == 0)
            folder_copy("/nonexistent", folder);
        (void)rmdir(folder);
    }
    return result;
}

/* A state that a cut of this recording may leave: where the next round begins. */
static void pick_state(const char *start, const struct recording *recording,
                       uint64_t seed, const char *folder)
{
    struct disk disk;
    static uint8_t fates[PENDING_MAX];
    struct choice choice = {.fates = fates};
    size_t at = recording->count / 2 + mix(seed) % (recording->count / 2 + 1);

    (void)disk_load(&disk, start);
    for (size_t i = 0; i < at; i++)
        disk_pass(&disk, &recording->events[i]);
    for (size_t i = 0; i < disk.pending_count; i++)
        fates[i] = (uint8_t)(mix(seed ^ i) % 3);
    choice.naming = disk.naming_count;
    choice.torn = seed;
    (void)disk_build(&disk, &choice, folder);
    disk_free(&disk);
}

static int run_rounds(void)
{
    char start[300], copy[300], work[300];
    int result = 0;

    (void)snprintf(start, sizeof(start), "%s/start", scratch);
    (void)snprintf(copy, sizeof(copy), "%s/copy", scratch);
    (void)snprintf(work, sizeof(work), "%s/work", scratch);
    if (mkdir(start, 0700) != 0 || mkdir(copy, 0700) != 0 || mkdir(work, 0700) != 0)
        return -1;
    for (int round = 0; round < options.rounds && result == 0; round++) {
        struct recording recording;
        struct disk disk;
        const char *const *names;

        folder_copy(start, copy);
        subject.baseline(round == 0 ? NULL : copy, round);
        folder_copy(start, work);
        names = disk_load(&disk, start);
        recorder_lie = options.unsynced && round > 0;
        recorder_start(work, names);
        result = subject.work(work, options.batches);
        recording = recorder_stop();
        recorder_lie = false;
        disk_free(&disk);
        if (result == 0) {
            (void)printf("%s: round %d: %zu events, %" PRIu64 " cuts\n", subject.name,
                         round, recording.count, cuts_of(&recording));
            result =
                round_check(start, &recording, options.states / (uint64_t)options.rounds);
            pick_state(start, &recording, mix(options.seed + (uint64_t)round), copy);
            folder_copy(copy, start);
        }
        recording_free(&recording);
    }
    return result;
}

static void options_read(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--unsynced") == 0) {
            options.unsynced = true;
            continue;
        }
        if (i + 1 == argc) {
            (void)fprintf(stderr,
                          "usage: %s [--states N] [--seed S] [--rounds N] [--batches N] "
                          "[--unsynced]\n",
                          argv[0]);
            exit(64);
        }
        uint64_t value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--states") == 0)
            options.states = value;
        else if (strcmp(argv[i], "--seed") == 0)
            options.seed = value;
        else if (strcmp(argv[i], "--rounds") == 0)
            options.rounds = (int)value;
        else if (strcmp(argv[i], "--batches") == 0)
            options.batches = (int)value;
        i++;
    }
}

int main(int argc, char **argv)
{
    struct timespec from, to;
    uint64_t made = 0, checked = 0;
    double took;
    int result;

    options_read(argc, argv);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    /* Memory if there is any to use: the states are as many as a disk sees in years. */
    (void)snprintf(scratch, sizeof(scratch), "%s/wardgate-power-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                   : getenv("TMPDIR") != NULL    ? getenv("TMPDIR")
                                                 : "/tmp");
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mkdtemp(scratch) == NULL || shared == MAP_FAILED)
        return 1;
    (void)printf("%s: seed %" PRIu64 "%s\n", subject.name, options.seed,
                 options.unsynced ? ", syncs swallowed" : "");
    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    subject.begin(scratch, options.rounds * options.batches);
    result = run_rounds();
    (void)clock_gettime(CLOCK_MONOTONIC, &to);
    took = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
    for (int w = 0; w < WORKERS; w++) {
        made += shared->workers[w].states;
        checked += shared->workers[w].checked;
    }
    (void)printf("%s: %" PRIu64 " crash states, %" PRIu64
                 " different ones checked in %.1f s: %s\n",
                 subject.name, made, checked, took,
                 result == 0 ? "every promise held" : "a promise was broken");
    temporary_remove(scratch);
    return options.unsynced ? result == 0 : result != 0;
}
