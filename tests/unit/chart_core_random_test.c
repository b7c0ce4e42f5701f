/* SPDX-License-Identifier: Apache-2.0
 *
 * Random wards against the truth. Patients come, move and go; the PAS tells late, twice
 * and out of order; readings come late and twice; the EPR refuses, stays silent, hangs
 * up; the service is killed. At rest, after everything has been told: every reading
 * stands in the chart of who was in the bed, once, and nowhere else.
 *
 * WARDGATE_SEEDS=first-last plays other seeds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chart_core_parts.h"

#define BEDS         3
#define PATIENTS     6
#define STEPS        40
#define READINGS_MAX 2048
#define DUE_MINUTES  70

static struct ward w;
static uint64_t seed;

static uint64_t draw(uint64_t n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed % n;
}

struct event { /* of the truth, and how the PAS tells it */
    const char *kind;
    int patient, bed, before, visit;
    int64_t at_us, told_us;
    bool twice;
};

struct truth {
    struct event events[STEPS];
    size_t count;
    int64_t end_us;
    struct reading {
        int bed, patient; /* -1 = nobody there */
        int64_t at_us, told_us;
    } readings[READINGS_MAX];
    size_t readings_count;
} truth;

/* What the EPR holds of one reading. */
struct standing {
    unsigned results; /* standing now */
    int patient;      /* of the last one */
    unsigned generations;
    bool wrong_once; /* it stood in another's chart for a while */
};

static struct standing chart_of[READINGS_MAX + 1];
static size_t handled, wrong_for_a_while, repeats;

/* --- The truth --- */

static void live(void)
{
    int where[PATIENTS], who[BEDS], visits[PATIENTS] = {0};
    int64_t at_us = T0;
    memset(&truth, 0, sizeof truth);
    memset(where, -1, sizeof where);
    memset(who, -1, sizeof who);
    while (truth.count < STEPS) {
        int patient = (int)draw(PATIENTS), bed = (int)draw(BEDS);
        struct event e = {.patient = patient,
                          .bed = bed,
                          .before = where[patient],
                          .twice = draw(4) == 0};
        at_us += (int64_t)(60 + draw(180)) * SECOND_US;
        if (where[patient] < 0 && who[bed] < 0) {
            e.kind = "A01", visits[patient]++;
            where[patient] = bed, who[bed] = patient;
        } else if (where[patient] >= 0 && who[bed] < 0) {
            e.kind = "A02";
            who[where[patient]] = -1, where[patient] = bed, who[bed] = patient;
        } else if (where[patient] >= 0 && draw(3) == 0) {
            e.kind = "A03", e.bed = where[patient];
            who[where[patient]] = -1, where[patient] = -1;
        } else {
            continue;
        }
        e.visit = visits[patient];
        e.at_us = at_us;
        e.told_us = at_us + (int64_t)draw(draw(3) == 0 ? 1800 : 5) * SECOND_US;
        truth.events[truth.count++] = e;
    }
    truth.end_us = at_us + 300 * SECOND_US;
}

static int occupant(int bed, int64_t at_us)
{
    int patient = -1;
    for (size_t i = 0; i < truth.count && truth.events[i].at_us <= at_us; i++) {
        const struct event *e = &truth.events[i];
        if (e->bed == bed)
            patient = strcmp(e->kind, "A03") == 0 ? -1 : e->patient;
        else if (e->before == bed && strcmp(e->kind, "A02") == 0)
            patient = -1;
    }
    return patient;
}

/* Not within two seconds of a change: there, holding would be right too. */
static bool is_clear(int64_t at_us)
{
    for (size_t i = 0; i < truth.count; i++)
        if (llabs(truth.events[i].at_us - at_us) < 2 * SECOND_US)
            return false;
    return true;
}

static void measure(int64_t every_us)
{
    for (int64_t at_us = T0; at_us < truth.end_us; at_us += every_us)
        for (int bed = 0; bed < BEDS && truth.readings_count < READINGS_MAX; bed++) {
            if (!is_clear(at_us))
                continue;
            truth.readings[truth.readings_count++] = (struct reading){
                .bed = bed,
                .patient = occupant(bed, at_us),
                .at_us = at_us,
                .told_us = at_us + (int64_t)draw(draw(4) == 0 ? 900 : 3) * SECOND_US};
        }
}

/* --- The EPR --- */

static void take_in(const struct sent_message *m, size_t index)
{
    unsigned seq, generation;
    const char *filler = ward_field(&w, index, "OBR", 0, 3);
    char *at = strchr(filler, '.') + 34;
    seq = (unsigned)strtoul(at, &at, 10);
    assert_int_equal(*at, '.');
    generation = (unsigned)strtoul(at + 1, NULL, 10);
    assert_true(seq >= 1 && seq <= truth.readings_count);
    struct standing *s = &chart_of[seq];
    char status = ward_field(&w, index, "OBX", 3, 11)[0];
    int patient = (int)strtol(ward_field(&w, index, "PID", 0, 3), NULL, 10) - 100;
    for (size_t i = 0; i < index; i++) /* it dedupes, as an EPR should */
        if (strcmp(w.sent[i].control, m->control) == 0) {
            assert_string_equal(w.sent[i].bytes, m->bytes);
            repeats++;
            if (w.sent[i].taken)
                return;
        }
    w.sent[index].taken = true;
    if (status == 'W') {
        assert_int_equal(s->results, 1);
        assert_int_equal(s->patient, patient);
        assert_int_equal(s->generations, generation);
        s->results = 0;
        return;
    }
    assert_int_equal(s->results, 0);
    s->results = 1;
    s->patient = patient;
    s->generations = generation;
    if (patient != truth.readings[seq - 1].patient && !s->wrong_once) {
        s->wrong_once = true;
        wrong_for_a_while++;
    }
}

static void answer_one(size_t i, bool kind)
{
    struct sent_message *m = &w.sent[i];
    uint64_t luck = kind ? 100 : draw(100);
    m->answered = true;
    if (luck < 5) {
        chart_answer(w.chart, 0, m->control, "AE", w.now_us);
    } else if (luck < 15) { /* it may have arrived or not; no answer either way */
        if (luck < 10)
            take_in(m, i);
        chart_no_answer(w.chart, 0, m->control, luck % 2 == 0, w.now_us);
        if (luck % 2 == 0) {
            chart_link(w.chart, 0, false);
            chart_link(w.chart, 0, true);
        }
    } else {
        take_in(m, i);
        chart_answer(w.chart, 0, m->control, luck % 2 ? "AA" : "CA", w.now_us);
    }
}

static void come_to_rest(bool kind)
{
    for (int i = 0; i < 100000; i++) {
        int64_t next = chart_run(w.chart, w.now_us);
        bool any = false;
        for (; handled < w.sent_count; handled++, any = true)
            if (!w.sent[handled].answered)
                answer_one(handled, kind);
        if (!any && next > w.now_us)
            return;
    }
    fail_msg("the core never came to rest");
}

/* --- Telling --- */

static void tell_event(size_t i)
{
    static const char *const beds[] = {"1", "2", "3"};
    const struct event *e = &truth.events[i];
    char mrn[16], visit[16];
    int64_t now_us = w.now_us;
    snprintf(mrn, sizeof mrn, "%d", 100 + e->patient);
    snprintf(visit, sizeof visit, "V%d-%d", e->patient, e->visit);
    w.adt_serial = (unsigned)i; /* the same message every time it is told */
    w.now_us = e->at_us;
    w.adt_known_us = now_us;
    ward_adt(&w, e->kind, mrn, visit, beds[e->bed], e->before >= 0 ? beds[e->before] : "",
             e->at_us);
    w.now_us = now_us;
}

static void tell_reading(size_t i)
{
    static const char *const beds[] = {"bed-1", "bed-2", "bed-3"};
    ward_reading(&w, i + 1, beds[truth.readings[i].bed], truth.readings[i].at_us,
                 60 + (int64_t)(i % 50));
}

static void play(uint32_t interval_s)
{
    memset(&w, 0, sizeof w);
    memset(chart_of, 0, sizeof chart_of);
    handled = 0;
    ward_open(&w, interval_s, 1);
    w.destinations[0].retries = 100000;
    ward_restart(&w);
    w.answer = NULL;
    int64_t last_us = truth.end_us + 2000 * SECOND_US, step_us = 15 * SECOND_US;
    for (w.now_us = T0; w.now_us < last_us; w.now_us += step_us) {
        for (size_t i = 0; i < truth.count; i++)
            if (truth.events[i].told_us >= w.now_us - step_us &&
                truth.events[i].told_us < w.now_us) {
                tell_event(i);
                if (truth.events[i].twice)
                    tell_event(i);
            }
        for (size_t i = 0; i < truth.readings_count; i++)
            if (truth.readings[i].told_us >= w.now_us - step_us &&
                truth.readings[i].told_us < w.now_us)
                tell_reading(i);
        if (draw(20) == 0) /* killed with a batch open */
            ward_restart(&w), handled = w.sent_count;
        come_to_rest(false);
        if (draw(40) == 0)
            ward_restart(&w), handled = w.sent_count;
    }
    /* Everything is told once more: what a kill lost, and what it did not. */
    for (size_t i = 0; i < truth.count; i++)
        tell_event(i);
    for (size_t i = 0; i < truth.readings_count; i++)
        tell_reading(i);
    for (int i = 0; i < 40; i++, w.now_us += 10 * SECOND_US)
        come_to_rest(true);
}

/* --- Judging the judge --- */

static void check_each(uint32_t interval_s)
{
    for (size_t i = 0; i < truth.readings_count; i++) {
        const struct reading *r = &truth.readings[i];
        const struct standing *s = &chart_of[i + 1];
        enum ledger_state state = ward_entry(&w, i + 1).state;
        if (r->patient < 0) {
            if (state != LEDGER_HELD || s->results != 0)
                fail_msg("reading %zu of an empty bed: state %d, %u results", i + 1,
                         state, s->results);
        } else if (state == LEDGER_CHARTED) {
            if (s->results != 1 || s->patient != r->patient)
                fail_msg("reading %zu of patient %d: %u results, of patient %d", i + 1,
                         r->patient, s->results, s->patient);
        } else if (state != LEDGER_KEPT || s->results != 0 || interval_s == 0) {
            fail_msg("reading %zu of patient %d: state %d reason %d, %u results", i + 1,
                     r->patient, state, ward_entry(&w, i + 1).reason, s->results);
        }
    }
}

/* With an interval: each minute of a patient in a bed that has a reading has one in the
 * chart. Returns how many have more. */
static size_t check_minutes(void)
{
    size_t more = 0;
    for (size_t i = 0; i < truth.readings_count; i++) {
        size_t charted = 0, first = i;
        for (size_t j = 0; j < truth.readings_count; j++) {
            const struct reading *a = &truth.readings[i], *b = &truth.readings[j];
            if (a->bed != b->bed || a->patient != b->patient ||
                a->at_us / MINUTE_US != b->at_us / MINUTE_US)
                continue;
            first = j < first ? j : first;
            charted += chart_of[j + 1].results;
        }
        if (first != i || truth.readings[i].patient < 0)
            continue;
        if (charted == 0)
            fail_msg("nothing charted of the minute of reading %zu", i + 1);
        more += charted > 1;
    }
    return more;
}

static void test_random(void **state)
{
    (void)state;
    const char *range = getenv("WARDGATE_SEEDS");
    unsigned first = 1, last = 6;
    size_t readings = 0, sent = 0, more = 0;
    if (range) {
        char *dash;
        first = (unsigned)strtoul(range, &dash, 10);
        assert_int_equal(*dash, '-');
        last = (unsigned)strtoul(dash + 1, NULL, 10);
    }
    for (unsigned i = first; i <= last; i++) {
        uint32_t interval_s = i % 2 ? 0 : 60;
        seed = i * UINT64_C(0x9e3779b97f4a7c15) + 1;
        printf("seed %u\n", i);
        live();
        measure(interval_s ? 10 * SECOND_US : 30 * SECOND_US);
        play(interval_s);
        struct ledger_books b = ward_books(&w);
        assert_int_equal(b.readings, truth.readings_count);
        ward_expect(&w, b.states[LEDGER_CHARTED], b.states[LEDGER_KEPT],
                    b.states[LEDGER_HELD], 0, 0);
        check_each(interval_s);
        more += interval_s ? check_minutes() : 0;
        readings += truth.readings_count;
        sent += w.sent_count;
        ward_close(&w);
    }
    printf("%u wards, %zu readings, %zu messages, %zu repeated, %zu wrong for a while, "
           "%zu minutes charted more than once\n",
           last - first + 1, readings, sent, repeats, wrong_for_a_while, more);
    assert_true(wrong_for_a_while > 0 || last - first < 3); /* else nothing was tested */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests_name("chart_core_random", tests, NULL, NULL);
}
