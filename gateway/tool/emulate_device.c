/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of the emulated devices, and the book of what was served. The book is what a
 * test compares with what arrived: a row is entered when it is first read (or when it is
 * replaced unread), with the time it came up, so that served = decoded + inside a gap can
 * be checked from outside.
 */
#include "tool/emulate_device.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/zone.h"

/* Nonin devices have two values; columns of either name fit. */
static const char *const nonin_names[] = {"PULSE", "SpO2"};

static int nonin_field(const char *name)
{
    for (int i = 0; i < 2; i++) {
        if (strcmp(name, nonin_names[i]) == 0)
            return i;
    }
    return -1;
}

/* By the field's own name; a profile and a recording agree on names or on nothing. */
static int map_field(const struct regmap *map, const char *name)
{
    for (size_t f = 0; f < map->field_count; f++) {
        if (map->fields[f].role == REGMAP_OBSERVE &&
            strcmp(map->fields[f].name, name) == 0)
            return (int)f;
    }
    return -1;
}

/* Columns without a field are left out (a recording has its own clock, for one); a file
 * without any column that fits is a mistake. */
int emulate_device_bind(struct emulate_ward *ward, size_t index, char *error, size_t size)
{
    struct emulate_device *device = &ward->devices[index];
    size_t bound = 0;

    for (size_t c = 0; c < emulate_source_columns(device->source); c++) {
        const char *name = emulate_source_column(device->source, c);

        device->field_of[c] =
            ward->is_nonin ? nonin_field(name) : map_field(device->map, name);
        bound += device->field_of[c] >= 0;
    }
    if (bound == 0) {
        (void)snprintf(error, size, "no column has the name of a field of %s",
                       ward->is_nonin ? "a Nonin device (PULSE, SpO2)"
                                      : device->map->name);
        return -1;
    }
    for (size_t f = 0; !ward->is_nonin && f < device->map->field_count; f++) {
        if (device->map->fields[f].role == REGMAP_SAMPLE)
            device->counter = &device->map->fields[f];
    }
    return 0;
}

/* One line of the book about the row that is shown. */
static void note(const struct emulate_ward *ward, const struct emulate_device *device,
                 bool read)
{
    char made[ZONE_TEXT_SIZE], seen[ZONE_TEXT_SIZE];
    json_t *line, *row;

    if (ward->book == NULL)
        return;
    line = json_pack("{s:i, s:I, s:s}", "unit", (int)device->address, "sample",
                     (json_int_t)device->sample, "made", utc_text(device->made_us, made));
    row = json_object();
    if (read)
        (void)json_object_set_new(line, "read",
                                  json_string(utc_text(clock_utc_us(), seen)));
    else
        (void)json_object_set_new(line, "unread", json_true());
    for (size_t c = 0; c < emulate_source_columns(device->source); c++) {
        const char *value = device->row.values[c];

        if (device->field_of[c] >= 0)
            (void)json_object_set_new(row, emulate_source_column(device->source, c),
                                      value[0] != '\0' ? json_string(value)
                                                       : json_null());
    }
    (void)json_object_set_new(line, "row", row);
    (void)json_dumpf(line, ward->book, JSON_COMPACT);
    (void)fputc('\n', ward->book);
    (void)fflush(ward->book); /* whoever ends us by force still finds what was served */
    json_decref(line);
}

/* A Nonin value is a whole number: false if the text has digits that would be lost. */
static bool whole(const char *text, int16_t *value)
{
    char *end;
    long n = strtol(text, &end, 10);

    *value = text[0] != '\0' ? (int16_t)n : NONIN_MISSING;
    return *end == '\0' && n >= 0 && n <= 510;
}

/* Shows the row in the device's registers. */
static int show(struct emulate_ward *ward, size_t index)
{
    struct emulate_device *device = &ward->devices[index];
    struct modbus_unit *unit = &ward->units[index];
    struct nonin_values values = {.pulse = NONIN_MISSING, .spo2 = NONIN_MISSING};
    char counter[24];

    for (size_t c = 0; c < emulate_source_columns(device->source); c++) {
        const char *value = device->row.values[c];
        int field = device->field_of[c];
        int error = 0;

        if (field < 0)
            continue;
        if (ward->is_nonin)
            error = whole(value, field == 0 ? &values.pulse : &values.spo2)
                        ? 0
                        : EMULATE_INEXACT;
        else
            error = modbus_unit_set(unit, device->map->fields[field].name, value);
        if (error != 0) {
            (void)snprintf(ward->error, sizeof ward->error,
                           "row %llu: %s = %s: the device cannot show that (%s)",
                           (unsigned long long)device->sample,
                           emulate_source_column(device->source, c), value,
                           error == EMULATE_INEXACT ? "digits would be lost"
                                                    : "out of range");
            return -1;
        }
    }
    if (ward->is_nonin) {
        if (ward->nonin.format == 13)
            nonin_emulator_measure(&ward->nonin, &values);
        else
            nonin_emulator_set(&ward->nonin, &values);
        return 0;
    }
    (void)snprintf(counter, sizeof counter, "%llu", (unsigned long long)device->sample);
    if (device->counter != NULL &&
        modbus_unit_set(unit, device->counter->name, counter) != 0) {
        (void)snprintf(ward->error, sizeof ward->error, "sample counter %s is too large",
                       counter);
        return -1;
    }
    return 0;
}

/* Shows the next row, if it is time and the last one may go. */
static int advance(struct emulate_ward *ward, size_t index, uint64_t now)
{
    struct emulate_device *device = &ward->devices[index];

    if (device->ended || device->next_us > now)
        return 0;
    if (device->each_row_read && device->sample > 0 && !device->read) {
        device->next_us = now + 1000; /* its time begins when it has been read */
        return 0;
    }
    if (device->sample > 0 && !device->read) {
        device->unread++;
        note(ward, device, false);
    }
    if (!emulate_source_next(device->source, &device->row)) {
        if (device->loop)
            emulate_source_rewind(device->source);
        if (!device->loop || !emulate_source_next(device->source, &device->row)) {
            device->ended = true;
            device->read = true;
            ward->ended++;
            return 0;
        }
    }
    /* The made-up patient has tenths, which this device does not show. */
    for (size_t c = 0; ward->is_nonin && !emulate_source_is_file(device->source) &&
                       c < emulate_source_columns(device->source);
         c++)
        device->row.values[c][strcspn(device->row.values[c], ".")] = '\0';
    device->sample++;
    device->read = false;
    device->made_us = clock_utc_us();
    device->next_us = device->next_us == 0 ? now + device->every_us
                                           : device->next_us + device->every_us;
    if (device->next_us < now)
        device->next_us = now + device->every_us;
    return show(ward, index);
}

uint64_t emulate_device_tick(void *context, uint64_t now_us)
{
    struct emulate_ward *ward = context;
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < ward->count; i++) {
        struct emulate_device *device = &ward->devices[i];

        if (device->source == NULL || device->ended || ward->error[0] != '\0')
            continue;
        if (advance(ward, i, now_us) != 0)
            return UINT64_MAX;
        /* A Nonin device talks by itself: whoever listens has the row. */
        if (ward->is_nonin && !device->read) {
            device->read = true;
            device->served++;
            note(ward, device, true);
        }
        if (!device->ended && device->next_us < next)
            next = device->next_us;
    }
    return next;
}

/* True if the request reads all of the field. */
static bool covers(const struct regmap_field *field, uint8_t function, uint16_t address,
                   uint16_t count)
{
    return field->function == function && field->address >= address &&
           field->address + regmap_span(field) <= address + count;
}

/* Called before the answer is made, so that the row in the book is the row in the answer.
 */
void emulate_device_asked(void *context, uint8_t unit, uint8_t function, uint16_t address,
                          uint16_t count, uint64_t now_us)
{
    struct emulate_ward *ward = context;

    (void)now_us;
    for (size_t i = 0; i < ward->count; i++) {
        struct emulate_device *device = &ward->devices[i];
        bool any = false;

        if (device->address != unit || device->source == NULL || device->read ||
            device->sample == 0 || ward->units[i].dead)
            continue;
        for (size_t c = 0; c < emulate_source_columns(device->source); c++)
            any = any || (device->field_of[c] >= 0 &&
                          covers(&device->map->fields[device->field_of[c]], function,
                                 address, count));
        /* A request that leaves the counter out (identity, a probe) is no reading of the
         * row. */
        if (device->counter != NULL ? !covers(device->counter, function, address, count)
                                    : !any)
            continue;
        device->read = true;
        device->served++;
        note(ward, device, true);
    }
}

/* So that the book is whole: what was shown last and never read is in it too. */
void emulate_device_end(struct emulate_ward *ward)
{
    for (size_t i = 0; i < ward->count; i++) {
        struct emulate_device *device = &ward->devices[i];

        if (device->source != NULL && device->sample > 0 && !device->read) {
            device->unread++;
            note(ward, device, false);
        }
    }
}
