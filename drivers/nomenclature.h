/* SPDX-License-Identifier: Apache-2.0
 *
 * IEEE 11073-10101 reference ids and their context-free codes (partition << 16 | term):
 * the quantities and units that drivers and profiles use. Names are for people and
 * profiles; the code is what counts, because the same code has had several names.
 */
#ifndef DRIVERS_NOMENCLATURE_H
#define DRIVERS_NOMENCLATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the drivers written in C use; the table knows many more. */
#define MDC_PULS_OXIM_PULS_RATE 149530
#define MDC_PULS_OXIM_PERF_REL  150448
#define MDC_PULS_OXIM_SAT_O2    150456
#define MDC_DIM_PERCENT         262688
#define MDC_DIM_BEAT_PER_MIN    264864

/* The code of a reference id ("MDC_ECG_HEART_RATE"), 0 if the table does not have it. */
uint32_t nomenclature_code(const char *name);

/* The preferred reference id of a code; NULL if the table does not have it. Static. */
const char *nomenclature_name(uint32_t code);

/* True if the code lies in partition 4, the units. */
bool nomenclature_is_unit(uint32_t code);

#endif
