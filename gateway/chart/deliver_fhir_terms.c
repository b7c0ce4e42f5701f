/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/deliver_fhir.h"

#include <string.h>

#include "wire/terms.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum vital { HEART_RATE, RESPIRATION, SATURATION, TEMPERATURE, WEIGHT, HEIGHT };

/* Pounds, inches and the rest that the profiles allow too have no MDC unit here yet. */
static const struct fhir_vital vitals[] = {
    [HEART_RATE] = {"8867-4", "heartrate", {"/min"}},
    [RESPIRATION] = {"9279-1", "resprate", {"/min"}},
    [SATURATION] = {"2708-6", "oxygensat", {"%"}},
    [TEMPERATURE] = {"8310-5", "bodytemp", {"Cel", "[degF]"}},
    [WEIGHT] = {"29463-7", "bodyweight", {"kg"}},
    [HEIGHT] = {"8302-2", "bodyheight", {"cm"}},
};

/* By number, since names have changed and one name has had two numbers. Skin temperature
 * is none of the body's, and a fetus's heart rate is none of the patient's. */
static const struct {
    uint32_t code;
    enum vital vital;
} codes[] = {
    {147842, HEART_RATE},  {149514, HEART_RATE},  {149530, HEART_RATE},
    {149546, HEART_RATE},  {150344, TEMPERATURE}, {150348, TEMPERATURE},
    {150364, TEMPERATURE}, {150368, TEMPERATURE}, {150372, TEMPERATURE},
    {150380, TEMPERATURE}, {150392, TEMPERATURE}, {150456, SATURATION},
    {151562, RESPIRATION}, {151578, RESPIRATION}, {151586, RESPIRATION},
    {151594, RESPIRATION}, {160296, SATURATION},  {160300, SATURATION},
    {188420, TEMPERATURE}, {188424, TEMPERATURE}, {188428, TEMPERATURE},
    {188496, TEMPERATURE}, {188736, WEIGHT},      {188740, HEIGHT},
};

static const struct fhir_panel panels[] = {
    {150020, {150021, 150022, 150023}, {"8480-6", "8462-4", "8478-0"}},
    {150036, {150037, 150038, 150039}, {"8480-6", "8462-4", "8478-0"}},
};

/* What a machine does to the patient is therapy; a stick in blood is a laboratory's. The
 * rest a monitor measures: FHIR's nearest word for that is procedure. */
static const struct {
    uint32_t first, last;
    const char *category;
} categories[] = {
    {151868, 151868, "therapy"},    {151973, 151980, "therapy"},
    {152004, 152008, "therapy"},    {152196, 152196, "therapy"},
    {152424, 152424, "therapy"},    {153144, 153144, "therapy"},
    {153728, 153728, "survey"},     {157784, 158014, "therapy"},
    {160184, 160184, "laboratory"}, {16929196, 16929196, "therapy"},
};

const struct fhir_vital *fhir_vital(uint32_t code, uint32_t unit)
{
    const struct unit_term *term = unit_by_code(unit);
    for (size_t i = 0; term && term->ucum && i < COUNT(codes); i++) {
        if (codes[i].code != code)
            continue;
        const struct fhir_vital *vital = &vitals[codes[i].vital];
        for (size_t j = 0; j < COUNT(vital->units) && vital->units[j]; j++)
            if (strcmp(vital->units[j], term->ucum) == 0)
                return vital;
    }
    return NULL;
}

const struct fhir_panel *fhir_panel_at(size_t index)
{
    return index < COUNT(panels) ? &panels[index] : NULL;
}

/* The only unit of the blood pressure profile. */
bool fhir_is_mmhg(uint32_t unit)
{
    const struct unit_term *term = unit_by_code(unit);
    return term && term->ucum && strcmp(term->ucum, "mm[Hg]") == 0;
}

const char *fhir_category(uint32_t code)
{
    for (size_t i = 0; i < COUNT(categories); i++)
        if (code >= categories[i].first && code <= categories[i].last)
            return categories[i].category;
    return "procedure";
}
