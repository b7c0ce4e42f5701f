/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_link and its pump against real TLS servers (link_peer.py): what goes through comes
 * out, whole and in order, whatever either side does; who waits is served or turned away;
 * a peer that fails a check costs the local side its connection and nothing else. What
 * makes a peer bad is asked by tests/system/tls.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "link/tls_link.h"
#include "tests/unit/link_rig.h"

#define BULK (32 << 20) /* bytes: more than the kernel buffers on the whole way */

static struct rig rig;
static pid_t peers;
static struct tls_link *the_link; /* of the test that runs */
static unsigned echo_port, giver_port, hoarder_port, stranger_port;

static struct tls_link_config config_for(unsigned port)
{
    return (struct tls_link_config){
        .host = "localhost",
        .port = (uint16_t)port,
        .ca_file = rig_path(&rig, "ca.pem"),
        .cert_file = rig_path(&rig, "cert.pem"),
        .key_file = rig_path(&rig, "key.pem"),
        .socket_path = rig_path(&rig, "socket"),
        .handshake_ms = 5000,
        .raw = true,
    };
}

static void open_link(unsigned port)
{
    struct tls_link_config config = config_for(port);

    assert_int_equal(tls_link_open(rig.loop, &config, &the_link), 0);
}

static struct tls_link_status status(void)
{
    struct tls_link_status now;

    tls_link_status(the_link, &now);
    return now;
}

/* A local client, as libmosquitto is one. */
static int local(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = rig_path(&rig, "socket");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static bool is_state(void *context)
{
    const enum tls_link_state *wanted = context;

    return status().state == *wanted;
}

static bool comes_to(enum tls_link_state state)
{
    return rig_until(&rig, is_state, &state);
}

/* What one local client has read so far. */
struct reader {
    int fd;
    uint8_t *bytes;
    size_t size, n;
    bool ended;
    int failure;
};

static void read_some(struct reader *reader)
{
    ssize_t got =
        recv(reader->fd, reader->bytes + reader->n, reader->size - reader->n, 0);

    if (got > 0)
        reader->n += (size_t)got;
    else if (got == 0)
        reader->ended = true;
    else if (errno != EAGAIN) {
        reader->ended = true;
        reader->failure = errno;
    }
}

static bool has_ended(void *context)
{
    struct reader *reader = context;

    if (!reader->ended)
        read_some(reader);
    return reader->ended;
}

static bool has_all(void *context)
{
    struct reader *reader = context;

    read_some(reader);
    return reader->n == reader->size || reader->ended;
}

static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 31 % 253);
}

static int set_up(void **state)
{
    (void)state;
    the_link = NULL;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tls_link_close(the_link);
    the_link = NULL;
    return 0;
}

static void refuses_an_open_folder(void **state)
{
    struct tls_link_config config = config_for(1);
    char longer[600];

    (void)state;
    config.socket_path = "/nowhere/at/all/socket";
    assert_int_equal(tls_link_open(rig.loop, &config, &the_link), -ENOENT);
    config.socket_path = "socket";
    assert_int_equal(tls_link_open(rig.loop, &config, &the_link), -EINVAL);
    config.socket_path = rig_path(&rig, "ca.pem/socket");
    assert_int_equal(tls_link_open(rig.loop, &config, &the_link), -ENOTDIR);
    snprintf(longer, sizeof(longer), "%s/%0200d", rig.folder, 7);
    config.socket_path = longer;
    assert_int_equal(tls_link_open(rig.loop, &config, &the_link), -ENAMETOOLONG);
    config.socket_path = rig_path(&rig, "socket");
    assert_int_equal(chmod(rig.folder, 0750), 0);
    assert_int_equal(tls_link_open(rig.loop, &config, &the_link), -EACCES);
    assert_int_equal(chmod(rig.folder, 0700), 0);
    the_link = NULL;
    tls_link_close(NULL);
}

static void makes_and_removes_a_private_socket(void **state)
{
    struct stat file;

    (void)state;
    rig_write(&rig, "socket", "a leftover");
    open_link(echo_port);
    assert_int_equal(stat(rig_path(&rig, "socket"), &file), 0);
    assert_true(S_ISSOCK(file.st_mode));
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(status().state, TLS_LINK_IDLE);
    tls_link_close(the_link);
    the_link = NULL;
    assert_int_equal(stat(rig_path(&rig, "socket"), &file), -1);
}

/* Writes without reading until both directions are full, then reads: nothing may be lost,
 * doubled or stuck. */
static void carries_much_both_ways_under_pressure(void **state)
{
    struct reader reader = {.bytes = malloc(BULK), .size = BULK};
    uint8_t *bulk = malloc(BULK);
    size_t sent = 0;
    int idle = 0;

    (void)state;
    assert_non_null(bulk);
    assert_non_null(reader.bytes);
    for (size_t i = 0; i < BULK; i++)
        bulk[i] = pattern(i);
    open_link(echo_port);
    reader.fd = local();
    while (sent < BULK) {
        ssize_t n = send(reader.fd, bulk + sent, BULK - sent, MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        idle = n > 0 ? 0 : idle + 1;
        assert_true(sd_event_run(rig.loop, idle > 20 ? 0 : US_PER_MS) >= 0);
        if (idle > 20)
            read_some(&reader);
    }
    assert_true(rig_until(&rig, has_all, &reader));
    assert_int_equal(reader.n, BULK);
    assert_memory_equal(reader.bytes, bulk, BULK);
    assert_int_equal(status().bytes_up, BULK);
    assert_int_equal(status().bytes_down, BULK);
    close(reader.fd);
    assert_true(comes_to(TLS_LINK_IDLE));
    assert_int_equal(status().bytes_up, BULK);
    free(bulk);
    free(reader.bytes);
}

/* The peer reads nothing for a second: all buffers fill, and must empty again without any
 * help from the other direction. */
static void carries_much_to_a_slow_peer(void **state)
{
    uint8_t *bulk = calloc(1, BULK), bytes[64];
    struct reader reader = {.bytes = bytes, .size = sizeof(bytes)};
    size_t sent = 0;

    (void)state;
    assert_non_null(bulk);
    open_link(hoarder_port);
    reader.fd = local();
    for (uint64_t end_us = clock_monotonic_us() + RIG_PATIENCE_MS * US_PER_MS;
         sent < BULK && clock_monotonic_us() < end_us;) {
        ssize_t n = send(reader.fd, bulk + sent, BULK - sent, MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        assert_true(sd_event_run(rig.loop, n > 0 ? 0 : US_PER_MS) >= 0);
    }
    assert_int_equal(sent, BULK);
    assert_int_equal(shutdown(reader.fd, SHUT_WR), 0);
    assert_true(rig_until(&rig, has_ended, &reader));
    assert_int_equal(reader.n, 8);
    assert_memory_equal(bytes, "33554432", 8);
    close(reader.fd);
    free(bulk);
}

static void ends_each_side_by_itself(void **state)
{
    uint8_t bytes[64];
    struct reader reader = {.bytes = bytes, .size = sizeof(bytes)};

    (void)state;
    open_link(hoarder_port);
    reader.fd = local();
    for (int i = 0; i < 100; i++)
        assert_int_equal(send(reader.fd, "0123456789", 10, MSG_NOSIGNAL), 10);
    /* The peer answers only after it has seen our end: it comes through, and so does the
     * answer. */
    assert_int_equal(shutdown(reader.fd, SHUT_WR), 0);
    assert_true(rig_until(&rig, has_ended, &reader));
    assert_int_equal(reader.failure, 0);
    assert_int_equal(reader.n, 4);
    assert_memory_equal(bytes, "1000", 4);
    assert_true(comes_to(TLS_LINK_IDLE));
    assert_string_equal(status().error, "");
    close(reader.fd);
}

static void hands_over_what_came_before_the_peers_end(void **state)
{
    struct reader reader = {.bytes = malloc(2 << 20), .size = 2 << 20};

    (void)state;
    assert_non_null(reader.bytes);
    open_link(giver_port);
    reader.fd = local();
    rig_turn(&rig, 300); /* the peer is long done before we read the first byte */
    assert_true(rig_until(&rig, has_ended, &reader));
    assert_int_equal(reader.n, 1 << 20);
    for (size_t i = 0; i < reader.n; i++)
        assert_int_equal(reader.bytes[i], i * 7 % 251);
    assert_true(comes_to(TLS_LINK_IDLE));
    close(reader.fd);
    free(reader.bytes);
}

static void describes_the_connection(void **state)
{
    int fd;

    (void)state;
    open_link(echo_port);
    fd = local();
    assert_true(comes_to(TLS_LINK_OPEN));
    assert_string_equal(status().peer, "CN=broker.example");
    assert_true(strncmp(status().version, "TLSv1.", 6) == 0);
    assert_true(strstr(status().suite, "CHACHA20") != NULL ||
                strstr(status().suite, "GCM") != NULL);
    assert_int_equal(status().peer_expiry_utc_us / US_PER_S,
                     INT64_C(3471292800)); /* 2080-01-01 */
    assert_int_equal(status().own_expiry_utc_us / US_PER_S, INT64_C(3471292800));
    assert_int_equal(status().handshakes, 1);
    assert_int_equal(status().refusals, 0);
    assert_string_equal(status().error, "");
    close(fd);
}

static void turns_everybody_away_from_a_bad_peer(void **state)
{
    uint8_t bytes[8];
    struct reader first = {.bytes = bytes, .size = sizeof(bytes)}, second = first;

    (void)state;
    open_link(stranger_port);
    first.fd = local();
    second.fd = local();
    assert_int_equal(send(first.fd, "MQTT", 4, MSG_NOSIGNAL), 4);
    assert_true(comes_to(TLS_LINK_REFUSED));
    assert_string_equal(status().error,
                        "name mismatch: certificate is for other.example, not localhost");
    assert_true(rig_until(&rig, has_ended, &first));
    assert_true(rig_until(&rig, has_ended, &second));
    /* The kernel tells a writer that its bytes were thrown away unread. */
    assert_int_equal(first.failure, ECONNRESET);
    assert_int_equal(second.failure, 0);
    assert_int_equal(first.n + second.n, 0);
    assert_int_equal(status().bytes_up, 0);
    close(first.fd);
    close(second.fd);
    /* One attempt for those two; the next for the next. */
    assert_int_equal(status().refusals, 1);
    first.fd = local();
    first.ended = false;
    assert_true(rig_until(&rig, has_ended, &first));
    assert_int_equal(status().refusals, 2);
    close(first.fd);
}

static bool echoed(void *context)
{
    struct reader *reader = context;

    read_some(reader);
    return reader->n >= 4;
}

static void serves_one_after_the_other(void **state)
{
    uint8_t bytes[8];
    struct reader reader = {.bytes = bytes, .size = sizeof(bytes)};
    int gone, first;

    (void)state;
    open_link(echo_port);
    gone = local();
    close(gone); /* gave up while the handshake ran */
    first = local();
    reader.fd = local();
    assert_true(comes_to(TLS_LINK_OPEN));
    assert_int_equal(send(reader.fd, "late", 4, MSG_NOSIGNAL), 4);
    rig_turn(&rig, 100);
    read_some(&reader);
    assert_int_equal(reader.n, 0); /* one at a time */
    close(first);
    assert_true(rig_until(&rig, echoed, &reader));
    assert_memory_equal(bytes, "late", 4);
    assert_int_equal(status().handshakes, 2);
    close(reader.fd);
}

static void drops_in_any_state(void **state)
{
    uint8_t bytes[8];
    struct reader reader = {.bytes = bytes, .size = sizeof(bytes)};

    (void)state;
    open_link(echo_port);
    tls_link_drop(the_link); /* nothing to drop */
    reader.fd = local();
    assert_true(comes_to(TLS_LINK_OPEN));
    tls_link_drop(the_link);
    assert_int_equal(status().state, TLS_LINK_IDLE);
    assert_true(rig_until(&rig, has_ended, &reader));
    close(reader.fd);

    reader.fd = local();
    reader.ended = false;
    assert_true(comes_to(TLS_LINK_CONNECTING) || true);
    tls_link_drop(the_link);
    assert_true(rig_until(&rig, has_ended, &reader));
    close(reader.fd);

    reader.fd = local();
    assert_true(comes_to(TLS_LINK_OPEN));
    tls_link_close(the_link);
    the_link = NULL;
    reader.ended = false;
    assert_true(rig_until(&rig, has_ended, &reader));
    close(reader.fd);
}

/* The last words of a program that ends: written, and closed at once. */
static void carries_last_words(void **state)
{
    uint8_t bytes[64];
    struct reader reader = {.bytes = bytes, .size = sizeof(bytes)};

    clock_t began;

    (void)state;
    open_link(hoarder_port);
    reader.fd = local();
    assert_true(comes_to(TLS_LINK_OPEN));
    assert_int_equal(send(reader.fd, "last words", 10, MSG_NOSIGNAL), 10);
    close(reader.fd);
    rig_turn(&rig, 50);
    assert_int_equal(status().bytes_up, 10);
    /* The peer reads only after a second: we neither hang nor spin meanwhile. */
    began = clock();
    assert_true(comes_to(TLS_LINK_IDLE));
    assert_true(clock() - began < CLOCKS_PER_SEC / 3);
    assert_string_equal(status().error, "");
}

static void raises_the_floor_and_never_lowers_it(void **state)
{
    int fd;

    (void)state;
    open_link(echo_port);
    tls_link_floor(the_link, INT64_C(3500000000) * US_PER_S); /* 2080-11-28 */
    tls_link_floor(the_link, 0);
    fd = local();
    assert_true(comes_to(TLS_LINK_REFUSED));
    assert_string_equal(
        status().error,
        "own certificate expired 2080-01-01; certificate of Test CA expired 2080-01-01");
    close(fd);
}

static int start_peers(void **state)
{
    const char *argv[] = {"/usr/bin/python3", "tests/unit/link_peer.py", NULL, NULL};
    unsigned *const ports[] = {&echo_port, &giver_port, &hoarder_port, &stranger_port};
    char line[128] = "", *at;
    int out;

    (void)state;
    rig_open(&rig);
    argv[2] = rig.folder;
    peers = rig_start(argv, &out);
    for (size_t n = 0; n + 1 < sizeof(line) && read(out, line + n, 1) == 1; n++)
        if (line[n] == '\n')
            break;
    close(out);
    at = line;
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        *ports[i] = (unsigned)strtoul(at, &at, 10);
    return stranger_port != 0 ? 0 : -1;
}

static int end_peers(void **state)
{
    (void)state;
    rig_end(&peers);
    rig_close(&rig);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(refuses_an_open_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_and_removes_a_private_socket, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(carries_much_both_ways_under_pressure, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(carries_much_to_a_slow_peer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ends_each_side_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hands_over_what_came_before_the_peers_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(describes_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(turns_everybody_away_from_a_bad_peer, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(serves_one_after_the_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(drops_in_any_state, set_up, tear_down),
        cmocka_unit_test_setup_teardown(carries_last_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(raises_the_floor_and_never_lowers_it, set_up,
                                        tear_down),
    };

    log_set_level(LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, start_peers, end_peers);
}
