/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/crypto.h"
#include "base/file.h"
#include "temporary.h"

static char folder[256];

static int setup(void **state)
{
    (void)state;
    return temporary_folder(folder);
}

static int teardown(void **state)
{
    (void)state;
    temporary_remove(folder);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char path[300];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void test_sha256_vectors(void **state)
{
    uint8_t digest[DIGEST_SIZE], expected[DIGEST_SIZE];

    (void)state; /* FIPS 180-2 */
    assert_int_equal(crypto_sha256("abc", 3, digest), 0);
    assert_true(
        hex_bytes("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                  expected, 32));
    assert_memory_equal(digest, expected, 32);
    assert_int_equal(crypto_sha256("", 0, digest), 0);
    assert_true(
        hex_bytes("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                  expected, 32));
    assert_memory_equal(digest, expected, 32);
}

static void test_hmac_matches_its_definition(void **state)
{
    static const char text[] = "what do ya want for nothing?";
    struct key key;
    uint8_t block[64 + 64], inner[64 + DIGEST_SIZE], digest[DIGEST_SIZE],
        expected[DIGEST_SIZE];

    (void)state; /* RFC 2104, from the plain digest: H(K^opad || H(K^ipad || text)) */
    for (int i = 0; i < KEY_SIZE; i++)
        key.bytes[i] = (uint8_t)(i * 7);
    memset(block, 0x36, 64);
    memset(inner, 0x5c, 64);
    for (int i = 0; i < KEY_SIZE; i++) {
        block[i] ^= key.bytes[i];
        inner[i] ^= key.bytes[i];
    }
    for (int i = 0; i < 28; i++)
        block[64 + i] = (uint8_t)text[i];
    assert_int_equal(crypto_sha256(block, 64 + 28, inner + 64), 0);
    assert_int_equal(crypto_sha256(inner, sizeof(inner), expected), 0);
    assert_int_equal(crypto_hmac_sha256(&key, text, 28, digest), 0);
    assert_memory_equal(digest, expected, DIGEST_SIZE);
}

static void test_hkdf_matches_its_definition(void **state)
{
    static const uint8_t info[] = {'i', 'n', 'f', 'o', 1};
    struct key secret, salt, prk, out;
    uint8_t block[32], expected[DIGEST_SIZE];

    (void)state; /* RFC 5869 with one block: T(1) = HMAC(HMAC(salt, secret), info || 1) */
    memset(secret.bytes, 0x0b, KEY_SIZE);
    for (int i = 0; i < KEY_SIZE; i++)
        salt.bytes[i] = (uint8_t)i;
    assert_int_equal(crypto_hmac_sha256(&salt, secret.bytes, KEY_SIZE, prk.bytes), 0);
    memcpy(block, info, sizeof(info));
    assert_int_equal(crypto_hmac_sha256(&prk, block, 5, expected), 0);
    assert_int_equal(crypto_hkdf(&secret, salt.bytes, KEY_SIZE, "info", &out), 0);
    assert_memory_equal(out.bytes, expected, KEY_SIZE);
}

static void test_random_differs_and_wipe_wipes(void **state)
{
    uint8_t a[64], b[64], none[64] = {0};

    (void)state;
    assert_int_equal(crypto_random(a, sizeof(a)), 0);
    assert_int_equal(crypto_random(b, sizeof(b)), 0);
    assert_memory_not_equal(a, b, sizeof(a));
    crypto_wipe(a, sizeof(a));
    assert_memory_equal(a, none, sizeof(a));
}

static void test_key_file_is_made_once_and_private(void **state)
{
    struct key a, b;
    struct stat st;

    (void)state;
    assert_int_equal(key_file(in_folder("absent"), 0, &a), CRYPTO_FILE);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(key_file(in_folder("key"), 1, &a), CRYPTO_OK);
    assert_int_equal(stat(in_folder("key"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, KEY_SIZE);
    assert_int_equal(key_file(in_folder("key"), 1, &b), CRYPTO_OK);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(key_file(in_folder("no/folder"), 1, &a), CRYPTO_FILE);
}

static void test_key_file_refusals(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601, 0666, 0777};
    uint8_t bytes[KEY_SIZE + 1] = {1};
    struct key key;

    (void)state;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(file_replace(in_folder("open"), bytes, KEY_SIZE, modes[i]), 0);
        assert_int_equal(key_file(in_folder("open"), 1, &key), CRYPTO_FILE);
        assert_int_equal(errno, EACCES);
    }
    for (size_t n = 0; n <= KEY_SIZE + 1; n++) {
        assert_int_equal(file_replace(in_folder("size"), bytes, n, 0600), 0);
        assert_int_equal(key_file(in_folder("size"), 1, &key),
                         n == KEY_SIZE ? CRYPTO_OK : CRYPTO_FILE);
        if (n != KEY_SIZE)
            assert_int_equal(errno, EINVAL);
    }
    assert_int_equal(mkdir(in_folder("folder"), 0700), 0);
    assert_int_equal(key_file(in_folder("folder"), 1, &key), CRYPTO_FILE);
    assert_int_equal(symlink("size", in_folder("link")), 0);
    assert_int_equal(key_file(in_folder("link"), 1, &key), CRYPTO_FILE);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_int_equal(key_file(in_folder("fifo"), 1, &key),
                     CRYPTO_FILE); /* and does not hang */
    printf("%zu modes, %d sizes, 3 kinds refused\n", sizeof(modes) / sizeof(modes[0]),
           KEY_SIZE + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_hmac_matches_its_definition),
        cmocka_unit_test(test_hkdf_matches_its_definition),
        cmocka_unit_test(test_random_differs_and_wipe_wipes),
        cmocka_unit_test(test_key_file_is_made_once_and_private),
        cmocka_unit_test(test_key_file_refusals),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
