/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "ports/port_serial.h"

static bool only_query(const uint8_t *bytes, size_t n)
{
    return n == 1 && bytes[0] == '?';
}

struct pair {
    int master;
    struct port_line line;
};

static struct pair make(void)
{
    struct pair pair = {.line = {.baud = 9600,
                                 .data_bits = 8,
                                 .stop_bits = 1,
                                 .parity = DRIVER_PARITY_NONE}};
    int slave;

    assert_int_equal(openpty(&pair.master, &slave, pair.line.path, NULL, NULL), 0);
    close(slave);
    return pair;
}

static void await(const struct port_serial *port)
{
    struct pollfd wait = {.fd = port_serial_fd(port), .events = POLLIN};

    assert_true(poll(&wait, 1, 2000) > 0);
}

static void every_byte_arrives_as_it_is(void **state)
{
    struct pair pair = make();
    struct port_serial *port;
    uint8_t sent[256], got[512];
    size_t have = 0;

    (void)state;
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_OK);
    assert_int_equal(port_serial_read(port, got, sizeof got), 0);
    for (int i = 0; i < 256; i++)
        sent[i] = (uint8_t)i; /* XON, XOFF, interrupt and end of file among them */
    assert_int_equal(write(pair.master, sent, sizeof sent), sizeof sent);
    while (have < sizeof sent) {
        int n;

        await(port);
        n = port_serial_read(port, got + have, 7);
        assert_in_range(n, 1, 7);
        have += (size_t)n;
    }
    assert_memory_equal(got, sent, sizeof sent);
    assert_int_equal(write(pair.master, sent, 100), 100);
    await(port);
    port_serial_flush(port);
    assert_int_equal(port_serial_read(port, got, sizeof got), 0);
    port_serial_close(port);
    port_serial_close(NULL);
    close(pair.master);
}

static void only_what_the_list_allows_is_sent(void **state)
{
    struct pair pair = make();
    struct port_serial *port;
    uint8_t got[16];

    (void)state;
    assert_int_equal(port_serial_open(&pair.line, only_query, &port), PORT_OK);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"!", 1), PORT_REFUSED);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"??", 2), PORT_REFUSED);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"?", 1), PORT_OK);
    assert_int_equal(fcntl(pair.master, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(read(pair.master, got, sizeof got), 1);
    assert_int_equal(got[0], '?');
    port_serial_close(port);
    /* No list: nothing at all. */
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_OK);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"?", 1), PORT_REFUSED);
    assert_true(read(pair.master, got, sizeof got) < 0);
    port_serial_close(port);
    close(pair.master);
}

static void settings_are_set_or_refused(void **state)
{
    struct pair pair = make();
    struct port_serial *port, *second;
    struct termios tio;

    (void)state;
    pair.line.parity = DRIVER_PARITY_EVEN;
    pair.line.data_bits = 7;
    pair.line.stop_bits = 2;
    pair.line.baud = 19200;
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_OK);
    assert_int_equal(tcgetattr(port_serial_fd(port), &tio), 0);
    assert_int_equal(cfgetospeed(&tio), B19200);
    assert_int_equal(tio.c_lflag & (ICANON | ECHO | ISIG), 0);
    assert_int_equal(port_serial_open(&pair.line, NULL, &second), PORT_BUSY);
    port_serial_close(port);
    pair.line.baud = 31250;
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_SETTING);
    pair.line.baud = 9600;
    pair.line.data_bits = 6;
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_SETTING);
    pair.line.data_bits = 8;
    pair.line.parity = 3;
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_SETTING);
    pair.line.parity = 0;
    pair.line.path[0] = '\0';
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_SETTING);
    pair.line.tcp_port = 5;
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_SETTING);
    pair.line.tcp_port = 0;
    (void)strncpy(pair.line.path, "/nonexistent", PORT_PATH_MAX);
    assert_int_equal(port_serial_open(&pair.line, NULL, &port), PORT_GONE);
    assert_int_equal(errno, ENOENT);
    close(pair.master);
}

static void an_unplugged_adapter_is_gone(void **state)
{
    struct pair pair = make();
    struct port_serial *port;
    uint8_t got[8];

    (void)state;
    assert_int_equal(port_serial_open(&pair.line, only_query, &port), PORT_OK);
    close(pair.master);
    await(port);
    assert_int_equal(port_serial_read(port, got, sizeof got), PORT_GONE);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"?", 1), PORT_GONE);
    port_serial_close(port);
}

static void a_buffer_that_stays_full_is_a_timeout(void **state)
{
    struct pair pair = make();
    struct port_serial *port;
    int error = PORT_OK;

    (void)state;
    assert_int_equal(port_serial_open(&pair.line, only_query, &port), PORT_OK);
    for (int i = 0; i < 200000 && error == PORT_OK; i++) /* nobody reads the other side */
        error = port_serial_write(port, (const uint8_t *)"?", 1);
    assert_int_equal(error, PORT_TIMEOUT);
    port_serial_close(port);
    close(pair.master);
}

/* The same over a connection: bytes as they are, the allow-list, the flush, and the end
 * of the peer, which is no signal. */
static void a_connection_is_a_line(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct port_line line = {.path = "127.0.0.1", .connect_ms = 2000};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), peer;
    struct port_serial *port;
    uint8_t bytes[256], got[512];
    size_t have = 0;

    (void)state;
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    line.tcp_port = ntohs(address.sin_port);
    assert_int_equal(port_serial_open(&line, only_query, &port), PORT_OK);
    peer = accept(listener, NULL, NULL);
    assert_true(peer >= 0);
    assert_int_equal(port_serial_read(port, got, sizeof got), 0);
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(write(peer, bytes, sizeof bytes), sizeof bytes);
    while (have < sizeof bytes) {
        await(port);
        int n = port_serial_read(port, got + have, 7);
        assert_in_range(n, 1, 7);
        have += (size_t)n;
    }
    assert_memory_equal(got, bytes, sizeof bytes);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"!", 1), PORT_REFUSED);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"?", 1), PORT_OK);
    assert_int_equal(read(peer, got, sizeof got), 1);
    assert_int_equal(got[0], '?');
    assert_int_equal(write(peer, bytes, 100), 100);
    await(port);
    port_serial_flush(port);
    assert_int_equal(port_serial_read(port, got, sizeof got), 0);
    close(peer);
    await(port);
    assert_int_equal(port_serial_read(port, got, sizeof got), PORT_GONE);
    for (int i = 0; i < 3; i++) /* the first one may still go nowhere */
        (void)port_serial_write(port, (const uint8_t *)"?", 1);
    assert_int_equal(port_serial_write(port, (const uint8_t *)"?", 1), PORT_GONE);
    port_serial_close(port);
    close(listener); /* nobody is there any more */
    assert_int_equal(port_serial_open(&line, NULL, &port), PORT_GONE);
    assert_int_equal(errno, ECONNREFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_arrives_as_it_is),
        cmocka_unit_test(only_what_the_list_allows_is_sent),
        cmocka_unit_test(settings_are_set_or_refused),
        cmocka_unit_test(an_unplugged_adapter_is_gone),
        cmocka_unit_test(a_buffer_that_stays_full_is_a_timeout),
        cmocka_unit_test(a_connection_is_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
