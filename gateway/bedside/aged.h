/* SPDX-License-Identifier: Apache-2.0
 *
 * The time of a reading that lay in a bed node's memory before it was read: the gateway's
 * clock at the reply, less the age that the node's crystal has counted. Pure.
 */
#ifndef BEDSIDE_AGED_H
#define BEDSIDE_AGED_H

#include "bedside/stamp.h"

/* at_us: monotonic, when the reply was made; age_us: how long before that the values were
 * measured. The uncertainty grows by the drift over the age. A moment before this boot
 * has no monotonic time: it is 0 then, and where UTC is not known either, the boot is
 * another one that no clock fix will ever name: time unknown, held at the chart. */
void aged_time(const struct stamp *stamp, uint64_t at_us, uint64_t age_us,
               wardgate_TimeBlock *time);

#endif
