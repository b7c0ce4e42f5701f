/* SPDX-License-Identifier: Apache-2.0
 *
 * The books at the end of a simulated day: every reading served is looked for in the
 * ledger, in the gaps and in the hospital's record, and compared with the truth.
 */
#ifndef SIM_AUDIT_H
#define SIM_AUDIT_H

#include <stdio.h>

#include "chart/ledger.h"
#include "epr.h"
#include "gateway.h"
#include "ward.h"

struct served { /* one reading that a device gave to a running gateway */
    int bed;
    int patient;   /* the truth */
    int64_t at_us; /* the truth */
    uint64_t seq;  /* as the gateway numbered it; 0: it could not be kept */
};

struct audit {
    uint64_t served, decoded, charted, kept, held, rejected, pending, in_gap;
    uint64_t lost; /* P1: neither decoded nor inside a gap, or charted in the ledger but
                      not in the record */
    uint64_t duplicates; /* P2: stands twice, or decoded twice, or one control id with two
                            bodies */
    uint64_t wrong_patient;   /* P3: stands in another's chart than whose it is */
    uint64_t wrong_value;     /* P4 */
    uint64_t wrong_time;      /* P5: outside its stated uncertainty */
    uint64_t held_needlessly; /* held at rest though time, bed and patient are certain */
    uint64_t books;           /* the ledger's sums do not agree */
    uint64_t missing_wrong;   /* P7: gaps say another number of a device than it lost */
    uint64_t gaps, full_gaps; /* full: of a full store, with each device's count */
    uint64_t may_stand; /* the record refused what it may have taken: for a person */
};

/* why: where to say what is wrong, one line each; NULL: nowhere. */
void audit_day(struct audit *audit, struct ledger *ledger, const struct epr *epr,
               const struct ward *ward, const struct gateway *gateway,
               const struct served *served, size_t served_count, FILE *why);

/* True if nothing is lost, double, wrong or pending. */
bool audit_clean(const struct audit *audit);

#endif
