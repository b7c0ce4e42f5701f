/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "chart/fhir_client.h"

#define OUTCOME  "{\"resourceType\":\"OperationOutcome\",\"issue\":[]}"
#define ENTRY(s) "{\"response\":{\"status\":\"" s "\"}}"
#define RESPONSE(entries)                                                                \
    "{\"resourceType\":\"Bundle\",\"type\":\"transaction-response\",\"entry\":[" entries \
    "]}"

static const struct {
    long status;
    const char *body;
    enum fhir_answer answer;
} cases[] = {
    {200, RESPONSE(ENTRY("201 Created") "," ENTRY("200")), FHIR_TAKEN},
    {201, RESPONSE(ENTRY("200 OK") "," ENTRY("204")), FHIR_TAKEN},
    /* 200, and no yes */
    {200, "", FHIR_UNANSWERED},
    {204, "", FHIR_UNANSWERED},
    {200, "<html>Please log in</html>", FHIR_UNANSWERED},
    {200, "[]", FHIR_UNANSWERED},
    {200, "null", FHIR_UNANSWERED},
    {200, OUTCOME, FHIR_UNANSWERED},
    {200, RESPONSE(""), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201")), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201") "," ENTRY("201") "," ENTRY("201")), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201") "," ENTRY("")), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201") "," ENTRY("2010")), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201") "," ENTRY("20x")), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201") ",{}"), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201") ",7"), FHIR_UNANSWERED},
    {200,
     "{\"resourceType\":\"Bundle\",\"type\":\"searchset\",\"entry\":[" ENTRY(
         "200") "," ENTRY("200") "]}",
     FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("201") "," ENTRY("201")) "x", FHIR_UNANSWERED},
    /* part of it was taken: what was not is no refusal to believe */
    {200, RESPONSE(ENTRY("201") "," ENTRY("422")), FHIR_UNANSWERED},
    {200, RESPONSE(ENTRY("422") "," ENTRY("400")), FHIR_REFUSED},
    {200, RESPONSE(ENTRY("422") "," ENTRY("500")), FHIR_FAILED},
    /* this Bundle's fault */
    {400, "", FHIR_REFUSED},
    {410, "", FHIR_REFUSED},
    {413, "", FHIR_REFUSED},
    {422, OUTCOME, FHIR_REFUSED},
    {409, OUTCOME, FHIR_FAILED},
    {412, OUTCOME, FHIR_FAILED},
    {500, OUTCOME, FHIR_FAILED},
    {501, "", FHIR_FAILED},
    /* the server's */
    {401, OUTCOME, FHIR_LOST},
    {403, "", FHIR_LOST},
    {404, "<html>", FHIR_LOST},
    {405, "", FHIR_LOST},
    {407, "", FHIR_LOST},
    {408, OUTCOME, FHIR_LOST},
    {429, OUTCOME, FHIR_LOST},
    {502, "", FHIR_LOST},
    {503, OUTCOME, FHIR_LOST},
    {504, "", FHIR_LOST},
    {302, "", FHIR_LOST},
    {100, "", FHIR_LOST},
    {0, "", FHIR_LOST},
    {600, "", FHIR_LOST},
    /* either's: FHIR's own words decide */
    {403, OUTCOME, FHIR_REFUSED},
    {404, OUTCOME, FHIR_REFUSED},
};

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum fhir_answer answer =
            fhir_answer(cases[i].status, cases[i].body, strlen(cases[i].body), 2);
        if (answer != cases[i].answer)
            fail_msg("%ld %s: %d", cases[i].status, cases[i].body, (int)answer);
    }
    printf("answers: %zu\n", sizeof cases / sizeof *cases);
}

/* Of a whole yes no beginning is one. */
static void test_cut_short(void **state)
{
    (void)state;
    static const char yes[] = RESPONSE(ENTRY("201") "," ENTRY("200"));
    for (size_t n = 0; n < sizeof yes - 1; n++)
        assert_int_equal(fhir_answer(200, yes, n, 2), FHIR_UNANSWERED);
    assert_int_equal(fhir_answer(200, yes, sizeof yes - 1, 2), FHIR_TAKEN);
    assert_int_equal(fhir_answer(200, RESPONSE(""), sizeof RESPONSE("") - 1, 0),
                     FHIR_UNANSWERED);
}

/* A text that looks like an entry is none: its quotes are escaped. */
static void test_entries(void **state)
{
    (void)state;
    static const char text[] =
        "{\"entry\":[{\"request\":{}},{\"a\":\"\\\"request\\\":{\",\"request\":{}}]}";
    assert_int_equal(fhir_entries(text, sizeof text - 1), 2);
    assert_int_equal(fhir_entries(text, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
