/* SPDX-License-Identifier: Apache-2.0 */
#include "bedside/check_store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "bedside/daemon.h"

#define MARK    "suspect"
#define CHILD_S 900 /* a child that takes longer hangs in a loop of a damaged tree */

/* Only the handler of a fault uses it: a handler can be given nothing. */
static char mark_path[BEDSIDE_PATH_SIZE + 16];

static void on_fault(int number)
{
    int fd = open(mark_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    raise(number); /* SA_RESETHAND: the default now */
}

static void mark_faults(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_fault;
    action.sa_flags = (int)(SA_RESETHAND | SA_NODEFER);
    (void)sigaction(SIGBUS, &action, NULL);
    (void)sigaction(SIGABRT, &action, NULL);
#if !defined(__SANITIZE_ADDRESS__)
    (void)sigaction(SIGSEGV, &action,
                    NULL); /* a sanitizer wants to report these itself */
#endif
}

/* What a child found. */
struct answer {
    int result; /* enum store_error; 1: good */
    struct store_salvage report;
    char error[STORE_ERROR_SIZE];
};

/* Runs job in a child. False if it died of it. */
static bool in_child(struct daemon *daemon,
                     void (*job)(struct daemon *daemon, struct answer *answer),
                     struct answer *answer)
{
    const struct rlimit no_core = {0, 0};
    int ends[2], status = 0;
    ssize_t n;
    pid_t pid;

    memset(answer, 0, sizeof(*answer));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    if ((pid = fork()) == 0) {
        (void)setrlimit(RLIMIT_CORE,
                        &no_core); /* readings do not belong into a core file */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGBUS, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        (void)alarm(CHILD_S);
        job(daemon, answer);
        _exit(write(ends[1], answer, sizeof(*answer)) == (ssize_t)sizeof(*answer) ? 0
                                                                                  : 1);
    }
    close(ends[1]);
    n = pid > 0 ? read(ends[0], answer, sizeof(*answer)) : -1;
    close(ends[0]);
    if (pid > 0)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            continue;
    return n == (ssize_t)sizeof(*answer) && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void look(struct daemon *daemon, struct answer *answer)
{
    answer->result = store_probe(&daemon->store_config, access(mark_path, F_OK) == 0);
}

static void salvage(struct daemon *daemon, struct answer *answer)
{
    answer->result = store_salvage(&daemon->store_config, clock_utc_us(), &answer->report,
                                   answer->error);
}

/* Nothing could be brought over: the file is put aside, so that readings can be kept
 * again. */
static void put_aside(struct daemon *daemon)
{
    char from[BEDSIDE_PATH_SIZE + 16], to[BEDSIDE_PATH_SIZE + 64];

    (void)snprintf(from, sizeof(from), "%s/data.mdb", daemon->store_config.folder);
    (void)snprintf(to, sizeof(to), "%s.unreadable-%lld", from,
                   (long long)(clock_utc_us() / US_PER_S));
    if (rename(from, to) == 0)
        log_error("store: nothing could be salvaged; the file is kept as %s", to);
}

void check_store_mark(const struct daemon *daemon)
{
    int error = file_replace(mark_path, "broken\n", 7, 0600);

    (void)daemon;
    if (error != 0)
        log_error("%s: %s", mark_path, strerror(-error));
}

/* An empty mark was left by a fault, and is a reason to look at all; one with text is
 * sure. */
static bool marked_broken(void)
{
    struct stat st;

    return stat(mark_path, &st) == 0 && st.st_size > 0;
}

void check_store(struct daemon *daemon)
{
    struct answer answer;
    char data[BEDSIDE_PATH_SIZE + 16], error[STORE_ERROR_SIZE];

    (void)snprintf(mark_path, sizeof(mark_path), "%s/" MARK, daemon->store_config.folder);
    (void)snprintf(data, sizeof(data), "%s/data.mdb", daemon->store_config.folder);
    mark_faults();
    if (collect_key(daemon, error) != 0 ||
        (access(data, F_OK) != 0 &&
         !store_salvage_unfinished(daemon->store_config.folder)))
        return; /* nothing there to be damaged; the opening will say more */
    if (!marked_broken() && in_child(daemon, look, &answer) && answer.result == 1) {
        (void)unlink(mark_path);
        return;
    }
    log_error("store: it can't be read as it is; salvaging it record by record");
    if (!in_child(daemon, salvage, &answer)) {
        put_aside(daemon);
    } else if (answer.result != STORE_OK) {
        log_error("store: %s", answer.error);
        return; /* a full or failing disk: the next start tries again */
    } else {
        (void)snprintf(daemon->salvaged, sizeof(daemon->salvaged),
                       "%llu records brought over, %llu not found; old file kept",
                       (unsigned long long)answer.report.records,
                       (unsigned long long)answer.report.missing);
        log_warning("store: %s as %s", daemon->salvaged, answer.report.kept_as);
    }
    (void)unlink(mark_path);
}
