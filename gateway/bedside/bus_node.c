/* SPDX-License-Identifier: Apache-2.0
 *
 * See bus_node.h. Rules of bus_trust.h about late and doubled replies are not needed
 * here: a sample carries its number and a check over its series, so an answer to another
 * request, or of another node, is none.
 */
#include "bedside/bus_node.h"

#include <string.h>

#include "drivers/wardgate_node.h"

#define DRAIN_US  500000 /* of the line's time at one poll */
#define FRESH_MAX 3      /* times that the status is read in one drain */

bool bus_node_is(const struct regmap *map)
{
    return map != NULL && strcmp(map->name, WARDGATE_NODE_PROFILE) == 0;
}

/* The last sample that was handed over and not voided since, or that the store had. While
 * something is held the thread's own word counts, unless the line fell in doubt. */
static bool position(struct bus *bus, struct bus_unit *unit, uint64_t *sample)
{
    struct bus_node *node = &unit->node;

    pthread_mutex_lock(&bus->lock);
    if (bus->release_us == UINT64_MAX || node->strays != unit->strays) {
        node->has_last = unit->has_sample || unit->device.has_resume;
        node->last = unit->has_sample ? unit->sample : unit->device.resume;
    }
    pthread_mutex_unlock(&bus->lock);
    node->strays = unit->strays;
    /* What was passed over proved itself like any other: it is not read twice. */
    if (node->has_passed && (!node->has_last || (node->passed >> 32 == node->last >> 32 &&
                                                 node->passed > node->last))) {
        node->has_last = true;
        node->last = node->passed;
    }
    *sample = node->last;
    return node->has_last;
}

void bus_hold(struct bus *bus, bool hold)
{
    atomic_store(&bus->hold, hold);
}

static bool read_status(struct bus *bus, struct bus_unit *unit,
                        struct wardgate_node_status *status)
{
    struct port_modbus_request request = {.function = 4,
                                          .address = WARDGATE_NODE_STATUS,
                                          .count = WARDGATE_NODE_REGISTERS};
    struct port_modbus_reply reply;

    return bus_modbus_ask_node(bus, unit, &request, &reply) == PORT_OK &&
           wardgate_node_status(reply.data, reply.size, status) == WARDGATE_NODE_OK;
}

/* Where to go on. Numbers that the node does not have any more are passed over: the jump
 * becomes a gap. A series that is not the store's, or one that went back, begins with the
 * oldest there is. */
static uint32_t start_at(const struct wardgate_node_status *status, bool has_last,
                         uint64_t last, bool *anew)
{
    uint32_t number = (uint32_t)last + 1;

    *anew = has_last &&
            ((uint32_t)(last >> 32) != status->series || number - 1 >= status->next);
    if (!has_last || *anew || number < status->first)
        return status->first;
    return number;
}

/* A sample that is there and can't be had: what stands in it is lost in the node (EMPTY),
 * or of a kind that only a newer gateway knows. Those behind it must not wait for it; the
 * next one's number makes it a gap, and the engineer is told of the second sort. */
static void pass_over(struct bus *bus, size_t index,
                      const struct wardgate_node_sample *sample, bool unknown, bool anew)
{
    static const char field[] = "a sample's entry";
    struct bus_item item = {.kind = BUS_REJECTED, .device = (uint16_t)index};
    struct bus_node *node = &bus->units[index].node;

    if (!anew) { /* the first of a new counting is told of by one that is taken */
        node->has_last = node->has_passed = true;
        node->last = node->passed = sample->set.sample;
    }
    if (!unknown)
        return;
    pthread_mutex_lock(&bus->lock);
    bus->units[index].statistics.rejected++;
    pthread_mutex_unlock(&bus->lock);
    bus_now(&item.at);
    item.reject.error = WARDGATE_NODE_ENTRY;
    memcpy(item.reject.field, field, sizeof field);
    (void)bus_emit(bus, &item, 0);
}

/* Hands one sample over. */
static void take(struct bus *bus, size_t index, const struct port_modbus_reply *reply,
                 const struct wardgate_node_sample *sample, bool anew)
{
    struct bus_item item = {.kind = BUS_SAMPLE, .device = (uint16_t)index};
    struct bus_node *node = &bus->units[index].node;
    struct instant now;

    bus_now(&now);
    item.at = bus_instant(&now, reply->asked_us);
    item.sample.span_us = reply->first_us > reply->asked_us
                              ? (uint32_t)(reply->first_us - reply->asked_us)
                              : 0;
    item.sample.numbered = true;
    item.sample.anew = anew;
    item.sample.age_us = sample->age_ms * 1000;
    item.sample.set = sample->set;
    (void)bus_emit(bus, &item, 0);
    node->has_last = true;
    node->last = sample->set.sample;
}

/* Reads as many samples from `number` on as one reply holds. Returns how many came, 0:
 * none, and the status is to be read again. */
static uint32_t read_samples(struct bus *bus, size_t index,
                             const struct wardgate_node_status *status, uint32_t number,
                             bool *anew)
{
    struct port_modbus_request request = {.function = 20, .file_count = 1};
    struct port_modbus_reply reply;
    uint32_t each = status->record_registers;
    uint32_t count = WARDGATE_NODE_READ_MAX / each;
    size_t size = (size_t)each * 2;

    if (count > status->next - number)
        count = status->next - number;
    if (count > status->per_file - number % status->per_file)
        count = status->per_file - number % status->per_file;
    wardgate_node_place(status, number, &request.files[0].file, &request.files[0].record);
    request.files[0].length = (uint16_t)(count * each);
    /* Of the one sub-reply: its length and type, then the samples. */
    if (bus_modbus_ask_node(bus, &bus->units[index], &request, &reply) != PORT_OK ||
        reply.size != 2 + count * size)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        struct wardgate_node_sample sample;
        int error =
            wardgate_node_sample(status, reply.data + 2 + i * size, size, &sample);

        bool unknown = error == WARDGATE_NODE_ENTRY;

        if (sample.number != number + i || sample.boot != (uint16_t)status->boot)
            return i;
        if (unknown || error == WARDGATE_NODE_EMPTY) {
            pass_over(bus, index, &sample, unknown, *anew);
            continue;
        }
        if (error != WARDGATE_NODE_OK)
            return i;
        take(bus, index, &reply, &sample, *anew);
        *anew = false;
    }
    return count;
}

void bus_node_drain(struct bus *bus, size_t index, uint32_t next)
{
    struct bus_unit *unit = &bus->units[index];
    uint64_t until_us = clock_monotonic_us() + DRAIN_US, last;
    struct wardgate_node_status status;
    bool has_last, anew;

    if (atomic_load(&bus->hold))
        return;
    has_last = position(bus, unit, &last);
    if (has_last && (uint32_t)last + 1 == next)
        return;
    for (int fresh = 0; fresh < FRESH_MAX; fresh++) {
        uint32_t number, got = 1;

        if (!read_status(bus, unit, &status))
            return;
        number = start_at(&status, unit->node.has_last, unit->node.last, &anew);
        while (number != status.next && got > 0) {
            if (bus_stopping(bus) || clock_monotonic_us() > until_us)
                return;
            got = read_samples(bus, index, &status, number, &anew);
            number += got;
        }
        if (got > 0)
            return;
    }
}
