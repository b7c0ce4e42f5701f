/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/nomenclature.h"
#include "wire/terms.h"

/* LOINC's own check digit (modulus 10, double-add-double). */
static bool loinc_valid(const char *text)
{
    size_t n = strcspn(text, "-");
    int sum = 0;

    for (size_t i = 0; i < n; i++) {
        int d = text[n - 1 - i] - '0';
        if (d < 0 || d > 9)
            return false;
        if (i % 2 == 0)
            d = d * 2 > 9 ? d * 2 - 9 : d * 2;
        sum += d;
    }
    return text[n] == '-' && text[n + 1] == '0' + (10 - sum % 10) % 10 &&
           text[n + 2] == '\0';
}

/* SNOMED CT's: Verhoeff over all digits. */
static bool snomed_valid(const char *text)
{
    static const uint8_t d[10][10] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5},
        {2, 3, 4, 0, 1, 7, 8, 9, 5, 6}, {3, 4, 0, 1, 2, 8, 9, 5, 6, 7},
        {4, 0, 1, 2, 3, 9, 5, 6, 7, 8}, {5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
        {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3},
        {8, 7, 6, 5, 9, 3, 2, 1, 0, 4}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}};
    static const uint8_t p[8][10] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4},
        {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
        {9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
        {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8}};
    size_t n = strlen(text);
    uint8_t c = 0;

    for (size_t i = 0; i < n; i++)
        c = d[c][p[i % 8][text[n - 1 - i] - '0']];
    return c == 0;
}

static void test_terms(void **state)
{
    const struct term *term;
    uint32_t before = 0;
    size_t n, loinc = 0, snomed = 0;

    (void)state;
    for (n = 0; (term = term_at(n)) != NULL; n++) {
        assert_true(term->code > before);
        before = term->code;
        assert_ptr_equal(term_by_code(term->code), term);
        assert_int_equal(strncmp(term->refid, "MDC_", 4), 0);
        assert_true(term->title[0] != '\0');
        /* partitions: 2 metrics, 258 settings */
        assert_true(term->code >> 16 == 2 || term->code >> 16 == 258);
        if (term->loinc != NULL && ++loinc && !loinc_valid(term->loinc))
            fail_msg("%s: LOINC %s has a wrong check digit", term->refid, term->loinc);
        if (term->snomed != NULL && ++snomed && !snomed_valid(term->snomed))
            fail_msg("%s: SNOMED %s has a wrong check digit", term->refid, term->snomed);
    }
    assert_null(term_by_code(0));
    assert_null(term_by_code(1));
    assert_null(term_by_code(UINT32_MAX));
    assert_string_equal(term_by_code(147842)->loinc, "8867-4");
    assert_string_equal(term_by_code(150456)->refid, "MDC_PULS_OXIM_SAT_O2");
    printf("%zu terms, %zu LOINC and %zu SNOMED codes with their check digits\n", n,
           loinc, snomed);
}

static void test_units(void **state)
{
    const struct unit_term *unit;
    uint32_t before = 0;
    size_t n;

    (void)state;
    for (n = 0; (unit = unit_at(n)) != NULL; n++) {
        assert_true(unit->code > before && unit->code >> 16 == 4);
        before = unit->code;
        assert_ptr_equal(unit_by_code(unit->code), unit);
        assert_int_equal(strncmp(unit->refid, "MDC_DIM_", 8), 0);
        assert_true(unit->ucum[0] != '\0');
    }
    assert_null(unit_by_code(0));
    assert_string_equal(unit_by_code(262688)->ucum, "%");
    assert_string_equal(unit_by_code(266016)->ucum, "mm[Hg]");
    assert_string_equal(unit_by_code(268192)->ucum, "Cel");
    printf("%zu units\n", n);
}

/* What a driver or profile can say, an EPR must be told by name. */
static void test_all_that_drivers_say(void **state)
{
    size_t names = 0;

    (void)state;
    for (uint32_t code = 1; code < UINT32_C(16) << 16; code++) {
        const char *name = nomenclature_name(code);
        if (name == NULL)
            continue;
        names++;
        if (nomenclature_is_unit(code) ? unit_by_code(code) == NULL
                                       : term_by_code(code) == NULL)
            fail_msg("%u %s has no term", code, name);
    }
    assert_true(names > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_terms),
                                       cmocka_unit_test(test_all_that_drivers_say),
                                       cmocka_unit_test(test_units)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
