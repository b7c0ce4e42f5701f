/* SPDX-License-Identifier: Apache-2.0
 *
 * Receipts: collected while a batch is open, true once it is committed, never sooner.
 */
#include <stdlib.h>
#include <string.h>

#include "chart/intake_internal.h"

/* The slot of a source, made when it is first needed; sources are numbered from 1
 * without holes. Touching it means that the end of the batch looks at it. */
struct intake_due *intake_due(struct intake *intake, uint32_t source)
{
    struct intake_due *due;

    if (source > intake->due_count) {
        uint32_t count = source + 15;
        /* A few more than asked: a ward's gateways arrive together. */
        struct intake_due *more = realloc(intake->dues, count * sizeof(*more));

        if (more == NULL)
            return NULL;
        memset(more + intake->due_count, 0, (count - intake->due_count) * sizeof(*more));
        intake->dues = more;
        intake->due_count = count;
    }
    due = &intake->dues[source - 1];
    due->source = source;
    due->touched = true;
    return due;
}

/* Notes seqs that the open batch has stored, or found stored. They are nothing
 * yet. */
int intake_due_add(struct intake *intake, uint32_t source, uint64_t first, uint64_t last)
{
    struct intake_due *due = intake_due(intake, source);

    return due != NULL && ranges_add(&due->fresh, first, last) == 0 ? LEDGER_OK
                                                                    : LEDGER_IO;
}

/* A resend goes with the newest ranges that are here: the board takes back its receipts
 * from `from` on, and marks those again at once, so that only what is missing comes. */
int intake_due_resend(struct intake *intake, uint32_t source, uint64_t from)
{
    struct range have[RECEIPT_RANGES_MAX];
    struct intake_due *due = intake_due(intake, source);
    int n = ledger_received(intake->ledger, source, have, RECEIPT_RANGES_MAX);

    if (due == NULL)
        return LEDGER_IO;
    if (n < 0)
        return n;
    due->resend_fresh = true;
    due->resend_from = from;
    for (int i = 0; i < n; i++)
        if (have[i].last >= from &&
            ranges_add(&due->fresh, have[i].first, have[i].last) != 0)
            return LEDGER_IO;
    return LEDGER_OK;
}

/* Asks for the oldest hole of each source. The board offers from there on; what
 * the receipt lists beside is left out again. */
int intake_resend(struct intake *intake, const char *gateway)
{
    uint32_t only = gateway != NULL ? ledger_name_find(intake->ledger, gateway) : 0;
    int asked = 0, error;

    for (uint32_t source = 1; source <= ledger_sources(intake->ledger); source++) {
        struct ledger_source row;
        struct range hole;

        if (ledger_source_get(intake->ledger, source, &row) != LEDGER_OK ||
            (gateway != NULL && row.gateway != only))
            continue;
        error = ledger_missing(intake->ledger, source, row.first, &hole);
        if (error == LEDGER_NOT_FOUND)
            continue;
        if (error != LEDGER_OK ||
            (error = intake_due_resend(intake, source, hole.first)) != LEDGER_OK)
            return error;
        asked++;
    }
    return asked;
}

/* Sums what a batch counted. Refusals and receipts are counted where they happen:
 * no abort undoes them. */
static void counts_add(struct intake_counts *to, const struct intake_counts *from)
{
    to->envelopes += from->envelopes;
    to->records += from->records;
    to->readings += from->readings;
    to->same += from->same;
    to->conflicts += from->conflicts;
    to->malformed += from->malformed;
    to->foreign += from->foreign;
    to->doubted += from->doubted;
    to->untimed += from->untimed;
    to->states += from->states;
    to->rollbacks += from->rollbacks;
    to->lost += from->lost;
}

/* The only place where seqs of a batch become receipts: a commit moves them from
 * fresh to ready, an abort forgets them. */
static void batch_end(struct intake *intake, bool committed)
{
    for (uint32_t i = 0; i < intake->due_count; i++) {
        struct intake_due *due = &intake->dues[i];

        if (!due->touched)
            continue;
        /* Out of memory costs a receipt, and so a re-send, no more. */
        for (size_t k = 0; committed && k < due->fresh.count; k++)
            (void)ranges_add(&due->ready, due->fresh.items[k].first,
                             due->fresh.items[k].last);
        due->resend = due->resend || (committed && due->resend_fresh);
        due->resend_fresh = false;
        due->fresh.count = 0;
        due->touched = false;
    }
    if (committed)
        counts_add(&intake->counts, &intake->batch);
    memset(&intake->batch, 0, sizeof(intake->batch));
}

/* Durable: from here on receipts may say so. */
void intake_committed(struct intake *intake)
{
    batch_end(intake, true);
}

/* Nothing of the batch was ever here, so nothing of it may be receipted, and what
 * was learnt from it is forgotten. */
void intake_aborted(struct intake *intake)
{
    batch_end(intake, false);
    /* What was learnt from the lost batch is not to be believed. */
    intake->fixes.valid = false;
    memset(&intake->retime, 0, sizeof(intake->retime));
}

/* Takes the oldest ranges out of ready into a receipt. */
static void ranges_take(struct intake_due *due, wardgate_Receipt *receipt)
{
    size_t n =
        due->ready.count < RECEIPT_RANGES_MAX ? due->ready.count : RECEIPT_RANGES_MAX;

    for (size_t i = 0; i < n; i++)
        receipt->ranges[i] =
            (wardgate_Range){due->ready.items[i].first, due->ready.items[i].last};
    receipt->ranges_count = (pb_size_t)n;
    if (n > 0)
        memmove(due->ready.items, due->ready.items + n,
                (due->ready.count - n) * sizeof(*due->ready.items));
    due->ready.count -= n;
}

/* One receipt a call, a source after the other. A source with more ranges than a
 * receipt holds comes again. When a name or row can't be read its receipts are
 * dropped: the gateway offers again, which is harmless. */
int intake_receipt(struct intake *intake, char *gateway, uint8_t *out)
{
    /* Where the last call ended: a source with much to say does not keep the others
     * waiting for ever. */
    for (; intake->due_next < intake->due_count; intake->due_next++) {
        struct intake_due *due = &intake->dues[intake->due_next];
        static const wardgate_Receipt empty = wardgate_Receipt_init_zero;
        wardgate_Receipt receipt = empty;
        char name[LEDGER_NAME_SIZE];
        struct ledger_source row;
        int n;

        if (due->ready.count == 0 && !due->resend)
            continue;
        if (ledger_source_get(intake->ledger, due->source, &row) != LEDGER_OK ||
            ledger_name_text(intake->ledger, row.gateway, name) != LEDGER_OK) {
            due->ready.count = 0;
            due->resend = false;
            continue;
        }
        memcpy(gateway, name, NAME_MAX_LENGTH);
        gateway[NAME_MAX_LENGTH] = '\0';
        memcpy(receipt.gateway, gateway, NAME_MAX_LENGTH + 1);
        memcpy(receipt.epoch, row.epoch.bytes, EPOCH_SIZE);
        receipt.resend = due->resend;
        receipt.resend_from = due->resend ? due->resend_from : 0;
        intake->counts.resends += due->resend;
        due->resend = false;
        ranges_take(due, &receipt);
        if ((n = receipt_encode(&receipt, out, RECEIPT_SIZE_MAX)) <= 0)
            continue;
        intake->counts.receipts++;
        return n;
    }
    intake->due_next = 0;
    return 0;
}
