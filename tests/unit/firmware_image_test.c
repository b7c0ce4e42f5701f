/* SPDX-License-Identifier: Apache-2.0
 *
 * The image format: a good image's facts, and every refusal by what brings it about.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "images.h"
#include "nor.h"

#define BOARD    "testboard"
#define BASE     0x21000000u
#define PAYLOAD  256u
#define ROOM     2048u
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Where things stand in the rig's images. */
#define PROTECTED 768 /* behind a header of 512 bytes and the payload */
#define COUNTER   (PROTECTED + 4)
#define NAME      (COUNTER + 8)
#define TLVS      (NAME + 4 + 9)
#define HASH      (TLVS + 4)
#define KEY_HASH  (HASH + 36)
#define SIGNATURE (KEY_HASH + 36)

static uint8_t good[ROOM];
static size_t size;

static int make(void **state)
{
    const struct images_wish wish = {BOARD, BASE, PAYLOAD, 7, {1, 2, 3, 4}};

    (void)state;
    memset(good, 0xFF, sizeof(good));
    size = images_make(&wish, 0, good);
    return 0;
}

static int read_image(const uint8_t *bytes, size_t n, uint32_t limit, struct image *image)
{
    int error = image_read_header(bytes, n, limit, image);
    size_t at;

    if (error != IMAGE_OK)
        return error;
    at = (size_t)image->payload_at + image->payload_size;
    return image_read_tlvs(bytes + at, n - at, limit, image);
}

static void good_one_is_read(void **state)
{
    struct image image;
    char text[IMAGE_VERSION_TEXT_MAX];

    (void)state;
    assert_int_equal(read_image(good, size, ROOM, &image), IMAGE_OK);
    assert_int_equal(image.address, BASE);
    assert_int_equal(image.payload_at, 512);
    assert_int_equal(image.payload_size, PAYLOAD);
    assert_int_equal(image.hashed_size, TLVS);
    assert_int_equal(image.total_size, size);
    assert_int_equal(image.counter, 7);
    assert_string_equal(image.board, BOARD);
    assert_string_equal(image_version_text(&image.version, text), "1.2.3+4");
    assert_memory_equal(image.hash, good + HASH + 4, IMAGE_HASH_SIZE);
    assert_memory_equal(image.signature, good + SIGNATURE + 4, image.signature_size);
    assert_int_equal(image_fits(&image, BOARD, BASE), IMAGE_OK);
    assert_int_equal(image_fits(&image, "testboar", BASE), IMAGE_WRONG_BOARD);
    assert_int_equal(image_fits(&image, BOARD, BASE + 4), IMAGE_WRONG_SLOT);
}

/* One number changed, and what that is. */
static const struct {
    size_t at;
    unsigned bytes;
    uint32_t value;
    int error;
} changes[] = {
    {0, 1, 0x3C, IMAGE_NO_IMAGE},
    {8, 2, 28, IMAGE_HEADER},
    {8, 2, 4100, IMAGE_HEADER},
    {8, 2, 510, IMAGE_HEADER},
    {16, 4, 0, IMAGE_FLAGS},
    {16, 4, IMAGE_FLAG_ROM_FIXED | 4, IMAGE_FLAGS},
    {12, 4, 0, IMAGE_TOO_LARGE},
    {12, 4, ROOM - 511, IMAGE_TOO_LARGE},
    {12, 4, UINT32_MAX, IMAGE_TOO_LARGE},
    {10, 2, IMAGE_TLVS_MAX + 1, IMAGE_TOO_LARGE},
    {10, 2, 24, IMAGE_TLV_AREA},
    {10, 2, 0, IMAGE_TLV_AREA},
    {PROTECTED, 2, IMAGE_TLVS, IMAGE_TLV_AREA},
    {PROTECTED + 2, 2, 3, IMAGE_TLV_AREA},
    {PROTECTED + 2, 2, 12, IMAGE_TLV_AREA},
    {PROTECTED + 2, 2, 0xFFFF, IMAGE_SHORT},
    {TLVS, 2, IMAGE_TLVS_PROTECTED, IMAGE_TLV_AREA},
    {TLVS + 2, 2, 0xFFFF, IMAGE_SHORT},
    {TLVS + 2, 2, 4 + 36 + 30, IMAGE_TLV_LENGTH},
    {TLVS + 2, 2, 4 + 36 + 36, IMAGE_TLV_MISSING},
    {COUNTER + 2, 2, 3, IMAGE_TLV_LENGTH},
    {NAME + 2, 2, 10, IMAGE_TLV_LENGTH},
    {HASH + 2, 2, 31, IMAGE_TLV_LENGTH},
    {SIGNATURE + 2, 2, 0xFFFF, IMAGE_TLV_LENGTH},
    {KEY_HASH, 2, IMAGE_TLV_SHA256, IMAGE_TLV_TWICE},
    {KEY_HASH, 2, 0x77, IMAGE_TLV_STRANGE},
    {KEY_HASH, 2, IMAGE_TLV_BOARD, IMAGE_TLV_STRANGE},
    {COUNTER, 2, 0x51, IMAGE_TLV_MISSING},
    {COUNTER, 2, IMAGE_TLV_SHA256, IMAGE_TLV_MISSING},
    {NAME, 2, 0xA1, IMAGE_TLV_MISSING},
    {NAME + 4, 1, 'T', IMAGE_WRONG_BOARD},
    {NAME + 4, 1, 0, IMAGE_WRONG_BOARD},
};

static void each_change_is_told(void **state)
{
    struct image image;
    uint8_t bytes[ROOM];

    (void)state;
    for (size_t i = 0; i < COUNT(changes); i++) {
        int error;
        memcpy(bytes, good, sizeof(bytes));
        for (unsigned b = 0; b < changes[i].bytes; b++)
            bytes[changes[i].at + b] = (uint8_t)(changes[i].value >> 8 * b);
        error = read_image(bytes, size, ROOM, &image);
        if (error != changes[i].error)
            fail_msg("change %zu: %s", i, image_error_text(error));
    }
}

static void cut_or_without_room(void **state)
{
    struct image image;

    (void)state;
    for (size_t n = 0; n < IMAGE_HEADER_SIZE; n++)
        assert_int_equal(image_read_header(good, n, ROOM, &image), IMAGE_SHORT);
    for (size_t n = PROTECTED; n < size; n++)
        assert_int_equal(read_image(good, n, ROOM, &image), IMAGE_SHORT);
    for (uint32_t limit = 0; limit < size; limit++)
        assert_int_equal(read_image(good, size, limit, &image), IMAGE_TOO_LARGE);
    assert_int_equal(read_image(good, size, (uint32_t)size, &image), IMAGE_OK);
}

static void bytes_and_signature(void **state)
{
    static uint8_t bytes[ROOM];
    struct nor_power power = {.random = 1};
    struct nor nor;
    struct image image, wrong;

    (void)state;
    memcpy(bytes, good, sizeof(bytes));
    nor_init(&nor, &power, bytes, BASE, ROOM, 1024, 4);
    assert_int_equal(read_image(good, size, ROOM, &image), IMAGE_OK);
    assert_int_equal(image_verify(&nor.area, &image, images_key(0)), IMAGE_OK);
    assert_int_equal(image_verify(&nor.area, &image, images_key(1)), IMAGE_WRONG_KEY);
    bytes[600] ^= 1;
    assert_int_equal(image_verify(&nor.area, &image, images_key(0)), IMAGE_WRONG_HASH);
    bytes[600] ^= 1;
    power.off = true;
    assert_int_equal(image_verify(&nor.area, &image, images_key(0)), IMAGE_UNREADABLE);
    wrong = image;
    wrong.hash[0] ^= 1;
    assert_int_equal(image_verify_signature(&wrong, images_key(0)), IMAGE_UNSIGNED);
    /* Head of the sequence, head of r, a number's last byte; one byte more, one less. */
    for (size_t at = 0; at < 4; at++) {
        wrong = image;
        wrong.signature[at] ^= 1;
        assert_int_equal(image_verify_signature(&wrong, images_key(0)), IMAGE_UNSIGNED);
    }
    wrong = image;
    wrong.signature[wrong.signature_size - 1] ^= 1;
    assert_int_equal(image_verify_signature(&wrong, images_key(0)), IMAGE_UNSIGNED);
    wrong = image;
    wrong.signature_size--;
    assert_int_equal(image_verify_signature(&wrong, images_key(0)), IMAGE_UNSIGNED);
}

#define R_HEAD 2 /* of the sequence: then the tag and the length of r */

/* An image whose signature's r has its highest bit so: each build has another. */
static struct image signed_with(bool high)
{
    static uint8_t bytes[ROOM];
    struct images_wish wish = {BOARD, BASE, PAYLOAD, 7, {1, 2, 3, 4}};
    struct image image;

    for (; wish.version.build < 100; wish.version.build++) {
        size_t n = images_make(&wish, 0, bytes);

        assert_int_equal(read_image(bytes, n, ROOM, &image), IMAGE_OK);
        if ((image.signature[R_HEAD + 1] == 33) == high &&
            image.signature[R_HEAD + 1] >= 32)
            return image;
    }
    fail_msg("no signature of the kind in 100");
    return image;
}

/* One signature has one encoding (X.690 8.3.2): the same numbers in a longer or a shorter
 * form are refused, though the numbers themselves verify. */
static void numbers_are_minimal(void **state)
{
    struct image image = signed_with(false), wrong = image;
    uint8_t *r = wrong.signature + R_HEAD + 2;

    (void)state;
    assert_int_equal(image_verify_signature(&image, images_key(0)), IMAGE_OK);
    memmove(r + 1, r, image.signature_size - R_HEAD - 2);
    r[0] = 0; /* a zero that r does not need */
    wrong.signature[1]++;
    wrong.signature[R_HEAD + 1]++;
    wrong.signature_size++;
    assert_int_equal(image_verify_signature(&wrong, images_key(0)), IMAGE_UNSIGNED);

    image = wrong = signed_with(true);
    assert_int_equal(image_verify_signature(&image, images_key(0)), IMAGE_OK);
    assert_int_equal(r[0], 0);
    memmove(r, r + 1, image.signature_size - R_HEAD - 3);
    wrong.signature[1]--; /* without it, r would be negative */
    wrong.signature[R_HEAD + 1]--;
    wrong.signature_size--;
    assert_int_equal(image_verify_signature(&wrong, images_key(0)), IMAGE_UNSIGNED);
}

static void versions_compare(void **state)
{
    static const struct image_version rising[] = {
        {0, 0, 0, 0}, {0, 0, 0, 1}, {0, 0, 1, 0},  {0, 0, 65535, UINT32_MAX},
        {0, 1, 0, 0}, {1, 0, 0, 0}, {255, 0, 0, 0}};

    (void)state;
    for (int a = 0; a < (int)COUNT(rising); a++)
        for (int b = 0; b < (int)COUNT(rising); b++)
            assert_int_equal(image_version_compare(&rising[a], &rising[b]),
                             (a > b) - (a < b));
    for (int error = IMAGE_UNREADABLE; error <= IMAGE_OK; error++)
        assert_string_not_equal(image_error_text(error), "unknown error");
    assert_string_equal(image_error_text(IMAGE_UNREADABLE - 1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_one_is_read),    cmocka_unit_test(each_change_is_told),
        cmocka_unit_test(cut_or_without_room), cmocka_unit_test(bytes_and_signature),
        cmocka_unit_test(numbers_are_minimal), cmocka_unit_test(versions_compare),
    };

    return cmocka_run_group_tests(tests, make, NULL);
}
