/* SPDX-License-Identifier: Apache-2.0
 *
 * A Modbus line: asks what the timetable says, believes what bus_trust.h lets it,
 * decodes, hands over. On TCP each answer names its request, so the rules about doubt are
 * not needed there.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "bedside/bus_internal.h"
#include "bedside/bus_node.h"

#define CONFIRM_TRIES 3
/* A release this close to the next request waits for it. */
#define COALESCE_US 20000

/* The rules about doubt are for lines whose answers do not name their request. */
static bool named(const struct bus *bus)
{
    return port_answers_named(&bus->line);
}

/* Rule 8, for a framing whose check lets too much pass: always. */
static bool weak(const struct bus *bus)
{
    return bus->line.framing == PORT_FRAMING_ASCII;
}

/* Counts one exchange. */
static void count(struct bus *bus, struct bus_unit *unit, int error,
                  const struct port_modbus_reply *reply)
{
    struct bus_statistics *s = &unit->statistics;
    uint64_t *const counters[] = {
        [-PORT_OK] = &s->answered,          [-PORT_TIMEOUT] = &s->timeouts,
        [-PORT_SHORT] = &s->shorts,         [-PORT_CRC] = &s->crc,
        [-PORT_FOREIGN] = &s->foreign,      [-PORT_LENGTH] = &s->length,
        [-PORT_EARLY] = &s->early,          [-PORT_TRAILING] = &s->trailing,
        [-PORT_EXCEPTION] = &s->exceptions, [-PORT_REFUSED] = NULL,
        [-PORT_GONE] = &s->timeouts,
    };
    bool answered = error == PORT_OK || error == PORT_EXCEPTION;
    uint64_t turnaround =
        reply->first_us > reply->asked_us ? reply->first_us - reply->asked_us : 0;

    pthread_mutex_lock(&bus->lock);
    s->requests += reply->bytes_out > 0;
    if (counters[-error] != NULL && reply->bytes_out > 0)
        ++*counters[-error];
    s->late += reply->late_seen;
    s->echoes += reply->echo;
    s->stray_bytes += reply->strays.bytes;
    if (answered) {
        unit->turnaround_sum_us += turnaround;
        if (s->answered + s->exceptions == 1 || turnaround < s->turnaround_min_us)
            s->turnaround_min_us = (uint32_t)turnaround;
        if (turnaround > s->turnaround_max_us)
            s->turnaround_max_us = (uint32_t)turnaround;
    }
    bus->line_statistics.bytes_in += reply->bytes_in;
    bus->line_statistics.bytes_out += reply->bytes_out;
    bus->line_statistics.progress_us = clock_monotonic_us();
    pthread_mutex_unlock(&bus->lock);
}

/* What the unit said lately is void: samples, identity, and a poll that is under way. */
static void doubt(struct bus *bus, size_t index)
{
    struct bus_unit *unit = &bus->units[index];

    bus_void(bus, index);
    unit->strays++;
    if (clock_monotonic_us() < unit->identity_us)
        acquire_identify(bus->acquire, index);
}

/* True if a good frame of that unit was among what was thrown away. */
static bool spoke(const struct port_modbus_strays *strays, const struct bus_unit *unit)
{
    uint8_t address = unit->device.unit;

    return (strays->units[address / 64] >> address % 64 & 1) != 0;
}

/* Bytes that nobody asked for: rule 5. asked: the unit whose exchange failed and threw
 * them away, so that what there was of its own reply, at most `own` bytes, is among them;
 * NULL: none. */
static void judge_strays(struct bus *bus, const struct port_modbus_strays *strays,
                         const struct bus_unit *asked, size_t own)
{
    bool unread = strays->unread > 0;

    if (strays->bytes == 0 || named(bus))
        return;
    /* A damaged reply and nothing else says nothing against anyone. */
    if (asked != NULL && !spoke(strays, asked) && strays->unread <= own)
        unread = false;
    for (size_t i = 0; i < bus->unit_count; i++) {
        struct bus_unit *unit = &bus->units[i];

        /* Bytes that cannot be read may have been anyone's. */
        if (spoke(strays, unit) || unread)
            doubt(bus, i);
        if (spoke(strays, unit) && unit != asked)
            trust_stray(&unit->trust);
    }
}

/* One request on the wire. Returns enum port_error. On TCP its answer will name it; on
 * RTU the device's books are kept. */
static int ask(struct bus *bus, struct bus_unit *unit, const struct regmap_block *block,
               bool probe, struct port_modbus_reply *reply)
{
    uint32_t response_us =
        named(bus) ? unit->device.response_ms * 1000 : trust_response_us(&unit->trust);
    struct port_modbus_request request = {
        .unit = unit->device.unit,
        .function = block->function,
        .address = block->address,
        .count = block->count,
        .timeout_us = response_us,
        .worst_us = response_us,
        .gap_us = unit->device.turnaround_ms * 1000,
    };
    struct trust_failure failure = {.probe = probe};
    bool failed;
    int error;

    if (!named(bus))
        request.not_before_us = trust_not_before(&unit->trust, block);
    error = port_modbus_ask(bus->modbus, &request, reply);
    count(bus, unit, error, reply);
    failed = error != PORT_OK && error != PORT_EXCEPTION;
    judge_strays(bus, &reply->strays, failed ? unit : NULL,
                 5u + trust_shape(block).bytes);
    if (named(bus) || reply->bytes_out == 0)
        return error;
    trust_asked(&unit->trust, block, reply->asked_us);
    trust_exchanged(&unit->trust,
                    error == PORT_CRC || error == PORT_SHORT || error == PORT_LENGTH);
    failure.seen = reply->late_seen;
    failure.spoke = spoke(&reply->strays, unit);
    if (failed)
        trust_failed(&unit->trust, block, failure);
    return error;
}

/* Rule 8: reads the block again until two readings in a row agree. The values are as old
 * as the first of these. Returns enum port_error. */
static int confirm(struct bus *bus, struct bus_unit *unit,
                   const struct regmap_block *block, struct port_modbus_reply *reply)
{
    for (int i = 0; i < CONFIRM_TRIES; i++) {
        uint8_t before[ACQUIRE_BLOCK_BYTES];
        uint16_t size = reply->size;
        uint64_t asked_us = reply->asked_us;
        int error;

        memcpy(before, reply->data, size);
        error = ask(bus, unit, block, false, reply);
        if (error != PORT_OK)
            return error;
        if (reply->size == size && memcmp(before, reply->data, size) == 0) {
            reply->asked_us = asked_us;
            return PORT_OK;
        }
    }
    return PORT_CRC;
}

/* Not in trust's books: a node's samples prove themselves (bus_node.c). */
int bus_modbus_ask_node(struct bus *bus, struct bus_unit *unit,
                        struct port_modbus_request *request,
                        struct port_modbus_reply *reply)
{
    int error;

    request->unit = unit->device.unit;
    request->timeout_us = request->worst_us = unit->device.response_ms * 1000;
    request->gap_us = unit->device.turnaround_ms * 1000;
    error = port_modbus_ask(bus->modbus, request, reply);
    count(bus, unit, error, reply);
    judge_strays(bus, &reply->strays,
                 error != PORT_OK && error != PORT_EXCEPTION ? unit : NULL,
                 PORT_MODBUS_PDU_MAX);
    return error;
}

/* From the request's end to the reply's first byte. */
static uint32_t turnaround(const struct port_modbus_reply *reply)
{
    return reply->first_us > reply->asked_us
               ? (uint32_t)(reply->first_us - reply->asked_us)
               : 0;
}

/* Rule 4: the answer to the probe proves that nothing older is under way. Returns enum
 * port_error: PORT_OK if the block may be asked for. */
static int prove(struct bus *bus, struct bus_unit *unit, const struct regmap_block *probe,
                 struct port_modbus_reply *reply)
{
    int error = ask(bus, unit, probe, true, reply);

    if (error != PORT_OK && error != PORT_EXCEPTION)
        return error;
    (void)trust_answered(&unit->trust, turnaround(reply));
    trust_cleared(&unit->trust);
    return PORT_OK;
}

/* Asks for the block, after a probe if the device is in doubt. Returns enum port_error:
 * PORT_OK if the reply is as good as one exchange can make it. */
static int ask_trusted(struct bus *bus, struct bus_unit *unit,
                       const struct regmap_block *block, struct port_modbus_reply *reply)
{
    struct trust *trust = &unit->trust;
    struct regmap_block probe;
    enum trust_way way;
    int error;

    if (named(bus))
        return ask(bus, unit, block, false, reply);
    trust_expire(trust, clock_monotonic_us());
    way = trust_way(trust, block, &probe);
    error = way == TRUST_PROBE ? prove(bus, unit, &probe, reply) : PORT_OK;
    if (error == PORT_OK)
        error = ask(bus, unit, block, false, reply);
    /* While answers are missing a refusal may be one of them. */
    if (error == PORT_EXCEPTION && trust_doubted(trust))
        trust_failed(trust, block, (struct trust_failure){.spoke = true});
    if (error != PORT_OK)
        return error;
    if (!trust_answered(trust, turnaround(reply))) {
        trust_failed(trust, block, (struct trust_failure){.spoke = true});
        return PORT_EARLY;
    }
    if (way == TRUST_DIRECT)
        trust_cleared(trust);
    return weak(bus) || trust_noisy(trust) ? confirm(bus, unit, block, reply) : PORT_OK;
}

/* When the poll's measurement was: the first request's end and the last reply's begin. */
struct moment {
    uint64_t asked_us, first_us;
    /* Of the unit, once the first block was answered. */
    uint64_t strays;
};

/* Counts a poll that was answered and is not believed. */
static void spoil(struct bus *bus, struct bus_unit *unit)
{
    pthread_mutex_lock(&bus->lock);
    unit->statistics.voided++;
    pthread_mutex_unlock(&bus->lock);
}

/* A reply the map refuses is no sample and no silence: the engineer must hear which field
 * it was. */
static void reject(struct bus *bus, size_t index, int error,
                   const struct regmap_field *field)
{
    struct bus_item item = {.kind = BUS_REJECTED, .device = (uint16_t)index};

    pthread_mutex_lock(&bus->lock);
    bus->units[index].statistics.rejected++;
    pthread_mutex_unlock(&bus->lock);
    bus_now(&item.at);
    item.reject.error = error;
    if (field != NULL && field->name != NULL) {
        size_t n = strnlen(field->name, sizeof item.reject.field - 1);

        memcpy(item.reject.field, field->name, n);
        item.reject.field[n] = '\0';
    }
    (void)bus_emit(bus, &item, 0);
}

/* Decoded at once, believed later: the queue holds the sample until no second reply can
 * come (rule 5). */
static void deliver(struct bus *bus, size_t index, const struct instant *now,
                    const struct moment *moment)
{
    struct bus_unit *unit = &bus->units[index];
    struct bus_item item = {.kind = BUS_SAMPLE, .device = (uint16_t)index};
    const struct regmap_field *field = NULL;
    uint64_t release_us = 0;
    int error;

    if (!named(bus)) {
        release_us = moment->first_us + trust_window_us(&unit->trust);
        if (trust_solo_round(&unit->trust)) {
            spoil(bus, unit);
            return;
        }
    }
    error = regmap_decode(unit->device.map, acquire_plan(bus->acquire),
                          acquire_data(bus->acquire), &item.sample.set, &field);
    if (error != REGMAP_OK) {
        reject(bus, index, error, field);
        return;
    }
    if (bus_node_is(unit->device.map) && clock_monotonic_us() >= unit->identity_us)
        bus_node_drain(bus, index, (uint32_t)item.sample.set.sample);
    if (item.sample.set.count == 0)
        return;
    item.at = bus_instant(now, moment->asked_us);
    item.sample.span_us = moment->first_us > moment->asked_us
                              ? (uint32_t)(moment->first_us - moment->asked_us)
                              : 0;
    (void)bus_emit(bus, &item, release_us);
}

/* An identity decides whose readings follow, so it is held like a sample; the samples
 * behind it wait for it, because the queue keeps the order. */
static void identify(struct bus *bus, size_t index, const struct instant *now,
                     const struct moment *moment)
{
    struct bus_item item = {.kind = BUS_IDENTITY, .device = (uint16_t)index, .at = *now};
    struct bus_unit *unit = &bus->units[index];

    if (!named(bus))
        unit->identity_us = moment->first_us + trust_window_us(&unit->trust);
    (void)regmap_identity(bus->units[index].device.map, acquire_plan(bus->acquire),
                          acquire_data(bus->acquire), item.identity,
                          sizeof item.identity);
    (void)bus_emit(bus, &item, unit->identity_us);
}

/* Bytes that came and cannot be believed are another matter than silence: such a device
 * is asked on and not backed off. */
static enum acquire_outcome outcome_of(int error)
{
    switch (error) {
    case PORT_OK:
        return ACQUIRE_ANSWERED;
    case PORT_EXCEPTION:
        return ACQUIRE_REFUSED;
    case PORT_TIMEOUT:
    case PORT_GONE:
        return ACQUIRE_SILENT;
    default:
        return ACQUIRE_BROKEN;
    }
}

/* One block of the timetable. False: the line is gone (errno). */
static bool step(struct bus *bus, const struct acquire_step *todo, struct moment *moment)
{
    struct bus_unit *unit = &bus->units[todo->device];
    uint64_t began = clock_monotonic_us();
    struct port_modbus_reply reply;
    enum acquire_event event;
    struct instant now;
    int error = ask_trusted(bus, unit, &todo->block, &reply);

    /* A TCP peer may close at any time; only one that cannot be reached is gone. */
    if (error == PORT_GONE && (bus->line.tcp_port == 0 || reply.bytes_out == 0))
        return false;
    bus_now(&now);
    if (todo->index == 0) {
        moment->asked_us = reply.asked_us;
        moment->strays = unit->strays;
    }
    moment->first_us = reply.first_us;
    if (error == PORT_OK || error == PORT_EXCEPTION)
        bus_heard(bus, todo->device, &now);
    event =
        acquire_result(bus->acquire, now.monotonic_us, now.monotonic_us - began,
                       outcome_of(error), reply.data, error == PORT_OK ? reply.size : 0);
    if (event == ACQUIRE_LOST)
        bus_silent(bus, todo->device, error);
    if (event != ACQUIRE_POLLED && event != ACQUIRE_IDENTITY)
        return true;
    /* A stray between two blocks of one poll: its first block may have been another's. */
    if (unit->strays != moment->strays) {
        spoil(bus, unit);
        if (event == ACQUIRE_IDENTITY)
            acquire_identify(bus->acquire, todo->device);
    } else if (event == ACQUIRE_POLLED) {
        deliver(bus, todo->device, &now, moment);
    } else {
        identify(bus, todo->device, &now, moment);
    }
    return true;
}

/* Nothing to ask: sleeps, but listens. False: the line is gone (errno). */
static bool idle(struct bus *bus, uint64_t wake_us)
{
    struct pollfd waits[2] = {{.fd = bus->stop_fd, .events = POLLIN},
                              {.fd = port_modbus_fd(bus->modbus), .events = POLLIN}};
    uint64_t now = clock_monotonic_us();
    struct timespec left;
    struct port_modbus_strays found = {0};
    int n;

    if (bus->release_us < wake_us && wake_us - bus->release_us > COALESCE_US)
        wake_us = bus->release_us;
    if (wake_us > now + 1000000)
        wake_us = now + 1000000; /* come round for the watchdog's sake */
    left.tv_sec = wake_us > now ? (time_t)((wake_us - now) / 1000000) : 0;
    left.tv_nsec = wake_us > now ? (long)((wake_us - now) % 1000000) * 1000 : 0;
    n = ppoll(waits, 2, &left, NULL);
    if (n > 0 && waits[1].revents != 0) {
        if (port_modbus_strays(bus->modbus, &found) != PORT_OK)
            return bus->line.tcp_port != 0; /* TCP: the next request connects again */
        judge_strays(bus, &found, NULL, 0);
    }
    return true;
}

/* Works until the line is gone or the bus is to stop. */
static void work(struct bus *bus)
{
    struct moment moment = {0};
    bool open = true;

    acquire_start(bus->acquire, clock_monotonic_us());
    while (open && !bus_stopping(bus) && !bus_lending(bus)) {
        struct acquire_step todo;

        for (size_t i = 0; i < bus->unit_count; i++) {
            if (atomic_exchange(&bus->units[i].identify, false))
                acquire_identify(bus->acquire, i);
        }
        acquire_next(bus->acquire, clock_monotonic_us(), &todo);
        open = todo.request ? step(bus, &todo, &moment) : idle(bus, todo.wake_us);
        if (open)
            bus_release(bus);
    }
    if (!open)
        bus_line_gone(bus, errno);
}

/* Opens, works until the line is gone, pauses, opens again; until told to stop. */
void bus_run_modbus(struct bus *bus)
{
    while (!bus_stopping(bus)) {
        int error;

        if (bus_lending(bus)) {
            bus_lend_wait(bus);
            continue;
        }
        error = port_modbus_open(&bus->line, &bus->modbus);
        if (error != PORT_OK) {
            bus_line_gone(bus, error == PORT_GONE   ? errno
                               : error == PORT_BUSY ? EBUSY
                                                    : EINVAL);
            bus_reopen_pause(bus);
            continue;
        }
        port_modbus_abort_on(bus->modbus, bus->stop_fd);
        bus_line_open(bus);
        work(bus);
        port_modbus_close(bus->modbus);
        bus->modbus = NULL;
        if (bus_lending(bus))
            continue;
        bus_reopen_pause(bus); /* a line may open and be gone again at once */
    }
}
