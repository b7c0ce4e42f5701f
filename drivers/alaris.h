/* SPDX-License-Identifier: Apache-2.0
 *
 * BD (CareFusion) Alaris and Asena syringe pumps, read only: the answer INF to the
 * question INF. Sources: the check, two independent implementations; the answer's fields,
 * one, hence beta.
 *
 * Remote control is never enabled, although the implementations do so before they ask:
 * whether a pump answers without it has to be tried, and one that does not stays silent.
 * The rate is questionable always: whether the pump runs at it the mode says, whose words
 * are not documented. The line's pressure and the drug's name are not given.
 */
#ifndef DRIVERS_ALARIS_H
#define DRIVERS_ALARIS_H

#include "drivers/driver.h"

#define ALARIS_START  '!'
#define ALARIS_CHECK  '|' /* four hex digits and CR behind it */
#define ALARIS_FIELD  '^'
#define ALARIS_CANCEL 0x1B /* the rest of the message does not come */

extern const struct driver alaris;

#endif
