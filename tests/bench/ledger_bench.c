/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the ledger takes readings in: envelopes of 8 observations, decoded, checked,
 * sealed, stored and committed, with their receipts encoded. Prints JSON figures, one a
 * line.
 *
 *     ledger_bench [--readings N] [--batch N] [--gateways N] [--places N] [--folder DIR]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "chart/intake.h"
#include "wire/envelope.h"

#define ITEMS 200 /* records an envelope: about 48 KiB */

static double seconds(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Memory of our own: the file's mapped pages are the page cache's. */
static long rss_kib(void)
{
    long kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kib = strtol(line + 8, NULL, 10);
    if (file != NULL)
        (void)fclose(file);
    return kib;
}

static void fill(wardgate_Record *record, uint64_t seq, unsigned gateway, unsigned places)
{
    static const uint32_t codes[8] = {147842, 150456, 150344, 151562,
                                      150021, 150022, 150023, 149530};

    memset(record, 0, sizeof(*record));
    record->seq = seq;
    record->kind = wardgate_Record_Kind_READING;
    record->has_device = true;
    (void)snprintf(record->device.id, sizeof(record->device.id), "monitor-%u",
                   (unsigned)(seq % 30));
    (void)snprintf(record->device.profile, sizeof(record->device.profile),
                   "generic-monitor");
    (void)snprintf(record->device.line, sizeof(record->device.line), "rtu-1");
    (void)snprintf(record->place, sizeof(record->place), "WARD-%u/BED-%u", gateway,
                   (unsigned)(seq % 30) % (places > 0 ? places : 1));
    record->has_time = true;
    record->time.boot = 77 + gateway;
    record->time.monotonic_us = seq * 33333;
    record->time.utc_us = INT64_C(1790000000000000) + (int64_t)(seq * 33333);
    record->time.sync = wardgate_TimeBlock_Sync_SYNCED;
    record->time.uncertainty_ms = 20;
    record->observations_count = 8;
    for (int i = 0; i < 8; i++) {
        record->observations[i].code = codes[i];
        record->observations[i].unit = 264864;
        record->observations[i].which_value = wardgate_Observation_mantissa_tag;
        record->observations[i].value.mantissa = 70 + (int64_t)(seq + (uint64_t)i) % 40;
    }
}

/* Readings first..first+count-1 of a gateway as one envelope. */
static size_t envelope(unsigned gateway, uint64_t first, int count, unsigned places,
                       uint8_t *out, const uint8_t **payload)
{
    static uint8_t bytes[RECORD_SIZE_MAX], item[RECORD_SIZE_MAX + 8];
    static wardgate_Record record;
    struct envelope_writer writer;
    struct epoch epoch = {{1, (uint8_t)gateway}};
    char name[32];

    (void)snprintf(name, sizeof(name), "gw-%u", gateway);
    (void)envelope_begin(&writer, out, ENVELOPE_SIZE_MAX, name, &epoch);
    for (int i = 0; i < count; i++) {
        int n, m;
        fill(&record, first + (uint64_t)i, gateway, places);
        n = record_encode(&record, bytes, sizeof(bytes));
        m = envelope_item(bytes, (size_t)(n > 0 ? n : 0), item, sizeof(item));
        if (n <= 0 || m <= 0 || envelope_add(&writer, item, (size_t)m) != 0) {
            (void)fprintf(stderr, "envelope: record %d does not fit (%d)\n", i, n);
            exit(1);
        }
    }
    return (size_t)envelope_end(&writer, payload);
}

struct options {
    uint64_t readings;
    int batch;
    unsigned gateways, places;
    const char *folder;
};

static void options_read(int argc, char **argv, struct options *options)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned long long value = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--readings") == 0)
            options->readings = value;
        else if (strcmp(argv[i], "--batch") == 0)
            options->batch = (int)value;
        else if (strcmp(argv[i], "--gateways") == 0)
            options->gateways = (unsigned)value;
        else if (strcmp(argv[i], "--places") == 0)
            options->places = (unsigned)value;
        else if (strcmp(argv[i], "--folder") == 0)
            options->folder = argv[i + 1];
    }
}

static int fail(struct ledger *ledger, const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", what, ledger_failure(ledger));
    return 1;
}

/* One envelope from each gateway in turn; the time to build them is not counted. */
static int run(struct ledger *ledger, struct intake *intake,
               const struct options *options)
{
    static uint8_t payload_room[ENVELOPE_SIZE_MAX], receipt[RECEIPT_SIZE_MAX];
    char gateway[NAME_MAX_LENGTH + 1];
    uint64_t done = 0, seq = 1, mark = options->readings / 5;
    double wall = 0, cpu = 0, stage_cpu = 0, stage_wall = 0;
    int in_batch = 0;

    while (done < options->readings) {
        for (unsigned g = 0; g < options->gateways; g++) {
            const uint8_t *payload;
            char name[32];
            size_t n = envelope(g, seq, ITEMS, options->places, payload_room, &payload);
            double wall0 = seconds(CLOCK_MONOTONIC),
                   cpu0 = seconds(CLOCK_PROCESS_CPUTIME_ID);

            (void)snprintf(name, sizeof(name), "gw-%u", g);
            if (in_batch == 0 && ledger_begin(ledger) != LEDGER_OK)
                return fail(ledger, "begin");
            if (intake_up(intake, name, payload, n, INT64_C(1790000000000000)) != ITEMS)
                return fail(ledger, "up");
            done += ITEMS;
            if ((in_batch += ITEMS) >= options->batch) {
                if (ledger_commit(ledger) != LEDGER_OK)
                    return fail(ledger, "commit");
                intake_committed(intake);
                while (intake_receipt(intake, gateway, receipt) > 0)
                    ;
                in_batch = 0;
            }
            wall += seconds(CLOCK_MONOTONIC) - wall0;
            cpu += seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu0;
        }
        seq += ITEMS;
        if (done >= mark) {
            (void)printf("{\"readings\": %llu, \"per_second\": %.0f, "
                         "\"cpu_us_per_reading\": %.2f, "
                         "\"private_rss_kib\": %ld}\n",
                         (unsigned long long)done,
                         (double)options->readings / 5 / (wall - stage_wall),
                         (cpu - stage_cpu) / ((double)options->readings / 5) * 1e6,
                         rss_kib());
            stage_cpu = cpu;
            stage_wall = wall;
            mark += options->readings / 5;
        }
    }
    if (in_batch > 0 && ledger_commit(ledger) != LEDGER_OK)
        return fail(ledger, "commit");
    (void)
        printf("{\"total\": %llu, \"per_second\": %.0f, \"cpu_us_per_reading\": %.2f}\n",
               (unsigned long long)done, (double)done / wall, cpu / (double)done * 1e6);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options = {.readings = 1000000,
                              .batch = 1000,
                              .gateways = 10,
                              .places = 30};
    struct ledger_options opening = {.size_max = UINT64_C(64) << 30};
    char folder[256] = "/tmp/ledger-bench-XXXXXX", key[300], error[LEDGER_ERROR_SIZE];
    struct ledger *ledger;
    struct ledger_books books;
    struct intake *intake;
    struct ledger_space space;
    int result;

    options_read(argc, argv, &options);
    if (options.folder != NULL)
        (void)snprintf(folder, sizeof(folder), "%s/ledger-bench-XXXXXX", options.folder);
    if (mkdtemp(folder) == NULL)
        return 1;
    (void)snprintf(key, sizeof(key), "%s/key", folder);
    opening.folder = folder;
    opening.key_path = key;
    if (ledger_open(&opening, &ledger, error) != LEDGER_OK) {
        (void)fprintf(stderr, "%s\n", error);
        return 1;
    }
    intake = intake_new(ledger, NULL);
    result = run(ledger, intake, &options);
    ledger_books(ledger, &books);
    if (result == 0 && ledger_space(ledger, &space) == LEDGER_OK)
        (void)printf("{\"books_readings\": %llu, \"bytes_per_reading\": %.0f}\n",
                     (unsigned long long)books.readings,
                     (double)space.used / (double)books.readings);
    intake_free(intake);
    ledger_close(ledger);
    for (const char *const *name =
             (const char *const[]){"ledger.mdb", "ledger.mdb-lock", "lock", "key", NULL};
         *name != NULL; name++) {
        char path[300];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, *name);
        (void)remove(path);
    }
    (void)remove(folder);
    return result;
}
