/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading a YAML document against tables of keys, with an error that names file, line and
 * key. Private to profile*.c.
 */
#ifndef PORTS_PROFILE_YAML_H
#define PORTS_PROFILE_YAML_H

#include "ports/profile.h"

#include <yaml.h>

/* One document being read. The first error is the one that is kept. */
struct reader {
    const char *file;
    yaml_document_t *document;
    struct profile *profile; /* owns what is allocated on the way */
    char *error;
    size_t error_size;
    bool failed;
};

/* One key of a mapping. read gets the value's node and the mapping's target and returns
 * false after reader_fail(). */
struct key {
    const char *name;
    bool required;
    bool (*read)(struct reader *reader, const char *key, yaml_node_t *value,
                 void *target);
};

/* Writes "file:line: key: message" unless there is an error already; always returns
 * false. */
bool reader_fail(struct reader *reader, size_t line, const char *key, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* The line of a node, from 1. */
size_t reader_line(const yaml_node_t *node);

/* Reads a mapping by a table of `count` keys. lines[i] becomes the line of key i, 0 if it
 * is not there. Refuses unknown keys, keys given twice and missing ones. */
bool reader_mapping(struct reader *reader, const char *name, yaml_node_t *node,
                    const struct key *keys, size_t count, size_t *lines, void *target);

/* How many items a list has, at least `minimum` and at most `maximum`; false if it is
 * none. */
bool reader_list(struct reader *reader, const char *key, yaml_node_t *node,
                 size_t minimum, size_t maximum, size_t *count);
yaml_node_t *reader_item(struct reader *reader, yaml_node_t *list, size_t i);

/* The text of a scalar; NULL after reader_fail(). Borrowed from the document. */
const char *reader_text(struct reader *reader, const char *key, yaml_node_t *node);

/* A whole number, decimal or 0x..., within minimum..maximum. */
bool reader_number(struct reader *reader, const char *key, yaml_node_t *node,
                   uint64_t minimum, uint64_t maximum, uint64_t *out);

/* One of `count` words; *out is its index. */
bool reader_word(struct reader *reader, const char *key, yaml_node_t *node,
                 const char *const *words, size_t count, size_t *out);

/* A name of 1 to 31 letters, digits, - or _; *out lives as long as the profile. */
bool reader_name(struct reader *reader, const char *key, yaml_node_t *node,
                 const char **out);

/* Memory and text that live as long as the profile; NULL after reader_fail(). Zeroed. */
void *reader_keep(struct reader *reader, size_t count, size_t size);
const char *reader_keep_text(struct reader *reader, const char *text);

/* profile_golden.c: checks the golden frames under `node` against the finished table.
 * field_lines[i] is the line of field i, for the complaint that no frame reads it. */
bool golden_check(struct reader *reader, yaml_node_t *node, const struct regmap *map,
                  const size_t *field_lines);

#endif
