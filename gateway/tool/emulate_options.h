/* SPDX-License-Identifier: Apache-2.0
 *
 * One run of `wardgate emulate`: what the command asked for, and what it needs all the
 * way. Shared by emulate.c (the run) and emulate_options.c (the command).
 */
#ifndef TOOL_EMULATE_OPTIONS_H
#define TOOL_EMULATE_OPTIONS_H

#include "ports/profile.h"
#include "tool/emulate_device.h"
#include "tool/emulate_line.h"
#include "tool/emulate_spoil.h"

#define EMULATE_FAULTS_MAX 256
#define EMULATE_USAGE      2 /* exit code of a wrong command */
#define EMULATE_BAUD_UNSET UINT32_MAX

struct emulate { /* one run */
    struct emulate_line line;
    struct emulate_ward ward;
    struct modbus_slave slave;
    struct emulate_spoil spoil;
    /* Faults of a slave, or of any other device; one of the two is used. */
    struct modbus_fault faults[EMULATE_FAULTS_MAX];
    struct emulate_spoil_fault spoils[EMULATE_FAULTS_MAX];
    size_t fault_count;
    /* Loaded from files, to be freed. */
    struct profile *profiles[DEVICES_MAX + 1];
    size_t profile_count;
    const char *pty, *rtu, *tcp, *served;
    uint32_t baud, speed;
    bool exit_at_end;
    /* Not the line's usual one. */
    bool ascii, rtu_framing;
    /* Pty: the other side must set the line alike. */
    bool strict;
    uint8_t parity;
    /* When all rows were shown and the line is to end; 0: not yet. */
    uint64_t end_us;
    int stop_fd;
    char error[512];
};

/* What is set for one unit, or before the first for all. */
struct unit_options {
    uint8_t address;
    const struct regmap *map;
    const char *replay;
    uint64_t seed, every_us;
    uint32_t turnaround_us;
    bool dead, each_row_read, loop, fit;
};

/* The text of --help, to stdout or stderr. */
void emulate_help(FILE *to);

/* Digits only: no sign, no blanks, no second base. */
bool emulate_number(const char *text, uint64_t maximum, uint64_t *out);

/* Reads argv[0] (the device) and the options behind it into units[0..count-1]
 * (DEVICES_MAX). Returns the count, 0 for --help, or -1 when it has said on stderr what
 * is wrong. run->ward.kind is set for a serial device, NULL for Modbus. */
int emulate_options(struct emulate *run, int argc, char **argv,
                    struct unit_options *units);

#endif
