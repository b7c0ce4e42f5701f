/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of text. They stay text up to the device's registers: a number that went through a
 * float on the way would no longer be the recording's.
 */
#include "tool/emulate_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct emulate_source {
    size_t columns;
    char names[SOURCE_COLUMNS_MAX][SOURCE_VALUE_SIZE];
    /* The file; NULL: generated. */
    char *text;
    /* Of the first row in text. */
    size_t first;
    /* Of the next row. */
    size_t next;
    /* Generated: as given. */
    uint64_t seed;
    /* Of the generator. */
    uint64_t state;
    uint64_t row;
    /* Tenths of the column's unit. */
    int levels[8];
};

/* What the generated patient's values wander between, in tenths. */
static const struct {
    const char *name;
    int low, high, start, step;
} wander[] = {
    {"HR", 480, 1400, 780, 12},      {"PULSE", 480, 1400, 780, 12},
    {"RESP", 80, 300, 160, 5},       {"SpO2", 850, 1000, 970, 3},
    {"NBPSys", 900, 1700, 1220, 20}, {"NBPDias", 450, 950, 740, 15},
    {"NBPMean", 600, 1200, 900, 15}, {"TEMP", 355, 400, 369, 1},
};

#define WANDERERS (sizeof wander / sizeof wander[0])
/* NBPSys, NBPDias, NBPMean: measured together. */
#define CUFF_FIRST 4
#define CUFF_LAST  6
/* Rows between two cuff readings. */
#define CUFF_EVERY 10

/* The end of the line that begins at `at`; its length is without CR and LF. */
static size_t line_length(const char *line, size_t *skip)
{
    size_t n = strcspn(line, "\n");

    *skip = n + (line[n] == '\n' ? 1 : 0);
    return n > 0 && line[n - 1] == '\r' ? n - 1 : n;
}

/* Splits one line. Returns how many values, or -1 if one is too long or there are too
 * many. */
static int split(const char *line, size_t n, char values[][SOURCE_VALUE_SIZE])
{
    size_t begin = 0;
    int count = 0;

    for (size_t i = 0; i <= n; i++) {
        if (i < n && line[i] != ',')
            continue;
        if (count == SOURCE_COLUMNS_MAX || i - begin >= SOURCE_VALUE_SIZE)
            return -1;
        memcpy(values[count], line + begin, i - begin);
        values[count][i - begin] = '\0';
        count++;
        begin = i + 1;
    }
    return count;
}

/* Every line must have the header's number of values; found out now, not in mid-run. */
static int check_rows(const struct emulate_source *source, const char *path, char *error,
                      size_t error_size)
{
    struct emulate_row row;
    size_t skip, line = 1;

    for (size_t at = source->first; source->text[at] != '\0'; at += skip) {
        size_t n = line_length(source->text + at, &skip);

        line++;
        if (n > 0 && split(source->text + at, n, row.values) != (int)source->columns) {
            (void)snprintf(error, error_size, "%s:%zu: %zu values expected, as in line 1",
                           path, line, source->columns);
            return -1;
        }
    }
    return 0;
}

/* Read whole and checked whole: a bad line is found before the first row is shown. */
int emulate_source_csv(const char *path, struct emulate_source **out, char *error,
                       size_t error_size)
{
    struct emulate_source *source = calloc(1, sizeof *source);
    uint8_t *text = NULL;
    ssize_t size = source != NULL ? file_read(path, SOURCE_FILE_MAX, &text) : -1;
    size_t n;
    int columns;

    if (size <= 0) {
        (void)snprintf(error, error_size, "%s:0: cannot be read, or is empty", path);
        goto err0;
    }
    source->text = (char *)text;
    n = line_length(source->text, &source->first);
    columns = split(source->text, n, source->names);
    if (columns < 1) {
        (void)snprintf(error, error_size, "%s:1: no header of at most %d column names",
                       path, SOURCE_COLUMNS_MAX);
        goto err1;
    }
    source->columns = (size_t)columns;
    if (check_rows(source, path, error, error_size) != 0)
        goto err1;
    source->next = source->first;
    *out = source;
    return 0;

err1:
    free(text);
err0:
    free(source);
    return -1;
}

/* splitmix64: small, and the same on every machine. */
static uint64_t draw(struct emulate_source *source)
{
    uint64_t z = source->state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void emulate_source_rewind(struct emulate_source *source)
{
    source->next = source->first;
    source->state = source->seed;
    source->row = 0;
    for (size_t c = 0; c < WANDERERS; c++)
        source->levels[c] = wander[c].start + (int)(draw(source) % 100) - 50;
}

/* The seed is all of its state: rewinding begins the same patient again. */
struct emulate_source *emulate_source_seeded(uint64_t seed)
{
    struct emulate_source *source = calloc(1, sizeof *source);

    if (source == NULL)
        return NULL;
    source->seed = seed;
    source->columns = WANDERERS;
    for (size_t c = 0; c < WANDERERS; c++)
        (void)snprintf(source->names[c], SOURCE_VALUE_SIZE, "%s", wander[c].name);
    emulate_source_rewind(source);
    return source;
}

/* NULL is fine. */
void emulate_source_free(struct emulate_source *source)
{
    if (source == NULL)
        return;
    free(source->text);
    free(source);
}

/* A recording's digits must be kept; a made-up patient's may be rounded to what the
 * device shows. */
bool emulate_source_is_file(const struct emulate_source *source)
{
    return source->text != NULL;
}

/* As many as the header has. */
size_t emulate_source_columns(const struct emulate_source *source)
{
    return source->columns;
}

/* Borrowed; lives as long as the source. */
const char *emulate_source_column(const struct emulate_source *source, size_t column)
{
    return source->names[column];
}

/* A walk within limits. Values are missing now and then, because devices' values are, and
 * a reader that has never seen a missing value has not been tested. */
static void generate(struct emulate_source *source, struct emulate_row *row)
{
    memset(row, 0, sizeof *row);
    for (size_t c = 0; c < WANDERERS; c++) {
        int *level = &source->levels[c];
        bool cuff = c >= CUFF_FIRST && c <= CUFF_LAST;
        uint64_t luck = draw(source);

        *level += (int)(luck % (2 * (uint64_t)wander[c].step + 1)) - wander[c].step;
        *level = *level < wander[c].low ? wander[c].low : *level;
        *level = *level > wander[c].high ? wander[c].high : *level;
        /* A cuff measures now and then, in whole units; anything else is missing now and
         * then. */
        if (cuff && source->row % CUFF_EVERY != 0)
            continue;
        if (!cuff && luck >> 32 > UINT32_MAX / 100 * 98)
            continue;
        if (cuff)
            (void)snprintf(row->values[c], SOURCE_VALUE_SIZE, "%d", *level / 10);
        else
            (void)snprintf(row->values[c], SOURCE_VALUE_SIZE, "%d.%d", *level / 10,
                           *level % 10);
    }
    source->row++;
}

/* Each call gives another row; a file ends, a made-up patient does not. */
bool emulate_source_next(struct emulate_source *source, struct emulate_row *row)
{
    size_t skip, n;

    if (source->text == NULL) {
        generate(source, row);
        return true;
    }
    do { /* empty lines mean nothing */
        if (source->text[source->next] == '\0')
            return false;
        n = line_length(source->text + source->next, &skip);
        memset(row, 0, sizeof *row);
        (void)split(source->text + source->next, n, row->values);
        source->next += skip;
    } while (n == 0);
    return true;
}
