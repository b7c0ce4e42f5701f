/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs programs for the tests of the tool, and a real mosquitto.
 */
#ifndef TESTS_UNIT_TOOL_RUN_H
#define TESTS_UNIT_TOOL_RUN_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "temporary.h"

#define RUN_ARGUMENTS_MAX 40
#define RUN_OUTPUT_SIZE   65536

static char run_output[RUN_OUTPUT_SIZE]; /* stdout and stderr of the last run() */
static char run_folder[256];             /* where programs run */

/* execvp wants char * and writes to none of it. */
static inline char *mutable_text(const char *text)
{
    union {
        const char *in;
        char *out;
    } view = {.in = text};

    return view.out;
}

static inline pid_t run_start(char *const argv[], int output)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (chdir(run_folder) != 0)
            _exit(126);
        (void)dup2(output, STDOUT_FILENO);
        (void)dup2(output, STDERR_FILENO);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* Runs argv to its end; returns its exit code, or -1. */
static inline int run_vector(char *const argv[])
{
    size_t got = 0;
    int ends[2], status;
    pid_t pid;

    run_output[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0 || (pid = run_start(argv, ends[1])) < 0)
        return -1;
    (void)close(ends[1]);
    for (;;) {
        ssize_t n = read(ends[0], run_output + got, sizeof(run_output) - 1 - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    run_output[got] = '\0';
    (void)close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

/* run("wardgate", "pki", ..., NULL); "wardgate" stands for the program under test. */
static inline int run(const char *program, ...)
{
    char *argv[RUN_ARGUMENTS_MAX] = {
        mutable_text(strcmp(program, "wardgate") == 0 ? WARDGATE_TOOL : program)};
    va_list arguments;
    int n = 1;

    va_start(arguments, program);
    while (n < RUN_ARGUMENTS_MAX - 1 && (argv[n] = va_arg(arguments, char *)) != NULL)
        n++;
    va_end(arguments);
    return run_vector(argv);
}

/* A port that was free a moment ago. */
static inline unsigned free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        address.sin_port = 0;
    (void)close(fd);
    return ntohs(address.sin_port);
}

static inline void pause_ms(long ms)
{
    (void)nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

/* Waits until something listens on a port of this machine, 10 s at most. */
static inline int await_port(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};

    for (int i = 0; i < 500; i++, pause_ms(20)) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int result = connect(fd, (struct sockaddr *)&address, sizeof(address));
        (void)close(fd);
        if (result == 0)
            return 0;
    }
    return -1;
}

/* Starts a broker with the configuration file; its log goes to LOG in the folder. Returns
 * its pid, or -1. */
static inline pid_t broker_start(const char *conf, unsigned port)
{
    char path[300],
        *argv[] = {(char[]){"mosquitto"}, (char[]){"-c"}, mutable_text(conf), NULL};
    pid_t pid;
    int log;

    (void)snprintf(path, sizeof(path), "%s/broker.log", run_folder);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    pid = run_start(argv, log);
    (void)close(log);
    if (pid > 0 && await_port(port) != 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return -1;
    }
    return pid;
}

static inline void process_end(pid_t pid)
{
    if (pid <= 0)
        return;
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
}

#endif
