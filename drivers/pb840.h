/* SPDX-License-Identifier: Apache-2.0
 *
 * Puritan Bennett 840 and 980 ventilators, the answer MISCF to the question SNDF. Facts:
 * two independent implementations that agree in the layout and in every field that is
 * given, and recorded answers of both ventilators. Fields on which they differ are left
 * out; so are those that only one of them names.
 *
 * Set the ventilator's port to 9600 8N1 and the plain protocol: with "Philips" chosen the
 * answer is another one and is refused. The port has no hardware handshake.
 */
#ifndef DRIVERS_PB840_H
#define DRIVERS_PB840_H

#include "drivers/driver.h"

#define PB840_HEADER      "MISCF,1225,169 ,\x02"
#define PB840_FIRST_FIELD 5   /* as the maker counts: the first behind the STX */
#define PB840_FIELDS      169 /* each with a comma behind it */
#define PB840_BODY_SIZE   1225
#define PB840_WIDTH_MAX   18

extern const struct driver pb840;

/* Characters of a field, without its comma. */
size_t pb840_width(unsigned field);

#endif
