/* SPDX-License-Identifier: Apache-2.0 */
#include "epr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/zone.h"
#include "ward.h"

/* Field n of a segment (MSH counts its separator as field 1) into out; empty if it is not
 * there. */
static void field(const char *segment, int n, char *out, size_t size)
{
    const char *at = segment;
    size_t length;

    out[0] = '\0';
    if (strncmp(segment, "MSH", 3) == 0)
        n--;
    while (n-- > 0) {
        at += strcspn(at, "|\r");
        if (*at != '|')
            return;
        at++;
    }
    length = strcspn(at, "|\r");
    snprintf(out, size, "%.*s", (int)(length < size ? length : size - 1), at);
}

static uint64_t hash(const char *bytes, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < n; i++)
        h = (h ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* YYYYMMDDHHMMSS[.fff]+0000 */
static int64_t time_of(const char *text)
{
    struct civil civil = {0};
    unsigned month, day, hour, minute, second, ms = 0;
    int64_t utc_us;

    if (sscanf(text, "%4d%2u%2u%2u%2u%2u.%3u", &civil.year, &month, &day, &hour, &minute,
               &second, &ms) < 6 ||
        strstr(text, "+0000") == NULL)
        return INT64_MIN;
    civil.month = (uint8_t)month;
    civil.day = (uint8_t)day;
    civil.hour = (uint8_t)hour;
    civil.minute = (uint8_t)minute;
    civil.second = (uint8_t)second;
    civil.microsecond = ms * 1000;
    return civil_to_utc(&civil, &utc_us) ? utc_us : INT64_MIN;
}

static void chart(struct epr *epr, const char *status, long serial, int patient,
                  int64_t time_us, int64_t stated_us)
{
    struct epr_entry *entry = &epr->entries[serial];

    if (status[0] == 'W' || status[0] == 'D') {
        if (entry->standing == 0 || entry->patient != patient)
            entry->wrong_withdrawal = true;
        else if (--entry->standing == 0)
            entry->patient = WARD_NOBODY;
        epr->withdrawn++;
        return;
    }
    if (status[0] == 'X')
        return;
    entry->patient = patient;
    entry->time_us = time_us;
    entry->stated_us = stated_us;
    entry->standing++;
}

void epr_begin(struct epr *epr)
{
    memset(epr, 0, sizeof *epr);
    for (size_t i = 0; i < EPR_SERIALS_MAX; i++)
        epr->entries[i].patient = WARD_NOBODY;
}

static bool known(struct epr *epr, const char *control, const char *message, size_t n)
{
    uint64_t id = hash(control, strlen(control)), body = hash(message, n);

    for (size_t i = 0; i < epr->control_count; i++)
        if (epr->controls[i] == id) {
            epr->repeated++;
            if (epr->bodies[i] != body)
                epr->altered++;
            return true;
        }
    if (epr->control_count == EPR_MESSAGES_MAX)
        abort();
    epr->controls[epr->control_count] = id;
    epr->bodies[epr->control_count++] = body;
    return false;
}

/* Always the same ones, of each control id: an EPR has one rule. Withdrawals are left
 * out; one that is refused as a duplicate waits for a person, and a day has none. */
bool epr_refuses(const struct epr *epr, const char *message)
{
    char control[64];
    const char *correction = strstr(message, "|||W|");

    field(message, 10, control, sizeof control);
    uint64_t id = hash(control, strlen(control));
    if (id % 3 != 0 || correction != NULL)
        return false;
    for (size_t i = 0; i < epr->control_count; i++)
        if (epr->controls[i] == id)
            return true;
    return false;
}

bool epr_apply(struct epr *epr, const char *message, size_t n, char control[64])
{
    char type[32], text[128], observation_time[64] = "", status[8], code[64], value[64];
    int patient = WARD_NOBODY;
    int64_t stated_us = 0;

    field(message, 9, type, sizeof type);
    field(message, 10, control, 64);
    if (strncmp(type, "ORU^R01", 7) != 0 || control[0] == '\0') {
        epr->malformed++;
        return false;
    }
    if (known(epr, control, message, n))
        return true;
    for (const char *segment = message; segment < message + n;) {
        if (strncmp(segment, "PID|", 4) == 0) {
            field(segment, 3, text, sizeof text);
            text[strcspn(text, "^~")] = '\0';
            patient = ward_patient_of(text);
        } else if (strncmp(segment, "OBR|", 4) == 0) {
            field(segment, 7, observation_time, sizeof observation_time);
        } else if (strncmp(segment, "OBX|", 4) == 0) {
            field(segment, 3, code, sizeof code);
            field(segment, 5, value, sizeof value);
            field(segment, 11, status, sizeof status);
            field(segment, 14, text, sizeof text);
            if (strstr(code, "^MDC_TIME_SYNC_ACCURACY^") != NULL)
                stated_us = strtol(value, NULL, 10);
            if (strncmp(code, "147842^", 7) ==
                0) { /* the heart rate carries the serial number */
                long serial = strtol(value, NULL, 10);

                if (serial <= 0 || serial >= EPR_SERIALS_MAX ||
                    strchr(value, '.') != NULL)
                    epr->malformed++;
                else
                    chart(epr, status, serial, patient,
                          time_of(text[0] != '\0' ? text : observation_time), stated_us);
            }
        }
        segment += strcspn(segment, "\r");
        while (segment < message + n && *segment == '\r')
            segment++;
    }
    epr->applied++;
    return true;
}
