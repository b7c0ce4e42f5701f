/* SPDX-License-Identifier: Apache-2.0
 *
 * checksum: published vectors, and what each check finds.
 */
#include "drivers_test.h"

#include "drivers/checksum.h"

static void test_modbus_vectors(void **state)
{
    static const struct {
        uint8_t bytes[8], size;
        uint16_t crc; /* low byte first on the wire */
    } cases[] = {
        {{0x01, 0x03, 0x00, 0x00, 0x00, 0x02}, 6, 0x0BC4},
        {{0x01, 0x04, 0x00, 0x00, 0x00, 0x01}, 6, 0xCA31},
        {{0x01, 0x83, 0x02}, 3, 0xF1C0},
        {{0xF0, 0x83, 0x0B}, 3, 0x0451},
        {{0xF0, 0x03, 0x00, 0x00, 0x00, 0x04}, 6, 0x2851},
        {{0x02, 0x04, 0x00, 0x64, 0x00, 0x04}, 6, 0x25B0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(checksum_modbus(cases[i].bytes, cases[i].size), cases[i].crc);
    assert_int_equal(checksum_modbus((const uint8_t *)"123456789", 9), 0x4B37);
    assert_int_equal(checksum_modbus(NULL, 0), 0xFFFF);
}

static void test_others(void **state)
{
    static const uint8_t thermo[] = {0x01, 0x03, 0x05, 0x30, 0x00, 0x02};
    static const uint8_t minus80[] = {0x01, 0x03, 0x04, 0xFF, 0xFF, 0xFC, 0xE0};
    static const uint8_t nonin[] = {0x01, 0x81, 0x64, 0x00};

    (void)state;
    assert_int_equal(checksum_ccitt_more(CHECKSUM_XMODEM_START,
                                         (const uint8_t *)"123456789", 9),
                     0x31C3);
    assert_int_equal(checksum_ccitt_more(CHECKSUM_XMODEM_START,
                                         (const uint8_t *)"Check this message!", 19),
                     0x9E8F);
    assert_int_equal(checksum_ccitt_more(CHECKSUM_CCITT_START,
                                         (const uint8_t *)"123456789", 9),
                     0x29B1);
    assert_int_equal(checksum_lrc(thermo, sizeof(thermo)), 0xC5);
    assert_int_equal(checksum_lrc(minus80, sizeof(minus80)), 0x1E);
    assert_int_equal(checksum_sum8(nonin, sizeof(nonin)), 0xE6);
    assert_int_equal(checksum_xor8((const uint8_t *)"RCTY", 4), 'R' ^ 'C' ^ 'T' ^ 'Y');
    assert_int_equal(checksum_sum8(NULL, 0), 0);
}

/* Each check finds every single flipped bit; the CRC finds every burst of up to 16 bits.
 */
static void test_finds(void **state)
{
    uint8_t b[32];
    uint64_t seed = SEED;
    size_t flips = 0, bursts = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(b); i++)
        b[i] = (uint8_t)draw(&seed);
    uint16_t crc = checksum_modbus(b, sizeof(b));
    uint8_t sum = checksum_sum8(b, sizeof(b)), all = checksum_xor8(b, sizeof(b));
    for (size_t bit = 0; bit < sizeof(b) * 8; bit++, flips++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(checksum_modbus(b, sizeof(b)), crc);
        assert_int_not_equal(checksum_sum8(b, sizeof(b)), sum);
        assert_int_not_equal(checksum_xor8(b, sizeof(b)), all);
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t start = 0; start + 16 <= sizeof(b) * 8; start++)
        for (size_t round = 0; round < 20; round++, bursts++) {
            uint8_t copy[sizeof(b)];
            uint16_t pattern = (uint16_t)(draw(&seed) | 1);
            memcpy(copy, b, sizeof(b));
            for (size_t i = 0; i < 16; i++)
                if (pattern >> i & 1)
                    copy[(start + i) / 8] ^= (uint8_t)(1u << (start + i) % 8);
            assert_int_not_equal(checksum_modbus(copy, sizeof(copy)), crc);
        }
    printf("checksum: %zu flips, %zu bursts found, seed %u\n", flips, bursts, SEED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modbus_vectors),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
