/* SPDX-License-Identifier: Apache-2.0
 *
 * The basic class of DRI's displayed values; see dri.h. A group is a header of six bytes
 * (u32 status, u16 label) and numbers of 16 bits. Below -32000 a number is not one but
 * says why there is none.
 */
#include "drivers/dri.h"

#include "drivers/cursor.h"
#include "drivers/nomenclature.h"
#include "drivers/observe.h"

#define MDC_ECG_HEART_RATE    147842
#define MDC_PULS_RATE         149514
#define MDC_PULS_RATE_NON_INV 149546
#define MDC_TTHOR_RESP_RATE   151578
#define MDC_RESP_RATE         151562
#define MDC_CO2_RESP_RATE     151594
#define MDC_DIM_RESP_PER_MIN  264928
#define MDC_DIM_MMHG          266016
#define MDC_DIM_CM_H2O        266048
#define MDC_DIM_MILLI_L       263762
#define MDC_DIM_L_PER_MIN     265216
#define MDC_DIM_DEGC          268192

#define NUMBER_LEAST   (-32000) /* below it there is no number */
#define NOT_UPDATED    (-32766)
#define DISCONTINUITY  (-32765)
#define UNDER_RANGE    (-32764)
#define OVER_RANGE     (-32763)
#define NOT_CALIBRATED (-32762)
#define NO_DATA        (-32767)

#define STATUS_EXISTS      (1u << 0)
#define STATUS_ACTIVE      (1u << 1)
#define ECG_ASYSTOLE       (1u << 2)
#define ECG_SOURCE_SHIFT   3
#define ECG_SOURCE_MASK    15u
#define SOURCE_ECG         1         /* 2 to 5, 7 and 8 are pressures, 6 the oximeter */
#define CUFF_MEASURING     (1u << 5) /* of the cuff's label, as the next two */
#define CUFF_CALIBRATING   (1u << 7)
#define CUFF_OLD           (1u << 8) /* more than 60 s */
#define CO2_RATE_MASK      7u        /* of the label: where the rate comes from */
#define CO2_RATE_OWN       1
#define CO2_RATE_IMPEDANCE 2

enum { ECG, P1, P2, P3, P4, CUFF, T1, T2, T3, T4, SPO2, CO2, O2, N2O, FLOW, GROUPS };

/* Where a group begins in the body, and what its status says against its numbers. */
static const struct {
    uint16_t at;
    uint16_t doubt, calibrating;
} groups[GROUPS] = {
    [ECG] = {0, 1 << 7 | 1 << 8 | 1 << 9, 0}, /* noise, artefact, learning */
    [P1] = {16, 0, 1 << 2},                   /* zeroing */
    [P2] = {30, 0, 1 << 2},
    [P3] = {44, 0, 1 << 2},
    [P4] = {58, 0, 1 << 2},
    [CUFF] = {72, 0, 0},
    [T1] = {86, 0, 0},
    [T2] = {94, 0, 0},
    [T3] = {102, 0, 0},
    [T4] = {110, 0, 0},
    [SPO2] = {118, 0, 0},
    [CO2] = {132, 1 << 5 | 1 << 6, 1 << 3 | 1 << 4}, /* occlusion, leak */
    [O2] = {146, 0, 1 << 2},
    [N2O] = {156, 0, 1 << 2},
    [FLOW] = {178, 1 << 2 | 1 << 5 | 1 << 6, 1 << 3 | 1 << 4}, /* disconnected, ... */
};

/* A number: its place in the group, what it is, the power of ten of its last digit, and
 * the technical limits in that digit beyond which it is flagged. `living`: 0 is no
 * measurement of a patient but a monitor without one. */
struct field {
    uint8_t group, place;
    uint32_t code, unit;
    int8_t exponent;
    int16_t least, most;
    bool living;
};

static const struct field heart = {
    ECG, 0, MDC_ECG_HEART_RATE, MDC_DIM_BEAT_PER_MIN, 0, 0, 350, true};

static const struct field breaths = {
    ECG, 4, MDC_TTHOR_RESP_RATE, MDC_DIM_RESP_PER_MIN, 0, 0, 200, false};

static const struct field cuff[DRI_CUFF_VALUES] = {
    {CUFF, 0, 150021, MDC_DIM_MMHG, -2, 0, 30000, true},
    {CUFF, 1, 150022, MDC_DIM_MMHG, -2, 0, 30000, true},
    {CUFF, 2, 150023, MDC_DIM_MMHG, -2, 0, 30000, true},
    {CUFF, 3, MDC_PULS_RATE_NON_INV, MDC_DIM_BEAT_PER_MIN, 0, 0, 350, true},
};

static const struct field fields[] = {
    {SPO2, 0, MDC_PULS_OXIM_SAT_O2, MDC_DIM_PERCENT, -2, 0, 10000, true},
    {SPO2, 1, MDC_PULS_OXIM_PULS_RATE, MDC_DIM_BEAT_PER_MIN, 0, 0, 350, true},
    {CO2, 0, 151708, MDC_DIM_PERCENT, -2, 0, 2000, false},
    {CO2, 1, 151716, MDC_DIM_PERCENT, -2, 0, 2000, false},
    {O2, 0, 152440, MDC_DIM_PERCENT, -2, 0, 10500, false},
    {O2, 1, 152196, MDC_DIM_PERCENT, -2, 0, 10500, false},
    {N2O, 0, 152108, MDC_DIM_PERCENT, -2, 0, 10500, false},
    {N2O, 1, 152192, MDC_DIM_PERCENT, -2, 0, 10500, false},
    {FLOW, 1, 151973, MDC_DIM_CM_H2O, -2, -2000, 14000, false}, /* peak */
    {FLOW, 2, 151976, MDC_DIM_CM_H2O, -2, -2000, 14000, false}, /* PEEP */
    {FLOW, 3, 152424, MDC_DIM_CM_H2O, -2, -2000, 14000, false}, /* plateau */
    {FLOW, 5, 151868, MDC_DIM_MILLI_L, -1, 0, 30000, false},    /* tidal, expired */
    {FLOW, 7, 152008, MDC_DIM_L_PER_MIN, -2, 0, 6000, false},   /* minute, expired */
};

/* The capnograph's rate is its own, the ECG's impedance again, or nobody says whose. */
static const struct field co2_rate = {
    CO2, 2, MDC_CO2_RESP_RATE, MDC_DIM_RESP_PER_MIN, 0, 0, 200, false};

/* Systolic, diastolic, mean by the channel's label; 0: not given. Of pressures that are
 * not pulsed the mean alone means anything. ICP and CVP go by their own name. */
#define PRESSURE_LABELS 9
static const uint32_t pressure_codes[PRESSURE_LABELS][3] = {
    [1] = {150033, 150034, 150035}, /* ART */
    [2] = {0, 0, 150087},           /* CVP */
    [7] = {0, 0, 153608},           /* ICP */
    [8] = {150037, 150038, 150039}, /* ABP */
};

#define TEMPERATURE_LABELS 8
static const uint32_t temperature_codes[TEMPERATURE_LABELS] = {
    [1] = 150372, /* oesophageal */
    [2] = 150380, /* nasopharyngeal */
    [3] = 150392, /* tympanic */
    [4] = 188420, /* rectal */
    [5] = 150348, /* bladder */
    [6] = 188496, /* axillary */
    [7] = 150388, /* skin */
};

/* A group as it came. */
struct group {
    uint32_t status;
    uint16_t label;
    int16_t numbers[8];
};

static struct group read_group(const uint8_t body[DRI_BODY_SIZE], size_t group)
{
    struct cursor in = cursor_make(body, DRI_BODY_SIZE);
    struct group g;

    cursor_bytes(&in, groups[group].at);
    g.status = cursor_le16(&in);
    g.status |= (uint32_t)cursor_le16(&in) << 16;
    g.label = cursor_le16(&in);
    for (size_t i = 0; i < sizeof(g.numbers) / sizeof(g.numbers[0]); i++)
        g.numbers[i] = (int16_t)cursor_le16(&in);
    return g;
}

/* Why there is no number. What the specification reserves is no value either. */
static unsigned reason(int16_t number)
{
    switch (number) {
    case NO_DATA:
        return 0;
    case NOT_UPDATED:
        return QUALITY_STALE;
    case DISCONTINUITY:
        return QUALITY_QUESTIONABLE;
    case UNDER_RANGE:
    case OVER_RANGE:
        return QUALITY_OUT_OF_RANGE;
    case NOT_CALIBRATED:
        return QUALITY_CALIBRATING;
    default:
        return QUALITY_INVALID;
    }
}

/* What the group's status says against all of its numbers. */
static unsigned doubt(const struct group *g, size_t group)
{
    unsigned quality = 0;

    if (g->status & groups[group].doubt)
        quality |= QUALITY_QUESTIONABLE;
    if (g->status & groups[group].calibrating)
        quality |= QUALITY_CALIBRATING;
    return quality;
}

/* True if the set has this quantity already: two channels of one name cannot be told
 * apart, and the first is given. */
static bool given(const struct observation_set *set, uint32_t code)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].code == code)
            return true;
    return false;
}

/* One number, or why there is none. A module that is there but does not measure, or is
 * being calibrated, has no value whatever stands in its place. */
static void give(const struct field *field, uint32_t code, const struct group *g,
                 struct observation_set *set)
{
    const int16_t number = g->numbers[field->place];
    unsigned quality = doubt(g, field->group);
    struct observation *o;

    if (code == 0 || given(set, code) ||
        (o = observe_absent(set, code, field->unit, quality)) == NULL)
        return;
    if ((g->status & (STATUS_EXISTS | STATUS_ACTIVE)) != (STATUS_EXISTS | STATUS_ACTIVE))
        return;
    if (number < NUMBER_LEAST) {
        o->quality |= (uint16_t)reason(number);
        return;
    }
    if (number == 0 && field->living) {
        o->quality |= QUALITY_INVALID;
        return;
    }
    if (quality & QUALITY_CALIBRATING)
        return;
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = number;
    o->exponent = field->exponent;
    if (number < field->least || number > field->most)
        o->quality |= QUALITY_OUT_OF_RANGE;
}

/* True if the module is there, or was there before in this session. */
static bool known(struct dri_memory *memory, const struct group *g, size_t group)
{
    if (g->status & STATUS_EXISTS)
        memory->seen |= 1u << group;
    return memory->seen & 1u << group;
}

/* The displayed heart rate is the ECG's only if its source says so; a pressure's, the
 * oximeter's or an untold source's is a pulse rate. In asystole 0 is what the monitor
 * measures. */
static void give_heart(const struct group *g, struct observation_set *set)
{
    const unsigned source = g->status >> ECG_SOURCE_SHIFT & ECG_SOURCE_MASK;
    struct field field = heart;

    field.living = !(g->status & ECG_ASYSTOLE);
    give(&field, source == SOURCE_ECG ? MDC_ECG_HEART_RATE : MDC_PULS_RATE, g, set);
}

static void give_pressures(const uint8_t body[DRI_BODY_SIZE], struct dri_memory *memory,
                           struct observation_set *set)
{
    for (size_t p = 0; p < DRI_PRESSURES; p++) {
        struct group g = read_group(body, P1 + p);
        if (!known(memory, &g, P1 + p))
            continue;
        if (g.status & STATUS_EXISTS)
            memory->pressure_label[p] = g.label;
        for (uint8_t i = 0; i < 3 && memory->pressure_label[p] < PRESSURE_LABELS; i++) {
            const struct field field = {(uint8_t)(P1 + p), i,    0,
                                        MDC_DIM_MMHG,      -2,   -5000,
                                        INT16_MAX,         false};
            give(&field, pressure_codes[memory->pressure_label[p]][i], &g, set);
        }
    }
}

static void give_temperatures(const uint8_t body[DRI_BODY_SIZE],
                              struct dri_memory *memory, struct observation_set *set)
{
    for (size_t t = 0; t < DRI_TEMPERATURES; t++) {
        const struct field field = {
            (uint8_t)(T1 + t), 0, 0, MDC_DIM_DEGC, -2, 1000, 5000, false};
        struct group g = read_group(body, T1 + t);
        if (!known(memory, &g, T1 + t))
            continue;
        if (g.status & STATUS_EXISTS)
            memory->temperature_label[t] = g.label;
        if (memory->temperature_label[t] < TEMPERATURE_LABELS)
            give(&field, temperature_codes[memory->temperature_label[t]], &g, set);
    }
}

/* The cuff's last result stays on the screen. It is new when it differs, when the cuff
 * was measuring since, or when an old one is young again; otherwise it is a repetition.
 * While the cuff measures there is no value. */
static void give_cuff(const struct group *g, struct dri_memory *memory,
                      struct observation_set *set)
{
    const bool old = g->label & CUFF_OLD, measuring = g->label & CUFF_MEASURING;
    struct group shown = *g;
    bool fresh = !memory->cuff_known || memory->cuff_measuring || memory->cuff_old;

    for (size_t i = 0; i < DRI_CUFF_VALUES; i++)
        fresh |= g->numbers[i] != memory->cuff[i];
    if (measuring || g->label & CUFF_CALIBRATING)
        shown.status &= ~STATUS_ACTIVE;
    for (size_t i = 0; i < DRI_CUFF_VALUES; i++) {
        give(&cuff[i], cuff[i].code, &shown, set);
        if (!measuring)
            memory->cuff[i] = g->numbers[i];
    }
    for (size_t i = 0; i < set->count; i++)
        if (set->items[i].kind == OBSERVATION_NUMERIC && (old || !fresh))
            for (size_t c = 0; c < DRI_CUFF_VALUES; c++)
                if (set->items[i].code == cuff[c].code)
                    set->items[i].quality |= QUALITY_STALE;
    memory->cuff_known |= !measuring;
    memory->cuff_measuring = measuring;
    memory->cuff_old = old;
}

void dri_basic(const uint8_t body[DRI_BODY_SIZE], struct dri_memory *memory,
               struct observation_set *out)
{
    struct group g = read_group(body, ECG);

    if (known(memory, &g, ECG)) {
        give_heart(&g, out);
        give(&breaths, breaths.code, &g, out);
    }
    give_pressures(body, memory, out);
    g = read_group(body, CUFF);
    if (known(memory, &g, CUFF))
        give_cuff(&g, memory, out);
    give_temperatures(body, memory, out);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        g = read_group(body, fields[i].group);
        if (known(memory, &g, fields[i].group))
            give(&fields[i], fields[i].code, &g, out);
    }
    g = read_group(body, CO2);
    unsigned source = g.label & CO2_RATE_MASK;
    if (known(memory, &g, CO2) && source != CO2_RATE_IMPEDANCE)
        give(&co2_rate, source == CO2_RATE_OWN ? MDC_CO2_RESP_RATE : MDC_RESP_RATE, &g,
             out);
}
