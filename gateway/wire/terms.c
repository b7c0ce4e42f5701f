/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/terms.h"

/* Both tables ascend by code: they are searched by halving, and a test holds them to it.
 *
 * One number has one row, whatever names it has had (MDC_ECG_CARD_BEAT_RATE is 147842
 * too). Where LOINC has a code for the method it stands here (59408-5 is saturation by
 * pulse oximetry); the broader codes that some profiles want beside it belong to the
 * delivery that serves them. A code that could not be confirmed is left out: a missing
 * code is mapped by a site, a wrong one is believed. */
static const struct term terms[] = {
    {147842, "MDC_ECG_HEART_RATE", "heart rate", "8867-4", "364075005"},
    {149514, "MDC_PULS_RATE", "pulse rate", "8867-4", "78564009"},
    {149530, "MDC_PULS_OXIM_PULS_RATE", "pulse rate (oximeter)", "8889-8", "78564009"},
    {149546, "MDC_PULS_RATE_NON_INV", "pulse rate (cuff)", "8867-4", "78564009"},
    {150017, "MDC_PRESS_BLD_SYS", "systolic pressure", "8480-6", "72313002"},
    {150018, "MDC_PRESS_BLD_DIA", "diastolic pressure", "8462-4", "1091811000000102"},
    {150019, "MDC_PRESS_BLD_MEAN", "mean pressure", "8478-0", NULL},
    {150020, "MDC_PRESS_BLD_NONINV", "blood pressure, non-invasive", "85354-9",
     "75367002"},
    {150021, "MDC_PRESS_BLD_NONINV_SYS", "systolic pressure, non-invasive", "8480-6",
     "72313002"},
    {150022, "MDC_PRESS_BLD_NONINV_DIA", "diastolic pressure, non-invasive", "8462-4",
     "1091811000000102"},
    {150023, "MDC_PRESS_BLD_NONINV_MEAN", "mean pressure, non-invasive", "8478-0", NULL},
    {150033, "MDC_PRESS_BLD_ART_SYS", "arterial systolic pressure", NULL, NULL},
    {150034, "MDC_PRESS_BLD_ART_DIA", "arterial diastolic pressure", NULL, NULL},
    {150035, "MDC_PRESS_BLD_ART_MEAN", "arterial mean pressure", NULL, NULL},
    {150036, "MDC_PRESS_BLD_ART_ABP", "arterial pressure", NULL, NULL},
    {150037, "MDC_PRESS_BLD_ART_ABP_SYS", "arterial systolic pressure", "76215-3",
     "72313002"},
    {150038, "MDC_PRESS_BLD_ART_ABP_DIA", "arterial diastolic pressure", "76213-8",
     "1091811000000102"},
    {150039, "MDC_PRESS_BLD_ART_ABP_MEAN", "arterial mean pressure", "76214-6", NULL},
    {150084, "MDC_PRESS_BLD_VEN_CENT", "central venous pressure", NULL, NULL},
    {150087, "MDC_PRESS_BLD_VEN_CENT_MEAN", "central venous pressure, mean", "60985-9",
     NULL},
    {150344, "MDC_TEMP", "temperature", "8310-5", "386725007"},
    {150348, "MDC_TEMP_FOLEY", "temperature, bladder", "8334-5", NULL},
    {150364, "MDC_TEMP_BODY", "body temperature", "8310-5", "386725007"},
    {150368, "MDC_TEMP_CORE", "temperature, core", "8329-5", "276885007"},
    {150372, "MDC_TEMP_ESOPH", "temperature, oesophageal", "60836-4", NULL},
    {150380, "MDC_TEMP_NASOPH", "temperature, nasopharyngeal", "76010-8", NULL},
    {150388, "MDC_TEMP_SKIN", "temperature, skin", NULL, NULL},
    {150392, "MDC_TEMP_TYMP", "temperature, tympanic", "8333-7", NULL},
    {150448, "MDC_PULS_OXIM_PERF_REL", "perfusion index", "61006-3", NULL},
    {150456, "MDC_PULS_OXIM_SAT_O2", "oxygen saturation", "59408-5", "431314004"},
    {151562, "MDC_RESP_RATE", "respiratory rate", "9279-1", "86290005"},
    {151578, "MDC_TTHOR_RESP_RATE", "respiratory rate (impedance)", "9279-1", "86290005"},
    {151586, "MDC_VENT_RESP_RATE", "respiratory rate (ventilator)", "19840-8",
     "86290005"},
    {151594, "MDC_CO2_RESP_RATE", "respiratory rate (capnograph)", "9279-1", "86290005"},
    {151708, "MDC_CONC_AWAY_CO2_ET", "end-tidal carbon dioxide", "19891-1", NULL},
    {151716, "MDC_CONC_AWAY_CO2_INSP", "inspired carbon dioxide", NULL, NULL},
    {151868, "MDC_VOL_AWAY_TIDAL", "tidal volume (airway)", NULL, NULL},
    {151973, "MDC_VENT_PRESS_AWAY_INSP_MAX", "peak inspiratory pressure", "76531-3",
     NULL},
    {151976, "MDC_VENT_PRESS_AWAY_END_EXP_POS", "positive end-expiratory pressure",
     "76248-4", NULL},
    {151980, "MDC_VENT_VOL_TIDAL", "tidal volume", "76222-9", NULL},
    {152004, "MDC_VENT_VOL_MINUTE_AWAY_INSP", "minute volume, inspired", "76009-0", NULL},
    {152008, "MDC_VENT_VOL_MINUTE_AWAY", "minute volume", "76009-0", NULL},
    {152084, "MDC_CONC_AWAY_DESFL_ET", "desflurane, end-tidal", NULL, NULL},
    {152096, "MDC_CONC_AWAY_SEVOFL_ET", "sevoflurane, end-tidal", NULL, NULL},
    {152100, "MDC_CONC_AWAY_ISOFL_ET", "isoflurane, end-tidal", NULL, NULL},
    {152108, "MDC_CONC_AWAY_N2O_ET", "nitrous oxide, end-tidal", NULL, NULL},
    {152168, "MDC_CONC_AWAY_DESFL_INSP", "desflurane, inspired", NULL, NULL},
    {152180, "MDC_CONC_AWAY_SEVOFL_INSP", "sevoflurane, inspired", NULL, NULL},
    {152184, "MDC_CONC_AWAY_ISOFL_INSP", "isoflurane, inspired", NULL, NULL},
    {152192, "MDC_CONC_AWAY_N2O_INSP", "nitrous oxide, inspired", NULL, NULL},
    {152196, "MDC_CONC_AWAY_O2_INSP", "inspired oxygen", "3150-0", NULL},
    {152424, "MDC_VENT_PRESS_RESP_PLAT", "plateau pressure", "76259-1", NULL},
    {152440, "MDC_CONC_AWAY_O2_ET", "oxygen, end-tidal", NULL, NULL},
    {152872, "MDC_CONC_MAC", "minimum alveolar concentration", NULL, NULL},
    {153144, "MDC_CONC_GASDLV_O2_INSP", "inspired oxygen (gas delivery)", "19994-3",
     NULL},
    {153608, "MDC_PRESS_INTRA_CRAN", "intracranial pressure", "60956-0", NULL},
    {153728, "MDC_SCORE_GLAS_COMA", "Glasgow coma score", "9269-2", NULL},
    {153992, "MDC_EEG_FREQ_PWR_SPEC_CRTX_SPECTRAL_EDGE", "EEG spectral edge", NULL, NULL},
    {157744, "MDC_VOL_URINE_COL", "urine volume", "9187-6", NULL},
    {157784, "MDC_FLOW_FLUID_PUMP", "infusion rate", NULL, NULL},
    {157872, "MDC_VOL_FLUID_TBI_REMAIN", "volume remaining", NULL, NULL},
    {157884, "MDC_VOL_FLUID_TBI", "volume to be infused", NULL, NULL},
    {157916, "MDC_TIME_PD_REMAIN", "time remaining", NULL, NULL},
    {157924, "MDC_RATE_DOSE", "dose rate", NULL, NULL},
    {157993, "MDC_VOL_FLUID_DELIV_TOTAL", "volume infused", NULL, NULL},
    {158014, "MDC_FLOW_FLUID_PUMP_CURRENT", "infusion rate, current", NULL, NULL},
    {160184, "MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD", "capillary glucose", "14743-9", NULL},
    {160296, "MDC_PULS_OXIM_SAT_O2_PRE_DUCTAL", "oxygen saturation, pre-ductal",
     "59407-7", NULL},
    {160300, "MDC_PULS_OXIM_SAT_O2_POST_DUCTAL", "oxygen saturation, post-ductal",
     "59418-4", NULL},
    {188420, "MDC_TEMP_RECT", "temperature, rectal", "8332-9", NULL},
    {188424, "MDC_TEMP_ORAL", "temperature, oral", "8331-1", NULL},
    {188428, "MDC_TEMP_EAR", "temperature, ear", "76011-6", NULL},
    {188496, "MDC_TEMP_AXILLA", "temperature, axillary", "8328-7", NULL},
    {188508, "MDC_TEMP_ROOM", "room temperature", NULL, NULL},
    {188736, "MDC_MASS_BODY_ACTUAL", "body weight", "29463-7", "27113001"},
    {188740, "MDC_LEN_BODY_ACTUAL", "body height", "8302-2", "50373000"},
    {192586, "MDC_EEG_RATIO_SUPPRN", "EEG suppression ratio", NULL, NULL},
    {192589, "MDC_EEG_BIS_SIG_QUAL_INDEX", "bispectral signal quality", NULL, NULL},
    {192590, "MDC_EEG_BISPECTRAL_INDEX", "bispectral index", NULL, NULL},
    {192715, "MDC_USOUND_CARD_BEAT_RATE_FETAL", "fetal heart rate (ultrasound)",
     "11948-7", NULL},
    {192719, "MDC_ECG_CARD_BEAT_RATE_FETAL", "fetal heart rate (ECG)", "55283-6", NULL},
    {192724, "MDC_TOCO", "uterine activity", NULL, NULL},
    {192728, "MDC_PRESS_INTRA_UTERAL", "intrauterine pressure", NULL, NULL},
    {16929196, "MDC_VENT_VOL_TIDAL_SETTING", "tidal volume, set", "20112-9", NULL},
};

static const struct unit_term units[] = {
    {262656, "MDC_DIM_DIMLESS", "1"},
    {262688, "MDC_DIM_PERCENT", "%"},
    {263441, "MDC_DIM_CENTI_M", "cm"},
    {263744, "MDC_DIM_X_L", "L"},
    {263762, "MDC_DIM_MILLI_L", "mL"},
    {263875, "MDC_DIM_KILO_G", "kg"},
    {264274, "MDC_DIM_MILLI_G_PER_DL", "mg/dL"},
    {264320, "MDC_DIM_SEC", "s"},
    {264352, "MDC_DIM_MIN", "min"},
    {264640, "MDC_DIM_HZ", "Hz"},
    {264864, "MDC_DIM_BEAT_PER_MIN", "/min"},
    {264896, "MDC_DIM_PULS_PER_MIN", "/min"},
    {264928, "MDC_DIM_RESP_PER_MIN", "/min"},
    {265216, "MDC_DIM_X_L_PER_MIN", "L/min"},
    {265266, "MDC_DIM_MILLI_L_PER_HR", "mL/h"},
    {265619, "MDC_DIM_MICRO_G_PER_KG_PER_MIN", "ug/kg/min"},
    {265987, "MDC_DIM_KILO_PASCAL", "kPa"},
    {266016, "MDC_DIM_MMHG", "mm[Hg]"},
    {266048, "MDC_DIM_CM_H2O", "cm[H2O]"},
    {266098, "MDC_DIM_MILLI_BAR", "mbar"},
    {266560, "MDC_DIM_FAHR", "[degF]"},
    {266866, "MDC_DIM_MILLI_MOLE_PER_L", "mmol/L"},
    {268192, "MDC_DIM_DEGC", "Cel"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* NULL is an answer: an unknown code is charted by its number or held by a site's
 * rule. */
const struct term *term_by_code(uint32_t code)
{
    size_t low = 0, high = COUNT(terms);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (terms[middle].code == code)
            return &terms[middle];
        if (terms[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* As above, for units. */
const struct unit_term *unit_by_code(uint32_t code)
{
    size_t low = 0, high = COUNT(units);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (units[middle].code == code)
            return &units[middle];
        if (units[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* For lists and tests. */
const struct term *term_at(size_t index)
{
    return index < COUNT(terms) ? &terms[index] : NULL;
}

/* For lists and tests. */
const struct unit_term *unit_at(size_t index)
{
    return index < COUNT(units) ? &units[index] : NULL;
}
