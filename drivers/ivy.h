/* SPDX-License-Identifier: Apache-2.0
 *
 * Ivy 450C monitors, output "ANSAR-B": one message a second, unasked. Source: one
 * implementation and a recording of a real device, hence beta.
 */
#ifndef DRIVERS_IVY_H
#define DRIVERS_IVY_H

#include "drivers/driver.h"

extern const struct driver ivy_ansar_b;

#endif
