/* SPDX-License-Identifier: Apache-2.0
 *
 * The census against a slow model, and against itself: whatever order messages come in,
 * however often, the same messages make the same census; and what a message changed lies
 * within the windows that it named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "chart/match.h"
#include "chart_census_test.h"

#define BEDS     4
#define PATIENTS 6
#define VISITS   64
#define MINUTES  400
#define MESSAGES 120
#define NOWHERE  (-1)

static const char *const beds[BEDS] = {"bed-a", "bed-b", "bed-c", "bed-d"};

static uint64_t random_state;

static unsigned below(unsigned n) /* splitmix64 */
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ z >> 31) % n);
}

/* --- The truth: a grid of minutes, written to by whoever moves a patient --- */

struct cell {
    short bed;
    bool away;
};

struct truth_visit {
    int patient;
    bool open, cancelled;
    struct cell cells[MINUTES];
    int moved, moved_before; /* minute of the last move and what it may be taken back to;
                                -1 = nothing to take back */
    struct cell before;
    int discharged; /* minute; -1 = not */
    struct cell at_discharge;
};

struct message {
    struct adt_event events[2];
    size_t count;
};

struct ward {
    int now, visits;
    struct truth_visit visit[VISITS];
    int person[PATIENTS]; /* who a patient is after merges */
    bool dead[PATIENTS];  /* merged away: no new messages */
    struct message messages[MESSAGES];
    size_t count;
};

static void set_from(struct truth_visit *v, int minute, struct cell cell)
{
    for (; minute < MINUTES; minute++)
        v->cells[minute] = cell;
}

static const char *bed_name(int bed)
{
    return bed == NOWHERE ? NULL : beds[bed];
}

static struct adt_event make(const struct ward *w, enum adt_kind kind, int v, int bed)
{
    char number[16], visit[16];
    struct adt_event event;

    snprintf(number, sizeof(number), "P%d", w->visit[v].patient);
    snprintf(visit, sizeof(visit), "V%d", v);
    event = event_at(kind, w->now, number, visit, bed_name(bed));
    event.id = (uint64_t)w->count * 2 + 2;
    snprintf(event.family, sizeof(event.family), "Name%d", w->now);
    return event;
}

static void say(struct ward *w, struct adt_event one, const struct adt_event *two)
{
    struct message *m = &w->messages[w->count++];

    m->events[0] = one;
    m->count = 1;
    if (two != NULL) {
        m->events[1] = *two;
        m->events[1].id++;
        m->count = 2;
    }
}

static int open_visit_of(const struct ward *w, int patient)
{
    int v;

    for (v = 0; v < w->visits; v++)
        if (w->visit[v].patient == patient && w->visit[v].open)
            return v;
    return -1;
}

static int any_bed(void)
{
    return below(10) == 0 ? NOWHERE : (int)below(BEDS);
}

static void admit(struct ward *w, int patient)
{
    struct truth_visit *v = &w->visit[w->visits];
    int bed = any_bed();

    memset(v, 0, sizeof(*v));
    v->patient = patient;
    v->open = true;
    v->moved = v->discharged = -1;
    set_from(v, 0, (struct cell){NOWHERE, false});
    set_from(v, w->now, (struct cell){(short)bed, false});
    say(w, make(w, ADT_ADMIT, w->visits, bed), NULL);
    w->visits++;
}

/* Back-dated by some minutes, but never to before the last move: the grid could not say
 * what that means. */
static void transfer(struct ward *w, int v)
{
    struct truth_visit *visit = &w->visit[v];
    int bed = any_bed(), at = w->now, last = visit->moved > 0 ? visit->moved : 0;
    struct adt_event event;

    if (below(4) == 0 && at - 3 > last &&
        visit->cells[at - 3].bed == visit->cells[at - 1].bed &&
        visit->cells[at - 3].away == visit->cells[at - 1].away)
        at -= 2;
    if (visit->cells[at - 1].away)
        at = w->now;
    event = make(w, ADT_TRANSFER, v, bed);
    event.occurred.low_us = event.occurred.high_us = at * MINUTE;
    if (below(2) == 0)
        event = from_place(event, visit->cells[at - 1].bed == NOWHERE
                                      ? ""
                                      : beds[(int)visit->cells[at - 1].bed]);
    say(w, event, NULL);
    visit->before = visit->cells[at - 1];
    visit->moved = at;
    set_from(visit, at, (struct cell){(short)bed, false});
}

static void swap(struct ward *w, int a, int b)
{
    int bed_a = w->visit[a].cells[w->now - 1].bed,
        bed_b = w->visit[b].cells[w->now - 1].bed;
    struct adt_event two = make(w, ADT_SWAP, b, bed_a);

    say(w, make(w, ADT_SWAP, a, bed_b), &two);
    w->visit[a].before = w->visit[a].cells[w->now - 1];
    w->visit[b].before = w->visit[b].cells[w->now - 1];
    w->visit[a].moved = w->visit[b].moved = w->now;
    set_from(&w->visit[a], w->now, (struct cell){(short)bed_b, false});
    set_from(&w->visit[b], w->now, (struct cell){(short)bed_a, false});
}

static void step(struct ward *w)
{
    int patient = (int)below(PATIENTS), other = (int)below(PATIENTS), v, o;

    if (w->dead[patient])
        return;
    v = open_visit_of(w, patient);
    if (v < 0) {
        for (o = w->visits - 1; o >= 0 && w->visit[o].patient != patient; o--)
            ;
        if (o >= 0 && w->visit[o].discharged >= 0 &&
            below(3) == 0) { /* the discharge is taken back */
            set_from(&w->visit[o], w->visit[o].discharged, w->visit[o].at_discharge);
            say(w, make(w, ADT_CANCEL_DISCHARGE, o, w->visit[o].at_discharge.bed), NULL);
            w->visit[o].open = true;
            w->visit[o].discharged = w->visit[o].moved = -1;
        } else if (w->visits < VISITS) {
            admit(w, patient);
        }
        return;
    }
    o = open_visit_of(w, other);
    switch (below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        transfer(w, v);
        break;
    case 4:
        if (w->visit[v].cells[w->now - 1].away)
            break;
        w->visit[v].discharged = w->now;
        w->visit[v].at_discharge = w->visit[v].cells[w->now - 1];
        w->visit[v].open = false;
        say(w,
            from_place(make(w, ADT_DISCHARGE, v, NOWHERE),
                       w->visit[v].at_discharge.bed == NOWHERE
                           ? ""
                           : beds[(int)w->visit[v].at_discharge.bed]),
            NULL);
        set_from(&w->visit[v], w->now, (struct cell){NOWHERE, false});
        break;
    case 5:
    case 6:
        if (o >= 0 && o != v && w->person[patient] != w->person[other] &&
            !w->visit[v].cells[w->now - 1].away && !w->visit[o].cells[w->now - 1].away)
            swap(w, v, o);
        break;
    case 7:
    case 8:
        if (w->visit[v].moved >= 0 && !w->visit[v].cells[w->now - 1].away) {
            set_from(&w->visit[v], w->visit[v].moved, w->visit[v].before);
            say(w, make(w, ADT_CANCEL_TRANSFER, v, w->visit[v].before.bed), NULL);
            w->visit[v].moved = -1;
        }
        break;
    case 9:
        if (below(3) == 0) {
            say(w, make(w, ADT_CANCEL_ADMIT, v, NOWHERE), NULL);
            set_from(&w->visit[v], 0, (struct cell){NOWHERE, false});
            w->visit[v].open = false;
        }
        break;
    case 10: {
        struct cell cell = w->visit[v].cells[w->now - 1];
        struct adt_event event = make(w, cell.away ? ADT_RETURN : ADT_LEAVE, v, NOWHERE);

        event.flags |= ADT_NO_LOCATION;
        say(w, event, NULL);
        cell.away = !cell.away;
        set_from(&w->visit[v], w->now, cell);
        w->visit[v].moved = -1;
        break;
    }
    case 11:
        if (other != patient && !w->dead[other] && below(4) == 0) {
            char winner[16], loser[16];
            struct adt_event event;
            int p, from = w->person[other], to = w->person[patient];

            if (from == to)
                break;
            snprintf(winner, sizeof(winner), "P%d", patient);
            snprintf(loser, sizeof(loser), "P%d", other);
            event = merge_at(w->now, loser, winner);
            event.id = (uint64_t)w->count * 2 + 2;
            say(w, event, NULL);
            for (p = 0; p < PATIENTS; p++)
                if (w->person[p] == from)
                    w->person[p] = to;
            w->dead[other] = true; /* its visits go on under the old number, as they do
                                      until the PAS catches up */
        }
        break;
    }
}

static void make_history(struct ward *w, uint64_t seed)
{
    int p;

    memset(w, 0, sizeof(*w));
    random_state = seed;
    for (p = 0; p < PATIENTS; p++)
        w->person[p] = p;
    w->now = 5;
    while (w->now < MINUTES - 5 && w->count < MESSAGES) {
        step(w);
        w->now += 1 + (int)below(4);
    }
}

/* --- Comparing --- */

static struct census *build(const struct message *messages, const size_t *order, size_t n)
{
    struct census *census = census_new();
    size_t i;

    assert_non_null(census);
    for (i = 0; i < n; i++) {
        const struct message *m = &messages[order == NULL ? i : order[i]];

        assert_int_equal(census_apply(census, m->events, m->count,
                                      m->events[0].recorded.low_us, NULL, NULL),
                         CENSUS_OK);
    }
    return census;
}

struct dump {
    struct census_stay stays[1024];
    size_t count;
};

static void collect(void *context, const struct census_stay *stay)
{
    struct dump *dump = context;

    assert_true(dump->count < 1024);
    dump->stays[dump->count++] = *stay;
}

static int by_all(const void *a, const void *b)
{
    const struct census_stay *x = a, *y = b;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    if (x->from_low_us != y->from_low_us)
        return x->from_low_us < y->from_low_us ? -1 : 1;
    if (x->stay != y->stay)
        return x->stay < y->stay ? -1 : 1;
    return x->to_high_us < y->to_high_us ? -1 : x->to_high_us > y->to_high_us;
}

static void dump_census(const struct census *census, struct dump *dump)
{
    dump->count = 0;
    census_each(census, collect, dump);
    qsort(dump->stays, dump->count, sizeof(dump->stays[0]), by_all);
}

static void assert_same(const struct census *a, const struct census *b, uint64_t seed)
{
    static struct dump x, y;
    struct census_counts cx, cy;
    struct census_patient px, py;
    char number[16];
    size_t i;

    dump_census(a, &x);
    dump_census(b, &y);
    if (x.count != y.count)
        fail_msg("seed %llu: %zu and %zu stays", (unsigned long long)seed, x.count,
                 y.count);
    for (i = 0; i < x.count; i++) {
        struct census_stay *s = &x.stays[i], *t = &y.stays[i];

        if (s->stay != t->stay || s->patient != t->patient ||
            s->original != t->original || s->place != t->place ||
            s->from_low_us != t->from_low_us || s->from_high_us != t->from_high_us ||
            s->to_low_us != t->to_low_us || s->to_high_us != t->to_high_us ||
            s->known_us != t->known_us || s->flags != t->flags ||
            strcmp(s->location, t->location) != 0)
            fail_msg("seed %llu: stay %zu differs", (unsigned long long)seed, i);
    }
    census_counts(a, &cx);
    census_counts(b, &cy);
    assert_int_equal(cx.patients, cy.patients);
    assert_int_equal(cx.visits, cy.visits);
    assert_int_equal(cx.stays, cy.stays);
    assert_int_equal(cx.events, cy.events);
    assert_int_equal(cx.conflicts, cy.conflicts);
    for (i = 0; i < PATIENTS; i++) {
        snprintf(number, sizeof(number), "P%zu", i);
        assert_int_equal(census_patient(a, id_of(number), &px),
                         census_patient(b, id_of(number), &py));
        if (!census_patient(a, id_of(number), &px))
            continue;
        assert_int_equal(px.survivor, py.survivor);
        assert_string_equal(px.family, py.family);
        assert_int_equal(px.visits, py.visits);
    }
}

static void shuffle(size_t *order, size_t n)
{
    size_t i;

    for (i = n; i > 1; i--) {
        size_t j = below((unsigned)i), t = order[i - 1];

        order[i - 1] = order[j];
        order[j] = t;
    }
}

/* --- Against the grid --- */

static size_t check_grid(const struct ward *w, const struct census *census, uint64_t seed)
{
    struct census_stay stays[16], *here;
    size_t n, i, checked = 0;
    int bed, minute, v;

    for (bed = 0; bed < BEDS; bed++)
        for (minute = 0; minute < MINUTES; minute++) {
            int64_t t = minute * MINUTE + (int64_t)(minute & 1) * 30 *
                                              US_PER_S; /* also exactly on the boundary */
            size_t expected = 0;

            n = census_at(census, census_place_id(beds[bed]), t, t, stays, 16);
            for (v = 0; v < w->visits; v++) {
                const struct cell *cell = &w->visit[v].cells[minute];
                char key[16], number[16];

                if (cell->bed != bed)
                    continue;
                expected++;
                snprintf(key, sizeof(key), "V:V%d", v);
                snprintf(number, sizeof(number), "P%d", w->visit[v].patient);
                for (i = 0; i < n && stays[i].stay != census_visit_id(key); i++)
                    ;
                if (i >= n)
                    fail_msg("seed %llu: visit %d is missing in %s at minute %d",
                             (unsigned long long)seed, v, beds[bed], minute);
                assert_int_equal((stays[i].flags & CENSUS_AWAY) != 0, cell->away);
                assert_int_equal(stays[i].flags &
                                     (CENSUS_ORDER | CENSUS_MISSING | CENSUS_IDENTITY),
                                 0);
                assert_true(census_same(census, stays[i].patient, id_of(number)));
                here = &stays[i];
                for (i = 0; i < PATIENTS; i++) {
                    snprintf(number, sizeof(number), "P%zu", i);
                    if (census_same(census, here->patient, id_of(number)) !=
                        (w->person[i] == w->person[w->visit[v].patient]))
                        fail_msg("seed %llu: visit %d of P%d and %s",
                                 (unsigned long long)seed, v, w->visit[v].patient,
                                 number);
                }
            }
            if (n != expected)
                fail_msg("seed %llu: %zu stays instead of %zu in %s at minute %d",
                         (unsigned long long)seed, n, expected, beds[bed], minute);
            checked++;
        }
    return checked;
}

static void test_grid_and_orders(void **state)
{
    static struct ward w;
    size_t order[2 * MESSAGES], checked = 0, messages = 0, i, n;
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 400; seed++) {
        struct census *straight, *other;

        make_history(&w, seed);
        straight = build(w.messages, NULL, w.count);
        checked += check_grid(&w, straight, seed);
        messages += w.count;

        for (i = 0; i < w.count; i++)
            order[i] = i;
        shuffle(order, w.count);
        other = build(w.messages, order, w.count);
        assert_same(straight, other, seed);
        census_free(other);

        /* Every message at least once, some twice. */
        for (i = 0, n = w.count; i < w.count / 2; i++)
            order[n++] = below((unsigned)w.count);
        shuffle(order, n);
        other = build(w.messages, order, n);
        assert_same(straight, other, seed);
        census_free(other);
        census_free(straight);

        /* Any part of them, in two orders. */
        for (i = 0; i < w.count; i++)
            order[i] = i;
        shuffle(order, w.count);
        n = below((unsigned)w.count + 1);
        straight = build(w.messages, order, n);
        shuffle(order, n);
        other = build(w.messages, order, n);
        assert_same(straight, other, seed);
        census_free(other);
        census_free(straight);
    }
    print_message("%d histories, %zu messages, %zu bed-minutes as in the model, 3 other "
                  "orders each\n",
                  400, messages, checked);
}

/* --- Nonsense, too, must not depend on its order --- */

static struct adt_event wild_event(size_t serial)
{
    char number[16], visit[16];
    struct adt_event event;
    enum adt_kind kind = (enum adt_kind)below(ADT_CANCEL_ADMIT + 1);

    snprintf(number, sizeof(number), "P%u", below(3));
    snprintf(visit, sizeof(visit), "V%u", below(3));
    event = event_at(kind, 1 + (int64_t)below(12), number, visit,
                     below(4) == 0 ? NULL : beds[below(2)]);
    event.id = serial + 1;
    event.recorded.low_us = (1 + (int64_t)below(12)) * MINUTE;
    event.recorded.high_us = event.recorded.low_us + (below(3) == 0 ? 2 * MINUTE : 0);
    event.occurred.high_us += below(3) == 0 ? (int64_t)below(4) * MINUTE : 0;
    if (below(3) == 0)
        event.flags |= ADT_NO_LOCATION;
    if (below(3) == 0)
        event = from_place(event, below(2) == 0 ? "" : beds[below(2)]);
    if (below(2) == 0)
        snprintf(event.category, sizeof(event.category), "E");
    snprintf(event.prior.number, sizeof(event.prior.number), "P%u", below(3));
    snprintf(event.prior.authority, sizeof(event.prior.authority), "H");
    if ((kind == ADT_MERGE || kind == ADT_MOVE_VISIT) &&
        strcmp(event.prior.number, event.patient.number) == 0)
        return wild_event(serial);
    return event;
}

static void test_wild(void **state)
{
    static struct message messages[14];
    size_t order[28], i, n;
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 4000; seed++) {
        struct census *straight, *other;

        random_state = seed * 77;
        n = 2 + below(13);
        for (i = 0; i < n; i++) {
            messages[i].events[0] = wild_event(i);
            messages[i].count = 1;
            order[i] = i;
        }
        straight = build(messages, order, n);
        shuffle(order, n);
        for (i = 0; i < n / 2; i++)
            order[n + i] = order[below((unsigned)n)];
        other = build(messages, order, n + n / 2);
        assert_same(straight, other, seed);
        census_free(straight);
        census_free(other);
    }
    print_message("4000 wild histories in two orders\n");
}

/* --- Windows --- */

struct verdict {
    enum match_reason reason;
    uint64_t stay, patient;
};

static void judge_all(const struct census *census, struct verdict verdicts[BEDS][MINUTES])
{
    int bed, minute;

    for (bed = 0; bed < BEDS; bed++)
        for (minute = 0; minute < MINUTES; minute++) {
            struct match_evidence evidence = {.place = census_place_id(beds[bed]),
                                              .mapped = true,
                                              .time_known = true};
            struct match_result result;

            evidence.low_us = minute * MINUTE - 10 * US_PER_S;
            evidence.high_us = minute * MINUTE + 10 * US_PER_S;
            match_reading(census, &evidence, &result);
            if (result.reason == MATCH_NEVER_SEEN)
                result.reason = MATCH_EMPTY; /* the first stay of a bed changes the word
                                                for all time, not the hold */
            verdicts[bed][minute] =
                (struct verdict){result.reason, result.stay.stay, result.stay.patient};
        }
}

static bool in_windows(const struct census_window *windows, size_t n, int bed, int minute)
{
    size_t i;

    for (i = 0; i < n; i++)
        if (windows[i].place == census_place_id(beds[bed]) &&
            minute * MINUTE + 10 * US_PER_S >= windows[i].from_us &&
            minute * MINUTE - 10 * US_PER_S < windows[i].to_us)
            return true;
    return false;
}

/* Whatever a message does to any reading's verdict, it says so; and a repetition says
 * nothing. */
static void test_windows(void **state)
{
    static struct ward w;
    static struct verdict before[BEDS][MINUTES], after[BEDS][MINUTES];
    size_t order[MESSAGES], i, n, changed = 0, named = 0;
    const struct census_window *windows;
    uint64_t seed;
    int bed, minute;

    (void)state;
    for (seed = 1; seed <= 25; seed++) {
        struct census *census = census_new();

        make_history(&w, seed);
        for (i = 0; i < w.count; i++)
            order[i] = i;
        if (seed % 2 == 0)
            shuffle(order, w.count);
        judge_all(census, before);
        for (i = 0; i < w.count; i++) {
            const struct message *m = &w.messages[order[i]];

            assert_int_equal(census_apply(census, m->events, m->count, 0, &windows, &n),
                             CENSUS_OK);
            judge_all(census, after);
            for (bed = 0; bed < BEDS; bed++)
                for (minute = 0; minute < MINUTES; minute++) {
                    bool is = in_windows(windows, n, bed, minute);

                    named += is;
                    if (before[bed][minute].reason == after[bed][minute].reason &&
                        before[bed][minute].stay == after[bed][minute].stay &&
                        before[bed][minute].patient == after[bed][minute].patient)
                        continue;
                    changed++;
                    if (!is)
                        fail_msg("seed %llu: message %zu changes %s at minute %d without "
                                 "saying so",
                                 (unsigned long long)seed, order[i], beds[bed], minute);
                }
            memcpy(before, after, sizeof(before));
            assert_int_equal(census_apply(census, m->events, m->count, 0, &windows, &n),
                             CENSUS_OK);
            assert_int_equal(n, 0);
        }
        census_free(census);
    }
    print_message("%zu verdicts changed, all within the %zu bed-minutes named\n", changed,
                  named);
}

/* --- Two beds, three patients: every order of eight messages --- */

static void test_exhaustive(void **state)
{
    struct message m[8] = {0};
    size_t order[8] = {0, 1, 2, 3, 4, 5, 6, 7}, stack[8] = {0}, i = 0, permutations = 1;
    struct census *straight, *other;

    (void)state;
    for (i = 0; i < 8; i++)
        m[i].count = 1;
    m[0].events[0] = event_at(ADT_ADMIT, 10, "P0", "V0", "bed-a");
    m[1].events[0] = event_at(ADT_ADMIT, 12, "P1", "V1", "bed-b");
    m[2].events[0] = from_place(event_at(ADT_SWAP, 20, "P0", "V0", "bed-b"), "bed-a");
    m[2].events[1] = from_place(event_at(ADT_SWAP, 20, "P1", "V1", "bed-a"), "bed-b");
    m[2].events[1].id++;
    m[2].count = 2;
    m[3].events[0] = from_place(event_at(ADT_DISCHARGE, 30, "P0", "V0", NULL), "bed-b");
    m[4].events[0] = event_at(ADT_ADMIT, 31, "P2", "V2", "bed-b");
    m[5].events[0] = event_at(ADT_CANCEL_DISCHARGE, 33, "P0", "V0", "bed-b");
    m[6].events[0] = from_place(event_at(ADT_TRANSFER, 35, "P2", "V2", "bed-a"), "bed-b");
    m[7].events[0] = merge_at(40, "P1", "P2");

    straight = build(m, order, 8);
    for (i = 1; i < 8;) { /* Heap's way through all orders */
        if (stack[i] < i) {
            size_t j = i % 2 == 0 ? 0 : stack[i], t = order[j];

            order[j] = order[i];
            order[i] = t;
            other = build(m, order, 8);
            assert_same(straight, other, permutations);
            census_free(other);
            permutations++;
            stack[i]++;
            i = 1;
        } else {
            stack[i++] = 0;
        }
    }
    census_free(straight);
    assert_int_equal(permutations, 40320);
    print_message("%zu orders of 8 messages\n", permutations);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid_and_orders),
        cmocka_unit_test(test_wild),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_exhaustive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
