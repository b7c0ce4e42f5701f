/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated BIS VISTA and its driver.
 */
#include "drivers_emulated.h"

#include "drivers/emulate/bis_vista.h"

static void start(struct emulated *line, struct bis_vista_emulator *device)
{
    bis_vista_emulator_init(device, 0);
    device->signal = 900;
    emulated_start(line, "bis-vista", &bis_vista_line_emulator, device);
}

/* Every tenth of the index, in both lengths of the message; beyond it no value. */
static void test_values(void **state)
{
    struct bis_vista_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    for (int n = -1; n <= 1001; n++) {
        bool good = n >= 0 && n <= 1000;
        device.index = (int16_t)n;
        device.ratio = (int16_t)(1000 - n);
        device.edge = (int16_t)(n * 3);
        device.extra = n % 2;
        emulated_forget(&line);
        emulated_pass(&line, SECOND_US);
        assert_in_range(line.rig.kept.sets, 1, 2);
        assert_int_equal(line.rig.kept.bytes, 0);
        if (!good) {
            assert_absent(emulated_find(&line, 192590, 0, 0), QUALITY_INVALID);
            continue;
        }
        assert_number(emulated_find(&line, 192590, 0, 0), n, -1, 262656, 0);
        assert_number(emulated_find(&line, 192586, 0, 0), 1000 - n, -1, 262688, 0);
        assert_number(emulated_find(&line, 153992, 0, 0), (int64_t)n * 3, -2, 264640, 0);
        assert_number(emulated_find(&line, 192589, 0, 0), 900, -1, 262688, 0);
    }
    assert_int_equal(device.refused, 0);
    emulated_end(&line);
}

/* No value, and little signal. */
static void test_marks(void **state)
{
    struct bis_vista_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, SECOND_US);
    assert_absent(emulated_find(&line, 192590, 0, 0), 0);
    assert_absent(emulated_find(&line, 192586, 0, 0), 0);
    assert_absent(emulated_find(&line, 153992, 0, 0), 0);
    device.index = 453;
    device.signal = 499;
    emulated_pass(&line, SECOND_US);
    assert_number(emulated_find(&line, 192590, 0, 0), 453, -1, 262656,
                  QUALITY_QUESTIONABLE);
    assert_number(emulated_find(&line, 192589, 0, 0), 499, -1, 262688, 0);
    device.signal = -32770;
    emulated_pass(&line, SECOND_US);
    assert_absent(emulated_find(&line, 192589, 0, 0), 0);
    assert_int_equal(emulated_find(&line, 192590, 0, 0)->quality, QUALITY_QUESTIONABLE);
    emulated_end(&line);
}

/* Asked once; asked again after it was switched off and on. */
static void test_session(void **state)
{
    struct bis_vista_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 300 * SECOND_US);
    assert_int_equal(device.started, 1);
    assert_in_range(device.messages, 299, 301);
    bis_vista_emulator_init(&device, line.now_us);
    emulated_pass(&line, 20 * SECOND_US);
    assert_int_equal(device.started, 1);
    assert_in_range(device.messages, 10, 20);
    emulated_end(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_session),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
