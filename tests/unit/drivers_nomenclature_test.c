/* SPDX-License-Identifier: Apache-2.0
 *
 * nomenclature: codes as IEEE 11073-10101 counts them, partition << 16 | term.
 */
#include "drivers_test.h"

#include "drivers/nomenclature.h"

static void test_codes(void **state)
{
    static const struct {
        const char *name;
        uint32_t partition, term;
    } cases[] = {
        {"MDC_ECG_HEART_RATE", 2, 0x4182},
        {"MDC_PULS_OXIM_SAT_O2", 2, 0x4BB8},
        {"MDC_PRESS_BLD_NONINV_SYS", 2, 0x4A05},
        {"MDC_RESP_RATE", 2, 0x500A},
        {"MDC_PULS_OXIM_PULS_RATE", 2, 18458},
        {"MDC_PULS_RATE_NON_INV", 2, 18474},
        {"MDC_MASS_BODY_ACTUAL", 2, 57664},
        {"MDC_LEN_BODY_ACTUAL", 2, 57668},
        {"MDC_TEMP_BODY", 2, 19292},
        {"MDC_TEMP_ROOM", 2, 57436},
        {"MDC_VENT_VOL_TIDAL_SETTING", 258, 20908},
        {"MDC_DIM_PERCENT", 4, 544},
        {"MDC_DIM_BEAT_PER_MIN", 4, 2720},
        {"MDC_DIM_RESP_PER_MIN", 4, 2784},
        {"MDC_DIM_MMHG", 4, 3872},
        {"MDC_DIM_KILO_PASCAL", 4, 3843},
        {"MDC_DIM_DEGC", 4, 6048},
        {"MDC_DIM_FAHR", 4, 4416},
        {"MDC_DIM_MILLI_L", 4, 1618},
        {"MDC_DIM_KILO_G", 4, 1731},
        {"MDC_DIM_CENTI_M", 4, 1297},
        {"MDC_DIM_MILLI_L_PER_HR", 4, 3122},
        {"MDC_DIM_X_L_PER_MIN", 4, 3072},
        {"MDC_DIM_MILLI_MOLE_PER_L", 4, 4722},
        {"MDC_DIM_MILLI_G_PER_DL", 4, 2130},
        {"MDC_DIM_DIMLESS", 4, 512},
        {"MDC_DIM_MIN", 4, 2208},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint32_t code = cases[i].partition << 16 | cases[i].term;
        assert_int_equal(nomenclature_code(cases[i].name), code);
        assert_string_equal(nomenclature_name(code), cases[i].name);
        assert_int_equal(nomenclature_is_unit(code), cases[i].partition == 4);
    }
    printf("nomenclature: %zu codes by arithmetic\n", COUNT(cases));
}

static void test_unknown(void **state)
{
    (void)state;
    assert_int_equal(nomenclature_code("MDC_NO_SUCH"), 0);
    assert_int_equal(nomenclature_code(""), 0);
    assert_int_equal(nomenclature_code("mdc_temp"), 0);
    assert_null(nomenclature_name(0));
    assert_null(nomenclature_name(1));
    /* One code, two names: the first is preferred, both are read. */
    assert_int_equal(nomenclature_code("MDC_ECG_CARD_BEAT_RATE"), 147842);
    assert_string_equal(nomenclature_name(147842), "MDC_ECG_HEART_RATE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_unknown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
