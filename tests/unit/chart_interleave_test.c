/* SPDX-License-Identifier: Apache-2.0
 *
 * Every history that four messages (long: five) can tell of two beds and three patients,
 * in every order in which they can arrive, with a reading of each bed between any two
 * events. Exhaustive where chart_census_order_test is random and long.
 *
 *  1. At rest each reading is charted on the one who was there, or held; and charted
 * whenever somebody was there alone.
 *  2. The order of arrival makes no difference.
 *  3. What a message changes lies in the windows that it names: that is what corrects a
 * chart. One that is missing leaves a reading on the wrong patient for ever.
 *
 * Patients, and beds, are alike: of histories that differ in names only one is played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "chart/match.h"
#include "chart_census_test.h"

#define BEDS     2
#define PATIENTS 3
#define MESSAGES 5              /* at most */
#define SLOTS    (MESSAGES + 1) /* between events, before the first, after the last */
#define NOWHERE  (-1)

static const char *const beds[BEDS] = {"bed-a", "bed-b"};

struct visit {
    int patient, cells[SLOTS]; /* bed in each slot */
    int moved, before;    /* slot of the last move, -1 = none to take back; from where */
    int discharged, left; /* slot of the discharge, -1 = none; from where */
    bool open;
};

struct history {
    size_t count, visits;
    struct visit visit[MESSAGES];
    struct message {
        struct adt_event events[2];
        size_t count;
    } messages[MESSAGES];
};

/* Messages of a history: 4, at the long size 5. */
static size_t messages_told = 4;

struct verdict {
    enum match_reason reason;
    uint64_t patient;
};

static struct tally {
    uint64_t histories, arrivals, verdicts, charted, held, wrong_early;
} tally;

/* --- Histories --- */

static int now_slot(const struct history *h)
{
    return (int)h->count + 1; /* the slot that the next event begins */
}

static void set_from(struct visit *v, int slot, int bed)
{
    for (; slot < SLOTS; slot++)
        v->cells[slot] = bed;
}

static struct adt_event make(const struct history *h, enum adt_kind kind, size_t v,
                             int bed)
{
    char number[16], visit[16];

    snprintf(number, sizeof(number), "P%d", h->visit[v].patient);
    snprintf(visit, sizeof(visit), "V%zu", v);
    return event_at(kind, INT64_C(10) * now_slot(h), number, visit,
                    bed == NOWHERE ? NULL : beds[bed]);
}

static void say(struct history *h, struct adt_event one, const struct adt_event *two)
{
    struct message *m = &h->messages[h->count++];

    m->events[0] = one;
    m->count = 1;
    if (two != NULL)
        m->events[m->count++] = *two;
}

static void examine(const struct history *h);
static void grow(const struct history *h);

static void admit(struct history h, int patient, int bed)
{
    struct visit *v = &h.visit[h.visits];

    *v = (struct visit){.patient = patient, .moved = -1, .discharged = -1, .open = true};
    set_from(v, 0, NOWHERE);
    set_from(v, now_slot(&h), bed);
    say(&h, make(&h, ADT_ADMIT, h.visits++, bed), NULL);
    grow(&h);
}

static void transfer(struct history h, size_t v, int bed, bool says_from)
{
    struct visit *visit = &h.visit[v];
    int slot = now_slot(&h);
    struct adt_event event = make(&h, ADT_TRANSFER, v, bed);

    visit->before = visit->cells[slot];
    visit->moved = slot;
    if (says_from)
        event = from_place(event, visit->before == NOWHERE ? "" : beds[visit->before]);
    set_from(visit, slot, bed);
    say(&h, event, NULL);
    grow(&h);
}

static void cancel_transfer(struct history h, size_t v)
{
    struct visit *visit = &h.visit[v];

    set_from(visit, visit->moved, visit->before);
    say(&h, make(&h, ADT_CANCEL_TRANSFER, v, visit->before), NULL);
    visit->moved = -1;
    grow(&h);
}

static void discharge(struct history h, size_t v)
{
    struct visit *visit = &h.visit[v];

    visit->discharged = now_slot(&h);
    visit->left = visit->cells[visit->discharged];
    visit->open = false;
    say(&h,
        from_place(make(&h, ADT_DISCHARGE, v, NOWHERE),
                   visit->left == NOWHERE ? "" : beds[visit->left]),
        NULL);
    set_from(visit, visit->discharged, NOWHERE);
    grow(&h);
}

static void cancel_discharge(struct history h, size_t v)
{
    struct visit *visit = &h.visit[v];

    set_from(visit, visit->discharged, visit->left);
    say(&h, make(&h, ADT_CANCEL_DISCHARGE, v, visit->left), NULL);
    visit->open = true;
    visit->discharged = visit->moved = -1;
    grow(&h);
}

static void cancel_admit(struct history h, size_t v)
{
    set_from(&h.visit[v], 0, NOWHERE);
    h.visit[v].open = false;
    say(&h, make(&h, ADT_CANCEL_ADMIT, v, NOWHERE), NULL);
    grow(&h);
}

static void swap(struct history h, size_t a, size_t b)
{
    int slot = now_slot(&h), bed_a = h.visit[a].cells[slot],
        bed_b = h.visit[b].cells[slot];
    struct adt_event two = make(&h, ADT_SWAP, b, bed_a);

    say(&h, make(&h, ADT_SWAP, a, bed_b), &two);
    h.visit[a].before = bed_a, h.visit[b].before = bed_b;
    h.visit[a].moved = h.visit[b].moved = slot;
    set_from(&h.visit[a], slot, bed_b);
    set_from(&h.visit[b], slot, bed_a);
    grow(&h);
}

/* What can happen to a patient who is in. */
static void grow_open(const struct history *h, size_t v)
{
    const struct visit *visit = &h->visit[v];
    int slot = now_slot(h);

    for (int bed = 0; bed < BEDS; bed++)
        if (bed != visit->cells[slot]) {
            transfer(*h, v, bed, true);
            transfer(*h, v, bed, false);
        }
    discharge(*h, v);
    cancel_admit(*h, v);
    if (visit->moved >= 0)
        cancel_transfer(*h, v);
    for (size_t other = v + 1; other < h->visits; other++)
        if (h->visit[other].open && h->visit[other].cells[slot] != visit->cells[slot])
            swap(*h, v, other);
}

/* Everything that can come next. Beds may hold two. */
static void grow(const struct history *h)
{
    bool in[PATIENTS] = {false};
    int known = 0; /* patients seen so far: the next new one is always the same */
    size_t last[PATIENTS] = {0};

    if (h->count == messages_told) {
        examine(h);
        return;
    }
    for (size_t v = 0; v < h->visits; v++) {
        int patient = h->visit[v].patient;
        known = patient >= known ? patient + 1 : known;
        last[patient] = v;
        in[patient] = in[patient] || h->visit[v].open;
        if (h->visit[v].open)
            grow_open(h, v);
    }
    for (int patient = 0; patient < PATIENTS && patient <= known; patient++) {
        if (in[patient])
            continue;
        for (int bed = 0; bed < (h->visits == 0 ? 1 : BEDS); bed++)
            admit(*h, patient, bed);
        if (patient < known && h->visit[last[patient]].discharged >= 0)
            cancel_discharge(*h, last[patient]);
    }
}

/* --- Verdicts --- */

static int64_t reading_us(int slot)
{
    return (INT64_C(10) * slot + 5) * MINUTE;
}

static struct verdict judge(const struct census *census, int bed, int slot)
{
    const struct match_evidence evidence = {.place = census_place_id(beds[bed]),
                                            .mapped = true,
                                            .time_known = true,
                                            .low_us = reading_us(slot) - US_PER_S,
                                            .high_us = reading_us(slot) + US_PER_S};
    struct match_result result;

    match_reading(census, &evidence, &result);
    return (struct verdict){result.reason,
                            result.reason == MATCH_CHART ? result.stay.patient : 0};
}

/* Who was there: a patient's number, -1 nobody, -2 several. */
static int occupant(const struct history *h, int bed, int slot)
{
    int found = -1;

    for (size_t v = 0; v < h->visits; v++)
        if (h->visit[v].cells[slot] == bed)
            found = found == -1 ? h->visit[v].patient : -2;
    return found;
}

static bool right(const struct history *h, int bed, int slot, struct verdict verdict)
{
    char number[16];
    int who = occupant(h, bed, slot);

    snprintf(number, sizeof(number), "P%d", who);
    return verdict.reason != MATCH_CHART ||
           (who >= 0 && verdict.patient == id_of(number));
}

static bool named(const struct census_window *windows, size_t n, int bed, int slot)
{
    for (size_t i = 0; i < n; i++)
        if (windows[i].place == census_place_id(beds[bed]) &&
            windows[i].from_us <= reading_us(slot) + US_PER_S &&
            windows[i].to_us > reading_us(slot) - US_PER_S)
            return true;
    return false;
}

/* In words for the one who has to find out. */
static void tell(const struct history *h, const size_t *order, int bed, int slot,
                 struct verdict verdict, const char *what)
{
    for (size_t i = 0; i < messages_told; i++) {
        const struct message *m = &h->messages[order[i]];
        print_error("arrives %zu: event %zu, kind %d, %s, %s, to '%s'%s%s\n", i, order[i],
                    (int)m->events[0].kind, m->events[0].patient.number,
                    m->events[0].visit, m->events[0].place,
                    m->events[0].has_from ? " from " : "", m->events[0].from_place);
    }
    fail_msg("%s after event %d: %s (%s), there was %d", beds[bed], slot, what,
             match_reason_name(verdict.reason), occupant(h, bed, slot));
}

/* One order of arrival, a message at a time. */
static void arrive(const struct history *h, const size_t *order,
                   struct verdict at_rest[BEDS][SLOTS])
{
    struct census *census = census_new();
    struct verdict before[BEDS][SLOTS];

    assert_non_null(census);
    memset(before, 0, sizeof(before));
    for (int bed = 0; bed < BEDS; bed++)
        for (int slot = 0; slot < SLOTS; slot++)
            before[bed][slot] = judge(census, bed, slot);
    for (size_t i = 0; i < messages_told; i++) {
        const struct message *m = &h->messages[order[i]];
        const struct census_window *windows;
        size_t n;

        assert_int_equal(census_apply(census, m->events, m->count, (int64_t)(i + 1),
                                      &windows, &n),
                         CENSUS_OK);
        for (int bed = 0; bed < BEDS; bed++)
            for (int slot = 0; slot < SLOTS; slot++) {
                struct verdict now = judge(census, bed, slot), *old = &before[bed][slot];
                bool changed =
                    now.patient != old->patient ||
                    (now.reason == MATCH_CHART) != (old->reason == MATCH_CHART);

                if (changed && !named(windows, n, bed, slot))
                    tell(h, order, bed, slot, now, "changed outside the windows");
                if (!right(h, bed, slot, now)) {
                    if (i + 1 == messages_told)
                        tell(h, order, bed, slot, now, "charted wrongly at rest");
                    tally.wrong_early++;
                }
                *old = now;
                tally.verdicts++;
            }
    }
    memcpy(at_rest, before, sizeof(before));
    census_free(census);
    tally.arrivals++;
}

/* The next order of the four, by Heap's rule unrolled into a count: false after the last.
 */
static bool next_order(size_t *order, unsigned *number)
{
    size_t left[MESSAGES];
    unsigned rest = ++*number;

    for (size_t i = 0; i < messages_told; i++)
        left[i] = i;
    for (size_t i = 0, n = messages_told; i < messages_told; i++, n--) {
        size_t pick = rest % n;
        rest /= (unsigned)n;
        order[i] = left[pick];
        for (size_t k = pick; k + 1 < n; k++)
            left[k] = left[k + 1];
    }
    return rest == 0;
}

static void examine(const struct history *h)
{
    size_t order[MESSAGES] = {0, 1, 2, 3, 4};
    struct verdict straight[BEDS][SLOTS], other[BEDS][SLOTS];
    unsigned number = 0;

    arrive(h, order, straight);
    for (int bed = 0; bed < BEDS; bed++)
        for (int slot = 0; slot < SLOTS; slot++) {
            bool charted = straight[bed][slot].reason == MATCH_CHART;
            tally.charted += charted;
            tally.held += !charted;
            if (!charted && occupant(h, bed, slot) >= 0)
                tell(h, order, bed, slot, straight[bed][slot], "held without need");
        }
    while (next_order(order, &number)) {
        arrive(h, order, other);
        for (int bed = 0; bed < BEDS; bed++)
            for (int slot = 0; slot < SLOTS; slot++)
                if (other[bed][slot].patient != straight[bed][slot].patient ||
                    other[bed][slot].reason != straight[bed][slot].reason)
                    tell(h, order, bed, slot, other[bed][slot], "depends on the order");
    }
    tally.histories++;
}

static void test_all(void **state)
{
    static const struct history nothing;

    const char *size = getenv("WARDGATE_SIZE");
    uint64_t orders = 24;

    (void)state;
    if (size != NULL && strcmp(size, "long") == 0) {
        messages_told = 5;
        orders = 120;
    }
    grow(&nothing);
    print_message("%llu histories in %llu orders, %llu verdicts: at rest %llu charted "
                  "right, %llu held, 0 wrong; %llu wrong before all had arrived\n",
                  (unsigned long long)tally.histories, (unsigned long long)tally.arrivals,
                  (unsigned long long)tally.verdicts, (unsigned long long)tally.charted,
                  (unsigned long long)tally.held, (unsigned long long)tally.wrong_early);
    assert_true(tally.histories > 300 && tally.charted > 0 && tally.wrong_early > 0);
    assert_int_equal(tally.arrivals, tally.histories * orders);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
