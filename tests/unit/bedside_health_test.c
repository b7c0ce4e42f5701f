/* SPDX-License-Identifier: Apache-2.0
 *
 * What systemd is told, heard on a socket of the test's own: the watchdog is fed by
 * progress alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bedside/daemon.h"
#include "tests/unit/temporary.h"

static char folder[256];
static int manager;
static struct daemon *daemon_;

static int setup(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    (void)state;
    if (temporary_folder(folder) != 0)
        return -1;
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/notify", folder);
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(manager, (struct sockaddr *)&address, sizeof(address)) != 0)
        return -1;
    (void)setenv("NOTIFY_SOCKET", address.sun_path, 1);
    (void)setenv("WATCHDOG_USEC", "100000", 1);
    (void)unsetenv("WATCHDOG_PID");
    daemon_ = calloc(1, sizeof(*daemon_));
    return daemon_ != NULL && sd_event_new(&daemon_->loop) >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    health_close(daemon_);
    (void)sd_event_unref(daemon_->loop);
    free(daemon_);
    close(manager);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("WATCHDOG_USEC");
    temporary_remove(folder);
    return 0;
}

/* All that was said since the last time, one message a line. */
static const char *heard(void)
{
    static char all[4096];
    size_t used = 0;
    ssize_t n;

    while (used < sizeof(all) - 2 &&
           (n = recv(manager, all + used, sizeof(all) - used - 2, 0)) > 0) {
        used += (size_t)n;
        all[used++] = '\n';
    }
    all[used] = '\0';
    return all;
}

static void says_ready_and_stopping(void **state)
{
    const char *text;

    (void)state;
    health_ready(daemon_);
    text = heard();
    assert_non_null(strstr(text, "READY=1"));
    assert_non_null(strstr(text, "STATUS=0 of 0 devices answer; STORE SHUT"));
    health_reloading(daemon_);
    text = heard();
    assert_non_null(strstr(text, "RELOADING=1"));
    assert_non_null(strstr(text, "MONOTONIC_USEC="));
    health_stopping(daemon_);
    assert_non_null(strstr(heard(), "STOPPING=1"));
}

static void feeds_the_watchdog_by_progress_alone(void **state)
{
    (void)state;
    assert_true(health_open(daemon_) >= 0);
    (void)heard();
    daemon_->progress = 1;
    assert_true(sd_event_run(daemon_->loop, 2000000) >= 0);
    assert_non_null(strstr(heard(), "WATCHDOG=1"));
    /* The loop turns, and nothing is done: it starves. */
    for (int i = 0; i < 3; i++) {
        assert_true(sd_event_run(daemon_->loop, 2000000) > 0);
        assert_null(strstr(heard(), "WATCHDOG=1"));
    }
    daemon_->progress = 5;
    assert_true(sd_event_run(daemon_->loop, 2000000) > 0);
    assert_non_null(strstr(heard(), "WATCHDOG=1"));
}

static void is_silent_without_a_manager(void **state)
{
    (void)state;
    (void)unsetenv("NOTIFY_SOCKET");
    assert_int_equal(health_open(daemon_), 0);
    assert_null(daemon_->watchdog);
    health_ready(daemon_);
    assert_string_equal(heard(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_ready_and_stopping, setup, teardown),
        cmocka_unit_test_setup_teardown(feeds_the_watchdog_by_progress_alone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(is_silent_without_a_manager, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
