/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside the core: what chart*.c, deliver_queue.c and held.c share. Nobody else includes
 * this.
 */
#ifndef CHART_CHART_CORE_H
#define CHART_CHART_CORE_H

#include "chart/chart.h"

/* Readings waiting in memory, each a power of two. More are found in the ledger. */
#define BACKLOG_MAX 65536
#define URGENT_MAX  4096
/* Of the hash table: four times DUE_OPEN_MAX, a power of two. */
#define OPEN_SLOTS 262144
/* Readings judged in one run; of a backlog that is still coming in, fewer: a drain is
 * limited by how soon its receipts free the gateways' windows, and its judging can wait.
 */
#define JUDGE_MAX      1024
#define JUDGE_BUSY_MAX 32
/* A drain is on: a batch brought so many records, no longer ago than this. Then nothing
 * that can wait gets a commit of its own (two syncs, with a file destination's), for the
 * next records would have to wait for it; and messages are taken no more often than this.
 */
#define BUSY_RECORDS    128
#define QUIET_US        INT64_C(30000)
#define DELIVER_BUSY_US INT64_C(100000)
#define PAGE            64 /* entries read at a time */
/* Quantities of one interval that are remembered as charted. */
#define CHARTED_CODES_MAX 64
#define RETRY_MIN_US      INT64_C(1000000) /* after a failed commit; doubles up to */
#define RETRY_MAX_US      INT64_C(60000000)
#define SEQ_BITS          40 /* a reading's handle is source << SEQ_BITS | seq */

#define WHO_MATCH    "match" /* authors of changes that are no person's */
#define WHO_DUE      "due"
#define WHO_DELIVERY "delivery"

/* A reading inside an open charting interval: whose it is, and what of it is due so far.
 */
struct open_reading {
    uint64_t ref; /* 0 = free slot */
    uint64_t stay, original;
    const char *location; /* PV1-3; the census's */
    uint32_t due;         /* observations decided so far */
};

struct window { /* readings of this place and time are to be judged again */
    uint64_t place;
    int64_t from_us, to_us;
    struct ledger_cursor cursor;
};

struct place_slot { /* by the place's number in the ledger */
    bool known;
    bool mapped;
    uint64_t id; /* the census's */
};

enum slot_state { SLOT_FREE, SLOT_READY, SLOT_UNDER_WAY };

/* In a message's tag, above the mask of its observations: an attempt left and was not
 * answered. Whatever is answered to a later one, the destination may have it. */
#define OUT_UNANSWERED (UINT64_C(1) << 32)

struct slot { /* one message that the ledger calls SENT */
    enum slot_state state;
    uint8_t lane;
    bool unanswered; /* OUT_UNANSWERED, not yet written down */
    unsigned losses; /* connections that broke over it */
    uint64_t number;
    char control[DELIVER_CONTROL_SIZE];
};

struct destination {
    struct chart_destination options;
    uint32_t number; /* its name's, in the ledger */
    bool up;
    size_t used; /* slots that are not free */
    size_t under_way;
    struct slot slots[CHART_WINDOW_MAX]; /* in the order of sending from `first` on */
    int64_t last_success_us;
};

struct waiting { /* readings to be judged: a ring */
    struct ledger_id *ids;
    size_t first, count, size; /* size: a power of two */
};

struct answer { /* to the PAS, once the message is on disk */
    uint64_t peer;
    size_t at, n; /* in answers_text */
};

struct chart {
    struct chart_options options;
    struct ledger *ledger;
    struct due_interval *intervals; /* the copy that options.intervals points to */
    struct intake *intake;
    struct census *census;
    int64_t census_until_us; /* backup.h; 0: it knows all that the PAS has told */
    struct due *due;
    struct destination destinations[CHART_DESTINATIONS_MAX];
    size_t destination_count;

    /* The batch. */
    bool batch;
    int error;  /* first ledger_error of the batch; the commit will not be tried */
    bool stale; /* memory may not agree with the ledger: derive it anew before anything
                   else */
    bool first_run; /* the outbox's SENT messages of an earlier process are to be queued
                       again */
    int64_t retry_us, retry_wait_us;
    int64_t closed_until_us; /* nothing new is let in before: the ledger was full */
    size_t records;          /* taken in by the batch */
    char trouble[LEDGER_ERROR_SIZE];

    /* What is to be judged. */
    struct waiting urgent, backlog; /* the first goes before the second */
    int64_t busy_us, delivered_us;  /* last batch of a drain; last look at the outbox */
    bool rescan; /* a ring was too small, or this is the start: the ledger's lists say
                    the rest */
    enum ledger_state rescan_state;
    struct ledger_cursor rescan_cursor;
    bool retime;    /* a clock fix may have left work to intake */
    int64_t now_us; /* of the run: for hooks */
    bool
        remap; /* beds may have got names: what is held for want of one is judged again */
    struct ledger_cursor remap_cursor;
    struct window *windows; /* oldest first */
    size_t windows_first, windows_count, windows_capacity;
    uint64_t adt_applied, adt_judged; /* numbers of the ADT log */

    struct open_reading *open;
    size_t open_count;
    struct place_slot *places;
    size_t places_count;
    struct { /* which quantities of one interval are charted already: asked for each of a
                reading's in turn */
        uint64_t stay, device;
        int64_t from_us, to_us;
        uint32_t codes[CHARTED_CODES_MAX];
        size_t count;
        bool valid;
    } charted;
    uint32_t place; /* of the reading that is being fed */

    struct hl7_message *scratch;
    struct answer *answers;
    size_t answers_count, answers_capacity;
    char *answers_text;
    size_t answers_size, answers_text_capacity;

    wardgate_Record record; /* the one being looked at */
    uint8_t bytes[RECORD_SIZE_MAX];
    char message[LEDGER_MESSAGE_MAX];
    struct chart_counts counts;
};

/* --- chart.c --- */
/* Opens a batch if none is open. False: the ledger can't be used now. */
bool chart_batch(struct chart *c, int64_t now_us);
/* Notes a ledger_error: the batch is lost. Returns false, for `return chart_fail(...)`.
 */
bool chart_fail(struct chart *c, int error);

/* A drain is on: see BUSY_RECORDS. */
bool chart_busy(const struct chart *c, int64_t now_us);

/* --- chart_derive.c --- */
/* Throws away what is in memory and derives it from the ledger. Returns 0 or a
 * ledger_error. */
int chart_derive(struct chart *c);
void chart_forget(struct chart *c);
bool chart_windows_add(struct chart *c, const struct census_window *windows, size_t n);
/* All windows are done: notes in the batch that history was looked at up to the newest
 * ADT message. */
bool chart_history_looked_at(struct chart *c);
/* The ledger's number of a place by the census's id; 0 = the ledger has no reading of it.
 */
uint32_t chart_place_number(struct chart *c, uint64_t place);
const struct place_slot *chart_place(struct chart *c, uint32_t number);

/* --- chart_judge.c --- */
/* Whose is it now? Fills *result; returns 0 (chart), or the reason for holding. Reads the
 * record into c->record unless the ledger's own reasons decide; *error is set when the
 * ledger failed. */
uint8_t chart_verdict(struct chart *c, const struct ledger_entry *entry,
                      struct match_result *result, bool *error);
/* Takes a RECEIVED or WITHDRAWN reading to where it belongs. False: the batch is lost. */
bool chart_judge(struct chart *c, struct ledger_entry *entry, int64_t now_us);
bool chart_judge_some(struct chart *c,
                      int64_t now_us); /* up to JUDGE_MAX of what waits */
/* Puts a reading into an interval of `due` and does what that decides, in the name of who
 * (NULL: the service's own). c->record is the reading's. */
bool chart_feed(struct chart *c, struct due *due, const struct ledger_entry *entry,
                const struct open_reading *whose, const char *who, int64_t now_us);
/* Closes what is over by until_us, and does what that decides. */
bool chart_close_intervals(struct chart *c, struct due *due, int64_t until_us,
                           const char *who, int64_t now_us);
void chart_unjudged_add(struct chart *c, struct ledger_id id);
/* A reading that has just come: an old one waits behind the live ones. */
void chart_arrived(struct chart *c, const struct ledger_entry *entry);
bool chart_hold(struct chart *c, struct ledger_entry *entry, uint8_t reason,
                int64_t now_us);
struct open_reading *chart_open_find(struct chart *c, uint64_t ref);
void chart_open_drop(struct chart *c, uint64_t ref);
uint64_t chart_ref(struct ledger_id id); /* 0: can't be named */
struct ledger_id chart_ref_id(uint64_t ref);
bool chart_was_charted(void *context, uint64_t stay, uint64_t device, uint32_t code,
                       int64_t from_us, int64_t to_us);

/* --- chart_history.c --- */
/* Judges readings of changed history again, up to a page. */
bool chart_review_some(struct chart *c, int64_t now_us);
/* Judges one reading again, whatever its state. */
bool chart_review(struct chart *c, struct ledger_entry *entry, int64_t now_us);
/* A charted or sent reading whose stay may no longer hold: withdraws it if so. */
bool chart_review_charted(struct chart *c, struct ledger_entry *entry, int64_t now_us);
bool chart_withdraw(struct chart *c, struct ledger_entry *entry, const char *who,
                    int64_t now_us);
/* True for a reading that nobody counts as charted, but of which a message may have been
 * taken: HELD or REJECTED, and still with its patient and stay. False also when the
 * ledger failed: then c->error is set. */
bool chart_may_stand(struct chart *c, const struct ledger_entry *entry);
/* Its interval is about to change: a message that states the old one is taken back. */
bool chart_retime(struct chart *c, struct ledger_entry *entry, int64_t now_us);
/* For one that is being withdrawn: one more destination turned out to have it. */
bool chart_withdraw_more(struct chart *c, struct ledger_entry *entry, int64_t now_us);
/* Takes back messages that were never sent: true in *cancelled if none of them had been.
 */
bool chart_cancel(struct chart *c, struct ledger_entry *entry, bool *cancelled,
                  int64_t now_us);
/* True if a person put the reading where it is; true if this author is a part of the
 * service. */
bool chart_by_person(struct chart *c, const struct ledger_entry *entry);
bool chart_is_service(const char *who);
/* A held reading whose reason may be gone. */
bool chart_review_held(struct chart *c, struct ledger_entry *entry, int64_t now_us);
/* Judges a held reading anew, whatever it was held for. */
bool chart_again(struct chart *c, struct ledger_entry *entry, int64_t now_us);

/* --- chart_message.c --- */
struct target {             /* whom a message is about */
    uint64_t stay, patient; /* patient: identifiers are looked up by it */
    const char *location;
};
/* Queues one message of this kind to every destination, for the observations of mask.
 * *count gets how many (0: none can be made); *newest the newest one's number. For a
 * withdrawal only destinations that took the result are asked. c->record is the
 * reading's. */
bool chart_messages(struct chart *c, const struct ledger_entry *entry,
                    enum deliver_kind kind, uint32_t generation, uint32_t mask,
                    const struct target *target, int64_t now_us, size_t *count,
                    uint64_t *newest);
/* The outbox's message of a destination for this reading; false if there is none (or the
 * ledger failed: then c->error is set). */
bool chart_message_find(struct chart *c, const struct destination *d,
                        const struct ledger_entry *entry, enum deliver_kind kind,
                        uint32_t generation, struct ledger_message *message);
bool chart_read_record(
    struct chart *c,
    struct ledger_id id); /* into c->record; false also when it is damaged */
const char *chart_location(struct chart *c, uint32_t place, int64_t low_us,
                           int64_t high_us, uint64_t stay);

/* --- deliver_queue.c --- */
bool deliver_start(
    struct chart *c,
    int64_t now_us); /* queues again what an earlier process had under way */
bool deliver_fill(
    struct chart *c,
    int64_t now_us); /* takes messages into free slots: durable with this batch */
void deliver_pump(struct chart *c, int64_t now_us); /* sends what is durable */
/* Moves a reading that is being withdrawn on, if all destinations have spoken. */
bool deliver_finish_withdrawal(struct chart *c, struct ledger_entry *entry,
                               int64_t now_us);
void deliver_reset(struct chart *c);
/* The destination has this result, or may have it: what a withdrawal must be sent for. */
bool deliver_may_have(const struct ledger_message *message);
/* A dead letter that may have been taken, and was refused when it was sent again. */
bool deliver_refused_late(const struct ledger_message *message);
int64_t deliver_next_us(struct chart *c, int64_t now_us);

#endif
