/* SPDX-License-Identifier: Apache-2.0
 *
 * A streaming device, an emulated Nonin, on a real pty, and a pump on a real socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "drivers/emulate/bcc.h"
#include "drivers/emulate/nonin.h"
#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

static char folder[256];
static struct rig rig;
static struct nonin_emulator nonin;

static int set_up(void **state)
{
    (void)state;
    return temporary_folder(folder);
}

static int tear_down(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static void plug(uint8_t format)
{
    const struct nonin_values values = {.pulse = 72, .spo2 = 97};

    nonin_emulator_init(&nonin, format, clock_monotonic_us());
    nonin_emulator_set(&nonin, &values);
    (void)snprintf(rig.link, sizeof rig.link, "%.180s/line", folder);
    rig.baud = 9600;
    assert_int_equal(emulate_line_pty(&rig.line, rig.link, 9600, 10, &nonin_line_emulator,
                                      &nonin),
                     0);
    rig_start(&rig);
}

static struct bus *begin(const char *name)
{
    struct bus_device device = {.driver = driver_by_name(name)};
    struct bus_setting setting = {.line = rig_line(&rig),
                                  .devices = &device,
                                  .device_count = 1};
    struct bus *bus;

    assert_non_null(device.driver);
    setting.line.parity = DRIVER_PARITY_NONE;
    assert_int_equal(bus_start(&setting, &bus), 0);
    return bus;
}

static int64_t value_of(const struct bus_item *item, uint32_t code)
{
    for (size_t i = 0; i < item->sample.set.count; i++) {
        const struct observation *o = &item->sample.set.items[i];

        if (o->code == code && o->kind == OBSERVATION_NUMERIC)
            return o->mantissa;
    }
    return -1;
}

static void a_stream_becomes_samples(void **state)
{
    struct bus_item item;
    struct bus_statistics statistics;
    struct bus *bus;
    uint64_t last = 0;

    (void)state;
    memset(&rig, 0, sizeof rig);
    plug(2);
    bus = begin("nonin-df2");
    assert_true(rig_item(bus, &item, 3000));
    assert_int_equal(item.kind, BUS_LINE_BACK);
    assert_true(rig_await(bus, BUS_APPEARED, &item, 5000));
    for (int i = 0; i < 4; i++) {
        assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
        assert_int_equal(value_of(&item, 150456), 97);
        assert_true(item.at.monotonic_us > last);
        assert_true(item.sample.span_us >= 10000 && item.sample.span_us < 1000000);
        last = item.at.monotonic_us;
    }
    assert_true(bus_statistics(bus, 0, &statistics));
    assert_true(statistics.present && statistics.samples >= 4);
    bus_stop(bus);
    rig_unplug(&rig);
    assert_int_equal(nonin.refused, 0); /* nothing but the format was asked for */
}

static void silence_and_an_unplugged_line_are_told(void **state)
{
    struct bus_item item;
    struct bus *bus;

    (void)state;
    memset(&rig, 0, sizeof rig);
    plug(7);
    bus = begin("nonin-df7");
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
    rig_halt(&rig); /* the line is there, the device says nothing */
    assert_true(rig_await(bus, BUS_LOST, &item, 15000));
    assert_int_equal(item.reason, PORT_TIMEOUT);
    rig_start(&rig);
    assert_true(rig_await(bus, BUS_APPEARED, &item, 5000));
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
    assert_true(item.sample.missed_unknown);
    rig_unplug(&rig);
    assert_true(rig_await(bus, BUS_LINE_LOST, &item, 5000));
    plug(7);
    assert_true(rig_await(bus, BUS_LINE_BACK, &item, 10000));
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 5000));
    assert_true(item.sample.has_previous && item.sample.missed_unknown);
    bus_stop(bus);
    rig_unplug(&rig);
}

static void noise_is_counted_and_no_value(void **state)
{
    static const struct nonin_fault faults[] = {
        {.burst = 0, .kind = NONIN_FAULT_FLIP, .value = 77},
    };
    struct bus_item item;
    struct bus_statistics statistics;
    struct bus *bus;

    (void)state;
    memset(&rig, 0, sizeof rig);
    plug(2);
    rig_halt(&rig);
    nonin.faults = faults;
    nonin.fault_count = 1;
    rig_start(&rig);
    bus = begin("nonin-df2");
    usleep(2500000);
    while (bus_take(bus, &item)) {
        if (item.kind ==
            BUS_SAMPLE) /* a packet may survive one broken frame; its values are right */
            assert_true(value_of(&item, 150456) == 97 || value_of(&item, 150456) == -1);
    }
    assert_true(bus_statistics(bus, 0, &statistics));
    assert_true(statistics.driver_faults[DRIVER_FAULT_CHECKSUM] +
                    statistics.driver_faults[DRIVER_FAULT_SYNC] >
                0);
    bus_stop(bus);
    rig_unplug(&rig);
}

/* --- A pump behind a TCP port --- */

struct server {
    int listener;
    struct bcc_emulator pump;
    pthread_t thread;
};

/* Serves one connection until its peer closes it. */
static void *serve(void *context)
{
    struct server *server = context;
    int fd = accept(server->listener, NULL, NULL);
    uint8_t bytes[64];
    ssize_t n;

    while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0) {
        struct emulate_output out = {.count = 0};
        bcc_emulator_feed(&server->pump, bytes, (size_t)n, clock_monotonic_us(), &out);
        for (size_t i = 0; i < out.count; i++)
            if (send(fd, out.bursts[i].bytes, out.bursts[i].size, MSG_NOSIGNAL) < 0)
                break;
    }
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* The same driver and the same bus; the connection that ends is a line that is lost. */
static void a_pump_over_tcp(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct bus_device device = {.driver = driver_by_name("bcc")};
    struct bus_setting setting = {.line = {.path = "127.0.0.1"},
                                  .devices = &device,
                                  .device_count = 1};
    struct server server = {.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    socklen_t size = sizeof address;
    struct bus_item item;
    struct bus *bus;

    (void)state;
    bcc_emulator_start(&server.pump, 0);
    assert_int_equal(bcc_emulator_show(&server.pump, "rate", "12.50"), 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.listener, 1), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
    setting.line.tcp_port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server.thread, NULL, serve, &server), 0);
    assert_int_equal(bus_start(&setting, &bus), 0);
    assert_true(rig_await(bus, BUS_LINE_BACK, &item, 5000));
    assert_true(rig_await(bus, BUS_SAMPLE, &item, 15000));
    assert_int_equal(value_of(&item, 157784), 1250);
    (void)shutdown(server.listener, SHUT_RDWR);
    close(server.listener);
    bus_stop(bus);
    pthread_join(server.thread, NULL);
    assert_int_equal(server.pump.refused, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_becomes_samples),
        cmocka_unit_test(silence_and_an_unplugged_line_are_told),
        cmocka_unit_test(noise_is_counted_and_no_value),
        cmocka_unit_test(a_pump_over_tcp),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
