/* SPDX-License-Identifier: Apache-2.0
 *
 * Intake: MQTT payloads in, ledger entries and receipts out. No socket, no clock: the
 * program hands it messages and publishes what it returns.
 *
 *     ledger_begin -> intake_up, intake_up, intake_state ... -> ledger_commit
 *     committed?  intake_committed, then intake_receipt until 0, publishing each
 *     not?        intake_aborted: no receipt exists, the gateways will offer everything
 * again
 */
#ifndef CHART_INTAKE_H
#define CHART_INTAKE_H

#include "base/ids.h"
#include "chart/ledger.h"
#include "wire/receipt.h"

struct intake;

/* What the next stage is told while a batch is open, so that it need not read records
 * back. Each may be NULL. All pointers are borrowed for the call. The ledger may be
 * changed from inside (ledger_update on the entry). */
struct intake_hooks {
    void *context;
    /* A reading was stored. Those of a doubted source or unknown time are HELD already;
     * the rest RECEIVED. */
    void (*reading)(void *context, struct ledger_entry *entry,
                    const wardgate_Record *record);
    /* A record that is no reading was stored (and, if a gap or clock fix, entered). */
    void (*noted)(void *context, const struct ledger_entry *entry,
                  const wardgate_Record *record);
    /* A second content for an identity: entry is the first one, as it stands. In MATCHED
     * or further it must be stopped or withdrawn by the callee. */
    void (*conflict)(void *context, struct ledger_entry *entry);
    /* From intake_work: a fix is about to change the interval of this reading, which may
     * have been sent with the one that entry still has. */
    void (*retiming)(void *context, struct ledger_entry *entry);
    /* From intake_work, after a new clock fix: readings held for their time were judged
     * again; each that has a time now is RECEIVED again and passed here, as are KEPT and
     * HELD readings whose interval a fix has widened. record is not at hand. */
    void (*retimed)(void *context, struct ledger_entry *entry);
    /* Something about a gateway that a person should see, one line, no patient data. */
    void (*event)(void *context, const char *gateway, const char *text);
};

struct intake_counts { /* since intake_new; aborted batches are not counted */
    uint64_t envelopes, records,
        readings;             /* taken whole; of them new records, new readings */
    uint64_t same, conflicts; /* records seen before; with other content */
    uint64_t malformed,
        foreign; /* envelopes or records not understood; of another gateway */
    uint64_t doubted, untimed; /* readings held at once */
    uint64_t states, rollbacks,
        lost;                   /* states judged; stores found rolled back; seqs lost */
    uint64_t receipts, resends; /* given out */
};

/* ledger and hooks must outlive it. Returns NULL when out of memory. */
struct intake *intake_new(struct ledger *ledger, const struct intake_hooks *hooks);
void intake_free(struct intake *intake); /* NULL is fine */
void intake_count(const struct intake *intake, struct intake_counts *counts);

enum intake_error {
    INTAKE_MALFORMED =
        -20, /* the whole message was refused; counted, logged without content */
    INTAKE_FOREIGN = -21, /* it names another gateway than its topic */
};

/* Takes one `up` payload, in a batch. gateway comes from the topic. A bad record inside
 * is counted and skipped (it is not receipted); the others are taken. Returns records
 * taken (0..), an intake_error, or a ledger_error (then abort the batch). */
int intake_up(struct intake *intake, const char *gateway, const uint8_t *payload,
              size_t n, int64_t received_us);

/* Takes one `state` payload, in a batch. Compares epoch, first and next seq with the
 * ledger:
 * - next seq at or below what the ledger has, from a boot it has never seen in this
 * epoch: the store was rolled back or cloned; the source is doubted. From a known boot it
 * is only a late copy (a will, a retained or repeated message) and says nothing.
 * - seqs missing below the first: lost, an event.
 * - seqs missing above: a resend is asked for.
 * Queues a receipt with the newest ranges, so that a rolled-back board sees itself.
 * Returns 0 or an error as above. */
int intake_state(struct intake *intake, const char *gateway, const uint8_t *payload,
                 size_t n, int64_t received_us);

/* Queues a receipt with resend for every source of a gateway (all gateways: NULL) that
 * misses something, e.g. after a restore. It is given out after the next
 * intake_committed, which outside a batch may be called at once. Returns how many, or an
 * error. */
int intake_resend(struct intake *intake, const char *gateway);

/* A clock fix may give many readings their time: that work is done here, in a batch,
 * about max readings at a time (hooks->retimed). Returns how many were looked at, 0 =
 * nothing left to do, or a ledger_error. What is left survives a restart. */
int intake_work(struct intake *intake, int max, int64_t now_us);

/* The batch was committed: what it received may be receipted now. Or it was not. */
void intake_committed(struct intake *intake);
void intake_aborted(struct intake *intake);

/* The next receipt to publish, encoded. out has RECEIPT_SIZE_MAX bytes, gateway
 * NAME_MAX_LENGTH + 1. Returns its size, or 0 when there is none. */
int intake_receipt(struct intake *intake, char *gateway, uint8_t *out);

#endif
