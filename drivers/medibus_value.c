/* SPDX-License-Identifier: Apache-2.0
 *
 * The data of MEDIBUS responses; see medibus.h.
 */
#include "drivers/medibus.h"

#include "drivers/cursor.h"
#include "drivers/decimal.h"
#include "drivers/nomenclature.h"

#include <string.h>

#define CODE_SIZE    2 /* hex digits before each value */
#define MEASURED     4 /* characters of a measured value */
#define SETTING      5
#define MONTH_SIZE   3
#define YEAR_CENTURY 70 /* a two-digit year from here on lies in the last century */

/* What is charted: the quantity, its unit by the key's definition, and the technical
 * limits beyond which a number is flagged. A key that is not here is not given: nobody
 * has two sources for what it means, or there is no code for it. */
static const struct key {
    uint8_t request, key;
    uint32_t code, unit;
    int32_t minimum, maximum; /* in the unit */
} keys[] = {
    {MEDIBUS_MEASURED, 0x74, 152424, 266098, -50, 200}, /* plateau pressure, mbar */
    {MEDIBUS_MEASURED, 0x78, 151976, 266098, -50, 200}, /* PEEP, mbar */
    {MEDIBUS_MEASURED, 0x7D, 151973, 266098, -50, 200}, /* peak pressure, mbar */
    {MEDIBUS_MEASURED, 0x82, 151980, 263744, 0, 5},     /* tidal volume, L */
    {MEDIBUS_MEASURED, 0x88, 151980, 263762, 0, 5000},  /* tidal volume, mL */
    {MEDIBUS_MEASURED, 0xB9, 152008, 265216, 0, 100},   /* minute volume, L/min */
    {MEDIBUS_MEASURED, 0xD6, 151586, 264928, 0, 300},   /* respiratory rate, /min */
    {MEDIBUS_MEASURED, 0xDB, 151708, 262688, 0, 100},   /* etCO2, % */
    {MEDIBUS_MEASURED, 0xE1, 149530, 264864, 0, 350},   /* pulse, /min */
    {MEDIBUS_MEASURED, 0xE3, 151708, 265987, 0, 20},    /* etCO2, kPa */
    {MEDIBUS_MEASURED, 0xE6, 151708, 266016, 0, 150},   /* etCO2, mmHg */
    {MEDIBUS_MEASURED, 0xEB, 150456, 262688, 0, 100},   /* SpO2, % */
    {MEDIBUS_MEASURED, 0xEF, 152440, 262688, 0, 100},   /* O2 expired, % */
    {MEDIBUS_MEASURED, 0xF0, 152196, 262688, 0, 100},   /* O2 inspired, % */
    {MEDIBUS_SETTINGS, 0x04, 16929196, 263744, 0, 5},   /* tidal volume, set, L */
};

#define KEYS (sizeof(keys) / sizeof(keys[0]))

/* Upper case only: the protocol has no other. -1 if it is none. */
static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Spaces on either side of a decimal number. *blank if there is nothing but spaces, which
 * is how some devices fill a value that they do not have. */
static bool number(const uint8_t *at, size_t n, bool *blank, struct decimal *out)
{
    char text[SETTING + 1] = "";

    while (n > 0 && *at == ' ') {
        at++;
        n--;
    }
    while (n > 0 && at[n - 1] == ' ')
        n--;
    *blank = n == 0;
    if (n > SETTING)
        return false;
    memcpy(text, at, n);
    return *blank || (strlen(text) == n && decimal_parse(text, out) == DECIMAL_OK);
}

/* One value into its observation. */
static void give(const struct key *key, bool blank, struct decimal value,
                 struct observation_set *out)
{
    struct observation *o = &out->items[out->count++];

    o->code = key->code;
    o->unit = key->unit;
    if (blank)
        return;
    o->kind = OBSERVATION_NUMERIC;
    o->mantissa = value.mantissa;
    o->exponent = (int8_t)value.exponent;
    if (decimal_compare(value, (struct decimal){key->minimum, 0}) < 0 ||
        decimal_compare(value, (struct decimal){key->maximum, 0}) > 0)
        o->quality = QUALITY_OUT_OF_RANGE;
}

/* The table's index of a key; KEYS if it is not charted. */
static size_t find(uint8_t request, int key)
{
    size_t i = 0;

    while (i < KEYS && (keys[i].request != request || keys[i].key != key))
        i++;
    return i;
}

/* A key that comes twice makes the whole answer doubtful. */
bool medibus_values(uint8_t code, const uint8_t *data, size_t n, uint32_t *seen,
                    struct observation_set *out)
{
    const size_t width = code == MEDIBUS_MEASURED ? MEASURED : SETTING;
    struct cursor in = cursor_make(data, n);
    uint32_t had = 0;

    memset(out, 0, sizeof(*out));
    while (cursor_remaining(&in) > 0) {
        const uint8_t *name = cursor_bytes(&in, CODE_SIZE);
        const uint8_t *text = cursor_bytes(&in, width);
        struct decimal value = {0, 0};
        bool blank = true;
        if (!name || !text || hex(name[0]) < 0 || hex(name[1]) < 0)
            return false;
        size_t i = find(code, hex(name[0]) << 4 | hex(name[1]));
        if (i == KEYS)
            continue; /* what is not charted need not be a number */
        if (had & 1u << i || !number(text, width, &blank, &value))
            return false;
        had |= 1u << i;
        give(&keys[i], blank, value, out);
    }
    for (size_t i = 0; i < KEYS; i++)
        if (keys[i].request == code && *seen & 1u << i && !(had & 1u << i))
            give(&keys[i], true, (struct decimal){0, 0}, out);
    *seen |= had;
    return true;
}

/* One or two digits. -1 if there are none, or it is more than `most`. */
static int digits(struct cursor *in, int most)
{
    int value = -1;

    for (int i = 0; i < 2 && in->left > 0 && *in->at >= '0' && *in->at <= '9'; i++)
        value = (value < 0 ? 0 : value * 10) + cursor_u8(in) - '0';
    return value <= most ? value : -1;
}

/* The character that must come next. */
static bool literal(struct cursor *in, uint8_t c)
{
    return cursor_u8(in) == c && !in->failed;
}

/* 1-12; 0 if it is no month. Three months differ between the languages. */
static int month(struct cursor *in)
{
    static const struct {
        char name[MONTH_SIZE + 1];
        int month;
    } months[] = {{"JAN", 1},  {"FEB", 2},  {"MAR", 3},  {"APR", 4},  {"MAI", 5},
                  {"MAY", 5},  {"JUN", 6},  {"JUL", 7},  {"AUG", 8},  {"SEP", 9},
                  {"OKT", 10}, {"OCT", 10}, {"NOV", 11}, {"DEZ", 12}, {"DEC", 12}};
    const uint8_t *name = cursor_bytes(in, MONTH_SIZE);

    for (size_t i = 0; name && i < sizeof(months) / sizeof(months[0]); i++)
        if (memcmp(name, months[i].name, MONTH_SIZE) == 0)
            return months[i].month;
    return 0;
}

/* Of that month; a year that divides by four is a leap year from 1970 to 2069. */
static int month_days(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && year % 4 == 0);
}

/* Where the seconds are missing the day's digits follow the minutes at once; a colon
 * tells the two apart. */
bool medibus_time(const uint8_t *data, size_t n, struct device_time *out)
{
    struct cursor in = cursor_make(data, n);
    int second = 0;

    memset(out, 0, sizeof(*out));
    int hour = digits(&in, 23);
    bool good = literal(&in, ':');
    int minute = digits(&in, 59);
    if (in.left > 0 && *in.at == ':') {
        good &= literal(&in, ':');
        second = digits(&in, 59);
    }
    int day = digits(&in, 31);
    good &= literal(&in, '-');
    int number_of_month = month(&in);
    good &= literal(&in, '-');
    int year = digits(&in, 99);
    if (!good || !cursor_done(&in) || hour < 0 || minute < 0 || second < 0 || day < 1 ||
        number_of_month == 0 || year < 0)
        return false;
    year += year < YEAR_CENTURY ? 2000 : 1900;
    if (day > month_days(year, number_of_month))
        return false;
    *out = (struct device_time){(uint16_t)year, (uint8_t)number_of_month, (uint8_t)day,
                                (uint8_t)hour,  (uint8_t)minute,          (uint8_t)second,
                                .present = true};
    return true;
}
