/* SPDX-License-Identifier: Apache-2.0
 *
 * What due.c (decisions) and due_table.c (finding things again) share. Private to them.
 */
#ifndef CHART_DUE_PARTS_H
#define CHART_DUE_PARTS_H

#include "chart/due.h"

struct open_reading {
    uint64_t ref, device;
    int64_t t_us;
    uint32_t pending;          /* observations that lead a slot */
    uint64_t call;             /* the call in which decision is valid */
    size_t decision;           /* its entry in due->decisions */
    struct open_reading *next; /* the same hash bucket */
};

struct slot {
    uint64_t stay;
    uint32_t code;
    /* the how-manyth of this code in its reading: two probes are two quantities */
    uint32_t ordinal;
    int64_t from_us, to_us; /* the bucket */
    int64_t arrived_us;     /* when something last came into it */
    struct open_reading *leader;
    uint32_t bit; /* of the leader's observations */
};

/* All open slots of one device. */
struct line {
    uint64_t device;
    struct slot *slots;
    size_t count, capacity;
    struct line *next; /* the same hash bucket */
};

struct due {
    struct due_options options;
    struct due_interval *table;
    struct line **lines;
    struct open_reading **readings;
    size_t line_count, line_buckets, open, reading_buckets;
    int64_t next_us; /* no slot closes by time before this */
    struct due_decision *decisions;
    size_t decision_count, decision_capacity;
    uint64_t call;
};

/* False: memory; due_tables_free may be called all the same. */
bool due_tables_new(struct due *due);
void due_tables_free(struct due *due);

/* The line of a device; NULL if it has none. due_make_line makes it (NULL: memory). */
struct line *due_find_line(const struct due *due, uint64_t device);
struct line *due_make_line(struct due *due, uint64_t device);

/* Lines without open slots cost memory for nothing: devices come and go. */
void due_drop_empty_lines(struct due *due);

/* The link that leads to the reading, or the empty one where it would be. */
struct open_reading **due_find_reading(const struct due *due, uint64_t ref);
void due_add_reading(struct due *due, struct open_reading *open);
void due_drop_reading(struct due *due, struct open_reading *reading); /* and frees it */

#endif
