/* SPDX-License-Identifier: Apache-2.0
 *
 * The courses of captures_courses.h. Each has a value that goes, a frame with one bit
 * wrong, and what else its device can do.
 */
#include "captures_courses.h"

#include "drivers/emulate/alaris.h"
#include "drivers/emulate/bcc.h"
#include "drivers/emulate/bis_vista.h"
#include "drivers/emulate/capnostream.h"
#include "drivers/emulate/corometrics.h"
#include "drivers/emulate/dri.h"
#include "drivers/emulate/fresenius.h"
#include "drivers/emulate/ivy.h"
#include "drivers/emulate/medibus.h"
#include "drivers/emulate/oximeter.h"
#include "drivers/emulate/pb840.h"
#include "drivers/emulate/series50.h"
#include "drivers/emulate/servo_i.h"

#include <string.h>

#define GONE_AT 12 /* seconds; back two later */
#define FLIP_AT 16

/* One digit less or more each second. */
static const char *moving(unsigned second, const char *const *texts, size_t count)
{
    return second >= GONE_AT && second < GONE_AT + 2 ? "" : texts[second % count];
}

static const char *const saturations[] = {"97", "96", "94", "95"};
static const char *const rates[] = {"72", "75", "101", "68"};

/* --- Monitors --- */

static void start_dri(void *state)
{
    dri_emulator_start(state, 0);
}

/* A cuff that measures once, an arterial line that is zeroed, a temperature. */
static void dri_second(void *state, unsigned second)
{
    struct dri_emulator *e = state;

    dri_emulator_show(e, "HR", moving(second, rates, 4));
    dri_emulator_show(e, "SpO2", moving(second, saturations, 4));
    dri_emulator_show(e, "ABPMean", "88.25");
    dri_emulator_show(e, "TEMP", "36.85");
    dri_emulator_show(e, "etCO2%", "5.3");
    if (second >= 20) {
        dri_emulator_show(e, "NBPSys", second < 40 ? "125" : "119.5");
        dri_emulator_show(e, "NBPDias", "77");
        dri_emulator_show(e, "NBPMean", "92");
        if (second > 30 && second < 40)
            dri_emulator_module(e, DRI_CUFF, 0, 3 | 1 << 5);
    }
    if (second == 25)
        dri_emulator_module(e, DRI_P1, 1 << 2, 8);
    if (second == FLIP_AT)
        e->flip = 800;
}

static void start_ivy(void *state)
{
    ivy_emulator_init(state, 0);
}

static void ivy_second(void *state, unsigned second)
{
    static const int16_t values[IVY_VALUES] = {80, 35, 100, 80, 121, 75,
                                               92, 80, 111, 73, 88};
    struct ivy_emulator *e = state;

    for (size_t i = 0; i < IVY_VALUES; i++)
        e->values[i] = values[i];
    e->values[IVY_HR] = (int16_t)(80 + second);
    if (second == 4)
        e->values[IVY_SPO2] = IVY_MISSING;
    if (second == 7)
        e->flip = 3400;
}

/* --- Oximeters --- */

#define OXIMETER_START(function, kind)                                                   \
    static void function(void *state)                                                    \
    {                                                                                    \
        oximeter_emulator_init(state, kind, 0);                                          \
    }
OXIMETER_START(start_v7, OXIMETER_CONTEC_V7)
OXIMETER_START(start_5byte, OXIMETER_CONTEC_5BYTE)
OXIMETER_START(start_8500, OXIMETER_NONIN_8500)
OXIMETER_START(start_n595, OXIMETER_NELLCOR_N595)
OXIMETER_START(start_ascii1, OXIMETER_MASIMO_ASCII1)

/* Finger off, searching, and on again. */
static void oximeter_second(void *state, unsigned second)
{
    struct oximeter_emulator *e = state;

    e->values = (struct oximeter_values){.pulse = (int16_t)(72 + second),
                                         .spo2 = (int16_t)(97 - second % 3),
                                         .perfusion = 235,
                                         .sensor_off = second == 3,
                                         .searching = second == 4};
    if (second == 6)
        e->flip = 20;
}

/* --- Ventilators --- */

static void start_medibus(void *state)
{
    struct medibus_emulator *e = state;

    medibus_emulator_init(e, 1000000);
    e->clock.month = 10;
}

static void start_medibus_german(void *state)
{
    start_medibus(state);
    ((struct medibus_emulator *)state)->german = true;
}

/* Curves that somebody else has started, and a question in the middle of an answer. */
static void medibus_second(void *state, unsigned second)
{
    static const char *const volumes[] = {"0.45", "0.46", "0.47"};
    struct medibus_emulator *e = state;

    medibus_emulator_set(e, "82", moving(second, volumes, 3));
    medibus_emulator_set(e, "EB", moving(second, saturations, 4));
    medibus_emulator_set(e, "E1", moving(second, rates, 4));
    medibus_emulator_set(e, "7D", "18.5");
    e->clock.second = (uint8_t)second;
    e->curves = second >= 20 && second < 40;
    e->asks_inside = second >= 30;
    if (second == FLIP_AT)
        e->flip = 77;
}

static void start_servo_i(void *state)
{
    servo_i_emulator_start(state, 0);
}

static void servo_i_second(void *state, unsigned second)
{
    static const char *const volumes[] = {"452", "447", "460"};
    struct servo_i_emulator *e = state;

    servo_i_emulator_show(e, "VT", moving(second, volumes, 3));
    servo_i_emulator_show(e, "RESP", "14.8");
    servo_i_emulator_show(e, "MV", "7.20");
    servo_i_emulator_show(e, "PIP", "18.5");
    servo_i_emulator_show(e, "PEEP", "8.0");
    servo_i_emulator_show(e, "FiO2", "40.0");
    servo_i_emulator_show(e, "etCO2", second < 30 ? "38" : "");
    e->standby = second >= 40 && second < 50;
    if (second == FLIP_AT)
        e->flip = 21;
}

/* --- Pumps --- */

static void start_bcc(void *state)
{
    bcc_emulator_start(state, 0);
}

/* Runs, is switched off, and is joined by a second one. */
static void bcc_second(void *state, unsigned second)
{
    static const char *const infused[] = {"3.10", "3.11", "3.12"};
    struct bcc_emulator *e = state;

    bcc_emulator_show(e, "rate", "12.50");
    bcc_emulator_show(e, "infused", moving(second, infused, 3));
    bcc_emulator_show(e, "vtbi", "500");
    bcc_emulator_show(e, "remaining", second < 30 ? "3600" : "65535");
    e->off = second >= 35 && second < 42;
    e->second = second >= 48 ? "50112" : NULL;
    if (second == FLIP_AT)
        e->flip = 300;
}

static void start_alaris(void *state)
{
    alaris_emulator_init(state, 0);
}

static void alaris_second(void *state, unsigned second)
{
    static const char *const infused[] = {"3.100", "3.110", "3.125"};
    struct alaris_emulator *e = state;

    memset(e->volume, 0, sizeof(e->volume));
    memcpy(e->volume, moving(second, infused, 3), strlen(moving(second, infused, 3)));
    memcpy(e->rate, second < 20 ? "12.50" : "99.90", 6);
    memcpy(e->rate_unit, second == 24 || second == 25 ? "mg/h" : "ml/h", 5);
    if (second == FLIP_AT)
        e->flip = 200;
}

static void start_fresenius(void *state)
{
    fresenius_emulator_init(state, 0);
}

/* Runs, is set to another rate, is switched off and on. */
static void fresenius_second(void *state, unsigned second)
{
    struct fresenius_emulator *e = state;

    if (second == 20)
        fresenius_emulator_init(e, 20000000);
    e->rate = second < 10 ? 125 : 999;
    e->volume = 3000 + second * 125;
    if (second == FLIP_AT)
        e->flip = 40;
}

/* --- Mother and child --- */

static void start_series50(void *state)
{
    series50_emulator_init(state, 0);
}

/* One fetus, then twins, then the second's transducer comes off; the mother's cuff; a
 * fetal channel that shows the mother; the monitor is switched off and on. */
static void series50_second(void *state, unsigned second)
{
    struct series50_emulator *e = state;
    bool gone = second >= GONE_AT && second < GONE_AT + 2;

    e->channels[0] = (struct series50_channel){gone ? 0 : (uint16_t)(560 + second),
                                               second == 15 ? 1 : 2, 1, false};
    e->channels[1] = (struct series50_channel){(uint16_t)(600 - second), 2,
                                               second >= 20 && second < 30, false};
    e->channels[2] = (struct series50_channel){336, 2, 3, false};
    e->activity = (uint8_t)(20 + second);
    e->activity_mode = 4;
    e->status = second == 32 ? 0x8101 : 0x8001;
    if (second == 34)
        e->channels[0].mode = 3;
    if (second == 10) {
        e->has_pressure = true;
        memcpy(e->pressure, (const uint16_t[4]){118, 76, 90, 329}, sizeof(e->pressure));
    }
    if (second == 36)
        series50_emulator_init(e, 36000000);
    if (second == FLIP_AT)
        e->flip = 77;
}

static void start_corometrics(void *state)
{
    corometrics_emulator_init(state, 0);
}

static void corometrics_second(void *state, unsigned second)
{
    struct corometrics_emulator *e = state;
    bool gone = second >= 8 && second < 10;

    e->heart[0] = gone ? COROMETRICS_LIFTED : (int16_t)(140 + second % 5);
    e->heart[1] = 84;
    e->activity = (int16_t)(25 + second);
    e->mark = second == 5;
    if (second == 6)
        e->heart[0] = 190;
    if (second == 12)
        e->flip = 30;
}

/* --- Gas, ventilation, brain --- */

static void start_capnostream(void *state)
{
    capnostream_emulator_init(state, 0);
}

static void capnostream_second(void *state, unsigned second)
{
    struct capnostream_emulator *e = state;
    bool gone = second >= GONE_AT && second < GONE_AT + 2;

    e->co2_et = gone ? CAPNOSTREAM_MISSING : (uint8_t)(36 + second % 4);
    e->co2_in = 0;
    e->breaths = (uint8_t)(12 + second % 3);
    e->spo2 = 97;
    e->pulse = 72;
    e->spo2_alarms = second == 18 ? 0x20 : 0;
    e->fast = second == 20 ? 0x40 : 0;
    e->unit = second == 22 ? 2 : 1;
    if (second == FLIP_AT)
        e->flip = 50;
}

static void start_pb840(void *state)
{
    pb840_emulator_init(state, 0);
}

/* A setting, two measured values that change with each breath, one that is not there. */
static void pb840_second(void *state, unsigned second)
{
    static const char *const volumes[] = {"0.378", "0.381", "0.402"};
    struct pb840_emulator *e = state;

    (void)pb840_emulator_set(e, 14, "0.400");
    (void)pb840_emulator_set(e, 70, second < 4 ? "14.0" : "15.0");
    (void)pb840_emulator_set(e, 71, moving(second / 3, volumes, 3));
    (void)pb840_emulator_set(e, 73, "24.0");
    (void)pb840_emulator_set(e, 87, second == 5 ? "" : "5.8");
    if (second == 3)
        e->flip = 4000;
}

static void start_bis_vista(void *state)
{
    bis_vista_emulator_init(state, 0);
}

static void bis_vista_second(void *state, unsigned second)
{
    struct bis_vista_emulator *e = state;
    bool gone = second >= GONE_AT && second < GONE_AT + 2;

    e->index = gone ? BIS_VISTA_MISSING : (int16_t)(453 + second);
    e->ratio = (int16_t)(second % 3);
    e->edge = 1840;
    e->signal = second < 20 ? 900 : 300;
    e->extra = second >= 10;
    if (second == FLIP_AT)
        e->flip = 500;
}

static const struct course courses[] = {
    {"dri", "dri", &dri_line_emulator, 60, start_dri, dri_second},
    {"ivy", "ivy-ansar-b", &ivy_line_emulator, 12, start_ivy, ivy_second},
    {"contec-v7", "contec-v7", &oximeter_line_emulator, 8, start_v7, oximeter_second},
    {"contec-5byte", "contec-5byte", &oximeter_line_emulator, 8, start_5byte,
     oximeter_second},
    {"nonin-8500", "nonin-8500", &oximeter_line_emulator, 12, start_8500,
     oximeter_second},
    {"nellcor-n595", "nellcor-n595", &oximeter_line_emulator, 20, start_n595,
     oximeter_second},
    {"masimo-ascii1", "masimo-ascii1", &oximeter_line_emulator, 12, start_ascii1,
     oximeter_second},
    {"medibus", "medibus", &medibus_line_emulator, 60, start_medibus, medibus_second},
    {"medibus-german", "medibus-8n1", &medibus_line_emulator, 25, start_medibus_german,
     medibus_second},
    {"servo-i", "servo-i", &servo_i_line_emulator, 60, start_servo_i, servo_i_second},
    {"bcc", "bcc", &bcc_line_emulator, 60, start_bcc, bcc_second},
    {"alaris", "alaris", &alaris_line_emulator, 30, start_alaris, alaris_second},
    {"fresenius", "fresenius", &fresenius_line_emulator, 40, start_fresenius,
     fresenius_second},
    {"series50", "series50", &series50_line_emulator, 50, start_series50,
     series50_second},
    {"corometrics-115", "corometrics-115", &corometrics_line_emulator, 16,
     start_corometrics, corometrics_second},
    {"capnostream", "capnostream", &capnostream_line_emulator, 26, start_capnostream,
     capnostream_second},
    {"pb840", "pb840", &pb840_line_emulator, 7, start_pb840, pb840_second},
    {"bis-vista", "bis-vista", &bis_vista_line_emulator, 25, start_bis_vista,
     bis_vista_second},
};

const struct course *course_at(size_t index)
{
    return index < sizeof(courses) / sizeof(courses[0]) ? &courses[index] : NULL;
}
