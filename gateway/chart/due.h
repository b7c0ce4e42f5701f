/* SPDX-License-Identifier: Apache-2.0
 *
 * Which values of matched readings go into the chart, and which are only kept. The
 * default is the newest valid value of each quantity per minute, stay and device; spot
 * checks and cuff readings always go. Pure: readings and time in, decisions out; the same
 * inputs give the same decisions.
 *
 * Time is cut into buckets of the quantity's interval since 1970 (UTC). Within an open
 * bucket the newest valid value leads; one that is overtaken is kept at once, the leader
 * is due when its bucket closes. A bucket closes when a reading of its device arrives
 * that was measured after it (by up to DUE_STREAM_US: live readings beside a backlog do
 * not close the backlog's buckets), or when nothing has come into it for the grace after
 * its end. What comes into a closed bucket is kept if that bucket's quantity has been
 * charted, and due (again at a close) if not: the ledger answers that through
 * was_charted, so that a restart needs no state of ours: feed the readings that were
 * matched and not yet decided, in any order, and go on.
 */
#ifndef CHART_DUE_H
#define CHART_DUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* of one reading; observation i is bit i of a mask */
#define DUE_OBSERVATIONS_MAX   32
#define DUE_GRACE_US           INT64_C(15000000) /* after a bucket's end or its last arrival */
#define DUE_STREAM_US          INT64_C(300000000) /* 5 min */
#define DUE_INTERVAL_DEFAULT_S 60
#define DUE_INTERVAL_MAX_S     86400
/* readings that lead some bucket; beyond it the oldest bucket closes early */
#define DUE_OPEN_MAX 65536

struct due;

/* One line of a care setting's table. */
struct due_interval {
    uint32_t code;       /* MDC; 0 = every code without a line of its own */
    uint32_t interval_s; /* 0 = every reading; must divide a day */
};

struct due_reading {
    uint64_t stay; /* census_stay.stay */
    /* any number that names one device for ever (gateway and device id hashed) */
    uint64_t device;
    /* the caller's handle, given back in decisions; unique among open readings. Breaks
     * ties of time: the larger is newer */
    uint64_t ref;
    int64_t t_us; /* measured at */
    /* spot check, stored measurement, order: every valid value is due now */
    bool always;
    uint32_t n;     /* observations, up to DUE_OBSERVATIONS_MAX */
    uint32_t valid; /* bit i: observation i has a value that may be charted */
    uint32_t codes[DUE_OBSERVATIONS_MAX];
};

struct due_decision {
    uint64_t ref;
    uint32_t due; /* observations to chart, by this decision; each bit is given once */
    /* nothing of this reading is undecided any more: bits never given as due are kept. A
     * reading whose final decisions are all without bits is kept whole */
    bool final;
};

struct due_options {
    const struct due_interval *table; /* copied; may be NULL */
    size_t table_count;
    int64_t grace_us; /* 0 = DUE_GRACE_US */
    /* Whether a value of this code, stay and device with measurement time in [from_us,
     * to_us) has been charted (or sent, or handed to the outbox). Called when a bucket
     * opens. NULL = never. */
    bool (*was_charted)(void *context, uint64_t stay, uint64_t device, uint32_t code,
                        int64_t from_us, int64_t to_us);
    void *context;
};

/* Returns NULL when memory is short or an interval does not divide a day. due_free takes
 * NULL. */
struct due *due_new(const struct due_options *options);
void due_free(struct due *due);

/* Takes one matched reading. *decisions (valid until the next call) has *n entries, of
 * this and of other readings. now_us is the chart server's clock. Returns 0, -1 when
 * memory is short (the reading was not taken), -2 when ref is open already. */
int due_feed(struct due *due, const struct due_reading *reading, int64_t now_us,
             const struct due_decision **decisions, size_t *n);

/* Closes what the time has closed. Call about once a second, or at due_next_us. */
int due_tick(struct due *due, int64_t now_us, const struct due_decision **decisions,
             size_t *n);

/* When to call due_tick at the earliest (it may find that it is too early still);
 * INT64_MAX if nothing is open. */
int64_t due_next_us(const struct due *due);

/* Forgets an open reading without a decision: its match has changed; feed it again under
 * the new stay. True if it was open. A value that it had overtaken was decided as kept:
 * evaluate the kept readings of its bucket again (due_widen). */
bool due_forget(struct due *due, uint64_t ref);

/* A code that is measured now and then rather than all the time: cuff pressures (MDC
 * 150020-150023 and their pulse), always charted. */
bool due_is_spot(uint32_t code);

/* The interval of a code in this table, in seconds. */
uint32_t due_interval_s(const struct due *due, uint32_t code);

/* Widens a window to whole buckets of the longest interval: withdrawing the newest of a
 * minute may make an earlier, kept one due. Open ends (INT64_MIN, INT64_MAX) stay. */
void due_widen(const struct due *due, int64_t *from_us, int64_t *to_us);

size_t due_open(const struct due *due); /* readings that lead some bucket now */

#endif
