/* SPDX-License-Identifier: Apache-2.0
 *
 * Draining a bed node whose samples the firmware's own ring writes, over Modbus TCP: when
 * nothing may be drained, and what is done about a sample that can't be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bedside/bus.h"
#include "drivers/checksum.h"
#include "drivers/wardgate_node.h"
#include "firmware/samples.h"

#define SERIES   0x00051234u
#define BOOT     5
#define ENTRIES  2
#define PER_FILE 500
#define EACH     ((SAMPLES_HEAD + ENTRIES * SAMPLES_ENTRY) / 2) /* registers */
#define UNKNOWN  200 /* a kind of entry that no version has yet */

static struct {
    pthread_mutex_t lock;
    _Alignas(8) uint8_t memory[4096];
    struct samples samples;
    uint32_t unknown[4]; /* numbers of samples with such an entry; 0: none */
    int listener, peer;
    pthread_t thread;
    atomic_uint file_reads;
} node = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const struct regmap_field fields[] = {{.name = "next",
                                              .role = REGMAP_SAMPLE,
                                              .function = 4,
                                              .address = 0x0104,
                                              .type = REGMAP_U32}};
static const struct regmap map = {.name = WARDGATE_NODE_PROFILE,
                                  .every_ms = 30,
                                  .response_ms = 1000,
                                  .fields = fields,
                                  .field_count = 1};

static void put(uint8_t *at, uint32_t value, int bytes)
{
    while (bytes-- > 0)
        *at++ = (uint8_t)(value >> (8 * bytes));
}

/* The samples block as a whole, of which the map reads a part. */
static void status_block(uint8_t out[WARDGATE_NODE_REGISTERS * 2])
{
    memset(out, 0, (size_t)WARDGATE_NODE_REGISTERS * 2);
    put(out, BOOT, 4);
    put(out + 4, SERIES, 4);
    put(out + 8, node.samples.next, 4);
    put(out + 12, node.samples.first, 4);
    put(out + 16, 1, 4);
    put(out + 20, EACH, 2);
    put(out + 22, PER_FILE, 2);
}

/* One sample; its first entry becomes one of a newer version, and the check fits it. */
static void sample(uint32_t number, uint8_t *out)
{
    samples_write(&node.samples, number, 1000 + (uint64_t)number, out);
    for (size_t i = 0; i < 4; i++) {
        if (node.unknown[i] != number)
            continue;
        out[SAMPLES_HEAD] = UNKNOWN;
        out[14] = out[15] = 0;
        put(out + 14,
            checksum_modbus(out, (size_t)EACH * 2) ^ (SERIES >> 16) ^ (SERIES & 0xFFFF),
            2);
    }
}

/* Function and data in, function and data out. Returns the answer's bytes. */
static size_t answer(const uint8_t *pdu, uint8_t *out)
{
    uint8_t block[WARDGATE_NODE_REGISTERS * 2];
    unsigned address = (unsigned)pdu[1] << 8 | pdu[2], count = pdu[4];

    out[0] = pdu[0];
    if (pdu[0] == 4) {
        status_block(block);
        out[1] = (uint8_t)(count * 2);
        memcpy(out + 2, block + (size_t)(address - WARDGATE_NODE_STATUS) * 2,
               (size_t)count * 2);
        return 2 + (size_t)count * 2;
    }
    /* Function 20 with one part: bytes, type 6, file, record, length. */
    unsigned record = (unsigned)pdu[5] << 8 | pdu[6],
             length = (unsigned)pdu[7] << 8 | pdu[8];
    node.file_reads++;
    for (unsigned i = 0; i < length / EACH; i++)
        sample(record / EACH + i, out + 4 + (size_t)i * EACH * 2);
    out[1] = (uint8_t)(length * 2 + 2);
    out[2] = (uint8_t)(length * 2 + 1);
    out[3] = 6;
    return 4 + (size_t)length * 2;
}

static void *serve(void *context)
{
    uint8_t in[260], out[260];

    (void)context;
    node.peer = accept(node.listener, NULL, NULL);
    /* A request is one write of the gateway's and comes in one piece on loopback. */
    while (recv(node.peer, in, sizeof in, 0) >= 12) {
        pthread_mutex_lock(&node.lock);
        size_t n = answer(in + 7, out + 7);
        pthread_mutex_unlock(&node.lock);
        memcpy(out, in, 4);
        put(out + 4, (uint32_t)n + 1, 2);
        out[6] = in[6];
        if (send(node.peer, out, n + 7, MSG_NOSIGNAL) < 0)
            break;
    }
    return NULL;
}

static void add(unsigned count)
{
    pthread_mutex_lock(&node.lock);
    for (unsigned i = 0; i < count; i++) {
        struct observation_set set = {.count = 1};
        set.items[0] = (struct observation){.code = 150456,
                                            .unit = 262688,
                                            .kind = OBSERVATION_NUMERIC,
                                            .mantissa = node.samples.next};
        assert_true(samples_add(&node.samples, &set, node.samples.next));
    }
    pthread_mutex_unlock(&node.lock);
}

static struct bus *begin(bool hold)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct bus_device device = {.unit = 1, .map = &map};
    struct bus_setting setting = {.devices = &device, .device_count = 1, .hold = hold};
    struct bus *bus;

    node.file_reads = 0;
    memset(node.unknown, 0, sizeof node.unknown);
    samples_init(&node.samples, node.memory, sizeof node.memory, ENTRIES, SERIES, BOOT,
                 1);
    node.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(node.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(node.listener, 1), 0);
    assert_int_equal(getsockname(node.listener, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(pthread_create(&node.thread, NULL, serve, NULL), 0);
    memcpy(setting.line.path, "127.0.0.1", sizeof "127.0.0.1");
    setting.line.tcp_port = ntohs(address.sin_port);
    assert_int_equal(bus_start(&setting, &bus), 0);
    return bus;
}

static void end(struct bus *bus)
{
    bus_stop(bus);
    pthread_join(node.thread, NULL);
    close(node.peer);
    close(node.listener);
}

/* The next item that is a sample or a refusal; false after ms without one. */
static bool next(struct bus *bus, struct bus_item *item, int ms)
{
    for (int waited = 0; waited < ms; waited += 5) {
        while (bus_take(bus, item))
            if (item->kind == BUS_SAMPLE || item->kind == BUS_REJECTED)
                return true;
        usleep(5000);
    }
    return false;
}

static void expect(struct bus *bus, uint32_t number)
{
    struct bus_item item;

    assert_true(next(bus, &item, 10000));
    assert_int_equal(item.kind, BUS_SAMPLE);
    assert_int_equal(item.sample.set.sample, (uint64_t)SERIES << 32 | number);
    assert_int_equal(item.sample.set.items[0].mantissa, number);
}

static void expect_refusal(struct bus *bus)
{
    struct bus_item item;

    assert_true(next(bus, &item, 10000));
    assert_int_equal(item.kind, BUS_REJECTED);
    assert_string_equal(item.reject.field, "a sample's entry");
}

/* A node's own polls, so that something would have been drained by now. */
static void wait_polls(struct bus *bus, unsigned polls)
{
    struct bus_statistics before, now;

    assert_true(bus_statistics(bus, 0, &before));
    do {
        usleep(5000);
        assert_true(bus_statistics(bus, 0, &now));
    } while (now.answered < before.answered + polls);
}

static void a_held_node_keeps_its_samples(void **state)
{
    struct bus *bus = begin(true);
    struct bus_item item;

    (void)state;
    add(5);
    wait_polls(bus, 6);
    assert_false(next(bus, &item, 50));
    assert_int_equal(node.file_reads, 0);
    bus_hold(bus, false);
    for (uint32_t i = 1; i <= 5; i++)
        expect(bus, i);
    bus_hold(bus, true); /* and again, in the middle of it all */
    wait_polls(bus, 2);
    add(3);
    wait_polls(bus, 6);
    assert_false(next(bus, &item, 50));
    bus_hold(bus, false);
    for (uint32_t i = 6; i <= 8; i++)
        expect(bus, i);
    end(bus);
}

static void an_unknown_entry_holds_up_nobody(void **state)
{
    struct bus *bus = begin(true);
    struct bus_statistics statistics;
    struct bus_item item;
    unsigned reads;

    (void)state;
    node.unknown[0] = 1;
    node.unknown[1] = 4;
    node.unknown[2] = 9;
    add(7);
    bus_hold(bus, false);
    expect_refusal(bus);
    expect(bus, 2);
    expect(bus, 3);
    expect_refusal(bus);
    for (uint32_t i = 5; i <= 7; i++)
        expect(bus, i);
    add(2); /* the last one is not readable: it is told of once, and not read for ever */
    expect(bus, 8);
    expect_refusal(bus);
    wait_polls(bus, 2);
    reads = node.file_reads;
    wait_polls(bus, 6);
    assert_int_equal(node.file_reads, reads);
    assert_false(next(bus, &item, 50));
    assert_true(bus_statistics(bus, 0, &statistics));
    assert_int_equal(statistics.rejected, 3);
    add(1);
    expect(bus, 10);
    end(bus);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_held_node_keeps_its_samples),
        cmocka_unit_test(an_unknown_entry_holds_up_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
