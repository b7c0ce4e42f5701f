/* SPDX-License-Identifier: Apache-2.0
 *
 * What the parts of wardgated's one loop share. Each part is a file with an open and a
 * close; main.c calls them in an order that it explains.
 *
 *   collect.c  items of the lines -> readings, gaps, events -> store
 *   rounds.c   when the lines are drained and the store commits
 *   uplink.c   store -> envelopes -> broker; receipts -> store
 *   health.c   what systemd sees
 *   bedside_control.c  what an engineer asks
 *   lend.c     a line that is lent to a tool for a while
 *   reload.c   a new configuration
 *   check_store.c  a store that can't be opened
 */
#ifndef BEDSIDE_DAEMON_H
#define BEDSIDE_DAEMON_H

#include <systemd/sd-event.h>

#include "base/control.h"
#include "bedside/bus.h"
#include "bedside/config.h"
#include "bedside/forward.h"
#include "bedside/gaps.h"
#include "bedside/stamp.h"
#include "bedside/store.h"
#include "link/mqtt.h"
#include "link/tls_link.h"

#define STORE_RETRY_US (5 * US_PER_S)
#define RECEIPT_COMMIT_US                                                                \
    (5 * US_PER_S) /* receipts alone wait this long for readings to ride with */

struct daemon_device {
    const struct bedside_device *config;
    struct gaps gaps;
    char identity[BUS_IDENTITY_MAX + 1]; /* as it last said */
    char
        expected[BUS_IDENTITY_MAX + 1]; /* configured, confirmed, or the first one seen */
    bool held;                          /* says it is another: readings are held back */
    bool present;
    uint64_t readings, gap_records, rejected, held_back;
    uint64_t last_seq;
    int64_t last_utc_us;
};

struct daemon_bus {
    struct bedside_bus *config;
    struct bus *bus;
    struct daemon_device *devices;
    sd_event_source *source; /* its first item after there was none */
    sd_event_source *press;  /* its queue fills up: drained at once */
    bool line_down;
};

struct daemon {
    sd_event *loop;
    const char *path; /* of the configuration */
    struct bedside_config config;
    char home[256];

    struct store *store; /* NULL while it can't be opened */
    struct store_config store_config;
    char store_error[STORE_ERROR_SIZE];
    uint64_t store_retry_us;
    struct stamp stamp;
    uint64_t started_us;

    struct daemon_bus buses[BEDSIDE_BUSES_MAX];
    size_t bus_count;
    sd_event_source *tick; /* drains the lines, then commits */
    bool ticking;
    uint64_t commit_due_us, receipts_since_us;

    struct forward forward;
    struct mqtt *mqtt;
    struct tls_link *tls;
    char link_path[BEDSIDE_PATH_SIZE + 16];
    sd_event_source *uplink_timer;
    uint8_t *items, *envelope; /* buffers of one envelope */
    uint64_t files_mark;       /* of the certificates, when they were last looked at */
    bool forwarding;           /* forward is begun: the store was open once */
    bool epoch_ended; /* this process has ended one because the chart knew more */
    uint64_t receipts, receipts_refused, bad_receipts;

    struct control_server *control;
    struct {
        const struct control_peer *peer; /* who has it; NULL: nothing is lent */
        char bus[NAME_MAX_LENGTH + 1];
        char to[80];       /* in the borrower's own words */
        uint64_t until_us; /* taken back then, unless it is asked for again */
    } lease;
    sd_event_source *watchdog;
    uint64_t progress; /* rounds of the loop that did what they should */
    bool stopping;
    uint64_t stop_until_us; /* last receipts are waited for until then */
    bool again;             /* start the program again: the store is to be salvaged */
    bool has_key;
    struct key digest_key; /* of the wristbands; read with the first scanner's line */
    bool has_digest_key;
    char salvaged[160]; /* what a salvage at this start brought; empty: there was none */

    wardgate_Record record; /* scratch: it is large */
};

/* collect.c */
int collect_open(struct daemon *daemon);
/* Ends the lines, takes what they still hold, opens STOPPED gaps, commits. May be called
 * again. */
void collect_stop(struct daemon *daemon);
/* Closes the store. */
void collect_close(struct daemon *daemon);
/* Loads the store's key, or makes it. Returns 0 or -1 and why. */
int collect_key(struct daemon *daemon, char error[STORE_ERROR_SIZE]);
/* One round: drain, stamp, account, commit if due (or if now is true). */
void collect_round(struct daemon *daemon, bool now);
int collect_bus_open(struct daemon *daemon, struct daemon_bus *bus);
void collect_bus_close(struct daemon *daemon, struct daemon_bus *bus);
/* Adds an event of the gateway itself or, with bus and device, of a device. */
void collect_event(struct daemon *daemon, const struct daemon_bus *bus,
                   const struct daemon_device *device, wardgate_Event_Kind kind,
                   const char *detail);
/* Accepts what a device now says it is. False if there is nothing to accept. */
bool collect_confirm(struct daemon *daemon, const char *device);
/* Tries to open a store that is shut; gaps then begin at its last readings. */
void collect_store_open(struct daemon *daemon);

/* Stores a record; false if it could not be. */
bool collect_keep(struct daemon *daemon, wardgate_Record *record);
/* Stores gaps of a device; one that can't be stored becomes part of the next. */
void collect_gaps(struct daemon *daemon, const struct daemon_bus *bus,
                  struct daemon_device *device, const struct gaps_out *gaps,
                  uint64_t monotonic_us);
void collect_item(struct daemon *daemon, struct daemon_bus *bus,
                  const struct bus_item *item);

/* rounds.c */
/* Looks at the clock: before anything is stamped. */
void rounds_look(struct daemon *daemon);
void rounds_commit(struct daemon *daemon);
/* The store can't be read any more: the program starts again, and salvages it first. */
void rounds_broken(struct daemon *daemon);
/* Handlers of the tick, of a line's first item, and of a line whose queue fills up. */
int rounds_tick(sd_event_source *source, uint64_t at_us, void *context);
int rounds_press(sd_event_source *source, int fd, uint32_t events, void *context);
int rounds_item(sd_event_source *source, int fd, uint32_t events, void *context);

/* uplink.c */
int uplink_open(struct daemon *daemon);
void uplink_close(struct daemon *daemon);
/* True while envelopes are on the way whose receipts may still come. */
bool uplink_waiting(const struct daemon *daemon);
/* The store has new committed records, or was just opened. */
void uplink_committed(struct daemon *daemon);
/* True if a certificate, key or revocation list was replaced since the last look. */
bool uplink_files_changed(struct daemon *daemon);
/* Offers what may be offered now. */
void uplink_pump(struct daemon *daemon);

/* health.c */
int health_open(struct daemon *daemon);
void health_close(struct daemon *daemon);
void health_ready(struct daemon *daemon);
void health_reloading(struct daemon *daemon);
void health_stopping(struct daemon *daemon);
/* One line that says how it goes. */
void health_line(const struct daemon *daemon, char *out, size_t size);

/* bedside_control.c */
int bedside_control_open(struct daemon *daemon);
void bedside_control_close(struct daemon *daemon);

/* lend.c */
/* {"do":"lend"}: DESIGN.md. The lease ends with the connection. */
void lend_run(void *context, const json_t *request, struct control_peer *peer);
/* Takes back what was lent for too long. */
void lend_tick(struct daemon *daemon, uint64_t now_us);

/* reload.c */
/* Loads the configuration again. A bad one changes nothing. Returns 0 or -1, logged. */
int reload(struct daemon *daemon);

#endif
