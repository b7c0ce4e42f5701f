/* SPDX-License-Identifier: Apache-2.0
 *
 * See observe.h.
 */
#include "drivers/observe.h"

#include <string.h>

#define DAY_S 86400u

struct observation *observe_absent(struct observation_set *set, uint32_t code,
                                   uint32_t unit, unsigned quality)
{
    struct observation *o;

    if (set->count >= OBSERVATIONS_MAX)
        return NULL;
    o = &set->items[set->count++];
    memset(o, 0, sizeof(*o));
    o->code = code;
    o->unit = unit;
    o->quality = (uint16_t)quality;
    return o;
}

struct observation *observe(struct observation_set *set, uint32_t code, uint32_t unit,
                            bool has, int64_t mantissa, int exponent, unsigned quality)
{
    struct observation *o = observe_absent(set, code, unit, quality);

    if (o == NULL || !has || quality & (QUALITY_INVALID | QUALITY_SENSOR_OFF))
        return o;
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = mantissa;
    o->exponent = (int8_t)exponent;
    return o;
}

/* 2100 is no leap year, the one exception before 2106 ends the count. */
static bool is_leap(unsigned year)
{
    return year % 4 == 0 && year != 2100;
}

struct device_time observe_time(uint32_t seconds)
{
    static const uint8_t months[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint32_t days = seconds / DAY_S, rest = seconds % DAY_S;
    unsigned year = 1970, month = 0;

    for (; days >= 365u + is_leap(year); year++)
        days -= 365u + is_leap(year);
    while (days >= (unsigned)months[month] + (month == 1 && is_leap(year))) {
        days -= (unsigned)months[month] + (month == 1 && is_leap(year));
        month++;
    }
    return (struct device_time){.year = (uint16_t)year,
                                .month = (uint8_t)(month + 1),
                                .day = (uint8_t)(days + 1),
                                .hour = (uint8_t)(rest / 3600),
                                .minute = (uint8_t)(rest / 60 % 60),
                                .second = (uint8_t)(rest % 60),
                                .present = true};
}
