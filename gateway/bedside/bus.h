/* SPDX-License-Identifier: Apache-2.0
 *
 * One line with its devices in one thread: a Modbus line (RTU or TCP) with up to 64
 * units, or a serial line with one device that a streaming driver understands. What comes
 * of it is handed to the main loop as items over a bounded queue.
 *
 * Caveats first:
 *  - A full queue holds up this line alone: its thread waits (counted in `held`) and
 * polls that fall due meanwhile are missed and reported as such with the next sample.
 *  - Items of one line are in order. Nothing is said of the order between lines.
 *  - The thread starts with all signals blocked and touches nothing of the caller's but
 * what is in the setting, which is copied (maps and drivers are borrowed and must outlive
 * it).
 */
#ifndef BEDSIDE_BUS_H
#define BEDSIDE_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/crypto.h"
#include "drivers/driver.h"
#include "drivers/observation.h"
#include "drivers/regmap.h"
#include "ports/port.h"

/* Devices of one line. */
#define BUS_DEVICES_MAX 64
/* About 50 sets of 8 observations. */
#define BUS_QUEUE_BYTES 32768
/* Characters of an identity. */
#define BUS_IDENTITY_MAX 255
/* bus_stop() returns within this. */
#define BUS_STOP_MS 1000
/* Why a line is lost that was lent; no errno is negative. */
#define BUS_REASON_LENT (-1)

struct bus_device {              /* one device of a line; 0 = as the map or driver says */
    uint8_t unit;                /* Modbus address; 0 for a stream */
    const struct regmap *map;    /* Modbus; NULL for a stream */
    const struct driver *driver; /* stream; NULL for Modbus */
    uint32_t every_ms;
    uint32_t response_ms;   /* worst time to a reply */
    uint32_t turnaround_ms; /* silence before each request to it */
    bool has_resume;        /* a bed node: the store has its samples up to `resume` */
    uint64_t resume;
};

struct bus_setting {
    /* tcp_port says whether it is TCP. */
    struct port_line line;
    const struct bus_device *devices;
    /* 1..BUS_DEVICES_MAX; exactly 1 with a driver. */
    size_t device_count;
    /* Begins held: bus_hold(). */
    bool hold;
    /* A scanner's: the key of the digests that patients' identifiers become, and the
     * company prefix of the bands that count. Borrowed; must outlive the bus. NULL: every
     * scan is refused and counted as DRIVER_FAULT_VALUE. */
    const struct key *digest_key;
    const char *band_prefix;
};

enum bus_kind {
    /* A device's set at one instant: sample. */
    BUS_SAMPLE,
    /* What the device says it is; at its appearing and after every outage. */
    BUS_IDENTITY,
    /* The device answers (first time, or again); before its BUS_IDENTITY. */
    BUS_APPEARED,
    /* The device is silent: `at` is the last instant at which it was heard, or the
     * start if it never was. */
    BUS_LOST,
    /* The whole line is gone (unplugged, connection lost); device = 0. */
    BUS_LINE_LOST,
    /* The line is open (again). */
    BUS_LINE_BACK,
    /* A reply that the map refuses: reject says why (enum regmap_error). */
    BUS_REJECTED,
    /* A scanner read a wristband: digest. The same one again within 2 s is one scan. */
    BUS_SCAN,
};

struct bus_sample {
    /* The device took its values between `at` and `at` + span_us: from the request's
     * last byte to the last reply's first. */
    uint32_t span_us;
    /* `previous` is the instant of the sample before this one. */
    bool has_previous;
    struct instant previous;
    /* Readings between `previous` and `at` that were due, or that the device's own
     * counter shows, and are not delivered: a gap. */
    uint64_t missed;
    /* More may be missing than `missed` can say (an outage lies between). */
    bool missed_unknown;
    /* From a bed node's memory: measured age_us before `at`; its number is given once,
     * unless the node began anew. */
    bool numbered, anew;
    uint64_t age_us;
    struct observation_set set;
};

struct bus_item {
    enum bus_kind kind;
    /* Index in the setting. */
    uint16_t device;
    /* BUS_SAMPLE: when it was measured; others: when it was noticed. */
    struct instant at;
    union {
        struct bus_sample sample;
        /* BUS_IDENTITY; "" if it has none. */
        char identity[BUS_IDENTITY_MAX + 1];
        struct {
            /* BUS_REJECTED: enum regmap_error. */
            int error;
            /* Name of the field at fault; "" if none. */
            char field[64];
        } reject;
        /* BUS_LINE_LOST: errno or BUS_REASON_LENT, BUS_LOST: enum port_error. */
        int reason;
        /* BUS_SCAN: HMAC-SHA256 of the patient's identifier. */
        uint8_t digest[DIGEST_SIZE];
    };
};

struct bus_statistics { /* of one device, since the start */
    uint64_t requests;  /* sent */
    uint64_t answered;  /* good replies */
    uint64_t timeouts, shorts, crc, foreign, length, early, trailing,
        exceptions;  /* port.h */
    uint64_t late;   /* answers that came too late, were recognised and thrown away */
    uint64_t echoes; /* own requests given back by the adapter */
    uint64_t stray_bytes; /* bytes that belonged to no request */
    uint64_t voided;      /* good replies that were not believed after all (trust.h) */
    uint64_t samples;     /* sets handed over */
    uint64_t repeated;    /* polls whose sample counter had not moved: nothing new */
    uint64_t missed;      /* readings reported as missed */
    uint64_t rejected;    /* replies that the map refused */
    uint64_t driver_faults[DRIVER_FAULTS]; /* stream: bytes thrown away, by kind */
    uint32_t turnaround_min_us, turnaround_mean_us,
        turnaround_max_us; /* request to reply */
    bool present;
};

struct bus_line_statistics {
    /* Times that a full queue made the line wait. */
    uint64_t held;
    /* Times that the line was opened. */
    uint64_t opened;
    uint64_t bytes_in, bytes_out;
    bool open;
    /* Closed for whoever it was lent to; see bus_lend(). */
    bool lent;
    /* Monotonic: when the thread last came round (for the watchdog). */
    uint64_t progress_us;
};

struct bus;

/* Starts the line's thread. Never waits for the line: one that is not there yet is tried
 * again with a growing pause (0.25-5 s). Returns 0, or -EINVAL (setting), -ENOMEM, or
 * -errno. */
int bus_start(const struct bus_setting *setting, struct bus **out);

/* Ends the thread, within BUS_STOP_MS, and frees. Items not taken are lost: take them
 * after bus_quiesce(). NULL is fine. */
void bus_stop(struct bus *bus);

/* Asks the thread to end and does not wait for it: several lines then end together. */
void bus_ask_stop(struct bus *bus);

/* Ends the thread but keeps queue and statistics for bus_take(). */
void bus_quiesce(struct bus *bus);

/* Readable (an eventfd) while items wait. The bus's own; not to be read or closed. */
int bus_fd(const struct bus *bus);

/* Readable (an eventfd) while half the queue or more waits to be taken. As bus_fd(). */
int bus_press_fd(const struct bus *bus);

/* While held, bed nodes are not drained: they keep their samples until there is somebody
 * to store them. All else goes on. */
void bus_hold(struct bus *bus, bool hold);

/* Lends the line to another program, or takes it back. The thread ends the exchange that
 * is under way (at most the slowest device's reply, or one round of a node's draining),
 * closes the line and its lock, hands over BUS_LINE_LOST with BUS_REASON_LENT and waits;
 * bus_line_statistics() says `lent` from then on. Taken back, it is opened again like a
 * line that was unplugged: while the other program still holds it, with a growing pause.
 */
void bus_lend(struct bus *bus, bool lend);

/* Takes the oldest item; false if there is none. */
bool bus_take(struct bus *bus, struct bus_item *item);

/* Asks a device for its identity again. */
void bus_identify(struct bus *bus, size_t device);

/* A consistent copy; false if there is no such device. */
bool bus_statistics(struct bus *bus, size_t device, struct bus_statistics *out);
void bus_line_statistics(struct bus *bus, struct bus_line_statistics *out);

#endif
