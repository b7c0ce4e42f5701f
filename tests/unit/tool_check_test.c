/* SPDX-License-Identifier: Apache-2.0
 *
 * `wardgate check`: every setting of a broker made wrong in turn.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tool_run.h"

static const char good[] = "allow_anonymous false\n"
                           "acl_file acl\n"
                           "persistence true\n"
                           "autosave_interval 10\n"
                           "max_queued_messages 0\n"
                           "max_queued_bytes 1000000\n"
                           "max_packet_size 131072\n"
                           "listener 8883\n"
                           "cafile a\n"
                           "certfile a\n"
                           "keyfile a\n"
                           "crlfile a\n"
                           "require_certificate true\n"
                           "use_identity_as_username true\n"
                           "use_username_as_clientid true\n"
                           "tls_version tlsv1.2\n";

/* A line that replaces the good one of its key (NULL: is left out), and what is then said
 * of it. */
static const struct {
    const char *key, *line, *said;
} cases[] = {
    {"allow_anonymous", "allow_anonymous true", "allow_anonymous true, expected false"},
    {"acl_file", NULL, "acl_file is missing, expected a file"},
    {"acl_file", "acl_file absent", "acl_file absent: No such file or directory"},
    {"persistence", NULL, "persistence false (preset), expected true"},
    {"persistence", "persistence false", "persistence false, expected true"},
    {"autosave_interval", NULL, "autosave_interval 1800 (preset), expected 1..300"},
    {"autosave_interval", "autosave_interval 0", "autosave_interval 0, expected 1..300"},
    {"max_queued_messages", NULL,
     "max_queued_messages 1000 (preset), expected 0 (no limit) or at least 100000"},
    {"max_queued_messages", "max_queued_messages 5000",
     "max_queued_messages 5000, expected"},
    {"max_queued_bytes", NULL, "max_queued_bytes 0 (preset), expected"},
    {"max_queued_bytes", "max_queued_bytes lots", "max_queued_bytes lots, expected"},
    {"max_packet_size", NULL, "max_packet_size 0 (preset), expected 1..1048576"},
    {"max_packet_size", "max_packet_size 2097152", "max_packet_size 2097152, expected"},
    {"listener", NULL, "listener is missing"},
    {"cafile", NULL,
     "cafile is missing, expected a file: without it the listener speaks without TLS"},
    {"certfile", NULL, "certfile is missing"},
    {"keyfile", NULL, "keyfile is missing"},
    {"keyfile", "keyfile nowhere", "keyfile nowhere: No such file or directory"},
    {"crlfile", NULL,
     "crlfile is missing, expected a file: without it a revoked board still gets in"},
    {"require_certificate", NULL, "require_certificate false (preset), expected true"},
    {"require_certificate", "require_certificate false",
     "require_certificate false, expected true"},
    {"use_identity_as_username", NULL,
     "use_identity_as_username false (preset), expected true"},
    {"use_username_as_clientid", NULL,
     "use_username_as_clientid false (preset), expected true"},
    {"tls_version", "tls_version tlsv1.1",
     "tls_version tlsv1.1, expected tlsv1.2 or tlsv1.3"},
    {"tls_version", "include_dir /etc/mosquitto/conf.d",
     "include_dir: the files there are not looked at"},
    {"tls_version", "per_listener_settings true",
     "per_listener_settings true: acl_file would have to stand"},
    {"tls_version", "listener 1883",
     ":16: cafile is missing"}, /* a second listener, in the clear */
};

static int setup(void **state)
{
    (void)state;
    if (temporary_folder(run_folder) != 0)
        return -1;
    return run("sh", "-c", "touch acl a", NULL);
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(run_folder);
    return 0;
}

static void put(const char *name, const char *text)
{
    char path[400];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", run_folder, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_each_wrong_setting(void **state)
{
    (void)state;
    put("good.conf", good);
    assert_int_equal(run("wardgate", "check", "broker", "--conf", "good.conf", NULL), 0);
    assert_string_equal(run_output, "15 good, 0 to be put right\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char conf[2048], key[64];
        const char *at, *end;
        (void)snprintf(key, sizeof(key), "%s ", cases[i].key);
        at = strstr(good, key);
        assert_non_null(at);
        end = strchr(at, '\n') + 1;
        (void)snprintf(conf, sizeof(conf), "%.*s%s%s%s", (int)(at - good), good,
                       cases[i].line != NULL ? cases[i].line : "",
                       cases[i].line != NULL ? "\n" : "", end);
        put("bad.conf", conf);
        if (run("wardgate", "check", "broker", "--conf", "bad.conf", NULL) != 1 ||
            strstr(run_output, cases[i].said) == NULL ||
            strstr(run_output, "bad.conf") == NULL)
            fail_msg("case %zu: %s", i, run_output);
    }
    printf("%zu wrong settings named\n", sizeof(cases) / sizeof(cases[0]));
}

static void test_comments_and_blanks(void **state)
{
    char conf[2048];

    (void)state;
    (void)snprintf(conf, sizeof(conf),
                   "# persistence false\n\n   \t\n%s\r\n#require_certificate false\n",
                   good);
    put("c.conf", conf);
    assert_int_equal(run("wardgate", "check", "broker", "--conf", "c.conf", "--json",
                         NULL),
                     0);
    assert_non_null(
        strstr(run_output,
               "{\"ok\":true,\"where\":\"c.conf:6\",\"text\":\"persistence true\"}"));
    put("empty.conf", "");
    assert_int_equal(run("wardgate", "check", "broker", "--conf", "empty.conf", NULL), 1);
    assert_int_equal(run("wardgate", "check", "broker", "--conf", "absent.conf", NULL),
                     74);
}

static void test_wrong_calls(void **state)
{
    (void)state;
    assert_int_equal(run("wardgate", "check", NULL), 64);
    assert_int_equal(run("wardgate", "check", "broker", NULL), 64);
    assert_int_equal(run("wardgate", "check", "broker", "--host", "localhost", NULL), 64);
    assert_int_equal(run("wardgate", "check", "broker", "--conf", "good.conf", "--port",
                         "x", NULL),
                     64);
    assert_int_equal(run("wardgate", "check", "config", NULL), 64);
    assert_int_equal(run("wardgate", "check", "colour", "x", NULL), 64);
    assert_int_equal(run("wardgate", "check", "profile", "absent.yaml", NULL), 74);
    put("bad.yaml", "nonsense: [\n");
    assert_int_equal(run("wardgate", "check", "profile", "bad.yaml", NULL), 78);
    assert_non_null(strstr(run_output, "bad.yaml:"));
    assert_int_equal(run("wardgate", NULL), 64);
    assert_int_equal(run("wardgate", "frobnicate", NULL), 64);
    assert_int_equal(run("wardgate", "--version", NULL), 0);
}

/* `check config` runs the daemon that stands beside the tool, and no other, with -t -c
 * FILE and no shell. */
static void test_config_asks_the_daemon(void **state)
{
    (void)state;
    assert_int_equal(run("cp", WARDGATE_TOOL, "wardgate", NULL), 0);
    put("wardgated", "#!/bin/sh\necho \"$0 $*\"\n[ \"$3\" != bad.yaml ] || exit 78\n");
    put("wardgate-chart", "#!/bin/sh\necho chart \"$*\"\nexit 1\n");
    assert_int_equal(run("chmod", "+x", "wardgated", "wardgate-chart", NULL), 0);
    assert_int_equal(run("./wardgate", "check", "config", "a b;$(id).yaml", NULL), 0);
    assert_non_null(strstr(run_output, "/wardgated -t -c a b;$(id).yaml\n"));
    assert_int_equal(run("./wardgate", "check", "config", "bad.yaml", "--json", NULL),
                     78);
    assert_non_null(
        strstr(run_output,
               "{\"ok\":false,\"where\":\"bad.yaml\",\"checked_by\":\"wardgated\"}"));
    assert_int_equal(run("./wardgate", "check", "config", "x.yaml", "--chart", NULL), 78);
    assert_string_equal(run_output, "chart -t -c x.yaml\n");
    assert_int_equal(run("rm", "wardgated", NULL), 0);
    assert_int_equal(run("env", "PATH=/nowhere", "./wardgate", "check", "config",
                         "x.yaml", NULL),
                     69);
}

/* Every verb teaches, and none takes what it does not know. */
static void test_help(void **state)
{
    static const char *const verbs[] = {"check", "devices", "held",   "pki",
                                        "queue", "resend",  "status", "tail"};

    (void)state;
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        char usage[64];
        assert_int_equal(run("wardgate", verbs[i], "--help", NULL), 0);
        (void)snprintf(usage, sizeof(usage), "usage: wardgate %s", verbs[i]);
        assert_ptr_equal(strstr(run_output, usage), run_output);
        assert_non_null(strstr(run_output, "Exit codes: 0"));
        assert_non_null(strstr(run_output, "  wardgate ")); /* an example */
        assert_int_equal(run("wardgate", verbs[i], "--no-such-option", NULL), 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_wrong_setting),
        cmocka_unit_test(test_comments_and_blanks),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_config_asks_the_daemon),
        cmocka_unit_test(test_help),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
