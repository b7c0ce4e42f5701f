/* SPDX-License-Identifier: Apache-2.0
 *
 * Two lanes over one store. At a connection everything queued is backlog and what is
 * committed from then on is live; when live ones can't leave for long (a chart that gives
 * no receipts) they become backlog too, so that the newest are always the next to go.
 */
#include "bedside/forward.h"

#include <string.h>

#define NO_SUBSCRIBER 0x10 /* MQTT 5: the broker took it, and nobody was there */
#define REFUSED       0x80

/* xorshift64*: jitter needs no more, and a seed repeats it. */
static uint64_t random_next(struct forward *forward)
{
    uint64_t x = forward->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    forward->random = x;
    return x * UINT64_C(2685821657736338717);
}

/* us and up to a quarter more: gateways of one ward do not come back in step. */
static uint64_t jittered(struct forward *forward, uint64_t us)
{
    return us + random_next(forward) % (us / 4 + 1);
}

/* Everything that waits is backlog until somebody connects: there is no telling how
 * old it is. */
void forward_init(struct forward *forward, const struct forward_config *config,
                  const struct forward_ops *ops, uint64_t oldest, uint64_t head)
{
    memset(forward, 0, sizeof(*forward));
    forward->config = *config;
    if (forward->config.window == 0)
        forward->config.window = FORWARD_WINDOW;
    forward->ops = *ops;
    forward->head = forward->live = forward->backlog_end = head;
    forward->backlog = oldest;
    forward->random = config->seed != 0 ? config->seed : 1;
}

/* The last one takes its place: nothing depends on the order of batches. */
static void drop_batch(struct forward *forward, uint32_t i)
{
    forward->on_the_way -= forward->batches[i].bytes;
    forward->batches[i] = forward->batches[--forward->used];
}

/* Narrows from..to to what is not on the way. False if nothing is left below to. */
static bool clear_of_batches(const struct forward *forward, uint64_t *from, uint64_t *to)
{
    bool moved;

    do {
        moved = false;
        for (uint32_t i = 0; i < forward->used; i++) {
            const struct forward_batch *batch = &forward->batches[i];
            if (batch->first <= *from && *from <= batch->last) {
                *from = batch->last + 1;
                moved = true;
            }
        }
    } while (moved);
    if (*from > *to)
        return false;
    for (uint32_t i = 0; i < forward->used; i++)
        if (forward->batches[i].first > *from && forward->batches[i].first <= *to)
            *to = forward->batches[i].first - 1;
    return true;
}

/* Live ones that fell far behind join the backlog; those on the way in between are
 * stepped over when it gets there. */
static void fall_behind(struct forward *forward)
{
    if (forward->head - forward->live <= FORWARD_LAG_MAX)
        return;
    if (forward->backlog >= forward->backlog_end)
        forward->backlog = forward->live;
    forward->backlog_end = forward->live = forward->head;
}

/* A batch whose receipts are overdue. Receipts may have come for all of it since. */
static bool next_again(struct forward *forward, uint64_t now_us,
                       struct forward_action *action, uint64_t *wake_us)
{
    for (uint32_t i = 0; i < forward->used; i++) {
        const struct forward_batch *batch = &forward->batches[i];
        if (batch->token != -1)
            continue; /* the broker has not even taken it: TCP and keep-alive see to that
                       */
        if (batch->due_us > now_us) {
            if (batch->due_us < *wake_us)
                *wake_us = batch->due_us;
            continue;
        }
        *action = (struct forward_action){.what = FORWARD_SEND,
                                          .from = batch->first,
                                          .to = batch->last,
                                          .bytes = FORWARD_ENVELOPE_LIVE,
                                          .live = batch->live,
                                          .again = true};
        return true;
    }
    return false;
}

/* Live may use the window to its last byte, and an envelope may be as large as there
 * is room: the fewer messages, the fewer receipts and commits at the chart. */
static bool next_live(struct forward *forward, struct forward_action *action)
{
    uint64_t from = forward->live, to = forward->head - 1, room;

    if (from >= forward->head || !clear_of_batches(forward, &from, &to))
        return false;
    if (forward->on_the_way + FORWARD_ITEM_MAX > forward->config.window)
        return false;
    room = forward->config.window - forward->on_the_way;
    *action = (struct forward_action){.what = FORWARD_SEND,
                                      .from = from,
                                      .to = to,
                                      .bytes = room < FORWARD_ENVELOPE_LIVE
                                                   ? (size_t)room
                                                   : FORWARD_ENVELOPE_LIVE,
                                      .live = true};
    return true;
}

/* Refills the byte budget of the backlog: at most one second's worth. */
static void refill(struct forward *forward, uint64_t now_us)
{
    uint64_t rate = forward->config.backlog_rate, passed = now_us - forward->budget_at_us;

    if (passed > 1000000)
        passed = 1000000;
    forward->budget += rate * passed / 1000000;
    if (forward->budget > rate)
        forward->budget = rate;
    forward->budget_at_us = now_us;
}

/* Smaller envelopes, so that several are on the way at once and a receipt for one
 * makes room for the next while the rest travels; and never into what is reserved for
 * live readings. */
static bool next_backlog(struct forward *forward, uint64_t now_us,
                         struct forward_action *action, uint64_t *wake_us)
{
    uint64_t from = forward->backlog, to = forward->backlog_end - 1, room;

    if (from >= forward->backlog_end || !clear_of_batches(forward, &from, &to))
        return false;
    if (forward->on_the_way + FORWARD_ITEM_MAX + FORWARD_LIVE_RESERVE >
        forward->config.window)
        return false;
    room = forward->config.window - FORWARD_LIVE_RESERVE - forward->on_the_way;
    if (room > FORWARD_ENVELOPE_BACKLOG)
        room = FORWARD_ENVELOPE_BACKLOG;
    if (forward->config.backlog_rate > 0) {
        refill(forward, now_us);
        if (forward->budget < FORWARD_ITEM_MAX) {
            uint64_t until = now_us + UINT64_C(1000000) * FORWARD_ITEM_MAX /
                                          forward->config.backlog_rate;
            if (until < *wake_us)
                *wake_us = until;
            return false;
        }
        if (room > forward->budget)
            room = forward->budget;
    }
    *action = (struct forward_action){.what = FORWARD_SEND,
                                      .from = from,
                                      .to = to,
                                      .bytes = (size_t)room};
    return true;
}

/* What is overdue goes before what is new: it is older, and its bytes are in the
 * window already. Then live, unless it has had its turns; whichever of the two lanes
 * is empty leaves its turn to the other. */
void forward_next(struct forward *forward, uint64_t now_us, struct forward_action *action)
{
    uint64_t wake_us = UINT64_MAX;

    *action = (struct forward_action){.what = FORWARD_WAIT, .until_us = UINT64_MAX};
    if (!forward->connected || forward->busy)
        return;
    if (forward->hold_until_us > now_us) {
        action->until_us = forward->hold_until_us;
        return;
    }
    fall_behind(forward);
    if (next_again(forward, now_us, action, &wake_us))
        return;
    if (forward->used < FORWARD_BATCHES_MAX) {
        if (forward->live_run >= FORWARD_LIVE_TURNS &&
            next_backlog(forward, now_us, action, &wake_us))
            return;
        if (next_live(forward, action) || next_backlog(forward, now_us, action, &wake_us))
            return;
    }
    action->until_us = wake_us;
}

/* Reading of a lane went on to next. */
static void advance(struct forward *forward, const struct forward_action *action,
                    uint64_t next)
{
    if (action->live && next > forward->live)
        forward->live = next;
    else if (!action->live && next > forward->backlog)
        forward->backlog = next;
}

/* By its seqs: an index would not outlive a receipt. */
static struct forward_batch *find_again(struct forward *forward,
                                        const struct forward_action *action)
{
    for (uint32_t i = 0; i < forward->used; i++)
        if (forward->batches[i].first == action->from &&
            forward->batches[i].last == action->to)
            return &forward->batches[i];
    return NULL;
}

/* Doubled, because a chart that is slow is made slower by repeats; with jitter,
 * because a whole ward lost the same broker. */
static uint64_t again_after(struct forward *forward, uint32_t tries)
{
    uint64_t us = FORWARD_AGAIN_US;

    while (tries-- > 1 && us < FORWARD_AGAIN_MAX_US)
        us *= 2;
    return jittered(forward, us < FORWARD_AGAIN_MAX_US ? us : FORWARD_AGAIN_MAX_US);
}

void forward_sent(struct forward *forward, const struct forward_action *action,
                  uint64_t first, uint64_t last, uint64_t next, size_t count,
                  size_t bytes, int token, uint64_t now_us)
{
    struct forward_batch *batch = action->again ? find_again(forward, action) : NULL;

    if (batch == NULL && forward->used < FORWARD_BATCHES_MAX) {
        batch = &forward->batches[forward->used++];
        *batch = (struct forward_batch){.live = action->live};
    }
    if (batch == NULL)
        return; /* forward_next never lets it come to this */
    forward->on_the_way += bytes - batch->bytes;
    batch->count = count;
    batch->bytes = bytes;
    /* A batch that did not fit into one envelope again keeps its rest on the way:
     * receipts of what was sent shorten it. */
    if (!action->again || next > action->to) {
        batch->first = first;
        batch->last = last;
    } else {
        batch->first = first;
        batch->count = forward->ops.unreceipted(forward->ops.context, first, batch->last);
    }
    batch->sent_us = now_us;
    batch->due_us = now_us + again_after(forward, ++batch->tries);
    batch->token = token;

    forward->counts.sent++;
    forward->counts.sent_bytes += bytes;
    if (action->again) {
        forward->counts.offered_again++;
        return;
    }
    advance(forward, action, next);
    forward->live_run = action->live ? forward->live_run + 1 : 0;
    if (!action->live && forward->config.backlog_rate > 0)
        forward->budget -= bytes < forward->budget ? bytes : forward->budget;
}

/* Everything there was receipted meanwhile, or is done with: a lane goes past it, a
 * batch that was to be offered again is over. */
void forward_nothing(struct forward *forward, const struct forward_action *action,
                     uint64_t next)
{
    if (!action->again) {
        advance(forward, action, next > action->to ? next : action->to + 1);
        return;
    }
    for (uint32_t i = 0; i < forward->used; i++) {
        if (forward->batches[i].first == action->from &&
            forward->batches[i].last == action->to) {
            drop_batch(forward, i);
            return;
        }
    }
}

void forward_busy(struct forward *forward)
{
    forward->busy = true;
}

/* Each pause is twice the one before, until something goes well. */
static void back_off(struct forward *forward, uint64_t now_us)
{
    forward->backoff_us =
        forward->backoff_us == 0 ? FORWARD_BACKOFF_US : forward->backoff_us * 2;
    if (forward->backoff_us > FORWARD_BACKOFF_MAX_US)
        forward->backoff_us = FORWARD_BACKOFF_MAX_US;
    forward->hold_until_us = now_us + jittered(forward, forward->backoff_us);
}

/* One way for whatever went wrong on our side of the broker: a store that can't be
 * read is asked less often too. */
void forward_hold(struct forward *forward, uint64_t now_us)
{
    back_off(forward, now_us);
}

/* What was on the way is not waited for: the session may be new, and what had arrived
 * is receipted within seconds and stepped over. A repeat costs bytes, a wait costs the
 * ward its newest values. */
void forward_connected(struct forward *forward, uint64_t oldest, uint64_t now_us)
{
    forward->used = 0;
    forward->on_the_way = 0;
    forward->connected = true;
    forward->busy = false;
    forward->hold_until_us = forward->backoff_us = 0;
    forward->live_run = 0;
    forward->backlog = oldest;
    forward->backlog_end = forward->live = forward->head;
    forward->budget = forward->config.backlog_rate;
    forward->budget_at_us = now_us;
}

/* Batches go, so that the queue is shown as what it is: all of it waits. */
void forward_disconnected(struct forward *forward, uint64_t oldest)
{
    forward->connected = false;
    forward->used = 0;
    forward->on_the_way = 0;
    forward->busy = false;
    forward->backlog = oldest;
    forward->backlog_end = forward->live = forward->head;
}

void forward_committed(struct forward *forward, uint64_t head)
{
    if (head > forward->head)
        forward->head = head;
}

/* A PUBACK ends the publish and nothing else (P1). A refusal is offered again when the
 * pause is over; one that nobody was there to take waits for the chart's first
 * receipt, or 30 s. */
void forward_acknowledged(struct forward *forward, int token, uint8_t reason,
                          uint64_t now_us)
{
    forward->busy = false;
    if (reason >= REFUSED) {
        forward->counts.refused++;
        forward->counts.last_refusal = reason;
        back_off(forward, now_us);
    } else {
        forward->counts.acknowledged++;
        forward->backoff_us = 0;
        if (reason == NO_SUBSCRIBER)
            forward->counts.no_subscriber++;
    }
    for (uint32_t i = 0; i < forward->used; i++) {
        struct forward_batch *batch = &forward->batches[i];
        if (batch->token != token)
            continue;
        batch->token = -1;
        if (reason >= REFUSED)
            batch->due_us = forward->hold_until_us;
        batch->unheard = reason == NO_SUBSCRIBER;
        if (batch->unheard) /* lost for certain: no reason to wait longer each time */
            batch->due_us = now_us + jittered(forward, FORWARD_AGAIN_US);
        return;
    }
}

/* A batch shrinks by what was receipted of it, in records and, in proportion, in
 * bytes: one that is receipted piece by piece gives its room back piece by piece. */
void forward_receipt(struct forward *forward, uint64_t first, uint64_t last,
                     uint64_t now_us)
{
    bool back = !forward->heard || now_us - forward->heard_us > FORWARD_CHART_LIVE_US;

    forward->heard = true;
    forward->heard_us = now_us;
    for (uint32_t i = forward->used; i > 0; i--) {
        struct forward_batch *batch = &forward->batches[i - 1];
        uint64_t left;
        if (batch->unheard) {
            batch->unheard = false;
            batch->due_us = now_us;
        }
        if (back) { /* the chart is there again: what it does not know by then, it lost */
            batch->tries = 1;
            if (batch->due_us > now_us + FORWARD_AGAIN_US)
                batch->due_us = now_us + jittered(forward, FORWARD_AGAIN_US);
        }
        if (batch->last < first || batch->first > last)
            continue;
        left = forward->ops.unreceipted(forward->ops.context, batch->first, batch->last);
        if (left >= batch->count)
            continue;
        forward->counts.receipted += batch->count - left;
        forward->on_the_way -= batch->bytes - batch->bytes * left / batch->count;
        batch->bytes = batch->bytes * left / batch->count;
        batch->count = left;
        if (left == 0)
            drop_batch(forward, i - 1);
    }
}

/* The chart has lost something, so it goes by what it says now. Live readings are not
 * held up for it: what it asks for joins the backlog. */
void forward_resend(struct forward *forward, uint64_t from, uint64_t now_us)
{
    forward->heard = true;
    forward->heard_us = now_us;
    for (uint32_t i = forward->used; i > 0; i--) {
        if (forward->batches[i - 1].last < from)
            continue;
        if (forward->batches[i - 1].first < from)
            from = forward->batches[i - 1].first; /* the whole of what is dropped */
        drop_batch(forward, i - 1);
    }
    if (from >= forward->live)
        return;
    if (forward->backlog >= forward->backlog_end || from < forward->backlog)
        forward->backlog = from;
    forward->backlog_end = forward->live;
}
