/* SPDX-License-Identifier: Apache-2.0
 *
 * No TZ, no tzset, no tables on disk: a zone is a value, and everything is a function of
 * it. The two hours a year in which a local time lies are made visible to the caller
 * instead of being decided here.
 */
#include "base/zone.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define DAY_S  INT64_C(86400)
#define HOUR_S 3600

/* --- Civil days: days since 1970-01-01, by the 400-year cycle of the Gregorian calendar
 * --- */

/* Proleptic Gregorian: the rule of today for all years. */
static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* month is 1..12. */
static int month_days(int64_t year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* The year is taken to begin in March, so that the leap day is its last and every month
 * before it has a fixed place. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t era, year_of_era, day_of_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    year_of_era = year - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
           day_of_year - 719468;
}

/* The reverse of days_from_civil, for every day that an int64_t of microseconds can
 * reach. */
static void civil_from_days(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t era, day_of_era, year_of_era, day_of_year, shifted;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    day_of_era = days - era * 146097;
    year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    shifted = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = year_of_era + era * 400 + (*month <= 2);
}

/* Division that rounds down, so that the second before 1970 belongs to 1969. */
static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Total: every instant has a civil time. */
void civil_from_utc(int64_t utc_us, struct civil *civil)
{
    int64_t seconds = floor_div(utc_us, US_PER_S), days = floor_div(seconds, DAY_S);
    int64_t in_day = seconds - days * DAY_S, below = utc_us % US_PER_S, year;
    int month, day;

    civil_from_days(days, &year, &month, &day);
    civil->year = (int32_t)year;
    civil->month = (uint8_t)month;
    civil->day = (uint8_t)day;
    civil->hour = (uint8_t)(in_day / HOUR_S);
    civil->minute = (uint8_t)(in_day / 60 % 60);
    civil->second = (uint8_t)(in_day % 60);
    civil->microsecond = (uint32_t)(below < 0 ? below + US_PER_S : below);
}

/* Refuses what no calendar shows; *utc_us is then untouched. */
bool civil_to_utc(const struct civil *civil, int64_t *utc_us)
{
    int64_t days;

    if (civil->year < 1 || civil->year > 9999 || civil->month < 1 || civil->month > 12 ||
        civil->day < 1 || civil->day > month_days(civil->year, civil->month) ||
        civil->hour > 23 || civil->minute > 59 || civil->second > 60 ||
        civil->microsecond >= US_PER_S)
        return false;

    /* Second 60 is the leap second: UTC of this clock shows it as the next second's 0. */
    days = days_from_civil(civil->year, civil->month, civil->day);
    *utc_us = (days * DAY_S + (int64_t)civil->hour * HOUR_S +
               civil->minute * INT64_C(60) + civil->second) *
                  US_PER_S +
              civil->microsecond;
    return true;
}

/* The only text form of an instant in logs, answers and pages. */
const char *utc_text(int64_t utc_us, char *out)
{
    struct civil c;

    civil_from_utc(utc_us, &c);
    (void)snprintf(out, ZONE_TEXT_SIZE, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", c.year,
                   (unsigned)c.month, (unsigned)c.day, (unsigned)c.hour,
                   (unsigned)c.minute, (unsigned)c.second,
                   (unsigned)(c.microsecond / 1000));
    return out;
}

/* --- POSIX TZ rules --- */

/* Steps over one expected character. */
static bool take(const char **at, char c)
{
    if (**at != c)
        return false;
    (*at)++;
    return true;
}

/* Digits up to maximum; at least one. */
static bool take_number(const char **at, int32_t maximum, int32_t *out)
{
    int32_t value = 0;
    bool any = false;

    while (**at >= '0' && **at <= '9') {
        value = value * 10 + (**at - '0');
        if (value > maximum)
            return false;
        any = true;
        (*at)++;
    }
    *out = value;
    return any;
}

/* "GMT", "<+0330>": three letters or more, or anything alphanumeric in angle brackets. */
static bool take_name(const char **at)
{
    bool quoted = take(at, '<');
    int n = 0;

    for (;; (*at)++, n++) {
        char c = **at;
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-')))
            break;
    }
    return n >= 3 && (!quoted || take(at, '>'));
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_time(const char **at, int32_t hours_max, int32_t *out)
{
    int32_t hours, minutes = 0, seconds = 0;
    bool negative = take(at, '-');

    if (!negative)
        (void)take(at, '+');
    if (!take_number(at, hours_max, &hours))
        return false;
    if (take(at, ':')) {
        if (!take_number(at, 59, &minutes))
            return false;
        if (take(at, ':') && !take_number(at, 59, &seconds))
            return false;
    }
    *out = hours * HOUR_S + minutes * 60 + seconds;
    if (negative)
        *out = -*out;
    return true;
}

/* ",Mm.w.d[/time]"; the Julian forms are used by no hospital's zone and are refused. */
static bool take_rule(const char **at, struct zone_rule *rule)
{
    int32_t month, week, weekday;

    if (!take(at, ',') || !take(at, 'M') || !take_number(at, 12, &month) || month < 1 ||
        !take(at, '.') || !take_number(at, 5, &week) || week < 1 || !take(at, '.') ||
        !take_number(at, 6, &weekday))
        return false;
    rule->month = (uint8_t)month;
    rule->week = (uint8_t)week;
    rule->weekday = (uint8_t)weekday;
    rule->second = 2 * HOUR_S;
    return !take(at, '/') || take_time(at, 167, &rule->second);
}

/* "std offset [dst [offset] ,start,end]". A zone with summer time but without rules is
 * refused: POSIX leaves them to the system, and two systems would then chart at
 * different times. */
int zone_parse(const char *text, struct zone *zone)
{
    struct zone parsed;
    const char *at = text;
    int32_t west;

    if (strcmp(text, "Europe/London") == 0)
        at = ZONE_LONDON;
    else if (strcmp(text, "UTC") == 0)
        at = "UTC0";

    memset(&parsed, 0, sizeof(parsed));
    if (!take_name(&at) || !take_time(&at, 24, &west))
        return -1;
    parsed.standard_s = parsed.summer_s = -west; /* POSIX counts westwards */

    if (*at != '\0') {
        if (!take_name(&at))
            return -1;
        parsed.has_summer = true;
        parsed.summer_s = parsed.standard_s + HOUR_S;
        if (*at != ',') {
            if (!take_time(&at, 24, &west))
                return -1;
            parsed.summer_s = -west;
        }
        if (!take_rule(&at, &parsed.to_summer) || !take_rule(&at, &parsed.to_standard) ||
            *at != '\0')
            return -1;
    }
    *zone = parsed;
    return 0;
}

/* The local second (as if it were UTC) at which a rule strikes in a year. */
static int64_t rule_local_s(const struct zone_rule *rule, int64_t year)
{
    int64_t first = days_from_civil(year, rule->month, 1);
    int64_t weekday = (first % 7 + 7 + 4) % 7; /* 1970-01-01 was a Thursday */
    int64_t day = (rule->weekday - weekday + 7) % 7 + (rule->week - 1) * INT64_C(7);

    if (day >= month_days(year, rule->month)) /* week 5 means the last one */
        day -= 7;
    return (first + day) * DAY_S + rule->second;
}

/* The instant at which summer time begins in a local year: the rule is in standard
 * time. */
static int64_t summer_begins_s(const struct zone *zone, int64_t year)
{
    return rule_local_s(&zone->to_summer, year) - zone->standard_s;
}

/* And ends: the rule is in summer time. */
static int64_t summer_ends_s(const struct zone *zone, int64_t year)
{
    return rule_local_s(&zone->to_standard, year) - zone->summer_s;
}

/* The civil year of a second count. */
static int64_t year_of(int64_t seconds)
{
    int64_t year;
    int month, day;

    civil_from_days(floor_div(seconds, DAY_S), &year, &month, &day);
    return year;
}

/* Both changes of the local year are worked out anew each time: some 50 ns, and
 * nothing to be kept in step. */
int32_t zone_offset_s(const struct zone *zone, int64_t utc_us)
{
    int64_t now = floor_div(utc_us, US_PER_S), year, begins, ends;
    bool summer;

    if (!zone->has_summer)
        return zone->standard_s;

    year = year_of(now + zone->standard_s);
    begins = summer_begins_s(zone, year);
    ends = summer_ends_s(zone, year);
    if (begins < ends)
        summer = now >= begins && now < ends;
    else /* south of the equator summer spans the new year */
        summer = now >= begins || now < ends;
    return summer ? zone->summer_s : zone->standard_s;
}

/* A local time that no instant shows lies in a jump forward; finds the instant of that
 * jump. */
static int64_t skipped_change_us(const struct zone *zone, int64_t local_s)
{
    int64_t year = year_of(local_s);
    int64_t change = zone->summer_s > zone->standard_s ? summer_begins_s(zone, year)
                                                       : summer_ends_s(zone, year);

    return change * US_PER_S;
}

/* Tries each offset that the zone has and keeps those that agree with themselves. */
int zone_to_utc(const struct zone *zone, const struct civil *local, int64_t utc_us[2])
{
    int64_t as_utc, early, late;
    int32_t east = zone->summer_s, west = zone->standard_s;
    bool early_holds, late_holds;

    if (!civil_to_utc(local, &as_utc))
        return -1;
    if (east < west) { /* Ireland's law calls winter the saving time */
        east = zone->standard_s;
        west = zone->summer_s;
    }

    /* Only two offsets exist, so only two instants can show this local time. */
    early = as_utc - east * US_PER_S;
    late = as_utc - west * US_PER_S;
    early_holds = zone_offset_s(zone, early) == east;
    late_holds = zone_offset_s(zone, late) == west && late != early;

    if (early_holds && late_holds) {
        utc_us[0] = early;
        utc_us[1] = late;
        return 2;
    }
    if (early_holds || late_holds) {
        utc_us[0] = utc_us[1] = early_holds ? early : late;
        return 1;
    }
    utc_us[0] = utc_us[1] = skipped_change_us(zone, floor_div(as_utc, US_PER_S));
    return 0;
}
