/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbox part of the ledger: messages to EPRs, byte for byte as they were first sent,
 * until answered. The caveats of ledger.h hold: changes only in a batch, durable after
 * its commit.
 */
#ifndef CHART_LEDGER_OUT_H
#define CHART_LEDGER_OUT_H

#include "chart/ledger.h"

#define LEDGER_CONTROL_SIZE 80  /* bytes of a control id with its NUL */
#define LEDGER_DETAIL_SIZE  160 /* bytes of a refusal's text with its NUL */
#define LEDGER_MESSAGE_MAX  ((size_t)256 * 1024) /* bytes of one message */

enum ledger_out_state {
    /* never tried; listed by lane, then age */
    LEDGER_OUT_QUEUED,
    /* tried, to be tried again at due_us; listed by due_us */
    LEDGER_OUT_WAITING,
    /* on the wire, no answer yet */
    LEDGER_OUT_SENT,
    /* answered yes; its bytes are dropped, its control id stays */
    LEDGER_OUT_DONE,
    /* dead letter: refused for good; bytes and detail stay for a person */
    LEDGER_OUT_DEAD,
    /* overtaken before it was ever sent; bytes are dropped */
    LEDGER_OUT_CANCELLED,
    LEDGER_OUT_STATES
};

struct ledger_message {
    /* given by ledger_out_add, ascending */
    uint64_t number;
    /* a name's number */
    uint32_t destination;
    /* the caller's: result, correction, withdrawal */
    uint8_t kind;
    /* 0 = live, 1 = backfill; lower goes first */
    uint8_t lane;
    enum ledger_out_state state;
    uint32_t attempts;
    int64_t due_us, created_us;
    /* the reading; source 0 = none */
    struct ledger_id id;
    uint32_t generation;
    /* the caller's own number, e.g. which observations */
    uint64_t tag;
    char control[LEDGER_CONTROL_SIZE];
    /* why dead or waiting; never patient data */
    char detail[LEDGER_DETAIL_SIZE];
};

/* Adds a message as QUEUED; number, state and attempts are set. bytes are sealed and may
 * be freed after. LEDGER_EXISTS, with *message the earlier one, if the control id was
 * ever used for this destination. */
int ledger_out_add(struct ledger *ledger, struct ledger_message *message,
                   const void *bytes, size_t n);

int ledger_out_get(struct ledger *ledger, uint64_t number,
                   struct ledger_message *message);
int ledger_out_find(struct ledger *ledger, uint32_t destination, const char *control,
                    struct ledger_message *message);

/* The message's bytes. out needs capacity bytes; LEDGER_INVALID if that is too small (*n
 * says how many), LEDGER_NOT_FOUND once they were dropped. */
int ledger_out_bytes(struct ledger *ledger, uint64_t number, void *out, size_t capacity,
                     size_t *n);

/* Writes state, attempts, due_us, lane, tag and detail. Any state may follow any other
 * but DONE and CANCELLED, which are final: LEDGER_BAD_TRANSITION. */
int ledger_out_set(struct ledger *ledger, const struct ledger_message *message);

/* Forgets an answered message wholly (its control id too): for retention.
 * LEDGER_BAD_TRANSITION unless it is DONE or CANCELLED. */
int ledger_out_forget(struct ledger *ledger, uint64_t number);

/* Messages of one destination and state in the order of that state. Returns how many (0 =
 * end) or an error. */
int ledger_out_list(struct ledger *ledger, uint32_t destination,
                    enum ledger_out_state state, struct ledger_cursor *cursor,
                    struct ledger_message *out, int max);

/* How many there are: O(1). */
uint64_t ledger_out_count(struct ledger *ledger, uint32_t destination,
                          enum ledger_out_state state);

#endif
