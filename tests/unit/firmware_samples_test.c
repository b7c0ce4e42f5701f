/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's samples as they are written and as the gateway reads them, and the slave's
 * framing.
 */
#include "drivers_test.h"

#include "drivers/checksum.h"
#include "drivers/wardgate_node.h"
#include "firmware/modbus_server.h"
#include "firmware/samples.h"

#define SERIES 0x00051234u
#define SPO2   150456u
#define UNIT   262688u
#define HEADS  (SAMPLES_HEADS * sizeof(struct samples_head))

static struct observation_set set_of(int64_t mantissa)
{
    struct observation_set set = {.count = 2};

    set.items[0] = (struct observation){.code = SPO2,
                                        .unit = UNIT,
                                        .kind = OBSERVATION_NUMERIC,
                                        .mantissa = mantissa,
                                        .exponent = -1,
                                        .quality = QUALITY_QUESTIONABLE};
    set.items[1] = (struct observation){.code = SPO2 + 1, .kind = OBSERVATION_ABSENT};
    return set;
}

static void come_back_as_they_were(void **state)
{
    static _Alignas(8) uint8_t memory[HEADS + 160];
    const struct wardgate_node_status status = {.series = SERIES,
                                                .record_registers = 20,
                                                .per_file = 500};
    struct wardgate_node_sample sample;
    struct samples samples;
    uint8_t bytes[SAMPLES_BYTES_MAX];

    (void)state;
    samples_init(&samples, memory, sizeof memory, 2, SERIES, 5, 1);
    assert_int_equal(samples.capacity, 10);
    for (int i = 1; i <= 25; i++) {
        struct observation_set set = set_of(970 + i);
        assert_true(samples_add(&samples, &set, UINT64_C(1000) * (unsigned)i));
    }
    assert_int_equal(samples.first, 16);
    assert_false(samples_has(&samples, 15));
    assert_false(samples_has(&samples, 26));
    samples_write(&samples, 16, 100000, bytes);
    assert_int_equal(wardgate_node_sample(&status, bytes, 40, &sample), 0);
    assert_int_equal(sample.number, 16);
    assert_int_equal(sample.age_ms, 84000);
    assert_int_equal(sample.set.count, 2);
    assert_int_equal(sample.set.items[0].mantissa, 986);
    assert_int_equal(sample.set.items[0].exponent, -1);
    assert_int_equal(sample.set.items[0].unit, UNIT);
    assert_int_equal(sample.set.items[1].kind, OBSERVATION_ABSENT);
    for (size_t bit = 0; bit < 320; bit++) { /* one wrong bit, and it is none */
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(wardgate_node_sample(&status, bytes, 40, &sample),
                         WARDGATE_NODE_CHECK);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void too_large_takes_its_number(void **state)
{
    static _Alignas(8) uint8_t memory[HEADS + 160];
    struct observation_set set = set_of(INT64_C(1) << 40); /* needs a third entry */
    struct samples samples;

    (void)state;
    samples_init(&samples, memory, sizeof memory, 2, SERIES, 5, 7);
    assert_false(samples_add(&samples, &set, 0));
    assert_int_equal(samples.next, 8);
    assert_int_equal(samples.too_large, 1);
}

/* What the gateway reads of a sample. */
static struct wardgate_node_sample told(const struct samples *samples, uint32_t number,
                                        uint64_t now_ms)
{
    const struct wardgate_node_status status = {.series = SERIES,
                                                .record_registers =
                                                    (uint16_t)(samples_size(samples) / 2),
                                                .per_file = 500};
    struct wardgate_node_sample sample;
    uint8_t bytes[SAMPLES_BYTES_MAX];

    samples_write(samples, number, now_ms, bytes);
    assert_int_equal(wardgate_node_sample(&status, bytes, samples_size(samples), &sample),
                     0);
    assert_int_equal(sample.number, number);
    return sample;
}

/* An hour at one a second, its qualities changing all the time, in what an STM32F405 has
 * to spare (boards/README.md; tests/boards/sizes holds that against the build). */
static void an_hour_fits(void **state)
{
    enum { SPARE = 118 * 1024, HOUR = 3600 };
    static _Alignas(8) uint8_t memory[SPARE];
    struct samples samples;

    (void)state;
    samples_init(&samples, memory, sizeof memory, 2, SERIES, 5, 1);
    assert_true(samples.capacity >= HOUR);
    for (uint32_t i = 1; i <= 3 * samples.capacity; i++) {
        struct observation_set set = set_of(900 + i % 100);
        set.items[0].quality = (uint16_t)(1u << i % 8);
        set.items[1].quality = (uint16_t)(1u << i / 7 % 8);
        assert_true(samples_add(&samples, &set, UINT64_C(1000) * i));
        assert_int_equal(samples.next - samples.first,
                         i < samples.capacity ? i : samples.capacity);
    }
    for (uint32_t n = samples.first; n != samples.next; n++) {
        struct wardgate_node_sample sample =
            told(&samples, n, UINT64_C(1000) * samples.next);
        assert_int_equal(sample.age_ms, UINT64_C(1000) * (samples.next - n));
        assert_int_equal(sample.set.items[0].mantissa, 900 + n % 100);
        assert_int_equal(sample.set.items[0].quality, 1u << n % 8);
        assert_int_equal(sample.set.items[1].quality, 1u << n / 7 % 8);
    }
}

/* A device that sends ever new texts: what is there is right, and the oldest are gone. */
static void more_heads_than_there_is_room_for(void **state)
{
    static _Alignas(8) uint8_t memory[HEADS + 4096];
    struct samples samples;

    (void)state;
    samples_init(&samples, memory, sizeof memory, 2, SERIES, 5, 1);
    for (uint32_t i = 1; i <= 100; i++) {
        struct observation_set set = {.count = 1};
        set.items[0] =
            (struct observation){.code = SPO2, .unit = UNIT, .kind = OBSERVATION_TEXT};
        (void)snprintf(set.items[0].text, sizeof set.items[0].text, "no %u", i);
        set.stored = i % 2 != 0;
        assert_true(samples_add(&samples, &set, 0));
    }
    assert_int_equal(samples.next, 101);
    assert_int_equal(samples.next - samples.first, SAMPLES_HEADS - 1); /* one: the code */
    for (uint32_t n = samples.first; n != samples.next; n++) {
        struct wardgate_node_sample sample = told(&samples, n, 0);
        char text[16];
        (void)snprintf(text, sizeof text, "no %u", n);
        assert_string_equal(sample.set.items[0].text, text);
        assert_int_equal(sample.set.stored, n % 2 != 0);
    }
}

/* A device's clock goes on every second: it must not take a head each. */
static void device_times_share_their_head(void **state)
{
    static _Alignas(8) uint8_t memory[HEADS + 4096];
    struct samples samples;

    (void)state;
    samples_init(&samples, memory, sizeof memory, 3, SERIES, 5, 1);
    for (uint8_t i = 0; i < 60; i++) {
        struct observation_set set = set_of(i);
        set.device_time = (struct device_time){.present = true,
                                               .year = 2026,
                                               .month = 11,
                                               .day = 24,
                                               .hour = i / 3,
                                               .minute = i,
                                               .second = (uint8_t)(59 - i)};
        assert_true(samples_add(&samples, &set, 0));
    }
    assert_int_equal(samples.heads_used, 3);
    for (uint32_t n = samples.first; n != samples.next; n++) {
        struct device_time t = told(&samples, n, 0).set.device_time;
        assert_true(t.present);
        assert_int_equal(t.year, 2026);
        assert_int_equal(t.hour, (n - 1) / 3);
        assert_int_equal(t.minute, n - 1);
        assert_int_equal(t.second, 60 - n);
    }
}

static void no_room_for_one(void **state)
{
    static _Alignas(8) uint8_t memory[HEADS];
    struct observation_set set = set_of(1);
    struct samples samples;

    (void)state;
    samples_init(&samples, memory, sizeof memory, 2, SERIES, 5, 1);
    assert_int_equal(samples.capacity, 0);
    assert_false(samples_add(&samples, &set, 0));
    samples_init(&samples, memory, 0, 2, SERIES, 5, 1);
    assert_false(samples_add(&samples, &set, 0));
}

static bool registers(void *context, unsigned unit, uint16_t address, uint16_t count,
                      uint8_t *out)
{
    (void)context;
    (void)unit;
    memset(out, 0x11, (size_t)2 * count);
    return address < 10;
}

/* Gives a frame with its check; gap: before the byte at `at`. Returns the reply's size.
 */
static size_t ask(struct modbus_server *server, const uint8_t *frame, size_t n,
                  uint8_t gap, size_t at, uint8_t *out)
{
    uint16_t check = checksum_modbus(frame, n);
    struct serial_byte bytes[64];

    for (size_t i = 0; i < n + 2; i++)
        bytes[i] =
            (struct serial_byte){.byte = i < n ? frame[i]
                                               : (uint8_t)(i == n ? check : check >> 8),
                                 .gap = i == at ? gap : 0};
    modbus_server_feed(server, bytes, n + 2, 1000000);
    assert_int_equal(modbus_server_poll(server, 1000000 + 2000, out), 0); /* too early */
    return modbus_server_poll(server, 1000000 + 2100, out);
}

static void slave_answers_and_keeps_silent(void **state)
{
    const struct hal_line line = {.baud = 19200,
                                  .data_bits = 8,
                                  .parity = HAL_PARITY_EVEN,
                                  .stop_bits = 1};
    const struct modbus_source source = {.registers = registers};
    struct modbus_setting setting = {.address = 5, .units = 2};
    struct modbus_server server;
    uint8_t out[MODBUS_FRAME_MAX];

    (void)state;
    modbus_server_times(&line, 0, &setting);
    assert_int_equal(setting.t35_us, 2005);
    modbus_server_init(&server, &setting, &source);
    assert_int_equal(ask(&server, (uint8_t[]){5, 3, 0, 0, 0, 2}, 6, 0, 0, out), 9);
    assert_int_equal(ask(&server, (uint8_t[]){6, 4, 0, 0, 0, 2}, 6, 0, 0, out), 9);
    assert_int_equal(ask(&server, (uint8_t[]){7, 3, 0, 0, 0, 2}, 6, 0, 0, out), 0);
    assert_int_equal(ask(&server, (uint8_t[]){0, 3, 0, 0, 0, 2}, 6, 0, 0, out), 0);
    assert_int_equal(ask(&server, (uint8_t[]){5, 3, 0, 0, 0, 2}, 6, 26, 3, out), 0);
    assert_int_equal(server.count.gaps, 1);
    assert_int_equal(ask(&server, (uint8_t[]){5, 6, 0, 0, 0, 2}, 6, 0, 0, out), 5);
    assert_int_equal(out[2], MODBUS_BAD_FUNCTION);
    assert_int_equal(ask(&server, (uint8_t[]){5, 3, 0, 10, 0, 2}, 6, 0, 0, out), 5);
    assert_int_equal(out[2], MODBUS_BAD_ADDRESS);
    assert_int_equal(ask(&server, (uint8_t[]){5, 3, 0, 0, 0, 126}, 6, 0, 0, out), 5);
    assert_int_equal(out[2], MODBUS_BAD_VALUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(come_back_as_they_were),
        cmocka_unit_test(too_large_takes_its_number),
        cmocka_unit_test(an_hour_fits),
        cmocka_unit_test(more_heads_than_there_is_room_for),
        cmocka_unit_test(device_times_share_their_head),
        cmocka_unit_test(no_room_for_one),
        cmocka_unit_test(slave_answers_and_keeps_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
