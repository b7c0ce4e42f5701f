/* SPDX-License-Identifier: Apache-2.0 */
#include "audit.h"

#include <stdlib.h>
#include <string.h>

#include "base/zone.h"
#include "chart/chart.h"
#include "chart/ledger_log.h"
#include "wire/gap_devices.h"
#include "wire/record.h"

#define GAPS_MAX 4096
#define SECOND   INT64_C(1000000)

struct known_gap {
    int bed;
    int64_t from_us, to_us; /* the truth, both exclusive */
    uint64_t from_seq, to_seq;
    bool unknown; /* how many it holds, no record says */
};

struct books {
    struct audit *audit;
    const struct gateway *gateway;
    const struct ward *ward;
    FILE *why;
    struct ledger_entry *entries; /* by serial; seq 0: not decoded */
    struct known_gap gaps[GAPS_MAX];
    size_t gap_count;
    uint64_t missed[WARD_BEDS];   /* the truth: served, not decoded, inside a gap */
    uint64_t unplaced[WARD_BEDS]; /* the same, inside no gap that the ledger has */
    uint64_t counted[WARD_BEDS];  /* the ledger: what its gaps say is missing of each */
    bool full[WARD_BEDS];         /* a gap of a full store says so, among others */
    uint64_t unsaid[WARD_BEDS];   /* of missed: inside a gap of unknown count */
    uint64_t inside[WARD_BEDS];   /* decoded, inside the seqs of a full store's gap */
};

static int bed_of(const char *device)
{
    return strncmp(device, "monitor-", 8) == 0 ? (int)strtol(device + 8, NULL, 10) - 1
                                               : -1;
}

static void note_gap(struct books *books, const wardgate_Record *record)
{
    struct known_gap *gap = &books->gaps[books->gap_count];
    const wardgate_Gap *told = &record->gap;

    books->audit->gaps++;
    if (books->gap_count == GAPS_MAX)
        return;
    *gap = (struct known_gap){
        bed_of(record->device.id), INT64_MIN, INT64_MAX, told->from_seq, told->to_seq,
        told->count_unknown};
    if (told->has_from)
        gap->from_us =
            gateway_truth(books->gateway, told->from.boot, told->from.monotonic_us);
    if (told->has_to)
        gap->to_us = gateway_truth(books->gateway, told->to.boot, told->to.monotonic_us);
    books->gap_count++;
}

static void note_reading(struct books *books, const struct ledger_entry *entry,
                         const wardgate_Record *record, const struct served *served,
                         size_t served_count)
{
    uint64_t serial = record->observations_count == 2
                          ? (uint64_t)record->observations[0].value.mantissa
                          : 0;

    books->audit->decoded++;
    if (serial == 0 || serial >= served_count ||
        bed_of(record->device.id) != served[serial].bed) {
        books->audit->wrong_value++;
        return;
    }
    if (books->entries[serial].id.seq != 0) {
        books->audit->duplicates++;
        if (books->why)
            fprintf(books->why, "serial %lu was decoded twice\n", (unsigned long)serial);
    }
    books->entries[serial] = *entry;
}

static void read_ledger(struct books *books, struct ledger *ledger,
                        const struct served *served, size_t served_count)
{
    static _Thread_local uint8_t bytes[RECORD_SIZE_MAX];
    struct ledger_entry page[64];

    for (uint32_t source = 1; source <= ledger_sources(ledger); source++) {
        struct ledger_cursor cursor = {0};
        int n;

        while ((n = ledger_list_source(ledger, source, 0, &cursor, page, 64)) > 0)
            for (int i = 0; i < n; i++) {
                wardgate_Record record;
                size_t size;

                if (ledger_record(ledger, page[i].id, bytes, &size) != LEDGER_OK ||
                    record_decode(bytes, size, &record, NULL) != WIRE_OK) {
                    books->audit->wrong_value++;
                    continue;
                }
                if (record.kind == wardgate_Record_Kind_GAP)
                    note_gap(books, &record);
                else if (record.kind == wardgate_Record_Kind_READING)
                    note_reading(books, &page[i], &record, served, served_count);
            }
    }
}

/* Inside a stretch of the queue that a gap replaced, or between the readings that a gap
 * of its device names. */
static bool in_seqs(const struct books *books, const struct served *truth)
{
    for (size_t i = 0; i < books->gap_count && truth->seq != 0; i++)
        if (truth->seq >= books->gaps[i].from_seq && truth->seq <= books->gaps[i].to_seq)
            return true;
    return false;
}

static bool in_gap(const struct books *books, const struct served *truth)
{
    if (in_seqs(books, truth))
        return true;
    for (size_t i = 0; i < books->gap_count; i++) {
        const struct known_gap *gap = &books->gaps[i];

        if (gap->bed == truth->bed && gap->from_us != INT64_MIN &&
            truth->at_us >= gap->from_us && truth->at_us <= gap->to_us)
            return true;
    }
    return false;
}

static void judge_charted(struct books *books, const struct served *truth,
                          const struct epr_entry *stands, size_t serial)
{
    struct audit *audit = books->audit;

    if (stands->standing > 1)
        audit->duplicates++;
    if (stands->patient != truth->patient) {
        audit->wrong_patient++;
        if (books->why)
            fprintf(
                books->why,
                "serial %zu of patient %d (bed %d at %ld s) stands in the chart of %d\n",
                serial, truth->patient, truth->bed, (long)(truth->at_us / SECOND),
                stands->patient);
    }
    if (llabs(stands->time_us - truth->at_us) > stands->stated_us + 1000) {
        audit->wrong_time++;
        if (books->why)
            fprintf(books->why,
                    "serial %zu is charted %+ld us from the truth, stated %ld\n", serial,
                    (long)(stands->time_us - truth->at_us), (long)stands->stated_us);
    }
}

/* Held is right for a time nobody knows, a bed nobody is in, and a moment at which
 * somebody came or went. Once all ADT has arrived nothing else is in doubt. */
static bool needless(const struct books *books, const struct ledger_entry *entry,
                     const struct served *truth)
{
    int64_t margin = 2 * SECOND, both[2] = {0};
    struct zone zone;
    struct civil local;

    zone_parse(ZONE_LONDON, &zone);
    civil_from_utc(truth->at_us + zone_offset_s(&zone, truth->at_us) * SECOND, &local);
    if (zone_to_utc(&zone, &local, both) ==
        2) /* the feed's local times say nothing certain */
        return false;
    if (ward_double(books->ward, truth->bed, entry->t_low_us - margin) ||
        ward_double(books->ward, truth->bed, entry->t_high_us + margin))
        return false;
    return entry->state == LEDGER_HELD && entry->time_known &&
           truth->patient != WARD_NOBODY &&
           ward_patient_at(books->ward, truth->bed, entry->t_low_us - margin) ==
               truth->patient &&
           ward_patient_at(books->ward, truth->bed, entry->t_high_us + margin) ==
               truth->patient;
}

/* The record that ends a silence says how many; the one that began it no longer counts.
 */
static void settle_gaps(struct books *books)
{
    for (size_t i = 0; i < books->gap_count; i++)
        for (size_t j = 0; j < books->gap_count; j++) {
            struct known_gap *began = &books->gaps[i], *ended = &books->gaps[j];
            if (began->bed == ended->bed && began->from_us == ended->from_us &&
                began->to_us == INT64_MAX && ended->to_us != INT64_MAX)
                began->unknown = false;
        }
}

static bool unsaid(const struct books *books, const struct served *truth)
{
    for (size_t i = 0; i < books->gap_count; i++) {
        const struct known_gap *gap = &books->gaps[i];
        if (gap->unknown && gap->bed == truth->bed && truth->at_us >= gap->from_us &&
            truth->at_us <= gap->to_us)
            return true;
    }
    return false;
}

static void judge(struct books *books, const struct served *truth,
                  const struct epr_entry *stands, size_t serial)
{
    struct audit *audit = books->audit;
    const struct ledger_entry *entry = &books->entries[serial];
    bool charted = entry->id.seq != 0 && entry->state == LEDGER_CHARTED;
    bool doubtful = entry->id.seq != 0 && entry->state == LEDGER_HELD &&
                    entry->reason == CHART_MAY_STAND;

    audit->served++;
    if (entry->id.seq == 0 && in_gap(books, truth)) {
        audit->in_gap++;
        books->missed[truth->bed]++;
        books->unsaid[truth->bed] += unsaid(books, truth);
        return;
    }
    if (entry->id.seq == 0) {
        books->unplaced[truth->bed]++;
        return;
    }
    books->inside[truth->bed] += in_seqs(books, truth);
    audit->may_stand += doubtful;
    /* What is said to be in doubt may stand or not; whose it is, is judged below. */
    if (!doubtful && charted != (stands->standing > 0)) {
        audit->lost++;
        if (books->why)
            fprintf(books->why,
                    "serial %zu (bed %d, %ld s): ledger state %d, standing %d\n", serial,
                    truth->bed, (long)(truth->at_us / SECOND), (int)entry->state,
                    stands->standing);
    }
    if (!doubtful && needless(books, entry, truth)) {
        audit->held_needlessly++;
        if (books->why)
            fprintf(books->why,
                    "serial %zu (patient %d, bed %d, %ld s) is held for reason %d\n",
                    serial, truth->patient, truth->bed, (long)(truth->at_us / SECOND),
                    entry->reason);
    }
    if (stands->standing > 0)
        judge_charted(books, truth, stands, serial);
}

/* --- whose the gaps are --- */

/* What a gap, or a part of one, says that a device misses. Each device of the ward is at
 * its bed all day, and says so. */
static void count_missing(struct books *books, struct ledger *ledger, uint32_t device,
                          uint32_t place, uint64_t count, bool full)
{
    char name[LEDGER_NAME_SIZE] = "", at[LEDGER_NAME_SIZE] = "";
    size_t gateway = strlen(GATEWAY_NAME) + 1;
    int bed;

    if (device != 0)
        ledger_name_text(ledger, device, name);
    if (place != 0)
        ledger_name_text(ledger, place, at);
    bed = strlen(name) > gateway ? bed_of(name + gateway) : -1;
    if (bed >= 0 && bed < WARD_BEDS && strcmp(at, ward_place(bed)) == 0) {
        books->counted[bed] += count;
        books->full[bed] = books->full[bed] || full;
        return;
    }
    books->audit->missing_wrong += count;
    if (books->why && count > 0)
        fprintf(books->why, "%lu readings are missing of '%s' at '%s'\n",
                (unsigned long)count, name, at);
}

static void read_gaps(struct books *books, struct ledger *ledger)
{
    struct ledger_gap_part parts[GAP_DEVICES_MAX];
    struct ledger_cursor cursor = {0};
    struct ledger_gap page[64];
    int n;

    while ((n = ledger_gaps(ledger, &cursor, page, 64)) > 0)
        for (int i = 0; i < n; i++) {
            int m = ledger_gap_parts(ledger, page[i].id, parts, GAP_DEVICES_MAX);

            books->audit->full_gaps += m > 0;
            if (m == 0)
                count_missing(books, ledger, page[i].device, page[i].place,
                              page[i].outstanding, false);
            for (int j = 0; j < m; j++)
                count_missing(books, ledger, parts[j].device, parts[j].place,
                              parts[j].outstanding, true);
        }
}

/* P7 to the reading: what a device served is decoded, or counted as missing of it. A
 * silence whose own record a full store gave up is only a number in that store's gap: so
 * a reading that lies in no gap is lost unless such a number has room for it. */
static void judge_gaps(struct books *books)
{
    struct audit *audit = books->audit;

    for (int bed = 0; bed < WARD_BEDS; bed++) {
        uint64_t unplaced = books->unplaced[bed], counted = books->counted[bed],
                 missing = books->missed[bed] + unplaced;

        if (!books->full[bed])
            audit->lost += unplaced;
        else
            audit->in_gap += unplaced;
        /* Those in a gap of unknown count are told of without a number. And the chart
         * takes what it has off a full store's count, also what the board had a receipt
         * for and did not count: so much less it may say (seed 244, two beds, one each).
         */
        if (counted < missing &&
            missing - counted <= books->unsaid[bed] + books->inside[bed])
            continue;
        audit->missing_wrong += counted > missing ? counted - missing : missing - counted;
        if (books->why && counted != missing)
            fprintf(
                books->why,
                "bed %d: %lu readings are missing (%lu in no gap), its gaps say %lu\n",
                bed, (unsigned long)missing, (unsigned long)unplaced,
                (unsigned long)counted);
    }
}

void audit_day(struct audit *audit, struct ledger *ledger, const struct epr *epr,
               const struct ward *ward, const struct gateway *gateway,
               const struct served *served, size_t served_count, FILE *why)
{
    struct books *books = calloc(1, sizeof *books);
    struct ledger_books sums, again;
    uint64_t wrong_rows = 0;

    memset(audit, 0, sizeof *audit);
    if (books == NULL ||
        (books->entries = calloc(served_count + 1, sizeof books->entries[0])) == NULL)
        abort();
    books->audit = audit, books->gateway = gateway, books->ward = ward, books->why = why;
    read_ledger(books, ledger, served, served_count);
    settle_gaps(books);
    for (size_t serial = 1; serial < served_count; serial++)
        if (served[serial].at_us != 0)
            judge(books, &served[serial], &epr->entries[serial], serial);
    read_gaps(books, ledger);
    judge_gaps(books);

    ledger_books(ledger, &sums);
    audit->charted = sums.states[LEDGER_CHARTED];
    audit->kept = sums.states[LEDGER_KEPT];
    audit->held = sums.states[LEDGER_HELD];
    audit->rejected = sums.states[LEDGER_REJECTED];
    audit->pending = ledger_pending(&sums);
    audit->duplicates += epr->altered;
    if (ledger_recount(ledger, &again, &wrong_rows) != LEDGER_OK || wrong_rows != 0 ||
        memcmp(sums.states, again.states, sizeof sums.states) != 0 ||
        sums.readings != audit->decoded ||
        sums.readings !=
            audit->charted + audit->kept + audit->held + audit->rejected + audit->pending)
        audit->books++;
    if (why && epr->malformed)
        fprintf(why, "%zu messages that the record cannot read\n", epr->malformed);
    audit->wrong_value += epr->malformed;
    free(books->entries);
    free(books);
}

bool audit_clean(const struct audit *audit)
{
    return audit->lost + audit->duplicates + audit->wrong_patient + audit->wrong_value +
               audit->wrong_time + audit->books + audit->pending +
               audit->held_needlessly + audit->missing_wrong ==
           0;
}
