/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of emulated serial devices; see emulate_kinds.h. The functions in front of
 * the table fit emulators that have numbers in a struct to a row's texts.
 */
#include "tool/emulate_kinds.h"

#include <stdlib.h>
#include <string.h>

#include "drivers/decimal.h"
#include "drivers/emulate/alaris.h"
#include "drivers/emulate/bcc.h"
#include "drivers/emulate/bis_vista.h"
#include "drivers/emulate/capnostream.h"
#include "drivers/emulate/corometrics.h"
#include "drivers/emulate/dri.h"
#include "drivers/emulate/fresenius.h"
#include "drivers/emulate/ivy.h"
#include "drivers/emulate/medibus.h"
#include "drivers/emulate/nonin.h"
#include "drivers/emulate/oximeter.h"
#include "drivers/emulate/pb840.h"
#include "drivers/emulate/series50.h"
#include "drivers/emulate/servo_i.h"
#include "drivers/emulate/wristband.h"

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

/* --- Fetal monitors --- */

static void start_series50(void *state, uint64_t start_us)
{
    series50_emulator_init(state, start_us);
}

/* Quarters of a beat; a channel with a good signal. */
static int show_series50(void *state, const char *name, const char *text)
{
    static const char *const names[] = {"FHR1", "FHR2", "MHR"};
    struct series50_emulator *e = state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int16_t rate;
        int error;

        if (strcmp(names[i], name) != 0)
            continue;
        error = whole(text, 1, 300, 0, &rate);
        if (error == EMULATE_OK)
            e->channels[i] = (struct series50_channel){.quarters = (uint16_t)(rate * 4),
                                                       .light = 2,
                                                       .mode = i < 2 ? 1 : 3};
        return error;
    }
    return EMULATE_NO_FIELD;
}

static void start_corometrics(void *state, uint64_t start_us)
{
    corometrics_emulator_init(state, start_us);
}

static int show_corometrics(void *state, const char *name, const char *text)
{
    struct corometrics_emulator *e = state;

    if (strcmp(name, "FHR1") == 0)
        return whole(text, 30, 240, COROMETRICS_LIFTED, &e->heart[0]);
    if (strcmp(name, "FHR2") == 0)
        return whole(text, 30, 240, COROMETRICS_LIFTED, &e->heart[1]);
    if (strcmp(name, "TOCO") == 0)
        return whole(text, 0, 127, COROMETRICS_LIFTED, &e->activity);
    return EMULATE_NO_FIELD;
}

/* --- Capnograph, ventilator, brain --- */

#define RESP_FIELD 70 /* of the Puritan Bennett's answer */

static void start_capnostream(void *state, uint64_t start_us)
{
    capnostream_emulator_init(state, start_us);
}

static int show_capnostream(void *state, const char *name, const char *text)
{
    struct capnostream_emulator *e = state;
    static const char *const names[] = {"etCO2", "FiCO2", "RESP", "SpO2", "PULSE"};
    uint8_t *const places[] = {&e->co2_et, &e->co2_in, &e->breaths, &e->spo2, &e->pulse};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int16_t value;
        int error;

        if (strcmp(names[i], name) != 0)
            continue;
        error = whole(text, 0, i == 3 ? 100 : 254, CAPNOSTREAM_MISSING, &value);
        if (error == EMULATE_OK)
            *places[i] = (uint8_t)value;
        return error;
    }
    return EMULATE_NO_FIELD;
}

static void start_pb840(void *state, uint64_t start_us)
{
    pb840_emulator_init(state, start_us);
}

/* By the maker's number: "F34"; what recordings have by name too. */
static int show_pb840(void *state, const char *name, const char *text)
{
    char *end;
    unsigned long field;

    if (strcmp(name, "RESP") == 0)
        return pb840_emulator_set(state, RESP_FIELD, text);
    if (name[0] != 'F' || name[1] < '0' || name[1] > '9')
        return EMULATE_NO_FIELD;
    field = strtoul(name + 1, &end, 10);
    return *end == '\0' && field < PB840_EMULATOR_FIELDS
               ? pb840_emulator_set(state, (unsigned)field, text)
               : EMULATE_NO_FIELD;
}

static uint64_t said_pb840(const void *state)
{
    return ((const struct pb840_emulator *)state)->answers;
}

static void start_bis_vista(void *state, uint64_t start_us)
{
    bis_vista_emulator_init(state, start_us);
}

/* Tenths. */
static int show_bis_vista(void *state, const char *name, const char *text)
{
    struct bis_vista_emulator *e = state;
    int16_t *place = strcmp(name, "BIS") == 0  ? &e->index
                     : strcmp(name, "SR") == 0 ? &e->ratio
                                               : NULL;
    char digits[16] = "";
    size_t point = strcspn(text, ".");
    const char *tenth = text[point] == '.' ? text + point + 1 : "0";

    if (place == NULL)
        return EMULATE_NO_FIELD;
    if (strlen(tenth) > 1)
        return EMULATE_INEXACT;
    if (point + 2 > sizeof digits)
        return EMULATE_RANGE;
    if (point > 0) {
        memcpy(digits, text, point);
        digits[point] = *tenth;
    }
    return whole(digits, 0, 1000, BIS_VISTA_MISSING, place);
}

/* --- Pumps --- */

static void start_alaris(void *state, uint64_t start_us)
{
    alaris_emulator_init(state, start_us);
}

/* Shown as text, in the units that the pump is set to. */
static int show_alaris(void *state, const char *name, const char *text)
{
    struct alaris_emulator *e = state;
    char *place = strcmp(name, "RATE") == 0     ? e->rate
                  : strcmp(name, "VOLUME") == 0 ? e->volume
                                                : NULL;

    if (place == NULL)
        return EMULATE_NO_FIELD;
    if (strlen(text) >= ALARIS_TEXT_MAX)
        return EMULATE_INEXACT;
    memcpy(place, text, strlen(text) + 1);
    return EMULATE_OK;
}

static uint64_t said_alaris(const void *state)
{
    return ((const struct alaris_emulator *)state)->answers;
}

static void start_fresenius(void *state, uint64_t start_us)
{
    fresenius_emulator_init(state, start_us);
}

/* A pump always has both: "" is 0. Rate in tenths of mL/h, volume in thousandths of mL.
 */
static int show_fresenius(void *state, const char *name, const char *text)
{
    struct fresenius_emulator *e = state;
    bool rate = strcmp(name, "RATE") == 0;
    struct decimal value = {0, 0};

    if (!rate && strcmp(name, "VOLUME") != 0)
        return EMULATE_NO_FIELD;
    if (text[0] != '\0' && decimal_parse(text, &value) != DECIMAL_OK)
        return EMULATE_SYNTAX;
    if (decimal_rescale(value, rate ? -1 : -3, &value) != DECIMAL_OK)
        return EMULATE_INEXACT;
    if (value.mantissa < 0 || value.mantissa > (rate ? UINT16_MAX : 0xFFFFFF))
        return EMULATE_RANGE;
    if (rate)
        e->rate = (uint16_t)value.mantissa;
    else
        e->volume = (uint32_t)value.mantissa;
    return EMULATE_OK;
}

static uint64_t said_fresenius(const void *state)
{
    return ((const struct fresenius_emulator *)state)->answers;
}

static uint64_t said_bcc(const void *state)
{
    return ((const struct bcc_emulator *)state)->answers;
}

static uint64_t said_servo_i(const void *state)
{
    return ((const struct servo_i_emulator *)state)->readings;
}

/* --- Scanner --- */

static void start_wristband(void *state, uint64_t start_us)
{
    wristband_emulator_init(state, start_us);
}

/* A barcode as it is; nothing is shown for "". */
static int show_wristband(void *state, const char *name, const char *text)
{
    if (strcmp(name, "BAND") != 0)
        return EMULATE_NO_FIELD;
    return text[0] == '\0' ? EMULATE_OK
                           : wristband_emulator_show(state, text, strlen(text), 0);
}

/* --- The table --- */

#define NONIN    &nonin_line_emulator, sizeof(struct nonin_emulator)
#define OXIMETER &oximeter_line_emulator, sizeof(struct oximeter_emulator)
#define IVY      &ivy_line_emulator, sizeof(struct ivy_emulator)
#define MEDIBUS  &medibus_line_emulator, sizeof(struct medibus_emulator)

#define SERIES50  &series50_line_emulator, sizeof(struct series50_emulator)
#define OTHER(it) &it##_line_emulator, sizeof(struct it##_emulator)

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
    {"series50", SERIES50, start_series50, show_series50, NULL, NULL},
    {"ge-250cx", SERIES50, start_series50, show_series50, NULL, NULL},
    {"dri", OTHER(dri), dri_emulator_start, dri_emulator_show, NULL, NULL},
    {"wristband", OTHER(wristband), start_wristband, show_wristband, NULL, NULL},
    {"capnostream", OTHER(capnostream), start_capnostream, show_capnostream, NULL, NULL},
    {"corometrics-115", OTHER(corometrics), start_corometrics, show_corometrics, NULL,
     NULL},
    {"pb840", OTHER(pb840), start_pb840, show_pb840, NULL, said_pb840},
    {"bis-vista", OTHER(bis_vista), start_bis_vista, show_bis_vista, NULL, NULL},
    {"fresenius", OTHER(fresenius), start_fresenius, show_fresenius, NULL,
     said_fresenius},
    {"alaris", OTHER(alaris), start_alaris, show_alaris, NULL, said_alaris},
    {"servo-i", OTHER(servo_i), servo_i_emulator_start, servo_i_emulator_show, NULL,
     said_servo_i},
    {"bcc", OTHER(bcc), bcc_emulator_start, bcc_emulator_show, NULL, said_bcc},
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
