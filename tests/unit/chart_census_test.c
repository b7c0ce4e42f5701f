/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "chart_census_test.h"

static const struct census_window *windows;
static size_t window_count;

static void apply(struct census *census, struct adt_event event)
{
    assert_int_equal(census_apply(census, &event, 1, 0, &windows, &window_count),
                     CENSUS_OK);
}

/* Who is in a place at a minute: "P1", "P1+P2", "-"; with a letter for each flag. */
static const char *at(const struct census *census, const char *place, int64_t minute)
{
    static char text[128];
    struct census_stay stays[8];
    struct census_patient patient;
    size_t n = census_at(census, census_place_id(place), minute * MINUTE, minute * MINUTE,
                         stays, 8),
           i, used = 0;
    static const struct {
        uint32_t flag;
        char letter;
    } letters[] = {{CENSUS_AWAY, 'a'},
                   {CENSUS_ORDER, 'o'},
                   {CENSUS_MISSING, 'm'},
                   {CENSUS_IDENTITY, 'i'},
                   {CENSUS_ELSEWHERE, 'e'}};

    text[0] = '-';
    text[1] = '\0';
    for (i = 0; i < n; i++) {
        size_t j;

        assert_true(census_patient(census, stays[i].patient, &patient));
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s",
                                 i == 0 ? "" : "+", patient.number);
        for (j = 0; j < sizeof(letters) / sizeof(letters[0]); j++)
            if (stays[i].flags & letters[j].flag)
                used += (size_t)snprintf(text + used, sizeof(text) - used, "%c",
                                         letters[j].letter);
    }
    return text;
}

static void test_a_visit(void **state)
{
    struct census *c = census_new();
    struct census_stay stay;
    struct census_visit visit;
    struct census_patient patient;
    struct adt_event e = event_at(ADT_ADMIT, 10, "P1", "V1", "a");

    (void)state;
    snprintf(e.family, sizeof(e.family), "DOE");
    snprintf(e.nhs, sizeof(e.nhs), "9434765919");
    snprintf(e.account, sizeof(e.account), "F1");
    assert_false(census_seen(c, census_place_id("a")));
    assert_int_equal(census_apply(c, &e, 1, 12 * MINUTE, &windows, &window_count),
                     CENSUS_OK);
    assert_int_equal(window_count, 1);
    assert_int_equal(windows[0].place, census_place_id("a"));
    assert_int_equal(windows[0].from_us, 10 * MINUTE);
    assert_int_equal(windows[0].to_us, CENSUS_FOREVER);
    assert_true(census_seen(c, census_place_id("a")));

    assert_string_equal(at(c, "a", 9), "-");
    assert_string_equal(at(c, "a", 10), "P1");
    assert_int_equal(census_at(c, census_place_id("a"), 0, 100 * MINUTE, &stay, 1), 1);
    assert_int_equal(stay.stay, census_visit_id("V:V1"));
    assert_int_equal(stay.patient, id_of("P1"));
    assert_int_equal(stay.original, id_of("P1"));
    assert_int_equal(stay.known_us, 12 * MINUTE);
    assert_string_equal(stay.location, "W^R^a");
    assert_true(census_visit(c, stay.stay, &visit));
    assert_string_equal(visit.visit, "V1");
    assert_string_equal(visit.account, "F1");
    assert_string_equal(visit.category, "I");
    assert_true(census_patient(c, stay.patient, &patient));
    assert_string_equal(patient.family, "DOE");
    assert_string_equal(patient.nhs, "9434765919");
    assert_string_equal(patient.birth, "");
    assert_false(patient.unknown);

    /* A transfer touches only what lies past it; a discharge, too. */
    apply(c, from_place(event_at(ADT_TRANSFER, 30, "P1", "V1", "b"), "a"));
    assert_int_equal(window_count, 2);
    assert_int_equal(windows[0].from_us, 30 * MINUTE);
    assert_int_equal(windows[1].from_us, 30 * MINUTE);
    apply(c, from_place(event_at(ADT_DISCHARGE, 50, "P1", "V1", NULL), "b"));
    assert_int_equal(window_count, 1);
    assert_int_equal(windows[0].place, census_place_id("b"));
    assert_int_equal(windows[0].from_us, 50 * MINUTE);
    assert_string_equal(at(c, "a", 29), "P1");
    assert_string_equal(at(c, "a", 30), "-");
    assert_string_equal(at(c, "b", 30), "P1");
    assert_string_equal(at(c, "b", 49), "P1");
    assert_string_equal(at(c, "b", 50), "-");

    assert_false(census_visit(c, 1, &visit));
    assert_false(census_patient(c, 1, &patient));
    assert_int_equal(census_find(c, "P1", ""), id_of("P1"));
    assert_int_equal(census_find(c, "P1", "H"), id_of("P1"));
    assert_int_equal(census_find(c, "P1", "X"), 0);
    assert_int_equal(census_find(c, "P9", ""), 0);
    assert_int_equal(census_place_id(""), 0);
    census_free(c);
    census_free(NULL);
}

/* A late transfer, a back-dated one, a lost one. */
static void test_late(void **state)
{
    struct census *c = census_new();

    (void)state;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_ADMIT, 40, "P2", "V2",
                      "a")); /* the bed is given again before the news that P1 left it */
    assert_string_equal(at(c, "a", 45), "P1+P2");
    apply(c,
          recorded_at(from_place(event_at(ADT_TRANSFER, 35, "P1", "V1", "b"), "a"), 60));
    assert_string_equal(at(c, "a", 34), "P1");
    assert_string_equal(at(c, "a", 37), "-");
    assert_string_equal(at(c, "a", 45), "P2");
    assert_string_equal(at(c, "b", 45), "P1");

    /* The next one says that it left from c: somebody moved the patient there, and nobody
     * told us when. */
    apply(c, from_place(event_at(ADT_TRANSFER, 80, "P1", "V1", "d"), "c"));
    assert_string_equal(at(c, "b", 70), "P1m");
    assert_string_equal(at(c, "d", 90), "P1");
    apply(c, from_place(event_at(ADT_TRANSFER, 70, "P1", "V1", "c"), "b"));
    assert_string_equal(at(c, "b", 60), "P1");
    assert_string_equal(at(c, "c", 75), "P1");
    /* A discharge, too, says from where. */
    apply(c, from_place(event_at(ADT_DISCHARGE, 95, "P1", "V1", NULL), "e"));
    assert_string_equal(at(c, "d", 90), "P1m");
    assert_string_equal(at(c, "c", 75), "P1");
    census_free(c);
}

/* A discharge keyed in after a transfer that it lies before: the patient was not there
 * any more. */
static void test_discharge_before_transfer(void **state)
{
    struct census *c = census_new();

    (void)state;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_TRANSFER, 30, "P1", "V1", "b"));
    apply(c, recorded_at(event_at(ADT_DISCHARGE, 20, "P1", "V1", NULL), 40));
    assert_string_equal(at(c, "a", 15), "P1");
    assert_string_equal(at(c, "a", 25), "-");
    assert_string_equal(at(c, "b", 35), "-");
    assert_string_equal(at(c, "b", 99), "-");
    /* Taken back, all is as it was; and a re-admission on the same visit counts. */
    apply(c, event_at(ADT_CANCEL_DISCHARGE, 50, "P1", "V1", "b"));
    assert_string_equal(at(c, "a", 25), "P1");
    assert_string_equal(at(c, "b", 60), "P1");
    apply(c, event_at(ADT_DISCHARGE, 70, "P1", "V1", NULL));
    apply(c, event_at(ADT_ADMIT, 80, "P1", "V1", "c"));
    assert_string_equal(at(c, "b", 75), "-");
    assert_string_equal(at(c, "c", 90), "P1");
    census_free(c);
}

static void test_cancellations(void **state)
{
    struct census *c = census_new();

    (void)state;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_TRANSFER, 20, "P1", "V1", "b"));
    apply(c, event_at(ADT_CANCEL_TRANSFER, 30, "P1", "V1", "a"));
    assert_string_equal(at(c, "a", 25), "P1");
    assert_string_equal(at(c, "b", 25), "-");
    /* Back to a bed that we did not know of: from when, nobody said. */
    apply(c, event_at(ADT_TRANSFER, 40, "P1", "V1", "b"));
    apply(c, event_at(ADT_CANCEL_TRANSFER, 50, "P1", "V1", "c"));
    assert_string_equal(at(c, "a", 35), "P1");
    assert_string_equal(at(c, "a", 45), "-");
    assert_string_equal(at(c, "b", 45), "-");
    assert_string_equal(at(c, "c", 55), "P1");
    /* Discharge taken back into another bed. */
    apply(c, from_place(event_at(ADT_DISCHARGE, 60, "P1", "V1", NULL), "c"));
    apply(c, event_at(ADT_CANCEL_DISCHARGE, 70, "P1", "V1", "d"));
    assert_string_equal(at(c, "c", 65), "-");
    assert_string_equal(at(c, "d", 75), "P1");
    /* Never admitted at all: what was charted meanwhile comes under doubt. */
    apply(c, event_at(ADT_CANCEL_ADMIT, 80, "P1", "V1", NULL));
    assert_string_equal(at(c, "a", 15), "-");
    assert_string_equal(at(c, "d", 75), "-");
    assert_true(window_count >= 3);
    /* A cancellation of nothing says at least where the patient is. */
    apply(c, event_at(ADT_CANCEL_DISCHARGE, 90, "P3", "V3", "a"));
    assert_string_equal(at(c, "a", 95), "P3");
    census_free(c);
}

static void test_away(void **state)
{
    struct census *c = census_new();
    struct adt_event back = event_at(ADT_RETURN, 40, "P1", "V1", NULL);

    (void)state;
    back.flags |= ADT_NO_LOCATION;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_LEAVE, 20, "P1", "V1", NULL));
    assert_string_equal(at(c, "a", 15), "P1");
    assert_string_equal(at(c, "a", 30), "P1a");
    apply(c, back);
    assert_string_equal(at(c, "a", 45), "P1");
    apply(c, event_at(ADT_CANCEL_LEAVE, 45, "P1", "V1", NULL));
    assert_string_equal(at(c, "a", 30), "P1");
    /* To theatre: there in person, here by name. */
    apply(c, event_at(ADT_TEMPORARY, 50, "P1", "V1", "theatre"));
    assert_string_equal(at(c, "a", 55), "P1a");
    assert_string_equal(at(c, "theatre", 55), "P1");
    apply(c, event_at(ADT_RETURN, 60, "P1", "V1", "a"));
    assert_string_equal(at(c, "a", 65), "P1");
    assert_string_equal(at(c, "theatre", 65), "-");
    /* On the way: in no place. */
    apply(c, event_at(ADT_DEPART, 70, "P1", "V1", NULL));
    assert_string_equal(at(c, "a", 75), "-");
    apply(c, event_at(ADT_TRANSFER, 80, "P1", "V1", "b"));
    assert_string_equal(at(c, "b", 85), "P1");
    /* A transfer without a place still empties the bed. */
    back = event_at(ADT_TRANSFER, 90, "P1", "V1", NULL);
    back.flags |= ADT_NO_LOCATION;
    apply(c, back);
    assert_string_equal(at(c, "b", 95), "-");
    census_free(c);
}

static void test_merges(void **state)
{
    struct census *c = census_new();
    struct census_patient patient;
    struct adt_event e = event_at(ADT_ADMIT, 10, "UNKNOWN7", "V1", "a");

    (void)state;
    e.flags |= ADT_UNKNOWN_PERSON;
    apply(c, e);
    assert_true(census_patient(c, id_of("UNKNOWN7"), &patient));
    assert_true(patient.unknown);
    apply(c, event_at(ADT_ADMIT, 15, "P1", "V2", "a"));
    assert_string_equal(at(c, "a", 20), "UNKNOWN7+P1");
    apply(c, merge_at(30, "UNKNOWN7", "P1"));
    assert_true(window_count >= 2);
    assert_string_equal(at(c, "a", 12), "P1");
    assert_true(census_same(c, id_of("UNKNOWN7"), id_of("P1")));
    assert_true(census_patient(c, id_of("UNKNOWN7"), &patient));
    assert_int_equal(patient.survivor, id_of("P1"));
    assert_int_equal(census_find(c, "UNKNOWN7", ""), id_of("P1"));
    apply(c, merge_at(30, "UNKNOWN7", "P1"));
    assert_int_equal(window_count, 0);

    /* Chains, and merges that go back on one another: the later word counts. */
    apply(c, merge_at(40, "P1", "P2"));
    assert_string_equal(at(c, "a", 12), "P2");
    apply(c, merge_at(50, "P2", "P1"));
    assert_string_equal(at(c, "a", 12), "P1");
    assert_true(census_same(c, id_of("P2"), id_of("UNKNOWN7")));
    apply(c, merge_at(60, "UNKNOWN7", "P3"));
    assert_true(census_same(c, id_of("P3"), id_of("UNKNOWN7")));
    assert_false(census_same(c, id_of("P3"), id_of("P1")));
    assert_false(census_same(c, id_of("NOBODY"), id_of("P1")));
    assert_true(census_same(c, 5, 5));
    census_free(c);
}

static void test_whose_visit(void **state)
{
    struct census *c = census_new();
    struct census_stay stay;
    struct census_counts counts;
    struct adt_event e;

    (void)state;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    /* Another number under the same visit, and nobody says why: held, until somebody
     * does. */
    apply(c, event_at(ADT_UPDATE, 20, "P2", "V1", "a"));
    assert_string_equal(at(c, "a", 15), "P1i");
    census_counts(c, &counts);
    assert_int_equal(counts.conflicts, 1);
    apply(c, merge_at(30, "P1", "P2"));
    assert_string_equal(at(c, "a", 15), "P2");
    census_counts(c, &counts);
    assert_int_equal(counts.conflicts, 0);

    /* The visit is moved to another patient, from its beginning. */
    e = event_at(ADT_MOVE_VISIT, 40, "P9", "V1", NULL);
    snprintf(e.prior.number, sizeof(e.prior.number), "P2");
    apply(c, e);
    assert_string_equal(at(c, "a", 15), "P9");
    assert_int_equal(census_at(c, census_place_id("a"), 15 * MINUTE, 15 * MINUTE, &stay,
                               1),
                     1);
    assert_int_equal(stay.stay, census_visit_id("V:V1"));
    assert_int_equal(stay.original, id_of("P9"));
    apply(c, event_at(ADT_UPDATE, 50, "P9", "V1", "a"));
    assert_string_equal(at(c, "a", 15), "P9");
    apply(c, event_at(ADT_UPDATE, 60, "P2", "V1",
                      "a")); /* and yet somebody calls it P2's again */
    assert_string_equal(at(c, "a", 15), "P9i");
    census_free(c);
}

/* One patient, two visits: whoever is placed anew is not in the old place any more. */
static void test_elsewhere(void **state)
{
    struct census *c = census_new();
    struct adt_event e;

    (void)state;
    e = event_at(ADT_ADMIT, 10, "P1", "V1", "ae-1");
    snprintf(e.category, sizeof(e.category), "E");
    apply(c, e);
    apply(c, event_at(ADT_ADMIT, 30, "P1", "V2",
                      "a")); /* up to the ward; A&E never says that he left */
    assert_string_equal(at(c, "ae-1", 20), "P1");
    assert_string_equal(at(c, "ae-1", 40), "P1e");
    assert_string_equal(at(c, "a", 40), "P1");
    apply(c, event_at(ADT_DISCHARGE, 50, "P1", "V2", NULL));
    assert_string_equal(at(c, "ae-1", 60),
                        "P1e"); /* and does not come back to the cubicle */

    /* An inpatient at a clinic: away as long as the clinic has him, then in his bed
     * again. */
    apply(c, event_at(ADT_ADMIT, 10, "P2", "V3", "b"));
    e = event_at(ADT_ADMIT, 20, "P2", "V4", "dialysis-1");
    snprintf(e.category, sizeof(e.category), "O");
    apply(c, e);
    assert_string_equal(at(c, "b", 25), "P2e");
    assert_string_equal(at(c, "dialysis-1", 25), "P2");
    e = event_at(ADT_DISCHARGE, 30, "P2", "V4", NULL);
    snprintf(e.category, sizeof(e.category), "O");
    apply(c, e);
    assert_string_equal(at(c, "b", 25), "P2e");
    assert_string_equal(at(c, "b", 35), "P2");
    /* Registered somewhere that is no place of ours says nothing. */
    e = event_at(ADT_ADMIT, 40, "P2", "V5", NULL);
    apply(c, e);
    assert_string_equal(at(c, "b", 45), "P2");
    census_free(c);
}

/* Two moves in the hour that the clocks repeat: which came first can't be told, so
 * nothing is until the next certain one. */
static void test_order_doubt(void **state)
{
    struct census *c = census_new();
    struct adt_event first = event_at(ADT_TRANSFER, 100, "P1", "V1", "b"),
                     second = event_at(ADT_TRANSFER, 110, "P1", "V1", "c");
    struct census_stay stay;

    (void)state;
    first.occurred.high_us += 60 * MINUTE;
    second.occurred.high_us += 60 * MINUTE;
    first.recorded = first.occurred;
    second.recorded = second.occurred;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, first);
    assert_string_equal(at(c, "b", 200), "P1");
    assert_int_equal(census_at(c, census_place_id("b"), 200 * MINUTE, 200 * MINUTE, &stay,
                               1),
                     1);
    assert_int_equal(stay.from_low_us,
                     100 * MINUTE); /* came at some time within the hour */
    assert_int_equal(stay.from_high_us, 160 * MINUTE);
    apply(c, second);
    assert_string_equal(at(c, "a", 99), "P1");
    assert_string_equal(at(c, "b", 150), "P1o");
    assert_string_equal(at(c, "c", 300), "P1o");
    apply(c, event_at(ADT_TRANSFER, 400, "P1", "V1", "d"));
    assert_string_equal(at(c, "c", 399), "P1o");
    assert_string_equal(at(c, "d", 400), "P1");
    census_free(c);

    /* The same second, two beds, nothing to tell them apart by. */
    c = census_new();
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    first = event_at(ADT_TRANSFER, 20, "P1", "V1", "b");
    second = event_at(ADT_TRANSFER, 20, "P1", "V1", "c");
    second.id++;
    apply(c, first);
    apply(c, second);
    assert_string_equal(at(c, "b", 30), "-");
    assert_string_equal(at(c, "c", 30), "P1o");
    /* But a later recording settles it, and so does an admission before a transfer of the
     * same second. */
    apply(c, event_at(ADT_ADMIT, 20, "P2", "V2", "x"));
    apply(c, event_at(ADT_TRANSFER, 20, "P2", "V2", "y"));
    assert_string_equal(at(c, "y", 30), "P2");
    census_free(c);
}

/* The admission to the ward is dated by the arrival in A&E: in between nothing is
 * certain, afterwards all is. */
static void test_admitted_between(void **state)
{
    struct census *c = census_new();
    struct adt_event up = event_at(ADT_ADMIT, 300, "P1", "V1", "ward-1");

    (void)state;
    up.occurred.low_us = 100 * MINUTE;
    apply(c, event_at(ADT_ADMIT, 100, "P1", "V1", "ae-1"));
    apply(c, up);
    {
        struct census_stay stay;

        assert_int_equal(census_at(c, census_place_id("ae-1"), 200 * MINUTE, 200 * MINUTE,
                                   &stay, 1),
                         1);
        assert_int_equal(stay.to_low_us, 100 * MINUTE);
        assert_int_equal(stay.to_high_us, 300 * MINUTE);
        assert_int_equal(census_at(c, census_place_id("ward-1"), 200 * MINUTE,
                                   200 * MINUTE, &stay, 1),
                         1);
        assert_int_equal(stay.from_high_us, 300 * MINUTE);
    }
    assert_string_equal(at(c, "ward-1", 400), "P1");
    assert_string_equal(at(c, "ae-1", 400), "-");
    census_free(c);
}

static void test_refused(void **state)
{
    struct census *c = census_new();
    struct adt_event e = event_at(ADT_ADMIT, 10, "", "V1", "a");
    struct census_counts counts;

    (void)state;
    assert_int_equal(census_apply(c, &e, 1, 0, &windows, &window_count),
                     CENSUS_INCOMPLETE);
    e = event_at(ADT_ADMIT, 10, "P1", NULL, "a");
    assert_int_equal(census_apply(c, &e, 1, 0, NULL, NULL), CENSUS_INCOMPLETE);
    e = event_at(ADT_MERGE, 10, "P1", NULL, NULL);
    assert_int_equal(census_apply(c, &e, 1, 0, NULL, NULL), CENSUS_INCOMPLETE);
    e = merge_at(10, "P1", "P1");
    assert_int_equal(census_apply(c, &e, 1, 0, NULL, NULL), CENSUS_INCOMPLETE);
    e = event_at(ADT_UPDATE, 10, "P1", NULL, NULL);
    assert_int_equal(census_apply(c, &e, 1, 0, NULL, NULL), CENSUS_OK);
    assert_int_equal(census_apply(c, NULL, 0, 0, &windows, &window_count), CENSUS_OK);
    assert_int_equal(window_count, 0);

    /* An update that knows another bed moves nobody, and is counted. */
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_UPDATE, 20, "P1", "V1", "b"));
    apply(c, event_at(ADT_UPDATE, 21, "P1", "V1", "a"));
    assert_string_equal(at(c, "a", 30), "P1");
    assert_string_equal(at(c, "b", 30), "-");
    census_counts(c, &counts);
    assert_int_equal(counts.updates_elsewhere, 1);
    assert_int_equal(counts.repeated, 0);
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    census_counts(c, &counts);
    assert_int_equal(counts.repeated, 1);
    census_free(c);
}

/* The index of one place against a plain list: long and short stays, added in any order,
 * some taken out again. */
static void test_index(void **state)
{
    enum { STAYS = 700 };
    static int64_t from[STAYS], to[STAYS];
    static struct census_stay stays[STAYS];
    struct census *c = census_new();
    unsigned random_number = 1;
    char number[32], visit[32];
    size_t found, expected, i, j, asked = 0;

    (void)state;
    for (i = 0; i < STAYS; i++) {
        random_number = random_number * 1103515245 + 12345;
        from[i] = (random_number >> 8) % 10000;
        to[i] = from[i] + 1 + (random_number >> 4) % (i % 50 == 0 ? 5000 : 20);
        snprintf(number, sizeof(number), "P%zu", i);
        snprintf(visit, sizeof(visit), "V%zu", i);
        apply(c, event_at(ADT_ADMIT, from[i], number, visit, "a"));
        apply(c, event_at(ADT_DISCHARGE, to[i], number, visit, NULL));
        if (i % 7 == 3) {
            apply(c, event_at(ADT_CANCEL_ADMIT, 20000, number, visit, NULL));
            to[i] = from[i] = -1;
        }
    }
    for (i = 0; i < 20000; i++) {
        int64_t low, high;

        random_number = random_number * 1103515245 + 12345;
        low = (random_number >> 8) % 15000;
        high = low + (random_number >> 6) % 30;
        for (j = 0, expected = 0; j < STAYS; j++)
            expected += from[j] >= 0 && from[j] <= high && to[j] > low;
        found =
            census_at(c, census_place_id("a"), low * MINUTE, high * MINUTE, stays, STAYS);
        if (found != expected)
            fail_msg("%zu stays instead of %zu in %lld..%lld", found, expected,
                     (long long)low, (long long)high);
        for (j = 0; j < found; j++) {
            assert_true(stays[j].from_low_us <= high * MINUTE &&
                        stays[j].to_high_us > low * MINUTE);
            assert_true(j == 0 || stays[j - 1].from_low_us <= stays[j].from_low_us);
        }
        asked += found;
    }
    print_message("20000 questions, %zu stays told\n", asked);
    census_free(c);
}

/* One stay that never ended, at each position of a bed's history in turn: it is found
 * however much came after it. */
static void test_never_ended(void **state)
{
    struct census *c = census_new();
    struct census_stay stay;
    char number[32], visit[32], place[32];
    int k, i;

    (void)state;
    for (k = 0; k < 130; k++) {
        snprintf(place, sizeof(place), "bed-%d", k);
        for (i = 0; i < 260; i++) {
            snprintf(number, sizeof(number), "P%d-%d", k, i);
            snprintf(visit, sizeof(visit), "V%d-%d", k, i);
            apply(c, event_at(ADT_ADMIT, INT64_C(10) * i, number, visit, place));
            if (i != k)
                apply(c,
                      event_at(ADT_DISCHARGE, INT64_C(10) * i + 5, number, visit, NULL));
        }
        snprintf(visit, sizeof(visit), "V:V%d-%d", k, k);
        assert_int_equal(census_at(c, census_place_id(place), 9000 * MINUTE,
                                   9000 * MINUTE, &stay, 1),
                         1);
        assert_int_equal(stay.stay, census_visit_id(visit));
    }
    census_free(c);
}

/* --- Five years must not slow a look-up down --- */

static void fill(struct census *census, int places, int days)
{
    char number[32], visit[32], place[32];
    int p, d;

    for (p = 0; p < places; p++)
        for (d = 0; d < days; d++) {
            snprintf(number, sizeof(number), "N%d-%d", p, d);
            snprintf(visit, sizeof(visit), "V%d-%d", p, d);
            snprintf(place, sizeof(place), "bed-%d", p);
            apply(census,
                  event_at(ADT_ADMIT, INT64_C(1440) * d + 600, number, visit, place));
            if (d > 0 ||
                p % 10 !=
                    0) /* in every tenth bed the very first one was never discharged */
                apply(census, event_at(ADT_DISCHARGE, INT64_C(1440) * d + 1440 + 300,
                                       number, visit, NULL));
        }
}

static double lookup_ns(const struct census *census, int places, int first_day, int days,
                        size_t *stays_seen)
{
    enum { LOOKUPS = 200000 };
    uint64_t ids[200], state = 1;
    struct census_stay stays[8];
    char place[32];
    clock_t begun;
    int i;

    for (i = 0; i < places; i++) {
        snprintf(place, sizeof(place), "bed-%d", i);
        ids[i] = census_place_id(place);
    }
    begun = clock();
    for (i = 0; i < LOOKUPS; i++) {
        int64_t t;

        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        t = (first_day * INT64_C(1440) +
             (int64_t)(state >> 33) % ((int64_t)days * 1440)) *
            MINUTE;
        *stays_seen += census_at(census, ids[(state >> 20) % (unsigned)places], t,
                                 t + US_PER_S, stays, 8);
    }
    return (double)(clock() - begun) / CLOCKS_PER_SEC * 1e9 / LOOKUPS;
}

static void test_lookup_cost(void **state)
{
    struct census *day = census_new(), *years = census_new();
    struct census_counts counts;
    size_t seen = 0;
    double short_ns, long_ns, last_ns;

    (void)state;
    fill(day, 200, 1);
    fill(years, 200, 5 * 365);
    census_counts(years, &counts);
    short_ns = lookup_ns(day, 200, 0, 1, &seen);
    last_ns = lookup_ns(years, 200, 5 * 365 - 2, 1, &seen);
    long_ns = lookup_ns(years, 200, 0, 5 * 365, &seen);
    print_message("look-up: %.0f ns in a day's census; in five years' (%zu stays, 20 "
                  "beds with one that never ended) %.0f ns in "
                  "the last day, %.0f ns all over it\n",
                  short_ns, counts.stays, last_ns, long_ns);
    assert_true(last_ns < 100 * short_ns + 10000);
    assert_true(seen > 0);
    assert_true(long_ns <
                100 * short_ns +
                    10000); /* a walk through every stay would take 50 times that */
    census_free(day);
    census_free(years);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_visit),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_discharge_before_transfer),
        cmocka_unit_test(test_cancellations),
        cmocka_unit_test(test_away),
        cmocka_unit_test(test_merges),
        cmocka_unit_test(test_whose_visit),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_order_doubt),
        cmocka_unit_test(test_admitted_between),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_never_ended),
        cmocka_unit_test(test_lookup_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
