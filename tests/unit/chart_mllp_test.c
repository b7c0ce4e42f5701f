/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "base/clock.h"
#include "chart/adt.h"
#include "chart/hl7.h"
#include "chart/mllp.h"

#define SB          "\x0b"
#define EB          "\x1c\r"
#define DEADLINE_MS 10000 /* of anything that takes milliseconds */

/* --- The decoder --- */

struct decoded {
    char text[256]; /* frames, each followed by '/'; '!' for an oversized one */
    struct mllp_decoder decoder;
    char buffer[16];
};

/* Feeds in pieces of `piece` bytes. */
static void decode(struct decoded *d, const char *bytes, size_t n, size_t piece)
{
    size_t at = 0, used = 0, taken;

    memset(d, 0, sizeof(*d));
    mllp_decoder(&d->decoder, d->buffer, sizeof(d->buffer));
    while (at < n) {
        size_t left = n - at < piece ? n - at : piece;
        enum mllp_step step = mllp_decode(&d->decoder, bytes + at, left, &taken);

        assert_true(taken > 0 && taken <= left);
        at += taken;
        if (step == MLLP_FRAME) {
            memcpy(d->text + used, d->decoder.buffer, d->decoder.used);
            used += d->decoder.used;
            d->text[used++] = '/';
        } else if (step == MLLP_OVERSIZED) {
            d->text[used++] = '!';
        }
    }
}

static void test_decoder(void **state)
{
    static const struct {
        const char *bytes, *frames;
        uint64_t garbage, doubled, truncated, oversized;
    } cases[] = {
        {SB "abc" EB, "abc/", 0, 0, 0, 0},
        {SB "abc" EB SB "d" EB, "abc/d/", 0, 0, 0, 0},
        {SB SB "abc" EB EB, "abc/", 0, 2, 0, 0},
        {SB "abc\x1c" SB "d\x1c", "abc/d/", 0, 0, 0, 0},
        {"noise" SB "abc" EB "\r\n", "abc/", 5, 0, 0, 0},
        {SB "half" SB "abc" EB, "abc/", 0, 0, 1, 0},
        {SB EB, "", 2, 0, 0, 0},
        {SB "0123456789abcdef" EB, "0123456789abcdef/", 0, 0, 0, 0},
        {SB "0123456789abcdefg" EB SB "ok" EB, "!ok/", 0, 0, 0, 1},
        {SB "0123456789abcdefghijk" SB "ok" EB, "ok/", 0, 0, 1, 0},
        {"abc" EB, "", 3, 1, 0, 0},
        {SB "no end", "", 0, 0, 0, 0},
        {"", "", 0, 0, 0, 0},
    };
    struct decoded d;
    size_t i, piece;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (piece = 1; piece <= 32; piece++) {
            decode(&d, cases[i].bytes, strlen(cases[i].bytes), piece);
            assert_string_equal(d.text, cases[i].frames);
            assert_int_equal(d.decoder.garbage, cases[i].garbage);
            assert_int_equal(d.decoder.doubled, cases[i].doubled);
            assert_int_equal(d.decoder.truncated, cases[i].truncated);
            assert_int_equal(d.decoder.oversized, cases[i].oversized);
        }
    print_message("%zu streams in pieces of 1 to 32 bytes\n", i);
}

static void test_encode(void **state)
{
    char out[16];

    (void)state;
    assert_int_equal(mllp_encode("abc", 3, out, 6), 6);
    assert_memory_equal(out, SB "abc" EB, 6);
    assert_int_equal(mllp_encode("abc", 3, out, 5), 0);
    assert_int_equal(mllp_encode("", 0, out, sizeof(out)), 0);
    assert_int_equal(mllp_encode("a\x0b", 2, out, sizeof(out)), 0);
    assert_int_equal(mllp_encode("a\x1c", 2, out, sizeof(out)), 0);
    assert_int_equal(mllp_encode("abc", 3, out, 2), 0);
}

/* --- A rig: server, and what it saw --- */

struct rig {
    sd_event *event;
    struct mllp_server *server;
    bool hold;     /* answer later */
    uint64_t peer; /* who waits */
    size_t messages;
    char last[1024];
    struct adt_site *site;
};

static void answer(struct rig *rig, uint64_t peer, const char *bytes, size_t n)
{
    static struct hl7_message scratch;
    struct adt_result result;
    char out[1024];
    int size = adt_receive(rig->site, bytes, n, 0, rig->messages, &scratch, &result, out,
                           sizeof(out));

    assert_true(size >= 0);
    assert_int_equal(mllp_server_reply(rig->server, peer, out, (size_t)size), 0);
}

static void on_message(void *context, uint64_t peer, const char *bytes, size_t n)
{
    struct rig *rig = context;

    rig->messages++;
    rig->peer = peer;
    snprintf(rig->last, sizeof(rig->last), "%.*s", (int)n, bytes);
    if (!rig->hold)
        answer(rig, peer, bytes, n);
}

static void rig_begin(struct rig *rig, size_t peers, size_t message_max, int64_t idle_ms)
{
    struct adt_rules rules = {.otherwise = ADT_DEFAULT_SLUG};
    struct mllp_server_options options = {"127.0.0.1", 0,          message_max, peers,
                                          idle_ms,     on_message, rig};
    char error[256];

    memset(rig, 0, sizeof(*rig));
    assert_true(sd_event_new(&rig->event) >= 0);
    assert_int_equal(adt_site_new(&rules, &rig->site, error), 0);
    assert_int_equal(mllp_server_new(rig->event, &options, &rig->server), 0);
    assert_true(mllp_server_port(rig->server) > 0);
}

static void rig_end(struct rig *rig)
{
    mllp_server_free(rig->server);
    adt_site_free(rig->site);
    sd_event_unref(rig->event);
}

static int dial(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(mllp_server_port(rig->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void spin(struct rig *rig, int64_t ms)
{
    uint64_t until = clock_monotonic_us() + (uint64_t)ms * 1000;

    while (clock_monotonic_us() < until)
        assert_true(sd_event_run(rig->event, 2000) >= 0);
}

/* Runs the loop until that many bytes came, or the other side closed. Returns the bytes
 * got. */
static size_t gather(struct rig *rig, int fd, char *out, size_t wanted)
{
    uint64_t until = clock_monotonic_us() + (uint64_t)DEADLINE_MS * 1000;
    size_t used = 0;

    while (used < wanted && clock_monotonic_us() < until) {
        ssize_t n = recv(fd, out + used, wanted - used, 0);

        if (n == 0)
            break;
        if (n > 0)
            used += (size_t)n;
        else if (errno == ECONNRESET)
            break;
        assert_true(sd_event_run(rig->event, 2000) >= 0);
    }
    out[used] = '\0';
    return used;
}

static size_t gather_frame(struct rig *rig, int fd, char *out, size_t capacity)
{
    size_t used = 0;

    while (used + 1 < capacity && (used == 0 || out[used - 1] != '\x1c') &&
           gather(rig, fd, out + used, 1) == 1)
        used++;
    out[used] = '\0';
    return used;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

#define ADMIT(id)                                                                        \
    "MSH|^~\\&|S|F|R|F|20260722101500||ADT^A01^ADT_A01|" id                              \
    "|P|2.5.1\rEVN||20260722101500\r"                                                    \
    "PID|1||77^^^X^MR||DOE^JO\rPV1|1|I|GSU^B^3||||||||||||||||V9\r"

static void test_server(void **state)
{
    struct rig rig;
    struct mllp_server_counts counts;
    char out[1024];
    int fd;

    (void)state;
    rig_begin(&rig, 0, 0, 0);
    fd = dial(&rig);
    say(fd, SB ADMIT("C1") EB);
    assert_true(gather_frame(&rig, fd, out, sizeof(out)) > 0);
    assert_non_null(strstr(out, "MSA|AA|C1\r"));
    assert_string_equal(rig.last, ADMIT("C1"));

    /* Several in one packet come out one after the other; noise between them is passed
     * over. */
    say(fd, "x" SB SB ADMIT("C2") EB EB SB ADMIT("C3") EB SB "no message" EB);
    assert_true(gather_frame(&rig, fd, out, sizeof(out)) > 0);
    assert_non_null(strstr(out, "MSA|AA|C2\r"));
    assert_true(gather_frame(&rig, fd, out, sizeof(out)) > 0);
    assert_non_null(strstr(out, "MSA|AA|C3\r"));
    assert_true(gather_frame(&rig, fd, out, sizeof(out)) > 0);
    assert_non_null(strstr(
        out,
        "MSA|AE\rERR||MSH^1|100^Segment sequence error^HL70357|E||||no MSH segment\r"));
    close(fd);
    spin(&rig, 20);
    mllp_server_counts(rig.server, &counts);
    assert_int_equal(counts.messages, 4);
    assert_int_equal(counts.replies, 4);
    assert_int_equal(counts.doubled, 2);
    assert_int_equal(counts.garbage, 1);
    assert_int_equal(counts.peers, 0);
    assert_int_equal(counts.closed, 1);
    rig_end(&rig);
}

/* Nothing more is read before the answer, and the answer may come much later; a peer that
 * went away meanwhile is no error. */
static void test_server_holds(void **state)
{
    struct rig rig;
    struct mllp_server_counts counts;
    char out[1024], *big;
    uint64_t peer;
    int fd, other, i, sent = 0;

    (void)state;
    rig_begin(&rig, 0, 0, 0);
    rig.hold = true;
    fd = dial(&rig);
    say(fd, SB ADMIT("H1") EB SB ADMIT("H2") EB);
    spin(&rig, 30);
    assert_int_equal(rig.messages, 1);
    peer = rig.peer;

    /* The other peers go on. */
    other = dial(&rig);
    say(other, SB ADMIT("O1") EB);
    spin(&rig, 30);
    assert_int_equal(rig.messages, 2);
    answer(&rig, rig.peer, ADMIT("O1"), strlen(ADMIT("O1")));
    assert_true(gather_frame(&rig, other, out, sizeof(out)) > 0);
    assert_non_null(strstr(out, "MSA|AA|O1\r"));
    assert_int_equal(mllp_server_reply(rig.server, rig.peer, "x", 1),
                     -EINVAL); /* nothing is under way there */

    /* What a waiting peer pours in stays in the sockets' buffers. */
    big = malloc(1 << 16);
    memset(big, 'x', 1 << 16);
    for (i = 0; i < 1000; i++) {
        ssize_t n = send(fd, big, 1 << 16, MSG_NOSIGNAL);
        if (n > 0)
            sent += (int)n;
        assert_true(sd_event_run(rig.event, 0) >= 0);
    }
    free(big);
    assert_true(sent < 64 * 1000 * 1000);
    assert_int_equal(rig.messages, 2);

    answer(&rig, peer, ADMIT("H1"), strlen(ADMIT("H1")));
    assert_true(gather_frame(&rig, fd, out, sizeof(out)) > 0);
    assert_non_null(strstr(out, "MSA|AA|H1\r"));
    assert_int_equal(rig.messages, 3);
    assert_string_equal(rig.last, ADMIT("H2"));

    close(fd);
    close(other);
    spin(&rig, 50);
    peer = rig.peer;
    (void)mllp_server_reply(rig.server, peer, "MSH|", 4);
    spin(&rig, 50);
    assert_int_equal(mllp_server_reply(rig.server, peer, "MSH|", 4), -ENOTCONN);
    mllp_server_counts(rig.server, &counts);
    assert_int_equal(counts.peers, 0);
    assert_true(counts.replies_lost >= 1);
    rig_end(&rig);
}

static void test_server_limits(void **state)
{
    struct rig rig;
    struct mllp_server_counts counts;
    char out[64];
    int fd[3], i;

    (void)state;
    rig_begin(&rig, 2, 512, 60);
    for (i = 0; i < 3; i++)
        fd[i] = dial(&rig);
    assert_int_equal(gather(&rig, fd[2], out, 1), 0); /* one peer too many: closed */
    mllp_server_counts(rig.server, &counts);
    assert_int_equal(counts.refused_peers, 1);
    assert_int_equal(counts.peers, 2);

    /* A frame beyond the limit ends its connection and leaves the other alone. */
    say(fd[0], SB);
    for (i = 0; i < 600; i++)
        say(fd[0], "x");
    say(fd[0], EB);
    assert_int_equal(gather(&rig, fd[0], out, 1), 0);
    mllp_server_counts(rig.server, &counts);
    assert_int_equal(counts.oversized, 1);
    assert_int_equal(counts.messages, 0);

    /* A frame that stops half way ends after the idle time; a connection without a frame
     * may be silent for ever. */
    spin(&rig, 100);
    mllp_server_counts(rig.server, &counts);
    assert_int_equal(counts.peers, 1);
    say(fd[1], SB "MSH|^~\\&|half");
    assert_int_equal(gather(&rig, fd[1], out, 1), 0);
    mllp_server_counts(rig.server, &counts);
    assert_int_equal(counts.idle, 1);
    assert_int_equal(counts.peers, 0);
    for (i = 0; i < 3; i++)
        close(fd[i]);
    rig_end(&rig);
}

static void test_server_address(void **state)
{
    struct mllp_server_options options = {.address = "not.an.address",
                                          .on_message = on_message};
    struct mllp_server *server = NULL, *second = NULL;
    sd_event *event;

    (void)state;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(mllp_server_new(event, &options, &server), -EINVAL);
    options.address = "::1";
    assert_int_equal(mllp_server_new(event, &options, &server), 0);
    options.port = mllp_server_port(server);
    assert_int_equal(mllp_server_new(event, &options, &second), -EADDRINUSE);
    mllp_server_free(server);
    mllp_server_free(NULL);
    sd_event_unref(event);
}

/* Another implementation of both sides: python3-hl7's mllp_send against our server. */
static void test_mllp_send(void **state)
{
    struct rig rig;
    const char *framed = SB ADMIT("P1") EB SB ADMIT("P2") EB;
    const char *folder = getenv("TMPDIR");
    char port[8], out[2048] = "", file[256];
    int pipes[2], in, status = -1;
    uint64_t until;
    ssize_t n;
    pid_t pid;

    (void)state;
    if (access("/usr/bin/mllp_send", X_OK) != 0) {
        print_message("skipped: no mllp_send (python3-hl7)\n");
        skip();
    }
    rig_begin(&rig, 0, 0, 0);
    snprintf(port, sizeof(port), "%u", mllp_server_port(rig.server));
    assert_int_equal(pipe(pipes), 0);
    /* Its way of reading standard input is broken in this version, so it gets a file. */
    snprintf(file, sizeof(file), "%s/mllp_test_XXXXXX", folder != NULL ? folder : "/tmp");
    in = mkstemp(file);
    assert_true(in >= 0);
    assert_int_equal(write(in, framed, strlen(framed)), strlen(framed));
    close(in);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], 1);
        close(pipes[0]);
        execl("/usr/bin/python3", "python3", "/usr/bin/mllp_send", "--file", file,
              "--port", port, "127.0.0.1", (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    until = clock_monotonic_us() + (uint64_t)DEADLINE_MS * 1000;
    while (waitpid(pid, &status, WNOHANG) == 0 && clock_monotonic_us() < until)
        assert_true(sd_event_run(rig.event, 5000) >= 0);
    n = read(pipes[0], out,
             sizeof(out) - 1); /* less than a pipe holds, and its writer has ended */
    close(pipes[0]);
    unlink(file);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(n > 0);
    assert_non_null(strstr(out, "MSA|AA|P1"));
    assert_non_null(strstr(out, "MSA|AA|P2"));
    assert_int_equal(rig.messages, 2);
    print_message("mllp_send got 2 answers AA\n");
    rig_end(&rig);
}

/* --- The client --- */

struct sender {
    struct rig *rig;
    struct mllp_client *client;
    size_t ups, downs, answered, timeouts, lost;
    char last[512];
    const char *next; /* sent from inside the outcome */
};

static void on_up(void *context)
{
    ((struct sender *)context)->ups++;
}
static void on_down(void *context)
{
    ((struct sender *)context)->downs++;
}

static void on_outcome(void *context, enum mllp_outcome outcome, const char *bytes,
                       size_t n)
{
    struct sender *s = context;

    s->answered += outcome == MLLP_ANSWERED;
    s->timeouts += outcome == MLLP_TIMEOUT;
    s->lost += outcome == MLLP_LOST;
    snprintf(s->last, sizeof(s->last), "%.*s", (int)n, bytes);
    if (s->next != NULL) {
        const char *next = s->next;

        s->next = NULL;
        (void)mllp_client_send(s->client, next, strlen(next));
    }
}

static void sender_begin(struct sender *s, struct rig *rig, uint16_t port,
                         int64_t answer_ms)
{
    struct mllp_client_options options = {.address = "localhost",
                                          .port = port,
                                          .answer_ms = answer_ms,
                                          .back_off_min_ms = 10,
                                          .back_off_max_ms = 40,
                                          .jitter_seed = 7,
                                          .on_up = on_up,
                                          .on_down = on_down,
                                          .on_outcome = on_outcome,
                                          .context = s};

    memset(s, 0, sizeof(*s));
    s->rig = rig;
    assert_int_equal(mllp_client_new(rig->event, &options, &s->client), 0);
}

static void wait_for(struct sender *s, const size_t *count, size_t value)
{
    uint64_t until = clock_monotonic_us() + (uint64_t)DEADLINE_MS * 1000;

    while (*count < value && clock_monotonic_us() < until)
        assert_true(sd_event_run(s->rig->event, 5000) >= 0);
    assert_true(*count >= value);
}

static void test_client(void **state)
{
    struct rig rig;
    struct sender s;
    struct mllp_client_counts counts;

    (void)state;
    rig_begin(&rig, 0, 0, 0);
    sender_begin(&s, &rig, mllp_server_port(rig.server), 0);
    assert_int_equal(mllp_client_send(s.client, ADMIT("A"), strlen(ADMIT("A"))),
                     -ENOTCONN);
    wait_for(&s, &s.ups, 1);
    assert_true(mllp_client_idle(s.client));
    assert_int_equal(mllp_client_send(s.client, "MSH|^~\\&|\r", 10), -EINVAL);
    assert_int_equal(mllp_client_send(s.client, "MSH|^~\\&|||||||ADT|a\x1c", 21),
                     -EINVAL);
    assert_int_equal(mllp_client_send(s.client, ADMIT("A"), strlen(ADMIT("A"))), 0);
    assert_int_equal(mllp_client_send(s.client, ADMIT("B"), strlen(ADMIT("B"))), -EBUSY);
    s.next = ADMIT("B");
    wait_for(&s, &s.answered, 2);
    assert_non_null(strstr(s.last, "MSA|AA|B\r"));

    /* The server goes away with a message under way, and comes back. */
    rig.hold = true;
    assert_int_equal(mllp_client_send(s.client, ADMIT("C"), strlen(ADMIT("C"))), 0);
    wait_for(&s, &rig.messages, 3);
    {
        struct mllp_server_options options = {"127.0.0.1", mllp_server_port(rig.server),
                                              0,           0,
                                              0,           on_message,
                                              &rig};

        mllp_server_free(rig.server);
        wait_for(&s, &s.lost, 1);
        assert_int_equal(s.downs, 1);
        spin(&rig, 60); /* some attempts fail meanwhile */
        assert_int_equal(mllp_server_new(rig.event, &options, &rig.server), 0);
    }
    wait_for(&s, &s.ups, 2);
    rig.hold = false;
    assert_int_equal(mllp_client_send(s.client, ADMIT("C"), strlen(ADMIT("C"))), 0);
    wait_for(&s, &s.answered, 3);
    mllp_client_counts(s.client, &counts);
    assert_int_equal(counts.sent, 4);
    assert_int_equal(counts.answered, 3);
    assert_int_equal(counts.lost, 1);
    assert_true(counts.failures >= 1);
    mllp_client_free(s.client);
    mllp_client_free(NULL);
    rig_end(&rig);
}

/* An answer that does not name the message is none; one that comes too late finds its
 * connection closed. */
static void test_client_strays(void **state)
{
    struct rig rig;
    struct sender s;
    struct mllp_client_counts counts;
    const char *stray = "MSH|^~\\&|\rMSA|AA|OTHER\r", *mine = "MSH|^~\\&|\rMSA|AE|A\r";

    (void)state;
    rig_begin(&rig, 0, 0, 0);
    rig.hold = true;
    sender_begin(&s, &rig, mllp_server_port(rig.server), 150);
    wait_for(&s, &s.ups, 1);
    assert_int_equal(mllp_client_send(s.client, ADMIT("A"), strlen(ADMIT("A"))), 0);
    wait_for(&s, &rig.messages, 1);
    assert_int_equal(mllp_server_reply(rig.server, rig.peer, stray, strlen(stray)), 0);
    wait_for(&s, &s.timeouts, 1);
    assert_int_equal(s.answered, 0);
    assert_int_equal(s.downs, 1);
    mllp_client_counts(s.client, &counts);
    assert_int_equal(counts.strays, 1);

    wait_for(&s, &s.ups, 2);
    assert_int_equal(mllp_client_send(s.client, ADMIT("A"), strlen(ADMIT("A"))), 0);
    wait_for(&s, &rig.messages, 2);
    assert_int_equal(mllp_server_reply(rig.server, rig.peer, mine, strlen(mine)), 0);
    wait_for(&s, &s.answered, 1);
    assert_string_equal(s.last, mine);
    mllp_client_free(s.client);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoder),       cmocka_unit_test(test_encode),
        cmocka_unit_test(test_server),        cmocka_unit_test(test_server_holds),
        cmocka_unit_test(test_server_limits), cmocka_unit_test(test_server_address),
        cmocka_unit_test(test_mllp_send),     cmocka_unit_test(test_client),
        cmocka_unit_test(test_client_strays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
