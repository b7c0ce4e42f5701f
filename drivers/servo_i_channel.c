/* SPDX-License-Identifier: Apache-2.0
 *
 * The channels of a Servo ventilator; see servo_i.h.
 */
#include "drivers/servo_i.h"

#include "drivers/nomenclature.h"
#include "drivers/observe.h"
#include "drivers/text.h"

#include <string.h>

#define CHANNEL_DIGITS  3
#define MANTISSA_DIGITS 4
#define EXPONENT_DIGITS 3
#define UNIT_DIGITS     3 /* at most */
#define TIME_DIGITS     6 /* at most, of the sampling time */

/* The interface's numbers for units, and within which limits a value in it is one. */
static const struct unit {
    uint8_t number;
    uint32_t unit;
    int16_t least, most;
} units[] = {
    {1, 263762, 0, 5000},         /* mL */
    {4, 266048, -50, 200},        /* cmH2O */
    {6, 264928, 0, 200},          /* breaths/min */
    {7, MDC_DIM_PERCENT, 0, 105}, /* % */
    {8, 265216, 0, 100},          /* L/min */
    {10, 266016, 0, 150},         /* mmHg */
    {11, 265987, 0, 20},          /* kPa */
};

/* The manual's channels: the units that one can have, and the powers of ten that one can
 * be scaled by (they differ between protocol versions). `fitted`: only with a module. */
static const struct channel {
    uint16_t number;
    uint32_t code;
    uint8_t units[2]; /* the interface's numbers; 0: none */
    int8_t exponents[2];
    bool fitted;
} channels[SERVO_I_CHANNELS] = {
    {200, 151586, {6, 0}, {-1, -1}, false}, /* respiratory rate */
    {201, 151980, {1, 0}, {0, 0}, false},   /* tidal volume, expired */
    {203, 152004, {8, 0}, {-2, -1}, false}, /* minute volume, inspired */
    {204, 152008, {8, 0}, {-2, -1}, false}, /* minute volume, expired */
    {205, 151973, {4, 0}, {-1, -1}, false}, /* peak pressure */
    {207, 152424, {4, 0}, {-1, -1}, false}, /* plateau pressure */
    {208, 151976, {4, 0}, {-1, -1}, false}, /* end-expiratory pressure */
    {209, 152196, {7, 0}, {-1, -1}, false}, /* oxygen */
    {225, 151708, {7, 0}, {-1, -1}, true},  /* end-tidal CO2, concentration */
    {260, 151708, {10, 11}, {0, -1}, true}, /* end-tidal CO2, pressure */
};

unsigned servo_i_channel(size_t i)
{
    return channels[i].number;
}

size_t servo_i_find(unsigned channel)
{
    size_t i = 0;

    while (i < SERVO_I_CHANNELS && channels[i].number != channel)
        i++;
    return i;
}

/* "+1000E-004": the fewest digits that say it, so that 0.1 is {1, -1}; 0 is {0, 0}. */
static bool scientific(struct text *t, int *mantissa, int *exponent)
{
    bool negative = text_skip(t, "-");

    if (!negative)
        text_expect(t, "+");
    *mantissa = (int)text_digits(t, MANTISSA_DIGITS, MANTISSA_DIGITS);
    text_expect(t, "E");
    bool small = text_skip(t, "-");
    if (!small)
        text_expect(t, "+");
    *exponent = (int)text_digits(t, EXPONENT_DIGITS, EXPONENT_DIGITS);
    if (small)
        *exponent = -*exponent;
    if (*mantissa == 0)
        *exponent = 0;
    for (; *mantissa != 0 && *mantissa % 10 == 0; *mantissa /= 10)
        ++*exponent;
    if (negative)
        *mantissa = -*mantissa;
    return !t->failed;
}

/* A scale that the manual lists for the channel: a power of ten, nothing added. */
static void accept(const struct channel *channel, int exponent, uint32_t unit,
                   struct servo_i_scale *scale)
{
    if (exponent != channel->exponents[0] && exponent != channel->exponents[1])
        return;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (units[i].number == unit &&
            (unit == channel->units[0] || unit == channel->units[1]))
            *scale = (struct servo_i_scale){units[i].unit, (int8_t)exponent,
                                            units[i].least, units[i].most};
}

bool servo_i_configuration(const uint8_t *text, size_t n, size_t i,
                           struct servo_i_scale *scale)
{
    struct text t = text_make(text, n);
    int gain, gain_exponent, offset, offset_exponent;

    memset(scale, 0, sizeof(*scale));
    text_digits(&t, 1, TIME_DIGITS); /* sampling time of curves */
    text_expect(&t, ";");
    if (text_digits(&t, CHANNEL_DIGITS, CHANNEL_DIGITS) != channels[i].number)
        return false;
    text_expect(&t, ",");
    if (t.failed)
        return false;
    if (!scientific(&t, &gain, &gain_exponent))
        return true; /* "--": the channel is not scaled */
    text_expect(&t, ",");
    if (!scientific(&t, &offset, &offset_exponent))
        return true;
    text_expect(&t, ",");
    uint32_t unit = text_digits(&t, 1, UNIT_DIGITS);
    text_expect(&t, ","); /* behind it type and name, which are for people */
    if (!t.failed && gain == 1 && offset == 0)
        accept(&channels[i], gain_exponent, unit, scale);
    return true;
}

/* One channel of a set. */
static void give(const struct channel *channel, const struct servo_i_scale *scale,
                 int64_t number, struct observation_set *out)
{
    struct observation *o = observe_absent(out, channel->code, scale->unit, 0);
    int64_t whole = 1;

    if (o == NULL || number == SERVO_I_MISSING)
        return;
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = number;
    o->exponent = scale->exponent;
    for (int8_t i = scale->exponent; i < 0; i++)
        whole *= 10; /* the last digits that make one of the unit */
    if (number < scale->least * whole || number > scale->most * whole)
        o->quality = QUALITY_OUT_OF_RANGE;
}

bool servo_i_values(const uint8_t *text, size_t n, struct servo_i_device *device,
                    struct observation_set *out)
{
    struct text t = text_make(text, n);
    const bool standby = n == 0;
    uint16_t seen = device->seen;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < SERVO_I_CHANNELS; i++) {
        int64_t number = SERVO_I_MISSING;
        if (device->scale[i].unit == 0)
            continue;
        if (!standby)
            number = text_digits(&t, SERVO_I_DIGITS, SERVO_I_DIGITS);
        if (number != SERVO_I_MISSING)
            seen |= (uint16_t)(1u << i);
        if (!channels[i].fitted || seen & 1u << i)
            give(&channels[i], &device->scale[i], number, out);
    }
    if (!text_done(&t))
        return false;
    device->seen = seen;
    return true;
}
