/* SPDX-License-Identifier: Apache-2.0
 *
 * Fresenius syringe pumps of the Base and Module family, one pump alone on the line (no
 * base, no address), read only: rate and infused volume. Source: one implementation,
 * hence beta.
 *
 * A session is opened (DC), which leaves the pump in its user's hands; modes, rates,
 * boluses and alarms are never touched. Through a base several pumps answer on one line,
 * and an observation cannot say which: not read.
 */
#ifndef DRIVERS_FRESENIUS_H
#define DRIVERS_FRESENIUS_H

#include "drivers/driver.h"

#define FRESENIUS_STX 0x02
#define FRESENIUS_ETX 0x03
#define FRESENIUS_ENQ 0x05 /* the pump: is somebody there? */
#define FRESENIUS_ACK 0x06 /* either: a good frame came */
#define FRESENIUS_DC4 0x14 /* the answer to ENQ */
#define FRESENIUS_NAK 0x15 /* a bad frame; a character says why */

extern const struct driver fresenius;

#endif
