/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated Corometrics and its driver: the values, a leap, a lifted pen, and one bit
 * wrong anywhere.
 */
#include "drivers_emulated.h"

#include "drivers/emulate/corometrics.h"

#define F OBSERVATION_OF_FETUS
#define M OBSERVATION_OF_PATIENT
#define Q QUALITY_QUESTIONABLE

static void start(struct emulated *line, struct corometrics_emulator *device)
{
    corometrics_emulator_init(device, 0);
    device->heart[0] = 140;
    device->heart[1] = 84;
    device->activity = 25;
    emulated_start(line, "corometrics-115", &corometrics_line_emulator, device);
}

/* Every rate and every activity; the second heart rate is nobody's and never given. */
static void test_values(void **state)
{
    struct corometrics_emulator device;
    struct emulated line;
    size_t trips = 0;

    (void)state;
    start(&line, &device);
    for (int16_t n = 30; n <= 300; n++, trips++) {
        device.heart[0] = n;
        device.heart[1] = (int16_t)(330 - n);
        device.activity = n % 128;
        emulated_forget(&line);
        emulated_pass(&line, 2 * SECOND_US);
        assert_in_range(line.rig.kept.sets, 2, 6);
        assert_number(emulated_find(&line, 192715, F, 1), n, 0, 264864, Q);
        assert_number(emulated_find(&line, 192724, M, 0), n % 128, 0, 262656, Q);
        assert_null(emulated_find(&line, 192715, F, 2));
        for (size_t s = 0; s < line.rig.kept.sets; s++)
            assert_int_equal(line.rig.kept.set[s].count, 1);
        assert_int_equal(line.rig.kept.bytes, 0);
    }
    printf("corometrics: %zu seconds, each the same at the other end\n", trips);
    assert_int_equal(line.sent, 0);
    emulated_end(&line);
}

static void test_lifted(void **state)
{
    struct corometrics_emulator device;
    struct emulated line;

    (void)state;
    start(&line, &device);
    emulated_pass(&line, 3 * SECOND_US);
    device.heart[0] = device.activity = COROMETRICS_LIFTED;
    device.mark = true;
    emulated_forget(&line);
    emulated_pass(&line, 2 * SECOND_US);
    assert_absent(emulated_find(&line, 192715, F, 1), 0);
    assert_absent(emulated_find(&line, 192724, M, 0), 0);
    emulated_end(&line);
}

/* Every bit of a quarter of a second, at every place before a set: no other number. */
static void test_flips(void **state)
{
    struct corometrics_emulator device;
    struct emulated line;
    size_t tried = 0;

    (void)state;
    for (uint64_t part = 0; part < 9; part++)
        for (uint32_t bit = 1; bit <= 23 * 8; bit++) {
            start(&line, &device);
            emulated_pass(&line, 3 * SECOND_US + part * TENTH_US);
            device.flip = bit;
            emulated_pass(&line, 4 * SECOND_US);
            tried += device.flip == 0;
            for (size_t s = 0; s < line.rig.kept.sets; s++) {
                const struct observation *o = &line.rig.kept.set[s].items[0];
                if (o->kind == OBSERVATION_NUMERIC)
                    assert_int_equal(o->mantissa, o->code == 192715 ? 140 : 25);
            }
            emulated_end(&line);
        }
    assert_true(tried > 1000);
    printf("corometrics: %zu flips, no other number\n", tried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_lifted),
        cmocka_unit_test(test_flips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
