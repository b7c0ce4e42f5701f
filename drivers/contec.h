/* SPDX-License-Identifier: Apache-2.0
 *
 * Contec CMS50 oximeters: the 9-byte packages of the maker's protocol 7.0, which must be
 * asked for, and the older free-running 5-byte frames. Which of the two a unit speaks is
 * not told by its label: look at its bytes. Sources: the maker's protocol 7.0, two
 * independent implementations, and for the 5-byte frames two independent descriptions.
 */
#ifndef DRIVERS_CONTEC_H
#define DRIVERS_CONTEC_H

#include "drivers/driver.h"

#define CONTEC_REQUEST_SIZE 9

extern const struct driver contec_v7;    /* 60 packages a second, asked for */
extern const struct driver contec_5byte; /* 60 frames a second, unasked */

#endif
