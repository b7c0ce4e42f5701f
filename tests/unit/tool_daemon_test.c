/* SPDX-License-Identifier: Apache-2.0
 *
 * status, devices, queue, tail, held and resend against a control server that answers as
 * the daemons do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>

#include "base/control.h"
#include "drivers/driver.h"
#include "drivers/regmap.h"
#include "tool_run.h"

static char socket_path[300];
static pid_t server = -1;

/* Answers with the request itself under "asked", so that the test sees what was sent. */
static void echo(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    control_send(peer, json_pack("{s:b, s:O}", "ok", 1, "asked", request));
}

static void do_status(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    (void)request;
    control_send(peer,
                 json_pack("{s:b, s:s, s:s, s:{s:b}, s:[{s:s, s:b, s:i}], s:{s:b}}", "ok",
                           1, "version", "9.9", "trouble", "disk \x1b[31mfull", "broker",
                           "connected", 0, "destinations", "name", "epr", "up", 1, "dead",
                           3, "books", "balanced", 1));
}

static void do_devices(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    (void)request;
    control_send(peer,
                 json_pack("{s:[{s:s, s:b}], s:[{s:s, s:s, s:b, s:b, s:i, s:{s:i, s:i}},"
                           " {s:s, s:s, s:b, s:b, s:i, s:{s:i, s:i}}], s:b, s:b}",
                           "buses", "name", "bus-a", "open", 1, "devices", "id",
                           "monitor-1", "bus", "bus-a", "present", 1, "held", 0,
                           "readings", 12, "line", "timeouts", 0, "crc", 0, "id",
                           "a-much-longer-name", "bus", "bus-a", "present", 0, "held", 0,
                           "readings", 3456, "line", "timeouts", 7, "crc", 1, "ok", 1,
                           "end", 1));
}

/* As wardgated: up to count records from `from`, or the newest, and where to go on. */
static void do_tail(void *context, const json_t *request, struct control_peer *peer)
{
    json_int_t from = json_integer_value(json_object_get(request, "from"));
    json_int_t count =
        from > 0 ? 1 : json_integer_value(json_object_get(request, "count"));

    (void)context;
    if (from == 0)
        from = 1;
    for (json_int_t seq = from; seq < from + count; seq++)
        control_send(peer, json_pack("{s:b, s:I, s:s}", "ok", 1, "seq", seq, "kind",
                                     "reading"));
    control_send(peer, json_pack("{s:I, s:I, s:b, s:b}", "next", from + count, "head",
                                 (json_int_t)99, "ok", 1, "end", 1));
}

static void do_held(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    (void)request;
    control_send(peer, json_pack("{s:s, s:s, s:i}", "place", "bay-1-bed-3", "reason",
                                 "empty-bed", "readings", 5));
    control_send(peer, json_pack("{s:b, s:b, s:i}", "ok", 1, "end", 1, "lines", 1));
}

static void do_refuse(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    (void)request;
    control_fail(peer, "number: no patient has it");
}

static void do_nothing(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    (void)request;
    control_send(peer, json_pack("{s:b, s:b, s:i}", "ok", 1, "end", 1, "lines", 0));
}

/* As wardgated: a full store, a device that is silent and one that was swapped. */
static void do_gateway_status(void *context, const json_t *request,
                              struct control_peer *peer)
{
    (void)context;
    (void)request;
    control_send(
        peer,
        json_pack("{s:s, s:i, s:i, s:i, s:{s:b, s:b, s:s}, s:{s:b, s:n}, s:b, s:b}",
                  "summary", "as it is", "devices", 3, "devices_present", 2,
                  "devices_held", 1, "store", "open", 1, "failing", 1, "error",
                  "disk full", "broker", "connected", 1, "tls_error", "ok", 1, "end", 1));
}

static const struct control_verb gateway_verbs[] = {{"status", do_gateway_status},
                                                    {NULL, NULL}};

static const struct control_verb verbs[] = {
    {"status", do_status}, {"devices", do_devices}, {"queue", echo},   {"tail", do_tail},
    {"held", do_held},     {"assign", do_refuse},   {"discard", echo}, {"trust", echo},
    {"dead", do_nothing},  {"offer", echo},         {"resend", echo},  {"confirm", echo},
    {NULL, NULL}};

static int setup(void **state)
{
    struct control_server *control, *gateway;
    char gateway_path[310];
    sd_event *loop;
    int ready[2];
    char byte;

    (void)state;
    if (temporary_folder(run_folder) != 0 || pipe(ready) != 0)
        return -1;
    (void)snprintf(socket_path, sizeof(socket_path), "%s/control", run_folder);
    (void)snprintf(gateway_path, sizeof(gateway_path), "%s/gateway", run_folder);
    server = fork();
    if (server == 0) {
        if (sd_event_new(&loop) < 0 ||
            control_open(loop, socket_path, verbs, NULL, &control) != 0 ||
            control_open(loop, gateway_path, gateway_verbs, NULL, &gateway) != 0 ||
            write(ready[1], "x", 1) != 1)
            _exit(1);
        (void)sd_event_loop(loop);
        _exit(0);
    }
    (void)close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        return -1;
    (void)close(ready[0]);
    return setenv("WARDGATE_SOCKET", socket_path, 1) != 0 ||
           setenv("USER", "tester", 1) != 0;
}

static int teardown(void **state)
{
    (void)state;
    process_end(server);
    temporary_remove(run_folder);
    return 0;
}

static void test_status(void **state)
{
    (void)state;
    assert_int_equal(run("wardgate", "status", NULL), 1);
    assert_non_null(strstr(run_output, "version: 9.9\n"));
    assert_non_null(
        strstr(run_output,
               "trouble: disk ?[31mfull")); /* no escape reaches the terminal */
    assert_non_null(strstr(run_output, "the broker is not connected"));
    assert_non_null(
        strstr(run_output,
               "a destination refused messages for good (wardgate held dead): epr"));
    assert_int_equal(run("wardgate", "status", "--json", NULL), 1);
    assert_ptr_equal(strstr(run_output, "{\"version\":\"9.9\""), run_output);
}

static void test_status_of_a_gateway(void **state)
{
    (void)state;
    assert_int_equal(run("wardgate", "status", "--socket", "gateway", NULL), 1);
    assert_ptr_equal(strstr(run_output, "summary: as it is\n"), run_output);
    assert_non_null(
        strstr(run_output,
               "wardgate: the store can't write: disk full\n"
               "wardgate: some devices do not answer (wardgate devices)\n"
               "wardgate: a device is another than it was (wardgate devices)\n"));
    assert_null(strstr(run_output, "the broker"));
}

/* One object a line, each with every key: all that the driver table and the profiles
 * have, and no daemon in it. */
static void test_catalogue(void **state)
{
    static const char *const keys[] = {"name",  "kind",     "status", "line",
                                       "title", "evidence", "tests"};
    size_t drivers = 0, profiles = 0, beta = 0, used = 0;
    json_error_t error;

    (void)state;
    assert_int_equal(run("wardgate", "devices", "--catalogue", "--json", NULL), 0);
    for (const char *at = run_output; *at != '\0'; at += used + 1) {
        used = strcspn(at, "\n");
        json_t *entry = json_loadb(at, used, 0, &error);
        assert_non_null(entry);
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            assert_true(json_string_length(json_object_get(entry, keys[i])) > 0);
        const char *name = json_string_value(json_object_get(entry, "name"));
        const char *status = json_string_value(json_object_get(entry, "status"));
        const struct driver *driver = driver_at(drivers);
        const struct regmap *map = regmap_at(profiles);
        if (driver != NULL) {
            assert_string_equal(name, driver->name);
            assert_string_equal(status, driver->stable ? "stable" : "beta");
            drivers++;
        } else {
            assert_non_null(map);
            assert_string_equal(name, map->name);
            assert_string_equal(status, map->stable ? "stable" : "beta");
            profiles++;
        }
        beta += strcmp(status, "beta") == 0;
        json_decref(entry);
    }
    assert_null(driver_at(drivers));
    assert_null(regmap_at(profiles));
    assert_true(beta > 0 && beta < drivers + profiles);
    assert_non_null(strstr(run_output, "\"line\":\"19200 8O1\"")); /* contec-5byte */

    assert_int_equal(run("wardgate", "devices", "--catalogue", NULL), 0);
    assert_ptr_equal(strstr(run_output, "name "), run_output);
    assert_non_null(strstr(run_output, "\nivy-ansar-b\n  evidence: one implementation"));
    assert_int_equal(run("wardgate", "devices", "--catalogue", "--socket", "x", NULL),
                     64);
    assert_non_null(strstr(run_output, "--catalogue asks no daemon"));
    assert_int_equal(run("wardgate", "devices", "--catalogue", "confirm", "m", NULL), 64);
    assert_int_equal(run("wardgate", "devices", "--catalogue=all", NULL), 64);
    assert_int_equal(run("wardgate", "devices", "--help", NULL), 0);
    assert_non_null(strstr(run_output, "devices --catalogue [--json]"));
}

static void test_devices_and_queue(void **state)
{
    (void)state;
    assert_int_equal(run("wardgate", "devices", NULL), 1); /* one is absent */
    assert_string_equal(
        run_output, "id                  bus    present  held  readings  timeouts  crc\n"
                    "monitor-1           bus-a  yes      no    12        0         0\n"
                    "a-much-longer-name  bus-a  no       no    3456      7         1\n");
    assert_int_equal(run("wardgate", "devices", "--json", NULL), 1);
    assert_ptr_equal(
        strstr(run_output,
               "{\"buses\":[{\"name\":\"bus-a\",\"open\":true}],\"devices\":[{"),
        run_output);
    assert_int_equal(run("wardgate", "devices", "confirm", "monitor-1", "--json", NULL),
                     0);
    assert_string_equal(run_output,
                        "{\"asked\":{\"do\":\"confirm\",\"device\":\"monitor-1\"}}\n");
    assert_int_equal(run("wardgate", "devices", "confirm", NULL), 64);
    assert_int_equal(run("wardgate", "devices", "forget", "monitor-1", NULL), 64);
    assert_int_equal(run("wardgate", "queue", NULL), 0);
    assert_string_equal(run_output, "asked:\n  do: queue\n\n");
}

static void test_tail(void **state)
{
    (void)state;
    assert_int_equal(run("wardgate", "tail", "--count", "3", NULL), 0);
    assert_string_equal(
        run_output, "{\"seq\":1,\"kind\":\"reading\"}\n{\"seq\":2,\"kind\":\"reading\"}\n"
                    "{\"seq\":3,\"kind\":\"reading\"}\n");
    assert_int_equal(run("wardgate", "tail", "--count", "0", NULL), 64);
    assert_int_equal(run("wardgate", "tail", "--count", "1001", NULL), 64);
    /* Following goes on from the last one, each once, and ends with its reader. */
    assert_int_equal(run("sh", "-c", WARDGATE_TOOL " tail --count 2 --follow | head -n 4",
                         NULL),
                     0);
    assert_string_equal(
        run_output,
        "{\"seq\":1,\"kind\":\"reading\"}\n{\"seq\":2,\"kind\":\"reading\"}\n"
        "{\"seq\":3,\"kind\":\"reading\"}\n{\"seq\":4,\"kind\":\"reading\"}\n");
}

static void test_held(void **state)
{
    (void)state;
    assert_int_equal(run("wardgate", "held", NULL), 1);
    assert_non_null(strstr(run_output, "bay-1-bed-3  empty-bed  5\n"));
    assert_int_equal(run("wardgate", "held", "dead", NULL), 0);
    assert_string_equal(run_output, "");
    assert_int_equal(run("wardgate", "held", "assign", "--place", "b", "--reason",
                         "empty-bed", "--number", "1", NULL),
                     1);
    assert_string_equal(run_output, "wardgate: number: no patient has it\n");
    assert_int_equal(run("wardgate", "held", "discard", "--place", "b", "--reason",
                         "empty-bed", "--from", "2026-07-22T14:00:00Z", "--why", "porter",
                         "--json", NULL),
                     0);
    assert_string_equal(
        run_output, "{\"asked\":{\"do\":\"discard\",\"place\":\"b\",\"reason\":\"empty-"
                    "bed\",\"from\":"
                    "\"2026-07-22T14:00:00Z\",\"who\":\"tester\",\"why\":\"porter\"}}\n");
    assert_int_equal(run("wardgate", "held", "trust", "bay-1", "--who", "me", "--json",
                         NULL),
                     0);
    assert_string_equal(
        run_output,
        "{\"asked\":{\"do\":\"trust\",\"gateway\":\"bay-1\",\"who\":\"me\"}}\n");

    assert_int_equal(run("wardgate", "held", "assign", "--place", "b", "--reason",
                         "empty-bed", NULL),
                     64);
    assert_int_equal(run("wardgate", "held", "assign", "--number", "1", NULL), 64);
    assert_int_equal(run("wardgate", "held", "discard", "--reason", "empty-bed", NULL),
                     64);
    assert_int_equal(run("wardgate", "held", "trust", NULL), 64);
    assert_int_equal(run("wardgate", "held", "forget", NULL), 64);
}

static void test_resend(void **state)
{
    (void)state;
    assert_int_equal(run("wardgate", "resend", "bay-1", "--json", NULL), 0);
    assert_string_equal(run_output,
                        "{\"asked\":{\"do\":\"offer\",\"gateway\":\"bay-1\"}}\n");
    assert_int_equal(run("wardgate", "resend", "--destination", "epr", "--message", "17",
                         "--json", NULL),
                     0);
    assert_string_equal(run_output, "{\"asked\":{\"do\":\"resend\",\"destination\":"
                                    "\"epr\",\"message\":17,\"who\":\"tester\"}}\n");
    assert_int_equal(run("wardgate", "resend", "bay-1", "bay-2", NULL), 64);
    assert_int_equal(run("wardgate", "resend", "--message", "17", NULL), 64);
    assert_int_equal(run("wardgate", "resend", "--destination", "epr", "--message", "all",
                         NULL),
                     64);
}

static void test_nobody_answers(void **state)
{
    static const char *const asking[] = {"status", "devices", "queue",
                                         "tail",   "held",    "resend"};

    (void)state;
    for (size_t i = 0; i < sizeof(asking) / sizeof(asking[0]); i++) {
        assert_int_equal(run("wardgate", asking[i], "--socket", "/nowhere/at/all", NULL),
                         69);
        assert_non_null(strstr(run_output, "nobody answers at /nowhere/at/all"));
        assert_int_equal(run("wardgate", asking[i], "--socket", NULL), 64);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),    cmocka_unit_test(test_status_of_a_gateway),
        cmocka_unit_test(test_catalogue), cmocka_unit_test(test_devices_and_queue),
        cmocka_unit_test(test_tail),      cmocka_unit_test(test_held),
        cmocka_unit_test(test_resend),    cmocka_unit_test(test_nobody_answers),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
