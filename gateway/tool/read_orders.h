/* SPDX-License-Identifier: Apache-2.0
 *
 * Registers as every number that they could be. Nobody's manual says its word order the
 * same way; the number on the device's screen does.
 */
#ifndef TOOL_READ_ORDERS_H
#define TOOL_READ_ORDERS_H

#include <jansson.h>
#include <stdint.h>

/* A row for each register and word order: address, order, and the registers from there on
 * as 16, 32 and (if there are four) 64 bits. data holds count registers as on the wire.
 * The caller releases the array. */
json_t *read_orders(const uint8_t *data, uint16_t address, uint16_t count);

#endif
