/* SPDX-License-Identifier: Apache-2.0
 *
 * A serial line with one device that talks by itself, or is asked by its driver; or with
 * a scanner, whose scans become digests here.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "bedside/bus_internal.h"

#define READ_BYTES 1024
/* Bytes are collected this long after the first of them. */
#define LUMP_US 20000L
/* Bytes that waited longer than this cannot be timed. */
#define STALE_US 200000
/* Come round for the watchdog's sake. */
#define ROUND_US 1000000
/* A scanner that is held over a band reads it again and again. */
#define SAME_SCAN_US 2000000

struct stream { /* what the sink needs to know while the driver is fed */
    struct bus *bus;
    uint64_t first_us; /* the bytes being fed came after this */
    uint64_t last_us;  /* and before this */
    bool waited;       /* the queue was full meanwhile */
    uint64_t heard_us; /* when the last set came, or the line was opened */
    uint64_t
        poll_us; /* when to ask the driver for something to send; UINT64_MAX: never */
    uint64_t scan_us;            /* scanner: when the last band was read; 0: none was */
    uint8_t digest[DIGEST_SIZE]; /* and its digest */
};

/* Called by the driver while it is fed. The set was complete somewhere in the lump that
 * was read: between the lump's first byte and now. */
static void on_set(void *context, const struct observation_set *set)
{
    struct stream *stream = context;
    struct bus_item item = {.kind = BUS_SAMPLE};
    struct instant now;

    if (set->count == 0)
        return;
    bus_now(&now);
    bus_heard(stream->bus, 0, &now);
    stream->heard_us = now.monotonic_us;
    item.at = bus_instant(&now, stream->first_us);
    item.sample.span_us = (uint32_t)(stream->last_us - stream->first_us);
    item.sample.set = *set;
    if (bus_emit(stream->bus, &item, 0))
        stream->waited = true;
}

/* Counted by kind. What was in the bytes nobody knows, so the next sample says that
 * something may be missing. */
static void on_fault(void *context, enum driver_fault fault, size_t bytes)
{
    struct stream *stream = context;
    struct bus_unit *unit = &stream->bus->units[0];

    pthread_mutex_lock(&stream->bus->lock);
    if (fault < DRIVER_FAULTS)
        unit->statistics.driver_faults[fault] += bytes;
    pthread_mutex_unlock(&stream->bus->lock);
    unit->outage = true; /* what was in those bytes nobody knows */
}

/* A scanner read a band. Here, at the port, what it says becomes a digest, and nothing
 * else of it goes on: not into the item, not into a log (P8). */
static void on_scan(void *context, const struct driver_scan *scan)
{
    struct stream *stream = context;
    struct bus *bus = stream->bus;
    struct bus_item item = {.kind = BUS_SCAN};
    struct instant now;

    bus_now(&now);
    bus_heard(bus, 0, &now);
    if (bus->digest_key == NULL || bus->band_prefix == NULL ||
        strcmp(scan->prefix, bus->band_prefix) != 0) {
        on_fault(stream, DRIVER_FAULT_VALUE, scan->size); /* of another kind of card */
        return;
    }
    if (crypto_hmac_sha256(bus->digest_key, scan->id, scan->size, item.digest) !=
        CRYPTO_OK)
        return;
    item.at = bus_instant(&now, stream->first_us);
    bool again = stream->scan_us != 0 &&
                 now.monotonic_us - stream->scan_us < SAME_SCAN_US &&
                 memcmp(stream->digest, item.digest, DIGEST_SIZE) == 0;
    stream->scan_us = now.monotonic_us;
    memcpy(stream->digest, item.digest, DIGEST_SIZE);
    if (!again && bus_emit(bus, &item, 0))
        stream->waited = true;
}

/* The driver begins afresh: whatever it had of a frame is not continued by what comes
 * next. */
static void restart(struct bus *bus, struct stream *stream)
{
    const struct driver *driver = bus->units[0].device.driver;

    port_serial_flush(bus->serial);
    driver->init(bus->driver_state);
    bus->units[0].outage = bus->units[0].delivered;
    stream->waited = false;
}

/* Reads what came in one lump and feeds it. False: the line is gone. */
static bool take_lump(struct bus *bus, struct stream *stream)
{
    const struct driver *driver = bus->units[0].device.driver;
    const struct driver_sink sink = {.context = stream, .set = on_set, .fault = on_fault};
    const struct driver_scan_sink scans = {.context = stream,
                                           .scan = on_scan,
                                           .fault = on_fault};
    struct pollfd wait = {.fd = bus->stop_fd, .events = POLLIN};
    struct timespec lump = {.tv_nsec = LUMP_US * 1000};
    uint8_t bytes[READ_BYTES];
    int n;

    stream->first_us = clock_monotonic_us();
    (void)ppoll(&wait, 1, &lump, NULL);
    n = port_serial_read(bus->serial, bytes, sizeof bytes);
    stream->last_us = clock_monotonic_us();
    if (n < 0)
        return false;
    pthread_mutex_lock(&bus->lock);
    bus->line_statistics.bytes_in += (uint64_t)n;
    bus->line_statistics.progress_us = stream->last_us;
    pthread_mutex_unlock(&bus->lock);
    if (driver->scan != NULL) {
        driver->scan(bus->driver_state, bytes, (size_t)n, &scans);
        crypto_wipe(bytes, sizeof bytes);
    } else {
        driver->feed(bus->driver_state, bytes, (size_t)n, &sink);
    }
    /* While the queue was full bytes lay in the kernel: when they came is not known. */
    if (stream->waited && clock_monotonic_us() - stream->last_us > STALE_US)
        restart(bus, stream);
    stream->waited = false;
    return true;
}

/* Sends what the driver has to say. False: the line is gone. */
static bool send_due(struct bus *bus, struct stream *stream, uint64_t now)
{
    const struct driver *driver = bus->units[0].device.driver;
    uint8_t bytes[DRIVER_SEND_MAX];
    uint64_t again_ms = 0;
    size_t n;
    int error = PORT_OK;

    if (stream->poll_us > now)
        return true;
    n = driver->poll(bus->driver_state, now / 1000, bytes, &again_ms);
    stream->poll_us = again_ms > now / 1000 ? again_ms * 1000 : now + ROUND_US;
    if (again_ms == UINT64_MAX)
        stream->poll_us = UINT64_MAX;
    if (n > 0)
        error = port_serial_write(bus->serial, bytes, n);
    pthread_mutex_lock(&bus->lock);
    if (n > 0 && error == PORT_OK) {
        bus->units[0].statistics.requests++;
        bus->line_statistics.bytes_out += n;
    }
    pthread_mutex_unlock(&bus->lock);
    return error != PORT_GONE;
}

/* Notes a silence once it is longer than the device is ever silent. */
static void watch_silence(struct bus *bus, const struct stream *stream, uint64_t now)
{
    struct bus_unit *unit = &bus->units[0];
    uint64_t silence_us = (uint64_t)unit->device.driver->silence_ms * 1000;

    if (silence_us == 0 || now - stream->heard_us < silence_us)
        return;
    if (unit->present)
        bus_silent(bus, 0, PORT_TIMEOUT);
    pthread_mutex_lock(&bus->lock);
    bus->line_statistics.progress_us = now;
    pthread_mutex_unlock(&bus->lock);
}

/* Listens, asks what the driver wants asked, and watches for silence; until the line is
 * gone or the bus is to stop. */
static void work(struct bus *bus)
{
    struct stream stream = {.bus = bus, .heard_us = clock_monotonic_us()};
    const struct driver *driver = bus->units[0].device.driver;
    bool open = true;

    stream.poll_us = driver->poll != NULL ? 0 : UINT64_MAX;
    restart(bus, &stream);
    while (open && !bus_stopping(bus) && !bus_lending(bus)) {
        struct pollfd waits[2] = {{.fd = bus->stop_fd, .events = POLLIN},
                                  {.fd = port_serial_fd(bus->serial), .events = POLLIN}};
        uint64_t now = clock_monotonic_us();
        uint64_t wake = now + ROUND_US;

        open = send_due(bus, &stream, now);
        if (stream.poll_us < wake)
            wake = stream.poll_us;
        if (open &&
            poll(waits, 2, wake > now ? (int)((wake - now + 999) / 1000) : 0) > 0 &&
            waits[1].revents != 0) {
            errno = EIO;
            open = (waits[1].revents & (POLLHUP | POLLERR | POLLNVAL)) == 0 &&
                   take_lump(bus, &stream);
        }
        watch_silence(bus, &stream, clock_monotonic_us());
    }
    if (!open)
        bus_line_gone(bus, errno);
}

/* Opens, works, pauses, opens again. The driver's allow-list goes to the port with it. */
void bus_run_stream(struct bus *bus)
{
    port_allow allow = bus->units[0].device.driver->may_send;

    while (!bus_stopping(bus)) {
        int error;

        if (bus_lending(bus)) {
            bus_lend_wait(bus);
            continue;
        }
        error = port_serial_open(&bus->line, allow, &bus->serial);

        if (error != PORT_OK) {
            bus_line_gone(bus, error == PORT_GONE   ? errno
                               : error == PORT_BUSY ? EBUSY
                                                    : EINVAL);
            bus_reopen_pause(bus);
            continue;
        }
        bus_line_open(bus);
        work(bus);
        if (bus->units[0].device.driver->scan != NULL)
            bus->units[0].device.driver->init(bus->driver_state); /* half a scan, wiped */
        port_serial_close(bus->serial);
        bus->serial = NULL;
        if (bus_lending(bus))
            continue;
        bus_reopen_pause(bus); /* a line may open and be gone again at once */
    }
}
