/* SPDX-License-Identifier: Apache-2.0
 *
 * How long to wait before the next attempt: doubling with the failures, at most a
 * maximum, and spread over its upper half. A ward's boards must not come back in step
 * after a broker's restart.
 */
#ifndef LINK_BACK_OFF_H
#define LINK_BACK_OFF_H

#include <stdint.h>

/* Milliseconds for the failures-th failure in a row (1 is the first), from random bits of
 * the caller's: at least half and at most the whole of min(minimum_ms doubled failures -
 * 1 times, maximum_ms). maximum_ms is at most INT32_MAX. */
uint32_t back_off_ms(uint32_t minimum_ms, uint32_t maximum_ms, unsigned failures,
                     uint32_t random);

#endif
