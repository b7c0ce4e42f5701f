/* SPDX-License-Identifier: Apache-2.0
 *
 * Zone rules of any text, and any local time in them: whatever instants come out show
 * that local time again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct zone *zone, const struct civil *local)
{
    int64_t us[2] = {0, 0};
    int n = zone_to_utc(zone, local, us);

    if (n < -1 || n > 2 || (n == 2 && us[0] >= us[1]))
        abort();
    for (int i = 0; i < n; i++) {
        struct civil back;
        civil_from_utc(us[i] + zone_offset_s(zone, us[i]) * INT64_C(1000000), &back);
        if (local->second < 60 &&
            (back.year != local->year || back.month != local->month ||
             back.day != local->day || back.hour != local->hour ||
             back.minute != local->minute || back.second != local->second ||
             back.microsecond != local->microsecond))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char rule[64], text[ZONE_TEXT_SIZE];
    struct civil local;
    struct zone zone;
    int64_t us;

    if (size < sizeof(local) + 8 || size - sizeof(local) - 8 >= sizeof(rule))
        return 0;
    memcpy(&local, data, sizeof(local));
    memcpy(&us, data + sizeof(local), 8);
    memcpy(rule, data + sizeof(local) + 8, size - sizeof(local) - 8);
    rule[size - sizeof(local) - 8] = '\0';
    (void)utc_text(us, text);
    if (zone_parse(rule, &zone) != 0)
        return 0;
    (void)zone_offset_s(&zone, us);
    check(&zone, &local);
    /* And with every part brought near what exists. */
    local.year = (int32_t)(1 + (uint32_t)local.year % 9999);
    local.month = (uint8_t)(1 + local.month % 12);
    local.day = (uint8_t)(1 + local.day % 28);
    local.hour %= 24;
    local.minute %= 60;
    local.second %= 60;
    local.microsecond %= 1000000;
    check(&zone, &local);
    return 0;
}
