/* SPDX-License-Identifier: Apache-2.0
 *
 * The worklist: what is held, in lines that a ward can work through, and what a person
 * may do about it. Every decision is a change in the ledger with who and when; `who` is
 * the login of a person, never a patient.
 */
#ifndef CHART_HELD_H
#define CHART_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chart/chart.h"

#define HELD_BREAK_US                                                                    \
    (INT64_C(600) * 1000000) /* a pause of so long begins a new line                     \
                              */
#define HELD_LOOKED_AT_MAX                                                               \
    100000 /* readings behind one line's interval; beyond it the line says that there    \
              are more */
#define HELD_AT_ONCE_MAX 20000 /* readings that one decision takes */

enum held_error {
    HELD_WHO =
        -30, /* an author is missing, too long, or the name of a part of the service */
    HELD_PATIENT = -31,  /* no such patient, or more than one */
    HELD_NOTHING = -32,  /* the selection has no reading */
    HELD_TOO_MANY = -33, /* more than HELD_AT_ONCE_MAX: select less */
    HELD_STATE = -34,    /* not possible for what it is now */
    HELD_LEDGER = -35,   /* the ledger can't take it now: chart_trouble says why */
};

struct held_line {
    char place[LEDGER_NAME_SIZE]; /* "" = none */
    uint64_t readings;
    uint8_t reason;
    bool more;  /* HELD_LOOKED_AT_MAX was reached */
    bool timed; /* false: the times are not known; from and to are then when they were
                   received */
    int64_t from_us, to_us; /* first and last measurement */
};

/* Calls line for every (place, reason, unbroken interval), reasons together. Returns how
 * many, or HELD_LEDGER. */
int held_each(struct chart *chart,
              void (*line)(void *context, const struct held_line *line), void *context);

struct held_selection {
    const char *place; /* by name; "" or NULL = readings without a place */
    uint8_t reason;
    int64_t from_us, to_us; /* both inclusive, of the measurement (of receipt where that
                               is not known) */
};

/* "They are this patient's": charts the selection, thinned as anything else, on the
 * patient with that number (and authority, unless
 * ""), on the visit that the patient had then. Returns how many readings it decided, or a
 * held_error. Not possible for readings whose time is not known, that conflict, or that
 * stand in another chart. */
int held_assign(struct chart *chart, const struct held_selection *selection,
                const char *number, const char *authority, const char *who,
                int64_t now_us);

/* "They are nobody's": never charted; they stay in the ledger as rejected. For a
 * withdrawal that an EPR refused it means "I have corrected that chart by hand": the
 * reading is then judged anew. why is kept, sealed. Same returns. */
int held_discard(struct chart *chart, const struct held_selection *selection,
                 const char *why, const char *who, int64_t now_us);

/* Sends dead letters again, byte for byte: one by its number, or all of a destination
 * (number 0). A refused reading whose stay has changed meanwhile is judged anew instead.
 * Returns how many messages, or a held_error. */
int held_resend(struct chart *chart, size_t destination, uint64_t number, const char *who,
                int64_t now_us);

/* A person says that a gateway's store is to be believed again: its held readings are
 * judged. Same returns. */
int held_trust(struct chart *chart, const char *gateway, const char *who, int64_t now_us);

/* A person says that the PAS has told again all that came after the copy was made that
 * this ledger was put back from: what waits for that is judged, and gateways are asked
 * for what is missing. Same returns; HELD_NOTHING if it was not put back. */
int held_census_whole(struct chart *chart, const char *who, int64_t now_us);

#endif
