/* SPDX-License-Identifier: Apache-2.0
 *
 * Civil time and time zones without global state. HL7 feeds carry local times without a
 * zone: one local time may be two instants (the hour that summer time repeats) or none
 * (the hour it skips).
 */
#ifndef BASE_ZONE_H
#define BASE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ZONE_LONDON "GMT0BST,M3.5.0/1,M10.5.0"

struct civil {
    int32_t year;                 /* 1..9999 */
    uint8_t month, day;           /* 1-12, 1-31 */
    uint8_t hour, minute, second; /* 0-23, 0-59, 0-60 */
    uint32_t microsecond;
};

struct zone_rule { /* "M10.5.0/2": the day and local second of a change */
    uint8_t month, week, weekday;
    int32_t second;
};

struct zone {                     /* filled by zone_parse; copied freely */
    int32_t standard_s, summer_s; /* seconds east of Greenwich */
    bool has_summer;
    struct zone_rule to_summer, to_standard;
};

/* Reads a POSIX TZ rule ("GMT0BST,M3.5.0/1,M10.5.0", "UTC0") or one of the names
 * "Europe/London", "UTC". Returns 0, or -1 if it is neither; *zone is then untouched. */
int zone_parse(const char *text, struct zone *zone);

/* Seconds east of Greenwich at this instant. */
int32_t zone_offset_s(const struct zone *zone, int64_t utc_us);

/* The instants that a local civil time may mean. Returns how many: 1 usually; 2 in the
 * repeated hour (earliest first); 0 in the skipped hour, when both are set to the instant
 * of the change; -1 if the civil time does not exist (month 13, 30 February). */
int zone_to_utc(const struct zone *zone, const struct civil *local, int64_t utc_us[2]);

/* UTC <-> civil, proleptic Gregorian. civil_to_utc returns false for an impossible date.
 */
void civil_from_utc(int64_t utc_us, struct civil *civil);
bool civil_to_utc(const struct civil *civil, int64_t *utc_us);

#define ZONE_TEXT_SIZE 40
/* "2026-07-22T14:05:09.250Z" (milliseconds, UTC); out has ZONE_TEXT_SIZE bytes. Returns
 * out. */
const char *utc_text(int64_t utc_us, char *out);

#endif
