/* SPDX-License-Identifier: Apache-2.0
 *
 * Updates over the bus, request by request, into flash of the rig: what is refused before
 * a byte is written, blocks out of order and twice, cuts, and what lies there at the end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/checksum.h"
#include "firmware/bytes.h"
#include "firmware/update_server.h"
#include "images.h"
#include "nor.h"

#define BOARD    "testboard"
#define BASE_A   0x21000000u
#define BASE_B   0x21040000u
#define SLOT     8192u
#define ERASE    1024u
#define PAYLOAD  2000u
#define HEADER   512u /* of the rig's images */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Places of a state's reply (update_server.h), behind the operation. */
#define AT_STATE 2
#define AT_ERROR 3
#define AT_NEXT  15

static struct nor_power power;
static struct nor parts[SLOTS];
static uint8_t bytes[SLOTS][SLOT], image[SLOT], reply[UPDATE_REPLY_MAX];
static size_t size, replied;
static int signature_says;
static struct update_config config;
static struct update_server server;

static int signature(void *context, const struct image *begun)
{
    (void)context;
    (void)begun;
    return signature_says;
}

static void power_on(uint64_t cut_at)
{
    nor_power_on(&power, cut_at, NOR_SOME);
    update_server_init(&server, &config);
}

/* Slot A runs version 1.5.0 with counter 2, confirmed; the new one is 1.6.0. */
static int set_up(void **state)
{
    const struct images_wish runs = {BOARD, BASE_A, PAYLOAD, 2, {1, 5, 0, 0}},
                             new = {BOARD, BASE_B, PAYLOAD, 2, {1, 6, 0, 0}};
    uint8_t *record = bytes[0] + (size_t)(SLOT - SLOT_TRAILER);

    (void)state;
    power = (struct nor_power){.random = 88172645463325252u};
    memset(bytes, 0xFF, sizeof(bytes));
    (void)images_make(&runs, 0, bytes[0]);
    image_trailer_confirmed(record);
    memset(record, 0, 4);
    record[0] = 2;
    record[4] = 0xFF - 2;
    nor_init(&parts[0], &power, bytes[0], BASE_A, SLOT, ERASE, 4);
    nor_init(&parts[1], &power, bytes[1], BASE_B, SLOT, ERASE, 8);
    config = (struct update_config){
        {&parts[0].area, &parts[1].area}, BOARD, 0, signature, NULL};
    signature_says = IMAGE_OK;
    size = images_make(&new, 0, image);
    power_on(0);
    return 0;
}

static int ask(unsigned operation, const uint8_t *data, size_t n)
{
    uint8_t request[700];
    struct cursor in;

    request[0] = (uint8_t)operation;
    assert_true(n < sizeof(request));
    if (n > 0)
        memcpy(request + 1, data, n);
    in = cursor_make(request, n + 1);
    return update_server_answer(&server, &in, reply, &replied);
}

/* Asks for a state; returns it. */
static int state_of(unsigned operation, const uint8_t *data, size_t n)
{
    assert_int_equal(ask(operation, data, n), 0);
    assert_int_equal(reply[0], operation);
    assert_int_equal(replied, 37 + strlen(BOARD));
    return reply[AT_STATE];
}

static int begin(const uint8_t *from, size_t n)
{
    uint8_t told[600];

    memcpy(told, from, IMAGE_HEADER_SIZE);
    memcpy(told + IMAGE_HEADER_SIZE, from + HEADER + PAYLOAD, n - HEADER - PAYLOAD);
    return state_of(UPDATE_BEGIN, told, IMAGE_HEADER_SIZE + n - HEADER - PAYLOAD);
}

static int send_block(uint32_t offset, size_t n)
{
    uint8_t data[4 + UPDATE_BLOCK + 8] = {0};

    bytes_put32(data, offset);
    memcpy(data + 4, image + offset, n);
    return ask(UPDATE_DATA, data, 4 + n);
}

static uint32_t next(void)
{
    return bytes_get32(reply + 1);
}

/* Blocks from where the node says. Returns the exception that ended it, 0 at the end. */
static int send_from(uint32_t offset)
{
    while (offset < size) {
        size_t n = size - offset < UPDATE_BLOCK ? size - offset : UPDATE_BLOCK;
        int exception = send_block(offset, n);
        if (exception != 0)
            return exception;
        offset = next();
    }
    return 0;
}

static int finish(void)
{
    int state = state_of(UPDATE_FINISH, NULL, 0);

    while (state == UPDATE_HASHING)
        state = state_of(UPDATE_STATUS, NULL, 0);
    return state;
}

static enum slot_state found_in_b(void)
{
    static struct slots slots;
    const struct flash_area *const areas[SLOTS] = {&parts[0].area, &parts[1].area};

    slots_look(&slots, areas, BOARD, NULL);
    assert_int_equal(slots.states[0], SLOT_CONFIRMED);
    assert_int_equal(slots.errors[0], IMAGE_OK);
    return slots.states[1];
}

static void whole(void **state)
{
    (void)state;
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(send_from(0), 0);
    assert_int_equal(found_in_b(), SLOT_EMPTY); /* not before it was looked at */
    assert_int_equal(finish(), UPDATE_READY);
    assert_memory_equal(bytes[1], image, size);
    assert_int_equal(found_in_b(), SLOT_PENDING);
    assert_false(server.restart);
    assert_int_equal(ask(UPDATE_RESTART, NULL, 0), 0);
    assert_true(server.restart);
}

/* Nothing of these costs a write or an erase. */
static void refused_before_a_write(void **state)
{
    static const struct {
        struct images_wish wish;
        int signature, error;
    } table[] = {
        {{"otherboard", BASE_B, PAYLOAD, 2, {1, 6, 0, 0}}, 0, IMAGE_WRONG_BOARD},
        {{BOARD, BASE_A, PAYLOAD, 2, {1, 6, 0, 0}}, 0, IMAGE_WRONG_SLOT},
        {{BOARD, BASE_B, PAYLOAD, 1, {9, 9, 9, 9}}, 0, IMAGE_ROLLED_BACK},
        {{BOARD, BASE_B, PAYLOAD, 2, {1, 4, 9, 9}}, 0, UPDATE_NOT_NEWER},
        {{BOARD, BASE_B, PAYLOAD, 2, {1, 5, 0, 0}}, 0, UPDATE_NOT_NEWER},
        {{BOARD, BASE_B, PAYLOAD, 2, {1, 6, 0, 0}}, IMAGE_WRONG_KEY, IMAGE_WRONG_KEY},
        {{BOARD, BASE_B, PAYLOAD, 2, {1, 6, 0, 0}}, IMAGE_UNSIGNED, IMAGE_UNSIGNED},
    };
    static uint8_t before[SLOTS][SLOT], bad[SLOT];

    (void)state;
    memcpy(before, bytes, sizeof(before));
    for (size_t i = 0; i < COUNT(table); i++) {
        size_t n = images_make(&table[i].wish, 0, bad);
        signature_says = table[i].signature;
        assert_int_equal(begin(bad, n), UPDATE_REFUSED);
        assert_int_equal((int8_t)reply[AT_ERROR], table[i].error);
        assert_int_equal(send_block(0, UPDATE_BLOCK), 4);
        assert_int_equal(ask(UPDATE_FINISH, NULL, 0), 4);
    }
    assert_int_equal(begin(image, size - 1), UPDATE_REFUSED); /* TLVs cut */
    assert_int_equal((int8_t)reply[AT_ERROR], IMAGE_SHORT);
    config.running = 1; /* nothing confirmed runs: nowhere to write */
    update_server_init(&server, &config);
    assert_int_equal(begin(image, size), UPDATE_REFUSED);
    assert_int_equal((int8_t)reply[AT_ERROR], UPDATE_UNCONFIRMED);
    assert_int_equal(power.done, 0);
    assert_memory_equal(bytes, before, sizeof(before));
}

static void blocks_out_of_order_and_twice(void **state)
{
    uint64_t done;

    (void)state;
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(send_block(UPDATE_BLOCK, UPDATE_BLOCK), 0);
    assert_int_equal(next(), 0);
    assert_int_equal(power.done, 0);
    assert_int_equal(send_block(0, UPDATE_BLOCK), 0);
    assert_int_equal(next(), UPDATE_BLOCK);
    done = power.done;
    assert_int_equal(send_block(0, UPDATE_BLOCK), 0); /* its reply was lost */
    assert_int_equal(next(), UPDATE_BLOCK);
    assert_int_equal(send_block(2u * UPDATE_BLOCK, UPDATE_BLOCK), 0);
    assert_int_equal(next(), UPDATE_BLOCK);
    assert_int_equal(power.done, done);
    assert_int_equal(ask(UPDATE_FINISH, NULL, 0), 4); /* not all is there */
    assert_int_equal(send_from(UPDATE_BLOCK), 0);
    assert_int_equal(finish(), UPDATE_READY);
}

static void requests_of_no_use(void **state)
{
    uint8_t data[8] = {0};

    (void)state;
    assert_int_equal(ask(0, NULL, 0), 1);
    assert_int_equal(ask(UPDATE_CONFIRM + 1, NULL, 0), 1);
    assert_int_equal(ask(UPDATE_STATUS, data, 1), 3);
    assert_int_equal(ask(UPDATE_FINISH, data, 1), 3);
    assert_int_equal(ask(UPDATE_RESTART, data, 1), 3);
    assert_false(server.restart);
    assert_int_equal(send_block(0, UPDATE_BLOCK), 4); /* before begin */
    assert_int_equal(ask(UPDATE_FINISH, NULL, 0), 4);
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(ask(UPDATE_DATA, data, 3), 3);
    assert_int_equal(send_block(0, 0), 3);
    assert_int_equal(send_block(0, UPDATE_BLOCK + 1), 3);
    assert_int_equal(send_block(0, 7), 3);
    assert_int_equal(send_block((uint32_t)size - 8, 16), 3); /* behind the end */
    assert_int_equal(send_block((uint32_t)size, 8), 3);
    bytes_put32(data, UINT32_MAX - 3);
    assert_int_equal(ask(UPDATE_DATA, data, 8), 3);
    assert_int_equal(power.done, 0);
}

static int check(uint32_t offset, uint32_t length, uint16_t wrong)
{
    uint8_t data[10];

    bytes_put32(data, offset);
    bytes_put32(data + 4, length);
    bytes_put16(data + 8, checksum_modbus(image + offset, length) ^ wrong);
    return ask(UPDATE_CHECK, data, sizeof(data));
}

/* What is there already need not come again; what is not, must. */
static void checks(void **state)
{
    (void)state;
    assert_int_equal(check(0, 512, 0), 4);
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(check(0, 512, 0), 0);
    assert_int_equal(reply[1], 0); /* nothing is there yet */
    memcpy(bytes[1], image, 1000);
    assert_int_equal(check(512, 256, 0), 0);
    assert_int_equal(reply[1], 0); /* not the next */
    assert_int_equal(check(0, 512, 1), 0);
    assert_int_equal(reply[1], 0);
    assert_int_equal(check(0, 512, 0), 0);
    assert_int_equal(reply[1], 1);
    assert_int_equal(bytes_get32(reply + 2), 512);
    assert_int_equal(check(512, 0, 0), 3);
    assert_int_equal(check(512, UPDATE_CHECK_MAX + 1, 0), 3);
    assert_int_equal(check(512, 255, 0), 3); /* a block could not go on there */
    assert_int_equal(check(512, 512, 0), 0);
    assert_int_equal(reply[1], 0); /* its last bytes are not there */
    assert_int_equal(send_from(512), 0);
    assert_int_equal(finish(), UPDATE_READY);
    assert_memory_equal(bytes[1], image, size);
}

/* The power goes at every operation in turn; then begin, check and blocks. */
static void cut_anywhere_and_resumed(void **state)
{
    bool was_cut = true;

    for (uint64_t cut = 1; was_cut; cut++) {
        uint32_t at = 0;
        (void)set_up(state);
        power_on(cut);
        (void)(begin(image, size) == UPDATE_RECEIVING && send_from(0) == 0 && finish());
        was_cut = power.off;
        assert_true(was_cut || cut > 10);
        power_on(0);
        assert_true(found_in_b() == SLOT_EMPTY || !was_cut);
        assert_int_equal(begin(image, size), UPDATE_RECEIVING);
        while (at + UPDATE_BLOCK <= size && check(at, UPDATE_BLOCK, 0) == 0 && reply[1])
            at += UPDATE_BLOCK;
        assert_true(at > 0 || cut < 4);
        assert_int_equal(send_from(at), 0);
        assert_int_equal(finish(), UPDATE_READY);
        assert_memory_equal(bytes[1], image, size);
    }
}

/* The bus is cut in the middle and the tool comes back: the node takes up what it has,
 * and nothing of it is erased or written again. */
static void bus_cut_and_gone_on(void **state)
{
    const uint32_t half = 4u * UPDATE_BLOCK;
    uint64_t first, second;

    (void)state;
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    for (uint32_t at = 0; at < half; at += UPDATE_BLOCK)
        assert_int_equal(send_block(at, UPDATE_BLOCK), 0);
    first = power.done;
    assert_int_equal(send_block(half + UPDATE_BLOCK, UPDATE_BLOCK), 0); /* one was lost */
    assert_int_equal(next(), half);
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(check(0, half, 0), 0);
    assert_int_equal(reply[1], 1);
    assert_int_equal(bytes_get32(reply + 2), half);
    assert_int_equal(power.done, first);
    assert_int_equal(send_from(half), 0);
    second = power.done - first;
    assert_int_equal(finish(), UPDATE_READY);
    assert_memory_equal(bytes[1], image, size);
    (void)set_up(state);
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(send_from(0), 0);
    assert_int_equal(power.done, first + second); /* no more than in one go */
}

static void flash_that_fails_or_forgets(void **state)
{
    (void)state;
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    power.off = true;
    assert_int_equal(send_block(0, UPDATE_BLOCK), 4);
    assert_int_equal(state_of(UPDATE_STATUS, NULL, 0), UPDATE_REFUSED);
    assert_int_equal((int8_t)reply[AT_ERROR], UPDATE_FLASH);
    power.off = false;
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(bytes_get32(reply + AT_NEXT), 0);
    assert_int_equal(send_from(0), 0);
    bytes[1][700] ^= 4; /* the payload */
    assert_int_equal(finish(), UPDATE_REFUSED);
    assert_int_equal((int8_t)reply[AT_ERROR], IMAGE_WRONG_HASH);
    assert_int_equal(begin(image, size), UPDATE_RECEIVING);
    assert_int_equal(send_from(0), 0);
    bytes[1][size - 1] ^= 4; /* the signature */
    assert_int_equal(finish(), UPDATE_REFUSED);
    assert_int_equal((int8_t)reply[AT_ERROR], UPDATE_CHANGED);
    assert_int_equal(found_in_b(), SLOT_EMPTY);
    assert_string_equal(update_error_text(UPDATE_CHANGED),
                        "what was written is not what was begun");
    assert_string_equal(update_error_text(IMAGE_SHORT), image_error_text(IMAGE_SHORT));
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole),
        TEST(refused_before_a_write),
        TEST(blocks_out_of_order_and_twice),
        TEST(requests_of_no_use),
        TEST(checks),
        TEST(cut_anywhere_and_resumed),
        TEST(bus_cut_and_gone_on),
        TEST(flash_that_fails_or_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
