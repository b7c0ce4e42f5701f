/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/link_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

void rig_open(struct rig *rig)
{
    const char *temporary = getenv("TMPDIR");

    snprintf(rig->folder, sizeof(rig->folder), "%s/wardgate-link.XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    assert_non_null(mkdtemp(rig->folder));
    assert_true(sd_event_new(&rig->loop) >= 0);
}

static int remove_one(const char *path, const struct stat *status, int kind,
                      struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    return remove(path);
}

void rig_close(struct rig *rig)
{
    rig->loop = sd_event_unref(rig->loop);
    nftw(rig->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *rig_path(const struct rig *rig, const char *name)
{
    static char paths[8][RIG_PATH_SIZE * 2];
    static unsigned next;
    char *path = paths[next++ % 8];

    snprintf(path, sizeof(paths[0]), "%s/%s", rig->folder, name);
    return path;
}

void rig_write(const struct rig *rig, const char *name, const char *text)
{
    FILE *file = fopen(rig_path(rig, name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

pid_t rig_start(const char *const argv[], int *out)
{
    int ends[2] = {-1, -1};
    pid_t pid;

    if (out != NULL)
        assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        /* A test that crashes takes its children with it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(null, STDIN_FILENO);
        dup2(out != NULL ? ends[1] : null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execvp(argv[0], (char *const *)argv);
        _exit(127);
    }
    if (out != NULL) {
        close(ends[1]);
        *out = ends[0];
    }
    return pid;
}

void rig_end(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGKILL);
    while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *pid = 0;
}

bool rig_until(struct rig *rig, bool (*holds)(void *context), void *context)
{
    uint64_t end_us = clock_monotonic_us() + RIG_PATIENCE_MS * (uint64_t)US_PER_MS;

    while (!holds(context) && clock_monotonic_us() < end_us)
        assert_true(sd_event_run(rig->loop, 20 * US_PER_MS) >= 0);
    return holds(context);
}

void rig_turn(struct rig *rig, unsigned ms)
{
    uint64_t end_us = clock_monotonic_us() + ms * (uint64_t)US_PER_MS;

    while (clock_monotonic_us() < end_us)
        assert_true(sd_event_run(rig->loop, 5 * US_PER_MS) >= 0);
}

const char *rig_broker_socket(const struct rig *rig)
{
    return rig_path(rig, "broker");
}

static bool answers(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good;

    assert_true(fd >= 0);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    good = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return good;
}

pid_t rig_broker(struct rig *rig, const char *more)
{
    const struct passwd *user = getpwuid(getuid());
    const char *const argv[] = {"mosquitto", "-c", rig_path(rig, "broker.conf"), NULL};
    char conf[2048];
    pid_t pid;

    assert_non_null(user);
    snprintf(conf, sizeof(conf),
             "listener 0 %s\nallow_anonymous true\npersistence false\nuser %s\n%s",
             rig_broker_socket(rig), user->pw_name, more);
    rig_write(rig, "broker.conf", conf);
    unlink(rig_broker_socket(rig));
    pid = rig_start(argv, NULL);
    for (int i = 0; i < RIG_PATIENCE_MS / 10 && !answers(rig_broker_socket(rig)); i++)
        usleep(10000);
    assert_true(answers(rig_broker_socket(rig)));
    return pid;
}
