/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages for the outbox: made once, kept byte for byte until they are answered.
 */
#include <stdio.h>
#include <string.h>

#include "chart/chart_core.h"

/* The names of a reading's gateway and epoch, which every message of it is known by. */
static bool identity(struct chart *c, struct ledger_id id, char gateway[LEDGER_NAME_SIZE],
                     struct epoch *epoch)
{
    struct ledger_source source;
    int error = ledger_source_get(c->ledger, id.source, &source);
    if (error == 0)
        error = ledger_name_text(c->ledger, source.gateway, gateway);
    if (error != 0)
        return chart_fail(c, error);
    *epoch = source.epoch;
    return true;
}

/* Control ids are derived, so the message of a reading at a destination is found without
 * an index of its own. */
bool chart_message_find(struct chart *c, const struct destination *d,
                        const struct ledger_entry *entry, enum deliver_kind kind,
                        uint32_t generation, struct ledger_message *message)
{
    char gateway[LEDGER_NAME_SIZE], control[DELIVER_CONTROL_SIZE];
    const wardgate_Record named = {.seq = entry->id.seq};
    struct deliver_message m = {.kind = kind,
                                .destination = d->options.name,
                                .gateway = gateway,
                                .record = &named,
                                .generation = generation};
    if (!identity(c, entry->id, gateway, &m.epoch))
        return false;
    if (deliver_control(&m, control) != 0)
        return chart_fail(c, LEDGER_IO);
    int error = ledger_out_find(c->ledger, d->number, control, message);
    if (error != 0 && error != LEDGER_NOT_FOUND)
        return chart_fail(c, error);
    return error == 0;
}

/* The bed as the PAS writes it: the visit's own stay there, else anybody's, since it is
 * the same bed. */
const char *chart_location(struct chart *c, uint32_t place, int64_t low_us,
                           int64_t high_us, uint64_t stay)
{
    struct census_stay stays[8];
    const char *location = "";
    size_t n = census_at(c->census, chart_place(c, place)->id, low_us, high_us, stays, 8);
    if (n == 0)
        n = census_at(c->census, chart_place(c, place)->id, INT64_MIN, INT64_MAX, stays,
                      8);
    for (size_t i = 0; i < n && i < 8; i++) {
        if (!*location || stays[i].stay == stay)
            location = stays[i].location;
    }
    return location;
}

/* The generation that a result sent anew takes the place of: the last one withdrawn. */
static bool replaced_generation(struct chart *c, const struct ledger_entry *entry,
                                uint32_t *generation)
{
    struct ledger_change change;
    *generation = 0;
    for (uint64_t number = entry->last_change; number != 0; number = change.previous) {
        int error = ledger_change_get(c->ledger, number, &change);
        if (error != 0)
            return chart_fail(c, error);
        if (change.to == LEDGER_WITHDRAWN) {
            *generation = change.generation;
            return true;
        }
    }
    return true;
}

/* A patient that is gone from the census can't be named; then nothing is sent. */
static void describe(struct chart *c, const struct target *target,
                     struct census_patient *patient, struct deliver_patient *out)
{
    struct census_visit visit;
    if (census_patient(c->census, target->patient, patient))
        *out = (struct deliver_patient){.mrn = patient->number,
                                        .authority = patient->authority,
                                        .nhs = patient->nhs,
                                        .family = patient->family,
                                        .given = patient->given,
                                        .birth = patient->birth,
                                        .sex = patient->sex};
    out->location = target->location;
    if (census_visit(c->census, target->stay, &visit)) {
        out->visit = visit.visit && *visit.visit ? visit.visit : visit.account;
        out->category = visit.category;
    }
}

/* Queues one. False: the ledger failed. *made is false if this destination is not to have
 * it. */
static bool queue_one(struct chart *c, struct destination *d,
                      const struct ledger_entry *entry, struct deliver_message *m,
                      bool *made, uint64_t *number)
{
    struct ledger_message message = {.number = 0};
    char control[DELIVER_CONTROL_SIZE];
    *made = false;
    if (m->kind == DELIVER_WITHDRAWAL) {
        if (!chart_message_find(c, d, entry, DELIVER_RESULT, m->generation, &message))
            return c->error == 0;
        if (!deliver_may_have(&message))
            return true; /* it never got there */
    }
    m->destination = d->options.name;
    m->style = d->options.style;
    int size = (d->options.write ? d->options.write : deliver_hl7)(m, c->message,
                                                                   sizeof c->message);
    if (size < 0 || deliver_control(m, control) != 0)
        return true;
    bool live =
        m->kind != DELIVER_RESULT || m->made_utc_us - m->utc_us <= c->options.live_us;
    message = (struct ledger_message){.destination = d->number,
                                      .kind = (uint8_t)m->kind,
                                      .lane = live ? 0 : 1,
                                      .due_us = m->made_utc_us,
                                      .created_us = m->made_utc_us,
                                      .id = entry->id,
                                      .generation = m->generation,
                                      .tag = m->observations};
    snprintf(message.control, sizeof message.control, "%s", control);
    int error = ledger_out_add(c->ledger, &message, c->message, (size_t)size);
    if (error != 0 && error != LEDGER_EXISTS)
        return chart_fail(c, error);
    *number = message.number;
    *made = true;
    return true;
}

/* The time that is charted is the middle of the interval, its uncertainty half the width:
 * the same two numbers that matching used. */
bool chart_messages(struct chart *c, const struct ledger_entry *entry,
                    enum deliver_kind kind, uint32_t generation, uint32_t mask,
                    const struct target *target, int64_t now_us, size_t *count,
                    uint64_t *newest)
{
    char gateway[LEDGER_NAME_SIZE];
    struct census_patient patient;
    int64_t half = (entry->t_high_us - entry->t_low_us) / 2;
    struct deliver_message m = {.kind = kind,
                                .gateway = gateway,
                                .record = &c->record,
                                .generation = generation,
                                .observations = mask,
                                .utc_us = entry->t_low_us + half,
                                .uncertainty_ms = (uint32_t)((half + 999) / 1000),
                                .synced = true,
                                .made_utc_us = now_us};
    *count = 0;
    if (!identity(c, entry->id, gateway, &m.epoch) ||
        (kind == DELIVER_RESULT && !replaced_generation(c, entry, &m.replaces)))
        return false;
    describe(c, target, &patient, &m.patient);
    if (!m.patient.mrn || !*m.patient.mrn)
        return true; /* without a number there is nobody to chart on */
    for (size_t i = 0; i < c->destination_count; i++) {
        bool made;
        if (!queue_one(c, &c->destinations[i], entry, &m, &made, newest))
            return false;
        *count += made;
    }
    return true;
}
