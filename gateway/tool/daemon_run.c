/* SPDX-License-Identifier: Apache-2.0
 *
 * See daemon_run.h.
 */
#include "tool/daemon_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool/tool.h"

#define PATH_SIZE 1200
#define NOT_THERE 127

/* execv takes char * and writes to none of it. */
static char *mutable_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } view = {.in = text};

    return view.out;
}

/* In the child. The one beside this program is of the same version. */
static void become(const char *daemon, const char *const *words)
{
    char self[1024], path[PATH_SIZE], *slash, *argv[DAEMON_WORDS_MAX + 2] = {path};
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    for (size_t i = 0; words[i] != NULL && i < DAEMON_WORDS_MAX; i++)
        argv[i + 1] = mutable_text(words[i]);
    self[n > 0 ? n : 0] = '\0';
    if ((slash = strrchr(self, '/')) != NULL) {
        *slash = '\0';
        (void)snprintf(path, sizeof(path), "%s/%s", self, daemon);
        (void)execv(path, argv);
        /* The package has the daemons in sbin. */
        (void)snprintf(path, sizeof(path), "%s/../sbin/%s", self, daemon);
        (void)execv(path, argv);
    }
    (void)snprintf(path, sizeof(path), "%s", daemon);
    (void)execvp(path, argv);
    _exit(NOT_THERE);
}

int daemon_run(const char *daemon, const char *const *words, char *out, size_t size)
{
    int ends[2] = {-1, -1}, status = 0;
    size_t got = 0;
    pid_t pid;

    (void)fflush(stdout);
    if (out != NULL && pipe2(ends, O_CLOEXEC) != 0)
        return tool_fail(-1, "%s: %s", daemon, strerror(errno));
    if ((pid = fork()) == 0) {
        if (out != NULL)
            (void)dup2(ends[1], STDOUT_FILENO);
        become(daemon, words);
    }
    if (out != NULL) {
        (void)close(ends[1]);
        while (pid > 0 && got + 1 < size) {
            ssize_t n = read(ends[0], out + got, size - 1 - got);
            if (n == 0 || (n < 0 && errno != EINTR))
                break;
            got += n > 0 ? (size_t)n : 0;
        }
        out[got] = '\0';
        (void)close(ends[0]);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return tool_fail(-1, "%s could not be run", daemon);
    if (WEXITSTATUS(status) == NOT_THERE)
        return tool_fail(-1, "%s is neither beside this program nor on PATH", daemon);
    return WEXITSTATUS(status);
}
