/* SPDX-License-Identifier: Apache-2.0
 *
 * What to offer next, and when again. Pure: events and time in, one action at a time out;
 * the caller reads the store, builds the envelope, publishes and says how it went.
 * Reading order: forward_next -> store_read -> publish -> forward_sent.
 *
 * Rules.
 *  1. Only committed, unreceipted records are offered.
 *  2. Unreceipted bytes on the way are at most `window`; live ones may always use the
 * last LIVE_RESERVE bytes of it.
 *  3. Live readings first; backlog fills the rest, within its byte rate, and gets one
 * turn in FORWARD_LIVE_TURNS under steady live load.
 *  4. A batch without its receipts is offered again after `again_us`, doubled each time
 * with jitter, at once when the chart asks or the connection was lost.
 *  5. What the broker took while nobody was subscribed is offered again at the first
 * receipt: the chart is back.
 *  6. A broker's refusal (reason >= 0x80) backs off; a PUBACK otherwise only ends the
 * publish, never the wait for the receipt.
 */
#ifndef BEDSIDE_FORWARD_H
#define BEDSIDE_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORWARD_WINDOW       262144 /* bytes */
#define FORWARD_LIVE_RESERVE 49152  /* bytes of the window that backlog leaves free */
#define FORWARD_ENVELOPE_LIVE                                                            \
    61440 /* bytes of items; the frame needs the rest of 64 KiB */
#define FORWARD_ENVELOPE_BACKLOG 32768
#define FORWARD_BATCHES_MAX      128  /* envelopes on the way */
#define FORWARD_ITEM_MAX         4160 /* room that any one item fits in */
#define FORWARD_LAG_MAX          4096 /* records: live ones further behind become backlog */
#define FORWARD_LIVE_TURNS       4
#define FORWARD_AGAIN_US         30000000
#define FORWARD_AGAIN_MAX_US     600000000
#define FORWARD_BACKOFF_US       1000000 /* after a refusal; doubles */
#define FORWARD_BACKOFF_MAX_US   60000000
#define FORWARD_CHART_LIVE_US    60000000 /* a receipt so recent: the chart is there */

struct forward_ops {
    /* How many of first..last still wait for a receipt: store_unreceipted. */
    uint64_t (*unreceipted)(void *context, uint64_t first, uint64_t last);
    void *context;
};

struct forward_config {
    uint32_t window;       /* bytes; 0: FORWARD_WINDOW */
    uint32_t backlog_rate; /* bytes a second for backlog while live readings come; 0: no
                              limit */
    uint64_t seed;         /* of the jitter */
};

struct forward_batch {
    uint64_t first, last, count, bytes;
    uint64_t sent_us, due_us;
    uint32_t tries;
    int token; /* of the publish; -1 once acknowledged */
    bool live;
    bool unheard; /* the broker said that nobody was there to take it */
};

struct forward { /* filled by forward_init; caller-owned, no heap */
    struct forward_ops ops;
    struct forward_config config;
    struct forward_batch batches[FORWARD_BATCHES_MAX];
    uint32_t used;       /* batches */
    uint64_t on_the_way; /* bytes, unreceipted */
    uint64_t head;       /* first seq not committed */
    uint64_t live, backlog,
        backlog_end; /* next seq of each lane; backlog ends before backlog_end */
    uint64_t hold_until_us, backoff_us, budget_at_us, heard_us;
    uint64_t budget; /* bytes that backlog may send now */
    uint64_t random;
    uint32_t live_run; /* live envelopes since the last of backlog */
    bool connected, busy, heard;
    struct forward_counts {
        uint64_t sent, sent_bytes, offered_again, receipted, refused, acknowledged,
            no_subscriber;
        uint8_t last_refusal; /* MQTT 5 reason code */
    } counts;
};

enum forward_what {
    FORWARD_SEND, /* read from..to (at most bytes), publish, then call forward_sent,
                     forward_nothing or forward_hold */
    FORWARD_WAIT, /* nothing before until_us (UINT64_MAX: nothing until an event) */
};

struct forward_action {
    enum forward_what what;
    uint64_t from, to; /* seqs, inclusive */
    size_t bytes;      /* of items at most */
    bool live, again;
    uint64_t until_us;
};

/* oldest: smallest unreceipted seq; head: first seq not committed. */
void forward_init(struct forward *forward, const struct forward_config *config,
                  const struct forward_ops *ops, uint64_t oldest, uint64_t head);

/* The action due now. Does not change the state but for expiring batches; call again
 * after telling it what came of the last. */
void forward_next(struct forward *forward, uint64_t now_us,
                  struct forward_action *action);

/* What came of a FORWARD_SEND: published items first..last; next is where reading goes
 * on. */
void forward_sent(struct forward *forward, const struct forward_action *action,
                  uint64_t first, uint64_t last, uint64_t next, size_t count,
                  size_t bytes, int token, uint64_t now_us);
/* There was nothing (left) to read there: reading goes on at next. */
void forward_nothing(struct forward *forward, const struct forward_action *action,
                     uint64_t next);
/* The library's window is full (MQTT_BUSY): nothing until an acknowledgement or a
 * reconnect. */
void forward_busy(struct forward *forward);
/* It could not be published or read: wait and try again. */
void forward_hold(struct forward *forward, uint64_t now_us);

/* Events. */
void forward_connected(struct forward *forward, uint64_t oldest, uint64_t now_us);
void forward_disconnected(struct forward *forward, uint64_t oldest);
void forward_committed(struct forward *forward, uint64_t head);
void forward_acknowledged(struct forward *forward, int token, uint8_t reason,
                          uint64_t now_us);
/* Receipts of first..last were marked in the store. */
void forward_receipt(struct forward *forward, uint64_t first, uint64_t last,
                     uint64_t now_us);
/* The chart asks for everything from `from`: what is on the way is offered again at once.
 */
void forward_resend(struct forward *forward, uint64_t from, uint64_t now_us);

#endif
