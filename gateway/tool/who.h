/* SPDX-License-Identifier: Apache-2.0
 *
 * Who answers at a Modbus address: what the device says of itself, by 43/14 or 17.
 */
#ifndef TOOL_WHO_H
#define TOOL_WHO_H

#include "drivers/regmap.h"
#include "ports/port_modbus.h"

#define WHO_TEXT_MAX 256

/* Asks 43/14 for the basic objects, then 17 if that is refused. text becomes "maker
 * product revision" or the report, printable; "" if it says nothing. */
void who_is(struct port_modbus *port, uint8_t unit, uint32_t timeout_us, char *text);

/* One request of functions 1-4, 17 or 43 with that timeout. After a failure a late answer
 * is waited for so long that it is not taken for the next one's: late_us behind the
 * timeout. As port_modbus_ask(). */
int who_ask(struct port_modbus *port, uint8_t unit, const struct regmap_block *block,
            uint32_t timeout_us, uint32_t late_us, struct port_modbus_reply *reply);

#endif
