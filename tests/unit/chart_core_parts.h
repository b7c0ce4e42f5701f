/* SPDX-License-Identifier: Apache-2.0
 *
 * A chart service on a real ledger in a temporary folder, with a PAS, gateways and an EPR
 * that the test plays by hand.
 */
#ifndef TESTS_CHART_CORE_PARTS_H
#define TESTS_CHART_CORE_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chart/chart.h"
#include "chart/held.h"
#include "chart/ledger_log.h"

#define T0                                                                               \
    INT64_C(1784721600000000) /* 2026-07-22T12:00:00Z, a Wednesday; 13:00 in London */
#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define SENT_MAX  16384

struct sent_message { /* as the EPR got it */
    size_t destination;
    char control[DELIVER_CONTROL_SIZE];
    char *bytes;
    size_t n;
    bool answered;
    bool taken; /* by an EPR that the test plays */
};

struct ward {
    char folder[128];
    uint64_t size_max; /* of the ledger; 0 = 256 MiB; set before ward_open */
    struct ledger *ledger;
    struct adt_site *site;
    struct chart *chart;
    struct chart_options options;
    struct chart_destination destinations[2];
    int64_t now_us;
    struct sent_message sent[SENT_MAX];
    size_t sent_count;
    bool quiet;         /* messages are answered but not kept: for tests with very many */
    const char *answer; /* what the EPR says to everything; NULL = nothing */
    size_t receipts, adt_answers, adt_silences, events;
    char last_answer[1024];
    struct epoch epoch;
    uint64_t boot;
    unsigned adt_serial;
    int64_t adt_known_us; /* when the next ADT message is heard of; 0 = now_us */
};

/* interval_s: the charting interval; 0 = every reading. destinations: 1 or 2. */
void ward_open(struct ward *ward, uint32_t interval_s, size_t destinations);
void ward_close(struct ward *ward);
/* Ends the chart and the ledger as a kill does (nothing is run any more), and starts them
 * again. */
void ward_restart(struct ward *ward);

/* Runs until nothing is left to do at this time, answering what the EPR gets. */
void ward_settle(struct ward *ward);
/* Lets time pass in steps of a second, settling at each. */
void ward_pass(struct ward *ward, int64_t seconds);

/* One reading: heart rate, unless the value is negative: then a record whose value is
 * absent. At at_us, +- 50 ms. */
void ward_reading(struct ward *ward, uint64_t seq, const char *place, int64_t at_us,
                  int64_t rate);
/* The same, measured on a fetus. */
void ward_reading_of_fetus(struct ward *ward, uint64_t seq, uint32_t number,
                           const char *place, int64_t at_us, int64_t rate);
/* The same with a clock that was never set (monotonic only), and a clock fix for it. */
void ward_reading_untimed(struct ward *ward, uint64_t seq, const char *place,
                          uint64_t monotonic_us, int64_t rate);
void ward_clock_fix(struct ward *ward, uint64_t seq, uint64_t monotonic_us,
                    int64_t utc_us);

/* An ADT message; occurred and place ("" = none) as local time and location are made of
 * them. extra: more segments, or "". */
void ward_adt(struct ward *ward, const char *event, const char *mrn, const char *visit,
              const char *bed, const char *prior_bed, int64_t occurred_us);
void ward_adt_raw(struct ward *ward, const char *message);

struct ledger_books ward_books(struct ward *ward);
/* Asserts decoded = charted + kept + held + rejected + pending, and each of them. */
void ward_expect(struct ward *ward, uint64_t charted, uint64_t kept, uint64_t held,
                 uint64_t rejected, uint64_t pending);
struct ledger_entry ward_entry(struct ward *ward, uint64_t seq);
/* The nth message that was sent (from 0), or fails. field: as in HL7, of the nth segment
 * of a name; component from 1, 0 = whole. */
const char *ward_field(struct ward *ward, size_t message, const char *segment, int nth,
                       int field);
/* Messages with this filler seq, kind by OBX-11, patient by PID-3.1. */
size_t ward_sent_with(struct ward *ward, uint64_t seq, char status, const char *mrn);

#endif
