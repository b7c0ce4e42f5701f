/* SPDX-License-Identifier: Apache-2.0
 *
 * The control socket with a real loop in a thread of its own and real clients, good and
 * bad.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/control.h"
#include "temporary.h"

static char folder[256], path[300];
static pthread_t thread;
static int stop_fd;
static _Atomic int runs, closed;

static void do_status(void *context, const json_t *request, struct control_peer *peer)
{
    (void)request;
    assert_ptr_equal(context, &runs);
    runs++;
    control_send(peer, json_pack("{s:b, s:i}", "ok", 1, "count", 7));
}

static void do_tail(void *context, const json_t *request, struct control_peer *peer)
{
    json_int_t lines = json_integer_value(json_object_get(request, "lines"));

    (void)context;
    for (json_int_t i = 0; i < lines; i++)
        control_send(peer, json_pack("{s:I, s:s}", "line", i, "text",
                                     "012345678901234567890123456789012345678901234567890"
                                     "1234567890123456789"));
    control_send(peer, json_pack("{s:b, s:b}", "ok", 1, "end", 1));
}

static void do_refuse(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    control_fail(peer, "no: %s", json_string_value(json_object_get(request, "what")));
}

static void on_close(void *context)
{
    assert_ptr_equal(context, &closed);
    closed++;
}

/* As a lease: something that ends with the client's connection. */
static void do_keep(void *context, const json_t *request, struct control_peer *peer)
{
    (void)context;
    (void)request;
    control_on_close(peer, on_close, &closed);
    control_send(peer, json_pack("{s:b}", "ok", 1));
}

static const struct control_verb verbs[] = {{"status", do_status},
                                            {"keep", do_keep},
                                            {"tail", do_tail},
                                            {"refuse", do_refuse},
                                            {NULL, NULL}};

static int on_stop(sd_event_source *source, int fd, uint32_t events, void *context)
{
    (void)fd;
    (void)events;
    (void)context;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void *serve(void *argument)
{
    struct control_server *server = NULL;
    sd_event *loop = NULL;

    if (sd_event_new(&loop) < 0 ||
        sd_event_add_io(loop, NULL, stop_fd, EPOLLIN, on_stop, NULL) < 0 ||
        control_open(loop, path, verbs, &runs, &server) != 0)
        abort();
    (void)pthread_barrier_wait(argument);
    (void)sd_event_loop(loop);
    control_close(server);
    sd_event_unref(loop);
    return NULL;
}

static int setup(void **state)
{
    pthread_barrier_t ready;

    (void)state;
    if (temporary_folder(folder) != 0 || (stop_fd = eventfd(0, EFD_CLOEXEC)) < 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/control", folder);
    (void)pthread_barrier_init(&ready, NULL, 2);
    if (pthread_create(&thread, NULL, serve, &ready) != 0)
        return -1;
    (void)pthread_barrier_wait(&ready);
    (void)pthread_barrier_destroy(&ready);
    return 0;
}

static int teardown(void **state)
{
    uint64_t one = 1;

    (void)state;
    if (write(stop_fd, &one, sizeof(one)) != sizeof(one))
        return -1;
    (void)pthread_join(thread, NULL);
    (void)close(stop_fd);
    if (access(path, F_OK) == 0) /* the file goes with the server */
        return -1;
    temporary_remove(folder);
    return 0;
}

struct answers {
    int lines;
    char first[256], last[256];
};

static void collect(void *context, const json_t *answer)
{
    struct answers *answers = context;
    char *text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);

    if (answers->lines++ == 0)
        (void)snprintf(answers->first, sizeof(answers->first), "%s", text);
    (void)snprintf(answers->last, sizeof(answers->last), "%s", text);
    free(text);
}

static int call(const char *request, struct answers *answers)
{
    json_t *object = json_loads(request, 0, NULL);
    int error;

    assert_non_null(object);
    memset(answers, 0, sizeof(*answers));
    error = control_call(path, object, collect, answers);
    json_decref(object);
    return error;
}

static int dial(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {20, 0};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", path);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Sends raw bytes, optionally shuts down, and reads until the server closes or a line has
 * come. */
static void talk(const void *bytes, size_t n, bool shut, char *out, size_t size)
{
    int fd = dial();
    size_t got = 0;

    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
    if (shut)
        assert_int_equal(shutdown(fd, SHUT_WR), 0);
    while (got < size - 1) {
        ssize_t r = recv(fd, out + got, size - 1 - got, 0);
        if (r <= 0)
            break;
        got += (size_t)r;
        if (!shut && memchr(out, '\n', got) != NULL)
            break;
    }
    out[got] = '\0';
    (void)close(fd);
}

static void test_answers(void **state)
{
    struct answers answers;
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(call("{\"do\": \"status\"}", &answers), 0);
    assert_int_equal(answers.lines, 1);
    assert_string_equal(answers.first, "{\"count\":7,\"ok\":true}");
    assert_int_equal(call("{\"do\": \"refuse\", \"what\": \"why\"}", &answers), 0);
    assert_string_equal(answers.last,
                        "{\"end\":true,\"error\":\"no: why\",\"ok\":false}");
    assert_int_equal(call("{\"do\": \"tail\", \"lines\": 20000}", &answers),
                     0); /* 2 MB */
    assert_int_equal(answers.lines, 20001);
    assert_int_equal(call("{\"do\": \"tail\", \"lines\": 200000}", &answers),
                     0); /* beyond the limit */
    assert_string_equal(
        answers.last,
        "{\"end\":true,\"error\":\"answer too large: ask for less\",\"ok\":false}");
}

static void test_bad_requests(void **state)
{
    static const struct {
        const char *sent, *expected;
    } bad[] = {
        {"hello\n", "{\"ok\":false,\"error\":\"not JSON: "},
        {"\n", "{\"ok\":false,\"error\":\"not JSON: "},
        {"[]\n", "{\"ok\":false,\"error\":\"expected an object with \\\"do\\\"\""},
        {"{}\n", "{\"ok\":false,\"error\":\"expected an object with \\\"do\\\"\""},
        {"{\"do\":1}\n",
         "{\"ok\":false,\"error\":\"expected an object with \\\"do\\\"\""},
        {"{\"do\":\"reboot\"}\n", "{\"ok\":false,\"error\":\"unknown request\""},
        {"{\"do\":\"status\",\"do\":\"tail\"}\n",
         "{\"ok\":false,\"error\":\"not JSON: duplicate"},
        {"\xff\xfe\n", "{\"ok\":false,\"error\":\"not JSON: "},
    };
    char out[512];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        talk(bad[i].sent, strlen(bad[i].sent), false, out, sizeof(out));
        if (strncmp(out, bad[i].expected, strlen(bad[i].expected)) != 0)
            fail_msg("for %s got %s", bad[i].sent, out);
    }
    /* A request without its line end counts once the client has shut down. */
    talk("{\"do\":\"status\"}", 15, true, out, sizeof(out));
    assert_string_equal(out, "{\"ok\":true,\"count\":7}\n");
    talk("", 0, true, out, sizeof(out));
    assert_string_equal(out, "");
    printf("%zu bad requests\n", sizeof(bad) / sizeof(bad[0]));
}

static void test_an_endless_line(void **state)
{
    char *line = malloc(CONTROL_LINE_MAX), out[512];

    (void)state;
    assert_non_null(line);
    memset(line, 'x', CONTROL_LINE_MAX);
    talk(line, CONTROL_LINE_MAX, false, out, sizeof(out));
    assert_non_null(strstr(out, "request longer than 65536 bytes"));
    free(line);
}

/* Several requests in one packet, and one in single bytes. */
static void test_any_cutting(void **state)
{
    static const char two[] = "{\"do\":\"status\"}\n{\"do\":\"refuse\",\"what\":\"x\"}\n";
    char out[512];
    int fd;

    (void)state;
    talk(two, sizeof(two) - 1, true, out, sizeof(out));
    assert_string_equal(
        out,
        "{\"ok\":true,\"count\":7}\n{\"ok\":false,\"error\":\"no: x\",\"end\":true}\n");
    fd = dial();
    for (size_t i = 0; i < 16; i++)
        assert_int_equal(send(fd, two + i, 1, MSG_NOSIGNAL), 1);
    assert_true(recv(fd, out, sizeof(out), 0) > 0);
    (void)close(fd);
}

/* Thousands at once: each is answered, in order, and another client gets its answer in
 * between. */
static void test_many_at_once(void **state)
{
    enum { MANY = 20000 };
    static const char one[] = "{\"do\":\"status\"}\n",
                      answer[] = "{\"ok\":true,\"count\":7}\n";
    size_t size = MANY * (sizeof(one) - 1), sent = 0, got = 0, matched = 0;
    struct answers answers;
    char out[4096];
    int fd = dial();

    (void)state;
    while (got < MANY * (sizeof(answer) - 1)) {
        ssize_t n;
        if (sent < size) {
            size_t at = sent % (sizeof(one) - 1);
            n = send(fd, one + at, sizeof(one) - 1 - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (n > 0)
                sent += (size_t)n;
            if (sent == size)
                assert_int_equal(shutdown(fd, SHUT_WR), 0);
            if (n > 0 && sent < size && sent % 65536 != 0)
                continue;
        }
        n = recv(fd, out, sizeof(out), sent < size ? MSG_DONTWAIT : 0);
        if (n == 0)
            break;
        for (ssize_t i = 0; i < n; i++, got++)
            matched += out[i] == answer[got % (sizeof(answer) - 1)];
        if (got / 65536 % 4 == 3)
            assert_int_equal(call("{\"do\": \"status\"}", &answers), 0);
    }
    assert_int_equal(got, MANY * (sizeof(answer) - 1));
    assert_int_equal(matched, got);
    (void)close(fd);
    printf("%d requests of one client\n", MANY);
}

static ssize_t recv_line(int fd, char *out, size_t size)
{
    ssize_t n = recv(fd, out, size - 1, 0);

    out[n > 0 ? n : 0] = '\0';
    (void)close(fd);
    return n;
}

/* Clients that ask and never read, that say half a word, or that go away, hold nobody up.
 */
static void test_hostile_clients_hurt_nobody(void **state)
{
    static const char much[] = "{\"do\":\"tail\",\"lines\":20000}\n";
    struct answers answers;
    char out[256];
    int fds[8];

    (void)state;
    for (int i = 0; i < 7; i++) {
        fds[i] = dial();
        if (i < 4)
            assert_true(send(fds[i], much, sizeof(much) - 1, MSG_NOSIGNAL) > 0);
        else
            assert_true(send(fds[i], "{\"do\"", 5, MSG_NOSIGNAL) > 0);
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(call("{\"do\": \"status\"}", &answers), 0);
        assert_string_equal(answers.first, "{\"count\":7,\"ok\":true}");
    }
    /* With the eighth slot taken a further client is told so and not left hanging. */
    fds[7] = dial();
    assert_true(recv_line(dial(), out, sizeof(out)) > 0);
    assert_string_equal(out,
                        "{\"ok\":false,\"error\":\"too many clients\",\"end\":true}\n");
    for (int i = 0; i < 8; i++)
        (void)close(fds[i]);

    /* The slots come back once the loop has seen them go. */
    for (int i = 0; i < 1000 && call("{\"do\": \"status\"}", &answers) != 0; i++)
        (void)nanosleep(&(struct timespec){0, 10000000}, NULL);
    assert_string_equal(answers.first, "{\"count\":7,\"ok\":true}");
}

static void test_sockets_in_the_way(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control_server *server;
    char other[310], longest[200];
    sd_event *loop;
    struct answers answers;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(sd_event_new(&loop), 0);
    assert_int_equal(control_open(loop, path, verbs, NULL, &server), -EADDRINUSE);
    assert_int_equal(call("{\"do\": \"status\"}", &answers),
                     0); /* and the live one is unhurt */

    (void)snprintf(other, sizeof(other), "%s/stale", folder);
    (void)snprintf(address.sun_path, sizeof(address.sun_path), "%.100s", other);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd); /* the file stays, as after a crash */
    assert_int_equal(control_open(loop, other, verbs, NULL, &server), 0);
    control_close(server);
    control_close(NULL);

    (void)snprintf(other, sizeof(other), "%s/precious", folder);
    (void)fclose(fopen(other, "w"));
    assert_int_equal(control_open(loop, other, verbs, NULL, &server), -EEXIST);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(control_open(loop, "/nowhere/at/all", verbs, NULL, &server),
                     -ENOENT);
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(control_open(loop, longest, verbs, NULL, &server), -ENAMETOOLONG);
    sd_event_unref(loop);
}

static int keep(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char reply[64];

    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    for (int i = 0; i < 2; i++) { /* twice: still told once */
        assert_int_equal(send(fd, "{\"do\":\"keep\"}\n", 14, 0), 14);
        assert_true(recv(fd, reply, sizeof(reply), 0) > 0);
    }
    return fd;
}

static void await_closed(int n)
{
    const struct timespec moment = {0, 1000000};

    for (int i = 0; i < 10000 && closed < n; i++)
        (void)nanosleep(&moment, NULL);
    assert_int_equal(closed, n);
}

/* However the connection ends, whoever keeps something for the client is told once. */
static void test_the_end_of_a_client_is_told(void **state)
{
    struct linger at_once = {1, 0};
    int fd = keep(), other = keep();

    (void)state;
    assert_int_equal(closed, 0);
    close(fd);
    await_closed(1);
    (void)setsockopt(other, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    assert_int_equal(send(other, "no JSON", 7, 0), 7);
    close(other);
    await_closed(2);
    fd = keep();
    (void)shutdown(fd, SHUT_WR);
    await_closed(3);
    close(fd);
}

static void test_nobody_there(void **state)
{
    json_t *request = json_pack("{s:s}", "do", "status");
    struct answers answers;

    (void)state;
    assert_int_equal(control_call("/nowhere/at/all", request, collect, &answers),
                     -ENOENT);
    json_decref(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_an_endless_line),
        cmocka_unit_test(test_any_cutting),
        cmocka_unit_test(test_many_at_once),
        cmocka_unit_test(test_hostile_clients_hurt_nobody),
        cmocka_unit_test(test_sockets_in_the_way),
        cmocka_unit_test(test_the_end_of_a_client_is_told),
        cmocka_unit_test(test_nobody_there),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
