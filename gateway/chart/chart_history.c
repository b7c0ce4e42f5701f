/* SPDX-License-Identifier: Apache-2.0
 *
 * When history changes: readings of the place and time are judged again. What was held
 * may now be charted, what was charted may have to be withdrawn, what was not sent yet is
 * not sent.
 */
#include <string.h>

#include "chart/chart_core.h"

#define REVIEW_PAGES      16 /* of PAGE entries in one run */
#define REVIEW_BUSY_PAGES 2  /* while receipts are waiting to go out */

static bool update(struct chart *c, struct ledger_entry *entry, int64_t now_us,
                   const char *who)
{
    int error = ledger_update(c->ledger, entry, now_us, who);
    return error == 0 || chart_fail(c, error);
}

/* A person may not have the name of a part: their decisions would be taken for the
 * service's. */
bool chart_is_service(const char *who)
{
    static const char *const services[] = {WHO_MATCH, WHO_DUE, WHO_DELIVERY, "intake",
                                           "ledger"};
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (strcmp(who, services[i]) == 0)
            return true;
    return false;
}

/* Only assigning says whose a reading is: what a person discards or has sent again is
 * still the bed list's to judge. Delivery writes its own changes after a person's, so the
 * chain is followed to the one that decided. */
bool chart_by_person(struct chart *c, const struct ledger_entry *entry)
{
    struct ledger_change change;
    for (uint64_t number = entry->last_change; number != 0; number = change.previous) {
        if (ledger_change_get(c->ledger, number, &change) != 0)
            return false;
        bool person = !chart_is_service(change.who);
        if (person && change.from == LEDGER_HELD &&
            (change.to == LEDGER_MATCHED || change.to == LEDGER_KEPT))
            return true;
        if (!person && strcmp(change.who, WHO_DELIVERY) != 0)
            return false;
    }
    return false;
}

/* --- Taking back --- */

/* Queued and never tried is the only state in which the EPR certainly knows nothing. */
bool chart_cancel(struct chart *c, struct ledger_entry *entry, bool *cancelled,
                  int64_t now_us)
{
    struct ledger_message message;
    (void)now_us;
    *cancelled = true;
    for (size_t i = 0; i < c->destination_count; i++) {
        if (!chart_message_find(c, &c->destinations[i], entry, DELIVER_RESULT,
                                entry->generation, &message)) {
            if (c->error)
                return false;
            continue;
        }
        if (message.state == LEDGER_OUT_CANCELLED || message.state == LEDGER_OUT_DEAD)
            continue;
        if (message.state != LEDGER_OUT_QUEUED || message.attempts > 0) {
            *cancelled = false; /* it may have reached the EPR: it is seen through, then
                                   withdrawn */
            continue;
        }
        message.state = LEDGER_OUT_CANCELLED;
        int error = ledger_out_set(c->ledger, &message);
        if (error != 0)
            return chart_fail(c, error);
        c->counts.replaced++;
    }
    return true;
}

/* A value has left its charting interval: one that was only kept there may be due now.
 * Looked at when the present page is done. */
static bool reopen_interval(struct chart *c, const struct ledger_entry *entry)
{
    const struct census_window window = {.place = chart_place(c, entry->place)->id,
                                         .from_us = entry->t_low_us,
                                         .to_us = entry->t_high_us + 1};
    c->charted.valid = false;
    return !entry->time_known || chart_windows_add(c, &window, 1) ||
           chart_fail(c, LEDGER_IO);
}

/* The patient and the stay are those that the reading was charted on: entry still names
 * them. */
static bool queue_withdrawals(struct chart *c, struct ledger_entry *entry, size_t *count,
                              int64_t now_us)
{
    struct target target = {.stay = entry->stay, .patient = entry->patient};
    target.location =
        chart_location(c, entry->place, entry->t_low_us, entry->t_high_us, entry->stay);
    *count = 0;
    if (chart_read_record(c, entry->id) &&
        !chart_messages(c, entry, DELIVER_WITHDRAWAL, entry->generation,
                        entry->charted_mask, &target, now_us, count, &entry->message))
        return false;
    return c->error == 0;
}

bool chart_withdraw_more(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    size_t count;
    return queue_withdrawals(c, entry, &count, now_us);
}

bool chart_may_stand(struct chart *c, const struct ledger_entry *entry)
{
    struct ledger_message message;
    if ((entry->state != LEDGER_HELD && entry->state != LEDGER_REJECTED) ||
        entry->patient == 0 || entry->generation == 0)
        return false;
    for (size_t i = 0; i < c->destination_count; i++)
        if (chart_message_find(c, &c->destinations[i], entry, DELIVER_RESULT,
                               entry->generation, &message) &&
            deliver_may_have(&message))
            return true;
    return false;
}

/* Copies that some destination has not been sent yet are not sent at all; those that may
 * be there are waited for. */
bool chart_withdraw(struct chart *c, struct ledger_entry *entry, const char *who,
                    int64_t now_us)
{
    size_t count;
    bool cancelled;
    c->counts.withdrawals++;
    if (!reopen_interval(c, entry) || !chart_cancel(c, entry, &cancelled, now_us) ||
        !queue_withdrawals(c, entry, &count, now_us))
        return false;
    entry->state = LEDGER_WITHDRAWING;
    entry->reason = LEDGER_REASON_NONE;
    return update(c, entry, now_us, who) && deliver_finish_withdrawal(c, entry, now_us);
}

/* The chart states a time and how certain it is. If that was too certain, the value is
 * wrong there although patient and stay are right: it is withdrawn with the time it was
 * sent with, and judged again with the new one. What a person decided stays. */
bool chart_retime(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    bool sent = entry->state == LEDGER_SENT || entry->state == LEDGER_CHARTED ||
                (entry->reason != CHART_NOT_WITHDRAWN && chart_may_stand(c, entry)),
         cancelled;
    if (c->error != 0)
        return false;
    if ((!sent && entry->state != LEDGER_MATCHED) || chart_by_person(c, entry))
        return true;
    if (sent)
        return chart_withdraw(c, entry, WHO_MATCH, now_us);
    if (!chart_cancel(c, entry, &cancelled, now_us) || !reopen_interval(c, entry))
        return false;
    entry->state = cancelled ? LEDGER_KEPT : LEDGER_SENT;
    return update(c, entry, now_us, WHO_MATCH) &&
           (cancelled || chart_withdraw(c, entry, WHO_MATCH, now_us));
}

/* The patient is compared as the visit's own messages name them: a merge changes who that
 * is, not whose chart it is; moving a visit to another patient does. */
static bool still_holds(const struct ledger_entry *entry, uint8_t reason,
                        const struct match_result *result)
{
    return reason == LEDGER_REASON_NONE && result->stay.stay == entry->stay &&
           result->stay.original == entry->patient;
}

/* Damaged bytes can't be judged again; they stay where they are, and the books count
 * them. */
bool chart_review_charted(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    struct match_result result;
    struct ledger_entry charted = *entry;
    bool error;
    if (!entry->conflicted && chart_by_person(c, entry))
        return true; /* a person knew better than the bed list, and may do so again */
    charted.state = LEDGER_CHARTED; /* judged as what may stand, whatever it is called */
    uint8_t reason = chart_verdict(c, &charted, &result, &error);
    if (error)
        return false;
    if (reason == LEDGER_RECORD_DAMAGED || still_holds(entry, reason, &result))
        return true;
    return chart_withdraw(c, entry, WHO_MATCH, now_us);
}

/* --- Judging again, by state --- */

/* Through RECEIVED, so that a restart finds it if its interval stays open. */
bool chart_again(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    entry->state = LEDGER_RECEIVED;
    entry->reason = LEDGER_REASON_NONE;
    return update(c, entry, now_us, WHO_MATCH) && chart_judge(c, entry, now_us);
}

/* It may be in an interval of a stay that is no longer its own. */
static bool review_undecided(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    chart_open_drop(c, chart_ref(entry->id));
    return chart_judge(c, entry, now_us);
}

/* A kept one may be due now, because the value that had overtaken it went elsewhere: it
 * is fed again. */
static bool review_kept(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    struct match_result result;
    bool error;
    if (chart_by_person(c, entry))
        return true;
    uint8_t reason = chart_verdict(c, entry, &result, &error);
    if (error)
        return false;
    return reason == LEDGER_REASON_NONE ? chart_again(c, entry, now_us)
                                        : chart_hold(c, entry, reason, now_us);
}

/* A changed reason is written, because people work by it; the same reason is not, because
 * nothing happened. */
bool chart_review_held(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    struct match_result result;
    bool error;
    if (entry->reason == CHART_NOT_WITHDRAWN || entry->reason == CHART_UNPRINTABLE)
        return true; /* no history makes these good */
    uint8_t reason = chart_verdict(c, entry, &result, &error);
    if (error)
        return false;
    if (reason == LEDGER_REASON_NONE)
        return chart_again(c, entry, now_us);
    return reason == entry->reason || chart_hold(c, entry, reason, now_us);
}

/* Its message has not left. Cancelling it is silent: no EPR ever hears of it. */
static bool review_matched(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    struct match_result result;
    bool error, cancelled;
    if (chart_by_person(c, entry))
        return true;
    uint8_t reason = chart_verdict(c, entry, &result, &error);
    if (error)
        return false;
    if (still_holds(entry, reason, &result))
        return true;
    if (!chart_cancel(c, entry, &cancelled, now_us))
        return false;
    if (!cancelled)
        return true;
    if (!reopen_interval(c, entry))
        return false;
    if (reason != LEDGER_REASON_NONE)
        return chart_hold(c, entry, reason, now_us);
    entry->state = LEDGER_KEPT; /* the table knows no way straight back */
    return update(c, entry, now_us, WHO_MATCH) && chart_again(c, entry, now_us);
}

/* A refused reading waits for a person; but what may have been taken must go when it is
 * wrong, whoever has put it off the worklist meanwhile. */
static bool review_refused(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    bool stands = chart_may_stand(c, entry);
    return c->error == 0 && (!stands || chart_review_charted(c, entry, now_us));
}

/* A withdrawal is seen through. */
bool chart_review(struct chart *c, struct ledger_entry *entry, int64_t now_us)
{
    c->counts.reopened++;
    switch (entry->state) {
    case LEDGER_RECEIVED:
    case LEDGER_WITHDRAWN:
        return review_undecided(c, entry, now_us);
    case LEDGER_KEPT:
        return review_kept(c, entry, now_us);
    case LEDGER_HELD:
        return entry->reason == CHART_MAY_STAND ? review_refused(c, entry, now_us)
                                                : chart_review_held(c, entry, now_us);
    case LEDGER_REJECTED:
        return review_refused(c, entry, now_us);
    case LEDGER_MATCHED:
        return review_matched(c, entry, now_us);
    case LEDGER_SENT: /* it may be in a chart: it is withdrawn as soon as its answer says
                         so */
    case LEDGER_CHARTED:
        return chart_review_charted(c, entry, now_us);
    default:
        return true;
    }
}

static void next_window(struct chart *c)
{
    c->windows_first++;
    if (--c->windows_count == 0)
        c->windows_first = 0;
}

/* A window of months is worked off page by page; what comes in between is judged by the
 * new history anyway. */
bool chart_review_some(struct chart *c, int64_t now_us)
{
    struct ledger_entry page[PAGE], entry;
    int most = c->records > 0 ? REVIEW_BUSY_PAGES : REVIEW_PAGES;
    for (int pages = 0; c->windows_count > 0 && pages < most; pages++) {
        struct window *window = &c->windows[c->windows_first];
        uint32_t place = chart_place_number(c, window->place);
        int64_t to_us =
            window->to_us == CENSUS_FOREVER ? window->to_us : window->to_us - 1;
        int n = place ? ledger_list_place(c->ledger, place, window->from_us, to_us,
                                          &window->cursor, page, PAGE)
                      : 0;
        if (n < 0)
            return chart_fail(c, n);
        for (int i = 0; i < n; i++) {
            /* What was done for one reading of the page may have moved another on. */
            int error = ledger_get(c->ledger, page[i].id, &entry);
            if (error != 0)
                return chart_fail(c, error);
            if (!chart_review(c, &entry, now_us))
                return false;
        }
        if (n < PAGE)
            next_window(c);
    }
    return chart_history_looked_at(c);
}
