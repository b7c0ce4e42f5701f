/* SPDX-License-Identifier: Apache-2.0
 *
 * The emulated devices of one line: which rows they show when, and the book of what was
 * served.
 *
 * The book (--served) has one JSON object a line:
 *   {"unit":7,"sample":12,"made":"...Z","read":"...Z","row":{"HR":"101.3","PULSE":null}}
 *   {"unit":7,"sample":13,"made":"...Z","unread":true,"row":{...}}   replaced before
 * anyone read it made is when the row came up, read when a master first asked for it. So:
 * served = the lines without "unread".
 */
#ifndef TOOL_EMULATE_DEVICE_H
#define TOOL_EMULATE_DEVICE_H

#include <stdio.h>

#include "drivers/emulate/modbus_slave.h"
#include "tool/emulate_kinds.h"
#include "tool/emulate_source.h"

#define DEVICES_MAX 32

struct emulate_device {
    uint8_t address;
    /* Modbus. */
    const struct regmap *map;
    struct emulate_source *source;
    /* A row stays until it was read. */
    bool each_row_read;
    /* Begin again after the last row. */
    bool loop;
    /* Round what the device has no room for, instead of ending with an error. */
    bool fit;
    uint64_t every_us, next_us;
    /* Of the row shown; 0: none yet. */
    uint64_t sample;
    uint64_t served, unread;
    bool read, ended;
    /* UTC. */
    int64_t made_us;
    struct emulate_row row;
    /* Index in the map, 0 for another kind of device; -1: none. */
    int field_of[SOURCE_COLUMNS_MAX];
    /* What the kind had said when the row came up. */
    uint64_t said;
    /* Its sample counter, or NULL. */
    const struct regmap_field *counter;
};

struct emulate_ward { /* all of one line */
    struct emulate_device devices[DEVICES_MAX];
    struct modbus_unit units[DEVICES_MAX];
    const struct emulate_kind *kind; /* one device, devices[0]; NULL: Modbus */
    void *state;                     /* of that kind's emulator */
    const uint64_t *bursts;          /* what it has said so far */
    size_t count;
    FILE *book;      /* NULL: none */
    uint64_t ended;  /* devices whose rows are at their end */
    char error[256]; /* why device_tick() returned 0 */
};

/* Finds each column's field. -1 with an error text if no column fits the map. */
int emulate_device_bind(struct emulate_ward *ward, size_t device, char *error,
                        size_t size);

/* The hooks of struct emulate_hooks; context is the ward. */
uint64_t emulate_device_tick(void *context, uint64_t now_us);
void emulate_device_asked(void *context, uint8_t unit, uint8_t function, uint16_t address,
                          uint16_t count, uint64_t now_us);

/* Writes what is shown and was never read into the book. */
void emulate_device_end(struct emulate_ward *ward);

#endif
