/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate pki` from nothing to a revoked board, with a real mosquitto and mosquitto's
 * own clients.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "tool_run.h"

static unsigned port;
static char port_text[8];
static pid_t broker = -1;

static int setup(void **state)
{
    (void)state;
    if (temporary_folder(run_folder) != 0)
        return -1;
    port = free_port();
    (void)snprintf(port_text, sizeof(port_text), "%u", port);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    process_end(broker);
    temporary_remove(run_folder);
    return 0;
}

#define EXPECT(code, ...)                                                                \
    do {                                                                                 \
        int got_ = run(__VA_ARGS__, NULL);                                               \
        if (got_ != (code))                                                              \
            fail_msg("%s:%d: exit %d, expected %d: %s", __FILE__, __LINE__, got_, code,  \
                     run_output);                                                        \
    } while (0)

static unsigned mode_of(const char *name)
{
    char path[400];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/%s", run_folder, name);
    return stat(path, &st) == 0 ? st.st_mode & 07777 : 0;
}

static void test_make_a_site(void **state)
{
    (void)state;
    EXPECT(0, "wardgate", "pki", "init", "site", "--site", "homerton");
    EXPECT(0, "wardgate", "pki", "broker", "site", "localhost", "127.0.0.1");
    EXPECT(0, "wardgate", "pki", "chart", "site", "chart-1");
    EXPECT(0, "wardgate", "pki", "board", "site", "bay-1");
    EXPECT(0, "wardgate", "pki", "csr", "on-board", "bay-2", "--site", "homerton");
    EXPECT(0, "wardgate", "pki", "sign", "site", "bay-2", "on-board/request.pem");
    EXPECT(0, "wardgate", "pki", "broker-config", "site", "--port", port_text, "--listen",
           "127.0.0.1", "--user", "root");
    EXPECT(0, "wardgate", "pki", "list", "site");
    assert_int_equal(mode_of("site"), 0700);
    assert_int_equal(mode_of("site/clients/ca.key"), 0600);
    assert_int_equal(mode_of("site/servers/ca.key"), 0600);
    assert_int_equal(mode_of("site/boards/bay-1/key.pem"), 0600);
    assert_int_equal(mode_of("on-board/key.pem"), 0600);
    assert_int_equal(mode_of("site/boards/bay-2/key.pem"), 0); /* never left its board */
    assert_int_equal(mode_of("site/pki.json"), 0600);

    EXPECT(0, "openssl", "verify", "-x509_strict", "-crl_check", "-CAfile",
           "site/clients/ca.pem", "-CRLfile", "site/clients/crl.pem", "-purpose",
           "sslclient", "site/boards/bay-1/cert.pem", "site/boards/bay-2/cert.pem",
           "site/charts/chart-1/cert.pem");
    EXPECT(0, "openssl", "verify", "-x509_strict", "-crl_check", "-CAfile",
           "site/boards/bay-1/ca.pem", "-CRLfile", "site/boards/bay-1/crl.pem",
           "-purpose", "sslserver", "-verify_hostname", "localhost",
           "site/broker/cert.pem");
    /* What a board has makes it no server, and the other authority's nothing at all. */
    EXPECT(2, "openssl", "verify", "-CAfile", "site/servers/ca.pem",
           "site/boards/bay-1/cert.pem");

    /* Asking again on the board keeps its key. */
    EXPECT(0, "cp", "on-board/key.pem", "key.before");
    EXPECT(0, "wardgate", "pki", "csr", "on-board", "bay-2", "--site", "homerton");
    EXPECT(0, "cmp", "on-board/key.pem", "key.before");
}

static void test_refusals(void **state)
{
    (void)state;
    EXPECT(64, "wardgate", "pki", "init", "site", "--site",
           "homerton"); /* would orphan every board */
    EXPECT(64, "wardgate", "pki", "init", "other");
    EXPECT(64, "wardgate", "pki", "init", "other", "--site", "No Name");
    EXPECT(64, "wardgate", "pki", "board", "site", "chart-1"); /* a chart's name */
    EXPECT(64, "wardgate", "pki", "board", "site", "Bay 1");
    EXPECT(64, "wardgate", "pki", "board", "site", "../x");
    EXPECT(64, "wardgate", "pki", "board", "site");
    EXPECT(64, "wardgate", "pki", "board", "site", "bay-9", "--days", "0");
    EXPECT(64, "wardgate", "pki", "board", "site", "bay-9", "--days", "ten");
    EXPECT(64, "wardgate", "pki", "board", "site", "bay-9", "--dayz", "5");
    EXPECT(64, "wardgate", "pki", "board", "site", "bay-9", "--days");
    EXPECT(78, "wardgate", "pki", "sign", "site", "bay-3",
           "on-board/request.pem"); /* asks for bay-2 */
    EXPECT(78, "wardgate", "pki", "sign", "site", "bay-2", "site/pki.json");
    EXPECT(74, "wardgate", "pki", "sign", "site", "bay-2", "absent.pem");
    EXPECT(78, "wardgate", "pki", "board", ".", "bay-1"); /* no PKI there */
    EXPECT(74, "wardgate", "pki", "board", "absent", "bay-1");
    EXPECT(64, "wardgate", "pki", "revoke", "site", "never-seen");
    EXPECT(64, "wardgate", "pki", "renew", "site", "never-seen");
    EXPECT(64, "wardgate", "pki", "frobnicate", "site");
    EXPECT(64, "wardgate", "pki");
    EXPECT(0, "wardgate", "pki", "--help");
    EXPECT(78, "wardgate", "pki", "broker", "site", "*.homerton.local");
    EXPECT(64, "wardgate", "pki", "broker-config", "site", "--port", "70000");
    EXPECT(0, "wardgate", "pki", "list", "site", "--json");
    assert_null(strstr(run_output, "bay-9")); /* nothing refused was issued */
    printf("20 wrong calls refused\n");
}

/* mosquitto_pub as that party; returns what it says. */
static const char *publish(const char *cert, const char *key, const char *topic)
{
    (void)run("mosquitto_pub", "-V", "mqttv5", "-h", "localhost", "-p", port_text,
              "--cafile", "site/servers/ca.pem", "--cert", cert, "--key", key, "-t",
              topic, "-m", "x", "-q", "1", "-d", NULL);
    return run_output;
}
#define BAY1  "site/boards/bay-1/cert.pem", "site/boards/bay-1/key.pem"
#define BAY2  "site/boards/bay-2/cert.pem", "on-board/key.pem"
#define CHART "site/charts/chart-1/cert.pem", "site/charts/chart-1/key.pem"
#define ALLOWED(text)                                                                    \
    (strstr(text, "received PUBACK") != NULL && strstr(text, "RC:135") == NULL)
#define DENIED(text) (strstr(text, "RC:135") != NULL)

static void test_who_may_say_what(void **state)
{
    (void)state;
    EXPECT(0, "wardgate", "check", "broker", "--conf", "site/broker/mosquitto.conf");
    broker = broker_start("site/broker/mosquitto.conf", port);
    assert_true(broker > 0);
    assert_true(ALLOWED(publish(BAY1, "wardgate/1/homerton/bay-1/up")));
    assert_true(ALLOWED(publish(BAY1, "wardgate/1/homerton/bay-1/state")));
    assert_true(DENIED(publish(BAY1, "wardgate/1/homerton/bay-2/up")));
    assert_true(DENIED(
        publish(BAY1,
                "wardgate/1/homerton/bay-1/down/receipt"))); /* receipts for itself */
    assert_true(DENIED(publish(BAY1, "wardgate/1/other/bay-1/up")));
    assert_true(DENIED(publish(BAY1, "anything")));
    assert_true(ALLOWED(publish(BAY2, "wardgate/1/homerton/bay-2/up")));
    assert_true(ALLOWED(publish(CHART, "wardgate/1/homerton/bay-1/down/receipt")));
    assert_true(ALLOWED(publish(CHART, "wardgate/1/homerton/bay-2/down/order")));
    assert_true(DENIED(publish(CHART, "wardgate/1/homerton/bay-1/up")));
    assert_true(DENIED(publish(CHART, "wardgate/1/homerton/chart-1/up")));
    /* Without a certificate there is not even a CONNACK. */
    assert_int_not_equal(run("mosquitto_pub", "-V", "mqttv5", "-h", "localhost", "-p",
                             port_text, "--cafile", "site/servers/ca.pem", "-t",
                             "wardgate/1/homerton/bay-1/up", "-m", "x", "-q", "1", "-d",
                             NULL),
                         0);
    assert_null(strstr(run_output, "CONNACK (0)"));
}

static void test_check_live(void **state)
{
    (void)state;
    EXPECT(0, "wardgate", "pki", "board", "site", "check");
    EXPECT(0, "wardgate", "check", "broker", "--host", "localhost", "--port", port_text,
           "--site", "homerton", "--ca", "site/boards/check/ca.pem", "--cert",
           "site/boards/check/cert.pem", "--key", "site/boards/check/key.pem");
    assert_string_equal(run_output, "4 good, 0 to be put right\n");
    EXPECT(1, "wardgate", "check", "broker", "--host", "127.1", "--port", port_text,
           "--site", "homerton", "--ca", "site/boards/check/ca.pem", "--cert",
           "site/boards/check/cert.pem", "--key", "site/boards/check/key.pem");
}

/* One command: the open connection is silenced, and no new one is let in. */
static void test_revoke_cuts_off(void **state)
{
    char pid[16], *argv[] = {(char[]){"mosquitto_pub"},
                             (char[]){"-V"},
                             (char[]){"mqttv5"},
                             (char[]){"-h"},
                             (char[]){"localhost"},
                             (char[]){"-p"},
                             port_text,
                             (char[]){"--cafile"},
                             (char[]){"site/servers/ca.pem"},
                             (char[]){"--cert"},
                             (char[]){"site/boards/bay-1/cert.pem"},
                             (char[]){"--key"},
                             (char[]){"site/boards/bay-1/key.pem"},
                             (char[]){"-t"},
                             (char[]){"wardgate/1/homerton/bay-1/up"},
                             (char[]){"-q"},
                             (char[]){"1"},
                             (char[]){"-l"},
                             NULL};
    char said[4096] = "";
    int lines[2], output[2];
    size_t got = 0;
    pid_t board;

    (void)state;
    assert_int_equal(pipe2(lines, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC | O_NONBLOCK), 0);
    board = fork();
    assert_true(board >= 0);
    if (board == 0) {
        (void)dup2(lines[0], STDIN_FILENO);
        (void)dup2(output[1], STDOUT_FILENO);
        (void)dup2(output[1], STDERR_FILENO);
        if (chdir(run_folder) == 0)
            (void)execvp(argv[0], argv);
        _exit(127);
    }
    (void)close(lines[0]);
    assert_int_equal(write(lines[1], "before\n", 7), 7);
    pause_ms(1000);
    assert_true(read(output[0], said, sizeof(said)) <=
                0); /* no complaint: it went through */

    (void)snprintf(pid, sizeof(pid), "%d", (int)broker);
    EXPECT(0, "wardgate", "pki", "revoke", "site", "bay-1", "--broker-pid", pid);
    for (int i = 0; i < 200 && strstr(said, "Not authorized") == NULL; i++) {
        ssize_t n;
        (void)!write(lines[1], "after\n", 6);
        pause_ms(50);
        if ((n = read(output[0], said + got, sizeof(said) - 1 - got)) > 0)
            got += (size_t)n;
    }
    assert_non_null(strstr(said, "Not authorized"));
    (void)close(lines[1]);
    (void)kill(board, SIGTERM);
    (void)waitpid(board, NULL, 0);
    (void)close(output[0]);
    (void)close(output[1]);

    assert_false(ALLOWED(publish(BAY1, "wardgate/1/homerton/bay-1/up")));
    assert_null(strstr(run_output, "CONNACK (0)")); /* refused by TLS, not by the ACL */
    assert_true(ALLOWED(
        publish(BAY2, "wardgate/1/homerton/bay-2/up"))); /* the others are unhurt */

    /* Renewal is for those in good standing; a new key of the same name is a new start.
     */
    EXPECT(64, "wardgate", "pki", "renew", "site", "bay-1");
    EXPECT(0, "wardgate", "pki", "board", "site", "bay-1");
    assert_int_equal(kill(broker, SIGHUP), 0);
    for (int i = 0; i < 100 && !ALLOWED(publish(BAY1, "wardgate/1/homerton/bay-1/up"));
         i++)
        pause_ms(50);
    assert_true(ALLOWED(run_output));
}

static void test_revoke_must_reach_the_broker(void **state)
{
    char pid[16];

    (void)state;
    EXPECT(1, "wardgate", "pki", "revoke", "site", "check");
    assert_non_null(strstr(run_output, "the broker does not know yet"));
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    EXPECT(69, "wardgate", "pki", "revoke", "site", "check", "--broker-pid",
           pid); /* not a broker */
    EXPECT(69, "wardgate", "pki", "revoke", "site", "check", "--", "false");
    EXPECT(0, "wardgate", "pki", "revoke", "site", "check", "--", "true");
    EXPECT(0, "openssl", "crl", "-in", "site/clients/crl.pem", "-CAfile",
           "site/clients/ca.pem", "-noout");
}

static void test_renewal(void **state)
{
    (void)state;
    EXPECT(0, "wardgate", "pki", "renew", "site", "bay-2", "--days", "20");
    EXPECT(1, "wardgate", "pki", "list", "site"); /* ends soon */
    assert_non_null(strstr(run_output, "ends soon"));
    EXPECT(0, "wardgate", "pki", "renew", "site", "broker");
    EXPECT(0, "openssl", "verify", "-CAfile", "site/servers/ca.pem", "-verify_hostname",
           "localhost", "site/broker/cert.pem"); /* its hosts came along */
    EXPECT(0, "wardgate", "pki", "renew", "site", "bay-2");
    assert_int_equal(kill(broker, SIGHUP), 0);
    assert_true(ALLOWED(publish(BAY2, "wardgate/1/homerton/bay-2/up")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_make_a_site),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_who_may_say_what),
        cmocka_unit_test(test_check_live),
        cmocka_unit_test(test_revoke_cuts_off),
        cmocka_unit_test(test_revoke_must_reach_the_broker),
        cmocka_unit_test(test_renewal),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
