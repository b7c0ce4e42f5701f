/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of nomenclature.h. Where one code has two names, the first is preferred.
 */
#include "drivers/nomenclature.h"

#include <string.h>

#define PARTITION(code) ((code) >> 16)
#define PARTITION_UNITS 4

static const struct entry {
    uint32_t code;
    const char *name;
} table[] = {
    /* heart, pulse, respiration */
    {147842, "MDC_ECG_HEART_RATE"},
    {147842, "MDC_ECG_CARD_BEAT_RATE"},
    {149514, "MDC_PULS_RATE"},
    {149530, "MDC_PULS_OXIM_PULS_RATE"},
    {149546, "MDC_PULS_RATE_NON_INV"},
    {150448, "MDC_PULS_OXIM_PERF_REL"},
    {150456, "MDC_PULS_OXIM_SAT_O2"},
    {151562, "MDC_RESP_RATE"},
    {151578, "MDC_TTHOR_RESP_RATE"},
    {151586, "MDC_VENT_RESP_RATE"},
    {151594, "MDC_CO2_RESP_RATE"},
    /* temperatures */
    {150344, "MDC_TEMP"},
    {150348, "MDC_TEMP_FOLEY"},
    {150364, "MDC_TEMP_BODY"},
    {150368, "MDC_TEMP_CORE"},
    {150372, "MDC_TEMP_ESOPH"},
    {150380, "MDC_TEMP_NASOPH"},
    {150388, "MDC_TEMP_SKIN"},
    {150392, "MDC_TEMP_TYMP"},
    {188420, "MDC_TEMP_RECT"},
    {188424, "MDC_TEMP_ORAL"},
    {188428, "MDC_TEMP_EAR"},
    {188496, "MDC_TEMP_AXILLA"},
    {188508, "MDC_TEMP_ROOM"},
    /* pressures */
    {150017, "MDC_PRESS_BLD_SYS"},
    {150018, "MDC_PRESS_BLD_DIA"},
    {150019, "MDC_PRESS_BLD_MEAN"},
    {150021, "MDC_PRESS_BLD_NONINV_SYS"},
    {150022, "MDC_PRESS_BLD_NONINV_DIA"},
    {150023, "MDC_PRESS_BLD_NONINV_MEAN"},
    {150033, "MDC_PRESS_BLD_ART_SYS"},
    {150034, "MDC_PRESS_BLD_ART_DIA"},
    {150035, "MDC_PRESS_BLD_ART_MEAN"},
    {150037, "MDC_PRESS_BLD_ART_ABP_SYS"},
    {150038, "MDC_PRESS_BLD_ART_ABP_DIA"},
    {150039, "MDC_PRESS_BLD_ART_ABP_MEAN"},
    {150087, "MDC_PRESS_BLD_VEN_CENT_MEAN"},
    {153608, "MDC_PRESS_INTRA_CRAN"},
    /* gases and ventilation */
    {151708, "MDC_CONC_AWAY_CO2_ET"},
    {151716, "MDC_CONC_AWAY_CO2_INSP"},
    {151868, "MDC_VOL_AWAY_TIDAL"},
    {151973, "MDC_VENT_PRESS_AWAY_INSP_MAX"},
    {151976, "MDC_VENT_PRESS_AWAY_END_EXP_POS"},
    {151980, "MDC_VENT_VOL_TIDAL"},
    {152004, "MDC_VENT_VOL_MINUTE_AWAY_INSP"},
    {152008, "MDC_VENT_VOL_MINUTE_AWAY"},
    {152196, "MDC_CONC_AWAY_O2_INSP"},
    {152424, "MDC_VENT_PRESS_RESP_PLAT"},
    {152440, "MDC_CONC_AWAY_O2_ET"},
    {152872, "MDC_CONC_MAC"},
    {16929196, "MDC_VENT_VOL_TIDAL_SETTING"},
    /* pumps, fluids */
    {157744, "MDC_VOL_URINE_COL"},
    {157784, "MDC_FLOW_FLUID_PUMP"},
    {157872, "MDC_VOL_FLUID_TBI_REMAIN"},
    {157884, "MDC_VOL_FLUID_TBI"},
    {157916, "MDC_TIME_PD_REMAIN"},
    {157924, "MDC_RATE_DOSE"},
    {157993, "MDC_VOL_FLUID_DELIV_TOTAL"},
    /* body, blood */
    {160184, "MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD"},
    {188736, "MDC_MASS_BODY_ACTUAL"},
    {188740, "MDC_LEN_BODY_ACTUAL"},
    /* mother and child: the private part of the vendor's partition, see series50.h */
    {192715, "MDC_USOUND_CARD_BEAT_RATE_FETAL"},
    {192719, "MDC_ECG_CARD_BEAT_RATE_FETAL"},
    {192724, "MDC_TOCO"},
    {192728, "MDC_PRESS_INTRA_UTERAL"},
    /* brain: private part too, see bis_vista.h */
    {153992, "MDC_EEG_FREQ_PWR_SPEC_CRTX_SPECTRAL_EDGE"},
    {192586, "MDC_EEG_RATIO_SUPPRN"},
    {192589, "MDC_EEG_BIS_SIG_QUAL_INDEX"},
    {192590, "MDC_EEG_BISPECTRAL_INDEX"},
    /* units */
    {262656, "MDC_DIM_DIMLESS"},
    {262688, "MDC_DIM_PERCENT"},
    {263441, "MDC_DIM_CENTI_M"},
    {263744, "MDC_DIM_X_L"},
    {263762, "MDC_DIM_MILLI_L"},
    {263875, "MDC_DIM_KILO_G"},
    {264274, "MDC_DIM_MILLI_G_PER_DL"},
    {264320, "MDC_DIM_SEC"},
    {264352, "MDC_DIM_MIN"},
    {264640, "MDC_DIM_HZ"},
    {264864, "MDC_DIM_BEAT_PER_MIN"},
    {264896, "MDC_DIM_PULS_PER_MIN"},
    {264928, "MDC_DIM_RESP_PER_MIN"},
    {265216, "MDC_DIM_X_L_PER_MIN"},
    {265266, "MDC_DIM_MILLI_L_PER_HR"},
    {265619, "MDC_DIM_MICRO_G_PER_KG_PER_MIN"},
    {265987, "MDC_DIM_KILO_PASCAL"},
    {266016, "MDC_DIM_MMHG"},
    {266048, "MDC_DIM_CM_H2O"},
    {266098, "MDC_DIM_MILLI_BAR"},
    {266560, "MDC_DIM_FAHR"},
    {266866, "MDC_DIM_MILLI_MOLE_PER_L"},
    {268192, "MDC_DIM_DEGC"},
};

/* Exact and with case, as the standard writes them. */
uint32_t nomenclature_code(const char *name)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].code;
    return 0;
}

/* The first entry of a code wins: the preferred name. */
const char *nomenclature_name(uint32_t code)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].code == code)
            return table[i].name;
    return NULL;
}

/* By its partition, so that a unit is known as one even when the table lacks it. */
bool nomenclature_is_unit(uint32_t code)
{
    return PARTITION(code) == PARTITION_UNITS;
}
