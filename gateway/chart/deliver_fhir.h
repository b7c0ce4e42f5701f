/* SPDX-License-Identifier: Apache-2.0
 *
 * What FHIR R4 asks of a value beyond its own codes. Inside of deliver_fhir*.c.
 *
 * Sources: hl7.org/fhir/R4/observation-vitalsigns.html (a LOINC code that must always be
 * there, a profile, and the UCUM units that it fixes), HL7 uv-pocd for MDC beside LOINC,
 * UKCore-Observation-VitalSigns 1.1.1 (one LOINC of that list and SNOMED CT).
 */
#ifndef CHART_DELIVER_FHIR_H
#define CHART_DELIVER_FHIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chart/deliver.h"

#define FHIR_LOINC       "http://loinc.org"
#define FHIR_MDC         "urn:iso:std:iso:11073:10101"
#define FHIR_UCUM        "http://unitsofmeasure.org"
#define FHIR_SNOMED      "http://snomed.info/sct"
#define FHIR_DEFINITIONS "http://hl7.org/fhir/StructureDefinition/"

/* One of FHIR's vital signs. */
struct fhir_vital {
    const char *loinc;    /* always first among the codings */
    const char *profile;  /* after FHIR_DEFINITIONS */
    const char *units[3]; /* UCUM; another unit is not this vital sign's */
};

/* NULL: it is none, or not in this unit (MDC; its UCUM counts). */
const struct fhir_vital *fhir_vital(uint32_t code, uint32_t unit);

/* A pressure whose parts are told in one Observation. Each is an MDC code. */
struct fhir_panel {
    uint32_t code;
    uint32_t parts[3];    /* systolic, diastolic, mean */
    const char *loinc[3]; /* of each: what FHIR wants beside any more specific one */
};

#define FHIR_PANEL_LOINC "85354-9"
#define FHIR_PARTS       3
#define FHIR_PARTS_MUST  2 /* the mean alone may be missing */

const struct fhir_panel *fhir_panel_at(size_t index); /* NULL past the end */
bool fhir_is_mmhg(uint32_t unit);

/* Code of category 'observation-category' for what is no vital sign. */
const char *fhir_category(uint32_t code);

#endif
