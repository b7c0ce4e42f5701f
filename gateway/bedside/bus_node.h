/* SPDX-License-Identifier: Apache-2.0
 *
 * Draining a bed node: its samples are read from its files from the number on that comes
 * after the last one the store has, so that each becomes a reading exactly once. The
 * node's own numbers say what is missing; nothing in the node is changed. Only
 * bus_modbus.c and bus.c include it.
 */
#ifndef BEDSIDE_BUS_NODE_H
#define BEDSIDE_BUS_NODE_H

#include "bedside/bus_internal.h"

/* True if a map is a node's. */
bool bus_node_is(const struct regmap *map);

/* The node's map was read: `next` is the number that its next sample will have. Drains
 * for a bounded time; the rest waits for the next poll, so that the line's other devices
 * have their turn. */
void bus_node_drain(struct bus *bus, size_t index, uint32_t next);

/* One request of a node to its unit, counted like any other; bus_modbus.c. */
int bus_modbus_ask_node(struct bus *bus, struct bus_unit *unit,
                        struct port_modbus_request *request,
                        struct port_modbus_reply *reply);

#endif
