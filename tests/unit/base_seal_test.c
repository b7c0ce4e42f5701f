/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/seal.h"

static struct key key;
static struct epoch epoch;

static int setup(void **state)
{
    (void)state;
    memset(key.bytes, 0x11, sizeof(key.bytes));
    memset(epoch.bytes, 0x22, sizeof(epoch.bytes));
    return 0;
}

static struct seal *begin(void)
{
    struct seal *seal;

    assert_int_equal(seal_new(&key, &epoch, &seal), CRYPTO_OK);
    return seal;
}

static void test_opens_what_it_sealed(void **state)
{
    uint8_t plain[1000], sealed[1000 + SEAL_OVERHEAD], back[1000];
    struct seal *seal = begin();
    size_t n;

    (void)state;
    for (size_t size = 0; size <= sizeof(plain); size++) {
        memset(plain, (int)size, sizeof(plain));
        assert_int_equal(seal_close(seal, size + 1, plain, size, sealed), CRYPTO_OK);
        assert_memory_equal(sealed, seal_session(seal), SEAL_SESSION_SIZE);
        assert_int_equal(seal_open(seal, size + 1, sealed, size + SEAL_OVERHEAD, back,
                                   &n),
                         CRYPTO_OK);
        assert_int_equal(n, size);
        assert_memory_equal(plain, back, size);
    }
    seal_free(seal);
    seal_free(NULL);
}

static void test_every_bit_counts(void **state)
{
    uint8_t plain[200], sealed[200 + SEAL_OVERHEAD], back[200];
    struct seal *seal = begin(), *later;
    size_t n, flips = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (uint8_t)(i * 31);
    assert_int_equal(seal_close(seal, 42, plain, sizeof(plain), sealed), CRYPTO_OK);
    for (size_t i = 0; i < sizeof(sealed); i++)
        for (int bit = 0; bit < 8; bit++, flips++) {
            sealed[i] ^= (uint8_t)(1 << bit);
            assert_int_equal(seal_open(seal, 42, sealed, sizeof(sealed), back, &n),
                             CRYPTO_TAMPERED);
            sealed[i] ^= (uint8_t)(1 << bit);
        }
    for (size_t size = 0; size < sizeof(sealed); size++)
        assert_int_equal(seal_open(seal, 42, sealed, size, back, &n), CRYPTO_TAMPERED);

    /* Moved to another sequence number, another store's key or another epoch. */
    assert_int_equal(seal_open(seal, 43, sealed, sizeof(sealed), back, &n),
                     CRYPTO_TAMPERED);
    key.bytes[0] ^= 1;
    later = begin();
    assert_int_equal(seal_open(later, 42, sealed, sizeof(sealed), back, &n),
                     CRYPTO_TAMPERED);
    seal_free(later);
    key.bytes[0] ^= 1;
    epoch.bytes[15] ^= 1;
    later = begin();
    assert_int_equal(seal_open(later, 42, sealed, sizeof(sealed), back, &n),
                     CRYPTO_TAMPERED);
    seal_free(later);
    epoch.bytes[15] ^= 1;

    /* And it still opens: in this session and in a later one. */
    assert_int_equal(seal_open(seal, 42, sealed, sizeof(sealed), back, &n), CRYPTO_OK);
    later = begin();
    assert_int_equal(seal_open(later, 42, sealed, sizeof(sealed), back, &n), CRYPTO_OK);
    assert_memory_equal(plain, back, sizeof(plain));
    seal_free(later);
    seal_free(seal);
    printf("%zu bit flips, %zu cuts refused\n", flips, sizeof(sealed));
}

static int by_bytes(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_SESSION_SIZE + 8);
}

/* The nonce of a record is (session, counter): none may come twice, over restarts and
 * records sealed again. */
static void test_no_nonce_twice(void **state)
{
    enum { SESSIONS = 200, RECORDS = 500 };
    uint8_t(*nonces)[SEAL_SESSION_SIZE + 8] =
        calloc((size_t)SESSIONS * RECORDS, sizeof(*nonces));
    uint8_t sealed[8 + SEAL_OVERHEAD];
    size_t n = 0;

    (void)state;
    assert_non_null(nonces);
    for (int s = 0; s < SESSIONS; s++) {
        struct seal *seal = begin();
        for (int r = 0; r < RECORDS; r++) {
            /* every third stands for a commit that was aborted: the same seq is sealed
             * again */
            uint64_t seq = (uint64_t)(r - (r % 3 == 2));
            assert_int_equal(seal_close(seal, seq, (const uint8_t *)"12345678", 8,
                                        sealed),
                             CRYPTO_OK);
            memcpy(nonces[n++], sealed, sizeof(nonces[0]));
        }
        seal_free(seal);
    }
    qsort(nonces, n, sizeof(*nonces), by_bytes);
    for (size_t i = 1; i < n; i++)
        assert_memory_not_equal(nonces[i - 1], nonces[i], sizeof(nonces[0]));
    printf("%zu nonces, none twice\n", n);
    free(nonces);
}

/* More sessions than are kept, opened in turn: keys come and go, records always open. */
static void test_many_sessions(void **state)
{
    enum { SESSIONS = 40 };
    uint8_t sealed[SESSIONS][8 + SEAL_OVERHEAD], back[8];
    struct seal *reader;
    size_t n;

    (void)state;
    for (size_t s = 0; s < SESSIONS; s++) {
        struct seal *seal = begin();
        assert_int_equal(seal_close(seal, s, (const uint8_t *)"12345678", 8, sealed[s]),
                         CRYPTO_OK);
        seal_free(seal);
    }
    reader = begin();
    for (int round = 0; round < 5; round++)
        for (size_t s = 0; s < SESSIONS; s++) {
            assert_int_equal(seal_open(reader, s, sealed[s], sizeof(sealed[s]), back, &n),
                             CRYPTO_OK);
            assert_memory_equal(back, "12345678", 8);
            assert_int_equal(seal_open(reader, s + 1, sealed[s], sizeof(sealed[s]), back,
                                       &n),
                             CRYPTO_TAMPERED);
        }
    seal_free(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opens_what_it_sealed),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_no_nonce_twice),
        cmocka_unit_test(test_many_sessions),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
