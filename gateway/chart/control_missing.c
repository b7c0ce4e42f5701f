/* SPDX-License-Identifier: Apache-2.0
 *
 * What does not exist (losses.h) and what does not come (overdue.h), for people. Neither
 * is held: there is nothing to decide. But a ward that looks for a value must find that
 * there is none, and an engineer why.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/zone.h"
#include "chart/losses.h"
#include "chart/main_service.h"

#define LINES_MAX  10000 /* of one answer */
#define STATUS_MAX 10    /* newest lines that `status` shows */

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

static json_t *time_or_null(int64_t utc_us, bool known)
{
    char text[ZONE_TEXT_SIZE];
    return known ? json_string(utc_text(utc_us, text)) : json_null();
}

/* --- What does not exist --- */

struct lines {
    struct service *s;
    json_t *list;              /* `status` */
    struct control_peer *peer; /* a verb of its own */
};

/* The ledger names a device "gateway/device"; both are columns here. */
static json_t *loss_json(struct ledger *ledger, const struct loss_line *line)
{
    char gateway[LEDGER_NAME_SIZE] = "", device[LEDGER_NAME_SIZE] = "",
         place[LEDGER_NAME_SIZE] = "";
    bool timed = line->from_us != 0 || line->to_us != 0;
    size_t n;
    ledger_name_text(ledger, line->gateway, gateway);
    if (line->device)
        ledger_name_text(ledger, line->device, device);
    if (line->place)
        ledger_name_text(ledger, line->place, place);
    n = strlen(gateway);
    return json_pack("{ss ss ss ss so sb so so so so}", "gateway", gateway, "device",
                     strncmp(device, gateway, n) == 0 && device[n] == '/' ? device + n + 1
                                                                          : device,
                     "place", place, "reason", loss_reason_name(line->reason), "readings",
                     count(line->readings), "and_more", line->and_more, "gaps",
                     count(line->gaps), "from", time_or_null(line->from_us, timed), "to",
                     time_or_null(line->to_us, timed), "received",
                     time_or_null(line->received_us, true));
}

static void tell_loss(void *context, const struct loss_line *line)
{
    struct lines *lines = context;
    json_t *json = loss_json(lines->s->ledger, line);
    if (lines->list)
        json_array_append_new(lines->list, json);
    else
        control_send(lines->peer, json);
}

void verb_losses(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct lines lines = {.s = s, .peer = peer};
    bool older;
    (void)request;
    int n = losses_each(s->ledger, LINES_MAX, tell_loss, &lines, &older);
    if (n < 0)
        control_fail(peer, "the ledger can't be read: %s", ledger_failure(s->ledger));
    else
        control_send(peer, json_pack("{sb sb si sb}", "ok", 1, "end", 1, "lines", n,
                                     "older", older));
}

json_t *missing_losses(struct service *s)
{
    struct lines lines = {.s = s, .list = json_array()};
    bool older;
    (void)losses_each(s->ledger, STATUS_MAX, tell_loss, &lines, &older);
    return lines.list;
}

/* --- What does not come --- */

static void tell_overdue(void *context, const struct overdue_line *line)
{
    struct lines *lines = context;
    char gateway[LEDGER_NAME_SIZE] = "", why[LEDGER_NAME_SIZE + 160];
    int64_t now_us = clock_utc_us(), since_us = now_us - line->age_us;
    ledger_name_text(lines->s->ledger, line->gateway, gateway);
    if (lines->list) {
        json_array_append_new(lines->list,
                              json_pack("{ss so so so}", "gateway", gateway, "records",
                                        count(line->records), "first_seq",
                                        count(line->first), "since",
                                        time_or_null(since_us, true)));
        return;
    }
    (void)snprintf(why, sizeof why,
                   "Gateway %.100s has records that never arrive, though newer ones do: "
                   "an engineer must look at the broker's packet limit.",
                   gateway);
    control_send(lines->peer,
                 json_pack("{ss ss ss so so so sb sb}", "place", "", "reason",
                           "never-arrives", "why", why, "readings", count(line->records),
                           "from", time_or_null(since_us, true), "to",
                           time_or_null(now_us, true), "timed", 0, "more", 0));
}

json_t *missing_overdue(struct service *s)
{
    struct lines lines = {.s = s, .list = json_array()};
    (void)overdue_each(&s->overdue, s->ledger, (int64_t)clock_monotonic_us(),
                       tell_overdue, &lines);
    return lines.list;
}

int missing_held(struct service *s, struct control_peer *peer)
{
    struct lines lines = {.s = s, .peer = peer};
    return overdue_each(&s->overdue, s->ledger, (int64_t)clock_monotonic_us(),
                        tell_overdue, &lines);
}
