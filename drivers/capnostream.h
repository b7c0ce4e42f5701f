/* SPDX-License-Identifier: Apache-2.0
 *
 * Oridion (Medtronic) Capnostream 20: carbon dioxide and pulse oximetry, a message of
 * numbers a second. Source: one implementation with its test of the escaping; the maker's
 * "Capnostream Data Transfer Protocols" exists and was not at hand, hence beta.
 *
 * Carbon dioxide is charted in mmHg only: nothing says how the device writes its other
 * two units, and a unit is never guessed.
 */
#ifndef DRIVERS_CAPNOSTREAM_H
#define DRIVERS_CAPNOSTREAM_H

#include "drivers/driver.h"

#define CAPNOSTREAM_START 0x85
#define CAPNOSTREAM_ESC   0x80
#define CAPNOSTREAM_NONE  255 /* a number that the device does not have */

extern const struct driver capnostream;

#endif
