/* SPDX-License-Identifier: Apache-2.0
 *
 * Where open readings and lines are found again: two chained hash tables that grow with
 * what they hold.
 */
#include "chart/due_parts.h"

#include <stdlib.h>

#include "chart/adt_hash.h"

#define BUCKETS_MIN 256

/* Small to begin with: a demo has ten devices, a hospital thousands. */
bool due_tables_new(struct due *due)
{
    due->line_buckets = due->reading_buckets = BUCKETS_MIN;
    due->lines = calloc(due->line_buckets, sizeof(struct line *));
    due->readings = calloc(due->reading_buckets, sizeof(struct open_reading *));
    return due->lines != NULL && due->readings != NULL;
}

/* Its slots go with it. */
static void line_free(struct line *line)
{
    free(line->slots);
    free(line);
}

/* Also after due_tables_new failed half way. */
void due_tables_free(struct due *due)
{
    size_t i;

    for (i = 0; due->lines != NULL && i < due->line_buckets; i++)
        while (due->lines[i] != NULL) {
            struct line *line = due->lines[i];

            due->lines[i] = line->next;
            line_free(line);
        }
    for (i = 0; due->readings != NULL && i < due->reading_buckets; i++)
        while (due->readings[i] != NULL) {
            struct open_reading *reading = due->readings[i];

            due->readings[i] = reading->next;
            free(reading);
        }
    free(due->lines);
    free(due->readings);
}

/* Handles and device numbers may be sequential; hashing spreads them. */
static size_t bucket_of(uint64_t key, size_t buckets)
{
    return (size_t)adt_hash(&key, sizeof(key), 6) & (buckets - 1);
}

/* NULL: this device has nothing open. */
struct line *due_find_line(const struct due *due, uint64_t device)
{
    struct line *line = due->lines[bucket_of(device, due->line_buckets)];

    while (line != NULL && line->device != device)
        line = line->next;
    return line;
}

/* Twice as many buckets. Without memory the chains get longer, nothing worse. */
static void spread_lines(struct due *due)
{
    size_t buckets = due->line_buckets * 2, i;
    struct line **lines = calloc(buckets, sizeof(struct line *));

    if (lines == NULL)
        return;
    for (i = 0; i < due->line_buckets; i++)
        while (due->lines[i] != NULL) {
            struct line *line = due->lines[i],
                        **into = &lines[bucket_of(line->device, buckets)];

            due->lines[i] = line->next;
            line->next = *into;
            *into = line;
        }
    free(due->lines);
    due->lines = lines;
    due->line_buckets = buckets;
}

/* The table grows before the line goes in, so that the line lands in its final bucket. */
struct line *due_make_line(struct due *due, uint64_t device)
{
    struct line *line = due_find_line(due, device), **bucket;

    if (line != NULL)
        return line;
    line = calloc(1, sizeof(*line));
    if (line == NULL)
        return NULL;
    if (due->line_count >= due->line_buckets)
        spread_lines(due);
    line->device = device;
    bucket = &due->lines[bucket_of(device, due->line_buckets)];
    line->next = *bucket;
    *bucket = line;
    due->line_count++;
    return line;
}

/* A link rather than the reading, so that taking out needs no second search. */
struct open_reading **due_find_reading(const struct due *due, uint64_t ref)
{
    struct open_reading **at = &due->readings[bucket_of(ref, due->reading_buckets)];

    while (*at != NULL && (*at)->ref != ref)
        at = &(*at)->next;
    return at;
}

/* See spread_lines. */
static void spread_readings(struct due *due)
{
    size_t buckets = due->reading_buckets * 2, i;
    struct open_reading **readings = calloc(buckets, sizeof(struct open_reading *));

    if (readings == NULL)
        return;
    for (i = 0; i < due->reading_buckets; i++)
        while (due->readings[i] != NULL) {
            struct open_reading *reading = due->readings[i],
                                **into = &readings[bucket_of(reading->ref, buckets)];

            due->readings[i] = reading->next;
            reading->next = *into;
            *into = reading;
        }
    free(due->readings);
    due->readings = readings;
    due->reading_buckets = buckets;
}

/* No slot may lead to it any more. */
void due_drop_reading(struct due *due, struct open_reading *reading)
{
    struct open_reading **at = due_find_reading(due, reading->ref);

    *at = reading->next;
    due->open--;
    free(reading);
}

/* Its ref must be new. */
void due_add_reading(struct due *due, struct open_reading *open)
{
    struct open_reading **bucket;

    if (due->open >= due->reading_buckets)
        spread_readings(due);
    bucket = &due->readings[bucket_of(open->ref, due->reading_buckets)];
    open->next = *bucket;
    *bucket = open;
    due->open++;
}

/* Called by the clock, not by feeding: a device that is merely between two minutes
 * keeps its line. */
void due_drop_empty_lines(struct due *due)
{
    size_t i;

    for (i = 0; i < due->line_buckets; i++) {
        struct line **at = &due->lines[i];

        while (*at != NULL) {
            struct line *line = *at;

            if (line->count > 0) {
                at = &line->next;
                continue;
            }
            *at = line->next;
            due->line_count--;
            line_free(line);
        }
    }
}
