/* SPDX-License-Identifier: Apache-2.0
 *
 * Taking records: checked, stored once, held at once where nobody could believe them.
 */
#include "chart/intake.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chart/intake_internal.h"
#include "wire/envelope.h"

/* Holds no state that matters: what intake knows beyond counters is in the ledger,
 * so a restart loses nothing but receipts not yet published, and those cost a re-
 * send. */
struct intake *intake_new(struct ledger *ledger, const struct intake_hooks *hooks)
{
    struct intake *intake = calloc(1, sizeof(*intake));

    if (intake != NULL) {
        intake->ledger = ledger;
        if (hooks != NULL)
            intake->hooks = *hooks;
    }
    return intake;
}

/* The ledger is the caller's. A batch that is open is not touched: its owner
 * aborts it. */
void intake_free(struct intake *intake)
{
    if (intake == NULL)
        return;
    for (uint32_t i = 0; i < intake->due_count; i++) {
        ranges_free(&intake->dues[i].fresh);
        ranges_free(&intake->dues[i].ready);
    }
    free(intake->dues);
    free(intake);
}

/* Counts of committed work. Refusals are the exception: see refuse(). */
void intake_count(const struct intake *intake, struct intake_counts *counts)
{
    *counts = intake->counts;
}

/* For people: formatted here so that no caller passes a format from outside. Texts
 * name gateways, fields and numbers, never values or patients. */
void intake_event(struct intake *intake, const char *gateway, const char *format, ...)
{
    char text[LEDGER_ERROR_SIZE];
    va_list arguments;

    va_start(arguments, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it has just been started */
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (intake->hooks.event != NULL)
        intake->hooks.event(intake->hooks.context, gateway, text);
}

/* Refused messages say who sent them and which field was at fault, never what was in it.
 * They are counted at once: whatever becomes of the batch, they came. */
static int refuse(struct intake *intake, const char *gateway, int error, const char *what)
{
    if (error == INTAKE_FOREIGN) {
        intake->counts.foreign++;
        intake_event(intake, gateway, "refused: it names another gateway than its topic");
    } else {
        intake->counts.malformed++;
        intake_event(intake, gateway, "refused: malformed %s", what);
    }
    return error;
}

/* --- records --- */

/* An empty text is no name: number 0, which no table uses. */
static int name_of(struct intake *intake, const char *text, uint32_t *number)
{
    *number = 0;
    return text[0] == '\0' ? LEDGER_OK : ledger_name(intake->ledger, text, number);
}

/* Places are the site's; a device's name is only unique on its gateway. */
int intake_names(struct intake *intake, const char *gateway, const char *id,
                 const char *at, uint32_t *device, uint32_t *place)
{
    char name[LEDGER_NAME_SIZE] = "";
    int error;

    /* Both parts are bounded by the wire's limits: together they fit. */
    if (id[0] != '\0') {
        size_t n = strlen(gateway);
        memcpy(name, gateway, n + 1);
        name[n] = '/';
        memcpy(name + n + 1, id, strlen(id) + 1);
    }
    if ((error = name_of(intake, at, place)) != LEDGER_OK)
        return error;
    return name_of(intake, name, device);
}

/* When the reading was measured, as far as it can be said now. Records that are no
 * readings keep boot and monotonic time (a rollback is recognised by boots), but
 * have no interval: nothing is charted by them. */
static int time_of(struct intake *intake, const wardgate_Record *record,
                   struct ledger_new *new, uint8_t *reason)
{
    const struct timebase_fixes *fixes = NULL;
    struct timebase_interval is;
    int error;

    *reason = LEDGER_REASON_NONE;
    if (!record->has_time)
        return LEDGER_OK;
    new->boot = record->time.boot;
    new->monotonic_us = record->time.monotonic_us;
    if (new->kind != wardgate_Record_Kind_READING)
        return LEDGER_OK;
    if ((error = intake_fixes(intake, new->gateway, new->boot, new->monotonic_us,
                              &fixes)) != LEDGER_OK)
        return error;
    timebase_resolve(&record->time, fixes, &is);
    new->time_known = is.known;
    new->t_low_us = is.low_us;
    new->t_high_us = is.high_us;
    *reason = timebase_reason(is.verdict);
    return LEDGER_OK;
}

/* Holds a new reading at once when its source is doubted or its time unknown. */
static int reading_take(struct intake *intake, struct ledger_entry *entry, bool doubted,
                        uint8_t reason)
{
    int error = LEDGER_OK;

    intake->batch.readings++;
    /* Doubt outweighs time: when the source is trusted again the time is still known. */
    if (doubted)
        reason = LEDGER_SOURCE_DOUBTED;
    if (reason != LEDGER_REASON_NONE) {
        entry->state = LEDGER_HELD;
        entry->reason = reason;
        error = ledger_update(intake->ledger, entry, entry->received_us, "intake");
        intake->batch.doubted += doubted;
        intake->batch.untimed += !doubted;
    }
    if (error == LEDGER_OK && intake->hooks.reading != NULL)
        intake->hooks.reading(intake->hooks.context, entry, &intake->record);
    return error;
}

/* Gaps and clock fixes have consequences in the ledger; events and bindings are
 * stored and passed on. A clock fix only makes a note of the work that follows: a
 * day of readings must not be re-judged inside the batch that brings it. */
static int noted_take(struct intake *intake, const char *gateway,
                      const struct ledger_new *new, struct ledger_entry *entry)
{
    const wardgate_Record *record = &intake->record;
    int error = LEDGER_OK;

    if (record->kind == wardgate_Record_Kind_GAP)
        error = intake_gap(intake, gateway, entry, &record->gap, new);
    else if (record->kind == wardgate_Record_Kind_CLOCK_FIX)
        error = intake_fix(intake, entry, &record->clock_fix);
    if (error == LEDGER_OK && intake->hooks.noted != NULL)
        intake->hooks.noted(intake->hooks.context, entry, record);
    return error;
}

/* The ledger has held the first content and doubted the source already. What was
 * sent on is beyond it: only the next stage can stop or withdraw that, so it is
 * told. */
static int conflict_take(struct intake *intake, const char *gateway,
                         struct ledger_entry *entry)
{
    intake->batch.conflicts++;
    intake_event(
        intake, gateway,
        "seq %llu came with other content: both are held, the gateway is doubted",
        (unsigned long long)entry->id.seq);
    if (intake->hooks.conflict != NULL)
        intake->hooks.conflict(intake->hooks.context, entry);
    return LEDGER_OK;
}

/* Stores one decoded record and does what follows. */
static int record_take(struct intake *intake, const char *gateway, struct ledger_new *new)
{
    struct ledger_source source;
    struct ledger_entry entry;
    uint8_t reason;
    int error;

    new->id.seq = intake->record.seq;
    new->kind = (uint8_t)intake->record.kind;
    new->boot = new->monotonic_us = 0;
    new->time_known = false;
    new->t_low_us = new->t_high_us = 0;
    if ((error = intake_names(intake, gateway, intake->record.device.id,
                              intake->record.place, &new->device, &new->place)) !=
            LEDGER_OK ||
        (error = time_of(intake, &intake->record, new, &reason)) != LEDGER_OK ||
        (error = ledger_store(intake->ledger, new, &entry)) < 0)
        return error;
    /* A repeat is receipted like the first: its gateway has not heard of it. */
    if (error == LEDGER_SAME) {
        intake->batch.same++;
        error = LEDGER_OK;
    } else if (error == LEDGER_CONFLICT) {
        error = conflict_take(intake, gateway, &entry);
    } else {
        intake->batch.records++;
        if (entry.state == LEDGER_NOTED)
            error = noted_take(intake, gateway, new, &entry);
        else if ((error = ledger_source_get(intake->ledger, entry.id.source, &source)) ==
                 LEDGER_OK)
            error = reading_take(intake, &entry, source.doubted, reason);
    }
    return error == LEDGER_OK
               ? intake_due_add(intake, new->id.source, new->id.seq, new->id.seq)
               : error;
}

/* Everything in a payload belongs to one source. A record that does not decode is
 * left out of the receipts, so its gateway keeps it; its neighbours are taken.
 * Only errors of the ledger end the work: then the whole batch must go, for nobody
 * could say what of it is there. */
int intake_up(struct intake *intake, const char *gateway, const uint8_t *payload,
              size_t n, int64_t received_us)
{
    struct ledger_new new = {.received_us = received_us};
    struct envelope_reader reader;
    const char *field;
    int taken = 0, bad = 0, error, more;

    if (!name_valid(gateway) || n == 0 || envelope_open(&reader, payload, n) != WIRE_OK)
        return refuse(intake, gateway, INTAKE_MALFORMED, "envelope");
    /* The broker lets a board publish under its own topic only, so the topic is the
     * one to believe. */
    if (strcmp(reader.gateway, gateway) != 0)
        return refuse(intake, gateway, INTAKE_FOREIGN, NULL);
    if ((error = ledger_source(intake->ledger, gateway, &reader.epoch, &new.id.source)) !=
            LEDGER_OK ||
        (error = ledger_name(intake->ledger, gateway, &new.gateway)) != LEDGER_OK)
        return error;

    while ((more = envelope_next(&reader, &new.record, &new.size)) > 0) {
        /* One line a payload, whatever is wrong with it: a broken board must not fill
         * the log. */
        if (record_decode(new.record, new.size, &intake->record, &field) != WIRE_OK) {
            if (bad++ == 0)
                (void)refuse(intake, gateway, INTAKE_MALFORMED,
                             field != NULL ? field : "record");
            else
                intake->counts.malformed++;
            continue;
        }
        if ((error = record_take(intake, gateway, &new)) != LEDGER_OK) {
            if (error != LEDGER_INVALID)
                return error;
            intake->counts.malformed++;
            continue;
        }
        taken++;
    }
    /* The rest can't be found any more; what was before it is taken. */
    if (more < 0)
        (void)refuse(intake, gateway, INTAKE_MALFORMED, "envelope");
    intake->batch.envelopes++;
    return taken;
}

/* --- states --- */

/* The highest seq that is here; 0 = none. */
static int newest(struct intake *intake, uint32_t source, uint64_t *seq)
{
    struct range top;
    int n = ledger_received(intake->ledger, source, &top, 1);

    *seq = n > 0 ? top.last : 0;
    return n < 0 ? n : LEDGER_OK;
}

/* A board that gives out again what we have is a copy, or was put back to an older state.
 * Only a boot that this epoch has never shown can prove it: a known boot's state may be
 * an old message that came late. */
static int rollback_check(struct intake *intake, const char *gateway, uint32_t source,
                          const wardgate_State *state)
{
    uint64_t top;
    int error = newest(intake, source, &top);

    if (error != LEDGER_OK || state->next_seq > top ||
        ledger_source_has_boot(intake->ledger, source, state->boot))
        return error;
    intake->batch.rollbacks++;
    intake_event(intake, gateway,
                 "its store was rolled back or copied: it will give seq %llu again, up "
                 "to %llu are here",
                 (unsigned long long)state->next_seq, (unsigned long long)top);
    return ledger_source_doubt(intake->ledger, source, true);
}

/* What is missing usually is on its way. It is asked for when nothing at all is here, or
 * when the same hole was there at the board's last state. */
static int hole_check(struct intake *intake, uint32_t source)
{
    struct intake_due *due = intake_due(intake, source);
    struct ledger_source row;
    struct range hole;
    int error;

    if (due == NULL)
        return LEDGER_IO;
    if ((error = ledger_source_get(intake->ledger, source, &row)) != LEDGER_OK)
        return error;
    error = ledger_missing(intake->ledger, source, row.first, &hole);
    if (error == LEDGER_NOT_FOUND) {
        due->hole = 0;
        return LEDGER_OK;
    }
    if (error == LEDGER_OK && (row.received == 0 || due->hole == hole.first))
        error = intake_due_resend(intake, source, hole.first);
    due->hole = hole.first;
    return error;
}

/* In this order: is it a copy, what does it say of the seqs, what is missing, and
 * last the receipt that shows the board what is here. A rolled-back board finds
 * seqs in it that it has never given. */
static int state_take(struct intake *intake, const char *gateway,
                      const wardgate_State *state)
{
    struct range have[RECEIPT_RANGES_MAX];
    struct epoch epoch;
    uint32_t source;
    struct ledger_source row;
    uint64_t lost, base = state->epoch_first;
    int n, error;

    memcpy(epoch.bytes, state->epoch, EPOCH_SIZE);
    if ((error = ledger_source(intake->ledger, gateway, &epoch, &source)) != LEDGER_OK ||
        (error = rollback_check(intake, gateway, source, state)) != LEDGER_OK ||
        (error = ledger_source_get(intake->ledger, source, &row)) != LEDGER_OK)
        return error;
    /* A board that does not say where its epoch begins, of which nothing is here: what it
     * still has is all that can be asked for. */
    if (base == 0 && row.received == 0)
        base = state->first_seq;
    if ((error = ledger_source_state(intake->ledger, source, base, state->first_seq,
                                     state->next_seq, &lost)) != LEDGER_OK)
        return error;
    /* Said once: the next state finds them lost already. */
    if (lost > 0) {
        intake->batch.lost += lost;
        intake_event(
            intake, gateway,
            "%llu records are lost: it no longer has them and no gap explains them",
            (unsigned long long)lost);
    }
    if ((error = hole_check(intake, source)) != LEDGER_OK)
        return error;
    if ((n = ledger_received(intake->ledger, source, have, RECEIPT_RANGES_MAX)) < 0)
        return n;
    for (int i = 0; i < n; i++)
        if ((error = intake_due_add(intake, source, have[i].first, have[i].last)) !=
            LEDGER_OK)
            return error;
    intake->batch.states++;
    return LEDGER_OK;
}

/* A state is small and comes once a connection, so it is decoded on the stack. */
int intake_state(struct intake *intake, const char *gateway, const uint8_t *payload,
                 size_t n, int64_t received_us)
{
    wardgate_State state;
    const char *field = NULL;

    (void)received_us;
    if (!name_valid(gateway) || state_decode(payload, n, &state, &field) != WIRE_OK)
        return refuse(intake, gateway, INTAKE_MALFORMED, field != NULL ? field : "state");
    if (strcmp(state.gateway, gateway) != 0)
        return refuse(intake, gateway, INTAKE_FOREIGN, NULL);
    return state_take(intake, gateway, &state);
}
