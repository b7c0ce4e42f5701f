/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox's way to each EPR. A message is marked SENT in a batch before its bytes
 * leave, a few at a time, so that a restart knows which ones may have arrived; those are
 * sent again, byte for byte.
 *
 * - Live before backlog, retries between them; one that fails waits aside, the stream
 * goes on.
 * - An answer that says no is retried or parked by the destination's policy; retries are
 * bounded.
 * - A no after an attempt that nobody answered is no proof that the EPR has nothing
 * ("duplicate control id"): what comes of it is held as may-stand, and withdrawn like a
 * charted one when it turns out wrong.
 * - No answer at all is only held against a message while the EPR answers others: a dead
 * EPR makes no dead letters.
 */
#include <stdio.h>
#include <string.h>

#include "chart/chart_core.h"

#define NO_ANSWER "no answer" /* how the detail of a message begins that got none */
#define LOSSES_MAX                                                                       \
    2 /* connections that may break over one message before it waits aside */

/* --- Slots --- */

void deliver_reset(struct chart *c)
{
    for (size_t i = 0; i < c->destination_count; i++) {
        struct destination *d = &c->destinations[i];
        memset(d->slots, 0, sizeof d->slots);
        d->used = d->under_way = 0;
    }
}

/* An answer counts only for a message that is under way: a late one for a message that
 * was taken back from the wire is a stray. */
static struct slot *slot_of(struct destination *d, const char *control)
{
    for (size_t i = 0; i < d->used; i++)
        if (d->slots[i].state == SLOT_UNDER_WAY &&
            strcmp(d->slots[i].control, control) == 0)
            return &d->slots[i];
    return NULL;
}

/* Drawn up, so that the order of the slots is the order in which they were taken. */
static void slot_free(struct destination *d, struct slot *slot)
{
    size_t i = (size_t)(slot - d->slots);
    d->under_way -= slot->state == SLOT_UNDER_WAY;
    memmove(slot, slot + 1, (d->used - i - 1) * sizeof *slot);
    d->used--;
}

/* How many are to be marked ahead: so many that a commit's sync is shared. A live one
 * does not wait for them, see pump. */
static size_t room(const struct destination *d)
{
    return d->up && d->used <= CHART_WINDOW_MAX / 2 ? CHART_WINDOW_MAX - d->used : 0;
}

/* --- Messages and their readings --- */

bool deliver_may_have(const struct ledger_message *message)
{
    return message->state == LEDGER_OUT_DONE ||
           (message->state == LEDGER_OUT_DEAD && (message->tag & OUT_UNANSWERED) != 0);
}

bool deliver_refused_late(const struct ledger_message *message)
{
    return message->state == LEDGER_OUT_DEAD && deliver_may_have(message) &&
           strncmp(message->detail, NO_ANSWER, sizeof NO_ANSWER - 1) != 0;
}

static bool set(struct chart *c, const struct ledger_message *message)
{
    int error = ledger_out_set(c->ledger, message);
    return error == 0 || chart_fail(c, error);
}

static bool move(struct chart *c, struct ledger_entry *entry, enum ledger_state state,
                 uint8_t reason, int64_t now_us)
{
    entry->state = state;
    entry->reason = reason;
    int error = ledger_update(c->ledger, entry, now_us, WHO_DELIVERY);
    return error == 0 || chart_fail(c, error);
}

/* What the destinations together say about one kind of message of a reading. */
struct tally {
    size_t open, done, dead;
    size_t held;  /* done, or dead after an attempt without an answer */
    bool refused; /* one of the latter was refused in the end */
};

static bool count_up(struct chart *c, const struct ledger_entry *entry,
                     enum deliver_kind kind, struct tally *tally)
{
    struct ledger_message m;
    memset(tally, 0, sizeof *tally);
    for (size_t i = 0; i < c->destination_count; i++) {
        if (!chart_message_find(c, &c->destinations[i], entry, kind, entry->generation,
                                &m))
            continue;
        tally->open += m.state == LEDGER_OUT_QUEUED || m.state == LEDGER_OUT_WAITING ||
                       m.state == LEDGER_OUT_SENT;
        tally->done += m.state == LEDGER_OUT_DONE;
        tally->dead += m.state == LEDGER_OUT_DEAD;
        tally->held += deliver_may_have(&m);
        tally->refused |= deliver_refused_late(&m);
    }
    return c->error == 0;
}

/* Withdrawn when every destination that has it took it back, and none is left that may
 * still get it. What a destination has and would not take back, or was never asked to
 * because no message could be made, is for a person. */
bool deliver_finish_withdrawal(struct chart *c, struct ledger_entry *entry,
                               int64_t now_us)
{
    struct tally results, withdrawals;
    if (!count_up(c, entry, DELIVER_RESULT, &results) ||
        !count_up(c, entry, DELIVER_WITHDRAWAL, &withdrawals))
        return false;
    if (entry->state != LEDGER_WITHDRAWING || results.open > 0 || withdrawals.open > 0)
        return true;
    if (withdrawals.dead > 0 || results.held > withdrawals.done)
        return move(c, entry, LEDGER_HELD, CHART_NOT_WITHDRAWN, now_us);
    if (!move(c, entry, LEDGER_WITHDRAWN, LEDGER_REASON_NONE, now_us))
        return false;
    chart_unjudged_add(c, entry->id);
    return true;
}

/* A copy that arrives where the reading is being taken back already is taken back too:
 * history may have changed while it was on its way. Otherwise the reading moves when the
 * last destination has spoken; one that took it is enough to call it charted. */
static bool finish_result(struct chart *c, struct ledger_entry *entry, bool taken,
                          int64_t now_us)
{
    struct tally tally;
    if (entry->state == LEDGER_WITHDRAWING || entry->reason == CHART_NOT_WITHDRAWN)
        return (!taken || chart_withdraw_more(c, entry, now_us)) &&
               deliver_finish_withdrawal(c, entry, now_us);
    if (entry->state == LEDGER_MATCHED &&
        !move(c, entry, LEDGER_SENT, LEDGER_REASON_NONE, now_us))
        return false;
    if (entry->state != LEDGER_SENT)
        return true;
    if (!count_up(c, entry, DELIVER_RESULT, &tally))
        return false;
    if (tally.open > 0)
        return true;
    if (tally.done > 0)
        return move(c, entry, LEDGER_CHARTED, LEDGER_REASON_NONE, now_us);
    if (tally.refused)
        return move(c, entry, LEDGER_HELD, CHART_MAY_STAND, now_us);
    return move(c, entry, LEDGER_REJECTED,
                tally.held > 0 ? CHART_NO_ANSWER : CHART_REFUSED, now_us);
}

/* A message came to its end at one destination: DONE or DEAD. */
static bool finish(struct chart *c, const struct ledger_message *message, int64_t now_us)
{
    struct ledger_entry entry;
    int error = ledger_get(c->ledger, message->id, &entry);
    if (error != 0)
        return chart_fail(c, error);
    if (entry.generation != message->generation)
        return true;
    return message->kind == DELIVER_WITHDRAWAL
               ? deliver_finish_withdrawal(c, &entry, now_us)
               : finish_result(c, &entry, deliver_may_have(message), now_us);
}

/* --- Taking messages --- */

/* Doubling from the first wait: 1, 2, 4 ... times, up to the longest. */
static int64_t back_off_us(const struct destination *d, uint32_t attempts)
{
    int64_t wait = d->options.retry_min_us;
    for (uint32_t i = 1; i < attempts && wait < d->options.retry_max_us; i++)
        wait *= 2;
    return wait < d->options.retry_max_us ? wait : d->options.retry_max_us;
}

/* Marked and counted before the bytes leave. due_us becomes the time of this attempt. */
static bool take(struct chart *c, struct destination *d, struct ledger_message *message,
                 int64_t now_us)
{
    struct ledger_entry entry;
    message->state = LEDGER_OUT_SENT;
    message->attempts++;
    message->due_us = now_us;
    if (!set(c, message))
        return false;
    struct slot *slot = &d->slots[d->used++];
    *slot = (struct slot){.state = SLOT_READY,
                          .lane = message->lane,
                          .number = message->number};
    snprintf(slot->control, sizeof slot->control, "%.*s", DELIVER_CONTROL_SIZE - 1,
             message->control);
    if (message->kind == DELIVER_WITHDRAWAL)
        return true;
    int error = ledger_get(c->ledger, message->id, &entry);
    if (error != 0)
        return chart_fail(c, error);
    return entry.state != LEDGER_MATCHED || entry.generation != message->generation ||
           move(c, &entry, LEDGER_SENT, LEDGER_REASON_NONE, now_us);
}

/* Fills up to n slots from one list; of the queued ones only a lane's, of the waiting
 * ones only those whose time has come. */
static bool take_from(struct chart *c, struct destination *d, enum ledger_out_state state,
                      uint8_t lane_max, size_t n, int64_t now_us)
{
    struct ledger_message page[CHART_WINDOW_MAX];
    struct ledger_cursor cursor = {0};
    if (n == 0 || ledger_out_count(c->ledger, d->number, state) == 0)
        return true;
    int count = ledger_out_list(c->ledger, d->number, state, &cursor, page, (int)n);
    if (count < 0)
        return chart_fail(c, count);
    for (int i = 0; i < count; i++) {
        bool ripe = state == LEDGER_OUT_QUEUED ? page[i].lane <= lane_max
                                               : page[i].due_us <= now_us;
        if (!ripe)
            break; /* both lists are in this order */
        if (!take(c, d, &page[i], now_us))
            return false;
    }
    return true;
}

bool deliver_fill(struct chart *c, int64_t now_us)
{
    for (size_t i = 0; i < c->destination_count; i++) {
        struct destination *d = &c->destinations[i];
        size_t n = room(d), most = d->used + n;
        if (n == 0)
            continue;
        /* Retries get a quarter before live ones, and what is left before the backlog. */
        if (!take_from(c, d, LEDGER_OUT_WAITING, 0, (n + 3) / 4, now_us) ||
            !take_from(c, d, LEDGER_OUT_QUEUED, 0, most - d->used, now_us) ||
            !take_from(c, d, LEDGER_OUT_WAITING, 0, most - d->used, now_us) ||
            !take_from(c, d, LEDGER_OUT_QUEUED, UINT8_MAX, most - d->used, now_us))
            return false;
    }
    return true;
}

/* What was under way when the last process ended, or when a batch was lost, is sent again
 * first. */
bool deliver_start(struct chart *c, int64_t now_us)
{
    for (size_t i = 0; i < c->destination_count; i++) {
        struct destination *d = &c->destinations[i];
        struct ledger_message page[CHART_WINDOW_MAX];
        struct ledger_cursor cursor = {0};
        int n, error = ledger_name(c->ledger, d->options.name, &d->number);
        if (error != 0)
            return chart_fail(c, error);
        while ((n = ledger_out_list(c->ledger, d->number, LEDGER_OUT_SENT, &cursor, page,
                                    CHART_WINDOW_MAX)) > 0)
            for (int j = 0; j < n; j++) {
                page[j].state = LEDGER_OUT_WAITING;
                page[j].due_us = now_us;
                page[j].tag |= OUT_UNANSWERED; /* nobody knows how far it got */
                if (!set(c, &page[j]))
                    return false;
            }
        if (n < 0)
            return chart_fail(c, n);
    }
    c->first_run = false;
    return true;
}

/* Bytes that no longer open can't be sent, nor made again: a dead letter, for a person to
 * see. */
static void bury(struct chart *c, struct destination *d, struct slot *slot,
                 int64_t now_us)
{
    struct ledger_message message;
    uint64_t number = slot->number, unanswered = slot->unanswered ? OUT_UNANSWERED : 0;
    slot_free(d, slot);
    if (!chart_batch(c, now_us))
        return;
    int error = ledger_out_get(c->ledger, number, &message);
    if (error != 0) {
        chart_fail(c, error);
        return;
    }
    message.state = LEDGER_OUT_DEAD;
    message.tag |= unanswered;
    snprintf(message.detail, sizeof message.detail, "its stored bytes are damaged");
    if (set(c, &message))
        finish(c, &message, now_us);
}

/* The next to send: of what is ready the oldest of the most urgent lane; NULL = none. */
static struct slot *next_ready(struct destination *d)
{
    struct slot *best = NULL;

    for (size_t i = 0; i < d->used; i++)
        if (d->slots[i].state == SLOT_READY && (!best || d->slots[i].lane < best->lane))
            best = &d->slots[i];
    return best;
}

static void pump(struct chart *c, size_t destination, int64_t now_us)
{
    struct destination *d = &c->destinations[destination];
    struct slot *slot;

    while (d->up && d->under_way < d->options.window && c->error == 0 &&
           (slot = next_ready(d)) != NULL) {
        char control[DELIVER_CONTROL_SIZE];
        size_t n;
        if (ledger_out_bytes(c->ledger, slot->number, c->message, sizeof c->message,
                             &n) != 0) {
            bury(c, d, slot, now_us);
            continue;
        }
        memcpy(control, slot->control, sizeof control);
        slot->state = SLOT_UNDER_WAY;
        d->under_way++;
        c->options.ops.send(c->options.context, destination, control, c->message, n);
    }
}

/* Everything in a slot is durable: this runs after commits, and between them when an
 * answer has made room. */
void deliver_pump(struct chart *c, int64_t now_us)
{
    for (size_t i = 0; i < c->destination_count; i++)
        pump(c, i, now_us);
}

/* Queued messages that found no slot wait for an answer, not for a time. */
int64_t deliver_next_us(struct chart *c, int64_t now_us)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < c->destination_count; i++) {
        struct destination *d = &c->destinations[i];
        struct ledger_message first;
        struct ledger_cursor cursor = {0};
        if (d->number == 0 || room(d) == 0)
            continue;
        if (ledger_out_count(c->ledger, d->number, LEDGER_OUT_QUEUED) > 0)
            return now_us;
        if (ledger_out_count(c->ledger, d->number, LEDGER_OUT_WAITING) > 0 &&
            ledger_out_list(c->ledger, d->number, LEDGER_OUT_WAITING, &cursor, &first,
                            1) == 1 &&
            first.due_us < next)
            next = first.due_us;
    }
    return next;
}

/* --- Answers --- */

static bool is_one_of(const char *code, const char *a, const char *b)
{
    return strcmp(code, a) == 0 || strcmp(code, b) == 0;
}

/* The EPR's own words may name the patient, so only what is known to be none is kept: its
 * code. */
static bool refuse(struct chart *c, struct destination *d, struct ledger_message *message,
                   const char *code, bool park, int64_t now_us)
{
    bool dead = park || message->attempts >= d->options.retries;
    message->state = dead ? LEDGER_OUT_DEAD : LEDGER_OUT_WAITING;
    message->due_us = now_us + back_off_us(d, message->attempts);
    snprintf(message->detail, sizeof message->detail, "%.2s after %u attempts%s", code,
             message->attempts,
             message->tag & OUT_UNANSWERED
                 ? "; an earlier one had no answer, so it may have been taken"
                 : "");
    return set(c, message) && (!dead || finish(c, message, now_us));
}

/* Any answer, also a refusal, proves that the EPR lives. */
static bool settle(struct chart *c, struct destination *d, const struct slot *slot,
                   const char *code, int64_t now_us)
{
    struct ledger_message message;
    int error = ledger_out_get(c->ledger, slot->number, &message);
    if (error != 0)
        return chart_fail(c, error);
    message.tag |= slot->unanswered ? OUT_UNANSWERED : 0;
    d->last_success_us = now_us;
    if (is_one_of(code, "AA", "CA")) {
        message.state = LEDGER_OUT_DONE;
        message.detail[0] = '\0';
        return set(c, &message) && finish(c, &message, now_us);
    }
    c->counts.refusals++;
    bool park = is_one_of(code, "AR", "CR")
                    ? d->options.park_on_reject
                    : is_one_of(code, "AE", "CE") && d->options.park_on_error;
    return refuse(c, d, &message, code, park, now_us);
}

/* The batch comes first: opening one may derive everything anew, and then nothing is
 * under way. */
void chart_answer(struct chart *c, size_t destination, const char *control,
                  const char *code, int64_t now_us)
{
    struct destination *d = &c->destinations[destination];
    bool noted = chart_batch(c, now_us);
    struct slot *slot = slot_of(d, control);
    if (!slot) {
        c->counts.strays++;
        return;
    }
    c->counts.answers++;
    if (!noted) { /* the ledger can't take it: the message will be sent again */
        slot->state = SLOT_READY;
        slot->unanswered = true; /* what it said is forgotten, and may have been yes */
        d->under_way--;
        return;
    }
    const struct slot answered = *slot;
    slot_free(d, slot);
    if (settle(c, d, &answered, code, now_us))
        pump(c, destination, now_us);
}

/* due_us of a message that waited is when it was to be tried; it had been tried before,
 * one back-off earlier. */
static bool give_up(const struct destination *d, const struct ledger_message *message)
{
    int64_t before = message->due_us -
                     back_off_us(d, message->attempts > 1 ? message->attempts - 1 : 1);
    return message->attempts >= d->options.retries && d->last_success_us > before;
}

void chart_no_answer(struct chart *c, size_t destination, const char *control, bool lost,
                     int64_t now_us)
{
    struct destination *d = &c->destinations[destination];
    struct ledger_message message;
    bool noted = chart_batch(c, now_us);
    struct slot *slot = slot_of(d, control);
    if (!slot)
        return;
    if (!noted || (lost && ++slot->losses < LOSSES_MAX)) {
        slot->state = SLOT_READY; /* the connection's fault, unless it happens again */
        slot->unanswered = true;
        d->under_way--;
        return;
    }
    c->counts.timeouts++;
    uint64_t number = slot->number;
    slot_free(d, slot);
    int error = ledger_out_get(c->ledger, number, &message);
    if (error != 0) {
        chart_fail(c, error);
        return;
    }
    bool dead = give_up(d, &message);
    message.state = dead ? LEDGER_OUT_DEAD : LEDGER_OUT_WAITING;
    message.tag |= OUT_UNANSWERED;
    message.due_us = now_us + back_off_us(d, message.attempts);
    snprintf(message.detail, sizeof message.detail, NO_ANSWER " after %u attempts",
             message.attempts);
    if (set(c, &message) && dead)
        finish(c, &message, now_us);
}

/* What was under way may have arrived: it is sent again first, byte for byte. */
void chart_link(struct chart *c, size_t destination, bool up)
{
    struct destination *d = &c->destinations[destination];
    d->up = up;
    for (size_t i = 0; !up && i < d->used; i++) {
        d->slots[i].unanswered |= d->slots[i].state == SLOT_UNDER_WAY;
        d->slots[i].state = SLOT_READY;
    }
    if (!up)
        d->under_way = 0;
}

bool chart_link_status(const struct chart *c, size_t destination,
                       struct chart_link_status *status)
{
    if (destination >= c->destination_count)
        return false;
    const struct destination *d = &c->destinations[destination];
    *status = (struct chart_link_status){
        .name = d->options.name,
        .up = d->up,
        .under_way = d->under_way,
        .queued = ledger_out_count(c->ledger, d->number, LEDGER_OUT_QUEUED),
        .waiting = ledger_out_count(c->ledger, d->number, LEDGER_OUT_WAITING),
        .sent = ledger_out_count(c->ledger, d->number, LEDGER_OUT_SENT),
        .done = ledger_out_count(c->ledger, d->number, LEDGER_OUT_DONE),
        .dead = ledger_out_count(c->ledger, d->number, LEDGER_OUT_DEAD)};
    return true;
}
