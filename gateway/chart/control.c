/* SPDX-License-Identifier: Apache-2.0
 *
 * The verbs of the control socket. DESIGN.md has each one's request and answer.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/zone.h"
#include "chart/held.h"
#include "chart/ledger_log.h"
#include "chart/main_service.h"

#define PAGE_SIZE 64

/* --- Reading requests --- */

static const char *text_of(const json_t *request, const char *key)
{
    const char *text = json_string_value(json_object_get(request, key));
    return text ? text : "";
}

/* Exactly n digits. */
static bool digits(const char **at, int n, unsigned *value)
{
    for (*value = 0; n > 0; n--, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (unsigned)(**at - '0');
    }
    return true;
}

/* The next part of a time and what stands behind it. */
static bool part(const char **at, int n, char end, unsigned *value)
{
    return digits(at, n, value) && *(*at)++ == end;
}

/* "2026-07-22T14:05:09Z", milliseconds allowed. Absent: otherwise. False: not such a
 * time. */
static bool time_of(const json_t *request, const char *key, int64_t otherwise,
                    int64_t *utc_us)
{
    const char *at = text_of(request, key);
    unsigned v[7] = {0};
    *utc_us = otherwise;
    if (!json_object_get(request, key))
        return true;
    if (!part(&at, 4, '-', &v[0]) || !part(&at, 2, '-', &v[1]) ||
        !part(&at, 2, 'T', &v[2]) || !part(&at, 2, ':', &v[3]) ||
        !part(&at, 2, ':', &v[4]) || !digits(&at, 2, &v[5]))
        return false;
    if (*at == '.' && (at++, !digits(&at, 3, &v[6])))
        return false;
    const struct civil t = {.year = (int32_t)v[0],
                            .month = (uint8_t)v[1],
                            .day = (uint8_t)v[2],
                            .hour = (uint8_t)v[3],
                            .minute = (uint8_t)v[4],
                            .second = (uint8_t)v[5],
                            .microsecond = v[6] * 1000};
    return strcmp(at, "Z") == 0 && civil_to_utc(&t, utc_us);
}

/* By the short name, as `held` lists it: numbers are for the ledger. */
static bool reason_of(const json_t *request, uint8_t *reason)
{
    const char *name = text_of(request, "reason");
    for (unsigned i = 1; i < 256; i++)
        if (strcmp(chart_reason_name((uint8_t)i), name) == 0 &&
            strcmp(name, "unknown") != 0) {
            *reason = (uint8_t)i;
            return true;
        }
    return false;
}

static json_t *time_json(int64_t utc_us)
{
    char text[ZONE_TEXT_SIZE];
    return json_string(utc_text(utc_us, text));
}

static json_t *count(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* --- Books and status --- */

/* `balanced` is computed from the parts rather than assumed: it is what P1 asks for. */
static json_t *books_json(struct service *s)
{
    struct ledger_books b;
    ledger_books(s->ledger, &b);
    uint64_t pending = ledger_pending(&b),
             parts = b.states[LEDGER_CHARTED] + b.states[LEDGER_KEPT] +
                     b.states[LEDGER_HELD] + b.states[LEDGER_REJECTED] + pending;
    return json_pack("{so so so so so so so so so so so so so so}", "decoded",
                     count(b.readings), "charted", count(b.states[LEDGER_CHARTED]),
                     "kept", count(b.states[LEDGER_KEPT]), "held",
                     count(b.states[LEDGER_HELD]), "rejected",
                     count(b.states[LEDGER_REJECTED]), "pending", count(pending), "noted",
                     count(b.states[LEDGER_NOTED]), "conflicts", count(b.conflicts),
                     "gaps", count(b.gaps), "gap_readings", count(b.gap_readings),
                     "gaps_unknown", count(b.gaps_unknown), "lost", count(b.lost),
                     "damaged", count(b.damaged), "balanced",
                     json_boolean(parts == b.readings));
}

static json_t *destinations_json(struct service *s)
{
    json_t *list = json_array();
    struct chart_link_status d;
    for (size_t i = 0; chart_link_status(s->chart, i, &d); i++)
        json_array_append_new(
            list, json_pack("{ss so so so so so so so}", "name", d.name, "up",
                            json_boolean(d.up), "under_way", count(d.under_way), "queued",
                            count(d.queued), "waiting", count(d.waiting), "sent",
                            count(d.sent), "done", count(d.done), "dead", count(d.dead)));
    return list;
}

/* Expiry dates are here so that somebody sees them before the day. */
static json_t *broker_json(struct service *s)
{
    struct tls_link_status t;
    memset(&t, 0, sizeof t);
    if (s->tls)
        tls_link_status(s->tls, &t);
    return json_pack("{so ss ss ss so so so so}", "connected",
                     json_boolean(s->mqtt && mqtt_is_connected(s->mqtt)), "error",
                     t.error, "peer", t.peer, "version", t.version, "own_expiry",
                     t.own_expiry_utc_us ? time_json(t.own_expiry_utc_us) : json_null(),
                     "peer_expiry",
                     t.peer_expiry_utc_us ? time_json(t.peer_expiry_utc_us) : json_null(),
                     "receipts_waiting", count(s->waiting_count), "dropped",
                     count(s->dropped_inputs));
}

static json_t *feed_json(struct service *s, const struct chart_counts *c)
{
    struct mllp_server_counts m;
    struct census_counts census;
    mllp_server_counts(s->adt, &m);
    census_counts(chart_census(s->chart), &census);
    return json_pack("{so so so so so so so so so so so so}", "port",
                     count(mllp_server_port(s->adt)), "peers", count(m.peers), "messages",
                     count(c->adt), "repeated", count(c->adt_repeated), "conflicts",
                     count(c->adt_conflicts), "refused", count(c->adt_refused), "foreign",
                     count(c->adt_foreign), "ignored", count(c->adt_ignored), "patients",
                     count(census.patients), "stays", count(census.stays),
                     "identity_doubts", count(census.conflicts), "census_until",
                     c->census_until_us != 0 ? time_json(c->census_until_us)
                                             : json_null());
}

static json_t *counts_json(struct service *s, const struct chart_counts *c)
{
    struct intake_counts i;
    chart_intake_counts(s->chart, &i);
    return json_pack("{so so so so so so so so so so so so so so so so so so}",
                     "envelopes", count(i.envelopes), "records", count(i.records), "same",
                     count(i.same), "malformed", count(i.malformed), "foreign",
                     count(i.foreign), "rollbacks", count(i.rollbacks), "receipts",
                     count(i.receipts), "judged", count(c->judged), "reopened",
                     count(c->reopened), "withdrawals", count(c->withdrawals), "replaced",
                     count(c->replaced), "answers", count(c->answers), "refusals",
                     count(c->refusals), "timeouts", count(c->timeouts), "strays",
                     count(c->strays), "commits", count(c->commits), "failed_commits",
                     count(c->failed_commits), "open", count(c->open));
}

static void verb_status(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct chart_counts c;
    struct ledger_space space = {0, 0, 0};
    (void)request;
    chart_count(s->chart, &c);
    ledger_space(s->ledger, &space);
    control_send(peer,
                 json_pack("{sb ss ss so ss so so so so so so so s{so so so}}", "ok", 1,
                           "version", WARDGATE_VERSION, "site", s->config.site, "since",
                           time_json(s->started_us), "trouble", chart_trouble(s->chart),
                           "books", books_json(s), "broker", broker_json(s), "adt",
                           feed_json(s, &c), "destinations", destinations_json(s),
                           "counts", counts_json(s, &c), "overdue", missing_overdue(s),
                           "losses", missing_losses(s), "ledger", "used",
                           count(space.used), "size_max", count(space.size_max),
                           "disk_free", count(space.disk_free)));
}

static void verb_books(void *context, const json_t *request, struct control_peer *peer)
{
    json_t *books = books_json(context);
    (void)request;
    json_object_set_new(books, "ok", json_true());
    control_send(peer, books);
}

static void end(struct control_peer *peer, int64_t lines)
{
    control_send(peer,
                 json_pack("{sb sb sI}", "ok", 1, "end", 1, "lines", (json_int_t)lines));
}

/* --- The worklist --- */

static void send_held(void *context, const struct held_line *line)
{
    control_send(context,
                 json_pack("{ss ss ss so so so sb sb}", "place", line->place, "reason",
                           chart_reason_name(line->reason), "why",
                           chart_reason_text(line->reason), "readings",
                           count(line->readings), "from", time_json(line->from_us), "to",
                           time_json(line->to_us), "timed", line->timed, "more",
                           line->more));
}

static void verb_held(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    (void)request;
    int n = held_each(s->chart, send_held, peer);
    if (n < 0)
        control_fail(peer, "the ledger can't be read: %s", ledger_failure(s->ledger));
    else
        end(peer, n + missing_held(s, peer));
}

static void answer_decision(struct service *s, struct control_peer *peer, int n,
                            const char *what)
{
    static const struct {
        int error;
        const char *text;
    } errors[] = {{HELD_WHO, "who: a person's login is needed (47 characters at most, no "
                             "part of the service)"},
                  {HELD_PATIENT,
                   "number: no patient has it, or more than one: give the authority too"},
                  {HELD_NOTHING, "nothing is selected by that"},
                  {HELD_TOO_MANY,
                   "more than can be decided at once: select a shorter time"},
                  {HELD_STATE, "not possible for these readings: see their reason"}};
    if (n >= 0) {
        service_run(
            s); /* a decision is answered when it is on disk, like everything else */
        if (!*chart_trouble(s->chart)) {
            control_send(peer, json_pack("{sb sI}", "ok", 1, what, (json_int_t)n));
            return;
        }
        n = HELD_LEDGER;
    }
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (errors[i].error == n) {
            control_fail(peer, "%s", errors[i].text);
            return;
        }
    control_fail(peer, "the ledger can't take it now: %s", ledger_failure(s->ledger));
}

/* A selection without a reason is refused: two lines of one bed are two questions. */
static bool selection_of(const json_t *request, struct held_selection *selection,
                         struct control_peer *peer)
{
    selection->place = text_of(request, "place");
    if (!reason_of(request, &selection->reason)) {
        control_fail(peer, "reason: one of the names that `held` lists is needed");
        return false;
    }
    if (!time_of(request, "from", INT64_MIN, &selection->from_us) ||
        !time_of(request, "to", INT64_MAX, &selection->to_us)) {
        control_fail(peer, "from, to: a time like 2026-07-22T14:05:09.250Z is needed");
        return false;
    }
    return true;
}

static void verb_assign(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct held_selection selection;
    if (selection_of(request, &selection, peer))
        answer_decision(s, peer,
                        held_assign(s->chart, &selection, text_of(request, "number"),
                                    text_of(request, "authority"),
                                    text_of(request, "who"), clock_utc_us()),
                        "readings");
}

static void verb_discard(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct held_selection selection;
    if (selection_of(request, &selection, peer))
        answer_decision(s, peer,
                        held_discard(s->chart, &selection, text_of(request, "why"),
                                     text_of(request, "who"), clock_utc_us()),
                        "readings");
}

static void verb_trust(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    answer_decision(s, peer,
                    held_trust(s->chart, text_of(request, "gateway"),
                               text_of(request, "who"), clock_utc_us()),
                    "readings");
}

static void verb_whole(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    answer_decision(s, peer,
                    held_census_whole(s->chart, text_of(request, "who"), clock_utc_us()),
                    "readings");
}

/* --- Dead letters --- */

/* Gateway, epoch and seq name a reading everywhere; none of them says anything about a
 * patient. */
static json_t *identity_json(struct service *s, struct ledger_id id)
{
    struct ledger_source source;
    char gateway[LEDGER_NAME_SIZE] = "", hex[2 * EPOCH_SIZE + 1] = "";
    if (ledger_source_get(s->ledger, id.source, &source) == 0) {
        ledger_name_text(s->ledger, source.gateway, gateway);
        hex_text(source.epoch.bytes, EPOCH_SIZE, hex);
    }
    return json_pack("{ss ss so}", "gateway", gateway, "epoch", hex, "seq",
                     count(id.seq));
}

static int dead_of(struct service *s, size_t destination, const char *name,
                   struct control_peer *peer)
{
    static const char *const kinds[] = {"result", "withdrawal", "correction"};
    struct ledger_cursor cursor = {.size = 0};
    struct ledger_message page[PAGE_SIZE];
    uint32_t number = ledger_name_find(s->ledger, name);
    int n, lines = 0;
    (void)destination;
    while (number && (n = ledger_out_list(s->ledger, number, LEDGER_OUT_DEAD, &cursor,
                                          page, PAGE_SIZE)) > 0)
        for (int i = 0; i < n; i++, lines++) {
            json_t *line = identity_json(s, page[i].id);
            json_object_set_new(line, "message", count(page[i].number));
            json_object_set_new(line, "destination", json_string(name));
            json_object_set_new(line, "control", json_string(page[i].control));
            json_object_set_new(line, "kind",
                                json_string(page[i].kind < 3 ? kinds[page[i].kind]
                                                             : "?"));
            json_object_set_new(line, "detail", json_string(page[i].detail));
            json_object_set_new(line, "attempts", count(page[i].attempts));
            json_object_set_new(line, "made", time_json(page[i].created_us));
            control_send(peer, line);
        }
    return lines;
}

static void verb_dead(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct chart_link_status d;
    int lines = 0;
    (void)request;
    for (size_t i = 0; chart_link_status(s->chart, i, &d); i++)
        lines += dead_of(s, i, d.name, peer);
    end(peer, lines);
}

static void verb_resend(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct chart_link_status d;
    json_int_t message = json_integer_value(json_object_get(request, "message"));
    for (size_t i = 0; chart_link_status(s->chart, i, &d); i++)
        if (strcmp(d.name, text_of(request, "destination")) == 0) {
            answer_decision(s, peer,
                            held_resend(s->chart, i, message > 0 ? (uint64_t)message : 0,
                                        text_of(request, "who"), clock_utc_us()),
                            "messages");
            return;
        }
    control_fail(peer, "destination: no such one");
}

/* --- Gateways --- */

/* `missing` is what the gateway has and the ledger lacks: more than a moment of it wants
 * looking at. */
static void verb_sources(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct ledger_source source;
    uint32_t n = ledger_sources(s->ledger), lines = 0;
    (void)request;
    for (uint32_t i = 1; i <= n; i++) {
        char gateway[LEDGER_NAME_SIZE] = "", hex[2 * EPOCH_SIZE + 1];
        if (ledger_source_get(s->ledger, i, &source) != 0)
            continue;
        ledger_name_text(s->ledger, source.gateway, gateway);
        control_send(peer,
                     json_pack("{ss ss so so so so so sb}", "gateway", gateway, "epoch",
                               hex_text(source.epoch.bytes, EPOCH_SIZE, hex), "head",
                               count(source.head), "received", count(source.received),
                               "replaced", count(source.replaced), "lost",
                               count(source.lost), "missing", count(source.missing),
                               "doubted", source.doubted));
        lines++;
    }
    end(peer, lines);
}

static void verb_offer(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    const char *gateway = text_of(request, "gateway");
    int n = chart_resend(s->chart, *gateway ? gateway : NULL);
    if (n < 0)
        control_fail(peer, "the ledger can't be read: %s", ledger_failure(s->ledger));
    else
        control_send(peer, json_pack("{sb si}", "ok", 1, "sources", n));
}

/* --- Beds --- */

struct bed_list {
    struct service *s;
    struct control_peer *peer;
    const json_t *request;
    int64_t now_us;
    int64_t lines;
};

/* Who is where now. Names and numbers only when they are asked for: the socket is the
 * service's own, a screen may not be. */
static void send_bed(void *context, const struct census_stay *stay)
{
    struct bed_list *list = context;
    struct census_patient patient;
    char place[LEDGER_NAME_SIZE];
    if (stay->from_low_us > list->now_us || stay->to_high_us <= list->now_us)
        return;
    snprintf(place, sizeof place, "%.120s", stay->location);
    json_t *line =
        json_pack("{ss so sb sb}", "location", place, "since",
                  time_json(stay->from_low_us), "away", (stay->flags & CENSUS_AWAY) != 0,
                  "doubt", (stay->flags & ~(uint32_t)CENSUS_AWAY) != 0);
    if (json_is_true(json_object_get(list->request, "names")) &&
        census_patient(chart_census(list->s->chart), stay->patient, &patient)) {
        json_object_set_new(line, "number", json_string(patient.number));
        json_object_set_new(line, "family", json_string(patient.family));
        json_object_set_new(line, "given", json_string(patient.given));
    }
    control_send(list->peer, line);
    list->lines++;
}

static void verb_census(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct bed_list list = {.s = s,
                            .peer = peer,
                            .request = request,
                            .now_us = clock_utc_us()};
    census_each(chart_census(s->chart), send_bed, &list);
    end(peer, list.lines);
}

/* These are the lines that the table of beds lacks: copying them there is the remedy. */
static void verb_unmapped(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    const char *location;
    uint64_t times;
    size_t i = 0;
    (void)request;
    for (; (location = adt_site_unmapped(s->site, i, &times)); i++)
        control_send(peer, json_pack("{ss so}", "location", location, "messages",
                                     count(times)));
    end(peer, (int64_t)i);
}

/* --- One reading's life --- */

static const char *state_name(enum ledger_state state)
{
    static const char *const names[LEDGER_STATES] = {"noted",       "received",
                                                     "kept",        "held",
                                                     "matched",     "sent",
                                                     "charted",     "rejected",
                                                     "withdrawing", "withdrawn"};
    return state < LEDGER_STATES ? names[state] : "?";
}

/* Newest first, along the chain that each change keeps to the one before it. */
static void verb_history(void *context, const json_t *request, struct control_peer *peer)
{
    struct service *s = context;
    struct epoch epoch;
    struct ledger_entry entry;
    struct ledger_change change;
    struct ledger_id id = {
        .seq = (uint64_t)json_integer_value(json_object_get(request, "seq"))};
    int64_t lines = 0;
    if (!hex_bytes(text_of(request, "epoch"), epoch.bytes, EPOCH_SIZE) ||
        ledger_source(s->ledger, text_of(request, "gateway"), &epoch, &id.source) != 0 ||
        ledger_get(s->ledger, id, &entry) != 0) {
        control_fail(peer, "gateway, epoch, seq: no such reading");
        return;
    }
    for (uint64_t n = entry.last_change;
         n != 0 && ledger_change_get(s->ledger, n, &change) == 0; n = change.previous) {
        control_send(peer,
                     json_pack("{so ss ss ss so ss}", "when", time_json(change.when_us),
                               "from", state_name(change.from), "to",
                               state_name(change.to), "reason",
                               chart_reason_name(change.reason), "generation",
                               count(change.generation), "who", change.who));
        lines++;
    }
    control_send(peer, json_pack("{sb sb sI ss}", "ok", 1, "end", 1, "lines",
                                 (json_int_t)lines, "state", state_name(entry.state)));
}

const struct control_verb chart_verbs[] = {
    {"status", verb_status},   {"books", verb_books},
    {"held", verb_held},       {"assign", verb_assign},
    {"discard", verb_discard}, {"trust", verb_trust},
    {"dead", verb_dead},       {"resend", verb_resend},
    {"sources", verb_sources}, {"offer", verb_offer},
    {"census", verb_census},   {"unmapped", verb_unmapped},
    {"history", verb_history}, {"losses", verb_losses},
    {"whole", verb_whole},     {NULL, NULL}};
