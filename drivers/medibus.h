/* SPDX-License-Identifier: Apache-2.0
 *
 * Draeger MEDIBUS: ventilators and anaesthesia machines (Evita, Apollo, V500, ...). Both
 * sides ask; a session lives only while each side hears the other. Facts: the maker's
 * "MEDIBUS for Draeger intensive care devices", and two independent implementations.
 *
 * Given: page 1 of the measured values (those of the table in medibus_value.c), the set
 * tidal volume, and the device's clock. Not asked for: alarms, limits, curves. Real-time
 * bytes of a curve that somebody else has started are separated and thrown away.
 */
#ifndef DRIVERS_MEDIBUS_H
#define DRIVERS_MEDIBUS_H

#include "drivers/driver.h"

#define MEDIBUS_ESC 0x1B /* begins a command */
#define MEDIBUS_SOH 0x01 /* begins a response */
#define MEDIBUS_CR  0x0D /* ends both */

/* The codes of commands; a response repeats the code of its command. */
#define MEDIBUS_NAK      0x15 /* response only: the check was wrong */
#define MEDIBUS_MEASURED 0x24
#define MEDIBUS_CLOCK    0x28
#define MEDIBUS_SETTINGS 0x29
#define MEDIBUS_NOP      0x30
#define MEDIBUS_ICC      0x51 /* initialise communication */
#define MEDIBUS_IDENTITY 0x52

#define MEDIBUS_DATA_MAX 600 /* characters of a response that this driver asks for */

extern const struct driver medibus;     /* 19200 8E1: Evita, Evita 4 */
extern const struct driver medibus_8n1; /* 19200 8N1: Evita XL, V500 */

/* Decodes the data of a response to MEDIBUS_MEASURED (six characters a value) or
 * MEDIBUS_SETTINGS (seven). All of it must have the shape, or false and nothing of it
 * counts. *seen keeps which values the session has had: one that was there and is missing
 * now is given as absent, because the protocol leaves out what is invalid. */
bool medibus_values(uint8_t code, const uint8_t *data, size_t n, uint32_t *seen,
                    struct observation_set *out);

/* "HH:MM:SSDD-MMM-YY", months in German or English, seconds and leading zeros may be
 * missing. False, and out->present false, if it is no date. */
bool medibus_time(const uint8_t *data, size_t n, struct device_time *out);

#endif
