/* SPDX-License-Identifier: Apache-2.0
 *
 * A ledger in a folder of its own, and small things that the ledger's and intake's tests
 * share.
 */
#ifndef TESTS_UNIT_CHART_LEDGER_TEST_H
#define TESTS_UNIT_CHART_LEDGER_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "chart/ledger_log.h"
#include "chart/ledger_out.h"
#include "wire/record.h"

#include "temporary.h"

struct bench {
    char folder[256], key[300];
    struct ledger_options options;
    struct ledger *ledger;
    uint32_t source;
};

static inline int bench_open(struct bench *bench)
{
    char error[LEDGER_ERROR_SIZE];
    int result = ledger_open(&bench->options, &bench->ledger, error);

    if (result != LEDGER_OK)
        (void)fprintf(stderr, "%s\n", error);
    return result;
}

static inline void bench_start(struct bench *bench)
{
    struct epoch epoch = {{7}};

    memset(bench, 0, sizeof(*bench));
    assert_int_equal(temporary_folder(bench->folder), 0);
    (void)snprintf(bench->key, sizeof(bench->key), "%s/key", bench->folder);
    bench->options = (struct ledger_options){.folder = bench->folder,
                                             .key_path = bench->key,
                                             .size_max = UINT64_C(256) << 20};
    assert_int_equal(bench_open(bench), LEDGER_OK);
    assert_int_equal(ledger_begin(bench->ledger), LEDGER_OK);
    assert_int_equal(ledger_source(bench->ledger, "gw-1", &epoch, &bench->source),
                     LEDGER_OK);
    assert_int_equal(ledger_commit(bench->ledger), LEDGER_OK);
}

static inline void bench_reopen(struct bench *bench)
{
    ledger_close(bench->ledger);
    assert_int_equal(bench_open(bench), LEDGER_OK);
}

/* Counts afresh and compares with the running books. */
static inline void bench_check(struct bench *bench)
{
    struct ledger_books running, fresh;
    uint64_t wrong;

    ledger_books(bench->ledger, &running);
    assert_int_equal(ledger_recount(bench->ledger, &fresh, &wrong), LEDGER_OK);
    assert_int_equal(wrong, 0);
    assert_memory_equal(&running, &fresh, sizeof(running));
}

static inline void bench_end(struct bench *bench)
{
    ledger_close(bench->ledger);
    temporary_remove(bench->folder);
}

/* A reading of seq with content n, measured at t seconds +- 1 s. */
static inline struct ledger_new reading_of(struct bench *bench, uint64_t seq,
                                           const void *bytes, size_t n, uint32_t place,
                                           int64_t t)
{
    return (struct ledger_new){
        .id = {bench->source, seq},
        .kind = wardgate_Record_Kind_READING,
        .record = bytes,
        .size = n,
        .gateway = 1,
        .place = place,
        .device = 3,
        .boot = 99,
        .monotonic_us = seq * 1000,
        .time_known = true,
        .t_low_us = (t - 1) * 1000000,
        .t_high_us = (t + 1) * 1000000,
        .received_us = t * 1000000 + 5,
    };
}

static inline int store_reading(struct bench *bench, uint64_t seq, const char *text,
                                uint32_t place, int64_t t)
{
    struct ledger_new new = reading_of(bench, seq, text, strlen(text), place, t);

    return ledger_store(bench->ledger, &new, NULL);
}

static inline void move_to(struct bench *bench, uint64_t seq, enum ledger_state state,
                           uint8_t reason)
{
    struct ledger_entry entry;

    assert_int_equal(ledger_get(bench->ledger, (struct ledger_id){bench->source, seq},
                                &entry),
                     LEDGER_OK);
    entry.state = state;
    entry.reason = reason;
    assert_int_equal(ledger_update(bench->ledger, &entry, 1, "test"), LEDGER_OK);
}

#endif
