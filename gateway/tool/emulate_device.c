/* SPDX-License-Identifier: Apache-2.0
 *
 * The rows of the emulated devices, and the book of what was served. The book is what a
 * test compares with what arrived: a row is entered when it is first read (or when it is
 * replaced unread), with the time it came up, so that served = decoded + inside a gap can
 * be checked from outside.
 */
#include "tool/emulate_device.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/zone.h"

#define LOOK_US 10000 /* how often to look whether a row was said */

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

/* Whether a device that is no Modbus has a value of that name: asking it to show none is
 * harmless, since it has shown nothing yet. */
static int kind_field(const struct emulate_ward *ward, const char *name)
{
    return ward->kind->show(ward->state, name, "") != EMULATE_NO_FIELD ? 0 : -1;
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
            ward->kind != NULL ? kind_field(ward, name) : map_field(device->map, name);
        bound += device->field_of[c] >= 0;
    }
    if (bound == 0) {
        (void)snprintf(error, size, "no column has the name of a value of %s",
                       ward->kind != NULL ? ward->kind->name : device->map->name);
        return -1;
    }
    for (size_t f = 0; ward->kind == NULL && f < device->map->field_count; f++) {
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

/* One value into the device, as it is written. */
static int put(struct emulate_ward *ward, size_t index, size_t column, const char *text)
{
    const struct emulate_device *device = &ward->devices[index];

    if (ward->kind != NULL)
        return ward->kind->show(ward->state,
                                emulate_source_column(device->source, column), text);
    return modbus_unit_set(&ward->units[index],
                           device->map->fields[device->field_of[column]].name, text);
}

/* Drops the last digit behind the point (and then the point), half away from zero. False
 * if there is none. The text may grow by a digit: 99.9 becomes 100. */
static bool round_off(char text[SOURCE_VALUE_SIZE])
{
    size_t n = strlen(text), point = strcspn(text, "."), at;
    bool up;

    if (point == n || n + 2 > SOURCE_VALUE_SIZE)
        return false;
    up = n > point + 1 && text[n - 1] >= '5';
    text[--n] = '\0';
    if (n > 0 && n - 1 == point)
        text[--n] = '\0';
    for (at = n; up && at > 0; at--) {
        char *digit = &text[at - 1];

        if (*digit < '0' || *digit > '9') {
            if (*digit == '.')
                continue;
            break; /* the sign */
        }
        up = *digit == '9';
        *digit = (char)(up ? '0' : *digit + 1);
    }
    if (up) {
        memmove(text + at + 1, text + at, n - at + 1);
        text[at] = '1';
    }
    return true;
}

/* As put(), but what the device has no room for is rounded until it has. Rounded from
 * what the recording says, never from what was rounded before: 99.49 is 99. The row
 * becomes what is shown. */
static int put_fitting(struct emulate_ward *ward, size_t index, size_t column)
{
    char *value = ward->devices[index].row.values[column];
    char text[SOURCE_VALUE_SIZE];
    int error = put(ward, index, column, value);

    for (size_t digits = 0; error == EMULATE_INEXACT; digits++) {
        size_t n = strlen(value);

        memcpy(text, value, sizeof text);
        text[n > digits ? n - digits : 0] = '\0';
        if (!round_off(text))
            return error;
        error = put(ward, index, column, text);
        if (error == EMULATE_OK)
            memcpy(value, text, sizeof text);
    }
    if (error == EMULATE_RANGE) {
        value[0] = '\0';
        error = put(ward, index, column, "");
    }
    return error;
}

/* Shows the row in the device. */
static int show(struct emulate_ward *ward, size_t index)
{
    struct emulate_device *device = &ward->devices[index];
    struct modbus_unit *unit = &ward->units[index];
    char counter[24];

    for (size_t c = 0; c < emulate_source_columns(device->source); c++) {
        int error;

        if (device->field_of[c] < 0)
            continue;
        error = device->fit ? put_fitting(ward, index, c)
                            : put(ward, index, c, device->row.values[c]);
        if (error != 0) {
            (void)snprintf(ward->error, sizeof ward->error,
                           "row %llu: %s = %s: the device cannot show that (%s)",
                           (unsigned long long)device->sample,
                           emulate_source_column(device->source, c),
                           device->row.values[c],
                           error == EMULATE_INEXACT ? "digits would be lost; see --fit"
                                                    : "out of range; see --fit");
            return -1;
        }
    }
    if (ward->kind != NULL) {
        if (ward->kind->measured != NULL)
            ward->kind->measured(ward->state);
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

/* What the kind has said of rows so far. */
static uint64_t said(const struct emulate_ward *ward)
{
    return ward->kind->said != NULL ? ward->kind->said(ward->state) : *ward->bursts;
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
    device->sample++;
    device->read = false;
    device->made_us = clock_utc_us();
    device->next_us = device->next_us == 0 ? now + device->every_us
                                           : device->next_us + device->every_us;
    if (device->next_us < now)
        device->next_us = now + device->every_us;
    if (ward->kind != NULL)
        device->said = said(ward);
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
        /* Whoever listens has the row that was said. */
        if (ward->kind != NULL && !device->read && device->sample > 0) {
            device->read = said(ward) != device->said;
            device->served += device->read;
            if (device->read)
                note(ward, device, true);
            else if (next > now_us + LOOK_US)
                next = now_us + LOOK_US;
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
