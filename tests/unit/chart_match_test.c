/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "chart/match.h"
#include "chart_census_test.h"

static struct match_result result;

static void apply(struct census *census, struct adt_event event)
{
    assert_int_equal(census_apply(census, &event, 1, 0, NULL, NULL), CENSUS_OK);
}

static struct match_evidence at(const char *place, int64_t minute, int64_t uncertainty_us)
{
    struct match_evidence e = {.place = census_place_id(place),
                               .mapped = true,
                               .time_known = true};

    e.low_us = minute * MINUTE - uncertainty_us;
    e.high_us = minute * MINUTE + uncertainty_us;
    return e;
}

static const char *match(const struct census *census, struct match_evidence evidence)
{
    match_reading(census, &evidence, &result);
    return match_reason_name(result.reason);
}

static struct census *ward(void)
{
    struct census *c = census_new();

    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_TRANSFER, 30, "P1", "V1", "b"));
    apply(c, event_at(ADT_ADMIT, 30, "P2", "V2", "a"));
    apply(c, event_at(ADT_DISCHARGE, 50, "P2", "V2", NULL));
    return c;
}

static void test_by_time(void **state)
{
    struct census *c = ward();

    (void)state;
    assert_string_equal(match(c, at("a", 20, 0)), "chart");
    assert_int_equal(result.stay.stay, census_visit_id("V:V1"));
    assert_int_equal(result.stay.patient, id_of("P1"));
    assert_string_equal(match(c, at("a", 40, US_PER_S)), "chart");
    assert_int_equal(result.stay.patient, id_of("P2"));
    assert_string_equal(match(c, at("b", 9999, US_PER_S)), "chart");
    assert_string_equal(match(c, at("a", 9, 0)), "empty");
    assert_int_equal(result.stay.stay, 0);
    assert_string_equal(match(c, at("a", 50, 0)),
                        "empty"); /* from inclusive, to exclusive */
    assert_string_equal(match(c, at("a", 10, 0)), "chart");
    assert_string_equal(match(c, at("a", 10, 1)), "moving");
    assert_string_equal(match(c, at("a", 30, 0)), "chart");
    assert_int_equal(result.stay.patient, id_of("P2"));
    assert_string_equal(match(c, at("a", 30, 1)),
                        "moving"); /* P1 until then, P2 from then on */
    assert_string_equal(match(c, at("c", 20, 0)), "never-seen");
    assert_string_equal(match(c, at("a", 20, 60 * MINUTE)), "moving");
    census_free(c);
}

static void test_doubt(void **state)
{
    struct census *c = ward();
    struct match_evidence e = at("a", 20, 0);
    struct adt_event event;

    (void)state;
    e.time_known = false;
    assert_string_equal(match(c, e), "time-unknown");
    e = at("", 20, 0);
    assert_string_equal(match(c, e), "no-place");
    e = at("a", 20, 0);
    e.mapped = false;
    assert_string_equal(match(c, e), "not-mapped");
    e = at("a", 20, 0);
    e.newborn = true;
    assert_string_equal(match(c, e), "newborn");
    e = at("a", 20, 0);
    e.other_fetus = true;
    assert_string_equal(match(c, e), "other-fetus");
    e = at("a", 20, 0);
    e.place_doubt = true;
    assert_string_equal(match(c, e), "place-doubt");
    e.named = true;
    e.named_patient = id_of("P1");
    assert_string_equal(match(c, e), "chart");
    e.named_patient = id_of("P2");
    assert_string_equal(match(c, e), "other-patient");
    e.named_patient = 0;
    assert_string_equal(match(c, e), "unknown-band");
    /* Named by a number that was merged into the patient's own. */
    apply(c, merge_at(60, "P7", "P1"));
    e.named_patient = id_of("P7");
    assert_string_equal(match(c, e), "chart");

    apply(c, event_at(ADT_ADMIT, 40, "P3", "V3", "a"));
    assert_string_equal(match(c, at("a", 45, 0)), "two-patients");
    assert_string_equal(match(c, at("a", 35, 0)), "chart");
    apply(c, event_at(ADT_LEAVE, 60, "P1", "V1", NULL));
    assert_string_equal(match(c, at("b", 70, 0)), "away");
    apply(c, from_place(event_at(ADT_TRANSFER, 80, "P3", "V3", "d"), "c"));
    assert_string_equal(match(c, at("a", 60, 0)), "missing-message");
    apply(c, event_at(ADT_UPDATE, 90, "P4", "V3", NULL));
    assert_string_equal(match(c, at("d", 95, 0)), "identity");
    census_free(c);

    c = census_new();
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_ADMIT, 20, "P1", "V2", "b"));
    assert_string_equal(match(c, at("a", 30, 0)), "elsewhere");
    assert_string_equal(match(c, at("b", 30, 0)), "chart");
    event = event_at(ADT_TRANSFER, 40, "P1", "V2", "c");
    apply(c, event);
    event = event_at(ADT_TRANSFER, 40, "P1", "V2", "d");
    event.id++;
    apply(c, event);
    assert_string_equal(match(c, at("d", 50, 0)), "order");
    census_free(c);
}

/* An arrival that may have been at any time within an hour: in that hour nothing is
 * certain, after it all is. */
static void test_uncertain_boundary(void **state)
{
    struct census *c = census_new();
    struct adt_event admit = event_at(ADT_ADMIT, 100, "P2", "V2", "a"),
                     leave = event_at(ADT_DISCHARGE, 100, "P1", "V1", NULL);

    (void)state;
    admit.occurred.high_us += 60 * MINUTE;
    leave.occurred.high_us += 60 * MINUTE;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, leave);
    apply(c, admit);
    assert_string_equal(match(c, at("a", 99, 0)), "chart");
    assert_int_equal(result.stay.patient, id_of("P1"));
    assert_string_equal(match(c, at("a", 100, 0)), "moving");
    assert_string_equal(match(c, at("a", 159, 0)), "moving");
    assert_string_equal(match(c, at("a", 160, 0)), "chart");
    assert_int_equal(result.stay.patient, id_of("P2"));
    census_free(c);

    /* Nobody before or after: the doubt is about coming and going alone. */
    c = census_new();
    apply(c, admit);
    assert_string_equal(match(c, at("a", 130, 0)), "moving");
    assert_string_equal(match(c, at("a", 160, 0)), "chart");
    leave = event_at(ADT_DISCHARGE, 200, "P2", "V2", NULL);
    leave.occurred.high_us += 60 * MINUTE;
    apply(c, leave);
    assert_string_equal(match(c, at("a", 199, 0)), "chart");
    assert_string_equal(match(c, at("a", 230, 0)), "moving");
    assert_string_equal(match(c, at("a", 260, 0)), "empty");
    census_free(c);
}

/* Two visits of one person in one bed are no two patients. */
static void test_same_person_twice(void **state)
{
    struct census *c = census_new();

    (void)state;
    apply(c, event_at(ADT_ADMIT, 10, "P1", "V1", "a"));
    apply(c, event_at(ADT_ADMIT, 20, "P1", "V2", "a"));
    assert_string_equal(match(c, at("a", 30, 0)), "chart");
    assert_int_equal(result.stay.stay, census_visit_id("V:V2"));
    assert_string_equal(match(c, at("a", 15, 0)), "chart");
    assert_int_equal(result.stay.stay, census_visit_id("V:V1"));
    apply(c, event_at(ADT_LEAVE, 40, "P1", "V2", NULL));
    assert_string_equal(match(c, at("a", 50, 0)),
                        "chart"); /* by V1 he is there; it is his reading in any case */
    census_free(c);
}

static void test_many_in_one_bed(void **state)
{
    struct census *c = census_new();
    char number[8], visit[8];
    int i;

    (void)state;
    for (i = 0; i < 20; i++) {
        snprintf(number, sizeof(number), "P%d", i);
        snprintf(visit, sizeof(visit), "V%d", i);
        apply(c, event_at(ADT_ADMIT, 10 + i, number, visit, "corridor"));
    }
    assert_string_equal(match(c, at("corridor", 60, 0)), "two-patients");
    assert_string_equal(match(c, at("corridor", 10, 0)), "chart");
    census_free(c);
}

static void test_words(void **state)
{
    int i, j;

    (void)state;
    for (i = 0; i < MATCH_REASONS; i++) {
        const char *text = match_reason_text((enum match_reason)i);

        assert_true(strlen(text) >= 8);
        assert_int_equal(text[strlen(text) - 1], '.');
        for (j = 0; j < i; j++) {
            assert_string_not_equal(text, match_reason_text((enum match_reason)j));
            assert_string_not_equal(match_reason_name((enum match_reason)i),
                                    match_reason_name((enum match_reason)j));
        }
    }
    assert_string_equal(match_reason_text((enum match_reason)99),
                        "Held for an unknown reason.");
    assert_string_equal(match_reason_name((enum match_reason) - 1), "unknown");
    print_message("%d reasons\n", MATCH_REASONS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_time),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_uncertain_boundary),
        cmocka_unit_test(test_same_person_twice),
        cmocka_unit_test(test_many_in_one_bed),
        cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
