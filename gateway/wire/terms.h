/* SPDX-License-Identifier: Apache-2.0
 *
 * One table of terms: MDC code and reference id, LOINC, UCUM, SNOMED CT. The number is
 * the key; names are for display. Sources: IHE DEV TF Rev 10 and HL7 uv-pocd for MDC,
 * FHIR R4 vital-signs for LOINC and UCUM.
 */
#ifndef WIRE_TERMS_H
#define WIRE_TERMS_H

#include <stddef.h>
#include <stdint.h>

struct term {
    uint32_t code;      /* MDC */
    const char *refid;  /* MDC_ECG_HEART_RATE */
    const char *title;  /* "heart rate" */
    const char *loinc;  /* "8867-4"; NULL if none is known */
    const char *snomed; /* NULL if none is known */
};

struct unit_term {
    uint32_t code;     /* MDC */
    const char *refid; /* MDC_DIM_BEAT_PER_MIN */
    const char *ucum;  /* "/min" */
};

const struct term *term_by_code(uint32_t code); /* NULL if unknown */
const struct unit_term *unit_by_code(uint32_t code);
const struct term *term_at(size_t index); /* NULL past the end */
const struct unit_term *unit_at(size_t index);

#endif
