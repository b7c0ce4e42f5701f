/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "ports/modbus_frame.h"
#include "ports/modbus_framing.h"

static void only_reading_functions_may_leave(void **state)
{
    static const uint8_t reads[] = {1, 2, 3, 4, 17, 20, 24};
    uint8_t pdu[2] = {0, 0};
    unsigned allowed = 0;

    (void)state;
    for (unsigned f = 0; f < 256; f++) {
        pdu[0] = (uint8_t)f;
        allowed += port_modbus_allowed(pdu, 2);
    }
    assert_int_equal(allowed, sizeof reads);
    for (size_t i = 0; i < sizeof reads; i++) {
        pdu[0] = reads[i];
        assert_true(port_modbus_allowed(pdu, 1));
    }
    /* 43 carries many things; only device identification (14) reads. */
    for (unsigned mei = 0; mei < 256; mei++) {
        const uint8_t encapsulated[2] = {43, (uint8_t)mei};

        assert_int_equal(port_modbus_allowed(encapsulated, 2), mei == 14);
    }
    pdu[0] = 43;
    assert_false(port_modbus_allowed(pdu, 1));
    pdu[0] = 3;
    assert_false(port_modbus_allowed(pdu, 0));
    assert_false(port_modbus_allowed(pdu, PORT_MODBUS_PDU_MAX + 1));
}

static void requests_are_built_or_refused(void **state)
{
    uint8_t pdu[PORT_MODBUS_PDU_MAX];
    struct port_modbus_request r = {.unit = 1,
                                    .function = 3,
                                    .address = 0x0102,
                                    .count = 10};
    static const uint8_t want[] = {3, 1, 2, 0, 10};

    (void)state;
    assert_int_equal(modbus_frame_pdu(&r, pdu), 5);
    assert_memory_equal(pdu, want, 5);
    r.count = 0;
    assert_int_equal(modbus_frame_pdu(&r, pdu), 0);
    r.count = 126;
    assert_int_equal(modbus_frame_pdu(&r, pdu), 0);
    r.count = 125;
    assert_int_equal(modbus_frame_pdu(&r, pdu), 5);
    r.function = 1;
    r.count = 2000;
    assert_int_equal(modbus_frame_pdu(&r, pdu), 5);
    r.count = 2001;
    assert_int_equal(modbus_frame_pdu(&r, pdu), 0);
    r = (struct port_modbus_request){.function = 4, .address = 65535, .count = 2};
    assert_int_equal(modbus_frame_pdu(&r, pdu), 0); /* past the last address */
    for (unsigned f = 0; f < 256; f++) {
        bool reads = (f >= 1 && f <= 4) || f == 17 || f == 20 || f == 24 || f == 43;

        r = (struct port_modbus_request){.function = (uint8_t)f,
                                         .count = 1,
                                         .file_count = 1,
                                         .files = {
                                             {.file = 4, .record = 1, .length = 2}}};
        assert_int_equal(modbus_frame_pdu(&r, pdu) > 0, reads);
    }
    r = (struct port_modbus_request){.function = 20};
    assert_int_equal(modbus_frame_pdu(&r, pdu), 0); /* no part of a file */
    r.file_count = 5;
    assert_int_equal(modbus_frame_pdu(&r, pdu), 0);
    r = (struct port_modbus_request){.function = 43, .address = 1, .count = 0};
    assert_int_equal(modbus_frame_pdu(&r, pdu), 4);
    assert_memory_equal(pdu, ((const uint8_t[]){43, 14, 1, 0}), 4);
}

static void reply_lengths_are_known_as_early_as_can_be(void **state)
{
    static const uint8_t registers[] = {7, 3, 4, 0, 1, 0, 2};
    static const uint8_t refused[] = {7, 0x83, 2, 0, 0};
    static const uint8_t id[] = {7, 43,  14,  1,   1, 0, 0,   2, 0,
                                 3, 'a', 'b', 'c', 1, 1, 'x', 0, 0};
    uint8_t odd[4] = {7, 99, 1, 1};

    (void)state;
    assert_int_equal(modbus_frame_length(registers, 2), 0);
    assert_int_equal(modbus_frame_length(registers, 3), 9);
    assert_int_equal(modbus_frame_length(refused, 3), 5);
    assert_int_equal(modbus_frame_length(odd, 4), MODBUS_RTU_MAX + 1);
    odd[1] = 3;
    odd[2] = 252;
    assert_int_equal(modbus_frame_length(odd, 3), MODBUS_RTU_MAX + 1);
    for (size_t have = 0; have < 14; have++)
        assert_int_equal(modbus_frame_length(id, have), 0);
    assert_int_equal(modbus_frame_length(id, 15), sizeof id);
}

static void only_the_asked_shape_matches(void **state)
{
    const struct port_modbus_request r = {.unit = 7,
                                          .function = 3,
                                          .address = 0,
                                          .count = 2};
    uint8_t pdu[] = {3, 4, 1, 2, 3, 4};
    const uint8_t *data;
    size_t size;

    (void)state;
    assert_int_equal(modbus_frame_match(&r, pdu, 6, &data, &size), PORT_OK);
    assert_int_equal(size, 4);
    assert_ptr_equal(data, pdu + 2);
    assert_int_equal(modbus_frame_match(&r, pdu, 5, &data, &size), PORT_LENGTH);
    assert_int_equal(modbus_frame_match(&r, pdu, 0, &data, &size), PORT_LENGTH);
    pdu[1] = 2;
    assert_int_equal(modbus_frame_match(&r, pdu, 4, &data, &size), PORT_LENGTH);
    pdu[0] = 4;
    pdu[1] = 4;
    assert_int_equal(modbus_frame_match(&r, pdu, 6, &data, &size), PORT_LENGTH);
    assert_int_equal(modbus_frame_match(&r, (const uint8_t[]){0x83, 2}, 2, &data, &size),
                     PORT_EXCEPTION);
    assert_int_equal(modbus_frame_match(&r, (const uint8_t[]){0x83, 0}, 2, &data, &size),
                     PORT_LENGTH);
    assert_int_equal(modbus_frame_match(&r, (const uint8_t[]){0x84, 2}, 2, &data, &size),
                     PORT_LENGTH);
    assert_int_equal(modbus_frame_match(&r, (const uint8_t[]){0x83}, 1, &data, &size),
                     PORT_LENGTH);
}

static void frames_are_found_in_noise(void **state)
{
    const struct port_modbus_request r = {.unit = 7,
                                          .function = 3,
                                          .address = 0,
                                          .count = 1};
    struct port_modbus_strays strays = {0};
    uint8_t bytes[40] = {0xFF, 0x07, 0x03};
    size_t n = 3;

    (void)state;
    for (uint8_t unit = 9; unit >= 7; unit -= 2) {
        const uint8_t frame[] = {unit, 3, 2, 0, 72};

        memcpy(bytes + n, frame, sizeof frame);
        modbus_frame_seal(bytes + n, sizeof frame);
        n += 7;
    }
    bytes[n++] = 0x55;
    assert_true(modbus_framing_scan(&modbus_rtu_framing, &r, bytes, n, &strays));
    assert_int_equal(strays.bytes, 18);
    assert_int_equal(strays.unread, 4);
    assert_int_equal(strays.units[0], 1 << 7 | 1 << 9);
    /* Every single flipped bit is noticed. */
    for (size_t bit = 0; bit < (size_t)7 * 8; bit++) {
        bytes[10 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(
            modbus_framing_scan(&modbus_rtu_framing, &r, bytes + 10, 7, &strays));
        bytes[10 + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(modbus_frame_crc(bytes + 10, 7));
    assert_false(modbus_frame_crc(bytes + 10, 3));
    assert_false(modbus_framing_scan(&modbus_rtu_framing, &r, bytes, 0, &strays));
}

static void times_are_those_of_the_standard(void **state)
{
    struct port_line line = {.baud = 9600,
                             .data_bits = 8,
                             .parity = DRIVER_PARITY_EVEN,
                             .stop_bits = 1};

    (void)state;
    assert_int_equal(port_char_bits(&line), 11);
    assert_int_equal(port_char_us(&line), 1146);
    assert_in_range(port_gap_us(&line), 4010, 4012);
    line.baud = 19200;
    assert_in_range(port_gap_us(&line), 2005, 2007);
    line.baud = 115200;
    assert_int_equal(port_gap_us(&line), 1750);
    assert_int_equal(port_chars_us(&line, 33), 3152); /* no error adds up */
    line.parity = DRIVER_PARITY_NONE;
    assert_int_equal(port_char_bits(&line), 10);
    line.tcp_port = 502;
    assert_int_equal(port_gap_us(&line) + port_char_us(&line), 0);
    assert_string_equal(port_error_text(PORT_OK), "ok");
    assert_string_equal(port_error_text(PORT_GONE), "gone");
    assert_string_equal(port_error_text(PORT_CRC), "crc");
    assert_string_equal(port_error_text(-99), "unknown");
    assert_string_equal(port_error_text(1), "unknown");
}

/* The frames of the freezer's manuals, and what is not quite one. */
static void ascii_frames_are_whole_or_nothing(void **state)
{
    static const char request[] = ":010305300002C5\r\n",
                      reply[] = ":010304FFFFFCE01E\r\n";
    static const char *const bad[] = {
        ":010304FFFFFCE01F\r\n", ":010304FFFFFCE01\r\n",    ":010304FFFFFCE01E\n\n",
        "010304FFFFFCE01E\r\n",  ":010304FFFFGCE01E\r\n",   ":0103\r\n",
        ":010304FFFF CE01E\r\n", ":010304FFFFFCE01E\r\r\n", "::010304FFFFFCE01E\r\n",
    };
    const struct modbus_framing *ascii = &modbus_ascii_framing;
    uint8_t out[MODBUS_ASCII_MAX], room[MODBUS_BODY_MAX], flipped[sizeof reply];
    struct port_modbus_strays strays = {0};
    const uint8_t *body;
    size_t size, n = sizeof reply - 1;

    (void)state;
    size = ascii->seal((const uint8_t[]){1, 3, 5, 0x30, 0, 2}, 6, out);
    assert_int_equal(size, sizeof request - 1);
    assert_memory_equal(out, request, size);
    body = ascii->open((const uint8_t *)reply, n, room, &size);
    assert_non_null(body);
    assert_int_equal(size, 7);
    assert_memory_equal(body, ((const uint8_t[]){1, 3, 4, 0xFF, 0xFF, 0xFC, 0xE0}), 7);
    for (size_t have = 0; have < n; have++)
        assert_int_equal(ascii->length((const uint8_t *)reply, have), 0);
    assert_int_equal(ascii->length((const uint8_t *)reply, n), n);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(ascii->open((const uint8_t *)bad[i], strlen(bad[i]), room, &size));
    /* One flipped bit: the same bytes (a digit in the other case) or none. */
    for (size_t bit = 0; bit < n * 8; bit++) {
        memcpy(flipped, reply, n);
        flipped[bit / 8] ^= (uint8_t)(1U << bit % 8);
        body = ascii->open(flipped, n, room, &size);
        assert_true(body == NULL || memcmp(body, "\1\3\4\xFF\xFF\xFC\xE0", 7) == 0);
    }
    memset(out, ':', sizeof out);
    memcpy(out + 20, reply, n);
    assert_false(modbus_framing_scan(ascii, NULL, out, 20 + n, &strays));
    assert_int_equal(strays.units[0], 2);
    assert_int_equal(strays.unread, 20);
    memset(out, '0', sizeof out);
    out[0] = ':';
    assert_int_equal(ascii->length(out, sizeof out), MODBUS_ASCII_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_reading_functions_may_leave),
        cmocka_unit_test(requests_are_built_or_refused),
        cmocka_unit_test(reply_lengths_are_known_as_early_as_can_be),
        cmocka_unit_test(only_the_asked_shape_matches),
        cmocka_unit_test(frames_are_found_in_noise),
        cmocka_unit_test(times_are_those_of_the_standard),
        cmocka_unit_test(ascii_frames_are_whole_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
