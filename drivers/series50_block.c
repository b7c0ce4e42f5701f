/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Series 50 monitor says, block by block; see series50.h.
 */
#include "drivers/series50.h"

#include "drivers/cursor.h"
#include "drivers/nomenclature.h"

#include <string.h>

#define MDC_ECG_HEART_RATE    147842
#define MDC_PULS_RATE         149514
#define MDC_PULS_RATE_NON_INV 149546
#define MDC_NONINV_SYS        150021
#define MDC_NONINV_DIA        150022
#define MDC_NONINV_MEAN       150023
#define MDC_TEMP              150344
#define MDC_DIM_DIMLESS       262656
#define MDC_DIM_MMHG          266016
#define MDC_DIM_DEGC          268192

#define STATUS_ON        0x8000
#define STATUS_INSERTED  0x4000 /* samples that the monitor made up to keep time */
#define STATUS_FSPO2     0x0800
#define STATUS_SAME_RATE 0x0100 /* two channels show one heart: whose is not known */
#define STATUS_OFFSET    0x0002 /* the paper shows twin 1 moved by 20 beats */

#define RATE_BITS      0x07FF
#define RATE_MAX       1200 /* quarters of a beat a minute */
#define QUALITY_SHIFT  13
#define PERCENT_MAX    100
#define TEMP_BASE      250 /* tenths of a degree */
#define QUALITY_RED    0
#define QUALITY_YELLOW 1
#define QUALITY_GREEN  2

/* Where a rate comes from, as the mode word tells it. */
struct source {
    unsigned mode;
    bool inoperative;
};

/* A set about somebody. */
static void begin(struct observation_set *set, uint8_t subject, uint8_t number)
{
    memset(set, 0, sizeof(*set));
    set->subject = subject;
    set->number = number;
}

/* One observation, with a value only if nothing forbids it. */
static void put(struct observation_set *set, uint32_t code, uint32_t unit,
                int64_t mantissa, int8_t exponent, unsigned quality)
{
    struct observation *o = &set->items[set->count++];

    memset(o, 0, sizeof(*o));
    o->code = code;
    o->unit = unit;
    o->quality = (uint16_t)quality;
    if (quality & (QUALITY_INVALID | QUALITY_SENSOR_OFF) || mantissa == 0)
        return;
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = mantissa;
    o->exponent = exponent;
}

/* A rate of a CTG block: quality in two bits, value in eleven. Red is what the monitor
 * itself does not trust enough to draw. */
static void put_rate(struct observation_set *set, uint32_t code, uint16_t word,
                     unsigned quality)
{
    unsigned rate = word & RATE_BITS, light = word >> QUALITY_SHIFT & 3;

    if (rate > RATE_MAX || word & 0x8000 || light > QUALITY_GREEN ||
        (rate > 0 && light == QUALITY_RED))
        quality |= QUALITY_INVALID;
    if (light == QUALITY_YELLOW)
        quality |= QUALITY_QUESTIONABLE;
    put(set, code, MDC_DIM_BEAT_PER_MIN, (int64_t)rate * 25, -2, quality);
}

/* Whether a transducer is there and works. */
static unsigned source_quality(const struct source *source)
{
    if (source->mode == SERIES50_MODE_NONE)
        return QUALITY_SENSOR_OFF;
    return source->inoperative ? QUALITY_INVALID : 0;
}

/* A fetal channel. A maternal transducer on it, or one of which nothing is known, makes
 * its rate nobody's: it is never given as the fetus's. */
static void put_fetal(struct observation_set *set, uint16_t word,
                      const struct source *source, unsigned quality)
{
    bool ecg = source->mode == SERIES50_MODE_DECG;

    quality |= source_quality(source);
    if (source->mode > SERIES50_MODE_DECG)
        quality |= QUALITY_INVALID;
    put_rate(set, ecg ? MDC_FETAL_HEART_RATE_ECG : MDC_FETAL_HEART_RATE_ULTRASOUND, word,
             quality);
}

/* The mother's channel; the same the other way round. */
static void put_maternal(struct observation_set *set, uint16_t word,
                         const struct source *source, unsigned quality)
{
    quality |= source_quality(source);
    if (source->mode != SERIES50_MODE_NONE && source->mode != SERIES50_MODE_MECG &&
        source->mode != SERIES50_MODE_EXTERN)
        quality |= QUALITY_INVALID;
    put_rate(set,
             source->mode == SERIES50_MODE_EXTERN ? MDC_PULS_RATE : MDC_ECG_HEART_RATE,
             word, quality);
}

/* Uterine activity has no mark for "no value", and 0 is one: its validity is its mode. */
static void put_activity(struct observation_set *set, uint8_t half, unsigned mode,
                         unsigned quality)
{
    bool pressure = mode == SERIES50_TOCO_IUP;
    struct observation *o = &set->items[set->count];

    if (mode == SERIES50_MODE_NONE)
        quality |= QUALITY_SENSOR_OFF;
    else if (mode != SERIES50_TOCO_EXTERN && !pressure)
        quality |= QUALITY_INVALID;
    put(set, pressure ? MDC_INTRAUTERINE_PRESSURE : MDC_UTERINE_ACTIVITY,
        pressure ? MDC_DIM_MMHG : MDC_DIM_DIMLESS, (int64_t)half * 5, -1, quality);
    if (half == 0 && !(quality & (QUALITY_INVALID | QUALITY_SENSOR_OFF))) {
        o->kind = OBSERVATION_NUMERIC;
        o->exponent = -1;
    }
}

/* A CTG block, taken apart. */
struct ctg {
    uint16_t status, rates[3]; /* the newest sample of each */
    uint8_t activity, fetal_spo2;
    unsigned activity_mode;
    struct source sources[3];
};

static bool read_ctg(struct cursor *c, struct ctg *ctg)
{
    uint16_t modes;

    ctg->status = cursor_be16(c);
    for (size_t channel = 0; channel < 3; channel++)
        for (size_t i = 0; i < SERIES50_SAMPLES; i++)
            ctg->rates[channel] = cursor_be16(c);
    for (size_t i = 0; i < SERIES50_SAMPLES; i++)
        ctg->activity = cursor_u8(c);
    modes = cursor_be16(c);
    for (unsigned channel = 0; channel < 3; channel++) {
        unsigned nibble = (unsigned)modes >> (12 - 4 * channel) & 15;
        ctg->sources[channel] = (struct source){nibble >> 1, nibble & 1};
    }
    ctg->activity_mode = cursor_u8(c) >> 1 & 7;
    ctg->fetal_spo2 = cursor_u8(c);
    return cursor_done(c);
}

/* Which fetus the saturation probe is on nobody says; with one fetus there is no doubt.
 */
static void put_fetal_spo2(struct observation_set *set, const struct ctg *ctg,
                           unsigned quality)
{
    if (!(ctg->status & STATUS_FSPO2))
        return;
    if (ctg->fetal_spo2 == 0 || ctg->fetal_spo2 > PERCENT_MAX ||
        ctg->sources[1].mode != SERIES50_MODE_NONE)
        quality |= QUALITY_INVALID;
    put(set, MDC_PULS_OXIM_SAT_O2, MDC_DIM_PERCENT, ctg->fetal_spo2, 0, quality);
}

static void give_ctg(const struct ctg *ctg, bool *twin, const struct driver_sink *sink)
{
    struct observation_set set;
    unsigned all = 0, rate;

    if (!(ctg->status & STATUS_ON))
        all |= QUALITY_INVALID;
    if (ctg->status & STATUS_INSERTED)
        all |= QUALITY_QUESTIONABLE;
    rate = all | (ctg->status & STATUS_SAME_RATE ? QUALITY_QUESTIONABLE : 0U);

    begin(&set, OBSERVATION_OF_PATIENT, 0);
    put_maternal(&set, ctg->rates[2], &ctg->sources[2], rate);
    put_activity(&set, ctg->activity, ctg->activity_mode, all);
    sink->set(sink->context, &set);

    /* The guide does not say whether the twins' offset is in the number: it is doubt. */
    begin(&set, OBSERVATION_OF_FETUS, 1);
    put_fetal(&set, ctg->rates[0], &ctg->sources[0],
              rate | (ctg->status & STATUS_OFFSET ? QUALITY_QUESTIONABLE : 0U));
    put_fetal_spo2(&set, ctg, all);
    sink->set(sink->context, &set);

    *twin |= ctg->sources[1].mode != SERIES50_MODE_NONE;
    if (!*twin)
        return;
    begin(&set, OBSERVATION_OF_FETUS, 2);
    put_fetal(&set, ctg->rates[1], &ctg->sources[1], rate);
    sink->set(sink->context, &set);
}

/* A rate that comes with a cuff or a saturation: 0 is invalid now, FFFF is for ever. */
static void put_plain_rate(struct observation_set *set, uint32_t code, uint16_t word)
{
    bool cannot = word == SERIES50_CANNOT;

    put(set, code, MDC_DIM_BEAT_PER_MIN, cannot ? 0 : (int64_t)word * 25, -2,
        cannot                         ? 0
        : word == 0 || word > RATE_MAX ? QUALITY_INVALID
                                       : 0);
}

/* The cuff: a measurement each time it comes. */
static void read_pressure(struct cursor *c, struct observation_set *set)
{
    static const uint32_t codes[] = {MDC_NONINV_SYS, MDC_NONINV_DIA, MDC_NONINV_MEAN};

    for (size_t i = 0; i < 3; i++) {
        uint16_t pressure = cursor_be16(c);
        bool bad = pressure == 0 || pressure == SERIES50_CANNOT;
        put(set, codes[i], MDC_DIM_MMHG, pressure, 0, bad ? QUALITY_INVALID : 0);
    }
    put_plain_rate(set, MDC_PULS_RATE_NON_INV, cursor_be16(c));
}

/* Half percents. */
static void read_saturation(struct cursor *c, struct observation_set *set)
{
    uint8_t half = cursor_u8(c);
    bool bad = half == 0 || half > 2 * PERCENT_MAX;

    put(set, MDC_PULS_OXIM_SAT_O2, MDC_DIM_PERCENT, (int64_t)half * 5, -1,
        bad ? QUALITY_INVALID : 0);
    put_plain_rate(set, MDC_PULS_OXIM_PULS_RATE, cursor_be16(c));
}

/* Tenths of a degree above 25. */
static void read_temperature(struct cursor *c, struct observation_set *set)
{
    put(set, MDC_TEMP, MDC_DIM_DEGC, TEMP_BASE + cursor_u8(c), -1, 0);
}

bool series50_block(const uint8_t *bytes, size_t n, bool *twin,
                    const struct driver_sink *sink)
{
    static const struct {
        uint8_t type;
        void (*read)(struct cursor *, struct observation_set *);
    } mothers[] = {{'P', read_pressure}, {'S', read_saturation}, {'T', read_temperature}};
    struct cursor c = cursor_make(bytes, n);
    uint8_t type = cursor_u8(&c);
    struct observation_set set;
    struct ctg ctg;

    if (type == 'C') {
        if (!read_ctg(&c, &ctg))
            return false;
        give_ctg(&ctg, twin, sink);
        return true;
    }
    for (size_t i = 0; i < sizeof(mothers) / sizeof(mothers[0]); i++) {
        if (type != mothers[i].type)
            continue;
        begin(&set, OBSERVATION_OF_PATIENT, 0);
        mothers[i].read(&c, &set);
        if (!cursor_done(&c))
            return false;
        sink->set(sink->context, &set);
        return true;
    }
    return !c.failed;
}
