/* SPDX-License-Identifier: Apache-2.0
 *
 * The Modbus port against an emulated slave on a real pty or socket, one fault at a time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "ports/modbus_frame.h"
#include "ports/port_modbus.h"
#include "tests/unit/bus_rig.h"
#include "tests/unit/temporary.h"

static const struct regmap_field fields[] = {
    {.name = "a", .function = 3, .address = 0, .type = REGMAP_U16, .scale = 1},
    {.name = "b", .function = 3, .address = 9, .type = REGMAP_U16, .scale = 1},
    {.name = "c", .function = 1, .address = 770, .type = REGMAP_BIT},
};
static const struct regmap map = {.name = "test", .fields = fields, .field_count = 3};

static char folder[256];
static struct rig rig;
static struct modbus_fault faults[2];

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

static void slave(enum modbus_framing framing)
{
    memset(&rig, 0, sizeof rig);
    assert_int_equal(modbus_unit_init(&rig.units[0], 7, &map), EMULATE_OK);
    assert_int_equal(modbus_unit_init(&rig.units[1], 8, &map), EMULATE_OK);
    for (uint16_t r = 0; r < 10; r++)
        assert_int_equal(modbus_unit_set_raw(&rig.units[0], 3, r, (uint16_t)(100 + r)),
                         0);
    rig.units[0].turnaround_us = rig.units[1].turnaround_us = 3000;
    modbus_slave_init(&rig.slave, framing, rig.units, 2);
    rig.slave.faults = faults;
}

static struct port_modbus *on_pty(uint32_t baud)
{
    struct port_modbus *port = NULL;
    struct port_line line;

    slave(MODBUS_RTU);
    rig_pty(&rig, folder, baud);
    rig_start(&rig);
    line = rig_line(&rig);
    assert_int_equal(port_modbus_open(&line, &port), PORT_OK);
    return port;
}

static void script(const struct modbus_fault *first, size_t n)
{
    rig_halt(&rig);
    if (n > 0)
        memcpy(faults, first, n * sizeof *first);
    rig.slave.fault_count = n;
    rig_start(&rig);
}

static int ask(struct port_modbus *port, uint16_t address, uint16_t count,
               struct port_modbus_reply *reply)
{
    const struct port_modbus_request request = {.unit = 7,
                                                .function = 3,
                                                .address = address,
                                                .count = count,
                                                .timeout_us = 250000,
                                                .worst_us = 400000};

    return port_modbus_ask(port, &request, reply);
}

static void finish(struct port_modbus *port)
{
    port_modbus_close(port);
    rig_unplug(&rig);
    assert_int_equal(rig.slave.writes, 0);
}

static void a_good_reply_comes_with_its_times(void **state)
{
    struct port_modbus *port = on_pty(19200);
    struct port_modbus_reply reply;
    uint64_t before = clock_monotonic_us();

    (void)state;
    assert_int_equal(ask(port, 2, 3, &reply), PORT_OK);
    assert_int_equal(reply.size, 6);
    assert_memory_equal(reply.data, ((const uint8_t[]){0, 102, 0, 103, 0, 104}), 6);
    assert_true(reply.asked_us >= before + 4000); /* 8 characters at 19,200 */
    assert_true(reply.first_us > reply.asked_us && reply.done_us > reply.first_us);
    assert_false(reply.echo || reply.late_seen);
    assert_int_equal(reply.strays.bytes, 0);
    assert_int_equal(reply.bytes_out, 8);
    assert_int_equal(reply.bytes_in, 11);
    finish(port);
}

static void each_fault_is_named_and_the_next_reply_is_good(void **state)
{
    static const struct {
        struct modbus_fault fault;
        int error;
        bool late;
    } cases[] = {
        {{.kind = MODBUS_FAULT_SILENT}, PORT_TIMEOUT, false},
        {{.kind = MODBUS_FAULT_LATE, .value = 320000}, PORT_TIMEOUT, true},
        {{.kind = MODBUS_FAULT_SHORT, .value = 1}, PORT_SHORT, false},
        {{.kind = MODBUS_FAULT_SHORT, .value = 8}, PORT_SHORT, false},
        {{.kind = MODBUS_FAULT_FOREIGN, .value = 8}, PORT_FOREIGN, false},
        {{.kind = MODBUS_FAULT_FOREIGN, .value = 99}, PORT_FOREIGN, false},
        {{.kind = MODBUS_FAULT_FLIP, .value = 30}, PORT_CRC, false},
        {{.kind = MODBUS_FAULT_FLIP, .value = 70}, PORT_CRC, false},
        {{.kind = MODBUS_FAULT_EXCEPTION, .value = 6}, PORT_EXCEPTION, false},
        {{.kind = MODBUS_FAULT_GARBAGE, .value = 20}, PORT_CRC, true},
    };
    struct port_modbus *port = on_pty(0);
    struct port_modbus_reply reply;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t before;
        int error;

        script(&cases[i].fault, 1);
        before = clock_monotonic_us();
        error = ask(port, 2, 3, &reply);
        if (error != cases[i].error || reply.late_seen != cases[i].late)
            fail_msg("case %zu: %s, late %d", i, port_error_text(error), reply.late_seen);
        if (error == PORT_EXCEPTION)
            assert_int_equal(reply.exception, 6);
        else /* nothing leaves before the worst time has passed */
            assert_true(clock_monotonic_us() - before >= 400000);
        script(NULL, 0);
        assert_int_equal(ask(port, 4, 2, &reply), PORT_OK);
        assert_memory_equal(reply.data, ((const uint8_t[]){0, 104, 0, 105}), 4);
    }
    finish(port);
}

static void a_doubled_reply_is_no_answer_to_the_next(void **state)
{
    const struct modbus_fault at_once = {.kind = MODBUS_FAULT_TWICE, .value = 0};
    const struct modbus_fault later = {.kind = MODBUS_FAULT_TWICE, .value = 80000};
    struct port_modbus *port = on_pty(0);
    struct port_modbus_reply reply;
    struct port_modbus_strays strays = {0};
    int error = PORT_OK;

    (void)state;
    /* On a busy machine the second copy may come too late to trail: a stray, then. */
    for (int tries = 0; tries < 8 && error == PORT_OK; tries++) {
        script(&at_once, 1);
        error = ask(port, 2, 3, &reply);
        usleep(160000); /* the slave's second copy has left before it is halted */
    }
    assert_int_equal(error, PORT_TRAILING);
    assert_false(reply.late_seen);
    script(&later, 1);
    assert_int_equal(ask(port, 2, 3, &reply), PORT_OK);
    script(NULL, 0);
    usleep(160000);
    assert_int_equal(ask(port, 5, 3, &reply), PORT_OK); /* the same shape */
    assert_memory_equal(reply.data, ((const uint8_t[]){0, 105, 0, 106, 0, 107}), 6);
    assert_int_equal(reply.strays.bytes, 11);
    assert_int_equal(reply.strays.unread, 0);
    assert_int_equal(reply.strays.units[0], 1 << 7);
    /* Between requests they are found as well. */
    script(&later, 1);
    assert_int_equal(ask(port, 2, 3, &reply), PORT_OK);
    usleep(160000);
    assert_int_equal(port_modbus_strays(port, &strays), PORT_OK);
    assert_int_equal(strays.units[0], 1 << 7);
    finish(port);
}

static void an_echo_is_taken_off(void **state)
{
    const struct modbus_fault echo = {.kind = MODBUS_FAULT_ECHO};
    struct port_modbus *port = on_pty(0);
    struct port_modbus_reply reply;
    struct port_modbus_request bits = {.unit = 7,
                                       .function = 1,
                                       .address = 770,
                                       .count = 1,
                                       .timeout_us = 300000,
                                       .worst_us = 300000};

    (void)state;
    script(&echo, 1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(port, 2, 3, &reply), PORT_OK);
        assert_true(reply.echo);
        assert_memory_equal(reply.data, ((const uint8_t[]){0, 102, 0, 103, 0, 104}), 6);
    }
    assert_int_equal(port_modbus_ask(port, &bits, &reply), PORT_OK);
    assert_true(reply.echo);
    finish(port);
}

static void other_units_and_wrong_requests(void **state)
{
    struct port_modbus *port = on_pty(0);
    struct port_modbus_reply reply;
    struct port_modbus_request request = {
        .unit = 9, .function = 3, .count = 1, .timeout_us = 300000, .worst_us = 300000};
    uint64_t requests;

    (void)state;
    assert_int_equal(port_modbus_ask(port, &request, &reply), PORT_TIMEOUT);
    request.unit = 8;
    request.address = 9;
    assert_int_equal(port_modbus_ask(port, &request, &reply), PORT_OK);
    request.address = 1000;
    assert_int_equal(port_modbus_ask(port, &request, &reply), PORT_EXCEPTION);
    assert_int_equal(reply.exception, 2);
    rig_halt(&rig);
    requests = rig.slave.requests;
    rig_start(&rig);
    /* None of these ever leaves: broadcast, reserved units, writing functions. */
    for (unsigned unit = 0; unit < 256; unit += unit == 0 ? 248 : 1) {
        request.unit = (uint8_t)unit;
        assert_int_equal(port_modbus_ask(port, &request, &reply), PORT_REFUSED);
    }
    request.unit = 7;
    for (unsigned f = 0; f < 256; f++) {
        if ((f >= 1 && f <= 4) || f == 17 || f == 20 || f == 24 || f == 43)
            continue;
        request.function = (uint8_t)f;
        assert_int_equal(port_modbus_ask(port, &request, &reply), PORT_REFUSED);
        assert_int_equal(reply.bytes_out, 0);
    }
    rig_halt(&rig);
    assert_int_equal(rig.slave.requests, requests);
    rig_start(&rig);
    finish(port);
}

/* A slave made of one fixed reply. */
struct raw {
    int fd;
    const uint8_t *reply;
    size_t size;
};

static void *raw_run(void *context)
{
    const struct raw *raw = context;
    uint8_t bytes[64];
    size_t have = 0;
    ssize_t n;

    while (have < 4 && (n = read(raw->fd, bytes, sizeof bytes)) > 0)
        have += (size_t)n;
    usleep(5000);
    /* In two parts: a frame may come in any split. */
    if (write(raw->fd, raw->reply, raw->size / 2) < 0)
        return NULL;
    usleep(5000);
    if (write(raw->fd, raw->reply + raw->size / 2, raw->size - raw->size / 2) < 0)
        return NULL;
    return NULL;
}

static int ask_raw(const struct port_modbus_request *request, uint8_t *frame, size_t n,
                   struct port_modbus_reply *reply, uint8_t *data)
{
    struct emulate_line line;
    struct port_line settings = {.baud = 115200, .data_bits = 8, .stop_bits = 1};
    struct port_modbus *port;
    struct raw raw;
    pthread_t thread;
    int error;

    modbus_frame_seal(frame, n);
    assert_int_equal(emulate_line_pty(&line, NULL, 0, 11, &modbus_rtu_emulator,
                                      &rig.slave),
                     0);
    (void)snprintf(settings.path, sizeof settings.path, "%.200s", line.path);
    assert_int_equal(port_modbus_open(&settings, &port), PORT_OK);
    raw = (struct raw){.fd = line.peers[0].fd, .reply = frame, .size = n + 2};
    assert_int_equal(fcntl(raw.fd, F_SETFL, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, raw_run, &raw), 0);
    error = port_modbus_ask(port, request, reply);
    pthread_join(thread, NULL);
    if (error == PORT_OK)
        memcpy(data, reply->data, reply->size);
    port_modbus_close(port);
    emulate_line_close(&line);
    return error;
}

static void functions_that_libmodbus_cuts_are_read_whole(void **state)
{
    uint8_t id[64] = {7,   43,  14,  1,   1, 0, 0,   2,   0,  4,
                      'A', 'C', 'M', 'E', 1, 3, 'X', '-', '1'};
    uint8_t report[16] = {7, 17, 5, 0x42, 0xFF, 'a', 'b', 'c'};
    uint8_t file[32] = {7, 20, 6, 5, 6, 0x0D, 0xFE, 0, 0x20};
    uint8_t fifo[16] = {7, 24, 0, 6, 0, 2, 1, 2, 3, 4};
    struct port_modbus_request request = {.unit = 7,
                                          .function = 43,
                                          .address = 1,
                                          .timeout_us = 200000,
                                          .worst_us = 200000};
    struct port_modbus_reply reply;
    uint8_t data[PORT_MODBUS_PDU_MAX];

    (void)state;
    assert_int_equal(ask_raw(&request, id, 19, &reply, data), PORT_OK);
    assert_int_equal(reply.size, 17);
    assert_memory_equal(data, id + 2, 17);
    request.function = 17;
    assert_int_equal(ask_raw(&request, report, 8, &reply, data), PORT_OK);
    assert_int_equal(reply.size, 5);
    request.function = 24;
    assert_int_equal(ask_raw(&request, fifo, 10, &reply, data), PORT_OK);
    assert_int_equal(reply.size, 6);
    request.function = 20;
    request.file_count = 1;
    request.files[0] = (struct port_modbus_file){.file = 4, .record = 1, .length = 2};
    assert_int_equal(ask_raw(&request, file, 9, &reply, data), PORT_OK);
    assert_int_equal(reply.size, 6);
    request.files[0].length = 3; /* another length than was asked for */
    assert_int_equal(ask_raw(&request, file, 9, &reply, data), PORT_LENGTH);
}

static void a_line_is_taken_for_oneself_or_refused(void **state)
{
    struct port_modbus *port = on_pty(0), *second = NULL;
    struct port_line line = rig_line(&rig);
    int fd;

    (void)state;
    assert_int_equal(port_modbus_open(&line, &second), PORT_BUSY);
    port_modbus_close(port);
    fd = open(line.path, O_RDWR | O_NOCTTY);
    assert_true(fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0);
    assert_int_equal(port_modbus_open(&line, &second), PORT_BUSY);
    close(fd);
    assert_int_equal(port_modbus_open(&line, &port), PORT_OK);
    port_modbus_close(port);
    line.rs485 = true; /* a pty cannot: done without */
    assert_int_equal(port_modbus_open(&line, &port), PORT_OK);
    line.rs485 = false;
    port_modbus_close(port);
    line.baud = 12345;
    assert_int_equal(port_modbus_open(&line, &port), PORT_SETTING);
    line.baud = 9600;
    line.data_bits = 7;
    assert_int_equal(port_modbus_open(&line, &port), PORT_SETTING);
    line.data_bits = 8;
    line.stop_bits = 3;
    assert_int_equal(port_modbus_open(&line, &port), PORT_SETTING);
    line.stop_bits = 1;
    (void)snprintf(line.path, sizeof line.path, "%.200s/absent", folder);
    assert_int_equal(port_modbus_open(&line, &port), PORT_GONE);
    assert_int_equal(errno, ENOENT);
    (void)snprintf(line.path, sizeof line.path, "/dev/null");
    assert_int_equal(port_modbus_open(&line, &port), PORT_SETTING);
    rig_unplug(&rig);
}

static void high_descriptors_are_refused(void **state)
{
    static int held[1100];
    struct port_modbus *port;
    struct port_line line;
    size_t n = 0;

    (void)state;
    slave(MODBUS_RTU);
    rig_pty(&rig, folder, 0);
    line = rig_line(&rig);
    while (n < 1100 && (held[n] = open("/dev/null", O_RDONLY)) >= 0 && held[n] < 1000)
        n++;
    assert_int_equal(port_modbus_open(&line, &port), PORT_GONE);
    assert_int_equal(errno, EMFILE);
    if (held[n] >= 0)
        close(held[n]);
    while (n > 0)
        close(held[--n]);
    assert_int_equal(port_modbus_open(&line, &port), PORT_OK);
    port_modbus_close(port);
    rig_unplug(&rig);
}

static void an_unplugged_line_is_gone(void **state)
{
    struct port_modbus *port = on_pty(0);
    struct port_modbus_reply reply;
    struct port_modbus_strays strays;

    (void)state;
    assert_int_equal(ask(port, 2, 3, &reply), PORT_OK);
    rig_unplug(&rig);
    assert_int_equal(ask(port, 2, 3, &reply), PORT_GONE);
    assert_int_equal(ask(port, 2, 3, &reply), PORT_GONE);
    assert_int_equal(port_modbus_strays(port, &strays), PORT_GONE);
    assert_int_equal(port_modbus_fd(port), -1);
    port_modbus_close(port);
}

static void a_wait_can_be_ended_from_outside(void **state)
{
    struct port_modbus *port = on_pty(0);
    const struct port_modbus_request request = {.unit = 9,
                                                .function = 3,
                                                .count = 1,
                                                .timeout_us = 30000000,
                                                .worst_us = 30000000};
    struct port_modbus_reply reply;
    uint64_t before = clock_monotonic_us(), one = 1;
    int fd = eventfd(0, EFD_CLOEXEC);

    (void)state;
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
    port_modbus_abort_on(port, fd);
    assert_int_equal(port_modbus_ask(port, &request, &reply), PORT_TIMEOUT);
    assert_true(clock_monotonic_us() - before < 3000000);
    close(fd);
    finish(port);
}

static void tcp_faults_close_the_connection_and_the_next_request_opens_it(void **state)
{
    static const struct {
        struct modbus_fault fault;
        int error;
    } cases[] = {
        {{.kind = MODBUS_FAULT_LATE, .value = 320000}, PORT_TIMEOUT},
        {{.kind = MODBUS_FAULT_SILENT}, PORT_TIMEOUT},
        {{.kind = MODBUS_FAULT_FOREIGN, .value = 8}, PORT_FOREIGN},
        {{.kind = MODBUS_FAULT_TRANSACTION, .value = 65535}, PORT_TIMEOUT},
        {{.kind = MODBUS_FAULT_GARBAGE, .value = 40}, PORT_LENGTH},
        {{.kind = MODBUS_FAULT_EXCEPTION, .value = 11}, PORT_EXCEPTION},
    };
    const struct modbus_fault twice = {.kind = MODBUS_FAULT_TWICE, .value = 5000};
    struct port_modbus *port;
    struct port_modbus_reply reply;
    struct port_line line;

    (void)state;
    slave(MODBUS_TCP);
    assert_int_equal(emulate_line_tcp(&rig.line, "127.0.0.1", 0, &rig.slave), 0);
    rig_start(&rig);
    line = rig_line(&rig);
    assert_int_equal(port_modbus_open(&line, &port), PORT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int error;

        script(&cases[i].fault, 1);
        error = ask(port, 2, 3, &reply);
        if (error != cases[i].error)
            fail_msg("case %zu: %s", i, port_error_text(error));
        assert_int_equal(port_modbus_fd(port) < 0, error != PORT_EXCEPTION);
        script(NULL, 0);
        assert_int_equal(ask(port, 4, 2, &reply), PORT_OK);
        assert_memory_equal(reply.data, ((const uint8_t[]){0, 104, 0, 105}), 4);
    }
    /* A doubled reply has an old number: dropped, before or in the next exchange. */
    script(&twice, 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(ask(port, (uint16_t)(i % 5), 2, &reply), PORT_OK);
        assert_int_equal(reply.data[1], 100 + i % 5);
        usleep(i % 3 == 0 ? 8000 : 0);
    }
    rig_unplug(&rig);
    assert_int_equal(ask(port, 2, 3, &reply), PORT_GONE);
    assert_int_equal(ask(port, 2, 3, &reply), PORT_GONE);
    assert_int_equal(reply.bytes_out, 0);
    port_modbus_close(port);
    assert_int_equal(port_modbus_open(&line, &port), PORT_GONE);
    (void)snprintf(line.path, sizeof line.path, "no such host");
    assert_int_equal(port_modbus_open(&line, &port), PORT_GONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_reply_comes_with_its_times),
        cmocka_unit_test(each_fault_is_named_and_the_next_reply_is_good),
        cmocka_unit_test(a_doubled_reply_is_no_answer_to_the_next),
        cmocka_unit_test(an_echo_is_taken_off),
        cmocka_unit_test(other_units_and_wrong_requests),
        cmocka_unit_test(functions_that_libmodbus_cuts_are_read_whole),
        cmocka_unit_test(a_line_is_taken_for_oneself_or_refused),
        cmocka_unit_test(high_descriptors_are_refused),
        cmocka_unit_test(an_unplugged_line_is_gone),
        cmocka_unit_test(a_wait_can_be_ended_from_outside),
        cmocka_unit_test(tcp_faults_close_the_connection_and_the_next_request_opens_it),
    };
    port_modbus_close(NULL);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
