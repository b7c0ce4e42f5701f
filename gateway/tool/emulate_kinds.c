/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of emulated serial devices; see emulate_kinds.h. The functions in front of
 * the table fit emulators that have numbers in a struct to a row's texts.
 */
#include "tool/emulate_kinds.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/emulate/ivy.h"
#include "drivers/emulate/medibus.h"
#include "drivers/emulate/nonin.h"
#include "drivers/emulate/oximeter.h"

/* A device that shows whole numbers. "" is its own word for a missing value. */
static int whole(const char *text, long minimum, long maximum, int16_t missing,
                 int16_t *out)
{
    char *end;
    long n = strtol(text, &end, 10);

    if (text[0] == '\0') {
        *out = missing;
        return EMULATE_OK;
    }
    if (end == text || (*end != '\0' && *end != '.'))
        return EMULATE_SYNTAX;
    if (n < minimum || n > maximum)
        return EMULATE_RANGE;
    if (*end == '.')
        return EMULATE_INEXACT;
    *out = (int16_t)n;
    return EMULATE_OK;
}

/* --- Nonin --- */

static void start_df2(void *state, uint64_t start_us)
{
    nonin_emulator_init(state, 2, start_us);
}

static void start_df7(void *state, uint64_t start_us)
{
    nonin_emulator_init(state, 7, start_us);
}

static void start_df8(void *state, uint64_t start_us)
{
    nonin_emulator_init(state, 8, start_us);
}

static void start_df13(void *state, uint64_t start_us)
{
    nonin_emulator_init(state, 13, start_us);
}

/* The pulse has nine bits of which all set means missing; the saturation is seven. */
static int show_nonin(void *state, const char *name, const char *text)
{
    struct nonin_emulator *e = state;

    if (strcmp(name, "PULSE") == 0)
        return whole(text, 1, 510, NONIN_MISSING, &e->values.pulse);
    if (strcmp(name, "SpO2") == 0)
        return whole(text, 1, 126, NONIN_MISSING, &e->values.spo2);
    return EMULATE_NO_FIELD;
}

/* Format 13 says a measurement once, with the quality mark of a spot check. */
static void measured_df13(void *state)
{
    struct nonin_emulator *e = state;
    struct nonin_values values = e->values;

    values.smartpoint = true;
    nonin_emulator_measure(e, &values);
}

/* --- Oximeters without a check --- */

#define OXIMETER_START(function, kind)                                                   \
    static void function(void *state, uint64_t start_us)                                 \
    {                                                                                    \
        oximeter_emulator_init(state, kind, start_us);                                   \
    }
OXIMETER_START(start_v7, OXIMETER_CONTEC_V7)
OXIMETER_START(start_5byte, OXIMETER_CONTEC_5BYTE)
OXIMETER_START(start_8500, OXIMETER_NONIN_8500)
OXIMETER_START(start_n595, OXIMETER_NELLCOR_N595)
OXIMETER_START(start_ascii1, OXIMETER_MASIMO_ASCII1)

/* Contec's pulse is a byte; the lines have three columns. */
static int show_oximeter(void *state, const char *name, const char *text)
{
    struct oximeter_emulator *e = state;
    bool line = e->kind >= OXIMETER_NONIN_8500;

    if (strcmp(name, "PULSE") == 0)
        return whole(text, 1, line ? 999 : 254, OXIMETER_MISSING, &e->values.pulse);
    if (strcmp(name, "SpO2") == 0)
        return whole(text, 1, 100, OXIMETER_MISSING, &e->values.spo2);
    return EMULATE_NO_FIELD;
}

/* --- Ivy --- */

static void start_ivy(void *state, uint64_t start_us)
{
    ivy_emulator_init(state, start_us);
}

static int show_ivy(void *state, const char *name, const char *text)
{
    static const struct {
        const char *name;
        enum ivy_value value;
    } names[] = {
        {"HR", IVY_HR},          {"RESP", IVY_RR},      {"SpO2", IVY_SPO2},
        {"PULSE", IVY_PULSE},    {"NBPSys", IVY_SYS},   {"NBPDias", IVY_DIA},
        {"NBPMean", IVY_MEAN},   {"P1Sys", IVY_P1_SYS}, {"P1Dias", IVY_P1_DIA},
        {"P1Mean", IVY_P1_MEAN},
    };
    struct ivy_emulator *e = state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i].name, name) == 0)
            return whole(text, -999, 999, IVY_MISSING, &e->values[names[i].value]);
    return EMULATE_NO_FIELD;
}

/* --- MEDIBUS --- */

static void start_medibus(void *state, uint64_t start_us)
{
    medibus_emulator_init(state, start_us);
}

/* The keys of page 1, in the unit of each. */
static int show_medibus(void *state, const char *name, const char *text)
{
    static const char names[][2][8] = {{"PULSE", "E1"}, {"RESP", "D6"}, {"SpO2", "EB"},
                                       {"PEEP", "78"},  {"PIP", "7D"},  {"MV", "B9"},
                                       {"FiO2", "F0"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i][0], name) == 0)
            return medibus_emulator_set(state, names[i][1], text);
    return EMULATE_NO_FIELD;
}

static uint64_t said_medibus(const void *state)
{
    return ((const struct medibus_emulator *)state)->measured_said;
}

/* --- The table --- */

#define NONIN    &nonin_line_emulator, sizeof(struct nonin_emulator)
#define OXIMETER &oximeter_line_emulator, sizeof(struct oximeter_emulator)
#define IVY      &ivy_line_emulator, sizeof(struct ivy_emulator)
#define MEDIBUS  &medibus_line_emulator, sizeof(struct medibus_emulator)

static const struct emulate_kind kinds[] = {
    {"nonin-df2", NONIN, start_df2, show_nonin, NULL, NULL},
    {"nonin-df7", NONIN, start_df7, show_nonin, NULL, NULL},
    {"nonin-df8", NONIN, start_df8, show_nonin, NULL, NULL},
    {"nonin-df13", NONIN, start_df13, show_nonin, measured_df13, NULL},
    {"contec-v7", OXIMETER, start_v7, show_oximeter, NULL, NULL},
    {"contec-5byte", OXIMETER, start_5byte, show_oximeter, NULL, NULL},
    {"nonin-8500", OXIMETER, start_8500, show_oximeter, NULL, NULL},
    {"nellcor-n595", OXIMETER, start_n595, show_oximeter, NULL, NULL},
    {"masimo-ascii1", OXIMETER, start_ascii1, show_oximeter, NULL, NULL},
    {"ivy-ansar-b", IVY, start_ivy, show_ivy, NULL, NULL},
    {"medibus", MEDIBUS, start_medibus, show_medibus, NULL, said_medibus},
    {"medibus-8n1", MEDIBUS, start_medibus, show_medibus, NULL, said_medibus},
};

/* For listing: counts up until NULL. */
const struct emulate_kind *emulate_kind_at(size_t index)
{
    return index < sizeof kinds / sizeof kinds[0] ? &kinds[index] : NULL;
}

const struct emulate_kind *emulate_kind_by_name(const char *name)
{
    const struct emulate_kind *kind;

    for (size_t i = 0; (kind = emulate_kind_at(i)) != NULL; i++)
        if (strcmp(kind->name, name) == 0)
            return kind;
    return NULL;
}
