/* SPDX-License-Identifier: Apache-2.0
 *
 * What the drivers' last step has in common: a value or its absence into a set, and a
 * count of seconds into a date.
 */
#ifndef DRIVERS_OBSERVE_H
#define DRIVERS_OBSERVE_H

#include "drivers/observation.h"

/* Appends an observation with no value yet. NULL if the set is full. */
struct observation *observe_absent(struct observation_set *set, uint32_t code,
                                   uint32_t unit, unsigned quality);

/* Appends an observation: mantissa * 10^exponent if `has` and the quality does not say
 * that there can be no value (invalid, sensor off); absent otherwise. NULL if the set is
 * full. */
struct observation *observe(struct observation_set *set, uint32_t code, uint32_t unit,
                            bool has, int64_t mantissa, int exponent, unsigned quality);

/* Seconds since 1970-01-01 00:00:00 as a civil time, present; UTC or local as the device
 * means them. Right for all of 32 bits. */
struct device_time observe_time(uint32_t seconds);

#endif
