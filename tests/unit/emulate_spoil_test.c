/* SPDX-License-Identifier: Apache-2.0
 *
 * Faults and the faster clock between an emulated device and its line; and every line of
 * the table of kinds: its driver is there, what it shows it shows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/driver.h"
#include "tool/emulate_kinds.h"
#include "tool/emulate_spoil.h"

#define SECOND_US UINT64_C(1000000)

/* Says 8 bytes a second of its own time, and repeats what it hears. */
struct talker {
    uint64_t next_us, heard_us;
};

static void talk(void *state, uint64_t now_us, struct emulate_output *out,
                 uint64_t *again)
{
    struct talker *talker = state;

    while (talker->next_us <= now_us && out->count < 2) {
        out->bursts[out->count++] =
            (struct emulate_burst){.due_us = talker->next_us,
                                   .size = 8,
                                   .bytes = {1, 2, 3, 4, 5, 6, 7, 8}};
        talker->next_us += SECOND_US;
    }
    *again = talker->next_us;
}

static void hear(void *state, const uint8_t *bytes, size_t n, uint64_t now_us,
                 struct emulate_output *out)
{
    struct talker *talker = state;
    struct emulate_burst *burst = &out->bursts[out->count++];

    talker->heard_us = now_us;
    *burst = (struct emulate_burst){.due_us = now_us, .size = n};
    memcpy(burst->bytes, bytes, n);
}

static const struct emulator talker_emulator = {"talker", hear, talk};

/* One burst with one fault on it; returns how many came out. */
static size_t spoilt(struct emulate_spoil_fault fault, struct emulate_output *out)
{
    struct talker talker = {.next_us = 5};
    struct emulate_spoil spoil = {.inner = &talker_emulator,
                                  .state = &talker,
                                  .speed = 1,
                                  .faults = &fault,
                                  .fault_count = 1};
    uint64_t again;

    memset(out, 0, sizeof *out);
    emulate_spoil_emulator.tick(&spoil, 5, out, &again);
    assert_int_equal(again, 5 + SECOND_US);
    assert_int_equal(spoil.bursts, 1);
    return out->count;
}

static void each_fault_does_what_it_says(void **state)
{
    static const uint8_t whole[] = {1, 2, 3, 4, 5, 6, 7, 8};
    struct emulate_output out;

    (void)state;
    assert_int_equal(spoilt((struct emulate_spoil_fault){0, SPOIL_LATE, 700}, &out), 1);
    assert_int_equal(out.bursts[0].due_us, 705);
    assert_memory_equal(out.bursts[0].bytes, whole, 8);
    assert_int_equal(spoilt((struct emulate_spoil_fault){1, SPOIL_TWICE, 70}, &out), 2);
    assert_int_equal(out.bursts[1].due_us, 75);
    assert_memory_equal(out.bursts[1].bytes, whole, 8);
    assert_int_equal(spoilt((struct emulate_spoil_fault){1, SPOIL_SHORT, 3}, &out), 1);
    assert_int_equal(out.bursts[0].size, 3);
    assert_int_equal(spoilt((struct emulate_spoil_fault){1, SPOIL_DROP, 9}, &out), 1);
    assert_int_equal(out.bursts[0].size, 7);
    assert_memory_equal(out.bursts[0].bytes, ((const uint8_t[]){1, 3, 4, 5, 6, 7, 8}), 7);
    assert_int_equal(spoilt((struct emulate_spoil_fault){1, SPOIL_FLIP, 66}, &out), 1);
    assert_int_equal(out.bursts[0].bytes[0], 1 ^ 4);
    assert_int_equal(spoilt((struct emulate_spoil_fault){1, SPOIL_SILENT, 0}, &out), 0);
    assert_int_equal(spoilt((struct emulate_spoil_fault){1, SPOIL_GARBAGE, 5}, &out), 2);
    assert_int_equal(out.bursts[0].size, 5);
    assert_memory_equal(out.bursts[1].bytes, whole, 8);
    /* Another burst's fault leaves this one alone. */
    assert_int_equal(spoilt((struct emulate_spoil_fault){2, SPOIL_SILENT, 0}, &out), 1);
    assert_memory_equal(out.bursts[0].bytes, whole, 8);
}

static void a_faster_clock_says_more_and_hears_in_its_own_time(void **state)
{
    struct talker talker = {.next_us = 1000};
    struct emulate_spoil spoil = {.inner = &talker_emulator,
                                  .state = &talker,
                                  .speed = 10,
                                  .origin_us = 1000};
    struct emulate_output out = {.count = 0};
    uint64_t again = 1000, said = 0;

    (void)state;
    while (again <= 1000 + SECOND_US) {
        uint64_t now = again;

        out.count = 0;
        emulate_spoil_emulator.tick(&spoil, now, &out, &again);
        assert_true(again > now);
        for (size_t i = 0; i < out.count; i++)
            assert_int_equal(out.bursts[i].due_us, now);
        said += out.count;
    }
    assert_int_equal(said, 11);
    out.count = 0;
    emulate_spoil_emulator.feed(&spoil, (const uint8_t[]){9}, 1, 1000 + SECOND_US, &out);
    assert_int_equal(talker.heard_us, 1000 + 10 * SECOND_US);
    assert_int_equal(out.bursts[0].due_us, 1000 + SECOND_US);
}

static void every_kind_has_its_driver_and_shows_something(void **state)
{
    static const char *const names[] = {"HR",     "PULSE",   "RESP",    "SpO2",
                                        "NBPSys", "NBPDias", "NBPMean", NULL};
    const struct emulate_kind *kind;
    size_t i;

    (void)state;
    for (i = 0; (kind = emulate_kind_at(i)) != NULL; i++) {
        void *device = calloc(1, kind->state_size);

        assert_non_null(device);
        assert_ptr_equal(emulate_kind_by_name(kind->name), kind);
        assert_non_null(driver_by_name(kind->name));
        assert_non_null(kind->emulator);
        kind->start(device, 0);
        assert_int_equal(kind->show(device, "no such value", "1"), EMULATE_NO_FIELD);
        for (size_t n = 0; names[n] != NULL; n++) {
            int error = kind->show(device, names[n], "72");

            assert_true(error == EMULATE_OK || error == EMULATE_NO_FIELD);
            if (error != EMULATE_OK)
                continue;
            assert_int_equal(kind->show(device, names[n], ""), EMULATE_OK);
            assert_true(kind->show(device, names[n], "123456789.25") < 0);
        }
        free(device);
    }
    assert_null(emulate_kind_by_name("nosuch"));
    for (size_t d = 0; driver_at(d) != NULL; d++)
        if (emulate_kind_by_name(driver_at(d)->name) == NULL)
            fail_msg("%s has no line in gateway/tool/emulate_kinds.c",
                     driver_at(d)->name);
    print_message("%zu kinds\n", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_does_what_it_says),
        cmocka_unit_test(a_faster_clock_says_more_and_hears_in_its_own_time),
        cmocka_unit_test(every_kind_has_its_driver_and_shows_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
