/* SPDX-License-Identifier: Apache-2.0
 *
 * An outage's backlog, made at once: fills a gateway's store with readings of eight
 * observations, as thirty monitors of a bay would leave them, in large batches.
 *
 *   fill_store FOLDER KEY_FILE MAP_MIB READINGS   -> {"records_per_s": ..., ...}
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bedside/store.h"

#define DEVICES 30
#define BATCH   10000 /* readings a commit */

static void __attribute__((noreturn)) stop(const char *what)
{
    fprintf(stderr, "fill_store: %s\n", what);
    exit(1);
}

/* One reading a device and second, the last of them an hour ago. Another boot than ours:
 * a bench tells backlog from live readings by it. */
static void make_reading(wardgate_Record *record, uint64_t i, int64_t first_utc_us)
{
    static const uint32_t codes[8] = {147842, 150456, 151562, 150344,
                                      150021, 150022, 150023, 149530};

    memset(record, 0, sizeof(*record));
    record->kind = wardgate_Record_Kind_READING;
    record->has_device = true;
    (void)snprintf(record->device.id, sizeof(record->device.id), "monitor-%02u",
                   (unsigned)(i % DEVICES));
    (void)snprintf(record->device.profile, sizeof(record->device.profile),
                   "wardgate-monitor");
    (void)snprintf(record->device.line, sizeof(record->device.line), "bus-a");
    (void)snprintf(record->place, sizeof(record->place), "bed-%u",
                   (unsigned)(i % DEVICES));
    record->has_time = true;
    record->time.boot = UINT64_C(0x0123456789abcdef);
    record->time.monotonic_us = 1000000 + i * (1000000 / DEVICES);
    record->time.utc_us = first_utc_us + (int64_t)(i * (1000000 / DEVICES));
    record->time.sync = wardgate_TimeBlock_Sync_SYNCED;
    record->time.uncertainty_ms = 12;
    record->observations_count = 8;
    for (uint32_t k = 0; k < 8; k++) {
        record->observations[k].code = codes[k];
        record->observations[k].unit = 262688;
        record->observations[k].which_value = wardgate_Observation_mantissa_tag;
        record->observations[k].value.mantissa = (int64_t)(600 + i % 400 + k);
        record->observations[k].exponent = -1;
    }
    record->has_sample = true;
    record->sample = i / DEVICES;
}

int main(int argc, char **argv)
{
    static wardgate_Record record;
    struct store_config config = {.pending_max = 32 << 20};
    struct store_status status;
    struct store *store;
    char error[STORE_ERROR_SIZE];
    uint64_t readings, began_us;
    int64_t first_utc_us;

    if (argc != 5) {
        fprintf(stderr, "fill_store: FOLDER KEY_FILE MAP_MIB READINGS\n");
        return 64;
    }
    config.folder = argv[1];
    config.map_bytes = strtoull(argv[3], NULL, 10) << 20;
    readings = strtoull(argv[4], NULL, 10);
    if (key_file(argv[2], 1, &config.key) != CRYPTO_OK)
        stop(argv[2]);
    if (store_open(&config, &store, error) != STORE_OK)
        stop(error);
    first_utc_us =
        clock_utc_us() - 3600 * US_PER_S - (int64_t)(readings * (1000000 / DEVICES));
    began_us = clock_monotonic_us();
    for (uint64_t i = 0; i < readings; i++) {
        make_reading(&record, i, first_utc_us);
        if (store_add(store, &record) != STORE_OK)
            stop("a reading was not taken");
        if ((i + 1) % BATCH == 0 && store_commit(store, 0) != STORE_OK)
            stop("a batch was not committed");
    }
    if (store_commit(store, 0) != STORE_OK)
        stop("the last batch was not committed");
    store_status(store, &status);
    printf("{\"records_per_s\": %.0f, \"queued\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"bytes_per_record\": %.1f, \"evicted\": %" PRIu64 "}\n",
           (double)readings * 1e6 / (double)(clock_monotonic_us() - began_us + 1),
           status.unreceipted, status.unreceipted_bytes,
           (double)status.unreceipted_bytes / (double)readings, status.evicted);
    store_close(store);
    return status.evicted == 0 ? 0 : 1;
}
