/* SPDX-License-Identifier: Apache-2.0
 *
 * Oximeters that print a line of text: Nonin 8500 and its kin, Nellcor NPB-290/295 and
 * N-595, Masimo Radical-7 in its mode ASCII 1. They only talk; nothing is ever sent.
 * Sources: for the first two the makers' manuals and a second description; for Masimo's
 * line one implementation only, hence beta.
 */
#ifndef DRIVERS_OXIMETER_LINE_H
#define DRIVERS_OXIMETER_LINE_H

#include "drivers/driver.h"

extern const struct driver nonin_8500;    /* SPO2=097 HR=072 */
extern const struct driver nellcor_n595;  /* 12-NOV-97 14:00:05   97   72   50 */
extern const struct driver masimo_ascii1; /* 11/24/26 14:00:05 SN=... SPO2=097% BPM=072 */

#endif
