/* SPDX-License-Identifier: Apache-2.0
 *
 * Which image runs: a table of what two slots hold and which one is chosen, and what
 * start, confirm and clear leave behind. Cuts at every operation are tests/fault/flash's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "firmware/slots.h"
#include "images.h"
#include "nor.h"

#define BOARD    "testboard"
#define BASE_A   0x21000000u
#define BASE_B   0x21040000u
#define SLOT     4096u
#define ERASE    1024u
#define PAYLOAD  64u
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Places of the trailer (slots.h). */
#define MAGIC     (SLOT - 16)
#define IMAGE_OK_ (SLOT - 24)
#define COPY_DONE (SLOT - 32)
#define RECORDS   (SLOT - 168)

struct holds {
    uint8_t version; /* minor; 0: nothing is in the slot */
    uint8_t counter;
    enum slot_state state;
    uint8_t record; /* security counter in this slot's records; 0: none */
    bool bad;       /* the image's bytes do not verify */
};

static struct nor_power power = {.random = 88172645463325252u};
static struct nor parts[SLOTS];
static const struct flash_area *const areas[SLOTS] = {&parts[0].area, &parts[1].area};
static uint8_t bytes[SLOTS][SLOT];
static bool is_bad[SLOTS];
static int verified;

static int verify(void *context, const struct flash_area *area, const struct image *image)
{
    (void)context;
    (void)image;
    verified++;
    return is_bad[area == &parts[1].area] ? IMAGE_WRONG_HASH : IMAGE_OK;
}

static void put_slot(int slot, const struct holds *holds)
{
    const struct images_wish wish = {BOARD,
                                     slot == 0 ? BASE_A : BASE_B,
                                     PAYLOAD,
                                     holds->counter,
                                     {1, holds->version, 0, 0}};
    uint8_t *at = bytes[slot];

    memset(at, 0xFF, SLOT);
    is_bad[slot] = holds->bad;
    if (holds->version != 0)
        (void)images_make(&wish, 0, at);
    if (holds->state != SLOT_EMPTY)
        memcpy(at + MAGIC, image_trailer_magic, sizeof(image_trailer_magic));
    if (holds->state == SLOT_CONFIRMED)
        at[IMAGE_OK_] = 0x01;
    if (holds->state == SLOT_TRIED)
        at[COPY_DONE] = 0x01;
    if (holds->record != 0) {
        memset(at + RECORDS, 0, 4);
        at[RECORDS] = holds->record;
        at[RECORDS + 4] = (uint8_t)~holds->record;
    }
}

static void look(struct slots *slots)
{
    const struct slots_verify verifier = {verify, NULL};

    nor_power_on(&power, 0, NOR_NONE);
    slots_look(slots, areas, BOARD, &verifier);
}

static void put_both(struct slots *slots, struct holds a, struct holds b)
{
    nor_init(&parts[0], &power, bytes[0], BASE_A, SLOT, ERASE, 4);
    nor_init(&parts[1], &power, bytes[1], BASE_B, SLOT, ERASE, 8);
    put_slot(0, &a);
    put_slot(1, &b);
    look(slots);
}

#define EMPTY     SLOT_EMPTY
#define PENDING   SLOT_PENDING
#define TRIED     SLOT_TRIED
#define CONFIRMED SLOT_CONFIRMED
static const struct {
    const char *what;
    struct holds slots[SLOTS]; /* version, counter, state, record, bad */
    int chosen;
    int errors[SLOTS];
} table[] = {
    {"a new node", {{0}, {0}}, -1, {-2, -2}},
    {"an image without a trailer", {{1, 0, EMPTY, 0, false}, {0}}, -1, {0, -2}},
    {"a trailer without an image", {{0, 0, CONFIRMED, 0, false}, {0}}, -1, {-2, -2}},
    {"one", {{1, 0, CONFIRMED, 0, false}, {0}}, 0, {0, -2}},
    {"one to try", {{0}, {1, 0, PENDING, 0, false}}, 1, {-2, 0}},
    {"newer confirmed",
     {{1, 0, CONFIRMED, 0, false}, {2, 0, CONFIRMED, 0, false}},
     1,
     {0, 0}},
    {"newer to try", {{3, 0, PENDING, 0, false}, {2, 0, CONFIRMED, 0, false}}, 0, {0, 0}},
    {"older to try", {{1, 0, PENDING, 0, false}, {2, 0, CONFIRMED, 0, false}}, 1, {0, 0}},
    {"newer tried once: back",
     {{1, 0, CONFIRMED, 0, false}, {2, 0, TRIED, 0, false}},
     0,
     {0, 0}},
    {"newer is damaged",
     {{1, 0, CONFIRMED, 0, false}, {2, 0, CONFIRMED, 0, true}},
     0,
     {0, -15}},
    {"both damaged",
     {{1, 0, CONFIRMED, 0, true}, {2, 0, PENDING, 0, true}},
     -1,
     {-15, -15}},
    {"both tried", {{1, 0, TRIED, 0, false}, {2, 0, TRIED, 0, false}}, -1, {0, 0}},
    {"the same: the confirmed one",
     {{1, 0, PENDING, 0, false}, {1, 0, CONFIRMED, 0, false}},
     1,
     {0, 0}},
    {"the same, both confirmed",
     {{1, 0, CONFIRMED, 0, false}, {1, 0, CONFIRMED, 0, false}},
     0,
     {0, 0}},
    {"a counter outweighs a version",
     {{9, 1, CONFIRMED, 0, false}, {1, 2, PENDING, 0, false}},
     1,
     {0, 0}},
    {"below the counter in its own slot",
     {{1, 1, CONFIRMED, 2, false}, {0}},
     -1,
     {-13, -2}},
    {"below the counter in the other slot",
     {{9, 4, CONFIRMED, 0, false}, {1, 5, CONFIRMED, 5, false}},
     1,
     {-13, 0}},
    {"at the counter",
     {{1, 5, CONFIRMED, 0, false}, {0, 0, EMPTY, 5, false}},
     0,
     {0, -2}},
};

static void what_is_chosen(void **state)
{
    static struct slots slots;

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        put_both(&slots, table[i].slots[0], table[i].slots[1]);
        if (slots_choose(&slots) != table[i].chosen ||
            slots.errors[0] != table[i].errors[0] ||
            slots.errors[1] != table[i].errors[1])
            fail_msg("%s: slot %d, errors %d %d", table[i].what, slots_choose(&slots),
                     slots.errors[0], slots.errors[1]);
    }
}

/* Every bit that a cut may leave unwritten, and every one that may be written beside. */
static void torn_fields_start_less(void **state)
{
    static struct slots slots;
    const struct holds confirmed = {1, 0, SLOT_CONFIRMED, 0, false},
                       pending = {1, 0, SLOT_PENDING, 0, false},
                       counted = {1, 5, SLOT_CONFIRMED, 5, false};

    (void)state;
    for (unsigned bit = 0; bit < 128; bit++) {
        put_both(&slots, confirmed, (struct holds){0});
        bytes[0][MAGIC + bit / 8] ^= (uint8_t)(1u << bit % 8);
        look(&slots);
        assert_int_equal(slots.states[0], SLOT_EMPTY);
    }
    for (unsigned bit = 0; bit < 64; bit++) {
        put_both(&slots, confirmed, pending);
        bytes[0][IMAGE_OK_ + bit / 8] ^= (uint8_t)(1u << bit % 8);
        bytes[1][COPY_DONE + bit / 8] ^= (uint8_t)(1u << bit % 8);
        look(&slots);
        assert_int_equal(slots.states[0], SLOT_PENDING);
        assert_int_equal(slots.states[1], SLOT_TRIED);
        put_both(&slots, counted, (struct holds){0});
        assert_int_equal(slots.floor, 5);
        bytes[0][RECORDS + bit / 8] ^= (uint8_t)(1u << bit % 8);
        look(&slots);
        assert_int_equal(slots.floor, 0);
    }
}

static void tried_once_then_back(void **state)
{
    static struct slots slots;

    (void)state;
    put_both(&slots, (struct holds){1, 1, SLOT_CONFIRMED, 1, false},
             (struct holds){2, 3, SLOT_PENDING, 0, false});
    assert_int_equal(slots_choose(&slots), 1);
    assert_true(slots_start(&slots, 1));
    assert_int_equal(slots_spare(&slots, 1), SLOT_NONE);
    look(&slots);
    assert_int_equal(slots.states[1], SLOT_TRIED);
    assert_int_equal(slots_choose(&slots), 0);
    assert_int_equal(slots.floor, 1); /* trying alone raises nothing */
}

static void confirmed_stays(void **state)
{
    static struct slots slots;

    (void)state;
    put_both(&slots, (struct holds){1, 1, SLOT_CONFIRMED, 1, false},
             (struct holds){2, 3, SLOT_PENDING, 0, false});
    assert_true(slots_start(&slots, 1));
    assert_int_equal(slots_confirm(&slots, 1), FLASH_OK);
    assert_int_equal(slots_confirm(&slots, 1), FLASH_OK);
    assert_int_equal(slots_spare(&slots, 1), 0);
    look(&slots);
    assert_int_equal(slots_choose(&slots), 1);
    assert_int_equal(slots.floor, 3);
    assert_int_equal(slots.errors[0], IMAGE_ROLLED_BACK);
    /* An empty slot, and one whose image is not good, can't be confirmed. */
    put_both(&slots, (struct holds){0}, (struct holds){2, 3, SLOT_EMPTY, 0, false});
    assert_int_equal(slots_confirm(&slots, 0), FLASH_FAILED);
    assert_int_equal(slots_confirm(&slots, 1), FLASH_FAILED);
}

static void unmarked_is_not_started(void **state)
{
    static struct slots slots;

    (void)state;
    put_both(&slots, (struct holds){0}, (struct holds){2, 3, SLOT_PENDING, 0, false});
    power.off = true;
    assert_false(slots_start(&slots, 1));
    assert_int_equal(slots_choose(&slots), SLOT_NONE);
    put_both(&slots, (struct holds){2, 3, SLOT_CONFIRMED, 0, false}, (struct holds){0});
    power.off = true;
    assert_true(slots_start(&slots, 0));
    assert_int_equal(slots.floor, 0);
}

static void clearing_keeps_the_counter(void **state)
{
    static struct slots slots;

    (void)state;
    put_both(&slots, (struct holds){2, 5, SLOT_CONFIRMED, 0, false},
             (struct holds){1, 5, SLOT_TRIED, 5, false});
    assert_int_equal(slots_clear(&slots, 1), FLASH_OK);
    for (uint32_t i = SLOT - ERASE; i < SLOT; i++)
        assert_int_equal(bytes[1][i], 0xFF);
    look(&slots);
    assert_int_equal(slots.floor, 5);
    assert_int_equal(slots.states[1], SLOT_EMPTY);
    nor_power_on(&power, 0, NOR_NONE);
    assert_int_equal(slots_clear(&slots, 1), FLASH_OK);
    assert_int_equal(power.done, 0); /* clean: no erase is spent */
    put_both(&slots, (struct holds){0}, (struct holds){0, 0, SLOT_EMPTY, 5, false});
    assert_int_equal(slots_spare(&slots, SLOT_NONE), 0);
}

static void verified_only_what_may_run(void **state)
{
    static struct slots slots;

    (void)state;
    verified = 0;
    put_both(&slots, (struct holds){1, 1, SLOT_TRIED, 0, false},
             (struct holds){2, 1, SLOT_CONFIRMED, 2, false});
    assert_int_equal(verified, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_chosen),
        cmocka_unit_test(torn_fields_start_less),
        cmocka_unit_test(tried_once_then_back),
        cmocka_unit_test(confirmed_stays),
        cmocka_unit_test(unmarked_is_not_started),
        cmocka_unit_test(clearing_keeps_the_counter),
        cmocka_unit_test(verified_only_what_may_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
