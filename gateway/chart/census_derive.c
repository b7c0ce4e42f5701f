/* SPDX-License-Identifier: Apache-2.0
 *
 * A visit's stays from its events, in three passes that know nothing of the order in
 * which messages arrived:
 *
 *  1. In order of recording: moves are collected, cancellations take back the move that
 * they mean. What is left is what the PAS holds true now.
 *  2. In order of happening: from one move to the next the patient is somewhere (present,
 * away, nowhere known).
 *  3. Doubt: where two moves can't be put in order, or the next one says that it started
 * from elsewhere, the time between is flagged rather than guessed at.
 */
#include "chart/census_parts.h"

#include <stdlib.h>
#include <string.h>

#define MOVES_ON_STACK 32

enum effect {
    PRESENT,   /* in its place from now on */
    BACK,      /* in its place, or in the bed that was kept */
    AWAY,      /* the bed is kept, the patient is out */
    TEMPORARY, /* the bed is kept, the patient is in its place */
    NOWHERE,   /* left, not arrived */
    GONE,      /* discharged */
};

struct move {
    enum effect effect;
    bool has_from, no_location;
    uint64_t place, from_place;
    struct adt_span occurred;
    const struct census_event *event; /* the message that says so */
};

struct moves {
    struct move *items; /* in order of happening */
    size_t count;
};

/* --- Events in order of recording --- */

/* When two messages were keyed in at one moment, the order of kinds is the natural one
 * (nobody is discharged before he is admitted); the id only makes sure that there is
 * an order at all. */
static int compare_recorded(const struct census_event *a, const struct census_event *b)
{
    if (a->recorded.low_us != b->recorded.low_us)
        return a->recorded.low_us < b->recorded.low_us ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* The order is total, so the list is the same however it was filled. */
int census_add_event(struct visit *visit, const struct census_event *event)
{
    size_t at = visit->event_count;
    int order;

    if (!census_grow((void **)&visit->events, visit->event_count, &visit->event_capacity,
                     sizeof(*visit->events)))
        return -1;
    for (; at > 0; at--) { /* from the end: messages mostly come in order */
        order = compare_recorded(&visit->events[at - 1], event);
        if (order < 0)
            break;
        if (order == 0) {
            if (event->known_us < visit->events[at - 1].known_us)
                visit->events[at - 1].known_us = event->known_us;
            return 0;
        }
    }
    memmove(&visit->events[at + 1], &visit->events[at],
            (visit->event_count - at) * sizeof(*visit->events));
    visit->events[at] = *event;
    visit->event_count++;
    return 1;
}

/* --- Pass 1: which moves hold --- */

/* Both may have happened at one instant, because a local time may mean two: the hour that
 * summer time repeats. */
static bool may_coincide(const struct move *a, const struct move *b)
{
    bool exact = a->occurred.low_us == a->occurred.high_us &&
                 b->occurred.low_us == b->occurred.high_us;

    return !exact && a->occurred.low_us <= b->occurred.high_us &&
           b->occurred.low_us <= a->occurred.high_us;
}

/* Order of happening; what happened at one and the same time is taken in the order of
 * recording. Whatever the clock says, nothing comes before an admission or after a
 * discharge. */
static int compare_moves(const struct move *a, const struct move *b)
{
    bool admits = a->event->kind == ADT_ADMIT, gone = a->effect == GONE;

    if (may_coincide(a, b) && admits != (b->event->kind == ADT_ADMIT))
        return admits ? -1 : 1;
    if (may_coincide(a, b) && gone != (b->effect == GONE))
        return gone ? 1 : -1;
    if (a->occurred.low_us != b->occurred.low_us)
        return a->occurred.low_us < b->occurred.low_us ? -1 : 1;
    return compare_recorded(a->event, b->event);
}

/* From the end: most moves are told in the order in which they happened. */
static void add_move(struct moves *moves, const struct move *move)
{
    size_t at = moves->count;

    while (at > 0 && compare_moves(&moves->items[at - 1], move) > 0)
        at--;
    memmove(&moves->items[at + 1], &moves->items[at],
            (moves->count - at) * sizeof(*moves->items));
    moves->items[at] = *move;
    moves->count++;
}

/* Takes back the latest move whose event is of one of the kinds (a bit set). False if
 * there is none. */
static bool take_back(struct moves *moves, unsigned kinds, struct move *taken)
{
    size_t at;

    for (at = moves->count; at > 0; at--)
        if (kinds & 1u << moves->items[at - 1].event->kind)
            break;
    if (at == 0)
        return false;
    *taken = moves->items[at - 1];
    moves->count--;
    memmove(&moves->items[at - 1], &moves->items[at],
            (moves->count + 1 - at) * sizeof(*moves->items));
    return true;
}

/* The bed that the moves say the patient has at the time of this event. False if none. */
static bool bed_at(const struct moves *moves, const struct census_event *event,
                   uint64_t *bed)
{
    bool has = false;
    size_t i;

    for (i = 0;
         i < moves->count && moves->items[i].occurred.low_us <= event->occurred.low_us;
         i++) {
        const struct move *move = &moves->items[i];

        if (move->effect == PRESENT || (move->effect == BACK && !move->no_location)) {
            *bed = move->place;
            has = true;
        } else if (move->effect == GONE || move->effect == NOWHERE) {
            has = false;
        }
    }
    return has;
}

/* A cancellation says where the patient is then. If what is left of history says
 * otherwise, the time since the cancelled move is lost, and the word of the cancellation
 * holds from its own time on. */
static void settle(struct moves *moves, const struct census_event *event, bool found,
                   const struct move *taken)
{
    struct move move = {.effect = PRESENT,
                        .place = event->place,
                        .occurred = event->occurred,
                        .event = event};
    struct move lost = {.effect = NOWHERE, .event = event};
    uint64_t bed = 0;

    if (event->no_location || (bed_at(moves, event, &bed) && bed == event->place))
        return;
    if (found && taken->occurred.low_us < event->occurred.low_us) {
        lost.occurred = taken->occurred;
        add_move(moves, &lost);
    }
    add_move(moves, &move);
}

#define KIND(k) (1u << (k))

/* One row a kind. Cancellations take back; all else adds one move. */
static void apply_event(struct moves *moves, const struct census_event *event)
{
    static const unsigned transfers = KIND(ADT_TRANSFER) | KIND(ADT_SWAP) |
                                      KIND(ADT_DEPART) | KIND(ADT_TEMPORARY) |
                                      KIND(ADT_RETURN);
    struct move taken = {0}, move = {.effect = PRESENT,
                                     .has_from = event->has_from,
                                     .no_location = event->no_location,
                                     .place = event->place,
                                     .from_place = event->from_place,
                                     .occurred = event->occurred,
                                     .event = event};
    bool found;

    switch (event->kind) {
    case ADT_ADMIT:
    case ADT_TRANSFER:
    case ADT_SWAP:
        move.effect = event->no_location ? NOWHERE : PRESENT;
        break;
    case ADT_DEPART:
        move.effect = NOWHERE;
        break;
    case ADT_TEMPORARY:
        move.effect = TEMPORARY;
        break;
    case ADT_LEAVE:
        move.effect = AWAY;
        break;
    case ADT_RETURN:
        move.effect = BACK;
        break;
    case ADT_DISCHARGE:
        move.effect = GONE;
        break;
    case ADT_CANCEL_TRANSFER:
        found = take_back(moves, transfers, &taken);
        settle(moves, event, found, &taken);
        return;
    case ADT_CANCEL_DISCHARGE:
        found = take_back(moves, KIND(ADT_DISCHARGE), &taken);
        settle(moves, event, found, &taken);
        return;
    case ADT_CANCEL_LEAVE:
        (void)take_back(moves, KIND(ADT_LEAVE), &taken);
        return;
    case ADT_CANCEL_RETURN:
        (void)take_back(moves, KIND(ADT_RETURN), &taken);
        return;
    case ADT_CANCEL_ADMIT:
        moves->count = 0; /* nobody was ever there */
        return;
    case ADT_UPDATE:
    case ADT_MERGE:
    case ADT_MOVE_VISIT:
        return;
    }
    add_move(moves, &move);
}

/* --- Passes 2 and 3: where the patient is from move to move --- */

struct walk {
    struct census_stay **stays;
    size_t *count, *capacity;
    uint64_t visit;
    uint64_t bed;         /* assigned now */
    const char *location; /* its PV1-3 */
    bool has_bed;
    /* order not certain up to here; INT64_MIN = certain */
    int64_t doubt_until_us;
    /* the last recorded of the discharges passed so far */
    const struct census_event *discharged;
};

/* True if the order of two neighbours is beyond doubt, or makes no difference. */
static bool order_certain(const struct move *a, const struct move *b)
{
    if (a->occurred.high_us < b->occurred.low_us)
        return true;
    if (a->occurred.high_us == b->occurred.low_us &&
        a->event->recorded.high_us < b->event->recorded.low_us)
        return true;
    if (a->effect == b->effect && a->place == b->place)
        return true;
    if (a->event->kind == ADT_ADMIT && b->event->kind != ADT_ADMIT)
        return true; /* nothing comes before an admission */
    if (b->effect == GONE && a->effect != GONE)
        return true; /* and nothing after a discharge */
    if (a->event == b->event)
        return true;
    if (a->occurred.low_us != b->occurred.low_us ||
        a->occurred.high_us != b->occurred.high_us)
        return false;
    /* The same time: keyed in one after the other, or of kinds that follow each other. */
    return a->event->recorded.high_us < b->event->recorded.low_us ||
           a->event->kind != b->event->kind;
}

/* Keyed in before a discharge that it happened after: the discharge says that it can't
 * have been so. */
static bool is_void(const struct walk *walk, const struct move *move)
{
    return walk->discharged != NULL && move->effect != GONE &&
           compare_recorded(move->event, walk->discharged) < 0;
}

/* Adds a stay, or lengthens the last one if it goes on as it was. */
static bool emit(struct walk *walk, uint64_t place, const char *location, uint32_t flags,
                 const struct move *move, const struct move *next)
{
    int64_t to_low = next == NULL ? CENSUS_FOREVER : next->occurred.low_us;
    int64_t to_high = next == NULL ? CENSUS_FOREVER : next->occurred.high_us;
    struct census_stay *stay;
    size_t i;

    if (to_high <= move->occurred.low_us)
        return true;
    /* the last two: a bed kept and a place meanwhile */
    for (i = *walk->count; i > 0 && i + 2 > *walk->count; i--) {
        stay = &(*walk->stays)[i - 1];
        if (stay->place == place && stay->flags == flags &&
            stay->to_low_us == move->occurred.low_us &&
            stay->to_high_us == move->occurred.high_us) {
            stay->to_low_us = to_low;
            stay->to_high_us = to_high;
            return true;
        }
    }
    if (!census_grow((void **)walk->stays, *walk->count, walk->capacity,
                     sizeof(**walk->stays)))
        return false;
    (*walk->stays)[(*walk->count)++] =
        (struct census_stay){.stay = walk->visit,
                             .place = place,
                             .from_low_us = move->occurred.low_us,
                             .from_high_us = move->occurred.high_us,
                             .to_low_us = to_low,
                             .to_high_us = to_high,
                             .known_us = move->event->known_us,
                             .flags = flags,
                             .location = location};
    return true;
}

/* The state after a move: which bed is his, and how he stands to it. */
static void step_bed(struct walk *walk, const struct move *move, enum effect effect)
{
    if (effect == PRESENT || (effect == BACK && !move->no_location)) {
        walk->bed = move->place;
        walk->location = move->event->location;
        walk->has_bed = true;
    } else if (effect == NOWHERE || effect == GONE) {
        walk->has_bed = false;
    }
}

/* `here` is where the patient is by our account. A next move that says it began there,
 * or in the bed that is kept for him, confirms it; one that says otherwise leaves all
 * the time since the last move in doubt. */
static uint32_t doubts(const struct walk *walk, const struct move *move,
                       const struct move *next, uint64_t here)
{
    uint32_t flags = walk->doubt_until_us >= move->occurred.low_us ? CENSUS_ORDER : 0;

    if (next != NULL && next->has_from && next->from_place != here &&
        !(walk->has_bed && next->from_place == walk->bed))
        flags |= CENSUS_MISSING;
    return flags;
}

/* The time from one move to the next. */
static bool step(struct walk *walk, const struct move *move, const struct move *next)
{
    enum effect effect = is_void(walk, move) ? NOWHERE : move->effect;
    uint32_t flags;
    bool ok = true;

    if (next != NULL && !order_certain(move, next)) {
        int64_t until = move->occurred.high_us > next->occurred.high_us
                            ? move->occurred.high_us
                            : next->occurred.high_us;
        if (until > walk->doubt_until_us)
            walk->doubt_until_us = until;
    }
    if (move->effect == GONE &&
        (walk->discharged == NULL || compare_recorded(move->event, walk->discharged) > 0))
        walk->discharged = move->event;
    step_bed(walk, move, effect);
    flags = doubts(walk, move, next, effect == TEMPORARY ? move->place : walk->bed);

    if (walk->has_bed)
        ok = emit(walk, walk->bed, walk->location,
                  flags | (effect == AWAY || effect == TEMPORARY ? CENSUS_AWAY : 0u),
                  move, next);
    if (ok && effect == TEMPORARY)
        ok = emit(walk, move->place, move->event->location, flags, move, next);
    return ok;
}

/* A doubt lasts until a move that certainly came after; one that says nothing of its own
 * (leave, return) doesn't end it. */
static void end_doubt(struct walk *walk, const struct move *move)
{
    bool says_where = move->effect == PRESENT || move->effect == GONE ||
                      move->effect == NOWHERE ||
                      (move->effect == BACK && !move->no_location);

    if (walk->doubt_until_us < move->occurred.low_us && says_where)
        walk->doubt_until_us = INT64_MIN;
    else if (walk->doubt_until_us != INT64_MIN &&
             walk->doubt_until_us < move->occurred.low_us)
        walk->doubt_until_us = move->occurred.low_us;
}

/* Each move is looked at together with the next one: what a stay is worth depends on
 * how it ended. */
static bool walk_moves(struct walk *walk, const struct moves *moves)
{
    size_t i;

    for (i = 0; i < moves->count; i++) {
        end_doubt(walk, &moves->items[i]);
        if (!step(walk, &moves->items[i],
                  i + 1 < moves->count ? &moves->items[i + 1] : NULL))
            return false;
    }
    return true;
}

/* A visit has a handful of events, so its moves fit on the stack; one that is years
 * long gets memory. */
bool census_derive(const struct visit *visit, struct census_stay **stays, size_t *count,
                   size_t *capacity)
{
    struct move on_stack[MOVES_ON_STACK];
    struct moves moves = {.items = on_stack};
    struct walk walk = {.stays = stays,
                        .count = count,
                        .capacity = capacity,
                        .visit = visit->id,
                        .doubt_until_us = INT64_MIN};
    size_t i, most = 2 * visit->event_count; /* a cancellation can add two */
    bool ok;

    *count = 0;
    if (most > MOVES_ON_STACK) {
        moves.items = malloc(most * sizeof(*moves.items));
        if (moves.items == NULL)
            return false;
    }
    for (i = 0; i < visit->event_count; i++)
        apply_event(&moves, &visit->events[i]);
    ok = walk_moves(&walk, &moves);
    if (moves.items != on_stack)
        free(moves.items);
    return ok;
}
