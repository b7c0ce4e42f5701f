/* SPDX-License-Identifier: Apache-2.0
 *
 * What an emulated device measures: rows of values as text, from a CSV file or from a
 * seeded generator. Text, because the device's own digits are to be compared at the far
 * end.
 */
#ifndef TOOL_EMULATE_SOURCE_H
#define TOOL_EMULATE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOURCE_COLUMNS_MAX 32
/* Bytes of one value with its terminator. */
#define SOURCE_VALUE_SIZE 32
#define SOURCE_FILE_MAX   ((size_t)64 * 1024 * 1024)

struct emulate_row {
    /* "" = no value. */
    char values[SOURCE_COLUMNS_MAX][SOURCE_VALUE_SIZE];
};

struct emulate_source;

/* A CSV file: a header of column names, then one row a line. Values must not be quoted.
 * Returns 0, or -1 with "file:line: what is wrong" in error. */
int emulate_source_csv(const char *path, struct emulate_source **out, char *error,
                       size_t error_size);

/* An endless patient: HR, PULSE, RESP, SpO2, NBPSys, NBPDias, NBPMean, TEMP. The same
 * seed gives the same rows, for ever. NULL if there is no memory. */
struct emulate_source *emulate_source_seeded(uint64_t seed);

void emulate_source_free(struct emulate_source *source); /* NULL is fine */

/* True for a file, false for a made-up patient. */
bool emulate_source_is_file(const struct emulate_source *source);

size_t emulate_source_columns(const struct emulate_source *source);
const char *emulate_source_column(const struct emulate_source *source, size_t column);

/* The next row; false at the end of a file. */
bool emulate_source_next(struct emulate_source *source, struct emulate_row *row);

/* Begins again with the first row. */
void emulate_source_rewind(struct emulate_source *source);

#endif
